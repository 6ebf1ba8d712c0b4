//! `Action` and `NotAction`: do these actions exist, and may they stand here.
//!
//! Source: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_action.html>

use super::codes::{
    BW_API_NAME_AS_ACTION, INVALID_ACTION, INVALID_SERVICE_IN_ACTION, UNSUPPORTED_ACTION_IN_POLICY,
    VARIABLE_UNSUPPORTED_IN_ELEMENT, WILDCARD_IN_SERVICE_NAME,
};
use super::scope::{PROBE, Scope, names};
use super::{PolicyType, Report};
use crate::policy::catalog::{KMS_ACTIONS, S3, STS_ACTIONS, TRUST_ACTIONS, actions_of_api, is_service, services};
use crate::policy::document::ActionPattern;
use crate::policy::path::DocumentPath;
use crate::report::Severity;

pub(super) fn check(scope: &Scope<'_>, report: &mut Report) {
    let statement = scope.statement;
    for (element, list) in [("Action", &statement.action), ("NotAction", &statement.not_action)] {
        for (path, action) in scope.listed(element, list.as_ref()) {
            if exists(action, &path, report) && element == "Action" {
                fits(action, &path, scope, report);
            }
        }
    }
}

fn is_wild(text: &str) -> bool {
    text.contains(['*', '?'])
}

/// Looks whether there is such an action; true if it may be.
fn exists(action: &ActionPattern, path: &DocumentPath, report: &mut Report) -> bool {
    let text = action.text.as_str();
    if text.contains("${") {
        let fix = "name the actions; variables stand in resources and conditions";
        report.add(VARIABLE_UNSUPPORTED_IN_ELEMENT, path, "no variable is replaced in an action", fix);
        return false;
    }
    if action.matches(PROBE, PROBE) {
        return true;
    }
    let Some((service, name)) = text.split_once(':') else {
        return without_service(text, path, report);
    };
    if name.is_empty() || service.is_empty() || name.contains(':') || text.contains(char::is_whitespace) {
        let fix = "write `service:Name`, such as `s3:GetObject`";
        report.add(INVALID_ACTION, path, format!("`{text}` is no action"), fix);
        return false;
    }
    let service = service.to_ascii_lowercase();
    if is_wild(&service) {
        let message = format!("`{text}` also means services of such a name that AWS adds later");
        report.add(WILDCARD_IN_SERVICE_NAME, path, message, "name the service");
        return true;
    }
    match service.as_str() {
        "s3" => s3_action(action, name, path, report),
        "kms" => near_action(text, KMS_ACTIONS, path, report),
        "sts" => near_action(text, STS_ACTIONS, path, report),
        known if is_service(known) => true,
        _ => unknown_service(text, &service, path, report),
    }
}

fn without_service(text: &str, path: &DocumentPath, report: &mut Report) -> bool {
    let wanted = format!("s3:{}", text.trim());
    let meant = match S3.action(&wanted) {
        Some(action) => Some(action.name.as_str()),
        None => actions_of_api(text.trim()).and_then(|actions| actions.first().copied()),
    };
    let fix = match meant {
        Some(name) => format!("write `{name}`"),
        None => "write `service:Name`, such as `s3:GetObject`".to_owned(),
    };
    report.add(INVALID_ACTION, path, format!("`{text}` names no service"), fix);
    false
}

fn unknown_service(text: &str, service: &str, path: &DocumentPath, report: &mut Report) -> bool {
    match report.nearest(service, services()) {
        Some(meant) => {
            let message = format!("`{text}`: there is no service `{service}`");
            report.add(INVALID_SERVICE_IN_ACTION, path, message, format!("did you mean `{meant}`?"));
            false
        }
        None => {
            let message = format!("`{text}`: `{service}` is no service that this version knows");
            let fix = "check its prefix in AWS's Service Authorization Reference; if it is new, all is well";
            report.add_as(Severity::Warning, INVALID_SERVICE_IN_ACTION, path, message, fix);
            true
        }
    }
}

fn s3_action(action: &ActionPattern, name: &str, path: &DocumentPath, report: &mut Report) -> bool {
    if !S3.matching(action).is_empty() {
        return true;
    }
    let text = action.text.as_str();
    if let Some(actions) = actions_of_api(name) {
        let message = format!("`{text}` is an operation and no action: it is allowed by {}", names(actions.to_vec()));
        report.add(BW_API_NAME_AS_ACTION, path, message, format!("write {}", names(actions.to_vec())));
        return false;
    }
    let known = S3.actions().iter().map(|action| action.name.as_str());
    let fix = match report.nearest(text, known) {
        Some(meant) if !is_wild(text) => format!("did you mean `{meant}`?"),
        _ => "look it up in AWS's Service Authorization Reference for S3".to_owned(),
    };
    let message = match is_wild(text) {
        true => format!("`{text}` means no S3 action"),
        false => format!("there is no action `{text}`"),
    };
    report.add(INVALID_ACTION, path, message, fix);
    false
}

/// Of other services only typing errors are told: their lists grow too fast to call a strange name wrong.
fn near_action(text: &str, known: &[&'static str], path: &DocumentPath, report: &mut Report) -> bool {
    if is_wild(text) || known.iter().any(|name| name.eq_ignore_ascii_case(text)) {
        return true;
    }
    let Some(meant) = report.nearest(text, known.iter().copied()) else { return true };
    report.add(INVALID_ACTION, path, format!("there is no action `{text}`"), format!("did you mean `{meant}`?"));
    false
}

/// Whether an action may stand in a policy of this type.
fn fits(action: &ActionPattern, path: &DocumentPath, scope: &Scope<'_>, report: &mut Report) {
    let text = &action.text;
    let named_s3 = text.to_ascii_lowercase().starts_with("s3:");
    match scope.subject.kind {
        PolicyType::Bucket if !named_s3 && S3.matching(action).is_empty() => {
            let message = format!("`{text}` in a bucket policy, which holds S3 actions only");
            report.add(UNSUPPORTED_ACTION_IN_POLICY, path, message, "move it into an identity policy");
        }
        PolicyType::Trust => {
            let allowed = TRUST_ACTIONS.iter().any(|name| {
                let lower = name.to_ascii_lowercase();
                lower.split_once(':').is_some_and(|(service, name)| action.matches(service, name))
            });
            if !allowed {
                let message = format!("`{text}` in a trust policy, which says who may take the role and nothing else");
                let fix = "move it into an identity policy; what belongs here is `sts:AssumeRole` and its kin";
                report.add(UNSUPPORTED_ACTION_IN_POLICY, path, message, fix);
            }
        }
        PolicyType::Rcp if scope.denies() && action.matches(PROBE, PROBE) => {
            let message = "a resource control policy cannot deny `*`";
            report.add(UNSUPPORTED_ACTION_IN_POLICY, path, message, "name services, such as `s3:*`");
        }
        _ => {}
    }
}
