//! When things may be deleted in the target: only after everything else is known to be right.
//!
//! A source that could not be read to its end, that holds nothing, or of which something did not arrive, says nothing
//! about what is too much in the target.

use crate::model::HumanCount;

/// How many things a sync may delete without being told once more.
pub const DEFAULT_MAX_DELETE: u64 = 1000;

/// Everything that bears on whether deletes may begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Situation {
    /// Things in the source that were selected.
    pub source_items: u64,
    /// Things in the target that are within the selection.
    pub target_items: u64,
    /// Things that are only in the target.
    pub candidates: u64,
    /// Things on either side that could not be looked at.
    pub odd: u64,
    /// Transfers that failed or were not begun.
    pub failed: u64,
    /// `--max-delete`, if it was given.
    pub max_delete: Option<u64>,
    /// Whether the user said yes beforehand.
    pub consented: bool,
}

/// Why nothing is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Nothing was selected in the source.
    #[error("the source holds nothing, so nothing is deleted in the target")]
    EmptySource,
    /// Some of the source is unknown.
    #[error("nothing is deleted, because {} of the source or target could not be looked at", things(*.0))]
    Odd(u64),
    /// Some of the source is not in place.
    #[error("nothing is deleted, because {} did not arrive", things(*.0))]
    Failed(u64),
    /// More than was allowed.
    #[error("{} of {} would be deleted, and {} is the most", HumanCount(*.candidates), things(*.target_items), HumanCount(*.most))]
    TooMany {
        /// How many would go.
        candidates: u64,
        /// Of how many.
        target_items: u64,
        /// How many may.
        most: u64,
    },
}

fn things(count: u64) -> String {
    if count == 1 { "1 item".to_owned() } else { format!("{} items", HumanCount(count)) }
}

impl Refusal {
    /// What a person can do about it.
    pub const fn hint(self) -> &'static str {
        match self {
            Self::EmptySource => "check the source: a disk that is not mounted looks like this",
            Self::Odd(_) => "mend or exclude what the findings name, then run again",
            Self::Failed(_) => "run again: what arrived is not sent twice",
            Self::TooMany { .. } => "look with `--dry-run`, then pass a larger `--max-delete N`, or `--yes` without it",
        }
    }
}

/// Whether all candidates may be deleted now. Without candidates there is nothing to refuse.
pub fn may_delete(situation: &Situation) -> Result<(), Refusal> {
    let Situation { source_items, target_items, candidates, odd, failed, max_delete, consented } = *situation;
    if candidates == 0 {
        return Ok(());
    }
    if source_items == 0 {
        return Err(Refusal::EmptySource);
    }
    if odd > 0 {
        return Err(Refusal::Odd(odd));
    }
    if failed > 0 {
        return Err(Refusal::Failed(failed));
    }
    let most = match max_delete {
        Some(most) => most,
        None if consented => return Ok(()),
        None => DEFAULT_MAX_DELETE.min(target_items / 2),
    };
    if candidates > most { Err(Refusal::TooMany { candidates, target_items, most }) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::{Refusal, Situation, may_delete};

    #[test]
    fn guards() {
        let base = Situation { source_items: 90, target_items: 100, candidates: 10, ..Situation::default() };
        let too_many = |candidates, target_items, most| Err(Refusal::TooMany { candidates, target_items, most });
        for (situation, expected) in [
            (base, Ok(())),
            (Situation { source_items: 0, ..base }, Err(Refusal::EmptySource)),
            (Situation { source_items: 0, consented: true, ..base }, Err(Refusal::EmptySource)),
            (Situation { source_items: 0, candidates: 0, ..base }, Ok(())),
            (Situation { odd: 1, consented: true, ..base }, Err(Refusal::Odd(1))),
            (Situation { failed: 2, consented: true, ..base }, Err(Refusal::Failed(2))),
            (Situation { candidates: 50, ..base }, Ok(())),
            (Situation { candidates: 51, ..base }, too_many(51, 100, 50)),
            (Situation { candidates: 51, consented: true, ..base }, Ok(())),
            (Situation { candidates: 51, max_delete: Some(51), ..base }, Ok(())),
            (Situation { candidates: 51, max_delete: Some(50), consented: true, ..base }, too_many(51, 100, 50)),
            (Situation { candidates: 1, target_items: 1, ..base }, too_many(1, 1, 0)),
            (Situation { candidates: 1001, target_items: 10_000, ..base }, too_many(1001, 10_000, 1000)),
            (Situation { candidates: 1, max_delete: Some(0), ..base }, too_many(1, 100, 0)),
        ] {
            assert_eq!(may_delete(&situation), expected, "{situation:?}");
        }
    }
}
