//! Which pods get the role of their node: decided by how far the answers of the node's metadata service travel.
//!
//! An answer with a token survives as many network hops as the hop limit says, and a pod's own network is one hop more than
//! its node's. Where tokens are optional, the service also answers without, to any distance.
//! Source: <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html>

use crate::model::{
    Arn, Cluster, ClusterPart, ClusterSurvey, FargateProfile, GroupSurvey, LaunchTemplate, MetadataOptions, Node,
    NodeMaker, RoleName, Seen, Tokens,
};
use crate::report::{ClusterNodes, NodeGroupRecord, Pods};
use std::collections::BTreeMap;

/// Which pods a node's metadata service gives the node's role to, and why.
pub(super) fn reach(metadata: &MetadataOptions) -> (Pods, String) {
    let told = |pods, words: &str| (pods, words.to_owned());
    match (metadata.enabled, metadata.hop_limit, metadata.tokens) {
        (Some(false), _, _) => told(Pods::Nobody, "the metadata service is off"),
        (_, Some(limit), _) if limit >= 2 => {
            (Pods::Every, format!("hop limit {limit} lets the metadata service answer pods"))
        }
        (_, _, Some(Tokens::Optional)) => told(
            Pods::Every,
            "tokens are optional, so the metadata service answers pods without one, whatever the hop limit",
        ),
        (_, Some(limit), Some(Tokens::Required)) => (
            Pods::HostNetwork,
            format!("hop limit {limit} ends the metadata service's answers before the pods' own network"),
        ),
        (_, Some(limit), None) => {
            (Pods::Unknown, format!("hop limit {limit}, and whether tokens are required is not told"))
        }
        (_, None, _) => told(Pods::Unknown, "the hop limit is not told"),
    }
}

/// What some nodes do together: the same, or different things.
fn together(nodes: &[&Node]) -> Option<(Pods, String)> {
    let mut kinds: BTreeMap<(Pods, String), usize> = BTreeMap::new();
    for node in nodes {
        *kinds.entry(reach(&node.metadata)).or_default() += 1;
    }
    if kinds.len() < 2 {
        return kinds.into_keys().next();
    }
    let same = kinds.keys().all(|(pods, _)| kinds.keys().next().is_some_and(|(first, _)| first == pods));
    let pods = kinds.keys().next().filter(|_| same).map_or(Pods::Mixed, |(pods, _)| *pods);
    let parts = kinds.iter().map(|((pods, because), count)| format!("on {count} {}, because {because}", pods.words()));
    Some((pods, parts.collect::<Vec<_>>().join("; ")))
}

/// Every kind of node that the cluster has, managed groups first.
pub(super) fn records(cluster: &Cluster, survey: &ClusterSurvey) -> Vec<NodeGroupRecord> {
    let all: &[Node] = survey.nodes.here().map_or(&[], Vec::as_slice);
    let mut records = Vec::new();
    for group in &cluster.node_groups {
        let is_of_group = |node: &&Node| matches!(&node.maker, NodeMaker::Managed(name) if *name == group.name);
        let nodes: Vec<&Node> = all.iter().filter(is_of_group).collect();
        let more = survey.groups.get(&group.name);
        records.push(managed(cluster, survey, &group.name, &group.role, more, &nodes));
    }
    let is_listed = |maker: &NodeMaker| matches!(maker, NodeMaker::Managed(name) if cluster.node_groups.iter().any(|group| group.name == *name));
    // Whoever makes nodes may give them different roles, and a grant reaches those of one.
    let mut kinds: BTreeMap<(&NodeMaker, Option<&Arn>), Vec<&Node>> = BTreeMap::new();
    for node in all.iter().filter(|node| !is_listed(&node.maker)) {
        kinds.entry((&node.maker, role_of(node, cluster, survey))).or_default().push(node);
    }
    let has_auto_nodes = kinds.keys().any(|(maker, _)| matches!(maker, NodeMaker::AutoMode(_)));
    for ((maker, role), nodes) in kinds {
        records.push(others(cluster, maker, role, &nodes));
    }
    if let Some(role) = cluster.auto_mode_role.as_ref().filter(|_| !has_auto_nodes) {
        let mut record = blank(cluster, ClusterNodes::AutoMode, "");
        record.set_role(role);
        record.nodes = survey.nodes.here().map(|_| 0);
        record.because = no_nodes(survey, "no such node runs");
        records.push(record);
    }
    records.extend(survey.fargate.here().into_iter().flatten().map(|profile| fargate(cluster, profile)));
    records
}

