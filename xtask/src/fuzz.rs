//! `cargo xtask fuzz`: the targets of `fuzz/`, one after the other, from a corpus made of the cases of `tests/cases`. All
//! that it installs, builds and finds stays under `target/`.
#![expect(clippy::disallowed_methods, reason = "a corpus is files")]

use crate::lint_cases::{self, LintCase, items};
use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::Path;
use std::process::Command;

const CARGO_FUZZ: &str = "0.13.2";

/// Cases are no longer than a bucket policy may be.
const MOST_CASE_BYTES: usize = 20 * 1024;

/// A target and the cases that its corpus starts from.
struct Target {
    name: &'static str,
    seeds: fn(&Path) -> Result<Vec<String>>,
}

const TARGETS: [Target; 4] = [
    Target { name: "policy_parse", seeds: parse_seeds },
    Target { name: "policy_evaluate", seeds: case_seeds },
    Target { name: "policy_lint", seeds: lint_seeds },
    Target { name: "layout_parse", seeds: layout_seeds },
];

/// What to run.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Runs the targets whose name holds this text.
    filter: Option<String>,
    /// How long each target runs, in seconds.
    #[arg(long, default_value_t = 600)]
    seconds: u64,
}

/// Runs the chosen targets; a case that panics or takes too long ends the run.
pub(crate) fn run(root: &Path, options: &Options) -> Result<()> {
    let wanted = |target: &&Target| options.filter.as_deref().is_none_or(|filter| target.name.contains(filter));
    let chosen: Vec<&Target> = TARGETS.iter().filter(wanted).collect();
    ensure!(!chosen.is_empty(), "targets are {}", TARGETS.map(|target| target.name).join(", "));
    install(root)?;
    // The versions that the binary has, not the newest ones.
    fs::copy(root.join("Cargo.lock"), root.join("fuzz/Cargo.lock"))?;
    for target in chosen {
        run_one(root, target, options.seconds)?;
    }
    Ok(())
}

/// cargo-fuzz in a folder of its own. Its sanitizers need a nightly compiler; coverage alone does not.
fn install(root: &Path) -> Result<()> {
    let tools = root.join("target/fuzz-tools");
    if tools.join("bin/cargo-fuzz").exists() {
        return Ok(());
    }
    let mut cargo = cargo();
    cargo.args(["install", "cargo-fuzz", "--locked", "--version", CARGO_FUZZ, "--root"]).arg(tools);
    ensure!(cargo.status()?.success(), "cargo-fuzz cannot be installed; is the package registry reachable?");
    Ok(())
}

fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

fn run_one(root: &Path, target: &Target, seconds: u64) -> Result<()> {
    let folder = root.join("target/fuzz");
    let [corpus, found] = ["corpus", "artifacts"].map(|kind| folder.join(kind).join(target.name));
    fs::create_dir_all(&found)?;
    let seeds = plant(&corpus, (target.seeds)(root)?)?;
    println!("{}: {seeds} cases to start from, {seconds} s", target.name);
    let mut fuzz = Command::new(root.join("target/fuzz-tools/bin/cargo-fuzz"));
    // Hooks at every comparison would take ten times what the code takes, and the time of a case is one of the questions.
    fuzz.args(["run", "--sanitizer", "none", "--no-trace-compares", "--target-dir"])
        .arg(&folder)
        .arg(target.name)
        .arg(&corpus)
        .arg("--");
    fuzz.arg(format!("-max_total_time={seconds}")).arg(format!("-max_len={MOST_CASE_BYTES}"));
    fuzz.arg(format!("-artifact_prefix={}/", found.display())).args(["-print_final_stats=1", "-timeout=10"]);
    let status = fuzz.current_dir(root).status().context("cannot run cargo-fuzz")?;
    if !status.success() {
        bail!("{}: the case is in `{}`; `cargo fuzz run` takes it as an argument", target.name, found.display());
    }
    Ok(())
}

/// Writes the cases into a corpus; what earlier runs found stays beside them.
fn plant(corpus: &Path, seeds: Vec<String>) -> Result<usize> {
    fs::create_dir_all(corpus)?;
    let short: Vec<String> = seeds.into_iter().filter(|seed| seed.len() <= MOST_CASE_BYTES).collect();
    for seed in &short {
        let mut hasher = DefaultHasher::new();
        seed.hash(&mut hasher);
        fs::write(corpus.join(format!("seed-{:016x}", hasher.finish())), seed)?;
    }
    Ok(short.len())
}

/// Each case as a file of its own, which the evaluator's target reads as such.
fn case_seeds(root: &Path) -> Result<Vec<String>> {
    let cases = [items(root, "evaluation.json")?, items(root, "kehoe.json")?].concat();
    Ok(cases.into_iter().map(|case| Value::Array(vec![case]).to_string()).collect())
}

fn parse_seeds(root: &Path) -> Result<Vec<String>> {
    let documents = lint_cases::read(root)?.into_iter().map(|case| case.document.to_string());
    Ok(documents.chain(case_seeds(root)?).collect())
}

/// Documents behind the digit by which the target knows their type.
fn lint_seeds(root: &Path) -> Result<Vec<String>> {
    let kinds = ["identity", "bucket", "boundary", "session", "scp", "rcp", "trust"];
    let digit = |kind: &str| kinds.iter().position(|known| *known == kind).unwrap_or(0);
    let seed = |case: LintCase| format!("{}{}", digit(&case.kind), case.document);
    Ok(lint_cases::read(root)?.into_iter().map(seed).collect())
}

/// The texts of the layout cases, and the starters.
fn layout_seeds(root: &Path) -> Result<Vec<String>> {
    let mut seeds = Vec::new();
    for entry in fs::read_dir(root.join("tests/cases/layout"))? {
        let text = fs::read_to_string(entry?.path())?;
        let given = text.split("given = '''\n").skip(1).filter_map(|rest| rest.split_once("'''"));
        seeds.extend(given.map(|(given, _)| given.to_owned()));
    }
    for starter in bucketwright::layout::builtin::all() {
        seeds.extend(bucketwright::layout::builtin::render(starter, &Default::default()).ok());
    }
    Ok(seeds)
}
