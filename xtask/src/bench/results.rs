//! What was measured, what it is held against, and whether it suffices. Pure but for the files that results are kept in.
#![expect(clippy::disallowed_methods, reason = "results are kept between runs")]

use super::measure::{Sample, median};
use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::Path;

/// A workload that ran.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Measured {
    pub(super) id: String,
    pub(super) title: String,
    /// The day it ran.
    pub(super) date: String,
    pub(super) rows: Vec<Row>,
    /// What a reader should know, in whole sentences.
    pub(super) notes: Vec<String>,
}

/// One program in one workload.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Row {
    pub(super) name: String,
    pub(super) role: Role,
    pub(super) samples: Vec<Sample>,
    /// What its run proved about the bytes, empty where nothing is sent.
    pub(super) proof: String,
}

/// What a program is in a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Role {
    Ours,
    /// Does the same work.
    Peer,
    /// Does less; it shows what the machine can do.
    Reference,
}

/// What a figure is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Quantity {
    Wall,
    Cpu,
    /// In MiB.
    Peak,
}

/// What a figure is divided by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Against {
    /// The peer with the least wall time.
    FastestPeer,
    /// The row whose name starts so.
    Row(&'static str),
    /// Nothing: the figure counts as it is.
    Itself,
}

/// A figure that must hold.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Target {
    pub(super) quantity: Quantity,
    /// The row of ours that it is about.
    pub(super) ours: &'static str,
    pub(super) against: Against,
    /// Not done without it.
    pub(super) must: f64,
    /// What we want.
    pub(super) goal: Option<f64>,
}

/// A target held against what was measured.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Judged {
    /// What it compares, in words.
    pub(super) what: String,
    pub(super) got: f64,
    pub(super) must: f64,
    pub(super) goal: Option<f64>,
}

impl Row {
    /// The median of one quantity.
    pub(super) fn median(&self, quantity: Quantity) -> f64 {
        median(self.samples.iter().map(|sample| match quantity {
            Quantity::Wall => sample.wall_s,
            Quantity::Cpu => sample.cpu_s(),
            Quantity::Peak => mib(sample.peak_bytes),
        }))
    }

    /// The least and the most wall time.
    pub(super) fn range(&self) -> (f64, f64) {
        let walls = || self.samples.iter().map(|sample| sample.wall_s);
        (walls().fold(f64::INFINITY, f64::min), walls().fold(0.0, f64::max))
    }
}

impl Measured {
    /// The peer with the least median wall time.
    pub(super) fn fastest_peer(&self) -> Option<&Row> {
        let peers = self.rows.iter().filter(|row| row.role == Role::Peer && !row.samples.is_empty());
        peers.min_by(|one, other| one.median(Quantity::Wall).total_cmp(&other.median(Quantity::Wall)))
    }

    /// The row whose name starts so.
    fn row(&self, name: &str) -> Option<&Row> {
        self.rows.iter().find(|row| row.name.starts_with(name) && !row.samples.is_empty())
    }

    /// A target held against this; none if one of the two sides did not run.
    pub(super) fn judge(&self, target: &Target) -> Option<Judged> {
        let ours = self.row(target.ours)?;
        let (divisor, other) = match target.against {
            Against::FastestPeer => {
                let peer = self.fastest_peer()?;
                (peer.median(target.quantity), format!(" / {}", peer.name))
            }
            Against::Row(name) => {
                let row = self.row(name)?;
                (row.median(target.quantity), format!(" / {}", row.name))
            }
            Against::Itself => (1.0, String::new()),
        };
        let quantity = match target.quantity {
            Quantity::Wall => "wall time",
            Quantity::Cpu => "CPU time",
            Quantity::Peak => "peak memory in MiB",
        };
        let what = format!("{quantity}: {}{other}", ours.name);
        let got = ours.median(target.quantity) / divisor;
        Some(Judged { what, got, must: target.must, goal: target.goal })
    }

    /// Keeps it for the page.
    pub(super) fn save(&self, folder: &Path) -> Result<()> {
        fs::create_dir_all(folder)?;
        fs::write(folder.join(format!("{}.json", self.id)), serde_json::to_vec_pretty(self)?)?;
        Ok(())
    }

