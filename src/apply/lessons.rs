//! What a sync learns about files while it compares and moves them, kept for the next one.

use super::pipeline::{Compared, file_and_object, trail_of, tree_of};
use super::sync::{Listener, SyncRequest};
use super::transfer::Proven;
use crate::local::{CachePlace, Learner, Visited};
use crate::model::Prefix;
use crate::plan::{Action, Step};
use crate::report::{Event, Finding, Severity};
use crate::sync::compare::{By, Verdict};
use crate::sync::decide::Route;
use crate::sync::remembered::remember;
use std::cell::RefCell;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How much of what is learned is held in memory before it goes to the disk.
const BUDGET_BYTES: usize = 16 * 1024 * 1024;

/// What was learned so far.
#[derive(Debug)]
pub(super) struct Lessons {
    learned: Mutex<Learned>,
    /// The folder that keys of uploads are below.
    folder: Option<Prefix>,
    started_ns: i128,
}

#[derive(Debug)]
struct Learned {
    learner: Learner,
    visited: Visited,
}

impl Lessons {
    pub(super) fn new(place: &CachePlace, request: &SyncRequest) -> Self {
        // Not beside the cache: its folder is not there before the first save.
        let learner = place.learner(&request.spill_folder, BUDGET_BYTES);
        let learned = Learned { learner, visited: Visited::nothing() };
        let folder = match &request.route {
            Route::Upload { folder, .. } => Some(folder.clone()),
            Route::Download { .. } | Route::Copy { .. } => None,
        };
        Self { learned: Mutex::new(learned), folder, started_ns: request.started_ns }
    }

    fn learned(&self) -> MutexGuard<'_, Learned> {
        self.learned.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A file that was read and found equal to its object.
    pub(super) fn compared(&self, both: &Compared) {
        // What is known by cache stands there already.
        if !matches!(both.verdict, Verdict::Unchanged { by: By::Md5 | By::MultipartEtag | By::Crc64Nvme }) {
            return;
        }
        let Some((file, object)) = file_and_object(&both.source, &both.target) else { return };
        let Some(etag) = &object.etag else { return };
        let digests = both.known.md5.iter().chain(&both.known.crc64nvme);
        if let Some(row) = remember(&file.fingerprint, etag, digests, self.started_ns) {
            self.learned().learner.learn(&file.relative, &file.fingerprint, &row);
        }
    }

    /// A file that was sent, or that arrived.
    pub(super) fn moved(&self, action: &Action, proven: &Proven) {
        let name = match (&action.step, &self.folder) {
            (Step::Upload(upload), Some(folder)) => folder.strip(&upload.key),
            (Step::Download { download, .. }, _) => Some(download.path.as_str()),
            _ => None,
        };
        let (Some(name), Some(file), Some(etag)) = (name, &proven.file, &proven.etag) else { return };
        if let Some(row) = remember(file, etag, &proven.checksum, self.started_ns) {
            self.learned().learner.learn(name, file, &row);
        }
    }

    /// Which remembered files were met; none if the run did not see both sides to their ends.
    pub(super) fn visited(&self, visited: Option<Visited>) {
        self.learned().visited = visited.unwrap_or_else(Visited::nothing);
    }

    /// Writes it down. That this fails is worth a word, and nothing else: the next run reads more.
    pub(super) async fn keep(self, request: &SyncRequest, listener: &Listener) {
        let shard = request.shard;
        let trail = RefCell::new(trail_of(&request.filter, tree_of(&request.source, &request.target)));
        // What this run was not to look at may be there all the same.
        let may_forget = move |name: &str| {
            shard.is_none_or(|shard| shard.holds(name)) && trail.borrow_mut().judge(name).1.is_selected()
        };
        let saving = tokio::task::spawn_blocking(move || {
            let Learned { mut learner, visited } = self.learned.into_inner().unwrap_or_else(PoisonError::into_inner);
            learner.save(&visited, may_forget)
        });
        let message = match saving.await {
            Ok(Ok(_)) => return,
            Ok(Err(error)) => error.to_string(),
            Err(error) => error.to_string(),
        };
        let finding = Finding::new("cache-unusable", Severity::Suggestion, "the hash cache", message);
        let fix = "the next run reads the files again; free some space, or pass `--no-cache`";
        let _ = listener.events.send(Event::Finding(finding.with_fix(fix))).await;
    }
}

#[cfg(test)]
mod tests {
    use super::{BUDGET_BYTES, Lessons};
    use crate::apply::pipeline::Side;
    use crate::apply::sync::{Listener, SyncRequest};
    use crate::apply::transfer::Proven;
    use crate::local::CachePlace;
    use crate::model::{BucketName, ETag, Filter, Fingerprint, Prefix};
    use crate::plan::{Action, Reason, Step, Upload};
    use crate::sync::compare::Compare;
    use crate::sync::decide::Route;
    use crate::sync::proof::Rung;
    use std::path::Path;
    use std::time::Duration;
    use tokio::sync::mpsc;
    use tokio_util::sync::CancellationToken;

    fn request(spill_folder: &Path) -> SyncRequest {
        let (bucket, folder) = ("bucket".parse().unwrap(), Prefix::root());
        SyncRequest {
            route: Route::Upload { bucket, folder },
            source: Side::Nothing,
            target: Side::Nothing,
            filter: Filter::none(),
            compare: Compare::Content,
            shard: None,
            delete: None,
            cache: None,
            receipt: None,
            started_ns: i128::MAX,
            spill_folder: spill_folder.to_owned(),
            retry_for: Duration::ZERO,
        }
    }

    fn fingerprint(number: u64) -> Fingerprint {
        Fingerprint { size_bytes: number, mtime_ns: 1, ctime_ns: 1, device: 1, inode: number }
    }

    fn sent(name: &str, number: u64) -> (Action, Proven) {
        let (path, key) = (Path::new("/source").join(name), name.parse().unwrap());
        let upload = Upload { path, fingerprint: fingerprint(number), key, replaces: None };
        let bucket: BucketName = "bucket".parse().unwrap();
        let action = Action { bucket, step: Step::Upload(upload), reason: Reason::Missing };
        let etag = Some(ETag::new("0123456789abcdef0123456789abcdef"));
        let (rung, file) = (Rung::Echoed, Some(fingerprint(number)));
        (action, Proven { etag, checksum: None, rung, version_id: None, bytes: number, file })
    }

    #[tokio::test]
    async fn a_first_sync_remembers_more_than_memory_holds() {
        let (caches, spill) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let place =
            CachePlace::new(caches.path(), Path::new("/source"), "", &"bucket".parse().unwrap(), &Prefix::root());
        let request = request(spill.path());
        let lessons = Lessons::new(&place, &request);
        let name = |number: u64| format!("{}/{number:09}", "long".repeat(240));
        let files = u64::try_from(BUDGET_BYTES / name(0).len()).unwrap();
        for number in 0..files {
            let (action, proven) = sent(&name(number), number);
            lessons.moved(&action, &proven);
        }
        let (events, mut told) = mpsc::channel(1);
        lessons.keep(&request, &Listener { events, cancel: CancellationToken::new() }).await;
        assert!(told.recv().await.is_none(), "nothing is in the way");
        let mut reader = place.read();
        let known = (0..files).filter(|number| reader.lookup(&name(*number), &fingerprint(*number)).is_some());
        assert_eq!(known.count() as u64, files);
    }
}
