//! What `directory.toml` says of a cluster's nodes, so that their consequences can be tried without one.

use super::account::LocalAccount;
use super::clusters::{DescribedCluster, DescribedNodeGroup, check_name};
use super::{DirectoryError, Rule};
use crate::model::{ClusterSurvey, FargateProfile, GroupSurvey, MetadataOptions, Node, NodeMaker, Seen, Tokens};
use std::collections::BTreeMap;

impl LocalAccount {
    /// The survey of a cluster, as far as `directory.toml` describes it. It is in no VPC.
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
            vpc: None,
            subnets: Vec::new(),
            groups: described.node_group.iter().map(|group| (group.name.clone(), survey_of(group))).collect(),
            fargate: Seen::Here(fargate.collect()),
            nodes: Seen::Here(nodes?),
            profiles: BTreeMap::new(),
            profile_roles: BTreeMap::new(),
            endpoints: Seen::Absent,
            route_tables: Seen::Absent,
        })
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
        addons: vec!["eks-pod-identity-agent".to_owned()],
        node_group: vec![group],
        fargate_profile: Vec::new(),
    }
}
