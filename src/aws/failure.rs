//! What calls of any service fail with: the SDK's error classified once, so that nobody reads codes twice.

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use std::error::Error;
use std::fmt;

/// What kind of failure a call ended with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorClass {
    /// The bucket, key, upload, setting, role, policy or cluster is not there.
    NotFound,
    /// The caller may not.
    Denied,
    /// A condition such as `If-None-Match` did not hold.
    Precondition,
    /// Another write is under way, or it is still in use: `OperationAborted`, `ConcurrentModification`, `DeleteConflict`.
    Conflict,
    /// The name is taken: `BucketAlreadyExists`, `BucketAlreadyOwnedByYou`, `EntityAlreadyExists`.
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
    /// Nothing here vouches for the endpoint's certificate.
    Untrusted,
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
    /// A quota of the account is used up: versions of a policy, policies of a role, characters.
    Limit,
    /// The service does not take the value, such as a malformed policy.
    Invalid,
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
            Self::Untrusted => "untrusted-certificate",
            Self::NotS3 => "not-s3",
            Self::Unsupported => "unsupported",
            Self::DigestRefused => "digest-refused",
            Self::ServerFault => "server-fault",
            Self::StorageFull => "disk-full",
            Self::Limit => "limit-exceeded",
            Self::Invalid => "invalid-input",
            Self::Other => "aws",
        }
    }

    /// True for what every later call would fail with too.
    pub const fn is_about_credentials(self) -> bool {
        matches!(self, Self::ExpiredCredentials | Self::NoCredentials | Self::BadCredentials | Self::ClockSkew)
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
            Self::Untrusted => {
                "if a company's own authority signed it, name its PEM file with `--ca-bundle` or AWS_CA_BUNDLE"
            }
            Self::NotS3 => "the endpoint answers, but not as S3 does: check its URL and port",
            Self::Unsupported => "this endpoint lacks the call; a control of a bucket can be waived with a reason",
            Self::DigestRefused => "what arrived is not what was sent: check memory, proxies and the network",
            Self::ServerFault => "the service failed: run it again, what is done stays done",
            Self::StorageFull => "free some space where the endpoint keeps its data, then run it again",
            Self::Limit => "a quota is used up: free some of it, or have it raised in Service Quotas",
            Self::NotFound | Self::Invalid | Self::Other => return None,
        })
    }
}

/// What the SDK's error says, read once for all services.
#[derive(Debug)]
pub(super) struct Classified {
    pub(super) class: ErrorClass,
    pub(super) code: Option<String>,
    pub(super) message: String,
    pub(super) status: Option<u16>,
}

impl Classified {
    pub(super) fn of<E>(error: &SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        let service = error.as_service_error();
        let code = service.and_then(ProvideErrorMetadata::code).map(str::to_owned);
        let said = service.and_then(ProvideErrorMetadata::message);
        let status = error.raw_response().map(|response| response.status().as_u16());
        let chain = chain_text(error);
        let class = match error {
            // Query services report a wrong clock as a wrong signature.
            SdkError::ServiceError(_) if said.is_some_and(|said| said.contains("Signature expired")) => {
                ErrorClass::ClockSkew
            }
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
        let message = message_text(said, code.as_deref(), status, &chain);
        Self { class, code, message, status }
    }
}

/// A failed call of IAM or EKS: what was asked, of what, and what came back.
#[derive(Debug, thiserror::Error)]
#[error("{operation} on `{target}` failed: {message}")]
pub struct ServiceError {
    /// The API operation, such as `CreatePolicyVersion`.
    pub operation: &'static str,
    /// The role, policy or cluster it was about.
    pub target: String,
    /// What kind of failure it is.
    pub class: ErrorClass,
    /// The service's own code, if it gave one.
    pub code: Option<String>,
    /// The service's message, or what the connection said; one line.
    pub message: String,
    /// The HTTP status, if there was an answer.
    pub status: Option<u16>,
}

impl ServiceError {
    /// Classifies the SDK's error.
    pub fn new<E>(operation: &'static str, target: impl fmt::Display, error: &SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        let Classified { class, code, message, status } = Classified::of(error);
        Self { operation, target: target.to_string(), class, code, message, status }
    }

    /// An answer that came back whole and says something it must not.
    pub fn unexpected(operation: &'static str, target: impl fmt::Display, message: impl Into<String>) -> Self {
        let (target, message) = (target.to_string(), message.into());
        Self { operation, target, class: ErrorClass::Other, code: None, message, status: None }
    }

    /// What a person can do about it; none where only the message can tell.
    pub const fn hint(&self) -> Option<&'static str> {
        match self.class {
            ErrorClass::Exists => Some("names are unique in an account, and differ by more than case: choose another"),
            ErrorClass::Conflict => {
                Some("it is in use, or another change of it is under way: look at it, and try again")
            }
            ErrorClass::Denied => {
                Some("`bucketwright policy generate --for operator` prints the rights that this takes")
            }
            ErrorClass::NotS3 => Some("the endpoint answers, but not as this service does: check its URL and port"),
            class => class.hint(),
        }
    }
}

