//! Sending files to the embedded endpoint with the real SDK client: proven, untorn, conditional, bounded.

use crate::server_env::Endpoint;
use crate::wire::{
    Answer, Log, Request, bucket, forget_checksums, key, listened, quick_retries, tampered, with_retries,
};
use bucketwright::apply::transfer::{Proven, TransferError, TransferOptions, Transferred, upload, upload_all};
use bucketwright::aws::s3::Store;
use bucketwright::hashing::{composite, digest, multipart_etag};
use bucketwright::local::fingerprint;
use bucketwright::model::{Algorithm, Checksum};
use bucketwright::plan::{Action, Reason, Step, Upload};
use bucketwright::report::{Event, Progress, Status};
use bucketwright::sync::proof::Rung;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

const MIB: usize = 1024 * 1024;

/// Bytes that no two parts share.
fn content(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at ^ (at >> 8) ^ (at >> 16)).to_le_bytes()[0]).collect()
}

fn planned(path: &Path, name: &str) -> Upload {
    Upload { path: path.to_owned(), fingerprint: fingerprint(path).unwrap(), key: key(name), replaces: None }
}

/// A folder with one file, and its upload.
fn file(name: &str, bytes: &[u8]) -> (TempDir, PathBuf, Upload) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, bytes).unwrap();
    let upload = planned(&path, name);
    (folder, path, upload)
}

/// Parts of the least size, so that small files have several.
fn in_parts(checksum: Algorithm) -> TransferOptions {
    let part_bytes = 5 * MIB as u64;
    TransferOptions { part_bytes, multipart_from_bytes: part_bytes, ..TransferOptions::with_checksum(checksum) }
}

fn whole(checksum: Algorithm) -> TransferOptions {
    TransferOptions::with_checksum(checksum)
}

/// Sends one file; gives what came of it and the events.
async fn send(
    store: &Store,
    planned: &Upload,
    options: &TransferOptions,
) -> (Result<Proven, TransferError>, Vec<Event>) {
    let (sender, mut receiver) = mpsc::channel(1000);
    let result = upload(store, &bucket(), planned, options, &sender).await;
    drop(sender);
    let mut events = Vec::new();
    while let Some(event) = receiver.recv().await {
        events.push(event);
    }
    (result, events)
}

async fn proven(store: &Store, planned: &Upload, options: &TransferOptions) -> Proven {
    send(store, planned, options).await.0.unwrap()
}

async fn failed(store: &Store, planned: &Upload, options: &TransferOptions) -> String {
    send(store, planned, options).await.0.unwrap_err().to_string()
}

async fn open_uploads(endpoint: &Endpoint) -> usize {
    endpoint.client.list_multipart_uploads().bucket("bucket").send().await.unwrap().uploads().len()
}

#[tokio::test]
async fn one_request_carries_its_checksum_in_a_header() {
    let endpoint = Endpoint::with_bucket().await;
    let (_folder, _, planned) = file("data.csv", b"a,b\n1,2\n");
    let (store, log) = listened(&endpoint);
    let proven = proven(&store, &planned, &whole(Algorithm::Crc64Nvme)).await;
    assert_eq!((proven.rung, proven.bytes), (Rung::Echoed, 8));
    let crc = digest(Algorithm::Crc64Nvme, b"a,b\n1,2\n");
    assert_eq!(proven.checksum.as_ref(), Some(&crc));
    let requests = log.requests();
    assert_eq!(requests.len(), 1, "a proven upload is one request");
    for (name, value) in [
        ("x-amz-checksum-crc64nvme", crc.base64().as_str()),
        ("content-length", "8"),
        ("content-type", "text/csv"),
        ("content-encoding", ""),
        ("transfer-encoding", ""),
        ("x-amz-trailer", ""),
        ("x-amz-content-sha256", "UNSIGNED-PAYLOAD"),
        ("if-none-match", "*"),
    ] {
        assert_eq!(requests[0].header(name), value, "{name}");
    }
    let signed = requests[0].header("authorization");
    assert!(signed.contains("x-amz-checksum-crc64nvme"), "the checksum is signed: {signed}");
    assert_eq!(endpoint.get("data.csv").await, b"a,b\n1,2\n");
}

