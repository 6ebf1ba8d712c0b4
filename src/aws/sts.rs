//! Sessions: credentials of a role, or of a user limited by policies, for as long as a verification takes.

use super::{ATTEMPTS, Keys, ServiceError};
use crate::model::{Arn, Region};
use aws_config::SdkConfig;
use aws_sdk_sts::types::{AssumedRoleUser, Credentials, PolicyDescriptorType};
use aws_smithy_types::retry::RetryConfig;
use std::fmt;

/// The name that sessions have in CloudTrail and in refusals.
const SESSION_NAME: &str = "bucketwright";
/// How long a session lasts: what every role allows.
const SESSION_SECONDS: i32 = 3600;

/// What a session is limited to, beside the rights of whose session it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionLimit {
    /// Nothing.
    None,
    /// A policy document, of at most 2,048 characters.
    Document(String),
    /// Managed policies of the account, ten at most.
    Managed(Vec<Arn>),
}

/// Temporary credentials and whose they are.
#[derive(Clone)]
pub struct SessionKeys {
    access_key: String,
    secret_key: String,
    session_token: String,
    /// The session's ARN; empty where the service does not tell.
    pub arn: String,
}

impl fmt::Debug for SessionKeys {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("SessionKeys").field("access_key", &self.access_key).finish_non_exhaustive()
    }
}

impl SessionKeys {
    /// The keys as connections take them.
    pub fn keys(&self) -> Keys<'_> {
        Keys { access_key: &self.access_key, secret_key: &self.secret_key, session_token: Some(&self.session_token) }
    }

    fn new(found: Option<&Credentials>, arn: &str) -> Option<Self> {
        let found = found?;
        Some(Self {
            access_key: found.access_key_id().to_owned(),
            secret_key: found.secret_access_key().to_owned(),
            session_token: found.session_token().to_owned(),
            arn: arn.to_owned(),
        })
    }
}

impl SessionLimit {
    fn document(&self) -> Option<String> {
        if let Self::Document(text) = self { Some(text.clone()) } else { None }
    }

    fn managed(&self) -> Option<Vec<PolicyDescriptorType>> {
        let Self::Managed(arns) = self else { return None };
        Some(arns.iter().map(|arn| PolicyDescriptorType::builder().arn(arn.as_str()).build()).collect())
    }
}

fn client(config: &SdkConfig, region: &Region) -> aws_sdk_sts::Client {
    let config = aws_sdk_sts::config::Builder::from(config)
        .region(aws_config::Region::new(region.as_str().to_owned()))
        .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS))
        .build();
    aws_sdk_sts::Client::from_conf(config)
}

fn nothing_in(operation: &'static str, target: &str) -> ServiceError {
    ServiceError::unexpected(operation, target, "the answer holds no credentials")
}

/// Takes a role, limited by `limit`.
///
/// Source: <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html>
pub async fn assume_role(
    config: &SdkConfig,
    region: &Region,
    role: &Arn,
    limit: &SessionLimit,
) -> Result<SessionKeys, ServiceError> {
    let request = client(config, region).assume_role().role_arn(role.as_str()).role_session_name(SESSION_NAME);
    let request = request.duration_seconds(SESSION_SECONDS);
    let answer = request.set_policy(limit.document()).set_policy_arns(limit.managed()).send().await;
    let answer = answer.map_err(|error| ServiceError::new("AssumeRole", role, &error))?;
    let arn = answer.assumed_role_user().map(AssumedRoleUser::arn).unwrap_or_default();
    SessionKeys::new(answer.credentials(), arn).ok_or_else(|| nothing_in("AssumeRole", role.as_str()))
}

/// A session of the calling user, limited by `limit`. Without a limit it may nothing.
///
/// Source: <https://docs.aws.amazon.com/STS/latest/APIReference/API_GetFederationToken.html>
pub async fn federation_token(
    config: &SdkConfig,
    region: &Region,
    limit: &SessionLimit,
) -> Result<SessionKeys, ServiceError> {
    let request = client(config, region).get_federation_token().name(SESSION_NAME).duration_seconds(SESSION_SECONDS);
    let answer = request.set_policy(limit.document()).set_policy_arns(limit.managed()).send().await;
    let answer = answer.map_err(|error| ServiceError::new("GetFederationToken", "the calling user", &error))?;
    let arn = answer.federated_user().map(aws_sdk_sts::types::FederatedUser::arn).unwrap_or_default();
    SessionKeys::new(answer.credentials(), arn).ok_or_else(|| nothing_in("GetFederationToken", "the calling user"))
}

#[cfg(test)]
mod tests {
    use super::{SessionKeys, SessionLimit};

    #[test]
    fn keys_are_never_shown() {
        let found = aws_sdk_sts::types::Credentials::builder()
            .access_key_id("ASIAEXAMPLE")
            .secret_access_key("the-secret")
            .session_token("the-token")
            .expiration(aws_smithy_types::DateTime::from_secs(0))
            .build()
            .unwrap();
        let keys = SessionKeys::new(Some(&found), "arn:aws:sts::111122223333:assumed-role/r/bucketwright").unwrap();
        let shown = format!("{keys:?} {:?} {:?}", keys.keys(), keys.keys().credentials());
        assert!(shown.contains("ASIAEXAMPLE"), "{shown}");
        assert!(!shown.contains("the-secret") && !shown.contains("the-token"), "{shown}");
    }

    #[test]
    fn a_limit_is_one_document_or_managed_policies() {
        let arn = "arn:aws:iam::111122223333:policy/a";
        let managed = SessionLimit::Managed(vec![arn.parse().unwrap()]);
        assert_eq!(managed.managed().unwrap()[0].arn(), Some(arn));
        assert_eq!(
            (managed.document(), SessionLimit::None.document(), SessionLimit::None.managed()),
            (None, None, None)
        );
        assert_eq!(SessionLimit::Document("{}".to_owned()).document().as_deref(), Some("{}"));
    }
}
