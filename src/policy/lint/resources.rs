//! `Resource` and `NotResource`: ARNs of the right form, that this policy may name and its actions can act on.
//!
//! Source: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_resource.html>

use super::codes::{
    ARN_ACCOUNT_NOT_ALLOWED, ARN_REGION_NOT_ALLOWED, BW_PLACEHOLDER, BW_RESOURCE_OUTSIDE_BUCKET,
    BW_RESOURCE_TYPE_MISMATCH, INVALID_ARN_ACCOUNT, INVALID_ARN_PREFIX, INVALID_ARN_REGION, INVALID_ARN_RESOURCE,
    INVALID_ARN_SERVICE_CASE, INVALID_PARTITION, INVALID_SERVICE, MISSING_ARN_FIELD,
    UNSUPPORTED_RESOURCE_ARN_IN_POLICY, VARIABLE_UNSUPPORTED_IN_ELEMENT, WILDCARD_IN_SERVICE_NAME,
};
use super::s3_arn::{BucketPart, Entry, is_open};
use super::scope::{Scope, names};
use super::{PolicyType, Report, Subject};
use crate::layout::placeholder;
use crate::policy::arn_pattern::ArnPattern;
use crate::policy::catalog::{
    ARN_REGIONS, ActionSet, PARTITIONS, REGIONLESS_SERVICES, S3, S3Action, is_arn_service, services,
};
use crate::policy::context::Context;
use crate::policy::path::DocumentPath;
use crate::policy::pattern::{Pattern, Syntax};
use crate::report::Severity;

const FORM: &str = "write `arn:aws:s3:::BUCKET` for a bucket, `arn:aws:s3:::BUCKET/KEY` for objects";

pub(super) fn check(scope: &Scope<'_>, report: &mut Report) {
    let statement = scope.statement;
    let mut sound = true;
    for (element, list) in [("Resource", &statement.resource), ("NotResource", &statement.not_resource)] {
        for (path, arn) in scope.listed(element, list.as_ref()) {
            let is_sound = form(arn, &path, report);
            if is_sound && scope.subject.kind == PolicyType::Bucket {
                belongs(arn, &path, scope.subject, report);
            }
            sound &= is_sound;
        }
    }
    // An entry that means nothing at all has been told already.
    if sound {
        kinds(scope, report);
    }
}

/// Looks at an entry's form; false if it means nothing.
fn form(arn: &ArnPattern, path: &DocumentPath, report: &mut Report) -> bool {
    let text = arn.text.as_str();
    if arn.is_everything() {
        return true;
    }
    let entry = Entry::new(arn);
    // Keys are free; what stands in the bucket's place, or in angle brackets, was to be filled in.
    let names = if text.contains('<') { text } else { entry.bucket_part().map_or(text, |part| part.bucket) };
    if let Some(found) = placeholder(names).or_else(|| unfilled(text)) {
        let message = format!("`{found}` is a placeholder");
        report.add(BW_PLACEHOLDER, path, message, "write the name that is meant");
    }
    if !text.starts_with("arn:") {
        report.add(INVALID_ARN_PREFIX, path, format!("`{text}` is neither `*` nor an ARN"), prefix_fix(text));
        return false;
    }
    let Some(fields) = entry.fields() else {
        let message = format!("`{text}` has fewer than the six fields `arn:partition:service:region:account:resource`");
        report.add(MISSING_ARN_FIELD, path, message, short_arn_fix(text));
        return false;
    };
    if fields[..5].iter().any(|field| field.contains("${")) {
        let message = "variables are replaced in the last field of an ARN only";
        let fix = "write `*` there, and compare `aws:ResourceAccount` in a condition";
        report.add(VARIABLE_UNSUPPORTED_IN_ELEMENT, path, message, fix);
        return false;
    }
    let [_, partition, service, region, account, resource] = fields;
    if service.is_empty() || resource.is_empty() {
        let empty = if service.is_empty() { "service" } else { "resource" };
        report.add(MISSING_ARN_FIELD, path, format!("`{text}` has no {empty}"), FORM);
        return false;
    }
    let wide = Syntax { wildcards: true, variables: false };
    let known = Pattern::parse(partition, wide);
    if !PARTITIONS.iter().any(|name| known.matches(name, Context::EMPTY)) {
        let message = format!("`{partition}` is no partition");
        report.add(INVALID_PARTITION, path, message, "write `aws`; in China `aws-cn`, in GovCloud `aws-us-gov`");
        return false;
    }
    service_name(service, path, report) && places(&entry, [service, region, account], path, report)
}

