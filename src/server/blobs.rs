//! Object bytes too large for the index: one file each, named at random, never by a key.
//!
//! A file becomes an object only when the index names it, so a file that no record names is a leftover of an
//! interrupted request and is swept when the folder is next opened by one process alone.
#![expect(clippy::disallowed_methods, reason = "this is the file edge")]

use super::record::BlobId;
use std::collections::{HashMap, HashSet};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

/// The blob files of a folder. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Blobs {
    root: Arc<PathBuf>,
    pins: Arc<Mutex<Pins>>,
}

/// Blobs that are being read, and which of those shall go when the last reader has left.
#[derive(Debug, Default)]
struct Pins {
    readers: HashMap<BlobId, usize>,
    doomed: HashSet<BlobId>,
}

/// Keeps blob files from being removed while they are read.
#[derive(Debug)]
pub(super) struct Pinned {
    blobs: Blobs,
    ids: Vec<BlobId>,
}

/// A blob file being written. Dropping it removes the file, unless it was kept.
#[derive(Debug)]
pub(super) struct PendingBlob {
    blobs: Blobs,
    id: BlobId,
    file: Option<File>,
    kept: bool,
}

/// Milliseconds since 1970.
pub(super) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Sixty-four bits that nobody can foresee.
pub(super) fn random() -> io::Result<u64> {
    getrandom::u64().map_err(|error| io::Error::other(error.to_string()))
}

impl BlobId {
    /// A new id. Ids grow with time, so new small bodies land side by side in the index.
    pub(super) fn fresh() -> io::Result<Self> {
        let salt = (u128::from(random()?) << 64) | u128::from(random()?);
        Ok(Self((u128::from(now_ms()) << 80) | (salt & ((1 << 80) - 1))))
    }

    fn file_name(self) -> String {
        format!("{:032x}", self.0)
    }

    fn from_file_name(name: &str) -> Option<Self> {
        (name.len() == 32).then(|| u128::from_str_radix(name, 16).ok().map(Self)).flatten()
    }
}

impl Blobs {
    /// The blob files below `root`, which is made if need be.
    pub(super) fn open(root: PathBuf) -> io::Result<Self> {
        fs::create_dir_all(&root)?;
        Ok(Self { root: Arc::new(root), pins: Arc::default() })
    }

    /// Files are spread over 256 folders by the id's last, random byte.
    fn folder(&self, id: BlobId) -> PathBuf {
        self.root.join(format!("{:02x}", id.0 & 0xff))
    }

    fn path(&self, id: BlobId) -> PathBuf {
        self.folder(id).join(id.file_name())
    }

    /// A new file to write to.
    pub(super) fn create(&self) -> io::Result<PendingBlob> {
        let id = BlobId::fresh()?;
        let folder = self.folder(id);
        if !folder.is_dir() {
            fs::create_dir_all(&folder)?;
            sync_folder(&self.root)?;
        }
        let file = OpenOptions::new().write(true).create_new(true).open(self.path(id))?;
        Ok(PendingBlob { blobs: self.clone(), id, file: Some(file), kept: false })
    }

    /// Opens a blob for reading.
    pub(super) fn open_blob(&self, id: BlobId) -> io::Result<File> {
        File::open(self.path(id))
    }

    /// Keeps `ids` from being removed until the answer is dropped.
    pub(super) fn pin(&self, ids: Vec<BlobId>) -> Pinned {
        let mut pins = self.pins.lock().unwrap_or_else(PoisonError::into_inner);
        for id in &ids {
            *pins.readers.entry(*id).or_default() += 1;
        }
        drop(pins);
        Pinned { blobs: self.clone(), ids }
    }

    /// Removes a file that the index no longer names, at once or when its last reader has left.
    pub(super) fn remove(&self, id: BlobId) {
        let mut pins = self.pins.lock().unwrap_or_else(PoisonError::into_inner);
        if pins.readers.contains_key(&id) {
            pins.doomed.insert(id);
        } else {
            drop(pins);
            self.unlink(id);
        }
    }

    fn unlink(&self, id: BlobId) {
        if let Err(error) = fs::remove_file(self.path(id)) {
            tracing::debug!(%error, blob = id.file_name(), "blob not removed, left for the next sweep");
        }
    }

    /// Removes every file that `is_known` does not know. Only for a process that has the folder alone.
    pub(super) fn sweep(&self, is_known: impl Fn(BlobId) -> bool) -> io::Result<usize> {
        let mut removed = 0;
        for folder in fs::read_dir(&*self.root)? {
            let folder = folder?.path();
            if !folder.is_dir() {
                continue;
            }
            for entry in fs::read_dir(folder)? {
                let id = entry?.file_name().to_str().and_then(BlobId::from_file_name);
                if let Some(id) = id.filter(|id| !is_known(*id)) {
                    self.unlink(id);
                    removed += 1;
                }
            }
        }
        Ok(removed)
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        let mut pins = self.blobs.pins.lock().unwrap_or_else(PoisonError::into_inner);
        let mut free = Vec::new();
        for id in &self.ids {
            let left = pins.readers.get_mut(id).map_or(0, |readers| {
                *readers -= 1;
                *readers
            });
            if left == 0 {
                pins.readers.remove(id);
                if pins.doomed.remove(id) {
                    free.push(*id);
                }
            }
        }
        drop(pins);
        free.into_iter().for_each(|id| self.blobs.unlink(id));
    }
}

impl PendingBlob {
    /// The blob's id.
    pub(super) const fn id(&self) -> BlobId {
        self.id
    }

    /// Appends bytes.
    pub(super) fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.as_mut().map_or_else(|| Err(io::Error::other("blob is closed")), |file| file.write_all(bytes))
    }

    /// Makes file and name durable.
    pub(super) fn seal(&mut self) -> io::Result<()> {
        if let Some(file) = self.file.take() {
            file.sync_data()?;
            sync_folder(&self.blobs.folder(self.id))?;
        }
        Ok(())
    }

    /// The index names it now: the file stays.
    pub(super) fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for PendingBlob {
    fn drop(&mut self) {
        if !self.kept {
            self.blobs.unlink(self.id);
        }
    }
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}
