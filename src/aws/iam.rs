//! The IAM edge: roles and managed policies as they are, read page by page and written one call at a time.
//!
//! IAM is global: the SDK finds its endpoint and the Region that signs. Nothing is sent before it is asked for.

mod lists;
mod policies;
mod policy_writes;
mod profiles;
mod role_writes;
mod roles;
mod uses;

use super::failure::{ErrorClass, ServiceError};
use super::s3::moment;
use crate::model::{AccountId, Arn, IamQuotas, PolicyJson, Region, Seen, TagKey, TagValue, Tags};
use aws_config::SdkConfig;
use aws_sdk_iam::Client;
use aws_sdk_iam::types;
use std::str::FromStr;

/// How many policies or roles are read at once: IAM throttles whole accounts.
const AT_ONCE: usize = 4;

/// The IAM service as one caller sees it.
#[derive(Debug, Clone)]
pub struct Iam {
    client: Client,
    /// The caller's account, where it is known: names alone become ARNs by it.
    account: Option<AccountId>,
    /// `aws`, `aws-cn`, `aws-us-gov` or another.
    partition: &'static str,
}

impl Iam {
    /// The service that `config` reaches.
    pub fn new(config: &SdkConfig, region: &Region, account: Option<AccountId>) -> Self {
        let config = aws_sdk_iam::config::Builder::from(config)
            .region(aws_config::Region::new(region.as_str().to_owned()))
            .build();
        Self { client: Client::from_conf(config), account, partition: region.partition() }
    }

    /// The account's limits that grants meet.
    pub async fn quotas(&self) -> Result<Seen<IamQuotas>, ServiceError> {
        let answer = self.client.get_account_summary().send().await;
        seen(answer.map_err(|error| ServiceError::new("GetAccountSummary", "the account", &error)).map(|output| {
            let number = |key: &str| {
                let value = output.summary_map()?.get(&types::SummaryKeyType::from(key))?;
                u64::try_from(*value).ok()
            };
            let left = |quota: &str, used: &str, usual: u64| {
                number(quota).unwrap_or(usual).saturating_sub(number(used).unwrap_or_default())
            };
            // What the service leaves out has AWS's usual value.
            IamQuotas {
                attached_policies_per_role: number("AttachedPoliciesPerRoleQuota")
                    .unwrap_or(IamQuotas::USUAL.attached_policies_per_role),
                versions_per_policy: number("VersionsPerPolicyQuota").unwrap_or(IamQuotas::USUAL.versions_per_policy),
                policy_characters: number("PolicySizeQuota").unwrap_or(IamQuotas::USUAL.policy_characters),
                trust_characters: number("AssumeRolePolicySizeQuota").unwrap_or(IamQuotas::USUAL.trust_characters),
                policies_left: left("PoliciesQuota", "Policies", IamQuotas::USUAL.policies_left),
                roles_left: left("RolesQuota", "Roles", IamQuotas::USUAL.roles_left),
            }
        }))
    }
}

/// An answer, an absence, or a refusal, which is none of both.
pub(super) fn seen<T>(answer: Result<T, ServiceError>) -> Result<Seen<T>, ServiceError> {
    match answer {
        Ok(value) => Ok(Seen::Here(value)),
        Err(error) => match error.class {
            ErrorClass::NotFound => Ok(Seen::Absent),
            // An endpoint without the service may not be read either.
            ErrorClass::Denied | ErrorClass::Unsupported | ErrorClass::NotS3 => Ok(Seen::Hidden(error.to_string())),
            _ => Err(error),
        },
    }
}

/// The same for a part of something larger: whatever fails leaves that part unknown, as a cluster can be looked at from where
/// EC2 cannot be reached. Only credentials that are not taken end the run.
pub(super) fn part_seen<T>(answer: Result<T, ServiceError>) -> Result<Seen<T>, ServiceError> {
    match answer {
        Err(error) if error.class != ErrorClass::NotFound && !error.class.is_about_credentials() => {
            Ok(Seen::Hidden(error.to_string()))
        }
        answer => seen(answer),
    }
}

