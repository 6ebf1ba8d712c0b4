//! `retire`: shows what a project or bucket holds and who reaches it, takes access away, and deletes what is empty or named
//! by hand.

mod look;

use super::{Closing, Context, Ending, LayoutArgs, Loaded};
use crate::apply::access::{Grants, Ground, Keeper};
use crate::apply::pipeline::LookError;
use crate::apply::retire::{Departure, NamedObjects, bucket_action, depart};
use crate::error::CommandError;
use crate::local::SpillError;
use crate::model::HumanCount;
use crate::plan::{Action, Reason, Step};
use crate::report::{ActionRecord, Event, Finding, LayoutEditRecord, Outcome, Severity, Status, Summary};
use crate::retire::{Options, Retirement, Target, Without, decide, without};
use crate::world::World;
use clap::Args;
use look::Look;

/// Retire a project or a bucket: show what it holds, take access away, delete what is empty
///
/// Shows objects, older versions, unfinished uploads and every policy that reaches it, then what would be done: policies of
/// the layout lose it (after a backup), markers of empty folders and an empty bucket of this layout go. Nothing that holds
/// data is deleted unless it is named by hand. Asks on a terminal; elsewhere it needs `--yes`. The layout's file stays as it
/// is: the edit that belongs to it is shown. A run that was interrupted is finished by the same command.
#[derive(Debug, Args)]
#[command(allow_missing_positional = true)]
#[command(after_help = "\
Examples:
  bucketwright retire my-bucket/fraud-detection --dry-run
  bucketwright retire layout.toml my-bucket/fraud-detection --yes
  bucketwright retire my-bucket --delete-objects my-bucket/ --all-versions

Exits 3 if something could not be revoked or deleted, 4 with `--dry-run` if it would be refused.")]
pub struct RetireArgs {
    #[command(flatten)]
    layout: LayoutArgs,
    /// What is retired: BUCKET, BUCKET/PROJECT, or a project's name
    #[arg(value_name = "TARGET")]
    target: String,
    /// Show what is there and what would be done, and write nothing
    #[arg(long)]
    dry_run: bool,
    /// Delete the objects, too: the target spelled out, `BUCKET/PROJECT/` or `BUCKET/`
    #[arg(long, value_name = "TARGET/")]
    delete_objects: Option<String>,
    /// With `--delete-objects`: older versions and delete markers as well, so that nothing can be brought back
    #[arg(long, requires = "delete_objects")]
    all_versions: bool,
    /// Delete no more than this many objects and versions [default: 1000, any number with `--yes`]
    #[arg(long, value_name = "N", requires = "delete_objects")]
    max_delete: Option<u64>,
}

/// Runs the verb.
pub async fn run(args: &RetireArgs, context: &Context) -> Result<Ending, CommandError> {
    let loaded = super::load(&args.layout, context)?;
    let target = Target::find(&loaded.layout, &args.target).map_err(|error| CommandError::usage(error.to_string()))?;
    args.names(&target)?;
    let world = super::reach(&loaded.layout, context).await?;
    let without = without(&loaded.layout, &target);
    let look = Look { loaded: &loaded, target: &target, world: &world, args, context };
    let bucket = super::announced("looking at what it holds", look.bucket(), context).await?;
    let access = look.access(&without).await?;
    let options = args.options(context);
    let mut retirement = decide(
        &loaded.layout,
        &target,
        (&bucket.state, &bucket.holdings, bucket.uploads),
        &bucket.sources,
        (access.plan, &without),
        options,
    );
    retirement.findings.extend(access.findings);
    retirement.findings.extend(bucket.let_in.clone());
    if bucket.is_counted {
        let record = look.record(&bucket, access.reached_by, access.is_seen);
        context.ui.event(&Event::Holdings(record));
    }
    show(args, &target, &retirement, &without, context);
    if let Some(ending) = early_end(args, &retirement)? {
        return Ok(ending);
    }
    super::consent(format!("Retire {}?", target.name()), context).await?;
    context.stop.begin_writing()?;
    let work = Work { loaded: &loaded, target: &target, world: &world, context };
    Ok(work.carry_out(retirement, bucket.named).await)
}

impl RetireArgs {
    /// What holds data is deleted only if it is spelled out just so.
    fn names(&self, target: &Target) -> Result<(), CommandError> {
        match &self.delete_objects {
            Some(typed) if *typed != target.by_hand() => {
                let message = format!("`--delete-objects {typed}` does not name what is retired; nothing was done");
                Err(CommandError::usage(message).hint(format!("write `--delete-objects {}`", target.by_hand())))
            }
            _ => Ok(()),
        }
    }

    fn options(&self, context: &Context) -> Options {
        Options {
            by_hand: self.delete_objects.is_some(),
            all_versions: self.all_versions,
            max_delete: self.max_delete,
            consented: context.yes,
        }
    }
}

