//! What IAM says of roles and managed policies: plain values as they were read, for planners and explanations.

use super::{Arn, PolicyJson, PolicyName, RoleName, Tags};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Something that may not be readable with the caller's rights, which is an answer of its own and never an absence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Seen<T> {
    /// It was read.
    Here(T),
    /// It is not there.
    Absent,
    /// It may not be read; the service's own words.
    Hidden(String),
}

impl<T> Seen<T> {
    /// What was read.
    pub const fn here(&self) -> Option<&T> {
        match self {
            Self::Here(value) => Some(value),
            Self::Absent | Self::Hidden(_) => None,
        }
    }
}

/// A version of a managed policy: `v1`, `v2`, ... Numbers are never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct VersionId(pub u32);

/// A text that names no version of a policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no version of a policy: it looks like `v3`")]
pub struct VersionIdError(String);

impl FromStr for VersionId {
    type Err = VersionIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.strip_prefix('v').filter(|rest| rest.bytes().all(|byte| byte.is_ascii_digit()));
        let number = digits.and_then(|rest| rest.parse().ok()).filter(|number| *number > 0);
        number.map(Self).ok_or_else(|| VersionIdError(text.to_owned()))
    }
}

impl TryFrom<String> for VersionId {
    type Error = VersionIdError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<VersionId> for String {
    fn from(version: VersionId) -> Self {
        version.to_string()
    }
}

impl fmt::Display for VersionId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "v{}", self.0)
    }
}

/// One version of a managed policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyVersion {
    /// Which.
    pub id: VersionId,
    /// When it was made, by the service's clock.
    pub created: Option<Timestamp>,
    /// Its document, decoded.
    pub document: PolicyJson,
}

/// A managed policy with all its versions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManagedPolicy {
    /// Its ARN, the path included.
    pub arn: Arn,
    /// Its name.
    pub name: PolicyName,
    /// The id that tells it from a namesake made later, `ANPA...`; none where it is not known.
    pub id: Option<String>,
    /// What it is for, as its maker wrote; never changes.
    pub description: Option<String>,
    /// The version in force.
    pub default_version: VersionId,
    /// Its versions, the newest first; the one in force is among them, and of policies that AWS keeps only that one.
    pub versions: Vec<PolicyVersion>,
    /// To how many users, groups and roles it is attached.
    pub attachments: u64,
    /// Whose boundary it is, in number: not counted as attachments.
    pub boundary_uses: u64,
    /// Its tags.
    pub tags: Tags,
    /// When it was made.
    pub created: Option<Timestamp>,
    /// When a version of it was last made.
    pub updated: Option<Timestamp>,
}

impl ManagedPolicy {
    /// The version in force.
    pub fn in_force(&self) -> Option<&PolicyVersion> {
        self.versions.iter().find(|version| version.id == self.default_version)
    }
}

/// Whom a managed policy is attached to.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Attachments {
    /// Roles that have it as a policy.
    pub roles: Vec<RoleName>,
    /// Users that have it.
    pub users: Vec<String>,
    /// Groups that have it.
    pub groups: Vec<String>,
    /// Roles and users, by name, whose boundary it is.
    pub boundary_of: Vec<String>,
}

/// An inline policy of a role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InlinePolicy {
    /// Its name, unique in its role.
    pub name: PolicyName,
    /// Its document, decoded.
    pub document: PolicyJson,
}

/// When and where a role was last used. IAM tells no more than the last 400 days.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastUse {
    /// When.
    pub at: Timestamp,
    /// In which Region.
    pub region: Option<String>,
}

/// A role with all that policies say about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Role {
    /// Its ARN, the path included.
    pub arn: Arn,
    /// Its name.
    pub name: RoleName,
    /// What it is for, as its maker wrote.
    pub description: Option<String>,
    /// Who may take it, decoded.
    pub trust: PolicyJson,
    /// The managed policies attached to it.
    pub attached: Vec<Arn>,
    /// Its inline policies.
    pub inline: Vec<InlinePolicy>,
    /// The managed policy that bounds it.
    pub boundary: Option<Arn>,
    /// Its tags.
    pub tags: Tags,
    /// When it was made.
    pub created: Option<Timestamp>,
    /// Its last use, where the service knows of one.
    pub last_use: Option<LastUse>,
}

/// The account's limits that grants meet.
///
/// Source: <https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetAccountSummary.html>
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct IamQuotas {
    /// Managed policies for each role.
    pub attached_policies_per_role: u64,
    /// Versions that a managed policy keeps.
    pub versions_per_policy: u64,
    /// Characters of a managed policy.
    pub policy_characters: u64,
    /// Characters of a trust policy.
    pub trust_characters: u64,
    /// Managed policies that the account may still make.
    pub policies_left: u64,
    /// Roles that the account may still make.
    pub roles_left: u64,
}

impl IamQuotas {
    /// What an account has that nobody asked AWS to change.
    ///
    /// Source: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html>
    pub const USUAL: Self = Self {
        attached_policies_per_role: 10,
        versions_per_policy: 5,
        policy_characters: 6144,
        trust_characters: 2048,
        policies_left: 1500,
        roles_left: 1000,
    };
}

#[cfg(test)]
mod tests {
    use super::VersionId;

    #[test]
    fn versions_are_numbers_after_a_v() {
        assert_eq!("v12".parse::<VersionId>().unwrap(), VersionId(12));
        for bad in ["", "v", "v0", "12", "v-1", "v+1", "V1", "v1 ", "v99999999999"] {
            assert!(bad.parse::<VersionId>().is_err(), "{bad}");
        }
    }
}
