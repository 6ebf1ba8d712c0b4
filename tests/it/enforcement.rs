//! Policies in force: what a role, a user or nobody may do at the endpoint, by the real client, held against the evaluator.

use crate::server_env::{Endpoint, anonymous, client_as, client_with, code, open};
use crate::server_raw::served;
use crate::testenv::TestEnv;
use aws_sdk_s3::Client;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::presigning::PresigningConfig;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart, Delete, ObjectIdentifier};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use bucketwright::policy::operation::{Call, demands};
use bucketwright::policy::{Caller, Document, Policies, Policy, Request, SessionPolicy, Verdict, evaluate};
use bucketwright::server::{DEFAULT_SESSION, Issued, Server};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// The folder policy of a team, as people write it.
const TEAM_A: &str = r#"{"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": "arn:aws:s3:::bucket",
     "Condition": {"StringLike": {"s3:prefix": "team-a/*"}}},
    {"Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"],
     "Resource": "arn:aws:s3:::bucket/team-a/*"}]}"#;
const EVERYTHING: &str =
    r#"{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}}"#;
const READER: &str = r#"{"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Action": ["s3:ListBucket", "s3:GetObject*"], "Resource": ["arn:aws:s3:::bucket", "arn:aws:s3:::bucket/*"]},
    {"Effect": "Deny", "Action": "s3:*", "Resource": "arn:aws:s3:::bucket/team-b/*"},
    {"Effect": "Allow", "Action": "s3:PutObject", "Resource": "*",
     "Condition": {"StringEquals": {"s3:x-amz-storage-class": "STANDARD_IA"}}}]}"#;
const ROLE: &str = "arn:aws:sts::000000000000:assumed-role/trainer/bucketwright";

