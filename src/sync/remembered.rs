//! When an earlier run's knowledge of a file may stand in for reading it, and when knowledge is worth keeping.
//!
//! A row of the hash cache says: the file that was at this path with this size, mtime, ctime and inode held the content
//! of an object with this ETag. Such a statement does not become wrong by age; it is only used for a file of which all
//! four are still the same. The device is not compared: its number changes with every mount of a network share, an
//! overlay or a volume, and a file that was changed elsewhere has another ctime anyway.
//!
//! What times cannot tell is a second change within one tick of the file system's clock. So a file is only remembered
//! if it was at rest when it was read: its times lie at least [`SETTLED_AFTER_NS`] before the read, and any later change
//! gets other times. A file with times in the future, by a wrong clock or on purpose, is never remembered.

use crate::model::{Checksum, ETag, Fingerprint, ObjectEntry, PackedETag, Remembered};

/// How long a file must have been at rest, in nanoseconds: the coarsest clock of a file system in use, FAT's.
pub const SETTLED_AFTER_NS: i128 = 2_000_000_000;

/// What an earlier run tells about a file and the object of its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recall {
    /// The object is the file's content.
    Unchanged,
    /// That is not known, but these digests of the file may be: then it need not be read for them.
    Digests {
        /// The file's MD5.
        md5: Option<Checksum>,
        /// The file's CRC-64/NVME.
        crc64nvme: Option<Checksum>,
    },
}

/// True if a file that was read from `read_from_ns` on, in nanoseconds since the epoch, cannot change again without
/// getting another mtime or ctime.
pub const fn is_settled(file: &Fingerprint, read_from_ns: i128) -> bool {
    file.mtime_ns.saturating_add(SETTLED_AFTER_NS) <= read_from_ns
        && file.ctime_ns.saturating_add(SETTLED_AFTER_NS) <= read_from_ns
}

/// What to remember of a file whose content is that of an object with `etag`; `None` if the file is not at rest.
///
/// `read_from_ns` is the time before the first byte was read, or any earlier time, such as the start of the run.
pub fn remember<'known>(
    file: &Fingerprint,
    etag: &ETag,
    digests: impl IntoIterator<Item = &'known Checksum>,
    read_from_ns: i128,
) -> Option<Remembered> {
    is_settled(file, read_from_ns).then(|| Remembered::new(etag, digests))
}

/// What `row`, found under the file's path, size, times and inode, tells about `object`.
pub fn recall(row: &Remembered, file: &Fingerprint, object: &ObjectEntry) -> Recall {
    let shows_tag = object.etag.as_ref().is_some_and(|etag| PackedETag::from(etag) == row.etag);
    if shows_tag && object.size_bytes == file.size_bytes {
        return Recall::Unchanged;
    }
    Recall::Digests { md5: row.md5(), crc64nvme: row.crc64nvme() }
}

#[cfg(test)]
mod tests {
    use super::{Recall, is_settled, recall, remember};
    use crate::hashing::digest;
    use crate::model::{Algorithm, ETag, Fingerprint, ObjectEntry};
    use crate::sync::compare::{By, Known, Verdict, compare};

    const SECOND: i128 = 1_000_000_000;
    const NOW: i128 = 1_700_000_000 * SECOND;

    fn file(mtime_ns: i128, ctime_ns: i128) -> Fingerprint {
        Fingerprint { size_bytes: 7, mtime_ns, ctime_ns, device: 1, inode: 2 }
    }

    fn object(size_bytes: u64, etag: Option<&str>) -> ObjectEntry {
        ObjectEntry { key: "k".parse().unwrap(), size_bytes, etag: etag.map(ETag::new), modified: None }
    }

    #[test]
    fn only_files_at_rest_are_remembered() {
        let old = NOW - 3600 * SECOND;
        for (mtime_ns, ctime_ns, expected) in [
            (old, old, true),
            (NOW - 2 * SECOND, NOW - 2 * SECOND, true),
            (NOW - 2 * SECOND + 1, old, false),
            (old, NOW - 2 * SECOND + 1, false),
            (NOW, NOW, false),
            (old, NOW + SECOND, false),
            (NOW + 3600 * SECOND, old, false),
            (i128::MAX, old, false),
            (-SECOND, old, true),
        ] {
            let seen = file(mtime_ns, ctime_ns);
            assert_eq!(is_settled(&seen, NOW), expected, "{mtime_ns} {ctime_ns}");
            assert_eq!(remember(&seen, &ETag::new("x"), [], NOW).is_some(), expected);
        }
    }

    #[test]
    fn a_row_counts_if_the_object_shows_its_tag() {
        let md5 = digest(Algorithm::Md5, b"content");
        let row = remember(&file(0, 0), &ETag::new("opaque"), [&md5], NOW).unwrap();
        let check = |object: &ObjectEntry, unchanged: bool| {
            assert_eq!(recall(&row, &file(0, 0), object) == Recall::Unchanged, unchanged, "{object:?}");
        };
        check(&object(7, Some("opaque")), true);
        check(&object(7, Some("\"opaque\"")), true);
        check(&object(7, Some("other")), false);
        check(&object(8, Some("opaque")), false);
        check(&object(7, None), false);
    }

    #[test]
    fn digests_serve_where_the_tag_does_not() {
        let md5 = digest(Algorithm::Md5, b"content");
        let row = remember(&file(0, 0), &ETag::new("opaque"), [&md5], NOW).unwrap();
        // Somebody put the same content again, this time without KMS.
        let found = object(7, Some(&md5.hex()));
        let recalled = recall(&row, &file(0, 0), &found);
        assert_eq!(recalled, Recall::Digests { md5: Some(md5.clone()), crc64nvme: None });
        let known = Known { md5: Some(md5), ..Known::default() };
        assert_eq!(compare(7, &found, &known), Verdict::Unchanged { by: By::Md5 });
    }
}
