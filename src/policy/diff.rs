//! What changes between two sets of policies: which requests open and which close, not which lines differ.
//!
//! A request can only open through an Allow that is new or a Deny that is gone, and close the other way round. So the
//! statements are cut into atoms (one action entry, one resource entry, the rest as it is), and each atom that only one
//! side has is probed: requests that it means, in the contexts that conditions tell apart, are decided by both sides.
//! Probes are made of the patterns themselves, with their wildcards filled by nothing, by a name that nobody uses, and
//! by what they share with other patterns, so siblings of a prefix and actions beyond the usual ones are among them.

mod atoms;
mod contexts;
mod edits;
mod implication;
mod proof;
mod record;
mod samples;

pub use edits::{Edit, EditKind, edits};
pub use proof::Obstacle;
pub use record::record;

use super::applies::Question;
use super::evaluate::{Policies, Policy, evaluate};
use super::operation::{self, Aim};
use super::{Caller, Context, Document, DocumentPath, Effect, Layer, Request, Statement, Value, Verdict};
use atoms::{Atom, Entry, atoms};
use contexts::{Candidates, Probe};
use proof::Proof;
use samples::{Filler, intersection};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;

/// The most pairs of action and resource that are compared; documents within AWS's quotas stay far below.
const MAX_ATOMS: usize = 500_000;
/// How much work a comparison may be, in letters and entries that are looked at. Documents within AWS's quotas take less
/// than a hundredth of it.
const MAX_WORK: u64 = 3_000_000_000;
/// The most resources that one entry is probed with.
const MAX_RESOURCES: usize = 4_096;
/// The most combinations of keys that one action of an atom without proof is probed in.
const MAX_COMBINED: usize = 512;
/// The most requests by which a change is searched for where there is no proof: for one atom, and for all.
const MAX_SEARCHED: (usize, usize) = (20_000, 400_000);

/// Why two sides cannot be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DiffError {
    /// Far beyond what AWS takes.
    #[error("the policies are too large to compare: no policy within AWS's quotas has so many actions and resources")]
    TooLarge,
}

/// What the documents are attached to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attached {
    /// A user or role, which all documents are for.
    Identity,
    /// A bucket, or a role's trust: whom they are for stands in them.
    Resource,
}

/// Documents that decide together.
#[derive(Debug, Clone, Default)]
pub struct Side {
    /// The documents.
    pub policies: Vec<Arc<Policy>>,
}

impl Side {
    fn statements(&self) -> impl Iterator<Item = (&Policy, usize, &Statement)> {
        self.policies.iter().flat_map(|policy| {
            let numbered = policy.document.statements().iter().enumerate();
            numbered.map(|(index, statement)| (&**policy, index, statement))
        })
    }

    /// What the documents are attached to, by their form: only those of resources name principals.
    pub fn attached(&self) -> Attached {
        let names = |statement: &Statement| statement.principal.is_some() || statement.not_principal.is_some();
        if self.statements().any(|(_, _, statement)| names(statement)) {
            Attached::Resource
        } else {
            Attached::Identity
        }
    }
}

/// The direction of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Direction {
    /// What was refused is allowed.
    Opens,
    /// What was allowed is refused.
    Closes,
}

/// Requests that are decided otherwise than before, for one reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// How.
    pub direction: Direction,
    /// For whom, where documents name principals.
    pub who: Option<String>,
    /// The actions, as entries of a policy.
    pub actions: Vec<String>,
    /// The resources, as the entry of the policy.
    pub resource: String,
    /// The condition keys that matter, each with the entry it comes from; absent ones as none.
    pub given: Vec<(String, Option<String>)>,
    /// One such resource.
    pub example: String,
    /// The statement, and what it does now or did before.
    pub because: String,
    /// The verdict that is no longer, or not yet, [`Verdict::Allow`].
    pub refused: Verdict,
}

