//! Jobs in a cluster with the API server of Kubernetes itself: it takes the printed manifests, its Job controller makes pods
//! of them, a node runs them as the role that EKS would give, and `kubectl` reads the matrix.
#![expect(clippy::disallowed_methods, reason = "layouts and policies are files")]

pub(crate) mod applied;
mod kubelet;
mod node;
mod plane;
mod programs;

use super::endpoint::{Endpoint, embedded, embedded_as};
use super::lab::{Lab, Ran};
use anyhow::{Context as _, Result, bail, ensure};
use node::{Made, Node};
use plane::Plane;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

/// No Job takes longer, unless it hangs.
const JOB_LIMIT: Duration = Duration::from_secs(120);

/// A grant to a service account, and one to the nodes of a group.
const LAYOUT: &str = r#"
version = 1
layout = "ml-workflows"
[template.plain]
folders = [{ path = "data", access = "read-write" }]
[[bucket]]
name = "ml-lake"
template = "plain"
projects = ["credit", "fraud"]
waive = { access-log = "kept short" }
[[grant]]
policy = "TasksTrain"
access = "read-write"
on = ["ml-lake/credit"]
attach = [{ irsa = { cluster = "lab", namespace = "flyte", service_account = "tasks", role = "flyte-tasks" } }]
[[grant]]
policy = "NodesTrain"
access = "read-write"
on = ["ml-lake/fraud"]
attach = [{ eks_cluster = "lab", node_groups = ["gpu"] }]
"#;

const CLUSTER: &str = r#"
[[cluster]]
name = "lab"
version = "1.20"
oidc_issuer = "https://oidc.eks.us-east-1.amazonaws.com/id/0000000000000001"
[[cluster.node_group]]
name = "gpu"
role = "gpu-nodes"
hop_limit = 2
"#;

/// A pod that no restricted namespace takes.
const PRIVILEGED: &str = r#"{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "privileged", "namespace": "ml"},
    "spec": {"automountServiceAccountToken": false,
        "containers": [{"name": "a", "image": "a", "securityContext": {"privileged": true}}]}}"#;

/// An account with the layout applied, and a cluster with a node whose pods have the roles of that account.
struct Cluster<'lab> {
    lab: &'lab Lab,
    // Dropped in this order: the node before the API server that it speaks to and the accounts of its pods.
    _node: Node,
    plane: Plane,
    _roles: Vec<Endpoint>,
    _account: Endpoint,
}

impl<'lab> Cluster<'lab> {
    fn start(lab: &'lab Lab) -> Result<Self> {
        let programs = programs::programs(lab)?;
        let folder = lab.path("local");
        fs::create_dir_all(folder.join("directory/roles"))?;
        fs::write(folder.join("directory/directory.toml"), CLUSTER)?;
        fs::write(folder.join("directory/roles/gpu-nodes.json"), "{}")?;
        fs::write(lab.path("layout.toml"), LAYOUT)?;
        lab.expect(lab.bucketwright().args(["apply", "layout.toml", "--local=local", "--yes"]))?;
        let account = embedded(lab, &folder)?;
        let (mut roles, mut environments) = (Vec::new(), BTreeMap::new());
        for role in ["flyte-tasks", "gpu-nodes"] {
            let endpoint = embedded_as(lab, &folder, Some(role))?;
            environments.insert(role.to_owned(), endpoint.environment(lab));
            roles.push(endpoint);
        }
        let plane = Plane::start(lab, &programs)?;
        let made = Made {
            name: "gpu-1".to_owned(),
            group: "gpu".to_owned(),
            role: "gpu-nodes".to_owned(),
            environments,
            program: lab.root.join("target/debug/bucketwright"),
            folder: lab.path("pods"),
        };
        let node = Node::start(&plane, made)?;
        let cluster = Self { lab, _node: node, plane, _roles: roles, _account: account };
        cluster.kubectl(&["apply", "-f", &lab.root.join("xtask/conformance/kubernetes.yaml").to_string_lossy()])?;
        // No pod is taken before its namespace has a service account.
        cluster.until("default service accounts", || {
            let there = |namespace: &str| {
                cluster.plane.api.get(&format!("/api/v1/namespaces/{namespace}/serviceaccounts/default")).is_ok()
            };
            Ok(["flyte", "ml"].into_iter().all(there).then_some(()))
        })?;
        Ok(cluster)
    }

    fn kubectl(&self, words: &[&str]) -> Result<String> {
        self.lab.expect(self.plane.kubectl(self.lab).args(words))
    }