/// Why nothing is known where there are no nodes to look at.
fn no_nodes(survey: &ClusterSurvey, none: &str) -> String {
    match super::why(&survey.nodes) {
        Some(why) => format!("the nodes may not be looked at: {why}"),
        None => none.to_owned(),
    }
}

fn blank(cluster: &Cluster, kind: ClusterNodes, name: &str) -> NodeGroupRecord {
    NodeGroupRecord {
        cluster: cluster.name.clone(),
        name: name.to_owned(),
        kind,
        status: None,
        image: None,
        role: None,
        role_name: None,
        instance_profiles: None,
        launch_template: None,
        launch_template_version: None,
        nodes: None,
        hop_limits: Vec::new(),
        tokens: Vec::new(),
        namespaces: Vec::new(),
        pods: Pods::Unknown,
        because: String::new(),
        new_nodes: None,
    }
}

impl NodeGroupRecord {
    fn set_role(&mut self, role: &Arn) {
        self.role_name = RoleName::of_arn(role).map(String::from);
        self.role = Some(role.clone());
    }

    fn set_nodes(&mut self, nodes: &[&Node]) {
        self.nodes = Some(nodes.len() as u64);
        let metadata = || nodes.iter().map(|node| &node.metadata);
        self.hop_limits = metadata().filter_map(|one| one.hop_limit).collect();
        self.tokens = metadata()
            .filter_map(|one| one.tokens)
            .map(|tokens| match tokens {
                Tokens::Required => "required",
                Tokens::Optional => "optional",
            })
            .collect();
        self.hop_limits.sort_unstable();
        self.hop_limits.dedup();
        self.tokens.sort_unstable();
        self.tokens.dedup();
        let mut profiles: Vec<String> = nodes.iter().filter_map(|node| node.profile.clone()).collect();
        profiles.extend(self.instance_profiles.take().into_iter().flatten());
        profiles.sort();
        profiles.dedup();
        self.instance_profiles = Some(profiles);
    }
}

fn managed(
    cluster: &Cluster,
    survey: &ClusterSurvey,
    name: &str,
    role: &Arn,
    more: Option<&GroupSurvey>,
    nodes: &[&Node],
) -> NodeGroupRecord {
    let mut record = blank(cluster, ClusterNodes::Managed, name);
    record.set_role(role);
    let role_name = RoleName::of_arn(role);
    record.instance_profiles = role_name.and_then(|role| survey.profiles.get(&role)).and_then(Seen::here).cloned();
    record.status = more.and_then(|more| more.status.clone());
    record.image = more.and_then(|more| more.image.clone());
    let template = more.and_then(|more| more.template.as_ref());
    record.launch_template = template.map(|template| template.id.clone());
    record.launch_template_version = template.map(|template| template.version.clone());
    if survey.nodes.here().is_some() {
        record.set_nodes(nodes);
    }
    let promised = template.map(promise);
    (record.pods, record.because) = match (together(nodes), promised) {
        (Some(found), promised) => {
            record.new_nodes = promised
                .filter(|(pods, _)| *pods != Pods::Unknown && *pods != found.0)
                .map(|(pods, because)| format!("{}: {because} (launch template)", pods.words()));
            found
        }
        // Nodes that may not be looked at may have been started from another version.
        (None, Some((pods, because))) if survey.nodes.here().is_some() => {
            (pods, format!("no node runs; by its launch template: {because}"))
        }
        (None, Some((_, because))) => {
            let unseen = no_nodes(survey, "no node runs");
            (Pods::Unknown, format!("{unseen}; the launch template says: {because}"))
        }
        (None, None) if more.is_none() => {
            (Pods::Unknown, no_nodes(survey, "no node runs, and what EKS says of the group was not read"))
        }
        (None, None) => {
            let none = "no node runs, and the group has no launch template of its own; EKS's default for AL2023 is hop limit 1";
            (Pods::Unknown, no_nodes(survey, none))
        }
    };
    record
}

