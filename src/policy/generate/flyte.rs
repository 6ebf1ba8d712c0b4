//! The two identities of a Flyte installation, each with what it needs.
//!
//! The backend (flyteadmin, flytepropeller, datacatalog, or flyte-binary) reads and writes metadata and user data; tasks
//! read and write user data only. Flyte's own manual gives `s3:GetObject*`, `s3:PutObject*` and `s3:DeleteObject*` on
//! bucket names with a star behind them, which covers object ACLs, old versions and every bucket whose name begins alike.
//! Its storage clients ask for the bucket itself, so listings carry no condition.
//! Source: <https://github.com/flyteorg/flyte/blob/v1.16.8/docs/deployment/deployment/multicluster.rst>

use crate::layout::{FolderAccess, ListScope, Place};
use crate::model::{BucketName, Prefix};
use crate::policy::entitlement::{Entitlement, Ground};
use std::collections::BTreeMap;

/// The buckets of an installation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlyteBuckets {
    /// Where the backend keeps its own records.
    pub metadata: BucketName,
    /// Where tasks put their results; the same bucket in small installations.
    pub user_data: BucketName,
    /// Further buckets that tasks read from or write to.
    pub data: Vec<BucketName>,
}

impl FlyteBuckets {
    /// Tells the buckets apart by their names (`metadata`, `userdata`), or by their order where the names do not say:
    /// metadata first, user data second, then data. One bucket is all of it.
    pub fn sort(buckets: &[BucketName]) -> Option<Self> {
        let named =
            |words: &[&str]| buckets.iter().find(|bucket| words.iter().any(|word| bucket.as_str().contains(word)));
        let metadata = named(&["metadata"]);
        let user_data = named(&["userdata", "user-data"]);
        let other = |taken: Option<&BucketName>| buckets.iter().find(|bucket| Some(*bucket) != taken);
        let metadata = metadata.or_else(|| other(user_data)).or(user_data)?;
        let user_data = user_data.or_else(|| other(Some(metadata))).unwrap_or(metadata);
        let data = buckets.iter().filter(|bucket| *bucket != metadata && *bucket != user_data);
        Some(Self { metadata: metadata.clone(), user_data: user_data.clone(), data: data.cloned().collect() })
    }
}

/// What the backend and the tasks get; tasks get `access` to the data buckets.
pub fn entitlements(
    name: &str,
    buckets: &FlyteBuckets,
    access: FolderAccess,
    grounds: &BTreeMap<BucketName, Ground>,
) -> Vec<Entitlement> {
    let entitlement = |suffix: &str, access, of: Vec<&BucketName>| Entitlement {
        name: format!("{name}-{suffix}"),
        access,
        list: ListScope::Bucket,
        places: of.into_iter().map(|bucket| Place { bucket: bucket.clone(), prefix: Prefix::root() }).collect(),
        grounds: grounds.clone(),
    };
    let mut backend = vec![&buckets.metadata];
    if buckets.user_data != buckets.metadata {
        backend.push(&buckets.user_data);
    }
    let mut all = vec![
        entitlement("backend", FolderAccess::ReadWrite, backend),
        entitlement("tasks", FolderAccess::ReadWrite, vec![&buckets.user_data]),
    ];
    if !buckets.data.is_empty() {
        all.push(entitlement("tasks-data", access, buckets.data.iter().collect()));
    }
    all
}
