//! Who has long-lived keys, and what IAM remembers of use: evidence and never proof, because attempts count, refused ones
//! too, and because what it remembers ends after some hundred days.

use super::{Arn, Seen};
use jiff::Timestamp;

/// A user with its access keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Its ARN, the path included.
    pub arn: Arn,
    /// Its name.
    pub name: String,
    /// When it was made.
    pub created: Option<Timestamp>,
    /// Its access keys, whose secrets nobody can read again.
    pub keys: Seen<Vec<AccessKey>>,
}

/// An access key: credentials that hold until somebody takes them away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessKey {
    /// Its id, which is no secret; none where keys follow from names.
    pub id: Option<String>,
    /// Whether requests that it signs are taken.
    pub is_active: bool,
    /// When it was made.
    pub created: Option<Timestamp>,
    /// Its last use, refused ones included; [`Seen::Absent`] where no record is kept.
    pub last_use: Seen<Option<KeyUse>>,
}

/// When and for what a key was last used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyUse {
    /// When.
    pub at: Timestamp,
    /// The service, such as `s3`.
    pub service: String,
}

/// When those who have a policy last tried a service that it speaks of, whatever policy allowed or refused it.
///
/// Source: <https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetServiceLastAccessedDetails.html>
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceUse {
    /// The service as policies name it, such as `s3`.
    pub service: String,
    /// The last attempt; none if there was none as long as IAM remembers.
    pub last: Option<Timestamp>,
    /// Who made it.
    pub by: Option<String>,
}