#[tokio::test]
async fn payloads_are_signed_unless_the_way_is_safe() {
    let endpoint = Endpoint::with_bucket().await;
    let (_folder, _, planned) = file("data.csv", b"abc");
    let (store, log) = listened(&endpoint);
    let signing = Store::new(store.client().clone(), None, false);
    proven(&signing, &planned, &whole(Algorithm::Crc64Nvme)).await;
    assert_eq!(log.requests()[0].header("x-amz-content-sha256"), digest(Algorithm::Sha256, b"abc").hex());
}

#[tokio::test]
async fn every_checksum_and_an_empty_file() {
    let endpoint = Endpoint::with_bucket().await;
    let (store, log) = listened(&endpoint);
    for (algorithm, header, rung) in [
        (Algorithm::Crc64Nvme, "x-amz-checksum-crc64nvme", Rung::Echoed),
        (Algorithm::Sha256, "x-amz-checksum-sha256", Rung::Echoed),
        (Algorithm::Md5, "content-md5", Rung::EtagMd5),
    ] {
        for bytes in [&b""[..], b"some content"] {
            log.clear();
            let (_folder, _, planned) = file(&format!("{algorithm}-{}", bytes.len()), bytes);
            let proven = proven(&store, &planned, &whole(algorithm)).await;
            assert_eq!((proven.rung, proven.bytes), (rung, bytes.len() as u64), "{algorithm}");
            let requests = log.requests();
            assert_eq!(requests.len(), 1);
            assert_eq!(requests[0].header(header), digest(algorithm, bytes).base64());
            let checksums = requests[0].headers.keys().filter(|name| name.contains("checksum") || name.contains("md5"));
            assert_eq!(checksums.collect::<Vec<_>>(), [header], "no second checksum by the SDK");
            assert_eq!(endpoint.get(planned.key.as_str()).await, bytes);
        }
    }
}

#[tokio::test]
async fn parts_make_one_object_with_one_checksum() {
    let endpoint = Endpoint::with_bucket().await;
    let bytes = content(12 * MIB + 17);
    let (_folder, _, planned) = file("large.parquet", &bytes);
    let (store, log) = listened(&endpoint);
    let proven = proven(&store, &planned, &in_parts(Algorithm::Crc64Nvme)).await;
    assert_eq!((proven.rung, proven.bytes), (Rung::Echoed, bytes.len() as u64));
    let crc = digest(Algorithm::Crc64Nvme, &bytes);
    assert_eq!(proven.checksum.as_ref(), Some(&crc));
    assert_eq!(proven.etag.unwrap().part_count(), Some(3));
    let head = store.head_object(&bucket(), &planned.key).await.unwrap().unwrap();
    assert_eq!((head.size_bytes, head.checksum(Algorithm::Crc64Nvme)), (bytes.len() as u64, Some(&crc)));
    assert_eq!(endpoint.get("large.parquet").await, bytes);
    let requests = log.requests();
    let create = &requests[0];
    assert_eq!(create.header("x-amz-checksum-algorithm"), "CRC64NVME");
    assert_eq!(create.header("x-amz-checksum-type"), "FULL_OBJECT");
    assert_eq!(create.header("content-type"), "application/vnd.apache.parquet");
    let complete = requests.iter().find(|request| request.operation() == "CompleteMultipartUpload").unwrap();
    assert_eq!(complete.header("x-amz-checksum-crc64nvme"), crc.base64());
    assert_eq!(complete.header("x-amz-mp-object-size"), bytes.len().to_string());
    assert_eq!(complete.header("if-none-match"), "*");
    assert_eq!((log.count("UploadPart"), open_uploads(&endpoint).await), (3, 0));
}

