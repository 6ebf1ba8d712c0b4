//! Walks a source in key order: the order of a listing, so that both merge without being held in memory.
//!
//! A directory sorts as its name plus `/`. A walk that sorts by name alone gives `a/b, a-1, a.txt` where a listing gives
//! `a-1, a.txt, a/b`, and a merge of the two sees deletions that nobody made.
#![expect(clippy::disallowed_methods, reason = "this is the file edge")]

use super::ignore_file::{read_ignore_file, said};
use super::source_file::fingerprint_of;
use crate::model::{Filter, IGNORE_FILE, LocalFile, Odd, OddKind, Rule, Scope, is_part_file_name};
use rustix::fs::{Access, AtFlags, CWD, accessat};
use rustix::io::Errno;
use std::cmp::Ordering;
use std::ffi::{OsStr, OsString};
use std::fs::{FileType, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// No key below a longer path could be made.
const MAX_RELATIVE_BYTES: usize = 1024;

/// The files below a source in the byte order of their keys, and whatever odd thing is met on the way.
///
/// Holds the names of one directory per level, nothing else. Opens no file but ignore files.
#[derive(Debug)]
pub struct Walk {
    filter: Filter,
    /// Whether what is left out is told too.
    explains: bool,
    real_root: PathBuf,
    levels: Vec<Level>,
    first: Option<Result<LocalFile, Odd>>,
    leftovers: Vec<String>,
}

#[derive(Debug)]
struct Level {
    /// The path below the root as it stands in keys: empty, or ending in `/`.
    relative: String,
    path: PathBuf,
    /// The same directory without any link on the way.
    real: PathBuf,
    identity: (u64, u64),
    scope: Scope,
    entries: std::vec::IntoIter<Entry>,
}

#[derive(Debug)]
struct Entry {
    name: OsString,
    kind: Kind,
    /// The rule of the filter that decided about it.
    rule: Option<Arc<Rule>>,
}

#[derive(Debug)]
enum Kind {
    File,
    Directory,
    /// A link to a directory inside the source, and where it leads.
    DirectoryLink(PathBuf),
    Odd(OddKind),
    /// Left out by the filter; only if that is to be told.
    Excluded {
        is_directory: bool,
    },
}

/// What the filter decided about one name below the root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// The name; ends in `/` for a directory, of which nothing is taken.
    pub name: String,
    /// Whether it is taken.
    pub selected: bool,
    /// The rule that decided; none if no rule matched.
    pub rule: Option<Arc<Rule>>,
}

/// What a source is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceKind {
    /// Nothing is at the path.
    Absent,
    /// A regular file, or a link to one.
    File,
    /// A directory, or something that is neither and that a walk reports.
    Tree,
}

