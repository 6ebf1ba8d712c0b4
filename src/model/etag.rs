//! Entity tags as S3 hands them out, without the quotes that some servers add and others leave off.

use serde::{Deserialize, Serialize};
use std::fmt;

/// An ETag without its surrounding quotes. Opaque unless [`ETag::md5_hex`] or [`ETag::part_count`] recognises its form.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ETag(String);

impl ETag {
    /// Takes the header's or listing's text, quoted or not.
    pub fn new(text: &str) -> Self {
        Self(text.trim().trim_matches('"').to_owned())
    }

    /// The tag without quotes.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The tag in quotes, as `If-Match` wants it (RFC 9110, section 8.8.3).
    pub fn quoted(&self) -> String {
        format!("\"{}\"", self.0)
    }

    /// The tag if it has the form of an MD5 in hex. Under SSE-KMS it can have the form and not be one.
    pub fn md5_hex(&self) -> Option<&str> {
        is_hex_md5(&self.0).then_some(self.0.as_str())
    }

    /// The number of parts if the tag has the form `<md5>-<n>` of a multipart upload.
    pub fn part_count(&self) -> Option<u32> {
        let (digest, count) = self.0.split_once('-')?;
        if is_hex_md5(digest) { count.parse().ok() } else { None }
    }
}

fn is_hex_md5(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

impl fmt::Display for ETag {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::ETag;

    #[test]
    fn forms() {
        let single = ETag::new("\"78d0b401f74247e8bd06cfd8e84a7d1b\"");
        assert_eq!(single.md5_hex(), Some("78d0b401f74247e8bd06cfd8e84a7d1b"));
        assert_eq!(single.part_count(), None);
        let multi = ETag::new("78d0b401f74247e8bd06cfd8e84a7d1b-12");
        assert_eq!((multi.md5_hex(), multi.part_count()), (None, Some(12)));
        assert_eq!(ETag::new("opaque").md5_hex(), None);
    }
}
