//! `new --from`: buckets made by the SDK's own calls, written down, taken over, and found to be changed by nothing but the
//! owner tag.

use crate::server_env::{client, open};
use crate::testenv::{Ran, TestEnv, files_below};
use aws_sdk_s3::Client;
use aws_sdk_s3::types::{
    BucketLifecycleConfiguration, BucketLoggingStatus, BucketVersioningStatus, ExpirationStatus, LifecycleExpiration,
    LifecycleRule, LifecycleRuleFilter, LoggingEnabled, NoncurrentVersionExpiration, PublicAccessBlockConfiguration,
    ServerSideEncryption, ServerSideEncryptionByDefault, ServerSideEncryptionConfiguration, ServerSideEncryptionRule,
    Tag, Tagging, VersioningConfiguration,
};
use serde_json::{Value, json};

const BUCKET: &str = "bsingh-ml-workflows";
const STORE: &str = ".bucketwright/local";
const NODE_1: &str = "node-group-1-eks-node-group-20250724035220727000000001";
const NODE_2: &str = "node-group-2-eks-node-group-20250724035220727200000003";
const CLUSTER: &str = "[[cluster]]\nname = \"education-eks-vV8VCAqw\"\n\
    [[cluster.node_group]]\nname = \"node-group-1-2025072404024606990000001e\"\nrole = \"node-group-1-eks-node-group-20250724035220727000000001\"\n\
    [[cluster.node_group]]\nname = \"node-group-2-2025072404024606990000001d\"\nrole = \"node-group-2-eks-node-group-20250724035220727200000003\"\n";

/// A folder with an endpoint in which one bucket was made by hand.
struct Hand {
    env: TestEnv,
    client: Client,
}

impl Hand {
    async fn new(keys: &[&str]) -> Self {
        let env = TestEnv::new();
        let server = open(&env.path(STORE));
        let client = client(&server, server.secret_key());
        client.create_bucket().bucket(BUCKET).send().await.unwrap();
        let hand = Self { env, client };
        for key in keys {
            let body = if key.ends_with('/') || key.ends_with(".keep") { Vec::new() } else { b"data".to_vec() };
            hand.client.put_object().bucket(BUCKET).key(*key).body(body.into()).send().await.unwrap();
        }
        hand
    }

    async fn tag(&self, pairs: &[(&str, &str)]) {
        let tag = |(key, value): &(&str, &str)| Tag::builder().key(*key).value(*value).build().unwrap();
        let tagging = Tagging::builder().set_tag_set(Some(pairs.iter().map(tag).collect())).build().unwrap();
        self.client.put_bucket_tagging().bucket(BUCKET).tagging(tagging).send().await.unwrap();
    }

    /// Everything but the tags that a run could have changed.
    async fn fingerprint(&self) -> String {
        let (client, bucket) = (&self.client, BUCKET);
        let rules = client.get_bucket_lifecycle_configuration().bucket(bucket).send().await.ok();
        let policy = client.get_bucket_policy().bucket(bucket).send().await.ok();
        let versioning = client.get_bucket_versioning().bucket(bucket).send().await.unwrap();
        let encryption = client.get_bucket_encryption().bucket(bucket).send().await.ok();
        let block = client.get_public_access_block().bucket(bucket).send().await.ok();
        let owner = client.get_bucket_ownership_controls().bucket(bucket).send().await.ok();
        let log = client.get_bucket_logging().bucket(bucket).send().await.unwrap();
        let objects = client.list_object_versions().bucket(bucket).send().await.unwrap();
        let keys: Vec<_> = objects.versions().iter().map(|one| (one.key(), one.version_id(), one.e_tag())).collect();
        format!(
            "{:?} {:?} {:?} {:?} {:?} {:?} {:?} {keys:?}",
            rules.map(|found| found.rules().to_vec()),
            policy.map(|found| found.policy().map(str::to_owned)),
            versioning.status(),
            encryption.map(|found| found.server_side_encryption_configuration().cloned()),
            block.map(|found| found.public_access_block_configuration().cloned()),
            owner.map(|found| found.ownership_controls().cloned()),
            log.logging_enabled(),
        )
    }

    fn account(&self) -> Vec<(std::path::PathBuf, Vec<u8>)> {
        files_below(&self.env.path(&format!("{STORE}/directory")))
    }

