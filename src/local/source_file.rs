//! One file that is read in pieces, and that tells whether it changed meanwhile.
//!
//! A checksum proves that the bytes read arrived; it cannot prove that they ever were the file. Hence the guard: size,
//! times and identity of the open file before the first byte and after the last, and that the path still leads to it.
#![expect(clippy::disallowed_methods, reason = "this is the file edge")]

use crate::model::{Fingerprint, escaped};
use rustix::buffer::spare_capacity;
use rustix::fs::OFlags;
use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// An open regular file, with what it was when it was opened.
#[derive(Debug)]
pub struct SourceFile {
    file: File,
    path: PathBuf,
    fingerprint: Fingerprint,
}

/// Why a file could not be read whole.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// What was read may mix two states of the file. Two changes within one tick of the file system's clock that
    /// leave the size alone are not seen: that is the limit of the guard.
    #[error("`{0}` changed while it was read")]
    Changed(String),
    /// The path leads to something else than a regular file.
    #[error("`{0}` is not a regular file")]
    NotRegular(String),
    /// The system refused.
    #[error("cannot read `{path}`")]
    Unreadable {
        /// The file.
        path: String,
        /// What the system said.
        source: io::Error,
    },
}

impl SourceFile {
    /// Opens the file and remembers what it is. A FIFO in its place does not block, and a device is not read.
    pub fn open(path: &Path) -> Result<Self, ReadError> {
        let flags = i32::try_from((OFlags::NONBLOCK | OFlags::NOCTTY).bits()).unwrap_or_default();
        let unreadable = |source| ReadError::Unreadable { path: escaped(path), source };
        let file = OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(unreadable)?;
        let metadata = file.metadata().map_err(unreadable)?;
        if !metadata.is_file() {
            return Err(ReadError::NotRegular(escaped(path)));
        }
        Ok(Self { file, path: path.to_owned(), fingerprint: fingerprint_of(&metadata) })
    }

    /// Opens the file if it still is what `expected` says.
    pub fn open_unchanged(path: &Path, expected: &Fingerprint) -> Result<Self, ReadError> {
        let opened = Self::open(path)?;
        if opened.fingerprint == *expected { Ok(opened) } else { Err(ReadError::Changed(escaped(path))) }
    }

    /// What the file was when it was opened.
    pub const fn fingerprint(&self) -> &Fingerprint {
        &self.fingerprint
    }

    /// Fills `buffer` with the bytes from `offset` on, all or nothing; a file that has become shorter has changed.
    pub fn read(&self, offset: u64, buffer: &mut [u8]) -> Result<(), ReadError> {
        self.file.read_exact_at(buffer, offset).map_err(|source| match source.kind() {
            io::ErrorKind::UnexpectedEof => ReadError::Changed(escaped(&self.path)),
            _ => ReadError::Unreadable { path: escaped(&self.path), source },
        })
    }

    /// Reads on behind what `buffer` holds of the bytes from `offset` into its spare room; 0 at the end of the file.
    pub(super) fn read_some(&self, buffer: &mut Vec<u8>, offset: u64) -> Result<usize, ReadError> {
        let position = offset + buffer.len() as u64;
        rustix::io::retry_on_intr(|| rustix::io::pread(&self.file, spare_capacity(buffer), position))
            .map_err(|error| ReadError::Unreadable { path: escaped(&self.path), source: error.into() })
    }

    /// Says whether the file is still what it was when it was opened, and still where it was.
    pub fn check_unchanged(&self) -> Result<(), ReadError> {
        let unreadable = |source| ReadError::Unreadable { path: escaped(&self.path), source };
        let open = self.file.metadata().map_err(unreadable)?;
        let there = std::fs::metadata(&self.path).ok();
        let same = fingerprint_of(&open) == self.fingerprint
            && there.is_some_and(|there| fingerprint_of(&there) == self.fingerprint);
        if same { Ok(()) } else { Err(ReadError::Changed(escaped(&self.path))) }
    }
}

/// What the regular file at `path` is now.
pub fn fingerprint(path: &Path) -> Result<Fingerprint, ReadError> {
    SourceFile::open(path).map(|file| file.fingerprint)
}

/// What `metadata` says of a file's size, times and identity.
pub(super) fn fingerprint_of(metadata: &Metadata) -> Fingerprint {
    let nanoseconds = |seconds: i64, rest: i64| i128::from(seconds) * 1_000_000_000 + i128::from(rest);
    Fingerprint {
        size_bytes: metadata.len(),
        mtime_ns: nanoseconds(metadata.mtime(), metadata.mtime_nsec()),
        ctime_ns: nanoseconds(metadata.ctime(), metadata.ctime_nsec()),
        device: metadata.dev(),
        inode: metadata.ino(),
    }
}

#[cfg(test)]
mod tests {
    use super::{ReadError, SourceFile};
    use std::fs;
    use std::path::Path;
    use std::time::{Duration, UNIX_EPOCH};

    type Change = fn(&Path);

    fn changed(result: &Result<(), ReadError>) -> bool {
        matches!(result, Err(ReadError::Changed(_)))
    }

    #[test]
    fn reads_pieces_of_a_quiet_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, b"0123456789").unwrap();
        let file = SourceFile::open(&path).unwrap();
        assert_eq!(file.fingerprint().size_bytes, 10);
        let mut four = [0; 4];
        file.read(3, &mut four).unwrap();
        assert_eq!(&four, b"3456");
        file.read(10, &mut []).unwrap();
        assert!(matches!(file.read(8, &mut four), Err(ReadError::Changed(_))), "shorter than asked for");
        file.check_unchanged().unwrap();
        assert!(SourceFile::open_unchanged(&path, file.fingerprint()).is_ok());
    }

    #[test]
    fn every_kind_of_change_is_seen() {
        let changes: [(&str, Change); 5] = [
            ("appended", |path| fs::write(path, b"0123456789x").unwrap()),
            ("truncated", |path| fs::write(path, b"012").unwrap()),
            ("replaced by rename", |path| {
                let other = path.with_extension("new");
                fs::write(&other, b"0123456789").unwrap();
                fs::rename(&other, path).unwrap();
            }),
            ("removed", |path| fs::remove_file(path).unwrap()),
            ("rewritten with its old mtime", |path| {
                let before = fs::metadata(path).unwrap().modified().unwrap();
                fs::write(path, b"abcdefghij").unwrap();
                fs::File::options().write(true).open(path).unwrap().set_modified(before).unwrap();
            }),
        ];
        for (name, change) in changes {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("file");
            fs::write(&path, b"0123456789").unwrap();
            let aged = UNIX_EPOCH + Duration::from_secs(1_000_000_000);
            fs::File::options().write(true).open(&path).unwrap().set_modified(aged).unwrap();
            let file = SourceFile::open(&path).unwrap();
            // The file system's clock ticks every few milliseconds; a change within a tick would leave ctime alone.
            std::thread::sleep(Duration::from_millis(20));
            change(&path);
            assert!(changed(&file.check_unchanged()), "{name}");
        }
    }

    #[test]
    fn a_fifo_is_refused_without_waiting() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("fifo");
        let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        assert!(matches!(SourceFile::open(&path), Err(ReadError::NotRegular(_))));
    }
}
