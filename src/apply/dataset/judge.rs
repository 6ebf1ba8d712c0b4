//! The pipeline: walk and listing merged on one blocking thread, evidence gathered for several batches at a time.
//!
//! Batches travel between the stages, not single files, so that no file costs a hop from thread to thread. Everything
//! comes out in key order, and nothing but a few batches is held.

use super::{DatasetError, DatasetRequest};
use crate::apply::listing::{ListingError, ListingLimits, list, list_sorted};
use crate::aws::s3::Store;
use crate::local::{DigestsWanted, ReadError, digest_file, walk};
use crate::model::{BucketName, LocalFile, ObjectEntry, ObjectHead, Odd, OddKind};
use crate::sync::compare::{Evidence, Known, Verdict, compare};
use crate::sync::diff::{Broken, Pair, diff};
use crate::sync::keys::{Placed, place};
use futures_util::stream::{self, Stream, StreamExt as _};
use std::sync::{Arc, OnceLock};
use tokio::sync::mpsc;

/// A batch ends with this many files...
const BATCH_FILES: usize = 64;

/// ...or with this many bytes to hash, so that large files spread over the processors.
const BATCH_BYTES: u64 = 16 * 1024 * 1024;

/// How many batches or pages may wait between two stages.
const WAITING: usize = 4;

/// Where the objects to compare with come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Listing {
    /// There are none: the bucket is not there yet.
    None,
    /// One HEAD, for a source of one file: its folder may hold a million others.
    OneKey,
    /// Page after page, in the service's order.
    Streamed,
    /// All of it, sorted here with a spill to disk.
    Sorted,
}

/// What both sides have of one key.
#[derive(Debug)]
pub(super) enum Seen {
    /// A file without object.
    Missing(Placed),
    /// A file and its object.
    Both(Box<Compared>),
    /// No file to send.
    Odd(Odd),
}

/// A file and its object, with all that had to be known for the verdict.
#[derive(Debug)]
pub(super) struct Compared {
    pub(super) placed: Placed,
    pub(super) object: ObjectEntry,
    pub(super) known: Known,
    pub(super) verdict: Verdict,
}

impl Compared {
    fn new(placed: Placed, object: ObjectEntry, head: Option<ObjectHead>) -> Self {
        let known = Known { head, ..Known::default() };
        let verdict = compare(placed.file.fingerprint.size_bytes, &object, &known);
        Self { placed, object, known, verdict }
    }

    fn judge(&mut self) {
        self.verdict = compare(self.placed.file.fingerprint.size_bytes, &self.object, &self.known);
    }

    const fn asks_head(&self) -> bool {
        matches!(self.verdict, Verdict::Ask(Evidence::Head))
    }
}

type Page = Result<Vec<ObjectEntry>, ListingError>;

/// Everything of the source, judged, in key order.
pub(super) async fn judge(
    store: &Store,
    request: &DatasetRequest,
    listing: Listing,
) -> Result<impl Stream<Item = Result<Vec<Seen>, DatasetError>> + use<>, DatasetError> {
    let limits = ListingLimits::standard(tempfile::env::temp_dir());
    let mut head = None;
    let pages = match listing {
        Listing::None => spawn_pages(stream::empty()),
        Listing::OneKey => {
            let found = head_entry(store, request).await?;
            head = found.as_ref().map(|(_, head)| head.clone());
            spawn_pages(stream::iter(found.map(|(entry, _)| Ok(vec![entry]))))
        }
        Listing::Streamed => spawn_pages(list(store, &request.bucket, &request.folder, &limits)),
        Listing::Sorted => spawn_pages(list_sorted(store, &request.bucket, &request.folder, &limits).await?),
    };
    let (sender, batches) = mpsc::channel(WAITING);
    let asker =
        Arc::new(Asker { store: store.clone(), bucket: request.bucket.clone(), etags_are_md5s: OnceLock::new() });
    let request = request.clone();
    tokio::task::spawn_blocking(move || merge(&request, pages, head.as_ref(), &sender));
    let width = std::thread::available_parallelism().map_or(2, usize::from).clamp(2, 16);
    let batches = stream::unfold(batches, |mut batches| async { Some((batches.recv().await?, batches)) });
    Ok(batches.map(move |batch| Arc::clone(&asker).answer(batch)).buffered(width))
}

/// The object of a source that is one file, as a listing would show it, and what HEAD said beyond that.
async fn head_entry(
    store: &Store,
    request: &DatasetRequest,
) -> Result<Option<(ObjectEntry, ObjectHead)>, DatasetError> {
    let name = request.rename.as_deref().or_else(|| request.source.file_name().and_then(|name| name.to_str()));
    // A name that no key can carry comes out of the walk as odd, so there is nothing to ask for.
    let Some(Ok(key)) = name.map(|name| request.folder.key(name)) else { return Ok(None) };
    let head = store.head_object(&request.bucket, &key).await?;
    Ok(head
        .map(|head| (ObjectEntry { key, size_bytes: head.size_bytes, etag: head.etag.clone(), modified: None }, head)))
}

/// Lists in a task of its own, ahead of the merge by a few pages.
fn spawn_pages(pages: impl Stream<Item = Page> + Send + 'static) -> mpsc::Receiver<Page> {
    let (sender, receiver) = mpsc::channel(WAITING);
    tokio::spawn(async move {
        let mut pages = std::pin::pin!(pages);
        while let Some(page) = pages.next().await {
            if sender.send(page).await.is_err() {
                return;
            }
        }
    });
    receiver
}

