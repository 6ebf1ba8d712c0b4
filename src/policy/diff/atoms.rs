//! Statements cut into atoms: one action entry and one resource entry each, so that what both sides have drops out.

use super::{DiffError, MAX_ATOMS, Side};
use crate::policy::arn_pattern::ArnPattern;
use crate::policy::document::{ActionPattern, OneOrMany};
use crate::policy::principal::Principals;
use crate::policy::{ConditionBlock, Context, Effect, Named, Statement};
use std::collections::BTreeSet;
use std::fmt;

/// One entry of a list, or all entries of its `Not` form.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Entry<'text> {
    One(&'text str),
    Except(Vec<&'text str>),
}

impl<'text> Entry<'text> {
    /// Its texts, and whether they are exceptions.
    pub(super) fn texts(&self) -> (bool, &[&'text str]) {
        match self {
            Self::One(text) => (false, std::slice::from_ref(text)),
            Self::Except(texts) => (true, texts),
        }
    }

    pub(super) fn means_action(&self, action: &str) -> bool {
        let lower = action.to_ascii_lowercase();
        let Some((service, name)) = lower.split_once(':') else { return false };
        let matches = |text: &str| ActionPattern::new(text).matches(service, name);
        match self {
            Self::One(text) => matches(text),
            Self::Except(texts) => !texts.iter().any(|text| matches(text)),
        }
    }

    /// Tells which resources the entry means, or might mean, once a variable in it has a value.
    pub(super) fn resources(&self) -> impl Fn(&str) -> bool {
        let (negated, texts) = self.texts();
        let patterns: Vec<ArnPattern> = texts.iter().map(|text| ArnPattern::resource(text, true)).collect();
        move |resource: &str| {
            let open = |pattern: &ArnPattern| pattern.variables().next().is_some();
            let listed = |pattern: &ArnPattern| pattern.matches(resource, Context::EMPTY);
            match negated {
                false => patterns.iter().any(|pattern| open(pattern) || listed(pattern)),
                true => patterns.iter().all(|pattern| open(pattern) || !listed(pattern)),
            }
        }
    }
}

impl fmt::Display for Entry<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(text) => out.write_str(text),
            Self::Except(texts) => write!(out, "everything but {}", texts.join(", ")),
        }
    }
}

/// One action entry and one resource entry of a statement, with the rest of it.
#[derive(Debug)]
pub(super) struct Atom<'side> {
    pub(super) effect: Effect,
    pub(super) action: Entry<'side>,
    pub(super) resource: Entry<'side>,
    pub(super) statement: &'side Statement,
    /// The name of its document, and its place there.
    pub(super) policy: &'side str,
    pub(super) index: usize,
    /// True if `${...}` stands for a value.
    pub(super) variables: bool,
    /// Principal and condition in one spelling; whether variables count.
    rest: std::rc::Rc<str>,
}

impl<'side> Atom<'side> {
    /// Equal for atoms that mean the same, whatever their statements are called.
    pub(super) fn key(&self) -> (bool, (bool, Vec<String>), &Entry<'side>, &str) {
        let (except, texts) = self.action.texts();
        let action = (except, texts.iter().map(|text| text.to_ascii_lowercase()).collect());
        (self.effect == Effect::Allow, action, &self.resource, &self.rest)
    }

    /// True if it speaks of callers whom it does not name.
    pub(super) fn names_everybody(&self) -> bool {
        self.statement.not_principal.is_some()
            || self.statement.principal.as_ref().is_some_and(Principals::is_everybody)
    }

    /// The principals that it names, as written.
    pub(super) fn principals(&self) -> Vec<String> {
        let both = [&self.statement.principal, &self.statement.not_principal];
        let entries = both.into_iter().flatten().flat_map(Principals::entries);
        let named = entries.filter(|entry| !matches!(entry.named, Named::Everybody | Named::Nobody));
        named.map(|entry| entry.text.clone()).collect()
    }
}

/// All atoms of a side. Statements that can have no effect have none.
pub(super) fn atoms(side: &Side) -> Result<Vec<Atom<'_>>, DiffError> {
    let mut atoms = Vec::new();
    for (policy, index, statement) in side.statements() {
        let (None, Some(effect)) = (statement.flaw(), statement.effect) else { continue };
        let actions = entries(statement.action.as_ref(), statement.not_action.as_ref(), |entry| &entry.text);
        let resources = entries(statement.resource.as_ref(), statement.not_resource.as_ref(), |entry| &entry.text);
        if atoms.len() + actions.len().saturating_mul(resources.len()) > MAX_ATOMS {
            return Err(DiffError::TooLarge);
        }
        let variables = policy.document.has_variables();
        let rest: std::rc::Rc<str> = rest(statement, variables).into();
        for action in &actions {
            atoms.extend(resources.iter().map(|resource| Atom {
                effect,
                action: action.clone(),
                resource: resource.clone(),
                statement,
                policy: &policy.name,
                index,
                variables,
                rest: rest.clone(),
            }));
        }
    }
    Ok(atoms)
}

fn entries<'side, T>(
    plain: Option<&'side OneOrMany<T>>,
    not: Option<&'side OneOrMany<T>>,
    text: impl Fn(&'side T) -> &'side String,
) -> Vec<Entry<'side>> {
    match (plain, not) {
        (Some(plain), _) => plain.items.iter().map(|entry| Entry::One(text(entry))).collect(),
        (None, Some(not)) => {
            let mut texts: Vec<&str> = not.items.iter().map(|entry| text(entry).as_str()).collect();
            texts.sort_unstable();
            vec![Entry::Except(texts)]
        }
        (None, None) => Vec::new(),
    }
}

/// True if the statement is about an action.
pub(super) fn means_action(statement: &Statement, action: &str) -> bool {
    let lists = entries(statement.action.as_ref(), statement.not_action.as_ref(), |entry| &entry.text);
    lists.iter().any(|entry| entry.means_action(action))
}

/// What an atom shares with its whole statement, in one spelling. Texts are quoted, so no two meanings share one.
fn rest(statement: &Statement, variables: bool) -> String {
    let principals = |principals: Option<&Principals>| {
        let Some(principals) = principals else { return "none".to_owned() };
        if principals.is_everybody() {
            return "everybody".to_owned();
        }
        let entries = principals.entries().map(|entry| format!("{:?} {:?}", entry.named, entry.text));
        entries.collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>().join(", ")
    };
    let condition: Vec<String> = conditions(statement).into_iter().collect();
    format!(
        "{variables} | {} | {} | {}",
        principals(statement.principal.as_ref()),
        principals(statement.not_principal.as_ref()),
        condition.join(" | ")
    )
}

/// The conditions of a statement, each in one spelling.
fn conditions(statement: &Statement) -> BTreeSet<String> {
    let of_block = |block: &ConditionBlock| {
        let operator = block.operator_text.clone();
        let keys = block.keys.iter().map(|key| {
            let values: BTreeSet<&str> = key.values.items.iter().map(|value| value.text.as_str()).collect();
            format!("{operator:?} {:?} {values:?}", key.name.to_ascii_lowercase())
        });
        keys.collect::<Vec<_>>()
    };
    statement.condition.iter().flatten().flat_map(of_block).collect()
}
