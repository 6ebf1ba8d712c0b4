//! Where the peer knowingly answers otherwise than AWS documents. Each entry makes of a case what the peer makes of it: a
//! difference counts as explained only if our evaluator, given that case, gives the peer's answer.

use serde_json::{Value, json};
use std::net::IpAddr;

/// One known difference.
#[derive(Debug)]
pub(super) struct Divergence {
    pub(super) name: &'static str,
    /// What AWS documents, and where.
    pub(super) why: &'static str,
    pub(super) peer: Peer,
}

/// What the peer makes of a case.
#[derive(Debug)]
pub(super) enum Peer {
    /// Another case; false if it is the same one.
    Reads(fn(&mut Value) -> bool),
    /// Another question altogether, so that no answer says anything.
    AsksElse(fn(&Value) -> bool),
}

pub(super) const DIVERGENCES: &[Divergence] = &[
    Divergence {
        name: "star-in-request",
        why: "a `*` in a requested key is a character; the peer asks for many keys at once. \
              docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html",
        peer: Peer::AsksElse(|case| {
            text(&case["request"]["resource"]).contains('*') && case["request"]["resource"] != "*"
        }),
    },
    Divergence {
        name: "epoch-against-iso",
        why: "dates may be written as ISO 8601 or as seconds since 1970, also one against the other, and four digits are \
              a year; the peer compares digits as milliseconds. \
              docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html",
        peer: Peer::Reads(epoch),
    },
    Divergence {
        name: "variables-without-version",
        why: "with 2008-10-17 or without `Version`, `${..}` is plain text. \
              docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_version.html",
        peer: Peer::Reads(version),
    },
    Divergence {
        name: "empty-value",
        why: "a key that is there has a value, the empty one too, and a default may be empty; the peer takes both for \
              missing. docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html",
        peer: Peer::Reads(empty_value),
    },
    Divergence {
        name: "unresolved-under-negation",
        why: "a value whose variable has none matches nothing, so a negated operator is true. \
              docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html#policy-vars-no-value",
        peer: Peer::Reads(|case| never(case, unresolved_under_negation)),
    },
    Divergence {
        name: "unresolved-in-notresource",
        why: "an entry whose variable has no value matches nothing, so `NotResource` excepts nothing. \
              docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html#policy-vars-no-value",
        peer: Peer::Reads(|case| {
            never(case, |case, _, statement| {
                texts(&statement["NotResource"]).iter().any(|entry| is_unresolved(entry, case))
            })
        }),
    },
    Divergence {
        name: "notprincipal-account",
        why: "the account in a Deny's `NotPrincipal` is the companion of a user or session, and spares nobody by itself. \
              docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_notprincipal.html",
        peer: Peer::Reads(|case| never(case, spares_by_any_entry)),
    },
    Divergence {
        name: "session-policy-limits-direct-grant",
        why: "a bucket policy of the same account that names the session, or everybody, grants by itself. \
              docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic_policy-eval-basics-single-account.html",
        peer: Peer::Reads(session_limits),
    },
    Divergence {
        name: "notipaddress-of-other-family",
        why: "an IPv6 address is not in an IPv4 address, nor the other way round: `NotIpAddress` is true. \
              docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html",
        peer: Peer::Reads(|case| never(case, single_address_of_other_family)),
    },
    Divergence {
        name: "every-ipv4-address",
        why: "`0.0.0.0/0` is every IPv4 address; the peer shifts a 32-bit number by 32 bits, which leaves it as it is. \
              www.rfc-editor.org/rfc/rfc4632",
        peer: Peer::Reads(|case| {
            let change = |text: &str| (text == "0.0.0.0/0").then(|| "0.0.0.0/32".to_owned());
            change_values(case, |operator| operator.contains("IpAddress"), &change)
        }),
    },
    Divergence {
        name: "foranyvalue-ifexists",
        why: "`IfExists` makes every operator but `Null` true where the key is missing. \
              docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html",
        peer: Peer::Reads(|case| never(case, any_value_if_exists)),
    },
    Divergence {
        name: "root-user",
        why: "an account's root user needs no identity policy in its account; the peer does not know it. \
              docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html",
        peer: Peer::Reads(|case| {
            let principal = &mut case["principal"];
            let is_root = principal["type"] == "root";
            if is_root {
                let arn = text(&principal["arn"]).replace(":root", ":user/root");
                *principal = json!({"type": "iam-user", "arn": arn});
            }
            is_root
        }),
    },
    Divergence {
        name: "federation-without-session-policy",
        why: "a federated user's session without a session policy has what bucket policies give it, and nothing of the \
              user's. docs.aws.amazon.com/STS/latest/APIReference/API_GetFederationToken.html",
        peer: Peer::Reads(|case| {
            let bare = case["principal"]["type"] == "federated-user" && case["policies"].get("session").is_none();
            if bare {
                case["policies"]["session"] = json!({"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}});
            }
            bare
        }),
    },
    Divergence {
        name: "star-under-equals",
        why: "`${*}` is a star wherever variables are replaced, under `StringEquals` too; the peer keeps its three \
              characters there. docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html#policy-vars-specialchars",
        peer: Peer::Reads(|case| {
            let change = |text: &str| text.contains("${*}").then(|| text.replace("${*}", "${$}{*}"));
            change_values(case, |operator| operator.contains("String") && operator.contains("Equals"), &change)
        }),
    },
    Divergence {
        name: "newline",
        why: "`*` and `?` match any character, newlines too. \
              docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_resource.html",
        peer: Peer::Reads(newline),
    },
];

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// One text, or a list of them.
fn texts(value: &Value) -> Vec<&str> {
    value.as_array().map_or_else(|| value.as_str().into_iter().collect(), |list| list.iter().map(text).collect())
}

/// Every document of a case with its layer.
fn documents(policies: &mut Value) -> Vec<(&str, &mut Value)> {
    let mut found = Vec::new();
    for (layer, value) in policies.as_object_mut().into_iter().flatten() {
        collect(layer, value, &mut found);
    }
    found
}

fn collect<'case>(layer: &'case str, value: &'case mut Value, found: &mut Vec<(&'case str, &'case mut Value)>) {
    match value {
        Value::Array(list) => list.iter_mut().for_each(|inner| collect(layer, inner, found)),
        document => found.push((layer, document)),
    }
}

fn statements(document: &mut Value) -> Vec<&mut Value> {
    match &mut document["Statement"] {
        Value::Array(list) => list.iter_mut().collect(),
        one => vec![one],
    }
}

/// Makes the statements that `is_meant` takes, with the whole case and the layer, match nothing.
fn never(case: &mut Value, is_meant: fn(&Value, &str, &Value) -> bool) -> bool {
    let whole = case.clone();
    let mut changed = false;
    for (layer, document) in documents(&mut case["policies"]) {
        for statement in statements(document) {
            if is_meant(&whole, layer, statement) {
                statement["Condition"]["Bool"]["bw:never"] = json!("true");
                changed = true;
            }
        }
    }
    changed
}

/// A key of the request's context, whatever the case of its name.
fn carried<'case>(case: &'case Value, name: &str) -> Option<&'case Value> {
    let context = case["request"]["context"].as_object()?;
    context.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

