//! The verbs, one file each: `Args` say what was typed, `run` observes, decides through the pure floors, shows and acts.
//!
//! What several verbs share stands here: loading a layout, reaching the world, observing every bucket, and planning.

pub mod apply;
pub mod cluster;
pub mod completions;
pub mod doctor;
mod grants;
pub mod kube;
pub mod man;
pub mod new;
pub mod plan;
pub mod policy;
pub mod report;
pub mod retire;
pub mod serve;
pub mod stop;
pub mod sync;
pub mod tree;
pub mod uploads;
pub mod verify;

use crate::access::Turned;
use crate::apply::dataset::{self, DatasetRequest};
use crate::apply::receipts::PendingReceipt;
use crate::config::{self, Flags, Settings, Target};
use crate::error::CommandError;
use crate::layout::scaffold::{self, Sections};
use crate::layout::{Dataset, Grant, Layout, Manage, ParseOptions};
use crate::local::{self, Journal};
use crate::model::{AccountId, BucketName, BucketState, Existence, Filter, HumanBytes};
use crate::plan::{Effect, Plan, Step};
use crate::policy::matrix::Granted;
use crate::policy::{assertions, lockout};
use crate::report::{Event, Finding, Outcome, Severity, Summary};
use crate::ui::{Confirmation, Ui};
use crate::world::World;
use clap::{Args, ValueEnum};
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;
use stop::Stop;

/// The longest layout file that is read. The largest sensible one has some hundred buckets and stays under 100 KiB.
const MAX_LAYOUT_BYTES: u64 = 1024 * 1024;
/// How long anything may take without a word.
const SILENCE: Duration = Duration::from_secs(2);
/// How many buckets are observed at once.
const BUCKETS_AT_ONCE: usize = 8;

/// What every verb is given.
#[derive(Debug)]
pub struct Context {
    /// The one place that prints.
    pub ui: Ui,
    /// Connection flags.
    pub flags: Flags,
    /// The process environment.
    pub environment: BTreeMap<String, String>,
    /// `--set` values.
    pub set: BTreeMap<String, String>,
    /// `--yes`
    pub yes: bool,
    /// When the run began, in nanoseconds since the epoch.
    pub started_ns: i128,
    /// A random number that names what this run makes.
    pub run_id: u64,
    /// When the run began.
    pub now: Timestamp,
    /// The user's wish to stop.
    pub stop: Stop,
}

/// How a verb ended.
#[derive(Debug)]
pub struct Ending {
    /// What was counted.
    pub summary: Summary,
    /// The exit code's meaning.
    pub outcome: Outcome,
    /// Whether people see the summary.
    pub closing: Closing,
    /// What is to be said before the summary, such as that the user stopped the run.
    pub last_word: Option<CommandError>,
}

/// Whether people see the summary; scripts always do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closing {
    /// A closing line.
    Shown,
    /// The answer speaks for itself.
    JsonOnly,
}

impl Ending {
    /// A verb whose answer speaks for itself.
    pub fn answered(outcome: Outcome) -> Self {
        Self { summary: Summary::default(), outcome, closing: Closing::JsonOnly, last_word: None }
    }
}

/// Which layout, and which part of it.
#[derive(Debug, Clone, Args)]
pub struct LayoutArgs {
    /// The layout file
    #[arg(value_name = "LAYOUT", default_value = "layout.toml")]
    pub layout: PathBuf,
    /// Environment of the layout: its account, region, profile and variables
    #[arg(long, value_name = "NAME")]
    pub env: Option<String>,
}

/// The parts of a layout that `--only` names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// Buckets and their settings
    Settings,
    /// Folder markers
    Markers,
    /// Policies and whom they are attached to
    Grants,
    /// Files that belong in folders
    Datasets,
}

/// `--only`
#[derive(Debug, Clone, Args)]
pub struct OnlyArgs {
    /// Look only at these parts, separated by commas
    #[arg(long, value_enum, value_delimiter = ',', value_name = "PART")]
    pub only: Vec<Part>,
}

impl OnlyArgs {
    /// All parts, unless some are named.
    pub fn sections(&self) -> Sections {
        if self.only.is_empty() {
            return Sections::ALL;
        }
        let names = |part| self.only.contains(&part);
        Sections {
            settings: names(Part::Settings),
            markers: names(Part::Markers),
            grants: names(Part::Grants),
            datasets: names(Part::Datasets),
        }
    }

    /// True if nothing but datasets is asked for, so that an absent source is a mistake.
    pub fn is_only_datasets(&self) -> bool {
        !self.only.is_empty() && self.only.iter().all(|part| *part == Part::Datasets)
    }
}

