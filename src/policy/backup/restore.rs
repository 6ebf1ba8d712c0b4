//! What it takes to put back what a backup has and the account lacks. Nothing is deleted, and what differs is shown.

use super::{Backup, BackupError, PolicyEntry, SavedRole};
use crate::document::Document;
use crate::model::{Arn, ManagedPolicy, PolicyJson, PolicyName, Role, RoleName, Seen, TagKey, Tags, VersionId};
use crate::report::{Finding, Severity};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// What of a backup is wanted back.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// Policies by name. Both lists empty: all of it.
    pub policies: BTreeSet<PolicyName>,
    /// Roles by name.
    pub roles: BTreeSet<RoleName>,
}

/// What the account has now of what the backup names.
#[derive(Debug, Clone, Default)]
pub struct Observed {
    /// Policies, by name.
    pub policies: BTreeMap<PolicyName, Seen<ManagedPolicy>>,
    /// Roles, by name.
    pub roles: BTreeMap<RoleName, Seen<Role>>,
    /// How many versions a policy keeps.
    pub versions_per_policy: u64,
}

/// One write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RestoreStep {
    /// A policy that is gone.
    CreatePolicy {
        /// Its ARN.
        arn: Arn,
        /// What it is for.
        description: String,
        /// Its document.
        document: PolicyJson,
        /// Its tags.
        tags: Tags,
    },
    /// A document that none of the policy's versions has any more.
    CreateVersion {
        /// The policy.
        arn: Arn,
        /// The document.
        document: PolicyJson,
    },
    /// A version that is still there, and not in force.
    SetDefault {
        /// The policy.
        arn: Arn,
        /// The version that has the document.
        version: VersionId,
    },
    /// A role that is gone.
    CreateRole {
        /// Its ARN.
        arn: Arn,
        /// What it is for.
        description: String,
        /// Who may take it.
        trust: PolicyJson,
        /// Its tags.
        tags: Tags,
    },
    /// An inline policy that is gone.
    PutInline {
        /// The role.
        role: RoleName,
        /// The policy.
        name: PolicyName,
        /// Its document.
        document: PolicyJson,
    },
    /// A boundary of a role that has none.
    PutBoundary {
        /// The role.
        role: RoleName,
        /// The policy.
        policy: Arn,
    },
    /// A policy that a role no longer has.
    Attach {
        /// The role.
        role: RoleName,
        /// The policy.
        policy: Arn,
    },
}

impl RestoreStep {
    /// The action's kind in output.
    pub const fn action(&self) -> &'static str {
        match self {
            Self::CreatePolicy { .. } => "create-policy",
            Self::CreateVersion { .. } => "create-policy-version",
            Self::SetDefault { .. } => "set-default-version",
            Self::CreateRole { .. } => "create-role",
            Self::PutInline { .. } => "put-inline-policy",
            Self::PutBoundary { .. } => "put-boundary",
            Self::Attach { .. } => "attach-policy",
        }
    }

    /// The role whose rights it is about, for what a boundary must stand before.
    pub const fn bounded(&self) -> Option<&RoleName> {
        match self {
            Self::PutInline { role, .. } | Self::Attach { role, .. } => Some(role),
            _ => None,
        }
    }

    /// What it acts on.
    pub fn target(&self) -> String {
        match self {
            Self::CreatePolicy { arn, .. } | Self::CreateVersion { arn, .. } | Self::CreateRole { arn, .. } => {
                arn.to_string()
            }
            Self::SetDefault { arn, version } => format!("{arn}@{version}"),
            Self::PutInline { role, name, .. } => format!("{name} of role {role}"),
            Self::PutBoundary { role, policy } => format!("{policy} on role {role}"),
            Self::Attach { role, policy } => format!("{policy} to role {role}"),
        }
    }
}

/// What restoring takes.
#[derive(Debug, Clone, Default)]
pub struct Restore {
    /// The writes, in order, each with its reason.
    pub steps: Vec<(RestoreStep, String)>,
    /// What cannot be put back, or was left as it is.
    pub findings: Vec<Finding>,
    /// What is as it was.
    pub unchanged: u64,
}

