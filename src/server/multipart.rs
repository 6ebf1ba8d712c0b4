//! Multipart uploads as clients see them: created, filled, listed, completed, aborted.

use super::attributes::{attributes, encryption_headers, etag_of, header_tags, put_header};
use super::blobs::now_ms;
use super::checksums::{Claims, fill_checksum, header, named_algorithm};
use super::copying::Source;
use super::index::address;
use super::ingest::{Expected, Received, receive};
use super::listing::{Names, Span, page_size};
use super::objects::check_key;
use super::record::{BlobId, PartRecord, UploadChecksum, UploadRecord, VersionRecord, decode, encode};
use super::service::Service;
use super::uploads::{Completion, NamedPart, abort, part_number, parts, put_part, upload};
use super::versions::{Condition, bucket_record, timestamp};
use crate::model::{Algorithm, ETag};
use s3s::dto::*;
use s3s::{S3Error, S3Request, S3Response, S3Result};

/// The one checksum field that is filled, with its algorithm.
macro_rules! claimed_checksum {
    ($shape:expr) => {
        [
            (Algorithm::Crc64Nvme, &$shape.checksum_crc64nvme),
            (Algorithm::Crc32, &$shape.checksum_crc32),
            (Algorithm::Crc32c, &$shape.checksum_crc32c),
            (Algorithm::Sha1, &$shape.checksum_sha1),
            (Algorithm::Sha256, &$shape.checksum_sha256),
        ]
        .into_iter()
        .find_map(|(algorithm, text)| text.clone().map(|text| (algorithm, text)))
    };
}

/// Which part of which upload.
struct Slot {
    bucket: String,
    key: String,
    upload_id: String,
    number: u16,
}

impl Service {
    pub(super) async fn create_multipart_upload(
        &self,
        request: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        let S3Request { input, headers, .. } = request;
        check_key(&input.key)?;
        let mut attributes = attributes(&headers, input.metadata)?;
        attributes.encryption = self.object_encryption(&input.bucket, &headers)?;
        let tags = header_tags(input.tagging.as_deref())?;
        let algorithm = input.checksum_algorithm.as_ref().map(|name| named_algorithm(name.as_str())).transpose()?;
        let checksum = UploadChecksum::asked(algorithm, input.checksum_type.as_ref().map(ChecksumType::as_str))?;
        let mut response = S3Response::new(CreateMultipartUploadOutput {
            bucket: Some(input.bucket.clone()),
            key: Some(input.key.clone()),
            checksum_algorithm: checksum.asked.then(|| checksum.algorithm.name().to_owned().into()),
            checksum_type: checksum.asked.then(|| checksum.kind().to_owned().into()),
            ..Default::default()
        });
        encryption_headers(&attributes.encryption, &mut response.headers);
        let record = UploadRecord { initiated_ms: now_ms(), checksum, attributes, tags };
        let id = format!("{:032x}", BlobId::fresh().map_err(S3Error::internal_error)?.0);
        response.output.upload_id = Some(id.clone());
        self.change(move |tables| {
            bucket_record(&tables.buckets, &input.bucket)?;
            let at = address(&input.bucket, &input.key);
            tables.uploads.insert((at.as_slice(), id.as_str()), encode(&record).as_slice())?;
            Ok(())
        })
        .await?;
        Ok(response)
    }

    fn upload_record(&self, slot: &Slot) -> S3Result<UploadRecord> {
        self.look(|snapshot| {
            bucket_record(&snapshot.buckets()?, &slot.bucket)?;
            upload(&snapshot.uploads()?, &address(&slot.bucket, &slot.key), &slot.upload_id)
        })
    }

