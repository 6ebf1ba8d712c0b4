//! Tests of the binary that `cargo test` has in small, at a size that it spares: `kill -9` in the middle of large uploads, and
//! a line on which much goes wrong.
#![expect(clippy::disallowed_methods, reason = "what a test says goes to a file")]

use super::lab::Lab;
use anyhow::{Result, ensure};
use std::fs::{self, File};
use std::process::Command;

/// Rounds, small files, large files, and the MiB of each large one.
const USUAL: &str = "6,290,6,48";
const FULL: &str = "30,290,10,204";

/// Small files, large files, and the MiB of each large one, through resets, refusals, cut and late answers.
const TROUBLE: &str = "600,4,40";

/// After each kill one more run ends the work: no byte that had arrived is sent again, nothing is left unfinished, and
/// every object equals its file by MD5. What each round sent stands in `said.txt`.
pub(crate) fn kill_resume(lab: &Lab) -> Result<()> {
    let scale = if lab.full { FULL } else { USUAL };
    at_scale(lab, "killed::a_killed_upload_goes_on_at_scale", ("BUCKETWRIGHT_KILL", scale), "round 5")
}

/// Up and down again through a relay that loses one request in nine or so: everything arrives, and nothing twice.
pub(crate) fn trouble(lab: &Lab) -> Result<()> {
    let test = "sync_faults::trouble_on_the_way_is_ridden_out_at_scale";
    at_scale(lab, test, ("BUCKETWRIGHT_TROUBLE", TROUBLE), "down: ")
}

/// Runs a test that is ignored for its size, which has to say `wanted`.
fn at_scale(lab: &Lab, test: &str, (variable, scale): (&str, &str), wanted: &str) -> Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["test", "--quiet", "--package", "bucketwright", "--test", "it", "--"]);
    command.args(["--exact", test, "--ignored", "--nocapture"]);
    command.env(variable, scale).env("TMPDIR", lab.path("."));
    let file = lab.path("said.txt");
    command.current_dir(&lab.root).stdout(File::create(&file)?);
    let ended = command.status()?;
    let said = fs::read_to_string(&file)?;
    ensure!(ended.success() && said.contains(wanted), "{said}");
    Ok(())
}
