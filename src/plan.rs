//! The plan: what turns the found state into the wanted one, as a value that is shown, saved, compared and applied.

mod account;

pub use account::{AccountAction, AccountStep};

use crate::model::{BucketName, ETag, Fingerprint, ObjectKey, Region, RelativePath, Setting, Tags, escaped};
use crate::report::{ActionRecord, Finding, Status};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;

/// All actions of a run in the order in which they are shown, and what the planner noticed on the way.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Plan {
    /// What to do. Actions on one bucket are done one after the other in this order, uploads side by side at the end.
    pub actions: Vec<Action>,
    /// What to do in the account, in the order in which it is done: after the buckets' settings, before files.
    pub account: Vec<AccountAction>,
    /// What is as wanted already.
    pub unchanged: u64,
    /// What a person should see. A finding of severity `error` refuses the whole plan.
    pub findings: Vec<Finding>,
}

impl Plan {
    /// The bytes of all files to send.
    pub fn upload_bytes(&self) -> u64 {
        self.actions.iter().filter_map(|action| action.step.bytes()).sum()
    }

    /// Files that are left out because they cannot be sent.
    pub fn odd_files(&self) -> u64 {
        self.findings.iter().filter(|finding| finding.code == ODD_FILE).count() as u64
    }
}

/// The code of the finding for a file that cannot be sent.
pub const ODD_FILE: &str = "odd-file";

/// One step, with the reason why it is needed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Action {
    /// The bucket it acts on.
    pub bucket: BucketName,
    /// What is done.
    pub step: Step,
    /// Why.
    pub reason: Reason,
}

/// What an action does.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "step")]
pub enum Step {
    /// Makes the bucket, owner-enforced and tagged from its first moment on.
    CreateBucket {
        /// Where.
        region: Region,
        /// The tags it is born with.
        tags: Tags,
    },
    /// Writes one setting of the bucket.
    PutSetting(Setting),
    /// Writes a folder's zero-byte marker, never over an object.
    PutMarker {
        /// The marker's key.
        key: ObjectKey,
    },
    /// Sends one file.
    Upload(Upload),
    /// Brings one object; the action's bucket is where it comes from.
    Download {
        /// The directory that it goes to.
        root: PathBuf,
        /// The object and its file.
        download: Download,
    },
    /// Copies one object inside S3.
    Copy(CopyTask),
    /// Deletes one object that was seen.
    Delete(Delete),
    /// Deletes one local file, if it still is what was seen.
    DeleteFile {
        /// The directory that it is below.
        root: PathBuf,
        /// Its place there.
        path: RelativePath,
        /// What it was when it was seen.
        fingerprint: Fingerprint,
    },
    /// A dataset that cannot be sent now; counts as skipped.
    SkipDataset {
        /// The dataset's source as the layout names it.
        source: String,
        /// The folder it belongs in.
        to: String,
    },
}

impl Step {
    /// The length in bytes of the file or object that it moves or deletes.
    pub const fn bytes(&self) -> Option<u64> {
        match self {
            Self::Upload(upload) => Some(upload.fingerprint.size_bytes),
            Self::Download { download, .. } => Some(download.size_bytes),
            Self::Copy(copy) => Some(copy.size_bytes),
            Self::Delete(delete) => Some(delete.size_bytes),
            Self::DeleteFile { fingerprint, .. } => Some(fingerprint.size_bytes),
            Self::CreateBucket { .. } | Self::PutSetting(_) | Self::PutMarker { .. } | Self::SkipDataset { .. } => None,
        }
    }
}

/// One file to send.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Upload {
    /// The file.
    pub path: PathBuf,
    /// What it was when the plan was made. A file that differs later is looked at once more, and sent as it is then if
    /// it stays so.
    pub fingerprint: Fingerprint,
    /// The object's key.
    pub key: ObjectKey,
    /// The object that the upload replaces; none where there is none. The write is conditional on it.
    pub replaces: Option<ETag>,
}

/// One object to bring, as the listing showed it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Download {
    /// The object's key.
    pub key: ObjectKey,
    /// Its length in bytes.
    pub size_bytes: u64,
    /// Its ETag: another object under the key is not taken.
    pub etag: Option<ETag>,
    /// Its file's place below the target.
    pub path: RelativePath,
    /// What is there now; none if nothing is. Anything else that is found there later is left alone.
    pub replaces: Option<Fingerprint>,
}

