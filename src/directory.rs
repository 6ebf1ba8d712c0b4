//! The local directory: roles, users, policies and clusters as files beside the data of the embedded endpoint.
//!
//! `roles/NAME.json` and `users/NAME.json` say which policies a principal has, `policies/NAME.json` is the policy document
//! in force, `managed/NAME.json` what else IAM keeps of a policy (path, tags, versions), `directory.toml` the clusters, and
//! `associations/CLUSTER.json` their Pod Identity associations. Any of them may be missing, and all may be written by hand.
//! Files are read again at every question and parsed again when their text has changed, so that an edit counts from the
//! next request on. Writes take turns between processes by a lock, and replace files whole.
#![expect(clippy::disallowed_methods, reason = "this is the file edge")]

mod account;
mod clusters;
mod edit;
mod nodes;
mod policy_writes;
mod reading;
mod record;
mod role_writes;
mod sheet;
mod users;

pub use account::LocalAccount;

use crate::model::{AccountId, Arn};
use crate::policy::{Document, Policy};
use reading::Reread;
use sheet::Sheet;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The folder of roles, users and policies. What is not there counts as empty.
#[derive(Debug)]
pub struct Directory {
    folder: PathBuf,
    sheets: Reread<Sheet>,
    policies: Reread<Policy>,
}

/// The kinds of principals that have policies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Taken for some hours, with temporary credentials.
    Role,
    /// Has permanent keys.
    User,
}

/// The name of a principal, free of anything that could lead out of the folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrincipalName {
    /// What it names.
    pub kind: Kind,
    name: String,
}

/// A role or user with everything that policies say about it.
#[derive(Debug, Clone)]
pub struct Principal {
    /// What it is.
    pub kind: Kind,
    /// Its name.
    pub name: String,
    /// Its path: `/`, or names between slashes.
    pub path: String,
    /// Its managed and inline policies.
    pub identity: Vec<Arc<Policy>>,
    /// Its permissions boundary.
    pub boundary: Option<Arc<Policy>>,
    /// Its tags.
    pub tags: Vec<(String, String)>,
}

/// Why the directory gives no answer.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// A file that cannot be read.
    #[error("cannot read `{}`", .path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// The system's own words.
        source: io::Error,
    },
    /// A file that does not hold what it should.
    #[error("`{}`: {message}", .path.display())]
    Form {
        /// The file.
        path: PathBuf,
        /// The place in it and what is wrong there.
        message: String,
    },
    /// Nobody of that name.
    #[error("there is no {name} in `{}`; {there}", .folder.display())]
    Unknown {
        /// Whom was asked for.
        name: PrincipalName,
        /// The directory's folder.
        folder: PathBuf,
        /// Who is there, in words.
        there: String,
    },
    /// A file that cannot be written.
    #[error("cannot write `{}`", .path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// The system's own words.
        source: io::Error,
    },
    /// What IAM would refuse as well.
    #[error("{message}")]
    Refused {
        /// By which rule.
        rule: Rule,
        /// What was asked, and why it may not be.
        message: String,
    },
    /// A text that names no role and no user.
    #[error("`{0}` names no role: it takes a role's name, `user/NAME`, or the ARN of a role or user")]
    NoName(String),
    /// An ARN of another account than the endpoint answers for.
    #[error("`{arn}` is of another account than `{account}`, which this endpoint answers for")]
    OtherAccount {
        /// The ARN.
        arn: Arn,
        /// The endpoint's account.
        account: AccountId,
    },
}

/// The rules of IAM and EKS that the directory keeps, by the codes that they answer with.
///
/// Source: <https://docs.aws.amazon.com/IAM/latest/APIReference/API_Operations.html>
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// It is not there.
    NoSuchEntity,
    /// The name is taken, perhaps in other case.
    EntityAlreadyExists,
    /// It is still attached, or has other versions.
    DeleteConflict,
    /// A quota is used up.
    LimitExceeded,
    /// The document is none that IAM takes.
    MalformedPolicyDocument,
    /// The value has not the form that IAM asks for.
    InvalidInput,
}

impl DirectoryError {
    fn refused(rule: Rule, message: impl Into<String>) -> Self {
        Self::Refused { rule, message: message.into() }
    }
}

impl Kind {
    /// The word in ARNs.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Role => "role",
            Self::User => "user",
        }
    }

    const fn folder(self) -> &'static str {
        match self {
            Self::Role => "roles",
            Self::User => "users",
        }
    }
}

impl fmt::Display for PrincipalName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} `{}`", self.kind.word(), self.name)
    }
}

/// True for a name that IAM takes, of at most `most` letters.
///
/// Source: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html>
fn is_name(text: &str, most: usize) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte);
    (1..=most).contains(&text.len()) && text.bytes().all(plain)
}

impl PrincipalName {
    /// A name as IAM takes it; none for any other text.
    pub fn new(kind: Kind, name: &str) -> Option<Self> {
        is_name(name, 64).then(|| Self { kind, name: name.to_owned() })
    }

    /// The name itself.
    pub fn as_str(&self) -> &str {
        &self.name
    }
}

