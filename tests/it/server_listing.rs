//! Laws of listings, held against a sorted map: complete, in byte order, folded alike on every page size.
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use crate::server_env::{Endpoint, code};
use aws_sdk_s3::Client;
use aws_sdk_s3::types::EncodingType;
use futures_util::future::join_all;
use proptest::collection::{btree_set, vec};
use proptest::prelude::{Just, Strategy, prop_oneof};
use proptest::test_runner::{Config, TestRunner};
use std::collections::BTreeSet;

/// What one listing gave: keys and common prefixes together, in order.
type Names = Vec<String>;

#[derive(Debug, Clone)]
struct Query {
    prefix: String,
    delimiter: Option<&'static str>,
    start_after: String,
    page: i32,
}

/// Pieces that meet each other at slashes, at spaces and at the ends of alphabets.
fn text(pieces: usize) -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => Just("/"), 3 => Just("a"), 2 => Just("b"), 1 => Just("-"), 1 => Just("."), 1 => Just("ü"), 1 => Just(" "),
        1 => Just("%20"), 1 => Just("+"), 1 => Just("\u{10FFFF}"), 1 => Just("0"), 1 => Just("\t"), 1 => Just("&<"),
    ];
    vec(piece, 0..pieces).prop_map(|pieces| pieces.concat())
}

fn query() -> impl Strategy<Value = Query> {
    let delimiter = prop_oneof![Just(None), Just(Some("/")), Just(Some("a")), Just(Some("//"))];
    (text(3), delimiter, text(4), 1..6_i32).prop_map(|(prefix, delimiter, start_after, page)| Query {
        prefix,
        delimiter,
        start_after,
        page,
    })
}

/// The listing as S3 documents it, the slow and plain way.
fn expected(keys: &BTreeSet<String>, query: &Query) -> Names {
    let fold = |key: &str| {
        let rest = key.strip_prefix(query.prefix.as_str())?;
        let delimiter = query.delimiter?;
        rest.find(delimiter).map(|at| key[..query.prefix.len() + at + delimiter.len()].to_owned())
    };
    let start_folds = fold(&query.start_after).is_some_and(|folded| folded == query.start_after);
    let mut names = Names::new();
    for key in keys {
        let passed = start_folds && key.starts_with(&query.start_after);
        if !key.starts_with(&query.prefix) || *key <= query.start_after || passed {
            continue;
        }
        let name = fold(key).unwrap_or_else(|| key.clone());
        if names.last() != Some(&name) {
            names.push(name);
        }
    }
    names
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let hex = |byte: Option<u8>| char::from(byte.unwrap()).to_digit(16).unwrap();
        bytes.push(if byte == b'%' { u8::try_from(hex(rest.next()) * 16 + hex(rest.next())).unwrap() } else { byte });
    }
    String::from_utf8(bytes).unwrap()
}

async fn version_two(sdk: &Client, query: &Query) -> Names {
    let (mut names, mut token) = (Names::new(), None);
    loop {
        let page = sdk.list_objects_v2().bucket("bucket").encoding_type(EncodingType::Url).max_keys(query.page);
        let page = page.prefix(&query.prefix).set_delimiter(query.delimiter.map(str::to_owned));
        let page = page.start_after(&query.start_after).set_continuation_token(token).send().await.unwrap();
        let keys = page.contents().iter().map(|object| object.key().unwrap());
        let mut found: Names =
            keys.chain(page.common_prefixes().iter().map(|one| one.prefix().unwrap())).map(decoded).collect();
        found.sort();
        assert_eq!(page.key_count(), Some(i32::try_from(found.len()).unwrap()));
        assert!(found.len() <= usize::try_from(query.page).unwrap());
        names.append(&mut found);
        token = page.next_continuation_token;
        assert_eq!(page.is_truncated, Some(token.is_some()));
        if token.is_none() {
            return names;
        }
    }
}

async fn version_one(sdk: &Client, query: &Query) -> Names {
    let (mut names, mut marker) = (Names::new(), query.start_after.clone());
    loop {
        let page = sdk.list_objects().bucket("bucket").encoding_type(EncodingType::Url).max_keys(query.page);
        let page = page.prefix(&query.prefix).set_delimiter(query.delimiter.map(str::to_owned)).marker(&marker);
        let page = page.send().await.unwrap();
        let keys = page.contents().iter().map(|object| object.key().unwrap());
        let mut found: Names =
            keys.chain(page.common_prefixes().iter().map(|one| one.prefix().unwrap())).map(decoded).collect();
        found.sort();
        // Without a delimiter no next marker is given: the last key serves.
        let last = page.next_marker().map(decoded).or_else(|| found.last().cloned());
        names.append(&mut found);
        match last {
            Some(last) if page.is_truncated() == Some(true) => marker = last,
            _ => return names,
        }
    }
}

