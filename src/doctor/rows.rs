//! The layers as a table: what each has to do with the request, and since when it says so.

use super::diagnosis::Case;
use super::seen::{Held, Standing};
use super::words::{agreement, statement_words};
use crate::policy::{Because, Decision, Effect, Layer, Listed, Missed, Outcome};
use crate::report::LayerRecord;

/// A row for each policy that was seen, and one for each layer without any.
pub(super) fn rows(case: &Case, decision: &Decision) -> Vec<LayerRecord> {
    let mut rows = Vec::new();
    for (layer, standing) in case.layers.all() {
        match standing {
            Standing::Held(held) if !held.is_empty() => {
                rows.extend(held.iter().map(|held| row(case, layer, held, decision)));
            }
            Standing::Held(_) => rows.push(bare(layer, "silent", nobodys(layer))),
            Standing::Unlimited => rows.push(bare(layer, "none", format!("there is no {layer}"))),
            Standing::Hidden(why) => rows.push(bare(layer, "hidden", why.clone())),
        }
        if layer == Layer::Identity {
            rows.extend(case.around.unread.iter().map(|why| bare(layer, "hidden", why.clone())));
        }
    }
    rows
}

fn nobodys(layer: Layer) -> String {
    match layer {
        Layer::Identity => "the role has no policy at all".to_owned(),
        layer => format!("there is no {layer}"),
    }
}

fn bare(layer: Layer, state: &'static str, detail: String) -> LayerRecord {
    LayerRecord { layer: layer.word(), state, document: None, owner: None, changed: None, detail }
}

fn row(case: &Case, layer: Layer, held: &Held, decision: &Decision) -> LayerRecord {
    let of_held = |one: &&Because| one.layer == layer && one.policy == held.policy.name;
    let applied = |effect: Effect| {
        let mut of_held = decision.because.iter().filter(of_held);
        of_held.find(|one| one.effect == Some(effect) && matches!(one.outcome, Outcome::Applied { .. }))
    };
    let (state, detail) = match (applied(Effect::Deny), applied(Effect::Allow)) {
        (Some(denial), _) => ("denies", format!("by {}", statement_words(denial))),
        (None, Some(allow)) => ("allows", format!("by {}", statement_words(allow))),
        (None, None) if only_denies(held) => ("silent", "it only denies, and nothing of this".to_owned()),
        (None, None) => ("silent", silence(decision.because.iter().filter(of_held), case.request.resource())),
    };
    let rolled_back = held.others.iter().find(|other| held.version.is_some_and(|version| other.id > version));
    let remark = rolled_back.map(|other| format!("; {} is newer and not in force", other.id)).unwrap_or_default();
    LayerRecord {
        layer: layer.word(),
        state,
        document: Some(held.name()),
        owner: held.owner.clone(),
        changed: held.since.map(|since| since.to_string()),
        detail: format!("{detail}{remark}"),
    }
}

fn only_denies(held: &Held) -> bool {
    held.policy.document.statements().iter().all(|statement| statement.effect == Some(Effect::Deny))
}

/// Why nothing in a policy applies: the statement that comes closest. Of those about other places it is the one that names
/// the nearest.
fn silence<'decision>(all: impl Iterator<Item = &'decision Because>, asked: &str) -> String {
    let mut condition = None;
    let mut resource: Option<(&Because, &Listed)> = None;
    for one in all.filter(|one| one.effect == Some(Effect::Allow)) {
        match &one.outcome {
            Outcome::Missed(Missed::Condition(compared)) => condition = condition.or(Some((one, compared))),
            Outcome::Missed(Missed::Resource { listed, .. }) => {
                let is_nearer = resource.is_none_or(|(_, so_far)| agreement(listed, asked) > agreement(so_far, asked));
                resource = if is_nearer { Some((one, listed)) } else { resource };
            }
            _ => {}
        }
    }
    match (condition, resource) {
        (Some((one, compared)), _) => format!("{} has the right action, but {compared}", statement_words(one)),
        (None, Some((one, listed))) => format!("{} has the right action, but is about {listed}", statement_words(one)),
        (None, None) => "no statement is about this action".to_owned(),
    }
}
