//! Grants applied by the real binary to accounts of other servers, and what the AWS CLI sees there afterwards.
#![expect(clippy::disallowed_methods, reason = "layouts and backups are files")]

use super::endpoint::{Endpoint, Peer, moto};
use super::lab::{Lab, Ran};
use super::retire::User;
use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

pub(super) const BUCKET: &str = "bsingh-ml-workflows";
pub(super) const CLUSTER: &str = "education-eks-vV8VCAqw";
pub(super) const POLICY: &str = "FlyteMLS3Access";
pub(super) const ACCOUNT: &str = "245966534215";
/// The role of the cluster's control plane.
pub(super) const CONTROL: &str = "education-eks-control-plane";
/// Node groups as the console names them, each with its role, whose name does not follow from the group's.
pub(super) const GROUPS: [(&str, &str); 2] = [
    ("node-group-1-2025072404024606990000001e", "node-group-1-eks-node-group-20250724035220727000000001"),
    ("node-group-2-2025072404024606990000001f", "node-group-2-eks-node-group-20250724035220727200000003"),
];
const TRUST: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}]}"#;

/// The account of one server, seen by ours and by the AWS CLI.
pub(super) struct Seen<'lab> {
    pub(super) lab: &'lab Lab,
    pub(super) endpoint: Endpoint,
}