/// What a launch template promises of nodes that start from it.
fn promise(template: &LaunchTemplate) -> (Pods, String) {
    match &template.metadata {
        Seen::Here(metadata) => {
            let (pods, because) = reach(metadata);
            match (pods, metadata.hop_limit) {
                (Pods::Unknown, None) => {
                    (pods, "it leaves the hop limit to the account and the machine image".to_owned())
                }
                _ => (pods, because),
            }
        }
        Seen::Absent => (Pods::Unknown, "this version of it is gone".to_owned()),
        Seen::Hidden(why) => (Pods::Unknown, format!("it may not be read: {why}")),
    }
}

/// The role in a node's instance profile, where that was read: of the profiles of groups' roles by the role, else by name.
fn role_of<'seen>(node: &Node, cluster: &'seen Cluster, survey: &'seen ClusterSurvey) -> Option<&'seen Arn> {
    let profile = node.profile.as_ref()?;
    let holds = |role: &&Arn| {
        let profiles = RoleName::of_arn(role).and_then(|name| survey.profiles.get(&name)?.here());
        profiles.is_some_and(|profiles| profiles.contains(profile))
    };
    let of_groups = cluster.node_groups.iter().map(|group| &group.role).chain(&cluster.auto_mode_role).find(holds);
    of_groups.or_else(|| survey.profile_roles.get(profile)?.here())
}

/// Nodes that no managed group of the cluster owns, all with the same role.
fn others(cluster: &Cluster, maker: &NodeMaker, role: Option<&Arn>, nodes: &[&Node]) -> NodeGroupRecord {
    let (kind, name) = match maker {
        NodeMaker::Managed(name) => (ClusterNodes::Managed, name),
        NodeMaker::AutoMode(name) => (ClusterNodes::AutoMode, name),
        NodeMaker::Karpenter(name) => (ClusterNodes::Karpenter, name),
        NodeMaker::SelfManaged(name) => (ClusterNodes::SelfManaged, name),
    };
    let mut record = blank(cluster, kind, name);
    record.set_nodes(nodes);
    let auto = cluster.auto_mode_role.as_ref().filter(|_| kind == ClusterNodes::AutoMode);
    if let Some(role) = role.or(auto) {
        record.set_role(role);
    }
    if kind == ClusterNodes::Managed && cluster.unread(ClusterPart::NodeGroups).is_none() {
        record.status = Some("not listed by EKS any more".to_owned());
    }
    (record.pods, record.because) = together(nodes).unwrap_or((Pods::Unknown, "no node runs".to_owned()));
    record
}

/// Fargate has no metadata service, and the Pod Identity agent does not run there.
///
/// Source: <https://docs.aws.amazon.com/eks/latest/userguide/pod-identities.html>
fn fargate(cluster: &Cluster, profile: &FargateProfile) -> NodeGroupRecord {
    let mut record = blank(cluster, ClusterNodes::Fargate, &profile.name);
    if let Some(role) = &profile.role {
        record.set_role(role);
    }
    record.namespaces.clone_from(&profile.namespaces);
    record.pods = Pods::Nobody;
    record.because = "this role only starts the pods; on Fargate they get one by IRSA alone".to_owned();
    record
}
