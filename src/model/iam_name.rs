//! Names of roles, users and policies by IAM's rules, and paths before them.

use super::Arn;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The name of a role or user: 1 to 64 characters.
///
/// Names compare without case, because IAM keeps no two that differ by case alone.
///
/// Source: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html>
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RoleName(String);

/// The name of a managed or inline policy: 1 to 128 characters, compared without case.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PolicyName(String);

/// Why a text is no name that IAM takes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no name of a {kind}: 1 to {most} letters, digits and `+=,.@_-`")]
pub struct IamNameError {
    text: String,
    kind: &'static str,
    most: usize,
}

fn check(text: &str, kind: &'static str, most: usize) -> Result<(), IamNameError> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte);
    let holds = (1..=most).contains(&text.len()) && text.bytes().all(plain);
    if holds { Ok(()) } else { Err(IamNameError { text: text.chars().take(200).collect(), kind, most }) }
}

/// The last segment of an ARN's resource `word/path/NAME`; none for an ARN of something else.
fn last_segment<'arn>(arn: &'arn Arn, word: &str) -> Option<&'arn str> {
    let rest = arn.resource().strip_prefix(word)?.strip_prefix('/')?;
    (arn.service() == "iam").then(|| rest.rsplit('/').next().unwrap_or(rest))
}

impl RoleName {
    /// The name's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name in a role's ARN, whose path may stand before it.
    pub fn of_arn(arn: &Arn) -> Option<Self> {
        last_segment(arn, "role")?.parse().ok()
    }
}

impl PolicyName {
    /// The name's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name in a managed policy's ARN.
    pub fn of_arn(arn: &Arn) -> Option<Self> {
        last_segment(arn, "policy")?.parse().ok()
    }
}

impl FromStr for RoleName {
    type Err = IamNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        check(text, "role", 64).map(|()| Self(text.to_owned()))
    }
}

impl FromStr for PolicyName {
    type Err = IamNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        check(text, "policy", 128).map(|()| Self(text.to_owned()))
    }
}

/// What both kinds of names share: they are texts in output, and compare without case.
macro_rules! compared_without_case {
    ($name:ident) => {
        impl TryFrom<String> for $name {
            type Error = IamNameError;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str(&self.0)
            }
        }

        impl PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                self.0.eq_ignore_ascii_case(&other.0)
            }
        }

        impl Eq for $name {}

        impl PartialOrd for $name {
            fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
                Some(self.cmp(other))
            }
        }

        impl Ord for $name {
            fn cmp(&self, other: &Self) -> std::cmp::Ordering {
                self.0.to_ascii_lowercase().cmp(&other.0.to_ascii_lowercase())
            }
        }
    };
}

compared_without_case!(RoleName);
compared_without_case!(PolicyName);

#[cfg(test)]
mod tests {
    use super::{Arn, PolicyName, RoleName};

    #[test]
    fn names_are_as_iam_takes_them() {
        assert_eq!("Trainer".parse::<RoleName>().unwrap(), "trainer".parse().unwrap());
        for bad in ["", "a b", "a/b", "ä", &"x".repeat(65)] {
            assert!(bad.parse::<RoleName>().is_err(), "{bad}");
        }
        assert!("x".repeat(128).parse::<PolicyName>().is_ok());
    }

    #[test]
    fn an_arn_names_its_last_segment() {
        let arn: Arn = "arn:aws:iam::111122223333:role/a/b/trainer".parse().unwrap();
        assert_eq!(RoleName::of_arn(&arn).unwrap().as_str(), "trainer");
        assert_eq!(PolicyName::of_arn(&arn), None);
        let policy: Arn = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess".parse().unwrap();
        assert_eq!(PolicyName::of_arn(&policy).unwrap().as_str(), "AmazonS3ReadOnlyAccess");
    }
}
