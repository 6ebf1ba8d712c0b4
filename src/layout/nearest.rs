//! Finds the name that somebody meant.

/// How many candidates are looked at, which bounds the time.
const MOST_CANDIDATES: usize = 10_000;

/// The candidate nearest to `wrong`, if it is near enough to be what was meant.
///
/// Case and the choice between `-` and `_` do not count; otherwise about one letter in three may differ, or one of the
/// two names may be the start of the other. Of very many candidates only the first are looked at.
pub fn nearest<'names>(wrong: &str, candidates: impl IntoIterator<Item = &'names str>) -> Option<&'names str> {
    let plain = |text: &str| text.to_lowercase().replace('_', "-");
    let wanted = plain(wrong);
    let length = wanted.chars().count();
    if length > 200 {
        return None;
    }
    let allowed = (length / 3).max(1);
    let letters = letters(&wanted);
    let mut best: Option<(usize, &str)> = None;
    let mut start: Option<&str> = None;
    for candidate in candidates.into_iter().take(MOST_CANDIDATES) {
        let name = plain(candidate);
        if start.is_none() && is_start(&wanted, &name) {
            start = Some(candidate);
        }
        // Cheap first: names whose lengths or letters differ by more cannot be near, nor nearer than the best so far.
        let most = best.map_or(allowed, |(least, _)| least.saturating_sub(1).min(allowed));
        if name.chars().count().abs_diff(length) > most || differing(&letters, &self::letters(&name)) > most {
            continue;
        }
        let distance = strsim::osa_distance(&wanted, &name);
        if distance <= allowed && best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, name)| name).or(start)
}

/// How often letters stand in a name. Letters may share a place, which only makes names look more alike.
fn letters(name: &str) -> [u16; 32] {
    let mut counts = [0_u16; 32];
    for letter in name.chars() {
        let count = &mut counts[letter as usize % 32];
        *count = count.saturating_add(1);
    }
    counts
}

/// How many letters at least must change to make one name of the other: a change of one letter adds one letter at most
/// and takes one away at most.
fn differing(one: &[u16; 32], other: &[u16; 32]) -> usize {
    let more = |left: &[u16; 32], right: &[u16; 32]| -> usize {
        left.iter().zip(right).map(|(left, right)| usize::from(left.saturating_sub(*right))).sum()
    };
    more(one, other).max(more(other, one))
}

/// True if one of two names is a telling part of the other: `public` of `public-access`.
fn is_start(one: &str, other: &str) -> bool {
    let (short, long) = if one.len() < other.len() { (one, other) } else { (other, one) };
    short.len() >= 4 && long.strip_prefix(short).is_some_and(|rest| rest.starts_with(['-', '/', '.']))
}

/// Names as a message lists them, in backticks; a long list is cut.
pub(crate) fn listed<'names>(names: impl IntoIterator<Item = &'names str>) -> String {
    const MOST: usize = 20;
    let mut names = names.into_iter();
    let mut shown: Vec<String> = names.by_ref().take(MOST).map(|name| format!("`{name}`")).collect();
    if names.next().is_some() {
        shown.push("...".to_owned());
    }
    shown.join(", ")
}

#[cfg(test)]
mod tests {
    use super::{differing, letters, nearest};
    use proptest::prelude::{prop_assert, proptest};

    proptest! {
        #[test]
        fn letters_never_differ_by_more_than_the_names(one in "[a-f:日]{0,12}", other in "[a-f:日]{0,12}") {
            prop_assert!(differing(&letters(&one), &letters(&other)) <= strsim::osa_distance(&one, &other));
        }
    }

    /// What makes a hint cheap: almost no name has to be compared letter by letter.
    #[test]
    fn letters_tell_unlike_names_apart() {
        let names =
            ["getobjectversionacl", "putbucketpolicy", "listallmybuckets", "deleteobjecttagging", "createbucket"];
        let wanted = letters("replicatedeletemarkers");
        let close = names.iter().filter(|name| differing(&wanted, &letters(name)) <= 22 / 3).count();
        assert_eq!(close, 0);
        assert_eq!(differing(&letters("proyects"), &letters("projects")), 1);
        assert_eq!(differing(&letters("ab"), &letters("ba")), 0);
    }

    #[test]
    fn near_names() {
        let names = ["projects", "markers", "public_access", "as"];
        for (wrong, meant) in [
            ("proyects", Some("projects")),
            ("project", Some("projects")),
            ("Markers", Some("markers")),
            ("public-access", Some("public_access")),
            ("publik_acces", Some("public_access")),
            ("ass", Some("as")),
            ("public", Some("public_access")),
            ("markers_style", Some("markers")),
            ("colour", None),
            ("x", None),
            ("", None),
        ] {
            assert_eq!(nearest(wrong, names), meant, "{wrong}");
        }
    }
}
