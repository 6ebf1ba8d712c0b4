//! What a sync leaves out: by flags, by ignore files, on both sides and in every direction.

use crate::testenv::{Ran, TestEnv};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::symlink;

const LAYOUT: &str = r#"
version = 1
layout = "filters"

[[bucket]]
name = "filters-one"
template = "ml-project"
projects = ["one"]
markers = "none"
waive = { access_log = "scratch" }
"#;

const TARGET: &str = "s3://filters-one/one/data";

/// A bucket, and a tree with things to send and things to keep.
fn env(files: &[&str]) -> TestEnv {
    let env = TestEnv::new();
    env.write("layout.toml", LAYOUT);
    env.expect(0, &["apply", "--local", "--yes", "--quiet"]);
    for name in files {
        env.write(&format!("data/{name}"), name);
    }
    env
}

fn sync(env: &TestEnv, code: i32, more: &[&str]) -> Ran {
    env.expect(code, &[&["sync", "data", TARGET, "--local", "--output", "json"], more].concat())
}

/// The keys below the folder.
fn keys(env: &TestEnv) -> Vec<String> {
    let tree = env.run(&["tree", &format!("{TARGET}/"), "--local", "--output", "json"]);
    let objects = tree.of_type("node").into_iter().filter(|node| node["kind"] == "object");
    let mut keys: Vec<String> =
        objects.map(|node| node["path"].as_str().unwrap().replacen("one/data/", "", 1)).collect();
    keys.sort();
    keys
}

/// The targets of actions that were done or planned.
fn targets(ran: &Ran, action: &str) -> Vec<String> {
    let actions = ran.of_type("action").into_iter().filter(|one| one["action"] == action);
    actions.map(|one| one["target"].as_str().unwrap().replace(&format!("{TARGET}/"), "")).collect()
}

#[test]
fn flags_decide_in_their_order() {
    for (flags, sent) in [
        (&["--exclude", "*.tmp"][..], &["a.csv", "b/c.csv", "b/x.txt"][..]),
        (&["--exclude", "*", "--include", "*.csv"], &["a.csv", "b/c.csv"]),
        (&["--include", "*.csv", "--exclude", "*"], &[]),
        (&["--exclude", "b/"], &["a.csv", "t.tmp"]),
        (&["--exclude", "/a.*", "--exclude", "b/**/*.{csv,txt}"], &["b/d.tmp", "t.tmp"]),
    ] {
        let env = env(&["a.csv", "b/c.csv", "b/x.txt", "b/d.tmp", "t.tmp"]);
        sync(&env, 0, flags);
        assert_eq!(keys(&env), sent, "{flags:?}");
        assert_eq!(sync(&env, 0, flags).summary()["done"], 0, "{flags:?}");
    }
    let env = env(&["a"]);
    for (pattern, why) in [("a[", "is not closed"), ("!x", "--include"), ("./a", "holds `.`"), ("", "names nothing")] {
        let ran = env.expect(2, &["sync", "data", TARGET, "--local", "--exclude", pattern]);
        assert!(ran.stderr.contains(why), "{pattern}: {}", ran.stderr);
    }
}

#[test]
fn what_is_left_out_is_never_deleted_and_never_counted() {
    let env = env(&["a", "b", "keep/1", "keep/2", "keep/deep/3", "keep/4"]);
    sync(&env, 0, &[]);
    fs::remove_dir_all(env.path("data/keep")).unwrap();
    fs::remove_file(env.path("data/b")).unwrap();
    // One of two things that count is no more than half; without the filter it would be five of six.
    let ran = sync(&env, 0, &["--delete", "--exclude", "keep/"]);
    assert_eq!(targets(&ran, "delete"), ["b"]);
    assert_eq!(keys(&env), ["a", "keep/1", "keep/2", "keep/4", "keep/deep/3"]);
    let ran = sync(&env, 0, &["--delete", "--dry-run", "--exclude", "keep/", "--include", "keep/deep/"]);
    assert_eq!(targets(&ran, "delete"), ["keep/deep/3"]);
}

