//! The hash cache on disk: what earlier runs learned about the files of one source and their objects in one target.
//!
//! # Life of a cache
//!
//! 1. [`CachePlace::read`] opens the file, and [`CacheReader::lookup`] merges it with the walk: both go through the
//!    paths in byte order, so a million rows need the memory of one block, and one bit for each row that was met.
//! 2. Whatever is learned on the way, by reading files or by sending them, goes to [`Learner::learn`] in any order.
//! 3. [`Learner::save`] merges what was learned into the file that is there *then*, and renames the result over it. A run
//!    that learned nothing writes nothing, so a second sync without changes only reads.
//!
//! # What is kept
//!
//! A row that nothing new was learned about stays. So a run that was killed, that had filters, that was one shard of
//! many, or that could not read a folder, forgets nothing, and a run that is saved halfway loses nothing of what it learned
//! so far. Rows of files that are gone do no harm, since a row is only used for a file at its path; they go when a
//! later save learns that the walk passed their place and did not meet them, *and* the caller says that the walk would
//! have met them. If another process saved in between, that knowledge is about a file that is no longer there, and
//! nothing is forgotten.
//!
//! # Several processes, crashes, damage
//!
//! There is no lock. The file is never changed in place: a reader goes on with the one it opened, and of two savers the
//! last rename wins. What the other learned is then learned again; every row is a statement about content that stands
//! by itself, so no mixture of runs can be wrong.
//!
//! The file is a header block and blocks of rows, each with a checksum over its content, its place and the identity of the
//! cache. The first block that is not what was written ends the cache: all before it counts, all behind it is absent,
//! and is there again after the next save. The same goes for a cache of another version, source or target, and for one
//! that others than the user could have written.
//!
//! # Format of a row
//!
//! All numbers are LEB128, signed ones zigzag. Each row is relative to the one before in its block: length of the path's
//! start that is the same, length of its rest, the rest, size, mtime less the former mtime, ctime less mtime, inode less
//! the former inode, flags that say what follows, ETag, CRC-64/NVME, MD5.
#![expect(clippy::disallowed_methods, reason = "this is the file edge")]

use super::blocks::{Block, checksum, put_number, put_signed, read_block, take_bytes, take_number, take_signed};
use super::replace::replace_file;
use super::spill::{Sorted, Sorter, SpillError};
use crate::model::{BucketName, Fingerprint, PackedETag, Prefix, Remembered};
use rustix::fs::OFlags;
use std::cmp::Ordering;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// The first bytes of the header block's payload. The number is that of the format.
const MAGIC: &[u8] = b"bucketwright hash cache 1\n";

/// The header's checksum starts with this, the rows' with the identity.
const HEADER_SALT: u64 = u64::from_le_bytes(*b"hashes 1");

/// A block is written once it has this many bytes.
const BLOCK_BYTES: usize = 64 * 1024;

/// Where the cache of one source and one target is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CachePlace {
    path: PathBuf,
    identity: Vec<u8>,
    /// Distinguishes the blocks of this cache from those of all others.
    salt: u64,
}

/// Why nothing could be saved. The former cache is as it was.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// There was no room for what was learned.
    #[error(transparent)]
    Spill(#[from] SpillError),
    /// The new file could not be written.
    #[error("cannot write the hash cache `{path}`")]
    Write {
        /// The cache.
        path: String,
        /// What the system said.
        source: io::Error,
    },
}

/// What one save did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Saved {
    /// Rows that the file holds now; 0 if it was not written because nothing had been learned.
    pub rows: u64,
    /// Rows that are new, or replace others of their path.
    pub learned: u64,
    /// Rows of files that are gone.
    pub forgotten: u64,
}

impl CachePlace {
    /// The cache in `folder` for the file or directory `source` and the objects below `prefix` of `bucket`.
    ///
    /// `endpoint` is whatever tells two services apart whose buckets may have the same name: the URL, or the folder of
    /// an embedded endpoint; empty for AWS, where a bucket's name is enough. Two paths to one source are one source.
    pub fn new(folder: &Path, source: &Path, endpoint: &str, bucket: &BucketName, prefix: &Prefix) -> Self {
        let real = std::fs::canonicalize(source).unwrap_or_else(|_| source.to_owned());
        let mut identity = Vec::new();
        for part in
            [real.as_os_str().as_bytes(), endpoint.as_bytes(), bucket.as_str().as_bytes(), prefix.as_str().as_bytes()]
        {
            put_number(&mut identity, part.len() as u64);
            identity.extend_from_slice(part);
        }
        let salt = checksum(HEADER_SALT, &identity);
        Self { path: folder.join("hashes").join(format!("{salt:016x}")), identity, salt }
    }

