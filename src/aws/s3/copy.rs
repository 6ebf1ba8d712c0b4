//! Copies: inside the service, whole or part by part, and writes that take an object's attributes along.

use super::multipart::{begun, kind_of};
use super::objects::{echo, encryption_of, moment, read_head, with_keeping};
use super::{MultipartUpload, ObjectWrite, S3Error, Store, WriteCondition, Written, object_url};
use crate::model::{Algorithm, BucketName, ETag, Echo, ObjectAttributes, ObjectHead, ObjectKey, OpenPart};
use aws_sdk_s3::operation::head_object::HeadObjectOutput;
use aws_sdk_s3::primitives::DateTime;
use aws_sdk_s3::types::{MetadataDirective, TaggingDirective};
use jiff::Timestamp;
use std::collections::HashMap;
use std::ops::Range;

/// An object to copy with one request.
#[derive(Debug, Clone)]
pub struct ObjectCopy<'a> {
    /// Where it is.
    pub from: Source<'a>,
    /// The target's bucket.
    pub bucket: &'a BucketName,
    /// The target's key.
    pub key: &'a ObjectKey,
    /// What the service should keep as the copy's checksum; MD5 asks for none.
    pub algorithm: Algorithm,
    /// What must hold of the target for the copy to happen.
    pub condition: &'a WriteCondition,
    /// What the copy has instead of what its source has; none to take that along.
    pub instead: Option<&'a CarriedAttributes>,
    /// What the copy is given: its tags, if there are any, instead of those of its source, and how it is kept.
    pub given: &'a ObjectAttributes,
}

/// An object to copy from.
#[derive(Debug, Clone)]
pub struct Source<'a> {
    /// Its bucket.
    pub bucket: &'a BucketName,
    /// Its key.
    pub key: &'a ObjectKey,
    /// Only if it still is this one.
    pub if_match: Option<&'a ETag>,
}

/// What a copy takes along besides the bytes: all that CopyObject takes. Storage class, encryption and redirect belong
/// to the place where an object is, and stay behind.
///
/// Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html>
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CarriedAttributes {
    /// `Content-Type`.
    pub content_type: Option<String>,
    /// `Content-Encoding`.
    pub content_encoding: Option<String>,
    /// `Content-Disposition`.
    pub content_disposition: Option<String>,
    /// `Content-Language`.
    pub content_language: Option<String>,
    /// `Cache-Control`.
    pub cache_control: Option<String>,
    /// `Expires`; none if it is no date.
    pub expires: Option<Timestamp>,
    /// The user's metadata.
    pub metadata: HashMap<String, String>,
    /// The tags in the form of the header that sets them; empty if there are none.
    pub tagging: String,
}

impl CarriedAttributes {
    /// The same with what is `given` put over it: metadata name by name, tags all together.
    #[must_use]
    pub fn overlaid(mut self, given: &ObjectAttributes) -> Self {
        let text = |text: &crate::model::HeaderText| text.as_str().to_owned();
        self.content_type = given.content_type.as_ref().map(text).or(self.content_type);
        self.cache_control = given.cache_control.as_ref().map(text).or(self.cache_control);
        let pairs = given.metadata.iter().map(|(name, value)| (name.as_str().to_owned(), text(value)));
        self.metadata.extend(pairs);
        self.tagging = given.tagging().unwrap_or(self.tagging);
        self
    }
}

impl Source<'_> {
    /// The value of `x-amz-copy-source`: the SDK takes it as it is, so what is no plain letter is encoded here.
    fn header(&self) -> String {
        format!("{}/{}", self.bucket, encoded(self.key.as_str(), b"-._~/"))
    }
}

/// `text` with all bytes but letters, digits and those in `plain` as `%XX`.
fn encoded(text: &str, plain: &[u8]) -> String {
    let one = |byte: u8| {
        let plain = byte.is_ascii_alphanumeric() || plain.contains(&byte);
        if plain { char::from(byte).to_string() } else { format!("%{byte:02X}") }
    };
    text.bytes().map(one).collect()
}

