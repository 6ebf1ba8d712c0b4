//! How files of the directory are changed: one process at a time, and leaving alone what the change is not about.
#![expect(clippy::disallowed_methods, reason = "this is the file edge, and what it writes has a date")]

use super::record::{json, replace};
use super::{Directory, DirectoryError, Kind, Rule, text_of};
use crate::model::{RoleName, Tags};
use jiff::Timestamp;
use serde_json::{Map, Value};
use std::fs::{DirBuilder, File, OpenOptions};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};

/// The turn to write; it ends when it is dropped.
#[must_use]
#[derive(Debug)]
pub(super) struct Turn(#[expect(dead_code, reason = "the lock is held by keeping the file open")] File);

/// The present, as whole seconds: IAM knows no finer ones.
pub(super) fn now() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_second(now.as_second()).unwrap_or(now)
}

impl Directory {
    /// Waits for the turn to write.
    pub(super) fn turn(&self) -> Result<Turn, DirectoryError> {
        let path = self.folder.join("lock");
        let open = || {
            DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)?;
            let file =
                OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path)?;
            file.lock()?;
            Ok(file)
        };
        open().map(Turn).map_err(|source| DirectoryError::Write { path: path.clone(), source })
    }

    /// The name as the directory spells it: IAM knows no two that differ by case alone.
    pub(super) fn spelled(&self, folder: &str, name: &str) -> Result<Option<String>, DirectoryError> {
        Ok(self.files(folder)?.into_iter().find(|known| known.eq_ignore_ascii_case(name)))
    }

    /// Changes the file of a role, field by field.
    pub(super) fn edit_role(
        &self,
        role: &RoleName,
        change: impl FnOnce(&mut Map<String, Value>) -> Result<(), DirectoryError>,
    ) -> Result<(), DirectoryError> {
        let folder = Kind::Role.folder();
        let name = self.spelled(folder, role.as_str())?.ok_or_else(|| no_role(role))?;
        let path = self.folder.join(folder).join(format!("{name}.json"));
        let text = text_of(&path)?.ok_or_else(|| no_role(role))?;
        // Read strictly first, so that no mistake is written back.
        self.sheet(Kind::Role, &name)?;
        let mut fields: Map<String, Value> = json(&path, &text)?;
        let before = fields.clone();
        change(&mut fields)?;
        if fields == before { Ok(()) } else { replace(&path, &fields) }
    }
}

/// Changes the object `field`, which is made if it is not there.
pub(super) fn edit_object<T>(
    fields: &mut Map<String, Value>,
    field: &str,
    change: impl FnOnce(&mut Map<String, Value>) -> T,
) -> T {
    let mut object = match fields.get_mut(field).map(Value::take) {
        Some(Value::Object(object)) => object,
        _ => Map::new(),
    };
    let answer = change(&mut object);
    // An entry that is there keeps its place.
    fields.insert(field.to_owned(), Value::Object(object));
    answer
}

/// Puts tags beside those that are there; one of the same key in other case is the same tag.
pub(super) fn add_tags(known: &mut Map<String, Value>, tags: &Tags) {
    for (key, tag) in tags {
        known.retain(|other, _| other == key.as_str() || !other.eq_ignore_ascii_case(key.as_str()));
        known.insert(key.as_str().to_owned(), Value::from(tag.as_str()));
    }
}

pub(super) fn no_role(role: &RoleName) -> DirectoryError {
    DirectoryError::refused(Rule::NoSuchEntity, format!("there is no role `{role}`"))
}