/// A layout with the folder that its relative paths start from.
#[derive(Debug)]
pub struct Loaded {
    /// The layout.
    pub layout: Layout,
    /// The layout file's folder.
    pub folder: PathBuf,
}

/// Reads and parses a layout; every mistake comes back at once.
pub fn load(args: &LayoutArgs, context: &Context) -> Result<Loaded, CommandError> {
    let path = &args.layout;
    let name = path.display().to_string();
    let bytes = local::read_at_most(path, MAX_LAYOUT_BYTES).map_err(|error| {
        let failed = CommandError::unreadable(path, &error);
        let missing = error.kind() == std::io::ErrorKind::NotFound;
        if missing { failed.hint("`bucketwright new ml-project` writes one to start from") } else { failed }
    })?;
    let Some(bytes) = bytes else {
        let message = format!("`{name}` is larger than {}: this is no layout", HumanBytes(MAX_LAYOUT_BYTES));
        return Err(CommandError::new("layout", Outcome::Invalid, message));
    };
    // Some editors begin a file with this mark, which is nobody's column.
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    let options = ParseOptions {
        file_stem: path.file_stem().and_then(|stem| stem.to_str()).unwrap_or("layout"),
        environment: args.env.as_deref(),
        set: &context.set,
        env_vars: &context.environment,
    };
    let layout =
        crate::layout::parse(bytes, &options).map_err(|mistakes| CommandError::layout(&name, bytes, &mistakes))?;
    let folder = match path.parent() {
        Some(parent) if parent != Path::new("") => parent.to_owned(),
        _ => PathBuf::from("."),
    };
    Ok(Loaded { layout, folder })
}

/// Connects as the layout and the flags say, says who acts, and stops at an account or Region that is not the layout's.
pub async fn reach(layout: &Layout, context: &Context) -> Result<World, CommandError> {
    reach_as(layout, &context.flags, context).await
}

/// The same with other flags than those that were typed.
pub async fn reach_as(layout: &Layout, flags: &Flags, context: &Context) -> Result<World, CommandError> {
    introduce(connect(layout, flags, context).await?, layout, context)
}

/// Connects as the layout and the flags say, and stops at a Region that is not the layout's. Nobody is told who acts, and
/// the account may be another one than the layout's: [`introduce`] comes before anything that counts.
async fn connect(layout: &Layout, flags: &Flags, context: &Context) -> Result<World, CommandError> {
    if let (Some(typed), Some(wanted)) = (&flags.region, &layout.region)
        && typed != wanted
    {
        let message = format!("the layout is for region `{wanted}`, `--region` says `{typed}`");
        return Err(CommandError::new("wrong-region", Outcome::Invalid, message).hint("drop `--region`"));
    }
    let profile = layout.profile.as_deref();
    let settings = Settings::resolve(flags, profile, layout.region.as_ref(), &context.environment)?;
    open(&settings, layout.account.as_ref(), context).await
}

/// Says who acts, and stops at an account that is not the layout's.
fn introduce(world: World, layout: &Layout, context: &Context) -> Result<World, CommandError> {
    context.ui.event(&Event::Identity(world.identity_record()));
    match (&layout.account, &world.identity.account) {
        (Some(wanted), Some(found)) if wanted != found => {
            let message = format!("the layout is for account `{wanted}`, these credentials are of `{found}`");
            Err(CommandError::new("wrong-account", Outcome::Invalid, message)
                .hint("choose the right `--profile` or `--env`; nothing was written"))
        }
        (Some(wanted), None) => {
            let message =
                format!("the layout is for account `{wanted}`, and this endpoint cannot tell whose account it is");
            Err(CommandError::new("unknown-account", Outcome::Invalid, message)
                .hint("take `account` out of the layout or environment for endpoints that speak only S3"))
        }
        _ => Ok(world),
    }
}

/// Connects; a profile that gives no credentials is named.
pub async fn open(settings: &Settings, account: Option<&AccountId>, context: &Context) -> Result<World, CommandError> {
    World::open(settings, account).await.map_err(|error| {
        let failed = CommandError::from(error);
        match &settings.target {
            Target::Remote { profile: Some(_), .. } if failed.is("no-credentials") => failed.with_hints([
                "`aws configure list-profiles` shows the profiles that there are",
                "where a profile is named, keys of the environment and roles of this machine are not used",
            ]),
            Target::Remote { .. } if failed.is("no-credentials") => match context.environment.get("AWS_PROFILE") {
                Some(profile) => failed.hint(format!(
                    "the profile is `{profile}`: `aws configure list-profiles` shows those that there are"
                )),
                None => failed,
            },
            _ => failed,
        }
    })
}

