//! `policy diff`: files and layouts, what is told, and the gate.

use crate::testenv::{Ran, TestEnv};
use serde_json::{Value, json};

const LAYOUT: &str = r#"
version = 1
[[bucket]]
name = "shared-bucket"
template = "t"
projects = ["team-a", "team-b"]
[[grant]]
policy = "TeamA"
access = "read-write"
on = ["shared-bucket/team-a"]
[[grant]]
policy = "TeamB"
access = "read"
on = ["shared-bucket/team-b"]
[template.t]
folders = [{ path = "data", access = "append" }, { path = "models", access = "read-write" }]
"#;

fn folder(start: &str) -> Value {
    json!({ "Version": "2012-10-17", "Statement": [
        { "Effect": "Allow", "Action": "s3:ListBucket", "Resource": "arn:aws:s3:::shared-bucket",
          "Condition": { "StringLike": { "s3:prefix": start } } },
        { "Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"],
          "Resource": format!("arn:aws:s3:::shared-bucket/{start}") },
    ] })
}

/// Turn, principal, operations and target of every change.
fn told(ran: &Ran) -> Vec<String> {
    let change = |one: &Value| {
        let words: Vec<&str> = one["operations"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
        let text = |name: &str| one[name].as_str().unwrap().to_owned();
        format!("{} {} {} {}", text("turn"), text("principal"), words.join(","), text("target"))
    };
    ran.of_type("change").iter().map(change).collect()
}

#[test]
fn a_forgotten_slash_fails_the_gate() {
    let env = TestEnv::new();
    env.write("old.json", folder("team-a/*").to_string());
    env.write("new.json", folder("team-a*").to_string());
    let ran = env.expect(4, &["policy", "diff", "old.json", "new.json", "--fail-on", "widen"]);
    let expected = "\
new.json
  + opens   s3://shared-bucket/team-a*: list
    statement 1 allows it now
  + opens   s3://shared-bucket/team-a*: get put delete
    statement 2 allows it now; such as s3://shared-bucket/team-aanother/another
  changed statement 1: Condition + StringLike s3:prefix team-a*; Condition -
    StringLike s3:prefix team-a/*
  changed statement 2: Resource + arn:aws:s3:::shared-bucket/team-a*; Resource -
    arn:aws:s3:::shared-bucket/team-a/*
4 cells open, 0 close
";
    assert_eq!(ran.stdout, expected);
    let back = env.expect(0, &["policy", "diff", "new.json", "old.json", "--fail-on", "widen"]);
    assert!(back.stdout.ends_with("0 cells open, 4 close\n"), "{}", back.stdout);
    env.expect(4, &["policy", "diff", "new.json", "old.json", "--fail-on", "change"]);
    env.expect(0, &["policy", "diff", "old.json", "new.json"]);
    assert_eq!(env.expect(0, &["policy", "diff", "old.json", "old.json", "--fail-on", "change"]).stdout, "the same\n");
}

#[test]
fn what_lies_beside_the_matrix_is_seen() {
    let env = TestEnv::new();
    let old = folder("team-a/*");
    env.write("old.json", old.to_string());
    for (name, statement, target) in [
        (
            "acl",
            json!({ "Effect": "Allow", "Action": "s3:GetBucketAcl", "Resource": "arn:aws:s3:::shared-bucket" }),
            "s3://shared-bucket",
        ),
        ("iam", json!({ "Effect": "Allow", "Action": "iam:*", "Resource": "*" }), "*"),
        (
            "other",
            json!({ "Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::other-bucket/*" }),
            "s3://other-bucket/*",
        ),
        ("not", json!({ "Effect": "Allow", "NotAction": "iam:*", "Resource": "*" }), "*"),
    ] {
        let mut new = old.clone();
        new["Statement"].as_array_mut().unwrap().push(statement);
        env.write("new.json", new.to_string());
        let ran = env.expect(4, &["policy", "diff", "old.json", "new.json", "--fail-on", "widen", "--output", "json"]);
        let changes = ran.of_type("change");
        assert!(changes.iter().any(|one| one["turn"] == "opens" && one["target"] == target), "{name}: {changes:?}");
    }
}

#[test]
fn layouts_are_compared_grant_by_grant() {
    let env = TestEnv::new();
    env.write("old.toml", LAYOUT);
    env.write("same.toml", LAYOUT.replace("[\"team-a\", \"team-b\"]", "[\"team-b\", \"team-a\"]"));
    let ran = env.expect(0, &["policy", "diff", "old.toml", "same.toml", "--fail-on", "change"]);
    assert_eq!(ran.stdout, "the same\n");
    env.write("new.toml", LAYOUT.replace("access = \"read\"", "access = \"append\""));
    let ran = env.expect(4, &["policy", "diff", "old.toml", "new.toml", "--fail-on", "widen", "--output", "json"]);
    let expected = [
        "opens TeamB  s3://shared-bucket",
        "opens TeamB put,multipart s3://shared-bucket/team-b/data/*",
        "opens TeamB put,multipart s3://shared-bucket/team-b/models/*",
    ];
    assert_eq!(told(&ran), expected);
    // A folder that allows less closes for those who had more, and nothing opens.
    env.write("new.toml", LAYOUT.replace("\"models\", access = \"read-write\"", "\"models\", access = \"append\""));
    let ran = env.expect(0, &["policy", "diff", "old.toml", "new.toml", "--fail-on", "widen", "--output", "json"]);
    assert!(
        told(&ran).contains(&"closes TeamA delete s3://shared-bucket/team-a/models/*".to_owned()),
        "{:?}",
        told(&ran)
    );
    // The layout's own bucket policies count as well.
    env.write("new.toml", LAYOUT.replace("projects =", "waive = { tls-only = \"old clients\" }\nprojects ="));
    let ran = env.expect(4, &["policy", "diff", "old.toml", "new.toml", "--fail-on", "widen", "--output", "json"]);
    let opened = ran.of_type("change");
    assert!(opened.iter().all(|one| one["principal"] == "s3://shared-bucket"), "{opened:?}");
    assert!(opened.iter().any(|one| one["given"]["aws:SecureTransport"] == "false"), "{opened:?}");
    // A grant that goes closes all it gave.
    env.write("new.toml", LAYOUT.replace("TeamB", "TeamC"));
    let lines =
        told(&env.expect(4, &["policy", "diff", "old.toml", "new.toml", "--fail-on", "widen", "--output", "json"]));
    assert!(lines.iter().any(|line| line.starts_with("closes TeamB get")), "{lines:?}");
    assert!(lines.iter().any(|line| line.starts_with("opens TeamC get")), "{lines:?}");
}

#[test]
fn a_document_is_compared_with_a_grant() {
    let env = TestEnv::new();
    env.write("layout.toml", LAYOUT);
    let made = env.expect(0, &["policy", "generate", "--grant", "TeamA"]).stdout;
    env.write("attached.json", &made);
    let ran =
        env.expect(0, &["policy", "diff", "attached.json", "layout.toml", "--grant", "TeamA", "--fail-on", "change"]);
    assert_eq!(ran.stdout, "the same\n");
    let refused = env.expect(2, &["policy", "diff", "attached.json", "layout.toml"]);
    assert!(
        refused.stderr.contains("choose one with `--grant`: TeamA, TeamB, s3://shared-bucket"),
        "{}",
        refused.stderr
    );
    env.expect(2, &["policy", "diff", "attached.json", "layout.toml", "--grant", "TeamX"]);
    let all = env.expect(0, &["policy", "generate"]).stdout;
    env.write("all.json", all);
    let ran =
        env.expect(0, &["policy", "diff", "attached.json", "all.json", "--grant", "TeamA", "--fail-on", "change"]);
    assert_eq!(ran.stdout, "the same\n");
}

#[test]
fn trust_policies_are_compared_for_whom_they_name() {
    let env = TestEnv::new();
    let issuer = "oidc.eks.us-east-1.amazonaws.com/id/ABC123";
    let trust = |subjects: &[&str]| {
        let mut args =
            vec!["policy", "generate", "--type", "trust", "--account", "245966534215", "--oidc-issuer", issuer];
        for subject in subjects {
            args.extend(["--service-account", subject]);
        }
        env.expect(0, &args).stdout
    };
    env.write("old.json", trust(&["flyte/default"]));
    env.write("new.json", trust(&["flyte/default", "dev/default"]));
    let ran = env.expect(4, &["policy", "diff", "old.json", "new.json", "--fail-on", "widen", "--output", "json"]);
    let changes = ran.of_type("change");
    assert_eq!(changes.len(), 1, "{changes:?}");
    assert_eq!(changes[0]["given"][format!("{issuer}:sub")], "system:serviceaccount:dev:default");
    assert_eq!(changes[0]["actions"], json!(["sts:AssumeRoleWithWebIdentity"]));
}

#[test]
fn what_is_no_policy_is_refused() {
    let env = TestEnv::new();
    env.write("good.json", folder("a/*").to_string());
    for (name, text) in
        [("list.json", "[]"), ("none.json", "{}"), ("text.json", "x"), ("deep.json", &"[".repeat(100_000))]
    {
        env.write(name, text);
        let ran = env.expect(2, &["policy", "diff", "good.json", name]);
        assert!(ran.stderr.contains(name), "{}", ran.stderr);
    }
}

#[test]
fn huge_documents_are_refused_or_compared_in_time() {
    let env = TestEnv::new();
    let statement = |count: usize, start: &str| {
        let names = |what: &str| (0..count).map(|number| format!("{what}{start}{number}*")).collect::<Vec<_>>();
        json!({ "Version": "2012-10-17", "Statement": [
            { "Effect": "Allow", "Action": names("s3:Get"), "Resource": names("arn:aws:s3:::b/") }] })
    };
    env.write("old.json", statement(2000, "a").to_string());
    env.write("new.json", statement(2000, "b").to_string());
    let ran = env.expect(2, &["policy", "diff", "old.json", "new.json"]);
    assert!(ran.stderr.contains("too large to compare"), "{}", ran.stderr);
}
