//! Objects read: which version, under which conditions, which part of it, and what the answer tells.

use super::attributes::{encryption_headers, put_header};
use super::fault::{Fault, Outcome, refusal};
use super::index::{Snapshot, address};
use super::objects::check_key;
use super::outgoing::Outgoing;
use super::record::{ObjectRecord, VersionRecord, Versioning};
use super::service::Service;
use super::versions::{
    bucket_record, current, find, matches, no_such_key, parse_version_id, precondition_failed, timestamp,
};
use http::{HeaderMap, HeaderValue};
use s3s::dto::{
    ETagCondition, GetObjectInput, GetObjectOutput, HeadObjectInput, HeadObjectOutput, Metadata, Range, StreamingBlob,
    Timestamp, TimestampFormat,
};
use s3s::{S3Error, S3Request, S3Response, S3Result, s3_error};
use std::io;
use std::ops;

/// Which version, under which conditions, and which part of it a read wants.
#[derive(Debug)]
struct Wanted {
    bucket: String,
    key: String,
    version_id: Option<String>,
    if_match: Option<ETagCondition>,
    if_none_match: Option<ETagCondition>,
    if_modified_since: Option<Timestamp>,
    if_unmodified_since: Option<Timestamp>,
    range: Option<Range>,
    part_number: Option<i32>,
    checksum: bool,
}

/// A version that was found, and the bytes of it that are wanted.
struct Found {
    version: VersionRecord,
    object: ObjectRecord,
    range: ops::Range<u64>,
    partial: bool,
    versioned: bool,
}

/// What GET and HEAD ask for alike; `s3s` gives their inputs no common type.
macro_rules! wanted {
    ($input:expr) => {{
        let input = $input;
        Wanted {
            bucket: input.bucket,
            key: input.key,
            version_id: input.version_id,
            if_match: input.if_match,
            if_none_match: input.if_none_match,
            if_modified_since: input.if_modified_since,
            if_unmodified_since: input.if_unmodified_since,
            range: input.range,
            part_number: input.part_number,
            checksum: input.checksum_mode.is_some(),
        }
    }};
}

impl Service {
    pub(super) async fn get_object(&self, request: S3Request<GetObjectInput>) -> S3Result<S3Response<GetObjectOutput>> {
        let input = request.input;
        let overridden = [
            input.response_cache_control.is_some().then_some(http::header::CACHE_CONTROL),
            input.response_content_disposition.is_some().then_some(http::header::CONTENT_DISPOSITION),
            input.response_content_encoding.is_some().then_some(http::header::CONTENT_ENCODING),
            input.response_content_language.is_some().then_some(http::header::CONTENT_LANGUAGE),
            input.response_content_type.is_some().then_some(http::header::CONTENT_TYPE),
            input.response_expires.is_some().then_some(http::header::EXPIRES),
        ];
        let wanted = wanted!(input);
        let (found, body) = self.open(&wanted)?;
        let mut headers = read_headers(&found, wanted.checksum);
        // `s3s` has put the headers that the query asks for in place of these.
        overridden.into_iter().flatten().for_each(|name| drop(headers.remove(name)));
        let content_range = found.partial.then(|| content_range(&found));
        let metadata = metadata(&found);
        let output =
            GetObjectOutput { body: Some(StreamingBlob::new(body)), content_range, metadata, ..Default::default() };
        Ok(S3Response::with_headers(output, headers))
    }

    /// Finds what is wanted and opens it. Between the two the object can be replaced and its file removed: then look again.
    fn open(&self, wanted: &Wanted) -> S3Result<(Found, Outgoing)> {
        let mut tries = 3;
        loop {
            tries -= 1;
            let opened = self.index.snapshot().and_then(|snapshot| {
                let found = wanted.find(&snapshot)?;
                let body = Outgoing::open(&self.blobs, &snapshot, &found.object.segments, &found.range)?;
                Ok((found, body))
            });
            match opened {
                Err(Fault::Io(error)) if error.kind() == io::ErrorKind::NotFound && tries > 0 => {}
                other => return Ok(other?),
            }
        }
    }

    pub(super) async fn head_object(
        &self,
        request: S3Request<HeadObjectInput>,
    ) -> S3Result<S3Response<HeadObjectOutput>> {
        let input = request.input;
        let wanted = wanted!(input);
        let found = self.look(|snapshot| wanted.find(snapshot))?;
        let mut headers = read_headers(&found, wanted.checksum);
        if found.partial
            && let Ok(range) = HeaderValue::from_str(&content_range(&found))
        {
            headers.insert(http::header::CONTENT_RANGE, range);
        }
        let status = if found.partial { http::StatusCode::PARTIAL_CONTENT } else { http::StatusCode::OK };
        let mut response =
            S3Response::with_headers(HeadObjectOutput { metadata: metadata(&found), ..Default::default() }, headers);
        response.status = Some(status);
        Ok(response)
    }
}

impl Wanted {
    fn find(&self, snapshot: &Snapshot) -> Outcome<Found> {
        let bucket = bucket_record(&snapshot.buckets()?, &self.bucket)?;
        check_key(&self.key)?;
        let at = address(&self.bucket, &self.key);
        let version = match &self.version_id {
            None => current(&snapshot.current()?, &at)?.ok_or_else(no_such_key)?,
            Some(id) => {
                let name = parse_version_id(id)?;
                let missing = || s3_error!(NoSuchVersion, "The specified version does not exist.");
                find(&snapshot.current()?, &snapshot.noncurrent()?, &at, name)?.ok_or_else(missing)?
            }
        };
        let Some(object) = version.object.clone() else {
            return Err(Fault::Refused(self.is_marker(&version)));
        };
        self.check(&version, &object)?;
        let (range, partial) = self.range(&object)?;
        let versioned = bucket.versioning != Versioning::Never;
        Ok(Found { version, object, range, partial, versioned })
    }

