//! Looks at both sides of a dataset, files here and objects there, and tells what an apply must send, or what a
//! verification finds wrong. Reads and asks; writes nothing but receipts.

mod receipt;

pub use receipt::{read_receipt, receipt_row, verify_receipt, write_receipt};

use crate::apply::pipeline::{Compared, Files, Listing, Look, LookError, Objects, Seen, Side, look};
use crate::apply::transfer::DEFAULT_RETRY_FOR;
use crate::aws::s3::{S3Error, Store, object_url};
use crate::local::{SourceKind, source_kind};
use crate::model::{BucketName, Checksum, Filter, HumanBytes, LocalFile, ObjectEntry, Odd, Prefix, escaped};
use crate::plan::{Action, ODD_FILE, Reason, Step};
use crate::report::receipt::ReceiptRow;
use crate::report::{Finding, Severity};
use crate::sync::compare::{By, Compare, Known, Verdict};
use crate::sync::decide::{Decider, Decision, Route};
use crate::sync::diff::{self, OrderError};
use crate::sync::item::Item;
use crate::sync::keys::is_file_name;
use futures_util::StreamExt as _;
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
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
    pub filter: Filter,
    /// Whether the bucket is there. If not, everything is missing and nothing is asked.
    pub bucket_exists: bool,
    /// Whether rows of what is unchanged are wanted, for a receipt.
    pub wants_rows: bool,
    /// Where listings that exceed memory go.
    pub spill_folder: PathBuf,
}

/// Why a dataset could not be looked at.
#[derive(Debug, thiserror::Error)]
pub enum DatasetError {
    /// A call failed.
    #[error(transparent)]
    S3(#[from] S3Error),
    /// One side could not be looked at, for another reason than a call.
    #[error(transparent)]
    Look(LookError),
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

impl From<LookError> for DatasetError {
    fn from(error: LookError) -> Self {
        match error {
            LookError::S3(error) => Self::S3(error),
            other => Self::Look(other),
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
    match look_at(store, request, DatasetPlan::add).await? {
        Some(plan) => Ok(plan),
        None => Ok(DatasetPlan { actions: vec![skipped(request)], ..DatasetPlan::default() }),
    }
}

/// Compares every file of the source with its object, by checksum and without downloading.
///
/// `None` if the source is not here; a receipt can then stand in for it.
pub async fn verify_dataset(store: &Store, request: &DatasetRequest) -> Result<Option<DatasetCheck>, DatasetError> {
    look_at(store, request, DatasetCheck::add).await
}

/// Folds all that is seen of both sides in key order; `None` if the source is absent.
async fn look_at<T: Default>(
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
    let listing = if kind == SourceKind::File { request.one_key() } else { Some(Listing::Streamed) };
    match fold(store, request, listing, add).await {
        // Some servers list in another order, and so do directory buckets; the whole listing is then sorted here.
        Err(DatasetError::Look(LookError::Order(OrderError { side: diff::Side::Target, .. }))) => {
            fold(store, request, Some(Listing::Sorted), add).await.map(Some)
        }
        other => other.map(Some),
    }
}

async fn fold<T: Default>(
    store: &Store,
    request: &DatasetRequest,
    listing: Option<Listing>,
    add: fn(&mut T, &DatasetRequest, Seen),
) -> Result<T, DatasetError> {
    let mut folded = T::default();
    let batches = look(request.sides(store, listing)).await?;
    let mut batches = std::pin::pin!(batches);
    while let Some(batch) = batches.next().await {
        for seen in batch?.seen {
            add(&mut folded, request, seen);
        }
    }
    Ok(folded)
}

impl DatasetRequest {
    /// Both sides; no objects where there is no bucket, or no key that could have one.
    fn sides(&self, store: &Store, listing: Option<Listing>) -> Look {
        let (bucket, folder) = (self.bucket.clone(), self.folder.clone());
        let target = match listing {
            Some(listing) if self.bucket_exists => {
                Side::Objects(Objects { store: store.clone(), bucket, folder, listing })
            }
            _ => Side::Nothing,
        };
        let source =
            Side::Files(Files { root: self.source.clone(), rename: self.rename.clone(), leftovers: Arc::default() });
        let filter = self.filter.clone();
        let (compare, spill_folder) = (Compare::Content, self.spill_folder.clone());
        let (shard, extras, memory, retry_for) = (None, false, None, DEFAULT_RETRY_FOR);
        Look { source, target, filter, compare, shard, extras, memory, spill_folder, retry_for }
    }

    /// The object of a source that is one file. A name that no key can carry comes out of the walk as odd, so there is
    /// nothing to ask for.
    fn one_key(&self) -> Option<Listing> {
        let name = self.rename.as_deref().or_else(|| self.source.file_name().and_then(|name| name.to_str()))?;
        let key = self.folder.key(name).ok()?;
        Some(Listing::One { key, name: None })
    }

    fn decider(&self) -> Decider {
        Decider::new(Route::Upload { bucket: self.bucket.clone(), folder: self.folder.clone() })
    }
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
        let mut decider = request.decider();
        let decision = match seen {
            Seen::Odd(odd) => Decision::Odd(odd),
            Seen::Missing(item) => decider.missing(item),
            Seen::Extra(_) => Decision::Marker,
            Seen::Both(both) => {
                let Compared { source, target, known, verdict } = *both;
                if let (true, Item::Object(found), Verdict::Unchanged { by }) = (request.wants_rows, &target, &verdict)
                {
                    self.rows.push(unchanged_row(found.entry.clone(), &known, *by));
                }
                decider.both(source, target, verdict)
            }
        };
        match decision {
            Decision::Unchanged { .. } => self.unchanged += 1,
            Decision::Transfer(action) => self.actions.push(action),
            Decision::Odd(odd) => self.findings.push(odd_file(&odd)),
            Decision::Delete(_) | Decision::Marker => {}
        }
    }
}

pub(super) fn unchanged_row(object: ObjectEntry, known: &Known, by: By) -> ReceiptRow {
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
            Seen::Extra(_) => {}
            Seen::Missing(item) => match request.decider().missing(item) {
                Decision::Transfer(Action { step: Step::Upload(upload), .. }) => {
                    let (url, path) = (object_url(&request.bucket, &upload.key), escaped(&upload.path));
                    self.fail("data-missing", &url, format!("there is no object for `{path}`"));
                }
                Decision::Odd(odd) => self.findings.push(odd_file(&odd)),
                _ => {}
            },
            Seen::Both(both) => {
                let Compared { source, target, verdict, .. } = *both;
                let (Item::File(file), Item::Object(found)) = (source, target) else { return };
                self.judge(&object_url(&request.bucket, &found.entry.key), &file, verdict);
            }
        }
    }

    fn judge(&mut self, url: &str, file: &LocalFile, verdict: Verdict) {
        match verdict {
            Verdict::Unchanged { by } => self.pass(file.fingerprint.size_bytes, by),
            Verdict::Changed(reason @ Reason::ContentUntold { .. }) => {
                self.fail("data-untold", url, reason.to_string());
            }
            Verdict::Changed(reason) => {
                self.fail("data-differs", url, format!("is not `{}`: {reason}", escaped(&file.path)));
            }
            Verdict::Ask(_) => self.fail("data-untold", url, "the comparison did not end".to_owned()),
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
