//! The journal of unfinished uploads: one small file each, so that a run that was killed is taken up where it ended.
//!
//! A file is written before the service is asked to begin an upload, gets the upload's id as a second line before the
//! first part is sent, and goes when the object is in place or the upload given up. Whoever works on an upload holds a
//! lock on its file; the system lets go of it when the process ends, however it ends. Nothing here waits for the disk:
//! `kill -9` loses no write, and after a power cut the service is asked what it holds anyway.
#![expect(clippy::disallowed_methods, reason = "this is the file edge")]

use crate::hashing::digest;
use crate::model::{Algorithm, BucketName, Intent, ObjectKey, Unfinished};
use jiff::Timestamp;
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// The version of the format. Files of another one are set aside.
const FORMAT: u32 = 1;

/// No entry is larger; what is, is no entry.
const MAX_ENTRY_BYTES: u64 = 64 * 1024;

/// How many processes of one machine may send to the same key at once.
const MAX_SLOTS: u32 = 64;

const EXTENSION: &str = "upload";
const DAMAGED_EXTENSION: &str = "damaged";

/// The unfinished uploads to one endpoint, as far as they are this user's on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Journal {
    folder: PathBuf,
    endpoint: String,
}

/// An entry that nobody else may touch until this value is dropped.
#[derive(Debug)]
pub struct Claim {
    file: File,
    path: PathBuf,
    length: u64,
    former: Option<Unfinished>,
    set_aside: Option<PathBuf>,
    shared_key: bool,
}

/// One entry of the journal, as somebody finds it who looks at all of them.
#[derive(Debug)]
pub enum Found {
    /// No run works on it.
    Idle(Box<(Claim, Unfinished)>),
    /// A process works on it right now.
    Busy(Unfinished),
    /// It could not be understood and was set aside under this name.
    Damaged(PathBuf),
}

/// The journal cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot use the journal of unfinished uploads at `{path}`")]
pub struct JournalError {
    /// The file or folder.
    pub path: String,
    /// What the system said.
    pub source: io::Error,
}

/// The first line of an entry.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Opening {
    format: u32,
    begun: Timestamp,
    endpoint: String,
    intent: Intent,
}

/// The second line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Opened {
    upload_id: String,
}

/// What a file holds.
enum Content {
    Nothing,
    Entry(Box<Unfinished>),
    Damaged,
}

/// The path from the root on, without a look at the disk: what it is from any folder.
pub fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> JournalError {
    let path = path.display().to_string();
    move |source| JournalError { path, source }
}

/// A name for a file that any text may be the reason of.
fn name_of(text: &str) -> String {
    let mut name = digest(Algorithm::Sha256, text.as_bytes()).hex();
    name.truncate(32);
    name
}

impl Journal {
    /// The journal in `folder`, which need not be there yet, of uploads to `endpoint`: two endpoints have the same text
    /// only if they hold the same buckets.
    pub fn new(folder: impl Into<PathBuf>, endpoint: impl Into<String>) -> Self {
        Self { folder: folder.into(), endpoint: endpoint.into() }
    }

    fn bucket_folder(&self, bucket: &BucketName) -> PathBuf {
        self.folder.join(name_of(&format!("{}\n{bucket}", self.endpoint)))
    }

    /// Takes the entry of a key, with what an earlier run left in it. While another process sends to the same key, this
    /// one gets an entry of its own.
    pub fn claim(&self, bucket: &BucketName, key: &ObjectKey) -> Result<Claim, JournalError> {
        let folder = self.bucket_folder(bucket);
        let build = DirBuilder::new().recursive(true).mode(0o700).create(&folder);
        build.map_err(failed(&folder))?;
        let name = name_of(key.as_str());
        let path_of = |slot: u32| folder.join(format!("{name}-{slot}.{EXTENSION}"));
        for slot in 0..MAX_SLOTS {
            let path = path_of(slot);
            let taken = take(&path, true).and_then(|file| file.map(|file| self.read(file, &path)).transpose());
            let Some(mut claim) = taken.map_err(failed(&path))? else { continue };
            claim.shared_key = slot > 0 || path_of(1).exists();
            return Ok(claim);
        }
        Err(failed(&folder)(io::Error::other("too many processes send to the same key")))
    }