#[tokio::test]
async fn parts_by_digests_that_do_not_combine() {
    let endpoint = Endpoint::with_bucket().await;
    let bytes = content(11 * MIB);
    let (_folder, _, mut planned) = file("large.bin", &bytes);
    let (store, log) = listened(&endpoint);
    let of_parts = |algorithm| bytes.chunks(5 * MIB).map(move |part| digest(algorithm, part)).collect::<Vec<_>>();
    planned.key = key("sha256");
    let sha256 = proven(&store, &planned, &in_parts(Algorithm::Sha256)).await;
    assert_eq!((sha256.rung, sha256.checksum), (Rung::Echoed, None));
    let head = store.head_object(&bucket(), &planned.key).await.unwrap().unwrap();
    let wanted = composite(Algorithm::Sha256, &of_parts(Algorithm::Sha256)).base64();
    assert_eq!(head.composite, Some(format!("{wanted}-3")));
    planned.key = key("md5");
    log.clear();
    let md5 = proven(&store, &planned, &in_parts(Algorithm::Md5)).await;
    assert_eq!((md5.rung, md5.checksum), (Rung::EtagMd5, None));
    let md5s = of_parts(Algorithm::Md5);
    assert_eq!(md5.etag, Some(multipart_etag(md5s.iter().map(Checksum::digest))));
    let parts: Vec<Request> =
        log.requests().into_iter().filter(|request| request.operation() == "UploadPart").collect();
    assert!(parts.iter().all(|part| !part.header("content-md5").is_empty()));
    assert_eq!(log.count("HeadObject"), 0, "the ETag was proof enough");
}

/// What the endpoint does not say, and the rung that is left.
#[tokio::test]
async fn the_ladder_is_climbed_from_the_top() {
    let small = content(1000);
    let large = content(11 * MIB);
    let cases: [(&str, &[&str], Rung, Rung); 4] = [
        ("tells all", &[], Rung::Echoed, Rung::Echoed),
        ("does not echo", &["PutObject", "CompleteMultipartUpload"], Rung::Head, Rung::Head),
        ("tells only of parts", &["PutObject", "CompleteMultipartUpload", "HeadObject"], Rung::EtagMd5, Rung::Parts),
        (
            "knows no checksums",
            &["PutObject", "UploadPart", "CompleteMultipartUpload", "HeadObject"],
            Rung::EtagMd5,
            Rung::EtagMd5,
        ),
    ];
    for (name, silent, for_small, for_large) in cases {
        let endpoint = Endpoint::with_bucket().await;
        let (store, _) = tampered(
            &endpoint,
            |_| None,
            move |request, answer| {
                if silent.contains(&request.operation()) {
                    forget_checksums(answer);
                }
            },
        );
        let (_folder, _, planned) = file("small", &small);
        assert_eq!(proven(&store, &planned, &whole(Algorithm::Crc64Nvme)).await.rung, for_small, "{name}");
        let (_folder, _, planned) = file("large", &large);
        assert_eq!(proven(&store, &planned, &in_parts(Algorithm::Crc64Nvme)).await.rung, for_large, "{name}");
    }
}

#[tokio::test]
async fn an_answer_that_contradicts_or_proves_nothing_is_a_failure() {
    let endpoint = Endpoint::with_bucket().await;
    let (_folder, _, planned) = file("small", b"content");
    let (store, _) = tampered(
        &endpoint,
        |_| None,
        |_, answer| {
            answer.headers.insert("x-amz-checksum-crc64nvme".to_owned(), "AAAAAAAAAAA=".to_owned());
        },
    );
    let error = failed(&store, &planned, &whole(Algorithm::Crc64Nvme)).await;
    assert!(error.starts_with("`s3://bucket/small` is not what was sent: sent CRC64NVME:"), "{error}");
    assert!(error.ends_with("the endpoint has CRC64NVME:AAAAAAAAAAA="), "{error}");

    let (_folder, _, planned) = file("unproven", b"content");
    let (store, _) = tampered(
        &endpoint,
        |_| None,
        |_, answer| {
            forget_checksums(answer);
            answer.headers.insert("etag".to_owned(), "\"opaque\"".to_owned());
        },
    );
    let (result, _) = send(&store, &planned, &whole(Algorithm::Crc64Nvme)).await;
    let error = result.unwrap_err();
    assert!(matches!(error, TransferError::Unproven(_)), "{error}");
    assert!(error.hint().unwrap().contains("--checksum md5"));
}

