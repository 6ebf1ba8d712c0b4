//! The terminal as the bar sees it: stderr, a little narrower than it is.
//!
//! The bar fills its line with blanks and leaves the cursor behind them. At the very edge the terminal would echo Ctrl-C
//! on the next line, and the bar would stand there for good.

use indicatif::TermLike;
use std::io::{self, Write as _};
use std::sync::{Mutex, PoisonError};

/// The columns that the echo `^C` takes, and one for the cursor.
pub(super) const FREE_COLUMNS: usize = 3;

/// stderr, with what is not shown yet.
#[derive(Debug)]
pub(super) struct Terminal {
    /// The columns, should the terminal not tell.
    columns: usize,
    pending: Mutex<Vec<u8>>,
}

impl Terminal {
    pub(super) const fn new(columns: usize) -> Self {
        Self { columns, pending: Mutex::new(Vec::new()) }
    }

    fn push(&self, text: &str) -> io::Result<()> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(text.as_bytes());
        Ok(())
    }

    /// A cursor movement, ECMA-48 section 8.3.
    fn steps(&self, count: usize, letter: char) -> io::Result<()> {
        if count == 0 { Ok(()) } else { self.push(&format!("\u{1b}[{count}{letter}")) }
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
        self.push(text)?;
        self.push("\n")
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        self.push(text)
    }

    fn clear_line(&self) -> io::Result<()> {
        self.push("\r\u{1b}[2K")
    }

    fn flush(&self) -> io::Result<()> {
        let pending = std::mem::take(&mut *self.pending.lock().unwrap_or_else(PoisonError::into_inner));
        io::stderr().lock().write_all(&pending)
    }
}
