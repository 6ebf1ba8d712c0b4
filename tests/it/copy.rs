//! Copies with the real SDK client: inside one endpoint, through the program between two, and what tells that they are right.

use crate::server_env::Endpoint;
use crate::wire::{
    Answer, Harm, Log, Request, bucket, forget_checksums, key, listened, quick_retries, tampered, with_retries,
};
use aws_sdk_s3::types::ChecksumAlgorithm;
use bucketwright::apply::transfer::{CopyTask, Proven, TransferError, TransferOptions, Way, copy};
use bucketwright::aws::s3::{ErrorClass, Store};
use bucketwright::hashing::digest;
use bucketwright::model::{Algorithm, ETag, ObjectAttributes, ObjectEncryption};
use bucketwright::report::{Event, Progress};
use bucketwright::sync::proof::Rung;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

const MIB: usize = 1024 * 1024;

/// In parts of the least size that an endpoint takes.
const IN_PARTS: Way = Way::Inside { whole_up_to_bytes: 0, part_bytes: 5 << 20 };

fn options() -> TransferOptions {
    let usual = TransferOptions::with_checksum(Algorithm::Crc64Nvme);
    TransferOptions { part_bytes: 5 << 20, multipart_from_bytes: 5 << 20, ..usual }
}

fn content(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at ^ (at >> 8) ^ (at >> 16)).to_le_bytes()[0]).collect()
}

/// Puts an object that has everything a copy takes along.
async fn put_source(endpoint: &Endpoint, name: &str, bytes: &[u8], kept: ChecksumAlgorithm) -> CopyTask {
    let put = endpoint.client.put_object().bucket("bucket").key(name).body(bytes.to_vec().into());
    let put = put.content_type("text/csv").cache_control("no-cache").content_language("de").checksum_algorithm(kept);
    put.metadata("team", "ml").tagging("stage=raw&note=a%20b%2Bc").send().await.unwrap();
    task(endpoint, name).await
}

/// The copy of an object as listings show both ends now.
async fn task(endpoint: &Endpoint, name: &str) -> CopyTask {
    let head = endpoint.client.head_object().bucket("bucket").key(name).send().await.unwrap();
    CopyTask {
        from_bucket: bucket(),
        from_key: key(name),
        size_bytes: u64::try_from(head.content_length().unwrap()).unwrap(),
        etag: head.e_tag().map(ETag::new),
        key: key(&format!("copies/{name}")),
        replaces: None,
    }
}

/// Everything that a copy must have of its source, as the target's endpoint shows it.
async fn shown(
    endpoint: &Endpoint,
    name: &str,
) -> (Vec<u8>, Vec<Option<String>>, HashMap<String, String>, Vec<String>) {
    let got = endpoint.client.get_object().bucket("bucket").key(name).send().await.unwrap();
    let headers = [got.content_type(), got.cache_control(), got.content_language()].map(|text| text.map(str::to_owned));
    let metadata = got.metadata().cloned().unwrap_or_default();
    let bytes = got.body.collect().await.unwrap().to_vec();
    let tags = endpoint.client.get_object_tagging().bucket("bucket").key(name).send().await.unwrap();
    let tags = tags.tag_set().iter().map(|tag| format!("{}={}", tag.key(), tag.value())).collect();
    (bytes, headers.to_vec(), metadata, tags)
}

/// Copies one object; gives what came of it and the events.
async fn run(
    store: &Store,
    task: &CopyTask,
    way: &Way,
    how: &TransferOptions,
) -> (Result<Proven, TransferError>, Vec<Event>) {
    let (sender, mut receiver) = mpsc::channel(1000);
    let result = copy(store, &bucket(), task, way, how, &sender, &CancellationToken::new()).await;
    drop(sender);
    let mut events = Vec::new();
    while let Some(event) = receiver.recv().await {
        events.push(event);
    }
    (result, events)
}

