//! One object into another: inside the service where both ends are of one endpoint, through this program otherwise.
//!
//! A copy takes the attributes and the tags along, as CopyObject does, unless the run gives others, and leaves storage class
//! and encryption to the target's bucket, unless the run names them. Tags that the caller may not read stay behind with a
//! finding. The copy is conditional on both ends: on the object that was seen at the source, and on what was seen at the target.
//!
//! The proof of a copy is that it has the checksum or the ETag of its source. A source in parts without a stored checksum
//! is copied in the same parts where their size can be told, so that both ETags agree.

use super::download::Wanted;
use super::limits::Buffer;
use super::prove::{ExpectedEtag, Sent, told};
use super::{Proven, Run, TransferError, TransferOptions};
use crate::apply::leftovers::{self, GRACE};
use crate::aws::s3::{
    CarriedAttributes, Completion, ErrorClass, MultipartUpload, ObjectCopy, ObjectWrite, S3Error, Source, Store,
    Written, object_url,
};
use crate::hashing;
use crate::model::{Algorithm, BucketName, Checksum, ETag, Echo, ObjectAttributes, ObjectHead, ObjectKey, OpenPart};
use crate::plan::CopyTask;
use crate::report::{Event, Finding, Severity};
use crate::sync::arrival::Measure;
use crate::sync::parts::{self, Part};
use crate::sync::proof::Rung;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// How the bytes get from one end to the other.
#[derive(Debug, Clone)]
pub enum Way {
    /// Inside the service, which the credentials of the target's store reach both ends of.
    Inside {
        /// The largest object that is copied with one request, at most [`parts::MAX_COPY_BYTES`].
        whole_up_to_bytes: u64,
        /// The part size above that: [`parts::COPY_PART_BYTES`], or another.
        part_bytes: u64,
    },
    /// Inside the service, with the usual sizes, from a bucket that may be in another Region: this store reads it, with the
    /// credentials of the target's.
    Across(Store),
    /// Through this program, from this store: another endpoint, or other credentials.
    Through(Store),
}

impl Way {
    /// Inside the service, with the usual sizes.
    pub const INSIDE: Self =
        Self::Inside { whole_up_to_bytes: parts::COPY_WHOLE_UP_TO_BYTES, part_bytes: parts::COPY_PART_BYTES };

    /// The store that reads the source, if that is another one than writes the copy.
    pub(in crate::apply) const fn reader(&self) -> Option<&Store> {
        match self {
            Self::Inside { .. } => None,
            Self::Across(source) | Self::Through(source) => Some(source),
        }
    }

    /// The store that reads the source, where `target` writes the copy. The source may belong to another account.
    fn source(&self, target: &Store) -> Store {
        self.reader().cloned().unwrap_or_else(|| target.of_any_owner())
    }

    /// Inside the service: the largest object that goes whole, and the part size above that, in bytes.
    const fn inside(&self) -> Option<(u64, u64)> {
        match self {
            Self::Inside { whole_up_to_bytes, part_bytes } => Some((*whole_up_to_bytes, *part_bytes)),
            Self::Across(_) => Some((parts::COPY_WHOLE_UP_TO_BYTES, parts::COPY_PART_BYTES)),
            Self::Through(_) => None,
        }
    }
}

/// Copies one object. The caller hears of its movement by events, and of its end by the result alone.
pub async fn copy(
    store: &Store,
    bucket: &BucketName,
    task: &CopyTask,
    way: &Way,
    options: &TransferOptions,
    events: &mpsc::Sender<Event>,
    cancel: &CancellationToken,
) -> Result<Proven, TransferError> {
    Run::new(store, options, events, cancel).copy(bucket, task, way).await
}

/// What is to be copied in parts, and how.
struct InParts {
    way: Way,
    wanted: Wanted,
    multipart: MultipartUpload,
}

/// A part of the copy: `open.checksum` is that of its bytes, and `echoed` whether the endpoint named it.
struct MadePart {
    open: OpenPart,
    echoed: bool,
}

/// Both ends of a copy, and who reads its source.
#[derive(Clone, Copy)]
struct Ends<'copy> {
    bucket: &'copy BucketName,
    task: &'copy CopyTask,
    wanted: &'copy Wanted,
    source: &'copy Store,
}

