//! Effective access by table: folders with their caps, a grant, keys with what they get.

use super::{Entitlement, Ground, caps};
use crate::layout::{Folder, FolderAccess, ListScope, Place};
use crate::model::BucketName;
use FolderAccess::{Append, Read, ReadWrite};

fn bucket() -> BucketName {
    "lake".parse().unwrap()
}

fn folder(prefix: &str, access: FolderAccess) -> Folder {
    Folder {
        project: None,
        path: prefix.to_owned(),
        prefix: prefix.parse().unwrap(),
        access,
        noncurrent_days: None,
        markers: None,
    }
}

fn entitlement(folders: &[(&str, FolderAccess)], access: FolderAccess, on: &[&str], list: ListScope) -> Entitlement {
    let folders: Vec<Folder> = folders.iter().map(|(prefix, access)| folder(prefix, *access)).collect();
    let place = |prefix: &&str| Place { bucket: bucket(), prefix: prefix.parse().unwrap() };
    Entitlement {
        name: "P".to_owned(),
        access,
        list,
        places: on.iter().map(place).collect(),
        grounds: [(bucket(), Ground { kms_key: None, caps: caps(&folders) })].into(),
    }
}

const TREE: &[(&str, FolderAccess)] = &[("p/data/", Append), ("p/models/", ReadWrite), ("p/raw/", Read)];

#[test]
fn the_lesser_of_grant_and_folder_counts() {
    for (access, on, key, expected) in [
        (ReadWrite, "", "p/data/x", Some(Append)),
        (ReadWrite, "", "p/data/", Some(Append)),
        (ReadWrite, "", "p/models/a/b", Some(ReadWrite)),
        (ReadWrite, "", "p/raw/x", Some(Read)),
        (ReadWrite, "", "p/data", Some(Read)),
        (ReadWrite, "", "p/data-2/x", Some(Read)),
        (ReadWrite, "", "x", Some(Read)),
        (Append, "", "p/models/x", Some(Append)),
        (Read, "", "x", Some(Read)),
        (ReadWrite, "p/models/", "p/models/x", Some(ReadWrite)),
        (ReadWrite, "p/models/", "p/models/deeper/x", Some(ReadWrite)),
        (ReadWrite, "p/models/", "p/data/x", None),
        (ReadWrite, "p/models/", "p/models", None),
        (ReadWrite, "p/", "p/data/x", Some(Append)),
        (ReadWrite, "p/", "p/other", Some(Read)),
        (ReadWrite, "p/", "q/x", None),
    ] {
        let found = entitlement(TREE, access, &[on], ListScope::Scoped).at(&bucket(), key);
        assert_eq!(found, expected, "{access} on `{on}` at `{key}`");
    }
    assert_eq!(entitlement(TREE, ReadWrite, &[""], ListScope::Bucket).at(&"other".parse().unwrap(), "p/data/x"), None);
}

#[test]
fn outside_of_folders_there_is_only_reading() {
    for (folders, key, expected) in [
        (&[][..], "x", ReadWrite),
        (&[("a/", ReadWrite), ("b/", ReadWrite)], "x", Read),
        (&[("a/", Append)], "x", Read),
        (&[("a/b/", ReadWrite)], "a/x", Read),
    ] {
        let found = entitlement(folders, ReadWrite, &[""], ListScope::Scoped).at(&bucket(), key);
        assert_eq!(found, Some(expected), "{folders:?}");
    }
}

#[test]
fn what_a_folder_takes_no_folder_inside_gives_back() {
    let nested = &[("a/", ReadWrite), ("a/b/", Append), ("a/b/c/", ReadWrite), ("a/d/", Append), ("a/d/e/", Read)];
    let opened = &[("a/", Read), ("a/b/", ReadWrite), ("a/b/c/", Append), ("a/b/c/d/", ReadWrite)];
    for (folders, key, expected) in [
        (&nested[..], "a/x", ReadWrite),
        (nested, "a/b/x", Append),
        (nested, "a/b/c/x", Append),
        (nested, "a/d/e/x", Read),
        (opened, "a/x", Read),
        (opened, "a/b/x", ReadWrite),
        (opened, "a/b/c/x", Append),
        (opened, "a/b/c/d/x", Append),
    ] {
        let found = entitlement(folders, ReadWrite, &["a/"], ListScope::Scoped).at(&bucket(), key);
        assert_eq!(found, Some(expected), "{key}");
    }
}

#[test]
fn listings_by_scope() {
    let tree = &[("team-a/", ReadWrite), ("team-ab/", ReadWrite), ("x/y/", Read)];
    let cases = [
        // prefix, delimiter; scoped to team-a/, root, bucket; scoped to x/y/
        (Some("team-a/"), None, [true, true, true, false]),
        (Some("team-a/deep/"), None, [true, true, true, false]),
        (Some("team-a"), None, [false, false, true, false]),
        (Some("team-a"), Some("/"), [true, true, true, false]),
        (Some("team-ab/"), None, [false, false, true, false]),
        (Some("x/y"), None, [false, false, true, true]),
        (Some("x/"), None, [false, false, true, false]),
        (Some(""), Some("/"), [false, true, true, false]),
        (Some(""), None, [false, false, true, false]),
        (None, None, [false, false, true, false]),
        (None, Some("/"), [false, false, true, false]),
    ];
    for (prefix, delimiter, expected) in cases {
        let found = [
            ("team-a/", ListScope::Scoped),
            ("team-a/", ListScope::Root),
            ("team-a/", ListScope::Bucket),
            ("x/y/", ListScope::Scoped),
        ]
        .map(|(on, list)| entitlement(tree, Read, &[on], list).lists(&bucket(), prefix, delimiter));
        assert_eq!(found, expected, "{prefix:?} {delimiter:?}");
    }
    assert!(entitlement(tree, Read, &[""], ListScope::Scoped).lists(&bucket(), None, None), "the place is all of it");
}
