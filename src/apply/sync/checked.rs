//! Carries out a saved plan: all of it is held against what would be planned now, and only if nothing moved is anything
//! done.
//!
//! Both are in the order of names, so they are merged like the two sides of a sync. What is agreed on waits in a file of
//! this run's own, with the files as they were seen last: nobody can change that plan any more.

use super::ending::{Closing, Leftovers, Stay};
use super::pauses::TellsPauses;
use super::saved::{NotAPlan, SavedError, SavedPlan, content_of, json, local_file, lock, plan_whole, read_batch};
use super::{Equal, Listener, Notes, SyncRequest, Synced, Tallied, hand_over, move_fed, settle, tree, work_of};
use crate::apply::extras::Extras;
use crate::apply::pipeline::LookError;
use crate::apply::transfer::{Run, TransferOptions};
use crate::aws::s3::Store;
use crate::local::{Draft, SealedLines, SpillError};
use crate::model::Fingerprint;
use crate::plan::{Action, Step};
use crate::report::{Event, Finding, Progress, Severity, Work};
use crate::sync::item::Item;
use crate::sync::saved::{Frame, Likeness, Line, Totals, Trailer};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use tempfile::TempPath;
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

/// How many actions travel together.
const BATCH: usize = 64;

/// How many things that moved are named; the rest is counted.
const MOST_NAMED: usize = 100;

/// Does what `plan` says, if that is what would be planned now; otherwise writes nothing. What is in place already, as
/// after an earlier run that was stopped, is left alone.
pub async fn carry_out(
    mut request: SyncRequest,
    plan: &SavedPlan,
    store: &Store,
    options: &TransferOptions,
    listener: &Listener,
) -> Result<Synced, SavedError> {
    // The check asks as much as a whole listing, so it waits for credentials as the transfers do.
    options.wait_for_credentials(store);
    let _telling = TellsPauses::begin(store, options, listener);
    let notes = Notes::of(&request).with_equals();
    let agreed = check(&mut request, plan, &notes, listener).await?;
    let tree = tree(&request.route).await?;
    let options = &TransferOptions { as_planned: true, ..options.clone() };
    let run = Run::below(store, tree.clone(), options, &listener.events, &listener.cancel);
    run.tell(Event::Progress(Progress::Work(work_of(&request.route)))).await;
    let leftovers = Leftovers::of(&request, store, options);
    leftovers.give_up(Stay::Usable, listener).await;
    let mut synced = Synced::default();
    let (feed, fed) = mpsc::channel(super::AHEAD);
    let feeding = async {
        let fed = feed_from(&agreed, &run, feed).await;
        run.tell(Event::Progress(Progress::AllExpected)).await;
        fed
    };
    let (fed, tally) = tokio::join!(feeding, move_fed(&run, fed, &notes, &mut synced));
    settle(&run, tally, &mut synced, false).await;
    let Agreed { seen, extras, .. } = agreed;
    synced.seen = seen;
    fed?;
    let ending = Closing { request: &request, run: &run, tree, leftovers, notes };
    Ok(ending.close(synced, extras, store, options, listener).await?)
}

/// What the plan and the present agree on.
struct Agreed {
    seen: Tallied,
    /// The deletes that are to be done.
    extras: Extras,
    /// The transfers that are to be done.
    transfers: TempPath,
    frame: Arc<Frame>,
}

async fn feed_from(agreed: &Agreed, run: &Run, feed: mpsc::Sender<Vec<Action>>) -> Result<(), SavedError> {
    let path = agreed.transfers.to_path_buf();
    let mut lines = spawn_blocking(move || SealedLines::open(&path)).await??;
    loop {
        let (rest, batch) = spawn_blocking(move || read_batch(lines, BATCH)).await??;
        lines = rest;
        let Some(batch) = batch else { return Ok(()) };
        let batch = batch.into_iter().filter_map(|line| line.action(&agreed.frame)).collect();
        if !hand_over(run, &feed, batch).await {
            return Ok(());
        }
    }
}

