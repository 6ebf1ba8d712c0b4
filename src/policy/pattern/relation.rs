//! How two patterns stand to each other: whether one means all that the other means, or nothing of it.
//!
//! Both answers are proofs where they are true. Where they are false, nothing is said: a variable, or several patterns
//! that only together mean the same, can stand in the way.

use super::{Pattern, Piece};

/// One step of a pattern: a letter, or what stands for letters.
#[derive(Debug, PartialEq, Eq)]
enum Step<'pattern> {
    Letter(char),
    One,
    Run,
    Variable(&'pattern super::Variable),
}

/// The pattern letter by letter; in a row of wildcards every `?` comes before the `*`, which means the same.
fn steps(pattern: &Pattern) -> Vec<Step<'_>> {
    let mut steps = Vec::new();
    for piece in &pattern.pieces {
        match piece {
            Piece::Text(text) => steps.extend(text.chars().map(Step::Letter)),
            Piece::One if steps.last() == Some(&Step::Run) => steps.insert(steps.len() - 1, Step::One),
            Piece::Run if steps.last() == Some(&Step::Run) => {}
            Piece::One => steps.push(Step::One),
            Piece::Run => steps.push(Step::Run),
            Piece::Variable(variable) => steps.push(Step::Variable(variable)),
        }
    }
    steps
}

impl Pattern {
    /// True only if this pattern means every text that `narrow` means, whatever its variables stand for.
    pub(in crate::policy) fn covers(&self, narrow: &Self) -> bool {
        if self.is_everything() || self == narrow {
            return true;
        }
        let (wide, narrow) = (steps(self), steps(narrow));
        // For each place of `wide`, whether `narrow` up to the current step is meant by what stands before it.
        let mut reached = vec![false; wide.len() + 1];
        reached[0] = true;
        skip_runs(&mut reached, &wide);
        for step in &narrow {
            let mut next = vec![false; wide.len() + 1];
            for place in (0..wide.len()).filter(|place| reached[*place]) {
                match (&wide[place], step) {
                    (Step::Run, _) => next[place] = true,
                    (Step::One, Step::Letter(_) | Step::One) => next[place + 1] = true,
                    (Step::Letter(one), Step::Letter(other)) if one == other => next[place + 1] = true,
                    (Step::Variable(one), Step::Variable(other)) if one == other => next[place + 1] = true,
                    _ => {}
                }
            }
            skip_runs(&mut next, &wide);
            reached = next;
        }
        reached[wide.len()]
    }

    /// True only if no text is meant by both, whatever their variables stand for.
    pub(in crate::policy) fn is_disjoint(&self, other: &Self) -> bool {
        let (one, other) = (steps(self), steps(other));
        let width = other.len() + 1;
        let mut reached = vec![false; (one.len() + 1) * width];
        reached[0] = true;
        for left in 0..=one.len() {
            for right in 0..=other.len() {
                if !reached[left * width + right] {
                    continue;
                }
                let (first, second) = (one.get(left), other.get(right));
                let (open_left, open_right) = (first.is_some_and(is_open), second.is_some_and(is_open));
                // What can be of any length can end here, or read what the other side reads.
                if open_left || (first.is_some() && open_right) {
                    reached[(left + 1) * width + right] = true;
                }
                if open_right || (second.is_some() && open_left) {
                    reached[left * width + right + 1] = true;
                }
                let same = match (first, second) {
                    (Some(Step::Letter(one)), Some(Step::Letter(other))) => one == other,
                    (Some(_), Some(_)) => true,
                    _ => false,
                };
                if same {
                    reached[(left + 1) * width + right + 1] = true;
                }
            }
        }
        !reached[one.len() * width + other.len()]
    }

    /// True only if every text that this pattern means has `letter` in it.
    pub(in crate::policy) fn always_has(&self, letter: char) -> bool {
        self.pieces.iter().any(|piece| matches!(piece, Piece::Text(text) if text.contains(letter)))
    }

    /// True only if no text that this pattern means has `letter` in it.
    pub(in crate::policy) fn never_has(&self, letter: char) -> bool {
        self.pieces.iter().all(|piece| matches!(piece, Piece::Text(text) if !text.contains(letter)))
    }
}

fn is_open(step: &Step<'_>) -> bool {
    matches!(step, Step::Run | Step::Variable(_))
}

/// A `*` may stand for nothing.
fn skip_runs(reached: &mut [bool], wide: &[Step<'_>]) {
    for (place, step) in wide.iter().enumerate() {
        if reached[place] && *step == Step::Run {
            reached[place + 1] = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Pattern, Syntax};
    use crate::policy::context::Context;
    use proptest::prelude::{prop_assert, proptest};

    fn parse(text: &str) -> Pattern {
        Pattern::parse(text, Syntax { wildcards: true, variables: true })
    }

    #[test]
    fn patterns_cover_what_they_mean_provably() {
        for (wide, narrow, expected) in [
            ("*", "a*", true),
            ("a*", "a*b", true),
            ("a*", "ab", true),
            ("a*", "a", true),
            ("a?*", "a*", false),
            ("a?*", "a*?", true),
            ("a*b", "a*", false),
            ("?", "a", true),
            ("?", "*", false),
            ("*?*", "??", true),
            ("home/*", "home/${aws:username}/*", true),
            ("home/${aws:username}/*", "home/${aws:username}/x", true),
            ("home/${aws:username}/*", "home/${aws:userid}/x", false),
            ("home/?*", "home/${aws:username}", false),
            ("a*b*", "aXbYbZ", true),
            ("a", "b", false),
        ] {
            assert_eq!(parse(wide).covers(&parse(narrow)), expected, "{wide} over {narrow}");
        }
    }

    #[test]
    fn patterns_are_apart_provably() {
        for (one, other, expected) in [
            ("a*", "b*", true),
            ("a*", "*b", false),
            ("a", "a", false),
            ("a?", "a", true),
            ("a*c", "ab", true),
            ("a/*", "a", true),
            ("*", "", false),
            ("x/${aws:username}", "x/y/z", false),
            ("x/${aws:username}", "y/*", true),
        ] {
            assert_eq!(parse(one).is_disjoint(&parse(other)), expected, "{one} and {other}");
            assert_eq!(parse(other).is_disjoint(&parse(one)), expected, "{other} and {one}");
        }
    }

    proptest! {
        #[test]
        fn every_claim_holds_for_every_text(one in "[ab*?]{0,6}", other in "[ab*?]{0,6}", text in "[ab]{0,6}") {
            let (one, other) = (parse(&one), parse(&other));
            let (by_one, by_other) = (one.matches(&text, Context::EMPTY), other.matches(&text, Context::EMPTY));
            prop_assert!(!one.covers(&other) || !by_other || by_one);
            prop_assert!(!(one.is_disjoint(&other) && by_one && by_other));
        }

        #[test]
        fn more_wildcards_cover(text in "[ab?]{0,6}", at in 0_usize..7) {
            let place = at.min(text.len());
            let star = format!("{}*{}", &text[..place], &text[place..]);
            prop_assert!(parse(&star).covers(&parse(&text)));
            let filled = text.replace('?', "a");
            prop_assert!(parse(&text).covers(&parse(&filled)));
            prop_assert!(!parse(&text).is_disjoint(&parse(&filled)));
        }
    }
}
