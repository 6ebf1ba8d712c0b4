//! The right to have a request under way: as many at a time as the [`Pace`] says, which learns from how each goes.

use super::pace::{Pace, Window};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

/// The slots of one run.
#[derive(Debug)]
pub(super) struct Slots {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    free: Arc<Semaphore>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    pace: Pace,
    /// Slots that are in use and go once they are free.
    owed: usize,
    window: Window,
    /// When the window was opened.
    since: Instant,
    /// Requests that are to end before it opens.
    settling: usize,
}

/// The right to have one request under way.
#[derive(Debug)]
pub(super) struct Slot {
    permit: Option<OwnedSemaphorePermit>,
    since: Instant,
    shared: Arc<Shared>,
}

impl Slots {
    /// At most `most` at a time, and at least 1.
    pub(super) fn new(most: usize) -> Self {
        let pace = Pace::new(most);
        let free = Arc::new(Semaphore::new(pace.limit()));
        // The first requests also wait for their connections.
        let settling = pace.limit();
        let state = State { pace, owed: 0, window: Window::default(), since: Instant::now(), settling };
        Self { shared: Arc::new(Shared { free, state: Mutex::new(state) }) }
    }

    /// How many may be under way now.
    pub(super) fn limit(&self) -> usize {
        self.shared.state().pace.limit()
    }

    /// Waits for a free slot.
    pub(super) async fn acquire(&self) -> Slot {
        // The semaphore is never closed, so the only error there is cannot happen.
        let permit = Arc::clone(&self.shared.free).acquire_owned().await.ok();
        Slot { permit, since: Instant::now(), shared: Arc::clone(&self.shared) }
    }

    /// Content that moved.
    pub(super) fn moved(&self, bytes: u64) {
        self.shared.state().window.bytes += bytes;
    }

    /// The service said that it is too much, or fell silent.
    pub(super) fn ease_off(&self) {
        self.shared.change(&mut self.shared.state(), Instant::now(), Pace::ease_off);
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets the pace change its limit, and makes it so. What was seen under another limit tells nothing of the new one.
    fn change(&self, state: &mut State, now: Instant, change: impl FnOnce(&mut Pace)) {
        let before = state.pace.limit();
        change(&mut state.pace);
        let limit = state.pace.limit();
        if limit < before {
            let fewer = before - limit;
            state.owed += fewer - self.free.forget_permits(fewer);
        } else {
            let more = limit - before;
            let forgiven = more.min(state.owed);
            state.owed -= forgiven;
            self.free.add_permits(more - forgiven);
        }
        state.settling = state.pace.settling();
        (state.window, state.since) = (Window::default(), now);
    }

    /// A request ended.
    fn ended(&self, state: &mut State, began: Instant, now: Instant) {
        state.pace.ended();
        if state.settling > 0 {
            state.settling -= 1;
            (state.window, state.since) = (Window::default(), now);
            return;
        }
        state.window.requests += 1;
        state.window.busy += now - began;
        if state.window.requests >= state.pace.window_requests() {
            let window = Window { elapsed: now - state.since, ..state.window };
            self.change(state, now, |pace| pace.judge(&window));
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        self.shared.ended(&mut state, self.since, Instant::now());
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
    use std::time::Duration;
    use tokio::time::Instant;

    /// How many slots can be had at once; each counts as a request when it is given back.
    async fn available(slots: &Slots) -> usize {
        let mut held = Vec::new();
        while slots.shared.free.available_permits() > 0 {
            held.push(slots.acquire().await);
        }
        held.len()
    }

    async fn round(slots: &Slots, requests: usize) {
        for _ in 0..requests {
            drop(slots.acquire().await);
        }
    }

    #[tokio::test]
    async fn trouble_halves_and_answers_restore() {
        let slots = Slots::new(8);
        assert_eq!(available(&slots).await, 8);
        slots.ease_off();
        assert_eq!((slots.limit(), slots.shared.free.available_permits()), (4, 4));
        round(&slots, 3).await;
        assert_eq!(slots.limit(), 4, "one less than a round");
        round(&slots, 1).await;
        assert_eq!(slots.limit(), 5);
        round(&slots, 200).await;
        assert_eq!((slots.limit(), available(&slots).await), (8, 8), "never more than at the start");
        (0..10).for_each(|_| slots.ease_off());
        assert_eq!(available(&slots).await, 4, "refusals of one round halve once");
    }

    #[tokio::test]
    async fn slots_in_use_go_once_they_are_free() {
        let slots = Slots::new(4);
        let mut held = Vec::new();
        for _ in 0..4 {
            held.push(slots.acquire().await);
        }
        slots.ease_off();
        let free = || slots.shared.free.available_permits();
        held.pop();
        assert_eq!((slots.limit(), free()), (2, 0), "three of four are still in use, and two is the limit");
        held.pop();
        assert_eq!((slots.limit(), free()), (3, 1), "a round gave one back, which was owed");
        held.clear();
        assert_eq!((slots.limit(), free()), (3, 3));
    }

    #[tokio::test]
    async fn requests_that_take_long_and_bytes_that_move_raise_the_limit() {
        // What moves in one round, with how many requests under way, and whether more requests move more.
        for (bytes, grows, wanted) in [(0, true, [64, 128, 200, 200]), (1 << 30, false, [64, 32, 32, 32])] {
            let slots = Slots::new(200);
            let (mut now, latency) = (Instant::now(), Duration::from_millis(100));
            for wanted in wanted {
                // One round to settle, two that are looked at.
                let limit = slots.limit();
                let rounds = 2 + usize::from(slots.shared.state().settling > 0);
                for _ in 0..rounds {
                    let began = now;
                    now += if grows { latency } else { latency * u32::try_from(limit).unwrap() / 32 };
                    slots.moved(bytes);
                    (0..limit).for_each(|_| slots.shared.ended(&mut slots.shared.state(), began, now));
                }
                assert_eq!((slots.limit(), slots.shared.free.available_permits()), (wanted, wanted));
            }
        }
    }
}
