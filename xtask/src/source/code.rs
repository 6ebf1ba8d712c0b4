//! One pass over a file's tokens: paths, functions, traits, modules, macros and attributes, each with its line.

use anyhow::{Result, anyhow};
use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};
use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::str::FromStr as _;

/// What a file's tokens say.
#[derive(Debug, Default)]
pub(crate) struct Code {
    /// Every path, `use` trees flattened: `use a::{b, c::d}` is `a::b` and `a::c::d`. Paths that begin with `self` or
    /// `super` are spelled from `crate`.
    pub(crate) paths: Vec<Path>,
    /// Macros called, the keywords `async` and `await`.
    pub(crate) words: Vec<Word>,
    /// Functions with a body.
    pub(crate) functions: Vec<Function>,
    /// Traits declared outside tests: name and line.
    pub(crate) traits: Vec<(String, usize)>,
    /// Modules declared with `mod name;`: name and line.
    pub(crate) modules: Vec<(String, usize)>,
    /// Modules declared with `#[cfg(test)] mod name;`.
    pub(crate) test_modules: Vec<String>,
    /// Lines of `#[allow(..)]`.
    pub(crate) allows: Vec<usize>,
    tests: Vec<RangeInclusive<usize>>,
}

/// A path and where it stands.
#[derive(Debug)]
pub(crate) struct Path {
    /// Its segments, without generics.
    pub(crate) segments: Vec<String>,
    /// The line of its first segment.
    pub(crate) line: usize,
    /// Whether it is in a test item.
    pub(crate) test: bool,
}

/// A word that matters for purity, such as `println!` or `async`.
#[derive(Debug)]
pub(crate) struct Word {
    /// The word.
    pub(crate) text: String,
    /// Its line.
    pub(crate) line: usize,
    /// Whether it is in a test item.
    pub(crate) test: bool,
}

/// A function and its size.
#[derive(Debug)]
pub(crate) struct Function {
    /// Its name.
    pub(crate) name: String,
    /// The line of `fn`.
    pub(crate) line: usize,
    /// Lines that hold code between its braces: blank lines and comments do not count, as in clippy's `too_many_lines`.
    pub(crate) length: usize,
    /// Whether it is in a test item.
    pub(crate) test: bool,
}

impl Code {
    /// Reads the text of the file that holds `module`.
    pub(crate) fn parse(text: &str, module: &[String]) -> Result<Self> {
        let tokens = TokenStream::from_str(text).map_err(|error| anyhow!("{error}"))?;
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let mut code = Self::default();
        code.walk(&tokens, &Place { module: module.to_vec(), test: false });
        Ok(code)
    }

    /// Whether a line belongs to a test item.
    pub(crate) fn is_test(&self, line: usize) -> bool {
        self.tests.iter().any(|range| range.contains(&line))
    }

    /// How many lines belong to test items.
    pub(crate) fn test_lines(&self) -> usize {
        self.tests.iter().map(|range| range.end() + 1 - range.start()).sum()
    }

    fn walk(&mut self, tokens: &[TokenTree], place: &Place) {
        let mut at = 0;
        while at < tokens.len() {
            at = match &tokens[at] {
                TokenTree::Punct(punct) if punct.as_char() == '#' => self.attribute(tokens, at, place),
                TokenTree::Group(group) => {
                    self.walk(&inside(group), place);
                    at + 1
                }
                TokenTree::Ident(ident) => self.ident(&ident.to_string(), tokens, at, place),
                _ => at + 1,
            };
        }
    }

    /// An attribute; `#[cfg(test)]` makes the item behind it a test. Returns where to go on.
    fn attribute(&mut self, tokens: &[TokenTree], at: usize, place: &Place) -> usize {
        let bang = usize::from(is_punct(tokens.get(at + 1), '!'));
        let Some(TokenTree::Group(group)) = tokens.get(at + 1 + bang) else { return at + 1 };
        let inner = inside(group);
        if allows(&inner) {
            self.allows.push(line(&tokens[at]));
        }
        let next = at + 2 + bang;
        let words: String = inner.iter().map(ToString::to_string).collect();
        if words != "cfg(test)" || place.test {
            return next;
        }
        let end = (next..tokens.len()).find(|&end| ends_item(tokens, end)).unwrap_or(tokens.len() - 1);
        self.tests.push(line(&tokens[at])..=last_line(&tokens[end]));
        self.walk(&tokens[next..=end], &Place { module: place.module.clone(), test: true });
        end + 1
    }

