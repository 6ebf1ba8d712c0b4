//! One sync: looks at both sides, and moves what differs while it is still looking.
//!
//! The same plan is shown by a dry run and done here: [`plan`] yields it action by action, and [`run`] feeds it to the
//! transfers. Deletes wait until everything else is known to be right.

use super::leftovers::{self, Scope};
use super::lessons::Lessons;
use super::pipeline::{Compared, Listing, Look, LookError, Memory, Seen, Side, look};
use super::sync_receipt::{ReceiptRequest, ReceiptRows};
use super::transfer::{Proven, Run, Tally, TransferOptions};
use crate::aws::s3::{S3Error, Store};
use crate::local::{CachePlace, Journal, TargetTree, Visited};
use crate::model::{Filter, ObjectKey, Odd, escaped};
use crate::plan::{Action, ODD_FILE};
use crate::report::{Event, Finding, Progress, Severity, Work};
use crate::sync::compare::{By, Compare};
use crate::sync::decide::{Decider, Decision, Route};
use crate::sync::deletes::{Refusal, Situation, may_delete};
use crate::sync::diff;
use crate::sync::shard::Shard;
use futures_util::StreamExt as _;
use futures_util::stream;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// How many batches of the plan may wait for their transfer. Looking is much faster than sending, so that the totals are
/// known early, and so many actions take some 15 MiB.
const AHEAD: usize = 512;

/// What is synced, and how.
#[derive(Debug)]
pub struct SyncRequest {
    /// Which side is what.
    pub route: Route,
    /// Where things come from.
    pub source: Side,
    /// Where they go.
    pub target: Side,
    /// What is left out on both sides: neither sent, nor deleted, nor counted.
    pub filter: Filter,
    /// By what they are compared.
    pub compare: Compare,
    /// The share of this machine.
    pub shard: Option<Shard>,
    /// Whether things that only the target has are deleted.
    pub delete: Option<DeleteRules>,
    /// Where it is remembered what files hold; none to look at all of them again.
    pub cache: Option<CachePlace>,
    /// Where a receipt is wanted.
    pub receipt: Option<ReceiptRequest>,
    /// When the run began, in nanoseconds since the epoch.
    pub started_ns: i128,
    /// Where what exceeds memory goes.
    pub spill_folder: PathBuf,
    /// How long trouble between two pages of a listing is ridden out.
    pub retry_for: Duration,
}

/// When deletes may begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DeleteRules {
    /// The most that may go.
    pub max_delete: Option<u64>,
    /// Whether the user said yes beforehand.
    pub consented: bool,
}

/// What was seen and decided.
#[derive(Debug, Default)]
pub struct Tallied {
    /// Things that are in place already.
    pub unchanged: u64,
    /// By what that was told.
    pub unchanged_by: BTreeMap<By, u64>,
    /// Actions that move something.
    pub transfers: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Things in the source.
    pub source_items: u64,
    /// Things in the target.
    pub target_items: u64,
    /// Things that could not be taken; each was told as a finding.
    pub odd: u64,
    /// What is too much in the target.
    pub deletes: Vec<Action>,
}

/// How a sync ended.
#[derive(Debug, Default)]
pub struct Synced {
    /// What was seen and decided.
    pub seen: Tallied,
    /// What arrived, by how it was proven.
    pub proofs: BTreeMap<&'static str, u64>,
    /// Bytes that arrived.
    pub bytes: u64,
    /// What did not arrive.
    pub failed: u64,
    /// What was not begun, because the user wanted to stop.
    pub cancelled: u64,
    /// Why nothing was deleted, where something should have been.
    pub refused: Option<Refusal>,
    /// What became of the receipt.
    pub receipt: Receipt,
    /// Uploads in parts that stay unfinished for the next run to go on with.
    pub kept_uploads: u64,
    /// What several items may have failed of, where that is mended once for all of them.
    pub cause: Option<S3Error>,
}

