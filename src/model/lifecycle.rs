//! Lifecycle rules of a bucket, whole enough that a foreign rule survives being read and written back.
//!
//! S3 replaces all rules at once, so what is not ours must come back unchanged.
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_LifecycleRule.html>

use serde::{Deserialize, Serialize};

/// The lifecycle configuration of a bucket.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Lifecycle {
    /// The rules, in the order S3 gave them.
    pub rules: Vec<LifecycleRule>,
    /// `TransitionDefaultMinimumObjectSize`, verbatim; it belongs to the configuration and would be reset if left out.
    pub default_minimum_object_size: Option<String>,
}

/// One rule. Days count from creation, or from becoming noncurrent.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LifecycleRule {
    /// The rule's id; S3 makes one up for rules without.
    pub id: Option<String>,
    /// Whether the rule is in force.
    pub enabled: bool,
    /// Which objects it means; the default means all.
    pub filter: LifecycleFilter,
    /// The deprecated rule-level prefix, kept for rules that were written with it.
    pub legacy_prefix: Option<String>,
    /// Days until current versions expire.
    pub expiration_days: Option<i32>,
    /// The date on which current versions expire, RFC 3339.
    pub expiration_date: Option<String>,
    /// Whether delete markers without versions behind them are dropped.
    pub expired_delete_marker: Option<bool>,
    /// Expiry of noncurrent versions.
    pub noncurrent_expiration: Option<NoncurrentExpiration>,
    /// Moves of current versions to other storage classes.
    pub transitions: Vec<Transition>,
    /// Moves of noncurrent versions to other storage classes.
    pub noncurrent_transitions: Vec<Transition>,
    /// Days until an unfinished multipart upload is aborted.
    pub abort_multipart_days: Option<i32>,
}

/// The objects a rule means. All given parts must hold.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LifecycleFilter {
    /// Keys that start with this.
    pub prefix: Option<String>,
    /// Objects with all of these tags, as key and value.
    pub tags: Vec<(String, String)>,
    /// Objects larger than this, in bytes.
    pub size_greater_than: Option<i64>,
    /// Objects smaller than this, in bytes.
    pub size_less_than: Option<i64>,
}

/// When noncurrent versions go.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct NoncurrentExpiration {
    /// Days since the version became noncurrent.
    pub days: Option<i32>,
    /// How many newer noncurrent versions stay whatever their age.
    pub newer_versions: Option<i32>,
}

/// One move to another storage class.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Transition {
    /// Days until the move.
    pub days: Option<i32>,
    /// The date of the move, RFC 3339; not for noncurrent versions.
    pub date: Option<String>,
    /// How many newer noncurrent versions stay; only for noncurrent versions.
    pub newer_versions: Option<i32>,
    /// The storage class, verbatim.
    pub storage_class: Option<String>,
}

impl LifecycleRule {
    /// True if the rule removes data, current or noncurrent.
    pub const fn expires_data(&self) -> bool {
        self.expiration_days.is_some() || self.expiration_date.is_some() || self.noncurrent_expiration.is_some()
    }
}
