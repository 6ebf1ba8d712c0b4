//! Grants applied by the real binary to accounts of other servers, and what the AWS CLI sees there afterwards.
#![expect(clippy::disallowed_methods, reason = "layouts and backups are files")]

use super::endpoint::{Endpoint, Peer, moto};
use super::lab::{Lab, Ran};
use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use std::fs;

const BUCKET: &str = "bsingh-ml-workflows";
const CLUSTER: &str = "education-eks-vV8VCAqw";
const POLICY: &str = "FlyteMLS3Access";
const ACCOUNT: &str = "245966534215";
/// Node groups as the console names them, each with its role, whose name does not follow from the group's.
const GROUPS: [(&str, &str); 2] = [
    ("node-group-1-2025072404024606990000001e", "node-group-1-eks-node-group-20250724035220727000000001"),
    ("node-group-2-2025072404024606990000001f", "node-group-2-eks-node-group-20250724035220727200000003"),
];
const TRUST: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}]}"#;

/// The account of one server, seen by ours and by the AWS CLI.
struct Seen<'lab> {
    lab: &'lab Lab,
    endpoint: Endpoint,
}

impl Seen<'_> {
    /// An answer of the AWS CLI.
    fn aws(&self, words: &[&str]) -> Result<Value> {
        let text =
            self.lab.expect(self.endpoint.give(self.lab.client("aws")).args(words).args(["--output", "json"]))?;
        if text.trim().is_empty() {
            return Ok(Value::Null);
        }
        Ok(serde_json::from_str(&text)?)
    }

    fn ours(&self, words: &[&str]) -> Result<Ran> {
        self.lab.run(self.endpoint.give(self.lab.bucketwright()).args(words).args(["--output", "json"]))
    }

    /// Applies the layout; the kinds of actions in the account that were done.
    fn apply(&self) -> Result<Vec<String>> {
        let ran = self.ours(&["apply", "layout.toml", "--yes", "--only", "grants"])?.exit(0)?;
        done(&ran.stdout)
    }

    fn layout(&self, access: &str, attach: &str) -> Result<()> {
        let head = format!(
            "version = 1\nlayout = \"ml-workflows\"\n[[bucket]]\nname = \"{BUCKET}\"\nmanage = \"verify\"\n\
             template = \"ml-project\"\nprojects = [\"credit-scoring\"]\n"
        );
        let grant = match attach {
            "" => String::new(),
            _ => format!(
                "[[grant]]\npolicy = \"{POLICY}\"\naccess = \"{access}\"\non = [\"{BUCKET}\"]\nattach = [{attach}]\n"
            ),
        };
        Ok(fs::write(self.lab.path("layout.toml"), head + &grant)?)
    }

    fn role(&self, name: &str) -> Result<Value> {
        self.aws(&["iam", "create-role", "--role-name", name, "--assume-role-policy-document", TRUST])
    }

    /// The ARNs of the policies that a role has.
    fn attached(&self, role: &str) -> Result<Vec<String>> {
        let answer = self.aws(&["iam", "list-attached-role-policies", "--role-name", role])?;
        let listed = answer["AttachedPolicies"].as_array().cloned().unwrap_or_default();
        Ok(listed.iter().filter_map(|policy| Some(policy["PolicyArn"].as_str()?.to_owned())).collect())
    }

    fn versions(&self, arn: &str) -> Result<Vec<String>> {
        let answer = self.aws(&["iam", "list-policy-versions", "--policy-arn", arn])?;
        let listed = answer["Versions"].as_array().cloned().unwrap_or_default();
        Ok(listed.iter().filter_map(|version| Some(version["VersionId"].as_str()?.to_owned())).collect())
    }
}

/// The kinds of actions that were done.
fn done(stdout: &str) -> Result<Vec<String>> {
    let mut kinds = Vec::new();
    for line in stdout.lines() {
        let event: Value = serde_json::from_str(line).with_context(|| format!("no JSON: {line}"))?;
        if event["type"] == "action" && event["status"] == "done" {
            kinds.push(event["action"].as_str().unwrap_or_default().to_owned());
        }
    }
    Ok(kinds)
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, found: &T, wanted: &T) -> Result<()> {
    ensure!(found == wanted, "{what}: found {found:?}, wanted {wanted:?}");
    Ok(())
}

