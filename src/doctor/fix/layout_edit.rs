//! Changes of the layout: where it owns the policy, its file is the place to change it, and nowhere else.

use super::{Change, allows, gets_further, openings};
use crate::doctor::diagnosis::Case;
use crate::doctor::seen::{Held, Layers, Standing};
use crate::doctor::words::{bucket_of, key_of};
use crate::layout::{AttachTarget, Folder, FolderAccess, Grant, Layout, ListScope, Place};
use crate::model::{Arn, PolicyJson, Prefix, Region, RoleName};
use crate::policy::entitlement::Entitlement;
use crate::policy::generate::{self, Form, Frame};
use crate::policy::{Because, Decision, Policy};
use crate::report::RemedyRecord;
use std::sync::Arc;

/// The change of the layout, or of what stands in its place, that gives what is missing.
///
/// Grants that are the caller's come first: put back, then widened. Somebody else's grant is only handed to the caller
/// where it has none of its own that could be widened.
pub(super) fn change(case: &Case, layers: &Layers, decision: &Decision) -> Option<Change> {
    let (layout, file) = case.around.layout.as_ref()?;
    let about = layout.grants.iter().filter(|grant| is_about(grant, case));
    let (mine, others): (Vec<&Grant>, Vec<&Grant>) =
        about.partition(|grant| has(layers, grant) || targets(case, grant));
    let as_it_says = |grants: &[&Grant]| {
        grants.iter().find_map(|grant| {
            let after = with_documents(case, layers, layout, grant)?;
            gets_further(case, decision, &after).then(|| restored(case, layers, after, layout, grant, file))
        })
    };
    let widened = |grants: &[&Grant]| {
        grants.iter().find_map(|grant| {
            candidates(case, layout, grant).into_iter().find_map(|(edited, edit)| {
                let new = edited.grants.iter().find(|one| one.policy == grant.policy)?;
                let after = with_documents(case, layers, &edited, new)?;
                gets_further(case, decision, &after)
                    .then(|| edited_layout(after, file, edit, &made(layout, grant), &made(&edited, new)))
            })
        })
    };
    as_it_says(&mine).or_else(|| widened(&mine)).or_else(|| as_it_says(&others))
}

fn made(layout: &Layout, grant: &Grant) -> Vec<Arc<Policy>> {
    documents(layout, grant).unwrap_or_default()
}

/// The change of the layout that lifts a limit which the layout itself sets, and the way back where somebody changed the
/// layout's policy by hand.
pub(super) fn of_denial(case: &Case, layers: &Layers, because: &Because) -> Option<Change> {
    let held = layers.find(because.layer, &because.policy)?;
    let (layout, file) = case.around.layout.as_ref()?;
    let grant = layout.grants.iter().find(|grant| is_of(grant, &held.policy.name)).filter(|_| case.owns(held))?;
    let restored_layers = with_documents(case, layers, layout, grant)?;
    if allows(case, &restored_layers) {
        return Some(restored(case, layers, restored_layers, layout, grant, file));
    }
    for (edited, edit) in candidates(case, layout, grant) {
        let new = edited.grants.iter().find(|one| one.policy == grant.policy)?;
        let after = with_documents(case, layers, &edited, new)?;
        if allows(case, &after) {
            let mut change = edited_layout(after, file, edit, &made(layout, grant), &made(&edited, new));
            change.remedy.weakens = true;
            return Some(change);
        }
    }
    None
}

fn edited_layout(
    layers: Layers,
    file: &str,
    edit: Vec<String>,
    before: &[Arc<Policy>],
    after: &[Arc<Policy>],
) -> Change {
    let mut change = vec![format!("in {file}:")];
    change.extend(edit);
    Change {
        remedy: RemedyRecord {
            kind: "layout",
            target: file.to_owned(),
            change,
            run: Some(format!("bucketwright apply {file} --only grants")),
            opens: openings(before, after),
            wider: Vec::new(),
            weakens: false,
            checked: false,
        },
        layers,
    }
}

