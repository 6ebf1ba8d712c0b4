//! The thread that drains a run's events: it prints, counts, and keeps the progress alive while nothing comes.

use super::State;
use super::progress::{Mode, Progress};
use crate::report::{Event, Summary};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc as ticks};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// Events that may wait before a sender has to.
const WAITING_EVENTS: usize = 1024;
/// Events that are printed before others get a turn at the streams.
const BATCH: usize = 256;

/// The receiving end of a run's events.
#[derive(Debug)]
pub struct Listener {
    thread: JoinHandle<Summary>,
}

impl Listener {
    /// Waits until every sender is dropped and everything is printed, and returns what was counted. The exit code is the
    /// caller's to fill in. Call it also after an error, so that nothing that was said is lost.
    pub fn finish(self) -> Summary {
        self.thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

pub(super) fn listen(state: &Arc<Mutex<State>>, mode: Mode) -> (mpsc::Sender<Event>, Listener) {
    let (sender, receiver) = mpsc::channel(WAITING_EVENTS);
    lock(state).progress = Progress::new(mode);
    let state = Arc::clone(state);
    let thread = thread::spawn(move || {
        let started = Instant::now();
        let ticker = mode.interval().map(|interval| Ticker::start(&state, interval, started));
        let mut summary = drain(receiver, &state);
        if let Some(ticker) = ticker {
            ticker.stop();
        }
        lock(&state).close_stream();
        summary.elapsed_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        summary
    });
    (sender, Listener { thread })
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Prints and counts in batches, and shows the lines when nothing more waits. While there is a bar the ticker shows them,
/// as each showing draws the bar anew.
fn drain(mut receiver: mpsc::Receiver<Event>, state: &Mutex<State>) -> Summary {
    let mut summary = Summary::default();
    let mut batch = Vec::with_capacity(BATCH);
    while receiver.blocking_recv_many(&mut batch, BATCH) > 0 {
        let mut state = lock(state);
        for event in batch.drain(..) {
            summary.count(&event);
            state.event(&event);
        }
        if receiver.is_empty() && state.screen.bar.is_none() {
            state.screen.flush();
        }
    }
    summary
}

/// Shows progress at fixed times, whether events come or not.
struct Ticker {
    stop: ticks::Sender<()>,
    thread: JoinHandle<()>,
}

impl Ticker {
    fn start(state: &Arc<Mutex<State>>, interval: Duration, started: Instant) -> Self {
        let (stop, stopped) = ticks::channel();
        let state = Arc::clone(state);
        let thread = thread::spawn(move || {
            while stopped.recv_timeout(interval) == Err(ticks::RecvTimeoutError::Timeout) {
                let mut guard = lock(&state);
                let State { screen, progress, .. } = &mut *guard;
                screen.flush();
                progress.tick(started.elapsed(), screen);
            }
        });
        Self { stop, thread }
    }

    fn stop(self) {
        drop(self.stop);
        // A ticker that panicked has nothing left to say.
        _ = self.thread.join();
    }
}
