//! Instance profiles: what stands between an instance and a role, with a name of its own.

use super::{Iam, read, role_target, seen};
use crate::aws::ServiceError;
use crate::model::{Arn, RoleName, Seen};

impl Iam {
    /// The names of the instance profiles that hold a role.
    pub async fn profiles_of(&self, role: &RoleName) -> Result<Seen<Vec<String>>, ServiceError> {
        let pages = self.client.list_instance_profiles_for_role().role_name(role.as_str());
        let listed: Result<Vec<_>, _> = pages.into_paginator().items().send().collect().await;
        let listed =
            listed.map_err(|error| ServiceError::new("ListInstanceProfilesForRole", role_target(role), &error));
        seen(listed.map(|found| found.iter().map(|one| one.instance_profile_name().to_owned()).collect()))
    }

    /// The role in an instance profile; absent where it holds none.
    pub async fn role_in_profile(&self, profile: &str) -> Result<Seen<Arn>, ServiceError> {
        const OPERATION: &str = "GetInstanceProfile";
        let target = format!("instance profile {profile}");
        let answer = self.client.get_instance_profile().instance_profile_name(profile).send().await;
        let answer = match seen(answer.map_err(|error| ServiceError::new(OPERATION, &target, &error)))? {
            Seen::Here(answer) => answer,
            Seen::Absent => return Ok(Seen::Absent),
            Seen::Hidden(why) => return Ok(Seen::Hidden(why)),
        };
        match answer.instance_profile().and_then(|profile| profile.roles().first()) {
            Some(role) => read(OPERATION, &target, Some(role.arn())).map(Seen::Here),
            None => Ok(Seen::Absent),
        }
    }
}
