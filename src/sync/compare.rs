//! The truth table: is this object the content of that file, and if that cannot be told yet, what must be known?
//!
//! | object | what is asked for | unchanged if |
//! |---|---|---|
//! | other size than the file | nothing | never |
//! | empty, as the file | nothing | always |
//! | ETag has the form of an MD5 | the file's MD5; on a difference HEAD, which tells whether the ETag is one | MD5 equal |
//! | ETag `...-N` | HEAD; then the file's CRC-64/NVME if one is stored | CRC-64/NVME equal |
//! | ETag `...-N`, no checksum stored | the file's ETag for each likely part size | one is equal |
//! | ETag is no MD5 (SSE-KMS, SSE-C, other servers) | HEAD; then the file's CRC-64/NVME if one is stored | it is equal |
//! | none of it | | cannot be told: sent again |
//! | the ETag that was remembered for the very file (size, times, inode) | nothing | always |
//!
//! Two objects are equal by ETag, else by a stored checksum that both have; both are asked with HEAD.
//!
//! Times play no part unless they are asked for: a touched file is not sent, and a change that kept size and time is
//! seen.
//! Multipart objects are asked for their stored CRC first, since one request and a cheap digest save an MD5 of a large
//! file for each part size in question.

use super::item::Item;
use super::parts::candidates;
use crate::model::{Algorithm, Checksum, ETag, LocalFile, ObjectEntry, ObjectHead};
use crate::plan::Reason;
use std::borrow::Cow;

/// By what two sides are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Compare {
    /// By what they hold.
    #[default]
    Content,
    /// By length alone.
    Size,
    /// By length, and by which is younger.
    Mtime,
    /// Not at all: everything counts as changed.
    Always,
}

/// What is known about a file and its object beyond size and listing. Starts empty and grows as [`compare`] asks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Known {
    /// The file's MD5.
    pub md5: Option<Checksum>,
    /// The file's CRC-64/NVME.
    pub crc64nvme: Option<Checksum>,
    /// The file's ETags for the part sizes that were asked for.
    pub multipart: Option<Vec<ETag>>,
    /// What HEAD said of the object, of two objects of the target's; an empty answer if the caller may not ask.
    pub head: Option<ObjectHead>,
    /// What HEAD said of the source's object, where both sides are objects.
    pub source_head: Option<ObjectHead>,
    /// The ETag that an earlier run saw on an object with the very content that this file still has.
    pub remembered: Option<ETag>,
    /// Whether ETags of this bucket are MD5s where they look like one, once one HEAD of the run has told.
    pub etags_are_md5s: Option<bool>,
}

/// A piece of evidence that costs a read or a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Evidence {
    /// The file's MD5.
    FileMd5,
    /// The file's CRC-64/NVME.
    FileCrc64,
    /// The file's multipart ETag for each of these part sizes in bytes.
    FileMultipart(Vec<u64>),
    /// HeadObject with checksum mode.
    Head,
    /// The same for the object in the source.
    SourceHead,
}

/// The comparison that settled it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum By {
    /// Both are empty.
    Size,
    /// The file's MD5 and the ETag.
    Md5,
    /// The file's multipart ETag for one part size and the ETag.
    MultipartEtag,
    /// The file's CRC-64/NVME and the stored one.
    Crc64Nvme,
    /// The ETag that a receipt remembers.
    ReceiptEtag,
    /// The ETag that was remembered for the unchanged file.
    Cache,
    /// The ETags of two objects.
    Etag,
    /// A checksum other than CRC-64/NVME that both objects store.
    Checksum,
    /// The times, as was asked for.
    Mtime,
}

impl By {
    /// The comparison's name in output.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Size => "size",
            Self::Md5 => "MD5",
            Self::MultipartEtag => "multipart ETag",
            Self::Crc64Nvme => "CRC64NVME",
            Self::ReceiptEtag => "ETag in the receipt",
            Self::Cache => "cache",
            Self::Etag => "ETag",
            Self::Checksum => "checksum",
            Self::Mtime => "time",
        }
    }
}

/// The answer, or the next question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The object is the file's content.
    Unchanged {
        /// What told.
        by: By,
    },
    /// It is not, or nothing tells.
    Changed(Reason),
    /// It depends on this.
    Ask(Evidence),
}

