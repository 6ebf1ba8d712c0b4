//! Backups of policies, roles and what buckets say about access: as files that people read and `restore` takes back.
//!
//! A backup is a folder. Documents stand in it as files of their own, `manifest.json` says what they are and seals each
//! with its SHA-256. It is sorted, so that two backups of the same account differ where the account does, and holds
//! nothing secret: policies name whom they let in, and no key ever stands in them.

mod restore;

pub use restore::{Observed, Restore, RestoreStep, Wanted, plan_restore};

use crate::hashing;
use crate::model::{
    AccountId, Algorithm, Arn, Attachments, BucketName, Lifecycle, ManagedPolicy, PolicyJson, PolicyName,
    PolicyVersion, RelativePath, Role, RoleName, Tags, VersionId,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// The form of a backup that this version writes, and the only one that it reads.
pub const FORMAT: u32 = 1;
/// The file that says what the others are. It is written last: a folder without it is no backup.
pub const MANIFEST: &str = "manifest.json";

/// What a backup holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`FORMAT`]
    pub format: u32,
    /// The program and its version.
    pub tool: String,
    /// When it was begun.
    pub taken: Timestamp,
    /// Whose it is; none where the endpoint could not tell.
    pub account: Option<AccountId>,
    /// Who took it.
    pub caller: Option<String>,
    /// The managed policies, by ARN.
    pub policies: Vec<PolicyEntry>,
    /// The roles, by ARN.
    pub roles: Vec<RoleEntry>,
    /// What buckets say about access, by name.
    pub buckets: Vec<BucketEntry>,
}

/// A managed policy in a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyEntry {
    /// Its ARN.
    pub arn: Arn,
    /// Its id, where it was known.
    pub id: Option<String>,
    /// What it is for.
    pub description: Option<String>,
    /// The version that was in force.
    pub default_version: VersionId,
    /// Its versions, the newest first.
    pub versions: Vec<VersionEntry>,
    /// Whom it was attached to; none where that could not be seen.
    pub attachments: Option<Attachments>,
    /// Its tags.
    pub tags: Tags,
}

/// A version of a policy in a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionEntry {
    /// Which.
    pub id: VersionId,
    /// When it was made.
    pub created: Option<Timestamp>,
    /// Its document.
    #[serde(flatten)]
    pub file: FileEntry,
}

/// A file of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// Its path in the backup's folder.
    pub file: RelativePath,
    /// The SHA-256 of its bytes, in hexadecimal.
    pub sha256: String,
}

/// A role in a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleEntry {
    /// Its ARN.
    pub arn: Arn,
    /// What was known of it: a [`SavedRole`].
    #[serde(flatten)]
    pub file: FileEntry,
}

/// A bucket in a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BucketEntry {
    /// Its name.
    pub bucket: BucketName,
    /// Its policy, if it has one.
    pub policy: Option<FileEntry>,
    /// Its lifecycle rules, if it has any.
    pub lifecycle: Option<FileEntry>,
}

/// A role as its file in a backup says it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SavedRole {
    /// Its ARN.
    pub arn: Arn,
    /// What it is for.
    pub description: Option<String>,
    /// Who may take it.
    pub trust: Value,
    /// The managed policies attached to it.
    pub attached: Vec<Arn>,
    /// Its inline policies, by name.
    pub inline: BTreeMap<PolicyName, Value>,
    /// The policy that bounds it.
    pub boundary: Option<Arn>,
    /// Its tags.
    pub tags: Tags,
}

/// Why a folder is no backup that can be used.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// A file that is not there.
    #[error("the backup lacks `{0}`")]
    Missing(String),
    /// A file that is not what was written.
    #[error("`{0}` is not what was backed up: its SHA-256 differs")]
    Changed(String),
    /// A file of another form.
    #[error("`{file}` is not of the form of a backup: {message}")]
    Form {
        /// The file.
        file: String,
        /// What is wrong with it.
        message: String,
    },
    /// A newer form.
    #[error("the backup has form {0}, and this version reads form {FORMAT}")]
    Format(u32),
}

/// A backup as it is put together or was read: the manifest, and the files that it names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backup {
    /// What it holds.
    pub manifest: Manifest,
    files: BTreeMap<RelativePath, String>,
}

/// A document for people to read; one that is no JSON as it is.
fn pretty(document: &PolicyJson) -> String {
    let value = serde_json::from_str::<Value>(&document.0);
    value.map_or_else(|_| document.0.clone(), |value| format!("{value:#}\n"))
}