/// Plans the way back: roles and policies first, then boundaries, and only then what they bound.
pub fn plan_restore(backup: &Backup, wanted: &Wanted, observed: &Observed) -> Result<Restore, BackupError> {
    let mut plan = Restore::default();
    let all = wanted.policies.is_empty() && wanted.roles.is_empty();
    let named_role = |arn: &Arn| RoleName::of_arn(arn).filter(|name| all || wanted.roles.contains(name));
    let mut made: BTreeSet<RoleName> = BTreeSet::new();
    let mut roles = Vec::new();
    for entry in &backup.manifest.roles {
        if let Some(name) = named_role(&entry.arn) {
            roles.push((name, backup.role(entry)?));
        }
    }
    for (name, saved) in &roles {
        if plan.role(name, saved, observed) {
            made.insert(name.clone());
        }
    }
    let mut standing: BTreeSet<Arn> = BTreeSet::new();
    for entry in &backup.manifest.policies {
        let Some(name) = PolicyName::of_arn(&entry.arn).filter(|name| all || wanted.policies.contains(name)) else {
            continue;
        };
        if plan.policy(&name, entry, backup, observed)? {
            standing.insert(entry.arn.clone());
        }
    }
    for entry in backup.manifest.policies.iter().filter(|entry| standing.contains(&entry.arn)) {
        plan.attachments(entry, &made, observed);
    }
    for (name, saved) in &roles {
        plan.of_role(name, saved, &made, observed, &standing);
    }
    plan.steps.sort_by_key(|(step, _)| match step {
        RestoreStep::PutBoundary { .. } => 1,
        RestoreStep::Attach { .. } | RestoreStep::PutInline { .. } => 2,
        _ => 0,
    });
    Ok(plan)
}

/// The layout that owns something, by its tag.
fn owner(tags: &Tags) -> Option<&str> {
    tags.get(&TagKey::owner()).map(|value| value.as_str())
}

/// True for documents that mean the same.
fn same(one: &PolicyJson, other: &PolicyJson) -> bool {
    match (Document::parse(one), Document::parse(other)) {
        (Ok(one), Ok(other)) => one.means_the_same_as(&other),
        _ => one == other,
    }
}

impl Restore {
    fn warn(&mut self, code: &'static str, target: &Arn, message: impl Into<String>, fix: &str) {
        self.findings.push(Finding::new(code, Severity::Warning, target, message).with_fix(fix));
    }

    /// True if there is now another owner than when the backup was taken, which then decides about it.
    fn is_anothers(&mut self, arn: &Arn, then: &Tags, now: &Tags) -> bool {
        let (then, now) = (owner(then), owner(now));
        let anothers = now.is_some() && now != then;
        if let (true, Some(now)) = (anothers, now) {
            let message = format!("layout `{now}` owns it now, and did not when it was backed up; it is left as it is");
            self.warn("owned-by-another", arn, message, "restore it by that layout, or leave its name out");
        }
        anothers
    }

    /// Puts a role back that is gone. True if it will be there.
    fn role(&mut self, name: &RoleName, saved: &SavedRole, observed: &Observed) -> bool {
        match observed.roles.get(name) {
            Some(Seen::Here(_)) => true,
            Some(Seen::Hidden(why)) => {
                let message = format!("the role may not be read: {why}");
                self.warn("not-visible", &saved.arn, message, "restore it with rights that may read it");
                false
            }
            Some(Seen::Absent) | None => {
                let step = RestoreStep::CreateRole {
                    arn: saved.arn.clone(),
                    description: saved.description.clone().unwrap_or_default(),
                    trust: PolicyJson(saved.trust.to_string()),
                    tags: saved.tags.clone(),
                };
                self.steps.push((step, "it is gone".to_owned()));
                true
            }
        }
    }

    /// Puts a policy, or its document in force, back. True if it will be there.
    fn policy(
        &mut self,
        name: &PolicyName,
        entry: &PolicyEntry,
        backup: &Backup,
        observed: &Observed,
    ) -> Result<bool, BackupError> {
        let wanted = backup.in_force(entry)?;
        let here = match observed.policies.get(name) {
            Some(Seen::Here(policy)) => policy,
            Some(Seen::Hidden(why)) => {
                let message = format!("the policy may not be read: {why}");
                self.warn("not-visible", &entry.arn, message, "restore it with rights that may read it");
                return Ok(false);
            }
            Some(Seen::Absent) | None => {
                let step = RestoreStep::CreatePolicy {
                    arn: entry.arn.clone(),
                    description: entry.description.clone().unwrap_or_default(),
                    document: wanted.document,
                    tags: entry.tags.clone(),
                };
                self.steps.push((step, "it is gone".to_owned()));
                return Ok(true);
            }
        };
        if here.arn != entry.arn {
            let message = format!("a policy of that name is at `{}` now", here.arn);
            self.warn(
                "other-path",
                &entry.arn,
                message,
                "names are unique in an account whatever their path: rename one",
            );
            return Ok(false);
        }
        if self.is_anothers(&here.arn, &entry.tags, &here.tags) {
            return Ok(false);
        }
        if here.in_force().is_some_and(|version| same(&version.document, &wanted.document)) {
            self.unchanged += 1;
            return Ok(true);
        }
        let now = here.default_version;
        if let Some(version) = here.versions.iter().find(|version| same(&version.document, &wanted.document)) {
            let step = RestoreStep::SetDefault { arn: entry.arn.clone(), version: version.id };
            self.steps.push((step, format!("{now} is in force")));
        } else if here.versions.len() as u64 >= observed.versions_per_policy {
            let message = format!("it has {} versions, and no room for the backed up one", here.versions.len());
            self.warn("no-room", &entry.arn, message, "delete a version that nobody needs, then restore again");
            // Nobody gets what another document gives.
            return Ok(false);
        } else {
            let step = RestoreStep::CreateVersion { arn: entry.arn.clone(), document: wanted.document };
            self.steps.push((step, format!("{now} is in force, and no version has that document")));
        }
        Ok(true)
    }

