//! `policy detach`: takes a policy from roles that have it.

use super::account::{self, PolicyRef, Target, TargetArgs, action, consent, warn_of_owner};
use super::attach::{closing, tell};
use crate::commands::{Context, Ending};
use crate::error::CommandError;
use crate::model::{ManagedPolicy, Seen};
use crate::report::{ErrorRecord, Event, Finding, Severity, Status, Summary};
use crate::world::World;
use clap::Args;

/// Detach a managed policy from roles, or from the roles of a cluster's node groups
///
/// Takes away this policy and no other, and the policy itself stays in the account. What does not have it is left alone, so
/// a second run has nothing to do. Shows who loses it and asks on a terminal; elsewhere it needs `--yes`. What a layout
/// grants, the next `apply` attaches again.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bucketwright policy detach FlyteMLS3Access --role trainer
  bucketwright policy detach FlyteMLS3Access --eks-cluster lab --node-groups 'gpu-*' --yes

`policy show FlyteMLS3Access` tells whom it is attached to. Exits 3 if some could not be detached.")]
pub struct DetachArgs {
    /// The policy's name or ARN
    #[arg(value_name = "POLICY")]
    policy: PolicyRef,
    #[command(flatten)]
    targets: TargetArgs,
}

/// Runs the verb.
pub async fn run(args: &DetachArgs, context: &Context) -> Result<Ending, CommandError> {
    let world = account::open_to_write(context).await?;
    let policy = args.policy.find(&world).await?;
    let mut summary = Summary::default();
    let mut holders = Vec::new();
    for target in args.targets.resolve(&world).await? {
        if has(&target, &policy, &world, context).await? {
            let text = format!("{} from role {}", policy.arn, target.role);
            tell(action(Status::Planned, "detach-policy", text.clone(), target.by.clone()), &mut summary, context);
            holders.push((target, text));
        } else {
            summary.unchanged += 1;
        }
    }
    if !holders.is_empty() {
        warn_of_owner(&policy, "attaches it again where a grant says so", context);
        let roles = if holders.len() == 1 { "1 role".to_owned() } else { format!("{} roles", holders.len()) };
        consent(format!("Take {} from {roles}?", policy.name), context).await?;
        context.stop.begin_writing()?;
    }
    for (target, text) in holders {
        if context.stop.is_asked() {
            break;
        }
        match world.account.detach(&target.role, &policy.arn).await {
            Ok(()) => tell(action(Status::Done, "detach-policy", text, target.by), &mut summary, context),
            Err(error) => {
                let record = action(Status::Failed, "detach-policy", text.clone(), error.to_string());
                tell(record, &mut summary, context);
                let record = ErrorRecord::new(error.kind(), error.to_string());
                context.ui.event(&Event::Error(ErrorRecord { target: Some(text), ..record }));
            }
        }
    }
    summary.closing = Some(closing("Detach", "detached", "does not have it", "do not have it", &summary));
    let outcome = summary.outcome();
    Ok(account::ending(summary, outcome, context))
}

/// True if a role has the policy, as far as that may be seen.
async fn has(target: &Target, policy: &ManagedPolicy, world: &World, context: &Context) -> Result<bool, CommandError> {
    Ok(match world.account.role(&target.role).await? {
        Seen::Here(role) => role.attached.contains(&policy.arn),
        Seen::Absent => {
            let message = "there is no such role in this account";
            let finding = Finding::new("role-missing", Severity::Warning, format!("role/{}", target.role), message);
            context.ui.event(&Event::Finding(finding));
            false
        }
        // Taking away what is not there is no error.
        Seen::Hidden(_) => true,
    })
}
