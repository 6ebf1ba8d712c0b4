//! The layout without what is retired, and the edit of its file that says so.

use super::target::{Target, prefix_of, projects};
use crate::layout::{Assertion, Grant, Layout, ListScope, Place, Purpose};
use crate::model::BucketName;
use crate::report::{Finding, Severity};

/// A layout that does not name the target any more.
#[derive(Debug, Clone, PartialEq)]
pub struct Without {
    /// The layout.
    pub layout: Layout,
    /// The change of the file, line by line.
    pub edit: Vec<String>,
    /// The policies of the grants that change or go.
    pub touched: Vec<String>,
    /// What a person should know of it.
    pub findings: Vec<Finding>,
}

/// Takes the target out of a layout.
///
/// A grant on the whole bucket of a project would still reach what is left of it, and more of it than before, because no
/// folder limits it there any more. Such a grant is narrowed to the other projects.
pub fn without(layout: &Layout, target: &Target) -> Without {
    let mut made = Without { layout: layout.clone(), edit: Vec::new(), touched: Vec::new(), findings: Vec::new() };
    made.take_places(target);
    made.take_datasets(target);
    made.take_from_grants(layout, target);
    made.take_assertions(layout, target);
    made
}

impl Without {
    /// The bucket, or the project's folders.
    fn take_places(&mut self, target: &Target) {
        let Some(project) = &target.project else { return self.take_bucket(&target.bucket) };
        let Some(bucket) = self.layout.buckets.iter_mut().find(|bucket| bucket.name == target.bucket) else { return };
        bucket.folders.retain(|folder| folder.project.as_ref() != Some(project));
        let rest: Vec<String> = projects(bucket).into_iter().map(quoted).collect();
        let line = format!("[[bucket]] name = \"{}\": projects = [{}]", target.bucket, rest.join(", "));
        self.edit.push(line);
    }

    fn take_bucket(&mut self, name: &BucketName) {
        let declared = self.layout.buckets.iter().any(|one| one.name == *name && one.purpose == Purpose::Declared);
        self.layout.buckets.retain(|bucket| bucket.name != *name);
        if declared {
            self.edit.push(format!("[[bucket]] name = \"{name}\": remove the table"));
        }
        for bucket in &mut self.layout.buckets {
            bucket.logs_from.retain(|(source, _)| source != name);
            if bucket.access_log.as_ref().is_some_and(|log| log.bucket == *name) {
                bucket.access_log = None;
                self.edit.push(format!("[[bucket]] name = \"{}\": remove `access_log`", bucket.name));
            }
        }
        self.orphaned_logs(name);
    }

    /// A log bucket that no table declares leaves the layout with the last bucket that logs into it.
    fn orphaned_logs(&mut self, name: &BucketName) {
        let is_orphan =
            |bucket: &crate::layout::Bucket| bucket.purpose == Purpose::LogTarget && bucket.logs_from.is_empty();
        for orphan in self.layout.buckets.iter().filter(|bucket| is_orphan(bucket)) {
            let message =
                format!("only the access log of `{name}` goes to `{0}`, which this does not retire", orphan.name);
            let fix = format!("retire `{}` too, before the layout is edited", orphan.name);
            let target = format!("s3://{}", orphan.name);
            self.findings.push(Finding::new("log-bucket-stays", Severity::Suggestion, target, message).with_fix(fix));
        }
        self.layout.buckets.retain(|bucket| !is_orphan(bucket));
    }

    fn take_datasets(&mut self, target: &Target) {
        let edit = &mut self.edit;
        self.layout.datasets.retain(|dataset| {
            let stays = !target.holds(&dataset.bucket, &dataset.folder);
            if !stays {
                let to = written(&dataset.bucket, dataset.folder.as_str());
                edit.push(format!("[[dataset]] source = \"{}\", to = \"{to}\": remove the table", dataset.source));
            }
            stays
        });
    }

