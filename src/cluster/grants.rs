//! Whom a layout's grants reach in a cluster: by the role of nodes, by a token of a service account, or by Pod Identity.

use super::{has_agent, network, nodes};
use crate::access;
use crate::layout::{AttachTarget, Grant, Layout, ServiceAccountRole};
use crate::model::{Arn, Cluster, ClusterPart, ClusterSurvey, PolicyName, Role, RoleName, Seen};
use crate::policy::matrix::Granted;
use crate::report::{Access, ClusterNodes, Finding, NodeGroupRecord, Pods, ReachRecord, Severity};
use std::collections::{BTreeMap, BTreeSet};

/// Whom grants reach, and what a person should see of it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Granting {
    /// Every way of every grant into the cluster.
    pub ways: Vec<ReachRecord>,
    /// What a person should see.
    pub findings: Vec<Finding>,
}

/// The roles that a layout's grants lead to by this cluster, which are to be looked at.
pub fn roles(layout: &Layout, cluster: &Cluster) -> BTreeSet<RoleName> {
    access::roles_of(layout, &BTreeMap::from([(cluster.name.clone(), Seen::Here(cluster.clone()))]))
}

/// Whom the grants of a layout reach in a cluster, given the roles that were looked at.
pub fn grants(
    layout: &Layout,
    cluster: &Cluster,
    survey: &ClusterSurvey,
    roles: &BTreeMap<RoleName, Seen<Role>>,
) -> Granting {
    let nodes = nodes::records(cluster, survey);
    let mut granting = Granting::default();
    for grant in &layout.grants {
        let names = access::documents_of(layout, grant, cluster.arn.partition()).unwrap_or_default();
        let seen =
            Held { cluster, survey, nodes: &nodes, roles, names: names.into_iter().map(|(name, _)| name).collect() };
        for target in &grant.attach {
            seen.target(grant, target, &mut granting);
        }
        if granting.ways.iter().any(|way| way.policy == grant.policy) {
            granting.findings.extend(behind_endpoints(layout, grant, survey));
        }
    }
    if granting.ways.is_empty() && granting.findings.is_empty() {
        let message = format!("no grant of the layout has to do with cluster `{}`", cluster.name);
        granting.findings.push(Finding::new("no-grant-here", Severity::Warning, &layout.id, message));
    }
    granting
}

/// What one grant is held against.
struct Held<'seen> {
    cluster: &'seen Cluster,
    survey: &'seen ClusterSurvey,
    nodes: &'seen [NodeGroupRecord],
    roles: &'seen BTreeMap<RoleName, Seen<Role>>,
    names: Vec<PolicyName>,
}