    /// Writes the layout down, plans it, applies it and plans it again: nothing but the owner tag is written.
    async fn adopted(&self, more: &[&str], in_account: &[&str]) -> String {
        let before = (self.fingerprint().await, self.account());
        let url = format!("s3://{BUCKET}");
        let arguments: Vec<&str> = ["new", "--from", &url, "--local"].into_iter().chain(more.iter().copied()).collect();
        self.env.expect(0, &arguments);
        assert_eq!((self.fingerprint().await, self.account()), before, "`new` only looks");
        let text = std::fs::read_to_string(self.env.path("layout.toml")).unwrap();
        let planned = self.env.expect(0, &["plan", "--local", "--output", "json"]);
        let wanted: Vec<String> =
            std::iter::once("put-setting tags").chain(in_account.iter().copied()).map(str::to_owned).collect();
        assert_eq!(actions(&planned), wanted, "{text}");
        let applied = self.env.expect(0, &["apply", "--local", "--yes", "--output", "json"]);
        assert_eq!(applied.summary()["done"], wanted.len(), "{}", applied.stdout);
        assert_eq!(self.fingerprint().await, before.0, "{text}");
        self.env.expect(0, &["plan", "--local", "--check"]);
        text
    }
}

/// What a plan would do: the action and its setting.
fn actions(ran: &Ran) -> Vec<String> {
    let word = |line: &Value, field: &str| line[field].as_str().map(|text| format!(" {text}")).unwrap_or_default();
    let lines = ran.of_type("action");
    lines.iter().map(|line| format!("{}{}", line["action"].as_str().unwrap(), word(line, "setting"))).collect()
}

const SEED: [&str; 10] = [
    "credit-scoring/data/",
    "credit-scoring/data/CleanCreditScoring.csv",
    "credit-scoring/models/",
    "credit-scoring/results/",
    "customer-segmentation/data/",
    "customer-segmentation/models/",
    "customer-segmentation/results/",
    "fraud-detection/data/",
    "fraud-detection/models/",
    "fraud-detection/results/",
];

