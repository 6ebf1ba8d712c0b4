//! The binary in an emptied environment and a folder of its own, so that no test sees the machine it runs on.

use serde_json::Value;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

/// The user whom file modes stop.
const NOBODY: u32 = 65534;

/// One folder with its files, in which the binary runs.
pub(crate) struct TestEnv {
    dir: TempDir,
    variables: Vec<(String, String)>,
}

/// What a run printed, and how it ended.
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl TestEnv {
    pub(crate) fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), variables: Vec::new() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.variables.push((name.to_owned(), value.to_owned()));
    }

    /// Unsets a variable, and gives what it was.
    pub(crate) fn take(&mut self, name: &str) -> String {
        let at = self.variables.iter().rposition(|(known, _)| known == name).unwrap();
        self.variables.remove(at).1
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bucketwright"));
        command.args(arguments).current_dir(self.dir.path()).env_clear().stdin(Stdio::null());
        let home = self.dir.path().join("home");
        command.env("HOME", &home).env("TMPDIR", self.dir.path()).env("COLUMNS", "80").env("NO_COLOR", "1");
        // Without this the SDK looks for a metadata service that no test machine has.
        command.env("AWS_EC2_METADATA_DISABLED", "true").env("AWS_CONFIG_FILE", home.join("config"));
        command.env("AWS_SHARED_CREDENTIALS_FILE", home.join("credentials"));
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    /// A pipe with a name.
    pub(crate) fn fifo(&self, name: &str) {
        let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        rustix::fs::mknodat(rustix::fs::CWD, self.path(name), rustix::fs::FileType::Fifo, mode, 0).unwrap();
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        self.ran(arguments, &self.command(arguments).output().unwrap())
    }

    /// What a finished process printed.
    pub(crate) fn ran(&self, arguments: &[&str], output: &Output) -> Ran {
        let text = |bytes: &[u8]| {
            String::from_utf8(bytes.to_vec()).unwrap().replace(&*self.dir.path().to_string_lossy(), "[dir]")
        };
        let ran = Ran {
            code: output.status.code().unwrap_or(-1),
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
        };
        for panic in ["panicked at", "RUST_BACKTRACE"] {
            assert!(!ran.stderr.contains(panic), "{arguments:?}: {}", ran.stderr);
        }
        ran
    }

    /// Runs the binary as somebody whom file modes stop, also where the tests run as root.
    pub(crate) fn run_as_nobody(&self, arguments: &[&str]) -> Ran {
        let mut command = self.command(arguments);
        if rustix::process::geteuid().is_root() {
            let mut as_nobody = Command::new(self.bring_binary());
            as_nobody.args(command.get_args()).env_clear().current_dir(self.path(".")).uid(NOBODY).gid(NOBODY);
            as_nobody.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
            command = as_nobody;
        }
        let output = loop {
            match command.output() {
                // A test beside this one that forked while the binary was copied holds it open for writing until it runs
                // its own.
                Err(error) if error.kind() == ErrorKind::ExecutableFileBusy => std::thread::yield_now(),
                output => break output.unwrap(),
            }
        };
        self.ran(arguments, &output)
    }

    /// Makes every file here that user's, where the tests run as root.
    pub(crate) fn give_away(&self) {
        if rustix::process::geteuid().is_root() {
            give_away(self.dir.path());
        }
    }

    pub(crate) fn set_mode(&self, name: &str, mode: u32) {
        // The binary that that user runs must be here before the folder is closed.
        self.bring_binary();
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(mode)).unwrap();
    }

    /// The binary, in a folder that everybody may enter: the build folder may be closed to others.
    fn bring_binary(&self) -> PathBuf {
        let binary = self.path("bucketwright");
        if !binary.exists() {
            fs::copy(env!("CARGO_BIN_EXE_bucketwright"), &binary).unwrap();
        }
        binary
    }

    /// Runs and expects an exit code; what was printed is in the message otherwise.
    pub(crate) fn expect(&self, code: i32, arguments: &[&str]) -> Ran {
        let ran = self.run(arguments);
        assert_eq!(ran.code, code, "{arguments:?}\nstdout: {}\nstderr: {}", ran.stdout, ran.stderr);
        ran
    }
}

impl Ran {
    /// The lines of JSON output.
    pub(crate) fn json(&self) -> Vec<Value> {
        self.stdout
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}")))
            .collect()
    }

    /// The summary, which must be the last line.
    pub(crate) fn summary(&self) -> Value {
        let last = self.json().pop().unwrap();
        assert_eq!(last["type"], "summary", "the last line is the summary");
        last
    }

    /// The JSON lines of one type.
    pub(crate) fn of_type(&self, kind: &str) -> Vec<Value> {
        self.json().into_iter().filter(|line| line["type"] == kind).collect()
    }
}

fn give_away(path: &Path) {
    chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
    if path.is_dir() && !path.is_symlink() {
        for entry in fs::read_dir(path).unwrap() {
            let path = entry.unwrap().path();
            if !path.is_symlink() {
                give_away(&path);
            }
        }
    }
}

/// Every file below a folder with its content: equal before and after means that nothing was written.
pub(crate) fn files_below(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for entry in entries {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push((path.clone(), fs::read(&path).unwrap()));
            }
        }
    }
    found.sort();
    found
}
