//! Receipts of a sync: whole, sorted, only when everything is in place, and good enough to verify by.

use crate::server_env::{client, open};
use crate::testenv::{Ran, TestEnv};
use serde_json::Value;
use std::fs;

const LAYOUT: &str = r#"
version = 1
layout = "receipt"

[[bucket]]
name = "receipt-one"
template = "ml-project"
projects = ["one"]
markers = "none"
waive = { access_log = "scratch" }
"#;

const TARGET: &str = "s3://receipt-one/one/data";

fn env() -> TestEnv {
    let env = TestEnv::new();
    env.write("layout.toml", LAYOUT);
    env.expect(0, &["apply", "--local", "--yes", "--quiet"]);
    for name in ["c", "a/b", "a-1", "skip.tmp"] {
        env.write(&format!("data/{name}"), name);
    }
    env
}

fn sync(env: &TestEnv, code: i32, more: &[&str]) -> Ran {
    env.expect(
        code,
        &[&["sync", "data", TARGET, "--local", "--output", "json", "--no-cache", "--exclude", "*.tmp"], more].concat(),
    )
}

fn rows(text: &str) -> Vec<(String, String)> {
    let row = |line: &str| {
        let row: Value = serde_json::from_str(line).unwrap();
        assert!(row["etag"].is_string() && row["size"].is_u64(), "{row}");
        (row["key"].as_str().unwrap().to_owned(), row["proof"].as_str().unwrap().to_owned())
    };
    text.lines().map(row).collect()
}

fn expected(proofs: [&str; 3]) -> Vec<(String, String)> {
    let keys = ["one/data/a-1", "one/data/a/b", "one/data/c"];
    keys.into_iter().zip(proofs).map(|(key, proof)| (key.to_owned(), proof.to_owned())).collect()
}

#[test]
fn a_receipt_names_everything_that_is_in_place() {
    let env = env();
    sync(&env, 0, &["--receipt", "out/receipt.jsonl"]);
    let read = || fs::read_to_string(env.path("out/receipt.jsonl")).unwrap();
    assert_eq!(rows(&read()), expected(["checksum echoed"; 3]));
    env.write("data/c", "C");
    sync(&env, 0, &["--receipt", "out/receipt.jsonl"]);
    assert_eq!(rows(&read()), expected(["unchanged by MD5", "unchanged by MD5", "checksum echoed"]));
    let kept = read();
    env.fifo("data/odd");
    let ran = sync(&env, 3, &["--receipt", "out/receipt.jsonl"]);
    let codes: Vec<_> = ran.of_type("finding").iter().map(|one| one["code"].clone()).collect();
    assert_eq!(codes, ["odd-file", "receipt-unwritten"]);
    assert_eq!(read(), kept, "the former one stays");
}

#[tokio::test]
async fn a_receipt_in_s3_is_sent_last_and_verifies() {
    let env = env();
    let to = ["--receipt", "s3://receipt-one/one/receipts/data.jsonl"];
    sync(&env, 0, &to);
    sync(&env, 0, &to);
    env.expect(0, &["sync", "s3://receipt-one/one/receipts/data.jsonl", "back.jsonl", "--local"]);
    assert_eq!(rows(&fs::read_to_string(env.path("back.jsonl")).unwrap()), expected(["unchanged by MD5"; 3]));
    let verify = |code| env.expect(code, &["verify", "--receipt", "back.jsonl", TARGET, "--local", "--output", "json"]);
    assert_eq!(verify(0).of_type("check")[0]["verdict"], "pass");
    let server = open(&env.path(".bucketwright/local"));
    let sdk = client(&server, server.secret_key());
    let put = sdk.put_object().bucket("receipt-one").key("one/data/a-1").body(b"A-1".to_vec().into());
    put.send().await.unwrap();
    sdk.delete_object().bucket("receipt-one").key("one/data/c").send().await.unwrap();
    drop(server);
    let ran = verify(4);
    let mut codes: Vec<_> = ran.of_type("finding").iter().map(|one| one["code"].as_str().unwrap().to_owned()).collect();
    codes.sort();
    assert!(codes == ["data-missing", "data-untold"] || codes == ["data-differs", "data-missing"], "{codes:?}");
    env.expect(2, &["verify", "--receipt", "back.jsonl", "s3://receipt-one/one/other/", "--local"]);
    env.expect(2, &["verify", "--receipt", "back.jsonl", "--local"]);
}

#[test]
fn a_receipt_is_no_part_of_what_it_describes() {
    let env = env();
    for (receipt, why) in [
        ("data/receipt.jsonl", "would lie in what it describes"),
        ("s3://receipt-one/one/data/receipt.jsonl", "would lie in what it describes"),
        ("s3://receipt-one/one/receipts/", "names no object"),
    ] {
        let ran = env.expect(2, &["sync", "data", TARGET, "--local", "--receipt", receipt]);
        let said = ran.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(said.contains(why), "{receipt}: {}", ran.stderr);
    }
    let ran = env.expect(2, &["sync", TARGET, "back", "--local", "--receipt", "receipt.jsonl"]);
    assert!(ran.stderr.contains("puts none in place"), "{}", ran.stderr);
}
