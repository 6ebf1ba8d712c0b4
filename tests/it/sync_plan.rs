//! Plans of `sync` that are saved and carried out: exactly that, or nothing at all where something moved.

use crate::server_env::{Endpoint, client, open};
use crate::testenv::{Ran, TestEnv};
use crate::wire::{Request, bucket, listened, tampered, to_bucket};
use bucketwright::apply::sync::saved::{NotAPlan, SavedError};
use bucketwright::apply::sync::{Listener, SyncRequest, checked, saved};
use bucketwright::apply::transfer::TransferOptions;
use bucketwright::local::CachePlace;
use bucketwright::model::{Algorithm, Prefix};
use bucketwright::report::Event;
use bucketwright::sync::saved::{AttributeTexts, Header, Options, Place, VERSION};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

const LAYOUT: &str = r#"
version = 1
layout = "plans"

[[bucket]]
name = "plans-one"
template = "ml-project"
projects = ["one", "two"]
markers = "none"
waive = { access_log = "scratch" }
"#;

const TARGET: &str = "s3://plans-one/one/data/";

/// A bucket with `old` and `same` in it, and a folder with `new`, `old` and `same`.
fn env() -> TestEnv {
    let env = TestEnv::new();
    env.write("layout.toml", LAYOUT);
    env.expect(0, &["apply", "--local", "--yes", "--quiet"]);
    for (name, content) in [("old", "before"), ("same", "same"), ("extra", "extra")] {
        env.write(&format!("data/{name}"), content);
    }
    sync(&env, 0, &["data", TARGET]);
    env.write("data/old", "behind");
    env.write("data/new", "new");
    fs::remove_file(env.path("data/extra")).unwrap();
    env
}

fn sync(env: &TestEnv, code: i32, more: &[&str]) -> Ran {
    env.expect(code, &[&["sync", "--local", "--output", "json"], more].concat())
}

/// `action status target`, in the order of output.
fn actions(ran: &Ran) -> Vec<String> {
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let one = |line: &serde_json::Value| {
        let target = text(&line["target"]).replace(TARGET, "").replace("[dir]/", "");
        format!("{} {} {target}", text(&line["action"]), text(&line["status"]))
    };
    ran.of_type("action").iter().map(one).collect()
}

/// What the folder in the bucket holds: key and bytes.
fn objects(env: &TestEnv) -> Vec<String> {
    let tree = env.run(&["tree", TARGET, "--local", "--output", "json"]);
    let nodes = tree.of_type("node");
    let objects = nodes.iter().filter(|node| node["kind"] == "object");
    objects.map(|node| format!("{} {}", node["path"], node["bytes"])).collect()
}

#[test]
fn a_plan_is_shown_saved_and_done_once() {
    let env = env();
    let ran = sync(&env, 0, &["data", TARGET, "--delete", "--plan", "plans/plan.jsonl"]);
    let planned = ["upload planned new", "upload planned old", "delete planned extra"];
    assert_eq!(actions(&ran), planned);
    assert_eq!((&ran.summary()["planned"], &ran.summary()["unchanged"]), (&3.into(), &1.into()));
    assert!(ran.stderr.contains("sync --apply plans/plan.jsonl"), "{}", ran.stderr);
    let text = fs::read_to_string(env.path("plans/plan.jsonl")).unwrap();
    let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let types: Vec<&str> = lines.iter().map(|line| line["type"].as_str().unwrap()).collect();
    assert_eq!(types, ["sync-plan", "upload", "upload", "delete", "end"]);
    assert_eq!((&lines[4]["transfers"], &lines[4]["deletes"], &lines[4]["bytes"]), (&2.into(), &1.into(), &9.into()));
    assert_eq!(fs::read_dir(env.path("plans")).unwrap().count(), 1);
    let plain = fs::File::create(env.path("plain")).unwrap().metadata().unwrap().permissions().mode();
    assert_eq!(fs::metadata(env.path("plans/plan.jsonl")).unwrap().permissions().mode(), plain);
    assert_eq!(objects(&env).len(), 3, "nothing was written");

    let ran = sync(&env, 0, &["--apply", "plans/plan.jsonl"]);
    let mut done = actions(&ran);
    done[..2].sort();
    assert_eq!(done, planned.map(|action| action.replace("planned", "done")));
    assert_eq!((&ran.summary()["deleted"], &ran.summary()["done"]), (&1.into(), &3.into()));
    // What is in place is left alone, and a new plan has nothing to do.
    let ran = sync(&env, 0, &["--apply", "plans/plan.jsonl", "data", TARGET]);
    assert_eq!((actions(&ran).len(), &ran.summary()["unchanged"]), (0, &3.into()));
    assert_eq!(sync(&env, 0, &["data", TARGET, "--delete", "--dry-run"]).summary()["planned"], 0);
}

