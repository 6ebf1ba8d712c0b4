//! `report`: the state of a layout's buckets, policies and access as one page; looks, and changes nothing.

use super::grants::{self, Looked};
use super::{Context, Ending, LayoutArgs, Loaded, announced, observe, tree, verify};
use crate::access::{self, AccountState};
use crate::cluster;
use crate::config::Flags;
use crate::error::CommandError;
use crate::layout::scaffold::{self, Sections};
use crate::layout::{Bucket, Layout, Purpose};
use crate::local;
use crate::model::{BucketName, BucketState, Existence, Seen};
use crate::page::{AccountPart, BucketPart, ClusterPart, DatasetPart, Format, Page, PolicyPart, SurveyPart};
use crate::page::{cells_in_force, is_own};
use crate::policy::lint::{self, PolicyType, Subject};
use crate::policy::lockout;
use crate::policy::matrix;
use crate::report::{Cell, Event, Finding, Outcome, Severity};
use crate::tree::{Tree, TreeOptions};
use crate::ui::{ColorChoice, Format as OutputFormat, Ui, UiOptions};
use crate::verify::settings;
use crate::world::World;
use clap::{Args, ValueEnum};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// How many objects of one folder are drawn before the rest is only counted.
const OBJECTS_SHOWN: usize = 10;
/// How much of a file is looked at to tell whether it is a report.
const LOOKED_AT_BYTES: u64 = 64 * 1024 * 1024;

/// Write the state of buckets, policies and access as one page
///
/// The page tells settings control by control with their ids and waivers, folders with sizes, policies with their documents
/// and whom they are attached to, the access matrix, datasets, findings, and what `apply` would change; with who looked and
/// when. An HTML page is one file that loads nothing from anywhere, for a browser, a phone or paper.
///
/// The matrix is computed from what the grants' policies say as they are in force. `--verify` adds how calls were answered: as the caller, or as
/// the role that `--as` names, held against the grants that name it, or those of `--grant`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bucketwright report --local
  bucketwright report layout.toml --env prod -o state.html
  bucketwright report --verify --as arn:aws:iam::111122223333:role/trainer -o state.md")]
pub struct ReportArgs {
    #[command(flatten)]
    layout: LayoutArgs,
    /// The page's form [default: by the ending of `--out`, else markdown]
    #[arg(long, value_enum, value_name = "FORM")]
    format: Option<Form>,
    /// Write it there, over an older report; without it the page is printed
    #[arg(long, short, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Try access by real calls that leave nothing behind
    #[arg(long)]
    verify: bool,
    /// With `--verify` and `--as`: what that role should have, by the policy's name, as for a node group's role; can be
    /// repeated
    #[arg(long, value_name = "POLICY", requires = "verify")]
    grant: Vec<String>,
    /// With `--verify`: leave out every call that writes
    #[arg(long, requires = "verify")]
    no_write: bool,
}

/// `--format`
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    /// GitHub's Markdown
    Markdown,
    /// One HTML file
    Html,
}

/// Runs the verb.
pub async fn run(args: &ReportArgs, context: &Context) -> Result<Ending, CommandError> {
    if let Some(out) = &args.out {
        may_replace(out)?;
    }
    let loaded = super::load(&args.layout, context)?;
    // A role whose access is tried need not be allowed to look at settings.
    let flags = match args.verify {
        true => Flags { as_role: None, session_policy: None, ..context.flags.clone() },
        false => context.flags.clone(),
    };
    let world = super::reach_as(&loaded.layout, &flags, context).await?;
    let mut page = look(&loaded, &world, context).await?;
    if args.verify {
        let (cells, findings) = tried(args, context).await?;
        page.observed = Some(cells);
        page.findings.extend(findings);
    }
    write(args, &page.render(format(args)), context)
}

fn format(args: &ReportArgs) -> Format {
    let ending = args.out.as_ref().and_then(|out| out.extension()).and_then(|ending| ending.to_str());
    match (args.format, ending) {
        (Some(Form::Html), _) | (None, Some("html" | "htm")) => Format::Html,
        _ => Format::Markdown,
    }
}

