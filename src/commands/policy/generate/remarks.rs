//! What a person should know about a generated document: on stderr, or as findings where scripts read.

use crate::commands::Context;
use crate::layout::ListScope;
use crate::policy::entitlement::Entitlement;
use crate::policy::generate::{Form, Generated, clients};
use crate::report::{Event, Finding, Severity};

/// How many managed policies a role takes unless the account's quota is raised.
///
/// Source: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html>
const POLICIES_OF_A_ROLE: usize = 10;

/// Says one thing: a finding in JSON, a warning or hint for people, whose stdout holds the document alone.
pub(super) fn remark(context: &Context, severity: Severity, code: &'static str, target: &str, message: &str) {
    if context.ui.is_json() {
        context.ui.event(&Event::Finding(Finding::new(code, severity, target, message)));
    } else if severity == Severity::Suggestion {
        context.ui.hint(&format!("{target}: {message}"));
    } else {
        context.ui.warning(&format!("{target}: {message}"));
    }
}

/// What holds for a policy as a whole.
pub(super) fn about(entitlement: &Entitlement, form: Form, parts: &[Generated], context: &Context) {
    let name = &entitlement.name;
    let hint = |code, message: &str| remark(context, Severity::Suggestion, code, name, message);
    if parts.len() > POLICIES_OF_A_ROLE {
        let message = format!(
            "comes in {} parts, and a role takes {POLICIES_OF_A_ROLE} policies unless the account's quota is raised: grant \
             on folders further up",
            parts.len()
        );
        remark(context, Severity::Warning, "policy-split", name, &message);
    } else if parts.len() > 1 {
        let message = format!("too large for one policy, so it comes in {} parts: attach all of them", parts.len());
        hint("policy-split", &message);
    }
    match form {
        Form::Seed => {
            hint(
                "seed-compatible",
                "without Sids, rights for multipart uploads and GetBucketLocation; what folders forbid is allowed",
            );
            if entitlement.list != ListScope::Scoped {
                hint("list-ignored", "`list` is ignored: such policies list folders by their own prefix alone");
            }
        }
        Form::Least if entitlement.buckets().iter().any(|bucket| entitlement.kms_key(bucket).is_some()) => {
            hint("key-policy-needed", "the KMS key's own policy must let IAM policies of this account decide");
        }
        Form::Least => {}
    }
    about_clients(entitlement, form, context);
}

fn about_clients(entitlement: &Entitlement, form: Form, context: &Context) {
    let scope = if form == Form::Seed { ListScope::Scoped } else { entitlement.list };
    let whole = |bucket: &&crate::model::BucketName| match form {
        Form::Least => entitlement.lists_all_of(bucket),
        Form::Seed => entitlement.places.iter().any(|place| place.bucket == **bucket && place.prefix.is_root()),
    };
    if entitlement.buckets().iter().all(whole) {
        return;
    }
    let word = if scope == ListScope::Root { "root" } else { "scoped" };
    let mut lines =
        vec![format!("with `list = \"{word}\"` these fail; with `bucket` they work, and every key's name is shown")];
    for one in clients::broken_under(scope) {
        lines.push(format!("{} {}; {}", one.operation, one.how, one.cure));
    }
    remark(context, Severity::Suggestion, "clients-break", &entitlement.name, &lines.join("\n"));
}
