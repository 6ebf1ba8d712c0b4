//! Clusters as `directory.toml` describes them: who gets which role, Jobs for the cluster, and what their pods do.

use crate::doctor::shown;
use crate::testenv::{Ran, TestEnv};
use serde::Deserialize;
use serde_json::{Value, json};

const BUCKET: &str = "bsingh-ml-workflows";
const CLUSTER: &str = "education-eks-vV8VCAqw";
const DIRECTORY: &str = "\
[[cluster]]
name = \"education-eks-vV8VCAqw\"
status = \"ACTIVE\"
version = \"1.33\"
control_plane_role = \"education-eks-control-plane\"
addons = [\"eks-pod-identity-agent\"]
[[cluster.node_group]]
name = \"node-group-1-2025072404024606990000001e\"
role = \"node-group-1-eks-node-group-20250724035220727000000001\"
hop_limit = 1
image = \"AL2023_x86_64_STANDARD\"
[[cluster.node_group]]
name = \"node-group-2-2025072404024606990000001f\"
role = \"node-group-2-eks-node-group-20250724035220727200000003\"
hop_limit = 2
[[cluster.node_group]]
name = \"spot\"
role = \"spot-node\"
[[cluster.fargate_profile]]
name = \"batch\"
namespaces = [\"batch\"]
";

fn env(attach: &str) -> TestEnv {
    let env = TestEnv::new();
    env.write(
        "layout.toml",
        format!(
            "version = 1\nlayout = \"ml-workflows\"\naccount = \"245966534215\"\n[vars]\na = \"x\"\n\
             [[bucket]]\nname = \"{BUCKET}\"\ntags = {{ note = \"${{a}}\" }}\n\
             template = \"ml-project\"\nprojects = [\"credit-scoring\"]\nwaive = {{ access-log = \"none in tests\" }}\n\
             [[grant]]\npolicy = \"FlyteMLS3Access\"\naccess = \"read-write\"\non = [\"{BUCKET}\"]\nattach = [{attach}]\n"
        ),
    );
    env.write(".bucketwright/local/directory/directory.toml", DIRECTORY);
    env
}

fn nodes(groups: &str) -> String {
    format!("{{ eks_cluster = \"{CLUSTER}\", node_groups = {groups} }}")
}

fn show(env: &TestEnv, code: i32, more: &[&str]) -> Ran {
    env.expect(code, &[&["cluster", "show", CLUSTER], more, &["--local"]].concat())
}

/// The lines as a script reads them: strictly.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case", deny_unknown_fields)]
#[expect(dead_code, reason = "what counts is that every field is known")]
enum Line {
    Identity {
        account: String,
        arn: String,
        endpoint: String,
        region: String,
        expires: Option<String>,
    },
    Cluster {
        name: String,
        arn: String,
        status: String,
        version: String,
        oidc_issuer: Option<String>,
        control_plane_role: String,
        auto_mode_role: Option<String>,
        vpc: Option<String>,
        subnets: Vec<String>,
        addons: Vec<String>,
        pod_identity_agent: bool,
        unknown: Vec<Value>,
    },
    NodeGroup {
        cluster: String,
        name: String,
        kind: String,
        status: Option<String>,
        image: Option<String>,
        role: Option<String>,
        role_name: Option<String>,
        instance_profiles: Option<Vec<String>>,
        launch_template: Option<String>,
        launch_template_version: Option<String>,
        nodes: Option<u64>,
        hop_limits: Vec<u32>,
        tokens: Vec<String>,
        namespaces: Option<Vec<String>>,
        pods: String,
        because: String,
        new_nodes: Option<String>,
    },
    PodIdentity {
        namespace: String,
        pod: String,
        service_account: String,
        source: String,
        role: Option<String>,
        node: Option<String>,
        node_group: Option<String>,
        because: String,
    },
    Association {
        cluster: String,
        namespace: String,
        service_account: String,
        role: String,
        id: String,
    },
    Reach {
        cluster: String,
        policy: String,
        target: String,
        role: String,
        attached: Option<bool>,
        pods: String,
        because: String,
    },
    Finding {
        code: String,
        severity: String,
        target: String,
        message: String,
        fix: Option<String>,
    },
    Summary {
        planned: u64,
        done: u64,
        unchanged: u64,
        skipped: u64,
        failed: u64,
        deleted: u64,
        bytes: u64,
        elapsed_ms: u64,
        exit: u8,
    },
}

#[test]
fn show_says_which_pods_get_the_role_of_their_node() {
    let env = env(&nodes("\"*\""));
    let ran = show(&env, 0, &["--output", "json"]);
    for line in ran.stdout.lines() {
        serde_json::from_str::<Line>(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    }
    let groups = ran.of_type("node-group");
    let told = groups.iter().map(|group| [&group["kind"], &group["pods"]].map(|field| field.as_str().unwrap()));
    let wanted = [["managed", "host-network"], ["managed", "every"], ["managed", "unknown"], ["fargate", "nobody"]];
    assert_eq!(told.collect::<Vec<_>>(), wanted);
    assert_eq!(groups[0]["role_name"], "node-group-1-eks-node-group-20250724035220727000000001");
}

#[test]
fn show_with_a_layout_says_whom_its_grants_reach() {
    let env = env(&nodes("\"*\""));
    let ran = show(&env, 4, &["layout.toml", "--output", "json"]);
    let ways = ran.of_type("reach");
    let told: Vec<_> = ways.iter().map(|way| (way["pods"].as_str().unwrap(), way["attached"].clone())).collect();
    assert_eq!(told, [("host-network", json!(false)), ("every", json!(false)), ("unknown", json!(false))]);
    let codes: Vec<_> = ran.of_type("finding").iter().map(|one| one["code"].as_str().unwrap().to_owned()).collect();
    assert_eq!(codes, ["grant-reaches-no-pod", "grant-to-every-pod", "grant-reach-unknown", "nodes-left-out"]);
    env.expect(0, &["apply", "--local", "--yes", "--only", "settings,grants"]);
    let ran = show(&env, 4, &["layout.toml", "--output", "json"]);
    assert!(ran.of_type("reach").iter().all(|way| way["attached"] == true), "{}", ran.stdout);
}

#[test]
fn show_fits_eighty_columns() {
    let env = env(&nodes("\"node-group-*\""));
    let ran = show(&env, 4, &["layout.toml"]);
    for line in ran.stdout.lines() {
        // Only ARNs are longer than a line, and those are never cut.
        assert!(line.chars().count() <= 80 || line.contains("arn:aws:"), "{line}");
    }
    insta::assert_snapshot!("cluster_show", ran.stdout);
}

#[test]
fn a_grant_by_pod_identity_reaches_its_pods_once_it_is_applied() {
    let env = env(&format!(
        "{{ pod_identity = {{ cluster = \"{CLUSTER}\", namespace = \"ml\", service_account = \"trainer\", role = \"trainer\" }} }}"
    ));
    let before = show(&env, 4, &["layout.toml", "--output", "json"]);
    assert_eq!(before.of_type("reach")[0]["pods"], "nobody");
    env.expect(0, &["apply", "--local", "--yes", "--only", "settings,grants"]);
    let after = show(&env, 0, &["layout.toml", "--output", "json"]);
    assert_eq!(after.of_type("reach")[0]["pods"], "service-account");
    assert_eq!(after.of_type("association")[0]["service_account"], "trainer");
}

#[test]
fn jobs_are_one_for_each_node_group_and_service_account() {
    let env = env(&nodes("\"node-group-*\""));
    let ran = env.expect(0, &["cluster", "job", "verify", "--image", "img:1", "--local", "--set", "a=b"]);
    assert_eq!((ran.stdout.matches("kind: Job").count(), ran.stdout.matches("kind: ConfigMap").count()), (2, 1));
    for words in [
        "eks.amazonaws.com/nodegroup: node-group-1-2025072404024606990000001e\n",
        "- \"--grant=FlyteMLS3Access\"\n",
        "- \"--set=a=b\"\n",
        "layout = \"ml-workflows\"\n",
        "readOnlyRootFilesystem: true\n",
    ] {
        assert!(ran.stdout.contains(words), "{words}\n{}", ran.stdout);
    }
    let named =
        ["cluster", "job", "verify", "--image", "img:1", "--service-account", "ml/a", "--grant", "FlyteMLS3Access"];
    let ran = env.expect(0, &named);
    assert!(ran.stdout.contains("serviceAccountName: a\n") && !ran.stdout.contains("nodeSelector"), "{}", ran.stdout);
    let wrong = env.expect(2, &["cluster", "job", "verify", "--image", "img:1", "--local", "--grant", "Flyte"]);
    assert!(wrong.stderr.contains("FlyteMLS3Access"), "{}", wrong.stderr);
    env.expect(2, &["cluster", "job", "verify", "--image", "img:1", "--service-account", "UPPER/x"]);
}

#[test]
fn a_job_for_a_sync_names_only_places_in_the_pod() {
    let env = env("");
    let job = ["cluster", "job", "sync"];
    let end = ["--image", "img:1", "--service-account", "ml/copier"];
    let ran = env.expect(0, &[&job[..], &["s3://a-lake/x/", "s3://b-lake/y/", "--shards", "3"], &end].concat());
    assert!(ran.stdout.contains("completions: 3\n") && ran.stdout.contains("\"--shard=auto/3\""), "{}", ran.stdout);
    let place = format!("layout.toml:{BUCKET}/credit-scoring/data");
    let ran = env.expect(0, &[&job[..], &["/data/x", &place, "--claim", "set"], &end].concat());
    assert!(ran.stdout.contains(&format!("\"s3://{BUCKET}/credit-scoring/data/\"")), "{}", ran.stdout);
    for wrong in [["./here", "s3://b-lake/y/"], ["/data/x", "s3://b-lake/y/"], ["/data/x", "/data/y"]] {
        env.expect(2, &[&job[..], &wrong, &end].concat());
    }
    env.expect(2, &[&job[..], &["/data/../etc", "s3://b-lake/", "--claim", "set"], &end].concat());
}

#[test]
fn flyte_values_name_the_buckets_and_say_what_is_left_open() {
    let env = TestEnv::new();
    env.expect(0, &["new", "flyte", "--set", "name=ml-flyte"]);
    let ran = env.expect(0, &["cluster", "flyte-values"]);
    let buckets = "    metadataContainer: ml-flyte-metadata\n    userDataContainer: ml-flyte-userdata\n";
    assert!(ran.stdout.contains(buckets), "{}", ran.stdout);
    assert!(ran.stderr.contains("no grant on `ml-flyte-userdata` names a service account"), "{}", ran.stderr);
}

#[test]
fn pods_of_an_indexed_job_share_a_sync() {
    let mut env = TestEnv::new();
    env.write("layout.toml", format!("version = 1\n[[bucket]]\nname = \"{BUCKET}\"\n"));
    env.expect(0, &["apply", "--local", "--yes", "--only", "settings"]);
    for number in 0..40 {
        env.write(&format!("data/f{number:02}"), format!("content {number}"));
    }
    let target = format!("s3://{BUCKET}/data/");
    let sync = ["sync", "data", &target, "--local", "--output", "json", "--shard", "auto/3"];
    env.expect(2, &sync);
    let mut sent: Vec<String> = Vec::new();
    for index in ["0", "1", "2"] {
        env.set("JOB_COMPLETION_INDEX", index);
        let ran = env.expect(0, &sync);
        let targets = ran.of_type("action").into_iter().map(|action| action["target"].as_str().unwrap().to_owned());
        let targets: Vec<String> = targets.collect();
        assert!(!targets.is_empty() && targets.iter().all(|one| !sent.contains(one)), "each file once");
        sent.extend(targets);
    }
    assert_eq!(sent.len(), 40);
    env.set("JOB_COMPLETION_INDEX", "3");
    env.expect(2, &sync);
    let whole = env.expect(0, &["sync", "data", &target, "--local", "--output", "json"]);
    assert_eq!(whole.summary()["unchanged"], 40);
}

#[test]
fn a_pod_tries_as_itself_what_the_grants_give() {
    let env = env("{ role = \"trainer\" }");
    env.expect(0, &["apply", "--local", "--yes", "--only", "settings,grants"]);
    let verify = ["verify", "--local", "--as", "trainer", "--access", "--as-caller", "--grant", "FlyteMLS3Access"];
    let ran = env.expect(3, &[&verify[..], &["--output", "json"]].concat());
    let cells = ran.of_type("cell");
    let is_held = |cell: &&Value| cell["expected"] == cell["observed"];
    assert!(cells.iter().filter(is_held).count() >= 20, "{}", ran.stdout);
    let others: Vec<_> = cells.iter().filter(|cell| !is_held(cell)).map(|cell| &cell["observed"]).collect();
    assert_eq!(others, ["not-tried"], "nobody could put an object at the root, so none can be deleted");
    // Nobody may delete under `data`, and a pod has nobody else to ask.
    let left = ran.of_type("finding");
    assert!(!left.is_empty() && left.iter().all(|one| one["code"] == "probe-left"), "{}", ran.stdout);
    env.expect(0, &[&verify[..], &["--no-write"]].concat());
    env.expect(2, &["verify", "--local", "--as-caller", "--simulate"]);
}

/// What `kubectl get pods,serviceaccounts,nodes -A -o json` prints of a Flyte installation.
fn listing() -> Value {
    const ROLE: &str = "arn:aws:iam::245966534215:role/flyte-tasks";
    let variable = |name: &str, value: &str| json!({ "name": name, "value": value });
    let token = [variable("AWS_ROLE_ARN", ROLE), variable("AWS_WEB_IDENTITY_TOKEN_FILE", "/var/run/secrets/token")];
    let pod = |namespace: &str, name: &str, account: &str, node: &str, environment: &[Value]| {
        json!({
            "kind": "Pod",
            "metadata": { "namespace": namespace, "name": name, "creationTimestamp": "2026-11-01T08:00:00Z" },
            "spec": { "serviceAccountName": account, "nodeName": node, "containers": [{ "name": "main", "env": environment }] },
            "status": { "phase": "Running" },
        })
    };
    let account = |namespace: &str, name: &str, role: Option<&str>| {
        let annotations = role.map(|role| json!({ "eks.amazonaws.com/role-arn": role })).unwrap_or_default();
        json!({ "kind": "ServiceAccount", "metadata": { "namespace": namespace, "name": name, "annotations": annotations } })
    };
    let node = |name: &str, group: &str| json!({ "kind": "Node", "metadata": { "name": name, "labels": { "eks.amazonaws.com/nodegroup": group } } });
    let tasks = "flytesnacks-development";
    let keys = [variable("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"), variable("AWS_SECRET_ACCESS_KEY", "hush-hush")];
    json!({ "kind": "List", "items": [
        pod("flyte", "flytepropeller-5d9", "flytepropeller", "ip-10-0-1-7", &[]),
        pod("flyte", "minio-0", "minio", "ip-10-0-2-9", &keys),
        pod(tasks, "a7x-n0-0", "default", "ip-10-0-1-7", &token),
        pod(tasks, "a7x-n1-0", "default", "ip-10-0-2-9", &token),
        pod(tasks, "a6w-n0-0", "default", "ip-10-0-2-9", &[]),
        account("flyte", "flytepropeller", None),
        account("flyte", "minio", None),
        account(tasks, "default", Some(ROLE)),
        node("ip-10-0-1-7", "node-group-1-2025072404024606990000001e"),
        node("ip-10-0-2-9", "node-group-2-2025072404024606990000001f"),
    ] })
}

#[test]
fn identities_tell_as_whom_each_pod_asks() {
    let env = env("");
    env.write("pods.json", listing().to_string());
    let words = ["cluster", "identities", "pods.json", "--cluster", CLUSTER, "--local"];
    let ran = env.expect(4, &[&words[..], &["--output", "json"]].concat());
    for line in ran.stdout.lines() {
        serde_json::from_str::<Line>(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    }
    let pods = ran.of_type("pod-identity");
    let told = pods.iter().map(|one| [&one["pod"], &one["source"]].map(|field| field.as_str().unwrap()));
    let wanted = [
        ["flytepropeller-5d9", "nobody"],
        ["minio-0", "keys"],
        ["a6w-n0-0", "node-role"],
        ["a7x-n0-0", "irsa"],
        ["a7x-n1-0", "irsa"],
    ];
    assert_eq!(told.collect::<Vec<_>>(), wanted);
    let codes = ran.of_type("finding");
    let codes: Vec<_> = codes.iter().map(|one| one["code"].as_str().unwrap()).collect();
    assert_eq!(codes, ["pod-has-keys", "pod-older-than-its-role"]);
    let human = env.expect(4, &words);
    assert!(!format!("{}{}{}", ran.stdout, human.stdout, human.stderr).contains("hush-hush"));
    insta::assert_snapshot!("cluster_identities", human.stdout);
    let one = ["cluster", "identities", "pods.json", "--namespace", "flytesnacks-development", "--output", "json"];
    assert_eq!(env.expect(4, &one).of_type("pod-identity").len(), 3);
    env.write("other.json", "{\"kind\":\"Deployment\"}");
    env.expect(2, &["cluster", "identities", "other.json"]);
    env.write("broken.json", "{\"kind\":");
    env.expect(2, &["cluster", "identities", "broken.json"]);
}

#[test]
fn the_page_shows_what_is_printed() {
    let env = env(&nodes("\"node-group-*\""));
    let page = include_str!("../../docs/cluster.md");
    shown(page, "Who gets what", &show(&env, 4, &["layout.toml"]));
    env.write("pods.json", listing().to_string());
    let ran = env.expect(4, &["cluster", "identities", "pods.json", "--cluster", CLUSTER, "--local"]);
    shown(page, "As whom pods ask", &ran);
}

const NETWORK: &str = "\
account = \"245966534215\"
[[cluster]]
name = \"education-eks-vV8VCAqw\"
vpc = \"vpc-1\"
subnets = [\"subnet-a\", \"subnet-b\"]
[[cluster.node_group]]
name = \"node-group-2\"
role = \"node-2\"
hop_limit = 2
[[cluster.route_table]]
id = \"rtb-main\"
main = true
way_out = \"nat-1\"
[[cluster.route_table]]
id = \"rtb-b\"
subnets = [\"subnet-b\"]
";

#[test]
fn the_way_to_s3_is_told_and_what_makes_it() {
    let env = env(&nodes("\"node-group-*\""));
    let directory = ".bucketwright/local/directory/directory.toml";
    let endpoint = |more: &str| format!("{NETWORK}[[cluster.vpc_endpoint]]\nid = \"vpce-1\"\n{more}\n");
    let check = |text: &str, code: i32, wanted: &[&str], fix: &str| {
        env.write(directory, text);
        let ran = show(&env, code, &["layout.toml", "--output", "json"]);
        let found: Vec<Value> =
            ran.of_type("finding").into_iter().filter(|one| one["code"] != "grant-to-every-pod").collect();
        assert_eq!(found.iter().map(|one| one["code"].as_str().unwrap()).collect::<Vec<_>>(), wanted, "{}", ran.stdout);
        assert!(
            found.is_empty() || found.iter().any(|one| one["fix"].as_str().unwrap().contains(fix)),
            "{fix}: {found:?}"
        );
        ran.of_type("vpc-endpoint")
    };
    let create = "create-vpc-endpoint --region us-east-1 --vpc-id vpc-1 --service-name com.amazonaws.us-east-1.s3 \
                  --route-table-ids rtb-b rtb-main";
    check(NETWORK, 0, &["no-way-to-s3", "no-s3-gateway"], create);
    let add = "modify-vpc-endpoint --region us-east-1 --vpc-endpoint-id vpce-1 --add-route-table-ids rtb-b";
    check(&endpoint("route_tables = [\"rtb-main\"]"), 0, &["no-way-to-s3"], add);
    let whole = check(&endpoint("route_tables = [\"rtb-main\", \"rtb-b\"]"), 0, &[], "");
    assert_eq!((&whole[0]["policy"], &whole[0]["subnets"]), (&json!("everything"), &json!(["subnet-a", "subnet-b"])));
    let narrow =
        r#"policy = '{"Statement": [{"Effect": "Allow", "Principal": "*", "Action": "s3:Get*", "Resource": "*"}]}'"#;
    let narrow = endpoint(&format!("route_tables = [\"rtb-main\", \"rtb-b\"]\n{narrow}"));
    check(&narrow, 4, &["endpoint-policy"], "allow the grant's actions");
    // The account that the directory names is the endpoint's, also where no layout says so.
    let ran = show(&env, 0, &["--output", "json"]);
    assert_eq!(ran.of_type("cluster")[0]["arn"], format!("arn:aws:eks:us-east-1:245966534215:cluster/{CLUSTER}"));
}
