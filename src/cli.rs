//! The command line: what can be typed, where the environment is read, and the one match that hands over to a verb.
#![expect(clippy::disallowed_methods, reason = "the environment and the clock are read here, once")]

use crate::commands::{self, Context, apply, completions, man, new, plan, policy, serve, tree, verify};
use crate::config::{AsRole, DEFAULT_LOCAL_DIR, Flags};
use crate::error::CommandError;
use crate::model::Region;
use crate::report::{ErrorRecord, Event, Outcome, Summary};
use crate::ui::{ColorChoice, Format, Ui, UiOptions};
use clap::error::ErrorKind;
use clap::{Args, CommandFactory as _, Parser, Subcommand};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;
use tokio_util::sync::CancellationToken;

/// The width of output that is no terminal.
const DEFAULT_WIDTH: u16 = 80;

/// Builds S3 buckets for machine-learning projects from a layout file, fills them with local datasets, and proves that
/// all of it works.
#[derive(Debug, Parser)]
#[command(name = "bucketwright", version, propagate_version = true, arg_required_else_help = true)]
#[command(after_help = AFTER_HELP)]
struct Cli {
    #[command(flatten)]
    global: GlobalArgs,
    #[command(subcommand)]
    command: Command,
}

const AFTER_HELP: &str = "\
Start here:
  bucketwright new ml-project --set name=my-bucket     write layout.toml
  bucketwright plan layout.toml --local                what would be done, on an endpoint inside this program
  bucketwright apply layout.toml --local --verify      do it, draw the tree, prove it
  bucketwright apply layout.toml --profile NAME        the same on AWS

Exit codes: 0 done, in sync, allowed; 1 failed; 2 wrong usage or invalid layout; 3 partly done;
4 drift, finding, denied, or expectation not met; 130 interrupted.";

/// Options that every verb takes.
#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
struct GlobalArgs {
    /// Profile of the AWS configuration files
    #[arg(long, global = true, value_name = "NAME")]
    profile: Option<String>,
    /// Region that requests are signed for and buckets are made in
    #[arg(long, global = true, value_name = "REGION")]
    region: Option<Region>,
    /// Endpoint of all services, for S3 servers other than AWS
    #[arg(long, global = true, value_name = "URL")]
    endpoint_url: Option<String>,
    /// Use the embedded endpoint over DIR instead of AWS [default DIR: .bucketwright/local]
    #[arg(long, global = true, value_name = "DIR", num_args = 0..=1, require_equals = true)]
    #[arg(default_missing_value = DEFAULT_LOCAL_DIR, conflicts_with_all = ["endpoint_url", "profile"])]
    local: Option<PathBuf>,
    /// Act as this role: an ARN; with `--local` and for `serve` a role of the folder's directory by name or ARN
    #[arg(long = "as", global = true, value_name = "ROLE")]
    as_role: Option<AsRole>,
    /// PEM file with certificates to trust beside the system's
    #[arg(long, global = true, value_name = "FILE")]
    ca_bundle: Option<PathBuf>,
    /// Value of a variable of the layout
    #[arg(long, global = true, value_name = "KEY=VALUE", value_parser = parse_pair)]
    set: Vec<(String, String)>,
    /// Output for people, or one JSON object a line for scripts
    #[arg(long, global = true, value_enum, default_value_t = Format::Human, value_name = "FORMAT")]
    output: Format,
    /// Print only the answer and problems
    #[arg(long, short, global = true, conflicts_with = "verbose")]
    quiet: bool,
    /// Print more, and cut nothing
    #[arg(long, short, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
    /// No progress bar and no progress lines
    #[arg(long, global = true)]
    no_progress: bool,
    /// When to colour output
    #[arg(long, global = true, value_enum, default_value_t = ColorChoice::Auto, value_name = "WHEN")]
    color: ColorChoice,
    /// Answer yes to every question
    #[arg(long, short, global = true)]
    yes: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    New(new::NewArgs),
    Tree(tree::TreeArgs),
    Plan(plan::PlanArgs),
    Apply(apply::ApplyArgs),
    Verify(verify::VerifyArgs),
    #[command(subcommand)]
    Policy(policy::PolicyCommand),
    Serve(serve::ServeArgs),
    Completions(completions::CompletionsArgs),
    Man(man::ManArgs),
}

/// The whole command tree, for the generated reference, completions and manual pages.
pub fn command() -> clap::Command {
    Cli::command()
}

fn parse_pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("write it as KEY=VALUE".to_owned()),
    }
}

/// Runs the program and returns its exit code.
pub fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let started = Instant::now();
    let code = match Cli::try_parse_from(&arguments) {
        Ok(cli) => run(cli, started),
        Err(error) => refuse(&error, &arguments),
    };
    ExitCode::from(code)
}

