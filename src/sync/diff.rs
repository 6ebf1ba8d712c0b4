//! Merges two sides that are sorted by key bytes, in constant memory.

use super::keys::Placed;
use crate::model::{ObjectEntry, ObjectKey};
use std::fmt;
use std::iter::Peekable;

/// Where a key was met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pair {
    /// Only in the source.
    Missing(Placed),
    /// Only in the target.
    Extra(ObjectEntry),
    /// In both; whether they are equal is another question.
    Both(Placed, ObjectEntry),
}

/// One of the two inputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The local walk.
    Source,
    /// The listing.
    Target,
}

/// A side that is not sorted. A merge that went on would see deletions and uploads that are none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the {side} is not in key order: `{after}` came after `{before}`")]
pub struct OrderError {
    /// Which side.
    pub side: Side,
    /// The key that came first and sorts later.
    pub before: ObjectKey,
    /// The key that came second, or came twice.
    pub after: ObjectKey,
}

impl fmt::Display for Side {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Source => "walk",
            Self::Target => "listing",
        })
    }
}

struct Diff<S: Iterator<Item = Placed>, T: Iterator<Item = ObjectEntry>> {
    source: Sorted<S>,
    target: Sorted<T>,
    broken: bool,
}

/// Merges `source` and `target`, both strictly ascending by key bytes; ends after the first error.
pub fn diff<S, T>(source: S, target: T) -> impl Iterator<Item = Result<Pair, OrderError>>
where
    S: Iterator<Item = Placed>,
    T: Iterator<Item = ObjectEntry>,
{
    Diff { source: Sorted::new(source), target: Sorted::new(target), broken: false }
}

impl<S, T> Iterator for Diff<S, T>
where
    S: Iterator<Item = Placed>,
    T: Iterator<Item = ObjectEntry>,
{
    type Item = Result<Pair, OrderError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.broken {
            return None;
        }
        let merged = self.merge();
        self.broken = matches!(merged, Some(Err(_)));
        merged
    }
}

impl<S, T> Diff<S, T>
where
    S: Iterator<Item = Placed>,
    T: Iterator<Item = ObjectEntry>,
{
    fn merge(&mut self) -> Option<Result<Pair, OrderError>> {
        use std::cmp::Ordering::{Equal, Greater, Less};
        let (source, target) = (self.source.inner.peek(), self.target.inner.peek());
        let order = match (source, target) {
            (None, None) => return None,
            (Some(_), None) => Less,
            (None, Some(_)) => Greater,
            (Some(source), Some(target)) => source.key.cmp(&target.key),
        };
        let placed = if order == Greater { None } else { self.source.take(Side::Source, |placed| &placed.key) };
        let object = if order == Less { None } else { self.target.take(Side::Target, |object| &object.key) };
        debug_assert!((order == Equal) == (placed.is_some() && object.is_some()));
        let pair = match (placed.transpose(), object.transpose()) {
            (Err(error), _) | (_, Err(error)) => return Some(Err(error)),
            (Ok(Some(placed)), Ok(Some(object))) => Pair::Both(placed, object),
            (Ok(Some(placed)), Ok(None)) => Pair::Missing(placed),
            (Ok(None), Ok(Some(object))) => Pair::Extra(object),
            (Ok(None), Ok(None)) => return None,
        };
        Some(Ok(pair))
    }
}

/// An input that remembers its last key.
struct Sorted<I: Iterator> {
    inner: Peekable<I>,
    last: Option<ObjectKey>,
}

impl<I: Iterator> Sorted<I> {
    fn new(inner: I) -> Self {
        Self { inner: inner.peekable(), last: None }
    }

    fn take(&mut self, side: Side, key: impl Fn(&I::Item) -> &ObjectKey) -> Option<Result<I::Item, OrderError>> {
        let item = self.inner.next()?;
        if let Some(before) = self.last.take_if(|last| *last >= *key(&item)) {
            return Some(Err(OrderError { side, before, after: key(&item).clone() }));
        }
        match &mut self.last {
            Some(last) => last.clone_from(key(&item)),
            none => *none = Some(key(&item).clone()),
        }
        Some(Ok(item))
    }
}

#[cfg(test)]
mod tests {
    use super::{Pair, diff};
    use crate::model::{Fingerprint, LocalFile, ObjectEntry};
    use crate::sync::keys::Placed;
    use proptest::collection::btree_set;
    use proptest::prelude::{prop_assert_eq, proptest};
    use std::collections::BTreeSet;

    fn placed(key: &str) -> Placed {
        let fingerprint = Fingerprint { size_bytes: 1, mtime_ns: 0, ctime_ns: 0, device: 0, inode: 0 };
        let file = LocalFile { relative: key.to_owned(), path: key.into(), fingerprint };
        Placed { key: key.parse().unwrap(), file }
    }

    fn object(key: &str) -> ObjectEntry {
        ObjectEntry { key: key.parse().unwrap(), size_bytes: 1, etag: None, modified: None }
    }

    /// Both sides as words; the answer as `-` for missing, `+` for extra, `=` for both, `!` for an error.
    fn merged(source: &str, target: &str) -> String {
        let source = source.split_whitespace().map(placed);
        let target = target.split_whitespace().map(object);
        let words = diff(source, target).map(|pair| match pair {
            Ok(Pair::Missing(placed)) => format!("-{}", placed.key),
            Ok(Pair::Extra(object)) => format!("+{}", object.key),
            Ok(Pair::Both(placed, _)) => format!("={}", placed.key),
            Err(error) => format!("!{} {} after {}", error.side, error.after, error.before),
        });
        words.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn merges() {
        for (source, target, expected) in [
            ("", "", ""),
            ("a b", "", "-a -b"),
            ("", "a b", "+a +b"),
            ("a-1 a.txt a/b", "a-1 a.txt a/b", "=a-1 =a.txt =a/b"),
            ("a c e", "b c d", "-a +b =c +d -e"),
            ("a/b a-1", "", "-a/b !walk a-1 after a/b"),
            ("a", "b a", "-a +b !listing a after b"),
            ("a z", "a a b", "=a !listing a after a"),
        ] {
            assert_eq!(merged(source, target), expected, "{source} | {target}");
        }
    }

    proptest! {
        #[test]
        fn laws(source in btree_set("[-./ab]{1,4}", 0..20), target in btree_set("[-./ab]{1,4}", 0..20)) {
            let run = |left: &BTreeSet<String>, right: &BTreeSet<String>| {
                diff(left.iter().map(|key| placed(key)), right.iter().map(|key| object(key)))
                    .map(Result::unwrap)
                    .collect::<Vec<_>>()
            };
            // A side compared with itself differs nowhere.
            prop_assert_eq!(run(&source, &source).iter().filter(|pair| !matches!(pair, Pair::Both(..))).count(), 0);
            // The target, with what is missing put and what is extra taken away, is the source.
            let mut applied = target.clone();
            for pair in run(&source, &target) {
                match pair {
                    Pair::Missing(placed) => prop_assert_eq!(applied.insert(placed.key.to_string()), true),
                    Pair::Extra(object) => prop_assert_eq!(applied.remove(object.key.as_str()), true),
                    Pair::Both(placed, object) => prop_assert_eq!(placed.key, object.key),
                }
            }
            prop_assert_eq!(applied, source);
        }
    }
}