#[tokio::test]
async fn a_refused_digest_is_final() {
    let endpoint = Endpoint::with_bucket().await;
    let (_folder, _, planned) = file("small", b"content");
    let (store, log) = with_retries(&endpoint, quick_retries(), |_| Some(Answer::error(400, "BadDigest")), |_, _| {});
    let error = failed(&store, &planned, &whole(Algorithm::Crc64Nvme)).await;
    assert!(error.contains("BadDigest"), "{error}");
    assert_eq!(log.requests().len(), 1, "not tried again, with no weaker check");
}

#[tokio::test]
async fn an_object_is_replaced_only_if_it_is_the_one_that_was_seen() {
    let endpoint = Endpoint::with_bucket().await;
    let (store, _) = listened(&endpoint);
    for options in [whole(Algorithm::Crc64Nvme), in_parts(Algorithm::Crc64Nvme)] {
        let (_folder, path, mut planned) = file("data", &content(6 * MIB));
        planned.key = key(&format!("data-{}", options.part_bytes));
        let first = proven(&store, &planned, &options).await;
        // Planned as missing, and somebody else has written it since.
        fs::write(&path, content(6 * MIB + 1)).unwrap();
        planned.fingerprint = fingerprint(&path).unwrap();
        let error = failed(&store, &planned, &options).await;
        assert!(error.contains("was changed by somebody else since the plan was made"), "{error}");
        // Planned as a replacement of what is there.
        planned.replaces = first.etag;
        let second = proven(&store, &planned, &options).await;
        assert_eq!(endpoint.get(planned.key.as_str()).await.len(), 6 * MIB + 1);
        // Planned as a replacement of what was there before.
        fs::write(&path, content(6 * MIB + 2)).unwrap();
        planned.fingerprint = fingerprint(&path).unwrap();
        let error = failed(&store, &planned, &options).await;
        assert!(error.contains("it was left as it is"), "{error}");
        let head = store.head_object(&bucket(), &planned.key).await.unwrap().unwrap();
        assert_eq!((head.etag, open_uploads(&endpoint).await), (second.etag, 0));
    }
}

#[tokio::test]
async fn an_answer_that_got_lost_is_looked_for() {
    for options in [whole(Algorithm::Crc64Nvme), in_parts(Algorithm::Crc64Nvme)] {
        let endpoint = Endpoint::with_bucket().await;
        let (_folder, _, planned) = file("data", &content(6 * MIB));
        let lost = Arc::new(AtomicUsize::new(0));
        // S3 forgets a completed upload after a while; the embedded endpoint remembers it.
        let forgets = Arc::clone(&lost);
        let before = move |request: &Request| {
            let again = request.operation() == "CompleteMultipartUpload" && forgets.load(Ordering::SeqCst) > 0;
            again.then(|| Answer::error(404, "NoSuchUpload"))
        };
        let after = move |request: &Request, answer: &mut Answer| {
            let writes = matches!(request.operation(), "PutObject" | "CompleteMultipartUpload");
            if writes && lost.fetch_add(1, Ordering::SeqCst) == 0 {
                *answer = Answer::error(503, "ServiceUnavailable");
            }
        };
        let (store, log) = with_retries(&endpoint, quick_retries(), before, after);
        // The repeated request meets the object of the first, which its condition forbids, or finds its upload gone.
        let proven = proven(&store, &planned, &options).await;
        assert_eq!(proven.rung, Rung::Head);
        assert_eq!(log.count("PutObject") + log.count("CompleteMultipartUpload"), 2);
        assert_eq!(open_uploads(&endpoint).await, 0);
    }
}

