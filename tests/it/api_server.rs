//! A small Kubernetes API server over loopback, and a node that runs the pods of Jobs as real processes of the binary.
//!
//! It keeps what it is sent, under the paths of the real one, and answers as that does: pages, selectors, conflicts,
//! refusals as `Status`, logs that go on as long as their container.
#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "what fails here fails the test")]

use crate::testenv::TestEnv;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

/// The token that its kubeconfig holds.
pub(crate) const TOKEN: &str = "token-hush-hush";

/// What a container printed.
#[derive(Default)]
struct Log {
    text: Vec<u8>,
    ended: bool,
}

/// Whom pods of a service account are, by their environment.
pub(crate) type Identities = BTreeMap<String, Vec<(String, String)>>;

/// What the cluster holds.
#[derive(Default)]
struct Store {
    objects: BTreeMap<String, Value>,
    logs: BTreeMap<String, Log>,
    /// `verb resource` that the caller may not.
    forbidden: BTreeSet<String>,
    /// Every request: method and path.
    requests: Vec<String>,
    next: u64,
    /// Whose pods may run; a Job of anybody else gets none.
    identities: Identities,
    /// How many bytes of a log are answered before the line breaks, once each.
    breaks: Vec<usize>,
}

/// The server; it ends with the test.
#[derive(Clone)]
pub(crate) struct ApiServer {
    url: String,
    store: Arc<(Mutex<Store>, Condvar)>,
}

/// One request, taken apart.
struct Request {
    method: String,
    path: String,
    query: BTreeMap<String, String>,
    authorization: String,
    body: Value,
}

/// `/api/v1/namespaces/NS/RES/NAME/SUB`
struct Place {
    namespace: Option<String>,
    resource: String,
    name: Option<String>,
    sub: Option<String>,
}

