//! `sync`: makes one place equal to another, and proves it.

mod attributes;
mod closing;
mod filters;
mod origin;
mod places;
mod receipt;
mod saved;

use super::{Closing, Context, Ending};
use crate::apply::explain::explain;
use crate::apply::sync::saved::SavedPlan;
use crate::apply::sync::{self, DeleteRules, Receipt, SyncRequest, Synced, checked};
use crate::apply::transfer::TransferOptions;
use crate::commands::apply::ChecksumChoice;
use crate::commands::uploads::abort::parse_age;
use crate::config::temporary_folder;
use crate::error::CommandError;
use crate::model::{ByteSize, Location, ObjectAttributes, escaped};
use crate::plan::Action;
use crate::report::{Event, Outcome, Status, Summary};
use crate::sync::compare::Compare;
use crate::sync::saved::Header;
use crate::sync::shard::Shard;
use attributes::AttributeArgs;
use clap::{Args, ValueEnum};
use filters::FilterArgs;
use jiff::SignedDuration;
use origin::SourceArgs;
use places::Places;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Make DST equal to SRC: local to S3, S3 to local, or S3 to S3
///
/// A directory goes as its contents: `sync data s3://bucket/p/` puts `data/x` at `p/x`. A file goes into a folder that
/// ends in `/`, or becomes the very key that is named. What is equal by content is not sent, whatever its times say; what
/// is sent is proven by a checksum that the service verified. A run that was interrupted goes on where it ended.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bucketwright sync data/ s3://my-bucket/project/data/
  bucketwright sync data/ s3://my-bucket/project/data/ --delete --dry-run
  bucketwright sync s3://my-bucket/project/models/ models/
  bucketwright sync s3://my-bucket/a/ s3://other-bucket/b/
  bucketwright sync s3://my-bucket/a/ s3://their-bucket/b/ --source-profile mine --profile theirs
  bucketwright sync data/ s3://my-bucket/data/ --exclude '*' --include '*.csv'
  bucketwright sync data/ layout.toml:my-bucket/project/data    a folder that the layout declares
  bucketwright sync data/ s3://my-bucket/data/ --delete --plan plan.jsonl
  bucketwright sync --apply plan.jsonl                          exactly that, or nothing if something moved")]
pub struct SyncArgs {
    /// A directory, a file, `s3://BUCKET/FOLDER/`, `s3://BUCKET/KEY`, or `LAYOUT.toml:BUCKET/FOLDER`
    #[arg(value_name = "SRC", required_unless_present = "apply")]
    source: Option<Location>,
    /// The same for where things go
    #[arg(value_name = "DST", required_unless_present = "apply")]
    target: Option<Location>,
    /// Show what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Show what would be done, write it to FILE for `--apply`, and do nothing
    #[arg(long, value_name = "FILE", conflicts_with_all = ["dry_run", "explain_filters", "receipt", "bandwidth"])]
    plan: Option<PathBuf>,
    /// Do what the plan in FILE says, if nothing moved since; it also says SRC, DST and the options that it was made with
    #[arg(long, value_name = "FILE", conflicts_with_all = PLANNED)]
    apply: Option<PathBuf>,
    #[command(flatten)]
    choices: Choices,
    /// Tell which rule decides about each name, and do nothing; all names with `-v`
    #[arg(long, conflicts_with = "dry_run")]
    explain_filters: bool,
    /// Neither use nor keep what earlier runs found out about files: read all of them again
    #[arg(long)]
    no_cache: bool,
    /// Write down what is in place, once all of it is: a file, or an object `s3://BUCKET/KEY`
    #[arg(long, value_name = "WHERE")]
    receipt: Option<Location>,
    /// How long to ride out a lost network, a service that slows down or expired credentials, such as 30min
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = parse_age)]
    retry_for: SignedDuration,
    /// Give up a connection on which nothing moves for so long, and try again on another
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = parse_stall)]
    stall_timeout: SignedDuration,
    /// Move at most this much a second on average, such as 20MiB; one part of 8 MiB goes at full speed
    #[arg(long, value_name = "SIZE")]
    bandwidth: Option<ByteSize>,
    /// Stay within this much memory, such as 512MiB
    #[arg(long, value_name = "SIZE", default_value = "256MiB")]
    memory: ByteSize,
    #[command(flatten)]
    origin: SourceArgs,
}

/// What a saved plan has settled already.
const PLANNED: [&str; 18] = [
    "plan",
    "dry_run",
    "explain_filters",
    "delete",
    "max_delete",
    "exclude",
    "include",
    "no-ignore-file",
    "compare",
    "checksum",
    "shard",
    "metadata",
    "tag",
    "content_type",
    "cache_control",
    "storage_class",
    "sse",
    "sse_kms_key",
];

