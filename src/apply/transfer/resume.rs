//! Begins uploads in parts so that a later run can go on with them, and goes on with what an earlier run left.
//!
//! The order of writes is what makes it safe: the intent before the service is asked, the upload's id before the first
//! part, and the entry goes only when the object is in place or the upload aborted. A journal that cannot be used costs
//! the resume and nothing else.

use super::{Run, TransferError};
use crate::apply::leftovers::{self, GRACE};
use crate::aws::s3::{ErrorClass, MultipartUpload, S3Error, object_url};
use crate::local::{Claim, Journal, JournalError, absolute};
use crate::model::{BucketName, Fingerprint, Intent, ObjectKey, OpenPart, Unfinished};
use crate::plan::Upload;
use crate::report::{Event, Progress};
use crate::sync::content_type;
use crate::sync::resume::{self, Stale};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// An upload that is under way.
pub(super) struct Begun {
    pub(super) multipart: Arc<MultipartUpload>,
    /// The parts that were there before this run, by their numbers.
    pub(super) held: BTreeMap<i32, OpenPart>,
    claim: Option<Claim>,
}

/// What must not change if an upload is to be taken up later.
pub(super) fn intent(
    run: &Run,
    bucket: &BucketName,
    upload: &Upload,
    expected: &Fingerprint,
    part_bytes: u64,
) -> Intent {
    let separator = if run.options.attributes.is_empty() { "" } else { "; " };
    Intent {
        bucket: bucket.clone(),
        key: upload.key.clone(),
        path: absolute(&upload.path),
        fingerprint: *expected,
        part_bytes,
        algorithm: run.options.checksum,
        attributes: format!("content-type: {}{}{}", content_type(run, &upload.key), separator, run.options.attributes),
    }
}

/// The media type that an object gets.
fn content_type<'run>(run: &'run Run, key: &ObjectKey) -> &'run str {
    run.options.attributes.content_type_or(content_type::guess(key.file_name()))
}

impl Run {
    /// The journal's entry for a key. Without a journal that works there is none, and that is told once.
    pub(super) async fn claim(&self, intent: &Intent) -> Option<Claim> {
        let journal = self.options.journal.clone()?;
        let (bucket, key) = (intent.bucket.clone(), intent.key.clone());
        let claimed = tokio::task::spawn_blocking(move || journal.claim(&bucket, &key)).await.ok()?;
        let claim = match claimed {
            Ok(claim) => claim,
            Err(error) => {
                self.journal_failed(&error).await;
                return None;
            }
        };
        if let Some(path) = claim.set_aside() {
            self.tell(Event::Finding(leftovers::set_aside(&intent.bucket, path))).await;
        }
        Some(claim)
    }

    /// Goes on with the upload that an earlier run left, or begins a new one.
    pub(super) async fn begin(&self, intent: &Intent, claim: Option<Claim>) -> Result<Begun, TransferError> {
        let former = claim.as_ref().and_then(Claim::former).cloned();
        // An upload without a name can be told from one that another process has just begun only if there is none such.
        let untold = |former: &Unfinished| former.upload_id.is_none() && claim.as_ref().is_some_and(Claim::shares_key);
        if let Some(former) = former.filter(|former| !untold(former))
            && let Some((multipart, parts)) = self.take_up(&former, intent).await?
        {
            let bytes = parts.iter().map(|part| part.size_bytes).sum();
            let target = object_url(&multipart.bucket, &multipart.key);
            self.tell(Event::Progress(Progress::Resumed { target, bytes })).await;
            let held = parts.into_iter().map(|part| (part.number, part)).collect();
            return Ok(Begun { multipart: Arc::new(multipart), held, claim });
        }
        self.begin_anew(intent, claim).await
    }

    /// The upload that is remembered and its parts, if it is of use; what is of none is given up.
    async fn take_up(
        &self,
        former: &Unfinished,
        intent: &Intent,
    ) -> Result<Option<(MultipartUpload, Vec<OpenPart>)>, TransferError> {
        let stale = match (resume::judge(&former.intent, intent), leftovers::remembered_upload(former)) {
            (Ok(()), Some(multipart)) => {
                let listed = async { Ok(self.store.list_parts(&multipart).await) };
                match self.unless_cancelled(listed).await? {
                    Ok(parts) => return Ok(Some((multipart, parts))),
                    Err(error) => match error.class {
                        ErrorClass::NotFound => return Ok(None),
                        ErrorClass::Denied | ErrorClass::Unsupported => Stale::PartsUntold,
                        _ => return Err(error.into()),
                    },
                }
            }
            (Ok(()), None) => Stale::Empty,
            (Err(stale), _) => stale,
        };
        let given_up = async { Ok(leftovers::give_up(&self.store, former, stale, &self.events).await) };
        match self.unless_cancelled(given_up).await?.map_err(TransferError::from) {
            // Once the new upload is written down nobody remembers this one: it has to go first.
            Err(error) if is_worth_resuming(&error) => Err(error),
            Err(TransferError::S3(error)) => {
                leftovers::told_as_left(former, &error, &self.events).await;
                Ok(None)
            }
            Err(error) => Err(error),
            Ok(()) => Ok(None),
        }
    }

