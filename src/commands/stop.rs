//! How a run ends when the user asks it to: at once while it only looks, in order once it has begun to write.

use crate::error::CommandError;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use tokio_util::sync::CancellationToken;

/// Nothing was written yet, so the run can be left at any moment.
const LOOKING: u8 = 0;
/// The verb writes, watches the token, and ends by itself.
const WRITING: u8 = 1;
/// The run was left while it was looking; it never writes any more.
const LEFT: u8 = 2;

/// The wish to stop, and what it does to the run. Clones share both.
#[derive(Debug, Clone, Default)]
pub struct Stop {
    token: CancellationToken,
    phase: Arc<AtomicU8>,
}

impl Stop {
    /// Asks the run to end. Returns false if that was asked before.
    pub fn ask(&self) -> bool {
        let first = !self.token.is_cancelled();
        self.token.cancel();
        first
    }

    /// True once the user wants to stop.
    pub fn is_asked(&self) -> bool {
        self.token.is_cancelled()
    }

    /// Waits until the user wants to stop.
    pub async fn asked(&self) {
        self.token.cancelled().await;
    }

    /// The same wish for those who know only of tokens.
    pub fn token(&self) -> CancellationToken {
        self.token.clone()
    }

    /// From here on the verb ends by itself what it has begun. An error if the run was left before, and nothing may be
    /// written then.
    pub fn begin_writing(&self) -> Result<(), CommandError> {
        match self.phase.compare_exchange(LOOKING, WRITING, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) | Err(WRITING) => Ok(()),
            Err(_) => Err(CommandError::interrupted()),
        }
    }

    /// Leaves the run, if it is only looking: true means that it will not write any more.
    pub fn leave(&self) -> bool {
        self.phase.compare_exchange(LOOKING, LEFT, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// `work`, or none if the user wants to stop before it ends. A run that is only looking is left anyway.
    pub async fn unless_asked<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        if self.phase.load(Ordering::Acquire) == LOOKING {
            return Some(work.await);
        }
        tokio::select! {
            biased;
            () = self.asked() => None,
            done = work => Some(done),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Stop;

    #[tokio::test]
    async fn what_was_begun_is_left_by_itself() {
        let stop = Stop::default();
        stop.ask();
        assert_eq!(stop.unless_asked(std::future::ready(7)).await, Some(7));
        stop.begin_writing().unwrap();
        assert_eq!(stop.unless_asked(std::future::pending::<u8>()).await, None);
    }

    #[test]
    fn whoever_comes_first_decides() {
        let stop = Stop::default();
        assert!(stop.ask() && !stop.ask(), "only the first time is the first");
        assert!(stop.leave());
        assert!(stop.begin_writing().is_err(), "a run that was left must not write");
        let stop = Stop::default();
        stop.begin_writing().unwrap();
        stop.begin_writing().unwrap();
        assert!(!stop.leave(), "a run that writes ends by itself");
    }
}