/// The layout gives it already, and the account is not as the layout says: apply it, or attach it to this role, too.
fn restored(case: &Case, layers: &Layers, after: Layers, layout: &Layout, grant: &Grant, file: &str) -> Change {
    let run = Some(format!("bucketwright apply {file} --only grants"));
    if has(layers, grant) || targets(case, grant) {
        let what =
            if has(layers, grant) { "writes the policy again as the layout says" } else { "attaches the policy again" };
        return Change {
            remedy: RemedyRecord {
                kind: "apply",
                target: grant.policy.clone(),
                change: vec![format!("{what}: {file} gives this already")],
                run,
                opens: openings(&current(layers, grant), &made(layout, grant)),
                wider: Vec::new(),
                weakens: false,
                checked: false,
            },
            layers: after,
        };
    }
    let role = case.role_name().unwrap_or_else(|| "ROLE".to_owned());
    let before = grant.attach.len();
    let edit = vec![
        format!("in {file}, grant `{}`:", grant.policy),
        match before {
            0 => format!("attach = [{{ role = \"{role}\" }}]"),
            _ => format!("add {{ role = \"{role}\" }} to `attach`"),
        },
    ];
    Change {
        remedy: RemedyRecord {
            kind: "layout",
            target: file.to_owned(),
            change: edit,
            run,
            opens: vec![format!("all that {} gives, to {role}", grant.policy)],
            wider: Vec::new(),
            weakens: false,
            checked: false,
        },
        layers: after,
    }
}

/// Changes of the layout that could help, the smallest first, each with its lines.
fn candidates(case: &Case, layout: &Layout, grant: &Grant) -> Vec<(Layout, Vec<String>)> {
    let resource = case.request.resource();
    let (bucket, key) = (bucket_of(resource), key_of(resource).unwrap_or_default());
    let mut all = Vec::new();
    let folder = folder_at(layout, bucket, key);
    let accesses = [FolderAccess::Append, FolderAccess::ReadWrite];
    for access in accesses {
        let raised_folder = folder
            .as_ref()
            .filter(|folder| folder.access < access)
            .map(|folder| raise_folder(layout, bucket, folder, access));
        let raised_grant = (grant.access < access).then(|| raise_grant(layout, grant, access));
        match (raised_folder, raised_grant) {
            (Some(folder), None) => all.push(folder),
            (None, Some(grant)) => all.push(grant),
            (Some((edited, mut lines)), Some((_, more))) => {
                all.push((edited.clone(), lines.clone()));
                all.push((raise_grant(layout, grant, access).0, more.clone()));
                let (both, _) = raise_grant(&edited, grant, access);
                lines.extend(more);
                all.push((both, lines));
            }
            (None, None) => {}
        }
    }
    // Names of objects are less than their content, which another place would open as well.
    for list in [ListScope::Root, ListScope::Bucket] {
        if case.is_listing() && grant.list != list {
            all.push(relisted(layout, grant, list));
        }
    }
    all.extend(wider_place(layout, grant, bucket, folder.as_ref()));
    all
}

/// The deepest folder that a key lies in.
fn folder_at(layout: &Layout, bucket: &str, key: &str) -> Option<Folder> {
    let bucket = layout.buckets.iter().find(|one| one.name.as_str() == bucket)?;
    let around = bucket.folders.iter().filter(|folder| key.starts_with(folder.prefix.as_str()));
    around.max_by_key(|folder| folder.prefix.as_str().len()).cloned()
}

/// The folder of a template is the same in every project, so it is raised in all of them.
fn raise_folder(layout: &Layout, bucket: &str, wanted: &Folder, access: FolderAccess) -> (Layout, Vec<String>) {
    let mut edited = layout.clone();
    let template = layout.buckets.iter().find(|one| one.name.as_str() == bucket).and_then(|one| one.template.clone());
    for one in &mut edited.buckets {
        if one.name.as_str() != bucket && (template.is_none() || one.template != template) {
            continue;
        }
        for folder in one.folders.iter_mut().filter(|folder| folder.path == wanted.path) {
            folder.access = access;
        }
    }
    let place = template.map_or_else(|| format!("bucket `{bucket}`"), |template| format!("template `{template}`"));
    let lines = vec![format!(
        "{place}, folder `{}`: access = \"{access}\"   # was \"{}\"; it is the most that anybody gets there",
        wanted.path, wanted.access
    )];
    (edited, lines)
}

fn edit_grant(layout: &Layout, grant: &Grant, edit: impl Fn(&mut Grant)) -> Layout {
    let mut edited = layout.clone();
    edited.grants.iter_mut().filter(|one| one.policy == grant.policy).for_each(edit);
    edited
}

fn raise_grant(layout: &Layout, grant: &Grant, access: FolderAccess) -> (Layout, Vec<String>) {
    let edited = edit_grant(layout, grant, |one| one.access = access);
    (edited, vec![format!("grant `{}`: access = \"{access}\"   # was \"{}\"", grant.policy, grant.access)])
}

