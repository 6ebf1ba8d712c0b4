//! The form of a saved plan of a sync: one JSON object a line, the header first, then every action, then what they add up
//! to, with the digest of all lines before. And when an action that is planned now is one that was saved then.
//!
//! A file is the same if its bytes are: size and times and inode where they still are those that were seen, the
//! CRC-64/NVME otherwise. So a plan also holds for another checkout of the same files.

use super::decide::Route;
use super::item::Item;
use crate::model::{AccountId, Checksum, ETag, Fingerprint, ObjectKey, Region, RelativePath};
use crate::plan::{Action, CopyTask, Delete, Download, Reason, Step, Upload};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// The version of the form that is written and read here.
pub const VERSION: u32 = 1;

/// One line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Line {
    /// What the plan is for: the first line.
    SyncPlan(Box<Header>),
    /// A file to send.
    Upload(UploadLine),
    /// An object to bring.
    Download(DownloadLine),
    /// An object to copy.
    Copy(CopyLine),
    /// An object to delete.
    Delete(DeleteLine),
    /// A local file to delete.
    DeleteFile(DeleteFileLine),
    /// What all of it adds up to: the last line.
    End(Trailer),
}

/// What a plan is for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// The version of the form.
    pub version: u32,
    /// The program that wrote it.
    pub program: String,
    /// SRC as it was typed; a folder of a layout as the place that it stands for.
    pub source: String,
    /// DST, likewise.
    pub target: String,
    /// Which side is what.
    pub route: Route,
    /// Where it was planned.
    #[serde(flatten)]
    pub place: Place,
    /// Where the source of a copy is, if it is reached another way than the target.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Place>,
    /// The options that change what is done.
    pub options: Options,
}

/// An endpoint, and as whom and where it is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The endpoint in words.
    pub endpoint: String,
    /// The caller's account, if the endpoint tells.
    pub account: Option<AccountId>,
    /// The Region.
    pub region: Region,
}

/// The options that change what a sync does, as they are typed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Options {
    /// `--compare`
    pub compare: String,
    /// `--checksum`
    pub checksum: String,
    /// `--shard`
    pub shard: Option<String>,
    /// `--delete`
    pub delete: bool,
    /// `--max-delete`
    pub max_delete: Option<u64>,
    /// `--exclude` and `--include` in their order.
    pub rules: Vec<RuleText>,
    /// False with `--no-ignore-file`.
    pub ignore_files: bool,
    /// What objects are given.
    pub attributes: AttributeTexts,
}

/// One `--exclude` or `--include`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleText {
    /// The pattern.
    pub pattern: String,
    /// Whether it brings back.
    pub includes: bool,
}

/// What objects are given beside their bytes, as it is typed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct AttributeTexts {
    /// `--metadata`
    pub metadata: Vec<String>,
    /// `--tag`
    pub tag: Vec<String>,
    /// `--content-type`
    pub content_type: Option<String>,
    /// `--cache-control`
    pub cache_control: Option<String>,
    /// `--storage-class`
    pub storage_class: Option<String>,
    /// `--sse`
    pub sse: Option<String>,
    /// `--sse-kms-key`
    pub sse_kms_key: Option<String>,
}

/// What all actions add up to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Totals {
    /// Actions that move something.
    pub transfers: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Actions that delete something.
    pub deletes: u64,
}

/// The last line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trailer {
    /// What the actions add up to.
    #[serde(flatten)]
    pub totals: Totals,
    /// The SHA-256 of all lines before, in hexadecimal.
    pub sha256: String,
}

/// A file as it was seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeenFile {
    /// Its length in bytes.
    pub size_bytes: u64,
    /// The CRC-64/NVME of its content in base64; none where nobody will compare it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crc64nvme: Option<String>,
    mtime_ns: i64,
    ctime_ns: i64,
    device: u64,
    inode: u64,
}

/// A file to send.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UploadLine {
    /// Its path below the source; empty if the source is the file.
    pub file: PathBuf,
    /// What it is.
    pub seen: SeenFile,
    /// The object's key.
    pub key: ObjectKey,
    /// The object that it replaces.
    pub replaces: Option<ETag>,
    /// Why.
    pub reason: Reason,
}

/// An object to bring.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DownloadLine {
    /// The object's key.
    pub key: ObjectKey,
    /// Its length in bytes.
    pub size_bytes: u64,
    /// Its ETag.
    pub etag: Option<ETag>,
    /// Its file's place below the target.
    pub path: RelativePath,
    /// The file that it replaces.
    pub replaces: Option<SeenFile>,
    /// Why.
    pub reason: Reason,
}

