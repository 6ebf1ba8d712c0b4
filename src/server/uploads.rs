//! Unfinished multipart uploads: their records, their parts, and how parts become an object.

use super::attributes::etag_of;
use super::blobs::now_ms;
use super::buckets::bucket_span;
use super::fault::{Fault, Outcome};
use super::index::{Tables, address};
use super::record::{
    FinishedRecord, ObjectRecord, PartRecord, PartSummary, StoredChecksum, UploadChecksum, UploadRecord, VersionRecord,
    decode, encode,
};
use super::versions::{Condition, put, release_segments};
use crate::hashing::{combine_parts, composite, multipart_etag};
use crate::model::{Algorithm, Checksum, ETag};
use redb::ReadableTable;
use s3s::{S3Error, S3Result, s3_error};

/// Every part but the last has at least this size.
///
/// Source: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html>
const MIN_PART_BYTES: u64 = 5 << 20;
/// How long a completed upload is remembered.
const REMEMBER_MS: u64 = 24 * 3600 * 1000;

/// A part as the completion names it.
#[derive(Debug)]
pub(super) struct NamedPart {
    pub(super) number: i32,
    pub(super) etag: ETag,
    pub(super) checksum: Option<(Algorithm, String)>,
}

/// What CompleteMultipartUpload asks for.
#[derive(Debug)]
pub(super) struct Completion {
    pub(super) bucket: String,
    pub(super) key: String,
    pub(super) upload_id: String,
    pub(super) parts: Vec<NamedPart>,
    /// The object's size as the client counted it.
    pub(super) size: Option<i64>,
    /// The object's checksum as the client computed it, in the form of the header.
    pub(super) checksum: Option<(Algorithm, String)>,
    /// `COMPOSITE` or `FULL_OBJECT`.
    pub(super) kind: Option<String>,
    pub(super) condition: Condition,
}

/// The refusal of an upload that is not there.
fn no_such_upload() -> S3Error {
    s3_error!(
        NoSuchUpload,
        "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed."
    )
}

fn invalid_part() -> S3Error {
    s3_error!(
        InvalidPart,
        "One or more of the specified parts could not be found. The part may not have been uploaded, or the specified \
         entity tag may not match the part's entity tag."
    )
}

impl UploadChecksum {
    /// The checksum that an upload shall keep, from the headers of its creation.
    ///
    /// Source: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html>
    pub(super) fn asked(algorithm: Option<Algorithm>, kind: Option<&str>) -> S3Result<Self> {
        let Some(algorithm) = algorithm else {
            if kind.is_some() {
                return Err(s3_error!(
                    InvalidRequest,
                    "The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header."
                ));
            }
            return Ok(Self { algorithm: Algorithm::Crc64Nvme, composite: false, asked: false });
        };
        let (may_compose, may_cover) = match algorithm {
            Algorithm::Crc64Nvme => (false, true),
            Algorithm::Crc32 | Algorithm::Crc32c => (true, true),
            Algorithm::Sha1 | Algorithm::Sha256 | Algorithm::Md5 => (true, false),
        };
        let composite = match kind {
            None => may_compose,
            Some("COMPOSITE") => true,
            Some("FULL_OBJECT") => false,
            Some(_) => return Err(s3_error!(InvalidRequest, "Value for x-amz-checksum-type header is invalid.")),
        };
        if composite && !may_compose || !composite && !may_cover {
            let kind = if composite { "COMPOSITE" } else { "FULL_OBJECT" };
            let name = algorithm.name().to_ascii_lowercase();
            return Err(s3_error!(
                InvalidRequest,
                "The {kind} checksum type cannot be used with the {name} checksum algorithm."
            ));
        }
        Ok(Self { algorithm, composite, asked: true })
    }

    /// `COMPOSITE` or `FULL_OBJECT`.
    pub(super) const fn kind(self) -> &'static str {
        if self.composite { "COMPOSITE" } else { "FULL_OBJECT" }
    }

    /// Refuses a part that was sent with another algorithm than the upload keeps.
    pub(super) fn admit(self, claimed: Option<Algorithm>) -> S3Result<()> {
        match claimed {
            Some(claimed) if self.asked && claimed != self.algorithm => Err(s3_error!(
                InvalidRequest,
                "Checksum Type mismatch occurred, expected checksum Type: {}, actual checksum Type: {}",
                self.algorithm.name().to_ascii_lowercase(),
                claimed.name().to_ascii_lowercase()
            )),
            _ => Ok(()),
        }
    }
}

/// The upload of that key and id.
pub(super) fn upload(
    table: &impl ReadableTable<(&'static [u8], &'static str), &'static [u8]>,
    at: &[u8],
    id: &str,
) -> Outcome<UploadRecord> {
    Ok(decode(table.get((at, id))?.ok_or_else(no_such_upload)?.value())?)
}

