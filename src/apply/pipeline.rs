//! Both sides of a sync, side by side: walk and listing merged on one blocking thread, evidence gathered for several
//! batches at a time.
//!
//! Batches travel between the stages, not single files, so that no file costs a hop from thread to thread. Everything
//! comes out in the order of names, and nothing but a few batches is held.

use crate::apply::listing::{ListingError, ListingLimits, list, list_sorted};
use crate::aws::s3::{S3Error, Store};
use crate::local::{
    CacheReader, DigestsWanted, ReadError, SpillError, Visited, WriteError, digest_file, ignore_file_below, walk,
};
use crate::model::{
    BucketName, Filter, IgnoreFile, LocalFile, ObjectEntry, ObjectHead, ObjectKey, Odd, OddKind, Prefix, Trail,
};
use crate::sync::compare::{Compare, Evidence, Known, Verdict, compare_items};
use crate::sync::diff::{self, Broken, Flaw, OrderError, Pair, diff};
use crate::sync::item::{Found, Item};
use crate::sync::remembered::{Recall, recall};
use crate::sync::shard::Shard;
use futures_util::stream::{self, Stream, StreamExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinError, JoinHandle};

/// A batch ends with this many files...
const BATCH_FILES: usize = 64;

/// ...or with this many bytes to hash, so that large files spread over the processors.
const BATCH_BYTES: u64 = 16 * 1024 * 1024;

/// How many batches or pages may wait between two stages.
const WAITING: usize = 4;

/// What is looked at, and how.
#[derive(Debug)]
pub struct Look {
    /// Where things come from.
    pub source: Side,
    /// Where they go.
    pub target: Side,
    /// What is left out on both sides.
    pub filter: Filter,
    /// By what they are compared.
    pub compare: Compare,
    /// The share of this machine.
    pub shard: Option<Shard>,
    /// Whether things that only the target has are wanted.
    pub extras: bool,
    /// What earlier runs remember of files.
    pub memory: Option<Memory>,
    /// Where listings that exceed memory go.
    pub spill_folder: PathBuf,
    /// How long trouble between two pages of a listing is ridden out.
    pub retry_for: Duration,
}

/// What earlier runs remember of files, and who is told which of them were met.
#[derive(Debug)]
pub struct Memory {
    /// What is remembered.
    pub reader: CacheReader,
    /// Told once both sides were seen to their ends, and never otherwise.
    pub visited: oneshot::Sender<Visited>,
}

/// One side.
#[derive(Debug, Clone)]
pub enum Side {
    /// It is not there yet.
    Nothing,
    /// A directory, or one file.
    Files(Files),
    /// A folder, or one object.
    Objects(Objects),
}

/// A directory, or one file.
#[derive(Debug, Clone)]
pub struct Files {
    /// Where it is.
    pub root: PathBuf,
    /// Another name for a single file.
    pub rename: Option<String>,
    /// Where killed downloads left their temporary files, as far as the walk has come: paths below the root.
    pub leftovers: Arc<Mutex<Vec<String>>>,
}

/// A folder, or one object.
#[derive(Debug, Clone)]
pub struct Objects {
    /// Who is asked.
    pub store: Store,
    /// The bucket.
    pub bucket: BucketName,
    /// The folder; the root for the whole bucket.
    pub folder: Prefix,
    /// How its objects are found.
    pub listing: Listing,
}

/// Where objects come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listing {
    /// One HEAD, for one name: the folder may hold a million others.
    One {
        /// The key.
        key: ObjectKey,
        /// The name that it is compared under, if not its own.
        name: Option<String>,
    },
    /// Page after page, in the service's order.
    Streamed,
    /// All of it, sorted here.
    Sorted,
}

/// What both sides have under one name.
#[derive(Debug)]
pub enum Seen {
    /// Only the source has it.
    Missing(Item),
    /// Only the target has it.
    Extra(Item),
    /// Both have it.
    Both(Box<Compared>),
    /// Neither file nor object.
    Odd(Odd),
}

/// What both sides have under one name, with all that had to be known for the verdict.
#[derive(Debug)]
pub struct Compared {
    /// What the source has.
    pub source: Item,
    /// What the target has.
    pub target: Item,
    /// What had to be known.
    pub known: Known,
    /// What it comes to.
    pub verdict: Verdict,
}

