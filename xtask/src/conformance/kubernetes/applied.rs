//! What the program does in a cluster itself: it runs Jobs and reads their matrices back, tells as whom pods ask, and names
//! the rule that is missing where it may not.
#![expect(clippy::disallowed_methods, reason = "manifests and documents are files")]

use super::super::lab::{Lab, Ran};
use super::{Cluster, take_put};
use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;

/// Who asks: nobody but a user with the rights that the manual names.
const USER: &str = "guest";

/// What EKS puts into the pods of an annotated service account.
const IRSA: [(&str, &str); 2] = [
    ("AWS_ROLE_ARN", "arn:aws:iam::000000000000:role/flyte-tasks"),
    ("AWS_WEB_IDENTITY_TOKEN_FILE", "/var/run/secrets/token"),
];

/// `cluster job verify --apply`, by a user who is given the rights of the manual: all as expected, a part left open, and a
/// policy broken.
pub(crate) fn jobs(lab: &Lab) -> Result<()> {
    let cluster = Cluster::start(lab)?;
    let verify = |code: i32, options: &[&str]| {
        let words = ["cluster", "job", "verify", "layout.toml", "--image", "img:1", "--namespace", "ml"];
        ours(&cluster, code, &[&words[..], &["--apply", "--yes"], options].concat())
    };
    missing(&verify(1, &["--no-write"])?, "get", "configmaps")?;
    grant(&cluster)?;
    for actions in [&["create-config-map", "create-job"][..], &["create-job", "delete-job"]] {
        let lines = verify(0, &["--no-write"])?;
        let done = of_type(&lines, "action").filter_map(|line| line["action"].as_str());
        let done: BTreeSet<&str> = done.collect();
        ensure!(done == actions.iter().copied().collect(), "it does {done:?}");
        let cells = compared(&lines)?;
        ensure!(cells.iter().all(|cell| cell["expected"] == cell["observed"]), "{cells:#?}");
    }
    // The Jobs of nodes are in the namespace `default` then.
    let words = ["verify", "layout.toml", "--access", "--in-cluster", "--image", "img:1", "--no-write", "--yes"];
    compared(&ours(&cluster, 0, &words)?)?;
    let cells = compared(&verify(3, &[])?)?;
    ensure!(cells.iter().all(|cell| cell["expected"] == cell["observed"]), "{cells:#?}");
    take_put(lab)?;
    let cells = compared(&verify(4, &[])?)?;
    let wrong: Vec<&Value> = cells.iter().filter(|cell| cell["expected"] != cell["observed"]).collect();
    let meant = |cell: &&Value| cell["principal"].as_str().is_some_and(|who| who.contains("flyte/tasks"));
    ensure!(
        wrong.iter().any(|cell| cell["operation"] == "put") && wrong.iter().all(meant),
        "put is taken away, and seen is {wrong:#?}"
    );
    Ok(())
}

/// `cluster identities` of the API server, which is that of kubectl's listing.
pub(crate) fn identities(lab: &Lab) -> Result<()> {
    let cluster = Cluster::start(lab)?;
    let keys = [("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"), ("AWS_SECRET_ACCESS_KEY", "only-here")];
    let serve = ["serve", "--local", "--port", "0"];
    let pods = [
        pod("flyte/tasks", "worker", &IRSA, &serve),
        pod("ml/default", "minio", &keys, &serve),
        pod("ml/default", "plain", &[], &serve),
    ];
    make(&cluster, &pods, "Running")?;
    let listed = cluster.kubectl(&["get", "pods,serviceaccounts,nodes", "--all-namespaces", "-o", "json"])?;
    fs::write(lab.path("listing.json"), listed)?;
    let admin = cluster.plane.kubeconfig("admin").display().to_string();
    let live = run(&cluster, 4, &["cluster", "identities", "--kubeconfig", &admin])?;
    let read = run(&cluster, 4, &["cluster", "identities", "listing.json"])?;
    let told = |lines: &[Value]| lines.iter().filter(|line| line["type"] != "summary").cloned().collect::<Vec<_>>();
    ensure!(told(&live) == told(&read), "the API server: {live:#?}\nthe listing: {read:#?}");
    let sources = live.iter().filter_map(|line| Some((line["pod"].as_str()?, line["source"].as_str()?)));
    let sources: BTreeSet<(&str, &str)> = sources.collect();
    let wanted = [("minio", "keys"), ("plain", "unknown"), ("worker", "irsa")];
    ensure!(sources == BTreeSet::from(wanted), "{sources:?}");
    missing(&ours(&cluster, 1, &["cluster", "identities"])?, "list", "pods")
}

/// `doctor --pod`: the refusal in the log of a pod that asks for a folder of others, and a pod that was refused nothing.
pub(crate) fn doctor(lab: &Lab) -> Result<()> {
    let cluster = Cluster::start(lab)?;
    let refused = pod("flyte/tasks", "refused", &IRSA, &["sync", "s3://ml-lake/fraud/data/", "/tmp"]);
    make(&cluster, &[refused], "Failed")?;
    make(&cluster, &[pod("flyte/tasks", "well", &IRSA, &["--version"])], "Succeeded")?;
    let doctor = |code: i32, pod: &str| ours(&cluster, code, &["doctor", "--pod", pod, "--local=local"]);
    missing(&doctor(1, "flyte/refused")?, "get", "pods")?;
    grant(&cluster)?;
    let lines = doctor(4, "flyte/refused")?;
    let one = |kind: &str| of_type(&lines, kind).next().with_context(|| format!("no {kind} in {lines:#?}"));
    let identity = one("pod-identity")?;
    ensure!(identity["source"] == "irsa" && identity["pod"] == "refused", "{identity:#}");
    ensure!(one("symptom")?.to_string().contains("flyte-tasks"), "{lines:#?}");
    ensure!(one("decision")?["decision"] == "implicit-deny", "{lines:#?}");
    let error = doctor(2, "flyte/well")?;
    ensure!(of_type(&error, "error").any(|error| error["kind"] == "no-refusal"), "{error:#?}");
    Ok(())
}

