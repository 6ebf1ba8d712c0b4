//! The diagnosis: the request decided once more over what was seen, the cause named, the layers listed, the change found.

use super::causes;
use super::fix;
use super::message::Symptom;
use super::rows;
use super::seen::{Around, Held, Layers, Standing};
use super::suspects;
use crate::policy::{Caller, Layer, Request, Verdict, explain};
use crate::report::{DecisionRecord, Finding, LayerRecord, RemedyRecord, Severity};

/// Everything that is known about one refusal.
#[derive(Debug, Clone, PartialEq)]
pub struct Case {
    /// The request that was refused.
    pub request: Request,
    /// The API call, where it is known.
    pub operation: Option<String>,
    /// What the message says, where there is one.
    pub symptom: Option<Symptom>,
    /// The policies, as far as they were seen.
    pub layers: Layers,
    /// What stands around.
    pub around: Around,
}

/// What `doctor` has to say.
#[derive(Debug, Clone, PartialEq)]
pub struct Diagnosis {
    /// The decision over what was seen.
    pub decision: DecisionRecord,
    /// Whether it is an Allow.
    pub allowed: bool,
    /// The causes, the most telling first, and what else should be known.
    pub findings: Vec<Finding>,
    /// How each layer stands.
    pub rows: Vec<LayerRecord>,
    /// What would help, in the order in which it is done.
    pub remedies: Vec<RemedyRecord>,
}

impl Diagnosis {
    /// True if something refuses the request, or must have.
    pub fn has_cause(&self) -> bool {
        !self.allowed || self.findings.iter().any(|finding| finding.severity == Severity::Error)
    }
}

/// Finds out why a request was refused.
pub fn diagnose(case: &Case) -> Diagnosis {
    let (layers, untold) = fix::deny::untold(case);
    let case = &Case { layers, ..case.clone() };
    let decision = fix::decide(case, &case.layers);
    let allowed = decision.verdict == Verdict::Allow;
    let mut findings = causes::places(case);
    // Of a role or bucket that is not there no policy decides anything.
    let is_nowhere = findings.iter().any(|finding| finding.severity == Severity::Error);
    let remedies = if allowed || is_nowhere { Vec::new() } else { fix::remedies(case) };
    if allowed && !is_nowhere {
        findings.extend(suspects::find(case, &decision));
    } else if !is_nowhere {
        findings.extend(as_told(case, causes::refused(case, &decision, &remedies)));
    }
    findings.extend(untold);
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    if let Some(symptom) = &case.symptom {
        let known: Vec<&str> = findings.iter().map(|finding| finding.code).collect();
        let asides = super::alone::asides(symptom).into_iter().filter(|aside| !known.contains(&aside.code));
        findings.extend(asides.collect::<Vec<_>>());
    }
    let id = format!("{} {}", case.request.action(), case.request.resource());
    let record = explain::record(&id, &decision, &case.request, None);
    Diagnosis {
        rows: rows::rows(case, &decision),
        decision: DecisionRecord { alone: true, fix: None, ..record },
        allowed,
        findings,
        remedies,
    }
}

/// The causes that were seen, behind the one that the message names and that could not be seen.
fn as_told(case: &Case, seen: Vec<Finding>) -> Vec<Finding> {
    let Some(told) = suspects::hidden_layer(case, "what was seen does not allow it either") else { return seen };
    // What nobody could look at refuses nothing, where the message says what does.
    let is_guess = case.unseen(Layer::Identity).is_some();
    let seen = seen.into_iter().filter(|one| !is_guess || one.code != told.code);
    let seen = seen.map(|one| if is_guess { Finding { severity: Severity::Warning, ..one } } else { one });
    std::iter::once(told.clone()).chain(seen).collect()
}

impl Case {
    /// The name of the role that asks; none for others than roles.
    pub fn role_name(&self) -> Option<String> {
        match &self.request.caller {
            Caller::RoleSession { role, .. } => role.rsplit('/').next().map(str::to_owned),
            _ => None,
        }
    }

    /// Why a layer was not seen, or not all of it; none if it was.
    pub(super) fn unseen(&self, layer: Layer) -> Option<String> {
        match self.layers.standing(layer) {
            Standing::Hidden(why) => Some(why.clone()),
            _ if layer == Layer::Identity && !self.around.unread.is_empty() => Some(self.around.unread.join("; ")),
            _ => None,
        }
    }

    /// True for a request to KMS, which S3 makes in the caller's name.
    pub(super) fn is_about_key(&self) -> bool {
        self.request.action().to_ascii_lowercase().starts_with("kms:")
    }

    /// The ARN that policies name the caller by: a session's role.
    pub(super) fn principal_arn(&self) -> String {
        match &self.request.caller {
            Caller::RoleSession { role, .. } => role.clone(),
            caller => caller.arn(),
        }
    }

    /// The layout's id.
    pub(super) fn layout_id(&self) -> Option<String> {
        self.around.layout.as_ref().map(|(layout, _)| layout.id.to_string())
    }

    /// True if a policy carries the owner tag of the layout.
    pub(super) fn owns(&self, held: &Held) -> bool {
        held.owner.is_some() && held.owner == self.layout_id()
    }

    /// True for managed policies that are the account's own, not AWS's.
    pub(super) fn is_customers(&self, held: &Held) -> bool {
        held.arn.as_ref().is_some_and(|arn| arn.account() != "aws")
    }

    /// True for a listing, or what asks for the same right.
    pub(super) fn is_listing(&self) -> bool {
        let action = self.request.action();
        action.eq_ignore_ascii_case("s3:ListBucket") || action.eq_ignore_ascii_case("s3:ListBucketVersions")
    }
}

#[cfg(test)]
mod tests;
