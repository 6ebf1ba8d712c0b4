//! What a layout's grants mean in an account: which policies with which documents, which roles, and who may take these.

use super::AccountState;
use crate::layout::{AttachTarget, Grant, Layout, ServiceAccountRole, nearest};
use crate::model::{Arn, Cluster, ClusterPart, PolicyJson, PolicyName, RoleName, Seen};
use crate::policy::entitlement::Entitlement;
use crate::policy::generate::trust::{OidcIssuer, ServiceAccount, Trusted};
use crate::policy::generate::{self, Form, Frame, GenerateError};
use crate::report::{Finding, Severity};
use std::collections::{BTreeMap, BTreeSet};

/// The managed policies of one grant, each with its document: one, or several where one would be too large.
pub fn documents_of(
    layout: &Layout,
    grant: &Grant,
    partition: &str,
) -> Result<Vec<(PolicyName, PolicyJson)>, GenerateError> {
    let frame = Frame { partition: partition.to_owned(), guard: None };
    let generated = generate::identity(&Entitlement::of_grant(layout, grant), Form::Least, &frame)?;
    let named = |one: generate::Generated| Some((one.name.parse().ok()?, PolicyJson(one.document.to_string())));
    Ok(generated.into_iter().filter_map(named).collect())
}

/// The names of all policies of a layout. A grant that no policy can say has none.
pub fn names_of(layout: &Layout, partition: &str) -> BTreeSet<PolicyName> {
    let documents = layout.grants.iter().filter_map(|grant| documents_of(layout, grant, partition).ok());
    documents.flatten().map(|(name, _)| name).collect()
}

/// The names of all clusters that a layout's grants speak of.
pub fn clusters_of(layout: &Layout) -> BTreeSet<String> {
    let cluster = |target: &AttachTarget| match target {
        AttachTarget::Role(_) => None,
        AttachTarget::NodeGroups { cluster, .. } => Some(cluster.clone()),
        AttachTarget::Irsa(to) | AttachTarget::PodIdentity(to) => Some(to.cluster.clone()),
    };
    layout.grants.iter().flat_map(|grant| &grant.attach).filter_map(cluster).collect()
}

/// The names of the clusters whose node groups a layout's grants speak of.
pub fn node_clusters_of(layout: &Layout) -> BTreeSet<String> {
    let cluster = |target: &AttachTarget| match target {
        AttachTarget::NodeGroups { cluster, .. } => Some(cluster.clone()),
        _ => None,
    };
    layout.grants.iter().flat_map(|grant| &grant.attach).filter_map(cluster).collect()
}

/// The names of all roles that a layout's grants mean, given the clusters as far as they were seen.
pub fn roles_of(layout: &Layout, clusters: &BTreeMap<String, Seen<Cluster>>) -> BTreeSet<RoleName> {
    layout.grants.iter().flat_map(|grant| &grant.attach).flat_map(|target| meant(target, clusters)).collect()
}

/// The grants that give something to a role, by its name or as that of nodes, given the clusters as far as they were seen.
pub fn grants_to<'layout>(
    layout: &'layout Layout,
    role: &RoleName,
    clusters: &BTreeMap<String, Seen<Cluster>>,
) -> Vec<&'layout Grant> {
    let is_meant = |target: &AttachTarget| {
        meant(target, clusters).iter().any(|name| name.as_str().eq_ignore_ascii_case(role.as_str()))
    };
    layout.grants.iter().filter(|grant| grant.attach.iter().any(is_meant)).collect()
}

/// The roles that one target means.
fn meant(target: &AttachTarget, clusters: &BTreeMap<String, Seen<Cluster>>) -> Vec<RoleName> {
    match target {
        AttachTarget::Role(role) => role.parse().into_iter().collect(),
        AttachTarget::Irsa(to) | AttachTarget::PodIdentity(to) => to.role.parse().into_iter().collect(),
        AttachTarget::NodeGroups { cluster, node_groups } => {
            let Some(cluster) = clusters.get(cluster).and_then(Seen::here) else { return Vec::new() };
            cluster.groups(node_groups).filter_map(|(_, role)| RoleName::of_arn(role)).collect()
        }
    }
}

/// Something that may not be read and without which a grant cannot be planned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hidden {
    /// What, in words.
    pub what: String,
    /// What a finding about it is about.
    pub target: String,
    /// Why, in the service's words.
    pub why: String,
    /// The rights that reading it takes.
    pub rights: &'static str,
}

impl Hidden {
    /// What a person should know of it.
    pub(super) fn finding(&self) -> Finding {
        let message = format!("{} may not be read: {}", self.what, self.why);
        Finding::new("account-hidden", Severity::Warning, &self.target, message)
            .with_fix(format!("use a profile with {}", self.rights))
    }
}

