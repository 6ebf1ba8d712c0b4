//! What tells whether the bytes that arrived are those of the object, by what the endpoint keeps of it.
//!
//! | the endpoint keeps | compared with |
//! |---|---|
//! | a CRC of the whole object | the CRC of what arrived, combined from ranges |
//! | a SHA of the whole object | the same digest, in one pass from the first byte to the last |
//! | an ETag in the form of an MD5, not known to be none | the MD5, in one pass |
//! | an ETag `...-N` | the multipart ETag for each likely part size; none that equals proves nothing either way |
//! | nothing of it | the length alone |

use super::parts::candidates;
use super::proof::Rung;
use crate::hashing::{Hasher, PartedMd5};
use crate::model::{Algorithm, Checksum, ETag, ObjectHead};

/// What what arrived is held against.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Measure {
    /// The checksum of the whole object.
    Checksum(Checksum),
    /// The ETag, which is the object's MD5.
    Md5(ETag),
    /// The ETag, which is that of an upload in parts of one of these sizes in bytes.
    Multipart(ETag, Vec<u64>),
    /// Only its length is known.
    Length,
}

/// What came of holding it against that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judgement {
    /// It is the object, by this rung.
    Same(Rung),
    /// It is not.
    Differs {
        /// What the endpoint keeps.
        stored: String,
        /// The same of what arrived.
        arrived: String,
    },
}

/// CRCs first: they need no pass of their own.
const BY_COST: [Algorithm; 5] =
    [Algorithm::Crc64Nvme, Algorithm::Crc32c, Algorithm::Crc32, Algorithm::Sha256, Algorithm::Sha1];

impl Measure {
    /// The best that the endpoint offers for an object of `bytes` bytes.
    pub fn of(head: &ObjectHead, bytes: u64) -> Self {
        if let Some(stored) = BY_COST.into_iter().find_map(|algorithm| head.checksum(algorithm)) {
            return Self::Checksum(stored.clone());
        }
        match &head.etag {
            _ if head.etag_is_md5 == Some(false) => Self::Length,
            Some(etag) if etag.md5_hex().is_some() => Self::Md5(etag.clone()),
            Some(etag) => match candidates(bytes, etag.part_count().unwrap_or_default()) {
                sizes if sizes.is_empty() => Self::Length,
                sizes => Self::Multipart(etag.clone(), sizes),
            },
            None => Self::Length,
        }
    }

    /// The algorithm whose values of ranges give that of the whole, so that no pass over all bytes is needed.
    pub fn of_ranges(&self) -> Option<Algorithm> {
        match self {
            Self::Checksum(stored) => Some(stored.algorithm())
                .filter(|algorithm| matches!(algorithm, Algorithm::Crc64Nvme | Algorithm::Crc32c | Algorithm::Crc32)),
            Self::Md5(_) | Self::Multipart(..) | Self::Length => None,
        }
    }

    /// Begins a pass over all bytes.
    pub fn pass(&self) -> Pass {
        match self {
            Self::Checksum(stored) => Pass { whole: Some(Hasher::new(stored.algorithm())), parts: Vec::new() },
            Self::Md5(_) => Pass { whole: Some(Hasher::new(Algorithm::Md5)), parts: Vec::new() },
            Self::Multipart(_, sizes) => {
                Pass { whole: None, parts: sizes.iter().map(|size| PartedMd5::new(*size)).collect() }
            }
            Self::Length => Pass { whole: None, parts: Vec::new() },
        }
    }

    /// Compares the checksum of all bytes that arrived.
    pub fn judge(&self, arrived: &Checksum) -> Judgement {
        let differs = |stored: String, arrived: String| Judgement::Differs { stored, arrived };
        match self {
            Self::Checksum(stored) if stored == arrived => Judgement::Same(Rung::Stored),
            Self::Checksum(stored) => differs(stored.to_string(), arrived.to_string()),
            Self::Md5(etag) if etag.as_str().eq_ignore_ascii_case(&arrived.hex()) => Judgement::Same(Rung::EtagMd5),
            Self::Md5(etag) => differs(format!("ETag {etag}"), format!("MD5 {}", arrived.hex())),
            Self::Multipart(..) | Self::Length => Judgement::Same(Rung::Length),
        }
    }
}

/// A pass over all bytes, from the first to the last.
#[derive(Debug)]
pub struct Pass {
    whole: Option<Hasher>,
    parts: Vec<PartedMd5>,
}

