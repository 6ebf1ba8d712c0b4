//! A control plane on the loopback interface: etcd, the API server with RBAC and pod security policies, and the controllers
//! that Jobs need. It ends with its owner.
#![expect(clippy::disallowed_methods, reason = "tokens, keys and logs are files")]

use super::super::endpoint::{READY_LIMIT, Server, free_port, http_status, spawn};
use super::super::lab::Lab;
use super::programs::Programs;
use anyhow::{Context as _, Result};
use http::Request;
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

/// Users by their tokens: who may do everything, the controllers, and one whom only roles give rights.
const TOKENS: &str = "\
admin-token,admin,1,system:masters
controllers-token,controllers,2
guest-token,guest,3
";

/// A running control plane.
pub(super) struct Plane {
    /// Speaks as who may do everything.
    pub(super) api: Api,
    folder: PathBuf,
    kubectl: PathBuf,
    _servers: Vec<Server>,
}

/// Speaks to the API server.
#[derive(Clone)]
pub(super) struct Api {
    runtime: Arc<Runtime>,
    client: kube::Client,
}

impl Plane {
    /// Starts it, empty.
    pub(super) fn start(lab: &Lab, programs: &Programs) -> Result<Self> {
        let folder = lab.path("plane");
        fs::create_dir_all(&folder)?;
        let etcd = etcd(lab, programs)?;
        let port = free_port()?;
        let server = server(lab, programs, &etcd.1, port)?;
        let url = format!("https://127.0.0.1:{port}");
        for user in ["admin", "controllers", "guest"] {
            fs::write(folder.join(format!("{user}.json")), kubeconfig(&folder, &url, user)?)?;
        }
        let api = Api::open(&folder.join("admin.json"))?;
        let began = Instant::now();
        // Ready is when the roles that RBAC starts with are there as well.
        while let Err(error) = api.text("/readyz") {
            anyhow::ensure!(began.elapsed() < READY_LIMIT, "the API server is not ready: {error:#}");
            thread::sleep(Duration::from_millis(100));
        }
        let mut controllers = lab.command(&programs.controllers);
        controllers.arg("--kubeconfig").arg(folder.join("controllers.json"));
        let controllers = spawn(lab, "controllers.log", controllers, |_| true).context("the controllers")?;
        // Dropped in this order, so that nobody waits for who has ended.
        let servers = vec![controllers, server, etcd.0];
        Ok(Self { api, folder, kubectl: programs.kubectl.clone(), _servers: servers })
    }

    /// kubectl as `admin`.
    pub(super) fn kubectl(&self, lab: &Lab) -> Command {
        let mut command = lab.command(&self.kubectl);
        command.env("KUBECONFIG", self.kubeconfig("admin"));
        command
    }

    /// The file by which `admin` or `guest` reaches the API server.
    pub(super) fn kubeconfig(&self, user: &str) -> PathBuf {
        self.folder.join(format!("{user}.json"))
    }

    /// The API server's certificate and key, which will do for a kubelet: nobody checks that.
    pub(super) fn certificate(&self) -> (PathBuf, PathBuf) {
        (self.folder.join("certs/apiserver.crt"), self.folder.join("certs/apiserver.key"))
    }
}

