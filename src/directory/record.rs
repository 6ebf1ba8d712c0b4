//! What IAM keeps of a policy beside its document: `managed/NAME.json`, with path, tags and versions.
//!
//! `policies/NAME.json` is always what is in force. Where it says something else than the version that the record has in
//! force, it was put back by hand to an older version, or edited, which then is what that version says.

use super::sheet::is_path;
use super::{Directory, DirectoryError, Rule, text_of};
use crate::local;
use crate::model::{PolicyJson, Tags, VersionId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What the directory knows of a policy.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Record {
    #[serde(default = "root")]
    pub(super) path: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) description: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) created: Option<Timestamp>,
    #[serde(default)]
    pub(super) tags: Tags,
    /// The version in force.
    pub(super) default: VersionId,
    /// The highest number that a version ever had.
    pub(super) last: VersionId,
    pub(super) versions: BTreeMap<VersionId, RecordedVersion>,
}

/// A version of a policy.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RecordedVersion {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) created: Option<Timestamp>,
    pub(super) document: Value,
}

fn root() -> String {
    "/".to_owned()
}

impl RecordedVersion {
    pub(super) fn text(&self) -> PolicyJson {
        PolicyJson(self.document.to_string())
    }
}

impl Record {
    /// A policy that was just made of `document`, or found as a mere file.
    pub(super) fn first(document: Value, path: String, created: Option<Timestamp>) -> Self {
        let first = VersionId(1);
        let versions = BTreeMap::from([(first, RecordedVersion { created, document })]);
        Self { path, description: None, created, tags: Tags::new(), default: first, last: first, versions }
    }

    /// The same record, with what stands in the policy's own file in force.
    fn with_in_force(mut self, document: Value) -> Self {
        let is_it = |version: &RecordedVersion| version.document == document;
        if self.versions.get(&self.default).is_some_and(is_it) {
            return self;
        }
        match self.versions.iter().rev().find(|(_, version)| is_it(version)) {
            Some((id, _)) => self.default = *id,
            None => {
                let created = self.versions.get(&self.default).and_then(|version| version.created);
                self.versions.insert(self.default, RecordedVersion { created, document });
            }
        }
        self
    }

    fn check(self) -> Result<Self, String> {
        if !is_path(&self.path) {
            return Err(format!("path: `{}` is no path: it starts and ends with `/`", self.path));
        }
        match self.versions.keys().next_back() {
            Some(newest) if *newest <= self.last && self.default <= self.last => Ok(self),
            _ => Err("last: must be the highest number that a version ever had".to_owned()),
        }
    }
}

impl Directory {
    fn record_file(&self, name: &str) -> PathBuf {
        self.folder.join("managed").join(format!("{name}.json"))
    }

    pub(super) fn policy_file(&self, name: &str) -> PathBuf {
        self.folder.join("policies").join(format!("{name}.json"))
    }

    /// What is known of a policy now; none without a file of its own.
    pub(super) fn record(&self, name: &str) -> Result<Option<Record>, DirectoryError> {
        // Asked first, because it says exactly what is wrong with a document.
        if self.policy(name)?.is_none() {
            return Ok(None);
        }
        let path = self.policy_file(name);
        let Some(text) = text_of(&path)? else { return Ok(None) };
        let document: Value = json(&path, &text)?;
        let path = self.record_file(name);
        let record = match text_of(&path)? {
            None => return Ok(Some(Record::first(document, root(), None))),
            Some(text) => json::<Record>(&path, &text)?.check(),
        };
        let record = record.map_err(|message| DirectoryError::Form { path, message })?;
        Ok(Some(record.with_in_force(document)))
    }

    /// Keeps a record, and then puts its version in force: a run that ends in between leaves the former one in force.
    pub(super) fn keep(&self, name: &str, record: &Record) -> Result<(), DirectoryError> {
        let in_force = record.versions.get(&record.default).ok_or_else(|| {
            DirectoryError::refused(Rule::NoSuchEntity, format!("policy `{name}` has no version {}", record.default))
        })?;
        replace(&self.record_file(name), record)?;
        let path = self.policy_file(name);
        let stands = match text_of(&path)? {
            Some(text) => json::<Value>(&path, &text)? == in_force.document,
            None => false,
        };
        // A file that says so already keeps the form that somebody gave it.
        if stands { Ok(()) } else { replace(&path, &in_force.document) }
    }

    /// Forgets a policy, its document first: a record alone counts for nothing.
    pub(super) fn forget(&self, name: &str) -> Result<(), DirectoryError> {
        for path in [self.policy_file(name), self.record_file(name)] {
            local::remove_file(&path).map_err(|source| DirectoryError::Write { path, source })?;
        }
        Ok(())
    }
}

/// A file's text as a value of its form.
pub(super) fn json<T: serde::de::DeserializeOwned>(path: &Path, text: &str) -> Result<T, DirectoryError> {
    let failed = |error: serde_json::Error| DirectoryError::Form { path: path.to_owned(), message: error.to_string() };
    serde_json::from_str(text).map_err(failed)
}

/// Puts a value at `path`, written for people.
pub(super) fn replace(path: &Path, value: &impl Serialize) -> Result<(), DirectoryError> {
    let written = local::replace_file(path, |out| {
        serde_json::to_writer_pretty(&mut *out, value)?;
        out.write_all(b"\n")
    });
    written.map_err(|source| DirectoryError::Write { path: path.to_owned(), source })
}