/// The options that change what is done, and so belong to a plan.
#[derive(Debug, Clone, Args)]
struct Choices {
    /// Delete what is in DST and not in SRC, once everything else has arrived
    #[arg(long)]
    delete: bool,
    /// Delete nothing if it would be more than this [default: 1000, and at most half of DST, unless `--yes`]
    #[arg(long, value_name = "N", requires = "delete")]
    max_delete: Option<u64>,
    #[command(flatten)]
    filters: FilterArgs,
    /// How to tell what changed: content, size, mtime (size and the younger), or always
    #[arg(long, value_enum, default_value_t = CompareChoice::Content, value_name = "HOW", hide_possible_values = true)]
    compare: CompareChoice,
    /// The checksum that uploads carry: crc64nvme, sha256, or md5 for servers that know no other
    #[arg(long, value_enum, default_value_t = ChecksumChoice::Crc64nvme, value_name = "ALGORITHM")]
    #[arg(hide_possible_values = true)]
    checksum: ChecksumChoice,
    /// Take only this share of SRC, such as 0/3: machines that take 0/3, 1/3 and 2/3 do all of it, each file once
    #[arg(long, value_name = "I/N")]
    shard: Option<Shard>,
    #[command(flatten)]
    attributes: AttributeArgs,
}

fn parse_stall(text: &str) -> Result<SignedDuration, String> {
    let time = parse_age(text)?;
    if time.is_zero() {
        Err("every connection is silent for a moment: give it at least 1s".to_owned())
    } else {
        Ok(time)
    }
}

/// What is meant, whether it was typed or stands in a plan.
#[derive(Debug)]
struct Meant {
    source: Location,
    target: Location,
    choices: Choices,
}

/// By what two sides are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum CompareChoice {
    /// By content
    Content,
    /// By size
    Size,
    /// By size and time
    Mtime,
    /// Not at all
    Always,
}

impl CompareChoice {
    const fn mode(self) -> Compare {
        match self {
            Self::Content => Compare::Content,
            Self::Size => Compare::Size,
            Self::Mtime => Compare::Mtime,
            Self::Always => Compare::Always,
        }
    }
}

/// Runs the verb.
pub async fn run(args: &SyncArgs, context: &Context) -> Result<Ending, CommandError> {
    let plan = match &args.apply {
        Some(path) => Some(saved::read(path).await?),
        None => None,
    };
    let meant = match (&plan, &args.source, &args.target) {
        (Some(plan), source, target) => saved::meant(plan, source.as_ref(), target.as_ref(), context)?,
        (None, Some(source), Some(target)) => {
            let [source, target] = [source, target].map(|place| places::settle(place, context));
            Meant { source: source?, target: target?, choices: args.choices.clone() }
        }
        _ => return Err(CommandError::usage("a sync has a SRC and a DST")),
    };
    if let Some(path) = &args.plan {
        saved::refuse_inside(path, &meant)?;
    }
    if let Some(plan) = &plan {
        saved::same_way(&plan.header, !args.origin.is_empty())?;
    }
    let attributes = attributes::resolve(&meant)?;
    let places = Places::resolve(&meant, args, context).await?;
    let ended = run_between(&places, attributes, &meant, plan.as_ref(), args, context).await;
    ended.map_err(|error| error.at(&places.world().place))
}

async fn run_between(
    places: &Places,
    attributes: ObjectAttributes,
    meant: &Meant,
    plan: Option<&SavedPlan>,
    args: &SyncArgs,
    context: &Context,
) -> Result<Ending, CommandError> {
    let choices = &meant.choices;
    let request = SyncRequest {
        route: places.route.clone(),
        source: places.source.clone(),
        target: places.target.clone(),
        filter: choices.filters.filter(),
        compare: choices.compare.mode(),
        shard: choices.shard,
        cache: places.cache(args, context),
        receipt: receipt::wanted(meant, args)?,
        started_ns: context.started_ns,
        spill_folder: temporary_folder(&context.environment),
        retry_for: args.retry_for.unsigned_abs(),
        delete: choices.delete.then_some(DeleteRules { max_delete: choices.max_delete, consented: context.yes }),
    };
    if args.explain_filters {
        return tell_filters(request, context).await;
    }
    if let Some(path) = &args.plan {
        let header = saved::header(meant, places, context)?;
        return show(request, Some((header, path)), context).await;
    }
    if args.dry_run {
        return show(request, None, context).await;
    }
    if let Some(plan) = plan {
        saved::same_place(&plan.header, &saved::header(meant, places, context)?)?;
    }
    let options = TransferOptions {
        attributes: Arc::new(attributes),
        journal: super::journal(places.world(), context),
        copies: places.way.clone(),
        ..options(choices.checksum, args)
    };
    carry_out(request, plan, places, &options, context).await
}

