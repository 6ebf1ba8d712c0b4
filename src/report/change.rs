//! What differs between two sets of policies, as output shows it.

use serde::Serialize;
use std::collections::BTreeMap;

/// Which way something turns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Turn {
    /// What was refused is allowed.
    Opens,
    /// What was allowed is refused.
    Closes,
}

/// Cells of the access matrix, and whatever lies beside it, that turn for one reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ChangeRecord {
    /// Which way.
    pub turn: Turn,
    /// The policy, the bucket or the role whose documents they are.
    pub principal: String,
    /// For whom, where documents name principals.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub who: Option<String>,
    /// The operations of the access matrix: `list`, `get`, `put`, `delete`, `multipart`, `head-bucket`.
    pub operations: Vec<&'static str>,
    /// The actions.
    pub actions: Vec<String>,
    /// Where: `s3://bucket/prefix*`, or the entry of the policy for other services.
    pub target: String,
    /// The condition keys on which it depends, each with its value or pattern; `null` for a key that is absent.
    pub given: BTreeMap<String, Option<String>>,
    /// One resource that turns.
    pub example: String,
    /// The statement that is the reason.
    pub because: String,
}

/// One statement that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EditRecord {
    /// `added`, `removed` or `changed`.
    pub edit: &'static str,
    /// The policy, the bucket or the role.
    pub principal: String,
    /// The statement's Sid, or its place.
    pub statement: String,
    /// What it says, or what of it differs.
    pub detail: String,
}
