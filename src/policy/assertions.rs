//! A layout's expectations about access, held against the documents that its grants make.

use super::generate::GenerateError;
use super::matrix::{Granted, Operation, Question};
use crate::layout::{Assertion, AttachTarget, Bucket, Grant, Layout};
use crate::report::{Finding, Severity};
use std::collections::BTreeMap;

/// What stands for any name below a prefix.
const SOMETHING: &str = "some-object";

/// What came of a layout's expectations.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Checked {
    /// How many hold.
    pub hold: usize,
    /// One finding of severity `error` for each that does not.
    pub failures: Vec<Finding>,
}

/// Holds every `[[assert]]` of a layout against its grants.
pub fn check(layout: &Layout) -> Result<Checked, GenerateError> {
    let mut granted: BTreeMap<&str, Granted> = BTreeMap::new();
    let mut checked = Checked::default();
    for assertion in &layout.asserts {
        let grants = grants_of(layout, &assertion.principal);
        for grant in &grants {
            if !granted.contains_key(grant.policy.as_str()) {
                granted.insert(&grant.policy, Granted::of(layout, grant)?);
            }
        }
        let held: Vec<&Granted> = grants.iter().filter_map(|grant| granted.get(grant.policy.as_str())).collect();
        match failure(layout, assertion, &held) {
            None => checked.hold += 1,
            Some(finding) => checked.failures.push(finding),
        }
    }
    Ok(checked)
}

/// The grants whose policies somebody has: one by the policy's own name, or all that attach to a role.
fn grants_of<'layout>(layout: &'layout Layout, principal: &str) -> Vec<&'layout Grant> {
    let named = layout.grants.iter().find(|grant| grant.policy == principal);
    named.map_or_else(|| attached_to(layout, principal), |grant| vec![grant])
}

/// The grants that name a role. Roles of node groups have no name in a layout.
pub fn attached_to<'layout>(layout: &'layout Layout, role: &str) -> Vec<&'layout Grant> {
    let names_it = |target: &AttachTarget| match target {
        AttachTarget::Role(name) => name.eq_ignore_ascii_case(role),
        AttachTarget::Irsa(to) | AttachTarget::PodIdentity(to) => to.role.eq_ignore_ascii_case(role),
        AttachTarget::NodeGroups { .. } => false,
    };
    layout.grants.iter().filter(|grant| grant.attach.iter().any(names_it)).collect()
}

/// The finding for an expectation that does not hold.
fn failure(layout: &Layout, assertion: &Assertion, held: &[&Granted]) -> Option<Finding> {
    let operation = Operation::parse(&assertion.operation)?;
    let (name, rest) = match assertion.target.split_once('/') {
        Some((name, rest)) => (name, Some(rest)),
        None => (assertion.target.as_str(), None),
    };
    let bucket = layout.buckets.iter().find(|bucket| bucket.name.as_str() == name)?;
    for key in keys(bucket, operation, rest) {
        let question = Question::new(operation, &bucket.name, key.as_deref()).with_key(bucket.kms_key.as_ref());
        let (allowed, because) = answer(held, &question);
        if allowed != assertion.expect_allow {
            return Some(finding(assertion, &question, allowed, &because));
        }
    }
    None
}

/// The keys, or the prefixes of listings, that stand for all that a target means: one in each folder that it touches,
/// because nothing else than folders makes a difference in a grant.
fn keys(bucket: &Bucket, operation: Operation, rest: Option<&str>) -> Vec<Option<String>> {
    let Some(rest) = rest else { return vec![None] };
    let Some(start) = rest.strip_suffix('*') else { return vec![Some(rest.to_owned())] };
    match operation {
        Operation::List => starts(bucket, start).map(|start| Some(start.to_owned())).collect(),
        _ => starts(bucket, start).map(|start| Some(format!("{start}{SOMETHING}"))).collect(),
    }
}

/// What `start*` touches: what begins so itself, and each folder that does.
pub fn starts<'here>(bucket: &'here Bucket, start: &'here str) -> impl Iterator<Item = &'here str> {
    let folders = bucket.folders.iter().map(|folder| folder.prefix.as_str());
    std::iter::once(start).chain(folders.filter(move |prefix| prefix.starts_with(start) && *prefix != start))
}

/// Whether any of the policies allows it. A denial in one of them counts against all.
fn answer(held: &[&Granted], question: &Question<'_>) -> (bool, String) {
    let together = held
        .iter()
        .skip(1)
        .fold(held.first().map(|first| first.principal.clone()), |all, next| all.map(|all| all.and(&next.principal)));
    match together {
        Some(principal) => {
            let answer = principal.may(question);
            (answer.allowed, answer.because)
        }
        None => (false, "no grant gives it".to_owned()),
    }
}

fn finding(assertion: &Assertion, question: &Question<'_>, allowed: bool, because: &str) -> Finding {
    let Assertion { principal, operation, target, .. } = assertion;
    let (found, wanted, less) = if allowed { ("may", "deny", "less") } else { ("may not", "allow", "more") };
    let place = match question.key {
        Some(key) => format!("s3://{}/{key}", question.bucket),
        None => format!("s3://{}", question.bucket),
    };
    let message = format!("`{principal}` {found} {operation} {place}, and the layout expects `{wanted}`; {because}");
    let fix = format!("give the grant or the folder {less} access, or take the assertion back");
    Finding::new("assert-failed", Severity::Error, format!("s3://{target}"), message).with_fix(fix)
}
