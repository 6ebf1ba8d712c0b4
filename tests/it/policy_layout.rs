//! A layout's grants as a matrix, and its expectations: `policy eval LAYOUT` and `plan`.

use crate::testenv::{Ran, TestEnv};
use std::collections::BTreeMap;

const LAYOUT: &str = r#"
version = 1
layout = "ml-workflows"
[[bucket]]
name = "bsingh-ml-workflows"
template = "ml-project"
projects = ["credit-scoring", "fraud-detection"]
access_log = { bucket = "bsingh-ml-logs" }
[[grant]]
policy = "FlyteMLS3Access"
access = "read-write"
on = ["bsingh-ml-workflows"]
attach = [{ role = "flyte" }]
[[grant]]
policy = "Credit"
access = "read-write"
on = ["bsingh-ml-workflows/credit-scoring/results"]
attach = [{ role = "flyte" }, { role = "credit" }]
"#;

/// `allow` or `deny` as observed, by principal, operation and target without the bucket.
fn cells(ran: &Ran) -> BTreeMap<(String, String, String), String> {
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let cells = ran.of_type("cell").into_iter().map(|cell| {
        assert_eq!(cell["expected"], cell["observed"], "{cell}");
        assert!(!text(&cell["because"]).is_empty());
        let target = text(&cell["target"]).replace("s3://bsingh-ml-workflows/", "");
        ((text(&cell["principal"]), text(&cell["operation"]), target), text(&cell["observed"]))
    });
    cells.collect()
}

#[test]
fn every_cell_comes_out_as_granted() {
    let env = TestEnv::new();
    env.write("layout.toml", LAYOUT);
    let ran = env.expect(0, &["policy", "eval", "layout.toml", "--output", "json"]);
    let cells = cells(&ran);
    for (principal, operation, target, expected) in [
        ("FlyteMLS3Access", "list", "", "allow"),
        ("FlyteMLS3Access", "head-bucket", "", "allow"),
        ("FlyteMLS3Access", "put", "", "deny"),
        ("FlyteMLS3Access", "get", "", "allow"),
        ("FlyteMLS3Access", "put", "credit-scoring/data/", "allow"),
        ("FlyteMLS3Access", "multipart", "credit-scoring/data/", "allow"),
        ("FlyteMLS3Access", "delete", "credit-scoring/data/", "deny"),
        ("FlyteMLS3Access", "delete", "fraud-detection/models/", "allow"),
        ("Credit", "head-bucket", "", "deny"),
        ("Credit", "list", "", "deny"),
        ("Credit", "list", "credit-scoring/results/", "allow"),
        ("Credit", "delete", "credit-scoring/results/", "allow"),
        ("Credit", "list", "credit-scoring/results-sibling/", "deny"),
        ("Credit", "get", "credit-scoring/results-sibling/", "deny"),
        ("Credit", "get", "credit-scoring/data/", "deny"),
        ("Credit", "list", "fraud-detection/results/", "deny"),
    ] {
        let cell = (principal.to_owned(), operation.to_owned(), target.to_owned());
        assert_eq!(cells.get(&cell).map(String::as_str), Some(expected), "{cell:?}");
    }
    assert_eq!(ran.summary()["failed"], 0);
    let shown = env.expect(0, &["policy", "eval", "layout.toml"]).stdout;
    assert!(shown.contains("credit-scoring/data/              delete: deny, as expected"), "{shown}");
    assert!(shown.ends_with("77 decisions: 77 as expected, 0 not\n"), "{shown}");
}

