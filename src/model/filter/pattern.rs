//! One pattern in the syntax of gitignore, matched name by name in linear time.
//!
//! Written here because globs of paths, as libraries have them, differ where it matters: a class may match `/`, a
//! backslash in it means itself, `[[:alpha:]]` is not known, and nothing tells whether a pattern could match something
//! below a directory.
//!
//! Source: <https://git-scm.com/docs/gitignore>, and `fnmatch` of POSIX for the classes.

use std::str::Chars;

/// One text may stand for so many patterns with `{a,b}`.
const MOST_ALTERNATIVES: usize = 256;

/// A compiled pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern {
    segments: Vec<Segment>,
    /// It has no `/` but at its end, so it is held against the last name of a path, however deep.
    anywhere: bool,
    directories_only: bool,
}

/// What stands between two slashes.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment {
    /// `**`: any number of directories; at the end, anything that is inside.
    Deep,
    /// A name without wildcards.
    Literal(String),
    /// `*` and then letters, such as `*.tmp`.
    Ending(String),
    /// Anything else.
    Glob(Vec<Token>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Letter(char),
    One,
    Many,
    Class { negated: bool, ranges: Vec<(char, char)> },
}

impl Pattern {
    /// Compiles a pattern; the error says what is wrong with it.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let (bare, directories_only) = match text.strip_suffix('/') {
            Some(bare) => (bare, true),
            None => (text, false),
        };
        let (rest, anchored) = match bare.strip_prefix('/') {
            Some(rest) => (rest, true),
            None => (bare, false),
        };
        if rest.is_empty() {
            return Err("it names nothing".to_owned());
        }
        let names = split_names(rest)?;
        let anywhere = !anchored && names.len() == 1;
        let segment = |tokens: Vec<Token>| match tokens.as_slice() {
            [Token::Many, Token::Many] if !anywhere => Segment::Deep,
            _ => segment_of(tokens),
        };
        let segments: Vec<Segment> = names.into_iter().map(segment).collect();
        for segment in &segments {
            match segment {
                Segment::Literal(name) if name.is_empty() => return Err("a name in it is empty".to_owned()),
                Segment::Literal(name) if name == "." || name == ".." => {
                    return Err(format!("no path below the root holds `{name}`"));
                }
                _ => {}
            }
        }
        Ok(Self { segments, anywhere, directories_only })
    }

    /// True if it matches the whole path.
    pub(super) fn matches(&self, path: &str, is_directory: bool) -> bool {
        if self.directories_only && !is_directory {
            return false;
        }
        if self.anywhere {
            let name = path.rsplit_once('/').map_or(path, |(_, name)| name);
            return self.segments.iter().all(|segment| segment.matches(name));
        }
        let (mut at, mut rest) = (0, Some(path));
        let mut deep: Option<(usize, &str)> = None;
        loop {
            match (self.segments.get(at), rest) {
                (Some(Segment::Deep), Some(_)) if at + 1 == self.segments.len() => return true,
                (Some(Segment::Deep), Some(path)) => {
                    deep = Some((at, path));
                    at += 1;
                    continue;
                }
                (Some(segment), Some(path)) => {
                    let (name, below) = split(path);
                    if segment.matches(name) {
                        (at, rest) = (at + 1, below);
                        continue;
                    }
                }
                (None, None) => return true,
                _ => {}
            }
            // What did not fit may fit one name further down from the last `**`.
            let Some((place, path)) = deep else { return false };
            let Some(below) = split(path).1 else { return false };
            deep = Some((place, below));
            (at, rest) = (place + 1, Some(below));
        }
    }

    /// True if it may match something below a directory.
    pub(super) fn may_match_below(&self, directory: &str) -> bool {
        let mut rest = Some(directory);
        for segment in &self.segments {
            match (segment, rest) {
                _ if self.anywhere => return true,
                (Segment::Deep, _) | (_, None) => return true,
                (segment, Some(path)) => {
                    let (name, below) = split(path);
                    if !segment.matches(name) {
                        return false;
                    }
                    rest = below;
                }
            }
        }
        false
    }
}

/// The first name of a path, and what is below it.
fn split(path: &str) -> (&str, Option<&str>) {
    path.split_once('/').map_or((path, None), |(name, below)| (name, Some(below)))
}

