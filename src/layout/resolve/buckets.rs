//! Buckets: names, folders, settings and waivers.

use super::logs;
use super::templates::{Templates, Tree};
use crate::layout::mistakes::{Mistakes, Span, quote};
use crate::layout::names;
use crate::layout::nearest::listed;
use crate::layout::section::Section;
use crate::layout::{Bucket, Folder, FolderAccess, Manage, MarkerStyle, Purpose};
use crate::model::{Arn, BucketName, Control, Prefix, Region, TagKey, TagValue, Tags};
use std::collections::{BTreeMap, BTreeSet};

/// The most folders of all buckets together; a file of a few kilobytes can ask for millions.
const MAX_FOLDERS: usize = 100_000;

/// The most tags of a bucket besides the owner tag.
///
/// Source: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/tagging.html>
const MAX_TAGS: usize = 49;

/// All buckets that could be read, and what is known of the rest.
#[derive(Debug, Default)]
pub(super) struct Buckets {
    pub(super) list: Vec<Bucket>,
    /// Some bucket's name could not be read, so a bucket that seems missing may be that one.
    pub(super) open: bool,
    /// Buckets whose folders are not all known.
    pub(super) unsure: BTreeSet<BucketName>,
}

/// Reads every `[[bucket]]` and makes the log buckets that only an `access_log` names.
pub(super) fn read(file: &Section, region: Option<&Region>, templates: &Templates, mistakes: &mut Mistakes) -> Buckets {
    let mut buckets = Buckets { open: file.is_broken("bucket"), ..Buckets::default() };
    let mut names: BTreeMap<BucketName, &Span> = BTreeMap::new();
    let mut log_spans: Vec<Option<Span>> = Vec::new();
    let mut folders = 0;
    for section in file.sections("bucket") {
        let name = section.text("name").and_then(|name| mistakes.take(name.span, names::bucket(name.value)));
        let is_known = name.is_some();
        // A stand-in lets the rest of the table be checked all the same; it never leaves this function.
        let name = name.unwrap_or_else(stand_in);
        let (bucket, complete) = bucket(name.clone(), section, region, templates, &mut folders, mistakes);
        if !is_known {
            buckets.open = true;
            continue;
        }
        let span = section.key_span("name");
        if let Some(first) = names.insert(name.clone(), span) {
            mistakes
                .at(span, format!("bucket `{name}` is there twice"))
                .first(first)
                .help("give one of them another name, or merge them");
            continue;
        }
        if !complete {
            buckets.unsure.insert(name);
        }
        log_spans.push(section.section("access_log").map(|log| log.key_span("bucket").clone()));
        buckets.list.push(bucket);
    }
    logs::link(&mut buckets.list, &log_spans, mistakes);
    buckets
}

#[expect(clippy::expect_used, reason = "the text is a legal name")]
fn stand_in() -> BucketName {
    "stand-in".parse().expect("a legal name")
}

/// One bucket, and whether all its folders are known.
fn bucket(
    name: BucketName,
    section: &Section,
    region: Option<&Region>,
    templates: &Templates,
    folder_count: &mut usize,
    mistakes: &mut Mistakes,
) -> (Bucket, bool) {
    let waive = waivers(section, mistakes);
    check_weakened(section, &waive, mistakes);
    let tree = section.text("template").and_then(|wanted| templates.find(wanted, mistakes));
    let projects = projects(section, mistakes);
    let readable = !section.is_broken("template") && (tree.is_some() || !section.has("template"));
    let complete = readable && !section.is_broken("projects") && tree.as_ref().is_none_or(|tree| !tree.broken);
    if readable {
        check_projects(section, tree.as_ref(), mistakes);
    }
    let folders = folders(section, &projects, &tree.unwrap_or_default(), folder_count, mistakes);
    let bucket = Bucket {
        template: section.text("template").map(|template| template.value.to_owned()),
        purpose: Purpose::Declared,
        folders,
        markers: section.text("markers").map_or(MarkerStyle::Slash, |word| super::markers(word.value)),
        versioning: section.flag("versioning").unwrap_or(!waive.contains_key(&Control::Versioning)),
        kms_key: kms_key(section, region, mistakes),
        public_access_blocked: !waive.contains_key(&Control::PublicAccess),
        access_log: logs::access_log(&name, section, mistakes),
        logs_from: Vec::new(),
        noncurrent_days: section.whole("noncurrent_days"),
        tags: tags(section, mistakes),
        adopt: section.flag("adopt").unwrap_or(false),
        manage: match section.text("manage").map(|word| word.value) {
            Some("data") => Manage::Data,
            Some("verify") => Manage::Verify,
            _ => Manage::All,
        },
        waive,
        name,
    };
    (bucket, complete)
}

