//! A cluster as output shows it: itself, its nodes, its associations, its ways to S3, and whom grants reach in it.

use super::Line;
use crate::model::{Arn, HumanCount};
use serde::Serialize;

/// An EKS cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ClusterRecord {
    /// Its name.
    pub name: String,
    /// Its ARN.
    pub arn: Arn,
    /// `ACTIVE`, `CREATING`, ...
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// The version of Kubernetes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The issuer of its service accounts' tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oidc_issuer: Option<String>,
    /// The role of its control plane, which pods never have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub control_plane_role: Option<Arn>,
    /// The role of nodes that EKS Auto Mode makes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auto_mode_role: Option<Arn>,
    /// Its VPC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vpc: Option<String>,
    /// The subnets that it was given.
    pub subnets: Vec<String>,
    /// The names of its add-ons.
    pub addons: Vec<String>,
    /// Whether pods can get roles by Pod Identity; absent where that may not be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod_identity_agent: Option<bool>,
    /// What may not be read.
    pub unknown: Vec<UnknownPart>,
}

/// Something that may not be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UnknownPart {
    /// `node-groups`, `associations`, `addons`, `fargate-profiles`, `nodes`, `vpc-endpoints`, `route-tables`.
    pub part: &'static str,
    /// Why, in the service's words.
    pub why: String,
}

/// Nodes of one maker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NodeGroupRecord {
    /// The cluster.
    pub cluster: String,
    /// The group, pool, profile or Auto Scaling group; empty where there is none.
    pub name: String,
    /// Who makes the nodes.
    pub kind: ClusterNodes,
    /// `ACTIVE`, `DEGRADED`, ...
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// The kind of machine image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// The role of the nodes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<Arn>,
    /// The name of that role, which is what `attach-role-policy` takes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role_name: Option<String>,
    /// The instance profiles that hold the role; absent where that may not be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance_profiles: Option<Vec<String>>,
    /// The group's own launch template.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub launch_template: Option<String>,
    /// Its version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub launch_template_version: Option<String>,
    /// How many nodes run or start; absent where that may not be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nodes: Option<u64>,
    /// The hop limits of their metadata service.
    pub hop_limits: Vec<u32>,
    /// Whether that asks for tokens: `required`, `optional`, or both.
    pub tokens: Vec<&'static str>,
    /// The namespaces of a Fargate profile.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub namespaces: Vec<String>,
    /// Which pods get the role of the nodes.
    pub pods: Pods,
    /// Why.
    pub because: String,
    /// What nodes that start from now on will do differently.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new_nodes: Option<String>,
}

/// Who makes nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClusterNodes {
    /// A managed node group.
    Managed,
    /// EKS Auto Mode.
    AutoMode,
    /// Karpenter.
    Karpenter,
    /// Somebody else.
    SelfManaged,
    /// Nobody: pods without nodes.
    Fargate,
}

impl ClusterNodes {
    /// The words for people.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Managed => "node group",
            Self::AutoMode => "Auto Mode nodes",
            Self::Karpenter => "Karpenter nodes",
            Self::SelfManaged => "self-managed nodes",
            Self::Fargate => "Fargate profile",
        }
    }
}

/// Which pods get something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pods {
    /// Every pod there.
    Every,
    /// The pods of one service account.
    ServiceAccount,
    /// Those on the nodes' own network alone.
    HostNetwork,
    /// Those on some of the nodes.
    Mixed,
    /// None.
    Nobody,
    /// It cannot be told.
    Unknown,
}

impl Pods {
    /// The words for people.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Every => "every pod",
            Self::ServiceAccount => "the pods of this service account",
            Self::HostNetwork => "no pod but those on the host network",
            Self::Mixed => "the pods on some of the nodes",
            Self::Nobody => "no pod",
            Self::Unknown => "unknown",
        }
    }
}

/// A Pod Identity association.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AssociationRecord {
    /// The cluster.
    pub cluster: String,
    /// The namespace.
    pub namespace: String,
    /// The service account.
    pub service_account: String,
    /// The role that its pods take.
    pub role: Arn,
    /// Its id.
    pub id: String,
}

/// An endpoint for S3 in the cluster's VPC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VpcEndpointRecord {
    /// The cluster.
    pub cluster: String,
    /// Its id.
    pub id: String,
    /// `gateway` or `interface`.
    pub kind: String,
    /// `available`, ...
    pub state: String,
    /// The route tables that lead to it.
    pub route_tables: Vec<String>,
    /// The subnets of the cluster that reach it.
    pub subnets: Vec<String>,
    /// The subnets of the cluster that do not.
    pub missing: Vec<String>,
    /// `everything` (AWS's default), `own`, or `unknown`.
    pub policy: &'static str,
    /// What a policy of its own says, statement by statement.
    pub statements: Vec<super::StatementRecord>,
}

