//! What the null server keeps: of each object its key, size, ETag, checksum and metadata, in the order of keys. Pure.

use jiff::Timestamp;
use std::collections::BTreeMap;
use std::ops::Bound;

/// One object without its bytes.
#[derive(Debug, Clone)]
pub(super) struct Object {
    pub(super) size_bytes: u64,
    /// With its quotes.
    pub(super) etag: Box<str>,
    pub(super) modified: Timestamp,
    /// Headers that come back with the object: its checksums, their type, metadata, content type.
    pub(super) headers: Box<[(Box<str>, Box<str>)]>,
}

/// All objects of all buckets, by `bucket/key`.
#[derive(Debug, Default)]
pub(super) struct Objects(BTreeMap<String, Object>);

/// What a listing asks for.
#[derive(Debug, Clone, Copy)]
pub(super) struct ListQuery<'query> {
    pub(super) bucket: &'query str,
    pub(super) prefix: &'query str,
    /// Keys that hold it behind the prefix are rolled into one entry; empty for none.
    pub(super) delimiter: &'query str,
    /// The listing starts behind this key or common prefix; empty for the beginning.
    pub(super) after: &'query str,
    pub(super) max_keys: usize,
}

/// An entry of a listing.
#[derive(Debug)]
pub(super) enum Entry<'objects> {
    Object(&'objects str, &'objects Object),
    CommonPrefix(&'objects str),
}

/// One page of a listing.
#[derive(Debug)]
pub(super) struct Page<'objects> {
    pub(super) entries: Vec<Entry<'objects>>,
    /// Where the next page starts behind; none if this is the last.
    pub(super) next: Option<&'objects str>,
}

impl<'objects> Entry<'objects> {
    /// The key, or the common prefix.
    pub(super) const fn name(&self) -> &'objects str {
        match self {
            Self::Object(name, _) | Self::CommonPrefix(name) => name,
        }
    }
}

impl Objects {
    /// Puts an object in place of whatever was there.
    pub(super) fn put(&mut self, path: String, object: Object) {
        self.0.insert(path, object);
    }

    pub(super) fn get(&self, path: &str) -> Option<&Object> {
        self.0.get(path)
    }

    pub(super) fn remove(&mut self, path: &str) {
        self.0.remove(path);
    }

    /// Number and bytes of the objects whose `bucket/key` starts so.
    pub(super) fn count(&self, prefix: &str) -> (u64, u64) {
        let range = self.0.range::<str, _>((Bound::Included(prefix), Bound::Unbounded));
        let found = range.take_while(|(path, _)| path.starts_with(prefix));
        found.fold((0, 0), |(count, bytes), (_, object)| (count + 1, bytes + object.size_bytes))
    }

    /// One page of a listing, in the order of key bytes.
    pub(super) fn page<'objects>(&'objects self, query: &ListQuery<'_>) -> Page<'objects> {
        let root = format!("{}/", query.bucket);
        let first = format!("{root}{}", query.prefix);
        let mut from = Bound::Included(first.clone());
        if query.after >= query.prefix {
            from = self.behind(&root, query.after, query);
        }
        let mut page = Page { entries: Vec::new(), next: None };
        while let Some((path, object)) = self.0.range::<String, _>((from.clone(), Bound::Unbounded)).next() {
            if !path.starts_with(&first) {
                break;
            }
            let key = &path[root.len()..];
            if page.entries.len() >= query.max_keys {
                page.next = page.entries.last().map(Entry::name);
                break;
            }
            match common_prefix(key, query) {
                Some(common) => {
                    page.entries.push(Entry::CommonPrefix(common));
                    from = self.behind(&root, common, query);
                }
                None => {
                    page.entries.push(Entry::Object(key, object));
                    from = self.run(&mut page, &root, &first, path, query);
                }
            }
        }
        page
    }