async fn open_uploads(endpoint: &Endpoint) -> usize {
    endpoint.client.list_multipart_uploads().bucket("bucket").send().await.unwrap().uploads().len()
}

#[tokio::test]
async fn every_way_brings_the_same_object() {
    let (source, other) = (Endpoint::with_bucket().await, Endpoint::with_bucket().await);
    let (from, _) = listened(&source);
    let through = Way::Through(from);
    for (length, way, name, inside) in [
        (0, &Way::INSIDE, "empty a+b%c?d#é", true),
        (200_000, &Way::INSIDE, "small a+b%c?d#é", true),
        (11 * MIB, &IN_PARTS, "in parts a+b%c?d#é", true),
        (0, &through, "through empty", false),
        (200_000, &through, "through small", false),
        (11 * MIB, &through, "through large", false),
    ] {
        let bytes = content(length);
        let task = put_source(&source, name, &bytes, ChecksumAlgorithm::Crc64Nvme).await;
        let target = if inside { &source } else { &other };
        let (store, log) = listened(target);
        let (result, events) = run(&store, &task, way, &options()).await;
        let proven = result.unwrap();
        assert_eq!((proven.rung, proven.bytes), (Rung::AsSource, length as u64), "{name}");
        assert_eq!(proven.checksum, Some(digest(Algorithm::Crc64Nvme, &bytes)), "{name}");
        let copied = shown(target, task.key.as_str()).await;
        assert_eq!(copied, shown(&source, name).await, "{name}");
        assert_eq!((copied.0 == bytes, copied.3), (true, vec!["stage=raw".to_owned(), "note=a b+c".to_owned()]));
        let head = store.head_object(&bucket(), &task.key).await.unwrap().unwrap();
        assert_eq!((head.etag, head.checksums), (proven.etag, proven.checksum.into_iter().collect()), "{name}");
        let moved: u64 = events
            .iter()
            .map(|event| if let Event::Progress(Progress::Advanced { bytes }) = event { *bytes } else { 0 })
            .sum();
        assert_eq!((moved, open_uploads(target).await), (length as u64, 0), "{name}");
        if inside && length <= 200_000 {
            assert_eq!(log.requests()[0].operation(), "CopyObject");
            assert_eq!(log.count("HeadObject"), 1, "no request beside the copy and the test's own: {name}");
        }
        if inside {
            assert_eq!(log.count("GetObject") + log.count("PutObject") + log.count("UploadPart"), 0, "{name}");
        }
    }
}

