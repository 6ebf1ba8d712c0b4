//! Grants and expectations: checked as far as a layout alone can tell.

use super::places::{self, Places};
use crate::layout::mistakes::{Mistakes, quote};
use crate::layout::names::{self, Wrong};
use crate::layout::nearest::listed;
use crate::layout::section::{Found, Section};
use crate::layout::{Assertion, AttachTarget, FolderAccess, Grant, ListScope, Place, ServiceAccountRole};
use crate::model::Prefix;
use std::collections::{BTreeMap, BTreeSet};

/// The keys of which an attach target has exactly one.
const TARGETS: [&str; 4] = ["eks_cluster", "role", "irsa", "pod_identity"];

/// Reads every `[[grant]]`.
pub(super) fn read(file: &Section, places: &Places, mistakes: &mut Mistakes) -> Vec<Grant> {
    let mut grants = Vec::new();
    // IAM compares names without case.
    let mut policies: BTreeMap<String, Found<'_, &str>> = BTreeMap::new();
    for section in file.sections("grant") {
        if let Some(policy) = section.text("policy")
            && let Some(first) = policies.insert(policy.value.to_ascii_lowercase(), policy)
        {
            let (one, other) = (first.value, policy.value);
            let message = if one == other {
                format!("policy {} has two grants", quote(one))
            } else {
                format!("policies {} and {} differ only by case, which is nothing to IAM", quote(one), quote(other))
            };
            mistakes
                .at(policy.span, message)
                .first(first.span)
                .help("one grant is one policy: give them different names, or merge them");
        }
        grants.extend(grant(section, places, mistakes));
    }
    grants
}

fn grant(section: &Section, places: &Places, mistakes: &mut Mistakes) -> Option<Grant> {
    let policy = section.text("policy").and_then(|policy| {
        mistakes.take(policy.span, checked(policy.value, names::iam_name("policy", policy.value, 128)))
    });
    let on = granted_places(section, places, mistakes);
    let attach = attach_targets(section, mistakes);
    Some(Grant {
        policy: policy?,
        access: section.text("access").map_or(FolderAccess::Read, |word| super::access(word.value)),
        on,
        list: match section.text("list").map(|word| word.value) {
            Some("root") => ListScope::Root,
            Some("bucket") => ListScope::Bucket,
            _ => ListScope::Scoped,
        },
        attach,
        adopt: section.flag("adopt").unwrap_or(false),
    })
}

/// The text, once its check has passed.
fn checked(text: &str, check: Result<(), Wrong>) -> Result<String, Wrong> {
    check.map(|()| text.to_owned())
}

fn granted_places(section: &Section, places: &Places, mistakes: &mut Mistakes) -> Vec<Place> {
    let texts = section.texts("on");
    if texts.is_empty() && section.has("on") && !section.is_broken("on") {
        mistakes.at(section.key_span("on"), "`on` is empty").help("name at least one bucket or `bucket/folder`");
    }
    let mut found = Vec::new();
    let mut seen = BTreeSet::new();
    for text in texts {
        let Some(place) = granted_place(text, places, mistakes) else { continue };
        if seen.insert(place.clone()) {
            found.push(place);
        } else {
            mistakes.at(text.span, format!("{} is there twice", quote(text.value))).help("remove one of them");
        }
    }
    found
}

fn granted_place(text: Found<'_, &str>, places: &Places, mistakes: &mut Mistakes) -> Option<Place> {
    let written = places::split(text.value, text.span, mistakes)?;
    let bucket = places.bucket(written.bucket, text.span, mistakes)?;
    let prefix = match written.rest {
        None => Prefix::root(),
        Some(path) => places.folder(&bucket, path, true, text.span, mistakes)?,
    };
    Some(Place { bucket, prefix })
}

fn attach_targets(section: &Section, mistakes: &mut Mistakes) -> Vec<AttachTarget> {
    let mut targets = Vec::new();
    let mut seen = BTreeSet::new();
    for entry in section.sections("attach") {
        let Some(target) = attach_target(entry, mistakes) else { continue };
        if seen.insert(target.clone()) {
            targets.push(target);
        } else {
            mistakes.at(&entry.span, "this target is there twice").help("remove one of them");
        }
    }
    targets
}

fn attach_target(entry: &Section, mistakes: &mut Mistakes) -> Option<AttachTarget> {
    let given: Vec<&str> = TARGETS.into_iter().filter(|key| entry.has(key)).collect();
    if entry.has("node_groups") && !entry.has("eks_cluster") {
        mistakes.at(entry.key_span("node_groups"), "`node_groups` without `eks_cluster`").help("name the cluster");
    }
    match given[..] {
        [key] => target(key, entry, mistakes),
        [] => {
            let mistake = mistakes.at(&entry.span, "an attach target names nobody");
            mistake.help(format!("give it exactly one of {}", listed(TARGETS)));
            None
        }
        _ => {
            let message = format!("an attach target has {} at once", listed(given.iter().copied()));
            mistakes.at(&entry.span, message).help("write one table for each");
            None
        }
    }
}