/// `${bucket}`: what templating tools leave where nobody filled it in. IAM's variables have a colon in them.
fn unfilled(text: &str) -> Option<&str> {
    let start = text.find("${")?;
    let end = start + text[start..].find('}')? + 1;
    let name = &text[start + 2..end - 1];
    let plain = name.starts_with(|letter: char| letter.is_ascii_alphabetic()) && !name.contains(':');
    plain.then(|| &text[start..end])
}

fn prefix_fix(text: &str) -> String {
    let plain = text.strip_prefix("s3://").unwrap_or(text);
    match text.get(..4) {
        Some(start) if start.eq_ignore_ascii_case("arn:") => "write `arn:` in small letters".to_owned(),
        _ if plain.is_empty() || plain.contains(':') || plain.starts_with('*') => FORM.to_owned(),
        _ => format!("write `arn:aws:s3:::{plain}`"),
    }
}

fn short_arn_fix(text: &str) -> String {
    match text.rsplit_once(':') {
        Some((start, resource)) if start.ends_with(":s3") || start.contains(":s3:") && !resource.is_empty() => {
            format!("write `arn:aws:s3:::{resource}`, with three colons behind `s3`")
        }
        _ => FORM.to_owned(),
    }
}

fn service_name(service: &str, path: &DocumentPath, report: &mut Report) -> bool {
    let lower = service.to_ascii_lowercase();
    if is_open(service) {
        let message = format!("`{service}` also means services of such a name that AWS adds later");
        report.add(WILDCARD_IN_SERVICE_NAME, path, message, "name the service");
        return true;
    }
    if is_arn_service(&lower) {
        if lower != service {
            let message = format!("`{service}`: the service stands in small letters in an ARN");
            report.add(INVALID_ARN_SERVICE_CASE, path, message, format!("write `{lower}`"));
            return false;
        }
        return true;
    }
    match report.nearest(&lower, services()) {
        Some(meant) => {
            let message = format!("there is no service `{service}`");
            report.add(INVALID_SERVICE, path, message, format!("did you mean `{meant}`?"));
            false
        }
        None => {
            let message = format!("`{service}` is no service that this version knows");
            let fix = "check it in AWS's Service Authorization Reference; if it is new, all is well";
            report.add_as(Severity::Warning, INVALID_SERVICE, path, message, fix);
            false
        }
    }
}

/// Region, account and, for S3, the last field.
fn places(entry: &Entry<'_>, fields: [&str; 3], path: &DocumentPath, report: &mut Report) -> bool {
    let [service, region, account] = fields;
    let of_bucket = service == "s3" && (account.is_empty() || !entry.is_control());
    let mut sound = true;
    let closed = |field: &str| !field.is_empty() && !is_open(field);
    if closed(region) && (of_bucket || REGIONLESS_SERVICES.contains(&service)) {
        let what = if of_bucket { "of a bucket or object" } else { "of this service" };
        let message = format!("an ARN {what} has no Region; `{region}` stands there");
        report.add(ARN_REGION_NOT_ALLOWED, path, message, format!("write `{}`", without(entry.text, 3)));
        sound = false;
    } else if closed(region) && !is_region(region) {
        let message = format!("`{region}` has not the form of a Region");
        report.add(INVALID_ARN_REGION, path, message, "write a Region such as `us-east-1`, or `*`");
        sound = false;
    }
    if closed(account) && of_bucket {
        let message = format!("an ARN of a bucket or object has no account; `{account}` stands there");
        report.add(ARN_ACCOUNT_NOT_ALLOWED, path, message, format!("write `{}`", without(entry.text, 4)));
        sound = false;
    } else if closed(account) && !is_account(account) {
        let message = format!("`{account}` is no account, which has twelve digits");
        report.add(INVALID_ARN_ACCOUNT, path, message, "write the account's twelve digits");
        sound = false;
    }
    let part = entry.bucket_part();
    if let Some(part) = part.filter(|_| service == "s3")
        && !is_bucket_like(part)
    {
        let message = format!("`{}` can be no bucket's name", part.bucket);
        report.add(INVALID_ARN_RESOURCE, path, message, FORM);
        sound = false;
    }
    sound
}

