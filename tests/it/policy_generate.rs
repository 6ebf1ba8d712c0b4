//! `policy generate`: every case of `tests/cases/policy/generate/*.json`, and the forms of its output.
//!
//! A case has `args`; `layout`, the lines of a layout file, if it needs one; and either `documents`, what is printed,
//! order included, or `code` with what is said. `says` is expected on stderr in any case.

use crate::testenv::TestEnv;
use bucketwright::policy::generate::operator::account::TABLE;
use bucketwright::policy::{Caller, Context, Document, Policies, Policy, Request, Verdict, evaluate};
use serde::Deserialize;
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    title: String,
    args: Vec<String>,
    #[serde(default)]
    layout: Vec<String>,
    #[serde(default)]
    code: i32,
    #[serde(default)]
    says: Vec<String>,
    documents: Option<Value>,
}

#[test]
fn cases() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/policy/generate");
    let mut failures = Vec::new();
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let case: Case = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        count += 1;
        failures.extend(check(&case).map(|why| format!("{}, {}:\n{why}", path.display(), case.title)));
    }
    assert!(count >= 20, "only {count} cases were found");
    assert!(failures.is_empty(), "{} of {count} cases fail\n\n{}", failures.len(), failures.join("\n\n"));
}

/// What differs, with the documents as they would stand in the case file.
fn check(case: &Case) -> Option<String> {
    let env = TestEnv::new();
    if !case.layout.is_empty() {
        env.write("layout.toml", case.layout.join("\n"));
    }
    let args: Vec<&str> = ["policy", "generate"].into_iter().chain(case.args.iter().map(String::as_str)).collect();
    let ran = env.run(&args);
    if ran.code != case.code {
        return Some(format!("exit {}\n{}", ran.code, ran.stderr));
    }
    // Lines are folded to the terminal's width.
    let said = ran.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some(missing) = case.says.iter().find(|text| !said.contains(text.as_str())) {
        return Some(format!("does not say `{missing}`:\n{}", ran.stderr));
    }
    let Some(expected) = &case.documents else {
        return (!ran.stdout.is_empty()).then(|| format!("prints\n{}", ran.stdout));
    };
    let found: Value = serde_json::from_str(&ran.stdout).unwrap();
    for document in documents(&found) {
        let parsed = Document::parse(&document.to_string()).unwrap();
        assert!(parsed.defects().is_empty(), "{}: {:?}", case.title, parsed.defects());
    }
    // As texts, because maps compare without their order.
    let texts = (found.to_string(), expected.to_string());
    (texts.0 != texts.1).then(|| format!("{found:#}"))
}

/// One document, or all of them by name.
fn documents(found: &Value) -> Vec<&Value> {
    if found.get("Statement").is_some() { vec![found] } else { found.as_object().unwrap().values().collect() }
}

/// The text of an expression of ours as JSON, if it is one: keys and `=` as `"key":`, everything else is JSON already.
fn expression(text: &str) -> Value {
    let mut json = String::new();
    for line in text.lines().map(str::trim) {
        match line.split_once(" = ") {
            Some((key, value)) => {
                let key = key.trim();
                let key = if key.starts_with('"') { key.to_owned() } else { format!("\"{key}\"") };
                json.extend([&key, ": ", value]);
            }
            None => json.push_str(line),
        }
        if !line.ends_with(['{', '[', ',']) {
            json.push(',');
        }
    }
    let json = json.replace(",}", "}").replace(",]", "]").replace("$${", "${").replace("%%{", "%{");
    serde_json::from_str(json.trim_end_matches(',')).unwrap_or_else(|error| panic!("{error}: {json}"))
}

