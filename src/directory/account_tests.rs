//! The directory as an account: what it tells, what it writes, and what it refuses as IAM would.

use super::{Directory, DirectoryError, LocalAccount, Rule};
use crate::model::{AccountId, Arn, PolicyJson, PolicyName, Region, Role, RoleName, Seen, TagKey, Tags, VersionId};
use std::fs;
use std::sync::Arc;
use tempfile::TempDir;

const TRUST: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}]}"#;

fn account() -> (TempDir, LocalAccount) {
    let folder = tempfile::tempdir().unwrap();
    let directory = Arc::new(Directory::new(folder.path().join("directory")));
    (folder, LocalAccount::new(directory, AccountId::local(), Region::us_east_1()))
}

fn document(action: &str) -> PolicyJson {
    let text =
        format!(r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Action":"{action}","Resource":"*"}}]}}"#);
    PolicyJson(text)
}

fn name(text: &str) -> PolicyName {
    text.parse().unwrap()
}

fn role(text: &str) -> RoleName {
    text.parse().unwrap()
}

fn tags() -> Tags {
    [(TagKey::owner(), "ml".parse().unwrap())].into()
}

fn policy(account: &LocalAccount, text: &str) -> Arn {
    account.create_policy(&name(text), "/ml/", "what for", &document("s3:GetObject"), &tags()).unwrap()
}

fn seen_role(account: &LocalAccount, text: &str) -> Role {
    match account.role(&role(text)).unwrap() {
        Seen::Here(role) => role,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn refused<T: std::fmt::Debug>(answer: Result<T, DirectoryError>, expected: Rule) {
    match answer {
        Err(DirectoryError::Refused { rule, .. }) => assert_eq!(rule, expected),
        other => panic!("{other:?}"),
    }
}

#[test]
fn versions_are_kept_as_iam_keeps_them() {
    let (folder, account) = account();
    let arn = policy(&account, "Trainer");
    assert_eq!(arn.as_str(), "arn:aws:iam::000000000000:policy/ml/Trainer");
    for action in ["s3:PutObject", "s3:DeleteObject", "s3:ListBucket", "s3:GetObjectTagging"] {
        account.create_version(&arn, &document(action)).unwrap();
    }
    refused(account.create_version(&arn, &document("s3:GetObject")), Rule::LimitExceeded);
    refused(account.delete_version(&arn, VersionId(5)), Rule::DeleteConflict);
    account.set_default(&arn, VersionId(2)).unwrap();
    account.delete_version(&arn, VersionId(5)).unwrap();
    account.delete_version(&arn, VersionId(5)).unwrap();
    refused(account.set_default(&arn, VersionId(5)), Rule::NoSuchEntity);
    let next = account.create_version(&arn, &document("s3:GetObject")).unwrap();
    assert_eq!(next, VersionId(6), "numbers are never used again");
    let Seen::Here(found) = account.policy(&arn).unwrap() else { panic!("it is there") };
    assert_eq!(found.versions.iter().map(|version| version.id.0).collect::<Vec<_>>(), [6, 4, 3, 2, 1]);
    assert_eq!((found.default_version, found.tags, found.description.as_deref()), (next, tags(), Some("what for")));
    let in_force = fs::read_to_string(folder.path().join("directory/policies/Trainer.json")).unwrap();
    assert!(in_force.contains("s3:GetObject\""), "{in_force}");
}

#[test]
fn what_stands_in_the_policys_own_file_is_in_force() {
    let (folder, account) = account();
    let arn = policy(&account, "Trainer");
    account.create_version(&arn, &document("s3:PutObject")).unwrap();
    let file = folder.path().join("directory/policies/Trainer.json");
    let in_force = || match account.policy(&arn).unwrap() {
        Seen::Here(policy) => (policy.default_version.0, policy.in_force().unwrap().document.0.clone()),
        other => panic!("{other:?}"),
    };
    // Put back by hand.
    fs::write(&file, document("s3:GetObject").0).unwrap();
    assert_eq!(in_force(), (1, document("s3:GetObject").0));
    // Edited by hand.
    fs::write(&file, document("s3:ListBucket").0).unwrap();
    assert_eq!(in_force(), (2, document("s3:ListBucket").0));
    account.create_version(&arn, &document("s3:DeleteObject")).unwrap();
    account.set_default(&arn, VersionId(2)).unwrap();
    assert_eq!(in_force(), (2, document("s3:ListBucket").0), "the edit is not lost");
    fs::remove_file(&file).unwrap();
    assert_eq!(account.policy(&arn).unwrap(), Seen::Absent);
}

#[test]
fn files_written_by_hand_are_policies_and_roles() {
    let (folder, account) = account();
    for (file, text) in [
        ("policies/read.json", document("s3:GetObject").0),
        ("roles/Trainer.json", r#"{"path": "/ml/", "policies": ["read"], "boundary": "read"}"#.to_owned()),
        ("users/alice.json", r#"{"policies": ["read"]}"#.to_owned()),
    ] {
        let path = folder.path().join("directory").join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let read = seen_role(&account, "trainer");
    assert_eq!(read.arn.as_str(), "arn:aws:iam::000000000000:role/ml/Trainer");
    assert_eq!(read.attached.iter().map(Arn::as_str).collect::<Vec<_>>(), ["arn:aws:iam::000000000000:policy/read"]);
    assert!(read.trust.0.contains("arn:aws:iam::000000000000:root"), "the account may take it");
    let Seen::Here(found) = account.policy_named(&name("READ")).unwrap() else { panic!("it is there") };
    assert_eq!((found.default_version, found.attachments, found.boundary_uses), (VersionId(1), 2, 1));
    let Seen::Here(used) = account.attachments(&found.arn).unwrap() else { panic!("it is there") };
    assert_eq!(
        (used.roles, used.users, used.boundary_of),
        (vec![role("Trainer")], vec!["alice".to_owned()], vec!["Trainer".to_owned()])
    );
    // A write keeps what it is not about.
    account.tag_role(&role("Trainer"), &tags()).unwrap();
    assert_eq!(seen_role(&account, "Trainer").attached, read.attached);
}

#[test]
fn names_are_unique_whatever_their_case() {
    let (_folder, account) = account();
    policy(&account, "Trainer");
    let again = account.create_policy(&name("TRAINER"), "/", "", &document("s3:GetObject"), &Tags::new());
    refused(again, Rule::EntityAlreadyExists);
    let trust = PolicyJson(TRUST.to_owned());
    account.create_role(&role("Node"), "/", "", &trust, &tags()).unwrap();
    refused(account.create_role(&role("node"), "/", "", &trust, &tags()), Rule::EntityAlreadyExists);
    account.ensure_role(&role("NODE")).unwrap();
    assert_eq!(account.roles().unwrap().len(), 1);
    assert_eq!(seen_role(&account, "node").trust.0, TRUST);
}

#[test]
fn attachments_have_a_limit_and_keep_policies_from_being_deleted() {
    let (_folder, account) = account();
    let node = role("node");
    let arn = policy(&account, "p0");
    refused(account.attach(&node, &arn), Rule::NoSuchEntity);
    account.ensure_role(&node).unwrap();
    for _ in 0..2 {
        account.attach(&node, &arn).unwrap();
    }
    for number in 1..10 {
        account.attach(&node, &policy(&account, &format!("p{number}"))).unwrap();
    }
    refused(account.attach(&node, &policy(&account, "p10")), Rule::LimitExceeded);
    refused(account.delete_policy(&arn), Rule::DeleteConflict);
    account.detach(&node, &arn).unwrap();
    account.detach(&node, &arn).unwrap();
    account.create_version(&arn, &document("s3:PutObject")).unwrap();
    refused(account.delete_policy(&arn), Rule::DeleteConflict);
    account.delete_version(&arn, VersionId(1)).unwrap();
    account.delete_policy(&arn).unwrap();
    account.delete_policy(&arn).unwrap();
    assert_eq!(account.policy(&arn).unwrap(), Seen::Absent);
    account.put_boundary(&node, &"arn:aws:iam::000000000000:policy/ml/p1".parse().unwrap()).unwrap();
    assert_eq!(seen_role(&account, "node").boundary.unwrap().resource(), "policy/ml/p1");
}

#[test]
fn documents_that_iam_refuses_are_refused() {
    let (_folder, account) = account();
    let arn = policy(&account, "Trainer");
    account.ensure_role(&role("node")).unwrap();
    let check = |text: &str, rule: Rule| {
        refused(account.create_version(&arn, &PolicyJson(text.to_owned())), rule);
        refused(account.put_inline(&role("node"), &name("own"), &PolicyJson(text.to_owned())), rule);
    };
    check("{", Rule::MalformedPolicyDocument);
    check(r#"{"Version":"2012-10-17"}"#, Rule::MalformedPolicyDocument);
    check(
        r#"{"Statement":{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}}"#,
        Rule::MalformedPolicyDocument,
    );
    let long = document(&"s3:GetObject".repeat(1000));
    check(&long.0, Rule::LimitExceeded);
    let half = document(&"x".repeat(5000));
    account.put_inline(&role("node"), &name("one"), &half).unwrap();
    account.put_inline(&role("node"), &name("ONE"), &half).unwrap();
    account.put_inline(&role("node"), &name("two"), &half).unwrap();
    refused(account.put_inline(&role("node"), &name("three"), &half), Rule::LimitExceeded);
    assert_eq!(seen_role(&account, "node").inline.len(), 2);
    for trust in ["{}", &document("sts:AssumeRole").0, &TRUST.replace("ec2", &"e".repeat(3000))] {
        let answer = account.put_trust(&role("node"), &PolicyJson(trust.to_owned()));
        assert!(matches!(answer, Err(DirectoryError::Refused { .. })), "{trust}: {answer:?}");
    }
    account.put_trust(&role("node"), &PolicyJson(TRUST.to_owned())).unwrap();
    refused(account.create_policy(&name("x"), "ml", "", &document("s3:GetObject"), &tags()), Rule::InvalidInput);
}

#[test]
fn clusters_are_as_described_or_have_one_node_group() {
    let (folder, account) = account();
    let Seen::Here(unknown) = account.cluster("education-eks").unwrap() else { panic!("every cluster is there") };
    assert_eq!(unknown.node_groups[0].name, "default");
    let node = RoleName::of_arn(&unknown.node_groups[0].role).unwrap();
    assert!(account.role(&node).unwrap().here().is_some(), "its nodes have a role");
    fs::write(
        folder.path().join("directory/directory.toml"),
        "[[cluster]]\nname = \"lab\"\noidc_issuer = \"https://oidc.example/id/1\"\n\
         [[cluster.node_group]]\nname = \"b\"\nrole = \"shared\"\n[[cluster.node_group]]\nname = \"a\"\nrole = \"shared\"\n",
    )
    .unwrap();
    let Seen::Here(lab) = account.cluster("lab").unwrap() else { panic!("it is described") };
    assert_eq!(lab.node_groups.iter().map(|group| group.name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(lab.oidc_issuer.as_deref(), Some("https://oidc.example/id/1"));
    let shared = lab.node_groups[0].role.clone();
    let id = account.create_association("lab", "flyte", "trainer", &shared, &tags()).unwrap();
    refused(account.create_association("lab", "flyte", "trainer", &shared, &tags()), Rule::EntityAlreadyExists);
    let Seen::Here(lab) = account.cluster("lab").unwrap() else { panic!("it is described") };
    assert_eq!((lab.associations[0].id.as_str(), &lab.associations[0].role), (id.as_str(), &shared));
    let trust = PolicyJson(TRUST.to_owned());
    let other = account.create_role(&role("other"), "/", "", &trust, &tags()).unwrap();
    account.update_association("lab", &id, &other).unwrap();
    let Seen::Here(lab) = account.cluster("lab").unwrap() else { panic!("it is described") };
    let kept = &lab.associations[0];
    assert_eq!((&kept.id, &kept.role, &kept.tags), (&id, &other, &tags()));
    refused(account.update_association("lab", "a-9", &other), Rule::NoSuchEntity);
    let nobody: Arn = other.to_string().replace("/other", "/nobody").parse().unwrap();
    refused(account.update_association("lab", &id, &nobody), Rule::NoSuchEntity);
    account.delete_association("lab", &id).unwrap();
    account.delete_association("lab", &id).unwrap();
    for bad in ["../x", "", "a/b", "-x"] {
        refused(account.cluster(bad), Rule::InvalidInput);
    }
    fs::write(folder.path().join("directory/directory.toml"), "[[cluster]]\nnome = \"lab\"\n").unwrap();
    let error = account.cluster("lab").unwrap_err().to_string();
    assert!(error.contains("line 2") && error.contains("nome"), "{error}");
}

#[test]
fn writers_take_turns() {
    let (_folder, account) = account();
    account.ensure_role(&role("node")).unwrap();
    let arns: Vec<Arn> = (0..8).map(|number| policy(&account, &format!("p{number}"))).collect();
    std::thread::scope(|scope| {
        for arn in &arns {
            // Each thread opens the files as a process of its own would.
            let directory = Arc::new(Directory::new(account.directory.folder.clone()));
            let account = LocalAccount::new(directory, AccountId::local(), Region::us_east_1());
            scope.spawn(move || account.attach(&role("node"), arn).unwrap());
        }
    });
    assert_eq!(seen_role(&account, "node").attached.len(), arns.len());
}
