//! Writes managed policies, one call a method. Quotas, owners and backups are the planner's business.

use super::{Iam, read, unless_gone, written};
use crate::aws::failure::ServiceError;
use crate::model::{Arn, PolicyJson, PolicyName, RoleName, Tags, VersionId};

impl Iam {
    /// Makes a policy whose only version is `document`.
    pub async fn create_policy(
        &self,
        name: &PolicyName,
        path: &str,
        description: &str,
        document: &PolicyJson,
        tags: &Tags,
    ) -> Result<Arn, ServiceError> {
        const OPERATION: &str = "CreatePolicy";
        let target = name.as_str();
        let request = self.client.create_policy().policy_name(target).path(path).policy_document(&document.0);
        let request = request.set_tags(Some(written(tags, OPERATION, target)?));
        let request = if description.is_empty() { request } else { request.description(description) };
        let answer = request.send().await.map_err(|error| ServiceError::new(OPERATION, target, &error))?;
        read(OPERATION, target, answer.policy().and_then(aws_sdk_iam::types::Policy::arn))
    }

    /// Adds a version and puts it in force.
    pub async fn create_version(&self, arn: &Arn, document: &PolicyJson) -> Result<VersionId, ServiceError> {
        const OPERATION: &str = "CreatePolicyVersion";
        let request = self.client.create_policy_version().policy_arn(arn.as_str()).policy_document(&document.0);
        let answer = request.set_as_default(true).send().await;
        let answer = answer.map_err(|error| ServiceError::new(OPERATION, arn, &error))?;
        let id = answer.policy_version().and_then(aws_sdk_iam::types::PolicyVersion::version_id);
        read(OPERATION, arn.as_str(), id)
    }

    /// Puts a version in force, for everybody whom the policy is attached to.
    pub async fn set_default(&self, arn: &Arn, version: VersionId) -> Result<(), ServiceError> {
        let request = self.client.set_default_policy_version().policy_arn(arn.as_str());
        let answer = request.version_id(version.to_string()).send().await;
        answer.map(|_| ()).map_err(|error| ServiceError::new("SetDefaultPolicyVersion", arn, &error))
    }

    /// Removes a version that is not in force; one that is gone is no error.
    pub async fn delete_version(&self, arn: &Arn, version: VersionId) -> Result<(), ServiceError> {
        let request = self.client.delete_policy_version().policy_arn(arn.as_str()).version_id(version.to_string());
        let answer = request.send().await.map_err(|error| ServiceError::new("DeletePolicyVersion", arn, &error));
        unless_gone(answer).map(|_| ())
    }

    /// Adds tags, or gives those of the same key another value.
    pub async fn tag_policy(&self, arn: &Arn, tags: &Tags) -> Result<(), ServiceError> {
        const OPERATION: &str = "TagPolicy";
        let request = self.client.tag_policy().policy_arn(arn.as_str());
        let request = request.set_tags(Some(written(tags, OPERATION, arn.as_str())?));
        request.send().await.map(|_| ()).map_err(|error| ServiceError::new(OPERATION, arn, &error))
    }

    /// Removes a policy that is attached to nobody and has one version; one that is gone is no error.
    pub async fn delete_policy(&self, arn: &Arn) -> Result<(), ServiceError> {
        let answer = self.client.delete_policy().policy_arn(arn.as_str()).send().await;
        unless_gone(answer.map_err(|error| ServiceError::new("DeletePolicy", arn, &error))).map(|_| ())
    }

    /// Attaches a policy to a role; one that is attached already stays so.
    pub async fn attach(&self, role: &RoleName, policy: &Arn) -> Result<(), ServiceError> {
        let request = self.client.attach_role_policy().role_name(role.as_str()).policy_arn(policy.as_str());
        let failed = |error| ServiceError::new("AttachRolePolicy", format!("{policy} to role {role}"), &error);
        request.send().await.map(|_| ()).map_err(failed)
    }

    /// Detaches a policy from a role; one that is not attached is no error.
    pub async fn detach(&self, role: &RoleName, policy: &Arn) -> Result<(), ServiceError> {
        let request = self.client.detach_role_policy().role_name(role.as_str()).policy_arn(policy.as_str());
        let failed = |error| ServiceError::new("DetachRolePolicy", format!("{policy} from role {role}"), &error);
        unless_gone(request.send().await.map_err(failed)).map(|_| ())
    }
}
