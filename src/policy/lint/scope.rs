//! A statement as rules look at it: its entries with their places, and what they amount to.

use super::Subject;
use crate::policy::catalog::{ActionSet, S3};
use crate::policy::condition::{ConditionBlock, ConditionKey};
use crate::policy::document::{ActionPattern, Document, Effect, OneOrMany, Statement};
use crate::policy::mistake::Fault;
use crate::policy::path::DocumentPath;
use crate::policy::principal::Principals;
use std::collections::BTreeSet;

/// A text that no pattern with a letter of its own matches.
pub(super) const PROBE: &str = "\u{1}\u{1}\u{1}\u{1}\u{1}\u{1}\u{1}\u{1}\u{1}\u{1}\u{1}\u{1}\u{1}\u{1}\u{1}\u{1}";

/// What is linted, with what rules ask of it more than once.
#[derive(Debug)]
pub(super) struct Whole<'a> {
    pub(super) document: &'a Document,
    pub(super) subject: &'a Subject<'a>,
    /// True if any statement denies.
    pub(super) denies: bool,
    /// Pointers of elements that could not be read, and were left out.
    unreadable: BTreeSet<String>,
}

impl<'a> Whole<'a> {
    pub(super) fn new(document: &'a Document, subject: &'a Subject<'a>) -> Self {
        let wrong_type = document.defects().iter().filter(|defect| matches!(defect.fault, Fault::WrongType { .. }));
        let unreadable = wrong_type.map(|defect| defect.path.pointer()).collect();
        let denies = document.statements().iter().any(|statement| statement.effect == Some(Effect::Deny));
        Self { document, subject, denies, unreadable }
    }

    /// True if the element is there, but of a type that could not be read.
    pub(super) fn is_unreadable(&self, path: &DocumentPath) -> bool {
        self.unreadable.contains(&path.pointer())
    }

    /// True if something was left out of the list at `path`, so that the places of its entries are not known.
    fn lacks_entries(&self, path: &DocumentPath) -> bool {
        let start = format!("{}/", path.pointer());
        self.unreadable.range(start.clone()..).next().is_some_and(|first| first.starts_with(&start))
    }
}

/// A statement with what it is part of.
#[derive(Debug)]
pub(super) struct Scope<'a> {
    pub(super) statement: &'a Statement,
    pub(super) whole: &'a Whole<'a>,
    pub(super) document: &'a Document,
    pub(super) subject: &'a Subject<'a>,
    /// The S3 actions that it is about.
    s3_actions: ActionSet,
    /// What each entry of `Action` means in S3.
    s3_entries: Vec<ActionSet>,
}

/// A key of a condition with its place.
#[derive(Debug, Clone)]
pub(super) struct KeyAt<'a> {
    pub(super) block: &'a ConditionBlock,
    pub(super) key: &'a ConditionKey,
    pub(super) path: DocumentPath,
}

impl<'a> Scope<'a> {
    pub(super) fn new(statement: &'a Statement, whole: &'a Whole<'a>) -> Self {
        let Whole { document, subject, .. } = *whole;
        let sets = |list: &OneOrMany<ActionPattern>| list.items.iter().map(|action| S3.matching(action)).collect();
        let s3_entries: Vec<ActionSet> = statement.action.as_ref().map(sets).unwrap_or_default();
        let union = |sets: &[ActionSet]| sets.iter().fold(ActionSet::default(), |union, set| union.or(*set));
        let s3_actions = match (&statement.action, &statement.not_action) {
            (None, Some(excepted)) if !excepted.items.is_empty() => union(&sets(excepted)).complement(),
            _ => union(&s3_entries),
        };
        Self { statement, whole, document, subject, s3_actions, s3_entries }
    }

    /// The place of an element of the statement.
    pub(super) fn path(&self, element: &str) -> DocumentPath {
        self.statement.path.name(element)
    }

    /// The entries of a list that stands at `path`, each with its place.
    pub(super) fn entries<T>(&self, path: &DocumentPath, list: &'a OneOrMany<T>) -> Vec<(DocumentPath, &'a T)> {
        let vague = self.whole.lacks_entries(path);
        let place = |index| if vague { path.clone() } else { list.item_path(path, index) };
        list.items.iter().enumerate().map(|(index, item)| (place(index), item)).collect()
    }

    /// The entries of one of the statement's lists.
    pub(super) fn listed<T>(&self, element: &str, list: Option<&'a OneOrMany<T>>) -> Vec<(DocumentPath, &'a T)> {
        list.map(|list| self.entries(&self.path(element), list)).unwrap_or_default()
    }

    /// `Principal` and `NotPrincipal`, with their names.
    pub(super) fn principals(&self) -> impl Iterator<Item = (&'static str, &'a Principals)> {
        let plain = self.statement.principal.as_ref().map(|principals| ("Principal", principals));
        plain.into_iter().chain(self.statement.not_principal.as_ref().map(|principals| ("NotPrincipal", principals)))
    }

    /// Every condition key with its place.
    pub(super) fn keys(&self) -> Vec<KeyAt<'a>> {
        let start = self.path("Condition");
        let blocks = self.statement.condition.as_deref().unwrap_or_default();
        let key = |block: &'a ConditionBlock| {
            let path = start.name(&block.operator_text);
            block.keys.iter().map(move |key| KeyAt { block, key, path: path.name(&key.name) })
        };
        blocks.iter().flat_map(key).collect()
    }

    pub(super) fn allows(&self) -> bool {
        self.statement.effect == Some(Effect::Allow)
    }

    pub(super) fn denies(&self) -> bool {
        self.statement.effect == Some(Effect::Deny)
    }

    /// True if what it allows is somebody's gain.
    pub(super) fn grants(&self) -> bool {
        self.allows() && self.subject.kind.grants()
    }

    /// The S3 actions that it is about.
    pub(super) const fn s3_actions(&self) -> ActionSet {
        self.s3_actions
    }

    /// The entries of `Action`, each with what it means in S3.
    pub(super) fn actions(&self) -> impl Iterator<Item = (&'a ActionPattern, ActionSet)> + '_ {
        let actions = self.statement.action.iter().flat_map(|list| &list.items);
        actions.zip(self.s3_entries.iter().copied())
    }

    /// True if everybody is meant.
    pub(super) fn is_about_everybody(&self) -> bool {
        self.statement.principal.as_ref().is_some_and(Principals::is_everybody)
    }

    /// True if it names services only, which do as they are documented to.
    pub(super) fn is_about_services(&self) -> bool {
        match &self.statement.principal {
            Some(Principals::Map(groups)) => !groups.is_empty() && groups.iter().all(|group| group.key == "Service"),
            _ => false,
        }
    }
}

/// Names as a message lists them: three, and how many more.
pub(super) fn names<'name>(names: impl IntoIterator<Item = &'name str>) -> String {
    let names: Vec<&str> = names.into_iter().collect();
    let shown: Vec<String> = names.iter().take(3).map(|name| format!("`{name}`")).collect();
    match names.len().saturating_sub(3) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}
