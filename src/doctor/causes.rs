//! Causes of a refusal that can be seen: which layer, which statement, and what led there.

use super::alone::no_allow_code;
use super::diagnosis::Case;
use super::fix::deny::denial;
use super::fix::layout_edit::{has, is_about, is_of, with_documents};
use super::fix::{allows, replaced};
use super::seen::{Around, Elsewhere, Held, RoleKind, SeenRole, Standing};
use super::words::{agreement, instance_role, one, place_words, statement_words};
use crate::layout::Grant;
use crate::model::Existence;
use crate::policy::{Because, Compared, Decision, Effect, Layer, Missed, Outcome, Verdict, operation};
use crate::report::{Finding, RemedyRecord, Severity};

/// What is wrong with the place itself: role or bucket not there, or elsewhere.
pub(super) fn places(case: &Case) -> Vec<Finding> {
    let mut found = Vec::new();
    if let (SeenRole::Absent(near), Some(role)) = (&case.around.role, case.role_name()) {
        let meant = near.as_ref().map(|near| format!("; there is a role `{near}`")).unwrap_or_default();
        let message = format!("there is no role `{role}` in this account{meant}");
        let finding = Finding::new("doctor-no-role", Severity::Error, case.principal_arn(), message);
        found.push(
            finding.with_fix("check the name and the account: nobody can have credentials of a role that is gone"),
        );
    }
    found.extend(place_findings(&case.around, super::words::bucket_of(case.request.resource())));
    found
}

/// What is wrong with a bucket: not there, elsewhere, or somebody else's.
pub fn place_findings(around: &Around, bucket: &str) -> Vec<Finding> {
    let mut found = Vec::new();
    let seen = &around.bucket;
    let url = format!("s3://{bucket}");
    match seen.existence {
        Some(Existence::Absent) => {
            let meant =
                seen.near.as_ref().map(|near| format!("; this account has a bucket `{near}`")).unwrap_or_default();
            let finding = Finding::new(
                "doctor-no-bucket",
                Severity::Error,
                &url,
                format!("there is no bucket `{bucket}`{meant}"),
            );
            found.push(finding.with_fix(
                "check the name letter by letter, or make the bucket: `bucketwright plan` shows what is missing",
            ));
        }
        Some(Existence::Forbidden) => {
            let message = format!(
                "bucket `{bucket}` exists, and these credentials may not look at it: it may belong to another account, where its owner must \
                 allow it as well"
            );
            let finding = Finding::new("doctor-foreign-bucket", Severity::Warning, &url, message);
            found.push(finding.with_fix(
                "ask the bucket's owner for its policy, or run this with credentials of the owner's account",
            ));
        }
        _ => {}
    }
    if let (Some(region), Some(signed)) = (&seen.region, &seen.signed_for)
        && region != signed
    {
        let message = format!("bucket `{bucket}` is in {region}, and requests are signed for {signed} here");
        let finding = Finding::new("doctor-wrong-region", Severity::Warning, &url, message);
        found.push(finding.with_fix(format!("set the client's Region to {region} if it is the same there")));
    }
    found
}

/// The cause of a refusal that the policies which were seen make, and what led to it.
pub(super) fn refused(case: &Case, decision: &Decision, remedies: &[RemedyRecord]) -> Vec<Finding> {
    let mut found = match decision.verdict {
        Verdict::ExplicitDeny => denied(case, decision),
        _ => lacking(case, decision),
    };
    found.extend(api_names(case));
    if let Some(first) = found.first_mut().filter(|first| first.fix.is_none()) {
        first.fix = Some(summary(remedies, decision));
    }
    found
}

/// The first line of what to do.
fn summary(remedies: &[RemedyRecord], decision: &Decision) -> String {
    match remedies {
        [] => format!("what {} says is not readable here: ask those who can", one(decision.layer)),
        [only] => steps(only),
        [first, rest @ ..] => format!("{}; then {} more, below", steps(first), rest.len()),
    }
}

