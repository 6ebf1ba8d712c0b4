//! The wire between the SDK and the embedded endpoint, with a listener on it: requests are recorded, answers can be changed
//! or made up. What a test does not touch is the real endpoint.

use crate::server_env::{Endpoint, config};
use aws_sdk_s3::config::retry::RetryConfig;
use aws_smithy_runtime_api::client::http::{
    HttpClient as _, HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use bucketwright::apply::pipeline::{Files, Listing, Objects, Side};
use bucketwright::apply::sync::SyncRequest;
use bucketwright::aws::s3::Store;
use bucketwright::model::{BucketName, Filter, ObjectKey, Prefix};
use bucketwright::sync::compare::Compare;
use bucketwright::sync::decide::Route;
use bytes::Bytes;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A request as it went out.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// Path and query.
    pub(crate) target: String,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body_bytes: u64,
}

impl Request {
    /// The bytes of a file that it carries. The document that completes an upload in parts holds none.
    fn content_bytes(&self) -> u64 {
        if matches!(self.operation(), "PutObject" | "UploadPart") { self.body_bytes } else { 0 }
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// The operation in the words of the API, as far as the tests need it.
    pub(crate) fn operation(&self) -> &'static str {
        let has = |text| self.target.contains(text);
        match self.method.as_str() {
            "PUT" if has("uploadId=") && !self.header("x-amz-copy-source").is_empty() => "UploadPartCopy",
            "PUT" if has("uploadId=") => "UploadPart",
            "PUT" if !self.header("x-amz-copy-source").is_empty() => "CopyObject",
            "PUT" => "PutObject",
            "HEAD" => "HeadObject",
            "GET" if has("list-type=2") => "ListObjectsV2",
            "GET" if has("uploadId=") => "ListParts",
            "GET" if has("?uploads") => "ListMultipartUploads",
            "GET" if has("?tagging") => "GetObjectTagging",
            "GET" => "GetObject",
            "POST" if has("?delete") => "DeleteObjects",
            "POST" if has("uploadId=") => "CompleteMultipartUpload",
            "POST" => "CreateMultipartUpload",
            "DELETE" if has("uploadId=") => "AbortMultipartUpload",
            "DELETE" => "DeleteObject",
            _ => "?",
        }
    }
}

/// An answer on its way back, its body as text if it is XML.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) xml: Option<String>,
}

impl Answer {
    pub(crate) fn error(status: u16, code: &str) -> Self {
        let xml = format!("<Error><Code>{code}</Code><Message>made up</Message></Error>");
        Self { status, headers: BTreeMap::new(), xml: Some(xml) }
    }
}

/// What happens to the body of an answer on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Harm {
    /// It ends after so many bytes as if that were all.
    Ends,
    /// The connection breaks after so many bytes.
    Breaks,
    /// The byte at that place is another one.
    Flips,
}

/// The header that carries the harm from `after` to the body; it does not go on.
const HARM: &str = "test-harm";

impl Harm {
    pub(crate) fn at(self, byte: usize, answer: &mut Answer) {
        answer.headers.insert(HARM.to_owned(), format!("{self:?} {byte}"));
    }
}

async fn harmed(body: SdkBody, harm: &str) -> SdkBody {
    let (kind, at) = harm.split_once(' ').unwrap();
    let at: usize = at.parse().unwrap();
    let mut bytes = body.collect().await.unwrap().to_bytes().to_vec();
    if kind == "Flips" {
        bytes[at] ^= 1;
    } else {
        bytes.truncate(at);
    }
    let mut frames: Vec<Result<Frame<Bytes>, std::io::Error>> = vec![Ok(Frame::data(bytes.into()))];
    if kind == "Breaks" {
        frames.push(Err(std::io::Error::new(std::io::ErrorKind::ConnectionReset, "connection reset")));
    }
    SdkBody::from_body_1_x(StreamBody::new(futures_util::stream::iter(frames)))
}

/// Takes all checksums out of an answer, as a server does that does not know them.
pub(crate) fn forget_checksums(answer: &mut Answer) {
    answer.headers.retain(|name, _| !name.starts_with("x-amz-checksum"));
    if let Some(xml) = &mut answer.xml {
        while let Some(start) = xml.find("<Checksum") {
            let name: String = xml[start + 1..].chars().take_while(char::is_ascii_alphanumeric).collect();
            let close = format!("</{name}>");
            let end = xml.find(&close).unwrap() + close.len();
            xml.replace_range(start..end, "");
        }
    }
}

type Before = dyn Fn(&Request) -> Option<Answer> + Send + Sync;
type After = dyn Fn(&Request, &mut Answer) + Send + Sync;

#[derive(Clone)]
struct Wire {
    inner: SharedHttpConnector,
    log: Log,
    before: Arc<Before>,
    after: Arc<After>,
}

/// All requests so far, and the most body bytes that were under way at once.
#[derive(Debug, Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Logged>>);

#[derive(Debug, Default)]
struct Logged {
    requests: Vec<Request>,
    under_way_bytes: u64,
    most_bytes: u64,
    under_way: usize,
    most: usize,
}

impl Log {
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.0.lock().unwrap().requests.clone()
    }

    /// How often an operation was asked for.
    pub(crate) fn count(&self, operation: &str) -> usize {
        self.requests().iter().filter(|request| request.operation() == operation).count()
    }

    pub(crate) fn most_bytes(&self) -> u64 {
        self.0.lock().unwrap().most_bytes
    }

    pub(crate) fn most_requests(&self) -> usize {
        self.0.lock().unwrap().most
    }

    pub(crate) fn clear(&self) {
        self.0.lock().unwrap().requests.clear();
    }
}

