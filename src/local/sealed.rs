//! Files of lines whose last line tells the digest of all before it: a file that was cut off or edited is told from a
//! whole one. Written line by line and seen by nobody before it is whole, read line by line, so that no size is too large.
#![expect(clippy::disallowed_methods, reason = "this is the file edge")]

use crate::hashing::Hasher;
use crate::model::{Algorithm, Checksum};
use std::fs::{File, Permissions};
use std::io::{self, BufRead as _, BufReader, BufWriter, Read as _, Seek as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use tempfile::{NamedTempFile, TempPath};

/// The longest line that is read, in bytes. A path and a key have some KiB; what is longer was not written here.
const MOST_LINE_BYTES: u64 = 1024 * 1024;

/// A file that is being written.
#[derive(Debug)]
pub struct Draft {
    file: BufWriter<NamedTempFile>,
    digest: Hasher,
}

impl Draft {
    /// A file that will take its place at `path`; its folders are made.
    pub fn beside(path: &Path) -> io::Result<Self> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
        std::fs::create_dir_all(folder)?;
        // Others may read it, as far as the user's mask lets them: it holds no secrets.
        Self::new(tempfile::Builder::new().permissions(Permissions::from_mode(0o666)), folder)
    }

    /// A file in `folder` that goes when nobody holds it any more.
    pub fn temporary(folder: &Path) -> io::Result<Self> {
        Self::new(&mut tempfile::Builder::new(), folder)
    }

    fn new(builder: &mut tempfile::Builder<'_, '_>, folder: &Path) -> io::Result<Self> {
        let file = BufWriter::new(builder.prefix(".bucketwright-").tempfile_in(folder)?);
        Ok(Self { file, digest: Hasher::new(Algorithm::Sha256) })
    }

    /// Forgets all lines.
    pub fn restart(&mut self) -> io::Result<()> {
        self.file.flush()?;
        self.file.get_ref().as_file().set_len(0)?;
        self.file.rewind()?;
        self.digest = Hasher::new(Algorithm::Sha256);
        Ok(())
    }

    /// Adds one line, which holds no line break of its own.
    pub fn line(&mut self, line: &[u8]) -> io::Result<()> {
        for bytes in [line, b"\n"] {
            self.digest.update(bytes);
            self.file.write_all(bytes)?;
        }
        Ok(())
    }

    /// Adds the last line, made of the digest of all before it.
    fn seal(self, last: impl FnOnce(&Checksum) -> Vec<u8>) -> io::Result<NamedTempFile> {
        let Self { mut file, digest } = self;
        file.write_all(&last(&digest.finish()))?;
        file.write_all(b"\n")?;
        file.into_inner().map_err(io::IntoInnerError::into_error)
    }

    /// Seals the file and puts it at `path`, in place of a former one.
    pub fn persist(self, path: &Path, last: impl FnOnce(&Checksum) -> Vec<u8>) -> io::Result<()> {
        let file = self.seal(last)?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|error| error.error)?;
        Ok(())
    }

    /// Seals a temporary file.
    pub fn keep(self, last: impl FnOnce(&Checksum) -> Vec<u8>) -> io::Result<TempPath> {
        Ok(self.seal(last)?.into_temp_path())
    }
}

/// A file that is being read.
#[derive(Debug)]
pub struct SealedLines {
    file: BufReader<File>,
    digest: Hasher,
    line: Vec<u8>,
}

impl SealedLines {
    /// Opens a file.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        if file.metadata()?.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        Ok(Self { file: BufReader::new(file), digest: Hasher::new(Algorithm::Sha256), line: Vec::new() })
    }

    /// The next line without its end; none behind the last. A line without end, or without an end in sight, is an error
    /// of kind `InvalidData`.
    pub fn next_line(&mut self) -> io::Result<Option<&[u8]>> {
        self.digest.update(&self.line);
        self.line.clear();
        (&mut self.file).take(MOST_LINE_BYTES).read_until(b'\n', &mut self.line)?;
        match self.line.split_last() {
            None => Ok(None),
            Some((b'\n', line)) => Ok(Some(line)),
            Some(_) => Err(io::ErrorKind::InvalidData.into()),
        }
    }

    /// The digest of all lines before the one that was read last, and whether that one is the last.
    pub fn finish(mut self) -> io::Result<(Checksum, bool)> {
        let is_last = self.file.fill_buf()?.is_empty();
        Ok((self.digest.finish(), is_last))
    }
}

#[cfg(test)]
mod tests {
    use super::{Draft, SealedLines};
    use crate::model::Checksum;
    use std::io;
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::Path;

    fn read(path: &Path) -> io::Result<(Vec<String>, bool)> {
        let mut lines = SealedLines::open(path)?;
        let mut found: Vec<String> = Vec::new();
        while let Some(line) = lines.next_line()? {
            found.push(String::from_utf8(line.to_vec()).unwrap());
            if found.last().is_some_and(|line| line.starts_with("end")) {
                break;
            }
        }
        let (digest, is_last) = lines.finish()?;
        let is_whole = is_last && found.last() == Some(&format!("end {}", digest.hex()));
        Ok((found, is_whole))
    }

    fn end(digest: &Checksum) -> Vec<u8> {
        format!("end {}", digest.hex()).into_bytes()
    }

    #[test]
    fn a_whole_file_is_told_from_a_changed_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("made/plan.jsonl");
        let mut draft = Draft::beside(&path).unwrap();
        draft.line(b"mistaken").unwrap();
        draft.restart().unwrap();
        draft.line(b"one").unwrap();
        draft.line(b"two").unwrap();
        assert!(!path.exists(), "nobody sees half of it");
        draft.persist(&path, end).unwrap();
        let (lines, is_whole) = read(&path).unwrap();
        assert_eq!((&lines[..2], lines.len(), is_whole), (&["one".to_owned(), "two".to_owned()][..], 3, true));
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o600, 0o600);
        assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "no temporary file stays");
        let text = std::fs::read_to_string(&path).unwrap();
        for (changed, what) in [
            (text.replace("two", "tvo"), "an edited line"),
            (text.replace("two\n", ""), "a line less"),
            (format!("{text}more\n"), "a line more"),
            (text.trim_end().to_owned(), "no last line end"),
            (text.lines().next().unwrap().to_owned(), "cut off"),
        ] {
            std::fs::write(&path, changed).unwrap();
            assert!(!read(&path).is_ok_and(|(_, is_whole)| is_whole), "{what}");
        }
    }

    #[test]
    fn a_temporary_file_goes() {
        let folder = tempfile::tempdir().unwrap();
        let mut draft = Draft::temporary(folder.path()).unwrap();
        draft.line(b"one").unwrap();
        let kept = draft.keep(end).unwrap();
        assert!(read(&kept).unwrap().1);
        drop(kept);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
