//! The world as a verb sees it: one store, one identity, one endpoint, built once and passed down.

mod account;
mod survey;

pub use account::{Account, AccountError};

use crate::aws::ec2::Ec2;
use crate::aws::eks::Eks;
use crate::aws::iam::Iam;
use crate::aws::s3::{S3Error, Store};
use crate::aws::sts::{self, SessionLimit};
use crate::aws::{self, Clients, ConnectError, Connection, Keys, ServiceError};
use crate::config::{Acting, AsRole, Settings, Target};
use crate::directory::LocalAccount;
use crate::layout::controls::Circumstances;
use crate::local;
use crate::model::{AccountId, Endpoint, Identity, Region};
use crate::policy::{MAX_DOCUMENT_BYTES, SessionPolicy, SessionPolicyError};
use crate::report::IdentityRecord;
use crate::server::{DEFAULT_SESSION, Issued, Server, ServerError, ServerOptions};
use aws_config::SdkConfig;
use jiff::{Timestamp, Unit};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};

/// Everything that is reached from here.
#[derive(Debug)]
pub struct World {
    /// The S3 service.
    pub store: Store,
    /// Roles, policies and clusters. Nothing is asked of them before they are used.
    pub account: Account,
    /// The caller.
    pub identity: Identity,
    /// When the caller's credentials end, as far as that was known at the beginning.
    pub expires: Option<Timestamp>,
    /// The kind of endpoint.
    pub endpoint: Endpoint,
    /// The endpoint in words: `aws`, a URL, or the embedded endpoint's folder.
    pub place: String,
    /// The Region requests are signed for.
    pub region: Region,
    origin: Origin,
}

/// Where further sessions come from.
#[derive(Debug)]
enum Origin {
    /// The embedded endpoint issues them.
    Local(Server),
    /// STS, as this configuration reaches it.
    Remote(Box<SdkConfig>),
}

/// Somebody else than the caller, at the same endpoint.
#[derive(Debug)]
pub struct Session {
    /// The service as they see it.
    pub store: Store,
    /// Who they are.
    pub arn: String,
}

/// Why the world could not be reached.
#[derive(Debug, thiserror::Error)]
pub enum WorldError {
    /// The connection's own settings are wrong.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The credentials are missing, expired or wrong.
    #[error(transparent)]
    Identity(#[from] S3Error),
    /// The embedded endpoint cannot open its folder.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// The session policy's file cannot be read.
    #[error("cannot read `{}`", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's own words.
        source: io::Error,
    },
    /// The file holds no session policy.
    #[error(transparent)]
    SessionPolicy(#[from] SessionPolicyError),
    /// A role that could not be taken, or a session that could not be had.
    #[error("cannot act as `{who}`: {}", .source.message)]
    Session {
        /// Whose session it would have been.
        who: String,
        /// What STS said.
        source: Box<ServiceError>,
    },
    /// A role of AWS that is named by no ARN.
    #[error("`{0}` is no ARN of a role; outside of `--local` a role is named by its ARN")]
    NoArn(String),
    /// Managed policies where no account keeps them.
    #[error("the embedded endpoint takes no managed policies for a session; name the file of the document")]
    NoManaged,
    /// A session of nobody.
    #[error("the owner of the embedded endpoint has no sessions; name a role of its directory")]
    NoOwner,
}

/// The text of a session policy in a file, checked.
pub fn read_session_policy(path: &Path) -> Result<SessionPolicy, WorldError> {
    let read = local::read_at_most(path, MAX_DOCUMENT_BYTES as u64);
    let read = read.and_then(|text| text.ok_or_else(|| io::ErrorKind::FileTooLarge.into()));
    let text = read.map_err(|source| WorldError::Unreadable { path: path.to_owned(), source })?;
    Ok(SessionPolicy::parse(&path.display().to_string(), &text)?)
}

/// Credentials at an embedded endpoint: of whom is named, or of its owner.
pub fn issue(server: &Server, acting: Option<&Acting>) -> Result<Issued, WorldError> {
    let Some(Acting { who, session_policy }) = acting else { return Ok(server.owner_credentials()) };
    let Some(path) = session_policy else { return Ok(server.credentials_of(who.as_str(), DEFAULT_SESSION)?) };
    Ok(server.credentials_under(who.as_str(), &read_session_policy(path)?, DEFAULT_SESSION)?)
}

fn keys_of(issued: &Issued) -> Keys<'_> {
    Keys {
        access_key: &issued.access_key,
        secret_key: &issued.secret_key,
        session_token: issued.session_token.as_deref(),
    }
}