/// Puts attributes into a request, but for its tags; works on every builder that takes them.
macro_rules! with_headers {
    ($request:expr, $attributes:expr) => {{
        let attributes: &CarriedAttributes = $attributes;
        let metadata = (!attributes.metadata.is_empty()).then(|| attributes.metadata.clone());
        $request
            .set_content_type(attributes.content_type.clone())
            .set_content_encoding(attributes.content_encoding.clone())
            .set_content_disposition(attributes.content_disposition.clone())
            .set_content_language(attributes.content_language.clone())
            .set_cache_control(attributes.cache_control.clone())
            .set_expires(attributes.expires.map(|time| DateTime::from_secs(time.as_second())))
            .set_metadata(metadata)
    }};
}

/// Puts attributes into a request, tags and all.
macro_rules! with_attributes {
    ($request:expr, $attributes:expr) => {{
        let attributes: &CarriedAttributes = $attributes;
        let tagging = (!attributes.tagging.is_empty()).then(|| attributes.tagging.clone());
        with_headers!($request, attributes).set_tagging(tagging)
    }};
}

impl Store {
    /// Copies an object of at most 5 GiB inside the service, with its attributes and tags where it is given no others. An
    /// answer with status 200 that holds an error is an error.
    ///
    /// Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html>
    pub async fn copy_object(&self, copy: &ObjectCopy<'_>) -> Result<Written, S3Error> {
        let request = self.client().copy_object().bucket(copy.bucket.as_str()).key(copy.key.as_str());
        let request = request.copy_source(copy.from.header());
        let request = request.set_copy_source_if_match(copy.from.if_match.map(ETag::quoted));
        let request = request.set_if_none_match(copy.condition.if_none_match());
        let request = request.set_if_match(copy.condition.if_match());
        let request = request.set_checksum_algorithm(kind_of(copy.algorithm).map(|(kind, _)| kind));
        let request = match copy.instead {
            Some(instead) => with_headers!(request, instead).metadata_directive(MetadataDirective::Replace),
            None => request,
        };
        let request = match copy.given.tagging() {
            Some(tagging) => request.tagging(tagging).tagging_directive(TaggingDirective::Replace),
            None => request,
        };
        let request = with_keeping!(request, copy.given);
        let answer = request.set_expected_bucket_owner(self.expected_owner()).send().await;
        let target = object_url(copy.bucket, copy.key);
        let answer = answer.map_err(|error| S3Error::new("CopyObject", &target, &error))?;
        let result = answer.copy_object_result();
        let result = result.ok_or_else(|| S3Error::unexpected("CopyObject", &target, "the answer has no result"))?;
        Ok(Written {
            etag: result.e_tag().map(ETag::new),
            echo: echo!(result, copy.algorithm),
            version_id: answer.version_id().map(str::to_owned),
        })
    }

    /// What is known of an object, and what a copy of it takes along, except for its tags; `None` if it is not there.
    ///
    /// The number of tags comes with it, where the caller may read them.
    pub async fn describe_object(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
    ) -> Result<Option<(ObjectHead, CarriedAttributes, u32)>, S3Error> {
        let answer = self.ask_head(bucket, key).await?;
        Ok(answer.map(|answer| {
            let tags = answer.tag_count().and_then(|count| u32::try_from(count).ok()).unwrap_or_default();
            (read_head(&answer), read_attributes(&answer), tags)
        }))
    }

    /// An object's tags in the form of the header that sets them.
    pub async fn object_tagging(&self, bucket: &BucketName, key: &ObjectKey) -> Result<String, S3Error> {
        let request = self.client().get_object_tagging().bucket(bucket.as_str()).key(key.as_str());
        let answer = request.set_expected_bucket_owner(self.expected_owner()).send().await;
        let answer = answer.map_err(|error| S3Error::new("GetObjectTagging", object_url(bucket, key), &error))?;
        let pair =
            |tag: &aws_sdk_s3::types::Tag| format!("{}={}", encoded(tag.key(), b"-._~"), encoded(tag.value(), b"-._~"));
        Ok(answer.tag_set().iter().map(pair).collect::<Vec<_>>().join("&"))
    }

