//! The statement that would give what is missing: one action on one folder, and nothing else.

use super::{Change, gets_further, openings, replaced};
use crate::doctor::diagnosis::Case;
use crate::doctor::seen::{Held, Layers, Standing};
use crate::doctor::words::{bucket_of, key_of};
use crate::model::PolicyJson;
use crate::policy::{Decision, Layer};
use crate::report::RemedyRecord;
use serde_json::{Value, json};

/// The Sid of a statement that is proposed, before a number where it is taken.
const SID: &str = "AllowWhatWasRefused";

/// Adds the least statement that helps to the layer that lacks an Allow.
pub(super) fn change(case: &Case, layers: &Layers, decision: &Decision) -> Option<Change> {
    let layer = decision.layer;
    let held = match layers.standing(layer) {
        Standing::Hidden(_) => return None,
        standing => standing.held(),
    };
    // What a layout owns is changed there; what AWS keeps cannot be changed.
    let may_change = |held: &&Held| {
        held.arn.is_none() || (case.is_customers(held) && !(layer == Layer::Identity && held.owner.is_some()))
    };
    let target = held.iter().find(may_change);
    let (name, before) = match target {
        Some(held) => (held.policy.name.clone(), held.text.clone()),
        None => (default_name(case, layer)?, PolicyJson(r#"{"Version":"2012-10-17","Statement":[]}"#.to_owned())),
    };
    for statement in statements(case, layer) {
        let Some((text, statement)) = with_statement(&before, statement) else { continue };
        let Ok(mut after_held) = Held::new(&name, &text) else { continue };
        if let Some(held) = target {
            after_held = Held { policy: after_held.policy, text: after_held.text, ..held.clone() };
        }
        let after = match target {
            Some(_) => replaced(layers, layer, &name, Some(after_held.clone())),
            None => added(layers, layer, after_held.clone()),
        };
        if !gets_further(case, decision, &after) {
            continue;
        }
        let old: Vec<_> = target.map(|held| held.policy.clone()).into_iter().collect();
        let mut change = vec![format!("add to {}:", place(layer, &name, target.is_some()))];
        change.extend(format!("{statement:#}").lines().map(str::to_owned));
        let remedy = RemedyRecord {
            kind: "statement",
            target: name,
            change,
            run: None,
            opens: openings(&old, &[after_held.policy]),
            weakens: false,
            checked: false,
        };
        return Some(Change { remedy, layers: after });
    }
    None
}

fn place(layer: Layer, name: &str, is_there: bool) -> String {
    match (layer, is_there) {
        (Layer::Resource, _) => format!("the {name}"),
        (Layer::Identity | Layer::Root, false) => name.to_owned(),
        (layer, true) => format!("{} `{name}`", crate::doctor::words::one(layer)),
        (layer, false) => crate::doctor::words::one(layer),
    }
}

/// What a policy that is not there yet would be called.
fn default_name(case: &Case, layer: Layer) -> Option<String> {
    match layer {
        Layer::Identity => Some(format!("a policy of role {}", case.role_name()?)),
        Layer::Resource => Some(format!("bucket policy of {}", bucket_of(case.request.resource()))),
        _ => None,
    }
}

fn added(layers: &Layers, layer: Layer, held: Held) -> Layers {
    let mut after = layers.clone();
    match after.standing_mut(layer) {
        Standing::Held(all) => all.push(held),
        other => *other = Standing::Held(vec![held]),
    }
    after
}

/// The statements that could help, the least first.
fn statements(case: &Case, layer: Layer) -> Vec<Value> {
    let (action, resource) = (case.request.action(), case.request.resource());
    let prefix = case.request.context.value("s3:prefix").and_then(|value| value.as_slice().first());
    let mut all = Vec::new();
    let plain = |resource: &str| json!({ "Sid": SID, "Effect": "Allow", "Action": action, "Resource": resource });
    match (key_of(resource), prefix) {
        // One object more is rarely what is missing; its folder is.
        (Some(key), _) => all.push(plain(&folder_of(resource, key))),
        (None, Some(prefix)) => {
            let mut statement = plain(resource);
            let bare = prefix.trim_end_matches('/');
            let patterns = match bare.is_empty() {
                true => json!(""),
                false => json!([bare, format!("{bare}/*")]),
            };
            statement["Condition"] = json!({ "StringLike": { "s3:prefix": patterns } });
            all.push(statement);
        }
        (None, None) => {}
    }
    all.push(plain(resource));
    if layer == Layer::Resource {
        for statement in &mut all {
            statement["Principal"] = json!({ "AWS": case.principal_arn() });
        }
    }
    all
}

/// The folder of an object, as a resource.
fn folder_of(resource: &str, key: &str) -> String {
    match key.rfind('/') {
        Some(slash) => format!("{}{}*", &resource[..resource.len() - key.len()], &key[..=slash]),
        None => resource.to_owned(),
    }
}

/// A document with one more statement, whose Sid is free there.
fn with_statement(text: &PolicyJson, mut statement: Value) -> Option<(PolicyJson, Value)> {
    let mut document: Value = serde_json::from_str(&text.0).ok()?;
    let listed = match document.get_mut("Statement")?.take() {
        Value::Array(statements) => statements,
        one => vec![one],
    };
    let taken = |sid: &str| listed.iter().any(|one| one["Sid"] == sid);
    let mut sid = SID.to_owned();
    for number in 2..100 {
        if !taken(&sid) {
            break;
        }
        sid = format!("{SID}{number}");
    }
    statement["Sid"] = json!(sid);
    document["Statement"] = Value::Array(listed.into_iter().chain([statement.clone()]).collect());
    Some((PolicyJson(document.to_string()), statement))
}