    /// Our program as whoever sits before the cluster, who needs no rights in the account to print a manifest.
    fn ours(&self, words: &[&str]) -> Result<Ran> {
        self.lab.run(self.lab.bucketwright().args(words))
    }

    /// Asks until there is an answer.
    fn until<T>(&self, what: &str, ask: impl Fn() -> Result<Option<T>>) -> Result<T> {
        let began = Instant::now();
        while began.elapsed() < JOB_LIMIT {
            if let Some(answer) = ask()? {
                return Ok(answer);
            }
            thread::sleep(Duration::from_millis(100));
        }
        bail!("no {what} after {} s; the logs are in `{}`", JOB_LIMIT.as_secs(), self.lab.path("").display())
    }

    /// Prints the layout's Jobs into a file, and applies it. They are that of the service account and that of the nodes.
    fn printed(&self, file: &str, options: &[&str]) -> Result<[Job; 2]> {
        let words = ["cluster", "job", "verify", "layout.toml", "--image", "img:1", "--namespace", "ml"];
        fs::write(self.lab.path(file), self.ours(&[&words[..], options].concat())?.exit(0)?.stdout)?;
        let dry = self.kubectl(&["apply", "--dry-run=server", "-f", file])?;
        ensure!(dry.matches("(server dry run)").count() == 4, "{dry}");
        self.kubectl(&["apply", "-f", file])?;
        let names = self.kubectl(&["get", "-f", file, "-o", "name", "--no-headers"])?;
        let names: Vec<&str> = names.lines().filter_map(|line| line.strip_prefix("job.batch/")).collect();
        let [tasks, nodes] = names.as_slice() else { bail!("{file} has the Jobs {names:?}") };
        let job = |namespace: &str, name: &str| Job { namespace: namespace.to_owned(), name: name.to_owned() };
        Ok([job("flyte", tasks), job("ml", nodes)])
    }

    /// Waits until a Job is over.
    fn over(&self, job: &Job) -> Result<Done> {
        let path = format!("/apis/batch/v1/namespaces/{}/jobs/{}", job.namespace, job.name);
        let (uid, condition) = self.until(&format!("end of job {}", job.name), || {
            let found = self.plane.api.get(&path)?;
            let conditions = found["status"]["conditions"].as_array().cloned().unwrap_or_default();
            let over = conditions.iter().find(|one| one["status"] == "True");
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            Ok(over.map(|one| (text(&found["metadata"]["uid"]), text(&one["type"]))))
        })?;
        let path = format!("/api/v1/namespaces/{}/pods?labelSelector=controller-uid={uid}", job.namespace);
        let pods = self.plane.api.list(&path)?;
        let [pod] = pods.as_slice() else { bail!("{} pods of job {}", pods.len(), job.name) };
        let by = &pod["metadata"]["annotations"]["kubernetes.io/psp"];
        ensure!(by == "restricted", "the pod was let in by {by}");
        let exit = &pod["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"];
        let log = self.kubectl(&["logs", "--namespace", &job.namespace, &format!("job/{}", job.name)])?;
        let lines: Vec<Value> = log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        let summary = lines.last().filter(|line| line["type"] == "summary" && line["exit"] == *exit);
        ensure!(summary.is_some(), "the pod's exit code is {exit}, and the log is\n{log}");
        let cells = lines.into_iter().filter(|line| line["type"] == "cell").collect();
        Ok(Done { condition, exit: exit.as_i64().context("no exit code")?, cells })
    }
}

/// What became of a Job.
#[derive(Debug)]
struct Done {
    /// `Complete` or `Failed`.
    condition: String,
    /// How its pod's program ended.
    exit: i64,
    /// The matrix in its log.
    cells: Vec<Value>,
}

impl Done {
    /// The cells whose answer is not the expected one.
    fn wrong(&self) -> Vec<&Value> {
        self.tried().filter(|cell| cell["expected"] != cell["observed"]).collect()
    }

    fn tried(&self) -> impl Iterator<Item = &Value> {
        self.cells.iter().filter(|cell| cell["observed"] != "not-tried")
    }

    /// The operations of cells that were not tried.
    fn open(&self) -> BTreeSet<&str> {
        let open = self.cells.iter().filter(|cell| cell["observed"] == "not-tried");
        open.filter_map(|cell| cell["operation"].as_str()).collect()
    }

    /// How many tries were allowed, and how many denied.
    fn counts(&self) -> (usize, usize) {
        let allowed = self.tried().filter(|cell| cell["observed"] == "allow").count();
        (allowed, self.tried().count() - allowed)
    }
}

/// A Job of a manifest.
#[derive(Debug)]
struct Job {
    namespace: String,
    name: String,
}

