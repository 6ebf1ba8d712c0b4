//! Many transfers side by side: taken in as they are planned, small files read together, each told when it ends.
//!
//! A thread hop costs more than reading a small file, so small files are read by the dozen on a blocking thread and sent
//! from one task. Everything else has a task of its own.

use super::limits::Buffer;
use super::{Proven, Run, TransferError, error_text};
use crate::aws::s3::Doomed;
use crate::hashing;
use crate::local::{ReadError, SourceFile};
use crate::model::{Algorithm, Checksum};
use crate::plan::{Action, Step, Upload};
use crate::report::{ErrorRecord, Event, InFlight, Progress};
use bytes::Bytes;
use futures_util::stream::{self, Stream, StreamExt as _};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use tokio::task::{JoinError, JoinSet};

/// Files up to this size are read together.
const SMALL_BYTES: u64 = 128 * 1024;

/// How many small files are read together at most, and how many bytes.
const GROUP_FILES: usize = 32;
const GROUP_BYTES: u64 = 1024 * 1024;

/// How many objects one request deletes: the most that S3 takes.
///
/// Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html>
const GROUP_DELETES: usize = 1000;

/// What became of a run.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// How many arrived.
    pub(crate) done: u64,
    /// How many failed; each was reported as an event.
    pub(crate) failed: u64,
    /// How many were not moved, or not wholly, because the run was cancelled.
    pub(crate) cancelled: u64,
    /// What was left alone because the target is not what the plan saw. Not reported yet: a plan that was made from an
    /// unordered listing is mistaken about these, and made anew.
    pub(crate) moved_there: Vec<(Action, TransferError)>,
}

/// What is given to one task.
#[derive(Debug)]
enum Group {
    Small(Vec<Action>),
    Deletes(Vec<Action>),
    One(Box<Action>),
}

type Ended = Vec<(Action, Result<Proven, TransferError>)>;

impl Run {
    /// Moves everything that comes, as many side by side as the limits allow, until nothing more comes or the run is
    /// cancelled. `arrived` is called for each that is in place, in the order of arrival.
    pub(crate) async fn move_all(
        self: &Arc<Self>,
        batches: impl Stream<Item = Vec<Action>>,
        mut arrived: impl FnMut(Action, Proven),
    ) -> Tally {
        let mut batches = std::pin::pin!(batches);
        let (mut tally, mut under_way) = (Tally::default(), JoinSet::new());
        let (mut waiting, mut more) = (VecDeque::<Group>::new(), true);
        let (mut loads, mut in_hand) = (HashMap::new(), 0);
        while more || !waiting.is_empty() || in_hand > 0 {
            while in_hand < self.in_hand_most()
                && let Some(group) = waiting.pop_front()
            {
                let (size, weight) = (group.len(), group.weight());
                in_hand += weight;
                loads.insert(under_way.spawn(Arc::clone(self).run_group(group)).id(), (size, weight));
            }
            tokio::select! {
                biased;
                Some(ended) = under_way.join_next_with_id(), if in_hand > 0 => {
                    let id = ended.as_ref().map_or_else(JoinError::id, |(id, _)| *id);
                    let (size, weight) = loads.remove(&id).unwrap_or_default();
                    in_hand -= weight;
                    self.count(ended.map(|(_, ended)| ended), size, &mut tally, &mut arrived).await;
                }
                batch = batches.next(), if more && waiting.is_empty() => match batch {
                    Some(batch) => waiting = groups(batch, self.store.honours_delete_conditions()),
                    None => more = false,
                },
            }
        }
        tally
    }

    /// As many as keep all slots busy while some are being read or proven.
    fn in_hand_most(&self) -> usize {
        self.requests.limit() + 2 * GROUP_FILES
    }

