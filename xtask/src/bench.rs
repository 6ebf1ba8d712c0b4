//! `cargo xtask bench`: the release build against its peers, on servers that cost next to nothing.
//!
//! Everything is made, installed and kept under `target/bench`; traffic stays on the loopback interface.
#![expect(clippy::disallowed_methods, reason = "pages are written, and a result has a date")]

mod chart;
mod data;
mod decisions;
mod machine;
mod measure;
mod null_server;
mod page;
mod profile;
mod race;
mod results;
mod servers;
mod stages;
mod tools;
mod workloads;

use anyhow::{Context as _, Result, bail};
use jiff::Timestamp;
use null_server::NullServerOptions;
use page::Setting;
use profile::ProfileOptions;
use results::Measured;
use std::fs;
use std::path::{Path, PathBuf};
use tools::{Lab, Settings, Tool};
use workloads::{Kind, WORKLOADS, Workload};

/// What to measure.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(subcommand)]
    part: Option<Part>,
    /// Runs these workloads only, such as `W1,W7`.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Runs of each program.
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// Two runs over a tenth of the data, to see that everything works; nothing is kept.
    #[arg(long, conflicts_with = "write")]
    quick: bool,
    /// How parallel peers work; both gives each peer two rows.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "equal")]
    settings: Vec<Settings>,
    /// The many files of W6, such as 1000000.
    #[arg(long, value_name = "FILES")]
    scale: Option<u64>,
    /// Writes the page and the chart from the results of this and of earlier runs.
    #[arg(long)]
    write: bool,
    /// Prints the workloads.
    #[arg(long)]
    list: bool,
}

/// Parts of the bench that run on their own.
#[derive(Debug, clap::Subcommand)]
enum Part {
    /// Serves S3 to any client: takes, counts and forgets.
    NullServer(NullServerOptions),
    /// Prints how long 100,000 policy decisions take.
    Decisions {
        /// A file of cases.
        file: PathBuf,
        /// Has every decision give its reasons.
        #[arg(long)]
        reasons: bool,
    },
    /// Prints where the time of our own client goes.
    Profile(ProfileOptions),
}

/// How much is run.
#[derive(Debug, Clone)]
struct Limits {
    runs: usize,
    settings: Vec<Settings>,
}

/// Runs the chosen workloads one after the other; a program that fails fails the run, after everything else ran.
pub(crate) fn run(root: &Path, options: &Options) -> Result<()> {
    match &options.part {
        Some(Part::NullServer(options)) => return null_server::run(options),
        Some(Part::Decisions { file, reasons }) => return decisions::run(file, *reasons),
        Some(Part::Profile(options)) => return profile::run(&Lab::open(root)?, options),
        None => {}
    }
    if options.list {
        WORKLOADS.iter().for_each(|workload| println!("{:<5} {}", workload.id, workload.title));
        return Ok(());
    }
    let chosen = choose(&options.only)?;
    let lab = Lab::open(root)?;
    let limits =
        Limits { runs: if options.quick { 2 } else { options.runs.max(1) }, settings: options.settings.clone() };
    let mut failures = Vec::new();
    for workload in chosen {
        println!("{}: {}", workload.id, workload.title);
        let kind = sized(workload.kind, options);
        let disturbance = machine::disturbance();
        let finish = stage(&lab, kind, &limits).with_context(|| format!("{} could not be measured", workload.id))?;
        let mut notes: Vec<String> = finish.failures.iter().map(|failure| format!("{failure}.")).collect();
        notes.extend(disturbance);
        if let Kind::Scale { few, many, .. } = kind {
            notes.push(format!("Times are for each 10,000 files; few are {few}, many {many} files of 64 bytes."));
        }
        let measured = Measured {
            id: workload.id.to_owned(),
            title: workload.title.to_owned(),
            date: Timestamp::now().strftime("%Y-%m-%d").to_string(),
            rows: finish.rows,
            notes,
        };
        for judged in workload.targets.iter().filter_map(|target| measured.judge(target)) {
            let goal = judged.goal.map(|goal| format!(", goal {}", page::figure(goal))).unwrap_or_default();
            let (got, must) = (page::figure(judged.got), page::figure(judged.must));
            println!("  {}: {got} (must {must}{goal}): {}", judged.what, judged.verdict());
        }
        if !options.quick {
            measured.save(&lab.folder.join("results"))?;
        }
        failures.extend(finish.failures.iter().map(|failure| format!("{}: {failure}", workload.id)));
    }
    if options.write {
        write(&lab)?;
    }
    if !failures.is_empty() {
        bail!("{}", failures.join("\n"));
    }
    Ok(())
}

/// The workloads with these ids; all of them if none is named.
fn choose(only: &[String]) -> Result<Vec<&'static Workload>> {
    if only.is_empty() {
        return Ok(WORKLOADS.iter().collect());
    }
    let find = |id: &String| {
        let found = WORKLOADS.iter().find(|workload| workload.id.eq_ignore_ascii_case(id));
        found.with_context(|| format!("no workload is named `{id}`; `cargo xtask bench --list` prints them"))
    };
    only.iter().map(find).collect()
}

/// The workload in the size that was asked for.
fn sized(kind: Kind, options: &Options) -> Kind {
    let tenth = |tree: data::Tree| if options.quick { tree.tenth() } else { tree };
    match kind {
        Kind::Upload { tree, curl } => Kind::Upload { tree: tenth(tree), curl },
        Kind::Recheck { tree } => Kind::Recheck { tree: tenth(tree) },
        Kind::Rehash { tree } => Kind::Rehash { tree: tenth(tree) },
        Kind::Verify { tree } => Kind::Verify { tree: tenth(tree) },
        Kind::Scale { few, many, file_bytes } => {
            let share = if options.quick { 10 } else { 1 };
            Kind::Scale { few: few / share, many: options.scale.unwrap_or(many / share), file_bytes }
        }
        Kind::Decisions | Kind::Startup => kind,
    }
}

fn stage(lab: &Lab, kind: Kind, limits: &Limits) -> Result<race::Finish> {
    match kind {
        Kind::Upload { tree, curl } => stages::upload(lab, tree, curl, limits),
        Kind::Recheck { tree } => stages::recheck(lab, tree, limits),
        Kind::Rehash { tree } => stages::rehash(lab, tree, limits),
        Kind::Verify { tree } => stages::verify(lab, tree, limits),
        Kind::Scale { few, many, file_bytes } => stages::scale(lab, few, many, file_bytes, limits),
        Kind::Decisions => stages::decide(lab, limits),
        Kind::Startup => stages::start(lab, limits),
    }
}

/// Writes the page and the chart from every result that is kept.
fn write(lab: &Lab) -> Result<()> {
    let kept = lab.folder.join("results");
    let results: Vec<Measured> = WORKLOADS
        .iter()
        .filter_map(|workload| Measured::load(&kept, workload.id).transpose())
        .collect::<Result<_>>()?;
    let tools = [Tool::Bucketwright, Tool::S3sync, Tool::S5cmd, Tool::Rclone, Tool::Aws, Tool::Curl];
    let mut versions: Vec<String> = tools.iter().map(|tool| lab.version(*tool)).collect::<Result<_>>()?;
    versions.push(tools::IAM_SIMULATE.to_owned());
    let setting = Setting { machine: machine::describe(), versions };
    let docs = lab.root.join("docs");
    fs::write(docs.join("benchmarks.md"), page::page(&results, &setting))?;
    fs::write(docs.join("benchmarks.svg"), chart::chart(&results))?;
    println!("wrote docs/benchmarks.md and docs/benchmarks.svg");
    Ok(())
}
