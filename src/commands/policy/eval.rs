//! `policy eval`: decides every case of some files, and every cell of some layouts, and compares with what is expected.

use super::read_text;
use crate::commands::{Closing, Context, Ending, LayoutArgs, load};
use crate::error::CommandError;
use crate::layout::Layout;
use crate::policy::cases::{self, Case};
use crate::policy::{assertions, evaluate_with_trace, explain, matrix};
use crate::report::{Event, Outcome, Summary};
use clap::Args;
use std::path::{Path, PathBuf};

/// The longest file of cases that is read.
const MAX_CASES_BYTES: u64 = 64 * 1024 * 1024;

/// Decide the cases of some files or the matrix of a layout, and compare with what they expect
///
/// A case is one request with all policies that have a say: identity, bucket policy, boundary, session, SCP and RCP by
/// level. The verdict is the one AWS documents. Shown are the cases that come out otherwise; all of them with `-v`.
/// Of a layout (a file ending in .toml) every cell is shown: each grant, folder and operation, decided by the policy that
/// `policy generate` makes; then each `[[assert]]` that does not hold.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bucketwright policy eval cases.json
  bucketwright policy eval tests/*.json --output json
  bucketwright policy eval layout.toml

Exits 4 if a decision differs from what its case, its grant or an assertion expects.")]
pub struct EvalArgs {
    /// Files of cases, or layouts
    #[arg(value_name = "CASES.json|LAYOUT.toml", required = true)]
    files: Vec<PathBuf>,
    /// Environment of the layouts
    #[arg(long, value_name = "NAME")]
    env: Option<String>,
}

/// How many decisions came out how.
#[derive(Debug, Default)]
struct Tally {
    as_expected: u64,
    differ: u64,
    /// Without expectation.
    free: u64,
}

impl Tally {
    const fn count(&mut self, as_expected: Option<bool>) {
        match as_expected {
            None => self.free += 1,
            Some(true) => self.as_expected += 1,
            Some(false) => self.differ += 1,
        }
    }
}

/// Runs the verb. Nothing is decided if one of the files cannot be read.
pub fn run(args: &EvalArgs, context: &Context) -> Result<Ending, CommandError> {
    let (mut all, mut layouts) = (Vec::new(), Vec::new());
    for path in &args.files {
        if is_layout(path) {
            layouts.push(load(&LayoutArgs { layout: path.clone(), env: args.env.clone() }, context)?.layout);
            continue;
        }
        let name = path.display().to_string();
        let cases = cases::parse(&read_text(path, MAX_CASES_BYTES)?);
        all.extend(cases.map_err(|mistakes| CommandError::document("cases", &name, &mistakes))?);
    }
    let mut tally = Tally::default();
    for case in &all {
        tally.count(decide(case, context));
    }
    for layout in &layouts {
        decide_layout(layout, context, &mut tally)?;
    }
    let Tally { as_expected, differ, free } = tally;
    let total = as_expected + differ + free;
    let rest = if free > 0 { format!(", {free} without expectation") } else { String::new() };
    let closing = format!("{total} decisions: {as_expected} as expected, {differ} not{rest}");
    let summary = Summary { done: as_expected + free, failed: differ, closing: Some(closing), ..Summary::default() };
    let outcome = if differ > 0 { Outcome::Differs } else { Outcome::Done };
    Ok(Ending { summary, outcome, closing: Closing::Shown, last_word: None })
}

/// Layouts are told from files of cases by their ending, as the shell and editors do.
pub(super) fn is_layout(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("toml"))
}

/// Decides every cell of a layout and holds its expectations against its grants.
fn decide_layout(layout: &Layout, context: &Context, tally: &mut Tally) -> Result<(), CommandError> {
    for cell in matrix::of_layout(layout)? {
        tally.count(Some(cell.expected == cell.observed));
        context.ui.event(&Event::Cell(cell));
    }
    let checked = assertions::check(layout)?;
    tally.as_expected += checked.hold as u64;
    for failure in checked.failures {
        tally.count(Some(false));
        context.ui.event(&Event::Finding(failure));
    }
    Ok(())
}

/// Decides one case and shows it. True if it comes out as expected; none if nothing was expected.
fn decide(case: &Case, context: &Context) -> Option<bool> {
    let decision = evaluate_with_trace(&case.policies, &case.request);
    let record = explain::record(&case.id, &decision, &case.request, case.expected);
    let verdict = record.expected.is_some().then(|| record.is_as_expected());
    context.ui.event(&Event::Decision(record));
    verdict
}