/// Holds the whole plan against what would be planned now.
async fn check(
    request: &mut SyncRequest,
    plan: &SavedPlan,
    notes: &Notes,
    listener: &Listener,
) -> Result<Agreed, SavedError> {
    let _ = listener.events.send(Event::Progress(Progress::Work(Work::Check))).await;
    loop {
        let frame = request.frame();
        let (path, trailer, spill) = (plan.path.clone(), plan.trailer.clone(), request.spill_folder.clone());
        let begun = Arc::clone(&frame);
        let checker = spawn_blocking(move || Checker::begin(&path, trailer, &spill, begun)).await??;
        let checker = Arc::new(Mutex::new(checker));
        let taken = async |batch: Vec<Action>| {
            let (checker, now) = (Arc::clone(&checker), in_order(notes.take_equals(), batch));
            spawn_blocking(move || lock(&checker).transfers(now)).await?
        };
        let Some((seen, extras)) = plan_whole(request, Some(notes), listener, taken).await? else { continue };
        let agreed = Extras::new(&request.route, &request.spill_folder);
        let (extras, checker) = spawn_blocking(move || {
            let extras = lock(&checker).deletes(extras, agreed)?;
            let checker = Arc::into_inner(checker).map(|one| one.into_inner().unwrap_or_else(PoisonError::into_inner));
            let checker = checker.ok_or_else(|| io::Error::from(io::ErrorKind::ResourceBusy))?;
            Ok::<_, SavedError>((extras, checker))
        })
        .await??;
        let transfers = checker.end(listener).await?;
        return Ok(Agreed { seen, extras, transfers, frame });
    }
}

/// What is planned, or equal, under one name now.
enum Now {
    Action(Action),
    Equal(Item),
}

/// What is equal and what is planned of one stretch, in the order of names.
fn in_order(equals: Vec<Equal>, batch: Vec<Action>) -> Vec<(String, Now)> {
    let equals = equals.into_iter().map(|equal| (equal.place.to_string(), Now::Equal(equal.source)));
    let transfers = batch.into_iter().map(|action| (place_of(&action), Now::Action(action)));
    let mut now: Vec<(String, Now)> = equals.chain(transfers).collect();
    now.sort_by(|(left, _), (right, _)| left.cmp(right));
    now
}

/// What the actions of one kind are ordered by.
fn place_of(action: &Action) -> String {
    match &action.step {
        Step::Upload(upload) => upload.key.to_string(),
        Step::Download { download, .. } => download.key.to_string(),
        Step::Copy(copy) => copy.key.to_string(),
        Step::Delete(delete) => delete.key.to_string(),
        Step::DeleteFile { path, .. } => path.as_str().to_owned(),
        _ => String::new(),
    }
}

/// Merges a plan with what is planned now; everything in it blocks.
struct Checker {
    lines: Option<SealedLines>,
    trailer: Trailer,
    ahead: Option<Line>,
    /// What is agreed on.
    draft: Draft,
    frame: Arc<Frame>,
    moved: Vec<Finding>,
    moved_count: u64,
}

impl Checker {
    fn begin(path: &Path, trailer: Trailer, spill: &Path, frame: Arc<Frame>) -> Result<Self, SavedError> {
        let (lines, draft) = (Some(SealedLines::open(path)?), Draft::temporary(spill)?);
        let mut checker = Self { lines, trailer, ahead: None, draft, frame, moved: Vec::new(), moved_count: 0 };
        checker.advance()?;
        Ok(checker)
    }

    /// Takes the line at hand, and reads the next one.
    fn advance(&mut self) -> Result<Option<Line>, SavedError> {
        let taken = self.ahead.take();
        while let Some(mut lines) = self.lines.take() {
            let text = lines.next_line()?.ok_or(NotAPlan::CutOff)?;
            match serde_json::from_slice(text).map_err(|_| NotAPlan::Edited)? {
                Line::End(trailer) => {
                    // It was whole when it was read first; it must not have become another meanwhile.
                    let (digest, is_last) = lines.finish()?;
                    if !is_last || trailer != self.trailer || digest.hex() != trailer.sha256 {
                        return Err(NotAPlan::Edited.into());
                    }
                }
                line => {
                    self.lines = Some(lines);
                    if !matches!(line, Line::SyncPlan(_)) {
                        self.ahead = Some(line);
                        break;
                    }
                }
            }
        }
        Ok(taken)
    }

    /// The line at hand, if it is a transfer, or a delete, up to `place`.
    fn next_up_to(&mut self, deletes: bool, place: Option<&str>) -> Result<Option<Line>, SavedError> {
        let wanted = |line: &Line| {
            let kind = if deletes { line.is_delete() } else { line.is_transfer() };
            kind && place.is_none_or(|place| line.place() <= place)
        };
        if self.ahead.as_ref().is_some_and(wanted) { self.advance() } else { Ok(None) }
    }