/// An object to copy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CopyLine {
    /// The copy.
    pub copy: CopyTask,
    /// Why.
    pub reason: Reason,
}

/// An object to delete.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeleteLine {
    /// The object.
    pub object: Delete,
    /// Why.
    pub reason: Reason,
}

/// A local file to delete.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeleteFileLine {
    /// Its place below the target.
    pub path: RelativePath,
    /// What it is.
    pub seen: SeenFile,
    /// Why.
    pub reason: Reason,
}

/// What the lines of actions leave to the whole: which side is what, and where the local files of the source are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Which side is what.
    pub route: Route,
    /// The root of local files that are sent.
    pub root: PathBuf,
}

/// How what is planned now relates to a saved action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Likeness<'line> {
    /// It is the same.
    Same,
    /// It is the same if the local file's content has this CRC-64/NVME, in base64.
    IfContentIs(&'line str),
    /// It is another.
    Other,
}

impl SeenFile {
    /// A file, and its CRC-64/NVME if that is known.
    pub fn new(fingerprint: &Fingerprint, content: Option<&Checksum>) -> Self {
        Self {
            size_bytes: fingerprint.size_bytes,
            crc64nvme: content.map(Checksum::base64),
            mtime_ns: within(fingerprint.mtime_ns),
            ctime_ns: within(fingerprint.ctime_ns),
            device: fingerprint.device,
            inode: fingerprint.inode,
        }
    }

    /// The file as the transfers take it.
    fn fingerprint(&self) -> Fingerprint {
        Fingerprint {
            size_bytes: self.size_bytes,
            mtime_ns: self.mtime_ns.into(),
            ctime_ns: self.ctime_ns.into(),
            device: self.device,
            inode: self.inode,
        }
    }

    fn likeness(&self, now: &Fingerprint) -> Likeness<'_> {
        if self.size_bytes != now.size_bytes {
            return Likeness::Other;
        }
        if self.fingerprint() == *now {
            return Likeness::Same;
        }
        self.crc64nvme.as_deref().map_or(Likeness::Other, Likeness::IfContentIs)
    }
}

/// Nanoseconds since the epoch from 1677 to 2262. A file with another time has its content compared.
fn within(time_ns: i128) -> i64 {
    i64::try_from(time_ns).unwrap_or(if time_ns < 0 { i64::MIN } else { i64::MAX })
}

impl Line {
    /// The line of an action of a sync; none of another. `content` is the CRC-64/NVME of the local file that it reads,
    /// replaces or deletes.
    pub fn of(action: &Action, frame: &Frame, content: Option<&Checksum>) -> Option<Self> {
        let reason = action.reason.clone();
        Some(match &action.step {
            Step::Upload(upload) => Self::Upload(UploadLine {
                file: upload.path.strip_prefix(&frame.root).unwrap_or(&upload.path).to_owned(),
                seen: SeenFile::new(&upload.fingerprint, content),
                key: upload.key.clone(),
                replaces: upload.replaces.clone(),
                reason,
            }),
            Step::Download { download, .. } => {
                let Download { key, size_bytes, etag, path, replaces } = download.clone();
                let replaces = replaces.as_ref().map(|file| SeenFile::new(file, content));
                Self::Download(DownloadLine { key, size_bytes, etag, path, replaces, reason })
            }
            Step::Copy(copy) => Self::Copy(CopyLine { copy: copy.clone(), reason }),
            Step::Delete(object) => Self::Delete(DeleteLine { object: object.clone(), reason }),
            Step::DeleteFile { path, fingerprint, .. } => {
                let seen = SeenFile::new(fingerprint, content);
                Self::DeleteFile(DeleteFileLine { path: path.clone(), seen, reason })
            }
            Step::CreateBucket { .. } | Step::PutSetting(_) | Step::PutMarker { .. } | Step::SkipDataset { .. } => {
                return None;
            }
        })
    }

