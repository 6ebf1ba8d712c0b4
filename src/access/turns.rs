//! What a plan opens and closes for each role: questions whose answers tell whether a change is in force.
//!
//! One that opens and one that closes are enough, since a role's policies reach S3 together. Only reading is asked for, so
//! that whoever waits for the answers writes nothing.

use super::AccountState;
use crate::layout::Layout;
use crate::model::{Arn, BucketName, ManagedPolicy, PolicyJson, Prefix, Role, RoleName, Seen};
use crate::plan::{AccountAction, AccountStep};
use crate::policy::generate::{Generated, Kind};
use crate::policy::held;
use crate::policy::matrix::{Operation, Principal, Question, key_in};
use std::collections::{BTreeMap, BTreeSet};

/// What turns for one role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turned {
    /// The role.
    pub role: RoleName,
    /// The policies of the layout that it has afterwards.
    policies: BTreeSet<Arn>,
    /// One question that opens and one that closes, where there is one.
    questions: Vec<Turn>,
}

/// One question that has another answer afterwards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    /// Listing, reading, or asking for the bucket.
    pub operation: Operation,
    /// The bucket.
    pub bucket: BucketName,
    /// The folder; the root where the bucket is asked for.
    pub folder: Prefix,
    /// The answer afterwards.
    pub allowed: bool,
}

impl Turned {
    /// What to ask as the role, given how it was found afterwards. What it may by policies of others is not known, so
    /// nothing closes for sure for a role that has such, and nothing opens for sure for one that has a boundary.
    pub fn questions(&self, found: &Role) -> Vec<&Turn> {
        let has_others =
            !found.inline.is_empty() || found.attached.iter().any(|policy| !self.policies.contains(policy));
        let has_boundary = found.boundary.is_some();
        let counts = |turn: &&Turn| if turn.allowed { !has_boundary } else { !has_others };
        self.questions.iter().filter(counts).collect()
    }
}

/// What the actions turn for each role that they are about.
pub(super) fn turned(layout: &Layout, state: &AccountState, actions: &[AccountAction]) -> Vec<Turned> {
    let known = known(state);
    let roles: BTreeSet<RoleName> = actions.iter().flat_map(|action| action.step.roles()).collect();
    let turned = roles.into_iter().map(|role| {
        let had = had(state, &known, &role);
        let has = afterwards(had.clone(), &known, actions, &role);
        let (before, after) = (principal(layout, &role, &had), principal(layout, &role, &has));
        let questions = [true, false].into_iter().filter_map(|allowed| first(layout, &before, &after, allowed));
        Turned { questions: questions.collect(), policies: has.into_keys().cloned().collect(), role }
    });
    turned.collect()
}

/// The policies whose documents were read, by ARN.
fn known(state: &AccountState) -> BTreeMap<&Arn, &ManagedPolicy> {
    let named = state.policies.values().filter_map(Seen::here);
    let all = named.chain(state.former.here().into_iter().flatten());
    all.map(|policy| (&policy.arn, policy)).collect()
}

/// What the role has of the layout's policies, in force.
fn had<'here>(
    state: &AccountState,
    known: &BTreeMap<&'here Arn, &'here ManagedPolicy>,
    role: &RoleName,
) -> BTreeMap<&'here Arn, &'here PolicyJson> {
    let has = |policy: &Arn| {
        let attachments = state.attachments.get(policy).and_then(Seen::here);
        attachments.is_some_and(|attachments| attachments.roles.contains(role))
    };
    let held = known.iter().filter(|(arn, _)| has(arn));
    held.filter_map(|(arn, policy)| Some((*arn, &policy.in_force()?.document))).collect()
}

/// What the role has once the actions are done.
fn afterwards<'here>(
    mut held: BTreeMap<&'here Arn, &'here PolicyJson>,
    known: &BTreeMap<&'here Arn, &'here ManagedPolicy>,
    actions: &'here [AccountAction],
    role: &RoleName,
) -> BTreeMap<&'here Arn, &'here PolicyJson> {
    let mut documents: BTreeMap<&Arn, &PolicyJson> =
        known.iter().filter_map(|(arn, one)| Some((*arn, &one.in_force()?.document))).collect();
    for action in actions {
        match &action.step {
            AccountStep::CreatePolicy { policy, document, .. } => {
                documents.insert(policy, document);
            }
            AccountStep::CreatePolicyVersion { policy, document, .. } => {
                documents.insert(policy, document);
                if let Some(in_force) = held.get_mut(policy) {
                    *in_force = document;
                }
            }
            AccountStep::AttachPolicy { role: to, policy } if to == role => {
                held.extend(documents.get(policy).map(|document| (policy, *document)));
            }
            AccountStep::DetachPolicy { role: from, policy } if from == role => {
                held.remove(policy);
            }
            _ => {}
        }
    }
    held
}

fn principal(layout: &Layout, role: &RoleName, held: &BTreeMap<&Arn, &PolicyJson>) -> Principal {
    let document = |(arn, text): (&&Arn, &&PolicyJson)| {
        let document = serde_json::from_str(&text.0).ok()?;
        Some(Generated { name: arn.to_string(), kind: Kind::Identity, document })
    };
    let documents: Vec<Generated> = held.iter().filter_map(document).collect();
    held::with_documents(layout, role.as_str(), &documents)
}

/// The first question that is answered `allowed` afterwards and was not before: listing tells without any object.
fn first(layout: &Layout, before: &Principal, after: &Principal, allowed: bool) -> Option<Turn> {
    let turns = |turn: &Turn| {
        let key = key_in(&turn.folder, turn.operation);
        let key = (turn.operation != Operation::HeadBucket).then_some(key.as_str());
        let kms_key = layout.buckets.iter().find(|one| one.name == turn.bucket).and_then(|one| one.kms_key.as_ref());
        let question = Question::new(turn.operation, &turn.bucket, key).with_key(kms_key);
        let (was, is) = (before.may(&question).allowed, after.may(&question).allowed);
        is == allowed && was != is
    };
    let mut everywhere = [Operation::List, Operation::Get, Operation::HeadBucket].into_iter().flat_map(|operation| {
        layout.buckets.iter().flat_map(move |bucket| {
            let folders: Vec<Prefix> = match operation {
                Operation::HeadBucket => vec![Prefix::root()],
                _ => bucket.folders.iter().map(|folder| folder.prefix.clone()).chain([Prefix::root()]).collect(),
            };
            let turn = move |folder| Turn { operation, bucket: bucket.name.clone(), folder, allowed };
            folders.into_iter().map(turn)
        })
    });
    everywhere.find(turns)
}
