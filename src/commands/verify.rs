//! `verify`: proves that settings, data and access are as the layout says.

use super::{Closing, Context, Ending, LayoutArgs, Loaded, OnlyArgs};
use crate::apply::dataset::{self, DatasetCheck};
use crate::apply::round_trip;
use crate::config::Settings;
use crate::error::CommandError;
use crate::layout::Dataset;
use crate::layout::scaffold::Sections;
use crate::local;
use crate::model::{BucketName, Existence, HumanCount, Location};
use crate::plan::ODD_FILE;
use crate::report::{Access, Cell, Check, Event, Finding, Outcome, Severity, Summary, Verdict};
use crate::verify::{access, settings};
use crate::world::World;
use clap::Args;
use futures_util::stream::{self, StreamExt as _};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Why nothing can be proven in such a bucket.
const ABSENT: &str = "the bucket does not exist";
/// How many folders are probed at once.
const PROBES_AT_ONCE: usize = 8;

/// Prove that settings, data and access are as the layout says
///
/// Settings are read back control by control; data is compared by checksum without downloading; access is proven by a
/// round trip (put, list, get, compare, delete) in every folder, as the calling identity, which leaves nothing behind.
/// Without a choice, all three.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bucketwright verify --local
  bucketwright verify layout.toml --env prod --settings --data
  bucketwright verify --no-write           write nothing at all
  bucketwright verify --receipt receipt.jsonl s3://my-bucket/project/data/

Exits 4 if a check fails, something cannot be told, or a call is refused, and 3
if a dataset or a file of one is not here to compare with.")]
pub struct VerifyArgs {
    #[command(flatten)]
    layout: LayoutArgs,
    #[command(flatten)]
    only: OnlyArgs,
    /// Check the settings of every bucket
    #[arg(long)]
    settings: bool,
    /// Check every dataset by checksum
    #[arg(long)]
    data: bool,
    /// Check access by a round trip in every folder
    #[arg(long)]
    access: bool,
    /// Write nothing: leave out the round trips
    #[arg(long)]
    no_write: bool,
    /// Check a folder `s3://BUCKET/FOLDER/`, given in place of the layout, against the receipt of a sync
    #[arg(long, value_name = "FILE", conflicts_with_all = ["settings", "data", "access", "only", "env"])]
    receipt: Option<PathBuf>,
}

/// What is verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scope {
    settings: bool,
    data: bool,
    access: bool,
    no_write: bool,
}

impl Scope {
    /// Everything.
    pub const ALL: Self = Self { settings: true, data: true, access: true, no_write: false };

    const fn of(args: &VerifyArgs, sections: Sections) -> Self {
        let none = !args.settings && !args.data && !args.access;
        Self {
            settings: (none || args.settings) && sections.settings,
            data: (none || args.data) && sections.datasets,
            access: (none || args.access) && sections.markers,
            no_write: args.no_write,
        }
    }
}

/// Runs the verb.
pub async fn run(args: &VerifyArgs, context: &Context) -> Result<Ending, CommandError> {
    if let Some(receipt) = &args.receipt {
        return check_receipt(receipt, &args.layout.layout, context).await;
    }
    let loaded = super::load(&args.layout, context)?;
    let world = super::reach(&loaded.layout, context).await?;
    check_all(&loaded, &world, Scope::of(args, args.only.sections()), context).await
}

/// A folder against the receipt of what was put there.
async fn check_receipt(receipt: &Path, place: &Path, context: &Context) -> Result<Ending, CommandError> {
    let text = place.to_str().unwrap_or_default();
    let Ok(Location::S3(place)) = text.parse::<Location>() else {
        return Err(CommandError::usage("`--receipt` checks a place in S3")
            .hint("write `bucketwright verify --receipt FILE s3://BUCKET/FOLDER/`"));
    };
    let folder = place.as_folder().map_err(|error| CommandError::usage(error.to_string()))?;
    let rows = dataset::read_receipt(receipt)?;
    let rows: Vec<_> = rows.into_iter().filter(|row| row.key.as_str().starts_with(folder.as_str())).collect();
    if rows.is_empty() {
        return Err(CommandError::usage(format!("the receipt names nothing below `{place}`"))
            .hint("check the folder, and that it is the receipt of this bucket"));
    }
    let settings = Settings::resolve(&context.flags, None, None, &context.environment)?;
    let world = super::open(&settings, None, context).await?;
    context.ui.event(&Event::Identity(world.identity_record()));
    let target = format!("s3://{}/{folder}", place.bucket);
    let looking = format!("comparing {target} with its receipt");
    let looked = dataset::verify_receipt(&world.store, &place.bucket, &folder, rows);
    let looked = super::announced(&looking, looked, context).await?;
    let verdict = if looked.holds() { Verdict::Pass } else { Verdict::Fail };
    let check = Check { check: "receipt".to_owned(), target, verdict, detail: looked.to_string() };
    let mut tally = Tally::default();
    tally.check(&check);
    context.ui.event(&Event::Check(check));
    looked.findings.into_iter().for_each(|finding| context.ui.event(&Event::Finding(finding)));
    let closing = tally.words().map(|words| format!("Verify: {words}"));
    let summary = Summary { unchanged: tally.held, failed: tally.wrong, closing, ..Summary::default() };
    Ok(Ending { summary, outcome: tally.outcome(), closing: Closing::Shown, last_word: None })
}