fn value(document: &PolicyJson) -> Value {
    serde_json::from_str(&document.0).unwrap_or_else(|_| Value::from(document.0.as_str()))
}

/// The file of an entity: names hold nothing that a path does not take, and `~` stands in none of them.
fn path_of(folder: &str, arn: &Arn, suffix: &str) -> Option<RelativePath> {
    let (_, path) = arn.resource().split_once('/')?;
    format!("{folder}/{path}{suffix}.json").parse().ok()
}

impl Backup {
    /// An empty backup.
    pub fn new(taken: Timestamp, account: Option<AccountId>, caller: Option<String>) -> Self {
        let manifest = Manifest {
            format: FORMAT,
            tool: format!("bucketwright {}", env!("CARGO_PKG_VERSION")),
            taken: Timestamp::from_second(taken.as_second()).unwrap_or(taken),
            account,
            caller,
            policies: Vec::new(),
            roles: Vec::new(),
            buckets: Vec::new(),
        };
        Self { manifest, files: BTreeMap::new() }
    }

    /// The folder that it belongs in, below the one that the user names: `ACCOUNT/2026-11-23T120000Z`.
    pub fn folder(&self) -> String {
        let account = self.manifest.account.as_ref().map_or("unknown-account", AccountId::as_str);
        format!("{account}/{}", self.manifest.taken.strftime("%Y-%m-%dT%H%M%SZ"))
    }

    /// True if it holds nothing.
    pub const fn is_empty(&self) -> bool {
        let Manifest { policies, roles, buckets, .. } = &self.manifest;
        policies.is_empty() && roles.is_empty() && buckets.is_empty()
    }

    fn keep(&mut self, file: RelativePath, text: String) -> FileEntry {
        let sha256 = hashing::digest(Algorithm::Sha256, text.as_bytes()).hex();
        self.files.insert(file.clone(), text);
        FileEntry { file, sha256 }
    }

    /// Takes in a managed policy with all its versions. `attachments` is none where they may not be seen.
    pub fn add_policy(&mut self, policy: &ManagedPolicy, attachments: Option<&Attachments>) {
        let mut versions = Vec::new();
        for version in &policy.versions {
            let in_force = version.id == policy.default_version;
            let suffix = if in_force { String::new() } else { format!("~{}", version.id) };
            let Some(path) = path_of("policies", &policy.arn, &suffix) else { continue };
            let file = self.keep(path, pretty(&version.document));
            versions.push(VersionEntry { id: version.id, created: version.created, file });
        }
        self.manifest.policies.push(PolicyEntry {
            arn: policy.arn.clone(),
            id: policy.id.clone(),
            description: policy.description.clone(),
            default_version: policy.default_version,
            versions,
            attachments: attachments.map(sorted),
            tags: policy.tags.clone(),
        });
        self.manifest.policies.sort_by(|one, other| one.arn.cmp(&other.arn));
    }

    /// Takes in a role with its inline policies and its trust policy.
    pub fn add_role(&mut self, role: &Role) {
        let Some(path) = path_of("roles", &role.arn, "") else { return };
        let mut attached = role.attached.clone();
        attached.sort();
        let saved = SavedRole {
            arn: role.arn.clone(),
            description: role.description.clone(),
            trust: value(&role.trust),
            attached,
            inline: role.inline.iter().map(|inline| (inline.name.clone(), value(&inline.document))).collect(),
            boundary: role.boundary.clone(),
            tags: role.tags.clone(),
        };
        let text = serde_json::to_value(&saved).unwrap_or_default();
        let file = self.keep(path, format!("{text:#}\n"));
        self.manifest.roles.push(RoleEntry { arn: role.arn.clone(), file });
        self.manifest.roles.sort_by(|one, other| one.arn.cmp(&other.arn));
    }

    /// Takes in what a bucket says about access.
    pub fn add_bucket(&mut self, bucket: &BucketName, policy: Option<&PolicyJson>, lifecycle: Option<&Lifecycle>) {
        let place = |file: &str| format!("buckets/{bucket}/{file}.json").parse::<RelativePath>().ok();
        let policy = policy.zip(place("policy")).map(|(document, path)| self.keep(path, pretty(document)));
        let rules = lifecycle.filter(|lifecycle| !lifecycle.rules.is_empty());
        let lifecycle = rules.zip(place("lifecycle")).map(|(lifecycle, path)| {
            let text = serde_json::to_value(lifecycle).unwrap_or_default();
            self.keep(path, format!("{text:#}\n"))
        });
        self.manifest.buckets.push(BucketEntry { bucket: bucket.clone(), policy, lifecycle });
        self.manifest.buckets.sort_by(|one, other| one.bucket.cmp(&other.bucket));
    }