/// The same answer; an entity that went away since it was listed is none.
pub(super) fn unless_gone<T>(answer: Result<T, ServiceError>) -> Result<Option<T>, ServiceError> {
    match answer {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.class == ErrorClass::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// A text of the service as the value it must be.
pub(super) fn read<T: FromStr>(operation: &'static str, target: &str, text: Option<&str>) -> Result<T, ServiceError>
where
    T::Err: std::fmt::Display,
{
    let text = text.ok_or_else(|| ServiceError::unexpected(operation, target, "the answer lacks a field"))?;
    text.parse().map_err(|error: T::Err| ServiceError::unexpected(operation, target, error.to_string()))
}

/// A document as IAM sends it: URL-encoded by RFC 3986, which leaves no brace as it is.
///
/// Source: <https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetPolicyVersion.html>
fn document(operation: &'static str, target: &str, text: Option<&str>) -> Result<PolicyJson, ServiceError> {
    let bad = |message| ServiceError::unexpected(operation, target, message);
    let text = text.ok_or_else(|| bad("the answer has no document"))?;
    if text.trim_start().starts_with('{') {
        return Ok(PolicyJson(text.to_owned()));
    }
    decoded(text).map(PolicyJson).ok_or_else(|| bad("the document is not URL-encoded text"))
}

/// `%XX` is a byte, everything else itself. None if no UTF-8 comes out.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
        bytes.push(match byte {
            b'%' => u8::try_from(digit(rest.next())? * 16 + digit(rest.next())?).ok()?,
            plain => plain,
        });
    }
    String::from_utf8(bytes).ok()
}

fn tags(listed: &[types::Tag]) -> Tags {
    listed.iter().map(|tag| (TagKey::observed(tag.key()), TagValue::observed(tag.value()))).collect()
}

fn written(tags: &Tags, operation: &'static str, target: &str) -> Result<Vec<types::Tag>, ServiceError> {
    let tag =
        |(key, value): (&TagKey, &TagValue)| types::Tag::builder().key(key.as_str()).value(value.as_str()).build();
    tags.iter().map(tag).collect::<Result<_, _>>().map_err(|error| incomplete(operation, target, &error))
}

/// A request that the SDK cannot build.
fn incomplete(operation: &'static str, target: &str, error: &impl std::error::Error) -> ServiceError {
    ServiceError::unexpected(operation, target, error.to_string())
}

/// A role or policy as messages name it.
fn role_target(name: &crate::model::RoleName) -> String {
    format!("role {name}")
}

/// A date that the service sent. The SDK writes 1970 where it must write something.
fn date(time: &aws_smithy_types::DateTime) -> Option<jiff::Timestamp> {
    (time.secs() != 0).then(|| moment(time)).flatten()
}

/// The account of a policy that AWS itself keeps.
fn is_kept_by_aws(arn: &Arn) -> bool {
    arn.account() == "aws"
}

#[cfg(test)]
mod tests {
    use super::{decoded, document};

    #[test]
    fn documents_are_decoded_once() {
        let read = |text| document("GetRole", "role x", Some(text)).map(|json| json.0).ok();
        let plain = r#"{"Resource":"arn:aws:s3:::b/a+b%20c"}"#;
        assert_eq!(read(plain).as_deref(), Some(plain), "what is not encoded stays as it is");
        let encoded = "%7B%22Resource%22%3A%22arn%3Aaws%3As3%3A%3A%3Ab%2Fa%2Bb%2520c%22%7D";
        assert_eq!(read(encoded).as_deref(), Some(plain));
        for bad in ["%", "%7", "%zz", "%ff"] {
            assert_eq!(decoded(bad), None, "{bad}");
        }
    }
}
