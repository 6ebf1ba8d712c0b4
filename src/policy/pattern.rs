//! Texts with wildcards and variables, split once and matched without ever going exponential.
//!
//! `*` is any run of characters, none included; `?` is exactly one. Everything else is literal, and so is whatever a
//! variable stands for: a tag value `*` is a star.
//! Source: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_resource.html>

mod relation;

use super::context::Context;
use super::variables::{Part, Variable, split};

/// What counts as more than itself in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Syntax {
    /// `*` and `?`
    pub wildcards: bool,
    /// `${...}`
    pub variables: bool,
}

/// A text to match others against.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    pieces: Box<[Piece]>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    /// `?`
    One,
    /// `*`, and any number of them in a row.
    Run,
    Variable(Variable),
}

impl Pattern {
    /// Splits a text.
    pub(super) fn parse(text: &str, syntax: Syntax) -> Self {
        let parts = if syntax.variables { split(text) } else { vec![(0, Part::Plain(text))] };
        let mut pieces = Vec::new();
        for (_, part) in parts {
            match part {
                Part::Plain(text) if syntax.wildcards => push_wildcards(&mut pieces, text),
                Part::Plain(text) | Part::Literal(text) => push_text(&mut pieces, text),
                Part::Variable(variable) => pieces.push(Piece::Variable(variable)),
            }
        }
        Self { pieces: pieces.into_boxed_slice() }
    }

    /// True if it matches everything.
    pub(super) fn is_everything(&self) -> bool {
        matches!(*self.pieces, [Piece::Run])
    }

    /// The variables in it.
    pub fn variables(&self) -> impl Iterator<Item = &Variable> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Variable(variable) => Some(variable),
            _ => None,
        })
    }

    /// The whole text, where neither wildcards nor variables are in it.
    pub(super) fn literal(&self) -> Option<&str> {
        match &*self.pieces {
            [] => Some(""),
            [Piece::Text(whole)] => Some(whole),
            _ => None,
        }
    }

    /// The text with its variables filled in; none if one has no value, or if there are wildcards.
    pub(super) fn fill(&self, context: &Context) -> Option<String> {
        let piece = |piece: &Piece| match piece {
            Piece::Text(text) => Some(text.clone()),
            Piece::Variable(variable) => variable.resolve(context).map(str::to_owned),
            Piece::One | Piece::Run => None,
        };
        self.pieces.iter().map(piece).collect()
    }

    /// True if `text` is one that this pattern means. A variable without value means none at all.
    pub fn matches(&self, text: &str, context: &Context) -> bool {
        match &*self.pieces {
            [] => text.is_empty(),
            [Piece::Run] => true,
            [Piece::Text(whole)] => whole == text,
            [Piece::Text(start), Piece::Run] => text.starts_with(start.as_str()),
            pieces => self.resolve(context).is_some_and(|values| search(pieces, &values, text).0),
        }
    }

    /// The values of the variables in their order; none if one has no value. Allocates only where there are variables.
    fn resolve<'here>(&'here self, context: &'here Context) -> Option<Vec<&'here str>> {
        self.variables().map(|variable| variable.resolve(context)).collect()
    }
}

fn push_text(pieces: &mut Vec<Piece>, text: &str) {
    match pieces.last_mut() {
        Some(Piece::Text(last)) => last.push_str(text),
        _ if text.is_empty() => {}
        _ => pieces.push(Piece::Text(text.to_owned())),
    }
}

fn push_wildcards(pieces: &mut Vec<Piece>, text: &str) {
    for part in text.split_inclusive(['*', '?']) {
        let plain = part.trim_end_matches(['*', '?']);
        push_text(pieces, plain);
        match &part[plain.len()..] {
            "*" if pieces.last() != Some(&Piece::Run) => pieces.push(Piece::Run),
            "?" => pieces.push(Piece::One),
            _ => {}
        }
    }
}

/// Two places move through pieces and text; at a mismatch only the last `*` takes one character more. So it takes at
/// most as many steps as pieces times characters. Says how many it took, for the proof of that.
fn search(pieces: &[Piece], values: &[&str], text: &str) -> (bool, usize) {
    let mut steps = 0;
    // The piece, how many variables came before it, and the place in the text.
    let (mut piece, mut variable, mut at) = (0, 0, 0);
    let mut last_run: Option<(usize, usize, usize)> = None;
    loop {
        steps += 1;
        let rest = &text[at..];
        let taken = match pieces.get(piece) {
            None if rest.is_empty() => return (true, steps),
            None => None,
            Some(Piece::Run) if piece + 1 == pieces.len() => return (true, steps),
            Some(Piece::Run) => {
                last_run = Some((piece + 1, variable, at));
                Some(0)
            }
            Some(Piece::One) => rest.chars().next().map(char::len_utf8),
            Some(Piece::Text(wanted)) => rest.starts_with(wanted.as_str()).then_some(wanted.len()),
            Some(Piece::Variable(_)) => rest.starts_with(values[variable]).then_some(values[variable].len()),
        };
        if let Some(taken) = taken {
            variable += usize::from(matches!(pieces.get(piece), Some(Piece::Variable(_))));
            (piece, at) = (piece + 1, at + taken);
            continue;
        }
        let Some((after, before, from)) = last_run else { return (false, steps) };
        let Some(skipped) = text[from..].chars().next() else { return (false, steps) };
        (piece, variable, at) = (after, before, from + skipped.len_utf8());
        last_run = Some((piece, variable, at));
    }
}