    pub(super) async fn upload_part(
        &self,
        request: S3Request<UploadPartInput>,
    ) -> S3Result<S3Response<UploadPartOutput>> {
        let S3Request { input, headers, trailing_headers, .. } = request;
        let number = part_number(input.part_number)?;
        let slot = Slot { bucket: input.bucket, key: input.key, upload_id: input.upload_id, number };
        let upload = self.upload_record(&slot)?;
        let claims = Claims::read(&headers)?;
        upload.checksum.admit(claims.algorithm())?;
        let echoed = claims.algorithm().unwrap_or(upload.checksum.algorithm);
        let also = vec![upload.checksum.algorithm];
        let expected = Expected { claims, length: input.content_length, also, trailers: trailing_headers };
        let received = receive(&self.blobs, input.body, expected).await?;
        let mut response = S3Response::new(UploadPartOutput::default());
        let etag = etag_of(received.digests.of(Algorithm::Md5), &upload.attributes.encryption);
        put_header(&mut response.headers, "etag", &etag.quoted());
        encryption_headers(&upload.attributes.encryption, &mut response.headers);
        let echo = received.digests.of(echoed).base64();
        response.headers.insert(header(echoed), echo.try_into().map_err(S3Error::internal_error)?);
        self.keep_part(slot, &upload, received).await?;
        Ok(response)
    }

    async fn keep_part(&self, slot: Slot, upload_record: &UploadRecord, received: Received) -> S3Result<u64> {
        let algorithm = upload_record.checksum.algorithm;
        self.change(move |tables| {
            // The upload may have been aborted while its part arrived.
            upload(&tables.uploads, &address(&slot.bucket, &slot.key), &slot.upload_id)?;
            let modified_ms = now_ms();
            let (size, md5) = (received.size, received.digests.of(Algorithm::Md5).clone());
            let checksum = received.digests.of(algorithm).clone();
            let segments = received.store(tables)?;
            let part = PartRecord { size, modified_ms, md5, checksum, segments };
            put_part(tables, &slot.upload_id, slot.number, &part)?;
            Ok(modified_ms)
        })
        .await
    }

    pub(super) async fn upload_part_copy(
        &self,
        request: S3Request<UploadPartCopyInput>,
    ) -> S3Result<S3Response<UploadPartCopyOutput>> {
        let S3Request { input, headers, .. } = request;
        let number = part_number(input.part_number)?;
        let source = Source::read(&input.copy_source, &headers)?;
        let slot = Slot { bucket: input.bucket, key: input.key, upload_id: input.upload_id, number };
        let upload = self.upload_record(&slot)?;
        let (version, body) = self.open_source(&source, input.copy_source_range.as_deref())?;
        let also = vec![upload.checksum.algorithm];
        let expected = Expected { claims: Claims::default(), length: None, also, trailers: None };
        let received = receive(&self.blobs, Some(body), expected).await?;
        let digests = received.digests.clone();
        let modified_ms = self.keep_part(slot, &upload, received).await?;
        let etag = etag_of(digests.of(Algorithm::Md5), &upload.attributes.encryption);
        let mut result = CopyPartResult {
            e_tag: Some(strong(&etag)),
            last_modified: Some(timestamp(modified_ms)),
            ..Default::default()
        };
        let algorithm = upload.checksum.algorithm;
        if upload.checksum.asked {
            fill_checksum!(result, algorithm, digests.of(algorithm).base64());
        }
        let mut response = S3Response::new(UploadPartCopyOutput {
            copy_part_result: Some(result),
            copy_source_version_id: version.salt.map(|_| version.version_id()),
            ..Default::default()
        });
        encryption_headers(&upload.attributes.encryption, &mut response.headers);
        Ok(response)
    }

    pub(super) async fn complete_multipart_upload(
        &self,
        request: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        let input = request.input;
        let checksum = claimed_checksum!(input);
        let named = input.multipart_upload.and_then(|upload| upload.parts).filter(|parts| !parts.is_empty());
        let parts = named.ok_or_else(super::settings::malformed_xml)?.iter().map(named_part).collect();
        let completion = Completion {
            bucket: input.bucket.clone(),
            key: input.key.clone(),
            upload_id: input.upload_id,
            parts,
            size: input.mpu_object_size,
            checksum,
            kind: input.checksum_type.map(|kind| kind.as_str().to_owned()),
            condition: Condition {
                if_match: input.if_match,
                if_none_match: input.if_none_match,
                ..Condition::default()
            },
        };
        let version = self.change(move |tables| completion.carry_out(tables)).await?;
        Ok(completed(input.bucket, input.key, &version))
    }

