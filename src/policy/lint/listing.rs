//! Listings with a condition on `s3:prefix`: what they let through, and which clients they leave out.
//!
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/amazon-s3-policy-keys.html>

use super::Report;
use super::codes::{BW_FOLDER_PREFIX_INCOMPLETE, BW_ROOT_LISTING_RECURSIVE};
use super::folders::{overmatches, prefix};
use super::s3_arn::is_open;
use super::scope::{KeyAt, Scope};
use crate::policy::context::Context;
use crate::policy::operators::Test;
use crate::policy::pattern::{Pattern, Syntax};
use std::collections::HashSet;

/// More values are only compared word for word.
const MOST_COMPARED: usize = 500;

pub(super) fn check(scope: &Scope<'_>, report: &mut Report) {
    let listing = scope.s3_actions();
    if !listing.contains("s3:ListBucket") && !listing.contains("s3:ListBucketVersions") {
        return;
    }
    let keys = scope.keys();
    let prefixes: Vec<&KeyAt<'_>> = keys.iter().filter(|at| at.key.name.eq_ignore_ascii_case("s3:prefix")).collect();
    for at in &prefixes {
        neighbours(scope, at, report);
    }
    if scope.grants() && !prefixes.is_empty() {
        root(&keys, prefixes[0], report);
        for at in &prefixes {
            bare_folder(scope, at, report);
        }
    }
}

/// `team-a*` in what is allowed, or in what a denial spares.
fn neighbours(scope: &Scope<'_>, at: &KeyAt<'_>, report: &mut Report) {
    let Some(operator) = at.block.operator.filter(|operator| operator.test == Test::StringLike) else { return };
    if (scope.grants() && !operator.negated) || (scope.denies() && operator.negated) {
        for (path, value) in scope.entries(&at.path, &at.key.values) {
            if overmatches(&value.text) {
                prefix(&value.text, &path, report);
            }
        }
    }
}

/// A request without prefix, or with an empty one, and without delimiter gets every key of the bucket.
fn root(keys: &[KeyAt<'_>], first: &KeyAt<'_>, report: &mut Report) {
    let about_listing =
        |at: &&KeyAt<'_>| ["s3:prefix", "s3:delimiter"].iter().any(|name| at.key.name.eq_ignore_ascii_case(name));
    let lets_through = |context: &Context| {
        keys.iter()
            .filter(about_listing)
            .all(|at| at.block.operator.is_some_and(|operator| at.key.holds(operator, context)))
    };
    let without = lets_through(&Context::default());
    if without || lets_through(&Context::default().with("s3:prefix", "")) {
        let how = if without { "without a prefix" } else { "with an empty prefix" };
        let message = format!("a listing {how} gets through, and without a delimiter it holds every key of the bucket");
        let fix = "allow the root in a statement of its own: \
                   `\"StringEquals\": {\"s3:prefix\": \"\", \"s3:delimiter\": \"/\"}`";
        report.add(BW_ROOT_LISTING_RECURSIVE, &first.path, message, fix);
    }
}

/// `team-a/*` without `team-a`.
fn bare_folder(scope: &Scope<'_>, at: &KeyAt<'_>, report: &mut Report) {
    let Some(operator) = at.block.operator.filter(|operator| operator.test == Test::StringLike) else { return };
    if operator.negated {
        return;
    }
    let texts: HashSet<&str> = at.key.values.items.iter().map(|value| value.text.as_str()).collect();
    let patterns: Vec<Pattern> = match texts.len() <= MOST_COMPARED {
        true => {
            let syntax = Syntax { wildcards: true, variables: false };
            texts.iter().filter(|text| is_open(text)).map(|text| Pattern::parse(text, syntax)).collect()
        }
        false => Vec::new(),
    };
    for (path, value) in scope.entries(&at.path, &at.key.values) {
        let Some(folder) = value.text.strip_suffix("/*").filter(|folder| !folder.is_empty()) else { continue };
        let is_wild = folder.contains(['*', '?']);
        if !is_wild && !texts.contains(folder) && !patterns.iter().any(|one| one.matches(folder, Context::EMPTY)) {
            let message = format!("clients that ask for `{folder}` first, as `aws s3 ls` does, are refused");
            report.add(BW_FOLDER_PREFIX_INCOMPLETE, &path, message, format!("add `{folder}` to the list"));
        }
    }
}
