//! `policy audit`: what an account holds that nobody should leave as it is, from what was observed of it.
//!
//! A finding rests on evidence and says how far that reaches. What may not be read is told and never taken for absent or
//! unused. Documents are judged by the linter, buckets by the comparison behind `verify`, grants by their planner: nothing
//! here is a second opinion.

pub mod baseline;
mod broad;
mod buckets;
mod drift;
mod keys;
mod names;
mod policies;
pub mod prune;

use crate::access::AccountPlan;
use crate::layout::Layout;
use crate::layout::controls::Circumstances;
use crate::model::{Arn, Attachments, BucketState, ManagedPolicy, Role, Seen, ServiceUse, User};
use crate::policy::lint;
use crate::report::{Check, Finding, Severity};
use jiff::{SignedDuration, Timestamp};

/// The code of what may not be read, which every verb over an account uses.
pub const HIDDEN: &str = "account-hidden";

/// What was observed. A part that nobody looked at is none, and says nothing.
#[derive(Debug, Clone, Default)]
pub struct Observed {
    /// The customer managed policies.
    pub policies: Option<Seen<Vec<SeenPolicy>>>,
    /// The roles, but those of AWS's services.
    pub roles: Option<Seen<Vec<SeenRole>>>,
    /// The users with their keys.
    pub users: Option<Seen<Vec<User>>>,
    /// The buckets: those of the layout, or all of the caller's.
    pub buckets: Option<Seen<Vec<BucketState>>>,
    /// What `apply` would do in the account for the layout's grants.
    pub grants: Option<AccountPlan>,
}

/// A managed policy with whom it is attached to and what is known of its use.
#[derive(Debug, Clone)]
pub struct SeenPolicy {
    /// The policy.
    pub policy: ManagedPolicy,
    /// Who has it.
    pub attachments: Seen<Attachments>,
    /// When those who have it last tried what it speaks of; absent where no record is kept.
    pub uses: Seen<Vec<ServiceUse>>,
}

/// A role as far as it was seen.
#[derive(Debug, Clone)]
pub struct SeenRole {
    /// Its ARN, which a list told.
    pub arn: Arn,
    /// What it carries.
    pub role: Seen<Role>,
}

/// What is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parts {
    /// Managed policies and roles.
    pub policies: bool,
    /// Users with keys, and who asks.
    pub keys: bool,
    /// A layout's grants, where there is a layout.
    pub grants: bool,
    /// Buckets.
    pub buckets: bool,
}

impl Parts {
    /// All of it.
    pub const ALL: Self = Self { policies: true, keys: true, grants: true, buckets: true };

    /// True if a finding of that code on that target would have been found by this look.
    pub fn cover(self, code: &str, target: &str, layout: Option<&Layout>) -> bool {
        let is_declared = |layout: &Layout| {
            layout.buckets.iter().any(|bucket| target.strip_prefix("s3://") == Some(bucket.name.as_str()))
        };
        match code {
            _ if target.starts_with("s3://") => self.buckets && layout.is_none_or(is_declared),
            "audit-static-key" | "audit-old-key" | "audit-idle-key" | "audit-caller-key" => self.keys,
            "audit-left-layout" => self.policies && layout.is_some(),
            // A layout names things that otherwise would be found so.
            "audit-unattached" => self.policies && layout.is_none(),
            _ if code.starts_with("audit-") && code != "audit-drift" => self.policies,
            _ if lint::codes().iter().any(|known| known.name == code) => self.policies,
            _ => self.grants && layout.is_some(),
        }
    }
}

/// What counts as old.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The present.
    pub now: Timestamp,
    /// How long something may stay without use.
    pub unused_after: SignedDuration,
}

/// What came of it.
#[derive(Debug, Clone, Default)]
pub struct Audit {
    /// The findings; those about one thing stand together, the weightiest first.
    pub findings: Vec<Finding>,
    /// The controls of buckets that the layout gives up, with its reasons.
    pub waived: Vec<Check>,
}

/// What the rules share.
#[derive(Debug, Clone, Copy)]
struct Ground<'run> {
    layout: Option<&'run Layout>,
    around: &'run Circumstances,
    limits: Limits,
}

/// Judges what was observed.
pub fn audit(layout: Option<&Layout>, around: &Circumstances, observed: &Observed, limits: Limits) -> Audit {
    let ground = Ground { layout, around, limits };
    let mut audit = Audit::default();
    if let Some(seen) = &observed.policies {
        policies::judge(ground, seen, observed.roles.as_ref().and_then(Seen::here), &mut audit.findings);
    }
    if let Some(seen) = &observed.roles {
        broad::roles(seen, &mut audit.findings);
    }
    if let Some(seen) = &observed.users {
        keys::judge(ground, seen, &mut audit.findings);
    }
    if let Some(plan) = &observed.grants {
        drift::judge(plan, &mut audit.findings);
    }
    if let Some(seen) = &observed.buckets {
        buckets::judge(ground, seen, &mut audit);
    }
    audit.findings = together(audit.findings);
    audit
}

/// Findings about one thing together, in the order in which things were first spoken of.
fn together(findings: Vec<Finding>) -> Vec<Finding> {
    let mut targets: Vec<String> = Vec::new();
    let mut placed: Vec<(usize, Finding)> = Vec::new();
    for finding in findings {
        let at = targets.iter().position(|target| *target == finding.target).unwrap_or_else(|| {
            targets.push(finding.target.clone());
            targets.len() - 1
        });
        // Two looks at one thing say the same once.
        if !placed.iter().any(|(_, known)| *known == finding) {
            placed.push((at, finding));
        }
    }
    placed.sort_by_key(|(at, finding)| (*at, std::cmp::Reverse(finding.severity)));
    placed.into_iter().map(|(_, finding)| finding).collect()
}

/// Something that may not be read.
fn hidden(what: &str, target: &str, why: &str, rights: &str) -> Finding {
    let message = format!("{what} may not be read: {why}");
    let finding = Finding::new(HIDDEN, Severity::Warning, target, message);
    finding.with_fix(format!("use a profile with {rights}")).with_grounds(what, Vec::new())
}

/// `2026-11-23 (5 days ago)`
fn since(at: Timestamp, now: Timestamp) -> String {
    let day = at.strftime("%Y-%m-%d");
    match days_between(at, now) {
        0 => format!("{day} (today)"),
        1 => format!("{day} (1 day ago)"),
        days => format!("{day} ({days} days ago)"),
    }
}

/// Whole days from one to the other; none are negative.
fn days_between(at: Timestamp, now: Timestamp) -> i64 {
    now.duration_since(at).as_hours().max(0) / 24
}

/// `90 days`
fn in_days(time: SignedDuration) -> String {
    match time.as_hours() / 24 {
        1 => "1 day".to_owned(),
        days => format!("{days} days"),
    }
}

#[cfg(test)]
mod tests;