#[tokio::test]
async fn what_a_run_gives_stands_over_what_the_source_has() {
    let (source, other) = (Endpoint::with_bucket().await, Endpoint::with_bucket().await);
    let (from, _) = listened(&source);
    let through = Way::Through(from.clone());
    let mut given = ObjectAttributes { storage_class: Some("STANDARD_IA".parse().unwrap()), ..Default::default() };
    let kept_alone = given.clone();
    given.add_metadata("Team=vision").unwrap();
    given.add_metadata("run=7").unwrap();
    given.set_content_type("text/plain").unwrap();
    given.encryption = Some(ObjectEncryption::SseKms(None));
    let mut tagged = given.clone();
    tagged.add_tag("owner=me + you").unwrap();
    for (length, way, inside) in [
        (1000, &Way::INSIDE, true),
        (1000, &Way::Across(from.clone()), true),
        (11 * MIB, &IN_PARTS, true),
        (1000, &through, false),
        (11 * MIB, &through, false),
    ] {
        for (place, attributes) in [&kept_alone, &given, &tagged].into_iter().enumerate() {
            let name = format!("{length} {place}");
            let task = put_source(&source, &name, &content(length), ChecksumAlgorithm::Crc64Nvme).await;
            let task = CopyTask { key: key(&format!("copies/{name} {}", matches!(way, Way::Across(_)))), ..task };
            let target = if inside { &source } else { &other };
            let (store, log) = listened(target);
            let how = TransferOptions { attributes: Arc::new(attributes.clone()), ..options() };
            let proven = run(&store, &task, way, &how).await.0.unwrap();
            assert_eq!(proven.rung, Rung::AsSource, "{name} {way:?}");
            let head = store.client().head_object().bucket("bucket").key(task.key.as_str()).send().await.unwrap();
            let (bytes, headers, metadata, tags) = shown(target, task.key.as_str()).await;
            assert_eq!((bytes == content(length), head.storage_class().unwrap().as_str()), (true, "STANDARD_IA"));
            let (content_type, team) = if place == 0 { ("text/csv", "ml") } else { ("text/plain", "vision") };
            assert_eq!(headers, [content_type, "no-cache", "de"].map(|text| Some(text.to_owned())), "{name} {way:?}");
            assert_eq!((metadata["team"].as_str(), metadata.contains_key("run")), (team, place > 0), "{name} {way:?}");
            let encryption = head.server_side_encryption().map(|kind| kind.as_str());
            assert_eq!(encryption == Some("aws:kms"), place > 0, "{name} {way:?}: {encryption:?}");
            let owner: &[&str] = if place == 2 { &["owner=me + you"] } else { &["stage=raw", "note=a b+c"] };
            assert_eq!(tags, owner, "{name} {way:?}");
            if inside && length == 1000 && place == 0 {
                assert_eq!(log.requests()[0].operation(), "CopyObject", "nothing of the source has to be known");
            }
        }
    }
}

#[tokio::test]
async fn both_ends_must_be_what_was_seen() {
    let (source, other) = (Endpoint::with_bucket().await, Endpoint::with_bucket().await);
    let (from, _) = listened(&source);
    let through = Way::Through(from);
    for (length, way, inside) in
        [(1000, &Way::INSIDE, true), (6 * MIB, &IN_PARTS, true), (1000, &through, false), (6 * MIB, &through, false)]
    {
        let target = if inside { &source } else { &other };
        let (store, _) = listened(target);
        let mut planned = put_source(&source, "key", &content(length), ChecksumAlgorithm::Crc64Nvme).await;
        let changed = async |planned: &CopyTask, name: &str| {
            let error = run(&store, planned, way, &options()).await.0.unwrap_err();
            let expected = format!("`s3://bucket/{name}` was changed by somebody else");
            assert!(error.to_string().starts_with(&expected), "{length} {way:?}: {error}");
            assert_eq!(open_uploads(target).await, 0);
        };
        // Something stands where nothing was seen.
        target.put("copies/key", b"other").await;
        changed(&planned, "copies/key").await;
        // What stands there is not what was seen.
        planned.replaces = Some(ETag::new("0123"));
        changed(&planned, "copies/key").await;
        assert_eq!(target.get("copies/key").await, b"other");
        // It is.
        planned.replaces = task(target, "copies/key").await.etag;
        run(&store, &planned, way, &options()).await.0.unwrap();
        assert_eq!(target.get("copies/key").await, content(length));
        // The source is another.
        planned.replaces = task(target, "copies/key").await.etag;
        let mut another = content(length);
        another[0] ^= 1;
        source.put("key", &another).await;
        changed(&planned, "key").await;
        assert_eq!(target.get("copies/key").await, content(length));
        target.client.delete_object().bucket("bucket").key("copies/key").send().await.unwrap();
    }
}

