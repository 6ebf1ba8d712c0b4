//! What the directory takes and what it says about the rest.

use super::{Directory, Kind, PrincipalName};
use crate::model::AccountId;
use std::fs;
use std::path::Path;
use tempfile::TempDir;

const READ: &str = r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:GetObject","Resource":"*"}}"#;

fn write(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn directory() -> (TempDir, Directory) {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "policies/read.json", READ);
    write(folder.path(), "roles/trainer.json", r#"{"path": "/ml/", "policies": ["read"], "tags": {"team": "a"}}"#);
    write(folder.path(), "users/alice.json", &format!(r#"{{"inline": {{"own": {READ}}}, "boundary": "read"}}"#));
    let directory = Directory::new(folder.path().to_owned());
    (folder, directory)
}

#[test]
fn principals_are_found_by_name_and_by_arn() {
    let (_folder, directory) = directory();
    let account = AccountId::local();
    for text in ["trainer", "role/trainer", "arn:aws:iam::000000000000:role/ml/trainer"] {
        let role = directory.find(text, &account).unwrap();
        assert_eq!(role.arn(&account), "arn:aws:iam::000000000000:role/ml/trainer");
        assert_eq!((role.identity[0].name.as_str(), role.tags.len()), ("read", 1));
    }
    let user = directory.find("user/alice", &account).unwrap();
    assert_eq!((user.kind, user.identity[0].name.as_str(), user.boundary.is_some()), (Kind::User, "own", true));
    let check = |text: &str, expected: &str| {
        let error = directory.find(text, &account).unwrap_err().to_string();
        assert!(error.contains(expected), "{text}: {error}");
    };
    check("trainee", "there is no role `trainee` in ");
    check("trainee", "its roles are: trainer");
    check("arn:aws:iam::000000000000:role/trainer", "there is no role");
    check("arn:aws:iam::111111111111:role/ml/trainer", "another account");
    for text in ["../trainer", "role/../x", "a b", "", "group/x", "arn:aws:s3:::x"] {
        assert!(directory.find(text, &account).is_err(), "{text}");
    }
}

#[test]
fn mistakes_name_the_file_and_the_place() {
    let check = |sheet: &str, expected: &str| {
        let (folder, directory) = directory();
        write(
            folder.path(),
            "policies/bad.json",
            r#"{"Statement": [{"Effect": "allow", "Action": "*", "Resource": "*"}]}"#,
        );
        write(folder.path(), "roles/odd.json", sheet);
        let error = directory.find("odd", &AccountId::local()).unwrap_err().to_string();
        assert!(error.contains(expected), "{sheet}: {error}");
    };
    check("[]", "roles/odd.json`: must be an object");
    check("{", "not JSON");
    check(r#"{"policy": []}"#, "policy: unknown");
    check(r#"{"policies": "read"}"#, "policies: must be a list");
    check(r#"{"policies": ["read", "absent"]}"#, "policies[1]: there is no policy `absent`");
    check(r#"{"policies": ["../roles/odd"]}"#, "is no policy's name");
    check(r#"{"policies": ["bad"]}"#, "policies/bad.json`: Statement[0]");
    check(r#"{"policies": [], "policies": []}"#, "policies");
    check(r#"{"path": "ml"}"#, "path: `ml` is no path");
    check(r#"{"inline": {"own": {"Statement": 1}}}"#, "inline.own: `Statement` must be an object");
    check(r#"{"tags": {"a": 1}}"#, "tags.a: must be a text");
    check(&READ.replace("Statement", "inline"), "Version: unknown");
}

#[test]
fn an_edit_counts_at_once() {
    let (folder, directory) = directory();
    let name = PrincipalName::new(Kind::Role, "trainer").unwrap();
    let before = directory.principal(&name).unwrap().unwrap();
    write(folder.path(), "policies/read.json", &READ.replace("Allow", "Deny"));
    let after = directory.principal(&name).unwrap().unwrap();
    assert_ne!(before.identity, after.identity);
    fs::remove_file(folder.path().join("roles/trainer.json")).unwrap();
    assert!(directory.principal(&name).unwrap().is_none());
    assert_eq!(directory.names(Kind::User).unwrap().len(), 1);
}
