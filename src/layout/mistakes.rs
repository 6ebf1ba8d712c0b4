//! Mistakes in a layout file: gathered by byte position while the file is read, told by line and column at the end.
//!
//! Positions are worked out once, for the mistakes that are shown, so that a hostile file with one very long line and
//! many mistakes costs no more than an honest one.

use super::names::Wrong;
use super::nearest::nearest;
use std::fmt;
use std::ops::Range;

/// A stretch of the file, in bytes.
pub(crate) type Span = Range<usize>;

/// The most mistakes that one run shows.
const MAX_SHOWN: usize = 100;

/// The most mistakes that are kept while reading; of the rest only the number is known.
const MAX_KEPT: usize = 1_000;

/// The longest message, in characters; what a file says in a value may be much longer.
const MAX_MESSAGE: usize = 400;

/// The columns of an excerpt.
const EXCERPT_COLUMNS: usize = 80;

/// One mistake in a layout file, shown as `layout.toml:12:3: unknown key ...`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{message}", Location { file, place: *place })]
pub struct LayoutError {
    /// The file's name, made of [`ParseOptions::file_stem`](super::ParseOptions::file_stem).
    pub file: String,
    /// Where; none for a mistake that stands on the command line or in no place at all.
    pub place: Option<Place>,
    /// What is wrong: one line, a lowercase fragment.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
}

/// A place in a text, counted in characters from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
    /// How many characters of that line the mistake covers; at least one.
    pub width: usize,
}

struct Location<'error> {
    file: &'error str,
    place: Option<Place>,
}

impl fmt::Display for Location<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place {
            Some(place) => write!(out, "{}:{}:{}: ", self.file, place.line, place.column),
            None => write!(out, "{}: ", self.file),
        }
    }
}

impl LayoutError {
    /// The line of `text` that the mistake is in, with carets below it, cut to 80 columns around the mistake.
    ///
    /// `text` is what was parsed. None if the mistake has no place in it.
    pub fn excerpt(&self, text: &str) -> Option<String> {
        let place = self.place?;
        let line = text.split('\n').nth(place.line - 1)?;
        let number = place.line.to_string();
        let room = EXCERPT_COLUMNS.saturating_sub(number.len() + 3);
        // A third of the room before the mistake keeps what the reader needs to find it.
        let start = if place.column > room { place.column - 1 - room / 3 } else { 0 };
        let shown: String = line.chars().skip(start).take(room).map(printable).collect();
        let before = place.column - 1 - start;
        let carets = place.width.clamp(1, room.saturating_sub(before).max(1));
        let gutter = " ".repeat(number.len());
        Some(format!("{number} | {}\n{gutter} | {}{}", shown.trim_end(), " ".repeat(before), "^".repeat(carets)))
    }
}

/// A character as an excerpt or a message shows it; tabs and other control characters would break the line.
fn printable(letter: char) -> char {
    if letter.is_control() { ' ' } else { letter }
}

/// A mistake as it is found.
#[derive(Debug)]
pub(crate) struct Mistake {
    span: Option<Span>,
    message: String,
    /// Where the first of two stands, for things that are there twice.
    first: Option<Span>,
    help: Option<String>,
}

impl Mistake {
    /// Says what to do about it.
    pub(crate) fn help(&mut self, help: impl Into<String>) {
        self.help = Some(help.into());
    }

    /// Says where the first of two stands.
    pub(crate) fn first(&mut self, span: &Span) -> &mut Self {
        self.first = Some(span.clone());
        self
    }

    /// Says what to do about it, where there is something to say.
    pub(crate) fn maybe_help(&mut self, help: Option<String>) {
        self.help = help;
    }
}

/// All mistakes found so far.
#[derive(Debug, Default)]
pub(crate) struct Mistakes {
    kept: Vec<Mistake>,
    overflow: usize,
}

impl Mistakes {
    /// Adds one at a place.
    pub(crate) fn at(&mut self, span: &Span, message: impl Into<String>) -> &mut Mistake {
        self.push(Some(span.clone()), message.into())
    }

    /// Adds one that no line of the file can show.
    pub(crate) fn anywhere(&mut self, message: impl Into<String>) -> &mut Mistake {
        self.push(None, message.into())
    }

    /// True once so many were found that looking for near names is no longer worth the time.
    pub(crate) const fn are_many(&self) -> bool {
        self.kept.len() >= MAX_SHOWN
    }

