//! Cases as a policy engine meets them: every layer, every operator, callers of all kinds, in the format of
//! `tests/cases/policy`. What AWS leaves unspecified is not among them, nor what the peer refuses to read.

use super::chance::Chance;
use super::vocabulary::{
    ACCOUNT_ACTION, ACTION_PATTERNS, AWAY, BUCKET_ACTIONS, BUCKETS, CONDITION_KEYS, HOME, KEY_PATTERNS, KEYS, Key,
    Kind, OBJECT_ACTIONS, ODD_KEYS, RESOURCES, SERVICE, operators,
};
use serde_json::{Map, Value, json};

/// Which elements a document's statements have, and how it leans.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Layer {
    Identity,
    Resource,
    Boundary,
    Session,
    Scp,
    Rcp,
    Endpoint,
}

/// The request of a case, as far as documents are made to meet it.
struct Asked {
    caller: &'static str,
    arn: String,
    role: Option<String>,
    home: &'static str,
    action: &'static str,
    resource: String,
}

/// One case. The same `number` and `seed` always give the same one.
pub(super) fn case(seed: u64, number: usize) -> Value {
    let mixed = seed ^ u64::try_from(number).unwrap_or(0).wrapping_mul(0x2545_f491_4f6c_dd1d);
    let mut chance = Chance::new(mixed);
    let chance = &mut chance;
    let asked = ask(chance);
    let owner = if chance.percent(75) {
        asked.home
    } else if asked.home == HOME {
        AWAY
    } else {
        HOME
    };
    let mut principal = json!({"type": asked.caller, "arn": asked.arn});
    if let Some(role) = &asked.role {
        principal[if asked.caller == "federated-user" { "user" } else { "role" }] = json!(role);
    }
    let context = context(chance, &asked, owner);
    json!({
        "id": format!("{seed}-{number}"),
        "principal": principal,
        "accounts": {"principal": asked.home, "resource": owner},
        "request": {"action": asked.action, "resource": asked.resource, "context": context},
        "policies": policies(chance, &asked),
    })
}

fn ask(chance: &mut Chance) -> Asked {
    let home = if chance.percent(85) { HOME } else { AWAY };
    let caller = chance.weigh(&[
        (40, "iam-user"),
        (44, "assumed-role"),
        (5, "federated-user"),
        (3, "root"),
        (5, "anonymous"),
        (3, "service"),
    ]);
    let (arn, role) = match caller {
        "iam-user" => (format!("arn:aws:iam::{home}:user/alice"), None),
        "assumed-role" => (
            format!("arn:aws:sts::{home}:assumed-role/trainer/run-1"),
            Some(format!("arn:aws:iam::{home}:role/trainer")),
        ),
        "federated-user" => {
            (format!("arn:aws:sts::{home}:federated-user/alice"), Some(format!("arn:aws:iam::{home}:user/alice")))
        }
        "root" => (format!("arn:aws:iam::{home}:root"), None),
        "service" => (SERVICE.to_owned(), None),
        _ => ("anonymous".to_owned(), None),
    };
    let bucket = chance.pick(&BUCKETS);
    let (action, resource) = match chance.below(100) {
        0..=62 => {
            let key = if chance.percent(3) { chance.pick(&ODD_KEYS) } else { chance.pick(&KEYS) };
            (chance.pick(&OBJECT_ACTIONS), format!("arn:aws:s3:::{bucket}/{key}"))
        }
        63..=96 => (chance.pick(&BUCKET_ACTIONS), format!("arn:aws:s3:::{bucket}")),
        _ => (ACCOUNT_ACTION, "*".to_owned()),
    };
    Asked { caller, arn, role, home, action, resource }
}

/// What the request carries: what follows from the caller, and some of the other keys.
fn context(chance: &mut Chance, asked: &Asked, owner: &str) -> Map<String, Value> {
    let mut context = Map::new();
    let mut set = |name: &str, value: &str| drop(context.insert(name.to_owned(), json!(value)));
    set("aws:ResourceAccount", owner);
    match asked.caller {
        "iam-user" => {
            set("aws:username", "alice");
            set("aws:userid", "AIDAEXAMPLE");
            set("aws:PrincipalType", "User");
        }
        "assumed-role" => {
            set("aws:userid", "AROAEXAMPLE:run-1");
            set("aws:PrincipalType", "AssumedRole");
        }
        "federated-user" => set("aws:PrincipalType", "FederatedUser"),
        "root" => set("aws:PrincipalType", "Account"),
        _ => set("aws:PrincipalType", "Anonymous"),
    }
    if !matches!(asked.caller, "anonymous" | "service") {
        set("aws:PrincipalAccount", asked.home);
        let arn = if asked.caller == "assumed-role" { asked.role.as_ref() } else { None };
        set("aws:PrincipalArn", arn.unwrap_or(&asked.arn));
    }
    for key in CONDITION_KEYS.iter().filter(|key| !key.sent.is_empty()) {
        if chance.percent(50) {
            context.insert(key.name.to_owned(), sent(chance, key));
        }
    }
    context
}