#[cfg(test)]
mod tests {
    use super::{Pattern, Syntax, search};
    use crate::policy::context::Context;
    use proptest::prelude::{prop_assert, prop_assert_eq, proptest};

    const ALL: Syntax = Syntax { wildcards: true, variables: true };

    fn matches(pattern: &str, text: &str) -> bool {
        let context = Context::default().with("aws:username", "al*ce").with("empty", "").with_many("set", ["x"]);
        Pattern::parse(pattern, ALL).matches(text, &context)
    }

    #[test]
    fn wildcards_and_variables() {
        for (pattern, text, expected) in [
            ("", "", true),
            ("", "x", false),
            ("*", "a\nb/c", true),
            ("***", "", true),
            ("run-?", "run-1", true),
            ("run-?", "run-", false),
            ("run-?", "run-ü", true),
            ("?", "日", true),
            ("??", "日", false),
            ("*.csv", "a.csv.csv", true),
            ("a*b*c", "axxbxxbc", true),
            ("a*b*c", "axxcxxb", false),
            ("*日?*", "日", false),
            (".+([^$|", ".+([^$|", true),
            ("home/${aws:username}/*", "home/al*ce/x", true),
            ("home/${aws:username}/*", "home/alice/x", false),
            ("*${aws:username}", "al*cal*ce", true),
            ("*${aws:username}${aws:username}?", "xal*ceal*ce!", true),
            ("a${*}b${?}${$}", "a*b?$", true),
            ("a${*}b", "axb", false),
            ("home/${aws:userid}/*", "home//x", false),
            ("home/${empty}/*", "home//x", true),
            ("${set}", "x", false),
            ("${aws:userid, 'nobody*'}", "nobody*", true),
            ("${aws:userid, 'nobody*'}", "nobody else", false),
            ("${aws:username", "al*ce", false),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} on {text}");
        }
    }

    #[test]
    fn without_syntax_everything_is_literal() {
        let plain = Pattern::parse("a*?${aws:username}", Syntax { wildcards: false, variables: false });
        assert!(plain.matches("a*?${aws:username}", Context::EMPTY));
        let old = Pattern::parse("a*${aws:username}", Syntax { wildcards: true, variables: false });
        assert!(old.matches("abc${aws:username}", Context::EMPTY));
    }

    /// Steps that a search takes.
    fn steps(pattern: &str, text: &str) -> usize {
        search(&Pattern::parse(pattern, ALL).pieces, &[], text).1
    }

    #[test]
    fn many_stars_against_long_texts_take_linear_steps() {
        let text = "a".repeat(100_000);
        for pattern in ["a*".repeat(10_000), "*a".repeat(10_000), format!("{}b", "a*".repeat(10_000))] {
            let most = 2 * text.len() + 2 * pattern.len();
            assert!(steps(&pattern, &text) <= most, "{} steps", steps(&pattern, &text));
        }
        assert!(!matches(&format!("{}b", "a*".repeat(30)), &"a".repeat(400)));
    }

    /// By definition, and as slow as that is.
    fn naive(pattern: &[char], text: &[char]) -> bool {
        match pattern {
            [] => text.is_empty(),
            ['*', rest @ ..] => (0..=text.len()).any(|skipped| naive(rest, &text[skipped..])),
            ['?', rest @ ..] => !text.is_empty() && naive(rest, &text[1..]),
            [letter, rest @ ..] => text.first() == Some(letter) && naive(rest, &text[1..]),
        }
    }

    proptest! {
        #[test]
        fn the_search_means_what_the_definition_says(pattern in "[ab*?é]{0,10}", text in "[abé]{0,10}") {
            let letters = |text: &str| text.chars().collect::<Vec<_>>();
            prop_assert_eq!(matches(&pattern, &text), naive(&letters(&pattern), &letters(&text)));
        }

        #[test]
        fn steps_stay_under_pattern_times_text(pattern in "[ab*?]{0,40}", text in "[ab]{0,200}") {
            prop_assert!(steps(&pattern, &text) <= (pattern.len() + 1) * (text.len() + 1) + 1);
        }

        #[test]
        fn what_a_variable_stands_for_is_literal(value in "[ab*?]{0,6}", text in "[ab*?]{0,6}") {
            let context = Context::default().with("k", value.clone());
            prop_assert_eq!(Pattern::parse("${k}", ALL).matches(&text, &context), value == text);
        }
    }
}
