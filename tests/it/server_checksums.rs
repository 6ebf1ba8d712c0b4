//! Wrong checksums of every algorithm, as header and as trailer: refused, and nothing of them stored.

use crate::server_env::{Endpoint, code};
use crate::server_raw::{Framing, Raw, Wire, served};
use aws_sdk_s3::types::{ChecksumAlgorithm, ChecksumMode};
use bucketwright::hashing::digest;
use bucketwright::model::Algorithm;

const BODY: &[u8] = b"the quick brown fox";

const NAMES: [(Algorithm, &str); 5] = [
    (Algorithm::Crc64Nvme, "x-amz-checksum-crc64nvme"),
    (Algorithm::Crc32, "x-amz-checksum-crc32"),
    (Algorithm::Crc32c, "x-amz-checksum-crc32c"),
    (Algorithm::Sha1, "x-amz-checksum-sha1"),
    (Algorithm::Sha256, "x-amz-checksum-sha256"),
];

async fn head(endpoint: &Endpoint, key: &str) -> String {
    code(endpoint.client.head_object().bucket("bucket").key(key).send().await)
}

/// Sends the right claim, then a wrong one under another key, which must leave nothing.
async fn check(
    endpoint: &Endpoint,
    wire: &Wire,
    with: impl Fn(Raw, &str) -> Raw,
    algorithm: Algorithm,
    framing: Framing,
) {
    let right = digest(algorithm, BODY).base64();
    let wrong = digest(algorithm, b"something else").base64();
    let context = format!("{algorithm} {framing:?}");
    assert_eq!(wire.send(&with(Raw::put("/bucket/right", BODY, framing), &right)).await, "200", "{context}");
    assert_eq!(endpoint.get("right").await, BODY);
    let refused = wire.send(&with(Raw::put("/bucket/wrong", BODY, framing), &wrong)).await;
    assert_eq!(refused, "BadDigest 400", "{context}");
    assert_eq!(head(endpoint, "wrong").await, "NotFound 404", "{context}");
    // An object that is there stays as it was.
    let replaced = wire.send(&with(Raw::put("/bucket/right", b"new body", framing), &wrong)).await;
    assert_eq!(replaced, "BadDigest 400", "{context}");
    assert_eq!(endpoint.get("right").await, BODY, "{context}");
}

#[tokio::test]
async fn header_claims_of_every_algorithm() {
    let endpoint = Endpoint::with_bucket().await;
    served(&endpoint, async |wire| {
        for framing in [Framing::Signed, Framing::Unsigned, Framing::Chunks] {
            for (algorithm, name) in NAMES.into_iter().chain([(Algorithm::Md5, "content-md5")]) {
                check(&endpoint, &wire, |raw, value| raw.header(name, value), algorithm, framing).await;
            }
        }
    })
    .await;
}

#[tokio::test]
async fn trailer_claims_of_every_algorithm() {
    let endpoint = Endpoint::with_bucket().await;
    served(&endpoint, async |wire| {
        for framing in [Framing::UnsignedTrailer, Framing::ChunksTrailer] {
            for (algorithm, name) in NAMES {
                check(&endpoint, &wire, |raw, value| raw.trailer(name, value), algorithm, framing).await;
            }
        }
        let mut missing = Raw::put("/bucket/missing", BODY, Framing::UnsignedTrailer);
        missing = missing.header("x-amz-trailer", "x-amz-checksum-crc32");
        assert_eq!(wire.send(&missing).await, "MalformedTrailerError 400");
        assert_eq!(head(&endpoint, "missing").await, "NotFound 404");
    })
    .await;
    let encoding = endpoint.client.head_object().bucket("bucket").key("right").send().await.unwrap();
    assert_eq!(encoding.content_encoding(), None, "aws-chunked is how it travelled");
}

#[tokio::test]
async fn a_checksum_is_kept_and_shown() {
    let endpoint = Endpoint::with_bucket().await;
    let sdk = &endpoint.client;
    for (asked, kept) in [
        (Some(ChecksumAlgorithm::Crc32), Algorithm::Crc32),
        (Some(ChecksumAlgorithm::Crc32C), Algorithm::Crc32c),
        (Some(ChecksumAlgorithm::Crc64Nvme), Algorithm::Crc64Nvme),
        (Some(ChecksumAlgorithm::Sha1), Algorithm::Sha1),
        (Some(ChecksumAlgorithm::Sha256), Algorithm::Sha256),
    ] {
        let put = sdk.put_object().bucket("bucket").key("key").body(BODY.to_vec().into()).set_checksum_algorithm(asked);
        put.send().await.unwrap();
        let head = sdk.head_object().bucket("bucket").key("key").checksum_mode(ChecksumMode::Enabled);
        let head = head.send().await.unwrap();
        let shown = [
            (Algorithm::Crc32, head.checksum_crc32()),
            (Algorithm::Crc32c, head.checksum_crc32_c()),
            (Algorithm::Crc64Nvme, head.checksum_crc64_nvme()),
            (Algorithm::Sha1, head.checksum_sha1()),
            (Algorithm::Sha256, head.checksum_sha256()),
        ];
        for (algorithm, shown) in shown {
            let expected = (algorithm == kept).then(|| digest(algorithm, BODY).base64());
            assert_eq!(shown.map(str::to_owned), expected, "{kept}: {algorithm}");
        }
        let silent = sdk.head_object().bucket("bucket").key("key").send().await.unwrap();
        assert_eq!(silent.checksum_type(), None, "only who asks is told");
    }
}

#[tokio::test]
async fn crc64nvme_is_added_where_nothing_was_claimed() {
    let endpoint = Endpoint::with_bucket().await;
    served(&endpoint, async |wire| {
        assert_eq!(wire.send(&Raw::put("/bucket/key", BODY, Framing::Unsigned)).await, "200");
    })
    .await;
    let head = endpoint.client.head_object().bucket("bucket").key("key").checksum_mode(ChecksumMode::Enabled);
    let head = head.send().await.unwrap();
    assert_eq!(head.checksum_crc64_nvme(), Some(digest(Algorithm::Crc64Nvme, BODY).base64().as_str()));
}

#[tokio::test]
async fn wrong_claims_of_large_bodies_leave_no_file() {
    let endpoint = Endpoint::with_bucket().await;
    let body = vec![7; 300_000];
    let wrong = digest(Algorithm::Sha256, b"something else").base64();
    let put = endpoint.client.put_object().bucket("bucket").key("key").body(body.into()).checksum_sha256(wrong);
    assert_eq!(code(put.send().await), "BadDigest 400");
    assert_eq!(head(&endpoint, "key").await, "NotFound 404");
    assert_eq!(endpoint.blob_files(), 0);
}
