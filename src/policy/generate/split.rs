//! Documents kept under a size quota: as few parts as it takes, cut in the order of what they give.

use super::{GenerateError, Generated, Kind, characters};
use serde_json::Value;

/// The longest name of a managed policy.
const MAX_NAME: usize = 128;

/// Renders `items` in as few documents of at most `most` characters as it takes. A document only grows with its items.
pub(super) fn parts<T>(
    name: &str,
    most: usize,
    items: &[T],
    render: &mut dyn FnMut(&[T]) -> Value,
) -> Result<Vec<Value>, GenerateError> {
    let mut parts = Vec::new();
    let mut rest = items;
    while !rest.is_empty() {
        let mut size = |count: usize| characters(&render(&rest[..count]));
        let first = size(1);
        if first > most {
            return Err(GenerateError::TooLarge { name: name.to_owned(), characters: first, most });
        }
        let mut fits = |count: usize| size(count) <= most;
        // `good` items fit and `bad` do not; doubling first keeps the documents that are only measured small.
        let (mut good, mut bad) = (1, 2);
        while bad <= rest.len() && fits(bad) {
            (good, bad) = (bad, bad * 2);
        }
        bad = bad.min(rest.len() + 1);
        while bad - good > 1 {
            let middle = usize::midpoint(good, bad);
            if fits(middle) {
                good = middle;
            } else {
                bad = middle;
            }
        }
        parts.push(render(&rest[..good]));
        rest = &rest[good..];
    }
    Ok(parts)
}

/// Gives one part the policy's own name, and several `NAME-1`, `NAME-2` and so on.
pub(super) fn named(name: &str, parts: Vec<Value>) -> Vec<Generated> {
    let count = parts.len();
    let name_of = |number: usize| {
        let suffix = format!("-{number}");
        let room = MAX_NAME - suffix.len();
        // Names of policies are ASCII, so every cut is one between characters.
        let start = name.get(..room).unwrap_or(name);
        format!("{start}{suffix}")
    };
    let generated = |(document, number)| Generated {
        name: if count == 1 { name.to_owned() } else { name_of(number) },
        kind: Kind::Identity,
        document,
    };
    parts.into_iter().zip(1..).map(generated).collect()
}
