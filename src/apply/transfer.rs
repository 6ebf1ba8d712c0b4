//! Sends files: each proven, none torn, with bounded memory and a bounded number of requests.
//!
//! A file up to [`parts::MULTIPART_FROM_BYTES`] is read whole between two looks at its fingerprint, then sent. A larger
//! one goes up in parts that become an object only if the file is still the same after the last byte was read.

mod bandwidth;
mod copy;
mod crowd;
mod download;
mod limits;
mod multipart;
mod outage;
mod pace;
mod prove;
mod resume;
pub(super) mod retry;
mod single;
mod slots;

pub use crate::plan::{CopyTask, Download};
pub use copy::{Way, copy};
pub(crate) use crowd::Tally;
pub use download::{Fetched, download};

use super::patience::Situation;
use crate::aws::s3::{Doomed, ErrorClass, S3Error, Store, object_url};
use crate::local::{Journal, ReadError, TargetTree, WriteError, descriptor_limit, fingerprint};
use crate::model::{Algorithm, BucketName, Checksum, ETag, Fingerprint, ObjectAttributes, ObjectKey, escaped};
use crate::plan::{Action, Delete, Step, Upload};
use crate::report::{Event, Progress, Status};
use crate::sync::parts;
use crate::sync::proof::Rung;
use bandwidth::Bandwidth;
use bytes::Bytes;
use futures_util::stream;
use limits::Pool;
use outage::Outage;
use retry::Retry;
use slots::Slots;
use std::collections::BTreeSet;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinError;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Longer than a load balancer takes to find a new home, shorter than anybody waits for a typo in an endpoint.
pub(super) const DEFAULT_RETRY_FOR: Duration = Duration::from_secs(30);

/// What the program may hold in memory unless told otherwise.
pub const DEFAULT_MEMORY_BYTES: u64 = 256 * 1024 * 1024;

/// More requests at a time than this are too many for one client: S3 wants them spread over more addresses.
const MOST_REQUESTS: usize = 256;

/// Memory that goes along with a request under way, beside the content of its file, with room to spare.
const CONNECTION_BYTES: u64 = 1024 * 1024;

/// How files are sent.
#[derive(Debug, Clone)]
pub struct TransferOptions {
    /// The checksum that travels with each body and that the service verifies: CRC-64/NVME, SHA-256 or MD5.
    pub checksum: Algorithm,
    /// How many requests may be under way at a time, at least 1: so many only if they move more than fewer do, and if
    /// the process may have the connections open.
    pub requests: usize,
    /// How many bytes of file content are in memory at a time. One part that is larger is held alone.
    pub body_bytes: u64,
    /// The part size where the file's size allows it.
    pub part_bytes: u64,
    /// From which size on a file goes up in parts.
    pub multipart_from_bytes: u64,
    /// How many bytes may go over the wire in a second, on average; none for no limit.
    pub bytes_per_second: Option<u64>,
    /// How long trouble that passes is waited out for each file.
    pub retry_for: Duration,
    /// What the run did to the buckets before, so that a 404 is waited out where one is to be expected.
    pub situation: Situation,
    /// What objects carry beside their bytes.
    pub attributes: Arc<ObjectAttributes>,
    /// Where uploads in parts are remembered until they are finished, so that a run that ends early is taken up again;
    /// without it they are aborted.
    pub journal: Option<Journal>,
    /// How the bytes of copies get from one end to the other.
    pub copies: Way,
    /// Whether only what was planned is moved: a file that is another by now is not looked at once more.
    pub as_planned: bool,
}

impl TransferOptions {
    /// The usual way, within [`DEFAULT_MEMORY_BYTES`].
    pub fn with_checksum(checksum: Algorithm) -> Self {
        Self {
            checksum,
            requests: 0,
            body_bytes: 0,
            part_bytes: parts::DEFAULT_PART_BYTES,
            multipart_from_bytes: parts::MULTIPART_FROM_BYTES,
            bytes_per_second: None,
            retry_for: DEFAULT_RETRY_FOR,
            situation: Situation::SETTLED,
            attributes: Arc::default(),
            journal: None,
            copies: Way::INSIDE,
            as_planned: false,
        }
        .within(DEFAULT_MEMORY_BYTES)
    }

