//! Roles as they are: GetRole alone tells boundary, tags and last use, listings leave them out.

use super::{Iam, date, document, read, role_target, seen, tags, unless_gone};
use crate::aws::failure::ServiceError;
use crate::model::{Arn, InlinePolicy, LastUse, PolicyName, Role, RoleName, Seen};
use aws_sdk_iam::types;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

impl Iam {
    /// A role with its policies.
    pub async fn role(&self, name: &RoleName) -> Result<Seen<Role>, ServiceError> {
        seen(self.whole_role(name).await)
    }

    async fn whole_role(&self, name: &RoleName) -> Result<Role, ServiceError> {
        let target = role_target(name);
        let answer = self.client.get_role().role_name(name.as_str()).send().await;
        let answer = answer.map_err(|error| ServiceError::new("GetRole", &target, &error))?;
        let role = answer.role().ok_or_else(|| ServiceError::unexpected("GetRole", &target, "the answer is empty"))?;
        Ok(Role {
            arn: read("GetRole", &target, Some(role.arn()))?,
            name: read("GetRole", &target, Some(role.role_name()))?,
            description: role.description().map(str::to_owned),
            trust: document("GetRole", &target, role.assume_role_policy_document())?,
            attached: self.attached_to(name, &target).await?,
            inline: self.inline_of(name, &target).await?,
            boundary: role
                .permissions_boundary()
                .and_then(types::AttachedPermissionsBoundary::permissions_boundary_arn)
                .map(|arn| read("GetRole", &target, Some(arn)))
                .transpose()?,
            tags: tags(role.tags()),
            created: date(role.create_date()),
            last_use: role.role_last_used().and_then(last_use),
        })
    }

    async fn attached_to(&self, name: &RoleName, target: &str) -> Result<Vec<Arn>, ServiceError> {
        let pages = self.client.list_attached_role_policies().role_name(name.as_str());
        let listed: Result<Vec<_>, _> = pages.into_paginator().items().send().collect().await;
        let listed = listed.map_err(|error| ServiceError::new("ListAttachedRolePolicies", target, &error))?;
        listed.iter().map(|policy| read("ListAttachedRolePolicies", target, policy.policy_arn())).collect()
    }

    async fn inline_of(&self, name: &RoleName, target: &str) -> Result<Vec<InlinePolicy>, ServiceError> {
        let pages = self.client.list_role_policies().role_name(name.as_str());
        let names: Result<Vec<_>, _> = pages.into_paginator().items().send().collect().await;
        let names = names.map_err(|error| ServiceError::new("ListRolePolicies", target, &error))?;
        let one = |policy: String| async move { unless_gone(self.inline(name, target, &policy).await) };
        let found: Vec<Option<_>> = stream::iter(names).map(one).buffered(super::AT_ONCE).try_collect().await?;
        Ok(found.into_iter().flatten().collect())
    }

    async fn inline(&self, role: &RoleName, target: &str, name: &str) -> Result<InlinePolicy, ServiceError> {
        let answer = self.client.get_role_policy().role_name(role.as_str()).policy_name(name).send().await;
        let answer = answer.map_err(|error| ServiceError::new("GetRolePolicy", target, &error))?;
        let name: PolicyName = read("GetRolePolicy", target, Some(name))?;
        Ok(InlinePolicy { name, document: document("GetRolePolicy", target, Some(answer.policy_document()))? })
    }

    /// The ARNs of all roles of the account.
    pub async fn roles(&self) -> Result<Vec<Arn>, ServiceError> {
        let pages = self.client.list_roles().into_paginator().items().send();
        let listed: Result<Vec<_>, _> = pages.collect().await;
        let listed = listed.map_err(|error| ServiceError::new("ListRoles", "the account", &error))?;
        listed.iter().map(|role| read("ListRoles", "the account", Some(role.arn()))).collect()
    }
}

fn last_use(used: &types::RoleLastUsed) -> Option<LastUse> {
    Some(LastUse { at: date(used.last_used_date()?)?, region: used.region().map(str::to_owned) })
}
