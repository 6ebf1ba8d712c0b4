//! How many requests may be under way: more as long as more of them move more, fewer when the service says that it is
//! too much. Pure: what was seen of a while goes in, a limit comes out.
//!
//! A far service answers late, and only more requests at a time make up for that; a near one is limited by this machine,
//! and more requests only cost memory. So the limit is tried higher, and stays there only if the rate rose about as the
//! limit did. A service that slows down is not helped by the same requests coming again: each round of such answers
//! halves the limit, and each round without one gives one slot back.

use std::time::Duration;

/// Hides the latency of a near Region on small files.
const FIRST_LIMIT: usize = 32;

/// A request costs a service about as much time as so many bytes of content: tens of milliseconds, at some 80 MiB/s for
/// each connection.
///
/// Source: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/optimizing-performance-design-patterns.html>
const REQUEST_BYTES: f64 = 1024.0 * 1024.0;

/// Of what answers sooner than this, 32 requests at a time get 3,200 answers a second and more: then it is this machine
/// that is busy.
const NEAR: Duration = Duration::from_millis(10);

/// A trial that brought nothing is repeated after so many windows, after twice as many if it fails again, and so on.
const FIRST_REST: u32 = 8;
const LONGEST_REST: u32 = 128;

/// Descriptors that are not for transfers: streams, the listing's connections, the walk, journal and spilled rows.
const RESERVED_DESCRIPTORS: u64 = 48;

/// A request of a transfer holds a connection and, at times, a file.
const DESCRIPTORS_EACH: u64 = 2;

/// What was seen of the requests that ended within a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Window {
    /// How many there were.
    pub(super) requests: usize,
    /// The bytes of content that moved.
    pub(super) bytes: u64,
    /// How long each took, added up.
    pub(super) busy: Duration,
    /// How long the while was.
    pub(super) elapsed: Duration,
}

/// The limit, and what is being tried with it.
#[derive(Debug)]
pub(super) struct Pace {
    limit: usize,
    most: usize,
    phase: Phase,
    /// Windows to wait after the next trial that brings nothing; none before the first such.
    rest: Option<u32>,
    /// So many requests may end before a refusal is news: they began before the limit was last cut.
    stale: usize,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Phase {
    /// The limit is right, for so many windows more.
    Steady { windows: u32 },
    /// The limit was raised from one that had this rate.
    Trial { from: usize, rate: f64 },
    /// The limit was cut, and goes back to what it was.
    Mending { until: usize },
}

/// As many requests as were asked for, or as the process may have descriptors for; at least 1.
pub(super) fn most_requests(asked: usize, descriptors: Option<u64>) -> usize {
    let for_transfers = |all: u64| all.saturating_sub(RESERVED_DESCRIPTORS) / DESCRIPTORS_EACH;
    let possible = descriptors.map_or(usize::MAX, |all| usize::try_from(for_transfers(all)).unwrap_or(usize::MAX));
    asked.min(possible).max(1)
}

impl Window {
    /// Bytes in a second, requests counted as bytes.
    fn rate(&self) -> f64 {
        (float(self.bytes) + float(self.requests as u64) * REQUEST_BYTES) / self.elapsed.as_secs_f64().max(1e-9)
    }

    /// True if nearly all of so many slots were in use (Little's law).
    fn fills(&self, limit: usize) -> bool {
        self.busy.as_secs_f64() >= 0.75 * float(limit as u64) * self.elapsed.as_secs_f64()
    }

    fn is_near(&self) -> bool {
        let requests = u32::try_from(self.requests).unwrap_or(u32::MAX);
        self.busy.checked_div(requests).is_none_or(|mean| mean < NEAR)
    }
}

impl Pace {
    /// Never more than `most` at a time.
    pub(super) fn new(most: usize) -> Self {
        let most = most.max(1);
        Self { limit: most.min(FIRST_LIMIT), most, phase: Phase::Steady { windows: 0 }, rest: None, stale: 0 }
    }

