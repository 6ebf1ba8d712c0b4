//! Listings of all versions: for each key its current version, then the older ones, newest first.

use super::fault::Outcome;
use super::index::{Rows, Snapshot, address};
use super::listing::{Names, Span, after_prefix, page_size};
use super::record::{VersionName, VersionRecord, decode};
use super::service::Service;
use super::versions::{bucket_record, current, timestamp};
use s3s::dto::*;
use s3s::{S3Request, S3Response, S3Result, s3_error};

/// One page of versions.
#[derive(Default)]
struct Page {
    versions: Vec<(String, VersionRecord, bool)>,
    prefixes: Vec<String>,
    /// The last key and version id of a page that is not the last.
    next: Option<(String, Option<String>)>,
}

/// Where a listing goes on.
struct Start {
    /// A key, or the first place after one.
    place: Vec<u8>,
    /// In this key, only versions older than this one.
    older_than: Option<(String, u64)>,
}

/// A page being filled.
struct Filling<'span> {
    span: &'span Span,
    older: Rows<(&'static [u8], u64)>,
    max: usize,
    page: Page,
    last: Option<(String, Option<String>)>,
}

impl Filling<'_> {
    /// True if there is no room for one more; the page then says where the next begins.
    fn is_full(&mut self) -> bool {
        let full = self.page.versions.len() + self.page.prefixes.len() == self.max;
        if full {
            self.page.next = self.last.take();
        }
        full
    }

    /// Adds the versions of a key; false when the page is full.
    fn key(&mut self, key: &str, newest: Option<VersionRecord>, below: u64) -> Outcome<bool> {
        let at = address(&self.span.bucket, key);
        if let Some(newest) = newest
            && !self.add(key, newest, true)
        {
            return Ok(false);
        }
        // Orders are inverted, so what is older sorts after.
        let from = below.checked_sub(1).map_or(u64::MAX, |below| !below);
        for found in self.older.range((at.as_slice(), from)..=(at.as_slice(), u64::MAX))? {
            let version: VersionRecord = decode(found?.1.value())?;
            if !self.add(key, version, false) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn add(&mut self, key: &str, version: VersionRecord, latest: bool) -> bool {
        if self.is_full() {
            return false;
        }
        self.last = Some((key.to_owned(), Some(version.version_id())));
        self.page.versions.push((key.to_owned(), version, latest));
        true
    }
}

impl Start {
    /// Reads the markers of a request.
    fn read(snapshot: &Snapshot, span: &Span, key: &str, version_id: &str) -> Outcome<Option<Self>> {
        if key.is_empty() {
            return Ok(Some(Self { place: Vec::new(), older_than: None }));
        }
        if version_id.is_empty() {
            return Ok(span.after(key).map(|place| Self { place, older_than: None }));
        }
        let seq = match super::versions::parse_version_id(version_id)? {
            VersionName::Numbered { seq, .. } => seq,
            VersionName::Null => null_seq(snapshot, &address(&span.bucket, key))?,
        };
        Ok(Some(Self { place: key.as_bytes().to_vec(), older_than: Some((key.to_owned(), seq)) }))
    }
}

/// The order of a key's null version.
fn null_seq(snapshot: &Snapshot, at: &[u8]) -> Outcome<u64> {
    let found = super::versions::find(&snapshot.current()?, &snapshot.noncurrent()?, at, VersionName::Null)?;
    Ok(found.map_or(0, |version| version.seq))
}

fn page(snapshot: &Snapshot, span: &Span, start: Start, max: usize) -> Outcome<Page> {
    let mut filling = Filling { span, older: snapshot.noncurrent()?, max, page: Page::default(), last: None };
    let mut place = start.place;
    if max == 0 {
        return Ok(filling.page);
    }
    if let Some((key, seq)) = &start.older_than {
        let newest = current(&snapshot.current()?, &address(&span.bucket, key))?.filter(|version| version.seq < *seq);
        if !filling.key(key, newest, *seq)? {
            return Ok(filling.page);
        }
        place.push(0);
    }
    'seek: loop {
        let (from, end) = span.bounds(&place);
        if from >= end {
            return Ok(filling.page);
        }
        for found in snapshot.current()?.range(from.as_slice()..end.as_slice())? {
            let (at, record) = found?;
            let key = span.key(at.value());
            if let Some(folded) = span.fold(key) {
                if filling.is_full() {
                    return Ok(filling.page);
                }
                filling.page.prefixes.push(folded.to_owned());
                filling.last = Some((folded.to_owned(), None));
                match after_prefix(folded.as_bytes()) {
                    Some(next) => place = next,
                    None => return Ok(filling.page),
                }
                continue 'seek;
            }
            if !filling.key(key, Some(decode(record.value())?), u64::MAX)? {
                return Ok(filling.page);
            }
        }
        return Ok(filling.page);
    }
}

