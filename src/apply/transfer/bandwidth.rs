//! Keeps a run to so many bytes a second, on average.
//!
//! A body goes out whole, so the limit holds between bodies and not within one: each waits until those before it would
//! have gone out at the limit.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// The limit of one run.
#[derive(Debug)]
pub(super) struct Bandwidth {
    bytes_per_second: Option<u64>,
    /// When everything that was let through so far would be out.
    free_at: Mutex<Option<Instant>>,
}

impl Bandwidth {
    /// So many bytes a second; none for no limit.
    pub(super) const fn new(bytes_per_second: Option<u64>) -> Self {
        Self { bytes_per_second, free_at: Mutex::new(None) }
    }

    /// Waits until `bytes` may go.
    pub(super) async fn take(&self, bytes: u64) {
        if let Some(start) = self.book(bytes, Instant::now()) {
            tokio::time::sleep_until(start).await;
        }
    }

    /// Books the time that `bytes` take, and says when it begins; none if that is at once.
    fn book(&self, bytes: u64, now: Instant) -> Option<Instant> {
        let limit = self.bytes_per_second.filter(|limit| *limit > 0)?;
        let nanoseconds = u128::from(bytes) * 1_000_000_000 / u128::from(limit);
        let length = Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX));
        let mut free_at = self.free_at.lock().unwrap_or_else(PoisonError::into_inner);
        let start = free_at.filter(|free| *free > now).unwrap_or(now);
        // A limit so low that no clock shows the end of it waits for as long as a clock can.
        *free_at = Some(start.checked_add(length).unwrap_or(start));
        (start > now).then_some(start)
    }
}

#[cfg(test)]
mod tests {
    use super::Bandwidth;
    use std::time::Duration;
    use tokio::time::Instant;

    #[test]
    fn bodies_follow_each_other_at_the_limit() {
        let limited = Bandwidth::new(Some(1000));
        let now = Instant::now();
        let wait = |bytes, at| limited.book(bytes, at).map(|start| start.duration_since(now).as_millis());
        assert_eq!(wait(500, now), None, "the first goes at once");
        assert_eq!(wait(2000, now), Some(500));
        assert_eq!(wait(0, now), Some(2500));
        let later = now + Duration::from_secs(10);
        assert_eq!(wait(1000, later), None, "what was not used is not saved up");
        assert_eq!(wait(1, later), Some(11_000));
    }

    #[test]
    fn without_a_limit_nothing_waits() {
        for limit in [None, Some(0)] {
            let free = Bandwidth::new(limit);
            assert_eq!((0..3).filter_map(|_| free.book(u64::MAX, Instant::now())).count(), 0);
        }
    }
}
