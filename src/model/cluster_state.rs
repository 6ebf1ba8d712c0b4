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

/// What nodes of EKS Auto Mode are called where groups are named.
const AUTO_MODE: &str = "Auto Mode";

/// The role of nodes, and the groups that share it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeRole {
    /// The role.
    pub role: Arn,
    /// The names of the groups.
    pub groups: Vec<String>,
}

impl Cluster {
    /// The node groups that `wanted` means, each with its role: names, or patterns with `*` and `?`. Nodes of EKS Auto Mode
    /// are in no managed group, and `*` means them as well.
    pub fn groups<'own>(&'own self, wanted: &'own [String]) -> impl Iterator<Item = (&'own str, &'own Arn)> {
        let means = |name: &str| wanted.iter().any(|one| glob(one.as_bytes(), name.as_bytes()));
        let managed = self.node_groups.iter().filter(move |group| means(&group.name));
        let auto = self.auto_mode_role.as_ref().filter(|_| wanted.iter().any(|one| one == "*"));
        managed.map(|group| (group.name.as_str(), &group.role)).chain(auto.map(|role| (AUTO_MODE, role)))
    }

    /// The roles of the node groups that `wanted` means, each once. A name or pattern that fits no group is an error, because
    /// somebody meant one.
    pub fn node_roles(&self, wanted: &[String]) -> Result<Vec<NodeRole>, NoNodeGroup> {
        if let Some(vain) = wanted.iter().find(|one| self.groups(std::slice::from_ref(*one)).next().is_none()) {
            let names: Vec<&str> = self.node_groups.iter().map(|group| group.name.as_str()).collect();
            let there = match &names[..] {
                [] => "it has no managed node groups".to_owned(),
                names => format!("it has {}", names.join(", ")),
            };
            return Err(NoNodeGroup { cluster: self.name.clone(), wanted: format!("`{vain}`"), there });
        }
        let mut roles: Vec<NodeRole> = Vec::new();
        for (group, role) in self.groups(wanted) {
            match roles.iter_mut().find(|known| known.role == *role) {
                Some(known) => known.groups.push(group.to_owned()),
                None => roles.push(NodeRole { role: role.clone(), groups: vec![group.to_owned()] }),
            }
        }
        Ok(roles)
    }
}

/// True if `*` (any run of letters) and `?` (one letter) make the name of the pattern.
pub fn glob(pattern: &[u8], name: &[u8]) -> bool {
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
            ("*group*", "node-group-1", true),
            ("gpu-?", "gpu-", false),
            ("a*b*c", "aXbXbc", true),
            ("", "a", false),
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
        let roles = |cluster: &Cluster, wanted: &[&str]| {
            let wanted: Vec<String> = wanted.iter().map(|one| (*one).to_owned()).collect();
            let roles = cluster.node_roles(&wanted).map_err(|error| error.to_string())?;
            Ok::<Vec<_>, String>(roles.iter().map(|role| role.groups.join(" ")).collect())
        };
        assert_eq!(roles(&cluster, &["*"]).unwrap(), ["a c", "b"]);
        assert_eq!(roles(&cluster, &["b"]).unwrap(), ["b"]);
        let error = roles(&cluster, &["a", "gpu-*"]).unwrap_err();
        assert_eq!(error, "cluster `lab` has no node group `gpu-*`; it has a, b, c");
        // Nodes of Auto Mode are meant by all, and by no name.
        let auto = Cluster { auto_mode_role: Some(group("", "auto").role), node_groups: Vec::new(), ..cluster };
        assert_eq!(roles(&auto, &["*"]).unwrap(), ["Auto Mode"]);
        assert_eq!(
            roles(&auto, &["a*"]).unwrap_err(),
            "cluster `lab` has no node group `a*`; it has no managed node groups"
        );
    }
}
