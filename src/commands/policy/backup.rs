//! `policy backup`: policies, roles and what buckets say about access, written to files.

use super::account::{self, PolicyRef, RoleRef, action, own_account, parse_role};
use super::attach::tell;
use super::eval::is_layout;
use super::show::is_role;
use crate::access;
use crate::commands::{Closing, Context, Ending, LayoutArgs, announced, load, observe, reach};
use crate::error::CommandError;
use crate::layout::Layout;
use crate::local;
use crate::model::{ManagedPolicy, Reading, RoleName, Seen};
use crate::policy::backup::{Backup, MANIFEST};
use crate::report::{Event, Finding, Outcome, Severity, Status, Summary};
use crate::world::World;
use clap::Args;
use futures_util::stream::{self, StreamExt as _};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// How many roles are read at once: each takes several calls, and IAM throttles whole accounts.
const ROLES_AT_ONCE: usize = 4;

/// Back up policies and roles of the account, and what buckets say about access
///
/// Writes DIR/ACCOUNT/TIME/ with each version of each policy, each role with its trust policy, inline policies,
/// attachments and boundary, and a manifest with the SHA-256 of each file. Without names all policies of the account and
/// all roles but those of AWS's services; with names those, and the roles that have them; with a layout the policies and
/// roles of its grants, and the policies and lifecycle rules of its buckets. Nothing in it is secret, yet nobody else may
/// read it: it tells who may do what.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bucketwright policy backup --to backups
  bucketwright policy backup FlyteMLS3Access role/trainer --to backups
  bucketwright policy backup layout.toml --to backups

`policy restore DIR` puts back what is missing. Exits 3 if something may not be read; it is named, and the rest is there.")]
pub struct BackupArgs {
    /// Policies by name or ARN, roles as `role/NAME`, or one layout (a file ending in .toml); without any, all
    #[arg(value_name = "WHAT")]
    what: Vec<String>,
    /// The folder that backups are kept in; each gets a folder of its own below
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
    /// Environment of the layout
    #[arg(long, value_name = "NAME")]
    env: Option<String>,
}

/// What to take in.
#[derive(Debug, Default)]
struct Taken {
    policies: Vec<ManagedPolicy>,
    roles: BTreeSet<RoleName>,
    /// What may not be read.
    hidden: Vec<Finding>,
}

impl Taken {
    fn hide(&mut self, what: impl std::fmt::Display, why: &str) {
        let finding = Finding::new("not-visible", Severity::Warning, what, format!("it may not be read: {why}"));
        self.hidden.push(finding.with_fix("back it up with rights that may read it"));
    }
}

/// Runs the verb.
pub async fn run(args: &BackupArgs, context: &Context) -> Result<Ending, CommandError> {
    let (world, layout) = match &args.what[..] {
        [only] if is_layout(Path::new(only)) => {
            let loaded = load(&LayoutArgs { layout: only.into(), env: args.env.clone() }, context)?;
            (account::with_account(reach(&loaded.layout, context).await?)?, Some(loaded.layout))
        }
        _ => (account::open_to_write(context).await?, None),
    };
    let mut backup = Backup::new(context.now, world.identity.account.clone(), world.identity.arn.clone());
    let mut taken = match &layout {
        Some(layout) => of_layout(layout, &world, &mut backup).await?,
        None if args.what.is_empty() => announced("reading the account", everything(&world), context).await?,
        None => named(&args.what, &world).await?,
    };
    fill(&mut backup, &mut taken, &world, layout.is_some() || !args.what.is_empty()).await?;
    for finding in &taken.hidden {
        context.ui.event(&Event::Finding(finding.clone()));
    }
    if backup.is_empty() {
        return Err(account::missing("there is nothing to back up".to_owned()));
    }
    context.stop.begin_writing()?;
    let folder = write(&backup, &args.to).await?;
    let mut summary = Summary::default();
    let (policies, roles) = (backup.manifest.policies.len(), backup.manifest.roles.len());
    let buckets = backup.manifest.buckets.len();
    let held = held(policies, roles, buckets);
    tell(
        action(Status::Done, "write-backup", folder.join(MANIFEST).display().to_string(), held.clone()),
        &mut summary,
        context,
    );
    summary.closing = Some(format!("Backup: {held} in {}", folder.display()));
    let outcome = if taken.hidden.is_empty() { Outcome::Done } else { Outcome::Partly };
    Ok(Ending { summary, outcome, closing: Closing::Shown, last_word: None })
}

/// `2 policies, 1 role`
fn held(policies: usize, roles: usize, buckets: usize) -> String {
    let parts = [(policies, "policy", "policies"), (roles, "role", "roles"), (buckets, "bucket", "buckets")];
    let parts = parts.iter().filter(|(count, ..)| *count > 0);
    parts
        .map(|(count, one, many)| format!("{count} {}", if *count == 1 { one } else { many }))
        .collect::<Vec<_>>()
        .join(", ")
}

