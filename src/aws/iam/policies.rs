//! Managed policies as they are, with their versions, and whom they are attached to.

use super::{AT_ONCE, Iam, date, document, is_kept_by_aws, read, seen, tags, unless_gone};
use crate::aws::failure::{ErrorClass, ServiceError};
use crate::model::{Arn, Attachments, ManagedPolicy, PolicyName, PolicyVersion, RoleName, Seen, Tags, VersionId};
use aws_sdk_iam::types;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

/// The whole account, where a call is about nothing smaller.
const ACCOUNT: &str = "the account";

impl Iam {
    /// A managed policy with its versions. Of policies that AWS keeps, which may have more than a hundred, only the one in
    /// force is read.
    pub async fn policy(&self, arn: &Arn) -> Result<Seen<ManagedPolicy>, ServiceError> {
        seen(self.whole_policy(arn).await)
    }

    async fn whole_policy(&self, arn: &Arn) -> Result<ManagedPolicy, ServiceError> {
        let target = arn.as_str();
        let answer = self.client.get_policy().policy_arn(target).send().await;
        let answer = answer.map_err(|error| ServiceError::new("GetPolicy", target, &error))?;
        let empty = || ServiceError::unexpected("GetPolicy", target, "the answer is empty");
        let policy = answer.policy().ok_or_else(empty)?;
        let default_version: VersionId = read("GetPolicy", target, policy.default_version_id())?;
        let ids = if is_kept_by_aws(arn) { vec![default_version] } else { self.version_ids(arn).await? };
        let version = |id: VersionId| async move { unless_gone(self.version(arn, id).await) };
        let versions: Vec<Option<_>> = stream::iter(ids).map(version).buffered(AT_ONCE).try_collect().await?;
        let versions: Vec<PolicyVersion> = versions.into_iter().flatten().collect();
        if !versions.iter().any(|version| version.id == default_version) {
            let message = "its version in force changed while it was read; try again";
            return Err(ServiceError::unexpected("GetPolicyVersion", target, message));
        }
        Ok(ManagedPolicy {
            arn: arn.clone(),
            name: read("GetPolicy", target, policy.policy_name())?,
            id: policy.policy_id().map(str::to_owned),
            description: described(policy.description()),
            default_version,
            versions,
            attachments: count(policy.attachment_count()),
            boundary_uses: count(policy.permissions_boundary_usage_count()),
            tags: tags(policy.tags()),
            created: policy.create_date().and_then(date),
            updated: policy.update_date().and_then(date),
        })
    }

    /// What a policy is for, which only the call about one policy tells: no listing does.
    pub async fn description(&self, arn: &Arn) -> Result<Seen<Option<String>>, ServiceError> {
        let answer = self.client.get_policy().policy_arn(arn.as_str()).send().await;
        let answer = answer.map_err(|error| ServiceError::new("GetPolicy", arn, &error));
        seen(answer.map(|answer| answer.policy().and_then(|policy| described(policy.description()))))
    }

    /// The newest first.
    async fn version_ids(&self, arn: &Arn) -> Result<Vec<VersionId>, ServiceError> {
        let target = arn.as_str();
        let pages = self.client.list_policy_versions().policy_arn(target).into_paginator().items().send();
        let listed: Result<Vec<_>, _> = pages.collect().await;
        let listed = listed.map_err(|error| ServiceError::new("ListPolicyVersions", target, &error))?;
        let ids = listed.iter().map(|version| read("ListPolicyVersions", target, version.version_id()));
        let mut ids: Vec<VersionId> = ids.collect::<Result<_, _>>()?;
        ids.sort_unstable_by(|one, other| other.cmp(one));
        Ok(ids)
    }

    async fn version(&self, arn: &Arn, id: VersionId) -> Result<PolicyVersion, ServiceError> {
        let target = arn.as_str();
        let answer = self.client.get_policy_version().policy_arn(target).version_id(id.to_string()).send().await;
        let answer = answer.map_err(|error| ServiceError::new("GetPolicyVersion", target, &error))?;
        let empty = || ServiceError::unexpected("GetPolicyVersion", target, "the answer is empty");
        listed_version("GetPolicyVersion", target, answer.policy_version().ok_or_else(empty)?)
    }

    /// The customer managed policy of that name, whatever its path.
    pub async fn policy_named(&self, name: &PolicyName) -> Result<Seen<ManagedPolicy>, ServiceError> {
        // Most have no path, and one call with few rights finds those.
        if let Some(account) = &self.account
            && let Ok(arn) = format!("arn:{}:iam::{account}:policy/{name}", self.partition).parse::<Arn>()
            && let found @ Seen::Here(_) = self.policy(&arn).await?
        {
            return Ok(found);
        }
        let listed = match seen(self.local_policies().await)? {
            Seen::Here(listed) => listed,
            Seen::Absent => return Ok(Seen::Absent),
            Seen::Hidden(why) => return Ok(Seen::Hidden(why)),
        };
        let is_it = |arn: &&Arn| PolicyName::of_arn(arn).is_some_and(|other| other == *name);
        match listed.iter().find(is_it) {
            Some(arn) => self.policy(arn).await,
            None => Ok(Seen::Absent),
        }
    }

    async fn local_policies(&self) -> Result<Vec<Arn>, ServiceError> {
        let pages = self.client.list_policies().scope(types::PolicyScopeType::Local).into_paginator().items().send();
        let listed: Result<Vec<_>, _> = pages.collect().await;
        let listed = listed.map_err(|error| ServiceError::new("ListPolicies", ACCOUNT, &error))?;
        listed.iter().map(|policy| read("ListPolicies", ACCOUNT, policy.arn())).collect()
    }

