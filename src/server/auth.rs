//! Who is asking, and whether the request may be heard at all.
//!
//! Signatures are checked by `s3s` with the secret that [`Doorkeeper`] hands out. Its hooks allow by default, so the hook here
//! is the one place that every operation passes before it is carried out: it finds out who asks, and what for.

use super::authorize::{Asked, Parsed, Pass, bare_denial, query_pairs};
use super::blobs::now_ms;
use super::secret::Keys;
use super::service::Service;
use super::session::{self, Session, invalid_token};
use crate::directory::{Directory, DirectoryError, Kind, Principal, PrincipalName};
use crate::model::AccountId;
use crate::policy::operation::{Signature, Wire};
use crate::policy::{Caller, Context, Policies};
use http::{Extensions, HeaderMap, Uri};
use jiff::Timestamp;
use s3s::access::{S3Access, S3AccessContext};
use s3s::auth::{Credentials, S3Auth, SecretKey};
use s3s::path::S3Path;
use s3s::{S3Error, S3Result, s3_error};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

/// Where a request came from; requests of this process have none.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer(pub(super) IpAddr);

/// Knows the keys of the folder, its principals, and the account that owns everything in it.
#[derive(Clone)]
pub(super) struct Doorkeeper {
    pub(super) keys: Keys,
    pub(super) account: AccountId,
    pub(super) directory: Arc<Directory>,
    pub(super) service: Service,
    pub(super) parsed: Arc<Parsed>,
}

impl fmt::Debug for Doorkeeper {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Doorkeeper").field("account", &self.account).finish_non_exhaustive()
    }
}

/// Who signed a request.
enum Who {
    Anonymous,
    Root,
    Principal(Box<Principal>, Option<Session>),
}

/// A request before its operation is looked at.
pub(super) struct Arrival<'here> {
    pub(super) credentials: Option<&'here Credentials>,
    pub(super) headers: &'here HeaderMap,
    pub(super) uri: &'here Uri,
    pub(super) extensions: &'here Extensions,
}

fn unknown_key() -> S3Error {
    s3_error!(InvalidAccessKeyId, "The AWS Access Key Id you provided does not exist in our records.")
}

/// A directory with a mistake in it lets nobody in, and says which.
fn unreadable(error: &DirectoryError) -> S3Error {
    s3_error!(AccessDenied, "The directory of roles and users cannot be read: {error}")
}

impl Doorkeeper {
    /// Finds out who asks. Refuses those who are not who they say, and those who expect another account to own the bucket.
    pub(super) fn identify(&self, arrival: &Arrival<'_>) -> S3Result<Pass> {
        let token =
            arrival.headers.get("x-amz-security-token").and_then(|value| value.to_str().ok().map(str::to_owned));
        let sent = token.is_some() || arrival.headers.contains_key("x-amz-security-token");
        let query = query_pairs(arrival.uri);
        // Presigned URLs of the old kind write it in small letters.
        let is_token = |name: &str| name.eq_ignore_ascii_case("X-Amz-Security-Token");
        let in_query = query.iter().find(|(name, _)| is_token(name)).map(|(_, token)| token.clone());
        if sent && (token.is_none() || in_query.is_some()) {
            return Err(invalid_token());
        }
        let who = self.who(arrival.credentials, token.or(in_query).as_deref())?;
        for name in ["x-amz-expected-bucket-owner", "x-amz-source-expected-bucket-owner"] {
            if arrival.headers.get(name).is_some_and(|owner| owner.as_bytes() != self.account.as_str().as_bytes()) {
                return Err(bare_denial());
            }
        }
        let mut context = Context::default();
        wire_context(arrival, &query, self.account.as_str(), &mut context);
        self.pass(who, context)
    }

    fn who(&self, credentials: Option<&Credentials>, token: Option<&str>) -> S3Result<Who> {
        let Some(credentials) = credentials else { return Ok(Who::Anonymous) };
        let access_key = credentials.access_key.as_str();
        if self.keys.of_session(access_key).is_some() {
            let session = Session::read(&self.keys, token, access_key)?;
            let name = PrincipalName::new(Kind::Role, &session.role).ok_or_else(invalid_token)?;
            let role = self.directory.principal(&name).map_err(|error| unreadable(&error))?;
            return Ok(Who::Principal(Box::new(role.ok_or_else(invalid_token)?), Some(session)));
        }
        if token.is_some() {
            // Permanent keys belong to no session.
            return Err(invalid_token());
        }
        if access_key == self.keys.access_key() {
            return Ok(Who::Root);
        }
        let name = self.user(access_key)?.ok_or_else(unknown_key)?;
        let user = self.directory.principal(&name).map_err(|error| unreadable(&error))?;
        Ok(Who::Principal(Box::new(user.ok_or_else(unknown_key)?), None))
    }

