//! Receipts on disk, and a verification that needs nothing but one.

use super::{DatasetCheck, DatasetError};
use crate::apply::transfer::Proven;
use crate::aws::s3::{Store, object_url};
use crate::local::{read_text, replace_file};
use crate::model::{Algorithm, BucketName, Checksum, ETag, ObjectEntry, ObjectKey, Prefix};
use crate::report::receipt::{self, ReceiptRow};
use crate::sync::compare::By;
use crate::sync::proof::Rung;
use futures_util::TryStreamExt as _;
use std::collections::BTreeMap;
use std::path::Path;

/// The row of a file that was just sent.
pub fn receipt_row(key: &ObjectKey, proven: &Proven) -> ReceiptRow {
    let of = |algorithm| proven.checksum.as_ref().filter(|checksum| checksum.algorithm() == algorithm);
    let etag_md5 = proven.etag.as_ref().filter(|_| proven.rung == Rung::EtagMd5).and_then(ETag::md5_hex);
    ReceiptRow {
        key: key.clone(),
        size: proven.bytes,
        etag: proven.etag.clone(),
        crc64nvme: of(Algorithm::Crc64Nvme).map(Checksum::base64),
        md5: of(Algorithm::Md5).map(Checksum::hex).or(etag_md5.map(str::to_owned)),
        version_id: proven.version_id.clone(),
        proof: Some(proven.rung.name().to_owned()),
    }
}

/// Writes a receipt in key order, in place of a former one. Blocks.
pub fn write_receipt(path: &Path, mut rows: Vec<ReceiptRow>) -> Result<(), DatasetError> {
    rows.sort_unstable_by(|left, right| left.key.cmp(&right.key));
    replace_file(path, |out| receipt::write(&rows, out)).map_err(|error| unusable(path, error))
}

/// Reads a receipt. Blocks.
pub fn read_receipt(path: &Path) -> Result<Vec<ReceiptRow>, DatasetError> {
    let text = read_text(path).map_err(|error| unusable(path, error))?;
    receipt::parse(&text).map_err(|error| unusable(path, error))
}

fn unusable(path: &Path, error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> DatasetError {
    DatasetError::Receipt { path: path.display().to_string(), source: error.into() }
}

/// Compares a folder with the receipt of what was put there: by ETag where it is still the same, else by the stored
/// CRC-64/NVME.
pub async fn verify_receipt(
    store: &Store,
    bucket: &BucketName,
    folder: &Prefix,
    rows: Vec<ReceiptRow>,
) -> Result<DatasetCheck, DatasetError> {
    let mut left: BTreeMap<ObjectKey, ReceiptRow> = rows.into_iter().map(|row| (row.key.clone(), row)).collect();
    let mut check = DatasetCheck::default();
    let mut pages = std::pin::pin!(store.list(bucket, folder));
    while let Some(page) = pages.try_next().await? {
        for object in page {
            if let Some(row) = left.remove(&object.key) {
                compare_row(store, bucket, &object, &row, &mut check).await?;
            }
        }
    }
    for key in left.keys() {
        check.fail(
            "data-missing",
            &object_url(bucket, key),
            "the receipt names an object that is not there".to_owned(),
        );
    }
    Ok(check)
}

async fn compare_row(
    store: &Store,
    bucket: &BucketName,
    object: &ObjectEntry,
    row: &ReceiptRow,
    check: &mut DatasetCheck,
) -> Result<(), DatasetError> {
    let url = object_url(bucket, &object.key);
    if object.size_bytes != row.size {
        let message = format!("has {} bytes, the receipt says {}", object.size_bytes, row.size);
        check.fail("data-differs", &url, message);
        return Ok(());
    }
    if object.etag.is_some() && object.etag == row.etag {
        check.pass(object.size_bytes, By::ReceiptEtag);
        return Ok(());
    }
    let head = store.head_object(bucket, &object.key).await?.unwrap_or_default();
    match (row.crc64nvme(), head.checksum(Algorithm::Crc64Nvme)) {
        (Some(wanted), Some(found)) if wanted == *found => check.pass(object.size_bytes, By::Crc64Nvme),
        (Some(_), Some(_)) => check.fail("data-differs", &url, "is not what the receipt says, by CRC64NVME".to_owned()),
        _ => {
            let message = "has another ETag than the receipt says, and no CRC64NVME to compare".to_owned();
            check.fail("data-untold", &url, message);
        }
    }
    Ok(())
}
