//! Uploads that an earlier run left unfinished: given up where nobody will go on with them, and only if they are ours.

use crate::aws::s3::{ErrorClass, MultipartUpload, S3Error, Store, object_url};
use crate::local::{Claim, Found, Journal, JournalError, ReadError, absolute, exists, fingerprint};
use crate::model::{BucketName, Fingerprint, ObjectKey, Prefix, Unfinished};
use crate::report::{Event, Finding, Severity};
use crate::sync::resume::{self, Stale};
use futures_util::TryStreamExt as _;
use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinError;

/// How long an upload may take to be aborted: a run that is stopped waits no longer.
pub(super) const GRACE: Duration = Duration::from_secs(2);

/// The source and the target of a run: what lies outside is none of its business.
#[derive(Debug, Clone)]
pub struct Scope {
    /// The file or directory that is sent.
    pub source: PathBuf,
    /// The bucket.
    pub bucket: BucketName,
    /// The folder in it.
    pub folder: Prefix,
}

impl Scope {
    fn holds(&self, remembered: &Unfinished, source: &Path) -> bool {
        let intent = &remembered.intent;
        self.folder.strip(&intent.key).is_some() && intent.path.starts_with(source)
    }
}

/// Gives up what earlier runs left of this source and target and what this run will not go on with: uploads whose file
/// is gone or changed, and those that `is_wanted` does not name because the run does not send their keys.
///
/// A source that is not there at all may be a disk that is not mounted: then nothing is touched. What cannot be done is
/// told as a finding and stops nobody.
pub async fn reconcile(
    store: &Store,
    journal: &Journal,
    scope: &Scope,
    is_wanted: &(dyn Fn(&ObjectKey) -> bool + Sync),
    events: &mpsc::Sender<Event>,
) {
    let idle = match look(journal, scope).await {
        Ok((idle, damaged)) => {
            for path in damaged {
                let _ = events.send(Event::Finding(set_aside(&scope.bucket, &path))).await;
            }
            idle
        }
        Err(finding) => {
            let _ = events.send(Event::Finding(finding)).await;
            return;
        }
    };
    let mut taken_up = BTreeSet::new();
    for Leftover { claim, remembered, now } in idle {
        // Of one key at most one is taken up: the first entry, which is the one that a run claims.
        let is_wanted = is_wanted(&remembered.intent.key) && taken_up.insert(remembered.intent.key.clone());
        let Err(stale) = resume::judge_leftover(&remembered.intent, now.as_ref(), is_wanted) else { continue };
        match give_up(store, &remembered, stale, events).await {
            Ok(()) => forget(claim, events).await,
            Err(error) => told_as_left(&remembered, &error, events).await,
        }
    }
}

/// An entry that nobody works on, and what its file is now.
struct Leftover {
    claim: Claim,
    remembered: Unfinished,
    now: Option<Fingerprint>,
}

/// The scope's entries that nobody works on, and where damaged ones went.
async fn look(journal: &Journal, scope: &Scope) -> Result<(Vec<Leftover>, Vec<PathBuf>), Finding> {
    let (journal, scope) = (journal.clone(), scope.clone());
    let target = format!("s3://{}", scope.bucket);
    let looked = tokio::task::spawn_blocking(move || {
        let (mut idle, mut damaged) = (Vec::new(), Vec::new());
        let source = absolute(&scope.source);
        if !exists(&source) {
            return Ok((idle, damaged));
        }
        let mut busy = BTreeSet::new();
        for found in journal.entries(&scope.bucket)? {
            match found {
                Found::Damaged(path) => damaged.push(path),
                Found::Busy(remembered) => _ = busy.insert(remembered.intent.key),
                Found::Idle(entry) if scope.holds(&entry.1, &source) => {
                    let (claim, remembered) = *entry;
                    // What cannot be looked at now may well be the same later.
                    let Ok(now) = file_now(&remembered.intent.path) else { continue };
                    idle.push(Leftover { claim, remembered, now });
                }
                Found::Idle(_) => {}
            }
        }
        // An upload without a name cannot be told from one that another process has just begun for the same key.
        let untold =
            |left: &Leftover| left.remembered.upload_id.is_none() && busy.contains(&left.remembered.intent.key);
        idle.retain(|left| !untold(left));
        Ok((idle, damaged))
    });
    match looked.await {
        Ok(Ok(looked)) => Ok(looked),
        Ok(Err(error)) => Err(unusable(&error)),
        Err(error) => Err(Finding::new("journal-unusable", Severity::Warning, target, error.to_string())),
    }
}

