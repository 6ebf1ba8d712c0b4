//! `doctor` over the embedded endpoint: the seed's layout with its grant in force, then one thing broken at a time. The
//! endpoint must refuse, `doctor` must name layer, statement and change, and once the change is made both must allow.

use crate::server_env::{client, open};
use crate::testenv::{Ran, TestEnv, files_below};
use bucketwright::layout::{Layout, ParseOptions, parse};
use bucketwright::policy::entitlement::Entitlement;
use bucketwright::policy::generate::{self, Form, Frame};
use serde_json::{Value, json};
use std::collections::BTreeMap;

pub(crate) const LAYOUT: &str = r#"
version = 1
layout = "ml-workflows"

[[bucket]]
name = "bsingh-ml-workflows"
template = "ml-project"
projects = ["credit-scoring", "fraud-detection", "customer-segmentation"]
waive = { access-log = "a test" }

[[grant]]
policy = "FlyteMLS3Access"
access = "read-write"
on = ["bsingh-ml-workflows"]
attach = [{ eks_cluster = "education-eks-vV8VCAqw", node_groups = "*" }]
"#;
pub(crate) const NODE: &str = "node-group-1-eks-node-group-20250724035220727000000001";
pub(crate) const NODE_2: &str = "node-group-2-eks-node-group-20250724035220727200000003";
pub(crate) const CONTROL: &str = "education-eks-control-plane";
const MODEL: &str = "s3://bsingh-ml-workflows/credit-scoring/models/m.bin";
pub(crate) const STORE: &str = ".bucketwright/local";

/// The account in which everything is as it should be.
pub(crate) struct Account {
    pub(crate) env: TestEnv,
}

impl Account {
    pub(crate) fn new() -> Self {
        let account = Self::described();
        account.env.expect(0, &["apply", "--local", "--yes"]);
        account
    }

    /// The account before the layout is applied: the cluster and its roles, and nothing else.
    pub(crate) fn described() -> Self {
        let env = TestEnv::new();
        env.write("layout.toml", LAYOUT);
        env.write("m.bin", "a model");
        let account = Self { env };
        let clusters = format!(
            "[[cluster]]\nname = \"education-eks-vV8VCAqw\"\ncontrol_plane_role = \"{CONTROL}\"\n\
             [[cluster.node_group]]\nname = \"node-group-1-2025072404024606990000001e\"\nrole = \"{NODE}\"\n\
             [[cluster.node_group]]\nname = \"node-group-2-2025072404024606990000001d\"\nrole = \"{NODE_2}\"\n"
        );
        account.put("directory.toml", &clusters);
        let trust = |service: &str| {
            let allow = json!({ "Effect": "Allow", "Principal": { "Service": service }, "Action": "sts:AssumeRole" });
            json!({ "Version": "2012-10-17", "Statement": [allow] })
        };
        for (role, service) in [(NODE, "ec2"), (NODE_2, "ec2"), (CONTROL, "eks")] {
            account.put_role(role, &json!({ "policies": [], "trust": trust(&format!("{service}.amazonaws.com")) }));
        }
        account
    }

    pub(crate) fn put(&self, name: &str, text: &str) {
        self.env.write(&format!("{STORE}/directory/{name}"), text);
    }

    pub(crate) fn put_policy(&self, name: &str, document: &Value) {
        self.put(&format!("policies/{name}.json"), &document.to_string());
    }

    pub(crate) fn put_role(&self, name: &str, sheet: &Value) {
        self.put(&format!("roles/{name}.json"), &sheet.to_string());
    }

    /// Runs the command that a change comes with.
    pub(crate) fn run(&self, remedy: &Value) {
        let command: Vec<&str> = remedy["run"].as_str().unwrap().split(' ').skip(1).collect();
        let all: Vec<&str> = command.into_iter().chain(["--local", "--yes"]).collect();
        self.env.expect(0, &all);
    }

    pub(crate) fn role(&self, name: &str) -> Value {
        let path = self.env.path(&format!("{STORE}/directory/roles/{name}.json"));
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
    }

    /// Changes one field of a role's file.
    pub(crate) fn edit_role(&self, name: &str, field: &str, value: Value) {
        let mut sheet = self.role(name);
        sheet[field] = value;
        self.put_role(name, &sheet);
    }

    /// Uploads the model as the node would.
    fn upload(&self) -> Ran {
        self.env.run(&["sync", "m.bin", MODEL, "--local", "--as", NODE, "--no-cache", "--compare", "always"])
    }

