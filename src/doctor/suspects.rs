//! Everything that was seen allows the request, and yet it was refused: what else may have refused it.

use super::alone::no_allow_code;
use super::diagnosis::Case;
use super::message::{Denial, SaidBy};
use super::words::{bucket_of, key_of, one, place_words};
use crate::model::Arn;
use crate::policy::{Context, Decision, Layer, Policies, Request, Verdict, evaluate};
use crate::report::{Finding, Severity};

/// What may have refused a request that is allowed by all that was seen.
pub(super) fn find(case: &Case, decision: &Decision) -> Vec<Finding> {
    let mut found: Vec<Finding> = Vec::new();
    found.extend(hidden_layer(case, "all that was seen allows it"));
    found.extend(missing_key(case));
    found.extend(kms(case));
    if case.symptom.is_some() {
        found.extend(beside(case));
        found.extend(public_block(case));
    }
    if !found.iter().any(|finding| finding.severity == Severity::Error) {
        found.insert(0, allowed_now(case, decision));
    }
    found
}

fn about(case: &Case, code: &'static str, severity: Severity, message: String) -> Finding {
    Finding::new(code, severity, place_words(case.request.resource()), message)
}

/// The message names a layer that could not be seen; `rest` says what was seen otherwise.
pub(super) fn hidden_layer(case: &Case, rest: &str) -> Option<Finding> {
    let symptom = case.symptom.as_ref()?;
    let Some(SaidBy::Layer(layer)) = symptom.said_by else { return None };
    if case.is_about_key() && layer == Layer::Resource {
        return Some(key_policy(case, symptom.denial, rest));
    }
    let why = case.unseen(layer)?;
    let does = if symptom.denial == Some(Denial::Explicit) { "denies it" } else { "does not allow it" };
    let code = if symptom.denial == Some(Denial::Explicit) { "doctor-explicit-deny" } else { no_allow_code(layer) };
    let named = symptom.policy.as_ref().map(|arn| format!(" (`{arn}`)")).unwrap_or_default();
    let message =
        format!("{}{named} {does}, as the message says; it was not seen here ({why}), and {rest}", one(layer));
    let fix = match layer {
        Layer::Scp | Layer::Rcp => {
            "give the message to the organization's administrators: only they can see and change that policy"
        }
        Layer::Endpoint => "look at the policy of the VPC endpoint for S3 that the caller's subnets use",
        Layer::Session => {
            "look at the policy that was passed when the session was made: AssumeRole's `Policy` and `PolicyArns`"
        }
        _ => "run this with credentials that may read it",
    };
    Some(about(case, code, Severity::Error, message).with_fix(fix))
}

/// The resource-based policy that a message of KMS names is the key's, which is not read here.
fn key_policy(case: &Case, denial: Option<Denial>, rest: &str) -> Finding {
    let does = if denial == Some(Denial::Explicit) { "denies it" } else { "does not allow it" };
    let message = format!("the key's own policy {does}, as the message says; it is not read here, and {rest}");
    let fix = "let the key's policy name the caller, or delegate to the account (`arn:aws:iam::ACCOUNT:root`); a key of another account \
               must name this one";
    about(case, "doctor-kms-denied", Severity::Error, message).with_fix(fix)
}

/// A 403 for an object that is not there.
fn missing_key(case: &Case) -> Option<Finding> {
    let reads =
        ["s3:GetObject", "s3:GetObjectVersion"].iter().any(|action| case.request.action().eq_ignore_ascii_case(action));
    let key = key_of(case.request.resource()).filter(|_| reads)?;
    let lists = may(case, "s3:ListBucket", &bucket_arn(case), |context| context);
    match (case.around.bucket.has_object, lists) {
        (Some(false), false) => {
            let message = format!(
                "there is no object `{key}`, and the caller may not list the bucket: then S3 answers 403, not 404"
            );
            let fix = "check the key letter by letter; with s3:ListBucket on the bucket the client would be told the truth (404)";
            Some(about(case, "doctor-missing-key", Severity::Error, message).with_fix(fix))
        }
        (Some(false), true) => {
            let message = format!("there is no object `{key}`");
            Some(about(case, "doctor-no-key", Severity::Error, message).with_fix("check the key letter by letter"))
        }
        (None, false) if case.symptom.is_some() => {
            let message = format!(
                "whether there is an object `{key}` was not seen; if not, S3 answers 403 to who may not list the bucket"
            );
            Some(about(case, "doctor-missing-key", Severity::Warning, message).with_fix("check that the object exists"))
        }
        _ => None,
    }
}

/// The rights on the bucket's KMS key.
fn kms(case: &Case) -> Option<Finding> {
    let key = case.around.bucket.kms_key.as_ref()?;
    let action = case.request.action().to_ascii_lowercase();
    let parts =
        case.operation.as_deref().is_some_and(|call| call.contains("Multipart") || call.starts_with("UploadPart"));
    let needed: &[&str] = match action.as_str() {
        "s3:getobject" | "s3:getobjectversion" | "s3:listmultipartuploadparts" => &["kms:Decrypt"],
        "s3:putobject" if parts => &["kms:GenerateDataKey", "kms:Decrypt"],
        "s3:putobject" => &["kms:GenerateDataKey"],
        _ => return None,
    };
    let lacking: Vec<&str> = needed.iter().copied().filter(|action| !may_use(case, key, action)).collect();
    if lacking.is_empty() || case.unseen(Layer::Identity).is_some() {
        return None;
    }
    let message = format!(
        "the bucket is encrypted with `{key}`, and no policy of the caller allows {} on it; unless the key's own policy, which was not seen, \
         names the caller, KMS refuses",
        lacking.join(" and ")
    );
    let fix = format!(
        "allow {} on `{key}` in the caller's policy, and let the key's policy delegate to the account",
        needed.join(" and ")
    );
    Some(about(case, "doctor-kms-denied", Severity::Error, message).with_fix(fix))
}

