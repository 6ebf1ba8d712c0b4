//! What to do about a Deny: send the request as the statement wants it, or go to whom the statement belongs to.

use super::{Change, allows, decide, layout_edit, replaced};
use crate::doctor::diagnosis::Case;
use crate::doctor::message::Denial;
use crate::doctor::seen::{Held, Layers};
use crate::doctor::words::statement_words;
use crate::model::PolicyJson;
use crate::policy::{Because, Compared, Decision, Effect, Layer, Outcome, Verdict};
use crate::report::{Finding, RemedyRecord, Severity};
use serde_json::{Value, json};

/// Condition keys that the client decides about when it makes the request.
const CLIENTS_OWN: &[&str] =
    &["s3:x-amz-", "aws:securetransport", "s3:tlsversion", "s3:signatureversion", "s3:authtype"];

/// What to do about the first Deny that matched.
pub(super) fn change(case: &Case, layers: &Layers, decision: &Decision) -> Option<Change> {
    let because = denial(decision)?;
    sent_otherwise(case, layers, because)
        .or_else(|| layout_edit::of_denial(case, layers, because))
        .or_else(|| asked_of_owner(case, layers, because))
}

/// The statement that denies.
pub(in crate::doctor) fn denial(decision: &Decision) -> Option<&Because> {
    let denies = |one: &&Because| one.effect == Some(Effect::Deny) && matches!(one.outcome, Outcome::Applied { .. });
    decision.because.iter().find(denies)
}

/// A message that names what lacks an Allow says as well that no Deny matched. One that matches here for want of a key does
/// so because nobody told what the request carried: the layers without such statements, and what is to be said of each.
pub(in crate::doctor) fn untold(case: &Case) -> (Layers, Vec<Finding>) {
    let (mut layers, mut found) = (case.layers.clone(), Vec::new());
    let is_implicit = case.symptom.as_ref().is_some_and(|symptom| symptom.denial == Some(Denial::Implicit));
    while is_implicit && let Some((finding, after)) = untold_denial(case, &layers) {
        layers = after;
        found.push(finding);
    }
    (layers, found)
}

fn untold_denial(case: &Case, layers: &Layers) -> Option<(Finding, Layers)> {
    let decision = decide(case, layers);
    let because = denial(&decision)?;
    let Outcome::Applied { conditions, .. } = &because.outcome else { return None };
    let key = &conditions.iter().find(|compared| compared.found.is_none())?.key;
    let message = format!(
        "{} of {} denies requests without `{key}`; the message says that no Deny matched, so this one carried it",
        statement_words(because),
        because.policy
    );
    let finding = Finding::new("doctor-not-seen", Severity::Suggestion, &because.policy, message);
    Some((finding.with_fix(format!("`--context {key}=VALUE` tells what was sent")), without(layers, because)?.1))
}

/// The same request with a header that the statement asks for.
fn sent_otherwise(case: &Case, layers: &Layers, because: &Because) -> Option<Change> {
    let Outcome::Applied { conditions, .. } = &because.outcome else { return None };
    let own = |compared: &&Compared| {
        let key = compared.key.to_ascii_lowercase();
        CLIENTS_OWN.iter().any(|start| key.starts_with(start))
    };
    let compared = conditions.iter().find(own)?;
    let mut tried = case.clone();
    let value = wanted(compared)?;
    tried.request.context = case.request.context.clone().with(&compared.key, &value);
    if !allows(&tried, layers) && decide(&tried, layers).verdict == Verdict::ExplicitDeny {
        return None;
    }
    let change = match compared.key.to_ascii_lowercase().as_str() {
        "aws:securetransport" => "send the request over HTTPS".to_owned(),
        key => format!("send `{}: {value}` with the request", key.trim_start_matches("s3:")),
    };
    Some(Change {
        remedy: RemedyRecord {
            kind: "request",
            target: case.request.action().to_owned(),
            change: vec![change],
            run: None,
            opens: Vec::new(),
            wider: Vec::new(),
            weakens: false,
            checked: false,
        },
        // The statement lets such a request pass, so the rest is decided without it.
        layers: without(layers, because)?.1,
    })
}

