//! Uploads in parts that end early and are taken up again: nothing is sent twice, nothing of ours is left, nothing of
//! others is touched.

use crate::server_env::Endpoint;
use crate::wire::{Answer, Log, Request, bucket, forget_checksums, key, listened, tampered};
use aws_sdk_s3::types::ChecksumAlgorithm;
use bucketwright::apply::leftovers::{Scope, reconcile};
use bucketwright::apply::transfer::{TransferError, TransferOptions, Transferred, upload, upload_all};
use bucketwright::aws::s3::Store;
use bucketwright::local::{Journal, fingerprint};
use bucketwright::model::{Algorithm, Intent, ObjectKey, Prefix};
use bucketwright::plan::{Action, Reason, Step, Upload};
use bucketwright::report::{Event, Progress};
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tempfile::TempDir;
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;

const MIB: usize = 1024 * 1024;
const PARTS: usize = 4;

fn upload_of(action: &Action) -> &Upload {
    match &action.step {
        Step::Upload(upload) => upload,
        other => panic!("no upload: {other:?}"),
    }
}

/// A file of four parts, an endpoint, and a journal.
struct Scene {
    endpoint: Endpoint,
    folder: TempDir,
    journal: Journal,
    content: Vec<u8>,
}

/// Bytes that no two parts share.
fn content(seed: u8) -> Vec<u8> {
    let mut content = vec![seed; (PARTS - 1) * 5 * MIB + 17];
    for (number, block) in content.chunks_mut(4096).enumerate() {
        block[..8].copy_from_slice(&number.to_le_bytes());
    }
    content
}

impl Scene {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::new(folder.path().join("state"), "test");
        let scene = Self { endpoint: Endpoint::with_bucket().await, folder, journal, content: content(0) };
        fs::create_dir(scene.source()).unwrap();
        fs::write(scene.file(), &scene.content).unwrap();
        scene
    }

    fn source(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn file(&self) -> PathBuf {
        self.source().join("large")
    }

    fn job(&self) -> Action {
        let path = self.file();
        let fingerprint = fingerprint(&path).unwrap();
        let upload = Upload { path, fingerprint, key: key("p/large"), replaces: None };
        Action { bucket: bucket(), step: Step::Upload(upload), reason: Reason::Missing }
    }

    fn options(&self, checksum: Algorithm) -> TransferOptions {
        let part_bytes = 5 * MIB as u64;
        TransferOptions {
            part_bytes,
            multipart_from_bytes: part_bytes,
            requests: 1,
            journal: Some(self.journal.clone()),
            ..TransferOptions::with_checksum(checksum)
        }
    }

    /// Sends the file and has the run cancelled as soon as so many parts have gone out. Returns how many arrived.
    async fn interrupted(&self, checksum: Algorithm, after_parts: usize) -> usize {
        let cancel = CancellationToken::new();
        let (trigger, sent) = (cancel.clone(), AtomicUsize::new(0));
        let after = move |request: &Request, _: &mut Answer| {
            if request.operation() == "UploadPart" && sent.fetch_add(1, Ordering::SeqCst) + 1 == after_parts {
                trigger.cancel();
            }
        };
        let (store, _) = tampered(&self.endpoint, |_| None, after);
        let (transferred, _) = self.send(&store, &self.options(checksum), &cancel).await;
        assert_eq!((transferred.cancelled, transferred.kept_uploads), (1, 1));
        let [upload_id] = self.open_uploads().await.try_into().unwrap();
        self.parts(&upload_id).await
    }

    async fn send(
        &self,
        store: &Store,
        options: &TransferOptions,
        cancel: &CancellationToken,
    ) -> (Transferred, Vec<Event>) {
        let (sender, mut receiver) = mpsc::channel(1000);
        let transferred = upload_all(store, vec![self.job()], options, &sender, cancel).await;
        drop(sender);
        let mut events = Vec::new();
        while let Some(event) = receiver.recv().await {
            events.push(event);
        }
        (transferred, events)
    }

    /// Sends the file to its end, listened to.
    async fn finished(&self, checksum: Algorithm) -> (Log, Vec<Event>) {
        let (store, log) = listened(&self.endpoint);
        self.finished_over(&store, log, checksum).await
    }

    async fn finished_over(&self, store: &Store, log: Log, checksum: Algorithm) -> (Log, Vec<Event>) {
        let (transferred, events) = self.send(store, &self.options(checksum), &CancellationToken::new()).await;
        assert_eq!((transferred.proven.len(), transferred.failed), (1, 0), "{events:?}");
        assert!(self.endpoint.get("p/large").await == fs::read(self.file()).unwrap(), "the object is the file");
        (log, events)
    }

    async fn open_uploads(&self) -> Vec<String> {
        let listed = self.endpoint.client.list_multipart_uploads().bucket("bucket").send().await.unwrap();
        listed.uploads().iter().map(|upload| upload.upload_id().unwrap().to_owned()).collect()
    }

    async fn parts(&self, upload_id: &str) -> usize {
        let parts = self.endpoint.client.list_parts().bucket("bucket").key("p/large").upload_id(upload_id);
        parts.send().await.unwrap().parts().len()
    }

    /// Begins an upload as another program does, with so many bytes as its first part.
    async fn foreign(&self, key: &str, bytes: usize) -> String {
        let client = &self.endpoint.client;
        let begun = client.create_multipart_upload().bucket("bucket").key(key).send().await.unwrap();
        let id = begun.upload_id().unwrap().to_owned();
        if bytes > 0 {
            let part = client.upload_part().bucket("bucket").key(key).upload_id(&id).part_number(1);
            part.body(vec![7; bytes].into()).send().await.unwrap();
        }
        id
    }

    fn intent(&self, key: ObjectKey) -> Intent {
        Intent {
            bucket: bucket(),
            key,
            path: self.file(),
            fingerprint: fingerprint(&self.file()).unwrap(),
            part_bytes: 5 * MIB as u64,
            algorithm: Algorithm::Crc64Nvme,
            attributes: "content-type: application/octet-stream".to_owned(),
        }
    }

    fn remembered(&self) -> usize {
        self.journal.entries(&bucket()).unwrap().len()
    }

    async fn reconciled(&self, is_wanted: bool) -> Vec<Event> {
        let (sender, mut receiver) = mpsc::channel(1000);
        let (store, _) = listened(&self.endpoint);
        let scope = Scope { source: self.source(), bucket: bucket(), folder: "p/".parse().unwrap() };
        reconcile(&store, &self.journal, &scope, &|_| is_wanted, &sender).await;
        drop(sender);
        let mut events = Vec::new();
        while let Some(event) = receiver.recv().await {
            events.push(event);
        }
        events
    }
}

