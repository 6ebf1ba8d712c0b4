//! `apply`: makes the world as the layout wants it, and nothing twice.

mod in_force;

use super::{Closing, Context, Ending, LayoutArgs, Load, Loaded, OnlyArgs, Planned, plan, verify};
use crate::apply::access::{Ground, Keeper};
use crate::apply::leftovers::{self, Scope};
use crate::apply::receipts::PendingReceipt;
use crate::apply::transfer::{TransferOptions, Transferred};
use crate::apply::{Applied, Apply};
use crate::error::CommandError;
use crate::local::{self, Journal};
use crate::model::{Algorithm, Arn, BucketName, HumanCount, ObjectKey, RoleName};
use crate::plan::{Plan, Step};
use crate::report::{Event, Outcome, Summary};
use crate::ui::Confirmation;
use crate::world::World;
use clap::{Args, ValueEnum};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use tokio::sync::mpsc;

/// The largest saved plan that is read: a plan of a million uploads stays below.
const MAX_PLAN_BYTES: u64 = 1024 * 1024 * 1024;

/// Make buckets, settings, folders, datasets and grants as the layout says
///
/// Shows the plan and asks on a terminal; elsewhere it needs `--yes` or a saved plan. A second run writes nothing, and a
/// run that was interrupted goes on where it ended. What exists without this tool's tag is left alone unless the layout
/// says `adopt = true`. Policies and roles are written after the folders; what is replaced or taken away is backed up
/// first.
///
/// Where access of a role changed and the role can be taken from here, the run ends when the change is in force: three
/// answers in a row are as planned, for two minutes at most.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bucketwright apply --local --yes --verify
  bucketwright apply layout.toml --env prod --profile adfs
  bucketwright plan --save plan.json && bucketwright apply --plan plan.json")]
pub struct ApplyArgs {
    #[command(flatten)]
    layout: LayoutArgs,
    #[command(flatten)]
    only: OnlyArgs,
    /// Apply exactly this saved plan; refused if the world has moved since
    #[arg(long, value_name = "FILE")]
    plan: Option<PathBuf>,
    /// Afterwards draw the tree and verify settings, data and access, also as the roles that changed
    #[arg(long)]
    verify: bool,
    /// The checksum that uploads carry: crc64nvme, sha256, or md5 for servers that know no other
    #[arg(long, value_enum, default_value_t = ChecksumChoice::Crc64nvme, value_name = "ALGORITHM")]
    #[arg(hide_possible_values = true)]
    checksum: ChecksumChoice,
}

/// The checksums that an upload can carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum ChecksumChoice {
    /// CRC-64/NVME, for the whole object also in multipart uploads
    Crc64nvme,
    /// SHA-256
    Sha256,
    /// MD5, for servers that know no other
    Md5,
}

impl ChecksumChoice {
    pub(super) const fn algorithm(self) -> Algorithm {
        match self {
            Self::Crc64nvme => Algorithm::Crc64Nvme,
            Self::Sha256 => Algorithm::Sha256,
            Self::Md5 => Algorithm::Md5,
        }
    }
}

/// Runs the verb.
pub async fn run(args: &ApplyArgs, context: &Context) -> Result<Ending, CommandError> {
    let loaded = super::load(&args.layout, context)?;
    let world = super::reach(&loaded.layout, context).await?;
    let mut planned = super::plan_all(&loaded, &world, args.only.sections(), context).await?;
    let plan = &mut planned.plan;
    let load = Load::of(plan);
    if load.absent > 0 && args.only.is_only_datasets() {
        return Err(plan::absent_source(plan));
    }
    if super::refusals(plan) > 0 {
        context.ui.show_plan(plan);
        let failed = CommandError::new("refused", Outcome::Failed, "the plan has errors, nothing was written");
        return Err(failed.hint("mend what the findings above name, then run it again"));
    }
    if load.work > 0 {
        consent(args, plan, &world, context).await?;
    } else {
        context.ui.show_plan(plan);
        // What is left out was just shown, and need not be shown again.
        plan.actions.clear();
        plan.account.clear();
    }
    context.stop.begin_writing()?;
    let turned = std::mem::take(&mut planned.turned);
    let (ending, changed) = carry_out(args, &loaded, planned, load, &world, context).await;
    let is_done = matches!(ending.outcome, Outcome::Done | Outcome::Partly);
    // What failed leaves roles in a state that nobody planned.
    let takeable = match is_done && ending.summary.failed == 0 && !changed.is_empty() {
        true => Box::pin(in_force::wait(&turned, &changed, &world, context)).await,
        false => Vec::new(),
    };
    if is_done && context.stop.is_asked() {
        let stopped = CommandError::stopped("everything is written; whether it is in force was not waited for");
        return Ok(Ending { outcome: Outcome::Interrupted, last_word: Some(stopped), ..ending });
    }
    if args.verify && is_done {
        return Ok(prove(&loaded, &world, &takeable, ending, context).await);
    }
    Ok(ending)
}

