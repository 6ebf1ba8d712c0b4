//! One object into one file: the very object that was seen, proven, and in its place only when it is whole.
//!
//! A small object comes in one request. A large one comes in ranges side by side, all of them conditional on the same
//! ETag, so that an object that is replaced meanwhile is never mixed from two. The file gets the object's time, as users
//! of other tools expect; comparison does not rest on it.

use super::limits::Buffer;
use super::{Proven, Run, TransferError, TransferOptions, error_text};
use crate::aws::s3::{ErrorClass, ObjectRead, S3Error, Store, object_url};
use crate::hashing;
use crate::local::{PartFile, TargetTree, WriteError};
use crate::model::{Algorithm, BucketName, Checksum, ETag, Fingerprint, ObjectHead, ObjectKey};
use crate::plan::Download;
use crate::report::{Event, Progress};
use crate::sync::arrival::{Judgement, Measure};
use crate::sync::parts::{self, Part};
use crate::sync::proof::Rung;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// How often an answer that breaks off is asked for again. The SDK tries requests again, but not the bodies of answers.
const ATTEMPTS: u32 = 4;

/// The first pause before that; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// Up to this size a file is written where it arrived: a hop to another thread costs more than the write.
const WRITTEN_AT_ONCE_BYTES: u64 = 64 * 1024;

/// A file that is in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// Which object it is, and how that is known.
    pub proven: Proven,
    /// What the file is now.
    pub file: Fingerprint,
}

/// Brings one object. The caller hears of its movement by events, and of its end by the result alone.
pub async fn download(
    store: &Store,
    bucket: &BucketName,
    download: &Download,
    tree: &Arc<TargetTree>,
    options: &TransferOptions,
    events: &mpsc::Sender<Event>,
    cancel: &CancellationToken,
) -> Result<Fetched, TransferError> {
    Run::new(store, options, events, cancel).fetch(bucket, download, tree).await
}

/// The object that all requests of one download are about.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    pub(super) bucket: BucketName,
    pub(super) key: ObjectKey,
    pub(super) etag: Option<ETag>,
}

/// A file that goes away when nobody waits for it any more, also while a thread still writes to it.
struct Receiving(Arc<PartFile>);

impl Drop for Receiving {
    fn drop(&mut self) {
        self.0.abandon();
    }
}

impl Wanted {
    fn read(&self, part: Option<Part>) -> ObjectRead<'_> {
        let range = part.map(|part| part.offset..part.offset + part.length);
        ObjectRead { bucket: &self.bucket, key: &self.key, if_match: self.etag.as_ref(), range }
    }

    pub(super) fn url(&self) -> String {
        object_url(&self.bucket, &self.key)
    }

    /// True if `head` is of the object that was seen.
    pub(super) fn is(&self, head: &ObjectHead, size_bytes: u64) -> bool {
        head.size_bytes == size_bytes && (self.etag.is_none() || head.etag.is_none() || head.etag == self.etag)
    }

    /// A failed read in the words of a transfer.
    fn failed(&self, error: S3Error) -> TransferError {
        if error.class == ErrorClass::Precondition { TransferError::ChangedThere(self.url()) } else { error.into() }
    }

    /// The rung that holds, or what speaks against it.
    pub(super) fn judged(&self, judgement: Judgement) -> Result<Rung, TransferError> {
        match judgement {
            Judgement::Same(rung) => Ok(rung),
            Judgement::Differs { stored, arrived } => {
                Err(TransferError::Damaged { target: self.url(), stored, arrived })
            }
        }
    }
}

impl Run {
    /// Brings an object into its file. On failure, and when the run is cancelled, what was there stays as it was.
    pub(super) async fn fetch(
        self: &Arc<Self>,
        bucket: &BucketName,
        download: &Download,
        tree: &Arc<TargetTree>,
    ) -> Result<Fetched, TransferError> {
        let wanted = Wanted { bucket: bucket.clone(), key: download.key.clone(), etag: download.etag.clone() };
        if download.size_bytes < self.options.multipart_from_bytes {
            self.fetch_whole(&wanted, download, tree).await
        } else {
            self.fetch_ranges(wanted, download, tree).await
        }
    }

    async fn fetch_whole(
        &self,
        wanted: &Wanted,
        download: &Download,
        tree: &Arc<TargetTree>,
    ) -> Result<Fetched, TransferError> {
        let arrive = async {
            let mut buffer = self.pool.buffer(usize::try_from(download.size_bytes).unwrap_or(usize::MAX)).await;
            let _slot = self.requests.acquire().await;
            let head = self.receive(&self.store, wanted, None, &mut buffer).await?;
            Ok((head, buffer))
        };
        // What has arrived is written also by a cancelled run: that takes no time, and half of it would stay behind.
        let (head, buffer) = self.unless_cancelled(arrive).await?;
        let fetched = if download.size_bytes <= WRITTEN_AT_ONCE_BYTES {
            keep_whole(tree, wanted, download, head, &buffer)?
        } else {
            let (tree, wanted, download) = (Arc::clone(tree), wanted.clone(), download.clone());
            tokio::task::spawn_blocking(move || keep_whole(&tree, &wanted, &download, head, &buffer)).await??
        };
        self.advanced(fetched.proven.bytes);
        Ok(fetched)
    }