    /// The files to write, each with its path in the backup's folder; the manifest is the last.
    pub fn files(&self) -> Vec<(String, String)> {
        let manifest = serde_json::to_value(&self.manifest).unwrap_or_default();
        let mut files: Vec<_> = self.files.iter().map(|(path, text)| (path.to_string(), text.clone())).collect();
        files.push((MANIFEST.to_owned(), format!("{manifest:#}\n")));
        files
    }

    /// Reads a backup: the manifest's text, and then each file that it names, as `file` gives them. What is not as it
    /// was sealed is refused.
    pub fn read(manifest: &str, mut file: impl FnMut(&RelativePath) -> Option<String>) -> Result<Self, BackupError> {
        let form = |message: String| BackupError::Form { file: MANIFEST.to_owned(), message };
        let text: Value = serde_json::from_str(manifest).map_err(|error| form(error.to_string()))?;
        match text.get("format").and_then(Value::as_u64).and_then(|format| u32::try_from(format).ok()) {
            Some(FORMAT) => {}
            Some(other) => return Err(BackupError::Format(other)),
            None => return Err(form("`format` is missing".to_owned())),
        }
        let manifest: Manifest = serde_json::from_value(text).map_err(|error| form(error.to_string()))?;
        let entries = manifest.policies.iter().flat_map(|policy| policy.versions.iter().map(|version| &version.file));
        let entries = entries.chain(manifest.roles.iter().map(|role| &role.file));
        let of_buckets = manifest.buckets.iter().flat_map(|bucket| bucket.policy.iter().chain(&bucket.lifecycle));
        let mut files = BTreeMap::new();
        for entry in entries.chain(of_buckets) {
            let text = file(&entry.file).ok_or_else(|| BackupError::Missing(entry.file.to_string()))?;
            if hashing::digest(Algorithm::Sha256, text.as_bytes()).hex() != entry.sha256 {
                return Err(BackupError::Changed(entry.file.to_string()));
            }
            files.insert(entry.file.clone(), text);
        }
        Ok(Self { manifest, files })
    }

    /// The document in a file of the backup, as it is sent.
    fn document(&self, entry: &FileEntry) -> Result<PolicyJson, BackupError> {
        let text = self.files.get(&entry.file).ok_or_else(|| BackupError::Missing(entry.file.to_string()))?;
        let form =
            |error: serde_json::Error| BackupError::Form { file: entry.file.to_string(), message: error.to_string() };
        serde_json::from_str::<Value>(text).map(|value| PolicyJson(value.to_string())).map_err(form)
    }

    /// A policy's version that was in force.
    fn in_force(&self, entry: &PolicyEntry) -> Result<PolicyVersion, BackupError> {
        let version = entry.versions.iter().find(|version| version.id == entry.default_version);
        let version =
            version.ok_or_else(|| BackupError::Missing(format!("{} of {}", entry.default_version, entry.arn)))?;
        Ok(PolicyVersion { id: version.id, created: version.created, document: self.document(&version.file)? })
    }

    fn role(&self, entry: &RoleEntry) -> Result<SavedRole, BackupError> {
        let text = self.files.get(&entry.file.file).ok_or_else(|| BackupError::Missing(entry.file.file.to_string()))?;
        let form = |error: serde_json::Error| BackupError::Form {
            file: entry.file.file.to_string(),
            message: error.to_string(),
        };
        let saved: SavedRole = serde_json::from_str(text).map_err(form)?;
        let same = saved.arn == entry.arn && RoleName::of_arn(&saved.arn).is_some();
        let other =
            || BackupError::Form { file: entry.file.file.to_string(), message: "it is of another role".to_owned() };
        if same { Ok(saved) } else { Err(other()) }
    }
}

fn sorted(attachments: &Attachments) -> Attachments {
    let mut sorted = attachments.clone();
    sorted.roles.sort();
    for names in [&mut sorted.users, &mut sorted.groups, &mut sorted.boundary_of] {
        names.sort();
    }
    sorted
}

#[cfg(test)]
mod tests;
