//! What passes by itself is waited for, what does not is told: the real client with answers replaced on their way.

use crate::server_env::{Endpoint, client_over};
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_types::body::SdkBody;
use bucketwright::apply::Apply;
use bucketwright::apply::patience::Situation;
use bucketwright::apply::transfer::{self, TransferOptions};
use bucketwright::aws::s3::Store;
use bucketwright::aws::{Keys, connect_in_process};
use bucketwright::layout::controls::Circumstances;
use bucketwright::layout::scaffold::{Sections, marker_keys, plan};
use bucketwright::layout::{Layout, ParseOptions, parse};
use bucketwright::model::{AccountId, Algorithm, Endpoint as Kind, Identity, Region};
use bucketwright::plan::{Plan, Upload};
use bucketwright::report::{Event, Outcome, Progress, Status, Summary};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// A PUT whose URL ends in `ending` is answered `times` times with an error instead of being done.
struct Fault {
    ending: &'static str,
    times: u32,
    status: u16,
    code: &'static str,
}

const fn fault(ending: &'static str, times: u32, status: u16, code: &'static str) -> Fault {
    Fault { ending, times, status, code }
}

#[derive(Clone)]
struct Faulty {
    inner: SharedHttpClient,
    faults: Arc<Mutex<Vec<Fault>>>,
}

impl std::fmt::Debug for Faulty {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Faulty")
    }
}

impl HttpConnector for Faulty {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        use aws_smithy_runtime_api::client::http::HttpClient as _;
        let url = request.uri().trim_end_matches("?x-id=PutObject").trim_end_matches('=').to_owned();
        let mut faults = self.faults.lock().unwrap();
        let hits = |fault: &&mut Fault| fault.times > 0 && request.method() == "PUT" && url.ends_with(fault.ending);
        let hit = faults.iter_mut().find(hits);
        if let Some(fault) = hit {
            fault.times -= 1;
            let text = format!("<Error><Code>{0}</Code><Message>{0} for a while</Message></Error>", fault.code);
            let status = fault.status.try_into().unwrap();
            return HttpConnectorFuture::ready(Ok(HttpResponse::new(status, SdkBody::from(text))));
        }
        drop(faults);
        let settings = HttpConnectorSettings::builder().build();
        let components = aws_smithy_runtime_api::client::runtime_components::RuntimeComponentsBuilder::for_tests();
        self.inner.http_connector(&settings, &components.build().unwrap()).call(request)
    }
}

const LAYOUT: &str = "version = 1\nlayout = \"faults\"\n[[bucket]]\nname = \"bucket-one\"\ntemplate = \"ml-project\"\nprojects = [\"p\"]\n";

fn layout() -> Layout {
    let (set, variables) = (BTreeMap::new(), BTreeMap::new());
    let options = ParseOptions { file_stem: "layout", environment: None, set: &set, env_vars: &variables };
    parse(LAYOUT.as_bytes(), &options).unwrap()
}

async fn planned(store: &Store) -> Plan {
    let layout = layout();
    let bucket = &layout.buckets[0];
    let state = store.bucket_state(&bucket.name, &marker_keys(bucket)).await.unwrap();
    let around = Circumstances {
        identity: Identity { account: Some(AccountId::local()), arn: None },
        endpoint: Kind::Embedded,
        region: Region::us_east_1(),
    };
    plan(&layout, &BTreeMap::from([(bucket.name.clone(), state)]), &around, Sections::ALL)
}

/// A store whose requests meet the faults before they meet the endpoint.
fn faulty_store(endpoint: &Endpoint, faults: Vec<Fault>) -> Store {
    let faulty = Faulty { inner: endpoint.server.http_client(), faults: Arc::new(Mutex::new(faults)) };
    let connector = SharedHttpConnector::new(faulty);
    let http = http_client_fn(move |_, _| connector.clone());
    let server = &endpoint.server;
    Store::new(client_over(http, "http://localhost", server.access_key(), server.secret_key()), None, false)
}

/// Applies the layout over an endpoint with faults; returns what was counted, what was retried, and what is left to do.
async fn apply_with(faults: Vec<Fault>) -> (Summary, Vec<String>, Plan) {
    let endpoint = Endpoint::new();
    let store = faulty_store(&endpoint, faults);
    let (events, mut received) = mpsc::channel(1000);
    let transfer = TransferOptions::with_checksum(Algorithm::Crc64Nvme);
    let apply = Apply { store: &store, events, cancel: CancellationToken::new(), transfer, grants: None };
    apply.run(planned(&store).await).await;
    drop(apply);
    let (mut summary, mut retried) = (Summary::default(), Vec::new());
    while let Some(event) = received.recv().await {
        summary.count(&event);
        if let Event::Progress(Progress::Retried { reason, .. }) = event {
            retried.push(reason);
        }
    }
    let left = planned(&store).await;
    (summary, retried, left)
}