    fn transfers(&mut self, now: Vec<(String, Now)>) -> Result<(), SavedError> {
        for (place, now) in now {
            let mut planned = None;
            while let Some(line) = self.next_up_to(false, Some(&place))? {
                if line.place() == place {
                    planned = Some(line);
                } else {
                    self.gone(line);
                }
            }
            match (planned, now) {
                (None, Now::Equal(_)) => {}
                (None, Now::Action(action)) => self.is_new(&action),
                (Some(line), Now::Action(action)) => {
                    if holds(line.likeness(&action), local_file(&action)) {
                        let agreed = Action { reason: line.reason().cloned().unwrap_or(action.reason), ..action };
                        if let Some(line) = Line::of(&agreed, &self.frame, None) {
                            self.draft.line(&json(&line))?;
                        }
                    } else {
                        self.moved(&action.target(), line.difference(&action));
                    }
                }
                (Some(line), Now::Equal(source)) => {
                    let file =
                        if let Item::File(file) = &source { Some((file.path.clone(), file.fingerprint)) } else { None };
                    if !holds(line.likeness_in_place(&source), file) {
                        self.gone(line);
                    }
                }
            }
        }
        Ok(())
    }

    /// What is to be deleted by the plan and now. What is gone already is as wanted.
    fn deletes(&mut self, now: Extras, mut agreed: Extras) -> Result<Extras, SavedError> {
        while let Some(line) = self.next_up_to(false, None)? {
            self.gone(line);
        }
        for action in now.into_batches().map_err(LookError::from)?.flat_map(one_by_one) {
            let action = action.map_err(LookError::from)?;
            let (place, mut planned) = (place_of(&action), None);
            while let Some(line) = self.next_up_to(true, Some(&place))? {
                planned = (line.place() == place).then_some(line);
            }
            match planned {
                None => self.is_new(&action),
                Some(line) if holds(line.likeness(&action), local_file(&action)) => {
                    agreed.push(action).map_err(LookError::from)?;
                }
                Some(line) => self.moved(&action.target(), line.difference(&action)),
            }
        }
        while self.next_up_to(true, None)?.is_some() {}
        Ok(agreed)
    }

    fn gone(&mut self, line: Line) {
        if let Some(action) = line.action(&self.frame) {
            let message = format!("the plan has its {}, and now nothing is to be done about it", action.kind());
            self.moved(&action.target(), &message);
        }
    }

    fn is_new(&mut self, action: &Action) {
        let message = format!("the plan does not have its {}: {}", action.kind(), action.reason);
        self.moved(&action.target(), &message);
    }

    fn moved(&mut self, target: &str, message: &str) {
        self.moved_count += 1;
        if self.moved.len() < MOST_NAMED {
            self.moved.push(Finding::new("plan-moved", Severity::Error, target, message));
        }
    }

    /// The file of what is agreed on; if anything moved, all of that is told instead.
    async fn end(self, listener: &Listener) -> Result<TempPath, SavedError> {
        if self.moved_count == 0 {
            return Ok(spawn_blocking(move || {
                self.draft.keep(|sha256| json(&Line::End(Trailer { totals: Totals::default(), sha256: sha256.hex() })))
            })
            .await??);
        }
        for finding in self.moved {
            let _ = listener.events.send(Event::Finding(finding)).await;
        }
        Err(SavedError::Moved(self.moved_count))
    }
}

fn one_by_one(batch: Result<Vec<Action>, SpillError>) -> Vec<Result<Action, SpillError>> {
    match batch {
        Ok(batch) => batch.into_iter().map(Ok).collect(),
        Err(error) => vec![Err(error)],
    }
}

/// Whether a saved action is that of now. Its local file is read where only that can tell; blocks.
fn holds(likeness: Likeness<'_>, file: Option<(PathBuf, Fingerprint)>) -> bool {
    match (likeness, file) {
        (Likeness::Same, _) => true,
        (Likeness::IfContentIs(content), Some((path, file))) => {
            content_of(&path, &file).is_ok_and(|found| found.base64() == content)
        }
        _ => false,
    }
}
