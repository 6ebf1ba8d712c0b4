//! Tags of buckets by AWS's rules, and the owner tag that says what belongs to which layout.

use super::LayoutId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// A tag's key: 1 to 128 characters, not starting with `aws:`.
///
/// Source: <https://docs.aws.amazon.com/tag-editor/latest/userguide/best-practices-and-strats.html>
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TagKey(String);

/// A tag's value: at most 256 characters, possibly none.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TagValue(String);

/// The tags of one resource, ordered by key.
pub type Tags = BTreeMap<TagKey, TagValue>;

/// The rule that a text breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TagError {
    /// Too long, or an empty key.
    #[error("tag text `{0}` is too long or empty: a key has 1 to 128 characters, a value at most 256")]
    Length(String),
    /// A character that tags do not take.
    #[error("tag text `{0}` holds `{1}`; tags take letters, digits, spaces and `_.:/=+-@`")]
    Character(String, char),
    /// The namespace of AWS's own tags.
    #[error("tag key `{0}` starts with `aws:`, which AWS reserves")]
    Reserved(String),
}

fn check(text: &str, lengths: std::ops::RangeInclusive<usize>) -> Result<(), TagError> {
    if !lengths.contains(&text.chars().count()) {
        return Err(TagError::Length(text.chars().take(60).collect()));
    }
    let legal = |letter: char| letter.is_alphanumeric() || letter == ' ' || "_.:/=+-@".contains(letter);
    match text.chars().find(|letter| !legal(*letter)) {
        Some(wrong) => Err(TagError::Character(text.to_owned(), wrong)),
        None => Ok(()),
    }
}

impl TagKey {
    /// `bucketwright:layout`, whose value is the layout's id on all that the tool made or adopted.
    pub fn owner() -> Self {
        Self("bucketwright:layout".to_owned())
    }

    /// The key's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A key read back from AWS, which may be one that nobody else may write, such as `aws:cloudformation:stack-id`.
    pub fn observed(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// True for AWS's own tags, which no caller may write or remove.
    pub fn is_reserved(&self) -> bool {
        self.0.starts_with("aws:")
    }
}

impl TagValue {
    /// The value's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A value read back from AWS.
    pub fn observed(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl From<&LayoutId> for TagValue {
    fn from(id: &LayoutId) -> Self {
        Self(id.as_str().to_owned())
    }
}

impl FromStr for TagKey {
    type Err = TagError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        check(text, 1..=128)?;
        if text.to_ascii_lowercase().starts_with("aws:") {
            return Err(TagError::Reserved(text.to_owned()));
        }
        Ok(Self(text.to_owned()))
    }
}

impl FromStr for TagValue {
    type Err = TagError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        check(text, 0..=256)?;
        Ok(Self(text.to_owned()))
    }
}

impl TryFrom<String> for TagKey {
    type Error = TagError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl TryFrom<String> for TagValue {
    type Error = TagError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<TagKey> for String {
    fn from(key: TagKey) -> Self {
        key.0
    }
}

impl From<TagValue> for String {
    fn from(value: TagValue) -> Self {
        value.0
    }
}

impl fmt::Display for TagKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl fmt::Display for TagValue {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::{TagKey, TagValue};

    #[test]
    fn rules() {
        assert!("team".parse::<TagKey>().is_ok());
        assert!("".parse::<TagValue>().is_ok());
        for bad in ["", "aws:x", "AWS:x", "a\tb", "<script>", &"k".repeat(129)] {
            assert!(bad.parse::<TagKey>().is_err(), "{bad}");
        }
    }
}
