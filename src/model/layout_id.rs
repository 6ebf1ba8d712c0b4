//! The id of a layout: what the owner tag carries, and so what tells two layouts apart in one account.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A layout's id: 1 to 128 letters, digits, `.`, `_`, `-`, `/`, so that it is a legal tag value everywhere.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LayoutId(String);

/// Why a text is no layout id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a layout id: use 1 to 128 letters, digits, `.`, `_`, `-` or `/`")]
pub struct LayoutIdError(String);

impl LayoutId {
    /// The id's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for LayoutId {
    type Err = LayoutIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/".contains(&byte);
        if (1..=128).contains(&text.len()) && text.bytes().all(legal) {
            Ok(Self(text.to_owned()))
        } else {
            Err(LayoutIdError(text.to_owned()))
        }
    }
}

impl TryFrom<String> for LayoutId {
    type Error = LayoutIdError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<LayoutId> for String {
    fn from(id: LayoutId) -> Self {
        id.0
    }
}

impl fmt::Display for LayoutId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}
