//! Looks at both sides of a dataset, files here and objects there, and tells what an apply must send, or what a
//! verification finds wrong. Reads and asks; writes nothing but receipts.

mod judge;
mod receipt;

pub use receipt::{read_receipt, receipt_row, verify_receipt, write_receipt};

use crate::apply::listing::ListingError;
use crate::aws::s3::{S3Error, Store, object_url};
use crate::local::{SourceKind, SpillError, source_kind};
use crate::model::{BucketName, Checksum, ETag, Excludes, HumanBytes, ObjectEntry, Odd, Prefix, escaped};
use crate::plan::{Action, ODD_FILE, Reason, Step, Upload};
use crate::report::receipt::ReceiptRow;
use crate::report::{Finding, Severity};
use crate::sync::compare::{By, Known, Verdict};
use crate::sync::diff::{OrderError, Side};
use crate::sync::keys::{Placed, is_file_name};
use futures_util::StreamExt as _;
use judge::{Compared, Listing, Seen};
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use tokio::task::JoinError;

/// A dataset as it is looked at: where it is, and where it belongs.
#[derive(Debug, Clone)]
pub struct DatasetRequest {
    /// The file or directory.
    pub source: PathBuf,
    /// The source as the layout names it, for people.
    pub shown: String,
    /// The bucket it belongs in.
    pub bucket: BucketName,
    /// The folder it belongs in; the root for the whole bucket.
    pub folder: Prefix,
    /// Another name for a single file.
    pub rename: Option<String>,
    /// What is left out.
    pub excludes: Excludes,
    /// Whether the bucket is there. If not, everything is missing and nothing is asked.
    pub bucket_exists: bool,
    /// Whether rows of what is unchanged are wanted, for a receipt.
    pub wants_rows: bool,
}