/// MiniStack with authentication on: attached, updated, pruned after a backup, revoked, and foreign policies left alone.
pub(crate) fn ministack(lab: &Lab) -> Result<()> {
    let seen = Seen { lab, endpoint: Peer::Ministack.start(lab)? };
    seen.aws(&["s3api", "create-bucket", "--bucket", BUCKET])?;
    let roles = GROUPS.map(|(_, role)| role);
    for role in roles {
        seen.role(role)?;
    }
    let both = roles.map(|role| format!("{{ role = \"{role}\" }}")).join(", ");
    seen.layout("read", &both)?;
    same("first run", &seen.apply()?, &words(&["create-policy", "attach-policy", "attach-policy"]))?;
    same("second run", &seen.apply()?, &Vec::new())?;
    let attached = seen.attached(roles[0])?;
    let arn = attached.first().context("nothing is attached")?.clone();
    same("attached to both", &seen.attached(roles[1])?, &attached)?;
    let tags = seen.aws(&["iam", "list-policy-tags", "--policy-arn", &arn])?;
    same("owner tag", &tags["Tags"].clone(), &json!([{"Key": "bucketwright:layout", "Value": "ml-workflows"}]))?;

    for access in ["append", "read-write", "read", "append", "read-write"] {
        seen.layout(access, &both)?;
        same(access, &seen.apply()?, &words(&["create-policy-version"]))?;
    }
    let mut versions = seen.versions(&arn)?;
    versions.sort();
    same("versions", &versions, &words(&["v2", "v3", "v4", "v5", "v6"]))?;
    let kept = lab.path(".bucketwright/backups");
    ensure!(kept.is_dir(), "the pruned version is in no backup");

    seen.layout("read-write", &format!("{{ role = \"{}\" }}", roles[0]))?;
    same("a role left", &seen.apply()?, &words(&["detach-policy"]))?;
    same("the role that left", &seen.attached(roles[1])?, &Vec::new())?;
    seen.layout("read-write", "")?;
    same("the grant left", &seen.apply()?, &words(&["detach-policy"]))?;
    same("the last role", &seen.attached(roles[0])?, &Vec::new())?;
    same("after the revocation", &seen.apply()?, &Vec::new())?;
    by_hand(&seen, roles[0])
}

/// A policy that somebody made by hand is refused, and stays as it is.
fn by_hand(seen: &Seen<'_>, role: &str) -> Result<()> {
    let theirs = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"*"}]}"#;
    let made = seen.aws(&["iam", "create-policy", "--policy-name", "ByHand", "--policy-document", theirs])?;
    let arn = made["Policy"]["Arn"].as_str().context("no ARN")?.to_owned();
    let look = || seen.aws(&["iam", "get-policy-version", "--policy-arn", &arn, "--version-id", "v1"]);
    let before = look()?;
    let text = fs::read_to_string(seen.lab.path("layout.toml"))?;
    let grant = format!(
        "[[grant]]\npolicy = \"ByHand\"\naccess = \"read\"\non = [\"{BUCKET}\"]\nattach = [{{ role = \"{role}\" }}]\n"
    );
    fs::write(seen.lab.path("layout.toml"), text + &grant)?;
    let refused = seen.ours(&["apply", "layout.toml", "--yes", "--only", "grants"])?.exit(1)?;
    ensure!(refused.stdout.contains("\"not-ours\""), "{refused}");
    same("the hand-made policy", &look()?, &before)?;
    same("its versions", &seen.versions(&arn)?, &words(&["v1"]))?;
    same("the role", &seen.attached(role)?, &Vec::new())
}

/// moto with an EKS cluster: both node groups' roles get the policy, the ARN is the expected one, and a second run writes
/// nothing.
pub(crate) fn moto_eks(lab: &Lab) -> Result<()> {
    let seen = Seen { lab, endpoint: moto(lab, ACCOUNT)? };
    seen.aws(&["s3api", "create-bucket", "--bucket", BUCKET])?;
    let control = seen.role("education-eks-control-plane")?;
    let control = control["Role"]["Arn"].as_str().context("no ARN")?.to_owned();
    let vpc = "subnetIds=subnet-1,subnet-2";
    seen.aws(&["eks", "create-cluster", "--name", CLUSTER, "--role-arn", &control, "--resources-vpc-config", vpc])?;
    for (group, role) in GROUPS {
        let made = seen.role(role)?;
        let arn = made["Role"]["Arn"].as_str().context("no ARN")?;
        let to = ["--cluster-name", CLUSTER, "--nodegroup-name", group, "--node-role", arn];
        seen.aws(&[&["eks", "create-nodegroup"][..], &to, &["--subnets", "subnet-1"]].concat())?;
    }
    seen.layout("read-write", &format!("{{ eks_cluster = \"{CLUSTER}\", node_groups = \"*\" }}"))?;
    same("first run", &seen.apply()?, &words(&["create-policy", "attach-policy", "attach-policy"]))?;
    for (_, role) in GROUPS {
        same(role, &seen.attached(role)?, &vec![format!("arn:aws:iam::{ACCOUNT}:policy/{POLICY}")])?;
    }
    same("second run", &seen.apply()?, &Vec::new())?;
    seen.layout("read-write", &format!("{{ eks_cluster = \"{CLUSTER}\", node_groups = \"node-group-2-*\" }}"))?;
    same("a group left", &seen.apply()?, &words(&["detach-policy"]))?;
    same("its role", &seen.attached(GROUPS[0].1)?, &Vec::new())?;
    seen.layout("read-write", &format!("{{ eks_cluster = \"{CLUSTER}\", node_groups = \"node-group-3\" }}"))?;
    let refused = seen.ours(&["plan", "layout.toml", "--only", "grants"])?.exit(4)?;
    ensure!(refused.stdout.contains("node-group-missing") && refused.stdout.contains(GROUPS[0].0), "{refused}");
    seen.layout("read-write", "{ eks_cluster = \"education-eks\" }")?;
    let refused = seen.ours(&["plan", "layout.toml", "--only", "grants"])?.exit(4)?;
    ensure!(refused.stdout.contains("cluster-missing") && refused.stdout.contains(CLUSTER), "{refused}");
    Ok(())
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}
