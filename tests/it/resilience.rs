//! `sync` when what is around it gives way: credentials end, the network goes, peers fall silent, clocks differ, and a proxy
//! or a company's own certificates stand in between.

use crate::killed::{Endpoint, MIB, content};
use crate::relay::{Asked, Fate, Relay};
use crate::sync_faults::{Scene, files, md5, with_keys};
use crate::testenv::{Ran, TestEnv};
use bucketwright::server::Issued;
use jiff::Timestamp;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use std::collections::BTreeSet;
use std::io::Write as _;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

const TARGET: &str = "s3://trouble/p/data/";

fn small_files(env: &TestEnv, count: u64) {
    for number in 0..count {
        env.write(&format!("data/{}/{number}.csv", number % 5), content(number, 2000));
    }
}

fn count(ran: &Ran, name: &str) -> u64 {
    ran.summary()[name].as_u64().unwrap()
}

/// Puts keys into the credentials file, whole or not at all.
fn sign_in(env: &TestEnv, keys: &Issued) {
    let token = keys.session_token.as_ref().map(|token| format!("aws_session_token = {token}\n")).unwrap_or_default();
    let (access_key, secret_key) = (&keys.access_key, &keys.secret_key);
    env.write(
        "home/new",
        format!("[lab]\naws_access_key_id = {access_key}\naws_secret_access_key = {secret_key}\n{token}"),
    );
    std::fs::rename(env.path("home/new"), env.path("home/credentials")).unwrap();
}

/// An endpoint that knows a role, and a run that signs with the keys of profile `lab`.
struct Session {
    scene: Scene,
    trainer: Issued,
    owner: Issued,
}

