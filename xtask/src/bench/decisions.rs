//! W7: how many policy decisions a second, on one core, with every decision made anew.
#![expect(clippy::disallowed_methods, reason = "the cases are a file")]

use anyhow::{Context as _, Result, anyhow, ensure};
use bucketwright::policy::{cases, evaluate, evaluate_with_trace};
use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

/// The documents and requests, from the root of the workspace; in the format of `tests/cases/policy/README.md`.
pub(super) const CASES: &str = "xtask/bench/decisions.json";

const DECISIONS: u32 = 100_000;

/// Decides again and again, with the reasons of every decision or without; prints seconds for 100,000 decisions and the
/// verdicts in order, which must be the expected ones.
pub(super) fn run(file: &Path, has_reasons: bool) -> Result<()> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read `{}`", file.display()))?;
    let cases = cases::parse(&text).map_err(|mistakes| anyhow!("{mistakes:?}"))?;
    ensure!(!cases.is_empty(), "no cases");
    let decide = if has_reasons { evaluate_with_trace } else { evaluate };
    let mut verdicts = Vec::with_capacity(cases.len());
    for case in &cases {
        let verdict = decide(&case.policies, &case.request).verdict;
        ensure!(case.expected == Some(verdict), "case `{}` was decided {}", case.id, verdict.word());
        verdicts.push(verdict.word());
    }
    let began = Instant::now();
    let mut left = DECISIONS;
    while left > 0 {
        for case in cases.iter().take(usize::try_from(left).unwrap_or(usize::MAX)) {
            black_box(decide(black_box(&case.policies), black_box(&case.request)));
            left -= 1;
        }
    }
    let seconds = began.elapsed().as_secs_f64();
    println!("{seconds} {}", verdicts.join(","));
    Ok(())
}
