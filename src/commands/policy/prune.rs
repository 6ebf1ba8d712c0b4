//! `policy prune`: deletes policies that nobody has, and versions that are not in force, after backing them up.

use super::account::{self, PolicyRef, action, consent};
use super::attach::tell;
use super::backup;
use crate::access;
use crate::audit::HIDDEN;
use crate::audit::prune::{Candidate, Prune, PruneStep, Rules, Wish, plan};
use crate::commands::uploads::abort::parse_age;
use crate::commands::{Closing, Context, Ending, LayoutArgs, Loaded, announced, load, reach};
use crate::error::CommandError;
use crate::layout::DEFAULT_BACKUP;
use crate::model::{Arn, Attachments, ManagedPolicy, Owner, Seen};
use crate::policy::backup::{Backup, MANIFEST};
use crate::report::{ErrorRecord, Event, Finding, Outcome, Severity, Status, Summary, attachment_names};
use crate::world::{AccountError, World};
use clap::Args;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use jiff::SignedDuration;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// How many policies are looked at at once.
const AT_ONCE: usize = 4;

/// Delete policies that nobody has, or old versions of policies, after backing them up
///
/// Only customer managed policies that are attached to no user, group or role and are nobody's permissions boundary; with
/// `--keep-versions` only versions that are not in force, and no policy. What carries no owner tag of this tool is refused,
/// unless it is named and `--foreign` is passed. All of it is written to a backup first, which `policy restore` takes. Shows
/// what it would delete and asks on a terminal; elsewhere it needs `--yes`. A second run has nothing to do.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bucketwright policy prune OldReader
  bucketwright policy prune --unattached --older-than 90d --yes
  bucketwright policy prune --unattached --layout layout.toml      only what this layout made and no longer names
  bucketwright policy prune FlyteMLS3Access --keep-versions 2
  bucketwright policy prune HandMade --foreign

`policy audit` tells what nobody has, and what is known of its last use. Exits 1 if a named policy may not go, and 3 if
some could not be deleted or looked at.")]
pub struct PruneArgs {
    /// Policies by name or ARN
    #[arg(value_name = "NAME", required_unless_present_any = ["unattached", "keep_versions"])]
    names: Vec<PolicyRef>,
    /// All policies with an owner tag that nobody has
    #[arg(long, conflicts_with_all = ["names", "keep_versions"])]
    unattached: bool,
    /// Only what was last changed longer ago than this, such as 90d
    #[arg(long, value_name = "AGE", value_parser = parse_age)]
    older_than: Option<SignedDuration>,
    /// Delete versions instead, so that N of each policy stay, the one in force among them
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=5))]
    keep_versions: Option<u8>,
    /// Also policies without owner tag, where they are named
    #[arg(long, requires = "names", conflicts_with = "unattached")]
    foreign: bool,
    /// Only policies of this layout that it does not name any more
    #[arg(long, value_name = "LAYOUT")]
    layout: Option<PathBuf>,
    /// Environment of the layout
    #[arg(long, value_name = "NAME", requires = "layout")]
    env: Option<String>,
    /// The folder that backups are kept in; each gets a folder of its own below [default: the layout's, else
    /// .bucketwright/backups]
    #[arg(long, value_name = "DIR")]
    to: Option<PathBuf>,
}

impl PruneArgs {
    fn rules(&self, context: &Context) -> Rules {
        let wish = match self.keep_versions {
            Some(keep) => Wish::Versions { keep: keep.into() },
            None => Wish::Policies,
        };
        let is_named = !self.names.is_empty();
        Rules { wish, older_than: self.older_than, is_named, foreign: self.foreign, now: context.now }
    }

    fn backups(&self, loaded: Option<&Loaded>) -> PathBuf {
        match (&self.to, loaded) {
            (Some(folder), _) => folder.clone(),
            (None, Some(loaded)) => loaded.folder.join(&loaded.layout.backup),
            (None, None) => DEFAULT_BACKUP.into(),
        }
    }
}

