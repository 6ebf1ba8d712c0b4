//! Datasets planned, sent and verified against the embedded endpoint: what is asked, what is found, what a second run does.

use crate::server_env::Endpoint;
use crate::wire::{Answer, Log, Request, bucket, forget_checksums, key, listened, tampered};
use bucketwright::apply::dataset::{
    DatasetError, DatasetPlan, DatasetRequest, plan_dataset, read_receipt, receipt_row, verify_dataset, verify_receipt,
    write_receipt,
};
use bucketwright::apply::transfer::{TransferOptions, Transferred, upload_all};
use bucketwright::aws::s3::Store;
use bucketwright::model::{Algorithm, Filter};
use bucketwright::plan::{Action, Step};
use futures_util::TryStreamExt as _;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

const MIB: usize = 1024 * 1024;

fn source(files: &[(&str, &[u8])]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    folder
}

fn request(source: &Path) -> DatasetRequest {
    DatasetRequest {
        source: source.to_owned(),
        shown: "data".to_owned(),
        bucket: bucket(),
        folder: "p/data/".parse().unwrap(),
        rename: None,
        filter: Filter::none(),
        bucket_exists: true,
        wants_rows: true,
        spill_folder: std::env::temp_dir(),
    }
}

fn options(checksum: Algorithm) -> TransferOptions {
    let part_bytes = 5 * MIB as u64;
    TransferOptions { part_bytes, multipart_from_bytes: 6 * MIB as u64, ..TransferOptions::with_checksum(checksum) }
}

async fn send(store: &Store, plan: DatasetPlan, checksum: Algorithm) -> Transferred {
    let (sender, mut receiver) = mpsc::channel(16);
    let listener = tokio::spawn(async move { while receiver.recv().await.is_some() {} });
    let transferred = upload_all(store, plan.actions, &options(checksum), &sender, &CancellationToken::new()).await;
    drop(sender);
    listener.await.unwrap();
    assert_eq!((transferred.failed, transferred.cancelled), (0, 0));
    transferred
}

/// An endpoint that holds the source already.
async fn in_place(folder: &TempDir, checksum: Algorithm) -> Endpoint {
    let endpoint = Endpoint::with_bucket().await;
    let (store, _) = listened(&endpoint);
    let plan = plan_dataset(&store, &request(folder.path())).await.unwrap();
    send(&store, plan, checksum).await;
    endpoint
}

/// The plan in words: each key with its reason, then the count of what is unchanged, then the findings.
fn words(plan: &DatasetPlan) -> Vec<String> {
    let upload = |action: &Action| match &action.step {
        Step::Upload(upload) => format!("{}: {}", upload.key, action.reason),
        other => format!("{other:?}: {}", action.reason),
    };
    let mut words: Vec<String> = plan.actions.iter().map(upload).collect();
    words.push(format!("{} unchanged", plan.unchanged));
    words.extend(plan.findings.iter().map(|finding| format!("{} {}", finding.code, finding.message)));
    words
}

async fn planned(store: &Store, folder: &TempDir) -> Vec<String> {
    words(&plan_dataset(store, &request(folder.path())).await.unwrap())
}

#[tokio::test]
async fn a_bucket_that_is_not_there_is_not_asked() {
    let endpoint = Endpoint::new();
    let (store, log) = listened(&endpoint);
    let folder = source(&[("b", b"1"), ("a/c", b"2"), ("a.d", b"3")]);
    let request = DatasetRequest { bucket_exists: false, ..request(folder.path()) };
    let plan = plan_dataset(&store, &request).await.unwrap();
    assert_eq!(words(&plan), ["p/data/a.d: missing", "p/data/a/c: missing", "p/data/b: missing", "0 unchanged"]);
    assert_eq!(log.requests().len(), 0);
}