/// One folder more, or the bucket where no folder of the layout holds the key.
fn wider_place(layout: &Layout, grant: &Grant, bucket: &str, folder: Option<&Folder>) -> Vec<(Layout, Vec<String>)> {
    let Some(bucket) = layout.buckets.iter().find(|one| one.name.as_str() == bucket) else { return Vec::new() };
    let prefix = folder.map_or_else(Prefix::root, |folder| folder.prefix.clone());
    let place = Place { bucket: bucket.name.clone(), prefix };
    if grant.on.contains(&place) {
        return Vec::new();
    }
    let named = format!("{}/{}", place.bucket, place.prefix);
    let edited = edit_grant(layout, grant, |one| one.on.push(place.clone()));
    vec![(edited, vec![format!("grant `{}`: add \"{}\" to `on`", grant.policy, named.trim_end_matches('/'))])]
}

fn relisted(layout: &Layout, grant: &Grant, list: ListScope) -> (Layout, Vec<String>) {
    let word = |list: ListScope| match list {
        ListScope::Scoped => "scoped",
        ListScope::Root => "root",
        ListScope::Bucket => "bucket",
    };
    let edited = edit_grant(layout, grant, |one| one.list = list);
    let meaning = match list {
        ListScope::Bucket => "the names of all objects of the bucket can be seen, their content cannot",
        _ => "the names at the top level can be seen",
    };
    (
        edited,
        vec![format!(
            "grant `{}`: list = \"{}\"   # was \"{}\"; {meaning}",
            grant.policy,
            word(list),
            word(grant.list)
        )],
    )
}

/// True if the grant's bucket is the one that was asked for.
pub(in crate::doctor) fn is_about(grant: &Grant, case: &Case) -> bool {
    let bucket = bucket_of(case.request.resource());
    grant.on.iter().any(|place| place.bucket.as_str() == bucket)
}

/// True if a policy of this name is the grant's, or one of the parts that it was split into.
pub(in crate::doctor) fn is_of(grant: &Grant, name: &str) -> bool {
    let part = name.strip_prefix(grant.policy.as_str());
    part.is_some_and(|rest| {
        rest.is_empty() || rest.strip_prefix('-').is_some_and(|number| number.parse::<u16>().is_ok())
    })
}

/// True if the caller has the grant's policy.
pub(in crate::doctor) fn has(layers: &Layers, grant: &Grant) -> bool {
    layers.identity.held().iter().any(|held| is_of(grant, &held.policy.name))
}

/// True if the layout attaches the grant's policy to the role that asks.
fn targets(case: &Case, grant: &Grant) -> bool {
    let Some(role) = case.role_name() else { return false };
    grant.attach.iter().any(|target| match target {
        AttachTarget::Role(name) => name.eq_ignore_ascii_case(&role),
        AttachTarget::Irsa(to) | AttachTarget::PodIdentity(to) => to.role.eq_ignore_ascii_case(&role),
        AttachTarget::NodeGroups { cluster, node_groups } => {
            let is_it = |arn: &Arn| RoleName::of_arn(arn).is_some_and(|name| name.as_str().eq_ignore_ascii_case(&role));
            let mut clusters = case.around.clusters.iter().filter(|one| one.name == *cluster);
            clusters.any(|one| one.groups(node_groups).any(|(_, arn)| is_it(arn)))
        }
    })
}

/// The layers in which the caller has just what the layout says of this grant.
pub(in crate::doctor) fn with_documents(
    case: &Case,
    layers: &Layers,
    layout: &Layout,
    grant: &Grant,
) -> Option<Layers> {
    let made = documents(layout, grant)?;
    let mut after = layers.clone();
    let Standing::Held(held) = &mut after.identity else { return None };
    held.retain(|one| !is_of(grant, &one.policy.name));
    let new = made.into_iter().map(|policy| Held {
        policy,
        text: PolicyJson(String::new()),
        arn: None,
        owner: Some(case.layout_id().unwrap_or_default()),
        version: None,
        since: None,
        others: Vec::new(),
    });
    held.extend(new);
    Some(after)
}

/// What of the grant is in force for the caller.
fn current(layers: &Layers, grant: &Grant) -> Vec<Arc<Policy>> {
    let held = layers.identity.held().iter().filter(|held| is_of(grant, &held.policy.name));
    held.map(|held| Arc::clone(&held.policy)).collect()
}

/// The documents that the layout makes of a grant.
pub(in crate::doctor) fn documents(layout: &Layout, grant: &Grant) -> Option<Vec<Arc<Policy>>> {
    let partition = layout.region.as_ref().map_or("aws", Region::partition).to_owned();
    let frame = Frame { partition, guard: None };
    let made = generate::identity(&Entitlement::of_grant(layout, grant), Form::Least, &frame).ok()?;
    let read = |one: generate::Generated| {
        let held = Held::new(&one.name, &PolicyJson(one.document.to_string())).ok()?;
        Some(held.policy)
    };
    made.into_iter().map(read).collect()
}
