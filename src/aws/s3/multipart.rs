//! Uploads in parts: begin, send, look, complete or abort.

use super::objects::{echo, encryption_of, send_body, with_attributes, with_checksum, with_keeping};
use super::{S3Error, Store, WriteCondition, Written, object_url};
use crate::model::{Algorithm, BucketName, Checksum, ETag, Echo, ObjectAttributes, ObjectKey, OpenPart};
use aws_sdk_s3::config::RequestChecksumCalculation;
use aws_sdk_s3::operation::create_multipart_upload::{CreateMultipartUploadError, CreateMultipartUploadOutput};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ChecksumAlgorithm, ChecksumType, CompletedMultipartUpload, CompletedPart, Part};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use bytes::Bytes;

/// An upload that was begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MultipartUpload {
    /// The bucket.
    pub bucket: BucketName,
    /// The key.
    pub key: ObjectKey,
    /// The service's name for it.
    pub upload_id: String,
    /// The checksum that each part carries.
    pub algorithm: Algorithm,
}

/// What completion says of the whole object.
#[derive(Debug, Clone)]
pub struct Completion<'a> {
    /// All parts in order, each with the checksum it was sent with.
    pub parts: &'a [OpenPart],
    /// The checksum of the whole object, for an algorithm that has one: the service compares.
    pub whole: Option<&'a Checksum>,
    /// The object's length in bytes: the service compares.
    pub size_bytes: u64,
    /// What must hold for the object to appear.
    pub condition: &'a WriteCondition,
}

impl MultipartUpload {
    fn url(&self) -> String {
        object_url(&self.bucket, &self.key)
    }
}

/// CRC-64/NVME knows only the checksum of the whole object; digests know only that of their parts; MD5 is not stored.
pub(super) const fn kind_of(algorithm: Algorithm) -> Option<(ChecksumAlgorithm, ChecksumType)> {
    match algorithm {
        Algorithm::Crc64Nvme => Some((ChecksumAlgorithm::Crc64Nvme, ChecksumType::FullObject)),
        Algorithm::Crc32 => Some((ChecksumAlgorithm::Crc32, ChecksumType::FullObject)),
        Algorithm::Crc32c => Some((ChecksumAlgorithm::Crc32C, ChecksumType::FullObject)),
        Algorithm::Sha1 => Some((ChecksumAlgorithm::Sha1, ChecksumType::Composite)),
        Algorithm::Sha256 => Some((ChecksumAlgorithm::Sha256, ChecksumType::Composite)),
        Algorithm::Md5 => None,
    }
}

impl Store {
    /// Begins an upload in parts, each of which will carry a checksum of `algorithm`.
    ///
    /// Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateMultipartUpload.html>
    pub async fn create_multipart(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        content_type: &str,
        attributes: &ObjectAttributes,
        algorithm: Algorithm,
    ) -> Result<MultipartUpload, S3Error> {
        let (kind, form) = kind_of(algorithm).unzip();
        let request = self.client().create_multipart_upload().bucket(bucket.as_str()).key(key.as_str());
        let request = with_attributes!(request, attributes);
        let request = request.content_type(content_type).set_checksum_algorithm(kind).set_checksum_type(form);
        let answer = request.set_expected_bucket_owner(self.expected_owner()).send().await;
        begun(answer, bucket, key, algorithm)
    }

    /// Sends one part. The service refuses bytes that do not have the checksum.
    pub async fn upload_part(
        &self,
        upload: &MultipartUpload,
        number: i32,
        body: Bytes,
        checksum: &Checksum,
    ) -> Result<OpenPart, S3Error> {
        let size_bytes = body.len() as u64;
        let request = self.client().upload_part().bucket(upload.bucket.as_str()).key(upload.key.as_str());
        let request = request.upload_id(&upload.upload_id).part_number(number);
        let request = request.content_length(i64::try_from(size_bytes).unwrap_or(i64::MAX));
        let request = request.set_expected_bucket_owner(self.expected_owner());
        let request = with_checksum!(request, checksum).body(ByteStream::from(body));
        let answer = send_body!(self, request, checksum);
        let answer = answer.map_err(|error| S3Error::new("UploadPart", upload.url(), &error))?;
        let etag = answer.e_tag().map(ETag::new);
        let etag = etag.ok_or_else(|| S3Error::unexpected("UploadPart", upload.url(), "the answer has no ETag"))?;
        let checksum = match echo!(&answer, checksum.algorithm()) {
            Some(Echo::Whole(checksum)) => Some(checksum),
            Some(Echo::Composite(_)) | None => None,
        };
        Ok(OpenPart { number, etag, checksum, size_bytes })
    }