    /// Attaches a policy again to whom it was attached.
    fn attachments(&mut self, entry: &PolicyEntry, made: &BTreeSet<RoleName>, observed: &Observed) {
        let Some(attachments) = &entry.attachments else { return };
        for role in &attachments.roles {
            match observed.roles.get(role) {
                Some(Seen::Here(here)) if here.attached.contains(&entry.arn) => self.unchanged += 1,
                Some(Seen::Here(_)) => self.attach(role, &entry.arn),
                _ if made.contains(role) => self.attach(role, &entry.arn),
                _ => {
                    let message = format!("role `{role}` had it, and is gone or not visible");
                    self.warn("not-attached", &entry.arn, message, "restore the role too, as `role/NAME`");
                }
            }
        }
        for (kind, names) in [("user", &attachments.users), ("group", &attachments.groups)] {
            for name in names {
                if matches!(
                    self.steps.iter().find(|(step, _)| step.target() == entry.arn.as_str()),
                    Some((RestoreStep::CreatePolicy { .. }, _))
                ) {
                    let message = format!("{kind} `{name}` had it");
                    let fix = format!("attach it with `aws iam attach-{kind}-policy`");
                    self.warn("not-attached", &entry.arn, message, &fix);
                }
            }
        }
    }

    fn attach(&mut self, role: &RoleName, policy: &Arn) {
        let step = RestoreStep::Attach { role: role.clone(), policy: policy.clone() };
        if !self.steps.iter().any(|(known, _)| *known == step) {
            self.steps.push((step, "it is not attached".to_owned()));
        }
    }

    /// Puts back what a role lacks, and says what of it is otherwise.
    fn of_role(
        &mut self,
        name: &RoleName,
        saved: &SavedRole,
        made: &BTreeSet<RoleName>,
        observed: &Observed,
        standing: &BTreeSet<Arn>,
    ) {
        let here = observed.roles.get(name).and_then(Seen::here);
        if here.is_none() && !made.contains(name) {
            return;
        }
        if here.is_some_and(|here| self.is_anothers(&here.arn, &saved.tags, &here.tags)) {
            return;
        }
        let differs = "it is left as it is; put it back by hand if it should be as it was";
        if here.is_some_and(|here| !same(&here.trust, &PolicyJson(saved.trust.to_string()))) {
            self.warn("differs", &saved.arn, "its trust policy is another than was backed up", differs);
        }
        for (inline, document) in &saved.inline {
            self.inline(name, inline, document, saved, here);
        }
        match (&saved.boundary, here.and_then(|here| here.boundary.as_ref())) {
            (Some(wanted), None) => {
                let step = RestoreStep::PutBoundary { role: name.clone(), policy: wanted.clone() };
                self.steps.push((step, "it has no boundary".to_owned()));
            }
            (wanted, now) if wanted.as_ref() != now => {
                self.warn("differs", &saved.arn, "its boundary is another than was backed up", differs);
            }
            _ => {}
        }
        for policy in &saved.attached {
            // Policies of the backup are attached with them.
            let is_had = here.is_some_and(|here| here.attached.contains(policy));
            if !is_had && (policy.account() == "aws" || standing.contains(policy)) {
                self.attach(name, policy);
            } else if !is_had {
                let message = format!("role `{name}` had it, and it is not among what is restored");
                self.warn("not-attached", policy, message, "restore the policy too, by its name");
            }
        }
    }

    fn inline(&mut self, role: &RoleName, name: &PolicyName, wanted: &Value, saved: &SavedRole, here: Option<&Role>) {
        let wanted = PolicyJson(wanted.to_string());
        let now = here.and_then(|here| here.inline.iter().find(|inline| inline.name == *name));
        match now {
            Some(now) if same(&now.document, &wanted) => self.unchanged += 1,
            Some(_) => {
                let message = format!("its inline policy `{name}` is another than was backed up");
                self.warn("differs", &saved.arn, message, "it is left as it is; put it back by hand if need be");
            }
            None => {
                let step = RestoreStep::PutInline { role: role.clone(), name: name.clone(), document: wanted };
                self.steps.push((step, "it is gone".to_owned()));
            }
        }
    }
}
