//! One sync: looks at both sides, and moves what differs while it is still looking.
//!
//! The same plan is shown by a dry run, saved, and done here: [`saved`] writes it down action by action, and [`run`] feeds
//! it to the transfers. Deletes wait until everything else is known to be right.

pub mod checked;
mod ending;
mod pauses;
pub mod saved;

use super::extras::Extras;
use super::lessons::Lessons;
use super::pipeline::{Compared, Listing, Look, LookError, Memory, Objects, Seen, Side, look};
use super::sync_receipt::{ReceiptPlace, ReceiptRows};
use super::transfer::{Proven, Run, Tally, TransferOptions};
use crate::aws::s3::{S3Error, Store};
use crate::local::{CachePlace, TargetTree, Visited};
use crate::model::{Filter, ObjectKey, Odd, escaped};
use crate::plan::{Action, ODD_FILE};
use crate::report::{Event, Finding, Progress, Severity, Work};
use crate::sync::compare::{By, Compare, Verdict};
use crate::sync::decide::{Decider, Decision, Route};
use crate::sync::deletes::Refusal;
use crate::sync::diff;
use crate::sync::item::Item;
use crate::sync::shard::Shard;
use ending::{Closing, Leftovers, Stay};
use futures_util::StreamExt as _;
use futures_util::stream;
use pauses::TellsPauses;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
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
    pub receipt: Option<ReceiptPlace>,
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
    /// Things that are too much in the target.
    pub extras: u64,
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
    /// What of that was left alone because it is not what was planned.
    pub moved: u64,
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
    /// The pairs of the batch at hand that are equal, if somebody asks for them.
    equal: Option<Mutex<Vec<Equal>>>,
}

/// A name under which both sides have the same.
#[derive(Debug)]
struct Equal {
    /// Where it stands among the actions: the object's key.
    place: ObjectKey,
    /// What the source has.
    source: Item,
}

impl Notes {
    fn of(request: &SyncRequest) -> Self {
        Self {
            lessons: request.cache.as_ref().map(|place| Lessons::new(place, request)),
            receipt: request.receipt.as_ref().map(|place| ReceiptRows::new(place, &request.spill_folder)),
            equal: None,
        }
    }

    /// Takes note of what is equal, too.
    fn with_equals(self) -> Self {
        Self { equal: Some(Mutex::default()), ..self }
    }

    /// What was equal since this was asked last.
    fn take_equals(&self) -> Vec<Equal> {
        let equals = self.equal.as_ref().map(|equals| equals.lock().unwrap_or_else(PoisonError::into_inner));
        equals.map(|mut equals| std::mem::take(&mut *equals)).unwrap_or_default()
    }