/// Shows what would be done, and what is left to do by hand.
fn show(args: &RetireArgs, target: &Target, retirement: &Retirement, without: &Without, context: &Context) {
    for finding in &retirement.findings {
        context.ui.event(&Event::Finding(finding.clone()));
    }
    for action in &retirement.account {
        context.ui.event(&Event::Action(action.record(action.planned_status())));
    }
    if retirement.named > 0 {
        context.ui.event(&Event::Action(named_record(target, retirement)));
    }
    for delete in &retirement.markers {
        let reason = Reason::Wanted("the marker of a folder".to_owned());
        let action = Action { bucket: target.bucket.clone(), step: Step::Delete(delete.clone()), reason };
        context.ui.event(&Event::Action(action.record(Status::Planned)));
    }
    if retirement.bucket {
        let reason = "it is this layout's, and nothing is left in it then".to_owned();
        context.ui.event(&Event::Action(bucket_action(&target.bucket, Status::Planned, reason)));
    }
    if !retirement.is_refused() {
        let file = args.layout.layout.display().to_string();
        context.ui.event(&Event::LayoutEdit(LayoutEditRecord { file, change: without.edit.clone() }));
    }
}

/// All that was named by hand, in one line.
fn named_record(target: &Target, retirement: &Retirement) -> ActionRecord {
    let things = if retirement.named == 1 { "object or version" } else { "objects and versions" };
    let reason = format!("{} {things}, named by hand", HumanCount(retirement.named));
    ActionRecord {
        status: Status::Planned,
        action: "delete",
        target: target.url(),
        reason,
        setting: None,
        source: None,
        bytes: Some(retirement.named_bytes),
        proof: None,
        policy: None,
    }
}

/// The end of a run that writes nothing: refused, only asked, or with nothing to do.
fn early_end(args: &RetireArgs, retirement: &Retirement) -> Result<Option<Ending>, CommandError> {
    let steps = retirement.steps();
    let partly = if is_partial(&retirement.findings) { Outcome::Partly } else { Outcome::Done };
    let (outcome, closing) = match (retirement.is_refused(), args.dry_run, steps) {
        (true, false, _) => {
            let failed = CommandError::new("refused", Outcome::Failed, "retiring this is refused, nothing was written");
            return Err(failed.hint("mend what the findings above name, then run it again"));
        }
        (true, true, _) => (Outcome::Differs, "Retire: would be refused".to_owned()),
        (false, _, 0) => (partly, "Retire: nothing to do".to_owned()),
        (false, true, steps) => (partly, format!("Retire: {} to do", HumanCount(steps))),
        (false, false, _) => return Ok(None),
    };
    let summary = Summary { planned: steps, closing: Some(closing), ..Summary::default() };
    Ok(Some(Ending { summary, outcome, closing: Closing::Shown, last_word: None }))
}

/// True if access may stay because of what could not be read.
fn is_partial(findings: &[Finding]) -> bool {
    findings.iter().any(|finding| matches!(finding.code, "account-hidden" | "no-iam"))
}

/// What is to be done, and where.
struct Work<'run> {
    loaded: &'run Loaded,
    target: &'run Target,
    world: &'run World,
    context: &'run Context,
}

impl Work<'_> {
    async fn carry_out(&self, retirement: Retirement, objects: NamedObjects) -> Ending {
        let steps = retirement.steps();
        let partial = is_partial(&retirement.findings);
        let (events, listener) = self.context.ui.listen();
        let cancel = self.context.stop.token();
        let ground = Ground { account: &self.world.account, keeper: self.keeper() };
        let granted = Grants { ground: &ground, events: &events, cancel: &cancel }.run(&retirement.account).await;
        let mut lost = None;
        if granted.undone > 0 {
            // Whoever still has access may write what would then be deleted.
            let message = "nothing is deleted, because access could not be taken away";
            let finding = Finding::new("deletes-held-back", Severity::Warning, self.target.url(), message);
            let _ = events
                .send(Event::Finding(finding.with_fix("mend what failed, then run the same command again")))
                .await;
        } else if !cancel.is_cancelled() {
            let departure = Departure {
                bucket: self.target.bucket.clone(),
                objects,
                markers: retirement.markers,
                with_bucket: retirement.bucket,
            };
            lost = depart(&self.world.store, departure, &events, &cancel).await.err();
        }
        drop(events);
        let mut summary = listener.finish();
        if let Some(folder) = &granted.backup {
            self.context.ui.note(&format!("what was replaced or taken away is kept in {}", folder.display()));
        }
        summary.planned = steps;
        self.ending(summary, partial, lost)
    }

    fn ending(&self, mut summary: Summary, partial: bool, lost: Option<SpillError>) -> Ending {
        summary.failed += u64::from(lost.is_some());
        summary.closing = Some(format!("Retire: {summary}"));
        let (outcome, last_word) = match lost {
            Some(error) => (Outcome::Failed, Some(unsorted(error))),
            None if self.context.stop.is_asked() => {
                let stopped = CommandError::stopped("what is done stays done");
                (Outcome::Interrupted, Some(stopped.hint("run the same command again: it goes on from here")))
            }
            None if partial && summary.failed == 0 => (Outcome::Partly, None),
            None => (summary.outcome(), None),
        };
        Ending { summary, outcome, closing: Closing::Shown, last_word }
    }

    fn keeper(&self) -> Keeper {
        Keeper {
            root: self.loaded.folder.join(&self.loaded.layout.backup),
            time: self.context.now,
            account: self.world.identity.account.clone(),
            caller: self.world.identity.arn.clone(),
        }
    }
}

/// The temporary file of what is to be deleted does not work.
fn unsorted(error: SpillError) -> CommandError {
    LookError::Spill(error).into()
}
