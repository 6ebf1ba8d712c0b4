//! `policy restore`: puts back what a backup has and the account lacks.

use super::account::{self, PolicyRef, action, consent, parse_role};
use super::attach::tell;
use super::show::is_role;
use crate::commands::{Closing, Context, Ending};
use crate::error::CommandError;
use crate::local;
use crate::model::{IamQuotas, PolicyName, RelativePath, RoleName};
use crate::policy::backup::{Backup, MANIFEST, Observed, Restore, RestoreStep, Wanted, plan_restore};
use crate::report::{ErrorRecord, Event, Outcome, Status, Summary};
use crate::world::{AccountError, World};
use clap::Args;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The longest file of a backup that is read; no document that IAM takes comes near.
const MAX_FILE_BYTES: u64 = 8 * 1024 * 1024;

/// Put back what a backup has and the account lacks
///
/// Makes policies and roles that are gone, puts the backed-up document of a policy in force where another one is, and
/// attaches what is no longer attached. Nothing is deleted, and what differs otherwise (a trust policy, an inline policy, a
/// boundary) is named and left as it is. Shows all of it first and asks on a terminal; elsewhere it needs `--yes`. What has
/// another owner than when it was backed up is left alone. Policies and lifecycle rules of buckets are kept in backups for
/// people to read, and are not put back by this verb: `apply` is the way for those.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bucketwright policy restore backups/245966534215/2026-11-23T120000Z
  bucketwright policy restore backups/245966534215/2026-11-23T120000Z FlyteMLS3Access role/trainer --yes

A file that was changed since it was written is refused by its SHA-256. Exits 3 if something could not be put back.")]
pub struct RestoreArgs {
    /// The backup: the folder that holds manifest.json
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// Only these: policies by name, roles as `role/NAME`
    #[arg(value_name = "NAME")]
    names: Vec<String>,
}

/// Runs the verb.
pub async fn run(args: &RestoreArgs, context: &Context) -> Result<Ending, CommandError> {
    let backup = read(&args.folder)?;
    let wanted = wanted(&args.names, &backup)?;
    let world = account::open_to_write(context).await?;
    check_account(&backup, &world)?;
    let observed = observe(&backup, &world).await?;
    let plan = plan_restore(&backup, &wanted, &observed)?;
    for finding in &plan.findings {
        context.ui.event(&Event::Finding(finding.clone()));
    }
    let mut summary = Summary { unchanged: plan.unchanged, ..Summary::default() };
    let partly = if plan.findings.is_empty() { Outcome::Done } else { Outcome::Partly };
    if plan.steps.is_empty() {
        summary.closing = Some(format!("Restore: nothing to do, {} as backed up", plan.unchanged));
        return Ok(Ending { summary, outcome: partly, closing: Closing::Shown, last_word: None });
    }
    for (step, reason) in &plan.steps {
        tell(action(Status::Planned, step.action(), step.target(), reason.clone()), &mut summary, context);
    }
    consent(format!("Restore {} of them?", plan.steps.len()), context).await?;
    context.stop.begin_writing()?;
    execute(&plan, &world, &mut summary, context).await;
    let failed = if summary.failed > 0 { format!(", {} failed", summary.failed) } else { String::new() };
    summary.closing = Some(format!("Restore: {} put back{failed}, {} as backed up", summary.done, plan.unchanged));
    let outcome = if summary.failed > 0 { summary.outcome() } else { partly };
    Ok(account::ending(summary, outcome, context))
}

fn read(folder: &Path) -> Result<Backup, CommandError> {
    let text = |path: &Path| -> Result<Option<String>, std::io::Error> {
        Ok(local::read_at_most(path, MAX_FILE_BYTES)?.and_then(|bytes| String::from_utf8(bytes).ok()))
    };
    let path = folder.join(MANIFEST);
    let manifest = text(&path).map_err(|error| {
        let failed = CommandError::unreadable(&path, &error);
        match local::backups_below(folder, MANIFEST).last() {
            Some(newest) => failed.hint(format!("the newest backup below is `{}`", newest.display())),
            None => failed,
        }
    })?;
    let manifest = manifest.ok_or_else(|| {
        CommandError::new("backup", Outcome::Invalid, format!("`{}` is too large or no text", path.display()))
    })?;
    let file = |file: &RelativePath| text(&folder.join(file.as_str())).ok().flatten();
    Ok(Backup::read(&manifest, file)?)
}