    /// How many requests may be under way.
    pub(super) const fn limit(&self) -> usize {
        self.limit
    }

    /// How many requests are to end before what is seen is due to the limit as it is.
    pub(super) const fn settling(&self) -> usize {
        if matches!(self.phase, Phase::Trial { .. }) { self.limit } else { 0 }
    }

    /// How many requests make a window: some rounds for a rate, one round of what mends.
    pub(super) const fn window_requests(&self) -> usize {
        if matches!(self.phase, Phase::Mending { .. }) { self.limit } else { 2 * self.limit }
    }

    /// A request ended, well or not.
    pub(super) const fn ended(&mut self) {
        self.stale = self.stale.saturating_sub(1);
    }

    /// The service said that it is too much, or fell silent.
    pub(super) fn ease_off(&mut self) {
        if self.stale > 0 {
            return;
        }
        let until = match self.phase {
            Phase::Steady { .. } => self.limit,
            Phase::Trial { from, .. } => from,
            Phase::Mending { until } => until,
        };
        self.stale = self.limit;
        self.limit = (self.limit / 2).max(1);
        self.phase = Phase::Mending { until };
    }

    /// Takes what a window of requests has shown.
    pub(super) fn judge(&mut self, window: &Window) {
        match self.phase {
            Phase::Mending { until } => {
                self.limit = (self.limit + 1).min(until);
                if self.limit == until {
                    self.rest_a_while();
                }
            }
            Phase::Steady { windows: 0 } => self.try_more(window),
            Phase::Steady { windows } => self.phase = Phase::Steady { windows: windows - 1 },
            // At least half of what was added must show.
            Phase::Trial { from, rate } => {
                let added = float((self.limit - from) as u64) / float(from as u64);
                if window.rate() >= rate * (1.0 + added / 2.0) {
                    self.try_more(window);
                } else {
                    self.limit = from;
                    self.rest_a_while();
                }
            }
        }
    }

    /// Raises the limit if all of it is in use and more could help: twice as many until that was too much once.
    fn try_more(&mut self, window: &Window) {
        self.phase = Phase::Steady { windows: 0 };
        if self.limit < self.most && window.fills(self.limit) && !window.is_near() {
            self.phase = Phase::Trial { from: self.limit, rate: window.rate() };
            let more = if self.rest.is_none() { self.limit } else { self.limit.div_ceil(2) };
            self.limit = (self.limit + more).min(self.most);
        }
    }

