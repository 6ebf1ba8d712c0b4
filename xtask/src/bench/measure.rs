//! One run of one program: its time, its share of the cores, its memory.
#![expect(clippy::disallowed_methods, reason = "runs leave logs")]

use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;
use wait4::Wait4 as _;

/// What a run took.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Sample {
    /// From start to end, in seconds.
    pub(super) wall_s: f64,
    /// On a core in the program, in seconds, its children included.
    pub(super) user_s: f64,
    /// On a core in the kernel for the program, in seconds.
    pub(super) system_s: f64,
    /// The most memory it held at once, in bytes.
    pub(super) peak_bytes: u64,
}

impl Sample {
    /// Seconds on a core.
    pub(super) fn cpu_s(&self) -> f64 {
        self.user_s + self.system_s
    }

    /// A run of which only the time is known.
    pub(super) const fn of_time(seconds: f64) -> Self {
        Self { wall_s: seconds, user_s: seconds, system_s: 0.0, peak_bytes: 0 }
    }
}

/// Runs a program to its end, which must be exit code 0. What it prints is kept in `log` until the next run.
pub(super) fn run(command: &mut Command, log: &Path) -> Result<Sample> {
    let shown = shown(command);
    let output = File::create(log)?;
    command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
    let began = Instant::now();
    let mut child = command.spawn().with_context(|| format!("cannot run {shown}"))?;
    let ended = child.wait4()?;
    let wall_s = began.elapsed().as_secs_f64();
    if !ended.status.success() {
        let text = fs::read(log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
        let first = text.lines().find(|line| line.to_lowercase().contains("error")).or(text.lines().next());
        let lines: Vec<&str> = text.lines().collect();
        let tail = lines[lines.len().saturating_sub(20)..].join("\n");
        bail!("{}, {}\n$ {shown}\n{tail}", ended.status, first.unwrap_or("silent"));
    }
    Ok(Sample {
        wall_s,
        user_s: ended.rusage.utime.as_secs_f64(),
        system_s: ended.rusage.stime.as_secs_f64(),
        peak_bytes: ended.rusage.maxrss,
    })
}

/// A command as a person would type it, without its environment.
pub(super) fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or_default();
    let words = std::iter::once(program).chain(command.get_args());
    words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
}

/// The middle of some numbers; the mean of the two in the middle where they are even in number, 0 of none.
pub(super) fn median(numbers: impl IntoIterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = numbers.into_iter().collect();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => 0.0,
        count if count % 2 == 1 => sorted[middle],
        _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
    }
}

#[cfg(test)]
mod tests {
    use super::median;

    #[test]
    fn medians() {
        for (numbers, wanted) in
            [(&[][..], 0.0), (&[3.0], 3.0), (&[9.0, 1.0], 5.0), (&[5.0, 100.0, 1.0], 5.0), (&[4.0, 1.0, 3.0, 2.0], 2.5)]
        {
            assert!((median(numbers.iter().copied()) - wanted).abs() < 1e-9, "{numbers:?}");
        }
    }
}
