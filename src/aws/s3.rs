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
mod questions;
mod settings;
mod uploads;
mod versions;

pub use copy::{CarriedAttributes, ObjectCopy, Source};
pub use delete::{Deleted, Doomed, MAX_DELETES};
pub use get::ObjectRead;
pub use list::{ListedPage, PageRequest};
pub use multipart::{Completion, MultipartUpload};
pub use objects::{ObjectBody, ObjectWrite, WriteCondition, Written};
pub use settings::MarkerWrite;

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

/// What an S3 call failed with, classified once so that nobody reads codes twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorClass {
    /// The bucket, key, upload or setting is not there.
    NotFound,
    /// The caller may not.
    Denied,
    /// A condition such as `If-None-Match` did not hold.
    Precondition,
    /// Another write is under way: `OperationAborted`, `ConditionalRequestConflict`.
    Conflict,
    /// The bucket belongs to somebody: `BucketAlreadyExists`, `BucketAlreadyOwnedByYou`.
    Exists,
    /// `SlowDown` and its kin.
    Throttled,
    /// The credentials are past their time.
    ExpiredCredentials,
    /// No credentials were found.
    NoCredentials,
    /// The key is unknown or the signature wrong.
    BadCredentials,
    /// The clock is too far off.
    ClockSkew,
    /// The bucket is in another Region than the request was signed for.
    WrongRegion,
    /// Nobody answers at the endpoint.
    Unreachable,
    /// Somebody answers, but not as S3 does.
    NotS3,
    /// The endpoint does not implement the call.
    Unsupported,
    /// What arrived is not what was sent.
    DigestRefused,
    /// The service failed.
    ServerFault,
    /// The endpoint's disk is full.
    StorageFull,
    /// Anything else; the message says what.
    Other,
}

impl ErrorClass {
    /// The name in the JSON output.
    pub const fn kind(self) -> &'static str {
        match self {
            Self::NotFound => "not-found",
            Self::Denied => "denied",
            Self::Precondition => "changed-meanwhile",
            Self::Conflict => "conflict",
            Self::Exists => "exists",
            Self::Throttled => "throttled",
            Self::ExpiredCredentials => "expired-credentials",
            Self::NoCredentials => "no-credentials",
            Self::BadCredentials => "bad-credentials",
            Self::ClockSkew => "clock-skew",
            Self::WrongRegion => "wrong-region",
            Self::Unreachable => "unreachable",
            Self::NotS3 => "not-s3",
            Self::Unsupported => "unsupported",
            Self::DigestRefused => "digest-refused",
            Self::ServerFault => "server-fault",
            Self::StorageFull => "disk-full",
            Self::Other => "aws",
        }
    }

    /// What a person can do about it; none where only the message can tell.
    pub const fn hint(self) -> Option<&'static str> {
        Some(match self {
            Self::Denied => "check that this identity may do this, and that no bucket policy or boundary denies it",
            Self::Precondition => "somebody else wrote there since the plan was made: run `plan` again",
            Self::Conflict => "another change of this bucket is under way; after a delete it can take an hour",
            Self::Exists => "bucket names are shared by all accounts: choose another, for example with your account id",
            Self::Throttled => "the service asks to slow down: run it again, what is done stays done",
            Self::ExpiredCredentials => "sign in again (for example `aws sso login --profile NAME`) and run it again",
            Self::NoCredentials => "pass `--profile NAME`, set AWS_ACCESS_KEY_ID, or try it with `--local`",
            Self::BadCredentials => {
                "the endpoint does not know this key or its secret: check the profile and the endpoint"
            }
            Self::ClockSkew => "set this machine's clock: requests are signed with the time",
            Self::WrongRegion => "pass the bucket's region with `--region`",
            Self::Unreachable => "check the network, the proxy and the endpoint's URL",
            Self::NotS3 => "the endpoint answers, but not as S3 does: check its URL and port",
            Self::Unsupported => "this endpoint lacks the call; waive the control with a reason if that is fine",
            Self::DigestRefused => "what arrived is not what was sent: check memory, proxies and the network",
            Self::ServerFault => "the service failed: run it again, what is done stays done",
            Self::StorageFull => "free some space where the endpoint keeps its data, then run it again",
            Self::NotFound | Self::Other => return None,
        })
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
        let service = error.as_service_error();
        let code = service.and_then(ProvideErrorMetadata::code).map(str::to_owned);
        let raw = error.raw_response();
        let status = raw.map(|response| response.status().as_u16());
        let region = raw.and_then(|response| response.headers().get("x-amz-bucket-region")).map(str::to_owned);
        let chain = chain_text(error);
        let class = match error {
            SdkError::ServiceError(_) => class_of_answer(code.as_deref(), status.unwrap_or_default()),
            SdkError::ResponseError(_) if status.is_some_and(|status| status >= 300) => {
                class_of_answer(code.as_deref(), status.unwrap_or_default())
            }
            SdkError::ResponseError(_) => ErrorClass::NotS3,
            SdkError::TimeoutError(_) => ErrorClass::Unreachable,
            SdkError::DispatchFailure(_) => class_of_dispatch(&chain),
            SdkError::ConstructionFailure(_) => class_of_construction(&chain),
            _ => ErrorClass::Other,
        };
        // A server that does not know a subresource takes the call for CreateBucket: SeaweedFS does so for logging.
        let class =
            if class == ErrorClass::Exists && operation != "CreateBucket" { ErrorClass::Unsupported } else { class };
        let message = message_text(service.and_then(ProvideErrorMetadata::message), code.as_deref(), status, &chain);
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

