//! What the evaluator says of a place, where no call is made.

use super::spots::{Expected, Ground, Spot};
use crate::policy::held::Held;
use crate::policy::matrix::{Answer, Principal, Question};
use crate::report::{Access, Cell};

/// The cells of a place as the policies that are made of the grants decide them, or `candidate` in their stead.
pub fn cells(spot: &Spot, held: &Held, candidate: Option<&Principal>) -> Vec<Cell> {
    let access = |allowed| if allowed { Access::Allow } else { Access::Deny };
    let cell = |expected: &Expected| {
        let answer = decided(spot, held, candidate, expected);
        let because = match answer.allowed == expected.allowed {
            true => answer.because,
            false => format!("{}; but {}", answer.because, expected.because),
        };
        Cell {
            principal: held.name.clone(),
            operation: expected.operation.word(),
            target: spot.target(),
            expected: access(expected.allowed),
            observed: access(answer.allowed),
            because,
        }
    };
    spot.expected.iter().map(cell).collect()
}

fn decided(spot: &Spot, held: &Held, candidate: Option<&Principal>, expected: &Expected) -> Answer {
    let ask = |question: &Question<'_>| match candidate {
        Some(candidate) => candidate.may(question),
        None => held.may(question),
    };
    let (operation, bucket) = (expected.operation, &spot.bucket);
    match &spot.ground {
        Ground::Folder(folder) => held.asked(operation, bucket, folder, &ask),
        Ground::Names(text) => ask(&Question::new(operation, bucket, text.as_deref())),
        Ground::Object(key) => ask(&Question::new(operation, bucket, Some(key))),
    }
}
