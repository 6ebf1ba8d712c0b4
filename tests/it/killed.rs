//! `kill -9` in the middle of an upload, then the same command again: nothing is sent twice but what was under way,
//! nothing is left unfinished, and every object is its file.
//!
//! The moment is a number of bytes on the wire, not a time, so that it falls into the upload on any machine. The client
//! speaks through a relay that counts them, and that in most rounds lets one request through at a time, so that
//! parts arrive one after the other instead of all at the end.

use crate::server_env::client_with;
use crate::testenv::{TestEnv, files_below};
use aws_sdk_s3::Client;
use bucketwright::hashing::digest;
use bucketwright::model::Algorithm;
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{Child, Output, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

pub(crate) const MIB: u64 = 1024 * 1024;

/// What the client may have under way at once, and so lose: the memory that holds file content, and small change.
const UNDER_WAY_BYTES: u64 = 80 * MIB + MIB;

/// After how many pauses of 20 ms a client loses its turn although nobody has answered it.
const MOST_PAUSES: u32 = 100;

/// How much is done.
#[derive(Debug, Clone, Copy)]
struct Scale {
    rounds: u64,
    small_files: u64,
    large_files: u64,
    large_bytes: u64,
}

impl Scale {
    const QUICK: Self = Self { rounds: 3, small_files: 58, large_files: 2, large_bytes: 28 * MIB };

    /// `BUCKETWRIGHT_KILL=ROUNDS,SMALL,LARGE,MIB`: rounds, small files, large files, and the MiB of a large one.
    fn from_environment() -> Option<Self> {
        let text = std::env::var("BUCKETWRIGHT_KILL").ok()?;
        let numbers: Vec<u64> = text.split(',').map(|number| number.parse().unwrap()).collect();
        let [rounds, small_files, large_files, mib] = numbers.try_into().unwrap();
        Some(Self { rounds, small_files, large_files, large_bytes: mib * MIB })
    }
}

/// The same numbers in every run: a failure comes again.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    /// A number below `end`, by xorshift.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        for shift in [13_i32, -7, 17] {
            self.0 ^= if shift > 0 { self.0 << shift } else { self.0 >> -shift };
        }
        self.0 % end
    }
}

/// What stands between client and server.
#[derive(Debug, Default)]
struct Relay {
    sent: AtomicU64,
    one_by_one: AtomicBool,
    turn: Mutex<()>,
}

/// A server in its own process, and a relay in front of it.
pub(crate) struct Endpoint {
    server: Child,
    pub(crate) url: String,
    relay_url: String,
    pub(crate) access_key: String,
    pub(crate) secret_key: String,
    relay: Arc<Relay>,
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

impl Endpoint {
    pub(crate) fn start(env: &TestEnv) -> Self {
        let mut command = env.command(&["serve", "--local=server", "--port", "0"]);
        let mut server = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(server.stdout.take().unwrap()).lines();
        let mut value = |name: &str| {
            let start = format!("export {name}=");
            lines.find_map(|line| line.unwrap().strip_prefix(&start).map(str::to_owned)).unwrap()
        };
        let url = value("AWS_ENDPOINT_URL");
        let (access_key, secret_key) = (value("AWS_ACCESS_KEY_ID"), value("AWS_SECRET_ACCESS_KEY"));
        let relay = Arc::new(Relay::default());
        let relay_url = relay.listen(url.strip_prefix("http://").unwrap().to_owned());
        Self { server, url, relay_url, access_key, secret_key, relay }
    }

