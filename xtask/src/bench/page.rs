//! The results as a page for people. Pure: results in, Markdown out.

use super::results::{Measured, Quantity, Role, Row};
use super::workloads::WORKLOADS;
use std::fmt::Write as _;

/// Where the results come from.
#[derive(Debug)]
pub(super) struct Setting {
    /// Cores, processor, memory, kernel.
    pub(super) machine: String,
    /// What each program calls itself.
    pub(super) versions: Vec<String>,
}

/// The whole page.
pub(super) fn page(results: &[Measured], setting: &Setting) -> String {
    let mut out = String::from(
        "# Benchmarks\n\n\
         How long the same work takes `bucketwright` and its peers. Written by `cargo xtask bench --write`, which installs \
         the peers,\nmakes the files and runs everything; `cargo xtask bench --only W1` runs one workload.\n\n\
         ![Wall time of each workload as a share of the fastest peer's](benchmarks.svg)\n\n",
    );
    let _ = writeln!(out, "Machine: {}.\n", setting.machine);
    let _ = writeln!(out, "Programs: {}.\n", setting.versions.join(" · "));
    out.push_str(HOW);
    for measured in results {
        workload(&mut out, measured);
    }
    out
}

const HOW: &str = "\
What the figures mean:

- Seconds are medians of alternated runs on the loopback interface, each into a fresh prefix, with warm files; exit code,
  number and bytes of the objects are checked after every run. Only ratios within one workload mean something: the server
  shares the cores with the client.
- Uploads and second syncs go to a null server, a process of its own that keeps key, size, ETag and checksum of each
  object and drops the bytes inside the kernel. It checks nothing, for nobody. An object that came without Content-MD5 gets
  an ETag that is no MD5, as under SSE-KMS; for W3 and W6 it is the MD5 of the bytes.
- Ours runs as it comes, with every check on. Peers run with 32 files, or 4 parts of 8 MiB, at once; rows marked
  `(defaults)` with nothing set. Uploads of s5cmd are its `cp`, which is several times as fast as its `sync`.
- `proved` says what the server was given to check (as it counted), and what the client compared with the answer.
- Memory is the largest resident set of the process, in MiB.

";

fn workload(out: &mut String, measured: &Measured) {
    let _ = writeln!(out, "## {}: {}\n\nMeasured on {}.\n", measured.id, measured.title, measured.date);
    let proves = measured.rows.iter().any(|row| !row.proof.is_empty());
    out.push_str("| program | wall s (range) | user s | system s | MiB | of the fastest peer | runs |");
    out.push_str(if proves { " proved |\n" } else { "\n" });
    out.push_str("|---|---|---|---|---|---|---|");
    out.push_str(if proves { "---|\n" } else { "\n" });
    let fastest = measured.fastest_peer().map(|row| row.median(Quantity::Wall));
    for row in measured.rows.iter().filter(|row| !row.samples.is_empty()) {
        line(out, row, fastest);
        if proves {
            let _ = write!(out, " {} |", row.proof);
        }
        out.push('\n');
    }
    let targets = WORKLOADS.iter().find(|workload| workload.id == measured.id).map_or(&[][..], |found| found.targets);
    let judged: Vec<_> = targets.iter().filter_map(|target| measured.judge(target)).collect();
    if !judged.is_empty() {
        out.push_str("\n| figure | measured | must | goal | |\n|---|---|---|---|---|\n");
    }
    for judged in judged {
        let goal = judged.goal.map_or_else(String::new, figure);
        let (got, must) = (figure(judged.got), figure(judged.must));
        let _ = writeln!(out, "| {} | {got} | {must} | {goal} | {} |", judged.what, judged.verdict());
    }
    if !measured.notes.is_empty() {
        let _ = writeln!(out, "\n{}", measured.notes.join(" "));
    }
    out.push('\n');
}

fn line(out: &mut String, row: &Row, fastest: Option<f64>) {
    let name = if row.role == Role::Ours { format!("**{}**", row.name) } else { row.name.clone() };
    let (least, most) = row.range();
    let wall = row.median(Quantity::Wall);
    let [user, system] = [|row: &Row| median_of(row, true), |row: &Row| median_of(row, false)].map(|of| of(row));
    let share = fastest.map_or_else(String::new, |fastest| figure(wall / fastest));
    let peak = match row.median(Quantity::Peak) {
        peak if peak > 0.0 => format!("{peak:.0}"),
        _ => String::new(),
    };
    let _ = write!(
        out,
        "| {name} | {} ({}–{}) | {} | {} | {peak} | {share} | {} |",
        figure(wall),
        figure(least),
        figure(most),
        figure(user),
        figure(system),
        row.samples.len()
    );
}

fn median_of(row: &Row, is_user: bool) -> f64 {
    super::measure::median(row.samples.iter().map(|sample| if is_user { sample.user_s } else { sample.system_s }))
}

/// A number with as many digits as mean something.
pub(super) fn figure(number: f64) -> String {
    match number {
        number if number >= 100.0 => format!("{number:.0}"),
        number if number >= 10.0 => format!("{number:.1}"),
        number if number >= 0.1 || number == 0.0 => format!("{number:.2}"),
        number if number >= 0.01 => format!("{number:.3}"),
        number => format!("{number:.4}"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::results::{Role, tests::measured};
    use super::{Setting, figure, page};

    #[test]
    fn figures_have_the_digits_that_mean_something() {
        for (number, wanted) in
            [(0.0, "0.00"), (0.00333, "0.0033"), (0.0501, "0.050"), (1.005, "1.00"), (12.345, "12.3"), (256.0, "256")]
        {
            assert_eq!(figure(number), wanted);
        }
    }

    #[test]
    fn a_page_has_a_table_of_runs_and_one_of_targets() {
        let mut result = measured(&[
            ("bucketwright", Role::Ours, &[1.0, 2.0, 1.5]),
            ("s5cmd", Role::Peer, &[3.0]),
            ("aws", Role::Peer, &[]),
        ]);
        result.id = "W1".to_owned();
        result.notes = vec!["aws failed: no such file.".to_owned()];
        let setting =
            Setting { machine: "2 cores".to_owned(), versions: vec!["s5cmd v2".to_owned(), "rclone v1".to_owned()] };
        let text = page(&[result], &setting);
        for line in [
            "Machine: 2 cores.",
            "Programs: s5cmd v2 · rclone v1.",
            "## W1: nothing at all",
            "| **bucketwright** | 1.50 (1.00–2.00) | 0.75 | 0.00 | 100 | 0.50 | 3 | ETag |",
            "| s5cmd | 3.00 (3.00–3.00) | 1.50 | 0.00 | 100 | 1.00 | 1 | ETag |",
            "| wall time: bucketwright / s5cmd | 0.50 | 0.60 | 0.45 | met, goal not met |",
            "| CPU time: bucketwright / s5cmd | 0.50 | 0.50 |  | met |",
            "| peak memory in MiB: bucketwright | 100 | 256 | 128 | met, goal met |",
            "aws failed: no such file.",
        ] {
            assert!(text.lines().any(|found| found == line), "`{line}` is not in\n{text}");
        }
        assert!(!text.contains("| aws |"), "who did not run has no line");
    }
}
