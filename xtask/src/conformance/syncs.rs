//! `sync` in every direction against each server, what other clients see of the result, and what `sync` says of theirs.
#![expect(clippy::disallowed_methods, reason = "syncs are of files")]

use super::clients::{configured, noise, python, same_files, write_files};
use super::endpoint::{Endpoint, Peer};
use super::lab::Lab;
use Quirk::{ListsByFolder, Loses, NoWholeChecksum};
use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::Path;
use std::process::Command;

/// Names that mean something to a shell, a URL, an XML parser, a file system or a client, beside those of the clients' cases.
const ODD_NAMES: [&str; 16] = [
    " leading and trailing ",
    "tab\there",
    "new\nline",
    "back\\slash",
    "star*and?",
    "[brackets]{braces}",
    "'quotes\"",
    "a&b<c>d=e;f,g",
    "#hash",
    "~tilde",
    ".hidden/..two dots",
    "Case/x",
    "case/x",
    "composed-\u{e9}",
    "decomposed-e\u{301}",
    "😀",
];

/// In three parts with the sizes that clients use, and more than one for every server.
const LARGE: (&str, usize) = ("models/large.bin", (20 << 20) + 1);

/// Names of the source that sort otherwise by folder (`a/`) than by bytes. The AWS CLI merges such lists as they come, and
/// would delete and send these; nothing else.
const BESIDE_A_FOLDER: [&str; 2] = ["a-1.bin", "a.txt"];

/// What a server does otherwise than S3.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Quirk {
    /// Refuses the right CRC64NVME of a whole object that came in parts.
    NoWholeChecksum,
    /// Lists folder by folder, which is not the order of key bytes.
    ListsByFolder,
    /// Lists no object under this name, although it was put.
    Loses(&'static str),
}

/// Each quirk that a case must know, and what it does about it. A row whose server no longer does so fails.
const QUIRKS: &[(Peer, Quirk, &str)] = &[
    (
        Peer::Ministack,
        NoWholeChecksum,
        "makes a composite value of it and answers BadDigest: uploads say `--checksum md5`",
    ),
    (
        Peer::Seaweedfs,
        ListsByFolder,
        "its keys are paths of a file store: `sync` sorts, and other clients' lists are sorted here",
    ),
    (
        Peer::Seaweedfs,
        Loses("back\\slash"),
        "makes a slash of it in PUT, GET and lists alike, so the file is missing for every sync: it is left out",
    ),
];

/// A server under test, and how to run things against it.
struct Bench<'lab> {
    lab: &'lab Lab,
    peer: Peer,
    endpoint: Endpoint,
}

/// All of it against one server.
pub(crate) fn everywhere(lab: &Lab, peer: Peer) -> Result<()> {
    let bench = Bench { lab, peer, endpoint: peer.start(lab)? };
    bench.aws(&["s3", "mb", "s3://sync"])?;
    let files = bench.write_source()?;
    bench.quirks_still_hold()?;
    bench.up(files)?;
    let files = files - 1;
    bench.down(files)?;
    bench.across(files)?;
    for folder in ["all", "copy"] {
        bench.others_agree(folder).with_context(|| format!("the view of others of `{folder}`"))?;
    }
    // SeaweedFS leaves boto3's PUT of a key with `%` without an answer for a minute and more, and other clients' uploads
    // of these names take as long: what they would leave there proves nothing in the time that a case has.
    if peer == Peer::Seaweedfs { Ok(()) } else { bench.made_by_others(files) }
}