impl Pass {
    /// Takes more bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.whole.iter_mut().for_each(|hasher| hasher.update(bytes));
        self.parts.iter_mut().for_each(|parted| parted.update(bytes));
    }

    /// Says what `measure`, which began the pass, makes of the bytes.
    pub fn finish(self, measure: &Measure) -> Judgement {
        if let Some(whole) = self.whole {
            return measure.judge(&whole.finish());
        }
        let Measure::Multipart(etag, _) = measure else { return Judgement::Same(Rung::Length) };
        let same = |own: ETag| own.as_str().eq_ignore_ascii_case(etag.as_str());
        let found = self.parts.into_iter().any(|parted| same(parted.finish()));
        Judgement::Same(if found { Rung::EtagMd5 } else { Rung::Length })
    }
}

#[cfg(test)]
mod tests {
    use super::{Judgement, Measure};
    use crate::hashing::{digest, multipart_etag};
    use crate::model::{Algorithm, Checksum, ETag, ObjectHead};
    use crate::sync::proof::Rung;

    const MIB: usize = 1024 * 1024;

    fn head(stored: &[Algorithm], etag: &str, etag_is_md5: Option<bool>, bytes: &[u8]) -> ObjectHead {
        ObjectHead {
            checksums: stored.iter().map(|algorithm| digest(*algorithm, bytes)).collect(),
            etag: Some(ETag::new(etag)),
            etag_is_md5,
            ..ObjectHead::default()
        }
    }

    /// What a pass over `bytes` says.
    fn passed(measure: &Measure, bytes: &[u8]) -> Judgement {
        let mut pass = measure.pass();
        bytes.chunks(1000).for_each(|chunk| pass.update(chunk));
        pass.finish(measure)
    }

    #[test]
    fn the_best_measure_is_taken_and_tells() {
        let bytes: Vec<u8> = (0..11 * MIB).map(|at| (at % 251) as u8).collect();
        let mut other = bytes.clone();
        other[5 * MIB] ^= 1;
        let md5 = digest(Algorithm::Md5, &bytes).hex();
        let parts: Vec<Checksum> = bytes.chunks(5 * MIB).map(|part| digest(Algorithm::Md5, part)).collect();
        let multipart = multipart_etag(parts.iter().map(Checksum::digest)).to_string();
        let odd_parts = format!("{md5}-2");
        let crc = &[Algorithm::Sha256, Algorithm::Crc64Nvme];
        let check = |head: &ObjectHead, rung: Rung, of_ranges: Option<Algorithm>, sees_damage: bool| {
            let measure = Measure::of(head, bytes.len() as u64);
            assert_eq!(measure.of_ranges(), of_ranges, "{measure:?}");
            assert_eq!(passed(&measure, &bytes), Judgement::Same(rung), "{measure:?}");
            if let Some(algorithm) = of_ranges {
                assert_eq!(measure.judge(&digest(algorithm, &bytes)), Judgement::Same(rung), "{measure:?}");
                assert!(matches!(measure.judge(&digest(algorithm, &other)), Judgement::Differs { .. }));
            }
            let damaged = matches!(passed(&measure, &other), Judgement::Differs { .. });
            assert_eq!(damaged, sees_damage, "{measure:?}");
        };
        check(&head(crc, &md5, Some(true), &bytes), Rung::Stored, Some(Algorithm::Crc64Nvme), true);
        check(&head(&[Algorithm::Crc32], "x", None, &bytes), Rung::Stored, Some(Algorithm::Crc32), true);
        check(&head(&[Algorithm::Sha1], &md5, None, &bytes), Rung::Stored, None, true);
        check(&head(&[], &md5, Some(true), &bytes), Rung::EtagMd5, None, true);
        check(&head(&[], &md5.to_uppercase(), None, &bytes), Rung::EtagMd5, None, true);
        check(&head(&[], &md5, Some(false), &bytes), Rung::Length, None, false);
        check(&head(&[], &multipart, None, &bytes), Rung::EtagMd5, None, false);
        check(&head(&[], &odd_parts, None, &bytes), Rung::Length, None, false);
        check(&head(&[], "opaque", None, &bytes), Rung::Length, None, false);
        check(&ObjectHead::default(), Rung::Length, None, false);
    }

    #[test]
    fn what_differs_is_named() {
        let measure = Measure::Md5(ETag::new("78d0b401f74247e8bd06cfd8e84a7d1b"));
        let Judgement::Differs { stored, arrived } = passed(&measure, b"other") else { panic!("not the same") };
        assert_eq!(stored, "ETag 78d0b401f74247e8bd06cfd8e84a7d1b");
        assert_eq!(arrived, format!("MD5 {}", digest(Algorithm::Md5, b"other").hex()));
    }
}
