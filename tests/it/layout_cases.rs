//! Layout files and what becomes of them: every case of `tests/cases/layout/*.toml` through one check.
//!
//! A case has `given`, the file's text; `env`, `set` and `env_vars` if it needs them; and either `mistakes`, each
//! `line:column: message` and then ` | help` where there is one, or `layout`, the lines of [`describe`].

use bucketwright::layout::{AttachTarget, Layout, LayoutError, ParseOptions, parse};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    case: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    given: String,
    env: Option<String>,
    #[serde(default)]
    set: BTreeMap<String, String>,
    #[serde(default)]
    env_vars: BTreeMap<String, String>,
    #[serde(default)]
    mistakes: Vec<String>,
    #[serde(default)]
    layout: Vec<String>,
}

#[test]
fn cases() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/layout");
    let mut failures = Vec::new();
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let file: File = toml::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        for case in &file.case {
            count += 1;
            failures.extend(check(case).map(|why| format!("{}, {}:\n{why}", path.display(), case.name)));
        }
    }
    assert!(count > 100, "only {count} cases were found");
    assert!(failures.is_empty(), "{} of {count} cases fail\n\n{}", failures.len(), failures.join("\n\n"));
}

#[test]
fn the_example_of_the_readme_is_a_layout() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("layouts/example/layout.toml");
    let none = BTreeMap::new();
    let options = ParseOptions { file_stem: "layout", environment: None, set: &none, env_vars: &none };
    let layout = parse(&std::fs::read(path).unwrap(), &options).unwrap();
    assert_eq!((layout.buckets.len(), layout.buckets[0].folders.len(), layout.datasets.len()), (2, 9, 1));
}

/// What differs, as the lines that would stand in the case file.
fn check(case: &Case) -> Option<String> {
    assert!(case.mistakes.is_empty() != case.layout.is_empty(), "{}: a case expects one or the other", case.name);
    let options = ParseOptions {
        file_stem: "layout",
        environment: case.env.as_deref(),
        set: &case.set,
        env_vars: &case.env_vars,
    };
    let (kind, found) = match parse(case.given.as_bytes(), &options) {
        Ok(layout) => ("layout", describe(&layout)),
        Err(errors) => ("mistakes", errors.iter().map(|error| line(error, &case.given)).collect()),
    };
    let expected = if kind == "layout" { &case.layout } else { &case.mistakes };
    (expected != &found).then(|| {
        let lines: Vec<String> =
            found.iter().map(|line| format!("    {},", toml::Value::String(line.clone()))).collect();
        format!("{kind} = [\n{}\n]", lines.join("\n"))
    })
}

fn line(error: &LayoutError, text: &str) -> String {
    let excerpt = error.excerpt(text).unwrap_or_default();
    assert!(excerpt.lines().all(|line| line.chars().count() <= 80), "{excerpt}");
    assert_eq!(excerpt.is_empty(), error.place.is_none());
    let shown = error.to_string();
    let shown = shown.strip_prefix("layout.toml:").unwrap().trim_start();
    assert!(!shown.contains('\n') && !shown.ends_with('.'), "{shown}");
    match &error.help {
        Some(help) => format!("{shown} | {help}"),
        None => shown.to_owned(),
    }
}

/// A layout in lines, with what is not a default.
fn describe(layout: &Layout) -> Vec<String> {
    let mut lines = vec![format!("layout {}", layout.id)];
    lines.extend(layout.account.iter().map(|account| format!("account {account}")));
    lines.extend(layout.region.iter().map(|region| format!("region {region}")));
    lines.extend(layout.profile.iter().map(|profile| format!("profile {profile}")));
    for bucket in &layout.buckets {
        let template = bucket.template.as_deref().unwrap_or("-");
        let key = bucket.kms_key.as_ref().map_or("sse-s3", |key| key.as_str());
        lines.push(format!(
            "bucket {} {:?} template={template} {:?} versioning={} {key} blocked={} {:?} adopt={}",
            bucket.name,
            bucket.purpose,
            bucket.markers,
            bucket.versioning,
            bucket.public_access_blocked,
            bucket.manage,
            bucket.adopt
        ));
        for folder in &bucket.folders {
            let mut line = format!("  {} {}", folder.prefix, folder.access);
            line.extend(folder.noncurrent_days.map(|days| format!(" {days}d")));
            line.extend(folder.markers.map(|markers| format!(" {markers:?}")));
            lines.push(line);
        }
        lines.extend(bucket.noncurrent_days.map(|days| format!("  noncurrent {days}d")));
        lines.extend(bucket.access_log.iter().map(|log| format!("  logs to {}/{}", log.bucket, log.prefix)));
        lines.extend(bucket.logs_from.iter().map(|(name, prefix)| format!("  logs from {name} under {prefix}")));
        lines.extend(bucket.tags.iter().map(|(key, value)| format!("  tag {key}={value}")));
        lines.extend(bucket.waive.iter().map(|(control, why)| format!("  waived {control}: {why}")));
    }
    for dataset in &layout.datasets {
        let mut line = format!("dataset {} -> {}/{}", dataset.source, dataset.bucket, dataset.folder);
        line.extend(dataset.rename.iter().map(|name| format!(" as {name}")));
        line.extend(dataset.exclude.iter().map(|glob| format!(" without {glob}")));
        line.extend(dataset.allow_outside.then(|| " outside".to_owned()));
        line.extend(dataset.receipt.iter().map(|receipt| format!(" receipt {receipt}")));
        lines.push(line);
    }
    for grant in &layout.grants {
        let on: Vec<String> = grant.on.iter().map(|place| format!("{}/{}", place.bucket, place.prefix)).collect();
        lines.push(format!(
            "grant {} {} on {} list={:?} adopt={}",
            grant.policy,
            grant.access,
            on.join(" "),
            grant.list,
            grant.adopt
        ));
        lines.extend(grant.attach.iter().map(target));
    }
    for expected in &layout.asserts {
        let verb = if expected.expect_allow { "may" } else { "may not" };
        lines.push(format!("assert {} {verb} {} {}", expected.principal, expected.operation, expected.target));
    }
    lines
}

fn target(target: &AttachTarget) -> String {
    let (kind, role) = match target {
        AttachTarget::Role(role) => return format!("  to role {role}"),
        AttachTarget::NodeGroups { cluster, node_groups } => {
            return format!("  to node groups {} of {cluster}", node_groups.join(" "));
        }
        AttachTarget::Irsa(role) => ("irsa", role),
        AttachTarget::PodIdentity(role) => ("pod identity", role),
    };
    format!("  to {kind} {} of {}/{} in {}", role.role, role.namespace, role.service_account, role.cluster)
}
