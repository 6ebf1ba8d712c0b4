//! `retire`: access goes first, what is empty goes, what holds data stays until it is named by hand, and the edit that is
//! shown makes the layout say so.

use crate::server_env::{client_as, code};
use crate::testenv::{Ran, TestEnv, files_below};
use aws_sdk_s3::Client;
use bucketwright::model::Region;
use bucketwright::server::{DEFAULT_SESSION, Server, ServerOptions};
use serde::Deserialize;
use serde_json::{Value, json};

const ACCOUNT: &str = "245966534215";
const BUCKET: &str = "ml-workflows";
const PROJECT: &str = "ml-workflows/fraud";

/// Two projects, a grant on the whole bucket, one on the project, and an expectation about it.
const LAYOUT: &str = r#"version = 1
layout = "ml"
account = "245966534215"
[[bucket]]
name = "ml-workflows"
template = "ml-project"
projects = ["credit", "fraud"]
waive = { access-log = "none in tests" }
[[grant]]
policy = "Everything"
access = "read-write"
on = ["ml-workflows"]
attach = [{ role = "nodes" }]
[[grant]]
policy = "FraudOnly"
access = "read"
on = ["ml-workflows/fraud"]
attach = [{ role = "analyst" }]
[[assert]]
principal = "Everything"
operation = "delete"
target = "ml-workflows/fraud/data/*"
expect = "deny"
"#;

/// The same after the edit that is shown.
const EDITED: &str = r#"version = 1
layout = "ml"
account = "245966534215"
[[bucket]]
name = "ml-workflows"
template = "ml-project"
projects = ["credit"]
waive = { access-log = "none in tests" }
[[grant]]
policy = "Everything"
access = "read-write"
on = ["ml-workflows/credit"]
attach = [{ role = "nodes" }]
"#;

/// What a script reads of a `holdings` line, and no more than that.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "the names are what is tested")]
struct HoldingsLine {
    r#type: String,
    target: String,
    exists: bool,
    objects: u64,
    bytes: u64,
    markers: u64,
    noncurrent_versions: u64,
    noncurrent_bytes: u64,
    delete_markers: u64,
    unfinished_uploads: u64,
    newest: Option<String>,
    newest_key: Option<String>,
    folders: Vec<FolderLine>,
    reached_by: Vec<ReachLine>,
    access_seen: bool,
    logged_by: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "the names are what is tested")]
struct FolderLine {
    folder: String,
    versions: u64,
    bytes: u64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "the names are what is tested")]
struct ReachLine {
    policy: String,
    arn: String,
    owner: Option<String>,
    operations: Vec<String>,
    attached_to: Vec<String>,
    attached_unread: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "the names are what is tested")]
struct LayoutEditLine {
    r#type: String,
    file: String,
    change: Vec<String>,
}

fn applied(layout: &str) -> TestEnv {
    let env = TestEnv::new();
    env.write("layout.toml", layout);
    env.expect(0, &["apply", "--local", "--yes"]);
    env
}

fn server(env: &TestEnv) -> Server {
    let options = ServerOptions { account: ACCOUNT.parse().unwrap(), region: Region::us_east_1() };
    Server::open(&env.path(".bucketwright/local"), options).unwrap()
}

/// A client with the rights of the folder's owner, or of a role.
fn client(server: &Server, role: Option<&str>) -> Client {
    let issued = role.map(|role| server.credentials_of(role, DEFAULT_SESSION).unwrap());
    client_as(server, &issued.unwrap_or_else(|| server.owner_credentials()))
}

async fn put(env: &TestEnv, key: &str, body: &str) {
    let server = server(env);
    let body = body.as_bytes().to_vec().into();
    client(&server, None).put_object().bucket(BUCKET).key(key).body(body).send().await.unwrap();
}

/// Every version and delete marker there is.
async fn left(env: &TestEnv) -> Vec<String> {
    let server = server(env);
    let listed = client(&server, None).list_object_versions().bucket(BUCKET).send().await.unwrap();
    let versions = listed.versions().iter().filter_map(|version| version.key());
    let markers = listed.delete_markers().iter().filter_map(|marker| marker.key());
    let mut keys: Vec<String> =
        versions.map(str::to_owned).chain(markers.map(|key| format!("{key} deleted"))).collect();
    keys.sort();
    keys
}