/// Says what is at `path`. A link to nothing is not absent: somebody put it there.
pub fn source_kind(path: &Path) -> SourceKind {
    match std::fs::metadata(path) {
        Ok(metadata) if metadata.is_file() => SourceKind::File,
        Err(error) if is_absent(&error) && std::fs::symlink_metadata(path).is_err() => SourceKind::Absent,
        Ok(_) | Err(_) => SourceKind::Tree,
    }
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// Walks a directory, or yields the one file that `root` is. The root itself may be a link. A file that is the root was
/// named by hand, so the filter does not leave it out.
pub fn walk(root: &Path, filter: Filter) -> Walk {
    start(root, filter, false)
}

/// Tells of every name what the filter decides, in the order of a walk.
pub fn explain(root: &Path, filter: Filter) -> impl Iterator<Item = Result<Told, Odd>> + use<> {
    let mut walk = start(root, filter, true);
    std::iter::from_fn(move || walk.next_told())
}

fn start(root: &Path, filter: Filter, explains: bool) -> Walk {
    let (real_root, levels, leftovers) = (PathBuf::new(), Vec::new(), Vec::new());
    let mut walk = Walk { filter, explains, real_root, levels, first: None, leftovers };
    match std::fs::canonicalize(root).and_then(|real| Ok((std::fs::metadata(&real)?, real))) {
        Ok((metadata, real)) if metadata.is_dir() => {
            walk.real_root.clone_from(&real);
            let identity = (metadata.dev(), metadata.ino());
            let (relative, path, entries) = (String::new(), root.to_owned(), Vec::new().into_iter());
            walk.enter(Level { relative, path, real, identity, scope: Scope::default(), entries });
        }
        Ok((metadata, _)) => walk.first = Some(single(root, &metadata)),
        Err(error) => walk.first = Some(Err(Odd::at(root, link_or_unreadable(root, &error)))),
    }
    walk
}

fn single(path: &Path, metadata: &Metadata) -> Result<LocalFile, Odd> {
    let name = path.file_name().and_then(|name| name.to_str());
    let name = name.ok_or_else(|| Odd::at(path, OddKind::NotUtf8))?.to_owned();
    local_file(name, path.to_owned(), metadata)
}

fn local_file(relative: String, path: PathBuf, metadata: &Metadata) -> Result<LocalFile, Odd> {
    if !metadata.is_file() {
        return Err(Odd::at(&path, OddKind::NotRegular));
    }
    // A file that everybody may read needs no question; that keeps the walk at one system call a file.
    if metadata.mode() & 0o444 != 0o444
        && let Err(error) = accessat(CWD, &path, Access::READ_OK, AtFlags::EACCESS)
    {
        return Err(Odd::at(&path, unreadable(&error.into())));
    }
    Ok(LocalFile { relative, path, fingerprint: fingerprint_of(metadata) })
}

fn unreadable(error: &io::Error) -> OddKind {
    OddKind::Unreadable(said(error))
}

fn link_or_unreadable(path: &Path, error: &io::Error) -> OddKind {
    let is_link = std::fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_symlink());
    match error.kind() {
        io::ErrorKind::NotFound if is_link => OddKind::LinkBroken,
        // The kernel gives up after 40 links: they lead in a circle.
        _ if is_link && error.raw_os_error() == Some(Errno::LOOP.raw_os_error()) => OddKind::LinkCycle,
        _ => unreadable(error),
    }
}

impl Walk {
    /// The directories met so far, by their paths below the source, in which killed downloads left their temporary files;
    /// empty for the source itself. Each is told once. Such files are no files of the source.
    pub fn leftovers(&mut self) -> Vec<String> {
        std::mem::take(&mut self.leftovers)
    }

    /// Reads a directory and puts it on the stack. One that cannot be read is one odd entry of its own, and so is one
    /// whose ignore file cannot be used.
    fn enter(&mut self, mut level: Level) {
        let odd = |name: OsString, kind| Entry { name, kind: Kind::Odd(kind), rule: None };
        let (mut entries, mut found) = (Vec::new(), Vec::new());
        let mut leftovers = false;
        match std::fs::read_dir(&level.path) {
            Err(error) => entries.push(odd(OsString::new(), unreadable(&error))),
            Ok(names) => {
                for entry in names {
                    match entry.and_then(|entry| Ok((entry.file_type()?, entry.file_name()))) {
                        Ok((file_type, name)) if file_type.is_file() && is_part_file_name(name.as_bytes()) => {
                            leftovers = true;
                        }
                        Ok(entry) => found.push(entry),
                        Err(error) => entries.push(odd(OsString::new(), unreadable(&error))),
                    }
                }
            }
        }
        if leftovers {
            self.leftovers.push(level.relative.trim_end_matches('/').to_owned());
        }
        match self.ignore_file(&mut level, &found) {
            Ok(()) => entries.extend(found.into_iter().filter_map(|(kind, name)| self.entry(&level, name, kind))),
            Err(kind) => entries.push(odd(IGNORE_FILE.into(), kind)),
        }
        entries.sort_unstable_by(key_order);
        level.entries = entries.into_iter();
        self.levels.push(level);
    }

