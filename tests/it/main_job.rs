//! The main job, as people run it: from a layout file to a bucket that is proven, on the embedded endpoint.

use crate::testenv::TestEnv;

const SEED: &str = r#"
version = 1
layout = "ml-workflows"

[[bucket]]
name = "bsingh-ml-workflows"
template = "ml-project"
projects = ["credit-scoring", "fraud-detection", "customer-segmentation"]
access_log = { bucket = "bsingh-ml-logs", prefix = "bsingh-ml-workflows/" }

[[dataset]]
source = "CleanCreditScoring.csv"
to = "bsingh-ml-workflows/credit-scoring/data"
"#;

const SEED_TREE: &str = "\
s3://bsingh-ml-workflows/
├── credit-scoring/
│   ├── data/
│   │   └── CleanCreditScoring.csv
│   ├── models/
│   └── results/
├── fraud-detection/
│   ├── data/
│   ├── models/
│   └── results/
└── customer-segmentation/
    ├── data/
    ├── models/
    └── results/
";

const SYNTHETIC: &[u8] = include_bytes!("../../layouts/example/CreditScoring.csv");

/// The layout, its dataset, and nothing else.
fn seed() -> TestEnv {
    let env = TestEnv::new();
    env.write("layout.toml", SEED);
    env.write("CleanCreditScoring.csv", SYNTHETIC);
    env
}

#[test]
fn from_layout_to_proven_bucket() {
    let env = seed();
    env.expect(4, &["plan", "--local", "--check"]);
    let applied = env.expect(0, &["apply", "--local", "--yes", "--output", "json"]);
    let uploads: Vec<_> = applied.of_type("action").into_iter().filter(|one| one["action"] == "upload").collect();
    assert_eq!(uploads.len(), 1);
    assert_eq!(uploads[0]["target"], "s3://bsingh-ml-workflows/credit-scoring/data/CleanCreditScoring.csv");
    assert_eq!(uploads[0]["proof"], "checksum echoed");
    assert_eq!(env.expect(0, &["tree", "--local"]).stdout, SEED_TREE);
    env.expect(0, &["tree", "--local", "--check"]);
    env.expect(0, &["plan", "--local", "--check"]);
    env.expect(0, &["verify", "--local"]);
    let second = env.expect(0, &["apply", "--local", "--yes", "--output", "json"]).summary();
    assert_eq!((&second["planned"], &second["done"], &second["bytes"]), (&0.into(), &0.into(), &0.into()));
}

#[test]
fn a_changed_file_is_sent_again_and_only_that() {
    let env = seed();
    env.expect(0, &["apply", "--local", "--yes"]);
    let mut changed = SYNTHETIC.to_vec();
    changed[100] ^= 1;
    env.write("CleanCreditScoring.csv", &changed);
    let plan = env.expect(4, &["plan", "--local", "--check", "--output", "json"]);
    let actions = plan.of_type("action");
    assert_eq!(actions.len(), 1, "{actions:?}");
    assert_eq!(actions[0]["reason"], "content differs by MD5");
    env.expect(4, &["verify", "--local", "--data"]);
    env.expect(0, &["apply", "--local", "--yes"]);
    env.expect(0, &["verify", "--local", "--data"]);
    env.expect(0, &["plan", "--local", "--check"]);
}

#[test]
fn an_absent_source_is_skipped_and_the_rest_is_done() {
    let env = seed();
    std::fs::remove_file(env.path("CleanCreditScoring.csv")).unwrap();
    let applied = env.expect(3, &["apply", "--local", "--yes", "--output", "json"]);
    assert_eq!(applied.summary()["skipped"], 1);
    env.expect(3, &["plan", "--local", "--check"]);
    let refused = env.expect(2, &["apply", "--local", "--yes", "--only", "datasets"]);
    assert!(refused.stderr.contains("`CleanCreditScoring.csv` is not here"), "{}", refused.stderr);
}

#[test]
fn without_a_terminal_nothing_is_written_unasked() {
    let env = seed();
    let refused = env.expect(2, &["apply", "--local"]);
    assert!(refused.stderr.contains("--yes"), "{}", refused.stderr);
    assert_eq!(env.expect(4, &["tree", "--local", "--check", "--output", "json"]).summary()["exit"], 4);
}

#[test]
fn a_saved_plan_is_applied_or_refused_if_the_world_moved() {
    let env = seed();
    env.expect(0, &["plan", "--local", "--save", "plan.json"]);
    env.expect(0, &["apply", "--local", "--plan", "plan.json"]);
    env.expect(0, &["plan", "--local", "--check"]);
    env.write("CleanCreditScoring.csv", b"status\ngood\n");
    let moved = env.expect(4, &["apply", "--local", "--plan", "plan.json"]);
    assert!(moved.stderr.contains("has moved"), "{}", moved.stderr);
    env.expect(4, &["plan", "--local", "--check"]);
}

#[test]
fn what_another_layout_made_is_refused() {
    let env = seed();
    env.expect(0, &["apply", "--local", "--yes"]);
    env.write("layout.toml", SEED.replace("\"ml-workflows\"", "\"another\""));
    let refused = env.expect(1, &["apply", "--local", "--yes"]);
    assert!(refused.stdout.contains("belongs to layout `ml-workflows`"), "{} {}", refused.stdout, refused.stderr);
    env.write("layout.toml", SEED.replace("projects =", "adopt = true\nprojects ="));
    env.expect(0, &["plan", "--local", "--check"]);
}

#[test]
fn parts_can_be_applied_alone() {
    let env = seed();
    env.expect(1, &["apply", "--local", "--yes", "--only", "markers"]);
    env.expect(0, &["apply", "--local", "--yes", "--only", "settings"]);
    let rest = env.expect(4, &["plan", "--local", "--check", "--output", "json"]);
    let kinds: Vec<String> =
        rest.of_type("action").iter().map(|action| action["action"].as_str().unwrap().to_owned()).collect();
    assert_eq!(kinds.iter().filter(|kind| *kind == "put-marker").count(), 9);
    assert_eq!(kinds.len(), 10);
    env.expect(0, &["apply", "--local", "--yes", "--only", "markers,datasets"]);
    env.expect(0, &["plan", "--local", "--check"]);
}

#[test]
fn waived_controls_and_kept_markers() {
    let env = seed();
    let waived =
        SEED.replace("projects =", "waive = { versioning = \"scratch data\" }\nmarkers = \"keep\"\nprojects =");
    env.write("layout.toml", waived);
    env.expect(0, &["apply", "--local", "--yes"]);
    assert_eq!(env.expect(0, &["tree", "--local"]).stdout, SEED_TREE, "`.keep` markers are hidden");
    let verified = env.expect(0, &["verify", "--local", "--settings", "--output", "json"]);
    let versioning: Vec<_> = verified
        .of_type("check")
        .into_iter()
        .filter(|check| check["check"] == "versioning" && check["target"] == "s3://bsingh-ml-workflows")
        .collect();
    assert_eq!(
        (&versioning[0]["verdict"], &versioning[0]["detail"].as_str().unwrap()[..12]),
        (&"waived".into(), "scratch data")
    );
    env.expect(0, &["plan", "--local", "--check"]);
}

#[test]
fn apply_can_prove_its_work_at_once() {
    let env = seed();
    let ran = env.expect(0, &["apply", "--local", "--yes", "--verify"]);
    assert!(ran.stdout.contains(SEED_TREE), "{}", ran.stdout);
    assert!(ran.stdout.contains("pass") && ran.stdout.contains("Verify: "), "{}", ran.stdout);
}
