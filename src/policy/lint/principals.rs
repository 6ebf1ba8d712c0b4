//! `Principal` and `NotPrincipal`: who may be named, and how.
//!
//! Source: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html>

use super::codes::{
    ALLOW_WITH_NOTPRINCIPAL, BW_PRINCIPAL_ARN_INVALID, EMPTY_ARRAY_PRINCIPAL, EMPTY_OBJECT_PRINCIPAL,
    INVALID_PRINCIPAL_FORMAT, INVALID_PRINCIPAL_KEY, INVALID_ROLE_REFERENCE, INVALID_USER_REFERENCE,
    UNSUPPORTED_PRINCIPAL, UNSUPPORTED_WILDCARD_IN_PRINCIPAL, VARIABLE_UNSUPPORTED_IN_ELEMENT,
};
use super::scope::Scope;
use super::{PolicyType, Report};
use crate::policy::arn_pattern;
use crate::policy::catalog::PARTITIONS;
use crate::policy::path::DocumentPath;
use crate::policy::principal::{PrincipalGroup, Principals};

const KEYS: [&str; 4] = ["AWS", "Service", "Federated", "CanonicalUser"];

pub(super) fn check(scope: &Scope<'_>, report: &mut Report) {
    let kind = scope.subject.kind;
    for (element, principals) in scope.principals() {
        let path = scope.path(element);
        if !kind.has_principals() {
            let fix = match kind {
                PolicyType::Identity => {
                    "remove it; for a bucket policy pass `--type bucket`, for a trust policy `--type trust`"
                }
                _ => "remove it; a condition on `aws:PrincipalArn` can tell callers apart",
            };
            report.add(UNSUPPORTED_PRINCIPAL, &path, format!("{kind} has no `{element}`"), fix);
            continue;
        }
        if kind == PolicyType::Rcp && element == "Principal" && *principals != Principals::Text("*".to_owned()) {
            let message = "a resource control policy is about everybody";
            let fix = "write `\"Principal\": \"*\"` and a condition on `aws:PrincipalArn` or `aws:PrincipalAccount`";
            report.add(UNSUPPORTED_PRINCIPAL, &path, message, fix);
        }
        if element == "NotPrincipal" && scope.allows() {
            let message = "this allows everybody but those named, anonymous callers included";
            let fix = "name whom to allow in `Principal`";
            report.add(ALLOW_WITH_NOTPRINCIPAL, &path, message, fix);
        }
        named(scope, principals, &path, report);
    }
}

fn named(scope: &Scope<'_>, principals: &Principals, path: &DocumentPath, report: &mut Report) {
    match principals {
        Principals::Text(text) if text == "*" => {}
        Principals::Text(text) => {
            let key = if text.ends_with(".amazonaws.com") { "Service" } else { "AWS" };
            let fix = format!("write `{{\"{key}\": \"{text}\"}}`");
            report.add(INVALID_PRINCIPAL_FORMAT, path, "a principal is `*` or an object that names its kind", fix);
        }
        Principals::Map(groups) if groups.is_empty() => {
            let message = "nobody is named, so the statement does nothing";
            report.add(EMPTY_OBJECT_PRINCIPAL, path, message, "name whom it is about, or remove the statement");
        }
        Principals::Map(groups) => groups.iter().for_each(|group| self::group(scope, group, path, report)),
    }
}

fn group(scope: &Scope<'_>, group: &PrincipalGroup, path: &DocumentPath, report: &mut Report) {
    let path = path.name(&group.key);
    if !KEYS.contains(&group.key.as_str()) {
        let fix = match report.nearest(&group.key, KEYS) {
            Some(meant) => format!("write `{meant}`; case counts"),
            None => "write `AWS`, `Service`, `Federated` or `CanonicalUser`".to_owned(),
        };
        report.add(INVALID_PRINCIPAL_KEY, &path, format!("`{}` is no kind of principal", group.key), fix);
        return;
    }
    if group.entries.listed && group.entries.items.is_empty() {
        let message = "nobody is named, so the statement does nothing";
        report.add(EMPTY_ARRAY_PRINCIPAL, &path, message, "name whom it is about, or remove the statement");
    }
    for (path, principal) in scope.entries(&path, &group.entries) {
        entry(&group.key, &principal.text, &path, report);
    }
}