/// The variables of a text: all of each, its key, its default.
fn variables(text: &str) -> Vec<(&str, &str, Option<&str>)> {
    let wholes = text.match_indices("${").filter_map(|(at, _)| Some(&text[at..=at + text[at..].find('}')?]));
    wholes.map(parts).filter(|(_, name, _)| !matches!(*name, "*" | "?" | "$")).collect()
}

fn parts(whole: &str) -> (&str, &str, Option<&str>) {
    let body = &whole["${".len()..whole.len() - 1];
    let (name, default) = body.split_once(", ").map_or((body, None), |(name, default)| (name, Some(default)));
    (whole, name, default.map(|default| default.trim_matches('\'')))
}

/// True if a variable has neither value nor default.
fn is_unresolved(text: &str, case: &Value) -> bool {
    variables(text)
        .iter()
        .any(|(_, name, default)| default.is_none() && !carried(case, name).is_some_and(Value::is_string))
}

/// Every operator with a key and its values.
fn conditions(statement: &Value) -> Vec<(&str, &str, &Value)> {
    let blocks = statement["Condition"].as_object().into_iter().flatten();
    blocks
        .filter_map(|(operator, keys)| Some((operator, keys.as_object()?)))
        .flat_map(|(operator, keys)| keys.iter().map(move |(key, values)| (operator.as_str(), key.as_str(), values)))
        .collect()
}

