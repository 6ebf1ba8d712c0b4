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

/// Turn, principal, operation and target of every cell that changes.
fn told(ran: &Ran) -> Vec<String> {
    let cell = |one: &Value| {
        let text = |name: &str| one[name].as_str().unwrap().to_owned();
        format!("{} {} {} {}", text("turn"), text("principal"), text("operation"), text("target"))
    };
    ran.of_type("cell").iter().map(cell).collect()
}

#[test]
fn a_forgotten_slash_fails_the_gate() {
    let env = TestEnv::new();
    env.write("old.json", folder("team-a/*").to_string());
    env.write("new.json", folder("team-a*").to_string());
    let ran = env.expect(4, &["policy", "diff", "old.json", "new.json", "--fail-on", "widen"]);
    let expected = "\
new.json
  + opens   s3://shared-bucket/team-a*: list (implicit-deny -> allow)
    statement 1 allows it now
  + opens   s3://shared-bucket/team-a*: get put delete (implicit-deny -> allow)
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
    assert_eq!(
        env.expect(0, &["policy", "diff", "old.json", "old.json", "--fail-on", "change"]).stdout,
        "no change in access\n"
    );
}

#[test]
fn what_is_only_spelled_otherwise_is_no_change_in_access() {
    let env = TestEnv::new();
    let old = folder("team-a/*");
    env.write("old.json", old.to_string());
    let mut new = old.clone();
    let statements = new["Statement"].as_array_mut().unwrap();
    statements.reverse();
    statements[0]["Action"] = json!(["S3:deleteobject", "s3:PutObject", "s3:GetObject"]);
    statements[1]["Action"] = json!(["s3:ListBucket"]);
    statements[1]["Sid"] = json!("List");
    env.write("new.json", new.to_string());
    let ran = env.expect(0, &["policy", "diff", "old.json", "new.json", "--fail-on", "change"]);
    assert!(ran.stdout.ends_with("no change in access; 1 statement put otherwise\n"), "{}", ran.stdout);
    let ran = env.expect(0, &["policy", "diff", "old.json", "new.json", "--output", "json"]);
    assert!(ran.of_type("cell").is_empty() && ran.of_type("finding").is_empty(), "{}", ran.stdout);
}

#[test]
fn cells_carry_the_decisions_before_and_after() {
    let env = TestEnv::new();
    let mut old = folder("team-a/*");
    let deny = json!({ "Sid": "Keep", "Effect": "Deny", "Action": "s3:DeleteObject", "Resource": "arn:aws:s3:::shared-bucket/*" });
    env.write("new.json", old.to_string());
    old["Statement"].as_array_mut().unwrap().push(deny);
    env.write("old.json", old.to_string());
    let ran = env.expect(4, &["policy", "diff", "old.json", "new.json", "--fail-on", "widen", "--output", "json"]);
    let cells = ran.of_type("cell");
    assert_eq!(cells.len(), 1, "{cells:?}");
    for (field, expected) in [
        ("operation", "delete"),
        ("target", "s3://shared-bucket/*"),
        ("expected", "deny"),
        ("observed", "allow"),
        ("before", "explicit-deny"),
        ("after", "allow"),
        ("turn", "opens"),
        ("because", "Keep no longer denies it"),
    ] {
        assert_eq!(cells[0][field], expected, "{field}");
    }
    assert_eq!(ran.of_type("summary")[0]["exit"], 4);
}

