//! One sync: looks at both sides, and moves what differs while it is still looking.
//!
//! The same plan is shown by a dry run, saved, and done here: [`saved`] writes it down action by action, and [`run`] feeds
//! it to the transfers. Deletes wait until everything else is known to be right.

pub mod checked;
pub mod saved;

use super::extras::Extras;
use super::leftovers::{self, Scope};
use super::lessons::Lessons;
use super::pipeline::{Compared, Listing, Look, LookError, Memory, Objects, Seen, Side, look};
use super::sync_receipt::{ReceiptPlace, ReceiptRows};
use super::transfer::{Proven, Run, Tally, TransferOptions, Way};
use crate::aws::s3::{S3Error, Store};
use crate::local::{CachePlace, Journal, TargetTree, Visited};
use crate::model::{Filter, ObjectKey, Odd, escaped};
use crate::plan::{Action, ODD_FILE};
use crate::report::{Event, Finding, Progress, Severity, Work};
use crate::sync::compare::{By, Compare, Verdict};
use crate::sync::decide::{Decider, Decision, Route};
use crate::sync::deletes::{Refusal, Situation, may_delete};
use crate::sync::diff;
use crate::sync::item::Item;
use crate::sync::shard::Shard;
use futures_util::StreamExt as _;
use futures_util::stream;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
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

/// What is left to do once everything was moved.
struct Closing<'run> {
    request: &'run SyncRequest,
    run: &'run Arc<Run>,
    tree: Option<Arc<TargetTree>>,
    leftovers: Leftovers<'run>,
    notes: Notes,
}

impl Closing<'_> {
    /// Deletes, tidies up, and writes down what is to be remembered.
    async fn close(
        self,
        mut synced: Synced,
        extras: Extras,
        store: &Store,
        options: &TransferOptions,
        listener: &Listener,
    ) -> Result<Synced, LookError> {
        let Self { request, run, tree, leftovers, notes } = self;
        let deleted = match request.delete {
            Some(rules) => delete(run, request, rules, extras, &mut synced).await,
            None => Ok(()),
        };
        let all_sent = synced.failed == 0 && synced.cancelled == 0 && !run.is_cancelled();
        // A shard, or a run that leaves files out, does not know what the others still go on with.
        if all_sent && request.shard.is_none() && !request.filter.has_flags() {
            leftovers.give_up(Stay::None, listener).await;
        }
        if let Some(tree) = tree {
            settle_tree(tree, request, listener).await;
        }
        synced.kept_uploads = run.kept_uploads();
        synced.cause = run.common_cause();
        let in_place = all_sent && synced.seen.odd == 0;
        synced.receipt = notes.close(request, store, options, listener, in_place).await;
        deleted.map(|()| synced)
    }
}

/// Tells when the run waits for other credentials, for as long as this lives.
struct TellsPauses(Vec<JoinHandle<()>>);

impl TellsPauses {
    fn begin(store: &Store, options: &TransferOptions, listener: &Listener) -> Self {
        // Inside the service both ends are reached with the same credentials.
        let source = if let Way::Through(source) = &options.copies { Some(source) } else { None };
        let pauses = [Some(store), source].into_iter().flatten().filter_map(Store::pauses);
        Self(pauses.map(|pauses| tokio::spawn(tell_pauses(pauses, listener.events.clone()))).collect())
    }
}

async fn tell_pauses(mut pauses: watch::Receiver<Option<Duration>>, events: mpsc::Sender<Event>) {
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
}

impl Drop for TellsPauses {
    fn drop(&mut self) {
        self.0.iter().for_each(JoinHandle::abort);
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
async fn settle_tree(tree: Arc<TargetTree>, request: &SyncRequest, listener: &Listener) {
    let found = match &request.target {
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
        let finding = Finding::new("not-flushed", Severity::Warning, target_of(&request.route), error.to_string());
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

/// Why nothing would be deleted, if that is so: told as a finding.
async fn refusal(
    request: &SyncRequest,
    rules: DeleteRules,
    seen: &Tallied,
    failed: u64,
    events: &mpsc::Sender<Event>,
) -> Option<Refusal> {
    let situation = Situation {
        source_items: seen.source_items,
        target_items: seen.target_items,
        candidates: seen.extras,
        odd: seen.odd,
        failed,
        max_delete: rules.max_delete,
        consented: rules.consented,
    };
    let refusal = may_delete(&situation).err()?;
    let target = target_of(&request.route);
    let finding = Finding::new("deletes-refused", Severity::Warning, target, refusal.to_string());
    let _ = events.send(Event::Finding(finding.with_fix(refusal.hint()))).await;
    Some(refusal)
}

/// Deletes what is too much in the target, if that is known for sure.
async fn delete(
    run: &Arc<Run>,
    request: &SyncRequest,
    rules: DeleteRules,
    extras: Extras,
    synced: &mut Synced,
) -> Result<(), LookError> {
    if run.is_cancelled() {
        return Ok(());
    }
    let failed = synced.failed + synced.cancelled;
    synced.refused = refusal(request, rules, &synced.seen, failed, run.events()).await;
    if synced.refused.is_some() {
        return Ok(());
    }
    let objects = extras.count();
    for progress in [Progress::Work(Work::Delete), Progress::Expect { objects, bytes: 0 }, Progress::AllExpected] {
        run.tell(Event::Progress(progress)).await;
    }
    let (batches, mut lost) = (extras.into_batches()?, None);
    let batches = batches.map_while(|batch| batch.map_err(|error| lost = Some(error)).ok());
    let tally = run.move_all(stream::iter(batches), |_, _| {}).await;
    settle(run, tally, synced, false).await;
    lost.map_or(Ok(()), |error| Err(error.into()))
}
