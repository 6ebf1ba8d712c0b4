//! `completions`: the script that teaches a shell this command line.

use super::{Context, Ending};
use crate::report::Outcome;
use clap::Args;
use clap_complete::Shell;

/// Print the completion script of a shell
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bucketwright completions bash >> ~/.bash_completion
  bucketwright completions zsh > ~/.zfunc/_bucketwright
  bucketwright completions fish > ~/.config/fish/completions/bucketwright.fish")]
pub struct CompletionsArgs {
    /// The shell that reads it
    #[arg(value_enum)]
    shell: Shell,
}

/// Runs the verb on the command tree that `command` makes.
pub fn run(args: &CompletionsArgs, context: &Context, command: fn() -> clap::Command) -> Ending {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command(), "bucketwright", &mut script);
    context.ui.answer(&String::from_utf8_lossy(&script));
    Ending::answered(Outcome::Done)
}