#[test]
fn a_gate_does_not_pass_what_cannot_be_proven() {
    let env = TestEnv::new();
    let get = |resources: &[&str]| {
        let arns: Vec<String> = resources.iter().map(|one| format!("arn:aws:s3:::b/{one}")).collect();
        json!({ "Version": "2012-10-17", "Statement":
            { "Sid": "Get", "Effect": "Allow", "Action": "s3:GetObject", "Resource": arns } })
    };
    env.write("two.json", get(&["a", "a?*"]).to_string());
    env.write("one.json", get(&["a*"]).to_string());
    let ran = env.expect(4, &["policy", "diff", "two.json", "one.json", "--fail-on", "widen"]);
    assert!(ran.stdout.contains("security-warning [unproven-change] one.json at /Statement: Get:"), "{}", ran.stdout);
    assert!(ran.stdout.contains("no change in access found; 1 statement could not be compared"), "{}", ran.stdout);
    env.expect(0, &["policy", "diff", "two.json", "one.json"]);
    let ran = env.expect(0, &["policy", "diff", "one.json", "two.json", "--fail-on", "widen", "--output", "json"]);
    let finding = &ran.of_type("finding")[0];
    assert_eq!((&finding["code"], &finding["severity"]), (&json!("unproven-change"), &json!("warning")));
    assert!(finding["message"].as_str().unwrap().starts_with("Get, which is gone: "), "{finding}");
    assert!(finding.get("path").is_none(), "the place would be one of the other file");
    env.expect(4, &["policy", "diff", "one.json", "two.json", "--fail-on", "change"]);
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
        let changes = ran.of_type("cell");
        assert!(changes.iter().any(|one| one["turn"] == "opens" && one["target"] == target), "{name}: {changes:?}");
    }
}

#[test]
fn layouts_are_compared_grant_by_grant() {
    let env = TestEnv::new();
    env.write("old.toml", LAYOUT);
    env.write("same.toml", LAYOUT.replace("[\"team-a\", \"team-b\"]", "[\"team-b\", \"team-a\"]"));
    let ran = env.expect(0, &["policy", "diff", "old.toml", "same.toml", "--fail-on", "change"]);
    assert_eq!(ran.stdout, "no change in access\n");
    env.write("new.toml", LAYOUT.replace("access = \"read\"", "access = \"append\""));
    let ran = env.expect(4, &["policy", "diff", "old.toml", "new.toml", "--fail-on", "widen", "--output", "json"]);
    let expected = [
        "opens TeamB other s3://shared-bucket",
        "opens TeamB put s3://shared-bucket/team-b/data/*",
        "opens TeamB multipart s3://shared-bucket/team-b/data/*",
        "opens TeamB put s3://shared-bucket/team-b/models/*",
        "opens TeamB multipart s3://shared-bucket/team-b/models/*",
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
    let opened = ran.of_type("cell");
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
fn whoever_gets_a_policy_gets_its_cells() {
    let env = TestEnv::new();
    let attached =
        |targets: &str| LAYOUT.replace("access = \"read\"", &format!("access = \"read\"\nattach = [{targets}]"));
    env.write("old.toml", attached("{ role = \"one\" }"));
    env.write("new.toml", attached("{ role = \"two\" }, { role = \"one\" }"));
    let ran = env.expect(4, &["policy", "diff", "old.toml", "new.toml", "--fail-on", "widen", "--output", "json"]);
    let cells = ran.of_type("cell");
    assert!(cells.iter().all(|cell| cell["who"] == "role two" && cell["turn"] == "opens"), "{cells:?}");
    assert!(told(&ran).contains(&"opens TeamB get s3://shared-bucket/team-b/*".to_owned()), "{:?}", told(&ran));
    let back = env.expect(0, &["policy", "diff", "new.toml", "old.toml", "--fail-on", "widen"]);
    assert!(back.stdout.contains("get for role two (allow"), "{}", back.stdout);
    env.write("turned.toml", attached("{ role = \"one\" }, { role = \"two\" }"));
    env.expect(0, &["policy", "diff", "new.toml", "turned.toml", "--fail-on", "change"]);
}

#[test]
fn a_document_is_compared_with_a_grant() {
    let env = TestEnv::new();
    env.write("layout.toml", LAYOUT);
    let made = env.expect(0, &["policy", "generate", "--grant", "TeamA"]).stdout;
    env.write("attached.json", &made);
    let ran =
        env.expect(0, &["policy", "diff", "attached.json", "layout.toml", "--grant", "TeamA", "--fail-on", "change"]);
    assert_eq!(ran.stdout, "no change in access\n");
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
    assert_eq!(ran.stdout, "no change in access\n");
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
    let changes = ran.of_type("cell");
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
