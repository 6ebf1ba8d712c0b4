//! The S3 edge: one client, and one place where its errors become ours.
//!
//! Nothing here decides; it asks, writes, and says truthfully what came back.

mod bucket_state;
mod copy;
mod delete;
mod get;
mod lifecycle;
mod list;
mod multipart;
mod objects;
mod own_buckets;
mod questions;
mod settings;
mod uploads;
mod versions;

pub use super::failure::ErrorClass;
pub use copy::{CarriedAttributes, ObjectCopy, Source};
pub use delete::{Deleted, Doomed, MAX_DELETES};
pub use get::ObjectRead;
pub use list::{ListedPage, PageRequest};
pub use multipart::{Completion, MultipartUpload};
pub(super) use objects::moment;
pub use objects::{ObjectBody, ObjectWrite, WriteCondition, Written};
pub use settings::MarkerWrite;

use super::failure::Classified;
use crate::model::{BucketName, ObjectKey};
use aws_sdk_s3::Client;
use aws_sdk_s3::config::Credentials;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use std::error::Error;
use std::fmt;

/// The S3 service as one caller sees it.
#[derive(Debug, Clone)]
pub struct Store {
    client: Client,
    /// What `x-amz-expected-bucket-owner` says on every call that takes it; none where the account is not known.
    expected_owner: Option<String>,
    /// Whether the client speaks to AWS itself.
    is_aws: bool,
    /// Whether object bodies go without a signature of their own.
    unsigned_payload: bool,
    /// Whether the service is known to delete only what still is what was seen, if told to.
    delete_conditions: bool,
}

impl Store {
    /// A store that asks `client`, and that refuses buckets of accounts other than `expected_owner`.
    pub const fn new(client: Client, expected_owner: Option<String>, is_aws: bool) -> Self {
        Self { client, expected_owner, is_aws, unsigned_payload: false, delete_conditions: is_aws }
    }

    /// The same store, sending object bodies unsigned: for HTTPS, loopback and in-process endpoints only.
    ///
    /// The body's checksum travels in a signed header, so a changed body is still refused; without TLS a third party
    /// could change both. A signature over the body costs a SHA-256 of every byte.
    #[must_use]
    pub fn with_unsigned_payload(mut self) -> Self {
        self.unsigned_payload = true;
        self
    }

    /// The same store of a service that honours conditions on deletes. Others may ignore them without a word.
    #[must_use]
    pub const fn with_delete_conditions(mut self) -> Self {
        self.delete_conditions = true;
        self
    }

    /// Whether a delete can be made conditional on what was seen.
    pub const fn honours_delete_conditions(&self) -> bool {
        self.delete_conditions
    }

    /// The SDK's client.
    pub const fn client(&self) -> &Client {
        &self.client
    }

    /// The account that every bucket must belong to.
    pub fn expected_owner(&self) -> Option<String> {
        self.expected_owner.clone()
    }

    /// The same service as somebody else sees it.
    #[must_use]
    pub fn acting_as(&self, credentials: Credentials) -> Self {
        let config = self.client.config().to_builder().credentials_provider(credentials).build();
        Self { client: Client::from_conf(config), ..self.clone() }
    }

    /// The same store for buckets of any account: to read what is copied from there.
    #[must_use]
    pub fn of_any_owner(&self) -> Self {
        Self { expected_owner: None, ..self.clone() }
    }

    /// True if the client speaks to AWS itself, and to no other server.
    pub const fn is_aws(&self) -> bool {
        self.is_aws
    }

    /// The same store without the SDK's own retries, for callers that decide themselves what is worth another try.
    #[must_use]
    pub fn without_retries(&self) -> Self {
        let config = self.client.config().to_builder().retry_config(RetryConfig::disabled()).build();
        Self { client: Client::from_conf(config), ..self.clone() }
    }
}

/// A failed S3 call: what was asked, of what, and what came back.
#[derive(Debug, thiserror::Error)]
#[error("{operation} on `{target}` failed: {message}")]
pub struct S3Error {
    /// The API operation, such as `PutObject`.
    pub operation: &'static str,
    /// `s3://bucket` or `s3://bucket/key`.
    pub target: String,
    /// What kind of failure it is.
    pub class: ErrorClass,
    /// The service's own code, if it gave one.
    pub code: Option<String>,
    /// The service's message, or what the connection said; one line.
    pub message: String,
    /// The HTTP status, if there was an answer.
    pub status: Option<u16>,
    /// Where the bucket is, if the answer said so.
    pub region: Option<String>,
}

/// `s3://bucket`
pub fn bucket_url(bucket: &BucketName) -> String {
    format!("s3://{bucket}")
}

/// `s3://bucket/key`
pub fn object_url(bucket: &BucketName, key: &ObjectKey) -> String {
    format!("s3://{bucket}/{key}")
}

impl S3Error {
    /// Classifies the SDK's error.
    pub fn new<E>(operation: &'static str, target: impl fmt::Display, error: &SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        let raw = error.raw_response();
        let region = raw.and_then(|response| response.headers().get("x-amz-bucket-region")).map(str::to_owned);
        let Classified { class, code, message, status } = Classified::of(error);
        // A server that does not know a subresource takes the call for CreateBucket: SeaweedFS does so for logging.
        let class =
            if class == ErrorClass::Exists && operation != "CreateBucket" { ErrorClass::Unsupported } else { class };
        Self { operation, target: target.to_string(), class, code, message, status, region }
    }

    /// An answer that came back whole and says something it must not.
    pub fn unexpected(operation: &'static str, target: impl fmt::Display, message: impl Into<String>) -> Self {
        Self {
            operation,
            target: target.to_string(),
            class: ErrorClass::NotS3,
            code: None,
            message: message.into(),
            status: None,
            region: None,
        }
    }
}
