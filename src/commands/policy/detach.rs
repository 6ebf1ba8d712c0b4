//! `policy detach`: takes a policy from roles that have it.

use super::account::{self, PolicyRef, TargetArgs, action};
use super::attach::{closing, tell};
use crate::commands::{Closing, Context, Ending};
use crate::error::CommandError;
use crate::model::Seen;
use crate::report::{ErrorRecord, Event, Finding, Severity, Status, Summary};
use clap::Args;

/// Detach a managed policy from roles, or from the roles of a cluster's node groups
///
/// Takes away this policy and no other, and the policy itself stays in the account. What does not have it is left alone, so
/// a second run has nothing to do. What a layout grants, the next `apply` attaches again.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bucketwright policy detach FlyteMLS3Access --role trainer
  bucketwright policy detach FlyteMLS3Access --eks-cluster lab --node-groups 'gpu-*'

`policy show FlyteMLS3Access` tells whom it is attached to. Exits 3 if some could not be detached.")]
pub struct DetachArgs {
    /// The policy's name or ARN
    #[arg(value_name = "POLICY")]
    policy: PolicyRef,
    #[command(flatten)]
    targets: TargetArgs,
    /// Only these node groups, separated by commas: names, or patterns with `*` and `?`
    #[arg(long, value_name = "NAMES", value_delimiter = ',', requires = "eks_cluster")]
    node_groups: Vec<String>,
}

/// Runs the verb.
pub async fn run(args: &DetachArgs, context: &Context) -> Result<Ending, CommandError> {
    let world = account::open_to_write(context).await?;
    let policy = args.policy.find(&world).await?;
    let targets = args.targets.resolve(&args.node_groups, &world).await?;
    let mut summary = Summary::default();
    for target in targets {
        let has = match world.account.role(&target.role).await? {
            Seen::Here(role) => role.attached.contains(&policy.arn),
            Seen::Absent => {
                let message = "there is no such role in this account";
                let finding = Finding::new("role-missing", Severity::Warning, format!("role/{}", target.role), message);
                context.ui.event(&Event::Finding(finding));
                false
            }
            // Taking away what is not there is no error.
            Seen::Hidden(_) => true,
        };
        if !has {
            summary.unchanged += 1;
            continue;
        }
        context.stop.begin_writing()?;
        let text = format!("{} from role {}", policy.arn, target.role);
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
    Ok(Ending { outcome: summary.outcome(), summary, closing: Closing::Shown, last_word: None })
}
