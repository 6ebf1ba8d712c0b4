//! A place for bytes that come before they are wanted, and that are too many to hold in memory.

use super::SpillError;
use super::blocks::{Block, read_block};
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// A temporary file without a name. Room that was used is not used again before the file goes.
#[derive(Debug)]
pub struct Overflow {
    folder: PathBuf,
    file: File,
    end: AtomicU64,
}

/// What was put, and where.
#[derive(Debug)]
pub struct Ticket {
    start: u64,
    end: u64,
}

impl Overflow {
    /// A file in `folder`.
    pub fn new(folder: &Path) -> Result<Self, SpillError> {
        let file = tempfile::tempfile_in(folder).map_err(|error| SpillError::new(folder, error))?;
        Ok(Self { folder: folder.to_owned(), file, end: AtomicU64::new(0) })
    }

    /// Writes bytes down; blocks. Any thread may do so.
    pub fn put(&self, bytes: &[u8]) -> Result<Ticket, SpillError> {
        let failed = |error| SpillError::new(&self.folder, error);
        let mut block = Block::default();
        block.payload().extend_from_slice(bytes);
        let length = block.payload().len() as u64;
        let start = self.end.fetch_add(length, Ordering::Relaxed);
        self.file.write_all_at(block.seal(start).map_err(failed)?, start).map_err(failed)?;
        Ok(Ticket { start, end: start + length })
    }

    /// Reads back what was put; blocks.
    pub fn take(&self, ticket: &Ticket) -> Result<Vec<u8>, SpillError> {
        let mut bytes = Vec::new();
        read_block(&self.file, ticket.start, ticket.end, ticket.start, &mut bytes)
            .map_err(|error| SpillError::new(&self.folder, error))?;
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::Overflow;
    use crate::local::SpillError;

    #[test]
    fn bytes_come_back_in_any_order_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let overflow = Overflow::new(folder.path()).unwrap();
        let first = overflow.put(b"first").unwrap();
        let second = overflow.put(b"").unwrap();
        let third = overflow.put(&[3; 100_000]).unwrap();
        assert_eq!(overflow.take(&third).unwrap(), [3; 100_000]);
        assert_eq!(overflow.take(&second).unwrap(), b"");
        assert_eq!(overflow.take(&first).unwrap(), b"first");
        overflow.file.set_len(1000).unwrap();
        assert!(matches!(overflow.take(&third), Err(SpillError::Damaged { .. })));
    }
}
