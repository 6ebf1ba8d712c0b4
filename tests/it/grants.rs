//! Grants from the layout to what a role really may do: planned, applied, revoked, and nobody else's policies touched.

use crate::server_env::{client_as, code};
use crate::testenv::{Ran, TestEnv, files_below};
use aws_sdk_s3::Client;
use bucketwright::model::Region;
use bucketwright::server::{DEFAULT_SESSION, Server, ServerOptions};
use serde_json::{Value, json};

const ACCOUNT: &str = "245966534215";
const BUCKET: &str = "bsingh-ml-workflows";
const CLUSTER: &str = "education-eks-vV8VCAqw";
const POLICY: &str = "arn:aws:iam::245966534215:policy/FlyteMLS3Access";
const NODE_ROLES: [&str; 2] = [
    "node-group-1-eks-node-group-20250724035220727000000001",
    "node-group-2-eks-node-group-20250724035220727200000003",
];
const NODE_GROUPS: &str = "\
[[cluster]]
name = \"education-eks-vV8VCAqw\"
[[cluster.node_group]]
name = \"node-group-1-2025072404024606990000001e\"
role = \"node-group-1-eks-node-group-20250724035220727000000001\"
[[cluster.node_group]]
name = \"node-group-2-2025072404024606990000001f\"
role = \"node-group-2-eks-node-group-20250724035220727200000003\"
";