fn codes(events: &[Event]) -> Vec<&'static str> {
    let code = |event: &Event| if let Event::Finding(finding) = event { Some(finding.code) } else { None };
    events.iter().filter_map(code).collect()
}

#[tokio::test]
async fn an_interrupted_upload_goes_on_where_it_ended() {
    for checksum in [Algorithm::Crc64Nvme, Algorithm::Sha256, Algorithm::Md5] {
        let scene = Scene::new().await;
        let arrived = scene.interrupted(checksum, 2).await;
        assert!((2..PARTS).contains(&arrived), "{arrived}");
        assert_eq!(scene.remembered(), 1);
        let (log, events) = scene.finished(checksum).await;
        let resumed = events.iter().find_map(|event| match event {
            Event::Progress(Progress::Resumed { bytes, .. }) => Some(*bytes),
            _ => None,
        });
        assert_eq!(resumed, Some((arrived * 5 * MIB) as u64), "{checksum}");
        let counts = ["ListParts", "UploadPart", "CreateMultipartUpload", "AbortMultipartUpload", "PutObject"];
        assert_eq!(counts.map(|operation| log.count(operation)), [1, PARTS - arrived, 0, 0, 0], "{checksum}");
        assert_eq!((scene.open_uploads().await.len(), scene.remembered()), (0, 0));
    }
}