/// Why a dataset could not be looked at.
#[derive(Debug, thiserror::Error)]
pub enum DatasetError {
    /// A call failed.
    #[error(transparent)]
    S3(#[from] S3Error),
    /// There was no room to sort a listing in.
    #[error(transparent)]
    Spill(#[from] SpillError),
    /// One side is not in key order, so the merge would invent differences.
    #[error(transparent)]
    Order(#[from] OrderError),
    /// `as` renames one file, and the source is none.
    #[error("`as` names one file, and `{0}` is not one")]
    NotOneFile(String),
    /// `as` would leave the folder.
    #[error("`{0}` is not a file name")]
    BadName(String),
    /// A receipt could not be read or written.
    #[error("cannot use the receipt `{path}`")]
    Receipt {
        /// The receipt.
        path: String,
        /// Why not.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A task of this program ended early.
    #[error("a worker ended unexpectedly: {0}")]
    Worker(#[from] JoinError),
}

impl From<ListingError> for DatasetError {
    fn from(error: ListingError) -> Self {
        match error {
            ListingError::S3(error) => Self::S3(error),
            ListingError::Spill(error) => Self::Spill(error),
            ListingError::Worker(error) => Self::Worker(error),
        }
    }
}

/// What a dataset needs.
#[derive(Debug, Default)]
pub struct DatasetPlan {
    /// Uploads in key order; or one skipped action for a source that is not here.
    pub actions: Vec<Action>,
    /// Files whose objects hold their content already.
    pub unchanged: u64,
    /// Files that cannot be sent, each a warning `odd-file`: the run is then only partly done.
    pub findings: Vec<Finding>,
    /// The receipt's rows of what is unchanged, if they were wanted.
    pub rows: Vec<ReceiptRow>,
}

/// The pipeline answers every question, so this is never seen; were it, sending is the safe side.
const NOT_COMPARED: Reason = Reason::ContentUntold { why: "the comparison did not end" };

/// What a verification found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DatasetCheck {
    /// Files, or rows of a receipt, whose objects hold their content.
    pub passed: u64,
    /// Their bytes.
    pub bytes: u64,
    /// By what it was told.
    pub by: BTreeMap<By, u64>,
    /// Everything else: missing, differing, untold, odd.
    pub findings: Vec<Finding>,
}

/// Tells what an apply must send so that the folder holds the dataset.
///
/// Walks and lists side by side; reads only files whose object has their size. Objects without a file are left alone.
pub async fn plan_dataset(store: &Store, request: &DatasetRequest) -> Result<DatasetPlan, DatasetError> {
    match look(store, request, DatasetPlan::add).await? {
        Some(plan) => Ok(plan),
        None => Ok(DatasetPlan { actions: vec![skipped(request)], ..DatasetPlan::default() }),
    }
}

/// Compares every file of the source with its object, by checksum and without downloading.
///
/// `None` if the source is not here; a receipt can then stand in for it.
pub async fn verify_dataset(store: &Store, request: &DatasetRequest) -> Result<Option<DatasetCheck>, DatasetError> {
    look(store, request, DatasetCheck::add).await
}

/// Folds all that is seen of both sides in key order; `None` if the source is absent.
async fn look<T: Default>(
    store: &Store,
    request: &DatasetRequest,
    add: fn(&mut T, &DatasetRequest, Seen),
) -> Result<Option<T>, DatasetError> {
    let path = request.source.clone();
    let kind = tokio::task::spawn_blocking(move || source_kind(&path)).await?;
    match (kind, &request.rename) {
        (SourceKind::Absent, _) => return Ok(None),
        (SourceKind::Tree, Some(_)) => return Err(DatasetError::NotOneFile(request.shown.clone())),
        (SourceKind::File, Some(name)) if !is_file_name(name) => return Err(DatasetError::BadName(name.clone())),
        (SourceKind::File | SourceKind::Tree, _) => {}
    }
    let listing = match (request.bucket_exists, kind) {
        (false, _) => Listing::None,
        (true, SourceKind::File) => Listing::OneKey,
        (true, _) => Listing::Streamed,
    };
    match fold(store, request, listing, add).await {
        // Some servers list in another order, and so do directory buckets; the whole listing is then sorted here.
        Err(DatasetError::Order(OrderError { side: Side::Target, .. })) => {
            fold(store, request, Listing::Sorted, add).await.map(Some)
        }
        other => other.map(Some),
    }
}

async fn fold<T: Default>(
    store: &Store,
    request: &DatasetRequest,
    listing: Listing,
    add: fn(&mut T, &DatasetRequest, Seen),
) -> Result<T, DatasetError> {
    let mut folded = T::default();
    let batches = judge::judge(store, request, listing).await?;
    let mut batches = std::pin::pin!(batches);
    while let Some(batch) = batches.next().await {
        for seen in batch? {
            add(&mut folded, request, seen);
        }
    }
    Ok(folded)
}

fn skipped(request: &DatasetRequest) -> Action {
    let to = format!("{}/{}", request.bucket, request.folder);
    Action {
        bucket: request.bucket.clone(),
        step: Step::SkipDataset { source: request.shown.clone(), to },
        reason: Reason::SourceAbsent,
    }
}

fn odd_file(odd: &Odd) -> Finding {
    Finding::new(ODD_FILE, Severity::Warning, &odd.path, format!("`{}` {}", odd.path, odd.kind))
        .with_fix("make it a readable file, or leave it out with `exclude`")
}

impl DatasetPlan {
    fn add(&mut self, request: &DatasetRequest, seen: Seen) {
        match seen {
            Seen::Odd(odd) => self.findings.push(odd_file(&odd)),
            Seen::Missing(placed) => self.send(request, placed, None, Reason::Missing),
            Seen::Both(both) => {
                let Compared { placed, object, known, verdict } = *both;
                match verdict {
                    Verdict::Changed(reason) => self.send(request, placed, object.etag, reason),
                    Verdict::Ask(_) => self.send(request, placed, object.etag, NOT_COMPARED),
                    Verdict::Unchanged { by } => {
                        self.unchanged += 1;
                        if request.wants_rows {
                            self.rows.push(unchanged_row(object, &known, by));
                        }
                    }
                }
            }
        }
    }

    fn send(&mut self, request: &DatasetRequest, placed: Placed, replaces: Option<ETag>, reason: Reason) {
        let Placed { key, file } = placed;
        let upload = Upload { path: file.path, fingerprint: file.fingerprint, key, replaces };
        self.actions.push(Action { bucket: request.bucket.clone(), step: Step::Upload(upload), reason });
    }
}

fn unchanged_row(object: ObjectEntry, known: &Known, by: By) -> ReceiptRow {
    ReceiptRow {
        key: object.key,
        size: object.size_bytes,
        etag: object.etag,
        crc64nvme: known.crc64nvme.as_ref().map(Checksum::base64),
        md5: known.md5.as_ref().map(Checksum::hex),
        version_id: known.head.as_ref().and_then(|head| head.version_id.clone()),
        proof: Some(format!("unchanged by {}", by.name())),
    }
}

impl DatasetCheck {
    fn add(&mut self, request: &DatasetRequest, seen: Seen) {
        match seen {
            Seen::Odd(odd) => self.findings.push(odd_file(&odd)),
            Seen::Missing(placed) => {
                let (url, path) = (object_url(&request.bucket, &placed.key), escaped(&placed.file.path));
                self.fail("data-missing", &url, format!("there is no object for `{path}`"));
            }
            Seen::Both(both) => {
                let Compared { placed, object, verdict, .. } = *both;
                let url = object_url(&request.bucket, &object.key);
                match verdict {
                    Verdict::Unchanged { by } => self.pass(object.size_bytes, by),
                    Verdict::Changed(reason @ Reason::ContentUntold { .. }) => {
                        self.fail("data-untold", &url, reason.to_string());
                    }
                    Verdict::Changed(reason) => {
                        let message = format!("is not `{}`: {reason}", escaped(&placed.file.path));
                        self.fail("data-differs", &url, message);
                    }
                    Verdict::Ask(_) => self.fail("data-untold", &url, NOT_COMPARED.to_string()),
                }
            }
        }
    }

    fn pass(&mut self, bytes: u64, by: By) {
        self.passed += 1;
        self.bytes += bytes;
        *self.by.entry(by).or_default() += 1;
    }

    fn fail(&mut self, code: &'static str, target: &str, message: String) {
        let finding = Finding::new(code, Severity::Error, target, message);
        self.findings.push(finding.with_fix("run `apply`, which sends what is not there"));
    }

    /// True if every file was found whole: nothing missing, differing or untold. Odd files are warnings.
    pub fn holds(&self) -> bool {
        self.findings.iter().all(|finding| finding.severity < Severity::Error)
    }
}

/// `12431 files, 38.2 GiB: 12300 by MD5, 131 by CRC64NVME`, or `1 file, 1.2 MiB, equal by MD5` if all are alike.
impl fmt::Display for DatasetCheck {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let files = if self.passed == 1 { "file" } else { "files" };
        write!(out, "{} {files}, {}", self.passed, HumanBytes(self.bytes))?;
        if let (1, Some(by)) = (self.by.len(), self.by.keys().next()) {
            return write!(out, ", equal by {}", by.name());
        }
        for (place, (by, count)) in self.by.iter().enumerate() {
            write!(out, "{} {count} by {}", if place == 0 { ":" } else { "," }, by.name())?;
        }
        Ok(())
    }
}
