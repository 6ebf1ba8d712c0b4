//! The proof ladder: how it is known that what the endpoint stored is what was sent.
//!
//! Rungs are tried from the top; the first that holds is the proof, and its name goes into output and receipts. An
//! answer that contradicts what was sent ends the climb at once, and an upload without a rung has failed.

use crate::model::{ETag, Echo, ObjectHead};

/// How an upload, a download or a copy was proven.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Rung {
    /// The answer to the upload named the object's checksum.
    Echoed,
    /// HEAD named it.
    Head,
    /// Every part's checksum came back with its part, and the size is right.
    Parts,
    /// The ETag is the MD5 of what was sent, or of its parts.
    EtagMd5,
    /// The service says that it deleted what was seen, and nothing else.
    Gone,
    /// The checksum that the endpoint keeps for the object is that of the bytes that arrived.
    Stored,
    /// A copy has the checksum or the ETag that its source has.
    AsSource,
    /// The length is right, and the endpoint keeps nothing else to compare: for downloads and copies, never for uploads.
    Length,
}

impl Rung {
    /// The rung's name in output and receipts.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Echoed => "checksum echoed",
            Self::Head => "checksum by HEAD",
            Self::Parts => "part checksums echoed",
            Self::EtagMd5 => "ETag equals MD5",
            Self::Gone => "deleted as it was seen",
            Self::Stored => "stored checksum",
            Self::AsSource => "same as the source",
            Self::Length => "length only",
        }
    }
}

/// Where the climb stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proof {
    /// This rung holds.
    Holds(Rung),
    /// The endpoint stored something else than what was sent.
    Contradicted {
        /// What was sent.
        sent: String,
        /// What came back.
        answered: String,
    },
    /// Nothing said so far proves or contradicts it.
    Open,
}

/// Compares what was sent with a checksum that came back, if one did.
pub fn by_echo(sent: &Echo, answered: Option<&Echo>, rung: Rung) -> Proof {
    match answered {
        None => Proof::Open,
        Some(echo) if echo == sent => Proof::Holds(rung),
        Some(echo) => Proof::Contradicted { sent: sent.to_string(), answered: echo.to_string() },
    }
}

/// Compares what was sent with what HEAD says of the object.
pub fn by_head(sent: &Echo, sent_bytes: u64, head: &ObjectHead) -> Proof {
    if head.size_bytes != sent_bytes {
        let bytes = |count: u64| format!("{count} bytes");
        return Proof::Contradicted { sent: bytes(sent_bytes), answered: bytes(head.size_bytes) };
    }
    let stored = match sent {
        Echo::Whole(checksum) => head.checksum(checksum.algorithm()).cloned().map(Echo::Whole),
        Echo::Composite(_) => head.composite.clone().map(Echo::Composite),
    };
    by_echo(sent, stored.as_ref(), Rung::Head)
}

/// Compares an ETag with the one that the content must have if ETags are MD5s. Another ETag proves nothing either way,
/// since under SSE-KMS, and on some servers, it is no MD5.
pub fn by_etag(expected: &ETag, answered: Option<&ETag>) -> Proof {
    let same = answered.is_some_and(|etag| etag.as_str().eq_ignore_ascii_case(expected.as_str()));
    if same { Proof::Holds(Rung::EtagMd5) } else { Proof::Open }
}

#[cfg(test)]
mod tests {
    use super::{Proof, Rung, by_echo, by_etag, by_head};
    use crate::hashing::digest;
    use crate::model::{Algorithm, ETag, Echo, ObjectHead};

    #[test]
    fn an_echo_proves_or_contradicts() {
        let crc = |bytes: &[u8]| Echo::Whole(digest(Algorithm::Crc64Nvme, bytes));
        assert_eq!(by_echo(&crc(b"a"), Some(&crc(b"a")), Rung::Echoed), Proof::Holds(Rung::Echoed));
        assert_eq!(by_echo(&crc(b"a"), None, Rung::Echoed), Proof::Open);
        let Proof::Contradicted { sent, answered } = by_echo(&crc(b"a"), Some(&crc(b"b")), Rung::Echoed) else {
            panic!("a wrong echo must not pass");
        };
        assert!(sent.starts_with("CRC64NVME:") && sent != answered);
    }

    #[test]
    fn head_must_agree_in_size_and_checksum() {
        let sent = Echo::Whole(digest(Algorithm::Sha256, b"abc"));
        let head = |size_bytes, content: Option<&[u8]>| ObjectHead {
            size_bytes,
            checksums: content.map(|bytes| digest(Algorithm::Sha256, bytes)).into_iter().collect(),
            ..ObjectHead::default()
        };
        assert_eq!(by_head(&sent, 3, &head(3, Some(b"abc"))), Proof::Holds(Rung::Head));
        assert_eq!(by_head(&sent, 3, &head(3, None)), Proof::Open);
        assert!(matches!(by_head(&sent, 3, &head(4, Some(b"abc"))), Proof::Contradicted { .. }));
        assert!(matches!(by_head(&sent, 3, &head(3, Some(b"abd"))), Proof::Contradicted { .. }));
        let composite = Echo::Composite("AAAA-2".to_owned());
        let stored = ObjectHead { size_bytes: 3, composite: Some("AAAA-2".to_owned()), ..ObjectHead::default() };
        assert_eq!(by_head(&composite, 3, &stored), Proof::Holds(Rung::Head));
    }

    #[test]
    fn an_etag_can_prove_but_not_contradict() {
        let own = ETag::new(&digest(Algorithm::Md5, b"a").hex());
        assert_eq!(by_etag(&own, Some(&own)), Proof::Holds(Rung::EtagMd5));
        assert_eq!(by_etag(&own, Some(&ETag::new("0123"))), Proof::Open);
        assert_eq!(by_etag(&own, None), Proof::Open);
    }
}
