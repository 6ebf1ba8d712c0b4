//! Takes away what was decided to go: the objects that were seen, the markers, and the bucket when nothing is left.

use super::extras::Extras;
use super::transfer::{Run, TransferOptions};
use crate::aws::s3::Store;
use crate::local::SpillError;
use crate::model::BucketName;
use crate::plan::{Action, Delete, Reason, Step};
use crate::report::{ActionRecord, ErrorRecord, Event, Progress, Status, Work};
use futures_util::stream;
use std::path::Path;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// The objects and versions that were named by hand, as they were seen; on disk where they are many.
#[derive(Debug)]
pub struct NamedObjects(Extras);

impl NamedObjects {
    /// None yet; what exceeds memory will go to `spill_folder`.
    pub fn new(bucket: &BucketName, spill_folder: &Path) -> Self {
        Self(Extras::of_bucket(bucket, Reason::Wanted("named by hand".to_owned()), spill_folder))
    }

    /// Adds one.
    pub fn push(&mut self, bucket: &BucketName, delete: Delete) -> Result<(), SpillError> {
        let action = Action { bucket: bucket.clone(), step: Step::Delete(delete), reason: Reason::NotInSource };
        self.0.push(action)
    }
}

/// What goes from a bucket.
#[derive(Debug)]
pub struct Departure {
    /// The bucket.
    pub bucket: BucketName,
    /// What was named by hand.
    pub objects: NamedObjects,
    /// The markers of folders.
    pub markers: Vec<Delete>,
    /// Whether the bucket goes at last.
    pub with_bucket: bool,
}

/// Deletes all of it, the bucket last and only if all else is gone. What fails is an event.
pub async fn depart(
    store: &Store,
    departure: Departure,
    events: &mpsc::Sender<Event>,
    cancel: &CancellationToken,
) -> Result<(), SpillError> {
    let Departure { bucket, objects, markers, with_bucket } = departure;
    let run = Run::new(store, &TransferOptions::with_checksum(crate::model::Algorithm::Crc64Nvme), events, cancel);
    let reason = || Reason::Wanted("the marker of a folder".to_owned());
    let markers: Vec<Action> = markers
        .into_iter()
        .map(|delete| Action { bucket: bucket.clone(), step: Step::Delete(delete), reason: reason() })
        .collect();
    let expected = objects.0.count() + markers.len() as u64;
    for progress in
        [Progress::Work(Work::Delete), Progress::Expect { objects: expected, bytes: 0 }, Progress::AllExpected]
    {
        run.tell(Event::Progress(progress)).await;
    }
    let mut lost = None;
    let named = objects.0.into_batches()?.map_while(|batch| batch.map_err(|error| lost = Some(error)).ok());
    let all = named.chain(std::iter::once(markers).filter(|markers| !markers.is_empty()));
    let tally = run.move_all(stream::iter(all), |_, _| {}).await;
    for (action, error) in &tally.moved_there {
        run.report_failure(action, error).await;
    }
    let is_clear = tally.failed == 0 && tally.cancelled == 0 && tally.moved_there.is_empty() && lost.is_none();
    if with_bucket && !cancel.is_cancelled() {
        delete_bucket(store, &bucket, is_clear, events).await;
    }
    lost.map_or(Ok(()), Err)
}

async fn delete_bucket(store: &Store, bucket: &BucketName, is_clear: bool, events: &mpsc::Sender<Event>) {
    let record = |status, reason: String| bucket_action(bucket, status, reason);
    let event = if !is_clear {
        record(Status::Skipped, "what is in it could not be deleted".to_owned())
    } else {
        match store.delete_bucket(bucket).await {
            Ok(()) => record(Status::Done, "was empty".to_owned()),
            Err(error) => {
                let target = Some(format!("s3://{bucket}"));
                let hints = vec!["run the same command again: it looks anew".to_owned()];
                let told = ErrorRecord { hints, target, ..ErrorRecord::new(error.class.kind(), error.to_string()) };
                let _ = events.send(Event::Action(record(Status::Failed, error.message))).await;
                let _ = events.send(Event::Error(told)).await;
                return;
            }
        }
    };
    let _ = events.send(Event::Action(event)).await;
}

/// The delete of a bucket as output shows it.
pub fn bucket_action(bucket: &BucketName, status: Status, reason: String) -> ActionRecord {
    ActionRecord {
        status,
        action: "delete-bucket",
        target: format!("s3://{bucket}"),
        reason,
        setting: None,
        source: None,
        bytes: None,
        proof: None,
        policy: None,
    }
}