/// What `kill -9` does to the journal: the entry stays, its lock goes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_vanished_is_taken_up() {
    let scene = Scene::new().await;
    let (gone_out, sent) = (Arc::new(Notify::new()), AtomicUsize::new(0));
    let reached = Arc::clone(&gone_out);
    let before = move |request: &Request| {
        if request.operation() == "UploadPart" && sent.fetch_add(1, Ordering::SeqCst) == 1 {
            reached.notify_one();
        }
        None
    };
    let (store, _) = tampered(&scene.endpoint, before, |_, _| {});
    let (job, options) = (scene.job(), scene.options(Algorithm::Crc64Nvme));
    let (events, _listener) = mpsc::channel(1000);
    let run = tokio::spawn(async move { upload(&store, &bucket(), upload_of(&job), &options, &events).await });
    gone_out.notified().await;
    run.abort();
    assert!(run.await.is_err_and(|error| error.is_cancelled()));
    let (log, _) = scene.finished(Algorithm::Crc64Nvme).await;
    assert!((1..PARTS).contains(&log.count("UploadPart")), "{} parts sent again", log.count("UploadPart"));
    assert_eq!((scene.open_uploads().await.len(), scene.remembered()), (0, 0));
}

#[tokio::test]
async fn a_changed_file_begins_anew() {
    let scene = Scene::new().await;
    scene.interrupted(Algorithm::Crc64Nvme, 2).await;
    fs::write(scene.file(), content(1)).unwrap();
    let (log, events) = scene.finished(Algorithm::Crc64Nvme).await;
    let counts = ["AbortMultipartUpload", "CreateMultipartUpload", "UploadPart"];
    assert_eq!(counts.map(|operation| log.count(operation)), [1, 1, PARTS]);
    assert_eq!(codes(&events), ["leftover-upload"]);
    assert_eq!((scene.open_uploads().await.len(), scene.remembered()), (0, 0));
}

#[tokio::test]
async fn other_options_begin_anew() {
    let scene = Scene::new().await;
    scene.interrupted(Algorithm::Crc64Nvme, 2).await;
    let (log, _) = scene.finished(Algorithm::Sha256).await;
    assert_eq!((log.count("UploadPart"), scene.open_uploads().await.len(), scene.remembered()), (PARTS, 0, 0));
}

#[tokio::test]
async fn parts_are_believed_only_if_they_are_the_files() {
    let scene = Scene::new().await;
    let arrived = scene.interrupted(Algorithm::Crc64Nvme, 2).await;
    let [id] = scene.open_uploads().await.try_into().unwrap();
    let part = scene.endpoint.client.upload_part().bucket("bucket").key("p/large").upload_id(&id).part_number(2);
    let part = part.checksum_algorithm(ChecksumAlgorithm::Crc64Nvme);
    part.body(vec![9; 5 * MIB].into()).send().await.unwrap();
    let (log, _) = scene.finished(Algorithm::Crc64Nvme).await;
    assert_eq!(log.count("UploadPart"), PARTS - arrived + 1, "the wrong one is sent again");
}

#[tokio::test]
async fn an_endpoint_that_names_no_checksums_is_held_to_its_etags() {
    let scene = Scene::new().await;
    let arrived = scene.interrupted(Algorithm::Crc64Nvme, 2).await;
    let after = |request: &Request, answer: &mut Answer| {
        if request.operation() == "ListParts" {
            forget_checksums(answer);
        }
    };
    let (store, log) = tampered(&scene.endpoint, |_| None, after);
    let (log, _) = scene.finished_over(&store, log, Algorithm::Crc64Nvme).await;
    assert_eq!(log.count("UploadPart"), PARTS - arrived);
}

#[tokio::test]
async fn an_upload_that_was_aborted_meanwhile_begins_anew() {
    let scene = Scene::new().await;
    scene.interrupted(Algorithm::Crc64Nvme, 2).await;
    let [id] = scene.open_uploads().await.try_into().unwrap();
    let abort = scene.endpoint.client.abort_multipart_upload().bucket("bucket").key("p/large").upload_id(id);
    abort.send().await.unwrap();
    let (log, _) = scene.finished(Algorithm::Crc64Nvme).await;
    assert_eq!((log.count("UploadPart"), scene.remembered()), (PARTS, 0));
}

#[tokio::test]
async fn parts_that_may_not_be_listed_are_sent_again() {
    let scene = Scene::new().await;
    scene.interrupted(Algorithm::Crc64Nvme, 2).await;
    let before = |request: &Request| (request.operation() == "ListParts").then(|| Answer::error(403, "AccessDenied"));
    let (store, log) = tampered(&scene.endpoint, before, |_, _| {});
    let (log, _) = scene.finished_over(&store, log, Algorithm::Crc64Nvme).await;
    assert_eq!((log.count("UploadPart"), scene.open_uploads().await.len()), (PARTS, 0));
}