/// A grant with everything that it means.
#[derive(Debug)]
pub(super) struct Resolved<'layout> {
    pub grant: &'layout Grant,
    /// Its policies.
    pub documents: Vec<(PolicyName, PolicyJson)>,
    /// The roles that get them.
    pub roles: BTreeSet<RoleName>,
    /// True if it names roles besides, which cannot be told.
    pub has_hidden_roles: bool,
    /// What may not be read; such a grant is left alone.
    pub hidden: Vec<Hidden>,
}

/// A role that grants attach to.
#[derive(Debug, Default)]
pub(super) struct RoleWish {
    /// Who must be able to take it; nobody for roles that exist for other reasons.
    pub trusted: Trusted,
    /// Whether the trust policy of a role without our tag may be added to.
    pub adopt: bool,
    /// The ARN that a cluster gives it.
    pub arn: Option<Arn>,
    /// True for a role of nodes.
    pub is_of_nodes: bool,
    /// What may not be read and who may take the role depends on.
    pub hidden: Option<Hidden>,
    /// True unless all grants that name it are left alone.
    pub is_planned: bool,
}

impl RoleWish {
    /// True if the layout says who may take the role.
    pub(super) fn has_trust(&self) -> bool {
        self.trusted.pod_identity || !self.trusted.irsa.is_empty()
    }
}

/// All that a layout wants in the account.
#[derive(Debug, Default)]
pub(super) struct Wanted<'layout> {
    pub grants: Vec<Resolved<'layout>>,
    pub roles: BTreeMap<RoleName, RoleWish>,
}

impl<'layout> Wanted<'layout> {
    /// Resolves every grant; names that nothing answers to are findings of severity `error`.
    pub(super) fn resolve(layout: &'layout Layout, state: &AccountState, findings: &mut Vec<Finding>) -> Self {
        let mut wanted = Self::default();
        let mut names: BTreeMap<PolicyName, &str> = BTreeMap::new();
        for grant in &layout.grants {
            // What no policy can say refuses the plan elsewhere.
            let Ok(documents) = documents_of(layout, grant, &state.partition) else { continue };
            for (name, _) in &documents {
                if let Some(other) = names.insert(name.clone(), &grant.policy) {
                    let message = format!("grants `{other}` and `{}` both make policy `{name}`", grant.policy);
                    let finding = Finding::new("policy-name-twice", Severity::Error, name, message);
                    findings.push(finding.with_fix("give one of the grants another `policy`"));
                }
            }
            let (roles, hidden) = (BTreeSet::new(), Vec::new());
            let mut resolved = Resolved { grant, documents, roles, has_hidden_roles: false, hidden };
            resolved.look_at_policies(state);
            for target in &grant.attach {
                wanted.target(target, &mut resolved, state, findings);
            }
            wanted.grants.push(resolved);
        }
        wanted.spread_hidden(state);
        for resolved in wanted.grants.iter().filter(|resolved| resolved.hidden.is_empty()) {
            for role in &resolved.roles {
                if let Some(wish) = wanted.roles.get_mut(role) {
                    wish.is_planned = true;
                    wish.adopt |= resolved.grant.adopt;
                }
            }
        }
        wanted
    }

    /// A role that may not be read stops every grant that names it, and so does one of which it cannot be told who is to
    /// take it: its trust policy is written as a whole.
    fn spread_hidden(&mut self, state: &AccountState) {
        for resolved in &mut self.grants {
            for role in &resolved.roles {
                let of_trust = self.roles.get(role).and_then(|wish| wish.hidden.clone());
                resolved.hidden.extend(of_trust.filter(|hidden| !resolved.hidden.contains(hidden)));
                if let Some(Seen::Hidden(why)) = state.roles.get(role) {
                    resolved.hidden.push(Hidden {
                        what: format!("role `{role}`"),
                        target: format!("role/{role}"),
                        why: why.clone(),
                        rights: "iam:GetRole, iam:ListAttachedRolePolicies, iam:ListRolePolicies and iam:GetRolePolicy",
                    });
                }
            }
        }
    }

