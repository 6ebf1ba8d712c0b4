//! A statement as rules look at it: its entries with their places, and what they amount to.

use super::Subject;
use crate::policy::catalog::{ActionSet, S3};
use crate::policy::condition::{ConditionBlock, ConditionKey};
use crate::policy::document::{ActionPattern, Document, Effect, OneOrMany, Statement};
use crate::policy::mistake::Fault;
use crate::policy::path::DocumentPath;
use crate::policy::principal::Principals;

/// A text that no pattern with a letter of its own matches.
pub(super) const PROBE: &str = "\u{1}\u{1}\u{1}\u{1}\u{1}\u{1}\u{1}\u{1}\u{1}\u{1}\u{1}\u{1}\u{1}\u{1}\u{1}\u{1}";

/// A statement with what it is part of.
#[derive(Debug)]
pub(super) struct Scope<'a> {
    pub(super) statement: &'a Statement,
    pub(super) document: &'a Document,
    pub(super) subject: &'a Subject<'a>,
    /// The S3 actions that it is about.
    s3_actions: ActionSet,
    /// Pointers of the elements from which something was left out, so that places inside would be wrong.
    broken: Vec<String>,
}

/// A key of a condition with its place.
#[derive(Debug, Clone)]
pub(super) struct KeyAt<'a> {
    pub(super) block: &'a ConditionBlock,
    pub(super) key: &'a ConditionKey,
    pub(super) path: DocumentPath,
}

impl<'a> Scope<'a> {
    pub(super) fn new(statement: &'a Statement, document: &'a Document, subject: &'a Subject<'a>) -> Self {
        let start = format!("{}/", statement.path.pointer());
        let wrong_type = document.defects().iter().filter(|defect| matches!(defect.fault, Fault::WrongType { .. }));
        let broken = wrong_type.map(|defect| defect.path.pointer()).filter(|path| path.starts_with(&start)).collect();
        Self { statement, document, subject, s3_actions: s3_actions(statement), broken }
    }

    /// The place of an element of the statement.
    pub(super) fn path(&self, element: &str) -> DocumentPath {
        self.statement.path.name(element)
    }

    /// True if the element is there, but of a type that could not be read.
    pub(super) fn is_unreadable(&self, element: &str) -> bool {
        let path = self.path(element);
        self.document.defects().iter().any(|defect| defect.path == path)
    }

    /// The entries of a list that stands at `path`, each with its place.
    pub(super) fn entries<T>(&self, path: &DocumentPath, list: &'a OneOrMany<T>) -> Vec<(DocumentPath, &'a T)> {
        let whole = self.broken.is_empty() || {
            let start = format!("{}/", path.pointer());
            !self.broken.iter().any(|broken| broken.starts_with(&start))
        };
        let place = |index| if whole { list.item_path(path, index) } else { path.clone() };
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

fn union(list: &OneOrMany<ActionPattern>) -> ActionSet {
    list.items.iter().fold(ActionSet::default(), |set, action| set.or(S3.matching(action)))
}

fn s3_actions(statement: &Statement) -> ActionSet {
    match (&statement.action, &statement.not_action) {
        (Some(actions), _) => union(actions),
        (None, Some(excepted)) if !excepted.items.is_empty() => union(excepted).complement(),
        (None, _) => ActionSet::default(),
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
