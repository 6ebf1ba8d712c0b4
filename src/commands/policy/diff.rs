//! `policy diff`: which cells of the access matrix change between two sets of policies, and which statements.

mod sides;

use crate::commands::{Closing, Context, Ending};
use crate::error::CommandError;
use crate::policy::diff::{self, Direction, Doubt, EditKind, Obstacle, Side, record};
use crate::report::{ChangeRecord, EditRecord, Event, Finding, Outcome, Severity, Summary, Turn};
use clap::{Args, ValueEnum};
pub(super) use sides::{Pair, side};
use std::collections::BTreeSet;
use std::path::PathBuf;

/// How many entries a finding names before it counts the rest.
const TOLD: usize = 4;

/// Say which cells of the access matrix open or close between two policies, or between the policies of two layouts
///
/// Both sides decide the same requests: what each statement means, what lies right beside it, and with, without and
/// around what its conditions ask for. Shown is what is decided otherwise, as policy, place and operation with the
/// decisions before and after, and then which statements differ. Spelling, order and names of statements make no
/// difference: then there is `no change in access`.
///
/// Where trying requests finds no change, statements that differ are proven to be covered by others. What can neither be
/// found nor proven is a finding `unproven-change`, and `--fail-on widen` takes it for a widening.
///
/// A side is a policy document, what `policy generate` printed, or a layout (a file ending in .toml). Policies of the
/// same name are compared with each other; a single document is compared with all of the other side, or with `--grant`.
/// Of two layouts also counts to whom each grant is attached. `NAME@v3` is a version of a managed policy in the account,
/// and `NAME@default` the one in force there; a file of that name comes first.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bucketwright policy diff old.json new.json
  bucketwright policy diff main/layout.toml layout.toml --fail-on widen     the gate for CI
  bucketwright policy diff attached.json layout.toml --grant FlyteMLS3Access
  bucketwright policy diff FlyteMLS3Access@v2 FlyteMLS3Access@v3
  bucketwright policy diff FlyteMLS3Access@default layout.toml --grant FlyteMLS3Access
  bucketwright policy diff old.json new.json --output json | jq 'select(.type == \"cell\" and .observed == \"allow\")'

`+ opens   s3://lake/team-a*: get put (implicit-deny -> allow)` means: what was refused there is allowed now.
Layers other than these documents, such as a permissions boundary, may still refuse it.

