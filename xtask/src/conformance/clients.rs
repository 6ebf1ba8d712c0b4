//! Command-line clients and scripts against an endpoint: what they put must come back byte for byte.
#![expect(clippy::disallowed_methods, reason = "clients copy files")]

use super::endpoint::Endpoint;
use super::lab::Lab;
use anyhow::{Context as _, Result, ensure};
use std::fs;
use std::path::Path;
use std::process::Command;

/// File names that have led clients astray, with sizes around the block sizes in use.
const FILES: [(&str, usize); 8] = [
    ("a-1.bin", 1),
    ("a/b.bin", 4096),
    ("a/c d+e.bin", 65_537),
    ("a.txt", 12),
    ("empty", 0),
    ("ünïcode/☃.bin", 300_000),
    ("percent%20.bin", 777),
    ("deep/1/2/3/4/5.bin", 1_048_577),
];

/// A script of `xtask/conformance`, which says by its exit code whether all of it held.
pub(crate) fn script(lab: &Lab, name: &str) -> Result<()> {
    let endpoint = lab.against.start(lab)?;
    lab.expect(endpoint.give(python(lab, name)).args(["check"])).map(drop)
}

/// One of our scripts in the clients' environment.
pub(crate) fn python(lab: &Lab, name: &str) -> Command {
    let mut python = lab.client("python");
    python.arg(lab.root.join("xtask/conformance").join(name));
    python
}

/// `mb`, `cp`, `sync`, `ls`, `rm` of the AWS CLI.
pub(crate) fn aws_round_trip(lab: &Lab) -> Result<()> {
    let endpoint = lab.against.start(lab)?;
    let s3 = |words: &[&str]| lab.expect(endpoint.give(lab.client("aws")).arg("s3").args(words));
    write_files(&lab.path("up"))?;
    s3(&["mb", "s3://round-trip"])?;
    s3(&["cp", "--no-progress", "up/a.txt", "s3://round-trip/one/a.txt"])?;
    s3(&["sync", "--no-progress", "up", "s3://round-trip/all"])?;
    let again = s3(&["sync", "--no-progress", "up", "s3://round-trip/all"])?;
    ensure!(again.is_empty(), "a second sync sends again:\n{again}");
    s3(&["sync", "--no-progress", "s3://round-trip/all", "down"])?;
    same_files(&lab.path("up"), &lab.path("down"))?;
    let listed = s3(&["ls", "--recursive", "s3://round-trip/all/"])?;
    let mut keys: Vec<&str> = listed.lines().filter_map(|line| line.split_once("all/").map(|(_, key)| key)).collect();
    ensure!(
        keys.len() == FILES.len() && keys.is_sorted(),
        "`ls --recursive` is not in byte order or not complete:\n{listed}"
    );
    s3(&["rm", "s3://round-trip/one/a.txt"])?;
    s3(&["rm", "--recursive", "--exclude", "a*", "s3://round-trip/all"])?;
    let listed = s3(&["ls", "--recursive", "s3://round-trip"])?;
    keys = listed.lines().filter_map(|line| line.split_once("all/").map(|(_, key)| key)).collect();
    ensure!(keys == ["a-1.bin", "a.txt", "a/b.bin", "a/c d+e.bin"], "`rm` left:\n{listed}");
    s3(&["rb", "--force", "s3://round-trip"])?;
    let buckets = s3(&["ls"])?;
    ensure!(buckets.is_empty(), "`rb` left:\n{buckets}");
    Ok(())
}

/// 64 MiB in parts, up and down.
pub(crate) fn aws_multipart(lab: &Lab) -> Result<()> {
    let endpoint = lab.against.start(lab)?;
    let aws = |words: &[&str]| lab.expect(endpoint.give(lab.client("aws")).args(words));
    fs::write(lab.path("large.bin"), noise(64 << 20, 64))?;
    aws(&["s3", "mb", "s3://multipart"])?;
    aws(&["s3", "cp", "--no-progress", "large.bin", "s3://multipart/large.bin"])?;
    let head = aws(&["s3api", "head-object", "--bucket", "multipart", "--key", "large.bin", "--query", "ETag"])?;
    ensure!(head.contains("-8\\\""), "not eight parts: {head}");
    aws(&["s3", "cp", "--no-progress", "s3://multipart/large.bin", "down.bin"])?;
    same_file(&lab.path("large.bin"), &lab.path("down.bin"))?;
    let uploads = aws(&["s3api", "list-multipart-uploads", "--bucket", "multipart", "--query", "Uploads"])?;
    ensure!(uploads.trim() == "null", "uploads are left open: {uploads}");
    Ok(())
}

