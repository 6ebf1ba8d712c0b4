//! What another document changes, in cells of the access matrix.

use crate::model::PolicyJson;
use crate::policy::diff::{self, Difference, Direction, EditKind, Side};
use crate::policy::{Document, Policy};
use crate::report::{ChangeRecord, Turn};
use std::sync::Arc;

/// How many changes a summary names before it counts the rest.
const NAMED: usize = 2;
/// How many changes are told one by one.
const MOST_TOLD: usize = 20;

/// What opens and closes, in half a sentence: of each the first few.
pub(super) fn summary(name: &str, before: &PolicyJson, after: &PolicyJson) -> String {
    let found = match difference(name, before, after) {
        Ok(found) if found.changes.is_empty() && found.doubts.is_empty() => {
            return "the same access in other words".to_owned();
        }
        Ok(found) => found,
        Err(why) => return why,
    };
    let (opens, closes): (Vec<String>, Vec<String>) = words(name, found)
        .into_iter()
        .partition(|sentence| sentence.starts_with("opens") || sentence.starts_with("may open"));
    let shortened = |all: Vec<String>| {
        let more = all.len().saturating_sub(NAMED);
        let told = all.into_iter().take(NAMED).collect::<Vec<_>>().join(", ");
        if more > 0 { format!("{told} and {more} more") } else { told }
    };
    let parts = [opens, closes].into_iter().filter(|all| !all.is_empty()).map(shortened);
    parts.collect::<Vec<_>>().join("; ")
}

/// The statements of a trust policy that are new, gone or otherwise. Such statements name no resource by which access
/// could be compared.
pub(super) fn of_trust(name: &str, before: &PolicyJson, after: &PolicyJson) -> Vec<String> {
    let (before, after) = match (side(name, before), side(name, after)) {
        (Ok(before), Ok(after)) => (before, after),
        (Err(why), _) | (_, Err(why)) => return vec![why],
    };
    let word = |kind| match kind {
        EditKind::Added => "adds",
        EditKind::Removed => "removes",
        EditKind::Changed => "changes",
    };
    let edits = diff::edits(&before, &after).into_iter();
    edits.map(|edit| format!("{} statement `{}`: {}", word(edit.kind), edit.statement, edit.detail)).collect()
}

/// What opens and closes, one sentence for each.
pub(super) fn told(name: &str, before: &PolicyJson, after: &PolicyJson) -> Vec<String> {
    match difference(name, before, after) {
        Ok(found) => {
            let mut words = words(name, found);
            let more = words.len().saturating_sub(MOST_TOLD);
            if more > 0 {
                words.truncate(MOST_TOLD);
                words.push(format!("{more} more changes; `policy diff` shows them all"));
            }
            words
        }
        Err(why) => vec![why],
    }
}

fn difference(name: &str, before: &PolicyJson, after: &PolicyJson) -> Result<Difference, String> {
    diff::compare(&side(name, before)?, &side(name, after)?).map_err(|error| error.to_string())
}

fn side(name: &str, text: &PolicyJson) -> Result<Side, String> {
    let document = Document::parse(&text.0).map_err(|mistakes| {
        let first = mistakes.first().map(ToString::to_string).unwrap_or_default();
        format!("what is in force cannot be compared: {first}")
    })?;
    Ok(Side { policies: vec![Arc::new(Policy { name: name.to_owned(), document })] })
}

fn words(name: &str, found: Difference) -> Vec<String> {
    let doubts = found.doubts.iter().map(|doubt| {
        let may = if doubt.direction == Direction::Opens { "may open more" } else { "may close more" };
        format!("{may} by {}, which cannot be proven", doubt.statement)
    });
    let doubts: Vec<String> = doubts.collect();
    let changes = found.changes.into_iter().map(|change| sentence(&diff::record(name, change)));
    changes.chain(doubts).collect()
}

/// `opens get put on s3://b/x/*`
fn sentence(change: &ChangeRecord) -> String {
    let turn = if change.turn == Turn::Opens { "opens" } else { "closes" };
    let mut what: Vec<&str> = change.operations.clone();
    let others = change.other_actions();
    if what.is_empty() {
        what.extend(others.iter().take(NAMED));
    }
    let who = change.who.as_ref().map(|who| format!(" for {who}")).unwrap_or_default();
    format!("{turn} {} on {}{who}", what.join(" "), change.target)
}
