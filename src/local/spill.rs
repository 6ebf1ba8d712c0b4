//! Sorts records that may not fit in memory: what exceeds a budget goes to a temporary file in sorted runs, and the runs
//! are merged on the way out.
//!
//! Two things come in an order that is not theirs: listings of services that do not sort, and what a run learns from
//! uploads that end when they end. If all of it fits, nothing is written and the cost is that of sorting a vector.
//!
//! The file has no name, so nothing stays behind however the process ends. All runs share it, so a sort needs one file
//! descriptor whatever its size. Runs are merged in groups before there are too many to read side by side.

use super::blocks::{Block, put_number, read_block, take_bytes, take_number};
use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

/// So many runs are read side by side.
const WIDTH: usize = 64;

/// Larger blocks do not read faster.
const MOST_BLOCK_BYTES: usize = 64 * 1024;

/// Smaller blocks cost more in checksums and system calls than they save.
const LEAST_BLOCK_BYTES: usize = 512;

/// Why a sort ended without an answer.
#[derive(Debug, thiserror::Error)]
pub enum SpillError {
    /// The disk or the quota is full.
    #[error("there is no room left in `{folder}` to sort in: free some, or set TMPDIR to a larger disk")]
    Full {
        /// Where the temporary file is.
        folder: String,
        /// What the system said.
        source: io::Error,
    },
    /// The temporary file could not be made, written or read.
    #[error("cannot sort in `{folder}`")]
    Failed {
        /// Where the temporary file is.
        folder: String,
        /// What the system said.
        source: io::Error,
    },
    /// What came back is not what was written: a failing disk, or somebody else wrote there.
    #[error("the temporary file in `{folder}` does not hold what was written to it")]
    Damaged {
        /// Where the temporary file is.
        folder: String,
    },
}

impl SpillError {
    pub(super) fn new(folder: &Path, source: io::Error) -> Self {
        let folder = folder.display().to_string();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
                Self::Full { folder, source }
            }
            io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => Self::Damaged { folder },
            _ => Self::Failed { folder, source },
        }
    }
}

/// A key and what was pushed with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    bytes: Vec<u8>,
    key_bytes: usize,
}

impl Record {
    /// What the record is sorted by.
    pub fn key(&self) -> &[u8] {
        &self.bytes[..self.key_bytes]
    }

    /// What else was pushed.
    pub fn value(&self) -> &[u8] {
        &self.bytes[self.key_bytes..]
    }
}

/// Takes records in any order.
#[derive(Debug)]
pub struct Sorter {
    folder: PathBuf,
    /// The buffer may fill this much; the other half of the budget is for reading runs.
    room_bytes: usize,
    block_bytes: usize,
    width: usize,
    buffer: Buffer,
    spilled: Option<Spilled>,
}

/// What has not been written yet, keys and values in the order in which they came.
#[derive(Debug, Default)]
struct Buffer {
    bytes: Vec<u8>,
    places: Vec<Place>,
}

#[derive(Debug, Clone, Copy)]
struct Place {
    start: usize,
    key_bytes: u32,
    value_bytes: u32,
}

/// What has been written: runs in the order in which they were pushed, each sorted and without duplicates.
#[derive(Debug)]
struct Spilled {
    file: File,
    end: u64,
    runs: Vec<Run>,
}

#[derive(Debug, Clone, Copy)]
struct Run {
    start: u64,
    end: u64,
    /// How often its records have been merged.
    level: u32,
}

impl Sorter {
    /// A sorter that holds about `budget_bytes` in memory, and writes to a file in `folder` once that is used up.
    pub fn new(folder: &Path, budget_bytes: usize) -> Self {
        Self::with_width(folder, budget_bytes, WIDTH)
    }

    fn with_width(folder: &Path, budget_bytes: usize, width: usize) -> Self {
        let block_bytes = (budget_bytes / 2 / (2 * width)).clamp(LEAST_BLOCK_BYTES, MOST_BLOCK_BYTES);
        let (buffer, room_bytes) = (Buffer::default(), budget_bytes / 2);
        Self { folder: folder.to_owned(), room_bytes, block_bytes, width, buffer, spilled: None }
    }

    /// True if nothing was pushed yet.
    pub const fn is_empty(&self) -> bool {
        self.buffer.places.is_empty() && self.spilled.is_none()
    }

