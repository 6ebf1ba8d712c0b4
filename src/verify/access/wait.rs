//! How long a change of access is waited for: until three answers in a row agree, two minutes at most.
//!
//! IAM promises no bound for its changes, and one answer may come from a place that has the change while the next does
//! not. Nothing here sleeps or asks: it is told what was answered, and says what to do next.

use std::time::Duration;

/// How many answers in a row must agree.
pub const IN_A_ROW: u32 = 3;
/// How long is waited at most.
pub const LONGEST: Duration = Duration::from_secs(120);
/// The pause after the first answer that does not agree; it doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// The longest pause between two questions.
const LONGEST_PAUSE: Duration = Duration::from_secs(4);
/// The pause between two answers that agree.
const PAUSE_WHEN_AGREEING: Duration = Duration::from_millis(250);

/// The wait for one thing to be as it should.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Wait {
    agreed: u32,
    /// When the first of the answers came that agree.
    since: Option<Duration>,
    disagreed: u32,
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Ask again after a pause.
    Ask(Duration),
    /// It is in force; the first of the agreeing answers came after this time.
    Settled(Duration),
    /// It is not, and time is up.
    GaveUp,
}

impl Wait {
    /// Takes an answer that came `elapsed` after the change, and whether it is as it should be.
    pub fn heard(&mut self, agrees: bool, elapsed: Duration) -> Next {
        if agrees {
            self.agreed += 1;
            let since = *self.since.get_or_insert(elapsed);
            if self.agreed >= IN_A_ROW {
                return Next::Settled(since);
            }
        } else {
            (self.agreed, self.since) = (0, None);
            self.disagreed += 1;
        }
        let pause = match agrees {
            true => PAUSE_WHEN_AGREEING,
            false => FIRST_PAUSE.saturating_mul(1 << (self.disagreed - 1).min(8)).min(LONGEST_PAUSE),
        };
        match elapsed + pause > LONGEST {
            true => Next::GaveUp,
            false => Next::Ask(pause),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{LONGEST, Next, Wait};
    use std::time::Duration;

    /// Answers (`+` agrees, `-` does not), one each second unless paused longer; what came of the last.
    fn check(answers: &str, seconds: u64, wanted: Next) {
        let mut wait = Wait::default();
        let mut last = None;
        for (index, answer) in answers.chars().enumerate() {
            last = Some(wait.heard(answer == '+', Duration::from_secs(index as u64 * seconds)));
        }
        assert_eq!(last, Some(wanted), "{answers}");
    }

    #[test]
    fn three_in_a_row_settle() {
        let (ms, s) = (Duration::from_millis, Duration::from_secs);
        check("+", 1, Next::Ask(ms(250)));
        check("++", 1, Next::Ask(ms(250)));
        check("+++", 1, Next::Settled(s(0)));
        check("--+++", 1, Next::Settled(s(2)));
        // An old answer in between begins the count anew, and the time with it.
        check("++-+++", 1, Next::Settled(s(3)));
        check("++-++", 1, Next::Ask(ms(250)));
    }

    #[test]
    fn questions_become_rarer_and_end() {
        for (answers, pause_ms) in [("-", 250), ("--", 500), ("---", 1000), ("-----", 4000), ("------------", 4000)] {
            check(answers, 1, Next::Ask(Duration::from_millis(pause_ms)));
        }
        check("---", 60, Next::GaveUp);
        check("--+", 60, Next::GaveUp);
        let mut wait = Wait::default();
        let (mut elapsed, mut asked) = (Duration::ZERO, 1);
        while let Next::Ask(pause) = wait.heard(false, elapsed) {
            elapsed += pause;
            asked += 1;
        }
        assert!(elapsed <= LONGEST && (30..=40).contains(&asked), "{asked} questions in {elapsed:?}");
    }

    #[test]
    fn a_last_answer_in_time_still_counts() {
        let mut wait = Wait::default();
        for second in [118, 119] {
            assert!(matches!(wait.heard(true, Duration::from_secs(second)), Next::Ask(_)));
        }
        assert_eq!(wait.heard(true, LONGEST), Next::Settled(Duration::from_secs(118)));
    }
}