impl Held<'_> {
    fn target(&self, grant: &Grant, target: &AttachTarget, granting: &mut Granting) {
        match target {
            AttachTarget::NodeGroups { cluster, node_groups } if *cluster == self.cluster.name => {
                self.node_groups(grant, node_groups, granting);
            }
            AttachTarget::Irsa(to) if to.cluster == self.cluster.name => granting.ways.push(self.irsa(grant, to)),
            AttachTarget::PodIdentity(to) if to.cluster == self.cluster.name => {
                let way = self.pod_identity(grant, to);
                if way.pods == Pods::Nobody {
                    granting.findings.push(unreached(
                        &way,
                        "`bucketwright apply --only grants` makes the association; the add-on is EKS's own",
                    ));
                }
                granting.ways.push(way);
            }
            AttachTarget::Role(role) => self.role(grant, role, granting),
            AttachTarget::NodeGroups { .. } | AttachTarget::Irsa(_) | AttachTarget::PodIdentity(_) => {}
        }
    }

    fn node_groups(&self, grant: &Grant, wanted: &[String], granting: &mut Granting) {
        if let Some(why) = self.cluster.unread(ClusterPart::NodeGroups) {
            let message = format!("whom grant `{}` reaches cannot be told: {why}", grant.policy);
            let finding = Finding::new("grant-reach-unknown", Severity::Warning, &self.cluster.arn, message);
            return granting
                .findings
                .push(finding.with_fix("use a profile with eks:ListNodegroups and eks:DescribeNodegroup"));
        }
        let mut groups: BTreeSet<String> = BTreeSet::new();
        for one in wanted {
            match self.cluster.node_roles(std::slice::from_ref(one)) {
                Ok(roles) => groups.extend(roles.into_iter().flat_map(|role| role.groups)),
                // All of none is Auto Mode, or nothing.
                Err(_) if one == "*" => {}
                Err(missing) => granting.findings.push(
                    Finding::new("node-group-missing", Severity::Error, &self.cluster.arn, missing.to_string())
                        .with_fix("correct `node_groups` in the grant"),
                ),
            }
        }
        let all = wanted.iter().any(|one| one == "*");
        let is_meant = |node: &&NodeGroupRecord| match node.kind {
            ClusterNodes::Managed => groups.contains(&node.name),
            ClusterNodes::AutoMode => all,
            _ => false,
        };
        for node in self.nodes.iter().filter(is_meant) {
            self.by_nodes(grant, node, granting);
        }
        if all {
            let left: Vec<&str> =
                self.nodes.iter().filter(|node| self.is_left(node)).map(|node| node.kind.words()).collect();
            if !left.is_empty() {
                let left: BTreeSet<&str> = left.into_iter().collect();
                let left = left.into_iter().collect::<Vec<_>>().join(", ");
                let message = format!("`node_groups = \"*\"` of grant `{}` leaves out {left}", grant.policy);
                let fix = "name their role with `role`, or use `irsa` or `pod_identity`, which do not depend on nodes";
                granting
                    .findings
                    .push(Finding::new("nodes-left-out", Severity::Warning, &self.cluster.arn, message).with_fix(fix));
            }
        }
    }

    /// True for nodes that no managed group owns, and whose role no managed group has.
    fn is_left(&self, node: &NodeGroupRecord) -> bool {
        let shared = self.nodes.iter().any(|other| other.kind == ClusterNodes::Managed && other.role == node.role);
        !matches!(node.kind, ClusterNodes::Managed | ClusterNodes::AutoMode) && !shared
    }

    /// A grant by the role of some nodes.
    fn by_nodes(&self, grant: &Grant, node: &NodeGroupRecord, granting: &mut Granting) {
        let target = format!("{} {}", node.kind.words(), node.name).trim_end().to_owned();
        let way = self.way(grant, target, node.role_name.as_deref().unwrap_or("(unknown)"), node.pods, &node.because);
        granting.findings.push(match node.pods {
            Pods::Every => Finding::new(
                "grant-to-every-pod",
                Severity::SecurityWarning,
                format!("{}/{}", way.cluster, way.target),
                format!("every pod on these nodes can use grant `{}`, whatever its service account", grant.policy),
            )
            .with_fix("attach it by `pod_identity` or `irsa`, and set the hop limit to 1"),
            Pods::Mixed => Finding::new(
                "grant-reaches-some-pods",
                Severity::Error,
                format!("{}/{}", way.cluster, way.target),
                format!("whether a pod can use grant `{}` depends on its node: {}", grant.policy, node.because),
            )
            .with_fix("replace the nodes that were started with other metadata options, or use `pod_identity`"),
            Pods::Unknown => Finding::new(
                "grant-reach-unknown",
                Severity::Warning,
                format!("{}/{}", way.cluster, way.target),
                format!("whether pods can use grant `{}` cannot be told: {}", grant.policy, node.because),
            )
            .with_fix(
                "use a profile with ec2:DescribeInstances and ec2:DescribeLaunchTemplateVersions, or `pod_identity`",
            ),
            Pods::HostNetwork | Pods::Nobody | Pods::ServiceAccount => unreached(
                &way,
                "attach it by `pod_identity` or `irsa`; a hop limit of 2 in a launch template gives it to every pod",
            ),
        });
        granting.ways.push(way);
    }

    /// A grant to a role by name, as far as the role has to do with this cluster.
    fn role(&self, grant: &Grant, role: &str, granting: &mut Granting) {
        let is_it = |arn: Option<&Arn>| arn.and_then(RoleName::of_arn).is_some_and(|name| name.as_str() == role);
        if is_it(self.cluster.control_plane_role.as_ref()) {
            let target = format!("{}/role {role}", self.cluster.name);
            let message =
                format!("grant `{}` goes to the role of the control plane, which pods never have", grant.policy);
            let fix = "attach it to node groups (`eks_cluster`), or by `irsa` or `pod_identity`";
            granting.findings.push(Finding::new("control-plane-role", Severity::Error, target, message).with_fix(fix));
        }
        for node in self.nodes.iter().filter(|node| node.kind != ClusterNodes::Fargate && is_it(node.role.as_ref())) {
            self.by_nodes(grant, node, granting);
        }
        for one in self.cluster.associations.iter().filter(|one| is_it(Some(&one.role))) {
            let to = ServiceAccountRole {
                cluster: self.cluster.name.clone(),
                namespace: one.namespace.clone(),
                service_account: one.service_account.clone(),
                role: role.to_owned(),
            };
            granting.ways.push(self.pod_identity(grant, &to));
        }
    }

    fn irsa(&self, grant: &Grant, to: &ServiceAccountRole) -> ReachRecord {
        let (pods, because) = match self.cluster.oidc_issuer {
            Some(_) => (
                Pods::ServiceAccount,
                "by a token (IRSA), once the service account is annotated, for pods that start after that",
            ),
            None => (Pods::Nobody, "the cluster has no OIDC issuer"),
        };
        self.way(grant, account(to), &to.role, pods, because)
    }

    fn pod_identity(&self, grant: &Grant, to: &ServiceAccountRole) -> ReachRecord {
        let found = self
            .cluster
            .associations
            .iter()
            .find(|one| one.namespace == to.namespace && one.service_account == to.service_account);
        let has_role = |arn: &Arn| RoleName::of_arn(arn).is_some_and(|name| name.as_str() == to.role);
        let on_fargate = self.survey.fargate.here().into_iter().flatten();
        let on_fargate = on_fargate.filter(|profile| profile.is_for(&to.namespace)).count() > 0;
        let (pods, because) = match (has_agent(self.cluster), found) {
            _ if self.cluster.unread(ClusterPart::Associations).is_some() => {
                (Pods::Unknown, "the associations may not be read".to_owned())
            }
            (_, None) => (Pods::Nobody, "there is no association for it yet".to_owned()),
            (_, Some(one)) if !has_role(&one.role) => {
                (Pods::Nobody, format!("its association is with another role: {}", one.role))
            }
            (Some(false), _) => (Pods::Nobody, format!("the add-on {} is missing", super::AGENT)),
            (None, _) => (Pods::Unknown, "the add-ons may not be read".to_owned()),
            (Some(true), Some(_)) if on_fargate => (
                Pods::ServiceAccount,
                "by Pod Identity, but for those on Fargate, where its agent does not run".to_owned(),
            ),
            (Some(true), Some(_)) => {
                (Pods::ServiceAccount, "by Pod Identity, for pods that start after the association".to_owned())
            }
        };
        self.way(grant, account(to), &to.role, pods, &because)
    }

    fn way(&self, grant: &Grant, target: String, role: &str, pods: Pods, because: &str) -> ReachRecord {
        let attached = role.parse::<RoleName>().ok().and_then(|name| match self.roles.get(&name)? {
            Seen::Here(found) => Some(
                self.names
                    .iter()
                    .all(|policy| found.attached.iter().any(|arn| PolicyName::of_arn(arn).as_ref() == Some(policy))),
            ),
            Seen::Absent => Some(false),
            Seen::Hidden(_) => None,
        });
        ReachRecord {
            cluster: self.cluster.name.clone(),
            policy: grant.policy.clone(),
            target,
            role: role.to_owned(),
            attached,
            pods,
            because: because.to_owned(),
        }
    }
}