/// The class that a service code means; without a code (HEAD has no body) the status must do.
///
/// Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html>
fn class_of_answer(code: Option<&str>, status: u16) -> ErrorClass {
    match code.unwrap_or_default() {
        "AccessDenied" | "AllAccessDisabled" | "AccountProblem" => ErrorClass::Denied,
        "PreconditionFailed" => ErrorClass::Precondition,
        "OperationAborted" | "ConditionalRequestConflict" => ErrorClass::Conflict,
        "BucketAlreadyExists" | "BucketAlreadyOwnedByYou" => ErrorClass::Exists,
        "SlowDown" | "Throttling" | "ThrottlingException" | "RequestLimitExceeded" | "TooManyRequests" => {
            ErrorClass::Throttled
        }
        "ExpiredToken" | "ExpiredTokenException" | "TokenRefreshRequired" => ErrorClass::ExpiredCredentials,
        "InvalidAccessKeyId" | "SignatureDoesNotMatch" | "InvalidToken" | "InvalidClientTokenId" => {
            ErrorClass::BadCredentials
        }
        "RequestTimeTooSkewed" => ErrorClass::ClockSkew,
        "PermanentRedirect" | "AuthorizationHeaderMalformed" | "IllegalLocationConstraintException" => {
            ErrorClass::WrongRegion
        }
        "NotImplemented" | "MethodNotAllowed" | "NotSupported" => ErrorClass::Unsupported,
        // The embedded endpoint's word, and that of MinIO.
        "StorageFull" | "XMinioStorageFull" => ErrorClass::StorageFull,
        "BadDigest" | "InvalidDigest" | "XAmzContentSHA256Mismatch" | "XAmzContentChecksumMismatch" => {
            ErrorClass::DigestRefused
        }
        code if code.starts_with("NoSuch") || code == "NotFound" || code.ends_with("NotFoundError") => {
            ErrorClass::NotFound
        }
        _ => match status {
            301 | 307 | 308 => ErrorClass::WrongRegion,
            403 | 401 => ErrorClass::Denied,
            404 => ErrorClass::NotFound,
            412 => ErrorClass::Precondition,
            405 | 501 => ErrorClass::Unsupported,
            429 | 503 => ErrorClass::Throttled,
            500..=599 => ErrorClass::ServerFault,
            // A success that cannot be read is somebody else's success.
            200..=299 => ErrorClass::NotS3,
            _ => ErrorClass::Other,
        },
    }
}

