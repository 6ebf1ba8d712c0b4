//! Objects: put, read, deleted.

use super::checksums::Claims;
use super::documents::bucket_encryption;
use super::fault::{Fault, Outcome, refusal};
use super::index::{Snapshot, address};
use super::ingest::{Expected, Received, receive};
use super::outgoing::Outgoing;
use super::record::{Attributes, ObjectEncryption, ObjectRecord, StoredChecksum, VersionRecord};
use super::service::Service;
use super::settings::checked_tags;
use super::versions::{
    Condition, Deleted, bucket_record, current, delete, delete_version, find, matches, no_such_key, parse_version_id,
    precondition_failed, put, timestamp,
};
use crate::hashing::digest;
use crate::model::{Algorithm, Checksum, ETag};
use http::{HeaderMap, HeaderName, HeaderValue};
use redb::ReadableTable;
use s3s::dto::{
    DeleteObjectInput, DeleteObjectOutput, DeleteObjectsInput, DeleteObjectsOutput, DeletedObject, ETagCondition,
    GetObjectInput, GetObjectOutput, HeadObjectInput, HeadObjectOutput, Metadata, ObjectIdentifier, PutObjectInput,
    PutObjectOutput, Range, StreamingBlob, Timestamp, TimestampFormat,
};
use s3s::{S3Error, S3Request, S3Response, S3Result, s3_error};
use std::io;
use std::ops;

/// The most tags of an object, and the most bytes of user metadata.
pub(super) const MAX_OBJECT_TAGS: usize = 10;
const MAX_METADATA_BYTES: usize = 2 << 10;
/// Bodies up to this size are read before anything is looked up.
const SMALL_BYTES: i64 = 64 << 10;

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

/// A key as S3 takes it.
pub(super) fn check_key(key: &str) -> S3Result<()> {
    match key.len() {
        1..=1024 => Ok(()),
        0 => Err(s3_error!(InvalidArgument, "The key must not be empty")),
        _ => Err(s3_error!(KeyTooLongError, "Your key is too long")),
    }
}

/// Reads what a request says of an object besides its bytes, and refuses what this endpoint does not do.
pub(super) fn attributes(headers: &HeaderMap, metadata: Option<Metadata>) -> S3Result<Attributes> {
    refuse_unsupported(headers)?;
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let mut metadata: Vec<(String, String)> = metadata.unwrap_or_default().into_iter().collect();
    metadata.sort_unstable();
    if metadata.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>() > MAX_METADATA_BYTES {
        return Err(s3_error!(MetadataTooLarge, "Your metadata headers exceed the maximum allowed metadata size"));
    }
    Ok(Attributes {
        content_type: text("content-type").filter(|text| !text.is_empty()),
        content_encoding: text("content-encoding").and_then(|text| stored_encoding(&text)),
        content_disposition: text("content-disposition"),
        content_language: text("content-language"),
        cache_control: text("cache-control"),
        expires: text("expires"),
        website_redirect: text("x-amz-website-redirect-location"),
        storage_class: text("x-amz-storage-class").filter(|class| class != "STANDARD"),
        metadata,
        encryption: ObjectEncryption::default(),
    })
}

/// `aws-chunked` is how the body travelled, not what it is.
fn stored_encoding(text: &str) -> Option<String> {
    let kept: Vec<&str> = text
        .split(',')
        .map(str::trim)
        .filter(|one| !one.eq_ignore_ascii_case("aws-chunked") && !one.is_empty())
        .collect();
    (!kept.is_empty()).then(|| kept.join(","))
}

fn refuse_unsupported(headers: &HeaderMap) -> S3Result<()> {
    if headers.contains_key("x-amz-server-side-encryption-customer-algorithm") {
        return Err(s3_error!(
            AccessDenied,
            "Server-side encryption with customer-provided keys is blocked on this bucket"
        ));
    }
    if headers.contains_key("x-amz-object-lock-mode") || headers.contains_key("x-amz-object-lock-legal-hold") {
        return Err(s3_error!(InvalidRequest, "Bucket is missing Object Lock Configuration"));
    }
    let acl = headers.get("x-amz-acl").is_some_and(|acl| acl.as_bytes() != b"bucket-owner-full-control");
    let grants = headers.keys().any(|name| name.as_str().starts_with("x-amz-grant-"));
    if acl || grants {
        let message = "The bucket does not allow ACLs";
        return Err(refusal("AccessControlListNotSupported", http::StatusCode::BAD_REQUEST, message));
    }
    Ok(())
}

