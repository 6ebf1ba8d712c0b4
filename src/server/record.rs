//! What the index stores: buckets, versions of objects, unfinished uploads, and where the bytes of each lie.
//!
//! Records are written with postcard, which is compact and knows no field names: [`FORMAT`] changes when a field does.

use crate::model::{Checksum, ETag};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// The number of this set of records. A folder with another one is refused, never guessed at.
pub(super) const FORMAT: u64 = 1;

/// Names a run of stored bytes: milliseconds since 1970 in the upper 48 bits, then randomness. Never derived from a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(super) struct BlobId(pub(super) u128);

/// A run of bytes inside one blob.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Segment {
    pub(super) blob: BlobId,
    /// True if the blob lies in the index itself, false if it is a file.
    pub(super) inline: bool,
    pub(super) offset: u64,
    pub(super) len: u64,
}

/// A bucket, apart from its settings.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct BucketRecord {
    pub(super) created_ms: u64,
    pub(super) region: String,
    pub(super) versioning: Versioning,
}

/// Whether a bucket keeps old versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Versioning {
    Never,
    Enabled,
    Suspended,
}

/// One version of a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct VersionRecord {
    /// The order among the versions of a key: the newest is the largest.
    pub(super) seq: u64,
    /// The random half of the version id; none for the null version.
    pub(super) salt: Option<u64>,
    pub(super) modified_ms: u64,
    /// The object; none for a delete marker.
    pub(super) object: Option<ObjectRecord>,
}

/// The content of a version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ObjectRecord {
    pub(super) size: u64,
    pub(super) etag: ETag,
    pub(super) checksum: StoredChecksum,
    pub(super) segments: Vec<Segment>,
    /// The parts of a multipart object, in order; empty for all others.
    pub(super) parts: Vec<PartSummary>,
    pub(super) attributes: Attributes,
    pub(super) tags: Vec<(String, String)>,
}

/// An object's checksum, and whether it covers the object or the parts' checksums.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct StoredChecksum {
    pub(super) value: Checksum,
    pub(super) composite: bool,
}

/// What is remembered of a part after its upload was completed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PartSummary {
    pub(super) number: i32,
    pub(super) size: u64,
    pub(super) checksum: Checksum,
}

/// What a client says about an object besides its bytes; header values verbatim.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Attributes {
    pub(super) content_type: Option<String>,
    pub(super) content_encoding: Option<String>,
    pub(super) content_disposition: Option<String>,
    pub(super) content_language: Option<String>,
    pub(super) cache_control: Option<String>,
    pub(super) expires: Option<String>,
    pub(super) website_redirect: Option<String>,
    pub(super) storage_class: Option<String>,
    pub(super) metadata: Vec<(String, String)>,
    pub(super) encryption: ObjectEncryption,
}

/// How an object says it is encrypted. Nothing is: the folder is as safe as the disk it is on.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct ObjectEncryption {
    /// The KMS key as given; none means SSE-S3.
    pub(super) kms_key: Option<String>,
    pub(super) kms: bool,
    pub(super) bucket_key: bool,
}

/// An unfinished multipart upload.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct UploadRecord {
    pub(super) initiated_ms: u64,
    pub(super) checksum: UploadChecksum,
    pub(super) attributes: Attributes,
    pub(super) tags: Vec<(String, String)>,
}

/// Which checksum an upload keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct UploadChecksum {
    pub(super) algorithm: crate::model::Algorithm,
    pub(super) composite: bool,
    /// False if the client named no algorithm and the server chose.
    pub(super) asked: bool,
}

/// One part of an unfinished upload.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct PartRecord {
    pub(super) size: u64,
    pub(super) modified_ms: u64,
    pub(super) md5: Checksum,
    pub(super) checksum: Checksum,
    pub(super) segments: Vec<Segment>,
}

/// A completed upload, remembered for a client that did not hear the answer and asks again.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct FinishedRecord {
    pub(super) finished_ms: u64,
    /// The address of the key.
    pub(super) at: Vec<u8>,
    /// The parts as they were named: number and ETag.
    pub(super) parts: Vec<(i32, ETag)>,
    pub(super) version: VersionRecord,
}

impl VersionRecord {
    /// The id that clients see: `null`, or 32 hex digits whose first half is the order.
    pub(super) fn version_id(&self) -> String {
        self.salt.map_or_else(|| "null".to_owned(), |salt| format!("{:016x}{salt:016x}", self.seq))
    }
}

/// A version id as a client names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum VersionName {
    Null,
    Numbered { seq: u64, salt: u64 },
}

impl VersionName {
    /// Reads a version id; none if no server of this kind gave it out.
    pub(super) fn parse(text: &str) -> Option<Self> {
        if text == "null" {
            return Some(Self::Null);
        }
        if text.len() != 32 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        let (seq, salt) = text.split_at(16);
        Some(Self::Numbered { seq: u64::from_str_radix(seq, 16).ok()?, salt: u64::from_str_radix(salt, 16).ok()? })
    }

    /// Whether it names `version`.
    pub(super) const fn names(self, version: &VersionRecord) -> bool {
        match (self, version.salt) {
            (Self::Null, None) => true,
            (Self::Numbered { seq, salt }, Some(found)) => seq == version.seq && salt == found,
            (Self::Null, Some(_)) | (Self::Numbered { .. }, None) => false,
        }
    }
}

/// The stored form of a record.
#[expect(clippy::expect_used, reason = "writing plain data into memory cannot fail")]
pub(super) fn encode(record: &impl Serialize) -> Vec<u8> {
    postcard::to_allocvec(record).expect("records are plain data")
}

/// Reads a record back.
pub(super) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, postcard::Error> {
    postcard::from_bytes(bytes)
}
