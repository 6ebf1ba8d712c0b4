//! Listings in ranges side by side: always the keys of the serial listing, in order, for a bounded number of requests.

use crate::server_env::Endpoint;
use crate::wire::{Answer, Request, bucket, listened, tampered, to_bucket};
use bucketwright::apply::listing::{ListingError, ListingLimits, list, list_sorted};
use bucketwright::apply::sync::{self, Listener, SyncRequest};
use bucketwright::apply::transfer::TransferOptions;
use bucketwright::aws::s3::Store;
use bucketwright::model::{Algorithm, ObjectEntry, Prefix};
use bucketwright::sync::compare::Compare;
use futures_util::TryStreamExt as _;
use futures_util::future::join_all;
use proptest::collection::btree_set;
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::sample::select;
use proptest::strategy::Union;
use proptest::test_runner::{Config, TestRunner};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Limits under which nearly every page waits on disk.
fn limits(folder: &TempDir, requests: usize, page_keys: i32) -> ListingLimits {
    let spill_folder = folder.path().to_owned();
    ListingLimits { requests, memory_bytes: 5000, page_keys: Some(page_keys), ..ListingLimits::standard(spill_folder) }
}

async fn all(store: &Store, prefix: &Prefix, limits: &ListingLimits) -> Result<Vec<ObjectEntry>, ListingError> {
    Ok(list(store, &bucket(), prefix, limits).try_collect::<Vec<_>>().await?.concat())
}

fn names(entries: &[ObjectEntry]) -> Vec<&str> {
    entries.iter().map(|entry| entry.key.as_str()).collect()
}

/// Keys as people and programs name them, and keys that nobody should.
fn keys() -> impl Strategy<Value = BTreeSet<String>> {
    let odd = select(vec!["a", "b", "/", "0", "9", "Z", "-", " ", "ü", "\u{10FFFF}", "%2F", "+", "~", "\t", "&<"]);
    let odd = proptest::collection::vec(odd, 1..5).prop_map(|pieces| pieces.concat());
    let family = prop_oneof![
        (0_u32..2000).prop_map(|number| format!("img_{number:06}.jpg")),
        (0_u32..2000).prop_map(|number| format!("{number}")),
        any::<u32>().prop_map(|number| format!("{number:08x}")),
        (0_u32..30, 0_u32..9).prop_map(|(day, part)| format!("date=2026-01-{day:02}/part-{part}.parquet")),
        (select(vec!["train", "test", "val"]), 0_u32..200).prop_map(|(set, number)| format!("{set}/n{number}/x")),
        odd,
    ];
    let family = Union::new([family.boxed(), Just("only/".to_owned()).boxed()]);
    btree_set(family.prop_filter("the SDK sends no blank key", |key| !key.trim().is_empty()), 0..220)
}

#[test]
fn ranges_give_the_serial_listing() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut runner = TestRunner::new(Config { cases: 12, failure_persistence: None, ..Config::default() });
    let prefixes = select(vec!["", "p/", "date=2026-01-03/"]);
    let run = |(keys, prefix, page, requests): (BTreeSet<String>, &str, i32, usize)| {
        runtime.block_on(async {
            let endpoint = Endpoint::with_bucket().await;
            let keys: Vec<String> = keys.iter().map(|key| format!("{prefix}{key}")).collect();
            join_all(keys.iter().map(|key| endpoint.put(key, b""))).await;
            join_all(["!", "zz", "\u{10FFFF}\u{10FFFF}"].map(|other| endpoint.put(other, b""))).await;
            let (store, log) = listened(&endpoint);
            let (folder, prefix) = (tempfile::tempdir().unwrap(), prefix.parse().unwrap());
            let serial = all(&store, &prefix, &limits(&folder, 1, page)).await.unwrap();
            let serial_requests = log.count("ListObjectsV2");
            log.clear();
            let found = all(&store, &prefix, &limits(&folder, requests, page)).await.unwrap();
            assert_eq!(found, serial);
            let needed = log.count("ListObjectsV2");
            assert!(needed <= serial_requests + serial_requests / 2 + 1, "{needed} instead of {serial_requests}");
            assert!(serial_requests > 4 || needed == serial_requests, "{needed} instead of {serial_requests}");
        });
        Ok(())
    };
    runner.run(&(keys(), prefixes, 2..8_i32, 2..20_usize), run).unwrap();
}