fn projects<'tree>(section: &'tree Section, mistakes: &mut Mistakes) -> Vec<&'tree str> {
    let mut seen = BTreeSet::new();
    let mut projects = Vec::new();
    for project in section.texts("projects") {
        if mistakes.take(project.span, names::project(project.value)).is_none() {
            continue;
        }
        if seen.insert(project.value) {
            projects.push(project.value);
        } else {
            mistakes.at(project.span, format!("project `{}` is there twice", project.value)).help("remove one of them");
        }
    }
    projects
}

/// Projects and template must go together.
fn check_projects(section: &Section, tree: Option<&Tree>, mistakes: &mut Mistakes) {
    let has_projects = section.has("projects");
    match tree {
        None if has_projects => {
            mistakes
                .at(section.key_span("projects"), "`projects` without `template`")
                .help("the template says which folders each project gets; `team-folders` gives one folder each");
        }
        Some(tree) if has_projects && tree.folders.is_empty() && !tree.broken => {
            mistakes
                .at(section.key_span("projects"), "the template has no folders, so `projects` make nothing")
                .help("remove `projects`, or choose another template");
        }
        Some(tree) if !has_projects && tree.folders.iter().any(|folder| folder.path.is_empty()) => {
            mistakes
                .at(section.key_span("template"), "this template makes a folder of each project, and there are none")
                .help("list them: `projects = [\"a\", \"b\"]`");
        }
        _ => {}
    }
}

/// Project by project, then in the template's order.
fn folders(
    section: &Section,
    projects: &[&str],
    tree: &Tree,
    count: &mut usize,
    mistakes: &mut Mistakes,
) -> Vec<Folder> {
    let owners: Vec<Option<&str>> =
        if section.has("projects") { projects.iter().copied().map(Some).collect() } else { vec![None] };
    let wanted = owners.len().saturating_mul(tree.folders.len());
    if count.saturating_add(wanted) > MAX_FOLDERS {
        mistakes
            .at(section.key_span("projects"), format!("the layout has more than {MAX_FOLDERS} folders"))
            .help("split it into several layouts");
        return Vec::new();
    }
    *count += wanted;
    let mut folders = Vec::with_capacity(wanted);
    for project in owners {
        for spec in &tree.folders {
            let parts: Vec<&str> =
                project.into_iter().chain([spec.path.as_str()]).filter(|part| !part.is_empty()).collect();
            if parts.is_empty() {
                // A folder without a name at the root: reported with the projects that are missing.
                continue;
            }
            let prefix = match Prefix::root().folder(&parts.join("/")) {
                Ok(prefix) => prefix,
                Err(error) => {
                    mistakes.at(section.key_span("projects"), format!("a folder's key is too long: {error}"));
                    return folders;
                }
            };
            folders.push(Folder {
                project: project.map(str::to_owned),
                path: spec.path.clone(),
                prefix,
                access: spec.access.unwrap_or(FolderAccess::ReadWrite),
                noncurrent_days: spec.noncurrent_days,
                markers: spec.markers,
            });
        }
    }
    folders
}

