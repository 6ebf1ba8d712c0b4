//! What the figures were measured on, in one line.
#![expect(clippy::disallowed_methods, reason = "the kernel describes the machine in files")]

use std::fs;
use std::thread;

/// Cores, processor, memory and kernel; what the system does not say is left out.
pub(super) fn describe() -> String {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let processor = field(&read("/proc/cpuinfo"), "model name").map(|name| format!("of {name}"));
    let memory = field(&read("/proc/meminfo"), "MemTotal").and_then(|size| gib(&size));
    let kernel = read("/proc/sys/kernel/osrelease").trim().to_owned();
    let kernel = (!kernel.is_empty()).then(|| format!("{} {kernel}", std::env::consts::OS));
    let cores = format!("{cores} cores {}", processor.unwrap_or_default()).trim().to_owned();
    [Some(cores), memory, kernel].into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// A sentence about other work on the machine, if there is so much of it that it disturbs.
pub(super) fn disturbance() -> Option<String> {
    let text = fs::read_to_string("/proc/loadavg").ok()?;
    let load: f64 = text.split_whitespace().next()?.parse().ok()?;
    let cores = u32::try_from(thread::available_parallelism().map_or(1, usize::from)).ok()?;
    let is_busy = load > 1.5 * f64::from(cores);
    is_busy.then(|| {
        format!("Other work disturbed the runs: the load average was {load:.1} on {cores} cores when they began.")
    })
}

/// The value behind a name and a colon.
fn field(text: &str, name: &str) -> Option<String> {
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// A size in kB as GiB.
fn gib(size: &str) -> Option<String> {
    let kib: u64 = size.trim_end_matches("kB").trim().parse().ok()?;
    Some(format!("{} GiB of memory", (kib + (1 << 19)) >> 20))
}

#[cfg(test)]
mod tests {
    use super::{field, gib};

    #[test]
    fn the_kernel_is_understood() {
        let text = "processor\t: 0\nmodel name\t: Some CPU @ 2.0GHz\n";
        assert_eq!(field(text, "model name").as_deref(), Some("Some CPU @ 2.0GHz"));
        assert_eq!(field(text, "flags"), None);
        assert_eq!(gib("24618496 kB").as_deref(), Some("23 GiB of memory"));
    }
}
