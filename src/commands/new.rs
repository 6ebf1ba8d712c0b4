//! `new`: writes a starter layout, never over a file.

use super::{Context, Ending};
use crate::error::CommandError;
use crate::layout::builtin::{self, Starter};
use crate::local;
use crate::report::Outcome;
use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use std::path::{Path, PathBuf};

/// Write a starter layout to layout.toml, never over a file
///
/// A layout says which buckets, projects, folders and datasets you want. A starter is one to begin with: its variables
/// stand in its `[vars]` table, `--set KEY=VALUE` fills them, and `plan` refuses what is left as a placeholder.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bucketwright new --list
  bucketwright new ml-project --set name=my-ml-bucket
  bucketwright new flyte -o flyte.toml")]
pub struct NewArgs {
    /// Which layout to begin with
    #[arg(value_name = "STARTER", default_value = "ml-project", value_parser = starters())]
    starter: &'static Starter,
    /// Show the starters, and write nothing
    #[arg(long)]
    list: bool,
    /// Write it there; `-` prints it
    #[arg(long, short, value_name = "FILE", default_value = "layout.toml")]
    out: PathBuf,
}

/// The starters by name, so that help, completions and mistakes know them.
fn starters() -> impl TypedValueParser<Value = &'static Starter> {
    let values = builtin::all().iter().map(|starter| PossibleValue::new(starter.name).help(starter.summary));
    PossibleValuesParser::new(values).try_map(|name| builtin::find(&name).ok_or("there is no such starter"))
}

/// Runs the verb.
pub fn run(args: &NewArgs, context: &Context) -> Result<Ending, CommandError> {
    if args.list {
        let rows: Vec<_> = builtin::all().iter().map(|starter| (starter.name, starter.summary)).collect();
        context.ui.table(&rows);
        return Ok(Ending::answered(Outcome::Done));
    }
    let text = builtin::render(args.starter, &context.set).map_err(|error| {
        let failed = CommandError::usage(error.to_string());
        error.help().into_iter().fold(failed, CommandError::hint)
    })?;
    if args.out == Path::new("-") {
        context.ui.answer(&text);
        return Ok(Ending::answered(Outcome::Done));
    }
    local::write_new(&args.out, text.as_bytes()).map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => {
            CommandError::usage(format!("`{}` is there already and is left as it is", args.out.display()))
                .hint("choose another name with `-o FILE`")
        }
        _ => CommandError::unwritable(&args.out, &error),
    })?;
    context.ui.note(&format!("wrote {} from starter {}", args.out.display(), args.starter.name));
    context.ui.hint(&format!("edit it, then see what it would do: bucketwright plan {} --local", args.out.display()));
    Ok(Ending::answered(Outcome::Done))
}
