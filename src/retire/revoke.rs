//! Whose access goes: the part of the account's plan without the target that is about the grants which reached it.

use super::without::Without;
use crate::access::{self, AccountPlan, AccountState};
use crate::layout::{Grant, Layout};
use crate::model::{ManagedPolicy, Owner, PolicyName, Seen};
use crate::plan::{AccountAction, AccountStep};
use crate::report::{Finding, Severity};
use std::collections::BTreeSet;

/// What takes the target's access away, and nothing else that the layout still wants to be done. `before` is the layout as
/// it is, `state` what was found for it.
pub fn revoke(before: &Layout, without: &Without, state: &AccountState) -> AccountPlan {
    let in_force: Vec<&Grant> = before
        .grants
        .iter()
        .filter(|grant| without.touched.contains(&grant.policy))
        .filter(|grant| is_in_force(before, grant, state))
        .collect();
    let mut about: BTreeSet<PolicyName> = BTreeSet::new();
    for grant in &in_force {
        about.extend(names(before, grant, state));
        let after = without.layout.grants.iter().find(|one| one.policy == grant.policy);
        about.extend(after.into_iter().flat_map(|after| names(&without.layout, after, state)));
    }
    let wanted_anyway = access::plan(before, state).actions;
    let after = access::plan(&without.layout, &regrouped(state, &without.layout));
    let is_about = |action: &&AccountAction| is_revoking(action, &about, &wanted_anyway);
    AccountPlan {
        actions: after.actions.iter().filter(is_about).cloned().collect(),
        unchanged: 0,
        findings: findings(before, without, state, &after, &about),
        turned: Vec::new(),
    }
}

/// True for steps about the policies that are meant, unless the layout wants the same step whether or not something is
/// retired. What takes access away is done all the same.
fn is_revoking(action: &AccountAction, about: &BTreeSet<PolicyName>, wanted_anyway: &[AccountAction]) -> bool {
    let is_meant = action.step.policy().and_then(PolicyName::of_arn).is_some_and(|name| about.contains(&name));
    let is_new = !wanted_anyway.iter().any(|other| other.step == action.step);
    match &action.step {
        AccountStep::CreatePolicyVersion { .. } | AccountStep::DetachPolicy { .. } => is_meant,
        AccountStep::CreatePolicy { .. } | AccountStep::AttachPolicy { .. } => is_meant && is_new,
        AccountStep::DeleteAssociation { .. } => is_new,
        // A grant that is left alone for what may not be read: its access stays, which is to be seen.
        AccountStep::SkipGrant { name } => about.contains(name),
        _ => false,
    }
}

fn names(layout: &Layout, grant: &Grant, state: &AccountState) -> Vec<PolicyName> {
    let documents = access::documents_of(layout, grant, &state.partition).unwrap_or_default();
    documents.into_iter().map(|(name, _)| name).collect()
}

/// True if a policy of the grant is there and is this layout's, or may not be read.
fn is_in_force(layout: &Layout, grant: &Grant, state: &AccountState) -> bool {
    names(layout, grant, state).iter().any(|name| match state.policies.get(name) {
        Some(Seen::Here(policy)) => is_ours(policy, layout),
        Some(Seen::Hidden(_)) => true,
        Some(Seen::Absent) | None => false,
    })
}

fn is_ours(policy: &ManagedPolicy, layout: &Layout) -> bool {
    Owner::of(&policy.tags, &layout.id) == Owner::Ours
}

/// What was found, as it stands towards another layout: policies that it does not name have left it.
fn regrouped(state: &AccountState, layout: &Layout) -> AccountState {
    let names = access::names_of(layout, &state.partition);
    let known = state.policies.values().filter_map(Seen::here);
    let known = known.chain(state.former.here().into_iter().flatten()).cloned();
    let (named, others): (Vec<ManagedPolicy>, Vec<ManagedPolicy>) =
        known.partition(|policy| names.contains(&policy.name));
    let hidden = |name: &PolicyName| match state.policies.get(name) {
        Some(Seen::Hidden(why)) => Seen::Hidden(why.clone()),
        _ => Seen::Absent,
    };
    let mut policies: std::collections::BTreeMap<_, _> =
        names.into_iter().map(|name| (name.clone(), hidden(&name))).collect();
    policies.extend(named.into_iter().map(|policy| (policy.name.clone(), Seen::Here(policy))));
    let former = others.into_iter().filter(|policy| is_ours(policy, layout)).collect();
    AccountState { policies, former: Seen::Here(former), ..state.clone() }
}

/// What the account's planner noticed of the policies that are meant, and what of them may not be read.
fn findings(
    before: &Layout,
    without: &Without,
    state: &AccountState,
    after: &AccountPlan,
    about: &BTreeSet<PolicyName>,
) -> Vec<Finding> {
    let is_meant = |finding: &&Finding| {
        let named = finding.target.parse().ok().and_then(|arn| PolicyName::of_arn(&arn));
        let named = named.or_else(|| finding.target.strip_prefix("policy/").and_then(|name| name.parse().ok()));
        named.is_some_and(|name| about.contains(&name))
    };
    let mut findings: Vec<Finding> = after.findings.iter().filter(is_meant).cloned().collect();
    let touched = before.grants.iter().filter(|grant| without.touched.contains(&grant.policy));
    for name in touched.flat_map(|grant| names(before, grant, state)) {
        let gone = !without.layout.grants.iter().any(|grant| grant.policy == name.as_str());
        if let Some(Seen::Hidden(why)) = state.policies.get(&name).filter(|_| gone) {
            let message = format!("policy `{name}` may not be read, so what it gives is not revoked: {why}");
            let finding = Finding::new("account-hidden", Severity::Warning, format!("policy/{name}"), message);
            findings.push(
                finding.with_fix("use a profile with iam:GetPolicy, iam:GetPolicyVersion and iam:ListPolicyVersions"),
            );
        }
    }
    findings
}