fn target(key: &str, entry: &Section, mistakes: &mut Mistakes) -> Option<AttachTarget> {
    match key {
        "eks_cluster" => {
            let text = entry.text("eks_cluster")?;
            let cluster = mistakes.take(text.span, checked(text.value, names::cluster(text.value)));
            let node_groups = node_groups(entry, mistakes);
            Some(AttachTarget::NodeGroups { cluster: cluster?, node_groups })
        }
        "role" => role(entry, mistakes).map(AttachTarget::Role),
        "irsa" => service_account(entry.section("irsa")?, mistakes).map(AttachTarget::Irsa),
        _ => service_account(entry.section("pod_identity")?, mistakes).map(AttachTarget::PodIdentity),
    }
}

fn role(entry: &Section, mistakes: &mut Mistakes) -> Option<String> {
    let role = entry.text("role")?;
    mistakes.take(role.span, checked(role.value, names::iam_name("role", role.value, 64)))
}

fn node_groups(entry: &Section, mistakes: &mut Mistakes) -> Vec<String> {
    if !entry.has("node_groups") {
        return vec!["*".to_owned()];
    }
    let groups = entry.texts("node_groups");
    if groups.is_empty() && !entry.is_broken("node_groups") {
        mistakes.at(entry.key_span("node_groups"), "`node_groups` is empty").help("`\"*\"` means all of them");
    }
    groups
        .into_iter()
        .filter_map(|group| mistakes.take(group.span, checked(group.value, names::node_group(group.value))))
        .collect()
}

fn service_account(section: &Section, mistakes: &mut Mistakes) -> Option<ServiceAccountRole> {
    let mut text = |key: &str, check: &dyn Fn(&str) -> Result<(), Wrong>| {
        let found = section.text(key)?;
        mistakes.take(found.span, checked(found.value, check(found.value)))
    };
    let cluster = text("cluster", &names::cluster);
    let namespace = text("namespace", &|name| names::kubernetes("namespace", name, false));
    let service_account = text("service_account", &|name| names::kubernetes("service account", name, true));
    let role = role(section, mistakes);
    Some(ServiceAccountRole {
        cluster: cluster?,
        namespace: namespace?,
        service_account: service_account?,
        role: role?,
    })
}

/// The names that an expectation may be about, and whether some could not be read.
fn principals(file: &Section) -> (BTreeSet<&str>, bool) {
    let mut names = BTreeSet::new();
    let mut open = file.is_broken("grant");
    for grant in file.sections("grant") {
        names.extend(grant.text("policy").map(|policy| policy.value));
        open |= grant.is_broken("policy") || grant.is_broken("attach");
        for entry in grant.sections("attach") {
            let inner = ["irsa", "pod_identity"].into_iter().filter_map(|key| entry.section(key));
            for holder in std::iter::once(entry).chain(inner) {
                names.extend(holder.text("role").map(|role| role.value));
                open |= holder.is_broken("role");
            }
        }
    }
    (names, open)
}

/// Reads every `[[assert]]`.
pub(super) fn read_asserts(file: &Section, places: &Places, mistakes: &mut Mistakes) -> Vec<Assertion> {
    let (names, open) = principals(file);
    let mut asserts = Vec::new();
    for section in file.sections("assert") {
        let principal = section.text("principal");
        if let Some(principal) = principal
            && !open
            && !names.contains(principal.value)
        {
            let near = mistakes.near(principal.value, names.iter().copied());
            let mistake = mistakes.at(
                principal.span,
                format!(
                    "{} is neither the policy of a grant nor a role that one attaches to{near}",
                    quote(principal.value)
                ),
            );
            let known = listed(names.iter().copied());
            mistake.maybe_help((!known.is_empty()).then(|| format!("known: {known}")));
        }
        let operation = section.text("operation").map(|word| word.value);
        let target = section.text("target");
        if let Some(target) = target {
            check_target(target, operation, places, mistakes);
        }
        let expect = section.text("expect").map(|word| word.value == "allow");
        if let (Some(principal), Some(operation), Some(target), Some(expect_allow)) =
            (principal, operation, target, expect)
        {
            asserts.push(Assertion {
                principal: principal.value.to_owned(),
                operation: operation.to_owned(),
                target: target.value.to_owned(),
                expect_allow,
            });
        }
    }
    asserts
}

fn check_target(target: Found<'_, &str>, operation: Option<&str>, places: &Places, mistakes: &mut Mistakes) {
    let Some(written) = places::split(target.value, target.span, mistakes) else { return };
    places.bucket(written.bucket, target.span, mistakes);
    // The slash that ends a folder belongs to the key here.
    let key = target.value.split_once('/').map(|(_, key)| key);
    let message = match (operation, key) {
        _ if target.value.trim_end_matches('*').contains('*') || target.value.ends_with("**") => {
            Some("a target holds at most one `*`, at its end")
        }
        (Some("head-bucket"), Some(_)) => Some("`head-bucket` is about a bucket, without a key"),
        (Some("get" | "put" | "delete" | "multipart"), None | Some("")) => {
            Some("this operation is about objects: write `bucket/key` or `bucket/prefix*`")
        }
        _ => None,
    };
    if let Some(message) = message {
        mistakes.at(target.span, message).help("a target is `bucket`, `bucket/key` or `bucket/prefix*`");
    }
}