fn steps(remedy: &RemedyRecord) -> String {
    let plain = |line: &str| line.split("   #").next().unwrap_or(line).to_owned();
    let change = match &remedy.change[..] {
        [head, line] if head.ends_with(':') => format!("{head} {}", plain(line)),
        [head, ..] if head.ends_with(':') => format!("{}, as below", head.trim_end_matches(':')),
        [line, ..] => line.clone(),
        [] => remedy.target.clone(),
    };
    let run = remedy.run.as_ref().map(|run| format!("; then `{run}`")).unwrap_or_default();
    match remedy.kind {
        "ask" => format!("only if its owner agrees: {change}"),
        "apply" => format!("`{}` {change}", remedy.run.as_deref().unwrap_or("apply")),
        _ => format!("{change}{run}"),
    }
}

/// A finding about the request.
fn about(case: &Case, code: &'static str, message: String) -> Finding {
    Finding::new(code, Severity::Error, place_words(case.request.resource()), message)
}

fn denied(case: &Case, decision: &Decision) -> Vec<Finding> {
    let all = decision
        .because
        .iter()
        .filter(|one| one.effect == Some(Effect::Deny) && matches!(one.outcome, Outcome::Applied { .. }));
    let count = all.count();
    let Some(because) = denial(decision) else { return Vec::new() };
    let held = case.layers.find(because.layer, &because.policy);
    let conditions = match &because.outcome {
        Outcome::Applied { conditions, .. } if !conditions.is_empty() => {
            format!(", as {}", conditions.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and "))
        }
        _ => String::new(),
    };
    let more = if count > 1 { format!("; {} more statements deny it, too", count - 1) } else { String::new() };
    let message = format!(
        "{} of {} ({}) denies {} to {}{conditions}, and no Allow overrides a Deny{}{more}{}",
        statement_words(because),
        held.map_or_else(|| because.policy.clone(), Held::name),
        because.layer,
        case.request.action(),
        case.request.caller,
        held.map(|held| belongs(case, held, because)).unwrap_or_default(),
        untold(because),
    );
    vec![about(case, "doctor-explicit-deny", message)]
}

/// A Deny that rests on what nobody told of the request.
fn untold(because: &Because) -> String {
    let Outcome::Applied { conditions, .. } = &because.outcome else { return String::new() };
    let is_untold =
        |compared: &&Compared| compared.found.is_none() && compared.key.to_ascii_lowercase().starts_with("aws:");
    let key = conditions.iter().find(is_untold).map(|compared| compared.key.as_str());
    key.map_or_else(String::new, |key| {
        format!("; whether the request carries `{key}` is not known here: `--context {key}=VALUE` tells")
    })
}

/// Whose a Deny is.
fn belongs(case: &Case, held: &Held, because: &Because) -> String {
    let sid = because.sid.as_deref().unwrap_or_default();
    let since = held.since.map(|since| format!(", in force since {since}")).unwrap_or_default();
    let owner = match (&held.owner, case.layout_id()) {
        (Some(owner), Some(id)) if *owner == id && sid.starts_with("LimitTo") => {
            format!("; the layout `{id}` says so: it caps the folder's access")
        }
        (Some(owner), _) => format!("; the policy belongs to the layout `{owner}`"),
        (None, _) if sid.starts_with(crate::document::OWN_SID_START) => "; this tool wrote it for a layout".to_owned(),
        (None, _) => "; no layout owns it: whoever wrote it must decide".to_owned(),
    };
    format!("{owner}{since}")
}

fn lacking(case: &Case, decision: &Decision) -> Vec<Finding> {
    match decision.layer {
        Layer::Identity => not_given(case, decision),
        Layer::Resource => vec![about(
            case,
            "doctor-bucket-policy",
            format!(
                "the bucket belongs to another account, and its policy does not allow {} to {}: across accounts both sides must",
                case.request.action(),
                case.request.caller
            ),
        )],
        layer => {
            let name = case
                .layers
                .standing(layer)
                .held()
                .first()
                .map(|held| format!(" `{}`", held.name()))
                .unwrap_or_default();
            let message = format!(
                "{}{name} does not allow {}: it limits {} whatever other policies allow",
                one(layer),
                case.request.action(),
                case.request.caller
            );
            vec![about(case, no_allow_code(layer), message)]
        }
    }
}

/// Why the caller's own policies do not give it.
fn not_given(case: &Case, decision: &Decision) -> Vec<Finding> {
    if let Some(why) = case.unseen(Layer::Identity) {
        let all = if matches!(case.layers.identity, Standing::Hidden(_)) { "the" } else { "not all" };
        let message = format!(
            "no policy that could be seen allows it; {all} policies of {} were not seen: {why}",
            case.request.caller
        );
        return vec![about(case, "doctor-no-allow", message)];
    }
    let mut found = Vec::new();
    let elsewhere = other_role(case);
    // Who has a policy of its own for the bucket is rarely the wrong one; what that policy lacks is told first.
    let (before, behind) = match elsewhere {
        Some(other) if other.code != "doctor-node-role" && has_own(case) => (None, Some(other)),
        other => (other, None),
    };
    found.extend(before);
    found.extend(drifted(case));
    found.extend(older_version(case));
    found.extend(listing_trap(case, decision));
    if found.is_empty() {
        let code = if case.is_about_key() { "doctor-kms-denied" } else { "doctor-no-allow" };
        found.push(about(case, code, nearest(case, decision)));
    }
    found.extend(behind);
    // One of them is the cause, the others are what else was seen on the way.
    for other in found.iter_mut().skip(1) {
        other.severity = Severity::Warning;
    }
    found
}

/// True if the caller has the policy of a grant on the bucket that is asked for.
fn has_own(case: &Case) -> bool {
    let Some((layout, _)) = &case.around.layout else { return false };
    layout.grants.iter().any(|grant| is_about(grant, case) && has(&case.layers, grant))
}

/// The policy that would allow it, and who has it instead.
fn other_role(case: &Case) -> Option<Finding> {
    let role = case.role_name()?;
    let helps = |elsewhere: &&Elsewhere| {
        let mut after = case.layers.clone();
        if let Standing::Held(held) = &mut after.identity {
            held.push(elsewhere.held.clone());
        }
        allows(case, &after)
    };
    let mut fitting: Vec<&Elsewhere> = case.around.elsewhere.iter().filter(helps).collect();
    fitting
        .sort_by_key(|elsewhere| (!case.owns(&elsewhere.held), elsewhere.holders.as_ref().is_none_or(Vec::is_empty)));
    let elsewhere = fitting.first()?;
    let name = elsewhere.held.name();
    let since = elsewhere.held.since.map(|since| format!(" (in force since {since})")).unwrap_or_default();
    let holders = elsewhere.holders.as_deref().unwrap_or_default();
    let session = case.symptom.as_ref().and_then(|symptom| symptom.principal.as_deref());
    let is_node = session.and_then(instance_role).is_some()
        || matches!(case.around.role, SeenRole::Here { kind: RoleKind::Instance, .. });
    let (code, message) = match holders {
        [] => (
            "doctor-not-attached",
            format!(
                "policy {name} would allow it{since}, and role `{role}`, which asks, does not have it; no role has it"
            ),
        ),
        holders => {
            let named: Vec<String> = holders.iter().map(|holder| holder_words(case, holder)).collect();
            let pods =
                |holder: &super::seen::Holder| matches!(holder.kind, Some(RoleKind::Irsa | RoleKind::PodIdentity));
            let fell_back = is_node && holders.iter().any(pods);
            let aside = if fell_back {
                "; so the pod runs with the node's credentials instead of its service account's: its annotation or association is missing, or the pod is older than it"
            } else {
                ""
            };
            let code = if fell_back { "doctor-node-role" } else { "doctor-wrong-role" };
            (
                code,
                format!(
                    "policy {name} would allow it, but it is attached to {}, and `{role}` asks{aside}",
                    named.join(" and ")
                ),
            )
        }
    };
    Some(about(case, code, message))
}

fn holder_words(case: &Case, holder: &super::seen::Holder) -> String {
    let control_plane = case.around.clusters.iter().any(|cluster| {
        let role = cluster.control_plane_role.as_ref().and_then(|arn| arn.resource().rsplit('/').next());
        role == Some(holder.role.as_str())
    });
    let kind = if control_plane { Some(RoleKind::ControlPlane) } else { holder.kind };
    match kind.filter(|kind| *kind != RoleKind::Other) {
        Some(kind) => format!("role `{}` of {}", holder.role, kind.words()),
        None => format!("role `{}`", holder.role),
    }
}

/// The caller has the layout's policy, which does not say any more what the layout makes.
fn drifted(case: &Case) -> Option<Finding> {
    let (layout, file) = case.around.layout.as_ref()?;
    let gives = |grant: &&Grant| {
        let as_it_says = with_documents(case, &case.layers, layout, grant);
        has(&case.layers, grant) && as_it_says.is_some_and(|after| allows(case, &after))
    };
    let grant = layout.grants.iter().find(gives)?;
    let held = case.layers.identity.held().iter().find(|held| is_of(grant, &held.policy.name))?;
    let since = held.since.map(|since| format!(", in force since {since},")).unwrap_or_default();
    let message = format!(
        "policy {}{since} does not say what {file} makes of grant `{}`: the layout gives {}, the policy does not",
        held.name(),
        grant.policy,
        case.request.action()
    );
    Some(about(case, "doctor-policy-differs", message))
}

/// An older version of a policy that allowed it.
fn older_version(case: &Case) -> Option<Finding> {
    for layer in [Layer::Identity, Layer::Boundary] {
        for held in case.layers.standing(layer).held() {
            let allowed = held.others.iter().find(|other| {
                let older = Held { policy: other.policy.clone(), ..held.clone() };
                allows(case, &replaced(&case.layers, layer, &held.policy.name, Some(older)))
            });
            let Some(older) = allowed else { continue };
            let since = held.since.map(|since| format!(" (in force since {since})")).unwrap_or_default();
            let message =
                format!("{} of {} allowed it, and {}{since} does not", older.id, held.policy.name, held.name());
            let finding = about(case, "doctor-policy-changed", message);
            if held.owner.is_some() {
                // What a layout owns is changed there: its next run would undo a way back.
                return Some(finding);
            }
            let fix = format!(
                "look at what changed: `bucketwright policy diff {0}@{1} {0}`; the way back is `bucketwright policy rollback {0} --to {1}`",
                held.policy.name, older.id
            );
            return Some(finding.with_fix(fix));
        }
    }
    None
}

/// Listings under a folder policy: HeadBucket, an empty prefix, a folder's name without its slash.
fn listing_trap(case: &Case, decision: &Decision) -> Option<Finding> {
    let (because, compared) = decision.because.iter().find_map(|one| match &one.outcome {
        Outcome::Missed(Missed::Condition(compared))
            if one.effect == Some(Effect::Allow) && compared.key.eq_ignore_ascii_case("s3:prefix") =>
        {
            Some((one, compared))
        }
        _ => None,
    })?;
    let allowed = listed(compared);
    let statement = format!("{} of {}", statement_words(because), because.policy);
    let sent = compared.found.as_ref().and_then(|values| values.first());
    let is_told = case.operation.is_some() || case.symptom.is_none();
    let (code, message, fix) = match sent.map(String::as_str) {
        None if case.operation.as_deref() == Some("HeadBucket") => (
            "doctor-head-bucket",
            format!(
                "HeadBucket asks for s3:ListBucket without a prefix, and {statement} allows only the prefixes {allowed}: no prefix condition can \
                 ever let HeadBucket pass, whatever else is allowed"
            ),
            "let the client skip that check (pyarrow: `create_dir=False`; rclone: `--s3-no-check-bucket`; s3fs needs s3:GetBucketLocation), or \
             allow listing the whole bucket: `list = \"bucket\"` in the grant",
        ),
        None if !is_told || case.operation.as_deref().is_some_and(|call| call.starts_with("ListObject")) => (
            "doctor-listing-prefix",
            format!(
                "the message does not tell which prefix was listed; {statement} allows only {allowed}, and none that is left out or empty"
            ),
            "list the folder with its slash; a client that asks for the whole bucket needs `list = \"bucket\"` in the grant",
        ),
        None => (
            "doctor-listing-prefix",
            format!("no prefix is sent, and {statement} allows only the prefixes {allowed}"),
            "list a folder, with its slash; for the whole bucket the grant needs `list = \"bucket\"`",
        ),
        Some("") => (
            "doctor-listing-prefix",
            format!(
                "the prefix is empty, as in `aws s3 ls s3://BUCKET`, and {statement} allows only the prefixes {allowed}"
            ),
            "list a folder, with its slash; for the names at the top level the grant needs `list = \"root\"`",
        ),
        Some(prefix) if compared.wanted.iter().any(|wanted| wanted.starts_with(&format!("{prefix}/"))) => (
            "doctor-listing-prefix",
            format!("the prefix `{prefix}` has no slash at its end, and {statement} allows only {allowed}"),
            "list the folder with its slash",
        ),
        Some(_) => return None,
    };
    Some(about(case, code, message).with_fix(fix))
}

fn listed(compared: &Compared) -> String {
    let shown: Vec<String> = compared.wanted.iter().take(4).map(|value| format!("`{value}`")).collect();
    let more = if compared.wanted.len() > 4 { ", ..." } else { "" };
    format!("{}{more}", shown.join(", "))
}

/// The statement that comes closest.
fn nearest(case: &Case, decision: &Decision) -> String {
    let who = &case.request.caller;
    let action = case.request.action();
    let allows = |one: &&Because| one.effect == Some(Effect::Allow) && matches!(one.layer, Layer::Identity);
    let near = |wanted: fn(&Missed) -> bool| {
        let mut all = decision.because.iter().filter(allows);
        all.find(|one| matches!(&one.outcome, Outcome::Missed(missed) if wanted(missed)))
    };
    let place = |one: &&Because| match &one.outcome {
        Outcome::Missed(Missed::Resource { listed, .. }) => Some(agreement(listed, case.request.resource())),
        _ => None,
    };
    // The first of those that are as near, not the last.
    let places = decision.because.iter().filter(allows).filter(|one| place(one).is_some());
    let close = near(|missed| matches!(missed, Missed::Condition(_))).or_else(|| places.rev().max_by_key(&place));
    match (close, case.layers.identity.held()) {
        (Some(close), _) => format!("no policy of {who} allows {action} there; {close}"),
        (None, []) => format!("{who} has no policy at all, attached or inline"),
        (None, held) => {
            let names: Vec<String> = held.iter().take(5).map(Held::name).collect();
            format!("no policy of {who} allows {action}: {} say nothing of it", names.join(", "))
        }
    }
}

/// API names where actions should stand: such an entry matches nothing.
fn api_names(case: &Case) -> Vec<Finding> {
    let mut found = Vec::new();
    for held in case.layers.identity.held() {
        for statement in held.policy.document.statements() {
            let entries = statement.action.iter().flat_map(|actions| &actions.items);
            for entry in entries {
                let Some(hint) = operation::hint(&entry.text) else { continue };
                let message = format!("{} lists `{}`: {hint}", held.name(), entry.text);
                let finding = Finding::new("doctor-api-name", Severity::Warning, held.policy.name.clone(), message);
                found.push(Finding { path: Some(statement.path.to_string()), ..finding });
            }
        }
    }
    found
}
