//! Where in a cluster a layout's grants are to be tried: once under each service account, and once in each node group.

use crate::layout::{AttachTarget, Grant, Layout};
use crate::model::{Cluster, NoNodeGroup};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

/// A service account in its namespace.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct AccountName {
    /// The namespace.
    pub namespace: String,
    /// The account.
    pub name: String,
}

/// A text that names no service account.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` names no service account: write NAMESPACE/NAME, in lower-case letters, digits and hyphens")]
pub struct AccountNameError(String);

impl FromStr for AccountName {
    type Err = AccountNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts = text.split_once('/').filter(|(namespace, name)| is_label(namespace) && is_subdomain(name));
        let (namespace, name) = parts.ok_or_else(|| AccountNameError(text.to_owned()))?;
        Ok(Self { namespace: namespace.to_owned(), name: name.to_owned() })
    }
}

impl fmt::Display for AccountName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.namespace, self.name)
    }
}

/// True for a name as namespaces have it.
///
/// Source: <https://kubernetes.io/docs/concepts/overview/working-with-objects/names/>
pub fn is_label(text: &str) -> bool {
    let inside = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=63).contains(&text.len()) && text.bytes().all(inside) && !text.starts_with('-') && !text.ends_with('-')
}

/// True for labels with dots between them.
fn is_subdomain(text: &str) -> bool {
    text.len() <= 253 && text.split('.').all(is_label)
}

/// One place in a cluster, and the grants that hold there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spot {
    /// As whom.
    pub account: AccountName,
    /// In which node group; any node where none is named.
    pub node_group: Option<String>,
    /// The policies of the grants.
    pub grants: Vec<String>,
}

/// What is asked for beside the layout.
#[derive(Debug, Clone, Default)]
pub struct Wish {
    /// This service account and no other.
    pub account: Option<AccountName>,
    /// The namespace for pods that need no certain service account.
    pub namespace: String,
    /// These node groups.
    pub node_groups: Vec<String>,
    /// These grants, by their policies' names; all of them if none is named.
    pub grants: Vec<String>,
    /// This cluster alone.
    pub cluster: Option<String>,
}

impl Wish {
    fn is_wanted(&self, grant: &Grant) -> bool {
        self.grants.is_empty() || self.grants.contains(&grant.policy)
    }

    fn is_here(&self, cluster: &str) -> bool {
        self.cluster.as_deref().is_none_or(|wanted| wanted == cluster)
    }
}

/// The clusters that must be looked at because a grant names node groups by patterns.
pub fn unresolved(layout: &Layout, wish: &Wish) -> BTreeSet<String> {
    let grants = layout.grants.iter().filter(|grant| wish.account.is_none() && wish.is_wanted(grant));
    let by_pattern = |target: &AttachTarget| match target {
        AttachTarget::NodeGroups { cluster, node_groups }
            if wish.is_here(cluster) && node_groups.iter().any(|name| name.contains(['*', '?'])) =>
        {
            Some(cluster.clone())
        }
        _ => None,
    };
    grants.flat_map(|grant| &grant.attach).filter_map(by_pattern).collect()
}

/// Every place, each with its grants, in the order of the layout.
pub fn spots(layout: &Layout, clusters: &BTreeMap<String, Cluster>, wish: &Wish) -> Result<Vec<Spot>, NoNodeGroup> {
    let mut spots: Vec<Spot> = Vec::new();
    let mut add = |account: &AccountName, node_group: Option<String>, grant: &Grant| {
        let known = spots.iter_mut().find(|spot| spot.account == *account && spot.node_group == node_group);
        match known {
            Some(spot) if spot.grants.contains(&grant.policy) => {}
            Some(spot) => spot.grants.push(grant.policy.clone()),
            None => {
                spots.push(Spot { account: account.clone(), node_group, grants: vec![grant.policy.clone()] });
            }
        }
    };
    // Whose identity does not come from the node may run anywhere.
    let nodes: Vec<Option<String>> = match wish.node_groups.as_slice() {
        [] => vec![None],
        groups => groups.iter().cloned().map(Some).collect(),
    };
    let anybody = AccountName { namespace: wish.namespace.clone(), name: "default".to_owned() };
    for grant in layout.grants.iter().filter(|grant| wish.is_wanted(grant)) {
        if let Some(account) = &wish.account {
            nodes.iter().for_each(|node| add(account, node.clone(), grant));
            continue;
        }
        for target in &grant.attach {
            match target {
                AttachTarget::Irsa(to) | AttachTarget::PodIdentity(to) if wish.is_here(&to.cluster) => {
                    let account = AccountName { namespace: to.namespace.clone(), name: to.service_account.clone() };
                    nodes.iter().for_each(|node| add(&account, node.clone(), grant));
                }
                AttachTarget::NodeGroups { cluster, node_groups } if wish.is_here(cluster) => {
                    for group in groups(clusters.get(cluster), node_groups)? {
                        if wish.node_groups.is_empty() || wish.node_groups.contains(&group) {
                            add(&anybody, Some(group), grant);
                        }
                    }
                }
                _ => {}
            }
        }
    }
    Ok(spots)
}