/// Runs our program as the user who has few rights.
fn ours(cluster: &Cluster<'_>, code: i32, words: &[&str]) -> Result<Vec<Value>> {
    let kubeconfig = cluster.plane.kubeconfig(USER).display().to_string();
    run(cluster, code, &[words, &["--kubeconfig", &kubeconfig]].concat())
}

fn run(cluster: &Cluster<'_>, code: i32, words: &[&str]) -> Result<Vec<Value>> {
    let ran: Ran = cluster.ours(&[words, &["--output", "json"]].concat())?.exit(code)?;
    ran.stdout.lines().map(|line| serde_json::from_str(line).with_context(|| format!("no JSON: {line}"))).collect()
}

fn of_type<'lines>(lines: &'lines [Value], kind: &str) -> impl Iterator<Item = &'lines Value> {
    lines.iter().filter(move |line| line["type"] == kind)
}

/// An error names what may not be done, and the rule for it.
fn missing(lines: &[Value], verb: &str, resource: &str) -> Result<()> {
    let error = of_type(lines, "error").next().context("no error")?;
    let said = error["message"].as_str().unwrap_or_default();
    let rule = format!("resources: [\"{resource}\"], verbs: [\"{verb}\"]");
    let is_named = said.contains(&format!("{verb} {resource}")) && said.contains(USER);
    let hints = error["hints"].as_array().cloned().unwrap_or_default();
    let is_told = hints.iter().any(|hint| hint.as_str().is_some_and(|hint| hint.contains(&rule)));
    ensure!(error["kind"] == "denied" && is_named && is_told, "{error:#}");
    Ok(())
}

/// Gives the user the role that stands in the manual, in each namespace.
fn grant(cluster: &Cluster<'_>) -> Result<()> {
    let manual = fs::read_to_string(cluster.lab.root.join("docs/cluster.md"))?;
    let role = manual.split("```yaml\n").find(|part| part.starts_with("apiVersion: rbac")).context("no role")?;
    let role = role.split("```").next().unwrap_or_default();
    for namespace in ["default", "flyte", "ml"] {
        fs::write(cluster.lab.path("role.yaml"), role.replace("NAMESPACE", namespace))?;
        cluster.kubectl(&["apply", "-f", "role.yaml"])?;
        let bind = ["create", "rolebinding", "jobs", "--role=bucketwright-jobs", &format!("--user={USER}")];
        cluster.kubectl(&[&bind[..], &["--namespace", namespace]].concat())?;
    }
    Ok(())
}

/// The cells that were tried, which must be those of both Jobs.
fn compared(lines: &[Value]) -> Result<Vec<Value>> {
    let cells = of_type(lines, "cell").filter(|cell| cell["observed"] != "not-tried").cloned();
    let cells: Vec<Value> = cells.collect();
    let who: BTreeSet<&str> = cells.iter().filter_map(|cell| cell["principal"].as_str()).collect();
    ensure!(who.len() == 2 && cells.len() > 20, "{} cells of {who:?}", cells.len());
    println!("{} cells of {who:?}", cells.len());
    Ok(cells)
}

/// Makes pods, and waits until they are all in a phase.
fn make(cluster: &Cluster<'_>, pods: &[Value], phase: &str) -> Result<()> {
    let list = json!({ "apiVersion": "v1", "kind": "List", "items": pods });
    fs::write(cluster.lab.path("pods.json"), list.to_string())?;
    cluster.kubectl(&["apply", "-f", "pods.json"])?;
    for pod in pods {
        let name = (pod["metadata"]["namespace"].as_str(), pod["metadata"]["name"].as_str());
        let (Some(namespace), Some(name)) = name else { continue };
        cluster.until(&format!("{name} that is {phase}"), || {
            let found = cluster.plane.api.get(&format!("/api/v1/namespaces/{namespace}/pods/{name}"))?;
            Ok((found["status"]["phase"] == phase).then_some(()))
        })?;
    }
    Ok(())
}

/// A restricted pod of a service account, `NAMESPACE/NAME`, that does something.
fn pod(account: &str, name: &str, environment: &[(&str, &str)], words: &[&str]) -> Value {
    let (namespace, account) = account.split_once('/').unwrap_or_default();
    let variables = environment.iter().map(|(name, value)| json!({ "name": name, "value": value }));
    let security = json!({
        "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "runAsNonRoot": true,
        "capabilities": { "drop": ["ALL"] },
    });
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": { "name": name, "namespace": namespace },
        "spec": {
            "serviceAccountName": account, "automountServiceAccountToken": false, "restartPolicy": "Never",
            "securityContext": { "runAsUser": 65532, "seccompProfile": { "type": "RuntimeDefault" } },
            "containers": [{
                "name": "main", "image": "img:1", "command": ["bucketwright"], "args": words,
                "env": variables.collect::<Vec<_>>(), "securityContext": security,
                "volumeMounts": [{ "name": "tmp", "mountPath": "/tmp" }],
            }],
            "volumes": [{ "name": "tmp", "emptyDir": {} }],
        },
    })
}
