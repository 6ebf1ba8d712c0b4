//! Credentials of the directory's principals: issued on request, told from the request alone later on.
//!
//! Nothing is kept of them. An access key proves that it was made here, and the token, sealed with the folder's secret,
//! says which role it is for and until when.

use super::blobs::now_ms;
use super::secret::Keys;
use crate::directory::{Kind, Principal};
use crate::hashing::digest;
use crate::model::{AccountId, Algorithm};
use crate::policy::{Caller, Document, Policy, SessionPolicy};
use jiff::Timestamp;
use s3s::{S3Result, s3_error};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// How long a role's credentials are good for unless asked otherwise: what AWS allows at most.
pub const DEFAULT_SESSION: Duration = Duration::from_hours(12);
/// The name of the sessions that are issued here.
const SESSION_NAME: &str = "bucketwright";

/// Credentials of a principal.
#[derive(Clone)]
pub struct Issued {
    /// The access key id.
    pub access_key: String,
    /// The secret that signs requests.
    pub secret_key: String,
    /// The token of a role's session; users have none.
    pub session_token: Option<String>,
    /// Whose they are: a user's ARN, or a session's.
    pub arn: String,
    /// When they end; none for users.
    pub expires_at: Option<Timestamp>,
}

impl fmt::Debug for Issued {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Issued").field("access_key", &self.access_key).field("arn", &self.arn).finish_non_exhaustive()
    }
}

/// What a token says. A token that says more than is known here might limit its session by it, so it is none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Session {
    access_key: String,
    pub(super) role: String,
    pub(super) name: String,
    pub(super) issued_s: i64,
    expires_s: i64,
    /// The session policy's text. Nothing is kept here of a session, so it travels with the token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    policy: Option<String>,
}

/// Now, as seconds of the epoch.
pub(super) fn now_s() -> i64 {
    i64::try_from(now_ms() / 1000).unwrap_or(i64::MAX)
}

impl Session {
    /// What a token says that came with `access_key`, as AWS answers to wrong ones.
    ///
    /// Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html>
    pub(super) fn read(keys: &Keys, token: Option<&str>, access_key: &str) -> S3Result<Self> {
        let Some(token) = token else {
            return Err(s3_error!(
                InvalidAccessKeyId,
                "The AWS Access Key Id you provided does not exist in our records."
            ));
        };
        let session = keys.unseal(token).and_then(|payload| serde_json::from_slice::<Self>(&payload).ok());
        match session.filter(|session| session.access_key == access_key) {
            None => Err(invalid_token()),
            Some(session) if session.expires_s <= now_s() => {
                Err(s3_error!(ExpiredToken, "The provided token has expired."))
            }
            Some(session) => Ok(session),
        }
    }

    /// What was passed to limit the session; none if nothing was.
    pub(super) fn policies(&self) -> S3Result<Option<Vec<Arc<Policy>>>> {
        let Some(text) = &self.policy else { return Ok(None) };
        let document = Document::parse(text).map_err(|_| invalid_token())?;
        Ok(Some(vec![Arc::new(Policy { name: "session policy".to_owned(), document })]))
    }
}

/// The refusal of a token that is none, or belongs to other keys.
pub(super) fn invalid_token() -> s3s::S3Error {
    s3_error!(InvalidToken, "The provided token is malformed or otherwise invalid.")
}

/// New credentials of a principal.
pub(super) fn issue(keys: &Keys, principal: &Principal, account: &AccountId, lasts: Duration) -> io::Result<Issued> {
    if principal.kind == Kind::Role {
        return issue_session(keys, principal, account, lasts, None);
    }
    let (access_key, secret_key) = keys.of_user(&principal.name);
    Ok(Issued { access_key, secret_key, session_token: None, arn: principal.arn(account), expires_at: None })
}

/// A new session of a role, which `policy` limits.
pub(super) fn issue_session(
    keys: &Keys,
    role: &Principal,
    account: &AccountId,
    lasts: Duration,
    policy: Option<&SessionPolicy>,
) -> io::Result<Issued> {
    let (access_key, secret_key) = keys.of_new_session()?;
    let issued_s = now_s();
    let expires_s = issued_s.saturating_add(i64::try_from(lasts.as_secs()).unwrap_or(i64::MAX));
    let session = Session {
        access_key: access_key.clone(),
        role: role.name.clone(),
        name: SESSION_NAME.to_owned(),
        issued_s,
        expires_s,
        policy: policy.map(|policy| policy.as_str().to_owned()),
    };
    let payload = serde_json::to_vec(&session).map_err(io::Error::other)?;
    Ok(Issued {
        access_key,
        secret_key,
        session_token: Some(keys.seal(&payload)),
        arn: session_arn(&session, account),
        expires_at: Timestamp::from_second(expires_s).ok(),
    })
}

/// The ARN of a session, which leaves out its role's path.
pub(super) fn session_arn(session: &Session, account: &AccountId) -> String {
    format!("arn:aws:sts::{account}:assumed-role/{}/{}", session.role, session.name)
}

/// The caller that policies see.
pub(super) fn caller(principal: &Principal, session: Option<&Session>, account: &AccountId) -> Caller {
    let (arn, account_id) = (principal.arn(account), account.to_string());
    match session {
        Some(session) => Caller::RoleSession { session: session_arn(session, account), role: arn, account: account_id },
        None => Caller::User { arn, account: account_id },
    }
}

/// What `aws:userid` and GetCallerIdentity tell: a unique id, which here follows from the name.
pub(super) fn user_id(principal: &Principal, session: Option<&Session>, account: &AccountId) -> String {
    let digits = digest(Algorithm::Sha256, principal.arn(account).as_bytes()).hex().to_uppercase();
    let digits = digits.get(..17).unwrap_or_default();
    match session {
        Some(session) => format!("AROA{digits}:{}", session.name),
        None => format!("AIDA{digits}"),
    }
}
