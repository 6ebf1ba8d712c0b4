//! What the answers of a place mean: cells of the access matrix, each with why it is so.

use super::Answer;
use super::spots::{Expected, Ground, Spot};
use crate::policy::matrix::Operation;
use crate::report::{Access, Cell};

/// What was answered in one place, by operation.
pub type Answers = Vec<(Operation, Answer)>;

/// Why an object that is not the run's own is left alone.
const NOT_OURS: &str = "only objects that the run made are touched, and this key is not one of them";

impl Spot {
    /// A place where nothing could be tried.
    pub fn not_tried(&self, why: &str) -> Answers {
        self.expected.iter().map(|one| (one.operation, Answer::NotTried(why.to_owned()))).collect()
    }

    /// The cells of this place for `principal`.
    pub fn cells(&self, answers: &Answers, principal: &str) -> Vec<Cell> {
        let why = if matches!(self.ground, Ground::Object(_)) { NOT_OURS } else { "it was not asked for" };
        let untried = Answer::NotTried(why.to_owned());
        let cell = |expected: &Expected| {
            let answer = answers.iter().find(|(operation, _)| *operation == expected.operation);
            let answer = answer.map_or(&untried, |(_, answer)| answer);
            let (observed, because) = judged(expected, answer);
            Cell {
                principal: principal.to_owned(),
                operation: expected.operation.word(),
                target: self.target(),
                expected: if expected.allowed { Access::Allow } else { Access::Deny },
                observed,
                because,
            }
        };
        self.expected.iter().map(cell).collect()
    }

    /// True if everything that could be tried came out as expected. Where nothing could, that is so only if it was to be
    /// left out.
    pub fn is_as_expected(&self, answers: &Answers, no_write: bool) -> bool {
        let cells = self.cells(answers, "");
        let mut tried = cells.iter().filter(|cell| cell.observed != Access::NotTried).peekable();
        let may_be_empty = no_write || matches!(self.ground, Ground::Object(_));
        (may_be_empty || tried.peek().is_some()) && tried.all(|cell| cell.observed == cell.expected)
    }
}

/// What was seen, and why: the grant's reason where all is as expected, else what the service said beside it. The
/// service's own words stay whole, so that they can be looked up.
fn judged(expected: &Expected, answer: &Answer) -> (Access, String) {
    let reason = &expected.because;
    match (answer, expected.allowed) {
        (Answer::Worked(_), true) => (Access::Allow, reason.clone()),
        (Answer::Refused(_), false) => (Access::Deny, reason.clone()),
        (Answer::Worked(text), false) => (Access::Allow, format!("it worked ({text}), but {reason}")),
        (Answer::Refused(text), true) => (Access::Deny, format!("{text}; but {reason}")),
        (Answer::Failed(text), _) => (Access::Failed, text.clone()),
        (Answer::NotTried(text), _) => (Access::NotTried, text.clone()),
    }
}

/// What several sessions, each with a part of one policy, amount to: allowed is what any part allows and none denies
/// in so many words. What nobody could tell in one part is told only if another part decides it.
pub fn together(parts: &[Answers]) -> Answers {
    let Some(first) = parts.first() else { return Answers::new() };
    let of = |operation: Operation| {
        let answers = parts.iter().flatten().filter(|(one, _)| *one == operation).map(|(_, answer)| answer);
        answers.max_by_key(|answer| weight(answer)).cloned()
    };
    first.iter().filter_map(|(operation, _)| Some((*operation, of(*operation)?))).collect()
}

/// How much an answer counts beside those of other parts.
fn weight(answer: &Answer) -> u8 {
    match answer {
        Answer::Refused(text) if text.contains("explicit deny") => 4,
        Answer::Failed(_) => 3,
        Answer::Worked(_) => 2,
        // A part in which nothing could be tried might have allowed it.
        Answer::NotTried(_) => 1,
        Answer::Refused(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::{Answers, together};
    use crate::policy::matrix::Operation;
    use crate::report::Access;
    use crate::verify::access::Answer;
    use crate::verify::access::spots::{Expected, Ground, Spot};

    fn answer(text: &str) -> Answer {
        match text.split_once(' ').unwrap() {
            ("worked", rest) => Answer::Worked(rest.to_owned()),
            ("refused", rest) => Answer::Refused(rest.to_owned()),
            ("failed", rest) => Answer::Failed(rest.to_owned()),
            (_, rest) => Answer::NotTried(rest.to_owned()),
        }
    }

    #[test]
    fn an_unexpected_cell_tells_both_sides() {
        for (allowed, said, observed, because) in [
            (true, "worked 10 bytes", Access::Allow, "Objects allows it"),
            (false, "refused AccessDenied", Access::Deny, "Objects allows it"),
            (
                true,
                "refused AccessDenied: by a boundary",
                Access::Deny,
                "AccessDenied: by a boundary; but Objects allows it",
            ),
            (false, "worked 10 bytes", Access::Allow, "it worked (10 bytes), but Objects allows it"),
            (true, "failed other bytes", Access::Failed, "other bytes"),
            (false, "not --no-write", Access::NotTried, "--no-write"),
        ] {
            let expected = Expected { operation: Operation::Put, allowed, because: "Objects allows it".to_owned() };
            let ground = Ground::Folder("a/".parse().unwrap());
            let spot = Spot { bucket: "lake".parse().unwrap(), ground, expected: vec![expected] };
            let answers = vec![(Operation::Put, answer(said))];
            let cells = spot.cells(&answers, "me");
            assert_eq!((cells[0].observed, cells[0].because.as_str()), (observed, because), "{said}");
            assert_eq!(spot.cells(&Answers::new(), "me")[0].observed, Access::NotTried);
            let is_as_wanted = observed == cells[0].expected;
            assert_eq!(spot.is_as_expected(&answers, false), is_as_wanted, "{said}");
            let was_left_out = observed == Access::NotTried;
            assert_eq!(spot.is_as_expected(&answers, true), is_as_wanted || was_left_out, "{said}");
        }
    }

    #[test]
    fn parts_of_a_policy_are_in_force_together() {
        for (parts, wanted) in [
            (&["refused no policy allows", "worked fine"][..], "worked fine"),
            (
                &["worked fine", "refused with an explicit deny in a session policy"],
                "refused with an explicit deny in a session policy",
            ),
            (&["refused no policy allows", "refused no policy allows"], "refused no policy allows"),
            (&["refused no policy allows", "not tried"], "not tried"),
            (&["worked fine", "failed other bytes"], "failed other bytes"),
        ] {
            let parts: Vec<Answers> = parts.iter().map(|text| vec![(Operation::Get, answer(text))]).collect();
            assert_eq!(together(&parts), [(Operation::Get, answer(wanted))], "{wanted}");
        }
        assert!(together(&[]).is_empty());
    }
}
