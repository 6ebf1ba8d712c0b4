//! `policy show`: what a policy or role of the account says, and whom it is for.

use super::account::{self, PolicyRef, own_account, parse_role};
use super::eval::is_layout;
use crate::commands::{Context, Ending, LayoutArgs, load, reach};
use crate::error::CommandError;
use crate::model::{RoleName, Seen};
use crate::report::{Event, Finding, Outcome, Severity};
use crate::world::World;
use clap::Args;
use std::path::Path;

/// Show policies and roles of the account: what they say in words, and whom they are attached to
///
/// Of a policy the version in force, its statements in words, its other versions, its owner, and all to whom it is
/// attached. Of a role who may take it, its last use, its boundary, its inline policies, and each policy attached to it. Of
/// a layout the policies of its grants as they are in the account, and which of them are not there.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bucketwright policy show FlyteMLS3Access
  bucketwright policy show role/node-group-1-eks-node-group-20250101
  bucketwright policy show arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess
  bucketwright policy show layout.toml
  bucketwright policy show FlyteMLS3Access --output json | \\
      jq 'select(.type == \"managed-policy\") | .default_version.document'

`policy log` tells what changed from version to version. Exits 1 if there is no such policy or role,
4 if policies of the layout are not in the account.")]
pub struct ShowArgs {
    /// A policy's name or ARN, `role/NAME`, a role's ARN, or a layout (a file ending in .toml); several may be given
    #[arg(value_name = "WHAT", required = true)]
    what: Vec<String>,
    /// Environment of the layout
    #[arg(long, value_name = "NAME")]
    env: Option<String>,
}

/// Runs the verb.
pub async fn run(args: &ShowArgs, context: &Context) -> Result<Ending, CommandError> {
    let mut outcome = Outcome::Done;
    let mut world = account::Opened::default();
    for what in &args.what {
        if is_layout(Path::new(what)) {
            let absent = layout(what, args, context).await?;
            if absent > 0 {
                outcome = Outcome::Differs;
            }
        } else if is_role(what) {
            let role = parse_role(what).map_err(CommandError::usage)?;
            let world = world.get(context).await?;
            if let Some(account) = &role.account {
                own_account(world, account.as_str())?;
            }
            show_role(&role.name, world, context).await?;
        } else {
            let policy: PolicyRef = what.parse().map_err(CommandError::usage)?;
            let world = world.get(context).await?;
            let policy = policy.find(world).await?;
            context.ui.event(&Event::ManagedPolicy(account::policy_record(world, &policy).await?));
        }
    }
    Ok(Ending::answered(outcome))
}

/// `role/NAME`, or the ARN of a role.
pub(super) fn is_role(text: &str) -> bool {
    text.starts_with("role/") || text.starts_with("arn:") && text.contains(":role/")
}

async fn show_role(name: &RoleName, world: &World, context: &Context) -> Result<(), CommandError> {
    let role = match world.account.role(name).await? {
        Seen::Here(role) => role,
        Seen::Absent => return Err(account::missing(format!("there is no role `{name}` in this account"))),
        Seen::Hidden(why) => return Err(account::hidden(&format!("role `{name}`"), &why)),
    };
    context.ui.event(&Event::Role(account::role_record(&role)?));
    for arn in role.boundary.iter().chain(&role.attached) {
        match world.account.policy(arn).await? {
            Seen::Here(policy) => {
                context.ui.event(&Event::ManagedPolicy(account::policy_record(world, &policy).await?));
            }
            Seen::Absent => context.ui.warning(&format!("`{arn}` is gone since the role was read")),
            Seen::Hidden(why) => context.ui.warning(&format!("`{arn}` may not be read: {why}")),
        }
    }
    Ok(())
}

/// Shows the policies of a layout's grants; answers how many are not there.
async fn layout(path: &str, args: &ShowArgs, context: &Context) -> Result<usize, CommandError> {
    let loaded = load(&LayoutArgs { layout: path.into(), env: args.env.clone() }, context)?;
    let world = account::with_account(reach(&loaded.layout, context).await?)?;
    let mut absent = 0;
    for name in account::policies_of(&loaded.layout, &world)? {
        match world.account.policy_named(&name).await? {
            Seen::Here(policy) => {
                context.ui.event(&Event::ManagedPolicy(account::policy_record(&world, &policy).await?));
            }
            Seen::Absent => {
                absent += 1;
                let message = "the account has no such policy";
                let finding = Finding::new("policy-missing", Severity::Error, &name, message);
                context.ui.event(&Event::Finding(finding.with_fix(format!("`bucketwright apply {path}` makes it"))));
            }
            Seen::Hidden(why) => return Err(account::hidden(&format!("policy `{name}`"), &why)),
        }
    }
    Ok(absent)
}
