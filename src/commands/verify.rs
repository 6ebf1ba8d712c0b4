//! `verify`: proves that settings, data and access are as the layout says.

mod look;
mod matrix;
mod mode;
mod receipt;
mod round_trips;
mod tally;

use super::cluster::job;
use super::kube::KubeArgs;
use super::{Closing, Context, Ending, LayoutArgs, Loaded, OnlyArgs};
use crate::config::{AsRole, Flags};
use crate::error::CommandError;
use crate::layout::scaffold::Sections;
use crate::model::Arn;
use crate::report::{Event, Outcome, Summary};
use crate::verify::access::modes;
use crate::world::World;
use clap::Args;
use matrix::How;
use mode::{Clusters, Mode};
use std::path::PathBuf;
use tally::Tally;

/// Why nothing can be proven in such a bucket.
const ABSENT: &str = "the bucket does not exist";
/// How many folders are probed at once.
const PROBES_AT_ONCE: usize = 8;

/// Prove that settings, data and access are as the layout says
///
/// Settings are read back control by control; data is compared by checksum without downloading; access is proven by real
/// calls that leave nothing behind. Without a choice, all three.
///
/// Access is tried as the calling identity, by a round trip (put, list, get, compare, delete) in every folder. That says
/// nothing about anybody else, so it can be tried as those who get the layout's grants: list, get, put, delete, parts of an
/// upload and head-bucket in every folder of every grant, in their neighbours, at the root and in a bucket that is not
/// granted, each cell held against what the grants and `[[assert]]` rows say. Keys are the run's own, below `.bucketwright/`
/// of the folder; the caller makes and removes what the other may not.
///
/// `--as ROLE` takes the role and tries it as it is; settings and data are still checked as the caller. Whether the role is of
/// a node group that a grant names is asked of the cluster. A role that no grant means is the caller itself, unless `--grant`
/// says what it should have.
///
/// `--session-policy --via ROLE` tries policies before anybody has them: what each grant gives becomes the policy of a session
/// of ROLE, which must be allowed more than that, and S3 itself enforces it. `--session-policy FILE` tries the policy
/// document in FILE instead, and `--session-policy ARN` a managed policy (several with commas). A user needs no `--via`. A policy of
/// more than 2,048 characters is tried in parts. With `--as`, FILE limits the role's session, as for every other verb.
///
/// `--in-cluster` tries it where the pods are: as the service accounts and on the nodes that the grants name, by Kubernetes Jobs
/// that run `verify --access --as-caller`, and shows one matrix for each.
///
/// `--simulate` makes no call and needs no credentials: the policies that the grants make, or FILE, are evaluated.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bucketwright verify --local
  bucketwright verify layout.toml --env prod --settings --data
  bucketwright verify --access --as arn:aws:iam::111122223333:role/trainer
  bucketwright verify --local --access --as trainer --no-write
  bucketwright verify --session-policy --via arn:aws:iam::111122223333:role/admin
  bucketwright verify --session-policy new.json --grant Train --via broad --local
  bucketwright verify --simulate           by the evaluator, without any call
  bucketwright verify --no-write           write nothing at all
  bucketwright verify --access --in-cluster --image IMAGE
  bucketwright verify --receipt receipt.jsonl s3://my-bucket/project/data/

Exits 4 if a check fails, something cannot be told, or access is not as
expected, and 3 if a dataset or a file of one is not here to compare with, or a
probe could not be removed.")]
pub struct VerifyArgs {
    #[command(flatten)]
    layout: LayoutArgs,
    #[command(flatten)]
    only: OnlyArgs,
    /// Check the settings of every bucket
    #[arg(long)]
    settings: bool,
    /// Check every dataset by checksum
    #[arg(long)]
    data: bool,
    /// Check access by real calls in every folder
    #[arg(long)]
    access: bool,
    /// Write nothing: leave out every probe that writes
    #[arg(long)]
    no_write: bool,
    /// With `--session-policy`: take this role, which may more, and limit its session
    #[arg(long, value_name = "ROLE")]
    via: Option<AsRole>,
    /// Decide access by the evaluator alone: no call is made
    #[arg(long)]
    simulate: bool,
    /// Try as the calling identity what the grants give, as a pod does that has their role: every cell, not a round trip.
    /// The layout's profile is not used
    #[arg(long, conflicts_with_all = ["simulate", "via"])]
    as_caller: bool,
    /// With `--as`, `--as-caller`, `--session-policy` or `--simulate`: only this grant, by its policy's name; can be repeated
    #[arg(long, value_name = "POLICY")]
    grant: Vec<String>,
    /// With `--as`, `--as-caller` or `--session-policy`: ask until three answers in a row are as expected, for two minutes at most
    #[arg(long)]
    wait: bool,
    /// Try access in the cluster, as the service accounts and nodes that get the grants, by Jobs of this program's image:
    /// `cluster job verify --apply`, which has more choices
    #[arg(long, requires = "image")]
    #[arg(conflicts_with_all = ["settings", "data", "only", "via", "simulate", "as_caller", "wait", "receipt"])]
    in_cluster: bool,
    /// With `--in-cluster`: the image
    #[arg(long, value_name = "IMAGE", requires = "in_cluster")]
    image: Option<String>,
    #[command(flatten)]
    kube: KubeArgs,
    /// Check a folder `s3://BUCKET/FOLDER/`, given in place of the layout, against the receipt of a sync
    #[arg(long, value_name = "FILE")]
    #[arg(conflicts_with_all = ["settings", "data", "access", "only", "env", "via", "simulate", "as_caller", "grant", "wait"])]
    receipt: Option<PathBuf>,
}

