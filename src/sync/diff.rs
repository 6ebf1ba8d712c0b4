//! Merges two sides that are sorted by the bytes of their names, in constant memory.

use super::item::Item;
use crate::model::Odd;
use std::fmt;
use std::iter::Peekable;

/// What was met next in the order of names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pair {
    /// Only the source has it.
    Missing(Item),
    /// Only the target has it.
    Extra(Item),
    /// Both have it; whether they are equal is another question.
    Both(Item, Item),
    /// Something on either side that is neither file nor object; it passes through.
    Odd(Odd),
}

/// Why a side has no item here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Flaw<E> {
    /// One thing that cannot be taken; the rest goes on.
    Odd(Odd),
    /// The side could not be read to its end: what follows is not missing, it is unknown.
    Lost(E),
}

/// One of the two inputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Where things come from.
    Source,
    /// Where they go.
    Target,
}

/// A side that is not sorted. A merge that went on would see deletions and uploads that are none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the {side} is not in key order: `{after}` came after `{before}`")]
pub struct OrderError {
    /// Which side.
    pub side: Side,
    /// The name that came first and sorts later.
    pub before: String,
    /// The name that came second, or came twice.
    pub after: String,
}

/// Why a merge ended before its inputs did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Broken<E> {
    /// A side is out of order.
    Order(OrderError),
    /// A side could not be read to its end.
    Lost(E),
}

impl fmt::Display for Side {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Source => "source",
            Self::Target => "target",
        })
    }
}

/// Merges `source` and `target`, both strictly ascending by the bytes of their names; ends after the first error.
pub fn diff<S, T, E>(source: S, target: T) -> impl Iterator<Item = Result<Pair, Broken<E>>>
where
    S: Iterator<Item = Result<Item, Flaw<E>>>,
    T: Iterator<Item = Result<Item, Flaw<E>>>,
{
    let mut merge =
        Merge { source: source.peekable(), target: target.peekable(), source_order: None, target_order: None };
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
    /// The name that each side gave last.
    source_order: Option<String>,
    target_order: Option<String>,
}

impl<S, T, E> Merge<S, T>
where
    S: Iterator<Item = Result<Item, Flaw<E>>>,
    T: Iterator<Item = Result<Item, Flaw<E>>>,
{
    fn next_pair(&mut self) -> Result<Option<Pair>, Broken<E>> {
        let flaw = self.source.next_if(Result::is_err).or_else(|| self.target.next_if(Result::is_err));
        match flaw.and_then(Result::err) {
            Some(Flaw::Odd(odd)) => return Ok(Some(Pair::Odd(odd))),
            Some(Flaw::Lost(error)) => return Err(Broken::Lost(error)),
            None => {}
        }
        let source_name = self.source.peek().and_then(|item| item.as_ref().ok()).map(Item::name);
        let target_name = self.target.peek().and_then(|item| item.as_ref().ok()).map(Item::name);
        let (takes_source, takes_target) = match (source_name, target_name) {
            (Some(source), Some(target)) => (source <= target, target <= source),
            (source, target) => (source.is_some(), target.is_some()),
        };
        let source = if takes_source { self.source.next().and_then(Result::ok) } else { None };
        let target = if takes_target { self.target.next().and_then(Result::ok) } else { None };
        if let Some(item) = &source {
            check_order(&mut self.source_order, item.name(), Side::Source).map_err(Broken::Order)?;
        }
        if let Some(item) = &target {
            check_order(&mut self.target_order, item.name(), Side::Target).map_err(Broken::Order)?;
        }
        Ok(match (source, target) {
            (Some(source), Some(target)) => Some(Pair::Both(source, target)),
            (Some(source), None) => Some(Pair::Missing(source)),
            (None, Some(target)) => Some(Pair::Extra(target)),
            (None, None) => None,
        })
    }
}

/// Keeps the last name in one text that is used again, since this runs for every file.
fn check_order(last: &mut Option<String>, name: &str, side: Side) -> Result<(), OrderError> {
    match last {
        None => *last = Some(name.to_owned()),
        Some(before) if before.as_str() >= name => {
            return Err(OrderError { side, before: std::mem::take(before), after: name.to_owned() });
        }
        Some(before) => {
            before.clear();
            before.push_str(name);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Broken, Flaw, Pair, diff};
    use crate::model::{Fingerprint, LocalFile, ObjectEntry, Odd, OddKind, Prefix};
    use crate::sync::item::{Found, Item};
    use proptest::collection::btree_set;
    use proptest::prelude::{prop_assert_eq, proptest};
    use std::collections::BTreeSet;

    fn file(name: &str) -> Item {
        let fingerprint = Fingerprint { size_bytes: 1, mtime_ns: 0, ctime_ns: 0, device: 0, inode: 0 };
        Item::File(LocalFile { relative: name.to_owned(), path: name.into(), fingerprint })
    }

    fn object(name: &str) -> Item {
        let entry =
            ObjectEntry { key: format!("p/{name}").parse().unwrap(), size_bytes: 1, etag: None, modified: None };
        Item::Object(Found::below(&"p/".parse::<Prefix>().unwrap(), entry).unwrap())
    }

    /// Both sides as words, `?x` being odd and `!` a failed listing; the answer as `-` for missing, `+` for extra, `=`
    /// for both, `?` for odd, `!` for an error.
    fn merged(source: &str, target: &str) -> String {
        let source = source.split_whitespace().map(|word| match word.strip_prefix('?') {
            Some(path) => Err(Flaw::Odd(Odd { path: path.to_owned(), kind: OddKind::NotRegular })),
            None => Ok(file(word)),
        });
        let target =
            target.split_whitespace().map(|word| if word == "!" { Err(Flaw::Lost("lost")) } else { Ok(object(word)) });
        let words = diff(source, target).map(|pair| match pair {
            Ok(Pair::Missing(item)) => format!("-{}", item.name()),
            Ok(Pair::Extra(item)) => format!("+{}", item.name()),
            Ok(Pair::Both(item, _)) => format!("={}", item.name()),
            Ok(Pair::Odd(odd)) => format!("?{}", odd.path),
            Err(Broken::Order(error)) => format!("!{error}"),
            Err(Broken::Lost(error)) => format!("!{error}"),
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
            ("a/b a-1", "", "-a/b !the source is not in key order: `a-1` came after `a/b`"),
            ("a", "b a", "-a +b !the target is not in key order: `a` came after `b`"),
            ("a z", "a a b", "=a !the target is not in key order: `a` came after `a`"),
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
                diff(left.iter().map(|name| Ok(file(name))), right.iter().map(|name| Ok::<_, Flaw<()>>(object(name))))
                    .map(Result::unwrap)
                    .collect::<Vec<_>>()
            };
            // A side compared with itself differs nowhere.
            prop_assert_eq!(run(&source, &source).iter().filter(|pair| !matches!(pair, Pair::Both(..))).count(), 0);
            // The target, with what is missing put and what is extra taken away, is the source.
            let mut applied = target.clone();
            for pair in run(&source, &target) {
                match pair {
                    Pair::Missing(item) => prop_assert_eq!(applied.insert(item.name().to_owned()), true),
                    Pair::Extra(item) => prop_assert_eq!(applied.remove(item.name()), true),
                    Pair::Both(source, target) => prop_assert_eq!(source.name(), target.name()),
                    Pair::Odd(odd) => panic!("{odd:?}"),
                }
            }
            prop_assert_eq!(applied, source);
        }
    }
}
