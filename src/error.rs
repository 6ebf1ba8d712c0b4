//! What a verb fails with: a kind, a message with its causes, hints, and the exit code that they amount to.

use crate::apply::dataset::DatasetError;
use crate::apply::pipeline::LookError;
use crate::audit::baseline::BaselineError;
use crate::aws::s3::{ErrorClass, S3Error};
use crate::aws::{ConnectError, ServiceError};
use crate::config::ActingError;
use crate::kubernetes::KubernetesError;
use crate::layout::LayoutError;
use crate::policy::backup::BackupError;
use crate::policy::generate::GenerateError;
use crate::policy::generate::trust::TrustError;
use crate::report::{ErrorRecord, Outcome};
use crate::server::ServerError;
use crate::verify::access::modes::NOT_FROM_HERE;
use crate::world::{AccountError, WorldError};
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
        Self { records: vec![ErrorRecord::new(kind, message)], outcome }
    }

    /// Wrong usage: exit 2.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new("usage", Outcome::Invalid, message)
    }

    /// The user wanted to stop: exit 130.
    pub fn interrupted() -> Self {
        Self::stopped("nothing was written")
    }

    /// The user wanted to stop, and this is how things stand: exit 130.
    pub fn stopped(standing: &str) -> Self {
        Self::new("interrupted", Outcome::Interrupted, format!("interrupted; {standing}"))
    }

    /// A file that could not be read: exit 2, as it was named on the command line or in the layout.
    pub fn unreadable(path: &Path, error: &io::Error) -> Self {
        let failed = Self::file("read", path, error, Outcome::Invalid);
        match error.kind() {
            io::ErrorKind::NotFound => failed.hint("check the path; it is taken from the folder you are in"),
            io::ErrorKind::PermissionDenied => failed.hint("make it readable for the user that you run this as"),
            io::ErrorKind::IsADirectory => failed.hint("name a file in that folder"),
            _ => failed,
        }
    }

    /// A file that could not be written: exit 1.
    pub fn unwritable(path: &Path, error: &io::Error) -> Self {
        let failed = Self::file("write", path, error, Outcome::Failed);
        match error.kind() {
            io::ErrorKind::NotFound => failed.hint("the folder that it belongs in is not there: make it first"),
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                failed.hint("choose a place that you may write to")
            }
            io::ErrorKind::StorageFull => failed.hint("free some space on the disk and run it again"),
            _ => failed,
        }
    }

    fn file(verb: &str, path: &Path, error: &io::Error, outcome: Outcome) -> Self {
        let path = path.display().to_string();
        let mut record = ErrorRecord::new("file", format!("cannot {verb} `{path}`: {}", system_words(error)));
        record.target = Some(path);
        Self { records: vec![record], outcome }
    }

    /// Every mistake of the layout in `file`, whose content is `bytes`: exit 2.
    pub fn layout(file: &str, bytes: &[u8], mistakes: &[LayoutError]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let record = |mistake: &LayoutError| {
            let place = mistake.place.map(|place| format!(":{}:{}", place.line, place.column)).unwrap_or_default();
            ErrorRecord {
                hints: mistake.help.clone().into_iter().collect(),
                target: Some(file.to_owned()),
                excerpt: mistake.excerpt(&text),
                ..ErrorRecord::new("layout", format!("{file}{place}: {}", mistake.message))
            }
        };
        Self { records: mistakes.iter().map(record).collect(), outcome: Outcome::Invalid }
    }

    /// Every mistake of a document: exit 2.
    pub fn document(kind: &'static str, file: &str, mistakes: &[impl Error]) -> Self {
        let record = |mistake: &dyn Error| ErrorRecord {
            target: Some(file.to_owned()),
            ..ErrorRecord::new(kind, format!("{file}: {mistake}"))
        };
        let records = mistakes.iter().map(|mistake| record(mistake)).collect();
        Self { records, outcome: Outcome::Invalid }
    }

    /// A file of accepted findings that is none: exit 2.
    pub fn baseline(path: &Path, error: &BaselineError) -> Self {
        let mut record = ErrorRecord::new("baseline", format!("`{}` is no baseline: {error}", path.display()));
        record.target = Some(path.display().to_string());
        Self { records: vec![record], outcome: Outcome::Invalid }
    }

    /// True if the error is of that kind.
    pub fn is(&self, kind: &str) -> bool {
        self.records.last().is_some_and(|record| record.kind == kind)
    }

    /// True if the error is about the file of that name.
    pub fn is_about(&self, target: &str) -> bool {
        self.records.last().is_some_and(|record| record.target.as_deref() == Some(target))
    }

    /// The same error, naming the URL at which nobody answered. AWS itself needs none.
    #[must_use]
    pub fn at(mut self, place: &str) -> Self {
        if self.is(ErrorClass::Unreachable.kind())
            && place.contains("://")
            && let Some(last) = self.records.last_mut()
        {
            last.message = format!("{} (at {place})", last.message);
        }
        self
    }

    /// The same error with these hints instead of its own.
    #[must_use]
    pub fn with_hints<const N: usize>(mut self, hints: [&str; N]) -> Self {
        if let Some(last) = self.records.last_mut() {
            last.hints = hints.map(str::to_owned).to_vec();
        }
        self
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

/// What the system says, without the number that it keeps for itself.
pub(crate) fn system_words(error: &io::Error) -> String {
    let text = error.to_string();
    let words = text.split(" (os error ").next().unwrap_or(&text);
    let mut letters = words.chars();
    letters.next().map(|first| first.to_lowercase().collect::<String>() + letters.as_str()).unwrap_or_default()
}

/// A message with its causes, each once.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let words = cause.downcast_ref::<io::Error>().map_or_else(|| cause.to_string(), system_words);
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
            // Without credentials no call was made, so none is named.
            message: if error.class == ErrorClass::NoCredentials { error.message.clone() } else { error.to_string() },
            hints,
            target: Some(error.target.clone()),
            excerpt: None,
        };
        Self { records: vec![record], outcome: Outcome::Failed }
    }
}

