//! Ignore files of a tree, read where they stand.
#![expect(clippy::disallowed_methods, reason = "this is the file edge")]

use super::text_file::read_at_most;
use crate::model::{IGNORE_FILE, IgnoreFile, OddKind};
use std::io;
use std::path::{Component, Path};

/// The longest ignore file that is read. What is larger was not written by a person.
const MOST_BYTES: u64 = 1024 * 1024;

/// Reads the ignore file of `directory`, a path below the root that is empty or ends in `/`. One that cannot be used is
/// odd: without its rules, nobody knows what in its directory is to stay.
pub(super) fn read_ignore_file(folder: &Path, directory: &str) -> Result<IgnoreFile, OddKind> {
    let unusable = |why: String| OddKind::IgnoreFile(why);
    let bytes = read_at_most(&folder.join(IGNORE_FILE), MOST_BYTES).map_err(|error| unusable(said(&error)))?;
    let bytes = bytes.ok_or_else(|| unusable("it is larger than 1 MiB".to_owned()))?;
    let text = String::from_utf8(bytes).map_err(|_| unusable("it is not UTF-8".to_owned()))?;
    IgnoreFile::parse(directory, &text).map_err(|error| unusable(error.to_string()))
}

/// The ignore file that stands in a directory of the tree below `root`, for names that come from a listing. None where
/// there is none, where it cannot be used, which a walk of the tree reports, or where the name could lead out of the tree.
pub fn ignore_file_below(root: &Path, directory: &str) -> Option<IgnoreFile> {
    let inside = Path::new(directory).components().all(|part| matches!(part, Component::Normal(_)));
    if !inside || directory.contains("//") || directory.split('/').any(|name| name == ".") {
        return None;
    }
    let folder = root.join(directory);
    let is_file = std::fs::metadata(folder.join(IGNORE_FILE)).is_ok_and(|metadata| metadata.is_file());
    if is_file { read_ignore_file(&folder, directory).ok() } else { None }
}

/// The system's words without the number that Rust adds.
pub(super) fn said(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::ignore_file_below;

    #[test]
    fn names_of_a_listing_lead_nowhere_else() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("root");
        for directory in ["root/a", "b"] {
            std::fs::create_dir_all(folder.path().join(directory)).unwrap();
            std::fs::write(folder.path().join(directory).join(".bucketwrightignore"), "x").unwrap();
        }
        let outside = format!("{}/", folder.path().join("b").display());
        for (directory, found) in
            [("a/", true), ("", false), ("../b/", false), ("a/../../b/", false), (&outside, false)]
        {
            assert_eq!(ignore_file_below(&root, directory).is_some(), found, "{directory}");
        }
    }
}
