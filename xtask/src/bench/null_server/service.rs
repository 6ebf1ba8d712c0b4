//! The S3 calls that the null server answers: bytes are counted and forgotten, everything else is kept.
#![expect(clippy::disallowed_methods, reason = "a server has a clock")]

use super::address::Address;
use super::connection::{Answer, Body, Connection, Head};
use super::listing;
use super::multipart::{Part, Upload};
use super::objects::{Object, Objects};
use super::xml::{self, document, element};
use anyhow::{Context as _, Result};
use bucketwright::hashing::Hasher;
use bucketwright::model::{Algorithm, Checksum};
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimePrinter;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Which ETag an object gets whose upload carried no Content-MD5.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Etags {
    /// One that is no MD5, as S3 gives to objects under SSE-KMS. Costs nothing.
    Opaque,
    /// The MD5 of the bytes, as S3 gives to others. Costs the cores about 1.6 s for each GiB.
    Md5,
}

/// The server's memory, shared by its connections.
#[derive(Debug)]
pub(super) struct Service {
    etags: Etags,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    objects: Objects,
    uploads: BTreeMap<u64, Upload>,
    counts: BTreeMap<String, u64>,
    last_number: u64,
}

/// What an upload brought: of a whole object or of a part.
struct Received {
    size_bytes: u64,
    etag: String,
    md5: Option<Checksum>,
    checksums: Vec<(String, String)>,
}

impl State {
    /// A number that was never given before.
    const fn number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }

    fn count(&mut self, what: &str) {
        match self.counts.get_mut(what) {
            Some(count) => *count += 1,
            None => drop(self.counts.insert(what.to_owned(), 1)),
        }
    }
}