#[test]
fn an_applied_plan_that_was_stopped_is_finished_by_the_same_command() {
    let env = env();
    sync(&env, 0, &["data", TARGET, "--plan", "plan.jsonl"]);
    sync(&env, 0, &["data/new", TARGET]);
    let ran = sync(&env, 0, &["--apply", "plan.jsonl"]);
    assert_eq!(actions(&ran), ["upload done old"]);
}

#[tokio::test]
async fn where_anything_moved_it_is_named_and_nothing_is_written() {
    type Change = fn(&TestEnv);
    let edits: [(&str, Change, &str, &str); 6] = [
        ("a file is edited", |env| env.write("data/new", "now"), "new", "its source is another"),
        ("a file comes", |env| env.write("data/more", "more"), "more", "the plan does not have its upload"),
        ("a file goes", |env| fs::remove_file(env.path("data/new")).unwrap(), "new", "nothing is to be done about it"),
        (
            "an object is replaced",
            |env| {
                env.write("other/old", "by others");
                sync(env, 0, &["other", TARGET]);
            },
            "old",
            "it is another than the plan saw",
        ),
        (
            "an object comes",
            |env| {
                env.write("other/zz", "by others");
                sync(env, 0, &["other", TARGET]);
            },
            "zz",
            "the plan does not have its delete",
        ),
        (
            "a file that was to be deleted there is here again",
            |env| env.write("data/extra", "other"),
            "extra",
            "the plan does not have its upload",
        ),
    ];
    for (what, change, target, why) in edits {
        let env = env();
        sync(&env, 0, &["data", TARGET, "--delete", "--yes", "--plan", "plan.jsonl"]);
        change(&env);
        let before = objects(&env);
        let ran = sync(&env, 4, &["--apply", "plan.jsonl", "--yes"]);
        let findings = ran.of_type("finding");
        assert_eq!((findings.len(), &findings[0]["code"]), (1, &"plan-moved".into()), "{what}: {findings:?}");
        assert_eq!(findings[0]["target"], format!("{TARGET}{target}"), "{what}");
        assert!(findings[0]["message"].as_str().unwrap().contains(why), "{what}: {findings:?}");
        assert_eq!(ran.of_type("error")[0]["kind"], "plan-moved", "{what}");
        assert_eq!((actions(&ran).len(), objects(&env)), (0, before), "{what}");
    }
}

#[test]
fn another_checkout_of_the_same_bytes_takes_the_plan() {
    let env = env();
    let local = format!("--local={}", env.path(".bucketwright/local").display());
    sync(&env, 0, &["data", TARGET, "--delete", "--plan", "plan.jsonl"]);
    for name in ["old", "same", "new"] {
        env.write(&format!("elsewhere/data/{name}"), fs::read(env.path(&format!("data/{name}"))).unwrap());
    }
    let apply = |code: i32| {
        let arguments = ["sync", local.as_str(), "--output", "json", "--apply", "../plan.jsonl"];
        let output = env.command(&arguments).current_dir(env.path("elsewhere")).output().unwrap();
        let ran = env.ran(&arguments, &output);
        assert_eq!(ran.code, code, "{}{}", ran.stdout, ran.stderr);
        ran
    };
    env.write("elsewhere/data/new", "now");
    assert_eq!(apply(4).of_type("finding")[0]["code"], "plan-moved");
    env.write("elsewhere/data/new", "new");
    assert_eq!(apply(0).summary()["done"], 3);
}

