//! What a cluster's nodes and network mean for its pods: who gets which role, how S3 is reached, and whom grants reach.
//!
//! A role that a policy is attached to says nothing of pods: those get it from the metadata service of their node if its
//! answers travel far enough, from a token of their service account, or from an agent on the node. What may not be read is
//! unknown, and never taken for a yes or a no.

mod flyte;
mod grants;
mod identities;
pub mod job;
mod network;
mod nodes;
mod pods;
mod spots;
pub mod stand;
pub mod told;
mod yaml;

pub use flyte::{FlyteVersion, NoFlyte, flyte_values};
pub use grants::{Granting, grants, roles};
pub use identities::{Around, identities, identity};
pub use pods::{Pod, ServiceAccount, Snapshot};
pub use spots::{AccountName, AccountNameError, Spot, Wish, is_label, spots, unresolved};

use crate::model::{Cluster, ClusterPart, ClusterSurvey, Seen};
use crate::report::{AssociationRecord, ClusterRecord, Finding, NodeGroupRecord, UnknownPart, VpcEndpointRecord};

/// The name of the add-on that hands out roles by Pod Identity.
pub const AGENT: &str = "eks-pod-identity-agent";

/// A cluster as it is shown.
#[derive(Debug, Clone, PartialEq)]
pub struct View {
    /// The cluster itself.
    pub cluster: ClusterRecord,
    /// Its nodes, by who makes them.
    pub nodes: Vec<NodeGroupRecord>,
    /// Its Pod Identity associations.
    pub associations: Vec<AssociationRecord>,
    /// The endpoints for S3 of its VPC.
    pub endpoints: Vec<VpcEndpointRecord>,
    /// What a person should see.
    pub findings: Vec<Finding>,
}

/// What is known of a cluster, as it is shown.
pub fn view(cluster: &Cluster, survey: &ClusterSurvey) -> View {
    let network = network::Network::of(cluster, survey);
    View {
        cluster: record(cluster, survey),
        nodes: nodes::records(cluster, survey),
        associations: cluster.associations.iter().map(|one| association(cluster, one)).collect(),
        endpoints: network.records(),
        findings: network.findings(),
    }
}

/// Whether pods can get roles by Pod Identity; none where that may not be read.
fn has_agent(cluster: &Cluster) -> Option<bool> {
    if cluster.auto_mode_role.is_some() || cluster.addons.iter().any(|addon| addon == AGENT) {
        return Some(true);
    }
    cluster.unread(ClusterPart::Addons).is_none().then_some(false)
}

fn record(cluster: &Cluster, survey: &ClusterSurvey) -> ClusterRecord {
    ClusterRecord {
        name: cluster.name.clone(),
        arn: cluster.arn.clone(),
        status: survey.status.clone(),
        version: survey.version.clone(),
        oidc_issuer: cluster.oidc_issuer.clone(),
        control_plane_role: cluster.control_plane_role.clone(),
        auto_mode_role: cluster.auto_mode_role.clone(),
        vpc: survey.vpc.clone(),
        subnets: survey.subnets.clone(),
        addons: cluster.addons.clone(),
        pod_identity_agent: has_agent(cluster),
        unknown: unknown(cluster, survey),
    }
}

fn unknown(cluster: &Cluster, survey: &ClusterSurvey) -> Vec<UnknownPart> {
    let parts = [
        (ClusterPart::NodeGroups, "node-groups"),
        (ClusterPart::Associations, "associations"),
        (ClusterPart::Addons, "addons"),
    ];
    let of_cluster = parts.into_iter().map(|(part, name)| (name, cluster.unread(part)));
    let of_survey = [
        ("fargate-profiles", why(&survey.fargate)),
        ("nodes", why(&survey.nodes)),
        ("vpc-endpoints", why(&survey.endpoints)),
        ("route-tables", why(&survey.route_tables)),
    ];
    let unread = of_cluster.chain(of_survey);
    unread.filter_map(|(part, why)| Some(UnknownPart { part, why: why?.to_owned() })).collect()
}

/// Why something may not be read.
fn why<T>(seen: &Seen<T>) -> Option<&str> {
    match seen {
        Seen::Hidden(why) => Some(why),
        Seen::Here(_) | Seen::Absent => None,
    }
}

fn association(cluster: &Cluster, one: &crate::model::PodIdentityAssociation) -> AssociationRecord {
    AssociationRecord {
        cluster: cluster.name.clone(),
        namespace: one.namespace.clone(),
        service_account: one.service_account.clone(),
        role: one.role.clone(),
        id: one.id.clone(),
    }
}

#[cfg(test)]
mod tests;
