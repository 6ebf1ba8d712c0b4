//! Policies and roles of an account, as output shows them.

use crate::model::{Arn, Attachments, HumanCount, Tags};
use serde::Serialize;
use std::collections::BTreeMap;

/// A managed policy of an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ManagedPolicyRecord {
    /// Its name.
    pub name: String,
    /// Its ARN.
    pub arn: Arn,
    /// What it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The version in force, and when it was made.
    pub default_version: PolicyVersionRecord,
    /// The ids of all versions, the newest first.
    pub versions: Vec<String>,
    /// Whom it is attached to; absent where that may not be seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attachments: Option<Attachments>,
    /// Why whom it is attached to may not be seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hidden: Option<String>,
    /// The layout that owns it, by its tag.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Its tags.
    pub tags: Tags,
    /// What it says, statement by statement.
    pub statements: Vec<StatementRecord>,
}

/// A version of a managed policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PolicyVersionRecord {
    /// The policy's name.
    pub policy: String,
    /// Which: `v3`.
    pub version: String,
    /// Whether it is in force.
    pub in_force: bool,
    /// When it was made (RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// Its size as IAM's quota is compared with.
    pub characters: u64,
    /// Its document.
    pub document: serde_json::Value,
}

/// What a statement says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StatementRecord {
    /// Its Sid, or its place.
    pub statement: String,
    /// What it says.
    pub detail: String,
}

/// A role of an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RoleRecord {
    /// Its name.
    pub name: String,
    /// Its ARN.
    pub arn: Arn,
    /// What it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// When it was made (RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// When it was last used (RFC 3339), as far as IAM knows: of the last 400 days.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_used: Option<String>,
    /// In which Region.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_used_region: Option<String>,
    /// The managed policies attached to it.
    pub attached: Vec<Arn>,
    /// Its inline policies, each statement by statement.
    pub inline: BTreeMap<String, Vec<StatementRecord>>,
    /// The policy that bounds it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub boundary: Option<Arn>,
    /// Who may take it, statement by statement.
    pub trust: Vec<StatementRecord>,
    /// The layout that owns it, by its tag.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Its tags.
    pub tags: Tags,
}

/// A line for people: how far it is set in, and what it says.
pub type Line = (usize, String);

fn statements(lines: &mut Vec<Line>, indent: usize, statements: &[StatementRecord]) {
    lines.extend(statements.iter().map(|one| (indent, format!("{}: {}", one.statement, one.detail))));
}

fn common(lines: &mut Vec<Line>, owner: Option<&String>, description: Option<&String>, tags: &Tags, verbose: bool) {
    // Some servers keep an empty description where none was given.
    lines.extend(description.filter(|text| !text.is_empty()).map(|text| (2, format!("for: {text}"))));
    lines.extend(owner.map(|owner| (2, format!("owned by layout {owner}"))));
    if verbose && !tags.is_empty() {
        let tags: Vec<String> = tags.iter().map(|(key, value)| format!("{key}={value}")).collect();
        lines.push((2, format!("tags: {}", tags.join(", "))));
    }
}

impl ManagedPolicyRecord {
    /// What people read of it, the heading first.
    pub fn lines(&self, verbose: bool) -> Vec<Line> {
        let mut lines = vec![(0, format!("{}  {}", self.name, self.arn))];
        let version = &self.default_version;
        let made = version.created.as_ref().map(|created| format!(", made {created}")).unwrap_or_default();
        let others: Vec<&str> =
            self.versions.iter().map(String::as_str).filter(|id| *id != version.version.as_str()).collect();
        let others = if others.is_empty() { String::new() } else { format!("; also kept: {}", others.join(", ")) };
        let characters = HumanCount(version.characters);
        lines.push((2, format!("{} in force{made}, {characters} characters{others}", version.version)));
        common(&mut lines, self.owner.as_ref(), self.description.as_ref(), &self.tags, verbose);
        lines.push((2, self.attached_words()));
        statements(&mut lines, 2, &self.statements);
        lines
    }

    fn attached_words(&self) -> String {
        match (&self.attachments, &self.hidden) {
            (Some(attachments), _) => {
                let names = attachment_names(attachments);
                if names.is_empty() {
                    "attached to nobody".to_owned()
                } else {
                    format!("attached to {}", names.join(", "))
                }
            }
            (None, Some(why)) => format!("whom it is attached to may not be seen: {why}"),
            (None, None) => "whom it is attached to is not known".to_owned(),
        }
    }
}

/// `role a`, `user b`, `group c`, `d as its boundary`
pub fn attachment_names(attachments: &Attachments) -> Vec<String> {
    let roles = attachments.roles.iter().map(|name| format!("role {name}"));
    let users = attachments.users.iter().map(|name| format!("user {name}"));
    let groups = attachments.groups.iter().map(|name| format!("group {name}"));
    let bounded = attachments.boundary_of.iter().map(|name| format!("{name} as its boundary"));
    roles.chain(users).chain(groups).chain(bounded).collect()
}

impl PolicyVersionRecord {
    /// What people read of it.
    pub fn lines(&self) -> Vec<Line> {
        let force = if self.in_force { ", in force" } else { "" };
        let made = self.created.as_ref().map(|created| format!(", made {created}")).unwrap_or_default();
        let characters = HumanCount(self.characters);
        vec![(0, format!("{} {}{force}{made}, {characters} characters", self.policy, self.version))]
    }
}

impl RoleRecord {
    /// What people read of it, the heading first.
    pub fn lines(&self, verbose: bool) -> Vec<Line> {
        let mut lines = vec![(0, format!("role {}  {}", self.name, self.arn))];
        common(&mut lines, self.owner.as_ref(), self.description.as_ref(), &self.tags, verbose);
        lines.push((
            2,
            match (&self.last_used, &self.last_used_region) {
                (Some(at), Some(region)) => format!("last used {at} in {region}"),
                (Some(at), None) => format!("last used {at}"),
                (None, _) => "no use is known of the last 400 days".to_owned(),
            },
        ));
        match &self.boundary {
            Some(boundary) => lines.push((2, format!("bounded by {boundary}"))),
            None => lines.push((2, "no boundary".to_owned())),
        }
        lines.push((2, "may be taken by".to_owned()));
        statements(&mut lines, 4, &self.trust);
        if self.attached.is_empty() && self.inline.is_empty() {
            lines.push((2, "no policies".to_owned()));
        }
        lines.extend(self.attached.iter().map(|arn| (2, format!("attached: {arn}"))));
        for (name, said) in &self.inline {
            lines.push((2, format!("inline: {name}")));
            statements(&mut lines, 4, said);
        }
        lines
    }
}
