//! Files that are read at every question and parsed only when their text is another than before.
//!
//! Texts are compared, not times: two edits within one tick of the clock must both count.

use super::{DirectoryError, text_of};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// What was read last of every file that was asked for.
#[derive(Debug)]
pub(super) struct Reread<T> {
    seen: Mutex<BTreeMap<PathBuf, (String, Arc<T>)>>,
}

impl<T> Default for Reread<T> {
    fn default() -> Self {
        Self { seen: Mutex::new(BTreeMap::new()) }
    }
}

impl<T> Reread<T> {
    /// What `parse` makes of a file now; none if there is no such file.
    pub(super) fn read(
        &self,
        path: &Path,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<Option<Arc<T>>, DirectoryError> {
        let text = text_of(path)?;
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(text) = text else {
            seen.remove(path);
            return Ok(None);
        };
        if let Some((_, value)) = seen.get(path).filter(|(known, _)| *known == text) {
            return Ok(Some(Arc::clone(value)));
        }
        let value = parse(&text).map_err(|message| DirectoryError::Form { path: path.to_owned(), message })?;
        let value = Arc::new(value);
        seen.insert(path.to_owned(), (text, Arc::clone(&value)));
        Ok(Some(value))
    }
}