/// The repeated request meets the object of the first, and what is there cannot be looked at for a while.
#[tokio::test]
async fn a_look_that_fails_tells_of_no_other_writer() {
    for options in [whole(Algorithm::Crc64Nvme), in_parts(Algorithm::Crc64Nvme)] {
        let endpoint = Endpoint::with_bucket().await;
        let (_folder, _, planned) = file("data", &content(6 * MIB));
        let (lost, looks) = (Arc::new(AtomicUsize::new(0)), AtomicUsize::new(0));
        let forgets = Arc::clone(&lost);
        let before = move |request: &Request| match request.operation() {
            "HeadObject" if looks.fetch_add(1, Ordering::SeqCst) < 2 => Some(Answer::error(503, "SlowDown")),
            "CompleteMultipartUpload" if forgets.load(Ordering::SeqCst) > 0 => Some(Answer::error(404, "NoSuchUpload")),
            _ => None,
        };
        let after = move |request: &Request, answer: &mut Answer| {
            let writes = matches!(request.operation(), "PutObject" | "CompleteMultipartUpload");
            if writes && lost.fetch_add(1, Ordering::SeqCst) == 0 {
                *answer = Answer::error(500, "InternalError");
            }
        };
        let (store, log) = tampered(&endpoint, before, after);
        assert_eq!(proven(&store, &planned, &options).await.rung, Rung::Head);
        assert_eq!(log.count("HeadObject"), 3);
        assert_eq!(endpoint.get("data").await, content(6 * MIB));
        assert_eq!(open_uploads(&endpoint).await, 0);
    }
}

/// How long trouble is waited out counts from its beginning: a file may have been under way for long by then.
#[tokio::test]
async fn a_file_that_meets_trouble_late_is_tried_again() {
    let endpoint = Endpoint::with_bucket().await;
    let (_folder, _, planned) = file("data", b"content");
    let asked = AtomicUsize::new(0);
    let before = move |request: &Request| {
        let first = request.operation() == "PutObject" && asked.fetch_add(1, Ordering::SeqCst) == 0;
        first.then(|| {
            std::thread::sleep(Duration::from_millis(1500));
            Answer::error(503, "SlowDown")
        })
    };
    let (store, log) = tampered(&endpoint, before, |_, _| {});
    let options = TransferOptions { retry_for: Duration::from_secs(1), ..whole(Algorithm::Crc64Nvme) };
    assert_eq!(proven(&store, &planned, &options).await.rung, Rung::Echoed);
    assert_eq!(log.count("PutObject"), 2);
}

#[tokio::test]
async fn completion_that_fails_with_status_200_is_tried_again() {
    let endpoint = Endpoint::with_bucket().await;
    let (_folder, _, planned) = file("data", &content(6 * MIB));
    let asked = AtomicUsize::new(0);
    let before = move |request: &Request| {
        let first = request.operation() == "CompleteMultipartUpload" && asked.fetch_add(1, Ordering::SeqCst) == 0;
        first.then(|| Answer::error(200, "InternalError"))
    };
    let (store, log) = with_retries(&endpoint, quick_retries(), before, |_, _| {});
    assert_eq!(proven(&store, &planned, &in_parts(Algorithm::Crc64Nvme)).await.rung, Rung::Echoed);
    assert_eq!(log.count("CompleteMultipartUpload"), 2);
}

#[tokio::test]
async fn an_endpoint_without_conditional_writes_is_looked_at_first() {
    for options in [whole(Algorithm::Crc64Nvme), in_parts(Algorithm::Crc64Nvme)] {
        let endpoint = Endpoint::with_bucket().await;
        let before = |request: &Request| {
            let conditional = ["if-match", "if-none-match"].iter().any(|name| !request.header(name).is_empty());
            conditional.then(|| Answer::error(501, "NotImplemented"))
        };
        let (store, _) = tampered(&endpoint, before, |_, _| {});
        let (_folder, path, mut planned) = file("data", &content(6 * MIB));
        let (result, events) = send(&store, &planned, &options).await;
        let first = result.unwrap();
        let findings = events
            .iter()
            .filter(|event| matches!(event, Event::Finding(finding) if finding.code == "no-conditional-writes"));
        assert_eq!(findings.count(), 1);
        fs::write(&path, content(6 * MIB + 1)).unwrap();
        planned.fingerprint = fingerprint(&path).unwrap();
        let error = failed(&store, &planned, &options).await;
        assert!(error.contains("was changed by somebody else"), "{error}");
        planned.replaces = first.etag;
        proven(&store, &planned, &options).await;
        assert_eq!(endpoint.get("data").await.len(), 6 * MIB + 1);
    }
}