/// A report may stand where an older one stands, and nowhere else.
fn may_replace(out: &Path) -> Result<(), CommandError> {
    if !local::exists(out) {
        return Ok(());
    }
    match local::read_at_most(out, LOOKED_AT_BYTES) {
        Ok(Some(text)) if is_own(&text) => Ok(()),
        _ => {
            Err(CommandError::usage(format!("`{}` is no report of this program, and is left as it is", out.display()))
                .hint("choose another name with `-o FILE`"))
        }
    }
}

fn write(args: &ReportArgs, text: &str, context: &Context) -> Result<Ending, CommandError> {
    match &args.out {
        None => context.ui.answer(text),
        Some(out) => {
            local::replace_file(out, |file| file.write_all(text.as_bytes()))
                .map_err(|error| CommandError::unwritable(out, &error))?;
            context.ui.note(&format!("wrote {}", out.display()));
        }
    }
    Ok(Ending::answered(Outcome::Done))
}

/// Looks at everything that the page tells.
async fn look(loaded: &Loaded, world: &World, context: &Context) -> Result<Page, CommandError> {
    let layout = &loaded.layout;
    let found = announced("looking at the buckets", observe(layout, world), context).await?;
    let around = world.circumstances();
    let sections = Sections { settings: true, markers: true, grants: false, datasets: false };
    let mut plan = scaffold::plan(layout, &found, &around, sections);
    lockout::guard(&mut plan, layout, &found, &around);
    let mut findings = std::mem::take(&mut plan.findings);
    let (account, computed) = match grants::observe(layout, world, context).await? {
        Looked::Found(state) => {
            let access = access::plan(layout, &state);
            plan.account = access.actions;
            findings.extend(access.findings);
            let mut part = AccountPart::of(layout, &state);
            if let AccountPart::Seen { clusters, .. } = &mut part {
                findings.extend(
                    announced("looking at clusters", surveyed(layout, &state, clusters, world), context).await?,
                );
            }
            (part, cells_in_force(layout, &state))
        }
        Looked::OutOfReach { why, findings: told } => {
            findings.extend(told);
            let account = AccountPart::unseen(layout, world.region.partition(), why);
            (account, matrix::of_layout(layout).unwrap_or_default())
        }
    };
    findings.extend(super::broken_expectations(layout));
    findings.extend(linted(&account, &found));
    let trees = announced("listing the buckets", trees(loaded, world, &found), context).await?;
    let part = |bucket: &Bucket| {
        let state = found.get(&bucket.name)?;
        let tree = trees.iter().find(|tree| tree.bucket == bucket.name).cloned();
        Some(BucketPart::of(bucket, state, settings::checks(layout, bucket, state, &around), tree))
    };
    let records = plan.actions.iter().map(|action| action.record(action.planned_status()));
    let of_account = plan.account.iter().map(|action| action.record(action.planned_status()));
    Ok(Page {
        layout: layout.id.clone(),
        tool: concat!("bucketwright ", env!("CARGO_PKG_VERSION")).to_owned(),
        day: context.now.strftime("%B %-d, %Y").to_string(),
        at: context.now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        identity: world.identity_record(),
        buckets: layout.buckets.iter().filter_map(part).collect(),
        computed,
        observed: None,
        datasets: layout.datasets.iter().map(|dataset| DatasetPart::of(dataset, &trees)).collect(),
        findings,
        actions: records.chain(of_account).collect(),
        account,
    })
}

