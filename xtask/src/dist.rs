//! `cargo xtask dist`: what a release consists of, made the same way each time: the binary, manual pages, completions and
//! documents in one archive, and the digests to check it by.
#![expect(clippy::disallowed_methods, reason = "a release is files")]

use anyhow::{Context as _, Result, ensure};
use bucketwright::hashing;
use bucketwright::model::Algorithm;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

const NAME: &str = "bucketwright";

/// The shells that completions are made for, and what each calls its file.
const COMPLETIONS: [(&str, &str); 5] = [
    ("bash", "bucketwright.bash"),
    ("zsh", "_bucketwright"),
    ("fish", "bucketwright.fish"),
    ("elvish", "bucketwright.elv"),
    ("powershell", "_bucketwright.ps1"),
];

/// What goes along as it is.
const DOCUMENTS: [&str; 7] =
    ["README.md", "CHANGELOG.md", "LICENSE", "LICENSE-APACHE", "LICENSE-MIT", "Containerfile", "docs"];

/// What to make.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Takes this binary instead of building one.
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
    /// Where it goes.
    #[arg(long, value_name = "DIR", default_value = "target/dist")]
    out: PathBuf,
}

/// Builds, gathers, packs, and tries what it packed.
pub(crate) fn run(root: &Path, options: &Options) -> Result<()> {
    let out = root.join(&options.out);
    let binary = match &options.binary {
        Some(binary) => binary.clone(),
        None => build(root)?,
    };
    let title = format!("{NAME}-{}-{}", env!("CARGO_PKG_VERSION"), host()?);
    let folder = out.join(&title);
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    gather(root, &binary, &folder)?;
    let archive = out.join(format!("{title}.tar.gz"));
    pack(&folder, &title, &archive, commit_time(root)?)?;
    try_out(&archive, &title)?;
    let sums = format!("{}  {title}.tar.gz\n", hashing::digest(Algorithm::Sha256, &fs::read(&archive)?).hex());
    fs::write(out.join("SHA256SUMS"), &sums)?;
    println!("{sums}{} bytes in `{}`", fs::metadata(&archive)?.len(), archive.display());
    Ok(())
}

/// The release build, with the paths of this machine taken out of it.
fn build(root: &Path) -> Result<PathBuf> {
    let target = root.join("target/dist-build");
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo")));
    let mut flags = vec![format!("--remap-path-prefix={}=/{NAME}", root.display())];
    flags.extend(home.map(|home| format!("--remap-path-prefix={}=/cargo", home.display())));
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--release", "--locked", "--bin", NAME, "--target-dir"]).arg(&target);
    // Flags are separated by this character, so that paths may hold spaces.
    cargo.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}")).current_dir(root);
    ensure!(cargo.status()?.success(), "the release build failed");
    Ok(target.join("release").join(NAME))
}

/// The platform that the compiler builds for, such as `x86_64-unknown-linux-gnu`.
fn host() -> Result<String> {
    let answer = text(Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into())).arg("-vV"))?;
    let host = answer.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("the compiler does not say what it builds for")?.to_owned())
}

/// The time that every file of the archive gets, so that the same commit gives the same bytes.
///
/// Source: <https://reproducible-builds.org/docs/source-date-epoch/>
fn commit_time(root: &Path) -> Result<u64> {
    let given = std::env::var("SOURCE_DATE_EPOCH");
    let time = given.or_else(|_| text(Command::new("git").args(["log", "-1", "--format=%ct"]).current_dir(root)))?;
    time.trim().parse().context("SOURCE_DATE_EPOCH is a number of seconds")
}

fn gather(root: &Path, binary: &Path, folder: &Path) -> Result<()> {
    let (manual, completions) = (folder.join("man/man1"), folder.join("completions"));
    fs::create_dir_all(&manual)?;
    fs::create_dir_all(&completions)?;
    let own = folder.join(NAME);
    fs::copy(binary, &own).with_context(|| format!("cannot copy `{}`", binary.display()))?;
    text(Command::new(&own).arg("man").arg("--dir").arg(&manual))?;
    for (shell, file) in COMPLETIONS {
        fs::write(completions.join(file), text(Command::new(&own).args(["completions", shell]))?)?;
    }
    for document in DOCUMENTS {
        copy(&root.join(document), &folder.join(document)).with_context(|| format!("cannot copy `{document}`"))?;
    }
    Ok(())
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    if !from.is_dir() {
        return fs::copy(from, to).map(drop);
    }
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        copy(&entry.path(), &to.join(entry.file_name()))?;
    }
    Ok(())
}