/// Whether somebody wants to know the tags of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tags {
    Read,
    Unread,
}

/// A source as HEAD shows it.
struct Described {
    head: ObjectHead,
    attributes: CarriedAttributes,
}

impl Run {
    /// Copies an object to `task.key` of `bucket` in this run's store.
    pub(super) async fn copy(
        self: &Arc<Self>,
        bucket: &BucketName,
        task: &CopyTask,
        way: &Way,
    ) -> Result<Proven, TransferError> {
        let wanted = Wanted { bucket: task.from_bucket.clone(), key: task.from_key.clone(), etag: task.etag.clone() };
        match (way, way.inside()) {
            (_, Some((whole_up_to_bytes, _))) if task.size_bytes <= whole_up_to_bytes.min(parts::MAX_COPY_BYTES) => {
                let source = way.source(&self.store);
                self.unless_cancelled(self.copy_inside(bucket, task, &wanted, &source)).await
            }
            (Way::Through(source), _) if task.size_bytes < self.options.multipart_from_bytes => {
                self.unless_cancelled(self.copy_through(bucket, task, &wanted, source)).await
            }
            _ => self.copy_in_parts(bucket, task, wanted, way).await,
        }
    }

    async fn copy_inside(
        &self,
        bucket: &BucketName,
        task: &CopyTask,
        wanted: &Wanted,
        source: &Store,
    ) -> Result<Proven, TransferError> {
        let given = &*self.options.attributes;
        // The service takes either all attributes of the source or none, so where some are given, all are.
        let instead = if given.has_headers() {
            let described = self.describe(wanted, task.size_bytes, source, Tags::Unread).await?;
            Some(described.attributes.overlaid(given))
        } else {
            None
        };
        let _slot = self.requests.acquire().await;
        let answer = loop {
            let condition = self.condition_at(bucket, &task.key, task.replaces.as_ref()).await?;
            let from = Source { bucket: &wanted.bucket, key: &wanted.key, if_match: wanted.etag.as_ref() };
            let (key, algorithm, instead) = (&task.key, self.options.checksum, instead.as_ref());
            let copy = ObjectCopy { from, bucket, key, algorithm, condition: &condition, instead, given };
            match self.store.copy_object(&copy).await {
                Err(error) if self.goes_without_conditions(&error, &condition).await => {}
                answer => break answer,
            }
        };
        let ends = Ends { bucket, task, wanted, source };
        let proven = match answer {
            Ok(written) => self.prove_copy(&ends, written).await?,
            Err(error) => self.settle_copy(&ends, error).await?,
        };
        self.advanced(task.size_bytes);
        Ok(proven)
    }

    /// Compares a copy that the service made with its source; asks no more than is needed to tell.
    async fn prove_copy(&self, ends: &Ends<'_>, written: Written) -> Result<Proven, TransferError> {
        let Ends { bucket, task, wanted, source } = *ends;
        let Written { etag, echo, version_id } = written;
        let whole = match echo {
            Some(Echo::Whole(checksum)) => Some(checksum),
            Some(Echo::Composite(_)) | None => None,
        };
        let proven = |rung, checksum| Proven {
            etag: etag.clone(),
            checksum,
            rung,
            version_id,
            bytes: task.size_bytes,
            file: None,
        };
        if etag.is_some() && etag == wanted.etag {
            return Ok(proven(Rung::AsSource, whole));
        }
        let source = source.head_object(&wanted.bucket, &wanted.key).await?;
        let source = source.filter(|head| wanted.is(head, task.size_bytes));
        let source = source.ok_or_else(|| TransferError::ChangedThere(wanted.url()))?;
        // Only where the copy's checksum does not compare is the copy itself looked at.
        let copy = match &whole {
            Some(checksum) if source.checksum(checksum.algorithm()).is_some() => {
                ObjectHead { size_bytes: task.size_bytes, checksums: vec![checksum.clone()], ..ObjectHead::default() }
            }
            _ => self.store.head_object(bucket, &task.key).await?.unwrap_or_default(),
        };
        let rung = compare(&object_url(bucket, &task.key), &source, &copy)?;
        Ok(proven(rung, whole.or_else(|| copy.checksum(Algorithm::Crc64Nvme).cloned())))
    }

