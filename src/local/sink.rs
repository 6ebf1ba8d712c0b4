//! Files that are received: into a hidden name beside their place, then put there by one rename, never through a link.
//!
//! Keys decide the paths, and whoever can write below the target could have planted a link there; so each directory on the
//! way is opened by its name from the one above, and a link is refused wherever it leads. Only the target folder itself
//! may be a link: the person who named it chose it.
//!
//! A file in its place survives kill -9 of this program at any moment. Nothing is flushed to the disk file by file, as
//! that would cost more than all the rest; [`TargetTree::flush`] does it once for all, at the end of a run.
#![expect(clippy::disallowed_methods, reason = "this is the file edge")]

use crate::model::{Fingerprint, RelativePath, escaped, is_part_file_name, part_file_name};
use jiff::Timestamp;
use rustix::buffer::spare_capacity;
use rustix::fs::{
    AtFlags, CWD, Dir, FallocateFlags, FileType, FlockOperation, Mode, OFlags, RenameFlags, Stat, Timespec, Timestamps,
    UTIME_OMIT,
};
use rustix::io::{Errno, retry_on_intr};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

/// From this size on a file's room on the disk is taken before its first byte arrives.
const RESERVED_FROM_BYTES: u64 = 256 * 1024;

/// How often a new temporary name is tried: a clean-up of another run may take one away before it is locked.
const ATTEMPTS: u32 = 3;

/// Reading what was written again: as large as the walk's digests read.
const BUFFER_BYTES: usize = 256 * 1024;

/// The directory that files are received into.
#[derive(Debug)]
pub struct TargetTree {
    root: OwnedFd,
    path: PathBuf,
}

/// A file that is being received. Dropped before it is put in its place, it leaves nothing behind.
#[derive(Debug)]
pub struct PartFile {
    directory: OwnedFd,
    file: File,
    temporary: String,
    name: String,
    /// The file's path for messages.
    shown: String,
    replaces: Option<Fingerprint>,
    in_place: AtomicBool,
}

/// Why a file could not be put in its place, or removed.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// What is there is not what was seen.
    #[error("`{0}` was changed by somebody else since it was looked at; it was left as it is")]
    Changed(String),
    /// A symbolic link is there, or on the way there.
    #[error("`{0}` is a symbolic link, and nothing is written or removed through links")]
    Link(String),
    /// A file, or something else that is no directory, is on the way there.
    #[error("`{0}` is no directory, but a file is to be put below it")]
    NotADirectory(String),
    /// A directory, or something else that is no file, has the file's name.
    #[error("`{0}` is there and is no regular file")]
    NotAFile(String),
    /// The disk, the quota or the file size limit is full.
    #[error("there is no room for `{path}`")]
    Full {
        /// The file.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// The system refused.
    #[error("cannot write `{path}`")]
    Refused {
        /// The file or directory.
        path: String,
        /// What the system said.
        source: io::Error,
    },
}

fn failed(path: String, errno: Errno) -> WriteError {
    let source = io::Error::from(errno);
    match errno {
        Errno::NOSPC | Errno::DQUOT | Errno::FBIG => WriteError::Full { path, source },
        _ => WriteError::Refused { path, source },
    }
}

fn errno(error: &io::Error) -> Errno {
    Errno::from_io_error(error).unwrap_or(Errno::IO)
}

/// What the system says of a name, not of what a link there leads to; `None` if nothing has the name.
fn look(directory: &OwnedFd, name: &str) -> Result<Option<Stat>, Errno> {
    match rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(stat)),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(error),
    }
}

fn kind(stat: &Stat) -> FileType {
    FileType::from_raw_mode(stat.st_mode)
}

fn fingerprint_of(stat: &Stat) -> Fingerprint {
    let nanoseconds = |seconds: i64, rest: i128| i128::from(seconds) * 1_000_000_000 + rest;
    Fingerprint {
        size_bytes: u64::try_from(stat.st_size).unwrap_or_default(),
        mtime_ns: nanoseconds(stat.st_mtime, stat.st_mtime_nsec.into()),
        ctime_ns: nanoseconds(stat.st_ctime, stat.st_ctime_nsec.into()),
        device: stat.st_dev,
        inode: stat.st_ino,
    }
}

