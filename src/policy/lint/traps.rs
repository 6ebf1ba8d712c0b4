//! Traps of S3: locking oneself out, denials of headers that nobody sends, writes that break half way.

use super::codes::{
    BW_ENCRYPTION_HEADER_DENY, BW_KMS_INCOMPLETE, BW_LOCATION_INCOMPLETE, BW_MULTIPART_INCOMPLETE, BW_SELF_LOCKOUT,
};
use super::s3_arn::Entry;
use super::scope::{KeyAt, Scope, names};
use super::{PolicyType, Report};
use crate::policy::catalog::{ActionSet, S3};
use crate::policy::document::Statement;
use crate::policy::operators::Test;
use crate::policy::principal::{Named, Principals};

/// More statements are not compared with each other: no policy within its quota has them.
const MOST_STATEMENTS: usize = 200;
/// More resources of one statement are not looked at for others that begin as they do.
const MOST_STARTS: usize = 100;

pub(super) fn check(scope: &Scope<'_>, report: &mut Report) {
    if scope.denies() {
        lockout(scope, report);
        encryption_header(scope, report);
    }
}

/// A denial in a bucket policy that nobody who maintains the policy escapes, wherever they are.
fn lockout(scope: &Scope<'_>, report: &mut Report) {
    let statement = scope.statement;
    let maintains = ["s3:PutBucketPolicy", "s3:DeleteBucketPolicy"];
    let actions = scope.s3_actions();
    let put = S3.action(maintains[0]);
    let on_bucket = match (&statement.resource, &statement.not_resource) {
        (Some(resources), _) => {
            resources.items.iter().any(|arn| put.is_some_and(|action| Entry::new(arn).suits(action)))
        }
        (None, excepted) => excepted.is_some(),
    };
    let everybody = scope.is_about_everybody() || statement.not_principal.as_ref().is_some_and(names_no_account);
    if scope.subject.kind != PolicyType::Bucket
        || !everybody
        || !on_bucket
        || !maintains.iter().any(|name| actions.contains(name))
        || scope.keys().iter().any(spares_maintainers)
    {
        return;
    }
    let message = "this also stops whoever would change this policy; only the account's root user could remove it";
    let fix = "add `\"ArnNotLike\": {\"aws:PrincipalArn\": \"arn:aws:iam::ACCOUNT:role/ADMIN\"}`, \
               or deny data actions only";
    report.add(BW_SELF_LOCKOUT, &statement.path, message, fix);
}

fn names_no_account(principals: &Principals) -> bool {
    !principals.entries().any(|entry| matches!(entry.named, Named::Account(_) | Named::Everybody))
}

/// True if the condition is about who asks or how, so that those who maintain the policy can stay clear of it. Only
/// where and when they are is not theirs to choose.
fn spares_maintainers(at: &KeyAt<'_>) -> bool {
    const WHERE_AND_WHEN: [&str; 15] = [
        "aws:currenttime",
        "aws:ec2instancesourceprivateipv4",
        "aws:ec2instancesourcevpc",
        "aws:epochtime",
        "aws:referer",
        "aws:requestedregion",
        "aws:resourceaccount",
        "aws:sourceip",
        "aws:sourcevpc",
        "aws:sourcevpcarn",
        "aws:sourcevpce",
        "aws:useragent",
        "aws:vpceaccount",
        "aws:vpcsourceip",
        "s3:resourceaccount",
    ];
    at.block.operator.is_some() && !WHERE_AND_WHEN.contains(&at.key.name.to_ascii_lowercase().as_str())
}

/// Default encryption needs no header, and parts of a multipart upload carry none.
///
/// Source: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/default-encryption-faq.html>
fn encryption_header(scope: &Scope<'_>, report: &mut Report) {
    const HEADERS: [&str; 2] = ["s3:x-amz-server-side-encryption", "s3:x-amz-server-side-encryption-aws-kms-key-id"];
    if !scope.s3_actions().contains("s3:PutObject") {
        return;
    }
    let keys = scope.keys();
    let is_header = |at: &KeyAt<'_>| HEADERS.iter().any(|name| at.key.name.eq_ignore_ascii_case(name));
    let null = |at: &KeyAt<'_>, wanted: &str| {
        at.block.operator.is_some_and(|operator| operator.test == Test::Null)
            && at.key.values.items.iter().any(|value| value.text.eq_ignore_ascii_case(wanted))
    };
    let guarded = keys.iter().any(|at| is_header(at) && null(at, "false"));
    for at in keys.iter().filter(|at| is_header(at) && !guarded) {
        let fires = null(at, "true")
            || at.block.operator.is_some_and(|operator| operator.test != Test::Null && operator.when_missing());
        if fires {
            let message = "this refuses every upload without the header, and clients that rely on the bucket's \
                           default encryption send none";
            let fix = format!(
                "set the bucket's default encryption; to refuse other keys add `\"Null\": {{\"{}\": \"false\"}}`",
                at.key.name
            );
            report.add(BW_ENCRYPTION_HEADER_DENY, &at.path, message, fix);
        }
    }
}

/// Rules that look at all statements together.
pub(super) fn check_together(scopes: &[Scope<'_>], kind: PolicyType, report: &mut Report) {
    if !kind.grants() || kind == PolicyType::Trust || scopes.len() > MOST_STATEMENTS {
        return;
    }
    let writes = |scope: &&Scope<'_>| {
        scope.grants() && scope.s3_actions().contains("s3:PutObject") && !scope.is_about_services()
    };
    for scope in scopes.iter().filter(writes) {
        multipart(scope, scopes, report);
    }
    if kind != PolicyType::Bucket {
        kms(scopes, report);
    }
    if kind == PolicyType::Identity {
        location(scopes, report);
    }
}