#[tokio::test]
async fn a_source_that_changes_between_two_parts_is_not_mixed() {
    let endpoint = Arc::new(Endpoint::with_bucket().await);
    let planned = put_source(&endpoint, "key", &content(11 * MIB), ChecksumAlgorithm::Crc64Nvme).await;
    let (asked, writer) = (AtomicUsize::new(0), Arc::clone(&endpoint));
    let before = move |request: &Request| {
        if request.operation() == "UploadPartCopy" && asked.fetch_add(1, Ordering::SeqCst) == 1 {
            let writer = Arc::clone(&writer);
            let replace = async move { writer.put("key", &[7; 11 * MIB]).await };
            let other = std::thread::spawn(|| tokio::runtime::Runtime::new().unwrap().block_on(replace));
            other.join().unwrap();
        }
        None
    };
    let (store, _) = tampered(&endpoint, before, |_, _| {});
    let one_at_a_time = TransferOptions { requests: 1, ..options() };
    let error = run(&store, &planned, &IN_PARTS, &one_at_a_time).await.0.unwrap_err();
    assert!(error.to_string().starts_with("`s3://bucket/key` was changed"), "{error}");
    assert_eq!(store.head_object(&bucket(), &planned.key).await.unwrap(), None);
    assert_eq!(open_uploads(&endpoint).await, 0);
}

/// A store whose answers to these operations say nothing of checksums.
fn silent(endpoint: &Endpoint) -> (Store, Log) {
    tampered(endpoint, |_| None, |_, answer| forget_checksums(answer))
}

#[tokio::test]
async fn etags_and_lengths_tell_where_no_checksum_does() {
    let endpoint = Endpoint::with_bucket().await;
    let (store, log) = silent(&endpoint);
    // In one piece: the MD5 is the same.
    let small = put_source(&endpoint, "small", &content(1000), ChecksumAlgorithm::Crc64Nvme).await;
    assert_eq!(run(&store, &small, &Way::INSIDE, &options()).await.0.unwrap().rung, Rung::AsSource);
    // In parts: the copy is cut as the source was, although another size is asked for.
    let parts = put_source(&endpoint, "parts", &content(11 * MIB), ChecksumAlgorithm::Crc64Nvme).await;
    let by_five = CopyTask { key: key("by-five"), ..parts };
    run(&store, &by_five, &IN_PARTS, &options()).await.0.unwrap();
    let again = CopyTask { key: key("again"), ..task(&endpoint, "by-five").await };
    let by_eight = Way::Inside { whole_up_to_bytes: 0, part_bytes: 8 << 20 };
    log.clear();
    let proven = run(&store, &again, &by_eight, &options()).await.0.unwrap();
    assert_eq!((proven.rung, proven.etag == again.etag), (Rung::AsSource, true));
    assert_eq!(log.count("UploadPartCopy"), 3);
    // In parts, copied in one piece: only the length is the same.
    let whole = CopyTask { key: key("whole"), ..again };
    assert_eq!(run(&store, &whole, &Way::INSIDE, &options()).await.0.unwrap().rung, Rung::Length);
    for name in ["by-five", "again", "whole"] {
        assert_eq!(endpoint.get(name).await, content(11 * MIB), "{name}");
    }
}

#[tokio::test]
async fn a_multipart_source_is_compared_by_its_checksum() {
    let endpoint = Endpoint::with_bucket().await;
    let (store, _) = listened(&endpoint);
    let large = put_source(&endpoint, "large", &content(11 * MIB), ChecksumAlgorithm::Crc64Nvme).await;
    let parts = CopyTask { key: key("parts"), ..large };
    run(&store, &parts, &IN_PARTS, &options()).await.0.unwrap();
    let flat = CopyTask { key: key("flat"), ..task(&endpoint, "parts").await };
    let proven = run(&store, &flat, &Way::INSIDE, &options()).await.0.unwrap();
    assert_eq!((proven.rung, proven.etag != flat.etag), (Rung::AsSource, true));
}

