//! What the target holds: every version is looked at once, and only numbers and markers are kept.

use super::target::Target;
use crate::layout::Layout;
use crate::model::{ObjectKey, Prefix, Reading, VersionEntry};
use crate::plan::Delete;
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// So many folders are counted one by one; those beyond are counted with the target alone.
const MOST_FOLDERS: usize = 1000;
/// So many of them are told, the largest first.
const TOLD_FOLDERS: usize = 5;

/// A number of things, and their bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Amount {
    /// How many.
    pub count: u64,
    /// Their length in bytes, together.
    pub bytes: u64,
}

impl Amount {
    const fn add(&mut self, bytes: u64) {
        self.count += 1;
        self.bytes += bytes;
    }
}

/// What was found in the target.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Holdings {
    /// Objects, without the markers of folders.
    pub objects: Amount,
    /// Older versions of objects.
    pub noncurrent: Amount,
    /// Markers that hide the versions of a deleted object.
    pub delete_markers: u64,
    /// Folders whose marker is there.
    pub markers: u64,
    /// The newest change beside markers of folders, and the key that it was made to.
    pub newest: Option<(Timestamp, ObjectKey)>,
    /// The largest folders at the top, by the bytes of their objects and versions.
    pub folders: Vec<(String, Amount)>,
    /// The deletes that take away the markers of folders that hold nothing else.
    pub empty: Vec<Delete>,
    /// The deletes of all other markers.
    pub occupied: Vec<Delete>,
    /// Whether what is deleted stays as an older version.
    pub leaves_versions: bool,
}

impl Holdings {
    /// True if there is something beside markers of folders.
    pub const fn holds_data(&self) -> bool {
        self.objects.count + self.noncurrent.count + self.delete_markers > 0
    }
}

/// Counts what a listing shows, entry by entry.
#[derive(Debug)]
pub struct Inventory<'run> {
    target: &'run Target,
    /// Whether the bucket is known to keep older versions.
    versioned: bool,
    markers: BTreeMap<ObjectKey, Prefix>,
    folders: BTreeSet<String>,
    /// The folders of the layout that hold something beside a marker.
    filled: BTreeSet<String>,
    /// The versions of markers, each with its folder.
    found_markers: Vec<(Prefix, Delete)>,
    tops: BTreeMap<String, Amount>,
    holdings: Holdings,
}

impl<'run> Inventory<'run> {
    /// Nothing counted yet. Where `versioning` may not be read, what is deleted may stay as an older version.
    pub fn new(layout: &Layout, target: &'run Target, versioning: &Reading<bool>) -> Self {
        let versioned = *versioning == Reading::Known(true);
        let leaves_versions = versioned || matches!(versioning, Reading::Denied(_));
        Self {
            target,
            versioned,
            markers: target.markers(layout),
            folders: target.folders(layout).into_iter().map(|prefix| prefix.to_string()).collect(),
            filled: BTreeSet::new(),
            found_markers: Vec::new(),
            tops: BTreeMap::new(),
            holdings: Holdings { leaves_versions, ..Holdings::default() },
        }
    }

    /// Counts one entry. The delete that takes it away is given back, unless it is a marker of a folder: those go by rules of
    /// their own.
    pub fn take(&mut self, entry: VersionEntry) -> Option<Named> {
        let marker_of = self.markers.get(&entry.key).filter(|_| entry.size_bytes == 0).cloned();
        if let Some(folder) = marker_of {
            self.holdings.markers += u64::from(entry.is_latest && !entry.is_delete_marker);
            let delete = self.for_good(&entry);
            self.found_markers.push((folder, delete));
            return None;
        }
        if let Some(modified) = entry.modified
            && self.holdings.newest.as_ref().is_none_or(|(newest, _)| modified > *newest)
        {
            self.holdings.newest = Some((modified, entry.key.clone()));
        }
        let is_current = entry.is_latest && !entry.is_delete_marker;
        match (entry.is_delete_marker, is_current) {
            (true, _) => self.holdings.delete_markers += 1,
            (false, true) => self.holdings.objects.add(entry.size_bytes),
            (false, false) => self.holdings.noncurrent.add(entry.size_bytes),
        }
        self.fill(&entry);
        let for_good = self.for_good(&entry);
        let VersionEntry { key, size_bytes, etag, .. } = entry;
        let plain = is_current.then_some(Delete { key, size_bytes, etag, version: None });
        Some(Named { plain, for_good })
    }

    /// The delete that leaves nothing of an entry. A version is what it is for ever; the version `null` is not, unless no
    /// other can take its place, so that such an object is deleted only as the one that was seen.
    fn for_good(&self, entry: &VersionEntry) -> Delete {
        let by_version = self.versioned || entry.is_delete_marker || !entry.is_latest || entry.version != "null";
        Delete {
            key: entry.key.clone(),
            size_bytes: entry.size_bytes,
            etag: entry.etag.clone().filter(|_| !by_version),
            version: by_version.then(|| entry.version.clone()),
        }
    }

    fn fill(&mut self, entry: &VersionEntry) {
        let key = entry.key.as_str();
        for (slash, _) in key.match_indices('/') {
            let folder = &key[..=slash];
            if self.folders.contains(folder) && !self.filled.contains(folder) {
                self.filled.insert(folder.to_owned());
            }
        }
        let rest = self.target.prefix.strip(&entry.key).unwrap_or(key);
        let Some((top, _)) = rest.split_once('/') else { return };
        let top = format!("{top}/");
        if self.tops.len() < MOST_FOLDERS || self.tops.contains_key(&top) {
            self.tops.entry(top).or_default().add(entry.size_bytes);
        }
    }

    /// What was counted.
    pub fn finish(self) -> Holdings {
        let mut holdings = self.holdings;
        for (folder, delete) in self.found_markers {
            let side = if self.filled.contains(folder.as_str()) { &mut holdings.occupied } else { &mut holdings.empty };
            side.push(delete);
        }
        let mut tops: Vec<(String, Amount)> = self.tops.into_iter().collect();
        tops.sort_by(|(one, left), (other, right)| right.bytes.cmp(&left.bytes).then_with(|| one.cmp(other)));
        tops.truncate(TOLD_FOLDERS);
        holdings.folders = tops;
        holdings
    }
}

/// How an entry goes, if all that is in the target is named by hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// As any program would delete it: in a bucket with versions it can be brought back. None for what is no object.
    pub plain: Option<Delete>,
    /// For good.
    pub for_good: Delete,
}
