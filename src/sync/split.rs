//! Where to cut a listing of unknown keys, so that its parts can be asked for side by side.
//!
//! Nothing tells how keys are spread before they have been listed. But keys are counted, dated, hashed or put into
//! folders, so the next place where they branch is at a digit or letter of the last key that was seen: behind
//! `run-7/img_003999` come `img_006...`, `img_05...`, `img_5...` and perhaps `run-8/`. A cut that guesses wrong leaves an empty part,
//! which costs one request and no key: the parts cover all keys whatever the cuts are.

/// The letters and digits that vary in the keys seen so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Alphabet(u128);

impl Alphabet {
    /// Learns from the keys of a page, in order: all but what its first and last key start with alike.
    pub fn learn<'keys>(&mut self, keys: impl DoubleEndedIterator<Item = &'keys str> + Clone) {
        let (Some(first), Some(last)) = (keys.clone().next(), keys.clone().next_back()) else { return };
        let depth = shared_bytes(first, last);
        for byte in keys.flat_map(|key| key.bytes().skip(depth)).filter(u8::is_ascii_alphanumeric) {
            self.0 |= 1 << byte;
        }
    }

    const fn has(self, byte: u8) -> bool {
        self.0 & (1 << byte) != 0
    }

    /// The middle one of the bytes of `byte`'s kind that may follow it, below `end`; where there are none and
    /// `any_kind` is set, of all bytes that may.
    fn middle_after(self, byte: u8, end: u8, any_kind: bool) -> Option<u8> {
        let kind = [b'0'..=b'9', b'A'..=b'Z', b'a'..=b'z'].into_iter().find(|kind| kind.contains(&byte))?;
        let knows_kind = kind.clone().any(|other| self.has(other));
        let within = |candidates: Vec<u8>| candidates.get(candidates.len() / 2).copied();
        let alike = kind.filter(|other| *other > byte && *other < end && (!knows_kind || self.has(*other)));
        within(alike.collect()).or_else(|| {
            let others = (byte..end.min(0x80)).skip(1).filter(|other| self.has(*other));
            if any_kind { within(others.collect()) } else { None }
        })
    }
}

/// At most `most` cuts behind `last`, ascending, each below `until`.
///
/// `first` and `last` are the ends of the page that was seen last; all keys start with the same `prefix_bytes` bytes. The cuts
/// nearest to `last` come first, since branches are surest where keys have been seen to vary.
pub fn cuts(
    prefix_bytes: usize,
    first: &str,
    last: &str,
    until: Option<&str>,
    alphabet: Alphabet,
    most: usize,
) -> Vec<String> {
    let same_as_end = until.map_or(0, |until| shared_bytes(last, until));
    let from = prefix_bytes.max(same_as_end);
    let to = shared_bytes(first, last).min(last.len().saturating_sub(1));
    let cut = |place: usize| {
        let byte = *last.as_bytes().get(place)?;
        let end = until.filter(|_| place == same_as_end).and_then(|until| until.as_bytes().get(place).copied());
        let next = alphabet.middle_after(byte, end.unwrap_or(u8::MAX), place == from)?;
        Some(format!("{}{}", last.get(..place)?, char::from(next)))
    };
    (from..=to).rev().filter_map(cut).take(most).collect()
}

/// How many bytes two texts start with alike.
fn shared_bytes(left: &str, right: &str) -> usize {
    left.bytes().zip(right.bytes()).take_while(|(left, right)| left == right).count()
}

#[cfg(test)]
mod tests {
    use super::{Alphabet, cuts};
    use proptest::collection::btree_set;
    use proptest::prelude::{prop_assert, proptest};

    fn alphabet(keys: &[&str]) -> Alphabet {
        let mut alphabet = Alphabet::default();
        alphabet.learn(keys.iter().copied());
        alphabet
    }

    #[test]
    fn cuts_are_where_keys_branch() {
        let check = |prefix: usize, page: &[&str], until: Option<&str>, expected: &str| {
            let found = cuts(prefix, page[0], page[page.len() - 1], until, alphabet(page), 9);
            assert_eq!(found.join(" "), expected, "{page:?} until {until:?}");
        };
        check(4, &["img_003000", "img_003123", "img_003456", "img_003789"], None, "img_0039 img_007 img_05 img_5");
        check(4, &["img_5001", "img_5078"], Some("img_52"), "img_508 img_51");
        check(0, &["a/1", "a/9"], None, "n");
        check(0, &["a/1", "a/9"], Some("c"), "b");
        check(0, &["a/1", "a/9"], Some("b"), "");
        // Hashes: behind the digits come the letters that were seen.
        check(0, &["9a10", "9b53", "9c2f", "9de4", "9f00"], None, "d");
        check(2, &["p/é1", "p/é9"], None, "");
        check(0, &["a"], None, "n");
        check(3, &["abc"], None, "");
    }

    proptest! {
        #[test]
        fn cuts_ascend_within_their_bounds(keys in btree_set("[ab0-9/é_]{1,6}", 3..40), most in 0_usize..5) {
            let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
            let (page, until) = (&keys[..keys.len() - 1], keys[keys.len() - 1]);
            let (first, last) = (page[0], page[page.len() - 1]);
            let found = cuts(0, first, last, Some(until), alphabet(page), most);
            prop_assert!(found.len() <= most && found.is_sorted_by(|left, right| left < right));
            prop_assert!(found.iter().all(|cut| cut.as_str() > last && cut.as_str() < until), "{:?}", found);
        }
    }
}