    /// Puts the directory's own ignore file into force, if it has one.
    fn ignore_file(&self, level: &mut Level, found: &[(FileType, OsString)]) -> Result<(), OddKind> {
        if !self.filter.wants_ignore_file(&level.scope) {
            return Ok(());
        }
        let Some((file_type, name)) = found.iter().find(|(_, name)| name == IGNORE_FILE) else { return Ok(()) };
        match plain_kind(level, name, *file_type, &self.real_root) {
            Kind::File => {
                let file = read_ignore_file(&level.path, &level.relative)?;
                level.scope = std::mem::take(&mut level.scope).with_ignore_file(&level.relative, file);
                Ok(())
            }
            Kind::Odd(kind) => Err(OddKind::IgnoreFile(format!("it {kind}"))),
            Kind::Directory | Kind::DirectoryLink(_) | Kind::Excluded { .. } => Ok(()),
        }
    }

    /// What is to be done about an entry; none if it is left out.
    fn entry(&self, level: &Level, name: OsString, file_type: FileType) -> Option<Entry> {
        let mut kind = plain_kind(level, &name, file_type, &self.real_root);
        let mut rule = None;
        if !self.filter.is_empty() {
            let is_directory = kind.is_directory();
            // Where a link leads nobody can tell here, so it is left out as whatever it may be.
            let may_be_directory = is_directory || (file_type.is_symlink() && matches!(kind, Kind::Odd(_)));
            let below = format!("{}{}", level.relative, name.to_string_lossy());
            let judged = self.filter.judge(&level.scope, &below, may_be_directory);
            let enters = is_directory && self.filter.inside(&level.scope, &below).is_ok();
            if !judged.is_selected() && !enters {
                if !self.explains {
                    return None;
                }
                kind = Kind::Excluded { is_directory };
            }
            rule = judged.rule().cloned();
        }
        if name.to_str().is_none() && !matches!(kind, Kind::Excluded { .. }) {
            kind = Kind::Odd(OddKind::NotUtf8);
        }
        Some(Entry { name, kind, rule })
    }

    /// Goes down into a directory, unless it is on the way already or too deep for any key.
    fn descend(&mut self, relative: String, path: PathBuf, real: PathBuf) -> Result<(), Odd> {
        if relative.len() > MAX_RELATIVE_BYTES {
            return Err(Odd::at(&path, OddKind::KeyTooLong));
        }
        let metadata = std::fs::metadata(&path).map_err(|error| Odd::at(&path, unreadable(&error)))?;
        let identity = (metadata.dev(), metadata.ino());
        if self.levels.iter().any(|level| level.identity == identity) {
            return Err(Odd::at(&path, OddKind::LinkCycle));
        }
        let scope = match self.levels.last() {
            Some(level) if !self.filter.is_empty() => {
                // A directory that nothing is taken of was no entry.
                self.filter.inside(&level.scope, relative.trim_end_matches('/')).unwrap_or_default()
            }
            _ => Scope::default(),
        };
        self.enter(Level { relative, path, real, identity, scope, entries: Vec::new().into_iter() });
        Ok(())
    }

    /// The next entry of the innermost directory: a file, something odd, or none after a step down.
    fn step(&mut self, entry: Entry) -> Option<Result<LocalFile, Odd>> {
        let level = self.levels.last()?;
        let path = if entry.name.is_empty() { level.path.clone() } else { level.path.join(&entry.name) };
        let relative = format!("{}{}", level.relative, entry.name.to_string_lossy());
        let real = match entry.kind {
            Kind::Odd(kind) => return Some(Err(Odd::at(&path, kind))),
            Kind::File => {
                let metadata = std::fs::metadata(&path).map_err(|error| Odd::at(&path, unreadable(&error)));
                return Some(metadata.and_then(|metadata| local_file(relative, path, &metadata)));
            }
            Kind::Excluded { .. } => return None,
            Kind::DirectoryLink(real) => real,
            Kind::Directory => level.real.join(&entry.name),
        };
        self.descend(format!("{relative}/"), path, real).err().map(Err)
    }

