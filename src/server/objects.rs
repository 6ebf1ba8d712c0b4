//! Objects: put and deleted.

use super::attributes::{AskedEncryption, attributes, encryption_headers, etag_of, header_tags, put_header};
use super::authorize::{Pass, bare_denial};
use super::checksums::Claims;
use super::fault::{Fault, Outcome};
use super::index::Tables;
use super::ingest::{Expected, Received, receive};
use super::record::{Attributes, ObjectRecord, StoredChecksum, VersionRecord};
use super::service::Service;
use super::versions::{Condition, Deleted, bucket_record, delete, delete_version, put};
use crate::model::Algorithm;
use http::HeaderMap;
use s3s::dto::{
    DeleteObjectInput, DeleteObjectOutput, DeleteObjectsInput, DeleteObjectsOutput, DeletedObject, ETagCondition,
    ObjectIdentifier, PutObjectInput, PutObjectOutput,
};
use s3s::{S3Error, S3Request, S3Response, S3Result, s3_error};
use std::sync::Arc;

/// Bodies up to this size are read before anything is looked up.
const SMALL_BYTES: i64 = 64 << 10;

/// A key as S3 takes it.
pub(super) fn check_key(key: &str) -> S3Result<()> {
    match key.len() {
        1..=1024 => Ok(()),
        0 => Err(s3_error!(InvalidArgument, "The key must not be empty")),
        _ => Err(s3_error!(KeyTooLongError, "Your key is too long")),
    }
}

impl Service {
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
        let pass = request.extensions.get::<Arc<Pass>>().cloned().ok_or_else(bare_denial)?;
        let judged = wanted.objects.into_iter().map(|object| {
            let asked = (object.key.clone(), object.version_id.clone());
            let refusal = pass.authorize_delete(&bucket, &request.headers, asked).err();
            (object, refusal)
        });
        let judged: Vec<_> = judged.collect();
        let outcomes = self
            .change(move |tables| {
                bucket_record(&tables.buckets, &bucket)?;
                let one = |(object, refusal)| match refusal {
                    None => delete_one(tables, &bucket, object),
                    Some(refusal) => Ok(Err(one_error(object.key, object.version_id, &refusal))),
                };
                judged.into_iter().map(one).collect::<Outcome<Vec<_>>>()
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
fn delete_one(tables: &mut Tables<'_>, bucket: &str, object: ObjectIdentifier) -> Outcome<OneDeleted> {
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
        Err(Fault::Refused(error)) => Ok(Err(one_error(key, version_id, &error))),
        Err(fault) => Err(fault),
    }
}

fn one_error(key: String, version_id: Option<String>, error: &S3Error) -> s3s::dto::Error {
    s3s::dto::Error {
        code: Some(error.code().as_str().to_owned()),
        key: Some(key),
        message: error.message().map(str::to_owned),
        version_id,
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
    tables: &mut Tables<'_>,
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

/// What the answer to a write tells of the object.
fn written_headers(version: &VersionRecord, object: &ObjectRecord, headers: &mut HeaderMap) {
    put_header(headers, "etag", &object.etag.quoted());
    encryption_headers(&object.attributes.encryption, headers);
    object.checksum.show(object.parts.len(), headers);
    if version.salt.is_some() {
        put_header(headers, "x-amz-version-id", &version.version_id());
    }
}
