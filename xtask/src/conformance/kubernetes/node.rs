//! A node without containers: it takes the pods that are meant for it, runs our binary for each as a process with the pod's
//! arguments, environment and mounts, and the credentials of the role that EKS would give to it, and tells the API server
//! what became of them.
#![expect(clippy::disallowed_methods, reason = "what a pod mounts and says is files")]

use super::super::endpoint::free_port;
use super::kubelet::Kubelet;
use super::plane::{Api, Plane};
use anyhow::{Context as _, Result};
use bucketwright::cluster::job::NODE_GROUP_LABEL;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// The annotation by which IRSA finds a role.
const ROLE_ANNOTATION: &str = "eks.amazonaws.com/role-arn";

/// How long it waits before it looks again.
const PAUSE: Duration = Duration::from_millis(100);

/// What a node is.
pub(super) struct Made {
    /// Its name.
    pub(super) name: String,
    /// The node group whose label it has.
    pub(super) group: String,
    /// The role of its pods that have no other.
    pub(super) role: String,
    /// The environment of somebody with a role, by the role's name.
    pub(super) environments: BTreeMap<String, Vec<(OsString, OsString)>>,
    /// The program that every image holds.
    pub(super) program: PathBuf,
    /// Where pods have their files.
    pub(super) folder: PathBuf,
}

/// A running node, which ends with its owner.
pub(super) struct Node {
    ends: Arc<AtomicBool>,
    worker: Option<JoinHandle<()>>,
    _kubelet: Kubelet,
}

impl Drop for Node {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        if let Some(worker) = self.worker.take() {
            let _ = worker.join();
        }
    }
}

/// A pod's process.
struct Running {
    path: String,
    child: Child,
    container: Value,
    began: Timestamp,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Node {
    /// Registers the node and starts it.
    pub(super) fn start(plane: &Plane, made: Made) -> Result<Self> {
        fs::create_dir_all(&made.folder)?;
        let port = free_port()?;
        let kubelet = Kubelet::start(port, &plane.certificate(), &made.folder)?;
        let labels = json!({ NODE_GROUP_LABEL: made.group, "kubernetes.io/hostname": made.name });
        let ready = json!({
            "type": "Ready", "status": "True", "reason": "KubeletReady", "message": "",
            "lastHeartbeatTime": now(), "lastTransitionTime": now(),
        });
        let node = json!({
            "apiVersion": "v1", "kind": "Node",
            "metadata": { "name": made.name, "labels": labels },
            "status": {
                "addresses": [{ "type": "InternalIP", "address": "127.0.0.1" }],
                "daemonEndpoints": { "kubeletEndpoint": { "Port": port } },
                "conditions": [ready],
            },
        });
        plane.api.post("/api/v1/nodes", &node)?;
        let ends = Arc::new(AtomicBool::new(false));
        let (api, is_over) = (plane.api.clone(), Arc::clone(&ends));
        let worker = thread::spawn(move || work(&api, &made, &is_over));
        Ok(Self { ends, worker: Some(worker), _kubelet: kubelet })
    }
}

/// The file that keeps what a container said.
pub(super) fn log(folder: &Path, namespace: &str, pod: &str, container: &str) -> PathBuf {
    folder.join(format!("{namespace}_{pod}")).join(format!("{container}.log"))
}

/// The file that says that a container said all.
pub(super) fn ended(log: &Path) -> PathBuf {
    log.with_extension("ended")
}

fn now() -> String {
    Timestamp::now().to_string()
}

fn text<'value>(value: &'value Value, pointer: &str) -> &'value str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn path(pod: &Value) -> String {
    format!("/api/v1/namespaces/{}/pods/{}", text(pod, "/metadata/namespace"), text(pod, "/metadata/name"))
}

/// Looks again and again, until it is to end. What goes wrong is said, and tried again.
fn work(api: &Api, made: &Made, is_over: &AtomicBool) {
    let mut running: Vec<Running> = Vec::new();
    let mut taken = BTreeSet::new();
    while !is_over.load(Ordering::Relaxed) {
        if let Err(error) = look(api, made, &mut taken, &mut running) {
            println!("node {}: {error:#}", made.name);
        }
        thread::sleep(PAUSE);
    }
}

fn look(api: &Api, made: &Made, taken: &mut BTreeSet<String>, running: &mut Vec<Running>) -> Result<()> {
    for pod in api.list("/api/v1/pods")? {
        let path = path(&pod);
        let wanted = pod.pointer("/spec/nodeSelector").and_then(Value::as_object);
        let fits = wanted
            .is_none_or(|labels| labels.iter().all(|(name, value)| name == NODE_GROUP_LABEL && *value == made.group));
        match text(&pod, "/spec/nodeName") {
            "" if fits => {
                let target = json!({ "apiVersion": "v1", "kind": "Node", "name": made.name });
                let name = text(&pod, "/metadata/name");
                let binding =
                    json!({ "apiVersion": "v1", "kind": "Binding", "metadata": { "name": name }, "target": target });
                api.post(&format!("{path}/binding"), &binding)?;
            }
            node if node == made.name => {
                if pod["metadata"].get("deletionTimestamp").is_some() {
                    running.retain(|one| one.path != path);
                    api.delete(&path)?;
                } else if taken.insert(text(&pod, "/metadata/uid").to_owned()) {
                    running.push(start(api, made, &pod)?);
                }
            }
            _ => {}
        }
    }
    let mut index = 0;
    while let Some(one) = running.get_mut(index) {
        match one.child.try_wait()? {
            None => index += 1,
            Some(status) => {
                let code = status.code().unwrap_or(137);
                end(api, &running.remove(index), code, made)?;
            }
        }
    }
    Ok(())
}

