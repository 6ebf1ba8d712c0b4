//! The workloads as data: what is done, by whom, and what must hold.

use super::data::Tree;
use super::results::{Against, Quantity, Target};
use super::tools::Tool;

/// One workload.
#[derive(Debug, Clone, Copy)]
pub(super) struct Workload {
    pub(super) id: &'static str,
    pub(super) title: &'static str,
    pub(super) kind: Kind,
    pub(super) targets: &'static [Target],
}

/// How a workload runs.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    /// A tree into an empty prefix of the null server.
    Upload { tree: Tree, curl: bool },
    /// A tree that is there already, unchanged, on the null server.
    Recheck { tree: Tree },
    /// The same on the embedded endpoint, by reading every file.
    Rehash { tree: Tree },
    /// `verify --data` on the embedded endpoint.
    Verify { tree: Tree },
    /// Ours alone, with few files and with many.
    Scale { few: u64, many: u64, file_bytes: u64 },
    /// Policy decisions.
    Decisions,
    /// Programs that start and end.
    Startup,
}

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

/// Peers of uploads and of second syncs.
pub(super) const PEERS: [Tool; 4] = [Tool::S3sync, Tool::S5cmd, Tool::Rclone, Tool::Aws];

const fn tree(files: u64, file_bytes: u64) -> Tree {
    Tree { files, file_bytes }
}

const fn wall(against: Against, must: f64, goal: Option<f64>) -> Target {
    Target { quantity: Quantity::Wall, ours: "bucketwright", against, must, goal }
}

/// Memory of any workload, in MiB.
const MEMORY: Target =
    Target { quantity: Quantity::Peak, ours: "bucketwright", against: Against::Itself, must: 256.0, goal: Some(128.0) };

const CPU_OF_W1: Target =
    Target { quantity: Quantity::Cpu, ours: "bucketwright", against: Against::FastestPeer, must: 0.5, goal: None };

const W2_TARGETS: &[Target] =
    &[wall(Against::FastestPeer, 0.4, None), wall(Against::Row("curl"), 1.5, Some(1.2)), MEMORY];

/// Every workload, in the order of the page.
pub(super) const WORKLOADS: &[Workload] = &[
    Workload {
        id: "W1",
        title: "upload 10,000 files of 4 KiB",
        kind: Kind::Upload { tree: tree(10_000, 4 * KIB), curl: false },
        targets: &[wall(Against::FastestPeer, 0.6, Some(0.45)), CPU_OF_W1, MEMORY],
    },
    Workload {
        id: "W2",
        title: "upload 1 file of 1 GiB",
        kind: Kind::Upload { tree: tree(1, 1024 * MIB), curl: true },
        targets: W2_TARGETS,
    },
    Workload {
        id: "W2x4",
        title: "upload 4 files of 256 MiB",
        kind: Kind::Upload { tree: tree(4, 256 * MIB), curl: true },
        targets: W2_TARGETS,
    },
    Workload {
        id: "W2b",
        title: "upload 1,000 files of 1 MiB",
        kind: Kind::Upload { tree: tree(1_000, MIB), curl: false },
        targets: &[wall(Against::FastestPeer, 0.3, Some(0.25)), MEMORY],
    },
    Workload {
        id: "W3",
        title: "second sync, nothing changed, 100,000 files",
        kind: Kind::Recheck { tree: tree(100_000, 4 * KIB) },
        targets: &[wall(Against::Row("rclone"), 1.0, Some(0.6)), wall(Against::Row("aws"), 0.2, None), MEMORY],
    },
    Workload {
        id: "W4",
        title: "first sync on another machine, 100,000 unchanged files, every file hashed",
        kind: Kind::Rehash { tree: tree(100_000, 4 * KIB) },
        targets: &[wall(Against::Row("rclone"), 0.5, Some(0.25)), MEMORY],
    },
    Workload {
        id: "W5",
        title: "`verify --data` of 4 files of 1 GiB",
        kind: Kind::Verify { tree: tree(4, 1024 * MIB) },
        targets: &[wall(Against::Row("cat"), 2.0, Some(1.3)), MEMORY],
    },
    Workload {
        id: "W6",
        title: "memory and time per file, from few files to many",
        kind: Kind::Scale { few: 10_000, many: 100_000, file_bytes: 64 },
        targets: &[
            Target { ours: "first sync, many", ..MEMORY },
            Target { ours: "second sync, many", ..MEMORY },
            Target {
                quantity: Quantity::Wall,
                ours: "second sync, many",
                against: Against::Row("second sync, few"),
                must: 1.3,
                goal: None,
            },
        ],
    },
    Workload {
        id: "W7",
        title: "100,000 policy decisions on one core",
        kind: Kind::Decisions,
        targets: &[
            wall(Against::FastestPeer, 0.01, Some(1.0 / 300.0)),
            Target { ours: "bucketwright, with reasons", ..wall(Against::FastestPeer, 0.01, Some(1.0 / 300.0)) },
        ],
    },
    Workload {
        id: "W8",
        title: "start-up",
        kind: Kind::Startup,
        targets: &[
            Target {
                quantity: Quantity::Wall,
                ours: "bucketwright --version",
                against: Against::Row("aws"),
                must: 0.05,
                goal: None,
            },
            Target {
                quantity: Quantity::Wall,
                ours: "bucketwright plan",
                against: Against::Row("aws"),
                must: 0.4,
                goal: None,
            },
        ],
    },
];

#[cfg(test)]
mod tests {
    use super::WORKLOADS;
    use std::collections::BTreeSet;

    #[test]
    fn every_workload_has_an_id_of_its_own_and_something_to_reach() {
        let ids: BTreeSet<_> = WORKLOADS.iter().map(|workload| workload.id).collect();
        assert_eq!(ids.len(), WORKLOADS.len());
        assert!(WORKLOADS.iter().all(|workload| !workload.targets.is_empty()));
    }
}