impl ApiServer {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = Self { url, store: Arc::default() };
        let serving = server.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (server, Ok(stream)) = (serving.clone(), stream) else { return };
                thread::spawn(move || server.answer(stream));
            }
        });
        server
    }

    /// Writes a kubeconfig whose context is `lab`, and points the environment to it.
    pub(crate) fn configure(&self, env: &mut TestEnv) {
        let path = env.path("home/.kube/config");
        let config = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: lab\n\
             clusters: [{{ name: lab, cluster: {{ server: '{}' }} }}]\n\
             contexts: [{{ name: lab, context: {{ cluster: lab, user: me }} }}]\n\
             users: [{{ name: me, user: {{ token: {TOKEN} }} }}]\n",
            self.url
        );
        env.write("home/.kube/config", config);
        env.set("KUBECONFIG", path.to_str().unwrap());
    }

    pub(crate) fn forbid(&self, what: &str) {
        self.store.0.lock().unwrap().forbidden.insert(what.to_owned());
    }

    pub(crate) fn break_log_after(&self, bytes: usize) {
        self.store.0.lock().unwrap().breaks.push(bytes);
    }

    /// Whose pods run, and with what in their environment.
    pub(crate) fn run_pods_of(&self, account: &str, variables: &[(String, String)]) {
        self.store.0.lock().unwrap().identities.insert(account.to_owned(), variables.to_vec());
    }

    pub(crate) fn requests(&self) -> Vec<String> {
        self.store.0.lock().unwrap().requests.clone()
    }

    pub(crate) fn object(&self, path: &str) -> Option<Value> {
        self.store.0.lock().unwrap().objects.get(path).cloned()
    }

    /// The paths of all objects of a kind.
    pub(crate) fn paths_of(&self, resource: &str) -> Vec<String> {
        let store = self.store.0.lock().unwrap();
        store.objects.keys().filter(|path| path.split('/').rev().nth(1) == Some(resource)).cloned().collect()
    }

    /// Keeps an object as if somebody had made it.
    pub(crate) fn put(&self, object: &Value) {
        let metadata = &object["metadata"];
        let resource = match object["kind"].as_str().unwrap() {
            "Pod" => "pods",
            "ServiceAccount" => "serviceaccounts",
            "Node" => "nodes",
            "Event" => "events",
            "ConfigMap" => "configmaps",
            other => panic!("{other}"),
        };
        let name = metadata["name"].as_str().unwrap();
        let path = match metadata["namespace"].as_str() {
            Some(namespace) => format!("/api/v1/namespaces/{namespace}/{resource}/{name}"),
            None => format!("/api/v1/{resource}/{name}"),
        };
        self.store.0.lock().unwrap().objects.insert(path, object.clone());
    }

    /// Keeps what a container printed; the previous one's under `NAMESPACE/POD previous`.
    pub(crate) fn put_log(&self, pod: &str, text: &str) {
        let log = Log { text: text.as_bytes().to_vec(), ended: true };
        self.store.0.lock().unwrap().logs.insert(pod.to_owned(), log);
    }

    fn answer(&self, mut stream: TcpStream) {
        let Some(request) = Request::read(&stream) else { return };
        let place = Place::of(&request.path);
        let verb = match (request.method.as_str(), &place.name) {
            ("GET", None) => "list",
            ("GET", Some(_)) => "get",
            ("POST", _) => "create",
            _ => "delete",
        };
        let kind = place.sub.iter().fold(place.resource.clone(), |kind, sub| format!("{kind}/{sub}"));
        let is_forbidden = {
            let mut store = self.store.0.lock().unwrap();
            store.requests.push(format!("{} {}", request.method, request.path));
            store.forbidden.contains(&format!("{verb} {kind}"))
        };
        let status = |code: u16, reason: &str, message: &str| {
            (code, json!({ "kind": "Status", "status": "Failure", "reason": reason, "message": message, "code": code }))
        };
        let (code, body) = if request.authorization != format!("Bearer {TOKEN}") {
            status(401, "Unauthorized", "Unauthorized")
        } else if is_forbidden {
            status(403, "Forbidden", &format!("{kind} is forbidden: User \"me\" cannot {verb} resource"))
        } else if place.sub.is_some() {
            return self.log(stream, &request, &place);
        } else {
            let (code, body) = self.act(&request, &place);
            let named = place.name.clone().or_else(|| request.body["metadata"]["name"].as_str().map(str::to_owned));
            match code {
                404 => status(404, "NotFound", &format!("{kind} \"{}\" not found", named.unwrap_or_default())),
                409 => status(409, "AlreadyExists", "already exists"),
                _ => (code, body),
            }
        };
        let body = body.to_string();
        let head = format!(
            "HTTP/1.1 {code} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
            body.len()
        );
        let _ = stream.write_all(format!("{head}{body}").as_bytes());
    }

    fn act(&self, request: &Request, place: &Place) -> (u16, Value) {
        let mut store = self.store.0.lock().unwrap();
        match (request.method.as_str(), &place.name) {
            ("GET", Some(_)) => store.objects.get(&request.path).map_or((404, Value::Null), |one| (200, one.clone())),
            ("GET", None) => (200, list(&store, request, place)),
            ("POST", _) => {
                let path = format!("{}/{}", request.path, request.body["metadata"]["name"].as_str().unwrap());
                if store.objects.contains_key(&path) {
                    return (409, Value::Null);
                }
                store.next += 1;
                let mut made = request.body.clone();
                made["metadata"]["uid"] = json!(format!("uid-{}", store.next));
                if place.resource == "jobs" {
                    made["spec"]["selector"] = json!({ "matchLabels": { "controller-uid": made["metadata"]["uid"] } });
                }
                store.objects.insert(path.clone(), made.clone());
                if place.resource == "jobs" {
                    let (server, job) = (self.clone(), made.clone());
                    thread::spawn(move || server.run_job(&path, &job));
                }
                (201, made)
            }
            _ => {
                let Some(found) = store.objects.remove(&request.path) else { return (404, Value::Null) };
                let uid = found["metadata"]["uid"].clone();
                assert_eq!(request.body["preconditions"]["uid"], uid);
                assert_eq!(request.body["propagationPolicy"], "Background");
                store.objects.retain(|_, one| one["metadata"]["labels"]["controller-uid"] != uid);
                (200, json!({ "kind": "Status", "status": "Success" }))
            }
        }
    }

    fn log(&self, mut stream: TcpStream, request: &Request, place: &Place) {
        let mut pod = format!("{}/{}", place.namespace.as_ref().unwrap(), place.name.as_ref().unwrap());
        if request.query.contains_key("previous") {
            pod.push_str(" previous");
        }
        let mut sent = 0;
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ntransfer-encoding: chunked\r\n\r\n";
        let (lock, changed) = &*self.store;
        let mut store = lock.lock().unwrap();
        if !store.logs.contains_key(&pod) {
            let body = json!({ "kind": "Status", "status": "Failure", "message": "no such container", "code": 400 })
                .to_string();
            let head = format!("HTTP/1.1 400 X\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
            return stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
        }
        let most = store.breaks.pop();
        let _ = stream.write_all(head.as_bytes());
        loop {
            let log = &store.logs[&pod];
            let (fresh, ended) = (log.text[sent..].to_vec(), log.ended);
            let cut = most.map_or(fresh.len(), |most| most.saturating_sub(sent).min(fresh.len()));
            if cut > 0 {
                let chunk = [format!("{cut:x}\r\n").as_bytes(), &fresh[..cut], b"\r\n"].concat();
                if stream.write_all(&chunk).is_err() {
                    return;
                }
                sent += cut;
            }
            if most.is_some_and(|most| sent >= most) {
                return;
            }
            if ended || request.query.get("follow").is_none_or(|follow| follow != "true") {
                let _ = stream.write_all(b"0\r\n\r\n");
                return;
            }
            store = changed.wait(store).unwrap();
        }
    }

    /// What controller and node do with a Job.
    fn run_job(&self, path: &str, job: &Value) {
        let (namespace, name) = (text(job, "/metadata/namespace"), text(job, "/metadata/name"));
        let account = text(job, "/spec/template/spec/serviceAccountName");
        let uid = text(job, "/metadata/uid");
        let variables = self.store.0.lock().unwrap().identities.get(&format!("{namespace}/{account}")).cloned();
        let Some(variables) = variables else {
            return self.put(&json!({
                "kind": "Event", "type": "Warning", "reason": "FailedCreate",
                "metadata": { "namespace": namespace, "name": format!("{name}.1") },
                "involvedObject": { "kind": "Job", "name": name, "uid": uid },
                "message": format!("Error creating: pods is forbidden: serviceaccount \"{account}\" not found"),
            }));
        };
        let count = job["spec"]["completions"].as_u64().unwrap_or(1);
        let pods = (0..count).map(|index| {
            let (server, job, variables) = (self.clone(), job.clone(), variables.clone());
            thread::spawn(move || server.run_pod(&job, index, &variables))
        });
        let pods: Vec<_> = pods.collect();
        let ended: Option<Vec<bool>> = pods.into_iter().map(|pod| pod.join().unwrap()).collect();
        // What never starts never ends.
        let Some(ended) = ended else { return };
        let all_done = ended.into_iter().all(|done| done);
        let condition = match all_done {
            true => json!({ "type": "Complete", "status": "True" }),
            false => json!({
                "type": "Failed", "status": "True", "reason": "BackoffLimitExceeded",
                "message": "Job has reached the specified backoff limit",
            }),
        };
        let mut store = self.store.0.lock().unwrap();
        if let Some(kept) = store.objects.get_mut(path) {
            kept["status"] = json!({ "conditions": [condition] });
        }
    }

    /// Runs one pod; true if it ended well, none if it never starts, as with an image that begins with `missing`.
    fn run_pod(&self, job: &Value, index: u64, variables: &[(String, String)]) -> Option<bool> {
        let (namespace, name) = (text(job, "/metadata/namespace"), format!("{}-{index}", text(job, "/metadata/name")));
        let uid = text(job, "/metadata/uid");
        let container = &job["spec"]["template"]["spec"]["containers"][0];
        let pod = |phase: &str, state: Value| {
            json!({
                "kind": "Pod",
                "metadata": {
                    "namespace": namespace, "name": name, "uid": format!("{uid}-{index}"),
                    "labels": { "controller-uid": uid },
                    "annotations": { "batch.kubernetes.io/job-completion-index": index.to_string() },
                },
                "spec": job["spec"]["template"]["spec"],
                "status": { "phase": phase, "containerStatuses": [{ "name": "bucketwright", "state": state }] },
            })
        };
        if text(container, "/image").starts_with("missing") {
            let waiting = json!({ "reason": "ImagePullBackOff", "message": "Back-off pulling image" });
            self.put(&pod("Pending", json!({ "waiting": waiting })));
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let mut command = self.process(&namespace, job, folder.path());
        command.env("JOB_COMPLETION_INDEX", index.to_string());
        command.envs(variables.iter().map(|(name, value)| (name, value)));
        let log = format!("{namespace}/{name}");
        self.store.0.lock().unwrap().logs.insert(log.clone(), Log::default());
        self.put(&pod("Running", json!({ "running": {} })));
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = Vec::new();
        while stdout.read_until(b'\n', &mut line).unwrap() > 0 {
            self.store.0.lock().unwrap().logs.get_mut(&log).unwrap().text.append(&mut line);
            self.store.1.notify_all();
        }
        let code = child.wait().unwrap().code().unwrap();
        self.store.0.lock().unwrap().logs.get_mut(&log).unwrap().ended = true;
        let phase = if code == 0 { "Succeeded" } else { "Failed" };
        let reason = if code == 0 { "Completed" } else { "Error" };
        self.put(&pod(phase, json!({ "terminated": { "exitCode": code, "reason": reason } })));
        self.store.1.notify_all();
        Some(code == 0)
    }

    /// The container's command, with its ConfigMaps in a folder.
    fn process(&self, namespace: &str, job: &Value, folder: &std::path::Path) -> Command {
        let pod = &job["spec"]["template"]["spec"];
        let container = &pod["containers"][0];
        assert_eq!(container["command"], json!(["bucketwright"]));
        let mut arguments: Vec<String> = serde_json::from_value(container["args"].clone()).unwrap();
        for volume in pod["volumes"].as_array().unwrap() {
            let Some(name) = volume["configMap"]["name"].as_str() else { continue };
            let config = self.object(&format!("/api/v1/namespaces/{namespace}/configmaps/{name}")).unwrap();
            let mounts = container["volumeMounts"].as_array().unwrap();
            let at = text(mounts.iter().find(|mount| mount["name"] == volume["name"]).unwrap(), "/mountPath");
            for (file, content) in config["data"].as_object().unwrap() {
                std::fs::write(folder.join(file), content.as_str().unwrap()).unwrap();
            }
            arguments.iter_mut().for_each(|one| *one = one.replace(&at, &folder.display().to_string()));
        }
        let mut command = Command::new(env!("CARGO_BIN_EXE_bucketwright"));
        command.args(arguments).env_clear().current_dir(folder).stdin(Stdio::null());
        for variable in container["env"].as_array().unwrap() {
            command
                .env(text(variable, "/name"), text(variable, "/value").replace("/tmp", &folder.display().to_string()));
        }
        command.env("AWS_EC2_METADATA_DISABLED", "true");
        command
    }
}

impl Request {
    fn read(stream: &TcpStream) -> Option<Self> {
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let mut words = line.split(' ');
        let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
        let (mut length, mut authorization) = (0, String::new());
        loop {
            let mut header = String::new();
            reader.read_line(&mut header).ok()?;
            let Some((name, value)) = header.trim_end().split_once(": ") else { break };
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.parse().ok()?,
                "authorization" => value.clone_into(&mut authorization),
                _ => {}
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let decoded = |text: &str| text.replace("%3D", "=").replace("%2C", ",");
        let query = query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .map(|(name, value)| (name.to_owned(), decoded(value)));
        Some(Self {
            method,
            path: path.to_owned(),
            query: query.collect(),
            authorization,
            body: serde_json::from_slice(&body).unwrap_or_default(),
        })
    }
}

impl Place {
    fn of(path: &str) -> Self {
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        let rest = if parts[0] == "api" { &parts[2..] } else { &parts[3..] };
        let (namespace, rest) = match rest {
            ["namespaces", namespace, rest @ ..] => (Some((*namespace).to_owned()), rest),
            rest => (None, rest),
        };
        let part = |at: usize| rest.get(at).map(|part| (*part).to_owned());
        Self { namespace, resource: part(0).unwrap(), name: part(1), sub: part(2) }
    }
}

fn text(value: &Value, pointer: &str) -> String {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// One page of what is chosen.
fn list(store: &Store, request: &Request, place: &Place) -> Value {
    let root = &request.path;
    let inside = |path: &str| match &place.namespace {
        Some(_) => path.strip_prefix(root.as_str()).is_some_and(|rest| rest.starts_with('/')),
        None => path.split('/').rev().nth(1) == Some(place.resource.as_str()),
    };
    let labels = request.query.get("labelSelector").cloned().unwrap_or_default();
    let owner = request.query.get("fieldSelector").and_then(|field| field.strip_prefix("involvedObject.uid="));
    let is_chosen = |one: &Value| {
        let has =
            |pair: &str| pair.split_once('=').is_some_and(|(name, value)| one["metadata"]["labels"][name] == value);
        labels.split(',').filter(|pair| !pair.is_empty()).all(has)
            && owner.is_none_or(|uid| one["involvedObject"]["uid"] == uid)
    };
    let found: Vec<Value> =
        store.objects.iter().filter(|(path, _)| inside(path)).map(|(_, one)| one.clone()).filter(is_chosen).collect();
    let from: usize = request.query.get("continue").map_or(0, |token| token.parse().unwrap());
    let limit: usize = request.query["limit"].parse().unwrap();
    let page: Vec<Value> = found
        .iter()
        .skip(from)
        .take(limit)
        .cloned()
        .map(|mut one| {
            // As in typed lists, whose items say no kind.
            one.as_object_mut().unwrap().remove("kind");
            one
        })
        .collect();
    let kind = match place.resource.as_str() {
        "pods" => "PodList",
        "serviceaccounts" => "ServiceAccountList",
        "nodes" => "NodeList",
        _ => "List",
    };
    let more = if from + limit < found.len() { (from + limit).to_string() } else { String::new() };
    json!({ "kind": kind, "metadata": { "continue": more }, "items": page })
}