impl Principal {
    /// Its ARN in `account`.
    pub fn arn(&self, account: &AccountId) -> String {
        format!("arn:aws:iam::{account}:{}{}{}", self.kind.word(), self.path, self.name)
    }
}

impl Directory {
    /// The directory in `folder`, which need not be there.
    pub fn new(folder: PathBuf) -> Self {
        Self { folder, sheets: Reread::default(), policies: Reread::default() }
    }

    /// The principal that somebody means by a role's name, `role/NAME`, `user/NAME` or an ARN.
    pub fn find(&self, text: &str, account: &AccountId) -> Result<Principal, DirectoryError> {
        let no_name = || DirectoryError::NoName(text.to_owned());
        let arn: Option<Arn> = if text.starts_with("arn:") { Some(text.parse().map_err(|_| no_name())?) } else { None };
        if let Some(arn) = arn.as_ref().filter(|arn| arn.account() != account.as_str()) {
            return Err(DirectoryError::OtherAccount { arn: arn.clone(), account: account.clone() });
        }
        let resource = arn.as_ref().map_or(text, |arn| arn.resource());
        let (kind, rest) = match resource.split_once('/') {
            Some(("role", rest)) => (Kind::Role, rest),
            Some(("user", rest)) => (Kind::User, rest),
            None if arn.is_none() => (Kind::Role, resource),
            _ => return Err(no_name()),
        };
        let last = rest.rsplit('/').next().unwrap_or_default();
        let name = PrincipalName::new(kind, last).ok_or_else(no_name)?;
        let unknown = || self.unknown(&name);
        let principal = self.principal(&name)?.ok_or_else(unknown)?;
        match arn {
            // A path is part of the ARN, and of nothing else.
            Some(arn) if arn.as_str() != principal.arn(account) => Err(unknown()),
            None if rest != last => Err(no_name()),
            _ => Ok(principal),
        }
    }

    /// The principal of that name, as its files say now; none if it has no file.
    pub fn principal(&self, name: &PrincipalName) -> Result<Option<Principal>, DirectoryError> {
        let path = self.folder.join(name.kind.folder()).join(format!("{}.json", name.name));
        let Some(sheet) = self.sheets.read(&path, Sheet::parse)? else { return Ok(None) };
        let policy = |(place, wanted): &(String, String)| {
            self.policy(wanted)?.ok_or_else(|| DirectoryError::Form {
                path: path.clone(),
                message: format!(
                    "{place}: there is no policy `{wanted}` in `{}`",
                    self.folder.join("policies").display()
                ),
            })
        };
        let managed = sheet.policies.iter().map(policy).collect::<Result<Vec<_>, _>>()?;
        let inline = sheet.inline.iter().map(|inline| Arc::clone(&inline.policy));
        Ok(Some(Principal {
            kind: name.kind,
            name: name.name.clone(),
            path: sheet.path.clone(),
            identity: managed.into_iter().chain(inline).collect(),
            boundary: sheet.boundary.as_ref().map(policy).transpose()?,
            tags: sheet.tags.clone(),
        }))
    }

    /// The names of all principals of a kind, in order. Files that no principal can have are passed over.
    pub fn names(&self, kind: Kind) -> Result<Vec<PrincipalName>, DirectoryError> {
        Ok(self.files(kind.folder())?.iter().filter_map(|name| PrincipalName::new(kind, name)).collect())
    }

    /// The names of the JSON files in a folder of the directory, in order.
    fn files(&self, folder: &str) -> Result<Vec<String>, DirectoryError> {
        let folder = self.folder.join(folder);
        let failed = |source| DirectoryError::Read { path: folder.clone(), source };
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed(error)),
        };
        let mut names = Vec::new();
        for entry in entries {
            let file = entry.map_err(failed)?.file_name();
            names.extend(file.to_str().and_then(|file| file.strip_suffix(".json")).map(str::to_owned));
        }
        names.sort();
        Ok(names)
    }

    fn policy(&self, name: &str) -> Result<Option<Arc<Policy>>, DirectoryError> {
        let path = self.folder.join("policies").join(format!("{name}.json"));
        self.policies.read(&path, |text| {
            let mistakes = |mistakes: &[crate::policy::DocumentMistake]| {
                mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
            };
            let document = Document::parse(text).map_err(|found| mistakes(&found))?;
            sheet::sound(name, document)
        })
    }

    fn unknown(&self, name: &PrincipalName) -> DirectoryError {
        let names = self.names(name.kind).unwrap_or_default();
        let names: Vec<&str> = names.iter().map(PrincipalName::as_str).collect();
        let word = name.kind.word();
        let there = if names.is_empty() {
            format!("it has no {word}s yet: write `{}/NAME.json`", name.kind.folder())
        } else {
            format!("its {word}s are: {}", names.join(", "))
        };
        DirectoryError::Unknown { name: name.clone(), folder: self.folder.clone(), there }
    }
}

/// A file's text; none if there is no such file, also for want of a folder that could hold it.
fn text_of(path: &Path) -> Result<Option<String>, DirectoryError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
        Err(source) => Err(DirectoryError::Read { path: path.to_owned(), source }),
    }
}

#[cfg(test)]
mod account_tests;
#[cfg(test)]
mod tests;
