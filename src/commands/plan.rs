//! `plan`: shows what `apply` would do, each action with its reason, and writes nothing but the plan itself.

use super::{Closing, Context, Ending, LayoutArgs, Load, OnlyArgs};
use crate::error::CommandError;
use crate::local;
use crate::plan::Plan;
use crate::report::{Outcome, Summary};
use crate::world::World;
use clap::Args;
use serde_json::{Value, json};
use std::path::PathBuf;

/// Show what `apply` would do, each action with its reason
///
/// Looks at every bucket of the layout, and at the policies, roles and clusters of its grants, and compares them with what
/// is wanted: `+` makes something, `~` changes something that is there, `-` takes something away, `!` leaves something out
/// for the reason given. None of them is written to.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bucketwright plan --local
  bucketwright plan --env prod --check     exit 4 if there is anything to do
  bucketwright plan --save plan.json       then: apply --plan plan.json")]
pub struct PlanArgs {
    #[command(flatten)]
    layout: LayoutArgs,
    #[command(flatten)]
    only: OnlyArgs,
    /// Exit 4 if the plan is not empty
    #[arg(long)]
    check: bool,
    /// Save the plan, so that `apply --plan FILE` does this and nothing else
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
}

/// The form of a saved plan, so that a later version can tell what it reads.
const FORMAT: u64 = 2;

/// A plan as it is saved: what would be done, where, and as whom. Equal values mean that nothing moved in between.
pub fn saved_form(plan: &Plan, world: &World) -> Value {
    json!({
        "format": FORMAT,
        "endpoint": world.place,
        "account": world.identity.account,
        "region": world.region,
        "actions": plan.actions,
        "access": plan.account,
    })
}

/// Runs the verb.
pub async fn run(args: &PlanArgs, context: &Context) -> Result<Ending, CommandError> {
    let loaded = super::load(&args.layout, context)?;
    let world = super::reach(&loaded.layout, context).await?;
    let plan = super::plan_all(&loaded, &world, args.only.sections(), context).await?.plan;
    let load = Load::of(&plan);
    if load.absent > 0 && args.only.is_only_datasets() {
        return Err(absent_source(&plan));
    }
    context.ui.show_plan(&plan);
    let refused = super::refusals(&plan) > 0;
    if let Some(path) = &args.save {
        if refused {
            let failed = CommandError::new("refused", Outcome::Failed, "a plan with errors is not saved");
            return Err(failed.hint("mend what the findings name first"));
        }
        let mut text = saved_form(&plan, &world).to_string();
        text.push('\n');
        local::replace_file(path, |out| out.write_all(text.as_bytes()))
            .map_err(|error| CommandError::unwritable(path, &error))?;
        context.ui.note(&format!("saved to {}", path.display()));
    }
    let outcome = match (refused, args.check && load.work > 0, load.is_partial()) {
        (true, _, _) | (_, true, _) => Outcome::Differs,
        (_, _, true) => Outcome::Partly,
        _ => Outcome::Done,
    };
    let summary = Summary {
        planned: load.work,
        skipped: load.absent + load.odd + load.left_alone,
        unchanged: plan.unchanged,
        ..Summary::default()
    };
    Ok(Ending { summary, outcome, closing: Closing::JsonOnly, last_word: None })
}

/// With `--only datasets` an absent source is a mistake, because then nothing else was asked for.
pub fn absent_source(plan: &Plan) -> CommandError {
    let first = plan.actions.iter().find_map(|action| match &action.step {
        crate::plan::Step::SkipDataset { source, .. } => Some(source.as_str()),
        _ => None,
    });
    CommandError::usage(format!("the dataset source `{}` is not here", first.unwrap_or_default()))
        .hint("bring the file to where the layout says, or drop `--only datasets` to do the rest")
}
