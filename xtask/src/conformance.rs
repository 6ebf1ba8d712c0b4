//! `cargo xtask conformance`: the real binary against servers written by others, and its endpoint driven by clients
//! written by others. Peers are installed under target/; traffic stays on the loopback interface.

mod access;
mod adopt;
mod audit;
mod breakages;
mod browser;
mod clients;
mod clusters;
mod crash;
mod endpoint;
mod grants;
mod image;
mod kubernetes;
mod lab;
mod layouts;
mod node;
mod parliament;
mod principals;
mod resume;
mod retire;
mod simulate;
mod syncs;
pub(crate) mod venv;
mod verify;

use anyhow::{Result, bail};
use endpoint::Peer;
use lab::Lab;
use std::fmt;
use std::path::Path;
use std::time::Instant;

/// One thing that must hold.
#[derive(Debug)]
struct Case {
    name: &'static str,
    run: fn(&Lab) -> Result<()>,
}

const CASES: &[Case] = &[
    Case { name: "aws-cli-round-trip", run: clients::aws_round_trip },
    Case { name: "aws-cli-multipart", run: clients::aws_multipart },
    Case { name: "s5cmd-copy", run: clients::s5cmd_copy },
    Case { name: "rclone-copy-check", run: clients::rclone_copy_check },
    Case { name: "boto3-listing", run: |lab| clients::script(lab, "listing.py") },
    Case { name: "boto3-ranges", run: |lab| clients::script(lab, "ranges.py") },
    Case { name: "boto3-versions", run: |lab| clients::script(lab, "versions.py") },
    Case { name: "boto3-races", run: |lab| clients::script(lab, "races.py") },
    Case { name: "boto3-multipart", run: |lab| clients::script(lab, "multipart.py") },
    Case { name: "raw-checksum-headers", run: |lab| clients::script(lab, "checksum_headers.py") },
    Case { name: "raw-checksum-trailers", run: |lab| clients::script(lab, "checksum_trailers.py") },
    Case { name: "raw-expectations", run: |lab| clients::script(lab, "expectations.py") },
    Case { name: "raw-refusals", run: |lab| clients::script(lab, "refusals.py") },
    Case { name: "policies-iam-simulate", run: simulate::differential },
    Case { name: "policies-parliament", run: parliament::compared },
    Case { name: "access-matrix-embedded", run: access::embedded_matrix },
    Case { name: "access-matrix-ministack", run: access::ministack_matrix },
    Case { name: "aws-cli-as-role", run: principals::aws_as_role },
    Case { name: "s5cmd-as-role", run: principals::s5cmd_as_role },
    Case { name: "breakages-ministack", run: breakages::ministack },
    Case { name: "breakages-moto-eks", run: breakages::moto_eks },
    Case { name: "grants-ministack", run: grants::ministack },
    Case { name: "grants-moto-eks", run: grants::moto_eks },
    Case { name: "audit-ministack", run: audit::ministack },
    Case { name: "cluster-moto", run: clusters::moto_cluster },
    Case { name: "cluster-denied", run: clusters::denied },
    Case { name: "cluster-manifests", run: clusters::manifests },
    Case { name: "cluster-shards", run: clusters::shards },
    Case { name: "kubernetes-apiserver", run: kubernetes::apiserver },
    Case { name: "kubernetes-doctor", run: kubernetes::applied::doctor },
    Case { name: "kubernetes-identities", run: kubernetes::applied::identities },
    Case { name: "kubernetes-jobs", run: kubernetes::applied::jobs },
    Case { name: "retire-ministack", run: retire::ministack },
    Case { name: "seed-embedded", run: layouts::seed_embedded },
    Case { name: "new-from-embedded", run: adopt::embedded_bucket },
    Case { name: "new-from-ministack", run: adopt::ministack_bucket },
    Case { name: "report-chromium", run: browser::report },
    Case { name: "settings-embedded", run: layouts::settings_embedded },
    Case { name: "settings-ministack", run: layouts::settings_ministack },
    Case { name: "settings-seaweedfs", run: layouts::settings_seaweedfs },
    Case { name: "sync-embedded", run: |lab| syncs::everywhere(lab, Peer::Embedded) },
    Case { name: "sync-ministack", run: |lab| syncs::everywhere(lab, Peer::Ministack) },
    Case { name: "sync-seaweedfs", run: |lab| syncs::everywhere(lab, Peer::Seaweedfs) },
    Case { name: "serve-ends-on-sigterm", run: crash::ends_on_sigterm },
    Case { name: "serve-survives-kill-9", run: crash::survives_kill_9 },
    Case { name: "kill-resume", run: resume::kill_resume },
    Case { name: "trouble-on-the-way", run: resume::trouble },
    Case { name: "image-distroless", run: image::distroless },
    Case { name: "verify-ministack", run: verify::ministack },
];

/// A case that cannot be tried on this machine, and why.
#[derive(Debug)]
struct Skipped(String);

impl std::error::Error for Skipped {}

impl fmt::Display for Skipped {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// What to run.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Runs the cases whose name holds this text.
    filter: Option<String>,
    /// Prints the names of the cases.
    #[arg(long)]
    list: bool,
    /// The server that the client cases drive; another one than ours shows whether a case or our endpoint is wrong.
    #[arg(long, value_enum, default_value = "embedded")]
    against: Peer,
    /// Runs `kill-resume` at its full size, 30 runs of 2 GiB, which takes about half an hour.
    #[arg(long)]
    full: bool,
}

/// Runs the chosen cases one after the other; every case is tried, and any failure fails the run.
pub(crate) fn run(root: &Path, options: &Options) -> Result<()> {
    let wanted = |case: &&Case| options.filter.as_deref().is_none_or(|filter| case.name.contains(filter));
    let chosen: Vec<&Case> = CASES.iter().filter(wanted).collect();
    if options.list {
        chosen.iter().for_each(|case| println!("{}", case.name));
        return Ok(());
    }
    if chosen.is_empty() {
        bail!("no case is named so; `cargo xtask conformance --list` prints the names");
    }
    let mut lab = Lab::open(root, options.against)?;
    lab.full = options.full;
    let (mut passed, mut skipped, mut failed) = (0, 0, 0);
    for case in chosen {
        let began = Instant::now();
        lab.enter(case.name)?;
        let result = (case.run)(&lab);
        let seconds = began.elapsed().as_secs_f64();
        match result {
            Ok(()) => {
                passed += 1;
                println!("ok {} ({seconds:.1} s)", case.name);
            }
            Err(error) if error.is::<Skipped>() => {
                skipped += 1;
                println!("skipped {}: {error}", case.name);
            }
            Err(error) => {
                failed += 1;
                println!("FAILED {} ({seconds:.1} s)\n{error:#}\n", case.name);
            }
        }
    }
    let rest = if skipped > 0 { format!(", {skipped} skipped") } else { String::new() };
    println!("{passed} passed, {failed} failed{rest}");
    if failed > 0 {
        bail!("what the cases left is in `{}`", lab.all().display());
    }
    Ok(())
}