/// Failures of the way keep what arrived, failures of the thing itself free it.
#[tokio::test]
async fn what_fails_is_kept_only_where_that_helps() {
    for (status, code, kept) in
        [(503, "SlowDown", 1), (500, "InternalError", 1), (400, "ExpiredToken", 1), (403, "AccessDenied", 0)]
    {
        let scene = Scene::new().await;
        let sent = AtomicUsize::new(0);
        let before = move |request: &Request| {
            let third = request.operation() == "UploadPart" && sent.fetch_add(1, Ordering::SeqCst) >= 2;
            third.then(|| Answer::error(status, code))
        };
        let (store, _) = tampered(&scene.endpoint, before, |_, _| {});
        let options = TransferOptions { retry_for: Duration::ZERO, ..scene.options(Algorithm::Crc64Nvme) };
        let (transferred, _) = scene.send(&store, &options, &CancellationToken::new()).await;
        assert_eq!((transferred.failed, transferred.kept_uploads), (1, kept), "{code}");
        assert_eq!((scene.open_uploads().await.len(), scene.remembered()), (kept as usize, kept as usize), "{code}");
        let (log, _) = scene.finished(Algorithm::Crc64Nvme).await;
        assert_eq!(log.count("UploadPart"), if kept == 1 { PARTS - 2 } else { PARTS }, "{code}");
    }
}

/// The moment between the service's answer and the journal's write.
#[tokio::test]
async fn an_upload_whose_id_was_never_written_down_is_found() {
    let scene = Scene::new().await;
    let before = scene.foreign("p/large", 0).await;
    // The endpoint's clock and ours are one, but tell milliseconds and less.
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    let mut claim = scene.journal.claim(&bucket(), &key("p/large")).unwrap();
    claim.begin(&scene.journal, &scene.intent(key("p/large"))).unwrap();
    drop(claim);
    let ours = scene.foreign("p/large", 0).await;
    let others = [scene.foreign("p/large", 1000).await, scene.foreign("p/larger", 0).await];
    let (log, events) = scene.finished(Algorithm::Crc64Nvme).await;
    assert_eq!((log.count("AbortMultipartUpload"), log.count("ListMultipartUploads")), (1, 1));
    assert_eq!(codes(&events), ["leftover-upload"]);
    let left = scene.open_uploads().await;
    assert!(!left.contains(&ours), "{left:?}");
    assert!(others.iter().chain([&before]).all(|other| left.contains(other)), "{left:?}");
    assert_eq!(scene.remembered(), 0);
}

