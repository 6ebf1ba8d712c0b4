//! Reads objects for keeping: the very object that was seen, whole or a range of it, into memory that is there already.

use super::objects::read_get;
use super::{ErrorClass, ObjectBody, S3Error, Store, object_url};
use crate::model::{BucketName, ETag, ObjectKey};
use aws_sdk_s3::config::ResponseChecksumValidation;
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::ChecksumMode;
use std::error::Error;
use std::ops::Range;

/// What to read of which object.
#[derive(Debug, Clone)]
pub struct ObjectRead<'a> {
    /// The bucket.
    pub bucket: &'a BucketName,
    /// The key.
    pub key: &'a ObjectKey,
    /// Only if the object still is this one.
    pub if_match: Option<&'a ETag>,
    /// These bytes of it, not empty; none for all.
    pub range: Option<Range<u64>>,
}

impl ObjectRead<'_> {
    fn url(&self) -> String {
        object_url(self.bucket, self.key)
    }

    fn refused(&self, class: ErrorClass, message: impl Into<String>) -> S3Error {
        S3Error { class, ..S3Error::unexpected("GetObject", self.url(), message) }
    }

    /// What an endpoint that does not know conditions or ranges answers must not pass for what was asked.
    fn check(&self, answer: &GetObjectOutput) -> Result<(), S3Error> {
        let answered = answer.e_tag().map(ETag::new);
        if let (Some(wanted), Some(answered)) = (self.if_match, answered)
            && *wanted != answered
        {
            let message = format!("the endpoint ignored `If-Match`: its object is `{answered}`, not `{wanted}`");
            return Err(self.refused(ErrorClass::Precondition, message));
        }
        let Some(range) = &self.range else { return Ok(()) };
        let start = format!("bytes {}-{}", range.start, range.end - 1);
        let content_range = answer.content_range().unwrap_or_default();
        if content_range.split('/').next() == Some(&start) {
            return Ok(());
        }
        let message = format!("the endpoint was asked for `{start}` and sends `{content_range}`");
        Err(self.refused(ErrorClass::NotS3, message))
    }
}

impl Store {
    /// Begins to read an object, or a range of it, if it still is the one that was seen; another one is an error of
    /// class [`ErrorClass::Precondition`], also on an endpoint that ignores the condition.
    ///
    /// Of a whole object the stored checksums are asked for, and the SDK checks the bytes against one of them. A range
    /// has none of its own, and servers that name the whole object's there would make every range look damaged.
    ///
    /// Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html>
    pub async fn read_object(&self, read: &ObjectRead<'_>) -> Result<ObjectBody, S3Error> {
        let request = self.client().get_object().bucket(read.bucket.as_str()).key(read.key.as_str());
        let request = request.set_if_match(read.if_match.map(ETag::quoted));
        let request = request.set_expected_bucket_owner(self.expected_owner());
        let answer = match &read.range {
            None => request.checksum_mode(ChecksumMode::Enabled).send().await,
            Some(range) => {
                let unchecked = aws_sdk_s3::config::Builder::new()
                    .response_checksum_validation(ResponseChecksumValidation::WhenRequired);
                let request = request.range(format!("bytes={}-{}", range.start, range.end - 1));
                request.customize().config_override(unchecked).send().await
            }
        };
        let answer = answer.map_err(|error| S3Error::new("GetObject", read.url(), &error))?;
        read.check(&answer)?;
        Ok(ObjectBody { head: read_get(&answer), bytes: answer.body })
    }

    /// Fills `into` with the bytes of an answer to `read`: all of it, or an error.
    ///
    /// An answer that breaks off is of class [`ErrorClass::Unreachable`], one that contradicts the stored checksum of
    /// class [`ErrorClass::DigestRefused`], one of another length than `into` of class [`ErrorClass::NotS3`].
    pub async fn fill(read: &ObjectRead<'_>, mut bytes: ByteStream, into: &mut [u8]) -> Result<(), S3Error> {
        let wanted = into.len();
        let mut filled = 0;
        while let Some(chunk) = bytes.next().await {
            match chunk {
                Ok(chunk) => match into.get_mut(filled..filled + chunk.len()) {
                    Some(room) => {
                        room.copy_from_slice(&chunk);
                        filled += chunk.len();
                    }
                    None => {
                        let message = format!("the endpoint sends more than the {wanted} bytes that were asked for");
                        return Err(read.refused(ErrorClass::NotS3, message));
                    }
                },
                // The SDK compares the checksum when all bytes are there.
                Err(error) if filled == wanted => {
                    return Err(read.refused(ErrorClass::DigestRefused, innermost(&error)));
                }
                Err(error) => {
                    let message =
                        format!("the answer broke off after {filled} of {wanted} bytes: {}", innermost(&error));
                    return Err(read.refused(ErrorClass::Unreachable, message));
                }
            }
        }
        if filled < wanted {
            let message = format!("the answer ended after {filled} of {wanted} bytes");
            return Err(read.refused(ErrorClass::Unreachable, message));
        }
        Ok(())
    }
}

/// The cause that says most; the layers around it only say that there is one.
fn innermost(error: &dyn Error) -> String {
    let mut innermost = error;
    while let Some(cause) = innermost.source() {
        innermost = cause;
    }
    innermost.to_string()
}