    fn compared(&self, both: &Compared) {
        self.lessons.iter().for_each(|lessons| lessons.compared(both));
        self.receipt.iter().for_each(|receipt| receipt.compared(both));
        if let (Some(equal), Verdict::Unchanged { .. }) = (&self.equal, &both.verdict)
            && let (_, Item::Object(object)) | (Item::Object(object), Item::File(_)) = (&both.source, &both.target)
        {
            let one = Equal { place: object.entry.key.clone(), source: both.source.clone() };
            equal.lock().unwrap_or_else(PoisonError::into_inner).push(one);
        }
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

    /// Has the listing of one side sorted here. False if it is, or if there is none: then that helps nobody.
    fn sorted(&mut self, side: diff::Side) -> bool {
        let side = match side {
            diff::Side::Source => &mut self.source,
            diff::Side::Target => &mut self.target,
        };
        match side {
            Side::Objects(Objects { listing, .. }) if *listing == Listing::Streamed => {
                *listing = Listing::Sorted;
                true
            }
            Side::Objects(_) | Side::Files(_) | Side::Nothing => false,
        }
    }
}

/// Looks at both sides and gives the transfers of every batch, be it none, to `take` in the order of names. Ends early if
/// `take` says so.
///
/// A side that is not in the order of names is an error; what was given before may then be mistaken.
async fn plan_once(
    request: &SyncRequest,
    notes: Option<&Notes>,
    listener: &Listener,
    mut take: impl AsyncFnMut(Vec<Action>) -> bool,
) -> Result<(Tallied, Extras), LookError> {
    let mut tallied = Tallied::default();
    let mut extras = Extras::new(&request.route, &request.spill_folder);
    let mut decider = Decider::new(request.route.clone());
    let (wanted, visited) = request.look();
    let batches = tokio::select! {
        biased;
        () = listener.cancel.cancelled() => return Ok((tallied, extras)),
        batches = look(wanted) => batches?,
    };
    let mut batches = std::pin::pin!(batches);
    let saw_all = loop {
        let batch = tokio::select! {
            biased;
            () = listener.cancel.cancelled() => break false,
            batch = batches.next() => batch,
        };
        let Some(batch) = batch.transpose()? else { break true };
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
                Decision::Delete(action) => extras.push(action)?,
                Decision::Odd(odd) => {
                    tallied.odd += 1;
                    let _ = listener.events.send(Event::Finding(odd_item(&odd))).await;
                }
                Decision::Marker => {}
            }
        }
        tallied.transfers += transfers.len() as u64;
        tallied.bytes += transfers.iter().filter_map(|action| action.step.bytes()).sum::<u64>();
        if !take(transfers).await {
            break false;
        }
    };
    if let Some(notes) = notes {
        // Who ends early does not wait: the merge tells only at its end, and goes on only while somebody takes its batches.
        notes.visited(if saw_all { visited.await.ok() } else { None });
    }
    tallied.extras = extras.count();
    Ok((tallied, extras))
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
    let _telling = TellsPauses::begin(store, options, listener);
    let leftovers = Leftovers::of(&request, store, options);
    leftovers.give_up(Stay::Usable, listener).await;
    let notes = Notes::of(&request);
    let mut synced = Synced::default();
    let extras = loop {
        let (feed, fed) = mpsc::channel(AHEAD);
        let expect = &run;
        let planning = async {
            let planned = plan_once(&request, Some(&notes), listener, async |batch: Vec<Action>| {
                batch.is_empty() || hand_over(expect, &feed, batch).await
            });
            let planned = planned.await;
            drop(feed);
            expect.tell(Event::Progress(Progress::AllExpected)).await;
            planned
        };
        let (planned, tally) = tokio::join!(planning, move_fed(&run, fed, &notes, &mut synced));
        let again = matches!(&planned, Err(LookError::Order(_)));
        settle(&run, tally, &mut synced, again).await;
        match planned {
            Ok((tallied, extras)) => {
                synced.seen = tallied;
                break extras;
            }
            Err(LookError::Order(error)) if request.sorted(error.side) => {}
            Err(error) => return Err(error),
        }
    };
    // What an earlier, mistaken look had sent is equal by now, and was counted as sent.
    let sent_before: u64 = synced.proofs.values().sum::<u64>() + synced.failed + synced.cancelled;
    synced.seen.unchanged -= sent_before.saturating_sub(synced.seen.transfers).min(synced.seen.unchanged);
    let ending = Closing { request: &request, run: &run, tree, leftovers, notes };
    ending.close(synced, extras, store, options, listener).await
}

/// Gives a batch to the transfers, and says what lies ahead. False when nobody takes it any more.
async fn hand_over(run: &Run, feed: &mpsc::Sender<Vec<Action>>, batch: Vec<Action>) -> bool {
    let bytes = batch.iter().filter_map(|action| action.step.bytes()).sum();
    run.tell(Event::Progress(Progress::Expect { objects: batch.len() as u64, bytes })).await;
    feed.send(batch).await.is_ok()
}

/// Moves all that is handed over.
async fn move_fed(run: &Arc<Run>, fed: mpsc::Receiver<Vec<Action>>, notes: &Notes, synced: &mut Synced) -> Tally {
    let fed = stream::unfold(fed, |mut fed| async { Some((fed.recv().await?, fed)) });
    let moving = run.move_all(fed, |action, proven: Proven| {
        notes.moved(&action, &proven);
        *synced.proofs.entry(proven.rung.name()).or_default() += 1;
        synced.bytes += proven.bytes;
    });
    moving.await
}

/// The directory of a download, opened or made once.
async fn tree(route: &Route) -> Result<Option<Arc<TargetTree>>, LookError> {
    let Route::Download { root, .. } = route else { return Ok(None) };
    let root = root.clone();
    let tree = tokio::task::spawn_blocking(move || TargetTree::open(&root)).await??;
    Ok(Some(Arc::new(tree)))
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
        synced.moved += 1;
    }
}

/// Where a sync goes, as a person would write it.
fn target_of(route: &Route) -> String {
    match route {
        Route::Upload { bucket, folder } | Route::Copy { bucket, folder, .. } => format!("s3://{bucket}/{folder}"),
        Route::Download { root, .. } => escaped(root),
    }
}