    async fn fetch_ranges(
        self: &Arc<Self>,
        mut wanted: Wanted,
        download: &Download,
        tree: &Arc<TargetTree>,
    ) -> Result<Fetched, TransferError> {
        let head = self.unless_cancelled(self.head(&wanted, download.size_bytes)).await?;
        // Where the listing showed no ETag, all ranges must at least be of the object that HEAD saw.
        wanted.etag = wanted.etag.or_else(|| head.etag.clone());
        let measure = Measure::of(&head, download.size_bytes);
        let (opened, to) = (Arc::clone(tree), download.clone());
        let begin = move || opened.begin(&to.path, to.size_bytes, to.replaces.as_ref());
        let file = Receiving(Arc::new(tokio::task::spawn_blocking(begin).await??));
        let wanted = Arc::new(wanted);
        let fill = self.fill_file(&file.0, &wanted, download.size_bytes, measure.of_ranges());
        let Wholes { crc64nvme, measured } = self.unless_cancelled(fill).await?;
        let (part, modified, cancel) = (Arc::clone(&file.0), head.modified, self.cancel.clone());
        let finish = move || {
            let judgement = match &measured {
                Some(measured) => measure.judge(measured),
                None => judge_again(&part, &measure, &cancel)?,
            };
            let rung = wanted.judged(judgement)?;
            let file = part.commit(modified)?;
            Ok::<_, TransferError>(fetched(head, crc64nvme, rung, file))
        };
        tokio::task::spawn_blocking(finish).await?
    }

    /// What is kept of the object, if it still is the one that was seen.
    async fn head(&self, wanted: &Wanted, size_bytes: u64) -> Result<ObjectHead, TransferError> {
        let _slot = self.requests.acquire().await;
        let head = self.store.head_object(&wanted.bucket, &wanted.key).await?;
        head.filter(|head| wanted.is(head, size_bytes)).ok_or_else(|| TransferError::ChangedThere(wanted.url()))
    }

    /// Brings all ranges, and gives the checksums of the whole, combined from theirs: the one for receipts, and the one
    /// that the endpoint keeps if it is a CRC.
    async fn fill_file(
        self: &Arc<Self>,
        file: &Arc<PartFile>,
        wanted: &Arc<Wanted>,
        size_bytes: u64,
        measured: Option<Algorithm>,
    ) -> Result<Wholes, TransferError> {
        let algorithms = match measured {
            Some(other) if other != Algorithm::Crc64Nvme => vec![Algorithm::Crc64Nvme, other],
            _ => vec![Algorithm::Crc64Nvme],
        };
        let (mut under_way, mut sums) = (JoinSet::new(), Sums::default());
        for part in parts::parts(size_bytes, self.options.part_bytes.max(1)) {
            while let Some(ended) = under_way.try_join_next() {
                let (part, sum) = ended??;
                sums.add(part, sum);
            }
            // Taken here and not in the task: so many ranges exist as there is room for, and a failed one is noticed
            // before the next begins.
            let buffer = self.pool.buffer(usize::try_from(part.length).unwrap_or(usize::MAX)).await;
            let slot = self.requests.acquire().await;
            let (run, file, wanted, kinds) =
                (Arc::clone(self), Arc::clone(file), Arc::clone(wanted), algorithms.clone());
            under_way.spawn(async move {
                let result = run.fetch_range(&file, &wanted, part, buffer, kinds).await;
                drop(slot);
                Ok::<_, TransferError>((part, result?))
            });
        }
        while let Some(ended) = under_way.join_next().await {
            let (part, sum) = ended??;
            sums.add(part, sum);
        }
        let of = |algorithm| sums.whole.iter().find(|sum| sum.algorithm() == algorithm).cloned();
        Ok(Wholes { crc64nvme: of(Algorithm::Crc64Nvme), measured: measured.and_then(of) })
    }

    async fn fetch_range(
        &self,
        file: &Arc<PartFile>,
        wanted: &Wanted,
        part: Part,
        mut buffer: Buffer,
        algorithms: Vec<Algorithm>,
    ) -> Result<Vec<Checksum>, TransferError> {
        self.receive(&self.store, wanted, Some(part), &mut buffer).await?;
        let file = Arc::clone(file);
        let write = move || {
            file.write_at(part.offset, &buffer)?;
            Ok::<_, WriteError>(algorithms.into_iter().map(|kind| hashing::digest(kind, &buffer)).collect())
        };
        let sums = tokio::task::spawn_blocking(write).await??;
        self.advanced(part.length);
        Ok(sums)
    }

