//! Where the time of our own client goes: one run under a profiler, the functions it was in most.
#![expect(clippy::disallowed_methods, reason = "profilers leave files")]

use super::data::Tree;
use super::null_server::Etags;
use super::servers::Endpoint;
use super::tools::{Job, Lab, Memory, Settings, Tool, Work};
use super::workloads::{Kind, WORKLOADS};
use super::{decisions, measure};
use anyhow::{Context as _, Result, bail, ensure};
use std::fs;
use std::process::{Command, Stdio};

/// Profilers, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Profiler {
    /// Samples the program at full speed; the kernel must allow it.
    Perf,
    /// Counts every instruction, slowly; no waiting is seen.
    Callgrind,
}

/// What to profile.
#[derive(Debug, clap::Args)]
pub(crate) struct ProfileOptions {
    /// The workload: an upload, W3 or W7.
    workload: String,
    /// Lines of the answer.
    #[arg(long, default_value_t = 40)]
    lines: usize,
}

/// Profiles one run of a workload.
pub(super) fn run(lab: &Lab, options: &ProfileOptions) -> Result<()> {
    let found = WORKLOADS.iter().find(|workload| workload.id.eq_ignore_ascii_case(&options.workload));
    let workload = found.with_context(|| format!("no workload is named `{}`", options.workload))?;
    match workload.kind {
        Kind::Upload { tree, .. } => sync(lab, tree, Work::Upload, options.lines),
        Kind::Recheck { tree } => sync(lab, tree, Work::Recheck, options.lines),
        Kind::Decisions => {
            let mut command = lab.command(&lab.xtask(), Tool::Bucketwright);
            command.args(["bench", "decisions"]).arg(lab.root.join(decisions::CASES));
            profile(lab, &command, options.lines)
        }
        _ => bail!("only uploads, W3 and W7 are profiled"),
    }
}

fn sync(lab: &Lab, tree: Tree, work: Work, lines: usize) -> Result<()> {
    let source = tree.make(&lab.folder.join("data"))?;
    let (etags, seed) = if work == Work::Recheck { (Etags::Md5, Some(&*source)) } else { (Etags::Opaque, None) };
    let endpoint = Endpoint::null(lab, etags, seed)?;
    let prefix = if work == Work::Recheck { "seed" } else { "profile" };
    let (settings, memory) = (Settings::Defaults, Memory::Blank);
    let job = Job { work, source: &source, endpoint: &endpoint, prefix, settings, memory };
    if work == Work::Upload {
        return profile(lab, &lab.job(Tool::Bucketwright, &job)?, lines);
    }
    measure::run(&mut lab.job(Tool::Bucketwright, &job)?, &lab.folder.join("run.log"))?;
    profile(lab, &lab.job(Tool::Bucketwright, &Job { memory: Memory::Kept, ..job })?, lines)
}

fn profile(lab: &Lab, command: &Command, lines: usize) -> Result<()> {
    let Some(profiler) = profiler() else { bail!("neither `perf` works here nor is `valgrind` installed") };
    let data = lab.folder.join("profile.data");
    let mut profiled = match profiler {
        Profiler::Perf => {
            let mut perf = Command::new("perf");
            perf.args(["record", "--quiet", "--freq", "2000", "--call-graph", "fp", "--output"]).arg(&data).arg("--");
            perf
        }
        Profiler::Callgrind => {
            let mut valgrind = Command::new("valgrind");
            valgrind.args(["--tool=callgrind", "--quiet"]);
            valgrind.arg(format!("--callgrind-out-file={}", data.display()));
            valgrind
        }
    };
    profiled.arg(command.get_program()).args(command.get_args());
    profiled.env_clear().current_dir(&lab.folder);
    profiled.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let sample = measure::run(&mut profiled, &lab.folder.join("run.log"))?;
    println!("{profiler:?}: {:.2} s, {:.2} s of CPU, profiler included", sample.wall_s, sample.cpu_s());
    let mut report = match profiler {
        Profiler::Perf => {
            let mut perf = Command::new("perf");
            perf.args(["report", "--stdio", "--no-children", "--call-graph", "none", "--percent-limit", "0.4"]);
            perf.args(["--sort", "symbol,dso", "--input"]).arg(&data);
            perf
        }
        Profiler::Callgrind => {
            let mut annotate = Command::new("callgrind_annotate");
            annotate.arg(&data);
            annotate
        }
    };
    let output = report.stderr(Stdio::null()).output().context("cannot read the profile")?;
    ensure!(output.status.success(), "the profile could not be read");
    let text = String::from_utf8_lossy(&output.stdout);
    let shown = text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#'));
    shown.take(lines).for_each(|line| println!("{line}"));
    println!("the whole profile: {}", fs::canonicalize(&data)?.display());
    Ok(())
}

/// The best profiler that works here.
fn profiler() -> Option<Profiler> {
    let works = |program: &str, words: &[&str]| {
        let ran = Command::new(program).args(words).stdout(Stdio::null()).stderr(Stdio::null()).status();
        ran.is_ok_and(|status| status.success())
    };
    if works("perf", &["record", "--quiet", "--output", "/dev/null", "--", "true"]) {
        return Some(Profiler::Perf);
    }
    works("valgrind", &["--version"]).then_some(Profiler::Callgrind)
}