/// Changes the texts of all condition values under operators that `is_meant` takes.
fn change_values(case: &mut Value, is_meant: fn(&str) -> bool, change: &dyn Fn(&str) -> Option<String>) -> bool {
    let mut changed = false;
    for (_, document) in documents(&mut case["policies"]) {
        for statement in statements(document) {
            let blocks = statement.get_mut("Condition").and_then(Value::as_object_mut).into_iter().flatten();
            for (_, keys) in blocks.filter(|(operator, _)| is_meant(operator)) {
                for (_, values) in keys.as_object_mut().into_iter().flatten() {
                    changed |= change_texts(values, change);
                }
            }
        }
    }
    changed
}

/// Changes the entries of `Resource` and `NotResource`.
fn change_resources(case: &mut Value, change: &dyn Fn(&str) -> Option<String>) -> bool {
    let mut changed = false;
    for (_, document) in documents(&mut case["policies"]) {
        for statement in statements(document) {
            for name in ["Resource", "NotResource"] {
                if let Some(entries) = statement.get_mut(name) {
                    changed |= change_texts(entries, change);
                }
            }
        }
    }
    changed
}

fn change_texts(values: &mut Value, change: &dyn Fn(&str) -> Option<String>) -> bool {
    match values {
        // Every one is changed, so nothing may stop at the first.
        Value::Array(list) => list.iter_mut().filter_map(|value| change_texts(value, change).then_some(())).count() > 0,
        Value::String(text) => change(text).map(|new| *text = new).is_some(),
        _ => false,
    }
}

fn newline(case: &mut Value) -> bool {
    let asked = text(&case["request"]["resource"]).to_owned();
    if !asked.contains('\n') {
        return false;
    }
    let misses =
        |pattern: &str| (pattern != "*" && !matches_within_line(pattern, &asked)).then(|| "arn:aws:s3:::-".to_owned());
    change_resources(case, &misses)
}

/// Whether a pattern matches with wildcards that stop at the end of a line.
fn matches_within_line(pattern: &str, text: &str) -> bool {
    let mut here = pattern.chars();
    match here.next() {
        None => text.is_empty(),
        Some('*') => {
            let line = text.find('\n').unwrap_or(text.len());
            (0..=line).filter(|at| text.is_char_boundary(*at)).any(|at| matches_within_line(here.as_str(), &text[at..]))
        }
        Some(wanted) => {
            let mut rest = text.chars();
            let found = rest.next();
            let fits = found.is_some_and(|found| found == wanted || (wanted == '?' && found != '\n'));
            fits && matches_within_line(here.as_str(), rest.as_str())
        }
    }
}

fn epoch(case: &mut Value) -> bool {
    let as_milliseconds = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let number: u64 = text.parse().ok().filter(|_| digits)?;
        Some(format!("{}.{:03}", number / 1000, number % 1000))
    };
    let in_policies = change_values(case, |operator| operator.starts_with("Date"), &as_milliseconds);
    let sent = case["request"]["context"].get_mut("aws:EpochTime");
    let in_request = sent.is_some_and(|sent| change_texts(sent, &as_milliseconds));
    in_policies || in_request
}

