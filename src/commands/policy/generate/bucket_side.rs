//! `policy generate --type bucket`: what a bucket's policy says, and the half that readers of another account need.

use super::{GenerateArgs, Sources, entitlements, layout_of, remarks};
use crate::commands::Context;
use crate::document::MAX_BUCKET_POLICY_BYTES;
use crate::error::CommandError;
use crate::model::AccountId;
use crate::policy::entitlement::Entitlement;
use crate::policy::generate::{Generated, bucket_policy};
use crate::report::Severity;
use serde_json::Value;

/// One document for each bucket: with `--principal` access for those principals, and from a layout the tool's own
/// statements as well.
pub(super) fn documents(
    args: &GenerateArgs,
    sources: &Sources,
    context: &Context,
) -> Result<Vec<Generated>, CommandError> {
    let mut documents = sources.layout.as_ref().map(bucket_policy::of_layout).unwrap_or_default();
    if args.typed.principal.is_empty() {
        let layout =
            layout_of(sources).map_err(|error| error.hint("or say `--principal`, `--bucket` and `--access`"))?;
        documents.retain(|one| wanted(args, one));
        if layout.buckets.is_empty() || documents.is_empty() {
            return Err(super::invalid(
                "no bucket policy is asked for: TLS only is waived, and no log is delivered".to_owned(),
            ));
        }
        return sized(documents);
    }
    check_principals(args, sources, context)?;
    let mut named = Vec::new();
    for entitlement in entitlements(args, sources)? {
        give(&entitlement, args, sources, &mut documents)?;
        named.extend(entitlement.buckets().into_iter().cloned());
        let key = entitlement.buckets().into_iter().find_map(|bucket| entitlement.kms_key(bucket));
        if let Some(key) = key {
            let message = format!("the policy of {key} must allow these principals as well, and so must their own");
            remarks::remark(context, Severity::Warning, "key-policy-needed", &entitlement.name, &message);
        }
    }
    documents.retain(|one| named.iter().any(|bucket| bucket.as_str() == one.name));
    let half = "both accounts must allow: the principals need the same access in theirs, from `--type identity` and the \
                same options";
    remarks::remark(context, Severity::Suggestion, "cross-account-pair", "the other account", half);
    sized(documents)
}

fn wanted(args: &GenerateArgs, one: &Generated) -> bool {
    args.typed.bucket.is_empty() || args.typed.bucket.iter().any(|bucket| bucket.as_str() == one.name)
}

/// Adds the principals' statements to each bucket's document.
fn give(
    entitlement: &Entitlement,
    args: &GenerateArgs,
    sources: &Sources,
    documents: &mut Vec<Generated>,
) -> Result<(), CommandError> {
    for bucket in entitlement.buckets() {
        let principals = &args.typed.principal;
        let statements = bucket_policy::for_principals(entitlement, bucket, principals, &sources.frame)?;
        match documents.iter_mut().find(|one| one.name == bucket.as_str()) {
            Some(document) => {
                if let Some(Value::Array(own)) = document.document.get_mut("Statement") {
                    own.extend(statements);
                }
            }
            None => documents.push(bucket_policy::of_bucket(bucket, &statements)),
        }
    }
    Ok(())
}

/// S3 refuses principals that are not there, and whoever is named must be somebody.
fn check_principals(args: &GenerateArgs, sources: &Sources, context: &Context) -> Result<(), CommandError> {
    for principal in &args.typed.principal {
        let named = ["role/", "user/", "root"].iter().any(|start| principal.resource().starts_with(start));
        let known = principal.service() == "iam" && principal.account().parse::<AccountId>().is_ok();
        if !named || !known || principal.as_str().contains(['*', '?']) {
            let failed = CommandError::usage(format!("`{principal}` is not the ARN of a role, user or account"));
            return Err(failed.hint("it looks like `arn:aws:iam::<account>:role/<name>`; wildcards match nobody"));
        }
        if sources.account.as_ref().is_some_and(|account| account.as_str() == principal.account()) {
            let message = "it is of the bucket's own account, where an identity policy alone is enough";
            remarks::remark(context, Severity::Warning, "same-account", principal.as_str(), message);
        }
    }
    Ok(())
}

fn sized(documents: Vec<Generated>) -> Result<Vec<Generated>, CommandError> {
    let bytes = |one: &Generated| one.document.to_string().len();
    match documents.iter().find(|one| bytes(one) > MAX_BUCKET_POLICY_BYTES) {
        Some(one) => {
            let (name, bytes) = (&one.name, bytes(one));
            let message =
                format!("the policy of bucket `{name}` would have {bytes} bytes; S3 takes {MAX_BUCKET_POLICY_BYTES}");
            Err(super::invalid(message).hint("grant on folders further up, or give some principals an access point"))
        }
        None => Ok(documents),
    }
}
