//! What a version says of itself beyond its bytes and headers: tags, and the attributes that GetObjectAttributes shows.

use super::attributes::MAX_OBJECT_TAGS;
use super::checksums::fill_checksum;
use super::fault::{Fault, Outcome};
use super::index::{Tables, address};
use super::listing::page_size;
use super::multipart::strong;
use super::record::{ObjectRecord, VersionName, VersionRecord};
use super::service::Service;
use super::settings::{checked_tags, pairs, tag_set};
use super::versions::{bucket_record, current, find, no_such_key, parse_version_id, rewrite, timestamp};
use redb::ReadableTable;
use s3s::dto::*;
use s3s::{S3Request, S3Response, S3Result, s3_error};

/// The version that a key and perhaps a version id mean, with its content.
fn version(
    newest: &impl ReadableTable<&'static [u8], &'static [u8]>,
    older: &impl ReadableTable<(&'static [u8], u64), &'static [u8]>,
    at: &[u8],
    name: Option<VersionName>,
) -> Outcome<(VersionRecord, ObjectRecord)> {
    let found = match name {
        None => current(newest, at)?.ok_or_else(no_such_key)?,
        Some(name) => find(newest, older, at, name)?
            .ok_or_else(|| s3_error!(NoSuchVersion, "The specified version does not exist."))?,
    };
    match found.object.clone() {
        Some(object) => Ok((found, object)),
        None if name.is_some() => Err(Fault::Refused(s3_error!(
            MethodNotAllowed,
            "The specified method is not allowed against this resource."
        ))),
        None => Err(Fault::Refused(no_such_key())),
    }
}

fn retag(
    tables: &mut Tables<'_>,
    bucket: &str,
    key: &str,
    name: Option<VersionName>,
    tags: Vec<(String, String)>,
) -> Outcome<Option<String>> {
    bucket_record(&tables.buckets, bucket)?;
    let at = address(bucket, key);
    let (mut found, object) = version(&tables.current, &tables.noncurrent, &at, name)?;
    found.object = Some(ObjectRecord { tags, ..object });
    rewrite(tables, &at, &found)?;
    Ok(found.salt.map(|_| found.version_id()))
}

impl Service {
    fn detail(&self, bucket: &str, key: &str, version_id: Option<&str>) -> S3Result<(VersionRecord, ObjectRecord)> {
        let name = version_id.map(parse_version_id).transpose()?;
        self.look(|snapshot| {
            bucket_record(&snapshot.buckets()?, bucket)?;
            version(&snapshot.current()?, &snapshot.noncurrent()?, &address(bucket, key), name)
        })
    }

    pub(super) async fn put_object_tagging(
        &self,
        request: S3Request<PutObjectTaggingInput>,
    ) -> S3Result<S3Response<PutObjectTaggingOutput>> {
        let PutObjectTaggingInput { bucket, key, tagging, version_id, .. } = request.input;
        let tags = checked_tags(pairs(tagging.tag_set), MAX_OBJECT_TAGS)?;
        let name = version_id.as_deref().map(parse_version_id).transpose()?;
        let version_id = self.change(move |tables| retag(tables, &bucket, &key, name, tags)).await?;
        Ok(S3Response::new(PutObjectTaggingOutput { version_id }))
    }

    pub(super) async fn delete_object_tagging(
        &self,
        request: S3Request<DeleteObjectTaggingInput>,
    ) -> S3Result<S3Response<DeleteObjectTaggingOutput>> {
        let DeleteObjectTaggingInput { bucket, key, version_id, .. } = request.input;
        let name = version_id.as_deref().map(parse_version_id).transpose()?;
        let version_id = self.change(move |tables| retag(tables, &bucket, &key, name, Vec::new())).await?;
        Ok(S3Response::new(DeleteObjectTaggingOutput { version_id }))
    }

    pub(super) async fn get_object_tagging(
        &self,
        request: S3Request<GetObjectTaggingInput>,
    ) -> S3Result<S3Response<GetObjectTaggingOutput>> {
        let input = request.input;
        let (version, object) = self.detail(&input.bucket, &input.key, input.version_id.as_deref())?;
        let version_id = version.salt.map(|_| version.version_id());
        Ok(S3Response::new(GetObjectTaggingOutput { tag_set: tag_set(object.tags), version_id }))
    }

    pub(super) async fn get_object_attributes(
        &self,
        request: S3Request<GetObjectAttributesInput>,
    ) -> S3Result<S3Response<GetObjectAttributesOutput>> {
        let input = request.input;
        let (version, object) = self.detail(&input.bucket, &input.key, input.version_id.as_deref())?;
        // A header may name several, and may be repeated.
        let names: Vec<String> = input
            .object_attributes
            .iter()
            .flat_map(|names| names.as_str().split(','))
            .map(|name| name.trim().to_owned())
            .collect();
        let wants = |name: &str| names.iter().any(|wanted| wanted == name);
        let parts = if wants(ObjectAttributes::OBJECT_PARTS) && !object.parts.is_empty() {
            Some(parts(&object, input.part_number_marker.unwrap_or(0), page_size(input.max_parts)?))
        } else {
            None
        };
        let class = object.attributes.storage_class.clone().unwrap_or_else(|| "STANDARD".to_owned());
        Ok(S3Response::new(GetObjectAttributesOutput {
            checksum: wants(ObjectAttributes::CHECKSUM).then(|| checksum(&object)),
            e_tag: wants(ObjectAttributes::ETAG).then(|| strong(&object.etag)),
            last_modified: Some(timestamp(version.modified_ms)),
            object_parts: parts,
            object_size: if wants(ObjectAttributes::OBJECT_SIZE) { i64::try_from(object.size).ok() } else { None },
            storage_class: wants(ObjectAttributes::STORAGE_CLASS).then(|| class.into()),
            version_id: version.salt.map(|_| version.version_id()),
            ..Default::default()
        }))
    }
}

/// The checksum without the number of parts that the header form of a composite value has.
fn checksum(object: &ObjectRecord) -> Checksum {
    let mut shown = Checksum { checksum_type: Some(object.checksum.kind().to_owned().into()), ..Default::default() };
    fill_checksum!(shown, object.checksum.value.algorithm(), object.checksum.value.base64());
    shown
}

fn parts(object: &ObjectRecord, after: i32, max: usize) -> GetObjectAttributesParts {
    let later: Vec<_> = object.parts.iter().filter(|part| part.number > after).collect();
    let shown: Vec<ObjectPart> = later
        .iter()
        .take(max)
        .map(|part| {
            let mut shown = ObjectPart {
                part_number: Some(part.number),
                size: i64::try_from(part.size).ok(),
                ..Default::default()
            };
            fill_checksum!(shown, part.checksum.algorithm(), part.checksum.base64());
            shown
        })
        .collect();
    GetObjectAttributesParts {
        is_truncated: Some(later.len() > max),
        max_parts: i32::try_from(max).ok(),
        part_number_marker: Some(after),
        next_part_number_marker: shown.last().and_then(|part| part.part_number),
        total_parts_count: i32::try_from(object.parts.len()).ok(),
        parts: Some(shown),
    }
}
