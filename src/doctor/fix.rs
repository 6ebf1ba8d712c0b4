//! The smallest change that would help, tried on the evaluator before it is shown.
//!
//! Where the layout owns the policy the change is one of the layout, else one of the policy. A Deny is never weakened
//! without a word: its statement and its owner are named, and changing it is theirs to decide.

pub(super) mod deny;
pub(super) mod layout_edit;
mod statement;

use super::diagnosis::Case;
use super::seen::{Elsewhere, Held, Layers, RoleKind, Standing};
use crate::policy::diff::{Direction, Side, compare};
use crate::policy::{Decision, Layer, Policy, Verdict, evaluate_with_trace};
use crate::report::RemedyRecord;
use std::sync::Arc;

/// How many layers are mended one after the other.
const MOST_STEPS: usize = 4;
/// How many openings are told.
const TOLD_OPENINGS: usize = 6;

/// A change, and how the layers stand after it.
#[derive(Debug, Clone)]
pub(super) struct Change {
    pub(super) remedy: RemedyRecord,
    pub(super) layers: Layers,
}

/// What must change until the request is allowed, one layer after the other, each tried.
pub(super) fn remedies(case: &Case) -> Vec<RemedyRecord> {
    let mut layers = case.layers.clone();
    let mut found: Vec<RemedyRecord> = Vec::new();
    for _ in 0..MOST_STEPS {
        let decision = decide(case, &layers);
        let change = match decision.verdict {
            Verdict::Allow => break,
            Verdict::ExplicitDeny => deny::change(case, &layers, &decision),
            Verdict::ImplicitDeny => grant(case, &layers, &decision),
        };
        let Some(change) = change else { break };
        found.push(change.remedy);
        layers = change.layers;
    }
    let works = decide(case, &layers).verdict == Verdict::Allow;
    for remedy in &mut found {
        remedy.checked = works;
    }
    found
}

pub(super) fn decide(case: &Case, layers: &Layers) -> Decision {
    evaluate_with_trace(&layers.policies(), &case.request)
}

pub(super) fn allows(case: &Case, layers: &Layers) -> bool {
    decide(case, layers).verdict == Verdict::Allow
}

/// True if the layer that decided is not the one that refuses any more, so that the change did its part.
pub(super) fn gets_further(case: &Case, before: &Decision, layers: &Layers) -> bool {
    let after = decide(case, layers);
    after.verdict == Verdict::Allow || (after.verdict, after.layer) != (before.verdict, before.layer)
}

/// What gives what is missing, in the layer that lacks it.
fn grant(case: &Case, layers: &Layers, decision: &Decision) -> Option<Change> {
    if decision.layer == Layer::Identity {
        // What was not seen may give it already.
        if case.unseen(Layer::Identity).is_some() {
            return None;
        }
        return layout_edit::change(case, layers, decision)
            .or_else(|| attach(case, layers, decision))
            .or_else(|| statement::change(case, layers, decision));
    }
    statement::change(case, layers, decision)
}

/// A policy of the account that would allow it, attached to the role that asks.
fn attach(case: &Case, layers: &Layers, decision: &Decision) -> Option<Change> {
    let role = case.role_name()?;
    let tried = case.around.elsewhere.iter().map(|elsewhere| {
        let mut after = layers.clone();
        if let Standing::Held(held) = &mut after.identity {
            held.push(elsewhere.held.clone());
        }
        (elsewhere, after)
    });
    let mut fitting: Vec<(&Elsewhere, Layers)> =
        tried.filter(|(_, after)| gets_further(case, decision, after)).collect();
    // What this layout owns first, then what gives least.
    fitting.sort_by_key(|(elsewhere, _)| (!case.owns(&elsewhere.held), elsewhere.held.text.0.len()));
    let (elsewhere, after) = fitting.into_iter().next()?;
    let arn = elsewhere.held.arn.as_ref().map_or_else(|| elsewhere.held.policy.name.clone(), ToString::to_string);
    Some(Change {
        remedy: RemedyRecord {
            kind: "attach",
            target: format!("role {role}"),
            change: vec![format!("attach policy {} to role {role}", elsewhere.held.policy.name)],
            run: Some(format!("bucketwright policy attach {arn} --role {role}")),
            opens: vec![format!("all that {} gives, to {role}", elsewhere.held.policy.name)],
            wider: Vec::new(),
            weakens: false,
            checked: false,
        },
        layers: after,
    })
}

/// What opens from some policies to others, in words.
pub(super) fn openings(before: &[Arc<Policy>], after: &[Arc<Policy>]) -> Vec<String> {
    let side = |policies: &[Arc<Policy>]| Side { policies: policies.to_vec() };
    let Ok(difference) = compare(&side(before), &side(after)) else { return Vec::new() };
    let opens = difference.changes.iter().filter(|change| change.direction == Direction::Opens);
    let mut told: Vec<String> = Vec::new();
    for change in opens {
        let given: Vec<String> =
            change.given.iter().filter_map(|(key, entry)| Some(format!("{key} {:?}", entry.as_ref()?))).collect();
        let with = if given.is_empty() { String::new() } else { format!(" with {}", given.join(" and ")) };
        let words = format!("{} on {}{with}", change.actions.join(", "), super::words::place_words(&change.resource));
        if !told.contains(&words) {
            told.push(words);
        }
    }
    let more = told.len().saturating_sub(TOLD_OPENINGS);
    told.truncate(TOLD_OPENINGS);
    if more > 0 {
        told.push(format!("{more} more like these"));
    }
    told
}

/// The same layers with one policy of a layer replaced, or taken out.
pub(super) fn replaced(layers: &Layers, layer: Layer, name: &str, by: Option<Held>) -> Layers {
    let mut after = layers.clone();
    if let Standing::Held(held) = after.standing_mut(layer) {
        match by {
            Some(by) => held.iter_mut().filter(|one| one.policy.name == name).for_each(|one| *one = by.clone()),
            None => held.retain(|one| one.policy.name != name),
        }
    }
    after
}

impl RoleKind {
    /// In a sentence.
    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::ControlPlane => "the cluster's control plane, which pods never have",
            Self::Instance => "nodes",
            Self::Irsa => "service accounts (IRSA)",
            Self::PodIdentity => "service accounts (Pod Identity)",
            Self::Other => "somebody else",
        }
    }
}
