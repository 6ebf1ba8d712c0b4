//! The last line of a sync: what is in place now, and how that is known.

use crate::apply::explain::Explained;
use crate::apply::sync::{Receipt, Synced, Tallied};
use crate::model::{HumanBytes, HumanCount};
use crate::report::{Summary, Words};
use crate::sync::compare::By;
use crate::sync::decide::Route;
use std::collections::BTreeMap;

/// `uploaded 12,431 objects, 38.2 GiB (12,431 checksum echoed); 118 unchanged (118 by cache)`
pub(super) fn sentence(route: &Route, synced: &Synced, summary: &Summary) -> String {
    let verb = Words::of(match route {
        Route::Upload { .. } => "upload",
        Route::Download { .. } => "download",
        Route::Copy { .. } => "copy",
    });
    let mut parts = Vec::new();
    let moved: u64 = synced.proofs.values().sum();
    if moved > 0 {
        let proofs: Vec<String> =
            synced.proofs.iter().map(|(proof, count)| format!("{} {proof}", HumanCount(*count))).collect();
        let proofs = if let [(proof, _)] = synced.proofs.iter().collect::<Vec<_>>()[..] {
            format!("each proven: {proof}")
        } else {
            proofs.join(", ")
        };
        parts.push(format!("{} {}, {} ({proofs})", verb.past, objects(moved), HumanBytes(synced.bytes)));
    }
    if summary.deleted > 0 {
        parts.push(format!("{} deleted", HumanCount(summary.deleted)));
    }
    if summary.failed > 0 {
        parts.push(format!("{} failed", HumanCount(summary.failed)));
    }
    if summary.skipped > 0 {
        parts.push(format!("{} skipped", HumanCount(summary.skipped)));
    }
    if synced.cancelled > 0 {
        parts.push(format!("{} not begun", HumanCount(synced.cancelled)));
    }
    parts.extend(unchanged(summary.unchanged, &synced.seen.unchanged_by));
    if let Receipt::Written(rows) = synced.receipt {
        parts.push(format!("receipt of {} written", objects(rows)));
    }
    if parts.is_empty() { "nothing there, nothing done".to_owned() } else { parts.join("; ") }
}

/// `would move 3 objects, 1.2 MiB; 118 unchanged (118 by MD5)`
pub(super) fn forecast(seen: &Tallied, summary: &Summary) -> String {
    let mut parts = Vec::new();
    if seen.transfers > 0 {
        parts.push(format!("would move {}, {}", objects(seen.transfers), HumanBytes(seen.bytes)));
    }
    let deletes = summary.planned.saturating_sub(seen.transfers);
    if deletes > 0 {
        parts.push(format!("would delete {}", objects(deletes)));
    }
    if seen.odd > 0 {
        parts.push(format!("would skip {}", HumanCount(seen.odd)));
    }
    if parts.is_empty() {
        parts.push("nothing to do".to_owned());
    }
    parts.extend(unchanged(seen.unchanged, &seen.unchanged_by));
    parts.join("; ")
}

/// `3 left out, 12,431 taken`; a directory that is left out counts once.
pub(super) fn explained(explained: &Explained) -> String {
    let mut text = format!("{} left out, {} taken", HumanCount(explained.excluded), HumanCount(explained.selected));
    if explained.odd > 0 {
        text = format!("{text}, {} cannot be looked at", HumanCount(explained.odd));
    }
    text
}

fn objects(count: u64) -> String {
    format!("{} {}", HumanCount(count), if count == 1 { "object" } else { "objects" })
}

fn unchanged(count: u64, by: &BTreeMap<By, u64>) -> Option<String> {
    if count == 0 {
        return None;
    }
    let by: Vec<String> = match by.iter().collect::<Vec<_>>()[..] {
        [(by, _)] => vec![format!("by {}", by.name())],
        _ => by.iter().map(|(by, count)| format!("{} by {}", HumanCount(*count), by.name())).collect(),
    };
    Some(format!("{} unchanged ({})", HumanCount(count), by.join(", ")))
}