    /// Takes note of what one task did with its transfers.
    async fn count(
        &self,
        ended: Result<Ended, JoinError>,
        size: usize,
        tally: &mut Tally,
        arrived: &mut impl FnMut(Action, Proven),
    ) {
        let ended = match ended {
            Ok(ended) => ended,
            // A task that panicked could not report its files itself.
            Err(error) => {
                tally.failed += size as u64;
                let message = error_text(&error.into());
                return self.tell(Event::Error(ErrorRecord::new("internal", message))).await;
            }
        };
        for (action, result) in ended {
            match result {
                Ok(proven) => {
                    tally.done += 1;
                    arrived(action, proven);
                }
                Err(TransferError::Cancelled) => tally.cancelled += 1,
                Err(error @ TransferError::ChangedThere(_)) => tally.moved_there.push((action, error)),
                Err(_) => tally.failed += 1,
            }
        }
    }

    async fn run_group(self: Arc<Self>, group: Group) -> Ended {
        let named = group.named();
        if let Some(named) = &named {
            self.tell(Event::Progress(Progress::Begun(named.clone()))).await;
        }
        let ended = match group {
            Group::One(action) => vec![self.run_one(*action).await],
            Group::Small(actions) => self.run_small(actions).await,
            Group::Deletes(actions) => self.run_deletes(actions).await,
        };
        if let Some(named) = named {
            self.tell(Event::Progress(Progress::Ended(named))).await;
        }
        ended
    }

    async fn run_one(self: &Arc<Self>, action: Action) -> (Action, Result<Proven, TransferError>) {
        let result =
            if self.cancel.is_cancelled() { Err(TransferError::Cancelled) } else { self.move_one(&action).await };
        self.report(action, result).await
    }

    /// Reads all files of the group at once, then sends them side by side.
    async fn run_small(self: &Arc<Self>, actions: Vec<Action>) -> Ended {
        let sizes: Vec<usize> = actions.iter().map(size_of).collect();
        let buffer = self.pool.buffer(sizes.iter().sum()).await;
        let algorithm = self.options.checksum;
        let read = tokio::task::spawn_blocking(move || read_group(actions, &sizes, buffer, algorithm)).await;
        // A reader that panicked takes its group with it, which is told as one.
        let read = read.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
        stream::iter(read)
            .map(|(action, body)| async move {
                let result = match &action.step {
                    _ if self.cancel.is_cancelled() => Err(TransferError::Cancelled),
                    Step::Upload(upload) => self.send_small(&action.bucket, upload, body).await,
                    _ => self.move_one(&action).await,
                };
                self.report(action, result).await
            })
            .buffer_unordered(GROUP_FILES)
            .collect()
            .await
    }

    /// Deletes many objects with one request; what failed is tried once more by itself.
    async fn run_deletes(self: &Arc<Self>, actions: Vec<Action>) -> Ended {
        let doomed: Vec<Doomed> = actions.iter().filter_map(doomed_of).collect();
        let bucket = actions.first().map(|action| action.bucket.clone());
        let deleted = match &bucket {
            Some(bucket) if !self.cancel.is_cancelled() => {
                let _slot = self.requests.acquire().await;
                let deleting = async { Ok(self.store.delete_objects(bucket, &doomed).await?) };
                self.unless_cancelled(deleting).await.unwrap_or_default()
            }
            _ => Vec::new(),
        };
        let mut ended = Vec::with_capacity(actions.len());
        let mut deleted = deleted.into_iter();
        for action in actions {
            match deleted.next() {
                Some(Ok(())) => ended.push(self.report(action, Ok(Proven::gone())).await),
                Some(Err(_)) | None => ended.push(self.run_one(action).await),
            }
        }
        ended
    }

    async fn report(
        &self,
        action: Action,
        result: Result<Proven, TransferError>,
    ) -> (Action, Result<Proven, TransferError>) {
        match &result {
            Ok(proven) => self.report_arrival(&action, proven).await,
            Err(TransferError::Cancelled | TransferError::ChangedThere(_)) => {}
            Err(error) => self.report_failure(&action, error).await,
        }
        (action, result)
    }
}

impl Group {
    const fn len(&self) -> usize {
        match self {
            Self::Small(actions) | Self::Deletes(actions) => actions.len(),
            Self::One(_) => 1,
        }
    }

