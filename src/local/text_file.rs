//! Small files that verbs read and write: layouts, plans, starters.
#![expect(clippy::disallowed_methods, reason = "this is the file edge")]

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::Path;

/// The content of a file, or `None` if it has more than `most_bytes` bytes, which are then not read.
pub fn read_at_most(path: &Path, most_bytes: u64) -> io::Result<Option<Vec<u8>>> {
    let mut content = Vec::new();
    File::open(path)?.take(most_bytes.saturating_add(1)).read_to_end(&mut content)?;
    Ok((content.len() as u64 <= most_bytes).then_some(content))
}

/// What comes in on stdin, or `None` if it has more than `most_bytes` bytes.
pub fn read_stdin_at_most(most_bytes: u64) -> io::Result<Option<Vec<u8>>> {
    let mut content = Vec::new();
    io::stdin().lock().take(most_bytes.saturating_add(1)).read_to_end(&mut content)?;
    Ok((content.len() as u64 <= most_bytes).then_some(content))
}

/// True if anything has that path.
pub fn exists(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok()
}

/// Writes a file that is not there yet; one that is there stays and is an error of kind `AlreadyExists`.
pub fn write_new(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    let written = file.write_all(content).and_then(|()| file.sync_all());
    if written.is_err() {
        // Half a file would be in the way of the next try. What stopped the write is what counts.
        let _ = std::fs::remove_file(path);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::{read_at_most, write_new};
    use std::io::ErrorKind;

    #[test]
    fn never_over_a_file_and_never_too_much() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("layout.toml");
        write_new(&path, b"first").unwrap();
        assert_eq!(write_new(&path, b"second").unwrap_err().kind(), ErrorKind::AlreadyExists);
        assert_eq!(read_at_most(&path, 5).unwrap().as_deref(), Some(b"first".as_slice()));
        assert_eq!(read_at_most(&path, 4).unwrap(), None);
    }
}
