//! What was found of a bucket: the observer's report, which planners compare with the layout.

use super::{
    AccessLog, BucketName, ETag, Encryption, Lifecycle, ObjectKey, PolicyJson, PublicAccessBlock, Region, Tags,
};
use std::collections::BTreeMap;

/// The answer to "is this bucket there, and may we look at it?"
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Existence {
    /// Nobody has a bucket of this name.
    Absent,
    /// The caller owns it, or at least reaches it.
    Present,
    /// It exists and the caller may not reach it: another account's, or no right to list it.
    Forbidden,
}

/// One setting as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reading<T> {
    /// The value.
    Known(T),
    /// The caller may not read it; the text is the service's message.
    Denied(String),
    /// The endpoint does not know the setting.
    Unsupported,
}

impl<T> Reading<T> {
    /// The value, if it could be read.
    pub const fn known(&self) -> Option<&T> {
        match self {
            Self::Known(value) => Some(value),
            Self::Denied(_) | Self::Unsupported => None,
        }
    }
}

/// A folder's marker object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MarkerState {
    /// No object has the key.
    Absent,
    /// A zero-byte object has the key.
    Present,
    /// An object with content has the key: it is data and never overwritten.
    HoldsData {
        /// Its length.
        size_bytes: u64,
        /// Its ETag.
        etag: Option<ETag>,
    },
    /// The caller may not look; the text is the service's message.
    Denied(String),
}

/// All that was read of one bucket. Settings of an absent bucket are those of a bucket that has none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BucketState {
    /// The bucket.
    pub name: BucketName,
    /// Whether it is there.
    pub existence: Existence,
    /// Where it is, if the service said so.
    pub region: Option<Region>,
    /// Whether it holds no object and no version; none if it could not be told.
    pub is_empty: Option<bool>,
    /// Its tags.
    pub tags: Reading<Tags>,
    /// Whether object ownership is `BucketOwnerEnforced`.
    pub owner_enforced: Reading<bool>,
    /// Block Public Access.
    pub public_access: Reading<PublicAccessBlock>,
    /// Default encryption; none where the bucket has no such document.
    pub encryption: Reading<Option<Encryption>>,
    /// Whether versioning is enabled.
    pub versioning: Reading<bool>,
    /// Lifecycle rules.
    pub lifecycle: Reading<Lifecycle>,
    /// The bucket policy.
    pub policy: Reading<Option<PolicyJson>>,
    /// Access logging.
    pub access_log: Reading<Option<AccessLog>>,
    /// The marker objects asked about.
    pub markers: BTreeMap<ObjectKey, MarkerState>,
}

impl BucketState {
    /// The state of a bucket that is not there, or that the caller may not reach.
    pub fn without_settings(name: BucketName, existence: Existence, region: Option<Region>) -> Self {
        Self {
            name,
            existence,
            region,
            is_empty: Some(true),
            tags: Reading::Known(Tags::new()),
            owner_enforced: Reading::Known(false),
            public_access: Reading::Known(PublicAccessBlock::NONE),
            encryption: Reading::Known(None),
            versioning: Reading::Known(false),
            lifecycle: Reading::Known(Lifecycle::default()),
            policy: Reading::Known(None),
            access_log: Reading::Known(None),
            markers: BTreeMap::new(),
        }
    }
}