/// What became of a receipt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Receipt {
    /// None was asked for.
    #[default]
    NotAsked,
    /// It was written, with so many rows.
    Written(u64),
    /// It was not written, which was told as a finding.
    Unwritten,
}

/// What a run takes note of on its way.
#[derive(Debug)]
struct Notes {
    lessons: Option<Lessons>,
    receipt: Option<ReceiptRows>,
}

impl Notes {
    fn of(request: &SyncRequest) -> Self {
        Self {
            lessons: request.cache.as_ref().map(|place| Lessons::new(place, request)),
            receipt: request.receipt.as_ref().map(ReceiptRows::new),
        }
    }

    fn compared(&self, both: &Compared) {
        self.lessons.iter().for_each(|lessons| lessons.compared(both));
        self.receipt.iter().for_each(|receipt| receipt.compared(both));
    }

    fn moved(&self, action: &Action, proven: &Proven) {
        self.lessons.iter().for_each(|lessons| lessons.moved(action, proven));
        self.receipt.iter().for_each(|receipt| receipt.moved(action, proven));
    }

    fn visited(&self, visited: Option<Visited>) {
        if let Some(lessons) = &self.lessons {
            lessons.visited(visited);
        }
    }

    /// Writes everything down.
    async fn close(
        self,
        request: &SyncRequest,
        store: &Store,
        options: &TransferOptions,
        listener: &Listener,
        in_place: bool,
    ) -> Receipt {
        if let Some(lessons) = self.lessons {
            lessons.keep(request, listener).await;
        }
        let Some(receipt) = self.receipt else { return Receipt::NotAsked };
        let why = if in_place {
            match receipt.write(store, options, &listener.events).await {
                Ok(rows) => return Receipt::Written(rows),
                Err(error) => error.to_string(),
            }
        } else {
            "not everything is in place, so no receipt was written".to_owned()
        };
        let finding = Finding::new("receipt-unwritten", Severity::Warning, "the receipt", why);
        let _ = listener.events.send(Event::Finding(finding.with_fix("run the same command again"))).await;
        Receipt::Unwritten
    }
}

/// Who hears of what is found on the way.
#[derive(Debug)]
pub struct Listener {
    /// Findings and progress.
    pub events: mpsc::Sender<Event>,
    /// Set when the user wants to stop.
    pub cancel: CancellationToken,
}

impl SyncRequest {
    /// What is to be looked at, and who will tell which remembered files were met.
    fn look(&self) -> (Look, oneshot::Receiver<Visited>) {
        let (told, visited) = oneshot::channel();
        let look = Look {
            source: self.source.clone(),
            target: self.target.clone(),
            filter: self.filter.clone(),
            compare: self.compare,
            shard: self.shard,
            extras: self.delete.is_some(),
            memory: self.cache.as_ref().map(|place| Memory { reader: place.read(), visited: told }),
            spill_folder: self.spill_folder.clone(),
            retry_for: self.retry_for,
        };
        (look, visited)
    }

    /// The same request with the listing of one side sorted here.
    fn sorted(&mut self, side: diff::Side) {
        let side = match side {
            diff::Side::Source => &mut self.source,
            diff::Side::Target => &mut self.target,
        };
        if let Side::Objects(objects) = side {
            objects.listing = Listing::Sorted;
        }
    }
}