    /// Decides about a copy that ended in an error: after a lost answer it may be there all the same. Otherwise says
    /// which end was changed, which the service does not.
    async fn settle_copy(&self, ends: &Ends<'_>, error: S3Error) -> Result<Proven, TransferError> {
        let Ends { bucket, task, wanted, source } = *ends;
        if !matches!(error.class, ErrorClass::Precondition | ErrorClass::NotS3 | ErrorClass::ServerFault) {
            return Err(error.into());
        }
        let source = told(source, &wanted.bucket, &wanted.key).await?;
        let Some(source) = source.filter(|head| wanted.is(head, task.size_bytes)) else {
            return Err(TransferError::ChangedThere(wanted.url()));
        };
        let target = object_url(bucket, &task.key);
        if let Some(copy) = told(&self.store, bucket, &task.key).await?
            && matches!(compare(&target, &source, &copy), Ok(Rung::AsSource))
        {
            let checksum = copy.checksum(Algorithm::Crc64Nvme).cloned();
            let ObjectHead { etag, version_id, size_bytes: bytes, .. } = copy;
            return Ok(Proven { etag, checksum, rung: Rung::AsSource, version_id, bytes, file: None });
        }
        Err(if error.class == ErrorClass::Precondition { TransferError::ChangedThere(target) } else { error.into() })
    }

    /// What is known of the source, its tags included, if it still is the object that was seen.
    async fn describe(
        &self,
        wanted: &Wanted,
        size_bytes: u64,
        source: &Store,
        wanted_tags: Tags,
    ) -> Result<Described, TransferError> {
        let _slot = self.requests.acquire().await;
        let found = source.describe_object(&wanted.bucket, &wanted.key).await?;
        let found = found.filter(|(head, ..)| wanted.is(head, size_bytes));
        let (head, mut attributes, tags) = found.ok_or_else(|| TransferError::ChangedThere(wanted.url()))?;
        if tags > 0 && wanted_tags == Tags::Read {
            match source.object_tagging(&wanted.bucket, &wanted.key).await {
                Ok(tagging) => attributes.tagging = tagging,
                Err(error) => {
                    let message = format!("its {tags} tags could not be read, so the copy has none: {}", error.message);
                    let finding = Finding::new("tags-not-copied", Severity::Warning, wanted.url(), message);
                    self.tell(Event::Finding(finding)).await;
                }
            }
        }
        Ok(Described { head, attributes })
    }

    async fn copy_through(
        &self,
        bucket: &BucketName,
        task: &CopyTask,
        wanted: &Wanted,
        source: &Store,
    ) -> Result<Proven, TransferError> {
        let given = &*self.options.attributes;
        let described = self.describe(wanted, task.size_bytes, source, tags_of(given)).await?;
        let Described { head, attributes } = described;
        let attributes = attributes.overlaid(given);
        // Where the listing showed no ETag, bytes and attributes must at least be of one object.
        let wanted = &Wanted { etag: wanted.etag.clone().or_else(|| head.etag.clone()), ..wanted.clone() };
        let mut buffer = self.pool.buffer(usize::try_from(task.size_bytes).unwrap_or(usize::MAX)).await;
        let _slot = self.requests.acquire().await;
        self.receive(source, wanted, None, &mut buffer).await?;
        let (measure, algorithm) = (Measure::of(&head, task.size_bytes), self.options.checksum);
        let digest = move || {
            let mut pass = measure.pass();
            pass.update(&buffer);
            let checksum = hashing::digest(algorithm, &buffer);
            (pass.finish(&measure), checksum, buffer.freeze())
        };
        let (judgement, checksum, body) = tokio::task::spawn_blocking(digest).await?;
        let came = wanted.judged(judgement)?;
        let is_md5 = algorithm == Algorithm::Md5;
        let sent = Sent {
            bucket,
            key: &task.key,
            bytes: task.size_bytes,
            echo: (!is_md5).then(|| Echo::Whole(checksum.clone())),
            every_part_echoed: false,
            etag: ExpectedEtag::Body(body.clone()),
            checksum: Some(checksum.clone()),
        };
        let answer = loop {
            let condition = self.condition_at(bucket, &task.key, task.replaces.as_ref()).await?;
            let (body, checksum, content_type) = (body.clone(), &checksum, "");
            // What the copy carries stands in the other `attributes`.
            let key = &task.key;
            let write =
                ObjectWrite { bucket, key, body, checksum, content_type, attributes: given, condition: &condition };
            match self.store.put_object_with(write, &attributes).await {
                Err(error) if self.goes_without_conditions(&error, &condition).await => {}
                answer => break answer,
            }
        };
        let proven = match answer {
            Ok(written) => self.prove(&sent, written).await?,
            Err(error) => self.settle(&sent, error).await?,
        };
        self.advanced(task.size_bytes);
        Ok(Proven { rung: both_legs(came, proven.rung), ..proven })
    }

