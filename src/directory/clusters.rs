//! Clusters: `directory.toml`, written by hand, says which there are; `associations/CLUSTER.json` is what EKS would keep.
//!
//! A cluster that nobody described has one node group, so that a layout can be tried before anything is set up.

use super::account::LocalAccount;
use super::nodes::undescribed;
use super::record::{json, replace};
use super::{Directory, DirectoryError, Rule, text_of};
use crate::model::{AccountId, Arn, Cluster, NodeGroup, PodIdentityAssociation, RoleName, Seen, Tags};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// `directory.toml`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Described {
    account: Option<AccountId>,
    #[serde(default)]
    cluster: Vec<DescribedCluster>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DescribedCluster {
    pub(super) name: String,
    pub(super) status: Option<String>,
    pub(super) version: Option<String>,
    pub(super) oidc_issuer: Option<String>,
    pub(super) control_plane_role: Option<String>,
    pub(super) auto_mode_role: Option<String>,
    pub(super) vpc: Option<String>,
    #[serde(default)]
    pub(super) subnets: Vec<String>,
    #[serde(default)]
    pub(super) addons: Vec<String>,
    #[serde(default)]
    pub(super) node_group: Vec<DescribedNodeGroup>,
    #[serde(default)]
    pub(super) fargate_profile: Vec<DescribedFargateProfile>,
    #[serde(default)]
    pub(super) route_table: Vec<DescribedRouteTable>,
    #[serde(default)]
    pub(super) vpc_endpoint: Vec<DescribedEndpoint>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DescribedRouteTable {
    pub(super) id: String,
    /// True for the table of all subnets without one of their own.
    #[serde(default)]
    pub(super) main: bool,
    #[serde(default)]
    pub(super) subnets: Vec<String>,
    /// What takes traffic to the Internet, such as `nat-...`; nothing does where it is not said.
    pub(super) way_out: Option<String>,
}

/// A gateway endpoint for S3.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DescribedEndpoint {
    pub(super) id: String,
    #[serde(default)]
    pub(super) route_tables: Vec<String>,
    /// The policy document; that of AWS, which lets everything through, where it is not said.
    pub(super) policy: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DescribedFargateProfile {
    pub(super) name: String,
    #[serde(default)]
    pub(super) namespaces: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DescribedNodeGroup {
    pub(super) name: String,
    /// A role's name, or its ARN.
    pub(super) role: String,
    /// The hop limit of the nodes' metadata service; unknown where it is not said.
    pub(super) hop_limit: Option<u32>,
    /// `required` or `optional`; required where only a hop limit is said.
    pub(super) tokens: Option<String>,
    /// The kind of machine image.
    pub(super) image: Option<String>,
}

/// A Pod Identity association, as it is kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Association {
    pub(super) id: String,
    pub(super) namespace: String,
    pub(super) service_account: String,
    pub(super) role: Arn,
    #[serde(default)]
    pub(super) tags: Tags,
}

/// Refuses what is no cluster's name, before it becomes part of a path.
///
/// Source: <https://docs.aws.amazon.com/eks/latest/APIReference/API_CreateCluster.html>
pub(super) fn check_name(name: &str) -> Result<(), DirectoryError> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let begins = name.starts_with(|first: char| first.is_ascii_alphanumeric());
    if begins && name.len() <= 100 && name.bytes().all(plain) {
        return Ok(());
    }
    let message = format!("`{name}` is no cluster's name: 1 to 100 letters, digits, `-` and `_`");
    Err(DirectoryError::refused(Rule::InvalidInput, message))
}

impl Directory {
    /// The account that `directory.toml` names, which the endpoint answers for unless a layout names one.
    pub fn account(&self) -> Result<Option<AccountId>, DirectoryError> {
        Ok(self.described()?.account)
    }

    fn described(&self) -> Result<Described, DirectoryError> {
        let path = self.folder.join("directory.toml");
        let Some(text) = text_of(&path)? else { return Ok(Described::default()) };
        let failed = |error: toml::de::Error| {
            // The whole message draws the line; this file is short.
            let line = error.span().map_or(1, |span| text[..span.start].matches('\n').count() + 1);
            DirectoryError::Form { path: path.clone(), message: format!("line {line}: {}", error.message()) }
        };
        toml::from_str(&text).map_err(failed)
    }