    /// The same within another limit of the whole program's memory. Five sixteenths are for the content of files: ten
    /// parts at a time of a large one. The rest is for the plan, the SDK, and the connections' buffers.
    pub fn within(self, memory_bytes: u64) -> Self {
        let requests = usize::try_from(memory_bytes / CONNECTION_BYTES).unwrap_or(usize::MAX);
        Self { requests: requests.clamp(1, MOST_REQUESTS), body_bytes: memory_bytes / 16 * 5, ..self }
    }

    /// Lets requests of a run to `store` wait for other credentials once theirs have expired, at both ends of a copy.
    pub(super) fn wait_for_credentials(&self, store: &Store) {
        for end in [Some(store), self.copies.reader()].into_iter().flatten() {
            end.wait_for_credentials(self.retry_for);
        }
    }
}

/// An object that is in place, and how that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proven {
    /// Its ETag.
    pub etag: Option<ETag>,
    /// The checksum of its whole content that was sent; none where only parts had one.
    pub checksum: Option<Checksum>,
    /// How it was proven.
    pub rung: Rung,
    /// Its version, in a bucket with versioning.
    pub version_id: Option<String>,
    /// Its length in bytes.
    pub bytes: u64,
    /// What the local file was when it was sent, or is since it arrived.
    pub file: Option<Fingerprint>,
}

impl Proven {
    /// Of something that was deleted.
    const fn gone() -> Self {
        Self { etag: None, checksum: None, rung: Rung::Gone, version_id: None, bytes: 0, file: None }
    }
}

/// Why a file is not in place.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// The file could not be read whole, or did not stay the same.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The file could not be put in its place.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The object is not what the plan saw, so it was left alone.
    #[error("`{0}` was changed by somebody else since the plan was made; it was left as it is")]
    ChangedThere(String),
    /// The file is larger than any object can be.
    #[error("`{path}` has {bytes} bytes; S3 takes at most 48.8 TiB in one object")]
    TooLarge {
        /// The file.
        path: String,
        /// Its length.
        bytes: u64,
    },
    /// The endpoint says that it holds something else than what was sent.
    #[error("`{target}` is not what was sent: sent {sent}, the endpoint has {answered}")]
    Contradicted {
        /// The object.
        target: String,
        /// What was sent.
        sent: String,
        /// What the endpoint says.
        answered: String,
    },
    /// What arrived is not what the endpoint keeps; it was thrown away.
    #[error("`{target}` did not arrive as it is kept there: kept {stored}, arrived {arrived}")]
    Damaged {
        /// The object.
        target: String,
        /// What the endpoint keeps of it.
        stored: String,
        /// The same of what arrived.
        arrived: String,
    },
    /// The endpoint took it, but nothing it says proves that it holds what was sent.
    #[error("nothing that the endpoint says proves that `{0}` arrived whole")]
    Unproven(String),
    /// The action moves nothing, so it is none of the transfers.
    #[error("`{0}` is not to be moved")]
    NoTransfer(String),
    /// A call failed.
    #[error(transparent)]
    S3(#[from] S3Error),
    /// The run was cancelled.
    #[error("cancelled")]
    Cancelled,
    /// A task of this program ended early.
    #[error("a worker ended unexpectedly: {0}")]
    Worker(#[from] JoinError),
}

impl TransferError {
    /// What a person can do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Read(ReadError::Changed(_)) => Some("wait until nothing writes to the file, then run again"),
            Self::ChangedThere(_) | Self::Write(WriteError::Changed(_)) => {
                Some("run again: a new plan starts from what is there now")
            }
            Self::Damaged { .. } => {
                Some("run again; if it stays so, a proxy on the way or the object itself is damaged")
            }
            Self::Write(WriteError::Full { .. }) => Some("free some space, then run again: what is done stays done"),
            Self::Write(WriteError::Link(_)) => Some("remove the link, or choose another target"),
            Self::S3(error) if error.code.as_deref() == Some("InvalidObjectState") => {
                Some("the object is in an archive: restore it first")
            }
            Self::Unproven(_) => Some("pass `--checksum md5`: this endpoint keeps no other checksum"),
            Self::S3(error) if error.status == Some(400) && error.operation.contains("MultipartUpload") => {
                Some("if this endpoint does not know CRC64NVME for uploads in parts, pass `--checksum md5`")
            }
            _ => None,
        }
    }

    /// True where the same file may well succeed on another try.
    fn deserves_another_try(&self) -> bool {
        match self {
            Self::Read(ReadError::Changed(_)) | Self::Damaged { .. } => true,
            // S3 says so itself: of two conditional writes at once, one gets this answer and should try again.
            Self::S3(error) => error.class == ErrorClass::Conflict,
            _ => false,
        }
    }
}

