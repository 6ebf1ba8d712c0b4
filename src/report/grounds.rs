//! What an audit tells of a finding: where it stands, what it rests on, and whether somebody looked at it before.

use serde::Serialize;

/// What a finding rests on.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Grounds {
    /// Where in its target it stands, in a form that stays when other things change: a statement by its Sid, a control, an
    /// action. With code and target it is what the finding is known by.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub place: String,
    /// What was seen, and how far that can be trusted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<String>,
    /// Who has looked at it and left it as it is: such a finding is not new.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accepted: Option<Acceptance>,
}

/// Why a finding is left as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Acceptance {
    /// The reason that the baseline gives.
    pub reason: String,
    /// The last day on which that holds; none for as long as the finding stays the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
}
