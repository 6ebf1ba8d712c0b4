//! Access proven by calls: which calls, and what their answers mean.
//!
//! As the caller it is a round trip through a folder, where everything should work; as somebody else it is the access
//! matrix of their grants ([`spots`]), denials included. What is tried and how answers read are values; the calls
//! themselves are made elsewhere.

pub mod modes;
pub mod reading;
pub mod simulation;
pub mod spots;
pub mod wait;

use crate::layout::{Bucket, Folder};
use crate::model::{BucketName, ObjectKey, Prefix};
use crate::report::{Access, Cell};

/// Where probes live inside a folder, so that nobody takes them for data.
const PROBE_FOLDER: &str = ".bucketwright/";

pub use crate::policy::matrix::Operation;

/// One round trip to make: put, list, get, compare, delete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// The bucket.
    pub bucket: BucketName,
    /// The folder that is proven.
    pub folder: Prefix,
    /// The prefix that is listed.
    pub listed: Prefix,
    /// The key that is written, unique to the run.
    pub key: ObjectKey,
    /// What is written.
    pub content: Vec<u8>,
}

/// The probe of one folder; `run_id` makes its key unique. None where the key would be too long.
pub fn probe(bucket: &Bucket, folder: &Folder, run_id: u64) -> Option<Probe> {
    let listed: Prefix = format!("{}{PROBE_FOLDER}", folder.prefix).parse().ok()?;
    let key = listed.key(&format!("verify-{run_id:016x}")).ok()?;
    let content = format!("bucketwright verify {run_id:016x} {}\n", folder.prefix).into_bytes();
    Some(Probe { bucket: bucket.name.clone(), folder: folder.prefix.clone(), listed, key, content })
}

/// How one call of a probe went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It worked; the text says what was proven.
    Worked(String),
    /// It was refused.
    Refused(String),
    /// It worked and the result is wrong, or it failed for another cause.
    Failed(String),
    /// It was not made.
    NotTried(String),
}

/// What came of a probe, in the order of the calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoundTrip {
    /// Writing the probe, with a checksum that the server verified.
    pub put: Answer,
    /// Finding it in a listing of the folder.
    pub list: Answer,
    /// Reading it back and comparing.
    pub get: Answer,
    /// Deleting it, every version of it.
    pub delete: Answer,
}

impl RoundTrip {
    /// A round trip that stopped before the first call.
    pub fn not_tried(why: &str) -> Self {
        let answer = Answer::NotTried(why.to_owned());
        Self { put: answer.clone(), list: answer.clone(), get: answer.clone(), delete: answer }
    }

    /// The cells of the access matrix that it fills: as the caller, everything is expected to work.
    pub fn cells(&self, probe: &Probe, principal: &str) -> Vec<Cell> {
        let target = format!("s3://{}/{}", probe.bucket, probe.folder);
        [("put", &self.put), ("list", &self.list), ("get", &self.get), ("delete", &self.delete)]
            .into_iter()
            .map(|(operation, answer)| {
                let (observed, because) = match answer {
                    Answer::Worked(text) => (Access::Allow, text),
                    Answer::Refused(text) => (Access::Deny, text),
                    Answer::Failed(text) => (Access::Failed, text),
                    Answer::NotTried(text) => (Access::NotTried, text),
                };
                Cell {
                    principal: principal.to_owned(),
                    operation,
                    target: target.clone(),
                    expected: Access::Allow,
                    observed,
                    because: because.clone(),
                }
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{Answer, Probe, RoundTrip};
    use crate::report::Access;

    #[test]
    fn each_answer_fills_a_cell() {
        let probe = Probe {
            bucket: "bucket".parse().unwrap(),
            folder: "a/".parse().unwrap(),
            listed: "a/.bucketwright/".parse().unwrap(),
            key: "a/.bucketwright/verify-1".parse().unwrap(),
            content: Vec::new(),
        };
        let trip = RoundTrip {
            put: Answer::Worked("checksum echoed".to_owned()),
            list: Answer::Refused("AccessDenied".to_owned()),
            get: Answer::Failed("other bytes came back".to_owned()),
            delete: Answer::NotTried("--no-write".to_owned()),
        };
        let observed: Vec<Access> = trip.cells(&probe, "me").iter().map(|cell| cell.observed).collect();
        assert_eq!(observed, [Access::Allow, Access::Deny, Access::Failed, Access::NotTried]);
    }
}