    fn rest_a_while(&mut self) {
        let windows = self.rest.unwrap_or(FIRST_REST);
        self.phase = Phase::Steady { windows };
        self.rest = Some((windows * 2).min(LONGEST_REST));
    }
}

#[expect(clippy::cast_precision_loss, reason = "a rate that is held against another")]
const fn float(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::{Pace, Window, float, most_requests};
    use std::time::Duration;

    const MIB: u64 = 1024 * 1024;

    /// A service that takes its time over each request, and can do so many in a second, or so many bytes.
    #[derive(Debug, Clone, Copy)]
    struct Service {
        latency_ms: u64,
        requests_per_second: f64,
        bytes_per_second: f64,
    }

    impl Service {
        const BOUNDLESS: Self =
            Self { latency_ms: 100, requests_per_second: f64::INFINITY, bytes_per_second: f64::INFINITY };

        /// What a window shows when `busy` requests of `bytes` are under way all the time.
        fn window(self, busy: usize, requests: usize, bytes: u64) -> Window {
            let latency = float(self.latency_ms) / 1000.0;
            let rate = (float(busy as u64) / latency)
                .min(self.requests_per_second)
                .min(self.bytes_per_second / float(bytes.max(1)));
            let elapsed = Duration::from_secs_f64(float(requests as u64) / rate);
            let bytes = bytes * requests as u64;
            Window { requests, bytes, busy: elapsed * u32::try_from(busy).unwrap(), elapsed }
        }
    }

    /// The limits that a run goes through.
    fn limits(most: usize, service: Service, bytes: u64, demand: usize, windows: usize) -> Vec<usize> {
        let mut pace = Pace::new(most);
        let mut limits = vec![pace.limit()];
        for _ in 0..windows {
            pace.judge(&service.window(pace.limit().min(demand), pace.window_requests(), bytes));
            limits.push(pace.limit());
        }
        limits
    }

    #[test]
    fn the_limit_grows_as_long_as_the_rate_does() {
        let far = Service::BOUNDLESS;
        for (name, most, service, bytes, demand, wanted) in [
            ("far", 256, far, 4096, 999, vec![32, 64, 128, 256, 256]),
            ("near", 256, Service { latency_ms: 2, ..far }, 4096, 999, vec![32; 9]),
            ("few descriptors", 40, far, 4096, 999, vec![32, 40, 40]),
            ("fewer still", 5, far, 4096, 999, vec![5, 5]),
            ("nothing to send", 256, far, 4096, 20, vec![32; 9]),
            ("little more to send", 256, far, 4096, 40, vec![32, 64, 32, 32]),
            ("busy", 256, Service { requests_per_second: 320.0, ..far }, 4096, 999, vec![32, 64, 32, 32]),
            ("some more", 256, Service { requests_per_second: 700.0, ..far }, 4096, 999, vec![32, 64, 128, 64, 64]),
            ("full line", 256, Service { bytes_per_second: 3e8, ..far }, 8 * MIB, 999, vec![32, 64, 32, 32]),
            ("large bodies", 256, far, 8 * MIB, 999, vec![32, 64, 128, 256]),
        ] {
            assert_eq!(limits(most, service, bytes, demand, wanted.len() - 1), wanted, "{name}");
        }
    }

    #[test]
    fn what_brought_nothing_is_tried_again_more_and_more_seldom() {
        let full = Service { requests_per_second: 320.0, ..Service::BOUNDLESS };
        let limits = limits(256, full, 4096, 999, 200);
        let tried: Vec<usize> = (0..limits.len()).filter(|window| limits[*window] > 32).collect();
        assert_eq!(tried, [1, 11, 29, 63, 129]);
        assert_eq!(tried.iter().map(|window| limits[*window]).collect::<Vec<_>>(), [64, 48, 48, 48, 48]);
    }

    #[test]
    fn refusals_of_one_round_halve_once_and_rounds_without_mend() {
        let mut pace = Pace::new(256);
        let far = Service::BOUNDLESS;
        pace.judge(&far.window(32, 64, 4096));
        assert_eq!(pace.limit(), 64);
        for refused in 0..64 {
            pace.ended();
            pace.ease_off();
            assert_eq!(pace.limit(), 32, "refusal {refused} of the round in which the limit was cut");
        }
        pace.ended();
        pace.ease_off();
        assert_eq!(pace.limit(), 16, "the next round is refused too");
        for limit in 17..=32 {
            pace.judge(&far.window(pace.limit(), pace.window_requests(), 4096));
            assert_eq!(pace.limit(), limit, "one more in each round");
        }
        pace.judge(&far.window(32, 64, 4096));
        assert_eq!(pace.limit(), 32, "what was too much once is not tried at once");
        for _ in 0..20 {
            (0..999).for_each(|_| pace.ended());
            pace.ease_off();
        }
        assert_eq!(pace.limit(), 1, "never none");
    }

    #[test]
    fn descriptors_bound_the_requests() {
        for (asked, descriptors, wanted) in [
            (256, None, 256),
            (256, Some(1024), 256),
            (256, Some(256), 104),
            (256, Some(64), 8),
            (256, Some(10), 1),
            (3, Some(1024), 3),
            (0, None, 1),
        ] {
            assert_eq!(most_requests(asked, descriptors), wanted, "{descriptors:?}");
        }
    }
}
