//! The contexts that conditions tell apart: for each key the values that entries mean, one that nobody means, and none.

use super::DiffError;
use super::samples::Filler;
use crate::policy::{ConditionBlock, ConditionKey, Context, Statement, Test, Value, operation};
use std::collections::{BTreeMap, BTreeSet};

/// The most contexts of one request.
const MAX_CONTEXTS: usize = 50_000;

/// By name in lower case: the name as written, and the values that are told apart.
type Keys = BTreeMap<String, (String, Vec<Candidate>)>;

/// A value that a key can have, and the entry that it comes from.
#[derive(Debug, Clone, PartialEq)]
struct Candidate {
    /// None for a key that is absent.
    value: Option<Value>,
    /// What people are told: the entry as written, or the value itself.
    told: Option<String>,
}

/// A context with where its values come from.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Probe {
    /// The condition keys.
    pub(super) values: Context,
    /// By key in lower case: the name, and what is told of its value.
    told: BTreeMap<String, (String, Option<String>)>,
}

impl Probe {
    /// What every request carries: it comes over TLS.
    fn base() -> Self {
        Self { values: Context::default().with("aws:SecureTransport", "true"), told: BTreeMap::new() }
    }

    fn with(&self, name: &str, candidate: &Candidate) -> Self {
        let mut probe = self.without(&name.to_ascii_lowercase());
        match &candidate.value {
            Some(value) => probe.values.set(name, value.clone()),
            // Only keys of the base can be there already.
            None => probe.values = without_key(&probe.values, name),
        }
        probe.told.insert(name.to_ascii_lowercase(), (name.to_owned(), candidate.told.clone()));
        probe
    }

    /// What both ask for; where they differ, what the other does.
    fn and(&self, other: &Self) -> Self {
        let mut both = self.clone();
        for (key, (name, told)) in &other.told {
            let value = other.values.value(key).cloned();
            both = both.with(name, &Candidate { value, told: told.clone() });
        }
        both
    }

    /// The keys that were given, in lower case.
    pub(super) fn keys(&self) -> Vec<String> {
        self.told.keys().cloned().collect()
    }

    /// The probe without one of its keys, which is then as every request has it.
    pub(super) fn without(&self, key: &str) -> Self {
        let mut probe = self.clone();
        if probe.told.remove(key).is_some() || Self::base().values.value(key).is_some() {
            let base = Self::base().values.value(key).cloned();
            probe.values = without_key(&probe.values, key);
            if let Some(value) = base {
                probe.values.set(key, value);
            }
        }
        probe
    }

    /// The keys that were given, each with what is told of its value.
    pub(super) fn given(&self) -> Vec<(String, Option<String>)> {
        self.told.values().cloned().collect()
    }
}

fn without_key(context: &Context, name: &str) -> Context {
    let mut rest = Context::default();
    for (key, value) in context.iter().filter(|(key, _)| !key.eq_ignore_ascii_case(name)) {
        rest.set(key, value.clone());
    }
    rest
}

/// Every key that some statements about an action have conditions on, with its candidates.
pub(super) struct Candidates {
    keys: Keys,
    contexts: Vec<Probe>,
    /// One key alone each time, of those that a request need not carry.
    alone: Vec<Probe>,
}

impl Candidates {
    /// What the conditions of `statements`, all about `action`, tell apart.
    pub(super) fn of(statements: &[&Statement], action: &str, filler: &Filler) -> Result<Self, DiffError> {
        let keys = keys(statements, action, filler)?;
        let base = Probe::base();
        let witnesses: Vec<Probe> = statements.iter().filter_map(|statement| witness(statement, &keys)).collect();
        let mut contexts = Contexts::default();
        contexts.add(base.clone())?;
        for witness in &witnesses {
            contexts.add(witness.clone())?;
        }
        // Where one key is all that a statement asks for, its values differ from those of the base by nothing else.
        let starts = witnesses.iter().filter(|witness| witness.told.len() > 1);
        for start in std::iter::once(&base).chain(starts) {
            for (name, candidates) in keys.values() {
                for candidate in candidates {
                    contexts.add(start.with(name, candidate))?;
                }
            }
        }
        // What two statements ask for together.
        for one in &witnesses {
            for other in &witnesses {
                contexts.add(one.and(other))?;
            }
        }
        let free = keys.values().filter(|(name, _)| base.values.value(name).is_none());
        let alone = free.flat_map(|(name, candidates)| {
            let given = candidates.iter().filter(|candidate| candidate.value.is_some());
            given.map(|candidate| base.with(name, candidate)).collect::<Vec<_>>()
        });
        let alone = alone.collect();
        Ok(Self { contexts: contexts.list, alone, keys })
    }