    /// The cache's file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens the cache to be merged with a walk. Without one, or with one that cannot be used, every lookup is a miss.
    pub fn read(&self) -> CacheReader {
        let rows = self.open();
        CacheReader { rows, row_is_current: false, visited: 0, seen: Vec::new() }
    }

    /// Takes what the run learns; about `budget_bytes` of it are held in memory, the rest in a file in `spill_folder`.
    pub fn learner(&self, spill_folder: &Path, budget_bytes: usize) -> Learner {
        let sorter = Sorter::new(spill_folder, budget_bytes);
        Learner { place: self.clone(), spill_folder: spill_folder.to_owned(), budget_bytes, learned: Ok(sorter) }
    }

    fn open(&self) -> Option<Rows> {
        // A link or a FIFO in its place is not ours.
        let flags = i32::try_from((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits()).ok()?;
        let file = OpenOptions::new().read(true).custom_flags(flags).open(&self.path).ok()?;
        let metadata = file.metadata().ok()?;
        let owner = rustix::process::geteuid().as_raw();
        if !metadata.is_file() || metadata.uid() != owner || metadata.mode() & 0o022 != 0 {
            return None;
        }
        let (end, mut payload) = (metadata.len(), Vec::new());
        let at = read_block(&file, 0, end, HEADER_SALT, &mut payload).ok()?;
        if payload.strip_prefix(MAGIC)? != self.identity {
            return None;
        }
        payload.clear();
        Some(Rows { file, salt: self.salt, at, end, block: payload, place: 0, row: Row::default() })
    }
}

/// A file as a row knows it, and what the row says about it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Row {
    path: Vec<u8>,
    file: Stamp,
    remembered: Remembered,
}

impl Default for Row {
    fn default() -> Self {
        let remembered = Remembered { etag: PackedETag::Md5([0; 16]), crc64nvme: None, md5: None };
        Self { path: Vec::new(), file: Stamp::default(), remembered }
    }
}

/// What must be the same of a file. Times that 64 bits of nanoseconds cannot hold, before 1677 or after 2262, have none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Stamp {
    size_bytes: u64,
    mtime_ns: i64,
    ctime_ns: i64,
    inode: u64,
}

impl Stamp {
    fn of(file: &Fingerprint) -> Option<Self> {
        let (mtime_ns, ctime_ns) = (file.mtime_ns.try_into().ok()?, file.ctime_ns.try_into().ok()?);
        Some(Self { size_bytes: file.size_bytes, mtime_ns, ctime_ns, inode: file.inode })
    }
}

const ETAG_MD5: u8 = 1;
const ETAG_PARTS: u8 = 2;
const HAS_CRC: u8 = 4;
const HAS_MD5: u8 = 8;
/// The MD5 is the ETag's.
const MD5_IS_ETAG: u8 = 16;

/// Writes a row that follows `before`.
fn put_row(out: &mut Vec<u8>, before: &Row, row: &Row) {
    let shared = before.path.iter().zip(&row.path).take_while(|(before, now)| before == now).count();
    put_number(out, shared as u64);
    put_number(out, (row.path.len() - shared) as u64);
    out.extend_from_slice(&row.path[shared..]);
    put_stamp(out, &before.file, &row.file);
    put_remembered(out, &row.remembered);
}

/// Turns `row`, the one before, into the next. `None` if there is no sound row, or one that is not in order.
fn take_row(bytes: &mut &[u8], row: &mut Row) -> Option<()> {
    let shared = usize::try_from(take_number(bytes)?).ok()?;
    let length = take_number(bytes)?;
    let rest = take_bytes(bytes, length)?;
    if rest <= row.path.get(shared..)? {
        return None;
    }
    row.path.truncate(shared);
    row.path.extend_from_slice(rest);
    row.file = take_stamp(bytes, &row.file)?;
    row.remembered = take_remembered(bytes)?;
    Some(())
}

