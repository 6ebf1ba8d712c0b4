//! Requests that must not be heard: unsigned, wrongly signed, tampered with, too old.

use crate::server_env::{Endpoint, client, client_over, code, socket_client};
use crate::server_raw::{Framing, Raw, served};
use aws_sdk_s3::error::ProvideErrorMetadata as _;
use aws_sdk_sts::config::Credentials;
use bucketwright::hashing::digest;
use bucketwright::model::Algorithm;
use bucketwright::server::{DEFAULT_SESSION, Issued};
use jiff::SignedDuration;

#[tokio::test]
async fn unsigned_requests_are_refused() {
    let endpoint = Endpoint::with_bucket().await;
    endpoint.put("key", b"secret").await;
    served(&endpoint, async |wire| {
        for line in [
            "GET / HTTP/1.1",
            "GET /bucket HTTP/1.1",
            "GET /bucket/key HTTP/1.1",
            "PUT /other HTTP/1.1",
            "PUT /bucket?encryption HTTP/1.1",
            "GET /bucket?encryption HTTP/1.1",
            "GET /bucket?policy HTTP/1.1",
            "DELETE /bucket/key HTTP/1.1",
            "POST /bucket?delete HTTP/1.1",
        ] {
            let host = &wire.address;
            let request = format!("{line}\r\nHost: {host}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            let answer = wire.bytes(request.as_bytes()).await;
            assert!(answer.starts_with("HTTP/1.1 403"), "{line}: {answer}");
            assert!(answer.contains("<Code>AccessDenied</Code>") && !answer.contains("secret"), "{line}: {answer}");
        }
    })
    .await;
    assert_eq!(endpoint.get("key").await, b"secret");
}

#[tokio::test]
async fn wrong_keys_are_refused() {
    let endpoint = Endpoint::with_bucket().await;
    let server = &endpoint.server;
    let wrong = client(server, "wrong secret");
    let refused = wrong.list_buckets().send().await.unwrap_err();
    assert!(refused.message().unwrap().contains("does not match the signature you provided"), "{refused:?}");
    assert_eq!(code(wrong.list_buckets().send().await), "SignatureDoesNotMatch 403");
    assert_eq!(code(wrong.create_bucket().bucket("other").send().await), "SignatureDoesNotMatch 403");
    let unknown = client_over(server.http_client(), "http://localhost", "AKIAUNKNOWN", server.secret_key());
    assert_eq!(code(unknown.list_buckets().send().await), "InvalidAccessKeyId 403");
    assert_eq!(code(endpoint.client.head_bucket().bucket("other").send().await), "NotFound 404");
}

#[tokio::test]
async fn what_was_signed_is_what_counts() {
    let endpoint = Endpoint::with_bucket().await;
    served(&endpoint, async |wire| {
        let right = Raw::put("/bucket/key", b"some body", Framing::Signed);
        let check = async |raw: Raw, expected: &str| assert_eq!(wire.send(&raw).await, expected, "{raw:?}");
        check(right.clone(), "200").await;
        let other = Raw { tampered_path: Some("/bucket/other".to_owned()), ..right.clone() };
        check(other, "SignatureDoesNotMatch 403").await;
        let body = Some(b"SOME body".to_vec());
        check(Raw { tampered_body: body.clone(), ..right.clone() }, "XAmzContentSHA256Mismatch 400").await;
        let chunks = Raw { framing: Framing::Chunks, ..right.clone() };
        check(chunks.clone(), "200").await;
        check(Raw { tampered_body: body, ..chunks }, "SignatureDoesNotMatch 403").await;
        for hours in [1, -1] {
            let late = Raw { clock_off: SignedDuration::from_hours(hours), ..right.clone() };
            check(late, "RequestTimeTooSkewed 403").await;
        }
    })
    .await;
    assert_eq!(endpoint.get("key").await, b"some body");
    let other = endpoint.client.head_object().bucket("bucket").key("other").send().await;
    assert_eq!(code(other), "NotFound 404");
}

#[tokio::test]
async fn documents_are_held_against_their_claims() {
    let endpoint = Endpoint::with_bucket().await;
    endpoint.put("key", b"body").await;
    let document = b"<Delete><Object><Key>key</Key></Object></Delete>";
    let md5 = digest(Algorithm::Md5, document).base64();
    let wrong = digest(Algorithm::Md5, b"else").base64();
    let delete = Raw { method: "POST", ..Raw::put("/bucket?delete=", document, Framing::Signed) };
    served(&endpoint, async |wire| {
        let check = async |raw: Raw, expected: &str| assert_eq!(wire.send(&raw).await, expected, "{raw:?}");
        check(delete.clone(), "InvalidRequest 400").await;
        check(delete.clone().header("content-md5", &wrong), "BadDigest 400").await;
        check(delete.clone().header("x-amz-checksum-crc32", "AAAAAA=="), "BadDigest 400").await;
        let tampered = Some(document.map(|byte| if byte == b'y' { b'z' } else { byte }).to_vec());
        let signed = delete.clone().header("content-md5", &md5);
        check(Raw { tampered_body: tampered, ..signed.clone() }, "XAmzContentSHA256Mismatch 400").await;
        assert_eq!(endpoint.get("key").await, b"body");
        check(signed, "200").await;
        let token = Raw { method: "GET", ..Raw::put("/bucket/key", b"", Framing::Signed) };
        check(token.header("x-amz-security-token", "made up"), "InvalidToken 400").await;
        let host = &wire.address;
        let old = format!("GET / HTTP/1.1\r\nHost: {host}\r\nAuthorization: AWS key:sig\r\nConnection: close\r\n\r\n");
        assert!(wire.bytes(old.as_bytes()).await.contains("Please use AWS4-HMAC-SHA256"));
    })
    .await;
    let head = endpoint.client.head_object().bucket("bucket").key("key").send().await;
    assert_eq!(code(head), "NotFound 404");
}

#[tokio::test]
async fn a_socket_serves_what_the_connector_serves() {
    let endpoint = Endpoint::with_bucket().await;
    endpoint.put("key", b"body").await;
    served(&endpoint, async |wire| {
        let sdk = socket_client(&endpoint.server, &format!("http://{}", wire.address));
        let got = sdk.get_object().bucket("bucket").key("key").send().await.unwrap();
        assert_eq!(got.body.collect().await.unwrap().to_vec(), b"body");
        assert_eq!(code(sdk.head_object().bucket("bucket").key("absent").send().await), "NotFound 404");
        assert_eq!(code(sdk.get_object().bucket("bucket").key("absent").send().await), "NoSuchKey 404");
    })
    .await;
}

#[tokio::test]
async fn the_caller_is_told_over_sts() {
    let endpoint = Endpoint::new();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = endpoint.server.clone();
    tokio::spawn(async move { server.serve(listener, std::future::pending()).await });
    let ask = |keys: Issued| {
        let credentials = Credentials::new(keys.access_key, keys.secret_key, keys.session_token, None, "test");
        let config = aws_sdk_sts::Config::builder()
            .behavior_version(aws_sdk_sts::config::BehaviorVersion::latest())
            .endpoint_url(&url)
            .region(aws_sdk_sts::config::Region::new("us-east-1"))
            .credentials_provider(credentials)
            .build();
        aws_sdk_sts::Client::from_conf(config).get_caller_identity().send()
    };
    let owner = endpoint.server.owner_credentials();
    let identity = ask(owner.clone()).await.unwrap();
    assert_eq!(identity.account(), Some("000000000000"));
    assert_eq!(identity.arn(), Some("arn:aws:iam::000000000000:root"));
    assert!(ask(Issued { secret_key: "wrong".to_owned(), ..owner }).await.is_err());
    let roles = endpoint.folder.path().join("directory/roles");
    std::fs::create_dir_all(&roles).unwrap();
    std::fs::write(roles.join("idle.json"), "{}").unwrap();
    let identity = ask(endpoint.server.credentials_of("idle", DEFAULT_SESSION).unwrap()).await.unwrap();
    assert_eq!(identity.arn(), Some("arn:aws:sts::000000000000:assumed-role/idle/bucketwright"));
    assert!(identity.user_id().unwrap().ends_with(":bucketwright"), "{identity:?}");
}