#[test]
fn terraform_holds_the_same_documents() {
    let env = TestEnv::new();
    env.write("layout.toml", LAYOUT);
    let plain: Value = serde_json::from_str(&env.expect(0, &["policy", "generate"]).stdout).unwrap();
    let ran = env.expect(0, &["policy", "generate", "--format", "terraform"]);
    assert_eq!(ran.stdout.matches('{').count(), ran.stdout.matches('}').count());
    assert_eq!(ran.stdout.matches('[').count(), ran.stdout.matches(']').count());
    let mut found = serde_json::Map::new();
    for resource in ran.stdout.split("resource \"aws_iam_policy\" \"").skip(1) {
        let (label, rest) = resource.split_once('"').unwrap();
        let body = rest.split_once("jsonencode(").unwrap().1.rsplit_once(")\n}").unwrap().0;
        // A variable of IAM, not a template of Terraform: every brace behind a sign is spelled out.
        for (at, _) in body.match_indices("${") {
            assert_eq!(&body[at - 1..at], "$", "{body}");
        }
        found.insert(label.to_owned(), expression(body));
    }
    assert_eq!(Value::Object(found).to_string(), plain.to_string());
    assert!(plain.to_string().contains("odd${*}name"), "{plain}");
}

const LAYOUT: &str = r#"
version = 1
layout = "ml"
account = "245966534215"
region = "us-east-1"
[[bucket]]
name = "ml-data"
template = "t"
projects = ["odd*name", "credit"]
[[grant]]
policy = "P"
access = "read-write"
on = ["ml-data"]
[[grant]]
policy = "Q"
access = "append"
on = ["ml-data/odd*name/data"]
list = "root"
[template.t]
folders = [{ path = "data", access = "append" }, { path = "models", access = "read-write" }]
"#;

#[test]
fn json_output_is_one_line_a_document() {
    let env = TestEnv::new();
    env.write("layout.toml", LAYOUT);
    let ran = env.expect(0, &["policy", "generate", "--output", "json"]);
    let policies = ran.of_type("policy");
    let named: Vec<(&str, &str)> =
        policies.iter().map(|one| (one["name"].as_str().unwrap(), one["kind"].as_str().unwrap())).collect();
    assert_eq!(named, [("P", "identity"), ("Q", "identity")]);
    for policy in &policies {
        assert_eq!(policy["characters"], policy["document"].to_string().chars().count());
    }
    assert_eq!(ran.of_type("finding")[0]["code"], "clients-break");
    assert_eq!(ran.summary()["exit"], 0);
    assert_eq!(ran.stderr, "");
}