    async fn copy_in_parts(
        self: &Arc<Self>,
        bucket: &BucketName,
        task: &CopyTask,
        mut wanted: Wanted,
        way: &Way,
    ) -> Result<Proven, TransferError> {
        let source = way.source(&self.store);
        let given = &*self.options.attributes;
        let described = self.describe(&wanted, task.size_bytes, &source, tags_of(given));
        let Described { head, attributes } = self.unless_cancelled(described).await?;
        if let Way::Through(source) = way
            && self.goes_whole(&head, task.size_bytes)
        {
            return self.unless_cancelled(self.copy_through(bucket, task, &wanted, source)).await;
        }
        let attributes = attributes.overlaid(given);
        wanted.etag = wanted.etag.or_else(|| head.etag.clone());
        let preferred = way.inside().map_or(self.options.part_bytes, |(_, part_bytes)| part_bytes);
        let part_bytes = part_bytes(&head, task.size_bytes, preferred);
        let part_bytes =
            part_bytes.ok_or_else(|| TransferError::TooLarge { path: wanted.url(), bytes: task.size_bytes })?;
        let algorithm = shared_algorithm(&head, self.options.checksum);
        let multipart = self.begin_copy(bucket, &task.key, &attributes, algorithm).await?;
        let copying = Arc::new(InParts { way: way.clone(), wanted, multipart });
        let finished = async {
            let made = self.copy_parts(&copying, parts::parts(task.size_bytes, part_bytes)).await?;
            self.finish_copy(bucket, task, &copying, &head, made).await
        };
        let finished = self.unless_cancelled(finished).await;
        if finished.is_err() {
            leftovers::abort(&self.store, &copying.multipart, &self.events).await;
        }
        finished
    }

    /// Whether only the ETag of a copy in one piece could be compared with its source, and memory takes that piece.
    fn goes_whole(&self, source: &ObjectHead, size_bytes: u64) -> bool {
        let is_md5 = source.etag.as_ref().is_some_and(|etag| etag.md5_hex().is_some());
        let algorithm = shared_algorithm(source, self.options.checksum);
        is_md5 && source.checksum(algorithm).is_none() && size_bytes <= self.options.body_bytes
    }

