//! What EKS, EC2 and IAM say of a cluster's nodes and network, as far as it decides which pods reach which role and S3.

use super::cluster_state::glob;
use super::{Arn, PolicyJson, RoleName, Seen};
use std::collections::BTreeMap;

/// A cluster beyond its identities: its nodes, its subnets, and the ways from them to S3.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterSurvey {
    /// `ACTIVE`, `CREATING`, ...
    pub status: Option<String>,
    /// The version of Kubernetes.
    pub version: Option<String>,
    /// Its VPC.
    pub vpc: Option<String>,
    /// The subnets that it was given.
    pub subnets: Vec<String>,
    /// More of its managed node groups, by name.
    pub groups: BTreeMap<String, GroupSurvey>,
    /// Its Fargate profiles.
    pub fargate: Seen<Vec<FargateProfile>>,
    /// Its instances that run or start, whoever made them.
    pub nodes: Seen<Vec<Node>>,
    /// The instance profiles of the roles of its nodes.
    pub profiles: BTreeMap<RoleName, Seen<Vec<String>>>,
    /// The roles in the instance profiles of nodes, by the profile's name.
    pub profile_roles: BTreeMap<String, Seen<Arn>>,
    /// The endpoints for S3 in its VPC.
    pub endpoints: Seen<Vec<VpcEndpoint>>,
    /// The route tables of its VPC.
    pub route_tables: Seen<Vec<RouteTable>>,
}

/// More of a managed node group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupSurvey {
    /// `ACTIVE`, `DEGRADED`, ...
    pub status: Option<String>,
    /// The kind of machine image: `AL2023_x86_64_STANDARD`, `CUSTOM`, ...
    pub image: Option<String>,
    /// The subnets of its nodes.
    pub subnets: Vec<String>,
    /// Its own launch template; none where EKS made one.
    pub template: Option<LaunchTemplate>,
}

/// A version of a launch template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaunchTemplate {
    /// Its id, or its name where the id is not told.
    pub id: String,
    /// The version that the group uses.
    pub version: String,
    /// What it says of the metadata service. What it leaves out is decided by the account and the machine image.
    pub metadata: Seen<MetadataOptions>,
}

/// How the metadata service of an instance answers.
///
/// Source: <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_InstanceMetadataOptionsResponse.html>
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct MetadataOptions {
    /// How many network hops an answer with a token survives: a pod's network is one hop more than its node's.
    pub hop_limit: Option<u32>,
    /// Whether every request needs such a token.
    pub tokens: Option<Tokens>,
    /// Whether it answers at all.
    pub enabled: Option<bool>,
}

/// Whether the metadata service asks for a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tokens {
    /// It does (IMDSv2 only).
    Required,
    /// It also answers without, to any number of hops.
    Optional,
}

/// An instance that is a node of the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Its id.
    pub id: String,
    /// Who made it.
    pub maker: NodeMaker,
    /// The name of its instance profile, which is not the name of a role.
    pub profile: Option<String>,
    /// Its subnet.
    pub subnet: Option<String>,
    /// The VPC of its subnet.
    pub vpc: Option<String>,
    /// How its metadata service answers.
    pub metadata: MetadataOptions,
}

/// Who made a node.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum NodeMaker {
    /// A managed node group, by its name.
    Managed(String),
    /// EKS Auto Mode, for a node pool.
    AutoMode(String),
    /// Karpenter, for a node pool.
    Karpenter(String),
    /// Somebody else; the name of the Auto Scaling group where there is one.
    SelfManaged(String),
}

/// Pods that run without a node of their own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FargateProfile {
    /// Its name.
    pub name: String,
    /// The role that starts the pods, which they do not have.
    pub role: Option<Arn>,
    /// The namespaces of its pods, where `*` and `?` stand for any letters.
    ///
    /// Source: <https://docs.aws.amazon.com/eks/latest/userguide/fargate-profile.html>
    pub namespaces: Vec<String>,
}

impl FargateProfile {
    /// True if it may run pods of that namespace; which of them its labels decide.
    pub fn is_for(&self, namespace: &str) -> bool {
        self.namespaces.iter().any(|one| glob(one.as_bytes(), namespace.as_bytes()))
    }
}

/// An endpoint for S3 in a VPC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VpcEndpoint {
    /// Its id.
    pub id: String,
    /// `Gateway` or `Interface`.
    pub kind: String,
    /// `available`, `pending`, ...
    pub state: String,
    /// The route tables that lead to it, for gateways.
    pub route_tables: Vec<String>,
    /// What it lets through.
    pub policy: Option<PolicyJson>,
}

impl VpcEndpoint {
    /// True for a gateway that works.
    pub fn is_gateway_in_use(&self) -> bool {
        self.kind.eq_ignore_ascii_case("gateway") && self.state.eq_ignore_ascii_case("available")
    }
}

/// A route table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteTable {
    /// Its id.
    pub id: String,
    /// True for the one of all subnets without one of their own.
    pub is_main: bool,
    /// The subnets that it was given.
    pub subnets: Vec<String>,
    /// What takes traffic to the Internet: `nat-...`, `igw-...`; none where nothing does.
    pub way_out: Option<String>,
}