fn version(case: &mut Value) -> bool {
    let mut changed = false;
    for (_, document) in documents(&mut case["policies"]) {
        if document["Version"] != "2012-10-17" && document.to_string().contains("${") {
            document["Version"] = json!("2012-10-17");
            changed = true;
        }
    }
    changed
}

fn empty_value(case: &mut Value) -> bool {
    let whole = case.clone();
    let change = |text: &str| {
        let mut new = text.to_owned();
        for (variable, name, default) in variables(text) {
            let full_default = default.filter(|default| !default.is_empty());
            let is_empty = carried(&whole, name).is_some_and(|value| value == "");
            let instead = match full_default {
                Some(default) if is_empty => default.to_owned(),
                None if is_empty => "${bw:none}".to_owned(),
                None if default.is_some() => format!("${{{name}}}"),
                _ => continue,
            };
            new = new.replace(variable, &instead);
        }
        (new != text).then_some(new)
    };
    let in_conditions =
        change_values(case, |operator| operator.contains("String") || operator.contains("Arn"), &change);
    let in_resources = change_resources(case, &change);
    in_conditions || in_resources
}

fn unresolved_under_negation(case: &Value, _: &str, statement: &Value) -> bool {
    conditions(statement).iter().any(|(operator, key, values)| {
        let unresolved = || texts(values).iter().any(|value| is_unresolved(value, case));
        operator.contains("Not") && carried(case, key).is_some() && unresolved()
    })
}

fn spares_by_any_entry(case: &Value, layer: &str, statement: &Value) -> bool {
    let principal = &case["principal"];
    let account = text(&case["accounts"]["principal"]);
    let root = format!("arn:aws:iam::{account}:root");
    let own = ["arn", "role", "user"].map(|name| text(&principal[name]));
    let names = |entry: &&str| own.contains(entry) || *entry == account || *entry == root;
    let without_boundary = case["policies"].get("boundary").is_none();
    let listed = texts(&statement["NotPrincipal"]["AWS"]);
    layer == "resource" && statement["Effect"] == "Deny" && without_boundary && listed.iter().any(names)
}

/// The bucket policy as if it named the role, or the user behind a session: then the session policy limits.
fn session_limits(case: &mut Value) -> bool {
    let same_account = case["accounts"]["principal"] == case["accounts"]["resource"];
    let behind = ["role", "user"].iter().find_map(|name| case["principal"].get(*name)).cloned();
    let Some(behind) = behind.filter(|_| same_account && case["policies"].get("session").is_some()) else {
        return false;
    };
    let own = case["principal"]["arn"].clone();
    let policies = &mut case["policies"];
    let mut changed = false;
    if let Some(resource) = policies.get_mut("resource") {
        for statement in statements(resource).into_iter().filter(|statement| statement["Effect"] == "Allow") {
            let named = texts(&statement["Principal"]["AWS"]);
            let direct = statement["Principal"] == "*" || named.contains(&"*") || named.contains(&text(&own));
            if direct || statement.get("NotPrincipal").is_some() {
                statement["Principal"] = json!({ "AWS": behind });
                statement.as_object_mut().map(|fields| fields.remove("NotPrincipal"));
                changed = true;
            }
        }
    }
    changed
}

fn single_address_of_other_family(case: &Value, _: &str, statement: &Value) -> bool {
    conditions(statement).iter().any(|(operator, key, values)| {
        let sent = carried(case, key).and_then(Value::as_str).and_then(|sent| sent.parse::<IpAddr>().ok());
        let other = |value: &&str| {
            value.parse::<IpAddr>().is_ok_and(|wanted| sent.is_some_and(|sent| sent.is_ipv4() != wanted.is_ipv4()))
        };
        operator.starts_with("NotIpAddress") && texts(values).iter().any(other)
    })
}

fn any_value_if_exists(case: &Value, _: &str, statement: &Value) -> bool {
    conditions(statement).iter().any(|(operator, key, _)| {
        operator.starts_with("ForAnyValue:") && operator.ends_with("IfExists") && carried(case, key).is_none()
    })
}
