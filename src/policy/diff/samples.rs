//! Texts that patterns mean: with their wildcards filled, and those that two patterns have in common.

use crate::policy::pattern::{Pattern, Syntax};
use crate::policy::{Context, Statement};
use std::collections::{BTreeSet, VecDeque};

/// How many wildcards of one pattern are filled in every combination; further ones are filled alike.
const COMBINED: usize = 3;
/// True if a text has wildcards or variables.
pub(super) fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?']) || text.contains("${")
}

/// Words for everybody else's names, the first that no pattern means.
const WORDS: [&str; 6] = ["another", "elsewhere", "foreign", "unknown", "other", "stranger"];

/// True for a pattern that means some words and not others.
fn is_narrow(part: &str) -> bool {
    part.contains(['*', '?']) && !(part.contains('*') && part.chars().all(|letter| matches!(letter, '*' | '?')))
}

/// A name that no policy of either side uses, to stand for everybody else's.
#[derive(Debug, Clone)]
pub(super) struct Filler {
    word: String,
}

impl Filler {
    /// Chooses a word that is in none of the statements.
    pub(super) fn foreign_to(statements: &[&Statement]) -> Self {
        let mut texts: BTreeSet<String> = BTreeSet::new();
        for statement in statements {
            let actions = [&statement.action, &statement.not_action].into_iter().flatten();
            texts.extend(actions.flat_map(|list| list.items.iter().map(|entry| entry.text.to_ascii_lowercase())));
            let resources = [&statement.resource, &statement.not_resource].into_iter().flatten();
            texts.extend(resources.flat_map(|list| list.items.iter().map(|entry| entry.text.to_ascii_lowercase())));
            let keys = statement.condition.iter().flatten().flat_map(|block| &block.keys);
            texts.extend(keys.flat_map(|key| key.values.items.iter().map(|value| value.text.to_ascii_lowercase())));
        }
        // Nor may a pattern mean it: with `a*` a word that starts with an `a` is not anybody else's.
        let narrow: BTreeSet<&str> =
            texts.iter().flat_map(|text| text.split(['/', ':'])).filter(|part| is_narrow(part)).collect();
        let syntax = Syntax { wildcards: true, variables: false };
        let narrow: Vec<Pattern> = narrow.into_iter().map(|part| Pattern::parse(part, syntax)).collect();
        let meant = |word: &str| narrow.iter().any(|pattern| pattern.matches(word, Context::EMPTY));
        let taken = |word: &str| texts.iter().any(|text| text.contains(word));
        let letters = ('a'..='z').chain('0'..='9').map(|letter| String::from(letter).repeat(3));
        let mut words = WORDS.iter().map(|word| (*word).to_owned()).chain(letters);
        let mut word = words.find(|word| !meant(word)).unwrap_or_else(|| WORDS[0].to_owned());
        while taken(&word) {
            let last = word.chars().next_back().unwrap_or('x');
            word.push(last);
        }
        Self { word }
    }

    /// The word.
    pub(super) fn word(&self) -> &str {
        &self.word
    }

    /// An action that nobody knows.
    pub(super) fn action(&self) -> String {
        format!("{0}:{0}", self.word)
    }

    /// The pattern with each `*` filled by nothing or one of `words`, each `?` by a letter, and variables by the word.
    pub(super) fn fill(&self, pattern: &str, words: &[&str]) -> BTreeSet<String> {
        let pieces = pieces(pattern);
        let stars = pieces.iter().filter(|piece| **piece == Piece::Run).count();
        let choices: Vec<&str> = std::iter::once("").chain(words.iter().copied()).collect();
        let combined = u32::try_from(stars.min(COMBINED)).unwrap_or_default();
        let mut filled = BTreeSet::new();
        for mut code in 0..choices.len().pow(combined) {
            let mut text = String::new();
            let mut choice = "";
            let mut seen = 0;
            for piece in &pieces {
                match piece {
                    Piece::Run => {
                        if seen < COMBINED {
                            choice = choices[code % choices.len()];
                            code /= choices.len();
                        }
                        seen += 1;
                        text.push_str(choice);
                    }
                    Piece::One => text.push('z'),
                    Piece::Letter(letter) => text.push(*letter),
                    Piece::Variable => text.push_str(&self.word),
                }
            }
            filled.insert(text);
        }
        filled
    }

    /// ARNs that a resource entry means: a wildcard at the end of a bucket's name also reaches its objects.
    pub(super) fn resources(&self, pattern: &str) -> BTreeSet<String> {
        let (word, object) = (self.word.as_str(), format!("{0}/{0}", self.word));
        let below = format!("/{word}");
        if pattern == "*" {
            return ["*".to_owned(), format!("arn:aws:s3:::{word}"), format!("arn:aws:s3:::{object}")].into();
        }
        self.fill(pattern, &[word, &object, &below])
    }
}

/// A piece of a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Piece {
    Letter(char),
    /// `?`
    One,
    /// `*`
    Run,
    /// `${...}`
    Variable,
}