    pub(crate) fn doctor(&self, arguments: &[&str]) -> Ran {
        let before = files_below(&self.env.path(&format!("{STORE}/directory")));
        let all: Vec<&str> =
            ["doctor", "--local", "--output", "json"].into_iter().chain(arguments.iter().copied()).collect();
        let ran = self.env.run(&all);
        assert_eq!(before, files_below(&self.env.path(&format!("{STORE}/directory"))), "doctor writes nothing");
        ran
    }

    /// What doctor says about uploading the model.
    fn asked(&self) -> Ran {
        self.doctor(&["--principal", NODE, "--action", "s3:PutObject", "--resource", MODEL])
    }

    /// The endpoint refuses; doctor says why, asked with the message and without, and the first change is returned.
    fn refused(&self, code: &str, layer: &str, state: &str, document: &str) -> Value {
        let refused = self.upload();
        assert_eq!(refused.code, 1, "{}{}", refused.stdout, refused.stderr);
        let with_message = self.doctor(&[&refused.stderr.replace('\n', " ")]);
        for ran in [with_message, self.asked()] {
            assert_eq!(ran.code, 4, "{}{}", ran.stdout, ran.stderr);
            let first = &ran.of_type("finding")[0];
            assert_eq!(first["code"], code, "{first}");
            assert!(first["fix"].as_str().is_some_and(|fix| !fix.is_empty()), "{first}");
            assert_ne!(ran.of_type("decision")[0]["decision"], "allow");
            let rows = ran.of_type("layer");
            let shown = |row: &&Value| row["layer"] == layer && row["state"] == state;
            let row = rows.iter().find(shown).unwrap_or_else(|| panic!("no {layer} that is {state}: {rows:?}"));
            assert!(document.is_empty() || row["document"].as_str().unwrap().starts_with(document), "{row}");
        }
        let ran = self.asked();
        let remedies = ran.of_type("remedy");
        assert!(remedies.iter().all(|remedy| remedy["checked"] == true), "{remedies:?}");
        remedies[0].clone()
    }

    /// The endpoint allows, and doctor says so.
    fn allowed(&self) {
        let uploaded = self.upload();
        assert_eq!(uploaded.code, 0, "{}{}", uploaded.stdout, uploaded.stderr);
        let ran = self.asked();
        assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
        assert_eq!(ran.of_type("finding")[0]["code"], "doctor-allowed-now");
        assert_eq!(ran.of_type("decision")[0]["decision"], "allow");
        assert_eq!(ran.summary()["exit"], 0);
    }
}

fn layout(text: &str) -> Layout {
    let empty = BTreeMap::new();
    let options = ParseOptions { file_stem: "layout", environment: None, set: &empty, env_vars: &empty };
    parse(text.as_bytes(), &options).unwrap()
}

/// The document that a layout makes of its grant.
fn granted(text: &str) -> Value {
    let layout = layout(text);
    let frame = Frame { partition: "aws".to_owned(), guard: None };
    let made = generate::identity(&Entitlement::of_grant(&layout, &layout.grants[0]), Form::Least, &frame).unwrap();
    assert_eq!(made.len(), 1);
    made[0].document.clone()
}

pub(crate) fn lines(remedy: &Value) -> Vec<String> {
    remedy["change"].as_array().unwrap().iter().map(|line| line.as_str().unwrap().to_owned()).collect()
}

/// The statement that stands behind the first line of a change.
fn statement(remedy: &Value) -> Value {
    serde_json::from_str(&lines(remedy)[1..].join("\n")).unwrap()
}

pub(crate) fn document(effect: &str, sid: &str, action: &str, resource: &str) -> Value {
    let statement = json!({ "Sid": sid, "Effect": effect, "Action": action, "Resource": resource });
    json!({ "Version": "2012-10-17", "Statement": [statement] })
}

#[test]
fn a_whole_account_is_well() {
    let account = Account::new();
    account.allowed();
    let ran = account
        .env
        .expect(0, &["doctor", "--local", "--principal", NODE, "--action", "PutObject", "--resource", MODEL]);
    for part in ["[doctor-allowed-now]", "allowed: role", "Layers", "identity", "FlyteMLS3Access v1: by statement"] {
        assert!(ran.stdout.contains(part), "{part}: {}", ran.stdout);
    }
}

