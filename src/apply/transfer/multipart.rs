//! One large file in parts: read and sent side by side, made an object only if the file is still what it was.

use super::limits::Buffer;
use super::prove::{ExpectedEtag, Sent};
use super::{Proven, Run, TransferError};
use crate::aws::s3::{Completion, ErrorClass, MultipartUpload, OpenPart, S3Error, Written, object_url};
use crate::hashing;
use crate::local::SourceFile;
use crate::model::{Algorithm, BucketName, Checksum, Echo, Fingerprint, escaped};
use crate::plan::Upload;
use crate::report::{Event, Finding, Severity};
use crate::sync::content_type;
use crate::sync::parts::{self, Part};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

/// How long a cancelled run waits for an upload to be begun or aborted, so that no parts stay behind.
pub(super) const GRACE: Duration = Duration::from_secs(2);

/// A part that arrived: `open.checksum` is what was sent, and `echoed` whether the endpoint named the same.
struct SentPart {
    open: OpenPart,
    echoed: bool,
}

impl Run {
    /// Sends a file in parts. Whatever goes wrong before the object appears, the upload is aborted.
    pub(super) async fn send_parts(
        self: &Arc<Self>,
        bucket: &BucketName,
        upload: &Upload,
        expected: &Fingerprint,
    ) -> Result<Proven, TransferError> {
        let (path, seen) = (upload.path.clone(), *expected);
        let opened = tokio::task::spawn_blocking(move || SourceFile::open_unchanged(&path, &seen));
        let file = Arc::new(opened.await??);
        let part_bytes = parts::part_bytes(expected.size_bytes, self.options.part_bytes);
        let part_bytes = part_bytes
            .ok_or_else(|| TransferError::TooLarge { path: escaped(&upload.path), bytes: expected.size_bytes })?;
        let multipart = Arc::new(self.begin(bucket, upload).await?);
        let cut = parts::parts(expected.size_bytes, part_bytes);
        let filled = self.unless_cancelled(self.fill(&file, &multipart, cut)).await;
        let sent_parts = match filled {
            Ok(sent_parts) => sent_parts,
            Err(error) => {
                self.abort(&multipart).await;
                return Err(error);
            }
        };
        let every_part_echoed = sent_parts.iter().all(|part| part.echoed);
        let open_parts: Vec<OpenPart> = sent_parts.into_iter().map(|part| part.open).collect();
        let mut sent = describe(bucket, upload, self.options.checksum, &open_parts);
        sent.every_part_echoed = every_part_echoed;
        if self.options.checksum != Algorithm::Md5 {
            sent.etag = ExpectedEtag::File { path: upload.path.clone(), fingerprint: *expected, part_bytes };
        }
        let complete = async { Ok(self.complete(&multipart, upload, &open_parts, &sent).await) };
        match self.unless_cancelled(complete).await {
            Ok(Ok(written)) => self.unless_cancelled(self.prove(&sent, written)).await,
            Ok(Err(error)) => {
                let settled = self.unless_cancelled(self.settle(&sent, error)).await;
                if settled.is_err() {
                    self.abort(&multipart).await;
                }
                settled
            }
            Err(error) => {
                self.abort(&multipart).await;
                Err(error)
            }
        }
    }

