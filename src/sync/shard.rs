//! Splits one sync over several machines: each name belongs to exactly one shard, whoever asks.

use std::fmt;
use std::str::FromStr;

/// One of several equal shares of a source, by a hash of the name. Machines that see the same source do disjoint parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    index: u32,
    count: u32,
}

/// Why a text names no shard.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no shard: write it as I/N, with I from 0 to N-1, such as 0/3, or as auto/N in a Kubernetes Indexed Job"
)]
pub struct ShardError(String);

impl Shard {
    /// True if `name` belongs to this shard.
    ///
    /// FNV-1a with a final mix: it must give the same answer on every machine and in every version, and spread names
    /// that differ in their last digit.
    /// Source: <https://datatracker.ietf.org/doc/html/draft-eastlake-fnv>
    pub fn holds(self, name: &str) -> bool {
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        for byte in name.bytes() {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
        (hash >> 32) % u64::from(self.count) == u64::from(self.index)
    }
}

impl FromStr for Shard {
    type Err = ShardError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || ShardError(text.to_owned());
        let (index, count) = text.split_once('/').ok_or_else(wrong)?;
        let (index, count) = (index.parse().map_err(|_| wrong())?, count.parse().map_err(|_| wrong())?);
        if index < count { Ok(Self { index, count }) } else { Err(wrong()) }
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.index, self.count)
    }
}

/// A shard as it is typed: by its number, or as `auto/N` by the number of the pod in a Kubernetes Indexed Job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShardChoice {
    /// This one.
    Is(Shard),
    /// That of the pod.
    OfPod {
        /// How many there are.
        count: u32,
    },
}

/// The variable that Kubernetes gives to every pod of an Indexed Job.
///
/// Source: <https://kubernetes.io/docs/concepts/workloads/controllers/job/#completion-mode>
pub const COMPLETION_INDEX: &str = "JOB_COMPLETION_INDEX";

/// Why the number of a pod gives no shard.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PodShardError {
    /// It is set in pods of Indexed Jobs only.
    #[error(
        "`--shard auto/{0}` takes its number from JOB_COMPLETION_INDEX, which is not set: this is no pod of an Indexed Job"
    )]
    NoIndex(u32),
    /// The Job has more pods than the sync has shards.
    #[error("JOB_COMPLETION_INDEX is `{0}`, and there are {1} shards, from 0 on: give the Job {1} completions")]
    Beyond(String, u32),
}

impl ShardChoice {
    /// The shard, given the pod's number if there is one.
    pub fn settle(self, completion_index: Option<&str>) -> Result<Shard, PodShardError> {
        match self {
            Self::Is(shard) => Ok(shard),
            Self::OfPod { count } => {
                let index = completion_index.ok_or(PodShardError::NoIndex(count))?;
                let number = index.parse::<u32>().ok().filter(|number| *number < count);
                let number = number.ok_or_else(|| PodShardError::Beyond(index.to_owned(), count))?;
                Ok(Shard { index: number, count })
            }
        }
    }
}

impl FromStr for ShardChoice {
    type Err = ShardError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.strip_prefix("auto/").map(str::parse) {
            None => text.parse().map(Self::Is),
            Some(Ok(count)) if count > 0 => Ok(Self::OfPod { count }),
            Some(_) => Err(ShardError(text.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Shard, ShardChoice};

    #[test]
    fn shards_are_disjoint_whole_and_even() {
        for count in [1, 2, 3, 7] {
            let shards: Vec<Shard> = (0..count).map(|index| format!("{index}/{count}").parse().unwrap()).collect();
            let mut sizes = vec![0_usize; count];
            for number in 0..7_000 {
                let name = format!("train/{number:06}.jpg");
                let holders: Vec<usize> = (0..count).filter(|index| shards[*index].holds(&name)).collect();
                assert_eq!(holders.len(), 1, "{name} {count}");
                sizes[holders[0]] += 1;
            }
            let fair = 7_000 / count;
            assert!(sizes.iter().all(|size| size.abs_diff(fair) * 10 <= fair), "{sizes:?}");
        }
    }

    #[test]
    fn the_split_stays_what_it_is() {
        // Another split in a later version would leave objects out when machines run different versions.
        let shard: Shard = "1/3".parse().unwrap();
        let held: Vec<&str> =
            ["a", "b", "c", "d/e", "data.csv", "é", ""].into_iter().filter(|n| shard.holds(n)).collect();
        assert_eq!(held, PINNED);
    }

    const PINNED: &[&str] = &["a", "d/e", "data.csv", "é"];

    #[test]
    fn a_pod_takes_the_shard_of_its_number() {
        let choice: ShardChoice = "auto/3".parse().unwrap();
        for (index, shard) in
            [(Some("0"), Some("0/3")), (Some("2"), Some("2/3")), (Some("3"), None), (Some("x"), None), (None, None)]
        {
            assert_eq!(choice.settle(index).ok().map(|shard| shard.to_string()).as_deref(), shard, "{index:?}");
        }
        let fixed: ShardChoice = "1/2".parse().unwrap();
        assert_eq!(fixed.settle(Some("0")).unwrap().to_string(), "1/2", "what is typed wins");
        for bad in ["auto", "auto/", "auto/0", "auto/-1", "auto/x"] {
            assert!(bad.parse::<ShardChoice>().is_err(), "{bad}");
        }
    }

    #[test]
    fn forms() {
        assert_eq!("2/3".parse::<Shard>().unwrap().to_string(), "2/3");
        for bad in ["", "1", "3/3", "-1/2", "1/0", "0/0", "a/b", "1/2/3", " 1/2"] {
            assert!(bad.parse::<Shard>().is_err(), "{bad}");
        }
    }
}
