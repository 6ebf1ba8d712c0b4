//! Single objects: put with a checksum, look, read, delete.

use super::{ErrorClass, S3Error, Store, object_url};
use crate::model::{
    Algorithm, BucketName, Checksum, ETag, Echo, ObjectAttributes, ObjectEncryption, ObjectHead, ObjectKey,
};
use aws_sdk_s3::config::RequestChecksumCalculation;
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::operation::head_object::HeadObjectOutput;
use aws_sdk_s3::operation::put_object::builders::PutObjectFluentBuilder;
use aws_sdk_s3::primitives::{ByteStream, DateTime};
use aws_sdk_s3::types::{ChecksumMode, ServerSideEncryption};
use bytes::Bytes;
use jiff::Timestamp;

/// One object to write with one request.
#[derive(Debug, Clone)]
pub struct ObjectWrite<'a> {
    /// The bucket.
    pub bucket: &'a BucketName,
    /// The key.
    pub key: &'a ObjectKey,
    /// All bytes. In memory, so that the SDK sends a length and no chunks of its own.
    pub body: Bytes,
    /// The digest of `body`. It goes into a header, which also keeps the SDK from computing one of its own.
    pub checksum: &'a Checksum,
    /// The media type.
    pub content_type: &'a str,
    /// What else it carries.
    pub attributes: &'a ObjectAttributes,
    /// What must hold for the write to happen.
    pub condition: &'a WriteCondition,
}

/// What the service checks at the moment of the write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WriteCondition {
    /// Nothing.
    Always,
    /// No object has the key: `If-None-Match: *`.
    Absent,
    /// The object is still this one: `If-Match`.
    Matches(ETag),
}

/// What the service said about an object that it just wrote.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Written {
    /// The ETag.
    pub etag: Option<ETag>,
    /// The checksum that it names, of the algorithm that was sent.
    pub echo: Option<Echo>,
    /// The version, in a bucket with versioning.
    pub version_id: Option<String>,
}

/// An object that is being read.
#[derive(Debug)]
pub struct ObjectBody {
    /// What the answer's headers say.
    pub head: ObjectHead,
    /// The bytes; the SDK checks them against the stored checksum while they are read.
    pub bytes: ByteStream,
}

impl WriteCondition {
    pub(super) fn if_none_match(&self) -> Option<String> {
        (*self == Self::Absent).then(|| "*".to_owned())
    }

    pub(super) fn if_match(&self) -> Option<String> {
        if let Self::Matches(etag) = self { Some(etag.quoted()) } else { None }
    }
}

/// Puts what an object carries into a request, all but its content type; works on every builder that begins an object.
macro_rules! with_attributes {
    ($request:expr, $attributes:expr) => {{
        let attributes: &ObjectAttributes = $attributes;
        let pairs = attributes.metadata.iter().map(|(name, text)| (name.as_str().to_owned(), text.as_str().to_owned()));
        let metadata = (!attributes.metadata.is_empty()).then(|| pairs.collect());
        with_keeping!($request, attributes)
            .set_metadata(metadata)
            .set_cache_control(attributes.cache_control.as_ref().map(|text| text.as_str().to_owned()))
            .set_tagging(attributes.tagging())
    }};
}
pub(super) use with_attributes;

/// Puts how an object is kept into a request: its storage class and its encryption.
macro_rules! with_keeping {
    ($request:expr, $attributes:expr) => {{
        let attributes: &ObjectAttributes = $attributes;
        let (encryption, key) = encryption_of(attributes);
        $request
            .set_storage_class(attributes.storage_class.map(|class| class.as_str().into()))
            .set_server_side_encryption(encryption)
            .set_ssekms_key_id(key)
    }};
}
pub(super) use with_keeping;

/// How an object is encrypted, and by which key of KMS.
pub(super) fn encryption_of(attributes: &ObjectAttributes) -> (Option<ServerSideEncryption>, Option<String>) {
    match &attributes.encryption {
        None => (None, None),
        Some(ObjectEncryption::SseS3) => (Some(ServerSideEncryption::Aes256), None),
        Some(ObjectEncryption::SseKms(key)) => {
            (Some(ServerSideEncryption::AwsKms), key.as_ref().map(|key| key.as_str().to_owned()))
        }
    }
}