fn write(folder: &Path, name: &str, text: &str) {
    let path = folder.join("directory").join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

/// An endpoint with two buckets, an object in every place, and a role `trainer` with one policy.
async fn endpoint(policy: &str) -> Endpoint {
    let endpoint = Endpoint::with_bucket().await;
    endpoint.client.create_bucket().bucket("other").send().await.unwrap();
    for (bucket, folder) in PLACES {
        let key = format!("{folder}kept");
        endpoint.client.put_object().bucket(bucket).key(key).body(b"body".to_vec().into()).send().await.unwrap();
    }
    write(endpoint.folder.path(), "policies/access.json", policy);
    write(endpoint.folder.path(), "roles/trainer.json", r#"{"policies": ["access"]}"#);
    endpoint
}

fn role(server: &Server) -> Client {
    client_as(server, &server.credentials_of("trainer", DEFAULT_SESSION).unwrap())
}

/// Credentials of `trainer` under a session policy.
fn limited(server: &Server, policy: &str) -> Issued {
    let policy = SessionPolicy::parse("session.json", policy.as_bytes()).unwrap();
    server.credentials_under("trainer", &policy, DEFAULT_SESSION).unwrap()
}

const PLACES: [(&str, &str); 5] =
    [("bucket", "team-a/"), ("bucket", "team-b/"), ("bucket", "team-ab/"), ("bucket", ""), ("other", "team-a/")];
const OPERATIONS: [&str; 17] = [
    "ListBuckets",
    "HeadBucket",
    "GetBucketLocation",
    "GetBucketVersioning",
    "ListObjects",
    "ListObjectsV2",
    "ListObjectVersions",
    "ListMultipartUploads",
    "GetObject",
    "HeadObject",
    "GetObjectTagging",
    "GetObjectAttributes",
    "PutObject",
    "CreateMultipartUpload",
    "CopyObject",
    "DeleteObject",
    "PutObjectTagging",
];

/// Ok as true, 403 as false; everything else is a mistake of the test.
fn verdict<T, E: ProvideErrorMetadata + std::fmt::Debug>(result: Result<T, SdkError<E, HttpResponse>>) -> bool {
    match result {
        Ok(_) => true,
        Err(SdkError::ServiceError(error)) if error.raw().status().as_u16() == 403 => false,
        Err(other) => panic!("neither allowed nor denied: {other:?}"),
    }
}

async fn observed(client: &Client, operation: &str, bucket: &str, folder: &str) -> bool {
    let (kept, new) = (format!("{folder}kept"), format!("{folder}new"));
    let tag = aws_sdk_s3::types::Tag::builder().key("a").value("b").build().unwrap();
    let tags = aws_sdk_s3::types::Tagging::builder().tag_set(tag).build().unwrap();
    match operation {
        "ListBuckets" => verdict(client.list_buckets().send().await),
        "HeadBucket" => verdict(client.head_bucket().bucket(bucket).send().await),
        "GetBucketLocation" => verdict(client.get_bucket_location().bucket(bucket).send().await),
        "GetBucketVersioning" => verdict(client.get_bucket_versioning().bucket(bucket).send().await),
        "ListObjects" => verdict(client.list_objects().bucket(bucket).prefix(folder).send().await),
        "ListObjectsV2" => verdict(client.list_objects_v2().bucket(bucket).prefix(folder).send().await),
        "ListObjectVersions" => verdict(client.list_object_versions().bucket(bucket).prefix(folder).send().await),
        "ListMultipartUploads" => verdict(client.list_multipart_uploads().bucket(bucket).send().await),
        "GetObject" => verdict(client.get_object().bucket(bucket).key(kept).send().await),
        "HeadObject" => verdict(client.head_object().bucket(bucket).key(kept).send().await),
        "GetObjectTagging" => verdict(client.get_object_tagging().bucket(bucket).key(kept).send().await),
        "GetObjectAttributes" => {
            let size = aws_sdk_s3::types::ObjectAttributes::ObjectSize;
            verdict(client.get_object_attributes().bucket(bucket).key(kept).object_attributes(size).send().await)
        }
        "PutObject" => verdict(client.put_object().bucket(bucket).key(new).send().await),
        "CreateMultipartUpload" => verdict(client.create_multipart_upload().bucket(bucket).key(new).send().await),
        "CopyObject" => {
            verdict(client.copy_object().bucket(bucket).key(new).copy_source("bucket/team-a/kept").send().await)
        }
        "DeleteObject" => verdict(client.delete_object().bucket(bucket).key(new).send().await),
        "PutObjectTagging" => verdict(client.put_object_tagging().bucket(bucket).key(kept).tagging(tags).send().await),
        other => panic!("{other}"),
    }
}

fn evaluated(document: &str, session: Option<&str>, operation: &str, bucket: &str, folder: &str) -> bool {
    let policy = |text| Arc::new(Policy { name: "access".to_owned(), document: Document::parse(text).unwrap() });
    let session = session.map(|text| vec![policy(text)]);
    let policies = Policies { identity: vec![policy(document)], session, ..Policies::default() };
    let caller = Caller::role_session(ROLE, "arn:aws:iam::000000000000:role/trainer").unwrap();
    let key =
        format!("{folder}{}", if operation.contains("Put") || operation.contains("Del") { "new" } else { "kept" });
    let query = [("prefix".to_owned(), folder.to_owned())];
    let headers = [("x-amz-copy-source".to_owned(), "bucket/team-a/kept".to_owned())];
    let call = Call {
        operation,
        bucket,
        key: &key,
        query: if operation == "HeadBucket" { &[] } else { &query },
        headers: if operation == "CopyObject" { &headers } else { &[] },
        ..Call::default()
    };
    demands(&call).unwrap().iter().all(|demand| {
        let request = Request::new(caller.clone(), demand.action, &demand.resource).unwrap();
        evaluate(&policies, &request.with_context(demand.context.clone())).verdict == Verdict::Allow
    })
}

#[tokio::test]
async fn the_matrix_observed_is_the_matrix_evaluated() {
    for policy in [TEAM_A, READER, EVERYTHING] {
        let endpoint = endpoint(policy).await;
        let client = role(&endpoint.server);
        let mut allowed = 0;
        for operation in OPERATIONS {
            for (bucket, folder) in PLACES {
                let expected = evaluated(policy, None, operation, bucket, folder);
                let found = observed(&client, operation, bucket, folder).await;
                assert_eq!(found, expected, "{operation} in {bucket}/{folder} under {policy}");
                allowed += usize::from(found);
            }
        }
        let all = OPERATIONS.len() * PLACES.len();
        assert!(allowed > 0 && (allowed < all || policy == EVERYTHING), "{allowed} of {all}");
    }
}

#[tokio::test]
async fn the_matrix_under_a_session_policy_is_the_matrix_evaluated() {
    for (policy, session) in [(EVERYTHING, TEAM_A), (READER, TEAM_A), (TEAM_A, READER), (TEAM_A, EVERYTHING)] {
        let endpoint = endpoint(policy).await;
        let client = client_as(&endpoint.server, &limited(&endpoint.server, session));
        let (mut allowed, mut limited) = (0, 0);
        for operation in OPERATIONS {
            for (bucket, folder) in PLACES {
                let expected = evaluated(policy, Some(session), operation, bucket, folder);
                let found = observed(&client, operation, bucket, folder).await;
                assert_eq!(found, expected, "{operation} in {bucket}/{folder} under {policy} and {session}");
                allowed += usize::from(found);
                limited += usize::from(!found && evaluated(policy, None, operation, bucket, folder));
            }
        }
        assert!(allowed > 0 && (limited > 0 || session == EVERYTHING), "{allowed} allowed, {limited} limited");
    }
}

fn message<T: std::fmt::Debug, E: ProvideErrorMetadata + std::fmt::Debug>(
    result: Result<T, SdkError<E, HttpResponse>>,
) -> String {
    let error = result.unwrap_err();
    assert_eq!(error.code(), Some("AccessDenied"), "{error:?}");
    error.message().unwrap().to_owned()
}

fn denial(action: &str, resource: &str) -> String {
    let resource = if resource.is_empty() { String::new() } else { format!(" on resource: \"{resource}\"") };
    format!(
        "User: {ROLE} is not authorized to perform: {action}{resource} because no identity-based policy allows the \
         {action} action"
    )
}

#[tokio::test]
async fn a_refusal_names_action_and_resource() {
    let endpoint = endpoint(TEAM_A).await;
    let client = role(&endpoint.server);
    let put = client.put_object().bucket("bucket").key("team-b/x").send().await;
    assert_eq!(message(put), denial("s3:PutObject", "arn:aws:s3:::bucket/team-b/x"));
    let list = client.list_objects_v2().bucket("bucket").send().await;
    assert_eq!(message(list), denial("s3:ListBucket", "arn:aws:s3:::bucket"));
    let get = client.get_object().bucket("other").key("team-a/kept").send().await;
    assert_eq!(message(get), denial("s3:GetObject", "arn:aws:s3:::other/team-a/kept"));
    let head = client.head_bucket().bucket("bucket").send().await.unwrap_err();
    let raw = head.raw_response().unwrap();
    assert_eq!((raw.status().as_u16(), raw.headers().get("x-amz-bucket-region")), (403, Some("us-east-1")));
    assert_eq!(message(client.list_buckets().send().await), denial("s3:ListAllMyBuckets", ""));
    let create = client.create_bucket().bucket("mine").send().await;
    assert_eq!(message(create), denial("s3:CreateBucket", "arn:aws:s3:::mine"));
    let encryption = client.get_bucket_encryption().bucket("bucket").send().await;
    assert_eq!(message(encryption), denial("s3:GetEncryptionConfiguration", "arn:aws:s3:::bucket"));
    assert_eq!(code(client.get_bucket_cors().bucket("bucket").send().await), "AccessDenied 403");
    assert_eq!(code(client.get_object().bucket("absent").key("x").send().await), "NoSuchBucket 404");
    // A role may have no policy at all.
    write(endpoint.folder.path(), "roles/trainer.json", "{}");
    let get = client.get_object().bucket("bucket").key("team-a/kept").send().await;
    assert_eq!(message(get), denial("s3:GetObject", "arn:aws:s3:::bucket/team-a/kept"));
}

#[tokio::test]
async fn only_who_may_list_learns_that_an_object_is_missing() {
    let endpoint = endpoint(TEAM_A).await;
    let client = role(&endpoint.server);
    let get = client.get_object().bucket("bucket").key("team-a/missing").send().await;
    assert_eq!(message(get), denial("s3:ListBucket", "arn:aws:s3:::bucket"));
    let copy = client.copy_object().bucket("bucket").key("team-a/x").copy_source("bucket/team-a/missing").send().await;
    assert_eq!(message(copy), denial("s3:ListBucket", "arn:aws:s3:::bucket"));
    let head = client.head_object().bucket("bucket").key("team-a/missing").send().await.unwrap_err();
    assert_eq!(head.raw_response().unwrap().status().as_u16(), 403);
    write(endpoint.folder.path(), "policies/access.json", READER);
    let get = client.get_object().bucket("bucket").key("team-a/missing").send().await;
    assert_eq!(code(get), "NoSuchKey 404");
}

#[tokio::test]
async fn copies_and_deletions_are_judged_object_by_object() {
    let endpoint = endpoint(TEAM_A).await;
    let client = role(&endpoint.server);
    let copy = client.copy_object().bucket("bucket").key("team-a/x").copy_source("bucket/team-b/kept").send().await;
    assert_eq!(message(copy), denial("s3:GetObject", "arn:aws:s3:::bucket/team-b/kept"));
    let object = |key: &str| ObjectIdentifier::builder().key(key).build().unwrap();
    let all = Delete::builder().objects(object("team-a/kept")).objects(object("team-b/kept")).build().unwrap();
    let done = client.delete_objects().bucket("bucket").delete(all).send().await.unwrap();
    assert_eq!(done.deleted()[0].key(), Some("team-a/kept"));
    let refused = &done.errors()[0];
    assert_eq!((refused.key(), refused.code()), (Some("team-b/kept"), Some("AccessDenied")));
    assert_eq!(refused.message(), Some(&*denial("s3:DeleteObject", "arn:aws:s3:::bucket/team-b/kept")));
    assert_eq!(endpoint.get("team-b/kept").await, b"body");
    let gone = endpoint.client.get_object().bucket("bucket").key("team-a/kept").send().await;
    assert_eq!(code(gone), "NoSuchKey 404");
}

#[tokio::test]
async fn parts_are_judged_by_what_began_their_upload() {
    let endpoint = endpoint(READER).await;
    let client = role(&endpoint.server);
    let class = aws_sdk_s3::types::StorageClass::StandardIa;
    let begin = client.create_multipart_upload().bucket("bucket").key("new");
    assert_eq!(code(begin.clone().send().await), "AccessDenied 403");
    let upload = begin.storage_class(class).send().await.unwrap();
    let id = upload.upload_id().unwrap();
    let part = client.upload_part().bucket("bucket").key("new").upload_id(id).part_number(1);
    let part = part.body(b"part".to_vec().into()).send().await.unwrap();
    let part = CompletedPart::builder().part_number(1).e_tag(part.e_tag().unwrap()).build();
    let parts = CompletedMultipartUpload::builder().parts(part).build();
    let listing = client.list_parts().bucket("bucket").key("new").upload_id(id).send().await;
    assert_eq!(message(listing), denial("s3:ListMultipartUploadParts", "arn:aws:s3:::bucket/new"));
    let abort = client.abort_multipart_upload().bucket("bucket").key("new").upload_id(id).send().await;
    assert_eq!(code(abort), "AccessDenied 403");
    client
        .complete_multipart_upload()
        .bucket("bucket")
        .key("new")
        .upload_id(id)
        .multipart_upload(parts)
        .send()
        .await
        .unwrap();
    assert_eq!(endpoint.get("new").await, b"part");
}

#[tokio::test]
async fn a_deny_of_the_bucket_binds_everybody_but_the_owner_keeps_its_policy() {
    let endpoint = endpoint(EVERYTHING).await;
    let deny = r#"{"Statement": {"Effect": "Deny", "Principal": "*", "Action": "s3:*",
        "Resource": ["arn:aws:s3:::bucket", "arn:aws:s3:::bucket/team-b/*"]}}"#;
    endpoint.client.put_bucket_policy().bucket("bucket").policy(deny).send().await.unwrap();
    let client = role(&endpoint.server);
    for (client, user) in [(&client, ROLE), (&endpoint.client, "arn:aws:iam::000000000000:root")] {
        let get = client.get_object().bucket("bucket").key("team-b/kept").send().await;
        let expected = format!(
            "User: {user} is not authorized to perform: s3:GetObject on resource: \"arn:aws:s3:::bucket/team-b/kept\" with \
             an explicit deny in a resource-based policy"
        );
        assert_eq!(message(get), expected);
        assert_eq!(code(client.get_object().bucket("bucket").key("team-a/kept").send().await), "ok");
        assert_eq!(code(client.list_objects_v2().bucket("bucket").send().await), "AccessDenied 403");
        assert_eq!(code(client.list_objects_v2().bucket("other").send().await), "ok");
    }
    assert_eq!(code(client.delete_bucket_policy().bucket("bucket").send().await), "AccessDenied 403");
    assert_eq!(code(endpoint.client.get_bucket_policy().bucket("bucket").send().await), "ok");
    assert_eq!(code(endpoint.client.delete_bucket_policy().bucket("bucket").send().await), "ok");
    assert_eq!(code(client.get_object().bucket("bucket").key("team-b/kept").send().await), "ok");
}