    /// Begins the target. A run that is cancelled meanwhile waits a moment for the answer, since only the upload id in it
    /// lets the upload be aborted.
    async fn begin_copy(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        attributes: &CarriedAttributes,
        algorithm: Algorithm,
    ) -> Result<MultipartUpload, TransferError> {
        let given = &*self.options.attributes;
        let create = self.store.create_multipart_with(bucket, key, attributes, given, algorithm);
        tokio::pin!(create);
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => {
                if let Ok(Ok(begun)) = tokio::time::timeout(GRACE, create).await {
                    leftovers::abort(&self.store, &begun, &self.events).await;
                }
                Err(TransferError::Cancelled)
            }
            begun = &mut create => Ok(begun?),
        }
    }

    /// Makes all parts side by side, each under the condition that the source is still the same.
    async fn copy_parts(
        self: &Arc<Self>,
        copying: &Arc<InParts>,
        cut: impl Iterator<Item = Part>,
    ) -> Result<Vec<MadePart>, TransferError> {
        let (mut under_way, mut made) = (JoinSet::new(), Vec::new());
        for part in cut {
            while let Some(ended) = under_way.try_join_next() {
                made.push(ended??);
            }
            let buffer = match copying.way {
                Way::Inside { .. } | Way::Across(_) => None,
                Way::Through(_) => Some(self.pool.buffer(usize::try_from(part.length).unwrap_or(usize::MAX)).await),
            };
            let slot = self.requests.acquire().await;
            let (run, copying) = (Arc::clone(self), Arc::clone(copying));
            under_way.spawn(async move {
                let result = match (&copying.way, buffer) {
                    (Way::Through(source), Some(buffer)) => run.part_through(&copying, source, part, buffer).await,
                    _ => run.part_inside(&copying, part).await,
                };
                drop(slot);
                result
            });
        }
        while let Some(ended) = under_way.join_next().await {
            made.push(ended??);
        }
        made.sort_unstable_by_key(|part: &MadePart| part.open.number);
        Ok(made)
    }

    async fn part_inside(&self, copying: &InParts, part: Part) -> Result<MadePart, TransferError> {
        let Wanted { bucket, key, etag } = &copying.wanted;
        let from = Source { bucket, key, if_match: etag.as_ref() };
        let range = part.offset..part.offset + part.length;
        let made = self.store.upload_part_copy(&copying.multipart, part.number, &from, range).await;
        let made = made.map_err(|error| match error.class {
            ErrorClass::Precondition => TransferError::ChangedThere(copying.wanted.url()),
            _ => error.into(),
        })?;
        self.advanced(part.length);
        Ok(MadePart { echoed: made.checksum.is_some(), open: made })
    }

    async fn part_through(
        &self,
        copying: &InParts,
        source: &Store,
        part: Part,
        mut buffer: Buffer,
    ) -> Result<MadePart, TransferError> {
        self.receive(source, &copying.wanted, Some(part), &mut buffer).await?;
        let algorithm = copying.multipart.algorithm;
        let digest = move || (hashing::digest(algorithm, &buffer), buffer.freeze());
        let (checksum, body) = tokio::task::spawn_blocking(digest).await?;
        self.bandwidth.take(part.length).await;
        let mut open = self.store.upload_part(&copying.multipart, part.number, body, &checksum).await?;
        if let Some(answered) = open.checksum.take_if(|answered| *answered != checksum) {
            let MultipartUpload { bucket, key, .. } = &copying.multipart;
            let target = format!("{} part {}", object_url(bucket, key), part.number);
            return Err(TransferError::Contradicted {
                target,
                sent: checksum.to_string(),
                answered: answered.to_string(),
            });
        }
        self.advanced(part.length);
        Ok(MadePart { echoed: open.checksum.replace(checksum).is_some(), open })
    }

    /// Makes the object of its parts and compares it with its source.
    async fn finish_copy(
        &self,
        bucket: &BucketName,
        task: &CopyTask,
        copying: &InParts,
        source: &ObjectHead,
        made: Vec<MadePart>,
    ) -> Result<Proven, TransferError> {
        let every_part_echoed = made.iter().all(|part| part.echoed);
        let open_parts: Vec<OpenPart> = made.into_iter().map(|part| part.open).collect();
        let sent = describe_parts(bucket, task, copying.multipart.algorithm, &open_parts);
        let sent = Sent { every_part_echoed, ..sent };
        // Before the object appears: nothing that differs from its source ever does.
        if let Some(whole) = &sent.checksum
            && let Some(stored) = source.checksum(whole.algorithm())
            && stored != whole
        {
            let (stored, arrived) = (stored.to_string(), whole.to_string());
            return Err(TransferError::Damaged { target: copying.wanted.url(), stored, arrived });
        }
        let _slot = self.requests.acquire().await;
        let answer = loop {
            let condition = self.condition_at(bucket, &task.key, task.replaces.as_ref()).await?;
            let (whole, size_bytes) = (sent.checksum.as_ref(), task.size_bytes);
            let completion = Completion { parts: &open_parts, whole, size_bytes, condition: &condition };
            match self.store.complete_multipart(&copying.multipart, completion).await {
                Err(error) if self.goes_without_conditions(&error, &condition).await => {}
                answer => break answer,
            }
        };
        let proven = match answer {
            Ok(written) => self.prove(&sent, written).await?,
            Err(error) => self.settle(&sent, error).await?,
        };
        let as_source = sent.checksum.as_ref().is_some_and(|whole| source.checksum(whole.algorithm()).is_some());
        let same_etag = proven.etag.is_some() && proven.etag == source.etag;
        let rung = if as_source || same_etag { Rung::AsSource } else { Rung::Length };
        Ok(Proven { rung, ..proven })
    }
}

