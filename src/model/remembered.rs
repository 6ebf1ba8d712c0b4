//! What is known of a file's content from an earlier run, small enough to keep for a million files.

use super::{Algorithm, Checksum, ETag};

/// A file's content as it was when it was last read: the ETag that the object with that content showed, and the digests
/// that were computed on the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remembered {
    /// The object's ETag.
    pub etag: PackedETag,
    /// The CRC-64/NVME of the content.
    pub crc64nvme: Option<u64>,
    /// The MD5 of the content.
    pub md5: Option<[u8; 16]>,
}

impl Remembered {
    /// An ETag, and whichever digests are known; those of other algorithms are left out.
    pub fn new<'known>(etag: &ETag, digests: impl IntoIterator<Item = &'known Checksum>) -> Self {
        let mut remembered = Self { etag: PackedETag::from(etag), crc64nvme: None, md5: None };
        for digest in digests {
            match digest.algorithm() {
                Algorithm::Crc64Nvme => remembered.crc64nvme = digest.digest().try_into().ok().map(u64::from_be_bytes),
                Algorithm::Md5 => remembered.md5 = digest.digest().try_into().ok(),
                Algorithm::Crc32 | Algorithm::Crc32c | Algorithm::Sha1 | Algorithm::Sha256 => {}
            }
        }
        remembered
    }

    /// The CRC-64/NVME of the content.
    pub fn crc64nvme(&self) -> Option<Checksum> {
        self.crc64nvme.map(Checksum::crc64nvme)
    }

    /// The MD5 of the content.
    pub fn md5(&self) -> Option<Checksum> {
        self.md5.and_then(|digest| Checksum::new(Algorithm::Md5, &digest))
    }
}

/// An ETag in a third of the space of its text, where it has one of the usual forms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PackedETag {
    /// 32 lower-case hex digits.
    Md5([u8; 16]),
    /// The same, a hyphen, and the number of parts.
    Parts([u8; 16], u32),
    /// Anything else, letter by letter.
    Text(Box<str>),
}

impl From<&ETag> for PackedETag {
    fn from(etag: &ETag) -> Self {
        let text = etag.as_str();
        let packed = match text.split_once('-') {
            None => unhex(text).map(Self::Md5),
            Some((digest, count)) => count
                .parse()
                .ok()
                // Only the spelling that comes out again.
                .filter(|_| count.starts_with(|first: char| ('1'..='9').contains(&first)))
                .and_then(|count| Some(Self::Parts(unhex(digest)?, count))),
        };
        packed.unwrap_or_else(|| Self::Text(text.into()))
    }
}

impl PackedETag {
    /// The ETag as it was.
    pub fn unpack(&self) -> ETag {
        let hex = |digest: &[u8]| digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        match self {
            Self::Md5(digest) => ETag::new(&hex(digest)),
            Self::Parts(digest, count) => ETag::new(&format!("{}-{count}", hex(digest))),
            Self::Text(text) => ETag::new(text),
        }
    }
}

fn unhex(text: &str) -> Option<[u8; 16]> {
    let digits = <&[u8; 32]>::try_from(text.as_bytes()).ok()?;
    let mut digest = [0; 16];
    for (byte, pair) in digest.iter_mut().zip(digits.chunks_exact(2)) {
        let value = |digit: u8| match digit {
            b'0'..=b'9' => Some(digit - b'0'),
            b'a'..=b'f' => Some(digit - b'a' + 10),
            _ => None,
        };
        *byte = value(pair[0])? << 4 | value(pair[1])?;
    }
    Some(digest)
}

#[cfg(test)]
mod tests {
    use super::{PackedETag, Remembered};
    use crate::model::{Algorithm, Checksum, ETag};

    #[test]
    fn tags_come_back_letter_by_letter() {
        let md5 = "78d0b401f74247e8bd06cfd8e84a7d1b";
        for (text, packs) in [
            (md5.to_owned(), true),
            (format!("{md5}-1"), true),
            (format!("{md5}-10000"), true),
            (md5.to_uppercase(), false),
            (format!("{md5}-01"), false),
            (format!("{md5}-+1"), false),
            (format!("{md5}-"), false),
            (format!("{md5}-1-1"), false),
            (format!("{md5}0"), false),
            ("opaque-é".to_owned(), false),
            (String::new(), false),
        ] {
            let (etag, other) = (ETag::new(&text), ETag::new(&format!("{text}1")));
            let packed = PackedETag::from(&etag);
            assert_eq!(packed.unpack(), etag);
            assert_eq!(!matches!(packed, PackedETag::Text(_)), packs, "{text}");
            assert_ne!(packed, PackedETag::from(&other));
        }
    }

    #[test]
    fn digests_come_back() {
        let crc = Checksum::crc64nvme(0xAE8B_1486_0A79_9888);
        let md5 = Checksum::new(Algorithm::Md5, &[7; 16]).unwrap();
        let other = Checksum::new(Algorithm::Crc32, &[1; 4]).unwrap();
        let remembered = Remembered::new(&ETag::new("x"), [&crc, &other, &md5]);
        assert_eq!((remembered.crc64nvme(), remembered.md5()), (Some(crc), Some(md5)));
        let none = Remembered::new(&ETag::new("x"), []);
        assert_eq!((none.crc64nvme(), none.md5()), (None, None));
    }
}
