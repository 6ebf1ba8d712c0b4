//! The document's form: elements, versions, what a statement must have, and characters that no policy may hold.
//!
//! Source: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html>

use super::codes::{
    BW_OLD_VERSION, BW_UNSUPPORTED_CHARACTER, DATA_TYPE_MISMATCH, EMPTY_ARRAY_ACTION, EMPTY_ARRAY_RESOURCE,
    EMPTY_OBJECT_CONDITION, EMPTY_SID_VALUE, INVALID_EFFECT, INVALID_POLICY_ELEMENT, INVALID_VERSION,
    JSON_SYNTAX_ERROR, MISSING_ACTION, MISSING_EFFECT, MISSING_PRINCIPAL, MISSING_RESOURCE, MISSING_STATEMENT,
    MISSING_VERSION, UNIQUE_SIDS_RECOMMENDED, UNIQUE_SIDS_REQUIRED, UNSUPPORTED_ELEMENT_COMBINATION, UNSUPPORTED_SID,
};
use super::scope::Scope;
use super::{PolicyType, Report, Subject};
use crate::policy::document::{CURRENT_VERSION, Document, Statement};
use crate::policy::json::Json;
use crate::policy::mistake::{DocumentMistake, Fault};
use crate::policy::path::DocumentPath;
use std::collections::BTreeMap;

const OLD_VERSION: &str = "2008-10-17";
const ELEMENTS: [&str; 3] = ["Version", "Id", "Statement"];
const STATEMENT_ELEMENTS: [&str; 9] =
    ["Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource", "Condition"];

/// A mistake of form, in the linter's words.
pub(super) fn mistake(mistake: &DocumentMistake, kind: PolicyType, report: &mut Report) {
    let path = &mistake.path;
    match &mistake.fault {
        Fault::Syntax { message, line, column } => report.add(
            JSON_SYNTAX_ERROR,
            path,
            format!("line {line}, column {column}: {message}"),
            "correct the JSON there; nothing behind it was looked at",
        ),
        Fault::TooLarge { most_bytes, .. } => {
            let message = format!("this is larger than {most_bytes} bytes, and no policy is");
            report.add(JSON_SYNTAX_ERROR, path, message, "check that this is the right file");
        }
        Fault::TooDeep => report.add(JSON_SYNTAX_ERROR, path, mistake.to_string(), "check that this is the right file"),
        Fault::Duplicate => report.add(
            JSON_SYNTAX_ERROR,
            path,
            format!("{mistake}, and readers disagree on which of the two counts"),
            "merge the two, or remove one",
        ),
        Fault::WrongType { expected, .. } => {
            report.add(DATA_TYPE_MISMATCH, path, mistake.to_string(), format!("write {expected}"));
        }
        Fault::UnknownElement => unknown_element(path, kind, report),
    }
}

fn unknown_element(path: &DocumentPath, kind: PolicyType, report: &mut Report) {
    let pointer = path.pointer();
    let name = pointer.rsplit('/').next().unwrap_or_default().to_owned();
    let known = if path.depth() == 1 { &ELEMENTS[..] } else { &STATEMENT_ELEMENTS[..] };
    let fix = match report.nearest(&name, known.iter().copied()) {
        Some(meant) => format!("write `{meant}`; case counts"),
        None => "remove it; comments have no place in a policy, but a `Sid` can say what a statement is for".to_owned(),
    };
    report.add(INVALID_POLICY_ELEMENT, path, format!("`{path}` is no element of {kind}"), fix);
}

/// The document as a whole.
pub(super) fn check(json: &Json, document: &Document, subject: &Subject<'_>, report: &mut Report) {
    document.defects().iter().for_each(|defect| mistake(defect, subject.kind, report));
    version(json, document, report);
    let root = DocumentPath::root();
    if document.id().is_some() && !matches!(subject.kind, PolicyType::Bucket | PolicyType::Trust) {
        let message = format!("`Id` is no element of {}, only of policies attached to resources", subject.kind);
        report.add(INVALID_POLICY_ELEMENT, &root.name("Id"), message, "remove it");
    }
    if !document.has_statement() {
        report.add(MISSING_STATEMENT, &root, "there is no `Statement`", "add `\"Statement\": [..]`");
    } else if matches!(json.get("Statement"), Some(Json::List(items)) if items.is_empty()) {
        report.add(MISSING_STATEMENT, &root.name("Statement"), "the list of statements is empty", "add a statement");
    }
    sids(document, subject.kind, report);
    characters(json, &root, report);
}