#[test]
fn ignore_files_count_where_they_stand_on_both_sides() {
    let env = env(&["a.log", "b/a.log", "b/keep.log", "c/x", "build/out", "b/build/out"]);
    sync(&env, 0, &["--no-ignore-file"]);
    env.write("data/.bucketwrightignore", "# logs\n*.log\n/build/\n");
    env.write("data/b/.bucketwrightignore", "!keep.log\n");
    for name in ["a.log", "b/a.log", "build/out", "b/keep.log", "c/x"] {
        fs::remove_file(env.path(&format!("data/{name}"))).unwrap();
    }
    let ran = sync(&env, 0, &["--delete", "--yes"]);
    assert_eq!(targets(&ran, "delete"), ["b/keep.log", "c/x"], "what the rules do not protect");
    assert_eq!(targets(&ran, "upload"), Vec::<String>::new(), "ignore files stay");
    assert_eq!(keys(&env), ["a.log", "b/a.log", "b/build/out", "build/out"]);
    let ran = sync(&env, 0, &["--delete", "--yes", "--no-ignore-file"]);
    assert_eq!(targets(&ran, "upload"), [".bucketwrightignore", "b/.bucketwrightignore"]);
    assert_eq!(keys(&env), [".bucketwrightignore", "b/.bucketwrightignore", "b/build/out"]);
}

#[test]
fn what_is_odd_in_a_directory_that_is_left_out_is_no_finding() {
    let env = env(&["a", "cache/x", "locked/x"]);
    env.write("data/.bucketwrightignore", "cache/\n/locked\nlink\n");
    env.fifo("data/cache/fifo");
    symlink("nowhere", env.path("data/link")).unwrap();
    env.give_away();
    env.set_mode("data/locked", 0o000);
    let ran = env.run_as_nobody(&["sync", "data", TARGET, "--local", "--output", "json", "--delete", "--yes"]);
    env.set_mode("data/locked", 0o755);
    assert_eq!((ran.code, ran.of_type("finding").len()), (0, 0), "{}", ran.stdout);
    assert_eq!(keys(&env), ["a"]);
}

#[test]
fn an_ignore_file_that_cannot_be_used_keeps_its_directory_back() {
    let env = env(&["a", "b/secret"]);
    env.write("data/b/.bucketwrightignore", "fine\n[\n");
    let ran = sync(&env, 3, &["--delete", "--yes"]);
    let finding = &ran.of_type("finding")[0];
    assert_eq!(finding["code"], "odd-file");
    assert!(finding["message"].as_str().unwrap().contains("line 2: `[` is not a pattern"), "{finding}");
    assert_eq!(keys(&env), ["a"]);
}

#[test]
fn a_file_named_by_hand_is_always_taken() {
    let env = env(&["a.tmp"]);
    env.expect(0, &["sync", "data/a.tmp", &format!("{TARGET}/"), "--local", "--exclude", "*.tmp"]);
    assert_eq!(keys(&env), ["a.tmp"]);
}

#[test]
fn the_filter_explains_itself_and_writes_nothing() {
    let env = env(&["a.csv", "b.tmp", "cache/x", "cache/y", "keep/z.tmp"]);
    sync(&env, 0, &["--no-ignore-file"]);
    fs::remove_file(env.path("data/b.tmp")).unwrap();
    env.write("data/new", "new");
    env.write("data/.bucketwrightignore", "*.tmp\n");
    let flags = ["--exclude", "cache/", "--include", "/keep/", "--delete"];
    let ran = sync(&env, 0, &[&["--explain-filters"], &flags[..]].concat());
    let told: Vec<Value> = ran.of_type("filter");
    let line = |name: &str, rule: &str, from: &str| json!({"type": "filter", "name": name, "selected": from == "--include", "rule": rule, "from": from});
    let expected = [
        line(".bucketwrightignore", ".bucketwrightignore", "ignore files stay"),
        json!({"type": "filter", "name": "a.csv", "selected": true}),
        line("b.tmp", "*.tmp", ".bucketwrightignore:1"),
        line("cache/", "cache/", "--exclude"),
        line("keep/z.tmp", "/keep/", "--include"),
        json!({"type": "filter", "name": "new", "selected": true}),
    ];
    assert_eq!(told, expected);
    assert_eq!(keys(&env), ["a.csv", "b.tmp", "cache/x", "cache/y", "keep/z.tmp"]);
    let human = |more: &[&str]| {
        let arguments = [&["sync", "data", TARGET, "--local", "--explain-filters"], &flags[..], more].concat();
        env.expect(0, &arguments).stdout
    };
    let text = human(&[]);
    assert!(text.contains("- cache/  cache/  (--exclude)\n"), "{text}");
    assert!(text.contains("3 left out, 3 taken"), "{text}");
    assert!(!text.contains("new"), "{text}");
    assert!(human(&["-v"]).contains("+ new\n"), "{text}");
}
