//! `sync` as people run it: what is sent, what is not, what is deleted, and what never is.

use crate::testenv::{Ran, TestEnv};
use serde_json::Value;
use std::fs::{self, File, FileTimes};
use std::os::unix::fs::symlink;
use std::time::{Duration, SystemTime};

const LAYOUT: &str = r#"
version = 1
layout = "sync"

[[bucket]]
name = "sync-one"
template = "ml-project"
projects = ["one"]
markers = "none"
waive = { access_log = "scratch" }
"#;

const TARGET: &str = "s3://sync-one/one/data";

/// A bucket, and five small files.
fn five() -> TestEnv {
    let env = TestEnv::new();
    env.write("layout.toml", LAYOUT);
    env.expect(0, &["apply", "--local", "--yes", "--quiet"]);
    for name in ["a/1", "a/2", "b/3", "c/4", "d"] {
        env.write(&format!("data/{name}"), name);
    }
    env
}

fn sync(env: &TestEnv, code: i32, more: &[&str]) -> Ran {
    env.expect(code, &[&["sync", "data", TARGET, "--local", "--output", "json"], more].concat())
}

/// The targets of all actions of a kind and status, below the folder.
fn actions(ran: &Ran, action: &str, status: &str) -> Vec<String> {
    let mut targets: Vec<String> = ran
        .of_type("action")
        .iter()
        .filter(|one| one["action"] == action && one["status"] == status)
        .map(|one| one["target"].as_str().unwrap().replace(&format!("{TARGET}/"), ""))
        .collect();
    targets.sort();
    targets
}

/// Done, unchanged, skipped, failed and deleted.
fn counts(summary: &Value) -> [u64; 5] {
    ["done", "unchanged", "skipped", "failed", "deleted"].map(|field| summary[field].as_u64().unwrap())
}

/// The keys of the bucket below the folder.
fn keys(env: &TestEnv) -> Vec<String> {
    // A folder without objects is not there, which `tree` says with exit 1.
    let tree = env.run(&["tree", "s3://sync-one/one/data/", "--local", "--output", "json"]);
    let mut keys: Vec<String> = tree
        .of_type("node")
        .iter()
        .filter(|node| node["kind"] == "object")
        .map(|node| node["path"].as_str().unwrap().replacen("one/data/", "", 1))
        .collect();
    keys.sort();
    keys
}

#[test]
fn a_second_sync_sends_nothing() {
    let env = five();
    let first = sync(&env, 0, &[]);
    assert_eq!(actions(&first, "upload", "done"), ["a/1", "a/2", "b/3", "c/4", "d"]);
    assert_eq!(counts(&first.summary()), [5, 0, 0, 0, 0]);
    assert_eq!(counts(&sync(&env, 0, &[]).summary()), [0, 5, 0, 0, 0]);
    for name in ["a/1", "d"] {
        let file = File::options().append(true).open(env.path(&format!("data/{name}"))).unwrap();
        file.set_modified(SystemTime::now() + Duration::from_secs(60)).unwrap();
    }
    assert_eq!(counts(&sync(&env, 0, &[]).summary()), [0, 5, 0, 0, 0], "a touched file is not sent");
}

#[test]
fn a_change_that_keeps_size_and_time_is_seen() {
    let env = five();
    let path = env.path("data/b/3");
    let old = FileTimes::new().set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000));
    File::options().append(true).open(&path).unwrap().set_times(old).unwrap();
    sync(&env, 0, &[]);
    fs::write(&path, "x/3").unwrap();
    File::options().append(true).open(&path).unwrap().set_times(old).unwrap();
    let second = sync(&env, 0, &[]);
    assert_eq!(actions(&second, "upload", "done"), ["b/3"]);
    assert_eq!(counts(&second.summary()), [1, 4, 0, 0, 0]);
}

#[test]
fn a_dry_run_shows_the_plan_and_does_nothing() {
    let env = five();
    let dry = sync(&env, 0, &["--dry-run"]);
    assert_eq!(actions(&dry, "upload", "planned").len(), 5);
    assert_eq!((dry.summary()["planned"].as_u64(), keys(&env).len()), (Some(5), 0));
    sync(&env, 0, &[]);
    fs::remove_file(env.path("data/d")).unwrap();
    let dry = sync(&env, 0, &["--dry-run", "--delete"]);
    assert_eq!(actions(&dry, "delete", "planned"), ["d"]);
    assert_eq!(keys(&env).len(), 5);
}

#[test]
fn deletes_only_when_asked_and_only_what_is_too_much() {
    let env = five();
    sync(&env, 0, &[]);
    fs::remove_file(env.path("data/c/4")).unwrap();
    assert_eq!(counts(&sync(&env, 0, &[]).summary()), [0, 4, 0, 0, 0], "not asked");
    assert_eq!(keys(&env).len(), 5);
    let deleted = sync(&env, 0, &["--delete"]);
    assert_eq!(actions(&deleted, "delete", "done"), ["c/4"]);
    assert_eq!(counts(&deleted.summary()), [1, 4, 0, 0, 1]);
    assert_eq!(keys(&env), ["a/1", "a/2", "b/3", "d"]);
    assert_eq!(counts(&sync(&env, 0, &["--delete"]).summary()), [0, 4, 0, 0, 0]);
}