/// Starts what the pod's only container says.
fn start(api: &Api, made: &Made, pod: &Value) -> Result<Running> {
    let path = path(pod);
    let container = pod.pointer("/spec/containers/0").context("a pod without containers")?;
    let (namespace, name) = (text(pod, "/metadata/namespace"), text(pod, "/metadata/name"));
    let log = log(&made.folder, namespace, name, text(container, "/name"));
    let home = log.parent().context("no folder")?.to_owned();
    fs::create_dir_all(&home)?;
    let mounts = mounts(api, pod, container, &home)?;
    let role = role(api, made, pod)?;
    let mut command = Command::new(&made.program);
    command.env_clear().stdin(Stdio::null()).current_dir(&home);
    command
        .envs(made.environments.get(&role).with_context(|| format!("no credentials of role {role}"))?.iter().cloned());
    for variable in container["env"].as_array().into_iter().flatten() {
        command.env(text(variable, "/name"), mounted(&mounts, text(variable, "/value")));
    }
    let words = container["args"].as_array().into_iter().flatten().filter_map(Value::as_str);
    command.args(words.map(|word| mounted(&mounts, word)));
    let output = File::create(&log)?;
    command.stdout(output.try_clone()?).stderr(output);
    let child = command.spawn().with_context(|| format!("cannot run {}", made.program.display()))?;
    let began = Timestamp::now();
    let running = Running { path, child, container: container.clone(), began };
    report(api, &running, "Running", &json!({ "running": { "startedAt": began.to_string() } }))?;
    Ok(running)
}

fn end(api: &Api, running: &Running, code: i32, made: &Made) -> Result<()> {
    let mut parts = running.path.split('/').skip(4);
    let (namespace, name) = (parts.next().unwrap_or_default(), parts.nth(1).unwrap_or_default());
    fs::write(ended(&log(&made.folder, namespace, name, text(&running.container, "/name"))), "")?;
    let (phase, reason) = if code == 0 { ("Succeeded", "Completed") } else { ("Failed", "Error") };
    let times = (running.began.to_string(), now());
    let terminated = json!({ "exitCode": code, "reason": reason, "startedAt": times.0, "finishedAt": times.1 });
    report(api, running, phase, &json!({ "terminated": terminated }))
}

/// Tells the API server how a pod is.
fn report(api: &Api, running: &Running, phase: &str, state: &Value) -> Result<()> {
    let is_ready = phase == "Running";
    let container = json!({
        "name": running.container["name"], "image": running.container["image"], "imageID": "", "restartCount": 0,
        "ready": is_ready, "started": is_ready, "state": state, "containerID": format!("process://{}", running.child.id()),
    });
    let ready = json!({ "type": "Ready", "status": if is_ready { "True" } else { "False" } });
    let status = json!({
        "phase": phase, "startTime": running.began.to_string(), "hostIP": "127.0.0.1", "podIP": "127.0.0.1",
        "conditions": [ready], "containerStatuses": [container],
    });
    api.merge(&format!("{}/status", running.path), &json!({ "status": status }))
}

/// The role of a pod: by its service account's annotation, else of its node.
fn role(api: &Api, made: &Made, pod: &Value) -> Result<String> {
    let account = text(pod, "/spec/serviceAccountName");
    let account =
        api.get(&format!("/api/v1/namespaces/{}/serviceaccounts/{account}", text(pod, "/metadata/namespace")))?;
    let arn = account["metadata"]["annotations"][ROLE_ANNOTATION].as_str();
    Ok(arn.and_then(|arn| arn.rsplit('/').next()).unwrap_or(&made.role).to_owned())
}

/// The folders that stand for what is mounted in the container, by their paths there.
fn mounts(api: &Api, pod: &Value, container: &Value, home: &Path) -> Result<Vec<(String, PathBuf)>> {
    let volumes = pod.pointer("/spec/volumes").and_then(Value::as_array).cloned().unwrap_or_default();
    let mut mounts = Vec::new();
    for mount in container["volumeMounts"].as_array().into_iter().flatten() {
        let name = text(mount, "/name");
        let folder = home.join(name);
        fs::create_dir_all(&folder)?;
        let volume = volumes.iter().find(|volume| volume["name"] == name).context("a mount of no volume")?;
        if let Some(config) = volume.pointer("/configMap/name").and_then(Value::as_str) {
            let namespace = text(pod, "/metadata/namespace");
            let config = api.get(&format!("/api/v1/namespaces/{namespace}/configmaps/{config}"))?;
            for (file, content) in config["data"].as_object().into_iter().flatten() {
                fs::write(folder.join(file), content.as_str().unwrap_or_default())?;
            }
        }
        mounts.push((text(mount, "/mountPath").to_owned(), folder));
    }
    Ok(mounts)
}

/// A word in which a path of the container is one here.
fn mounted(mounts: &[(String, PathBuf)], word: &str) -> String {
    let found = mounts.iter().find_map(|(inside, folder)| {
        let rest = word.strip_prefix(inside)?;
        (rest.is_empty() || rest.starts_with('/')).then(|| format!("{}{rest}", folder.display()))
    });
    found.unwrap_or_else(|| word.to_owned())
}
