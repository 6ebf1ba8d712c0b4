//! Grants that are wider than anybody should hand out unseen.

use super::codes::{BW_ADMIN_WILDCARD, BW_ALLOW_NOT_ACTION, BW_PUBLIC_PRINCIPAL, BW_S3_FULL_ACCESS};
use super::s3_arn::{head, is_all_of_s3};
use super::scope::{KeyAt, PROBE, Scope};
use super::{PolicyType, Report};
use crate::policy::arn_pattern::{self, ArnPattern};
use crate::policy::catalog::ActionSet;
use crate::policy::context::Context;
use crate::policy::document::ActionPattern;
use crate::policy::operators::Test;
use crate::policy::values::Network;
use crate::report::Severity;

pub(super) fn check(scope: &Scope<'_>, report: &mut Report) {
    if !scope.grants() {
        return;
    }
    public(scope, report);
    if scope.statement.not_action.is_some() {
        not_action(scope, report);
    } else if is_admin(scope) {
        admin(scope, report);
    } else if scope.s3_actions() == ActionSet::all() {
        s3_in_full(scope, report);
    }
}

/// True if what the statement allows is only what others may be allowed at most.
const fn limits_only(kind: PolicyType) -> bool {
    matches!(kind, PolicyType::Boundary | PolicyType::Session)
}

fn not_action(scope: &Scope<'_>, report: &mut Report) {
    let severity = if limits_only(scope.subject.kind) { Severity::Warning } else { Severity::SecurityWarning };
    let message = "this allows every action of every service but those named, later ones included";
    let fix = "name the actions that are needed in `Action`; keep `NotAction` for `Deny`";
    report.add_as(severity, BW_ALLOW_NOT_ACTION, &scope.path("NotAction"), message, fix);
}

/// True if it allows everything, or all of IAM, with which its holder can get everything.
fn is_admin(scope: &Scope<'_>) -> bool {
    let statement = scope.statement;
    let any_action =
        |wanted: &dyn Fn(&ActionPattern) -> bool| statement.action.iter().flat_map(|list| &list.items).any(wanted);
    let everything = |action: &ActionPattern| action.matches(PROBE, PROBE);
    let all_of_iam = |action: &ActionPattern| action.matches("iam", PROBE);
    let probe = |service: &str| format!("arn:{PROBE}:{service}:{PROBE}:{PROBE}:{PROBE}");
    if any_action(&everything) {
        is_on_all(scope, |arn| arn.matches(&probe(PROBE), Context::EMPTY))
    } else {
        any_action(&all_of_iam)
            && is_on_all(scope, |arn| {
                arn.is_everything() || arn.matches(&format!("arn:aws:iam::{PROBE}:{PROBE}"), Context::EMPTY)
            })
    }
}

/// True if its resources are everything, as `means_all` sees it; with `NotResource` that is so unless nothing is left.
/// A trust policy is about its role.
fn is_on_all(scope: &Scope<'_>, means_all: impl Fn(&ArnPattern) -> bool) -> bool {
    let statement = scope.statement;
    match (&statement.resource, &statement.not_resource) {
        (Some(resources), _) => resources.items.iter().any(means_all),
        (None, Some(excepted)) => !excepted.items.iter().any(ArnPattern::is_everything),
        (None, None) => false,
    }
}

fn admin(scope: &Scope<'_>, report: &mut Report) {
    let kind = scope.subject.kind;
    let (severity, message) = match kind {
        // Everything, less what the same boundary denies: a limit all the same.
        PolicyType::Boundary if scope.whole.denies => {
            (Severity::Suggestion, "this limits nothing by itself; only the denials of this boundary do")
        }
        kind if limits_only(kind) => (Severity::SecurityWarning, "this limits nothing"),
        _ => (Severity::SecurityWarning, "this makes an administrator of whoever has it"),
    };
    let fix = "name the actions and resources that are needed";
    report.add_as(severity, BW_ADMIN_WILDCARD, &scope.statement.path, message, fix);
}

fn s3_in_full(scope: &Scope<'_>, report: &mut Report) {
    let everywhere = is_on_all(scope, is_all_of_s3);
    let severity = match (everywhere, limits_only(scope.subject.kind)) {
        (true, false) => Severity::SecurityWarning,
        (false, true) => return,
        _ => Severity::Warning,
    };
    let message = match everywhere {
        true => "every S3 action on every bucket: data, policies and public access alike",
        false => "every S3 action, those included that delete the bucket, change its policy or make it public",
    };
    let fix = "name the actions that are needed, such as `s3:GetObject` and `s3:ListBucket`, and the buckets";
    report.add_as(severity, BW_S3_FULL_ACCESS, &scope.statement.path, message, fix);
}

fn public(scope: &Scope<'_>, report: &mut Report) {
    if !scope.is_about_everybody() || scope.keys().iter().any(narrows) {
        return;
    }
    let message = match scope.subject.kind {
        PolicyType::Trust => "everybody with any AWS account may take this role, if the conditions do not stop them",
        _ => "everybody on the internet is meant, with or without an AWS account",
    };
    let fix = "name accounts or roles; or add a condition with fixed values on `aws:PrincipalOrgID`, \
               `aws:PrincipalAccount`, `aws:SourceVpce` or a public range of `aws:SourceIp`";
    report.add(BW_PUBLIC_PRINCIPAL, &scope.path("Principal"), message, fix);
}

/// Keys whose fixed values single out callers.
///
/// Source: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-control-block-public-access.html#access-control-block-public-access-policy-status>
const NARROWING: [&str; 19] = [
    "aws:principalaccount",
    "aws:principalarn",
    "aws:principalorgid",
    "aws:principalorgpaths",
    "aws:principalservicename",
    "aws:sourceaccount",
    "aws:sourcearn",
    "aws:sourceip",
    "aws:sourceorgid",
    "aws:sourceorgpaths",
    "aws:sourceowner",
    "aws:sourcevpc",
    "aws:sourcevpcarn",
    "aws:sourcevpce",
    "aws:userid",
    "aws:vpceaccount",
    "aws:vpceorgid",
    "s3:dataaccesspointaccount",
    "s3:dataaccesspointarn",
];

/// The shortest beginning of a value that is worth calling fixed: an account's, organization's or network's id.
const FIXED_LENGTH: usize = 8;

/// True if the condition narrows everybody to callers that are known.
fn narrows(at: &KeyAt<'_>) -> bool {
    let name = at.key.name.to_ascii_lowercase();
    let Some(operator) = at.block.operator else { return false };
    let asks = !operator.negated && !operator.when_missing() && operator.test != Test::Null;
    let values = &at.key.values.items;
    asks && NARROWING.contains(&name.as_str())
        && !values.is_empty()
        && values.iter().all(|value| match operator.test {
            Test::IpAddress => is_small(&value.text),
            Test::StringEquals | Test::StringEqualsIgnoreCase => !value.text.contains("${"),
            _ => is_fixed(&value.text),
        })
}

/// No broader than what S3 calls public.
fn is_small(range: &str) -> bool {
    match Network::parse(range) {
        Some(Network::V4(_, mask)) => mask.leading_ones() >= 8,
        Some(Network::V6(_, mask)) => mask.leading_ones() >= 32,
        None => false,
    }
}

fn is_fixed(value: &str) -> bool {
    let closed = |text: &str| head(text).len() == text.len();
    match arn_pattern::fields(value) {
        Some(["arn", _, _, _, account, resource]) => match account {
            "" => head(resource).len() >= 3,
            account => closed(account),
        },
        _ => closed(value) || head(value).len() >= FIXED_LENGTH,
    }
}