impl Session {
    async fn new(lasts: Duration, judge: impl Fn(&Asked<'_>) -> Fate + Send + Sync + 'static) -> Self {
        let mut scene = Scene::new(judge).await;
        let url = scene.env.take("AWS_ENDPOINT_URL");
        for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"] {
            scene.env.take(name);
        }
        scene.env.set("AWS_ENDPOINT_URL", &url);
        scene.env.set("AWS_PROFILE", "lab");
        scene.env.write("server/directory/roles/trainer.json", r#"{"policies": ["all"]}"#);
        let all = r#"{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}}"#;
        scene.env.write("server/directory/policies/all.json", all);
        let server = crate::server_env::open(&scene.env.path("server"));
        let trainer = server.credentials_of("trainer", lasts).unwrap();
        sign_in(&scene.env, &trainer);
        let owner = server.owner_credentials();
        Self { scene, trainer, owner }
    }
}

/// Waits for the flag, and fails if it does not come.
fn wait_for(flag: &AtomicBool) {
    let began = Instant::now();
    while !flag.load(Ordering::Relaxed) {
        assert!(began.elapsed() < Duration::from_secs(60), "it never happened");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_ends_in_the_middle_is_followed_by_the_next() {
    let ends = Arc::new(Mutex::new(None::<Instant>));
    let (held, puts, ended) = (Arc::clone(&ends), AtomicU64::new(0), Arc::new(AtomicBool::new(false)));
    let has_ended = Arc::clone(&ended);
    let session = Session::new(Duration::from_secs(10), move |asked| {
        // What comes after the tenth file is held until the session has ended.
        if asked.method == "PUT" && puts.fetch_add(1, Ordering::Relaxed) >= 10 {
            let ends = held.lock().unwrap().unwrap();
            std::thread::sleep(ends.saturating_duration_since(Instant::now()));
            ended.store(true, Ordering::Relaxed);
        }
        Fate::Pass
    })
    .await;
    *ends.lock().unwrap() = Some(Instant::now() + Duration::from_secs(11));
    let Session { scene, owner, .. } = &session;
    small_files(&scene.env, 200);
    scene.env.write("data/large.parquet", content(1, 20 * MIB));
    let ran = std::thread::scope(|scope| {
        scope.spawn(|| {
            wait_for(&has_ended);
            // Who waits for other credentials asks the endpoint nothing meanwhile.
            std::thread::sleep(Duration::from_millis(1500));
            scene.relay.counted();
            std::thread::sleep(Duration::from_millis(1500));
            assert_eq!(scene.relay.counted().0, 0);
            sign_in(&scene.env, owner);
        });
        scene.up(0, &["--retry-for", "60s"])
    });
    assert_eq!((count(&ran, "done"), count(&ran, "failed")), (201, 0));
    let told: Vec<_> = ran.of_type("finding");
    assert_eq!(told[0]["code"], "credentials-expired", "{told:?}");
    assert_eq!(scene.objects().await, files(&scene.data()));
    assert_eq!(scene.unfinished().await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_nobody_renews_ends_the_run_and_the_next_does_the_rest() {
    let (ended, passed) = (Arc::new(Mutex::new(String::new())), Arc::new(Mutex::new(BTreeSet::new())));
    let (key, arrived, refused) = (Arc::clone(&ended), Arc::clone(&passed), Arc::new(AtomicU64::new(0)));
    let refusals = Arc::clone(&refused);
    let session = Session::new(Duration::from_secs(3600), move |asked| {
        if asked.method != "PUT" {
            return Fate::Pass;
        }
        let mut arrived = arrived.lock().unwrap();
        if asked.access_key() == Some(&*key.lock().unwrap()) && arrived.len() >= 12 {
            refused.fetch_add(1, Ordering::Relaxed);
            return Fate::Refused(400, "ExpiredToken");
        }
        assert!(arrived.insert(asked.target.to_owned()), "{} was sent twice", asked.target);
        Fate::Pass
    })
    .await;
    let Session { scene, owner, trainer } = &session;
    ended.lock().unwrap().clone_from(&trainer.access_key);
    small_files(&scene.env, 400);
    scene.env.write("data/0/0.parquet", content(1, 48 * MIB));

    let ran = scene.up(3, &["--retry-for", "2s"]);
    let sent = count(&ran, "done");
    assert!(sent > 0 && sent + count(&ran, "failed") == 401, "{}", ran.summary());
    let errors = ran.of_type("error");
    assert_eq!((errors.len(), &errors[0]["kind"]), (1, &"expired-credentials".into()), "{errors:?}");
    assert!(errors[0]["hints"].to_string().contains("sign in again"), "{errors:?}");
    // Only what was under way when the session ended was asked, and not again and again.
    assert!(refusals.load(Ordering::Relaxed) <= 100, "{refusals:?}");

    sign_in(&scene.env, owner);
    let second = scene.up(0, &[]);
    assert_eq!((count(&second, "done"), count(&second, "unchanged")), (401 - sent, sent), "{}", second.summary());
    assert_eq!(scene.objects().await, files(&scene.data()));
    assert_eq!(scene.unfinished().await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_gives_credentials_is_run_again_while_the_user_is_told() {
    let (ended, puts) = (Arc::new(Mutex::new(String::new())), AtomicU64::new(0));
    let key = Arc::clone(&ended);
    let session = Session::new(Duration::from_secs(3600), move |asked| {
        let is_late = asked.method == "PUT" && puts.fetch_add(1, Ordering::Relaxed) >= 5;
        let is_old = asked.access_key() == Some(&*key.lock().unwrap());
        if is_late && is_old { Fate::Refused(400, "ExpiredToken") } else { Fate::Pass }
    })
    .await;
    let Session { scene, owner, trainer } = &session;
    ended.lock().unwrap().clone_from(&trainer.access_key);
    std::fs::remove_file(scene.env.path("home/credentials")).unwrap();
    let (config, given) = (scene.env.path("home/config"), scene.env.path("given.json"));
    std::fs::write(config, format!("[profile lab]\ncredential_process = cat {}\n", given.display())).unwrap();
    let give = |keys: &Issued| {
        let json = serde_json::json!({ "Version": 1, "AccessKeyId": keys.access_key, "SecretAccessKey": keys.secret_key,
            "SessionToken": keys.session_token });
        std::fs::write(&given, json.to_string()).unwrap();
    };
    give(trainer);
    small_files(&scene.env, 60);
    let shown = scene.env.path("shown");
    let mut command = scene.env.command(&["sync", "data", TARGET, "--retry-for", "60s"]);
    let mut run = command.stdout(std::fs::File::create(&shown).unwrap()).spawn().unwrap();
    let began = Instant::now();
    while !std::fs::read_to_string(&shown).unwrap().contains("[credentials-expired]") {
        assert!(began.elapsed() < Duration::from_secs(60), "nothing was told");
        std::thread::sleep(Duration::from_millis(20));
    }
    give(owner);
    assert!(run.wait().unwrap().success());
    assert_eq!(scene.objects().await, files(&scene.data()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_of_the_environment_cannot_be_renewed_and_are_not_waited_for() {
    let scene = Scene::new(|asked| match asked.method {
        "PUT" => Fate::Refused(400, "ExpiredToken"),
        _ => Fate::Pass,
    })
    .await;
    small_files(&scene.env, 20);
    // An hour of patience would be noticed.
    let ran = scene.up(1, &["--retry-for", "1h"]);
    let errors = ran.of_type("error");
    assert_eq!((count(&ran, "failed"), &errors[0]["kind"]), (20, &"expired-credentials".into()));
    assert!(errors[0]["message"].as_str().unwrap().contains("environment"), "{errors:?}");
}

/// A judge that calls the keys in `ended` expired wherever `is_meant` says so, and notes that it did.
fn ends(
    ended: &Arc<Mutex<String>>,
    noted: &Arc<AtomicBool>,
    is_meant: impl Fn(&Asked<'_>) -> bool + Send + Sync + 'static,
) -> impl Fn(&Asked<'_>) -> Fate + Send + Sync + 'static {
    let (ended, noted) = (Arc::clone(ended), Arc::clone(noted));
    move |asked| {
        if !is_meant(asked) || asked.access_key() != Some(&*ended.lock().unwrap()) {
            return Fate::Pass;
        }
        noted.store(true, Ordering::Relaxed);
        Fate::Refused(400, "ExpiredToken")
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_saved_plan_waits_for_credentials_while_it_is_checked() {
    let (ended, noted) = (Arc::default(), Arc::default());
    let judge = ends(&ended, &noted, |asked| asked.target.contains("list-type=2"));
    let Session { scene, owner, trainer } = &Session::new(Duration::from_secs(3600), judge).await;
    small_files(&scene.env, 10);
    scene.up(0, &["--plan", "plan.jsonl"]);
    ended.lock().unwrap().clone_from(&trainer.access_key);
    let ran = std::thread::scope(|scope| {
        scope.spawn(|| {
            wait_for(&noted);
            // Longer than a look that waits for nothing takes.
            std::thread::sleep(Duration::from_millis(1500));
            sign_in(&scene.env, owner);
        });
        scene.env.expect(0, &["sync", "--apply", "plan.jsonl", "--output", "json", "--retry-for", "60s"])
    });
    assert_eq!((count(&ran, "done"), count(&ran, "failed")), (10, 0));
    assert_eq!(ran.of_type("finding")[0]["code"], "credentials-expired");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_credentials_of_a_source_are_waited_for() {
    let (ended, noted) = (Arc::default(), Arc::default());
    let judge = ends(&ended, &noted, |asked| asked.method == "GET" && asked.target.contains("/3.csv"));
    let Session { mut scene, owner, trainer } = Session::new(Duration::from_secs(3600), judge).await;
    for number in 0..10 {
        scene.put(&format!("p/data/{number}.csv"), &content(number, 2000)).await;
    }
    ended.lock().unwrap().clone_from(&trainer.access_key);
    let source = scene.env.take("AWS_ENDPOINT_URL");
    scene.env.take("AWS_PROFILE");
    let other = TestEnv::new();
    let target = Endpoint::start(&other);
    target.client().create_bucket().bucket("copies").send().await.unwrap();
    with_keys(&mut scene.env, &target.access_key, &target.secret_key, &target.url);
    let words = ["sync", TARGET, "s3://copies/data/", "--source-profile=lab", "--source-endpoint-url", &source];
    let ran = std::thread::scope(|scope| {
        scope.spawn(|| {
            wait_for(&noted);
            std::thread::sleep(Duration::from_millis(1500));
            sign_in(&scene.env, &owner);
        });
        scene.env.expect(0, &[&words[..], &["--output", "json", "--retry-for", "60s"]].concat())
    });
    assert_eq!((count(&ran, "done"), count(&ran, "failed")), (10, 0));
    assert_eq!(ran.of_type("finding")[0]["code"], "credentials-expired");
}

/// A way to an endpoint that can be shut: then nobody listens there, and what was under way breaks off.
struct Door {
    address: std::net::SocketAddr,
    upstream: String,
    streams: Mutex<Vec<TcpStream>>,
    shut: AtomicBool,
}

impl Door {
    fn start(upstream: &str) -> (String, Arc<Self>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let upstream = upstream.strip_prefix("http://").unwrap().to_owned();
        let door = Arc::new(Self { address, upstream, streams: Mutex::default(), shut: AtomicBool::new(false) });
        Arc::clone(&door).listen(listener);
        (format!("http://{address}"), door)
    }

    fn listen(self: Arc<Self>, listener: TcpListener) {
        std::thread::spawn(move || {
            while let Ok((client, _)) = listener.accept() {
                if self.shut.load(Ordering::Relaxed) {
                    return;
                }
                let server = TcpStream::connect(&self.upstream).unwrap();
                let both = [client.try_clone().unwrap(), server.try_clone().unwrap()];
                self.streams.lock().unwrap().extend(both);
                for (mut from, mut to) in [(client.try_clone().unwrap(), server.try_clone().unwrap()), (server, client)]
                {
                    std::thread::spawn(move || {
                        let _ = std::io::copy(&mut from, &mut to);
                        to.shutdown(Shutdown::Both)
                    });
                }
            }
        });
    }

    fn shut(&self) {
        if !self.shut.swap(true, Ordering::Relaxed) {
            // Wakes the listener, which goes away.
            let _ = TcpStream::connect(self.address).and_then(|mut stream| stream.write_all(b"x"));
            for stream in self.streams.lock().unwrap().drain(..) {
                let _ = stream.shutdown(Shutdown::Both);
            }
        }
    }

    fn open(self: &Arc<Self>) {
        self.shut.store(false, Ordering::Relaxed);
        Arc::clone(self).listen(TcpListener::bind(self.address).unwrap());
    }
}

/// A scene whose network goes once so many files have been sent.
async fn losing_its_network(puts: u64) -> (Scene, Arc<Door>, Arc<AtomicBool>) {
    let (door, gone) = (Arc::new(Mutex::new(None::<Arc<Door>>)), Arc::new(AtomicBool::new(false)));
    let (seen, shutting, going) = (AtomicU64::new(0), Arc::clone(&door), Arc::clone(&gone));
    let mut scene = Scene::new(move |asked| {
        if asked.method == "PUT" && seen.fetch_add(1, Ordering::Relaxed) == puts {
            shutting.lock().unwrap().as_ref().unwrap().shut();
            going.store(true, Ordering::Relaxed);
        }
        Fate::Pass
    })
    .await;
    let (url, opened) = Door::start(&scene.env.take("AWS_ENDPOINT_URL"));
    *door.lock().unwrap() = Some(Arc::clone(&opened));
    scene.env.set("AWS_ENDPOINT_URL", &url);
    small_files(&scene.env, 120);
    scene.env.write("data/large.parquet", content(1, 20 * MIB));
    (scene, opened, gone)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_network_that_goes_and_comes_back_is_waited_for() {
    let (scene, door, gone) = losing_its_network(70).await;
    let ran = std::thread::scope(|scope| {
        scope.spawn(|| {
            wait_for(&gone);
            std::thread::sleep(Duration::from_secs(3));
            door.open();
        });
        scene.up(0, &["--retry-for", "10min"])
    });
    assert_eq!((count(&ran, "done"), count(&ran, "failed")), (121, 0));
    assert_eq!(scene.objects().await, files(&scene.data()));
    assert_eq!(scene.unfinished().await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_network_that_stays_away_ends_the_run_and_is_named() {
    let (scene, door, _) = losing_its_network(70).await;
    let ran = scene.up(3, &["--retry-for", "1s"]);
    let sent = count(&ran, "done");
    assert!(sent > 0 && sent + count(&ran, "failed") == 121, "{}", ran.summary());
    let errors = ran.of_type("error");
    assert_eq!((errors.len(), &errors[0]["kind"]), (1, &"unreachable".into()), "{errors:?}");
    assert!(errors[0]["message"].as_str().unwrap().contains(&door.address.to_string()), "{errors:?}");
    door.open();
    let second = scene.up(0, &[]);
    assert_eq!(count(&second, "done") + count(&second, "unchanged"), 121);
    assert_eq!(scene.objects().await, files(&scene.data()));
    assert_eq!(scene.unfinished().await, 0);
}

/// A judge that lets the first request that `is_meant` meet its fate, and passes all others.
fn once(
    fate: Fate,
    is_meant: impl Fn(&Asked<'_>) -> bool + Send + Sync + 'static,
) -> impl Fn(&Asked<'_>) -> Fate + Send + Sync + 'static {
    let done = AtomicBool::new(false);
    move |asked| if is_meant(asked) && !done.swap(true, Ordering::Relaxed) { fate } else { Fate::Pass }
}

/// What becomes of the first request that is meant.
type Row = (&'static str, Fate, fn(&Asked<'_>) -> bool);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_falls_silent_is_noticed_and_asked_again() {
    let is_listing = |asked: &Asked<'_>| asked.target.contains("list-type=2");
    let is_part = |asked: &Asked<'_>| asked.target.contains("partNumber=2");
    let is_small = |asked: &Asked<'_>| asked.method == "PUT" && asked.target.contains("/3.csv");
    let is_range = |asked: &Asked<'_>| asked.method == "GET" && asked.header("range").is_some();
    let is_object = |asked: &Asked<'_>| asked.method == "GET" && asked.target.contains("/3.csv");
    let rows: [Row; 8] = [
        ("a listing without answer", Fate::NoAnswer, is_listing),
        ("a listing that stops", Fate::AnswerStuck, is_listing),
        ("a file without answer", Fate::NoAnswer, is_small),
        ("a part without answer", Fate::NoAnswer, is_part),
        ("a part that is not read", Fate::BodyUnread, is_part),
        ("an object that stops", Fate::AnswerStuck, is_object),
        ("a range that stops", Fate::AnswerStuck, is_range),
        ("a range without answer", Fate::NoAnswer, is_range),
    ];
    let check = |(what, fate, is_meant): Row| async move {
        let scene = Scene::new(once(fate, is_meant)).await;
        small_files(&scene.env, 10);
        scene.env.write("data/large.parquet", content(1, 20 * MIB));
        let quick = &["--stall-timeout", "1s"];
        assert_eq!(count(&scene.up(0, quick), "done"), 11, "{what}");
        let down = ["sync", TARGET, "back", "--output", "json", "--stall-timeout", "1s"];
        assert_eq!(count(&scene.env.expect(0, &down), "done"), 11, "{what}");
        assert_eq!(scene.relay.counted().1, 1, "{what}");
        assert_eq!(files(&scene.env.path("back")), files(&scene.data()), "{what}");
    };
    futures_util::future::join_all(rows.map(check)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_line_is_not_a_silent_one() {
    // At most 1.6 MiB a second: a part takes longer than anything may be silent.
    let scene = Scene::new(|asked| if asked.method == "PUT" { Fate::BodySlow(16) } else { Fate::Pass }).await;
    scene.env.write("data/large.parquet", content(1, 16 * MIB));
    let ran = scene.up(0, &["--stall-timeout", "2s"]);
    assert_eq!(count(&ran, "done"), 1);
    assert_eq!(scene.relay.counted().1, 2, "two parts, none of them twice");
}

/// How far the clock of the endpoint is ahead: more than it takes of others, less than the real one takes.
const AHEAD: Duration = Duration::from_secs(8 * 60);

fn refuses_the_past(asked: &Asked<'_>) -> Fate {
    let Some(date) = asked.header("x-amz-date") else { return Fate::Pass };
    let signed = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%SZ", date).unwrap();
    let signed = signed.to_zoned(jiff::tz::TimeZone::UTC).unwrap().timestamp();
    let off = signed.duration_since(Timestamp::now() + AHEAD).abs();
    if off.as_secs() > 5 * 60 { Fate::Refused(403, "RequestTimeTooSkewed") } else { Fate::Pass }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_differs_is_reckoned_with() {
    let mut scene = Scene::new(|_| Fate::Pass).await;
    scene.env.take("AWS_ENDPOINT_URL");
    let (url, relay) = Relay::start_ahead(&scene.endpoint.url, AHEAD, Box::new(refuses_the_past));
    scene.env.set("AWS_ENDPOINT_URL", &url);
    small_files(&scene.env, 40);
    assert_eq!(count(&scene.up(0, &[]), "done"), 40);
    let (requests, refused) = relay.counted();
    assert!(refused > 0 && refused < 10, "{refused} of {requests}");
    assert_eq!(scene.objects().await, files(&scene.data()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_nothing_helps_is_told() {
    let scene = Scene::new(|_| Fate::Refused(403, "RequestTimeTooSkewed")).await;
    small_files(&scene.env, 1);
    let errors = scene.up(1, &[]).of_type("error");
    assert_eq!(errors[0]["kind"], "clock-skew", "{errors:?}");
    assert!(errors[0]["hints"].to_string().contains("clock"), "{errors:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_few_that_fail_leave_the_others_alone_and_are_done_next_time() {
    let mended = Arc::new(AtomicBool::new(false));
    let is_mended = Arc::clone(&mended);
    let failing = ["/7.csv", "/17.csv", "/27.csv"];
    let scene = Scene::new(move |asked| {
        let fails = asked.method == "PUT" && failing.iter().any(|name| asked.target.contains(name));
        if fails && !is_mended.load(Ordering::Relaxed) { Fate::Refused(403, "AccessDenied") } else { Fate::Pass }
    })
    .await;
    small_files(&scene.env, 60);
    let ran = scene.up(3, &[]);
    assert_eq!((count(&ran, "done"), count(&ran, "failed")), (57, 3));
    let actions = ran.of_type("action");
    let failed = actions.iter().filter(|one| one["status"] == "failed").map(|one| one["target"].as_str().unwrap());
    let named: BTreeSet<&str> = failed.map(|target| target.rsplit('/').next().unwrap()).collect();
    assert_eq!(named, BTreeSet::from(["17.csv", "27.csv", "7.csv"]));
    mended.store(true, Ordering::Relaxed);
    let second = scene.up(0, &[]);
    assert_eq!((count(&second, "done"), count(&second, "unchanged")), (3, 57));
    assert_eq!(scene.objects().await, files(&scene.data()));
}

/// The host that the certificate names, and that only a proxy finds.
const HOST: &str = "store.example.test";

/// Ends TLS in front of `upstream`, with a certificate that an authority of its own signed. Returns its address and the
/// authority's certificate.
async fn tls_before(upstream: &str) -> (std::net::SocketAddr, String) {
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let names = ["localhost", "127.0.0.1", HOST].map(str::to_owned);
    let certificate = CertificateParams::new(names).unwrap().signed_by(&key, &authority).unwrap();
    let chain: Vec<CertificateDer<'static>> = vec![certificate.der().clone()];
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key).unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let upstream = upstream.strip_prefix("http://").unwrap().to_owned();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let (acceptor, upstream) = (acceptor.clone(), upstream.clone());
            tokio::spawn(async move {
                // A client that does not trust us ends here.
                let Ok(mut client) = acceptor.accept(client).await else { return };
                let mut server = tokio::net::TcpStream::connect(upstream).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
    (address, authority.pem())
}

/// A scene behind TLS, with the authority's certificate in `ca.pem`.
async fn behind_tls() -> (Scene, std::net::SocketAddr) {
    let mut scene = Scene::new(|_| Fate::Pass).await;
    let (address, authority) = tls_before(&scene.env.take("AWS_ENDPOINT_URL")).await;
    scene.env.set("AWS_ENDPOINT_URL", &format!("https://localhost:{}", address.port()));
    scene.env.write("ca.pem", authority);
    small_files(&scene.env, 20);
    scene.env.write("data/large.parquet", content(1, 20 * MIB));
    (scene, address)
}

/// Runs the binary on a thread of its own, so that servers of this test go on.
async fn off_thread<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    tokio::task::block_in_place(work)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_companys_own_certificate_is_trusted_if_it_is_named() {
    let (mut scene, _) = behind_tls().await;
    for bundle in [None, Some("other.pem")] {
        // A bundle with somebody else's certificate is of no help.
        scene.env.write("other.pem", tls_before("http://127.0.0.1:1").await.1);
        let more: Vec<&str> = bundle.map(|file| vec!["--ca-bundle", file]).unwrap_or_default();
        let errors = off_thread(|| scene.up(1, &more)).await.of_type("error");
        assert_eq!(errors[0]["kind"], "untrusted-certificate", "{errors:?}");
        assert!(errors[0]["hints"].to_string().contains("AWS_CA_BUNDLE"), "{errors:?}");
    }
    let ran = off_thread(|| scene.up(0, &["--ca-bundle", "ca.pem"])).await;
    assert_eq!(count(&ran, "done"), 21);
    scene.env.set("AWS_CA_BUNDLE", "ca.pem");
    let down = ["sync", TARGET, "back", "--output", "json"];
    assert_eq!(count(&off_thread(|| scene.env.expect(0, &down)).await, "done"), 21);
    assert_eq!(files(&scene.env.path("back")), files(&scene.data()));
}

#[test]
fn a_bundle_that_is_none_is_told_before_anything_is_asked() {
    let mut env = TestEnv::new();
    env.write("data/a", "a");
    with_keys(&mut env, "AKIAIOSFODNN7EXAMPLE", "not-a-real-secret", "https://127.0.0.1:1");
    for bundle in [
        "no certificate at all",
        "-----BEGIN CERTIFICATE-----\n%%%%\n-----END CERTIFICATE-----\n",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    ] {
        env.write("ca.pem", bundle);
        let ran = env.expect(2, &["sync", "data", TARGET, "--ca-bundle", "ca.pem", "--output", "json"]);
        let errors = ran.of_type("error");
        assert!(errors[0]["message"].as_str().unwrap().contains("ca.pem"), "{bundle}: {errors:?}");
    }
}

/// The user and the password of the proxy, and how a request shows them.
const PASSWORD: &str = "hunter2";
const BASIC: &str = "Basic amFuZTpodW50ZXIy";

/// A proxy that lets nobody through who does not show the password, and notes what was asked.
fn proxy(upstream: &str) -> (String, Arc<Mutex<BTreeSet<String>>>) {
    let asked_for = Arc::new(Mutex::new(BTreeSet::new()));
    let noted = Arc::clone(&asked_for);
    let judge = move |asked: &Asked<'_>| {
        if asked.header("proxy-authorization").is_some_and(|shown| shown != BASIC) {
            return Fate::Refused(407, "WhoAreYou");
        }
        let start: String = asked.target.split_inclusive('/').take(3).collect();
        noted.lock().unwrap().insert(format!("{} {start}", if asked.method == "CONNECT" { "CONNECT" } else { "-" }));
        Fate::Pass
    };
    let (url, _) = Relay::start(upstream, Box::new(judge));
    (url.strip_prefix("http://").unwrap().to_owned(), asked_for)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_proxy_is_gone_through_over_http_and_over_tls() {
    let (mut scene, tls) = behind_tls().await;
    let (through_http, http) = proxy(&scene.endpoint.url);
    let (through_tls, https) = proxy(&format!("http://{tls}"));
    scene.env.take("AWS_ENDPOINT_URL");
    scene.env.set("HTTP_PROXY", &format!("http://jane:{PASSWORD}@{through_http}"));
    scene.env.set("https_proxy", &format!("jane:{PASSWORD}@{through_tls}"));
    for (name, url, bundle) in [("plain", "http", None), ("tls", "https", Some("ca.pem"))] {
        let (target, url) = (format!("s3://trouble/{name}/"), format!("{url}://{HOST}"));
        let mut words = vec!["sync", "data", &target, "--output", "json", "--endpoint-url", &url, "-vv"];
        words.extend(bundle.into_iter().flat_map(|file| ["--ca-bundle", file]));
        let ran = off_thread(|| scene.env.expect(0, &words)).await;
        assert_eq!(count(&ran, "done"), 21, "{name}");
        assert!(!format!("{}{}", ran.stdout, ran.stderr).contains(PASSWORD), "{name}");
    }
    assert_eq!(*http.lock().unwrap(), BTreeSet::from([format!("- http://{HOST}/")]));
    assert_eq!(*https.lock().unwrap(), BTreeSet::from([format!("CONNECT {HOST}:443")]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn this_machine_needs_no_proxy_and_others_can_be_excepted() {
    let mut scene = Scene::new(|_| Fate::Pass).await;
    small_files(&scene.env, 3);
    let (address, asked_for) = proxy(&scene.endpoint.url);
    scene.env.set("HTTP_PROXY", &format!("http://{address}"));
    assert_eq!(count(&scene.up(0, &[]), "done"), 3);
    // Nobody finds that host but the proxy, which is not asked.
    scene.env.set("NO_PROXY", &format!("other.test, {HOST}"));
    let url = format!("http://{HOST}");
    let ran = scene.env.expect(1, &["sync", "data", TARGET, "--output", "json", "--endpoint-url", &url]);
    assert_eq!(ran.of_type("error")[0]["kind"], "unreachable");
    assert_eq!(*asked_for.lock().unwrap(), BTreeSet::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_that_refuses_is_named_and_its_password_is_not() {
    let mut env = TestEnv::new();
    env.write("data/a", "a");
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (refusing, _) = proxy("http://127.0.0.1:1");
    for (scheme, variable, address) in [
        ("http", "HTTP_PROXY", nobody.to_string()),
        ("https", "HTTPS_PROXY", nobody.to_string()),
        ("https", "HTTPS_PROXY", refusing),
    ] {
        let url = format!("{scheme}://{HOST}");
        let mut env = TestEnv::new();
        env.write("data/a", "a");
        with_keys(&mut env, "AKIAIOSFODNN7EXAMPLE", "not-a-real-secret", &url);
        env.set(variable, &format!("http://eve:{PASSWORD}@{address}"));
        let words = ["sync", "data", TARGET, "--output", "json", "--retry-for", "0s", "-vv"];
        let ran = env.expect(1, &words);
        let errors = ran.of_type("error");
        assert_eq!(errors[0]["kind"], "unreachable", "{errors:?}");
        assert!(errors[0]["message"].as_str().unwrap().contains(variable), "{errors:?}");
        assert!(!format!("{}{}", ran.stdout, ran.stderr).contains(PASSWORD), "{errors:?}");
    }
    with_keys(&mut env, "AKIAIOSFODNN7EXAMPLE", "not-a-real-secret", "https://127.0.0.1:1");
    env.set("ALL_PROXY", &format!("socks5://eve:{PASSWORD}@{nobody}"));
    let ran = env.expect(2, &["sync", "data", TARGET]);
    assert!(ran.stderr.contains("ALL_PROXY") && !ran.stderr.contains(PASSWORD), "{}", ran.stderr);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_embedded_endpoint_needs_no_network() {
    let mut env = TestEnv::new();
    env.write("data/a", "a");
    env.set("HTTP_PROXY", "http://127.0.0.1:1");
    env.set("HTTPS_PROXY", "http://127.0.0.1:1");
    env.expect(1, &["sync", "data", TARGET, "--local", "--output", "json"]);
    let endpoint = Endpoint::start(&env);
    endpoint.client().create_bucket().bucket("trouble").send().await.unwrap();
    env.expect(0, &["sync", "data", TARGET, "--local=server"]);
    assert_eq!(md5(b"a"), files(&env.path("data"))["a"]);
}