/// Whom a grant reaches in the cluster, by one of the ways that it names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReachRecord {
    /// The cluster.
    pub cluster: String,
    /// The grant's policy.
    pub policy: String,
    /// By which way: `node group NAME`, `service account NAMESPACE/NAME`.
    pub target: String,
    /// The role on that way.
    pub role: String,
    /// Whether the role has the policy; absent where that may not be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attached: Option<bool>,
    /// Which pods can use the grant this way, once the role has the policy.
    pub pods: Pods,
    /// Why.
    pub because: String,
}

fn some(lines: &mut Vec<Line>, words: &str, value: Option<&impl ToString>) {
    lines.extend(value.map(|value| (2, format!("{words}{}", value.to_string()))));
}

impl ClusterRecord {
    /// What people read of it, the heading first.
    pub fn lines(&self) -> Vec<Line> {
        let mut lines = vec![(0, format!("cluster {}", self.name)), (2, self.arn.to_string())];
        let version = self.version.as_ref().map(|version| format!("Kubernetes {version}"));
        let state: Vec<String> = self.status.iter().cloned().chain(version).collect();
        if !state.is_empty() {
            lines.push((2, state.join(", ")));
        }
        some(&mut lines, "control plane, not used by pods: ", self.control_plane_role.as_ref());
        some(&mut lines, "nodes of Auto Mode: ", self.auto_mode_role.as_ref());
        some(&mut lines, "issuer: ", self.oidc_issuer.as_ref());
        if let Some(vpc) = &self.vpc {
            lines.push((2, format!("VPC {vpc}, subnets {}", self.subnets.join(", "))));
        }
        let agent = match self.pod_identity_agent {
            Some(true) if self.auto_mode_role.is_some() => "there, built into Auto Mode",
            Some(true) => "there",
            Some(false) => "missing: associations give pods nothing",
            None => "unknown",
        };
        lines.push((2, format!("Pod Identity agent: {agent}")));
        lines
            .extend(self.unknown.iter().map(|one| (2, format!("unknown {}: {}", one.part.replace('-', " "), one.why))));
        lines
    }
}

impl NodeGroupRecord {
    /// What people read of it, the heading first.
    pub fn lines(&self) -> Vec<Line> {
        let mut lines = vec![(0, format!("{} {}", self.kind.words(), self.name).trim_end().to_owned())];
        let count = self.nodes.map(|nodes| match nodes {
            1 => "1 node".to_owned(),
            nodes => format!("{} nodes", HumanCount(nodes)),
        });
        let facts: Vec<String> = self.status.iter().cloned().chain(count).chain(self.image.clone()).collect();
        if !facts.is_empty() {
            lines.push((2, facts.join(", ")));
        }
        some(&mut lines, "role: ", self.role.as_ref());
        some(&mut lines, "role's name: ", self.role_name.as_ref());
        if let Some(profiles) = self.instance_profiles.as_ref().filter(|profiles| !profiles.is_empty()) {
            lines.push((2, format!("instance profile: {}", profiles.join(", "))));
        }
        if let (Some(template), Some(version)) = (&self.launch_template, &self.launch_template_version) {
            lines.push((2, format!("launch template: {template}, version {version}")));
        }
        if !self.namespaces.is_empty() {
            lines.push((2, format!("namespaces: {}", self.namespaces.join(", "))));
        }
        lines.push((2, format!("gets the nodes' role: {}: {}", self.pods.words(), self.because)));
        some(&mut lines, "nodes that start from now on: ", self.new_nodes.as_ref());
        lines
    }
}

impl AssociationRecord {
    /// What people read of it.
    pub fn lines(&self) -> Vec<Line> {
        let who = format!("service account {}/{}", self.namespace, self.service_account);
        vec![(0, format!("{who} by Pod Identity")), (2, format!("role: {}", self.role))]
    }
}

impl VpcEndpointRecord {
    /// What people read of it, the heading first.
    pub fn lines(&self) -> Vec<Line> {
        let mut lines = vec![(0, format!("VPC endpoint {} for S3", self.id))];
        lines.push((2, format!("{}, {}", self.kind, self.state)));
        if !self.route_tables.is_empty() {
            lines.push((2, format!("route tables: {}", self.route_tables.join(", "))));
        }
        if !self.subnets.is_empty() {
            lines.push((2, format!("reached from {}", self.subnets.join(", "))));
        }
        if !self.missing.is_empty() {
            lines.push((2, format!("not reached from {}", self.missing.join(", "))));
        }
        match self.policy {
            "everything" => lines.push((2, "its policy lets everything through".to_owned())),
            "own" => lines.push((2, "its policy lets through".to_owned())),
            _ => lines.push((2, "its policy is unknown".to_owned())),
        }
        lines.extend(self.statements.iter().map(|one| (4, format!("{}: {}", one.statement, one.detail))));
        lines
    }
}

impl ReachRecord {
    /// What people read of it.
    pub fn lines(&self) -> Vec<Line> {
        let attached = match self.attached {
            Some(true) => "which has the policy",
            Some(false) => "which does not have the policy yet",
            None => "of which it is unknown whether it has the policy",
        };
        vec![
            (0, format!("grant {} by {}", self.policy, self.target)),
            (2, format!("over role {}, {attached}", self.role)),
            (2, format!("usable by {}: {}", self.pods.words(), self.because)),
        ]
    }
}
