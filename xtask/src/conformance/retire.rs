//! A project and then a bucket retired at MiniStack, by a user who has the operator's rights and those of `retire` and no
//! others.
#![expect(clippy::disallowed_methods, reason = "the layout is a file")]

use super::endpoint::{Endpoint, Peer};
use super::lab::{Lab, Ran};
use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use std::fs;
use std::process::Command;

const BUCKET: &str = "retired-workflows";
const ROLE: &str = "retired-trainer";
const TRUST: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}]}"#;

fn layout() -> String {
    format!(
        "version = 1\nlayout = \"retired\"\n[[bucket]]\nname = \"{BUCKET}\"\ntemplate = \"ml-project\"\n\
         projects = [\"credit\", \"fraud\"]\nwaive = {{ access-log = \"none here\" }}\n[[grant]]\npolicy = \"Retired\"\n\
         access = \"read-write\"\non = [\"{BUCKET}\"]\nattach = [{{ role = \"{ROLE}\" }}]\n"
    )
}

/// An IAM user of the server who has just some policies.
pub(super) struct User {
    key: String,
    secret: String,
}

impl User {
    /// Makes a user who has what `policy generate LAYOUT --for ..` prints for each of `audiences`.
    pub(super) fn with_rights(lab: &Lab, endpoint: &Endpoint, name: &str, audiences: &[&str]) -> Result<Self> {
        let iam = |words: &[&str]| lab.expect(endpoint.give(lab.client("aws")).arg("iam").args(words));
        iam(&["create-user", "--user-name", name])?;
        for audience in audiences {
            let generate = ["policy", "generate", "layout.toml", "--for", audience, "--output", "json"];
            let made = lab.expect(lab.bucketwright().args(generate))?;
            for line in made.lines() {
                let event: Value = serde_json::from_str(line).with_context(|| format!("no JSON: {line}"))?;
                let Some(policy) = event["name"].as_str() else { continue };
                let document = as_ministack_reads(event["document"].clone()).to_string();
                let query = ["--query", "Policy.Arn", "--output", "text"];
                let create = ["create-policy", "--policy-name", policy, "--policy-document", &document];
                let arn = iam(&[&create[..], &query].concat())?;
                iam(&["attach-user-policy", "--user-name", name, "--policy-arn", arn.trim()])?;
            }
        }
        let query = ["--query", "AccessKey.[AccessKeyId,SecretAccessKey]", "--output", "text"];
        let keys = iam(&[&["create-access-key", "--user-name", name][..], &query].concat())?;
        let (key, secret) = keys.trim().split_once('\t').context("no key and secret")?;
        Ok(Self { key: key.to_owned(), secret: secret.to_owned() })
    }

    /// Gives a client the endpoint and this user's keys.
    pub(super) fn give(&self, endpoint: &Endpoint, client: Command) -> Command {
        let mut client = endpoint.give(client);
        client.env("AWS_ACCESS_KEY_ID", &self.key).env("AWS_SECRET_ACCESS_KEY", &self.secret);
        client
    }
}

/// MiniStack 1.5.33 holds `iam:CreatePolicy` against no ARN, and its requests carry no `iam:PolicyARN`. The two statements that
/// say so exactly are loosened for it; all others stand as they were printed. What those two give on AWS is decided by the
/// evaluator in `tests/it/policy_generate.rs`.
fn as_ministack_reads(mut document: Value) -> Value {
    let Some(statements) = document["Statement"].as_array_mut() else { return document };
    for statement in statements.iter_mut().filter(|statement| statement["Sid"] == "AttachPolicies") {
        statement["Condition"] = json!({});
    }
    if statements.iter().any(|statement| statement["Sid"] == "WritePolicies") {
        statements.push(json!({ "Effect": "Allow", "Action": "iam:CreatePolicy", "Resource": "*" }));
    }
    document
}

/// The kinds of actions that were done.
fn done(ran: &Ran) -> Vec<String> {
    let events = ran.stdout.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let done = events.filter(|event| event["type"] == "action" && event["status"] == "done");
    done.filter_map(|event| Some(event["action"].as_str()?.to_owned())).collect()
}

/// Access goes, data stays until it is named, and nothing is left of the bucket at the end.
pub(crate) fn ministack(lab: &Lab) -> Result<()> {
    let endpoint = Peer::Ministack.start(lab)?;
    fs::write(lab.path("layout.toml"), layout())?;
    fs::write(lab.path("x.csv"), "a,b\n1,2\n")?;
    let aws = |words: &[&str]| lab.expect(endpoint.give(lab.client("aws")).args(words));
    aws(&["iam", "create-role", "--role-name", ROLE, "--assume-role-policy-document", TRUST])?;
    let user = User::with_rights(lab, &endpoint, "retirer", &["operator", "retire"])?;
    let ours = |code: i32, words: &[&str]| -> Result<Ran> {
        lab.run(user.give(&endpoint, lab.bucketwright()).args(words).args(["--output", "json"]))?.exit(code)
    };
    let retire = |words: &[&str]| ours(0, &[&["retire"], words, &["--yes"]].concat());
    ours(0, &["apply", "--yes"])?;
    let data = format!("s3://{BUCKET}/fraud/data/x.csv");
    for _ in 0..2 {
        aws(&["s3", "cp", "--no-progress", "x.csv", &data])?;
    }
    let project = format!("{BUCKET}/fraud");
    let first = retire(&[&project])?;
    let wanted = ["create-policy-version", "delete", "delete"];
    ensure!(done(&first) == wanted, "wanted {wanted:?}\n{first}");
    ensure!(aws(&["s3", "ls", &data])?.contains("x.csv"), "the data is gone");
    let again = retire(&[&project])?;
    ensure!(done(&again).is_empty(), "a second run did something\n{again}");

    let by_hand = format!("{BUCKET}/");
    let gone = retire(&[BUCKET, "--delete-objects", &by_hand, "--all-versions"])?;
    let kinds = done(&gone);
    ensure!(kinds.first().is_some_and(|kind| kind == "detach-policy"), "access does not go first\n{gone}");
    ensure!(kinds.last().is_some_and(|kind| kind == "delete-bucket"), "the bucket is still there\n{gone}");
    let looked = lab.run(endpoint.give(lab.client("aws")).args(["s3api", "head-bucket", "--bucket", BUCKET]))?;
    ensure!(!looked.status.success(), "the bucket is still there\n{looked}");
    let attached = aws(&["iam", "list-attached-role-policies", "--role-name", ROLE])?;
    ensure!(!attached.contains("Retired"), "the role still has the policy: {attached}");
    ensure!(done(&retire(&[BUCKET])?).is_empty(), "a run after the end did something");
    foreign(lab, &endpoint)
}

/// A bucket that somebody made by hand stays as it is.
fn foreign(lab: &Lab, endpoint: &Endpoint) -> Result<()> {
    lab.expect(endpoint.give(lab.client("aws")).args(["s3api", "create-bucket", "--bucket", BUCKET]))?;
    let words = ["retire", BUCKET, "--yes", "--output", "json"];
    let refused = lab.run(endpoint.give(lab.bucketwright()).args(words))?.exit(1)?;
    ensure!(refused.stdout.contains("\"not-ours\""), "{refused}");
    lab.expect(endpoint.give(lab.client("aws")).args(["s3api", "head-bucket", "--bucket", BUCKET])).map(drop)
}