#[test]
fn more_deletes_than_allowed_are_none() {
    let env = five();
    sync(&env, 0, &[]);
    for name in ["a/1", "a/2", "b/3"] {
        fs::remove_file(env.path(&format!("data/{name}"))).unwrap();
    }
    for (flags, code, left) in [
        (&["--delete"][..], 3, 5),
        (&["--delete", "--max-delete", "2"], 3, 5),
        (&["--delete", "--max-delete", "2", "--yes"], 3, 5),
        (&["--delete", "--max-delete", "3"], 0, 2),
    ] {
        let ran = sync(&env, code, flags);
        assert_eq!(keys(&env).len(), left, "{flags:?}");
        assert_eq!(ran.of_type("finding").len(), usize::from(code == 3), "{flags:?}");
    }
    fs::remove_file(env.path("data/d")).unwrap();
    env.write("data/e", "e");
    sync(&env, 0, &["--delete", "--yes"]);
    assert_eq!(keys(&env), ["c/4", "e"]);
}

#[test]
fn an_empty_or_missing_source_deletes_nothing() {
    let env = five();
    sync(&env, 0, &[]);
    fs::rename(env.path("data"), env.path("elsewhere")).unwrap();
    sync(&env, 2, &["--delete", "--yes"]);
    fs::create_dir(env.path("data")).unwrap();
    let refused = sync(&env, 1, &["--delete", "--yes"]);
    assert_eq!(refused.of_type("finding")[0]["code"], "deletes-refused");
    assert_eq!(keys(&env).len(), 5);
}

#[test]
fn what_cannot_be_read_keeps_everything_in_the_target() {
    for odd in ["locked file", "locked folder", "fifo", "broken link", "loop", "leaves"] {
        let env = five();
        sync(&env, 0, &[]);
        fs::remove_file(env.path("data/d")).unwrap();
        match odd {
            "fifo" => env.fifo("data/odd"),
            "broken link" => symlink("nowhere", env.path("data/odd")).unwrap(),
            "loop" => symlink("..", env.path("data/a/odd")).unwrap(),
            "leaves" => symlink("/etc/hostname", env.path("data/odd")).unwrap(),
            _ => {}
        }
        env.give_away();
        match odd {
            "locked file" => env.set_mode("data/a/1", 0o000),
            "locked folder" => env.set_mode("data/b", 0o000),
            _ => {}
        }
        let ran = env.run_as_nobody(&["sync", "data", TARGET, "--local", "--output", "json", "--delete", "--yes"]);
        if odd == "locked folder" {
            env.set_mode("data/b", 0o755);
        }
        assert_eq!(ran.code, 3, "{odd}: {}{}", ran.stdout, ran.stderr);
        let summary = ran.summary();
        assert_eq!((&summary["deleted"], &summary["skipped"]), (&0.into(), &1.into()), "{odd}");
        let codes: Vec<_> = ran.of_type("finding").iter().map(|one| one["code"].clone()).collect();
        assert_eq!(codes, ["odd-file", "deletes-refused"], "{odd}");
        assert_eq!(keys(&env).len(), 5, "{odd}");
    }
}

#[test]
fn odd_names_keep_their_bytes() {
    let env = five();
    let names = [
        "e\u{301}",
        "é",
        "A",
        "a",
        "sp ace",
        "plus+",
        "#",
        "%41",
        "?",
        "*",
        "[x]",
        "back\\slash",
        "\"",
        "new\nline",
        ".dot",
        "..two",
    ];
    for name in names {
        env.write(&format!("data/odd/{name}"), name);
    }
    assert_eq!(counts(&sync(&env, 0, &[]).summary()), [21, 0, 0, 0, 0]);
    assert_eq!(counts(&sync(&env, 0, &["--delete"]).summary()), [0, 21, 0, 0, 0]);
    let found = keys(&env);
    for name in names {
        assert!(found.contains(&format!("odd/{name}")), "{name:?} in {found:?}");
    }
}

#[test]
fn one_file_goes_into_a_folder_or_becomes_a_key() {
    let env = five();
    let sync = |code, target: &str| env.expect(code, &["sync", "data/d", target, "--local"]);
    sync(0, "s3://sync-one/one/data/");
    sync(0, "s3://sync-one/one/data/other.csv");
    assert_eq!(keys(&env), ["d", "other.csv"]);
    let refused = sync(2, "s3://sync-one/one/data");
    assert!(refused.stderr.contains("write `s3://sync-one/one/data/`"), "{}", refused.stderr);
    assert!(sync(0, "s3://sync-one/one/data/other.csv").stdout.contains("1 unchanged"));
}

