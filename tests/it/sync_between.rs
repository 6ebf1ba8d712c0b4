//! `sync` from one endpoint to another: other keys, other buckets of the same name, and bytes that go through the program.

use crate::relay::Fate;
use crate::server_env::{Endpoint, client, options};
use crate::server_raw::{Wire, served};
use crate::sync_faults::{Scene, files, md5};
use crate::testenv::{Ran, TestEnv};
use crate::wire::{Answer, Request, bucket, key, tampered};
use bucketwright::model::Prefix;
use bucketwright::server::{Server, ServerOptions};
use futures_util::TryStreamExt as _;

const MIB: usize = 1024 * 1024;

/// An endpoint of another account, with the same bucket.
async fn endpoint(account: &str) -> Endpoint {
    let folder = tempfile::tempdir().unwrap();
    let options = ServerOptions { account: account.parse().unwrap(), ..options("us-east-1") };
    let server = Server::open(folder.path(), options).unwrap();
    let client = client(&server, server.secret_key());
    client.create_bucket().bucket("bucket").send().await.unwrap();
    Endpoint { folder, server, client }
}

/// Two profiles, one for each endpoint. Keys of nobody in the environment would win over both if names did not.
fn env(source: &Wire, target: &Wire) -> TestEnv {
    let mut env = TestEnv::new();
    let section = |name: &str, wire: &Wire| {
        format!("[{name}]\naws_access_key_id={}\naws_secret_access_key={}\n", wire.access_key, wire.secret_key)
    };
    env.write("home/credentials", section("theirs", source) + &section("ours", target));
    env.set("AWS_REGION", "us-east-1");
    env.set("AWS_ACCESS_KEY_ID", "AKIDNOBODY");
    env.set("AWS_SECRET_ACCESS_KEY", "none");
    env
}

fn between(env: &TestEnv, source: &Wire, target: &Wire, code: i32, more: &[&str]) -> Ran {
    let (from, to) = (format!("http://{}", source.address), format!("http://{}", target.address));
    let reached = ["--source-profile=theirs", "--profile=ours", "--source-endpoint-url", &from, "--endpoint-url", &to];
    env.expect(code, &[&["sync", "--output", "json"], &reached[..], more].concat())
}

