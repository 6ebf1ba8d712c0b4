//! The account's limits, held before anything is written.

use super::resolve::Wanted;
use super::{AccountState, Planner};
use crate::model::{IamQuotas, RoleName, Seen};
use crate::plan::AccountStep;
use crate::report::{Finding, Severity};
use std::collections::BTreeMap;

/// The limits as far as they may be read, else those of an account that nobody asked AWS to change.
pub(super) fn of(state: &AccountState) -> IamQuotas {
    state.quotas.here().copied().unwrap_or(IamQuotas::USUAL)
}

impl Planner<'_> {
    /// Refuses what IAM would refuse halfway through.
    pub(super) fn quotas(&mut self, wanted: &Wanted<'_>) {
        let quotas = of(self.state);
        let account = format!("account/{}", self.state.account);
        for resolved in wanted.grants.iter().filter(|resolved| resolved.hidden.is_empty()) {
            for (name, document) in &resolved.documents {
                let characters = document.0.chars().count() as u64;
                if characters > quotas.policy_characters {
                    let most = quotas.policy_characters;
                    let message = format!("policy `{name}` would have {characters} characters; IAM takes {most} here");
                    self.over(name.as_str(), message, "grant on fewer places, or split the grant");
                }
            }
        }
        let count = |is: fn(&AccountStep) -> bool| self.plan.actions.iter().filter(|one| is(&one.step)).count() as u64;
        let policies = count(|step| matches!(step, AccountStep::CreatePolicy { .. }));
        let roles = count(|step| matches!(step, AccountStep::CreateRole { .. }));
        for (what, wanted, left) in [("policies", policies, quotas.policies_left), ("roles", roles, quotas.roles_left)]
        {
            if wanted > left {
                let message = format!("{wanted} {what} are to be made, and the account may make {left} more");
                let fix = format!("remove {what} that nobody needs, or ask AWS for more");
                self.over(&account, message, &fix);
            }
        }
        self.attached(quotas.attached_policies_per_role);
    }

    /// A limit that is passed refuses the plan; one that may not be read, and may be higher than usual, does not.
    pub(super) fn over(&mut self, target: &str, message: String, fix: &str) {
        let finding = match &self.state.quotas {
            Seen::Hidden(why) => {
                let message = format!("{message} unless AWS raised it, which cannot be told: {why}");
                Finding::new("quota-exceeded", Severity::Warning, target, message)
            }
            Seen::Here(_) | Seen::Absent => Finding::new("quota-exceeded", Severity::Error, target, message),
        };
        self.find(finding.with_fix(fix));
    }

    /// Policies are attached before others are detached, so both count at once.
    fn attached(&mut self, most: u64) {
        let mut new: BTreeMap<RoleName, u64> = BTreeMap::new();
        for action in &self.plan.actions {
            if let AccountStep::AttachPolicy { role, .. } = &action.step {
                *new.entry(role.clone()).or_default() += 1;
            }
        }
        for (role, new) in new {
            let found = self.state.roles.get(&role).and_then(Seen::here);
            let there = found.map_or(0, |role| role.attached.len() as u64);
            if there + new > most {
                let message =
                    format!("role `{role}` has {there} policies and would get {new} more; IAM takes {most} for a role");
                let fix = "detach what the role does not need, put the grants into one, or ask AWS for a higher quota";
                self.over(&format!("role/{role}"), message, fix);
            }
        }
    }
}
