//! `man`: the manual pages, one for the program and one for each verb.

use super::{Context, Ending};
use crate::error::CommandError;
use crate::local;
use crate::report::Outcome;
use clap::Args;
use std::io;
use std::path::PathBuf;

/// Print the manual page, or write the pages of all verbs to a folder
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bucketwright man | man -l -
  bucketwright man --dir ~/.local/share/man/man1")]
pub struct ManArgs {
    /// Write bucketwright.1 and a page for each verb there
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// Runs the verb on the command tree that `command` makes.
pub fn run(args: &ManArgs, context: &Context, command: fn() -> clap::Command) -> Result<Ending, CommandError> {
    let root = command();
    let Some(dir) = &args.dir else {
        let page = page(&root).map_err(|error| CommandError::new("system", Outcome::Failed, error.to_string()))?;
        context.ui.answer(&page);
        return Ok(Ending::answered(Outcome::Done));
    };
    let mut built = root.clone();
    built.build();
    for one in std::iter::once(root).chain(verbs(&built, "bucketwright")) {
        let path = dir.join(format!("{}.1", one.get_name()));
        let text = page(&one).map_err(|error| CommandError::unwritable(&path, &error))?;
        local::replace_file(&path, |out| out.write_all(text.as_bytes()))
            .map_err(|error| CommandError::unwritable(&path, &error))?;
    }
    context.ui.note(&format!("wrote the manual pages to {}", dir.display()));
    Ok(Ending::answered(Outcome::Done))
}

/// The verbs of a command and theirs: `policy eval` is found as `bucketwright-policy-eval(1)`, as git's verbs are.
fn verbs(command: &clap::Command, path: &str) -> Vec<clap::Command> {
    let mut found = Vec::new();
    for verb in command.get_subcommands().filter(|verb| verb.get_name() != "help") {
        let name = format!("{path}-{}", verb.get_name());
        found.push(verb.clone().name(name.clone()));
        found.extend(verbs(verb, &name));
    }
    found
}

fn page(command: &clap::Command) -> io::Result<String> {
    let mut page = Vec::new();
    clap_mangen::Man::new(command.clone()).render(&mut page)?;
    Ok(String::from_utf8_lossy(&page).into_owned())
}
