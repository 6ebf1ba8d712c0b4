//! What somebody made by hand: refused untouched, or taken over with everything foreign kept.

use crate::testenv::TestEnv;
use aws_sdk_s3::Client;
use aws_sdk_s3::types::{
    BucketLifecycleConfiguration, ExpirationStatus, LifecycleExpiration, LifecycleRule, LifecycleRuleFilter, Tag,
    Tagging,
};
use bucketwright::aws;
use bucketwright::model::{AccountId, Region};
use bucketwright::server::{Server, ServerOptions};

const LAYOUT: &str = "\
version = 1
layout = \"mine\"
[[bucket]]
name = \"made-by-hand\"
template = \"ml-project\"
projects = [\"p\"]
";

/// A bucket with data, a tag, a lifecycle rule and a policy, as people make them.
async fn by_hand(env: &TestEnv) -> Client {
    let options = ServerOptions { account: AccountId::local(), region: Region::us_east_1() };
    let server = Server::open(&env.path("data"), options).unwrap();
    let (key, secret) = (server.access_key().to_owned(), server.secret_key().to_owned());
    let keys = aws::Keys { access_key: &key, secret_key: &secret, session_token: None };
    let clients = aws::connect_in_process(server.http_client(), keys, Region::us_east_1(), String::new());
    let client = clients.s3;
    client.create_bucket().bucket("made-by-hand").send().await.unwrap();
    client.put_object().bucket("made-by-hand").key("p/data/old.csv").body(b"old".to_vec().into()).send().await.unwrap();
    let tag = Tag::builder().key("cost-center").value("42").build().unwrap();
    let tagging = Tagging::builder().tag_set(tag).build().unwrap();
    client.put_bucket_tagging().bucket("made-by-hand").tagging(tagging).send().await.unwrap();
    let rule = LifecycleRule::builder()
        .id("theirs")
        .status(ExpirationStatus::Enabled)
        .filter(LifecycleRuleFilter::builder().prefix("tmp/").build())
        .expiration(LifecycleExpiration::builder().days(3).build())
        .build()
        .unwrap();
    let rules = BucketLifecycleConfiguration::builder().rules(rule).build().unwrap();
    let put = client.put_bucket_lifecycle_configuration().bucket("made-by-hand");
    put.lifecycle_configuration(rules).send().await.unwrap();
    let policy = r#"{"Version":"2012-10-17","Statement":[{"Sid":"Theirs","Effect":"Deny","Principal":"*",
        "Action":"s3:DeleteBucket","Resource":"arn:aws:s3:::made-by-hand"}]}"#;
    client.put_bucket_policy().bucket("made-by-hand").policy(policy).send().await.unwrap();
    client
}

/// Everything that a run could have changed, as text.
async fn fingerprint(client: &Client) -> String {
    let bucket = "made-by-hand";
    let tags = client.get_bucket_tagging().bucket(bucket).send().await.unwrap();
    let rules = client.get_bucket_lifecycle_configuration().bucket(bucket).send().await.unwrap();
    let policy = client.get_bucket_policy().bucket(bucket).send().await.unwrap();
    let versioning = client.get_bucket_versioning().bucket(bucket).send().await.unwrap();
    let objects = client.list_objects_v2().bucket(bucket).send().await.unwrap();
    let keys: Vec<_> = objects.contents().iter().map(|object| (object.key(), object.e_tag())).collect();
    format!("{:?} {:?} {:?} {:?} {keys:?}", tags.tag_set(), rules.rules(), policy.policy(), versioning.status())
}

#[tokio::test]
async fn without_adopt_nothing_is_touched() {
    let env = TestEnv::new();
    env.write("layout.toml", LAYOUT);
    let client = by_hand(&env).await;
    let before = fingerprint(&client).await;
    let refused = env.expect(1, &["apply", "--local=data", "--yes"]);
    assert!(refused.stdout.contains("adopt = true"), "{} {}", refused.stdout, refused.stderr);
    env.expect(4, &["plan", "--local=data"]);
    assert_eq!(fingerprint(&client).await, before);
}