impl Seen<'_> {
    /// An answer of the AWS CLI.
    pub(super) fn aws(&self, words: &[&str]) -> Result<Value> {
        let text =
            self.lab.expect(self.endpoint.give(self.lab.client("aws")).args(words).args(["--output", "json"]))?;
        if text.trim().is_empty() {
            return Ok(Value::Null);
        }
        Ok(serde_json::from_str(&text)?)
    }

    pub(super) fn ours(&self, words: &[&str]) -> Result<Ran> {
        self.lab.run(self.endpoint.give(self.lab.bucketwright()).args(words).args(["--output", "json"]))
    }

    /// Applies the layout; the kinds of actions in the account that were done.
    pub(super) fn apply(&self) -> Result<Vec<String>> {
        let ran = self.ours(&["apply", "layout.toml", "--yes", "--only", "grants"])?.exit(0)?;
        done(&ran.stdout)
    }

    pub(super) fn layout(&self, access: &str, attach: &str) -> Result<()> {
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

    pub(super) fn role(&self, name: &str) -> Result<Value> {
        self.aws(&["iam", "create-role", "--role-name", name, "--assume-role-policy-document", TRUST])
    }

    /// The cluster and its node groups, of roles that are there.
    pub(super) fn cluster(&self) -> Result<()> {
        let arn = |role: &str| -> Result<String> {
            let found = self.aws(&["iam", "get-role", "--role-name", role])?;
            Ok(found["Role"]["Arn"].as_str().context("no ARN")?.to_owned())
        };
        let make =
            ["eks", "create-cluster", "--name", CLUSTER, "--resources-vpc-config", "subnetIds=subnet-1,subnet-2"];
        self.aws(&[&make[..], &["--role-arn", &arn(CONTROL)?]].concat())?;
        for (group, role) in GROUPS {
            let make = ["eks", "create-nodegroup", "--cluster-name", CLUSTER, "--nodegroup-name", group];
            self.aws(&[&make[..], &["--subnets", "subnet-1", "--node-role", &arn(role)?]].concat())?;
        }
        Ok(())
    }

    /// The ARNs of the policies that a role has.
    pub(super) fn attached(&self, role: &str) -> Result<Vec<String>> {
        let answer = self.aws(&["iam", "list-attached-role-policies", "--role-name", role])?;
        let listed = answer["AttachedPolicies"].as_array().cloned().unwrap_or_default();
        Ok(listed.iter().filter_map(|policy| Some(policy["PolicyArn"].as_str()?.to_owned())).collect())
    }

    pub(super) fn versions(&self, arn: &str) -> Result<Vec<String>> {
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

pub(super) fn same<T: PartialEq + std::fmt::Debug>(what: &str, found: &T, wanted: &T) -> Result<()> {
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
    let kept = below(&lab.path(".bucketwright/backups"))?;
    let pruned = kept.iter().filter(|path| path.ends_with(&format!("{POLICY}~v1.json")));
    ensure!(pruned.count() == 1, "the pruned version is in no backup, or in several: {kept:?}");
    // MiniStack 1.5.33 cannot put an older version in force; moto can.
    let refused = seen.ours(&["policy", "rollback", POLICY, "--yes"])?.exit(1)?;
    ensure!(refused.stdout.contains("Unknown IAM action: SetDefaultPolicyVersion"), "{refused}");
    restored(&seen, &arn, roles)?;

    seen.layout("read-write", &format!("{{ role = \"{}\" }}", roles[0]))?;
    same("a role left", &seen.apply()?, &words(&["detach-policy"]))?;
    same("the role that left", &seen.attached(roles[1])?, &Vec::new())?;
    seen.layout("read-write", "")?;
    same("the grant left", &seen.apply()?, &words(&["detach-policy"]))?;
    same("the last role", &seen.attached(roles[0])?, &Vec::new())?;
    same("after the revocation", &seen.apply()?, &Vec::new())?;
    as_operator(&seen, roles)?;
    by_hand(&seen, roles[0])?;
    seen.role(CONTROL)?;
    seen.cluster()?;
    role_by_hand(&seen)
}

/// An older version is put in force, and the one of the layout again.
fn rolled_back(seen: &Seen<'_>, arn: &str, [older, own]: [&str; 2]) -> Result<()> {
    let in_force = || -> Result<Value> {
        let found = seen.aws(&["iam", "get-policy", "--policy-arn", arn])?;
        Ok(found["Policy"]["DefaultVersionId"].clone())
    };
    same("before", &in_force()?, &json!(own))?;
    seen.ours(&["policy", "rollback", POLICY, "--yes"])?.exit(0)?;
    same("rolled back", &in_force()?, &json!(older))?;
    seen.ours(&["policy", "rollback", POLICY, "--to", own, "--yes"])?.exit(0)?;
    same("and to the version that was named", &in_force()?, &json!(own))?;
    same("as the layout says", &seen.apply()?, &Vec::new())
}

/// What is lost comes back from a backup as it was.
fn restored(seen: &Seen<'_>, arn: &str, roles: [&str; 2]) -> Result<()> {
    let before = picture(seen, arn, roles)?;
    seen.ours(&["policy", "backup", "--to", "backups"])?.exit(0)?;
    for role in roles {
        seen.aws(&["iam", "detach-role-policy", "--role-name", role, "--policy-arn", arn])?;
    }
    for version in seen.versions(arn)?.iter().filter(|version| *version != "v6") {
        seen.aws(&["iam", "delete-policy-version", "--policy-arn", arn, "--version-id", version])?;
    }
    seen.aws(&["iam", "delete-policy", "--policy-arn", arn])?;
    seen.aws(&["iam", "delete-role", "--role-name", roles[1]])?;
    let manifests = below(&seen.lab.path("backups"))?;
    let manifest = manifests.iter().find(|path| path.ends_with("manifest.json")).context("no backup")?;
    let folder = Path::new(manifest).parent().and_then(Path::to_str).context("no folder")?;
    seen.ours(&["policy", "restore", folder, "--yes"])?.exit(0)?;
    let after = picture(seen, arn, roles)?;
    for (what, was) in before.as_object().context("no picture")? {
        same(&format!("what was lost: {what}"), &after[what], was)?;
    }
    same("after the restoration", &seen.apply()?, &Vec::new())
}

/// What a policy and two roles say, without the numbers and times that the service gives.
fn picture(seen: &Seen<'_>, arn: &str, roles: [&str; 2]) -> Result<Value> {
    let policy = seen.aws(&["iam", "get-policy", "--policy-arn", arn])?;
    let version = policy["Policy"]["DefaultVersionId"].as_str().context("no version")?;
    let version = seen.aws(&["iam", "get-policy-version", "--policy-arn", arn, "--version-id", version])?;
    let tags = seen.aws(&["iam", "list-policy-tags", "--policy-arn", arn])?;
    let mut picture = json!({
        "description": policy["Policy"]["Description"], "path": policy["Policy"]["Path"],
        "document": version["PolicyVersion"]["Document"], "tags": tags["Tags"],
    });
    for role in roles {
        let found = seen.aws(&["iam", "get-role", "--role-name", role])?;
        picture[role] = json!({
            "trust": found["Role"]["AssumeRolePolicyDocument"], "path": found["Role"]["Path"],
            "description": found["Role"]["Description"], "attached": seen.attached(role)?,
        });
    }
    Ok(picture)
}

/// The paths of all files in a folder.
fn below(folder: &Path) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        match path.is_dir() {
            true => found.extend(below(&path)?),
            false => found.push(path.display().to_string()),
        }
    }
    Ok(found)
}