impl From<AccountError> for CommandError {
    fn from(error: AccountError) -> Self {
        let target = match &error {
            AccountError::Service(error) => Some(error.target.clone()),
            AccountError::Directory(_) | AccountError::Stopped => None,
        };
        let message = match &error {
            AccountError::Service(error) if error.class == ErrorClass::NoCredentials => error.message.clone(),
            error => chain(error),
        };
        let hints = error.hint().map(str::to_owned).into_iter().collect();
        let outcome = match error.kind() {
            "directory" => Outcome::Invalid,
            "interrupted" => Outcome::Interrupted,
            _ => Outcome::Failed,
        };
        let record = ErrorRecord { hints, target, ..ErrorRecord::new(error.kind(), message) };
        Self { records: vec![record], outcome }
    }
}

impl From<BackupError> for CommandError {
    fn from(error: BackupError) -> Self {
        Self::new("backup", Outcome::Invalid, chain(&error))
    }
}

impl From<ConnectError> for CommandError {
    fn from(error: ConnectError) -> Self {
        let failed = Self::new("connection", Outcome::Invalid, chain(&error));
        match error {
            ConnectError::NoRegion => failed
                .hint("pass `--region us-east-1`, set AWS_REGION, name it in the profile, or try it with `--local`"),
            ConnectError::Bundle { .. } | ConnectError::BadBundle { .. } => {
                failed.hint("check `--ca-bundle` and AWS_CA_BUNDLE: a PEM file with the company's certificates")
            }
            ConnectError::BadProxy(_) => {
                failed.hint("correct or unset the variable; NO_PROXY names hosts to reach directly")
            }
            ConnectError::BadRegion(_) | ConnectError::BadEndpoint(_) => failed,
        }
    }
}

impl From<ActingError> for CommandError {
    fn from(error: ActingError) -> Self {
        Self::usage(error.to_string())
    }
}

impl From<ServerError> for CommandError {
    fn from(error: ServerError) -> Self {
        match &error {
            ServerError::Folder { folder, source, .. } => unusable_folder(folder, source),
            ServerError::InUse(folder) => {
                let message = format!("`{}` is in use by a process that does not share it", folder.display());
                Self::new("in-use", Outcome::Failed, message)
                    .hint("end that process, or choose another folder with `--local=DIR`")
            }
            ServerError::Index { .. } => {
                Self::new("embedded-endpoint", Outcome::Failed, chain(&error)).hint(OTHER_OR_REMOVE)
            }
            ServerError::Directory(_) => Self::new("directory", Outcome::Invalid, chain(&error)),
            ServerError::NoSession(_) => Self::usage(chain(&error)),
            ServerError::Format { .. } | ServerError::Random(_) => {
                Self::new("embedded-endpoint", Outcome::Failed, chain(&error))
            }
        }
    }
}

/// What to do about a folder whose content is no use any more.
const OTHER_OR_REMOVE: &str =
    "choose another folder with `--local=DIR`, or remove this one if you need nothing that is in it";

