//! Lifecycle rules to and from the SDK's types, field by field, so that a foreign rule comes back as it was.

use crate::model::{Lifecycle, LifecycleFilter, LifecycleRule, NoncurrentExpiration, Transition};
use aws_sdk_s3::operation::get_bucket_lifecycle_configuration::GetBucketLifecycleConfigurationOutput;
use aws_sdk_s3::types;
use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use aws_smithy_types::error::operation::BuildError;

/// What a bucket's lifecycle says.
pub(super) fn read(output: &GetBucketLifecycleConfigurationOutput) -> Lifecycle {
    Lifecycle {
        rules: output.rules().iter().map(read_rule).collect(),
        default_minimum_object_size: output
            .transition_default_minimum_object_size()
            .map(|size| size.as_str().to_owned()),
    }
}

/// An empty prefix means all keys, as does none.
fn some_text(text: Option<&str>) -> Option<String> {
    text.filter(|text| !text.is_empty()).map(str::to_owned)
}

fn date_text(date: Option<&DateTime>) -> Option<String> {
    date.and_then(|date| date.fmt(Format::DateTime).ok())
}

fn read_rule(rule: &types::LifecycleRule) -> LifecycleRule {
    let expiration = rule.expiration();
    LifecycleRule {
        id: rule.id().map(str::to_owned),
        enabled: *rule.status() == types::ExpirationStatus::Enabled,
        filter: rule.filter().map(read_filter).unwrap_or_default(),
        legacy_prefix: legacy_prefix(rule),
        expiration_days: expiration.and_then(types::LifecycleExpiration::days).filter(|days| *days > 0),
        expiration_date: date_text(expiration.and_then(types::LifecycleExpiration::date)),
        expired_delete_marker: expiration
            .and_then(types::LifecycleExpiration::expired_object_delete_marker)
            .filter(|on| *on),
        noncurrent_expiration: rule.noncurrent_version_expiration().map(|expiration| NoncurrentExpiration {
            days: expiration.noncurrent_days(),
            newer_versions: expiration.newer_noncurrent_versions().filter(|count| *count > 0),
        }),
        transitions: rule.transitions().iter().map(read_transition).collect(),
        noncurrent_transitions: rule.noncurrent_version_transitions().iter().map(read_noncurrent).collect(),
        abort_multipart_days: rule
            .abort_incomplete_multipart_upload()
            .and_then(types::AbortIncompleteMultipartUpload::days_after_initiation),
    }
}

#[expect(deprecated, reason = "rules written with the old rule-level prefix must come back with it")]
fn legacy_prefix(rule: &types::LifecycleRule) -> Option<String> {
    some_text(rule.prefix())
}

fn read_filter(filter: &types::LifecycleRuleFilter) -> LifecycleFilter {
    let pair = |tag: &types::Tag| (tag.key().to_owned(), tag.value().to_owned());
    match filter.and() {
        Some(all) => LifecycleFilter {
            prefix: some_text(all.prefix()),
            tags: all.tags().iter().map(pair).collect(),
            size_greater_than: all.object_size_greater_than(),
            size_less_than: all.object_size_less_than(),
        },
        None => LifecycleFilter {
            prefix: some_text(filter.prefix()),
            tags: filter.tag().map(pair).into_iter().collect(),
            size_greater_than: filter.object_size_greater_than(),
            size_less_than: filter.object_size_less_than(),
        },
    }
}

fn read_transition(transition: &types::Transition) -> Transition {
    Transition {
        days: transition.days(),
        date: date_text(transition.date()),
        newer_versions: None,
        storage_class: transition.storage_class().map(|class| class.as_str().to_owned()),
    }
}

fn read_noncurrent(transition: &types::NoncurrentVersionTransition) -> Transition {
    Transition {
        days: transition.noncurrent_days(),
        date: None,
        newer_versions: transition.newer_noncurrent_versions(),
        storage_class: transition.storage_class().map(|class| class.as_str().to_owned()),
    }
}

/// The rules as the SDK sends them.
pub(super) fn write(lifecycle: &Lifecycle) -> Result<types::BucketLifecycleConfiguration, BuildError> {
    let rules = lifecycle.rules.iter().map(write_rule).collect::<Result<_, _>>()?;
    types::BucketLifecycleConfiguration::builder().set_rules(Some(rules)).build()
}

fn date_value(text: Option<&String>) -> Option<DateTime> {
    text.and_then(|text| DateTime::from_str(text, Format::DateTime).ok())
}

