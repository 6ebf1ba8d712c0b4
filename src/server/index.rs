//! The ordered index of everything the endpoint stores, and the one thread that writes to it.
//!
//! Keys are compared by their bytes, so a listing is a range scan. Waiting writes share a commit: the thread takes all that
//! wait, runs them in one transaction one after the other, makes it durable and only then answers any of them. That order
//! also makes every condition (`If-None-Match`) atomic, between processes as well, as `redb` admits one writer at a time.

use super::blobs::{Blobs, PendingBlob};
use super::fault::{Fault, Outcome, Trouble};
use super::record::{BlobId, FORMAT};
use redb::{
    ConcurrencyMode, Database, ReadOnlyTable, ReadTransaction, ReadableDatabase, Table, TableDefinition, TableError,
    WriteTransaction,
};
use s3s::S3Result;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, PoisonError, RwLock};
use std::thread::{self, JoinHandle};
use tokio::sync::oneshot;

/// Pages of the index kept in memory, in bytes.
const CACHE_BYTES: usize = 48 << 20;
/// Most writes that share one commit.
const BATCH: usize = 256;

type Bytes = &'static [u8];
const META: TableDefinition<&str, u64> = TableDefinition::new("meta");
const BUCKETS: TableDefinition<&str, Bytes> = TableDefinition::new("buckets");
const SETTINGS: TableDefinition<(&str, &str), Bytes> = TableDefinition::new("settings");
const CURRENT: TableDefinition<Bytes, Bytes> = TableDefinition::new("current");
const NONCURRENT: TableDefinition<(Bytes, u64), Bytes> = TableDefinition::new("noncurrent");
const UPLOADS: TableDefinition<(Bytes, &str), Bytes> = TableDefinition::new("uploads");
const PARTS: TableDefinition<(&str, u16), Bytes> = TableDefinition::new("parts");
const FINISHED: TableDefinition<&str, Bytes> = TableDefinition::new("finished");
const BODIES: TableDefinition<u128, Bytes> = TableDefinition::new("bodies");
const FILES: TableDefinition<u128, ()> = TableDefinition::new("files");
const SHARES: TableDefinition<u128, u32> = TableDefinition::new("shares");

/// The tables inside a write transaction.
pub(super) struct Tables<'txn> {
    /// Bucket name to [`super::record::BucketRecord`].
    pub(super) buckets: Table<'txn, &'static str, Bytes>,
    /// Bucket name and kind to a document.
    pub(super) settings: Table<'txn, (&'static str, &'static str), Bytes>,
    /// [`address`] to the newest [`super::record::VersionRecord`] of a key, which may be a delete marker.
    pub(super) current: Table<'txn, Bytes, Bytes>,
    /// [`address`] and inverted order, newest first, to every older version.
    pub(super) noncurrent: Table<'txn, (Bytes, u64), Bytes>,
    /// [`address`] and upload id to [`super::record::UploadRecord`].
    pub(super) uploads: Table<'txn, (Bytes, &'static str), Bytes>,
    /// Upload id and part number to [`super::record::PartRecord`].
    pub(super) parts: Table<'txn, (&'static str, u16), Bytes>,
    /// Upload id to [`super::record::FinishedRecord`], so that a repeated completion is answered as the first was.
    pub(super) finished: Table<'txn, &'static str, Bytes>,
    /// Small bodies.
    pub(super) bodies: Table<'txn, u128, Bytes>,
    /// The blob files that a record names.
    pub(super) files: Table<'txn, u128, ()>,
    /// How many more records than one name a blob.
    pub(super) shares: Table<'txn, u128, u32>,
    adopted: Vec<PendingBlob>,
    released: Vec<BlobId>,
}

/// The tables as one moment left them. Each is opened when it is asked for.
pub(super) struct Snapshot(ReadTransaction);

/// A table of a snapshot.
pub(super) type Rows<Key, Value = Bytes> = ReadOnlyTable<Key, Value>;

