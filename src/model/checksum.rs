//! Checksums as S3 names and writes them: an algorithm and its base64 digest.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The algorithms that the tool computes and the embedded endpoint verifies.
///
/// Source: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html>
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Algorithm {
    /// CRC-64/NVME: full-object also for multipart uploads, and what S3 stores when a client sends none.
    Crc64Nvme,
    /// CRC-32 (ISO-HDLC).
    Crc32,
    /// CRC-32C (Castagnoli).
    Crc32c,
    /// SHA-1.
    Sha1,
    /// SHA-256.
    Sha256,
    /// MD5, sent as Content-MD5; S3 stores it only as the ETag of a single-part object.
    Md5,
}

impl Algorithm {
    /// The length of the raw digest in bytes.
    pub const fn digest_bytes(self) -> usize {
        match self {
            Self::Crc64Nvme => 8,
            Self::Crc32 | Self::Crc32c => 4,
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Md5 => 16,
        }
    }

    /// S3's own spelling: `CRC64NVME`, `CRC32`, ...
    pub const fn name(self) -> &'static str {
        match self {
            Self::Crc64Nvme => "CRC64NVME",
            Self::Crc32 => "CRC32",
            Self::Crc32c => "CRC32C",
            Self::Sha1 => "SHA1",
            Self::Sha256 => "SHA256",
            Self::Md5 => "MD5",
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

/// A digest with its algorithm. The raw bytes always have the algorithm's length; integers are big-endian.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Checksum {
    algorithm: Algorithm,
    digest: Vec<u8>,
}

/// Why a text is no digest of the algorithm.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not the base64 of a {algorithm} digest")]
pub struct ChecksumError {
    text: String,
    algorithm: Algorithm,
}

impl Checksum {
    /// A digest from its raw bytes; `None` if the length is not the algorithm's.
    pub fn new(algorithm: Algorithm, digest: &[u8]) -> Option<Self> {
        (digest.len() == algorithm.digest_bytes()).then(|| Self { algorithm, digest: digest.to_vec() })
    }

    /// A CRC-64/NVME value.
    pub fn crc64nvme(value: u64) -> Self {
        Self { algorithm: Algorithm::Crc64Nvme, digest: value.to_be_bytes().to_vec() }
    }

    /// Reads the base64 that S3's headers carry.
    pub fn from_base64(algorithm: Algorithm, text: &str) -> Result<Self, ChecksumError> {
        let wrong = || ChecksumError { text: text.chars().take(100).collect(), algorithm };
        let digest = STANDARD.decode(text.trim()).map_err(|_| wrong())?;
        Self::new(algorithm, &digest).ok_or_else(wrong)
    }

    /// The algorithm.
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The raw digest.
    pub fn digest(&self) -> &[u8] {
        &self.digest
    }

    /// The form that S3's headers carry.
    pub fn base64(&self) -> String {
        STANDARD.encode(&self.digest)
    }

    /// Lower-case hex, the form of ETags.
    pub fn hex(&self) -> String {
        self.digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// A checksum as an answer carries it: of the whole object, or of its parts' digests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Echo {
    /// Of all bytes.
    Whole(Checksum),
    /// `base64-N`, the digest of the digests of `N` parts. It depends on where the parts were cut.
    Composite(String),
}

impl Echo {
    /// Reads the value of a checksum header; `None` if it is neither form.
    pub fn parse(algorithm: Algorithm, text: &str) -> Option<Self> {
        if let Ok(checksum) = Checksum::from_base64(algorithm, text) {
            return Some(Self::Whole(checksum));
        }
        let (digest, parts) = text.trim().rsplit_once('-')?;
        let known = Checksum::from_base64(algorithm, digest).is_ok() && parts.parse::<u32>().is_ok();
        known.then(|| Self::Composite(text.trim().to_owned()))
    }
}

impl fmt::Display for Echo {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole(checksum) => checksum.fmt(out),
            Self::Composite(text) => out.write_str(text),
        }
    }
}

/// `CRC64NVME:rosUhgp5mIg=`
impl fmt::Display for Checksum {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}", self.algorithm, self.base64())
    }
}

impl FromStr for Checksum {
    type Err = ChecksumError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        use Algorithm::{Crc32, Crc32c, Crc64Nvme, Md5, Sha1, Sha256};
        let (name, value) = text.split_once(':').unwrap_or(("", text));
        let known = [Crc64Nvme, Crc32, Crc32c, Sha1, Sha256, Md5].into_iter().find(|one| one.name() == name);
        let wrong = ChecksumError { text: text.chars().take(100).collect(), algorithm: Crc64Nvme };
        Self::from_base64(known.ok_or(wrong)?, value)
    }
}

impl Serialize for Checksum {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Checksum {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::{Algorithm, Checksum, Echo};

    #[test]
    fn both_forms_of_an_answer() {
        let check = Checksum::crc64nvme(0xAE8B_1486_0A79_9888);
        assert_eq!(Echo::parse(Algorithm::Crc64Nvme, "rosUhgp5mIg="), Some(Echo::Whole(check)));
        let composite = "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=-2";
        assert_eq!(Echo::parse(Algorithm::Sha256, composite), Some(Echo::Composite(composite.to_owned())));
        for bad in ["", "x-2", "rosUhgp5mIg=-x", "rosUhgp5"] {
            assert_eq!(Echo::parse(Algorithm::Crc64Nvme, bad), None, "{bad}");
        }
    }

    #[test]
    fn header_form_of_the_check_value() {
        let check = Checksum::crc64nvme(0xAE8B_1486_0A79_9888);
        assert_eq!(check.base64(), "rosUhgp5mIg=");
        assert_eq!(Checksum::from_base64(Algorithm::Crc64Nvme, "rosUhgp5mIg=").unwrap(), check);
        assert_eq!("CRC64NVME:rosUhgp5mIg=".parse::<Checksum>().unwrap(), check);
        assert!(Checksum::from_base64(Algorithm::Sha256, "rosUhgp5mIg=").is_err());
    }
}