fn put_stamp(out: &mut Vec<u8>, before: &Stamp, file: &Stamp) {
    put_number(out, file.size_bytes);
    put_signed(out, file.mtime_ns.wrapping_sub(before.mtime_ns));
    put_signed(out, file.ctime_ns.wrapping_sub(file.mtime_ns));
    put_signed(out, file.inode.wrapping_sub(before.inode).cast_signed());
}

fn take_stamp(bytes: &mut &[u8], before: &Stamp) -> Option<Stamp> {
    let size_bytes = take_number(bytes)?;
    let mtime_ns = before.mtime_ns.wrapping_add(take_signed(bytes)?);
    let ctime_ns = mtime_ns.wrapping_add(take_signed(bytes)?);
    let inode = before.inode.wrapping_add(take_signed(bytes)?.cast_unsigned());
    Some(Stamp { size_bytes, mtime_ns, ctime_ns, inode })
}

fn put_remembered(out: &mut Vec<u8>, Remembered { etag, crc64nvme, md5 }: &Remembered) {
    let kind = match etag {
        PackedETag::Text(_) => 0,
        PackedETag::Md5(_) => ETAG_MD5,
        PackedETag::Parts(..) => ETAG_PARTS,
    };
    let md5_flag = match (md5, etag) {
        (None, _) => 0,
        (Some(md5), PackedETag::Md5(etag)) if md5 == etag => MD5_IS_ETAG,
        (Some(_), _) => HAS_MD5,
    };
    out.push(kind | md5_flag | if crc64nvme.is_some() { HAS_CRC } else { 0 });
    match etag {
        PackedETag::Md5(digest) => out.extend_from_slice(digest),
        PackedETag::Parts(digest, count) => {
            out.extend_from_slice(digest);
            put_number(out, u64::from(*count));
        }
        PackedETag::Text(text) => {
            put_number(out, text.len() as u64);
            out.extend_from_slice(text.as_bytes());
        }
    }
    if let Some(crc) = crc64nvme {
        out.extend_from_slice(&crc.to_le_bytes());
    }
    if let (HAS_MD5, Some(md5)) = (md5_flag, md5) {
        out.extend_from_slice(md5);
    }
}

fn take_remembered(bytes: &mut &[u8]) -> Option<Remembered> {
    let (flags, rest) = bytes.split_first()?;
    *bytes = rest;
    let digest = |bytes: &mut &[u8]| take_bytes(bytes, 16)?.try_into().ok();
    let etag = match flags & (ETAG_MD5 | ETAG_PARTS) {
        0 => {
            let length = take_number(bytes)?;
            PackedETag::Text(std::str::from_utf8(take_bytes(bytes, length)?).ok()?.into())
        }
        ETAG_MD5 => PackedETag::Md5(digest(bytes)?),
        ETAG_PARTS => PackedETag::Parts(digest(bytes)?, u32::try_from(take_number(bytes)?).ok()?),
        _ => return None,
    };
    let crc64nvme = match flags & HAS_CRC {
        0 => None,
        _ => Some(u64::from_le_bytes(take_bytes(bytes, 8)?.try_into().ok()?)),
    };
    let md5 = match (flags & (HAS_MD5 | MD5_IS_ETAG), &etag) {
        (0, _) => None,
        (HAS_MD5, _) => Some(digest(bytes)?),
        (MD5_IS_ETAG, PackedETag::Md5(etag)) => Some(*etag),
        _ => return None,
    };
    Some(Remembered { etag, crc64nvme, md5 })
}

/// The rows of a file in order, up to its end or the first damage.
#[derive(Debug)]
struct Rows {
    file: File,
    salt: u64,
    at: u64,
    end: u64,
    block: Vec<u8>,
    place: usize,
    /// The row at hand, or what the next one is relative to.
    row: Row,
}

impl Rows {
    /// Goes to the next row; `None` at the end.
    fn advance(&mut self) -> Option<()> {
        let advanced = self.try_advance();
        if advanced.is_none() {
            (self.at, self.place) = (self.end, self.block.len());
        }
        advanced
    }

    fn try_advance(&mut self) -> Option<()> {
        if self.place == self.block.len() {
            let salt = self.salt.wrapping_add(self.at);
            self.at = read_block(&self.file, self.at, self.end, salt, &mut self.block).ok()?;
            self.place = 0;
            let last = std::mem::take(&mut self.row).path;
            self.take()?;
            // The first row of a block is written whole, so its order is checked here.
            return (last < self.row.path).then_some(());
        }
        self.take()
    }

