//! `sync` through a relay that makes trouble: connections that break, a service that slows down, answers that are cut or
//! late, an endpoint that dies and may come back, and files that change while they are on their way.

use crate::killed::{Dice, Endpoint, MIB, content};
use crate::relay::{Asked, Fate, Relay};
use crate::testenv::{Ran, TestEnv, files_below};
use bucketwright::hashing::digest;
use bucketwright::model::Algorithm;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Seek as _, SeekFrom, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const TARGET: &str = "s3://trouble/p/data/";

/// A server with an empty bucket, and a folder to send through a relay.
pub(crate) struct Scene {
    pub(crate) env: TestEnv,
    pub(crate) endpoint: Endpoint,
    pub(crate) relay: Arc<Relay>,
}

impl Scene {
    /// The judge sees requests of the binary alone; what is read back here takes the other way.
    pub(crate) async fn new(judge: impl Fn(&Asked<'_>) -> Fate + Send + Sync + 'static) -> Self {
        let mut env = TestEnv::new();
        let endpoint = Endpoint::start(&env);
        endpoint.client().create_bucket().bucket("trouble").send().await.unwrap();
        let (url, relay) = Relay::start(&endpoint.url, Box::new(judge));
        with_keys(&mut env, &endpoint.access_key, &endpoint.secret_key, &url);
        Self { env, endpoint, relay }
    }

    pub(crate) fn up(&self, code: i32, more: &[&str]) -> Ran {
        self.env.expect(code, &[&["sync", "data", TARGET, "--output", "json"], more].concat())
    }

    pub(crate) async fn put(&self, key: &str, body: &[u8]) {
        let put = self.endpoint.client().put_object().bucket("trouble").key(key).body(body.to_vec().into());
        put.send().await.unwrap();
    }

    /// The MD5 of every object, by its name.
    pub(crate) async fn objects(&self) -> BTreeMap<String, String> {
        let client = self.endpoint.client();
        let mut pages = client.list_objects_v2().bucket("trouble").into_paginator().send();
        let mut objects = BTreeMap::new();
        while let Some(page) = pages.next().await {
            for object in page.unwrap().contents() {
                let key = object.key().unwrap();
                let got = client.get_object().bucket("trouble").key(key).send().await.unwrap();
                let body = got.body.collect().await.unwrap().into_bytes();
                objects.insert(key.strip_prefix("p/data/").unwrap().to_owned(), md5(&body));
            }
        }
        objects
    }

    pub(crate) async fn unfinished(&self) -> usize {
        let open = self.endpoint.client().list_multipart_uploads().bucket("trouble").send().await.unwrap();
        open.uploads().len()
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.env.path("data")
    }
}

pub(crate) fn with_keys(env: &mut TestEnv, access_key: &str, secret_key: &str, url: &str) {
    for (name, value) in [
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", access_key),
        ("AWS_SECRET_ACCESS_KEY", secret_key),
        ("AWS_ENDPOINT_URL", url),
    ] {
        env.set(name, value);
    }
}

pub(crate) fn md5(bytes: &[u8]) -> String {
    digest(Algorithm::Md5, bytes).to_string()
}

/// The MD5 of every file, by its name.
pub(crate) fn files(folder: &Path) -> BTreeMap<String, String> {
    let name = |path: &Path| path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
    files_below(folder).iter().map(|(path, content)| (name(path), md5(content))).collect()
}

/// How many files, how many of them are large, and how large those are.
struct Scale {
    small_files: u64,
    large_files: u64,
    large_bytes: u64,
}

impl Scale {
    const QUICK: Self = Self { small_files: 145, large_files: 2, large_bytes: 17 * MIB };

    /// `BUCKETWRIGHT_TROUBLE=SMALL,LARGE,MIB`.
    fn from_environment() -> Option<Self> {
        let text = std::env::var("BUCKETWRIGHT_TROUBLE").ok()?;
        let numbers: Vec<u64> = text.split(',').map(|number| number.parse().unwrap()).collect();
        let [small_files, large_files, mib] = numbers.try_into().unwrap();
        Some(Self { small_files, large_files, large_bytes: mib * MIB })
    }

