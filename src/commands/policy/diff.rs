//! `policy diff`: which cells of the access matrix change between two sets of policies, and which statements.

mod sides;

use crate::commands::{Closing, Context, Ending};
use crate::error::CommandError;
use crate::policy::diff::{self, Change, Direction, EditKind, Side};
use crate::policy::matrix::Operation;
use crate::report::{ChangeRecord, EditRecord, Event, Outcome, Summary, Turn};
use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// Say what opens and what closes between two policies, or between the policies of two layouts
///
/// Both sides decide the same requests: what each statement means, what lies beside it, with and without what its
/// conditions ask for. Told is what comes out otherwise, in words, and then which statements differ. Spelling, order and
/// names of statements make no difference.
///
/// A side is a policy document, what `policy generate` printed, or a layout (a file ending in .toml). Policies of the
/// same name are compared with each other; a single document is compared with all of the other side, or with `--grant`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bucketwright policy diff old.json new.json
  bucketwright policy diff main/layout.toml layout.toml --fail-on widen     the gate for CI
  bucketwright policy diff attached.json layout.toml --grant FlyteMLS3Access

Exits 4 with `--fail-on widen` if anything opens, with `--fail-on change` if anything changes.")]
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
    /// Something that was refused is allowed
    Widen,
    /// Anything is decided otherwise
    Change,
}

/// Runs the verb.
pub fn run(args: &DiffArgs, context: &Context) -> Result<Ending, CommandError> {
    let mut counted = Counted::default();
    for (name, before, after) in sides::pairs(args, context)? {
        compare(&name, &before, &after, context, &mut counted)?;
    }
    let Counted { opens, closes, edits } = counted;
    let closing = match (opens + closes, edits) {
        (0, 0) => "the same".to_owned(),
        (0, edits) => format!("nothing opens and nothing closes; {edits} statements are put otherwise"),
        _ => {
            let (cells, open) = if opens == 1 { ("cell", "opens") } else { ("cells", "open") };
            format!("{opens} {cells} {open}, {closes} {}", if closes == 1 { "closes" } else { "close" })
        }
    };
    let fails = match args.fail_on {
        Some(FailOn::Widen) => opens > 0,
        Some(FailOn::Change) => opens + closes > 0,
        None => false,
    };
    let summary = Summary { closing: Some(closing), ..Summary::default() };
    let outcome = if fails { Outcome::Differs } else { Outcome::Done };
    Ok(Ending { summary, outcome, closing: Closing::Shown, last_word: None })
}

/// How many cells turn which way, and how many statements differ.
#[derive(Debug, Default)]
struct Counted {
    opens: usize,
    closes: usize,
    edits: usize,
}

fn compare(
    name: &str,
    before: &Side,
    after: &Side,
    context: &Context,
    counted: &mut Counted,
) -> Result<(), CommandError> {
    for change in diff::changes(before, after).map_err(|error| super::invalid(error.to_string()))? {
        let cells = change.actions.len();
        match change.direction {
            Direction::Opens => counted.opens += cells,
            Direction::Closes => counted.closes += cells,
        }
        context.ui.event(&Event::Change(record(name, change)));
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

fn record(principal: &str, change: Change) -> ChangeRecord {
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
    ChangeRecord {
        turn: match change.direction {
            Direction::Opens => Turn::Opens,
            Direction::Closes => Turn::Closes,
        },
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