    /// All entries of a bucket; a bucket without any has no folder.
    pub fn entries(&self, bucket: &BucketName) -> Result<Vec<Found>, JournalError> {
        let mut found = Vec::new();
        for path in self.paths(bucket)? {
            let Some(file) = take(&path, false).map_err(failed(&path))? else {
                // Whoever holds it may end while it is read; then there is nothing to say of it.
                if let Some(Content::Entry(remembered)) = self.look(&path) {
                    found.push(Found::Busy(*remembered));
                }
                continue;
            };
            let mut claim = self.read(file, &path).map_err(failed(&path))?;
            match (claim.former.take(), claim.set_aside.take()) {
                (Some(remembered), _) => found.push(Found::Idle(Box::new((claim, remembered)))),
                (None, set_aside) => {
                    found.extend(set_aside.map(Found::Damaged));
                    claim.finish()?;
                }
            }
        }
        Ok(found)
    }

    /// What is remembered of a bucket's uploads, without a lock on any.
    pub fn remembered(&self, bucket: &BucketName) -> Result<Vec<Unfinished>, JournalError> {
        let entry = |path: &PathBuf| match self.look(path) {
            Some(Content::Entry(remembered)) => Some(*remembered),
            _ => None,
        };
        Ok(self.paths(bucket)?.iter().filter_map(entry).collect())
    }

    /// The entries' paths in the order of their names, so that the first slot of a key comes first.
    fn paths(&self, bucket: &BucketName) -> Result<Vec<PathBuf>, JournalError> {
        let folder = self.bucket_folder(bucket);
        let listing = match std::fs::read_dir(&folder) {
            Ok(listing) => listing,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed(&folder)(error)),
        };
        let paths: io::Result<Vec<PathBuf>> = listing.map(|entry| Ok(entry?.path())).collect();
        let mut paths = paths.map_err(failed(&folder))?;
        paths.retain(|path| path.extension().is_some_and(|extension| extension == EXTENSION));
        paths.sort();
        Ok(paths)
    }

    fn look(&self, path: &Path) -> Option<Content> {
        let mut text = Vec::new();
        File::open(path).ok()?.take(MAX_ENTRY_BYTES + 1).read_to_end(&mut text).ok()?;
        Some(parse(&text, &self.endpoint))
    }

    /// Reads an entry that was taken. One that cannot be understood is set aside, and the claim is of a new one.
    fn read(&self, file: File, path: &Path) -> io::Result<Claim> {
        let mut text = Vec::new();
        (&file).take(MAX_ENTRY_BYTES + 1).read_to_end(&mut text)?;
        let claim = |file, former, set_aside| Claim {
            file,
            path: path.to_owned(),
            length: text.len() as u64,
            former,
            set_aside,
            shared_key: false,
        };
        match parse(&text, &self.endpoint) {
            Content::Nothing => Ok(claim(file, None, None)),
            Content::Entry(remembered) => Ok(claim(file, Some(*remembered), None)),
            Content::Damaged => {
                let aside = path.with_extension(DAMAGED_EXTENSION);
                std::fs::rename(path, &aside)?;
                // Another process can be quicker and have the new file; then nobody claims anything here.
                let fresh = take(path, true)?.ok_or_else(|| io::Error::other("another process took the entry"))?;
                Ok(claim(fresh, None, Some(aside)))
            }
        }
    }
}

