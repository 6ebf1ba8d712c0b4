//! A line that begins with columns and ends in words, which are folded under themselves or below.

use crate::ui::style::{Paint, Role};
use crate::ui::text::{Fold, columns, fold};

/// Words beside the columns need at least this much room; with less they go below.
const LEAST_ROOM: usize = 28;

/// The beginning of a line.
#[derive(Debug, Default)]
pub(super) struct Row {
    text: String,
    columns: usize,
}

/// How the words behind a row's beginning are laid out.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hang {
    /// Columns of the whole line.
    pub width: usize,
    /// Blanks before every line below the first, where the words find no room beside the columns.
    pub indent: usize,
    /// Blanks between the beginning and the words.
    pub gap: usize,
    /// The most lines of words; none for all.
    pub lines: Option<usize>,
}

impl Hang {
    /// All words, two blanks behind the columns.
    pub(super) const fn folded(width: usize, indent: usize) -> Self {
        Self { width, indent, gap: 2, lines: None }
    }
}

impl Row {
    /// Appends text that is safe to show.
    pub(super) fn push(&mut self, paint: Paint, role: Option<Role>, text: &str) {
        match role {
            Some(role) => self.text.push_str(&paint.paint(role, text)),
            None => self.text.push_str(text),
        }
        self.columns += columns(text);
    }

    /// Ends the line with words that are safe to show, and hands every line to `line`.
    pub(super) fn hang(self, words: &str, how: Hang, line: &mut dyn FnMut(&str)) {
        if words.is_empty() {
            return line(self.text.trim_end());
        }
        let start = self.columns + how.gap;
        let gap = " ".repeat(how.gap);
        let fits = start.saturating_add(columns(words)) <= how.width;
        let beside = how.width.saturating_sub(start);
        if fits {
            return line(&format!("{}{gap}{words}", self.text));
        }
        // A short beginning such as `error: ` leads into the first line; columns keep their words beside or above.
        let (first, indent, above) = if start <= how.indent + 24 {
            (beside, how.indent, false)
        } else if beside >= LEAST_ROOM {
            (beside, start, false)
        } else {
            (how.width.saturating_sub(how.indent), how.indent, true)
        };
        let rest = how.width.saturating_sub(indent);
        let mut lines = fold(words, Fold { first, rest, lines: how.lines }).into_iter();
        if above {
            line(self.text.trim_end());
        } else {
            line(&format!("{}{gap}{}", self.text, lines.next().unwrap_or_default()));
        }
        for rest in lines {
            line(&format!("{}{rest}", " ".repeat(indent)));
        }
    }
}