const BUCKETS: &str = "\
version = 1
layout = \"ml-workflows\"
account = \"245966534215\"
[[bucket]]
name = \"bsingh-ml-workflows\"
template = \"ml-project\"
projects = [\"credit-scoring\"]
waive = { access-log = \"none in tests\" }
";
const TO_NODES: &str = "attach = [{ eks_cluster = \"education-eks-vV8VCAqw\", node_groups = \"*\" }]";

fn grant(access: &str, more: &str) -> String {
    format!("[[grant]]\npolicy = \"FlyteMLS3Access\"\naccess = \"{access}\"\non = [\"{BUCKET}\"]\n{more}\n")
}

/// A folder with the layout, and a cluster with two node groups in the directory.
fn env(grants: &str) -> TestEnv {
    let env = TestEnv::new();
    env.write("layout.toml", format!("{BUCKETS}{grants}"));
    env.write(".bucketwright/local/directory/directory.toml", NODE_GROUPS);
    env
}

/// Actions of `plan` or `apply`, as `status kind target`.
fn actions(ran: &Ran) -> Vec<String> {
    let text = |line: &Value, field: &str| line[field].as_str().unwrap_or_default().to_owned();
    let in_account = |line: &&Value| !text(line, "target").starts_with("s3://");
    let lines = ran.of_type("action");
    let told = lines.iter().filter(in_account);
    told.map(|line| format!("{} {} {}", text(line, "status"), text(line, "action"), text(line, "target"))).collect()
}

fn codes(ran: &Ran) -> Vec<String> {
    ran.of_type("finding").iter().map(|finding| finding["code"].as_str().unwrap().to_owned()).collect()
}

fn planned(env: &TestEnv) -> Ran {
    env.expect(0, &["plan", "--local", "--output", "json"])
}

fn directory(env: &TestEnv, name: &str) -> Value {
    let text = std::fs::read_to_string(env.path(&format!(".bucketwright/local/directory/{name}"))).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// A client with a role's credentials at the endpoint of this folder.
fn as_role(env: &TestEnv, role: &str) -> (Server, Client) {
    let options = ServerOptions { account: ACCOUNT.parse().unwrap(), region: Region::us_east_1() };
    let server = Server::open(&env.path(".bucketwright/local"), options).unwrap();
    let client = client_as(&server, &server.credentials_of(role, DEFAULT_SESSION).unwrap());
    (server, client)
}

#[tokio::test]
async fn a_grant_gives_node_roles_what_it_says_until_it_leaves_the_layout() {
    let env = env(&grant("read-write", TO_NODES));
    let wanted = [
        format!("planned create-policy {POLICY}"),
        format!("planned attach-policy role/{}", NODE_ROLES[0]),
        format!("planned attach-policy role/{}", NODE_ROLES[1]),
    ];
    assert_eq!(actions(&planned(&env)), wanted);
    env.expect(0, &["apply", "--local", "--yes"]);
    env.expect(0, &["plan", "--local", "--check"]);
    let again = env.expect(0, &["apply", "--local", "--yes", "--output", "json"]);
    assert_eq!((actions(&again).len(), again.summary()["done"].clone()), (0, json!(0)));

    for role in NODE_ROLES {
        let (_server, client) = as_role(&env, role);
        let put = |key: &str| client.put_object().bucket(BUCKET).key(key).body(b"x".to_vec().into()).send();
        put("credit-scoring/data/x").await.unwrap();
        put("credit-scoring/models/x").await.unwrap();
        client.get_object().bucket(BUCKET).key("credit-scoring/data/x").send().await.unwrap();
        let delete = |key: &str| client.delete_object().bucket(BUCKET).key(key).send();
        delete("credit-scoring/models/x").await.unwrap();
        let kept = delete("credit-scoring/data/x").await;
        assert_eq!(code(kept), "AccessDenied 403", "nobody deletes under `data`");
    }

    env.write("layout.toml", BUCKETS);
    let revoked = planned(&env);
    let wanted = NODE_ROLES.map(|role| format!("planned detach-policy role/{role}"));
    assert_eq!(actions(&revoked), wanted);
    let first = &revoked.of_type("action")[0];
    assert_eq!(first["reason"], "revoked: no grant names this policy any more");
    assert_eq!(first["policy"], POLICY);
    env.expect(0, &["apply", "--local", "--yes"]);
    let (_server, client) = as_role(&env, NODE_ROLES[0]);
    let read = client.get_object().bucket(BUCKET).key("credit-scoring/data/x").send().await;
    assert_eq!(code(read), "AccessDenied 403");
    assert!(directory(&env, "policies/FlyteMLS3Access.json").is_object(), "the policy itself stays");
    env.expect(0, &["plan", "--local", "--check"]);
    let kept: Vec<_> = files_below(&env.path(".bucketwright/backups"));
    let manifests = kept.iter().filter(|(path, _)| path.ends_with("manifest.json"));
    let texts: Vec<_> = manifests.map(|(_, content)| String::from_utf8(content.clone()).unwrap()).collect();
    assert_eq!(texts.len(), 1, "one backup for the run: {kept:?}");
    assert!(NODE_ROLES.iter().all(|role| texts[0].contains(role)), "with whom it was attached to");
}

#[test]
fn a_target_that_leaves_the_grant_loses_the_policy() {
    let env = env(&grant("read", TO_NODES));
    env.expect(0, &["apply", "--local", "--yes"]);
    let one = "attach = [{ eks_cluster = \"education-eks-vV8VCAqw\", node_groups = \"node-group-2-*\" }, { role = \"trainer\" }]";
    env.write("layout.toml", format!("{BUCKETS}{}", grant("read", one)));
    let wanted = [
        "planned create-role role/trainer".to_owned(),
        "planned attach-policy role/trainer".to_owned(),
        format!("planned detach-policy role/{}", NODE_ROLES[0]),
    ];
    assert_eq!(actions(&planned(&env)), wanted);
    let refused = env.run(&["apply", "--local"]);
    assert_eq!(refused.code, 2, "nobody is here to confirm: {}", refused.stderr);
    env.expect(0, &["apply", "--local", "--yes"]);
    env.expect(0, &["plan", "--local", "--check"]);
    assert_eq!(directory(&env, "roles/trainer.json")["policies"], json!(["FlyteMLS3Access"]));
}

#[test]
fn a_policy_made_by_hand_is_left_as_it_is_unless_adopted() {
    let by_hand = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:DeleteObject","Resource":"arn:aws:s3:::bsingh-ml-workflows/*"}]}"#;
    let env = env(&grant("read-write", TO_NODES));
    env.write(".bucketwright/local/directory/policies/FlyteMLS3Access.json", by_hand);
    env.write(".bucketwright/local/directory/roles/theirs.json", r#"{"policies": ["FlyteMLS3Access"]}"#);
    let files = || files_below(&env.path(".bucketwright/local/directory/policies"));
    let before = files();
    let ran = env.run(&["apply", "--local", "--yes", "--output", "json"]);
    assert_eq!(ran.code, 1, "{}", ran.stdout);
    assert!(codes(&ran).contains(&"not-ours".to_owned()), "{:?}", codes(&ran));
    assert_eq!(files(), before, "not a byte of it changed");

    env.write("layout.toml", format!("{BUCKETS}{}", grant("read-write", &format!("adopt = true\n{TO_NODES}"))));
    let plan = planned(&env);
    let findings = plan.of_type("finding");
    let messages: Vec<&str> = findings.iter().filter_map(|finding| finding["message"].as_str()).collect();
    assert!(messages.iter().any(|message| message.contains("closes delete")), "{messages:?}");
    assert!(messages.iter().any(|message| message.contains("attached to `theirs`")), "{messages:?}");
    env.expect(0, &["apply", "--local", "--yes"]);
    env.expect(0, &["plan", "--local", "--check"]);
    assert_eq!(directory(&env, "roles/theirs.json")["policies"], json!([]));
}

#[test]
fn the_policy_of_another_layout_is_refused_even_to_adopters() {
    let env = env(&grant("read", ""));
    env.expect(0, &["apply", "--local", "--yes"]);
    let other = format!("{BUCKETS}{}", grant("read", "adopt = true")).replace("\"ml-workflows\"", "\"other\"");
    env.write("other.toml", other);
    let ran = env.run(&["plan", "other.toml", "--local", "--only", "grants", "--output", "json"]);
    assert_eq!(ran.code, 4, "{}", ran.stdout);
    assert!(codes(&ran).contains(&"other-layout".to_owned()), "{:?}", codes(&ran));
}

#[test]
fn the_sixth_version_costs_the_oldest_one_which_is_kept() {
    let env = env("");
    let accesses = ["read", "append", "read-write", "read", "append", "read-write"];
    for access in accesses {
        env.write("layout.toml", format!("backup = \"kept\"\n{BUCKETS}{}", grant(access, "")));
        env.expect(0, &["apply", "--local", "--yes", "--only", "settings,markers,grants"]);
    }
    let record = directory(&env, "managed/FlyteMLS3Access.json");
    let versions: Vec<&String> = record["versions"].as_object().unwrap().keys().collect();
    assert_eq!(versions, ["v2", "v3", "v4", "v5", "v6"]);
    assert_eq!(record["default"], "v6");
    let kept = files_below(&env.path("kept"));
    let manifest = kept.iter().find(|(path, _)| path.ends_with("manifest.json")).unwrap();
    let manifest: Value = serde_json::from_slice(&manifest.1).unwrap();
    let versions = manifest["policies"][0]["versions"].as_array().unwrap();
    let ids: Vec<_> = versions.iter().map(|version| version["id"].clone()).collect();
    assert_eq!(ids, ["v5", "v4", "v3", "v2", "v1"], "all versions that there were");
}

#[test]
fn a_service_account_gets_a_role_its_trust_and_its_annotation() {
    let irsa = |account: &str| {
        let target = format!(
            "attach = [{{ irsa = {{ cluster = \"training\", namespace = \"flyte\", service_account = \"{account}\", \
             role = \"flyte-tasks\" }} }}]"
        );
        format!("{BUCKETS}{}", grant("read", &target))
    };
    let env = env("");
    env.write("layout.toml", irsa("default"));
    let plan = planned(&env);
    let wanted = [
        format!("planned create-policy {POLICY}"),
        "planned create-role role/flyte-tasks".to_owned(),
        "planned attach-policy role/flyte-tasks".to_owned(),
    ];
    assert_eq!(actions(&plan), wanted);
    let fixes: Vec<_> = plan.of_type("finding").iter().map(|finding| finding["fix"].to_string()).collect();
    assert!(
        fixes.iter().any(|fix| fix.contains("eks.amazonaws.com/role-arn=arn:aws:iam::245966534215:role/flyte-tasks"))
    );
    env.expect(0, &["apply", "--local", "--yes"]);
    let before = std::fs::read(env.path(".bucketwright/local/directory/roles/flyte-tasks.json")).unwrap();
    assert!(String::from_utf8(before).unwrap().contains("system:serviceaccount:flyte:default"));

    env.write("layout.toml", irsa("worker"));
    assert_eq!(actions(&planned(&env)), ["planned put-trust role/flyte-tasks"]);
    env.expect(0, &["apply", "--local", "--yes"]);
    let after = directory(&env, "roles/flyte-tasks.json").to_string();
    assert!(after.contains("flyte:worker") && !after.contains("flyte:default"), "{after}");
    let kept = files_below(&env.path(".bucketwright/backups"));
    let holds = |text: &str| kept.iter().any(|(_, content)| String::from_utf8_lossy(content).contains(text));
    assert!(holds("system:serviceaccount:flyte:default"), "the former trust policy is kept");
    env.expect(0, &["plan", "--local", "--check"]);
}

#[test]
fn pod_identity_is_an_association_that_goes_with_its_grant() {
    let target = format!(
        "attach = [{{ pod_identity = {{ cluster = \"{CLUSTER}\", namespace = \"flyte\", service_account = \"default\", \
         role = \"flyte-pods\" }} }}]"
    );
    let cluster = "addons = [\"eks-pod-identity-agent\"]\n";
    let env = env("");
    let described =
        NODE_GROUPS.replacen("name = \"education-eks-vV8VCAqw\"\n", &format!("name = \"{CLUSTER}\"\n{cluster}"), 1);
    env.write(".bucketwright/local/directory/directory.toml", described);
    env.write("layout.toml", format!("{BUCKETS}{}", grant("read", &target)));
    let wanted = [
        format!("done create-policy {POLICY}"),
        "done create-role role/flyte-pods".to_owned(),
        format!("done create-association {CLUSTER}/flyte/default"),
        "done attach-policy role/flyte-pods".to_owned(),
    ];
    let applied = env.expect(0, &["apply", "--local", "--yes", "--output", "json"]);
    assert_eq!(actions(&applied), wanted);
    env.expect(0, &["plan", "--local", "--check"]);
    // Another role comes in place of the first, which loses the policy only after that.
    env.write("layout.toml", format!("{BUCKETS}{}", grant("read", &target.replace("flyte-pods", "flyte-tasks"))));
    let wanted = [
        "done create-role role/flyte-tasks".to_owned(),
        "done attach-policy role/flyte-tasks".to_owned(),
        format!("done update-association {CLUSTER}/flyte/default"),
        "done detach-policy role/flyte-pods".to_owned(),
    ];
    let applied = env.expect(0, &["apply", "--local", "--yes", "--output", "json"]);
    assert_eq!(actions(&applied), wanted);
    let kept = env.path(&format!(".bucketwright/local/directory/associations/{CLUSTER}.json"));
    let kept = std::fs::read_to_string(kept).unwrap();
    assert!(kept.contains("a-000001") && kept.contains("role/flyte-tasks") && !kept.contains("flyte-pods"), "{kept}");
    env.expect(0, &["plan", "--local", "--check"]);
    env.write("layout.toml", format!("{BUCKETS}{}", grant("read", TO_NODES)));
    let revoked = actions(&planned(&env));
    assert!(revoked.contains(&format!("planned delete-association {CLUSTER}/flyte/default")), "{revoked:?}");
    assert!(revoked.contains(&"planned detach-policy role/flyte-tasks".to_owned()), "{revoked:?}");
    env.expect(0, &["apply", "--local", "--yes"]);
    env.expect(0, &["plan", "--local", "--check"]);
}

#[test]
fn unknown_node_groups_stop_the_plan_and_name_the_near_ones() {
    let env =
        env(&grant("read", "attach = [{ eks_cluster = \"education-eks-vV8VCAqw\", node_groups = \"node-group-3*\" }]"));
    let ran = env.expect(4, &["plan", "--local", "--output", "json"]);
    let found = ran.of_type("finding").into_iter().find(|finding| finding["code"] == "node-group-missing").unwrap();
    assert!(found["message"].as_str().unwrap().contains("node-group-1-2025072404024606990000001e"), "{found}");
}

#[test]
fn a_saved_plan_is_applied_with_its_grants_or_not_at_all() {
    let env = env(&grant("read", TO_NODES));
    env.expect(0, &["plan", "--local", "--save", "plan.json"]);
    env.write("layout.toml", format!("{BUCKETS}{}", grant("append", TO_NODES)));
    let ran = env.expect(4, &["apply", "--local", "--plan", "plan.json"]);
    assert!(ran.stderr.contains("create-policy"), "{}", ran.stderr);
    env.write("layout.toml", format!("{BUCKETS}{}", grant("read", TO_NODES)));
    env.expect(0, &["apply", "--local", "--plan", "plan.json"]);
    env.expect(0, &["plan", "--local", "--check"]);
}

#[test]
fn only_grants_writes_no_bucket_and_other_parts_no_grant() {
    let env = env(&grant("read", TO_NODES));
    let settings = env.expect(0, &["apply", "--local", "--yes", "--only", "settings,markers", "--output", "json"]);
    assert_eq!(actions(&settings), Vec::<String>::new());
    let grants = env.expect(0, &["apply", "--local", "--yes", "--only", "grants", "--output", "json"]);
    assert_eq!(grants.of_type("action").len(), actions(&grants).len());
    assert_eq!(actions(&grants).len(), 3);
    env.expect(0, &["plan", "--local", "--check"]);
}

#[test]
fn a_role_may_not_apply_grants_to_its_own_account() {
    let env = env(&grant("read", TO_NODES));
    env.expect(0, &["apply", "--local", "--yes"]);
    env.write("layout.toml", format!("{BUCKETS}{}", grant("read-write", TO_NODES)));
    let ran = env.run(&["plan", "--local", "--as", NODE_ROLES[0], "--only", "grants", "--output", "json"]);
    assert_eq!(actions(&ran), Vec::<String>::new(), "{}", ran.stdout);
    assert_eq!((ran.code, codes(&ran)), (0, vec!["no-iam".to_owned()]), "{}", ran.stdout);
}

#[test]
fn nothing_is_taken_away_that_could_not_be_kept() {
    let env = env(&grant("read", TO_NODES));
    env.expect(0, &["apply", "--local", "--yes"]);
    // A file stands where the folder of backups should be.
    env.write("layout.toml", format!("backup = \"layout.toml\"\n{BUCKETS}"));
    let ran = env.run(&["apply", "--local", "--yes", "--output", "json"]);
    assert_eq!((ran.code, ran.summary()["failed"].clone()), (1, json!(2)), "{}", ran.stdout);
    assert!(ran.of_type("error").iter().all(|error| error["kind"] == "no-backup"), "{}", ran.stdout);
    let role = directory(&env, &format!("roles/{}.json", NODE_ROLES[0]));
    assert_eq!(role["policies"], json!(["FlyteMLS3Access"]));
    // A step that fails does not keep others from being done.
    let both = format!("{}{}", grant("append", ""), grant("read", "").replace("FlyteMLS3Access", "Second"));
    env.write("layout.toml", format!("backup = \"layout.toml\"\n{BUCKETS}{both}"));
    let ran = env.expect(3, &["apply", "--local", "--yes", "--output", "json"]);
    let told = actions(&ran);
    assert!(told.contains(&"done create-policy arn:aws:iam::245966534215:policy/Second".to_owned()), "{told:?}");
    assert!(told.contains(&format!("done create-policy-version {POLICY}")), "{told:?}");
    assert!(told.contains(&format!("failed detach-policy role/{}", NODE_ROLES[0])), "{told:?}");
}

/// What `apply` says about the wait, as `pass ROLE`.
fn waited(ran: &Ran) -> Vec<String> {
    let checks = ran.of_type("check");
    let in_force = checks.iter().filter(|check| check["check"] == "in-force");
    in_force
        .map(|check| format!("{} {}", check["verdict"].as_str().unwrap(), check["target"].as_str().unwrap()))
        .collect()
}

#[test]
fn a_run_ends_when_what_it_changed_is_in_force() {
    let env = env(&grant("read", TO_NODES));
    let apply = |more: &[&str]| env.expect(0, &[&["apply", "--local", "--yes", "--output", "json"], more].concat());
    let both = NODE_ROLES.map(|role| format!("pass {role}"));
    let ran = apply(&[]);
    assert_eq!(waited(&ran), both);
    assert!(ran.of_type("check")[0]["detail"].as_str().unwrap().ends_with("3 answers in a row"), "{}", ran.stdout);
    assert_eq!(waited(&apply(&[])), [""; 0], "nothing changed");
    // What only writing tells is told by `--verify`, as each role that changed.
    env.write("layout.toml", format!("{BUCKETS}{}", grant("read-write", TO_NODES)));
    assert_eq!(waited(&apply(&[])), [""; 0]);
    env.write("layout.toml", format!("{BUCKETS}{}", grant("append", TO_NODES)));
    let ran = apply(&["--verify"]);
    let arns = NODE_ROLES.map(|role| format!("arn:aws:iam::{ACCOUNT}:role/{role}"));
    assert_eq!(waited(&ran), arns.clone().map(|arn| format!("pass {arn}")));
    for arn in arns {
        let cells: Vec<_> = ran.of_type("cell").into_iter().filter(|cell| cell["principal"] == *arn).collect();
        assert!(cells.len() > 20 && cells.iter().all(|cell| cell["expected"] == cell["observed"]), "{cells:?}");
    }
    // A denial is waited for as well.
    env.write("layout.toml", BUCKETS);
    assert_eq!(waited(&apply(&[])), both);
}

#[test]
fn what_others_give_is_not_waited_for() {
    let env = env(&grant("read", TO_NODES));
    env.expect(0, &["apply", "--local", "--yes"]);
    let everything = json!({ "Version": "2012-10-17", "Statement": [
        { "Effect": "Allow", "Action": "s3:*", "Resource": "*" } ] });
    let path = format!("roles/{}.json", NODE_ROLES[0]);
    let mut sheet = directory(&env, &path);
    sheet["inline"] = json!({ "all": everything });
    env.write(&format!(".bucketwright/local/directory/{path}"), sheet.to_string());
    env.write("layout.toml", BUCKETS);
    let ran = env.expect(0, &["apply", "--local", "--yes", "--output", "json"]);
    assert_eq!(waited(&ran), [format!("pass {}", NODE_ROLES[1])]);
    assert_eq!(codes(&ran), [""; 0]);
}
