//! The two streams and the bar between them: lines go above the bar, a closed pipe ends quietly.

use indicatif::ProgressBar;
use std::io::{self, Write as _};
use std::sync::{Arc, Mutex, PoisonError};

/// Bytes that may wait for the next flush.
const PENDING_BYTES: usize = 64 * 1024;

/// Where everything goes: stdout and stderr, or memory in their place.
#[derive(Debug)]
pub(super) struct Screen {
    out: Stream,
    err: Stream,
    /// The columns of a line.
    pub(super) width: usize,
    /// The bar that lines must not run into, while there is one.
    pub(super) bar: Option<ProgressBar>,
    /// True while the cursor stands behind a question, or behind something typed, at the end of a line that was not ended.
    asking: bool,
    /// Whether the answer has begun, and whether its last line is an empty one.
    begun: bool,
    gap: bool,
    /// Set at the end of the run: what comes later is not shown.
    closed: bool,
}

/// One of the two streams.
#[derive(Debug)]
struct Stream {
    target: Target,
    pending: Vec<u8>,
    state: State,
}

#[derive(Debug)]
enum Target {
    Stdout,
    Stderr,
    Memory(Memory),
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    Open,
    /// The reader has gone, as `head` does. Nothing is wrong, and nothing more is written.
    Closed,
    /// Writing failed otherwise, such as on a full disk; the message.
    Failed(String),
}

/// Bytes written in place of a stream.
#[derive(Debug, Clone, Default)]
pub(super) struct Memory(Arc<Mutex<Vec<u8>>>);

impl Memory {
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }
}

impl Screen {
    /// The process's own streams.
    pub(super) fn of_process(width: usize) -> Self {
        Self::on(width, Target::Stdout, Target::Stderr)
    }

    /// Memory in the place of both.
    pub(super) fn in_memory(width: usize, out: Memory, err: Memory) -> Self {
        Self::on(width, Target::Memory(out), Target::Memory(err))
    }

    fn on(width: usize, out: Target, err: Target) -> Self {
        let (out, err) = (Stream::new(out), Stream::new(err));
        Self { width, out, err, bar: None, asking: false, begun: false, gap: false, closed: false }
    }

    /// A line of the answer. It is shown by the next [`Screen::flush`] at the latest.
    pub(super) fn answer_line(&mut self, line: &str) {
        self.answer_text(line);
        self.answer_text("\n");
        self.gap = line.is_empty();
    }

    /// An empty line of the answer, where one sets something apart from what stands above.
    pub(super) fn answer_gap(&mut self) {
        if self.begun && !self.gap {
            self.answer_line("");
        }
    }

    /// A piece of the answer as it is.
    pub(super) fn answer_text(&mut self, text: &str) {
        if self.closed {
            return;
        }
        if !self.err.pending.is_empty() || self.out.pending.len() > PENDING_BYTES {
            self.flush();
        }
        self.end_question();
        self.begun = true;
        self.gap = false;
        self.out.push(text);
    }

    /// A line of status, warning or hint.
    pub(super) fn status_line(&mut self, line: &str) {
        if self.closed {
            return;
        }
        if !self.out.pending.is_empty() || self.err.pending.len() > PENDING_BYTES {
            self.flush();
        }
        self.end_question();
        self.err.push(line);
        self.err.push("\n");
    }

    /// A question on stderr; the answer is typed behind it.
    pub(super) fn ask(&mut self, text: &str) {
        self.err.push(text);
        self.flush();
        self.asking = true;
    }

    /// The terminal echoed what a person typed. A bar is drawn over it.
    pub(super) const fn echoed(&mut self) {
        self.asking |= self.bar.is_none();
    }

    /// The question has its answer, and the person ended the line.
    pub(super) const fn answered(&mut self) {
        self.asking = false;
    }

    /// Ends the line of a question that nobody answers any more.
    fn end_question(&mut self) {
        if std::mem::take(&mut self.asking) {
            self.err.push("\n");
        }
    }

    /// Writes what waits, above the bar if there is one.
    pub(super) fn flush(&mut self) {
        if self.out.pending.is_empty() && self.err.pending.is_empty() {
            return;
        }
        match self.bar.clone() {
            Some(bar) => bar.suspend(|| self.write()),
            None => self.write(),
        }
    }

    /// Shows what waits and nothing any more.
    pub(super) fn close(&mut self) {
        self.flush();
        self.closed = true;
    }

    /// A line on stderr that is shown even after the end.
    pub(super) fn last_word(&mut self, line: &str) {
        self.closed = false;
        self.status_line(line);
        self.close();
    }

    fn write(&mut self) {
        self.out.write();
        self.err.write();
    }

    /// True once nobody reads the answer any more.
    pub(super) fn is_closed(&self) -> bool {
        self.out.state == State::Closed
    }

    /// Why the answer could not be written, other than that nobody reads it.
    pub(super) fn failure(&self) -> Option<&str> {
        match &self.out.state {
            State::Failed(message) => Some(message),
            State::Open | State::Closed => None,
        }
    }
}

impl Stream {
    const fn new(target: Target) -> Self {
        Self { target, pending: Vec::new(), state: State::Open }
    }

    fn push(&mut self, text: &str) {
        if self.state == State::Open {
            self.pending.extend_from_slice(text.as_bytes());
        }
    }

    fn write(&mut self) {
        if self.state == State::Open && !self.pending.is_empty() {
            let written = self.target.write(&self.pending);
            self.settle(written);
        }
        self.pending.clear();
    }

    fn settle(&mut self, written: io::Result<()>) {
        match written {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => self.state = State::Closed,
            Err(error) => self.state = State::Failed(error.to_string()),
        }
    }
}

impl Target {
    fn write(&self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Stdout => {
                let mut stdout = io::stdout().lock();
                stdout.write_all(bytes)?;
                stdout.flush()
            }
            Self::Stderr => io::stderr().lock().write_all(bytes),
            Self::Memory(memory) => {
                memory.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Memory, Screen, State};
    use std::io;

    #[test]
    fn a_closed_pipe_ends_quietly_and_a_full_disk_is_remembered() {
        let (out, err) = (Memory::default(), Memory::default());
        let mut screen = Screen::in_memory(80, out.clone(), err);
        screen.out.settle(Err(io::ErrorKind::BrokenPipe.into()));
        screen.answer_line("lost");
        screen.flush();
        assert_eq!((screen.is_closed(), screen.failure(), out.text().as_str()), (true, None, ""));
        screen.out.state = State::Open;
        screen.out.settle(Err(io::ErrorKind::StorageFull.into()));
        assert_eq!((screen.is_closed(), screen.failure()), (false, Some("no storage space")));
    }

    #[test]
    fn streams_keep_their_order_and_wait_for_the_flush() {
        let (out, err) = (Memory::default(), Memory::default());
        let mut screen = Screen::in_memory(80, out.clone(), err.clone());
        screen.answer_line("one");
        assert_eq!(out.text(), "");
        screen.status_line("two");
        assert_eq!((out.text().as_str(), err.text().as_str()), ("one\n", ""));
        screen.flush();
        assert_eq!(err.text(), "two\n");
    }
}
