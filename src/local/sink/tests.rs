//! Files put into a target that others write to as well: links, races, leftovers, and no room.

use super::{TargetTree, WriteError};
use crate::local::fingerprint;
use crate::model::{RelativePath, part_file_name};
use rustix::fs::{FlockOperation, flock};
use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;

fn path(text: &str) -> RelativePath {
    text.parse().unwrap()
}

fn tree() -> (tempfile::TempDir, TargetTree) {
    let folder = tempfile::tempdir().unwrap();
    let tree = TargetTree::open(&folder.path().join("target")).unwrap();
    (folder, tree)
}

/// Puts `content` at a place where nothing was seen.
fn put(tree: &TargetTree, at: &str, content: &[u8]) -> Result<(), WriteError> {
    let file = tree.begin(&path(at), content.len() as u64, None)?;
    file.write_at(0, content)?;
    file.commit(None).map(drop)
}

/// All names below a directory, links not followed.
fn names(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        found.push(path.file_name().unwrap().to_str().unwrap().to_owned());
        if path.is_dir() && !path.is_symlink() {
            found.extend(names(&path));
        }
    }
    found.sort();
    found
}

/// What went wrong, without the folder's random name.
fn refusal<T: std::fmt::Debug>(folder: &Path, result: Result<T, WriteError>) -> String {
    result.unwrap_err().to_string().replace(folder.to_str().unwrap(), "")
}

#[test]
fn a_file_appears_whole_with_its_time_and_mode() {
    let (folder, tree) = tree();
    let file = tree.begin(&path("a/b/c"), 400_000, None).unwrap();
    file.write_at(200_000, &[2; 200_000]).unwrap();
    file.write_at(0, &[1; 200_000]).unwrap();
    let mut again = Vec::new();
    let mut keep = |bytes: &[u8]| {
        again.extend_from_slice(bytes);
        true
    };
    file.read_again(&mut keep).unwrap();
    assert_eq!(again, [[1; 200_000], [2; 200_000]].concat());
    let place = folder.path().join("target/a/b/c");
    assert!(!place.exists(), "not before it is put there");
    let modified = "2001-09-09T01:46:40Z".parse().unwrap();
    let committed = file.commit(Some(modified)).unwrap();
    drop(file);
    assert_eq!(committed, fingerprint(&place).unwrap());
    assert_eq!((committed.mtime_ns, committed.size_bytes), (1_000_000_000 * 1_000_000_000, 400_000));
    let as_usual = folder.path().join("usual");
    fs::write(&as_usual, b"").unwrap();
    assert_eq!(fs::metadata(&place).unwrap().mode(), fs::metadata(&as_usual).unwrap().mode(), "as the umask says");
    assert_eq!(names(&folder.path().join("target")), ["a", "b", "c"]);
    tree.flush().unwrap();
}

#[test]
fn a_file_that_is_given_up_leaves_nothing() {
    let (folder, tree) = tree();
    let file = tree.begin(&path("a"), 10, None).unwrap();
    file.write_at(0, b"half").unwrap();
    assert_eq!(names(&folder.path().join("target")).len(), 1);
    file.abandon();
    assert_eq!(names(&folder.path().join("target")), [""; 0]);
    file.write_at(4, b"late").unwrap();
    drop(file);
    drop(tree.begin(&path("b"), 10, None).unwrap());
    assert_eq!(names(&folder.path().join("target")), [""; 0]);
}

#[test]
fn only_what_was_seen_is_replaced() {
    let (folder, tree) = tree();
    let place = folder.path().join("target/a");
    put(&tree, "a", b"first").unwrap();
    fs::set_permissions(&place, fs::Permissions::from_mode(0o600)).unwrap();
    let seen = fingerprint(&place).unwrap();
    // It is there, and nothing was seen.
    let changed = "`/target/a` was changed by somebody else since it was looked at; it was left as it is";
    assert_eq!(refusal(folder.path(), put(&tree, "a", b"x")), changed);
    // It comes while the file is received.
    let late = tree.begin(&path("b"), 1, None).unwrap();
    put(&tree, "b", b"other").unwrap();
    assert_eq!(refusal(folder.path(), late.commit(None)), changed.replace("/a`", "/b`"));
    drop(late);
    // It is what was seen.
    let file = tree.begin(&path("a"), 6, Some(&seen)).unwrap();
    file.write_at(0, b"second").unwrap();
    let second = file.commit(None).unwrap();
    assert_eq!(fs::read(&place).unwrap(), b"second");
    assert_eq!(fs::metadata(&place).unwrap().mode() & 0o777, 0o600, "a closed file stays closed");
    // It was what was seen, and changes, or goes, while the file is received.
    let late = tree.begin(&path("a"), 5, Some(&second)).unwrap();
    fs::write(&place, b"edited by hand").unwrap();
    assert_eq!(refusal(folder.path(), late.commit(None)), changed);
    assert_eq!(refusal(folder.path(), tree.begin(&path("a"), 5, Some(&second))), changed);
    fs::remove_file(&place).unwrap();
    assert_eq!(refusal(folder.path(), late.commit(None)), changed);
    drop(late);
    assert_eq!(names(&folder.path().join("target")), ["b"]);
}