/// Cuts a pattern at its slashes; those in a class do not count.
fn split_names(text: &str) -> Result<Vec<Vec<Token>>, String> {
    let (mut names, mut tokens, mut letters) = (Vec::new(), Vec::new(), text.chars());
    while let Some(letter) = letters.next() {
        match letter {
            '/' => names.push(std::mem::take(&mut tokens)),
            '*' => tokens.push(Token::Many),
            '?' => tokens.push(Token::One),
            '[' => tokens.push(class(&mut letters)?),
            '\\' => match letters.next() {
                Some(letter) => tokens.push(Token::Letter(letter)),
                None => return Err("it ends in a backslash".to_owned()),
            },
            letter => tokens.push(Token::Letter(letter)),
        }
    }
    names.push(tokens);
    Ok(names)
}

fn segment_of(mut tokens: Vec<Token>) -> Segment {
    tokens.dedup_by(|next, last| *next == Token::Many && *last == Token::Many);
    let word = |tokens: &[Token]| {
        let letter = |token: &Token| if let Token::Letter(letter) = token { Some(*letter) } else { None };
        tokens.iter().map(letter).collect::<Option<String>>()
    };
    if let Some(word) = word(&tokens) {
        return Segment::Literal(word);
    }
    match tokens.split_first() {
        Some((Token::Many, rest)) => word(rest).map_or(Segment::Glob(tokens), Segment::Ending),
        _ => Segment::Glob(tokens),
    }
}

/// A class from behind its `[` on.
fn class(letters: &mut Chars<'_>) -> Result<Token, String> {
    let open = || "a `[` in it is not closed".to_owned();
    let negated = matches!(letters.clone().next(), Some('!' | '^'));
    if negated {
        letters.next();
    }
    let mut ranges = Vec::new();
    loop {
        let mut letter = letters.next().ok_or_else(open)?;
        match letter {
            ']' if !ranges.is_empty() => return Ok(Token::Class { negated, ranges }),
            '[' if letters.clone().next() == Some(':') => {
                ranges.extend(named_class(letters)?);
                continue;
            }
            '\\' => letter = letters.next().ok_or_else(open)?,
            _ => {}
        }
        let mut ahead = letters.clone();
        let range = ahead.next() == Some('-') && ahead.next().is_some_and(|end| end != ']');
        if !range {
            ranges.push((letter, letter));
            continue;
        }
        letters.next();
        let mut end = letters.next().ok_or_else(open)?;
        if end == '\\' {
            end = letters.next().ok_or_else(open)?;
        }
        if end < letter {
            return Err(format!("its range `{letter}-{end}` runs backwards"));
        }
        ranges.push((letter, end));
    }
}

