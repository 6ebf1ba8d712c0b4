//! The programs of a cluster, made once and kept: etcd and kubectl from Debian's packages, and the API server, which Debian
//! has as source alone.
#![expect(clippy::disallowed_methods, reason = "what is installed and compiled is files")]

use super::super::Skipped;
use super::super::lab::Lab;
use anyhow::{Context as _, Result, ensure};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

/// The version whose API this case knows; each release of Debian has one.
const VERSION: &str = "1.20.";

/// Debian's packages of programs, and the programs.
const PACKAGES: [(&str, &str); 2] = [("etcd-server", "usr/bin/etcd"), ("kubernetes-client", "usr/bin/kubectl")];

/// Makes the programs from the unpacked source in the folder `$1/src/k8s.io/kubernetes`, by the steps of Kubernetes' own
/// Makefile that they need. Left out are the providers of clouds, a fifth of the work.
const BUILD: &str = r##"
set -euo pipefail
export HOME=$1 GOPATH=$1 GOCACHE=$1/cache GOFLAGS= GO111MODULE=off GOPROXY=off GOTOOLCHAIN=local CGO_ENABLED=0
cd "$1/src/k8s.io/kubernetes"
mkdir cmd/bucketwright-controllers
cp "$2" cmd/bucketwright-controllers/main.go
generated=pkg/generated/openapi
go build -o "$1/openapi-gen" ./vendor/k8s.io/kube-openapi/cmd/openapi-gen
described=$(grep -rl --include='*.go' '+k8s:openapi-gen=' cmd pkg plugin staging/src/k8s.io |
  grep -vE '/(code-generator|sample-apiserver)/|_test\.go$|/zz_generated\.' | xargs -n1 dirname | LC_ALL=C sort -u |
  sed 's#^staging/src/#vendor/#; s#^#k8s.io/kubernetes/#' | paste -sd,)
"$1/openapi-gen" --logtostderr -h /dev/null -i "$described" -p "k8s.io/kubernetes/$generated" -O zz_generated.openapi \
  --output-base "$1/src" -r "$1/violations"
go build -tags providerless -ldflags '-s -w' -o "$1/bin/" ./cmd/kube-apiserver ./cmd/bucketwright-controllers
"##;

/// Where the programs are.
pub(super) struct Programs {
    pub(super) etcd: PathBuf,
    pub(super) kubectl: PathBuf,
    pub(super) server: PathBuf,
    pub(super) controllers: PathBuf,
}

/// The programs; made where they are not there from an earlier run.
pub(super) fn programs(lab: &Lab) -> Result<Programs> {
    let folder = lab.kept("kubernetes-programs");
    let controllers = lab.root.join("xtask/conformance/controllers.go");
    let wanted = format!("{VERSION}\n{PACKAGES:?}\n{BUILD}\n{}", fs::read_to_string(&controllers)?);
    let stamp = folder.join("made");
    if !fs::read_to_string(&stamp).is_ok_and(|made| made == wanted) {
        for (program, package) in
            [("go", "golang-go"), ("apt-get", "apt"), ("dpkg-deb", "dpkg"), ("openssl", "openssl")]
        {
            if lab.command(program.as_ref()).arg("version").output().is_err() {
                let message = format!("there is no `{program}` here; Debian has it in the package {package}");
                return Err(Skipped(message).into());
            }
        }
        println!("compiling kube-apiserver, which takes a few minutes");
        let began = Instant::now();
        make(&folder, &controllers)?;
        fs::write(stamp, wanted)?;
        println!("compiled in {} s", began.elapsed().as_secs());
    }
    let made = |name: &str| folder.join("bin").join(name);
    let (server, controllers) = (made("kube-apiserver"), made("bucketwright-controllers"));
    Ok(Programs { etcd: made("etcd"), kubectl: made("kubectl"), server, controllers })
}

