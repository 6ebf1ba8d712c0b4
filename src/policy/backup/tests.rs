//! What a backup holds, and what it takes to put it back.

use super::{Backup, BackupError, Observed, RestoreStep, Wanted, plan_restore};
use crate::model::{
    Arn, Attachments, InlinePolicy, ManagedPolicy, PolicyJson, PolicyName, PolicyVersion, Role, RoleName, Seen, TagKey,
    Tags, VersionId,
};
use jiff::Timestamp;
use std::collections::BTreeMap;

fn document(action: &str) -> PolicyJson {
    let statement = format!(r#"{{"Effect":"Allow","Action":"{action}","Resource":"*"}}"#);
    PolicyJson(format!(r#"{{"Version":"2012-10-17","Statement":[{statement}]}}"#))
}

fn arn(text: &str) -> Arn {
    format!("arn:aws:iam::111122223333:{text}").parse().unwrap()
}

fn role_name(text: &str) -> RoleName {
    text.parse().unwrap()
}

fn policy() -> ManagedPolicy {
    let version =
        |id: u32, action: &str| PolicyVersion { id: VersionId(id), created: None, document: document(action) };
    ManagedPolicy {
        arn: arn("policy/ml/Trainer"),
        name: "Trainer".parse().unwrap(),
        id: Some("ANPA1".to_owned()),
        description: None,
        default_version: VersionId(2),
        versions: vec![version(3, "s3:*"), version(2, "s3:GetObject"), version(1, "s3:PutObject")],
        attachments: 1,
        boundary_uses: 0,
        tags: [(TagKey::owner(), "ml".parse().unwrap())].into(),
        created: None,
        updated: None,
    }
}

fn role() -> Role {
    Role {
        arn: arn("role/x/node"),
        name: role_name("node"),
        description: None,
        trust: PolicyJson(r#"{"Version":"2012-10-17","Statement":[]}"#.to_owned()),
        attached: vec![arn("policy/ml/Trainer"), "arn:aws:iam::aws:policy/ReadOnly".parse().unwrap()],
        inline: vec![InlinePolicy { name: "own".parse().unwrap(), document: document("s3:ListBucket") }],
        boundary: Some(arn("policy/ml/Trainer")),
        tags: Tags::new(),
        created: None,
        last_use: None,
    }
}

fn backup() -> Backup {
    let taken: Timestamp = "2026-11-23T12:00:00.5Z".parse().unwrap();
    let mut backup = Backup::new(taken, "111122223333".parse().ok(), Some("arn:aws:iam::111122223333:root".to_owned()));
    backup.add_role(&role());
    let attachments = Attachments { roles: vec![role_name("node")], ..Attachments::default() };
    backup.add_policy(&policy(), Some(&attachments));
    backup.add_bucket(&"lake".parse().unwrap(), Some(&document("s3:*")), None);
    backup
}

fn read(files: &[(String, String)]) -> Result<Backup, BackupError> {
    let files: BTreeMap<&str, &str> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    Backup::read(files["manifest.json"], |path| files.get(path.as_str()).map(|text| (*text).to_owned()))
}

fn observed(policy: Seen<ManagedPolicy>, role: Seen<Role>) -> Observed {
    let name: PolicyName = "trainer".parse().unwrap();
    Observed { policies: [(name, policy)].into(), roles: [(role_name("NODE"), role)].into(), versions_per_policy: 5 }
}

fn planned(observed: &Observed) -> (Vec<(&'static str, String)>, Vec<&'static str>) {
    let plan = plan_restore(&backup(), &Wanted::default(), observed).unwrap();
    let steps = plan.steps.iter().map(|(step, _)| (step.action(), step.target())).collect();
    (steps, plan.findings.iter().map(|finding| finding.code).collect())
}

#[test]
fn a_backup_is_read_back_as_it_was() {
    let backup = backup();
    assert_eq!(backup.folder(), "111122223333/2026-11-23T120000Z");
    let files = backup.files();
    let paths: Vec<&str> = files.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(
        paths,
        [
            "buckets/lake/policy.json",
            "policies/ml/Trainer.json",
            "policies/ml/Trainer~v1.json",
            "policies/ml/Trainer~v3.json",
            "roles/x/node.json",
            "manifest.json"
        ]
    );
    assert_eq!(read(&files).unwrap(), backup);
}

#[test]
fn what_was_changed_or_is_missing_is_refused() {
    let mut files = backup().files();
    files[1].1.push(' ');
    assert!(matches!(read(&files), Err(BackupError::Changed(file)) if file == "policies/ml/Trainer.json"));
    files.remove(1);
    assert!(matches!(read(&files), Err(BackupError::Missing(_))));
    let other = |from: &str, to: &str| {
        let mut files = backup().files();
        let last = files.last_mut().unwrap();
        last.1 = last.1.replace(from, to);
        read(&files).unwrap_err()
    };
    assert!(matches!(other("\"format\": 1", "\"format\": 2"), BackupError::Format(2)));
    assert!(matches!(other("policies/ml/Trainer.json", "../../etc/passwd"), BackupError::Form { .. }));
    assert!(matches!(other("\"tool\"", "\"toll\""), BackupError::Form { .. }));
}

#[test]
fn only_what_is_missing_is_put_back() {
    let here = || observed(Seen::Here(policy()), Seen::Here(role()));
    assert_eq!(planned(&here()), (vec![], vec![]));
    let (steps, findings) = planned(&observed(Seen::Absent, Seen::Absent));
    let actions: Vec<&str> = steps.iter().map(|(action, _)| *action).collect();
    let expected =
        ["create-role", "create-policy", "put-boundary", "attach-policy", "put-inline-policy", "attach-policy"];
    assert_eq!((actions, findings), (expected.to_vec(), vec![]));
    // A version with that document is still there.
    let later = ManagedPolicy { default_version: VersionId(3), ..policy() };
    let (steps, _) = planned(&observed(Seen::Here(later.clone()), Seen::Here(role())));
    assert_eq!(steps, [("set-default-version", "arn:aws:iam::111122223333:policy/ml/Trainer@v2".to_owned())]);
    // None has it any more.
    let mut pruned = later.clone();
    pruned.versions.retain(|version| version.id != VersionId(2));
    let (steps, _) = planned(&observed(Seen::Here(pruned.clone()), Seen::Here(role())));
    assert_eq!(steps[0].0, "create-policy-version");
    let full = Observed { versions_per_policy: 2, ..observed(Seen::Here(pruned.clone()), Seen::Here(role())) };
    assert_eq!(planned(&full), (vec![], vec!["no-room"]));
    // Nobody is given what another document gives than the one that was backed up.
    let detached = Role { attached: vec!["arn:aws:iam::aws:policy/ReadOnly".parse().unwrap()], ..role() };
    let full = Observed { versions_per_policy: 2, ..observed(Seen::Here(pruned), Seen::Here(detached)) };
    assert_eq!(planned(&full), (vec![], vec!["no-room", "not-attached"]));
    // Detached.
    let bare = Role { attached: Vec::new(), inline: Vec::new(), boundary: None, ..role() };
    let (steps, _) = planned(&observed(Seen::Here(policy()), Seen::Here(bare)));
    assert_eq!(steps.len(), 4, "{steps:?}");
}

#[test]
fn what_belongs_to_somebody_else_is_left_alone() {
    let mut other = ManagedPolicy { default_version: VersionId(3), ..policy() };
    other.tags.insert(TagKey::owner(), "theirs".parse().unwrap());
    assert_eq!(planned(&observed(Seen::Here(other), Seen::Here(role()))), (vec![], vec!["owned-by-another"]));
    let moved = ManagedPolicy { arn: arn("policy/Trainer"), ..policy() };
    assert_eq!(planned(&observed(Seen::Here(moved), Seen::Here(role()))).1, ["other-path"]);
    let hidden = observed(Seen::Hidden("AccessDenied".to_owned()), Seen::Hidden("AccessDenied".to_owned()));
    assert_eq!(planned(&hidden), (vec![], vec!["not-visible", "not-visible"]));
    let otherwise = Role { trust: document("sts:AssumeRole"), ..role() };
    assert_eq!(planned(&observed(Seen::Here(policy()), Seen::Here(otherwise))), (vec![], vec!["differs"]));
}

#[test]
fn only_what_is_named_is_put_back() {
    let absent = observed(Seen::Absent, Seen::Absent);
    let wanted = Wanted { policies: ["TRAINER".parse().unwrap()].into(), ..Wanted::default() };
    let plan = plan_restore(&backup(), &wanted, &absent).unwrap();
    assert!(matches!(plan.steps[..], [(RestoreStep::CreatePolicy { .. }, _)]), "{:?}", plan.steps);
    assert_eq!(plan.findings[0].code, "not-attached", "the role that had it is gone");
}
