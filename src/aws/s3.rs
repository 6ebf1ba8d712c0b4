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

use super::Clients;
use super::failure::Classified;
use super::lease::Lease;
use crate::model::{BucketName, ObjectKey};
use aws_sdk_s3::Client;
use aws_sdk_s3::config::Credentials;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use std::error::Error;
use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::watch;

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
    /// Where other credentials come from once these have expired.
    lease: Option<Lease>,
    /// The client of the Region that the first answer named; none for a store that stays where it is.
    elsewhere: Option<Arc<OnceLock<Client>>>,
}

impl Store {
    /// A store that asks `client`, and that refuses buckets of accounts other than `expected_owner`.
    pub const fn new(client: Client, expected_owner: Option<String>, is_aws: bool) -> Self {
        let delete_conditions = is_aws;
        Self {
            client,
            expected_owner,
            is_aws,
            unsigned_payload: false,
            delete_conditions,
            lease: None,
            elsewhere: None,
        }
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

    /// The same store, whose expired credentials are looked for anew where those of `clients` come from.
    #[must_use]
    pub fn renewing(mut self, clients: &Clients) -> Self {
        self.lease.clone_from(&clients.lease);
        self
    }

    /// Sets how long requests whose credentials have expired wait for others, all of them together. Without it they
    /// fail at once.
    pub fn wait_for_credentials(&self, patience: Duration) {
        if let Some(lease) = &self.lease {
            lease.set_patience(patience);
        }
    }

    /// True if a request that fails for expired credentials has waited for others already.
    pub const fn has_waited(&self, class: ErrorClass) -> bool {
        matches!(class, ErrorClass::ExpiredCredentials) && self.lease.is_some()
    }

    /// Tells whenever requests begin to wait for other credentials, for how long at most, and when they do so no more.
    pub fn pauses(&self) -> Option<watch::Receiver<Option<Duration>>> {
        self.lease.as_ref().map(Lease::pauses)
    }

    /// Whether a delete can be made conditional on what was seen.
    pub const fn honours_delete_conditions(&self) -> bool {
        self.delete_conditions
    }

    /// The SDK's client.
    pub fn client(&self) -> &Client {
        self.elsewhere.as_ref().and_then(|elsewhere| elsewhere.get()).unwrap_or(&self.client)
    }

    /// The same store for reading one bucket of any Region of the partition: where the first answer says that the bucket is
    /// in another one, everything from then on is asked there.
    #[must_use]
    pub fn in_any_region(&self) -> Self {
        Self { elsewhere: Some(Arc::default()), ..self.clone() }
    }

    /// Turns to the Region that an answer names. True if the request deserves another try there.
    ///
    /// A redirect has status 301 or 307, and HEAD may have 400: its answer has no body that could say more.
    /// Source: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/VirtualHosting.html>
    fn turns(&self, error: &S3Error) -> bool {
        let (Some(elsewhere), Some(region)) = (&self.elsewhere, &error.region) else { return false };
        let here = self.client().config().region().map(ToString::to_string);
        let is_redirect = error.class == ErrorClass::WrongRegion || error.status == Some(400);
        if !is_redirect || here.as_ref() == Some(region) || elsewhere.get().is_some() {
            // Of two requests at once, one turned and both deserve it.
            return is_redirect && elsewhere.get().is_some() && here.as_ref() == Some(region);
        }
        let region = aws_sdk_s3::config::Region::new(region.clone());
        elsewhere.get_or_init(|| Client::from_conf(self.client.config().to_builder().region(region).build()));
        true
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
        let elsewhere = self.elsewhere.as_ref().map(|_| Arc::default());
        Self { client: Client::from_conf(config), elsewhere, ..self.clone() }
    }
}

/// A failed S3 call: what was asked, of what, and what came back.
#[derive(Debug, Clone, thiserror::Error)]
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
