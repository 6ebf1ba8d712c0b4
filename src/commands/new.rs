//! `new`: writes a starter layout, or the layout of a bucket that exists, never over a file.

mod from;

use super::{Context, Ending};
use crate::error::CommandError;
use crate::layout::builtin::{self, Starter};
use crate::local;
use crate::report::Outcome;
use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use std::path::{Path, PathBuf};

/// Write a starter layout, or that of a bucket that exists, never over a file
///
/// A layout says which buckets, projects, folders and datasets you want. A starter is one to begin with: its variables
/// stand in its `[vars]` table, `--set KEY=VALUE` fills them, and `plan` refuses what is left as a placeholder.
///
/// `--from` writes down a bucket as it is: folders, settings, tags, access log, and policies that a grant would make just
/// so. What is not as the secure defaults have it is waived as it was found, so that `apply` takes the bucket over with its
/// owner tag and changes nothing else. Remove a waiver to have `apply` set that control.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bucketwright new --list
  bucketwright new ml-project --set name=my-ml-bucket
  bucketwright new flyte -o flyte.toml
  bucketwright new --from s3://my-bucket
  bucketwright new --from s3://my-bucket --cluster my-cluster -o my-bucket.toml")]
pub struct NewArgs {
    /// Which layout to begin with
    #[arg(value_name = "STARTER", default_value = "ml-project", value_parser = starters())]
    starter: &'static Starter,
    /// Show the starters, and write nothing
    #[arg(long)]
    list: bool,
    /// Write the layout of this bucket, which exists
    #[arg(long, value_name = "s3://BUCKET", conflicts_with_all = ["starter", "list"])]
    from: Option<String>,
    /// With `--from`: name roles of this EKS cluster's node groups by the cluster
    #[arg(long, value_name = "CLUSTER", requires = "from")]
    cluster: Option<String>,
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
pub async fn run(args: &NewArgs, context: &Context) -> Result<Ending, CommandError> {
    if args.list {
        let rows: Vec<_> = builtin::all().iter().map(|starter| (starter.name, starter.summary)).collect();
        context.ui.table(&rows);
        return Ok(Ending::answered(Outcome::Done));
    }
    if let Some(url) = &args.from {
        // Looking at a bucket takes a while, and is in vain if the file is there.
        if args.out != Path::new("-") && local::exists(&args.out) {
            return Err(is_there(&args.out));
        }
        return from::run(url, args.cluster.as_deref(), &args.out, context).await;
    }
    let text = builtin::render(args.starter, &context.set).map_err(|error| {
        let failed = CommandError::usage(error.to_string());
        error.help().into_iter().fold(failed, CommandError::hint)
    })?;
    if put(&args.out, &text, context)? {
        context.ui.note(&format!("wrote {} from starter {}", args.out.display(), args.starter.name));
        let next = format!("edit it, then see what it would do: bucketwright plan {} --local", args.out.display());
        context.ui.hint(&next);
    }
    Ok(Ending::answered(Outcome::Done))
}

fn is_there(out: &Path) -> CommandError {
    CommandError::usage(format!("`{}` is there already and is left as it is", out.display()))
        .hint("choose another name with `-o FILE`")
}

/// Writes the file, or prints it; true if it was written.
fn put(out: &Path, text: &str, context: &Context) -> Result<bool, CommandError> {
    if out == Path::new("-") {
        context.ui.answer(text);
        return Ok(false);
    }
    local::write_new(out, text.as_bytes()).map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => is_there(out),
        _ => CommandError::unwritable(out, &error),
    })?;
    Ok(true)
}
