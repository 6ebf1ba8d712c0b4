//! Backups on the disk: a folder of its own for each, whole or without its last file.
#![expect(clippy::disallowed_methods, reason = "this is the file edge")]

use super::replace::replace_file;
use crate::model::RelativePath;
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

/// How many backups of one second find a folder.
const SAME_SECOND: u32 = 100;

/// Writes `files` in their order into the new folder `name` below `root`, readable for nobody else. Where such a folder
/// is already, the new one is called `name-2`, and so on.
pub fn write_backup(root: &Path, name: &str, files: &[(String, String)]) -> io::Result<PathBuf> {
    let folder = new_folder(&root.join(name))?;
    for (path, text) in files {
        let path: RelativePath = path.parse().map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
        let path = folder.join(path.as_str());
        if let Some(parent) = path.parent() {
            private(parent)?;
        }
        replace_file(&path, |out| out.write_all(text.as_bytes()))?;
    }
    Ok(folder)
}

fn private(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

fn new_folder(wanted: &Path) -> io::Result<PathBuf> {
    private(wanted.parent().unwrap_or(wanted))?;
    for number in 1..=SAME_SECOND {
        let mut folder = wanted.as_os_str().to_owned();
        if number > 1 {
            folder.push(format!("-{number}"));
        }
        match DirBuilder::new().mode(0o700).create(&folder) {
            Ok(()) => return Ok(PathBuf::from(folder)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

/// The backups below a folder, oldest first: the folders that hold the file `last`.
pub fn backups_below(root: &Path, last: &str) -> Vec<PathBuf> {
    let folders = |folder: &Path| -> Vec<PathBuf> {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let mut folders: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
        folders.sort();
        folders
    };
    let accounts = folders(root);
    let deeper = accounts.iter().flat_map(|account| folders(account));
    accounts.iter().cloned().chain(deeper).filter(|folder| folder.join(last).is_file()).collect()
}

#[cfg(test)]
mod tests {
    use super::{backups_below, write_backup};
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn each_backup_has_a_folder_that_nobody_else_reads() {
        let root = tempfile::tempdir().unwrap();
        let files = [("policies/a.json".to_owned(), "{}".to_owned()), ("manifest.json".to_owned(), "{}".to_owned())];
        let first = write_backup(root.path(), "1/now", &files).unwrap();
        let second = write_backup(root.path(), "1/now", &files).unwrap();
        assert_eq!((first.file_name().unwrap(), second.file_name().unwrap()), ("now".as_ref(), "now-2".as_ref()));
        let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&first), mode(&first.join("policies/a.json"))), (0o700, 0o600));
        assert_eq!(backups_below(root.path(), "manifest.json"), [first, second]);
        for hostile in ["../x", "/etc/x", "a/../../x"] {
            assert!(write_backup(root.path(), "1/bad", &[(hostile.to_owned(), String::new())]).is_err(), "{hostile}");
        }
    }
}