    fn take(&mut self) -> Option<()> {
        let mut rest = &self.block[self.place..];
        take_row(&mut rest, &mut self.row)?;
        self.place = self.block.len() - rest.len();
        Some(())
    }
}

/// Looks files up in the order of their paths.
#[derive(Debug)]
pub struct CacheReader {
    rows: Option<Rows>,
    row_is_current: bool,
    /// How many rows were gone through, the current one included.
    visited: u64,
    /// One bit for each row whose path was looked up.
    seen: Vec<u64>,
}

/// Which rows a walk met, for [`Learner::save`].
#[derive(Debug)]
pub struct Visited {
    /// The file that the bits are about; open, so that no other can get its inode.
    file: Option<File>,
    seen: Vec<u64>,
}

impl CacheReader {
    /// What is remembered of the file with this relative path, if its size, mtime, ctime and inode are as remembered.
    ///
    /// Paths must be asked for in ascending order of their bytes; one that comes too late is a miss.
    pub fn lookup(&mut self, relative: &str, file: &Fingerprint) -> Option<Remembered> {
        let rows = self.rows.as_mut()?;
        loop {
            if self.row_is_current {
                match rows.row.path.as_slice().cmp(relative.as_bytes()) {
                    Ordering::Less => {}
                    Ordering::Equal => break,
                    Ordering::Greater => return None,
                }
            }
            self.row_is_current = rows.advance().is_some();
            if !self.row_is_current {
                return None;
            }
            self.visited += 1;
        }
        let bit = self.visited - 1;
        let word = usize::try_from(bit / 64).ok()?;
        if self.seen.len() <= word {
            self.seen.resize(word + 1, 0);
        }
        self.seen[word] |= 1 << (bit % 64);
        (Stamp::of(file)? == rows.row.file).then(|| rows.row.remembered.clone())
    }

    /// Ends the merge. Rows whose paths were never asked for may be forgotten at the next save.
    pub fn finish(self) -> Visited {
        Visited { file: self.rows.map(|rows| rows.file), seen: self.seen }
    }
}

impl Visited {
    /// A run that cannot say what is gone, because it did not come to its end.
    pub const fn nothing() -> Self {
        Self { file: None, seen: Vec::new() }
    }

    fn is_about(&self, other: &File) -> bool {
        let identity = |file: &File| file.metadata().map(|metadata| (metadata.dev(), metadata.ino())).ok();
        self.file.as_ref().and_then(identity).is_some_and(|own| Some(own) == identity(other))
    }

    fn has(&self, row: u64) -> bool {
        let word = usize::try_from(row / 64).ok().and_then(|word| self.seen.get(word));
        word.is_some_and(|word| word & (1 << (row % 64)) != 0)
    }
}

/// Gathers what a run learns and writes it down.
#[derive(Debug)]
pub struct Learner {
    place: CachePlace,
    spill_folder: PathBuf,
    budget_bytes: usize,
    /// The first failure ends the learning; a run does not stop for it.
    learned: Result<Sorter, SpillError>,
}

impl Learner {
    /// Takes what was learned about a file, in any order; of two rows for one path the later counts.
    ///
    /// The caller has made sure that the file was at rest when it was read. Never fails: what fails is told by `save`.
    pub fn learn(&mut self, relative: &str, file: &Fingerprint, remembered: &Remembered) {
        let (Ok(sorter), Some(file)) = (&mut self.learned, Stamp::of(file)) else { return };
        let mut value = Vec::with_capacity(64);
        put_stamp(&mut value, &Stamp::default(), &file);
        put_remembered(&mut value, remembered);
        if let Err(error) = sorter.push(relative.as_bytes(), &value) {
            self.learned = Err(error);
        }
    }