/// What the file is now; none if it is gone.
fn file_now(path: &Path) -> Result<Option<Fingerprint>, ReadError> {
    match fingerprint(path) {
        Ok(now) => Ok(Some(now)),
        Err(ReadError::Unreadable { source, .. })
            if matches!(source.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) =>
        {
            Ok(None)
        }
        Err(ReadError::NotRegular(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Aborts what is remembered and says why. After an error something of it may be left.
pub(super) async fn give_up(
    store: &Store,
    remembered: &Unfinished,
    stale: Stale,
    events: &mpsc::Sender<Event>,
) -> Result<(), S3Error> {
    let uploads = match remembered_upload(remembered) {
        Some(upload) => vec![upload],
        None => match find_orphans(store, remembered).await {
            // Nobody here can look, today or tomorrow. What is there, if anything, has no parts.
            Err(error)
                if matches!(error.class, ErrorClass::NotFound | ErrorClass::Denied | ErrorClass::Unsupported) =>
            {
                return Ok(());
            }
            found => found?,
        },
    };
    for upload in &uploads {
        match store.abort_multipart(upload).await {
            Ok(()) => {
                let target = object_url(&upload.bucket, &upload.key);
                let message = format!("gave up an unfinished upload of an earlier run: {stale}");
                let finding = Finding::new("leftover-upload", Severity::Suggestion, target, message);
                let _ = events.send(Event::Finding(finding)).await;
            }
            // Completed or aborted before.
            Err(error) if error.class == ErrorClass::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Tells that something of an earlier run may be left.
pub(super) async fn told_as_left(remembered: &Unfinished, error: &S3Error, events: &mpsc::Sender<Event>) {
    let target = object_url(&remembered.intent.bucket, &remembered.intent.key);
    let what = match &remembered.upload_id {
        Some(upload_id) => format!("the unfinished upload `{upload_id}` of an earlier run"),
        None => "what an earlier run may have begun".to_owned(),
    };
    let message = format!("{what} could not be aborted: {}", error.message);
    let _ = events.send(Event::Finding(unfinished(target, message))).await;
}

fn unfinished(target: String, message: String) -> Finding {
    let fix = "the bucket's lifecycle rule removes it after 7 days, or abort it with `uploads abort`";
    Finding::new("unfinished-upload", Severity::Warning, target, message).with_fix(fix)
}

/// Frees the parts of an upload. Where that fails a person must know, since parts cost money until someone removes them.
/// True if nothing of it is left.
pub(super) async fn abort(store: &Store, upload: &MultipartUpload, events: &mpsc::Sender<Event>) -> bool {
    let failed = match tokio::time::timeout(GRACE, store.abort_multipart(upload)).await {
        Ok(Ok(())) => return true,
        Ok(Err(error)) if error.class == ErrorClass::NotFound => return true,
        Ok(Err(error)) => error.to_string(),
        Err(_) => "the endpoint did not answer in time".to_owned(),
    };
    let target = object_url(&upload.bucket, &upload.key);
    let message = format!("the unfinished upload `{}` could not be aborted: {failed}", upload.upload_id);
    let _ = events.send(Event::Finding(unfinished(target, message))).await;
    false
}

/// The upload that is remembered, if its id is.
pub(super) fn remembered_upload(remembered: &Unfinished) -> Option<MultipartUpload> {
    Some(MultipartUpload {
        bucket: remembered.intent.bucket.clone(),
        key: remembered.intent.key.clone(),
        upload_id: remembered.upload_id.clone()?,
        algorithm: remembered.intent.algorithm,
    })
}

/// The uploads that came of an intent whose answer was never written down: as the intent says, and without any part.
async fn find_orphans(store: &Store, remembered: &Unfinished) -> Result<Vec<MultipartUpload>, S3Error> {
    let intent = &remembered.intent;
    let pages: Vec<_> = store.list_uploads(&intent.bucket, intent.key.as_str()).try_collect().await?;
    let mut orphans = Vec::new();
    for upload in resume::orphans(remembered, &pages.concat()) {
        let upload = MultipartUpload {
            bucket: intent.bucket.clone(),
            key: upload.key.clone(),
            upload_id: upload.upload_id.clone(),
            algorithm: intent.algorithm,
        };
        if store.list_parts(&upload).await?.is_empty() {
            orphans.push(upload);
        }
    }
    Ok(orphans)
}

/// Takes an entry out of the journal.
pub(super) async fn forget(claim: Claim, events: &mpsc::Sender<Event>) {
    let finished: Result<Result<(), JournalError>, JoinError> =
        tokio::task::spawn_blocking(move || claim.finish()).await;
    if let Ok(Err(error)) = finished {
        let _ = events.send(Event::Finding(unusable(&error))).await;
    }
}

/// The journal does not work; uploads go on without it.
pub(super) fn unusable(error: &JournalError) -> Finding {
    let message = format!("{error}: {}; uploads that are interrupted begin again", error.source);
    let fix = "make the folder writable, or point XDG_STATE_HOME to one that is";
    Finding::new("journal-unusable", Severity::Warning, &error.path, message).with_fix(fix)
}

/// An entry could not be understood.
pub fn set_aside(bucket: &BucketName, path: &Path) -> Finding {
    let message = "an entry of the journal of unfinished uploads is damaged and was set aside";
    let fix = format!("`uploads list s3://{bucket}` shows whether an upload was left; then the file can go");
    Finding::new("journal-damaged", Severity::Warning, path.display(), message).with_fix(fix)
}