#[test]
fn a_deny_on_models() {
    let account = Account::new();
    let denial = document("Deny", "NoModels", "s3:PutObject", "arn:aws:s3:::bsingh-ml-workflows/*/models/*");
    account.edit_role(NODE, "inline", json!({ "Guard": denial }));
    let remedy = account.refused("doctor-explicit-deny", "identity", "denies", "inline policy Guard");
    assert_eq!((&remedy["kind"], &remedy["weakens"]), (&json!("ask"), &json!(true)));
    assert_eq!(lines(&remedy), ["take statement `NoModels` out of inline policy Guard"]);
    account.edit_role(NODE, "inline", json!({}));
    account.allowed();
}

#[test]
fn a_wrong_prefix() {
    let account = Account::new();
    let good = granted(LAYOUT).to_string();
    account.put("policies/FlyteMLS3Access.json", &good.replace("credit-scoring/models", "credit-scoring/modles"));
    let remedy = account.refused("doctor-policy-differs", "identity", "silent", "FlyteMLS3Access");
    assert_eq!(remedy["kind"], "apply");
    assert_eq!(remedy["run"], "bucketwright apply layout.toml --only grants");
    account.run(&remedy);
    account.allowed();
}

#[test]
fn a_boundary_without_put() {
    let account = Account::new();
    let mut fence = document("Allow", "Look", "s3:Get*", "*");
    fence["Statement"]
        .as_array_mut()
        .unwrap()
        .push(json!({ "Effect": "Allow", "Action": "s3:List*", "Resource": "*" }));
    account.put_policy("Fence", &fence);
    account.edit_role(NODE, "boundary", json!("Fence"));
    let remedy = account.refused("doctor-boundary", "boundary", "silent", "Fence");
    assert_eq!((&remedy["kind"], &remedy["target"]), (&json!("statement"), &json!("Fence")));
    assert_eq!(remedy["opens"], json!(["s3:PutObject on s3://bsingh-ml-workflows/credit-scoring/models/*"]));
    fence["Statement"].as_array_mut().unwrap().push(statement(&remedy));
    account.put_policy("Fence", &fence);
    account.allowed();
}

#[test]
fn attached_to_the_control_plane() {
    let account = Account::new();
    for (role, policies) in [(NODE, json!([])), (NODE_2, json!([])), (CONTROL, json!(["FlyteMLS3Access"]))] {
        account.edit_role(role, "policies", policies);
    }
    let remedy = account.refused("doctor-wrong-role", "identity", "silent", "");
    let first = &account.asked().of_type("finding")[0];
    assert!(
        first["message"].as_str().unwrap().contains("`education-eks-control-plane` of the cluster's control plane"),
        "{first}"
    );
    assert_eq!(
        (&remedy["kind"], &remedy["run"]),
        (&json!("apply"), &json!("bucketwright apply layout.toml --only grants"))
    );
    account.run(&remedy);
    account.allowed();
}

#[test]
fn detached_from_everybody() {
    let account = Account::new();
    account.edit_role(NODE, "policies", json!([]));
    account.edit_role(NODE_2, "policies", json!([]));
    let remedy = account.refused("doctor-not-attached", "identity", "silent", "");
    assert_eq!(remedy["kind"], "apply");
    // Without the layout the policy is attached by hand.
    std::fs::remove_file(account.env.path("layout.toml")).unwrap();
    let by_hand = account.asked();
    let remedy = &by_hand.of_type("remedy")[0];
    assert_eq!(remedy["kind"], "attach");
    assert!(remedy["run"].as_str().unwrap().ends_with(&format!(" {NODE}")), "{remedy}");
    account.env.write("layout.toml", LAYOUT);
    account.run(&json!({ "run": "bucketwright apply layout.toml --only grants" }));
    account.allowed();
}

#[tokio::test]
async fn a_bucket_policy_that_denies() {
    let account = Account::new();
    let server = open(&account.env.path(STORE));
    let owner = client(&server, server.secret_key());
    let bucket = "bsingh-ml-workflows";
    let found = owner.get_bucket_policy().bucket(bucket).send().await.unwrap();
    let mut policy: Value = serde_json::from_str(found.policy().unwrap()).unwrap();
    let mut denial =
        document("Deny", "Freeze", "s3:PutObject", "arn:aws:s3:::bsingh-ml-workflows/*/models/*")["Statement"][0]
            .clone();
    denial["Principal"] = json!("*");
    policy["Statement"].as_array_mut().unwrap().push(denial);
    owner.put_bucket_policy().bucket(bucket).policy(policy.to_string()).send().await.unwrap();
    let remedy = account.refused("doctor-explicit-deny", "resource", "denies", "bucket policy of");
    assert_eq!((&remedy["kind"], &remedy["weakens"]), (&json!("ask"), &json!(true)));
    assert!(lines(&remedy)[0].contains("let statement `Freeze` except this caller"), "{remedy}");
    *policy["Statement"].as_array_mut().unwrap().last_mut().unwrap() = statement(&remedy);
    owner.put_bucket_policy().bucket(bucket).policy(policy.to_string()).send().await.unwrap();
    account.allowed();
}

