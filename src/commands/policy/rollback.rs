//! `policy rollback`: puts an older version of a policy in force again.

use super::account::{self, PolicyRef, action, consent, side_of, version_of};
use super::attach::tell;
use super::diff::{Counted, Pair, compare};
use crate::commands::{Closing, Context, Ending};
use crate::error::CommandError;
use crate::model::{ManagedPolicy, Seen, VersionId};
use crate::report::{Outcome, Status, Summary, attachment_names};
use crate::world::World;
use clap::Args;

/// Put an older version of a policy in force again
///
/// Shows what opens and closes by that, and all who have the policy, because it counts for every one of them at once. Then
/// it asks on a terminal; elsewhere it needs `--yes`. No version is made or deleted, so the way forward again is the same
/// verb.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bucketwright policy rollback FlyteMLS3Access
  bucketwright policy rollback FlyteMLS3Access --to v2 --yes

`policy log FlyteMLS3Access` tells what each version says. Where a layout owns the policy, change the layout too: its next
`apply` puts its own document in force.")]
pub struct RollbackArgs {
    /// The policy's name or ARN
    #[arg(value_name = "POLICY")]
    policy: PolicyRef,
    /// The version to put in force; without it the newest of those that are older than the one in force
    #[arg(long, value_name = "VERSION")]
    to: Option<VersionId>,
}

/// Runs the verb.
pub async fn run(args: &RollbackArgs, context: &Context) -> Result<Ending, CommandError> {
    let world = account::open_to_write(context).await?;
    let policy = args.policy.find(&world).await?;
    if policy.arn.account() == "aws" {
        return Err(CommandError::usage(format!("`{}` is kept by AWS, and nobody else rolls it back", policy.name)));
    }
    let now = policy.default_version;
    let to = match args.to {
        Some(to) => version_of(&policy, to)?.id,
        None => older(&policy)?,
    };
    if to == now {
        let closing = Some(format!("Rollback: nothing to do, {to} of {} is in force", policy.name));
        let summary = Summary { unchanged: 1, closing, ..Summary::default() };
        return Ok(Ending { summary, outcome: Outcome::Done, closing: Closing::Shown, last_word: None });
    }
    let name = format!("{} {now} -> {to}", policy.name);
    let before = side_of(&name, &version_of(&policy, now)?.document)?;
    let after = side_of(&name, &version_of(&policy, to)?.document)?;
    compare(&Pair::of_documents(name, before, after), context, &mut Counted::default())?;
    let who = whom(&policy, &world, context).await?;
    let target = format!("{}@{to}", policy.arn);
    let reason = format!("{now} is in force; {who}");
    let mut summary = Summary::default();
    tell(action(Status::Planned, "set-default-version", target.clone(), reason), &mut summary, context);
    consent(format!("Put {to} of {} in force?", policy.name), context).await?;
    context.stop.begin_writing()?;
    world.account.set_default(&policy.arn, to).await?;
    tell(action(Status::Done, "set-default-version", target, format!("was {now}")), &mut summary, context);
    summary.closing = Some(format!("Rollback: {to} of {} is in force, was {now}", policy.name));
    Ok(Ending { outcome: summary.outcome(), summary, closing: Closing::Shown, last_word: None })
}

fn older(policy: &ManagedPolicy) -> Result<VersionId, CommandError> {
    let older = policy.versions.iter().map(|version| version.id).filter(|id| *id < policy.default_version).max();
    older.ok_or_else(|| {
        let message = format!("policy `{}` has no version older than {}", policy.name, policy.default_version);
        account::missing(message).hint("`policy restore` puts back what stands in a backup")
    })
}

/// All who have the policy, in words.
async fn whom(policy: &ManagedPolicy, world: &World, context: &Context) -> Result<String, CommandError> {
    account::warn_of_owner(policy, "puts its own document in force again", context);
    Ok(match world.account.attachments(&policy.arn).await? {
        Seen::Here(attachments) => match attachment_names(&attachments) {
            names if names.is_empty() => "attached to nobody".to_owned(),
            names => format!("it counts at once for {}", names.join(", ")),
        },
        Seen::Absent => "attached to nobody".to_owned(),
        Seen::Hidden(why) => format!("for whom it counts may not be seen: {why}"),
    })
}
