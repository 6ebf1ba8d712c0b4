//! What a verification has checked, and how it went.

use crate::model::HumanCount;
use crate::report::{Access, Cell, Check, Outcome, Verdict};

/// What was checked, and how it went.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) held: u64,
    pub(super) wrong: u64,
    /// What could not be told, which never counts as passed.
    pub(super) unknown: u64,
    pub(super) waived: u64,
    pub(super) skipped: u64,
    /// Datasets and files that could not be compared, for causes on this side.
    pub(super) apart: u64,
}

impl Tally {
    pub(super) fn check(&mut self, check: &Check) {
        match check.verdict {
            Verdict::Pass => self.held += 1,
            Verdict::Fail => self.wrong += 1,
            Verdict::Unknown => self.unknown += 1,
            Verdict::Waived => self.waived += 1,
            Verdict::NotApplicable => {}
        }
    }

    pub(super) fn cell(&mut self, cell: &Cell) {
        match cell.observed {
            Access::NotTried => self.skipped += 1,
            observed if observed == cell.expected => self.held += 1,
            _ => self.wrong += 1,
        }
    }

    /// A cell of somebody else's matrix. One that could not be tried although it should have been is unknown.
    pub(super) fn tried(&mut self, cell: &Cell, left_out_by_choice: bool) {
        match cell.observed {
            Access::NotTried if !left_out_by_choice => self.unknown += 1,
            _ => self.cell(cell),
        }
    }

    /// `55 passed, 1 failed`; none if nothing was verified.
    pub(super) fn words(&self) -> Option<String> {
        let counts = [
            (self.held, "passed"),
            (self.wrong, "failed"),
            (self.unknown, "unknown"),
            (self.waived, "waived"),
            (self.skipped, "not tried"),
            (self.apart, "not comparable"),
        ];
        let some = counts.iter().filter(|(count, _)| *count > 0);
        let parts: Vec<String> = some.map(|(count, word)| format!("{} {word}", HumanCount(*count))).collect();
        (!parts.is_empty()).then(|| parts.join(", "))
    }

    /// What is wrong outweighs what could not be looked at.
    pub(super) const fn outcome(&self) -> Outcome {
        match (self.wrong + self.unknown, self.apart) {
            (0, 0) => Outcome::Done,
            (0, _) => Outcome::Partly,
            _ => Outcome::Differs,
        }
    }
}
