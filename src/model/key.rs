//! Object keys and the prefixes that people call folders.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The longest key S3 takes, in bytes of UTF-8.
///
/// Source: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html>
const MAX_KEY_BYTES: usize = 1024;

/// Any key that S3 accepts: 1 to 1,024 bytes of UTF-8. Ordered by its bytes, as a listing is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ObjectKey(String);

/// The empty text, or a key that ends in `/`: the start of every key in a folder.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Prefix(String);

/// Why a text is no key, or no prefix.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// A key has at least one byte.
    #[error("an object key cannot be empty")]
    Empty,
    /// Over 1,024 bytes.
    #[error("the key `{start}...` has {bytes} bytes; S3 takes at most 1,024")]
    TooLong {
        /// The key's first characters.
        start: String,
        /// Its length.
        bytes: usize,
    },
    /// A folder's prefix ends in a slash.
    #[error("`{0}` does not end in `/`")]
    NoSlash(String),
}

fn check_length(text: &str) -> Result<(), KeyError> {
    if text.len() > MAX_KEY_BYTES {
        return Err(KeyError::TooLong { start: text.chars().take(40).collect(), bytes: text.len() });
    }
    Ok(())
}

impl ObjectKey {
    /// The key's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part after the last `/`; empty for a marker that ends in a slash.
    pub fn file_name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or_default()
    }
}

impl Prefix {
    /// The whole bucket.
    pub fn root() -> Self {
        Self(String::new())
    }

    /// The prefix's text: empty, or ending in `/`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// True for the prefix of the whole bucket.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The key of `rest` below this prefix.
    pub fn key(&self, rest: &str) -> Result<ObjectKey, KeyError> {
        format!("{}{rest}", self.0).parse()
    }

    /// The prefix of the folder `name` below this one; `name` may hold slashes inside, none at its ends.
    pub fn folder(&self, name: &str) -> Result<Self, KeyError> {
        format!("{}{name}/", self.0).parse()
    }

    /// What follows this prefix in `key`, if it starts with it.
    pub fn strip<'key>(&self, key: &'key ObjectKey) -> Option<&'key str> {
        key.as_str().strip_prefix(&self.0)
    }

    /// The key of the folder's own slash marker; none for the root.
    pub fn marker(&self) -> Option<ObjectKey> {
        self.0.parse().ok()
    }
}

impl FromStr for ObjectKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() {
            return Err(KeyError::Empty);
        }
        check_length(text)?;
        Ok(Self(text.to_owned()))
    }
}

impl FromStr for Prefix {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        check_length(text)?;
        if text.is_empty() || text.ends_with('/') {
            Ok(Self(text.to_owned()))
        } else {
            Err(KeyError::NoSlash(text.to_owned()))
        }
    }
}

impl TryFrom<String> for ObjectKey {
    type Error = KeyError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl TryFrom<String> for Prefix {
    type Error = KeyError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<ObjectKey> for String {
    fn from(key: ObjectKey) -> Self {
        key.0
    }
}

impl From<Prefix> for String {
    fn from(prefix: Prefix) -> Self {
        prefix.0
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::{KeyError, ObjectKey, Prefix};

    #[test]
    fn keys_are_one_to_1024_bytes() {
        assert_eq!("".parse::<ObjectKey>(), Err(KeyError::Empty));
        assert!("é".repeat(512).parse::<ObjectKey>().is_ok());
        assert!("é".repeat(513).parse::<ObjectKey>().is_err());
        assert!("a//b/../c".parse::<ObjectKey>().is_ok(), "S3 takes what no file system does");
    }

    #[test]
    fn prefixes_join_and_strip() {
        let folder = Prefix::root().folder("credit-scoring").unwrap().folder("data").unwrap();
        assert_eq!(folder.as_str(), "credit-scoring/data/");
        let key = folder.key("a/b.csv").unwrap();
        assert_eq!((folder.strip(&key), key.file_name()), (Some("a/b.csv"), "b.csv"));
        assert_eq!(folder.marker().unwrap().file_name(), "");
        assert!("data".parse::<Prefix>().is_err());
    }
}