    /// Adds the objects that follow `path` as long as none is rolled up: one walk instead of a search for each.
    fn run<'objects>(
        &'objects self,
        page: &mut Page<'objects>,
        root: &str,
        first: &str,
        path: &str,
        query: &ListQuery<'_>,
    ) -> Bound<String> {
        let mut last = path;
        for (path, object) in self.0.range::<str, _>((Bound::Excluded(path), Bound::Unbounded)) {
            let full = page.entries.len() >= query.max_keys;
            if full || !path.starts_with(first) || common_prefix(&path[root.len()..], query).is_some() {
                break;
            }
            page.entries.push(Entry::Object(&path[root.len()..], object));
            last = path;
        }
        Bound::Excluded(last.to_owned())
    }

    /// Where a listing goes on behind a key, or behind all keys of a common prefix.
    fn behind(&self, root: &str, after: &str, query: &ListQuery<'_>) -> Bound<String> {
        let is_common = !query.delimiter.is_empty() && common_prefix(after, query) == Some(after);
        if !is_common {
            return Bound::Excluded(format!("{root}{after}"));
        }
        // No key starts with the highest character there is, so this is behind all that start with `after`.
        Bound::Excluded(format!("{root}{after}{}", char::MAX))
    }
}

/// The common prefix that a key is rolled into.
fn common_prefix<'key>(key: &'key str, query: &ListQuery<'_>) -> Option<&'key str> {
    if query.delimiter.is_empty() {
        return None;
    }
    let behind = key.strip_prefix(query.prefix)?;
    let end = behind.find(query.delimiter)? + query.delimiter.len();
    Some(&key[..query.prefix.len() + end])
}

#[cfg(test)]
mod tests {
    use super::{ListQuery, Object, Objects};
    use jiff::Timestamp;

    fn objects(keys: &[&str]) -> Objects {
        let mut objects = Objects::default();
        for key in keys {
            let object =
                Object { size_bytes: 3, etag: "\"e\"".into(), modified: Timestamp::UNIX_EPOCH, headers: [].into() };
            objects.put(format!("b/{key}"), object);
        }
        objects
    }

    /// All pages of a listing, each with its entries.
    fn pages(objects: &Objects, prefix: &str, delimiter: &str, start: &str, max_keys: usize) -> Vec<Vec<String>> {
        let (mut after, mut pages) = (start.to_owned(), Vec::new());
        loop {
            let query = ListQuery { bucket: "b", prefix, delimiter, after: &after, max_keys };
            let page = objects.page(&query);
            pages.push(page.entries.iter().map(|entry| entry.name().to_owned()).collect());
            assert!(pages.len() < 100, "the listing does not end");
            match page.next {
                Some(next) => after = next.to_owned(),
                None => return pages,
            }
        }
    }

    #[track_caller]
    fn check(keys: &[&str], (prefix, delimiter, start): (&str, &str, &str), wanted: &[&str]) {
        let objects = objects(keys);
        for max_keys in 1..=wanted.len() + 1 {
            let pages = pages(&objects, prefix, delimiter, start, max_keys);
            assert_eq!(pages.concat(), wanted, "in pages of {max_keys}");
            let full = pages[..pages.len() - 1].iter().all(|page| page.len() == max_keys);
            assert!(full, "only the last page may be short: {pages:?}");
        }
    }

    #[test]
    fn listings_come_in_pages_and_in_the_order_of_bytes() {
        let keys = ["a", "a-1", "a.txt", "a/", "a/1", "a/2/x", "a/2/y", "ab", "b/1", "☃"];
        check(&keys, ("", "", ""), &keys);
        check(&keys, ("", "/", ""), &["a", "a-1", "a.txt", "a/", "ab", "b/", "☃"]);
        check(&keys, ("a/", "/", ""), &["a/", "a/1", "a/2/"]);
        check(&keys, ("a", "", ""), &["a", "a-1", "a.txt", "a/", "a/1", "a/2/x", "a/2/y", "ab"]);
        check(&keys, ("", "", "a/1"), &["a/2/x", "a/2/y", "ab", "b/1", "☃"]);
        check(&keys, ("a/", "", "a"), &["a/", "a/1", "a/2/x", "a/2/y"]);
        check(&keys, ("a/2", "/", ""), &["a/2/"]);
        check(&keys, ("c", "/", ""), &[]);
    }

    #[test]
    fn counts_are_of_a_prefix() {
        let objects = objects(&["p/1", "p/2", "p2/1"]);
        assert_eq!(objects.count("b/p/"), (2, 6));
        assert_eq!(objects.count("b/"), (3, 9));
        assert_eq!(objects.count("c/"), (0, 0));
    }
}