#[tokio::test]
async fn the_seed_as_it_was_made_by_hand() {
    let hand = Hand::new(&SEED).await;
    let allow = json!({
        "Effect": "Allow",
        "Action": ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:ListBucket"],
        "Resource": [format!("arn:aws:s3:::{BUCKET}"), format!("arn:aws:s3:::{BUCKET}/*")],
    });
    let document = json!({ "Version": "2012-10-17", "Statement": [allow] });
    hand.env.write(&format!("{STORE}/directory/policies/FlyteMLS3Access.json"), document.to_string());
    hand.env.write(&format!("{STORE}/directory/directory.toml"), CLUSTER);
    for role in [NODE_1, NODE_2] {
        hand.env.write(&format!("{STORE}/directory/roles/{role}.json"), r#"{"policies": ["FlyteMLS3Access"]}"#);
    }
    let text = hand.adopted(&["--cluster", "education-eks-vV8VCAqw"], &[]).await;
    for wanted in [
        "template = \"ml-project\"",
        "projects = [\"credit-scoring\", \"customer-segmentation\", \"fraud-detection\"]",
        "# Policy FlyteMLS3Access (v1), attached to role node-group-1",
        "# [[grant]]\n# policy = \"FlyteMLS3Access\"\n# access = \"read-write\"\n# on = [\"bsingh-ml-workflows\"]",
        "#   { eks_cluster = \"education-eks-vV8VCAqw\", node_groups = \"*\" },",
    ] {
        assert!(text.contains(wanted), "{wanted} is missing in\n{text}");
    }
    let tree = hand.env.expect(0, &["tree", "--local"]);
    assert!(!tree.stdout.contains("(missing)") && !tree.stdout.contains("(not in"), "{}", tree.stdout);
    // The grant that stands there as a comment is one that works.
    let grant: String =
        text.lines().skip_while(|line| *line != "# [[grant]]").map(|line| format!("{}\n", &line[2..])).collect();
    hand.env.write("layout.toml", format!("{text}\n{grant}"));
    let planned = hand.env.expect(0, &["plan", "--local", "--output", "json"]);
    assert_eq!(actions(&planned), ["tag-policy", "create-policy-version"]);
}

#[tokio::test]
async fn a_policy_that_a_grant_would_make_is_a_grant() {
    let hand = Hand::new(&["a/data/", "a/models/", "b/data/", "b/models/"]).await;
    let layout = format!(
        "version = 1\nlayout = \"x\"\n[[bucket]]\nname = \"{BUCKET}\"\nadopt = true\ntemplate = \"t\"\nprojects = [\"a\", \"b\"]\n\
         [template.t]\nfolders = [{{ path = \"data\" }}, {{ path = \"models\" }}]\n"
    );
    let grant = |access: &str, on: &str| format!("[[grant]]\npolicy = \"P\"\naccess = \"{access}\"\non = [\"{on}\"]\n");
    for (access, on) in
        [("read-write", BUCKET), ("read", "bsingh-ml-workflows/a"), ("append", "bsingh-ml-workflows/b/data")]
    {
        let other = TestEnv::new();
        other.write("layout.toml", format!("{layout}{}", grant(access, on)));
        let made = other.expect(0, &["policy", "generate", "layout.toml", "--output", "json"]);
        let document = made.of_type("policy")[0]["document"].to_string();
        hand.env.write(&format!("{STORE}/directory/policies/P.json"), document);
        hand.env.write(&format!("{STORE}/directory/roles/trainer.json"), r#"{"policies": ["P"]}"#);
        let ran = hand.env.expect(0, &["new", "--from", &format!("s3://{BUCKET}"), "--local", "-o", "-"]);
        let wanted = format!(
            "\n[[grant]]\npolicy = \"P\"\naccess = \"{access}\"\non = [\"{on}\"]\nadopt = true\nattach = [\n  {{ role = \"trainer\" }},\n]\n"
        );
        assert!(ran.stdout.contains(&wanted), "{access} {on}\n{}", ran.stdout);
    }
    hand.tag(&[("team", "ml")]).await;
    let text = hand.adopted(&[], &["tag-policy"]).await;
    assert!(text.contains("1 of its tags are not asked for here"), "{text}");
}

#[tokio::test]
async fn a_lost_layout_comes_back_and_plans_nothing() {
    let env = TestEnv::new();
    env.write(&format!("{STORE}/directory/directory.toml"), CLUSTER);
    let layout = format!(
        "version = 1\nlayout = \"ml-workflows\"\n[[bucket]]\nname = \"{BUCKET}\"\ntemplate = \"ml-project\"\n\
         projects = [\"credit-scoring\", \"fraud-detection\"]\ntags = {{ team = \"ml\" }}\nmarkers = \"keep\"\n\
         [[grant]]\npolicy = \"FlyteMLS3Access\"\naccess = \"read-write\"\non = [\"{BUCKET}\"]\n\
         attach = [{{ eks_cluster = \"education-eks-vV8VCAqw\", node_groups = \"node-group-2-*\" }}, {{ role = \"trainer\" }}]\n"
    );
    env.write("lost.toml", layout);
    env.expect(0, &["apply", "lost.toml", "--local", "--yes"]);
    let cluster = "education-eks-vV8VCAqw";
    env.expect(0, &["new", "--from", &format!("s3://{BUCKET}"), "--cluster", cluster, "--local"]);
    let text = std::fs::read_to_string(env.path("layout.toml")).unwrap();
    let planned = env.expect(0, &["plan", "--local", "--check", "--output", "json"]);
    assert_eq!(actions(&planned), Vec::<String>::new(), "{text}");
    for wanted in [
        "layout = \"ml-workflows\"",
        "template = \"ml-project\"",
        "markers = \"keep\"",
        "tags = { team = \"ml\" }",
        "noncurrent_days = 90",
        "node_groups = \"node-group-2-2025072404024606990000001d\"",
        "{ role = \"trainer\" }",
    ] {
        assert!(text.contains(wanted), "{wanted} is missing in\n{text}");
    }
    for unwanted in ["adopt", "waive"] {
        assert!(!text.contains(unwanted), "{unwanted} in\n{text}");
    }
}

#[tokio::test]
async fn an_empty_bucket_and_one_with_odd_keys() {
    let empty = Hand::new(&[]).await;
    let text = empty.adopted(&[], &[]).await;
    assert!(!text.contains("template"), "{text}");

    let odd = Hand::new(&[
        "/",
        "//",
        "a//b",
        "../up/",
        "a",
        "a/",
        "a/b",
        "${env:HOME}/",
        "<account-id>/",
        "line\nbreak/",
        "q\"uote/",
        "it's/",
        "ü/",
        "'''/",
        ".keep",
        "\u{202e}evil/",
    ])
    .await;
    let text = odd.adopted(&[], &[]).await;
    assert!(text.contains("No layout can name the folder") && !text.contains('\u{202e}'), "{text}");
    assert!(text.contains("path = \"$${env:HOME}\"") || text.contains("path = '$${env:HOME}'"), "{text}");
}

#[tokio::test]
async fn every_setting_as_somebody_else_left_it() {
    let hand = Hand::new(&["raw/2024/a.csv", "models/m.bin"]).await;
    let client = &hand.client;
    hand.tag(&[("team", "ml"), ("cost center", "42")]).await;
    let versioning = VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled).build();
    client.put_bucket_versioning().bucket(BUCKET).versioning_configuration(versioning).send().await.unwrap();
    let rule = LifecycleRule::builder()
        .id("tmp \"quoted\"")
        .status(ExpirationStatus::Enabled)
        .filter(LifecycleRuleFilter::builder().prefix("tmp/").build())
        .expiration(LifecycleExpiration::builder().days(3).build())
        .noncurrent_version_expiration(NoncurrentVersionExpiration::builder().noncurrent_days(5).build())
        .build()
        .unwrap();
    let rules = BucketLifecycleConfiguration::builder().rules(rule).build().unwrap();
    client.put_bucket_lifecycle_configuration().bucket(BUCKET).lifecycle_configuration(rules).send().await.unwrap();
    let key = "arn:aws:kms:us-east-1:245966534215:key/1234abcd-12ab-34cd-56ef-1234567890ab";
    let by_default = ServerSideEncryptionByDefault::builder()
        .sse_algorithm(ServerSideEncryption::AwsKms)
        .kms_master_key_id(key)
        .build()
        .unwrap();
    let rule = ServerSideEncryptionRule::builder()
        .apply_server_side_encryption_by_default(by_default)
        .bucket_key_enabled(true)
        .build();
    let encryption = ServerSideEncryptionConfiguration::builder().rules(rule).build().unwrap();
    client
        .put_bucket_encryption()
        .bucket(BUCKET)
        .server_side_encryption_configuration(encryption)
        .send()
        .await
        .unwrap();
    let block = PublicAccessBlockConfiguration::builder().block_public_acls(true).ignore_public_acls(true).build();
    client.put_public_access_block().bucket(BUCKET).public_access_block_configuration(block).send().await.unwrap();
    let policy = json!({ "Version": "2012-10-17", "Statement": [{
        "Sid": "Theirs", "Effect": "Deny", "Principal": "*", "Action": "s3:DeleteBucket",
        "Resource": format!("arn:aws:s3:::{BUCKET}"),
    }] });
    client.put_bucket_policy().bucket(BUCKET).policy(policy.to_string()).send().await.unwrap();
    client.create_bucket().bucket("the-logs").send().await.unwrap();
    let log = LoggingEnabled::builder().target_bucket("the-logs").target_prefix("ml/").build().unwrap();
    let status = BucketLoggingStatus::builder().logging_enabled(log).build();
    client.put_bucket_logging().bucket(BUCKET).bucket_logging_status(status).send().await.unwrap();

    let text = hand.adopted(&[], &[]).await;
    for wanted in [
        "versioning = true",
        &format!("encryption = {{ kms_key = \"{key}\" }}"),
        "public_access = \"unmanaged\"",
        "access_log = { bucket = \"the-logs\", prefix = \"ml/\" }",
        "tags = { \"cost center\" = \"42\", team = \"ml\" }",
        "name = \"the-logs\"\nmanage = \"verify\"",
        "public-access = \"as found on ",
        "tls-only = \"as found on ",
        ": 2 of 4 flags on\"",
    ] {
        assert!(text.contains(wanted), "{wanted} is missing in\n{text}");
    }
    assert!(text.lines().any(|line| line.starts_with("lifecycle = ") && line.contains("1 rules")), "{text}");
    let verified = hand.env.run(&["verify", "--local", "--settings"]);
    assert!(verified.stdout.contains("waived"), "{}", verified.stdout);
}

#[tokio::test]
async fn nothing_is_written_over_and_wrong_words_are_refused() {
    let hand = Hand::new(&[]).await;
    let url = format!("s3://{BUCKET}");
    hand.env.write("layout.toml", "mine");
    hand.env.expect(2, &["new", "--from", &url, "--local"]);
    assert_eq!(std::fs::read_to_string(hand.env.path("layout.toml")).unwrap(), "mine");
    for (code, arguments) in [
        (2, &["new", "--from", BUCKET, "--local", "-o", "-"][..]),
        (2, &["new", "--from", "s3://bsingh-ml-workflows/data", "--local", "-o", "-"]),
        (2, &["new", "--from", "s3://Upper", "--local", "-o", "-"]),
        (2, &["new", "flyte", "--from", &url, "--local", "-o", "-"]),
        (2, &["new", "--cluster", "c", "--local", "-o", "-"]),
        (2, &["new", "--from", &url, "--local", "--set", "name=x", "-o", "-"]),
        (1, &["new", "--from", "s3://not-there-at-all", "--local", "-o", "-"]),
    ] {
        let ran = hand.env.expect(code, arguments);
        assert!(ran.stdout.is_empty(), "{arguments:?}: {}", ran.stdout);
    }
    let json = hand.env.expect(0, &["new", "--from", &url, "--local", "-o", "-", "--output", "json"]);
    assert!(json.of_type("answer")[0]["text"].as_str().unwrap().contains("[[bucket]]"), "{}", json.stdout);
}
