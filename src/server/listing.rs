//! Listings of objects: a scan over a range of the index, folded at the delimiter.

use super::fault::Outcome;
use super::index::{Snapshot, address};
use super::record::{ObjectRecord, VersionRecord, decode};
use super::service::Service;
use super::versions::{bucket_record, timestamp};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use s3s::dto::*;
use s3s::{S3Error, S3Request, S3Response, S3Result, s3_error};
use std::fmt::Write as _;

/// Most entries of one page.
const MAX_KEYS: usize = 1000;

/// Which keys a listing is about, and where keys fold into a common prefix.
#[derive(Debug, Clone)]
pub(super) struct Span {
    pub(super) bucket: String,
    pub(super) prefix: String,
    pub(super) delimiter: Option<String>,
}

/// One page of a listing.
struct Page {
    entries: Vec<Entry>,
    /// Where the next page starts, as the bytes of a key; none on the last page.
    next: Option<Vec<u8>>,
}

enum Entry {
    Object { key: String, modified_ms: u64, object: Box<ObjectRecord> },
    Prefix(String),
}

/// The smallest run of bytes that sorts after everything that starts with `prefix`; none if nothing does.
pub(super) fn after_prefix(prefix: &[u8]) -> Option<Vec<u8>> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            return Some(end);
        }
    }
    None
}

/// How many entries a page may have: as asked, at most 1,000.
pub(super) fn page_size(asked: Option<i32>) -> S3Result<usize> {
    let asked = asked.map_or(Ok(MAX_KEYS), usize::try_from);
    let refused = |_| s3_error!(InvalidArgument, "Argument maxKeys must be an integer between 0 and 2147483647");
    Ok(asked.map_err(refused)?.min(MAX_KEYS))
}

impl Span {
    /// The common prefix that a key folds into.
    pub(super) fn fold<'key>(&self, key: &'key str) -> Option<&'key str> {
        let delimiter = self.delimiter.as_deref().filter(|delimiter| !delimiter.is_empty())?;
        let rest = key.strip_prefix(self.prefix.as_str())?;
        let at = rest.find(delimiter)?;
        Some(&key[..self.prefix.len() + at + delimiter.len()])
    }

    /// The first place that can hold a key after `marker`. A marker that is itself a common prefix stands for all it folds.
    pub(super) fn after(&self, marker: &str) -> Option<Vec<u8>> {
        if self.fold(marker) == Some(marker) {
            return after_prefix(marker.as_bytes());
        }
        let mut next = marker.as_bytes().to_vec();
        next.push(0);
        Some(next)
    }

    /// The addresses from `start` to the end of the prefix.
    pub(super) fn bounds(&self, start: &[u8]) -> (Vec<u8>, Vec<u8>) {
        let first = address(&self.bucket, &self.prefix);
        let end = after_prefix(&first).unwrap_or_else(|| vec![u8::MAX]);
        let mut from = address(&self.bucket, "");
        from.extend_from_slice(start);
        (from.max(first), end)
    }

    /// The key inside an address of this bucket.
    pub(super) fn key<'address>(&self, address: &'address [u8]) -> &'address str {
        std::str::from_utf8(&address[self.bucket.len() + 1..]).unwrap_or_default()
    }

    /// One page from `start` on.
    fn page(&self, snapshot: &Snapshot, start: &[u8], max: usize) -> Outcome<Page> {
        bucket_record(&snapshot.buckets()?, &self.bucket)?;
        let mut entries = Vec::new();
        let mut start = start.to_vec();
        if max == 0 {
            return Ok(Page { entries, next: None });
        }
        'seek: loop {
            let (from, end) = self.bounds(&start);
            if from >= end {
                return Ok(Page { entries, next: None });
            }
            for found in snapshot.current()?.range(from.as_slice()..end.as_slice())? {
                let (place, record) = found?;
                let key = self.key(place.value());
                let version: VersionRecord = decode(record.value())?;
                let Some(object) = version.object else { continue };
                if entries.len() == max {
                    return Ok(Page { entries, next: Some(key.as_bytes().to_vec()) });
                }
                if let Some(folded) = self.fold(key) {
                    entries.push(Entry::Prefix(folded.to_owned()));
                    match after_prefix(folded.as_bytes()) {
                        Some(next) => start = next,
                        None => return Ok(Page { entries, next: None }),
                    }
                    continue 'seek;
                }
                entries.push(Entry::Object {
                    key: key.to_owned(),
                    modified_ms: version.modified_ms,
                    object: Box::new(object),
                });
            }
            return Ok(Page { entries, next: None });
        }
    }
}

/// Writes names as a listing asks for them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Names {
    url: bool,
}

impl Names {
    pub(super) fn new(encoding: Option<&EncodingType>) -> S3Result<Self> {
        match encoding.map(EncodingType::as_str) {
            None => Ok(Self { url: false }),
            Some(EncodingType::URL) => Ok(Self { url: true }),
            Some(_) => Err(s3_error!(InvalidArgument, "Invalid Encoding Method specified in Request")),
        }
    }

    /// A name, percent-encoded if asked. Spaces become `%20`, which every client decodes, not `+`.
    pub(super) fn write(self, name: &str) -> String {
        if !self.url {
            return name.to_owned();
        }
        let mut text = String::with_capacity(name.len());
        for byte in name.bytes() {
            if byte.is_ascii_alphanumeric() || b"-_.~/*".contains(&byte) {
                text.push(char::from(byte));
            } else {
                // Writing to a String cannot fail.
                let _ = write!(text, "%{byte:02X}");
            }
        }
        text
    }
}

