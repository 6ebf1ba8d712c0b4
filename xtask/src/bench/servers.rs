//! The servers that clients are measured against, each a process of its own on the loopback interface.
#![expect(clippy::disallowed_methods, reason = "the embedded endpoint keeps a folder")]

use super::null_server::{Etags, READY};
use super::tools::{Lab, Tool};
use anyhow::{Context as _, Result, bail};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Stdio};
use std::thread;

/// A running server and the credentials it takes; ends when dropped.
#[derive(Debug)]
pub(super) struct Endpoint {
    pub(super) url: String,
    pub(super) key: String,
    pub(super) secret: String,
    child: Child,
}

/// What the null server holds and counted.
#[derive(Debug, Deserialize)]
pub(super) struct Count {
    pub(super) objects: u64,
    pub(super) bytes: u64,
    /// Unfinished multipart uploads.
    pub(super) uploads: u64,
    /// Calls by name, and proofs that uploads carried.
    pub(super) counts: BTreeMap<String, u64>,
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Endpoint {
    /// The null server, holding the files of `seed` from the start if one is given.
    pub(super) fn null(lab: &Lab, etags: Etags, seed: Option<&Path>) -> Result<Self> {
        let etag = if etags == Etags::Md5 { "md5" } else { "opaque" };
        let mut command = std::process::Command::new(lab.xtask());
        command.args(["bench", "null-server", "--port", "0", "--etag", etag]);
        if let Some(seed) = seed {
            command.arg("--seed").arg(seed);
        }
        let mut child = command.stdout(Stdio::piped()).spawn().context("cannot start the null server")?;
        let output = child.stdout.take().context("no stdout")?;
        let (key, secret) = ("AKIABENCH234567ABCDE".to_owned(), "loopback-only-and-never-checked".to_owned());
        let mut endpoint = Self { url: String::new(), key, secret, child };
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        line.strip_prefix(READY).context("the null server did not start")?.trim().clone_into(&mut endpoint.url);
        Ok(endpoint)
    }

    /// `bucketwright serve` over an empty folder, or over what an earlier run left in it.
    pub(super) fn embedded(lab: &Lab, name: &str, is_fresh: bool) -> Result<Self> {
        let folder = lab.folder.join("embedded").join(name);
        if is_fresh && folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        let mut command = lab.command(&lab.bucketwright(), Tool::Bucketwright);
        command.arg("serve").arg(format!("--local={}", folder.display())).args(["--port", "0"]);
        let log = fs::File::create(lab.folder.join("serve.log"))?;
        let mut child = command.stdout(Stdio::piped()).stderr(log).spawn().context("cannot run bucketwright")?;
        let mut lines = BufReader::new(child.stdout.take().context("no stdout")?).lines();
        let mut endpoint = Self { url: String::new(), key: String::new(), secret: String::new(), child };
        while endpoint.url.is_empty() || endpoint.key.is_empty() || endpoint.secret.is_empty() {
            let Some(line) = lines.next().transpose()? else { bail!("`bucketwright serve` did not start") };
            for (name, value) in line.split_whitespace().filter_map(|word| word.split_once('=')) {
                let value = value.trim_matches(['"', '\'']).to_owned();
                match name {
                    "AWS_ENDPOINT_URL" => endpoint.url = value,
                    "AWS_ACCESS_KEY_ID" => endpoint.key = value,
                    "AWS_SECRET_ACCESS_KEY" => endpoint.secret = value,
                    _ => {}
                }
            }
        }
        // Whatever it prints later is read, so that it meets no closed pipe.
        thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
        Ok(endpoint)
    }

    /// Asks the null server for what it holds below `bucket/prefix`.
    pub(super) fn count(&self, prefix: &str) -> Result<Count> {
        let address = self.url.trim_start_matches("http://");
        let mut stream = TcpStream::connect(address)?;
        write!(stream, "GET /-/count/{prefix} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (_, body) = answer.split_once("\r\n\r\n").context("the null server did not answer")?;
        serde_json::from_str(body).with_context(|| format!("the null server answered `{body}`"))
    }
}