impl Bench<'_> {
    /// The source, without the names that the server takes from nobody; returns the number of files.
    fn write_source(&self) -> Result<u64> {
        let up = self.lab.path("up");
        write_files(&up)?;
        for (seed, name) in (100..).zip(ODD_NAMES) {
            if !self.has(Loses(name)) {
                write(&up.join("odd").join(name), &noise(1000, seed))?;
            }
        }
        write(&up.join(LARGE.0), &noise(LARGE.1, 20))?;
        write(&up.join("spare/gone.txt"), b"deleted later")?;
        Ok(sizes(&up)?.len() as u64)
    }

    /// Up, again, after an edit that no time and no size tells, and with a delete.
    fn up(&self, files: u64) -> Result<()> {
        let up = |more: &[&str]| self.sync("up", "s3://sync/all/", more);
        expect(&up(&[])?, [files, 0, 0], "the first sync")?;
        self.in_parts("all")?;
        expect(&up(&[])?, [0, files, 0], "the second sync, by cache")?;
        expect(&up(&["--no-cache"])?, [0, files, 0], "the second sync, by content")?;
        for name in ["a.txt", LARGE.0] {
            edit_unseen(&self.lab.path("up").join(name))?;
        }
        expect(&up(&[])?, [2, files - 2, 0], "after edits that keep size and time")?;
        fs::remove_dir_all(self.lab.path("up/spare"))?;
        expect(&up(&[])?, [0, files - 1, 0], "without `--delete`")?;
        expect(&up(&["--delete", "--dry-run"])?, [0, files - 1, 0], "a dry run with `--delete`")?;
        expect(&up(&["--delete"])?, [1, files - 1, 1], "with `--delete`")
    }

    /// Down into nothing, and again.
    fn down(&self, files: u64) -> Result<()> {
        let down = |more: &[&str]| self.sync("s3://sync/all/", "down", more);
        expect(&down(&[])?, [files, 0, 0], "the first sync down")?;
        same_files(&self.lab.path("up"), &self.lab.path("down"))?;
        expect(&down(&[])?, [0, files, 0], "the second sync down, by cache")?;
        expect(&down(&["--no-cache"])?, [0, files, 0], "the second sync down, by content")
    }

    /// From folder to folder of the bucket, and again.
    fn across(&self, files: u64) -> Result<()> {
        let across = || self.sync("s3://sync/all/", "s3://sync/copy/", &[]);
        expect(&across()?, [files, 0, 0], "the first copy")?;
        expect(&across()?, [0, files, 0], "the second copy")?;
        expect(&self.sync("up", "s3://sync/copy/", &["--no-cache"])?, [0, files, 0], "the files and their copies")
    }

    /// rclone and the AWS CLI see in a folder what `sync` says is there.
    fn others_agree(&self, folder: &str) -> Result<()> {
        let rclone =
            |words: &[&str]| self.lab.expect(configured(&self.endpoint, self.lab.client("rclone")).args(words));
        let remote = format!("peer:sync/{folder}");
        rclone(&["check", "--no-unicode-normalization", "up", &remote])?;
        rclone(&["check", "--no-unicode-normalization", "--download", "up", &remote])?;
        let place = format!("s3://sync/{folder}");
        for (source, target) in [("up", place.as_str()), (&place, "down")] {
            let todo = self.aws(&["s3", "sync", "--dryrun", "--size-only", "--delete", source, target])?;
            let misled = |line: &str| BESIDE_A_FOLDER.iter().any(|name| line.ends_with(name));
            let rest = todo.lines().filter(|line| !(line.is_empty() || self.has(ListsByFolder) && misled(line)));
            ensure!(rest.count() == 0, "the AWS CLI would do more from {source} to {target}:\n{todo}");
            ensure!(todo.contains(BESIDE_A_FOLDER[0]) == self.has(ListsByFolder), "its row is wrong:\n{todo}");
        }
        let listed = self.listed(&format!("{folder}/"))?;
        let keys: Vec<&String> = listed.iter().map(|(key, _)| key).collect();
        ensure!(keys.is_sorted() != self.has(ListsByFolder), "the order is not the one of its row in QUIRKS: {keys:?}");
        let listed: BTreeMap<String, u64> = listed.into_iter().collect();
        let wanted = sizes(&self.lab.path("up"))?;
        ensure!(listed == wanted, "the AWS CLI lists {listed:?}, wanted {wanted:?}");
        Ok(())
    }

    /// What other clients sent, in parts of four sizes, is what is here: nothing is sent, fetched or copied.
    fn made_by_others(&self, files: u64) -> Result<()> {
        let give = |name: &str| self.endpoint.give(self.lab.client(name));
        let expect_ok = |mut command: Command, words: &[&str]| self.lab.expect(command.args(words)).map(drop);
        expect_ok(give("aws"), &["s3", "sync", "--no-progress", "up", "s3://sync/aws"])?;
        expect_ok(give("s5cmd"), &["cp", "--part-size", "5", "up/", "s3://sync/s5cmd/"])?;
        let chunks = ["--s3-upload-cutoff", "7M", "--s3-chunk-size", "7M", "--no-unicode-normalization"];
        let rclone = configured(&self.endpoint, self.lab.client("rclone"));
        expect_ok(rclone, &[&["copy", "up", "peer:sync/rclone"][..], &chunks].concat())?;
        expect_ok(self.endpoint.give(python(self.lab, "upload.py")), &["up", "sync", "boto3/"])?;
        for client in ["aws", "s5cmd", "rclone", "boto3"] {
            let folder = format!("s3://sync/{client}/");
            self.in_parts(client)?;
            for (source, target) in [("up", folder.as_str()), (&folder, "down")] {
                let summary = self.sync(source, target, &["--no-cache"])?;
                expect(&summary, [0, files, 0], &format!("{source} to {target}"))?;
            }
        }
        Ok(())
    }

    /// The large object of a folder came in parts, as its ETag tells.
    fn in_parts(&self, folder: &str) -> Result<()> {
        let key = format!("--key={folder}/{}", LARGE.0);
        let etag = self.aws(&["s3api", "head-object", "--bucket=sync", &key, "--query=ETag"])?;
        ensure!(etag.contains('-'), "`{folder}/{}` was sent whole: {etag}", LARGE.0);
        Ok(())
    }

    /// Each row of the server is still so; else it must go.
    fn quirks_still_hold(&self) -> Result<()> {
        for (peer, quirk, why) in QUIRKS {
            let gone = *peer == self.peer && !self.still_holds(*quirk)?;
            ensure!(!gone, "{peer:?} does no longer so, take its row away: {quirk:?}, {why}");
        }
        Ok(())
    }

    fn still_holds(&self, quirk: Quirk) -> Result<bool> {
        let ours = |file: &Path| {
            let mut sync = self.endpoint.give(self.lab.bucketwright());
            self.lab.run(sync.arg("sync").arg(file).arg("s3://sync/quirk/"))
        };
        match quirk {
            // The order is looked at where the whole source is listed.
            ListsByFolder => Ok(true),
            NoWholeChecksum => {
                let ran = ours(&self.lab.path("up").join(LARGE.0))?;
                Ok(ran.stderr.contains("BadDigest") && ran.exit(1).is_ok())
            }
            Loses(name) => {
                let folder = self.lab.path("lost");
                write(&folder.join(name), b"lost")?;
                write(&folder.join("kept"), b"kept")?;
                ours(&folder)?;
                let listed = self.listed("quirk/")?;
                Ok(!listed.iter().any(|(key, _)| key == name))
            }
        }
    }

    fn has(&self, quirk: Quirk) -> bool {
        QUIRKS.iter().any(|row| (row.0, row.1) == (self.peer, quirk))
    }

    /// Our `sync`, which must end with 0; returns its summary.
    fn sync(&self, source: &str, target: &str, more: &[&str]) -> Result<Value> {
        let mut sync = self.endpoint.give(self.lab.bucketwright());
        sync.args(["sync", source, target, "--output=json"]).args(more);
        if self.has(NoWholeChecksum) {
            sync.arg("--checksum=md5");
        }
        let output = self.lab.expect(&mut sync)?;
        let summary = output.lines().last().context("no summary")?;
        serde_json::from_str(summary).with_context(|| format!("not JSON: `{summary}`"))
    }

    fn aws(&self, words: &[&str]) -> Result<String> {
        self.lab.expect(self.endpoint.give(self.lab.client("aws")).args(words))
    }

    /// The names below a folder and their sizes in bytes, as the AWS CLI lists them.
    fn listed(&self, folder: &str) -> Result<Vec<(String, u64)>> {
        let list = ["s3api", "list-objects-v2", "--bucket=sync", "--output=json", "--prefix", folder];
        let answer: Value = serde_json::from_str(&self.aws(&list)?)?;
        let objects = answer["Contents"].as_array().with_context(|| format!("nothing in `{folder}`"))?;
        let row =
            |object: &Value| Some((object["Key"].as_str()?.strip_prefix(folder)?.to_owned(), object["Size"].as_u64()?));
        objects.iter().map(|object| row(object).with_context(|| format!("{object} is no key and size"))).collect()
    }
}

/// What was done, was unchanged, and was deleted; nothing failed and nothing was skipped.
fn expect(summary: &Value, wanted: [u64; 3], what: &str) -> Result<()> {
    let found = ["done", "unchanged", "deleted", "skipped", "failed"].map(|field| summary[field].as_u64());
    let [done, unchanged, deleted] = wanted.map(Some);
    ensure!(found == [done, unchanged, deleted, Some(0), Some(0)], "{what}: wanted {wanted:?}, got {summary}");
    Ok(())
}

/// Changes one byte and puts the time of the last change back.
fn edit_unseen(path: &Path) -> Result<()> {
    let modified = fs::metadata(path)?.modified()?;
    let mut bytes = fs::read(path)?;
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(path, bytes)?;
    File::options().write(true).open(path)?.set_modified(modified)?;
    Ok(())
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    fs::create_dir_all(path.parent().context("no folder")?)?;
    Ok(fs::write(path, bytes)?)
}

/// Every file below a folder with its size in bytes.
fn sizes(folder: &Path) -> Result<BTreeMap<String, u64>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder)?.to_str().context("a name that is not UTF-8")?;
                files.insert(name.to_owned(), fs::metadata(&path)?.len());
            }
        }
    }
    Ok(files)
}