fn run(env: &TestEnv, code: i32, words: &[&str]) -> Ran {
    env.expect(code, &[&["retire"], words, &["--local", "--output", "json"]].concat())
}

/// `status kind target` of every action.
fn actions(ran: &Ran) -> Vec<String> {
    let one = |line: &Value| format!("{} {} {}", line["status"], line["action"], line["target"]).replace('"', "");
    ran.of_type("action").iter().map(one).collect()
}

fn of_status(ran: &Ran, status: &str) -> Vec<String> {
    actions(ran).into_iter().filter_map(|line| Some(line.strip_prefix(status)?.trim().to_owned())).collect()
}

fn codes(ran: &Ran) -> Vec<String> {
    ran.of_type("finding").iter().map(|finding| finding["code"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_project_loses_its_access_and_its_empty_folders() {
    let env = applied(LAYOUT);
    put(&env, "fraud/data/x.csv", "12345").await;
    let before = files_below(&env.path(".bucketwright/local/directory"));
    let shown = run(&env, 0, &[PROJECT, "--dry-run"]);
    assert_eq!(files_below(&env.path(".bucketwright/local/directory")), before, "nothing is written");
    let held = &shown.of_type("holdings")[0];
    serde_json::from_value::<HoldingsLine>(held.clone()).unwrap();
    serde_json::from_value::<LayoutEditLine>(shown.of_type("layout-edit")[0].clone()).unwrap();
    assert_eq!((&held["objects"], &held["bytes"], &held["markers"]), (&json!(1), &json!(5), &json!(3)));
    assert_eq!(held["folders"], json!([{ "folder": "data/", "versions": 1, "bytes": 5 }]));
    assert_eq!(held["newest_key"], "fraud/data/x.csv");
    let reached: Vec<_> = held["reached_by"].as_array().unwrap().iter().map(|one| one["policy"].clone()).collect();
    assert_eq!(reached, ["Everything", "FraudOnly"]);
    assert_eq!(held["reached_by"][1]["operations"], json!(["list", "get"]));
    assert_eq!(held["reached_by"][1]["attached_to"], json!(["role analyst"]));
    let policy = |name: &str| format!("arn:aws:iam::{ACCOUNT}:policy/{name}");
    let planned = [
        format!("create-policy-version {}", policy("Everything")),
        "detach-policy role/analyst".to_owned(),
        "delete s3://ml-workflows/fraud/models/".to_owned(),
        "delete s3://ml-workflows/fraud/results/".to_owned(),
    ];
    assert_eq!(of_status(&shown, "planned"), planned);
    assert_eq!(codes(&shown), ["grant-narrowed", "data-stays"]);
    let edit = [
        r#"[[bucket]] name = "ml-workflows": projects = ["credit"]"#,
        r#"[[grant]] policy = "Everything": on = ["ml-workflows/credit"]"#,
        r#"[[grant]] policy = "FraudOnly": remove the table"#,
        r#"[[assert]] principal = "Everything", operation = "delete", target = "ml-workflows/fraud/data/*": remove the table"#,
    ];
    assert_eq!(shown.of_type("layout-edit")[0]["change"], json!(edit));

    let nobody = run(&env, 2, &[PROJECT]);
    assert!(nobody.of_type("error")[0]["message"].as_str().unwrap().contains("nobody is here"), "{}", nobody.stdout);
    let done = run(&env, 0, &["layout.toml", PROJECT, "--yes"]);
    assert_eq!(of_status(&done, "done"), planned);
    assert_eq!(done.summary()["deleted"], 2);
    assert_eq!(left(&env).await.iter().filter(|key| key.starts_with("fraud/")).count(), 2, "the data and its folder");
    for (role, key) in [("nodes", "fraud/data/x.csv"), ("analyst", "fraud/data/x.csv")] {
        let server = server(&env);
        let read = client(&server, Some(role)).get_object().bucket(BUCKET).key(key).send().await;
        assert_eq!(code(read), "AccessDenied 403", "{role}");
    }
    let server = server(&env);
    let list = client(&server, Some("nodes")).list_objects_v2().bucket(BUCKET).prefix("credit/").send().await;
    assert_eq!(code(list), "ok");
    drop(server);
    let manifests = files_below(&env.path(".bucketwright/backups"));
    assert_eq!(manifests.iter().filter(|(path, _)| path.ends_with("manifest.json")).count(), 1);

    let again = run(&env, 0, &[PROJECT, "--yes"]);
    assert_eq!(actions(&again), [""; 0], "a second run has nothing to do");
    let reached = &again.of_type("holdings")[0]["reached_by"];
    assert_eq!((&reached[0]["policy"], &reached[0]["attached_to"]), (&json!("FraudOnly"), &json!([])));
    assert_eq!(reached.as_array().unwrap().len(), 1);
    // The edit that was shown is all that the layout needs.
    env.write("layout.toml", EDITED);
    env.expect(0, &["plan", "--local", "--check"]);
}

#[tokio::test]
async fn what_holds_data_goes_only_if_it_is_spelled_out() {
    let env = applied(LAYOUT);
    put(&env, "fraud/data/x.csv", "12345").await;
    put(&env, "fraud/data/x.csv", "123456").await;
    put(&env, "credit/data/y.csv", "1").await;
    for wrong in ["ml-workflows/fraud", "ml-workflows/", "s3://ml-workflows/fraud/", "ml-workflows/credit/"] {
        let ran = run(&env, 2, &[PROJECT, "--delete-objects", wrong, "--yes"]);
        assert!(ran.of_type("error")[0]["hints"][0].to_string().contains("ml-workflows/fraud/"), "{}", ran.stdout);
    }
    let named = ["--delete-objects", "ml-workflows/fraud/"];
    let most = run(&env, 1, &[&[PROJECT][..], &named, &["--all-versions", "--max-delete", "1", "--yes"]].concat());
    assert!(codes(&most).contains(&"deletes-refused".to_owned()), "{}", most.stdout);
    assert_eq!(most.of_type("action").iter().filter(|line| line["status"] == "done").count(), 0);

    // As any program would: what was deleted can be brought back.
    let plain = run(&env, 0, &[&[PROJECT][..], &named, &["--yes"]].concat());
    assert!(of_status(&plain, "done").contains(&"delete s3://ml-workflows/fraud/data/x.csv".to_owned()));
    let there = left(&env).await;
    let data = there.iter().filter(|key| key.starts_with("fraud/data/x.csv"));
    assert_eq!(data.collect::<Vec<_>>(), ["fraud/data/x.csv", "fraud/data/x.csv", "fraud/data/x.csv deleted"]);
    let again = run(&env, 0, &[&[PROJECT][..], &named, &["--yes"]].concat());
    assert_eq!(actions(&again), [""; 0]);
    let held = &again.of_type("holdings")[0];
    assert_eq!(
        (&held["objects"], &held["noncurrent_versions"], &held["delete_markers"]),
        (&json!(0), &json!(2), &json!(1))
    );

    // For good.
    let all = run(&env, 0, &[&[PROJECT][..], &named, &["--all-versions", "--yes"]].concat());
    assert_eq!(all.summary()["deleted"], 3, "{}", all.stdout);
    let there = left(&env).await;
    assert!(there.iter().all(|key| key.starts_with("credit/")), "{there:?}");
    assert!(there.contains(&"credit/data/y.csv".to_owned()), "{there:?}");
}

#[tokio::test]
async fn an_empty_bucket_goes_and_one_with_data_stays() {
    let env = applied(LAYOUT);
    put(&env, "stray", "1").await;
    let kept = run(&env, 0, &[BUCKET, "--yes"]);
    assert!(!actions(&kept).iter().any(|line| line.contains("delete-bucket")), "{:?}", actions(&kept));
    assert_eq!(left(&env).await, ["stray"], "the markers of empty folders go");
    let roles = ["nodes", "analyst"].map(|role| {
        let path = env.path(&format!(".bucketwright/local/directory/roles/{role}.json"));
        serde_json::from_slice::<Value>(&std::fs::read(path).unwrap()).unwrap()["policies"].clone()
    });
    assert_eq!(roles, [json!([]), json!([])]);

    let words = [BUCKET, "--delete-objects", "ml-workflows/", "--yes"];
    let plain = run(&env, 0, &words);
    assert!(codes(&plain).contains(&"data-stays".to_owned()), "versions stay: {:?}", codes(&plain));
    assert_eq!(left(&env).await, ["stray", "stray deleted"]);
    let gone = run(&env, 0, &[&words[..], &["--all-versions"]].concat());
    assert_eq!(of_status(&gone, "done").last().unwrap(), "delete-bucket s3://ml-workflows");
    let absent = run(&env, 0, &[BUCKET, "--yes"]);
    assert_eq!((actions(&absent), &absent.of_type("holdings")[0]["exists"]), (Vec::new(), &json!(false)));
    // The layout still names it.
    env.expect(4, &["plan", "--local", "--check"]);
}

#[tokio::test]
async fn a_bucket_without_versions_is_emptied_as_it_was_seen() {
    let env = applied(&LAYOUT.replace("waive = { ", "versioning = false\nwaive = { versioning = \"scratch\", "));
    put(&env, "fraud/data/x.csv", "12345").await;
    let ran = run(&env, 0, &[BUCKET, "--delete-objects", "ml-workflows/", "--yes"]);
    assert_eq!(of_status(&ran, "done").last().unwrap(), "delete-bucket s3://ml-workflows", "{}", ran.stdout);
    assert_eq!(ran.summary()["failed"], 0);
}

#[tokio::test]
async fn unfinished_uploads_keep_a_bucket() {
    let env = applied(LAYOUT);
    let server = server(&env);
    client(&server, None).create_multipart_upload().bucket(BUCKET).key("big").send().await.unwrap();
    drop(server);
    let ran = run(&env, 0, &[BUCKET, "--yes"]);
    assert_eq!(ran.of_type("holdings")[0]["unfinished_uploads"], 1);
    assert!(codes(&ran).contains(&"uploads-stay".to_owned()), "{:?}", codes(&ran));
    assert!(!actions(&ran).iter().any(|line| line.contains("delete-bucket")), "{:?}", actions(&ran));
    env.expect(0, &["uploads", "abort", "s3://ml-workflows", "--older-than", "0s", "--local", "--yes"]);
    let ran = run(&env, 0, &[BUCKET, "--yes"]);
    assert_eq!(of_status(&ran, "done"), ["delete-bucket s3://ml-workflows"]);
}

#[test]
fn what_belongs_to_others_is_refused_untouched() {
    let env = applied(LAYOUT);
    let before = || files_below(&env.path(".bucketwright/local/directory"));
    let seen = before();
    env.write("other.toml", LAYOUT.replace("layout = \"ml\"", "layout = \"other\""));
    let ran = run(&env, 1, &["other.toml", BUCKET, "--yes"]);
    assert!(codes(&ran).contains(&"other-layout".to_owned()), "{}", ran.stdout);
    assert_eq!(ran.of_type("holdings").len(), 0, "it was not looked into");
    env.write("verify.toml", LAYOUT.replace("template =", "manage = \"verify\"\ntemplate ="));
    let ran = run(&env, 1, &["verify.toml", PROJECT, "--yes"]);
    assert!(codes(&ran).contains(&"not-managed".to_owned()), "{}", ran.stdout);
    assert_eq!(before(), seen);
    assert_eq!(run(&env, 4, &["other.toml", BUCKET, "--dry-run"]).summary()["exit"], 4);
}

#[tokio::test]
async fn a_bucket_made_by_hand_is_refused() {
    let env = TestEnv::new();
    env.write("layout.toml", LAYOUT);
    let server = server(&env);
    client(&server, None).create_bucket().bucket(BUCKET).send().await.unwrap();
    drop(server);
    let ran = run(&env, 1, &[BUCKET, "--yes"]);
    assert!(codes(&ran).contains(&"not-ours".to_owned()), "{}", ran.stdout);
    assert_eq!(left(&env).await, [""; 0], "and it is still there");
}

#[test]
fn policies_of_others_are_told_and_left_alone() {
    let env = applied(LAYOUT);
    let theirs = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:PutObject","Resource":"arn:aws:s3:::ml-workflows/*"}]}"#;
    env.write(".bucketwright/local/directory/policies/Theirs.json", theirs);
    env.write(".bucketwright/local/directory/roles/theirs.json", r#"{"policies": ["Theirs"]}"#);
    let ran = run(&env, 0, &[PROJECT, "--yes"]);
    let finding = ran.of_type("finding").into_iter().find(|finding| finding["code"] == "access-remains").unwrap();
    let message = finding["message"].as_str().unwrap();
    assert!(message.contains("`Theirs`") && message.contains("role theirs") && message.contains("put"), "{message}");
    let role = std::fs::read_to_string(env.path(".bucketwright/local/directory/roles/theirs.json")).unwrap();
    assert_eq!(role, r#"{"policies": ["Theirs"]}"#);
}

#[test]
fn logs_must_go_elsewhere_before_their_bucket_goes() {
    let layout = LAYOUT.replace("waive = { access-log = \"none in tests\" }", "access_log = { bucket = \"ml-logs\" }");
    let env = applied(&layout);
    let ran = run(&env, 1, &["ml-logs", "--yes"]);
    assert!(codes(&ran).contains(&"log-target".to_owned()), "{}", ran.stdout);
    let ran = run(&env, 0, &[BUCKET, "--yes"]);
    assert!(codes(&ran).contains(&"log-bucket-stays".to_owned()), "{}", ran.stdout);
    assert_eq!(of_status(&ran, "done").last().unwrap(), "delete-bucket s3://ml-workflows");
    let ran = run(&env, 0, &["ml-logs", "--yes"]);
    assert_eq!(of_status(&ran, "done"), ["delete-bucket s3://ml-logs"], "{}", ran.stdout);
}

#[test]
fn a_target_is_a_name_of_the_layout() {
    let env = applied(LAYOUT);
    for (target, message) in [
        ("froud", "did you mean `fraud`?"),
        ("ml-workflow", "did you mean `ml-workflows`?"),
        ("ml-workflows/froud", "did you mean `fraud`?"),
        ("ml-workflows/fraud/data", "has no project `fraud/data`"),
        ("other/fraud", "no bucket and no project `other`"),
    ] {
        let ran = run(&env, 2, &[target]);
        assert!(ran.of_type("error")[0]["message"].as_str().unwrap().contains(message), "{target}: {}", ran.stdout);
    }
    for target in ["fraud", "s3://ml-workflows/fraud/", "ml-workflows/fraud"] {
        let ran = run(&env, 0, &[target, "--dry-run"]);
        assert_eq!(ran.of_type("holdings")[0]["target"], "s3://ml-workflows/fraud/");
    }
}

#[test]
fn nothing_is_deleted_while_access_stays() {
    let env = applied(LAYOUT);
    // A file stands where the folder of backups should be.
    env.write("layout.toml", format!("backup = \"layout.toml\"\n{LAYOUT}"));
    let ran = run(&env, 3, &[PROJECT, "--yes"]);
    assert!(codes(&ran).contains(&"deletes-held-back".to_owned()), "{}", ran.stdout);
    assert!(!actions(&ran).iter().any(|line| line.starts_with("done delete ")), "{:?}", actions(&ran));
    assert_eq!(of_status(&ran, "failed"), ["detach-policy role/analyst"]);
    env.write("layout.toml", LAYOUT);
    let finished = run(&env, 0, &[PROJECT, "--yes"]);
    assert!(of_status(&finished, "done").contains(&"detach-policy role/analyst".to_owned()));
    assert_eq!(finished.summary()["deleted"], 3);
}
