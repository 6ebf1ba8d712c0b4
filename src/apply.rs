//! Runs a plan: knows the order, the limits and what is worth waiting for, and reports every step as an event.
//!
//! Settings of one bucket are written one after the other, because S3 aborts concurrent ones; buckets go side by side.
//! Access logs come after all other settings, when every log bucket stands with its delivery policy; markers after
//! that; then what grants need in the account; files last.

pub mod access;
pub mod dataset;
pub mod explain;
mod extras;
pub mod leftovers;
mod lessons;
pub mod listing;
pub mod patience;
pub mod pipeline;
pub mod probe;
pub mod receipts;
pub mod retire;
pub mod round_trip;
pub mod sync;
pub mod sync_receipt;
pub mod transfer;

use crate::aws::s3::{ErrorClass, MarkerWrite, S3Error, Store};
use crate::model::{BucketName, Setting};
use crate::plan::{Action, Plan, Step};
use crate::report::{ErrorRecord, Event, Progress, Status};
use access::{Granted, Grants, Ground};
use futures_util::stream::{self, StreamExt as _};
use patience::{Patience, Situation};
use std::collections::BTreeMap;
use std::sync::Mutex;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use transfer::{TransferOptions, Transferred};

/// How many buckets are set up at once.
const BUCKETS_AT_ONCE: usize = 8;
/// How many markers of one bucket are written at once.
const MARKERS_AT_ONCE: usize = 16;

/// What a run of a plan needs beside the plan.
#[derive(Debug)]
pub struct Apply<'run> {
    /// The store to write to.
    pub store: &'run Store,
    /// Who listens.
    pub events: mpsc::Sender<Event>,
    /// Set when the user wants to stop: nothing new is begun then.
    pub cancel: CancellationToken,
    /// How files are sent.
    pub transfer: TransferOptions,
    /// Where grants are applied; without it they are left out.
    pub grants: Option<Ground<'run>>,
}

/// What became of a run.
#[derive(Debug, Default)]
pub struct Applied {
    /// The files.
    pub transferred: Transferred,
    /// What came of the actions in the account.
    pub granted: Granted,
}

/// The actions of one bucket, by the phase in which they run.
#[derive(Debug, Default)]
struct Phases {
    settings: Vec<Action>,
    access_logs: Vec<Action>,
    markers: Vec<Action>,
}

/// What happened to a bucket earlier in the run, which later calls must allow for.
#[derive(Debug, Clone, Copy, Default)]
struct History {
    created: bool,
    versioned: bool,
    unusable: bool,
}