    /// Takes a record. Of two with one key the later one counts.
    pub fn push(&mut self, key: &[u8], value: &[u8]) -> Result<(), SpillError> {
        let length = |bytes: &[u8]| {
            u32::try_from(bytes.len())
                .map_err(|_| SpillError::new(&self.folder, io::Error::from(io::ErrorKind::FileTooLarge)))
        };
        let place = Place { start: self.buffer.bytes.len(), key_bytes: length(key)?, value_bytes: length(value)? };
        let needed = key.len() + value.len() + size_of::<Place>();
        if !self.buffer.places.is_empty() && self.buffer.used_bytes() + needed > self.room_bytes {
            self.spill()?;
            return self.push(key, value);
        }
        self.buffer.places.push(place);
        self.buffer.bytes.extend_from_slice(key);
        self.buffer.bytes.extend_from_slice(value);
        Ok(())
    }

    /// All records in the order of their keys' bytes, each key once.
    pub fn finish(mut self) -> Result<Sorted, SpillError> {
        let mut sources = Vec::new();
        let mut file = None;
        if let Some(spilled) = self.spilled.take() {
            sources.extend(spilled.runs.iter().map(|run| Source::Run(RunReader::new(*run))));
            file = Some(spilled.file);
        }
        self.buffer.sort();
        sources.push(Source::Buffer(self.buffer.bytes, self.buffer.places.into_iter()));
        let merge = Merge::new(sources, file.as_ref()).map_err(|error| SpillError::new(&self.folder, error))?;
        Ok(Sorted { folder: self.folder, file, merge: Some(merge) })
    }

    /// Writes the buffer as a run, and merges the last runs if that makes too many.
    fn spill(&mut self) -> Result<(), SpillError> {
        let failed = |error| SpillError::new(&self.folder, error);
        let spilled = match &mut self.spilled {
            Some(spilled) => spilled,
            none => {
                let file = tempfile::tempfile_in(&self.folder).map_err(failed)?;
                none.insert(Spilled { file, end: 0, runs: Vec::new() })
            }
        };
        self.buffer.sort();
        let mut writer = RunWriter::new(&spilled.file, spilled.end, self.block_bytes);
        for place in &self.buffer.places {
            let (key, value) = self.buffer.record(place);
            writer.push(key, value).map_err(failed)?;
        }
        let run = writer.finish(0).map_err(failed)?;
        self.buffer.places.clear();
        self.buffer.bytes.clear();
        spilled.add(run, self.width, self.block_bytes).map_err(failed)
    }
}

impl Buffer {
    fn used_bytes(&self) -> usize {
        self.bytes.len() + self.places.len() * size_of::<Place>()
    }

    fn record(&self, place: &Place) -> (&[u8], &[u8]) {
        record(&self.bytes, place)
    }

    /// Sorts, and keeps the last record of each key.
    fn sort(&mut self) {
        let bytes = &self.bytes;
        let key = |place: &Place| record(bytes, place).0;
        // Of two places with one start the empty record came first.
        let order = |place: &Place| (place.start, place.value_bytes);
        // Sorted input, the usual case, is found to be so in one pass.
        self.places.sort_unstable_by(|left, right| key(left).cmp(key(right)).then(order(left).cmp(&order(right))));
        self.places.dedup_by(|later, kept| {
            let same = key(later) == key(kept);
            if same {
                *kept = *later;
            }
            same
        });
    }
}

fn record<'bytes>(bytes: &'bytes [u8], place: &Place) -> (&'bytes [u8], &'bytes [u8]) {
    let end = place.start + place.key_bytes as usize + place.value_bytes as usize;
    bytes[place.start..end].split_at(place.key_bytes as usize)
}

impl Spilled {
    /// Adds a run. Whenever the last `width` runs are of one level they become one of the next, so that each record is
    /// written again only once a level.
    fn add(&mut self, run: Run, width: usize, block_bytes: usize) -> io::Result<()> {
        self.end = run.end;
        self.runs.push(run);
        while let Some(first) = self.runs.len().checked_sub(width)
            && self.runs[first..].iter().all(|other| other.level == self.runs[first].level)
        {
            let level = self.runs[first].level + 1;
            let sources = self.runs.drain(first..).map(|run| Source::Run(RunReader::new(run))).collect();
            let mut merge = Merge::new(sources, Some(&self.file))?;
            let mut writer = RunWriter::new(&self.file, self.end, block_bytes);
            while let Some(record) = merge.next_record(Some(&self.file))? {
                writer.push(record.key(), record.value())?;
            }
            let run = writer.finish(level)?;
            self.end = run.end;
            self.runs.push(run);
        }
        Ok(())
    }
}

struct RunWriter<'file> {
    file: &'file File,
    start: u64,
    at: u64,
    block: Block,
    block_bytes: usize,
}