/// The checksum that the parts of a copy carry: `usual`, or where the source keeps another one that the parts' combine to,
/// that. Otherwise nothing would tell later that the two are equal.
fn shared_algorithm(source: &ObjectHead, usual: Algorithm) -> Algorithm {
    let kept = |algorithm: &Algorithm| source.checksum(*algorithm).is_some();
    let other = [usual, Algorithm::Crc64Nvme, Algorithm::Crc32c, Algorithm::Crc32].into_iter().find(kept);
    // Who asks for MD5 does so because the target knows no other.
    if usual == Algorithm::Md5 { usual } else { other.unwrap_or(usual) }
}

/// The tags of a source matter unless the copy is given others.
fn tags_of(given: &ObjectAttributes) -> Tags {
    if given.tags.is_empty() { Tags::Read } else { Tags::Unread }
}

/// The part size for a copy, in bytes; none if the object is larger than any can be.
///
/// Where the source keeps no checksum of the whole, the copy is cut as the source was: then the ETags tell.
fn part_bytes(source: &ObjectHead, size_bytes: u64, preferred: u64) -> Option<u64> {
    let own = match Measure::of(source, size_bytes) {
        Measure::Multipart(_, sizes) => sizes.into_iter().find(|size| *size >= parts::MIN_PART_BYTES),
        Measure::Checksum(_) | Measure::Md5(_) | Measure::Length => None,
    };
    parts::part_bytes(size_bytes, own.unwrap_or(preferred))
}

/// What the endpoint should say of the object that these parts make.
fn describe_parts<'a>(
    bucket: &'a BucketName,
    task: &'a CopyTask,
    algorithm: Algorithm,
    open_parts: &[OpenPart],
) -> Sent<'a> {
    let checksums: Vec<&Checksum> = open_parts.iter().filter_map(|part| part.checksum.as_ref()).collect();
    let all = checksums.len() == open_parts.len();
    let lengths = open_parts.iter().map(|part| part.size_bytes);
    let whole = all.then(|| hashing::combine_parts(checksums.iter().copied().zip(lengths))).flatten();
    let echo = match (&whole, algorithm) {
        (Some(whole), _) => Some(Echo::Whole(whole.clone())),
        (None, Algorithm::Sha1 | Algorithm::Sha256) if all => {
            let digest = hashing::composite(algorithm, checksums);
            Some(Echo::Composite(format!("{}-{}", digest.base64(), open_parts.len())))
        }
        (None, _) => None,
    };
    Sent {
        bucket,
        key: &task.key,
        bytes: task.size_bytes,
        echo,
        every_part_echoed: false,
        etag: ExpectedEtag::Known(etag_of_parts(open_parts)),
        checksum: whole,
    }
}

/// The ETag of an object made of these parts, where the parts' ETags are their MD5s.
fn etag_of_parts(open_parts: &[OpenPart]) -> ETag {
    let md5 = |part: &OpenPart| {
        let hex = part.etag.md5_hex()?;
        let byte = |at: usize| u8::from_str_radix(hex.get(at..at + 2)?, 16).ok();
        (0..hex.len()).step_by(2).map(byte).collect::<Option<Vec<u8>>>()
    };
    let md5s: Option<Vec<Vec<u8>>> = open_parts.iter().map(md5).collect();
    md5s.map_or_else(|| ETag::new(""), |md5s| hashing::multipart_etag(md5s.iter().map(Vec::as_slice)))
}

/// Compares a copy with its source by what the endpoint keeps of both.
fn compare(target: &str, source: &ObjectHead, copy: &ObjectHead) -> Result<Rung, TransferError> {
    let differs =
        |sent: String, answered: String| Err(TransferError::Contradicted { target: target.to_owned(), sent, answered });
    if source.size_bytes != copy.size_bytes {
        return differs(format!("{} bytes", source.size_bytes), format!("{} bytes", copy.size_bytes));
    }
    for stored in &source.checksums {
        match copy.checksum(stored.algorithm()) {
            Some(own) if own == stored => return Ok(Rung::AsSource),
            Some(own) => return differs(stored.to_string(), own.to_string()),
            None => {}
        }
    }
    let same_etag = source.etag.is_some() && source.etag == copy.etag;
    Ok(if same_etag { Rung::AsSource } else { Rung::Length })
}

