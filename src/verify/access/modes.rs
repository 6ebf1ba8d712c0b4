//! As whom access can be tried from here, and what to do for the rest.

use crate::layout::{AttachTarget, Layout};
use crate::model::{Endpoint, Identity};
use std::collections::BTreeSet;

/// What a round trip as the caller leaves open, and how to learn it: one line for each way. None for a layout without
/// grants.
pub fn advice(layout: &Layout, caller: &Identity, endpoint: Endpoint, local: bool) -> Vec<String> {
    if layout.grants.is_empty() {
        return Vec::new();
    }
    let mut lines = vec![format!(
        "this was tried as the caller, which says nothing about those who get {}",
        listed(layout.grants.iter().map(|grant| grant.policy.as_str()))
    )];
    let targets = || layout.grants.iter().flat_map(|grant| &grant.attach);
    let roles: BTreeSet<&str> = targets().filter_map(role_of).collect();
    let nodes = targets().any(|target| matches!(target, AttachTarget::NodeGroups { .. }));
    if let Some(role) = roles.first() {
        let example = match (local, &caller.account) {
            (true, _) => (*role).to_owned(),
            (false, Some(account)) => format!("arn:aws:iam::{account}:role/{role}"),
            (false, None) => format!("arn:aws:iam::ACCOUNT:role/{role}"),
        };
        let condition = if local { "if the directory has that role" } else { "if its trust policy lets you take it" };
        lines.push(format!("as the role itself: `verify --access --as {example}`, {condition}"));
    }
    let rehearsal = match (local, is_user(caller)) {
        (false, true) if endpoint == Endpoint::Aws => {
            "`verify --session-policy`, as you are a user; or with `--via ROLE` over any role that you may take"
        }
        (true, _) => "`verify --session-policy --via ROLE` over any role of the directory that may more",
        _ => "`verify --session-policy --via ROLE` over any role that you may take and that may more",
    };
    let why = if nodes && !local { ", which a node group's role needs: it cannot be taken from here" } else { "" };
    lines.push(format!("the policies without the roles{why}: {rehearsal}"));
    let pods = targets().any(|target| !matches!(target, AttachTarget::Role(_)));
    if pods && !local {
        lines.push("in the cluster, as its pods: `cluster job verify` prints the Jobs for that".to_owned());
    }
    lines.push("without any call: `verify --simulate`".to_owned());
    lines
}

/// What to do where a role cannot be taken.
pub const NOT_FROM_HERE: &str = "a role trusts those whom its trust policy names, and a node's role names only ec2.amazonaws.com: it cannot be \
     taken from here. Use `verify --session-policy --via ROLE` over a role that you may take, `--simulate`, `--local`, or run \
     verify in the cluster under that role, as `cluster job verify` prints it";

fn role_of(target: &AttachTarget) -> Option<&str> {
    match target {
        AttachTarget::Role(role) => Some(role),
        AttachTarget::Irsa(to) | AttachTarget::PodIdentity(to) => Some(&to.role),
        AttachTarget::NodeGroups { .. } => None,
    }
}

/// True for an IAM user, who may ask for a federation token; sessions may not.
///
/// Source: <https://docs.aws.amazon.com/STS/latest/APIReference/API_GetFederationToken.html>
pub fn is_user(caller: &Identity) -> bool {
    caller.arn.as_deref().is_some_and(|arn| arn.contains(":user/"))
}

fn listed<'names>(names: impl Iterator<Item = &'names str>) -> String {
    names.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::advice;
    use crate::layout::{ParseOptions, parse};
    use crate::model::{Endpoint, Identity};
    use std::collections::BTreeMap;

    const ROLE: &str = r#"{ role = "trainer" }"#;
    const NODES: &str = r#"{ eks_cluster = "c", node_groups = "*" }"#;

    fn check(attach: &str, arn: &str, local: bool, wanted: &[&str]) {
        let grant = format!("[[grant]]\npolicy = \"P\"\naccess = \"read\"\non = [\"lake\"]\nattach = [{attach}]\n");
        let grant = if attach.is_empty() { "" } else { &grant };
        let text = format!("version = 1\n[[bucket]]\nname = \"lake\"\n{grant}");
        let (set, env_vars) = (BTreeMap::new(), BTreeMap::new());
        let options = ParseOptions { file_stem: "l", environment: None, set: &set, env_vars: &env_vars };
        let layout = parse(text.as_bytes(), &options).unwrap();
        let caller = Identity { account: "111122223333".parse().ok(), arn: Some(arn.to_owned()) };
        let endpoint = if local { Endpoint::Embedded } else { Endpoint::Aws };
        let lines = advice(&layout, &caller, endpoint, local);
        assert_eq!(lines.len(), wanted.len(), "{lines:#?}");
        for (line, words) in lines.iter().zip(wanted) {
            assert!(line.contains(words), "`{words}`: {lines:#?}");
        }
    }

    #[test]
    fn every_caller_learns_its_ways() {
        let (user, session) = ("arn:aws:iam::111122223333:user/me", "arn:aws:sts::111122223333:assumed-role/admin/me");
        check("", user, false, &[]);
        let (open, simulate) = ("says nothing about those who get `P`", "`verify --simulate`");
        let jobs = "`cluster job verify` prints";
        let taken = "`verify --access --as arn:aws:iam::111122223333:role/trainer`, if its trust";
        check(ROLE, session, false, &[open, taken, "--session-policy --via ROLE`", simulate]);
        check(
            NODES,
            session,
            false,
            &[open, "cannot be taken from here: `verify --session-policy --via ROLE`", jobs, simulate],
        );
        check(NODES, user, false, &[open, "`verify --session-policy`, as you are a user", jobs, simulate]);
        check(
            ROLE,
            user,
            true,
            &[open, "`verify --access --as trainer`, if the directory", "role of the directory", simulate],
        );
    }
}
