//! What `directory.toml` says of a cluster's nodes, so that their consequences can be tried without one.

use super::account::LocalAccount;
use super::clusters::{DescribedCluster, DescribedEndpoint, DescribedNodeGroup, DescribedRouteTable, check_name};
use super::{DirectoryError, Rule};
use crate::model::{
    ClusterSurvey, FargateProfile, GroupSurvey, MetadataOptions, Node, NodeMaker, PolicyJson, RouteTable, Seen, Tokens,
    VpcEndpoint,
};
use std::collections::BTreeMap;

/// What AWS writes for an endpoint where nobody gives a policy.
const LETS_EVERYTHING_THROUGH: &str =
    r#"{"Version":"2008-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}]}"#;

impl LocalAccount {
    /// The survey of a cluster, as far as `directory.toml` describes it. It is in no VPC unless one is named there.
    pub fn survey(&self, name: &str) -> Result<ClusterSurvey, DirectoryError> {
        check_name(name)?;
        let described = self.described_cluster(name)?;
        let nodes: Result<Vec<Node>, DirectoryError> = described.node_group.iter().map(node).collect();
        let fargate = described.fargate_profile.iter().map(|profile| FargateProfile {
            name: profile.name.clone(),
            role: None,
            namespaces: profile.namespaces.clone(),
        });
        Ok(ClusterSurvey {
            status: described.status.clone(),
            version: described.version.clone(),
            vpc: described.vpc.clone(),
            subnets: described.subnets.clone(),
            groups: described.node_group.iter().map(|group| (group.name.clone(), survey_of(group))).collect(),
            fargate: Seen::Here(fargate.collect()),
            nodes: Seen::Here(nodes?),
            profiles: BTreeMap::new(),
            profile_roles: BTreeMap::new(),
            endpoints: in_vpc(&described, described.vpc_endpoint.iter().map(endpoint).collect()),
            route_tables: in_vpc(&described, described.route_table.iter().map(route_table).collect()),
        })
    }
}

/// What a VPC holds, where there is one.
fn in_vpc<T>(described: &DescribedCluster, held: Vec<T>) -> Seen<Vec<T>> {
    if described.vpc.is_some() { Seen::Here(held) } else { Seen::Absent }
}

fn route_table(table: &DescribedRouteTable) -> RouteTable {
    RouteTable {
        id: table.id.clone(),
        is_main: table.main,
        subnets: table.subnets.clone(),
        way_out: table.way_out.clone(),
    }
}

fn endpoint(endpoint: &DescribedEndpoint) -> VpcEndpoint {
    VpcEndpoint {
        id: endpoint.id.clone(),
        kind: "Gateway".to_owned(),
        state: "available".to_owned(),
        route_tables: endpoint.route_tables.clone(),
        policy: Some(PolicyJson(endpoint.policy.clone().unwrap_or_else(|| LETS_EVERYTHING_THROUGH.to_owned()))),
    }
}

fn survey_of(group: &DescribedNodeGroup) -> GroupSurvey {
    GroupSurvey { status: None, image: group.image.clone(), subnets: Vec::new(), template: None }
}

/// The one node that stands for all of a group.
fn node(group: &DescribedNodeGroup) -> Result<Node, DirectoryError> {
    let tokens = match group.tokens.as_deref() {
        None => group.hop_limit.map(|_| Tokens::Required),
        Some("required") => Some(Tokens::Required),
        Some("optional") => Some(Tokens::Optional),
        Some(other) => {
            let message = format!("`tokens` of node group `{}` is `required` or `optional`, not `{other}`", group.name);
            return Err(DirectoryError::refused(Rule::InvalidInput, message));
        }
    };
    Ok(Node {
        id: format!("a node of {}", group.name),
        maker: NodeMaker::Managed(group.name.clone()),
        profile: None,
        subnet: None,
        vpc: None,
        metadata: MetadataOptions { hop_limit: group.hop_limit, tokens, enabled: Some(true) },
    })
}

/// What `directory.toml` may say of a cluster that no file describes: nothing.
pub(super) fn undescribed(name: &str, issuer: String, group: DescribedNodeGroup) -> DescribedCluster {
    DescribedCluster {
        name: name.to_owned(),
        status: None,
        version: None,
        oidc_issuer: Some(issuer),
        control_plane_role: None,
        auto_mode_role: None,
        vpc: None,
        subnets: Vec::new(),
        addons: vec!["eks-pod-identity-agent".to_owned()],
        node_group: vec![group],
        fargate_profile: Vec::new(),
        route_table: Vec::new(),
        vpc_endpoint: Vec::new(),
    }
}
