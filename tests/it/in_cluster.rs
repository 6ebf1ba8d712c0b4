//! Verbs that ask a cluster's API server, and Jobs whose pods make real calls: against a small API server and a node.

use crate::api_server::{ApiServer, TOKEN};
use crate::testenv::{Ran, TestEnv};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::process::{Child, Stdio};

const LAYOUT: &str = r#"
version = 1
layout = "l"
[[bucket]]
name = "ml-lake"
template = "ml-project"
projects = ["p"]
waive = { access-log = "none in tests" }
[[grant]]
policy = "Train"
access = "read-write"
on = ["ml-lake/p"]
attach = [
  { irsa = { cluster = "lab", namespace = "ml", service_account = "trainer", role = "trainer" } },
  { irsa = { cluster = "lab", namespace = "dev", service_account = "reader", role = "reader" } },
]
"#;
const TRAINER: [&str; 2] = ["--service-account", "ml/trainer"];
const APPLY: [&str; 8] = ["cluster", "job", "verify", "--image", "img:1", "--apply", "--yes", "--no-write"];

/// An endpoint over the environment's folder with the keys of a role; it ends with the test.
struct Endpoint(Child);

impl Drop for Endpoint {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The endpoint, and what reaches it in the environment of a pod.
fn serve(env: &TestEnv, role: &str) -> (Endpoint, Vec<(String, String)>) {
    let words = ["serve", "--local", "--port", "0", "--as", role];
    let mut child = env.command(&words).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut variables = Vec::new();
    while !variables.iter().any(|(name, _)| name == "AWS_REGION") {
        let line = lines.next().unwrap();
        let pairs = line.trim_start_matches("export ").split(' ').filter_map(|pair| pair.split_once('='));
        variables.extend(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }
    (Endpoint(child), variables)
}

/// A cluster in which the trainer has what the layout grants, and the reader has nothing.
fn lab() -> (TestEnv, ApiServer, Vec<Endpoint>) {
    let mut env = TestEnv::new();
    env.write("layout.toml", LAYOUT);
    env.expect(0, &["apply", "--local", "--yes", "--only", "settings,markers"]);
    let policy = env.expect(0, &["policy", "generate", "layout.toml", "--output", "json"]);
    let document = &policy.of_type("policy")[0]["document"];
    env.write(".bucketwright/local/directory/policies/Train.json", document.to_string());
    env.write(".bucketwright/local/directory/roles/trainer.json", r#"{"policies": ["Train"]}"#);
    env.write(".bucketwright/local/directory/roles/reader.json", r#"{"policies": []}"#);
    let server = ApiServer::start();
    server.configure(&mut env);
    let endpoints = [("trainer", "ml/trainer"), ("reader", "dev/reader")].map(|(role, account)| {
        let (endpoint, variables) = serve(&env, role);
        server.run_pods_of(account, &variables);
        endpoint
    });
    (env, server, Vec::from(endpoints))
}

/// What was said to people, unfolded.
fn said(ran: &Ran) -> String {
    ran.stderr.replace("\n  ", " ")
}

fn apply<'words>(more: &[&'words str]) -> Vec<&'words str> {
    [&APPLY[..], more].concat()
}

#[test]
fn the_matrix_comes_back_from_the_pods() {
    let (env, server, _endpoints) = lab();
    let ran = env.expect(0, &apply(&[&TRAINER[..], &["--output", "json"]].concat()));
    let cells = ran.of_type("cell");
    assert!(cells.len() > 10, "{} {}", ran.stdout, ran.stderr);
    assert!(cells.iter().all(|cell| cell["principal"] == "service account ml/trainer"));
    assert!(cells.iter().any(|cell| cell["observed"] == "allow"));
    let actions = ran.of_type("action");
    let told = actions.iter().map(|one| [&one["action"], &one["status"]].map(|field| field.as_str().unwrap()));
    assert_eq!(told.collect::<Vec<_>>(), [["create-config-map", "done"], ["create-job", "done"]]);
    assert!(ran.stderr.contains("asking context lab at http://127.0.0.1:"), "{}", ran.stderr);
    // The next run wants fresh answers, and the layout is there already.
    let again = env.expect(0, &apply(&[&TRAINER[..], &["--output", "json"]].concat()));
    let actions = again.of_type("action");
    let told = actions.iter().map(|one| one["action"].as_str().unwrap());
    assert_eq!(told.collect::<Vec<_>>(), ["delete-job", "create-job"]);
    assert_eq!(again.of_type("cell").len(), cells.len());
    assert_eq!((server.paths_of("jobs").len(), server.paths_of("configmaps").len()), (1, 1));
}

#[test]
fn each_identity_has_its_own_matrix_and_the_worst_decides() {
    let (env, _server, _endpoints) = lab();
    let ran = env.expect(4, &apply(&["--output", "json"]));
    let wrong = |who: &str| {
        let cells = ran.of_type("cell");
        let of = cells.iter().filter(|cell| cell["principal"] == who && cell["observed"] != "not-tried");
        of.filter(|cell| cell["observed"] != cell["expected"]).count()
    };
    assert_eq!(wrong("service account ml/trainer"), 0, "{}", ran.stdout);
    assert!(wrong("service account dev/reader") > 3, "{}", ran.stdout);
    let human = env.expect(4, &apply(&[]));
    for words in ["service account dev/reader", "service account ml/trainer", "Verify: "] {
        assert!(human.stdout.contains(words), "{words}: {}", human.stdout);
    }
    assert!(!format!("{}{}", human.stdout, human.stderr).contains(TOKEN));
}

#[test]
fn nothing_is_made_unasked() {
    let (env, server, _endpoints) = lab();
    let words = apply(&TRAINER).into_iter().filter(|word| *word != "--yes").collect::<Vec<_>>();
    let ran = env.expect(2, &words);
    assert!(ran.stderr.contains("--yes") && ran.stdout.contains("create-job"), "{} {}", ran.stdout, ran.stderr);
    assert!(server.requests().iter().all(|request| request.starts_with("GET ")));
    env.expect(2, &["cluster", "job", "verify", "--image", "i", "--kube-context", "lab"]);
}

#[test]
fn a_pod_that_cannot_start_is_told_at_once() {
    let (env, server, _endpoints) = lab();
    let words = ["cluster", "job", "verify", "--image", "missing:1", "--apply", "--yes", "--no-write"];
    let ran = env.expect(3, &[&words[..], &TRAINER].concat());
    assert!(said(&ran).contains("does not start: ImagePullBackOff: Back-off pulling image"), "{}", ran.stderr);
    assert!(said(&ran).contains("no answer from service account ml/trainer"), "{}", ran.stderr);
    assert_eq!(server.paths_of("jobs"), [""; 0], "what cannot start is taken away");
    let ran = env.expect(3, &apply(&["--service-account", "ml/nobody"]));
    let words = "does not start: FailedCreate: Error creating: pods is forbidden: serviceaccount \"nobody\" not found";
    assert!(said(&ran).contains(words), "{}", ran.stderr);
}

#[test]
fn a_log_that_breaks_off_is_taken_up_again() {
    let (env, server, _endpoints) = lab();
    let whole = env.expect(0, &apply(&[&TRAINER[..], &["--output", "json"]].concat()));
    [700, 300].iter().for_each(|bytes| server.break_log_after(*bytes));
    let broken = env.expect(0, &apply(&[&TRAINER[..], &["--output", "json"]].concat()));
    assert_eq!(broken.of_type("cell"), whole.of_type("cell"));
}

#[test]
fn what_the_caller_may_not_names_the_rule() {
    let (env, server, _endpoints) = lab();
    server.forbid("create jobs");
    let ran = env.expect(1, &apply(&TRAINER));
    let said = said(&ran);
    assert!(said.contains("may not create jobs in namespace ml"), "{said}");
    assert!(said.contains("apiGroups: [\"batch\"], resources: [\"jobs\"], verbs: [\"create\"]"), "{said}");
    server.forbid("get pods/log");
    let refused = env.expect(2, &["cluster", "identities", "--kube-context", "prod"]);
    assert!(refused.stderr.contains("no context `prod`: it has lab"), "{}", refused.stderr);
}

#[test]
fn identities_are_listed_page_by_page() {
    let mut env = TestEnv::new();
    let server = ApiServer::start();
    server.configure(&mut env);
    let pod = |number: usize| {
        json!({
            "kind": "Pod",
            "metadata": { "namespace": format!("ns-{}", number % 2), "name": format!("pod-{number:04}") },
            "spec": { "serviceAccountName": "default", "nodeName": "n1", "containers": [] },
            "status": { "phase": "Running" },
        })
    };
    (0..1203).for_each(|number| server.put(&pod(number)));
    server.put(&json!({ "kind": "ServiceAccount", "metadata": { "namespace": "ns-0", "name": "default" } }));
    let group = json!({ "eks.amazonaws.com/nodegroup": "gpu" });
    server.put(&json!({ "kind": "Node", "metadata": { "name": "n1", "labels": group } }));
    let ran = env.expect(0, &["cluster", "identities", "--output", "json"]);
    let pods = ran.of_type("pod-identity");
    assert_eq!((pods.len(), &pods[0]["node_group"]), (1203, &json!("gpu")), "{}", ran.stderr);
    let one = env.expect(0, &["cluster", "identities", "--namespace", "ns-1", "--output", "json"]);
    assert_eq!(one.of_type("pod-identity").len(), 601);
    // Who may see but one namespace goes without nodes.
    server.forbid("list nodes");
    let ran = env.expect(0, &["cluster", "identities", "-n", "ns-1", "--output", "json"]);
    assert_eq!(ran.of_type("pod-identity")[0].get("node_group"), None::<&Value>);
    assert!(said(&ran).contains("nodes are left out"), "{}", ran.stderr);
    server.forbid("list pods");
    let ran = env.expect(1, &["cluster", "identities"]);
    assert!(said(&ran).contains("a ClusterRole needs the rule"), "{}", ran.stderr);
}

#[test]
fn shards_of_a_sync_are_added_up() {
    let (env, _server, _endpoints) = lab();
    let words = ["cluster", "job", "sync", "s3://ml-lake/p/models/", "s3://ml-lake/p/results/", "--shards", "3"];
    let end = ["--service-account", "ml/trainer", "--image", "img:1", "--apply", "--yes", "--output", "json"];
    (0..20).for_each(|number| env.write(&format!("files/{number:02}"), format!("content {number}")));
    env.expect(0, &["sync", "files", "s3://ml-lake/p/models/", "--local"]);
    let ran = env.expect(0, &[&words[..], &end].concat());
    let summary = ran.summary();
    // Twenty copies and the Job itself.
    assert_eq!((&summary["done"], &summary["failed"]), (&json!(21), &json!(0)), "{} {}", ran.stdout, ran.stderr);
    let again = env.expect(0, &[&words[..], &end].concat()).summary();
    assert_eq!((&again["unchanged"], &again["done"]), (&json!(21), &json!(2)), "the folder's marker is there too");
}

#[test]
fn verify_tries_access_where_the_pods_are() {
    let (env, server, _endpoints) = lab();
    let words = ["verify", "--access", "--in-cluster", "--image", "img:1", "--no-write", "--yes", "--output", "json"];
    let ran = env.expect(4, &words);
    let whose = |who: &str| ran.of_type("cell").iter().filter(|cell| cell["principal"] == who).count();
    assert!(whose("service account ml/trainer") > 10 && whose("service account dev/reader") > 10, "{}", ran.stdout);
    assert_eq!(server.paths_of("jobs").len(), 2);
    for wrong in [&["verify", "--in-cluster"][..], &["verify", "--kube-context", "lab"], &["verify", "--image", "i"]] {
        env.expect(2, wrong);
    }
    let with_role = ["verify", "--in-cluster", "--image", "i", "--as", "trainer", "--yes"];
    assert!(said(&env.expect(2, &with_role)).contains("their own identity"));
}

/// A pod of the reader by IRSA, whose log holds a refusal of `role`.
fn refused_pod(server: &ApiServer, name: &str, role: &str, environment: &Value) {
    server.put(&json!({
        "kind": "Pod",
        "metadata": { "namespace": "dev", "name": name, "creationTimestamp": "2026-11-01T08:00:00Z" },
        "spec": {
            "serviceAccountName": "reader", "nodeName": "n1",
            "containers": [{ "name": "main", "env": environment }],
        },
        "status": { "phase": "Running" },
    }));
    server.put_log(
        &format!("dev/{name}"),
        &format!(
            "step 1\nbotocore.exceptions.ClientError: An error occurred (AccessDenied) when calling the PutObject operation: \
             User: arn:aws:sts::000000000000:assumed-role/{role}/s is not authorized to perform: s3:PutObject on resource: \
             \"arn:aws:s3:::ml-lake/p/models/x\" because no identity-based policy allows the s3:PutObject action\n"
        ),
    );
}

#[test]
fn doctor_looks_at_the_pod_first() {
    let (env, server, _endpoints) = lab();
    let irsa = json!([
        { "name": "AWS_ROLE_ARN", "value": "arn:aws:iam::000000000000:role/reader" },
        { "name": "AWS_WEB_IDENTITY_TOKEN_FILE", "value": "/var/run/secrets/token" },
    ]);
    let doctor = |pod: &str, code: i32| {
        env.expect(code, &["doctor", "--pod", &format!("dev/{pod}"), "--local", "--output", "json"])
    };
    let codes = |ran: &Ran| -> Vec<String> {
        ran.of_type("finding").iter().map(|one| one["code"].as_str().unwrap().to_owned()).collect()
    };
    // Its identity is right, and its role lacks the policy.
    refused_pod(&server, "lacks", "reader", &irsa);
    let ran = doctor("lacks", 4);
    assert_eq!(ran.of_type("pod-identity")[0]["source"], "irsa");
    assert_eq!(ran.of_type("symptom").len(), 1, "{}", ran.stdout);
    assert!(ran.of_type("decision")[0]["decision"] == "implicit-deny", "{}", ran.stdout);
    assert!(!codes(&ran).is_empty() && !codes(&ran)[0].starts_with("pod-"), "{}", ran.stdout);
    // It has a role of its own, and asks with that of its node.
    refused_pod(&server, "astray", "node-role", &irsa);
    assert_eq!(codes(&doctor("astray", 4))[0], "pod-asks-as-another");
    // It was made before its service account was annotated.
    let role = json!({ "eks.amazonaws.com/role-arn": "arn:aws:iam::000000000000:role/reader" });
    let account =
        json!({ "kind": "ServiceAccount", "metadata": { "namespace": "dev", "name": "reader", "annotations": role } });
    server.put(&account);
    refused_pod(&server, "older", "node-role", &json!([]));
    assert_eq!(codes(&doctor("older", 4))[0], "pod-older-than-its-role");
    // The refusal is in the log of the run before.
    refused_pod(&server, "again", "reader", &irsa);
    let log = "An error occurred (AccessDenied) when calling the ListObjectsV2 operation: Access Denied";
    server.put_log("dev/again", "starting\n");
    server.put_log("dev/again previous", log);
    assert!(said(&doctor("again", 4)).contains("the log of the run before of container main"));
    server.put_log("dev/again previous", "all is well\n");
    assert_eq!(doctor("again", 2).of_type("error")[0]["kind"], "no-refusal");
    assert_eq!(doctor("gone", 1).of_type("error")[0]["kind"], "not-found");
    let typed = ["--action", "s3:GetObject", "--resource", "s3://ml-lake/p/data/x", "--local", "--output", "json"];
    let ran = env.expect(4, &[&["doctor", "--pod", "dev/again"][..], &typed].concat());
    assert_eq!(ran.of_type("decision")[0]["decision"], "implicit-deny");
    assert!(server.requests().iter().all(|request| request.starts_with("GET ")), "doctor writes nothing");
}

#[test]
fn stopping_leaves_the_jobs_and_says_how_to_end_them() {
    let (env, server, _endpoints) = lab();
    // A pod that never ends: its endpoint takes connections and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let keys = [
        ("AWS_ENDPOINT_URL", url.as_str()),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "AKIAX"),
        ("AWS_SECRET_ACCESS_KEY", "x"),
    ];
    server.run_pods_of("ml/trainer", &keys.map(|(name, value)| (name.to_owned(), value.to_owned())));
    let words = apply(&TRAINER);
    let child = env.command(&words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let _asked = silent.accept().unwrap();
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let ran = env.ran(&words, &child.wait_with_output().unwrap());
    assert_eq!(ran.code, 130, "{} {}", ran.stdout, ran.stderr);
    assert!(said(&ran).contains("goes on running in the cluster"), "{}", ran.stderr);
    assert!(said(&ran).contains("`kubectl delete job -n ml bucketwright-verify-trainer-"), "{}", ran.stderr);
    assert_eq!(server.paths_of("jobs").len(), 1);
}

/// A layout for another account than the cluster's, whose context has the name that EKS's own command gives it.
#[test]
fn jobs_are_made_in_no_cluster_of_another_account() {
    let (env, server, _endpoints) = lab();
    env.write("layout.toml", format!("account = \"245966534215\"\n{LAYOUT}"));
    let config = std::fs::read_to_string(env.path("home/.kube/config")).unwrap();
    // In the right cluster the pod goes on to say that its own credentials are of another account.
    for (account, code) in [("111122223334", 2), ("245966534215", 3)] {
        let arn = format!("arn:aws:eks:us-east-1:{account}:cluster/lab");
        let named = config.replace("current-context: lab", &format!("current-context: '{arn}'"));
        let named = named.replace("contexts: [{ name: lab", &format!("contexts: [{{ name: '{arn}'"));
        env.write("home/.kube/config", named);
        let made = || server.paths_of("jobs").len();
        let before = made();
        let ran = env.expect(code, &[&APPLY[..], &TRAINER].concat());
        let refused = ran.stderr.contains("--kube-context");
        assert_eq!(refused, code == 2, "{}", ran.stderr);
        assert_eq!(made() > before, code != 2, "{}", ran.stderr);
    }
}
