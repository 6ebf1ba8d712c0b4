//! Condition operators and keys: do they exist, and does what they ask ever come with these actions.
//!
//! Source: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition.html>

use super::codes::{
    DEPRECATED_GLOBAL_CONDITION_KEY, DUPLICATE_KEYS_WITH_DIFFERENT_CASE, FORALLVALUES_WITH_SINGLE_VALUED_KEY,
    INVALID_CONDITION_KEY_FORMAT, INVALID_CONDITION_OPERATOR, INVALID_GLOBAL_CONDITION_KEY, INVALID_SERVICE,
    INVALID_SERVICE_CONDITION_KEY, IRRELEVANT_CONDITION_KEY_IN_POLICY, MISSING_PAIRED_CONDITION_KEYS,
    MISSING_QUALIFIER, MISSING_TAG_KEY_IN_CONDITION, NULL_WITH_IF_EXISTS, NULL_WITH_QUALIFIER, TYPE_MISMATCH,
    UNSUPPORTED_ACTION_FOR_CONDITION_KEY, UNSUPPORTED_GLOBAL_CONDITION_KEY, VARIABLE_UNSUPPORTED_IN_ELEMENT,
};
use super::condition_values;
use super::scope::{KeyAt, Scope, names};
use super::{PolicyType, Report};
use crate::policy::catalog::{
    ActionSet, GLOBAL_KEYS, KeyLookup, KeyType, S3, ValueType, global_key, is_service, services,
};
use crate::policy::operators::{OPERATORS, Operator, Quantifier, Test};
use crate::policy::path::DocumentPath;
use crate::report::Severity;
use std::collections::HashMap;

/// Prefixes of keys that come from no service's list of actions.
const OTHER_PREFIXES: [&str; 5] =
    ["catalog", "cognito-identity-auth", "cognito-identity-unauth", "identitycenter", "saml"];

pub(super) fn check(scope: &Scope<'_>, report: &mut Report) {
    let start = scope.path("Condition");
    for block in scope.statement.condition.iter().flatten() {
        let path = start.name(&block.operator_text);
        match block.operator {
            None => no_operator(&block.operator_text, &path, report),
            Some(operator) if operator.test == Test::Null && operator.quantifier.is_some() => {
                let message = "a set operator decides `Null` whatever the request holds";
                report.add(NULL_WITH_QUALIFIER, &path, message, "write `Null`");
            }
            Some(_) => {}
        }
        let mut spelled: HashMap<String, &str> = HashMap::new();
        for key in &block.keys {
            if let Some(earlier) = spelled.insert(key.name.to_lowercase(), &key.name) {
                let message = format!("`{}` and `{earlier}` are the same key; case means nothing", key.name);
                let fix = "put the values into one list";
                report.add(DUPLICATE_KEYS_WITH_DIFFERENT_CASE, &path.name(&key.name), message, fix);
            }
        }
    }
    let carried = Carried::of(scope);
    for at in scope.keys() {
        let kind = key(&at, report);
        if let (Some(kind), Some(operator)) = (kind, at.block.operator) {
            suits(&at, kind, operator, scope, report);
        }
        carried.check(&at, report);
        irrelevant(&at, scope.subject.kind, report);
        condition_values::check(scope, &at, report);
    }
    paired(scope, report);
}

fn no_operator(text: &str, path: &DocumentPath, report: &mut Report) {
    let (quantifier, base) = text.split_once(':').map_or(("", text), |(quantifier, base)| (quantifier, base));
    if base.eq_ignore_ascii_case("NullIfExists") {
        let message = "`Null` asks whether the key is there, so `IfExists` has nothing to add";
        return report.add(NULL_WITH_IF_EXISTS, path, message, "write `Null`");
    }
    let plain = base.strip_suffix("IfExists").unwrap_or(base);
    let suffix = &base[plain.len()..];
    let qualified = |operator: &str| {
        let known = match quantifier {
            "" => None,
            other => crate::layout::nearest(other, ["ForAllValues", "ForAnyValue"]),
        };
        let start = known.map(|known| format!("{known}:")).unwrap_or_default();
        format!("did you mean `{start}{operator}{suffix}`?")
    };
    let fix = match report.nearest(plain, OPERATORS.map(|(name, ..)| name)) {
        Some(meant) => qualified(meant),
        None => "write an operator such as `StringEquals` or `StringLike`".to_owned(),
    };
    report.add(INVALID_CONDITION_OPERATOR, path, format!("there is no condition operator `{text}`"), fix);
}