    pub(super) async fn abort_multipart_upload(
        &self,
        request: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        let AbortMultipartUploadInput { bucket, key, upload_id, .. } = request.input;
        self.change(move |tables| {
            bucket_record(&tables.buckets, &bucket)?;
            abort(tables, &bucket, &key, &upload_id)
        })
        .await?;
        Ok(S3Response::new(AbortMultipartUploadOutput::default()))
    }

    pub(super) async fn list_parts(&self, request: S3Request<ListPartsInput>) -> S3Result<S3Response<ListPartsOutput>> {
        let input = request.input;
        let max = page_size(input.max_parts)?;
        let after = input.part_number_marker.unwrap_or(0);
        let slot = Slot { bucket: input.bucket, key: input.key, upload_id: input.upload_id, number: 0 };
        let upload = self.upload_record(&slot)?;
        let stored = self.look(|snapshot| parts(&snapshot.parts()?, &slot.upload_id))?;
        let later: Vec<_> = stored.into_iter().filter(|(number, _)| i32::from(*number) > after).collect();
        let truncated = later.len() > max;
        let shown: Vec<Part> =
            later.iter().take(max).map(|(number, part)| shown_part(*number, part, &upload)).collect();
        Ok(S3Response::new(ListPartsOutput {
            bucket: Some(slot.bucket),
            key: Some(slot.key),
            upload_id: Some(slot.upload_id),
            checksum_algorithm: upload.checksum.asked.then(|| upload.checksum.algorithm.name().to_owned().into()),
            checksum_type: upload.checksum.asked.then(|| upload.checksum.kind().to_owned().into()),
            is_truncated: Some(truncated),
            max_parts: i32::try_from(max).ok(),
            part_number_marker: Some(after),
            next_part_number_marker: shown.last().and_then(|part| part.part_number),
            owner: Some(self.owner()),
            initiator: Some(self.initiator()),
            storage_class: Some(storage_class(&upload)),
            parts: Some(shown),
            ..Default::default()
        }))
    }

    fn initiator(&self) -> Initiator {
        let owner = self.owner();
        Initiator { display_name: owner.display_name, id: owner.id }
    }

    pub(super) async fn list_multipart_uploads(
        &self,
        request: S3Request<ListMultipartUploadsInput>,
    ) -> S3Result<S3Response<ListMultipartUploadsOutput>> {
        let input = request.input;
        let names = Names::new(input.encoding_type.as_ref())?;
        let max = page_size(input.max_uploads)?;
        let span = Span {
            bucket: input.bucket,
            prefix: input.prefix.unwrap_or_default(),
            delimiter: input.delimiter.filter(|delimiter| !delimiter.is_empty()),
        };
        let marker = (input.key_marker.unwrap_or_default(), input.upload_id_marker.unwrap_or_default());
        let page = self.uploads_page(&span, &marker, max)?;
        let shown = |(key, id, record): &(String, String, UploadRecord)| MultipartUpload {
            key: Some(names.write(key)),
            upload_id: Some(id.clone()),
            initiated: Some(timestamp(record.initiated_ms)),
            initiator: Some(self.initiator()),
            owner: Some(self.owner()),
            storage_class: Some(storage_class(record)),
            checksum_algorithm: record.checksum.asked.then(|| record.checksum.algorithm.name().to_owned().into()),
            checksum_type: record.checksum.asked.then(|| record.checksum.kind().to_owned().into()),
        };
        let prefixes = page.prefixes.iter().map(|prefix| CommonPrefix { prefix: Some(names.write(prefix)) }).collect();
        Ok(S3Response::new(ListMultipartUploadsOutput {
            is_truncated: Some(page.next.is_some()),
            next_key_marker: page.next.as_ref().map(|(key, _)| names.write(key)),
            next_upload_id_marker: page.next.map(|(_, id)| id),
            uploads: Some(page.uploads.iter().map(shown).collect()),
            common_prefixes: Some(prefixes),
            delimiter: span.delimiter.map(|delimiter| names.write(&delimiter)),
            prefix: Some(names.write(&span.prefix)),
            key_marker: Some(names.write(&marker.0)),
            upload_id_marker: Some(marker.1),
            max_uploads: i32::try_from(max).ok(),
            encoding_type: input.encoding_type,
            bucket: Some(span.bucket),
            request_charged: None,
        }))
    }