#[test]
fn downloads_and_copies_are_planned_alike() {
    let env = env();
    env.write("back/old", "mine here");
    env.write("back/gone", "only here");
    env.write("back/same", "same");
    let ran = sync(&env, 0, &[TARGET, "back", "--delete", "--plan", "plan.jsonl"]);
    let planned = ["download planned back/extra", "download planned back/old", "delete planned back/gone"];
    assert_eq!(actions(&ran), planned);
    // What would be replaced or deleted is told by its content, too.
    env.write("back/gone", "other now");
    sync(&env, 4, &["--apply", "plan.jsonl"]);
    assert_eq!(fs::read_to_string(env.path("back/old")).unwrap(), "mine here");
    env.write("back/gone", "only here");
    assert_eq!(sync(&env, 0, &["--apply", "plan.jsonl"]).summary()["done"], 3);
    assert_eq!(fs::read_to_string(env.path("back/old")).unwrap(), "before");
    assert!(!env.path("back/gone").exists());

    let copies = "s3://plans-one/two/data/";
    let ran = sync(&env, 0, &[TARGET, copies, "--plan", "plan.jsonl"]);
    assert_eq!(ran.summary()["planned"], 3);
    env.write("other/old", "by others");
    sync(&env, 0, &["other", TARGET]);
    let findings = sync(&env, 4, &["--apply", "plan.jsonl"]).of_type("finding");
    assert!(findings[0]["message"].as_str().unwrap().contains("its source is another"), "{findings:?}");
    sync(&env, 0, &[TARGET, copies, "--plan", "plan.jsonl"]);
    assert_eq!(sync(&env, 0, &["--apply", "plan.jsonl"]).summary()["done"], 3);
    assert_eq!(sync(&env, 0, &[TARGET, copies, "--dry-run"]).summary()["planned"], 0);
}

#[tokio::test]
async fn options_come_from_the_plan() {
    let env = env();
    env.write("data/cache/x", "x");
    env.write("data/readme.md", "x");
    let options = ["--exclude", "cache/", "--include=cache/x", "--exclude", "*.md", "--metadata", "a=b", "--sse", "s3"];
    let ran = sync(&env, 0, &[&["data", TARGET, "--plan", "plan.jsonl", "--content-type=x/y"], &options[..]].concat());
    let done: Vec<String> = actions(&ran).iter().map(|action| action.replace("planned", "done")).collect();
    let mut applied = actions(&sync(&env, 0, &["--apply", "plan.jsonl"]));
    applied.sort();
    assert_eq!((applied, done.len()), (done, 3));
    let server = open(&env.path(".bucketwright/local"));
    let head = client(&server, server.secret_key()).head_object().bucket("plans-one").key("one/data/cache/x");
    let head = head.send().await.unwrap();
    assert_eq!((head.metadata().unwrap()["a"].as_str(), head.content_type()), ("b", Some("x/y")));
}

#[test]
fn deletes_keep_their_guards() {
    let env = env();
    for name in ["new", "old"] {
        fs::remove_file(env.path(&format!("data/{name}"))).unwrap();
    }
    for more in [&["--dry-run"][..], &["--plan", "plan.jsonl"], &[]] {
        let ran = sync(&env, if more.is_empty() { 3 } else { 0 }, &[&["data", TARGET, "--delete"], more].concat());
        let findings = ran.of_type("finding");
        assert_eq!((&findings[0]["code"], &findings[0]["target"]), (&"deletes-refused".into(), &TARGET.into()));
        assert_eq!(actions(&ran).len(), if more.is_empty() { 0 } else { 2 }, "what the guard is about is shown");
    }
    let ran = sync(&env, 3, &["--apply", "plan.jsonl"]);
    assert_eq!((&ran.of_type("finding")[0]["code"], actions(&ran).len()), (&"deletes-refused".into(), 0));
    assert_eq!(sync(&env, 0, &["--apply", "plan.jsonl", "--yes"]).summary()["deleted"], 2);
    // Nothing in the source says nothing about the target.
    fs::remove_file(env.path("data/same")).unwrap();
    sync(&env, 0, &["data", TARGET, "--delete", "--plan", "plan.jsonl"]);
    sync(&env, 1, &["--apply", "plan.jsonl", "--yes"]);
    assert_eq!(objects(&env).len(), 1);
}