    /// The next name that the filter decided about.
    fn next_told(&mut self) -> Option<Result<Told, Odd>> {
        let told = |file: LocalFile, rule| Told { name: file.relative, selected: true, rule };
        if let Some(first) = self.first.take() {
            return Some(first.map(|file| told(file, None)));
        }
        loop {
            let level = self.levels.last_mut()?;
            let Some(mut entry) = level.entries.next() else {
                self.levels.pop();
                continue;
            };
            let rule = entry.rule.take();
            if let Kind::Excluded { is_directory } = entry.kind {
                let slash = if is_directory { "/" } else { "" };
                let name = format!("{}{}{slash}", level.relative, entry.name.to_string_lossy());
                return Some(Ok(Told { name, selected: false, rule }));
            }
            if let Some(item) = self.step(entry) {
                return Some(item.map(|file| told(file, rule)));
            }
        }
    }
}

impl Iterator for Walk {
    type Item = Result<LocalFile, Odd>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(first) = self.first.take() {
            return Some(first);
        }
        loop {
            match self.levels.last_mut()?.entries.next() {
                None => drop(self.levels.pop()),
                Some(entry) => {
                    if let Some(item) = self.step(entry) {
                        return Some(item);
                    }
                }
            }
        }
    }
}

impl Kind {
    const fn is_directory(&self) -> bool {
        matches!(self, Self::Directory | Self::DirectoryLink(_) | Self::Excluded { is_directory: true })
    }
}

/// What an entry is, whatever the filter says of it.
fn plain_kind(level: &Level, name: &OsStr, file_type: FileType, real_root: &Path) -> Kind {
    if file_type.is_symlink() {
        link_kind(&level.path.join(name), &level.real, real_root)
    } else if file_type.is_dir() {
        Kind::Directory
    } else if file_type.is_file() {
        Kind::File
    } else {
        Kind::Odd(OddKind::NotRegular)
    }
}

/// The byte order of the keys that come from two entries of one directory.
fn key_order(left: &Entry, right: &Entry) -> Ordering {
    let (left_name, right_name) = (left.name.as_bytes(), right.name.as_bytes());
    let common = left_name.len().min(right_name.len());
    let next = |name: &[u8], entry: &Entry| name.get(common).copied().or(entry.kind.is_directory().then_some(b'/'));
    let start = left_name[..common].cmp(&right_name[..common]);
    start.then_with(|| next(left_name, left).cmp(&next(right_name, right)))
}

/// Where a link leads: to a file or a directory inside the source, or nowhere that is followed.
fn link_kind(path: &Path, real_parent: &Path, real_root: &Path) -> Kind {
    let target = match std::fs::canonicalize(path) {
        Ok(target) => target,
        Err(error) => return Kind::Odd(link_or_unreadable(path, &error)),
    };
    if !target.starts_with(real_root) {
        return Kind::Odd(OddKind::LinkLeaves);
    }
    if real_parent.starts_with(&target) {
        return Kind::Odd(OddKind::LinkCycle);
    }
    match std::fs::metadata(&target) {
        Ok(metadata) if metadata.is_dir() => Kind::DirectoryLink(target),
        Ok(metadata) if metadata.is_file() => Kind::File,
        Ok(_) => Kind::Odd(OddKind::NotRegular),
        Err(error) => Kind::Odd(unreadable(&error)),
    }
}

#[cfg(test)]
mod tests {
    use super::{SourceKind, explain, source_kind, walk};
    use crate::local::ignore_file_below;
    use crate::model::{Filter, OddKind, Rule, Trail, part_file_name};
    use proptest::collection::btree_set;
    use proptest::prelude::{ProptestConfig, prop_assert_eq, proptest};
    use std::ffi::OsStr;
    use std::fs;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::symlink;
    use std::path::Path;

