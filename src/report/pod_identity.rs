//! As whom pods ask AWS, as output shows it.

use super::Line;
use serde::Serialize;
use std::collections::BTreeMap;

/// How many pods are named in one line.
const NAMED: usize = 4;

/// As whom one pod asks AWS.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PodIdentityRecord {
    /// The namespace.
    pub namespace: String,
    /// The pod.
    pub pod: String,
    /// Its service account.
    pub service_account: String,
    /// Where its identity comes from.
    pub source: IdentitySource,
    /// Its role, where it is known: an ARN.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// Its node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// The group or pool of its node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node_group: Option<String>,
    /// Why.
    pub because: String,
}

/// Where an identity comes from, in the order in which SDKs look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum IdentitySource {
    /// Access keys in the environment.
    Keys,
    /// A token of the service account.
    Irsa,
    /// The Pod Identity agent.
    PodIdentity,
    /// The node.
    NodeRole,
    /// Nowhere.
    Nobody,
    /// It cannot be told.
    Unknown,
}

impl IdentitySource {
    const fn words(self) -> &'static str {
        match self {
            Self::Keys => "access keys",
            Self::Irsa => "by IRSA",
            Self::PodIdentity => "by Pod Identity",
            Self::NodeRole => "from its node",
            Self::Nobody => "no identity",
            Self::Unknown => "unknown",
        }
    }
}

/// What people read of the pods of one service account, the heading first: pods of one identity stand together.
pub fn pod_lines(records: &[PodIdentityRecord]) -> Vec<Line> {
    let Some(first) = records.first() else { return Vec::new() };
    let mut lines = vec![(0, format!("service account {}/{}", first.namespace, first.service_account))];
    let mut alike: BTreeMap<(IdentitySource, Option<&str>, &str), Vec<&str>> = BTreeMap::new();
    for record in records {
        let kind = (record.source, record.role.as_deref(), record.because.as_str());
        alike.entry(kind).or_default().push(&record.pod);
    }
    for ((source, role, because), pods) in alike {
        let role = role.map(|role| format!(", role {}", role.rsplit('/').next().unwrap_or(role))).unwrap_or_default();
        lines.push((2, format!("{}{role}: {because}", source.words())));
        let more = match pods.len().saturating_sub(NAMED) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        lines.push((4, format!("{}{more}", pods[..pods.len().min(NAMED)].join(", "))));
    }
    lines
}