    /// Writes what was learned since the last save into the cache that is there now; blocks. Writes nothing if that is
    /// nothing.
    ///
    /// A row whose path `visited` did not see is dropped if `may_forget` says so: false for all after a run that did not
    /// see the whole source, else true for the paths that its filters and its shard let through.
    pub fn save(&mut self, visited: &Visited, may_forget: impl Fn(&str) -> bool) -> Result<Saved, CacheError> {
        let fresh = Sorter::new(&self.spill_folder, self.budget_bytes);
        let sorter = std::mem::replace(&mut self.learned, Ok(fresh))?;
        if sorter.is_empty() {
            return Ok(Saved::default());
        }
        let rows = self.place.open();
        let forgets = rows.as_ref().is_some_and(|rows| visited.is_about(&rows.file));
        let mut merge =
            Merge { rows, row: 0, row_is_current: false, learned: sorter.finish()?, saved: Saved::default() };
        let path = &self.place.path;
        let written = make_private_folder(path).and_then(|()| {
            replace_file(path, |out| {
                let mut writer = RowWriter::new(out, &self.place)?;
                let keep = |number, path: &[u8]| {
                    !forgets || visited.has(number) || std::str::from_utf8(path).is_ok_and(|path| !may_forget(path))
                };
                merge.write(&mut writer, keep)?;
                writer.flush()
            })
        });
        written.map_err(|source| CacheError::Write { path: path.display().to_string(), source })?;
        Ok(merge.saved)
    }
}

fn make_private_folder(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |folder| DirBuilder::new().recursive(true).mode(0o700).create(folder))
}

/// The rows that are there, and what was learned.
struct Merge {
    rows: Option<Rows>,
    /// The number of the current row.
    row: u64,
    row_is_current: bool,
    learned: Sorted,
    saved: Saved,
}

impl Merge {
    fn write(&mut self, writer: &mut RowWriter<'_>, keep: impl Fn(u64, &[u8]) -> bool) -> io::Result<()> {
        self.row_is_current = self.rows.as_mut().and_then(Rows::advance).is_some();
        while let Some(record) = self.learned.next() {
            let record = record.map_err(io::Error::other)?;
            self.write_rows(writer, Some(record.key()), &keep)?;
            let mut value = record.value();
            let mut take = || Some((take_stamp(&mut value, &Stamp::default())?, take_remembered(&mut value)?));
            let (file, remembered) = take().ok_or(io::ErrorKind::InvalidData)?;
            writer.push(Row { path: record.key().to_vec(), file, remembered })?;
            self.saved.learned += 1;
            self.saved.rows += 1;
        }
        self.write_rows(writer, None, &keep)
    }

    /// Writes the former rows before `until`, and drops the one of that path.
    fn write_rows(
        &mut self,
        writer: &mut RowWriter<'_>,
        until: Option<&[u8]>,
        keep: &impl Fn(u64, &[u8]) -> bool,
    ) -> io::Result<()> {
        let Some(rows) = &mut self.rows else { return Ok(()) };
        while self.row_is_current && until.is_none_or(|until| rows.row.path.as_slice() <= until) {
            if until != Some(rows.row.path.as_slice()) {
                if keep(self.row, &rows.row.path) {
                    writer.push(rows.row.clone())?;
                    self.saved.rows += 1;
                } else {
                    self.saved.forgotten += 1;
                }
            }
            self.row += 1;
            self.row_is_current = rows.advance().is_some();
        }
        Ok(())
    }
}

struct RowWriter<'out> {
    out: &'out mut dyn io::Write,
    salt: u64,
    at: u64,
    block: Block,
    last: Row,
}

impl<'out> RowWriter<'out> {
    fn new(out: &'out mut dyn io::Write, place: &CachePlace) -> io::Result<Self> {
        let mut block = Block::default();
        block.payload().extend_from_slice(MAGIC);
        block.payload().extend_from_slice(&place.identity);
        let sealed = block.seal(HEADER_SALT)?;
        out.write_all(sealed)?;
        let at = sealed.len() as u64;
        block.clear();
        Ok(Self { out, salt: place.salt, at, block, last: Row::default() })
    }

    fn push(&mut self, row: Row) -> io::Result<()> {
        put_row(self.block.payload(), &self.last, &row);
        self.last = row;
        if self.block.len() >= BLOCK_BYTES { self.flush() } else { Ok(()) }
    }

    /// Writes the block, if there is anything in it.
    fn flush(&mut self) -> io::Result<()> {
        if self.block.len() == 0 {
            return Ok(());
        }
        let sealed = self.block.seal(self.salt.wrapping_add(self.at))?;
        self.out.write_all(sealed)?;
        self.at += sealed.len() as u64;
        self.block.clear();
        self.last = Row::default();
        Ok(())
    }
}

#[cfg(test)]
mod tests;