/// What was checked, and how it went.
#[derive(Debug, Default)]
struct Tally {
    held: u64,
    wrong: u64,
    /// What could not be told, which never counts as passed.
    unknown: u64,
    waived: u64,
    skipped: u64,
    /// Datasets and files that could not be compared, for causes on this side.
    apart: u64,
}

impl Tally {
    fn check(&mut self, check: &Check) {
        match check.verdict {
            Verdict::Pass => self.held += 1,
            Verdict::Fail => self.wrong += 1,
            Verdict::Unknown => self.unknown += 1,
            Verdict::Waived => self.waived += 1,
            Verdict::NotApplicable => {}
        }
    }

    fn cell(&mut self, cell: &Cell) {
        match cell.observed {
            Access::NotTried => self.skipped += 1,
            observed if observed == cell.expected => self.held += 1,
            _ => self.wrong += 1,
        }
    }

    /// `55 passed, 1 failed`; none if nothing was verified.
    fn words(&self) -> Option<String> {
        let counts = [
            (self.held, "passed"),
            (self.wrong, "failed"),
            (self.unknown, "unknown"),
            (self.waived, "waived"),
            (self.skipped, "not tried"),
            (self.apart, "not comparable"),
        ];
        let some = counts.iter().filter(|(count, _)| *count > 0);
        let parts: Vec<String> = some.map(|(count, word)| format!("{} {word}", HumanCount(*count))).collect();
        (!parts.is_empty()).then(|| parts.join(", "))
    }

    /// What is wrong outweighs what could not be looked at.
    const fn outcome(&self) -> Outcome {
        match (self.wrong + self.unknown, self.apart) {
            (0, 0) => Outcome::Done,
            (0, _) => Outcome::Partly,
            _ => Outcome::Differs,
        }
    }
}

/// Verifies what `scope` names and reports each check, cell and finding.
pub async fn check_all(
    loaded: &Loaded,
    world: &World,
    scope: Scope,
    context: &Context,
) -> Result<Ending, CommandError> {
    let mut tally = Tally::default();
    let looked = context.stop.unless_asked(look(loaded, world, scope, context, &mut tally)).await;
    if let Some(absent) = looked.transpose()?
        && scope.access
    {
        if !scope.no_write {
            context.stop.begin_writing()?;
        }
        check_access(loaded, world, scope.no_write, &absent, context, &mut tally).await;
    }
    let stopped = context.stop.is_asked().then(|| CommandError::stopped("not everything was verified"));
    let outcome = if stopped.is_some() { Outcome::Interrupted } else { tally.outcome() };
    let summary = Summary {
        unchanged: tally.held,
        failed: tally.wrong + tally.unknown,
        skipped: tally.skipped + tally.apart,
        closing: match (tally.words(), &stopped) {
            (Some(words), None) => Some(format!("Verify: {words}")),
            (Some(words), Some(_)) => Some(format!("Interrupted: {words}")),
            (None, None) => Some("Verify: nothing to verify".to_owned()),
            (None, Some(_)) => None,
        },
        ..Summary::default()
    };
    Ok(Ending { summary, outcome, closing: Closing::Shown, last_word: stopped })
}

/// Everything that is verified without writing. Returns the buckets that are known not to be there.
async fn look(
    loaded: &Loaded,
    world: &World,
    scope: Scope,
    context: &Context,
    tally: &mut Tally,
) -> Result<BTreeSet<BucketName>, CommandError> {
    let absent = match scope.settings {
        true => check_settings(loaded, world, context, tally).await?,
        false => BTreeSet::new(),
    };
    if scope.data {
        check_data(loaded, world, &absent, context, tally).await?;
    }
    Ok(absent)
}