    /// Reads the object or one part of it into memory, again where the answer breaks off.
    pub(super) async fn receive(
        &self,
        store: &Store,
        wanted: &Wanted,
        part: Option<Part>,
        into: &mut [u8],
    ) -> Result<ObjectHead, TransferError> {
        let read = wanted.read(part);
        let (mut tries_left, mut pause) = (ATTEMPTS - 1, FIRST_PAUSE);
        loop {
            self.bandwidth.take(into.len() as u64).await;
            let answer = store.read_object(&read).await.map_err(|error| wanted.failed(error))?;
            let Err(broken) = Store::fill(&read, answer.bytes, into).await else { return Ok(answer.head) };
            let passes = matches!(broken.class, ErrorClass::Unreachable | ErrorClass::DigestRefused);
            if tries_left == 0 || !passes {
                return Err(broken.into());
            }
            tries_left -= 1;
            let reason = error_text(&broken.into());
            self.tell(Event::Progress(Progress::Retried { target: wanted.url(), reason })).await;
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
    }
}

/// Puts an object that is in memory into its place.
fn keep_whole(
    tree: &TargetTree,
    wanted: &Wanted,
    download: &Download,
    head: ObjectHead,
    bytes: &[u8],
) -> Result<Fetched, TransferError> {
    let measure = Measure::of(&head, download.size_bytes);
    let crc = hashing::digest(Algorithm::Crc64Nvme, bytes);
    let judgement = if measure.of_ranges() == Some(Algorithm::Crc64Nvme) {
        measure.judge(&crc)
    } else {
        let mut pass = measure.pass();
        pass.update(bytes);
        pass.finish(&measure)
    };
    let rung = wanted.judged(judgement)?;
    let file = tree.begin(&download.path, download.size_bytes, download.replaces.as_ref())?;
    file.write_at(0, bytes)?;
    let placed = file.commit(head.modified)?;
    Ok(fetched(ObjectHead { size_bytes: download.size_bytes, ..head }, Some(crc), rung, placed))
}

/// Reads what was written once more, for digests that cannot be combined from ranges.
fn judge_again(file: &PartFile, measure: &Measure, cancel: &CancellationToken) -> Result<Judgement, TransferError> {
    let mut pass = measure.pass();
    if !matches!(measure, Measure::Length) {
        let goes_on = |bytes: &[u8]| {
            pass.update(bytes);
            !cancel.is_cancelled()
        };
        file.read_again(goes_on)?;
    }
    if cancel.is_cancelled() { Err(TransferError::Cancelled) } else { Ok(pass.finish(measure)) }
}

fn fetched(head: ObjectHead, checksum: Option<Checksum>, rung: Rung, file: Fingerprint) -> Fetched {
    let ObjectHead { etag, version_id, size_bytes, .. } = head;
    Fetched { proven: Proven { etag, checksum, rung, version_id, bytes: size_bytes, file: Some(file) }, file }
}

/// The checksums of a whole object.
struct Wholes {
    crc64nvme: Option<Checksum>,
    /// Of the algorithm that the endpoint keeps.
    measured: Option<Checksum>,
}

/// The CRCs of the ranges so far. They end in any order; only those that wait for one before them are held.
#[derive(Debug, Default)]
struct Sums {
    whole: Vec<Checksum>,
    bytes: u64,
    waiting: BTreeMap<u64, (Vec<Checksum>, u64)>,
}

impl Sums {
    fn add(&mut self, part: Part, sums: Vec<Checksum>) {
        self.waiting.insert(part.offset, (sums, part.length));
        while let Some((sums, length)) = self.waiting.remove(&self.bytes) {
            self.whole = if self.bytes == 0 {
                sums
            } else {
                self.whole.iter().zip(&sums).filter_map(|(whole, sum)| hashing::combine(whole, sum, length)).collect()
            };
            self.bytes += length;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Sums;
    use crate::hashing::digest;
    use crate::model::Algorithm;
    use crate::sync::parts::parts;

    #[test]
    fn ranges_in_any_order_give_the_whole() {
        let bytes: Vec<u8> = (0..1000_u32).map(|at| (at % 251) as u8).collect();
        let both = [Algorithm::Crc64Nvme, Algorithm::Crc32];
        for order in [[0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1]] {
            let cut: Vec<_> = parts(1000, 300).collect();
            let mut sums = Sums::default();
            for index in order {
                let part = cut[index];
                let (start, length) = (usize::try_from(part.offset).unwrap(), usize::try_from(part.length).unwrap());
                let range = &bytes[start..start + length];
                sums.add(part, both.map(|kind| digest(kind, range)).to_vec());
            }
            assert_eq!((sums.whole, sums.bytes), (both.map(|kind| digest(kind, &bytes)).to_vec(), 1000));
            assert!(sums.waiting.is_empty());
        }
    }
}