#[tokio::test]
async fn a_file_that_changed_since_the_plan_is_sent_as_it_is_now() {
    let endpoint = Endpoint::with_bucket().await;
    let (store, _) = listened(&endpoint);
    for options in [whole(Algorithm::Crc64Nvme), in_parts(Algorithm::Crc64Nvme)] {
        let (_folder, path, mut planned) = file("data", &content(7 * MIB));
        planned.key = key(&format!("data-{}", options.part_bytes));
        fs::write(&path, content(8 * MIB)).unwrap();
        let (result, events) = send(&store, &planned, &options).await;
        assert_eq!(result.unwrap().bytes, 8 * MIB as u64);
        let retried = events.iter().any(|event| {
            matches!(event, Event::Progress(Progress::Retried { reason, .. }) if reason.contains("changed while it was read"))
        });
        assert!(retried);
        assert_eq!(endpoint.get(planned.key.as_str()).await, content(8 * MIB));
    }
}

#[tokio::test]
async fn a_file_that_keeps_changing_is_never_committed() {
    let endpoint = Endpoint::with_bucket().await;
    let (_folder, path, planned) = file("data", &content(11 * MIB));
    let writes = AtomicUsize::new(0);
    // Overwrites the file in place, same size, each time a part goes out.
    let before = move |request: &Request| {
        if request.operation() == "UploadPart" {
            let mut bytes = content(11 * MIB);
            bytes[0] = u8::try_from(writes.fetch_add(1, Ordering::SeqCst) % 251).unwrap();
            fs::write(&path, bytes).unwrap();
        }
        None
    };
    let (store, log) = tampered(&endpoint, before, |_, _| {});
    let (result, _) = send(&store, &planned, &in_parts(Algorithm::Crc64Nvme)).await;
    let error = result.unwrap_err();
    assert!(error.to_string().ends_with("changed while it was read"), "{error}");
    assert!(error.hint().is_some());
    assert_eq!((log.count("CreateMultipartUpload"), log.count("AbortMultipartUpload")), (2, 2));
    assert_eq!(log.count("CompleteMultipartUpload"), 0);
    assert_eq!(open_uploads(&endpoint).await, 0);
    assert_eq!(store.head_object(&bucket(), &planned.key).await.unwrap(), None);
}

/// A folder of files, and a job for each.
fn jobs(files: impl IntoIterator<Item = (String, Vec<u8>)>) -> (TempDir, Vec<Action>) {
    let folder = tempfile::tempdir().unwrap();
    let jobs = files.into_iter().map(|(name, bytes)| {
        let path = folder.path().join(&name);
        fs::write(&path, bytes).unwrap();
        Action { bucket: bucket(), step: Step::Upload(planned(&path, &name)), reason: Reason::Missing }
    });
    let jobs = jobs.collect();
    (folder, jobs)
}