/// Looks at both sides and gives every batch of transfers to `take`, in the order of names. Ends early if `take` says so.
///
/// A side that is not in the order of names is an error; what was given before may then be mistaken.
async fn plan_once(
    request: &SyncRequest,
    notes: Option<&Notes>,
    listener: &Listener,
    mut take: impl AsyncFnMut(Vec<Action>) -> bool,
) -> Result<Tallied, LookError> {
    let mut tallied = Tallied::default();
    let mut decider = Decider::new(request.route.clone());
    let (wanted, visited) = request.look();
    let batches = look(wanted).await?;
    let mut batches = std::pin::pin!(batches);
    loop {
        let batch = tokio::select! {
            biased;
            () = listener.cancel.cancelled() => break,
            batch = batches.next() => batch,
        };
        let Some(batch) = batch.transpose()? else { break };
        tallied.source_items += batch.source_items;
        tallied.target_items += batch.target_items;
        let mut transfers = Vec::new();
        for seen in batch.seen {
            if let (Seen::Both(both), Some(notes)) = (&seen, notes) {
                notes.compared(both);
            }
            match decide(&mut decider, seen) {
                Decision::Unchanged { by } => {
                    tallied.unchanged += 1;
                    *tallied.unchanged_by.entry(by).or_default() += 1;
                }
                Decision::Transfer(action) => transfers.push(action),
                Decision::Delete(action) => tallied.deletes.push(action),
                Decision::Odd(odd) => {
                    tallied.odd += 1;
                    let _ = listener.events.send(Event::Finding(odd_item(&odd))).await;
                }
                Decision::Marker => {}
            }
        }
        tallied.transfers += transfers.len() as u64;
        tallied.bytes += transfers.iter().filter_map(|action| action.step.bytes()).sum::<u64>();
        if !transfers.is_empty() && !take(transfers).await {
            break;
        }
    }
    if let Some(notes) = notes {
        // Who stops does not wait for a listing that may be in trouble.
        let seen = if listener.cancel.is_cancelled() { None } else { visited.await.ok() };
        notes.visited(seen);
    }
    Ok(tallied)
}

fn decide(decider: &mut Decider, seen: Seen) -> Decision {
    match seen {
        Seen::Odd(odd) => Decision::Odd(odd),
        Seen::Missing(item) => decider.missing(item),
        Seen::Extra(item) => decider.extra(item),
        Seen::Both(both) => {
            let Compared { source, target, verdict, .. } = *both;
            decider.both(source, target, verdict)
        }
    }
}

pub(super) fn odd_item(odd: &Odd) -> Finding {
    let path = escaped(odd.path.as_ref());
    Finding::new(ODD_FILE, Severity::Warning, &path, format!("`{path}` {}", odd.kind))
        .with_fix("make it a readable file, or leave it out with `--exclude`")
}

/// Looks at both sides and shows every action to `each`, transfers in the order of names, then deletes. Writes nothing.
///
/// What was shown cannot be taken back, so a listing that may be unordered is to be sorted from the start; one that
/// turns out to be unordered later is an error.
pub async fn plan(
    mut request: SyncRequest,
    listener: &Listener,
    mut each: impl AsyncFnMut(Action),
) -> Result<Tallied, LookError> {
    let mut shown = false;
    loop {
        let planned = plan_once(&request, None, listener, async |batch: Vec<Action>| {
            shown = true;
            for action in batch {
                each(action).await;
            }
            true
        });
        match planned.await {
            Ok(mut tallied) => {
                for action in std::mem::take(&mut tallied.deletes) {
                    each(action).await;
                }
                return Ok(tallied);
            }
            Err(LookError::Order(error)) if !shown => request.sorted(error.side),
            Err(error) => return Err(error),
        }
    }
}