/// A statement of one side of which neither a change could be found, nor proven that there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Doubt {
    /// What might happen.
    pub direction: Direction,
    /// The statement, by its name.
    pub statement: String,
    /// True for a statement of the side before.
    pub is_gone: bool,
    /// Its place in its document.
    pub path: DocumentPath,
    /// The actions in doubt, as entries of the policy.
    pub actions: BTreeSet<String>,
    /// The resources in doubt, as entries of the policy.
    pub resources: BTreeSet<String>,
    /// What stands in the way of a proof.
    pub obstacle: Obstacle,
}

/// How two sides differ in what they decide.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Difference {
    /// What opens or closes.
    pub changes: Vec<Change>,
    /// What might, for all that can be said.
    pub doubts: Vec<Doubt>,
}

impl Difference {
    /// True if something opens, or might.
    pub fn may_open(&self) -> bool {
        let opens = |direction: Direction| direction == Direction::Opens;
        self.changes.iter().any(|change| opens(change.direction))
            || self.doubts.iter().any(|doubt| opens(doubt.direction))
    }
}

/// Everything that opens or closes from `before` to `after`.
pub fn compare(before: &Side, after: &Side) -> Result<Difference, DiffError> {
    let (old, new) = (atoms(before)?, atoms(after)?);
    let old_keys: BTreeSet<_> = old.iter().map(Atom::key).collect();
    let new_keys: BTreeSet<_> = new.iter().map(Atom::key).collect();
    let gone = old.iter().filter(|atom| !new_keys.contains(&atom.key())).map(|atom| (atom, Source::Before));
    let come = new.iter().filter(|atom| !old_keys.contains(&atom.key())).map(|atom| (atom, Source::After));
    let mut comparison = Comparison::new(before, after);
    let mut proof = Proof::new(before, after);
    let mut doubts: BTreeMap<(Direction, String), Doubt> = BTreeMap::new();
    for (atom, source) in come.chain(gone) {
        if comparison.probe(atom, source, Reach::Usual)? {
            continue;
        }
        let Some(obstacle) = proof.settle(atom, source, &mut comparison.work)? else { continue };
        // An example says more than a doubt.
        if comparison.probe(atom, source, Reach::Combined)? {
            continue;
        }
        let (direction, statement) = (direction(atom.effect, source), comparison.name(atom));
        let doubt = doubts.entry((direction, statement.clone())).or_insert_with(|| Doubt {
            direction,
            statement,
            is_gone: source == Source::Before,
            path: atom.statement.path.clone(),
            actions: BTreeSet::new(),
            resources: BTreeSet::new(),
            obstacle: Obstacle::Conditions(BTreeSet::new()),
        });
        doubt.actions.insert(atom.action.to_string());
        doubt.resources.insert(atom.resource.to_string());
        doubt.obstacle.join(obstacle);
    }
    Ok(Difference { changes: comparison.changes(), doubts: doubts.into_values().collect() })
}

/// What an atom that only one side has can do.
fn direction(effect: Effect, source: Source) -> Direction {
    match (effect, source) {
        (Effect::Allow, Source::After) | (Effect::Deny, Source::Before) => Direction::Opens,
        (Effect::Allow, Source::Before) | (Effect::Deny, Source::After) => Direction::Closes,
    }
}

/// Which side an atom is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    Before,
    After,
}

/// Which contexts an atom is probed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// Those that few keys tell apart, for every atom.
    Usual,
    /// Combinations of keys, as far as the search goes.
    Combined,
}

/// Condition keys with the entries that their values come from; none for a key that is absent.
type Given = Vec<(String, Option<String>)>;

/// A request in the making: what an atom means, but for the context.
#[derive(Clone, Copy)]
struct Probed<'here> {
    atom: &'here Atom<'here>,
    direction: Direction,
    caller: &'here Caller,
    action: &'here str,
    resource: &'here str,
}

fn allows(policies: &Policies, request: &Request) -> bool {
    evaluate(policies, request).verdict == Verdict::Allow
}

/// Where a change belongs: the requests that it is about.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    direction: Direction,
    who: Option<String>,
    resource: String,
    because: String,
    given: Given,
    refused: Verdict,
}

