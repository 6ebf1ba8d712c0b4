//! Who is asking, and whether the request may be heard at all.
//!
//! Signatures are checked by `s3s` with the secret that [`Doorkeeper`] hands out. Its hooks allow by default, so the hook here
//! refuses whatever carries no valid signature; it is the one place that every operation passes before it is carried out.

use super::secret::Keys;
use crate::model::AccountId;
use http::HeaderMap;
use s3s::access::{S3Access, S3AccessContext};
use s3s::auth::{Credentials, S3Auth, SecretKey};
use s3s::{S3Result, s3_error};

/// Knows the keys of the folder and the account that owns everything in it.
#[derive(Debug, Clone)]
pub(super) struct Doorkeeper {
    pub(super) keys: Keys,
    pub(super) account: AccountId,
}

impl Doorkeeper {
    /// Refuses requests without a valid signature, and those that expect another account to own the bucket.
    pub(super) fn admit(&self, credentials: Option<&Credentials>, headers: &HeaderMap) -> S3Result<()> {
        let known = credentials.is_some_and(|credentials| credentials.access_key == self.keys.access_key());
        if !known {
            return Err(s3_error!(AccessDenied, "Access Denied"));
        }
        for name in ["x-amz-expected-bucket-owner", "x-amz-source-expected-bucket-owner"] {
            if headers.get(name).is_some_and(|owner| owner.as_bytes() != self.account.as_str().as_bytes()) {
                return Err(s3_error!(AccessDenied, "Access Denied"));
            }
        }
        Ok(())
    }
}

#[async_trait::async_trait]
impl S3Auth for Doorkeeper {
    async fn get_secret_key(&self, access_key: &str) -> S3Result<SecretKey> {
        if access_key == self.keys.access_key() {
            Ok(SecretKey::from(self.keys.secret_key()))
        } else {
            Err(s3_error!(InvalidAccessKeyId, "The AWS Access Key Id you provided does not exist in our records."))
        }
    }
}

#[async_trait::async_trait]
impl S3Access for Doorkeeper {
    async fn check(&self, context: &mut S3AccessContext<'_>) -> S3Result<()> {
        self.admit(context.credentials(), context.headers())
    }
}
