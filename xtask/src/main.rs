//! Chores of the project that cargo alone cannot do: `cargo xtask --help` lists them.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a chore's answer goes to the terminal")]

mod bench;
mod codegen;
mod conformance;
mod dist;
mod fuzz;
mod lint_cases;
mod numbers;
mod source;
mod tidy;

use clap::Parser;
use std::path::Path;
use std::process::ExitCode;

/// Chores of the project that cargo alone cannot do.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
enum Chore {
    /// Checks what the compiler and clippy do not: floors, purity, sizes, module docs.
    Tidy,
    /// Writes the generated reference pages.
    Codegen {
        /// Compare instead of writing; fails if a page is not what the code says.
        #[arg(long)]
        check: bool,
    },
    /// Runs the binary against servers, and its endpoint with clients, written by others.
    Conformance(conformance::Options),
    /// Feeds the parsers, the evaluator and the linter with random cases.
    Fuzz(fuzz::Options),
    /// Measures the release build against its peers.
    Bench(bench::Options),
    /// Makes the archive of a release, and tries what is in it.
    Dist(dist::Options),
    /// Prints how large the code is, as a Markdown table.
    Numbers,
}

fn main() -> ExitCode {
    let done = match Chore::parse() {
        Chore::Tidy => tidy::run(root()),
        Chore::Codegen { check } => codegen::run(root(), check),
        Chore::Conformance(options) => conformance::run(root(), &options),
        Chore::Fuzz(options) => fuzz::run(root(), &options),
        Chore::Bench(options) => bench::run(root(), &options),
        Chore::Dist(options) => dist::run(root(), &options),
        Chore::Numbers => numbers::run(root()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The folder of the workspace.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."))
}
