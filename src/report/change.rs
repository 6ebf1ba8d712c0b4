//! What differs between two sets of policies, as output shows it.

use super::Access;
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

/// Cells of the access matrix, and whatever lies beside it, that turn for one reason. People see it whole, programs cell
/// by cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeRecord {
    /// Which way.
    pub turn: Turn,
    /// The policy, the bucket or the role whose documents they are.
    pub principal: String,
    /// For whom, where documents name principals.
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
    /// The decision before: `allow`, `implicit-deny`, `explicit-deny`.
    pub before: &'static str,
    /// The decision after.
    pub after: &'static str,
}

/// One cell that turns, as programs read it.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename = "cell")]
pub(crate) struct TurnedCell<'change> {
    principal: &'change str,
    /// An operation of the access matrix, or `other` for actions beside it.
    operation: &'static str,
    target: &'change str,
    /// What is in force.
    expected: Access,
    /// What would be.
    observed: Access,
    because: &'change str,
    turn: Turn,
    before: &'static str,
    after: &'static str,
    actions: Vec<&'change str>,
    given: &'change BTreeMap<String, Option<String>>,
    example: &'change str,
    #[serde(skip_serializing_if = "Option::is_none")]
    who: Option<&'change str>,
}

/// The actions that an operation of the access matrix needs.
fn needs(operation: &str) -> &'static [&'static str] {
    match operation {
        "list" | "head-bucket" => &["s3:ListBucket"],
        "get" => &["s3:GetObject"],
        "put" => &["s3:PutObject"],
        "delete" => &["s3:DeleteObject"],
        "multipart" => &["s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"],
        _ => &[],
    }
}

fn is_needed(operation: &str, action: &str) -> bool {
    needs(operation).iter().any(|needed| needed.eq_ignore_ascii_case(action))
}

impl ChangeRecord {
    /// The actions that belong to none of the operations.
    pub fn other_actions(&self) -> Vec<&str> {
        let told = |action: &str| self.operations.iter().any(|operation| is_needed(operation, action));
        self.actions.iter().map(String::as_str).filter(|action| !told(action)).collect()
    }

    /// The change cell by cell.
    pub(crate) fn cells(&self) -> Vec<TurnedCell<'_>> {
        let (expected, observed) = match self.turn {
            Turn::Opens => (Access::Deny, Access::Allow),
            Turn::Closes => (Access::Allow, Access::Deny),
        };
        let cell = |operation: &'static str, actions: Vec<&'_ str>| TurnedCell {
            principal: &self.principal,
            operation,
            target: &self.target,
            expected,
            observed,
            because: &self.because,
            turn: self.turn,
            before: self.before,
            after: self.after,
            actions: self.actions.iter().map(String::as_str).filter(|action| actions.contains(action)).collect(),
            given: &self.given,
            example: &self.example,
            who: self.who.as_deref(),
        };
        let all = || self.actions.iter().map(String::as_str);
        let of_matrix = self.operations.iter();
        let mut cells: Vec<TurnedCell<'_>> = of_matrix
            .map(|operation| cell(operation, all().filter(|action| is_needed(operation, action)).collect()))
            .collect();
        let others = self.other_actions();
        if !others.is_empty() {
            cells.push(cell("other", others));
        }
        cells
    }
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
