//! Copies inside the endpoint: where they come from, what they take along, and when they share bytes.

use super::attributes::{attributes, encryption_headers, etag_of, header_tags};
use super::checksums::{Claims, fill_checksum, named_algorithm};
use super::fault::{Fault, Outcome};
use super::index::{Snapshot, Tables, address};
use super::ingest::{Expected, Received, receive};
use super::multipart::strong;
use super::objects::check_key;
use super::outgoing::Outgoing;
use super::record::{Attributes, ObjectRecord, StoredChecksum, VersionName, VersionRecord};
use super::service::Service;
use super::versions::{
    Condition, bucket_record, current, find, matches, no_such_key, parse_version_id, precondition_failed, put,
    share_segments, timestamp,
};
use crate::model::Algorithm;
use http::HeaderMap;
use s3s::dto::*;
use s3s::{S3Request, S3Response, S3Result, s3_error};
use std::ops;

/// The largest object that one CopyObject takes.
const MAX_COPY_BYTES: u64 = 5 << 30;

/// An object to copy from, and what must hold of it.
#[derive(Debug, Clone)]
pub(super) struct Source {
    bucket: String,
    key: String,
    version: Option<VersionName>,
    if_match: Option<ETagCondition>,
    if_none_match: Option<ETagCondition>,
    if_modified_since: Option<Timestamp>,
    if_unmodified_since: Option<Timestamp>,
}

/// What the copy is to be, apart from its bytes.
struct Copy {
    bucket: String,
    key: String,
    condition: Condition,
    /// None if the source's are kept.
    attributes: Option<Attributes>,
    /// None if the source's are kept.
    tags: Option<Vec<(String, String)>>,
    /// What the request's headers say whatever the directive.
    asked: Attributes,
    says_encryption: bool,
}

fn etag_condition(headers: &HeaderMap, name: &str) -> S3Result<Option<ETagCondition>> {
    let refused = |_| s3_error!(InvalidArgument, "The header '{name}' is not valid");
    headers.get(name).map(|value| ETagCondition::parse_http_header(value.as_bytes())).transpose().map_err(refused)
}

fn date(headers: &HeaderMap, name: &str) -> S3Result<Option<Timestamp>> {
    let refused = || s3_error!(InvalidArgument, "The header '{name}' is not valid");
    let Some(value) = headers.get(name) else { return Ok(None) };
    let text = value.to_str().map_err(|_| refused())?;
    Timestamp::parse(TimestampFormat::HttpDate, text).map(Some).map_err(|_| refused())
}

impl Source {
    /// Reads the source and its conditions.
    pub(super) fn read(source: &CopySource, headers: &HeaderMap) -> S3Result<Self> {
        let CopySource::Bucket { bucket, key, version_id } = source else {
            return Err(s3_error!(NotImplemented, "Copies from access points are not implemented"));
        };
        Ok(Self {
            bucket: bucket.to_string(),
            key: key.to_string(),
            version: version_id.as_deref().map(parse_version_id).transpose()?,
            if_match: etag_condition(headers, "x-amz-copy-source-if-match")?,
            if_none_match: etag_condition(headers, "x-amz-copy-source-if-none-match")?,
            if_modified_since: date(headers, "x-amz-copy-source-if-modified-since")?,
            if_unmodified_since: date(headers, "x-amz-copy-source-if-unmodified-since")?,
        })
    }

    /// The version to copy and its content. Every failed condition is 412 here, never 304.
    fn check(&self, version: Option<VersionRecord>) -> S3Result<(VersionRecord, ObjectRecord)> {
        let version = version.ok_or_else(no_such_key)?;
        let Some(object) = version.object.clone() else {
            return Err(match self.version {
                None => no_such_key(),
                Some(_) => s3_error!(
                    InvalidRequest,
                    "The source of a copy request may not specifically refer to a delete marker by version id."
                ),
            });
        };
        let modified = timestamp(version.modified_ms);
        let old = self.if_match.as_ref().map_or_else(
            || self.if_unmodified_since.as_ref().is_none_or(|since| modified <= *since),
            |condition| matches(condition, &object),
        );
        let new = self.if_none_match.as_ref().map_or_else(
            || self.if_modified_since.as_ref().is_none_or(|since| modified > *since),
            |condition| !matches(condition, &object),
        );
        if old && new { Ok((version, object)) } else { Err(precondition_failed()) }
    }