    /// The answer where a delete marker stands: the key is gone, or the version cannot be read.
    fn is_marker(&self, version: &VersionRecord) -> S3Error {
        let mut headers = HeaderMap::new();
        headers.insert("x-amz-delete-marker", HeaderValue::from_static("true"));
        put_header(&mut headers, "x-amz-version-id", &version.version_id());
        let mut error = if self.version_id.is_some() {
            put_header(&mut headers, "last-modified", &http_date(version.modified_ms));
            s3_error!(MethodNotAllowed, "The specified method is not allowed against this resource.")
        } else {
            no_such_key()
        };
        error.set_headers(headers);
        error
    }

    /// The conditions of RFC 9110, section 13.2.2, in their order.
    fn check(&self, version: &VersionRecord, object: &ObjectRecord) -> S3Result<()> {
        let modified = timestamp(version.modified_ms);
        if let Some(condition) = &self.if_match {
            if !matches(condition, object) {
                return Err(precondition_failed());
            }
        } else if self.if_unmodified_since.as_ref().is_some_and(|since| modified > *since) {
            return Err(precondition_failed());
        }
        let unchanged = self.if_none_match.as_ref().map_or_else(
            || self.if_modified_since.as_ref().is_some_and(|since| modified <= *since),
            |condition| matches(condition, object),
        );
        if !unchanged {
            return Ok(());
        }
        let mut headers = HeaderMap::new();
        put_header(&mut headers, "etag", &object.etag.quoted());
        put_header(&mut headers, "last-modified", &http_date(version.modified_ms));
        let mut error = s3_error!(NotModified, "Not Modified");
        error.set_headers(headers);
        Err(error)
    }

    fn range(&self, object: &ObjectRecord) -> S3Result<(ops::Range<u64>, bool)> {
        let unsatisfiable = || s3_error!(InvalidRange, "The requested range is not satisfiable");
        match (self.range, self.part_number) {
            (Some(_), Some(_)) => {
                Err(s3_error!(InvalidRequest, "Cannot specify both Range header and partNumber query parameter"))
            }
            (Some(range), None) => Ok((range.check(object.size).map_err(|_| unsatisfiable())?, true)),
            (None, Some(1)) if object.parts.is_empty() => Ok((0..object.size, object.size > 0)),
            (None, Some(number)) => {
                let mut start = 0;
                for part in &object.parts {
                    if part.number == number {
                        return Ok((start..start + part.size, true));
                    }
                    start += part.size;
                }
                let message = "The requested partnumber is not satisfiable";
                Err(refusal("InvalidPartNumber", http::StatusCode::RANGE_NOT_SATISFIABLE, message))
            }
            (None, None) => Ok((0..object.size, false)),
        }
    }
}

fn content_range(found: &Found) -> String {
    format!("bytes {}-{}/{}", found.range.start, found.range.end.saturating_sub(1), found.object.size)
}

/// A moment in the form of HTTP.
fn http_date(ms: u64) -> String {
    let mut text = Vec::new();
    let written = timestamp(ms).format(TimestampFormat::HttpDate, &mut text);
    written.ok().and_then(|()| String::from_utf8(text).ok()).unwrap_or_default()
}

/// The user's metadata. `s3s` writes it, as it knows how S3 spells what is not ASCII.
fn metadata(found: &Found) -> Option<Metadata> {
    let pairs = &found.object.attributes.metadata;
    (!pairs.is_empty()).then(|| pairs.iter().cloned().collect())
}

/// What the answer to a read tells of the object.
fn read_headers(found: &Found, checksum: bool) -> HeaderMap {
    let (version, object) = (&found.version, &found.object);
    let attributes = &object.attributes;
    let mut headers = HeaderMap::new();
    put_header(&mut headers, "etag", &object.etag.quoted());
    put_header(&mut headers, "last-modified", &http_date(version.modified_ms));
    put_header(&mut headers, "accept-ranges", "bytes");
    put_header(&mut headers, "content-length", &(found.range.end - found.range.start).to_string());
    let content_type = attributes.content_type.as_deref().unwrap_or("binary/octet-stream");
    put_header(&mut headers, "content-type", content_type);
    for (name, value) in [
        ("content-encoding", &attributes.content_encoding),
        ("content-disposition", &attributes.content_disposition),
        ("content-language", &attributes.content_language),
        ("cache-control", &attributes.cache_control),
        ("expires", &attributes.expires),
        ("x-amz-website-redirect-location", &attributes.website_redirect),
        ("x-amz-storage-class", &attributes.storage_class),
    ] {
        if let Some(value) = value {
            put_header(&mut headers, name, value);
        }
    }
    encryption_headers(&attributes.encryption, &mut headers);
    if found.versioned {
        put_header(&mut headers, "x-amz-version-id", &version.version_id());
    }
    if !object.tags.is_empty() {
        put_header(&mut headers, "x-amz-tagging-count", &object.tags.len().to_string());
    }
    if found.partial && !object.parts.is_empty() {
        put_header(&mut headers, "x-amz-mp-parts-count", &object.parts.len().to_string());
    }
    // A checksum of the whole would be held against the part that is sent.
    if checksum && !found.partial {
        object.checksum.show(object.parts.len(), &mut headers);
    }
    headers
}