fn version(json: &Json, document: &Document, report: &mut Report) {
    let root = DocumentPath::root();
    let path = root.name("Version");
    match document.version() {
        None if json.get("Version").is_none() => report.add(
            MISSING_VERSION,
            &root,
            "there is no `Version`, so variables such as `${aws:username}` are plain text",
            format!("add `\"Version\": \"{CURRENT_VERSION}\"`"),
        ),
        None | Some(CURRENT_VERSION) => {}
        Some(OLD_VERSION) => report.add(
            BW_OLD_VERSION,
            &path,
            format!("`{OLD_VERSION}` is the old policy language, in which variables are plain text"),
            format!("write `{CURRENT_VERSION}`, which changes nothing unless there is a `${{` in the document"),
        ),
        Some(other) => report.add(
            INVALID_VERSION,
            &path,
            format!("`{other}` is no version of the policy language; this is no date to be kept current"),
            format!("write `{CURRENT_VERSION}`"),
        ),
    }
}

/// Sids must be unique where IAM or Organizations reads them; S3 does not mind.
fn sids(document: &Document, kind: PolicyType, report: &mut Report) {
    let mut places: BTreeMap<&str, Vec<&Statement>> = BTreeMap::new();
    for statement in document.statements() {
        if let Some(sid) = statement.sid.as_deref().filter(|sid| !sid.is_empty()) {
            places.entry(sid).or_default().push(statement);
        }
    }
    let code = if kind == PolicyType::Bucket { UNIQUE_SIDS_RECOMMENDED } else { UNIQUE_SIDS_REQUIRED };
    for (sid, statements) in places.iter().filter(|(_, statements)| statements.len() > 1) {
        for statement in statements {
            let message = format!("{} statements have the Sid `{sid}`", statements.len());
            report.add(code, &statement.path.name("Sid"), message, "give each statement a Sid of its own");
        }
    }
}

/// Policies hold U+0009, U+000A, U+000D and U+0020 to U+00FF.
///
/// Source: <https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreatePolicy.html>
const fn is_supported(letter: char) -> bool {
    matches!(letter, '\t' | '\n' | '\r' | '\u{20}'..='\u{ff}')
}

fn characters(json: &Json, path: &DocumentPath, report: &mut Report) {
    let mut look = |text: &str, path: &DocumentPath| {
        if let Some(letter) = text.chars().find(|letter| !is_supported(*letter)) {
            let message = format!("U+{:04X} is no character that a policy can hold", u32::from(letter));
            let fix = "where wildcards count, write `?` for each such character, or end with `*` before it";
            report.add(BW_UNSUPPORTED_CHARACTER, path, message, fix);
        }
    };
    match json {
        Json::Text(text) => look(text, path),
        Json::List(items) => {
            items.iter().enumerate().for_each(|(index, item)| characters(item, &path.index(index), report));
        }
        Json::Object(fields) => {
            fields.iter().for_each(|(name, _)| look(name, &path.name(name)));
            fields.iter().for_each(|(name, value)| characters(value, &path.name(name), report));
        }
        Json::Null | Json::Bool(_) | Json::Number(_) => {}
    }
}

/// One statement.
pub(super) fn check_statement(scope: &Scope<'_>, report: &mut Report) {
    let (statement, kind) = (scope.statement, scope.subject.kind);
    effect(scope, report);
    if statement.action.is_none() && statement.not_action.is_none() {
        report.add(MISSING_ACTION, &statement.path, "the statement has no `Action`", "add `\"Action\": [..]`");
    }
    let has_resource = statement.resource.is_some() || statement.not_resource.is_some();
    if !has_resource && kind != PolicyType::Trust {
        let fix = "add `\"Resource\": \"arn:aws:s3:::BUCKET/*\"`, or the bucket's ARN for actions on the bucket";
        report.add(MISSING_RESOURCE, &statement.path, "the statement has no `Resource`", fix);
    }
    let has_principal = statement.principal.is_some() || statement.not_principal.is_some();
    if kind.has_principals() && !has_principal && !scope.whole.is_unreadable(&scope.path("Principal")) {
        let message = format!("every statement of {kind} says whom it is about");
        report.add(MISSING_PRINCIPAL, &statement.path, message, "add `\"Principal\": {\"AWS\": \"ARN\"}`");
    }
    pairs(scope, report);
    empties(scope, report);
    sid(scope, report);
    misplaced(scope, report);
}

fn effect(scope: &Scope<'_>, report: &mut Report) {
    let statement = scope.statement;
    let path = scope.path("Effect");
    match statement.effect_text.as_deref() {
        None if scope.whole.is_unreadable(&path) => {}
        None => report.add(
            MISSING_EFFECT,
            &statement.path,
            "the statement has no `Effect`",
            "add `\"Effect\": \"Allow\"` or `\"Deny\"`",
        ),
        Some(text) if statement.effect.is_none() => {
            let fix = match text.to_ascii_lowercase().as_str() {
                "allow" => "write `Allow`; case counts",
                "deny" => "write `Deny`; case counts",
                _ => "write `Allow` or `Deny`",
            };
            report.add(INVALID_EFFECT, &path, format!("`{text}` is no effect"), fix);
        }
        Some(_) if scope.subject.kind == PolicyType::Rcp && scope.allows() && !is_default_rcp(scope) => report.add(
            INVALID_EFFECT,
            &path,
            "resource control policies only deny; what AWS attaches by itself allows",
            "write a `Deny` with the condition turned round",
        ),
        Some(_) => {}
    }
}

