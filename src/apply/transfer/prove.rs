//! Climbs the proof ladder, and keeps a write to the state that its plan saw.

use super::retry::passes;
use super::{Proven, Run, TransferError};
use crate::aws::s3::{ErrorClass, S3Error, Store, WriteCondition, Written, object_url};
use crate::hashing;
use crate::local::{DigestsWanted, digest_file};
use crate::model::{Algorithm, BucketName, Checksum, ETag, Echo, Fingerprint, ObjectHead, ObjectKey};
use crate::plan::Upload;
use crate::report::{Event, Finding, Severity};
use crate::sync::proof::{Proof, Rung, by_echo, by_etag, by_head};
use bytes::Bytes;
use std::path::PathBuf;
use std::sync::atomic::Ordering;

/// What was sent, in every form in which an endpoint may confirm it.
pub(super) struct Sent<'a> {
    pub(super) bucket: &'a BucketName,
    pub(super) key: &'a ObjectKey,
    pub(super) bytes: u64,
    /// The checksum that the endpoint should name; none for MD5, which it only checks.
    pub(super) echo: Option<Echo>,
    /// Whether it named the right checksum for every part.
    pub(super) every_part_echoed: bool,
    pub(super) etag: ExpectedEtag,
    /// The checksum of the whole content, for the receipt.
    pub(super) checksum: Option<Checksum>,
}

/// The ETag that the content has where ETags are MD5s. MD5 is dear, so it is made only when the ladder needs it.
pub(super) enum ExpectedEtag {
    Known(ETag),
    Body(Bytes),
    /// Of a file that went up in parts, read again.
    File {
        path: PathBuf,
        fingerprint: Fingerprint,
        part_bytes: u64,
    },
}

impl ExpectedEtag {
    async fn value(&self) -> Result<ETag, TransferError> {
        match self {
            Self::Known(etag) => Ok(etag.clone()),
            Self::Body(body) => {
                let body = body.clone();
                let md5 = tokio::task::spawn_blocking(move || hashing::digest(Algorithm::Md5, &body)).await?;
                Ok(ETag::new(&md5.hex()))
            }
            Self::File { path, fingerprint, part_bytes } => {
                let wanted = DigestsWanted { part_sizes: vec![*part_bytes], ..DigestsWanted::default() };
                let (path, fingerprint) = (path.clone(), *fingerprint);
                let digests = tokio::task::spawn_blocking(move || digest_file(&path, &fingerprint, &wanted)).await??;
                Ok(digests.multipart.into_iter().next().unwrap_or_else(|| ETag::new("")))
            }
        }
    }
}

impl Sent<'_> {
    fn url(&self) -> String {
        object_url(self.bucket, self.key)
    }

    fn proven(&self, rung: Rung, etag: Option<ETag>, version_id: Option<String>) -> Proven {
        Proven { etag, checksum: self.checksum.clone(), rung, version_id, bytes: self.bytes, file: None }
    }

    /// The rung, if one holds; an error if the endpoint says that it has something else.
    fn judge(&self, proof: Proof) -> Result<Option<Rung>, TransferError> {
        match proof {
            Proof::Holds(rung) => Ok(Some(rung)),
            Proof::Open => Ok(None),
            Proof::Contradicted { sent, answered } => {
                Err(TransferError::Contradicted { target: self.url(), sent, answered })
            }
        }
    }
}

impl Run {
    /// Finds the first rung that holds for a write that was answered.
    pub(super) async fn prove(&self, sent: &Sent<'_>, written: Written) -> Result<Proven, TransferError> {
        let rung = match self.climb(sent, &written).await? {
            Some(rung) => rung,
            None => {
                let expected = sent.etag.value().await?;
                let last = sent.judge(by_etag(&expected, written.etag.as_ref()))?;
                last.ok_or_else(|| TransferError::Unproven(sent.url()))?
            }
        };
        Ok(sent.proven(rung, written.etag, written.version_id))
    }