#[tokio::test]
async fn a_boundary_limits_and_a_bucket_policy_that_names_the_session_does_not_need_it() {
    let endpoint = endpoint(EVERYTHING).await;
    write(endpoint.folder.path(), "policies/limit.json", READER);
    write(endpoint.folder.path(), "roles/trainer.json", r#"{"policies": ["access"], "boundary": "limit"}"#);
    let client = role(&endpoint.server);
    assert_eq!(code(client.get_object().bucket("bucket").key("team-a/kept").send().await), "ok");
    let put = client.put_object().bucket("bucket").key("x").send().await;
    assert_eq!(
        message(put),
        denial("s3:PutObject", "arn:aws:s3:::bucket/x").replace("identity-based policy", "permissions boundary")
    );
    let named = format!(
        r#"{{"Statement": {{"Effect": "Allow", "Principal": {{"AWS": "{ROLE}"}}, "Action": "s3:PutObject",
        "Resource": "arn:aws:s3:::bucket/*"}}}}"#
    );
    endpoint.client.put_bucket_policy().bucket("bucket").policy(named).send().await.unwrap();
    assert_eq!(code(client.put_object().bucket("bucket").key("x").send().await), "ok");
}

/// A session policy for reading, with a Deny of its own.
const SESSION: &str = r#"{"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::bucket/*"},
    {"Effect": "Deny", "Action": "s3:*", "Resource": "arn:aws:s3:::bucket/team-b/*"}]}"#;

