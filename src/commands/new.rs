//! `new`: writes a starter layout, never over a file.

use super::{Context, Ending};
use crate::error::CommandError;
use crate::layout::builtin;
use crate::local;
use crate::report::Outcome;
use clap::Args;
use std::path::{Path, PathBuf};

/// Write a starter layout to layout.toml, never over a file
///
/// The starter's variables stand in its `[vars]` table; `--set key=value` fills them, and what is left as a placeholder
/// is refused by `plan` until you fill it.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bucketwright new --list
  bucketwright new ml-project --set name=my-ml-bucket
  bucketwright new flyte -o flyte.toml")]
pub struct NewArgs {
    /// The starter; `--list` shows them all
    #[arg(value_name = "STARTER", default_value = "ml-project")]
    starter: String,
    /// Show the starters
    #[arg(long)]
    list: bool,
    /// Where to write; `-` for the terminal
    #[arg(long, short, value_name = "FILE", default_value = "layout.toml")]
    out: PathBuf,
}

/// Runs the verb.
pub fn run(args: &NewArgs, context: &Context) -> Result<Ending, CommandError> {
    if args.list {
        let width = builtin::all().iter().map(|starter| starter.name.len()).max().unwrap_or_default();
        let rows = builtin::all().iter().map(|starter| format!("{:width$}  {}\n", starter.name, starter.summary));
        context.ui.answer(&rows.collect::<String>());
        return Ok(Ending::answered(Outcome::Done));
    }
    let starter = builtin::find(&args.starter).ok_or_else(|| unknown_starter(&args.starter))?;
    let text = builtin::render(starter, &context.set).map_err(|error| {
        CommandError::usage(error.to_string()).hint("the starter's `[vars]` table names its variables")
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
        _ => CommandError::file("write", &args.out, &error, Outcome::Failed),
    })?;
    context.ui.note(&format!("wrote {} from starter {}", args.out.display(), starter.name));
    context.ui.hint(&format!("edit it, then see what it would do: bucketwright plan {} --local", args.out.display()));
    Ok(Ending::answered(Outcome::Done))
}

fn unknown_starter(name: &str) -> CommandError {
    let nearest = builtin::all().iter().min_by_key(|starter| strsim::damerau_levenshtein(starter.name, name));
    let known: Vec<&str> = builtin::all().iter().map(|starter| starter.name).collect();
    let failed = CommandError::usage(format!("there is no starter `{name}`; there are {}", known.join(", ")));
    match nearest {
        Some(starter) => failed.hint(format!("did you mean `{}`?", starter.name)),
        None => failed,
    }
}