/// What became of a set of files.
#[derive(Debug, Default)]
pub struct Transferred {
    /// What is in place now, in the order in which it arrived.
    pub proven: Vec<(Action, Proven)>,
    /// How many failed; each was reported as an event.
    pub failed: u64,
    /// How many were not sent, or not wholly, because the run was cancelled.
    pub cancelled: u64,
    /// How many uploads in parts stay unfinished for the next run to go on with.
    pub kept_uploads: u64,
}

/// All that the tasks of one run share.
pub(crate) struct Run {
    store: Store,
    /// The store without the SDK's own tries: for what must not be asked again before somebody has looked.
    once: Store,
    options: TransferOptions,
    requests: Slots,
    pool: Pool,
    bandwidth: Bandwidth,
    events: mpsc::Sender<Event>,
    cancel: CancellationToken,
    /// The directory that downloads go to.
    tree: Option<Arc<TargetTree>>,
    /// Set once the endpoint has refused a conditional write as unknown to it.
    without_conditions: AtomicBool,
    /// Set once the journal could not be used.
    journal_failed: AtomicBool,
    /// Keys whose uploads in parts stay unfinished.
    kept: Mutex<BTreeSet<ObjectKey>>,
    /// What keeps the whole run from going on.
    outage: Outage,
}

impl Run {
    pub(crate) fn new(
        store: &Store,
        options: &TransferOptions,
        events: &mpsc::Sender<Event>,
        cancel: &CancellationToken,
    ) -> Arc<Self> {
        Self::below(store, None, options, events, cancel)
    }

    /// A run whose downloads go below `tree`.
    pub(crate) fn below(
        store: &Store,
        tree: Option<Arc<TargetTree>>,
        options: &TransferOptions,
        events: &mpsc::Sender<Event>,
        cancel: &CancellationToken,
    ) -> Arc<Self> {
        options.wait_for_credentials(store);
        Arc::new(Self {
            store: store.clone(),
            once: store.without_retries(),
            options: options.clone(),
            requests: Slots::new(pace::most_requests(options.requests, descriptor_limit())),
            pool: Pool::new(options.body_bytes),
            bandwidth: Bandwidth::new(options.bytes_per_second),
            events: events.clone(),
            cancel: cancel.clone(),
            tree,
            without_conditions: AtomicBool::new(false),
            journal_failed: AtomicBool::new(false),
            kept: Mutex::default(),
            outage: Outage::default(),
        })
    }

    /// How many uploads in parts stay unfinished for the next run to go on with.
    pub(crate) fn kept_uploads(&self) -> u64 {
        self.kept().len() as u64
    }

    fn kept(&self) -> MutexGuard<'_, BTreeSet<ObjectKey>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What more than one item failed of, where that is one thing to mend.
    pub(crate) fn common_cause(&self) -> Option<S3Error> {
        self.outage.cause()
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        self.cancel.is_cancelled()
    }

    /// Lets `work` go on until the run is cancelled.
    async fn unless_cancelled<T>(
        &self,
        work: impl Future<Output = Result<T, TransferError>>,
    ) -> Result<T, TransferError> {
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => Err(TransferError::Cancelled),
            result = work => result,
        }
    }

    /// Movement may be dropped when nobody keeps up with it; everything else waits for its reader.
    fn advanced(&self, bytes: u64) {
        self.outage.end();
        self.requests.moved(bytes);
        let _ = self.events.try_send(Event::Progress(Progress::Advanced { bytes }));
    }

    /// Where events go.
    pub(crate) const fn events(&self) -> &mpsc::Sender<Event> {
        &self.events
    }

    pub(crate) async fn tell(&self, event: Event) {
        // A listener that has gone does not stop the work.
        let _ = self.events.send(event).await;
    }
}

/// Sends one file. The caller hears of its movement by events, and of its end by the result alone.
pub async fn upload(
    store: &Store,
    bucket: &BucketName,
    upload: &Upload,
    options: &TransferOptions,
    events: &mpsc::Sender<Event>,
) -> Result<Proven, TransferError> {
    let run = Run::new(store, options, events, &CancellationToken::new());
    run.send_file(bucket, upload, None).await
}

