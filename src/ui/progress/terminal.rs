//! The terminal as the bar sees it: stderr, a little narrower than it is.
//!
//! The bar fills its line with blanks and leaves the cursor behind them. At the very edge the terminal would echo Ctrl-C
//! on the next line, and the bar would stand there for good. So lines are also ended here: what is written to a terminal
//! of that width goes on below once a line is full.

use crate::ui::text::columns;
use indicatif::TermLike;
use std::io::{self, Write as _};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The columns that the echo `^C` takes, and one for the cursor.
pub(super) const FREE_COLUMNS: usize = 3;

/// stderr, with what is not shown yet.
#[derive(Debug)]
pub(super) struct Terminal {
    /// The columns, should the terminal not tell.
    columns: usize,
    pending: Mutex<Pending>,
}

/// What is not shown yet, and the column that the cursor will be in.
#[derive(Debug, Default)]
struct Pending {
    bytes: Vec<u8>,
    column: usize,
}

impl Pending {
    /// A text that fits into a line of `width` columns. Where the line is full already it starts the next.
    fn text(&mut self, text: &str, width: usize) {
        let taken = columns(text);
        if self.column >= width && taken > 0 {
            self.line_end();
        }
        self.bytes.extend_from_slice(text.as_bytes());
        self.column += taken;
    }

    fn line_end(&mut self) {
        self.bytes.extend_from_slice(b"\r\n");
        self.column = 0;
    }
}

impl Terminal {
    pub(super) const fn new(columns: usize) -> Self {
        Self { columns, pending: Mutex::new(Pending { bytes: Vec::new(), column: 0 }) }
    }

    fn pending(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A cursor movement, ECMA-48 section 8.3.
    fn steps(&self, count: usize, letter: char) -> io::Result<()> {
        if count > 0 {
            self.pending().bytes.extend_from_slice(format!("\u{1b}[{count}{letter}").as_bytes());
        }
        Ok(())
    }
}

impl TermLike for Terminal {
    fn width(&self) -> u16 {
        let measured = rustix::termios::tcgetwinsize(io::stderr()).map_or(0, |size| usize::from(size.ws_col));
        let columns = if measured == 0 { self.columns } else { measured };
        u16::try_from(columns.saturating_sub(FREE_COLUMNS).max(1)).unwrap_or(u16::MAX)
    }

    fn move_cursor_up(&self, count: usize) -> io::Result<()> {
        self.steps(count, 'A')
    }

    fn move_cursor_down(&self, count: usize) -> io::Result<()> {
        self.steps(count, 'B')
    }

    fn move_cursor_right(&self, count: usize) -> io::Result<()> {
        self.steps(count, 'C')
    }

    fn move_cursor_left(&self, count: usize) -> io::Result<()> {
        self.steps(count, 'D')
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        self.write_str(text)?;
        self.pending().line_end();
        Ok(())
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        let width = usize::from(self.width());
        self.pending().text(text, width);
        Ok(())
    }

    fn clear_line(&self) -> io::Result<()> {
        let mut pending = self.pending();
        pending.bytes.extend_from_slice(b"\r\x1b[2K");
        pending.column = 0;
        Ok(())
    }

    fn flush(&self) -> io::Result<()> {
        let bytes = std::mem::take(&mut self.pending().bytes);
        io::stderr().lock().write_all(&bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::Pending;

    #[test]
    fn a_full_line_ends_before_what_follows() {
        let mut pending = Pending::default();
        for text in ["ab日", "  ", "", "next", "  "] {
            pending.text(text, 6);
        }
        assert_eq!(String::from_utf8(pending.bytes).unwrap(), "ab日  \r\nnext  ");
    }
}