/// A stretch of both sides.
#[derive(Debug, Default)]
pub struct Batch {
    /// What was seen, in the order of names.
    pub seen: Vec<Seen>,
    /// How many things of the source are in it.
    pub source_items: u64,
    /// How many things of the target are in it, markers not counted.
    pub target_items: u64,
    /// The bytes of all files that have an object of the same name, which may have to be read.
    pub bytes: u64,
}

/// Why a look ended early.
#[derive(Debug, thiserror::Error)]
pub enum LookError {
    /// A call failed.
    #[error(transparent)]
    S3(#[from] S3Error),
    /// There was no place for keys of a listing that must wait.
    #[error(transparent)]
    Spill(#[from] SpillError),
    /// A side is not in the order of names, so the merge would invent differences.
    #[error(transparent)]
    Order(#[from] OrderError),
    /// The target directory cannot be opened or made.
    #[error(transparent)]
    Target(#[from] WriteError),
    /// A task of this program ended early.
    #[error("a worker ended unexpectedly: {0}")]
    Worker(#[from] JoinError),
}

impl From<ListingError> for LookError {
    fn from(error: ListingError) -> Self {
        match error {
            ListingError::S3(error) => Self::S3(error),
            ListingError::Spill(error) => Self::Spill(error),
            ListingError::Order(error) => Self::Order(error),
            ListingError::Worker(error) => Self::Worker(error),
        }
    }
}

impl Compared {
    /// The side of it that can be read here, if one can.
    pub const fn file(&self) -> Option<&LocalFile> {
        match (&self.source, &self.target) {
            (Item::File(file), _) | (_, Item::File(file)) => Some(file),
            (Item::Object(_), Item::Object(_)) => None,
        }
    }

    fn judge(&mut self, mode: Compare) {
        self.verdict = compare_items(mode, &self.source, &self.target, &self.known);
    }
}

type Page = Result<Vec<ObjectEntry>, ListingError>;
type Entries = Box<dyn Iterator<Item = Result<Item, Flaw<ListingError>>> + Send>;

/// Both sides, judged, in the order of names.
pub async fn look(look: Look) -> Result<impl Stream<Item = Result<Batch, LookError>> + use<>, LookError> {
    let asker = Arc::new(Asker {
        mode: look.compare,
        source: Asked::of(&look.source),
        target: Asked::of(&look.target),
        etags_are_md5s: OnceLock::new(),
    });
    let tree = tree_of(&look.source, &look.target);
    let limits = ListingLimits { retry_for: look.retry_for, ..ListingLimits::standard(look.spill_folder) };
    let (source, _) = entries(look.source, diff::Side::Source, &look.filter, tree.clone(), &limits).await?;
    let (target, head) = entries(look.target, diff::Side::Target, &look.filter, tree, &limits).await?;
    let merge = Merge { mode: look.compare, shard: look.shard, extras: look.extras, memory: look.memory, head };
    let (sender, batches) = mpsc::channel(WAITING);
    let told = sender.clone();
    let merging = tokio::task::spawn_blocking(move || merge.run(source, target, &told));
    tell_failure(merging, sender);
    let width = std::thread::available_parallelism().map_or(2, usize::from).clamp(2, 16);
    let batches = stream::unfold(batches, |mut batches| async { Some((batches.recv().await?, batches)) });
    Ok(batches.map(move |batch| Arc::clone(&asker).answer(batch)).buffered(width))
}

/// The local tree, whose ignore files count on both sides.
pub(super) fn tree_of(source: &Side, target: &Side) -> Option<PathBuf> {
    [source, target].into_iter().find_map(|side| match side {
        Side::Files(files) => Some(files.root.clone()),
        Side::Objects(_) | Side::Nothing => None,
    })
}

/// A filter for names of a listing, with the ignore files of the local tree, if there is one.
pub(super) fn trail_of(
    filter: &Filter,
    tree: Option<PathBuf>,
) -> Trail<impl FnMut(&str) -> Option<IgnoreFile> + use<>> {
    Trail::new(filter.clone(), move |directory: &str| ignore_file_below(tree.as_deref()?, directory))
}

/// What a side has, and what HEAD said where there is one object.
async fn entries(
    side: Side,
    which: diff::Side,
    filter: &Filter,
    tree: Option<PathBuf>,
    limits: &ListingLimits,
) -> Result<(Entries, Option<ObjectHead>), LookError> {
    let (objects, listing) = match side {
        Side::Nothing => return Ok((Box::new(std::iter::empty()), None)),
        Side::Files(files) => return Ok((files.entries(filter.clone()), None)),
        Side::Objects(objects) => (objects.clone(), objects.listing),
    };
    let Objects { store, bucket, folder, .. } = objects;
    // One object was named by hand, as was one file: no filter leaves it out.
    let filter = if matches!(listing, Listing::One { .. }) { &Filter::none() } else { filter };
    let mut trail = trail_of(filter, tree);
    let (pages, head, name) = match listing {
        Listing::One { key, name } => {
            let head = store.head_object(&bucket, &key).await?;
            let entry = head.as_ref().map(|head| entry_of(key, head));
            (spawn_pages(stream::iter(entry.map(|entry| Ok(vec![entry])))), head, name)
        }
        Listing::Streamed => {
            let pages = list(&store, &bucket, &folder, limits);
            (spawn_pages(pages.map(move |page| in_order(page?, which))), None, None)
        }
        Listing::Sorted => (spawn_pages(list_sorted(&store, &bucket, &folder, limits).await?), None, None),
    };
    let items = objects_of(pages).map(move |entry| {
        let found = Found::below(&folder, entry.map_err(Flaw::Lost)?).map_err(|entry| {
            let message = format!("the listing of `{folder}` shows `{}`, which is not below it", entry.key);
            Flaw::Lost(S3Error::unexpected("ListObjectsV2", format!("s3://{bucket}"), message).into())
        })?;
        Ok(Item::Object(match &name {
            Some(name) => found.renamed(name),
            None => found,
        }))
    });
    let items = items.filter(move |item: &Result<Item, _>| {
        item.as_ref().map_or(true, |item| trail.judge(item.name()).1.is_selected())
    });
    Ok((Box::new(items), head))
}

/// A page whose keys ascend. The merge would notice another order as well, but only after it took names that come later
/// on the page for missing, and transfers begin while it is still merging.
fn in_order(page: Vec<ObjectEntry>, side: diff::Side) -> Page {
    match page.array_windows().find(|[before, after]| before.key >= after.key) {
        None => Ok(page),
        Some([before, after]) => {
            let [before, after] = [before, after].map(|entry| entry.key.as_str().to_owned());
            Err(OrderError { side, before, after }.into())
        }
    }
}

fn entry_of(key: ObjectKey, head: &ObjectHead) -> ObjectEntry {
    ObjectEntry { key, size_bytes: head.size_bytes, etag: head.etag.clone(), modified: head.modified }
}

impl Files {
    fn entries(self, filter: Filter) -> Entries {
        let Self { root, rename, leftovers } = self;
        let mut walk = walk(&root, filter);
        Box::new(std::iter::from_fn(move || {
            let entry = walk.next();
            let found = walk.leftovers();
            if !found.is_empty() {
                leftovers.lock().unwrap_or_else(PoisonError::into_inner).extend(found);
            }
            Some(match (entry?, &rename) {
                (Ok(file), Some(name)) => Ok(Item::File(LocalFile { relative: name.clone(), ..file })),
                (Ok(file), None) => Ok(Item::File(file)),
                (Err(odd), _) => Err(Flaw::Odd(odd)),
            })
        }))
    }
}

/// Lists in a task of its own, ahead of the merge by a few pages.
pub(super) fn spawn_pages(pages: impl Stream<Item = Page> + Send + 'static) -> mpsc::Receiver<Page> {
    let (sender, receiver) = mpsc::channel(WAITING);
    let told = sender.clone();
    let listing = tokio::spawn(async move {
        let mut pages = std::pin::pin!(pages);
        while let Some(page) = pages.next().await {
            if told.send(page).await.is_err() {
                return;
            }
        }
    });
    tell_failure(listing, sender);
    receiver
}

/// Tells the receiver when the task that feeds it panics. Without a word a side that broke off would look like one that
/// came to its end, and what is missing from it like something to delete.
fn tell_failure<T, E>(task: JoinHandle<()>, told: mpsc::Sender<Result<T, E>>)
where
    T: Send + 'static,
    E: From<JoinError> + Send + 'static,
{
    tokio::spawn(async move {
        if let Err(error) = task.await {
            // A receiver that has gone wants no end.
            let _ = told.send(Err(error.into())).await;
        }
    });
}

/// The blocking side of the channel of pages, object by object.
pub(super) fn objects_of(
    mut pages: mpsc::Receiver<Page>,
) -> impl Iterator<Item = Result<ObjectEntry, ListingError>> + Send {
    std::iter::from_fn(move || pages.blocking_recv()).flat_map(|page| {
        let (entries, error) = match page {
            Ok(entries) => (entries, None),
            Err(error) => (Vec::new(), Some(Err(error))),
        };
        entries.into_iter().map(Ok).chain(error)
    })
}

/// The blocking stage.
struct Merge {
    mode: Compare,
    shard: Option<Shard>,
    extras: bool,
    memory: Option<Memory>,
    head: Option<ObjectHead>,
}

impl Merge {
    /// Walks, merges and batches until both sides end, one fails, or nobody listens any more.
    fn run(mut self, source: Entries, target: Entries, batches: &mpsc::Sender<Result<Batch, LookError>>) {
        let shard = self.shard;
        let mine = move |item: &Result<Item, Flaw<ListingError>>| match (shard, item) {
            (Some(shard), Ok(item)) => shard.holds(item.name()),
            _ => true,
        };
        let mut batch = Batch::default();
        for pair in diff(source.filter(mine), target.filter(mine)) {
            let pair = match pair {
                Ok(pair) => pair,
                Err(broken) => {
                    let error = match broken {
                        Broken::Order(error) => LookError::Order(error),
                        Broken::Lost(error) => error.into(),
                    };
                    // What was seen before a failure is true, and the receiver decides what it is still worth. What was
                    // seen before a disorder may be mistaken.
                    if !matches!(error, LookError::Order(_)) {
                        let _ = batches.blocking_send(Ok(batch));
                    }
                    let _ = batches.blocking_send(Err(error));
                    return;
                }
            };
            self.add(pair, &mut batch);
            if (batch.seen.len() >= BATCH_FILES || batch.bytes >= BATCH_BYTES)
                && batches.blocking_send(Ok(std::mem::take(&mut batch))).is_err()
            {
                return;
            }
        }
        let _ = batches.blocking_send(Ok(batch));
        if let Some(Memory { reader, visited }) = self.memory {
            // A run that is over already needs no answer.
            let _ = visited.send(reader.finish());
        }
    }

    fn add(&mut self, pair: Pair, batch: &mut Batch) {
        match pair {
            Pair::Odd(odd) => batch.seen.push(Seen::Odd(odd)),
            Pair::Missing(item) => {
                batch.source_items += 1;
                batch.seen.push(Seen::Missing(item));
            }
            Pair::Extra(item) => {
                batch.target_items += u64::from(!item.is_marker());
                if self.extras {
                    batch.seen.push(Seen::Extra(item));
                }
            }
            Pair::Both(source, target) => {
                batch.source_items += 1;
                batch.target_items += 1;
                let known = self.known(&source, &target);
                let verdict = compare_items(self.mode, &source, &target, &known);
                if matches!(verdict, Verdict::Ask(_)) {
                    batch.bytes += source.size_bytes();
                }
                batch.seen.push(Seen::Both(Box::new(Compared { source, target, known, verdict })));
            }
        }
    }

    /// What is known of a pair before anything is read or asked.
    fn known(&mut self, source: &Item, target: &Item) -> Known {
        let known = Known { head: self.head.clone(), ..Known::default() };
        let (Some(memory), Some((file, object))) = (&mut self.memory, file_and_object(source, target)) else {
            return known;
        };
        let Some(row) = memory.reader.lookup(&file.relative, &file.fingerprint) else { return known };
        match recall(&row, &file.fingerprint, object) {
            Recall::Unchanged => Known { remembered: object.etag.clone(), ..known },
            Recall::Digests { md5, crc64nvme } => Known { md5, crc64nvme, ..known },
        }
    }
}

/// The file of a pair, and its object.
pub(super) const fn file_and_object<'pair>(
    source: &'pair Item,
    target: &'pair Item,
) -> Option<(&'pair LocalFile, &'pair ObjectEntry)> {
    match (source, target) {
        (Item::File(file), Item::Object(found)) | (Item::Object(found), Item::File(file)) => Some((file, &found.entry)),
        _ => None,
    }
}

/// Who is asked about the objects of one side.
struct Asked {
    store: Store,
    bucket: BucketName,
}

impl Asked {
    fn of(side: &Side) -> Option<Self> {
        match side {
            Side::Objects(objects) => Some(Self { store: objects.store.clone(), bucket: objects.bucket.clone() }),
            Side::Files(_) | Side::Nothing => None,
        }
    }

    /// What HEAD says. Where it is refused the comparison goes on without it.
    async fn head(&self, item: &Item) -> ObjectHead {
        let Item::Object(found) = item else { return ObjectHead::default() };
        self.store.head_object(&self.bucket, &found.entry.key).await.ok().flatten().unwrap_or_default()
    }
}

/// Gathers evidence until every verdict is final.
struct Asker {
    mode: Compare,
    source: Option<Asked>,
    target: Option<Asked>,
    /// Whether ETags that look like MD5s are some, once one HEAD of this run has told.
    etags_are_md5s: OnceLock<bool>,
}

impl Asker {
    /// Hashes on a blocking thread and asks the service in between. Each round answers one question of each file, and
    /// no file has more than a few.
    async fn answer(self: Arc<Self>, batch: Result<Batch, LookError>) -> Result<Batch, LookError> {
        let mut batch = batch?;
        while batch.seen.iter().any(Seen::is_open) {
            let asker = Arc::clone(&self);
            let seen = std::mem::take(&mut batch.seen);
            batch.seen = tokio::task::spawn_blocking(move || {
                seen.into_iter().map(|seen| asker.answer_by_file(seen)).collect::<Vec<_>>()
            })
            .await?;
            for seen in &mut batch.seen {
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
            let Some(file) = both.file() else { return Seen::Both(both) };
            let digests = match digest_file(&file.path, &file.fingerprint, &wanted) {
                Ok(digests) => digests,
                Err(error) => return Seen::Odd(unreadable(file, &error)),
            };
            let known = &mut both.known;
            known.md5 = known.md5.take().or(digests.md5);
            known.crc64nvme = known.crc64nvme.take().or(digests.crc64nvme);
            if !wanted.part_sizes.is_empty() {
                known.multipart = Some(digests.multipart);
            }
            known.etags_are_md5s = self.etags_are_md5s.get().copied();
            both.judge(self.mode);
        }
    }

    /// Answers what HEAD can answer, unless an earlier answer of the run has told already.
    async fn answer_by_head(&self, both: &mut Compared) {
        if let (Verdict::Ask(Evidence::SourceHead), Some(source)) = (&both.verdict, &self.source) {
            both.known.source_head = Some(source.head(&both.source).await);
            both.judge(self.mode);
        }
        if both.verdict == Verdict::Ask(Evidence::Head) {
            both.known.etags_are_md5s = self.etags_are_md5s.get().copied();
            both.judge(self.mode);
        }
        if both.verdict != Verdict::Ask(Evidence::Head) {
            return;
        }
        let head = match (&self.target, &self.source) {
            (Some(target), _) => target.head(&both.target).await,
            (None, Some(source)) => source.head(&both.source).await,
            (None, None) => ObjectHead::default(),
        };
        // A server that names no encryption and stores no checksum leaves nothing but the ETag to believe.
        if let Some(told) = head.etag_is_md5.or(head.checksums.is_empty().then_some(true)) {
            self.etags_are_md5s.get_or_init(|| told);
        }
        both.known.head = Some(head);
        both.judge(self.mode);
    }
}

impl Seen {
    fn is_open(&self) -> bool {
        matches!(self, Self::Both(both) if matches!(both.verdict, Verdict::Ask(_)))
    }
}

fn unreadable(file: &LocalFile, error: &ReadError) -> Odd {
    unreadable_at(&file.path, error)
}

/// A file that cannot be read.
pub(super) fn unreadable_at(path: &Path, error: &ReadError) -> Odd {
    let why = match error {
        ReadError::Unreadable { source, .. } => source.to_string(),
        ReadError::Changed(_) => "it changed while it was read".to_owned(),
        ReadError::NotRegular(_) => "it is not a regular file any more".to_owned(),
    };
    Odd::at(path, OddKind::Unreadable(why))
}

#[cfg(test)]
mod tests {
    use super::{ListingError, Page, objects_of, spawn_pages};
    use crate::model::ObjectEntry;
    use futures_util::stream::{self, StreamExt as _};

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_listing_that_panics_is_no_listing_that_ended() {
        let entry = ObjectEntry { key: "a".parse().unwrap(), size_bytes: 1, etag: None, modified: None };
        let pages = stream::iter([Some(entry), None]).map(|entry| -> Page { Ok(vec![entry.unwrap()]) });
        let pages = spawn_pages(pages);
        let found = tokio::task::spawn_blocking(move || objects_of(pages).collect::<Vec<_>>()).await.unwrap();
        assert!(matches!(&found[..], [Ok(_), Err(ListingError::Worker(_))]), "{found:?}");
    }
}
