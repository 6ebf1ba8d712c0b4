//! The image recipe, built and tried without a container engine: buildah makes it on a base of Debian's own packages, which
//! has what a distroless base has, and the program runs in it as nobody on a read-only root.
#![expect(clippy::disallowed_methods, reason = "the base of an image is files")]

use super::Skipped;
use super::lab::Lab;
use anyhow::{Result, ensure};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

/// What the base of the recipe consists of.
///
/// Source: <https://github.com/GoogleContainerTools/distroless/blob/main/cc/README.md>
const PACKAGES: [&str; 6] = ["base-files", "ca-certificates", "libc6", "libgcc-s1", "netbase", "tzdata"];

const BASE: &str = "localhost/base";
const IMAGE: &str = "localhost/bucketwright";

/// Runs in a mount namespace of its own, so that nothing stays mounted whatever happens. `$1` is the image's root,
/// `$2` an empty folder.
const INSIDE: &str = r#"
set -eu
export HOME=/tmp
mount --bind "$1" "$2"
mount -o remount,ro,bind "$2"
mount -t tmpfs tmpfs "$2/tmp"
bucketwright() { env -i HOME=/tmp PATH="$PATH" chroot --userspec=65532:65532 "$root" /usr/bin/bucketwright "$@"; }
root=$2
bucketwright --version
bucketwright new ml-project --set name=made-in-an-image -o $HOME/layout.toml
bucketwright apply $HOME/layout.toml --local=$HOME/s3 --yes
bucketwright plan $HOME/layout.toml --local=$HOME/s3 --check
bucketwright verify $HOME/layout.toml --local=$HOME/s3
bucketwright new ml-project --set name=made-in-an-image -o /layout.toml && exit 9 || echo "refused to write elsewhere"
test ! -e "$2/bin/sh" && echo "no shell"
"#;

/// Builds the image from `Containerfile` and does the main job in it.
pub(crate) fn distroless(lab: &Lab) -> Result<()> {
    for program in ["buildah", "dpkg-deb", "apt-get", "unshare"] {
        if lab.command(program.as_ref()).arg("--version").output().is_err() {
            return Err(Skipped(format!("there is no `{program}` here")).into());
        }
    }
    if lab.expect(lab.command("id".as_ref()).arg("-u"))?.trim() != "0" {
        return Err(Skipped("only root can build an image without an engine".to_owned()).into());
    }
    base(lab)?;
    let context = lab.path("context");
    fs::create_dir_all(&context)?;
    fs::copy(lab.root.join("target/debug/bucketwright"), context.join("bucketwright"))?;
    let mut build = buildah(lab, "build");
    build.args(["--tag", IMAGE, "--build-arg", &format!("BASE={BASE}"), "--file"]).arg(lab.root.join("Containerfile"));
    lab.expect(build.arg(&context))?;
    let config = lab.expect(buildah(lab, "inspect").args(["--type", "image", IMAGE]))?;
    ensure!(config.contains(r#""User": "65532:65532""#), "the image does not say that it is not root:\n{config}");
    let container = lab.expect(buildah(lab, "from").arg(IMAGE))?;
    let mounted = lab.expect(buildah(lab, "mount").arg(container.trim()))?;
    let empty = lab.path("root");
    fs::create_dir_all(&empty)?;
    let mut inside = lab.command("unshare".as_ref());
    inside.args(["--mount", "--propagation", "private", "sh", "-c", INSIDE, "sh", mounted.trim()]).arg(&empty);
    let said = lab.expect(&mut inside)?;
    for wanted in ["nothing to do", "refused to write elsewhere", "no shell"] {
        ensure!(said.contains(wanted), "no `{wanted}` in\n{said}");
    }
    lab.expect(buildah(lab, "rm").arg(container.trim()))?;
    lab.expect(buildah(lab, "rmi").arg("--all")).map(drop)
}

/// A base from Debian's packages, unpacked and not installed: no script of theirs runs, no shell comes along.
fn base(lab: &Lab) -> Result<()> {
    let (archives, root) = (lab.path("archives"), lab.path("base"));
    fs::create_dir_all(&archives)?;
    let mut download = lab.command("apt-get".as_ref());
    download.args(["download", "--quiet"]).args(PACKAGES).current_dir(&archives);
    if lab.run(&mut download)?.exit(0).is_err() {
        return Err(Skipped("apt-get cannot download Debian's packages".to_owned()).into());
    }
    for archive in fs::read_dir(&archives)? {
        lab.expect(lab.command("dpkg-deb".as_ref()).arg("--extract").arg(archive?.path()).arg(&root))?;
    }
    let mut bundle = lab.command("sh".as_ref());
    bundle.args(["-c", "find usr/share/ca-certificates -name '*.crt' | sort | xargs cat"]).current_dir(&root);
    let certificates = lab.expect(&mut bundle)?;
    ensure!(certificates.contains("BEGIN CERTIFICATE"), "Debian's package holds no certificates");
    fs::create_dir_all(root.join("etc/ssl/certs"))?;
    fs::write(root.join("etc/ssl/certs/ca-certificates.crt"), certificates)?;
    fs::create_dir_all(root.join("tmp"))?;
    fs::set_permissions(root.join("tmp"), fs::Permissions::from_mode(0o1777))?;
    let recipe = lab.path("Base");
    fs::write(&recipe, "FROM scratch\nCOPY . /\n")?;
    lab.expect(buildah(lab, "build").args(["--tag", BASE, "--file"]).arg(&recipe).arg(&root)).map(drop)
}

/// buildah with all that it keeps in the case's folder.
fn buildah(lab: &Lab, verb: &str) -> Command {
    let mut command = lab.command("buildah".as_ref());
    command.arg("--root").arg(lab.path("storage")).arg("--runroot").arg(lab.path("run"));
    command.args(["--storage-driver", "vfs", verb]).env("BUILDAH_ISOLATION", "chroot");
    command
}
