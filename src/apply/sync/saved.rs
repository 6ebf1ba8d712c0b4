//! A plan that is written down: to be shown once it is known to be right, or to be carried out later.
//!
//! Saving streams to disk, so that a million actions take no memory. Carrying out goes twice through it: first everything
//! is held against what would be planned now, and only if nothing moved is anything done, each action once more under the
//! condition that both ends still are what was seen.

use super::ending::refusal;
use super::{Listener, Notes, SyncRequest, Tallied, odd_item, plan_once};
use crate::apply::extras::Extras;
use crate::apply::pipeline::{LookError, Side, unreadable_at};
use crate::local::{DigestsWanted, Draft, ReadError, SealedLines, digest_file};
use crate::model::{Checksum, Fingerprint, HumanCount};
use crate::plan::{Action, Download, Step};
use crate::report::{Event, Progress, Work};
use crate::sync::saved::{Frame, Header, Line, Totals, Trailer, VERSION};
use futures_util::stream::{self, StreamExt as _};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tempfile::TempPath;
use tokio::task::{JoinError, spawn_blocking};

/// How many actions travel together from a saved plan.
const BATCH: usize = 64;

/// Why a plan was neither made nor carried out.
#[derive(Debug, thiserror::Error)]
pub enum SavedError {
    /// One of the sides could not be looked at.
    #[error(transparent)]
    Look(#[from] LookError),
    /// The plan's own file could not be written or read.
    #[error("{0}")]
    File(#[from] io::Error),
    /// The file is no plan that can be carried out.
    #[error(transparent)]
    NotAPlan(#[from] NotAPlan),
    /// So many things moved since the plan was made; nothing was written.
    #[error("{} moved since the plan was made; nothing was written", things(*.0))]
    Moved(u64),
    /// The user wanted to stop; nothing was written.
    #[error("interrupted")]
    Stopped,
    /// A task of this program ended early.
    #[error("a worker ended unexpectedly: {0}")]
    Worker(#[from] JoinError),
}

fn things(count: u64) -> String {
    if count == 1 { "1 thing".to_owned() } else { format!("{} things", HumanCount(count)) }
}

/// What is wrong with a file that should hold a plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAPlan {
    /// Its first line is not that of a plan.
    #[error("it is no plan of `sync`")]
    Foreign,
    /// It is a plan that `plan --save` wrote.
    #[error("it is a plan of `apply`, made with `plan --save`")]
    OfApply,
    /// Another version of the program wrote it.
    #[error("its format is version {0}, and this program knows version {VERSION}")]
    Version(u64),
    /// A line cannot be read.
    #[error("line {0} is not what `sync --plan` writes: the file was edited or damaged")]
    Line(u64),
    /// It ends before its last line.
    #[error("it ends before its last line: it was cut off")]
    CutOff,
    /// Its lines are not those that were written.
    #[error("its digest is not that of its lines: the file was edited or damaged")]
    Edited,
}

/// A plan that was read whole and found to be what was written.
#[derive(Debug, Clone)]
pub struct SavedPlan {
    /// What it is for.
    pub header: Header,
    /// Its last line.
    pub trailer: Trailer,
    pub(super) path: PathBuf,
}

/// Where a plan is written down.
#[derive(Debug)]
struct Sheet {
    draft: Draft,
    /// The first line of a plan that is carried out later; none of one that is only shown.
    header: Option<Header>,
}

/// A plan that was made: what it adds up to, and its file.
#[derive(Debug)]
pub struct Planned {
    /// What was seen and decided.
    pub seen: Tallied,
    /// What the actions add up to.
    pub totals: Totals,
    /// Where it is: at the place asked for, or in a file that goes with this value.
    file: PlanFile,
    frame: Arc<Frame>,
}

#[derive(Debug)]
enum PlanFile {
    Kept(PathBuf),
    Temporary(TempPath),
}

impl Planned {
    /// Gives every action to `each`, in the order in which they are carried out.
    pub async fn show(&self, mut each: impl AsyncFnMut(Action)) -> Result<(), SavedError> {
        let path: &Path = match &self.file {
            PlanFile::Kept(path) => path,
            PlanFile::Temporary(path) => path,
        };
        let mut lines = open(path.to_owned()).await?;
        loop {
            let (rest, batch) = spawn_blocking(move || read_batch(lines, BATCH)).await??;
            lines = rest;
            let Some(batch) = batch else { return Ok(()) };
            for action in batch.into_iter().filter_map(|line| line.action(&self.frame)) {
                each(action).await;
            }
        }
    }
}

/// Plans, and keeps the plan in a temporary file that goes with the answer.
pub async fn plan(request: SyncRequest, listener: &Listener) -> Result<Planned, SavedError> {
    let folder = request.spill_folder.clone();
    let draft = spawn_blocking(move || Draft::temporary(&folder)).await??;
    write(request, Sheet { draft, header: None }, None, listener).await
}

/// Plans, and writes the plan to `path` once it is whole. Every local file that it reads, replaces or deletes is read, so
/// that the plan knows its content.
pub async fn save(
    request: SyncRequest,
    header: Header,
    path: &Path,
    listener: &Listener,
) -> Result<Planned, SavedError> {
    let place = path.to_owned();
    let draft = spawn_blocking(move || Draft::beside(&place)).await??;
    let _ = listener.events.send(Event::Progress(Progress::Work(Work::Check))).await;
    write(request, Sheet { draft, header: Some(header) }, Some(path), listener).await
}

/// What was shown cannot be taken back, so nothing is shown before both sides were seen to their ends: a listing that
/// turns out to be in another order only late is listed again, and what was planned so far forgotten.
async fn write(
    mut request: SyncRequest,
    sheet: Sheet,
    path: Option<&Path>,
    listener: &Listener,
) -> Result<Planned, SavedError> {
    let frame = request.frame();
    let header = sheet.header.map(|header| Line::SyncPlan(Box::new(header)));
    let (draft, reads) = (Arc::new(Mutex::new(sheet.draft)), path.is_some());
    let mut scribe = Scribe { draft, frame, reads, totals: Totals::default(), odd: 0 };
    let (mut seen, extras) = loop {
        scribe.begin(header.as_ref()).await?;
        let planned = plan_whole(&mut request, None, listener, async |batch| scribe.add(batch, listener).await);
        if let Some(found) = planned.await? {
            break found;
        }
    };
    seen.odd += scribe.odd;
    if let Some(rules) = request.delete {
        refusal(&request, rules, &seen, 0, &listener.events).await;
    }
    for batch in extras.into_batches().map_err(LookError::from)? {
        scribe.add(batch.map_err(LookError::from)?, listener).await?;
    }
    let _ = listener.events.send(Event::Progress(Progress::AllExpected)).await;
    let Scribe { draft, frame, totals, .. } = scribe;
    seen.transfers = totals.transfers;
    seen.bytes = totals.bytes;
    let last = move |sha256: &Checksum| json(&Line::End(Trailer { totals, sha256: sha256.hex() }));
    let path = path.map(Path::to_owned);
    let file = spawn_blocking(move || {
        let draft = Arc::into_inner(draft).map(|draft| draft.into_inner().unwrap_or_else(PoisonError::into_inner));
        let draft = draft.ok_or(io::ErrorKind::ResourceBusy)?;
        match path {
            Some(path) => draft.persist(&path, last).map(|()| PlanFile::Kept(path)),
            None => draft.keep(last).map(PlanFile::Temporary),
        }
    });
    let file = file.await??;
    Ok(Planned { seen, totals, file, frame })
}

/// Looks at both sides, and gives the transfers of every batch to `take`. None if a side is not in the order of names: then
/// it is sorted here from now on, and what was taken is mistaken.
pub(super) async fn plan_whole(
    request: &mut SyncRequest,
    notes: Option<&Notes>,
    listener: &Listener,
    mut take: impl AsyncFnMut(Vec<Action>) -> Result<(), SavedError>,
) -> Result<Option<(Tallied, Extras)>, SavedError> {
    let mut trouble = None;
    let planned = plan_once(request, notes, listener, async |batch: Vec<Action>| {
        trouble = take(batch).await.err();
        trouble.is_none()
    });
    let planned = planned.await;
    if let Some(error) = trouble {
        return Err(error);
    }
    if listener.cancel.is_cancelled() {
        return Err(SavedError::Stopped);
    }
    match planned {
        Ok(found) => Ok(Some(found)),
        Err(LookError::Order(error)) if request.sorted(error.side) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Writes actions down.
struct Scribe {
    draft: Arc<Mutex<Draft>>,
    frame: Arc<Frame>,
    /// Whether the local files of actions are read.
    reads: bool,
    totals: Totals,
    /// Files that could not be read.
    odd: u64,
}

impl Scribe {
    /// Begins anew.
    async fn begin(&mut self, header: Option<&Line>) -> Result<(), SavedError> {
        (self.totals, self.odd) = (Totals::default(), 0);
        let (draft, header) = (Arc::clone(&self.draft), header.map(json));
        let begun = spawn_blocking(move || {
            let mut draft = lock(&draft);
            draft.restart()?;
            header.map_or(Ok(()), |header| draft.line(&header))
        });
        Ok(begun.await??)
    }

    /// Writes down a batch. An action whose file cannot be read is left out, which is told.
    async fn add(&mut self, batch: Vec<Action>, listener: &Listener) -> Result<(), SavedError> {
        let bytes: u64 = batch.iter().filter_map(local_file).map(|(_, file)| file.size_bytes).sum();
        if self.reads && bytes > 0 {
            let _ = listener.events.send(Event::Progress(Progress::Expect { objects: 0, bytes })).await;
        }
        let (reads, width) = (self.reads, std::thread::available_parallelism().map_or(2, usize::from));
        let share = batch.len().div_ceil(width).max(1);
        let shares: Vec<Vec<Action>> = batch.chunks(share).map(<[Action]>::to_vec).collect();
        let read = stream::iter(shares).map(|share| spawn_blocking(move || with_contents(share, reads)));
        let read: Vec<_> = read.buffered(width).collect().await;
        let mut lines = Vec::with_capacity(batch.len());
        for share in read {
            for (action, content) in share? {
                match content {
                    Ok(content) => {
                        self.count(&action);
                        lines.extend(Line::of(&action, &self.frame, content.as_ref()).as_ref().map(json));
                    }
                    Err(error) => {
                        self.odd += 1;
                        let path = local_file(&action).map(|(path, _)| path).unwrap_or_default();
                        let _ = listener.events.send(Event::Finding(odd_item(&unreadable_at(&path, &error)))).await;
                    }
                }
            }
        }
        let _ = listener.events.try_send(Event::Progress(Progress::Advanced { bytes: if reads { bytes } else { 0 } }));
        let draft = Arc::clone(&self.draft);
        let written = spawn_blocking(move || {
            let mut draft = lock(&draft);
            lines.iter().try_for_each(|line| draft.line(line))
        });
        Ok(written.await??)
    }

    fn count(&mut self, action: &Action) {
        if matches!(action.step, Step::Delete(_) | Step::DeleteFile { .. }) {
            self.totals.deletes += 1;
        } else {
            self.totals.transfers += 1;
            self.totals.bytes += action.step.bytes().unwrap_or_default();
        }
    }
}

pub(super) fn lock<T>(value: &Mutex<T>) -> MutexGuard<'_, T> {
    value.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A line as it is written. It is texts and numbers, which always have a JSON form.
pub(super) fn json(line: &Line) -> Vec<u8> {
    serde_json::to_vec(line).unwrap_or_default()
}

/// The local file that an action reads, replaces or deletes.
pub(super) fn local_file(action: &Action) -> Option<(PathBuf, Fingerprint)> {
    match &action.step {
        Step::Upload(upload) => Some((upload.path.clone(), upload.fingerprint)),
        Step::Download { root, download: Download { path, replaces: Some(file), .. } } => {
            Some((root.join(path.as_str()), *file))
        }
        Step::DeleteFile { root, path, fingerprint } => Some((root.join(path.as_str()), *fingerprint)),
        _ => None,
    }
}

type WithContent = (Action, Result<Option<Checksum>, ReadError>);

/// Actions with the CRC-64/NVME of their local files; blocks.
fn with_contents(actions: Vec<Action>, reads: bool) -> Vec<WithContent> {
    let content = |action: &Action| match local_file(action) {
        Some((path, file)) if reads => content_of(&path, &file).map(Some),
        _ => Ok(None),
    };
    actions
        .into_iter()
        .map(|action| {
            let content = content(&action);
            (action, content)
        })
        .collect()
}

/// The CRC-64/NVME of a file that is `file` before and after it is read; blocks.
pub(super) fn content_of(path: &Path, file: &Fingerprint) -> Result<Checksum, ReadError> {
    let wanted = DigestsWanted { crc64nvme: true, ..DigestsWanted::default() };
    let digests = digest_file(path, file, &wanted)?;
    Ok(digests.crc64nvme.unwrap_or_else(|| Checksum::crc64nvme(0)))
}

async fn open(path: PathBuf) -> Result<SealedLines, SavedError> {
    Ok(spawn_blocking(move || SealedLines::open(&path)).await??)
}

/// The next lines of actions; none behind the last.
pub(super) fn read_batch(mut lines: SealedLines, most: usize) -> Result<(SealedLines, Option<Vec<Line>>), SavedError> {
    let mut batch = Vec::new();
    while batch.len() < most {
        let Some(text) = lines.next_line()? else { break };
        let line = serde_json::from_slice(text).map_err(|_| NotAPlan::Edited)?;
        match line {
            Line::SyncPlan(_) => {}
            Line::End(_) => break,
            line => batch.push(line),
        }
    }
    let batch = (!batch.is_empty()).then_some(batch);
    Ok((lines, batch))
}

/// Reads a plan to its end, and tells whether it is what was written.
pub async fn read(path: &Path) -> Result<SavedPlan, SavedError> {
    let path = path.to_owned();
    spawn_blocking(move || {
        let mut lines = SealedLines::open(&path)?;
        let header = lines.next_line().map_err(of_line)?.map(header_of).unwrap_or(Err(NotAPlan::Foreign))?;
        let mut number = 1;
        loop {
            number += 1;
            let text = lines.next_line().map_err(of_line)?.ok_or(NotAPlan::CutOff)?;
            match serde_json::from_slice(text).map_err(|_| NotAPlan::Line(number))? {
                Line::End(trailer) => {
                    let (digest, is_last) = lines.finish()?;
                    let is_whole = is_last && digest.hex() == trailer.sha256;
                    return if is_whole {
                        Ok(SavedPlan { header, trailer, path })
                    } else {
                        Err(NotAPlan::Edited.into())
                    };
                }
                Line::SyncPlan(_) => return Err(NotAPlan::Line(number).into()),
                _ => {}
            }
        }
    })
    .await?
}

/// A line without an end is the last of a file that was cut off, unless it is no text at all.
fn of_line(error: io::Error) -> SavedError {
    if error.kind() == io::ErrorKind::InvalidData { NotAPlan::CutOff.into() } else { error.into() }
}

fn header_of(text: &[u8]) -> Result<Header, NotAPlan> {
    let value: serde_json::Value = serde_json::from_slice(text).map_err(|_| NotAPlan::Foreign)?;
    if value.get("type").is_none() && value.get("format").is_some() && value.get("actions").is_some() {
        return Err(NotAPlan::OfApply);
    }
    if value.get("type").and_then(serde_json::Value::as_str) != Some("sync-plan") {
        return Err(NotAPlan::Foreign);
    }
    match value.get("version").and_then(serde_json::Value::as_u64) {
        Some(version) if version == u64::from(VERSION) => {}
        Some(version) => return Err(NotAPlan::Version(version)),
        None => return Err(NotAPlan::Line(1)),
    }
    match serde_json::from_value(value) {
        Ok(Line::SyncPlan(header)) => Ok(*header),
        _ => Err(NotAPlan::Line(1)),
    }
}

impl SyncRequest {
    pub(super) fn frame(&self) -> Arc<Frame> {
        let root = if let Side::Files(files) = &self.source { files.root.clone() } else { PathBuf::new() };
        Arc::new(Frame { route: self.route.clone(), root })
    }
}
