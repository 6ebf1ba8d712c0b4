//! How many requests are under way at a time: fewer when the service says that it is too much, more again as it copes.
//!
//! A service that slows down is not helped by the same requests coming again. Each such answer halves the number; as
//! many answers without one as there are slots give one slot back. The number never exceeds what it began with.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The slots of one run.
#[derive(Debug)]
pub(super) struct Slots {
    free: Arc<Semaphore>,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    most: usize,
    limit: usize,
    /// Slots that are in use and go once they are free.
    owed: usize,
    /// Answers since the limit last changed.
    answers: usize,
}

/// The right to have one request under way.
#[derive(Debug)]
pub(super) struct Slot {
    permit: Option<OwnedSemaphorePermit>,
    state: Arc<Mutex<State>>,
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Slots {
    /// At most `most` at a time, and at least 1.
    pub(super) fn new(most: usize) -> Self {
        let most = most.max(1);
        let state = State { most, limit: most, owed: 0, answers: 0 };
        Self { free: Arc::new(Semaphore::new(most)), state: Arc::new(Mutex::new(state)) }
    }

    /// Waits for a free slot.
    pub(super) async fn acquire(&self) -> Slot {
        // The semaphore is never closed, so the only error there is cannot happen.
        let permit = Arc::clone(&self.free).acquire_owned().await.ok();
        Slot { permit, state: Arc::clone(&self.state) }
    }

    /// The service said that it is too much.
    pub(super) fn ease_off(&self) {
        let mut state = lock(&self.state);
        let limit = (state.limit / 2).max(1);
        let fewer = state.limit - limit;
        state.limit = limit;
        state.answers = 0;
        state.owed += fewer - self.free.forget_permits(fewer);
    }

    /// The service answered as it should.
    pub(super) fn answered(&self) {
        let mut state = lock(&self.state);
        state.answers += 1;
        if state.limit < state.most && state.answers >= state.limit {
            state.limit += 1;
            state.answers = 0;
            if state.owed > 0 {
                state.owed -= 1;
            } else {
                self.free.add_permits(1);
            }
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut state = lock(&self.state);
        if state.owed > 0
            && let Some(permit) = self.permit.take()
        {
            state.owed -= 1;
            permit.forget();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Slots;

    /// How many slots can be had at once.
    async fn available(slots: &Slots) -> usize {
        let mut held = Vec::new();
        while slots.free.available_permits() > 0 {
            held.push(slots.acquire().await);
        }
        held.len()
    }

    #[tokio::test]
    async fn trouble_halves_and_answers_restore() {
        let slots = Slots::new(8);
        assert_eq!(available(&slots).await, 8);
        slots.ease_off();
        assert_eq!(available(&slots).await, 4);
        (0..3).for_each(|_| slots.answered());
        assert_eq!(available(&slots).await, 4, "one less than a round");
        slots.answered();
        assert_eq!(available(&slots).await, 5);
        (0..100).for_each(|_| slots.answered());
        assert_eq!(available(&slots).await, 8, "never more than at the start");
        (0..10).for_each(|_| slots.ease_off());
        assert_eq!(available(&slots).await, 1, "never none");
    }

    #[tokio::test]
    async fn slots_in_use_go_once_they_are_free() {
        let slots = Slots::new(4);
        let mut held = Vec::new();
        for _ in 0..4 {
            held.push(slots.acquire().await);
        }
        slots.ease_off();
        held.truncate(2);
        assert_eq!(available(&slots).await, 0, "two of four are still in use, and two is the limit");
        held.clear();
        assert_eq!(available(&slots).await, 2);
        for _ in 0..2 {
            held.push(slots.acquire().await);
        }
        slots.ease_off();
        (0..1).for_each(|_| slots.answered());
        held.clear();
        assert_eq!(available(&slots).await, 2, "what was owed is forgiven first");
    }
}