    /// What an earlier run kept, if there was one.
    pub(super) fn load(folder: &Path, id: &str) -> Result<Option<Self>> {
        let path = folder.join(format!("{id}.json"));
        if !path.exists() {
            return Ok(None);
        }
        let bytes = fs::read(&path)?;
        serde_json::from_slice(&bytes).map(Some).with_context(|| format!("`{}` is no result", path.display()))
    }
}

impl Judged {
    /// Whether it suffices, in words.
    pub(super) fn verdict(&self) -> &'static str {
        match self.goal {
            Some(goal) if self.got <= goal => "met, goal met",
            Some(_) if self.got <= self.must => "met, goal not met",
            None if self.got <= self.must => "met",
            _ => "**not met**",
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "memory is shown with few digits")]
fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

#[cfg(test)]
pub(super) mod tests {
    use super::{Against, Measured, Quantity, Role, Row, Sample, Target};

    pub(in super::super) fn measured(rows: &[(&str, Role, &[f64])]) -> Measured {
        let sample =
            |wall_s: &f64| Sample { wall_s: *wall_s, user_s: wall_s / 2.0, system_s: 0.0, peak_bytes: 100 << 20 };
        let row = |(name, role, walls): &(&str, Role, &[f64])| Row {
            name: (*name).to_owned(),
            role: *role,
            samples: walls.iter().map(sample).collect(),
            proof: "ETag".to_owned(),
        };
        Measured {
            id: "W0".to_owned(),
            title: "nothing at all".to_owned(),
            date: "2026-01-02".to_owned(),
            rows: rows.iter().map(row).collect(),
            notes: Vec::new(),
        }
    }

    #[track_caller]
    fn check(quantity: Quantity, against: Against, (must, goal): (f64, Option<f64>), wanted: (&str, &str)) {
        let rows: [(&str, Role, &[f64]); 4] = [
            ("bucketwright", Role::Ours, &[1.0, 9.0, 1.2]),
            ("slow", Role::Peer, &[4.0, 4.0, 4.0]),
            ("fast", Role::Peer, &[1.0, 2.4, 9.0]),
            ("curl", Role::Reference, &[0.1]),
        ];
        let target = Target { quantity, ours: "bucketwright", against, must, goal };
        let judged = measured(&rows).judge(&target).unwrap();
        assert_eq!((format!("{} {:.2}", judged.what, judged.got).as_str(), judged.verdict()), wanted);
    }

    #[test]
    fn targets_are_held_against_medians() {
        let wall = "wall time: bucketwright / fast 0.50";
        check(Quantity::Wall, Against::FastestPeer, (0.6, Some(0.5)), (wall, "met, goal met"));
        check(Quantity::Wall, Against::FastestPeer, (0.6, Some(0.4)), (wall, "met, goal not met"));
        check(Quantity::Wall, Against::FastestPeer, (0.5, None), (wall, "met"));
        check(Quantity::Wall, Against::FastestPeer, (0.49, Some(0.4)), (wall, "**not met**"));
        check(Quantity::Cpu, Against::Row("cu"), (1.5, None), ("CPU time: bucketwright / curl 12.00", "**not met**"));
        let peak = "peak memory in MiB: bucketwright 100.00";
        check(Quantity::Peak, Against::Itself, (256.0, Some(128.0)), (peak, "met, goal met"));
    }

    #[test]
    fn nothing_is_judged_that_did_not_run() {
        let target =
            |against| Target { quantity: Quantity::Wall, ours: "bucketwright", against, must: 1.0, goal: None };
        let alone = measured(&[("bucketwright", Role::Ours, &[1.0]), ("aws", Role::Peer, &[])]);
        assert_eq!(alone.judge(&target(Against::FastestPeer)), None);
        assert_eq!(alone.judge(&target(Against::Row("aws"))), None);
        let peers = measured(&[("aws", Role::Peer, &[1.0])]);
        assert_eq!(peers.judge(&target(Against::Itself)), None);
    }
}