/// Fetches and compiles. Only the programs stay: source and objects are gigabytes.
fn make(folder: &Path, controllers: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    let work = folder.join("work");
    fs::create_dir_all(work.join("src/k8s.io/kubernetes"))?;
    fs::create_dir_all(work.join("bin"))?;
    fetch(&work)?;
    let log = folder.join("compile.log");
    let mut build = Command::new("bash");
    build.args(["-c", BUILD, "bash"]).arg(&work).arg(controllers).stdin(Stdio::null());
    let status = build.stdout(File::create(&log)?).stderr(File::options().append(true).open(&log)?).status()?;
    ensure!(status.success(), "kube-apiserver does not compile:\n{}", fs::read_to_string(&log)?);
    fs::rename(work.join("bin"), folder.join("bin"))?;
    fs::remove_dir_all(&work).context("cannot remove the source")
}

/// Unpacks the packages, and the source of the package `kubernetes`, from where the system's own packages come from.
fn fetch(work: &Path) -> Result<()> {
    let (lists, sources) = (work.join("lists"), work.join("sources"));
    fs::create_dir_all(lists.join("partial"))?;
    fs::create_dir_all(&sources)?;
    let etc = Path::new("/etc/apt");
    let more = fs::read_dir(etc.join("sources.list.d")).into_iter().flatten().flatten().map(|entry| entry.path());
    for file in std::iter::once(etc.join("sources.list")).chain(more) {
        if let (Ok(text), Some(name)) = (fs::read_to_string(&file), file.file_name()) {
            fs::write(sources.join(name), as_sources(&text))?;
        }
    }
    let apt = |words: &[&str]| {
        let mut command = Command::new("apt-get");
        command.args(["-qq", "-o", "Dir::Etc::sourcelist=/dev/null", "-o", "APT::Sandbox::User=root"]);
        command.arg("-o").arg(format!("Dir::Etc::sourceparts={}", sources.display()));
        command.arg("-o").arg(format!("Dir::State::lists={}", lists.display()));
        command.arg("-o").arg(format!("Dir::Cache={}", work.join("apt").display()));
        quietly(command.args(words).current_dir(work))
    };
    // A place that has no source packages fails an update which has got all others.
    apt(&["update"])?;
    let packages = PACKAGES.map(|(package, _)| package);
    let is_here = apt(&[&["download"][..], &packages].concat())? && apt(&["source", "--download-only", "kubernetes"])?;
    if !is_here {
        let message = format!("apt-get cannot download {} and the source of kubernetes", packages.join(", "));
        return Err(Skipped(message).into());
    }
    let names = fs::read_dir(work)?.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    let names: Vec<String> = names.collect();
    for package in names.iter().filter(|name| name.ends_with(".deb")) {
        ensure!(
            quietly(Command::new("dpkg-deb").args(["--extract", package, "debian"]).current_dir(work))?,
            "{package}"
        );
    }
    for (_, program) in PACKAGES {
        let program = work.join("debian").join(program);
        fs::copy(&program, work.join("bin").join(program.file_name().unwrap_or_default()))?;
    }
    let archive = names.iter().find(|name| name.contains(".orig.tar.")).context("apt-get brought no archive")?;
    let version = archive.trim_start_matches("kubernetes_").split("really").last().unwrap_or_default();
    if !version.starts_with(VERSION) {
        return Err(Skipped(format!("this case knows Kubernetes {VERSION}x, and Debian has {archive}")).into());
    }
    let mut tar = Command::new("tar");
    tar.args(["--extract", "--strip-components=1", "--directory=src/k8s.io/kubernetes", "--file", archive]);
    ensure!(quietly(tar.current_dir(work))?, "tar cannot unpack {archive}");
    Ok(())
}

/// Runs a command; whether it did what it should.
fn quietly(command: &mut Command) -> Result<bool> {
    Ok(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status()?.success())
}

/// A list of places that have packages, as one of places that have their sources too.
fn as_sources(text: &str) -> String {
    let line = |line: &str| match line.strip_prefix("deb ") {
        Some(rest) => format!("{line}\ndeb-src {rest}\n"),
        None if line.starts_with("Types:") => "Types: deb deb-src\n".to_owned(),
        None => format!("{line}\n"),
    };
    text.lines().map(line).collect()
}