    /// The action that the line tells; none for the first and the last line.
    pub fn action(self, frame: &Frame) -> Option<Action> {
        let (bucket, target_root) = match &frame.route {
            Route::Upload { bucket, .. } | Route::Copy { bucket, .. } => (bucket.clone(), Path::new("")),
            Route::Download { bucket, root } => (bucket.clone(), root.as_path()),
        };
        let root = target_root.to_owned();
        let (step, reason) = match self {
            Self::SyncPlan(_) | Self::End(_) => return None,
            Self::Upload(UploadLine { file, seen, key, replaces, reason }) => {
                // Joined with an empty path, the path of a file would end in a slash.
                let path = if file.as_os_str().is_empty() { frame.root.clone() } else { frame.root.join(file) };
                (Step::Upload(Upload { path, fingerprint: seen.fingerprint(), key, replaces }), reason)
            }
            Self::Download(DownloadLine { key, size_bytes, etag, path, replaces, reason }) => {
                let replaces = replaces.as_ref().map(SeenFile::fingerprint);
                (Step::Download { root, download: Download { key, size_bytes, etag, path, replaces } }, reason)
            }
            Self::Copy(CopyLine { copy, reason }) => (Step::Copy(copy), reason),
            Self::Delete(DeleteLine { object, reason }) => (Step::Delete(object), reason),
            Self::DeleteFile(DeleteFileLine { path, seen, reason }) => {
                (Step::DeleteFile { root, path, fingerprint: seen.fingerprint() }, reason)
            }
        };
        Some(Action { bucket, step, reason })
    }

    /// What the lines of one kind are ordered by.
    pub fn place(&self) -> &str {
        match self {
            Self::Upload(UploadLine { key, .. })
            | Self::Download(DownloadLine { key, .. })
            | Self::Copy(CopyLine { copy: CopyTask { key, .. }, .. })
            | Self::Delete(DeleteLine { object: Delete { key, .. }, .. }) => key.as_str(),
            Self::DeleteFile(DeleteFileLine { path, .. }) => path.as_str(),
            Self::SyncPlan(_) | Self::End(_) => "",
        }
    }

    /// Why it is planned.
    pub const fn reason(&self) -> Option<&Reason> {
        match self {
            Self::Upload(UploadLine { reason, .. })
            | Self::Download(DownloadLine { reason, .. })
            | Self::Copy(CopyLine { reason, .. })
            | Self::Delete(DeleteLine { reason, .. })
            | Self::DeleteFile(DeleteFileLine { reason, .. }) => Some(reason),
            Self::SyncPlan(_) | Self::End(_) => None,
        }
    }

    /// True if it moves something.
    pub const fn is_transfer(&self) -> bool {
        matches!(self, Self::Upload(_) | Self::Download(_) | Self::Copy(_))
    }

    /// True if it deletes something.
    pub const fn is_delete(&self) -> bool {
        matches!(self, Self::Delete(_) | Self::DeleteFile(_))
    }

    /// Whether `action`, which is planned now, does what the line says. Why it is planned does not count.
    pub fn likeness(&self, action: &Action) -> Likeness<'_> {
        let same = |same: bool| if same { Likeness::Same } else { Likeness::Other };
        match (self, &action.step) {
            (Self::Upload(line), Step::Upload(now)) if line.key == now.key && line.replaces == now.replaces => {
                line.seen.likeness(&now.fingerprint)
            }
            (Self::Download(line), Step::Download { download: now, .. }) => {
                let object = line.key == now.key && line.size_bytes == now.size_bytes && line.etag == now.etag;
                match (&line.replaces, &now.replaces) {
                    (None, None) => same(object && line.path == now.path),
                    (Some(seen), Some(file)) if object && line.path == now.path => seen.likeness(file),
                    _ => Likeness::Other,
                }
            }
            (Self::Copy(line), Step::Copy(now)) => same(line.copy == *now),
            (Self::Delete(line), Step::Delete(now)) => same(line.object == *now),
            (Self::DeleteFile(line), Step::DeleteFile { path, fingerprint, .. }) if line.path == *path => {
                line.seen.likeness(fingerprint)
            }
            _ => Likeness::Other,
        }
    }

    /// Which end is another than the plan saw, where `action` is not what the line says.
    pub fn difference(&self, action: &Action) -> &'static str {
        let source = match (self, &action.step) {
            (Self::Upload(line), Step::Upload(now)) => line.replaces == now.replaces,
            (Self::Download(line), Step::Download { download: now, .. }) => {
                line.size_bytes != now.size_bytes || line.etag != now.etag
            }
            (Self::Copy(CopyLine { copy, .. }), Step::Copy(now)) => {
                copy.size_bytes != now.size_bytes || copy.etag != now.etag
            }
            _ => false,
        };
        if source { "its source is another than the plan saw" } else { "it is another than the plan saw" }
    }

    /// Whether a transfer is done already, where the target is equal to `source` now.
    pub fn likeness_in_place(&self, source: &Item) -> Likeness<'_> {
        let (size_bytes, etag) = match (self, source) {
            (Self::Upload(line), Item::File(file)) => return line.seen.likeness(&file.fingerprint),
            (Self::Download(line), Item::Object(_)) => (line.size_bytes, &line.etag),
            (Self::Copy(line), Item::Object(_)) => (line.copy.size_bytes, &line.copy.etag),
            _ => return Likeness::Other,
        };
        let Item::Object(found) = source else { return Likeness::Other };
        if found.entry.size_bytes == size_bytes && found.entry.etag == *etag { Likeness::Same } else { Likeness::Other }
    }
}