async fn carry_out(
    request: SyncRequest,
    plan: Option<&SavedPlan>,
    places: &Places,
    options: &TransferOptions,
    context: &Context,
) -> Result<Ending, CommandError> {
    context.stop.begin_writing()?;
    let (events, listener) = context.ui.listen();
    let watcher = sync::Listener { events, cancel: context.stop.token() };
    let store = &places.world().store;
    let synced = match plan {
        Some(plan) => checked::carry_out(request, plan, store, options, &watcher).await.map_err(saved::failed),
        None => sync::run(request, store, options, &watcher).await.map_err(CommandError::from),
    };
    drop(watcher);
    let mut summary = listener.finish();
    let synced = match synced {
        Ok(synced) => synced,
        // What arrived before a listing broke off was told, and stays.
        Err(broken) if summary.done > 0 => {
            let last_word = broken.at(&places.world().place);
            return Ok(Ending {
                summary,
                outcome: Outcome::Partly,
                closing: Closing::Shown,
                last_word: Some(last_word),
            });
        }
        Err(broken) => return Err(broken),
    };
    summary.planned = synced.seen.transfers;
    summary.unchanged = synced.seen.unchanged;
    summary.skipped += synced.seen.odd;
    let outcome = if context.stop.is_asked() { Outcome::Interrupted } else { outcome(&synced, &summary) };
    let last_word = last_word(&synced, plan.is_some(), places, context);
    summary.closing = Some(closing::sentence(&places.route, &synced, &summary));
    Ok(Ending { summary, outcome, closing: Closing::Shown, last_word })
}

/// What is to be said at the end of all: that the run was stopped, or what several items failed of.
fn last_word(synced: &Synced, is_planned: bool, places: &Places, context: &Context) -> Option<CommandError> {
    let kept = super::apply::kept(synced.kept_uploads);
    if context.stop.is_asked() {
        let stopped = CommandError::stopped("what has arrived stays");
        let stopped = stopped.hint("run the same command again: it goes on from here");
        return Some(kept.into_iter().fold(stopped, CommandError::hint));
    }
    kept.into_iter().for_each(|kept| context.ui.hint(&kept));
    let cause = synced.cause.clone().map(|cause| CommandError::from(cause).at(&places.world().place));
    let cause = cause.map(|cause| cause.hint("what is done stays done: run the same command again for the rest"));
    cause.or_else(|| if is_planned { saved::moved_meanwhile(synced.moved) } else { None })
}

fn options(checksum: ChecksumChoice, args: &SyncArgs) -> TransferOptions {
    let retry_for = args.retry_for.unsigned_abs();
    TransferOptions {
        retry_for,
        bytes_per_second: args.bandwidth.map(|limit| limit.0),
        ..TransferOptions::with_checksum(checksum.algorithm()).within(args.memory.0)
    }
}

fn outcome(synced: &Synced, summary: &Summary) -> Outcome {
    let nothing_there = synced.seen.source_items == 0 && synced.refused.is_some();
    match summary.outcome() {
        _ if nothing_there => Outcome::Failed,
        Outcome::Done if synced.refused.is_some() || synced.receipt == Receipt::Unwritten => Outcome::Partly,
        other => other,
    }
}

/// Tells what the filter decides and does nothing.
async fn tell_filters(request: SyncRequest, context: &Context) -> Result<Ending, CommandError> {
    let (events, listener) = context.ui.listen();
    let explained = explain(request, &events).await;
    drop(events);
    let mut summary = listener.finish();
    let explained = explained.map_err(CommandError::from)?;
    summary.skipped += explained.odd;
    summary.closing = Some(closing::explained(&explained));
    let outcome = if explained.odd > 0 { Outcome::Partly } else { Outcome::Done };
    Ok(Ending { summary, outcome, closing: Closing::Shown, last_word: None })
}

/// Shows the plan, writes it down where that is asked for, and does nothing.
async fn show(request: SyncRequest, saved: Option<(Header, &Path)>, context: &Context) -> Result<Ending, CommandError> {
    let (events, listener) = context.ui.listen();
    let watcher = sync::Listener { events, cancel: context.stop.token() };
    let path = saved.as_ref().map(|(_, path)| *path);
    let planned = async {
        let planned = match saved {
            Some((header, path)) => sync::saved::save(request, header, path, &watcher).await?,
            None => sync::saved::plan(request, &watcher).await?,
        };
        let tell = async |action: Action| {
            // Nobody listens any more only when the run is over.
            let _ = watcher.events.send(Event::Action(action.record(Status::Planned))).await;
        };
        planned.show(tell).await.map(|()| planned)
    };
    let planned = planned.await;
    drop(watcher);
    let mut summary = listener.finish();
    let seen = planned.map_err(|error| saved::unmade(error, path))?.seen;
    summary.unchanged = seen.unchanged;
    summary.skipped += seen.odd;
    summary.closing = Some(closing::forecast(&seen, &summary));
    if let Some(path) = path {
        context.ui.note(&format!("saved to {0}: `bucketwright sync --apply {0}` does this", escaped(path)));
    }
    let outcome = if seen.odd > 0 { Outcome::Partly } else { Outcome::Done };
    Ok(Ending { summary, outcome, closing: Closing::Shown, last_word: None })
}