/// A request that never became an answer: credentials that could not be had look like this, and so does a dead network.
fn class_of_dispatch(chain: &str) -> ErrorClass {
    if ["expired", "Expired"].iter().any(|word| chain.contains(word)) {
        ErrorClass::ExpiredCredentials
    } else if ["credentials", "Credentials", "identity"].iter().any(|word| chain.contains(word)) {
        ErrorClass::NoCredentials
    } else if chain.contains("invalid HTTP") || chain.contains("parsing") {
        ErrorClass::NotS3
    } else {
        ErrorClass::Unreachable
    }
}

fn class_of_construction(chain: &str) -> ErrorClass {
    if chain.contains("redentials") || chain.contains("identity") {
        ErrorClass::NoCredentials
    } else {
        ErrorClass::Other
    }
}

/// The whole chain of causes in one line. The SDK's own errors never print secrets.
fn chain_text(error: &dyn Error) -> String {
    let mut parts = vec![error.to_string()];
    let mut source = error.source();
    while let Some(cause) = source {
        let text = cause.to_string();
        if parts.last() != Some(&text) {
            parts.push(text);
        }
        source = cause.source();
    }
    parts.join(": ")
}

fn message_text(message: Option<&str>, code: Option<&str>, status: Option<u16>, chain: &str) -> String {
    let text = match (code, message, status) {
        (Some(code), Some(message), _) if !message.is_empty() => format!("{code}: {message}"),
        (Some(code), _, _) => code.to_owned(),
        (None, Some(message), _) if !message.is_empty() => message.to_owned(),
        (None, _, Some(status)) => format!("the endpoint answered HTTP {status} without a message"),
        (None, _, None) => plain(chain),
    };
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What the layers between us and the socket say about themselves, which helps nobody.
const LAYERS: [&str; 5] = ["dispatch failure", "io error", "other", "client error (Connect)", "tcp connect error"];

/// A chain of causes without the names of the layers that it went through.
fn plain(chain: &str) -> String {
    if chain.contains("no credentials found in chain") {
        return "no credentials were found in the environment, the profile, or a role of this machine".to_owned();
    }
    let parts: Vec<&str> = chain.split(": ").filter(|part| !LAYERS.contains(part)).collect();
    let text = parts.join(": ");
    match text.rsplit_once(" (os error ") {
        Some((words, _)) => words.to_owned(),
        None if text.is_empty() => chain.to_owned(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::{ErrorClass, class_of_answer, plain};

    #[test]
    fn the_names_of_layers_are_left_out() {
        for (chain, words) in [
            (
                "dispatch failure: io error: client error (Connect): tcp connect error: Connection refused (os error 111)",
                "Connection refused",
            ),
            (
                "dispatch failure: io error: client error (Connect): dns error: failed to lookup address information",
                "dns error: failed to lookup address information",
            ),
            (
                "dispatch failure: other: the credential provider was not enabled: no credentials found in chain. Att",
                "no credentials were found in the environment, the profile, or a role of this machine",
            ),
            ("dispatch failure", "dispatch failure"),
        ] {
            assert_eq!(plain(chain), words);
        }
    }

    #[test]
    fn codes_before_statuses() {
        for (code, status, class) in [
            (Some("NoSuchBucket"), 404, ErrorClass::NotFound),
            (Some("NoSuchBucketPolicy"), 404, ErrorClass::NotFound),
            (Some("ServerSideEncryptionConfigurationNotFoundError"), 404, ErrorClass::NotFound),
            (Some("ExpiredToken"), 400, ErrorClass::ExpiredCredentials),
            (Some("SlowDown"), 503, ErrorClass::Throttled),
            (Some("BadDigest"), 400, ErrorClass::DigestRefused),
            (None, 403, ErrorClass::Denied),
            (None, 404, ErrorClass::NotFound),
            (None, 501, ErrorClass::Unsupported),
            (None, 200, ErrorClass::NotS3),
            (Some("Teapot"), 418, ErrorClass::Other),
        ] {
            assert_eq!(class_of_answer(code, status), class, "{code:?} {status}");
        }
    }
}