    /// Up to `most` contexts made of the one that meets a statement by giving some keys other values: one key first, then
    /// two at a time, and so on. They show what turns only where one statement's conditions hold and another's fail.
    pub(super) fn combined(&self, statement: &Statement, most: usize) -> Vec<Probe> {
        let Some(start) = witness(statement, &self.keys) else { return Vec::new() };
        let mut seen = BTreeSet::from([format!("{:?}", start.values)]);
        // Each with the first key that may still change, so that no combination is made twice.
        let mut combined = vec![(start, 0)];
        let mut next = 0;
        while let Some((from, first)) = combined.get(next).cloned() {
            next += 1;
            for (place, (name, candidates)) in self.keys.values().enumerate().skip(first) {
                for candidate in candidates {
                    let probe = from.with(name, candidate);
                    if combined.len() >= most {
                        return combined.into_iter().map(|(probe, _)| probe).collect();
                    }
                    if seen.insert(format!("{:?}", probe.values)) {
                        combined.push((probe, place + 1));
                    }
                }
            }
        }
        combined.into_iter().map(|(probe, _)| probe).collect()
    }

    /// The contexts in which one key is given that a request need not carry.
    pub(super) fn alone(&self) -> &[Probe] {
        &self.alone
    }

    /// The contexts, the simplest first.
    pub(super) fn contexts(&self) -> &[Probe] {
        &self.contexts
    }
}

/// Different contexts, up to a limit.
#[derive(Default)]
struct Contexts {
    list: Vec<Probe>,
    seen: BTreeSet<String>,
}

impl Contexts {
    fn add(&mut self, probe: Probe) -> Result<(), DiffError> {
        if self.seen.insert(format!("{:?}", probe.values)) {
            self.list.push(probe);
        }
        if self.list.len() > MAX_CONTEXTS { Err(DiffError::TooLarge) } else { Ok(()) }
    }
}

/// Every key that matters for an action, with its name and the values that are told apart.
fn keys(statements: &[&Statement], action: &str, filler: &Filler) -> Result<Keys, DiffError> {
    let mut keys = Keys::new();
    let mut seen: BTreeSet<String> = BTreeSet::new();
    for (block, key) in statements.iter().flat_map(|statement| pairs(statement)) {
        // A key that the action never carries cannot be sent.
        if operation::carries(action, &key.name) == Some(false) {
            continue;
        }
        let lower = key.name.to_ascii_lowercase();
        let (_, slot) = keys.entry(lower.clone()).or_insert_with(|| {
            let other = Value::One(filler.word().to_owned());
            let other = Candidate { value: Some(other), told: Some("any other value".to_owned()) };
            (key.name.clone(), vec![Candidate { value: None, told: None }, other])
        });
        for candidate in candidates(block, key, filler) {
            if seen.insert(format!("{lower} {candidate:?}")) {
                slot.push(candidate);
            }
        }
        if seen.len() > MAX_CONTEXTS {
            return Err(DiffError::TooLarge);
        }
    }
    for name in statements.iter().flat_map(|statement| variables(statement)) {
        let (_, slot) = keys.entry(name.to_ascii_lowercase()).or_insert_with(|| (name.clone(), Vec::new()));
        let value = Some(Value::One(filler.word().to_owned()));
        slot.push(Candidate { value, told: Some("some value".to_owned()) });
    }
    Ok(keys)
}

fn pairs(statement: &Statement) -> impl Iterator<Item = (&ConditionBlock, &ConditionKey)> {
    let blocks = statement.condition.iter().flatten();
    blocks.flat_map(|block| block.keys.iter().map(move |key| (block, key)))
}

