//! Which statements differ, by what they mean: matched by meaning, then by Sid.

use super::Side;
use crate::policy::principal::Principals;
use crate::policy::{ActionPattern, ArnPattern, OneOrMany, Policy, Statement};
use std::collections::BTreeSet;

/// How many entries of a list are told before the rest is counted.
const TOLD: usize = 4;

/// What happened to a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EditKind {
    /// It is new.
    Added,
    /// It is gone.
    Removed,
    /// It says something else.
    Changed,
}

/// One statement that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// Its Sid, or its place.
    pub statement: String,
    /// What happened.
    pub kind: EditKind,
    /// What it says, or what of it differs.
    pub detail: String,
}

/// A statement with its elements in one spelling.
struct Said {
    name: String,
    sid: Option<String>,
    /// Element by element, sorted.
    elements: [(&'static str, BTreeSet<String>); 8],
}

impl Said {
    fn of((policy, index, statement): (&Policy, usize, &Statement), several: bool) -> Self {
        let sid = statement.sid.clone().filter(|sid| !sid.is_empty());
        let name = sid.clone().unwrap_or_else(|| format!("statement {}", index + 1));
        let actions = |list: &Option<OneOrMany<ActionPattern>>| {
            let entries = list.iter().flat_map(|list| &list.items);
            entries.map(|entry| entry.text.clone()).collect::<BTreeSet<_>>()
        };
        let arns = |list: &Option<OneOrMany<ArnPattern>>| {
            list.iter().flat_map(|list| &list.items).map(|entry| entry.text.clone()).collect::<BTreeSet<_>>()
        };
        let named = |principals: &Option<Principals>| {
            let entries = principals.iter().flat_map(|principals| match principals {
                Principals::Text(text) => vec![text.clone()],
                Principals::Map(_) => principals.entries().map(|entry| entry.text.clone()).collect(),
            });
            entries.collect::<BTreeSet<_>>()
        };
        Self {
            name: if several { format!("{name} of {}", policy.name) } else { name },
            sid,
            elements: [
                ("Effect", statement.effect_text.iter().cloned().collect()),
                ("Principal", named(&statement.principal)),
                ("NotPrincipal", named(&statement.not_principal)),
                ("Action", actions(&statement.action)),
                ("NotAction", actions(&statement.not_action)),
                ("Resource", arns(&statement.resource)),
                ("NotResource", arns(&statement.not_resource)),
                ("Condition", conditions(statement)),
            ],
        }
    }

    /// The whole statement in a line.
    fn line(&self) -> String {
        let told = self.elements.iter().filter(|(_, entries)| !entries.is_empty());
        told.map(|(name, entries)| format!("{name} {}", list(entries.iter()))).collect::<Vec<_>>().join("; ")
    }

    /// Element by element, what came and what went.
    fn against(&self, before: &Self) -> String {
        let mut parts = Vec::new();
        for ((name, new), (_, old)) in self.elements.iter().zip(&before.elements) {
            let come: Vec<&String> = new.difference(old).collect();
            let gone: Vec<&String> = old.difference(new).collect();
            if !come.is_empty() {
                parts.push(format!("{name} + {}", list(come.into_iter())));
            }
            if !gone.is_empty() {
                parts.push(format!("{name} - {}", list(gone.into_iter())));
            }
        }
        parts.join("; ")
    }
}

/// The conditions of a statement, value by value.
fn conditions(statement: &Statement) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for block in statement.condition.iter().flatten() {
        for key in &block.keys {
            let values =
                key.values.items.iter().map(|value| format!("{} {} {}", block.operator_text, key.name, value.text));
            all.extend(values);
        }
    }
    all
}

/// The statement that has taken this one's place: of the same Sid, or else without one and much the same.
fn partner(one: &Said, others: &[Said]) -> Option<usize> {
    if one.sid.is_some() {
        return others.iter().position(|other| other.sid == one.sid);
    }
    let equal = |other: &Said| one.elements.iter().zip(&other.elements).filter(|(one, other)| one == other).count();
    let candidates = others.iter().enumerate().filter(|(_, other)| other.sid.is_none());
    let scored = candidates.map(|(index, other)| (equal(other), std::cmp::Reverse(index)));
    let (score, std::cmp::Reverse(index)) = scored.max()?;
    // What differs in more than two elements, or in its effect, is another statement.
    (score + 2 >= one.elements.len() && one.elements[0] == others[index].elements[0]).then_some(index)
}

fn list<'text>(entries: impl ExactSizeIterator<Item = &'text String>) -> String {
    let more = entries.len().saturating_sub(TOLD);
    let told: Vec<&str> = entries.take(TOLD).map(String::as_str).collect();
    if more > 0 { format!("{} and {more} more", told.join(", ")) } else { told.join(", ") }
}

/// The statements that differ, those of `before` first.
pub fn edits(before: &Side, after: &Side) -> Vec<Edit> {
    let said = |side: &Side| -> Vec<Said> {
        let several = side.policies.len() > 1;
        side.statements().map(|statement| Said::of(statement, several)).collect()
    };
    let (mut old, mut new) = (said(before), said(after));
    // What says the same is no edit, wherever it stands and whatever it is called.
    old.retain(|one| match new.iter().position(|other| other.elements == one.elements) {
        Some(index) => {
            new.remove(index);
            false
        }
        None => true,
    });
    let mut edits = Vec::new();
    for one in old {
        let partner = partner(&one, &new);
        edits.push(match partner {
            Some(index) => {
                let other = new.remove(index);
                Edit { detail: other.against(&one), statement: other.name, kind: EditKind::Changed }
            }
            None => Edit { detail: one.line(), statement: one.name, kind: EditKind::Removed },
        });
    }
    edits.extend(new.into_iter().map(|one| Edit { detail: one.line(), statement: one.name, kind: EditKind::Added }));
    edits
}