#[test]
fn shards_do_disjoint_parts() {
    let env = five();
    let mut sent = Vec::new();
    for shard in ["0/3", "1/3", "2/3"] {
        let ran = sync(&env, 0, &["--shard", shard, "--delete"]);
        sent.extend(actions(&ran, "upload", "done"));
    }
    sent.sort();
    assert_eq!(sent, ["a/1", "a/2", "b/3", "c/4", "d"]);
    assert_eq!(counts(&sync(&env, 0, &["--delete"]).summary()), [0, 5, 0, 0, 0]);
}

#[test]
fn wrong_places_are_refused_before_anything_happens() {
    let env = five();
    for (arguments, hint) in [
        (&["sync", "data", "elsewhere"][..], "one of them is a place in S3"),
        (&["sync", "data", "http://sync-one/x"], "write `s3://bucket/folder/` or a path"),
        (&["sync", "s3://sync-one/a/", "s3://sync-one/a/b/"], "choose two folders side by side"),
        (&["sync", "data", "layout.toml:sync-one/nothing"], "its folders are: one/data, one/models, one/results"),
        (&["sync", "data", "layout.toml:sync-two/one"], "its buckets are: sync-one"),
        (&["sync", "nothing", TARGET], "check the path"),
        (&["sync", "data", TARGET, "--max-delete", "3"], "--delete"),
        (&["sync", "data", TARGET, "--shard", "3/3"], "is no shard"),
    ] {
        let ran = env.expect(2, &[arguments, &["--local"]].concat());
        assert!(ran.stderr.contains(hint), "{arguments:?}: {}", ran.stderr);
    }
    env.expect(0, &["sync", "data", "layout.toml:sync-one/one/data", "--local"]);
    assert_eq!(keys(&env).len(), 5);
}

/// What lies below a folder, as names and contents.
fn local(env: &TestEnv, folder: &str) -> Vec<(String, Vec<u8>)> {
    let root = env.path(folder);
    let name = |path: &std::path::Path| path.strip_prefix(&root).unwrap().to_string_lossy().into_owned();
    crate::testenv::files_below(&root).iter().map(|(path, content)| (name(path), content.clone())).collect()
}

#[test]
fn what_went_up_comes_down_again() {
    let env = five();
    env.write("data/.keep", "");
    env.write("data/empty", "");
    env.write("data/large", vec![7; 20 << 20]);
    sync(&env, 0, &[]);
    let down = |code, more: &[&str]| {
        env.expect(code, &[&["sync", TARGET, "back", "--local", "--output", "json"], more].concat())
    };
    let first = down(0, &[]);
    assert_eq!(counts(&first.summary()), [8, 0, 0, 0, 0]);
    assert_eq!(local(&env, "back"), local(&env, "data"));
    assert_eq!(counts(&down(0, &[]).summary()), [0, 8, 0, 0, 0]);
    fs::write(env.path("back/a/1"), "xxx").unwrap();
    env.write("back/extra", "extra");
    assert_eq!(counts(&down(0, &[]).summary()), [1, 7, 0, 0, 0], "the changed one, and no delete");
    assert_eq!(counts(&down(0, &["--delete"]).summary()), [1, 8, 0, 0, 1]);
    assert_eq!(local(&env, "back"), local(&env, "data"));
}

#[test]
fn one_object_comes_down_into_a_folder_or_as_a_file() {
    let env = five();
    sync(&env, 0, &[]);
    let down = |code, from: &str, to: &str| env.expect(code, &["sync", from, to, "--local"]);
    down(0, "s3://sync-one/one/data/a/1", "other.csv");
    down(0, "s3://sync-one/one/data/a/1", "into/");
    assert_eq!(fs::read_to_string(env.path("other.csv")).unwrap(), "a/1");
    assert_eq!(fs::read_to_string(env.path("into/1")).unwrap(), "a/1");
    let refused = down(2, "s3://sync-one/one/data/a/1", "into");
    assert!(refused.stderr.contains("write `into/`"), "{}", refused.stderr);
    assert!(down(0, "s3://sync-one/one/data/a/1", "into/").stdout.contains("1 unchanged"));
}

#[test]
fn a_folder_is_copied_inside_the_service() {
    let env = five();
    env.write("data/large", vec![7; 20 << 20]);
    sync(&env, 0, &[]);
    let copy = |more: &[&str]| {
        let place = ["sync", TARGET, "s3://sync-one/one/models/", "--local", "--output", "json"];
        env.expect(0, &[&place, more].concat())
    };
    let first = copy(&[]);
    assert_eq!(counts(&first.summary()), [6, 0, 0, 0, 0]);
    assert!(first.of_type("action").iter().all(|one| one["action"] == "copy"), "{}", first.stdout);
    assert_eq!(counts(&copy(&["--delete"]).summary()), [0, 6, 0, 0, 0]);
    env.expect(0, &["sync", "s3://sync-one/one/models/", "back", "--local"]);
    assert_eq!(local(&env, "back"), local(&env, "data"));
}