#[tokio::test]
async fn a_session_policy_limits_what_names_the_role_and_denies_to_all() {
    let endpoint = endpoint(EVERYTHING).await;
    let client = client_as(&endpoint.server, &limited(&endpoint.server, SESSION));
    let put = || client.put_object().bucket("bucket").key("x").send();
    let silent = denial("s3:PutObject", "arn:aws:s3:::bucket/x").replace("identity-based policy", "session policy");
    assert_eq!(message(put().await), silent);
    let denied = format!(
        "User: {ROLE} is not authorized to perform: s3:GetObject on resource: \"arn:aws:s3:::bucket/team-b/kept\" with \
         an explicit deny in a session policy"
    );
    endpoint.client.delete_public_access_block().bucket("bucket").send().await.unwrap();
    for (principal, bypasses) in [
        (r#"{"AWS": "arn:aws:iam::000000000000:role/trainer"}"#.to_owned(), false),
        (r#"{"AWS": "000000000000"}"#.to_owned(), false),
        (format!(r#"{{"AWS": "{ROLE}"}}"#), true),
        (r#""*""#.to_owned(), true),
    ] {
        let policy = format!(
            r#"{{"Statement": {{"Effect": "Allow", "Principal": {principal}, "Action": ["s3:GetObject", "s3:PutObject"],
            "Resource": "arn:aws:s3:::bucket/*"}}}}"#
        );
        endpoint.client.put_bucket_policy().bucket("bucket").policy(policy).send().await.unwrap();
        if bypasses {
            assert_eq!(code(put().await), "ok", "{principal}");
        } else {
            assert_eq!(message(put().await), silent, "{principal}");
        }
        assert_eq!(code(client.get_object().bucket("bucket").key("team-a/kept").send().await), "ok", "{principal}");
        let get = client.get_object().bucket("bucket").key("team-b/kept").send().await;
        assert_eq!(message(get), denied, "{principal}");
    }
    // It grants nothing: what the role itself may not do stays closed.
    endpoint.client.delete_bucket_policy().bucket("bucket").send().await.unwrap();
    write(endpoint.folder.path(), "roles/trainer.json", "{}");
    let get = client.get_object().bucket("bucket").key("team-a/kept").send().await;
    assert_eq!(message(get), denial("s3:GetObject", "arn:aws:s3:::bucket/team-a/kept"));
}

#[tokio::test]
async fn a_session_policy_stays_with_its_token() {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let Endpoint { folder, server, client } = endpoint(EVERYTHING).await;
    // As long as it may be.
    let room = 2048 - SESSION.replace([' ', '\n'], "").len();
    let longest = SESSION.replace("bucket/team-b/*", &format!("bucket/team-b/*{}", "*".repeat(room)));
    let issued = limited(&server, &longest);
    let wider = server.credentials_of("trainer", DEFAULT_SESSION).unwrap();
    drop((client, server));
    let server = open(folder.path());
    let ask = async |token: Option<String>, key: &str| {
        let client = client_as(&server, &Issued { session_token: token, ..issued.clone() });
        code(client.get_object().bucket("bucket").key(key).send().await)
    };
    let token = issued.session_token.clone().unwrap();
    assert_eq!(ask(Some(token.clone()), "team-a/kept").await, "ok");
    assert_eq!(ask(Some(token.clone()), "kept").await, "ok");
    assert_eq!(ask(Some(token.clone()), "team-b/kept").await, "AccessDenied 403");
    let (payload, mac) = token.split_once('.').unwrap();
    let said = String::from_utf8(URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap();
    let dropped = format!("{}}}", said.split_once(",\"policy\"").unwrap().0);
    for wrong in [said.replace("Deny", "Allow"), said.replace("\"policy\"", "\"nothing\""), dropped] {
        assert_ne!(wrong, said);
        let made_up = format!("{}.{mac}", URL_SAFE_NO_PAD.encode(&wrong));
        assert_eq!(ask(Some(made_up), "team-a/kept").await, "InvalidToken 400", "{wrong}");
    }
    assert_eq!(ask(wider.session_token, "team-a/kept").await, "InvalidToken 400", "the token of wider keys");
    assert_eq!(ask(None, "team-a/kept").await, "InvalidAccessKeyId 403");
}

#[tokio::test]
async fn tokens_end_and_cannot_be_made_up() {
    let endpoint = endpoint(EVERYTHING).await;
    let server = &endpoint.server;
    let right = server.credentials_of("trainer", DEFAULT_SESSION).unwrap();
    let ask = async |issued| code(client_as(server, &issued).list_buckets().send().await);
    assert_eq!(ask(right.clone()).await, "ok");
    assert_eq!(ask(server.credentials_of("trainer", Duration::ZERO).unwrap()).await, "ExpiredToken 400");
    let with = |token: Option<String>| bucketwright::server::Issued { session_token: token, ..right.clone() };
    assert_eq!(ask(with(None)).await, "InvalidAccessKeyId 403");
    let token = right.session_token.clone().unwrap();
    let (payload, mac) = token.split_once('.').unwrap();
    let other = server.credentials_of("trainer", DEFAULT_SESSION).unwrap();
    for wrong in ["made-up", &format!("{payload}x.{mac}"), &format!("{payload}.{}", &mac[1..])] {
        assert_eq!(ask(with(Some(wrong.to_owned()))).await, "InvalidToken 400", "{wrong}");
    }
    assert_eq!(ask(with(other.session_token)).await, "InvalidToken 400", "the token of other keys");
    let owner = bucketwright::server::Issued { session_token: Some(token), ..server.owner_credentials() };
    assert_eq!(ask(owner).await, "InvalidToken 400");
    std::fs::remove_file(endpoint.folder.path().join("directory/roles/trainer.json")).unwrap();
    assert_eq!(ask(right).await, "InvalidToken 400");
}

#[tokio::test]
async fn users_have_keys_and_rights_of_their_own() {
    let endpoint = endpoint(TEAM_A).await;
    write(endpoint.folder.path(), "users/alice.json", &format!(r#"{{"inline": {{"own": {TEAM_A}}}}}"#));
    write(endpoint.folder.path(), "users/bob.json", "{}");
    let issued = endpoint.server.credentials_of("user/alice", DEFAULT_SESSION).unwrap();
    assert_eq!((issued.session_token.is_none(), issued.expires_at), (true, None));
    let alice = client_as(&endpoint.server, &issued);
    assert_eq!(code(alice.get_object().bucket("bucket").key("team-a/kept").send().await), "ok");
    let get = message(alice.get_object().bucket("bucket").key("team-b/kept").send().await);
    assert!(get.starts_with("User: arn:aws:iam::000000000000:user/alice is not authorized"), "{get}");
    let bob = client_as(&endpoint.server, &endpoint.server.credentials_of("user/bob", DEFAULT_SESSION).unwrap());
    let get = message(bob.get_object().bucket("bucket").key("team-a/kept").send().await);
    assert!(get.ends_with("because no identity-based policy allows the s3:GetObject action"), "{get}");
    std::fs::remove_file(endpoint.folder.path().join("directory/users/alice.json")).unwrap();
    assert_eq!(code(alice.list_buckets().send().await), "InvalidAccessKeyId 403");
}

#[tokio::test]
async fn nobody_comes_in_but_through_a_public_policy_that_is_not_blocked() {
    let endpoint = endpoint(TEAM_A).await;
    let public = r#"{"Statement": {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject",
        "Resource": "arn:aws:s3:::bucket/team-a/*"}}"#;
    let put = || endpoint.client.put_bucket_policy().bucket("bucket").policy(public).send();
    let refused = message(put().await);
    assert!(refused.contains("blocked by the BlockPublicPolicy block public access setting"), "{refused}");
    let nobody = anonymous(&endpoint.server);
    let get = |key| nobody.get_object().bucket("bucket").key(key).send();
    assert_eq!(message(get("team-a/kept").await), "Access Denied");
    endpoint.client.delete_public_access_block().bucket("bucket").send().await.unwrap();
    assert_eq!(message(get("team-a/kept").await), "Access Denied");
    put().await.unwrap();
    assert_eq!(code(get("team-a/kept").await), "ok");
    assert_eq!(message(get("team-b/kept").await), "Access Denied");
    assert_eq!(message(get("team-a/missing").await), "Access Denied");
    assert_eq!(code(nobody.put_object().bucket("bucket").key("team-a/x").send().await), "AccessDenied 403");
    assert_eq!(code(nobody.list_buckets().send().await), "AccessDenied 403");
    let one =
        Delete::builder().objects(ObjectIdentifier::builder().key("team-a/kept").build().unwrap()).build().unwrap();
    let deleted = nobody.delete_objects().bucket("bucket").delete(one).send().await.unwrap();
    assert_eq!(deleted.errors()[0].code(), Some("AccessDenied"));
    let restrict = aws_sdk_s3::types::PublicAccessBlockConfiguration::builder().restrict_public_buckets(true).build();
    let block = endpoint.client.put_public_access_block().bucket("bucket").public_access_block_configuration(restrict);
    block.send().await.unwrap();
    assert_eq!(message(get("team-a/kept").await), "Access Denied");
}

#[tokio::test]
async fn an_edited_policy_counts_from_the_next_request_on() {
    let endpoint = endpoint(TEAM_A).await;
    let client = role(&endpoint.server);
    let get = || client.get_object().bucket("bucket").key("team-b/kept").send();
    assert_eq!(code(get().await), "AccessDenied 403");
    write(endpoint.folder.path(), "policies/access.json", &TEAM_A.replace("team-a", "team-b"));
    assert_eq!(code(get().await), "ok");
    write(endpoint.folder.path(), "policies/access.json", "{");
    assert!(message(get().await).contains("policies/access.json"));
}

#[tokio::test]
async fn a_presigned_url_and_the_socket_are_judged_the_same() {
    let endpoint = endpoint(TEAM_A).await;
    let plain = endpoint.server.credentials_of("trainer", DEFAULT_SESSION).unwrap();
    // A token with a session policy of some 2,000 characters goes through URLs and headers as well.
    let long = TEAM_A.replace("team-a/*\"}]}", &format!("team-a/{}\"}}]}}", "*".repeat(1700)));
    assert_ne!(long, TEAM_A);
    for issued in [plain, limited(&endpoint.server, &long)] {
        judged_alike(&endpoint, &issued).await;
    }
}

async fn judged_alike(endpoint: &Endpoint, issued: &Issued) {
    served(endpoint, async |wire| {
        let url = format!("http://{}", wire.address);
        let signer = client_as(&endpoint.server, issued);
        let ask = async |key: &str| {
            let expiry = PresigningConfig::expires_in(Duration::from_secs(60)).unwrap();
            let presigned = signer.get_object().bucket("bucket").key(key).presigned(expiry).await.unwrap();
            let path = presigned.uri().split_once("localhost").unwrap().1.to_owned();
            wire.bytes(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").as_bytes()).await
        };
        assert!(ask("team-a/kept").await.starts_with("HTTP/1.1 200"));
        assert!(ask("team-b/kept").await.contains("is not authorized to perform: s3:GetObject"));
        let keys = (issued.access_key.as_str(), issued.secret_key.as_str());
        assert_eq!(code(client_with(&url, keys.0, keys.1).list_buckets().send().await), "InvalidAccessKeyId 403");
        let twice = "/bucket?list-type=2&prefix=team-a/&prefix=";
        let line = format!("GET {twice} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        assert!(wire.bytes(line.as_bytes()).await.contains("<Code>InvalidArgument</Code>"));
    })
    .await;
}

#[test]
fn verbs_run_as_a_role_of_the_folder() {
    let env = TestEnv::new();
    env.write("data/directory/policies/read.json", READER);
    env.write("data/directory/roles/reader.json", r#"{"policies": ["read"]}"#);
    env.write("layout.toml", "version = 1\nlayout = \"l\"\n[[bucket]]\nname = \"some-bucket\"\n");
    let ran = env.expect(2, &["plan", "--local=data", "--as", "writer", "--output", "json"]);
    let error = &ran.of_type("error")[0];
    assert_eq!(error["kind"], "directory");
    let message = error["message"].as_str().unwrap();
    assert!(message.contains("no role `writer` in `data/directory`; its roles are: reader"), "{message}");
    let ran = env.expect(2, &["plan", "--as", "reader", "--output", "json"]);
    assert!(ran.of_type("error")[0]["message"].as_str().unwrap().contains("add `--local`"));
    let ran = env.run(&["apply", "--yes", "--local=data", "--as", "reader", "--output", "json"]);
    assert_eq!(ran.of_type("identity")[0]["arn"], "arn:aws:sts::000000000000:assumed-role/reader/bucketwright");
    assert_eq!(ran.code, 1, "{}", ran.stdout);
    assert!(ran.stdout.contains("s3:CreateBucket"), "{}", ran.stdout);
    env.expect(0, &["apply", "--yes", "--local=data", "--output", "json"]);
}

#[test]
fn verbs_run_under_a_session_policy() {
    let env = TestEnv::new();
    env.write("data/directory/roles/owner.json", format!(r#"{{"inline": {{"all": {EVERYTHING}}}}}"#));
    env.write("data/directory/users/alice.json", "{}");
    env.write("layout.toml", "version = 1\nlayout = \"l\"\n[[bucket]]\nname = \"some-bucket\"\n");
    env.write("read.json", SESSION);
    env.write("bad.json", SESSION.replace("Deny", "deny"));
    env.write("long.json", SESSION.replace("bucket/team-b/*", &"b".repeat(2048)));
    env.write("huge.json", " ".repeat(8 << 20));
    let as_owner = ["--local=data", "--as", "owner"];
    for (verb, flags, kind, words) in [
        ("plan", &["--local=data"][..], "usage", "name the role with `--as`"),
        ("serve", &["--local=data"], "usage", "name the role with `--as`"),
        ("plan", &["--as", "arn:aws:iam::000000000000:role/owner"], "usage", "add `--local`"),
        ("plan", &["--local=data", "--as", "user/alice"], "usage", "`user/alice` has permanent keys"),
    ] {
        let ran = env.expect(2, &[&[verb, "--session-policy", "read.json", "--output", "json"], flags].concat());
        let error = &ran.of_type("error")[0];
        let message = error["message"].as_str().unwrap();
        assert!(error["kind"] == kind && message.contains(words), "{verb} {flags:?}: {error}");
    }
    for (file, kind, words) in [
        ("absent.json", "file", "cannot read `absent.json`"),
        ("huge.json", "file", "cannot read `huge.json`"),
        ("bad.json", "session-policy", "`bad.json` cannot be a session policy: at `/Statement/1/Effect`"),
        ("long.json", "session-policy", "a session policy has at most 2048 characters"),
    ] {
        for verb in ["plan", "serve"] {
            let words_typed = [&[verb, "--session-policy", file, "--output", "json"][..], &as_owner].concat();
            let ran = env.expect(2, &words_typed);
            let error = &ran.of_type("error")[0];
            let message = error["message"].as_str().unwrap();
            assert!(error["kind"] == kind && message.contains(words), "{verb} {file}: {error}");
        }
    }
    let apply = [&["apply", "--yes", "--output", "json"][..], &as_owner].concat();
    let ran = env.run(&[&apply[..], &["--session-policy", "read.json"]].concat());
    assert_eq!(ran.code, 1, "{}", ran.stdout);
    assert!(ran.stdout.contains("because no session policy allows the s3:"), "{}", ran.stdout);
    env.expect(0, &apply);
}