/// The ARN with one field emptied.
fn without(text: &str, field: usize) -> String {
    let mut fields: Vec<&str> = text.splitn(6, ':').collect();
    fields[field] = "";
    fields.join(":")
}

/// Regions end with a number and begin with their part of the world.
///
/// Source: <https://docs.aws.amazon.com/global-infrastructure/latest/regions/aws-regions.html>
fn is_region(text: &str) -> bool {
    let plain = text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    let known = ARN_REGIONS.iter().any(|start| text.starts_with(start));
    plain && known && text.ends_with(|letter: char| letter.is_ascii_digit()) && text.matches('-').count() >= 2
}

/// An account, or a name that AWS uses for its own: `aws`, `cloudfront`.
fn is_account(text: &str) -> bool {
    let is_number = text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number || text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-')
}

/// True if there can be such a bucket, the oldest included, whose names follow looser rules.
///
/// Source: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html>
fn is_bucket_like(part: BucketPart<'_>) -> bool {
    let name = part.bucket;
    if is_open(name) {
        return true;
    }
    (3..=255).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'))
}

/// Whether a bucket policy may name it: S3 takes only its own bucket and objects there.
fn belongs(arn: &ArnPattern, path: &DocumentPath, subject: &Subject<'_>, report: &mut Report) {
    let entry = Entry::new(arn);
    let own = subject.bucket.map_or("BUCKET", |bucket| bucket.as_str());
    let fix = format!("write `arn:aws:s3:::{own}` or `arn:aws:s3:::{own}/*`");
    if arn.is_everything() {
        let message = "`*` in a bucket policy means this bucket at most, and S3 may refuse it";
        return report.add_as(Severity::Warning, BW_RESOURCE_OUTSIDE_BUCKET, path, message, fix);
    }
    let Some(part) = entry.bucket_part() else {
        let message = format!("`{}` is no bucket and no object, and a bucket policy holds nothing else", arn.text);
        return report.add(UNSUPPORTED_RESOURCE_ARN_IN_POLICY, path, message, fix);
    };
    if is_open(part.bucket) {
        let message = format!("`{}` stands for other buckets too, and this policy is about one", part.bucket);
        return report.add_as(Severity::Warning, BW_RESOURCE_OUTSIDE_BUCKET, path, message, fix);
    }
    if let Some(bucket) = subject.bucket
        && part.bucket != bucket.as_str()
    {
        let message = format!("this is the policy of `{bucket}`, and `{}` is another bucket", part.bucket);
        report.add(BW_RESOURCE_OUTSIDE_BUCKET, path, message, fix);
    }
}