/// Runs the verb.
pub async fn run(args: &PruneArgs, context: &Context) -> Result<Ending, CommandError> {
    let loaded = match &args.layout {
        Some(path) => Some(load(&LayoutArgs { layout: path.clone(), env: args.env.clone() }, context)?),
        None => None,
    };
    let world = match &loaded {
        Some(loaded) => account::with_account(reach(&loaded.layout, context).await?)?,
        None => account::open_to_write(context).await?,
    };
    let rules = args.rules(context);
    let looking = candidates(args, loaded.as_ref(), &world, context);
    let candidates = announced("looking at policies", looking, context).await?;
    let prune = plan(&candidates, rules);
    for finding in &prune.findings {
        context.ui.event(&Event::Finding(finding.clone()));
    }
    if prune.findings.iter().any(|finding| finding.severity == Severity::Error) {
        let failed = CommandError::new("refused", Outcome::Failed, "not all of them may go, nothing was deleted");
        return Err(failed.hint("leave out what the findings above name"));
    }
    let mut summary = Summary { unchanged: prune.kept, ..Summary::default() };
    let unread = prune.findings.iter().any(|finding| finding.code == HIDDEN);
    let partly = if unread { Outcome::Partly } else { Outcome::Done };
    if prune.steps.is_empty() {
        summary.closing = Some("Prune: nothing to do".to_owned());
        return Ok(Ending { summary, outcome: partly, closing: Closing::Shown, last_word: None });
    }
    for (step, reason) in &prune.steps {
        tell(action(Status::Planned, step.action(), step.target(), reason.clone()), &mut summary, context);
    }
    consent(format!("Back up and delete {}?", counted(&prune)), context).await?;
    context.stop.begin_writing()?;
    let folder = back_up(&prune, &args.backups(loaded.as_ref()), &world, context).await?;
    execute(&prune, &world, &mut summary, context).await;
    summary.closing = Some(closing(&summary, &folder));
    let outcome = if summary.failed > 0 { summary.outcome() } else { partly };
    Ok(account::ending(summary, outcome, context))
}

/// `2 policies and 3 versions`
fn counted(prune: &Prune) -> String {
    let policies = prune.steps.iter().filter(|(step, _)| matches!(step, PruneStep::DeletePolicy { .. })).count();
    let words = |count: usize, one: &str, many: &str| {
        (count > 0).then(|| format!("{count} {}", if count == 1 { one } else { many }))
    };
    let versions = words(prune.steps.len() - policies, "version", "versions");
    words(policies, "policy", "policies").into_iter().chain(versions).collect::<Vec<_>>().join(" and ")
}

fn closing(summary: &Summary, folder: &Path) -> String {
    let failed = if summary.failed > 0 { format!(", {} failed", summary.failed) } else { String::new() };
    format!("Prune: {} deleted{failed}, backup in {}", summary.done, folder.display())
}

/// The policies that may go, and who has them.
async fn candidates(
    args: &PruneArgs,
    loaded: Option<&Loaded>,
    world: &World,
    context: &Context,
) -> Result<Vec<Candidate>, CommandError> {
    let mut policies = match args.names.is_empty() {
        true => world.account.policies().await?,
        false => named(&args.names, world, context).await?,
    };
    let names = loaded.map(|loaded| access::names_of(&loaded.layout, world.partition()));
    if let Some(loaded) = loaded {
        policies.retain(|policy| {
            let is_its_own = Owner::of(&policy.tags, &loaded.layout.id) == Owner::Ours;
            if !is_its_own && !args.names.is_empty() {
                context.ui.warning(&format!("policy `{}` is not of layout `{}`", policy.name, loaded.layout.id));
            }
            is_its_own
        });
    }
    let one = |policy: ManagedPolicy| {
        let is_wanted = names.as_ref().is_some_and(|names| names.contains(&policy.name));
        async move {
            let attachments = world.account.attachments(&policy.arn).await?;
            Ok::<_, CommandError>(Candidate { policy, attachments, is_wanted })
        }
    };
    let mut found: Vec<Candidate> = stream::iter(policies).map(one).buffered(AT_ONCE).try_collect().await?;
    found.sort_by(|one, other| one.policy.name.cmp(&other.policy.name));
    Ok(found)
}

/// The named policies, each once. One that is gone needs no deleting.
async fn named(names: &[PolicyRef], world: &World, context: &Context) -> Result<Vec<ManagedPolicy>, CommandError> {
    let mut found: Vec<ManagedPolicy> = Vec::new();
    for name in names {
        if matches!(name, PolicyRef::Arn(arn) if arn.account() == "aws") {
            return Err(CommandError::usage(format!("`{name}` is kept by AWS, and nobody else deletes it")));
        }
        match name.find(world).await {
            Ok(policy) if found.iter().any(|known| known.arn == policy.arn) => {}
            Ok(policy) => found.push(policy),
            Err(failed) if failed.is("not-found") => {
                let message = "there is no such policy in this account";
                let finding = Finding::new("policy-missing", Severity::Warning, name, message);
                context.ui.event(&Event::Finding(finding));
            }
            Err(failed) => return Err(failed),
        }
    }
    Ok(found)
}

