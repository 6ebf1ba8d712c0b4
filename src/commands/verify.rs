//! `verify`: proves that settings, data and access are as the layout says.

use super::{Closing, Context, Ending, LayoutArgs, Loaded, OnlyArgs};
use crate::apply::dataset::{self, DatasetCheck};
use crate::apply::round_trip;
use crate::error::CommandError;
use crate::layout::Dataset;
use crate::layout::scaffold::Sections;
use crate::local;
use crate::report::{Access, Cell, Check, Event, Finding, Outcome, Severity, Summary, Verdict};
use crate::verify::{access, settings};
use crate::world::World;
use clap::Args;
use futures_util::stream::{self, StreamExt as _};

/// How many folders are probed at once.
const PROBES_AT_ONCE: usize = 8;

/// Prove that settings, data and access are as the layout says
///
/// Settings are read back control by control; data is compared by checksum without downloading; access is proven by a
/// round trip (put, list, get, compare, delete) in every folder, as the calling identity. Without a choice, all three.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bucketwright verify layout.toml --local
  bucketwright verify layout.toml --env prod --settings --data
  bucketwright verify layout.toml --no-write            leave out every probe that writes

Exits 4 if a check fails, something cannot be told, or a call is refused.")]
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
    /// Leave out every probe that writes
    #[arg(long)]
    no_write: bool,
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
    let loaded = super::load(&args.layout, context)?;
    let world = super::reach(&loaded.layout, context).await?;
    check_all(&loaded, &world, Scope::of(args, args.only.sections()), context).await
}

/// What was checked, and how it went.
#[derive(Debug, Default)]
struct Tally {
    held: u64,
    wrong: u64,
    waived: u64,
    skipped: u64,
}

impl Tally {
    fn check(&mut self, check: &Check) {
        match check.verdict {
            Verdict::Pass => self.held += 1,
            Verdict::Fail | Verdict::Unknown => self.wrong += 1,
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

    fn words(&self) -> String {
        let parts = [(self.held, "held"), (self.wrong, "not"), (self.waived, "waived"), (self.skipped, "not tried")];
        let parts: Vec<String> =
            parts.iter().filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}")).collect();
        match parts.is_empty() {
            true => "nothing to verify".to_owned(),
            false => format!("verified: {}", parts.join(", ")),
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
    let mut absent_sources = 0;
    if scope.settings {
        check_settings(loaded, world, context, &mut tally).await?;
    }
    if scope.data {
        absent_sources = check_data(loaded, world, context, &mut tally).await?;
    }
    if scope.access {
        check_access(loaded, world, scope.no_write, context, &mut tally).await;
    }
    let outcome = match (context.cancel.is_cancelled(), tally.wrong, absent_sources) {
        (true, _, _) => Outcome::Interrupted,
        (_, 0, 0) => Outcome::Done,
        (_, 0, _) => Outcome::Partly,
        _ => Outcome::Differs,
    };
    let summary = Summary {
        unchanged: tally.held,
        failed: tally.wrong,
        skipped: tally.skipped + absent_sources,
        closing: Some(tally.words()),
        ..Summary::default()
    };
    Ok(Ending { summary, outcome, closing: Closing::Shown })
}

async fn check_settings(
    loaded: &Loaded,
    world: &World,
    context: &Context,
    tally: &mut Tally,
) -> Result<(), CommandError> {
    let found = super::observe(&loaded.layout, world).await?;
    let around = world.circumstances();
    for bucket in &loaded.layout.buckets {
        let Some(state) = found.get(&bucket.name) else { continue };
        for check in settings::checks(&loaded.layout, bucket, state, &around) {
            tally.check(&check);
            context.ui.event(&Event::Check(check));
        }
    }
    Ok(())
}

/// Every dataset by checksum; returns how many could not be told because neither source nor receipt is here.
async fn check_data(loaded: &Loaded, world: &World, context: &Context, tally: &mut Tally) -> Result<u64, CommandError> {
    let mut absent = 0;
    for one in &loaded.layout.datasets {
        let target = format!("s3://{}/{}", one.bucket, one.folder);
        let looked = tokio::select! {
            looked = look_at(one, loaded, world) => looked?,
            () = context.cancel.cancelled() => return Ok(absent),
        };
        let Some(looked) = looked else {
            absent += 1;
            let message = format!("`{}` is not here, so its objects cannot be compared", one.source);
            let finding = Finding::new("source-absent", Severity::Warning, target, message);
            context
                .ui
                .event(&Event::Finding(finding.with_fix("run it where the source is, or give the dataset a receipt")));
            continue;
        };
        let verdict = if looked.holds() { Verdict::Pass } else { Verdict::Fail };
        let check = Check { check: "data".to_owned(), target, verdict, detail: looked.to_string() };
        tally.check(&check);
        context.ui.event(&Event::Check(check));
        for finding in looked.findings {
            context.ui.event(&Event::Finding(finding));
        }
    }
    Ok(absent)
}

/// The dataset against its source, or against its receipt where the source is not here.
async fn look_at(one: &Dataset, loaded: &Loaded, world: &World) -> Result<Option<DatasetCheck>, CommandError> {
    let request = super::dataset_request(one, loaded, true)?;
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

async fn check_access(loaded: &Loaded, world: &World, no_write: bool, context: &Context, tally: &mut Tally) {
    let principal = world.identity.arn.clone().unwrap_or_else(|| "the calling identity".to_owned());
    let probes =
        loaded.layout.buckets.iter().flat_map(|bucket| {
            bucket.folders.iter().filter_map(|folder| access::probe(bucket, folder, context.run_id))
        });
    let principal = &principal;
    let trips = stream::iter(probes).map(|probe| async move {
        let trip = if no_write {
            access::RoundTrip::not_tried("`--no-write` leaves it out")
        } else if context.cancel.is_cancelled() {
            access::RoundTrip::not_tried("interrupted")
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