/// The same by a user who has what `policy generate --for operator` prints, and nothing else.
fn as_operator(seen: &Seen<'_>, roles: [&str; 2]) -> Result<()> {
    let attach =
        |roles: &[&str]| roles.iter().map(|role| format!("{{ role = \"{role}\" }}")).collect::<Vec<_>>().join(", ");
    let policy = |access: &str, roles: &[&str]| {
        seen.layout(access, &attach(roles))?;
        let text = fs::read_to_string(seen.lab.path("layout.toml"))?;
        fs::write(seen.lab.path("layout.toml"), text.replace(POLICY, "ByOperator")).map_err(anyhow::Error::from)
    };
    policy("read", &roles)?;
    let user = User::with_rights(seen.lab, &seen.endpoint, "operator", &["operator"])?;
    let apply = || -> Result<Vec<String>> {
        let words = ["apply", "layout.toml", "--yes", "--only", "grants", "--output", "json"];
        let ran = seen.lab.run(user.give(&seen.endpoint, seen.lab.bucketwright()).args(words))?.exit(0)?;
        done(&ran.stdout)
    };
    same("the operator", &apply()?, &words(&["create-policy", "attach-policy", "attach-policy"]))?;
    same("the operator once more", &apply()?, &Vec::new())?;
    for access in ["append", "read-write", "read", "append", "read-write"] {
        policy(access, &roles)?;
        same(access, &apply()?, &words(&["create-policy-version"]))?;
    }
    policy("read-write", &roles[1..])?;
    same("a role left", &apply()?, &words(&["detach-policy"]))?;
    let other = ["iam", "create-role", "--role-name", "another", "--assume-role-policy-document", TRUST];
    let refused = seen.lab.run(user.give(&seen.endpoint, seen.lab.client("aws")).args(other))?;
    ensure!(!refused.status.success() && refused.stderr.contains("AccessDenied"), "roles are not its own\n{refused}");
    Ok(())
}

/// A policy that somebody made by hand is refused, and stays as it is.
fn by_hand(seen: &Seen<'_>, role: &str) -> Result<()> {
    let theirs = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"*"}]}"#;
    let make = ["iam", "create-policy", "--policy-name", "ByHand", "--policy-document", theirs];
    let made = seen.aws(&[&make[..], &["--description", "made by hand", "--tags", "Key=team,Value=a"]].concat())?;
    let arn = made["Policy"]["Arn"].as_str().context("no ARN")?.to_owned();
    // All that the service says of it, times included.
    let look = || -> Result<Vec<Value>> {
        let of = ["--policy-arn", &arn];
        let asked =
            [&["get-policy"][..], &["list-policy-versions"], &["list-policy-tags"], &["list-entities-for-policy"]];
        let mut all: Vec<Value> =
            asked.iter().map(|call| seen.aws(&[&["iam"][..], call, &of].concat())).collect::<Result<_>>()?;
        all.push(seen.aws(&[&["iam", "get-policy-version"][..], &of, &["--version-id", "v1"]].concat())?);
        Ok(all)
    };
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

