//! `policy`: policy documents made, checked, explained and decided, one file a verb.

pub mod diff;
pub mod eval;
pub mod explain;
pub mod generate;
pub mod lint;

use super::{Context, Ending};
use crate::error::CommandError;
use crate::local;
use crate::model::HumanBytes;
use crate::report::Outcome;
use clap::Subcommand;
use std::path::Path;

/// Make, check and compare policy documents, decide requests by them, and explain the decisions
#[derive(Debug, Subcommand)]
pub enum PolicyCommand {
    Diff(diff::DiffArgs),
    Eval(eval::EvalArgs),
    Explain(Box<explain::ExplainArgs>),
    Lint(lint::LintArgs),
    Generate(Box<generate::GenerateArgs>),
}

/// Runs the verb.
pub fn run(command: &PolicyCommand, context: &Context) -> Result<Ending, CommandError> {
    match command {
        PolicyCommand::Diff(args) => diff::run(args, context),
        PolicyCommand::Eval(args) => eval::run(args, context),
        PolicyCommand::Explain(args) => explain::run(args, context),
        PolicyCommand::Lint(args) => lint::run(args, context),
        PolicyCommand::Generate(args) => generate::run(args, context),
    }
}

/// Reads a text file of at most so many bytes.
fn read_text(path: &Path, most_bytes: u64) -> Result<String, CommandError> {
    let name = path.display();
    let bytes = local::read_at_most(path, most_bytes)
        .map_err(|error| CommandError::unreadable(path, &error))?
        .ok_or_else(|| invalid(format!("`{name}` is larger than {}", HumanBytes(most_bytes))))?;
    String::from_utf8(bytes).map_err(|_| invalid(format!("`{name}` is not UTF-8 text")))
}

fn invalid(message: String) -> CommandError {
    CommandError::new("policy", Outcome::Invalid, message)
}