async fn send_all(
    store: &Store,
    jobs: Vec<Action>,
    options: &TransferOptions,
    cancel: &CancellationToken,
) -> (Transferred, Vec<Event>) {
    let (sender, mut receiver) = mpsc::channel(16);
    let listener = tokio::spawn(async move {
        let mut events = Vec::new();
        while let Some(event) = receiver.recv().await {
            events.push(event);
        }
        events
    });
    let transferred = upload_all(store, jobs, options, &sender, cancel).await;
    drop(sender);
    (transferred, listener.await.unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_failure_does_not_stop_the_others() {
    let endpoint = Endpoint::with_bucket().await;
    let (folder, jobs) = jobs((0..20).map(|number| (format!("file-{number:02}"), content(number * 100))));
    fs::remove_file(folder.path().join("file-07")).unwrap();
    let before = |request: &Request| request.target.contains("file-11").then(|| Answer::error(403, "AccessDenied"));
    let (store, _) = tampered(&endpoint, before, |_, _| {});
    let (transferred, events) = send_all(&store, jobs, &whole(Algorithm::Crc64Nvme), &CancellationToken::new()).await;
    assert_eq!((transferred.proven.len(), transferred.failed, transferred.cancelled), (18, 2, 0));
    assert_eq!(events[0], Event::Progress(Progress::Expect { objects: 20, bytes: 19_000 }));
    assert_eq!(events[1], Event::Progress(Progress::AllExpected));
    let actions = |status| {
        let actions =
            events.iter().filter_map(|event| if let Event::Action(action) = event { Some(action) } else { None });
        actions.filter(|action| action.status == status).cloned().collect::<Vec<_>>()
    };
    let done = actions(Status::Done);
    assert_eq!(done.len(), 18);
    assert!(done.iter().all(|action| action.proof == Some("checksum echoed") && action.reason == "was missing"));
    let mut failures = actions(Status::Failed);
    failures.sort_by(|left, right| left.target.cmp(&right.target));
    assert_eq!(failures[0].target, "s3://bucket/file-07");
    assert!(failures[0].reason.contains("cannot read"), "{}", failures[0].reason);
    assert!(failures[1].reason.contains("AccessDenied"), "{}", failures[1].reason);
    let settled = events.iter().filter(|event| **event == Event::Progress(Progress::Settled)).count();
    assert_eq!(settled, 20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_and_requests_stay_within_their_bounds() {
    let endpoint = Endpoint::with_bucket().await;
    let small = (0..40).map(|number| (format!("small-{number:02}"), content(300_000)));
    let large = (0..3).map(|number| (format!("large-{number}"), content(16 * MIB)));
    let (_folder, jobs) = jobs(small.chain(large));
    let (store, log) = listened(&endpoint);
    let options = TransferOptions { body_bytes: 12 * MIB as u64, requests: 6, ..in_parts(Algorithm::Crc64Nvme) };
    let (transferred, events) = send_all(&store, jobs, &options, &CancellationToken::new()).await;
    assert_eq!((transferred.proven.len(), transferred.failed), (43, 0));
    assert!(log.most_bytes() <= 12 * MIB as u64, "{} bytes at once", log.most_bytes());
    assert!(log.most_requests() > 1, "side by side");
    // Beginning an upload is not a transfer and takes no slot: at most one for each file under way.
    assert!(log.most_requests() <= 12, "{} requests at once", log.most_requests());
    let advanced = events.iter().filter_map(|event| match event {
        Event::Progress(Progress::Advanced { bytes }) => Some(*bytes),
        _ => None,
    });
    assert!(advanced.sum::<u64>() <= 40 * 300_000 + 48 * MIB as u64);
    assert_eq!(open_uploads(&endpoint).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancelled_run_leaves_nothing_half_done() {
    let endpoint = Endpoint::with_bucket().await;
    let cancel = CancellationToken::new();
    let parts = Arc::new(AtomicUsize::new(0));
    let (trigger, counted) = (cancel.clone(), Arc::clone(&parts));
    let before = move |request: &Request| {
        if request.operation() == "UploadPart" && counted.fetch_add(1, Ordering::SeqCst) == 4 {
            trigger.cancel();
        }
        None
    };
    let (store, log): (Store, Log) = tampered(&endpoint, before, |_, _| {});
    let (_folder, jobs) = jobs((0..8).map(|number| (format!("large-{number}"), content(11 * MIB))));
    let options = TransferOptions { requests: 2, ..in_parts(Algorithm::Crc64Nvme) };
    let (transferred, events) = send_all(&store, jobs, &options, &cancel).await;
    assert_eq!(transferred.failed, 0);
    assert_eq!(transferred.proven.len() as u64 + transferred.cancelled, 8);
    assert!(transferred.cancelled >= 6, "{}", transferred.cancelled);
    assert_eq!(open_uploads(&endpoint).await, 0);
    assert_eq!(log.count("CompleteMultipartUpload"), transferred.proven.len());
    let failures =
        events.iter().filter(|event| matches!(event, Event::Action(action) if action.status == Status::Failed));
    assert_eq!(failures.count(), 0, "a cancelled file has not failed");
}
