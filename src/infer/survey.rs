//! What a listing tells of a bucket's folders: which there are, how each is marked, and what lies in none.
//!
//! It grows object by object and holds a bounded number of folders, so a bucket of any size fits.

use crate::layout::{Bucket, MarkerStyle};
use crate::model::{MarkerState, ObjectEntry, ObjectKey};
use std::collections::BTreeMap;

/// The most folders that are remembered. A layout that names more is nobody's to read.
const MAX_FOLDERS: usize = 5_000;
/// How deep folders without a marker are remembered: what lies deeper is how a dataset is built, not how a bucket is.
const MAX_UNMARKED_DEPTH: usize = 2;
/// The folder of this program's own objects, which is nobody's folder.
const OWN_FOLDER: &str = ".bucketwright/";

/// The folders of one bucket.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Survey {
    /// By prefix, which ends in `/`.
    pub(super) folders: BTreeMap<String, Seen>,
    /// Objects that lie in no folder.
    pub at_root: u64,
    /// True if there are more folders than are remembered.
    pub is_cut: bool,
}

/// One folder as it was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Seen {
    /// An empty object has the prefix as its key.
    pub(super) slash: bool,
    /// An empty object `.keep` lies in it.
    pub(super) keep: bool,
}

impl Seen {
    /// How it is marked; the slash wins where it is marked twice.
    pub(super) const fn style(self) -> MarkerStyle {
        match (self.slash, self.keep) {
            (true, _) => MarkerStyle::Slash,
            (false, true) => MarkerStyle::Keep,
            (false, false) => MarkerStyle::None,
        }
    }
}

impl Survey {
    /// Takes one listed object.
    pub fn add(&mut self, entry: &ObjectEntry) {
        let key = entry.key.as_str();
        if key.starts_with(OWN_FOLDER) || key.contains("/.bucketwright/") {
            return;
        }
        let (folder, name) = key.split_at(key.rfind('/').map_or(0, |slash| slash + 1));
        let is_marker = entry.size_bytes == 0 && matches!(name, "" | ".keep");
        if folder.is_empty() {
            self.at_root += 1;
            return;
        }
        for (end, _) in folder.match_indices('/').take(MAX_UNMARKED_DEPTH) {
            self.folder(&folder[..=end]);
        }
        if is_marker && let Some(seen) = self.folder(folder) {
            seen.slash |= name.is_empty();
            seen.keep |= !name.is_empty();
        }
    }

    fn folder(&mut self, prefix: &str) -> Option<&mut Seen> {
        if !self.folders.contains_key(prefix) {
            if self.folders.len() >= MAX_FOLDERS {
                self.is_cut = true;
                return None;
            }
            self.folders.insert(prefix.to_owned(), Seen::default());
        }
        self.folders.get_mut(prefix)
    }

    /// The markers of a bucket's folders as a question about each would find them.
    pub fn markers(&self, bucket: &Bucket) -> BTreeMap<ObjectKey, MarkerState> {
        let keys = crate::layout::scaffold::marker_keys(bucket);
        let state = |key: &ObjectKey| {
            let text = key.as_str();
            let is_there = match text.strip_suffix(".keep") {
                Some(folder) if !text.ends_with('/') => self.folders.get(folder).is_some_and(|seen| seen.keep),
                _ => self.folders.get(text).is_some_and(|seen| seen.slash),
            };
            if is_there { MarkerState::Present } else { MarkerState::Absent }
        };
        keys.into_iter().map(|key| (key.clone(), state(&key))).collect()
    }
}