impl<'file> RunWriter<'file> {
    fn new(file: &'file File, start: u64, block_bytes: usize) -> Self {
        Self { file, start, at: start, block: Block::default(), block_bytes }
    }

    fn push(&mut self, key: &[u8], value: &[u8]) -> io::Result<()> {
        if self.block.len() > 0 && self.block.len() + key.len() + value.len() > self.block_bytes {
            self.flush()?;
        }
        let payload = self.block.payload();
        put_number(payload, key.len() as u64);
        put_number(payload, value.len() as u64);
        payload.extend_from_slice(key);
        payload.extend_from_slice(value);
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        let sealed = self.block.seal(self.at)?;
        self.file.write_all_at(sealed, self.at)?;
        self.at += sealed.len() as u64;
        self.block.clear();
        Ok(())
    }

    fn finish(mut self, level: u32) -> io::Result<Run> {
        self.flush()?;
        Ok(Run { start: self.start, end: self.at, level })
    }
}

/// Reads one run block by block. Its end is known, so a block that is missing is noticed.
#[derive(Debug)]
struct RunReader {
    at: u64,
    end: u64,
    block: Vec<u8>,
    place: usize,
}

impl RunReader {
    const fn new(run: Run) -> Self {
        Self { at: run.start, end: run.end, block: Vec::new(), place: 0 }
    }

    fn next_record(&mut self, file: Option<&File>) -> io::Result<Option<Record>> {
        let damaged = || io::Error::from(io::ErrorKind::InvalidData);
        if self.place == self.block.len() {
            if self.at == self.end {
                return Ok(None);
            }
            let file = file.ok_or_else(damaged)?;
            self.at = read_block(file, self.at, self.end, self.at, &mut self.block)?;
            self.place = 0;
        }
        let mut rest = &self.block[self.place..];
        let mut take = || {
            let key_bytes = take_number(&mut rest)?;
            let value_bytes = take_number(&mut rest)?;
            let bytes = take_bytes(&mut rest, key_bytes.checked_add(value_bytes)?)?;
            Some(Record { bytes: bytes.to_vec(), key_bytes: usize::try_from(key_bytes).ok()? })
        };
        let record = take().ok_or_else(damaged)?;
        self.place = self.block.len() - rest.len();
        Ok(Some(record))
    }
}

#[derive(Debug)]
enum Source {
    Buffer(Vec<u8>, std::vec::IntoIter<Place>),
    Run(RunReader),
}

impl Source {
    fn next_record(&mut self, file: Option<&File>) -> io::Result<Option<Record>> {
        match self {
            Self::Run(reader) => reader.next_record(file),
            Self::Buffer(bytes, places) => Ok(places.next().map(|place| {
                let (key, value) = (place.key_bytes as usize, place.value_bytes as usize);
                Record { bytes: bytes[place.start..place.start + key + value].to_vec(), key_bytes: key }
            })),
        }
    }
}

/// The next record of a source, in the order of a heap whose greatest is wanted first: the smallest key, and of equal
/// keys the one that was pushed last.
#[derive(Debug, PartialEq, Eq)]
struct Head {
    record: Record,
    source: usize,
}

impl Ord for Head {
    fn cmp(&self, other: &Self) -> Ordering {
        other.record.key().cmp(self.record.key()).then(self.source.cmp(&other.source))
    }
}

impl PartialOrd for Head {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[derive(Debug)]
struct Merge {
    sources: Vec<Source>,
    heads: BinaryHeap<Head>,
    last_key: Option<Vec<u8>>,
}

impl Merge {
    /// Merges sources in the order in which their records were pushed.
    fn new(mut sources: Vec<Source>, file: Option<&File>) -> io::Result<Self> {
        let mut heads = BinaryHeap::with_capacity(sources.len());
        for (source, records) in sources.iter_mut().enumerate() {
            if let Some(record) = records.next_record(file)? {
                heads.push(Head { record, source });
            }
        }
        Ok(Self { sources, heads, last_key: None })
    }

