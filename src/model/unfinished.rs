//! Uploads in parts that are not finished: what the service says of them, and what this machine remembers of its own.

use super::{Algorithm, BucketName, Checksum, ETag, Fingerprint, ObjectKey};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// A part that the service holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenPart {
    /// 1 to 10,000.
    pub number: i32,
    /// Its ETag, which completion must name.
    pub etag: ETag,
    /// The checksum that the service named for it.
    pub checksum: Option<Checksum>,
    /// Its length in bytes.
    pub size_bytes: u64,
}

/// An unfinished upload as the service lists it, whoever began it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenUpload {
    /// The key that it would become.
    pub key: ObjectKey,
    /// The service's name for it.
    pub upload_id: String,
    /// When it was begun, by the service's clock.
    pub initiated: Option<Timestamp>,
    /// Who began it: an ARN or an account's id.
    pub initiator: Option<String>,
    /// The checksum that its parts carry, where the service says so.
    pub algorithm: Option<Algorithm>,
}

/// An upload that this program is about to begin: written down before the service is asked, so that whatever happens
/// then, the next run knows where to look.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Intent {
    /// The bucket.
    pub bucket: BucketName,
    /// The key.
    pub key: ObjectKey,
    /// The file, as an absolute path.
    pub path: PathBuf,
    /// What the file was.
    pub fingerprint: Fingerprint,
    /// The length of each part but the last.
    pub part_bytes: u64,
    /// The checksum that each part carries.
    pub algorithm: Algorithm,
    /// All else that an upload is born with and that cannot be changed later, such as its content type, as one text.
    pub attributes: String,
}

/// What the journal holds of one upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfinished {
    /// When it was written down, by the clock of this machine.
    pub begun: Timestamp,
    /// What was to be sent where.
    pub intent: Intent,
    /// The service's name for it; none if the run ended before the answer was written down.
    pub upload_id: Option<String>,
}
