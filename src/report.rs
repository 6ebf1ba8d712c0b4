//! What a run tells the world: one stream of events, folded into one summary and one exit code.
//!
//! The serde form of these types is the JSON contract that scripts rely on: fields are added, never renamed. How they
//! read in words stands in [`phrase`].

mod account;
mod change;
mod cluster;
mod decision;
mod doctor;
mod grounds;
mod phrase;
mod pod_identity;
pub mod receipt;
mod retire;
mod upload;

pub use account::{Line, ManagedPolicyRecord, PolicyVersionRecord, RoleRecord, StatementRecord, attachment_names};
pub use change::{ChangeRecord, EditRecord, Turn};
pub use cluster::{
    AssociationRecord, ClusterNodes, ClusterRecord, NodeGroupRecord, Pods, ReachRecord, UnknownPart, VpcEndpointRecord,
};
pub use decision::{DecisionRecord, ReasonRecord};
pub use doctor::{LayerRecord, RemedyRecord, SymptomRecord};
pub use grounds::{Acceptance, Grounds};
pub use phrase::Words;
pub use pod_identity::{IdentitySource, PodIdentityRecord, pod_lines};
pub use retire::{FolderRecord, HolderRecord, HoldingsRecord, LayoutEditRecord};
pub use upload::UploadRecord;

use crate::model::{HumanBytes, HumanCount, Identity};
use serde::Serialize;
use std::fmt;

/// Everything a verb reports, in the order in which it happens.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Event {
    /// Who acts: the first event of every verb that writes.
    Identity(IdentityRecord),
    /// Where the embedded endpoint can be reached: what `serve` prints.
    Endpoint(EndpointRecord),
    /// One action planned, done, failed or skipped.
    Action(ActionRecord),
    /// Something that a person should see.
    Finding(Finding),
    /// One operation tried in one place.
    Cell(Cell),
    /// Everything that one principal was tried on in one bucket; in JSON one `cell` for each.
    #[serde(skip)]
    Matrix(Vec<Cell>),
    /// One request decided by policies.
    Decision(DecisionRecord),
    /// A refusal as it was read from a message or a log.
    Symptom(SymptomRecord),
    /// How one layer of a decision stands.
    Layer(LayerRecord),
    /// A change that would help.
    Remedy(RemedyRecord),
    /// One policy document made.
    Policy(PolicyRecord),
    /// What opens or closes between two sets of policies; in JSON one `cell` for each operation.
    #[serde(skip)]
    Change(ChangeRecord),
    /// One statement that differs between two sets of policies.
    Edit(EditRecord),
    /// One managed policy of an account.
    ManagedPolicy(ManagedPolicyRecord),
    /// One version of a managed policy.
    PolicyVersion(PolicyVersionRecord),
    /// One role of an account.
    Role(RoleRecord),
    /// One cluster.
    Cluster(ClusterRecord),
    /// Nodes of one maker in a cluster.
    NodeGroup(NodeGroupRecord),
    /// One Pod Identity association of a cluster.
    Association(AssociationRecord),
    /// One endpoint for S3 in a cluster's VPC.
    VpcEndpoint(VpcEndpointRecord),
    /// Whom a grant reaches in a cluster, by one way.
    Reach(ReachRecord),
    /// As whom a pod asks AWS.
    PodIdentity(PodIdentityRecord),
    /// The same of all pods of one service account; in JSON one `pod-identity` for each.
    #[serde(skip)]
    PodIdentities(Vec<PodIdentityRecord>),
    /// One check that held, for verbs that list what they checked.
    Check(Check),
    /// What the filter of a sync decides about one name.
    Filter(FilterRecord),
    /// One folder or object of a bucket's tree.
    Node(NodeRecord),
    /// One upload in parts that was never finished.
    UnfinishedUpload(UploadRecord),
    /// What a bucket or project holds, and who reaches it.
    Holdings(HoldingsRecord),
    /// A change of the layout's file that only a person makes.
    LayoutEdit(LayoutEditRecord),
    /// A text that is the verb's whole answer, such as a generated file.
    Answer {
        /// The text as it is.
        text: String,
    },
    /// Something went wrong.
    Error(ErrorRecord),
    /// Work that will take long has begun; shown as progress, not part of the JSON output.
    #[serde(skip)]
    Progress(Progress),
    /// The end of the run: always the last event.
    Summary(Summary),
}