#[tokio::test]
async fn a_copy_that_is_not_its_source_is_a_failure() {
    let endpoint = Endpoint::with_bucket().await;
    let planned = put_source(&endpoint, "key", &content(6 * MIB), ChecksumAlgorithm::Crc64Nvme).await;
    let own = digest(Algorithm::Crc64Nvme, &content(6 * MIB)).base64();
    for way in [&Way::INSIDE, &IN_PARTS] {
        let own = own.clone();
        let (store, _) = tampered(
            &endpoint,
            |_| None,
            move |request, answer| {
                if let Some(xml) = &mut answer.xml {
                    *xml = xml.replace(&own, "AAAAAAAAAAA=").replace("<ETag>", "<ETag>x");
                }
                if request.operation() == "HeadObject" {
                    answer.headers.insert("x-amz-checksum-crc64nvme".to_owned(), "BBBBBBBBBBA=".to_owned());
                }
            },
        );
        let error = run(&store, &planned, way, &options()).await.0.unwrap_err().to_string();
        let told = error.contains("is not what was sent") || error.contains("did not arrive as it is kept there");
        assert!(told || error.contains("InvalidPart"), "{way:?}: {error}");
        assert_eq!(open_uploads(&endpoint).await, 0);
    }
}

#[tokio::test]
async fn errors_with_status_200_are_errors() {
    for (way, operation) in
        [(&Way::INSIDE, "CopyObject"), (&IN_PARTS, "UploadPartCopy"), (&IN_PARTS, "CompleteMultipartUpload")]
    {
        let endpoint = Endpoint::with_bucket().await;
        let planned = put_source(&endpoint, "key", &content(6 * MIB), ChecksumAlgorithm::Crc64Nvme).await;
        // Once, and it is tried again; always, and it is a failure.
        for (times, succeeds) in [(1, true), (usize::MAX, false)] {
            let planned = CopyTask { key: key(&format!("copy-{succeeds}")), ..planned.clone() };
            let asked = AtomicUsize::new(0);
            let before = move |request: &Request| {
                let hit = request.operation() == operation && asked.fetch_add(1, Ordering::SeqCst) < times;
                hit.then(|| Answer::error(200, "InternalError"))
            };
            let (store, _) = with_retries(&endpoint, quick_retries(), before, |_, _| {});
            let result = run(&store, &planned, way, &options()).await.0;
            assert_eq!(result.is_ok(), succeeds, "{operation}: {result:?}");
            let found = store.head_object(&bucket(), &planned.key).await.unwrap();
            assert_eq!((found.is_some(), open_uploads(&endpoint).await), (succeeds, 0), "{operation}");
        }
    }
}

#[tokio::test]
async fn a_copy_whose_answer_got_lost_is_looked_for() {
    for way in [&Way::INSIDE, &IN_PARTS] {
        let endpoint = Endpoint::with_bucket().await;
        let planned = put_source(&endpoint, "key", &content(6 * MIB), ChecksumAlgorithm::Crc64Nvme).await;
        let lost = AtomicUsize::new(0);
        let after = move |request: &Request, answer: &mut Answer| {
            let last = matches!(request.operation(), "CopyObject" | "CompleteMultipartUpload");
            if last && lost.fetch_add(1, Ordering::SeqCst) == 0 {
                *answer = Answer::error(503, "ServiceUnavailable");
            }
        };
        let (store, _) = with_retries(&endpoint, quick_retries(), |_| None, after);
        assert_eq!(run(&store, &planned, way, &options()).await.0.unwrap().rung, Rung::AsSource, "{way:?}");
        assert_eq!((endpoint.get("copies/key").await.len(), open_uploads(&endpoint).await), (6 * MIB, 0));
    }
}

/// Neither end was changed by anybody: nobody could look.
#[tokio::test]
async fn a_look_that_fails_tells_of_no_change() {
    for (end, way) in [("key", &Way::INSIDE), ("copies/key", &Way::INSIDE), ("copies/key", &IN_PARTS)] {
        let endpoint = Endpoint::with_bucket().await;
        let planned = put_source(&endpoint, "key", &content(6 * MIB), ChecksumAlgorithm::Crc64Nvme).await;
        let before = move |request: &Request| match request.operation() {
            "CopyObject" | "CompleteMultipartUpload" => Some(Answer::error(412, "PreconditionFailed")),
            "HeadObject" if request.target.contains(&format!("/bucket/{end}")) => Some(Answer::error(503, "SlowDown")),
            _ => None,
        };
        let (store, _) = tampered(&endpoint, before, |_, _| {});
        let error = run(&store, &planned, way, &options()).await.0.unwrap_err();
        let class = if let TransferError::S3(error) = &error { Some(error.class) } else { None };
        assert_eq!(class, Some(ErrorClass::Throttled), "{end}: {error}");
        assert_eq!(open_uploads(&endpoint).await, 0);
    }
}