/// What is verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scope {
    settings: bool,
    data: bool,
    access: bool,
    no_write: bool,
}

impl Scope {
    /// Everything.
    pub const ALL: Self = Self { settings: true, data: true, access: true, no_write: false };

    fn of(args: &VerifyArgs, sections: Sections, mode: &Mode, access_alone: bool) -> Self {
        let none = !args.settings && !args.data && !args.access;
        let all = none && !access_alone;
        // Round trips prove folders, the matrix proves grants.
        let of_grants = sections.grants && !matches!(mode, Mode::Caller);
        Self {
            settings: (all || args.settings) && sections.settings,
            data: (all || args.data) && sections.datasets,
            access: (none || args.access) && (sections.markers || of_grants),
            no_write: args.no_write,
        }
    }
}

/// Runs the verb.
pub async fn run(args: &VerifyArgs, context: &Context) -> Result<Ending, CommandError> {
    if let Some(receipt) = &args.receipt {
        return receipt::check_receipt(receipt, &args.layout.layout, context).await;
    }
    if let (true, Some(image)) = (args.in_cluster, &args.image) {
        return Box::pin(in_cluster(args, image, context)).await;
    }
    if args.kube.is_given() {
        return Err(CommandError::usage("without `--in-cluster` no cluster is asked, so none need be named"));
    }
    let mut loaded = super::load(&args.layout, context)?;
    if args.as_caller {
        // A pod has no configuration files; its credentials come with it.
        loaded.layout.profile = None;
    }
    if args.simulate {
        let simulated = mode::simulation(args, &context.flags, &loaded.layout)?;
        let mut tally = Tally::default();
        matrix::simulate(&simulated, &loaded.layout, context, &mut tally);
        return Ok(ending(&tally, context));
    }
    let (mode, world) = Box::pin(reach(args, &loaded, context)).await?;
    let access_alone = Mode::is_about_access_alone(args, &context.flags);
    let scope = Scope::of(args, args.only.sections(), &mode, access_alone);
    let how = How { no_write: args.no_write, wait: args.wait };
    let mut tally = Tally::default();
    let verification = Verification { loaded: &loaded, world: &world, scope, mode: &mode, how, context };
    Box::pin(verification.check(&mut tally)).await?;
    Ok(ending(&tally, context))
}

/// Tries access where the pods are.
async fn in_cluster(args: &VerifyArgs, image: &str, context: &Context) -> Result<Ending, CommandError> {
    if context.flags.as_role.is_some() || context.flags.session_policy.is_some() {
        return Err(CommandError::usage(
            "pods have their own identity: `--as` and `--session-policy` have no place there",
        ));
    }
    let jobs = job::VerifyArgs {
        layout: args.layout.clone(),
        place: job::PlaceArgs { image: image.to_owned(), node_group: Vec::new() },
        service_account: None,
        namespace: "default".to_owned(),
        grant: args.grant.clone(),
        cluster: None,
        no_write: args.no_write,
        apply: job::ApplyArgs { apply: true, kube: args.kube.clone() },
    };
    job::run(&job::JobCommand::Verify(Box::new(jobs)), context).await
}

/// Tries access as `verify --access` does, as the caller or as the role of `--as`, and tells it to the context's output.
pub async fn try_access(
    layout: &LayoutArgs,
    no_write: bool,
    grant: &[String],
    context: &Context,
) -> Result<Ending, CommandError> {
    let args = VerifyArgs {
        layout: layout.clone(),
        only: OnlyArgs { only: Vec::new() },
        settings: false,
        data: false,
        access: true,
        no_write,
        via: None,
        simulate: false,
        as_caller: false,
        grant: grant.to_vec(),
        wait: false,
        in_cluster: false,
        image: None,
        kube: KubeArgs::default(),
        receipt: None,
    };
    run(&args, context).await
}

