//! What is too much in the target, kept until everything else is known to be right: on disk where it is much.

use crate::local::{Sorter, SpillError};
use crate::model::{BucketName, Fingerprint, RelativePath};
use crate::plan::{Action, Delete, Reason, Step};
use crate::sync::decide::Route;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::path::{Path, PathBuf};

/// How many bytes of it are held in memory before they go to the disk.
const BUDGET_BYTES: usize = 16 * 1024 * 1024;

/// How many deletes are read back at a time: as many as one request takes.
const BATCH: usize = 1000;

/// Deletes that wait, in the order of their names.
#[derive(Debug)]
pub(super) struct Extras {
    bucket: BucketName,
    /// The directory of a download.
    root: PathBuf,
    reason: Reason,
    sorter: Sorter,
    count: u64,
}

/// A delete without what all of a sync have in common.
#[derive(Debug, Serialize, Deserialize)]
enum Kept {
    Object(Delete),
    File { path: RelativePath, fingerprint: Fingerprint },
}

impl Extras {
    /// None yet; what exceeds memory will go to `spill_folder`.
    pub(super) fn new(route: &Route, spill_folder: &Path) -> Self {
        let (bucket, root) = match route {
            Route::Upload { bucket, .. } | Route::Copy { bucket, .. } => (bucket, PathBuf::new()),
            Route::Download { bucket, root } => (bucket, root.clone()),
        };
        Self { root, ..Self::of_bucket(bucket, Reason::NotInSource, spill_folder) }
    }

    /// Objects of one bucket, which all go for the same reason.
    pub(super) fn of_bucket(bucket: &BucketName, reason: Reason, spill_folder: &Path) -> Self {
        let sorter = Sorter::new(spill_folder, BUDGET_BYTES);
        Self { bucket: bucket.clone(), root: PathBuf::new(), reason, sorter, count: 0 }
    }

    /// How many there are.
    pub(super) const fn count(&self) -> u64 {
        self.count
    }

    /// Keeps one. What deletes nothing is none of them.
    pub(super) fn push(&mut self, action: Action) -> Result<(), SpillError> {
        let kept = match action.step {
            Step::Delete(delete) => Kept::Object(delete),
            Step::DeleteFile { path, fingerprint, .. } => Kept::File { path, fingerprint },
            _ => return Ok(()),
        };
        let name = match &kept {
            // Of one name only one is kept, and versions of an object have it in common.
            Kept::Object(Delete { key, version: Some(version), .. }) => Cow::Owned(format!("{key}\0{version}")),
            Kept::Object(delete) => Cow::Borrowed(delete.key.as_str()),
            Kept::File { path, .. } => Cow::Borrowed(path.as_str()),
        };
        // Names and numbers always have a JSON form.
        self.sorter.push(name.as_bytes(), &serde_json::to_vec(&kept).unwrap_or_default())?;
        self.count += 1;
        Ok(())
    }

    /// All of them, batch by batch. Ends after an error.
    pub(super) fn into_batches(self) -> Result<impl Iterator<Item = Result<Vec<Action>, SpillError>>, SpillError> {
        let Self { bucket, root, reason, sorter, .. } = self;
        let mut records = sorter.finish()?;
        Ok(std::iter::from_fn(move || {
            let mut batch = Vec::new();
            while batch.len() < BATCH {
                match records.next() {
                    // What was not written by `push` does not pass the checksum of its block.
                    Some(Ok(record)) => batch.extend(serde_json::from_slice(record.value()).ok().map(|kept| {
                        let step = match kept {
                            Kept::Object(delete) => Step::Delete(delete),
                            Kept::File { path, fingerprint } => {
                                Step::DeleteFile { root: root.clone(), path, fingerprint }
                            }
                        };
                        Action { bucket: bucket.clone(), step, reason: reason.clone() }
                    })),
                    Some(Err(error)) => return Some(Err(error)),
                    None => break,
                }
            }
            (!batch.is_empty()).then_some(Ok(batch))
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::{BATCH, BUDGET_BYTES, Extras};
    use crate::local::SpillError;
    use crate::model::{BucketName, ETag, Fingerprint, Prefix};
    use crate::plan::{Action, Delete, Reason, Step};
    use crate::sync::decide::Route;
    use std::path::Path;

    fn bucket() -> BucketName {
        "bucket".parse().unwrap()
    }

    fn upload() -> Route {
        Route::Upload { bucket: bucket(), folder: Prefix::root() }
    }

    fn object(name: &str) -> Action {
        let etag = Some(ETag::new("0123456789abcdef0123456789abcdef-7"));
        let step = Step::Delete(Delete { key: name.parse().unwrap(), size_bytes: 7, etag, version: None });
        Action { bucket: bucket(), step, reason: Reason::NotInSource }
    }

    fn batches(extras: Extras) -> Vec<Vec<Action>> {
        extras.into_batches().unwrap().map(Result::unwrap).collect()
    }

    #[test]
    fn objects_and_files_come_back_as_they_were() {
        let folder = tempfile::tempdir().unwrap();
        let mut extras = Extras::new(&upload(), folder.path());
        assert_eq!(extras.count(), 0);
        let mut untagged = object("a/ü");
        untagged.step =
            Step::Delete(Delete { key: "a/ü".parse().unwrap(), size_bytes: u64::MAX, etag: None, version: None });
        let wanted = vec![untagged, object("b")];
        wanted.iter().for_each(|action| extras.push(action.clone()).unwrap());
        assert_eq!((extras.count(), batches(extras)), (2, vec![wanted]));

        let root = Path::new("/target").to_owned();
        let mut extras = Extras::new(&Route::Download { bucket: bucket(), root: root.clone() }, folder.path());
        let (mtime_ns, ctime_ns) = (-5, i128::from(i64::MAX) * 2);
        let fingerprint = Fingerprint { size_bytes: 1, mtime_ns, ctime_ns, device: 2, inode: 3 };
        let step = Step::DeleteFile { root, path: "x/y".parse().unwrap(), fingerprint };
        let wanted = Action { bucket: bucket(), step, reason: Reason::NotInSource };
        extras.push(wanted.clone()).unwrap();
        assert_eq!(batches(extras), vec![vec![wanted]]);
    }

    #[test]
    fn more_than_memory_holds_comes_back_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let mut extras = Extras::new(&upload(), folder.path());
        let name = |number: usize| format!("{}/{number:07}", "long".repeat(240));
        let count = BUDGET_BYTES / (2 * name(0).len());
        (0..count).for_each(|number| extras.push(object(&name(number))).unwrap());
        let batches = batches(extras);
        assert!(batches[..batches.len() - 1].iter().all(|batch| batch.len() == BATCH));
        let names: Vec<String> = batches.concat().iter().map(Action::target).collect();
        let wanted: Vec<String> = (0..count).map(|number| format!("s3://bucket/{}", name(number))).collect();
        assert!(names == wanted, "{} of {count}", names.len());
    }

    #[test]
    fn without_room_nothing_is_known() {
        let mut extras = Extras::new(&upload(), Path::new("/absent"));
        let name = |number: usize| format!("{}/{number:07}", "long".repeat(240));
        let failed = (0..BUDGET_BYTES / name(0).len()).find_map(|number| extras.push(object(&name(number))).err());
        assert!(matches!(failed, Some(SpillError::Failed { .. })), "{failed:?}");
    }
}
