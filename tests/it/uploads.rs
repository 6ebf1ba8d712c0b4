//! `uploads list` and `uploads abort` on what other programs left.

use crate::server_env::{client, open};
use crate::testenv::{Ran, TestEnv};
use aws_sdk_s3::Client;
use bucketwright::server::Server;
use serde_json::Value;

/// The binary's folder with an endpoint that another program speaks to.
struct Scene {
    env: TestEnv,
    client: Client,
    _server: Server,
}

impl Scene {
    async fn new() -> Self {
        let env = TestEnv::new();
        let server = open(&env.path(".bucketwright/local"));
        let client = client(&server, server.secret_key());
        client.create_bucket().bucket("bucket").send().await.unwrap();
        Self { env, client, _server: server }
    }

    /// An upload with parts of so many bytes.
    async fn begin(&self, key: &str, parts: &[usize]) -> String {
        let begun = self.client.create_multipart_upload().bucket("bucket").key(key).send().await.unwrap();
        let id = begun.upload_id().unwrap().to_owned();
        for (number, bytes) in (1..).zip(parts) {
            let part = self.client.upload_part().bucket("bucket").key(key).upload_id(&id).part_number(number);
            part.body(vec![0; *bytes].into()).send().await.unwrap();
        }
        id
    }

    fn run(&self, code: i32, words: &[&str]) -> Ran {
        self.env.expect(code, &[&["uploads"], words, &["--local"]].concat())
    }

    fn listed(&self, place: &str) -> Vec<Value> {
        self.run(0, &["list", place, "--output", "json"]).of_type("unfinished-upload")
    }
}

#[tokio::test]
async fn uploads_of_anybody_are_listed() {
    let scene = Scene::new().await;
    assert_eq!(scene.run(0, &["list", "s3://bucket"]).stdout, "Uploads: no unfinished uploads\n");
    let id = scene.begin("data/a b.csv", &[1000, 500]).await;
    scene.begin("other", &[]).await;
    let all = scene.listed("s3://bucket");
    assert_eq!(all.len(), 2);
    let first = &all[0];
    let fields = ["target", "upload_id", "parts", "bytes", "ours"].map(|name| first[name].clone());
    let wanted: [Value; 5] =
        ["s3://bucket/data/a b.csv".into(), id.clone().into(), 2.into(), 1500.into(), false.into()];
    assert_eq!(fields, wanted);
    assert!(first["initiated"].is_string() && first["age_s"].is_u64() && first["initiator"].is_string(), "{first}");
    assert_eq!(first["source"], Value::Null);
    // A second may pass between two listings.
    let ageless = |mut upload: Value| {
        upload.as_object_mut().unwrap().remove("age_s");
        upload
    };
    let below = scene.listed("s3://bucket/data/").into_iter().map(ageless);
    assert_eq!(below.collect::<Vec<_>>(), [ageless(first.clone())]);
    let text = scene.run(0, &["list", "s3://bucket/data/"]).stdout;
    assert!(text.starts_with("s3://bucket/data/a b.csv\n  2 parts, 1.5 KiB, "), "{text}");
    assert!(text.contains(&id) && text.ends_with("Uploads: 1 unfinished upload, 1.5 KiB\n"), "{text}");
}

#[tokio::test]
async fn many_uploads_come_page_by_page() {
    let scene = Scene::new().await;
    for number in 0..1005 {
        scene.begin(&format!("key+{number:04}"), &[]).await;
    }
    let targets: Vec<Value> = scene.listed("s3://bucket").iter().map(|upload| upload["target"].clone()).collect();
    assert_eq!(
        targets,
        (0..1005).map(|number| Value::from(format!("s3://bucket/key+{number:04}"))).collect::<Vec<_>>()
    );
}

#[tokio::test]
async fn only_what_was_chosen_and_confirmed_is_aborted() {
    let scene = Scene::new().await;
    let id = scene.begin("data/one", &[1000]).await;
    scene.begin("data/two", &[]).await;
    scene.begin("other", &[]).await;
    let kept = |count: usize| assert_eq!(scene.listed("s3://bucket").len(), count);
    scene.run(2, &["abort", "s3://bucket"]);
    scene.run(2, &["abort", "s3://bucket", "--older-than", "soon", "--yes"]);
    assert!(scene.run(0, &["abort", "s3://bucket", "--older-than", "1h", "--yes"]).stdout.contains("nothing to abort"));
    let asked = scene.run(2, &["abort", "s3://bucket", "--older-than", "0s"]);
    assert!(
        asked.stdout.contains("would abort the upload of s3://bucket/data/one (1 part, 1000 B"),
        "{}",
        asked.stdout
    );
    assert!(asked.stderr.contains("--yes"), "{}", asked.stderr);
    let unknown = scene.run(1, &["abort", "s3://bucket", "--id", &id, "--id", "nonsense", "--yes"]);
    assert!(unknown.stderr.contains("`nonsense`"), "{}", unknown.stderr);
    kept(3);
    let one = scene.run(0, &["abort", "s3://bucket", "--id", &id, "--yes", "--output", "json"]);
    let action = &one.of_type("action")[0];
    let wanted = ["abort-upload", "done", "s3://bucket/data/one"];
    assert_eq!(["action", "status", "target"].map(|name| action[name].as_str().unwrap()), wanted);
    assert_eq!((&one.summary()["planned"], &one.summary()["done"]), (&1.into(), &1.into()));
    assert_eq!(one.json()[0]["type"], "identity");
    kept(2);
    let rest = scene.run(0, &["abort", "s3://bucket/data/", "--older-than", "0s", "--yes"]).stdout;
    assert!(rest.starts_with("aborted the upload of s3://bucket/data/two (0 parts, "), "{rest}");
    assert!(rest.ends_with(" old)\nUploads: 1 aborted\n"), "{rest}");
    kept(1);
}

#[tokio::test]
async fn mistakes_are_told() {
    let scene = Scene::new().await;
    let missing = scene.run(1, &["list", "s3://no-such-bucket", "--output", "json"]);
    assert_eq!(missing.of_type("error")[0]["kind"], "not-found");
    for place in ["bucket", "s3://", "s3://Not_A_Bucket"] {
        scene.run(2, &["list", place]);
    }
}
