//! Trouble that is not of one item but of the whole run: since when nothing gets through, and what many failed of.
//!
//! Each item is tried for as long as `--retry-for` says. If every item began that count for itself, a run with a million
//! of them would try for days after the network has gone for good.

use crate::aws::s3::{ErrorClass, S3Error};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// What keeps a run from going on.
#[derive(Debug, Default)]
pub(super) struct Outage(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    since: Option<Instant>,
    cause: Option<S3Error>,
}

impl Outage {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something failed that may pass by itself. Returns for how long nothing has got through since the first such failure.
    pub(super) fn goes_on(&self, now: Instant) -> Duration {
        now.saturating_duration_since(*self.state().since.get_or_insert(now))
    }

    /// Something got through.
    pub(super) fn end(&self) {
        self.state().since = None;
    }

    /// An item failed for good. The first failure of a kind that is mended once for all items is remembered.
    pub(super) fn note(&self, error: &S3Error) {
        let mut state = self.state();
        if state.cause.is_none() && is_common(error.class) {
            state.cause = Some(error.clone());
        }
    }

    /// What was remembered.
    pub(super) fn cause(&self) -> Option<S3Error> {
        self.state().cause.clone()
    }
}

/// True for what is wrong with the way to the endpoint or with the caller, and not with one item.
const fn is_common(class: ErrorClass) -> bool {
    matches!(
        class,
        ErrorClass::ExpiredCredentials
            | ErrorClass::NoCredentials
            | ErrorClass::BadCredentials
            | ErrorClass::ClockSkew
            | ErrorClass::Unreachable
            | ErrorClass::Untrusted
    )
}

#[cfg(test)]
mod tests {
    use super::Outage;
    use crate::aws::s3::{ErrorClass, S3Error};
    use std::time::Duration;
    use tokio::time::Instant;

    #[test]
    fn an_outage_lasts_until_something_gets_through() {
        let (outage, now, later) = (Outage::default(), Instant::now(), Duration::from_secs(40));
        assert_eq!(outage.goes_on(now), Duration::ZERO);
        assert_eq!(outage.goes_on(now + later), later);
        outage.end();
        assert_eq!(outage.goes_on(now + later), Duration::ZERO);
    }

    #[test]
    fn the_first_cause_that_many_items_share_is_told() {
        let outage = Outage::default();
        let error = |class| S3Error { class, ..S3Error::unexpected("PutObject", "s3://b/k", "no") };
        outage.note(&error(ErrorClass::Denied));
        assert!(outage.cause().is_none());
        outage.note(&error(ErrorClass::Unreachable));
        outage.note(&error(ErrorClass::ExpiredCredentials));
        assert_eq!(outage.cause().map(|cause| cause.class), Some(ErrorClass::Unreachable));
    }
}
