//! Folders that cannot be served: each says what stands in the way.
#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "what fails here fails the test")]

use crate::server_env::{open, options};
use bucketwright::server::Server;
use std::path::Path;

fn check(folder: &Path, expected: &str) {
    let error = Server::open(folder, options("us-east-1")).map(drop).unwrap_err().to_string();
    assert!(error.contains(expected) && error.contains(folder.to_str().unwrap()), "{error}");
}

#[test]
fn a_file_in_the_way() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    check(&file, "a file of that name is in the way");
    check(&file.join("below"), "a file of that name is in the way");
}

#[test]
fn a_damaged_secret_or_index() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("secret"), "short").unwrap();
    check(folder.path(), "its secret file is damaged");
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("index.redb"), [7; 10_000]).unwrap();
    check(folder.path(), "the index in");
}

#[test]
fn somebody_who_does_not_share() {
    let folder = tempfile::tempdir().unwrap();
    let index = redb::Database::create(folder.path().join("index.redb")).unwrap();
    check(folder.path(), "is in use by another process");
    drop(index);
    drop(open(folder.path()));
}

#[test]
fn records_of_another_kind() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path()));
    let index = redb::Database::create(folder.path().join("index.redb")).unwrap();
    let write = index.begin_write().unwrap();
    write.open_table(redb::TableDefinition::<&str, u64>::new("meta")).unwrap().insert("format", 99).unwrap();
    write.commit().unwrap();
    drop(index);
    check(folder.path(), "written by another version of bucketwright (format 99)");
}

#[test]
fn leftovers_are_swept_and_objects_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let server = open(folder.path());
    let below = folder.path().join("blobs/ab");
    std::fs::create_dir_all(&below).unwrap();
    std::fs::write(below.join(format!("{:032x}", 0xab)), "half a body").unwrap();
    std::fs::write(below.join("not a blob"), "").unwrap();
    let second = open(folder.path());
    assert_eq!(std::fs::read_dir(&below).unwrap().count(), 2, "another process may be writing it");
    drop((server, second));
    drop(open(folder.path()));
    assert_eq!(std::fs::read_dir(&below).unwrap().count(), 1, "the leftover goes, what is not ours stays");
}
