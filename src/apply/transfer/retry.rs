//! How long one file is tried, and with what pauses.
//!
//! The SDK tries each request a few times within seconds. What outlasts that is decided here: a lost network, a service
//! that keeps slowing down, credentials that have run out and may be renewed meanwhile.

use super::TransferError;
use crate::apply::patience::{Patience, Situation};
use crate::aws::s3::ErrorClass;
use std::time::Duration;
use tokio::time::Instant;

/// How often one file is tried again when it changes while it is read, or when another writer is in the way.
const FURTHER_TRIES: u32 = 1;

/// How long a file gets to come to rest before it is tried again.
const REST: Duration = Duration::from_millis(200);

/// The first pause after trouble that passes; each further one is up to twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(20);

/// The tries of one file, or of one request.
#[derive(Debug)]
pub(in crate::apply) struct Retry {
    tries_left: u32,
    patience: Patience,
    troubles: u32,
    retry_for: Duration,
    /// When the first failure was.
    since: Option<Instant>,
}

impl Retry {
    pub(in crate::apply) fn new(situation: Situation, retry_for: Duration) -> Self {
        let patience = Patience::new(situation);
        Self { tries_left: FURTHER_TRIES, patience, troubles: 0, retry_for, since: None }
    }

    /// A try failed. Returns how long that has been so: what went well before the first failure does not count.
    pub(in crate::apply) fn failed(&mut self, now: Instant) -> Duration {
        now.saturating_duration_since(*self.since.get_or_insert(now))
    }

    /// How long to wait before the next try, so long after the first failure; none if there should be none.
    pub(super) fn after(&mut self, error: &TransferError, elapsed: Duration) -> Option<Duration> {
        match error {
            TransferError::S3(refused) if refused.class == ErrorClass::NotFound => {
                self.patience.after(refused.class, elapsed)
            }
            TransferError::S3(refused) if passes(refused.class) => self.after_trouble(refused.class, elapsed),
            other if other.deserves_another_try() && self.tries_left > 0 => {
                self.tries_left -= 1;
                Some(REST)
            }
            _ => None,
        }
    }

    /// Doubles, with a random half off so that many files do not come back at once, until the time is up. None for what
    /// does not pass by itself.
    pub(in crate::apply) fn after_trouble(&mut self, class: ErrorClass, elapsed: Duration) -> Option<Duration> {
        if !passes(class) {
            return None;
        }
        let full = FIRST_PAUSE.saturating_mul(1 << self.troubles.min(10)).min(LONGEST_PAUSE);
        self.troubles += 1;
        let pause = full.mul_f64(0.5 + random_half());
        (elapsed + pause <= self.retry_for).then_some(pause)
    }
}

/// Trouble that may be over in a while. Denials, wrong keys and the like will not.
pub(super) const fn passes(class: ErrorClass) -> bool {
    matches!(
        class,
        ErrorClass::Throttled | ErrorClass::ServerFault | ErrorClass::Unreachable | ErrorClass::ExpiredCredentials
    )
}

/// From 0 to one half. Without random numbers nothing is lost but the spread.
fn random_half() -> f64 {
    let mut byte = [0_u8; 1];
    let _ = getrandom::fill(&mut byte);
    f64::from(byte[0]) / 510.0
}

#[cfg(test)]
mod tests {
    use super::{LONGEST_PAUSE, Retry};
    use crate::apply::patience::Situation;
    use crate::apply::transfer::TransferError;
    use crate::aws::s3::{ErrorClass, S3Error};
    use std::time::Duration;

    fn refused(class: ErrorClass) -> TransferError {
        S3Error { class, ..S3Error::unexpected("PutObject", "s3://b/k".to_owned(), "no") }.into()
    }

    #[test]
    fn trouble_is_waited_out_for_as_long_as_was_asked() {
        for (class, minutes, waits) in [
            (ErrorClass::Throttled, 10, true),
            (ErrorClass::Unreachable, 10, true),
            (ErrorClass::ExpiredCredentials, 1, true),
            (ErrorClass::Denied, 10, false),
            (ErrorClass::BadCredentials, 10, false),
            (ErrorClass::Precondition, 10, false),
        ] {
            let limit = Duration::from_secs(60 * minutes);
            let mut retry = Retry::new(Situation::SETTLED, limit);
            let (mut waited, mut tries) = (Duration::ZERO, 0);
            while let Some(pause) = retry.after(&refused(class), waited) {
                assert!(pause <= LONGEST_PAUSE);
                waited += pause;
                tries += 1;
            }
            assert_eq!(tries > 4, waits, "{class:?}: {tries} tries");
            assert!(waited <= limit && (!waits || waited + LONGEST_PAUSE >= limit), "{class:?}: {waited:?}");
        }
    }

    #[test]
    fn another_writer_is_met_once_more() {
        let mut retry = Retry::new(Situation::SETTLED, Duration::ZERO);
        assert!(retry.after(&refused(ErrorClass::Conflict), Duration::ZERO).is_some());
        assert!(retry.after(&refused(ErrorClass::Conflict), Duration::ZERO).is_none());
        assert!(retry.after(&refused(ErrorClass::Throttled), Duration::ZERO).is_none());
    }
}
