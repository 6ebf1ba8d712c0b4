//! From what both sides have under one name to what is done about it.

use super::compare::{By, Verdict};
use super::item::{Found, Item};
use super::keys::key_of;
use super::paths::{Clashes, LocalPlace, Misplaced, place_below};
use crate::model::{BucketName, ETag, Fingerprint, LocalFile, ObjectEntry, Odd, OddKind, Prefix, RelativePath};
use crate::plan::{Action, CopyTask, Delete, Download, Reason, Step, Upload};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::path::{Path, PathBuf};

/// Where a sync leads: which side is what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "direction")]
pub enum Route {
    /// Files go to a folder.
    Upload {
        /// The target's bucket.
        bucket: BucketName,
        /// The target's folder.
        folder: Prefix,
    },
    /// Objects come to a directory.
    Download {
        /// The source's bucket.
        bucket: BucketName,
        /// The directory.
        root: PathBuf,
    },
    /// Objects go from folder to folder.
    Copy {
        /// The source's bucket.
        from: BucketName,
        /// The target's bucket.
        bucket: BucketName,
        /// The target's folder.
        folder: Prefix,
    },
}

/// What is done about one name.
#[derive(Debug, Clone, PartialEq)]
pub enum Decision {
    /// Nothing: both are equal.
    Unchanged {
        /// What told.
        by: By,
    },
    /// It goes from source to target.
    Transfer(Action),
    /// It is too much in the target, and goes if everything may that is too much.
    Delete(Action),
    /// Nothing, for cause.
    Odd(Odd),
    /// Nothing: it is no data of anybody.
    Marker,
}

/// The pipeline answers every question, so this is never seen; were it, sending is the safe side.
const NOT_COMPARED: Reason = Reason::ContentUntold { why: Cow::Borrowed("the comparison did not end") };

/// Decides name by name, in their order.
#[derive(Debug)]
pub struct Decider {
    route: Route,
    clashes: Clashes,
}

impl Decider {
    /// Decides about a sync along `route`.
    pub fn new(route: Route) -> Self {
        Self { route, clashes: Clashes::default() }
    }

    /// Only the source has it.
    pub fn missing(&mut self, item: Item) -> Decision {
        self.transfer(item, None, Reason::Missing)
    }

    /// Both have it.
    pub fn both(&mut self, source: Item, target: Item, verdict: Verdict) -> Decision {
        match verdict {
            Verdict::Unchanged { by } => Decision::Unchanged { by },
            Verdict::Changed(reason) => self.transfer(source, Some(target), reason),
            Verdict::Ask(_) => self.transfer(source, Some(target), NOT_COMPARED),
        }
    }

    /// Only the target has it. What makes a folder visible stays: it stands for no file of the source.
    pub fn extra(&self, item: Item) -> Decision {
        if item.is_marker() {
            return Decision::Marker;
        }
        let (bucket, step) = match (&self.route, item) {
            (Route::Upload { bucket, .. } | Route::Copy { bucket, .. }, Item::Object(Found { entry, .. })) => {
                let delete = Delete { key: entry.key, size_bytes: entry.size_bytes, etag: entry.etag, version: None };
                (bucket, Step::Delete(delete))
            }
            (Route::Download { bucket, root }, Item::File(LocalFile { relative, fingerprint, .. })) => {
                let Ok(path) = relative.parse() else { return misplaced(&relative) };
                (bucket, Step::DeleteFile { root: root.clone(), path, fingerprint })
            }
            (_, other) => return misplaced(other.name()),
        };
        Decision::Delete(Action { bucket: bucket.clone(), step, reason: Reason::NotInSource })
    }

    fn transfer(&mut self, source: Item, target: Option<Item>, reason: Reason) -> Decision {
        let made = match (&self.route, source) {
            (Route::Upload { bucket, folder }, Item::File(file)) => {
                upload(bucket, folder, file, etag_of(target), reason)
            }
            (Route::Download { bucket, root }, Item::Object(found)) => {
                let placed = place_below(found.name(), found.entry.size_bytes);
                match placed.and_then(|place| self.clashes.admit(place)) {
                    Ok(LocalPlace::File(path)) => {
                        Ok(download(bucket, root, path, found.entry, fingerprint_of(target.as_ref()), reason))
                    }
                    // An empty folder is not data, and a file in it makes it.
                    Ok(LocalPlace::Directory(_) | LocalPlace::Target) => return Decision::Marker,
                    Err(why) => Err(no_place(bucket, &found.entry, &why)),
                }
            }
            (Route::Copy { from, bucket, folder }, Item::Object(found)) => {
                copy(from, bucket, folder, found, etag_of(target), reason)
            }
            (_, other) => return misplaced(other.name()),
        };
        made.map_or_else(Decision::Odd, Decision::Transfer)
    }
}

/// No side of a route gives this, and what nobody understands is not touched.
fn misplaced(name: &str) -> Decision {
    Decision::Odd(Odd { path: name.to_owned(), kind: OddKind::NotRegular })
}

fn no_place(bucket: &BucketName, entry: &ObjectEntry, why: &Misplaced) -> Odd {
    Odd { path: format!("s3://{bucket}/{}", entry.key), kind: OddKind::NoPlace(why.to_string()) }
}

fn etag_of(item: Option<Item>) -> Option<ETag> {
    match item {
        Some(Item::Object(found)) => found.entry.etag,
        Some(Item::File(_)) | None => None,
    }
}

fn fingerprint_of(item: Option<&Item>) -> Option<Fingerprint> {
    match item {
        Some(Item::File(LocalFile { fingerprint, .. })) => Some(*fingerprint),
        Some(Item::Object(_)) | None => None,
    }
}

fn upload(
    bucket: &BucketName,
    folder: &Prefix,
    file: LocalFile,
    replaces: Option<ETag>,
    reason: Reason,
) -> Result<Action, Odd> {
    let key = key_of(folder, &file)?;
    let upload = Upload { path: file.path, fingerprint: file.fingerprint, key, replaces };
    Ok(Action { bucket: bucket.clone(), step: Step::Upload(upload), reason })
}

fn download(
    bucket: &BucketName,
    root: &Path,
    path: RelativePath,
    entry: ObjectEntry,
    replaces: Option<Fingerprint>,
    reason: Reason,
) -> Action {
    let ObjectEntry { key, size_bytes, etag, .. } = entry;
    let download = Download { key, size_bytes, etag, path, replaces };
    Action { bucket: bucket.clone(), step: Step::Download { root: root.to_owned(), download }, reason }
}

fn copy(
    from: &BucketName,
    bucket: &BucketName,
    folder: &Prefix,
    found: Found,
    replaces: Option<ETag>,
    reason: Reason,
) -> Result<Action, Odd> {
    let key = folder.key(found.name());
    let key = key.map_err(|_| Odd { path: format!("s3://{from}/{}", found.entry.key), kind: OddKind::KeyTooLong })?;
    let entry = found.entry;
    let (from_key, size_bytes, etag) = (entry.key, entry.size_bytes, entry.etag);
    let copy = CopyTask { from_bucket: from.clone(), from_key, size_bytes, etag, key, replaces };
    Ok(Action { bucket: bucket.clone(), step: Step::Copy(copy), reason })
}