/// The blocking side of the channel of pages, object by object.
fn objects(mut pages: mpsc::Receiver<Page>) -> impl Iterator<Item = Result<ObjectEntry, ListingError>> {
    std::iter::from_fn(move || pages.blocking_recv()).flat_map(|page| {
        let (entries, error) = match page {
            Ok(entries) => (entries, None),
            Err(error) => (Vec::new(), Some(Err(error))),
        };
        entries.into_iter().map(Ok).chain(error)
    })
}

/// Walks, merges and batches until both sides end, one fails, or nobody listens any more.
fn merge(
    request: &DatasetRequest,
    pages: mpsc::Receiver<Page>,
    head: Option<&ObjectHead>,
    batches: &mpsc::Sender<Result<Vec<Seen>, DatasetError>>,
) {
    let files = walk(&request.source, request.excludes.clone()).map(|entry| {
        let file = entry?;
        let relative = request.rename.clone().unwrap_or(file.relative);
        place(&request.folder, LocalFile { relative, ..file })
    });
    let (mut batch, mut bytes) = (Vec::new(), 0);
    for pair in diff(files, objects(pages)) {
        match pair {
            Ok(Pair::Extra(_)) => continue,
            Ok(Pair::Odd(odd)) => batch.push(Seen::Odd(odd)),
            Ok(Pair::Missing(placed)) => batch.push(Seen::Missing(placed)),
            Ok(Pair::Both(placed, object)) => {
                bytes += placed.file.fingerprint.size_bytes;
                batch.push(Seen::Both(Box::new(Compared::new(placed, object, head.cloned()))));
            }
            Err(broken) => {
                let error = match broken {
                    Broken::Order(error) => DatasetError::Order(error),
                    Broken::Listing(error) => error.into(),
                };
                let _ = batches.blocking_send(Err(error));
                return;
            }
        }
        if batch.len() >= BATCH_FILES || bytes >= BATCH_BYTES {
            bytes = 0;
            if batches.blocking_send(Ok(std::mem::take(&mut batch))).is_err() {
                return;
            }
        }
    }
    let _ = batches.blocking_send(Ok(batch));
}

/// Gathers evidence until every verdict is final.
struct Asker {
    store: Store,
    bucket: BucketName,
    /// Whether ETags that look like MD5s are some, once one HEAD of this run has told.
    etags_are_md5s: OnceLock<bool>,
}

impl Asker {
    /// Hashes on a blocking thread and asks the service in between. Each round answers one question of each file, and
    /// no file has more than a few.
    async fn answer(self: Arc<Self>, batch: Result<Vec<Seen>, DatasetError>) -> Result<Vec<Seen>, DatasetError> {
        let mut batch = batch?;
        while batch.iter().any(Seen::is_open) {
            let asker = Arc::clone(&self);
            batch = tokio::task::spawn_blocking(move || {
                batch.into_iter().map(|seen| asker.answer_by_file(seen)).collect::<Vec<_>>()
            })
            .await?;
            for seen in &mut batch {
                if let Seen::Both(both) = seen {
                    self.answer_by_head(both).await;
                }
            }
        }
        Ok(batch)
    }

    /// Answers what the file can answer. A file that cannot be read is odd from here on.
    fn answer_by_file(&self, seen: Seen) -> Seen {
        let Seen::Both(mut both) = seen else { return seen };
        loop {
            let wanted = match &both.verdict {
                Verdict::Ask(Evidence::FileMd5) => DigestsWanted { md5: true, ..DigestsWanted::default() },
                Verdict::Ask(Evidence::FileCrc64) => DigestsWanted { crc64nvme: true, ..DigestsWanted::default() },
                Verdict::Ask(Evidence::FileMultipart(sizes)) => {
                    DigestsWanted { part_sizes: sizes.clone(), ..DigestsWanted::default() }
                }
                _ => return Seen::Both(both),
            };
            let file = &both.placed.file;
            let digests = match digest_file(&file.path, &file.fingerprint, &wanted) {
                Ok(digests) => digests,
                Err(error) => return Seen::Odd(unreadable(&both.placed, &error)),
            };
            let known = &mut both.known;
            known.md5 = known.md5.take().or(digests.md5);
            known.crc64nvme = known.crc64nvme.take().or(digests.crc64nvme);
            if !wanted.part_sizes.is_empty() {
                known.multipart = Some(digests.multipart);
            }
            known.etags_are_md5s = self.etags_are_md5s.get().copied();
            both.judge();
        }
    }

    /// Answers what HEAD can answer, unless an earlier answer of the run has told already. Where HEAD is refused the
    /// comparison goes on without it.
    async fn answer_by_head(&self, both: &mut Compared) {
        if both.asks_head() {
            both.known.etags_are_md5s = self.etags_are_md5s.get().copied();
            both.judge();
        }
        if !both.asks_head() {
            return;
        }
        let head = self.store.head_object(&self.bucket, &both.object.key).await.ok().flatten().unwrap_or_default();
        // A server that names no encryption and stores no checksum leaves nothing but the ETag to believe.
        if let Some(told) = head.etag_is_md5.or(head.checksums.is_empty().then_some(true)) {
            self.etags_are_md5s.get_or_init(|| told);
        }
        both.known.head = Some(head);
        both.judge();
    }
}

impl Seen {
    fn is_open(&self) -> bool {
        matches!(self, Self::Both(both) if matches!(both.verdict, Verdict::Ask(_)))
    }
}

fn unreadable(placed: &Placed, error: &ReadError) -> Odd {
    let why = match error {
        ReadError::Unreadable { source, .. } => source.to_string(),
        ReadError::Changed(_) => "it changed while it was read".to_owned(),
        ReadError::NotRegular(_) => "it is not a regular file any more".to_owned(),
    };
    Odd::at(&placed.file.path, OddKind::Unreadable(why))
}