/// Every file below `folder`, in the order of their names.
fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() { found.extend(files(&path)?) } else { found.push(path) }
    }
    found.sort();
    Ok(found)
}

/// One archive without anything that differs from machine to machine: owners, times, order, modes.
fn pack(folder: &Path, title: &str, archive: &Path, time: u64) -> Result<()> {
    let mut tar = tar::Builder::new(GzEncoder::new(File::create(archive)?, Compression::best()));
    for file in files(folder)? {
        let name = Path::new(title).join(file.strip_prefix(folder)?);
        let mut header = tar::Header::new_gnu();
        header.set_size(fs::metadata(&file)?.len());
        header.set_mtime(time);
        header.set_mode(if file.file_name() == Some(OsStr::new(NAME)) { 0o755 } else { 0o644 });
        tar.append_data(&mut header, name, File::open(&file)?)?;
    }
    tar.into_inner()?.finish()?.sync_all()?;
    Ok(())
}

/// Unpacks what users will get, and has its binary do the main job.
fn try_out(archive: &Path, title: &str) -> Result<()> {
    let place = archive.with_extension("tried");
    if place.exists() {
        fs::remove_dir_all(&place)?;
    }
    tar::Archive::new(flate2::read::GzDecoder::new(File::open(archive)?)).unpack(&place)?;
    let own = place.join(title).join(NAME);
    let version = text(Command::new(&own).arg("--version"))?;
    ensure!(version.trim() == format!("{NAME} {}", env!("CARGO_PKG_VERSION")), "the binary calls itself `{version}`");
    let job = |words: &[&str]| text(Command::new(&own).args(words).current_dir(&place));
    job(&["new", "ml-project", "--set", "name=dist-is-tried-out", "-o", "layout.toml"])?;
    job(&["apply", "layout.toml", "--local", "--yes"])?;
    job(&["plan", "layout.toml", "--local", "--check"])?;
    job(&["verify", "layout.toml", "--local"])?;
    fs::remove_dir_all(&place)?;
    Ok(())
}

/// What a command answers; its failure is an error with its own words.
fn text(command: &mut Command) -> Result<String> {
    let done = command.output().with_context(|| format!("cannot run {}", command.get_program().display()))?;
    ensure!(
        done.status.success(),
        "{} failed: {}",
        command.get_program().display(),
        String::from_utf8_lossy(&done.stderr)
    );
    Ok(String::from_utf8(done.stdout)?)
}

#[cfg(test)]
mod tests {
    use super::{NAME, pack};
    use std::fs;

    /// Two folders with the same content, filled in another order, at another time and with other modes.
    #[test]
    fn an_archive_depends_on_content_alone() {
        let lab = std::env::temp_dir().join(format!("dist-{}", std::process::id()));
        let packed = |place: &str, names: [&str; 3]| {
            let folder = lab.join(place);
            fs::create_dir_all(folder.join("man")).unwrap();
            for name in names {
                fs::write(folder.join(name), name).unwrap();
            }
            let mode = std::os::unix::fs::PermissionsExt::from_mode(if place == "one" { 0o600 } else { 0o666 });
            fs::set_permissions(folder.join(NAME), mode).unwrap();
            let archive = lab.join(format!("{place}.tar.gz"));
            pack(&folder, "title", &archive, 1_700_000_000).unwrap();
            fs::read(archive).unwrap()
        };
        let one = packed("one", [NAME, "man/x.1", "README.md"]);
        std::thread::sleep(std::time::Duration::from_millis(1100));
        let other = packed("other", ["README.md", "man/x.1", NAME]);
        fs::remove_dir_all(&lab).unwrap();
        assert!(one == other && !one.is_empty());
    }
}
