//! What a page is made of, whatever its form.

use super::grid::Grid;
use crate::model::is_hidden;

/// One piece of a page.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Block {
    /// A heading: its level, from 1, and its text.
    Heading(usize, String),
    /// A paragraph.
    Text(Vec<Inline>),
    /// A list.
    List(Vec<Vec<Inline>>),
    /// A table.
    Table(Table),
    /// A text that is shown letter by letter, such as a document or a drawing.
    Code(Code),
    /// A part of the access matrix.
    Matrix(Grid),
    /// The line at the end.
    Closing(String),
}

/// A text that is shown letter by letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Code {
    /// What it is, for those who cannot see it.
    pub(super) label: String,
    /// Its language, in Markdown's words; empty for none.
    pub(super) language: &'static str,
    pub(super) text: String,
}

/// A table with a caption.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Table {
    pub(super) caption: String,
    pub(super) head: &'static [&'static str],
    /// As many cells a row as the head has.
    pub(super) rows: Vec<Vec<Vec<Inline>>>,
}

/// A piece of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Inline {
    /// Words.
    Plain(String),
    /// A name, shown letter by letter.
    Code(String),
    /// A word that says how something stands; its sign is part of the text, so that nothing rests on colour.
    Standing(Standing, String),
}

/// How something stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// As it should be.
    Good,
    /// Not as it should be.
    Bad,
    /// Given up, or worth a look.
    Odd,
    /// Not known.
    Open,
    /// Not asked for.
    Apart,
}

impl Standing {
    /// The sign before the word.
    pub(super) const fn sign(self) -> &'static str {
        match self {
            Self::Good => "✓",
            Self::Bad => "✗",
            Self::Odd => "△",
            Self::Open => "?",
            Self::Apart => "–",
        }
    }
}

/// Words as a piece of a line.
pub(super) fn plain(text: impl Into<String>) -> Inline {
    Inline::Plain(text.into())
}

/// A name as a piece of a line.
pub(super) fn code(text: impl Into<String>) -> Inline {
    Inline::Code(text.into())
}

/// The text with everything that would reorder its letters or is none spelled out, so that no name can play with the
/// page around it. Line breaks and tabs are kept where `lines` says so.
pub(super) fn visible(text: &str, lines: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        let is_break = matches!(letter, '\n' | '\t');
        match (is_hidden(letter), is_break && lines) {
            (true, false) => out.extend(letter.escape_unicode()),
            _ => out.push(letter),
        }
    }
    out
}