/// Keeps all versions of every policy that loses one, and whom it is attached to. Each is read once more, because lists
/// of some servers leave out descriptions.
async fn back_up(prune: &Prune, root: &Path, world: &World, context: &Context) -> Result<PathBuf, CommandError> {
    let touched: BTreeSet<&Arn> = prune.steps.iter().map(|(step, _)| step.policy()).collect();
    let mut kept = Backup::new(context.now, world.identity.account.clone(), world.identity.arn.clone());
    for policy in &touched {
        let Seen::Here(found) = world.account.policy(policy).await? else {
            let message = format!("policy `{policy}` cannot be backed up any more, so nothing was deleted");
            return Err(CommandError::new("no-backup", Outcome::Failed, message).hint("run it again"));
        };
        kept.add_policy(&found, world.account.attachments(policy).await?.here());
    }
    let folder = backup::write(&kept, root).await?;
    let plural = if touched.len() == 1 { "policy" } else { "policies" };
    let reason = format!("{} {plural}", touched.len());
    let target = folder.join(MANIFEST).display().to_string();
    context.ui.event(&Event::Action(action(Status::Done, "write-backup", target, reason)));
    Ok(folder)
}

async fn execute(prune: &Prune, world: &World, summary: &mut Summary, context: &Context) {
    // A policy of which something could not be deleted stays.
    let mut stopped: BTreeSet<&Arn> = BTreeSet::new();
    for (step, _) in &prune.steps {
        if context.stop.is_asked() || stopped.contains(step.policy()) {
            continue;
        }
        match take(step, prune, world).await {
            Ok(()) => tell(action(Status::Done, step.action(), step.target(), String::new()), summary, context),
            Err(failed) => {
                stopped.insert(step.policy());
                let why = failed.to_string();
                tell(action(Status::Failed, step.action(), step.target(), why.clone()), summary, context);
                let record = ErrorRecord { target: Some(step.target()), ..ErrorRecord::new(failed.kind(), why) };
                context.ui.event(&Event::Error(record));
            }
        }
    }
}

/// Why one deletion was not done.
#[derive(Debug, thiserror::Error)]
enum PruneError {
    #[error(transparent)]
    Account(#[from] AccountError),
    #[error("somebody has it meanwhile: {0}")]
    Taken(String),
    #[error("who has it may not be read any more, so it stays: {0}")]
    Hidden(String),
}

impl PruneError {
    const fn kind(&self) -> &'static str {
        match self {
            Self::Account(error) => error.kind(),
            Self::Taken(_) => "changed-meanwhile",
            Self::Hidden(_) => HIDDEN,
        }
    }
}

/// An error unless nobody has the policy for certain; of one that is gone nobody can have anything.
fn still_free(attachments: &Seen<Attachments>) -> Result<(), PruneError> {
    match attachments {
        Seen::Here(found) => match &attachment_names(found)[..] {
            [] => Ok(()),
            holders => Err(PruneError::Taken(holders.join(", "))),
        },
        Seen::Absent => Ok(()),
        Seen::Hidden(why) => Err(PruneError::Hidden(why.clone())),
    }
}

async fn take(step: &PruneStep, prune: &Prune, world: &World) -> Result<(), PruneError> {
    // Whoever was given the policy since the plan was made must keep all of it.
    let goes = prune.steps.iter().any(|(other, _)| *other == PruneStep::DeletePolicy { policy: step.policy().clone() });
    if goes {
        still_free(&world.account.attachments(step.policy()).await?)?;
    }
    match step {
        PruneStep::DeleteVersion { policy, version } => world.account.delete_version(policy, *version).await?,
        PruneStep::DeletePolicy { policy } => world.account.delete_policy(policy).await?,
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::still_free;
    use crate::model::{Attachments, Seen};

    #[test]
    fn only_what_nobody_has_for_certain_goes() {
        let taken = Attachments { roles: vec!["trainer".parse().unwrap()], ..Attachments::default() };
        for (attachments, kind) in [
            (Seen::Here(Attachments::default()), None),
            (Seen::Absent, None),
            (Seen::Here(taken), Some("changed-meanwhile")),
            (Seen::Hidden("no".to_owned()), Some("account-hidden")),
        ] {
            assert_eq!(still_free(&attachments).err().map(|error| error.kind()), kind, "{attachments:?}");
        }
    }
}