fn pieces(pattern: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut rest = pattern;
    while let Some(letter) = rest.chars().next() {
        if let Some(end) = rest.strip_prefix("${").and_then(|body| body.find('}')) {
            let inside = &rest[2..2 + end];
            pieces.push(match inside {
                "*" | "?" | "$" => Piece::Letter(inside.chars().next().unwrap_or('$')),
                _ => Piece::Variable,
            });
            rest = &rest[2 + end + 1..];
            continue;
        }
        pieces.push(match letter {
            '*' => Piece::Run,
            '?' => Piece::One,
            _ => Piece::Letter(letter),
        });
        rest = &rest[letter.len_utf8()..];
    }
    pieces
}

/// A shortest text that both patterns mean; none if there is none, or if variables stand in the way.
///
/// Takes up to the product of the lengths from `work`, and gives up where that is more than is left.
pub(super) fn intersection(one: &str, other: &str, work: &mut u64) -> Option<String> {
    // Without wildcards a text is its own sample.
    if !is_pattern(one) || !is_pattern(other) || !start_alike(one, other) {
        return None;
    }
    let (one, other) = (pieces(one), pieces(other));
    let width = other.len() + 1;
    let states = (one.len() + 1) * width;
    *work = work.saturating_sub(states as u64);
    if one.contains(&Piece::Variable) || other.contains(&Piece::Variable) || *work == 0 {
        return None;
    }
    // A search over pairs of places; each step reads one letter, or lets a star end.
    let mut from: Vec<Option<(usize, Option<char>)>> = vec![None; states];
    let mut queue = VecDeque::from([0]);
    let goal = one.len() * width + other.len();
    while let Some(state) = queue.pop_front() {
        if state == goal {
            return Some(read_back(&from, goal));
        }
        let (left, right) = (state / width, state % width);
        for (next, letter) in steps(one.get(left), other.get(right), left, right, width) {
            if next != 0 && from[next].is_none() {
                from[next] = Some((state, letter));
                queue.push_back(next);
            }
        }
    }
    None
}

/// True unless the texts differ before the first wildcard of either, as most do.
fn start_alike(one: &str, other: &str) -> bool {
    let head = |text: &str| text.find(['*', '?', '$']).unwrap_or(text.len());
    let shared = head(one).min(head(other));
    one.as_bytes()[..shared] == other.as_bytes()[..shared]
}

fn read_back(from: &[Option<(usize, Option<char>)>], goal: usize) -> String {
    let mut letters = Vec::new();
    let mut state = goal;
    while let Some((before, letter)) = from[state] {
        letters.extend(letter);
        state = before;
    }
    letters.into_iter().rev().collect()
}

/// Where two places can go together.
fn steps(
    one: Option<&Piece>,
    other: Option<&Piece>,
    left: usize,
    right: usize,
    width: usize,
) -> Vec<(usize, Option<char>)> {
    let state = |left: usize, right: usize| left * width + right;
    let mut steps = Vec::new();
    if one == Some(&Piece::Run) {
        steps.push((state(left + 1, right), None));
    }
    if other == Some(&Piece::Run) {
        steps.push((state(left, right + 1), None));
    }
    let (Some(one), Some(other)) = (one, other) else { return steps };
    let letter = match (one, other) {
        (Piece::Letter(one), Piece::Letter(other)) if one != other => return steps,
        (Piece::Letter(letter), _) | (_, Piece::Letter(letter)) => *letter,
        _ => 'z',
    };
    // A star stays where it is when it reads a letter.
    let after = |piece: &Piece, place: usize| if *piece == Piece::Run { place } else { place + 1 };
    steps.push((state(after(one, left), after(other, right)), Some(letter)));
    steps
}

#[cfg(test)]
mod tests {
    use super::{Filler, intersection};

    fn filler() -> Filler {
        Filler::foreign_to(&[])
    }

    #[test]
    fn wildcards_are_filled_by_nothing_and_by_words() {
        for (pattern, expected) in [
            ("a*", vec!["a", "aw"]),
            ("a?b", vec!["azb"]),
            ("*/x*", vec!["/x", "/xw", "w/x", "w/xw"]),
            ("${*}${aws:username}", vec!["*another"]),
            ("plain", vec!["plain"]),
        ] {
            let filled: Vec<String> = filler().fill(pattern, &["w"]).into_iter().collect();
            assert_eq!(filled, expected, "{pattern}");
        }
        assert!(filler().fill(&"a*".repeat(50), &["w"]).len() <= 8);
        assert!(filler().resources("arn:aws:s3:::b*").contains("arn:aws:s3:::banother/another"));
    }

    #[test]
    fn patterns_have_texts_in_common_or_none() {
        for (one, other, expected) in [
            ("*/data/*", "a/*", Some("a/data/")),
            ("a*", "*b", Some("ab")),
            ("a*", "b*", None),
            ("a?c*", "*d", Some("azcd")),
            ("?", "??", None),
            ("*", "*", Some("")),
            ("a", "a*", None),
            ("a${*}*", "*b", Some("a*b")),
            ("${aws:username}/*", "*", None),
        ] {
            assert_eq!(intersection(one, other, &mut 10_000).as_deref(), expected, "{one} {other}");
        }
        let mut work = 1000;
        assert_eq!(intersection(&"a*".repeat(100), &"*a".repeat(100), &mut work), None);
        assert_eq!(work, 0);
    }
}