/// A value that makes the condition fail.
fn wanted(compared: &Compared) -> Option<String> {
    let operator = compared.operator.to_ascii_lowercase();
    let first = compared.wanted.first()?;
    match operator.as_str() {
        "bool" => Some(if first.eq_ignore_ascii_case("false") { "true" } else { "false" }.to_owned()),
        "null" => Some("AES256".to_owned())
            .filter(|_| first == "true" && compared.key.to_ascii_lowercase().contains("encryption")),
        _ if operator.contains("not") && !first.contains(['*', '?', '$']) => Some(first.clone()),
        "numericlessthan" => Some(first.clone()),
        _ => None,
    }
}

/// The Deny goes, or excepts this caller, if its owner wants that.
fn asked_of_owner(case: &Case, layers: &Layers, because: &Because) -> Option<Change> {
    let held = layers.find(because.layer, &because.policy)?;
    let statement = statement_words(because);
    let (change, layers) = match because.layer {
        Layer::Resource => {
            let (excepted, after) = excepting(case, layers, because, held)?;
            let mut change = vec![format!("in the {}, let {statement} except this caller:", held.policy.name)];
            change.extend(format!("{excepted:#}").lines().map(str::to_owned));
            (change, after)
        }
        _ => {
            let (only, after) = without(layers, because)?;
            let from = match case.role_name().filter(|_| held.arn.is_some() && because.layer == Layer::Identity) {
                Some(role) if only => format!(", or detach {} from role {role}", held.policy.name),
                _ => String::new(),
            };
            (vec![format!("take {statement} out of {}{from}", held.name())], after)
        }
    };
    Some(Change {
        remedy: RemedyRecord {
            kind: "ask",
            target: held.policy.name.clone(),
            change,
            run: None,
            opens: vec![format!(
                "what {statement} denies, {}",
                if because.layer == Layer::Resource { "to this caller" } else { "to all who have it" }
            )],
            wider: Vec::new(),
            weakens: true,
            checked: false,
        },
        layers,
    })
}

/// The layers without the statement, and whether its policy says nothing else.
fn without(layers: &Layers, because: &Because) -> Option<(bool, Layers)> {
    let held = layers.find(because.layer, &because.policy)?;
    let mut document: Value = serde_json::from_str(&held.text.0).ok()?;
    let mut listed = statements(&mut document)?;
    if because.statement >= listed.len() {
        return None;
    }
    listed.remove(because.statement);
    let only = listed.is_empty();
    document["Statement"] = Value::Array(listed);
    Some((only, replaced(layers, because.layer, &because.policy, Some(rewritten(held, &document)?))))
}

/// The statement with this caller excepted, and the layers with it.
fn excepting(case: &Case, layers: &Layers, because: &Because, held: &Held) -> Option<(Value, Layers)> {
    let mut document: Value = serde_json::from_str(&held.text.0).ok()?;
    let mut listed = statements(&mut document)?;
    let statement = listed.get_mut(because.statement)?;
    let arn = case.principal_arn();
    if !statement["Condition"]["ArnNotLike"]["aws:PrincipalArn"].is_null() {
        return None;
    }
    statement["Condition"]["ArnNotLike"]["aws:PrincipalArn"] = json!(arn);
    let excepted = statement.clone();
    document["Statement"] = Value::Array(listed);
    Some((excepted, replaced(layers, because.layer, &because.policy, Some(rewritten(held, &document)?))))
}

fn statements(document: &mut Value) -> Option<Vec<Value>> {
    Some(match document.get_mut("Statement")?.take() {
        Value::Array(statements) => statements,
        one => vec![one],
    })
}

fn rewritten(held: &Held, document: &Value) -> Option<Held> {
    let read = Held::new(&held.policy.name, &PolicyJson(document.to_string())).ok()?;
    Some(Held { policy: read.policy, text: read.text, ..held.clone() })
}
