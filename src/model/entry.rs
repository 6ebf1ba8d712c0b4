//! One thing on either side of a transfer: a local file, an object of a listing, or something odd that is neither.

use super::{Algorithm, Checksum, ETag, ObjectKey};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

/// A regular file below a source, with what tells later whether it changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalFile {
    /// Its path below the source with `/` between names: what follows the target's prefix in the key.
    /// For a source that is a file, the file's name.
    pub relative: String,
    /// Where to open it.
    pub path: PathBuf,
    /// What it was when it was seen.
    pub fingerprint: Fingerprint,
}

/// Size, times and identity of a file: if any of it differs afterwards, the file changed while it was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint {
    /// Length in bytes.
    pub size_bytes: u64,
    /// Last change of the content, in nanoseconds since the epoch.
    pub mtime_ns: i128,
    /// Last change of content or metadata, in nanoseconds since the epoch.
    pub ctime_ns: i128,
    /// Device and inode.
    pub device: u64,
    /// The inode on that device.
    pub inode: u64,
}

/// One object of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectEntry {
    /// The whole key.
    pub key: ObjectKey,
    /// Length in bytes.
    pub size_bytes: u64,
    /// The listing's ETag.
    pub etag: Option<ETag>,
    /// When it was written.
    pub modified: Option<Timestamp>,
}

/// One version of an object, or the marker that hides its versions, as a listing of versions shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionEntry {
    /// The whole key.
    pub key: ObjectKey,
    /// The version's id; `null` for what was written while the bucket kept no versions.
    pub version: String,
    /// True for the one that a plain request finds.
    pub is_latest: bool,
    /// True for a marker, which says that the object was deleted and holds nothing.
    pub is_delete_marker: bool,
    /// Length in bytes.
    pub size_bytes: u64,
    /// The listing's ETag.
    pub etag: Option<ETag>,
    /// When it was written.
    pub modified: Option<Timestamp>,
}

/// What HeadObject tells of one object beyond its listing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ObjectHead {
    /// Length in bytes.
    pub size_bytes: u64,
    /// The ETag.
    pub etag: Option<ETag>,
    /// The stored checksums of the whole object; composite ones, which depend on part sizes, are left out.
    pub checksums: Vec<Checksum>,
    /// The digest of the parts' digests as S3 writes it, `base64-N`, where the object has such a one.
    pub composite: Option<String>,
    /// Whether an ETag in the form of an MD5 is one: not under SSE-KMS and SSE-C. None if the answer does not say.
    ///
    /// Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html>
    pub etag_is_md5: Option<bool>,
    /// The version, in a bucket with versioning.
    pub version_id: Option<String>,
    /// When it was written; headers tell whole seconds.
    pub modified: Option<Timestamp>,
}

impl ObjectHead {
    /// The stored checksum of the whole object by `algorithm`.
    pub fn checksum(&self, algorithm: Algorithm) -> Option<&Checksum> {
        self.checksums.iter().find(|checksum| checksum.algorithm() == algorithm)
    }
}

/// Something below a source that is no file to upload, with the reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Odd {
    /// Its path as text; bytes that are no UTF-8, and control characters, are escaped.
    pub path: String,
    /// What is wrong with it.
    pub kind: OddKind,
}

impl Odd {
    /// Something odd at `path`.
    pub fn at(path: &Path, kind: OddKind) -> Self {
        Self { path: escaped(path), kind }
    }
}

/// A path as text that a terminal can show: bytes that are no UTF-8 become `\xNN`, control characters escapes, and a
/// `./` at the start, which says nothing, goes.
pub fn escaped(path: &Path) -> String {
    let mut text = String::new();
    let shown = path.strip_prefix(".").ok().filter(|rest| !rest.as_os_str().is_empty()).unwrap_or(path);
    for chunk in shown.as_os_str().as_bytes().utf8_chunks() {
        for letter in chunk.valid().chars() {
            if letter.is_control() {
                text.extend(letter.escape_default());
            } else {
                text.push(letter);
            }
        }
        text.extend(chunk.invalid().iter().flat_map(|byte| byte.escape_ascii()).map(char::from));
    }
    text
}

/// Why something below a source is not uploaded. Each is a finding; the rest goes on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OddKind {
    /// A FIFO, socket or device.
    #[error("is not a regular file")]
    NotRegular,
    /// The name is no UTF-8, so no key can carry it.
    #[error("has a name that is not UTF-8")]
    NotUtf8,
    /// The key would be longer than 1,024 bytes.
    #[error("would need a key over 1,024 bytes")]
    KeyTooLong,
    /// The system refused to read it.
    #[error("cannot be read: {0}")]
    Unreadable(String),
    /// A symbolic link that leads to one of its own parents.
    #[error("is a link that leads back to one of its parents")]
    LinkCycle,
    /// A symbolic link that leads out of the source.
    #[error("is a link that leaves the source")]
    LinkLeaves,
    /// A key that can be no file below the target, in the words that follow it.
    #[error("{0}")]
    NoPlace(String),
    /// A symbolic link to nothing.
    #[error("is a link to nothing")]
    LinkBroken,
    /// An ignore file whose rules are unknown; nothing of its directory is taken.
    #[error("cannot be used, so nothing of its folder is taken: {0}")]
    IgnoreFile(String),
}

#[cfg(test)]
mod tests {
    use super::escaped;
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;
    use std::path::Path;

    #[test]
    fn paths_are_shown_escaped() {
        for (path, shown) in [
            (&b"caf\xc3\xa9 \xff\n"[..], "café \\xff\\n"),
            (b"./data/a", "data/a"),
            (b".", "."),
            (b".hidden", ".hidden"),
            (b"../up", "../up"),
        ] {
            assert_eq!(escaped(Path::new(OsStr::from_bytes(path))), shown);
        }
    }
}
