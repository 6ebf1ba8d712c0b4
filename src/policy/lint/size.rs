//! Whether a document fits where it is to be attached.
//!
//! Counted is the document without white space between its tokens. AWS does not say whether white space inside of
//! texts counts, so it does here, which is the stricter reading.
//! Sources: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html>,
//! <https://docs.aws.amazon.com/organizations/latest/userguide/orgs_reference_limits.html>

use super::codes::{
    JSON_SYNTAX_ERROR, POLICY_SIZE_EXCEEDS_IDENTITY_POLICY_QUOTA, POLICY_SIZE_EXCEEDS_RESOURCE_POLICY_QUOTA,
    POLICY_SIZE_EXCEEDS_SCP_QUOTA,
};
use super::{PolicyType, Report};
use crate::document::MAX_BUCKET_POLICY_BYTES;
use crate::policy::json::Json;
use crate::policy::path::DocumentPath;

/// Characters of a managed policy.
const MANAGED: usize = 6144;
/// Characters of a session policy, and of a trust policy before its quota is raised.
const SESSION_OR_TRUST: usize = 2048;
/// Characters of a service or resource control policy.
const ORGANIZATION: usize = 5120;

/// The longest document that is looked at any further: some ten times what fits anywhere, and more than the longest
/// of AWS's own policies.
const MOST_BYTES: usize = 256 * 1024;

/// Says what is too long for its place; false if it is too long for any rule to be worth its while.
pub(super) fn check(json: &Json, kind: PolicyType, report: &mut Report) -> bool {
    let text = json.compact();
    if text.len() > MOST_BYTES {
        let message = format!("this is larger than {MOST_BYTES} bytes without white space, and no policy is");
        report.add(JSON_SYNTAX_ERROR, &DocumentPath::root(), message, "check that this is the right file");
        return false;
    }
    let characters = text.chars().count();
    let split = "split it by buckets or folders into several policies";
    let (code, has, most, fix) = match kind {
        PolicyType::Identity => (POLICY_SIZE_EXCEEDS_IDENTITY_POLICY_QUOTA, characters, MANAGED, split),
        PolicyType::Boundary => (
            POLICY_SIZE_EXCEEDS_IDENTITY_POLICY_QUOTA,
            characters,
            MANAGED,
            "a user or role has one boundary, so say the same with fewer, wider patterns",
        ),
        PolicyType::Session => (
            POLICY_SIZE_EXCEEDS_IDENTITY_POLICY_QUOTA,
            characters,
            SESSION_OR_TRUST,
            "name managed policies by ARN instead, or keep to one folder",
        ),
        PolicyType::Bucket => (
            POLICY_SIZE_EXCEEDS_RESOURCE_POLICY_QUOTA,
            text.len(),
            MAX_BUCKET_POLICY_BYTES,
            "merge statements, or move grants into identity policies or access points",
        ),
        PolicyType::Trust => (
            POLICY_SIZE_EXCEEDS_RESOURCE_POLICY_QUOTA,
            characters,
            SESSION_OR_TRUST,
            "merge statements, or ask AWS for a higher quota, which goes up to 8,192",
        ),
        PolicyType::Scp | PolicyType::Rcp => (
            POLICY_SIZE_EXCEEDS_SCP_QUOTA,
            characters,
            ORGANIZATION,
            "split it; look up the organization's current quota first",
        ),
    };
    if has > most {
        let unit = if kind == PolicyType::Bucket { "bytes" } else { "characters" };
        let message = format!("{kind} has at most {most} {unit}; this has {has} without white space");
        report.add(code, &DocumentPath::root(), message, fix);
    }
    true
}
