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
    let mut best: Option<(usize, &str)> = None;
    let mut start: Option<&str> = None;
    for candidate in candidates.into_iter().take(MOST_CANDIDATES) {
        let name = plain(candidate);
        if start.is_none() && is_start(&wanted, &name) {
            start = Some(candidate);
        }
        // Cheap first: names whose lengths differ by more cannot be near.
        if name.chars().count().abs_diff(length) > allowed {
            continue;
        }
        let distance = strsim::osa_distance(&wanted, &name);
        if distance <= allowed && best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, name)| name).or(start)
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
    use super::nearest;

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