impl Apply<'_> {
    /// Runs `plan` to its end, or until it is cancelled. Failures are events; the summary counts them.
    pub async fn run(&self, mut plan: Plan) -> Applied {
        let account = std::mem::take(&mut plan.account);
        let (phases, files) = split(plan);
        let histories = Mutex::new(BTreeMap::<BucketName, History>::new());
        let run = &self;
        let histories = &histories;
        stream::iter(phases.iter())
            .for_each_concurrent(BUCKETS_AT_ONCE, |(bucket, phases)| async move {
                for action in &phases.settings {
                    run.configure(bucket, action, histories).await;
                }
            })
            .await;
        stream::iter(phases.iter())
            .for_each_concurrent(BUCKETS_AT_ONCE, |(bucket, phases)| async move {
                for action in &phases.access_logs {
                    run.configure(bucket, action, histories).await;
                }
                stream::iter(&phases.markers)
                    .for_each_concurrent(MARKERS_AT_ONCE, |action| run.configure(bucket, action, histories))
                    .await;
            })
            .await;
        let granted = match &self.grants {
            Some(ground) => Grants { ground, events: &self.events, cancel: &self.cancel }.run(&account).await,
            None => Granted::default(),
        };
        Applied { transferred: self.send_files(files, histories).await, granted }
    }

    /// One setting, bucket or marker, with its history taken into account.
    async fn configure(&self, bucket: &BucketName, action: &Action, histories: &Mutex<BTreeMap<BucketName, History>>) {
        let history = history_of(histories, bucket);
        if history.unusable {
            return self.skip(action, "the bucket could not be made").await;
        }
        // What was not begun is neither skipped for cause nor failed; the numbers show how much is left.
        if self.cancel.is_cancelled() {
            return;
        }
        let outcome = self.with_patience(action, history).await;
        remember(histories, bucket, |history| match &action.step {
            Step::CreateBucket { .. } => {
                history.created = true;
                history.unusable = outcome.is_err();
            }
            Step::PutSetting(Setting::Versioning) => history.versioned = true,
            _ => {}
        });
        match outcome {
            Ok(()) => self.emit(Event::Action(action.record(Status::Done))).await,
            Err(error) if error.class == ErrorClass::Unsupported => {
                self.skip(action, "the endpoint does not implement it").await;
            }
            Err(error) => self.fail(action, &error).await,
        }
    }

    /// Tries an action until it works, until it fails for good, or until patience ends.
    async fn with_patience(&self, action: &Action, history: History) -> Result<(), S3Error> {
        let situation = Situation { just_created: history.created, just_versioned: history.versioned };
        let mut patience = Patience::new(situation);
        let started = tokio::time::Instant::now();
        loop {
            let error = match self.perform(action).await {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            let Some(wait) = patience.after(error.class, started.elapsed()) else { return Err(error) };
            let retried = Progress::Retried { target: action.target(), reason: error.message.clone() };
            self.emit(Event::Progress(retried)).await;
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.cancel.cancelled() => return Err(error),
            }
        }
    }

    async fn perform(&self, action: &Action) -> Result<(), S3Error> {
        let bucket = &action.bucket;
        match &action.step {
            Step::CreateBucket { region, tags } => self.store.create_bucket(bucket, region, tags).await,
            Step::PutSetting(setting) => self.store.put_setting(bucket, setting).await,
            Step::PutMarker { key } => match self.store.put_marker(bucket, key).await? {
                // Whoever was faster wanted the same folder.
                MarkerWrite::Written | MarkerWrite::AlreadyThere => Ok(()),
            },
            Step::Upload(_)
            | Step::Download { .. }
            | Step::Copy(_)
            | Step::Delete(_)
            | Step::DeleteFile { .. }
            | Step::SkipDataset { .. } => Ok(()),
        }
    }

    async fn send_files(&self, files: Vec<Action>, histories: &Mutex<BTreeMap<BucketName, History>>) -> Transferred {
        let mut jobs = Vec::new();
        for action in files {
            if history_of(histories, &action.bucket).unusable {
                self.skip(&action, "the bucket could not be made").await;
                continue;
            }
            if matches!(action.step, Step::SkipDataset { .. }) {
                self.emit(Event::Action(action.record(Status::Skipped))).await;
            } else {
                jobs.push(action);
            }
        }
        let situation = {
            let histories = histories.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            Situation {
                just_created: histories.values().any(|history| history.created),
                just_versioned: histories.values().any(|history| history.versioned),
            }
        };
        let options = TransferOptions { situation, ..self.transfer.clone() };
        transfer::upload_all(self.store, jobs, &options, &self.events, &self.cancel).await
    }

    async fn emit(&self, event: Event) {
        // Nobody listens any more only when the run is over.
        let _ = self.events.send(event).await;
    }

    async fn skip(&self, action: &Action, why: &str) {
        let mut record = action.record(Status::Skipped);
        why.clone_into(&mut record.reason);
        self.emit(Event::Action(record)).await;
    }

    async fn fail(&self, action: &Action, error: &S3Error) {
        let mut record = action.record(Status::Failed);
        record.reason.clone_from(&error.message);
        self.emit(Event::Action(record)).await;
        self.emit(Event::Error(ErrorRecord {
            kind: error.class.kind(),
            message: error.to_string(),
            hints: error.class.hint().map(str::to_owned).into_iter().collect(),
            target: Some(action.target()),
            excerpt: None,
        }))
        .await;
    }
}

/// The plan's actions by bucket and phase, and the files apart, because all of them share one pool.
fn split(plan: Plan) -> (BTreeMap<BucketName, Phases>, Vec<Action>) {
    let mut buckets = BTreeMap::<BucketName, Phases>::new();
    let mut files = Vec::new();
    for action in plan.actions {
        let phases = buckets.entry(action.bucket.clone()).or_default();
        match &action.step {
            Step::PutSetting(Setting::AccessLog(_)) => phases.access_logs.push(action),
            Step::PutMarker { .. } => phases.markers.push(action),
            Step::CreateBucket { .. } | Step::PutSetting(_) => phases.settings.push(action),
            _ => files.push(action),
        }
    }
    (buckets, files)
}

fn history_of(histories: &Mutex<BTreeMap<BucketName, History>>, bucket: &BucketName) -> History {
    let histories = histories.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    histories.get(bucket).copied().unwrap_or_default()
}

fn remember(histories: &Mutex<BTreeMap<BucketName, History>>, bucket: &BucketName, change: impl FnOnce(&mut History)) {
    let mut histories = histories.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    change(histories.entry(bucket.clone()).or_default());
}