/// The controls that are given up, each with a reason.
fn waivers(section: &Section, mistakes: &mut Mistakes) -> BTreeMap<Control, String> {
    let mut waive = BTreeMap::new();
    for entry in section.map("waive") {
        let Ok(control) = entry.key.parse::<Control>() else {
            let known = || Control::ALL.iter().map(|control| control.name());
            let near = mistakes.near(&entry.key, known());
            mistakes
                .at(&entry.key_span, format!("there is no control {}{near}", quote(&entry.key)))
                .help(format!("controls: {}", listed(known())));
            continue;
        };
        let reason = entry.text().map(|reason| reason.value.trim().to_owned());
        if reason.as_deref() == Some("") {
            mistakes
                .at(&entry.node.span, format!("waiving `{control}` needs a reason"))
                .help("say in a few words why; the report shows it");
        }
        if waive.insert(control, reason.unwrap_or_default()).is_some() {
            mistakes.at(&entry.key_span, format!("`{control}` is waived twice")).help("remove one of them");
        }
    }
    waive
}

/// A setting that weakens a control needs its waiver, and a waived control cannot be asked for as well.
fn check_weakened(section: &Section, waive: &BTreeMap<Control, String>, mistakes: &mut Mistakes) {
    let word = |key| section.text(key).map(|found| found.value);
    let flag = section.flag("versioning");
    let access = word("public_access");
    let rows = [
        (Control::Versioning, "versioning", flag == Some(false), flag == Some(true)),
        (Control::PublicAccess, "public_access", access == Some("unmanaged"), access == Some("blocked")),
        (Control::Encryption, "encryption", false, section.has("encryption")),
        (Control::AccessLog, "access_log", false, section.has("access_log")),
        (Control::Lifecycle, "noncurrent_days", false, section.has("noncurrent_days")),
        (Control::Tags, "tags", false, !section.map("tags").is_empty()),
    ];
    // A waiver that cannot be read may be the one that is missed.
    let all_read = !section.is_broken("waive");
    for (control, key, weakened, wanted) in rows {
        let waived = waive.contains_key(&control);
        if weakened && !waived && all_read {
            mistakes
                .at(section.key_span(key), format!("`{key}` gives up the control `{control}` without a reason"))
                .help(format!("add `waive = {{ {control} = \"why\" }}` to this bucket, or remove `{key}`"));
        }
        if wanted && waived {
            mistakes
                .at(section.key_span(key), format!("`{key}` is set, and the control `{control}` is waived"))
                .help(format!("remove `{key}`, or the waiver of `{control}`"));
        }
    }
}

fn kms_key(section: &Section, region: Option<&Region>, mistakes: &mut Mistakes) -> Option<Arn> {
    let text = section.section("encryption")?.text("kms_key")?;
    let arn = mistakes.take(text.span, names::kms_key(text.value))?;
    if let Some(region) = region
        && region.as_str() != arn.region()
    {
        mistakes
            .at(text.span, format!("the KMS key is in `{}`, the bucket in `{region}`", arn.region()))
            .help("S3 needs a key of the bucket's own region");
    }
    Some(arn)
}

fn tags(section: &Section, mistakes: &mut Mistakes) -> Tags {
    let mut tags = Tags::new();
    for entry in section.map("tags") {
        let key = entry.key.parse::<TagKey>();
        if entry.key.to_ascii_lowercase().starts_with("bucketwright:") {
            mistakes
                .at(
                    &entry.key_span,
                    format!("tag key {} starts with `bucketwright:`, which is ours", quote(&entry.key)),
                )
                .help("the owner tag is written by itself");
            continue;
        }
        let key = mistakes.take(&entry.key_span, key.map_err(|error| error.to_string().into()));
        let value = entry.text().and_then(|text| {
            let value = text.value.parse::<TagValue>().map_err(|error| error.to_string().into());
            mistakes.take(text.span, value)
        });
        if let (Some(key), Some(value)) = (key, value) {
            tags.insert(key, value);
        }
    }
    if tags.len() > MAX_TAGS {
        let count = tags.len();
        mistakes
            .at(section.key_span("tags"), format!("{count} tags; S3 takes 50 on a bucket, and one is the owner tag"))
            .help(format!("keep at most {MAX_TAGS}"));
    }
    tags
}
