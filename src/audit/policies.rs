//! Managed policies: nobody has them, nobody uses what they give, no layout names them any more, their name says nothing.

use super::broad::{self, Held};
use super::{Ground, HIDDEN, SeenPolicy, SeenRole, days_between, hidden, in_days, names, since};
use crate::access;
use crate::layout::Layout;
use crate::model::{Attachments, ManagedPolicy, Owner, PolicyName, RoleName, Seen, ServiceUse, TagKey};
use crate::policy::lint::PolicyType;
use crate::report::{Finding, Severity, attachment_names};
use jiff::Timestamp;
use std::collections::BTreeSet;

/// What the record of use is worth.
///
/// Source: <https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_last-accessed.html>
const LIMITS: &str = "IAM's record counts attempts, refused ones too, by whatever policy they were allowed; it is some hours \
                      late and ends after 400 days";
/// How many names stand in a line of evidence.
const NAMES: usize = 5;

/// What is known of one policy.
struct Case<'run> {
    ground: Ground<'run>,
    seen: &'run SeenPolicy,
    /// Who has it, in words; none if it is known that nobody does.
    holders: Vec<String>,
    is_boundary: bool,
    roles: Option<&'run [SeenRole]>,
}

/// Judges every policy.
pub(super) fn judge(
    ground: Ground<'_>,
    seen: &Seen<Vec<SeenPolicy>>,
    roles: Option<&Vec<SeenRole>>,
    findings: &mut Vec<Finding>,
) {
    let rights = "iam:GetAccountAuthorizationDetails and iam:ListPolicyTags, or iam:ListPolicies and iam:GetPolicy";
    let policies = match seen {
        Seen::Here(policies) => policies,
        Seen::Absent => return,
        Seen::Hidden(why) => return findings.push(hidden("the list of policies", "account/policies", why, rights)),
    };
    let named = ground.layout.map(|layout| access::names_of(layout, ground.around.region.partition()));
    for seen in policies {
        let case = Case::new(ground, seen, roles.map(Vec::as_slice));
        case.judge(named.as_ref(), findings);
    }
    unread_use(policies, findings);
}

/// One finding for all whose use may not be read, since one right opens all of it.
fn unread_use(policies: &[SeenPolicy], findings: &mut Vec<Finding>) {
    let unread: Vec<(&PolicyName, &str)> = policies
        .iter()
        .filter_map(|one| match &one.uses {
            Seen::Hidden(why) => Some((&one.policy.name, why.as_str())),
            Seen::Here(_) | Seen::Absent => None,
        })
        .collect();
    let Some((_, why)) = unread.first() else { return };
    let names: Vec<String> = unread.iter().map(|(name, _)| format!("`{name}`")).collect();
    let message = format!("whether somebody uses what {} give cannot be told: {why}", shortened(&names));
    let rights = "iam:GenerateServiceLastAccessedDetails and iam:GetServiceLastAccessedDetails";
    let finding = Finding::new(HIDDEN, Severity::Warning, "account/policies", message);
    findings.push(finding.with_fix(format!("use a profile with {rights}")).with_grounds("last use", Vec::new()));
}

/// The first names, and how many more.
fn shortened(names: &[String]) -> String {
    match names.len().checked_sub(NAMES) {
        None | Some(0) => names.join(", "),
        Some(more) => format!("{} and {more} more", names[..NAMES].join(", ")),
    }
}

impl<'run> Case<'run> {
    fn new(ground: Ground<'run>, seen: &'run SeenPolicy, roles: Option<&'run [SeenRole]>) -> Self {
        let policy = &seen.policy;
        let (holders, is_boundary) = match &seen.attachments {
            Seen::Here(found) => (
                attachment_names(&Attachments { boundary_of: Vec::new(), ..found.clone() }),
                !found.boundary_of.is_empty(),
            ),
            Seen::Absent => (Vec::new(), false),
            Seen::Hidden(_) => {
                let counted =
                    (policy.attachments > 0).then(|| format!("{} users, groups or roles", policy.attachments));
                (counted.into_iter().collect(), policy.boundary_uses > 0)
            }
        };
        Self { ground, seen, holders, is_boundary, roles }
    }

    fn judge(&self, named: Option<&BTreeSet<PolicyName>>, findings: &mut Vec<Finding>) {
        let policy = &self.seen.policy;
        let is_named = named.is_some_and(|names| names.contains(&policy.name));
        let is_ours = self.ground.layout.is_some_and(|layout| is_of(policy, layout));
        if is_ours && !is_named {
            findings.push(self.left_layout());
        } else if self.holders.is_empty() && !self.is_boundary && !is_named {
            // What the layout names is attached by `apply`, and drift until then.
            findings.push(self.unattached());
        } else {
            findings.extend(self.unused());
        }
        if names::says_nothing(policy.name.as_str()) {
            findings.push(self.name());
        }
        let Some(version) = policy.in_force() else { return };
        let kind =
            if self.holders.is_empty() && self.is_boundary { PolicyType::Boundary } else { PolicyType::Identity };
        let held = Held {
            target: policy.arn.as_str(),
            part: "",
            document: &version.document,
            kind,
            bucket: None,
            evidence: vec![format!("{} is in force; {}", version.id, self.whom())],
        };
        broad::judge(&held, findings);
    }

    fn finding(
        &self,
        code: &'static str,
        severity: Severity,
        message: String,
        fix: String,
        rest: Vec<String>,
    ) -> Finding {
        let evidence = rest.into_iter().chain(self.origin()).collect();
        Finding::new(code, severity, &self.seen.policy.arn, message).with_fix(fix).with_grounds("", evidence)
    }

