//! Node packages, kept between runs. Without npm there is nothing to compare with, and the case says so.
#![expect(clippy::disallowed_methods, reason = "an installed package is a folder")]

use super::Skipped;
use super::lab::Lab;
use anyhow::{Result, ensure};
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// The folder whose `node_modules` hold exactly these packages; made anew when they changed or an install was cut short.
pub(super) fn install(lab: &Lab, name: &str, packages: &[&str]) -> Result<PathBuf> {
    let folder = lab.kept(name);
    let stamp = folder.join("requirements");
    let wanted = packages.join(" ");
    for program in ["node", "npm"] {
        let found = Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        if !found.is_ok_and(|status| status.success()) {
            return Err(Skipped(format!("there is no `{program}` here")).into());
        }
    }
    if fs::read_to_string(&stamp).is_ok_and(|found| found == wanted) {
        return Ok(folder);
    }
    println!("installing {wanted}");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    fs::write(folder.join("package.json"), "{\"private\": true}")?;
    let mut npm = Command::new("npm");
    npm.args(["install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", "--save-exact"]).args(packages);
    let status = npm.current_dir(&folder).status()?;
    ensure!(status.success(), "npm could not install {wanted}; is the package registry reachable?");
    fs::write(stamp, wanted)?;
    Ok(folder)
}
