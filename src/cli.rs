//! The command line: what can be typed, where the environment is read, and the one match that hands over to a verb.
#![expect(clippy::disallowed_methods, reason = "the environment and the clock are read here, once")]

mod signals;
mod usage;

use crate::commands::stop::Stop;
use crate::commands::{
    Closing, Context, Ending, apply, cluster, completions, doctor, man, new, plan, policy, report, retire, serve, sync,
    tree, uploads, verify,
};
use crate::config::{AsRole, DEFAULT_LOCAL_DIR, Flags, Limit};
use crate::error::CommandError;
use crate::model::Region;
use crate::report::{Outcome, Summary};
use crate::ui::{ColorChoice, Format, Ui, UiOptions};
use clap::error::ErrorKind;
use clap::{Args, CommandFactory as _, Parser, Subcommand};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, IsTerminal as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

/// The width of output that is no terminal.
const DEFAULT_WIDTH: u16 = 80;

/// Builds S3 buckets for machine-learning projects from a layout file, fills them with local datasets, and proves that
/// all of it works.
#[derive(Debug, Parser)]
#[command(name = "bucketwright", version, arg_required_else_help = true)]
#[command(after_help = AFTER_HELP)]
struct Cli {
    #[command(flatten)]
    global: GlobalArgs,
    #[command(subcommand)]
    command: Command,
}

const AFTER_HELP: &str = "\
Start here, without an AWS account:
  bucketwright new ml-project --set name=my-bucket    write layout.toml
  bucketwright plan --local                           see what would be done
  bucketwright apply --local --verify                 do it, and prove it
Then on AWS:
  bucketwright apply --profile NAME                   the same layout

Exit codes:
  0    done, in sync, allowed
  1    failed
  2    wrong usage or invalid layout; nothing was written
  3    partly done: some items failed or were skipped for cause
  4    drift, a finding, a refused call, an expectation that is not met
  130  interrupted";

/// Options that every verb takes.
#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
struct GlobalArgs {
    /// Use this profile of the AWS configuration files
    #[arg(long, global = true, value_name = "NAME")]
    profile: Option<String>,
    /// Sign requests for this Region, and make buckets there
    #[arg(long, global = true, value_name = "REGION")]
    region: Option<Region>,
    /// Send requests to this S3 server instead of AWS
    #[arg(long, global = true, value_name = "URL")]
    endpoint_url: Option<String>,
    /// Use the S3 endpoint inside this program instead of AWS; its data is in DIR [default: .bucketwright/local]
    #[arg(long, global = true, value_name = "DIR", num_args = 0..=1, require_equals = true)]
    #[arg(default_missing_value = DEFAULT_LOCAL_DIR, conflicts_with_all = ["endpoint_url", "profile"])]
    local: Option<PathBuf>,
    /// Act as this role: an ARN; with `--local` and for `serve` a role of the folder's directory by name or ARN
    #[arg(long = "as", global = true, value_name = "ROLE")]
    as_role: Option<AsRole>,
    /// With `--as` at the embedded endpoint: allow of the role's rights only what the policy document in FILE allows. For
    /// `verify`: try a policy as that of a session; see there
    #[arg(long, global = true, value_name = "FILE", num_args = 0..=1, default_missing_value = "")]
    session_policy: Option<Limit>,
    /// Trust the certificates in this PEM file beside the system's
    #[arg(long, global = true, value_name = "FILE")]
    ca_bundle: Option<PathBuf>,
    /// Give a variable of the layout a value; can be repeated
    #[arg(long, global = true, value_name = "KEY=VALUE", value_parser = parse_pair)]
    set: Vec<(String, String)>,
    /// Print text for people (human), or one JSON object a line for scripts (json)
    #[arg(long, global = true, value_enum, default_value_t = Format::Human, value_name = "FORMAT")]
    #[arg(hide_possible_values = true)]
    output: Format,
    /// Print only the answer and problems
    #[arg(long, short, global = true, conflicts_with = "verbose")]
    quiet: bool,
    /// Print more, and cut nothing; twice for the program's own log
    #[arg(long, short, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
    /// Show no progress bar and no progress lines
    #[arg(long, global = true)]
    no_progress: bool,
    /// Colour the output: auto (on a terminal), always or never
    #[arg(long, global = true, value_enum, default_value_t = ColorChoice::Auto, value_name = "WHEN")]
    #[arg(hide_possible_values = true)]
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
    Retire(retire::RetireArgs),
    Sync(Box<sync::SyncArgs>),
    Verify(Box<verify::VerifyArgs>),
    Doctor(Box<doctor::DoctorArgs>),
    #[command(subcommand)]
    Policy(policy::PolicyCommand),
    #[command(subcommand)]
    Cluster(cluster::ClusterCommand),
    #[command(subcommand)]
    Uploads(uploads::UploadsCommand),
    Report(report::ReportArgs),
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
    let words: Vec<&str> = arguments.iter().filter_map(|argument| argument.to_str()).collect();
    let started = Instant::now();
    let code = match Cli::try_parse_from(&arguments) {
        Ok(cli) => run(cli, &words, started),
        Err(error) => refuse(&error, &words),
    };
    ExitCode::from(code)
}