/// The class that a service code means; without a code (HEAD has no body) the status must do.
///
/// Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html>,
/// <https://docs.aws.amazon.com/IAM/latest/APIReference/CommonErrors.html>
pub(super) fn class_of_answer(code: Option<&str>, status: u16) -> ErrorClass {
    match code.unwrap_or_default() {
        "AccessDenied" | "AccessDeniedException" | "AllAccessDisabled" | "AccountProblem" => ErrorClass::Denied,
        "PreconditionFailed" => ErrorClass::Precondition,
        "OperationAborted" | "ConditionalRequestConflict" | "DeleteConflict" | "ConcurrentModification" => {
            ErrorClass::Conflict
        }
        "BucketAlreadyExists" | "BucketAlreadyOwnedByYou" | "EntityAlreadyExists" | "ResourceInUseException" => {
            ErrorClass::Exists
        }
        "LimitExceeded" | "LimitExceededException" | "ResourceLimitExceededException" => ErrorClass::Limit,
        "MalformedPolicyDocument" | "InvalidInput" | "ValidationError" | "InvalidParameterException" => {
            ErrorClass::Invalid
        }
        "SlowDown"
        | "ServiceUnavailable"
        | "Throttling"
        | "ThrottlingException"
        | "RequestLimitExceeded"
        | "TooManyRequests" => ErrorClass::Throttled,
        // The service waited in vain for the rest of the request: a line that was slow or dead, or this machine was.
        "RequestTimeout" | "RequestTimeoutException" => ErrorClass::Unreachable,
        // Also where the answer began as a success.
        "InternalError" | "InternalFailure" => ErrorClass::ServerFault,
        "ExpiredToken" | "ExpiredTokenException" | "TokenRefreshRequired" => ErrorClass::ExpiredCredentials,
        "InvalidAccessKeyId"
        | "AuthFailure"
        | "SignatureDoesNotMatch"
        | "InvalidToken"
        | "InvalidClientTokenId"
        | "UnrecognizedClientException"
        | "InvalidSignatureException" => ErrorClass::BadCredentials,
        "RequestTimeTooSkewed" | "RequestExpired" => ErrorClass::ClockSkew,
        "PermanentRedirect" | "AuthorizationHeaderMalformed" | "IllegalLocationConstraintException" => {
            ErrorClass::WrongRegion
        }
        "NotImplemented" | "MethodNotAllowed" | "NotSupported" | "InvalidAction" | "UnknownOperationException" => {
            ErrorClass::Unsupported
        }
        // The embedded endpoint's word, and that of MinIO.
        "StorageFull" | "XMinioStorageFull" => ErrorClass::StorageFull,
        "BadDigest" | "InvalidDigest" | "XAmzContentSHA256Mismatch" | "XAmzContentChecksumMismatch" => {
            ErrorClass::DigestRefused
        }
        code if code.starts_with("NoSuch") || code == "NotFound" || code.ends_with("NotFoundError") => {
            ErrorClass::NotFound
        }
        "ResourceNotFoundException" | "NotFoundException" => ErrorClass::NotFound,
        // EC2 names the kind of resource before the dot.
        code if code.contains(".NotFound") || code.ends_with(".VersionNotFound") => ErrorClass::NotFound,
        _ => match status {
            301 | 307 | 308 => ErrorClass::WrongRegion,
            403 | 401 => ErrorClass::Denied,
            404 => ErrorClass::NotFound,
            408 => ErrorClass::Unreachable,
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
    if chain.contains("certificate is not trusted") {
        ErrorClass::Untrusted
    } else if ["expired", "Expired"].iter().any(|word| chain.contains(word)) {
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

pub(super) fn message_text(message: Option<&str>, code: Option<&str>, status: Option<u16>, chain: &str) -> String {
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
const LAYERS: [&str; 9] = [
    "dispatch failure",
    "io error",
    "timeout",
    "other",
    "client error (Connect)",
    "client error (SendRequest)",
    "tcp connect error",
    "an error occurred while loading credentials",
    "the credential provider was not enabled",
];

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
            (
                "dispatch failure: other: the credential provider was not enabled: the profile `x` gives no credentials",
                "the profile `x` gives no credentials",
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
            (Some("RequestTimeout"), 400, ErrorClass::Unreachable),
            (Some("InternalError"), 200, ErrorClass::ServerFault),
            (Some("InternalError"), 0, ErrorClass::ServerFault),
            (None, 403, ErrorClass::Denied),
            (None, 404, ErrorClass::NotFound),
            (None, 408, ErrorClass::Unreachable),
            (None, 501, ErrorClass::Unsupported),
            (None, 200, ErrorClass::NotS3),
            (Some("NoSuchEntity"), 404, ErrorClass::NotFound),
            (Some("ResourceNotFoundException"), 404, ErrorClass::NotFound),
            (Some("DeleteConflict"), 409, ErrorClass::Conflict),
            (Some("EntityAlreadyExists"), 409, ErrorClass::Exists),
            (Some("LimitExceeded"), 409, ErrorClass::Limit),
            (Some("MalformedPolicyDocument"), 400, ErrorClass::Invalid),
            (Some("AccessDeniedException"), 400, ErrorClass::Denied),
            (Some("InvalidLaunchTemplateId.NotFound"), 400, ErrorClass::NotFound),
            (Some("InvalidLaunchTemplateId.VersionNotFound"), 400, ErrorClass::NotFound),
            (Some("UnauthorizedOperation"), 403, ErrorClass::Denied),
            (Some("AuthFailure"), 401, ErrorClass::BadCredentials),
            (Some("Teapot"), 418, ErrorClass::Other),
        ] {
            assert_eq!(class_of_answer(code, status), class, "{code:?} {status}");
        }
    }
}