#[test]
fn files_that_are_no_plans_are_refused_by_name() {
    let env = env();
    sync(&env, 0, &["data", TARGET, "--plan", "plan.jsonl"]);
    env.expect(0, &["plan", "--local", "--save", "saved.json"]);
    let text = fs::read_to_string(env.path("plan.jsonl")).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let without = |skipped: usize| {
        let kept = lines.iter().enumerate().filter(|(place, _)| *place != skipped);
        kept.map(|(_, line)| format!("{line}\n")).collect::<String>()
    };
    for (content, why, hint) in [
        (String::new(), "no plan of `sync`", "`sync --plan FILE` wrote"),
        ("version = 1\n".to_owned(), "no plan of `sync`", "`sync --plan FILE` wrote"),
        ("{\"type\":\"summary\"}\n".to_owned(), "no plan of `sync`", "`sync --plan FILE` wrote"),
        (fs::read_to_string(env.path("saved.json")).unwrap(), "made with `plan --save`", "apply --plan FILE"),
        (text.replace("\"version\":1", "\"version\":2"), "version 2", "this version of the program"),
        (text.replace("\"new\"", "\"now\""), "was edited", "make a new plan"),
        (text.replace("upload", "upl0ad"), "line 1 is not", "make a new plan"),
        (text.replace("{\"type\":\"upload\"", "{\"type\":\"create\""), "line 2 is not", "make a new plan"),
        (without(1), "its digest is not", "make a new plan"),
        (without(lines.len() - 1), "cut off", "make a new plan"),
        (text[..text.len() - 20].to_owned(), "cut off", "make a new plan"),
        (format!("{text}{}\n", lines[1]), "its digest is not", "make a new plan"),
    ] {
        env.write("other.jsonl", &content);
        let error = &sync(&env, 2, &["--apply", "other.jsonl"]).of_type("error")[0];
        assert!(error["message"].as_str().unwrap().contains(why), "{why}: {error}");
        assert!(error["hints"][0].as_str().unwrap().contains(hint), "{why}: {error}");
        assert_eq!(error["kind"], "plan-file");
    }
    for (path, why) in [("absent.jsonl", "no such file"), ("data", "is a directory")] {
        let ran = sync(&env, 2, &["--apply", path]);
        assert!(ran.of_type("error")[0]["message"].as_str().unwrap().contains(why), "{}", ran.stdout);
    }
    assert_eq!(objects(&env).len(), 3, "nothing was written");
}

#[test]
fn what_a_plan_settles_is_not_said_twice() {
    let env = env();
    sync(&env, 0, &["data", TARGET, "--plan", "plan.jsonl"]);
    for more in [
        &["--apply", "plan.jsonl", "--delete"][..],
        &["--apply", "plan.jsonl", "--dry-run"],
        &["--apply", "plan.jsonl", "--exclude", "x"],
        &["--apply", "plan.jsonl", "--compare", "size"],
        &["--apply", "plan.jsonl", "--tag", "a=b"],
        &["--apply", "plan.jsonl", "--plan", "other.jsonl"],
        &["data", TARGET, "--plan", "other.jsonl", "--dry-run"],
        &["data", TARGET, "--plan", "other.jsonl", "--bandwidth", "1MiB"],
        &["data", TARGET, "--plan", "data/plan.jsonl"],
        &["data", "--apply", "plan.jsonl", "s3://plans-one/two/data/"],
        &["data/sub", TARGET, "--apply", "plan.jsonl"],
        &["data"],
    ] {
        let error = sync(&env, 2, more).of_type("error")[0]["hints"].to_string();
        assert!(!error.contains("speaks of AWS") && error.len() > 5, "{more:?}: {error}");
    }
    // Another endpoint is another place, whatever stands there.
    let other = env.path("other");
    let local = format!("--local={}", other.display());
    let ran = env.expect(4, &["sync", "--apply", "plan.jsonl", &local, "--output", "json"]);
    assert_eq!(ran.of_type("error")[0]["kind"], "plan-moved");
    assert!(ran.of_type("error")[0]["message"].as_str().unwrap().contains("another endpoint"), "{}", ran.stdout);
}

fn header(request: &SyncRequest) -> Header {
    let options = Options {
        compare: "content".to_owned(),
        checksum: "crc64nvme".to_owned(),
        shard: None,
        delete: false,
        max_delete: None,
        rules: Vec::new(),
        ignore_files: true,
        attributes: AttributeTexts::default(),
    };
    Header {
        version: VERSION,
        program: "test".to_owned(),
        source: "data".to_owned(),
        target: "s3://bucket/".to_owned(),
        route: request.route.clone(),
        place: Place { endpoint: "here".to_owned(), account: None, region: "us-east-1".parse().unwrap() },
        from: None,
        options,
    }
}