/// Says whether what is found under a file's name is what was seen there.
fn check(found: Option<&Stat>, seen: Option<&Fingerprint>, shown: &str) -> Result<(), WriteError> {
    match found.map(|stat| (kind(stat), fingerprint_of(stat))) {
        Some((FileType::Symlink, _)) => Err(WriteError::Link(shown.to_owned())),
        Some((FileType::RegularFile, now)) if seen == Some(&now) => Ok(()),
        None if seen.is_none() => Ok(()),
        None | Some((FileType::RegularFile, _)) => Err(WriteError::Changed(shown.to_owned())),
        Some(_) => Err(WriteError::NotAFile(shown.to_owned())),
    }
}

const DIRECTORY: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

impl TargetTree {
    /// Opens the directory at `path`, which is made if it is not there.
    pub fn open(path: &Path) -> Result<Self, WriteError> {
        let shown = || escaped(path);
        std::fs::create_dir_all(path).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory => WriteError::NotADirectory(shown()),
            _ => failed(shown(), errno(&error)),
        })?;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::openat(CWD, path, flags, Mode::empty()).map_err(|error| failed(shown(), error))?;
        Ok(Self { root, path: path.to_owned() })
    }

    /// Where `relative` is, for messages and for reading.
    pub fn path(&self, relative: &RelativePath) -> PathBuf {
        self.path.join(relative.as_str())
    }

    fn shown(&self, relative: &RelativePath) -> String {
        escaped(&self.path(relative))
    }

    /// Opens a directory of the tree name by name; with `make` those that are not there are made.
    fn directory(&self, relative: Option<&RelativePath>, make: bool) -> Result<OwnedFd, WriteError> {
        let shown = |depth: usize| {
            let names = relative.into_iter().flat_map(RelativePath::names).take(depth + 1);
            escaped(&names.fold(self.path.clone(), |path, name| path.join(name)))
        };
        let mut open = rustix::fs::openat(&self.root, ".", DIRECTORY, Mode::empty())
            .map_err(|error| failed(escaped(&self.path), error))?;
        for (depth, name) in relative.into_iter().flat_map(RelativePath::names).enumerate() {
            let mut next = rustix::fs::openat(&open, name, DIRECTORY, Mode::empty());
            if make && next.as_ref().is_err_and(|error| *error == Errno::NOENT) {
                match rustix::fs::mkdirat(&open, name, Mode::RWXU | Mode::RWXG | Mode::RWXO) {
                    // Somebody else, such as a download beside this one, was faster.
                    Ok(()) | Err(Errno::EXIST) => {}
                    Err(error) => return Err(failed(shown(depth), error)),
                }
                next = rustix::fs::openat(&open, name, DIRECTORY, Mode::empty());
            }
            open = next.map_err(|error| match (error, look(&open, name)) {
                (_, Ok(Some(stat))) if kind(&stat) == FileType::Symlink => WriteError::Link(shown(depth)),
                (Errno::NOTDIR, _) => WriteError::NotADirectory(shown(depth)),
                _ => failed(shown(depth), error),
            })?;
        }
        Ok(open)
    }

    /// Makes a directory and those above it.
    pub fn make_directory(&self, relative: &RelativePath) -> Result<(), WriteError> {
        self.directory(Some(relative), true).map(drop)
    }

    /// Begins a file of `size_bytes` that is to replace what was `seen` at its place, or nothing.
    ///
    /// A new file gets the mode that the umask leaves; one that replaces a file keeps that file's permissions.
    pub fn begin(
        &self,
        relative: &RelativePath,
        size_bytes: u64,
        seen: Option<&Fingerprint>,
    ) -> Result<PartFile, WriteError> {
        let shown = self.shown(relative);
        let (parent, name) = relative.split();
        let directory = self.directory(parent.as_ref(), true)?;
        let found = look(&directory, name).map_err(|error| failed(shown.clone(), error))?;
        check(found.as_ref(), seen, &shown)?;
        let (file, temporary) = create(&directory).map_err(|error| failed(shown.clone(), error))?;
        let in_place = AtomicBool::new(false);
        let replaces = seen.copied();
        let part = PartFile { directory, file, temporary, name: name.to_owned(), shown, replaces, in_place };
        part.prepare(size_bytes, found.as_ref()).map_err(|error| failed(part.shown.clone(), error))?;
        Ok(part)
    }

    /// Removes a file if it still is what was `seen`. Between the last look and the removal is a gap of one system call.
    pub fn remove_if_unchanged(&self, relative: &RelativePath, seen: &Fingerprint) -> Result<(), WriteError> {
        let shown = self.shown(relative);
        let (parent, name) = relative.split();
        let directory = self.directory(parent.as_ref(), false)?;
        let found = look(&directory, name).map_err(|error| failed(shown.clone(), error))?;
        check(found.as_ref(), Some(seen), &shown)?;
        rustix::fs::unlinkat(&directory, name, AtFlags::empty()).map_err(|error| failed(shown, error))
    }

    /// Removes what killed runs left in one directory of the tree, or in its root, and says how many files it was.
    ///
    /// A file counts as left behind if its name is one of ours and no living process holds its lock.
    pub fn remove_leftovers(&self, relative: Option<&RelativePath>) -> Result<u64, WriteError> {
        let shown = || relative.map_or_else(|| escaped(&self.path), |relative| self.shown(relative));
        let directory = self.directory(relative, false)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let listed = rustix::fs::openat(&directory, ".", flags, Mode::empty()).and_then(Dir::new);
        let mut removed = 0;
        for entry in listed.map_err(|error| failed(shown(), error))? {
            let entry = entry.map_err(|error| failed(shown(), error))?;
            let name = entry.file_name();
            if is_part_file_name(name.to_bytes()) && is_left_behind(&directory, name) {
                rustix::fs::unlinkat(&directory, name, AtFlags::empty()).map_err(|error| failed(shown(), error))?;
                removed += 1;
            }
        }
        Ok(removed)
    }

    /// Waits until all that was written in the tree's file system is on the disk.
    pub fn flush(&self) -> Result<(), WriteError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let open = rustix::fs::openat(&self.root, ".", flags, Mode::empty());
        open.and_then(rustix::fs::syncfs).map_err(|error| failed(escaped(&self.path), error))
    }
}