/// Clients that ask where a bucket is before they write get no answer under a policy that is only about a folder, because
/// no condition on a prefix lets that question through.
fn location(scopes: &[Scope<'_>], report: &mut Report) {
    let is_limited = |scope: &Scope<'_>| scope.keys().iter().any(|at| at.key.name.eq_ignore_ascii_case("s3:prefix"));
    let lists =
        |scope: &&Scope<'_>| scope.grants() && scope.s3_actions().contains("s3:ListBucket") && is_limited(scope);
    for scope in scopes.iter().filter(lists) {
        let answered = scopes.iter().any(|other| {
            other.grants()
                && other.s3_actions().contains("s3:GetBucketLocation")
                && !is_limited(other)
                && share_resources(scope, other)
        });
        if !answered {
            let message = "clients that ask for the bucket's Region first, as flytekit does before it uploads a \
                           directory, are refused";
            let fix = "allow `s3:GetBucketLocation` on the bucket, in a statement without that condition";
            report.add(BW_LOCATION_INCOMPLETE, &scope.statement.path, message, fix);
        }
    }
}

/// Texts of the resources on which a statement allows object actions.
fn resources(statement: &Statement) -> Vec<&str> {
    statement.resource.iter().flat_map(|list| &list.items).map(|arn| arn.text.as_str()).collect()
}

/// True if the other statement is about objects of the one, as far as their spelling tells: the same ones, or all that
/// begin as they do.
fn share_resources(one: &Scope<'_>, other: &Scope<'_>) -> bool {
    let (ours, theirs) = (resources(one.statement), resources(other.statement));
    // Only a `*` at the end is looked at, and only in so many, so that hostile lists are compared in time.
    let start = |their: &str| {
        let start = their.strip_suffix('*').filter(|start| !start.contains(['*', '?', '$']));
        start.filter(|start| start.matches(':').count() >= 5).map(str::to_owned)
    };
    let starts: Vec<String> = theirs.iter().filter_map(|their| start(their)).take(MOST_STARTS).collect();
    let reached = |our: &&str| theirs.contains(our) || starts.iter().any(|start| our.starts_with(start.as_str()));
    ours.is_empty() || theirs.is_empty() || theirs.contains(&"*") || ours.iter().any(reached)
}

fn multipart(scope: &Scope<'_>, scopes: &[Scope<'_>], report: &mut Report) {
    let allowed = scopes
        .iter()
        .filter(|other| other.grants() && share_resources(scope, other))
        .fold(ActionSet::default(), |set, other| set.or(other.s3_actions()));
    let wanted = ["s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"];
    let missing: Vec<&str> = wanted.into_iter().filter(|name| !allowed.contains(name)).collect();
    if !missing.is_empty() {
        let listed = names(missing.iter().copied());
        let message =
            format!("large files go up in parts, and without {listed} an upload cannot be resumed or cleaned up");
        let fix = format!("add {listed} on the same objects");
        report.add(BW_MULTIPART_INCOMPLETE, &scope.statement.path, message, fix);
    }
}

fn allows_kms(scope: &Scope<'_>, name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    let actions = scope.statement.action.iter().flat_map(|list| &list.items);
    scope.grants() && actions.into_iter().any(|action| action.matches("kms", &lower))
}

/// Multipart uploads read their parts back, so that writing takes both.
///
/// Source: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html#mpuAndPermissions>
fn kms(scopes: &[Scope<'_>], report: &mut Report) {
    let first = |name: &str| scopes.iter().find(|scope| allows_kms(scope, name));
    let on_objects = |name: &'static str| {
        scopes.iter().filter(move |scope| scope.grants() && scope.s3_actions().contains(name)).collect::<Vec<_>>()
    };
    let (writes, reads) = (on_objects("s3:PutObject"), on_objects("s3:GetObject"));
    if writes.is_empty() {
        return;
    }
    // With a read on the same objects the key is theirs; without one it may be that of another bucket.
    let both = writes.iter().any(|write| reads.iter().any(|read| share_resources(write, read)));
    let (path, has, lacks) = match (first("GenerateDataKey"), first("Decrypt")) {
        (Some(generate), None) => (&generate.statement.path, "kms:GenerateDataKey", "kms:Decrypt"),
        (None, Some(decrypt)) if both => (&decrypt.statement.path, "kms:Decrypt", "kms:GenerateDataKey"),
        (None, None) => return wants_kms(&writes, report),
        _ => return,
    };
    let message =
        format!("there is `{has}` without `{lacks}`, and uploads in parts to a bucket with that key need both");
    report.add(BW_KMS_INCOMPLETE, path, message, format!("add `{lacks}` on the key's ARN"));
}

/// Uploads that must name KMS, in a policy that has nothing for the key.
fn wants_kms(writes: &[&Scope<'_>], report: &mut Report) {
    for scope in writes {
        for at in scope.keys() {
            let name = at.key.name.to_ascii_lowercase();
            let is_kms = name == "s3:x-amz-server-side-encryption-aws-kms-key-id"
                || (name == "s3:x-amz-server-side-encryption"
                    && at.key.values.items.iter().any(|value| value.text.starts_with("aws:kms")));
            let asks = at.block.operator.is_some_and(|operator| !operator.negated && operator.test != Test::Null);
            if is_kms && asks {
                let message = "uploads must be encrypted with a KMS key here, and nothing allows to use one";
                let fix = "add `kms:GenerateDataKey` and `kms:Decrypt` on the key's ARN, unless the key's policy \
                           grants them directly";
                report.add(BW_KMS_INCOMPLETE, &at.path, message, fix);
            }
        }
    }
}