    fn write(&self, env: &TestEnv) {
        let mut dice = Dice(0x5eed);
        for number in 0..self.small_files {
            // Every thirtieth is too large to be read together with others.
            let most = if number % 30 == 7 { 3 * MIB } else { 64 * 1024 };
            env.write(&format!("data/{}/{number}.csv", number % 7), content(number, dice.below(most)));
        }
        for number in 0..self.large_files {
            let length = self.large_bytes + dice.below(MIB);
            env.write(&format!("data/large/{number}.parquet"), content(1_000_000 + number, length));
        }
    }
}

/// 5 % resets, of which some lose the answer to what was done, 5 % slow down, 2 % cut answers, 5 % late ones.
fn trouble() -> impl Fn(&Asked<'_>) -> Fate + Send + Sync + 'static {
    let dice = Mutex::new(Dice(0xbad));
    move |_| match dice.lock().unwrap().below(100) {
        0..3 => Fate::Reset,
        3..5 => Fate::AnswerLost,
        5..10 => Fate::SlowDown,
        10..12 => Fate::AnswerCut,
        12..17 => Fate::Late(Duration::from_millis(200)),
        _ => Fate::Pass,
    }
}

#[expect(clippy::print_stdout, reason = "the numbers are the result of a run at scale")]
async fn there_and_back_through_trouble(scale: Scale) {
    let scene = Scene::new(trouble()).await;
    scale.write(&scene.env);
    let source = files(&scene.data());
    let down = || scene.env.expect(0, &["sync", TARGET, "back", "--output", "json"]);
    let up = || scene.up(0, &[]);
    let directions: [(&str, &dyn Fn() -> Ran); 2] = [("up", &up), ("down", &down)];
    for (direction, sync) in directions {
        let began = Instant::now();
        let first = sync().summary();
        let (requests, troubled) = scene.relay.counted();
        println!("{direction}: {troubled} of {requests} requests in trouble, {:?}", began.elapsed());
        assert_eq!((&first["done"], &first["failed"]), (&source.len().into(), &0.into()), "{direction}: {first}");
        assert!(troubled * 20 > requests, "{direction}: {troubled} of {requests}");
        let second = sync().summary();
        let counts = (&second["done"], &second["unchanged"]);
        assert_eq!(counts, (&0.into(), &source.len().into()), "{direction}: {second}");
        scene.relay.counted();
    }
    assert_eq!(scene.objects().await, source);
    assert_eq!(scene.unfinished().await, 0);
    // No temporary file either: every file is named.
    assert_eq!(files(&scene.env.path("back")), source);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn trouble_on_the_way_is_ridden_out() {
    there_and_back_through_trouble(Scale::QUICK).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "as large as BUCKETWRIGHT_TROUBLE says; `cargo xtask conformance trouble-on-the-way` runs it"]
async fn trouble_on_the_way_is_ridden_out_at_scale() {
    there_and_back_through_trouble(Scale::from_environment().unwrap()).await;
}

#[test]
fn an_endpoint_that_nobody_listens_at_is_told() {
    let mut env = TestEnv::new();
    env.write("data/a", "a");
    // Nobody has it once it is let go.
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("http://{address}");
    with_keys(&mut env, "AKIAIOSFODNN7EXAMPLE", "not-a-real-secret", &url);
    for more in [&["--retry-for", "0s"][..], &[]] {
        for (from, to) in [("data", TARGET), (TARGET, "back")] {
            let ran = env.expect(1, &[&["sync", from, to, "--output", "json"], more].concat());
            let error = &ran.of_type("error")[0];
            assert_eq!(error["kind"], "unreachable", "{error}");
            assert!(error["message"].as_str().unwrap().contains(&url), "{error}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_patience_each_thing_is_asked_once() {
    let scene = Scene::new(|_| Fate::Reset).await;
    scene.env.write("data/a", "a");
    let ran = scene.up(1, &["--retry-for", "0s"]);
    assert_eq!(ran.of_type("error")[0]["kind"], "unreachable");
    // Who am I, who are you (twice at most), and the first page of the listing.
    let requests = scene.relay.counted().0;
    assert!(requests <= 4, "{requests} requests");
}

/// A judge that lets so many PUT requests through; then the endpoint is dead until `is_back`.
fn dies_after(puts: u64, is_back: Arc<dyn Fn() -> bool + Send + Sync>) -> impl Fn(&Asked<'_>) -> Fate + Send + Sync {
    let seen = AtomicU64::new(0);
    move |asked| {
        let number = if asked.method == "PUT" { seen.fetch_add(1, Ordering::Relaxed) + 1 } else { 0 };
        if number.max(seen.load(Ordering::Relaxed)) > puts && !is_back() { Fate::Reset } else { Fate::Pass }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_that_comes_back_in_time_is_waited_for() {
    let died = Mutex::new(None);
    let is_back = move || died.lock().unwrap().get_or_insert_with(Instant::now).elapsed() > Duration::from_secs(3);
    let scene = Scene::new(dies_after(20, Arc::new(is_back))).await;
    Scale { small_files: 60, large_files: 1, large_bytes: 17 * MIB }.write(&scene.env);
    let summary = scene.up(0, &["--retry-for", "30s"]).summary();
    assert_eq!((&summary["done"], &summary["failed"]), (&61.into(), &0.into()), "{summary}");
    assert!(scene.relay.counted().1 > 0, "it was dead for a while");
    assert_eq!(scene.objects().await, files(&scene.data()));
    assert_eq!(scene.unfinished().await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_that_stays_dead_leaves_the_rest_to_the_next_run() {
    let is_back = Arc::new(AtomicBool::new(false));
    let back = Arc::clone(&is_back);
    let scene = Scene::new(dies_after(20, Arc::new(move || back.load(Ordering::Relaxed)))).await;
    Scale { small_files: 60, large_files: 1, large_bytes: 17 * MIB }.write(&scene.env);
    let ran = scene.up(3, &["--retry-for", "0s"]);
    let count = |summary: &serde_json::Value, name: &str| summary[name].as_u64().unwrap();
    let (first, arrived) = (ran.summary(), scene.objects().await.len() as u64);
    // What was done without anybody hearing of it is there, and was not told as done.
    assert!(count(&first, "done") > 0 && count(&first, "done") <= arrived, "{first}: {arrived}");
    assert_eq!(count(&first, "done") + count(&first, "failed"), 61, "{first}");
    let failed = ran.of_type("action").iter().filter(|action| action["status"] == "failed").count();
    assert_eq!(failed as u64, count(&first, "failed"), "each is named");
    is_back.store(true, Ordering::Relaxed);
    let second = scene.up(0, &[]).summary();
    assert_eq!((count(&second, "done"), count(&second, "unchanged")), (61 - arrived, arrived), "{second}");
    assert_eq!(scene.objects().await, files(&scene.data()));
    assert_eq!(scene.unfinished().await, 0);
}

/// The answer to the beginning of an upload is lost, and then the call by which the run looks for what came of it, or the one
/// by which it gives that up.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_that_nobody_heard_of_is_given_up_through_trouble() {
    for trouble in ["GET", "DELETE"] {
        let seen = Mutex::new((false, false));
        let scene = Scene::new(move |asked| {
            let (begun, troubled) = &mut *seen.lock().unwrap();
            let looks = asked.target.contains("uploads") || asked.target.contains("uploadId=");
            if asked.method == "POST" && asked.target.contains("?uploads") && !std::mem::replace(begun, true) {
                Fate::AnswerLost
            } else if *begun && asked.method == trouble && looks && !std::mem::replace(troubled, true) {
                Fate::Reset
            } else {
                Fate::Pass
            }
        })
        .await;
        scene.env.write("data/large.parquet", content(7, 17 * MIB));
        let summary = scene.up(0, &[]).summary();
        assert_eq!((&summary["done"], &summary["failed"]), (&1.into(), &0.into()), "{trouble}: {summary}");
        assert_eq!(scene.relay.counted().1, 2, "{trouble}: both calls were in trouble");
        assert_eq!(scene.unfinished().await, 0, "{trouble}");
    }
}

/// What a thread does to a file while it is sent.
#[derive(Debug, Clone, Copy)]
enum Harm {
    Append,
    Truncate,
    Overwrite,
}

impl Harm {
    /// Another one each time.
    fn change(self, path: &Path, number: u64) {
        let mut file = File::options().write(true).open(path).unwrap();
        match self {
            Self::Append => {
                file.seek(SeekFrom::End(0)).unwrap();
                file.write_all(b"more").unwrap();
            }
            Self::Truncate => file.set_len(file.metadata().unwrap().len() - 1).unwrap(),
            Self::Overwrite => {
                file.seek(SeekFrom::Start(9 * MIB + number)).unwrap();
                file.write_all(b"other").unwrap();
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_changes_on_its_way_is_never_torn() {
    for harm in [Harm::Append, Harm::Truncate, Harm::Overwrite] {
        let is_quiet = Arc::new(AtomicBool::new(false));
        let (quiet, torn) = (Arc::clone(&is_quiet), Arc::new(Mutex::new(PathBuf::new())));
        let path = Arc::clone(&torn);
        let scene = Scene::new(move |asked| {
            let is_part = asked.target.contains("/torn.parquet") && asked.target.contains("partNumber=");
            if !is_part || quiet.load(Ordering::Relaxed) {
                return Fate::Pass;
            }
            harm.change(&path.lock().unwrap(), asked.number);
            Fate::Late(Duration::from_millis(50))
        })
        .await;
        Scale { small_files: 20, large_files: 1, large_bytes: 17 * MIB }.write(&scene.env);
        scene.env.write("data/torn.parquet", content(7, 20 * MIB));
        *torn.lock().unwrap() = scene.env.path("data/torn.parquet");

        scene.put("p/data/too-much.csv", b"stray").await;

        let ran = scene.up(3, &["--delete", "--yes"]);
        let summary = ran.summary();
        assert_eq!((&summary["done"], &summary["failed"]), (&21.into(), &1.into()), "{harm:?}: {summary}");
        assert_eq!(ran.of_type("finding")[0]["code"], "deletes-refused", "{harm:?}");
        let [failed] = ran
            .of_type("action")
            .into_iter()
            .filter(|one| one["status"] == "failed")
            .collect::<Vec<_>>()
            .try_into()
            .unwrap();
        assert_eq!(failed["target"], "s3://trouble/p/data/torn.parquet", "{harm:?}");
        let mut others = files(&scene.data());
        others.remove("torn.parquet");
        others.insert("too-much.csv".to_owned(), md5(b"stray"));
        assert_eq!(scene.objects().await, others, "{harm:?}");
        assert_eq!(scene.unfinished().await, 0, "{harm:?}");

        is_quiet.store(true, Ordering::Relaxed);
        let second = scene.up(0, &["--delete"]).summary();
        assert_eq!((&second["done"], &second["deleted"]), (&2.into(), &1.into()), "{harm:?}: {second}");
        assert_eq!(scene.objects().await, files(&scene.data()), "{harm:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_small_file_that_changes_on_its_way_arrives_as_it_was_once() {
    let path = Arc::new(Mutex::new(PathBuf::new()));
    let changed = Arc::clone(&path);
    let scene = Scene::new(move |asked| {
        if asked.method == "PUT" && asked.target.contains("/small.csv") {
            fs::write(&*changed.lock().unwrap(), "as it is now").unwrap();
        }
        Fate::Pass
    })
    .await;
    scene.env.write("data/small.csv", "as it was then");
    *path.lock().unwrap() = scene.env.path("data/small.csv");
    scene.up(0, &[]);
    assert_eq!(scene.objects().await["small.csv"], md5(b"as it was then"));
    scene.up(0, &[]);
    assert_eq!(scene.objects().await["small.csv"], md5(b"as it is now"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_that_lead_out_of_the_target_are_told_and_never_written() {
    let scene = Scene::new(|_| Fate::Pass).await;
    let hostile = ["../up", "a/../../up", "//slashes", "a//b", "/etc/up", "nul\0nul", "a/.."];
    for name in hostile {
        scene.put(&format!("p/data/{name}"), b"hostile").await;
    }
    scene.put("p/data/good", b"good").await;
    let ran = scene.env.expect(3, &["sync", TARGET, "here/back", "--output", "json"]);
    let told = ran.of_type("finding").iter().filter(|finding| finding["code"] == "odd-file").count();
    assert_eq!((told, &ran.summary()["done"]), (hostile.len(), &1.into()), "{}", ran.stdout);
    assert_eq!(files(&scene.env.path("here")).into_keys().collect::<Vec<_>>(), ["back/good"]);
    assert!(!scene.env.path("up").exists() && !Path::new("/etc/up").exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_is_full_for_one_file_takes_the_others() {
    let scene = Scene::new(|_| Fate::Pass).await;
    Scale { small_files: 5, large_files: 0, large_bytes: 0 }.write(&scene.env);
    scene.env.write("data/2/large.parquet", content(9, 20 * MIB));
    scene.up(0, &[]);
    scene.env.write("back/2/large.parquet", "as it was");
    // A limit on the length of files is what a test can have instead of a full disk. The unit is 512 bytes or 1 KiB.
    let limited = "trap '' XFSZ; ulimit -f 8192; exec \"$0\" \"$@\"";
    let words = ["sync", TARGET, "back", "--output", "json"];
    let command = scene.env.command(&words);
    let mut shell = std::process::Command::new("/bin/sh");
    shell.args(["-c", limited]).arg(command.get_program()).args(words).env_clear().current_dir(scene.env.path("."));
    shell.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let ran = scene.env.ran(&words, &shell.output().unwrap());
    assert_eq!(ran.code, 3, "{}{}", ran.stdout, ran.stderr);
    assert_eq!((&ran.summary()["done"], &ran.summary()["failed"]), (&5.into(), &1.into()), "{}", ran.stdout);
    let mut expected = files(&scene.data());
    expected.insert("2/large.parquet".to_owned(), md5(b"as it was"));
    assert_eq!(files(&scene.env.path("back")), expected);
}