fn may_use(case: &Case, key: &Arn, action: &str) -> bool {
    let via = format!("s3.{}.amazonaws.com", key.region());
    // The key's own policy is no bucket's.
    let policies = Policies { resource: None, ..case.layers.policies() };
    asked(case, action, key.as_str(), |context| context.with("kms:ViaService", via))
        .is_some_and(|request| evaluate(&policies, &request).verdict == Verdict::Allow)
}

/// Rights that clients need beside the one that the message is about.
fn beside(case: &Case) -> Vec<Finding> {
    let resource = case.request.resource();
    let bucket = bucket_arn(case);
    let action = case.request.action().to_ascii_lowercase();
    let named = case.symptom.as_ref().is_some_and(|symptom| symptom.action.is_some());
    let multipart = ["if it went up in parts, aborting and listing them", "allow it beside s3:PutObject"];
    let checks: &[(&str, &str, [&str; 2])] = match action.as_str() {
        "s3:putobject" if !named => &[
            (
                "s3:PutObjectAcl",
                resource,
                ["if the upload sent an ACL (`--acl`)", "drop the ACL: buckets of today have them switched off"],
            ),
            ("s3:PutObjectTagging", resource, ["if the upload sent tags", "drop the tags, or allow it"]),
            ("s3:AbortMultipartUpload", resource, multipart),
            (
                "s3:GetBucketLocation",
                &bucket,
                [
                    "some clients (s3fs, flytekit for directories) ask first where the bucket is",
                    "allow it on the bucket, without a condition",
                ],
            ),
        ],
        "s3:listbucket" if !named => &[(
            "s3:GetBucketLocation",
            &bucket,
            ["some clients ask first where the bucket is", "allow it on the bucket, without a condition"],
        )],
        _ => &[],
    };
    let refused = checks.iter().filter(|(action, resource, _)| !may(case, action, resource, |context| context));
    let found = refused.map(|(action, resource, [when, fix])| {
        let message = format!("{action} is not allowed on {}: {when}, that is what was refused", place_words(resource));
        about(case, "doctor-beside", Severity::Warning, message).with_fix(*fix)
    });
    found.collect()
}

/// Block Public Access and anonymous callers.
fn public_block(case: &Case) -> Option<Finding> {
    let block = case.around.bucket.public_access.as_ref()?;
    if case.request.caller.account().is_some() || !block.restrict_public_buckets {
        return None;
    }
    let message =
        "the request is not signed, and Block Public Access keeps the bucket from everybody outside of its account"
            .to_owned();
    Some(
        about(case, "doctor-public-blocked", Severity::Error, message).with_fix("sign the request; leave the block on"),
    )
}

/// The request would pass now.
fn allowed_now(case: &Case, decision: &Decision) -> Finding {
    let unseen: Vec<String> = case
        .layers
        .all()
        .iter()
        .filter(|(layer, _)| case.unseen(*layer).is_some())
        .map(|(layer, _)| layer.to_string())
        .collect();
    let newest = case
        .layers
        .all()
        .iter()
        .flat_map(|(_, standing)| standing.held())
        .filter_map(|held| Some((held.since?, held.name())))
        .max();
    let lead = match decision.layer {
        Layer::Root => "the root user may do everything".to_owned(),
        layer => format!("{} allows it now, and nothing that was seen denies it", one(layer)),
    };
    let changed =
        newest.map(|(since, name)| format!("; the last change that was seen is {name} of {since}")).unwrap_or_default();
    let rest = match &unseen[..] {
        [] => String::new(),
        unseen => format!("; not seen: {}", unseen.join(", ")),
    };
    let finding = about(case, "doctor-allowed-now", Severity::Suggestion, format!("{lead}{changed}{rest}"));
    match case.symptom {
        Some(_) => finding.with_fix(
            "try again: changes of policies take seconds to minutes to reach S3; if it is still refused, the caller is somebody else (`aws sts \
             get-caller-identity` there), its session has a policy of its own, or a layer that was not seen refuses",
        ),
        None => finding,
    }
}

fn bucket_arn(case: &Case) -> String {
    let resource = case.request.resource();
    let partition = resource.split(':').nth(1).unwrap_or("aws");
    format!("arn:{partition}:s3:::{}", bucket_of(resource))
}

fn asked(case: &Case, action: &str, resource: &str, context: impl FnOnce(Context) -> Context) -> Option<Request> {
    let request = Request::new(case.request.caller.clone(), action, resource).ok()?;
    let mut known = Context::default();
    for (name, value) in case.request.context.iter().filter(|(name, _)| !name.to_ascii_lowercase().starts_with("s3:")) {
        known.set(name, value.clone());
    }
    let request = request.with_context(context(known));
    Some(match &case.request.resource_account {
        Some(owner) => request.of_account(owner.clone()),
        None => request,
    })
}

fn may(case: &Case, action: &str, resource: &str, context: impl FnOnce(Context) -> Context) -> bool {
    let policies = case.layers.policies();
    asked(case, action, resource, context)
        .is_some_and(|request| evaluate(&policies, &request).verdict == Verdict::Allow)
}