/// moto with the bucket, and the cluster with its two node groups, each with a role. Returns the control plane's role, too.
pub(super) fn eks_account(lab: &Lab) -> Result<(Seen<'_>, &'static str)> {
    let seen = Seen { lab, endpoint: moto(lab, ACCOUNT)? };
    seen.aws(&["s3api", "create-bucket", "--bucket", BUCKET])?;
    for name in [CONTROL, GROUPS[0].1, GROUPS[1].1] {
        seen.role(name)?;
    }
    seen.cluster()?;
    Ok((seen, CONTROL))
}

/// moto with an EKS cluster: both node groups' roles get the policy, the ARN is the expected one, and a second run writes
/// nothing.
pub(crate) fn moto_eks(lab: &Lab) -> Result<()> {
    let (seen, _) = eks_account(lab)?;
    seen.layout("read-write", &format!("{{ eks_cluster = \"{CLUSTER}\", node_groups = \"*\" }}"))?;
    same("first run", &seen.apply()?, &words(&["create-policy", "attach-policy", "attach-policy"]))?;
    for (_, role) in GROUPS {
        same(role, &seen.attached(role)?, &vec![format!("arn:aws:iam::{ACCOUNT}:policy/{POLICY}")])?;
    }
    same("second run", &seen.apply()?, &Vec::new())?;
    seen.layout("append", &format!("{{ eks_cluster = \"{CLUSTER}\", node_groups = \"*\" }}"))?;
    same("less access", &seen.apply()?, &words(&["create-policy-version"]))?;
    rolled_back(&seen, &format!("arn:aws:iam::{ACCOUNT}:policy/{POLICY}"), ["v1", "v2"])?;
    seen.layout("append", &format!("{{ eks_cluster = \"{CLUSTER}\", node_groups = \"node-group-2-*\" }}"))?;
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

/// A role that somebody made by hand, and that the service account of a grant may not take, is refused and stays as it is.
fn role_by_hand(seen: &Seen<'_>) -> Result<()> {
    let name = "by-hand";
    seen.role(name)?;
    seen.aws(&["iam", "tag-role", "--role-name", name, "--tags", "Key=team,Value=a"])?;
    let own = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:ListBucket","Resource":"*"}]}"#;
    let put = ["iam", "put-role-policy", "--role-name", name, "--policy-name", "Own", "--policy-document", own];
    seen.aws(&put)?;
    let look = || -> Result<Vec<Value>> {
        let asked = ["get-role", "list-role-tags", "list-role-policies", "list-attached-role-policies"];
        let all = asked.iter().map(|call| seen.aws(&["iam", call, "--role-name", name]));
        let mut all: Vec<Value> = all.collect::<Result<_>>()?;
        all.push(seen.aws(&["iam", "get-role-policy", "--role-name", name, "--policy-name", "Own"])?);
        Ok(all)
    };
    let before = look()?;
    let target = format!(
        "{{ pod_identity = {{ cluster = \"{CLUSTER}\", namespace = \"flyte\", service_account = \"default\", \
         role = \"{name}\" }} }}"
    );
    seen.layout("read-write", &target)?;
    let refused = seen.ours(&["apply", "layout.toml", "--yes", "--only", "grants"])?.exit(1)?;
    ensure!(refused.stdout.contains("\"not-ours\"") && refused.stdout.contains(name), "{refused}");
    same("the hand-made role", &look()?, &before)?;
    let made = seen.aws(&["eks", "list-pod-identity-associations", "--cluster-name", CLUSTER])?;
    same("associations", &made["associations"].as_array().map_or(0, Vec::len), &0)
}

pub(super) fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}