impl Verdict {
    const fn by_equality(equal: bool, by: By) -> Self {
        if equal {
            Self::Unchanged { by }
        } else {
            Self::Changed(Reason::ContentDiffers { by: Cow::Borrowed(by.name()) })
        }
    }

    const fn untold(why: &'static str) -> Self {
        Self::Changed(Reason::ContentUntold { why: Cow::Borrowed(why) })
    }
}

/// Compares what the source has with what the target has, by what is known so far.
///
/// Asks for one thing at a time and never twice for the same, so a caller that answers each question gets an end.
pub fn compare_items(mode: Compare, source: &Item, target: &Item, known: &Known) -> Verdict {
    let (wanted, found) = (source.size_bytes(), target.size_bytes());
    if wanted != found {
        return Verdict::Changed(Reason::SizeDiffers { found_bytes: found, wanted_bytes: wanted });
    }
    match mode {
        Compare::Always => return Verdict::Changed(Reason::Asked),
        Compare::Size => return Verdict::Unchanged { by: By::Size },
        Compare::Mtime if is_younger(source, target) => return Verdict::Changed(Reason::Younger),
        Compare::Mtime => return Verdict::Unchanged { by: By::Mtime },
        Compare::Content => {}
    }
    match (source, target) {
        (Item::File(_), Item::Object(found)) => compare(wanted, &found.entry, known),
        (Item::Object(found), Item::File(_)) => compare(found.entry.size_bytes, &found.entry, known),
        (Item::Object(source), Item::Object(target)) => compare_objects(&source.entry, &target.entry, known),
        // No sync has files on both sides, and what is not compared is sent.
        (Item::File(_), Item::File(_)) => Verdict::untold("both are files"),
    }
}

/// Whether the source was written after the target. Where a time is unknown it counts as younger, the safe side.
fn is_younger(source: &Item, target: &Item) -> bool {
    let time = |item: &Item| match item {
        Item::File(LocalFile { fingerprint, .. }) => Some(fingerprint.mtime_ns),
        Item::Object(found) => found.entry.modified.map(|modified| modified.as_nanosecond()),
    };
    match (time(source), time(target)) {
        // S3 keeps seconds, so a file that was downloaded within the same second is not younger.
        (Some(source), Some(target)) => source.div_euclid(1_000_000_000) > target.div_euclid(1_000_000_000),
        _ => true,
    }
}

/// Compares two objects of equal length.
fn compare_objects(source: &ObjectEntry, target: &ObjectEntry, known: &Known) -> Verdict {
    if source.size_bytes == 0 {
        return Verdict::Unchanged { by: By::Size };
    }
    let telling = |etag: &ETag| etag.md5_hex().is_some() || etag.part_count().is_some();
    if source.etag.as_ref().is_some_and(|etag| telling(etag) && target.etag.as_ref() == Some(etag)) {
        return Verdict::Unchanged { by: By::Etag };
    }
    let Some(ours) = &known.source_head else { return Verdict::Ask(Evidence::SourceHead) };
    let Some(theirs) = &known.head else { return Verdict::Ask(Evidence::Head) };
    let shared = ours.checksums.iter().find_map(|one| Some((one, theirs.checksum(one.algorithm())?)));
    if let Some((one, other)) = shared {
        let by = if one.algorithm() == Algorithm::Crc64Nvme { By::Crc64Nvme } else { By::Checksum };
        return Verdict::by_equality(one == other, by);
    }
    let single = |etag: Option<&ETag>| etag.is_some_and(|etag| etag.md5_hex().is_some());
    let are_md5s = ours.etag_is_md5 == Some(true) && theirs.etag_is_md5 == Some(true);
    if are_md5s && single(source.etag.as_ref()) && single(target.etag.as_ref()) {
        return Verdict::by_equality(false, By::Md5);
    }
    Verdict::untold("the two objects store no checksum of one kind")
}