/// The journal of unfinished uploads to this world; none for a user without a home.
pub fn journal(world: &World, context: &Context) -> Option<Journal> {
    let folder = config::state_folder(&context.environment)?.join("uploads");
    Some(Journal::new(folder, endpoint_name(world, context)))
}

/// What tells this endpoint from others in which a bucket of the same name may be.
pub fn endpoint_name(world: &World, context: &Context) -> String {
    match &context.flags.local {
        // Two projects have the same words for two folders.
        Some(dir) => format!("embedded endpoint in {}", local::absolute(dir).display()),
        None => world.place.clone(),
    }
}

/// Looks at every bucket of the layout.
pub async fn observe(layout: &Layout, world: &World) -> Result<BTreeMap<BucketName, BucketState>, CommandError> {
    let look = |bucket| async move {
        let keys = scaffold::marker_keys(bucket);
        let state = world.store.bucket_state(&bucket.name, &keys).await?;
        Ok::<_, CommandError>((bucket.name.clone(), state))
    };
    stream::iter(&layout.buckets).map(look).buffer_unordered(BUCKETS_AT_ONCE).try_collect().await
}

/// A whole plan, and the receipts to write once it is done.
#[derive(Debug, Default)]
pub struct Planned {
    /// The plan.
    pub plan: Plan,
    /// The receipts that datasets ask for.
    pub receipts: Vec<PendingReceipt>,
    /// What the plan opens and closes for roles.
    pub turned: Vec<Turned>,
}

/// The whole plan: buckets, settings and markers, then datasets, then grants.
pub async fn plan_all(
    loaded: &Loaded,
    world: &World,
    sections: Sections,
    context: &Context,
) -> Result<Planned, CommandError> {
    let layout = &loaded.layout;
    // Whoever only grants access may have no right to look at buckets.
    let looks_at_buckets = sections.settings || sections.markers || sections.datasets;
    let found = match looks_at_buckets {
        true => announced("looking at the buckets", observe(layout, world), context).await?,
        false => BTreeMap::new(),
    };
    let around = world.circumstances();
    let mut plan = scaffold::plan(layout, &found, &around, sections);
    lockout::guard(&mut plan, layout, &found, &around);
    let mut planned = Planned { plan, ..Planned::default() };
    if sections.datasets {
        for dataset in &layout.datasets {
            let writable = layout.buckets.iter().any(|one| one.name == dataset.bucket && one.manage != Manage::Verify);
            let existence = found.get(&dataset.bucket).map(|state| &state.existence);
            if !writable || existence == Some(&Existence::Forbidden) {
                continue;
            }
            let request = dataset_request(dataset, loaded, existence == Some(&Existence::Present), context)?;
            let looking = format!("comparing `{}` with s3://{}/{}", dataset.source, dataset.bucket, dataset.folder);
            let looked = announced(&looking, dataset::plan_dataset(&world.store, &request), context).await?;
            planned.receipts.extend(pending_receipt(dataset, loaded, &looked));
            planned.plan.findings.extend(empty_dataset(dataset, &looked));
            planned.plan.actions.extend(looked.actions);
            planned.plan.unchanged += looked.unchanged;
            planned.plan.findings.extend(looked.findings);
        }
    }
    planned.plan.findings.extend(collisions(&planned.plan));
    if sections.grants {
        planned.plan.findings.extend(broken_expectations(layout));
        let access = grants::plan(layout, world, context).await?;
        planned.plan.account = access.actions;
        planned.plan.unchanged += access.unchanged;
        planned.plan.findings.extend(access.findings);
        planned.turned = access.turned;
    }
    Ok(planned)
}

/// A dataset of a layout as the engine looks at it.
pub fn dataset_request(
    dataset: &Dataset,
    loaded: &Loaded,
    bucket_exists: bool,
    context: &Context,
) -> Result<DatasetRequest, CommandError> {
    let filter = Filter::excluding(dataset.exclude.iter().map(String::as_str))
        .map_err(|error| CommandError::new("layout", Outcome::Invalid, error.to_string()))?;
    Ok(DatasetRequest {
        source: loaded.folder.join(&dataset.source),
        shown: dataset.source.clone(),
        bucket: dataset.bucket.clone(),
        folder: dataset.folder.clone(),
        rename: dataset.rename.clone(),
        filter,
        bucket_exists,
        wants_rows: dataset.receipt.is_some(),
        spill_folder: config::temporary_folder(&context.environment),
    })
}

