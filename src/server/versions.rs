//! The versions of a key: which is current, what a write pushes aside, what a delete brings back.
//!
//! The newest version of a key lies in one table, all older ones in another, so a bucket that never had versioning never
//! touches the second. Everything here runs inside one write transaction, which is what makes conditions atomic.

use super::blobs::{now_ms, random};
use super::fault::Outcome;
use super::index::{Tables, address};
use super::record::{BucketRecord, ObjectRecord, Segment, VersionName, VersionRecord, Versioning, decode, encode};
use redb::ReadableTable;
use s3s::dto::{ETagCondition, Timestamp};
use s3s::{S3Error, s3_error};

type Bytes = &'static [u8];

/// What must hold of the current version for a write to go on.
#[derive(Debug, Clone, Default)]
pub(super) struct Condition {
    pub(super) if_match: Option<ETagCondition>,
    pub(super) if_none_match: Option<ETagCondition>,
    pub(super) if_size: Option<i64>,
    pub(super) if_modified: Option<Timestamp>,
}

/// What a delete did.
#[derive(Debug, Default)]
pub(super) struct Deleted {
    /// The version that was removed, or of the delete marker that was made.
    pub(super) version_id: Option<String>,
    /// Whether that is a delete marker.
    pub(super) marker: bool,
}

/// The refusal of a precondition.
pub(super) fn precondition_failed() -> S3Error {
    s3_error!(PreconditionFailed, "At least one of the pre-conditions you specified did not hold")
}

/// The refusal of a key that has no current version.
pub(super) fn no_such_key() -> S3Error {
    s3_error!(NoSuchKey, "The specified key does not exist.")
}

impl Condition {
    fn check(&self, current: Option<&ObjectRecord>, modified_ms: u64) -> Result<(), S3Error> {
        if let Some(condition) = &self.if_none_match {
            let hit = current.is_some_and(|object| matches(condition, object));
            if hit {
                return Err(precondition_failed());
            }
        }
        let asks = self.if_match.is_some() || self.if_size.is_some() || self.if_modified.is_some();
        if !asks {
            return Ok(());
        }
        let Some(object) = current else { return Err(no_such_key()) };
        let tag = self.if_match.as_ref().is_none_or(|condition| matches(condition, object));
        let size = self.if_size.is_none_or(|size| u64::try_from(size) == Ok(object.size));
        let modified = self.if_modified.as_ref().is_none_or(|time| *time == timestamp(modified_ms));
        if tag && size && modified { Ok(()) } else { Err(precondition_failed()) }
    }
}

/// Whether `*` or the tag of a condition means the object.
pub(super) fn matches(condition: &ETagCondition, object: &ObjectRecord) -> bool {
    match condition {
        ETagCondition::Any => true,
        ETagCondition::ETag(tag) => tag.value() == object.etag.as_str(),
    }
}

/// A moment as S3 shows it: whole seconds.
pub(super) fn timestamp(ms: u64) -> Timestamp {
    (std::time::UNIX_EPOCH + std::time::Duration::from_secs(ms / 1000)).into()
}

/// The bucket's record.
pub(super) fn bucket_record(table: &impl ReadableTable<&'static str, Bytes>, bucket: &str) -> Outcome<BucketRecord> {
    let missing = || s3_error!(NoSuchBucket, "The specified bucket does not exist");
    Ok(decode(table.get(bucket)?.ok_or_else(missing)?.value())?)
}

/// The newest version of a key, which may be a delete marker.
pub(super) fn current(table: &impl ReadableTable<Bytes, Bytes>, at: &[u8]) -> Outcome<Option<VersionRecord>> {
    Ok(table.get(at)?.map(|found| decode(found.value())).transpose()?)
}

/// The version of a key that `name` means.
pub(super) fn find(
    newest: &impl ReadableTable<Bytes, Bytes>,
    older: &impl ReadableTable<(Bytes, u64), Bytes>,
    at: &[u8],
    name: VersionName,
) -> Outcome<Option<VersionRecord>> {
    if let Some(version) = current(newest, at)?.filter(|version| name.names(version)) {
        return Ok(Some(version));
    }
    for found in older.range((at, 0)..=(at, u64::MAX))? {
        let version: VersionRecord = decode(found?.1.value())?;
        if name.names(&version) {
            return Ok(Some(version));
        }
    }
    Ok(None)
}