    fn unattached(&self) -> Finding {
        let name = &self.seen.policy.name;
        let message = format!("policy `{name}` is attached to nobody and bounds nobody");
        let by_hand = if self.owner().is_some() { "" } else { " --foreign" };
        let fix = format!("`bucketwright policy prune {name}{by_hand}` backs it up and deletes it");
        self.finding("audit-unattached", Severity::Warning, message, fix, self.counted())
    }

    fn left_layout(&self) -> Finding {
        let name = &self.seen.policy.name;
        let owner = self.owner().unwrap_or_default();
        let message = format!("policy `{name}` carries the tag of layout `{owner}`, which does not name it any more");
        let fix = match self.holders.is_empty() {
            true => format!("`bucketwright policy prune {name}` backs it up and deletes it"),
            false => format!("`apply` takes it from roles; then `bucketwright policy prune {name}` deletes it"),
        };
        let mut evidence = vec![self.whom()];
        evidence.extend(self.counted());
        self.finding("audit-left-layout", Severity::Warning, message, fix, evidence)
    }

    fn name(&self) -> Finding {
        let name = &self.seen.policy.name;
        let message = format!("the name `{name}` does not say what the policy is for");
        let fix = "make it anew as PURPOSE-SCOPE-ACCESS, such as `flyte-credit-scoring-read`, attach that, then prune this one";
        let described = match &self.seen.policy.description {
            Some(text) => format!("its description: {text}"),
            None => "it has no description".to_owned(),
        };
        let evidence = vec![described, self.whom()];
        Finding::new("audit-name", Severity::Suggestion, &self.seen.policy.arn, message)
            .with_fix(fix)
            .with_grounds("", evidence)
    }

    /// Somebody has it, and as far as IAM remembers nobody used what it gives.
    fn unused(&self) -> Option<Finding> {
        let (limits, policy) = (self.ground.limits, &self.seen.policy);
        let uses = self.seen.uses.here().filter(|uses| !uses.is_empty() && !self.holders.is_empty())?;
        let is_old = |at: Timestamp| limits.now.duration_since(at) > limits.unused_after;
        // What was made just now could not be used yet.
        if !policy.created.is_some_and(is_old) || uses.iter().filter_map(|used| used.last).any(|at| !is_old(at)) {
            return None;
        }
        let name = &policy.name;
        let after = in_days(limits.unused_after);
        let message = format!("nobody who has policy `{name}` tried what it gives in the last {after}");
        let fix = format!("`bucketwright policy detach {name} --role ROLE` where it is not needed, then prune it");
        let mut evidence: Vec<String> = vec![self.whom(), self.attempts(uses)];
        evidence.extend(self.roles_used());
        evidence.push(LIMITS.to_owned());
        Some(self.finding("audit-unused", Severity::Warning, message, fix, evidence))
    }

    /// `s3: last tried 2026-01-02 (325 days ago) by role/x; sqs: not tried`
    fn attempts(&self, uses: &[ServiceUse]) -> String {
        let one = |used: &ServiceUse| match (used.last, &used.by) {
            (Some(at), by) => {
                let by = by.as_deref().map(|by| format!(" by {}", by.rsplit(':').next().unwrap_or(by)));
                format!("{}: last tried {}{}", used.service, since(at, self.ground.limits.now), by.unwrap_or_default())
            }
            (None, _) => format!("{}: not tried", used.service),
        };
        shortened(&uses.iter().map(one).collect::<Vec<_>>())
    }

    /// When the roles that have it were last taken, where that was read.
    fn roles_used(&self) -> Vec<String> {
        let attached = self.seen.attachments.here().map(|found| found.roles.as_slice()).unwrap_or_default();
        let used = |name: &RoleName| {
            let found = self.roles?.iter().find(|seen| RoleName::of_arn(&seen.arn).as_ref() == Some(name));
            let last = found?.role.here()?.last_use.as_ref()?;
            Some(format!("role {name} was last used {}", since(last.at, self.ground.limits.now)))
        };
        attached.iter().take(NAMES).filter_map(used).collect()
    }

    fn owner(&self) -> Option<String> {
        self.seen.policy.tags.get(&TagKey::owner()).map(ToString::to_string)
    }

    /// Whom it is in force for, in words.
    fn whom(&self) -> String {
        match (self.holders.is_empty(), self.is_boundary) {
            (true, true) => "attached to nobody, and somebody's permissions boundary".to_owned(),
            (true, false) => "attached to nobody".to_owned(),
            (false, _) => format!("attached to {}", shortened(&self.holders)),
        }
    }

    /// Where the answer is only a number.
    fn counted(&self) -> Vec<String> {
        match &self.seen.attachments {
            Seen::Hidden(why) => vec![format!("by IAM's own count; to whom it is attached may not be read: {why}")],
            Seen::Here(_) | Seen::Absent => Vec::new(),
        }
    }

    /// How old it is, and whose.
    fn origin(&self) -> Vec<String> {
        let (policy, now) = (&self.seen.policy, self.ground.limits.now);
        let made = policy.created.map(|at| format!("made {}", since(at, now)));
        let is_newer = |at: &Timestamp| policy.created.is_none_or(|made| days_between(made, *at) > 0);
        let changed = policy.updated.filter(is_newer).map(|at| format!("last changed {}", since(at, now)));
        let age: Vec<String> = made.into_iter().chain(changed).collect();
        let owner = match self.owner() {
            Some(owner) => format!("owner tag of layout `{owner}`"),
            None => "no owner tag: this tool did not make it".to_owned(),
        };
        let age = (!age.is_empty()).then(|| age.join(", "));
        age.into_iter().chain([owner]).collect()
    }
}

fn is_of(policy: &ManagedPolicy, layout: &Layout) -> bool {
    Owner::of(&policy.tags, &layout.id) == Owner::Ours
}
