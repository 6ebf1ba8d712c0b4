//! `serve` under signals: what it acknowledged is there and whole after it was killed, and it ends when asked.
#![expect(clippy::disallowed_methods, reason = "the record of what was acknowledged is a file")]

use super::clients::python;
use super::endpoint::{Endpoint, embedded};
use super::lab::Lab;
use anyhow::{Context as _, Result, bail, ensure};
use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

const ROUNDS: usize = 20;
const PUTS: usize = 200;

/// SIGTERM ends `serve` in order, and what was stored is there when it starts again.
pub(crate) fn ends_on_sigterm(lab: &Lab) -> Result<()> {
    let folder = lab.path("local");
    let endpoint = embedded(lab, &folder)?;
    put_all(lab, &endpoint, 0)?;
    lab.expect(lab.command(Path::new("kill")).args(["-TERM", &endpoint.id().to_string()]))?;
    let status = endpoint.wait()?;
    ensure!(status.success(), "`serve` ended with {status} after SIGTERM");
    check_all(lab, &embedded(lab, &folder)?)
}

/// `kill -9` in the middle of concurrent puts, again and again over one folder: no acknowledged object is lost, none is
/// torn. Each round kills after another number of acknowledgements.
pub(crate) fn survives_kill_9(lab: &Lab) -> Result<()> {
    let folder = lab.path("local");
    for round in 0..ROUNDS {
        let endpoint = embedded(lab, &folder)?;
        let mut writer = start_puts(lab, &endpoint, round)?;
        let reached = wait_for_acknowledgements(lab, round, (round * 37 + 11) % (PUTS - 20), &mut writer);
        endpoint.kill()?;
        let ended = writer.wait()?;
        reached.with_context(|| format!("round {round}"))?;
        ensure!(
            ended.success(),
            "round {round}: the writer ended with {ended}; see `{}`",
            lab.path("puts.log").display()
        );
        let restarted = embedded(lab, &folder).with_context(|| format!("restart after round {round}"))?;
        check_all(lab, &restarted).with_context(|| format!("after round {round}"))?;
    }
    Ok(())
}

fn put_all(lab: &Lab, endpoint: &Endpoint, round: usize) -> Result<()> {
    let ended = start_puts(lab, endpoint, round)?.wait()?;
    ensure!(ended.success(), "the writer ended with {ended}");
    let acknowledged = acknowledgements(lab, round);
    ensure!(acknowledged == PUTS, "{acknowledged} of {PUTS} puts were acknowledged");
    Ok(())
}

/// Starts a script that puts objects side by side and notes each acknowledgement as a line in `acknowledged-ROUND`.
fn start_puts(lab: &Lab, endpoint: &Endpoint, round: usize) -> Result<Child> {
    let log = File::options().create(true).append(true).open(lab.path("puts.log"))?;
    let mut command = endpoint.give(python(lab, "puts.py"));
    command.args(["put", &round.to_string(), &PUTS.to_string()]).stdout(Stdio::null()).stderr(log);
    command.spawn().context("cannot run puts.py")
}

fn check_all(lab: &Lab, endpoint: &Endpoint) -> Result<()> {
    lab.expect(endpoint.give(python(lab, "puts.py")).arg("check")).map(drop)
}

fn acknowledgements(lab: &Lab, round: usize) -> usize {
    fs::read_to_string(lab.path(&format!("acknowledged-{round}"))).map_or(0, |text| text.lines().count())
}

fn wait_for_acknowledgements(lab: &Lab, round: usize, wanted: usize, writer: &mut Child) -> Result<()> {
    let began = Instant::now();
    while acknowledgements(lab, round) < wanted {
        if let Some(ended) = writer.try_wait()? {
            bail!("the writer ended ({ended}) after {} of {wanted} puts", acknowledgements(lab, round));
        }
        ensure!(began.elapsed() < Duration::from_secs(60), "only {} puts in 60 s", acknowledgements(lab, round));
        thread::sleep(Duration::from_millis(2));
    }
    Ok(())
}
