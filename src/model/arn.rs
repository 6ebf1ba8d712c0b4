//! Amazon Resource Names, split once so that nobody searches for colons twice.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// An ARN: `arn:partition:service:region:account:resource`, region and account possibly empty, resource never.
///
/// Source: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html>
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Arn(String);

/// Why a text is no ARN.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an ARN: it looks like `arn:aws:service:region:account:resource`")]
pub struct ArnError(String);

impl Arn {
    /// The whole ARN.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// `aws`, `aws-cn`, `aws-us-gov` or another partition.
    pub fn partition(&self) -> &str {
        self.part(1)
    }

    /// The service's name, such as `s3` or `kms`.
    pub fn service(&self) -> &str {
        self.part(2)
    }

    /// The Region, empty for global services.
    pub fn region(&self) -> &str {
        self.part(3)
    }

    /// The account, empty for S3 buckets.
    pub fn account(&self) -> &str {
        self.part(4)
    }

    /// All that follows the fifth colon.
    pub fn resource(&self) -> &str {
        self.part(5)
    }

    fn part(&self, index: usize) -> &str {
        self.0.splitn(6, ':').nth(index).unwrap_or_default()
    }
}

impl FromStr for Arn {
    type Err = ArnError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts: Vec<&str> = text.splitn(6, ':').collect();
        let whole = matches!(parts[..], ["arn", partition, service, _, _, resource]
            if partition.starts_with("aws") && !service.is_empty() && !resource.is_empty());
        let plain = !text.chars().any(|letter| letter.is_whitespace() || letter.is_control());
        if whole && plain { Ok(Self(text.to_owned())) } else { Err(ArnError(text.to_owned())) }
    }
}

impl TryFrom<String> for Arn {
    type Error = ArnError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Arn> for String {
    fn from(arn: Arn) -> Self {
        arn.0
    }
}

impl fmt::Display for Arn {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::Arn;

    #[test]
    fn parts() {
        let arn: Arn = "arn:aws:kms:us-east-1:111122223333:key/a:b".parse().unwrap();
        assert_eq!(
            [arn.partition(), arn.service(), arn.region(), arn.account(), arn.resource()],
            ["aws", "kms", "us-east-1", "111122223333", "key/a:b"]
        );
        for bad in ["", "arn", "arn:aws:s3:::", "arn:gcp:s3:::b", "arn:aws:s3::: b", "alias/x"] {
            assert!(bad.parse::<Arn>().is_err(), "{bad}");
        }
    }
}