/// Movement of a long transfer. Consumers may drop [`Progress::Advanced`], nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// What the coming bytes are for. Without it they are uploads.
    Work(Work),
    /// So many objects and bytes lie ahead.
    Expect {
        /// Objects to transfer.
        objects: u64,
        /// Their bytes.
        bytes: u64,
    },
    /// Everything that lies ahead has been told, so that the end can be foreseen.
    AllExpected,
    /// A file is under way. Of small ones that go together only the largest is named.
    Begun(InFlight),
    /// It is no longer, however it ended.
    Ended(InFlight),
    /// Bytes went over the wire.
    Advanced {
        /// How many since the last such event.
        bytes: u64,
    },
    /// An upload that an earlier run left unfinished goes on; what is there already counts as moved when it was checked.
    Resumed {
        /// The object.
        target: String,
        /// The bytes of the parts that are there.
        bytes: u64,
    },
    /// One object arrived and was proven, or failed.
    Settled,
    /// A request is tried again.
    Retried {
        /// What for, such as a key.
        target: String,
        /// Why, in the service's words.
        reason: String,
    },
}

/// A file that is under way.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct InFlight {
    /// Its length in bytes.
    pub bytes: u64,
    /// Where it goes.
    pub target: String,
}

/// What a long transfer does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Work {
    /// Files go to S3.
    #[default]
    Upload,
    /// Objects come from S3.
    Download,
    /// Objects go from bucket to bucket.
    Copy,
    /// Bytes are read and compared.
    Check,
    /// Objects are deleted.
    Delete,
}

/// The caller and the endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct IdentityRecord {
    /// Account and ARN, each `null` where the endpoint cannot tell.
    #[serde(flatten)]
    pub identity: Identity,
    /// The endpoint: `aws`, a URL, or the folder of the embedded endpoint.
    pub endpoint: String,
    /// The Region requests are signed for.
    pub region: String,
    /// When the caller's credentials end, in RFC 3339; none for those that do not, or do not tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
}

/// What another program needs to reach the embedded endpoint.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct EndpointRecord {
    /// Where it listens.
    pub url: String,
    /// The access key id.
    pub access_key: String,
    /// The secret that signs requests; printed because that is the verb's purpose, and nowhere else.
    pub secret_key: String,
    /// The token of a role's session, sent with every request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_token: Option<String>,
    /// Whose keys these are.
    pub arn: String,
    /// When they end (RFC 3339); owners' and users' do not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
    /// The Region to sign for.
    pub region: String,
}

impl fmt::Debug for EndpointRecord {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("EndpointRecord").field("url", &self.url).finish_non_exhaustive()
    }
}

/// Shell lines, to be read with `.` or `eval`.
impl fmt::Display for EndpointRecord {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "export AWS_ENDPOINT_URL={}", self.url)?;
        writeln!(out, "export AWS_ACCESS_KEY_ID={}", self.access_key)?;
        writeln!(out, "export AWS_SECRET_ACCESS_KEY={}", self.secret_key)?;
        if let Some(token) = &self.session_token {
            writeln!(out, "export AWS_SESSION_TOKEN={token}")?;
        }
        writeln!(out, "export AWS_REGION={0} AWS_DEFAULT_REGION={0}", self.region)
    }
}

/// Where an action stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// It would be done.
    Planned,
    /// It was done, and proven where there is something to prove.
    Done,
    /// It was tried and failed.
    Failed,
    /// It was left out for cause.
    Skipped,
}

/// One action as output shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ActionRecord {
    /// Where it stands.
    pub status: Status,
    /// Its kind: `create-bucket`, `put-setting`, `put-marker`, `upload`, ...
    pub action: &'static str,
    /// What it acts on: `s3://bucket`, `s3://bucket/key`, a policy's ARN, `role/NAME`.
    pub target: String,
    /// Why it is needed, or why it was skipped or failed.
    pub reason: String,
    /// The setting, for `put-setting`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub setting: Option<&'static str>,
    /// The local file, for transfers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The bytes moved, for transfers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// How the upload was proven, once done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proof: Option<&'static str>,
    /// The policy's ARN, where a role gets or loses one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
}

/// How much a finding matters, least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Could be better.
    Suggestion,
    /// Deserves a look.
    Warning,
    /// Opens something that should be closed.
    SecurityWarning,
    /// Is wrong.
    Error,
}

impl fmt::Display for Severity {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Suggestion => "suggestion",
            Self::Warning => "warning",
            Self::SecurityWarning => "security-warning",
            Self::Error => "error",
        })
    }
}

/// Something that a person should see.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// A stable name such as `settings-drift`.
    pub code: &'static str,
    /// How much it matters.
    pub severity: Severity,
    /// What it is about: a bucket, an object, a file.
    pub target: String,
    /// A JSON pointer into the document it is about, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// What was seen.
    pub message: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
    /// What an audit tells beyond that: its place, what it rests on, whether somebody accepted it.
    #[serde(flatten)]
    pub grounds: Option<Box<Grounds>>,
}

impl Finding {
    /// A finding without place in a document.
    pub fn new(code: &'static str, severity: Severity, target: impl fmt::Display, message: impl Into<String>) -> Self {
        Self {
            code,
            severity,
            target: target.to_string(),
            path: None,
            message: message.into(),
            fix: None,
            grounds: None,
        }
    }