/// `cp` and `sync` of s5cmd, up and down.
pub(crate) fn s5cmd_copy(lab: &Lab) -> Result<()> {
    let endpoint = lab.against.start(lab)?;
    let s5cmd = |words: &[&str]| lab.expect(endpoint.give(lab.client("s5cmd")).args(words));
    write_files(&lab.path("up"))?;
    fs::write(lab.path("up/large.bin"), noise(24 << 20, 5))?;
    s5cmd(&["mb", "s3://s5cmd"])?;
    s5cmd(&["cp", "--part-size", "5", "up/", "s3://s5cmd/all/"])?;
    s5cmd(&["cp", "s3://s5cmd/all/*", "down/"])?;
    same_files(&lab.path("up"), &lab.path("down"))?;
    let again = s5cmd(&["sync", "--size-only", "up/", "s3://s5cmd/all/"])?;
    ensure!(again.is_empty(), "a second sync sends again:\n{again}");
    s5cmd(&["rm", "s3://s5cmd/all/*"])?;
    s5cmd(&["rb", "s3://s5cmd"])?;
    Ok(())
}

/// `copy` and `check` of rclone; `check --download` reads every byte back.
pub(crate) fn rclone_copy_check(lab: &Lab) -> Result<()> {
    let endpoint = lab.against.start(lab)?;
    let rclone = |words: &[&str]| lab.expect(configured(&endpoint, lab.client("rclone")).args(words));
    write_files(&lab.path("up"))?;
    fs::write(lab.path("up/large.bin"), noise(24 << 20, 7))?;
    rclone(&["mkdir", "peer:rclone"])?;
    rclone(&["copy", "--s3-upload-cutoff", "8M", "--s3-chunk-size", "5M", "up", "peer:rclone/all"])?;
    rclone(&["check", "up", "peer:rclone/all"])?;
    rclone(&["check", "--download", "up", "peer:rclone/all"])?;
    rclone(&["copy", "peer:rclone/all", "down"])?;
    same_files(&lab.path("up"), &lab.path("down"))?;
    rclone(&["copyto", "peer:rclone/all/a.txt", "peer:rclone/copied/a.txt"])?;
    rclone(&["check", "--download", "--one-way", "--include", "/a.txt", "up", "peer:rclone/copied"])?;
    rclone(&["purge", "peer:rclone"])?;
    Ok(())
}

/// rclone reads a remote from the environment; without a file it would only complain.
pub(crate) fn configured(endpoint: &Endpoint, rclone: Command) -> Command {
    let mut rclone = endpoint.give(rclone);
    rclone.args(["--config", "", "--retries", "1", "--low-level-retries", "1"]);
    let remote = [("TYPE", "s3"), ("PROVIDER", "Other"), ("ENV_AUTH", "true"), ("REGION", "us-east-1")];
    rclone.envs(remote.map(|(name, value)| (format!("RCLONE_CONFIG_PEER_{name}"), value)));
    rclone.env("RCLONE_CONFIG_PEER_ENDPOINT", &endpoint.url);
    rclone
}

pub(crate) fn write_files(folder: &Path) -> Result<()> {
    for (seed, (name, size_bytes)) in (1..).zip(FILES) {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap_or(folder))?;
        fs::write(path, noise(size_bytes, seed))?;
    }
    Ok(())
}

/// Bytes that no compression and no accident reproduces (xorshift64).
pub(crate) fn noise(size_bytes: usize, seed: u64) -> Vec<u8> {
    let mut state = seed | 1 << 40;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    std::iter::repeat_with(next).flatten().take(size_bytes).collect()
}

/// Every file of `wanted` is in `found` with the same bytes, and nothing else is.
pub(crate) fn same_files(wanted: &Path, found: &Path) -> Result<()> {
    let mut folders = vec![wanted.to_path_buf()];
    let mut files = 0;
    while let Some(folder) = folders.pop() {
        let twin = found.join(folder.strip_prefix(wanted)?);
        let entries = fs::read_dir(&folder)?.collect::<Result<Vec<_>, _>>()?;
        let there = fs::read_dir(&twin).with_context(|| format!("`{}` did not arrive", twin.display()))?.count();
        ensure!(there == entries.len(), "`{}` holds {there} entries, wanted {}", twin.display(), entries.len());
        for entry in entries {
            if entry.file_type()?.is_dir() {
                folders.push(entry.path());
            } else {
                same_file(&entry.path(), &twin.join(entry.file_name()))?;
                files += 1;
            }
        }
    }
    ensure!(files >= FILES.len(), "only {files} files were compared");
    Ok(())
}

/// Two files hold the same bytes.
pub(crate) fn same_file(wanted: &Path, found: &Path) -> Result<()> {
    let [wanted_bytes, found_bytes] =
        [wanted, found].map(|path| fs::read(path).with_context(|| format!("cannot read `{}`", path.display())));
    ensure!(wanted_bytes? == found_bytes?, "`{}` and `{}` differ", wanted.display(), found.display());
    Ok(())
}