/// Writes an object as the newest version of a key; answers with its record.
pub(super) fn put(
    tables: &mut Tables<'_>,
    bucket: &str,
    key: &str,
    condition: &Condition,
    make: impl FnOnce(&mut Tables<'_>) -> Outcome<ObjectRecord>,
) -> Outcome<VersionRecord> {
    let versioning = bucket_record(&tables.buckets, bucket)?.versioning;
    let at = address(bucket, key);
    let before = current(&tables.current, &at)?;
    let modified_ms = before.as_ref().map_or(0, |version| version.modified_ms);
    condition.check(before.as_ref().and_then(|version| version.object.as_ref()), modified_ms)?;
    let object = make(tables)?;
    place(tables, &at, before, versioning, Some(object))
}

/// Makes a version the newest of its key.
fn place(
    tables: &mut Tables<'_>,
    at: &[u8],
    before: Option<VersionRecord>,
    versioning: Versioning,
    object: Option<ObjectRecord>,
) -> Outcome<VersionRecord> {
    let modified_ms = now_ms();
    let after = before.as_ref().map_or(0, |version| version.seq + 1);
    // Microseconds leave room for writes of one millisecond and for clocks that step back a little.
    let seq = (modified_ms * 1000).max(after);
    let salt = if versioning == Versioning::Enabled { Some(random()?) } else { None };
    let version = VersionRecord { seq, salt, modified_ms, object };
    if let Some(before) = before {
        if version.salt.is_none() && before.salt.is_none() {
            release(tables, &before)?;
        } else {
            tables.noncurrent.insert((at, !before.seq), encode(&before).as_slice())?;
            if version.salt.is_none() {
                remove_older(tables, at, VersionName::Null)?;
            }
        }
    }
    tables.current.insert(at, encode(&version).as_slice())?;
    Ok(version)
}

fn remove_older(tables: &mut Tables<'_>, at: &[u8], name: VersionName) -> Outcome<Option<VersionRecord>> {
    let mut hit = None;
    for found in tables.noncurrent.range((at, 0)..=(at, u64::MAX))? {
        let version: VersionRecord = decode(found?.1.value())?;
        if name.names(&version) {
            hit = Some(version);
            break;
        }
    }
    if let Some(version) = &hit {
        tables.noncurrent.remove((at, !version.seq))?;
        release(tables, version)?;
    }
    Ok(hit)
}

/// Deletes a key, by a delete marker where the bucket keeps versions.
pub(super) fn delete(tables: &mut Tables<'_>, bucket: &str, key: &str, condition: &Condition) -> Outcome<Deleted> {
    let versioning = bucket_record(&tables.buckets, bucket)?.versioning;
    let at = address(bucket, key);
    let before = current(&tables.current, &at)?;
    let modified_ms = before.as_ref().map_or(0, |version| version.modified_ms);
    condition.check(before.as_ref().and_then(|version| version.object.as_ref()), modified_ms)?;
    if versioning == Versioning::Never {
        if let Some(before) = before {
            tables.current.remove(at.as_slice())?;
            release(tables, &before)?;
        }
        return Ok(Deleted::default());
    }
    let marker = place(tables, &at, before, versioning, None)?;
    Ok(Deleted { version_id: Some(marker.version_id()), marker: true })
}

/// Deletes one version for good. A version that is not there is no error.
pub(super) fn delete_version(
    tables: &mut Tables<'_>,
    bucket: &str,
    key: &str,
    version_id: &str,
    condition: &Condition,
) -> Outcome<Deleted> {
    bucket_record(&tables.buckets, bucket)?;
    let name = parse_version_id(version_id)?;
    let at = address(bucket, key);
    let found = find(&tables.current, &tables.noncurrent, &at, name)?;
    let modified_ms = found.as_ref().map_or(0, |version| version.modified_ms);
    condition.check(found.as_ref().and_then(|version| version.object.as_ref()), modified_ms)?;
    let newest = current(&tables.current, &at)?.filter(|version| name.names(version));
    let removed = match newest {
        Some(version) => {
            promote(tables, &at)?;
            release(tables, &version)?;
            Some(version)
        }
        None => remove_older(tables, &at, name)?,
    };
    let marker = removed.is_some_and(|version| version.object.is_none());
    Ok(Deleted { version_id: Some(version_id.to_owned()), marker })
}

/// Puts the newest of the older versions into the place of the current one.
fn promote(tables: &mut Tables<'_>, at: &[u8]) -> Outcome<()> {
    let next = tables.noncurrent.range((at, 0)..=(at, u64::MAX))?.next().transpose()?;
    let next = next.map(|(key, value)| (key.value().1, value.value().to_vec()));
    match next {
        Some((order, record)) => {
            tables.noncurrent.remove((at, order))?;
            tables.current.insert(at, record.as_slice())?;
        }
        None => {
            tables.current.remove(at)?;
        }
    }
    Ok(())
}

/// A version id that this server could have given out.
pub(super) fn parse_version_id(text: &str) -> Result<VersionName, S3Error> {
    VersionName::parse(text).ok_or_else(|| s3_error!(InvalidArgument, "Invalid version id specified"))
}

/// Replaces the record of an existing version in place: for tags, which belong to a version.
pub(super) fn rewrite(tables: &mut Tables<'_>, at: &[u8], version: &VersionRecord) -> Outcome<()> {
    let is_current = current(&tables.current, at)?.is_some_and(|newest| newest.seq == version.seq);
    let record = encode(version);
    if is_current {
        tables.current.insert(at, record.as_slice())?;
    } else {
        tables.noncurrent.insert((at, !version.seq), record.as_slice())?;
    }
    Ok(())
}

/// Gives up the bytes of a version.
fn release(tables: &mut Tables<'_>, version: &VersionRecord) -> Outcome<()> {
    version.object.iter().try_for_each(|object| release_segments(tables, &object.segments))
}

/// Gives up bytes: they go unless another record shares them.
pub(super) fn release_segments(tables: &mut Tables<'_>, segments: &[Segment]) -> Outcome<()> {
    for segment in segments {
        let id = segment.blob;
        let shares = tables.shares.get(id.0)?.map_or(0, |shares| shares.value());
        match shares {
            0 if segment.inline => {
                tables.bodies.remove(id.0)?;
            }
            0 => tables.release_file(id)?,
            1 => {
                tables.shares.remove(id.0)?;
            }
            more => {
                tables.shares.insert(id.0, more - 1)?;
            }
        }
    }
    Ok(())
}

/// Lets another record name the same bytes.
pub(super) fn share_segments(tables: &mut Tables<'_>, segments: &[Segment]) -> Outcome<()> {
    for segment in segments {
        let shares = tables.shares.get(segment.blob.0)?.map_or(0, |shares| shares.value());
        tables.shares.insert(segment.blob.0, shares + 1)?;
    }
    Ok(())
}
