//! The parts of a report, made of what was looked at.

use crate::access::{AccountState, documents_of};
use crate::document::Document;
use crate::layout::{AttachTarget, Bucket, Dataset, Grant, Layout, Manage, Purpose};
use crate::model::{
    BucketState, Cluster, Existence, ManagedPolicy, PolicyJson, PolicyName, Prefix, Reading, RoleName, Seen,
};
use crate::policy::generate::{Generated, Kind};
use crate::policy::matrix::Granted;
use crate::report::{Access, Cell, Check, NodeGroupRecord, VpcEndpointRecord, attachment_names};
use crate::tree::{Count, Node, Tree};
use serde_json::Value;

/// One bucket.
#[derive(Debug, Clone)]
pub struct BucketPart {
    /// Its name.
    pub name: String,
    /// What is known of it in a few words each: what, and how it is.
    pub facts: Vec<(&'static str, String)>,
    /// Its tags as they were found.
    pub tags: Vec<(String, String)>,
    /// One for each control.
    pub checks: Vec<Check>,
    /// Its policy, indented.
    pub policy: Option<String>,
    /// Its folders and objects.
    pub tree: Option<Tree>,
}

/// What the account holds for the layout's grants.
#[derive(Debug, Clone)]
pub enum AccountPart {
    /// It was looked at.
    Seen {
        /// The policies of the grants.
        policies: Vec<PolicyPart>,
        /// The clusters that grants name.
        clusters: Vec<ClusterPart>,
    },
    /// It was not, for this reason; the policies are those that the layout asks for.
    Unseen {
        /// Why.
        why: String,
        /// The policies of the grants.
        policies: Vec<PolicyPart>,
    },
}

/// One managed policy of a grant.
#[derive(Debug, Clone)]
pub struct PolicyPart {
    /// Its name.
    pub name: String,
    /// Its ARN, if it is there.
    pub arn: Option<String>,
    /// The version in force, if it is there.
    pub version: Option<String>,
    /// What it gives, in words.
    pub gives: String,
    /// The document in force, or the one that is wanted where there is none; indented.
    pub document: String,
    /// How it stands against the layout.
    pub standing: PolicyStanding,
    /// Whom it is attached to; none if that may not be seen.
    pub attached: Option<Vec<String>>,
    /// Whom the layout wants it attached to.
    pub wanted: Vec<String>,
}

/// How a policy stands against the layout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PolicyStanding {
    /// It says what the grant asks for.
    AsWanted,
    /// It says something else.
    Differs,
    /// It is not there.
    Missing,
    /// It may not be read, or was not looked for.
    Unknown,
}

/// One cluster.
#[derive(Debug, Clone)]
pub struct ClusterPart {
    /// Its name.
    pub name: String,
    /// Its ARN.
    pub arn: Option<String>,
    /// Its node groups, each with the role of its nodes.
    pub groups: Vec<(String, String)>,
    /// What else is worth a word.
    pub remarks: Vec<String>,
    /// Which pods get the role of their nodes, and the way from the cluster to S3; none where that was not looked at.
    pub survey: Option<SurveyPart>,
}

/// What a cluster's nodes and network mean.
#[derive(Debug, Clone)]
pub struct SurveyPart {
    /// Its nodes, by who makes them.
    pub nodes: Vec<NodeGroupRecord>,
    /// Its VPC, where it is known.
    pub vpc: Option<String>,
    /// The endpoints for S3 of its VPC; none where they may not be read.
    pub endpoints: Option<Vec<VpcEndpointRecord>>,
}

/// One dataset.
#[derive(Debug, Clone)]
pub struct DatasetPart {
    /// The file or directory.
    pub source: String,
    /// The folder.
    pub to: String,
    /// What lies in the folder; none if it was not seen.
    pub found: Option<Count>,
    /// Where its receipt is.
    pub receipt: Option<String>,
}