/// True for a URL whose host is this machine, where nobody is in between.
fn is_loopback(url: &str) -> bool {
    let authority = url.split("://").nth(1).unwrap_or_default().split('/').next().unwrap_or_default();
    match authority.strip_prefix('[') {
        Some(rest) => {
            rest.split(']').next().and_then(|host| host.parse::<Ipv6Addr>().ok()).is_some_and(|ip| ip.is_loopback())
        }
        None => {
            let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
            host == "localhost" || host.parse::<Ipv4Addr>().is_ok_and(|ip| ip.is_loopback())
        }
    }
}

impl World {
    /// Connects, and asks who we are. `account` is the account that the layout names, which the embedded endpoint
    /// then answers for.
    pub async fn open(settings: &Settings, account: Option<&AccountId>) -> Result<Self, WorldError> {
        match &settings.target {
            Target::Local { dir, acting } => Self::open_local(dir, acting.as_ref(), settings.region.as_ref(), account),
            Target::Remote { profile, endpoint_url, as_role, ca_bundle, silence } => {
                let connection = Connection {
                    profile: profile.clone(),
                    region: settings.region.clone(),
                    endpoint_url: endpoint_url.clone(),
                    as_role: as_role.clone(),
                    ca_bundle: ca_bundle.clone(),
                    silence: *silence,
                };
                let mut clients = aws::connect(&connection).await?;
                let identity = aws::caller(&clients).await?;
                if is_loopback(&clients.place) && aws::is_embedded(&clients).await {
                    clients.endpoint = Endpoint::Embedded;
                }
                let iam = Iam::new(&clients.config, &clients.region, identity.account.clone());
                let eks = Eks::new(&clients.config, &clients.region);
                let ec2 = Ec2::new(&clients.config, &clients.region);
                let account = Account::Remote { iam: Box::new(iam), eks: Box::new(eks), ec2: Box::new(ec2) };
                let origin = Origin::Remote(Box::new(clients.config.clone()));
                let expires = aws::end_of_credentials(&clients).and_then(|end| Timestamp::try_from(end).ok());
                Ok(Self { expires, ..Self::new(clients, identity, account, origin) })
            }
        }
    }

    fn open_local(
        dir: &Path,
        acting: Option<&Acting>,
        region: Option<&Region>,
        account: Option<&AccountId>,
    ) -> Result<Self, WorldError> {
        let account = match account {
            Some(account) => account.clone(),
            None => Server::account_of(dir)?.unwrap_or_else(AccountId::local),
        };
        let region = region.cloned().unwrap_or_else(Region::us_east_1);
        let server = Server::open(dir, ServerOptions { account: account.clone(), region: region.clone() })?;
        let issued = issue(&server, acting)?;
        let place = format!("embedded endpoint in {}", dir.display());
        let local = LocalAccount::new(server.directory(), account.clone(), region.clone());
        let clients = aws::connect_in_process(server.http_client(), keys_of(&issued), region, place);
        let identity = Identity { account: Some(account), arn: Some(issued.arn) };
        let expires = issued.expires_at;
        Ok(Self { expires, ..Self::new(clients, identity, Account::Local(local), Origin::Local(server)) })
    }

    /// Acts as `role`, or as a session of the calling user if none is named, within `limit`. The caller stays who it is.
    pub async fn session(&self, role: Option<&AsRole>, limit: &SessionLimit) -> Result<Session, WorldError> {
        match &self.origin {
            Origin::Local(server) => self.local_session(server, role.ok_or(WorldError::NoOwner)?, limit),
            Origin::Remote(config) => {
                let who = role.map_or("a session of the caller", AsRole::as_str).to_owned();
                let session = match role {
                    Some(AsRole::Name(name)) => return Err(WorldError::NoArn(name.clone())),
                    Some(AsRole::Arn(role)) => sts::assume_role(config, &self.region, role, limit).await,
                    None => sts::federation_token(config, &self.region, limit).await,
                };
                let session = session.map_err(|source| WorldError::Session { who, source: Box::new(source) })?;
                Ok(Session { store: self.store.acting_as(session.keys().credentials()), arn: session.arn })
            }
        }
    }