/// What is proven of a copy that went through here: its source is known to have come whole, and its target to be whole.
fn both_legs(came: Rung, went: Rung) -> Rung {
    if came == Rung::Length || went == Rung::Length { Rung::Length } else { Rung::AsSource }
}

#[cfg(test)]
mod tests {
    use super::{compare, etag_of_parts, part_bytes, shared_algorithm};
    use crate::hashing::{digest, multipart_etag};
    use crate::model::OpenPart;
    use crate::model::{Algorithm, Checksum, ETag, ObjectHead};
    use crate::sync::proof::Rung;

    fn head(content: &[u8], kinds: &[Algorithm], etag: &str) -> ObjectHead {
        ObjectHead {
            size_bytes: content.len() as u64,
            checksums: kinds.iter().map(|kind| digest(*kind, content)).collect(),
            etag: Some(ETag::new(etag)),
            ..ObjectHead::default()
        }
    }

    #[test]
    fn a_copy_is_held_against_its_source() {
        use Algorithm::{Crc32, Crc64Nvme};
        let source = head(b"content", &[Crc32], "a");
        let check = |copy: &ObjectHead, expected: Option<Rung>| {
            assert_eq!(compare("s3://b/k", &source, copy).ok(), expected, "{copy:?}");
        };
        check(&head(b"content", &[Crc32], "b"), Some(Rung::AsSource));
        check(&head(b"content", &[Crc64Nvme], "a"), Some(Rung::AsSource));
        check(&head(b"content", &[Crc64Nvme], "b"), Some(Rung::Length));
        check(&head(b"contend", &[Crc32], "a"), None);
        check(&head(b"conten", &[], "a"), None);
    }

    #[test]
    fn the_source_is_cut_as_it_was() {
        const MIB: u64 = 1024 * 1024;
        let source = |etag: &str, kinds: &[Algorithm]| head(b"x", kinds, etag);
        let md5 = digest(Algorithm::Md5, b"x").hex();
        assert_eq!(part_bytes(&source(&format!("{md5}-13"), &[]), 100 * MIB, 128 * MIB), Some(8 * MIB));
        assert_eq!(part_bytes(&source(&format!("{md5}-100"), &[]), 100 * MIB, 128 * MIB), Some(128 * MIB), "too small");
        let told = source(&format!("{md5}-13"), &[Algorithm::Crc64Nvme]);
        assert_eq!(part_bytes(&told, 100 * MIB, 128 * MIB), Some(128 * MIB));
    }

    #[test]
    fn the_checksum_of_the_source_is_kept_where_parts_combine_to_it() {
        use Algorithm::{Crc32, Crc32c, Crc64Nvme, Md5, Sha256};
        for (kept, usual, expected) in [
            (&[Crc64Nvme][..], Crc64Nvme, Crc64Nvme),
            (&[Crc32], Crc64Nvme, Crc32),
            (&[Crc32c], Sha256, Crc32c),
            (&[Sha256], Crc64Nvme, Crc64Nvme),
            (&[], Crc64Nvme, Crc64Nvme),
            (&[Crc32], Md5, Md5),
        ] {
            assert_eq!(shared_algorithm(&head(b"x", kept, "e"), usual), expected, "{kept:?} {usual:?}");
        }
    }

    #[test]
    fn part_etags_give_the_whole() {
        let parts = [b"a", b"b"].map(|bytes| digest(Algorithm::Md5, bytes));
        let open = |checksum: &Checksum| OpenPart {
            number: 1,
            etag: ETag::new(&checksum.hex()),
            checksum: None,
            size_bytes: 1,
        };
        let mut opened: Vec<OpenPart> = parts.iter().map(open).collect();
        assert_eq!(etag_of_parts(&opened), multipart_etag(parts.iter().map(Checksum::digest)));
        opened[0].etag = ETag::new("opaque");
        assert_eq!(etag_of_parts(&opened).as_str(), "");
    }
}