    fn find(&self, snapshot: &Snapshot) -> Outcome<(VersionRecord, ObjectRecord)> {
        bucket_record(&snapshot.buckets()?, &self.bucket)?;
        let at = address(&self.bucket, &self.key);
        let found = match self.version {
            None => current(&snapshot.current()?, &at)?,
            Some(name) => find(&snapshot.current()?, &snapshot.noncurrent()?, &at, name)?,
        };
        Ok(self.check(found)?)
    }

    /// The same inside a transaction, where the source can no longer change.
    fn find_now(&self, tables: &Tables<'_>) -> Outcome<(VersionRecord, ObjectRecord)> {
        let at = address(&self.bucket, &self.key);
        let found = match self.version {
            None => current(&tables.current, &at)?,
            Some(name) => find(&tables.current, &tables.noncurrent, &at, name)?,
        };
        Ok(self.check(found)?)
    }
}

/// Reads `bytes=first-last`, the only form that a part copy takes.
fn copied_range(text: &str, size: u64) -> S3Result<ops::Range<u64>> {
    let refused =
        || s3_error!(InvalidArgument, "The x-amz-copy-source-range value must be of the form bytes=first-last");
    match Range::parse(text).map_err(|_| refused())? {
        Range::Int { first, last: Some(last) } if last < size => Ok(first..last + 1),
        Range::Int { last: Some(_), .. } => {
            Err(s3_error!(InvalidArgument, "Range specified is not valid for source object of size: {size}"))
        }
        Range::Int { .. } | Range::Suffix { .. } => Err(refused()),
    }
}

impl Service {
    /// Finds the source of a copy and opens its bytes.
    pub(super) fn open_source(&self, source: &Source, range: Option<&str>) -> S3Result<(VersionRecord, StreamingBlob)> {
        self.look(|snapshot| {
            let (version, object) = source.find(snapshot)?;
            let range = range.map_or(Ok(0..object.size), |text| copied_range(text, object.size))?;
            let body = Outgoing::open(&self.blobs, snapshot, &object.segments, &range)?;
            Ok((version, StreamingBlob::new(body)))
        })
    }

    pub(super) async fn copy_object(
        &self,
        request: S3Request<CopyObjectInput>,
    ) -> S3Result<S3Response<CopyObjectOutput>> {
        let S3Request { input, headers, .. } = request;
        check_key(&input.key)?;
        let source = Source::read(&input.copy_source, &headers)?;
        let algorithm = input.checksum_algorithm.as_ref().map(|name| named_algorithm(name.as_str())).transpose()?;
        let copy = self.planned_copy(input, &headers)?;
        let (version, object) = self.look(|snapshot| source.find(snapshot))?;
        if object.size > MAX_COPY_BYTES {
            return Err(s3_error!(
                InvalidRequest,
                "The specified copy source is larger than the maximum allowable size for a copy source: {MAX_COPY_BYTES}"
            ));
        }
        copy.refuse_idle(&source)?;
        let kept = algorithm.unwrap_or(object.checksum.value.algorithm());
        // A copy is one object in one piece: only where the source is that too do ETag and checksum carry over.
        let same = object.parts.is_empty()
            && kept == object.checksum.value.algorithm()
            && copy.asked.encryption.kms == object.attributes.encryption.kms;
        let written = if same {
            self.change(move |tables| copy.share(tables, &source)).await?
        } else {
            let (_, body) = self.open_source(&source, None)?;
            let expected = Expected { claims: Claims::default(), length: None, also: vec![kept], trailers: None };
            let received = receive(&self.blobs, Some(body), expected).await?;
            self.change(move |tables| copy.store(tables, &object, received, kept)).await?
        };
        Ok(copied(&version, &written))
    }

