//! Credentials that hold until somebody takes them away: access keys of users, and the caller's own.

use super::{Ground, hidden, in_days, since};
use crate::model::{AccessKey, Endpoint, KeyUse, Seen, User};
use crate::report::{Finding, Severity};
use jiff::{SignedDuration, Timestamp};

/// After how long a key should have been replaced by another one, as the CIS benchmark has it.
///
/// Source: <https://docs.aws.amazon.com/securityhub/latest/userguide/iam-controls.html#iam-3>
const ROTATED_AFTER: SignedDuration = SignedDuration::from_hours(90 * 24);
/// What to do instead of keys.
const INSTEAD: &str = "let people sign in (IAM Identity Center) and programs take roles (IRSA, Pod Identity, `--as`); then delete \
                       the key";

/// Judges every key, and who asks.
pub(super) fn judge(ground: Ground<'_>, seen: &Seen<Vec<User>>, findings: &mut Vec<Finding>) {
    match seen {
        Seen::Here(users) => users.iter().for_each(|user| of_user(ground, user, findings)),
        Seen::Absent => {}
        Seen::Hidden(why) => {
            let rights = "iam:ListUsers, iam:ListAccessKeys and iam:GetAccessKeyLastUsed";
            findings.push(hidden("the list of users", "account/users", why, rights));
        }
    }
    findings.extend(caller(ground));
}

fn of_user(ground: Ground<'_>, user: &User, findings: &mut Vec<Finding>) {
    let keys = match &user.keys {
        Seen::Here(keys) => keys,
        Seen::Absent => return,
        Seen::Hidden(why) => {
            return findings.push(hidden("the keys of the user", user.arn.as_str(), why, "iam:ListAccessKeys"));
        }
    };
    for key in keys.iter().filter(|key| key.is_active) {
        if let Seen::Hidden(why) = &key.last_use {
            findings.push(hidden("the last use of its key", user.arn.as_str(), why, "iam:GetAccessKeyLastUsed"));
        }
        findings.push(of_key(ground, user, key));
    }
}

/// One finding for each key, by the worst that can be said of it.
fn of_key(ground: Ground<'_>, user: &User, key: &AccessKey) -> Finding {
    let limits = ground.limits;
    let older = |at: Timestamp, limit: SignedDuration| limits.now.duration_since(at) > limit;
    let idle = match &key.last_use {
        Seen::Here(Some(used)) => older(used.at, limits.unused_after),
        Seen::Here(None) => key.created.is_some_and(|made| older(made, limits.unused_after)),
        Seen::Absent | Seen::Hidden(_) => false,
    };
    let name = &user.name;
    let which = key.id.as_ref().map_or_else(|| "the key".to_owned(), |id| format!("key {id}"));
    let delete = key.id.as_ref().map(|id| {
        format!(
            "`aws iam update-access-key --user-name {name} --access-key-id {id} --status Inactive`, later delete it"
        )
    });
    let (code, severity, message, fix) = if idle {
        let after = in_days(limits.unused_after);
        let message = format!("{which} of user `{name}` is active, and nobody used it in the last {after}");
        ("audit-idle-key", Severity::SecurityWarning, message, delete.unwrap_or_else(|| INSTEAD.to_owned()))
    } else if key.created.is_some_and(|made| older(made, ROTATED_AFTER)) {
        let message = format!("{which} of user `{name}` is older than {}", in_days(ROTATED_AFTER));
        ("audit-old-key", Severity::SecurityWarning, message, INSTEAD.to_owned())
    } else {
        let message = format!("user `{name}` signs with a long-lived key");
        ("audit-static-key", Severity::Warning, message, INSTEAD.to_owned())
    };
    let place = key.id.clone().unwrap_or_default();
    Finding::new(code, severity, &user.arn, message).with_fix(fix).with_grounds(place, evidence(ground, key))
}

fn evidence(ground: Ground<'_>, key: &AccessKey) -> Vec<String> {
    let now = ground.limits.now;
    let made = key.created.map(|at| format!("made {}", since(at, now)));
    let used = match &key.last_use {
        Seen::Here(Some(KeyUse { at, service })) => {
            format!("last used {} for {service}, allowed or not", since(*at, now))
        }
        Seen::Here(None) => "no use of it is known".to_owned(),
        Seen::Absent => "no record of its use is kept here".to_owned(),
        Seen::Hidden(_) => "its last use may not be read".to_owned(),
    };
    made.into_iter().chain([used]).collect()
}

/// Whoever asks with keys that never end is told so.
fn caller(ground: Ground<'_>) -> Option<Finding> {
    let arn = ground.around.identity.arn.as_deref()?;
    let resource = arn.splitn(6, ':').nth(5).unwrap_or_default();
    let (severity, message) = match resource.strip_prefix("user/") {
        Some(name) => (Severity::Warning, format!("this audit itself signs with the long-lived key of user `{name}`")),
        // Elsewhere the owner is who holds the folder or runs the server.
        None if resource == "root" && ground.around.endpoint == Endpoint::Aws => {
            let message = "this audit itself signs with a key of the account's root, which no policy stops";
            (Severity::SecurityWarning, message.to_owned())
        }
        None => return None,
    };
    let fix = "sign in for a role instead: `aws sso login --profile NAME`, or `--as ROLE_ARN`";
    Some(Finding::new("audit-caller-key", severity, arn, message).with_fix(fix).with_grounds("", Vec::new()))
}
