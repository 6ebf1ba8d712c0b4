//! Access in the account: compares a layout's grants with policies, roles and clusters as they were found, and plans what
//! turns the one into the other.
//!
//! What exists without our owner tag is touched only where its grant says `adopt = true`; what belongs to another layout
//! never. What may not be read is never guessed: the grant that needs it is left out for cause. A policy with the
//! layout's own tag is ours, so roles that have it and that no grant names lose it. Nothing is ever deleted but a Pod
//! Identity association of ours.

mod attachments;
mod compare;
mod impact;
mod quotas;
mod resolve;
mod roles;
mod trust;
mod turns;

pub use resolve::{clusters_of, documents_of, grants_to, names_of, node_clusters_of, roles_of};
pub use turns::{Turn, Turned};

use crate::layout::Layout;
use crate::model::{
    AccountId, Arn, Attachments, Cluster, IamQuotas, ManagedPolicy, Owner, PolicyName, Role, RoleName, Seen, TagKey,
    TagValue, Tags,
};
use crate::plan::{AccountAction, AccountStep, Reason};
use crate::report::{Finding, Severity};
use resolve::{Hidden, Resolved, Wanted};
use std::collections::{BTreeMap, BTreeSet};

/// What was found in the account, as far as a layout's grants ask for it.
#[derive(Debug, Clone)]
pub struct AccountState {
    /// The account.
    pub account: AccountId,
    /// The partition of its ARNs: `aws`, `aws-cn`, `aws-us-gov`.
    pub partition: String,
    /// True for the local directory, where roles that a layout names are made.
    pub is_directory: bool,
    /// The policies that grants name.
    pub policies: BTreeMap<PolicyName, Seen<ManagedPolicy>>,
    /// The policies with the layout's owner tag that no grant names.
    pub former: Seen<Vec<ManagedPolicy>>,
    /// Whom each of those policies is attached to.
    pub attachments: BTreeMap<Arn, Seen<Attachments>>,
    /// The roles that grants name, and those of node groups.
    pub roles: BTreeMap<RoleName, Seen<Role>>,
    /// The names of all roles, looked up where one is missing.
    pub role_names: Vec<String>,
    /// The clusters that grants name.
    pub clusters: BTreeMap<String, Seen<Cluster>>,
    /// The names of all clusters, looked up where one is missing.
    pub cluster_names: Vec<String>,
    /// The OIDC providers of the account, looked up where a role is taken by one.
    pub oidc_providers: Seen<BTreeSet<Arn>>,
    /// The account's limits.
    pub quotas: Seen<IamQuotas>,
}

/// What is to be done in the account.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct AccountPlan {
    /// The actions, in the order in which they are done.
    pub actions: Vec<AccountAction>,
    /// What is as wanted already.
    pub unchanged: u64,
    /// What a person should see. A finding of severity `error` refuses the whole plan.
    pub findings: Vec<Finding>,
    /// What opens and closes, for whoever waits until the actions are in force.
    pub turned: Vec<Turned>,
}

/// The plan for a layout's grants.
pub fn plan(layout: &Layout, state: &AccountState) -> AccountPlan {
    let mut planner = Planner { layout, state, plan: AccountPlan::default() };
    let wanted = Wanted::resolve(layout, state, &mut planner.plan.findings);
    for resolved in &wanted.grants {
        planner.grant(resolved);
    }
    planner.roles(&wanted);
    planner.associations(&wanted);
    planner.attachments(&wanted);
    planner.revocations(&wanted);
    planner.quotas(&wanted);
    let Planner { mut plan, .. } = planner;
    plan.actions.sort_by_key(phase);
    plan.turned = turns::turned(layout, state, &plan.actions);
    plan
}

/// Policies, then roles, then associations, then attachments; pods change roles once the new one has what it should have;
/// what takes access away comes last, so that who gets the same by another policy is never without.
const fn phase(action: &AccountAction) -> u8 {
    match &action.step {
        AccountStep::CreatePolicy { .. } | AccountStep::TagPolicy { .. } | AccountStep::CreatePolicyVersion { .. } => 0,
        AccountStep::CreateRole { .. } | AccountStep::TagRole { .. } | AccountStep::PutTrust { .. } => 1,
        AccountStep::CreateAssociation { .. } => 2,
        AccountStep::AttachPolicy { .. } => 3,
        AccountStep::UpdateAssociation { .. } => 4,
        AccountStep::DeleteAssociation { .. } | AccountStep::DetachPolicy { .. } => 5,
        AccountStep::SkipGrant { .. } => 6,
    }
}

/// A plan in the making.
struct Planner<'run> {
    layout: &'run Layout,
    state: &'run AccountState,
    plan: AccountPlan,
}

impl Planner<'_> {
    fn push(&mut self, step: AccountStep, reason: Reason) {
        self.plan.actions.push(AccountAction { step, reason });
    }

    fn find(&mut self, finding: Finding) {
        self.plan.findings.push(finding);
    }

    fn error(&mut self, code: &'static str, target: &str, message: String, fix: &str) {
        self.find(Finding::new(code, Severity::Error, target, message).with_fix(fix));
    }

    fn owner<'tags>(&self, tags: &'tags Tags) -> Owner<'tags> {
        Owner::of(tags, &self.layout.id)
    }

    /// The owner tag alone, as roles and associations get it.
    fn owner_tag(&self) -> Tags {
        Tags::from([(TagKey::owner(), TagValue::from(&self.layout.id))])
    }

    /// The policies of a grant, or why it is left alone.
    fn grant(&mut self, resolved: &Resolved<'_>) {
        if !resolved.hidden.is_empty() {
            return self.skip(resolved);
        }
        for (name, document) in &resolved.documents {
            self.policy(resolved.grant, name, document);
        }
    }

    fn skip(&mut self, resolved: &Resolved<'_>) {
        let Ok(name) = resolved.grant.policy.parse() else { return };
        let what: Vec<&str> = resolved.hidden.iter().map(|hidden| hidden.what.as_str()).collect();
        let reason = Reason::Wanted(format!("{} may not be read", what.join(", ")));
        self.push(AccountStep::SkipGrant { name }, reason);
        for hidden in &resolved.hidden {
            let finding = hidden.finding();
            if !self.plan.findings.contains(&finding) {
                self.find(finding);
            }
        }
    }

    /// Says that something may not be read, where that stops no grant.
    fn unread(&mut self, hidden: &Hidden, consequence: &str, severity: Severity) {
        let finding = hidden.finding();
        let message = format!("{}; {consequence}", finding.message);
        self.find(Finding { message, severity, ..finding });
    }
}

#[cfg(test)]
mod tests;
