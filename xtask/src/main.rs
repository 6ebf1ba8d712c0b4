//! Chores of the project that cargo alone cannot do: `cargo xtask --help` lists them.
#![expect(clippy::print_stdout, reason = "a chore's answer goes to the terminal")]

mod numbers;
mod source;
mod tidy;

use anyhow::Result;
use clap::Parser;
use std::path::Path;

/// Chores of the project that cargo alone cannot do.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
enum Chore {
    /// Checks what the compiler and clippy do not: floors, purity, sizes, module docs.
    Tidy,
    /// Prints how large the code is, as a Markdown table.
    Numbers,
}

fn main() -> Result<()> {
    match Chore::parse() {
        Chore::Tidy => tidy::run(root()),
        Chore::Numbers => numbers::run(root()),
    }
}

/// The folder of the workspace.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."))
}
