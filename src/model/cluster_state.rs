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

/// Node groups that were asked for and are not in a cluster.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cluster `{cluster}` has no node group {wanted}; {there}")]
pub struct NoNodeGroup {
    cluster: String,
    wanted: String,
    there: String,
}

/// The role of nodes, and the groups that share it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeRole {
    /// The role.
    pub role: Arn,
    /// The names of the groups.
    pub groups: Vec<String>,
}

impl Cluster {
    /// The roles of the node groups that `wanted` names, each once: names, or patterns with `*` and `?`. A name or pattern
    /// that fits no group is an error, because somebody meant one.
    pub fn node_roles(&self, wanted: &[impl AsRef<str>]) -> Result<Vec<NodeRole>, NoNodeGroup> {
        let fits = |wanted: &str, name: &str| glob(wanted.as_bytes(), name.as_bytes());
        let vain = wanted.iter().find(|one| !self.node_groups.iter().any(|group| fits(one.as_ref(), &group.name)));
        if let Some(vain) = vain {
            let names: Vec<&str> = self.node_groups.iter().map(|group| group.name.as_str()).collect();
            let there = match &names[..] {
                [] => "it has no managed node groups".to_owned(),
                names => format!("it has {}", names.join(", ")),
            };
            return Err(NoNodeGroup { cluster: self.name.clone(), wanted: format!("`{}`", vain.as_ref()), there });
        }
        let mut roles: Vec<NodeRole> = Vec::new();
        for group in self.node_groups.iter().filter(|group| wanted.iter().any(|one| fits(one.as_ref(), &group.name))) {
            match roles.iter_mut().find(|known| known.role == group.role) {
                Some(known) => known.groups.push(group.name.clone()),
                None => roles.push(NodeRole { role: group.role.clone(), groups: vec![group.name.clone()] }),
            }
        }
        Ok(roles)
    }
}

/// True if `*` (any run of letters) and `?` (one letter) make the name of the pattern.
fn glob(pattern: &[u8], name: &[u8]) -> bool {
    let (mut at, mut read, mut star) = (0, 0, None);
    while read < name.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, read));
                at += 1;
            }
            Some(letter) if *letter == b'?' || *letter == name[read] => {
                at += 1;
                read += 1;
            }
            // The last star takes one letter more.
            _ => match star {
                Some((of, taken)) => {
                    star = Some((of, taken + 1));
                    (at, read) = (of + 1, taken + 1);
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|letter| *letter == b'*')
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

#[cfg(test)]
mod tests {
    use super::{Cluster, NodeGroup, glob};

    #[test]
    fn patterns() {
        for (pattern, name, fits) in [
            ("*", "", true),
            ("*", "gpu-1", true),
            ("gpu-*", "gpu-1", true),
            ("gpu-?", "gpu-12", false),
            ("*-1", "gpu-11-1", true),
            ("a*b*c", "a-b-b-d", false),
            ("gpu", "gpu-1", false),
        ] {
            assert_eq!(glob(pattern.as_bytes(), name.as_bytes()), fits, "{pattern} {name}");
        }
    }

    #[test]
    fn groups_that_share_a_role_give_it_once() {
        let group = |name: &str, role: &str| NodeGroup {
            name: name.to_owned(),
            role: format!("arn:aws:iam::111122223333:role/{role}").parse().unwrap(),
        };
        let cluster = Cluster {
            name: "lab".to_owned(),
            arn: "arn:aws:eks:us-east-1:111122223333:cluster/lab".parse().unwrap(),
            control_plane_role: None,
            oidc_issuer: None,
            node_groups: vec![group("a", "one"), group("b", "two"), group("c", "one")],
            associations: Vec::new(),
            addons: Vec::new(),
            auto_mode_role: None,
            unread: Vec::new(),
        };
        let roles = cluster.node_roles(&["*"]).unwrap();
        let groups: Vec<_> = roles.iter().map(|role| role.groups.join(" ")).collect();
        assert_eq!(groups, ["a c", "b"]);
        assert_eq!(cluster.node_roles(&["b"]).unwrap().len(), 1);
        let error = cluster.node_roles(&["a", "gpu-*"]).unwrap_err().to_string();
        assert_eq!(error, "cluster `lab` has no node group `gpu-*`; it has a, b, c");
    }
}
