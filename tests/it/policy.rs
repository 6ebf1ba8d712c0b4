//! Policies decided by the cases of `tests/cases/policy`, and the verbs that decide and explain.

use crate::testenv::TestEnv;
use bucketwright::policy::cases;
use bucketwright::policy::{evaluate, evaluate_with_trace};
use serde_json::{Value, json};

const EVALUATION: &str = include_str!("../cases/policy/evaluation.json");
const KEHOE: &str = include_str!("../cases/policy/kehoe.json");

fn check_all(text: &str, count: usize) {
    let cases = cases::parse(text).unwrap();
    assert_eq!(cases.len(), count);
    let mut wrong = Vec::new();
    for case in &cases {
        let traced = evaluate_with_trace(&case.policies, &case.request);
        let fast = evaluate(&case.policies, &case.request);
        assert_eq!((fast.verdict, fast.layer), (traced.verdict, traced.layer), "{}", case.id);
        if Some(traced.verdict) != case.expected {
            wrong.push(format!("{}: {} ({:?})", case.id, traced.verdict.word(), case.title));
        }
    }
    assert!(wrong.is_empty(), "{} cases come out otherwise:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn every_documented_case_comes_out_as_aws_says() {
    check_all(EVALUATION, 75);
}

#[test]
fn every_measured_case_comes_out_as_aws_does() {
    check_all(KEHOE, 28);
}

#[test]
fn eval_compares_with_what_is_expected() {
    let env = TestEnv::new();
    env.write("good.json", EVALUATION);
    env.write("measured.json", KEHOE);
    let ran = env.expect(0, &["policy", "eval", "good.json", "measured.json"]);
    assert_eq!(ran.stdout, "103 decisions: 103 as expected, 0 not\n");
    let ran = env.expect(0, &["policy", "eval", "good.json", "--output", "json"]);
    let decisions = ran.of_type("decision");
    assert_eq!(
        (decisions.len(), ran.summary()["done"].as_u64(), ran.summary()["exit"].as_u64()),
        (75, Some(75), Some(0))
    );
    for decision in &decisions {
        assert_eq!(decision["decision"], decision["expected"], "{decision}");
        let because = decision["because"].as_array().unwrap();
        assert!(because.iter().any(|reason| reason["decisive"] == true), "{decision}");
    }
}

#[test]
fn eval_says_what_differs_and_why() {
    let mut cases: Value = serde_json::from_str(EVALUATION).unwrap();
    let list = cases.as_array_mut().unwrap();
    list.retain(|case| ["C04", "R09"].contains(&case["id"].as_str().unwrap()));
    list[0]["expected"] = json!("allow");
    list[1].as_object_mut().unwrap().shift_remove("expected");
    let env = TestEnv::new();
    env.write("cases.json", cases.to_string());
    let ran = env.expect(4, &["policy", "eval", "cases.json"]);
    insta::assert_snapshot!(ran.stdout);
    let ran = env.expect(4, &["policy", "eval", "cases.json", "--output", "json"]);
    assert_eq!(ran.summary()["failed"], 1);
}

#[test]
fn eval_refuses_what_is_no_file_of_cases() {
    let env = TestEnv::new();
    env.write("twice.json", r#"[{"id": "a", "id": "b"}]"#);
    env.write("object.json", "{}");
    let case = json!([{ "id": "x", "principal": { "type": "iam-user", "arn": "alice" }, "request": {} }, { "id": 1 }]);
    env.write("wrong.json", case.to_string());
    for (file, messages) in [
        ("twice.json", vec!["twice.json: `[0].id` stands there twice"]),
        ("object.json", vec!["object.json: a file of cases is a list, not an object"]),
        (
            "wrong.json",
            vec![
                "wrong.json: `[0].principal.arn` does not fit: `alice` is not the ARN of a user",
                "wrong.json: `[1].id` must be a text, not a number",
            ],
        ),
    ] {
        let ran = env.expect(2, &["policy", "eval", file, "--output", "json"]);
        let found: Vec<String> =
            ran.of_type("error").iter().map(|error| error["message"].as_str().unwrap().to_owned()).collect();
        assert_eq!(found, messages);
    }
    env.expect(2, &["policy", "eval", "absent.json"]);
    env.expect(2, &["policy", "eval"]);
}

/// A folder policy with its bucket's policy, and a few people around it.
fn folder_env() -> TestEnv {
    let env = TestEnv::new();
    let folder = json!({ "Version": "2012-10-17", "Statement": [
        { "Sid": "ListFolder", "Effect": "Allow", "Action": "s3:ListBucket", "Resource": "arn:aws:s3:::lake",
          "Condition": { "StringLike": { "s3:prefix": ["team-a", "team-a/*"] } } },
        { "Sid": "ReadFolder", "Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::lake/team-a/*" },
    ]});
    let bucket = json!({ "Version": "2012-10-17", "Statement": [
        { "Sid": "OnlyTls", "Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "*",
          "Condition": { "Bool": { "aws:SecureTransport": "false" } } },
        { "Sid": "Account", "Effect": "Allow", "Principal": { "AWS": "111111111111" }, "Action": "s3:GetObject",
          "Resource": "arn:aws:s3:::lake/shared/*" },
    ]});
    env.write("policy.json", folder.to_string());
    env.write("bucket.json", bucket.to_string());
    env
}

const ROLE: [&str; 5] =
    ["policy", "explain", "policy.json", "--principal", "arn:aws:iam::111111111111:role/ml/trainer"];

fn explain(code: i32, rest: &[&str]) -> String {
    let arguments: Vec<&str> = ROLE.iter().chain(rest).copied().collect();
    folder_env().expect(code, &arguments).stdout
}

#[test]
fn explain_says_who_allows() {
    let said = explain(0, &["--action", "s3:GetObject", "--resource", "s3://lake/team-a/x.csv"]);
    insta::assert_snapshot!(said);
}

#[test]
fn explain_names_the_nearest_statement_and_a_fix() {
    let said = explain(4, &["--action", "s3:GetObject", "--resource", "arn:aws:s3:::lake/team-b/x.csv"]);
    insta::assert_snapshot!("other_folder", said);
    let said = explain(4, &["--action", "s3:ListBucket", "--resource", "s3://lake/"]);
    insta::assert_snapshot!("no_prefix", said);
    let action = ["--action", "s3:GetObject", "--resource", "s3://lake/shared/x", "--bucket-policy", "bucket.json"];
    insta::assert_snapshot!("account_only", explain(4, &action));
    let plain = ["--context", "aws:SecureTransport=false"];
    let arguments: Vec<&str> = action.iter().chain(&plain).copied().collect();
    insta::assert_snapshot!("denied", explain(4, &arguments));
    let arguments: Vec<&str> = action.iter().chain(&["-v"]).copied().collect();
    insta::assert_snapshot!("trace", explain(4, &arguments));
}

#[test]
fn explain_takes_every_layer() {
    let env = folder_env();
    let everything =
        json!({ "Version": "2012-10-17", "Statement": { "Effect": "Allow", "Action": "*", "Resource": "*" } });
    env.write("all.json", everything.to_string());
    env.write("none.json", json!({ "Version": "2012-10-17", "Statement": [] }).to_string());
    let base: Vec<&str> = ROLE
        .into_iter()
        .chain(["--action", "s3:GetObject", "--resource", "s3://lake/team-a/x", "--output", "json"])
        .collect();
    for option in ["--boundary", "--session", "--scp", "--rcp"] {
        let with = |file| base.iter().copied().chain([option, file]).collect::<Vec<_>>();
        if option != "--rcp" {
            env.expect(0, &with("all.json"));
        }
        let ran = env.expect(4, &with("none.json"));
        let decision = &ran.of_type("decision")[0];
        assert_eq!(decision["decision"], "implicit-deny");
        assert_eq!(decision["layer"], option.trim_start_matches("--"));
    }
    let across: Vec<&str> = base.iter().copied().chain(["--resource-account", "222222222222"]).collect();
    assert_eq!(env.expect(4, &across).of_type("decision")[0]["layer"], "resource");
}

#[test]
fn explain_warns_of_defects_and_refuses_what_is_no_policy() {
    let env = folder_env();
    env.write("odd.json", r#"{"Version": "2012-10-17", "Comment": 1, "Statement": []}"#);
    env.write("broken.json", r#"{"Version": "2012-10-17", "Statement": [}"#);
    let run = |code, file, rest: &[&str]| {
        let base = ["policy", "explain", file, "--principal", "anonymous"];
        env.expect(code, &base.into_iter().chain(rest.iter().copied()).collect::<Vec<_>>()).stderr
    };
    let get = ["--action", "s3:GetObject", "--resource", "s3://lake/k"];
    assert!(run(4, "odd.json", &get).contains("warning: odd.json: `Comment` is no element of the policy language"));
    assert!(run(2, "broken.json", &get).contains("not JSON"));
    assert!(run(4, "odd.json", &["--action", "s3:HeadObject", "--resource", "s3://lake/k"]).contains("s3:GetObject"));
    for wrong in
        [["--action", "GetObject", "--resource", "s3://lake/k"], ["--action", "s3:GetObject", "--resource", "lake/k"]]
    {
        run(2, "odd.json", &wrong);
    }
}
