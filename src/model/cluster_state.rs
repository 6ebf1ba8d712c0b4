//! What EKS says of a cluster, as far as identities in it depend on that.

use super::Arn;
use serde::{Deserialize, Serialize};

/// An EKS cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cluster {
    /// Its name.
    pub name: String,
    /// Its ARN.
    pub arn: Arn,
    /// The role of its control plane, which pods never have.
    pub control_plane_role: Option<Arn>,
    /// The issuer of its service accounts' tokens: `https://oidc.eks.REGION.amazonaws.com/id/ID`.
    pub oidc_issuer: Option<String>,
    /// Its managed node groups, by name. Nodes of Auto Mode, Karpenter and Fargate are not among them.
    pub node_groups: Vec<NodeGroup>,
    /// Its Pod Identity associations.
    pub associations: Vec<PodIdentityAssociation>,
    /// The names of its add-ons, such as `eks-pod-identity-agent`.
    pub addons: Vec<String>,
    /// The role of nodes that EKS Auto Mode makes, which has the Pod Identity agent built in; none without Auto Mode.
    pub auto_mode_role: Option<Arn>,
    /// Parts that may not be read, in the service's words. Where one is named, an empty list of it says nothing.
    pub unread: Vec<Unread>,
}

/// A part of a cluster that the caller may not read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unread {
    /// Which part.
    pub part: ClusterPart,
    /// Why, in the service's words.
    pub why: String,
}

/// The parts of a cluster that rights of their own are needed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClusterPart {
    /// The managed node groups.
    NodeGroups,
    /// The Pod Identity associations.
    Associations,
    /// The add-ons.
    Addons,
}

impl Cluster {
    /// Why a part may not be read; none if it was.
    pub fn unread(&self, part: ClusterPart) -> Option<&str> {
        self.unread.iter().find(|unread| unread.part == part).map(|unread| unread.why.as_str())
    }
}

/// A managed node group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeGroup {
    /// Its name, from which its role's name does not follow.
    pub name: String,
    /// The role of its nodes.
    pub role: Arn,
}

/// A role handed to a service account by EKS Pod Identity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PodIdentityAssociation {
    /// Its id, unique in the cluster.
    pub id: String,
    /// The namespace.
    pub namespace: String,
    /// The service account.
    pub service_account: String,
    /// The role that pods of it take.
    pub role: Arn,
    /// Its tags, as they were read.
    pub tags: super::Tags,
}