type Reply = Box<dyn FnOnce(Option<&Trouble>) + Send>;
/// A write, given the tables or the reason why there are none.
type Job = Box<dyn FnOnce(Result<&mut Tables<'_>, &Trouble>) -> Option<Step> + Send>;

/// What a write did inside the transaction, and how to tell its author.
struct Step {
    wrote: bool,
    broke: Option<Trouble>,
    reply: Reply,
}

type Shared = Arc<RwLock<Arc<Database>>>;

/// The index of a folder.
pub(super) struct Index {
    database: Shared,
    jobs: Option<Sender<Job>>,
    writer: Option<JoinHandle<()>>,
}

/// The place of a key among the keys of all buckets: no bucket name holds a NUL, so buckets do not mix.
pub(super) fn address(bucket: &str, key: &str) -> Vec<u8> {
    let mut address = Vec::with_capacity(bucket.len() + 1 + key.len());
    address.extend_from_slice(bucket.as_bytes());
    address.push(0);
    address.extend_from_slice(key.as_bytes());
    address
}

impl Index {
    /// Opens the index at `path`, making it if there is none.
    pub(super) fn open(path: PathBuf, blobs: Blobs) -> Outcome<Self> {
        let database = Arc::new(open_database(&path)?);
        prepare(&database)?;
        let database: Shared = Arc::new(RwLock::new(database));
        let (jobs, waiting) = channel();
        let writer = Writer { path, database: Arc::clone(&database), blobs };
        let writer = thread::Builder::new().name("index".to_owned()).spawn(move || writer.run(&waiting))?;
        Ok(Self { database, jobs: Some(jobs), writer: Some(writer) })
    }

    /// The format number that the folder was written with.
    pub(super) fn format(&self) -> Outcome<u64> {
        let transaction = self.database().begin_read()?;
        Ok(transaction.open_table(META)?.get("format")?.map_or(0, |number| number.value()))
    }

    fn database(&self) -> Arc<Database> {
        Arc::clone(&self.database.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Looks at the index as it is now.
    pub(super) fn snapshot(&self) -> Outcome<Snapshot> {
        Ok(Snapshot(self.database().begin_read()?))
    }

    /// Runs `work` in a write transaction and answers when it is durable. If `work` refuses, it must not have written.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Tables<'_>) -> Outcome<T> + Send + 'static,
    ) -> S3Result<T> {
        let (answer, waiting) = oneshot::channel::<S3Result<T>>();
        let job: Job = Box::new(move |tables| {
            let outcome = match tables {
                Ok(tables) => work(tables),
                Err(trouble) => {
                    // A client that has left does not care, here and below.
                    let _ = answer.send(Err(trouble.error()));
                    return None;
                }
            };
            let broke = match &outcome {
                Ok(_) | Err(Fault::Refused(_)) => None,
                Err(fault) => Some(fault.trouble()),
            };
            let wrote = outcome.is_ok();
            let reply: Reply = Box::new(move |trouble| {
                let result = trouble.map_or_else(|| outcome.map_err(Into::into), |trouble| Err(trouble.error()));
                let _ = answer.send(result);
            });
            Some(Step { wrote, broke, reply })
        });
        let gone = || Trouble::new("the index has stopped").error();
        let jobs = self.jobs.as_ref().ok_or_else(gone)?;
        jobs.send(job).map_err(|_| gone())?;
        waiting.await.map_err(|_| gone())?
    }
}

impl Drop for Index {
    /// Waits for the writer, so that the folder is free when the index is gone.
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }
}

impl Tables<'_> {
    fn open(transaction: &WriteTransaction) -> Result<Tables<'_>, TableError> {
        Ok(Tables {
            buckets: transaction.open_table(BUCKETS)?,
            settings: transaction.open_table(SETTINGS)?,
            current: transaction.open_table(CURRENT)?,
            noncurrent: transaction.open_table(NONCURRENT)?,
            uploads: transaction.open_table(UPLOADS)?,
            parts: transaction.open_table(PARTS)?,
            finished: transaction.open_table(FINISHED)?,
            bodies: transaction.open_table(BODIES)?,
            files: transaction.open_table(FILES)?,
            shares: transaction.open_table(SHARES)?,
            adopted: Vec::new(),
            released: Vec::new(),
        })
    }

    /// Takes over a sealed blob file: it stays if the transaction is committed and goes if not.
    pub(super) fn adopt(&mut self, blob: PendingBlob) -> Outcome<()> {
        self.files.insert(blob.id().0, ())?;
        self.adopted.push(blob);
        Ok(())
    }

    /// Forgets a blob file: it is removed once the transaction is committed.
    pub(super) fn release_file(&mut self, id: BlobId) -> Outcome<()> {
        self.files.remove(id.0)?;
        self.released.push(id);
        Ok(())
    }
}