    /// `, did you mean ...?`, or nothing.
    pub(crate) fn near<'names>(&self, wrong: &str, candidates: impl IntoIterator<Item = &'names str>) -> String {
        let near = if self.are_many() { None } else { nearest(wrong, candidates) };
        near.map(|name| format!(", did you mean `{name}`?")).unwrap_or_default()
    }

    /// True if nothing is wrong.
    pub(crate) const fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// Passes on a value, or reports at a place why there is none.
    pub(super) fn take<T>(&mut self, span: &Span, result: Result<T, Wrong>) -> Option<T> {
        result.map_err(|wrong| self.at(span, wrong.message).maybe_help(wrong.help)).ok()
    }

    fn push(&mut self, span: Option<Span>, message: String) -> &mut Mistake {
        if self.kept.len() >= MAX_KEPT {
            // The last one is written over, and counted, so that the list stays bounded.
            self.kept.pop();
            self.overflow += 1;
        }
        let place = self.kept.len();
        self.kept.push(Mistake { span, message, first: None, help: None });
        &mut self.kept[place]
    }

    /// The mistakes in the file's order, at most a hundred, then how many more there are.
    pub(crate) fn into_errors(mut self, file_stem: &str, text: &str) -> Vec<LayoutError> {
        let file = format!("{file_stem}.toml");
        self.kept.sort_by_key(|mistake| mistake.span.as_ref().map_or(0, |span| span.start));
        self.kept.dedup_by(|one, other| one.span == other.span && one.message == other.message);
        let more = self.kept.len().saturating_sub(MAX_SHOWN) + self.overflow;
        self.kept.truncate(MAX_SHOWN);
        let mut cursor = Cursor::new(text);
        let mut errors: Vec<LayoutError> = self
            .kept
            .into_iter()
            .map(|mistake| LayoutError {
                file: file.clone(),
                place: mistake.span.map(|span| cursor.place(&span)),
                message: one_line(&mistake.message)
                    + &mistake.first.map(|span| line_of(text, &span)).unwrap_or_default(),
                help: mistake.help,
            })
            .collect();
        if more > 0 {
            let message = format!("and {more} more mistakes like these");
            errors.push(LayoutError { file, place: None, message, help: None });
        }
        errors
    }
}

/// The message without line breaks, cut where a file's own text makes it endless.
fn one_line(message: &str) -> String {
    let mut line: String = message.chars().take(MAX_MESSAGE).map(printable).collect();
    if message.chars().nth(MAX_MESSAGE).is_some() {
        line.push_str("...");
    }
    line
}

fn line_of(text: &str, span: &Span) -> String {
    let before = text.get(..floor(text, span.start)).unwrap_or_default();
    format!(", first in line {}", before.matches('\n').count() + 1)
}

/// Walks forward through the text, so that all places together cost one pass.
struct Cursor<'text> {
    text: &'text str,
    at: usize,
    line: usize,
    column: usize,
}

impl<'text> Cursor<'text> {
    const fn new(text: &'text str) -> Self {
        Self { text, at: 0, line: 1, column: 1 }
    }

    fn place(&mut self, span: &Span) -> Place {
        let start = floor(self.text, span.start);
        for letter in self.text.get(self.at..start).unwrap_or_default().chars() {
            if letter == '\n' {
                self.line += 1;
                self.column = 1;
            } else {
                self.column += 1;
            }
        }
        self.at = start;
        let covered = self.text.get(start..floor(self.text, span.end)).unwrap_or_default();
        let width = covered.chars().take(EXCERPT_COLUMNS).take_while(|letter| *letter != '\n').count();
        Place { line: self.line, column: self.column, width: width.max(1) }
    }
}

/// The nearest character boundary at or before `index`.
fn floor(text: &str, index: usize) -> usize {
    text.floor_char_boundary(index)
}

/// A file's own words in a message, in backticks; long ones are cut.
pub(crate) fn quote(text: &str) -> String {
    const MOST: usize = 100;
    let start: String = text.chars().take(MOST).collect();
    if start.len() < text.len() { format!("`{start}...`") } else { format!("`{start}`") }
}

#[cfg(test)]
mod tests {
    use super::{LayoutError, MAX_KEPT, MAX_SHOWN, Mistakes};

    fn one(text: &str, span: std::ops::Range<usize>) -> LayoutError {
        let mut mistakes = Mistakes::default();
        mistakes.at(&span, "is wrong");
        mistakes.into_errors("layout", text).remove(0)
    }

    #[test]
    fn places_count_characters() {
        let text = "a = 'é'\nbé = 'x'\n";
        assert_eq!(one(text, 0..1).to_string(), "layout.toml:1:1: is wrong");
        assert_eq!(one(text, 15..18).to_string(), "layout.toml:2:6: is wrong");
        assert_eq!(one(text, 900..901).to_string(), "layout.toml:3:1: is wrong", "past the end is the end");
        assert_eq!(one("", 0..0).to_string(), "layout.toml:1:1: is wrong");
    }

    #[test]
    fn excerpts_point_at_the_mistake() {
        let text = "version = 1\n\tproyects = []\n";
        assert_eq!(one(text, 13..21).excerpt(text).unwrap(), "2 |  proyects = []\n  |  ^^^^^^^^");
        let long = format!("x = '{}' # {}", "a".repeat(500), "b".repeat(500));
        let shown = one(&long, 507..1008).excerpt(&long).unwrap();
        assert!(shown.lines().all(|line| line.chars().count() <= 80), "{shown}");
        let caret = shown.lines().nth(1).unwrap().find('^').unwrap();
        assert_eq!(shown.as_bytes()[caret], b'#', "{shown}");
    }

    #[test]
    fn many_mistakes_are_counted_and_cut() {
        let mut mistakes = Mistakes::default();
        for index in 0..MAX_KEPT + 7 {
            mistakes.at(&(index..index + 1), "bad\nvalue");
        }
        let errors = mistakes.into_errors("l", &"x".repeat(5_000));
        assert_eq!(errors.len(), MAX_SHOWN + 1);
        assert_eq!(errors[3].to_string(), "l.toml:1:4: bad value");
        assert_eq!(errors[MAX_SHOWN].to_string(), "l.toml: and 907 more mistakes like these");
    }
}
