//! Writes roles, one call a method.

use super::{Iam, read, role_target, written};
use crate::aws::failure::ServiceError;
use crate::model::{Arn, PolicyJson, PolicyName, RoleName, Tags};

impl Iam {
    /// Makes a role that those may take whom `trust` names.
    pub async fn create_role(
        &self,
        name: &RoleName,
        path: &str,
        description: &str,
        trust: &PolicyJson,
        tags: &Tags,
    ) -> Result<Arn, ServiceError> {
        const OPERATION: &str = "CreateRole";
        let target = role_target(name);
        let request = self.client.create_role().role_name(name.as_str()).path(path);
        let request = request.assume_role_policy_document(&trust.0);
        let request = request.set_tags(Some(written(tags, OPERATION, &target)?));
        let request = if description.is_empty() { request } else { request.description(description) };
        let answer = request.send().await.map_err(|error| ServiceError::new(OPERATION, &target, &error))?;
        read(OPERATION, &target, answer.role().map(aws_sdk_iam::types::Role::arn))
    }

    /// Replaces who may take a role.
    pub async fn put_trust(&self, role: &RoleName, trust: &PolicyJson) -> Result<(), ServiceError> {
        let request = self.client.update_assume_role_policy().role_name(role.as_str()).policy_document(&trust.0);
        let answer = request.send().await;
        answer.map(|_| ()).map_err(|error| ServiceError::new("UpdateAssumeRolePolicy", role_target(role), &error))
    }

    /// Adds tags, or gives those of the same key another value.
    pub async fn tag_role(&self, role: &RoleName, tags: &Tags) -> Result<(), ServiceError> {
        const OPERATION: &str = "TagRole";
        let target = role_target(role);
        let request = self.client.tag_role().role_name(role.as_str());
        let request = request.set_tags(Some(written(tags, OPERATION, &target)?));
        request.send().await.map(|_| ()).map_err(|error| ServiceError::new(OPERATION, &target, &error))
    }

    /// Puts an inline policy, replacing the one of that name.
    pub async fn put_inline(
        &self,
        role: &RoleName,
        name: &PolicyName,
        document: &PolicyJson,
    ) -> Result<(), ServiceError> {
        let request = self.client.put_role_policy().role_name(role.as_str()).policy_name(name.as_str());
        let answer = request.policy_document(&document.0).send().await;
        answer.map(|_| ()).map_err(|error| ServiceError::new("PutRolePolicy", role_target(role), &error))
    }

    /// Bounds a role by a managed policy.
    pub async fn put_boundary(&self, role: &RoleName, policy: &Arn) -> Result<(), ServiceError> {
        let request = self.client.put_role_permissions_boundary().role_name(role.as_str());
        let answer = request.permissions_boundary(policy.as_str()).send().await;
        answer.map(|_| ()).map_err(|error| ServiceError::new("PutRolePermissionsBoundary", role_target(role), &error))
    }
}
