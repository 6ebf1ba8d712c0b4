//! The endpoint in a process of its own: killed at random moments, sharing its folder, running out of disk.
#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "what fails here fails the test")]

use crate::server_env::{client, code, open, socket_client};
use aws_sdk_s3::Client;
use bucketwright::hashing::digest;
use bucketwright::model::Algorithm;
use bucketwright::server::Server;
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A process that serves a folder, killed when dropped.
struct Process {
    child: Child,
    url: String,
}

impl Process {
    /// Starts it; `limit` bounds the size of every file it writes, in blocks of 512 bytes.
    fn start(folder: &Path, limit: Option<u32>) -> Self {
        // A write beyond the limit shall fail as on a full disk, not kill: the shell's ignored signal is inherited.
        let limit = limit.map_or(String::new(), |blocks| format!("trap '' XFSZ; ulimit -f {blocks}; "));
        let script = format!("{limit}exec \"$0\" \"$@\"");
        let mut child = Command::new("/bin/sh")
            .args(["-c", &script, env!("CARGO_BIN_EXE_bucketwright"), "serve", "--port", "0"])
            .arg(format!("--local={}", folder.display()))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let url = lines.find_map(|line| line.unwrap().strip_prefix("export AWS_ENDPOINT_URL=").map(str::to_owned));
        Self { child, url: url.unwrap() }
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The body of a key: the size varies across what lies in the index and what lies in a file.
fn body(key: &str) -> Vec<u8> {
    let seed = digest(Algorithm::Sha256, key.as_bytes());
    let sizes = [0, 700, 4096, 65_536, 65_537, 250_000];
    let size = sizes[usize::from(seed.digest()[0]) % sizes.len()];
    seed.digest().iter().copied().cycle().take(size).collect()
}

/// Puts 200 objects at once and says which were acknowledged before the server died.
async fn put_many(sdk: &Client, round: u32) -> Vec<String> {
    let puts = (0..200).map(|number| {
        let key = format!("{round}/{number}");
        let put = sdk.put_object().bucket("bucket").key(&key).body(body(&key).into());
        tokio::spawn(async move { put.send().await.is_ok().then_some(key) })
    });
    let mut acknowledged = Vec::new();
    for put in puts.collect::<Vec<_>>() {
        acknowledged.extend(put.await.unwrap());
    }
    acknowledged
}

async fn all_objects(server: &Server) -> BTreeMap<String, Vec<u8>> {
    let sdk = client(server, server.secret_key());
    let (mut found, mut token) = (BTreeMap::new(), None);
    loop {
        let page = sdk.list_objects_v2().bucket("bucket").set_continuation_token(token).send().await.unwrap();
        for object in page.contents() {
            let key = object.key().unwrap();
            let got = sdk.get_object().bucket("bucket").key(key).send().await.unwrap();
            found.insert(key.to_owned(), got.body.collect().await.unwrap().to_vec());
        }
        token = page.next_continuation_token;
        if token.is_none() {
            return found;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_survives_kill_9() {
    let folder = tempfile::tempdir().unwrap();
    let server = open(folder.path());
    client(&server, server.secret_key()).create_bucket().bucket("bucket").send().await.unwrap();
    let (access_key, secret_key) = (server.access_key().to_owned(), server.secret_key().to_owned());
    drop(server);
    let mut acknowledged = Vec::new();
    // Six moments at least; on a machine that is so busy that nothing was acknowledged by then, later and later ones.
    for round in 0..12 {
        if round >= 6 && !acknowledged.is_empty() {
            break;
        }
        let process = Process::start(folder.path(), None);
        let sdk = crate::server_env::client_with(&process.url, &access_key, &secret_key);
        let putting = tokio::spawn(async move { put_many(&sdk, round).await });
        let moment_ms = if round < 6 { 20 + 45 * round } else { 250 << (round - 5) };
        tokio::time::sleep(Duration::from_millis(u64::from(moment_ms))).await;
        process.kill();
        acknowledged.extend(putting.await.unwrap());
    }
    assert!(!acknowledged.is_empty(), "no round got anywhere");
    let server = open(folder.path());
    let found = all_objects(&server).await;
    for key in &acknowledged {
        assert!(found.contains_key(key), "{key} was acknowledged and is gone");
    }
    for (key, bytes) in &found {
        assert!(*bytes == body(key), "{key} is torn");
    }
    let files = found.values().filter(|bytes| bytes.len() > 65_536).count();
    let folders = std::fs::read_dir(folder.path().join("blobs")).unwrap();
    let left: usize = folders.map(|folder| std::fs::read_dir(folder.unwrap().path()).unwrap().count()).sum();
    assert_eq!(left, files, "leftovers were swept");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_share_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let process = Process::start(folder.path(), None);
    let here = open(folder.path());
    let mine = client(&here, here.secret_key());
    let other = socket_client(&here, &process.url);
    other.create_bucket().bucket("bucket").send().await.unwrap();
    for round in 0..20 {
        let (writer, reader) = if round % 2 == 0 { (&mine, &other) } else { (&other, &mine) };
        let key = format!("key{round}");
        writer.put_object().bucket("bucket").key(&key).body(body(&key).into()).send().await.unwrap();
        let got = reader.get_object().bucket("bucket").key(&key).send().await.unwrap();
        assert_eq!(got.body.collect().await.unwrap().to_vec(), body(&key));
    }
    let listed = other.list_objects_v2().bucket("bucket").send().await.unwrap();
    assert_eq!(listed.key_count(), Some(20));
    process.kill();
    assert_eq!(all_objects(&here).await.len(), 20, "the other's death changes nothing");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_is_said_and_tears_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let process = Process::start(folder.path(), Some(4096));
    let keys = open(folder.path());
    let sdk = socket_client(&keys, &process.url);
    drop(keys);
    sdk.create_bucket().bucket("bucket").send().await.unwrap();
    sdk.put_object().bucket("bucket").key("first").body(vec![1; 300_000].into()).send().await.unwrap();
    let large = sdk.put_object().bucket("bucket").key("large").body(vec![2; 5_000_000].into()).send().await;
    assert_eq!(code(large), "StorageFull 507");
    // Small bodies go to the index until it may not grow any more.
    let mut kept = Vec::new();
    let refused = loop {
        let key = format!("small{}", kept.len());
        let put = sdk.put_object().bucket("bucket").key(&key).body(vec![3; 60_000].into()).send().await;
        if put.is_err() {
            break code(put);
        }
        kept.push(key);
        assert!(kept.len() < 100, "the limit is never met");
    };
    assert_eq!(refused, "StorageFull 507");
    let got = sdk.get_object().bucket("bucket").key("first").send().await.unwrap();
    assert_eq!(got.body.collect().await.unwrap().to_vec(), [1; 300_000], "reads go on");
    process.kill();
    let server = open(folder.path());
    let found = all_objects(&server).await;
    assert_eq!(found.len(), kept.len() + 1, "all that was acknowledged and nothing else");
    assert!(kept.iter().all(|key| found[key] == [3; 60_000]));
}