impl Service {
    pub(super) fn new(etags: Etags) -> Self {
        Self { etags, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads what belongs to a request from its connection, and answers it.
    pub(super) fn answer(&self, connection: &mut Connection, head: &Head) -> Result<Answer> {
        let address = Address::parse(&head.target)?;
        let is_object = !address.key.is_empty();
        match (head.method.as_str(), is_object) {
            ("PUT", true) if head.header("x-amz-copy-source").is_none() => self.receive(connection, head, &address),
            ("POST", _) => {
                let text = String::from_utf8_lossy(&connection.small_body(head)?).into_owned();
                Ok(self.post(head, &address, &text))
            }
            _ => {
                connection.body(head, false, |_| ())?;
                Ok(self.bodiless(head, &address))
            }
        }
    }

    /// PutObject and UploadPart.
    fn receive(&self, connection: &mut Connection, head: &Head, address: &Address) -> Result<Answer> {
        let given = head.header("content-md5").map(|md5| Checksum::from_base64(Algorithm::Md5, md5)).transpose()?;
        let mut hasher = (self.etags == Etags::Md5 && given.is_none()).then(|| Hasher::new(Algorithm::Md5));
        let body = match &mut hasher {
            Some(hasher) => connection.body(head, true, |bytes| hasher.update(bytes))?,
            None => connection.body(head, false, |_| ())?,
        };
        let md5 = given.or_else(|| hasher.map(Hasher::finish));
        let mut state = self.state();
        let etag = match &md5 {
            Some(md5) => format!("\"{}\"", md5.hex()),
            None => format!("\"{:032x}\"", state.number()),
        };
        note_proofs(&mut state, head, &body);
        let checksums = checksums(head, &body);
        let received = Received { size_bytes: body.size_bytes, etag, md5, checksums };
        match (address.parameter("uploadId"), address.parameter("partNumber")) {
            (Some(id), Some(number)) => Ok(put_part(&mut state, id, number, received)),
            _ => Ok(put_object(&mut state, head, address, received)),
        }
    }

    /// CreateMultipartUpload, CompleteMultipartUpload, DeleteObjects.
    fn post(&self, head: &Head, address: &Address, text: &str) -> Answer {
        let mut state = self.state();
        if address.has("uploads") {
            state.count("create-multipart-upload");
            return create_upload(&mut state, head, address);
        }
        if let Some(id) = address.parameter("uploadId") {
            state.count("complete-multipart-upload");
            return complete_upload(&mut state, head, address, id, text);
        }
        if address.has("delete") {
            state.count("delete-objects");
            return delete_objects(&mut state, address, text);
        }
        state.count("refused");
        refused(head)
    }

    /// Calls whose body, if any, says nothing.
    fn bodiless(&self, head: &Head, address: &Address) -> Answer {
        let mut state = self.state();
        match (head.method.as_str(), address.bucket.is_empty(), address.key.is_empty()) {
            ("GET", false, true) => bucket_document(&mut state, head, address),
            ("GET", true, _) => {
                state.count("list-buckets");
                Answer::xml(200, document("<ListAllMyBucketsResult><Buckets></Buckets></ListAllMyBucketsResult>"))
            }
            ("PUT" | "HEAD", false, true) => {
                state.count("bucket");
                Answer::empty(200).with("x-amz-bucket-region", "us-east-1")
            }
            ("HEAD", _, false) => {
                state.count("head-object");
                state
                    .objects
                    .get(&address.path())
                    .map_or_else(|| Answer::empty(404), |object| head_object(head, object))
            }
            ("GET", _, false) => object_document(&mut state, head, address),
            ("DELETE", _, false) => {
                match address.parameter("uploadId").and_then(|id| id.parse().ok()) {
                    Some(id) => {
                        state.count("abort-multipart-upload");
                        state.uploads.remove(&id);
                    }
                    None => {
                        state.count("delete-object");
                        state.objects.remove(&address.path());
                    }
                }
                Answer::empty(204)
            }
            _ => {
                state.count("refused");
                refused(head)
            }
        }
    }

    /// Number and bytes of the objects whose `bucket/key` starts so, how many uploads are unfinished, and what was
    /// counted since the start, as JSON.
    pub(super) fn report(&self, prefix: &str) -> String {
        let state = self.state();
        let (objects, bytes) = state.objects.count(prefix);
        let uploads = state.uploads.len();
        serde_json::json!({"objects": objects, "bytes": bytes, "uploads": uploads, "counts": state.counts}).to_string()
    }

    /// Puts an object in place that nobody uploaded.
    pub(super) fn seed(&self, path: String, size_bytes: u64, md5: &Checksum, crc64nvme: &Checksum) {
        let headers = [
            ("x-amz-checksum-crc64nvme".into(), crc64nvme.base64().into()),
            ("x-amz-checksum-type".into(), "FULL_OBJECT".into()),
        ];
        let etag = format!("\"{}\"", md5.hex()).into();
        let object = Object { size_bytes, etag, modified: Timestamp::now(), headers: headers.into() };
        self.state().objects.put(path, object);
    }
}

/// The checksums that an upload carried, before its body or behind it.
fn checksums(head: &Head, body: &Body) -> Vec<(String, String)> {
    let trailers = body.trailers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let all = head.headers().chain(trailers);
    let wanted = |name: &str| {
        name.starts_with("x-amz-checksum-") && !matches!(name, "x-amz-checksum-type" | "x-amz-checksum-algorithm")
    };
    all.filter(|(name, _)| wanted(name)).map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// Counts by what an upload could have been proven: the page of the results says it of each client.
fn note_proofs(state: &mut State, head: &Head, body: &Body) {
    if head.header("content-md5").is_some() {
        state.count("proof content-md5");
    }
    let is_digest = |value: &str| value.len() == 64 && value.bytes().all(|byte| byte.is_ascii_hexdigit());
    if head.header("x-amz-content-sha256").is_some_and(is_digest) {
        state.count("proof signed sha256");
    }
    for (name, _) in checksums(head, body) {
        state.count(&format!("proof {}", name.trim_start_matches("x-amz-checksum-")));
    }
}

/// Headers that come back with an object.
fn kept_headers(head: &Head) -> impl Iterator<Item = (String, String)> {
    let kept = head.headers().filter(|(name, _)| name.starts_with("x-amz-meta-") || *name == "content-type");
    kept.map(|(name, value)| (name.to_owned(), value.to_owned()))
}

/// Says if what is there forbids to write, as conditional requests ask.
fn forbids(state: &State, head: &Head, path: &str) -> bool {
    let found = state.objects.get(path);
    let is_taken = head.header("if-none-match") == Some("*") && found.is_some();
    let matches = |wanted: &str| found.is_some_and(|object| object.etag.trim_matches('"') == wanted.trim_matches('"'));
    is_taken || head.header("if-match").is_some_and(|wanted| !matches(wanted))
}

fn precondition_failed() -> Answer {
    Answer::error(412, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold")
}

fn put_object(state: &mut State, head: &Head, address: &Address, received: Received) -> Answer {
    state.count("put-object");
    let path = address.path();
    if forbids(state, head, &path) {
        return precondition_failed();
    }
    let answer = echo(Answer::empty(200).with("etag", &*received.etag), &received.checksums);
    let mut headers: Vec<(Box<str>, Box<str>)> =
        kept_headers(head).chain(received.checksums).map(|(name, value)| (name.into(), value.into())).collect();
    headers.push(("x-amz-checksum-type".into(), "FULL_OBJECT".into()));
    let (size_bytes, etag) = (received.size_bytes, received.etag.into());
    state.objects.put(path, Object { size_bytes, etag, modified: Timestamp::now(), headers: headers.into() });
    answer
}

fn put_part(state: &mut State, id: &str, number: &str, received: Received) -> Answer {
    state.count("upload-part");
    let upload = id.parse().ok().and_then(|id: u64| state.uploads.get_mut(&id));
    let (Some(upload), Ok(number)) = (upload, number.parse()) else { return no_such_upload() };
    let answer = echo(Answer::empty(200).with("etag", &*received.etag), &received.checksums);
    let Received { size_bytes, etag, md5, checksums } = received;
    upload.put(number, Part { size_bytes, etag, md5, checksums });
    answer
}

/// Adds checksums to an answer as S3 does.
fn echo(answer: Answer, checksums: &[(String, String)]) -> Answer {
    checksums.iter().fold(answer, |answer, (name, value)| answer.with(name, &**value))
}

fn create_upload(state: &mut State, head: &Head, address: &Address) -> Answer {
    let id = state.number();
    let headers = kept_headers(head).collect();
    state.uploads.insert(id, Upload::new(headers));
    let mut out = "<InitiateMultipartUploadResult>".to_owned();
    for (name, text) in [("Bucket", &*address.bucket), ("Key", &address.key), ("UploadId", &id.to_string())] {
        element(&mut out, name, text);
    }
    out.push_str("</InitiateMultipartUploadResult>");
    let asked = ["x-amz-checksum-algorithm", "x-amz-checksum-type"];
    let asked = asked.into_iter().filter_map(|name| Some((name, head.header(name)?)));
    asked.fold(Answer::xml(200, document(&out)), |answer, (name, value)| answer.with(name, value))
}

fn complete_upload(state: &mut State, head: &Head, address: &Address, id: &str, text: &str) -> Answer {
    let path = address.path();
    if forbids(state, head, &path) {
        return precondition_failed();
    }
    let Ok(id) = id.parse::<u64>() else { return no_such_upload() };
    let number = state.number();
    let Some(upload) = state.uploads.get(&id) else { return no_such_upload() };
    let numbers: Vec<u32> = xml::texts(text, "PartNumber").iter().filter_map(|number| number.parse().ok()).collect();
    let Some(whole) = upload.whole(&numbers) else {
        return Answer::error(400, "InvalidPart", "One or more of the specified parts could not be found");
    };
    let announced = head.header("x-amz-mp-object-size").and_then(|size| size.parse::<u64>().ok());
    if announced.is_some_and(|announced| announced != whole.size_bytes) {
        return Answer::error(400, "InvalidRequest", "The provided object size does not match the computed size");
    }
    let etag = whole.etag.unwrap_or_else(|| format!("{number:032x}-{}", whole.parts));
    let mut checksums = checksums(head, &Body::default());
    if checksums.is_empty() {
        checksums.extend(whole.crc64nvme.map(|crc| ("x-amz-checksum-crc64nvme".to_owned(), crc)));
    }
    let mut headers = upload.headers.clone();
    headers.extend(checksums.iter().cloned());
    if !checksums.is_empty() {
        headers.push(("x-amz-checksum-type".to_owned(), "FULL_OBJECT".to_owned()));
    }
    let mut out = "<CompleteMultipartUploadResult>".to_owned();
    for (name, text) in [("Bucket", &*address.bucket), ("Key", &address.key), ("ETag", &format!("\"{etag}\""))] {
        element(&mut out, name, text);
    }
    write_checksums(&mut out, headers.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    out.push_str("</CompleteMultipartUploadResult>");
    let headers = headers.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
    let (size_bytes, etag) = (whole.size_bytes, format!("\"{etag}\"").into());
    state.objects.put(path, Object { size_bytes, etag, modified: Timestamp::now(), headers });
    state.uploads.remove(&id);
    Answer::xml(200, document(&out))
}

/// Checksum headers as elements: `x-amz-checksum-crc64nvme` is `ChecksumCRC64NVME`.
fn write_checksums<'headers>(out: &mut String, headers: impl Iterator<Item = (&'headers str, &'headers str)>) {
    for (name, value) in headers {
        match name.strip_prefix("x-amz-checksum-") {
            Some("type") => element(out, "ChecksumType", value),
            Some(algorithm) => element(out, &format!("Checksum{}", algorithm.to_ascii_uppercase()), value),
            None => {}
        }
    }
}

fn delete_objects(state: &mut State, address: &Address, text: &str) -> Answer {
    let is_quiet = xml::texts(text, "Quiet").iter().any(|quiet| quiet == "true");
    let mut out = "<DeleteResult>".to_owned();
    for key in xml::texts(text, "Key") {
        state.objects.remove(&format!("{}/{key}", address.bucket));
        if !is_quiet {
            out.push_str("<Deleted>");
            element(&mut out, "Key", &key);
            out.push_str("</Deleted>");
        }
    }
    out.push_str("</DeleteResult>");
    Answer::xml(200, document(&out))
}

fn bucket_document(state: &mut State, head: &Head, address: &Address) -> Answer {
    if address.has("location") {
        state.count("get-bucket-location");
        return Answer::xml(200, document("<LocationConstraint></LocationConstraint>"));
    }
    if address.has("versioning") {
        state.count("get-bucket-versioning");
        return Answer::xml(200, document("<VersioningConfiguration></VersioningConfiguration>"));
    }
    if address.has("uploads") {
        state.count("list-multipart-uploads");
        let none = "<IsTruncated>false</IsTruncated>";
        return Answer::xml(200, document(&format!("<ListMultipartUploadsResult>{none}</ListMultipartUploadsResult>")));
    }
    let plain = ["list-type", "prefix", "delimiter", "marker", "max-keys", "encoding-type", "fetch-owner", "x-id"];
    if head.target.contains('?') && !plain.iter().any(|name| address.has(name)) {
        state.count("refused");
        return refused(head);
    }
    state.count("list-objects");
    Answer::xml(200, listing::list(&state.objects, address))
}

/// GETs of an object: its attributes or the parts of an upload, never its bytes.
fn object_document(state: &mut State, head: &Head, address: &Address) -> Answer {
    if let Some(id) = address.parameter("uploadId") {
        state.count("list-parts");
        let upload = id.parse().ok().and_then(|id: u64| state.uploads.get(&id));
        return upload
            .map_or_else(no_such_upload, |upload| Answer::xml(200, upload.list(&address.bucket, &address.key, id)));
    }
    if !address.has("attributes") {
        state.count("refused");
        return refused(head);
    }
    state.count("get-object-attributes");
    let Some(object) = state.objects.get(&address.path()) else {
        return Answer::error(404, "NoSuchKey", "The specified key does not exist.");
    };
    let mut out = "<GetObjectAttributesResponse>".to_owned();
    element(&mut out, "ETag", object.etag.trim_matches('"'));
    out.push_str("<Checksum>");
    write_checksums(&mut out, object.headers.iter().map(|(name, value)| (&**name, &**value)));
    out.push_str("</Checksum>");
    element(&mut out, "ObjectSize", &object.size_bytes.to_string());
    out.push_str("</GetObjectAttributesResponse>");
    Answer::xml(200, document(&out))
}

fn head_object(head: &Head, object: &Object) -> Answer {
    let is_asked = head.header("x-amz-checksum-mode").is_some_and(|mode| mode.eq_ignore_ascii_case("enabled"));
    let modified = DateTimePrinter::new().timestamp_to_rfc9110_string(&object.modified).unwrap_or_default();
    let mut answer = Answer::empty(200).with("etag", &*object.etag).with("last-modified", modified);
    answer = answer.with("accept-ranges", "bytes");
    for (name, value) in &object.headers {
        if is_asked || !name.starts_with("x-amz-checksum-") {
            answer = answer.with(name, &**value);
        }
    }
    answer.head_bytes = Some(object.size_bytes);
    answer
}

fn no_such_upload() -> Answer {
    Answer::error(404, "NoSuchUpload", "The specified upload does not exist.")
}

fn refused(head: &Head) -> Answer {
    let message = format!("{} {} is nothing that a client measured here needs", head.method, head.target);
    Answer::error(501, "NotImplemented", &message)
}

impl Service {
    /// Answers that only this project's bench asks for, under a path that no bucket can have.
    pub(super) fn own(&self, head: &Head) -> Option<Result<Answer>> {
        let rest = head.target.strip_prefix("/-/count/")?;
        let prefix =
            Address::parse(rest).map(|address| if address.key.is_empty() { address.bucket } else { address.path() });
        Some(prefix.context("no prefix").map(|prefix| Answer::empty(200).body(self.report(&prefix))))
    }
}