    pub(crate) fn client(&self) -> Client {
        client_with(&self.url, &self.access_key, &self.secret_key)
    }
}

impl Relay {
    /// Listens, passes everything on to `target` and back, and counts the bytes that go to it.
    fn listen(self: &Arc<Self>, target: String) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let relay = Arc::clone(self);
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let (Ok(client), Ok(server)) = (client, TcpStream::connect(&target)) else { return };
                let (client_too, server_too) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                let (relay, answered) = (Arc::clone(&relay), Arc::new(AtomicBool::new(false)));
                let answered_too = Arc::clone(&answered);
                std::thread::spawn(move || relay.pass(client, server, &answered));
                std::thread::spawn(move || pass_back(server_too, client_too, &answered_too));
            }
        });
        url
    }

    /// Passes on what a client sends. Whoever has the turn keeps it until its request is answered, or until its client has
    /// paused for so long that the answer is one of those that nobody sends.
    fn pass(&self, mut client: TcpStream, mut server: TcpStream, answered: &AtomicBool) {
        let mut buffer = vec![0; 64 * 1024];
        let (mut turn, mut pauses) = (None, 0);
        loop {
            let pause = turn.is_some().then_some(Duration::from_millis(20));
            // Both clones share the option, and the other one never reads.
            client.set_read_timeout(pause).unwrap();
            match client.read(&mut buffer) {
                Ok(length @ 1..) => {
                    if self.one_by_one.load(Ordering::Relaxed) && turn.is_none() {
                        turn = self.turn.lock().ok();
                    }
                    pauses = 0;
                    answered.store(false, Ordering::Relaxed);
                    self.sent.fetch_add(length as u64, Ordering::Relaxed);
                    if server.write_all(&buffer[..length]).is_err() {
                        break;
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    pauses += 1;
                    if answered.load(Ordering::Relaxed) || pauses > MOST_PAUSES {
                        turn = None;
                    }
                }
                Ok(_) | Err(_) => break,
            }
        }
        let _ = server.shutdown(Shutdown::Write);
    }
}

/// Passes on what a server answers, and notes that it does.
fn pass_back(mut server: TcpStream, mut client: TcpStream, answered: &AtomicBool) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = server.read(&mut buffer) {
        answered.store(true, Ordering::Relaxed);
        if client.write_all(&buffer[..length]).is_err() {
            return;
        }
    }
    let _ = client.shutdown(Shutdown::Write);
}

/// A source of small and large files, and everything to send it with.
struct Scene {
    env: TestEnv,
    endpoint: Endpoint,
    files: Vec<(String, PathBuf)>,
    source_bytes: u64,
}

impl Scene {
    fn new(scale: Scale) -> Self {
        let mut env = TestEnv::new();
        let mut dice = Dice(0x5eed);
        let mut files = Vec::new();
        let mut source_bytes = 0;
        for number in 0..scale.small_files + scale.large_files {
            let is_large = number < scale.large_files;
            // Neither a multiple of the part size nor of each other.
            let length = if is_large { scale.large_bytes + dice.below(MIB) } else { dice.below(64 * 1024) };
            let name =
                if is_large { format!("large/{number}.parquet") } else { format!("{}/{number}.csv", number % 7) };
            env.write(&format!("data/{name}"), content(number, length));
            files.push((format!("p/data/{name}"), env.path(&format!("data/{name}"))));
            source_bytes += length;
        }
        let endpoint = Endpoint::start(&env);
        for (name, value) in [
            ("AWS_REGION", "us-east-1"),
            ("AWS_ACCESS_KEY_ID", endpoint.access_key.as_str()),
            ("AWS_SECRET_ACCESS_KEY", endpoint.secret_key.as_str()),
            ("AWS_ENDPOINT_URL", endpoint.relay_url.as_str()),
        ] {
            env.set(name, value);
        }
        Self { env, endpoint, files, source_bytes }
    }

    fn bucket(&self, round: u64) -> String {
        let bucket = format!("bucket-{round}");
        let layout = format!(
            "version = 1\n[[bucket]]\nname = \"{bucket}\"\ntemplate = \"ml-project\"\nprojects = [\"p\"]\n\
             waive = {{ access-log = \"a test\" }}\n[[dataset]]\nsource = \"data\"\nto = \"{bucket}/p/data\"\n"
        );
        self.env.write("layout.toml", layout);
        bucket
    }

    /// The command of a round: `sync` and `apply` in turn, which share one engine.
    async fn words(&self, round: u64) -> (String, Vec<String>) {
        let bucket = self.bucket(round);
        if round % 2 == 1 {
            return (bucket, ["apply", "--yes"].map(str::to_owned).to_vec());
        }
        self.endpoint.client().create_bucket().bucket(&bucket).send().await.unwrap();
        let target = format!("s3://{bucket}/p/data/");
        (bucket, ["sync", "data", &target].map(str::to_owned).to_vec())
    }