#[test]
fn a_grant_that_gives_less_is_changed_in_the_layout() {
    let account = Account::new();
    let less = LAYOUT.replace("read-write", "read");
    account.env.write("layout.toml", &less);
    account.env.expect(0, &["apply", "--local", "--yes", "--only", "grants"]);
    let remedy = account.refused("doctor-policy-changed", "identity", "silent", "FlyteMLS3Access v2");
    assert_eq!(remedy["kind"], "layout");
    let first = &account.asked().of_type("finding")[0];
    assert!(first["message"].as_str().unwrap().starts_with("v1 of FlyteMLS3Access allowed it"), "{first}");
    assert!(first["fix"].as_str().unwrap().starts_with("in layout.toml: grant"), "a rollback would not last: {first}");
    assert_eq!(lines(&remedy)[1], "grant `FlyteMLS3Access`: access = \"append\"   # was \"read\"");
    let edited = LAYOUT.replace("read-write", "append");
    account.env.write("layout.toml", &edited);
    account.run(&remedy);
    account.allowed();
}

#[test]
fn names_that_are_nearly_right() {
    let account = Account::new();
    let ran = account.doctor(&[
        "--principal",
        "node-group-1-eks-node-group-2025072403522072700000000",
        "--action",
        "s3:PutObject",
        "--resource",
        MODEL,
    ]);
    assert_eq!(ran.code, 4);
    let first = &ran.of_type("finding")[0];
    assert_eq!(first["code"], "doctor-no-role");
    assert!(first["message"].as_str().unwrap().contains(&format!("there is a role `{NODE}`")), "{first}");
    let ran =
        account.doctor(&["--principal", NODE, "--action", "s3:GetObject", "--resource", "s3://bsingh-ml-workflow/x"]);
    let first = &ran.of_type("finding")[0];
    assert_eq!((ran.code, &first["code"]), (4, &json!("doctor-no-bucket")));
    assert!(first["message"].as_str().unwrap().contains("this account has a bucket `bsingh-ml-workflows`"), "{first}");
    // A message that says so itself is looked into all the same.
    let message = "An error occurred (NoSuchBucket) when calling the GetObject operation: s3://bsingh-ml-workflow/x The specified bucket does not exist";
    let ran = account.doctor(&[message]);
    assert!(ran.code == 4 && ran.stdout.contains("this account has a bucket"), "{}", ran.stdout);
}

#[test]
fn a_missing_object_is_told_from_a_missing_right() {
    let account = Account::new();
    let folder = json!({ "Version": "2012-10-17", "Statement": [
        { "Effect": "Allow", "Action": ["s3:GetObject"], "Resource": "arn:aws:s3:::bsingh-ml-workflows/credit-scoring/*" }] });
    account.put_policy("FlyteMLS3Access", &folder);
    let place = "s3://bsingh-ml-workflows/credit-scoring/data/missing.csv";
    let message =
        format!("{place} fatal error: An error occurred (403) when calling the HeadObject operation: Forbidden");
    let ran = account.doctor(&[&message, "--principal", NODE]);
    assert_eq!(ran.code, 4, "{}{}", ran.stdout, ran.stderr);
    assert_eq!(ran.of_type("finding")[0]["code"], "doctor-missing-key");
    let head =
        account.doctor(&["--principal", NODE, "--action", "HeadBucket", "--resource", "s3://bsingh-ml-workflows"]);
    assert_eq!(head.code, 4);
}

