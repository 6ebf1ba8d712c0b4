//! Templates: trees of folders, each possibly built on another.

use crate::layout::builtin;
use crate::layout::mistakes::{Mistakes, Span, quote};
use crate::layout::names;
use crate::layout::nearest::listed;
use crate::layout::section::{Entry, Found, Section};
use crate::layout::{FolderAccess, MarkerStyle};
use std::collections::{BTreeMap, BTreeSet};

/// How many templates may extend one another in a row.
const MAX_EXTENDS: usize = 16;

/// One folder of a template; what is left open comes from the template it extends, or from the defaults.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::layout) struct FolderSpec {
    pub(in crate::layout) path: String,
    pub(in crate::layout) access: Option<FolderAccess>,
    pub(in crate::layout) noncurrent_days: Option<u32>,
    pub(in crate::layout) markers: Option<MarkerStyle>,
}

/// A template as written.
#[derive(Debug, Clone, Default)]
pub(in crate::layout) struct Template {
    /// The template it extends, and where that is said.
    extends: Option<(String, Span)>,
    folders: Vec<FolderSpec>,
    /// Some of it could not be read, so what it lacks may be there.
    broken: bool,
}

/// The folders of a template, all extensions merged.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::layout) struct Tree {
    pub(in crate::layout) folders: Vec<FolderSpec>,
    /// Some of it could not be read, so what it lacks may be there.
    pub(in crate::layout) broken: bool,
}

/// The templates of a file; shipped ones stand behind them.
#[derive(Debug, Default)]
pub(in crate::layout) struct Templates {
    own: BTreeMap<String, Template>,
}

impl Templates {
    /// Reads the tables `[template.NAME]` and reports every mistake in them, used or not.
    pub(in crate::layout) fn read(entries: &[Entry], mistakes: &mut Mistakes) -> Self {
        let mut own = BTreeMap::new();
        for entry in entries {
            let template = entry.section().map_or_else(
                || Template { broken: true, ..Template::default() },
                |section| template(section, mistakes),
            );
            own.insert(entry.key.clone(), template);
        }
        let templates = Self { own };
        for entry in entries {
            templates.check_extends(&entry.key, mistakes);
        }
        templates
    }

    fn get(&self, name: &str) -> Option<&Template> {
        self.own.get(name).or_else(|| builtin::template(name))
    }

    fn names(&self) -> BTreeSet<&str> {
        self.own.keys().map(String::as_str).chain(builtin::template_names()).collect()
    }

    /// The merged folders of the template that a bucket names; none, reported, if there is no such template.
    pub(in crate::layout) fn find(&self, wanted: Found<'_, &str>, mistakes: &mut Mistakes) -> Option<Tree> {
        if self.get(wanted.value).is_none() {
            self.report_unknown(wanted.value, wanted.span, mistakes);
            return None;
        }
        Some(self.merged(wanted.value))
    }

    fn report_unknown(&self, name: &str, span: &Span, mistakes: &mut Mistakes) {
        let names = if mistakes.are_many() { BTreeSet::new() } else { self.names() };
        let near = mistakes.near(name, names.iter().copied());
        mistakes
            .at(span, format!("there is no template {}{near}", quote(name)))
            .help(format!("templates: {}", listed(names)));
    }

    /// The templates from `name` down to the one that extends nothing. Stops where the chain breaks, turns or is too long.
    fn chain<'a>(&'a self, name: &'a str) -> (Vec<&'a str>, ChainEnd) {
        let mut chain = vec![name];
        let mut current = name;
        loop {
            let Some(template) = self.get(current) else {
                return (chain, ChainEnd::Unknown);
            };
            let Some((next, _)) = &template.extends else {
                return (chain, ChainEnd::Root);
            };
            if let Some(start) = chain.iter().position(|above| above == next) {
                return (chain, ChainEnd::Circle(start));
            }
            if chain.len() >= MAX_EXTENDS {
                return (chain, ChainEnd::TooLong);
            }
            chain.push(next);
            current = next;
        }
    }

    fn check_extends(&self, name: &str, mistakes: &mut Mistakes) {
        let Some((base, span)) = self.own.get(name).and_then(|template| template.extends.as_ref()) else { return };
        if self.get(base).is_none() {
            self.report_unknown(base, span, mistakes);
            return;
        }
        let (chain, end) = self.chain(name);
        match end {
            // Every member of a circle sees it; the first by name tells.
            ChainEnd::Circle(0) if chain.iter().all(|member| *member >= name) => {
                let circle = chain.iter().copied().chain([name]).collect::<Vec<_>>().join(" -> ");
                let mistake = mistakes.at(span, format!("templates extend one another in a circle: {circle}"));
                if chain.len() == 1 && builtin::template(name).is_some() {
                    mistake.help(format!("to extend the shipped template, call this one `[template.my-{name}]`"));
                }
            }
            ChainEnd::TooLong => {
                mistakes.at(span, format!("more than {MAX_EXTENDS} templates extend one another here"));
            }
            ChainEnd::Root | ChainEnd::Unknown | ChainEnd::Circle(_) => {}
        }
    }

    fn merged(&self, name: &str) -> Tree {
        let (chain, end) = self.chain(name);
        let mut tree = Tree { folders: Vec::new(), broken: !matches!(end, ChainEnd::Root) };
        let mut places: BTreeMap<&str, usize> = BTreeMap::new();
        for template in chain.iter().rev().filter_map(|name| self.get(name)) {
            tree.broken |= template.broken;
            for folder in &template.folders {
                match places.get(folder.path.as_str()) {
                    Some(place) => tree.folders[*place].take_over(folder),
                    None => {
                        places.insert(&folder.path, tree.folders.len());
                        tree.folders.push(folder.clone());
                    }
                }
            }
        }
        tree
    }
}

/// How a chain of extensions ends.
enum ChainEnd {
    Root,
    Unknown,
    /// At the member with this index.
    Circle(usize),
    TooLong,
}

impl FolderSpec {
    /// What the extending template says wins; what it leaves open stays.
    fn take_over(&mut self, newer: &Self) {
        self.access = newer.access.or(self.access);
        self.noncurrent_days = newer.noncurrent_days.or(self.noncurrent_days);
        self.markers = newer.markers.or(self.markers);
    }
}

/// Reads one `[template.NAME]`.
pub(in crate::layout) fn template(section: &Section, mistakes: &mut Mistakes) -> Template {
    let mut folders: Vec<FolderSpec> = Vec::new();
    let mut seen = BTreeMap::new();
    let mut broken = section.is_broken("folders") || section.is_broken("extends");
    for folder in section.sections("folders") {
        let Some(path) = folder.text("path") else {
            broken = true;
            continue;
        };
        if mistakes.take(path.span, names::folder_path(path.value)).is_none() {
            broken = true;
            continue;
        }
        if seen.insert(path.value, ()).is_some() {
            mistakes.at(path.span, format!("folder `{}` is there twice", path.value)).help("remove one of them");
            continue;
        }
        folders.push(FolderSpec {
            path: path.value.to_owned(),
            access: folder.text("access").map(|word| super::access(word.value)),
            noncurrent_days: folder.whole("noncurrent_days"),
            markers: folder.text("markers").map(|word| super::markers(word.value)),
        });
    }
    let extends = section.text("extends").map(|base| (base.value.to_owned(), base.span.clone()));
    Template { extends, folders, broken }
}
