//! Conditional requests: refused when they must be, and atomic when many race.
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use crate::server_env::socket_client;
use crate::server_env::{Endpoint, client, code, open};
use crate::server_raw::served;
use aws_sdk_s3::primitives::DateTime;
use bucketwright::hashing::digest;
use bucketwright::model::Algorithm;

fn tag(body: &[u8]) -> String {
    format!("\"{}\"", digest(Algorithm::Md5, body).hex())
}

#[tokio::test]
async fn writes_under_conditions() {
    let endpoint = Endpoint::with_bucket().await;
    let put =
        |key: &str, body: &[u8]| endpoint.client.put_object().bucket("bucket").key(key).body(body.to_vec().into());
    assert_eq!(code(put("key", b"1").if_none_match("*").send().await), "ok");
    assert_eq!(code(put("key", b"2").if_none_match("*").send().await), "PreconditionFailed 412");
    assert_eq!(code(put("key", b"2").if_match(tag(b"else")).send().await), "PreconditionFailed 412");
    assert_eq!(code(put("key", b"2").if_match(tag(b"1")).send().await), "ok");
    assert_eq!(code(put("absent", b"2").if_match(tag(b"1")).send().await), "NoSuchKey 404");
    assert_eq!(endpoint.get("key").await, b"2");
    let delete = || endpoint.client.delete_object().bucket("bucket").key("key");
    assert_eq!(code(delete().if_match(tag(b"1")).send().await), "PreconditionFailed 412");
    assert_eq!(code(delete().if_match(tag(b"2")).send().await), "ok");
    let head = endpoint.client.head_object().bucket("bucket").key("key").send().await;
    assert_eq!(code(head), "NotFound 404");
}

#[tokio::test]
async fn reads_under_conditions() {
    let endpoint = Endpoint::with_bucket().await;
    endpoint.put("key", b"body").await;
    let get = || endpoint.client.get_object().bucket("bucket").key("key");
    let (past, future) = (DateTime::from_secs(1_000_000_000), DateTime::from_secs(4_000_000_000));
    assert_eq!(code(get().if_match(tag(b"body")).send().await), "ok");
    assert_eq!(code(get().if_match(tag(b"else")).send().await), "PreconditionFailed 412");
    assert_eq!(code(get().if_none_match(tag(b"else")).send().await), "ok");
    assert!(code(get().if_none_match(tag(b"body")).send().await).ends_with("304"));
    assert!(code(get().if_modified_since(future).send().await).ends_with("304"));
    assert_eq!(code(get().if_modified_since(past).send().await), "ok");
    assert_eq!(code(get().if_unmodified_since(past).send().await), "PreconditionFailed 412");
    assert_eq!(code(get().if_match(tag(b"body")).if_unmodified_since(past).send().await), "ok", "the tag counts");
}

/// Sixteen writers, small and large bodies, with the same condition: one wins and its body stands.
async fn race(endpoint: &Endpoint, clients: &[aws_sdk_s3::Client], key: &str, large: bool) {
    let writers = (0..16_u8).map(|number| {
        let sdk = clients[usize::from(number) % clients.len()].clone();
        let body = vec![number; if large { 80_000 } else { 100 }];
        let put = sdk.put_object().bucket("bucket").key(key).if_none_match("*").body(body.into());
        tokio::spawn(async move { (number, code(put.send().await)) })
    });
    let mut won = Vec::new();
    for writer in writers.collect::<Vec<_>>() {
        match writer.await.unwrap() {
            (number, result) if result == "ok" => won.push(number),
            (_, result) => assert_eq!(result, "PreconditionFailed 412"),
        }
    }
    assert_eq!(won.len(), 1, "{won:?}");
    assert_eq!(endpoint.get(key).await[0], won[0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_of_sixteen_writers_wins() {
    let endpoint = Endpoint::with_bucket().await;
    for round in 0..5 {
        race(&endpoint, &[endpoint.client.clone()], &format!("small{round}"), false).await;
        race(&endpoint, &[endpoint.client.clone()], &format!("large{round}"), true).await;
    }
    assert_eq!(endpoint.blob_files(), 5, "the losers' bytes are gone");
    served(&endpoint, async |wire| {
        let socket = socket_client(&endpoint.server, &format!("http://{}", wire.address));
        race(&endpoint, &[endpoint.client.clone(), socket], "both", false).await;
    })
    .await;
    // A second server over the same folder stands for a second process.
    let second = open(endpoint.folder.path());
    let other = client(&second, second.secret_key());
    for round in 0..5 {
        race(&endpoint, &[endpoint.client.clone(), other.clone()], &format!("shared{round}"), round % 2 == 0).await;
    }
}