/// Opens the file and locks it; none if another process holds it, or if it is not there and not to be made.
fn take(path: &Path, make: bool) -> io::Result<Option<File>> {
    loop {
        let opened = OpenOptions::new().read(true).write(true).create(make).truncate(false).mode(0o600).open(path);
        let file = match opened {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound && !make => return Ok(None),
            Err(error) => return Err(error),
        };
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
        // Between opening and locking, its former owner may have removed it, and another made it anew.
        let held = file.metadata()?;
        match std::fs::metadata(path) {
            Ok(there) if (there.dev(), there.ino()) == (held.dev(), held.ino()) => return Ok(Some(file)),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
}

fn parse(text: &[u8], endpoint: &str) -> Content {
    if text.is_empty() {
        return Content::Nothing;
    }
    let mut lines = text.split_inclusive(|byte| *byte == b'\n').filter(|line| line.ends_with(b"\n"));
    let opening = lines.next().and_then(|line| serde_json::from_slice::<Opening>(line).ok());
    let Some(Opening { format: FORMAT, begun, endpoint: of, intent }) = opening else { return Content::Damaged };
    // A line without its end was being written when the run ended: the id was never used.
    let upload_id = match lines.next().map(serde_json::from_slice::<Opened>) {
        None => None,
        Some(Ok(opened)) => Some(opened.upload_id),
        Some(Err(_)) => return Content::Damaged,
    };
    if of != endpoint || lines.next().is_some() {
        return Content::Damaged;
    }
    Content::Entry(Box::new(Unfinished { begun, intent, upload_id }))
}

impl Claim {
    /// What an earlier run left unfinished.
    pub const fn former(&self) -> Option<&Unfinished> {
        self.former.as_ref()
    }

    /// Where the file went that stood here and could not be understood.
    pub const fn set_aside(&self) -> Option<&PathBuf> {
        self.set_aside.as_ref()
    }

    /// True if another entry of the same key was there when this one was taken.
    pub const fn shares_key(&self) -> bool {
        self.shared_key
    }

    /// Writes down what is about to be begun, in place of what stood here.
    pub fn begin(&mut self, journal: &Journal, intent: &Intent) -> Result<(), JournalError> {
        // Not of a new file: some file systems write a file that was emptied to the disk when it is closed, which takes
        // milliseconds.
        if self.length > 0 {
            self.file.set_len(0).map_err(failed(&self.path))?;
            self.length = 0;
        }
        let (endpoint, intent) = (journal.endpoint.clone(), intent.clone());
        self.append(&Opening { format: FORMAT, begun: Timestamp::now(), endpoint, intent })
    }

    /// Adds the id that the service gave the upload.
    pub fn opened(&mut self, upload_id: &str) -> Result<(), JournalError> {
        self.append(&Opened { upload_id: upload_id.to_owned() })
    }

    fn append(&mut self, record: &impl Serialize) -> Result<(), JournalError> {
        let line = serde_json::to_vec(record).map_err(|error| failed(&self.path)(error.into()))?;
        let line = [line, b"\n".to_vec()].concat();
        self.file.write_all_at(&line, self.length).map_err(failed(&self.path))?;
        self.length += line.len() as u64;
        Ok(())
    }

    /// Takes the entry out of the journal: there is nothing unfinished any more.
    pub fn finish(self) -> Result<(), JournalError> {
        std::fs::remove_file(&self.path).map_err(failed(&self.path))
    }
}

#[cfg(test)]
mod tests {
    use super::{Claim, Found, Journal};
    use crate::model::{Algorithm, BucketName, Fingerprint, Intent, ObjectKey, Unfinished};
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::PathBuf;
    use tempfile::TempDir;

    fn bucket() -> BucketName {
        "bucket".parse().unwrap()
    }

    fn key(text: &str) -> ObjectKey {
        text.parse().unwrap()
    }

    fn intent(name: &str) -> Intent {
        Intent {
            bucket: bucket(),
            key: key(name),
            path: PathBuf::from("/data").join(name),
            fingerprint: Fingerprint { size_bytes: 1, mtime_ns: i128::MAX, ctime_ns: -1, device: 2, inode: u64::MAX },
            part_bytes: 8,
            algorithm: Algorithm::Crc64Nvme,
            attributes: "content-type: text/csv\n".to_owned(),
        }
    }

    fn journal() -> (TempDir, Journal) {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::new(folder.path().join("state/uploads"), "aws");
        (folder, journal)
    }

    /// What a run that is killed leaves: an entry that nobody holds.
    fn leave(journal: &Journal, name: &str, upload_id: Option<&str>) -> PathBuf {
        let mut claim = journal.claim(&bucket(), &key(name)).unwrap();
        claim.begin(journal, &intent(name)).unwrap();
        if let Some(id) = upload_id {
            claim.opened(id).unwrap();
        }
        claim.path
    }

    fn former(claim: &Claim) -> Option<(Intent, Option<String>)> {
        claim.former().map(|former| (former.intent.clone(), former.upload_id.clone()))
    }

    #[test]
    fn what_was_begun_is_found_by_the_next_run() {
        let (_folder, journal) = journal();
        let path = leave(&journal, "a/b", Some("id-1"));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(path.parent().unwrap()).unwrap().permissions().mode() & 0o777, 0o700);
        let mut claim = journal.claim(&bucket(), &key("a/b")).unwrap();
        assert_eq!(former(&claim), Some((intent("a/b"), Some("id-1".to_owned()))));
        claim.begin(&journal, &intent("a/b")).unwrap();
        drop(claim);
        let claim = journal.claim(&bucket(), &key("a/b")).unwrap();
        assert_eq!(former(&claim), Some((intent("a/b"), None)), "written anew, and killed before the answer");
        claim.finish().unwrap();
        assert!(journal.claim(&bucket(), &key("a/b")).unwrap().former().is_none());
        assert!(journal.claim(&bucket(), &key("a/c")).unwrap().former().is_none());
    }

    #[test]
    fn two_at_once_have_an_entry_each() {
        let (_folder, journal) = journal();
        leave(&journal, "k", Some("id-1"));
        let first = journal.claim(&bucket(), &key("k")).unwrap();
        let mut second = journal.claim(&bucket(), &key("k")).unwrap();
        assert!(first.former().is_some() && second.former().is_none());
        assert!(second.shares_key());
        second.begin(&journal, &intent("k")).unwrap();
        second.opened("id-2").unwrap();
        let busy = |found: &[Found]| found.iter().filter(|one| matches!(one, Found::Busy(_))).count();
        assert_eq!(busy(&journal.entries(&bucket()).unwrap()), 2);
        drop(first);
        let found = journal.entries(&bucket()).unwrap();
        assert_eq!((found.len(), busy(&found)), (2, 1));
        let ids: Vec<_> = journal.remembered(&bucket()).unwrap().into_iter().filter_map(|one| one.upload_id).collect();
        assert_eq!(ids, ["id-1", "id-2"]);
    }

    #[test]
    fn buckets_and_endpoints_are_apart() {
        let (folder, journal) = journal();
        leave(&journal, "k", Some("id"));
        let other = Journal::new(folder.path().join("state/uploads"), "http://127.0.0.1:9000");
        assert!(other.claim(&bucket(), &key("k")).unwrap().former().is_none());
        assert!(journal.claim(&"bucket-two".parse().unwrap(), &key("k")).unwrap().former().is_none());
        assert_eq!(other.remembered(&"nothing-there".parse().unwrap()).unwrap(), []);
    }

    #[test]
    fn what_cannot_be_understood_is_set_aside() {
        let (_folder, journal) = journal();
        let path = leave(&journal, "k", Some("id"));
        let whole = fs::read(&path).unwrap();
        let end_of_first = whole.iter().position(|byte| *byte == b'\n').unwrap() + 1;
        let found = |text: &[u8]| {
            fs::write(&path, text).unwrap();
            let mut found = journal.entries(&bucket()).unwrap();
            assert!(found.len() <= 1);
            found.pop()
        };
        for cut in [1, 10, end_of_first - 1] {
            let Some(Found::Damaged(aside)) = found(&whole[..cut]) else { panic!("cut at {cut}") };
            assert_eq!(fs::read(&aside).unwrap(), whole[..cut]);
            assert!(!path.exists());
        }
        for cut in [end_of_first, end_of_first + 5, whole.len() - 1] {
            let Some(Found::Idle(idle)) = found(&whole[..cut]) else { panic!("cut at {cut}") };
            assert_eq!(idle.1.upload_id, None, "an id that was not written whole was never used");
        }
        let nonsense: [&[u8]; 4] = [b"\0\0\0\0\n", b"{}\n", b"\xff\n", &[b'x'; 100_000]];
        for text in nonsense {
            assert!(matches!(found(text), Some(Found::Damaged(_))));
        }
        let text = String::from_utf8(whole.clone()).unwrap();
        for other in [text.replace("\"format\":1", "\"format\":2"), text.replace("\"aws\"", "\"elsewhere\"")] {
            assert!(matches!(found(other.as_bytes()), Some(Found::Damaged(_))), "{other}");
        }
        assert!(found(b"").is_none() && !path.exists(), "nothing was begun, so nothing is left");
        fs::write(&path, "nonsense\n").unwrap();
        let mut claim = journal.claim(&bucket(), &key("k")).unwrap();
        assert!(claim.set_aside().is_some_and(|aside| aside.exists()) && claim.former().is_none());
        claim.begin(&journal, &intent("k")).unwrap();
        drop(claim);
        let Some(Found::Idle(idle)) = journal.entries(&bucket()).unwrap().pop() else { panic!("written anew") };
        let Unfinished { intent: remembered, .. } = &idle.1;
        assert_eq!(*remembered, intent("k"));
    }
}
