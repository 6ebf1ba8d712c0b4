//! `kill -9` in the middle of large uploads, many times over: the test of the binary, at a size that `cargo test` spares.
#![expect(clippy::disallowed_methods, reason = "the numbers of the rounds go to a file")]

use super::lab::Lab;
use anyhow::{Result, ensure};
use std::fs::{self, File};
use std::process::Command;

/// Rounds, small files, large files, and the MiB of each large one.
const USUAL: &str = "6,290,6,48";
const FULL: &str = "30,290,10,204";

/// After each kill one more run ends the work: no byte that had arrived is sent again, nothing is left unfinished, and
/// every object equals its file by MD5. What each round sent stands in `rounds.txt`.
pub(crate) fn kill_resume(lab: &Lab) -> Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["test", "--quiet", "--package", "bucketwright", "--test", "it", "--"]);
    command.args(["--exact", "killed::a_killed_upload_goes_on_at_scale", "--ignored", "--nocapture"]);
    command.env("BUCKETWRIGHT_KILL", if lab.full { FULL } else { USUAL }).env("TMPDIR", lab.path("."));
    let rounds = lab.path("rounds.txt");
    command.current_dir(&lab.root).stdout(File::create(&rounds)?);
    let ended = command.status()?;
    let said = fs::read_to_string(&rounds)?;
    ensure!(ended.success() && said.contains("round 5"), "{said}");
    Ok(())
}