impl Service {
    fn entries(&self, page: Vec<Entry>, names: Names, owner: bool) -> (ObjectList, CommonPrefixList) {
        let (mut objects, mut prefixes) = (Vec::new(), Vec::new());
        for entry in page {
            match entry {
                Entry::Prefix(prefix) => prefixes.push(CommonPrefix { prefix: Some(names.write(&prefix)) }),
                Entry::Object { key, modified_ms, object } => objects.push(Object {
                    checksum_algorithm: Some(vec![object.checksum.value.algorithm().name().to_owned().into()]),
                    checksum_type: Some(object.checksum.kind().to_owned().into()),
                    e_tag: Some(s3s::dto::ETag::Strong(object.etag.as_str().to_owned())),
                    key: Some(names.write(&key)),
                    last_modified: Some(timestamp(modified_ms)),
                    owner: owner.then(|| self.owner()),
                    restore_status: None,
                    size: i64::try_from(object.size).ok(),
                    storage_class: Some(
                        object.attributes.storage_class.unwrap_or_else(|| "STANDARD".to_owned()).into(),
                    ),
                }),
            }
        }
        (objects, prefixes)
    }

    pub(super) async fn list_objects_v2(
        &self,
        request: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        let input = request.input;
        let names = Names::new(input.encoding_type.as_ref())?;
        let max = page_size(input.max_keys)?;
        let span = Span {
            bucket: input.bucket,
            prefix: input.prefix.unwrap_or_default(),
            delimiter: input.delimiter.filter(|delimiter| !delimiter.is_empty()),
        };
        let start = match (&input.continuation_token, &input.start_after) {
            (Some(token), _) => Some(read_token(token)?),
            (None, Some(after)) if !after.is_empty() => span.after(after),
            (None, _) => Some(Vec::new()),
        };
        let page = match start {
            Some(start) => self.look(|snapshot| span.page(snapshot, &start, max))?,
            None => Page { entries: Vec::new(), next: None },
        };
        let (contents, common_prefixes) = self.entries(page.entries, names, input.fetch_owner.unwrap_or(false));
        Ok(S3Response::new(ListObjectsV2Output {
            key_count: i32::try_from(contents.len() + common_prefixes.len()).ok(),
            max_keys: i32::try_from(max).ok(),
            is_truncated: Some(page.next.is_some()),
            next_continuation_token: page.next.map(|next| URL_SAFE_NO_PAD.encode(next)),
            continuation_token: input.continuation_token,
            contents: Some(contents),
            common_prefixes: Some(common_prefixes),
            delimiter: span.delimiter.map(|delimiter| names.write(&delimiter)),
            prefix: Some(names.write(&span.prefix)),
            start_after: input.start_after.map(|after| names.write(&after)),
            encoding_type: input.encoding_type,
            name: Some(span.bucket),
            request_charged: None,
        }))
    }

    pub(super) async fn list_objects(
        &self,
        request: S3Request<ListObjectsInput>,
    ) -> S3Result<S3Response<ListObjectsOutput>> {
        let input = request.input;
        let names = Names::new(input.encoding_type.as_ref())?;
        let max = page_size(input.max_keys)?;
        let span = Span {
            bucket: input.bucket,
            prefix: input.prefix.unwrap_or_default(),
            delimiter: input.delimiter.filter(|delimiter| !delimiter.is_empty()),
        };
        let marker = input.marker.unwrap_or_default();
        let start = if marker.is_empty() { Some(Vec::new()) } else { span.after(&marker) };
        let page = match start {
            Some(start) => self.look(|snapshot| span.page(snapshot, &start, max))?,
            None => Page { entries: Vec::new(), next: None },
        };
        let last = page.entries.last().map(|entry| match entry {
            Entry::Object { key, .. } => key.clone(),
            Entry::Prefix(prefix) => prefix.clone(),
        });
        // S3 names the next marker only where folding hides which key came last.
        let shows_marker = page.next.is_some() && span.delimiter.is_some();
        let (contents, common_prefixes) = self.entries(page.entries, names, true);
        Ok(S3Response::new(ListObjectsOutput {
            max_keys: i32::try_from(max).ok(),
            is_truncated: Some(page.next.is_some()),
            next_marker: last.filter(|_| shows_marker).map(|last| names.write(&last)),
            marker: Some(names.write(&marker)),
            contents: Some(contents),
            common_prefixes: Some(common_prefixes),
            delimiter: span.delimiter.map(|delimiter| names.write(&delimiter)),
            prefix: Some(names.write(&span.prefix)),
            encoding_type: input.encoding_type,
            name: Some(span.bucket),
            request_charged: None,
        }))
    }
}

fn read_token(token: &str) -> S3Result<Vec<u8>> {
    let refused = |_| -> S3Error { s3_error!(InvalidArgument, "The continuation token provided is incorrect") };
    URL_SAFE_NO_PAD.decode(token).map_err(refused)
}

#[cfg(test)]
mod tests {
    use super::{Span, after_prefix};

    #[test]
    fn bounds_after_a_prefix() {
        assert_eq!(after_prefix(b"a/"), Some(b"a0".to_vec()));
        assert_eq!(after_prefix(b"a\xff"), Some(b"b".to_vec()));
        assert_eq!(after_prefix(b"\xff\xff"), None);
    }

    #[test]
    fn folding() {
        let span = |prefix: &str| Span { bucket: "b".into(), prefix: prefix.into(), delimiter: Some("/".into()) };
        assert_eq!(span("").fold("a/b/c"), Some("a/"));
        assert_eq!(span("a/").fold("a/b/c"), Some("a/b/"));
        assert_eq!(span("a/").fold("a/"), None, "a marker does not fold into itself");
        assert_eq!(span("a").fold("a/b"), Some("a/"));
        assert_eq!(span("").after("a/"), Some(b"a0".to_vec()));
        assert_eq!(span("").after("a"), Some(b"a\0".to_vec()));
    }
}