    fn ident(&mut self, word: &str, tokens: &[TokenTree], at: usize, place: &Place) -> usize {
        let here = line(&tokens[at]);
        match (word, name(tokens.get(at + 1))) {
            ("mod", Some(name)) => return self.module(name, tokens, at, place),
            ("fn", Some(name)) => self.function(name, tokens, at, place),
            ("trait", Some(name)) if !place.test => self.traits.push((name, here)),
            ("async" | "await", _) => self.words.push(Word { text: word.to_owned(), line: here, test: place.test }),
            _ if is_punct(tokens.get(at + 1), '!') && !is_punct(tokens.get(at + 2), '=') => {
                self.words.push(Word { text: format!("{word}!"), line: here, test: place.test });
            }
            _ => {
                let mut flat = Vec::new();
                let end = flatten(tokens, at, &mut Vec::new(), &mut flat);
                for segments in flat.into_iter().filter(|segments| segments.len() > 1) {
                    self.paths.push(Path { segments: place.absolute(segments), line: here, test: place.test });
                }
                return end;
            }
        }
        at + 1
    }

    fn module(&mut self, name: String, tokens: &[TokenTree], at: usize, place: &Place) -> usize {
        match tokens.get(at + 2) {
            Some(TokenTree::Group(body)) => {
                let mut inner = Place { module: place.module.clone(), test: place.test };
                inner.module.push(name);
                self.walk(&inside(body), &inner);
            }
            _ => {
                if place.test {
                    self.test_modules.push(name.clone());
                }
                self.modules.push((name, line(&tokens[at])));
            }
        }
        at + 3
    }

    fn function(&mut self, name: String, tokens: &[TokenTree], at: usize, place: &Place) {
        let Some(end) = (at..tokens.len()).find(|&end| ends_item(tokens, end)) else { return };
        let TokenTree::Group(body) = &tokens[end] else { return };
        let mut lines = BTreeSet::new();
        code_lines(&inside(body), &mut lines);
        let ends = [body.span_open().start().line, body.span_close().end().line];
        let length = lines.iter().filter(|line| !ends.contains(line)).count();
        self.functions.push(Function { name, line: line(&tokens[at]), length, test: place.test });
    }
}

/// Where the walk is.
struct Place {
    module: Vec<String>,
    test: bool,
}

impl Place {
    /// Spells a path that begins with `self` or `super` from `crate`.
    fn absolute(&self, segments: Vec<String>) -> Vec<String> {
        let ups = segments.iter().take_while(|segment| *segment == "super").count();
        let relative = if segments[0] == "self" { 1 } else { ups };
        if relative == 0 {
            return segments;
        }
        let kept = self.module.len().saturating_sub(ups);
        let base = std::iter::once("crate".to_owned()).chain(self.module[..kept].iter().cloned());
        base.chain(segments.into_iter().skip(relative)).collect()
    }
}

/// Collects the path that begins at `at`, each branch of a `use` tree on its own; returns the first token behind it.
fn flatten(tokens: &[TokenTree], at: usize, prefix: &mut Vec<String>, flat: &mut Vec<Vec<String>>) -> usize {
    let Some(name) = name(tokens.get(at)) else { return at + 1 };
    prefix.push(name);
    let depth = prefix.len();
    let mut next = at + 1;
    if is_punct(tokens.get(next), ':') && is_punct(tokens.get(next + 1), ':') {
        next += 2;
        match tokens.get(next) {
            Some(TokenTree::Ident(_)) => {
                next = flatten(tokens, next, prefix, flat);
                prefix.truncate(depth - 1);
                return next;
            }
            Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => {
                let branches = inside(group);
                for branch in branches.split(|token| is_punct(Some(token), ',')).filter(|branch| !branch.is_empty()) {
                    flatten(branch, 0, prefix, flat);
                }
                prefix.truncate(depth - 1);
                return next + 1;
            }
            _ => {}
        }
    }
    flat.push(prefix.clone());
    prefix.truncate(depth - 1);
    next
}

/// Whether an item's tokens end here: `;`, or a brace group that is no `use` tree.
fn ends_item(tokens: &[TokenTree], at: usize) -> bool {
    match &tokens[at] {
        TokenTree::Punct(punct) => punct.as_char() == ';',
        TokenTree::Group(group) => {
            group.delimiter() == Delimiter::Brace && !(at > 0 && is_punct(tokens.get(at - 1), ':'))
        }
        _ => false,
    }
}