/// One object to copy. `bucket` of its action is where it goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CopyTask {
    /// The bucket that it comes from.
    pub from_bucket: BucketName,
    /// Its key there.
    pub from_key: ObjectKey,
    /// Its length in bytes, as it was listed.
    pub size_bytes: u64,
    /// Its ETag, as it was listed. The copy is conditional on it.
    pub etag: Option<ETag>,
    /// Its key in the target.
    pub key: ObjectKey,
    /// The object that the copy replaces; none where there is none.
    pub replaces: Option<ETag>,
}

/// One object to delete, if it still is what was seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delete {
    /// The object's key.
    pub key: ObjectKey,
    /// Its length in bytes.
    pub size_bytes: u64,
    /// Its ETag, as it was listed.
    pub etag: Option<ETag>,
    /// Only this version, which is then gone for good; none deletes as any program would.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

/// Why an action is needed. The words are for people; nothing but a saved plan reads them back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "because", content = "detail")]
pub enum Reason {
    /// The thing is not there.
    Missing,
    /// The thing differs: what was found, and what is wanted.
    Differs {
        /// What was found.
        found: String,
        /// What is wanted.
        wanted: String,
    },
    /// The thing is not there yet; this is what it is to be.
    Wanted(String),
    /// Several reasons for one write.
    Several(Vec<Self>),
    /// The object has another length than the file.
    SizeDiffers {
        /// The object's bytes.
        found_bytes: u64,
        /// The file's bytes.
        wanted_bytes: u64,
    },
    /// Same length, other content, by the check named.
    ContentDiffers {
        /// The comparison that told, such as `MD5`.
        by: Cow<'static, str>,
    },
    /// Same length, and nothing tells whether the content is the same: it is sent to be sure.
    ContentUntold {
        /// Why it could not be told.
        why: Cow<'static, str>,
    },
    /// The bucket is taken over because the layout says `adopt = true`.
    Adopted,
    /// The local source is not there.
    SourceAbsent,
    /// Everything is to be sent again.
    Asked,
    /// The source was written after the target.
    Younger,
    /// The source does not have it.
    NotInSource,
    /// The layout has named it once and does not any more: what is no longer wanted.
    LeftLayout(String),
}

impl Reason {
    /// Both reasons, for a write that serves two purposes.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Several(mut all), other) => {
                all.push(other);
                Self::Several(all)
            }
            (one, other) => Self::Several(vec![one, other]),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => out.write_str("missing"),
            Self::Differs { found, wanted } => write!(out, "{found}, wanted {wanted}"),
            Self::Wanted(wanted) => out.write_str(wanted),
            Self::Several(reasons) => {
                let texts: Vec<String> = reasons.iter().map(Self::to_string).collect();
                out.write_str(&texts.join("; "))
            }
            Self::SizeDiffers { found_bytes, wanted_bytes } => {
                write!(out, "size differs: {found_bytes} bytes there, {wanted_bytes} here")
            }
            Self::ContentDiffers { by } => write!(out, "content differs by {by}"),
            Self::ContentUntold { why } => write!(out, "content cannot be compared: {why}"),
            Self::Adopted => out.write_str("adopted, as the layout says"),
            Self::SourceAbsent => out.write_str("the source is not here"),
            Self::Asked => out.write_str("everything is sent again, as asked"),
            Self::Younger => out.write_str("the source is younger"),
            Self::NotInSource => out.write_str("the source does not have it"),
            Self::LeftLayout(what) => write!(out, "revoked: {what}"),
        }
    }
}

impl Reason {
    /// The reason in the words for an action that is over: `was off` where [`Display`](fmt::Display) says `off, wanted on`.
    pub fn past(&self) -> String {
        match self {
            Self::Missing => "was missing".to_owned(),
            Self::Differs { found, .. } => format!("was {found}"),
            Self::SizeDiffers { found_bytes, wanted_bytes } => {
                format!("size differed: {found_bytes} bytes there, {wanted_bytes} here")
            }
            Self::ContentDiffers { by } => format!("content differed by {by}"),
            Self::Several(reasons) => reasons.iter().map(Self::past).collect::<Vec<_>>().join("; "),
            Self::Younger => "the source was younger".to_owned(),
            Self::NotInSource => "the source did not have it".to_owned(),
            Self::Wanted(_)
            | Self::ContentUntold { .. }
            | Self::Adopted
            | Self::SourceAbsent
            | Self::Asked
            | Self::LeftLayout(_) => self.to_string(),
        }
    }

