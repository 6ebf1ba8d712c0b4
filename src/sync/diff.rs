//! Merges two sides that are sorted by key bytes, in constant memory.

use super::keys::Placed;
use crate::model::{ObjectEntry, ObjectKey, Odd};
use std::fmt;
use std::iter::Peekable;

/// What was met next in key order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pair {
    /// A file without object.
    Missing(Placed),
    /// An object without file.
    Extra(ObjectEntry),
    /// A file and the object of its key; whether they are equal is another question.
    Both(Placed, ObjectEntry),
    /// Something in the source that is no file to send; it passes through.
    Odd(Odd),
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

/// Why a merge ended before its inputs did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Broken<E> {
    /// A side is out of order.
    Order(OrderError),
    /// The target could not be listed to its end: what follows is not missing, it is unknown.
    Listing(E),
}

impl fmt::Display for Side {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Source => "walk",
            Self::Target => "listing",
        })
    }
}

/// Merges `source` and `target`, both strictly ascending by key bytes; ends after the first error.
pub fn diff<S, T, E>(source: S, target: T) -> impl Iterator<Item = Result<Pair, Broken<E>>>
where
    S: Iterator<Item = Result<Placed, Odd>>,
    T: Iterator<Item = Result<ObjectEntry, E>>,
{
    let mut merge = Merge { source: source.peekable(), target: target.peekable(), last_file: None, last_object: None };
    let mut broken = false;
    std::iter::from_fn(move || {
        let next = if broken { None } else { merge.next_pair().transpose() };
        broken |= matches!(next, Some(Err(_)));
        next
    })
}

struct Merge<S: Iterator, T: Iterator> {
    source: Peekable<S>,
    target: Peekable<T>,
    last_file: Option<ObjectKey>,
    last_object: Option<ObjectKey>,
}

impl<S, T, E> Merge<S, T>
where
    S: Iterator<Item = Result<Placed, Odd>>,
    T: Iterator<Item = Result<ObjectEntry, E>>,
{
    fn next_pair(&mut self) -> Result<Option<Pair>, Broken<E>> {
        if let Some(Err(odd)) = self.source.next_if(Result::is_err) {
            return Ok(Some(Pair::Odd(odd)));
        }
        if let Some(Err(error)) = self.target.next_if(Result::is_err) {
            return Err(Broken::Listing(error));
        }
        let file_key = self.source.peek().and_then(|file| file.as_ref().ok()).map(|file| &file.key);
        let object_key = self.target.peek().and_then(|object| object.as_ref().ok()).map(|object| &object.key);
        let (takes_file, takes_object) = match (file_key, object_key) {
            (Some(file), Some(object)) => (file <= object, object <= file),
            (file, object) => (file.is_some(), object.is_some()),
        };
        let file = if takes_file { self.source.next().and_then(Result::ok) } else { None };
        let object = if takes_object { self.target.next().and_then(Result::ok) } else { None };
        if let Some(file) = &file {
            check_order(&mut self.last_file, &file.key, Side::Source).map_err(Broken::Order)?;
        }
        if let Some(object) = &object {
            check_order(&mut self.last_object, &object.key, Side::Target).map_err(Broken::Order)?;
        }
        Ok(match (file, object) {
            (Some(file), Some(object)) => Some(Pair::Both(file, object)),
            (Some(file), None) => Some(Pair::Missing(file)),
            (None, Some(object)) => Some(Pair::Extra(object)),
            (None, None) => None,
        })
    }
}

fn check_order(last: &mut Option<ObjectKey>, key: &ObjectKey, side: Side) -> Result<(), OrderError> {
    if let Some(before) = last.take_if(|last| &*last >= key) {
        return Err(OrderError { side, before, after: key.clone() });
    }
    *last = Some(key.clone());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Broken, Pair, diff};
    use crate::model::{Fingerprint, LocalFile, ObjectEntry, Odd, OddKind};
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

    /// Both sides as words, `?x` being odd and `!` a failed listing; the answer as `-` for missing, `+` for extra, `=`
    /// for both, `?` for odd, `!` for an error.
    fn merged(source: &str, target: &str) -> String {
        let source = source.split_whitespace().map(|word| match word.strip_prefix('?') {
            Some(path) => Err(Odd { path: path.to_owned(), kind: OddKind::NotRegular }),
            None => Ok(placed(word)),
        });
        let target = target.split_whitespace().map(|word| if word == "!" { Err("lost") } else { Ok(object(word)) });
        let words = diff(source, target).map(|pair| match pair {
            Ok(Pair::Missing(placed)) => format!("-{}", placed.key),
            Ok(Pair::Extra(object)) => format!("+{}", object.key),
            Ok(Pair::Both(placed, _)) => format!("={}", placed.key),
            Ok(Pair::Odd(odd)) => format!("?{}", odd.path),
            Err(Broken::Order(error)) => format!("!{error}"),
            Err(Broken::Listing(error)) => format!("!{error}"),
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
            ("?a b ?c", "b c", "?a =b ?c +c"),
            ("a/b a-1", "", "-a/b !the walk is not in key order: `a-1` came after `a/b`"),
            ("a", "b a", "-a +b !the listing is not in key order: `a` came after `b`"),
            ("a z", "a a b", "=a !the listing is not in key order: `a` came after `a`"),
            ("a b c", "a ! c", "=a !lost"),
            ("a b c", "!", "!lost"),
        ] {
            assert_eq!(merged(source, target), expected, "{source} | {target}");
        }
    }

    proptest! {
        #[test]
        fn laws(source in btree_set("[-./ab]{1,4}", 0..20), target in btree_set("[-./ab]{1,4}", 0..20)) {
            let run = |left: &BTreeSet<String>, right: &BTreeSet<String>| {
                diff(left.iter().map(|key| Ok(placed(key))), right.iter().map(|key| Ok::<_, ()>(object(key))))
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
                    Pair::Odd(odd) => panic!("{odd:?}"),
                }
            }
            prop_assert_eq!(applied, source);
        }
    }
}
