//! `report` over the embedded endpoint: the seed's layout in force, told as a page in both forms.

use crate::server_env::open;
use crate::testenv::{TestEnv, files_below};
use serde_json::{Value, json};
use std::fs;

const LAYOUT: &str = r#"
version = 1
layout = "ml-workflows"

[[bucket]]
name = "bsingh-ml-workflows"
template = "ml-project"
projects = ["credit-scoring", "fraud-detection", "customer-segmentation"]
tags = { team = "ml" }
waive = { access-log = "a test" }

[[dataset]]
source = "CleanCreditScoring.csv"
to = "bsingh-ml-workflows/credit-scoring/data"

[[grant]]
policy = "FlyteMLS3Access"
access = "read-write"
on = ["bsingh-ml-workflows"]
attach = [{ eks_cluster = "education-eks-vV8VCAqw", node_groups = "*" }]
"#;
const CLUSTER: &str = "[[cluster]]\nname = \"education-eks-vV8VCAqw\"\n\
    [[cluster.node_group]]\nname = \"node-group-1-2025072404024606990000001e\"\nrole = \"node-group-1-eks-node-group-20250724035220727000000001\"\n";
const NODE: &str = "node-group-1-eks-node-group-20250724035220727000000001";
const STORE: &str = ".bucketwright/local";

fn env() -> TestEnv {
    let env = TestEnv::new();
    env.write("layout.toml", LAYOUT);
    env.write("CleanCreditScoring.csv", "id,score\n1,2\n");
    env.write(&format!("{STORE}/directory/directory.toml"), CLUSTER);
    env
}

fn applied() -> TestEnv {
    let env = env();
    env.expect(0, &["apply", "--local", "--yes"]);
    env
}

/// The page without what differs from run to run.
fn page(env: &TestEnv, arguments: &[&str]) -> String {
    let all: Vec<&str> = ["report", "--local"].into_iter().chain(arguments.iter().copied()).collect();
    let text = env.expect(0, &all).stdout;
    let dated =
        text.lines().map(|line| match line.contains("Last updated: ") || line.contains("as they were found on ") {
            true => "[dated]",
            false => line,
        });
    dated.collect::<Vec<_>>().join("\n")
}

#[test]
fn the_seeds_page_from_the_live_state() {
    let env = applied();
    let text = page(&env, &[]);
    for wanted in [
        "# S3 bucket access and IAM policies of ml-workflows",
        "## Current setup",
        "- Account: `000000000000`",
        "### EKS cluster education-eks-vV8VCAqw",
        "- Node group `node-group-1-2025072404024606990000001e`, whose nodes have role `node-group-1-eks-node-group-20250724035220727000000001`",
        "| public-access | S3.8, CIS 2.1.4 | ✓ pass | all four flags on |",
        "| access-log | S3.9 | △ waived | a test |",
        "s3://bsingh-ml-workflows/  1 object, 13 B\n├── credit-scoring/  1 object, 13 B\n│   ├── data/  1 object, 13 B\n│   │   └── CleanCreditScoring.csv  13 B\n│   ├── models/\n│   └── results/",
        "### FlyteMLS3Access",
        "- ARN: `arn:aws:iam::000000000000:policy/FlyteMLS3Access`",
        "- In force: `v1`",
        "- Attached to: role node-group-1-eks-node-group-20250724035220727000000001",
        "\"Sid\": \"ObjectsReadWrite\"",
        "| `credit-scoring/data/` | ✓ | ✓ | ✓ | ✓ | – |   |",
        "| CleanCreditScoring.csv | s3://bsingh-ml-workflows/credit-scoring/data/ | 1 object, 13 B | none |",
        "Nothing: all is as the layout says.",
        "[dated]",
    ] {
        assert!(text.contains(wanted), "{wanted} is missing in\n{text}");
    }
    assert!(!text.contains("✗"), "{text}");
}

#[test]
fn what_is_not_as_wanted_is_told() {
    let env = env();
    let text = page(&env, &[]);
    for wanted in [
        "| drift | △ apply would do ",
        "- state: not there",
        "| create-bucket | s3://bsingh-ml-workflows | missing |",
        "✗ is not there; this is the document that apply would make",
        "s3://bsingh-ml-workflows/ (missing)",
    ] {
        assert!(text.contains(wanted), "{wanted} is missing in\n{text}");
    }
}

#[test]
fn the_matrix_is_of_what_is_in_force() {
    let env = applied();
    assert!(page(&env, &[]).contains("0 not as the grants say, 0 unknown"));
    // Somebody takes the models away, by hand.
    let policy = env.path(&format!("{STORE}/directory/policies/FlyteMLS3Access.json"));
    let mut document: Value = serde_json::from_slice(&fs::read(&policy).unwrap()).unwrap();
    let deny = json!({ "Effect": "Deny", "Action": "s3:GetObject",
        "Resource": "arn:aws:s3:::bsingh-ml-workflows/credit-scoring/models/*" });
    document["Statement"].as_array_mut().unwrap().push(deny);
    fs::write(&policy, document.to_string()).unwrap();
    let text = page(&env, &[]);
    assert!(text.contains("| access | ✗ ") && text.contains("1 not as the grants say, 0 unknown"), "{text}");
    assert!(text.contains("| FlyteMLS3Access | get | s3://bsingh-ml-workflows/credit-scoring/models/ |"), "{text}");
    // The policy goes, and with it all that it gave.
    fs::remove_file(&policy).unwrap();
    let text = page(&env, &[]);
    assert!(text.contains("| access | ✗ ") && text.contains("no statement allows s3:GetObject here"), "{text}");
}