    fn tree(files: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            let path = folder.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, file).unwrap();
        }
        folder
    }

    /// The files' relative names, and the odd entries as `name: kind`.
    fn seen(root: &Path, excludes: &[&str]) -> (Vec<String>, Vec<String>) {
        let (mut files, mut odd) = (Vec::new(), Vec::new());
        let start = format!("{}/", root.display());
        for entry in walk(root, Filter::excluding(excludes.iter().copied()).unwrap()) {
            match entry {
                Ok(file) => files.push(file.relative),
                Err(entry) => odd.push(format!("{}: {:?}", entry.path.replacen(&start, "", 1), entry.kind)),
            }
        }
        (files, odd)
    }

    #[test]
    fn directories_sort_as_their_name_and_a_slash() {
        let folder = tree(&["a/b", "a-1", "a.txt", "a0", "a/.c", "a b", "b/c/d", "b/c-d", "B", "é"]);
        let expected = ["B", "a b", "a-1", "a.txt", "a/.c", "a/b", "a0", "b/c-d", "b/c/d", "é"];
        assert_eq!(seen(folder.path(), &[]), (expected.map(str::to_owned).to_vec(), vec![]));
    }

    #[test]
    fn a_file_is_a_source_of_one() {
        let folder = tree(&["deep/data.csv"]);
        let file = folder.path().join("deep/data.csv");
        let found: Vec<_> = walk(&file, Filter::none()).map(Result::unwrap).collect();
        assert_eq!((found.len(), found[0].relative.as_str(), &found[0].path), (1, "data.csv", &file));
        assert_eq!(found[0].fingerprint.size_bytes, 13);
        assert_eq!(source_kind(&file), SourceKind::File);
    }

    #[test]
    fn excluded_entries_are_not_even_odd() {
        let folder = tree(&["a.tmp", "keep/a.tmp", "keep/b", "cache/x/y", "z/raw/1", "raw/1"]);
        symlink("nowhere", folder.path().join("broken")).unwrap();
        let (files, odd) = seen(folder.path(), &["*.tmp", "cache/", "/raw", "broken"]);
        assert_eq!((files, odd), (vec!["keep/b".to_owned(), "z/raw/1".to_owned()], vec![]));
    }

    /// The selected names, those that are left out and their rules' places, and the odd ones.
    fn told(root: &Path, rules: Vec<Rule>) -> [Vec<String>; 3] {
        let mut found = [Vec::new(), Vec::new(), Vec::new()];
        for one in explain(root, Filter::new(rules, true)) {
            match one {
                Ok(one) if one.selected => found[0].push(one.name),
                Ok(one) => found[1].push(format!("{} {}", one.name, one.rule.unwrap())),
                Err(odd) => found[2].push(format!("{:?}", odd.kind)),
            }
        }
        found
    }

    #[test]
    fn ignore_files_count_where_they_stand() {
        let folder = tree(&["a/x.tmp", "a/y", "a/b/x.tmp", "cache/z", "a/b/cache/z", "x.tmp", ".bucketwrightignore"]);
        let root = folder.path();
        fs::write(root.join(".bucketwrightignore"), "cache/\n*.tmp\n").unwrap();
        fs::write(root.join("a/b/.bucketwrightignore"), "!*.tmp\n").unwrap();
        symlink("nowhere", root.join("a/z.tmp")).unwrap();
        symlink("/", root.join("a/cache")).unwrap();
        let [selected, excluded, odd] = told(root, Vec::new());
        assert_eq!(selected, ["a/b/x.tmp", "a/y"]);
        let expected = [
            ".bucketwrightignore ignore files stay",
            "a/b/.bucketwrightignore ignore files stay",
            "a/b/cache/ .bucketwrightignore:1",
            "a/cache .bucketwrightignore:1",
            "a/x.tmp .bucketwrightignore:2",
            "a/z.tmp .bucketwrightignore:2",
            "cache/ .bucketwrightignore:1",
            "x.tmp .bucketwrightignore:2",
        ];
        assert_eq!((excluded, odd), (expected.map(str::to_owned).to_vec(), vec![]));
        let flags = vec![Rule::flag("cache/z", true).unwrap()];
        assert_eq!(told(root, flags)[0], ["a/b/x.tmp", "a/y", "cache/z"]);
    }

    #[test]
    fn an_ignore_file_that_cannot_be_used_closes_its_directory() {
        let folder = tree(&["a/secret", "b/c"]);
        let file = folder.path().join("a/.bucketwrightignore");
        fs::write(&file, "fine\na[\n").unwrap();
        let [selected, _, odd] = told(folder.path(), Vec::new());
        let why = r#"IgnoreFile("line 2: `a[` is not a pattern: a `[` in it is not closed")"#;
        assert_eq!((selected, odd), (vec!["b/c".to_owned()], vec![why.to_owned()]));
        fs::remove_file(&file).unwrap();
        symlink("/etc/hostname", &file).unwrap();
        let [selected, _, odd] = told(folder.path(), Vec::new());
        let why = r#"IgnoreFile("it is a link that leaves the source")"#;
        assert_eq!((selected, odd), (vec!["b/c".to_owned()], vec![why.to_owned()]));
    }

    #[test]
    fn links_inside_are_followed_and_others_reported() {
        let folder = tree(&["a/1", "a/2", "b/3"]);
        let root = folder.path();
        let outside = tree(&["secret"]);
        for (to, at) in [
            ("..", "a/loop"),
            ("nowhere", "a/broken"),
            ("self", "b/self"),
            ("../a/1", "b/file"),
            ("a", "alias"),
            ("1", "a/same"),
        ] {
            symlink(to, root.join(at)).unwrap();
        }
        symlink(outside.path().join("secret"), root.join("leaves")).unwrap();
        symlink(outside.path(), root.join("b/leaves")).unwrap();
        let (files, odd) = seen(root, &[]);
        assert_eq!(files, ["a/1", "a/2", "a/same", "alias/1", "alias/2", "alias/same", "b/3", "b/file"]);
        let expected = [
            "a/broken: LinkBroken",
            "a/loop: LinkCycle",
            "alias/broken: LinkBroken",
            "alias/loop: LinkCycle",
            "b/leaves: LinkLeaves",
            "b/self: LinkCycle",
            "leaves: LinkLeaves",
        ];
        assert_eq!(odd, expected);
    }

    #[test]
    fn two_links_that_lead_into_each_other_end() {
        let folder = tree(&["a/1", "b/c/2"]);
        symlink("../b/c", folder.path().join("a/down")).unwrap();
        symlink("../../a", folder.path().join("b/c/up")).unwrap();
        let (files, odd) = seen(folder.path(), &[]);
        assert_eq!(files, ["a/1", "a/down/2", "b/c/2", "b/c/up/1"]);
        assert_eq!(odd, ["a/down/up: LinkCycle", "b/c/up/down: LinkCycle"]);
    }

    #[test]
    fn odd_files_do_not_stop_the_walk() {
        let folder = tree(&["a", "z"]);
        let root = folder.path();
        let mode = rustix::fs::Mode::RUSR;
        rustix::fs::mknodat(rustix::fs::CWD, root.join("fifo"), rustix::fs::FileType::Fifo, mode, 0).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(root.join("socket")).unwrap();
        fs::write(root.join(OsStr::from_bytes(b"not\xffutf8")), b"x").unwrap();
        fs::create_dir(root.join(OsStr::from_bytes(b"dir\xfe"))).unwrap();
        fs::write(root.join(OsStr::from_bytes(b"dir\xfe/inside")), b"x").unwrap();
        let (files, odd) = seen(root, &[]);
        assert_eq!(files, ["a", "z"]);
        assert_eq!(odd, ["dir\\xfe: NotUtf8", "fifo: NotRegular", "not\\xffutf8: NotUtf8", "socket: NotRegular"]);
    }

    #[test]
    fn files_that_are_being_received_are_none_of_the_source() {
        let ours = part_file_name(7);
        let folder = tree(&[&ours, "a/1", "a/x", &format!("a/b/{ours}"), &format!("a/b/{ours}.txt")]);
        fs::create_dir_all(folder.path().join("c").join(&ours)).unwrap();
        fs::write(folder.path().join("c").join(&ours).join("1"), b"").unwrap();
        let mut walk = walk(folder.path(), Filter::none());
        let files: Vec<_> = walk.by_ref().map(|file| file.unwrap().relative).collect();
        assert_eq!(files, ["a/1", &format!("a/b/{ours}.txt"), "a/x", &format!("c/{ours}/1")]);
        assert_eq!(walk.leftovers(), ["", "a/b"]);
        assert_eq!(walk.leftovers(), [""; 0], "told once");
    }

    #[test]
    fn a_source_that_is_not_there_or_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let absent = folder.path().join("absent");
        assert_eq!(source_kind(&absent), SourceKind::Absent);
        assert_eq!(source_kind(folder.path()), SourceKind::Tree);
        let kinds = |path: &Path| walk(path, Filter::none()).map(|item| item.unwrap_err().kind).collect::<Vec<_>>();
        assert_eq!(kinds(&absent), [OddKind::Unreadable("no such file or directory".to_owned())]);
        symlink("nowhere", folder.path().join("broken")).unwrap();
        assert_eq!(kinds(&folder.path().join("broken")), [OddKind::LinkBroken]);
        assert_eq!(source_kind(&folder.path().join("broken")), SourceKind::Tree);
        assert_eq!(kinds(Path::new("/dev/null")), [OddKind::NotRegular]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn the_order_is_that_of_key_bytes(names in btree_set("[-./ 0aAé]{1,3}(/[-.0aé]{1,2}){0,2}", 1..24)) {
            let folder = tempfile::tempdir().unwrap();
            for name in &names {
                let path = folder.path().join(name.trim_start_matches('/'));
                // Names such as `a/..` or a file where a directory stands are no files that can be made.
                if name.split('/').any(|part| part == ".." || part == ".") {
                    continue;
                }
                let _ = fs::create_dir_all(path.parent().unwrap()).and_then(|()| fs::write(&path, b""));
            }
            let (files, odd) = seen(folder.path(), &[]);
            let mut sorted = files.clone();
            sorted.sort_unstable_by(|left, right| left.as_bytes().cmp(right.as_bytes()));
            prop_assert_eq!(files, sorted);
            prop_assert_eq!(odd, Vec::<String>::new());
        }

        /// What a walk takes is what its filter takes by name alone.
        #[test]
        fn a_filter_on_the_walk_is_the_filter_on_names(
            names in btree_set("[ab](/[abc]){0,3}", 1..12),
            rules in proptest::collection::vec("[-+](a|b|\\*|a/|/a/b|\\*\\*/c|b/\\*\\*)", 0..4),
            ignore in proptest::collection::vec("(!?)(a|b|\\*|c/|/a|a/c)", 0..4),
        ) {
            let folder = tempfile::tempdir().unwrap();
            for name in &names {
                let path = folder.path().join(name);
                let _ = fs::create_dir_all(path.parent().unwrap()).and_then(|()| fs::write(&path, b""));
            }
            fs::write(folder.path().join(".bucketwrightignore"), ignore.join("\n")).unwrap();
            let _ = fs::write(folder.path().join("a/.bucketwrightignore"), "c\n!b");
            let rules = rules.iter().map(|rule| Rule::flag(&rule[1..], rule.starts_with('+')).unwrap());
            let filter = Filter::new(rules.collect(), true);
            let walked: Vec<String> = walk(folder.path(), filter.clone()).map(|file| file.unwrap().relative).collect();
            let mut trail = Trail::new(filter, |directory: &str| ignore_file_below(folder.path(), directory));
            let all = walk(folder.path(), Filter::none()).map(|file| file.unwrap().relative);
            let named: Vec<String> = all.filter(|name| trail.judge(name).1.is_selected()).collect();
            prop_assert_eq!(walked, named);
        }
    }
}
