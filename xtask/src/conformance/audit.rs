//! `policy audit` and `policy prune` in an account of somebody else's making: what nobody has is found, deleted after a
//! backup, and comes back equal.

use super::endpoint::Peer;
use super::grants::Seen;
use super::lab::Lab;
use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

const NARROW: &str = r#"{"Version":"2012-10-17","Statement":[{"Sid":"Read","Effect":"Allow","Action":["s3:GetObject"],"Resource":["arn:aws:s3:::lake/a+b/*"]}]}"#;
const WIDE: &str =
    r#"{"Version":"2012-10-17","Statement":[{"Sid":"Everything","Effect":"Allow","Action":"s3:*","Resource":"*"}]}"#;

/// What an audit or a prune told, as `code target`.
fn told(stdout: &str, kind: &str, field: &str) -> Result<Vec<String>> {
    let mut lines = Vec::new();
    for line in stdout.lines() {
        let event: Value = serde_json::from_str(line).with_context(|| format!("no JSON: {line}"))?;
        if event["type"] == kind && event["status"] != "planned" {
            let text = |field: &str| event[field].as_str().unwrap_or_default().to_owned();
            lines.push(format!("{} {}", text(field), text("target")));
        }
    }
    Ok(lines)
}

/// All of a policy that a way there and back must keep.
fn whole(seen: &Seen<'_>, arn: &str) -> Result<Value> {
    let policy = seen.aws(&["iam", "get-policy", "--policy-arn", arn])?["Policy"].clone();
    let version = policy["DefaultVersionId"].as_str().context("no version in force")?.to_owned();
    let read = ["iam", "get-policy-version", "--policy-arn", arn, "--version-id", &version];
    let document = seen.aws(&read)?["PolicyVersion"]["Document"].clone();
    let tags = seen.aws(&["iam", "list-policy-tags", "--policy-arn", arn])?["Tags"].clone();
    Ok(json!({ "path": policy["Path"], "description": policy["Description"], "document": document, "tags": tags }))
}

/// MiniStack with authentication on.
pub(crate) fn ministack(lab: &Lab) -> Result<()> {
    let seen = Seen { lab, endpoint: Peer::Ministack.start(lab)? };
    let tag = "Key=bucketwright:layout,Value=ml-workflows";
    let make = |name: &str, document: &str| -> Result<String> {
        let words = ["iam", "create-policy", "--policy-name", name, "--policy-document", document, "--path", "/ml/"];
        let made = seen.aws(&[&words[..], &["--description", "reads the lake", "--tags", tag]].concat())?;
        Ok(made["Policy"]["Arn"].as_str().context("no ARN")?.to_owned())
    };
    let (old, wide) = (make("OldReader", NARROW)?, make("FlyteEverything", WIDE)?);
    seen.role("trainer")?;
    seen.aws(&["iam", "attach-role-policy", "--role-name", "trainer", "--policy-arn", &wide])?;

    let found = seen.ours(&["policy", "audit", "--only", "policies"])?.exit(0)?;
    let codes = told(&found.stdout, "finding", "code")?;
    ensure!(codes.contains(&format!("audit-unattached {old}")), "{found}");
    ensure!(codes.contains(&format!("BW_S3_FULL_ACCESS {wide}")), "{found}");
    ensure!(!codes.contains(&format!("audit-unattached {wide}")), "{found}");
    seen.ours(&["policy", "audit", "--only", "policies", "--fail-on", "security-warning"])?.exit(4)?;

    let before = whole(&seen, &old)?;
    seen.ours(&["policy", "prune", "FlyteEverything", "--yes"])?.exit(1)?;
    let pruned = seen.ours(&["policy", "prune", "--unattached", "--yes"])?.exit(0)?;
    let done = told(&pruned.stdout, "action", "action")?;
    ensure!(done.last() == Some(&format!("delete-policy {old}")), "{pruned}");
    ensure!(whole(&seen, &old).is_err(), "the policy is still there");
    ensure!(whole(&seen, &wide)?["document"]["Statement"][0]["Sid"] == "Everything", "an attached policy was touched");
    let again = seen.ours(&["policy", "prune", "--unattached", "--yes"])?.exit(0)?;
    ensure!(told(&again.stdout, "action", "action")?.is_empty(), "{again}");

    let manifest = done.iter().find_map(|line| line.strip_prefix("write-backup ")).context("no backup is told")?;
    let folder = manifest.strip_suffix("/manifest.json").context("the backup has no manifest")?;
    seen.ours(&["policy", "restore", folder, "--yes"])?.exit(0)?;
    let after = whole(&seen, &old)?;
    ensure!(after == before, "restored {after}, was {before}");
    Ok(())
}