/// Adds to the clusters what their nodes and networks mean. Gives what a person should see of it: what stops or widens a
/// grant, and how S3 is reached. What is merely unknown stands beside the nodes.
async fn surveyed(
    layout: &Layout,
    state: &AccountState,
    parts: &mut [ClusterPart],
    world: &World,
) -> Result<Vec<Finding>, CommandError> {
    let mut findings = Vec::new();
    for part in parts {
        let Some(cluster) = state.clusters.get(&part.name).and_then(Seen::here) else { continue };
        let survey = match world.account.survey(cluster).await? {
            Seen::Here(survey) => survey,
            Seen::Absent => continue,
            Seen::Hidden(why) => {
                part.remarks.push(format!("its nodes and network may not be read: {why}"));
                continue;
            }
        };
        let view = cluster::view(cluster, &survey);
        findings.extend(view.findings);
        let granting = super::cluster::show::granting(layout, cluster, &survey, world).await?;
        findings.extend(granting.findings.into_iter().filter(|finding| finding.severity >= Severity::SecurityWarning));
        let endpoints = survey.endpoints.here().map(|_| view.endpoints);
        part.survey = Some(SurveyPart { nodes: view.nodes, vpc: survey.vpc.clone(), endpoints });
    }
    Ok(findings)
}

/// The trees of the buckets that the layout declares and that can be listed.
async fn trees(
    loaded: &Loaded,
    world: &World,
    found: &BTreeMap<BucketName, BucketState>,
) -> Result<Vec<Tree>, CommandError> {
    let options = TreeOptions { limit: OBJECTS_SHOWN, depth: None };
    let mut trees = Vec::new();
    for bucket in loaded.layout.buckets.iter().filter(|bucket| bucket.purpose == Purpose::Declared) {
        if found.get(&bucket.name).is_some_and(|state| state.existence != Existence::Forbidden) {
            trees.push(tree::grow(bucket, loaded, world, options).await?);
        }
    }
    Ok(trees)
}

/// What the linter says of the grants' policies and of the buckets' own.
fn linted(account: &AccountPart, found: &BTreeMap<BucketName, BucketState>) -> Vec<Finding> {
    let (AccountPart::Seen { policies, .. } | AccountPart::Unseen { policies, .. }) = account;
    let of_grant = |policy: &PolicyPart| {
        let target = format!("policy/{}", policy.name);
        let subject = Subject { target: &target, kind: PolicyType::Identity, bucket: None };
        lint::lint(policy.document.as_bytes(), &subject)
    };
    let of_bucket = |(name, state): (&BucketName, &BucketState)| {
        let target = format!("s3://{name}");
        let subject = Subject { target: &target, kind: PolicyType::Bucket, bucket: Some(name) };
        let text = state.policy.known().and_then(Option::as_ref)?;
        Some(lint::lint(text.0.as_bytes(), &subject))
    };
    let buckets = found.iter().filter_map(of_bucket).flatten();
    policies.iter().flat_map(of_grant).chain(buckets).collect()
}

/// How calls are answered, as `verify --access` tells it: its own events, so that the page and that verb cannot disagree.
async fn tried(args: &ReportArgs, context: &Context) -> Result<(Vec<Cell>, Vec<Finding>), CommandError> {
    let options = UiOptions {
        format: OutputFormat::Json,
        quiet: true,
        verbose: 0,
        progress: false,
        color: ColorChoice::Never,
        stdout_is_terminal: false,
        stderr_is_terminal: false,
        width: 80,
    };
    let (ui, captured) = Ui::captured(options, "");
    let inner = Context {
        ui,
        flags: context.flags.clone(),
        environment: context.environment.clone(),
        set: context.set.clone(),
        yes: context.yes,
        started_ns: context.started_ns,
        run_id: context.run_id,
        now: context.now,
        stop: context.stop.clone(),
    };
    let ending = verify::try_access(&args.layout, args.no_write, &args.grant, &inner).await?;
    if let Some(stopped) = ending.last_word {
        return Err(stopped);
    }
    let (mut cells, mut findings) = (Vec::new(), Vec::new());
    for event in captured.events() {
        match event {
            Event::Cell(cell) => cells.push(cell),
            Event::Matrix(whole) => cells.extend(whole),
            Event::Finding(finding) => findings.push(finding),
            _ => {}
        }
    }
    Ok((cells, findings))
}