/// What clap has to say. Help and version are answers; everything else is wrong usage, in the form that was asked for.
fn refuse(error: &clap::Error, words: &[&str]) -> u8 {
    let json = words.contains(&"--output=json") || words.windows(2).any(|pair| pair == ["--output", "json"]);
    let format = if json { Format::Json } else { Format::Human };
    let ui = Ui::new(ui_options(format, false, 0, false, ColorChoice::Auto));
    let outcome = match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => match error.print() {
            Err(failed) if failed.kind() != io::ErrorKind::BrokenPipe => {
                ui.output_lost(&failed.to_string());
                return Outcome::Failed.code();
            }
            // A closed pipe is the reader's way of having seen enough.
            _ => return Outcome::Done.code(),
        },
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand if !json => {
            let _ = error.print();
            Outcome::Invalid
        }
        _ => {
            let tree = command();
            let verbs: Vec<&str> = tree.get_subcommands().map(clap::Command::get_name).collect();
            ui.error(&usage::record(error, words, &verbs));
            Outcome::Invalid
        }
    };
    if ui.is_json() {
        ui.summary(&Summary { exit: outcome.code(), ..Summary::default() });
    }
    outcome.code()
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

fn run(cli: Cli, words: &[&str], started: Instant) -> u8 {
    let Cli { global, command } = cli;
    let ui = Ui::new(ui_options(global.output, global.quiet, global.verbose, !global.no_progress, global.color));
    log_to(&ui, global.verbose);
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
    let stop = Stop::default();
    let context = context(global, &ui, &stop, u64::from_ne_bytes(random));
    {
        let _inside = runtime.enter();
        signals::listen(stop.clone(), ui.clone());
    }
    let handle = runtime.handle().clone();
    let verb = signals::Verb::start(move || handle.block_on(dispatch(command, &context)));
    let ended = verb.and_then(|verb| runtime.block_on(signals::attend(verb, &stop, &ui)));
    // The end of the process ends what still goes on, such as a blocking read of a dead disk, which nothing else could.
    std::mem::forget(runtime);
    let ended = ended.map_err(|failed| match usage::spaced_dir(words) {
        Some(dir) if failed.is_about(dir) => failed.hint(usage::local_with(dir)),
        _ => failed,
    });
    finish(&ui, ended, started)
}

fn context(global: GlobalArgs, ui: &Ui, stop: &Stop, run_id: u64) -> Context {
    Context {
        ui: ui.clone(),
        flags: Flags {
            profile: global.profile,
            region: global.region,
            endpoint_url: global.endpoint_url,
            local: global.local,
            as_role: global.as_role,
            session_policy: global.session_policy,
            ca_bundle: global.ca_bundle,
            silence: None,
        },
        environment: std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect::<BTreeMap<_, _>>(),
        set: global.set.into_iter().collect(),
        yes: global.yes,
        started_ns: jiff::Timestamp::now().as_nanosecond(),
        run_id,
        now: jiff::Timestamp::now(),
        stop: stop.clone(),
    }
}

/// Sends this program's own log lines to stderr, above the bar. Those of libraries stay out: nobody here knows what they
/// hold.
fn log_to(ui: &Ui, verbose: u8) {
    let level = match verbose {
        0 => "warn",
        1 => "info",
        _ => "debug",
    };
    let lines = ui.clone();
    // It is set once, so nothing can have been set before.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(format!("off,bucketwright={level}"))
        .with_target(false)
        .without_time()
        .with_ansi(false)
        .with_writer(move || lines.log_lines())
        .try_init();
}

/// Hands over to a verb. What the verbs keep between their steps is not kept on this thread's stack, where without
/// optimisation every one of them would have a place of its own.
async fn dispatch(command: Command, context: &Context) -> Result<Ending, CommandError> {
    match command {
        Command::New(args) => Box::pin(new::run(&args, context)).await,
        Command::Tree(args) => Box::pin(tree::run(&args, context)).await,
        Command::Plan(args) => Box::pin(plan::run(&args, context)).await,
        Command::Apply(args) => Box::pin(apply::run(&args, context)).await,
        Command::Retire(args) => Box::pin(retire::run(&args, context)).await,
        Command::Sync(args) => Box::pin(sync::run(&args, context)).await,
        Command::Verify(args) => Box::pin(verify::run(&args, context)).await,
        Command::Doctor(args) => Box::pin(doctor::run(&args, context)).await,
        Command::Policy(command) => Box::pin(policy::run(&command, context)).await,
        Command::Cluster(command) => Box::pin(cluster::run(&command, context)).await,
        Command::Uploads(command) => uploads::run(&command, context).await,
        Command::Report(args) => Box::pin(report::run(&args, context)).await,
        Command::Serve(args) => serve::run(&args, context).await,
        Command::Completions(args) => Ok(completions::run(&args, context, command_tree)),
        Command::Man(args) => man::run(&args, context, command_tree),
    }
}

fn command_tree() -> clap::Command {
    command()
}

/// Reports how the run ended and returns its exit code. An answer that could not be written makes any run a failed one.
fn finish(ui: &Ui, ended: Result<Ending, CommandError>, started: Instant) -> u8 {
    let (mut summary, mut outcome, closing) = match ended {
        Ok(ending) => {
            ui.failure(&ending.last_word.map(|last_word| last_word.records).unwrap_or_default());
            (ending.summary, ending.outcome, ending.closing)
        }
        Err(failed) => {
            ui.failure(&failed.records);
            (Summary::default(), failed.outcome, Closing::JsonOnly)
        }
    };
    summary.elapsed_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    summary.exit = outcome.code();
    if closing == Closing::Shown || ui.is_json() {
        ui.summary(&summary);
    }
    ui.close();
    if let Some(reason) = ui.output_error() {
        ui.output_lost(&reason);
        outcome = Outcome::Failed;
    }
    outcome.code()
}