    fn association_file(&self, cluster: &str) -> PathBuf {
        self.folder.join("associations").join(format!("{cluster}.json"))
    }

    pub(super) fn associations(&self, cluster: &str) -> Result<Vec<Association>, DirectoryError> {
        let path = self.association_file(cluster);
        text_of(&path)?.map_or_else(|| Ok(Vec::new()), |text| json(&path, &text))
    }

    pub(super) fn keep_associations(&self, cluster: &str, known: &[Association]) -> Result<(), DirectoryError> {
        replace(&self.association_file(cluster), &known)
    }
}

impl LocalAccount {
    /// A cluster. The roles of its nodes are made if they are not there, as no cluster is without.
    pub fn cluster(&self, name: &str) -> Result<Seen<Cluster>, DirectoryError> {
        check_name(name)?;
        let described = self.described_cluster(name)?;
        let node_groups = described
            .node_group
            .iter()
            .map(|group| Ok(NodeGroup { name: group.name.clone(), role: self.node_role(&group.role)? }));
        let mut node_groups: Vec<NodeGroup> = node_groups.collect::<Result<_, DirectoryError>>()?;
        node_groups.sort_by(|one, other| one.name.cmp(&other.name));
        let associations = self.directory.associations(name)?.into_iter().map(|one| PodIdentityAssociation {
            id: one.id,
            namespace: one.namespace,
            service_account: one.service_account,
            role: one.role,
            tags: one.tags,
        });
        let arn = format!("arn:aws:eks:{}:{}:cluster/{name}", self.region, self.account);
        let role = |role: Option<String>| role.map(|role| self.role_arn(&role)).transpose();
        Ok(Seen::Here(Cluster {
            name: name.to_owned(),
            arn: arn.parse().map_err(|_| DirectoryError::refused(Rule::InvalidInput, format!("`{arn}` is no ARN")))?,
            control_plane_role: role(described.control_plane_role)?,
            oidc_issuer: described.oidc_issuer,
            node_groups,
            associations: associations.collect(),
            addons: described.addons,
            auto_mode_role: role(described.auto_mode_role)?,
            unread: Vec::new(),
        }))
    }

    /// A cluster as the file describes it, or as one that nobody described is.
    pub(super) fn described_cluster(&self, name: &str) -> Result<DescribedCluster, DirectoryError> {
        let described = self.directory.described()?;
        let described = described.cluster.into_iter().find(|cluster| cluster.name == name);
        Ok(described.unwrap_or_else(|| unknown(name)))
    }

    fn node_role(&self, role: &str) -> Result<Arn, DirectoryError> {
        if let Some(name) = RoleName::of_arn(&self.role_arn(role)?) {
            self.ensure_role(&name)?;
        }
        // Its file may say a path.
        self.role_arn(role)
    }

    /// The ARN of a role that `directory.toml` names in either way.
    fn role_arn(&self, role: &str) -> Result<Arn, DirectoryError> {
        if role.starts_with("arn:") {
            return role.parse().map_err(|_| self.bad_role(role));
        }
        let name: RoleName = role.parse().map_err(|_| self.bad_role(role))?;
        match self.role(&name)? {
            Seen::Here(role) => Ok(role.arn),
            _ => self.arn("role", "/", name.as_str()),
        }
    }

    fn bad_role(&self, role: &str) -> DirectoryError {
        let path = self.directory.folder.join("directory.toml");
        DirectoryError::Form { path, message: format!("`{role}` is neither a role's name nor its ARN") }
    }
}

/// A cluster that nobody described.
fn unknown(name: &str) -> DescribedCluster {
    let id = name
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    // Names of roles are shorter than those of clusters.
    let start: String = name.chars().take(48).collect();
    let issuer = format!("https://oidc.eks.us-east-1.amazonaws.com/id/{id:016X}{id:016X}");
    let (hop_limit, tokens, image) = (None, None, None);
    let (group, role) = ("default".to_owned(), format!("{start}-default-node"));
    undescribed(name, issuer, DescribedNodeGroup { name: group, role, hop_limit, tokens, image })
}
