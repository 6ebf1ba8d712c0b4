//! Python environments with exactly the packages named, kept between runs.
#![expect(clippy::disallowed_methods, reason = "an environment is a folder")]

use anyhow::{Context as _, Result, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The folder of programs of an environment with these requirements; made anew when they changed or an install was cut
/// short.
pub(crate) fn install(folder: &Path, requirements: &[&str]) -> Result<PathBuf> {
    let programs = folder.join("bin");
    let stamp = folder.join("requirements");
    let wanted = requirements.join(" ");
    if fs::read_to_string(&stamp).is_ok_and(|found| found == wanted) {
        return Ok(programs);
    }
    println!("installing {wanted}");
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    let python = ["python3", "-m", "venv"];
    let made = Command::new(python[0]).args(&python[1..]).arg(folder).status().context("cannot run `python3`")?;
    ensure!(made.success(), "`python3 -m venv` failed; Debian has it in the package python3-venv");
    let mut pip = Command::new(programs.join("python"));
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--root-user-action=ignore"]);
    let installed = pip.args(requirements).status().context("cannot run pip")?;
    ensure!(installed.success(), "pip could not install {wanted}; is the package registry reachable?");
    fs::write(stamp, wanted)?;
    Ok(programs)
}
