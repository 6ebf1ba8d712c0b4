//! The receipt of a sync: a row for each object that it put in place or found unchanged, in the order of keys.
//!
//! Rows come as transfers end, so they are sorted on the way, on disk where they are many. The receipt appears whole, and
//! only when everything is in place.

use super::dataset::{receipt_row, unchanged_row};
use super::pipeline::Compared;
use super::transfer::{self, Proven, TransferError, TransferOptions};
use crate::aws::s3::{S3Error, Store};
use crate::local::{self, Sorter, SpillError};
use crate::model::{BucketName, ObjectAttributes, ObjectKey};
use crate::plan::{Action, CopyTask, Step, Upload};
use crate::report::Event;
use crate::report::receipt::ReceiptRow;
use crate::sync::compare::Verdict;
use crate::sync::item::Item;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::mpsc;
use tokio::task::JoinError;

/// How many bytes of rows are held in memory before they go to the disk.
const BUDGET_BYTES: usize = 16 * 1024 * 1024;

/// Where a receipt goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReceiptPlace {
    /// A local file.
    File(PathBuf),
    /// An object.
    Object {
        /// Its bucket.
        bucket: BucketName,
        /// Its key.
        key: ObjectKey,
    },
}

/// Why a receipt was not written.
#[derive(Debug, thiserror::Error)]
pub enum ReceiptFailure {
    /// Its rows could not be sorted.
    #[error(transparent)]
    Sort(#[from] SpillError),
    /// Its file could not be written.
    #[error("cannot write the receipt: {0}")]
    Write(#[from] io::Error),
    /// It could not be sent.
    #[error("cannot send the receipt: {0}")]
    Send(#[from] TransferError),
    /// What is there already could not be looked at.
    #[error(transparent)]
    Look(#[from] S3Error),
    /// A task of this program ended early.
    #[error("a worker ended unexpectedly: {0}")]
    Worker(#[from] JoinError),
}

/// The rows so far.
#[derive(Debug)]
pub(super) struct ReceiptRows {
    place: ReceiptPlace,
    spill_folder: PathBuf,
    /// The first failure ends the collecting; the sync goes on.
    rows: Mutex<Result<Sorter, SpillError>>,
}

impl ReceiptRows {
    /// None yet of a receipt that goes to `place`; what exceeds memory will be sorted in `spill_folder`.
    pub(super) fn new(place: &ReceiptPlace, spill_folder: &Path) -> Self {
        let rows = Mutex::new(Ok(Sorter::new(spill_folder, BUDGET_BYTES)));
        Self { place: place.clone(), spill_folder: spill_folder.to_owned(), rows }
    }

    /// An object that holds what it should already.
    pub(super) fn compared(&self, both: &Compared) {
        if let (Item::Object(found), Verdict::Unchanged { by }) = (&both.target, &both.verdict) {
            self.push(&unchanged_row(found.entry.clone(), &both.known, *by));
        }
    }

    /// An object that was put in place.
    pub(super) fn moved(&self, action: &Action, proven: &Proven) {
        if let Step::Upload(Upload { key, .. }) | Step::Copy(CopyTask { key, .. }) = &action.step {
            self.push(&receipt_row(key, proven));
        }
    }

    fn push(&self, row: &ReceiptRow) {
        let mut rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        let Ok(sorter) = rows.as_mut() else { return };
        // A row is texts and numbers, which always have a JSON form.
        let line = serde_json::to_vec(row).unwrap_or_default();
        if let Err(error) = sorter.push(row.key.as_str().as_bytes(), &line) {
            *rows = Err(error);
        }
    }

    /// Writes the receipt, in place of a former one. Returns how many rows it has.
    pub(super) async fn write(
        self,
        store: &Store,
        options: &TransferOptions,
        events: &mpsc::Sender<Event>,
    ) -> Result<u64, ReceiptFailure> {
        let rows = self.rows.into_inner().unwrap_or_else(PoisonError::into_inner)?;
        match self.place {
            ReceiptPlace::File(path) => {
                tokio::task::spawn_blocking(move || {
                    let mut count = 0;
                    local::replace_file(&path, |out| write_rows(rows, out, &mut count))?;
                    Ok(count)
                })
                .await?
            }
            ReceiptPlace::Object { bucket, key } => {
                let spill = self.spill_folder;
                let (file, count) = tokio::task::spawn_blocking(move || in_temporary_file(rows, &spill)).await??;
                send(store, options, events, &bucket, key, &file).await?;
                Ok(count)
            }
        }
    }
}

fn write_rows(rows: Sorter, out: &mut dyn io::Write, count: &mut u64) -> io::Result<()> {
    for record in rows.finish().map_err(io::Error::other)? {
        let record = record.map_err(io::Error::other)?;
        out.write_all(record.value())?;
        out.write_all(b"\n")?;
        *count += 1;
    }
    Ok(())
}

fn in_temporary_file(rows: Sorter, spill: &Path) -> Result<(tempfile::TempPath, u64), ReceiptFailure> {
    let mut count = 0;
    let path = local::temporary_file(spill, |out| write_rows(rows, out, &mut count))?;
    Ok((path, count))
}

/// Sends the receipt like any file, proven by its checksum; what it replaces is what is there now.
async fn send(
    store: &Store,
    options: &TransferOptions,
    events: &mpsc::Sender<Event>,
    bucket: &BucketName,
    key: ObjectKey,
    file: &Path,
) -> Result<(), ReceiptFailure> {
    let path = file.to_owned();
    let seen = tokio::task::spawn_blocking(move || local::fingerprint(&path)).await?;
    let fingerprint = seen.map_err(TransferError::Read)?;
    let replaces = store.head_object(bucket, &key).await?.and_then(|head| head.etag);
    let upload = Upload { path: file.to_owned(), fingerprint, key, replaces };
    // Metadata and tags were asked for the data; how it is encrypted concerns what tells of it too.
    let encryption = options.attributes.encryption.clone();
    let attributes = Arc::new(ObjectAttributes { encryption, ..ObjectAttributes::default() });
    let options = TransferOptions { attributes, journal: None, ..options.clone() };
    transfer::upload(store, bucket, &upload, &options, events).await?;
    Ok(())
}
