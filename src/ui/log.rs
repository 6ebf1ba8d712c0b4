//! Lets a logger write on the same screen without running into the bar.

use super::State;
use super::text::escape;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

/// Takes bytes and prints the lines among them to stderr; the rest follows when the writer is dropped.
#[derive(Debug)]
pub struct LogLines {
    state: Arc<Mutex<State>>,
    pending: Vec<u8>,
}

impl LogLines {
    pub(super) const fn new(state: Arc<Mutex<State>>) -> Self {
        Self { state, pending: Vec::new() }
    }

    fn print(&mut self, bytes: usize) {
        let rest = self.pending.split_off(bytes);
        let text = std::mem::replace(&mut self.pending, rest);
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        for line in String::from_utf8_lossy(&text).lines() {
            state.screen.status_line(&escape(line));
        }
        state.screen.flush();
    }
}

impl io::Write for LogLines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.pending.extend_from_slice(bytes);
        if let Some(end) = self.pending.iter().rposition(|byte| *byte == b'\n') {
            self.print(end + 1);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for LogLines {
    fn drop(&mut self) {
        if !self.pending.is_empty() {
            self.print(self.pending.len());
        }
    }
}