    /// The same finding with what to do about it.
    #[must_use]
    pub fn with_fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = Some(fix.into());
        self
    }

    /// The same finding with where it stands in its target, and what it rests on.
    #[must_use]
    pub fn with_grounds(mut self, place: impl Into<String>, evidence: Vec<String>) -> Self {
        self.grounds = Some(Box::new(Grounds { place: place.into(), evidence, accepted: None }));
        self
    }

    /// Why somebody accepted it, if somebody did.
    pub fn accepted(&self) -> Option<&Acceptance> {
        self.grounds.as_ref()?.accepted.as_ref()
    }
}

/// What the filter of a sync decides about one name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FilterRecord {
    /// The path below both roots. It ends in `/` for a directory, which is left out with all that is in it.
    pub name: String,
    /// Whether it is taken.
    pub selected: bool,
    /// The rule that decided; absent if no rule matched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// Where the rule stands: `--exclude`, `--include`, or `data/.bucketwrightignore:3`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
}

/// A policy document that was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PolicyRecord {
    /// The name of the policy, bucket or role.
    pub name: String,
    /// What it is attached to: `identity`, `bucket` or `trust`.
    pub kind: &'static str,
    /// Its size as IAM's quotas are compared with.
    pub characters: u64,
    /// The document.
    pub document: serde_json::Value,
}

/// One check and its verdict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What was checked, such as a control's name.
    pub check: String,
    /// The bucket or object.
    pub target: String,
    /// How it went.
    pub verdict: Verdict,
    /// What was found, or the reason of a waiver.
    pub detail: String,
}

/// How a check went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// As wanted.
    Pass,
    /// Not as wanted.
    Fail,
    /// Not wanted, for a reason that the layout gives.
    Waived,
    /// It could not be told, which never counts as passed.
    Unknown,
    /// It is not asked for, or cannot be had on this endpoint.
    NotApplicable,
}

impl fmt::Display for Verdict {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Waived => "waived",
            Self::Unknown => "unknown",
            Self::NotApplicable => "n/a",
        })
    }
}

/// One cell of the access matrix.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cell {
    /// Who tried.
    pub principal: String,
    /// `list`, `get`, `put`, `delete`, ...
    pub operation: &'static str,
    /// Where: `s3://bucket/folder/`.
    pub target: String,
    /// What the layout wants.
    pub expected: Access,
    /// What was seen.
    pub observed: Access,
    /// Why it is so, in words.
    pub because: String,
}

/// What an operation is, or should be, answered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Access {
    /// It works.
    Allow,
    /// It is refused.
    Deny,
    /// It failed for another cause, or its result was wrong.
    Failed,
    /// It was not tried, which never counts as passed.
    NotTried,
}

impl fmt::Display for Access {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::Failed => "failed",
            Self::NotTried => "not-tried",
        })
    }
}

/// One folder or object of a bucket's tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NodeRecord {
    /// The bucket.
    pub bucket: String,
    /// The object's key, or the folder's prefix; empty for the bucket itself.
    pub path: String,
    /// What it is.
    pub kind: NodeKind,
    /// How found and wanted differ here; absent where they do not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mark: Option<Mark>,
    /// The object's bytes, or those of all objects beneath.
    pub bytes: u64,
    /// The objects beneath, for folders, without the markers that only make a folder visible.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub objects: Option<u64>,
    /// Objects in this folder that have no node of their own, because there are too many or they lie too deep.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub more_objects: Option<u64>,
    /// Their bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub more_bytes: Option<u64>,
}

/// What a node of a tree is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum NodeKind {
    /// A prefix.
    Folder,
    /// An object.
    Object,
}

/// How found and wanted differ at one node of a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mark {
    /// Wanted and not there.
    Missing,
    /// There, outside of all that the layout declares.
    Extra,
}

impl fmt::Display for Mark {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Missing => "missing",
            Self::Extra => "not in the layout",
        })
    }
}

/// An error as output shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ErrorRecord {
    /// A stable name such as `expired-credentials`.
    pub kind: &'static str,
    /// What went wrong, with its causes.
    pub message: String,
    /// What to do about it.
    pub hints: Vec<String>,
    /// The bucket, object or file it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// The line of the file that is wrong, with a mark under the place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub excerpt: Option<String>,
}

impl ErrorRecord {
    /// An error of a kind, without hints and place.
    pub fn new(kind: &'static str, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hints: Vec::new(), target: None, excerpt: None }
    }
}