#[test]
fn without_credentials_the_message_is_explained() {
    let env = TestEnv::new();
    let message = "upload failed: ./x to s3://lake/x An error occurred (AccessDenied) when calling the PutObject operation: Access Denied";
    let ran = env.expect(4, &["doctor", message, "--output", "json"]);
    assert_eq!(ran.of_type("finding")[0]["code"], "doctor-denied");
    assert_eq!(ran.of_type("symptom")[0]["resource"], "arn:aws:s3:::lake/x");
    assert!(ran.stderr.contains("nothing was looked at"), "{}", ran.stderr);
    // An expired token needs nobody to be asked.
    let ran = env.expect(
        4,
        &[
            "doctor",
            "An error occurred (ExpiredToken) when calling the PutObject operation: The provided token has expired.",
        ],
    );
    assert_eq!(ran.stderr, "");
    assert!(ran.stdout.contains("fix: sign in again"), "{}", ran.stdout);
}

#[test]
fn a_log_is_read_from_a_file() {
    let env = TestEnv::new();
    let refusal = "botocore.exceptions.ClientError: An error occurred (AccessDenied) when calling the PutObject operation: Access Denied\n";
    env.write("train.log", format!("{}{refusal}{}{refusal}", "epoch 1\n".repeat(10), "epoch 2\n".repeat(5)));
    let ran = env.expect(4, &["doctor", "train.log", "--offline"]);
    assert!(ran.stderr.contains("line 11 of 18, and 1 more times"), "{}", ran.stderr);
    env.write("quiet.log", "all is well\n");
    env.expect(2, &["doctor", "quiet.log"]);
}

#[test]
fn documents_stand_in_for_the_account() {
    let env = TestEnv::new();
    env.write("p.json", document("Allow", "Read", "s3:GetObject", "arn:aws:s3:::lake/*").to_string());
    let ask = |action: &str, more: &[&str]| {
        let arguments = [
            "doctor",
            "--principal",
            "trainer",
            "--action",
            action,
            "--resource",
            "s3://lake/a/x",
            "--policy",
            "p.json",
        ];
        let all: Vec<&str> = arguments.into_iter().chain(more.iter().copied()).chain(["--output", "json"]).collect();
        env.run(&all)
    };
    assert_eq!(ask("s3:GetObject", &[]).code, 0);
    let refused = ask("s3:PutObject", &[]);
    assert_eq!(refused.code, 4);
    assert_eq!(refused.of_type("remedy")[0]["opens"], json!(["s3:PutObject on s3://lake/a/*"]));
    env.write("b.json", document("Allow", "Few", "s3:ListBucket", "*").to_string());
    assert_eq!(ask("s3:GetObject", &["--boundary", "b.json"]).of_type("finding")[0]["code"], "doctor-boundary");
}

#[test]
fn wrong_usage_is_told() {
    let env = TestEnv::new();
    for arguments in [
        &["doctor"][..],
        &["doctor", "hello world"],
        &["doctor", "--principal", "trainer", "--offline"],
        &["doctor", "--principal", "trainer", "--action", "s3:GetObject", "--resource", "lake", "--local"],
        &["doctor", "--principal", "trainer", "--action", "s3:GetObject", "--local"],
    ] {
        let ran = env.run(arguments);
        assert_eq!(ran.code, 2, "{arguments:?}: {}{}", ran.stdout, ran.stderr);
    }
}

/// Every line that the page shows of an answer stands in the answer, in that order.
pub(crate) fn shown(page: &str, heading: &str, ran: &Ran) {
    let section =
        page.split("\n## ").find(|section| section.starts_with(heading)).unwrap_or_else(|| panic!("{heading}"));
    let block = section.split("```text\n").nth(1).unwrap().split("```").next().unwrap();
    let mut rest = ran.stdout.as_str();
    for line in block.lines().filter(|line| !line.trim().is_empty() && *line != "...") {
        let at = rest.find(line).unwrap_or_else(|| panic!("{heading}: `{line}` is not in\n{}", ran.stdout));
        rest = &rest[at + line.len()..];
    }
}

/// The page of codes names every code that the source has.
#[test]
fn every_code_has_a_row() {
    let page = include_str!("../../docs/doctor.md");
    let source = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut codes = std::collections::BTreeSet::new();
    let files = files_below(&source.join("doctor")).into_iter().chain(files_below(&source.join("commands/doctor")));
    for (path, content) in files {
        let text = String::from_utf8(content).unwrap();
        let quoted = text.split('"').filter(|part| part.starts_with("doctor-") && !path.ends_with("tests.rs"));
        codes.extend(quoted.map(str::to_owned));
    }
    assert!(codes.len() > 30, "{codes:?}");
    for code in codes {
        assert!(page.contains(&format!("`{code}`")), "{code}");
    }
}