/// Nothing is written before somebody said yes, unless `--yes` did.
pub async fn consent(question: String, context: &Context) -> Result<(), CommandError> {
    if context.yes {
        return Ok(());
    }
    let ui = context.ui.clone();
    // Waiting for a person must not keep the program from hearing Ctrl-C.
    let answer = tokio::task::spawn_blocking(move || ui.confirm(&question)).await;
    match answer.unwrap_or(Confirmation::No) {
        Confirmation::Yes => Ok(()),
        Confirmation::No => Err(CommandError::new("declined", Outcome::Failed, "not confirmed; nothing was written")),
        Confirmation::NobodyThere => {
            Err(CommandError::usage("nobody is here to confirm, nothing was written").hint("pass `--yes`"))
        }
    }
}

/// Waits for `work`, and says what it is once it takes its time.
pub async fn announced<T>(what: &str, work: impl Future<Output = T>, context: &Context) -> T {
    let mut work = std::pin::pin!(work);
    tokio::select! {
        done = &mut work => return done,
        () = tokio::time::sleep(SILENCE) => {}
    }
    context.ui.note(&format!("{what} ..."));
    work.await
}

/// A directory without files is rarely what anybody means.
fn empty_dataset(dataset: &Dataset, looked: &dataset::DatasetPlan) -> Option<Finding> {
    let empty = looked.actions.is_empty() && looked.unchanged == 0 && looked.findings.is_empty();
    let target = format!("s3://{}/{}", dataset.bucket, dataset.folder);
    empty.then(|| {
        Finding::new("empty-dataset", Severity::Warning, target, format!("`{}` holds no files", dataset.source))
            .with_fix("check `source` and `exclude` of the dataset")
    })
}

fn pending_receipt(dataset: &Dataset, loaded: &Loaded, looked: &dataset::DatasetPlan) -> Option<PendingReceipt> {
    let path = loaded.folder.join(dataset.receipt.as_ref()?);
    let planned = looked.actions.iter().filter_map(|action| match &action.step {
        Step::Upload(upload) => Some(upload.key.clone()),
        _ => None,
    });
    let absent = looked.actions.iter().any(|action| matches!(action.step, Step::SkipDataset { .. }));
    Some(PendingReceipt {
        exists: local::exists(&path),
        path,
        bucket: dataset.bucket.clone(),
        unchanged: looked.rows.clone(),
        planned: planned.collect(),
        complete: !absent && looked.findings.is_empty(),
    })
}

/// Two files for one key: the second would overwrite the first, and every further run would send both again.
fn collisions(plan: &Plan) -> Vec<Finding> {
    let mut sources = BTreeMap::new();
    let mut findings = Vec::new();
    for action in &plan.actions {
        let Step::Upload(upload) = &action.step else { continue };
        if let Some(first) = sources.insert((&action.bucket, &upload.key), &upload.path) {
            let message = format!("`{}` and `{}` have the same key", first.display(), upload.path.display());
            let finding = Finding::new("one-key-for-two", Severity::Error, action.target(), message);
            findings.push(
                finding.with_fix("put one of the datasets into another folder, or leave the file out with `exclude`"),
            );
        }
    }
    findings
}

/// What a layout expects of its grants and does not get, and grants that no policy can say. Each refuses the plan.
pub fn broken_expectations(layout: &Layout) -> Vec<Finding> {
    let unwritable = |grant: &Grant| {
        let error = Granted::of(layout, grant).err()?;
        Some(Finding::new("policy-unwritable", Severity::Error, &grant.policy, error.to_string()))
    };
    let mut findings: Vec<Finding> = layout.grants.iter().filter_map(unwritable).collect();
    // Where a policy is missing, nothing can be said about who has it.
    if let Ok(checked) = assertions::check(layout) {
        findings.extend(checked.failures);
    }
    findings
}

/// The findings that refuse a whole plan.
pub fn refusals(plan: &Plan) -> usize {
    plan.findings.iter().filter(|finding| finding.severity == Severity::Error).count()
}

/// What a plan holds, by what it means for the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Load {
    /// Actions that would write.
    pub work: u64,
    /// Datasets that are not here.
    pub absent: u64,
    /// Files that cannot be sent.
    pub odd: u64,
    /// Grants that cannot be told from what is in force.
    pub left_alone: u64,
}

impl Load {
    /// Counts a plan.
    pub fn of(plan: &Plan) -> Self {
        let absent = plan.actions.iter().filter(|action| matches!(action.step, Step::SkipDataset { .. })).count();
        let left_alone = plan.account.iter().filter(|one| one.effect() == Effect::Skip).count();
        Self {
            work: (plan.actions.len() - absent + plan.account.len() - left_alone) as u64,
            absent: absent as u64,
            odd: plan.odd_files(),
            left_alone: left_alone as u64,
        }
    }

    /// True if something of the layout stays undone whatever the run does.
    pub const fn is_partial(self) -> bool {
        self.absent + self.odd + self.left_alone > 0
    }
}
