//! Files that the tool writes: by a temporary name and a rename, so that nobody ever sees half of one.
#![expect(clippy::disallowed_methods, reason = "this is the file edge")]

use std::io::{self, Write as _};
use std::path::Path;

/// Puts `content` at `path`, making its folders; the former file stays until the new one is whole and on the disk.
pub fn replace_file(path: &Path, content: impl FnOnce(&mut dyn io::Write) -> io::Result<()>) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    std::fs::create_dir_all(folder)?;
    let temporary = tempfile::Builder::new().prefix(".bucketwright-").tempfile_in(folder)?;
    let mut writer = io::BufWriter::new(temporary);
    content(&mut writer)?;
    writer.flush()?;
    let temporary = writer.into_inner().map_err(io::IntoInnerError::into_error)?;
    temporary.as_file().sync_all()?;
    temporary.persist(path).map_err(|error| error.error)?;
    Ok(())
}

/// Writes `content` to a file in `folder` that goes when the path is dropped.
pub fn temporary_file(
    folder: &Path,
    content: impl FnOnce(&mut dyn io::Write) -> io::Result<()>,
) -> io::Result<tempfile::TempPath> {
    let mut writer = io::BufWriter::new(tempfile::Builder::new().prefix(".bucketwright-").tempfile_in(folder)?);
    content(&mut writer)?;
    writer.flush()?;
    Ok(writer.into_inner().map_err(io::IntoInnerError::into_error)?.into_temp_path())
}

/// Removes a file; one that is not there is removed already.
pub fn remove_file(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The text of a file.
pub fn read_text(path: &Path) -> io::Result<String> {
    std::fs::read_to_string(path)
}

#[cfg(test)]
mod tests {
    use super::{read_text, replace_file};
    use std::fs;
    use std::io;

    #[test]
    fn the_former_file_survives_a_failed_write() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("made/receipt.jsonl");
        replace_file(&path, |out| out.write_all(b"first")).unwrap();
        let failed = replace_file(&path, |out| {
            out.write_all(b"half")?;
            Err(io::Error::other("no more"))
        });
        assert_eq!(failed.unwrap_err().to_string(), "no more");
        assert_eq!(read_text(&path).unwrap(), "first");
        replace_file(&path, |out| out.write_all(b"second")).unwrap();
        assert_eq!(read_text(&path).unwrap(), "second");
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "no temporary file stays");
    }
}
