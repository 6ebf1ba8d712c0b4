//! Programs in turn over the same work: each round runs every one of them, so that a disturbance meets them all.

use super::measure::Sample;
use super::results::{Role, Row};
use anyhow::Result;

/// A program that takes longer than that is run fewer times.
const SLOW_S: f64 = 30.0;
const SLOW_RUNS: usize = 3;

/// One program in a race.
pub(super) struct Runner<'race> {
    pub(super) name: String,
    pub(super) role: Role,
    /// Runs it once, checks what it did, and gives what the run took. The argument counts its runs from 0.
    pub(super) run: Box<dyn FnMut(usize) -> Result<Outcome> + 'race>,
}

/// A run that did what it should.
#[derive(Debug, Clone)]
pub(super) struct Outcome {
    pub(super) sample: Sample,
    /// What the run proved.
    pub(super) proof: String,
}

/// A race that was run.
#[derive(Debug, Default)]
pub(super) struct Finish {
    pub(super) rows: Vec<Row>,
    /// Programs that failed, and how.
    pub(super) failures: Vec<String>,
}

/// Runs everybody `rounds` times in turn, each round beginning with another one. Who fails is out of the race.
pub(super) fn race(mut runners: Vec<Runner<'_>>, rounds: usize) -> Finish {
    let rows = runners.iter().map(|runner| Row {
        name: runner.name.clone(),
        role: runner.role,
        samples: Vec::new(),
        proof: String::new(),
    });
    let mut finish = Finish { rows: rows.collect(), failures: Vec::new() };
    let mut is_out = vec![false; runners.len()];
    for round in 0..rounds {
        for step in 0..runners.len() {
            let place = (round + step) % runners.len();
            let row = &mut finish.rows[place];
            let is_slow = row.samples.first().is_some_and(|sample| sample.wall_s > SLOW_S);
            if is_out[place] || (is_slow && round >= SLOW_RUNS) {
                continue;
            }
            match (runners[place].run)(round) {
                Ok(Outcome { sample, proof }) => {
                    let (wall, cpu) = (sample.wall_s, sample.cpu_s());
                    println!("  {} {wall:.3} s, {cpu:.3} s of CPU, {} MiB", row.name, sample.peak_bytes >> 20);
                    row.samples.push(sample);
                    row.proof = proof;
                }
                Err(error) => {
                    println!("  {} FAILED: {error:#}", row.name);
                    let first = format!("{error:#}").lines().next().unwrap_or_default().to_owned();
                    finish.failures.push(format!("{} failed: {first}", row.name));
                    is_out[place] = true;
                }
            }
        }
    }
    for (row, _) in finish.rows.iter_mut().zip(is_out).filter(|(_, is_out)| *is_out) {
        row.samples.clear();
    }
    finish
}

#[cfg(test)]
mod tests {
    use super::{Finish, Outcome, Role, Runner, Sample, race};
    use anyhow::{Result, bail};
    use std::cell::RefCell;

    fn run(seconds: f64, rounds: usize, fails_at: Option<usize>) -> (Finish, Vec<String>) {
        let order = RefCell::new(Vec::new());
        let runner = |name: &'static str, wall: f64, fails_at: Option<usize>| {
            let order = &order;
            let run = move |round: usize| -> Result<Outcome> {
                order.borrow_mut().push(format!("{name}{round}"));
                if fails_at == Some(round) {
                    bail!("broke\nfor a reason");
                }
                Ok(Outcome { sample: Sample::of_time(wall), proof: "none".to_owned() })
            };
            Runner { name: name.to_owned(), role: Role::Peer, run: Box::new(run) }
        };
        let finish = race(vec![runner("a", 1.0, None), runner("b", seconds, fails_at)], rounds);
        (finish, order.into_inner())
    }

    #[test]
    fn everybody_runs_in_every_round_in_turn() {
        let (finish, order) = run(2.0, 3, None);
        assert_eq!(order, ["a0", "b0", "b1", "a1", "a2", "b2"]);
        assert!(finish.rows.iter().all(|row| row.samples.len() == 3));
    }

    #[test]
    fn slow_programs_run_three_times() {
        let (finish, _) = run(31.0, 5, None);
        assert_eq!(finish.rows.iter().map(|row| row.samples.len()).collect::<Vec<_>>(), [5, 3]);
    }

    #[test]
    fn who_fails_is_out_and_leaves_no_figure() {
        let (finish, order) = run(2.0, 3, Some(1));
        assert_eq!(order, ["a0", "b0", "b1", "a1", "a2"]);
        assert_eq!(finish.failures, ["b failed: broke"]);
        assert_eq!(finish.rows[1].samples, []);
    }
}