    /// True if nothing stood there before.
    fn is_new(&self) -> bool {
        match self {
            Self::Missing | Self::Wanted(_) => true,
            Self::Several(reasons) => reasons.iter().all(Self::is_new),
            _ => false,
        }
    }
}

/// What an action does to its target, told at the start of its line in a shown plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Something comes into being.
    Create,
    /// Something that is there gets another value.
    Change,
    /// Something that is there goes.
    Delete,
    /// Nothing, for cause: a person should look.
    Skip,
}

impl Effect {
    /// `+`, `~`, `-` or `!`.
    pub const fn sign(self) -> &'static str {
        match self {
            Self::Create => "+",
            Self::Change => "~",
            Self::Delete => "-",
            Self::Skip => "!",
        }
    }
}

impl Action {
    /// What the action does to its target.
    pub fn effect(&self) -> Effect {
        match &self.step {
            Step::SkipDataset { .. } => Effect::Skip,
            Step::CreateBucket { .. } | Step::PutMarker { .. } => Effect::Create,
            Step::Upload(Upload { replaces: None, .. })
            | Step::Download { download: Download { replaces: None, .. }, .. }
            | Step::Copy(CopyTask { replaces: None, .. }) => Effect::Create,
            Step::PutSetting(_) if self.reason.is_new() => Effect::Create,
            Step::Upload(_) | Step::Download { .. } | Step::Copy(_) | Step::PutSetting(_) => Effect::Change,
            Step::Delete(_) | Step::DeleteFile { .. } => Effect::Delete,
        }
    }

    /// Where the action stands before anything is done: planned, or skipped for cause.
    pub const fn planned_status(&self) -> Status {
        if matches!(self.step, Step::SkipDataset { .. }) { Status::Skipped } else { Status::Planned }
    }

    /// What the action acts on, as a URL.
    pub fn target(&self) -> String {
        let bucket = &self.bucket;
        match &self.step {
            Step::CreateBucket { .. } | Step::PutSetting(_) => format!("s3://{bucket}"),
            Step::PutMarker { key }
            | Step::Upload(Upload { key, .. })
            | Step::Copy(CopyTask { key, .. })
            | Step::Delete(Delete { key, .. }) => format!("s3://{bucket}/{key}"),
            Step::Download { root, download: Download { path, .. } } | Step::DeleteFile { root, path, .. } => {
                escaped(&root.join(path.as_str()))
            }
            Step::SkipDataset { to, .. } => format!("s3://{to}"),
        }
    }

    /// The action's kind in output.
    pub const fn kind(&self) -> &'static str {
        match &self.step {
            Step::CreateBucket { .. } => "create-bucket",
            Step::PutSetting(_) => "put-setting",
            Step::PutMarker { .. } => "put-marker",
            Step::Upload(_) | Step::SkipDataset { .. } => "upload",
            Step::Download { .. } => "download",
            Step::Copy(_) => "copy",
            Step::Delete(_) | Step::DeleteFile { .. } => "delete",
        }
    }

    /// The action as output shows it, with the reason it was planned for; of a done action in the past tense.
    pub fn record(&self, status: Status) -> ActionRecord {
        let (setting, source, bytes) = match &self.step {
            Step::PutSetting(setting) => (Some(setting.name()), None, None),
            Step::Upload(upload) => (None, Some(escaped(&upload.path)), Some(upload.fingerprint.size_bytes)),
            Step::Download { download, .. } => {
                (None, Some(format!("s3://{}/{}", self.bucket, download.key)), Some(download.size_bytes))
            }
            Step::Copy(copy) => {
                (None, Some(format!("s3://{}/{}", copy.from_bucket, copy.from_key)), Some(copy.size_bytes))
            }
            Step::Delete(delete) => (None, None, Some(delete.size_bytes)),
            Step::DeleteFile { fingerprint, .. } => (None, None, Some(fingerprint.size_bytes)),
            Step::SkipDataset { source, .. } => (None, Some(source.clone()), None),
            Step::CreateBucket { .. } | Step::PutMarker { .. } => (None, None, None),
        };
        let reason = if status == Status::Done { self.reason.past() } else { self.reason.to_string() };
        ActionRecord {
            status,
            action: self.kind(),
            target: self.target(),
            reason,
            setting,
            source,
            bytes,
            proof: None,
            policy: None,
        }
    }
}