/// Reads the tags of `x-amz-tagging`: pairs as in a query.
pub(super) fn header_tags(header: Option<&str>) -> S3Result<Vec<(String, String)>> {
    let decode = |text: &str| -> S3Result<String> {
        let spaced = text.replace('+', " ");
        percent_decoded(&spaced).ok_or_else(|| s3_error!(InvalidArgument, "The header 'x-amz-tagging' is not valid"))
    };
    let pairs = header.unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
    let tags: S3Result<Vec<_>> = pairs
        .map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            Ok((decode(key)?, decode(value)?))
        })
        .collect();
    checked_tags(tags?, MAX_OBJECT_TAGS)
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let (high, low) = (rest.next()?, rest.next()?);
            let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
            bytes.push(digit(high)? * 16 + digit(low)?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

/// The encryption that a request asks for, before the bucket's default has filled in what it leaves open.
#[derive(Debug, Clone)]
pub(super) struct AskedEncryption {
    /// Whether KMS was asked for; none if nothing was.
    kms: Option<bool>,
    kms_key: Option<String>,
    bucket_key: Option<bool>,
}

impl AskedEncryption {
    pub(super) fn read(headers: &HeaderMap) -> S3Result<Self> {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let kms = match text("x-amz-server-side-encryption") {
            None => None,
            Some("AES256") => Some(false),
            Some("aws:kms" | "aws:kms:dsse") => Some(true),
            Some(_) => return Err(s3_error!(InvalidArgument, "The encryption method specified is not supported")),
        };
        let kms_key = text("x-amz-server-side-encryption-aws-kms-key-id").map(str::to_owned);
        let bucket_key = text("x-amz-server-side-encryption-bucket-key-enabled").map(|text| text == "true");
        Ok(Self { kms, kms_key, bucket_key })
    }

    /// The encryption that the new object says it has.
    pub(super) fn resolve(
        self,
        settings: &impl ReadableTable<(&'static str, &'static str), &'static [u8]>,
        bucket: &str,
    ) -> Outcome<ObjectEncryption> {
        if self.kms == Some(false) {
            return Ok(ObjectEncryption::default());
        }
        let default = bucket_encryption(settings, bucket)?;
        let default_kms = default.algorithm != "AES256";
        if !self.kms.unwrap_or(default_kms) {
            return Ok(ObjectEncryption::default());
        }
        Ok(ObjectEncryption {
            kms: true,
            kms_key: self.kms_key.or(default.kms_key),
            bucket_key: self.bucket_key.or(default.bucket_key).unwrap_or(false),
        })
    }
}

impl Service {
    /// The encryption of a new object in an existing bucket.
    pub(super) fn object_encryption(&self, bucket: &str, headers: &HeaderMap) -> S3Result<ObjectEncryption> {
        let asked = AskedEncryption::read(headers)?;
        self.look(|snapshot| {
            bucket_record(&snapshot.buckets()?, bucket)?;
            asked.resolve(&snapshot.settings()?, bucket)
        })
    }

    pub(super) async fn put_object(&self, request: S3Request<PutObjectInput>) -> S3Result<S3Response<PutObjectOutput>> {
        let S3Request { input, headers, trailing_headers, .. } = request;
        check_key(&input.key)?;
        let mut attributes = attributes(&headers, input.metadata)?;
        let encryption = AskedEncryption::read(&headers)?;
        if input.content_length.is_none_or(|length| length > SMALL_BYTES) {
            // That the bucket is not there is said before a large body is read.
            self.look(|snapshot| bucket_record(&snapshot.buckets()?, &input.bucket))?;
        }
        let tags = header_tags(input.tagging.as_deref())?;
        let claims = Claims::read(&headers)?;
        let kept = claims.kept();
        let expected = Expected { claims, length: input.content_length, also: vec![kept], trailers: trailing_headers };
        let received = receive(&self.blobs, input.body, expected).await?;
        let condition =
            Condition { if_match: input.if_match, if_none_match: input.if_none_match, ..Condition::default() };
        let (bucket, key) = (input.bucket, input.key);
        let version = self
            .change(move |tables| {
                put(tables, &bucket, &key, &condition, |tables| {
                    attributes.encryption = encryption.resolve(&tables.settings, &bucket)?;
                    single(tables, received, kept, attributes, tags)
                })
            })
            .await?;
        let mut response = S3Response::new(PutObjectOutput::default());
        if let Some(object) = &version.object {
            written_headers(&version, object, &mut response.headers);
        }
        Ok(response)
    }

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
        let wanted = Wanted {
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
        };
        let (found, body) = self.open(&wanted)?;
        let mut headers = read_headers(&found, wanted.checksum);
        // `s3s` has put the headers that the query asks for in place of these.
        overridden.into_iter().flatten().for_each(|name| drop(headers.remove(name)));
        let content_range = found.partial.then(|| content_range(&found));
        let output = GetObjectOutput { body: Some(StreamingBlob::new(body)), content_range, ..Default::default() };
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
        let wanted = Wanted {
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
        };
        let found = self.look(|snapshot| wanted.find(snapshot))?;
        let mut headers = read_headers(&found, wanted.checksum);
        if found.partial
            && let Ok(range) = HeaderValue::from_str(&content_range(&found))
        {
            headers.insert(http::header::CONTENT_RANGE, range);
        }
        let status = if found.partial { http::StatusCode::PARTIAL_CONTENT } else { http::StatusCode::OK };
        let mut response = S3Response::with_headers(HeadObjectOutput::default(), headers);
        response.status = Some(status);
        Ok(response)
    }

    pub(super) async fn delete_object(
        &self,
        request: S3Request<DeleteObjectInput>,
    ) -> S3Result<S3Response<DeleteObjectOutput>> {
        let input = request.input;
        check_key(&input.key)?;
        let condition = Condition {
            if_match: input.if_match,
            if_size: input.if_match_size,
            if_modified: input.if_match_last_modified_time,
            ..Condition::default()
        };
        let deleted = self
            .change(move |tables| match input.version_id {
                Some(version) => delete_version(tables, &input.bucket, &input.key, &version, &condition),
                None => delete(tables, &input.bucket, &input.key, &condition),
            })
            .await?;
        Ok(S3Response::new(DeleteObjectOutput {
            delete_marker: deleted.marker.then_some(true),
            version_id: deleted.version_id,
            ..Default::default()
        }))
    }

    pub(super) async fn delete_objects(
        &self,
        request: S3Request<DeleteObjectsInput>,
    ) -> S3Result<S3Response<DeleteObjectsOutput>> {
        let DeleteObjectsInput { bucket, delete: wanted, .. } = request.input;
        if wanted.objects.is_empty() || wanted.objects.len() > 1000 {
            return Err(super::settings::malformed_xml());
        }
        let quiet = wanted.quiet.unwrap_or(false);
        let outcomes = self
            .change(move |tables| {
                bucket_record(&tables.buckets, &bucket)?;
                let one = |object| delete_one(tables, &bucket, object);
                wanted.objects.into_iter().map(one).collect::<Outcome<Vec<_>>>()
            })
            .await?;
        let mut output = DeleteObjectsOutput::default();
        let (mut deleted, mut errors) = (Vec::new(), Vec::new());
        for outcome in outcomes {
            match outcome {
                Ok(done) if !quiet => deleted.push(done),
                Ok(_) => {}
                Err(error) => errors.push(error),
            }
        }
        output.deleted = (!deleted.is_empty()).then_some(deleted);
        output.errors = (!errors.is_empty()).then_some(errors);
        Ok(S3Response::new(output))
    }
}