/// Without a name to compare with: two buckets in one bucket policy are one too many.
pub(super) fn check_one_bucket(scopes: &[Scope<'_>], subject: &Subject<'_>, report: &mut Report) {
    if subject.kind != PolicyType::Bucket || subject.bucket.is_some() {
        return;
    }
    let mut first: Option<String> = None;
    for scope in scopes {
        for (path, arn) in scope.listed("Resource", scope.statement.resource.as_ref()) {
            let Some(part) = Entry::new(arn).bucket_part().filter(|part| !is_open(part.bucket)) else { continue };
            let known = first.get_or_insert_with(|| part.bucket.to_owned());
            if known != part.bucket {
                let message =
                    format!("a bucket policy is about one bucket; `{}` stands here beside `{known}`", part.bucket);
                report.add(BW_RESOURCE_OUTSIDE_BUCKET, &path, message, "give each bucket a policy of its own");
            }
        }
    }
}

/// S3 actions and resources that have nothing to do with each other.
fn kinds(scope: &Scope<'_>, report: &mut Report) {
    let Some(resources) = &scope.statement.resource else { return };
    let entries: Vec<Entry<'_>> = resources.items.iter().map(Entry::new).collect();
    if entries.is_empty() || scope.s3_actions().is_empty() || scope.statement.action.is_none() {
        return;
    }
    let all = scope.s3_actions();
    let suited = ActionSet::of(|action| all.contains(&action.name) && entries.iter().any(|entry| entry.suits(action)));
    let mut lost: Vec<(&str, &'static S3Action)> = Vec::new();
    for (action, set) in scope.actions() {
        if let Some(first) = set.iter().next()
            && set.and(suited).is_empty()
        {
            lost.push((action.text.as_str(), first));
        }
    }
    if let Some((_, example)) = lost.first() {
        let only = lost.len() == scope.actions().count() && entries.len() == 1;
        let place = scope.listed("Resource", scope.statement.resource.as_ref());
        let path = if only { place[0].0.clone() } else { scope.statement.path.clone() };
        let message = match lost.as_slice() {
            [(text, _)] => format!("`{text}` {}: it never matches", wants(example)),
            several => {
                let listed = names(several.iter().map(|(text, _)| *text));
                format!("{listed} never match: `{}` {}", example.name, wants(example))
            }
        };
        report.add(BW_RESOURCE_TYPE_MISMATCH, &path, message, fitting(example, &entries));
        return;
    }
    // What a misspelt action was meant to be may be what a resource is for.
    let mut misspelt =
        scope.actions().filter(|(action, set)| set.is_empty() && action.text.to_ascii_lowercase().starts_with("s3:"));
    if misspelt.next().is_none() {
        mixed(scope, &entries, report);
    }
}

/// What an action acts on, in words.
fn wants(action: &S3Action) -> &'static str {
    match (action.resources.is_empty(), action.is_on_objects()) {
        (true, _) => "takes `*` only, and there is no `*` here",
        (_, true) => "acts on objects, and no resource here is one",
        _ if action.is_on_buckets() => "acts on the bucket itself, and no resource here is one",
        _ => "acts on none of the resources here",
    }
}

/// The resource that an action needs, made from one that is there.
fn fitting(action: &S3Action, entries: &[Entry<'_>]) -> String {
    let part = entries.iter().find_map(Entry::bucket_part);
    let bucket = part.map_or("BUCKET", |part| part.bucket);
    if action.resources.is_empty() {
        "put it into a statement of its own with `\"Resource\": \"*\"`".to_owned()
    } else if action.is_on_objects() {
        format!("name objects: `arn:aws:s3:::{bucket}/*`")
    } else if action.is_on_buckets() {
        format!("name the bucket: `arn:aws:s3:::{bucket}`")
    } else {
        "look up its resource in AWS's Service Authorization Reference for S3".to_owned()
    }
}

/// Statements that work, though not every action goes with every resource.
fn mixed(scope: &Scope<'_>, entries: &[Entry<'_>], report: &mut Report) {
    let actions: Vec<&S3Action> = scope.s3_actions().iter().collect();
    let of_s3_only = scope
        .statement
        .action
        .iter()
        .flat_map(|list| &list.items)
        .all(|action| action.text.to_ascii_lowercase().starts_with("s3:"));
    if of_s3_only {
        for (path, arn) in scope.listed("Resource", scope.statement.resource.as_ref()) {
            let entry = Entry::new(arn);
            if !actions.iter().any(|action| entry.suits(action)) {
                let message = "no action of this statement acts on this";
                report.add_as(Severity::Suggestion, BW_RESOURCE_TYPE_MISMATCH, &path, message, "remove it");
            }
        }
    }
    let named = scope.statement.action.iter().flat_map(|list| &list.items).filter_map(|action| S3.action(&action.text));
    let (on_objects, others): (Vec<&S3Action>, Vec<&S3Action>) = named.partition(|action| action.is_on_objects());
    let fits_all = |action: &&&S3Action| entries.iter().all(|entry| entry.suits(action));
    if let (Some(object), Some(other)) = (on_objects.first(), others.first())
        && !(on_objects.iter().all(|one| fits_all(&one)) || others.iter().all(|one| fits_all(&one)))
    {
        let message = format!(
            "this works, but `{}` acts on objects and `{}` does not, so not every action goes with every resource",
            object.name, other.name
        );
        let fix = "put actions on the bucket and actions on its objects into two statements";
        report.add_as(Severity::Suggestion, BW_RESOURCE_TYPE_MISMATCH, &scope.statement.path, message, fix);
    }
}