#[test]
fn links_are_never_followed() {
    let (folder, tree) = tree();
    let outside = folder.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("secret"), b"secret").unwrap();
    let target = folder.path().join("target");
    fs::create_dir_all(target.join("deep/inside")).unwrap();
    symlink(&outside, target.join("link")).unwrap();
    symlink("../../outside", target.join("deep/link")).unwrap();
    symlink("inside", target.join("deep/within")).unwrap();
    symlink(outside.join("secret"), target.join("file")).unwrap();
    symlink("nowhere", target.join("broken")).unwrap();
    let seen = fingerprint(&outside.join("secret")).unwrap();
    let link =
        |name: &str| format!("`/target/{name}` is a symbolic link, and nothing is written or removed through links");
    for (at, name) in [
        ("link/new", "link"),
        ("link/secret", "link"),
        ("deep/link/a/b", "deep/link"),
        ("deep/within/x", "deep/within"),
        ("file", "file"),
        ("broken", "broken"),
    ] {
        assert_eq!(refusal(folder.path(), put(&tree, at, b"x")), link(name), "{at}");
        assert_eq!(refusal(folder.path(), tree.remove_if_unchanged(&path(at), &seen)), link(name), "{at}");
    }
    assert_eq!(refusal(folder.path(), tree.make_directory(&path("link/new"))), link("link"));
    // A link that comes while the file is received.
    let late = tree.begin(&path("late"), 1, None).unwrap();
    symlink(outside.join("new"), target.join("late")).unwrap();
    late.commit(None).unwrap_err();
    // The directory is swapped for a link while the file is received: it goes into the directory that was opened.
    let moved = tree.begin(&path("deep/inside/moved"), 1, None).unwrap();
    fs::rename(target.join("deep/inside"), target.join("deep/elsewhere")).unwrap();
    symlink(&outside, target.join("deep/inside")).unwrap();
    moved.commit(None).unwrap();
    assert!(target.join("deep/elsewhere/moved").exists());
    assert_eq!(names(&outside), ["secret"]);
    assert_eq!(fs::read(outside.join("secret")).unwrap(), b"secret");
}

#[test]
fn what_is_in_the_way_is_named() {
    let (folder, tree) = tree();
    put(&tree, "file", b"x").unwrap();
    tree.make_directory(&path("folder/deep")).unwrap();
    tree.make_directory(&path("folder/deep")).unwrap();
    let below = "`/target/file` is no directory, but a file is to be put below it";
    assert_eq!(refusal(folder.path(), put(&tree, "file/a/b", b"x")), below);
    assert_eq!(refusal(folder.path(), tree.make_directory(&path("file"))), below);
    assert_eq!(refusal(folder.path(), put(&tree, "folder", b"x")), "`/target/folder` is there and is no regular file");
    let not_here = TargetTree::open(&folder.path().join("target/file/x"));
    assert_eq!(refusal(folder.path(), not_here), "`/target/file/x` is no directory, but a file is to be put below it");
    let (root, named) = (folder.path().join("target"), folder.path().join("named"));
    symlink(&root, &named).unwrap();
    put(&TargetTree::open(&named).unwrap(), "by-name", b"x").unwrap();
    assert!(root.join("by-name").exists(), "the target itself may be a link");
}

#[test]
fn only_the_file_that_was_seen_is_removed() {
    let (folder, tree) = tree();
    put(&tree, "a/b", b"x").unwrap();
    let place = folder.path().join("target/a/b");
    let seen = fingerprint(&place).unwrap();
    fs::write(&place, b"changed").unwrap();
    let changed = "`/target/a/b` was changed by somebody else since it was looked at; it was left as it is";
    assert_eq!(refusal(folder.path(), tree.remove_if_unchanged(&path("a/b"), &seen)), changed);
    tree.remove_if_unchanged(&path("a/b"), &fingerprint(&place).unwrap()).unwrap();
    assert_eq!(refusal(folder.path(), tree.remove_if_unchanged(&path("a/b"), &seen)), changed);
    assert_eq!(names(&folder.path().join("target")), ["a"]);
}

#[test]
fn only_leftovers_of_dead_runs_are_cleared_away() {
    let (folder, tree) = tree();
    let target = folder.path().join("target");
    let alive = tree.begin(&path("alive"), 1, None).unwrap();
    let (dead, held, linked, directory) = (part_file_name(1), part_file_name(2), part_file_name(3), part_file_name(4));
    fs::write(target.join(&dead), b"half").unwrap();
    let holder = File::create(target.join(&held)).unwrap();
    flock(&holder, FlockOperation::NonBlockingLockExclusive).unwrap();
    symlink("somewhere", target.join(&linked)).unwrap();
    fs::create_dir(target.join(&directory)).unwrap();
    fs::write(target.join(".bucketwright-notes.part"), b"mine").unwrap();
    assert_eq!(tree.remove_leftovers(None).unwrap(), 1);
    assert!(!target.join(&dead).exists());
    alive.commit(None).unwrap();
    drop(holder);
    assert_eq!(tree.remove_leftovers(None).unwrap(), 1);
    let mut left = vec![".bucketwright-notes.part".to_owned(), linked, directory, "alive".to_owned()];
    left.sort();
    assert_eq!(names(&target), left);
    fs::create_dir(target.join("sub")).unwrap();
    fs::write(target.join("sub").join(&dead), b"half").unwrap();
    assert_eq!(tree.remove_leftovers(None).unwrap(), 0);
    assert_eq!(tree.remove_leftovers(Some(&path("sub"))).unwrap(), 1);
}

#[test]
fn no_room_is_told_before_anything_arrives() {
    let (folder, tree) = tree();
    let error = tree.begin(&path("huge"), 1 << 60, None).unwrap_err();
    assert!(matches!(error, WriteError::Full { .. }), "{error:?}");
    assert_eq!(names(&folder.path().join("target")), [""; 0]);
}
