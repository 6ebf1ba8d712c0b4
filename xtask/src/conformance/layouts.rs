//! Layouts applied by the real binary, and what other programs read back afterwards.
#![expect(clippy::disallowed_methods, reason = "layouts and datasets are files")]

use super::clients::same_file;
use super::endpoint::{Endpoint, Peer, embedded};
use super::lab::Lab;
use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const BUCKET: &str = "bsingh-ml-workflows";
const KEY: &str = "credit-scoring/data/CleanCreditScoring.csv";

/// The MD5 of the dataset that the tree was first built by hand for.
const SEED_MD5: &str = "78d0b401f74247e8bd06cfd8e84a7d1b";

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

/// The seed's bucket on the embedded endpoint: applied, drawn, verified, and read by another client through `serve`.
pub(crate) fn seed_embedded(lab: &Lab) -> Result<()> {
    let dataset = place(lab, "seed.toml")?;
    let ours = |words: &[&str]| lab.expect(lab.bucketwright().args(words).args(["seed.toml", "--local=local"]));
    ours(&["apply", "--yes"])?;
    let tree = ours(&["tree"])?;
    ensure!(tree == SEED_TREE, "`tree` prints\n{tree}wanted\n{SEED_TREE}");
    ours(&["plan", "--check"])?;
    ours(&["verify"])?;
    nothing_left(&ours(&["apply", "--yes", "--output", "json"])?)?;
    let endpoint = embedded(lab, &lab.path("local"))?;
    download(lab, &endpoint, &dataset)?;
    // The folder is shared: a verb may open it while `serve` has it open.
    ours(&["plan", "--check"]).map(drop)
}

/// Every setting on the embedded endpoint, read back by the AWS CLI through `serve`.
pub(crate) fn settings_embedded(lab: &Lab) -> Result<()> {
    let dataset = place(lab, "settings.toml")?;
    applied_twice(lab, &|| {
        let mut ours = lab.bucketwright();
        ours.arg("--local=local");
        ours
    })?;
    let endpoint = embedded(lab, &lab.path("local"))?;
    read_back(lab, &endpoint, &SETTINGS)?;
    ensure!(denies_plain_http(lab, &endpoint)?, "no statement of the bucket policy denies plain HTTP");
    download(lab, &endpoint, &dataset)
}

/// Every setting on MiniStack. The TLS-only statement would lock everybody out of an endpoint without TLS: it is left out.
pub(crate) fn settings_ministack(lab: &Lab) -> Result<()> {
    let endpoint = Peer::Ministack.start(lab)?;
    let dataset = place(lab, "settings.toml")?;
    let output = applied_twice(lab, &|| endpoint.give(lab.bucketwright()))?;
    let about_tls = |event: &Value| {
        event["type"] == "finding" && event["message"].as_str().is_some_and(|text| text.contains("tls-only"))
    };
    ensure!(events(&output)?.iter().any(about_tls), "no finding about the TLS-only statement in:\n{output}");
    ensure!(!denies_plain_http(lab, &endpoint)?, "the TLS-only statement was written to an endpoint without TLS");
    read_back(lab, &endpoint, &SETTINGS)?;
    download(lab, &endpoint, &dataset)
}

/// SeaweedFS knows neither public access blocks nor access logs: `apply` says so, does the rest, and ends with 3.
pub(crate) fn settings_seaweedfs(lab: &Lab) -> Result<()> {
    let endpoint = Peer::Seaweedfs.start(lab)?;
    let dataset = place(lab, "settings.toml")?;
    let mut apply = endpoint.give(lab.bucketwright());
    let output = lab.run(apply.args(["apply", "settings.toml", "--yes", "--output", "json"]))?.exit(3)?.stdout;
    let undone = |event: &Value| event["type"] == "action" && event["status"] != "done";
    let mut undone: Vec<Value> =
        events(&output)?.into_iter().filter(undone).map(|mut event| event["setting"].take()).collect();
    undone.sort_by_key(Value::to_string);
    undone.dedup();
    ensure!(undone == ["access-log", "public-access"], "not done: {undone:?} in:\n{output}");
    read_back(lab, &endpoint, &SETTINGS[..2])?;
    download(lab, &endpoint, &dataset)
}