#[tokio::test]
async fn a_lost_answer_to_the_beginning_leaves_nothing() {
    let scene = Scene::new().await;
    let after = |request: &Request, answer: &mut Answer| {
        if request.operation() == "CreateMultipartUpload" {
            *answer = Answer::error(503, "ServiceUnavailable");
        }
    };
    let (store, _) = tampered(&scene.endpoint, |_| None, after);
    let options = scene.options(Algorithm::Crc64Nvme);
    let (transferred, _) = scene.send(&store, &options, &CancellationToken::new()).await;
    assert_eq!((transferred.failed, scene.open_uploads().await.len()), (1, 1));
    scene.finished(Algorithm::Crc64Nvme).await;
    assert_eq!((scene.open_uploads().await.len(), scene.remembered()), (0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_at_once_do_not_meet() {
    let scene = Scene::new().await;
    scene.interrupted(Algorithm::Crc64Nvme, 2).await;
    let (store, log) = listened(&scene.endpoint);
    let (options, job) = (scene.options(Algorithm::Crc64Nvme), scene.job());
    let (events, _listener) = mpsc::channel(10_000);
    let bucket = bucket();
    let one = upload(&store, &bucket, upload_of(&job), &options, &events);
    let other = upload(&store, &bucket, upload_of(&job), &options, &events);
    let (one, other) = tokio::join!(one, other);
    assert!(one.is_ok() || other.is_ok());
    for refused in [one, other].into_iter().filter_map(Result::err) {
        assert!(matches!(refused, TransferError::ChangedThere(_)), "{refused}");
    }
    assert_eq!(log.count("CreateMultipartUpload"), 1, "one went on, the other began its own");
    assert!(scene.endpoint.get("p/large").await == scene.content);
    assert_eq!((scene.open_uploads().await.len(), scene.remembered()), (0, 0));
}

#[tokio::test]
async fn leftovers_that_nobody_goes_on_with_are_given_up() {
    type Change = fn(&Scene);
    let cases: [(&str, Change, bool, usize); 5] = [
        ("wanted and the same", |_| {}, true, 1),
        ("not wanted", |_| {}, false, 0),
        ("changed", |scene| fs::write(scene.file(), "other").unwrap(), true, 0),
        ("gone", |scene| fs::remove_file(scene.file()).unwrap(), true, 0),
        (
            "its whole source is gone",
            |scene| fs::rename(scene.source(), scene.folder.path().join("x")).unwrap(),
            false,
            1,
        ),
    ];
    for (name, change, is_wanted, left) in cases {
        let scene = Scene::new().await;
        scene.interrupted(Algorithm::Crc64Nvme, 2).await;
        let foreign = scene.foreign("p/large", 1000).await;
        change(&scene);
        let events = scene.reconciled(is_wanted).await;
        assert_eq!(codes(&events), vec!["leftover-upload"; 1 - left], "{name}");
        let open = scene.open_uploads().await;
        assert_eq!((open.len(), scene.remembered()), (left + 1, left), "{name}");
        assert!(open.contains(&foreign), "{name}");
    }
}

#[tokio::test]
async fn other_sources_and_folders_are_none_of_our_business() {
    let scene = Scene::new().await;
    scene.interrupted(Algorithm::Crc64Nvme, 2).await;
    let (store, _) = listened(&scene.endpoint);
    let (events, mut received) = mpsc::channel(100);
    let elsewhere = tempfile::tempdir().unwrap();
    let folder = |text: &str| text.parse::<Prefix>().unwrap();
    for (source, folder) in [(elsewhere.path().to_owned(), folder("p/")), (scene.source(), folder("q/"))] {
        let scope = Scope { source, bucket: bucket(), folder };
        reconcile(&store, &scene.journal, &scope, &|_| false, &events).await;
    }
    assert!(received.try_recv().is_err());
    assert_eq!((scene.open_uploads().await.len(), scene.remembered()), (1, 1));
}

#[tokio::test]
async fn an_entry_that_another_process_works_on_is_left() {
    let scene = Scene::new().await;
    scene.interrupted(Algorithm::Crc64Nvme, 2).await;
    let held = scene.journal.claim(&bucket(), &key("p/large")).unwrap();
    assert_eq!(codes(&scene.reconciled(false).await), Vec::<&str>::new());
    assert_eq!(scene.open_uploads().await.len(), 1);
    drop(held);
    assert_eq!(codes(&scene.reconciled(false).await), ["leftover-upload"]);
}

#[tokio::test]
async fn a_damaged_journal_is_told_and_stops_nobody() {
    let scene = Scene::new().await;
    scene.interrupted(Algorithm::Crc64Nvme, 2).await;
    let entry = crate::testenv::files_below(&scene.folder.path().join("state")).pop().unwrap().0;
    fs::write(&entry, "{\"format\":1,").unwrap();
    let (log, events) = scene.finished(Algorithm::Crc64Nvme).await;
    assert_eq!((codes(&events), log.count("UploadPart")), (vec!["journal-damaged"], PARTS));
    fs::write(&entry, [0; 300]).unwrap();
    assert_eq!(codes(&scene.reconciled(true).await), ["journal-damaged"]);
    assert_eq!(codes(&scene.reconciled(true).await), Vec::<&str>::new());
}

#[tokio::test]
async fn a_journal_that_cannot_be_written_is_told_once_and_stops_nobody() {
    let scene = Scene::new().await;
    fs::write(scene.folder.path().join("state"), "a file in the way").unwrap();
    let (_, events) = scene.finished(Algorithm::Crc64Nvme).await;
    assert_eq!(codes(&events), ["journal-unusable"]);
    assert_eq!(scene.open_uploads().await.len(), 0);
}