#[tokio::test]
async fn damage_between_two_endpoints_is_seen() {
    let (source, target) = (Endpoint::with_bucket().await, Endpoint::with_bucket().await);
    for length in [100_000, 6 * MIB] {
        let planned = put_source(&source, "key", &content(length), ChecksumAlgorithm::Crc64Nvme).await;
        let (from, _) = tampered(
            &source,
            |_| None,
            |request, answer| {
                if request.operation() == "GetObject" {
                    Harm::Flips.at(60_000, answer);
                }
            },
        );
        let (store, _) = listened(&target);
        let error = run(&store, &planned, &Way::Through(from), &options()).await.0.unwrap_err().to_string();
        let told = error.contains("checksum mismatch") || error.contains("did not arrive as it is kept there");
        assert!(told, "{error}");
        assert_eq!(store.head_object(&bucket(), &planned.key).await.unwrap(), None);
        assert_eq!(open_uploads(&target).await, 0);
    }
}

#[tokio::test]
async fn tags_that_may_not_be_read_stay_behind_with_a_finding() {
    let endpoint = Endpoint::with_bucket().await;
    let planned = put_source(&endpoint, "key", &content(6 * MIB), ChecksumAlgorithm::Crc64Nvme).await;
    let before = |request: &Request| request.target.contains("?tagging").then(|| Answer::error(403, "AccessDenied"));
    let (store, _) = tampered(&endpoint, before, |_, _| {});
    let (result, events) = run(&store, &planned, &IN_PARTS, &options()).await;
    result.unwrap();
    let finding = |event: &&Event| matches!(event, Event::Finding(finding) if finding.code == "tags-not-copied");
    assert_eq!(events.iter().filter(finding).count(), 1);
    assert_eq!(shown(&endpoint, "copies/key").await.3, [""; 0]);
}

#[tokio::test]
async fn memory_of_a_copy_between_endpoints_is_bounded() {
    let (source, target) = (Endpoint::with_bucket().await, Endpoint::with_bucket().await);
    let planned = put_source(&source, "key", &content(32 * MIB), ChecksumAlgorithm::Crc64Nvme).await;
    let (from, _) = listened(&source);
    let (store, log) = listened(&target);
    let two_parts = TransferOptions { body_bytes: 10 << 20, ..options() };
    run(&store, &planned, &Way::Through(from), &two_parts).await.0.unwrap();
    assert!(log.most_bytes() <= 10 << 20, "{}", log.most_bytes());
    assert_eq!(log.count("UploadPart"), 7);
}

#[tokio::test]
async fn a_cancelled_copy_leaves_no_parts() {
    let endpoint = Endpoint::with_bucket().await;
    let planned = put_source(&endpoint, "key", &content(11 * MIB), ChecksumAlgorithm::Crc64Nvme).await;
    let cancel = CancellationToken::new();
    let stop = cancel.clone();
    let before = move |request: &Request| {
        if request.operation() == "UploadPartCopy" {
            stop.cancel();
        }
        None
    };
    let (store, _) = tampered(&endpoint, before, |_, _| {});
    let (events, _listener) = mpsc::channel(1000);
    let result = copy(&store, &bucket(), &planned, &IN_PARTS, &options(), &events, &cancel).await;
    assert!(matches!(result, Err(TransferError::Cancelled)), "{result:?}");
    assert_eq!(open_uploads(&endpoint).await, 0);
}