#[test]
fn files_are_reports_or_left_alone() {
    let env = applied();
    let before = files_below(&env.path(&format!("{STORE}/directory")));
    let state = |name: &str| fs::read_to_string(env.path(name)).unwrap();
    env.expect(0, &["report", "--local", "-o", "state.html"]);
    let first = state("state.html");
    assert!(first.starts_with("<!DOCTYPE html>") && first.contains("<svg class=\"matrix\""), "{first}");
    env.expect(0, &["report", "--local", "-o", "state.html", "--format", "markdown"]);
    assert!(state("state.html").starts_with("<!-- bucketwright report -->"));
    env.expect(0, &["report", "--local", "-o", "new/state.md"]);
    let layout = state("layout.toml");
    env.write("notes.md", "Each month: `bucketwright report -o state.md`\n");
    env.expect(2, &["report", "--local", "-o", "notes.md"]);
    assert!(state("notes.md").starts_with("Each month"));
    let refused = env.expect(2, &["report", "--local", "-o", "layout.toml"]);
    assert!(refused.stderr.contains("is no report of this program"), "{}", refused.stderr);
    assert_eq!(state("layout.toml"), layout);
    assert_eq!(files_below(&env.path(&format!("{STORE}/directory"))), before, "a report changes nothing");
    // The one secret of the folder stays in its file.
    let secret = open(&env.path(STORE)).secret_key().to_owned();
    for text in [first, state("state.html"), state("new/state.md")] {
        assert!(!text.contains(&secret));
    }
}

#[test]
fn access_as_it_is_observed() {
    let env = applied();
    let text = page(&env, &["--verify"]);
    assert!(text.contains("Observed: how calls were answered.") && text.contains(":root in s3://bsingh"), "{text}");
    let as_node = page(&env, &["--verify", "--as", NODE, "--grant", "FlyteMLS3Access"]);
    let observed = as_node.split_once("Observed:").unwrap().1;
    assert!(observed.contains("| `credit-scoring/data/` | ✓ | ✓ | ✓ | ✓ | – |"), "{as_node}");
    let no_write = page(&env, &["--verify", "--no-write"]);
    assert!(no_write.contains("| access | ? "), "{no_write}");
    assert_eq!(env.expect(0, &["tree", "--local"]).stdout.matches(".bucketwright").count(), 0);
    env.expect(2, &["report", "--local", "--no-write"]);
}

#[test]
fn scripts_get_the_page_as_an_answer() {
    let env = applied();
    let ran = env.expect(0, &["report", "--local", "--output", "json"]);
    assert_eq!(ran.json()[0]["type"], "identity");
    assert!(ran.of_type("answer")[0]["text"].as_str().unwrap().contains("# S3 bucket access"));
    assert_eq!(ran.summary()["exit"], 0);
}

#[test]
fn a_flyte_installation_and_its_two_identities() {
    let flyte = TestEnv::new();
    flyte.expect(0, &["new", "flyte", "--set", "name=education", "-o", "flyte.toml"]);
    flyte.expect(0, &["apply", "flyte.toml", "--local", "--yes"]);
    let text = page(&flyte, &["flyte.toml"]);
    for wanted in ["- Bucket: `education-metadata`", "- Bucket: `education-userdata`"] {
        assert!(text.contains(wanted), "{wanted} is missing in\n{text}");
    }
    let policies = text.split("## IAM policies").nth(1).unwrap();
    for name in ["education-flyte-backend", "education-flyte-tasks"] {
        let section = policies.split("\n### ").find(|section| section.starts_with(name)).unwrap();
        assert!(section.contains("- Stands: ✓ says what the grant asks for"), "{section}");
    }
}

#[test]
fn the_nodes_and_the_network_of_a_cluster() {
    let env = applied();
    let described = "vpc = \"vpc-1\"\nsubnets = [\"subnet-a\"]\n[[cluster.node_group]]";
    let network = "hop_limit = 1\n[[cluster.route_table]]\nid = \"rtb-1\"\nmain = true\nway_out = \"nat-1\"\n";
    let text = format!("{}{network}", CLUSTER.replace("[[cluster.node_group]]", described));
    env.write(&format!("{STORE}/directory/directory.toml"), &text);
    let without = page(&env, &[]);
    for wanted in [
        "- The nodes' role on node group node-group-1-2025072404024606990000001e: no pod but those on the host network",
        "#### The way from education-eks-vV8VCAqw to S3\n\n- VPC: `vpc-1`\n- no endpoint for S3",
        "| grant-reaches-no-pod |",
        "| no-s3-gateway |",
        "aws ec2 create-vpc-endpoint --region us-east-1 --vpc-id vpc-1",
    ] {
        assert!(without.contains(wanted), "{wanted} is missing in\n{without}");
    }
    let endpoint = "[[cluster.vpc_endpoint]]\nid = \"vpce-1\"\nroute_tables = [\"rtb-1\"]\n";
    env.write(&format!("{STORE}/directory/directory.toml"), format!("{text}{endpoint}"));
    let with = page(&env, &[]);
    assert!(
        with.contains("VPC endpoint vpce-1 for S3: gateway, available; route tables: rtb-1; reached from subnet-a")
    );
    assert!(!with.contains("no-s3-gateway"), "{with}");
}