    /// The file that stands for it while it is under way.
    fn named(&self) -> Option<InFlight> {
        let moves = |action: &&Action| !matches!(action.step, Step::Delete(_) | Step::DeleteFile { .. });
        let action = match self {
            Self::Small(actions) => actions.iter().max_by_key(|action| action.step.bytes()),
            Self::One(action) => Some(&**action),
            Self::Deletes(_) => None,
        };
        let action = action.filter(moves)?;
        Some(InFlight { bytes: action.step.bytes()?, target: action.target() })
    }

    /// How much of what may be in hand it takes. One request deletes many, and some such requests go side by side.
    fn weight(&self) -> usize {
        self.len().min(GROUP_FILES)
    }
}

fn size_of(action: &Action) -> usize {
    action.step.bytes().and_then(|bytes| usize::try_from(bytes).ok()).unwrap_or_default()
}

fn doomed_of(action: &Action) -> Option<Doomed> {
    match &action.step {
        Step::Delete(delete) => Some(Doomed { key: delete.key.clone(), etag: delete.etag.clone() }),
        _ => None,
    }
}

/// Small files together, deletes of one bucket together where that is safe, everything else alone.
fn groups(batch: Vec<Action>, deletes_together: bool) -> VecDeque<Group> {
    let mut groups = VecDeque::new();
    let (mut small, mut bytes) = (Vec::new(), 0);
    let mut deletes: Vec<Action> = Vec::new();
    for action in batch {
        match &action.step {
            Step::Upload(upload) if upload.fingerprint.size_bytes <= SMALL_BYTES => {
                bytes += upload.fingerprint.size_bytes;
                small.push(action);
                if small.len() >= GROUP_FILES || bytes >= GROUP_BYTES {
                    bytes = 0;
                    groups.push_back(Group::Small(std::mem::take(&mut small)));
                }
            }
            Step::Delete(_) if deletes_together => {
                let other_bucket = deletes.first().is_some_and(|first| first.bucket != action.bucket);
                if other_bucket || deletes.len() >= GROUP_DELETES {
                    groups.push_back(Group::Deletes(std::mem::take(&mut deletes)));
                }
                deletes.push(action);
            }
            _ => groups.push_back(Group::One(Box::new(action))),
        }
    }
    if !deletes.is_empty() {
        groups.push_back(Group::Deletes(deletes));
    }
    if !small.is_empty() {
        groups.push_back(Group::Small(small));
    }
    groups
}

type ReadFile = Result<(Bytes, Checksum), ReadError>;

/// The content of all files, one behind the other in one buffer.
fn read_group(
    actions: Vec<Action>,
    sizes: &[usize],
    mut buffer: Buffer,
    algorithm: Algorithm,
) -> Vec<(Action, ReadFile)> {
    let mut checksums = Vec::with_capacity(actions.len());
    let mut rest: &mut [u8] = &mut buffer;
    for (action, size) in actions.iter().zip(sizes) {
        let (own, others) = rest.split_at_mut(*size);
        rest = others;
        checksums.push(match &action.step {
            Step::Upload(upload) => read_into(upload, own).map(|()| hashing::digest(algorithm, own)),
            _ => Ok(hashing::digest(algorithm, b"")),
        });
    }
    let bytes = buffer.freeze();
    let mut offset = 0;
    let mut read = Vec::with_capacity(actions.len());
    for ((action, checksum), size) in actions.into_iter().zip(checksums).zip(sizes) {
        let body = bytes.slice(offset..offset + size);
        offset += size;
        read.push((action, checksum.map(|checksum| (body, checksum))));
    }
    read
}

/// The bytes of a file that is what was planned before and after.
fn read_into(upload: &Upload, bytes: &mut [u8]) -> Result<(), ReadError> {
    let file = SourceFile::open_unchanged(&upload.path, &upload.fingerprint)?;
    file.read(0, bytes)?;
    file.check_unchanged()
}
