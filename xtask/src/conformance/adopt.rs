//! `new --from` on the bucket of the seed as the AWS CLI makes it by hand: taking it over changes the owner tag alone.
#![expect(clippy::disallowed_methods, reason = "layouts and datasets are files")]

use super::endpoint::{Endpoint, Peer, embedded};
use super::lab::Lab;
use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use std::fs;
use std::process::Command;

const BUCKET: &str = "bsingh-ml-workflows";
const POLICY: &str = "FlyteMLS3Access";
const ROLES: [&str; 2] = [
    "node-group-1-eks-node-group-20250724035220727000000001",
    "node-group-2-eks-node-group-20250724035220727200000003",
];
const TRUST: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}]}"#;

/// On the embedded endpoint, where policies are files and so no command's.
pub(crate) fn embedded_bucket(lab: &Lab) -> Result<()> {
    let endpoint = embedded(lab, &lab.path("local"))?;
    make(lab, &endpoint)?;
    taken_over(lab, &endpoint, &|| {
        let mut ours = lab.bucketwright();
        ours.arg("--local=local");
        ours
    })
    .map(drop)
}

/// On MiniStack, with the policy and its attachments.
pub(crate) fn ministack_bucket(lab: &Lab) -> Result<()> {
    let endpoint = Peer::Ministack.start(lab)?;
    make(lab, &endpoint)?;
    let policy = format!(
        r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Action":["s3:GetObject","s3:PutObject","s3:DeleteObject","s3:ListBucket"],"Resource":["arn:aws:s3:::{BUCKET}","arn:aws:s3:::{BUCKET}/*"]}}]}}"#
    );
    fs::write(lab.path("s3-access-policy.json"), policy)?;
    let document = "file://s3-access-policy.json";
    let made = aws(lab, &endpoint, &["iam", "create-policy", "--policy-name", POLICY, "--policy-document", document])?;
    let made: Value = serde_json::from_str(&made)?;
    let arn = made["Policy"]["Arn"].as_str().context("no ARN")?;
    for role in ROLES {
        aws(lab, &endpoint, &["iam", "create-role", "--role-name", role, "--assume-role-policy-document", TRUST])?;
        aws(lab, &endpoint, &["iam", "attach-role-policy", "--role-name", role, "--policy-arn", arn])?;
    }
    let text = taken_over(lab, &endpoint, &|| endpoint.give(lab.bucketwright()))?;
    for wanted in ["# policy = \"FlyteMLS3Access\"", "# access = \"read-write\"", ROLES[0], ROLES[1]] {
        ensure!(text.contains(wanted), "`{wanted}` is missing in:\n{text}");
    }
    Ok(())
}

fn aws(lab: &Lab, endpoint: &Endpoint, words: &[&str]) -> Result<String> {
    lab.expect(endpoint.give(lab.client("aws")).args(words).args(["--output", "json"]))
}

/// The bucket as the seed's commands make it: `mb`, a marker a folder, and a dataset.
fn make(lab: &Lab, endpoint: &Endpoint) -> Result<()> {
    aws(lab, endpoint, &["s3", "mb", &format!("s3://{BUCKET}")])?;
    for project in ["credit-scoring", "fraud-detection", "customer-segmentation"] {
        for folder in ["data", "models", "results"] {
            let key = format!("{project}/{folder}/");
            aws(lab, endpoint, &["s3api", "put-object", "--bucket", BUCKET, "--key", &key])?;
        }
    }
    fs::copy(lab.root.join("layouts/example/CreditScoring.csv"), lab.path("local-file.csv"))?;
    let target = format!("s3://{BUCKET}/credit-scoring/data/CleanCreditScoring.csv");
    aws(lab, endpoint, &["s3", "cp", "--no-progress", "local-file.csv", &target]).map(drop)
}

/// Everything of the bucket but its tags, as the AWS CLI reads it.
fn state(lab: &Lab, endpoint: &Endpoint) -> Result<Vec<String>> {
    let calls = [
        "get-bucket-versioning",
        "get-bucket-encryption",
        "get-public-access-block",
        "get-bucket-ownership-controls",
        "get-bucket-lifecycle-configuration",
        "get-bucket-policy",
        "get-bucket-logging",
        "list-object-versions",
    ];
    calls
        .iter()
        .map(|call| {
            let mut get = endpoint.give(lab.client("aws"));
            // What is not set is an error, and its words are the answer.
            let ran = lab.run(get.args(["s3api", call, "--bucket", BUCKET, "--output", "json"]))?;
            let words = ran.stderr.lines().filter(|line| !line.trim().is_empty()).collect::<Vec<_>>().join(" ");
            Ok(format!("{call}: {} {words}", ran.stdout))
        })
        .collect()
}

/// Writes the layout down, applies it, and finds one thing changed. Returns the layout's text.
fn taken_over(lab: &Lab, endpoint: &Endpoint, ours: &dyn Fn() -> Command) -> Result<String> {
    let before = state(lab, endpoint)?;
    lab.expect(ours().args(["new", "--from", &format!("s3://{BUCKET}")]))?;
    let text = fs::read_to_string(lab.path("layout.toml"))?;
    let planned = lab.expect(ours().args(["plan", "--output", "json"]))?;
    ensure!(actions(&planned)? == ["put-setting tags"], "the plan is more than the owner tag:\n{planned}\n{text}");
    let applied = lab.expect(ours().args(["apply", "--yes", "--output", "json"]))?;
    ensure!(actions(&applied)? == ["put-setting tags"], "more was done than the owner tag:\n{applied}");
    let after = state(lab, endpoint)?;
    ensure!(after == before, "before:\n{}\nafter:\n{}", before.join("\n"), after.join("\n"));
    let tags = aws(lab, endpoint, &["s3api", "get-bucket-tagging", "--bucket", BUCKET])?;
    let tags: Value = serde_json::from_str(&tags)?;
    let owner = serde_json::json!([{ "Key": "bucketwright:layout", "Value": BUCKET }]);
    ensure!(tags["TagSet"] == owner, "the tags are {tags}");
    lab.expect(ours().args(["plan", "--check"]))?;
    lab.expect(ours().args(["tree", "--check"]))?;
    Ok(text)
}

/// The actions of a run, as `put-setting tags`.
fn actions(output: &str) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for line in output.lines() {
        let event: Value = serde_json::from_str(line).with_context(|| format!("not JSON: `{line}`"))?;
        if event["type"] == "action" {
            found.push(format!(
                "{} {}",
                event["action"].as_str().unwrap_or_default(),
                event["setting"].as_str().unwrap_or_default()
            ));
        }
    }
    Ok(found)
}
