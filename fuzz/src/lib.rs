//! What every target holds a case to besides not panicking: it ends within [`LIMIT`].

use rustix::time::{ClockId, clock_gettime};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The longest that a case may take. Cases are at most 20 KiB, as large as a bucket policy may be.
///
/// It is the processor's time of this thread that counts, for a machine may do other work as well. There is no other
/// allowance: the code runs with coverage counters and overflow checks, a few times slower than it is shipped.
pub const LIMIT: Duration = Duration::from_millis(50);

/// How often a case that looks slow is run; the fastest run counts.
const ATTEMPTS: u32 = 3;

/// The slowest case so far, in microseconds.
static SLOWEST_US: AtomicU64 = AtomicU64::new(1_000);

/// Runs a case, and panics if it takes longer than `limit`. A new slowest case is told on stderr.
pub fn in_time(limit: Duration, run: impl Fn()) {
    let mut fastest = timed(&run);
    if micros(fastest) <= SLOWEST_US.load(Ordering::Relaxed) {
        return;
    }
    for _ in 1..ATTEMPTS {
        fastest = fastest.min(timed(&run));
    }
    if micros(fastest) > SLOWEST_US.fetch_max(micros(fastest), Ordering::Relaxed) {
        eprintln!("slowest case: {} us", micros(fastest));
    }
    assert!(fastest <= limit, "a case took {} ms", fastest.as_millis());
}

fn timed(run: &impl Fn()) -> Duration {
    let began = processor_time();
    run();
    processor_time().saturating_sub(began)
}

fn processor_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
