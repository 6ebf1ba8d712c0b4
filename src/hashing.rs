//! Digests of byte streams and the arithmetic on them: bytes in, checksum out, nothing else.
//!
//! Shared by the sender, which proves what it sent, and by the embedded endpoint, which checks what it received.

use crate::model::{Algorithm, Checksum, ETag};
use crc_fast::CrcAlgorithm;
use md5::{Digest as _, Md5};
use sha1::Sha1;
use sha2::Sha256;
use std::fmt;

/// A running digest of one algorithm.
pub struct Hasher(State);

enum State {
    Crc(Algorithm, crc_fast::Digest),
    Sha1(Sha1),
    Sha256(Sha256),
    Md5(Md5),
}

impl fmt::Debug for Hasher {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_tuple("Hasher").field(&self.algorithm()).finish()
    }
}

impl Hasher {
    /// A digest of no bytes yet.
    pub fn new(algorithm: Algorithm) -> Self {
        Self(match algorithm {
            Algorithm::Crc64Nvme => State::Crc(algorithm, crc_fast::Digest::new(CrcAlgorithm::Crc64Nvme)),
            Algorithm::Crc32 => State::Crc(algorithm, crc_fast::Digest::new(CrcAlgorithm::Crc32IsoHdlc)),
            Algorithm::Crc32c => State::Crc(algorithm, crc_fast::Digest::new(CrcAlgorithm::Crc32Iscsi)),
            Algorithm::Sha1 => State::Sha1(Sha1::new()),
            Algorithm::Sha256 => State::Sha256(Sha256::new()),
            Algorithm::Md5 => State::Md5(Md5::new()),
        })
    }

    /// The algorithm.
    pub const fn algorithm(&self) -> Algorithm {
        match &self.0 {
            State::Crc(algorithm, _) => *algorithm,
            State::Sha1(_) => Algorithm::Sha1,
            State::Sha256(_) => Algorithm::Sha256,
            State::Md5(_) => Algorithm::Md5,
        }
    }

    /// Takes more bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.0 {
            State::Crc(_, digest) => digest.update(bytes),
            State::Sha1(digest) => digest.update(bytes),
            State::Sha256(digest) => digest.update(bytes),
            State::Md5(digest) => digest.update(bytes),
        }
    }

    /// The digest of all bytes taken.
    #[expect(clippy::expect_used, reason = "each arm yields as many bytes as its algorithm has")]
    pub fn finish(self) -> Checksum {
        let algorithm = self.algorithm();
        let digest = match self.0 {
            State::Crc(_, digest) => crc_bytes(algorithm, digest.finalize()),
            State::Sha1(digest) => digest.finalize().to_vec(),
            State::Sha256(digest) => digest.finalize().to_vec(),
            State::Md5(digest) => digest.finalize().to_vec(),
        };
        Checksum::new(algorithm, &digest).expect("digest has its algorithm's length")
    }
}

/// A CRC as S3 writes it: big-endian, as many bytes as the algorithm has.
fn crc_bytes(algorithm: Algorithm, value: u64) -> Vec<u8> {
    value.to_be_bytes()[8 - algorithm.digest_bytes()..].to_vec()
}

/// The digest of `bytes`.
pub fn digest(algorithm: Algorithm, bytes: &[u8]) -> Checksum {
    let mut hasher = Hasher::new(algorithm);
    hasher.update(bytes);
    hasher.finish()
}

/// The CRC of two byte runs one after the other, from the CRC of each and the length of the second.
///
/// `None` for an algorithm that is no CRC, or two different ones: only CRCs are linear.
pub fn combine(first: &Checksum, second: &Checksum, second_bytes: u64) -> Option<Checksum> {
    let algorithm = first.algorithm();
    let crc = match algorithm {
        Algorithm::Crc64Nvme => CrcAlgorithm::Crc64Nvme,
        Algorithm::Crc32 => CrcAlgorithm::Crc32IsoHdlc,
        Algorithm::Crc32c => CrcAlgorithm::Crc32Iscsi,
        Algorithm::Sha1 | Algorithm::Sha256 | Algorithm::Md5 => return None,
    };
    if second.algorithm() != algorithm {
        return None;
    }
    let value = |checksum: &Checksum| checksum.digest().iter().fold(0_u64, |sum, byte| (sum << 8) | u64::from(*byte));
    let combined = crc_fast::checksum_combine(crc, value(first), value(second), second_bytes);
    Checksum::new(algorithm, &crc_bytes(algorithm, combined))
}

