//! Ctrl-C and SIGTERM: the first asks the run to end, the second ends it.

use crate::commands::stop::Stop;
use crate::error::CommandError;
use crate::report::Outcome;
use crate::ui::Ui;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

/// How long a run that ends in order may take before it says that it does.
const QUIET_END: Duration = Duration::from_millis(300);

/// Listens from now on, until the process ends. Needs a runtime around it.
pub(super) fn listen(stop: Stop, ui: Ui) {
    let (Ok(mut interrupt), Ok(mut terminate)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return;
    };
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = interrupt.recv() => ui.echoed(),
                _ = terminate.recv() => {}
            }
            if !stop.ask() {
                ui.abandon();
                #[expect(clippy::exit, reason = "the user asked twice; nothing may hold the process any longer")]
                std::process::exit(i32::from(Outcome::Interrupted.code()));
            }
        }
    });
}

/// As much as the first thread of a process usually has. A verb is one future with all its calls in it, and without
/// optimisation its frames are large. What is not touched is not used.
const STACK_BYTES: usize = 8 * 1024 * 1024;

/// A verb under way on a thread of its own, so that whatever it waits for, somebody hears Ctrl-C.
pub(super) struct Verb<T> {
    thread: JoinHandle<()>,
    ended: oneshot::Receiver<Result<T, CommandError>>,
}

impl<T: Send + 'static> Verb<T> {
    /// Starts it.
    pub(super) fn start(run: impl FnOnce() -> Result<T, CommandError> + Send + 'static) -> Result<Self, CommandError> {
        let (sender, ended) = oneshot::channel();
        let thread = Builder::new().stack_size(STACK_BYTES).spawn(move || {
            // Nobody waits for a verb that was left.
            let _ = sender.send(run());
        });
        let failed =
            |error| CommandError::new("system", Outcome::Failed, format!("the system gives no thread: {error}"));
        thread.map(|thread| Self { thread, ended }).map_err(failed)
    }

    /// A panic of the verb goes on here.
    fn settle(self, ended: Result<Result<T, CommandError>, oneshot::error::RecvError>) -> Result<T, CommandError> {
        ended.unwrap_or_else(|_| match self.thread.join() {
            Err(panic) => std::panic::resume_unwind(panic),
            Ok(()) => Err(CommandError::new("internal", Outcome::Failed, "the verb ended without a word")),
        })
    }
}

/// Waits for the verb. If the user wants to stop while it only looks, it is left where it is, even in the middle of a
/// read that never returns.
pub(super) async fn attend<T: Send + 'static>(mut verb: Verb<T>, stop: &Stop, ui: &Ui) -> Result<T, CommandError> {
    tokio::select! {
        biased;
        ended = &mut verb.ended => return verb.settle(ended),
        () = stop.asked() => {}
    }
    if stop.leave() {
        return Err(CommandError::interrupted());
    }
    let ended = match tokio::time::timeout(QUIET_END, &mut verb.ended).await {
        Ok(ended) => ended,
        Err(_) => {
            ui.note("stopping; Ctrl-C again ends at once");
            (&mut verb.ended).await
        }
    };
    verb.settle(ended)
}
