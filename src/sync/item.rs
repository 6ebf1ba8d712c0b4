//! One thing on one side of a sync, under the name that both sides share: its path below the root.

use crate::model::{LocalFile, ObjectEntry, Prefix};

/// A file or an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// A regular file below a directory.
    File(LocalFile),
    /// An object below a folder.
    Object(Found),
}

/// An object with its name below the folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The object as its listing shows it.
    pub entry: ObjectEntry,
    /// How many bytes of the key belong to the folder.
    folder_bytes: usize,
    /// Another name, for a single object.
    renamed: Option<Box<str>>,
}

impl Found {
    /// An object of `folder`'s listing; gives back what is not below it.
    pub fn below(folder: &Prefix, entry: ObjectEntry) -> Result<Self, Box<ObjectEntry>> {
        if entry.key.as_str().starts_with(folder.as_str()) {
            Ok(Self { entry, folder_bytes: folder.as_str().len(), renamed: None })
        } else {
            Err(Box::new(entry))
        }
    }

    /// A single object under another name.
    #[must_use]
    pub fn renamed(mut self, name: &str) -> Self {
        self.renamed = Some(name.into());
        self
    }

    /// Its path below the folder; empty for the folder's own slash marker.
    pub fn name(&self) -> &str {
        self.renamed.as_deref().unwrap_or(&self.entry.key.as_str()[self.folder_bytes..])
    }

    /// True for what only makes a folder visible: an object without bytes whose name is empty, ends in `/`, or is
    /// `.keep`. It has no file to compare with, and is nobody's data.
    pub fn is_marker(&self) -> bool {
        let name = self.name();
        let last = name.rsplit('/').next().unwrap_or_default();
        self.entry.size_bytes == 0 && (last.is_empty() || last == ".keep")
    }
}

impl Item {
    /// The path below the root, with `/` between names.
    pub fn name(&self) -> &str {
        match self {
            Self::File(file) => &file.relative,
            Self::Object(found) => found.name(),
        }
    }

    /// Its length in bytes.
    pub const fn size_bytes(&self) -> u64 {
        match self {
            Self::File(file) => file.fingerprint.size_bytes,
            Self::Object(found) => found.entry.size_bytes,
        }
    }

    /// True for an object that only makes a folder visible.
    pub fn is_marker(&self) -> bool {
        matches!(self, Self::Object(found) if found.is_marker())
    }
}

#[cfg(test)]
mod tests {
    use super::Found;
    use crate::model::{ObjectEntry, Prefix};

    fn found(folder: &str, key: &str, size_bytes: u64) -> Found {
        let folder: Prefix = folder.parse().unwrap();
        let entry = ObjectEntry { key: key.parse().unwrap(), size_bytes, etag: None, modified: None };
        Found::below(&folder, entry).unwrap()
    }

    #[test]
    fn names_below_a_folder() {
        for (folder, key, bytes, name, marker) in [
            ("", "a/b", 1, "a/b", false),
            ("a/", "a/b", 0, "b", false),
            ("a/", "a/", 0, "", true),
            ("a/", "a/b/", 0, "b/", true),
            ("a/", "a/b/", 1, "b/", false),
            ("a/", "a/.keep", 0, ".keep", true),
            ("a/", "a/b/.keep", 0, "b/.keep", true),
            ("a/", "a/b.keep", 0, "b.keep", false),
        ] {
            let found = found(folder, key, bytes);
            assert_eq!((found.name(), found.is_marker()), (name, marker), "{folder} {key}");
        }
        assert_eq!(found("a/", "a/b", 1).renamed("c").name(), "c");
        let entry = ObjectEntry { key: "ab".parse().unwrap(), size_bytes: 1, etag: None, modified: None };
        assert!(Found::below(&"a/".parse().unwrap(), entry).is_err());
    }
}
