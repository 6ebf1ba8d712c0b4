//! The receipts that a layout asks for: which rows a run adds to which file, and when it is worth writing.

use super::dataset::{self, DatasetError};
use super::transfer::Transferred;
use crate::model::{BucketName, ObjectKey};
use crate::plan::Step;
use crate::report::receipt::ReceiptRow;
use std::collections::BTreeSet;
use std::path::PathBuf;

/// A receipt to write once its dataset is in place.
#[derive(Debug)]
pub struct PendingReceipt {
    /// Where it is written.
    pub path: PathBuf,
    /// The dataset's bucket.
    pub bucket: BucketName,
    /// What was in place already.
    pub unchanged: Vec<ReceiptRow>,
    /// What the plan sends.
    pub planned: BTreeSet<ObjectKey>,
    /// False if files of the dataset cannot be sent at all, so that no receipt would be whole.
    pub complete: bool,
    /// Whether the file is there already.
    pub exists: bool,
}

impl PendingReceipt {
    /// Writes the receipt if every file of the dataset is in place, and something was sent or no receipt was there.
    /// Blocks. Returns whether it was written.
    pub fn settle(self, transferred: &Transferred) -> Result<bool, DatasetError> {
        if self.planned.is_empty() && self.exists || !self.complete {
            return Ok(false);
        }
        let sent = transferred.proven.iter().filter(|(action, _)| action.bucket == self.bucket).filter_map(
            |(action, proven)| match &action.step {
                Step::Upload(upload) if self.planned.contains(&upload.key) => {
                    Some(dataset::receipt_row(&upload.key, proven))
                }
                _ => None,
            },
        );
        let mut rows = self.unchanged;
        let before = rows.len();
        rows.extend(sent);
        if rows.len() - before != self.planned.len() {
            return Ok(false);
        }
        dataset::write_receipt(&self.path, rows)?;
        Ok(true)
    }
}