/// Each expectation alone: principal, operation, target, what is expected, and whether that holds.
const EXPECTATIONS: &[(&str, &str, &str, &str, bool)] = &[
    ("FlyteMLS3Access", "delete", "bsingh-ml-workflows/credit-scoring/data/*", "deny", true),
    ("FlyteMLS3Access", "delete", "bsingh-ml-workflows/credit-scoring/*", "deny", false),
    ("FlyteMLS3Access", "put", "bsingh-ml-workflows/credit-scoring/data/x.csv", "allow", true),
    ("FlyteMLS3Access", "put", "bsingh-ml-workflows/*", "allow", false),
    ("FlyteMLS3Access", "get", "bsingh-ml-workflows/*", "allow", true),
    ("FlyteMLS3Access", "head-bucket", "bsingh-ml-workflows", "allow", true),
    ("FlyteMLS3Access", "get", "bsingh-ml-logs/*", "deny", true),
    ("Credit", "head-bucket", "bsingh-ml-workflows", "deny", true),
    ("Credit", "head-bucket", "bsingh-ml-workflows", "allow", false),
    ("Credit", "list", "bsingh-ml-workflows", "deny", true),
    ("Credit", "list", "bsingh-ml-workflows/credit-scoring/results", "allow", true),
    ("Credit", "list", "bsingh-ml-workflows/credit-scoring/results/*", "allow", true),
    ("Credit", "list", "bsingh-ml-workflows/*", "deny", false),
    ("Credit", "multipart", "bsingh-ml-workflows/fraud-detection/*", "deny", true),
    // A role has all policies that attach to it.
    ("flyte", "delete", "bsingh-ml-workflows/credit-scoring/results/*", "allow", true),
    ("flyte", "head-bucket", "bsingh-ml-workflows", "allow", true),
    ("credit", "head-bucket", "bsingh-ml-workflows", "allow", false),
    ("credit", "get", "bsingh-ml-workflows/fraud-detection/models/x", "deny", true),
];

#[test]
fn expectations_hold_or_are_found_by_plan_and_eval() {
    let mut wrong = Vec::new();
    let env = TestEnv::new();
    for (principal, operation, target, expect, holds) in EXPECTATIONS {
        let assert = format!(
            "[[assert]]\nprincipal = \"{principal}\"\noperation = \"{operation}\"\ntarget = \"{target}\"\nexpect = \"{expect}\"\n"
        );
        env.write("layout.toml", format!("{LAYOUT}{assert}"));
        let ran = env.run(&["policy", "eval", "layout.toml", "--output", "json"]);
        let found = ran.of_type("finding");
        let said = found.iter().all(|one| one["code"] == "assert-failed" && one["severity"] == "error");
        if (ran.code, found.len(), said) != (if *holds { 0 } else { 4 }, usize::from(!holds), true) {
            wrong.push(format!("{principal} {operation} {target} {expect}: exit {}\n{}", ran.code, ran.stdout));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_plan_whose_expectations_fail_is_refused() {
    let env = TestEnv::new();
    let assert = "[[assert]]\nprincipal = \"FlyteMLS3Access\"\noperation = \"delete\"\n\
                  target = \"bsingh-ml-workflows/fraud-detection/models/*\"\nexpect = \"deny\"\n";
    env.write("layout.toml", format!("{LAYOUT}{assert}"));
    let ran = env.expect(4, &["plan", "--local", "--check"]);
    assert!(
        ran.stdout.contains("error [assert-failed] s3://bsingh-ml-workflows/fraud-detection/models/*"),
        "{}",
        ran.stdout
    );
    assert!(ran.stdout.contains("ObjectsReadWrite allows s3:DeleteObject"), "{}", ran.stdout);
    env.expect(1, &["apply", "--local", "--yes"]);
    env.expect(4, &["tree", "--local", "--check"]);
    env.expect(0, &["plan", "--local", "--only", "settings"]);
    env.write("layout.toml", format!("{LAYOUT}{}", assert.replace("models", "data")));
    env.expect(0, &["apply", "--local", "--yes"]);
    env.expect(0, &["plan", "--local", "--check"]);
}

#[test]
fn a_grant_that_no_policy_can_say_is_found_by_plan() {
    let env = TestEnv::new();
    env.write("layout.toml", LAYOUT.replace("fraud-detection", "日本"));
    let ran = env.expect(4, &["plan", "--local", "--output", "json"]);
    let codes: Vec<_> = ran.of_type("finding").iter().map(|one| one["code"].clone()).collect();
    assert!(codes.contains(&"policy-unwritable".into()), "{codes:?}");
    let ran = env.expect(2, &["policy", "eval", "layout.toml"]);
    assert!(ran.stderr.contains("no policy document can"), "{}", ran.stderr);
}