/// Sends all files side by side. One that fails does not stop the others; a cancelled run starts no more, ends those
/// under way, and aborts what they had begun.
pub async fn upload_all(
    store: &Store,
    actions: Vec<Action>,
    options: &TransferOptions,
    events: &mpsc::Sender<Event>,
    cancel: &CancellationToken,
) -> Transferred {
    let run = Run::new(store, options, events, cancel);
    let bytes = actions.iter().filter_map(|action| action.step.bytes()).sum();
    run.tell(Event::Progress(Progress::Expect { objects: actions.len() as u64, bytes })).await;
    run.tell(Event::Progress(Progress::AllExpected)).await;
    let mut proven = Vec::with_capacity(actions.len());
    let tally = run.move_all(stream::iter([actions]), |action, arrived| proven.push((action, arrived))).await;
    for (action, error) in &tally.moved_there {
        run.report_failure(action, error).await;
    }
    Transferred {
        proven,
        failed: tally.failed + tally.moved_there.len() as u64,
        cancelled: tally.cancelled,
        kept_uploads: run.kept_uploads(),
    }
}

impl Run {
    pub(crate) async fn report_failure(&self, action: &Action, error: &TransferError) {
        if let TransferError::S3(error) = error {
            self.outage.note(error);
        }
        let mut record = action.record(Status::Failed);
        record.reason = error_text(error);
        if let Some(hint) = error.hint() {
            record.reason = format!("{}; {hint}", record.reason);
        }
        self.tell(Event::Action(record)).await;
        self.tell(Event::Progress(Progress::Settled)).await;
    }

    async fn report_arrival(&self, action: &Action, proven: &Proven) {
        self.outage.end();
        let mut record = action.record(Status::Done);
        record.bytes = Some(proven.bytes);
        record.proof = Some(proven.rung.name());
        self.tell(Event::Action(record)).await;
        self.tell(Event::Progress(Progress::Settled)).await;
    }

    /// Does what one action says, and again where that is worth it.
    async fn move_one(self: &Arc<Self>, action: &Action) -> Result<Proven, TransferError> {
        if let Step::Upload(upload) = &action.step {
            return self.send_file(&action.bucket, upload, None).await;
        }
        let mut retry = Retry::new(self.options.situation, self.options.retry_for);
        loop {
            match self.try_one(action).await {
                Ok(proven) => return Ok(proven),
                Err(error) => {
                    let error = self.as_planned(error, || action.target())?;
                    self.rest(self.pause(&mut retry, &error), error, action.target()).await?;
                }
            }
        }
    }

    /// Gives back an error that may be worth another try. Where only what was planned is moved, a local file that is
    /// another by now is not.
    fn as_planned(&self, error: TransferError, shown: impl FnOnce() -> String) -> Result<TransferError, TransferError> {
        match error {
            TransferError::Read(ReadError::Changed(_)) | TransferError::Write(WriteError::Changed(_))
                if self.options.as_planned =>
            {
                Err(TransferError::ChangedThere(shown()))
            }
            error => Ok(error),
        }
    }

    async fn try_one(self: &Arc<Self>, action: &Action) -> Result<Proven, TransferError> {
        match (&action.step, &self.tree) {
            (Step::Download { download, .. }, Some(tree)) => {
                Ok(self.fetch(&action.bucket, download, tree).await?.proven)
            }
            (Step::Copy(task), _) => self.copy(&action.bucket, task, &self.options.copies).await,
            (Step::Delete(delete), _) => self.delete(&action.bucket, delete).await,
            (Step::DeleteFile { path, fingerprint, .. }, Some(tree)) => {
                let (tree, path, seen) = (Arc::clone(tree), path.clone(), *fingerprint);
                tokio::task::spawn_blocking(move || tree.remove_if_unchanged(&path, &seen)).await??;
                Ok(Proven::gone())
            }
            _ => Err(TransferError::NoTransfer(action.target())),
        }
    }

