//! How much file content may be in memory at a time, and the buffers that hold it.
//!
//! Large buffers are used again instead of being given back to the allocator: freed blocks of several MiB stay behind in
//! the arenas of the threads that asked for them, and a run that holds 128 MiB would take twice that.

use bytes::Bytes;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// One permit is a KiB: fine enough for small files, and a semaphore counts enough of them for any machine.
const UNIT_BYTES: usize = 1024;

/// From this size on buffers are kept for later; below, the allocator does well.
const KEPT_FROM_BYTES: usize = 256 * 1024;

/// Kept buffers have a multiple of this size, so that files of nearly the same size share them.
const STEP_BYTES: usize = 256 * 1024;

/// A pool of bytes. Whoever reads takes as many as it will hold, and waits its turn where none are left.
#[derive(Debug)]
pub(super) struct Pool {
    units: u32,
    left: Arc<Semaphore>,
    kept: Arc<Mutex<Kept>>,
}

/// Buffers that wait for their next use, and how much exists in all.
#[derive(Debug, Default)]
struct Kept {
    waiting: Vec<Vec<u8>>,
    total_bytes: usize,
    most_bytes: usize,
}

/// Room for so many bytes, taken from the pool until the last reader of its bytes is gone.
#[derive(Debug)]
pub(super) struct Buffer {
    bytes: Vec<u8>,
    length: usize,
    kept: Arc<Mutex<Kept>>,
    _permit: Option<OwnedSemaphorePermit>,
}

fn lock(kept: &Mutex<Kept>) -> MutexGuard<'_, Kept> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Pool {
    pub(super) fn new(bytes: u64) -> Self {
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        let units = (bytes / UNIT_BYTES).clamp(1, Semaphore::MAX_PERMITS);
        let units = u32::try_from(units).unwrap_or(u32::MAX);
        let kept = Arc::new(Mutex::new(Kept { most_bytes: bytes, ..Kept::default() }));
        Self { units, left: Arc::new(Semaphore::new(units as usize)), kept }
    }

    /// A buffer of `length` bytes, first come, first served. What is larger than the whole pool gets all of it, alone.
    pub(super) async fn buffer(&self, length: usize) -> Buffer {
        let size = if length < KEPT_FROM_BYTES { length } else { length.next_multiple_of(STEP_BYTES) };
        let units = u32::try_from(size.div_ceil(UNIT_BYTES)).unwrap_or(u32::MAX).clamp(1, self.units);
        // The semaphore is never closed, so the only error there is cannot happen.
        let permit = Arc::clone(&self.left).acquire_many_owned(units).await.ok();
        let bytes = if size < KEPT_FROM_BYTES { vec![0; size] } else { lock(&self.kept).take(size) };
        Buffer { bytes, length, kept: Arc::clone(&self.kept), _permit: permit }
    }
}

impl Kept {
    /// A waiting buffer of that size, or a new one, for which waiting ones of other sizes make room.
    fn take(&mut self, size: usize) -> Vec<u8> {
        if let Some(found) = self.waiting.iter().position(|buffer| buffer.len() == size) {
            return self.waiting.swap_remove(found);
        }
        while self.total_bytes + size > self.most_bytes
            && let Some(dropped) = self.waiting.pop()
        {
            self.total_bytes -= dropped.len();
        }
        self.total_bytes += size;
        vec![0; size]
    }

    fn give_back(&mut self, buffer: Vec<u8>) {
        if self.total_bytes <= self.most_bytes {
            self.waiting.push(buffer);
        } else {
            self.total_bytes -= buffer.len();
        }
    }
}

impl Buffer {
    /// The bytes, to be read by many; the room is free again once all of them are done.
    pub(super) fn freeze(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[..self.length]
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if self.bytes.len() >= KEPT_FROM_BYTES {
            lock(&self.kept).give_back(std::mem::take(&mut self.bytes));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{KEPT_FROM_BYTES, Pool, lock};
    use futures_util::FutureExt as _;

    #[tokio::test]
    async fn the_pool_is_never_overdrawn() {
        let pool = Pool::new(10 * 1024);
        let first = pool.buffer(6 * 1024).await;
        assert!(pool.buffer(5 * 1024).now_or_never().is_none(), "11 of 10 KiB");
        let second = pool.buffer(4 * 1024 - 1).await;
        assert_eq!((first.len(), second.len()), (6 * 1024, 4 * 1024 - 1));
        assert!(pool.buffer(0).now_or_never().is_none(), "even nothing takes a unit");
        drop((first, second));
        let all = pool.buffer(1024 * 1024).await;
        assert!(pool.buffer(1).now_or_never().is_none(), "the largest is alone");
        drop(all);
        assert!(pool.buffer(1).now_or_never().is_some());
    }

    #[tokio::test]
    async fn room_is_taken_as_long_as_somebody_reads() {
        let pool = Pool::new(1024);
        let mut buffer = pool.buffer(3).await;
        buffer.copy_from_slice(b"abc");
        let bytes = buffer.freeze();
        let reader = bytes.slice(1..);
        drop(bytes);
        assert_eq!(&reader[..], b"bc");
        assert!(pool.buffer(1).now_or_never().is_none());
        drop(reader);
        assert!(pool.buffer(1).now_or_never().is_some());
    }

    #[tokio::test]
    async fn large_buffers_are_used_again_and_bounded() {
        let pool = Pool::new(4 * KEPT_FROM_BYTES as u64);
        let total = || lock(&pool.kept).total_bytes;
        for _ in 0..5 {
            let _one = pool.buffer(KEPT_FROM_BYTES).await;
            let _two = pool.buffer(KEPT_FROM_BYTES - 1 + KEPT_FROM_BYTES).await;
            assert_eq!(total(), 3 * KEPT_FROM_BYTES, "the same two buffers again and again");
        }
        let large = pool.buffer(4 * KEPT_FROM_BYTES).await;
        assert_eq!(total(), 4 * KEPT_FROM_BYTES, "waiting ones made room");
        drop(large);
        drop(pool.buffer(6 * KEPT_FROM_BYTES).await);
        assert_eq!(total(), 0, "what exceeds the pool is not kept");
    }
}
