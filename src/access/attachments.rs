//! Who has the policies: roles that get one, and roles that lose one because no grant names them any more.

use super::Planner;
use super::resolve::{Hidden, Wanted};
use crate::model::{Arn, ManagedPolicy, Owner, PolicyName, RoleName, Seen};
use crate::plan::{AccountStep, Reason};
use crate::report::{Finding, Severity};
use std::collections::BTreeSet;

/// The rights that telling a policy's attachments takes.
const ENTITIES: &str = "iam:ListEntitiesForPolicy";

impl Planner<'_> {
    pub(super) fn attachments(&mut self, wanted: &Wanted<'_>) {
        for resolved in wanted.grants.iter().filter(|resolved| resolved.hidden.is_empty()) {
            for (name, _) in &resolved.documents {
                let Some(policy) = self.arn_of(name) else { continue };
                for role in &resolved.roles {
                    let found = self.state.roles.get(role).and_then(Seen::here);
                    if found.is_some_and(|role| role.attached.contains(&policy)) {
                        self.plan.unchanged += 1;
                    } else {
                        let step = AccountStep::AttachPolicy { role: role.clone(), policy: policy.clone() };
                        self.push(step, Reason::Missing);
                    }
                }
            }
        }
    }

    /// What left the layout. A policy with our tag is ours, and so is whom it is attached to; nobody is taken anything
    /// from because of what could not be read. A role that a grant names which is left alone keeps all that it has, because
    /// that grant may give what the other one gave.
    pub(super) fn revocations(&mut self, wanted: &Wanted<'_>) {
        for resolved in wanted.grants.iter().filter(|resolved| resolved.hidden.is_empty()) {
            for (name, _) in &resolved.documents {
                let Some(Seen::Here(policy)) = self.state.policies.get(name) else { continue };
                let is_ours = match self.owner(&policy.tags) {
                    Owner::Ours => true,
                    Owner::Nobody => resolved.grant.adopt,
                    Owner::Other(_) => false,
                };
                if is_ours {
                    let why = format!("grant `{}` does not name this role", resolved.grant.policy);
                    self.revoke(policy, &resolved.roles, wanted, &why);
                }
            }
        }
        match &self.state.former {
            Seen::Here(former) => {
                for policy in former {
                    self.revoke(policy, &BTreeSet::new(), wanted, "no grant names this policy any more");
                }
            }
            Seen::Hidden(why) => self.former_unread(why),
            Seen::Absent => {}
        }
    }

    fn former_unread(&mut self, why: &str) {
        let hidden = Hidden {
            what: "the list of policies".to_owned(),
            target: format!("account/{}", self.state.account),
            why: why.to_owned(),
            rights: "iam:GetAccountAuthorizationDetails, or iam:ListPolicies and iam:GetPolicy",
        };
        // Who has no grants may never have had any.
        let severity = if self.layout.grants.is_empty() { Severity::Suggestion } else { Severity::Warning };
        self.unread(&hidden, "what left the layout cannot be looked for, and is not revoked", severity);
    }

    /// Takes a policy of ours from every role that is not among `named`.
    fn revoke(&mut self, policy: &ManagedPolicy, named: &BTreeSet<RoleName>, wanted: &Wanted<'_>, why: &str) {
        let found = match self.state.attachments.get(&policy.arn) {
            Some(Seen::Here(found)) => found,
            Some(Seen::Hidden(words)) => {
                let hidden = Hidden {
                    what: format!("whom policy `{}` is attached to", policy.name),
                    target: policy.arn.to_string(),
                    why: words.clone(),
                    rights: ENTITIES,
                };
                return self.unread(&hidden, "roles that left the grant keep it", Severity::Warning);
            }
            Some(Seen::Absent) | None => return,
        };
        for role in found.roles.iter().filter(|role| !named.contains(role)) {
            if let Some(left_alone) = wanted.left_alone(role) {
                self.kept(policy, role, &left_alone.grant.policy);
                continue;
            }
            let step = AccountStep::DetachPolicy { role: role.clone(), policy: policy.arn.clone() };
            self.push(step, Reason::LeftLayout(why.to_owned()));
        }
        self.elsewhere(&policy.name, &policy.arn, &found.users, "user");
        self.elsewhere(&policy.name, &policy.arn, &found.groups, "group");
    }

    /// Says that a role keeps a policy for now.
    fn kept(&mut self, policy: &ManagedPolicy, role: &RoleName, grant: &str) {
        let message = format!(
            "role `{role}` keeps policy `{}`, which it is to lose, as long as grant `{grant}` is left alone",
            policy.name
        );
        let finding = Finding::new("not-revoked", Severity::Warning, format!("role/{role}"), message);
        self.find(finding.with_fix("use a profile that may read what that grant needs"));
    }

    /// Layouts speak of roles only, so others are told and left alone.
    fn elsewhere(&mut self, name: &PolicyName, policy: &Arn, names: &[String], kind: &str) {
        if names.is_empty() {
            return;
        }
        let plural = if names.len() > 1 { "s" } else { "" };
        let message =
            format!("policy `{name}` is attached to {kind}{plural} {}, of which no layout speaks", names.join(", "));
        let fix = format!("detach it with `aws iam detach-{kind}-policy`, if that is not meant");
        self.find(Finding::new("attached-elsewhere", Severity::Warning, policy, message).with_fix(fix));
    }
}