/// A service over a list of keys that listens to `start-after` only if it likes.
struct Served {
    keys: Vec<String>,
    knows_start_after: bool,
}

impl Served {
    /// Pages go by position, and `start-after` by the service's own order.
    fn answer(&self, request: &Request) -> Answer {
        let query: BTreeMap<&str, &str> =
            request.target.split_once('?').unwrap().1.split('&').filter_map(|pair| pair.split_once('=')).collect();
        let page: usize = query.get("max-keys").map_or(1000, |most| most.parse().unwrap());
        let after = query.get("start-after").filter(|_| self.knows_start_after);
        let behind = |after: &str| self.keys.iter().rposition(|key| order(key) <= order(after)).map_or(0, |at| at + 1);
        let start = match query.get("continuation-token") {
            Some(token) => token.parse().unwrap(),
            None => after.map_or(0, |after| behind(&after.replace("%2F", "/"))),
        };
        let end = (start + page).min(self.keys.len());
        let mut xml = "<ListBucketResult>".to_owned();
        for key in &self.keys[start..end] {
            write!(xml, "<Contents><Key>{key}</Key><Size>1</Size></Contents>").unwrap();
        }
        if end < self.keys.len() {
            write!(xml, "<NextContinuationToken>{end}</NextContinuationToken>").unwrap();
        }
        write!(xml, "<IsTruncated>{}</IsTruncated></ListBucketResult>", end < self.keys.len()).unwrap();
        let headers = BTreeMap::from([("content-type".to_owned(), "application/xml".to_owned())]);
        Answer { status: 200, headers, xml: Some(xml) }
    }
}

/// Names folder by folder: `a/b` before `a-1`.
fn order(key: &str) -> Vec<&str> {
    key.split('/').collect()
}

fn numbered(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("img_{number:05}")).collect()
}

#[tokio::test]
async fn large_listings_go_side_by_side_and_small_ones_cost_their_pages() {
    let endpoint = Endpoint::with_bucket().await;
    let folder = tempfile::tempdir().unwrap();
    for (count, requests, side_by_side) in [(0, 1, 1), (10, 1, 1), (11, 2, 1), (40, 4, 1), (2000, 300, 12)] {
        let served = Served { keys: numbered(count), knows_start_after: true };
        let (store, log) = tampered(&endpoint, move |request| Some(served.answer(request)), |_, _| {});
        let found = all(&store, &Prefix::root(), &limits(&folder, 16, 10)).await.unwrap();
        assert_eq!(names(&found), numbered(count));
        let asked = log.count("ListObjectsV2");
        assert!(asked <= requests, "{asked} requests for {count} keys");
        let cuts = log.requests().iter().filter(|request| request.target.contains("start-after")).count();
        assert!(cuts + 1 >= side_by_side, "{cuts} ranges");
    }
}

#[tokio::test]
async fn a_service_without_start_after_is_listed_page_after_page() {
    let endpoint = Endpoint::with_bucket().await;
    let folder = tempfile::tempdir().unwrap();
    let served = Served { keys: numbered(300), knows_start_after: false };
    let (store, _) = tampered(&endpoint, move |request| Some(served.answer(request)), |_, _| {});
    let found = all(&store, &Prefix::root(), &limits(&folder, 16, 10)).await.unwrap();
    assert_eq!(names(&found), numbered(300));
    // One that refuses it.
    let served = Served { keys: numbered(300), knows_start_after: true };
    let refuse =
        |request: &Request| request.target.contains("start-after").then(|| Answer::error(501, "NotImplemented"));
    let answer = move |request: &Request| refuse(request).or_else(|| Some(served.answer(request)));
    let (store, _) = tampered(&endpoint, answer, |_, _| {});
    let found = all(&store, &Prefix::root(), &limits(&folder, 16, 10)).await.unwrap();
    assert_eq!(names(&found), numbered(300));
}