/// The fold of a run's events.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Summary {
    /// Actions that would be done.
    pub planned: u64,
    /// Actions that were done.
    pub done: u64,
    /// Things that were as wanted already.
    pub unchanged: u64,
    /// Actions left out for cause.
    pub skipped: u64,
    /// Actions that failed.
    pub failed: u64,
    /// Objects deleted.
    pub deleted: u64,
    /// Bytes moved by what was done.
    pub bytes: u64,
    /// How long the run took.
    pub elapsed_ms: u64,
    /// The process's exit code.
    pub exit: u8,
    /// The verb's own last word for people; not part of the JSON output.
    #[serde(skip)]
    pub closing: Option<String>,
}

impl Summary {
    /// Counts one event.
    pub fn count(&mut self, event: &Event) {
        let Event::Action(action) = event else { return };
        match action.status {
            Status::Planned => self.planned += 1,
            Status::Skipped => self.skipped += 1,
            Status::Failed => self.failed += 1,
            Status::Done => {
                self.done += 1;
                let deleted = action.action == "delete";
                self.deleted += u64::from(deleted);
                self.bytes += if deleted { 0 } else { action.bytes.unwrap_or_default() };
            }
        }
    }

    /// The outcome that the counted actions amount to, before findings and the verb's own answer.
    pub const fn outcome(&self) -> Outcome {
        match (self.failed, self.done, self.skipped) {
            (0, _, 0) => Outcome::Done,
            (0, _, _) => Outcome::Partly,
            (_, 0, _) => Outcome::Failed,
            _ => Outcome::Partly,
        }
    }
}

/// How a run ended: the exit code, with one meaning for all verbs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// 0: done, in sync, allowed.
    Done,
    /// 1: failed.
    Failed,
    /// 2: wrong usage or invalid layout.
    Invalid,
    /// 3: some items failed or were skipped for cause.
    Partly,
    /// 4: drift, finding, denied, or expectation not met.
    Differs,
    /// 130: interrupted.
    Interrupted,
}

impl Outcome {
    /// The process's exit code.
    pub const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Invalid => 2,
            Self::Partly => 3,
            Self::Differs => 4,
            Self::Interrupted => 130,
        }
    }
}

/// `3 of 4 done, 1 skipped, 12 unchanged, 1.2 MiB`; parts that are zero are left out.
impl fmt::Display for Summary {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let done = match self.planned {
            planned if planned > self.done => format!("of {} done", HumanCount(planned)),
            _ => "done".to_owned(),
        };
        let parts = [
            (self.done, done.as_str()),
            (self.failed, "failed"),
            (self.skipped, "skipped"),
            (self.deleted, "deleted"),
            (self.unchanged, "unchanged"),
        ];
        let mut words: Vec<String> = parts
            .iter()
            .filter(|(count, word)| *count > 0 || word.starts_with("of "))
            .map(|(count, word)| format!("{} {word}", HumanCount(*count)))
            .collect();
        if self.bytes > 0 {
            words.push(HumanBytes(self.bytes).to_string());
        }
        if words.is_empty() {
            words.push("nothing to do".to_owned());
        }
        out.write_str(&words.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::{ActionRecord, Event, Outcome, Status, Summary};

    fn action(status: Status) -> Event {
        Event::Action(ActionRecord {
            status,
            action: "upload",
            target: "s3://bucket/key".to_owned(),
            reason: "missing".to_owned(),
            setting: None,
            source: None,
            bytes: Some(1024),
            proof: None,
            policy: None,
        })
    }

    fn check(statuses: &[Status], text: &str, outcome: Outcome) {
        let mut summary = Summary::default();
        for status in statuses {
            summary.count(&action(*status));
        }
        assert_eq!((summary.to_string().as_str(), summary.outcome()), (text, outcome));
    }

    #[test]
    fn counts_become_words_and_an_outcome() {
        check(&[], "nothing to do", Outcome::Done);
        check(&[Status::Done, Status::Done], "2 done, 2.0 KiB", Outcome::Done);
        check(&[Status::Done, Status::Failed], "1 done, 1 failed, 1.0 KiB", Outcome::Partly);
        check(&[Status::Failed], "1 failed", Outcome::Failed);
        check(&[Status::Skipped], "1 skipped", Outcome::Partly);
        let part = Summary { planned: 2_000, done: 3, ..Summary::default() };
        assert_eq!(part.to_string(), "3 of 2,000 done");
        assert_eq!(Summary { planned: 2, failed: 2, ..Summary::default() }.to_string(), "0 of 2 done, 2 failed");
        assert_eq!(
            Summary { planned: 2, done: 2, unchanged: 7, ..Summary::default() }.to_string(),
            "2 done, 7 unchanged"
        );
    }

    #[test]
    fn action_keeps_the_names_that_scripts_read() {
        let json = serde_json::to_value(action(Status::Done)).unwrap();
        let names = ["type", "status", "action", "target", "reason"].map(|name| json[name].as_str().unwrap());
        assert_eq!(names, ["action", "done", "upload", "s3://bucket/key", "missing"]);
    }
}
