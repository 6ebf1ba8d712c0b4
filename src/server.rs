//! The embedded endpoint: S3 over a folder, for `--local`, for `serve` and for tests.
//!
//! One folder holds one secret, one ordered index and the blob files. Several processes may have it open at once: the index
//! admits one writer at a time, and the lock file tells who is alone and may tidy up. What is acknowledged is durable.

mod attributes;
mod auth;
mod authorize;
mod blobs;
mod buckets;
mod caller;
mod checksums;
mod copying;
mod details;
mod documents;
mod envelope;
mod fault;
mod http;
mod in_process;
mod index;
mod ingest;
mod listing;
mod multipart;
mod objects;
mod outgoing;
mod reading;
mod record;
mod secret;
mod service;
mod session;
mod settings;
mod unread;
mod uploads;
mod version_listing;
mod versions;

use crate::directory::{Directory, DirectoryError, Kind};
use crate::model::{AccountId, BucketName, Region};
use crate::policy::SessionPolicy;
use auth::Doorkeeper;
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use blobs::Blobs;
use documents::Documents;
use fault::Fault;
use index::Index;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::validation::NameValidation;
use secret::Keys;
use service::Service;
pub use session::{DEFAULT_SESSION, Issued};
use std::fmt;
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::future::Future;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;

/// An S3 endpoint over a folder. Cheap to clone; the folder is free again when the last clone is gone.
#[derive(Clone)]
pub struct Server {
    service: S3Service,
    keys: Keys,
    account: AccountId,
    directory: Arc<Directory>,
    _lock: Arc<File>,
}

/// What the endpoint says it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerOptions {
    /// The account that owns every bucket.
    pub account: AccountId,
    /// The Region whose endpoint this is.
    pub region: Region,
}

/// Why a folder cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The folder cannot be made or written to.
    #[error("cannot keep buckets in `{folder}`: {reason}", folder = .folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// What stands in the way, and what to do.
        reason: &'static str,
        /// The system's own words.
        source: io::Error,
    },
    /// Another process has the folder in a way that shuts others out.
    #[error("`{}` is in use by another process that does not share it; stop that process or choose another folder", .0.display())]
    InUse(PathBuf),
    /// The folder was written by a version of the tool that keeps other records.
    #[error("`{}` was written by another version of bucketwright (format {found}); choose another folder", .folder.display())]
    Format {
        /// The folder.
        folder: PathBuf,
        /// The format found.
        found: u64,
    },
    /// The directory does not know somebody, or cannot be read.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// A session policy for somebody who has no session.
    #[error("`{0}` has permanent keys, and a session policy limits only a role's session; name a role")]
    NoSession(String),
    /// The system gives no random numbers.
    #[error("the system gives no random numbers")]
    Random(#[source] io::Error),
    /// The index is damaged or cannot be read.
    #[error("the index in `{folder}` cannot be opened: {reason}", folder = .folder.display())]
    Index {
        /// The folder.
        folder: PathBuf,
        /// What the index says.
        reason: String,
    },
}

impl fmt::Debug for Server {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Server").field("access_key", &self.access_key()).finish_non_exhaustive()
    }
}

/// Bucket names by our rules, which are AWS's and finer than those of `s3s`.
struct OurNames;

impl NameValidation for OurNames {
    fn validate_bucket_name(&self, name: &str) -> bool {
        name.parse::<BucketName>().is_ok()
    }
}

impl Server {
    /// Opens the endpoint over `folder`, which is made if need be, and sweeps what interrupted requests have left.
    pub fn open(folder: &Path, options: ServerOptions) -> Result<Self, ServerError> {
        let fault = |error| folder_error(folder, error);
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(fault)?;
        let lock = open_lock(folder).map_err(fault)?;
        let alone = match lock.try_lock() {
            Ok(()) => true,
            Err(TryLockError::WouldBlock) => {
                lock.lock_shared().map_err(fault)?;
                false
            }
            Err(TryLockError::Error(error)) => return Err(fault(error)),
        };
        let keys = Keys::open(&folder.join("secret")).map_err(fault)?;
        let blobs = Blobs::open(folder.join("blobs")).map_err(fault)?;
        let index = Index::open(folder.join("index.redb"), blobs.clone());
        let index = index.map_err(|error| index_error(folder, error))?;
        let service = Service { index: Arc::new(index), blobs, account: options.account, region: options.region };
        check_format(folder, &service)?;
        if alone {
            sweep(&service).map_err(|error| index_error(folder, error))?;
            // From here on others may come in.
            lock.lock_shared().map_err(fault)?;
        }
        let directory = Arc::new(Directory::new(folder.join("directory")));
        let account = service.account.clone();
        let service = build(service, keys.clone(), Arc::clone(&directory));
        Ok(Self { service, keys, account, directory, _lock: Arc::new(lock) })
    }

    /// The credentials of the folder's owner.
    pub fn owner_credentials(&self) -> Issued {
        Issued {
            access_key: self.access_key().to_owned(),
            secret_key: self.secret_key().to_owned(),
            session_token: None,
            arn: format!("arn:aws:iam::{}:root", self.account),
            expires_at: None,
        }
    }