/// Every control of every bucket; returns the buckets that are not there.
async fn check_settings(
    loaded: &Loaded,
    world: &World,
    context: &Context,
    tally: &mut Tally,
) -> Result<BTreeSet<BucketName>, CommandError> {
    let found = super::announced("looking at the buckets", super::observe(&loaded.layout, world), context).await?;
    let around = world.circumstances();
    for bucket in &loaded.layout.buckets {
        let Some(state) = found.get(&bucket.name) else { continue };
        for check in settings::checks(&loaded.layout, bucket, state, &around) {
            tally.check(&check);
            context.ui.event(&Event::Check(check));
        }
    }
    if tally.wrong > 0 {
        context.ui.hint("`bucketwright plan` shows what `apply` would mend");
    }
    let absent = found.into_iter().filter(|(_, state)| state.existence == Existence::Absent);
    Ok(absent.map(|(name, _)| name).collect())
}

/// Every dataset by checksum.
async fn check_data(
    loaded: &Loaded,
    world: &World,
    absent: &BTreeSet<BucketName>,
    context: &Context,
    tally: &mut Tally,
) -> Result<(), CommandError> {
    for one in &loaded.layout.datasets {
        let target = format!("s3://{}/{}", one.bucket, one.folder);
        let looked = match absent.contains(&one.bucket) {
            true => Err(CommandError::new("not-found", Outcome::Failed, ABSENT)),
            false => {
                let looking = format!("comparing `{}` with {target}", one.source);
                super::announced(&looking, look_at(one, loaded, world, context), context).await
            }
        };
        let (verdict, detail, findings) = match looked {
            Ok(Some(looked)) if looked.passed == 0 && looked.holds() && !looked.findings.is_empty() => {
                (Verdict::Unknown, "nothing could be compared".to_owned(), looked.findings)
            }
            Ok(Some(looked)) => {
                let verdict = if looked.holds() { Verdict::Pass } else { Verdict::Fail };
                (verdict, looked.to_string(), looked.findings)
            }
            Ok(None) => {
                tally.apart += 1;
                let message = format!("`{}` is not here, so its objects cannot be compared", one.source);
                let finding = Finding::new("source-absent", Severity::Warning, target, message);
                let finding = finding.with_fix("run it where the source is, or give the dataset a receipt");
                context.ui.event(&Event::Finding(finding));
                continue;
            }
            Err(failed) if failed.is("not-found") => (Verdict::Fail, ABSENT.to_owned(), Vec::new()),
            Err(failed) => return Err(failed),
        };
        let check = Check { check: "data".to_owned(), target, verdict, detail };
        tally.check(&check);
        tally.apart += findings.iter().filter(|finding| finding.code == ODD_FILE).count() as u64;
        context.ui.event(&Event::Check(check));
        for finding in findings {
            context.ui.event(&Event::Finding(finding));
        }
    }
    Ok(())
}

/// The dataset against its source, or against its receipt where the source is not here.
async fn look_at(
    one: &Dataset,
    loaded: &Loaded,
    world: &World,
    context: &Context,
) -> Result<Option<DatasetCheck>, CommandError> {
    let request = super::dataset_request(one, loaded, true, context)?;
    if let Some(check) = dataset::verify_dataset(&world.store, &request).await? {
        return Ok(Some(check));
    }
    let Some(receipt) = one.receipt.as_ref().map(|receipt| loaded.folder.join(receipt)) else { return Ok(None) };
    if !local::exists(&receipt) {
        return Ok(None);
    }
    let rows = dataset::read_receipt(&receipt)?;
    Ok(Some(dataset::verify_receipt(&world.store, &one.bucket, &one.folder, rows).await?))
}

/// A round trip in every folder, several at once and told in the layout's order.
async fn check_access(
    loaded: &Loaded,
    world: &World,
    no_write: bool,
    absent: &BTreeSet<BucketName>,
    context: &Context,
    tally: &mut Tally,
) {
    let principal = world.identity.arn.clone().unwrap_or_else(|| "the calling identity".to_owned());
    let probes =
        loaded.layout.buckets.iter().flat_map(|bucket| {
            bucket.folders.iter().filter_map(|folder| access::probe(bucket, folder, context.run_id))
        });
    let principal = &principal;
    let trips = stream::iter(probes).map(|probe| async move {
        let trip = if no_write {
            access::RoundTrip::not_tried("`--no-write` leaves it out")
        } else if absent.contains(&probe.bucket) {
            access::RoundTrip::not_tried(ABSENT)
        } else if context.stop.is_asked() {
            return Vec::new();
        } else {
            round_trip::run(&world.store, &probe).await
        };
        trip.cells(&probe, principal)
    });
    let mut trips = trips.buffered(PROBES_AT_ONCE);
    while let Some(cells) = trips.next().await {
        for cell in cells {
            tally.cell(&cell);
            context.ui.event(&Event::Cell(cell));
        }
    }
}