type OneDeleted = Result<DeletedObject, s3s::dto::Error>;

/// One key of DeleteObjects. A refusal concerns that key alone; a fault of the folder concerns all.
fn delete_one(tables: &mut super::index::Tables<'_>, bucket: &str, object: ObjectIdentifier) -> Outcome<OneDeleted> {
    let ObjectIdentifier { e_tag, key, last_modified_time, size, version_id } = object;
    let condition = Condition {
        if_match: e_tag.map(ETagCondition::ETag),
        if_size: size,
        if_modified: last_modified_time,
        ..Condition::default()
    };
    let outcome = check_key(&key).map_err(Fault::from).and_then(|()| match &version_id {
        Some(version) => delete_version(tables, bucket, &key, version, &condition),
        None => delete(tables, bucket, &key, &condition),
    });
    match outcome {
        Ok(deleted) => Ok(Ok(deleted_object(key, version_id, deleted))),
        Err(Fault::Refused(error)) => Ok(Err(s3s::dto::Error {
            code: Some(error.code().as_str().to_owned()),
            key: Some(key),
            message: error.message().map(str::to_owned),
            version_id,
        })),
        Err(fault) => Err(fault),
    }
}

fn deleted_object(key: String, asked: Option<String>, deleted: Deleted) -> DeletedObject {
    DeletedObject {
        key: Some(key),
        delete_marker: deleted.marker.then_some(true),
        delete_marker_version_id: deleted.version_id.filter(|_| deleted.marker),
        version_id: asked,
    }
}