    fn next_record(&mut self, file: Option<&File>) -> io::Result<Option<Record>> {
        loop {
            let Some(mut head) = self.heads.peek_mut() else { return Ok(None) };
            let record = match self.sources[head.source].next_record(file)? {
                Some(next) => std::mem::replace(&mut head.record, next),
                None => PeekMut::pop(head).record,
            };
            if self.sources.len() == 1 {
                return Ok(Some(record));
            }
            if self.last_key.as_deref() == Some(record.key()) {
                continue;
            }
            let last_key = self.last_key.get_or_insert_default();
            last_key.clear();
            last_key.extend_from_slice(record.key());
            return Ok(Some(record));
        }
    }
}

/// Sorted records. Ends after the first error.
#[derive(Debug)]
pub struct Sorted {
    folder: PathBuf,
    file: Option<File>,
    merge: Option<Merge>,
}

impl Iterator for Sorted {
    type Item = Result<Record, SpillError>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.merge.as_mut()?.next_record(self.file.as_ref());
        if !matches!(next, Ok(Some(_))) {
            self.merge = None;
        }
        next.map_err(|error| SpillError::new(&self.folder, error)).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::{Sorter, SpillError};
    use proptest::collection::vec;
    use proptest::prelude::{any, prop_assert_eq, proptest};
    use std::collections::BTreeMap;
    use std::os::unix::fs::FileExt as _;
    use std::path::Path;

    type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

    fn sorted(sorter: Sorter) -> Pairs {
        let records = sorter.finish().unwrap().map(Result::unwrap);
        records.map(|record| (record.key().to_vec(), record.value().to_vec())).collect()
    }

    proptest! {
        #[test]
        fn a_sorter_is_a_sorted_map(
            pushed in vec((vec(0_u8..4, 0..4), vec(any::<u8>(), 0..40)), 0..200),
            budget in 0_usize..4000,
            width in 2_usize..5,
        ) {
            let folder = tempfile::tempdir().unwrap();
            let mut sorter = Sorter::with_width(folder.path(), budget, width);
            for (key, value) in &pushed {
                sorter.push(key, value).unwrap();
            }
            prop_assert_eq!(sorter.is_empty(), pushed.is_empty());
            let expected: BTreeMap<_, _> = pushed.into_iter().collect();
            prop_assert_eq!(sorted(sorter), expected.into_iter().collect::<Pairs>());
        }
    }

    #[test]
    fn what_fits_touches_no_disk() {
        let mut sorter = Sorter::new(Path::new("/absent"), 100_000);
        for number in (0..1000_u32).rev() {
            sorter.push(&number.to_be_bytes(), b"").unwrap();
        }
        assert_eq!(sorted(sorter).len(), 1000);
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "the test looks into the folder")]
    fn memory_and_files_stay_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let mut sorter = Sorter::new(folder.path(), 64 * 1024);
        for number in 0..40_000_u32 {
            sorter.push(&number.wrapping_mul(2_654_435_761).to_be_bytes(), &[7; 60]).unwrap();
            assert!(sorter.buffer.used_bytes() <= 32 * 1024);
        }
        let spilled = sorter.spilled.as_ref().unwrap();
        assert!(spilled.runs.len() <= 2 * super::WIDTH, "{}", spilled.runs.len());
        assert!(spilled.runs.iter().any(|run| run.level > 0), "runs were merged");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "the file has no name");
        assert_eq!(sorted(sorter).len(), 40_000);
    }

    #[test]
    fn lost_and_changed_bytes_are_noticed() {
        let filled = || {
            let folder = tempfile::tempdir().unwrap();
            let mut sorter = Sorter::new(folder.path(), 2000);
            for number in 0..2000_u32 {
                sorter.push(&number.to_le_bytes(), &[1; 20]).unwrap();
            }
            sorter
        };
        let fails = |sorter: Sorter| {
            let mut records = match sorter.finish() {
                Ok(records) => records,
                Err(error) => return matches!(error, SpillError::Damaged { .. }),
            };
            let failed = records.by_ref().any(|record| matches!(record, Err(SpillError::Damaged { .. })));
            assert!(records.next().is_none(), "it ends after an error");
            failed
        };
        assert!(!fails(filled()));
        let cut = filled();
        let spilled = cut.spilled.as_ref().unwrap();
        spilled.file.set_len(spilled.runs.last().unwrap().end - 1).unwrap();
        assert!(fails(cut));
        let changed = filled();
        let spilled = changed.spilled.as_ref().unwrap();
        spilled.file.write_all_at(&[9], spilled.runs[0].start + 20).unwrap();
        assert!(fails(changed));
    }

    #[test]
    fn a_full_disk_has_a_name() {
        let full = std::io::Error::from(std::io::ErrorKind::StorageFull);
        let told = SpillError::new(Path::new("/tmp"), full).to_string();
        assert_eq!(told, "there is no room left in `/tmp` to sort in: free some, or set TMPDIR to a larger disk");
        let mut sorter = Sorter::new(Path::new("/absent"), 0);
        sorter.push(b"a", b"").unwrap();
        assert!(matches!(sorter.push(b"b", b""), Err(SpillError::Failed { .. })));
    }
}