/// Compares a file of `file_bytes` with the object, by what is known so far.
///
/// Asks for one thing at a time and never twice for the same, so a caller that answers each question gets an end.
pub fn compare(file_bytes: u64, object: &ObjectEntry, known: &Known) -> Verdict {
    if file_bytes != object.size_bytes {
        return Verdict::Changed(Reason::SizeDiffers { found_bytes: object.size_bytes, wanted_bytes: file_bytes });
    }
    if file_bytes == 0 {
        return Verdict::Unchanged { by: By::Size };
    }
    if known.remembered.is_some() && known.remembered == object.etag {
        return Verdict::Unchanged { by: By::Cache };
    }
    match object.etag.as_ref() {
        Some(etag) if etag.md5_hex().is_some() => compare_md5(etag, known),
        Some(etag) if etag.part_count().is_some() => compare_multipart(file_bytes, etag, known),
        _ => compare_stored(known).unwrap_or(Verdict::untold("the object has no ETag and no checksum that tells")),
    }
}

fn compare_md5(etag: &ETag, known: &Known) -> Verdict {
    let is_md5 = known.head.as_ref().and_then(|head| head.etag_is_md5).or(known.etags_are_md5s);
    if is_md5 == Some(false) {
        return compare_stored(known).unwrap_or(Verdict::untold("its ETag is no MD5 and no CRC64NVME is stored"));
    }
    let Some(md5) = &known.md5 else { return Verdict::Ask(Evidence::FileMd5) };
    if etag.md5_hex().is_some_and(|hex| hex.eq_ignore_ascii_case(&md5.hex())) {
        return Verdict::Unchanged { by: By::Md5 };
    }
    match (is_md5, &known.head) {
        (None, None) => Verdict::Ask(Evidence::Head),
        // HEAD could not tell about the ETag, but a stored CRC that equals is content enough.
        (None, Some(head)) if head.checksum(Algorithm::Crc64Nvme).is_some() => {
            compare_stored(known).unwrap_or(Verdict::untold("no CRC64NVME is stored"))
        }
        _ => Verdict::by_equality(false, By::Md5),
    }
}

fn compare_multipart(file_bytes: u64, etag: &ETag, known: &Known) -> Verdict {
    if let Some(verdict) = compare_stored(known) {
        return verdict;
    }
    if known.head.as_ref().and_then(|head| head.etag_is_md5) == Some(false) {
        return Verdict::untold("its ETag is no MD5 and no CRC64NVME is stored");
    }
    match &known.multipart {
        Some(etags) if etags.contains(etag) => Verdict::Unchanged { by: By::MultipartEtag },
        Some(_) => Verdict::untold("no usual part size gives its ETag, and no CRC64NVME is stored"),
        None => match candidates(file_bytes, etag.part_count().unwrap_or_default()) {
            sizes if sizes.is_empty() => Verdict::untold("its part size cannot be told, and no CRC64NVME is stored"),
            sizes => Verdict::Ask(Evidence::FileMultipart(sizes)),
        },
    }
}

/// By the stored CRC of the whole object; `None` if HEAD showed none.
fn compare_stored(known: &Known) -> Option<Verdict> {
    let Some(head) = &known.head else { return Some(Verdict::Ask(Evidence::Head)) };
    let stored = head.checksum(Algorithm::Crc64Nvme)?;
    Some(match &known.crc64nvme {
        None => Verdict::Ask(Evidence::FileCrc64),
        Some(own) => Verdict::by_equality(own == stored, By::Crc64Nvme),
    })
}

#[cfg(test)]
mod tests {
    use super::{By, Evidence, Known, Verdict, compare};
    use crate::hashing::digest;
    use crate::model::{Algorithm, Checksum, ETag, ObjectEntry, ObjectHead};
    use crate::plan::Reason;

    const FILE: &[u8] = b"content";

    fn md5(bytes: &[u8]) -> Checksum {
        digest(Algorithm::Md5, bytes)
    }

    fn crc(bytes: &[u8]) -> Checksum {
        digest(Algorithm::Crc64Nvme, bytes)
    }

    fn object(size_bytes: u64, etag: Option<&str>) -> ObjectEntry {
        ObjectEntry { key: "k".parse().unwrap(), size_bytes, etag: etag.map(ETag::new), modified: None }
    }

    fn head(stored: Option<&[u8]>, etag_is_md5: Option<bool>) -> ObjectHead {
        ObjectHead { checksums: stored.map(crc).into_iter().collect(), etag_is_md5, ..ObjectHead::default() }
    }