impl Api {
    fn open(kubeconfig: &Path) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let client = runtime.block_on(async {
            let file = Kubeconfig::read_from(kubeconfig)?;
            let mut config = kube::Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await?;
            config.proxy_url = None;
            anyhow::Ok(kube::Client::try_from(config)?)
        })?;
        Ok(Self { runtime: Arc::new(runtime), client })
    }

    fn text(&self, path: &str) -> Result<String> {
        let request = Request::get(path).body(Vec::new())?;
        self.runtime.block_on(self.client.request_text(request)).with_context(|| format!("GET {path}"))
    }

    /// What is at a path.
    pub(super) fn get(&self, path: &str) -> Result<Value> {
        serde_json::from_str(&self.text(path)?).with_context(|| format!("{path} is no JSON"))
    }

    /// The objects of a list.
    pub(super) fn list(&self, path: &str) -> Result<Vec<Value>> {
        Ok(self.get(path)?["items"].as_array().cloned().unwrap_or_default())
    }

    /// Makes an object.
    pub(super) fn post(&self, path: &str, object: &Value) -> Result<()> {
        self.send(Request::post(path).header("content-type", "application/json"), object)
    }

    /// Changes the fields that are named.
    pub(super) fn merge(&self, path: &str, fields: &Value) -> Result<()> {
        self.send(Request::patch(path).header("content-type", "application/merge-patch+json"), fields)
    }

    /// Removes an object at once, if it is still there.
    pub(super) fn delete(&self, path: &str) -> Result<()> {
        let now = json!({ "apiVersion": "v1", "kind": "DeleteOptions", "gracePeriodSeconds": 0 });
        let gone = self.send(Request::delete(path).header("content-type", "application/json"), &now);
        gone.or_else(|error| match error.downcast_ref() {
            Some(kube::Error::Api(status)) if status.code == 404 => Ok(()),
            _ => Err(error),
        })
    }

    fn send(&self, request: http::request::Builder, body: &Value) -> Result<()> {
        let request = request.body(serde_json::to_vec(body)?)?;
        let what = format!("{} {}", request.method(), request.uri());
        self.runtime.block_on(self.client.request_text(request)).map(drop).context(what)
    }
}

/// etcd, and its URL.
fn etcd(lab: &Lab, programs: &Programs) -> Result<(Server, String)> {
    let (port, peers) = (free_port()?, free_port()?);
    let (url, peers) = (format!("http://127.0.0.1:{port}"), format!("http://127.0.0.1:{peers}"));
    let mut command = lab.command(&programs.etcd);
    command.args(["--data-dir=plane/etcd", "--unsafe-no-fsync", "--listen-client-urls", &url]);
    command.args(["--advertise-client-urls", &url, "--listen-peer-urls", &peers]);
    command.args(["--initial-advertise-peer-urls", &peers, "--initial-cluster", &format!("default={peers}")]);
    let is_ready = |_: &str| http_status(port, "/health") == Some(200);
    Ok((spawn(lab, "etcd.log", command, is_ready).context("etcd")?, url))
}

fn server(lab: &Lab, programs: &Programs, etcd: &str, port: u16) -> Result<Server> {
    fs::write(lab.path("plane/tokens.csv"), TOKENS)?;
    lab.expect(lab.command("openssl".as_ref()).args(["genrsa", "-out", "plane/accounts.key", "2048"]))?;
    let mut command = lab.command(&programs.server);
    command.arg(format!("--etcd-servers={etcd}")).arg(format!("--secure-port={port}"));
    command.args(["--bind-address=127.0.0.1", "--advertise-address=127.0.0.1", "--endpoint-reconciler-type=none"]);
    command.args(["--cert-dir=plane/certs", "--token-auth-file=plane/tokens.csv", "--authorization-mode=RBAC"]);
    command.args(["--service-account-key-file=plane/accounts.key"]);
    command.args(["--service-account-signing-key-file=plane/accounts.key"]);
    command.args(["--service-account-issuer=https://kubernetes.default.svc", "--service-cluster-ip-range=10.0.0.0/24"]);
    command.args(["--enable-admission-plugins=PodSecurityPolicy", "--feature-gates=TTLAfterFinished=true"]);
    let listens = |_: &str| lab.path("plane/certs/apiserver.key").is_file() && is_open(port);
    spawn(lab, "apiserver.log", command, listens).context("kube-apiserver")
}

fn is_open(port: u16) -> bool {
    std::net::TcpStream::connect((std::net::Ipv4Addr::LOCALHOST, port)).is_ok()
}

/// How a user reaches the API server. JSON is YAML.
fn kubeconfig(folder: &Path, url: &str, user: &str) -> Result<String> {
    let authority = folder.join("certs/apiserver.crt");
    let config = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "lab",
        "clusters": [{ "name": "lab", "cluster": { "server": url, "certificate-authority": authority } }],
        "users": [{ "name": user, "user": { "token": format!("{user}-token") } }],
        "contexts": [{ "name": "lab", "context": { "cluster": "lab", "user": user } }],
    });
    Ok(serde_json::to_string_pretty(&config)?)
}