/// Names that a URL, an XML document, a shell or a sort could trip over.
const ODD_NAMES: [(&str, &[u8]); 12] = [
    ("a/b", b"1"),
    ("a-1", b"2"),
    ("a.txt", b"3"),
    ("a b+c%20d", b"4"),
    ("q?r#s&t=u*v[w]", b"5"),
    ("new\nline", b"6"),
    ("back\\slash", b"7"),
    ("\"quoted'", b"8"),
    ("<xml>&amp;", b"9"),
    ("caf\u{e9}", b"10"),
    ("cafe\u{301}", b"11"),
    (".hidden", b""),
];

#[tokio::test]
async fn a_second_plan_is_empty_and_costs_one_request() {
    let folder = source(&ODD_NAMES);
    let endpoint = in_place(&folder, Algorithm::Crc64Nvme).await;
    let (store, log) = listened(&endpoint);
    let plan = plan_dataset(&store, &request(folder.path())).await.unwrap();
    assert_eq!(words(&plan), ["12 unchanged"]);
    assert_eq!((log.requests().len(), log.count("ListObjectsV2")), (1, 1));
    let mut names: Vec<String> = ODD_NAMES.iter().map(|(name, _)| format!("p/data/{name}")).collect();
    names.sort();
    let rows: Vec<String> = plan.rows.iter().map(|row| row.key.to_string()).collect();
    assert_eq!(rows, names, "keys are the bytes of the paths");
}

#[tokio::test]
async fn content_decides_and_times_do_not() {
    let folder = source(&[("edited", b"aaaa"), ("grown", b"aaaa"), ("touched", b"aaaa")]);
    let endpoint = in_place(&folder, Algorithm::Crc64Nvme).await;
    let aged = UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    let set_time = |name: &str, time| {
        let file = fs::File::options().write(true).open(folder.path().join(name)).unwrap();
        file.set_modified(time).unwrap();
    };
    fs::write(folder.path().join("edited"), b"aaab").unwrap();
    set_time("edited", aged);
    fs::write(folder.path().join("grown"), b"aaaaa").unwrap();
    set_time("touched", aged + Duration::from_secs(2_000_000_000));
    let (store, _) = listened(&endpoint);
    let plan = plan_dataset(&store, &request(folder.path())).await.unwrap();
    let expected =
        ["p/data/edited: content differs by MD5", "p/data/grown: size differs: 4 bytes there, 5 here", "1 unchanged"];
    assert_eq!(words(&plan), expected);
    send(&store, plan, Algorithm::Crc64Nvme).await;
    assert_eq!(planned(&store, &folder).await, ["3 unchanged"]);
}

#[tokio::test]
async fn large_objects_are_recognised_by_crc_or_by_their_parts() {
    let large: Vec<u8> = (0..11 * MIB).map(|at| (at ^ (at >> 8)).to_le_bytes()[0]).collect();
    let folder = source(&[("large", &large), ("small", b"x")]);
    for (checksum, changed) in [
        (Algorithm::Crc64Nvme, "content differs by CRC64NVME"),
        // Without a stored CRC the ETag is recomputed from the usual part sizes.
        (Algorithm::Md5, "content cannot be compared: no usual part size gives its ETag, and no CRC64NVME is stored"),
    ] {
        fs::write(folder.path().join("large"), &large).unwrap();
        let endpoint = in_place(&folder, checksum).await;
        let knows_crc = checksum == Algorithm::Crc64Nvme;
        let (store, log) = tampered(
            &endpoint,
            |_| None,
            move |_, answer| {
                if !knows_crc {
                    forget_checksums(answer);
                }
            },
        );
        assert_eq!(planned(&store, &folder).await, ["2 unchanged"], "{checksum}");
        assert_eq!((log.count("ListObjectsV2"), log.count("HeadObject")), (1, 1));
        let mut other = large.clone();
        other[7 * MIB] ^= 1;
        fs::write(folder.path().join("large"), &other).unwrap();
        assert_eq!(planned(&store, &folder).await, [format!("p/data/large: {changed}"), "1 unchanged".to_owned()]);
    }
}