#[tokio::test]
async fn what_passes_by_itself_is_waited_for() {
    let (summary, retried, left) = apply_with(vec![
        fault("?versioning", 2, 409, "OperationAborted"),
        fault("?encryption", 1, 404, "NoSuchBucket"),
        fault("p/data/", 2, 404, "NoSuchKey"),
    ])
    .await;
    assert_eq!(summary.outcome(), Outcome::Done, "{summary}");
    assert_eq!(retried.len(), 5, "{retried:?}");
    assert_eq!(left.actions, []);
}

#[tokio::test]
async fn a_file_waits_out_the_404_that_follows_versioning() {
    let endpoint = Endpoint::new();
    endpoint.client.create_bucket().bucket("bucket-one").send().await.unwrap();
    let store = faulty_store(&endpoint, vec![fault("p/data/x.csv", 2, 404, "NoSuchKey")]);
    let path = endpoint.folder.path().join("x.csv");
    std::fs::write(&path, "content").unwrap();
    let upload = Upload {
        fingerprint: bucketwright::local::fingerprint(&path).unwrap(),
        path,
        key: "p/data/x.csv".parse().unwrap(),
        replaces: None,
    };
    let bucket = "bucket-one".parse().unwrap();
    let (events, _listener) = mpsc::channel(100);
    let settled = TransferOptions::with_checksum(Algorithm::Crc64Nvme);
    let just_versioned = Situation { just_created: false, just_versioned: true };
    let versioned = TransferOptions { situation: just_versioned, ..settled.clone() };
    transfer::upload(&store, &bucket, &upload, &settled, &events).await.unwrap_err();
    transfer::upload(&store, &bucket, &upload, &versioned, &events).await.unwrap();
}

#[tokio::test]
async fn what_does_not_pass_fails_alone_and_is_taken_up_later() {
    let (summary, retried, left) = apply_with(vec![fault("?lifecycle", 1, 403, "AccessDenied")]).await;
    assert_eq!((summary.outcome(), summary.failed), (Outcome::Partly, 1), "{summary}");
    assert_eq!(retried, Vec::<String>::new());
    let records: Vec<_> = left.actions.iter().map(|action| action.record(Status::Planned).setting).collect();
    assert_eq!(records, [Some("lifecycle")]);
}

#[tokio::test]
async fn without_the_bucket_nothing_else_is_tried() {
    let (summary, _, left) = apply_with(vec![fault("bucket-one/", 1, 409, "BucketAlreadyExists")]).await;
    assert_eq!((summary.failed, summary.done), (1, 0), "{summary}");
    assert_eq!(summary.skipped as usize + 1, left.actions.len());
}

#[tokio::test]
async fn a_call_that_the_endpoint_lacks_is_skipped_with_its_reason() {
    let (summary, _, _) = apply_with(vec![
        fault("?publicAccessBlock", 1, 501, "NotImplemented"),
        // What a server says that takes any PUT on a bucket for its creation.
        fault("?lifecycle", 1, 409, "BucketAlreadyOwnedByYou"),
    ])
    .await;
    assert_eq!((summary.outcome(), summary.skipped), (Outcome::Partly, 2), "{summary}");
}

/// An endpoint that is busy for a while before it takes the body of a request.
#[derive(Debug, Clone)]
struct Busy(Arc<AtomicUsize>);

impl HttpConnector for Busy {
    fn call(&self, _request: HttpRequest) -> HttpConnectorFuture {
        self.0.fetch_add(1, Ordering::Relaxed);
        HttpConnectorFuture::new(async {
            tokio::time::sleep(Duration::from_secs(8)).await;
            Ok(HttpResponse::new(200.try_into().unwrap(), SdkBody::empty()))
        })
    }
}

/// Six seconds without a movement of the body are a dead line to the SDK. In one process they are a busy machine.
#[tokio::test]
async fn the_endpoint_in_this_process_may_take_its_time() {
    let asked = Arc::new(AtomicUsize::new(0));
    let connector = SharedHttpConnector::new(Busy(Arc::clone(&asked)));
    let keys = Keys { access_key: "AKIDEXAMPLE", secret_key: "secret", session_token: None };
    let http = http_client_fn(move |_, _| connector.clone());
    let clients = connect_in_process(http, keys, Region::us_east_1(), String::new());
    clients.s3.put_object().bucket("bucket").key("key").body(b"content".to_vec().into()).send().await.unwrap();
    assert_eq!(asked.load(Ordering::Relaxed), 1);
}