/// Looks whether there is such a key; what it holds, if that is known.
fn key(at: &KeyAt<'_>, report: &mut Report) -> Option<KeyType> {
    let (name, path) = (at.key.name.as_str(), &at.path);
    if name.contains("${") {
        let fix = "name the key; variables stand in its values";
        report.add(VARIABLE_UNSUPPORTED_IN_ELEMENT, path, "no variable is replaced in a key's name", fix);
        return None;
    }
    let (prefix, rest) = name.split_once(':').unwrap_or_default();
    let base = name.split('/').next().unwrap_or_default();
    if prefix.is_empty() || rest.is_empty() || base.contains(char::is_whitespace) {
        let meant = key_meant(&name.to_ascii_lowercase());
        let fix = meant.map_or("write `service:name`, such as `s3:prefix`".to_owned(), |key| format!("write `{key}`"));
        report.add(INVALID_CONDITION_KEY_FORMAT, path, format!("`{name}` is no condition key"), fix);
        return None;
    }
    match prefix.to_ascii_lowercase().as_str() {
        "aws" => global(name, path, report),
        "s3" => s3_key(name, path, report),
        // Identity providers stand before their claims by host name.
        other if other.contains(['.', '/']) || is_service(other) || OTHER_PREFIXES.contains(&other) => None,
        other => {
            unknown_prefix(name, other, path, report);
            None
        }
    }
}

/// The key that a bare name means.
fn key_meant(name: &str) -> Option<&'static str> {
    let global = GLOBAL_KEYS.iter().map(|(key, _)| *key);
    S3.key_names()
        .chain(global)
        .find(|key| key.split_once(':').is_some_and(|(_, rest)| rest.trim_end_matches('/').eq_ignore_ascii_case(name)))
}

fn unknown_prefix(name: &str, prefix: &str, path: &DocumentPath, report: &mut Report) {
    match report.nearest(prefix, services().chain(["aws"])) {
        Some(meant) => {
            let message = format!("`{name}`: there is no service `{prefix}`");
            report.add(INVALID_SERVICE, path, message, format!("did you mean `{meant}`?"));
        }
        None => {
            let message = format!("`{name}`: `{prefix}` is no service that this version knows");
            let fix = "check it in AWS's Service Authorization Reference; if it is new, all is well";
            report.add_as(Severity::Warning, INVALID_SERVICE, path, message, fix);
        }
    }
}

fn without_tag_key(family: &str, path: &DocumentPath, report: &mut Report) {
    let message = format!("`{family}` must be followed by a tag's key");
    report.add(MISSING_TAG_KEY_IN_CONDITION, path, message, format!("write `{family}KEY`, such as `{family}team`"));
}

fn global(name: &str, path: &DocumentPath, report: &mut Report) -> Option<KeyType> {
    if name.eq_ignore_ascii_case("aws:arn") {
        let message = "no request carries `aws:ARN`";
        let fix = "write `aws:PrincipalArn` for who asks, `aws:SourceArn` for the resource that a service asks for";
        report.add(UNSUPPORTED_GLOBAL_CONDITION_KEY, path, message, fix);
        return None;
    }
    if name.eq_ignore_ascii_case("aws:sourceowner") {
        let message = "`aws:SourceOwner` is kept for old policies only";
        report.add(DEPRECATED_GLOBAL_CONDITION_KEY, path, message, "write `aws:SourceAccount`");
    }
    match global_key(name) {
        KeyLookup::Known(_, kind) => return Some(kind),
        KeyLookup::WithoutTagKey(family) => without_tag_key(family, path, report),
        KeyLookup::Unknown => {
            // AWS uses a few keys that it does not list, so only a near name proves a mistake.
            let (severity, message, fix) = match report.nearest(name, GLOBAL_KEYS.iter().map(|(key, _)| *key)) {
                Some(meant) => {
                    (Severity::Error, format!("there is no key `{name}`"), format!("did you mean `{meant}`?"))
                }
                None => (
                    Severity::Warning,
                    format!("`{name}` is no key that this version knows"),
                    "look it up among AWS's global condition keys; if it is new, all is well".to_owned(),
                ),
            };
            report.add_as(severity, INVALID_GLOBAL_CONDITION_KEY, path, message, fix);
        }
    }
    None
}

