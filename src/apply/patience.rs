//! What is worth waiting for after which change, and for how long: a pure rule, so that it can be tested without a clock.

use crate::aws::s3::ErrorClass;
use std::time::Duration;

/// What the run did to the bucket before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Situation {
    /// The bucket was created by this run, so it may not be known everywhere yet.
    pub just_created: bool,
    /// Versioning was enabled by this run, so a 404 can come where none should.
    ///
    /// Source: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/manage-versioning-examples.html>
    pub just_versioned: bool,
}

impl Situation {
    /// Nothing was changed that takes time to be known everywhere.
    pub const SETTLED: Self = Self { just_created: false, just_versioned: false };
}

/// How long a new bucket may stay unknown.
const AFTER_CREATE: Duration = Duration::from_secs(120);
/// How long AWS advises to expect 404 after versioning was enabled.
const AFTER_VERSIONING: Duration = Duration::from_secs(15 * 60);
/// How long another write may hold the bucket's settings.
const WHILE_CONFLICTING: Duration = Duration::from_secs(120);
/// The first pause; each further one is twice as long, up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Counts the tries of one action.
#[derive(Debug)]
pub struct Patience {
    situation: Situation,
    pause: Duration,
}

impl Patience {
    /// Before the first try.
    pub const fn new(situation: Situation) -> Self {
        Self { situation, pause: FIRST_PAUSE }
    }

    /// How long to wait before trying again, `elapsed` after the first try; none if the failure is final.
    pub fn after(&mut self, class: ErrorClass, elapsed: Duration) -> Option<Duration> {
        let bound = match class {
            ErrorClass::Conflict => WHILE_CONFLICTING,
            ErrorClass::NotFound if self.situation.just_versioned => AFTER_VERSIONING,
            ErrorClass::NotFound if self.situation.just_created => AFTER_CREATE,
            _ => return None,
        };
        if elapsed >= bound {
            return None;
        }
        let pause = self.pause;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        Some(pause)
    }
}

#[cfg(test)]
mod tests {
    use super::{Patience, Situation};
    use crate::aws::s3::ErrorClass;
    use std::time::Duration;

    fn check(situation: Situation, class: ErrorClass, elapsed_s: u64, waits: bool) {
        let answer = Patience::new(situation).after(class, Duration::from_secs(elapsed_s));
        assert_eq!(answer.is_some(), waits, "{situation:?} {class:?} after {elapsed_s} s");
    }

    #[test]
    fn waits_only_for_what_passes() {
        let old = Situation::SETTLED;
        let new = Situation { just_created: true, just_versioned: false };
        let versioned = Situation { just_created: true, just_versioned: true };
        check(old, ErrorClass::NotFound, 0, false);
        check(new, ErrorClass::NotFound, 0, true);
        check(new, ErrorClass::NotFound, 121, false);
        check(versioned, ErrorClass::NotFound, 121, true);
        check(versioned, ErrorClass::NotFound, 901, false);
        check(old, ErrorClass::Conflict, 1, true);
        check(old, ErrorClass::Conflict, 121, false);
        check(versioned, ErrorClass::Denied, 0, false);
    }

    #[test]
    fn pauses_double_up_to_a_bound() {
        let mut patience = Patience::new(Situation { just_created: true, just_versioned: false });
        let pauses: Vec<u128> =
            (0..8).map(|_| patience.after(ErrorClass::NotFound, Duration::ZERO).unwrap().as_millis()).collect();
        assert_eq!(pauses, [200, 400, 800, 1600, 3200, 6400, 10000, 10000]);
    }
}
