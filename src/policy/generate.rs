//! Policy documents made from what a layout or a command line grants: least privilege, but no less than real clients need.
//!
//! Bucket and object actions stand in statements of their own, because conditions on `s3:prefix` fit listings only and a
//! bucket's ARN is not that of its objects. What each key gets is [`Entitlement`]'s to say; here it is put into
//! statements. The same input gives the same text.

pub mod bucket_policy;
pub mod clients;
pub mod flyte;
mod identity;
mod literal;
pub mod operator;
mod seed;
mod split;
mod statement;
pub mod terraform;
pub mod trust;
mod units;

pub(super) use identity::via_service;

use super::entitlement::Entitlement;
use crate::model::{AccountId, BucketName};
use serde_json::Value;

/// What a managed policy may hold, in characters without white space.
///
/// Source: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html>
pub const MAX_MANAGED_POLICY_CHARACTERS: usize = 6144;

/// What the policy that is passed when a session is made may hold.
///
/// Source: <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html>
pub const MAX_SESSION_POLICY_CHARACTERS: usize = 2048;

/// What a role's trust policy may hold unless the account's quota has been raised.
///
/// Source: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html>
pub const MAX_TRUST_POLICY_CHARACTERS: usize = 2048;

/// What holds for every statement of a document, wherever its rights come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// The partition of ARNs: `aws`, `aws-cn`, `aws-us-gov`.
    pub partition: String,
    /// The account that every bucket must be in: a bucket that somebody else has made under a freed name is then out of
    /// reach. None leaves that condition out.
    pub guard: Option<AccountId>,
}

/// The form of an identity policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Least privilege.
    Least,
    /// The four documents that teams have from older instructions, value for value: no Sids, no multipart rights, bucket
    /// and object actions together, and the folders' own limits ignored.
    Seed,
}

/// What a document is attached to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// Users and roles.
    Identity,
    /// A bucket.
    Bucket(BucketName),
    /// A role, to say who may take it.
    Trust,
}

/// A document with its name.
#[derive(Debug, Clone, PartialEq)]
pub struct Generated {
    /// The policy's, bucket's or role's name.
    pub name: String,
    /// What it is attached to.
    pub kind: Kind,
    /// The document; its order is part of its value.
    pub document: Value,
}

impl Generated {
    /// The document's size as IAM's quotas are compared with.
    pub fn characters(&self) -> usize {
        characters(&self.document)
    }

    /// The quota that holds unless the account has had it raised; bytes and characters are the same here.
    pub const fn most_characters(&self) -> usize {
        match self.kind {
            Kind::Identity => MAX_MANAGED_POLICY_CHARACTERS,
            Kind::Bucket(_) => crate::document::MAX_BUCKET_POLICY_BYTES,
            Kind::Trust => MAX_TRUST_POLICY_CHARACTERS,
        }
    }
}

/// Why a document cannot be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GenerateError {
    /// Policies are written in Latin-1.
    ///
    /// Source: <https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreatePolicy.html>
    #[error("`{text}` holds `{letter}`, which no policy document can; grant on a folder above, or rename this one")]
    Unwritable {
        /// The text.
        text: String,
        /// The character.
        letter: char,
    },
    /// One part that cannot be split any further is too large.
    #[error("policy `{name}` needs {characters} characters for one folder alone; IAM takes {most}")]
    TooLarge {
        /// The policy's name.
        name: String,
        /// The size of the part.
        characters: usize,
        /// The quota.
        most: usize,
    },
}

/// The size of a document as quotas count it: compact, the white space in its texts included, which is the stricter
/// reading of AWS's words.
pub fn characters(document: &Value) -> usize {
    document.to_string().chars().count()
}

/// The identity policy that gives what `entitlement` says: one document, or as many as the size quota asks for, named
/// `NAME-1`, `NAME-2` and so on. All of them are attached to the same roles.
pub fn identity(entitlement: &Entitlement, form: Form, frame: &Frame) -> Result<Vec<Generated>, GenerateError> {
    within(MAX_MANAGED_POLICY_CHARACTERS, entitlement, form, frame)
}

/// What `entitlement` says as policies of sessions: one document, or several that give it together. A session takes one,
/// so each of several is in force in a session of its own.
pub fn of_sessions(entitlement: &Entitlement, frame: &Frame) -> Result<Vec<Generated>, GenerateError> {
    within(MAX_SESSION_POLICY_CHARACTERS, entitlement, Form::Least, frame)
}

fn within(most: usize, entitlement: &Entitlement, form: Form, frame: &Frame) -> Result<Vec<Generated>, GenerateError> {
    literal::check(entitlement)?;
    let name = &entitlement.name;
    let parts = match form {
        Form::Least => split::parts(name, most, &units::units(entitlement), &mut |units| {
            identity::document(entitlement, units, frame)
        }),
        Form::Seed => split::parts(name, most, &entitlement.places, &mut |places| {
            seed::document(entitlement.access, places, frame)
        }),
    }?;
    Ok(split::named(name, parts))
}

#[cfg(test)]
mod tests;
