//! What `doctor` shows beside its findings: the refusal as it was read, how each layer stands, and what to change.

use serde::Serialize;

/// One policy of a layer, or a layer without any.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LayerRecord {
    /// `identity`, `boundary`, `session`, `resource`, `scp`, `rcp`, `endpoint`.
    pub layer: &'static str,
    /// `allows`, `denies`, `silent` (neither), `none` (there is no policy), or `hidden` (it was not seen).
    pub state: &'static str,
    /// The policy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub document: Option<String>,
    /// The layout that owns it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Since when it says what it says (RFC 3339), where that can be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changed: Option<String>,
    /// What it has to do with the request.
    pub detail: String,
}

/// A change that would help.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RemedyRecord {
    /// `layout`, `apply`, `attach`, `statement`, `request`, or `ask` for what its owner must decide.
    pub kind: &'static str,
    /// What is changed: a file, a policy, a role, the request.
    pub target: String,
    /// The change, line by line.
    pub change: Vec<String>,
    /// The command that brings it into force.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// Everything that it opens.
    pub opens: Vec<String>,
    /// The same for all that the layout means to give, line by line, where that is more than what was refused.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub wider: Vec<String>,
    /// True if it takes back what somebody meant to forbid.
    pub weakens: bool,
    /// True if the evaluator allows the request after it, and after those before it.
    pub checked: bool,
}

/// What a refusal says, as far as it says it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct SymptomRecord {
    /// The line on which it first stands, from one.
    pub line: usize,
    /// How many lines were read.
    pub lines: usize,
    /// On how many lines it stands.
    pub times: usize,
    /// How many other refusals there are.
    pub others: usize,
    /// Who was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub principal: Option<String>,
    /// The action.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    /// The API call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    /// The resource's ARN.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    /// The layer that the message names: as in `layer` lines, or `trust`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub layer: Option<&'static str>,
    /// `explicit` or `implicit`, where the message says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub denial: Option<&'static str>,
    /// The ARN of the policy that denies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// Where the bucket is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// The other refusals in words, as far as they are worth a word.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub beside: Vec<String>,
}