fn s3_key(name: &str, path: &DocumentPath, report: &mut Report) -> Option<KeyType> {
    match S3.key(name) {
        KeyLookup::Known(_, kind) => return Some(kind),
        KeyLookup::WithoutTagKey(family) => without_tag_key(family, path, report),
        KeyLookup::Unknown => {
            let fix = match report.nearest(name, S3.key_names()) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => "look it up among the condition keys of S3".to_owned(),
            };
            report.add(INVALID_SERVICE_CONDITION_KEY, path, format!("there is no key `{name}`"), fix);
        }
    }
    None
}

/// Whether the operator is one for what the key holds.
fn suits(at: &KeyAt<'_>, kind: KeyType, operator: Operator, scope: &Scope<'_>, report: &mut Report) {
    let name = &at.key.name;
    let fits = match operator.test {
        Test::Null => return,
        Test::StringEquals | Test::StringEqualsIgnoreCase | Test::StringLike => {
            matches!(kind.values, ValueType::String | ValueType::Arn)
        }
        Test::Numeric(_) => matches!(kind.values, ValueType::Numeric | ValueType::Epoch),
        Test::Date(_) => matches!(kind.values, ValueType::Date | ValueType::Epoch),
        Test::Bool => kind.values == ValueType::Bool,
        Test::IpAddress => kind.values == ValueType::IpAddress,
        // Tags hold any text, ARNs too.
        Test::Arn => kind.values == ValueType::Arn || name.contains('/'),
        Test::Binary => false,
    };
    if !fits {
        let message = format!("`{}` does not compare what `{name}` holds", at.block.operator_text);
        report.add(TYPE_MISMATCH, &at.path, message, format!("use {}", kind.values.operators()));
    }
    match (operator.quantifier, kind.multivalued) {
        (None, true) => {
            let message = format!("a request can carry several values of `{name}`");
            let fix = format!(
                "write `ForAnyValue:{0}` if one value is to match; under `ForAllValues:{0}` an absent key matches too",
                at.block.operator_text
            );
            report.add(MISSING_QUALIFIER, &at.path, message, fix);
        }
        (Some(Quantifier::ForAllValues), false) => {
            let severity = if scope.denies() { Severity::Suggestion } else { Severity::SecurityWarning };
            let message = format!("`{name}` has one value, and `ForAllValues` is also true where it is missing");
            let plain = at.block.operator_text.trim_start_matches("ForAllValues:");
            let fix = format!("write `{plain}`");
            report.add_as(severity, FORALLVALUES_WITH_SINGLE_VALUED_KEY, &at.path, message, fix);
        }
        _ => {}
    }
}

/// Keys that every request through an access point carries, though AWS's table lists them with few actions.
///
/// Source: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-points-policies.html>
const OF_ACCESS_POINTS: [&str; 3] =
    ["s3:accesspointnetworkorigin", "s3:dataaccesspointaccount", "s3:dataaccesspointarn"];

/// The statement's S3 actions, for the question which of them carry a key.
#[derive(Debug)]
struct Carried<'a> {
    /// What each entry means, and one entry that means it.
    sets: HashMap<ActionSet, &'a str>,
}

impl<'a> Carried<'a> {
    fn of(scope: &Scope<'a>) -> Self {
        let sets = scope.actions().map(|(action, set)| (set, action.text.as_str()));
        Self { sets: sets.filter(|(set, _)| !set.is_empty()).collect() }
    }

