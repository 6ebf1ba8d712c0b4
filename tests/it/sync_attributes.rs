//! What uploaded objects carry, read back with the SDK from what the binary wrote.

use crate::server_env::{client, open};
use crate::testenv::TestEnv;
use std::fs::File;

const LAYOUT: &str = r#"
version = 1
layout = "attributes"

[[bucket]]
name = "attributes-one"
template = "ml-project"
projects = ["one"]
markers = "none"
waive = { access_log = "scratch" }
"#;

const TARGET: &str = "s3://attributes-one/one/data";
const KEY: &str = "arn:aws:kms:us-east-1:000000000000:key/1234abcd-12ab-34cd-56ef-1234567890ab";

/// A bucket, a small file, and one that goes up in parts.
fn env() -> TestEnv {
    let env = TestEnv::new();
    env.write("layout.toml", LAYOUT);
    env.expect(0, &["apply", "--local", "--yes", "--quiet"]);
    env.write("data/small.csv", "a,b\n");
    File::create(env.path("data/large.bin")).unwrap().set_len(20 * 1024 * 1024).unwrap();
    env
}

fn flags<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&["sync", "data", TARGET, "--local", "--output", "json"], more].concat()
}

#[tokio::test]
async fn objects_carry_what_the_flags_say_whole_and_in_parts() {
    let env = env();
    let more = [
        "--metadata=Origin=sensor 7",
        "--metadata=run=a=b",
        "--tag=team=ml/é",
        "--tag=stage=raw",
        "--cache-control=max-age=60",
        "--storage-class=standard-ia",
        "--sse-kms-key",
        KEY,
    ];
    let ran = env.expect(0, &flags(&more));
    for action in ran.of_type("action") {
        assert_eq!(action["proof"], "checksum echoed", "under SSE-KMS no ETag is a proof");
    }
    let server = open(&env.path(".bucketwright/local"));
    let sdk = client(&server, server.secret_key());
    for (key, content_type) in [("one/data/small.csv", "text/csv"), ("one/data/large.bin", "application/octet-stream")]
    {
        let head = sdk.head_object().bucket("attributes-one").key(key).send().await.unwrap();
        let metadata = head.metadata().unwrap();
        assert_eq!((metadata["origin"].as_str(), metadata["run"].as_str()), ("sensor 7", "a=b"), "{key}");
        assert_eq!(head.content_type(), Some(content_type), "{key}");
        assert_eq!(head.cache_control(), Some("max-age=60"), "{key}");
        assert_eq!(head.storage_class().unwrap().as_str(), "STANDARD_IA", "{key}");
        assert_eq!(head.server_side_encryption().unwrap().as_str(), "aws:kms", "{key}");
        assert_eq!(head.ssekms_key_id(), Some(KEY), "{key}");
        let tags = sdk.get_object_tagging().bucket("attributes-one").key(key).send().await.unwrap();
        let mut tags: Vec<_> = tags.tag_set().iter().map(|tag| (tag.key(), tag.value())).collect();
        tags.sort_unstable();
        assert_eq!(tags, [("stage", "raw"), ("team", "ml/é")], "{key}");
    }
    drop(server);
    // Their ETags are no MD5s, and still both are recognised, with and without what the cache remembers.
    for more in [&[][..], &["--no-cache"]] {
        assert_eq!(env.expect(0, &flags(more)).summary()["unchanged"], 2, "{more:?}");
    }
    env.expect(0, &flags(&["--compare", "always", "--content-type", "text/plain; charset=utf-8", "--sse", "s3"]));
    let server = open(&env.path(".bucketwright/local"));
    let head = client(&server, server.secret_key()).head_object().bucket("attributes-one").key("one/data/large.bin");
    let head = head.send().await.unwrap();
    assert_eq!(head.content_type(), Some("text/plain; charset=utf-8"));
    assert_eq!((head.metadata().unwrap().len(), head.server_side_encryption().unwrap().as_str()), (0, "AES256"));
}

#[tokio::test]
async fn copies_are_given_what_the_flags_say_and_keep_the_rest() {
    let env = env();
    env.expect(0, &flags(&["--metadata=origin=sensor 7", "--metadata=run=1", "--tag=team=ml"]));
    let copy = |code: i32, more: &[&str]| {
        let places = ["sync", TARGET, "s3://attributes-one/one/results/", "--local", "--output", "json"];
        env.expect(code, &[&places[..], more].concat())
    };
    copy(0, &["--metadata=run=2", "--cache-control=no-cache", "--tag=stage=copied", "--sse-kms-key", KEY]);
    let server = open(&env.path(".bucketwright/local"));
    let sdk = client(&server, server.secret_key());
    for (name, content_type) in [("small.csv", "text/csv"), ("large.bin", "application/octet-stream")] {
        let key = format!("one/results/{name}");
        let head = sdk.head_object().bucket("attributes-one").key(&key).send().await.unwrap();
        let metadata = head.metadata().unwrap();
        assert_eq!((metadata["origin"].as_str(), metadata["run"].as_str()), ("sensor 7", "2"), "{key}");
        assert_eq!((head.content_type(), head.cache_control()), (Some(content_type), Some("no-cache")), "{key}");
        assert_eq!(head.ssekms_key_id(), Some(KEY), "{key}");
        let tags = sdk.get_object_tagging().bucket("attributes-one").key(&key).send().await.unwrap();
        let tags: Vec<_> = tags.tag_set().iter().map(|tag| (tag.key(), tag.value())).collect();
        assert_eq!(tags, [("stage", "copied")], "{key}");
    }
    drop(server);
    assert_eq!(copy(0, &["--metadata=run=3"]).summary()["unchanged"], 2, "attributes are no content");
}

#[test]
fn what_no_object_can_carry_is_refused_before_anything_is_sent() {
    let env = env();
    for (more, why) in [
        (&["--metadata", "origin"][..], "KEY=VALUE"),
        (&["--metadata", "a b=c"], "cannot be a name of metadata"),
        (&["--metadata", "a=é"], "printable ASCII"),
        (&["--tag", "aws:x=y"], "AWS reserves"),
        (&["--content-type", "csv"], "it looks like `text/csv`"),
        (&["--storage-class", "COLD"], "there are: STANDARD"),
        (&["--sse-kms-key", "mine"], "alias/NAME"),
        (&["--sse", "s3", "--sse-kms-key", "alias/ml"], "exclude one another"),
        (&["--sse", "kms", "--checksum", "md5"], "an ETag is no MD5"),
    ] {
        let ran = env.expect(2, &[&["sync", "data", TARGET, "--local"], more].concat());
        let said = ran.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(said.contains(why), "{more:?}: {}", ran.stderr);
    }
    let ran = env.expect(2, &["sync", TARGET, "back", "--local", "--tag", "a=b"]);
    assert!(ran.stderr.contains("are given to objects"), "{}", ran.stderr);
}
