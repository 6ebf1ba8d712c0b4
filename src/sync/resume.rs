//! What becomes of an upload in parts that an earlier run left unfinished: taken up again, or given up.
//!
//! The journal says what was to be sent; what arrived only the service knows. So a part stays if the service holds it
//! with the length and the checksum that the file has there now, whatever happened in between.

use crate::model::{Algorithm, Checksum, Fingerprint, Intent, OpenPart, OpenUpload, Unfinished};
use jiff::SignedDuration;
use std::fmt;

/// How long after it was written down an upload whose id is not known may have been begun: a request is tried for about
/// five minutes, and clocks differ.
const BEGUN_WITHIN: SignedDuration = SignedDuration::from_mins(10);

/// Why an unfinished upload is of no more use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stale {
    /// Another file goes to that key now.
    OtherFile,
    /// The file is not what it was.
    FileChanged,
    /// The file is not there any more.
    FileGone,
    /// Its parts would be cut, checked or stored in another way now.
    OtherOptions,
    /// The object is as it should be without it, or is not wanted any more.
    NotNeeded,
    /// The run that began it ended before the first part.
    Empty,
    /// The service did not tell which parts it holds.
    PartsUntold,
}

impl fmt::Display for Stale {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::OtherFile => "another file goes there now",
            Self::FileChanged => "its file has changed",
            Self::FileGone => "its file is gone",
            Self::OtherOptions => "it was begun with other options",
            Self::NotNeeded => "it is not needed any more",
            Self::Empty => "nothing of it had arrived",
            Self::PartsUntold => "the endpoint does not tell which parts it holds",
        })
    }
}

/// Whether what an earlier run began can become what is wanted now.
pub fn judge(former: &Intent, wanted: &Intent) -> Result<(), Stale> {
    if (&former.bucket, &former.key, &former.path) != (&wanted.bucket, &wanted.key, &wanted.path) {
        Err(Stale::OtherFile)
    } else if former.fingerprint != wanted.fingerprint {
        Err(Stale::FileChanged)
    } else if former != wanted {
        Err(Stale::OtherOptions)
    } else {
        Ok(())
    }
}

/// Whether a left-over upload of a run's own source and target stays for that run to go on with. `now` is what the file
/// is, none if it is gone; `is_wanted` says whether the run will send it.
pub fn judge_leftover(former: &Intent, now: Option<&Fingerprint>, is_wanted: bool) -> Result<(), Stale> {
    match now {
        None => Err(Stale::FileGone),
        Some(now) if *now != former.fingerprint => Err(Stale::FileChanged),
        Some(_) if !is_wanted => Err(Stale::NotNeeded),
        Some(_) => Ok(()),
    }
}

/// Whether a part that the service holds is these bytes of the file: `length` of them, whose checksum by the upload's
/// algorithm is `checksum`. Where the service names no checksum, the ETag must be their MD5, which `md5` makes.
pub fn is_held(held: &OpenPart, length: u64, checksum: &Checksum, md5: impl FnOnce() -> Checksum) -> bool {
    if held.size_bytes != length {
        return false;
    }
    match &held.checksum {
        Some(named) => named == checksum,
        None => {
            let hex = if checksum.algorithm() == Algorithm::Md5 { checksum.hex() } else { md5().hex() };
            held.etag.md5_hex().is_some_and(|etag| etag.eq_ignore_ascii_case(&hex))
        }
    }
}

/// The uploads that may have come of an intent whose upload id was never written down: of exactly its key and
/// algorithm, begun after it. The caller makes sure that they are empty, because ours got its first part only after its
/// id was written down; another's upload that has parts is never touched.
pub fn orphans<'found>(remembered: &Unfinished, found: &'found [OpenUpload]) -> Vec<&'found OpenUpload> {
    let Unfinished { begun, intent, .. } = remembered;
    // Some servers tell whole seconds only.
    let earliest = begun.as_second();
    let fits = |upload: &&OpenUpload| {
        let initiated = upload.initiated.filter(|initiated| initiated.as_second() >= earliest);
        let in_time = initiated.is_some_and(|initiated| initiated.duration_since(*begun) <= BEGUN_WITHIN);
        let alike = upload.algorithm.is_none_or(|algorithm| algorithm == intent.algorithm);
        upload.key == intent.key && in_time && alike
    };
    found.iter().filter(fits).collect()
}

#[cfg(test)]
mod tests {
    use super::{Stale, is_held, judge, judge_leftover, orphans};
    use crate::hashing::digest;
    use crate::model::{Algorithm, ETag, Fingerprint, Intent, OpenPart, OpenUpload, Unfinished};

    const FILE: Fingerprint = Fingerprint { size_bytes: 30, mtime_ns: 1, ctime_ns: 2, device: 3, inode: 4 };