    /// Begins an upload. A run that is cancelled meanwhile waits a moment for the answer, since only the upload id in it
    /// lets the upload be aborted.
    async fn begin_anew(&self, intent: &Intent, claim: Option<Claim>) -> Result<Begun, TransferError> {
        let written = intent.clone();
        let claim = self.write_down(claim, move |claim, journal| claim.begin(journal, &written)).await;
        let (content_type, attributes) = (content_type(self, &intent.key), &self.options.attributes);
        let (bucket, key) = (&intent.bucket, &intent.key);
        // An answer that is lost leaves an upload that only a look finds, which comes before the next try.
        let create = self.once.create_multipart(bucket, key, content_type, attributes, intent.algorithm);
        tokio::pin!(create);
        let created = tokio::select! {
            biased;
            () = self.cancel.cancelled() => {
                let answer = tokio::time::timeout(GRACE, create).await;
                match answer {
                    Ok(Ok(begun)) => self.end(&begun, claim).await,
                    Ok(Err(error)) => self.not_begun(&error, claim).await,
                    // The next run looks for what may have come of it.
                    Err(_) => {}
                }
                return Err(TransferError::Cancelled);
            }
            created = &mut create => created,
        };
        let multipart = match created {
            Ok(multipart) => Arc::new(multipart),
            Err(error) => {
                self.not_begun(&error, claim).await;
                return Err(error.into());
            }
        };
        let upload_id = multipart.upload_id.clone();
        let claim = self.write_down(claim, move |claim, _| claim.opened(&upload_id)).await;
        Ok(Begun { multipart, held: BTreeMap::new(), claim })
    }

    /// After a refusal there is nothing to remember; after silence there may be an upload that nobody heard of.
    async fn not_begun(&self, error: &S3Error, claim: Option<Claim>) {
        let refused = error.status.is_some_and(|status| (400..500).contains(&status));
        if let Some(claim) = claim.filter(|_| refused) {
            leftovers::forget(claim, &self.events).await;
        }
    }

    /// The object is in place.
    pub(super) async fn arrived(&self, begun: Begun) {
        self.kept().remove(&begun.multipart.key);
        if let Some(claim) = begun.claim {
            leftovers::forget(claim, &self.events).await;
        }
    }

    /// The object is not in place: what arrived is kept for the next run if that can go on with it, else freed.
    pub(super) async fn leave(&self, begun: Begun, error: &TransferError) {
        if begun.claim.is_some() && is_worth_resuming(error) {
            self.kept().insert(begun.multipart.key.clone());
        } else {
            self.kept().remove(&begun.multipart.key);
            self.end(&begun.multipart, begun.claim).await;
        }
    }

    /// Aborts an upload, and forgets it if that worked.
    async fn end(&self, multipart: &MultipartUpload, claim: Option<Claim>) {
        let is_gone = leftovers::abort(&self.store, multipart, &self.events).await;
        if let Some(claim) = claim.filter(|_| is_gone) {
            leftovers::forget(claim, &self.events).await;
        }
    }

    /// Writes to an entry. One that cannot be written to is given up.
    async fn write_down(
        &self,
        claim: Option<Claim>,
        write: impl FnOnce(&mut Claim, &Journal) -> Result<(), JournalError> + Send + 'static,
    ) -> Option<Claim> {
        let (mut claim, journal) = (claim?, self.options.journal.clone()?);
        let written = tokio::task::spawn_blocking(move || match write(&mut claim, &journal) {
            Ok(()) => Ok(claim),
            Err(error) => {
                // Half an entry would only be in the way; the first error is the one that counts.
                let _ = claim.finish();
                Err(error)
            }
        });
        match written.await.ok()? {
            Ok(claim) => Some(claim),
            Err(error) => {
                self.journal_failed(&error).await;
                None
            }
        }
    }

    async fn journal_failed(&self, error: &JournalError) {
        if !self.journal_failed.swap(true, Ordering::Relaxed) {
            self.tell(Event::Finding(leftovers::unusable(error))).await;
        }
    }
}

/// True where nothing is wrong with what arrived, so that the next run goes on from there: the user stopped the run, the
/// network or the service failed, the credentials ran out.
const fn is_worth_resuming(error: &TransferError) -> bool {
    use ErrorClass::{
        BadCredentials, ClockSkew, ExpiredCredentials, NoCredentials, NotS3, ServerFault, Throttled, Unreachable,
    };
    match error {
        TransferError::Cancelled => true,
        TransferError::S3(error) => matches!(
            error.class,
            Unreachable
                | Throttled
                | ServerFault
                | NotS3
                | ExpiredCredentials
                | NoCredentials
                | BadCredentials
                | ClockSkew
        ),
        _ => false,
    }
}