/// The node groups that names mean, and patterns where the cluster is known.
fn groups(cluster: Option<&Cluster>, wanted: &[String]) -> Result<Vec<String>, NoNodeGroup> {
    let Some(cluster) = cluster else { return Ok(wanted.to_vec()) };
    let mut groups: Vec<String> = cluster.node_roles(wanted)?.into_iter().flat_map(|role| role.groups).collect();
    groups.sort();
    Ok(groups)
}

#[cfg(test)]
mod tests {
    use super::{AccountName, Wish, spots, unresolved};
    use crate::layout::{Layout, ParseOptions};
    use crate::model::{Cluster, NodeGroup};
    use std::collections::BTreeMap;

    fn layout(attach: &str) -> Layout {
        let text = format!(
            "version = 1\n[[bucket]]\nname = \"lake\"\n\
             [[grant]]\npolicy = \"P\"\naccess = \"read\"\non = [\"lake\"]\nattach = [{attach}]\n\
             [[grant]]\npolicy = \"Q\"\naccess = \"read\"\non = [\"lake\"]\nattach = [{attach}]\n"
        );
        let (set, env_vars) = (BTreeMap::new(), BTreeMap::new());
        let options = ParseOptions { file_stem: "l", environment: None, set: &set, env_vars: &env_vars };
        crate::layout::parse(text.as_bytes(), &options).unwrap()
    }

    fn lab() -> BTreeMap<String, Cluster> {
        let group = |name: &str| NodeGroup {
            name: name.to_owned(),
            role: "arn:aws:iam::111122223333:role/nodes".parse().unwrap(),
        };
        let cluster = Cluster {
            name: "lab".to_owned(),
            arn: "arn:aws:eks:us-east-1:111122223333:cluster/lab".parse().unwrap(),
            control_plane_role: None,
            oidc_issuer: None,
            node_groups: vec![group("cpu"), group("gpu")],
            associations: Vec::new(),
            addons: Vec::new(),
            auto_mode_role: None,
            unread: Vec::new(),
        };
        BTreeMap::from([("lab".to_owned(), cluster)])
    }

    fn wish() -> Wish {
        Wish { namespace: "ml".to_owned(), ..Wish::default() }
    }

    fn check(attach: &str, wish: &Wish, wanted: &[&str]) {
        let found = spots(&layout(attach), &lab(), wish).unwrap();
        let shown = found.iter().map(|spot| {
            format!("{} {} {}", spot.account, spot.node_group.as_deref().unwrap_or("-"), spot.grants.join("+"))
        });
        assert_eq!(shown.collect::<Vec<_>>(), wanted, "{attach}");
    }

    #[test]
    fn each_account_and_each_node_group_is_one_place() {
        const NODES: &str = "{ eks_cluster = \"lab\", node_groups = \"*\" }";
        const IRSA: &str =
            "{ irsa = { cluster = \"lab\", namespace = \"flyte\", service_account = \"sa\", role = \"r\" } }";
        check(NODES, &wish(), &["ml/default cpu P+Q", "ml/default gpu P+Q"]);
        check(IRSA, &wish(), &["flyte/sa - P+Q"]);
        let gpu = Wish { node_groups: vec!["gpu".to_owned()], grants: vec!["Q".to_owned()], ..wish() };
        check(NODES, &gpu, &["ml/default gpu Q"]);
        check(IRSA, &gpu, &["flyte/sa gpu Q"]);
        let named = Wish { account: Some("a/b".parse().unwrap()), ..wish() };
        check(NODES, &named, &["a/b - P+Q"]);
        check("{ role = \"trainer\" }", &wish(), &[]);
        check(NODES, &Wish { cluster: Some("other".to_owned()), ..wish() }, &[]);
        let missing = layout("{ eks_cluster = \"lab\", node_groups = [\"tpu\"] }");
        assert!(spots(&missing, &lab(), &wish()).is_err());
    }

    #[test]
    fn only_patterns_ask_for_the_cluster() {
        let names = |groups: &str| {
            unresolved(&layout(&format!("{{ eks_cluster = \"lab\", node_groups = {groups} }}")), &wish()).len()
        };
        assert_eq!((names("\"*\""), names("[\"g?u\"]"), names("[\"gpu\"]")), (1, 1, 0));
    }

    #[test]
    fn service_accounts_have_names_of_kubernetes() {
        for (text, good) in
            [("ns/sa", true), ("ns/a.b", true), ("sa", false), ("Ns/sa", false), ("ns/", false), ("a.b/c", false)]
        {
            assert_eq!(text.parse::<AccountName>().is_ok(), good, "{text}");
        }
    }
}
