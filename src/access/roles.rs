//! Roles: those that must be there, those that are made, and who may take them.

use super::resolve::{RoleWish, Wanted, near};
use super::{Planner, impact, quotas, trust};
use crate::document::Document;
use crate::layout::{AttachTarget, ServiceAccountRole};
use crate::model::{Arn, Owner, PolicyJson, Role, RoleName, Seen};
use crate::plan::{AccountStep, Reason};
use crate::report::{Finding, Severity};

/// Roles that a service made for itself, which nobody else may change.
const SERVICE_LINKED: &str = "role/aws-service-role/";

impl Planner<'_> {
    /// The ARN of a role: the one it has, or the one it will have.
    pub(super) fn role_arn(&self, name: &RoleName) -> Option<Arn> {
        match self.state.roles.get(name) {
            Some(Seen::Here(role)) => Some(role.arn.clone()),
            _ => format!("arn:{}:iam::{}:role/{name}", self.state.partition, self.state.account).parse().ok(),
        }
    }

    pub(super) fn roles(&mut self, wanted: &Wanted<'_>) {
        for (name, wish) in wanted.roles.iter().filter(|(_, wish)| wish.is_planned) {
            match self.state.roles.get(name) {
                Some(Seen::Here(role)) => self.present_role(name, role, wish, wanted),
                Some(Seen::Hidden(_)) => {}
                Some(Seen::Absent) | None => self.absent_role(name, wish, wanted),
            }
        }
    }

    fn absent_role(&mut self, name: &RoleName, wish: &RoleWish, wanted: &Wanted<'_>) {
        let trust = if wish.has_trust() {
            let Some(statements) = self.own_statements(name, wish) else { return };
            Document::empty().with_own_statements(|_| true, &statements).render()
        } else if self.state.is_directory {
            trust::of_directory(wish.is_of_nodes, &self.state.account, &self.state.partition)
        } else {
            let near = near(name.as_str(), self.state.role_names.iter().map(String::as_str));
            let message = format!("there is no role `{name}`{near}");
            let fix = "correct the name in the grant; roles that exist for other reasons are not made here";
            return self.error("role-missing", &format!("role/{name}"), message, fix);
        };
        self.hold_trust(name, &trust);
        self.annotations(name, wanted);
        let step = AccountStep::CreateRole {
            role: name.clone(),
            path: wish.arn.as_ref().map_or_else(|| "/".to_owned(), path_of),
            description: format!("Made for layout {}", self.layout.id),
            trust,
            tags: self.owner_tag(),
        };
        self.push(step, Reason::Missing);
    }

    fn present_role(&mut self, name: &RoleName, role: &Role, wish: &RoleWish, wanted: &Wanted<'_>) {
        if role.arn.resource().starts_with(SERVICE_LINKED) {
            let message = format!("role `{name}` is linked to a service, and nobody else may attach policies to it");
            return self.error("service-linked-role", role.arn.as_str(), message, "name another role in the grant");
        }
        if !wish.has_trust() {
            return;
        }
        let Some(statements) = self.own_statements(name, wish) else { return };
        let (before, after) = match trust::merged(&role.trust, &statements) {
            Ok(both) => both,
            Err(error) => {
                let message = format!("the trust policy of role `{name}` cannot be added to: {error}");
                return self.error("trust-unreadable", role.arn.as_str(), message, "correct it by hand first");
            }
        };
        if before.means_the_same_as(&after) {
            self.plan.unchanged += 1;
            return;
        }
        let trust = after.render();
        match self.owner(&role.tags) {
            Owner::Ours => {}
            Owner::Nobody if wish.adopt => self.adopt_role(name, role, &trust),
            Owner::Nobody => {
                let message = format!(
                    "role `{name}` exists without an owner tag of this tool, and its trust policy does not let the \
                     service accounts take it"
                );
                let fix = "say `adopt = true` in the grant if the role is yours and its trust policy may be added to, \
                           or name another role";
                return self.error("not-ours", role.arn.as_str(), message, fix);
            }
            Owner::Other(other) => {
                let message = format!("role `{name}` belongs to layout `{other}`, this one is `{}`", self.layout.id);
                return self.error("other-layout", role.arn.as_str(), message, "name another role in the grant");
            }
        }
        self.hold_trust(name, &trust);
        self.annotations(name, wanted);
        let reason = Reason::Wanted(impact::of_trust(name.as_str(), &role.trust, &trust).join(", "));
        self.push(AccountStep::PutTrust { role: name.clone(), trust }, reason);
    }

    fn adopt_role(&mut self, name: &RoleName, role: &Role, trust: &PolicyJson) {
        self.push(AccountStep::TagRole { role: name.clone(), tags: self.owner_tag() }, Reason::Adopted);
        for message in impact::of_trust(name.as_str(), &role.trust, trust) {
            let message = format!("role `{name}`, trust policy: {message}");
            self.find(Finding::new("change-impact", Severity::Warning, &role.arn, message));
        }
    }

    fn own_statements(&mut self, name: &RoleName, wish: &RoleWish) -> Option<Vec<serde_json::Value>> {
        match trust::statements(name, wish, &self.state.account, &self.state.partition) {
            Ok(statements) => Some(statements),
            Err(error) => {
                self.error("trust-unwritable", &format!("role/{name}"), error.to_string(), "correct the grant");
                None
            }
        }
    }

    /// Trust policies have a quota of their own.
    fn hold_trust(&mut self, name: &RoleName, trust: &PolicyJson) {
        let (characters, most) = (trust.0.chars().count() as u64, quotas::of(self.state).trust_characters);
        if characters > most {
            let message =
                format!("the trust policy of role `{name}` would have {characters} characters; IAM takes {most}");
            let fix = "use `pod_identity`, whose trust policy does not grow with service accounts, or several roles";
            self.over(&format!("role/{name}"), message, fix);
        }
    }

    /// What no call to AWS does: the service account must name the role that it takes.
    fn annotations(&mut self, name: &RoleName, wanted: &Wanted<'_>) {
        let Some(arn) = self.role_arn(name) else { return };
        let targets = wanted.grants.iter().flat_map(|resolved| &resolved.grant.attach);
        let mut accounts: Vec<&ServiceAccountRole> = Vec::new();
        for target in targets {
            if let AttachTarget::Irsa(to) = target
                && to.role.eq_ignore_ascii_case(name.as_str())
                && !accounts.contains(&to)
            {
                accounts.push(to);
            }
        }
        for to in accounts {
            let message = format!(
                "service account `{}/{}` in cluster `{}` takes this role once it has the annotation \
                 `eks.amazonaws.com/role-arn: {arn}`; pods that run already must be made anew",
                to.namespace, to.service_account, to.cluster
            );
            let fix = format!(
                "kubectl annotate serviceaccount -n {} {} eks.amazonaws.com/role-arn={arn} --overwrite",
                to.namespace, to.service_account
            );
            let finding = Finding::new("annotation-needed", Severity::Suggestion, format!("role/{name}"), message);
            self.find(finding.with_fix(fix));
        }
    }

    pub(super) fn associations(&mut self, wanted: &Wanted<'_>) {
        let associations = wanted.associations();
        for (to, _) in associations.iter().filter(|(_, is_planned)| *is_planned) {
            self.association(to);
        }
        for cluster in self.state.clusters.values().filter_map(Seen::here) {
            for found in &cluster.associations {
                let is_named = associations.iter().any(|(to, _)| {
                    (&to.cluster, &to.namespace, &to.service_account)
                        == (&cluster.name, &found.namespace, &found.service_account)
                });
                if is_named || self.owner(&found.tags) != Owner::Ours {
                    continue;
                }
                let Some(role) = RoleName::of_arn(&found.role) else { continue };
                let step = AccountStep::DeleteAssociation {
                    cluster: cluster.name.clone(),
                    id: found.id.clone(),
                    namespace: found.namespace.clone(),
                    service_account: found.service_account.clone(),
                    role,
                };
                let why = "no grant hands a role to this service account any more";
                self.push(step, Reason::LeftLayout(why.to_owned()));
            }
        }
    }

    fn association(&mut self, to: &ServiceAccountRole) {
        let Some(Seen::Here(cluster)) = self.state.clusters.get(&to.cluster) else { return };
        let Ok(name) = to.role.parse::<RoleName>() else { return };
        let Some(role) = self.role_arn(&name) else { return };
        let same = |namespace: &str, account: &str| (namespace, account) == (&to.namespace, &to.service_account);
        let found = cluster.associations.iter().find(|found| same(&found.namespace, &found.service_account));
        match found {
            None => {
                let step = AccountStep::CreateAssociation {
                    cluster: to.cluster.clone(),
                    namespace: to.namespace.clone(),
                    service_account: to.service_account.clone(),
                    role,
                    tags: self.owner_tag(),
                };
                self.push(step, Reason::Missing);
            }
            Some(found) if found.role == role => self.plan.unchanged += 1,
            Some(found) if self.owner(&found.tags) == Owner::Ours => {
                let Some(before) = RoleName::of_arn(&found.role) else { return };
                let reason = Reason::Differs { found: format!("role {before}"), wanted: format!("role {name}") };
                let step = AccountStep::UpdateAssociation {
                    cluster: cluster.name.clone(),
                    id: found.id.clone(),
                    namespace: to.namespace.clone(),
                    service_account: to.service_account.clone(),
                    before,
                    role,
                };
                self.push(step, reason);
            }
            Some(found) => {
                let message = format!(
                    "service account `{}/{}` in cluster `{}` has an association of somebody else, with `{}`",
                    to.namespace, to.service_account, to.cluster, found.role
                );
                let fix = "delete that association by hand, or name its role in the grant";
                self.error("association-taken", cluster.arn.as_str(), message, fix);
            }
        }
    }
}

/// The path in a role's ARN, with both of its slashes.
fn path_of(arn: &Arn) -> String {
    let resource = arn.resource().strip_prefix("role").unwrap_or("/");
    resource.rfind('/').map_or("/", |slash| &resource[..=slash]).to_owned()
}
