//! The settings of a bucket that the tool writes, each as the value that stands in the bucket afterwards.

use super::{Arn, BucketName, Lifecycle, Tags};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A control over a bucket: what a layout can waive with a reason, and what `verify` prints a line for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Control {
    /// All four flags of Block Public Access.
    PublicAccess,
    /// Object ownership `BucketOwnerEnforced`: no ACLs.
    Ownership,
    /// Default encryption.
    Encryption,
    /// Uploads with customer-provided keys refused.
    SseC,
    /// Versioning enabled.
    Versioning,
    /// Unfinished uploads aborted, noncurrent versions expired.
    Lifecycle,
    /// Requests without TLS denied.
    TlsOnly,
    /// Access logging to another bucket.
    AccessLog,
    /// The owner tag and the layout's tags.
    Tags,
}

impl Control {
    /// Every control, in the order in which `apply` writes and `verify` prints them.
    pub const ALL: [Self; 9] = [
        Self::Tags,
        Self::Ownership,
        Self::PublicAccess,
        Self::Encryption,
        Self::SseC,
        Self::Versioning,
        Self::Lifecycle,
        Self::TlsOnly,
        Self::AccessLog,
    ];

    /// The name that layouts and output use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::PublicAccess => "public-access",
            Self::Ownership => "ownership",
            Self::Encryption => "encryption",
            Self::SseC => "sse-c",
            Self::Versioning => "versioning",
            Self::Lifecycle => "lifecycle",
            Self::TlsOnly => "tls-only",
            Self::AccessLog => "access-log",
            Self::Tags => "tags",
        }
    }

    /// The ids under which Security Hub and CIS know the control; empty where they have none.
    pub const fn standards(self) -> &'static str {
        match self {
            Self::PublicAccess => "S3.8, CIS 2.1.4",
            Self::Ownership => "S3.12",
            Self::Encryption => "S3.17",
            Self::Versioning => "S3.14",
            Self::Lifecycle => "S3.10, S3.13",
            Self::TlsOnly => "S3.5, CIS 2.1.1",
            Self::AccessLog => "S3.9",
            Self::SseC | Self::Tags => "",
        }
    }
}

impl fmt::Display for Control {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

impl FromStr for Control {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let dashed = text.replace('_', "-");
        Self::ALL.into_iter().find(|control| control.name() == dashed).ok_or(())
    }
}

/// The four flags of Block Public Access.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublicAccessBlock {
    /// `BlockPublicAcls`
    pub block_public_acls: bool,
    /// `IgnorePublicAcls`
    pub ignore_public_acls: bool,
    /// `BlockPublicPolicy`
    pub block_public_policy: bool,
    /// `RestrictPublicBuckets`
    pub restrict_public_buckets: bool,
}

impl PublicAccessBlock {
    /// All four on, as AWS sets new buckets up.
    pub const ALL: Self = Self {
        block_public_acls: true,
        ignore_public_acls: true,
        block_public_policy: true,
        restrict_public_buckets: true,
    };
    /// All four off: what a bucket without the document has.
    pub const NONE: Self = Self {
        block_public_acls: false,
        ignore_public_acls: false,
        block_public_policy: false,
        restrict_public_buckets: false,
    };
}

/// Default encryption of a bucket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Encryption {
    /// The KMS key; none means SSE-S3.
    pub kms_key: Option<Arn>,
    /// Whether a bucket key cuts the calls to KMS.
    pub bucket_key: bool,
    /// Whether uploads with customer-provided keys are refused; none where the endpoint does not say.
    pub sse_c_blocked: Option<bool>,
}

/// Where a bucket's access log goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessLog {
    /// The log bucket.
    pub bucket: BucketName,
    /// The start of every log object's key.
    pub prefix: String,
}

/// A policy document as the text that is sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PolicyJson(pub String);

/// One setting with the whole value to write.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "setting", content = "value")]
pub enum Setting {
    /// All tags of the bucket, foreign ones included.
    Tags(Tags),
    /// Object ownership `BucketOwnerEnforced`.
    OwnerEnforced,
    /// Block Public Access.
    PublicAccess(PublicAccessBlock),
    /// Default encryption, and whether SSE-C is refused.
    Encryption(Encryption),
    /// Versioning enabled.
    Versioning,
    /// All lifecycle rules, foreign ones included.
    Lifecycle(Lifecycle),
    /// The whole bucket policy, foreign statements included.
    Policy(PolicyJson),
    /// Access logging.
    AccessLog(AccessLog),
}

impl Setting {
    /// The setting's name in output.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Tags(_) => "tags",
            Self::OwnerEnforced => "ownership",
            Self::PublicAccess(_) => "public-access",
            Self::Encryption(_) => "encryption",
            Self::Versioning => "versioning",
            Self::Lifecycle(_) => "lifecycle",
            Self::Policy(_) => "policy",
            Self::AccessLog(_) => "access-log",
        }
    }
}
