//! Buckets without the secure defaults: by the comparison behind `verify`, and the linter for their policies.

use super::broad::{self, Held};
use super::{Audit, Ground, HIDDEN, hidden};
use crate::layout::{Bucket, DEFAULT_BACKUP, Layout, Purpose};
use crate::model::{BucketState, Control, Endpoint, Existence, Lifecycle, Reading, Seen, TagKey};
use crate::policy::lint::PolicyType;
use crate::report::{Check, Finding, Severity, Verdict};
use crate::verify::settings;

/// The rights that looking at a bucket takes.
const RIGHTS: &str = "s3:ListBucket and the s3:Get* rights of bucket settings (`policy generate --for operator`)";

/// Judges every bucket.
pub(super) fn judge(ground: Ground<'_>, seen: &Seen<Vec<BucketState>>, audit: &mut Audit) {
    let states = match seen {
        Seen::Here(states) => states,
        Seen::Absent => return,
        Seen::Hidden(why) => {
            return audit.findings.push(hidden("the list of buckets", "account/buckets", why, "s3:ListAllMyBuckets"));
        }
    };
    for state in states {
        if is_elsewhere(ground, state) {
            audit.findings.push(elsewhere(state));
        } else if state.existence == Existence::Forbidden {
            audit.findings.push(hidden("the bucket", &target(state), "the caller may not reach it", RIGHTS));
        } else {
            of_bucket(ground, state, audit);
        }
    }
}

fn target(state: &BucketState) -> String {
    format!("s3://{}", state.name)
}

/// In another Region of AWS every question is only redirected.
fn is_elsewhere(ground: Ground<'_>, state: &BucketState) -> bool {
    ground.around.endpoint == Endpoint::Aws
        && state.region.as_ref().is_some_and(|region| *region != ground.around.region)
}

fn elsewhere(state: &BucketState) -> Finding {
    let region = state.region.as_ref().map(ToString::to_string).unwrap_or_default();
    let message = format!("it is in region {region}, and was not looked at");
    let fix = format!("audit it with `--region {region} --only buckets`");
    Finding::new("audit-other-region", Severity::Suggestion, target(state), message).with_fix(fix)
}

fn of_bucket(ground: Ground<'_>, state: &BucketState, audit: &mut Audit) {
    let declared = ground.layout.and_then(|layout| {
        let bucket = layout.buckets.iter().find(|bucket| bucket.name == state.name)?;
        Some((layout, bucket))
    });
    let checks = match declared {
        Some((layout, bucket)) => settings::checks(layout, bucket, state, ground.around),
        None => {
            let defaults = defaults(state);
            let judged = defaults.map(|(layout, bucket)| settings::checks(&layout, &bucket, state, ground.around));
            let mut checks = judged.unwrap_or_default();
            checks.retain(|check| check.verdict != Verdict::Waived);
            checks.push(abort_rule(state));
            checks
        }
    };
    let evidence = evidence(state, declared.is_some());
    for check in checks {
        match check.verdict {
            Verdict::Fail => audit.findings.push(failed(&check, declared.is_some(), evidence.clone())),
            Verdict::Unknown => audit.findings.push(unknown(&check)),
            Verdict::Waived => audit.waived.push(check),
            Verdict::Pass | Verdict::NotApplicable => {}
        }
    }
    if let Reading::Known(Some(document)) = &state.policy {
        let held = Held {
            target: &target(state),
            part: "bucket policy",
            document,
            kind: PolicyType::Bucket,
            bucket: Some(&state.name),
            evidence: Vec::new(),
        };
        broad::judge(&held, &mut audit.findings);
    }
}

fn failed(check: &Check, is_declared: bool, evidence: Vec<String>) -> Finding {
    let control = check.check.parse::<Control>().ok();
    let severity = match control {
        None => Severity::Error,
        Some(Control::PublicAccess | Control::Ownership | Control::TlsOnly | Control::Encryption) => {
            Severity::SecurityWarning
        }
        Some(_) => Severity::Warning,
    };
    let message = match control {
        Some(_) => format!("{} {}", check.check, check.detail),
        None => check.detail.clone(),
    };
    let fix = match is_declared {
        true => "`bucketwright apply LAYOUT --only settings` sets it; or waive it in the layout with a reason",
        false => "a layout that names the bucket with `adopt = true` sets it by `apply`, and waives it with a reason",
    };
    Finding::new("audit-bucket", severity, &check.target, message).with_fix(fix).with_grounds(&check.check, evidence)
}

fn unknown(check: &Check) -> Finding {
    let message = format!("{} cannot be told: {}", check.check, check.detail);
    let finding = Finding::new(HIDDEN, Severity::Warning, &check.target, message);
    finding.with_fix(format!("use a profile with {RIGHTS}")).with_grounds(&check.check, Vec::new())
}

/// What should be known beside the setting itself.
fn evidence(state: &BucketState, is_declared: bool) -> Vec<String> {
    let owner = state.tags.known().and_then(|tags| tags.get(&TagKey::owner()));
    match owner {
        Some(owner) if !is_declared => {
            vec![format!("layout `{owner}` owns it: an audit with that layout knows what it waives")]
        }
        _ => Vec::new(),
    }
}

/// What any bucket should have, whoever made it: nothing of it asks for names, tags or rules of this tool.
fn defaults(state: &BucketState) -> Option<(Layout, Bucket)> {
    let given_up = [Control::Tags, Control::Lifecycle, Control::AccessLog];
    let bucket = Bucket {
        // A key of its own is more than the default.
        kms_key: state.encryption.known().and_then(|found| found.as_ref()?.kms_key.clone()),
        waive: given_up.into_iter().map(|control| (control, "not asked here".to_owned())).collect(),
        ..Bucket::with_defaults(state.name.clone(), Purpose::Declared)
    };
    let layout = Layout {
        id: "audit".parse().ok()?,
        account: None,
        region: None,
        profile: None,
        backup: DEFAULT_BACKUP.to_owned(),
        buckets: Vec::new(),
        datasets: Vec::new(),
        grants: Vec::new(),
        asserts: Vec::new(),
    };
    Some((layout, bucket))
}

/// Whether some rule, whosever it is, frees what unfinished uploads hold.
fn abort_rule(state: &BucketState) -> Check {
    let aborts = |rules: &Lifecycle| {
        rules.rules.iter().any(|rule| {
            let prefix = rule.filter.prefix.as_deref().or(rule.legacy_prefix.as_deref());
            rule.enabled && rule.abort_multipart_days.is_some() && prefix.unwrap_or_default().is_empty()
        })
    };
    let (verdict, detail) = match &state.lifecycle {
        Reading::Known(rules) if aborts(rules) => (Verdict::Pass, "unfinished uploads are aborted".to_owned()),
        Reading::Known(_) => (Verdict::Fail, "has no rule that aborts unfinished uploads (S3.10, S3.13)".to_owned()),
        Reading::Denied(why) => (Verdict::Unknown, format!("may not be read: {why}")),
        Reading::Unsupported => (Verdict::NotApplicable, String::new()),
    };
    Check { check: Control::Lifecycle.to_string(), target: target(state), verdict, detail }
}
