//! Bucket names by AWS's rules, each broken rule with its own words.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The name of a general purpose bucket: 3 to 63 lower-case letters, digits, hyphens and dots, and the finer rules below.
///
/// Source: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html>
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BucketName(String);

/// The rule that a text breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BucketNameError {
    /// Shorter than 3 or longer than 63 characters.
    #[error("bucket name `{0}` has {1} characters; S3 takes 3 to 63")]
    Length(String, usize),
    /// A character that no bucket name may hold.
    #[error("bucket name `{0}` holds `{1}`; S3 takes lower-case letters, digits, `-` and `.`")]
    Character(String, char),
    /// The first and the last character are letters or digits.
    #[error("bucket name `{0}` must start and end with a letter or a digit")]
    Ends(String),
    /// Two dots in a row, or a dot beside a hyphen.
    #[error("bucket name `{0}` has a `.` beside another `.` or a `-`")]
    Dots(String),
    /// The form of an IPv4 address.
    #[error("bucket name `{0}` looks like an IP address")]
    IpAddress(String),
    /// A prefix or suffix that AWS keeps for itself.
    #[error("bucket name `{0}` uses `{1}`, which AWS reserves")]
    Reserved(String, &'static str),
}

const RESERVED_STARTS: [&str; 4] = ["xn--", "sthree-", "amzn-s3-demo-", "aws-"];
const RESERVED_ENDS: [&str; 5] = ["-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3"];

impl BucketName {
    /// The name's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// True if the name holds a dot. Legal, but the wildcard certificate of virtual-hosted HTTPS does not cover it.
    pub fn has_dot(&self) -> bool {
        self.0.contains('.')
    }

    /// The bucket's ARN in `partition`.
    pub fn arn(&self, partition: &str) -> String {
        format!("arn:{partition}:s3:::{}", self.0)
    }
}

impl FromStr for BucketName {
    type Err = BucketNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let name = || text.to_owned();
        let legal =
            |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || matches!(letter, '-' | '.');
        if let Some(wrong) = text.chars().find(|letter| !legal(*letter)) {
            return Err(BucketNameError::Character(name(), wrong));
        }
        if !(3..=63).contains(&text.len()) {
            return Err(BucketNameError::Length(name(), text.len()));
        }
        if text.starts_with(['-', '.']) || text.ends_with(['-', '.']) {
            return Err(BucketNameError::Ends(name()));
        }
        if ["..", ".-", "-."].iter().any(|pair| text.contains(pair)) {
            return Err(BucketNameError::Dots(name()));
        }
        if text.parse::<std::net::Ipv4Addr>().is_ok() || looks_like_ipv4(text) {
            return Err(BucketNameError::IpAddress(name()));
        }
        let start = RESERVED_STARTS.iter().find(|start| text.starts_with(**start));
        if let Some(reserved) = start.or_else(|| RESERVED_ENDS.iter().find(|end| text.ends_with(**end))) {
            return Err(BucketNameError::Reserved(name(), reserved));
        }
        Ok(Self(text.to_owned()))
    }
}

/// Four groups of digits, also those that no address could hold, as AWS refuses them too.
fn looks_like_ipv4(text: &str) -> bool {
    let groups: Vec<&str> = text.split('.').collect();
    groups.len() == 4 && groups.iter().all(|group| !group.is_empty() && group.bytes().all(|byte| byte.is_ascii_digit()))
}

impl TryFrom<String> for BucketName {
    type Error = BucketNameError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<BucketName> for String {
    fn from(name: BucketName) -> Self {
        name.0
    }
}

impl fmt::Display for BucketName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::BucketName;

    fn check(text: &str, expected: &str) {
        let found = match text.parse::<BucketName>() {
            Ok(_) => "ok".to_owned(),
            Err(error) => error.to_string(),
        };
        assert!(found.contains(expected), "{text}: {found}");
    }

    #[test]
    fn rules() {
        check("bsingh-ml-workflows", "ok");
        check("a.b.c", "ok");
        check(&"a".repeat(63), "ok");
        check("ab", "3 to 63");
        check(&"a".repeat(64), "3 to 63");
        check("My-Bucket", "holds `M`");
        check("my_bucket", "holds `_`");
        check("-ab", "start and end");
        check("ab.", "start and end");
        check("a..b", "beside");
        check("a.-b", "beside");
        check("192.168.5.4", "IP address");
        check("999.168.5.4", "IP address");
        check("xn--bucket", "reserves");
        check("sthree-x", "reserves");
        check("bucket-s3alias", "reserves");
        check("bucket--x-s3", "reserves");
    }
}