    /// The user whose access key this is.
    fn user(&self, access_key: &str) -> S3Result<Option<PrincipalName>> {
        if !Keys::is_users(access_key) {
            return Ok(None);
        }
        let names = self.directory.names(Kind::User).map_err(|error| unreadable(&error))?;
        Ok(names.into_iter().find(|name| self.keys.of_user(name.as_str()).0 == access_key))
    }

    fn pass(&self, who: Who, mut context: Context) -> S3Result<Pass> {
        let mut policies = Policies::default();
        let caller = match who {
            Who::Anonymous => Caller::Anonymous,
            Who::Root => {
                context = context.with("aws:userid", self.account.as_str());
                Caller::Root { account: self.account.to_string() }
            }
            Who::Principal(principal, session) => {
                let session = session.as_ref();
                context = context.with("aws:userid", session::user_id(&principal, session, &self.account));
                for (key, value) in &principal.tags {
                    context = context.with(&format!("aws:PrincipalTag/{key}"), value);
                }
                if let Some(session) = session {
                    let issued = Timestamp::from_second(session.issued_s).unwrap_or_default();
                    context = context.with("aws:TokenIssueTime", issued.to_string());
                    context = context.with("aws:MultiFactorAuthPresent", "false");
                    policies.session = session.policies()?;
                }
                policies.identity.clone_from(&principal.identity);
                policies.boundary.clone_from(&principal.boundary);
                session::caller(&principal, session, &self.account)
            }
        };
        for (name, value) in caller.context_keys() {
            context = context.with(name, value);
        }
        Ok(Pass { door: self.clone(), caller, policies, context, listed: String::new() })
    }
}

/// The condition keys that follow from the request alone.
fn wire_context(arrival: &Arrival<'_>, query: &[(String, String)], owner: &str, context: &mut Context) {
    let text = |name: &str| arrival.headers.get(name).and_then(|value| value.to_str().ok());
    let peer = arrival.extensions.get::<Peer>().map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |peer| peer.0);
    let now = Timestamp::from_millisecond(i64::try_from(now_ms()).unwrap_or_default()).unwrap_or_default();
    let signed_at = query.iter().find(|(name, _)| name == "X-Amz-Date").and_then(|(_, date)| {
        let civil = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%SZ", date).ok()?;
        civil.to_zoned(jiff::tz::TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
    });
    let signature = match (arrival.credentials.is_some(), signed_at) {
        (false, _) => Signature::None,
        (true, None) => Signature::Header,
        (true, Some(signed_at)) => {
            let age = now.as_millisecond().saturating_sub(signed_at.as_millisecond());
            Signature::Query { age_ms: u64::try_from(age).unwrap_or_default() }
        }
    };
    let wire = Wire {
        source_ip: Some(peer),
        // Nobody is in between on this machine, which is what conditions on TLS are about.
        secure: peer.is_loopback(),
        tls_version: None,
        now,
        user_agent: text("user-agent"),
        referer: text("referer"),
        signature,
        content_sha256: text("x-amz-content-sha256"),
        owner,
    };
    wire.add_to(context);
}

#[async_trait::async_trait]
impl S3Auth for Doorkeeper {
    async fn get_secret_key(&self, access_key: &str) -> S3Result<SecretKey> {
        if access_key == self.keys.access_key() {
            return Ok(SecretKey::from(self.keys.secret_key()));
        }
        if let Some(secret) = self.keys.of_session(access_key) {
            return Ok(SecretKey::from(secret));
        }
        let name = self.user(access_key)?.ok_or_else(unknown_key)?;
        Ok(SecretKey::from(self.keys.of_user(name.as_str()).1))
    }
}

#[async_trait::async_trait]
impl S3Access for Doorkeeper {
    async fn check(&self, context: &mut S3AccessContext<'_>) -> S3Result<()> {
        let operation = context.s3_op().name().to_owned();
        let (bucket, key) = match context.s3_path() {
            S3Path::Root => (String::new(), String::new()),
            S3Path::Bucket { bucket } => (bucket.to_string(), String::new()),
            S3Path::Object { bucket, key } => (bucket.to_string(), key.to_string()),
        };
        let (headers, uri) = (context.headers().clone(), context.uri().clone());
        let credentials = context.credentials().cloned();
        let extensions = context.extensions_mut();
        let arrival = Arrival { credentials: credentials.as_ref(), headers: &headers, uri: &uri, extensions };
        let mut pass = self.identify(&arrival)?;
        let asked = Asked { operation: &operation, bucket: &bucket, key: &key, uri: &uri, headers: &headers };
        pass.admit(&asked)?;
        extensions.insert(Arc::new(pass));
        Ok(())
    }
}