fn sent(chance: &mut Chance, key: &Key) -> Value {
    if key.kind != Kind::Set {
        return json!(chance.pick(key.sent));
    }
    let mut values: Vec<&str> = key.sent.iter().copied().filter(|_| chance.percent(50)).collect();
    if values.is_empty() {
        values.push(key.sent[0]);
    }
    json!(values)
}

/// The layers. Whoever has no account has no policies of their own.
fn policies(chance: &mut Chance, asked: &Asked) -> Value {
    let has_account = !matches!(asked.caller, "anonymous" | "service");
    let has_identity = has_account && asked.caller != "root";
    let is_session = matches!(asked.caller, "assumed-role" | "federated-user");
    let mut policies = json!({"identity": []});
    let mut documents =
        |count: usize, layer| -> Vec<Value> { (0..count).map(|_| document(chance, asked, layer)).collect() };
    let identity = documents(2, Layer::Identity);
    let [resource, boundary, session, endpoint] =
        [Layer::Resource, Layer::Boundary, Layer::Session, Layer::Endpoint].map(|layer| documents(1, layer).remove(0));
    let (scp, rcp) = (documents(3, Layer::Scp), documents(2, Layer::Rcp));
    if has_identity {
        policies["identity"] = json!(identity[..chance.weigh(&[(2, 0), (5, 1), (3, 2)])]);
    }
    let likely = if has_identity { 60 } else { 95 };
    for (name, document, present) in [
        ("resource", resource, chance.percent(likely)),
        ("boundary", boundary, has_identity && chance.percent(25)),
        ("session", session, is_session && chance.percent(40)),
        ("endpoint", endpoint, chance.percent(8)),
    ] {
        if present {
            policies[name] = document;
        }
    }
    if has_account && chance.percent(25) {
        let levels = scp[..1 + chance.below(3)].iter().map(|own| json!([own])).collect::<Vec<_>>();
        policies["scp"] = json!(levels);
    }
    if chance.percent(10) {
        // Every level has AWS's own document that allows all; own ones only deny.
        let levels =
            rcp[..1 + chance.below(2)].iter().map(|own| json!([allow_all(Layer::Rcp), own])).collect::<Vec<_>>();
        policies["rcp"] = json!(levels);
    }
    policies
}

fn allow_all(layer: Layer) -> Value {
    json!({"Version": "2012-10-17", "Statement": [everything(layer)]})
}

fn everything(layer: Layer) -> Value {
    let mut statement = json!({"Effect": "Allow", "Action": "*", "Resource": "*"});
    if matches!(layer, Layer::Rcp | Layer::Endpoint) {
        statement["Principal"] = json!("*");
    }
    statement
}

fn document(chance: &mut Chance, asked: &Asked, layer: Layer) -> Value {
    let mut statements = Vec::new();
    let leans = match layer {
        Layer::Scp => 80,
        Layer::Endpoint => 70,
        Layer::Boundary | Layer::Session => 40,
        _ => 0,
    };
    if chance.percent(leans) {
        statements.push(everything(layer));
    }
    let fewest = usize::from(statements.is_empty());
    for _ in 0..fewest + chance.weigh(&[(5, 0), (4, 1), (1, 2)]) {
        statements.push(statement(chance, asked, layer));
    }
    let version = chance.weigh(&[(93, Some("2012-10-17")), (4, Some("2008-10-17")), (3, None)]);
    let mut document = match version.filter(|_| layer != Layer::Rcp) {
        Some(version) => json!({"Version": version}),
        None if layer == Layer::Rcp => json!({"Version": "2012-10-17"}),
        None => json!({}),
    };
    document["Statement"] = match &statements[..] {
        [one] if chance.percent(10) => one.clone(),
        _ => json!(statements),
    };
    document
}

fn statement(chance: &mut Chance, asked: &Asked, layer: Layer) -> Value {
    let denies = layer == Layer::Rcp || chance.percent(22);
    let mut statement = json!({"Effect": if denies { "Deny" } else { "Allow" }});
    if matches!(layer, Layer::Resource) {
        principal(chance, asked, denies, &mut statement);
    } else if matches!(layer, Layer::Rcp | Layer::Endpoint) {
        statement["Principal"] = json!("*");
    }
    let negated = layer != Layer::Rcp && chance.percent(8);
    let actions = listed(chance, |chance| action(chance, asked, layer, negated));
    statement[if negated { "NotAction" } else { "Action" }] = actions;
    let negated = chance.percent(9);
    let resources = listed(chance, |chance| resource(chance, asked, negated));
    statement[if negated { "NotResource" } else { "Resource" }] = resources;
    // Denials without a condition would decide most cases.
    let conditions = match denies {
        true => chance.weigh(&[(2, 0), (6, 1), (2, 2)]),
        false => chance.weigh(&[(50, 0), (38, 1), (12, 2)]),
    };
    for _ in 0..conditions {
        condition(chance, &mut statement);
    }
    statement
}

/// One entry, or a list with it.
fn listed(chance: &mut Chance, mut entry: impl FnMut(&mut Chance) -> String) -> Value {
    let mut entries = vec![entry(chance)];
    if chance.percent(30) {
        entries.push(entry(chance));
    }
    if entries.len() == 1 && chance.percent(60) { json!(entries[0]) } else { json!(entries) }
}

