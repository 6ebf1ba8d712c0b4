//! Unfinished multipart uploads: their records and parts.

use super::buckets::bucket_span;
use super::fault::Outcome;
use super::index::Tables;
use super::record::{PartRecord, decode};
use super::versions::release_segments;
use redb::ReadableTable;

/// Drops every unfinished upload of a bucket with all its parts.
pub(super) fn drop_all(tables: &mut Tables<'_>, bucket: &str) -> Outcome<()> {
    let (start, end) = bucket_span(bucket);
    let mut found = Vec::new();
    for upload in tables.uploads.range((start.as_slice(), "")..(end.as_slice(), ""))? {
        let (place, _) = upload?;
        let (at, id) = place.value();
        found.push((at.to_vec(), id.to_owned()));
    }
    found.iter().try_for_each(|(at, id)| {
        drop_parts(tables, id)?;
        tables.uploads.remove((at.as_slice(), id.as_str()))?;
        Ok(())
    })
}

/// Drops the parts of an upload and gives up their bytes.
pub(super) fn drop_parts(tables: &mut Tables<'_>, id: &str) -> Outcome<()> {
    let mut found = Vec::new();
    for part in tables.parts.range((id, 0)..=(id, u16::MAX))? {
        let (place, record) = part?;
        found.push((place.value().1, decode::<PartRecord>(record.value())?));
    }
    found.iter().try_for_each(|(number, part)| {
        tables.parts.remove((id, *number))?;
        release_segments(tables, &part.segments)
    })
}