#[test]
fn listings_are_what_a_sorted_map_says() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut runner = TestRunner::new(Config { cases: 24, failure_persistence: None, ..Config::default() });
    let keys = btree_set(text(6).prop_filter("the SDK sends no blank key", |key| !key.trim().is_empty()), 0..25);
    let run = |(keys, queries): (BTreeSet<String>, Vec<Query>)| {
        runtime.block_on(async {
            let endpoint = Endpoint::with_bucket().await;
            // A neighbour on either side that must never show.
            for other in ["buckes", "bucket-2"] {
                endpoint.client.create_bucket().bucket(other).send().await.unwrap();
                endpoint.client.put_object().bucket(other).key("a/b").send().await.unwrap();
            }
            // Side by side, so that they share a few commits.
            join_all(keys.iter().map(|key| endpoint.put(key, b""))).await;
            for query in &queries {
                let wanted = expected(&keys, query);
                assert_eq!(version_two(&endpoint.client, query).await, wanted, "{query:?}");
                assert_eq!(version_one(&endpoint.client, query).await, wanted, "v1 {query:?}");
            }
        });
        Ok(())
    };
    runner.run(&(keys, vec(query(), 1..8)), run).unwrap();
}

#[tokio::test]
async fn odd_keys_come_back_byte_for_byte() {
    let endpoint = Endpoint::with_bucket().await;
    let long = "é".repeat(512);
    let keys = [
        "a",
        "a/",
        "a/b",
        "//",
        "/x",
        "a//b",
        "../x",
        "./x",
        "a/../b",
        "%20",
        "a b",
        "a+b",
        "tab\there",
        "new\nline",
        "ü/ñ/漢字",
        "emoji 🦀",
        "quote\"'",
        "<&>",
        "semi;colon",
        "q?x=1#frag",
        "back\\slash",
        "trailing.",
        "CaSe",
        &long,
    ];
    for key in keys {
        endpoint.put(key, key.as_bytes()).await;
    }
    for key in keys {
        assert_eq!(endpoint.get(key).await, key.as_bytes(), "{key}");
    }
    let listed =
        endpoint.client.list_objects_v2().bucket("bucket").encoding_type(EncodingType::Url).send().await.unwrap();
    let found: Vec<String> = listed.contents().iter().map(|object| decoded(object.key().unwrap())).collect();
    let mut sorted = keys.map(str::to_owned).to_vec();
    sorted.sort();
    assert_eq!(found, sorted);
    let too_long = endpoint.client.put_object().bucket("bucket").key(format!("{long}x")).send().await;
    assert_eq!(code(too_long), "KeyTooLongError 400");
}

#[tokio::test]
async fn a_page_has_at_most_a_thousand_keys() {
    let endpoint = Endpoint::with_bucket().await;
    let keys: Vec<String> = (0..1005).map(|number| format!("{number:05}")).collect();
    join_all(keys.iter().map(|key| endpoint.put(key, b""))).await;
    let page = endpoint.client.list_objects_v2().bucket("bucket").max_keys(5000).send().await.unwrap();
    assert_eq!((page.contents().len(), page.max_keys(), page.is_truncated()), (1000, Some(1000), Some(true)));
    let none = endpoint.client.list_objects_v2().bucket("bucket").max_keys(0).send().await.unwrap();
    assert_eq!((none.contents().len(), none.is_truncated()), (0, Some(false)));
    let owned = endpoint.client.list_objects_v2().bucket("bucket").max_keys(1).fetch_owner(true).send().await.unwrap();
    assert_eq!(owned.contents()[0].owner().unwrap().id().unwrap().len(), 64);
    let wrong = endpoint.client.list_objects_v2().bucket("bucket").continuation_token("!").send().await;
    assert_eq!(code(wrong), "InvalidArgument 400");
    assert_eq!(code(endpoint.client.list_objects_v2().bucket("absent").send().await), "NoSuchBucket 404");
}