/// Makes the endpoint look like a bucket under SSE-KMS: every ETag has the form of an MD5 and is none.
fn as_kms(request: &Request, answer: &mut Answer) {
    if request.operation() == "HeadObject" {
        answer.headers.insert("x-amz-server-side-encryption".to_owned(), "aws:kms".to_owned());
    }
    if let Some(xml) = &mut answer.xml {
        let parts: Vec<&str> = xml.split("<ETag>").collect();
        let fake = "<ETag>&quot;00112233445566778899aabbccddeeff&quot;</ETag>";
        let rest = parts[1..].iter().map(|part| format!("{fake}{}", part.split_once("</ETag>").unwrap().1));
        *xml = format!("{}{}", parts[0], rest.collect::<String>());
    }
}

#[tokio::test]
async fn where_etags_are_no_md5s_the_stored_crc_decides() {
    let folder = source(&[("a", b"1"), ("b", b"2"), ("c", b"3")]);
    let endpoint = in_place(&folder, Algorithm::Crc64Nvme).await;
    fs::write(folder.path().join("b"), b"x").unwrap();
    let (store, log) = tampered(&endpoint, |_| None, as_kms);
    assert_eq!(planned(&store, &folder).await, ["p/data/b: content differs by CRC64NVME", "2 unchanged"]);
    assert_eq!(log.count("HeadObject"), 3, "each object's CRC must be asked for");
}

#[tokio::test]
async fn one_head_tells_for_a_whole_run_that_etags_are_md5s() {
    let files: Vec<(String, Vec<u8>)> = (0..40).map(|number| (format!("f{number:02}"), vec![1; 10])).collect();
    let files: Vec<(&str, &[u8])> = files.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect();
    let folder = source(&files);
    let endpoint = in_place(&folder, Algorithm::Crc64Nvme).await;
    for (name, _) in &files {
        fs::write(folder.path().join(name), [2; 10]).unwrap();
    }
    let (store, log) = listened(&endpoint);
    let plan = plan_dataset(&store, &request(folder.path())).await.unwrap();
    assert_eq!((plan.actions.len(), plan.unchanged), (40, 0));
    assert_eq!(log.count("HeadObject"), 1);
}

fn listing(keys: &[&str], next: Option<&str>) -> Answer {
    let contents = keys.iter().map(|key| {
        format!("<Contents><Key>{key}</Key><Size>1</Size><ETag>\"c4ca4238a0b923820dcc509a6f75849b\"</ETag></Contents>")
    });
    let truncated = next.is_some();
    let next = next.map_or_else(String::new, |token| format!("<NextContinuationToken>{token}</NextContinuationToken>"));
    let contents: String = contents.collect();
    let xml = format!("<ListBucketResult><IsTruncated>{truncated}</IsTruncated>{next}{contents}</ListBucketResult>");
    Answer { status: 200, headers: [("content-type".to_owned(), "application/xml".to_owned())].into(), xml: Some(xml) }
}

#[tokio::test]
async fn a_listing_out_of_order_is_sorted_here() {
    let endpoint = Endpoint::with_bucket().await;
    let folder = source(&[("a-1", b"1"), ("a/b", b"1"), ("a.c", b"1"), ("z", b"1")]);
    let before = |_: &Request| Some(listing(&["p/data/a/b", "p/data/z", "p/data/a-1", "p/data/a.c"], None));
    let (store, log) = tampered(&endpoint, before, |_, _| {});
    assert_eq!(planned(&store, &folder).await, ["4 unchanged"]);
    assert_eq!(log.count("ListObjectsV2"), 2);
}

#[tokio::test]
async fn a_listing_that_breaks_off_gives_no_plan() {
    let endpoint = Endpoint::with_bucket().await;
    let folder = source(&[("a", b"1"), ("b", b"1"), ("c", b"1")]);
    let before = |request: &Request| {
        Some(if request.target.contains("continuation-token") {
            Answer::error(403, "AccessDenied")
        } else {
            listing(&["p/data/a"], Some("more"))
        })
    };
    let (store, _) = tampered(&endpoint, before, |_, _| {});
    let error = plan_dataset(&store, &request(folder.path())).await.unwrap_err();
    assert!(matches!(&error, DatasetError::S3(error) if error.operation == "ListObjectsV2"), "{error}");
    let before = |_: &Request| Some(listing(&["p/data/a"], Some("more")));
    let (store, log) = tampered(&endpoint, before, |_, _| {});
    let error = plan_dataset(&store, &request(folder.path())).await.unwrap_err();
    assert!(error.to_string().contains("continuation token came twice"), "{error}");
    assert_eq!(log.requests().len(), 2);
}