    /// Says which of the listed actions never carry the key, so that the condition is settled for them beforehand.
    fn check(&self, at: &KeyAt<'_>, report: &mut Report) {
        let name = at.key.name.to_ascii_lowercase();
        let tag_of_request = name == "aws:tagkeys" || name.starts_with("aws:requesttag/");
        let known = name.starts_with("s3:") && matches!(S3.key(&name), KeyLookup::Known(..));
        let of_s3 = known && !OF_ACCESS_POINTS.contains(&name.as_str());
        let Some(operator) = at.block.operator.filter(|_| of_s3 || tag_of_request) else { return };
        // Who writes `IfExists`, or asks for a missing key, has thought of requests without it.
        let asks_for_absence = operator.test == Test::Null
            && at.key.values.items.iter().all(|value| value.text.eq_ignore_ascii_case("true"));
        if operator.if_exists || asks_for_absence {
            return;
        }
        let carriers = ActionSet::of(|action| action.carries(&name));
        // Keys that belong to resources, such as `s3:BucketTag/KEY`, stand with no action.
        if carriers.is_empty() {
            return;
        }
        let never = |set: &ActionSet| set.and(carriers).is_empty();
        let mut lost: Vec<&str> = self.sets.iter().filter(|(set, _)| never(set)).map(|(_, text)| *text).collect();
        if lost.is_empty() {
            return;
        }
        lost.sort_unstable();
        let settled = match operator.when_missing() {
            true => "so the condition always holds for it",
            false => "so the statement never matches it",
        };
        let message = format!("{} never comes with `{}`, {settled}", names(lost.iter().copied()), at.key.name);
        let fix = match lost.len() == self.sets.len() {
            true => format!("remove the condition, or name actions that carry `{}`", at.key.name),
            false => format!("put {} into a statement of its own without this key", names(lost)),
        };
        // Services learn to send tags all the time, so of those AWS's table proves less.
        let severity = if tag_of_request { Severity::Warning } else { UNSUPPORTED_ACTION_FOR_CONDITION_KEY.severity };
        report.add_as(severity, UNSUPPORTED_ACTION_FOR_CONDITION_KEY, &at.path, message, fix);
    }
}

/// Keys about the resource's owner say nothing in the resource's own policy.
fn irrelevant(at: &KeyAt<'_>, kind: PolicyType, report: &mut Report) {
    const ABOUT_THE_OWNER: [&str; 4] =
        ["s3:resourceaccount", "aws:resourceaccount", "aws:resourceorgid", "aws:resourceorgpaths"];
    let name = at.key.name.to_ascii_lowercase();
    if kind == PolicyType::Bucket && ABOUT_THE_OWNER.contains(&name.as_str()) {
        let message = format!("`{}` is the same for every request to this bucket", at.key.name);
        let fix = "remove it; for the caller's account compare `aws:PrincipalAccount`";
        report.add(IRRELEVANT_CONDITION_KEY_IN_POLICY, &at.path, message, fix);
    }
}

/// Keys that let in too much unless another key stands beside them.
fn paired(scope: &Scope<'_>, report: &mut Report) {
    if !scope.allows() {
        return;
    }
    let keys = scope.keys();
    let has = |names: &[&str]| keys.iter().any(|at| names.iter().any(|name| at.key.name.eq_ignore_ascii_case(name)));
    for at in &keys {
        let name = at.key.name.to_ascii_lowercase();
        if name == "aws:vpcsourceip" && !has(&["aws:SourceVpc", "aws:SourceVpce", "aws:SourceVpcArn"]) {
            let message = "every VPC has private addresses such as these, anybody's included";
            let fix = "add a condition on `aws:SourceVpc` or `aws:SourceVpce`";
            report.add(MISSING_PAIRED_CONDITION_KEYS, &at.path, message, fix);
        }
        if let Some(provider) = name.strip_suffix(":aud").filter(|provider| provider.contains('.'))
            && !has(&[&format!("{provider}:sub")])
            && !has(&[&format!("{provider}:amr")])
        {
            let message = format!("without `{provider}:sub` every identity of this provider may take the role");
            let fix = format!(
                "add `\"{provider}:sub\"`, for a Kubernetes service account `system:serviceaccount:NAMESPACE:NAME`"
            );
            report.add(MISSING_PAIRED_CONDITION_KEYS, &at.path, message, fix);
        }
    }
}