    /// The caller, in the place of somebody else.
    pub fn itself(&self) -> Session {
        let arn = self.identity.arn.clone().unwrap_or_else(|| "the caller".to_owned());
        Session { store: self.store.clone(), arn }
    }

    fn local_session(&self, server: &Server, role: &AsRole, limit: &SessionLimit) -> Result<Session, WorldError> {
        let issued = match limit {
            SessionLimit::None => server.credentials_of(role.as_str(), DEFAULT_SESSION)?,
            SessionLimit::Document(text) => {
                let policy = SessionPolicy::parse("the session policy", text.as_bytes())?;
                server.credentials_under(role.as_str(), &policy, DEFAULT_SESSION)?
            }
            SessionLimit::Managed(_) => return Err(WorldError::NoManaged),
        };
        Ok(Session { store: self.store.acting_as(keys_of(&issued).credentials()), arn: issued.arn })
    }

    /// Why the caller may not look at roles and policies here, if that is so before anybody is asked.
    pub fn no_account(&self) -> Option<&'static str> {
        // The directory asks nobody for rights, so only the folder's owner gets at it.
        let is_owner = || self.identity.arn.as_deref().is_some_and(|arn| arn.ends_with(":root"));
        match &self.account {
            Account::Remote { .. } if self.endpoint == Endpoint::Embedded => {
                Some("roles and policies of an embedded endpoint are files; pass `--local=DIR` to reach them")
            }
            Account::Local(_) if !is_owner() => {
                Some("only the owner of the embedded endpoint's folder may look at roles and policies")
            }
            _ => None,
        }
    }

    /// The partition of ARNs here: `aws`, `aws-cn`, `aws-us-gov`. The embedded endpoint knows only the first.
    pub fn partition(&self) -> &'static str {
        if self.is_local() { "aws" } else { self.region.partition() }
    }

    /// True for the embedded endpoint of `--local`, which issues sessions itself.
    pub const fn is_local(&self) -> bool {
        matches!(self.origin, Origin::Local(_))
    }

    fn new(clients: Clients, identity: Identity, account: Account, origin: Origin) -> Self {
        let owner = identity.account.as_ref().map(ToString::to_string);
        let store = Store::new(clients.s3.clone(), owner, clients.endpoint == Endpoint::Aws).renewing(&clients);
        let private = clients.endpoint != Endpoint::OtherHttp || is_loopback(&clients.place);
        let store = if private { store.with_unsigned_payload() } else { store };
        let store = if clients.endpoint == Endpoint::Embedded { store.with_delete_conditions() } else { store };
        let Clients { region, endpoint, place, .. } = clients;
        Self { store, account, identity, expires: None, endpoint, place, region, origin }
    }

    /// What planners must know of this world.
    pub fn circumstances(&self) -> Circumstances {
        Circumstances { identity: self.identity.clone(), endpoint: self.endpoint, region: self.region.clone() }
    }

    /// The caller as the first line of every verb that writes shows it.
    pub fn identity_record(&self) -> IdentityRecord {
        IdentityRecord {
            identity: self.identity.clone(),
            endpoint: self.place.clone(),
            region: self.region.to_string(),
            expires: self.expires.map(|end| end.round(Unit::Second).unwrap_or(end).to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::is_loopback;

    #[test]
    fn only_this_machine_is_private_without_tls() {
        for url in ["http://127.0.0.1:9000", "http://localhost", "http://[::1]:80/x", "http://127.1.2.3/"] {
            assert!(is_loopback(url), "{url}");
        }
        for url in
            ["http://10.0.0.1:9000", "http://localhost.example:1", "http://127.0.0.1.example", "http://user@10.0.0.1"]
        {
            assert!(!is_loopback(url), "{url}");
        }
    }
}