/// Puts a digest into the header of its algorithm; works on every request builder that has them.
macro_rules! with_checksum {
    ($request:expr, $checksum:expr) => {{
        let (request, value) = ($request, $checksum.base64());
        match $checksum.algorithm() {
            Algorithm::Crc64Nvme => request.checksum_crc64_nvme(value),
            Algorithm::Crc32 => request.checksum_crc32(value),
            Algorithm::Crc32c => request.checksum_crc32_c(value),
            Algorithm::Sha1 => request.checksum_sha1(value),
            Algorithm::Sha256 => request.checksum_sha256(value),
            Algorithm::Md5 => request.content_md5(value),
        }
    }};
}
pub(super) use with_checksum;

/// The checksum of `algorithm` that an answer names. MD5 is never echoed: servers check it and forget it.
macro_rules! echo {
    ($answer:expr, $algorithm:expr) => {{
        let (answer, algorithm) = ($answer, $algorithm);
        let text = match algorithm {
            Algorithm::Crc64Nvme => answer.checksum_crc64_nvme(),
            Algorithm::Crc32 => answer.checksum_crc32(),
            Algorithm::Crc32c => answer.checksum_crc32_c(),
            Algorithm::Sha1 => answer.checksum_sha1(),
            Algorithm::Sha256 => answer.checksum_sha256(),
            Algorithm::Md5 => None,
        };
        text.and_then(|text| Echo::parse(algorithm, text))
    }};
}
pub(super) use echo;

/// Sends a request that carries a body and the header of its checksum.
///
/// With Content-MD5 the SDK would add a CRC-32 of its own, in a header that servers which need Content-MD5 may not know.
macro_rules! send_body {
    ($store:expr, $request:expr, $checksum:expr) => {{
        let mut request = $request.customize();
        if $checksum.algorithm() == Algorithm::Md5 {
            let only_ours = aws_sdk_s3::config::Builder::new()
                .request_checksum_calculation(RequestChecksumCalculation::WhenRequired);
            request = request.config_override(only_ours);
        }
        if $store.unsigned_payload {
            request = request.disable_payload_signing();
        }
        request.send().await
    }};
}
pub(super) use send_body;

impl Store {
    /// Writes an object with one request. The service refuses a body that does not have the checksum.
    ///
    /// Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html>
    pub async fn put_object(&self, write: ObjectWrite<'_>) -> Result<Written, S3Error> {
        let request = self.client().put_object().bucket(write.bucket.as_str()).key(write.key.as_str());
        let request = with_attributes!(request, write.attributes);
        let request = request.content_type(write.content_type);
        self.put(request, write).await
    }

    /// Sends what is to be written, on top of what `request` says of the object already.
    pub(super) async fn put(
        &self,
        request: PutObjectFluentBuilder,
        write: ObjectWrite<'_>,
    ) -> Result<Written, S3Error> {
        let request = request.content_length(i64::try_from(write.body.len()).unwrap_or(i64::MAX));
        let request = request.set_if_none_match(write.condition.if_none_match());
        let request = request.set_if_match(write.condition.if_match());
        let request = request.set_expected_bucket_owner(self.expected_owner());
        let request = with_checksum!(request, write.checksum).body(ByteStream::from(write.body));
        let answer = send_body!(self, request, write.checksum);
        let answer = answer.map_err(|error| S3Error::new("PutObject", object_url(write.bucket, write.key), &error))?;
        Ok(Written {
            etag: answer.e_tag().map(ETag::new),
            echo: echo!(&answer, write.checksum.algorithm()),
            version_id: answer.version_id().map(str::to_owned),
        })
    }

    /// What is known of an object, its stored checksums included; `None` if it is not there.
    pub async fn head_object(&self, bucket: &BucketName, key: &ObjectKey) -> Result<Option<ObjectHead>, S3Error> {
        Ok(self.ask_head(bucket, key).await?.as_ref().map(read_head))
    }