/// What turns in a place.
#[derive(Debug, Default)]
struct Turned {
    actions: BTreeSet<String>,
    /// Each resource with the number of requests for it that turn.
    resources: BTreeMap<String, usize>,
}

impl Turned {
    /// The resource for which most turns. Of several the last, which is the longest: it shows best what a wildcard reaches.
    fn example(&self) -> String {
        let most = self.resources.iter().max_by_key(|(_, count)| **count);
        most.map(|(resource, _)| resource.clone()).unwrap_or_default()
    }
}

/// Both sides with what probes are made of, and what was found.
struct Comparison<'sides> {
    before: Policies,
    after: Policies,
    statements: Vec<&'sides Statement>,
    attached: Attached,
    several: bool,
    filler: Filler,
    /// Every action entry of both sides, to find what entries have in common.
    entries: BTreeSet<&'sides str>,
    /// Every resource entry of both sides, for the same.
    resources: BTreeSet<&'sides str>,
    /// What those entries mean, for entries that mean all but something.
    everything: BTreeSet<String>,
    /// The resources of entries that were probed already.
    known: BTreeMap<(bool, Vec<String>), Vec<String>>,
    /// The contexts of actions that were probed already.
    told_apart: BTreeMap<String, Rc<Candidates>>,
    /// How much work is left.
    work: u64,
    /// How many more requests may be searched.
    searches: usize,
    /// How many entries each request is held against.
    entries_of_all: u64,
    found: BTreeMap<Place, Turned>,
}

