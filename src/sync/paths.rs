//! From a key to the place of its file below a target folder, or the reason why it gets none.
//!
//! Keys come from outside and may say anything: what would leave the folder, or cannot be a file, is refused by name and
//! the rest goes on. Keys that differ only in case or in Unicode's composition are different files here, as on Linux.

use crate::model::{ObjectKey, Prefix, RelativePath, RelativePathError};

/// Where an object belongs below the target folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LocalPlace {
    /// The object is this file's content.
    File(RelativePath),
    /// The object is the empty marker of this directory.
    Directory(RelativePath),
    /// The object is the empty marker of the listed folder: the target folder itself.
    Target,
}

/// Why an object gets no place. Each is a finding; the words follow the key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Misplaced {
    /// The key is not below the folder that was listed.
    #[error("is not below the folder that was listed")]
    Elsewhere,
    /// The key is no path.
    #[error(transparent)]
    NotAPath(#[from] RelativePathError),
    /// The key ends in `/` as a folder's marker does, but the object has content.
    #[error("ends in `/` like a folder's marker but has {bytes} bytes of content, which a directory cannot hold")]
    MarkerWithContent {
        /// The object's length.
        bytes: u64,
    },
    /// Another object is a file where this one needs a directory.
    #[error("needs a directory where the object `{file}` is a file")]
    BelowFile {
        /// That file's path.
        file: RelativePath,
    },
}

/// The place of the object `key` of `size_bytes`, listed below `folder`.
pub fn place(folder: &Prefix, key: &ObjectKey, size_bytes: u64) -> Result<LocalPlace, Misplaced> {
    place_below(folder.strip(key).ok_or(Misplaced::Elsewhere)?, size_bytes)
}

/// The place of an object of `size_bytes` that is called `relative` below its folder.
pub fn place_below(relative: &str, size_bytes: u64) -> Result<LocalPlace, Misplaced> {
    let directory = if relative.is_empty() { Some(relative) } else { relative.strip_suffix('/') };
    let Some(directory) = directory else { return Ok(LocalPlace::File(relative.parse()?)) };
    let at = if relative.is_empty() { LocalPlace::Target } else { LocalPlace::Directory(directory.parse()?) };
    if size_bytes == 0 { Ok(at) } else { Err(Misplaced::MarkerWithContent { bytes: size_bytes }) }
}

/// Finds keys that need a directory where another key is a file (`a` and `a/b`), in a listing in key-byte order.
///
/// The file, which comes first, keeps its place. Holds only files that the last key starts with, so at most as many as a
/// key has bytes, whatever the listing's length.
#[derive(Debug, Default)]
pub struct Clashes {
    /// Each starts with the one before.
    files: Vec<RelativePath>,
}

impl Clashes {
    /// Takes the place of the next key, and gives it back if no file before stands in its way.
    pub fn admit(&mut self, place: LocalPlace) -> Result<LocalPlace, Misplaced> {
        let (LocalPlace::File(path) | LocalPlace::Directory(path)) = &place else { return Ok(place) };
        // Later keys are greater, so what this one does not start with, none of them will.
        while self.files.last().is_some_and(|file| !path.as_str().starts_with(file.as_str())) {
            self.files.pop();
        }
        let is_directory = matches!(place, LocalPlace::Directory(_));
        let in_the_way = self.files.iter().find(|file| file.holds(path) || (is_directory && *file == path));
        if let Some(file) = in_the_way {
            return Err(Misplaced::BelowFile { file: file.clone() });
        }
        if !is_directory {
            self.files.push(path.clone());
        }
        Ok(place)
    }
}

#[cfg(test)]
mod tests {
    use super::{Clashes, LocalPlace, Misplaced, place};
    use crate::model::{ObjectKey, Prefix, RelativePathError};
    use proptest::collection::btree_set;
    use proptest::prelude::{prop_assert_eq, proptest};
    use std::collections::BTreeSet;

    fn placed(folder: &str, key: &str, size_bytes: u64) -> Result<LocalPlace, Misplaced> {
        place(&folder.parse::<Prefix>().unwrap(), &key.parse::<ObjectKey>().unwrap(), size_bytes)
    }