    /// Uploads after a key, or after one upload of a key.
    fn uploads_page(&self, span: &Span, marker: &(String, String), max: usize) -> S3Result<UploadsPage> {
        self.look(|snapshot| {
            bucket_record(&snapshot.buckets()?, &span.bucket)?;
            let mut page = UploadsPage::default();
            let (key_marker, id_marker) = marker;
            let start = match (key_marker.is_empty(), id_marker.is_empty()) {
                (true, _) => Some(Vec::new()),
                (false, true) => span.after(key_marker),
                (false, false) => Some(key_marker.as_bytes().to_vec()),
            };
            let Some(start) = start else { return Ok(page) };
            let (from, end) = span.bounds(&start);
            if from >= end || max == 0 {
                return Ok(page);
            }
            let mut last = None;
            for found in snapshot.uploads()?.range((from.as_slice(), "")..(end.as_slice(), ""))? {
                let (place, record) = found?;
                let (at, id) = place.value();
                let key = span.key(at);
                if key == key_marker && id <= id_marker.as_str() {
                    continue;
                }
                let folded = span.fold(key);
                if folded.is_some_and(|folded| page.prefixes.last().is_some_and(|seen| seen == folded)) {
                    continue;
                }
                if page.uploads.len() + page.prefixes.len() == max {
                    page.next = last;
                    return Ok(page);
                }
                match folded {
                    Some(folded) => {
                        page.prefixes.push(folded.to_owned());
                        last = Some((folded.to_owned(), String::new()));
                    }
                    None => {
                        page.uploads.push((key.to_owned(), id.to_owned(), decode(record.value())?));
                        last = Some((key.to_owned(), id.to_owned()));
                    }
                }
            }
            Ok(page)
        })
    }
}

/// One page of unfinished uploads.
#[derive(Default)]
struct UploadsPage {
    uploads: Vec<(String, String, UploadRecord)>,
    prefixes: Vec<String>,
    /// The last key and upload id of a page that is not the last.
    next: Option<(String, String)>,
}

fn storage_class(upload: &UploadRecord) -> StorageClass {
    upload.attributes.storage_class.clone().unwrap_or_else(|| "STANDARD".to_owned()).into()
}

fn named_part(part: &CompletedPart) -> NamedPart {
    NamedPart {
        number: part.part_number.unwrap_or(0),
        checksum: claimed_checksum!(part),
        etag: ETag::new(part.e_tag.as_ref().map(s3s::dto::ETag::value).unwrap_or_default()),
    }
}

fn shown_part(number: u16, part: &PartRecord, upload: &UploadRecord) -> Part {
    let mut shown = Part {
        e_tag: Some(strong(&etag_of(&part.md5, &upload.attributes.encryption))),
        last_modified: Some(timestamp(part.modified_ms)),
        part_number: Some(i32::from(number)),
        size: i64::try_from(part.size).ok(),
        ..Default::default()
    };
    fill_checksum!(shown, part.checksum.algorithm(), part.checksum.base64());
    shown
}

/// An ETag as `s3s` writes it.
pub(super) fn strong(etag: &ETag) -> s3s::dto::ETag {
    s3s::dto::ETag::Strong(etag.as_str().to_owned())
}

fn completed(bucket: String, key: String, version: &VersionRecord) -> S3Response<CompleteMultipartUploadOutput> {
    let mut output = CompleteMultipartUploadOutput {
        location: Some(format!("/{bucket}/{key}")),
        bucket: Some(bucket),
        key: Some(key),
        version_id: version.salt.map(|_| version.version_id()),
        ..Default::default()
    };
    let mut headers = http::HeaderMap::new();
    if let Some(object) = &version.object {
        output.e_tag = Some(strong(&object.etag));
        output.checksum_type = Some(object.checksum.kind().to_owned().into());
        fill_checksum!(output, object.checksum.value.algorithm(), object.checksum.text(object.parts.len()));
        encryption_headers(&object.attributes.encryption, &mut headers);
    }
    S3Response::with_headers(output, headers)
}