fn account(to: &ServiceAccountRole) -> String {
    format!("service account {}/{}", to.namespace, to.service_account)
}

/// A grant that nobody in the cluster can use.
fn unreached(way: &ReachRecord, fix: &str) -> Finding {
    let message = format!("{} can use grant `{}`: {}", way.pods.words(), way.policy, way.because);
    Finding::new("grant-reaches-no-pod", Severity::Error, format!("{}/{}", way.cluster, way.target), message)
        .with_fix(fix)
}

/// What of a grant the endpoints for S3 do not let through.
fn behind_endpoints(layout: &Layout, grant: &Grant, survey: &ClusterSurvey) -> Vec<Finding> {
    let Ok(mut granted) = Granted::of(layout, grant) else { return Vec::new() };
    // Keys are used by S3 itself, which does not come through the endpoint.
    granted.entitlement.grounds.values_mut().for_each(|ground| ground.kms_key = None);
    let mut findings = Vec::new();
    for endpoint in survey.endpoints.here().into_iter().flatten() {
        let Some(policy) = network::parsed(endpoint) else { continue };
        let limited = Granted { principal: granted.principal.behind(policy), entitlement: granted.entitlement.clone() };
        let refused: Vec<String> = limited
            .cells()
            .into_iter()
            .filter(|cell| cell.expected == Access::Allow && cell.observed == Access::Deny)
            .map(|cell| format!("{} {}", cell.operation, cell.target))
            .collect();
        let Some(first) = refused.first() else { continue };
        let more = match refused.len() - 1 {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let message = format!("its policy does not let through what grant `{}` gives: {first}{more}", grant.policy);
        let fix = "allow the grant's actions on its buckets in the endpoint's policy";
        findings.push(Finding::new("endpoint-policy", Severity::Error, &endpoint.id, message).with_fix(fix));
    }
    findings
}