/// What is not what the plan saw at the very moment of its transfer is left alone; the others are done.
#[tokio::test]
async fn what_moves_while_the_plan_is_carried_out_stays_as_it_is() {
    let endpoint = Arc::new(Endpoint::with_bucket().await);
    let (files, spill) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for name in ["a", "edited", "met"] {
        fs::write(files.path().join(name), "planned").unwrap();
    }
    // 200 KiB is read alone, and not with its neighbours before the first request.
    fs::write(files.path().join("edited"), vec![1; 200 * 1024]).unwrap();
    let (edited, moved, writer) = (files.path().join("edited"), AtomicBool::new(false), Arc::clone(&endpoint));
    let before = move |request: &Request| {
        if request.operation() == "PutObject" && !moved.swap(true, Ordering::SeqCst) {
            let writer = Arc::clone(&writer);
            let put = async move { writer.put("met", b"by others").await };
            std::thread::spawn(|| tokio::runtime::Runtime::new().unwrap().block_on(put)).join().unwrap();
            fs::write(&edited, vec![2; 200 * 1024]).unwrap();
        }
        None
    };
    let (store, _) = tampered(&endpoint, before, |_, _| {});
    let (events, mut heard) = mpsc::channel(1000);
    let listener = Listener { events, cancel: CancellationToken::new() };
    let path = spill.path().join("plan.jsonl");
    let planned = to_bucket(files.path(), &store, spill.path());
    saved::save(planned, header(&to_bucket(files.path(), &store, spill.path())), &path, &listener).await.unwrap();
    let plan = saved::read(&path).await.unwrap();
    let options = TransferOptions { requests: 1, ..TransferOptions::with_checksum(Algorithm::Crc64Nvme) };
    let now = to_bucket(files.path(), &store, spill.path());
    let synced = checked::carry_out(now, &plan, &store, &options, &listener).await.unwrap();
    drop(listener);
    let mut failed = Vec::new();
    while let Some(event) = heard.recv().await {
        if let Event::Action(action) = event
            && action.proof.is_none()
        {
            failed.push(action.reason);
        }
    }
    assert_eq!(endpoint.get("met").await, b"by others");
    assert!(failed.iter().all(|reason| reason.contains("since the plan was made")), "{failed:?}");
    let arrived: u64 = synced.proofs.values().sum();
    assert_eq!((arrived + synced.moved, synced.moved, synced.failed), (3, failed.len() as u64, failed.len() as u64));
    assert!(synced.moved >= 1, "{failed:?}");
}

/// Whatever ends the check early ends it, however much is still to be looked at.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_that_is_edited_while_it_is_checked_is_refused() {
    let endpoint = Endpoint::with_bucket().await;
    let (files, spill) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    // More than may wait between the stages.
    for number in 0..3000 {
        fs::write(files.path().join(format!("{number:04}")), "").unwrap();
    }
    let (store, log) = listened(&endpoint);
    let cache = CachePlace::new(spill.path(), files.path(), "", &bucket(), &Prefix::root());
    let wanted = || SyncRequest { cache: Some(cache.clone()), ..to_bucket(files.path(), &store, spill.path()) };
    let (events, mut heard) = mpsc::channel(1000);
    tokio::spawn(async move { while heard.recv().await.is_some() {} });
    let listener = Listener { events, cancel: CancellationToken::new() };
    let path = spill.path().join("plan.jsonl");
    saved::save(wanted(), header(&wanted()), &path, &listener).await.unwrap();
    let plan = saved::read(&path).await.unwrap();
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replacen("\"0100\"", "0100", 1)).unwrap();
    let options = TransferOptions::with_checksum(Algorithm::Crc64Nvme);
    let carried = checked::carry_out(wanted(), &plan, &store, &options, &listener);
    let refused = tokio::time::timeout(Duration::from_secs(60), carried).await.expect("it ends").unwrap_err();
    assert!(matches!(refused, SavedError::NotAPlan(NotAPlan::Edited)), "{refused}");
    assert_eq!(log.count("PutObject"), 0);
}