Exits 4 with `--fail-on widen` if anything opens or might, with `--fail-on change` if anything changes or might; else 0.")]
pub struct DiffArgs {
    /// What is in force
    #[arg(value_name = "BEFORE")]
    before: PathBuf,
    /// What would be
    #[arg(value_name = "AFTER")]
    after: PathBuf,
    /// Exit 4 if something opens, or if anything changes
    #[arg(long, value_enum, value_name = "WHAT")]
    fail_on: Option<FailOn>,
    /// Compare only the policy of this grant
    #[arg(long, value_name = "NAME")]
    grant: Option<String>,
    /// Environment of the layouts
    #[arg(long, value_name = "NAME")]
    env: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FailOn {
    /// Something that was refused is allowed, or nobody can prove that it is not
    Widen,
    /// Anything is decided otherwise, or nobody can prove that it is not
    Change,
}

/// Runs the verb.
pub async fn run(args: &DiffArgs, context: &Context) -> Result<Ending, CommandError> {
    let mut counted = Counted::default();
    for pair in sides::pairs(args, context).await? {
        compare(&pair, context, &mut counted)?;
    }
    let fails = match args.fail_on {
        Some(FailOn::Widen) => counted.opens + counted.may_open > 0,
        Some(FailOn::Change) => counted.opens + counted.closes + counted.may_open + counted.may_close > 0,
        None => false,
    };
    let summary = Summary { closing: Some(counted.closing()), ..Summary::default() };
    let outcome = if fails { Outcome::Differs } else { Outcome::Done };
    Ok(Ending { summary, outcome, closing: Closing::Shown, last_word: None })
}

/// How many cells turn which way, how many statements might turn some, and how many differ.
#[derive(Debug, Default)]
pub(super) struct Counted {
    opens: usize,
    closes: usize,
    may_open: usize,
    may_close: usize,
    edits: usize,
}

impl Counted {
    /// All of it in a line.
    pub(super) fn closing(&self) -> String {
        let doubts = self.may_open + self.may_close;
        let found = match (self.opens, self.closes) {
            (0, 0) if doubts > 0 => "no change in access found".to_owned(),
            (0, 0) => "no change in access".to_owned(),
            (opens, closes) => {
                let (cells, open) = if opens == 1 { ("cell", "opens") } else { ("cells", "open") };
                format!("{opens} {cells} {open}, {closes} {}", if closes == 1 { "closes" } else { "close" })
            }
        };
        let statements =
            |count: usize| if count == 1 { "1 statement".to_owned() } else { format!("{count} statements") };
        if doubts > 0 {
            return format!("{found}; {} could not be compared", statements(doubts));
        }
        match (self.opens + self.closes, self.edits) {
            (0, 1..) => format!("{found}; {} put otherwise", statements(self.edits)),
            _ => found,
        }
    }
}

/// Shows what differs under one name: by the documents, by whom they are attached to, and statement by statement.
pub(super) fn compare(pair: &Pair, context: &Context, counted: &mut Counted) -> Result<(), CommandError> {
    let Pair { name, before, after, joins, leaves } = pair;
    let changes_of =
        |before: &Side, after: &Side| diff::compare(before, after).map_err(|error| super::invalid(error.to_string()));
    let found = changes_of(before, after)?;
    let mut records: Vec<ChangeRecord> = found.changes.into_iter().map(|change| record(name, change)).collect();
    let nothing = Side::default();
    for (targets, before, after, because) in [
        (joins, &nothing, after, "the policy is attached to it now"),
        (leaves, before, &nothing, "the policy is no longer attached to it"),
    ] {
        // Most of the time there is nobody, and nothing to compare.
        let changes = if targets.is_empty() { Vec::new() } else { changes_of(before, after)?.changes };
        for (target, change) in targets.iter().flat_map(|target| std::iter::repeat(target).zip(&changes)) {
            let record = record(name, change.clone());
            records.push(ChangeRecord { who: Some(target.clone()), because: because.to_owned(), ..record });
        }
    }
    for record in records {
        // Each of the operations, and one for all that lies beside them.
        let cells = record.operations.len() + usize::from(!record.other_actions().is_empty());
        match record.turn {
            Turn::Opens => counted.opens += cells,
            Turn::Closes => counted.closes += cells,
        }
        context.ui.event(&Event::Change(record));
    }
    for doubt in found.doubts {
        match doubt.direction {
            Direction::Opens => counted.may_open += 1,
            Direction::Closes => counted.may_close += 1,
        }
        context.ui.event(&Event::Finding(finding(name, &doubt)));
    }
    for edit in diff::edits(before, after) {
        counted.edits += 1;
        context.ui.event(&Event::Edit(EditRecord {
            edit: match edit.kind {
                EditKind::Added => "added",
                EditKind::Removed => "removed",
                EditKind::Changed => "changed",
            },
            principal: name.to_owned(),
            statement: edit.statement,
            detail: edit.detail,
        }));
    }
    Ok(())
}

/// What could not be decided, in words.
fn finding(principal: &str, doubt: &Doubt) -> Finding {
    let (would, severity) = match doubt.direction {
        Direction::Opens => ("allow more than before", Severity::SecurityWarning),
        Direction::Closes => ("allow less than before", Severity::Warning),
    };
    let list = |texts: &BTreeSet<String>| {
        let told: Vec<&str> = texts.iter().take(TOLD).map(String::as_str).collect();
        let more = texts.len().saturating_sub(TOLD);
        if more > 0 { format!("{} and {more} more", told.join(", ")) } else { told.join(", ") }
    };
    let why = match &doubt.obstacle {
        Obstacle::Conditions(keys) => {
            format!("its conditions on {} cannot be compared with those of the other side", list(keys))
        }
        Obstacle::Extent => "no single statement of the other side covers it".to_owned(),
    };
    let message = format!(
        "{}{}: no request was found that changes, but the new side may {would} for {} on {}, because {why}",
        doubt.statement,
        if doubt.is_gone { ", which is gone" } else { "" },
        list(&doubt.actions),
        list(&doubt.resources)
    );
    let fix = "read the statement; keep the other side's spelling of what is not meant to change";
    Finding {
        // The place is one of the new side.
        path: (!doubt.is_gone).then(|| doubt.path.pointer()),
        ..Finding::new("unproven-change", severity, principal, message).with_fix(fix)
    }
}
