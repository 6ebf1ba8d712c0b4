//! Documents in force, judged by the linter: what it calls a suggestion stays with `policy lint`.

use super::{SeenRole, hidden};
use crate::model::{BucketName, PolicyJson, Role, RoleName, Seen};
use crate::policy::lint::{PolicyType, Subject, lint};
use crate::report::{Finding, Severity};
use serde_json::Value;

/// A document and where it is in force.
pub(super) struct Held<'run> {
    /// What findings are about.
    pub target: &'run str,
    /// What in the target has the document, where it has several: `inline policy `own``.
    pub part: &'run str,
    pub document: &'run PolicyJson,
    pub kind: PolicyType,
    pub bucket: Option<&'run BucketName>,
    pub evidence: Vec<String>,
}

/// What the linter says of a document.
pub(super) fn judge(held: &Held<'_>, findings: &mut Vec<Finding>) {
    let subject = Subject { target: held.target, kind: held.kind, bucket: held.bucket };
    for found in lint(held.document.0.as_bytes(), &subject) {
        if found.severity < Severity::Warning {
            continue;
        }
        let pointer = found.path.clone().unwrap_or_default();
        let place = stable(&pointer, held.document);
        let (message, place) = match held.part {
            "" => (found.message.clone(), place),
            part => (format!("{part}: {}", found.message), format!("{part} {place}")),
        };
        findings.push(Finding { message, ..found }.with_grounds(place.trim(), held.evidence.clone()));
    }
}

/// The place without the number of its statement, where the statement has a name.
fn stable(pointer: &str, document: &PolicyJson) -> String {
    let rest = pointer.strip_prefix("/Statement/").unwrap_or_default();
    let (number, rest) = rest.split_once('/').unwrap_or((rest, ""));
    let sid = || {
        let whole: Value = serde_json::from_str(&document.0).ok()?;
        let statement = whole.get("Statement")?.get(number.parse::<usize>().ok()?)?;
        statement.get("Sid")?.as_str().filter(|sid| !sid.is_empty()).map(str::to_owned)
    };
    match sid() {
        Some(sid) if rest.is_empty() => format!("/Statement/{sid}"),
        Some(sid) => format!("/Statement/{sid}/{rest}"),
        None => pointer.to_owned(),
    }
}

/// What roles carry themselves: inline policies, and who may take them.
pub(super) fn roles(seen: &Seen<Vec<SeenRole>>, findings: &mut Vec<Finding>) {
    let rights = "iam:ListRoles, iam:GetRole, iam:ListAttachedRolePolicies, iam:ListRolePolicies and iam:GetRolePolicy";
    let all = match seen {
        Seen::Here(all) => all,
        Seen::Absent => return,
        Seen::Hidden(why) => return findings.push(hidden("the list of roles", "account/roles", why, rights)),
    };
    for SeenRole { arn, role } in all {
        match role {
            Seen::Here(role) => of_role(role, findings),
            Seen::Absent => {}
            Seen::Hidden(why) => {
                let target = RoleName::of_arn(arn).map_or_else(|| arn.to_string(), |name| format!("role/{name}"));
                findings.push(hidden("the role", &target, why, rights));
            }
        }
    }
}

fn of_role(role: &Role, findings: &mut Vec<Finding>) {
    let target = format!("role/{}", role.name);
    let trust = Held {
        target: &target,
        part: "trust policy",
        document: &role.trust,
        kind: PolicyType::Trust,
        bucket: None,
        evidence: Vec::new(),
    };
    judge(&trust, findings);
    for inline in &role.inline {
        let part = format!("inline policy `{}`", inline.name);
        judge(
            &Held {
                part: &part,
                document: &inline.document,
                kind: PolicyType::Identity,
                evidence: Vec::new(),
                ..trust
            },
            findings,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::stable;
    use crate::model::PolicyJson;

    #[test]
    fn places_do_not_move_with_their_statement() {
        let one = PolicyJson(r#"{"Statement":[{"Sid":"Own"},{"Effect":"Allow"},{"Sid":""}]}"#.to_owned());
        for (pointer, place) in [
            ("/Statement/0/Action/1", "/Statement/Own/Action/1"),
            ("/Statement/0", "/Statement/Own"),
            ("/Statement/1", "/Statement/1"),
            ("/Statement/2", "/Statement/2"),
            ("/Version", "/Version"),
            ("", ""),
        ] {
            assert_eq!(stable(pointer, &one), place);
        }
    }
}