    /// Answers every question about `FILE` until there is a verdict; gives the questions and the verdict in words.
    fn run(etag: Option<&str>, answer: &ObjectHead, mut known: Known) -> String {
        let mut story = Vec::new();
        for _ in 0..5 {
            match compare(FILE.len() as u64, &object(FILE.len() as u64, etag), &known) {
                Verdict::Unchanged { by } => story.push(format!("unchanged by {}", by.name())),
                Verdict::Changed(reason) => story.push(reason.to_string()),
                Verdict::Ask(evidence) => {
                    story.push(format!("{evidence:?}").split('(').next().unwrap().to_owned());
                    match evidence {
                        Evidence::FileMd5 => known.md5 = Some(md5(FILE)),
                        Evidence::FileCrc64 => known.crc64nvme = Some(crc(FILE)),
                        Evidence::FileMultipart(_) => known.multipart = Some(vec![ETag::new("right-3")]),
                        Evidence::Head => known.head = Some(answer.clone()),
                        Evidence::SourceHead => known.source_head = Some(answer.clone()),
                    }
                    continue;
                }
            }
            return story.join(", ");
        }
        panic!("no end: {story:?}");
    }

    #[test]
    fn sizes_first() {
        let verdict = compare(7, &object(8, None), &Known::default());
        assert_eq!(verdict, Verdict::Changed(Reason::SizeDiffers { found_bytes: 8, wanted_bytes: 7 }));
        assert_eq!(compare(0, &object(0, Some("x")), &Known::default()), Verdict::Unchanged { by: By::Size });
    }

    #[test]
    fn single_part_objects() {
        let same = md5(FILE).hex();
        let other = md5(b"other").hex();
        let nothing = ObjectHead::default();
        let check = |etag: &str, answer: &ObjectHead, trust: Option<bool>, expected: &str| {
            let known = Known { etags_are_md5s: trust, ..Known::default() };
            assert_eq!(run(Some(etag), answer, known), expected, "{etag} {answer:?} {trust:?}");
        };
        check(&same, &nothing, None, "FileMd5, unchanged by MD5");
        check(&same.to_uppercase(), &nothing, None, "FileMd5, unchanged by MD5");
        check(&other, &nothing, Some(true), "FileMd5, content differs by MD5");
        check(&other, &head(None, Some(true)), None, "FileMd5, Head, content differs by MD5");
        check(&other, &head(Some(FILE), Some(false)), None, "FileMd5, Head, FileCrc64, unchanged by CRC64NVME");
        check(&other, &head(Some(b"x"), Some(false)), None, "FileMd5, Head, FileCrc64, content differs by CRC64NVME");
        check(&other, &head(Some(FILE), None), None, "FileMd5, Head, FileCrc64, unchanged by CRC64NVME");
        check(&other, &nothing, None, "FileMd5, Head, content differs by MD5");
        check(&other, &head(Some(FILE), Some(false)), Some(false), "Head, FileCrc64, unchanged by CRC64NVME");
        let untold = "Head, content cannot be compared: its ETag is no MD5 and no CRC64NVME is stored";
        check(&other, &head(None, Some(false)), Some(false), untold);
    }

    #[test]
    fn multipart_and_opaque_objects() {
        let multipart = format!("{}-1", md5(b"x").hex());
        let stored = head(Some(FILE), None);
        let known = Known::default;
        assert_eq!(run(Some(&multipart), &stored, known()), "Head, FileCrc64, unchanged by CRC64NVME");
        let differs = "Head, FileCrc64, content differs by CRC64NVME";
        assert_eq!(run(Some(&multipart), &head(Some(b"x"), None), known()), differs);
        let untold = "Head, FileMultipart, content cannot be compared: no usual part size gives its ETag, \
                      and no CRC64NVME is stored";
        assert_eq!(run(Some(&multipart), &ObjectHead::default(), known()), untold);
        let right = Known {
            multipart: Some(vec![ETag::new("a"), ETag::new(&multipart)]),
            head: Some(ObjectHead::default()),
            ..known()
        };
        assert_eq!(run(Some(&multipart), &ObjectHead::default(), right), "unchanged by multipart ETag");
        let opaque = "Head, content cannot be compared: the object has no ETag and no checksum that tells";
        assert_eq!(run(Some("opaque"), &ObjectHead::default(), known()), opaque);
        assert_eq!(run(None, &stored, known()), "Head, FileCrc64, unchanged by CRC64NVME");
    }
}