#[tokio::test]
async fn another_order_is_passed_on_as_it_is_and_sorted_on_demand() {
    let endpoint = Endpoint::with_bucket().await;
    let folder = tempfile::tempdir().unwrap();
    let mut keys: Vec<String> = (0..40).flat_map(|a| (0..5).map(move |b| format!("img{a:02}/{b}"))).collect();
    keys.extend((0..40).map(|a| format!("img{a:02}-x")));
    keys.sort_by(|left, right| order(left).cmp(&order(right)));
    let served = Served { keys: keys.clone(), knows_start_after: true };
    let (store, _) = tampered(&endpoint, move |request| Some(served.answer(request)), |_, _| {});
    let limits = limits(&folder, 16, 6);
    let found = all(&store, &Prefix::root(), &limits).await.unwrap();
    assert!(!found.is_sorted_by(|left, right| left.key < right.key), "the reader must see that the order is another");
    let sorted = list_sorted(&store, &bucket(), &Prefix::root(), &limits).await.unwrap();
    let sorted: Vec<ObjectEntry> = sorted.try_collect::<Vec<_>>().await.unwrap().concat();
    keys.sort();
    assert_eq!(names(&sorted), keys);
}

/// The merge of a listing in another order sees names as missing that come later.
#[tokio::test]
async fn nothing_is_sent_for_the_order_of_a_listing() {
    let endpoint = Endpoint::with_bucket().await;
    let (files, spill) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let names = (0..40).flat_map(|a| (0..5).map(move |b| format!("img{a:02}/{b}")).chain([format!("img{a:02}-x")]));
    let mut keys: Vec<String> = names.collect();
    for key in &keys {
        let path = files.path().join(key);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "1").unwrap();
    }
    keys.sort_by(|left, right| order(left).cmp(&order(right)));
    let served = Served { keys, knows_start_after: true };
    let list = move |request: &Request| (request.operation() == "ListObjectsV2").then(|| served.answer(request));
    let (store, log) = tampered(&endpoint, list, |_, _| {});
    let request = SyncRequest { compare: Compare::Size, ..to_bucket(files.path(), &store, spill.path()) };
    let (events, mut heard) = mpsc::channel(100);
    tokio::spawn(async move { while heard.recv().await.is_some() {} });
    let listener = Listener { events, cancel: CancellationToken::new() };
    let options = TransferOptions::with_checksum(Algorithm::Crc64Nvme);
    let synced = sync::run(request, &store, &options, &listener).await.unwrap();
    assert_eq!((synced.seen.unchanged, synced.seen.transfers, log.count("PutObject")), (240, 0, 0));
}

/// Every page is in order, so that only the merge of several tells that the whole is not.
#[tokio::test]
async fn nothing_is_shown_for_the_order_of_a_listing_that_is_told_late() {
    let endpoint = Endpoint::with_bucket().await;
    let (files, spill) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for number in 0..400 {
        std::fs::write(files.path().join(format!("img_{number:05}")), "1").unwrap();
    }
    // The second half comes first, and two names of the first half are not there.
    let mut keys = numbered(400);
    keys.rotate_left(200);
    keys.retain(|key| key != "img_00007" && key != "img_00150");
    let served = Served { keys, knows_start_after: false };
    let list = move |request: &Request| {
        let small = Request { target: format!("{}&max-keys=50", request.target), ..request.clone() };
        (request.operation() == "ListObjectsV2").then(|| served.answer(&small))
    };
    let (store, log) = tampered(&endpoint, list, |_, _| {});
    let (events, mut heard) = mpsc::channel(1000);
    tokio::spawn(async move { while heard.recv().await.is_some() {} });
    let listener = Listener { events, cancel: CancellationToken::new() };
    let request = SyncRequest { compare: Compare::Size, ..to_bucket(files.path(), &store, spill.path()) };
    let planned = sync::saved::plan(request, &listener).await.unwrap();
    let mut shown = Vec::new();
    planned.show(async |action| shown.push(action.target())).await.unwrap();
    assert_eq!(shown, ["s3://bucket/img_00007", "s3://bucket/img_00150"]);
    assert_eq!((planned.seen.unchanged, planned.totals.transfers), (398, 2));
    assert!(log.count("ListObjectsV2") >= 16, "it was listed twice");
    drop(planned);
    assert_eq!(std::fs::read_dir(spill.path()).unwrap().count(), 0, "no temporary file stays");
}

