//! One large file in parts: read and sent side by side, made an object only if the file is still what it was.

use super::limits::Buffer;
use super::prove::{ExpectedEtag, Sent};
use super::{Proven, Run, TransferError, resume};
use crate::apply::leftovers;
use crate::aws::s3::{Completion, MultipartUpload, S3Error, Written, object_url};
use crate::hashing;
use crate::local::SourceFile;
use crate::model::{Algorithm, BucketName, Checksum, Echo, Fingerprint, OpenPart, escaped};
use crate::plan::Upload;
use crate::sync::parts::{self, Part};
use crate::sync::resume::is_held;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::task::JoinSet;

/// A part that arrived: `open.checksum` is what was sent, and `echoed` whether the endpoint named the same.
struct SentPart {
    open: OpenPart,
    echoed: bool,
}

impl Run {
    /// Sends a file in parts, or those that an earlier run did not. Whatever goes wrong before the object appears, the
    /// upload is aborted or, with a journal, left for the next run where that can go on with it.
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
        let intent = resume::intent(self, bucket, upload, expected, part_bytes);
        let claim = self.claim(&intent).await;
        let mut begun = self.begin(&intent, claim).await?;
        let held = std::mem::take(&mut begun.held);
        let sent = self.send_begun(&begun.multipart, held, &file, upload, part_bytes).await;
        match &sent {
            Ok(_) => self.arrived(begun).await,
            Err(error) => self.leave(begun, error).await,
        }
        sent
    }

    async fn send_begun(
        self: &Arc<Self>,
        multipart: &Arc<MultipartUpload>,
        held: BTreeMap<i32, OpenPart>,
        file: &Arc<SourceFile>,
        upload: &Upload,
        part_bytes: u64,
    ) -> Result<Proven, TransferError> {
        let fingerprint = *file.fingerprint();
        let cut = parts::parts(fingerprint.size_bytes, part_bytes);
        let sent_parts = self.unless_cancelled(self.fill(file, multipart, cut, held)).await?;
        let every_part_echoed = sent_parts.iter().all(|part| part.echoed);
        let open_parts: Vec<OpenPart> = sent_parts.into_iter().map(|part| part.open).collect();
        let mut sent = describe(&multipart.bucket, upload, multipart.algorithm, &open_parts);
        sent.every_part_echoed = every_part_echoed;
        if multipart.algorithm != Algorithm::Md5 {
            sent.etag = ExpectedEtag::File { path: upload.path.clone(), fingerprint, part_bytes };
        }
        let complete = async { Ok(self.complete(multipart, upload, &open_parts, &sent).await) };
        match self.unless_cancelled(complete).await? {
            Ok(written) => self.unless_cancelled(self.prove(&sent, written)).await,
            Err(error) => {
                let settled = self.unless_cancelled(self.settle(&sent, error)).await?;
                // The object that was found may be another writer's with the same content; then these parts are in vain.
                leftovers::abort(&self.store, multipart, &self.events).await;
                Ok(settled)
            }
        }
    }

    /// Sends all parts, and makes sure that the file stayed the same while they were read.
    async fn fill(
        self: &Arc<Self>,
        file: &Arc<SourceFile>,
        multipart: &Arc<MultipartUpload>,
        cut: impl Iterator<Item = Part>,
        mut held: BTreeMap<i32, OpenPart>,
    ) -> Result<Vec<SentPart>, TransferError> {
        let (mut under_way, mut sent) = (JoinSet::new(), Vec::new());
        for part in cut {
            while let Some(ended) = under_way.try_join_next() {
                sent.push(ended??);
            }
            // Taken here and not in the task: so many parts exist as there is room for, and a failed one is noticed
            // before the next begins.
            let buffer = self.pool.buffer(usize::try_from(part.length).unwrap_or(usize::MAX)).await;
            let slot = self.requests.acquire().await;
            let (run, file, multipart) = (Arc::clone(self), Arc::clone(file), Arc::clone(multipart));
            let held = held.remove(&part.number);
            under_way.spawn(async move {
                let result = run.send_part(&file, &multipart, part, held, buffer).await;
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

    /// Reads a part and sends it, unless the service holds these very bytes already.
    async fn send_part(
        &self,
        file: &Arc<SourceFile>,
        multipart: &MultipartUpload,
        part: Part,
        held: Option<OpenPart>,
        mut buffer: Buffer,
    ) -> Result<SentPart, TransferError> {
        let (file, algorithm) = (Arc::clone(file), multipart.algorithm);
        let read = tokio::task::spawn_blocking(move || {
            file.read(part.offset, &mut buffer)?;
            let checksum = hashing::digest(algorithm, &buffer);
            let md5 = || hashing::digest(Algorithm::Md5, &buffer);
            let held = held.filter(|held| is_held(held, part.length, &checksum, md5));
            Ok::<_, TransferError>((buffer.freeze(), checksum, held))
        });
        let (body, checksum, held) = read.await??;
        if let Some(mut open) = held {
            self.advanced(part.length);
            let echoed = open.checksum.replace(checksum).is_some();
            return Ok(SentPart { open, echoed });
        }
        self.bandwidth.take(part.length).await;
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
