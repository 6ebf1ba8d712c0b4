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
    // The policy with the statement, if it gets the request further.
    let tried = |statement: Value| {
        let (text, statement) = with_statement(&before, statement)?;
        let mut held = Held::new(&name, &text).ok()?;
        if let Some(now) = target {
            held = Held { policy: held.policy, text: held.text, ..now.clone() };
        }
        let after = match target {
            Some(_) => replaced(layers, layer, &name, Some(held.clone())),
            None => added(layers, layer, held.clone()),
        };
        gets_further(case, decision, &after).then_some((statement, held, after))
    };
    let (statement, held, after) = statements(case, layer).into_iter().find_map(tried)?;
    let wide = all_given(case, layers, layer, &statement).and_then(tried);
    let old: Vec<_> = target.map(|held| held.policy.clone()).into_iter().collect();
    let lines = |head: String, statement: &Value| -> Vec<String> {
        let text = format!("{statement:#}");
        std::iter::once(head).chain(text.lines().map(str::to_owned)).collect()
    };
    let or = format!("or, for all that the layout gives of {}, in its place:", case.request.action());
    let remedy = RemedyRecord {
        kind: "statement",
        change: lines(format!("add to {}:", place(layer, &name, target.is_some())), &statement),
        target: name,
        run: None,
        opens: openings(&old, &[held.policy]),
        wider: wide.map(|(wide, ..)| lines(or, &wide)).unwrap_or_default(),
        weakens: false,
        checked: false,
    };
    Some(Change { remedy, layers: after })
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

/// The statement for all that the layout's policies give of this action, where a layer limits them: what is refused in one
/// folder for want of an Allow there is refused in the next one, too. None where that is no more.
fn all_given(case: &Case, layers: &Layers, layer: Layer, narrow: &Value) -> Option<Value> {
    if matches!(layer, Layer::Identity | Layer::Resource | Layer::Root) {
        return None;
    }
    let action = case.request.action();
    let owned = layers.identity.held().iter().filter(|held| case.owns(held));
    let documents = owned.filter_map(|held| serde_json::from_str::<Value>(&held.text.0).ok());
    let statements = documents.flat_map(|mut document| match document["Statement"].take() {
        Value::Array(statements) => statements,
        one => vec![one],
    });
    // The layout's own statements name actions one by one.
    let is_named = |one: &Value| strings(&one["Action"]).iter().any(|name| name.eq_ignore_ascii_case(action));
    let giving: Vec<Value> = statements.filter(|one| one["Effect"] == "Allow" && is_named(one)).collect();
    let (first, rest) = giving.split_first()?;
    // Places under several conditions make no one statement.
    if rest.iter().any(|one| one.get("Condition") != first.get("Condition")) {
        return None;
    }
    let mut wide = narrow.clone();
    wide["Resource"] = giving.iter().flat_map(|one| strings(&one["Resource"])).collect();
    match first.get("Condition") {
        Some(condition) => wide["Condition"] = condition.clone(),
        None => drop(wide.as_object_mut()?.remove("Condition")),
    }
    (strings(&wide["Resource"]) != strings(&narrow["Resource"]) || wide["Condition"] != narrow["Condition"])
        .then_some(wide)
}

/// One text, or several.
fn strings(value: &Value) -> Vec<String> {
    match value {
        Value::Array(all) => all.iter().filter_map(|one| Some(one.as_str()?.to_owned())).collect(),
        one => one.as_str().map(str::to_owned).into_iter().collect(),
    }
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