    fn target(
        &mut self,
        target: &AttachTarget,
        resolved: &mut Resolved<'_>,
        state: &AccountState,
        findings: &mut Vec<Finding>,
    ) {
        match target {
            AttachTarget::Role(role) => {
                self.wish(role, resolved);
            }
            AttachTarget::NodeGroups { cluster, node_groups } => {
                let Some(found) = cluster_of(cluster, resolved, state, findings) else {
                    resolved.has_hidden_roles = true;
                    return;
                };
                if let Some(why) = found.unread(ClusterPart::NodeGroups) {
                    let rights = "eks:ListNodegroups and eks:DescribeNodegroup";
                    resolved.has_hidden_roles = true;
                    return resolved.hidden.push(part_of(found, "node groups", why, rights));
                }
                findings.extend(unknown_groups(found, node_groups));
                for (_, role) in found.groups(node_groups) {
                    let Some(name) = RoleName::of_arn(role) else { continue };
                    let Some(wish) = self.wish(name.as_str(), resolved) else { continue };
                    wish.arn = Some(role.clone());
                    wish.is_of_nodes = true;
                }
            }
            AttachTarget::Irsa(to) => {
                let Some(found) = cluster_of(&to.cluster, resolved, state, findings) else {
                    let hidden = resolved.hidden.last().cloned();
                    if let Some(wish) = self.wish(&to.role, resolved) {
                        wish.hidden = wish.hidden.take().or(hidden);
                    }
                    return;
                };
                let Some(issuer) = issuer_of(found, state, findings) else { return };
                let account = ServiceAccount { namespace: to.namespace.clone(), name: to.service_account.clone() };
                let Some(wish) = self.wish(&to.role, resolved) else { return };
                let accounts = wish.trusted.irsa.entry(issuer).or_default();
                if !accounts.contains(&account) {
                    accounts.push(account);
                }
            }
            AttachTarget::PodIdentity(to) => {
                // Who may take the role is the same whatever cluster it is, so one that may not be read takes nothing away.
                if let Some(wish) = self.wish(&to.role, resolved) {
                    wish.trusted.pod_identity = true;
                }
                let Some(found) = cluster_of(&to.cluster, resolved, state, findings) else { return };
                if let Some(why) = found.unread(ClusterPart::Associations) {
                    let rights = "eks:ListPodIdentityAssociations and eks:DescribePodIdentityAssociation";
                    return resolved.hidden.push(part_of(found, "Pod Identity associations", why, rights));
                }
                findings.extend(missing_agent(found).filter(|finding| !findings.contains(finding)));
            }
        }
    }

    /// The wish for a role, which the grant now names.
    fn wish(&mut self, role: &str, resolved: &mut Resolved<'_>) -> Option<&mut RoleWish> {
        let name: RoleName = role.parse().ok()?;
        resolved.roles.insert(name.clone());
        Some(self.roles.entry(name).or_default())
    }

    /// The grant that is left alone and names this role, or may name it.
    pub(super) fn left_alone(&self, role: &RoleName) -> Option<&Resolved<'layout>> {
        let mut left_alone = self.grants.iter().filter(|resolved| !resolved.hidden.is_empty());
        left_alone.find(|resolved| resolved.has_hidden_roles || resolved.roles.contains(role))
    }

    /// The service accounts that grants hand a role to by Pod Identity, whether the grants are left alone or not.
    pub(super) fn associations(&self) -> Vec<(&'layout ServiceAccountRole, bool)> {
        let mut all: Vec<(&ServiceAccountRole, bool)> = Vec::new();
        for resolved in &self.grants {
            for target in &resolved.grant.attach {
                let AttachTarget::PodIdentity(to) = target else { continue };
                match all.iter_mut().find(|(known, _)| *known == to) {
                    Some((_, planned)) => *planned |= resolved.hidden.is_empty(),
                    None => all.push((to, resolved.hidden.is_empty())),
                }
            }
        }
        all
    }
}

impl Resolved<'_> {
    fn look_at_policies(&mut self, state: &AccountState) {
        for (name, _) in &self.documents {
            if let Some(Seen::Hidden(why)) = state.policies.get(name) {
                self.hidden.push(Hidden {
                    what: format!("policy `{name}`"),
                    target: format!("policy/{name}"),
                    why: why.clone(),
                    rights: "iam:GetPolicy, iam:GetPolicyVersion and iam:ListPolicyVersions",
                });
            }
        }
    }
}

fn part_of(cluster: &Cluster, part: &str, why: &str, rights: &'static str) -> Hidden {
    Hidden {
        what: format!("the {part} of cluster `{}`", cluster.name),
        target: cluster.arn.to_string(),
        why: why.to_owned(),
        rights,
    }
}