/// Makes an empty file with a name of its own and locks it, which tells other runs that it is in use.
fn create(directory: &OwnedFd) -> Result<(File, String), Errno> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mode = Mode::RUSR | Mode::WUSR | Mode::RGRP | Mode::WGRP | Mode::ROTH | Mode::WOTH;
    let mut last = Errno::EXIST;
    for _ in 0..ATTEMPTS {
        let mut random = [0; 16];
        getrandom::fill(&mut random).map_err(|_| Errno::IO)?;
        let name = part_file_name(u128::from_ne_bytes(random));
        let made = match rustix::fs::openat(directory, &name, flags, mode) {
            Ok(made) => made,
            Err(Errno::EXIST) => continue,
            Err(error) => return Err(error),
        };
        match rustix::fs::flock(&made, FlockOperation::NonBlockingLockExclusive) {
            // A file system without locks: the file is only in danger from a clean-up that could not lock it either,
            // and that leaves it alone.
            Ok(()) | Err(Errno::NOLCK | Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => {}
            Err(error) => {
                last = error;
                continue;
            }
        }
        // Between its creation and its lock a clean-up could have taken it for a leftover.
        if rustix::fs::fstat(&made)?.st_nlink > 0 {
            return Ok((File::from(made), name));
        }
    }
    Err(last)
}

/// True if it is a regular file that nobody holds.
fn is_left_behind(directory: &OwnedFd, name: &std::ffi::CStr) -> bool {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let Ok(open) = rustix::fs::openat(directory, name, flags, Mode::empty()) else { return false };
    let regular = rustix::fs::fstat(&open).is_ok_and(|stat| kind(&stat) == FileType::RegularFile);
    regular && rustix::fs::flock(&open, FlockOperation::NonBlockingLockExclusive).is_ok()
}