/// What the AWS CLI must read: the call, a JSON pointer into the answer, and the value there.
const SETTINGS: [(&str, &str, &str); 8] = [
    ("get-bucket-versioning", "/Status", r#""Enabled""#),
    (
        "get-bucket-encryption",
        "/ServerSideEncryptionConfiguration/Rules/0/ApplyServerSideEncryptionByDefault/SSEAlgorithm",
        r#""AES256""#,
    ),
    (
        "get-public-access-block",
        "/PublicAccessBlockConfiguration",
        r#"{"BlockPublicAcls": true, "IgnorePublicAcls": true, "BlockPublicPolicy": true, "RestrictPublicBuckets": true}"#,
    ),
    ("get-bucket-ownership-controls", "/OwnershipControls/Rules/0/ObjectOwnership", r#""BucketOwnerEnforced""#),
    ("get-bucket-logging", "/LoggingEnabled/TargetBucket", r#""bsingh-ml-logs""#),
    ("get-bucket-logging", "/LoggingEnabled/TargetPrefix", r#""bsingh-ml-workflows/""#),
    ("get-bucket-tagging", "team", r#""ml""#),
    ("get-bucket-tagging", "bucketwright:layout", r#""settings""#),
];

fn read_back(lab: &Lab, endpoint: &Endpoint, settings: &[(&str, &str, &str)]) -> Result<()> {
    for (call, pointer, wanted) in settings {
        let answer = s3api(lab, endpoint, call)?;
        let found = if pointer.starts_with('/') { answer.pointer(pointer).cloned() } else { tag(&answer, pointer) };
        let wanted: Value = serde_json::from_str(wanted)?;
        ensure!(found.as_ref() == Some(&wanted), "{call}: `{pointer}` is not {wanted} in {answer}");
    }
    if settings.iter().any(|(call, ..)| *call == "get-bucket-logging") {
        lifecycle(&s3api(lab, endpoint, "get-bucket-lifecycle-configuration")?)?;
    }
    Ok(())
}

/// Abandoned uploads end after 7 days, noncurrent versions after 90, or after the folder's own number.
fn lifecycle(answer: &Value) -> Result<()> {
    let rules = answer["Rules"].as_array().with_context(|| format!("no rules in {answer}"))?;
    let has = |pointer: &str, days: u64| rules.iter().any(|rule| rule.pointer(pointer) == Some(&json!(days)));
    ensure!(has("/AbortIncompleteMultipartUpload/DaysAfterInitiation", 7), "no rule ends abandoned uploads: {answer}");
    ensure!(has("/NoncurrentVersionExpiration/NoncurrentDays", 90), "no rule expires noncurrent versions: {answer}");
    ensure!(has("/NoncurrentVersionExpiration/NoncurrentDays", 30), "no rule for `models`: {answer}");
    ensure!(rules.iter().all(|rule| rule["Status"] == "Enabled"), "a rule is off: {answer}");
    Ok(())
}

fn tag(answer: &Value, key: &str) -> Option<Value> {
    answer["TagSet"].as_array()?.iter().find(|tag| tag["Key"] == key).map(|tag| tag["Value"].clone())
}

fn denies_plain_http(lab: &Lab, endpoint: &Endpoint) -> Result<bool> {
    let mut get = endpoint.give(lab.client("aws"));
    let ran = lab.run(get.args(["s3api", "get-bucket-policy", "--bucket", BUCKET, "--output", "json"]))?;
    Ok(ran.stdout.contains("aws:SecureTransport"))
}

fn s3api(lab: &Lab, endpoint: &Endpoint, call: &str) -> Result<Value> {
    let answer =
        lab.expect(endpoint.give(lab.client("aws")).args(["s3api", call, "--bucket", BUCKET, "--output", "json"]))?;
    serde_json::from_str(&answer).with_context(|| format!("{call} answered `{answer}`"))
}

/// Applies `settings.toml`; a second plan is empty, and all of it is verified. Returns what the first `apply` said.
fn applied_twice(lab: &Lab, ours: &dyn Fn() -> Command) -> Result<String> {
    let run = |words: &[&str]| lab.expect(ours().args(words).arg("settings.toml"));
    let applied = run(&["apply", "--yes", "--output", "json"])?;
    run(&["plan", "--check"])?;
    nothing_left(&run(&["apply", "--yes", "--output", "json"])?)?;
    run(&["verify"])?;
    Ok(applied)
}

/// The events of a run with `--output json`.
fn events(output: &str) -> Result<Vec<Value>> {
    output.lines().map(|line| serde_json::from_str(line).with_context(|| format!("not JSON: `{line}`"))).collect()
}

/// The summary of a run that had nothing to do.
fn nothing_left(output: &str) -> Result<()> {
    let events = events(output)?;
    let summary = events.last().context("no output")?;
    let counts = ["planned", "done", "failed"].map(|name| summary[name].as_u64());
    ensure!(summary["type"] == "summary" && counts == [Some(0); 3], "a second apply still does something:\n{output}");
    Ok(())
}

/// Another client reads the dataset, byte for byte.
fn download(lab: &Lab, endpoint: &Endpoint, dataset: &Path) -> Result<()> {
    let object = format!("s3://{BUCKET}/{KEY}");
    lab.expect(endpoint.give(lab.client("aws")).args(["s3", "cp", "--no-progress", &object, "down.csv"]))?;
    same_file(dataset, &lab.path("down.csv"))
}

/// Puts a layout and its dataset into the case's folder. The real dataset is used where there is one; the synthetic one
/// stands in where there is none.
fn place(lab: &Lab, layout: &str) -> Result<PathBuf> {
    let name = "CleanCreditScoring.csv";
    fs::copy(lab.root.join("xtask/conformance").join(layout), lab.path(layout))?;
    let dataset = lab.path(name);
    let folder =
        std::env::var_os("BUCKETWRIGHT_SEED_DATA").map_or_else(|| lab.root.join("../shared/data"), PathBuf::from);
    let real = folder.join(name);
    if !real.exists() {
        println!("note: `{name}` is not in `{}`; the synthetic dataset stands in", folder.display());
        fs::copy(lab.root.join("layouts/example/CreditScoring.csv"), &dataset)?;
        return Ok(dataset);
    }
    fs::copy(&real, &dataset)?;
    let md5 = "import hashlib, sys; print(hashlib.md5(open(sys.argv[1], 'rb').read()).hexdigest())";
    let found = lab.expect(lab.client("python").args(["-c", md5, name]))?;
    if found.trim() != SEED_MD5 {
        bail!("`{}` has MD5 {}, wanted {SEED_MD5}", real.display(), found.trim());
    }
    Ok(dataset)
}