#[expect(deprecated, reason = "rules written with the old rule-level prefix must keep it")]
fn write_rule(rule: &LifecycleRule) -> Result<types::LifecycleRule, BuildError> {
    let expires =
        rule.expiration_days.is_some() || rule.expiration_date.is_some() || rule.expired_delete_marker.is_some();
    let expiration = expires.then(|| {
        types::LifecycleExpiration::builder()
            .set_days(rule.expiration_days)
            .set_date(date_value(rule.expiration_date.as_ref()))
            .set_expired_object_delete_marker(rule.expired_delete_marker)
            .build()
    });
    let noncurrent = rule.noncurrent_expiration.as_ref().map(|expiration| {
        types::NoncurrentVersionExpiration::builder()
            .set_noncurrent_days(expiration.days)
            .set_newer_noncurrent_versions(expiration.newer_versions)
            .build()
    });
    let abort = rule
        .abort_multipart_days
        .map(|days| types::AbortIncompleteMultipartUpload::builder().days_after_initiation(days).build());
    let filter = if rule.legacy_prefix.is_some() { None } else { Some(write_filter(&rule.filter)?) };
    let transitions = rule.transitions.iter().map(write_transition).collect();
    let noncurrent_transitions = rule.noncurrent_transitions.iter().map(write_noncurrent).collect();
    types::LifecycleRule::builder()
        .set_id(rule.id.clone())
        .status(if rule.enabled { types::ExpirationStatus::Enabled } else { types::ExpirationStatus::Disabled })
        .set_filter(filter)
        .set_prefix(rule.legacy_prefix.clone())
        .set_expiration(expiration)
        .set_noncurrent_version_expiration(noncurrent)
        .set_transitions(some_list(transitions))
        .set_noncurrent_version_transitions(some_list(noncurrent_transitions))
        .set_abort_incomplete_multipart_upload(abort)
        .build()
}

fn some_list<T>(list: Vec<T>) -> Option<Vec<T>> {
    (!list.is_empty()).then_some(list)
}

/// One condition stands alone, several stand in an `And`, none is the empty prefix.
fn write_filter(filter: &LifecycleFilter) -> Result<types::LifecycleRuleFilter, BuildError> {
    let tags = filter
        .tags
        .iter()
        .map(|(key, value)| types::Tag::builder().key(key).value(value).build())
        .collect::<Result<Vec<_>, _>>()?;
    let sizes = usize::from(filter.size_greater_than.is_some()) + usize::from(filter.size_less_than.is_some());
    let conditions = usize::from(filter.prefix.is_some()) + tags.len() + sizes;
    let builder = types::LifecycleRuleFilter::builder();
    Ok(match conditions {
        0 => builder.prefix("").build(),
        1 => builder
            .set_prefix(filter.prefix.clone())
            .set_tag(tags.into_iter().next())
            .set_object_size_greater_than(filter.size_greater_than)
            .set_object_size_less_than(filter.size_less_than)
            .build(),
        _ => builder
            .and(
                types::LifecycleRuleAndOperator::builder()
                    .set_prefix(filter.prefix.clone())
                    .set_tags(some_list(tags))
                    .set_object_size_greater_than(filter.size_greater_than)
                    .set_object_size_less_than(filter.size_less_than)
                    .build(),
            )
            .build(),
    })
}

fn write_transition(transition: &Transition) -> types::Transition {
    types::Transition::builder()
        .set_days(transition.days)
        .set_date(date_value(transition.date.as_ref()))
        .set_storage_class(transition.storage_class.as_deref().map(types::TransitionStorageClass::from))
        .build()
}

fn write_noncurrent(transition: &Transition) -> types::NoncurrentVersionTransition {
    types::NoncurrentVersionTransition::builder()
        .set_noncurrent_days(transition.days)
        .set_newer_noncurrent_versions(transition.newer_versions)
        .set_storage_class(transition.storage_class.as_deref().map(types::TransitionStorageClass::from))
        .build()
}

#[cfg(test)]
mod tests {
    use super::{read_rule, write_rule};
    use crate::model::{LifecycleFilter, LifecycleRule, NoncurrentExpiration, Transition};

    #[test]
    fn rules_survive_the_way_out_and_back() {
        let full = LifecycleRule {
            id: Some("theirs".to_owned()),
            enabled: false,
            filter: LifecycleFilter {
                prefix: Some("logs/".to_owned()),
                tags: vec![("a".to_owned(), "b".to_owned())],
                size_greater_than: Some(1),
                size_less_than: None,
            },
            expiration_date: Some("2030-01-01T00:00:00Z".to_owned()),
            noncurrent_expiration: Some(NoncurrentExpiration { days: Some(4), newer_versions: Some(2) }),
            transitions: vec![Transition {
                days: Some(30),
                storage_class: Some("GLACIER".to_owned()),
                ..Transition::default()
            }],
            noncurrent_transitions: vec![Transition {
                days: Some(3),
                newer_versions: Some(1),
                storage_class: Some("SOME_NEW_CLASS".to_owned()),
                ..Transition::default()
            }],
            abort_multipart_days: Some(9),
            ..LifecycleRule::default()
        };
        let legacy = LifecycleRule {
            legacy_prefix: Some("old/".to_owned()),
            expiration_days: Some(1),
            ..LifecycleRule::default()
        };
        let bare = LifecycleRule { expired_delete_marker: Some(true), enabled: true, ..LifecycleRule::default() };
        for rule in [full, legacy, bare] {
            assert_eq!(read_rule(&write_rule(&rule).unwrap()), rule);
        }
    }
}