    fn planned_copy(&self, input: CopyObjectInput, headers: &HeaderMap) -> S3Result<Copy> {
        let mut asked = attributes(headers, input.metadata)?;
        asked.encryption = self.object_encryption(&input.bucket, headers)?;
        let replaces = |directive: Option<&str>| match directive {
            None | Some("COPY") => Ok(false),
            Some("REPLACE") => Ok(true),
            Some(_) => Err(s3_error!(InvalidArgument, "Unknown directive.")),
        };
        let attributes =
            replaces(input.metadata_directive.as_ref().map(MetadataDirective::as_str))?.then(|| asked.clone());
        let new_tags = replaces(input.tagging_directive.as_ref().map(TaggingDirective::as_str))?;
        let tags = new_tags.then(|| header_tags(input.tagging.as_deref())).transpose()?;
        Ok(Copy {
            bucket: input.bucket,
            key: input.key,
            // `s3s` does not read the destination's conditions.
            condition: Condition {
                if_match: etag_condition(headers, "if-match")?,
                if_none_match: etag_condition(headers, "if-none-match")?,
                ..Condition::default()
            },
            attributes,
            tags,
            asked,
            says_encryption: headers.contains_key("x-amz-server-side-encryption"),
        })
    }
}

impl Copy {
    /// A copy of an object onto itself must change something, or be of an older version.
    fn refuse_idle(&self, source: &Source) -> S3Result<()> {
        let onto_itself = source.bucket == self.bucket && source.key == self.key && source.version.is_none();
        let changes = self.attributes.is_some()
            || self.says_encryption
            || self.asked.storage_class.is_some()
            || self.asked.website_redirect.is_some();
        if onto_itself && !changes {
            return Err(s3_error!(
                InvalidRequest,
                "This copy request is illegal because it is trying to copy an object to itself without changing the \
                 object's metadata, storage class, website redirect location or encryption attributes."
            ));
        }
        Ok(())
    }

    /// The copy's attributes: class, redirect and encryption never come from the source.
    fn attributes(&self, source: &ObjectRecord) -> Attributes {
        let base = self.attributes.as_ref().unwrap_or(&source.attributes).clone();
        Attributes {
            storage_class: self.asked.storage_class.clone(),
            website_redirect: self.asked.website_redirect.clone(),
            encryption: self.asked.encryption.clone(),
            ..base
        }
    }

    fn tags(&self, source: &ObjectRecord) -> Vec<(String, String)> {
        self.tags.clone().unwrap_or_else(|| source.tags.clone())
    }

    /// Names the source's bytes a second time.
    fn share(self, tables: &mut Tables<'_>, source: &Source) -> Outcome<VersionRecord> {
        let (_, object) = source.find_now(tables)?;
        if !object.parts.is_empty() {
            let message = "The source was replaced while it was copied; try again.";
            return Err(Fault::Refused(s3_error!(ConditionalRequestConflict, "{message}")));
        }
        let (attributes, tags) = (self.attributes(&object), self.tags(&object));
        put(tables, &self.bucket, &self.key, &self.condition, |tables| {
            // Shared before the destination's old version is released, which may be the source itself.
            share_segments(tables, &object.segments)?;
            Ok(ObjectRecord { attributes, tags, ..object })
        })
    }
}

impl Copy {
    /// Writes bytes that were read from the source and digested anew.
    fn store(
        self,
        tables: &mut Tables<'_>,
        source: &ObjectRecord,
        received: Received,
        kept: Algorithm,
    ) -> Outcome<VersionRecord> {
        let (attributes, tags) = (self.attributes(source), self.tags(source));
        put(tables, &self.bucket, &self.key, &self.condition, |tables| {
            let size = received.size;
            let etag = etag_of(received.digests.of(Algorithm::Md5), &attributes.encryption);
            let checksum = StoredChecksum { value: received.digests.of(kept).clone(), composite: false };
            let segments = received.store(tables)?;
            Ok(ObjectRecord { size, etag, checksum, segments, parts: Vec::new(), attributes, tags })
        })
    }
}

fn copied(source: &VersionRecord, written: &VersionRecord) -> S3Response<CopyObjectOutput> {
    let mut result = CopyObjectResult { last_modified: Some(timestamp(written.modified_ms)), ..Default::default() };
    let mut headers = HeaderMap::new();
    if let Some(object) = &written.object {
        result.e_tag = Some(strong(&object.etag));
        result.checksum_type = Some(object.checksum.kind().to_owned().into());
        fill_checksum!(result, object.checksum.value.algorithm(), object.checksum.text(object.parts.len()));
        encryption_headers(&object.attributes.encryption, &mut headers);
    }
    let output = CopyObjectOutput {
        copy_object_result: Some(result),
        copy_source_version_id: source.salt.map(|_| source.version_id()),
        version_id: written.salt.map(|_| written.version_id()),
        ..Default::default()
    };
    S3Response::with_headers(output, headers)
}
