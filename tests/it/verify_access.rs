//! Access proven as those who get the grants: what is granted passes, each thing that is broken is found, nothing stays.

use crate::server_env::{client_as, open};
use crate::testenv::{Ran, TestEnv};
use aws_sdk_s3::Client;
use bucketwright::apply::probe::{self, Prober};
use bucketwright::aws::s3::Store;
use bucketwright::layout::{ParseOptions, parse};
use bucketwright::policy::held::Held;
use bucketwright::report::Access;
use bucketwright::server::DEFAULT_SESSION;
use bucketwright::verify::access::spots::spots;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

const LAYOUT: &str = r#"
version = 1
layout = "l"
[[bucket]]
name = "ml-lake"
template = "ml-project"
projects = ["p"]
[[bucket]]
name = "ml-other"
[[grant]]
policy = "Train"
access = "read-write"
on = ["ml-lake/p"]
attach = [{ role = "trainer" }]
[[assert]]
principal = "Train"
operation = "delete"
target = "ml-lake/p/data/*"
expect = "deny"
"#;
const AS_TRAINER: [&str; 7] = ["verify", "--local=data", "--access", "--as", "trainer", "--output", "json"];
const EVERYTHING: &str =
    r#"{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}"#;

/// The layout applied, its policy in the directory, and a role that has it.
fn granted() -> TestEnv {
    let env = TestEnv::new();
    env.write("layout.toml", LAYOUT);
    env.expect(0, &["apply", "--local=data", "--yes"]);
    env.write("data/directory/policies/Train.json", policy(&env, "layout.toml").to_string());
    env.write("data/directory/roles/trainer.json", r#"{"policies": ["Train"]}"#);
    env.write("data/directory/roles/broad.json", format!(r#"{{"inline": {{"all": {EVERYTHING}}}}}"#));
    env
}

/// The document that the first grant of a layout makes.
fn policy(env: &TestEnv, layout: &str) -> Value {
    env.expect(0, &["policy", "generate", layout, "--output", "json"]).of_type("policy")[0]["document"].clone()
}

fn owner(env: &TestEnv) -> Client {
    let server = open(&env.path("data"));
    client_as(&server, &server.owner_credentials())
}

/// Every version, delete marker and unfinished upload of both buckets.
async fn held(client: &Client) -> BTreeSet<String> {
    let mut held = BTreeSet::new();
    for bucket in ["ml-lake", "ml-other"] {
        let versions = client.list_object_versions().bucket(bucket).send().await.unwrap();
        let name = |key: Option<&str>, id: Option<&str>| format!("{bucket}/{} {}", key.unwrap(), id.unwrap());
        held.extend(versions.versions().iter().map(|one| name(one.key(), one.version_id())));
        held.extend(versions.delete_markers().iter().map(|one| name(one.key(), one.version_id())));
        let uploads = client.list_multipart_uploads().bucket(bucket).send().await.unwrap();
        held.extend(uploads.uploads().iter().map(|one| name(one.key(), one.upload_id())));
    }
    held
}

/// What was said to people, unfolded.
fn said(ran: &Ran) -> String {
    ran.stderr.replace("\n  ", " ")
}

/// The cells that are not as expected: `put p/models/ deny`.
fn unexpected(ran: &Ran) -> Vec<String> {
    let cells = ran.of_type("cell");
    assert!(!cells.is_empty(), "{} {}", ran.stdout, ran.stderr);
    let text = |cell: &Value, name: &str| cell[name].as_str().unwrap().to_owned();
    let differ = cells.iter().filter(|cell| cell["expected"] != cell["observed"]);
    let told = differ.map(|cell| {
        assert!(!text(cell, "because").is_empty(), "{cell}");
        let target = text(cell, "target");
        let place = target.strip_prefix("s3://ml-lake/").unwrap_or(&target).to_owned();
        format!("{} {place} {}", text(cell, "operation"), text(cell, "observed"))
    });
    told.collect()
}

/// Runs as the trainer and compares; the buckets hold afterwards what they held before.
async fn check(env: &TestEnv, code: i32, wanted: &[&str]) -> Ran {
    let client = owner(env);
    let before = held(&client).await;
    let ran = env.expect(code, &AS_TRAINER);
    assert_eq!(unexpected(&ran), wanted);
    assert_eq!(held(&client).await, before, "something stays");
    ran
}

#[tokio::test]
async fn the_exact_policy_passes() {
    let env = granted();
    let ran = check(&env, 0, &[]).await;
    let cells = ran.of_type("cell");
    let count = |word: &str| cells.iter().filter(|cell| cell["observed"] == word).count();
    assert!(cells.iter().all(|cell| cell["principal"] == "trainer"));
    // Lists and gets in the project and its three folders; puts and parts in the folders; deletes in two of them.
    assert_eq!((count("allow"), count("allow") + count("deny")), (16, cells.len()));
    let other = cells.iter().filter(|cell| cell["target"] == "s3://ml-other/");
    assert_eq!(other.filter(|cell| cell["observed"] == "deny").count(), 6, "a bucket that nobody granted");
    assert_eq!(ran.summary()["failed"], 0);
    env.expect(0, &["verify", "--local=data", "--as", "arn:aws:iam::000000000000:role/trainer"]);
}

#[tokio::test]
async fn each_thing_that_is_broken_is_found() {
    let env = granted();
    let role = |text: &str| env.write("data/directory/roles/trainer.json", text);
    let document = |text: &str| env.write("data/directory/policies/Train.json", text);
    let exact = policy(&env, "layout.toml").to_string();
    let writes = ["put p/data/ deny", "multipart p/data/ deny"];
    let models = ["get p/models/ deny", "put p/models/ deny", "multipart p/models/ deny", "delete p/models/ deny"];

    let stop =
        r#"{"Statement": [{"Effect": "Deny", "Action": "s3:*", "Resource": "arn:aws:s3:::ml-lake/p/models/*"}]}"#;
    role(&format!(r#"{{"policies": ["Train"], "inline": {{"stop": {stop}}}}}"#));
    let ran = check(&env, 4, &models).await;
    let because = ran
        .of_type("cell")
        .into_iter()
        .find(|cell| cell["target"] == "s3://ml-lake/p/models/" && cell["operation"] == "put");
    let because = because.unwrap()["because"].as_str().unwrap().to_owned();
    for words in [
        "is not authorized to perform: s3:PutObject",
        "explicit deny in an identity-based policy",
        "; but ObjectsReadWrite allows",
    ] {
        assert!(because.contains(words), "{because}");
    }

    role(r#"{"policies": ["Train"]}"#);
    document(&exact.replace("ml-lake/p/", "ml-lake/q/").replace("\"p/*", "\"q/*").replace("\"p\"", "\"q\""));
    let all = check_all_denied(&env).await;
    assert_eq!(all, 16, "nothing of what was granted is left");
    document(&exact);

    env.write(
        "data/directory/policies/edge.json",
        EVERYTHING.replace("s3:*", "s3:*Object").replace("Action", "NotAction").replace("s3:*Object", "s3:PutObject"),
    );
    role(r#"{"policies": ["Train"], "boundary": "edge"}"#);
    let folders = ["p/data/", "p/models/", "p/results/"];
    let wanted: Vec<String> = folders
        .iter()
        .flat_map(|folder| ["put", "multipart"].map(|operation| format!("{operation} {folder} deny")))
        .collect();
    let ran = check(&env, 4, &wanted.iter().map(String::as_str).collect::<Vec<_>>()).await;
    assert!(ran.stdout.contains("because no permissions boundary allows the s3:PutObject action"), "{}", ran.stdout);

    role(r#"{"policies": []}"#);
    assert_eq!(check_all_denied(&env).await, 16);
    role(r#"{"policies": ["Train"]}"#);

    let client = owner(&env);
    let own = client.get_bucket_policy().bucket("ml-lake").send().await.unwrap().policy().unwrap().to_owned();
    let mut with_denial: Value = serde_json::from_str(&own).unwrap();
    with_denial["Statement"]
        .as_array_mut()
        .unwrap()
        .push(json!({"Effect": "Deny", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::ml-lake/p/data/*",
        "Principal": {"AWS": "arn:aws:iam::000000000000:role/trainer"}}));
    client.put_bucket_policy().bucket("ml-lake").policy(with_denial.to_string()).send().await.unwrap();
    let ran = check(&env, 4, &writes).await;
    assert!(ran.stdout.contains("explicit deny in a resource-based policy"), "{}", ran.stdout);
    client.put_bucket_policy().bucket("ml-lake").policy(own).send().await.unwrap();

    check(&env, 0, &[]).await;
}

/// How many cells are denied that should not be; nothing else differs.
async fn check_all_denied(env: &TestEnv) -> usize {
    let before = held(&owner(env)).await;
    let ran = env.expect(4, &AS_TRAINER);
    let differ = unexpected(&ran);
    assert!(differ.iter().all(|cell| cell.ends_with(" deny")), "{differ:?}");
    assert_eq!(held(&owner(env)).await, before);
    differ.len()
}

#[tokio::test]
async fn too_much_is_found_and_removed() {
    let env = granted();
    env.write("data/directory/roles/trainer.json", format!(r#"{{"inline": {{"all": {EVERYTHING}}}}}"#));
    let before = held(&owner(&env)).await;
    let differ = unexpected(&env.expect(4, &AS_TRAINER));
    for cell in [
        "list  allow",
        "head-bucket  allow",
        "put p-sibling/ allow",
        "delete p/data/ allow",
        "multipart s3://ml-other/ allow",
    ] {
        assert!(differ.contains(&cell.to_owned()), "{cell}: {differ:?}");
    }
    assert!(differ.iter().all(|cell| cell.ends_with(" allow")), "{differ:?}");
    assert_eq!(held(&owner(&env)).await, before);
}

#[tokio::test]
async fn without_writing_what_reads_is_still_told() {
    let env = granted();
    let before = held(&owner(&env)).await;
    let ran = env.expect(0, &[&AS_TRAINER[..], &["--no-write"]].concat());
    let mut observed: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for cell in ran.of_type("cell") {
        let text = |name: &str| cell[name].as_str().unwrap().to_owned();
        observed.entry(text("operation")).or_default().insert(text("observed"));
    }
    for (operation, words) in
        [("list", &["allow", "deny"][..]), ("get", &["allow", "deny"]), ("head-bucket", &["deny"])]
    {
        assert_eq!(observed[operation], words.iter().map(|word| (*word).to_owned()).collect(), "{operation}");
    }
    for operation in ["put", "multipart", "delete"] {
        assert_eq!(observed[operation], ["not-tried".to_owned()].into(), "{operation}");
    }
    assert!(ran.summary()["skipped"].as_u64().unwrap() > 0);
    assert_eq!(held(&owner(&env)).await, before);
}

#[tokio::test]
async fn ctrl_c_leaves_nothing() {
    let env = granted();
    // What is waited for never comes, so it tries again and again.
    env.write("data/directory/roles/trainer.json", r#"{"policies": []}"#);
    let client = owner(&env);
    let before = held(&client).await;
    let arguments = [&AS_TRAINER[..], &["--wait"]].concat();
    let mut child = env.command(&arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("trying access as")), "it began");
    while held(&client).await == before {
        assert!(child.try_wait().unwrap().is_none(), "it ended by itself");
    }
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let ran = env.ran(&arguments, &child.wait_with_output().unwrap());
    assert_eq!(ran.code, 130, "{}", ran.stdout);
    assert!(ran.of_type("cell").is_empty(), "half of an answer is none");
    assert_eq!(held(&client).await, before);
}

#[tokio::test]
async fn a_policy_is_rehearsed_before_anybody_has_it() {
    let env = granted();
    let before = held(&owner(&env)).await;
    let rehearse = |code: i32, words: &[&str]| {
        env.expect(code, &[&["verify", "--local=data", "--via", "broad", "--output", "json"], words].concat())
    };
    let ran = rehearse(0, &["--session-policy"]);
    assert_eq!(unexpected(&ran), [""; 0]);
    assert!(ran.of_type("cell").iter().all(|cell| cell["principal"] == "Train"));
    let candidate = policy(&env, "layout.toml").to_string().replace("\"s3:PutObject\",", "");
    env.write("candidate.json", &candidate);
    let differ = unexpected(&rehearse(4, &["--session-policy", "candidate.json"]));
    assert_eq!(differ.len(), 6, "{differ:?}");
    assert!(differ.iter().all(|cell| cell.starts_with("put ") || cell.starts_with("multipart ")), "{differ:?}");
    // Without any call the evaluator says the same.
    let simulated = env.expect(4, &["verify", "--simulate", "--session-policy", "candidate.json", "--output", "json"]);
    assert_eq!(unexpected(&simulated), differ);
    assert_eq!(held(&owner(&env)).await, before);
}

#[tokio::test]
async fn a_long_policy_is_rehearsed_in_parts() {
    let env = granted();
    let places: Vec<String> =
        (0..24).map(|number| format!("\"ml-lake/a-rather-long-name-of-a-folder-{number:02}\"")).collect();
    let long = LAYOUT.replace("on = [\"ml-lake/p\"]", &format!("on = [\"ml-lake/p\", {}]", places.join(", ")));
    let folders: Vec<String> =
        (0..24).map(|number| format!("\"a-rather-long-name-of-a-folder-{number:02}\"")).collect();
    env.write("long.toml", long.replace("projects = [\"p\"]", &format!("projects = [\"p\", {}]", folders.join(", "))));
    let arguments = ["verify", "long.toml", "--local=data", "--session-policy", "--via", "broad", "--output", "json"];
    let before = held(&owner(&env)).await;
    let ran = env.expect(0, &arguments);
    assert_eq!(unexpected(&ran), [""; 0]);
    assert!(ran.stderr.contains("parts because of its length"), "{}", ran.stderr);
    assert!(ran.of_type("cell").len() > 500);
    assert_eq!(held(&owner(&env)).await, before);
}

#[test]
fn what_is_in_force_is_waited_for() {
    let env = granted();
    let ran = env.expect(0, &[&AS_TRAINER[..], &["--wait"]].concat());
    let checks = ran.of_type("check");
    assert_eq!((&checks[0]["check"], &checks[0]["verdict"]), (&"in-force".into(), &"pass".into()));
    assert!(checks[0]["detail"].as_str().unwrap().ends_with("3 answers in a row"), "{checks:?}");
}

#[test]
fn the_evaluator_needs_nobody() {
    let env = TestEnv::new();
    env.write("layout.toml", LAYOUT);
    for role in [&[][..], &["--as", "trainer"], &["--as", "nodes", "--grant", "Train"]] {
        let ran = env.expect(0, &[&["verify", "--simulate", "--output", "json"], role].concat());
        assert_eq!(unexpected(&ran), [""; 0]);
        assert!(ran.of_type("identity").is_empty(), "nobody was asked");
    }
    let table = env.expect(0, &["verify", "--simulate"]).stdout;
    assert!(table.lines().all(|line| line.chars().count() <= 80), "{table}");
    assert!(table.contains("  p/data/          allow  allow  allow  allow  deny\n"), "{table}");
}

#[test]
fn the_caller_learns_what_its_round_trips_leave_open() {
    let env = granted();
    let ran = env.expect(0, &["verify", "--local=data", "--access"]);
    for words in
        ["says nothing about those who get `Train`", "--access --as trainer", "--session-policy --via", "--simulate"]
    {
        assert!(said(&ran).contains(words), "{words}: {}", ran.stderr);
    }
    // A role that no grant names is the caller itself.
    let ran = env.expect(0, &["verify", "--local=data", "--access", "--as", "broad", "--output", "json"]);
    assert_eq!(ran.of_type("identity")[0]["arn"], "arn:aws:sts::000000000000:assumed-role/broad/bucketwright");
    let ran =
        env.expect(4, &["verify", "--local=data", "--access", "--as", "broad", "--grant", "Train", "--output", "json"]);
    assert_eq!(ran.of_type("identity")[0]["arn"], "arn:aws:iam::000000000000:root");
}

#[test]
fn flags_that_make_no_sense_together_are_refused() {
    let env = granted();
    let arn = "arn:aws:iam::000000000000:policy/Train";
    for (flags, words) in [
        (&["--via", "broad"][..], "add that flag"),
        (&["--via", "broad", "--as", "trainer"], "choose one"),
        (&["--session-policy"], "the owner of the embedded endpoint has no sessions"),
        (&["--as", "trainer", "--session-policy"], "needs the file that limits the role"),
        (&["--grant", "Train"], "add `--as`"),
        (&["--wait"], "add `--as`"),
        (&["--as", "trainer", "--grant", "Trains"], "the layout has no grant `Trains`"),
        (&["--as", "broad", "--wait"], "no grant of the layout names the role `broad`"),
        (&["--simulate", "--data"], "makes no call"),
        (&["--session-policy", arn, "--via", "broad"], "takes no managed policies"),
        (&["--session-policy", "layout.toml", "--via", "broad"], "cannot be a session policy"),
    ] {
        let ran = env.expect(2, &[&["verify", "--local=data"], flags].concat());
        assert!(said(&ran).contains(words), "{flags:?}: {}", ran.stderr);
    }
    let ran = env.expect(2, &["verify", "--local=data", "--as", "nobody", "--grant", "Train"]);
    assert!(ran.stderr.contains("there is no role `nobody`"), "{}", ran.stderr);
}

#[tokio::test]
async fn an_expired_session_proves_nothing() {
    let env = granted();
    let server = open(&env.path("data"));
    let expired = server.credentials_of("trainer", Duration::ZERO).unwrap();
    let (principal, caller) = (client_as(&server, &expired), owner(&env));
    let (principal, caller) = (Store::new(principal, None, false), Store::new(caller, None, false));
    let (set, env_vars) = (BTreeMap::new(), BTreeMap::new());
    let options = ParseOptions { file_stem: "l", environment: None, set: &set, env_vars: &env_vars };
    let layout = parse(LAYOUT.as_bytes(), &options).unwrap();
    let trainer = Held::of_role(&layout, "trainer", "trainer").unwrap().unwrap();
    let before = held(caller.client()).await;
    let stop = CancellationToken::new();
    let mut tried = 0;
    for spot in spots(&layout, &trainer) {
        let who = Prober { principal: &principal, caller: &caller, writes: true, stop: &stop };
        let answers = probe::run(who, &spot, "verify-1").await;
        assert_eq!(answers.left, []);
        for cell in spot.cells(&answers.answers, "trainer") {
            assert_eq!(cell.observed, Access::NotTried, "{cell:?}");
            assert!(cell.because.contains("ExpiredToken"), "{cell:?}");
            tried += 1;
        }
    }
    assert!(tried > 30);
    assert_eq!(held(caller.client()).await, before);
    let fresh = server.credentials_of("trainer", DEFAULT_SESSION).unwrap();
    let principal = Store::new(client_as(&server, &fresh), None, false);
    let who = Prober { principal: &principal, caller: &caller, writes: true, stop: &stop };
    let spot = spots(&layout, &trainer).into_iter().find(|spot| spot.target() == "s3://ml-lake/p/models/").unwrap();
    let tried = probe::run(who, &spot, "verify-2").await;
    assert!(spot.cells(&tried.answers, "").iter().all(|cell| cell.observed == Access::Allow));
    // Who may not clean up either is told what stays.
    let who = Prober { principal: &principal, caller: &principal, writes: true, stop: &stop };
    let spot = spots(&layout, &trainer).into_iter().find(|spot| spot.target() == "s3://ml-lake/p/data/").unwrap();
    let left = probe::run(who, &spot, "verify-3").await.left;
    let targets: Vec<&str> = left.iter().map(|finding| finding.target.as_str()).collect();
    let key = "s3://ml-lake/p/data/.bucketwright/verify-3";
    assert_eq!(targets, [key, &format!("{key}-parts")]);
}