macro_rules! snapshot_tables {
    ($($name:ident: $definition:ident, $key:ty, $value:ty;)*) => {
        impl Snapshot {
            $(pub(super) fn $name(&self) -> Outcome<Rows<$key, $value>> {
                Ok(self.0.open_table($definition)?)
            })*
        }
    };
}

snapshot_tables! {
    buckets: BUCKETS, &'static str, Bytes;
    settings: SETTINGS, (&'static str, &'static str), Bytes;
    current: CURRENT, Bytes, Bytes;
    noncurrent: NONCURRENT, (Bytes, u64), Bytes;
    uploads: UPLOADS, (Bytes, &'static str), Bytes;
    parts: PARTS, (&'static str, u16), Bytes;
    bodies: BODIES, u128, Bytes;
    files: FILES, u128, ();
}

fn open_database(path: &Path) -> Outcome<Database> {
    let mut builder = Database::builder();
    builder.set_concurrency_mode(ConcurrencyMode::MultiWriter).set_cache_size(CACHE_BYTES);
    Ok(builder.create(path)?)
}

/// Makes the tables of a new index; writes nothing to one that has them.
fn prepare(database: &Database) -> Outcome<()> {
    // All tables are made by one commit, so one of them tells of all.
    match database.begin_read()?.open_table(META) {
        Ok(_) => return Ok(()),
        Err(TableError::TableDoesNotExist(_)) => {}
        Err(error) => return Err(error.into()),
    }
    let transaction = database.begin_write()?;
    drop(Tables::open(&transaction)?);
    transaction.open_table(META)?.insert("format", FORMAT)?;
    transaction.commit()?;
    Ok(())
}

/// The thread that writes.
struct Writer {
    path: PathBuf,
    database: Shared,
    blobs: Blobs,
}

impl Writer {
    fn run(&self, waiting: &Receiver<Job>) {
        while let Ok(first) = waiting.recv() {
            let batch: Vec<Job> = std::iter::once(first).chain(waiting.try_iter().take(BATCH - 1)).collect();
            self.commit(batch);
        }
    }

    fn commit(&self, batch: Vec<Job>) {
        let mut replies = Vec::with_capacity(batch.len());
        let trouble = self.transact(batch, &mut replies).err();
        if trouble.is_some() {
            self.reopen();
        }
        for reply in replies {
            reply(trouble.as_ref());
        }
    }

    fn transact(&self, batch: Vec<Job>, replies: &mut Vec<Reply>) -> Result<(), Trouble> {
        let database = Arc::clone(&self.database.read().unwrap_or_else(PoisonError::into_inner));
        let refuse_all = |fault: Fault, batch: Vec<Job>| {
            let trouble = fault.trouble();
            batch.into_iter().for_each(|job| drop(job(Err(&trouble))));
            Err(trouble)
        };
        let transaction = match database.begin_write() {
            Ok(transaction) => transaction,
            Err(error) => return refuse_all(error.into(), batch),
        };
        let mut tables = match Tables::open(&transaction) {
            Ok(tables) => tables,
            Err(error) => return refuse_all(error.into(), batch),
        };
        let (mut wrote, mut broke) = (false, None);
        for step in batch.into_iter().filter_map(|job| job(Ok(&mut tables))) {
            wrote |= step.wrote;
            broke = broke.or(step.broke);
            replies.push(step.reply);
        }
        let (adopted, released) = (std::mem::take(&mut tables.adopted), std::mem::take(&mut tables.released));
        drop(tables);
        if !wrote || broke.is_some() {
            let aborted = transaction.abort().map_err(|error| Fault::from(error).trouble());
            // What broke the transaction says more than that it then could not be undone in order.
            return broke.map_or(aborted, Err);
        }
        transaction.commit().map_err(|error| Fault::from(error).trouble())?;
        adopted.into_iter().for_each(PendingBlob::keep);
        released.into_iter().for_each(|id| self.blobs.remove(id));
        Ok(())
    }

    /// After an I/O error the database answers nothing until it is opened anew.
    fn reopen(&self) {
        match open_database(&self.path) {
            Ok(fresh) => *self.database.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(fresh),
            Err(error) => tracing::warn!(%error, "the index could not be opened again"),
        }
    }
}
