//! The files that are sent: made once, kept under target/, different in every block.
#![expect(clippy::disallowed_methods, reason = "the data are files")]

use anyhow::Result;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};

const BLOCK_BYTES: usize = 1 << 20;

/// More files than that in one folder are unusual.
const FILES_IN_A_FOLDER: u64 = 100;

/// A tree of files of one size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tree {
    pub(super) files: u64,
    pub(super) file_bytes: u64,
}

impl Tree {
    /// All bytes.
    pub(super) const fn bytes(self) -> u64 {
        self.files * self.file_bytes
    }

    /// A tenth of it.
    pub(super) const fn tenth(self) -> Self {
        match self.files {
            ..10 => Self { files: self.files, file_bytes: self.file_bytes / 10 },
            _ => Self { files: self.files / 10, file_bytes: self.file_bytes },
        }
    }

    /// The paths of its files, from its root.
    pub(super) fn paths(self) -> impl Iterator<Item = PathBuf> {
        let is_flat = self.files <= FILES_IN_A_FOLDER;
        (0..self.files).map(move |number| match is_flat {
            true => format!("file-{number:02}.bin").into(),
            false => format!("part-{:05}/file-{number:07}.bin", number / FILES_IN_A_FOLDER).into(),
        })
    }

    /// The folder of the tree below `parent`; made if it is not there.
    pub(super) fn make(self, parent: &Path) -> Result<PathBuf> {
        let folder = parent.join(format!("{}x{}", self.files, self.file_bytes));
        let finished = folder.with_extension("finished");
        if finished.exists() {
            return Ok(folder);
        }
        println!("making {} files of {} bytes", self.files, self.file_bytes);
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir_all(&folder)?;
        let mut block = noise();
        for (number, path) in (0_u64..).zip(self.paths()) {
            if number % FILES_IN_A_FOLDER == 0
                && let Some(parent) = path.parent()
            {
                fs::create_dir_all(folder.join(parent))?;
            }
            write(&folder.join(path), number, self.file_bytes, &mut block)?;
        }
        fs::write(finished, "")?;
        Ok(folder)
    }
}

/// Writes one file: the block of noise again and again, each time with another beginning.
fn write(path: &Path, number: u64, size_bytes: u64, block: &mut [u8]) -> Result<()> {
    let mut file = File::create(path)?;
    let mut left = size_bytes;
    while left > 0 {
        block[..8].copy_from_slice(&number.to_le_bytes());
        block[8..16].copy_from_slice(&left.to_le_bytes());
        let count = usize::try_from(left).unwrap_or(usize::MAX).min(block.len());
        file.write_all(&block[..count])?;
        left -= count as u64;
    }
    Ok(())
}

/// Bytes that no compression shortens (xorshift64).
fn noise() -> Vec<u8> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut block = Vec::with_capacity(BLOCK_BYTES);
    while block.len() < BLOCK_BYTES {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        block.extend_from_slice(&state.to_le_bytes());
    }
    block
}

#[cfg(test)]
mod tests {
    use super::Tree;
    use std::collections::BTreeSet;

    #[test]
    fn a_tree_has_as_many_files_as_it_says() {
        for (files, folders) in [(1, 1), (4, 1), (100, 1), (250, 3), (1_000, 10)] {
            let tree = Tree { files, file_bytes: 3 };
            let paths: BTreeSet<_> = tree.paths().collect();
            assert_eq!(paths.len() as u64, files);
            let parents: BTreeSet<_> = paths.iter().map(|path| path.parent()).collect();
            assert_eq!(parents.len(), folders, "{files} files");
        }
    }
}