fn entry(key: &str, text: &str, path: &DocumentPath, report: &mut Report) {
    if text.contains("${") {
        let fix = "name the principal, or compare it in a condition";
        return report.add(VARIABLE_UNSUPPORTED_IN_ELEMENT, path, "no variable is replaced in a principal", fix);
    }
    if text.contains(['*', '?']) && (key, text) != ("AWS", "*") {
        let message = format!("`{text}`: no wildcard counts inside a principal");
        let fix = match key {
            "AWS" => "name the account and add a condition `ArnLike` on `aws:PrincipalArn`",
            _ => "name each of them",
        };
        return report.add(UNSUPPORTED_WILDCARD_IN_PRINCIPAL, path, message, fix);
    }
    match key {
        "AWS" => aws(text, path, report),
        "Service" if !text.contains('.') || text.contains([':', '/']) => {
            let message = format!("`{text}` is no service principal");
            report.add(INVALID_PRINCIPAL_FORMAT, path, message, "write `SERVICE.amazonaws.com`");
        }
        "Federated" => federated(text, path, report),
        _ => {}
    }
}

fn aws(text: &str, path: &DocumentPath, report: &mut Report) {
    let is_id = text.len() >= 16 && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
    let wrong = if text == "*" || is_account(text) {
        return;
    } else if is_id && text.starts_with("AROA") {
        let message = format!("`{text}` is a role's unique id: the role was deleted, or will be hard to recognize");
        return report.add(INVALID_ROLE_REFERENCE, path, message, "write the role's ARN");
    } else if is_id && text.starts_with("AIDA") {
        let message = format!("`{text}` is a user's unique id: the user was deleted, or will be hard to recognize");
        return report.add(INVALID_USER_REFERENCE, path, message, "write the user's ARN");
    } else {
        match arn_fault(text) {
            Some(fault) => fault,
            None => return,
        }
    };
    let fix = "write an account id, or `arn:aws:iam::ACCOUNT:role/NAME` with the path that the role has";
    report.add(BW_PRINCIPAL_ARN_INVALID, path, format!("`{text}`: {wrong}"), fix);
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Why a text is no ARN of an account, user, role or session.
fn arn_fault(text: &str) -> Option<String> {
    let Some(["arn", partition, service, region, account, resource]) = arn_pattern::fields(text) else {
        return Some("neither an account id nor an ARN".to_owned());
    };
    let (kind, name) = resource.split_once('/').unwrap_or((resource, ""));
    // CloudFront's own users stand in an account of that name.
    let known_account = is_account(account) || (account == "cloudfront" && kind == "user");
    let parts = name.split('/').filter(|part| !part.is_empty()).count();
    if !PARTITIONS.contains(&partition) {
        Some(format!("`{partition}` is no partition"))
    } else if !region.is_empty() {
        Some("users and roles have no Region".to_owned())
    } else if !known_account {
        Some(format!("`{account}` is no account, which has twelve digits"))
    } else {
        match (service, kind) {
            ("iam", "root") if resource == "root" => None,
            ("iam", "user" | "role") | ("sts", "federated-user") if parts >= 1 && !name.ends_with('/') => None,
            ("sts", "assumed-role") if parts == 2 && !name.ends_with('/') => None,
            ("sts", "self") => None,
            ("sts", "assumed-role") => Some("a session is `assumed-role/ROLE/SESSION`".to_owned()),
            ("iam", "group") => Some("groups cannot be principals; name their users, or a role".to_owned()),
            ("iam" | "sts", _) => Some(format!("`{resource}` is no account, user, role or session")),
            _ => Some(format!("`{service}` has no principals; users and roles are of `iam`")),
        }
    }
}

fn federated(text: &str, path: &DocumentPath, report: &mut Report) {
    let fault = match arn_pattern::fields(text) {
        Some(["arn", _, "iam", "", account, resource]) => {
            let provider = resource.starts_with("oidc-provider/") || resource.starts_with("saml-provider/");
            !(is_account(account) && provider)
        }
        _ => !text.contains('.') || text.contains([':', '/']),
    };
    if fault {
        let message = format!("`{text}` is no identity provider");
        let fix = "write `arn:aws:iam::ACCOUNT:oidc-provider/HOST/PATH`, without `https://`";
        report.add(INVALID_PRINCIPAL_FORMAT, path, message, fix);
    }
}
