//! What a run keeps of policies and roles before it replaces them.

use crate::local;
use crate::model::{AccountId, Attachments, ManagedPolicy, Role};
use serde_json::{Value, json};
use std::io;
use std::path::{Path, PathBuf};

/// The folder that a run's backups go to: `FOLDER/ACCOUNT/TIME`, made when the first one is written.
#[derive(Debug)]
pub struct BackupFolder {
    folder: PathBuf,
}

/// A backup that could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write the backup `{}`", .path.display())]
pub struct KeepError {
    /// The file.
    path: PathBuf,
    /// The system's own words.
    source: io::Error,
}

impl BackupFolder {
    /// The folder below `root` of a run in `account` that began at `time`.
    pub fn new(root: &Path, account: &AccountId, time: jiff::Timestamp) -> Self {
        let time = time.strftime("%Y%m%dT%H%M%S.%3fZ").to_string();
        Self { folder: root.join(account.as_str()).join(time) }
    }

    /// Where the backups are.
    pub fn path(&self) -> &Path {
        &self.folder
    }

    /// Keeps a policy with all versions, and whom it is attached to. Blocks.
    pub fn policy(&self, policy: &ManagedPolicy, attachments: &Attachments) -> Result<(), KeepError> {
        self.keep(policy.arn.resource(), &json!({ "policy": policy, "attachments": attachments }))
    }

    /// Keeps a role with its trust policy and what it has. Blocks.
    pub fn role(&self, role: &Role) -> Result<(), KeepError> {
        self.keep(role.arn.resource(), &json!({ "role": role }))
    }

    /// What was kept first is what the run found, so nothing is kept twice.
    fn keep(&self, place: &str, content: &Value) -> Result<(), KeepError> {
        let path = self.folder.join(format!("{place}.json"));
        if local::exists(&path) {
            return Ok(());
        }
        let text = format!("{content:#}\n");
        local::replace_file(&path, |out| out.write_all(text.as_bytes())).map_err(|source| KeepError { path, source })
    }
}
