//! Which folders a bucket was meant to have: projects with the same folders each, or a plain list of folders.
//!
//! A folder counts as meant if somebody marked it. Folders that only their objects make count at the top level, and one
//! level below where every project has the same.

use super::survey::{Seen, Survey};
use crate::layout::MarkerStyle;
use std::collections::{BTreeMap, BTreeSet};

/// The most folders that a layout is given.
const MAX_DECLARED: usize = 500;
/// The most folders a project may have for its shape to be one that somebody thought of.
const MAX_SHAPE: usize = 20;

/// The folders of a bucket.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Scheme {
    /// The projects that each have all of `folders`; without any, these stand at the root.
    pub(super) projects: Vec<String>,
    /// Paths without the slash at their end, each with how it is marked.
    pub(super) folders: Vec<(String, MarkerStyle)>,
    /// What was left out, in words.
    pub(super) remarks: Vec<String>,
}

/// Folders by path without the last slash.
type Folders<'survey> = BTreeMap<&'survey str, Seen>;

/// The folders that `survey` shows, as far as a layout can name them.
pub(super) fn scheme(survey: &Survey, nameable: &dyn Fn(&str) -> bool) -> Scheme {
    let mut remarks = Vec::new();
    let all: Folders<'_> =
        survey.folders.iter().map(|(prefix, seen)| (prefix.strip_suffix('/').unwrap_or(prefix), *seen)).collect();
    let count = all.len();
    let (all, unnameable) = named(&all, nameable);
    let unasked = count - all.len() - unnameable.len();
    if let Some(first) = unnameable.first() {
        let more = match unnameable.len() {
            1 => String::new(),
            count => format!(" and {} more", count - 1),
        };
        remarks.push(format!("No layout can name the folder `{first}/`{more}: left out, and left as they are."));
    }
    if survey.is_cut || unasked > 0 {
        remarks.push("The bucket has more folders than a layout names; the rest is left out.".to_owned());
    }
    let marked: Folders<'_> =
        all.iter().filter(|(_, seen)| is_marked(**seen)).map(|(path, seen)| (*path, *seen)).collect();
    let mut scheme = grid(&marked, &all).or_else(|| grid_of_unmarked(&all)).unwrap_or_else(|| flat(&marked, &all));
    if scheme.folders.len() > MAX_DECLARED {
        let more = scheme.folders.len() - MAX_DECLARED;
        scheme.folders.truncate(MAX_DECLARED);
        scheme.remarks.push(format!("{more} more folders are left out."));
    }
    scheme.remarks.splice(0..0, remarks);
    scheme
}

const fn is_marked(seen: Seen) -> bool {
    seen.slash || seen.keep
}

/// The folders that a layout can name, at most as many as are worth asking about, and the others.
fn named<'survey>(all: &Folders<'survey>, nameable: &dyn Fn(&str) -> bool) -> (Folders<'survey>, Vec<&'survey str>) {
    let (mut good, mut bad) = (Folders::new(), Vec::new());
    // Marked folders first, so that the bound leaves out what only objects make.
    let (marked, rest): (Vec<_>, Vec<_>) = all.iter().partition(|(_, seen)| is_marked(**seen));
    for (path, seen) in marked.into_iter().chain(rest).take(4 * MAX_DECLARED) {
        if nameable(path) {
            good.insert(*path, *seen);
        } else {
            bad.push(*path);
        }
    }
    (good, bad)
}

/// A folder's project, and its path there.
fn split(path: &str) -> (&str, &str) {
    path.split_once('/').unwrap_or((path, ""))
}

/// Marked folders that are the same in every project. Projects without any must be few and marked by nobody.
fn grid(marked: &Folders<'_>, all: &Folders<'_>) -> Option<Scheme> {
    let by_project = by_project(marked);
    let with_shape: BTreeMap<_, _> =
        by_project.iter().filter(|(_, folders)| folders.keys().any(|path| !path.is_empty())).collect();
    let outsiders: BTreeSet<&str> =
        all.keys().map(|path| split(path).0).filter(|project| !with_shape.contains_key(project)).collect();
    let is_meant = outsiders.iter().any(|project| by_project.contains_key(project));
    if is_meant || !outsiders.is_empty() && outsiders.len() >= with_shape.len() {
        return None;
    }
    let shape = shape(&with_shape.values().copied().collect::<Vec<_>>())?;
    if with_shape.len() < 2 && shape.len() < 2 {
        return None;
    }
    let remarks = outsiders.iter().map(|project| format!("`{project}/` is not like the projects, and is left out."));
    Some(Scheme {
        projects: with_shape.keys().map(|project| (**project).to_owned()).collect(),
        folders: shape,
        remarks: remarks.collect(),
    })
}

/// The same for folders that nobody marked: every folder at the top level must be a project.
fn grid_of_unmarked(all: &Folders<'_>) -> Option<Scheme> {
    let by_project = by_project(all);
    if by_project.len() < 2 || by_project.values().any(|folders| folders.keys().all(|path| path.is_empty())) {
        return None;
    }
    let shape = shape(&by_project.values().collect::<Vec<_>>())?;
    let projects = by_project.keys().map(|project| (*project).to_owned()).collect();
    Some(Scheme { projects, folders: shape, remarks: Vec::new() })
}

fn by_project<'survey>(folders: &Folders<'survey>) -> BTreeMap<&'survey str, Folders<'survey>> {
    let mut projects: BTreeMap<&str, Folders<'_>> = BTreeMap::new();
    for (path, seen) in folders {
        let (project, rest) = split(path);
        projects.entry(project).or_default().insert(rest, *seen);
    }
    projects
}

/// The folders that all projects have; none if they differ. A project's own folder counts only if every project marks it.
fn shape(projects: &[&Folders<'_>]) -> Option<Vec<(String, MarkerStyle)>> {
    let inner = |folders: &Folders<'_>| -> Vec<String> {
        folders.keys().filter(|path| !path.is_empty()).map(|path| (*path).to_owned()).collect()
    };
    let first = inner(projects.first()?);
    if first.is_empty() || first.len() > MAX_SHAPE || projects.iter().any(|folders| inner(folders) != first) {
        return None;
    }
    let style_of = |path: &str| {
        let mut styles = projects.iter().map(|folders| folders.get(path).copied().unwrap_or_default().style());
        let first = styles.next().unwrap_or(MarkerStyle::None);
        // Where projects differ none is asked for: a marker that is missing would be planned.
        if styles.all(|style| style == first) { first } else { MarkerStyle::None }
    };
    let own = Some(String::new()).filter(|path| style_of(path) != MarkerStyle::None);
    Some(own.into_iter().chain(first).map(|path| (path.clone(), style_of(&path))).collect())
}

/// Every marked folder, and what lies at the top level without one.
fn flat(marked: &Folders<'_>, all: &Folders<'_>) -> Scheme {
    let has_inside =
        |path: &str| marked.keys().any(|other| other.strip_prefix(path).is_some_and(|rest| rest.starts_with('/')));
    let meant = |path: &str, seen: Seen| is_marked(seen) || !path.contains('/') && !has_inside(path);
    let folders = all.iter().filter(|(path, seen)| meant(path, **seen));
    Scheme { folders: folders.map(|(path, seen)| ((*path).to_owned(), seen.style())).collect(), ..Scheme::default() }
}
