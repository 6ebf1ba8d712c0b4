//! Policies of grants, held against those that the account has.

use super::{Planner, impact, quotas};
use crate::document::Document;
use crate::layout::{Bucket, Grant};
use crate::model::{
    Arn, ManagedPolicy, Owner, PolicyJson, PolicyName, RoleName, Seen, TagKey, TagValue, Tags, VersionId,
};
use crate::plan::{AccountStep, Reason};
use crate::report::{Finding, Severity};

/// What a description may hold, in characters.
///
/// Source: <https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreatePolicy.html>
const MAX_DESCRIPTION: usize = 1000;

impl Planner<'_> {
    /// The ARN of a policy: the one it has, or the one it will have.
    pub(super) fn arn_of(&self, name: &PolicyName) -> Option<Arn> {
        if let Some(Seen::Here(found)) = self.state.policies.get(name) {
            return Some(found.arn.clone());
        }
        format!("arn:{}:iam::{}:policy/{name}", self.state.partition, self.state.account).parse().ok()
    }

    /// One policy of a grant: made, brought up to date, or left as it is.
    pub(super) fn policy(&mut self, grant: &Grant, name: &PolicyName, document: &PolicyJson) {
        let Some(policy) = self.arn_of(name) else { return };
        let tags = self.tags_of(grant);
        let found = match self.state.policies.get(name) {
            Some(Seen::Here(found)) => found,
            _ => {
                let step = AccountStep::CreatePolicy {
                    policy,
                    name: name.clone(),
                    description: self.description(grant),
                    document: document.clone(),
                    tags,
                };
                return self.push(step, Reason::Missing);
            }
        };
        match self.owner(&found.tags) {
            Owner::Ours => self.ours(found, document, tags),
            Owner::Nobody if grant.adopt => self.adopted(found, document, tags),
            Owner::Nobody => {
                let message = format!("policy `{name}` exists and carries no owner tag of this tool");
                let fix = "give the grant another `policy`, or say `adopt = true` in it if the policy is yours and may change";
                self.error("not-ours", policy.as_str(), message, fix);
            }
            Owner::Other(other) => {
                let message = format!("policy `{name}` belongs to layout `{other}`, this one is `{}`", self.layout.id);
                self.error("other-layout", policy.as_str(), message, "give the grant another `policy`");
            }
        }
    }

    fn ours(&mut self, found: &ManagedPolicy, document: &PolicyJson, tags: Tags) {
        let missing = missing_tags(&found.tags, tags);
        let is_tagged = missing.is_empty();
        if !is_tagged {
            let reason = Reason::Wanted(format!("its tags lack {}", shown(&missing)));
            self.push(AccountStep::TagPolicy { policy: found.arn.clone(), tags: missing }, reason);
        }
        if same(found, document) {
            self.plan.unchanged += u64::from(is_tagged);
        } else {
            self.new_version(found, document);
        }
    }

    /// A policy without owner tag that the layout takes over: what that changes is told in full.
    fn adopted(&mut self, found: &ManagedPolicy, document: &PolicyJson, tags: Tags) {
        let missing = missing_tags(&found.tags, tags);
        self.push(AccountStep::TagPolicy { policy: found.arn.clone(), tags: missing }, Reason::Adopted);
        let held_by = self.holders(&found.arn);
        if !held_by.is_empty() {
            let message = format!("policy `{}` is taken over; it is attached to {}", found.name, listed(&held_by));
            self.find(Finding::new("change-impact", Severity::Warning, &found.arn, message));
        }
        if same(found, document) {
            return;
        }
        self.new_version(found, document);
        if let Some(version) = found.in_force() {
            let told = impact::told(found.name.as_str(), &version.document, document);
            let target = found.arn.to_string();
            self.plan.findings.extend(told.into_iter().map(|message| {
                Finding::new("change-impact", Severity::Warning, &target, format!("policy `{}`: {message}", found.name))
            }));
        }
    }

    fn new_version(&mut self, found: &ManagedPolicy, document: &PolicyJson) {
        let prunes = self.pruned(found);
        let mut reason = format!("replaces {}", found.default_version);
        if let Some(version) = found.in_force() {
            reason = format!("{reason}: {}", impact::summary(found.name.as_str(), &version.document, document));
        }
        if let Some(pruned) = prunes {
            reason = format!("{reason}; {pruned} is backed up and removed, for IAM keeps no more versions");
        }
        let step = AccountStep::CreatePolicyVersion {
            policy: found.arn.clone(),
            document: document.clone(),
            prunes,
            held_by: self.holders(&found.arn),
        };
        self.push(step, Reason::Wanted(reason));
    }

    /// The version that must go before another one can be made: the oldest that is not in force.
    fn pruned(&self, found: &ManagedPolicy) -> Option<VersionId> {
        let most = quotas::of(self.state).versions_per_policy;
        let others = found.versions.iter().map(|version| version.id).filter(|id| *id != found.default_version);
        others.min().filter(|_| found.versions.len() as u64 >= most)
    }

    /// The roles that a policy is attached to, as far as that may be read.
    pub(super) fn holders(&self, policy: &Arn) -> Vec<RoleName> {
        let found = self.state.attachments.get(policy).and_then(Seen::here);
        found.map(|attachments| attachments.roles.clone()).unwrap_or_default()
    }

    /// The owner tag, and the tags that all buckets of the grant have in common.
    fn tags_of(&self, grant: &Grant) -> Tags {
        let granted = |bucket: &&Bucket| grant.on.iter().any(|place| place.bucket == bucket.name);
        let mut buckets = self.layout.buckets.iter().filter(granted);
        let mut common = buckets.next().map(|bucket| bucket.tags.clone()).unwrap_or_default();
        for bucket in buckets {
            common.retain(|key, value| bucket.tags.get(key) == Some(value));
        }
        common.insert(TagKey::owner(), TagValue::from(&self.layout.id));
        common
    }

    fn description(&self, grant: &Grant) -> String {
        let places: Vec<String> =
            grant.on.iter().map(|place| format!("s3://{}/{}", place.bucket, place.prefix)).collect();
        let whole = format!("{} on {}, by layout {}", grant.access, places.join(" "), self.layout.id);
        let writable: String = whole.chars().filter(|letter| letter.is_ascii() && !letter.is_ascii_control()).collect();
        if writable.len() <= MAX_DESCRIPTION {
            return writable;
        }
        format!("{} on {} places, by layout {}", grant.access, grant.on.len(), self.layout.id)
    }
}

fn same(found: &ManagedPolicy, document: &PolicyJson) -> bool {
    let parsed = |text: &PolicyJson| Document::parse(text).ok();
    let in_force = found.in_force().and_then(|version| parsed(&version.document));
    matches!((in_force, parsed(document)), (Some(found), Some(wanted)) if found.means_the_same_as(&wanted))
}

/// The tags that are not there with that value.
pub(super) fn missing_tags(found: &Tags, wanted: Tags) -> Tags {
    wanted.into_iter().filter(|(key, value)| found.get(key) != Some(value)).collect()
}

fn shown(tags: &Tags) -> String {
    tags.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(" ")
}

/// Role names in a row.
pub(super) fn listed(roles: &[RoleName]) -> String {
    roles.iter().map(|role| format!("`{role}`")).collect::<Vec<_>>().join(", ")
}
