//! `policy`: policy documents made, checked, explained and decided, and kept in the account, one file a verb.

mod account;
pub mod attach;
pub mod audit;
pub mod backup;
pub mod detach;
pub mod diff;
pub mod eval;
pub mod explain;
pub mod generate;
pub mod lint;
pub mod log;
pub mod prune;
pub mod restore;
pub mod rollback;
pub mod show;

use super::{Context, Ending};
use crate::error::CommandError;
use crate::local;
use crate::model::HumanBytes;
use crate::report::Outcome;
use clap::Subcommand;
use std::path::Path;

/// Make, check and compare policy documents, decide requests by them, and keep those of the account
#[derive(Debug, Subcommand)]
pub enum PolicyCommand {
    Diff(diff::DiffArgs),
    Eval(eval::EvalArgs),
    Explain(Box<explain::ExplainArgs>),
    Lint(lint::LintArgs),
    Generate(Box<generate::GenerateArgs>),
    Show(show::ShowArgs),
    Log(log::LogArgs),
    Attach(attach::AttachArgs),
    Detach(detach::DetachArgs),
    Rollback(rollback::RollbackArgs),
    Backup(backup::BackupArgs),
    Restore(restore::RestoreArgs),
    Audit(audit::AuditArgs),
    Prune(prune::PruneArgs),
}

/// Runs the verb.
pub async fn run(command: &PolicyCommand, context: &Context) -> Result<Ending, CommandError> {
    match command {
        PolicyCommand::Diff(args) => diff::run(args, context).await,
        PolicyCommand::Eval(args) => eval::run(args, context),
        PolicyCommand::Explain(args) => explain::run(args, context),
        PolicyCommand::Lint(args) => lint::run(args, context),
        PolicyCommand::Generate(args) => generate::run(args, context),
        PolicyCommand::Show(args) => show::run(args, context).await,
        PolicyCommand::Log(args) => log::run(args, context).await,
        PolicyCommand::Attach(args) => attach::run(args, context).await,
        PolicyCommand::Detach(args) => detach::run(args, context).await,
        PolicyCommand::Rollback(args) => rollback::run(args, context).await,
        PolicyCommand::Backup(args) => backup::run(args, context).await,
        PolicyCommand::Restore(args) => restore::run(args, context).await,
        // It asks much, and holds all of it until it is judged.
        PolicyCommand::Audit(args) => Box::pin(audit::run(args, context)).await,
        PolicyCommand::Prune(args) => Box::pin(prune::run(args, context)).await,
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