impl BucketPart {
    /// What was found of a bucket.
    pub fn of(bucket: &Bucket, state: &BucketState, checks: Vec<Check>, tree: Option<Tree>) -> Self {
        let mut facts = vec![(
            "state",
            match state.existence {
                Existence::Present => "there".to_owned(),
                Existence::Absent => "not there".to_owned(),
                Existence::Forbidden => "there, and the caller may not reach it".to_owned(),
            },
        )];
        facts.extend(state.region.as_ref().map(|region| ("Region", region.to_string())));
        facts.push((
            "role in the layout",
            match (bucket.purpose, bucket.manage) {
                (Purpose::LogTarget, _) => "takes access logs".to_owned(),
                (Purpose::Declared, Manage::All) => "managed".to_owned(),
                (Purpose::Declared, Manage::Data) => "filled, its settings are only checked".to_owned(),
                (Purpose::Declared, Manage::Verify) => "only checked".to_owned(),
            },
        ));
        facts.extend(bucket.template.as_ref().map(|template| ("template", template.clone())));
        facts.extend(
            bucket.access_log.as_ref().map(|log| ("access log to", format!("s3://{}/{}", log.bucket, log.prefix))),
        );
        let unread = |what: &'static str, why: &str| (what, format!("may not be read: {why}"));
        if let Reading::Denied(why) = &state.tags {
            facts.push(unread("tags", why));
        }
        if let Reading::Denied(why) = &state.policy {
            facts.push(unread("bucket policy", why));
        }
        let tags = state.tags.known().into_iter().flatten();
        Self {
            name: bucket.name.to_string(),
            facts,
            tags: tags.map(|(key, value)| (key.to_string(), value.to_string())).collect(),
            checks,
            policy: state.policy.known().and_then(Option::as_ref).map(indented),
            tree,
        }
    }
}

impl AccountPart {
    /// What the account holds for the grants of a layout.
    pub fn of(layout: &Layout, state: &AccountState) -> Self {
        let policies = layout.grants.iter().flat_map(|grant| policies(layout, grant, &state.partition, Some(state)));
        let clusters = state.clusters.iter().map(|(name, seen)| cluster(name, seen));
        Self::Seen { policies: policies.collect(), clusters: clusters.collect() }
    }

    /// What a layout asks for where the account cannot be asked.
    pub fn unseen(layout: &Layout, partition: &str, why: String) -> Self {
        let policies = layout.grants.iter().flat_map(|grant| policies(layout, grant, partition, None));
        Self::Unseen { why, policies: policies.collect() }
    }
}

/// The access matrix of a layout's grants by the documents that are in force, whoever has them. Where one of them may not be
/// read, no cell of its grant is known.
pub fn cells_in_force(layout: &Layout, state: &AccountState) -> Vec<Cell> {
    let of_grant = |grant: &Grant| {
        let wanted = documents_of(layout, grant, &state.partition).unwrap_or_default();
        let seen: Vec<_> = wanted.iter().map(|(name, _)| (name, state.policies.get(name))).collect();
        let document = |(name, seen): &(&PolicyName, Option<&Seen<ManagedPolicy>>)| {
            let text = &seen.and_then(Seen::here)?.in_force()?.document.0;
            let document = serde_json::from_str(text).ok()?;
            Some(Generated { name: name.to_string(), kind: Kind::Identity, document })
        };
        let documents: Vec<Generated> = seen.iter().filter_map(document).collect();
        let place = (&state.account, state.partition.as_str());
        let mut cells = Granted::with_documents(layout, grant, &documents, place).cells();
        let missing = seen.iter().filter(|(_, seen)| matches!(seen, Some(Seen::Absent))).count();
        if documents.len() + missing < wanted.len() {
            for cell in &mut cells {
                (cell.observed, cell.because) = (Access::NotTried, "its policy may not be read".to_owned());
            }
        }
        cells
    };
    layout.grants.iter().flat_map(of_grant).collect()
}

