//! A path below a target folder: parsed once, so that no later code can be led out of the folder.

use super::part_file::is_part_file_name;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The longest name that Linux file systems take, in bytes.
///
/// Source: `NAME_MAX` in <https://man7.org/linux/man-pages/man0/limits.h.0p.html>
const MAX_NAME_BYTES: usize = 255;

/// One or more names with `/` between them. Each name can be that of a file: not empty, not `.` or `..`, without NUL,
/// at most 255 bytes, and not in the form of our own temporary files.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RelativePath(String);

/// Why a text cannot be a path below a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RelativePathError {
    /// It starts at the root of the file system.
    #[error("starts with `/`, which would leave the target folder")]
    Absolute,
    /// Two slashes side by side, one at the end, or no text at all.
    #[error("has a part without a name (`//`), which no file system keeps")]
    EmptyName,
    /// `.` or `..`.
    #[error("has a part `.` or `..`, which would lead elsewhere")]
    Dots,
    /// File systems end names there.
    #[error("holds a NUL byte, which no file name can")]
    Nul,
    /// Over 255 bytes.
    #[error("has a name of {bytes} bytes; file systems take at most 255")]
    NameTooLong {
        /// The name's length.
        bytes: usize,
    },
    /// It looks like a file that is being received, which a later run would clear away.
    #[error("has the name of a temporary file of this program")]
    Reserved,
}

impl RelativePath {
    /// The path's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The names from the top down.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.split('/')
    }

    /// The path of the directory that holds it, if that is not the target folder itself, and the last name.
    pub fn split(&self) -> (Option<Self>, &str) {
        match self.0.rsplit_once('/') {
            Some((parent, name)) => (Some(Self(parent.to_owned())), name),
            None => (None, &self.0),
        }
    }

    /// True if `self` is a directory on the way to `other`.
    pub fn holds(&self, other: &Self) -> bool {
        other.0.strip_prefix(&self.0).is_some_and(|rest| rest.starts_with('/'))
    }
}

fn check_name(name: &str) -> Result<(), RelativePathError> {
    match name {
        "" => Err(RelativePathError::EmptyName),
        "." | ".." => Err(RelativePathError::Dots),
        _ if name.contains('\0') => Err(RelativePathError::Nul),
        _ if name.len() > MAX_NAME_BYTES => Err(RelativePathError::NameTooLong { bytes: name.len() }),
        _ if is_part_file_name(name.as_bytes()) => Err(RelativePathError::Reserved),
        _ => Ok(()),
    }
}

impl FromStr for RelativePath {
    type Err = RelativePathError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.starts_with('/') {
            return Err(RelativePathError::Absolute);
        }
        text.split('/').try_for_each(check_name)?;
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for RelativePath {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl TryFrom<String> for RelativePath {
    type Error = RelativePathError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<RelativePath> for String {
    fn from(path: RelativePath) -> Self {
        path.0
    }
}

#[cfg(test)]
mod tests {
    use super::{RelativePath, RelativePathError};

    fn path(text: &str) -> RelativePath {
        text.parse().unwrap()
    }

    #[test]
    fn what_can_be_a_path() {
        use RelativePathError::{Absolute, Dots, EmptyName, NameTooLong, Nul, Reserved};
        let check = |text: &str, expected: Result<(), RelativePathError>| {
            assert_eq!(text.parse::<RelativePath>().map(drop), expected, "{text:?}");
        };
        for good in ["a", "a/b", ".hidden", "...", "..a/a..", "a b/ü\n*?", "back\\slash", "C:", "~", "-rf"] {
            check(good, Ok(()));
        }
        check(&"x".repeat(255), Ok(()));
        for (bad, why) in [
            ("", EmptyName),
            ("/", Absolute),
            ("/etc/passwd", Absolute),
            ("//a", Absolute),
            ("a//b", EmptyName),
            ("a/", EmptyName),
            (".", Dots),
            ("..", Dots),
            ("../a", Dots),
            ("a/../../b", Dots),
            ("a/.", Dots),
            ("a\0b", Nul),
            ("a/.bucketwright-0123456789abcdef0123456789abcdef.part", Reserved),
        ] {
            check(bad, Err(why));
        }
        check(&format!("a/{}", "é".repeat(128)), Err(NameTooLong { bytes: 256 }));
    }

    #[test]
    fn splits_and_holds() {
        assert_eq!(path("a/b/c").split(), (Some(path("a/b")), "c"));
        assert_eq!(path("c").split(), (None, "c"));
        assert_eq!(path("a/b/c").names().collect::<Vec<_>>(), ["a", "b", "c"]);
        for (one, other, holds) in [("a", "a/b", true), ("a", "ab", false), ("a", "a", false), ("a/b", "a", false)] {
            assert_eq!(path(one).holds(&path(other)), holds, "{one} {other}");
        }
    }
}