/// `RCPFullAWSAccess`, which AWS attaches everywhere and nobody writes.
fn is_default_rcp(scope: &Scope<'_>) -> bool {
    let statement = scope.statement;
    let is_star = |text: Option<&str>| text == Some("*");
    let only = |count: usize| count == 1;
    let action =
        statement.action.as_ref().filter(|list| only(list.items.len())).map(|list| list.items[0].text.as_str());
    let resource =
        statement.resource.as_ref().filter(|list| only(list.items.len())).map(|list| list.items[0].text.as_str());
    is_star(action) && is_star(resource) && scope.is_about_everybody() && statement.condition.is_none()
}

fn pairs(scope: &Scope<'_>, report: &mut Report) {
    let statement = scope.statement;
    for (both, name) in [
        (statement.action.is_some() && statement.not_action.is_some(), "Action"),
        (statement.resource.is_some() && statement.not_resource.is_some(), "Resource"),
        (statement.principal.is_some() && statement.not_principal.is_some(), "Principal"),
    ] {
        if both {
            let message = format!("`{name}` and `Not{name}` exclude each other");
            report.add(UNSUPPORTED_ELEMENT_COMBINATION, &statement.path, message, "keep one of the two");
        }
    }
}

fn empties(scope: &Scope<'_>, report: &mut Report) {
    let statement = scope.statement;
    let nothing = "the list is empty, so the statement does nothing";
    for (list, name) in [(&statement.action, "Action"), (&statement.not_action, "NotAction")] {
        if list.as_ref().is_some_and(|list| list.listed && list.items.is_empty()) {
            report.add(EMPTY_ARRAY_ACTION, &scope.path(name), nothing, "name actions, or remove the statement");
        }
    }
    for (list, name) in [(&statement.resource, "Resource"), (&statement.not_resource, "NotResource")] {
        if list.as_ref().is_some_and(|list| list.listed && list.items.is_empty()) {
            report.add(EMPTY_ARRAY_RESOURCE, &scope.path(name), nothing, "name resources, or remove the statement");
        }
    }
    let condition = scope.path("Condition");
    if statement.condition.as_ref().is_some_and(Vec::is_empty) {
        report.add(EMPTY_OBJECT_CONDITION, &condition, "the condition is empty", "remove it, or say what it asks");
    }
    for block in statement.condition.iter().flatten().filter(|block| block.keys.is_empty()) {
        let path = condition.name(&block.operator_text);
        if !scope.whole.is_unreadable(&path) {
            let message = format!("`{}` has no keys", block.operator_text);
            report.add(EMPTY_OBJECT_CONDITION, &path, message, "remove it, or say what it asks");
        }
    }
}

fn sid(scope: &Scope<'_>, report: &mut Report) {
    let Some(sid) = scope.statement.sid.as_deref() else { return };
    let path = scope.path("Sid");
    if sid.is_empty() {
        report.add(EMPTY_SID_VALUE, &path, "the Sid is empty", "say what the statement is for, or remove it");
    } else if scope.subject.kind != PolicyType::Bucket && !sid.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        let plain: String = sid.chars().filter(char::is_ascii_alphanumeric).collect();
        let fix = match plain.is_empty() {
            true => "use letters and digits only".to_owned(),
            false => format!("write `{plain}`"),
        };
        report.add(UNSUPPORTED_SID, &path, format!("`{sid}` has other characters than letters and digits"), fix);
    }
}

/// Elements of the language that this type of policy does not have.
fn misplaced(scope: &Scope<'_>, report: &mut Report) {
    let (statement, kind) = (scope.statement, scope.subject.kind);
    let absent: &[(bool, &str)] = match kind {
        PolicyType::Trust => {
            &[(statement.resource.is_some(), "Resource"), (statement.not_resource.is_some(), "NotResource")]
        }
        PolicyType::Rcp => {
            &[(statement.not_action.is_some(), "NotAction"), (statement.not_principal.is_some(), "NotPrincipal")]
        }
        _ => &[],
    };
    for (_, element) in absent.iter().filter(|(is_there, _)| *is_there) {
        let fix = match kind {
            PolicyType::Trust => "remove it; the resource is the role itself",
            _ => "name what is meant instead of what is not",
        };
        report.add(INVALID_POLICY_ELEMENT, &scope.path(element), format!("{kind} has no `{element}`"), fix);
    }
}