impl Service {
    pub(super) async fn list_object_versions(
        &self,
        request: S3Request<ListObjectVersionsInput>,
    ) -> S3Result<S3Response<ListObjectVersionsOutput>> {
        let input = request.input;
        let names = Names::new(input.encoding_type.as_ref())?;
        let max = page_size(input.max_keys)?;
        let span = Span {
            bucket: input.bucket,
            prefix: input.prefix.unwrap_or_default(),
            delimiter: input.delimiter.filter(|delimiter| !delimiter.is_empty()),
        };
        let (key, version_id) = (input.key_marker.unwrap_or_default(), input.version_id_marker.unwrap_or_default());
        if key.is_empty() && !version_id.is_empty() {
            return Err(s3_error!(InvalidArgument, "A version-id marker cannot be specified without a key marker."));
        }
        let page = self.look(|snapshot| {
            bucket_record(&snapshot.buckets()?, &span.bucket)?;
            match Start::read(snapshot, &span, &key, &version_id)? {
                Some(start) => page(snapshot, &span, start, max),
                None => Ok(Page::default()),
            }
        })?;
        let (mut versions, mut markers) = (Vec::new(), Vec::new());
        for (key, version, latest) in page.versions {
            match &version.object {
                Some(_) => versions.push(self.shown_version(names.write(&key), &version, latest)),
                None => markers.push(self.shown_marker(names.write(&key), &version, latest)),
            }
        }
        let prefixes = page.prefixes.iter().map(|prefix| CommonPrefix { prefix: Some(names.write(prefix)) }).collect();
        let (next_key_marker, next_version_id_marker) = page.next.clone().unzip();
        Ok(S3Response::new(ListObjectVersionsOutput {
            is_truncated: Some(page.next.is_some()),
            next_key_marker: next_key_marker.map(|key| names.write(&key)),
            next_version_id_marker: next_version_id_marker.flatten(),
            versions: Some(versions),
            delete_markers: Some(markers),
            common_prefixes: Some(prefixes),
            delimiter: span.delimiter.map(|delimiter| names.write(&delimiter)),
            prefix: Some(names.write(&span.prefix)),
            key_marker: Some(names.write(&key)),
            version_id_marker: Some(version_id),
            max_keys: i32::try_from(max).ok(),
            encoding_type: input.encoding_type,
            name: Some(span.bucket),
            request_charged: None,
        }))
    }

    fn shown_version(&self, key: String, version: &VersionRecord, latest: bool) -> ObjectVersion {
        let object = version.object.as_ref();
        let class = object.and_then(|object| object.attributes.storage_class.clone());
        ObjectVersion {
            checksum_algorithm: object.map(|object| vec![object.checksum.value.algorithm().name().to_owned().into()]),
            checksum_type: object.map(|object| object.checksum.kind().to_owned().into()),
            e_tag: object.map(|object| super::multipart::strong(&object.etag)),
            is_latest: Some(latest),
            key: Some(key),
            last_modified: Some(timestamp(version.modified_ms)),
            owner: Some(self.owner()),
            restore_status: None,
            size: object.and_then(|object| i64::try_from(object.size).ok()),
            storage_class: Some(class.unwrap_or_else(|| "STANDARD".to_owned()).into()),
            version_id: Some(version.version_id()),
        }
    }

    fn shown_marker(&self, key: String, version: &VersionRecord, latest: bool) -> DeleteMarkerEntry {
        DeleteMarkerEntry {
            is_latest: Some(latest),
            key: Some(key),
            last_modified: Some(timestamp(version.modified_ms)),
            owner: Some(self.owner()),
            version_id: Some(version.version_id()),
        }
    }
}