    /// The account that the folder's directory names, if it does.
    pub fn account_of(folder: &Path) -> Result<Option<AccountId>, ServerError> {
        Ok(Directory::new(folder.join("directory")).account()?)
    }

    /// Credentials of a role or user of the folder's directory, named as [`Directory::find`] takes it. A role's last
    /// `lasts`, a user's for good.
    pub fn credentials_of(&self, who: &str, lasts: Duration) -> Result<Issued, ServerError> {
        let principal = self.directory.find(who, &self.account)?;
        session::issue(&self.keys, &principal, &self.account, lasts).map_err(ServerError::Random)
    }

    /// Credentials of a role's session that `policy` limits: allowed is what it and the role's own policies allow. The token
    /// carries the policy, so it holds for as long as they last, also after the endpoint was opened anew.
    pub fn credentials_under(&self, who: &str, policy: &SessionPolicy, lasts: Duration) -> Result<Issued, ServerError> {
        let principal = self.directory.find(who, &self.account)?;
        if principal.kind != Kind::Role {
            return Err(ServerError::NoSession(who.to_owned()));
        }
        session::issue_session(&self.keys, &principal, &self.account, lasts, Some(policy)).map_err(ServerError::Random)
    }

    /// The folder's directory of roles, users and policies, shared with the endpoint.
    pub fn directory(&self) -> Arc<Directory> {
        Arc::clone(&self.directory)
    }

    /// The access key id of the folder's owner.
    pub fn access_key(&self) -> &str {
        self.keys.access_key()
    }

    /// The secret key of the folder's owner, derived from the folder's secret.
    pub fn secret_key(&self) -> &str {
        self.keys.secret_key()
    }

    /// The HTTP layer of an SDK client that shall reach this endpoint without a socket. The client needs path-style addressing
    /// and some `http://` endpoint URL, whose host plays no role.
    pub fn http_client(&self) -> SharedHttpClient {
        in_process::client(self.service.clone())
    }

    /// Serves HTTP/1.1 on `listener` until `shutdown` is ready; requests under way are given a few seconds to finish.
    pub async fn serve(
        &self,
        listener: TcpListener,
        shutdown: impl Future<Output = ()> + Send,
    ) -> Result<(), ServerError> {
        http::serve(self.service.clone(), listener, shutdown).await
    }
}

fn build(service: Service, keys: Keys, directory: Arc<Directory>) -> S3Service {
    let account = service.account.clone();
    let doorkeeper = Doorkeeper { keys, account, directory, service: service.clone(), parsed: Arc::default() };
    let mut builder = S3ServiceBuilder::new(service.clone());
    builder.set_auth(doorkeeper.clone());
    builder.set_access(doorkeeper.clone());
    builder.set_validation(OurNames);
    builder.set_route(Documents { service, doorkeeper });
    builder.build()
}

#[expect(clippy::disallowed_methods, reason = "the lock file is part of this edge")]
fn open_lock(folder: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(folder.join("lock"))
}

fn check_format(folder: &Path, service: &Service) -> Result<(), ServerError> {
    match service.index.format() {
        Ok(record::FORMAT) => Ok(()),
        Ok(found) => Err(ServerError::Format { folder: folder.to_owned(), found }),
        Err(fault) => Err(index_error(folder, fault)),
    }
}

fn sweep(service: &Service) -> Result<(), Fault> {
    let snapshot = service.index.snapshot()?;
    let files = snapshot.files()?;
    // A file that cannot be looked up is taken for known.
    let removed = service.blobs.sweep(|id| files.get(id.0).map_or(true, |found| found.is_some()))?;
    if removed > 0 {
        tracing::info!(removed, "leftovers of interrupted requests removed");
    }
    Ok(())
}

fn folder_error(folder: &Path, source: io::Error) -> ServerError {
    let reason = match source.kind() {
        io::ErrorKind::ReadOnlyFilesystem => "the disk is read-only; choose a folder on another one",
        io::ErrorKind::PermissionDenied => "permission denied; choose a folder of your own",
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "the disk is full; free some space",
        io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => "a file of that name is in the way",
        io::ErrorKind::InvalidData => "its secret file is damaged; choose another folder",
        _ => "the system refuses",
    };
    ServerError::Folder { folder: folder.to_owned(), reason, source }
}

fn index_error(folder: &Path, fault: Fault) -> ServerError {
    match fault {
        Fault::Io(error) => folder_error(folder, error),
        Fault::Index(error) => match *error {
            redb::Error::Io(error) if error.kind() != io::ErrorKind::InvalidData => folder_error(folder, error),
            redb::Error::DatabaseAlreadyOpen | redb::Error::LockProtocolMismatch => {
                ServerError::InUse(folder.to_owned())
            }
            other => ServerError::Index { folder: folder.to_owned(), reason: other.to_string() },
        },
        other => ServerError::Index { folder: folder.to_owned(), reason: other.to_string() },
    }
}
