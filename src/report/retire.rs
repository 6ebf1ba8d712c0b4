//! What `retire` shows before it asks: what is there, who reaches it, and what is left to do in the layout's file.

use super::Line;
use crate::model::{Arn, HumanBytes, HumanCount};
use serde::Serialize;

/// What a bucket or project holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HoldingsRecord {
    /// `s3://bucket` or `s3://bucket/project/`.
    pub target: String,
    /// Whether the bucket is there.
    pub exists: bool,
    /// Objects, without the markers of folders.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Folders whose marker is there.
    pub markers: u64,
    /// Older versions of objects.
    pub noncurrent_versions: u64,
    /// Their bytes.
    pub noncurrent_bytes: u64,
    /// Markers that hide the versions of a deleted object.
    pub delete_markers: u64,
    /// Uploads in parts that were never finished.
    pub unfinished_uploads: u64,
    /// The newest change (RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub newest: Option<String>,
    /// The key that it was made to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub newest_key: Option<String>,
    /// The largest folders at the top.
    pub folders: Vec<FolderRecord>,
    /// The policies that allow something there.
    pub reached_by: Vec<HolderRecord>,
    /// Whether that could be looked for.
    pub access_seen: bool,
    /// The buckets whose access logs go there.
    pub logged_by: Vec<String>,
}

/// A folder, and what it holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FolderRecord {
    /// Its name below the target, with the slash.
    pub folder: String,
    /// Its objects, older versions and delete markers.
    pub versions: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// A policy that allows something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HolderRecord {
    /// Its name.
    pub policy: String,
    /// Its ARN.
    pub arn: Arn,
    /// The layout that owns it, by its tag.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// `list`, `get`, `put`, `delete`.
    pub operations: Vec<&'static str>,
    /// Whom it is attached to.
    pub attached_to: Vec<String>,
    /// Why that may not be read, where it may not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attached_unread: Option<String>,
}

/// What a person changes in the layout's file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LayoutEditRecord {
    /// The file.
    pub file: String,
    /// The change, one line for each table.
    pub change: Vec<String>,
}

fn counted(count: u64, one: &str, many: &str, bytes: Option<u64>) -> Option<String> {
    let bytes = bytes.map(|bytes| format!(", {}", HumanBytes(bytes))).unwrap_or_default();
    (count > 0).then(|| format!("{} {}{bytes}", HumanCount(count), if count == 1 { one } else { many }))
}

impl HoldingsRecord {
    /// What people read of it, the heading first.
    pub fn lines(&self) -> Vec<Line> {
        let mut lines = vec![(0, self.target.clone()), (2, self.held())];
        if let (Some(newest), Some(key)) = (&self.newest, &self.newest_key) {
            lines.push((2, format!("newest change: {newest}, {key}")));
        }
        for folder in &self.folders {
            let held = counted(folder.versions, "version", "versions", Some(folder.bytes)).unwrap_or_default();
            lines.push((4, format!("{}  {held}", folder.folder)));
        }
        if self.access_seen && self.reached_by.is_empty() {
            lines.push((2, "no managed policy of the account reaches it".to_owned()));
        }
        lines.extend(self.reached_by.iter().map(|one| (2, one.words())));
        if !self.access_seen {
            let else_ = if self.reached_by.is_empty() { "" } else { "else " };
            lines.push((2, format!("who {else_}reaches it could not be looked for")));
        }
        if !self.logged_by.is_empty() {
            lines.push((2, format!("access logs go there from {}", self.logged_by.join(", "))));
        }
        lines
    }

    fn held(&self) -> String {
        if !self.exists {
            return "is not there".to_owned();
        }
        let parts = [
            counted(self.objects, "object", "objects", Some(self.bytes)),
            counted(self.noncurrent_versions, "older version", "older versions", Some(self.noncurrent_bytes)),
            counted(self.delete_markers, "delete marker", "delete markers", None),
            counted(self.markers, "folder marker", "folder markers", None),
            counted(self.unfinished_uploads, "unfinished upload", "unfinished uploads", None),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        if parts.is_empty() { "holds nothing".to_owned() } else { format!("holds {}", parts.join("; ")) }
    }
}

impl HolderRecord {
    fn words(&self) -> String {
        let whose = self.owner.as_ref().map(|owner| format!(" of layout {owner}")).unwrap_or_default();
        let whom = match (&self.attached_unread, self.attached_to.is_empty()) {
            (Some(_), _) => "whom may not be read".to_owned(),
            (None, true) => "nobody".to_owned(),
            (None, false) => self.attached_to.join(", "),
        };
        format!("policy {}{whose} allows {}; attached to {whom}", self.policy, self.operations.join(" "))
    }
}

impl LayoutEditRecord {
    /// What people read of it, the heading first.
    pub fn lines(&self) -> Vec<Line> {
        let mut lines = vec![(0, format!("Change in {}, or `apply` makes it again:", self.file))];
        lines.extend(self.change.iter().map(|line| (2, line.clone())));
        lines
    }
}
