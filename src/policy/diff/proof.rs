//! Proves that an atom which only one side has changes nothing, where sampling found no change.
//!
//! A request opens only through an Allow of the new side that no Allow of the old side covers, or through a Deny of the
//! old side that no Deny of the new one covers. So nothing opens if each such Allow is covered by Allows of the old side
//! or by Denies of its own, and each such Deny by Denies of the new side, or if it has nothing in common with what the
//! new side allows. It closes the other way round. What cannot be proven is a doubt, and a gate must not pass on doubts.

use super::atoms::{Atom, Entry};
use super::implication::{Choice, choices};
use super::{DiffError, Side, Source};
use crate::policy::operation::{self, Aim};
use crate::policy::{ActionPattern, ArnPattern, Effect, Statement};
use std::collections::{BTreeMap, BTreeSet};

/// Why nothing could be proven.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Obstacle {
    /// Statements mean the same requests, but these condition keys cannot be compared.
    Conditions(BTreeSet<String>),
    /// No single statement of the other side means as much.
    Extent,
}

impl Obstacle {
    /// Takes in what stands in the way of another part of the statement.
    pub(super) fn join(&mut self, other: Self) {
        match (&mut *self, other) {
            (Self::Conditions(keys), Self::Conditions(more)) => keys.extend(more),
            (_, Self::Extent) => *self = Self::Extent,
            (Self::Extent, _) => {}
        }
    }
}

/// A statement of a side, compiled for comparing.
struct Rule<'side> {
    source: Source,
    effect: Effect,
    statement: &'side Statement,
    actions: Forms<ActionPattern>,
    resources: Forms<ArnPattern>,
}

/// The entries of a list, and whether they are exceptions.
struct Forms<T> {
    except: bool,
    entries: Vec<T>,
}

/// How entries stand to each other.
struct Relation<T> {
    covers: fn(&T, &T) -> bool,
    is_disjoint: fn(&T, &T) -> bool,
    is_everything: fn(&T) -> bool,
}

const ACTIONS: Relation<ActionPattern> = Relation {
    covers: ActionPattern::covers,
    is_disjoint: ActionPattern::is_disjoint,
    is_everything: ActionPattern::is_everything,
};
const RESOURCES: Relation<ArnPattern> = Relation {
    covers: ArnPattern::covers,
    is_disjoint: ArnPattern::is_disjoint,
    is_everything: ArnPattern::is_everything,
};

impl<T> Forms<T> {
    /// True only if all that `narrow` means is meant here.
    fn covers(&self, narrow: &Self, relation: &Relation<T>) -> bool {
        let within = |inner: &T, outer: &[T]| outer.iter().any(|one| (relation.covers)(one, inner));
        match (self.except, narrow.except) {
            (false, false) => narrow.entries.iter().all(|entry| within(entry, &self.entries)),
            (false, true) => self.entries.iter().any(relation.is_everything),
            (true, false) => self.is_disjoint(&narrow.entries, relation),
            (true, true) => self.entries.iter().all(|entry| within(entry, &narrow.entries)),
        }
    }

    /// True only if nothing is meant by both.
    fn has_nothing_of(&self, other: &Self, relation: &Relation<T>) -> bool {
        let within = |inner: &T, outer: &[T]| outer.iter().any(|one| (relation.covers)(one, inner));
        match (self.except, other.except) {
            (false, false) => self.is_disjoint(&other.entries, relation),
            (false, true) => self.entries.iter().all(|entry| within(entry, &other.entries)),
            (true, false) => other.entries.iter().all(|entry| within(entry, &self.entries)),
            (true, true) => false,
        }
    }

    fn is_disjoint(&self, others: &[T], relation: &Relation<T>) -> bool {
        self.entries.iter().all(|entry| others.iter().all(|other| (relation.is_disjoint)(entry, other)))
    }
}

fn actions(entry: &Entry<'_>) -> Forms<ActionPattern> {
    let (except, texts) = entry.texts();
    Forms { except, entries: texts.iter().map(|text| ActionPattern::new(text)).collect() }
}

fn resources(entry: &Entry<'_>, variables: bool) -> Forms<ArnPattern> {
    let (except, texts) = entry.texts();
    Forms { except, entries: texts.iter().map(|text| ArnPattern::resource(text, variables)).collect() }
}

/// For each rule whether it covers an entry, and whether it has nothing of it.
type Stands = Vec<(bool, bool)>;

/// Both sides, and what has been found out about their entries.
pub(super) struct Proof<'side> {
    rules: Vec<Rule<'side>>,
    by_action: BTreeMap<Entry<'side>, Stands>,
    by_resource: BTreeMap<(Entry<'side>, bool), Stands>,
    choices: BTreeMap<*const Statement, Vec<Choice<'side>>>,
    entries: u64,
}