/// Whether an attribute's inside allows a lint, also behind `cfg_attr`.
fn allows(tokens: &[TokenTree]) -> bool {
    tokens.iter().zip(tokens.iter().skip(1)).any(|(word, list)| match (name(Some(word)).as_deref(), list) {
        (Some("allow"), TokenTree::Group(_)) => true,
        (Some("cfg_attr"), TokenTree::Group(group)) => allows(&inside(group)),
        _ => false,
    })
}

/// The lines that hold a token, documentation left out.
fn code_lines(tokens: &[TokenTree], lines: &mut BTreeSet<usize>) {
    for (at, token) in tokens.iter().enumerate() {
        match token {
            TokenTree::Group(group) => {
                lines.insert(group.span_open().start().line);
                lines.insert(group.span_close().end().line);
                code_lines(&inside(group), lines);
            }
            _ if is_punct(Some(token), '#') && is_doc(tokens.get(at + 1)) => {}
            _ => lines.extend(line(token)..=last_line(token)),
        }
    }
}

fn is_doc(token: Option<&TokenTree>) -> bool {
    matches!(token, Some(TokenTree::Group(group)) if name(inside(group).first()).as_deref() == Some("doc"))
}

fn inside(group: &Group) -> Vec<TokenTree> {
    group.stream().into_iter().collect()
}

fn name(token: Option<&TokenTree>) -> Option<String> {
    match token {
        Some(TokenTree::Ident(ident)) => Some(ident.to_string()),
        _ => None,
    }
}

fn is_punct(token: Option<&TokenTree>, wanted: char) -> bool {
    matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == wanted)
}

fn line(token: &TokenTree) -> usize {
    token.span().start().line
}

fn last_line(token: &TokenTree) -> usize {
    token.span().end().line
}

#[cfg(test)]
mod tests {
    use super::Code;

    fn parse(text: &str) -> Code {
        Code::parse(text, &["sync".to_owned(), "diff".to_owned()]).unwrap()
    }

    fn check_paths(text: &str, expected: &[&str]) {
        let paths: Vec<String> = parse(text).paths.iter().map(|path| path.segments.join("::")).collect();
        assert_eq!(paths, expected, "{text}");
    }

    #[test]
    fn paths_are_flattened_and_spelled_from_the_crate() {
        check_paths(
            "use crate::{model::{Key, self}, plan};",
            &["crate::model::Key", "crate::model::self", "crate::plan"],
        );
        check_paths("fn f() { crate::world::run::<u8>(std::fs::read) }", &["crate::world::run", "std::fs::read"]);
        check_paths("use super::Entry; use super::super::aws::Store;", &["crate::sync::Entry", "crate::aws::Store"]);
        check_paths("mod inner { use super::super::Entry; }", &["crate::sync::Entry"]);
        check_paths("fn f() { format!(\"{}\", crate::aws::NAME); }", &["crate::aws::NAME"]);
        check_paths("/// [`crate::aws`]\n// crate::aws::X\nconst A: &str = \"crate::aws::X\";", &[]);
    }

    #[test]
    fn test_items_are_known() {
        let code = parse(
            "use a::b;\n#[cfg(test)]\nmod tests {\n  use c::d;\n  trait T {}\n}\n#[cfg(test)]\nmod more;\nuse e::f;\n",
        );
        let paths: Vec<_> = code.paths.iter().map(|path| (path.segments.join("::"), path.line, path.test)).collect();
        assert_eq!(paths, [("a::b".to_owned(), 1, false), ("c::d".to_owned(), 4, true), ("e::f".to_owned(), 9, false)]);
        assert_eq!((code.test_lines(), code.traits.len()), (7, 0));
        assert_eq!(code.test_modules, ["more"]);
    }

    #[test]
    fn a_function_is_as_long_as_its_code() {
        let text = "fn f(a: [u8; 2])\nwhere u8: Sized {\n\n  // why\n  let x = \"a\nb\";\n  /* two\n  lines */ g(x);\n}\nfn one() { g() }\n";
        let lengths: Vec<_> = parse(text).functions.iter().map(|f| (f.name.clone(), f.length)).collect();
        assert_eq!(lengths, [("f".to_owned(), 3), ("one".to_owned(), 0)]);
    }

    #[test]
    fn words_and_allows_are_seen() {
        let code = parse(
            "#![cfg_attr(x, allow(dead_code))]\n#[allow(y)]\nasync fn f() { g().await; if a != b { println!() } }",
        );
        let words: Vec<_> = code.words.iter().map(|word| word.text.as_str()).collect();
        assert_eq!(words, ["async", "await", "println!"]);
        assert_eq!(code.allows, [1, 2]);
    }
}
