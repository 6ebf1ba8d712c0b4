//! `verify` as a role at a server written by others that enforces IAM: what is observed there is what was evaluated, what
//! is broken is found, and nothing stays.
#![expect(clippy::disallowed_methods, reason = "the layout and the policies are files")]

use super::endpoint::{Endpoint, Peer};
use super::lab::{Lab, Ran};
use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use std::fs;

const LAYOUT: &str = r#"
version = 1
layout = "verified"
[[bucket]]
name = "ml-lake"
template = "ml-project"
projects = ["credit", "fraud"]
[[bucket]]
name = "ml-other"
[[grant]]
policy = "Train"
access = "read-write"
on = ["ml-lake/credit"]
attach = [{ role = "trainer" }]
[[grant]]
policy = "Look"
access = "read"
on = ["ml-lake"]
attach = [{ role = "trainer" }, { role = "reader" }]
"#;

const EVERYTHING: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#;
const DENIES_MODELS: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"s3:*","Resource":"arn:aws:s3:::ml-lake/credit/models/*"}]}"#;

/// The account of a case: roles as people make them, and the caller, a user who is allowed everything.
struct Account<'lab> {
    lab: &'lab Lab,
    endpoint: Endpoint,
}

impl Account<'_> {
    fn aws(&self, words: &[&str]) -> Result<String> {
        self.lab.expect(self.endpoint.give(self.lab.client("aws")).args(words))
    }

    fn run(&self, words: &[&str]) -> Result<Ran> {
        self.lab.run(self.endpoint.give(self.lab.bucketwright()).args(words))
    }

    /// Makes a role that `principal` may take, with inline policies; returns its ARN.
    fn role(&self, name: &str, principal: &Value, policies: &[(&str, &str)]) -> Result<String> {
        let trust = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}]});
        let create = ["iam", "create-role", "--role-name", name, "--assume-role-policy-document", &trust.to_string()];
        let arn = self.aws(&[&create[..], &["--query", "Role.Arn", "--output", "text"]].concat())?;
        for (policy, document) in policies {
            self.put(name, policy, document)?;
        }
        Ok(arn.trim().to_owned())
    }

    fn put(&self, role: &str, policy: &str, document: &str) -> Result<()> {
        let names = ["iam", "put-role-policy", "--role-name", role, "--policy-name", policy];
        self.aws(&[&names[..], &["--policy-document", document]].concat()).map(drop)
    }

    /// Every version, delete marker and unfinished upload.
    fn held(&self) -> Result<String> {
        let mut held = String::new();
        for bucket in ["ml-lake", "ml-other"] {
            let query = "[Versions[].[Key,VersionId],DeleteMarkers[].[Key,VersionId]]";
            held += &self.aws(&["s3api", "list-object-versions", "--bucket", bucket, "--query", query])?;
            held += &self.aws(&["s3api", "list-multipart-uploads", "--bucket", bucket, "--query", "Uploads[].Key"])?;
        }
        Ok(held)
    }

    /// Runs `verify`, which must leave nothing, and end with `code`.
    fn verify(&self, code: i32, words: &[&str]) -> Result<Vec<Value>> {
        let before = self.held()?;
        let ran =
            self.run(&[&["verify", "layout.toml", "--access", "--output", "json"], words].concat())?.exit(code)?;
        let after = self.held()?;
        ensure!(after == before, "{ran}\nleaves something: before\n{before}\nafter\n{after}");
        ran.stdout.lines().map(|line| serde_json::from_str(line).context("no JSON")).collect()
    }
}

/// MiniStack with authentication on.
pub(crate) fn ministack(lab: &Lab) -> Result<()> {
    let account = Account { lab, endpoint: Peer::Ministack.start(lab)? };
    fs::write(lab.path("layout.toml"), LAYOUT)?;
    // The roles are made by hand, so that they can be given other rights than the layout says.
    account.run(&["apply", "layout.toml", "--yes", "--only", "settings,markers"])?.exit(0)?;
    let generated = lab.expect(lab.bucketwright().args(["policy", "generate", "layout.toml", "--output", "json"]))?;
    let documents: Vec<Value> = generated.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    let document = |name: &str| {
        let found = documents.iter().find(|line| line["type"] == "policy" && line["name"] == name);
        found.map(|line| line["document"].to_string()).with_context(|| format!("no policy `{name}`"))
    };
    let (train, look) = (document("Train")?, document("Look")?);
    let anybody = json!({"AWS": "*"});
    let trainer = account.role("trainer", &anybody, &[("Train", &train), ("Look", &look)])?;
    let reader = account.role("reader", &anybody, &[("Look", &look)])?;
    let broad = account.role("broad", &anybody, &[("everything", EVERYTHING)])?;
    let node = account.role("node", &json!({"Service": "ec2.amazonaws.com"}), &[("Train", &train)])?;

    let mut compared = 0;
    compared += as_evaluated(&account, &["--as", &trainer])?;
    compared += as_evaluated(&account, &["--as", &reader])?;
    compared += as_evaluated(&account, &["--session-policy", "--via", &broad])?;
    compared += as_evaluated(&account, &["--session-policy"])?;
    println!("{compared} cells, each as evaluated");

    refused(&account, &node)?;
    account.put("trainer", "stop", DENIES_MODELS)?;
    let events = account.verify(4, &["--as", &trainer])?;
    let wrong: Vec<&Value> = differing(&events).collect();
    let meant = |cell: &&Value| cell["target"] == "s3://ml-lake/credit/models/" && cell["observed"] == "deny";
    ensure!(wrong.len() == 4 && wrong.iter().all(meant), "a denial of models is seen as {wrong:#?}");
    let told = |cell: &&Value| cell["because"].as_str().is_some_and(|text| text.contains("explicit deny"));
    ensure!(wrong.iter().all(told), "the refusals do not tell why: {wrong:#?}");
    Ok(())
}

/// The cells whose answer is not the expected one.
fn differing(events: &[Value]) -> impl Iterator<Item = &Value> {
    events.iter().filter(|event| event["type"] == "cell" && event["expected"] != event["observed"])
}

/// What is observed is what the evaluator says, in every cell. Returns how many there are.
fn as_evaluated(account: &Account<'_>, words: &[&str]) -> Result<usize> {
    let events = account.verify(0, words)?;
    let cells = events.iter().filter(|event| event["type"] == "cell");
    let (allowed, denied): (Vec<&Value>, Vec<&Value>) = cells.partition(|cell| cell["observed"] == "allow");
    ensure!(allowed.len() > 4 && denied.len() > 10, "{words:?}: {} and {} cells", allowed.len(), denied.len());
    let wrong: Vec<&Value> = differing(&events).collect();
    ensure!(wrong.is_empty(), "{words:?}: {wrong:#?}");
    Ok(allowed.len() + denied.len())
}

/// A node's role cannot be taken from here, and the message says what can be done.
fn refused(account: &Account<'_>, node: &str) -> Result<()> {
    let events = account.verify(1, &["--as", node, "--grant", "Train"])?;
    let error = events.iter().find(|event| event["type"] == "error").context("no error")?;
    ensure!(error["kind"] == "role-refused", "{error}");
    let hints = error["hints"].to_string();
    ensure!(hints.contains("--session-policy --via ROLE") && hints.contains("ec2.amazonaws.com"), "{error}");
    Ok(())
}