fn policies(layout: &Layout, grant: &Grant, partition: &str, state: Option<&AccountState>) -> Vec<PolicyPart> {
    // A grant that no policy can say is a finding of its own.
    let documents = documents_of(layout, grant, partition).unwrap_or_default();
    let part = |(name, wanted): (PolicyName, PolicyJson)| {
        let seen = state.and_then(|state| state.policies.get(&name));
        let found = seen.and_then(Seen::here);
        let in_force = found.and_then(|policy| policy.in_force());
        let same = |version: &crate::model::PolicyVersion| {
            let parsed = |text: &PolicyJson| Document::parse(text).ok();
            matches!((parsed(&version.document), parsed(&wanted)), (Some(one), Some(other)) if one.means_the_same_as(&other))
        };
        let attachments = found.and_then(|policy| state?.attachments.get(&policy.arn)).and_then(Seen::here);
        PolicyPart {
            name: name.to_string(),
            arn: found.map(|policy| policy.arn.to_string()),
            version: found.map(|policy| policy.default_version.to_string()),
            gives: gives(grant),
            standing: match (seen, in_force) {
                (_, Some(version)) if same(version) => PolicyStanding::AsWanted,
                (_, Some(_)) => PolicyStanding::Differs,
                (Some(Seen::Absent), _) => PolicyStanding::Missing,
                _ => PolicyStanding::Unknown,
            },
            document: indented(in_force.map_or(&wanted, |version| &version.document)),
            attached: match (found, attachments) {
                (None, _) => Some(Vec::new()).filter(|_| seen == Some(&Seen::Absent)),
                (Some(_), attachments) => attachments.map(attachment_names),
            },
            wanted: grant.attach.iter().map(target).collect(),
        }
    };
    documents.into_iter().map(part).collect()
}

fn gives(grant: &Grant) -> String {
    let places: Vec<String> = grant.on.iter().map(|place| format!("s3://{}/{}", place.bucket, place.prefix)).collect();
    format!("{} on {}", grant.access, places.join(", "))
}

fn target(target: &AttachTarget) -> String {
    match target {
        AttachTarget::Role(role) => format!("role {role}"),
        AttachTarget::NodeGroups { cluster, node_groups } => match node_groups.iter().any(|one| one == "*") {
            true => format!("the roles of all node groups of cluster {cluster}"),
            false => format!("the roles of node groups {} of cluster {cluster}", node_groups.join(", ")),
        },
        AttachTarget::Irsa(to) | AttachTarget::PodIdentity(to) => {
            format!(
                "role {} of service account {}/{} in cluster {}",
                to.role, to.namespace, to.service_account, to.cluster
            )
        }
    }
}

fn cluster(name: &str, seen: &Seen<Cluster>) -> ClusterPart {
    let mut part =
        ClusterPart { name: name.to_owned(), arn: None, groups: Vec::new(), remarks: Vec::new(), survey: None };
    match seen {
        Seen::Absent => part.remarks.push("there is no such cluster in this Region".to_owned()),
        Seen::Hidden(why) => part.remarks.push(format!("it may not be read: {why}")),
        Seen::Here(cluster) => {
            part.arn = Some(cluster.arn.to_string());
            let role = |arn| RoleName::of_arn(arn).map_or_else(|| arn.to_string(), |name| name.to_string());
            part.groups = cluster.node_groups.iter().map(|group| (group.name.clone(), role(&group.role))).collect();
            let auto = cluster.auto_mode_role.as_ref().map(|arn| format!("nodes of Auto Mode have role {}", role(arn)));
            let control = cluster.control_plane_role.as_ref();
            let control =
                control.map(|arn| format!("role {} is the control plane's, which pods never have", role(arn)));
            let unread = cluster.unread.iter().map(|unread| format!("a part of it may not be read: {}", unread.why));
            part.remarks.extend(auto.into_iter().chain(control).chain(unread));
        }
    }
    part
}

impl DatasetPart {
    /// A dataset beside what lies where it belongs.
    pub fn of(dataset: &Dataset, trees: &[Tree]) -> Self {
        let tree = trees.iter().find(|tree| tree.bucket == dataset.bucket);
        Self {
            source: dataset.source.clone(),
            to: format!("s3://{}/{}", dataset.bucket, dataset.folder),
            found: tree.and_then(|tree| folder(&tree.root, &dataset.folder)).map(|node| node.total),
            receipt: dataset.receipt.clone(),
        }
    }
}

fn folder<'tree>(root: &'tree Node, prefix: &Prefix) -> Option<&'tree Node> {
    prefix
        .as_str()
        .split_inclusive('/')
        .try_fold(root, |node, name| node.children.iter().find(|child| child.name == name))
}

/// A document with a line for each value; as it is where it is none.
fn indented(document: &PolicyJson) -> String {
    let value: Result<Value, _> = serde_json::from_str(&document.0);
    value.ok().and_then(|value| serde_json::to_string_pretty(&value).ok()).unwrap_or_else(|| document.0.clone())
}
