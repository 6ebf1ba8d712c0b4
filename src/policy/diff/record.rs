//! A change in the words of output: operations of the access matrix, and URLs for the ARNs of S3.

use super::{Change, Direction};
use crate::policy::Verdict;
use crate::policy::matrix::Operation;
use crate::report::{ChangeRecord, Turn};

/// The decision as scripts read it.
const fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Allow => "allow",
        Verdict::ExplicitDeny => "explicit-deny",
        Verdict::ImplicitDeny => "implicit-deny",
    }
}

/// A change as output shows it: cells of the access matrix, and what lies beside them.
pub fn record(principal: &str, change: Change) -> ChangeRecord {
    let url = |arn: &str| match arn.split(':').collect::<Vec<_>>()[..] {
        ["arn", _, "s3", "", "", _] => format!("s3://{}", &arn[arn.rfind(":::").map_or(0, |at| at + 3)..]),
        _ => arn.to_owned(),
    };
    let operations = operations(&change);
    let prefix = change.given.iter().find(|(key, _)| key.eq_ignore_ascii_case("s3:prefix"));
    let target = match prefix.and_then(|(_, value)| value.as_ref()) {
        // A listing is of its prefix.
        Some(prefix) if operations == ["list"] && change.actions.len() == 1 => {
            format!("{}/{prefix}", url(&change.resource))
        }
        _ => url(&change.resource),
    };
    let (turn, before, after) = match change.direction {
        Direction::Opens => (Turn::Opens, word(change.refused), "allow"),
        Direction::Closes => (Turn::Closes, "allow", word(change.refused)),
    };
    ChangeRecord {
        turn,
        before,
        after,
        principal: principal.to_owned(),
        who: change.who.clone(),
        operations,
        target,
        example: url(&change.example),
        actions: change.actions,
        given: change.given.into_iter().collect(),
        because: change.because,
    }
}

/// The columns of the access matrix that a change belongs to.
fn operations(change: &Change) -> Vec<&'static str> {
    let has = |action: &str| change.actions.iter().any(|one| one.eq_ignore_ascii_case(action));
    let prefix = change.given.iter().find(|(key, _)| key.eq_ignore_ascii_case("s3:prefix")).map(|(_, value)| value);
    let turns = |operation: &Operation| match operation {
        Operation::List => has("s3:ListBucket") && prefix != Some(&None),
        Operation::HeadBucket => has("s3:ListBucket") && prefix.is_none_or(Option::is_none),
        Operation::Get => has("s3:GetObject"),
        Operation::Put => has("s3:PutObject"),
        Operation::Delete => has("s3:DeleteObject"),
        Operation::Multipart => has("s3:AbortMultipartUpload") || has("s3:ListMultipartUploadParts"),
    };
    Operation::ALL.iter().filter(|operation| turns(operation)).map(|operation| operation.word()).collect()
}