/// The CRC of a whole object from its parts in order, each with its length in bytes; `None` without parts or for a
/// digest that is no CRC.
pub fn combine_parts<'parts>(parts: impl IntoIterator<Item = (&'parts Checksum, u64)>) -> Option<Checksum> {
    let mut parts = parts.into_iter();
    let (first, bytes) = parts.next()?;
    let start = combine(&digest(first.algorithm(), b""), first, bytes)?;
    parts.try_fold(start, |whole, (part, bytes)| combine(&whole, part, bytes))
}

/// The ETag that S3 gives a multipart object: the MD5 of the parts' binary MD5s, a hyphen, and the number of parts.
pub fn multipart_etag<'parts>(part_md5s: impl IntoIterator<Item = &'parts [u8]>) -> ETag {
    let mut hasher = Hasher::new(Algorithm::Md5);
    let mut count = 0_u32;
    for md5 in part_md5s {
        hasher.update(md5);
        count += 1;
    }
    ETag::new(&format!("{}-{count}", hasher.finish().hex()))
}

/// The multipart ETag of a byte stream that was sent in parts of one size.
#[derive(Debug)]
pub struct PartedMd5 {
    part_bytes: u64,
    room: u64,
    open: Hasher,
    done: Vec<Checksum>,
}

impl PartedMd5 {
    /// No bytes yet; `part_bytes` is not 0.
    pub fn new(part_bytes: u64) -> Self {
        Self { part_bytes, room: part_bytes, open: Hasher::new(Algorithm::Md5), done: Vec::new() }
    }

    /// Takes more bytes.
    pub fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.room == 0 {
                let full = std::mem::replace(&mut self.open, Hasher::new(Algorithm::Md5));
                self.done.push(full.finish());
                self.room = self.part_bytes;
            }
            let taken = usize::try_from(self.room).unwrap_or(usize::MAX).min(bytes.len());
            self.open.update(&bytes[..taken]);
            self.room -= taken as u64;
            bytes = &bytes[taken..];
        }
    }

    /// The ETag. The last part may be smaller, and of an empty stream it is empty.
    pub fn finish(mut self) -> ETag {
        self.done.push(self.open.finish());
        multipart_etag(self.done.iter().map(Checksum::digest))
    }
}

/// The composite checksum of a multipart object: the digest of the parts' raw digests. S3 writes it as `base64-N`.
///
/// Source: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html>
pub fn composite<'parts>(algorithm: Algorithm, parts: impl IntoIterator<Item = &'parts Checksum>) -> Checksum {
    let mut hasher = Hasher::new(algorithm);
    for part in parts {
        hasher.update(part.digest());
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::{combine_parts, composite, digest, multipart_etag};
    use crate::model::Algorithm;
    use proptest::collection::vec;
    use proptest::prelude::{any, prop_assert_eq, proptest};

    #[test]
    fn published_check_values() {
        for (algorithm, hex) in [
            (Algorithm::Crc64Nvme, "ae8b14860a799888"),
            (Algorithm::Crc32, "cbf43926"),
            (Algorithm::Crc32c, "e3069283"),
            (Algorithm::Md5, "25f9e794323b453885f5181f1b624d0b"),
            (Algorithm::Sha1, "f7c3bc1d808e04732adf679965ccc34ca7ae3441"),
            (Algorithm::Sha256, "15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225"),
        ] {
            assert_eq!(digest(algorithm, b"123456789").hex(), hex, "{algorithm}");
        }
    }

    #[test]
    fn multipart_etag_counts_its_parts() {
        let parts = [digest(Algorithm::Md5, b"a"), digest(Algorithm::Md5, b"b")];
        let etag = multipart_etag(parts.iter().map(crate::model::Checksum::digest));
        assert_eq!(etag.part_count(), Some(2));
        assert_eq!(composite(Algorithm::Sha256, []), digest(Algorithm::Sha256, b""));
    }

    proptest! {
        #[test]
        fn parts_combine_to_the_whole(parts in vec(vec(any::<u8>(), 0..200), 1..8)) {
            for algorithm in [Algorithm::Crc64Nvme, Algorithm::Crc32, Algorithm::Crc32c] {
                let sums: Vec<_> = parts.iter().map(|part| digest(algorithm, part)).collect();
                let lengths = parts.iter().map(|part| part.len() as u64);
                let whole = combine_parts(sums.iter().zip(lengths));
                prop_assert_eq!(whole, Some(digest(algorithm, &parts.concat())));
            }
        }
    }
}