#[tokio::test]
async fn one_file_costs_one_head_and_may_be_renamed() {
    let endpoint = Endpoint::with_bucket().await;
    let folder = source(&[("raw-2026.csv", b"a,b\n")]);
    let file = folder.path().join("raw-2026.csv");
    let (store, log) = listened(&endpoint);
    let renamed = DatasetRequest { rename: Some("dataset.csv".to_owned()), ..request(&file) };
    for (request, name) in [(request(&file), "raw-2026.csv"), (renamed.clone(), "dataset.csv")] {
        log.clear();
        let plan = plan_dataset(&store, &request).await.unwrap();
        assert_eq!(words(&plan), [format!("p/data/{name}: missing"), "0 unchanged".to_owned()]);
        assert_eq!((log.requests().len(), log.count("HeadObject")), (1, 1));
        send(&store, plan, Algorithm::Crc64Nvme).await;
        assert_eq!(words(&plan_dataset(&store, &request).await.unwrap()), ["1 unchanged"]);
        assert_eq!(endpoint.get(&format!("p/data/{name}")).await, b"a,b\n");
    }
    for name in ["", "..", "a/b", "../x"] {
        let request = DatasetRequest { rename: Some(name.to_owned()), ..request(&file) };
        assert!(matches!(plan_dataset(&store, &request).await, Err(DatasetError::BadName(_))), "{name}");
    }
    let request = DatasetRequest { source: folder.path().to_owned(), ..renamed };
    assert!(matches!(plan_dataset(&store, &request).await, Err(DatasetError::NotOneFile(_))));
}

#[tokio::test]
async fn odd_files_are_findings_and_an_absent_source_is_skipped() {
    let endpoint = Endpoint::with_bucket().await;
    let (store, log) = listened(&endpoint);
    let folder = source(&[("good", b"1"), ("skip.tmp", b"2")]);
    symlink("nowhere", folder.path().join("broken")).unwrap();
    let request = DatasetRequest { filter: Filter::excluding(["*.tmp"]).unwrap(), ..request(folder.path()) };
    let plan = plan_dataset(&store, &request).await.unwrap();
    let broken = folder.path().join("broken");
    let finding = format!("odd-file `{}` is a link to nothing", broken.display());
    assert_eq!(words(&plan), ["p/data/good: missing".to_owned(), "0 unchanged".to_owned(), finding]);
    log.clear();
    let absent = DatasetRequest { source: folder.path().join("absent"), ..request };
    let plan = plan_dataset(&store, &absent).await.unwrap();
    assert!(
        matches!(&plan.actions[0].step, Step::SkipDataset { source, to } if source == "data" && to == "bucket/p/data/")
    );
    assert_eq!((plan.actions.len(), log.requests().len()), (1, 0));
    assert_eq!(verify_dataset(&store, &absent).await.unwrap(), None);
}

#[tokio::test]
async fn verification_finds_what_is_missing_and_what_differs() {
    let folder = source(&[("a", b"1111"), ("b/c", b"22"), ("d", b"3"), ("e", b"")]);
    let endpoint = in_place(&folder, Algorithm::Crc64Nvme).await;
    let (store, log) = listened(&endpoint);
    let check = verify_dataset(&store, &request(folder.path())).await.unwrap().unwrap();
    assert!(check.holds());
    assert_eq!(check.to_string(), "4 files, 7 B: 1 by size, 3 by MD5");
    assert_eq!(log.count("GetObject"), 0, "nothing is downloaded");
    endpoint.put("p/data/a", b"1112").await;
    endpoint.put("p/data/extra", b"not in the source").await;
    store.delete_object(&bucket(), &key("p/data/b/c"), None, None).await.unwrap();
    let check = verify_dataset(&store, &request(folder.path())).await.unwrap().unwrap();
    assert!(!check.holds());
    assert_eq!(check.passed, 2);
    let found: Vec<_> = check.findings.iter().map(|finding| (finding.code, finding.target.as_str())).collect();
    assert_eq!(found, [("data-differs", "s3://bucket/p/data/a"), ("data-missing", "s3://bucket/p/data/b/c")]);
}