/// The record of an object that came in one piece.
fn single(
    tables: &mut super::index::Tables<'_>,
    received: Received,
    kept: Algorithm,
    attributes: Attributes,
    tags: Vec<(String, String)>,
) -> Outcome<ObjectRecord> {
    let size = received.size;
    let etag = etag_of(received.digests.of(Algorithm::Md5), &attributes.encryption);
    let checksum = StoredChecksum { value: received.digests.of(kept).clone(), composite: false };
    let segments = received.store(tables)?;
    Ok(ObjectRecord { size, etag, checksum, segments, parts: Vec::new(), attributes, tags })
}

/// The ETag of an object in one piece: its MD5, unless it is under KMS, where S3 gives what only looks like one.
pub(super) fn etag_of(md5: &Checksum, encryption: &ObjectEncryption) -> ETag {
    if !encryption.kms {
        return ETag::new(&md5.hex());
    }
    let mut mixed = md5.digest().to_vec();
    mixed.extend_from_slice(b"aws:kms");
    ETag::new(&digest(Algorithm::Md5, &mixed).hex())
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
        let versioned = bucket.versioning != super::record::Versioning::Never;
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

/// Adds a header, unless the value cannot be one.
pub(super) fn put_header(headers: &mut HeaderMap, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

/// A moment in the form of HTTP.
fn http_date(ms: u64) -> String {
    let mut text = Vec::new();
    let written = timestamp(ms).format(TimestampFormat::HttpDate, &mut text);
    written.ok().and_then(|()| String::from_utf8(text).ok()).unwrap_or_default()
}

/// What the answer to a write tells of the object.
fn written_headers(version: &VersionRecord, object: &ObjectRecord, headers: &mut HeaderMap) {
    put_header(headers, "etag", &object.etag.quoted());
    encryption_headers(&object.attributes.encryption, headers);
    object.checksum.show(object.parts.len(), headers);
    if version.salt.is_some() {
        put_header(headers, "x-amz-version-id", &version.version_id());
    }
}

/// How the object says it is encrypted.
pub(super) fn encryption_headers(encryption: &ObjectEncryption, headers: &mut HeaderMap) {
    let method = if encryption.kms { "aws:kms" } else { "AES256" };
    put_header(headers, "x-amz-server-side-encryption", method);
    if let Some(key) = &encryption.kms_key {
        put_header(headers, "x-amz-server-side-encryption-aws-kms-key-id", key);
    }
    if encryption.kms && encryption.bucket_key {
        put_header(headers, "x-amz-server-side-encryption-bucket-key-enabled", "true");
    }
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
    for (name, value) in &attributes.metadata {
        let name = HeaderName::try_from(format!("x-amz-meta-{name}"));
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(value).or_else(|_| HeaderValue::try_from(value))) {
            headers.insert(name, value);
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