/// Nothing is written before somebody said yes: here, with `--yes`, or by saving the very same plan.
async fn consent(args: &ApplyArgs, plan: &Plan, world: &World, context: &Context) -> Result<(), CommandError> {
    if let Some(path) = &args.plan {
        return same_as_saved(path, plan, world);
    }
    if context.yes {
        for finding in &plan.findings {
            context.ui.event(&Event::Finding(finding.clone()));
        }
        return Ok(());
    }
    context.ui.show_plan(plan);
    let ui = context.ui.clone();
    // Waiting for a person must not keep the program from hearing Ctrl-C.
    let answer = tokio::task::spawn_blocking(move || ui.confirm("Apply this plan?")).await;
    match answer.unwrap_or(Confirmation::No) {
        Confirmation::Yes => Ok(()),
        Confirmation::No => Err(CommandError::new("declined", Outcome::Failed, "not confirmed; nothing was written")),
        Confirmation::NobodyThere => {
            Err(CommandError::usage("nobody is here to confirm the plan, nothing was written")
                .hint("pass `--yes`, or save the plan with `plan --save FILE` and pass `--plan FILE`"))
        }
    }
}

fn same_as_saved(path: &Path, plan: &Plan, world: &World) -> Result<(), CommandError> {
    let unreadable = |why: &str| CommandError::usage(format!("`{}` is no saved plan: {why}", path.display()));
    let bytes = local::read_at_most(path, MAX_PLAN_BYTES)
        .map_err(|error| CommandError::unreadable(path, &error))?
        .ok_or_else(|| unreadable("it is too large"))?;
    let saved: Value = serde_json::from_slice(&bytes).map_err(|error| unreadable(&error.to_string()))?;
    let fresh = plan::saved_form(plan, world);
    if saved.get("format") != fresh.get("format") {
        return Err(unreadable("its format is not this version's"));
    }
    if saved == fresh {
        return Ok(());
    }
    Err(CommandError::new("plan-moved", Outcome::Differs, moved(&saved, &fresh, plan))
        .hint("look at a new plan with `plan`, save it again, then apply that"))
}

/// The first thing that differs, in words.
fn moved(saved: &Value, fresh: &Value, plan: &Plan) -> String {
    for field in ["endpoint", "account", "region"] {
        if saved.get(field) != fresh.get(field) {
            let text = |value: &Value| value.get(field).map(ToString::to_string).unwrap_or_default();
            return format!("the saved plan is for another {field}: {} there, {} here", text(saved), text(fresh));
        }
    }
    let none = Vec::new();
    let listed = |field: &str| [saved, fresh].map(|value| value.get(field).and_then(Value::as_array).unwrap_or(&none));
    let ([before, now], [granted, grants]) = (listed("actions"), listed("access"));
    let new = now.iter().zip(&plan.actions).find(|(action, _)| !before.contains(action));
    let new = new.map(|(_, action)| (action.kind(), action.target())).or_else(|| {
        let new = grants.iter().zip(&plan.account).find(|(action, _)| !granted.contains(action));
        new.map(|(_, action)| (action.kind(), action.target()))
    });
    let moved = "the world has moved since the plan was saved";
    match new {
        Some((kind, target)) => format!("{moved}: {kind} of {target} is not as it was then"),
        None => {
            let (then, now) = (before.len() + granted.len(), now.len() + grants.len());
            format!("{moved}: {then} actions then, {now} now")
        }
    }
}