    /// Begins an object in parts that will have these attributes, and be kept as `given` says.
    pub async fn create_multipart_with(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        attributes: &CarriedAttributes,
        given: &ObjectAttributes,
        algorithm: Algorithm,
    ) -> Result<MultipartUpload, S3Error> {
        let request = self.client().create_multipart_upload().bucket(bucket.as_str()).key(key.as_str());
        let request = with_keeping!(with_attributes!(request, attributes), given);
        let (kind, form) = kind_of(algorithm).unzip();
        let request = request.set_checksum_algorithm(kind).set_checksum_type(form);
        let answer = request.set_expected_bucket_owner(self.expected_owner()).send().await;
        begun(answer, bucket, key, algorithm)
    }

    /// Makes a part of the bytes `range` of another object, inside the service.
    ///
    /// Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_UploadPartCopy.html>
    pub async fn upload_part_copy(
        &self,
        upload: &MultipartUpload,
        number: i32,
        from: &Source<'_>,
        range: Range<u64>,
    ) -> Result<OpenPart, S3Error> {
        let request = self.client().upload_part_copy().bucket(upload.bucket.as_str()).key(upload.key.as_str());
        let request = request.upload_id(&upload.upload_id).part_number(number).copy_source(from.header());
        let request = request.copy_source_range(format!("bytes={}-{}", range.start, range.end.saturating_sub(1)));
        let request = request.set_copy_source_if_match(from.if_match.map(ETag::quoted));
        let answer = request.set_expected_bucket_owner(self.expected_owner()).send().await;
        let target = object_url(&upload.bucket, &upload.key);
        let answer = answer.map_err(|error| S3Error::new("UploadPartCopy", &target, &error))?;
        let result = answer.copy_part_result();
        let etag = result.and_then(|result| result.e_tag()).map(ETag::new);
        let etag = etag.ok_or_else(|| S3Error::unexpected("UploadPartCopy", &target, "the answer has no ETag"))?;
        let checksum = match result.and_then(|result| echo!(result, upload.algorithm)) {
            Some(Echo::Whole(checksum)) => Some(checksum),
            Some(Echo::Composite(_)) | None => None,
        };
        Ok(OpenPart { number, etag, checksum, size_bytes: range.end - range.start })
    }

    /// Writes an object with one request, as [`Store::put_object`] does, with these attributes; those of `write` only say
    /// how it is kept.
    pub async fn put_object_with(
        &self,
        write: ObjectWrite<'_>,
        attributes: &CarriedAttributes,
    ) -> Result<Written, S3Error> {
        let request = self.client().put_object().bucket(write.bucket.as_str()).key(write.key.as_str());
        let request = with_keeping!(with_attributes!(request, attributes), write.attributes);
        self.put(request, write).await
    }
}

fn read_attributes(answer: &HeadObjectOutput) -> CarriedAttributes {
    let owned = |text: Option<&str>| text.map(str::to_owned);
    let expires = answer.expires_string().and_then(|text| {
        DateTime::from_str(text, aws_sdk_s3::primitives::DateTimeFormat::HttpDate).ok().as_ref().and_then(moment)
    });
    CarriedAttributes {
        content_type: owned(answer.content_type()),
        content_encoding: owned(answer.content_encoding()),
        content_disposition: owned(answer.content_disposition()),
        content_language: owned(answer.content_language()),
        cache_control: owned(answer.cache_control()),
        expires,
        metadata: answer.metadata().cloned().unwrap_or_default(),
        tagging: String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::Source;

    #[test]
    fn sources_are_encoded() {
        let header = |key: &str| {
            let (bucket, key) = ("bucket".parse().unwrap(), key.parse().unwrap());
            Source { bucket: &bucket, key: &key, if_match: None }.header()
        };
        for (key, expected) in [
            ("a/b-c_d.e~f", "bucket/a/b-c_d.e~f"),
            ("a b+c%d?e#f", "bucket/a%20b%2Bc%25d%3Fe%23f"),
            ("ü\n", "bucket/%C3%BC%0A"),
        ] {
            assert_eq!(header(key), expected);
        }
    }
}
