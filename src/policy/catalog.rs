//! What AWS publishes about actions, resources and condition keys, as far as the tool needs it: S3 whole, of other
//! services their names, of global condition keys all.
//!
//! Source: <https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html>

mod action_set;
mod api_names;
mod global_keys;
mod s3;
mod services;

pub(super) use action_set::ActionSet;
pub(super) use api_names::actions_of_api;
pub(super) use global_keys::{GLOBAL_KEYS, global_key};
pub(super) use s3::{ResourceType, S3, S3Action};
pub(super) use services::{
    ARN_REGIONS, KMS_ACTIONS, PARTITIONS, REGIONLESS_SERVICES, STS_ACTIONS, TRUST_ACTIONS, is_arn_service, is_service,
    services,
};

use serde::Deserialize;

/// What a condition key holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct KeyType {
    /// The type of its values.
    pub values: ValueType,
    /// True if a request can carry several values.
    pub multivalued: bool,
}

/// The type of a condition key's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ValueType {
    /// Any text.
    String,
    /// An ARN, which string operators may compare too.
    Arn,
    /// `true` or `false`.
    Bool,
    /// A time.
    Date,
    /// A time that numeric operators may compare too: `aws:EpochTime`.
    Epoch,
    /// A number.
    Numeric,
    /// An address.
    IpAddress,
}

impl ValueType {
    /// The operators for it, in words.
    pub(super) const fn operators(self) -> &'static str {
        match self {
            Self::String => "a string operator such as `StringEquals`",
            Self::Arn => "an ARN operator such as `ArnLike`",
            Self::Bool => "`Bool`",
            Self::Date => "a date operator such as `DateGreaterThan`",
            Self::Epoch => "a date or numeric operator",
            Self::Numeric => "a numeric operator such as `NumericLessThan`",
            Self::IpAddress => "`IpAddress` or `NotIpAddress`",
        }
    }
}

/// A key's type as AWS's tables name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
enum TypeName {
    #[serde(rename = "ARN")]
    Arn,
    ArrayOfString,
    Bool,
    Date,
    Numeric,
    String,
}

impl From<TypeName> for KeyType {
    fn from(name: TypeName) -> Self {
        let values = match name {
            TypeName::Arn => ValueType::Arn,
            TypeName::ArrayOfString | TypeName::String => ValueType::String,
            TypeName::Bool => ValueType::Bool,
            TypeName::Date => ValueType::Date,
            TypeName::Numeric => ValueType::Numeric,
        };
        Self { values, multivalued: name == TypeName::ArrayOfString }
    }
}

/// How a name relates to a family of keys such as `aws:PrincipalTag/KEY`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeyLookup<'table> {
    /// The key, as AWS spells it, and what it holds.
    Known(&'table str, KeyType),
    /// A family without the tag key that must follow it.
    WithoutTagKey(&'table str),
    /// No such key.
    Unknown,
}