/// The keys whose values stand in a statement's resources and condition values.
fn variables(statement: &Statement) -> BTreeSet<String> {
    let lists = [&statement.resource, &statement.not_resource].into_iter().flatten();
    let resources = lists.flat_map(|list| list.items.iter().flat_map(|entry| entry.variables()));
    let values = pairs(statement).flat_map(|(_, key)| &key.values.items);
    let values = values.flat_map(crate::policy::ConditionValue::variables);
    resources.chain(values).filter(|variable| variable.fault.is_none()).map(|variable| variable.name.clone()).collect()
}

/// A context in which all of a statement's conditions hold, if there is one among the candidates.
fn witness(statement: &Statement, keys: &Keys) -> Option<Probe> {
    let mut probe = Probe::base();
    for name in variables(statement) {
        let (name, candidates) = keys.get(&name.to_ascii_lowercase())?;
        probe = probe.with(name, candidates.iter().rev().find(|candidate| candidate.value.is_some())?);
    }
    let names: BTreeSet<String> = pairs(statement).map(|(_, key)| key.name.to_ascii_lowercase()).collect();
    for name in names {
        let holds = |probe: &Probe| {
            let of_key = pairs(statement).filter(|(_, key)| key.name.eq_ignore_ascii_case(&name));
            of_key
                .into_iter()
                .all(|(block, key)| block.operator.is_some_and(|operator| key.holds(operator, &probe.values)))
        };
        if holds(&probe) {
            continue;
        }
        let (name, candidates) = keys.get(&name)?;
        probe = candidates.iter().map(|candidate| probe.with(name, candidate)).find(|probe| holds(probe))?;
    }
    Some(probe)
}

/// The values that one condition tells apart.
fn candidates(block: &ConditionBlock, key: &ConditionKey, filler: &Filler) -> Vec<Candidate> {
    let Some(operator) = block.operator else { return Vec::new() };
    let mut found = Vec::new();
    for value in &key.values.items {
        let texts: Vec<String> = match operator.test {
            Test::StringLike | Test::Arn => filler.fill(&value.text, &[filler.word()]).into_iter().collect(),
            Test::StringEquals | Test::StringEqualsIgnoreCase => vec![exact(&value.text, filler)],
            Test::Numeric(_) => around(&value.text),
            Test::Date(_) => {
                vec![value.text.clone(), "1970-01-01T00:00:00Z".to_owned(), "9999-12-31T00:00:00Z".to_owned()]
            }
            Test::Bool => vec!["true".to_owned(), "false".to_owned()],
            Test::Binary => vec![value.text.clone()],
            Test::IpAddress => {
                let address = value.text.split('/').next().unwrap_or_default().to_owned();
                vec![address, "192.0.2.1".to_owned(), "2001:db8::1".to_owned()]
            }
            Test::Null => Vec::new(),
        };
        let is_pattern = matches!(operator.test, Test::StringLike | Test::Arn);
        for text in texts {
            let told = Some(if is_pattern { value.text.clone() } else { text.clone() });
            if operator.quantifier.is_some() {
                let sets = [vec![text.clone()], vec![text.clone(), filler.word().to_owned()], Vec::new()];
                found.extend(sets.map(|set| Candidate { value: Some(Value::Many(set)), told: told.clone() }));
            } else {
                found.push(Candidate { value: Some(Value::One(text)), told });
            }
        }
    }
    found
}

/// A text under `StringEquals`, with its variables filled.
fn exact(text: &str, filler: &Filler) -> String {
    // Wildcards are literal here, so they are hidden from the filling.
    let hidden = text.replace('*', "\u{1}").replace('?', "\u{2}");
    let filled = filler.fill(&hidden, &[]).into_iter().next().unwrap_or_default();
    filled.replace('\u{1}', "*").replace('\u{2}', "?")
}

/// A number and its neighbours.
fn around(text: &str) -> Vec<String> {
    let mut texts = vec![text.to_owned()];
    if let Ok(number) = text.parse::<i64>() {
        texts.extend([number.saturating_sub(1).to_string(), number.saturating_add(1).to_string()]);
    }
    texts
}