const PLACES: [&str; 2] = ["s3://bucket/data/", "s3://bucket/data/"];

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn everything_goes_through_between_two_owners() {
    let (source, target) = (endpoint("111122223333").await, endpoint("444455556666").await);
    let large: Vec<u8> = (0..20 * MIB).map(|at| (at ^ (at >> 8)).to_le_bytes()[0]).collect();
    let put = source.client.put_object().bucket("bucket").key("data/large.bin").body(large.clone().into());
    put.metadata("team", "ml").tagging("stage=raw").send().await.unwrap();
    let put = source.client.put_object().bucket("bucket").key("data/a b+c.csv").body(b"small".to_vec().into());
    put.content_type("text/csv").metadata("team", "ml").cache_control("no-cache").send().await.unwrap();
    // By a tool that kept no checksum but the ETag.
    let config = aws_sdk_s3::config::Builder::new()
        .request_checksum_calculation(aws_sdk_s3::config::RequestChecksumCalculation::WhenRequired);
    let put = source.client.put_object().bucket("bucket").key("data/plain.bin").body(large.clone().into());
    put.customize().config_override(config).send().await.unwrap();
    target.put("data/extra", b"extra").await;
    let (from, to) = (&source, &target);
    served(from, async |source| {
        served(to, async |target| {
            let env = env(&source, &target);
            let with = |more: &[&'static str]| [&PLACES[..], more].concat();
            let ran = between(&env, &source, &target, 0, &with(&["--delete", "--yes", "--dry-run"]));
            assert_eq!(ran.summary()["planned"], 4);
            assert_eq!(ran.of_type("identity")[0]["account"], "444455556666", "who writes");
            assert!(ran.stderr.contains("reading the source as arn:aws:iam::111122223333"), "{}", ran.stderr);
            let given = ["--delete", "--yes", "--metadata=stage=two", "--storage-class", "STANDARD_IA"];
            between(&env, &source, &target, 0, &with(&[&given[..], &["--plan", "plan.jsonl"]].concat()));
            let ran = between(&env, &source, &target, 0, &["--apply", "plan.jsonl", "--yes"]);
            assert_eq!((&ran.summary()["done"], &ran.summary()["deleted"]), (&4.into(), &1.into()));
            for action in ran.of_type("action").iter().filter(|action| action["action"] == "copy") {
                assert_eq!(action["proof"], "same as the source", "{action}");
            }
            assert_eq!(between(&env, &source, &target, 0, &with(&["--delete"])).summary()["planned"], 0);
            // Without its own way to the source the plan is for another place.
            let to = format!("http://{}", target.address);
            let flags = ["sync", "--apply", "plan.jsonl", "--profile=ours", "--endpoint-url", &to, "--output=json"];
            assert_eq!(env.expect(4, &flags).of_type("error")[0]["kind"], "plan-moved");
        })
        .await;
    })
    .await;
    assert_eq!(target.get("data/large.bin").await, large);
    for (name, content_type) in [("data/large.bin", "application/octet-stream"), ("data/a b+c.csv", "text/csv")] {
        let head = target.client.head_object().bucket("bucket").key(name).send().await.unwrap();
        let metadata = head.metadata().unwrap();
        assert_eq!((metadata["team"].as_str(), metadata["stage"].as_str()), ("ml", "two"), "{name}");
        assert_eq!(head.content_type(), Some(content_type), "{name}");
        assert_eq!(head.storage_class().unwrap().as_str(), "STANDARD_IA", "{name}");
    }
    let tags = target.client.get_object_tagging().bucket("bucket").key("data/large.bin").send().await.unwrap();
    assert_eq!((tags.tag_set()[0].key(), tags.tag_set()[0].value()), ("stage", "raw"));
    assert_eq!(target.client.list_multipart_uploads().bucket("bucket").send().await.unwrap().uploads().len(), 0);
}

#[test]
fn ways_to_a_source_are_for_copies_alone() {
    let env = TestEnv::new();
    env.write("data/a", "a");
    for (more, why) in [
        (&["data", "s3://bucket/x", "--source-profile", "x"][..], "`--profile`, `--region` and `--endpoint-url`"),
        (&["s3://bucket/x", "back", "--source-region", "eu-west-1"], "say how the source is reached"),
        (&["s3://bucket/x", "s3://bucket/y", "--source-region", "eu-west-1"], "`--source-endpoint-url`"),
    ] {
        let ran = env.expect(2, &[&["sync", "--local", "--output", "json"], more].concat());
        let hint = ran.of_type("error")[0]["hints"].to_string();
        assert!(hint.contains(why), "{more:?}: {hint}");
    }
}

/// S3 answers requests for a bucket of another Region with a redirect that names it, HEAD with a status alone.
#[tokio::test]
async fn a_source_in_another_region_is_followed_there() {
    let endpoint = Endpoint::with_bucket().await;
    endpoint.put("a", b"a").await;
    for first in ["HeadObject", "ListObjectsV2"] {
        let elsewhere = |request: &Request| {
            // Only the second Region answers for itself.
            if request.header("authorization").contains("/us-east-1/s3/") {
                let status = if request.operation() == "HeadObject" { 400 } else { 301 };
                let mut answer = Answer::error(status, "PermanentRedirect");
                answer.headers.insert("x-amz-bucket-region".to_owned(), "eu-west-1".to_owned());
                return Some(answer);
            }
            let xml = "<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>".to_owned();
            let headers = [("content-type".to_owned(), "application/xml".to_owned())].into();
            let listed = request.operation() == "ListObjectsV2";
            Some(Answer { status: if listed { 200 } else { 404 }, headers, xml: listed.then_some(xml) })
        };
        let (store, log) = tampered(&endpoint, elsewhere, |_, _| {});
        let (name, folder) = (key("a"), Prefix::root());
        assert!(store.list(&bucket(), &folder).try_collect::<Vec<_>>().await.is_err(), "a target stays where it is");
        let store = store.in_any_region();
        log.clear();
        if first == "HeadObject" {
            assert_eq!(store.head_object(&bucket(), &name).await.unwrap(), None);
        }
        assert!(store.list(&bucket(), &folder).try_collect::<Vec<_>>().await.is_ok());
        assert_eq!(store.head_object(&bucket(), &name).await.unwrap(), None);
        let asked = if first == "HeadObject" { 4 } else { 3 };
        assert_eq!(log.requests().len(), asked, "one request too many, and only the first");
    }
}

/// S3 refuses requests for a bucket of another account than the one that they expect.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bucket_of_another_account_is_downloaded_if_its_policy_allows_it() {
    let scene = Scene::new(|asked| match asked.header("x-amz-expected-bucket-owner") {
        Some(_) => Fate::Refused(403, "AccessDenied"),
        None => Fate::Pass,
    })
    .await;
    scene.put("p/data/a", b"a").await;
    for (from, to) in [("s3://trouble/p/data/", "back"), ("s3://trouble/p/data/a", "one/")] {
        scene.env.expect(0, &["sync", from, to]);
        assert_eq!(files(&scene.env.path(to)), [("a".to_owned(), md5(b"a"))].into(), "{from}");
    }
    scene.env.write("data/b", "b");
    scene.up(1, &[]);
}
