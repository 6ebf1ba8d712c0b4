//! What a verb fails with: a kind, a message with its causes, hints, and the exit code that they amount to.

use crate::apply::dataset::DatasetError;
use crate::aws::ConnectError;
use crate::aws::s3::{ErrorClass, S3Error};
use crate::config::NoArn;
use crate::layout::LayoutError;
use crate::report::{ErrorRecord, Outcome};
use crate::server::ServerError;
use crate::world::WorldError;
use std::error::Error;
use std::io;
use std::path::Path;

/// Why a verb stopped.
#[derive(Debug)]
pub struct CommandError {
    /// What is shown; several for a layout with several mistakes.
    pub records: Vec<ErrorRecord>,
    /// How the run ends.
    pub outcome: Outcome,
}

impl CommandError {
    /// One error of a kind.
    pub fn new(kind: &'static str, outcome: Outcome, message: impl Into<String>) -> Self {
        let record = ErrorRecord { kind, message: message.into(), hints: Vec::new(), target: None };
        Self { records: vec![record], outcome }
    }

    /// Wrong usage: exit 2.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new("usage", Outcome::Invalid, message)
    }

    /// The user wanted to stop: exit 130.
    pub fn interrupted() -> Self {
        Self::new("interrupted", Outcome::Interrupted, "interrupted; nothing was written")
    }

    /// A file that could not be read or written.
    pub fn file(verb: &str, path: &Path, error: &io::Error, outcome: Outcome) -> Self {
        let failed = Self::new("file", outcome, format!("cannot {verb} `{}`: {error}", path.display()));
        match error.kind() {
            io::ErrorKind::NotFound => failed.hint("check the path; it is taken from the folder you are in"),
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                failed.hint("choose a place that you may write to")
            }
            io::ErrorKind::StorageFull => failed.hint("free some room on the disk and run it again"),
            _ => failed,
        }
    }

    /// Every mistake of a layout: exit 2.
    pub fn layout(file: &str, mistakes: &[LayoutError]) -> Self {
        let record = |mistake: &LayoutError| ErrorRecord {
            kind: "layout",
            message: format!("{file}:{mistake}"),
            hints: mistake.help.clone().into_iter().collect(),
            target: Some(file.to_owned()),
        };
        Self { records: mistakes.iter().map(record).collect(), outcome: Outcome::Invalid }
    }

    /// Every mistake of a document: exit 2.
    pub fn document(kind: &'static str, file: &str, mistakes: &[impl Error]) -> Self {
        let record = |mistake: &dyn Error| ErrorRecord {
            kind,
            message: format!("{file}: {mistake}"),
            hints: Vec::new(),
            target: Some(file.to_owned()),
        };
        let records = mistakes.iter().map(|mistake| record(mistake)).collect();
        Self { records, outcome: Outcome::Invalid }
    }

    /// The same error with one more hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        if let Some(last) = self.records.last_mut() {
            last.hints.push(hint.into());
        }
        self
    }
}

/// A message with its causes, each once.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let words = cause.to_string();
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        source = cause.source();
    }
    text
}

impl From<S3Error> for CommandError {
    fn from(error: S3Error) -> Self {
        let hints = match (error.class, &error.region) {
            (ErrorClass::WrongRegion, Some(region)) => vec![format!("pass `--region {region}`")],
            (class, _) => class.hint().map(str::to_owned).into_iter().collect(),
        };
        let record = ErrorRecord {
            kind: error.class.kind(),
            message: error.to_string(),
            hints,
            target: Some(error.target.clone()),
        };
        Self { records: vec![record], outcome: Outcome::Failed }
    }
}

impl From<ConnectError> for CommandError {
    fn from(error: ConnectError) -> Self {
        let failed = Self::new("connection", Outcome::Invalid, chain(&error));
        match error {
            ConnectError::NoRegion => {
                failed.hint("pass `--region us-east-1`, set AWS_REGION, or name it in the profile")
            }
            ConnectError::Bundle { .. } | ConnectError::BadBundle { .. } => {
                failed.hint("check `--ca-bundle` and AWS_CA_BUNDLE: a PEM file with the company's certificates")
            }
            ConnectError::BadRegion(_) | ConnectError::BadEndpoint(_) => failed,
        }
    }
}

impl From<NoArn> for CommandError {
    fn from(error: NoArn) -> Self {
        Self::usage(error.to_string())
    }
}

impl From<ServerError> for CommandError {
    fn from(error: ServerError) -> Self {
        if matches!(error, ServerError::Directory(_)) {
            return Self::new("directory", Outcome::Invalid, chain(&error));
        }
        Self::new("embedded-endpoint", Outcome::Failed, chain(&error))
    }
}

impl From<WorldError> for CommandError {
    fn from(error: WorldError) -> Self {
        match error {
            WorldError::Connect(error) => error.into(),
            WorldError::Identity(error) => error.into(),
            WorldError::Server(error) => error.into(),
        }
    }
}

impl From<DatasetError> for CommandError {
    fn from(error: DatasetError) -> Self {
        match error {
            DatasetError::S3(error) => error.into(),
            DatasetError::NotOneFile(_) | DatasetError::BadName(_) => {
                Self::new("layout", Outcome::Invalid, chain(&error)).hint("correct `as` in the dataset's table")
            }
            _ => Self::new("dataset", Outcome::Failed, chain(&error)),
        }
    }
}