/// Runs the plan; returns also the roles whose access changed.
async fn carry_out(
    args: &ApplyArgs,
    loaded: &Loaded,
    planned: Planned,
    load: Load,
    world: &World,
    context: &Context,
) -> (Ending, Vec<RoleName>) {
    let Planned { plan, receipts, .. } = planned;
    let unchanged = plan.unchanged;
    let (events, listener) = context.ui.listen();
    let journal = super::journal(world, context);
    if let Some(journal) = journal.as_ref().filter(|_| args.only.sections().datasets) {
        reconcile(loaded, &plan, world, journal, &events).await;
    }
    let transfer = TransferOptions { journal, ..TransferOptions::with_checksum(args.checksum.algorithm()) };
    let keeper = Keeper {
        root: loaded.folder.join(&loaded.layout.backup),
        time: context.now,
        account: world.identity.account.clone(),
        caller: world.identity.arn.clone(),
    };
    let grants = Some(Ground { account: &world.account, keeper });
    let apply = Apply { store: &world.store, events, cancel: context.stop.token(), transfer, grants };
    let Applied { transferred, granted } = apply.run(plan).await;
    drop(apply);
    let mut summary = listener.finish();
    if let Some(folder) = &granted.backup {
        context.ui.note(&format!("what was replaced or taken away is kept in {}", folder.display()));
    }
    for receipt in receipts {
        write_receipt(receipt, &transferred, &mut summary, context);
    }
    summary.planned = load.work;
    summary.unchanged += unchanged;
    summary.skipped += load.odd + if load.work == 0 { load.absent + load.left_alone } else { 0 };
    let (outcome, last_word) = if context.stop.is_asked() {
        let stopped = CommandError::stopped("what is done stays done");
        let mut stopped = stopped.hint("run the same command again: it goes on from here");
        if let Some(kept) = kept(transferred.kept_uploads) {
            stopped = stopped.hint(kept);
        }
        (Outcome::Interrupted, Some(stopped))
    } else {
        if let Some(kept) = kept(transferred.kept_uploads) {
            context.ui.hint(&kept);
        }
        (summary.outcome(), None)
    };
    (Ending { summary, outcome, closing: Closing::Shown, last_word }, granted.changed_roles)
}

/// What is said of uploads that stay unfinished for the next run.
pub(super) fn kept(uploads: u64) -> Option<String> {
    let what = match uploads {
        0 => return None,
        1 => "1 upload keeps its finished parts".to_owned(),
        uploads => format!("{} uploads keep their finished parts", HumanCount(uploads)),
    };
    Some(format!("{what} for that; `uploads list` shows them, `uploads abort` gives them up"))
}

/// Gives up what earlier runs left of the layout's datasets and what this run will not go on with.
async fn reconcile(loaded: &Loaded, plan: &Plan, world: &World, journal: &Journal, events: &mpsc::Sender<Event>) {
    let planned = plan.actions.iter().filter_map(|action| match &action.step {
        Step::Upload(upload) => Some((&action.bucket, &upload.key)),
        _ => None,
    });
    let planned: BTreeSet<(&BucketName, &ObjectKey)> = planned.collect();
    for dataset in &loaded.layout.datasets {
        let scope = Scope {
            source: loaded.folder.join(&dataset.source),
            bucket: dataset.bucket.clone(),
            folder: dataset.folder.clone(),
        };
        let is_wanted = |key: &ObjectKey| planned.contains(&(&dataset.bucket, key));
        leftovers::reconcile(&world.store, journal, &scope, &is_wanted, events).await;
    }
}

fn write_receipt(receipt: PendingReceipt, transferred: &Transferred, summary: &mut Summary, context: &Context) {
    let path = receipt.path.clone();
    match receipt.settle(transferred) {
        Ok(true) => context.ui.note(&format!("wrote the receipt {}", path.display())),
        Ok(false) => {}
        Err(error) => {
            summary.failed += 1;
            context.ui.failure(&CommandError::from(error).records);
        }
    }
}

/// Draws each bucket and verifies it, access also as the roles that the run changed and that can be taken from here; the
/// worse of both outcomes is the run's.
async fn prove(loaded: &Loaded, world: &World, changed: &[Arn], applied: Ending, context: &Context) -> Ending {
    if !context.ui.is_json() {
        context.ui.summary(&applied.summary);
    }
    let looked = async {
        super::tree::draw_layout(loaded, world, context).await?;
        verify::check_all(loaded, world, changed, context).await
    };
    match looked.await {
        Ok(verified) => {
            let outcome = if verified.outcome == Outcome::Done { applied.outcome } else { verified.outcome };
            let summary = Summary { closing: verified.summary.closing, ..applied.summary };
            Ending { summary, outcome, closing: Closing::Shown, last_word: verified.last_word }
        }
        // What was applied is told all the same.
        Err(failed) => {
            Ending { outcome: failed.outcome, closing: Closing::JsonOnly, last_word: Some(failed), ..applied }
        }
    }
}