    /// Runs the command and kills it once so many bytes are on the wire. Returns whether it was still running.
    fn killed_after(&self, words: &[&str], bytes: u64) -> bool {
        let ended = self.signalled_after(words, bytes, Signal::KILL);
        ended.is_some_and(|output| output.status.signal() == Some(Signal::KILL.as_raw()))
    }

    /// Runs the command and signals it once so many bytes are on the wire; none if it ended before.
    fn signalled_after(&self, words: &[&str], bytes: u64, signal: Signal) -> Option<Output> {
        self.endpoint.relay.sent.store(0, Ordering::Relaxed);
        let mut command = self.env.command(words);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        while self.endpoint.relay.sent.load(Ordering::Relaxed) < bytes {
            if child.try_wait().unwrap().is_some() {
                return None;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        kill_process(Pid::from_child(&child), signal).unwrap();
        Some(child.wait_with_output().unwrap())
    }

    /// The bytes that the endpoint holds in objects and in parts, once what the relay still held has arrived.
    async fn held_bytes(&self, bucket: &str) -> u64 {
        let mut sent = u64::MAX;
        while sent != self.endpoint.relay.sent.load(Ordering::Relaxed) {
            sent = self.endpoint.relay.sent.load(Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
        let client = self.endpoint.client();
        // The bucket itself may not be there yet.
        let Ok(listed) = client.list_objects_v2().bucket(bucket).send().await else { return 0 };
        let mut held: i64 = listed.contents().iter().filter_map(aws_sdk_s3::types::Object::size).sum();
        for upload in client.list_multipart_uploads().bucket(bucket).send().await.unwrap().uploads() {
            let parts = client.list_parts().bucket(bucket).set_key(upload.key.clone());
            let parts = parts.set_upload_id(upload.upload_id.clone()).send().await.unwrap();
            held += parts.parts().iter().filter_map(aws_sdk_s3::types::Part::size).sum::<i64>();
        }
        u64::try_from(held).unwrap()
    }

    /// Every object is its file, nothing is unfinished, and nothing is remembered.
    async fn check(&self, bucket: &str) {
        let client = self.endpoint.client();
        for (key, path) in &self.files {
            let got = client.get_object().bucket(bucket).key(key).send().await.unwrap();
            let object = got.body.collect().await.unwrap().into_bytes();
            let file = std::fs::read(path).unwrap();
            assert_eq!(digest(Algorithm::Md5, &object), digest(Algorithm::Md5, &file), "{key}");
        }
        let open = client.list_multipart_uploads().bucket(bucket).send().await.unwrap();
        assert_eq!(open.uploads(), []);
        let remembered = files_below(&self.env.path("home/.local/state"));
        assert_eq!(remembered, [], "the journal is empty");
    }
}

/// Bytes that no two files and no two parts share.
pub(crate) fn content(number: u64, length: u64) -> Vec<u8> {
    let mut content = vec![0; usize::try_from(length).unwrap()];
    for (index, block) in content.chunks_exact_mut(4096).enumerate() {
        block[..8].copy_from_slice(&(index as u64).to_le_bytes());
        block[8..16].copy_from_slice(&number.to_le_bytes());
    }
    content
}

#[expect(clippy::print_stdout, reason = "the numbers are the result of a run by hand")]
async fn kill_and_go_on(scale: Scale) {
    let scene = Scene::new(scale);
    let mut dice = Dice(0xd1ce);
    let mut killed = 0;
    for round in 0..scale.rounds {
        let (bucket, words) = scene.words(round).await;
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let moment = dice.below(scene.source_bytes);
        scene.endpoint.relay.one_by_one.store(round % 3 != 2, Ordering::Relaxed);
        killed += u64::from(scene.killed_after(&words, moment));
        let held = scene.held_bytes(&bucket).await;
        let before = scene.endpoint.relay.sent.load(Ordering::Relaxed);
        scene.endpoint.relay.sent.store(0, Ordering::Relaxed);
        let second = scene.env.expect(0, &[&words[..], &["--output", "json"]].concat());
        let after = scene.endpoint.relay.sent.load(Ordering::Relaxed);
        println!(
            "round {round}, {}: killed at {before} bytes, {held} of {} arrived, then {after} bytes",
            words[0], scene.source_bytes
        );
        // A request has some hundred bytes around its body.
        let around = (scale.small_files + scale.large_files * (scale.large_bytes / (8 * MIB) + 4) + 100) * 3 * 1024;
        let missing = scene.source_bytes.saturating_sub(held);
        assert!(after <= missing + around, "{after} bytes sent for {missing} missing: {}", second.stdout);
        assert!(before + after <= scene.source_bytes + UNDER_WAY_BYTES + 2 * around, "{before} + {after}");
        scene.check(&bucket).await;
        let third = scene.env.expect(0, &[&words[..], &["--output", "json"]].concat()).summary();
        assert_eq!((&third["planned"], &third["done"]), (&0.into(), &0.into()), "{third}");
        if scale.rounds > 5 {
            // What was checked makes room for the next round.
            delete_all(&scene.endpoint.client(), &bucket).await;
        }
    }
    assert!(killed > 0, "every run ended before it was killed");
}

async fn delete_all(client: &Client, bucket: &str) {
    let versions = client.list_object_versions().bucket(bucket).send().await.unwrap();
    for version in versions.versions() {
        let delete = client.delete_object().bucket(bucket).set_key(version.key.clone());
        delete.set_version_id(version.version_id.clone()).send().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_upload_goes_on() {
    kill_and_go_on(Scale::QUICK).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "as large as BUCKETWRIGHT_KILL says; `cargo xtask conformance kill-resume` runs it"]
async fn a_killed_upload_goes_on_at_scale() {
    kill_and_go_on(Scale::from_environment().unwrap()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ctrl_c_keeps_what_arrived_and_says_so() {
    let scene = Scene::new(Scale { rounds: 1, small_files: 3, large_files: 1, large_bytes: 40 * MIB });
    let bucket = scene.bucket(0);
    scene.endpoint.relay.one_by_one.store(true, Ordering::Relaxed);
    let stopped = scene.signalled_after(&["apply", "--yes"], 28 * MIB, Signal::INT).unwrap();
    assert_eq!(stopped.status.code(), Some(130));
    let said = String::from_utf8(stopped.stderr).unwrap();
    let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(said.contains("hint: 1 upload keeps its finished parts for that; `uploads list` shows them"), "{said}");
    let held = scene.held_bytes(&bucket).await;
    assert!(held >= 8 * MIB, "{held}");
    scene.endpoint.relay.sent.store(0, Ordering::Relaxed);
    scene.env.expect(0, &["apply", "--yes"]);
    let sent = scene.endpoint.relay.sent.load(Ordering::Relaxed);
    assert!(sent < scene.source_bytes - held + MIB, "{sent}");
    scene.check(&bucket).await;
}

#[test]
fn what_was_left_is_listed_as_ours_and_can_be_given_up() {
    let scene = Scene::new(Scale { rounds: 1, small_files: 0, large_files: 1, large_bytes: 30 * MIB });
    let bucket = scene.bucket(0);
    scene.endpoint.relay.one_by_one.store(true, Ordering::Relaxed);
    assert!(scene.killed_after(&["apply", "--yes"], 24 * MIB));
    let place = format!("s3://{bucket}");
    let [upload] = scene
        .env
        .expect(0, &["uploads", "list", &place, "--output", "json"])
        .of_type("unfinished-upload")
        .try_into()
        .unwrap();
    assert_eq!((&upload["ours"], &upload["target"]), (&true.into(), &format!("{place}/p/data/large/0.parquet").into()));
    assert!(upload["parts"].as_u64().unwrap() > 0, "{upload}");
    assert!(upload["source"].as_str().unwrap().ends_with("/data/large/0.parquet"), "{upload}");
    let listed = scene.env.expect(0, &["uploads", "list", &place]).stdout;
    assert!(listed.contains("ours from") && listed.contains("Uploads: 1 unfinished upload"), "{listed}");
    scene.env.expect(0, &["uploads", "abort", &place, "--older-than", "0s", "--yes"]);
    assert_eq!(files_below(&scene.env.path("home/.local/state")), []);
    scene.env.expect(0, &["apply", "--yes"]);
}
