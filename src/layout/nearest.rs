//! Finds the name that somebody meant.

/// The candidate nearest to `wrong`, if it is near enough to be what was meant.
///
/// Case and the choice between `-` and `_` do not count; otherwise about one letter in three may differ.
pub fn nearest<'names>(wrong: &str, candidates: impl IntoIterator<Item = &'names str>) -> Option<&'names str> {
    let plain = |text: &str| text.to_lowercase().replace('_', "-");
    let wanted = plain(wrong);
    let length = wanted.chars().count();
    if length > 200 {
        return None;
    }
    let allowed = (length / 3).max(1);
    let mut best: Option<(usize, &str)> = None;
    for candidate in candidates {
        // Cheap first: names whose lengths differ by more cannot be near.
        if candidate.len().abs_diff(wrong.len()) > allowed * 4 {
            continue;
        }
        let distance = strsim::osa_distance(&wanted, &plain(candidate));
        if distance <= allowed && best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, name)| name)
}

/// `, did you mean ...?`, or nothing.
pub(crate) fn did_you_mean<'names>(wrong: &str, candidates: impl IntoIterator<Item = &'names str>) -> String {
    nearest(wrong, candidates).map(|name| format!(", did you mean `{name}`?")).unwrap_or_default()
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
            ("colour", None),
            ("x", None),
            ("", None),
        ] {
            assert_eq!(nearest(wrong, names), meant, "{wrong}");
        }
    }
}