#[test]
fn what_is_too_large_comes_in_parts_that_each_fit() {
    let env = TestEnv::new();
    let projects: Vec<String> = (0..300).map(|number| format!("project-{number:04}")).collect();
    let layout = LAYOUT.replace(r#"["odd*name", "credit"]"#, &json!(projects).to_string());
    let layout = layout.replace("odd*name/data", "project-0007/data");
    env.write("layout.toml", layout);
    let ran = env.expect(0, &["policy", "generate", "--grant", "P", "--output", "json"]);
    let policies = ran.of_type("policy");
    assert_eq!(policies.len(), 5);
    for (policy, number) in policies.iter().zip(1..) {
        assert_eq!(policy["name"], format!("P-{number}"));
        assert!(policy["document"].to_string().len() <= 6144, "{policy}");
    }
    let resources: usize =
        policies.iter().map(|policy| policy["document"].to_string().matches("/project-").count()).sum();
    assert_eq!(resources, 600, "every folder stands in one part");
    assert_eq!(ran.of_type("finding")[0]["code"], "policy-split");
    let again = env.expect(0, &["policy", "generate", "--grant", "P", "--output", "json"]).of_type("policy");
    assert!(again == policies, "the same layout gives the same parts");
}

/// The names of the calls that the edges make of a service: each names itself in its errors.
fn calls(files: &[std::path::PathBuf]) -> std::collections::BTreeSet<String> {
    let verbs =
        ["Get", "List", "Create", "Put", "Set", "Delete", "Tag", "Attach", "Detach", "Update", "Describe", "Generate"];
    let mut found = std::collections::BTreeSet::new();
    for file in files {
        let text = std::fs::read_to_string(file).unwrap();
        for literal in text.split('"').skip(1).step_by(2) {
            let is_plain = literal.chars().all(|letter| letter.is_ascii_alphanumeric());
            let behind = verbs.iter().find_map(|verb| literal.strip_prefix(verb));
            if is_plain && behind.is_some_and(|rest| rest.starts_with(|letter: char| letter.is_ascii_uppercase())) {
                found.insert(literal.to_owned());
            }
        }
    }
    found
}

/// Rights that another call asks for: making an association hands a role over and tags.
const WITH_OTHERS: [&str; 2] = ["iam:PassRole", "eks:TagResource"];

#[test]
fn the_rights_of_the_operator_name_every_call() {
    let edges = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/aws");
    let mut called: Vec<String> = Vec::new();
    for service in ["iam", "eks"] {
        let mut files = vec![edges.join(format!("{service}.rs"))];
        files.extend(std::fs::read_dir(edges.join(service)).unwrap().map(|entry| entry.unwrap().path()));
        called.extend(calls(&files).into_iter().map(|name| format!("{service}:{name}")));
    }
    called.extend(WITH_OTHERS.map(str::to_owned));
    let mut rights: Vec<String> = TABLE.iter().flat_map(|row| row.actions).map(|action| (*action).to_owned()).collect();
    called.sort();
    rights.sort();
    assert!(called.len() > 30, "{called:?}");
    assert_eq!(rights, called);
}

#[test]
fn the_operator_writes_and_attaches_the_policies_of_the_grants_alone() {
    let case = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/policy/generate/operator-grants.json");
    let case: Case = serde_json::from_str(&std::fs::read_to_string(case).unwrap()).unwrap();
    let document = Document::parse(&case.documents.unwrap().to_string()).unwrap();
    let policies =
        Policies { identity: vec![Arc::new(Policy { name: "operator".to_owned(), document })], ..Policies::default() };
    let account = "245966534215";
    let caller = Caller::User { arn: format!("arn:aws:iam::{account}:user/me"), account: account.to_owned() };
    let arn = |resource: &str| format!("arn:aws:iam::{account}:{resource}");
    for (action, resource, key, value, allowed) in [
        ("iam:CreatePolicy", "policy/Reader", None, "", true),
        ("iam:CreatePolicy", "policy/Reader-2", None, "", true),
        ("iam:CreatePolicy", "policy/Readers", None, "", false),
        ("iam:DeletePolicy", "policy/Reader", None, "", false),
        ("iam:AttachRolePolicy", "role/any", Some("iam:PolicyARN"), "policy/Reader", true),
        ("iam:DetachRolePolicy", "role/any", Some("iam:PolicyARN"), "policy/Writer-1", true),
        ("iam:AttachRolePolicy", "role/any", Some("iam:PolicyARN"), "policy/Administrator", false),
        ("iam:AttachRolePolicy", "role/any", None, "", false),
        ("iam:CreateRole", "role/pods", None, "", true),
        ("iam:CreateRole", "role/trainer", None, "", false),
        ("iam:PassRole", "role/pods", Some("iam:PassedToService"), "pods.eks.amazonaws.com", true),
        ("iam:PassRole", "role/pods", Some("iam:PassedToService"), "ec2.amazonaws.com", false),
        ("iam:PassRole", "role/made", Some("iam:PassedToService"), "pods.eks.amazonaws.com", false),
    ] {
        let value = if value.starts_with("policy/") { arn(value) } else { value.to_owned() };
        let context = key.map_or_else(Context::default, |key| Context::default().with(key, value));
        let request = Request::new(caller.clone(), action, &arn(resource)).unwrap().with_context(context);
        let verdict = evaluate(&policies, &request).verdict;
        assert_eq!(verdict == Verdict::Allow, allowed, "{action} on {resource} with {key:?}");
    }
}
