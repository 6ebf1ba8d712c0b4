//! Lists that tell whether a name is known.

use super::{Iam, read, seen};
use crate::aws::failure::ServiceError;
use crate::model::{Arn, Seen};
use std::collections::BTreeSet;

impl Iam {
    /// The OIDC providers of the account.
    pub async fn oidc_providers(&self) -> Result<Seen<BTreeSet<Arn>>, ServiceError> {
        const OPERATION: &str = "ListOpenIDConnectProviders";
        let answer = self.client.list_open_id_connect_providers().send().await;
        let answer = match seen(answer.map_err(|error| ServiceError::new(OPERATION, "the account", &error)))? {
            Seen::Here(answer) => answer,
            Seen::Absent => return Ok(Seen::Absent),
            Seen::Hidden(why) => return Ok(Seen::Hidden(why)),
        };
        let listed = answer.open_id_connect_provider_list().iter();
        let arns: Result<_, _> = listed.map(|provider| read(OPERATION, "the account", provider.arn())).collect();
        arns.map(Seen::Here)
    }
}