    /// How long to wait before the next try; none if there should be none. Where nothing at all gets through, items that
    /// begin late wait no longer than those that began first.
    fn pause(&self, retry: &mut Retry, error: &TransferError) -> Option<Duration> {
        let now = Instant::now();
        let elapsed = retry.failed(now);
        let outage = match error {
            TransferError::S3(refused) if self.store.has_waited(refused.class) => return None,
            TransferError::S3(refused) if retry::passes(refused.class) => self.outage.goes_on(now),
            _ => Duration::ZERO,
        };
        retry.after(error, elapsed.max(outage))
    }

    /// Waits before the next try, and says so; gives the error back if there should be none.
    async fn rest(&self, pause: Option<Duration>, error: TransferError, target: String) -> Result<(), TransferError> {
        if let TransferError::S3(refused) = &error
            && matches!(refused.class, ErrorClass::Throttled | ErrorClass::Unreachable)
        {
            self.requests.ease_off();
        }
        let Some(pause) = pause else { return Err(error) };
        self.tell(Event::Progress(Progress::Retried { target, reason: error_text(&error) })).await;
        let paused = async {
            tokio::time::sleep(pause).await;
            Ok(())
        };
        self.unless_cancelled(paused).await
    }

    /// Deletes an object if it still is the one that was seen. One that is gone already is as wanted.
    async fn delete(&self, bucket: &BucketName, delete: &Delete) -> Result<Proven, TransferError> {
        let _slot = self.requests.acquire().await;
        let doomed = Doomed { key: delete.key.clone(), etag: delete.etag.clone(), version: delete.version.clone() };
        let deleting = async {
            // What a version is never changes, so whether conditions are honoured does not matter to it.
            Ok(if self.store.honours_delete_conditions() || doomed.version.is_some() {
                self.store.delete_object(bucket, &doomed.key, doomed.version.as_deref(), doomed.etag.as_ref()).await
            } else {
                self.store.delete_after_look(bucket, &doomed).await
            })
        };
        match self.unless_cancelled(deleting).await? {
            Err(error) if error.class == ErrorClass::Precondition => {
                Err(TransferError::ChangedThere(object_url(bucket, &delete.key)))
            }
            Err(error) if error.class != ErrorClass::NotFound => Err(error.into()),
            _ => Ok(Proven::gone()),
        }
    }

    /// Sends a small file that was read already. Where that fails and deserves another try, the file is read again.
    async fn send_small(
        self: &Arc<Self>,
        bucket: &BucketName,
        upload: &Upload,
        read: Result<(Bytes, Checksum), ReadError>,
    ) -> Result<Proven, TransferError> {
        let sent = match read {
            Ok((body, checksum)) => {
                let _slot = self.requests.acquire().await;
                self.send_body(bucket, upload, body, checksum).await
            }
            Err(error) => Err(error.into()),
        };
        match sent {
            Ok(proven) => Ok(Proven { file: Some(upload.fingerprint), ..proven }),
            Err(error) => self.send_file(bucket, upload, Some(error)).await,
        }
    }

    /// Sends a file, and once more if it changed meanwhile or another writer was in the way. `failed` is what the first
    /// try ended with, if there was one already.
    async fn send_file(
        self: &Arc<Self>,
        bucket: &BucketName,
        upload: &Upload,
        mut failed: Option<TransferError>,
    ) -> Result<Proven, TransferError> {
        let mut expected = upload.fingerprint;
        let mut retry = Retry::new(self.options.situation, self.options.retry_for);
        loop {
            let error = match failed.take() {
                Some(error) => error,
                None => match self.send_as(bucket, upload, &expected).await {
                    Ok(proven) => return Ok(Proven { file: Some(expected), ..proven }),
                    Err(error) => error,
                },
            };
            let error = self.as_planned(error, || escaped(&upload.path))?;
            self.rest(self.pause(&mut retry, &error), error, object_url(bucket, &upload.key)).await?;
            // What the file is now is what counts: the next try sends that, or sees it change again.
            if !self.options.as_planned {
                let path = upload.path.clone();
                expected = tokio::task::spawn_blocking(move || fingerprint(&path)).await??;
            }
        }
    }

    async fn send_as(
        self: &Arc<Self>,
        bucket: &BucketName,
        upload: &Upload,
        expected: &Fingerprint,
    ) -> Result<Proven, TransferError> {
        if expected.size_bytes < self.options.multipart_from_bytes {
            self.send_single(bucket, upload, expected).await
        } else {
            self.send_parts(bucket, upload, expected).await
        }
    }
}

/// An error with its causes in one line.
fn error_text(error: &TransferError) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