/// Makes the target equal to the source.
pub async fn run(
    mut request: SyncRequest,
    store: &Store,
    options: &TransferOptions,
    listener: &Listener,
) -> Result<Synced, LookError> {
    let tree = tree(&request.route).await?;
    let run = Run::below(store, tree.clone(), options, &listener.events, &listener.cancel);
    run.tell(Event::Progress(Progress::Work(work_of(&request.route)))).await;
    let _telling = TellsPauses::begin(store, listener);
    let leftovers = Leftovers::of(&request, store, options);
    leftovers.give_up(Stay::Usable, listener).await;
    let notes = Notes::of(&request);
    let mut synced = Synced::default();
    loop {
        let (feed, fed) = mpsc::channel(AHEAD);
        let fed = stream::unfold(fed, |mut fed| async { Some((fed.recv().await?, fed)) });
        let expect = &run;
        let planning = async {
            let planned = plan_once(&request, Some(&notes), listener, async |batch: Vec<Action>| {
                let bytes = batch.iter().filter_map(|action| action.step.bytes()).sum();
                expect.tell(Event::Progress(Progress::Expect { objects: batch.len() as u64, bytes })).await;
                feed.send(batch).await.is_ok()
            });
            let planned = planned.await;
            drop(feed);
            expect.tell(Event::Progress(Progress::AllExpected)).await;
            planned
        };
        let (proofs, bytes) = (&mut synced.proofs, &mut synced.bytes);
        let moving = run.move_all(fed, |action, proven: Proven| {
            notes.moved(&action, &proven);
            *proofs.entry(proven.rung.name()).or_default() += 1;
            *bytes += proven.bytes;
        });
        let (planned, tally) = tokio::join!(planning, moving);
        let again = matches!(&planned, Err(LookError::Order(_)));
        settle(&run, tally, &mut synced, again).await;
        match planned {
            Ok(tallied) => {
                synced.seen = tallied;
                break;
            }
            Err(LookError::Order(error)) => request.sorted(error.side),
            Err(error) => return Err(error),
        }
    }
    // What an earlier, mistaken look had sent is equal by now, and was counted as sent.
    let sent_before: u64 = synced.proofs.values().sum::<u64>() + synced.failed + synced.cancelled;
    synced.seen.unchanged -= sent_before.saturating_sub(synced.seen.transfers).min(synced.seen.unchanged);
    if let Some(rules) = request.delete {
        delete(&run, rules, &mut synced).await;
    }
    let all_sent = synced.failed == 0 && synced.cancelled == 0 && !run.is_cancelled();
    // A shard, or a run that leaves files out, does not know what the others still go on with.
    if all_sent && request.shard.is_none() && !request.filter.has_flags() {
        leftovers.give_up(Stay::None, listener).await;
    }
    if let Some(tree) = tree {
        settle_tree(tree, &request.target, listener).await;
    }
    synced.kept_uploads = run.kept_uploads();
    synced.cause = run.common_cause();
    let in_place = all_sent && synced.seen.odd == 0;
    synced.receipt = notes.close(&request, store, options, listener, in_place).await;
    Ok(synced)
}

/// Tells when the run waits for other credentials, for as long as this lives.
struct TellsPauses(Option<JoinHandle<()>>);

impl TellsPauses {
    fn begin(store: &Store, listener: &Listener) -> Self {
        let events = listener.events.clone();
        Self(store.pauses().map(|mut pauses| {
            tokio::spawn(async move {
                while pauses.changed().await.is_ok() {
                    let Some(patience) = *pauses.borrow_and_update() else { continue };
                    let message = format!("the credentials have expired: waiting {} s for others", patience.as_secs());
                    let finding = Finding::new("credentials-expired", Severity::Warning, "the run", message);
                    let fix = "sign in again in another terminal; the profile is read again every few seconds";
                    let _ = events.send(Event::Finding(finding.with_fix(fix))).await;
                    // Findings are shown once something else follows them, which now would take too long.
                    let (target, reason) = ("the run".to_owned(), "the credentials have expired".to_owned());
                    let _ = events.send(Event::Progress(Progress::Retried { target, reason })).await;
                }
            })
        }))
    }
}

impl Drop for TellsPauses {
    fn drop(&mut self) {
        if let Some(telling) = &self.0 {
            telling.abort();
        }
    }
}

/// Uploads in parts that earlier runs of this very sync left unfinished.
struct Leftovers<'run> {
    store: &'run Store,
    journal: Option<(&'run Journal, Scope)>,
}

/// Which of them stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stay {
    /// Those whose file is still what it was: the run may go on with them.
    Usable,
    /// None: everything is in place, so nobody goes on with them.
    None,
}