/// Writes a backup below `root`.
pub(super) async fn write(backup: &Backup, root: &Path) -> Result<PathBuf, CommandError> {
    let (root, name, files) = (root.to_owned(), backup.folder(), backup.files());
    let shown = root.clone();
    let written = tokio::task::spawn_blocking(move || local::write_backup(&root, &name, &files)).await;
    let written = written.map_err(|_| CommandError::interrupted())?;
    written.map_err(|error| CommandError::unwritable(&shown, &error))
}

async fn everything(world: &World) -> Result<Taken, CommandError> {
    let policies = world.account.policies().await?;
    let roles = world.account.roles().await?;
    let own = roles.iter().filter(|arn| !arn.resource().starts_with("role/aws-service-role/"));
    Ok(Taken { policies, roles: own.filter_map(RoleName::of_arn).collect(), hidden: Vec::new() })
}

async fn named(what: &[String], world: &World) -> Result<Taken, CommandError> {
    let mut taken = Taken::default();
    for text in what {
        if is_role(text) {
            let RoleRef { name, account } = parse_role(text).map_err(CommandError::usage)?;
            if let Some(account) = account {
                own_account(world, account.as_str())?;
            }
            if let Seen::Absent = world.account.role(&name).await? {
                return Err(account::missing(format!("there is no role `{name}` in this account")));
            }
            taken.roles.insert(name);
        } else {
            let policy: PolicyRef = text.parse().map_err(CommandError::usage)?;
            taken.policies.push(policy.find(world).await?);
        }
    }
    Ok(taken)
}

/// The policies of a layout's grants with the roles that they are for, and its buckets.
async fn of_layout(layout: &Layout, world: &World, backup: &mut Backup) -> Result<Taken, CommandError> {
    let mut taken = Taken::default();
    for name in account::policies_of(layout, world)? {
        match world.account.policy_named(&name).await? {
            Seen::Here(policy) => taken.policies.push(policy),
            // It was not made yet.
            Seen::Absent => {}
            Seen::Hidden(why) => taken.hide(format!("policy {name}"), &why),
        }
    }
    // Whatever role of nodes has a policy is found by it.
    taken.roles = access::roles_of(layout, &BTreeMap::new());
    for (bucket, state) in observe(layout, world).await? {
        let policy = match &state.policy {
            Reading::Known(policy) => policy.as_ref(),
            Reading::Denied(why) => {
                taken.hide(format!("the policy of s3://{bucket}"), why);
                None
            }
            _ => None,
        };
        let lifecycle = match &state.lifecycle {
            Reading::Known(lifecycle) => Some(lifecycle),
            Reading::Denied(why) => {
                taken.hide(format!("the lifecycle rules of s3://{bucket}"), why);
                None
            }
            _ => None,
        };
        if policy.is_some() || lifecycle.is_some_and(|lifecycle| !lifecycle.rules.is_empty()) {
            backup.add_bucket(&bucket, policy, lifecycle);
        }
    }
    Ok(taken)
}

/// Puts policies and roles in, and with `follow` the roles that have the policies.
async fn fill(backup: &mut Backup, taken: &mut Taken, world: &World, follow: bool) -> Result<(), CommandError> {
    let mut policies = std::mem::take(&mut taken.policies);
    for policy in &mut policies {
        // Nobody can write it again once it is lost.
        if policy.description.is_none() {
            match world.account.description(&policy.arn).await? {
                Seen::Here(description) => policy.description = description,
                Seen::Absent => {}
                Seen::Hidden(why) => taken.hide(format!("what {} is for", policy.arn), &why),
            }
        }
        let attachments = match world.account.attachments(&policy.arn).await? {
            Seen::Here(attachments) => Some(attachments),
            Seen::Absent => None,
            Seen::Hidden(why) => {
                taken.hide(format!("whom {} is attached to", policy.arn), &why);
                None
            }
        };
        if follow {
            taken.roles.extend(attachments.iter().flat_map(|attachments| attachments.roles.clone()));
        }
        backup.add_policy(policy, attachments.as_ref());
    }
    let names = std::mem::take(&mut taken.roles);
    let reads = names.into_iter().map(|name| async move { (world.account.role(&name).await, name) });
    let mut roles = stream::iter(reads).buffered(ROLES_AT_ONCE);
    while let Some((role, name)) = roles.next().await {
        match role? {
            Seen::Here(role) => backup.add_role(&role),
            Seen::Absent => {}
            Seen::Hidden(why) => taken.hide(format!("role {name}"), &why),
        }
    }
    Ok(())
}