/// `[:alpha:]` and the like, from behind the `[` on. They mean ASCII, as in the C locale.
fn named_class(letters: &mut Chars<'_>) -> Result<&'static [(char, char)], String> {
    let text = letters.as_str();
    let (name, rest) = text[1..].split_once(":]").ok_or_else(|| "a `[:` in it is not closed".to_owned())?;
    *letters = rest.chars();
    Ok(match name {
        "alnum" => &[('0', '9'), ('A', 'Z'), ('a', 'z')],
        "alpha" => &[('A', 'Z'), ('a', 'z')],
        "blank" => &[(' ', ' '), ('\t', '\t')],
        "cntrl" => &[('\0', '\x1f'), ('\x7f', '\x7f')],
        "digit" => &[('0', '9')],
        "graph" => &[('!', '~')],
        "lower" => &[('a', 'z')],
        "print" => &[(' ', '~')],
        "punct" => &[('!', '/'), (':', '@'), ('[', '`'), ('{', '~')],
        "space" => &[(' ', ' '), ('\t', '\r')],
        "upper" => &[('A', 'Z')],
        "xdigit" => &[('0', '9'), ('A', 'F'), ('a', 'f')],
        other => return Err(format!("there is no class `[:{other}:]`")),
    })
}

impl Segment {
    fn matches(&self, name: &str) -> bool {
        match self {
            Self::Deep => true,
            Self::Literal(literal) => literal == name,
            Self::Ending(ending) => name.ends_with(ending.as_str()),
            Self::Glob(tokens) => glob(tokens, name),
        }
    }
}

/// Whether a name matches. After a letter that does not fit, only the last `*` takes one letter more, which is enough.
fn glob(tokens: &[Token], name: &str) -> bool {
    let (mut at, mut rest) = (0, name.chars());
    let mut many: Option<(usize, Chars<'_>)> = None;
    loop {
        match tokens.get(at) {
            Some(Token::Many) => {
                many = Some((at + 1, rest.clone()));
                at += 1;
                continue;
            }
            None if rest.as_str().is_empty() => return true,
            Some(token) => {
                let mut ahead = rest.clone();
                if ahead.next().is_some_and(|letter| token.takes(letter)) {
                    (at, rest) = (at + 1, ahead);
                    continue;
                }
            }
            None => {}
        }
        let Some((behind, from)) = &mut many else { return false };
        if from.next().is_none() {
            return false;
        }
        (at, rest) = (*behind, from.clone());
    }
}

impl Token {
    fn takes(&self, letter: char) -> bool {
        match self {
            Self::Letter(wanted) => *wanted == letter,
            Self::One | Self::Many => true,
            Self::Class { negated, ranges } => {
                ranges.iter().any(|(first, last)| (*first..=*last).contains(&letter)) != *negated
            }
        }
    }
}

/// The texts that one with `{a,b}` stands for.
pub(super) fn alternatives(text: &str) -> Result<Vec<String>, String> {
    let mut done = Vec::new();
    let mut open = vec![text.to_owned()];
    while let Some(text) = open.pop() {
        match first_braces(&text)? {
            None => done.push(text),
            Some((start, end)) => {
                let choices = choices(&text[start + 1..end]);
                let whole = choices.into_iter().map(|choice| format!("{}{choice}{}", &text[..start], &text[end + 1..]));
                open.extend(whole);
            }
        }
        if done.len() + open.len() > MOST_ALTERNATIVES {
            return Err(format!("it stands for more than {MOST_ALTERNATIVES} patterns"));
        }
    }
    done.reverse();
    Ok(done)
}

/// Where the first braces open and close.
fn first_braces(text: &str) -> Result<Option<(usize, usize)>, String> {
    let (mut start, mut depth, mut escaped) = (None, 0_usize, false);
    for (place, letter) in text.char_indices() {
        match letter {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '{' => {
                start.get_or_insert(place);
                depth += 1;
            }
            '}' if depth == 1 => return Ok(start.map(|start| (start, place))),
            '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    if depth > 0 { Err("a `{` in it is not closed".to_owned()) } else { Ok(None) }
}

/// What stands between commas that are in no further braces.
fn choices(text: &str) -> Vec<&str> {
    let (mut found, mut start, mut depth, mut escaped) = (Vec::new(), 0, 0_usize, false);
    for (place, letter) in text.char_indices() {
        match letter {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                found.push(&text[start..place]);
                start = place + 1;
            }
            _ => {}
        }
    }
    found.push(&text[start..]);
    found
}

#[cfg(test)]
mod tests {
    use super::{Pattern, alternatives};
    use proptest::prelude::{prop_assert_eq, proptest};

    fn check(pattern: &str, path: &str, expected: bool) {
        let compiled = Pattern::parse(pattern).unwrap();
        let (bare, is_directory) = path.strip_suffix('/').map_or((path, false), |bare| (bare, true));
        assert_eq!(compiled.matches(bare, is_directory), expected, "`{pattern}` on `{path}`");
    }

    /// The paths of git's manual, and those of its own tests of wildmatch that concern paths.
    #[test]
    fn patterns_match_as_in_git() {
        for (pattern, matched, others) in [
            ("hello.*", "hello.txt a/hello.java", "hello xhello.txt"),
            ("/hello.*", "hello.txt hello.c", "a/hello.java"),
            ("foo/", "foo/ a/foo/", "foo a/foo"),
            ("doc/frotz", "doc/frotz doc/frotz/", "a/doc/frotz"),
            ("/doc/frotz", "doc/frotz", "a/doc/frotz"),
            ("frotz/", "frotz/ a/frotz/ a/b/frotz/", "frotz"),
            ("doc/frotz/", "doc/frotz/", "a/doc/frotz/ doc/frotz"),
            ("foo/*", "foo/test.json foo/bar/", "foo/bar/hello.c foo"),
            ("**/foo", "foo a/foo a/b/foo foo/", "foox a/foo/b"),
            ("**/foo/bar", "foo/bar a/foo/bar", "foo/a/bar"),
            ("abc/**", "abc/a abc/a/b abc/d/", "abc/ abc x/abc/a"),
            ("a/**/b", "a/b a/x/b a/x/y/b", "ab a/bx x/a/b a/b/c"),
            ("a**b", "ab axxb x/ab", "a/b"),
            ("a/**b", "a/b a/xb", "a/x/b"),
            ("**/a/**/b/**", "a/b/c x/a/y/b/z/c", "a/b b/a/c"),
            ("/**", "a a/b", ""),
            ("**", "a a/b", ""),
            ("**/", "a/ a/b/", "a a/b"),
            ("*", "a .a a/b", ""),
            ("/*", "a .a", "a/b"),
            ("?", "a é", "ab aé"),
            ("a?c", "abc", "a/c ac"),
            ("[a-c]x", "ax cx", "dx Ax x"),
            ("[!a-c]x", "dx Ax", "ax"),
            ("[^a-c]x", "dx", "ax"),
            ("a[!x]b", "ayb", "a/b axb"),
            ("a[+-9]b", "a1b a-b", "a/b"),
            ("[]-]", "] -", "a"),
            ("[a-]", "a -", "b"),
            (r"[\]]", "]", r"\"),
            (r"[\-a]", "- a", r"b \"),
            ("[[:digit:]x]", "5 x", "a"),
            ("[![:alpha:]]", "5 -", "a"),
            (r"\*", "*", "a"),
            (r"\!x", "!x", "x"),
            (r"\#", "#", "a"),
            ("a{b,c}", "a{b,c}", "ab"),
            ("*a*b*c", "abc xaxbxc aabbcc", "acb"),
            ("Data", "Data", "data"),
        ] {
            matched.split(' ').filter(|path| !path.is_empty()).for_each(|path| check(pattern, path, true));
            others.split(' ').filter(|path| !path.is_empty()).for_each(|path| check(pattern, path, false));
        }
    }

    #[test]
    fn what_is_no_pattern_says_why() {
        for (pattern, why) in [
            ("", "it names nothing"),
            ("/", "it names nothing"),
            ("//", "it names nothing"),
            ("a//b", "a name in it is empty"),
            ("./a", "no path below the root holds `.`"),
            ("a/..", "no path below the root holds `..`"),
            ("a[", "a `[` in it is not closed"),
            ("[]", "a `[` in it is not closed"),
            ("[z-a]", "its range `z-a` runs backwards"),
            ("[[:word:]]", "there is no class `[:word:]`"),
            (r"a\", "it ends in a backslash"),
        ] {
            assert_eq!(Pattern::parse(pattern), Err(why.to_owned()), "{pattern}");
        }
    }

    #[test]
    fn braces_are_alternatives() {
        for (text, expected) in [
            ("a", "a"),
            ("x.{csv,tsv}", "x.csv x.tsv"),
            ("{a,b{c,d}}/e", "a/e bc/e bd/e"),
            ("{a}", "a"),
            (r"\{a,b\}", r"\{a,b\}"),
            ("a}", "a}"),
        ] {
            assert_eq!(alternatives(text).unwrap().join(" "), expected, "{text}");
        }
        assert_eq!(alternatives("{a"), Err("a `{` in it is not closed".to_owned()));
        assert!(alternatives(&"{a,b}".repeat(20)).is_err());
    }

    #[test]
    fn stars_do_not_multiply() {
        let pattern = Pattern::parse(&format!("{}b", "a*".repeat(200))).unwrap();
        assert!(!pattern.matches(&"a".repeat(2_000), false));
        let deep = Pattern::parse(&format!("{}b", "**/a/".repeat(100))).unwrap();
        assert!(!deep.matches(&vec!["a"; 500].join("/"), false));
    }

    proptest! {
        /// A directory may only be left out if nothing below it matches.
        #[test]
        fn below_a_directory(pattern in "/?([ab*]{1,2}|\\*\\*)(/([ab?*]{1,2}|\\*\\*)){0,3}", path in "[ab]{1,2}(/[ab]{1,2}){1,3}") {
            if let Ok(pattern) = Pattern::parse(&pattern) {
                let below = path.match_indices('/').all(|(end, _)| pattern.may_match_below(&path[..end]));
                prop_assert_eq!(pattern.matches(&path, false) && !below, false);
            }
        }
    }
}