/// What the names mean; one that the backup lacks is a mistake.
fn wanted(names: &[String], backup: &Backup) -> Result<Wanted, CommandError> {
    let mut wanted = Wanted::default();
    let lacks = |name: &str| account::missing(format!("the backup has no `{name}`"));
    for text in names {
        if is_role(text) {
            let name = parse_role(text).map_err(CommandError::usage)?.name;
            if !backup.manifest.roles.iter().any(|entry| RoleName::of_arn(&entry.arn).as_ref() == Some(&name)) {
                return Err(lacks(text));
            }
            wanted.roles.insert(name);
        } else {
            let name = match text.parse::<PolicyRef>().map_err(CommandError::usage)? {
                PolicyRef::Name(name) => Some(name),
                PolicyRef::Arn(arn) => PolicyName::of_arn(&arn),
            };
            let entries = &backup.manifest.policies;
            let name =
                name.filter(|name| entries.iter().any(|entry| PolicyName::of_arn(&entry.arn).as_ref() == Some(name)));
            wanted.policies.insert(name.ok_or_else(|| lacks(text))?);
        }
    }
    Ok(wanted)
}

fn check_account(backup: &Backup, world: &World) -> Result<(), CommandError> {
    match (&backup.manifest.account, &world.identity.account) {
        (Some(then), Some(now)) if then != now => {
            let message = format!("the backup is of account `{then}`, these credentials are of `{now}`");
            Err(CommandError::new("wrong-account", Outcome::Invalid, message)
                .hint("choose the right `--profile`; nothing was written"))
        }
        _ => Ok(()),
    }
}

/// What the account has now of what the backup names.
async fn observe(backup: &Backup, world: &World) -> Result<Observed, CommandError> {
    let quotas = world.account.quotas().await?;
    let most = quotas.here().map_or(IamQuotas::USUAL.versions_per_policy, |quotas| quotas.versions_per_policy);
    let mut observed = Observed { versions_per_policy: most, ..Observed::default() };
    for entry in &backup.manifest.policies {
        if let Some(name) = PolicyName::of_arn(&entry.arn) {
            let seen = world.account.policy_named(&name).await?;
            observed.policies.insert(name, seen);
        }
    }
    let attached = backup.manifest.policies.iter().flat_map(|entry| &entry.attachments);
    let mut roles: Vec<RoleName> = attached.flat_map(|attachments| attachments.roles.clone()).collect();
    roles.extend(backup.manifest.roles.iter().filter_map(|entry| RoleName::of_arn(&entry.arn)));
    roles.sort();
    roles.dedup();
    for name in roles {
        let seen = world.account.role(&name).await?;
        observed.roles.insert(name, seen);
    }
    Ok(observed)
}

async fn execute(plan: &Restore, world: &World, summary: &mut Summary, context: &Context) {
    let mut unbounded: BTreeSet<&RoleName> = BTreeSet::new();
    for (step, _) in &plan.steps {
        if context.stop.is_asked() {
            return;
        }
        if step.bounded().is_some_and(|role| unbounded.contains(role)) {
            let why = "the role did not get its boundary back".to_owned();
            tell(action(Status::Skipped, step.action(), step.target(), why), summary, context);
            continue;
        }
        match take(step, world).await {
            Ok(()) => tell(action(Status::Done, step.action(), step.target(), String::new()), summary, context),
            Err(error) => {
                if let RestoreStep::PutBoundary { role, .. } = step {
                    unbounded.insert(role);
                }
                tell(action(Status::Failed, step.action(), step.target(), error.to_string()), summary, context);
                let hints = error.hint().map(str::to_owned).into_iter().collect();
                let record = ErrorRecord::new(error.kind(), error.to_string());
                context.ui.event(&Event::Error(ErrorRecord { hints, target: Some(step.target()), ..record }));
            }
        }
    }
}

/// The path of an entity: what stands in its ARN between the kind and the name.
fn path_of(arn: &crate::model::Arn) -> String {
    let rest = arn.resource().split_once('/').map_or("", |(_, rest)| rest);
    rest.rsplit_once('/').map_or_else(|| "/".to_owned(), |(path, _)| format!("/{path}/"))
}

async fn take(step: &RestoreStep, world: &World) -> Result<(), AccountError> {
    let account = &world.account;
    match step {
        RestoreStep::CreatePolicy { arn, description, document, tags } => match PolicyName::of_arn(arn) {
            Some(name) => account.create_policy(&name, &path_of(arn), description, document, tags).await.map(|_| ()),
            None => Ok(()),
        },
        RestoreStep::CreateVersion { arn, document } => account.create_version(arn, document).await.map(|_| ()),
        RestoreStep::SetDefault { arn, version } => account.set_default(arn, *version).await,
        RestoreStep::CreateRole { arn, description, trust, tags } => match RoleName::of_arn(arn) {
            Some(name) => account.create_role(&name, &path_of(arn), description, trust, tags).await.map(|_| ()),
            None => Ok(()),
        },
        RestoreStep::PutInline { role, name, document } => account.put_inline(role, name, document).await,
        RestoreStep::PutBoundary { role, policy } => account.put_boundary(role, policy).await,
        RestoreStep::Attach { role, policy } => account.attach(role, policy).await,
    }
}