impl<'run> Leftovers<'run> {
    fn of(request: &SyncRequest, store: &'run Store, options: &'run TransferOptions) -> Self {
        let scope = match (&request.route, &request.source) {
            (Route::Upload { bucket, folder }, Side::Files(files)) => {
                Some(Scope { source: files.root.clone(), bucket: bucket.clone(), folder: folder.clone() })
            }
            _ => None,
        };
        Self { store, journal: options.journal.as_ref().zip(scope) }
    }

    async fn give_up(&self, stay: Stay, listener: &Listener) {
        if let Some((journal, scope)) = &self.journal {
            let is_wanted = |_: &ObjectKey| stay == Stay::Usable;
            leftovers::reconcile(self.store, journal, scope, &is_wanted, &listener.events).await;
        }
    }
}

/// The directory of a download, opened or made once.
async fn tree(route: &Route) -> Result<Option<Arc<TargetTree>>, LookError> {
    let Route::Download { root, .. } = route else { return Ok(None) };
    let root = root.clone();
    let tree = tokio::task::spawn_blocking(move || TargetTree::open(&root)).await??;
    Ok(Some(Arc::new(tree)))
}

/// Clears away what killed downloads left, and waits until the disk has what arrived, before anything remembers it.
async fn settle_tree(tree: Arc<TargetTree>, target: &Side, listener: &Listener) {
    let found = match target {
        Side::Files(files) => std::mem::take(&mut *files.leftovers.lock().unwrap_or_else(PoisonError::into_inner)),
        Side::Objects(_) | Side::Nothing => Vec::new(),
    };
    let settling = tokio::task::spawn_blocking(move || {
        for folder in found {
            // A folder that is reached through a link is not written to, and what lies there is not ours to clear.
            let _ = match folder.parse() {
                Ok(folder) => tree.remove_leftovers(Some(&folder)),
                Err(_) => tree.remove_leftovers(None),
            };
        }
        tree.flush()
    });
    if let Ok(Err(error)) = settling.await {
        let finding = Finding::new("not-flushed", Severity::Warning, "target", error.to_string());
        let fix = "what arrived may be lost if the machine stops now; run `sync` again to be sure";
        let _ = listener.events.send(Event::Finding(finding.with_fix(fix))).await;
    }
}

const fn work_of(route: &Route) -> Work {
    match route {
        Route::Upload { .. } => Work::Upload,
        Route::Download { .. } => Work::Download,
        Route::Copy { .. } => Work::Copy,
    }
}

/// Counts what the transfers did. What met another state than its plan saw counts only if the plan was not mistaken.
async fn settle(run: &Run, tally: Tally, synced: &mut Synced, again: bool) {
    synced.failed += tally.failed;
    synced.cancelled += tally.cancelled;
    if again {
        return;
    }
    for (action, error) in &tally.moved_there {
        run.report_failure(action, error).await;
        synced.failed += 1;
    }
}

/// Deletes what is too much in the target, if that is known for sure.
async fn delete(run: &Arc<Run>, rules: DeleteRules, synced: &mut Synced) {
    let situation = Situation {
        source_items: synced.seen.source_items,
        target_items: synced.seen.target_items,
        candidates: synced.seen.deletes.len() as u64,
        odd: synced.seen.odd,
        failed: synced.failed + synced.cancelled,
        max_delete: rules.max_delete,
        consented: rules.consented,
    };
    if run.is_cancelled() {
        return;
    }
    if let Err(refusal) = may_delete(&situation) {
        let finding = Finding::new("deletes-refused", Severity::Warning, "target", refusal.to_string());
        run.tell(Event::Finding(finding.with_fix(refusal.hint()))).await;
        synced.refused = Some(refusal);
        return;
    }
    let deletes = std::mem::take(&mut synced.seen.deletes);
    run.tell(Event::Progress(Progress::Work(Work::Delete))).await;
    let tally = run.move_all(stream::iter([deletes]), |_, _| {}).await;
    settle(run, tally, synced, false).await;
}