/// `cluster job verify | kubectl apply`: accepted, run, read; and a broken policy is seen.
pub(crate) fn apiserver(lab: &Lab) -> Result<()> {
    let cluster = Cluster::start(lab)?;
    refused(&cluster)?;
    for job in cluster.printed("reads.yaml", &["--no-write"])? {
        let done = cluster.over(&job)?;
        ensure!(done.condition == "Complete" && done.exit == 0 && done.wrong().is_empty(), "{done:#?}");
        ensure!(done.open() == BTreeSet::from(["delete", "multipart", "put"]), "{:?} is not tried", done.open());
        let (allowed, denied) = done.counts();
        ensure!(allowed > 2 && denied > 2, "{allowed} cells are allowed, {denied} denied");
        println!("{}/{}: {allowed} cells allowed, {denied} denied, as expected", job.namespace, job.name);
    }
    // The same again changes nothing.
    let again = cluster.kubectl(&["apply", "-f", "reads.yaml"])?;
    ensure!(again.lines().all(|line| line.ends_with(" unchanged")), "{again}");
    // A pod may put its probes away, but not their versions, and cannot put what it then may not delete.
    let writes = cluster.printed("writes.yaml", &[])?;
    for job in &writes {
        let done = cluster.over(job)?;
        ensure!(done.condition == "Failed" && done.exit == 3 && done.wrong().is_empty(), "{done:#?}");
        ensure!(done.open() == BTreeSet::from(["delete"]), "{:?} is not tried", done.open());
        let (allowed, denied) = done.counts();
        ensure!(allowed > 6 && denied > 6, "{allowed} cells are allowed, {denied} denied");
        println!("{}/{}: {allowed} cells allowed, {denied} denied, as expected", job.namespace, job.name);
    }
    broken(&cluster, &writes[0])
}

/// The server takes the manifests, and refuses what is not restricted.
fn refused(cluster: &Cluster<'_>) -> Result<()> {
    let sync = ["sync", "s3://ml-lake/credit/", "s3://ml-lake/copy/", "--shards", "3", "--image", "img:1"];
    let sync = [&["cluster", "job"][..], &sync, &["--service-account", "flyte/tasks"]].concat();
    fs::write(cluster.lab.path("sync.yaml"), cluster.ours(&sync)?.exit(0)?.stdout)?;
    // Kubernetes 1.20 does not know Indexed Jobs yet; it takes the rest.
    let dry = cluster.kubectl(&["apply", "--dry-run=server", "--validate=false", "-f", "sync.yaml"])?;
    ensure!(dry.contains("created (server dry run)"), "{dry}");
    fs::write(cluster.lab.path("privileged.json"), PRIVILEGED)?;
    let mut command = cluster.plane.kubectl(cluster.lab);
    let ran = cluster.lab.run(command.args(["apply", "--dry-run=server", "-f", "privileged.json"]))?;
    ensure!(!ran.status.success() && ran.stderr.contains("PodSecurityPolicy"), "a privileged pod is let in:\n{ran}");
    Ok(())
}

/// A policy that lost the right to put: the pod exits 4 and says which cells, and the Job is failed.
fn broken(cluster: &Cluster<'_>, job: &Job) -> Result<()> {
    take_put(cluster.lab)?;
    cluster.kubectl(&["delete", "job", "--namespace", &job.namespace, &job.name])?;
    // The collector takes the pods of the Job that is gone, whose log would be read for the new one's.
    cluster.until("end of the pods of a deleted Job", || {
        let path = format!("/api/v1/namespaces/{}/pods?labelSelector=job-name={}", job.namespace, job.name);
        Ok(cluster.plane.api.list(&path)?.is_empty().then_some(()))
    })?;
    cluster.kubectl(&["apply", "-f", "writes.yaml"])?;
    let done = cluster.over(job)?;
    ensure!(done.condition == "Failed" && done.exit == 4, "{done:#?}");
    let is_put = |cell: &&Value| cell["operation"] == "put" && cell["observed"] == "deny";
    ensure!(done.wrong().iter().any(is_put), "put is denied, and seen is {:#?}", done.wrong());
    Ok(())
}

/// Takes the right to put from the service account's policy.
fn take_put(lab: &Lab) -> Result<()> {
    let policy = lab.path("local/directory/policies/TasksTrain.json");
    let text = fs::read_to_string(&policy)?;
    ensure!(text.contains("\"s3:PutObject\""), "{text}");
    Ok(fs::write(&policy, text.replace("\"s3:PutObject\"", "\"s3:GetObjectAcl\""))?)
}