fn principal(chance: &mut Chance, asked: &Asked, denies: bool, statement: &mut Value) {
    let home = asked.home;
    let account = format!("arn:aws:iam::{home}:root");
    let behind = asked.role.clone().unwrap_or_else(|| asked.arn.clone());
    let of = |entries: &[&str]| json!({ "AWS": entries });
    if chance.percent(8) {
        let own = asked.arn.as_str();
        statement["NotPrincipal"] = match chance.below(5) {
            0 => of(&[own, &behind, &account]),
            1 => of(&[own, &account]),
            2 => of(&[&account]),
            3 => of(&[own]),
            _ => of(&["arn:aws:iam::333333333333:root"]),
        };
        if !denies {
            statement["Effect"] = json!(if chance.percent(60) { "Deny" } else { "Allow" });
        }
        if matches!(asked.caller, "anonymous" | "service") {
            statement["NotPrincipal"] = of(&[&account]);
        }
        return;
    }
    if asked.caller == "service" && chance.percent(70) {
        statement["Principal"] = json!({"Service": SERVICE});
        return;
    }
    let own = if matches!(asked.caller, "anonymous" | "service") { account.clone() } else { asked.arn.clone() };
    let behind = if matches!(asked.caller, "anonymous" | "service") { account.clone() } else { behind };
    statement["Principal"] = match chance.below(100) {
        0..=21 => json!("*"),
        22..=27 => json!({"AWS": "*"}),
        28..=47 => json!({ "AWS": own }),
        48..=67 => json!({ "AWS": behind }),
        68..=77 => json!({ "AWS": home }),
        78..=84 => of(&[&account]),
        85..=89 => of(&["arn:aws:iam::111111111111:user/bob", &behind]),
        90..=93 => json!({"Service": SERVICE}),
        94..=96 => of(&["arn:aws:iam::333333333333:root"]),
        _ => of(&["arn:aws:iam::111111111111:user/bob", "arn:aws:iam::222222222222:role/other"]),
    };
}

fn action(chance: &mut Chance, asked: &Asked, layer: Layer, negated: bool) -> String {
    if layer == Layer::Rcp {
        return if chance.percent(50) { "s3:*".to_owned() } else { asked.action.to_owned() };
    }
    match chance.below(100) {
        // An exception that names what is asked for leaves little to say.
        0..=49 if !negated => asked.action.to_owned(),
        0..=64 => chance.pick(&OBJECT_ACTIONS).to_owned(),
        65..=69 => chance.pick(&BUCKET_ACTIONS).to_owned(),
        _ => chance.pick(&ACTION_PATTERNS).to_owned(),
    }
}

fn resource(chance: &mut Chance, asked: &Asked, negated: bool) -> String {
    let bucket = chance.weigh(&[(9, "lake"), (1, "lake-secret")]);
    match chance.below(100) {
        0..=19 if !negated && !asked.resource.contains(['*', '\n']) => asked.resource.clone(),
        0..=59 => format!("arn:aws:s3:::{bucket}{}", chance.pick(&KEY_PATTERNS)),
        60..=74 => "arn:aws:s3:::lake*".to_owned(),
        _ => chance.pick(&RESOURCES).to_owned(),
    }
}

/// Adds a condition; several under one operator and several operators both happen.
fn condition(chance: &mut Chance, statement: &mut Value) {
    let key = chance.pick(&CONDITION_KEYS);
    let name = if chance.percent(5) { key.name.to_ascii_uppercase() } else { key.name.to_owned() };
    if chance.percent(7) {
        statement["Condition"]["Null"][name] = json!(chance.pick(&["true", "false"]));
        return;
    }
    let test = chance.pick(operators(key.kind));
    let quantifier = match key.kind {
        Kind::Set => chance.pick(&["ForAllValues:", "ForAnyValue:"]),
        _ => "",
    };
    let suffix = if chance.percent(18) { "IfExists" } else { "" };
    let from = if key.sent.is_empty() || chance.percent(55) { key.wanted } else { key.sent };
    let values = match test {
        // A boolean has two values, and AWS takes one of them.
        "Bool" => json!(chance.pick(from)),
        _ => listed(chance, |chance| chance.pick(from).to_owned()),
    };
    statement["Condition"][format!("{quantifier}{test}{suffix}")][name] = values;
}

#[cfg(test)]
mod tests {
    use super::case;
    use bucketwright::policy::{cases, evaluate};
    use std::collections::BTreeMap;

    #[test]
    fn cases_are_read_and_decided_in_every_way() {
        let all: Vec<_> = (0..2_000).map(|number| case(1, number)).collect();
        assert_eq!(all[7], case(1, 7));
        let mut verdicts = BTreeMap::new();
        for case in cases::parse(&serde_json::Value::Array(all).to_string()).unwrap() {
            *verdicts.entry(evaluate(&case.policies, &case.request).verdict.word()).or_insert(0) += 1;
        }
        assert!(verdicts.len() == 3 && verdicts.values().all(|count| *count > 200), "{verdicts:?}");
    }
}
