//! Who has access keys, and what IAM remembers of use.

use super::{AT_ONCE, Iam, date, read, seen, unless_gone};
use crate::aws::failure::{ErrorClass, ServiceError};
use crate::model::{AccessKey, Arn, KeyUse, Seen, ServiceUse, User};
use aws_sdk_iam::types;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use std::time::Duration;

/// The whole account, where a call is about nothing smaller.
const ACCOUNT: &str = "the account";
/// IAM puts a report of use together in the background, mostly within some seconds.
const BETWEEN_LOOKS: Duration = Duration::from_millis(700);
/// How often it is looked for before it counts as not to be had.
const MOST_LOOKS: u32 = 60;

impl Iam {
    /// All users with their access keys.
    pub async fn users(&self) -> Result<Seen<Vec<User>>, ServiceError> {
        seen(self.all_users().await)
    }

    async fn all_users(&self) -> Result<Vec<User>, ServiceError> {
        let pages = self.client.list_users().into_paginator().items().send();
        let listed: Result<Vec<types::User>, _> = pages.collect().await;
        let listed = listed.map_err(|error| ServiceError::new("ListUsers", ACCOUNT, &error))?;
        let one = |user: types::User| async move { self.with_keys(&user).await };
        stream::iter(listed).map(one).buffered(AT_ONCE).try_collect().await
    }

    async fn with_keys(&self, user: &types::User) -> Result<User, ServiceError> {
        let name = user.user_name();
        Ok(User {
            arn: read("ListUsers", name, Some(user.arn()))?,
            name: name.to_owned(),
            created: date(user.create_date()),
            keys: seen(self.keys_of(name).await)?,
        })
    }

    async fn keys_of(&self, user: &str) -> Result<Vec<AccessKey>, ServiceError> {
        let pages = self.client.list_access_keys().user_name(user).into_paginator().items().send();
        let listed: Result<Vec<_>, _> = pages.collect().await;
        let target = || format!("user {user}");
        let listed = listed.map_err(|error| ServiceError::new("ListAccessKeys", target(), &error))?;
        let mut keys = Vec::new();
        for key in &listed {
            let is_active = key.status() == Some(&types::StatusType::Active);
            keys.push(AccessKey {
                id: key.access_key_id().map(str::to_owned),
                is_active,
                created: key.create_date().and_then(date),
                last_use: match key.access_key_id().filter(|_| is_active) {
                    Some(id) => self.key_use(id).await?,
                    None => Seen::Absent,
                },
            });
        }
        Ok(keys)
    }

    async fn key_use(&self, id: &str) -> Result<Seen<Option<KeyUse>>, ServiceError> {
        let answer = self.client.get_access_key_last_used().access_key_id(id).send().await;
        let answer = answer.map_err(|error| ServiceError::new("GetAccessKeyLastUsed", id, &error));
        let found = recorded(answer)?;
        Ok(match found {
            Seen::Here(answer) => Seen::Here(answer.access_key_last_used().and_then(|used| {
                let at = date(used.last_used_date()?)?;
                Some(KeyUse { at, service: used.service_name().to_owned() })
            })),
            Seen::Absent => Seen::Absent,
            Seen::Hidden(why) => Seen::Hidden(why),
        })
    }

    /// When those who have a policy last tried the services that it speaks of; absent where no record is kept.
    pub async fn policy_use(&self, policy: &Arn) -> Result<Seen<Vec<ServiceUse>>, ServiceError> {
        const OPERATION: &str = "GenerateServiceLastAccessedDetails";
        let answer = self.client.generate_service_last_accessed_details().arn(policy.as_str()).send().await;
        let answer = answer.map_err(|error| ServiceError::new(OPERATION, policy, &error));
        let job = match recorded(answer)? {
            Seen::Here(answer) => answer.job_id().map(str::to_owned),
            Seen::Absent => return Ok(Seen::Absent),
            Seen::Hidden(why) => return Ok(Seen::Hidden(why)),
        };
        let job = job.ok_or_else(|| ServiceError::unexpected(OPERATION, policy, "the answer names no report"))?;
        for _ in 0..MOST_LOOKS {
            match recorded(unless_gone(self.report(policy, &job).await))? {
                Seen::Here(Some(Report::Whole(uses))) => return Ok(Seen::Here(uses)),
                Seen::Here(Some(Report::Failed(why))) => return Ok(Seen::Hidden(why)),
                Seen::Here(Some(Report::UnderWay)) => tokio::time::sleep(BETWEEN_LOOKS).await,
                Seen::Here(None) | Seen::Absent => return Ok(Seen::Absent),
                Seen::Hidden(why) => return Ok(Seen::Hidden(why)),
            }
        }
        Ok(Seen::Hidden("IAM did not finish its report of use".to_owned()))
    }

    /// The report as it stands, all of its pages once it is whole.
    async fn report(&self, policy: &Arn, job: &str) -> Result<Report, ServiceError> {
        let mut uses = Vec::new();
        let mut marker = None;
        loop {
            let request = self.client.get_service_last_accessed_details().job_id(job).set_marker(marker);
            let answer = request.send().await;
            let answer = answer.map_err(|error| ServiceError::new("GetServiceLastAccessedDetails", policy, &error))?;
            match answer.job_status() {
                types::JobStatusType::Completed => {}
                types::JobStatusType::Failed => {
                    let why = answer.error().map_or("IAM gave no reason", types::ErrorDetails::message);
                    return Ok(Report::Failed(format!("IAM could not make its report of use: {why}")));
                }
                _ => return Ok(Report::UnderWay),
            }
            uses.extend(answer.services_last_accessed().iter().map(|used| ServiceUse {
                service: used.service_namespace().to_owned(),
                last: used.last_authenticated().and_then(date),
                by: used.last_authenticated_entity().map(str::to_owned),
            }));
            marker = answer.marker().filter(|_| answer.is_truncated()).map(str::to_owned);
            if marker.is_none() {
                return Ok(Report::Whole(uses));
            }
        }
    }
}

/// How far a report of use is.
enum Report {
    Whole(Vec<ServiceUse>),
    Failed(String),
    UnderWay,
}

/// A service without the call keeps no record, which hides nothing.
fn recorded<T>(answer: Result<T, ServiceError>) -> Result<Seen<T>, ServiceError> {
    match answer {
        Err(error) if error.class == ErrorClass::Unsupported => Ok(Seen::Absent),
        answer => seen(answer),
    }
}
