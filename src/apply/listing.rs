//! Listings of any size, in key order, in bounded memory.
//!
//! [`list`] is what is used first: page after page, and several parts of a large listing side by side (`ranges`).
//! Services that list in another order than that of key bytes are noticed by whoever merges the pages; they are then
//! listed again by [`list_sorted`], which sorts with a spill to disk.

mod ranges;

use crate::aws::s3::{ErrorClass, S3Error, Store};
use crate::local::{Record, Sorter, SpillError};
use crate::model::{BucketName, ETag, ObjectEntry, Prefix};
use crate::sync::diff::OrderError;
use futures_util::stream::{self, Stream, TryStreamExt as _};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;
use tokio::task::{JoinError, spawn_blocking};

/// How many sorted entries travel together.
const SORTED_PAGE: usize = 1000;

/// How much a listing may use.
#[derive(Debug, Clone)]
pub struct ListingLimits {
    /// How many requests may be under way at once; 1 lists page after page.
    pub requests: usize,
    /// About how many bytes of memory keys may take that cannot be passed on yet.
    pub memory_bytes: usize,
    /// Where the rest of them goes.
    pub spill_folder: PathBuf,
    /// The most keys on a page; the service's own limit if none.
    pub page_keys: Option<i32>,
    /// How long trouble is ridden out between two pages. The first page is not waited for: whoever never answered may not
    /// be there at all.
    pub retry_for: Duration,
}

impl ListingLimits {
    /// What is right nearly everywhere: 16 requests at once, 32 MiB, the service's own pages, and no patience but the SDK's.
    pub const fn standard(spill_folder: PathBuf) -> Self {
        let memory_bytes = 32 * 1024 * 1024;
        Self { requests: 16, memory_bytes, spill_folder, page_keys: None, retry_for: Duration::ZERO }
    }
}

/// Why a listing ended early: what follows is not absent, it is unknown.
#[derive(Debug, thiserror::Error)]
pub enum ListingError {
    /// A request failed.
    #[error(transparent)]
    S3(#[from] S3Error),
    /// There was no place for keys that must wait.
    #[error(transparent)]
    Spill(#[from] SpillError),
    /// A page is in another order than that of key bytes.
    #[error(transparent)]
    Order(#[from] OrderError),
    /// A task of this program ended early.
    #[error("a worker ended unexpectedly: {0}")]
    Worker(#[from] JoinError),
}

/// All objects below `prefix` in the order in which the service lists them: that of key bytes, unless the service has
/// another. The answer is that of one request after the other, whatever is asked side by side.
///
/// Requests go out while the stream is polled, a few pages ahead.
pub fn list(
    store: &Store,
    bucket: &BucketName,
    prefix: &Prefix,
    limits: &ListingLimits,
) -> impl Stream<Item = Result<Vec<ObjectEntry>, ListingError>> + Send + use<> {
    let ranges = ranges::Ranges::new(store, bucket, prefix, limits);
    stream::try_unfold(ranges, |mut ranges| async move { Ok(ranges.next_page().await?.map(|page| (page, ranges))) })
}

/// All objects below `prefix` in the order of key bytes, whatever the service's order is. Nothing comes before all is listed.
pub async fn list_sorted(
    store: &Store,
    bucket: &BucketName,
    prefix: &Prefix,
    limits: &ListingLimits,
) -> Result<impl Stream<Item = Result<Vec<ObjectEntry>, ListingError>> + Send + use<>, ListingError> {
    let mut sorter = Sorter::new(&limits.spill_folder, limits.memory_bytes);
    let one_by_one = ListingLimits { requests: 1, ..limits.clone() };
    let mut pages = std::pin::pin!(list(store, bucket, prefix, &one_by_one));
    while let Some(page) = pages.try_next().await? {
        sorter = spawn_blocking(move || {
            for entry in &page {
                sorter.push(entry.key.as_str().as_bytes(), &to_bytes(&Details::of(entry)))?;
            }
            Ok::<_, SpillError>(sorter)
        })
        .await??;
    }
    let sorted = spawn_blocking(move || sorter.finish()).await??;
    Ok(stream::try_unfold(sorted, |mut sorted| async move {
        spawn_blocking(move || {
            let records = sorted.by_ref().take(SORTED_PAGE);
            let page = records.map(|record| read_record(&record?)).collect::<Result<Vec<_>, ListingError>>()?;
            Ok((!page.is_empty()).then_some((page, sorted)))
        })
        .await?
    }))
}

/// An entry without its key, as it waits on disk.
#[derive(Debug, Serialize, Deserialize)]
struct Details {
    size_bytes: u64,
    etag: Option<ETag>,
    modified_ns: Option<i128>,
}

impl Details {
    fn of(entry: &ObjectEntry) -> Self {
        let modified_ns = entry.modified.map(Timestamp::as_nanosecond);
        Self { size_bytes: entry.size_bytes, etag: entry.etag.clone(), modified_ns }
    }

    fn with_key(self, key: &str) -> Option<ObjectEntry> {
        let modified = self.modified_ns.and_then(|time| Timestamp::from_nanosecond(time).ok());
        Some(ObjectEntry { key: key.parse().ok()?, size_bytes: self.size_bytes, etag: self.etag, modified })
    }
}

fn read_record(record: &Record) -> Result<ObjectEntry, ListingError> {
    let details = postcard::from_bytes::<Details>(record.value()).ok();
    let entry = std::str::from_utf8(record.key()).ok().zip(details).and_then(|(key, details)| details.with_key(key));
    entry.ok_or_else(came_back_wrong)
}

fn to_bytes<T: Serialize>(value: &T) -> Vec<u8> {
    // Plain numbers and texts into a vector: there is nothing that could fail, and an empty answer would not be read back.
    postcard::to_allocvec(value).unwrap_or_default()
}

fn page_to_bytes(page: &[ObjectEntry]) -> Vec<u8> {
    to_bytes(&page.iter().map(|entry| (entry.key.as_str(), Details::of(entry))).collect::<Vec<_>>())
}

fn page_from_bytes(bytes: &[u8]) -> Result<Vec<ObjectEntry>, ListingError> {
    let rows = postcard::from_bytes::<Vec<(&str, Details)>>(bytes).map_err(|_| came_back_wrong())?;
    rows.into_iter().map(|(key, details)| details.with_key(key).ok_or_else(came_back_wrong)).collect()
}

/// The checksum of what was written was right, so this program wrote something that it cannot read.
fn came_back_wrong() -> ListingError {
    ListingError::S3(S3Error {
        class: ErrorClass::Other,
        ..S3Error::unexpected("ListObjectsV2", "the listing", "entries that waited on disk cannot be read back")
    })
}

#[cfg(test)]
mod tests {
    use super::{page_from_bytes, page_to_bytes};
    use crate::model::{ETag, ObjectEntry};

    #[test]
    fn pages_survive_the_disk() {
        let page = [("a/é\n", Some("x-1"), Some(-1_500)), ("b", None, None)].map(|(key, etag, time)| ObjectEntry {
            key: key.parse().unwrap(),
            size_bytes: u64::MAX,
            etag: etag.map(ETag::new),
            modified: time.map(|time| jiff::Timestamp::from_nanosecond(time).unwrap()),
        });
        assert_eq!(page_from_bytes(&page_to_bytes(&page)).unwrap(), page);
        assert!(page_from_bytes(&page_to_bytes(&page)[..20]).is_err());
    }
}
