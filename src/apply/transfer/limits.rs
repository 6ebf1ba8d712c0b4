//! How much file content may be in memory at a time.

use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// One permit is a KiB: fine enough for small files, and a semaphore counts enough of them for any machine.
const UNIT_BYTES: u64 = 1024;

/// A pool of bytes. Whoever reads takes as many as it will hold, and waits its turn where none are left.
#[derive(Debug)]
pub(super) struct Budget {
    units: u32,
    left: Arc<Semaphore>,
}

/// Bytes taken from the pool; they return when this is dropped.
#[derive(Debug)]
pub(super) struct Room {
    _permit: Option<OwnedSemaphorePermit>,
}

impl Budget {
    pub(super) fn new(bytes: u64) -> Self {
        let units = u32::try_from(bytes / UNIT_BYTES).unwrap_or(u32::MAX).max(1);
        let units = units.min(u32::try_from(Semaphore::MAX_PERMITS).unwrap_or(u32::MAX));
        Self { units, left: Arc::new(Semaphore::new(units as usize)) }
    }

    /// Room for `bytes`, first come, first served. What is larger than the whole pool gets all of it, alone.
    pub(super) async fn room(&self, bytes: u64) -> Room {
        let units = u32::try_from(bytes.div_ceil(UNIT_BYTES)).unwrap_or(u32::MAX).clamp(1, self.units);
        // The semaphore is never closed, so the only error there is cannot happen.
        Room { _permit: Arc::clone(&self.left).acquire_many_owned(units).await.ok() }
    }
}

#[cfg(test)]
mod tests {
    use super::Budget;
    use futures_util::FutureExt as _;

    #[tokio::test]
    async fn the_pool_is_never_overdrawn() {
        let budget = Budget::new(10 * 1024);
        let first = budget.room(6 * 1024).await;
        assert!(budget.room(5 * 1024).now_or_never().is_none(), "11 of 10 KiB");
        let second = budget.room(4 * 1024 - 1).await;
        assert!(budget.room(0).now_or_never().is_none(), "even nothing takes a unit");
        drop((first, second));
        let all = budget.room(u64::MAX).await;
        assert!(budget.room(1).now_or_never().is_none(), "the largest is alone");
        drop(all);
        assert!(budget.room(1).now_or_never().is_some());
    }
}