    /// Begins the upload. A run that is cancelled meanwhile waits a moment for the answer, since only the upload id in
    /// it lets the upload be aborted.
    async fn begin(&self, bucket: &BucketName, upload: &Upload) -> Result<MultipartUpload, TransferError> {
        let content_type = content_type::guess(upload.key.file_name());
        let create = self.store.create_multipart(bucket, &upload.key, content_type, self.options.checksum);
        tokio::pin!(create);
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => {
                if let Ok(Ok(begun)) = tokio::time::timeout(GRACE, create).await {
                    self.abort(&begun).await;
                }
                Err(TransferError::Cancelled)
            }
            begun = &mut create => Ok(begun?),
        }
    }

    /// Sends all parts, and makes sure that the file stayed the same while they were read.
    async fn fill(
        self: &Arc<Self>,
        file: &Arc<SourceFile>,
        multipart: &Arc<MultipartUpload>,
        cut: impl Iterator<Item = Part>,
    ) -> Result<Vec<SentPart>, TransferError> {
        let (mut under_way, mut sent) = (JoinSet::new(), Vec::new());
        for part in cut {
            while let Some(ended) = under_way.try_join_next() {
                sent.push(ended??);
            }
            // Taken here and not in the task: so many parts exist as there is room for, and a failed one is noticed
            // before the next begins.
            let buffer = self.pool.buffer(usize::try_from(part.length).unwrap_or(usize::MAX)).await;
            let slot = Arc::clone(&self.requests).acquire_owned().await;
            let (run, file, multipart) = (Arc::clone(self), Arc::clone(file), Arc::clone(multipart));
            under_way.spawn(async move {
                let result = run.send_part(&file, &multipart, part, buffer).await;
                drop(slot);
                result
            });
        }
        while let Some(ended) = under_way.join_next().await {
            sent.push(ended??);
        }
        let file = Arc::clone(file);
        tokio::task::spawn_blocking(move || file.check_unchanged()).await??;
        sent.sort_unstable_by_key(|part: &SentPart| part.open.number);
        Ok(sent)
    }

    async fn send_part(
        &self,
        file: &Arc<SourceFile>,
        multipart: &MultipartUpload,
        part: Part,
        mut buffer: Buffer,
    ) -> Result<SentPart, TransferError> {
        let (file, algorithm) = (Arc::clone(file), multipart.algorithm);
        let read = tokio::task::spawn_blocking(move || {
            file.read(part.offset, &mut buffer)?;
            let checksum = hashing::digest(algorithm, &buffer);
            Ok::<_, TransferError>((buffer.freeze(), checksum))
        });
        let (body, checksum) = read.await??;
        let mut open = self.store.upload_part(multipart, part.number, body, &checksum).await?;
        if let Some(answered) = open.checksum.take_if(|answered| *answered != checksum) {
            return Err(TransferError::Contradicted {
                target: format!("{} part {}", object_url(&multipart.bucket, &multipart.key), part.number),
                sent: checksum.to_string(),
                answered: answered.to_string(),
            });
        }
        self.advanced(part.length);
        let echoed = open.checksum.replace(checksum).is_some();
        Ok(SentPart { open, echoed })
    }

    async fn complete(
        &self,
        multipart: &MultipartUpload,
        upload: &Upload,
        open_parts: &[OpenPart],
        sent: &Sent<'_>,
    ) -> Result<Written, S3Error> {
        let _slot = self.requests.acquire().await;
        loop {
            let condition = self.condition(&multipart.bucket, upload).await?;
            let (whole, size_bytes) = (sent.checksum.as_ref(), sent.bytes);
            let completion = Completion { parts: open_parts, whole, size_bytes, condition: &condition };
            match self.store.complete_multipart(multipart, completion).await {
                Err(error) if self.goes_without_conditions(&error, &condition).await => {}
                answer => return answer,
            }
        }
    }

    /// Frees the parts. Where that fails a person must know, since parts cost money until someone removes them.
    pub(super) async fn abort(&self, multipart: &MultipartUpload) {
        let failed = match tokio::time::timeout(GRACE, self.store.abort_multipart(multipart)).await {
            Ok(Ok(())) => return,
            Ok(Err(error)) if error.class == ErrorClass::NotFound => return,
            Ok(Err(error)) => error.to_string(),
            Err(_) => "the endpoint did not answer in time".to_owned(),
        };
        let target = object_url(&multipart.bucket, &multipart.key);
        let message = format!("the unfinished upload `{}` could not be aborted: {failed}", multipart.upload_id);
        let fix = "the bucket's lifecycle rule removes it after 7 days, or abort it by hand";
        let finding = Finding::new("unfinished-upload", Severity::Warning, target, message).with_fix(fix);
        self.tell(Event::Finding(finding)).await;
    }
}

/// What the endpoint should say of the object that these parts make.
fn describe<'a>(bucket: &'a BucketName, upload: &'a Upload, algorithm: Algorithm, parts: &[OpenPart]) -> Sent<'a> {
    let checksums = || parts.iter().filter_map(|part| part.checksum.as_ref());
    let lengths = parts.iter().map(|part| part.size_bytes);
    let whole = hashing::combine_parts(checksums().zip(lengths));
    let echo = match (&whole, algorithm) {
        (_, Algorithm::Md5) => None,
        (Some(whole), _) => Some(Echo::Whole(whole.clone())),
        (None, _) => {
            let digest = hashing::composite(algorithm, checksums());
            Some(Echo::Composite(format!("{}-{}", digest.base64(), parts.len())))
        }
    };
    Sent {
        bucket,
        key: &upload.key,
        bytes: parts.iter().map(|part| part.size_bytes).sum(),
        echo,
        every_part_echoed: false,
        etag: ExpectedEtag::Known(hashing::multipart_etag(checksums().map(Checksum::digest))),
        checksum: whole,
    }
}