impl fmt::Debug for Wire {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Wire")
    }
}

/// A store on `endpoint` that is listened to; no retries.
pub(crate) fn listened(endpoint: &Endpoint) -> (Store, Log) {
    tampered(endpoint, |_| None, |_, _| {})
}

/// A store whose requests may be answered by `before`, and whose answers `after` may change; no retries.
pub(crate) fn tampered(
    endpoint: &Endpoint,
    before: impl Fn(&Request) -> Option<Answer> + Send + Sync + 'static,
    after: impl Fn(&Request, &mut Answer) + Send + Sync + 'static,
) -> (Store, Log) {
    with_retries(endpoint, RetryConfig::disabled(), before, after)
}

/// Three tries, nearly without pauses.
pub(crate) fn quick_retries() -> RetryConfig {
    RetryConfig::standard().with_initial_backoff(Duration::from_millis(1)).with_max_attempts(3)
}

pub(crate) fn with_retries(
    endpoint: &Endpoint,
    retries: RetryConfig,
    before: impl Fn(&Request) -> Option<Answer> + Send + Sync + 'static,
    after: impl Fn(&Request, &mut Answer) + Send + Sync + 'static,
) -> (Store, Log) {
    let (log, before, after): (Log, Arc<Before>, Arc<After>) = (Log::default(), Arc::new(before), Arc::new(after));
    let (http, shared) = (endpoint.server.http_client(), log.clone());
    let client = http_client_fn(move |settings, components| {
        let inner = http.http_connector(settings, components);
        let (log, before, after) = (shared.clone(), Arc::clone(&before), Arc::clone(&after));
        SharedHttpConnector::new(Wire { inner, log, before, after })
    });
    let (access_key, secret) = (endpoint.server.access_key(), endpoint.server.secret_key());
    let config = config("http://localhost", access_key, secret).retry_config(retries).http_client(client).build();
    (Store::new(aws_sdk_s3::Client::from_conf(config), None, false).with_unsigned_payload(), log)
}

pub(crate) fn bucket() -> BucketName {
    "bucket".parse().unwrap()
}

pub(crate) fn key(text: &str) -> ObjectKey {
    text.parse().unwrap()
}

/// A sync of `files` into the bucket of `store`, by content.
pub(crate) fn to_bucket(files: &Path, store: &Store, spill: &Path) -> SyncRequest {
    let (folder, listing) = (Prefix::root(), Listing::Streamed);
    SyncRequest {
        route: Route::Upload { bucket: bucket(), folder: folder.clone() },
        source: Side::Files(Files { root: files.to_owned(), rename: None, leftovers: Arc::default() }),
        target: Side::Objects(Objects { store: store.clone(), bucket: bucket(), folder, listing }),
        filter: Filter::none(),
        compare: Compare::Content,
        shard: None,
        delete: None,
        cache: None,
        receipt: None,
        started_ns: 0,
        spill_folder: spill.to_owned(),
        retry_for: Duration::ZERO,
    }
}

impl HttpConnector for Wire {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let wire = self.clone();
        HttpConnectorFuture::new(async move {
            let seen = Request {
                method: request.method().to_owned(),
                target: request.uri().replacen("http://localhost", "", 1),
                headers: request.headers().iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
                body_bytes: request.body().content_length().unwrap_or_default(),
            };
            let made_up = (wire.before)(&seen);
            let _under_way = wire.log.enter(&seen);
            if let Some(answer) = made_up {
                return Ok(response(answer, None));
            }
            let mut response_before = wire.inner.call(request).await?;
            let body = response_before.take_body();
            let headers = response_before.headers().iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
            let headers: BTreeMap<String, String> = headers.collect();
            let is_xml = headers.get("content-type").is_some_and(|kind| kind.contains("xml"));
            let (xml, rest) = if is_xml {
                let text = body.collect().await.unwrap().to_bytes();
                (Some(String::from_utf8(text.to_vec()).unwrap()), None)
            } else {
                (None, Some(body))
            };
            let mut answer = Answer { status: response_before.status().as_u16(), headers, xml };
            (wire.after)(&seen, &mut answer);
            let rest = match (answer.headers.remove(HARM), rest) {
                (Some(harm), Some(body)) => Some(harmed(body, &harm).await),
                (_, rest) => rest,
            };
            Ok(response(answer, rest))
        })
    }
}

fn response(answer: Answer, rest: Option<SdkBody>) -> HttpResponse {
    let changed = answer.xml.is_some();
    let body = answer.xml.map(SdkBody::from).or(rest).unwrap_or_else(SdkBody::empty);
    let mut response = HttpResponse::new(StatusCode::try_from(answer.status).unwrap(), body);
    for (name, value) in answer.headers {
        if !(changed && name == "content-length") {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

struct UnderWay(Log, u64);

impl Log {
    fn enter(&self, request: &Request) -> UnderWay {
        let mut logged = self.0.lock().unwrap();
        logged.requests.push(request.clone());
        logged.under_way += 1;
        logged.under_way_bytes += request.content_bytes();
        logged.most = logged.most.max(logged.under_way);
        logged.most_bytes = logged.most_bytes.max(logged.under_way_bytes);
        UnderWay(self.clone(), request.content_bytes())
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut logged = self.0.0.lock().unwrap();
        logged.under_way -= 1;
        logged.under_way_bytes -= self.1;
    }
}