    /// The rungs above the last.
    async fn climb(&self, sent: &Sent<'_>, written: &Written) -> Result<Option<Rung>, TransferError> {
        let Some(echo) = &sent.echo else { return Ok(None) };
        if let Some(rung) = sent.judge(by_echo(echo, written.echo.as_ref(), Rung::Echoed))? {
            return Ok(Some(rung));
        }
        let head = self.look(sent, written.etag.as_ref()).await.ok().flatten();
        if let Some(head) = &head
            && let Some(rung) = sent.judge(by_head(echo, sent.bytes, head))?
        {
            return Ok(Some(rung));
        }
        // HEAD has just agreed on the size, or it could not be asked and nothing agrees.
        Ok((sent.every_part_echoed && head.is_some()).then_some(Rung::Parts))
    }

    /// What HEAD says of the object with this ETag; none where it shows the object of a later writer.
    async fn look(&self, sent: &Sent<'_>, etag: Option<&ETag>) -> Result<Option<ObjectHead>, S3Error> {
        let head = told(&self.store, sent.bucket, sent.key).await?;
        Ok(head.filter(|head| etag.is_none() || head.etag.is_none() || head.etag.as_ref() == etag))
    }

    /// Decides about a write that ended in an error: after a lost answer the object may be there all the same, and
    /// then the repeated request met its own object, or an upload that is no longer open.
    pub(super) async fn settle(&self, sent: &Sent<'_>, error: S3Error) -> Result<Proven, TransferError> {
        use ErrorClass::{NotFound, NotS3, Precondition, ServerFault};
        if matches!(error.class, Precondition | NotS3 | NotFound | ServerFault)
            && let Some(head) = self.look(sent, None).await?
        {
            let by_checksum = sent.echo.as_ref().map_or(Proof::Open, |echo| by_head(echo, sent.bytes, &head));
            let rung = match by_checksum {
                Proof::Holds(rung) => Some(rung),
                Proof::Open if head.size_bytes == sent.bytes => {
                    sent.judge(by_etag(&sent.etag.value().await?, head.etag.as_ref()))?
                }
                Proof::Open | Proof::Contradicted { .. } => None,
            };
            if let Some(rung) = rung {
                return Ok(sent.proven(rung, head.etag, head.version_id));
            }
        }
        Err(if error.class == Precondition { TransferError::ChangedThere(sent.url()) } else { error.into() })
    }

    /// What the next write of `upload` is conditional on.
    ///
    /// On an endpoint without conditional writes the state is looked at just before the write instead. That leaves a
    /// gap of one request in which another writer is not noticed.
    pub(super) async fn condition(&self, bucket: &BucketName, upload: &Upload) -> Result<WriteCondition, S3Error> {
        self.condition_at(bucket, &upload.key, upload.replaces.as_ref()).await
    }

    /// The same for any write to `key` that replaces `replaces`.
    pub(super) async fn condition_at(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        replaces: Option<&ETag>,
    ) -> Result<WriteCondition, S3Error> {
        if !self.without_conditions.load(Ordering::Relaxed) {
            return Ok(replaces.cloned().map_or(WriteCondition::Absent, WriteCondition::Matches));
        }
        let found = self.store.head_object(bucket, key).await?.and_then(|head| head.etag);
        if found.as_ref() == replaces {
            return Ok(WriteCondition::Always);
        }
        let message = "the object is not the one that the plan saw";
        let error = S3Error::unexpected("HeadObject", object_url(bucket, key), message);
        Err(S3Error { class: ErrorClass::Precondition, ..error })
    }

    /// True if `error` says that the endpoint does not know conditional writes, so that it is worth to try without.
    pub(super) async fn goes_without_conditions(&self, error: &S3Error, condition: &WriteCondition) -> bool {
        if error.class != ErrorClass::Unsupported || *condition == WriteCondition::Always {
            return false;
        }
        if !self.without_conditions.swap(true, Ordering::Relaxed) {
            let message =
                "the endpoint does not know conditional writes; each object is looked at before it is written";
            let finding = Finding::new("no-conditional-writes", Severity::Warning, &error.target, message);
            self.tell(Event::Finding(finding)).await;
        }
        true
    }
}

/// What HEAD says of an object; none where there is none, or the caller may not ask. Trouble that passes is an error: it
/// tells nothing of the object, and a later look may.
pub(super) async fn told(store: &Store, bucket: &BucketName, key: &ObjectKey) -> Result<Option<ObjectHead>, S3Error> {
    match store.head_object(bucket, key).await {
        Err(error) if !passes(error.class) => Ok(None),
        answer => answer,
    }
}
