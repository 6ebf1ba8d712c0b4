//! `policy attach`: gives a policy to roles that do not have it yet.

use super::account::{self, PolicyRef, Target, TargetArgs, action};
use crate::commands::{Closing, Context, Ending};
use crate::error::CommandError;
use crate::model::{Arn, ManagedPolicy, RoleName, Seen};
use crate::report::{ActionRecord, ErrorRecord, Event, Finding, Outcome, Severity, Status, Summary};
use crate::world::World;
use clap::Args;

/// Attach a managed policy to roles, or to the roles of a cluster's node groups
///
/// Adds and never replaces: other policies of the role stay. What has the policy already is left alone, so a second run has
/// nothing to do. The roles of node groups are asked of EKS, because their names do not follow from those of the groups;
/// groups that share a role get it once. Before anything is written, every role is looked at: that it is there, that it may
/// be written, and that it has room (10 policies, unless AWS raised it).
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bucketwright policy attach FlyteMLS3Access --role trainer
  bucketwright policy attach FlyteMLS3Access --eks-cluster education-eks-vV8VCAqw
  bucketwright policy attach FlyteMLS3Access --eks-cluster lab --node-groups 'gpu-*',default
  bucketwright policy attach arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess --role analyst

It takes some seconds until IAM has told everybody. Pods get it by the node's role only where they reach the metadata
service. What a layout grants, `apply` attaches; this is for policies that no layout has.
Exits 3 if some could not be attached.")]
pub struct AttachArgs {
    /// The policy's name or ARN
    #[arg(value_name = "POLICY")]
    policy: PolicyRef,
    #[command(flatten)]
    targets: TargetArgs,
}

/// What is to be done about one role.
enum Verdict {
    /// It has the policy.
    Has,
    /// It takes it.
    Takes,
    /// It cannot, for a reason of that kind.
    Cannot(&'static str, String),
}

/// Runs the verb.
pub async fn run(args: &AttachArgs, context: &Context) -> Result<Ending, CommandError> {
    let world = account::open_to_write(context).await?;
    let policy = args.policy.find(&world).await?;
    let targets = args.targets.resolve(&world).await?;
    // Where the quota may not be read, IAM itself says no.
    let most = world.account.quotas().await?.here().map(|quotas| quotas.attached_policies_per_role);
    let mut judged = Vec::new();
    for target in targets {
        let verdict = judge(&target.role, &policy, most, &world, context).await?;
        judged.push((target, verdict));
    }
    let mut summary = Summary::default();
    // A quota that stops one of them stops them all: half of the nodes with access is worse than none.
    if judged.iter().any(|(_, verdict)| matches!(verdict, Verdict::Cannot(..))) {
        for (target, verdict) in &judged {
            if let Verdict::Cannot(kind, why) = verdict {
                fail(&policy, target, kind, why.clone(), &mut summary, context);
            }
        }
        summary.closing = Some(format!("Attach: nothing was written, {} cannot take {}", summary.failed, policy.name));
        return Ok(Ending { summary, outcome: Outcome::Failed, closing: Closing::Shown, last_word: None });
    }
    if judged.iter().any(|(_, verdict)| matches!(verdict, Verdict::Takes)) {
        context.stop.begin_writing()?;
    }
    for (target, verdict) in &judged {
        if context.stop.is_asked() {
            break;
        }
        match verdict {
            Verdict::Takes => match world.account.attach(&target.role, &policy.arn).await {
                Ok(()) => {
                    let record =
                        action(Status::Done, "attach-policy", target_text(&policy.arn, target), target.by.clone());
                    tell(record, &mut summary, context);
                }
                Err(error) => fail(&policy, target, error.kind(), error.to_string(), &mut summary, context),
            },
            _ => summary.unchanged += 1,
        }
    }
    summary.closing = Some(closing("Attach", "attached", "has it already", "have it already", &summary));
    let outcome = summary.outcome();
    Ok(account::ending(summary, outcome, context))
}

/// `ARN to role NAME`
fn target_text(policy: &Arn, target: &Target) -> String {
    format!("{policy} to role {}", target.role)
}

pub(super) fn tell(record: ActionRecord, summary: &mut Summary, context: &Context) {
    let event = Event::Action(record);
    summary.count(&event);
    context.ui.event(&event);
}

fn fail(
    policy: &ManagedPolicy,
    target: &Target,
    kind: &'static str,
    why: String,
    summary: &mut Summary,
    context: &Context,
) {
    let text = target_text(&policy.arn, target);
    tell(action(Status::Failed, "attach-policy", text.clone(), why.clone()), summary, context);
    context.ui.event(&Event::Error(ErrorRecord { target: Some(text), ..ErrorRecord::new(kind, why) }));
}

/// `Attach: 2 attached, 1 has it already`
pub(super) fn closing(verb: &str, done: &str, one: &str, several: &str, summary: &Summary) -> String {
    let mut parts = Vec::new();
    if summary.done > 0 {
        parts.push(format!("{} {done}", summary.done));
    }
    match summary.unchanged {
        0 => {}
        1 => parts.push(format!("1 {one}")),
        many => parts.push(format!("{many} {several}")),
    }
    if summary.failed > 0 {
        parts.push(format!("{} failed", summary.failed));
    }
    let nothing = if summary.done + summary.failed == 0 { "nothing to do, " } else { "" };
    format!("{verb}: {nothing}{}", parts.join(", "))
}

/// Looks at a role before anything is written.
async fn judge(
    role: &RoleName,
    policy: &ManagedPolicy,
    most: Option<u64>,
    world: &World,
    context: &Context,
) -> Result<Verdict, CommandError> {
    let found = match world.account.role(role).await? {
        Seen::Here(found) => found,
        Seen::Absent => return Ok(Verdict::Cannot("not-found", format!("there is no role `{role}` in this account"))),
        Seen::Hidden(why) => {
            let message = format!("whether it has the policy and room for it could not be looked at: {why}");
            context.ui.event(&Event::Finding(Finding::new("not-visible", Severity::Warning, role, message)));
            return Ok(Verdict::Takes);
        }
    };
    if found.attached.contains(&policy.arn) {
        return Ok(Verdict::Has);
    }
    if found.arn.resource().starts_with("role/aws-service-role/") {
        let why = "it is a service's own role, which only that service changes";
        return Ok(Verdict::Cannot("unmodifiable", why.to_owned()));
    }
    Ok(match most {
        Some(most) if found.attached.len() as u64 >= most => {
            Verdict::Cannot("limit-exceeded", format!("it has {} policies, and {most} are all", found.attached.len()))
        }
        _ => Verdict::Takes,
    })
}