/// What clap has to say. Help and version are answers; everything else is wrong usage, in the form that was asked for.
fn refuse(error: &clap::Error, arguments: &[OsString]) -> u8 {
    let asked = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    let words: Vec<&str> = arguments.iter().filter_map(|argument| argument.to_str()).collect();
    let json = words.contains(&"--output=json") || words.windows(2).any(|pair| pair == ["--output", "json"]);
    // `--local ./dir` would make the folder a layout.
    let spaced = words.windows(2).find(|pair| pair[0] == "--local" && !pair[1].starts_with('-'));
    if asked || !json {
        // A closed pipe is the reader's way of having seen enough.
        let _ = error.print();
        if let (false, Some(pair)) = (asked, spaced) {
            #[expect(clippy::print_stderr, reason = "clap prints its own errors here too")]
            {
                eprintln!("\nhint: to keep the embedded endpoint's data in `{0}` write `--local={0}`", pair[1]);
            }
        }
        return if asked { Outcome::Done.code() } else { Outcome::Invalid.code() };
    }
    let ui = Ui::new(ui_options(Format::Json, true, 0, false, ColorChoice::Never));
    let first = error.to_string().lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned();
    let hints = spaced.map(|pair| format!("write `--local={}`", pair[1])).into_iter().collect();
    ui.error(&ErrorRecord { kind: "usage", message: first, hints, target: None });
    ui.summary(&Summary { exit: Outcome::Invalid.code(), ..Summary::default() });
    Outcome::Invalid.code()
}

fn ui_options(format: Format, quiet: bool, verbose: u8, progress: bool, color: ColorChoice) -> UiOptions {
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let columns = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    let measured = || rustix::termios::tcgetwinsize(std::io::stdout()).ok().map(|size| size.ws_col);
    UiOptions {
        format,
        quiet,
        verbose,
        progress,
        color: if no_color && color == ColorChoice::Auto { ColorChoice::Never } else { color },
        stdout_is_terminal: std::io::stdout().is_terminal(),
        stderr_is_terminal: std::io::stderr().is_terminal(),
        width: columns.or_else(measured).filter(|width| *width > 0).unwrap_or(DEFAULT_WIDTH),
    }
}

fn run(cli: Cli, started: Instant) -> u8 {
    let global = cli.global;
    let ui = Ui::new(ui_options(global.output, global.quiet, global.verbose, !global.no_progress, global.color));
    let mut random = [0_u8; 8];
    let seeded = getrandom::fill(&mut random);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) if seeded.is_ok() => runtime,
        _ => {
            let failed =
                CommandError::new("system", Outcome::Failed, "the system gives no threads or no random numbers");
            return finish(&ui, Err(failed), started);
        }
    };
    let context = Context {
        ui: ui.clone(),
        flags: Flags {
            profile: global.profile,
            region: global.region,
            endpoint_url: global.endpoint_url,
            local: global.local,
            as_role: global.as_role,
            ca_bundle: global.ca_bundle,
        },
        environment: std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect::<BTreeMap<_, _>>(),
        set: global.set.into_iter().collect(),
        yes: global.yes,
        run_id: u64::from_ne_bytes(random),
        cancel: CancellationToken::new(),
    };
    let ended = runtime.block_on(async {
        listen_for_interrupts(context.cancel.clone());
        dispatch(cli.command, &context).await
    });
    // A blocking read of a dead disk must not hold up the end.
    runtime.shutdown_background();
    finish(&ui, ended, started)
}

async fn dispatch(command: Command, context: &Context) -> Result<commands::Ending, CommandError> {
    match command {
        Command::New(args) => new::run(&args, context),
        Command::Tree(args) => tree::run(&args, context).await,
        Command::Plan(args) => plan::run(&args, context).await,
        Command::Apply(args) => apply::run(&args, context).await,
        Command::Verify(args) => verify::run(&args, context).await,
        Command::Policy(command) => policy::run(&command, context),
        Command::Serve(args) => serve::run(&args, context).await,
        Command::Completions(args) => Ok(completions::run(&args, context, command_tree)),
        Command::Man(args) => man::run(&args, context, command_tree),
    }
}

fn command_tree() -> clap::Command {
    command()
}

/// The first Ctrl-C or SIGTERM asks the verb to end; the second ends the process.
fn listen_for_interrupts(cancel: CancellationToken) {
    tokio::spawn(async move {
        let Ok(mut terminate) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) else {
            return;
        };
        loop {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
            if cancel.is_cancelled() {
                #[expect(clippy::exit, reason = "the user asked twice; nothing may hold the process any longer")]
                std::process::exit(i32::from(Outcome::Interrupted.code()));
            }
            cancel.cancel();
        }
    });
}

fn finish(ui: &Ui, ended: Result<commands::Ending, CommandError>, started: Instant) -> u8 {
    let (mut summary, outcome, closing) = match ended {
        Ok(ending) => (ending.summary, ending.outcome, ending.closing),
        Err(failed) => {
            for record in &failed.records {
                ui.event(&Event::Error(record.clone()));
            }
            (Summary::default(), failed.outcome, commands::Closing::JsonOnly)
        }
    };
    summary.elapsed_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    summary.exit = outcome.code();
    if closing == commands::Closing::Shown || ui.is_json() {
        ui.summary(&summary);
    }
    outcome.code()
}