    fn intent() -> Intent {
        Intent {
            bucket: "bucket".parse().unwrap(),
            key: "data/large".parse().unwrap(),
            path: "/data/large".into(),
            fingerprint: FILE,
            part_bytes: 8,
            algorithm: Algorithm::Crc64Nvme,
            attributes: "content-type: text/csv".to_owned(),
        }
    }

    type Change = fn(&mut Intent);

    #[test]
    fn only_the_same_file_sent_the_same_way_goes_on() {
        let cases: [(Change, Result<(), Stale>); 9] = [
            (|_| {}, Ok(())),
            (|intent| intent.key = "data/large2".parse().unwrap(), Err(Stale::OtherFile)),
            (|intent| intent.path = "/data/other".into(), Err(Stale::OtherFile)),
            (|intent| intent.fingerprint.size_bytes += 1, Err(Stale::FileChanged)),
            (|intent| intent.fingerprint.ctime_ns += 1, Err(Stale::FileChanged)),
            (|intent| intent.fingerprint.inode += 1, Err(Stale::FileChanged)),
            (|intent| intent.part_bytes += 1, Err(Stale::OtherOptions)),
            (|intent| intent.algorithm = Algorithm::Sha256, Err(Stale::OtherOptions)),
            (|intent| intent.attributes.clear(), Err(Stale::OtherOptions)),
        ];
        for (number, (change, expected)) in cases.into_iter().enumerate() {
            let mut wanted = intent();
            change(&mut wanted);
            assert_eq!(judge(&intent(), &wanted), expected, "case {number}");
        }
    }

    #[test]
    fn leftovers_stay_only_for_the_run_that_needs_them() {
        let changed = Fingerprint { mtime_ns: 9, ..FILE };
        for (now, is_wanted, expected) in [
            (Some(FILE), true, Ok(())),
            (Some(FILE), false, Err(Stale::NotNeeded)),
            (Some(changed), true, Err(Stale::FileChanged)),
            (None, true, Err(Stale::FileGone)),
        ] {
            assert_eq!(judge_leftover(&intent(), now.as_ref(), is_wanted), expected);
        }
    }

    #[test]
    fn a_part_stays_if_it_is_these_bytes() {
        let crc = |bytes: &[u8]| digest(Algorithm::Crc64Nvme, bytes);
        let md5 = |bytes: &[u8]| digest(Algorithm::Md5, bytes);
        let part =
            |size_bytes, etag: &str, checksum| OpenPart { number: 1, etag: ETag::new(etag), checksum, size_bytes };
        let (right, wrong) = (md5(b"abc").hex(), md5(b"abd").hex());
        for (held, stays) in [
            (part(3, "opaque", Some(crc(b"abc"))), true),
            (part(3, &right, Some(crc(b"abd"))), false),
            (part(4, &right, Some(crc(b"abc"))), false),
            (part(3, &right, None), true),
            (part(3, &right.to_uppercase(), None), true),
            (part(3, &wrong, None), false),
            (part(3, "opaque", None), false),
        ] {
            assert_eq!(is_held(&held, 3, &crc(b"abc"), || md5(b"abc")), stays, "{held:?}");
        }
        let by_md5 = is_held(&part(3, &right, None), 3, &md5(b"abc"), || panic!("made once already"));
        assert!(by_md5);
    }

    #[test]
    fn only_what_can_be_ours_is_an_orphan() {
        let remembered =
            Unfinished { begun: "2026-11-02T10:00:00.9Z".parse().unwrap(), intent: intent(), upload_id: None };
        let upload = |key: &str, initiated: Option<&str>, algorithm| OpenUpload {
            key: key.parse().unwrap(),
            upload_id: "id".to_owned(),
            initiated: initiated.map(|time| time.parse().unwrap()),
            initiator: None,
            algorithm,
        };
        for (key, initiated, algorithm, expected) in [
            ("data/large", Some("2026-11-02T10:00:01Z"), Some(Algorithm::Crc64Nvme), true),
            ("data/large", Some("2026-11-02T10:00:00Z"), None, true),
            ("data/large", Some("2026-11-02T10:10:00Z"), None, true),
            ("data/large", Some("2026-11-02T10:11:00Z"), None, false),
            ("data/large", Some("2026-11-02T09:59:59Z"), None, false),
            ("data/large", None, None, false),
            ("data/large", Some("2026-11-02T10:00:01Z"), Some(Algorithm::Sha256), false),
            ("data/larger", Some("2026-11-02T10:00:01Z"), None, false),
        ] {
            let found = [upload(key, initiated, algorithm)];
            assert_eq!(orphans(&remembered, &found).len(), usize::from(expected), "{key} {initiated:?} {algorithm:?}");
        }
    }
}
