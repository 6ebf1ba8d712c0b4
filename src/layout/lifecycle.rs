//! The lifecycle rules that the tool wants, merged with those that somebody else wrote.

use super::Bucket;
use crate::hashing;
use crate::model::{Algorithm, Control, Lifecycle, LifecycleFilter, LifecycleRule, NoncurrentExpiration, Prefix};

/// Days until noncurrent versions expire where the layout says nothing.
const DEFAULT_NONCURRENT_DAYS: u32 = 90;
/// How many newer noncurrent versions stay whatever their age.
const KEPT_VERSIONS: i32 = 3;
/// Days until an unfinished multipart upload is aborted.
const ABORT_UPLOADS_DAYS: i32 = 7;
/// The start of the id of every rule that the tool writes.
const OWN_ID_START: &str = "bucketwright-";
/// The longest rule id that S3 takes.
const MAX_ID_CHARS: usize = 255;

/// The found configuration with the tool's own rules as they should be, foreign rules in place and untouched.
pub(super) fn merged(bucket: &Bucket, found: &Lifecycle) -> Lifecycle {
    let wanted = own_rules(bucket, adopts(bucket, found));
    let foreign = found.rules.iter().filter(|rule| !is_own(rule)).cloned();
    let mut own: Vec<LifecycleRule> = found.rules.iter().filter(|rule| is_own(rule)).cloned().collect();
    // Rules that are right already keep their order: S3 may return them in another one than they were written in.
    let same = own.len() == wanted.len() && wanted.iter().all(|rule| own.contains(rule));
    if same {
        return found.clone();
    }
    own = wanted;
    Lifecycle {
        rules: foreign.chain(own).collect(),
        default_minimum_object_size: found.default_minimum_object_size.clone(),
    }
}

/// True if the bucket is taken over, or was: one that carries the tool's own rule for the whole bucket was made by it.
fn adopts(bucket: &Bucket, found: &Lifecycle) -> bool {
    let whole = rule_id(&Prefix::root());
    bucket.adopt && !found.rules.iter().any(|rule| rule.id.as_deref() == Some(whole.as_str()))
}

/// The wanted rules in words.
pub(super) fn words(bucket: &Bucket, found: &Lifecycle) -> String {
    let mut parts = vec![format!("unfinished uploads aborted after {ABORT_UPLOADS_DAYS} days")];
    for (prefix, days) in noncurrent(bucket, adopts(bucket, found)) {
        let place = if prefix.is_root() { String::new() } else { format!(" in {prefix}") };
        parts.push(format!("noncurrent versions{place} expire after {days} days, {KEPT_VERSIONS} kept"));
    }
    if parts.len() > 3 {
        let more = parts.len() - 2;
        parts.truncate(2);
        parts.push(format!("{more} more rules"));
    }
    parts.join("; ")
}

fn is_own(rule: &LifecycleRule) -> bool {
    rule.id.as_deref().is_some_and(|id| id.starts_with(OWN_ID_START))
}

fn own_rules(bucket: &Bucket, adopts: bool) -> Vec<LifecycleRule> {
    let housekeeping = LifecycleRule {
        id: Some(format!("{OWN_ID_START}housekeeping")),
        enabled: true,
        expired_delete_marker: Some(true),
        abort_multipart_days: Some(ABORT_UPLOADS_DAYS),
        ..LifecycleRule::default()
    };
    let expiring = noncurrent(bucket, adopts).into_iter().map(|(prefix, days)| LifecycleRule {
        id: Some(rule_id(&prefix)),
        enabled: true,
        filter: LifecycleFilter {
            prefix: (!prefix.is_root()).then(|| prefix.as_str().to_owned()),
            ..LifecycleFilter::default()
        },
        noncurrent_expiration: Some(NoncurrentExpiration {
            days: i32::try_from(days).ok(),
            newer_versions: Some(KEPT_VERSIONS),
        }),
        ..LifecycleRule::default()
    });
    std::iter::once(housekeeping).chain(expiring).collect()
}

/// Where noncurrent versions expire, and after how many days.
///
/// Where rules overlap S3 takes the shorter time, so a longer time for one folder and a rule for the whole bucket cannot
/// stand together: then every folder gets a rule of its own. A bucket that is taken over gets only the numbers that
/// stand in the layout, because a default must not expire what somebody else put there.
fn noncurrent(bucket: &Bucket, adopts: bool) -> Vec<(Prefix, u32)> {
    if bucket.waiver(Control::Versioning).is_some() {
        return Vec::new();
    }
    let folders = bucket.folders.iter();
    if adopts {
        let whole = bucket.noncurrent_days.map(|days| (Prefix::root(), days));
        let own = folders.filter_map(|folder| Some((folder.prefix.clone(), folder.noncurrent_days?)));
        return whole.into_iter().chain(own).collect();
    }
    let usual = bucket.noncurrent_days.unwrap_or(DEFAULT_NONCURRENT_DAYS);
    let uniform = bucket.folders.iter().all(|folder| folder.noncurrent_days.is_none_or(|days| days == usual));
    if uniform {
        return vec![(Prefix::root(), usual)];
    }
    folders.map(|folder| (folder.prefix.clone(), folder.noncurrent_days.unwrap_or(usual))).collect()
}

fn rule_id(prefix: &Prefix) -> String {
    let id = if prefix.is_root() {
        format!("{OWN_ID_START}noncurrent")
    } else {
        format!("{OWN_ID_START}noncurrent-{prefix}")
    };
    if id.chars().count() <= MAX_ID_CHARS {
        return id;
    }
    format!("{OWN_ID_START}noncurrent-{}", hashing::digest(Algorithm::Crc64Nvme, prefix.as_str().as_bytes()).hex())
}