impl<'side> Proof<'side> {
    pub(super) fn new(before: &'side Side, after: &'side Side) -> Self {
        let sides = [(before, Source::Before), (after, Source::After)];
        let rules: Vec<Rule<'side>> = sides
            .into_iter()
            .flat_map(|(side, source)| side.statements().map(move |(.., statement)| (statement, source)))
            .filter_map(|(statement, source)| {
                let (None, Some(effect)) = (statement.flaw(), statement.effect) else { return None };
                let (plain, not) = (&statement.action, &statement.not_action);
                let actions =
                    Forms { except: plain.is_none(), entries: plain.as_ref().or(not.as_ref())?.items.clone() };
                let (plain, not) = (&statement.resource, &statement.not_resource);
                let resources =
                    Forms { except: plain.is_none(), entries: plain.as_ref().or(not.as_ref())?.items.clone() };
                Some(Rule { source, effect, statement, actions, resources })
            })
            .collect();
        let entries = rules.iter().map(|rule| rule.actions.entries.len() + rule.resources.entries.len()).sum::<usize>();
        Self {
            rules,
            by_action: BTreeMap::new(),
            by_resource: BTreeMap::new(),
            choices: BTreeMap::new(),
            entries: entries as u64,
        }
    }

    /// Shows that the atom changes nothing, or says what is in the way. Takes from `work` what it costs.
    pub(super) fn settle(
        &mut self,
        atom: &Atom<'side>,
        source: Source,
        work: &mut u64,
    ) -> Result<Option<Obstacle>, DiffError> {
        self.look_up(atom, work)?;
        let choices = self.choices.entry(std::ptr::from_ref(atom.statement)).or_insert_with(|| choices(atom.statement));
        let reachable: Vec<&Choice<'_>> = choices.iter().filter(|choice| !is_inert(atom, choice)).collect();
        let meaning =
            self.by_action[&atom.action].iter().zip(&self.by_resource[&(atom.resource.clone(), atom.variables)]);
        let stands: Vec<(&Rule<'_>, bool, bool)> = self
            .rules
            .iter()
            .zip(meaning)
            .map(|(rule, (action, resource))| (rule, action.0 && resource.0, action.1 || resource.1))
            .collect();
        let covering: Vec<&Statement> = stands
            .iter()
            .filter(|(rule, covers, _)| {
                let helps = match atom.effect {
                    // Allowed by the other side too, or denied by its own.
                    Effect::Allow => (rule.effect == Effect::Allow) == (rule.source != source),
                    Effect::Deny => rule.effect == Effect::Deny && rule.source != source,
                };
                *covers && helps
            })
            .map(|(rule, ..)| rule.statement)
            .collect();
        charge(work, (reachable.len() * covering.len() + stands.len()) as u64)?;
        let beside =
            |(rule, _, apart): &(&Rule<'_>, bool, bool)| rule.source == source || rule.effect == Effect::Deny || *apart;
        if atom.effect == Effect::Deny && stands.iter().all(beside) {
            return Ok(None);
        }
        let open: Vec<&&Choice<'_>> =
            reachable.iter().filter(|choice| !covering.iter().any(|other| choice.implies(other))).collect();
        if open.is_empty() {
            return Ok(None);
        }
        let keys: BTreeSet<String> = open
            .iter()
            .flat_map(|choice| covering.iter().flat_map(|other| choice.unmet(other)))
            .map(str::to_owned)
            .collect();
        Ok(Some(if keys.is_empty() { Obstacle::Extent } else { Obstacle::Conditions(keys) }))
    }

    /// Finds out once how every rule stands to the atom's entries.
    fn look_up(&mut self, atom: &Atom<'side>, work: &mut u64) -> Result<(), DiffError> {
        if !self.by_action.contains_key(&atom.action) {
            let (meant, letters) = (actions(&atom.action), atom.action.to_string().len());
            charge(work, self.entries * letters as u64)?;
            let stand = |rule: &Rule<'_>| {
                (rule.actions.covers(&meant, &ACTIONS), rule.actions.has_nothing_of(&meant, &ACTIONS))
            };
            self.by_action.insert(atom.action.clone(), self.rules.iter().map(stand).collect());
        }
        let key = (atom.resource.clone(), atom.variables);
        if !self.by_resource.contains_key(&key) {
            let (meant, letters) = (resources(&atom.resource, atom.variables), atom.resource.to_string().len());
            charge(work, self.entries * letters as u64)?;
            let stand = |rule: &Rule<'_>| {
                (rule.resources.covers(&meant, &RESOURCES), rule.resources.has_nothing_of(&meant, &RESOURCES))
            };
            self.by_resource.insert(key, self.rules.iter().map(stand).collect());
        }
        Ok(())
    }
}

fn charge(work: &mut u64, amount: u64) -> Result<(), DiffError> {
    *work = work.checked_sub(amount).filter(|left| *left > 0).ok_or(DiffError::TooLarge)?;
    Ok(())
}

/// True only if no request can be meant: an action on what it is never asked for, or under a key that it never carries.
fn is_inert(atom: &Atom<'_>, choice: &Choice<'_>) -> bool {
    let Entry::One(action) = atom.action else { return false };
    if super::samples::is_pattern(action) {
        return false;
    }
    if choice.is_beyond(action) {
        return true;
    }
    let Entry::One(resource) = atom.resource else { return false };
    let pattern = ArnPattern::resource(resource, atom.variables);
    match (operation::aim(action), pattern.last_field()) {
        (Some(Aim::Nothing), _) => !pattern.is_everything(),
        (Some(Aim::Bucket), Some(last)) => last.always_has('/'),
        (Some(Aim::Object), Some(last)) => last.never_has('/'),
        _ => false,
    }
}