/// As whom access is tried, and the world as whoever calls and cleans up sees it.
async fn reach(args: &VerifyArgs, loaded: &Loaded, context: &Context) -> Result<(Mode, World), CommandError> {
    let (layout, flags) = (&loaded.layout, &context.flags);
    let role = flags.as_role.as_ref().filter(|_| Mode::depends_on_nodes(args, flags, layout));
    let Some(role) = role else {
        let mode = Mode::of(args, flags, layout, &Clusters::new())?;
        let world = super::reach_as(layout, &mode.callers_flags(flags), context).await?;
        return Ok((mode, world));
    };
    // Whose the role is must be known before it is known who calls.
    let callers = Flags { as_role: None, session_policy: None, ..flags.clone() };
    let world = super::connect(layout, &callers, context).await?;
    let clusters = super::grants::node_clusters(layout, &world).await;
    let mode = Mode::of(args, flags, layout, &clusters)?;
    let world = match mode {
        Mode::Others(_) => super::introduce(world, layout, context)?,
        Mode::Caller | Mode::Itself(_) => {
            drop(world);
            super::reach(layout, context).await?
        }
    };
    mode::unread(&clusters, role).into_iter().for_each(|finding| context.ui.event(&Event::Finding(finding)));
    Ok((mode, world))
}

/// Verifies everything as the caller, then the access of each of these roles, which is waited for.
pub async fn check_all(
    loaded: &Loaded,
    world: &World,
    roles: &[Arn],
    context: &Context,
) -> Result<Ending, CommandError> {
    let mut tally = Tally::default();
    let how = How { no_write: false, wait: true };
    let verification = Verification { loaded, world, scope: Scope::ALL, mode: &Mode::Caller, how, context };
    // What verifies is large, and verbs that call this are too; both together would not fit a stack.
    Box::pin(verification.check(&mut tally)).await?;
    if !roles.is_empty() && !context.stop.is_asked() {
        let clusters = super::grants::node_clusters(&loaded.layout, world).await;
        let subjects = mode::subjects(roles, &loaded.layout, &clusters)?;
        Box::pin(matrix::observe(&subjects, loaded, world, how, context, &mut tally)).await?;
    }
    Ok(ending(&tally, context))
}

/// What is verified, where and how.
struct Verification<'run> {
    loaded: &'run Loaded,
    world: &'run World,
    scope: Scope,
    mode: &'run Mode,
    how: How,
    context: &'run Context,
}

impl Verification<'_> {
    async fn check(&self, tally: &mut Tally) -> Result<(), CommandError> {
        let Self { loaded, world, scope, how, context, .. } = *self;
        let looked = context.stop.unless_asked(look::look(loaded, world, scope, context, tally)).await;
        let Some(absent) = looked.transpose()?.filter(|_| scope.access) else { return Ok(()) };
        match self.mode {
            Mode::Others(subjects) => Box::pin(matrix::observe(subjects, loaded, world, how, context, tally)).await,
            Mode::Itself(subject) => {
                let subject = std::slice::from_ref(&**subject);
                Box::pin(matrix::observe(subject, loaded, world, how, context, tally)).await
            }
            Mode::Caller => {
                if !scope.no_write {
                    context.stop.begin_writing()?;
                }
                round_trips::check_access(loaded, world, scope.no_write, &absent, context, tally).await;
                let advice = modes::advice(&loaded.layout, &world.identity, world.endpoint, world.is_local());
                advice.iter().filter(|_| !context.stop.is_asked()).for_each(|line| context.ui.hint(line));
                Ok(())
            }
        }
    }
}

fn ending(tally: &Tally, context: &Context) -> Ending {
    let stopped = context.stop.is_asked().then(|| CommandError::stopped("not everything was verified"));
    let outcome = if stopped.is_some() { Outcome::Interrupted } else { tally.outcome() };
    let summary = Summary {
        unchanged: tally.held,
        failed: tally.wrong + tally.unknown,
        skipped: tally.skipped + tally.apart,
        closing: match (tally.words(), &stopped) {
            (Some(words), None) => Some(format!("Verify: {words}")),
            (Some(words), Some(_)) => Some(format!("Interrupted: {words}")),
            (None, None) => Some("Verify: nothing to verify".to_owned()),
            (None, Some(_)) => None,
        },
        ..Summary::default()
    };
    Ending { summary, outcome, closing: Closing::Shown, last_word: stopped }
}
