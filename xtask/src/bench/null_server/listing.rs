//! Listings of objects as both versions of ListObjects write them. Pure: query and page in, document out.

use super::address::{Address, encode};
use super::objects::{Entry, ListQuery, Object, Objects, Page};
use super::xml::{document, element};
use std::borrow::Cow;
use std::fmt::Write as _;

/// S3 gives no more entries in one answer.
const MAX_KEYS: usize = 1000;

/// Answers ListObjectsV2, or ListObjects where the address asks for no version.
pub(super) fn list(objects: &Objects, address: &Address) -> String {
    let is_v2 = address.parameter("list-type") == Some("2");
    let text = |name: &str| address.parameter(name).unwrap_or_default();
    let after = match (is_v2, address.parameter("continuation-token")) {
        (true, Some(token)) => token.to_owned(),
        (true, None) => text("start-after").to_owned(),
        (false, _) => text("marker").to_owned(),
    };
    let max_keys = text("max-keys").parse().map_or(MAX_KEYS, |asked: usize| asked.min(MAX_KEYS));
    let query = ListQuery {
        bucket: &address.bucket,
        prefix: text("prefix"),
        delimiter: text("delimiter"),
        after: &after,
        max_keys,
    };
    let page = if max_keys == 0 { Page { entries: Vec::new(), next: None } } else { objects.page(&query) };
    let is_encoded = text("encoding-type") == "url";
    write(&query, &page, is_v2, is_encoded)
}

fn write(query: &ListQuery<'_>, page: &Page<'_>, is_v2: bool, is_encoded: bool) -> String {
    let shown = |text: &str| if is_encoded { Cow::Owned(encode(text)) } else { Cow::Owned(text.to_owned()) };
    let mut out = String::with_capacity(400 * (page.entries.len() + 1));
    out.push_str("<ListBucketResult>");
    element(&mut out, "Name", query.bucket);
    element(&mut out, "Prefix", &shown(query.prefix));
    if !query.delimiter.is_empty() {
        element(&mut out, "Delimiter", &shown(query.delimiter));
    }
    element(&mut out, "MaxKeys", &query.max_keys.to_string());
    if is_encoded {
        element(&mut out, "EncodingType", "url");
    }
    element(&mut out, "IsTruncated", if page.next.is_some() { "true" } else { "false" });
    match (is_v2, page.next) {
        (true, next) => {
            element(&mut out, "KeyCount", &page.entries.len().to_string());
            // A token is opaque to clients; this one is the name of the last entry.
            next.into_iter().for_each(|next| element(&mut out, "NextContinuationToken", next));
        }
        (false, next) => {
            element(&mut out, "Marker", &shown(query.after));
            next.into_iter().for_each(|next| element(&mut out, "NextMarker", &shown(next)));
        }
    }
    for entry in &page.entries {
        match entry {
            Entry::Object(key, object) => contents(&mut out, &shown(key), object),
            Entry::CommonPrefix(prefix) => {
                out.push_str("<CommonPrefixes>");
                element(&mut out, "Prefix", &shown(prefix));
                out.push_str("</CommonPrefixes>");
            }
        }
    }
    out.push_str("</ListBucketResult>");
    document(&out)
}

fn contents(out: &mut String, key: &str, object: &Object) {
    out.push_str("<Contents>");
    element(out, "Key", key);
    let _ = write!(out, "<LastModified>{:.3}</LastModified>", object.modified);
    element(out, "ETag", &object.etag);
    let _ = write!(out, "<Size>{}</Size><StorageClass>STANDARD</StorageClass>", object.size_bytes);
    for (name, value) in &object.headers {
        match name.strip_prefix("x-amz-checksum-") {
            Some("type") => element(out, "ChecksumType", value),
            Some(algorithm) => element(out, "ChecksumAlgorithm", &algorithm.to_ascii_uppercase()),
            None => {}
        }
    }
    out.push_str("</Contents>");
}

#[cfg(test)]
mod tests {
    use super::super::address::Address;
    use super::super::objects::{Object, Objects};
    use super::super::xml::texts;
    use super::list;
    use jiff::Timestamp;

    fn objects() -> Objects {
        let mut objects = Objects::default();
        for key in ["a/1", "a/2 3", "b", "c&d"] {
            let headers = [("x-amz-checksum-crc64nvme".into(), "AAAAAAAAAAA=".into())];
            let modified = Timestamp::from_second(1_800_000_000).unwrap();
            objects.put(
                format!("lake/{key}"),
                Object { size_bytes: 5, etag: "\"e\"".into(), modified, headers: headers.into() },
            );
        }
        objects
    }

    #[track_caller]
    fn check(query: &str, wanted: &[(&str, &[&str])]) {
        let document = list(&objects(), &Address::parse(&format!("/lake?{query}")).unwrap());
        for (name, values) in wanted {
            assert_eq!(texts(&document, name), *values, "{name} of {query} in {document}");
        }
    }

    #[test]
    fn version_2_pages_by_token() {
        check(
            "list-type=2",
            &[("Key", &["a/1", "a/2 3", "b", "c&d"]), ("KeyCount", &["4"]), ("IsTruncated", &["false"])],
        );
        let page = [("Key", &["a/1", "a/2 3"][..]), ("IsTruncated", &["true"]), ("NextContinuationToken", &["a/2 3"])];
        check("list-type=2&max-keys=2", &page);
        check(
            "list-type=2&max-keys=2&continuation-token=a%2F2+3",
            &[("Key", &["b", "c&d"]), ("NextContinuationToken", &[])],
        );
        check("list-type=2&start-after=b", &[("Key", &["c&d"])]);
        check("list-type=2&encoding-type=url&prefix=a%2F2%20", &[("Key", &["a/2%203"]), ("Prefix", &["a/2%20"])]);
        check("list-type=2&delimiter=%2F", &[("Key", &["b", "c&d"]), ("Prefix", &["", "a/"]), ("KeyCount", &["3"])]);
        check("list-type=2&max-keys=0", &[("Key", &[]), ("IsTruncated", &["false"])]);
    }

    #[test]
    fn version_1_pages_by_marker() {
        check("max-keys=3", &[("Key", &["a/1", "a/2 3", "b"]), ("NextMarker", &["b"])]);
        check("marker=b&prefix=", &[("Key", &["c&d"]), ("Marker", &["b"]), ("KeyCount", &[])]);
    }

    #[test]
    fn entries_say_what_is_known_of_an_object() {
        let wanted: [(&str, &[&str]); 4] = [
            ("LastModified", &["2027-01-15T08:00:00.000Z"]),
            ("ETag", &["\"e\""]),
            ("Size", &["5"]),
            ("ChecksumAlgorithm", &["CRC64NVME"]),
        ];
        check("list-type=2&prefix=b", &wanted);
    }
}
