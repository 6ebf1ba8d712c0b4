//! What a client says of an object besides its bytes, and what the endpoint makes of it.

use super::documents::bucket_encryption;
use super::fault::{Outcome, refusal};
use super::record::{Attributes, ObjectEncryption};
use super::service::Service;
use super::settings::checked_tags;
use super::versions::bucket_record;
use crate::hashing::digest;
use crate::model::{Algorithm, Checksum, ETag};
use http::{HeaderMap, HeaderValue};
use redb::ReadableTable;
use s3s::dto::Metadata;
use s3s::{S3Result, s3_error};

/// The most tags of an object, and the most bytes of user metadata.
pub(super) const MAX_OBJECT_TAGS: usize = 10;
const MAX_METADATA_BYTES: usize = 2 << 10;
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

/// Adds a header, unless the value cannot be one.
pub(super) fn put_header(headers: &mut HeaderMap, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
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