/// A cluster that was read; otherwise the reason goes where it belongs.
fn cluster_of<'state>(
    name: &str,
    resolved: &mut Resolved<'_>,
    state: &'state AccountState,
    findings: &mut Vec<Finding>,
) -> Option<&'state Cluster> {
    match state.clusters.get(name) {
        Some(Seen::Here(cluster)) => Some(cluster),
        Some(Seen::Hidden(why)) => {
            let hidden = Hidden {
                what: format!("cluster `{name}`"),
                target: format!("cluster/{name}"),
                why: why.clone(),
                rights: "eks:DescribeCluster",
            };
            if !resolved.hidden.contains(&hidden) {
                resolved.hidden.push(hidden);
            }
            None
        }
        Some(Seen::Absent) | None => {
            let near = near(name, state.cluster_names.iter().map(String::as_str));
            let message = format!("there is no EKS cluster `{name}` in this Region{near}");
            let finding = Finding::new("cluster-missing", Severity::Error, format!("cluster/{name}"), message)
                .with_fix("correct `eks_cluster` or `cluster` in the grant, or choose the cluster's Region");
            if !findings.contains(&finding) {
                findings.push(finding);
            }
            None
        }
    }
}

/// `, did you mean ...?`, or nothing.
pub(super) fn near<'names>(wrong: &str, names: impl IntoIterator<Item = &'names str>) -> String {
    nearest(wrong, names).map(|name| format!(", did you mean `{name}`?")).unwrap_or_default()
}

/// A finding for each name or glob that no node group answers to.
fn unknown_groups(cluster: &Cluster, wanted: &[String]) -> Vec<Finding> {
    let names: Vec<&str> = cluster.node_groups.iter().map(|group| group.name.as_str()).collect();
    let unknown = wanted.iter().filter(|glob| cluster.groups(std::slice::from_ref(*glob)).next().is_none());
    unknown
        .map(|glob| {
            let near = near(glob, names.iter().copied());
            let there = if names.is_empty() {
                "it has no managed node groups".to_owned()
            } else {
                format!("it has {}", names.join(", "))
            };
            let message = format!("cluster `{}` has no node group `{glob}`{near}; {there}", cluster.name);
            Finding::new("node-group-missing", Severity::Error, &cluster.arn, message)
                .with_fix("correct `node_groups`; roles of nodes outside of managed groups are named with `role`")
        })
        .collect()
}

/// The issuer of a cluster whose provider the account has, or may have.
fn issuer_of(cluster: &Cluster, state: &AccountState, findings: &mut Vec<Finding>) -> Option<OidcIssuer> {
    let mut tell = |finding: Finding| {
        if !findings.contains(&finding) {
            findings.push(finding);
        }
    };
    let Some(issuer) = cluster.oidc_issuer.as_ref().and_then(|text| text.parse::<OidcIssuer>().ok()) else {
        let message =
            format!("cluster `{}` has no OIDC issuer, so no service account can take a role by it", cluster.name);
        let fix = "use `pod_identity` instead of `irsa`";
        tell(Finding::new("no-oidc-issuer", Severity::Error, &cluster.arn, message).with_fix(fix));
        return None;
    };
    let provider = format!("arn:{}:iam::{}:oidc-provider/{issuer}", state.partition, state.account);
    match &state.oidc_providers {
        // There every cluster has what it needs.
        _ if state.is_directory => {}
        Seen::Here(providers) if providers.iter().any(|known| known.as_str() == provider) => {}
        Seen::Here(_) | Seen::Absent => {
            let message = format!("the account has no OIDC provider for cluster `{}`: `{provider}`", cluster.name);
            let fix = format!(
                "make it with `eksctl utils associate-iam-oidc-provider --cluster {} --approve`, or use `pod_identity`",
                cluster.name
            );
            tell(Finding::new("no-oidc-provider", Severity::Error, &cluster.arn, message).with_fix(fix));
        }
        Seen::Hidden(why) => {
            let message = format!("whether the account has the OIDC provider `{provider}` cannot be told: {why}");
            let finding = Finding::new("account-hidden", Severity::Warning, &cluster.arn, message);
            tell(finding.with_fix("use a profile with iam:ListOpenIDConnectProviders"));
        }
    }
    Some(issuer)
}

/// Without the agent pods get no credentials, whatever associations there are.
fn missing_agent(cluster: &Cluster) -> Option<Finding> {
    let has_agent = cluster.addons.iter().any(|addon| addon == "eks-pod-identity-agent");
    if has_agent || cluster.auto_mode_role.is_some() {
        return None;
    }
    let name = &cluster.name;
    if let Some(why) = cluster.unread(ClusterPart::Addons) {
        let message = format!("whether cluster `{name}` has the add-on eks-pod-identity-agent cannot be told: {why}");
        let finding = Finding::new("account-hidden", Severity::Warning, &cluster.arn, message);
        return Some(finding.with_fix("use a profile with eks:ListAddons"));
    }
    let message =
        format!("cluster `{name}` lacks the add-on eks-pod-identity-agent: its pods get no role from associations");
    let fix = format!("aws eks create-addon --cluster-name {name} --addon-name eks-pod-identity-agent");
    Some(Finding::new("no-pod-identity-agent", Severity::Warning, &cluster.arn, message).with_fix(fix))
}
