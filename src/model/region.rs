//! The AWS Region a bucket lives in or a request is signed for.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A Region code such as `us-east-1`: lower-case letters, digits and hyphens, 1 to 32 characters.
///
/// The list of Regions grows, so only the form is checked.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Region(String);

/// Why a text is no Region code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a region: it looks like `us-east-1`")]
pub struct RegionError(String);

impl Region {
    /// `us-east-1`, the Region whose buckets carry no location constraint.
    pub fn us_east_1() -> Self {
        Self("us-east-1".to_owned())
    }

    /// The Region that a bucket's location constraint means: none is `us-east-1`, `EU` is `eu-west-1`.
    ///
    /// Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketLocation.html>
    pub fn from_location_constraint(constraint: Option<&str>) -> Result<Self, RegionError> {
        match constraint {
            None | Some("" | "US") => Ok(Self::us_east_1()),
            Some("EU") => Ok(Self("eu-west-1".to_owned())),
            Some(code) => code.parse(),
        }
    }

    /// The partition the Region belongs to, as ARNs name it.
    ///
    /// Source: <https://docs.aws.amazon.com/whitepapers/latest/aws-fault-isolation-boundaries/partitions.html>
    pub fn partition(&self) -> &'static str {
        match self.0.split('-').next() {
            Some("cn") => "aws-cn",
            Some("eusc") => "aws-eusc",
            Some("us") if self.0.starts_with("us-gov-") => "aws-us-gov",
            _ => "aws",
        }
    }

    /// The code.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Region {
    type Err = RegionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let plain = text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        if (1..=32).contains(&text.len()) && plain && !text.starts_with('-') && !text.ends_with('-') {
            Ok(Self(text.to_owned()))
        } else {
            Err(RegionError(text.to_owned()))
        }
    }
}

impl TryFrom<String> for Region {
    type Error = RegionError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Region> for String {
    fn from(region: Region) -> Self {
        region.0
    }
}

impl fmt::Display for Region {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::Region;

    #[test]
    fn location_constraints_of_old_buckets() {
        for (constraint, region) in [
            (None, "us-east-1"),
            (Some(""), "us-east-1"),
            (Some("EU"), "eu-west-1"),
            (Some("ap-south-1"), "ap-south-1"),
        ] {
            assert_eq!(Region::from_location_constraint(constraint).unwrap().as_str(), region);
        }
    }

    #[test]
    fn partitions() {
        for (region, partition) in [
            ("us-east-1", "aws"),
            ("us-gov-west-1", "aws-us-gov"),
            ("cn-north-1", "aws-cn"),
            ("eusc-de-east-1", "aws-eusc"),
        ] {
            assert_eq!(region.parse::<Region>().unwrap().partition(), partition);
        }
    }

    #[test]
    fn form() {
        for bad in ["", "US-EAST-1", "us_east_1", "-us", "us-", "us east"] {
            assert!(bad.parse::<Region>().is_err(), "{bad}");
        }
    }
}