    /// The answer to HEAD with checksum mode; `None` if the object is not there.
    pub(super) async fn ask_head(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
    ) -> Result<Option<HeadObjectOutput>, S3Error> {
        let answer = match self.ask_head_here(bucket, key).await {
            Err(error) if self.turns(&error) => self.ask_head_here(bucket, key).await,
            answer => answer,
        };
        match answer {
            Ok(answer) => Ok(Some(answer)),
            Err(error) if error.class == ErrorClass::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn ask_head_here(&self, bucket: &BucketName, key: &ObjectKey) -> Result<HeadObjectOutput, S3Error> {
        let request = self.client().head_object().bucket(bucket.as_str()).key(key.as_str());
        let request = request.checksum_mode(ChecksumMode::Enabled).set_expected_bucket_owner(self.expected_owner());
        request.send().await.map_err(|error| S3Error::new("HeadObject", object_url(bucket, key), &error))
    }

    /// Begins to read an object.
    pub async fn get_object(&self, bucket: &BucketName, key: &ObjectKey) -> Result<ObjectBody, S3Error> {
        let request = self.client().get_object().bucket(bucket.as_str()).key(key.as_str());
        let request = request.checksum_mode(ChecksumMode::Enabled).set_expected_bucket_owner(self.expected_owner());
        let answer = request.send().await;
        let answer = answer.map_err(|error| S3Error::new("GetObject", object_url(bucket, key), &error))?;
        Ok(ObjectBody { head: read_get(&answer), bytes: answer.body })
    }

    /// Reads a whole object of at most `most_bytes` bytes.
    pub async fn get_bytes(&self, bucket: &BucketName, key: &ObjectKey, most_bytes: u64) -> Result<Bytes, S3Error> {
        let broken = |class, message: String| S3Error {
            class,
            ..S3Error::unexpected("GetObject", object_url(bucket, key), message)
        };
        let ObjectBody { head, bytes } = self.get_object(bucket, key).await?;
        if head.size_bytes > most_bytes {
            let message = format!("the object has {} bytes, more than the {most_bytes} expected", head.size_bytes);
            return Err(broken(ErrorClass::Other, message));
        }
        let collected = bytes.collect().await;
        let collected =
            collected.map_err(|error| broken(ErrorClass::Unreachable, format!("the answer broke off: {error}")))?;
        Ok(collected.into_bytes())
    }

    /// Deletes an object, or one version of it; with `if_match` only if it still is the object that was seen.
    pub async fn delete_object(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        version_id: Option<&str>,
        if_match: Option<&ETag>,
    ) -> Result<(), S3Error> {
        let request = self.client().delete_object().bucket(bucket.as_str()).key(key.as_str());
        let request = request.set_version_id(version_id.map(str::to_owned)).set_if_match(if_match.map(ETag::quoted));
        let answer = request.set_expected_bucket_owner(self.expected_owner()).send().await;
        answer.map(drop).map_err(|error| S3Error::new("DeleteObject", object_url(bucket, key), &error))
    }
}

const STORED: [Algorithm; 5] =
    [Algorithm::Crc64Nvme, Algorithm::Crc32, Algorithm::Crc32c, Algorithm::Sha1, Algorithm::Sha256];

/// The fields that the answers to HEAD and GET share; the SDK gives them no common type.
macro_rules! read_common {
    ($answer:expr) => {{
        let answer = $answer;
        let mut head = ObjectHead {
            size_bytes: answer.content_length().and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or_default(),
            etag: answer.e_tag().map(ETag::new),
            etag_is_md5: etag_is_md5(answer.server_side_encryption(), answer.sse_customer_algorithm()),
            version_id: answer.version_id().map(str::to_owned),
            modified: answer.last_modified().and_then(moment),
            ..ObjectHead::default()
        };
        for algorithm in STORED {
            match echo!(answer, algorithm) {
                Some(Echo::Whole(checksum)) => head.checksums.push(checksum),
                Some(Echo::Composite(text)) => head.composite = Some(text),
                None => {}
            }
        }
        head
    }};
}

pub(super) fn read_head(answer: &HeadObjectOutput) -> ObjectHead {
    read_common!(answer)
}

pub(super) fn read_get(answer: &GetObjectOutput) -> ObjectHead {
    read_common!(answer)
}

/// The SDK's time as ours; none outside of the years that ours knows.
pub(in crate::aws) fn moment(time: &DateTime) -> Option<Timestamp> {
    Timestamp::new(time.secs(), i32::try_from(time.subsec_nanos()).unwrap_or_default()).ok()
}

/// Whether an ETag that looks like an MD5 is one. An answer that names no encryption does not tell.
fn etag_is_md5(encryption: Option<&ServerSideEncryption>, customer_key: Option<&str>) -> Option<bool> {
    match (customer_key, encryption) {
        (Some(_), _) => Some(false),
        (None, Some(ServerSideEncryption::Aes256)) => Some(true),
        (None, Some(_)) => Some(false),
        (None, None) => None,
    }
}