#[tokio::test]
async fn with_adopt_the_foreign_stays_and_the_second_run_is_empty() {
    let env = TestEnv::new();
    env.write("layout.toml", format!("{LAYOUT}adopt = true\n"));
    let client = by_hand(&env).await;
    let planned = env.expect(0, &["plan", "--local=data", "--output", "json"]);
    let impacts = planned.of_type("finding").into_iter().filter(|finding| finding["code"] == "change-impact").count();
    assert!(impacts >= 3, "each change says what it could break: {}", planned.stdout);
    env.expect(0, &["apply", "--local=data", "--yes"]);
    let after = fingerprint(&client).await;
    for kept in ["cost-center", "theirs", "Theirs", "p/data/old.csv"] {
        assert!(after.contains(kept), "{kept} is gone: {after}");
    }
    for added in ["bucketwright:layout", "bucketwright-housekeeping", "BucketwrightTlsOnly", "Enabled"] {
        assert!(after.contains(added), "{added} is missing: {after}");
    }
    let rules = client.get_bucket_lifecycle_configuration().bucket("made-by-hand").send().await.unwrap();
    let whole_bucket = rules.rules().iter().filter(|rule| rule.noncurrent_version_expiration().is_some());
    for rule in whole_bucket {
        let prefix = rule.filter().and_then(LifecycleRuleFilter::prefix);
        assert_eq!(prefix, Some("p/models/"), "only the number of the layout expires data");
    }
    env.expect(0, &["plan", "--local=data", "--check"]);
    env.expect(0, &["verify", "--local=data"]);
    assert_eq!(env.expect(0, &["apply", "--local=data", "--yes", "--output", "json"]).summary()["done"], 0);
}

#[tokio::test]
async fn a_bucket_policy_that_locks_the_caller_out_is_never_written() {
    let env = TestEnv::new();
    env.write("layout.toml", format!("{LAYOUT}adopt = true\n"));
    let client = by_hand(&env).await;
    let policy = r#"{"Version":"2012-10-17","Statement":[{"Sid":"Frozen","Effect":"Deny","Principal":"*",
        "Action":"s3:PutObject","Resource":"arn:aws:s3:::made-by-hand/*"}]}"#;
    client.put_bucket_policy().bucket("made-by-hand").policy(policy).send().await.unwrap();
    let before = fingerprint(&client).await;
    let planned = env.expect(4, &["plan", "--local=data", "--output", "json"]);
    let written = planned.of_type("action").into_iter().any(|action| action["setting"] == "policy");
    assert!(!written, "{}", planned.stdout);
    let findings = planned.of_type("finding");
    let refusal = findings.iter().find(|finding| finding["code"] == "policy-locks-out").unwrap();
    assert_eq!((&refusal["severity"], &refusal["path"]), (&"error".into(), &"/Statement/0".into()));
    assert!(refusal["message"].as_str().unwrap().contains("`Frozen`"), "{refusal}");
    let refused = env.expect(1, &["apply", "--local=data", "--yes"]);
    assert!(refused.stdout.contains("s3:PutObject"), "{}", refused.stdout);
    assert_eq!(fingerprint(&client).await, before);
    // Whoever is meant by it is told apart: the same for another role locks nobody out here.
    let policy = policy.replace("\"*\"", r#"{"AWS":"arn:aws:iam::000000000000:role/trainer"}"#);
    client.put_bucket_policy().bucket("made-by-hand").policy(policy).send().await.unwrap();
    env.expect(0, &["apply", "--local=data", "--yes"]);
    assert!(fingerprint(&client).await.contains("Frozen"));
}

#[test]
fn two_files_for_one_key_are_refused() {
    let env = TestEnv::new();
    let datasets = ["a", "b"].map(|dir| format!("[[dataset]]\nsource = \"{dir}\"\nto = \"made-by-hand/p/data\"\n"));
    env.write("layout.toml", format!("{LAYOUT}{}", datasets.concat()));
    env.write("a/x.csv", "1");
    env.write("b/x.csv", "2");
    let refused = env.expect(1, &["apply", "--local=data", "--yes"]);
    assert!(refused.stdout.contains("have the same key"), "{}", refused.stdout);
}

#[test]
fn a_receipt_lets_others_verify_without_the_source() {
    let env = TestEnv::new();
    let dataset =
        "[[dataset]]\nsource = \"images\"\nto = \"made-by-hand/p/data\"\nreceipt = \"receipts/images.jsonl\"\n";
    env.write("layout.toml", format!("{LAYOUT}{dataset}"));
    for index in 0..30 {
        env.write(&format!("images/{index}.bin"), vec![index; 1000]);
    }
    env.expect(0, &["apply", "--local=data", "--yes"]);
    assert_eq!(std::fs::read_to_string(env.path("receipts/images.jsonl")).unwrap().lines().count(), 30);
    env.expect(0, &["plan", "--local=data", "--check"]);
    std::fs::remove_dir_all(env.path("images")).unwrap();
    let verified = env.expect(0, &["verify", "--local=data", "--data"]);
    assert!(verified.stdout.contains("30 files"), "{}", verified.stdout);
}
