//! Access logs: which bucket logs into which, and the log buckets that no table declares.

use crate::layout::mistakes::{Mistakes, Span, quote};
use crate::layout::names;
use crate::layout::section::Section;
use crate::layout::{Bucket, Manage, Purpose};
use crate::model::{AccessLog, BucketName, ObjectKey};
use std::collections::BTreeMap;

/// Reads a bucket's `access_log`.
pub(super) fn access_log(own: &BucketName, section: &Section, mistakes: &mut Mistakes) -> Option<AccessLog> {
    let log = section.section("access_log")?;
    let bucket = log.text("bucket")?;
    let target = mistakes.take(bucket.span, names::bucket(bucket.value))?;
    if &target == own {
        mistakes
            .at(bucket.span, format!("bucket `{own}` logs into itself, and each log would make another"))
            .help("name another bucket");
        return None;
    }
    let Some(prefix) = log.text("prefix") else {
        return Some(AccessLog { bucket: target, prefix: format!("{own}/") });
    };
    let text = prefix.value;
    if text.starts_with('/') || text.contains("//") || text.chars().any(char::is_control) {
        mistakes
            .at(prefix.span, format!("log prefix {} has a slash at its start or two in a row", quote(text)))
            .help(format!("write `{own}/`"));
    } else if !text.is_empty()
        && let Err(error) = text.parse::<ObjectKey>()
    {
        mistakes.at(prefix.span, format!("log prefix: {error}"));
    }
    Some(AccessLog { bucket: target, prefix: text.to_owned() })
}

/// Tells each log bucket who logs into it, makes those that are not declared, and refuses what S3 would not deliver.
pub(super) fn link(buckets: &mut Vec<Bucket>, spans: &[Option<Span>], mistakes: &mut Mistakes) {
    let declared = buckets.len();
    let mut places: BTreeMap<BucketName, usize> =
        buckets.iter().enumerate().map(|(place, bucket)| (bucket.name.clone(), place)).collect();
    for source in 0..declared {
        let bucket = &buckets[source];
        let (Some(log), Some(span)) = (bucket.access_log.clone(), &spans[source]) else { continue };
        let (name, manage) = (bucket.name.clone(), bucket.manage);
        let target = *places.entry(log.bucket.clone()).or_insert_with(|| {
            buckets.push(Bucket::with_defaults(log.bucket.clone(), Purpose::LogTarget));
            buckets.len() - 1
        });
        let target = &mut buckets[target];
        target.logs_from.push((name, log.prefix));
        if manage == Manage::All && target.purpose == Purpose::LogTarget {
            target.manage = Manage::All;
        }
        if target.kms_key.is_some() {
            mistakes
                .at(span, format!("log bucket `{}` is encrypted with a KMS key", log.bucket))
                .help("S3 delivers access logs only to buckets encrypted with its own keys: `encryption = \"sse-s3\"`");
        }
    }
    report_log_circles(&buckets[..declared], &places, spans, mistakes);
}

/// Each circle of buckets that log into one another, once: at its first bucket.
fn report_log_circles(
    declared: &[Bucket],
    places: &BTreeMap<BucketName, usize>,
    spans: &[Option<Span>],
    mistakes: &mut Mistakes,
) {
    let next = |place: usize| {
        let log = declared.get(place)?.access_log.as_ref()?;
        places.get(&log.bucket).copied()
    };
    let mut done = vec![false; declared.len()];
    for start in 0..declared.len() {
        let mut path = Vec::new();
        let mut current = Some(start);
        while let Some(place) = current.filter(|place| done.get(*place) == Some(&false)) {
            done[place] = true;
            path.push(place);
            current = next(place);
        }
        let Some(first) = current.and_then(|place| path.iter().position(|member| *member == place)) else { continue };
        let members: Vec<&str> = path[first..].iter().map(|place| declared[*place].name.as_str()).collect();
        if let Some(span) = &spans[path[first]] {
            mistakes
                .at(span, format!("buckets log into one another: {} -> {}", members.join(" -> "), members[0]))
                .help("a log bucket needs no access log of its own");
        }
    }
}
