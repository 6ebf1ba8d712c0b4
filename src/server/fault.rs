//! What can go wrong inside the endpoint, and the S3 error each becomes: a refusal in AWS's words, or a fault of the folder.

use s3s::{S3Error, S3ErrorCode};
use std::io;

/// Why a piece of work came to nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    /// The request itself is at fault. Whoever returns this has changed nothing.
    #[error("refused: {0}")]
    Refused(#[source] S3Error),
    /// The index could not be read or written.
    #[error("index: {0}")]
    Index(#[source] Box<redb::Error>),
    /// A blob file could not be read or written.
    #[error("blob: {0}")]
    Io(#[from] io::Error),
    /// A record of the index makes no sense.
    #[error("record: {0}")]
    Record(#[from] postcard::Error),
}

/// A result whose failure is a [`Fault`].
pub(super) type Outcome<T> = Result<T, Fault>;

/// A fault of the folder that many requests are told of at once.
#[derive(Debug, Clone)]
pub(super) struct Trouble {
    disk_full: bool,
    text: String,
}

impl Fault {
    fn disk_full(&self) -> bool {
        match self {
            Self::Index(error) => matches!(&**error, redb::Error::Io(error) if is_full(error)),
            Self::Io(error) => is_full(error),
            Self::Refused(_) | Self::Record(_) => false,
        }
    }

    /// The fault as a value that can be told to many.
    pub(super) fn trouble(&self) -> Trouble {
        Trouble { disk_full: self.disk_full(), text: self.to_string() }
    }
}

impl Trouble {
    /// A fault that has no error value behind it.
    pub(super) fn new(text: &str) -> Self {
        Self { disk_full: false, text: text.to_owned() }
    }

    /// The error that the client sees: 507 for a full disk, which no client retries, else 500.
    pub(super) fn error(&self) -> S3Error {
        if !self.disk_full {
            return S3Error::with_message(S3ErrorCode::InternalError, self.text.clone());
        }
        refusal(
            "StorageFull",
            http::StatusCode::INSUFFICIENT_STORAGE,
            "The disk that holds the endpoint's folder is full; free some space and try again.",
        )
    }
}

/// A refusal with one of S3's codes that `s3s` does not know.
pub(super) fn refusal(code: &'static str, status: http::StatusCode, message: &'static str) -> S3Error {
    let mut error = S3Error::with_message(S3ErrorCode::Custom(code.into()), message);
    error.set_status_code(status);
    error
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge)
}

impl From<S3Error> for Fault {
    fn from(error: S3Error) -> Self {
        Self::Refused(error)
    }
}

impl From<Fault> for S3Error {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Refused(error) => error,
            other => other.trouble().error(),
        }
    }
}

macro_rules! from_redb {
    ($($kind:ident),*) => {
        $(impl From<redb::$kind> for Fault {
            fn from(error: redb::$kind) -> Self {
                Self::Index(Box::new(error.into()))
            }
        })*
    };
}

from_redb!(StorageError, TableError, TransactionError, CommitError, DatabaseError);