#[tokio::test]
async fn changes_meanwhile_lose_no_other_key() {
    let endpoint = Endpoint::with_bucket().await;
    let folder = tempfile::tempdir().unwrap();
    for round in 0..20 {
        let served = Arc::new(Mutex::new(Served { keys: numbered(500), knows_start_after: true }));
        let asked = AtomicUsize::new(0);
        let answer = move |request: &Request| {
            let mut served = served.lock().unwrap();
            // At every request one of the keys that end in 7 goes or comes; pages go by key here, as on S3.
            let number = (asked.fetch_add(1, Ordering::Relaxed) * 13 + round * 7) % 50 * 10 + 7;
            let key = format!("img_{number:05}");
            match served.keys.binary_search(&key) {
                Ok(at) => drop(served.keys.remove(at)),
                Err(at) => served.keys.insert(at, key),
            }
            Some(by_key(&served.keys, request))
        };
        let (store, _) = tampered(&endpoint, answer, |_, _| {});
        let found = all(&store, &Prefix::root(), &limits(&folder, 8, 10)).await.unwrap();
        assert!(found.is_sorted_by(|left, right| left.key < right.key));
        let stable: Vec<&str> = names(&found).into_iter().filter(|key| !key.ends_with('7')).collect();
        let expected: Vec<String> = numbered(500).into_iter().filter(|key| !key.ends_with('7')).collect();
        assert_eq!(stable, expected);
    }
}

/// A page of a service whose tokens are the last key of the page before.
fn by_key(keys: &[String], request: &Request) -> Answer {
    let target = request.target.replace("continuation-token", "start-after");
    let after = target.split_once("start-after=").map(|(_, rest)| rest.split('&').next().unwrap());
    let start = keys.partition_point(|key| after.is_some_and(|after| key.as_str() <= after));
    let page = Served { keys: keys[start..].to_vec(), knows_start_after: false };
    let first = Request { target: "/bucket?max-keys=10".to_owned(), ..request.clone() };
    let mut answer = page.answer(&first);
    if let Some(last) = keys.get(start + 9) {
        answer.xml =
            answer.xml.map(|xml| xml.replace("<NextContinuationToken>10<", &format!("<NextContinuationToken>{last}<")));
    }
    answer
}

#[tokio::test]
async fn a_failed_page_ends_the_listing() {
    let endpoint = Endpoint::with_bucket().await;
    let folder = tempfile::tempdir().unwrap();
    let asked = AtomicUsize::new(0);
    let served = Served { keys: numbered(500), knows_start_after: true };
    let answer = move |request: &Request| match asked.fetch_add(1, Ordering::Relaxed) {
        12 => Some(Answer::error(403, "AccessDenied")),
        _ => Some(served.answer(request)),
    };
    let (store, _) = tampered(&endpoint, answer, |_, _| {});
    let error = all(&store, &Prefix::root(), &limits(&folder, 8, 10)).await.unwrap_err();
    assert_eq!(error.to_string(), "ListObjectsV2 on `s3://bucket` failed: AccessDenied: made up");
}

#[tokio::test]
async fn trouble_between_two_pages_is_ridden_out_for_as_long_as_was_asked() {
    let endpoint = Endpoint::with_bucket().await;
    let folder = tempfile::tempdir().unwrap();
    for (first_bad, retry_s, is_listed) in [(2, 30, true), (2, 0, false), (0, 30, false)] {
        for is_sorted in [false, true] {
            let asked = AtomicUsize::new(0);
            let served = Served { keys: numbered(50), knows_start_after: true };
            let answer = move |request: &Request| match asked.fetch_add(1, Ordering::Relaxed) {
                number if (first_bad..first_bad + 2).contains(&number) => Some(Answer::error(503, "SlowDown")),
                _ => Some(served.answer(request)),
            };
            let (store, _) = tampered(&endpoint, answer, |_, _| {});
            let limits = ListingLimits { retry_for: Duration::from_secs(retry_s), ..limits(&folder, 8, 10) };
            let listed = if is_sorted {
                match list_sorted(&store, &bucket(), &Prefix::root(), &limits).await {
                    Ok(pages) => pages.try_collect::<Vec<_>>().await.map(|pages| pages.concat()),
                    Err(error) => Err(error),
                }
            } else {
                all(&store, &Prefix::root(), &limits).await
            };
            assert_eq!(listed.is_ok(), is_listed, "{first_bad} {retry_s} {is_sorted}: {listed:?}");
            assert!(listed.is_err() || names(&listed.unwrap()) == numbered(50));
        }
    }
}