impl<'sides> Comparison<'sides> {
    fn new(before: &'sides Side, after: &'sides Side) -> Self {
        let statements: Vec<&Statement> =
            before.statements().chain(after.statements()).map(|(_, _, statement)| statement).collect();
        let attached = match (before.attached(), after.attached()) {
            (Attached::Identity, Attached::Identity) => Attached::Identity,
            _ => Attached::Resource,
        };
        let actions = |statement: &&'sides Statement| {
            let lists = [&statement.action, &statement.not_action];
            lists.into_iter().flatten().flat_map(|list| list.items.iter().map(|entry| entry.text.as_str()))
        };
        let resources_of = |statement: &&'sides Statement| {
            let lists = [&statement.resource, &statement.not_resource];
            lists.into_iter().flatten().flat_map(|list| list.items.iter().map(|entry| entry.text.as_str()))
        };
        let count = statements.iter().flat_map(actions).count() + statements.iter().flat_map(resources_of).count();
        let filler = Filler::foreign_to(&statements);
        let resources: BTreeSet<&str> = statements.iter().flat_map(resources_of).collect();
        let everything = resources.iter().chain([&"*"]).flat_map(|pattern| filler.resources(pattern));
        Self {
            before: decides(before, attached),
            after: decides(after, attached),
            attached,
            several: before.policies.len() > 1 || after.policies.len() > 1,
            everything: everything.take(MAX_RESOURCES).collect(),
            known: BTreeMap::new(),
            told_apart: BTreeMap::new(),
            entries: statements.iter().flat_map(actions).collect(),
            resources,
            filler,
            statements,
            work: MAX_WORK,
            searches: MAX_SEARCHED.1,
            entries_of_all: count as u64,
            found: BTreeMap::new(),
        }
    }

    /// Decides requests that the atom means by both sides, and notes those that change because of it. True if any does.
    fn probe(&mut self, atom: &Atom<'_>, source: Source, reach: Reach) -> Result<bool, DiffError> {
        let direction = direction(atom.effect, source);
        let mut changes = false;
        let mut left = MAX_SEARCHED.0.min(self.searches);
        let because = self.reason(atom, source);
        let callers = self.callers(atom);
        for (action, label) in self.actions(&atom.action)? {
            let resources = self.resources_of(&atom.resource, &action)?;
            let candidates = self.candidates(&action)?;
            let combined = match reach {
                Reach::Usual => None,
                Reach::Combined => Some(candidates.combined(atom.statement, MAX_COMBINED.min(left))),
            };
            for (who, caller) in &callers {
                for resource in &resources {
                    let probe = Probed { atom, direction, caller, action: &action, resource };
                    let contexts = match &combined {
                        None => candidates.contexts(),
                        Some(combined) => {
                            let contexts = &combined[..combined.len().min(left)];
                            left -= contexts.len();
                            self.searches -= contexts.len();
                            contexts
                        }
                    };
                    let found = self.needed(&probe, contexts, candidates.alone())?;
                    changes |= !found.is_empty();
                    for (given, refused) in found {
                        let place = Place {
                            direction,
                            who: who.clone(),
                            resource: atom.resource.to_string(),
                            because: because.clone(),
                            given,
                            refused,
                        };
                        let turned = self.found.entry(place).or_default();
                        turned.actions.insert(label.clone());
                        *turned.resources.entry(resource.clone()).or_default() += 1;
                    }
                }
            }
        }
        Ok(changes)
    }

    /// Takes from the work that is left.
    fn charge(&mut self, work: u64) -> Result<(), DiffError> {
        self.work = self.work.checked_sub(work).filter(|left| *left > 0).ok_or(DiffError::TooLarge)?;
        Ok(())
    }

    /// The contexts that conditions on an action tell apart.
    fn candidates(&mut self, action: &str) -> Result<Rc<Candidates>, DiffError> {
        if let Some(known) = self.told_apart.get(action) {
            return Ok(Rc::clone(known));
        }
        let meaning = |statement: &&Statement| atoms::means_action(statement, action);
        let about: Vec<&Statement> = self.statements.iter().copied().filter(meaning).collect();
        let candidates = Rc::new(Candidates::of(&about, action, &self.filler)?);
        self.told_apart.insert(action.to_owned(), Rc::clone(&candidates));
        Ok(candidates)
    }

    /// What must be given for the request to change: nothing if it changes anyhow, else each smallest set of keys.
    fn needed(
        &mut self,
        probed: &Probed<'_>,
        contexts: &[Probe],
        alone: &[Probe],
    ) -> Result<Vec<(Given, Verdict)>, DiffError> {
        let mut found: Vec<(Given, Verdict)> = Vec::new();
        for context in contexts {
            self.charge(2 * self.entries_of_all)?;
            let Some(refused) = self.turns(probed, &context.values) else { continue };
            // Keys without which it changes as well say nothing.
            let mut needed = context.clone();
            for key in context.keys() {
                let without = needed.without(&key);
                if self.turns(probed, &without.values).is_some() {
                    needed = without;
                }
            }
            let given = needed.given();
            if given.is_empty() {
                return Ok(vec![(self.absent(probed, alone), refused)]);
            }
            if !found.iter().any(|(known, _)| *known == given) {
                found.push((given, refused));
            }
        }
        Ok(found)
    }

    /// The keys that must not be sent for a request to change that changes without any.
    fn absent(&self, probed: &Probed<'_>, alone: &[Probe]) -> Given {
        let mut given = Given::new();
        for one in alone {
            let allowed = self.request(probed, &one.values).is_none_or(|request| match probed.direction {
                Direction::Opens => allows(&self.after, &request),
                Direction::Closes => allows(&self.before, &request),
            });
            let absent = one.given().into_iter().map(|(name, _)| (name, None));
            given.extend(absent.filter(|key| !allowed && !given.contains(key)).collect::<Vec<_>>());
        }
        given
    }

    /// The verdict that refuses, if both sides differ about the request in the atom's direction and its statement is a
    /// reason for it.
    fn turns(&self, probed: &Probed<'_>, given: &Context) -> Option<Verdict> {
        let request = self.request(probed, given)?;
        let layer = match self.attached {
            Attached::Identity => Layer::Identity,
            Attached::Resource => Layer::Resource,
        };
        if Question::new(&request, false).ask(probed.atom.statement, layer).is_err() {
            return None;
        }
        let (allowing, refusing) = match probed.direction {
            Direction::Opens => (&self.after, &self.before),
            Direction::Closes => (&self.before, &self.after),
        };
        let refused = evaluate(refusing, &request).verdict;
        (refused != Verdict::Allow && allows(allowing, &request)).then_some(refused)
    }

    fn request(&self, probed: &Probed<'_>, given: &Context) -> Option<Request> {
        let mut context = Context::default();
        for (name, value) in probed.caller.context_keys() {
            context.set(name, Value::One(value));
        }
        for (name, value) in given.iter() {
            context.set(name, value.clone());
        }
        let request = Request::new(probed.caller.clone(), probed.action, probed.resource).ok()?.with_context(context);
        Some(if self.attached == Attached::Resource { request.of_account(OWNER) } else { request })
    }

    /// Actions that an entry means, each with the name under which it is told.
    fn actions(&mut self, entry: &Entry<'_>) -> Result<Vec<(String, String)>, DiffError> {
        let known = || operation::actions().filter(|action| entry.means_action(action));
        let mut actions: BTreeMap<String, String> =
            known().map(|action| (action.to_owned(), action.to_owned())).collect();
        match entry {
            Entry::One(text) if !samples::is_pattern(text) => {
                return Ok(vec![((*text).to_owned(), (*text).to_owned())]);
            }
            Entry::One("*") => {
                self.others(entry, &mut actions)?;
                actions.insert(self.filler.action(), "*".to_owned());
            }
            Entry::One(text) => {
                let shared: Vec<String> =
                    self.entries.iter().filter_map(|other| intersection(text, other, &mut self.work)).collect();
                self.charge(1)?;
                for sample in self.filler.fill(text, &[self.filler.word()]).into_iter().chain(shared) {
                    actions.entry(sample).or_insert_with(|| (*text).to_owned());
                }
            }
            Entry::Except(_) => {
                self.others(entry, &mut actions)?;
                actions.insert(self.filler.action(), "every other action".to_owned());
            }
        }
        Ok(actions.into_iter().filter(|(action, _)| action.contains(':')).collect())
    }

    /// Adds what other entries mean and this one, too, under the names of those entries.
    fn others(&mut self, entry: &Entry<'_>, actions: &mut BTreeMap<String, String>) -> Result<(), DiffError> {
        let (_, texts) = entry.texts();
        self.charge((self.entries.len() * (1 + texts.len())) as u64)?;
        for other in &self.entries {
            for sample in self.filler.fill(other, &[self.filler.word()]) {
                if entry.means_action(&sample) && !actions.keys().any(|known| known.eq_ignore_ascii_case(&sample)) {
                    actions.insert(sample, (*other).to_owned());
                }
            }
        }
        Ok(())
    }

    /// Resources that an entry means and an action can be asked for on.
    fn resources_of(&mut self, entry: &Entry<'_>, action: &str) -> Result<Vec<String>, DiffError> {
        let (except, texts) = entry.texts();
        let key = (except, texts.iter().map(|text| (*text).to_owned()).collect());
        if !self.known.contains_key(&key) {
            let meant = self.meant_by(entry)?;
            self.known.insert(key.clone(), meant);
        }
        let aim = operation::aim(action);
        let fits = |resource: &&String| match aim {
            None => true,
            Some(Aim::Nothing) => *resource == "*",
            Some(Aim::Bucket) => is_s3(resource) && !resource.contains('/'),
            Some(Aim::Object) => is_s3(resource) && resource.contains('/'),
        };
        Ok(self.known.get(&key).into_iter().flatten().filter(fits).cloned().collect())
    }

    /// Resources that an entry means: its own, those it shares with others, and those of others that it means.
    fn meant_by(&mut self, entry: &Entry<'_>) -> Result<Vec<String>, DiffError> {
        let mut resources = self.everything.clone();
        if let Entry::One(pattern) = entry {
            resources.extend(self.filler.resources(pattern));
            let work = &mut self.work;
            resources.extend(self.resources.iter().filter_map(|other| intersection(pattern, other, work)));
        }
        let letters: usize = resources.iter().map(String::len).sum();
        self.charge(letters as u64 * 4 + (entry.to_string().len() * resources.len()) as u64)?;
        let means = entry.resources();
        let is_resource = |text: &str| text == "*" || text.starts_with("arn:");
        Ok(resources.into_iter().filter(|resource| is_resource(resource) && means(resource)).collect())
    }

    /// Who asks: the principals that the atom and all others name, and strangers where it names everybody.
    fn callers(&self, atom: &Atom<'_>) -> Vec<(Option<String>, Caller)> {
        let role = |account: &str| Caller::RoleSession {
            session: format!("arn:aws:sts::{account}:assumed-role/{}/session", self.filler.word()),
            role: format!("arn:aws:iam::{account}:role/{}", self.filler.word()),
            account: account.to_owned(),
        };
        if self.attached == Attached::Identity {
            return vec![(None, role(OWNER))];
        }
        let mut callers = Vec::new();
        if atom.names_everybody() {
            callers.push((Some("anybody, unsigned".to_owned()), Caller::Anonymous));
            callers.push((Some("anybody of another account".to_owned()), role(STRANGER)));
            callers.push((Some("the bucket's own account".to_owned()), role(OWNER)));
        }
        for text in atom.principals() {
            let caller = match text.len() {
                12 if text.bytes().all(|byte| byte.is_ascii_digit()) => Some(role(&text)),
                _ => match Caller::parse(&text, None) {
                    Ok(Caller::Root { account }) => Some(role(&account)),
                    Ok(caller) => Some(caller),
                    Err(_) if text.contains("oidc-provider") || text.contains("saml-provider") => {
                        Some(Caller::Federated { provider: text.clone() })
                    }
                    Err(_) => None,
                },
            };
            callers.extend(caller.map(|caller| (Some(text), caller)));
        }
        callers
    }

    /// What people call the atom's statement.
    fn name(&self, atom: &Atom<'_>) -> String {
        let name = match &atom.statement.sid {
            Some(sid) if !sid.is_empty() => sid.clone(),
            _ => format!("statement {}", atom.index + 1),
        };
        if self.several { format!("{name} of {}", atom.policy) } else { name }
    }

    fn reason(&self, atom: &Atom<'_>, source: Source) -> String {
        let name = self.name(atom);
        match (atom.effect, source) {
            (Effect::Allow, Source::After) => format!("{name} allows it now"),
            (Effect::Allow, Source::Before) => format!("{name} no longer allows it"),
            (Effect::Deny, Source::After) => format!("{name} denies it now"),
            (Effect::Deny, Source::Before) => format!("{name} no longer denies it"),
        }
    }

    fn changes(self) -> Vec<Change> {
        let change = |(place, turned): (Place, Turned)| Change {
            direction: place.direction,
            who: place.who,
            example: turned.example(),
            actions: turned.actions.into_iter().collect(),
            resource: place.resource,
            given: place.given,
            because: place.because,
            refused: place.refused,
        };
        self.found.into_iter().map(change).collect()
    }
}

/// The account that owns what is asked for; no principal of a real policy is in it.
const OWNER: &str = "000000000000";
/// An account that no policy names.
const STRANGER: &str = "999999999999";

fn is_s3(resource: &str) -> bool {
    resource.split(':').nth(2) == Some("s3")
}

/// The policies of one side. With a resource's policies callers may do everything by their own, so that the resource's
/// side alone decides.
fn decides(side: &Side, attached: Attached) -> Policies {
    match attached {
        Attached::Identity => Policies { identity: side.policies.clone(), ..Policies::default() },
        Attached::Resource => {
            let text = r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}"#;
            let all = Document::parse(text).ok().map(|document| Policy { name: "everything".to_owned(), document });
            Policies {
                identity: all.into_iter().map(Arc::new).collect(),
                resource: side.policies.first().cloned(),
                ..Policies::default()
            }
        }
    }
}

#[cfg(test)]
mod tests;
