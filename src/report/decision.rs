//! Decisions of policies as output shows them.

use serde::Serialize;

/// One request decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DecisionRecord {
    /// The case's id, or the action and resource asked about.
    pub id: String,
    /// `allow`, `explicit-deny` or `implicit-deny`.
    pub decision: &'static str,
    /// What was expected, in the same words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<&'static str>,
    /// The layer that decides: `scp`, `rcp`, `resource`, `identity`, `boundary`, `session`, `endpoint`, `root`.
    pub layer: &'static str,
    /// The decision as a sentence.
    pub message: String,
    /// Why: first the layer, then every statement of every layer.
    pub because: Vec<ReasonRecord>,
    /// The smallest change that would help.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
    /// True for the only decision of a run, which people recognise without its id; not part of the JSON output.
    #[serde(skip)]
    pub alone: bool,
}

/// One reason of a decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReasonRecord {
    /// The layer it is about.
    pub layer: &'static str,
    /// The document's name, for statements.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub document: Option<String>,
    /// The statement's place in the document, from zero.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub statement: Option<usize>,
    /// The statement's Sid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sid: Option<String>,
    /// `allow` or `deny`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub effect: Option<&'static str>,
    /// Whether the statement applied.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub applied: Option<bool>,
    /// The first thing that did not fit: `form`, `action`, `resource`, `principal` or `condition`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed: Option<&'static str>,
    /// True for what the verdict rests on, and for the statements that came closest.
    pub decisive: bool,
    /// The reason in words.
    pub message: String,
}

impl DecisionRecord {
    /// True if nothing else was expected.
    pub fn is_as_expected(&self) -> bool {
        self.expected.is_none_or(|expected| expected == self.decision)
    }
}