    #[test]
    fn keys_get_their_places() {
        let file = |text: &str| Ok(LocalPlace::File(text.parse().unwrap()));
        let directory = |text: &str| Ok(LocalPlace::Directory(text.parse().unwrap()));
        let not = |error: RelativePathError| Err(Misplaced::NotAPath(error));
        for (folder, key, size_bytes, expected) in [
            ("", "a", 1, file("a")),
            ("p/", "p/a/b c+é", 0, file("a/b c+é")),
            ("p/", "p/..data/.x", 1, file("..data/.x")),
            ("p/", "p/", 0, Ok(LocalPlace::Target)),
            ("p/", "p/a/", 0, directory("a")),
            ("p/", "p/a/", 3, Err(Misplaced::MarkerWithContent { bytes: 3 })),
            ("p/", "p/", 3, Err(Misplaced::MarkerWithContent { bytes: 3 })),
            ("p/", "q/a", 1, Err(Misplaced::Elsewhere)),
            ("p/", "p/../a", 1, not(RelativePathError::Dots)),
            ("p/", "p/../", 0, not(RelativePathError::Dots)),
            ("", "../../etc/passwd", 1, not(RelativePathError::Dots)),
            ("", "/etc/passwd", 1, not(RelativePathError::Absolute)),
            ("p/", "p//etc/passwd", 1, not(RelativePathError::Absolute)),
            ("", "/", 0, not(RelativePathError::EmptyName)),
            ("p/", "p/a//b", 1, not(RelativePathError::EmptyName)),
            ("p/", "p/a//", 0, not(RelativePathError::EmptyName)),
            ("p/", "p/a\0b", 1, not(RelativePathError::Nul)),
        ] {
            assert_eq!(placed(folder, key, size_bytes), expected, "{key:?} below {folder:?}");
        }
    }

    /// The keys that are refused as being below a file.
    fn refused<'keys>(keys: impl IntoIterator<Item = &'keys str>) -> BTreeSet<&'keys str> {
        let mut clashes = Clashes::default();
        let admitted = |key: &&str| clashes.admit(placed("", key, 0).unwrap()).is_ok();
        let keys: Vec<&str> = keys.into_iter().collect();
        assert!(keys.is_sorted(), "a listing in key order");
        let good: BTreeSet<&str> = keys.iter().copied().filter(admitted).collect();
        keys.into_iter().filter(|key| !good.contains(key)).collect()
    }

    #[test]
    fn what_needs_a_directory_where_a_file_is() {
        let check = |keys: &[&str], expected: &[&str]| {
            assert_eq!(refused(keys.iter().copied()), expected.iter().copied().collect(), "{keys:?}");
        };
        check(&["a", "a-1", "a.txt", "a/b", "a/c/d", "a0", "b/c"], &["a/b", "a/c/d"]);
        check(&["a", "a!", "a!/b", "a/b"], &["a!/b", "a/b"]);
        check(&["a", "a/", "a/b"], &["a/", "a/b"]);
        check(&["a/", "a/b", "a/b/"], &["a/b/"]);
        check(&["A", "a/b", "é", "é/x"], &["é/x"]);
        let clash = {
            let mut clashes = Clashes::default();
            clashes.admit(placed("", "a", 1).unwrap()).unwrap();
            clashes.admit(placed("", "a/b", 1).unwrap()).unwrap_err()
        };
        assert_eq!(clash.to_string(), "needs a directory where the object `a` is a file");
    }

    proptest! {
        #[test]
        fn the_stream_finds_what_a_full_search_finds(keys in btree_set("[a!]{1,2}(/[a!]{1,2}){0,2}", 1..24)) {
            let below_file = |key: &&str| {
                let ancestors = key.match_indices('/').map(|(at, _)| &key[..at]);
                ancestors.into_iter().any(|ancestor| {
                    // A file that is itself refused stands in nobody's way, but then neither is what is below it there.
                    keys.contains(ancestor)
                })
            };
            let all: Vec<&str> = keys.iter().map(String::as_str).collect();
            let expected: BTreeSet<&str> = all.iter().copied().filter(below_file).collect();
            prop_assert_eq!(refused(all), expected);
        }
    }
}