#[cfg(test)]
mod tests {
    use super::{Frame, Likeness, Line};
    use crate::hashing::digest;
    use crate::model::{Algorithm, ETag, Fingerprint};
    use crate::plan::{Action, CopyTask, Delete, Download, Reason, Step, Upload};
    use crate::sync::decide::Route;
    use std::path::Path;

    fn file(inode: u64) -> Fingerprint {
        Fingerprint { size_bytes: 3, mtime_ns: 1_700_000_000_123_456_789, ctime_ns: -5, device: 7, inode }
    }

    fn steps(inode: u64) -> Vec<Step> {
        let (key, etag) = ("p/a é".parse().unwrap(), Some(ETag::new("abc-2")));
        let root = Path::new("out");
        let upload = |path: &str, replaces: Option<ETag>| {
            Step::Upload(Upload {
                path: path.into(),
                fingerprint: file(inode),
                key: "p/a é".parse().unwrap(),
                replaces,
            })
        };
        let path = "a é".parse().unwrap();
        let download = Download { key, size_bytes: 3, etag: etag.clone(), path, replaces: Some(file(inode)) };
        let from_bucket = "other-bucket".parse().unwrap();
        let (from_key, key): (_, crate::model::ObjectKey) = ("q".parse().unwrap(), "p/q".parse().unwrap());
        let copy = CopyTask {
            from_bucket,
            from_key,
            size_bytes: 1,
            etag: etag.clone(),
            key: key.clone(),
            replaces: etag.clone(),
        };
        vec![
            upload("data/a é", None),
            upload("data", etag.clone()),
            Step::Download { root: root.to_owned(), download },
            Step::Copy(copy),
            Step::Delete(Delete { key, size_bytes: 9, etag, version: None }),
            Step::DeleteFile { root: root.to_owned(), path: "x/y".parse().unwrap(), fingerprint: file(inode) },
        ]
    }

    fn frame(step: &Step) -> Frame {
        let bucket = "bucket".parse().unwrap();
        let route = match step {
            Step::Download { .. } | Step::DeleteFile { .. } => Route::Download { bucket, root: "out".into() },
            _ => Route::Upload { bucket, folder: "p/".parse().unwrap() },
        };
        Frame { route, root: "data".into() }
    }

    fn action(step: Step) -> Action {
        let several = Reason::Several(vec![Reason::ContentDiffers { by: "MD5".into() }, Reason::NotInSource]);
        Action { bucket: "bucket".parse().unwrap(), step, reason: several }
    }

    #[test]
    fn every_action_comes_back_as_it_was_written() {
        for step in steps(1) {
            let (action, frame) = (action(step.clone()), frame(&step));
            for content in [None, Some(digest(Algorithm::Crc64Nvme, b"abc"))] {
                let line = Line::of(&action, &frame, content.as_ref()).unwrap();
                let text = serde_json::to_string(&line).unwrap();
                assert!(!text.contains('\n'), "{text}");
                let read: Line = serde_json::from_str(&text).unwrap();
                assert_eq!(read, line, "{text}");
                assert_eq!(read.likeness(&action), Likeness::Same);
                assert_eq!(read.action(&frame), Some(action.clone()), "{text}");
            }
        }
    }

    #[test]
    fn another_inode_asks_for_the_content_and_another_etag_is_another() {
        let content = digest(Algorithm::Crc64Nvme, b"abc");
        for (then, now) in steps(1).into_iter().zip(steps(2)) {
            let frame = frame(&then);
            let local = !matches!(then, Step::Copy(_) | Step::Delete(_));
            let (then, now) = (action(then), action(now));
            let line = Line::of(&then, &frame, Some(&content)).unwrap();
            let text = content.base64();
            let expected = if local { Likeness::IfContentIs(&text) } else { Likeness::Same };
            assert_eq!(line.likeness(&now), expected, "{now:?}");
            let line = Line::of(&then, &frame, None).unwrap();
            assert_eq!(line.likeness(&now), if local { Likeness::Other } else { Likeness::Same }, "{now:?}");
        }
        for (step, others) in steps(1).iter().zip([1, 0, 0, 4, 3, 0]) {
            let line = Line::of(&action(step.clone()), &frame(step), None).unwrap();
            assert_eq!(line.likeness(&action(steps(1)[others].clone())), Likeness::Other, "{step:?}");
        }
    }
}
