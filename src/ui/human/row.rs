//! A line that begins with columns and ends in words, which are folded under themselves or below.

use crate::ui::style::{Paint, Role};
use crate::ui::text::{Fold, columns, fold};

/// Words stand beside the columns if they need no more lines than this there; else they go below.
const LINES_BESIDE: usize = 2;
/// Room in which words beside the columns still read well.
const LEAST_ROOM: usize = 24;

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
    /// Blanks before lines below the first, other than those under a column.
    pub indent: usize,
    /// Whether the beginning is columns, beside which the words make one more; else it leads into the words.
    pub column: bool,
    /// The most lines of words; none for all.
    pub lines: Option<usize>,
}

impl Hang {
    /// Words that go on behind the beginning, such as `error: `.
    pub(super) const fn lead(width: usize, indent: usize) -> Self {
        Self { width, indent, column: false, lines: None }
    }

    /// Words in a column of their own, two blanks behind the others, or below where they need more room.
    pub(super) const fn column(width: usize, indent: usize) -> Self {
        Self { width, indent, column: true, lines: None }
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
        let gap = if how.column { "  " } else { "" };
        let start = self.columns + gap.len();
        let (beside, below) = (how.width.saturating_sub(start), how.width.saturating_sub(how.indent));
        if columns(words) <= beside {
            return line(&format!("{}{gap}{words}", self.text));
        }
        let (lines, indent) = if how.column {
            let narrow = fold(words, Fold { first: beside, rest: beside, lines: None });
            let reads_well = beside >= LEAST_ROOM && narrow.len() <= LINES_BESIDE;
            if !reads_well || narrow.iter().any(|text| columns(text) > beside) {
                line(self.text.trim_end());
                let blanks = " ".repeat(how.indent);
                let lines = fold(words, Fold { first: below, rest: below, lines: how.lines });
                return lines.iter().for_each(|text| line(&format!("{blanks}{text}")));
            }
            (narrow, start)
        } else {
            (fold(words, Fold { first: beside, rest: below, lines: how.lines }), how.indent)
        };
        for (index, text) in lines.iter().enumerate() {
            match index {
                0 => line(&format!("{}{gap}{text}", self.text)),
                _ => line(&format!("{}{text}", " ".repeat(indent))),
            }
        }
    }
}