/// All parts of an upload in order.
pub(super) fn parts(
    table: &impl ReadableTable<(&'static str, u16), &'static [u8]>,
    id: &str,
) -> Outcome<Vec<(u16, PartRecord)>> {
    let mut found = Vec::new();
    for part in table.range((id, 0)..=(id, u16::MAX))? {
        let (place, record) = part?;
        found.push((place.value().1, decode(record.value())?));
    }
    Ok(found)
}

/// Puts a part in place of one of the same number.
pub(super) fn put_part(tables: &mut Tables<'_>, id: &str, number: u16, part: &PartRecord) -> Outcome<()> {
    let before = tables.parts.insert((id, number), encode(part).as_slice())?.map(|found| decode(found.value()));
    let before: Option<PartRecord> = before.transpose()?;
    before.map_or(Ok(()), |before| release_segments(tables, &before.segments))
}

/// Drops an upload with all its parts.
pub(super) fn abort(tables: &mut Tables<'_>, bucket: &str, key: &str, id: &str) -> Outcome<()> {
    let at = address(bucket, key);
    upload(&tables.uploads, &at, id)?;
    drop_upload(tables, &at, id)
}

/// Drops every unfinished upload of a bucket with all its parts.
pub(super) fn drop_all(tables: &mut Tables<'_>, bucket: &str) -> Outcome<()> {
    let (start, end) = bucket_span(bucket);
    let mut found = Vec::new();
    for upload in tables.uploads.range((start.as_slice(), "")..(end.as_slice(), ""))? {
        let (place, _) = upload?;
        let (at, id) = place.value();
        found.push((at.to_vec(), id.to_owned()));
    }
    found.iter().try_for_each(|(at, id)| drop_upload(tables, at, id))
}

fn drop_upload(tables: &mut Tables<'_>, at: &[u8], id: &str) -> Outcome<()> {
    for (number, part) in parts(&tables.parts, id)? {
        tables.parts.remove((id, number))?;
        release_segments(tables, &part.segments)?;
    }
    tables.uploads.remove((at, id))?;
    Ok(())
}

/// Forgets completions of long ago, a few at a time. Upload ids grow with time, so the oldest come first.
fn forget_finished(tables: &mut Tables<'_>) -> Outcome<()> {
    let now = now_ms();
    for _ in 0..2 {
        let oldest = tables.finished.first()?;
        let oldest = oldest.map(|(id, record)| (id.value().to_owned(), record.value().to_vec()));
        let Some((id, record)) = oldest else { return Ok(()) };
        let record: FinishedRecord = decode(&record)?;
        if record.finished_ms + REMEMBER_MS > now {
            return Ok(());
        }
        tables.finished.remove(id.as_str())?;
    }
    Ok(())
}

impl Completion {
    fn named(&self) -> Vec<(i32, ETag)> {
        self.parts.iter().map(|part| (part.number, part.etag.clone())).collect()
    }

    /// The object of this same completion, if it was carried out before and the client did not hear the answer.
    fn finished(&self, tables: &Tables<'_>, at: &[u8]) -> Outcome<Option<VersionRecord>> {
        let Some(found) = tables.finished.get(self.upload_id.as_str())? else { return Ok(None) };
        let record: FinishedRecord = decode(found.value())?;
        let same = record.at == at && record.parts == self.named();
        Ok(same.then_some(record.version))
    }

    /// Makes the parts an object, which becomes the newest version of its key.
    pub(super) fn carry_out(self, tables: &mut Tables<'_>) -> Outcome<VersionRecord> {
        let at = address(&self.bucket, &self.key);
        if let Some(version) = self.finished(tables, &at)? {
            return Ok(version);
        }
        let record = upload(&tables.uploads, &at, &self.upload_id)?;
        let mut stored = parts(&tables.parts, &self.upload_id)?;
        let chosen = self.choose(&record, &stored)?;
        let object = self.assemble(record, &chosen)?;
        let used: Vec<u16> = chosen.iter().map(|(number, _)| *number).collect();
        let version = put(tables, &self.bucket, &self.key, &self.condition, |tables| {
            // The chosen parts' bytes go over to the object; those of the others are given up.
            stored.retain(|(number, _)| !used.contains(number));
            for (_, part) in &stored {
                release_segments(tables, &part.segments)?;
            }
            tables.parts.retain_in((self.upload_id.as_str(), 0)..=(self.upload_id.as_str(), u16::MAX), |_, _| false)?;
            tables.uploads.remove((at.as_slice(), self.upload_id.as_str()))?;
            Ok(object)
        })?;
        forget_finished(tables)?;
        let parts = self.named();
        let finished = FinishedRecord { finished_ms: now_ms(), at, parts, version: version.clone() };
        tables.finished.insert(self.upload_id.as_str(), encode(&finished).as_slice())?;
        Ok(version)
    }

    /// The stored parts that the completion names, in order.
    fn choose(&self, record: &UploadRecord, stored: &[(u16, PartRecord)]) -> S3Result<Vec<(u16, PartRecord)>> {
        if !self.parts.windows(2).all(|pair| pair[0].number < pair[1].number) {
            return Err(s3_error!(
                InvalidPartOrder,
                "The list of parts was not in ascending order. Parts must be ordered by part number."
            ));
        }
        let mut chosen = Vec::with_capacity(self.parts.len());
        for (position, named) in self.parts.iter().enumerate() {
            let found = stored.iter().find(|(number, _)| i32::from(*number) == named.number);
            let (number, part) = found.ok_or_else(invalid_part)?;
            if etag_of(&part.md5, &record.attributes.encryption) != named.etag {
                return Err(invalid_part());
            }
            check_part_checksum(record.checksum, named, part)?;
            if position + 1 < self.parts.len() && part.size < MIN_PART_BYTES {
                return Err(s3_error!(
                    EntityTooSmall,
                    "Your proposed upload is smaller than the minimum allowed object size."
                ));
            }
            chosen.push((*number, part.clone()));
        }
        Ok(chosen)
    }

    fn assemble(&self, record: UploadRecord, chosen: &[(u16, PartRecord)]) -> S3Result<ObjectRecord> {
        let size: u64 = chosen.iter().map(|(_, part)| part.size).sum();
        if let Some(claimed) = self.size.filter(|claimed| u64::try_from(*claimed) != Ok(size)) {
            return Err(s3_error!(
                InvalidRequest,
                "The provided 'x-amz-mp-object-size' header value {claimed} does not match what was computed: {size}"
            ));
        }
        let checksum = whole_checksum(record.checksum, chosen)?;
        self.check_claim(record.checksum, &checksum, chosen.len())?;
        let mut etag = multipart_etag(chosen.iter().map(|(_, part)| part.md5.digest()));
        if record.attributes.encryption.kms {
            let mixed = crate::hashing::digest(Algorithm::Md5, etag.as_str().as_bytes());
            etag = ETag::new(&format!("{}-{}", mixed.hex(), chosen.len()));
        }
        let summary = |(number, part): &(u16, PartRecord)| PartSummary {
            number: i32::from(*number),
            size: part.size,
            checksum: part.checksum.clone(),
        };
        Ok(ObjectRecord {
            size,
            etag,
            checksum,
            segments: chosen.iter().flat_map(|(_, part)| part.segments.clone()).collect(),
            parts: chosen.iter().map(summary).collect(),
            attributes: record.attributes,
            tags: record.tags,
        })
    }

    fn check_claim(&self, kept: UploadChecksum, whole: &StoredChecksum, parts: usize) -> S3Result<()> {
        if self.kind.as_deref().is_some_and(|kind| kind != kept.kind()) {
            return Err(s3_error!(
                InvalidRequest,
                "The upload was created using the {} checksum mode. The complete request must use the same checksum mode.",
                kept.kind()
            ));
        }
        let Some((algorithm, claimed)) = &self.checksum else { return Ok(()) };
        kept.admit(Some(*algorithm))?;
        // A composite value may be given with or without the number of parts behind it.
        let right = *claimed == whole.text(parts) || *claimed == whole.value.base64();
        if *algorithm == whole.value.algorithm() && right {
            return Ok(());
        }
        Err(s3_error!(BadDigest, "The {algorithm} you specified did not match the calculated checksum."))
    }
}

fn check_part_checksum(kept: UploadChecksum, named: &NamedPart, part: &PartRecord) -> S3Result<()> {
    match &named.checksum {
        Some((algorithm, text)) if *algorithm == kept.algorithm => {
            if Checksum::from_base64(*algorithm, text).as_ref() == Ok(&part.checksum) {
                Ok(())
            } else {
                Err(invalid_part())
            }
        }
        // The upload did not ask for this algorithm, so there is nothing to hold the value against.
        Some(_) if !kept.asked => Ok(()),
        Some((algorithm, _)) => kept.admit(Some(*algorithm)),
        None if kept.asked && kept.composite => {
            let name = kept.algorithm.name().to_ascii_lowercase();
            Err(s3_error!(
                InvalidRequest,
                "The upload was created using a {name} checksum. The complete request must include the checksum for each \
                 part. It was missing for part {} in the request.",
                named.number
            ))
        }
        None => Ok(()),
    }
}

fn whole_checksum(kept: UploadChecksum, chosen: &[(u16, PartRecord)]) -> S3Result<StoredChecksum> {
    let value = if kept.composite {
        Some(composite(kept.algorithm, chosen.iter().map(|(_, part)| &part.checksum)))
    } else {
        combine_parts(chosen.iter().map(|(_, part)| (&part.checksum, part.size)))
    };
    let value = value.ok_or_else(|| s3_error!(InternalError, "the parts' checksums do not combine"))?;
    Ok(StoredChecksum { value, composite: kept.composite })
}

/// A part number as S3 takes it.
pub(super) fn part_number(number: i32) -> Result<u16, Fault> {
    let refused = || s3_error!(InvalidArgument, "Part number must be an integer between 1 and 10000, inclusive");
    let number = u16::try_from(number).ok().filter(|number| (1..=10_000).contains(number));
    Ok(number.ok_or_else(refused)?)
}