#[tokio::test]
async fn a_receipt_stands_in_for_the_source() {
    let files = source(&[("a", b"1111"), ("b", b"22")]);
    let endpoint = Endpoint::with_bucket().await;
    let (store, _) = listened(&endpoint);
    let plan = plan_dataset(&store, &request(files.path())).await.unwrap();
    let transferred = send(&store, plan, Algorithm::Crc64Nvme).await;
    let rows = transferred.proven.iter().map(|(action, proven)| match &action.step {
        Step::Upload(upload) => receipt_row(&upload.key, proven),
        other => panic!("no upload: {other:?}"),
    });
    let rows: Vec<_> = rows.collect();
    let path = files.path().join("receipts/data.jsonl");
    write_receipt(&path, rows).unwrap();
    let rows = read_receipt(&path).unwrap();
    assert_eq!(rows.iter().map(|row| row.key.as_str()).collect::<Vec<_>>(), ["p/data/a", "p/data/b"]);
    assert_eq!(rows[0].proof.as_deref(), Some("checksum echoed"));
    let (bucket, folder) = (bucket(), "p/data/".parse().unwrap());
    let check = verify_receipt(&store, &bucket, &folder, rows.clone()).await.unwrap();
    assert_eq!((check.holds(), check.to_string()), (true, "2 files, 6 B, equal by ETag in the receipt".to_owned()));
    endpoint.put("p/data/a", b"1112").await;
    store.delete_object(&bucket, &key("p/data/b"), None, None).await.unwrap();
    let check = verify_receipt(&store, &bucket, &folder, rows).await.unwrap();
    let codes: Vec<_> = check.findings.iter().map(|finding| finding.code).collect();
    assert_eq!((check.holds(), codes.as_slice()), (false, &["data-untold", "data-missing"][..]));
    fs::write(&path, "{}").unwrap();
    let error = read_receipt(&path).unwrap_err();
    assert!(error.to_string().starts_with("cannot use the receipt `"), "{error}");
}

#[tokio::test]
async fn listings_of_many_pages_come_whole_and_in_order() {
    let endpoint = Endpoint::with_bucket().await;
    let before = |request: &Request| {
        let page = request
            .target
            .split("continuation-token=")
            .nth(1)
            .map_or(0, |rest| rest.split('&').next().unwrap().parse::<usize>().unwrap());
        let keys: Vec<String> = (0..3).map(|at| format!("k%2Bey+{page}{at}")).collect();
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        let mut answer = listing(&keys, (page < 3).then(|| (page + 1).to_string()).as_deref());
        answer.xml =
            answer.xml.map(|xml| xml.replace("<IsTruncated>", "<EncodingType>url</EncodingType><IsTruncated>"));
        Some(answer)
    };
    let (store, log): (Store, Log) = tampered(&endpoint, before, |_, _| {});
    let pages: Vec<_> = store.list(&bucket(), &"".parse().unwrap()).try_collect().await.unwrap();
    let keys: Vec<String> = pages.concat().into_iter().map(|entry| entry.key.to_string()).collect();
    assert_eq!((keys.len(), keys[0].as_str(), keys[11].as_str()), (12, "k+ey 00", "k+ey 32"));
    assert!(keys.is_sorted());
    assert_eq!(log.count("ListObjectsV2"), 4);
    assert!(log.requests()[0].target.contains("encoding-type=url"));
}