    fn take_from_grants(&mut self, before: &Layout, target: &Target) {
        let (mut kept, mut edit) = (Vec::new(), Vec::new());
        for grant in std::mem::take(&mut self.layout.grants) {
            let on = places_left(before, &grant, target);
            if on == grant.on {
                kept.push(grant);
                continue;
            }
            self.touched.push(grant.policy.clone());
            if on.is_empty() {
                edit.push(format!("[[grant]] policy = \"{}\": remove the table", grant.policy));
                continue;
            }
            self.findings.extend(what_narrowing_means(&grant, target));
            let listed: Vec<String> =
                on.iter().map(|place| quoted(&written(&place.bucket, place.prefix.as_str()))).collect();
            edit.push(format!("[[grant]] policy = \"{}\": on = [{}]", grant.policy, listed.join(", ")));
            kept.push(Grant { on, ..grant });
        }
        self.layout.grants = kept;
        self.edit.extend(edit);
    }

    /// Expectations about what is gone, and of policies that are.
    fn take_assertions(&mut self, before: &Layout, target: &Target) {
        let gone: Vec<&str> = before
            .grants
            .iter()
            .map(|grant| grant.policy.as_str())
            .filter(|policy| !self.layout.grants.iter().any(|grant| grant.policy == *policy))
            .collect();
        let start = if target.prefix.is_root() { String::new() } else { target.prefix.to_string() };
        let is_about = |assertion: &Assertion| {
            let (bucket, key) = assertion.target.split_once('/').unwrap_or((&assertion.target, ""));
            bucket == target.bucket.as_str() && key.starts_with(start.as_str())
        };
        let edit = &mut self.edit;
        self.layout.asserts.retain(|one| {
            let stays = !is_about(one) && !gone.contains(&one.principal.as_str());
            if !stays {
                edit.push(format!(
                    "[[assert]] principal = \"{}\", operation = \"{}\", target = \"{}\": remove the table",
                    one.principal, one.operation, one.target
                ));
            }
            stays
        });
    }
}

/// Where a grant still gives something. A place around the target becomes the projects beside it.
fn places_left(layout: &Layout, grant: &Grant, target: &Target) -> Vec<Place> {
    let mut left: Vec<Place> = Vec::new();
    let mut add = |place: Place| {
        if !left.contains(&place) {
            left.push(place);
        }
    };
    for place in &grant.on {
        if target.holds(&place.bucket, &place.prefix) {
            continue;
        }
        let is_around = place.bucket == target.bucket && target.prefix.as_str().starts_with(place.prefix.as_str());
        if !is_around {
            add(place.clone());
            continue;
        }
        let beside = target.wanted(layout).map(projects).unwrap_or_default();
        let beside = beside.into_iter().filter(|project| target.project.as_deref() != Some(project));
        for prefix in beside.filter_map(prefix_of) {
            add(Place { bucket: place.bucket.clone(), prefix });
        }
    }
    left
}

/// What else a grant loses, or keeps, when it is narrowed from the bucket to projects.
fn what_narrowing_means(grant: &Grant, target: &Target) -> Vec<Finding> {
    let was_around = grant.on.iter().any(|place| place.bucket == target.bucket && place.prefix.is_root());
    let mut findings = Vec::new();
    if was_around && !target.prefix.is_root() {
        let message = format!(
            "grant `{}` is on all of `{}`; it will be on the other projects alone, so that keys outside of them and a \
             listing of the whole bucket are out of its reach",
            grant.policy, target.bucket
        );
        findings.push(Finding::new("grant-narrowed", Severity::Warning, format!("policy/{}", grant.policy), message));
    }
    if grant.list == ListScope::Bucket {
        let message =
            format!("grant `{}` says `list = \"bucket\"`, so it shows the names of what stays there", grant.policy);
        let finding =
            Finding::new("names-stay-visible", Severity::Warning, format!("policy/{}", grant.policy), message);
        findings.push(finding.with_fix("say `list = \"scoped\"` in the grant"));
    }
    findings
}

fn quoted(text: &str) -> String {
    format!("\"{text}\"")
}

/// A place as layouts write it.
fn written(bucket: &BucketName, prefix: &str) -> String {
    format!("{bucket}/{prefix}").trim_end_matches('/').to_owned()
}
