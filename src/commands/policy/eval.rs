//! `policy eval`: decides every case of some files and compares with what is expected.

use super::read_text;
use crate::commands::{Closing, Context, Ending};
use crate::error::CommandError;
use crate::policy::cases::{self, Case};
use crate::policy::{evaluate_with_trace, explain};
use crate::report::{Event, Outcome, Summary};
use clap::Args;
use std::path::PathBuf;

/// The longest file of cases that is read.
const MAX_CASES_BYTES: u64 = 64 * 1024 * 1024;

/// Decide the cases of some files, and compare with what they expect
///
/// A case is one request with all policies that have a say: identity, bucket policy, boundary, session, SCP and RCP by
/// level. The verdict is the one AWS documents. Shown are the cases that come out otherwise; all of them with `-v`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bucketwright policy eval cases.json
  bucketwright policy eval tests/*.json --output json

Exits 4 if a decision differs from what its case expects.")]
pub struct EvalArgs {
    /// Files of cases
    #[arg(value_name = "CASES.json", required = true)]
    files: Vec<PathBuf>,
}

/// Runs the verb. Nothing is decided if one of the files cannot be read.
pub fn run(args: &EvalArgs, context: &Context) -> Result<Ending, CommandError> {
    let mut all = Vec::new();
    for path in &args.files {
        let name = path.display().to_string();
        let cases = cases::parse(&read_text(path, MAX_CASES_BYTES)?);
        all.extend(cases.map_err(|mistakes| CommandError::document("cases", &name, &mistakes))?);
    }
    let (mut as_expected, mut differ, mut free) = (0, 0, 0);
    for case in &all {
        match decide(case, context) {
            None => free += 1,
            Some(true) => as_expected += 1,
            Some(false) => differ += 1,
        }
    }
    let total = as_expected + differ + free;
    let rest = if free > 0 { format!(", {free} without expectation") } else { String::new() };
    let closing = format!("{total} decisions: {as_expected} as expected, {differ} not{rest}");
    let summary = Summary { done: as_expected + free, failed: differ, closing: Some(closing), ..Summary::default() };
    let outcome = if differ > 0 { Outcome::Differs } else { Outcome::Done };
    Ok(Ending { summary, outcome, closing: Closing::Shown, last_word: None })
}

/// Decides one case and shows it. True if it comes out as expected; none if nothing was expected.
fn decide(case: &Case, context: &Context) -> Option<bool> {
    let decision = evaluate_with_trace(&case.policies, &case.request);
    let record = explain::record(&case.id, &decision, &case.request, case.expected);
    let verdict = record.expected.is_some().then(|| record.is_as_expected());
    context.ui.event(&Event::Decision(record));
    verdict
}