    /// Makes the object out of its parts. An answer with status 200 that holds an error is an error.
    ///
    /// Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html>
    pub async fn complete_multipart(
        &self,
        upload: &MultipartUpload,
        completion: Completion<'_>,
    ) -> Result<Written, S3Error> {
        let parts = completion.parts.iter().map(completed_part).collect();
        let parts = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
        let request = self.client().complete_multipart_upload().bucket(upload.bucket.as_str());
        let request = request.key(upload.key.as_str()).upload_id(&upload.upload_id).multipart_upload(parts);
        let request = request.set_if_none_match(completion.condition.if_none_match());
        let request = request.set_if_match(completion.condition.if_match());
        let request = request.set_expected_bucket_owner(self.expected_owner());
        let mut request = request.mpu_object_size(i64::try_from(completion.size_bytes).unwrap_or(i64::MAX));
        if let Some(whole) = completion.whole {
            request = request.checksum_type(ChecksumType::FullObject);
            request = match whole.algorithm() {
                Algorithm::Crc64Nvme => request.checksum_crc64_nvme(whole.base64()),
                Algorithm::Crc32 => request.checksum_crc32(whole.base64()),
                Algorithm::Crc32c => request.checksum_crc32_c(whole.base64()),
                Algorithm::Sha1 | Algorithm::Sha256 | Algorithm::Md5 => request,
            };
        }
        let answer = request.send().await;
        let answer = answer.map_err(|error| S3Error::new("CompleteMultipartUpload", upload.url(), &error))?;
        Ok(Written {
            etag: answer.e_tag().map(ETag::new),
            echo: echo!(&answer, upload.algorithm),
            version_id: answer.version_id().map(str::to_owned),
        })
    }

    /// Gives an upload up and frees its parts.
    pub async fn abort_multipart(&self, upload: &MultipartUpload) -> Result<(), S3Error> {
        let request = self.client().abort_multipart_upload().bucket(upload.bucket.as_str()).key(upload.key.as_str());
        let request = request.upload_id(&upload.upload_id).set_expected_bucket_owner(self.expected_owner());
        let answer = request.send().await;
        answer.map(drop).map_err(|error| S3Error::new("AbortMultipartUpload", upload.url(), &error))
    }

    /// The parts that the service holds for an upload, in order.
    pub async fn list_parts(&self, upload: &MultipartUpload) -> Result<Vec<OpenPart>, S3Error> {
        let (mut parts, mut marker) = (Vec::new(), None);
        loop {
            let request = self.client().list_parts().bucket(upload.bucket.as_str()).key(upload.key.as_str());
            let request = request.upload_id(&upload.upload_id).set_part_number_marker(marker.clone());
            let answer = request.set_expected_bucket_owner(self.expected_owner()).send().await;
            let answer = answer.map_err(|error| S3Error::new("ListParts", upload.url(), &error))?;
            parts.extend(answer.parts().iter().filter_map(|part| read_part(part, upload.algorithm)));
            let next = answer.next_part_number_marker().map(str::to_owned);
            if answer.is_truncated() != Some(true) || next.is_none() || next == marker {
                return Ok(parts);
            }
            marker = next;
        }
    }
}

/// The upload that an answer to CreateMultipartUpload names.
pub(super) fn begun(
    answer: Result<CreateMultipartUploadOutput, SdkError<CreateMultipartUploadError, HttpResponse>>,
    bucket: &BucketName,
    key: &ObjectKey,
    algorithm: Algorithm,
) -> Result<MultipartUpload, S3Error> {
    let target = object_url(bucket, key);
    let answer = answer.map_err(|error| S3Error::new("CreateMultipartUpload", &target, &error))?;
    let upload_id = answer.upload_id().filter(|id| !id.is_empty()).map(str::to_owned);
    let upload_id = upload_id
        .ok_or_else(|| S3Error::unexpected("CreateMultipartUpload", &target, "the answer names no upload id"))?;
    Ok(MultipartUpload { bucket: bucket.clone(), key: key.clone(), upload_id, algorithm })
}

fn completed_part(part: &OpenPart) -> CompletedPart {
    let built = CompletedPart::builder().part_number(part.number).e_tag(part.etag.quoted());
    let Some(checksum) = &part.checksum else { return built.build() };
    let value = checksum.base64();
    let built = match checksum.algorithm() {
        Algorithm::Crc64Nvme => built.checksum_crc64_nvme(value),
        Algorithm::Crc32 => built.checksum_crc32(value),
        Algorithm::Crc32c => built.checksum_crc32_c(value),
        Algorithm::Sha1 => built.checksum_sha1(value),
        Algorithm::Sha256 => built.checksum_sha256(value),
        Algorithm::Md5 => built,
    };
    built.build()
}

fn read_part(part: &Part, algorithm: Algorithm) -> Option<OpenPart> {
    let checksum = match echo!(part, algorithm) {
        Some(Echo::Whole(checksum)) => Some(checksum),
        Some(Echo::Composite(_)) | None => None,
    };
    Some(OpenPart {
        number: part.part_number()?,
        etag: ETag::new(part.e_tag()?),
        checksum,
        size_bytes: u64::try_from(part.size()?).ok()?,
    })
}