    /// The customer managed policies that matter: by one paged call, or one by one where that call is refused. The paged call
    /// tells no tags, which take a call for each policy; `matters` is asked before they are there.
    pub async fn policies(&self, matters: impl Fn(&ManagedPolicy) -> bool) -> Result<Vec<ManagedPolicy>, ServiceError> {
        match self.policy_details().await {
            Ok(mut details) => {
                details.retain(&matters);
                let tagged = |mut policy: ManagedPolicy| async move {
                    Ok(unless_gone(self.policy_tags(&policy.arn).await)?.map(|tags| {
                        policy.tags = tags;
                        policy
                    }))
                };
                let found: Vec<Option<_>> =
                    stream::iter(details).map(tagged).buffered(AT_ONCE).try_collect::<Vec<_>>().await?;
                Ok(found.into_iter().flatten().collect())
            }
            Err(error) if matches!(error.class, ErrorClass::Denied | ErrorClass::Unsupported) => {
                let arns = self.local_policies().await?;
                let one = |arn: Arn| async move { unless_gone(self.whole_policy(&arn).await) };
                let found: Vec<Option<_>> = stream::iter(arns).map(one).buffered(AT_ONCE).try_collect().await?;
                Ok(found.into_iter().flatten().filter(|policy| matters(policy)).collect())
            }
            Err(error) => Err(error),
        }
    }

    async fn policy_details(&self) -> Result<Vec<ManagedPolicy>, ServiceError> {
        const OPERATION: &str = "GetAccountAuthorizationDetails";
        let request = self.client.get_account_authorization_details();
        let mut pages = request.filter(types::EntityType::LocalManagedPolicy).into_paginator().send();
        let mut found = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| ServiceError::new(OPERATION, ACCOUNT, &error))?;
            for policy in page.policies() {
                found.push(detailed(OPERATION, policy)?);
            }
        }
        Ok(found)
    }

    async fn policy_tags(&self, arn: &Arn) -> Result<Tags, ServiceError> {
        let pages = self.client.list_policy_tags().policy_arn(arn.as_str()).into_paginator().items().send();
        let listed: Result<Vec<_>, _> = pages.collect().await;
        let listed = listed.map_err(|error| ServiceError::new("ListPolicyTags", arn, &error))?;
        Ok(tags(&listed))
    }

    /// Whom a managed policy is attached to, and whom it bounds.
    pub async fn attachments(&self, arn: &Arn) -> Result<Seen<Attachments>, ServiceError> {
        seen(self.all_attachments(arn).await)
    }

    async fn all_attachments(&self, arn: &Arn) -> Result<Attachments, ServiceError> {
        let mut found = self.entities(arn, types::PolicyUsageType::PermissionsPolicy).await?;
        let bounded = self.entities(arn, types::PolicyUsageType::PermissionsBoundary).await?;
        found.boundary_of = bounded.roles.iter().map(ToString::to_string).chain(bounded.users).collect();
        Ok(found)
    }

    async fn entities(&self, arn: &Arn, usage: types::PolicyUsageType) -> Result<Attachments, ServiceError> {
        const OPERATION: &str = "ListEntitiesForPolicy";
        let target = arn.as_str();
        let request = self.client.list_entities_for_policy().policy_arn(target).policy_usage_filter(usage);
        let mut pages = request.into_paginator().send();
        let mut found = Attachments::default();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| ServiceError::new(OPERATION, target, &error))?;
            for role in page.policy_roles() {
                found.roles.push(read::<RoleName>(OPERATION, target, role.role_name())?);
            }
            found.users.extend(page.policy_users().iter().filter_map(|user| user.user_name().map(str::to_owned)));
            found.groups.extend(page.policy_groups().iter().filter_map(|group| group.group_name().map(str::to_owned)));
        }
        Ok(found)
    }
}

/// An empty description is none.
fn described(text: Option<&str>) -> Option<String> {
    text.filter(|text| !text.is_empty()).map(str::to_owned)
}

fn count(number: Option<i32>) -> u64 {
    number.and_then(|number| u64::try_from(number).ok()).unwrap_or_default()
}

fn listed_version(
    operation: &'static str,
    target: &str,
    version: &types::PolicyVersion,
) -> Result<PolicyVersion, ServiceError> {
    Ok(PolicyVersion {
        id: read(operation, target, version.version_id())?,
        created: version.create_date().and_then(date),
        document: document(operation, target, version.document())?,
    })
}

fn detailed(operation: &'static str, policy: &types::ManagedPolicyDetail) -> Result<ManagedPolicy, ServiceError> {
    let arn: Arn = read(operation, ACCOUNT, policy.arn())?;
    let listed = policy.policy_version_list().iter();
    let versions = listed.map(|version| listed_version(operation, arn.as_str(), version));
    let mut versions: Vec<PolicyVersion> = versions.collect::<Result<_, _>>()?;
    versions.sort_unstable_by_key(|version| std::cmp::Reverse(version.id));
    // Some servers leave the name out, which the ARN says as well.
    let named = || ServiceError::unexpected(operation, ACCOUNT, format!("`{arn}` names no policy"));
    Ok(ManagedPolicy {
        name: PolicyName::of_arn(&arn).ok_or_else(named)?,
        id: policy.policy_id().map(str::to_owned),
        description: described(policy.description()),
        default_version: read(operation, ACCOUNT, policy.default_version_id())?,
        versions,
        attachments: count(policy.attachment_count()),
        boundary_uses: count(policy.permissions_boundary_usage_count()),
        tags: Tags::new(),
        created: policy.create_date().and_then(date),
        updated: policy.update_date().and_then(date),
        arn,
    })
}