/// The folder of the embedded endpoint, and why it cannot be used.
fn unusable_folder(folder: &Path, error: &io::Error) -> CommandError {
    let (kind, words, hint) = match error.kind() {
        io::ErrorKind::ReadOnlyFilesystem => {
            ("read-only", "the disk is read-only".to_owned(), "choose a folder on another disk with `--local=DIR`")
        }
        io::ErrorKind::PermissionDenied => {
            ("permission", "permission denied".to_owned(), "choose a folder of your own with `--local=DIR`")
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => (
            "disk-full",
            "the disk is full".to_owned(),
            "free some space, or choose a folder elsewhere with `--local=DIR`",
        ),
        io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => (
            "embedded-endpoint",
            "a file is in the way".to_owned(),
            "choose another folder with `--local=DIR`, or move the file",
        ),
        io::ErrorKind::InvalidData => ("embedded-endpoint", "its secret file is damaged".to_owned(), OTHER_OR_REMOVE),
        _ => ("embedded-endpoint", system_words(error), "choose another folder with `--local=DIR`"),
    };
    CommandError::new(kind, Outcome::Failed, format!("cannot keep buckets in `{}`: {words}", folder.display()))
        .hint(hint)
}

impl From<WorldError> for CommandError {
    fn from(error: WorldError) -> Self {
        match error {
            WorldError::Connect(error) => error.into(),
            WorldError::Identity(error) => error.into(),
            WorldError::Server(error) => error.into(),
            WorldError::Unreadable { path, source } => Self::unreadable(&path, &source),
            WorldError::SessionPolicy(error) => Self::new("session-policy", Outcome::Invalid, chain(&error))
                .hint("`bucketwright policy lint --type session FILE` tells more about it"),
            WorldError::Session { who, source } => no_session(&who, &source),
            WorldError::NoArn(ref name) => {
                let hint = format!("`bucketwright policy show role/{name}` shows the ARN");
                Self::usage(error.to_string()).hint(hint)
            }
            WorldError::NoManaged | WorldError::NoOwner => Self::usage(error.to_string()),
        }
    }
}

/// A session that STS gives nobody.
fn no_session(who: &str, source: &ServiceError) -> CommandError {
    let message = format!("cannot act as `{who}`: {}", source.message);
    let kind = if source.class == ErrorClass::Denied { "role-refused" } else { source.class.kind() };
    let failed = CommandError::new(kind, Outcome::Failed, message);
    match source.class {
        ErrorClass::Denied => failed.hint(NOT_FROM_HERE),
        _ => source.hint().into_iter().fold(failed, CommandError::hint),
    }
}

impl From<GenerateError> for CommandError {
    fn from(error: GenerateError) -> Self {
        Self::new("policy", Outcome::Invalid, chain(&error))
    }
}

impl From<TrustError> for CommandError {
    fn from(error: TrustError) -> Self {
        let failed = Self::usage(chain(&error));
        match error {
            TrustError::NoIssuer(cluster) => failed.hint(format!(
                "pass `--oidc-issuer {cluster}=URL`; `aws eks describe-cluster --name {cluster} --query \
                 cluster.identity.oidc.issuer` shows it"
            )),
            TrustError::NoAccount => failed.hint("pass `--account`, or name the account in the layout"),
        }
    }
}

impl From<KubernetesError> for CommandError {
    fn from(error: KubernetesError) -> Self {
        let outcome = match &error {
            KubernetesError::NoConfig
            | KubernetesError::Config(_)
            | KubernetesError::Unreadable { .. }
            | KubernetesError::NoContext { .. } => Outcome::Invalid,
            _ => Outcome::Failed,
        };
        let failed = Self::new(error.kind(), outcome, chain(&error));
        error.hint().into_iter().fold(failed, Self::hint)
    }
}

impl From<LookError> for CommandError {
    fn from(error: LookError) -> Self {
        match error {
            LookError::S3(error) => error.into(),
            _ => Self::new("sync", Outcome::Failed, chain(&error)),
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

#[cfg(test)]
mod tests {
    use super::{CommandError, no_session};
    use crate::aws::{ErrorClass, ServiceError};

    #[test]
    fn a_role_that_cannot_be_taken_says_what_can_be_done() {
        let refused = |class| {
            let error = ServiceError::unexpected("AssumeRole", "arn", "AccessDenied: not authorized");
            no_session("arn:aws:iam::111122223333:role/node", &ServiceError { class, ..error })
        };
        let check = |failed: CommandError, kind: &str, words: &str| {
            let record = &failed.records[0];
            assert!(record.message.starts_with("cannot act as `arn:aws:iam::111122223333:role/node`: "), "{record:?}");
            assert!(record.kind == kind && record.hints.join(" ").contains(words), "{record:?}");
        };
        check(refused(ErrorClass::Denied), "role-refused", "run verify in the cluster");
        check(refused(ErrorClass::ExpiredCredentials), "expired-credentials", "sign in again");
    }
}