impl PartFile {
    /// Takes the room, so that a full disk shows before any byte is fetched, and gives the file its permissions.
    fn prepare(&self, size_bytes: u64, replaced: Option<&Stat>) -> Result<(), Errno> {
        if let Some(replaced) = replaced {
            let mode = Mode::from_raw_mode(replaced.st_mode & 0o777);
            rustix::fs::fchmod(&self.file, mode)?;
        }
        if size_bytes < RESERVED_FROM_BYTES {
            return Ok(());
        }
        match retry_on_intr(|| rustix::fs::fallocate(&self.file, FallocateFlags::empty(), 0, size_bytes)) {
            // Where room cannot be taken beforehand, the writes will tell.
            Ok(()) | Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Writes `bytes` at `offset`; ranges may come in any order and side by side.
    pub fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), WriteError> {
        self.file.write_all_at(bytes, offset).map_err(|error| failed(self.shown.clone(), errno(&error)))
    }

    /// Hands what was written to `goes_on` in order, to the end or until that says no.
    pub fn read_again(&self, mut goes_on: impl FnMut(&[u8]) -> bool) -> Result<(), WriteError> {
        let (mut buffer, mut offset) = (Vec::with_capacity(BUFFER_BYTES), 0);
        loop {
            let read = retry_on_intr(|| rustix::io::pread(&self.file, spare_capacity(&mut buffer), offset));
            if read.map_err(|error| failed(self.shown.clone(), error))? == 0 {
                return Ok(());
            }
            if !goes_on(&buffer) {
                return Ok(());
            }
            offset += buffer.len() as u64;
            buffer.clear();
        }
    }

    /// Puts the file in its place if what is there still is what was seen, with `modified` as its time, and says what
    /// it is now.
    ///
    /// Where nothing was seen, the system itself refuses to replace anything. Where a file was seen, there is a gap of one
    /// system call between the last look and the rename.
    pub fn commit(&self, modified: Option<Timestamp>) -> Result<Fingerprint, WriteError> {
        let refused = |error| failed(self.shown.clone(), error);
        if let Some(modified) = modified {
            // Whole seconds, as S3 keeps them: a listing's milliseconds are always 0 there.
            let last_modification = Timespec { tv_sec: modified.as_second(), tv_nsec: 0 };
            let last_access = Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT };
            let times = Timestamps { last_access, last_modification };
            // A time that the file system cannot keep is no reason to lose the content.
            let _ = rustix::fs::futimens(&self.file, &times);
        }
        match &self.replaces {
            None => self.rename_to_nothing()?,
            Some(seen) => {
                check(look(&self.directory, &self.name).map_err(refused)?.as_ref(), Some(seen), &self.shown)?;
                rustix::fs::renameat(&self.directory, &self.temporary, &self.directory, &self.name).map_err(refused)?;
            }
        }
        self.in_place.store(true, Ordering::Relaxed);
        Ok(fingerprint_of(&rustix::fs::fstat(self.file.as_fd()).map_err(refused)?))
    }

    fn rename_to_nothing(&self) -> Result<(), WriteError> {
        let (directory, name) = (&self.directory, self.name.as_str());
        let refused = |error| failed(self.shown.clone(), error);
        match rustix::fs::renameat_with(directory, &self.temporary, directory, name, RenameFlags::NOREPLACE) {
            Ok(()) => Ok(()),
            Err(Errno::EXIST) => Err(WriteError::Changed(self.shown.clone())),
            // File systems without this kind of rename get a look before a plain one.
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
                check(look(directory, name).map_err(refused)?.as_ref(), None, &self.shown)?;
                rustix::fs::renameat(directory, &self.temporary, directory, name).map_err(refused)
            }
            Err(error) => Err(refused(error)),
        }
    }
}

impl PartFile {
    /// Takes the temporary name away at once, while others may still write to the file.
    pub fn abandon(&self) {
        if !self.in_place.load(Ordering::Relaxed) {
            // What cannot be removed now is a leftover for the next run.
            let _ = rustix::fs::unlinkat(&self.directory, &self.temporary, AtFlags::empty());
        }
    }
}

impl Drop for PartFile {
    fn drop(&mut self) {
        self.abandon();
    }
}

#[cfg(test)]
mod tests;
