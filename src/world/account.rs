//! The account as a verb sees it: IAM and EKS of AWS, or the directory of the embedded endpoint, behind one set of methods.
//!
//! Nothing is asked of a service before one of these is called. What may not be read is [`Seen::Hidden`] and never taken
//! for absent; what fails otherwise is an error.

use crate::aws::ec2::Ec2;
use crate::aws::eks::Eks;
use crate::aws::iam::Iam;
use crate::aws::{ErrorClass, ServiceError};
use crate::directory::{DirectoryError, LocalAccount, Rule};
use crate::model::{
    Arn, Attachments, Cluster, IamQuotas, ManagedPolicy, PolicyJson, PolicyName, Role, RoleName, Seen, ServiceUse,
    Tags, User, VersionId,
};
use std::collections::BTreeSet;
use tokio::task::spawn_blocking;

/// Roles, policies and clusters of one account.
#[derive(Debug, Clone)]
pub enum Account {
    /// Those of AWS, or of a server that answers in its place.
    Remote {
        /// Roles and policies.
        iam: Box<Iam>,
        /// Clusters.
        eks: Box<Eks>,
        /// Their nodes and networks.
        ec2: Box<Ec2>,
    },
    /// Those of the embedded endpoint's directory.
    Local(LocalAccount),
}

/// Why the account gives no answer.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// A service refused or failed.
    #[error(transparent)]
    Service(#[from] ServiceError),
    /// The directory refused or cannot be read.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// The run is ending.
    #[error("the run was stopped")]
    Stopped,
}

impl AccountError {
    /// What kind of failure it is.
    pub const fn class(&self) -> ErrorClass {
        match self {
            Self::Service(error) => error.class,
            Self::Directory(DirectoryError::Refused { rule, .. }) => match rule {
                Rule::NoSuchEntity => ErrorClass::NotFound,
                Rule::EntityAlreadyExists => ErrorClass::Exists,
                Rule::DeleteConflict => ErrorClass::Conflict,
                Rule::LimitExceeded => ErrorClass::Limit,
                Rule::MalformedPolicyDocument | Rule::InvalidInput => ErrorClass::Invalid,
            },
            Self::Directory(_) | Self::Stopped => ErrorClass::Other,
        }
    }

    /// The name in the JSON output.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Directory(
                DirectoryError::Read { .. } | DirectoryError::Write { .. } | DirectoryError::Form { .. },
            ) => "directory",
            Self::Stopped => "interrupted",
            _ => self.class().kind(),
        }
    }

    /// What a person can do about it; none where only the message can tell.
    pub const fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Service(error) => error.hint(),
            Self::Directory(DirectoryError::Form { .. }) => Some("correct the file, or remove it"),
            Self::Directory(_) | Self::Stopped => None,
        }
    }
}

/// Does what blocks where blocking is allowed.
pub(super) async fn blocking<T: Send + 'static>(
    local: &LocalAccount,
    work: impl FnOnce(&LocalAccount) -> Result<T, DirectoryError> + Send + 'static,
) -> Result<T, AccountError> {
    let local = local.clone();
    let done = spawn_blocking(move || work(&local)).await.map_err(|_| AccountError::Stopped)?;
    Ok(done?)
}

impl Account {
    /// A role with its policies, boundary, tags and last use.
    pub async fn role(&self, name: &RoleName) -> Result<Seen<Role>, AccountError> {
        match self {
            Self::Remote { iam, .. } => Ok(iam.role(name).await?),
            Self::Local(local) => {
                let name = name.clone();
                blocking(local, move |local| local.role(&name)).await
            }
        }
    }

    /// The ARNs of all roles.
    pub async fn roles(&self) -> Result<Vec<Arn>, AccountError> {
        match self {
            Self::Remote { iam, .. } => Ok(iam.roles().await?),
            Self::Local(local) => blocking(local, LocalAccount::roles).await,
        }
    }

    /// A managed policy with its versions.
    pub async fn policy(&self, arn: &Arn) -> Result<Seen<ManagedPolicy>, AccountError> {
        match self {
            Self::Remote { iam, .. } => Ok(iam.policy(arn).await?),
            Self::Local(local) => {
                let arn = arn.clone();
                blocking(local, move |local| local.policy(&arn)).await
            }
        }
    }

    /// What a managed policy is for, which [`Self::policies`] may leave out.
    pub async fn description(&self, arn: &Arn) -> Result<Seen<Option<String>>, AccountError> {
        match self {
            Self::Remote { iam, .. } => Ok(iam.description(arn).await?),
            Self::Local(_) => Ok(match self.policy(arn).await? {
                Seen::Here(policy) => Seen::Here(policy.description),
                Seen::Absent => Seen::Absent,
                Seen::Hidden(why) => Seen::Hidden(why),
            }),
        }
    }

    /// The customer managed policy of that name, whatever its path.
    pub async fn policy_named(&self, name: &PolicyName) -> Result<Seen<ManagedPolicy>, AccountError> {
        match self {
            Self::Remote { iam, .. } => Ok(iam.policy_named(name).await?),
            Self::Local(local) => {
                let name = name.clone();
                blocking(local, move |local| local.policy_named(&name)).await
            }
        }
    }

    /// All customer managed policies. Where there are many, asking for the tags of each takes its time.
    pub async fn policies(&self) -> Result<Vec<ManagedPolicy>, AccountError> {
        self.policies_that(|_| true).await
    }

    /// The customer managed policies that matter. `matters` knows no tags.
    pub async fn policies_that(
        &self,
        matters: impl Fn(&ManagedPolicy) -> bool,
    ) -> Result<Vec<ManagedPolicy>, AccountError> {
        match self {
            Self::Remote { iam, .. } => Ok(iam.policies(matters).await?),
            Self::Local(local) => {
                let mut policies = blocking(local, LocalAccount::policies).await?;
                policies.retain(matters);
                Ok(policies)
            }
        }
    }

    /// Whom a managed policy is attached to, and whom it bounds.
    pub async fn attachments(&self, arn: &Arn) -> Result<Seen<Attachments>, AccountError> {
        match self {
            Self::Remote { iam, .. } => Ok(iam.attachments(arn).await?),
            Self::Local(local) => {
                let arn = arn.clone();
                blocking(local, move |local| local.attachments(&arn)).await
            }
        }
    }

    /// All users with their access keys.
    pub async fn users(&self) -> Result<Seen<Vec<User>>, AccountError> {
        match self {
            Self::Remote { iam, .. } => Ok(iam.users().await?),
            Self::Local(local) => Ok(Seen::Here(blocking(local, LocalAccount::users).await?)),
        }
    }

    /// When those who have a policy last tried the services that it speaks of; absent where no record is kept, as in the
    /// directory.
    pub async fn policy_use(&self, arn: &Arn) -> Result<Seen<Vec<ServiceUse>>, AccountError> {
        match self {
            Self::Remote { iam, .. } => Ok(iam.policy_use(arn).await?),
            Self::Local(_) => Ok(Seen::Absent),
        }
    }

    /// The account's limits that grants meet.
    pub async fn quotas(&self) -> Result<Seen<IamQuotas>, AccountError> {
        match self {
            Self::Remote { iam, .. } => Ok(iam.quotas().await?),
            Self::Local(local) => blocking(local, LocalAccount::quotas).await,
        }
    }

    /// A cluster with its node groups, associations and add-ons. The directory has every cluster that is asked for.
    pub async fn cluster(&self, name: &str) -> Result<Seen<Cluster>, AccountError> {
        match self {
            Self::Remote { eks, .. } => Ok(eks.cluster(name).await?),
            Self::Local(local) => {
                let name = name.to_owned();
                blocking(local, move |local| local.cluster(&name)).await
            }
        }
    }

    /// The names of all clusters of the Region; none of the directory, which has every cluster that is asked for.
    pub async fn clusters(&self) -> Result<Vec<String>, AccountError> {
        match self {
            Self::Remote { eks, .. } => Ok(eks.clusters().await?),
            Self::Local(_) => Ok(Vec::new()),
        }
    }

    /// The OIDC providers of the account. The directory keeps none: there every cluster counts as having one.
    pub async fn oidc_providers(&self) -> Result<Seen<BTreeSet<Arn>>, AccountError> {
        match self {
            Self::Remote { iam, .. } => Ok(iam.oidc_providers().await?),
            Self::Local(_) => Ok(Seen::Absent),
        }
    }

    /// Makes a policy whose only version is `document`. `path` is `/` or names between slashes.
    pub async fn create_policy(
        &self,
        name: &PolicyName,
        path: &str,
        description: &str,
        document: &PolicyJson,
        tags: &Tags,
    ) -> Result<Arn, AccountError> {
        match self {
            Self::Remote { iam, .. } => Ok(iam.create_policy(name, path, description, document, tags).await?),
            Self::Local(local) => {
                let (name, path, description) = (name.clone(), path.to_owned(), description.to_owned());
                let (document, tags) = (document.clone(), tags.clone());
                blocking(local, move |local| local.create_policy(&name, &path, &description, &document, &tags)).await
            }
        }
    }

    /// Adds a version and puts it in force.
    pub async fn create_version(&self, arn: &Arn, document: &PolicyJson) -> Result<VersionId, AccountError> {
        match self {
            Self::Remote { iam, .. } => Ok(iam.create_version(arn, document).await?),
            Self::Local(local) => {
                let (arn, document) = (arn.clone(), document.clone());
                blocking(local, move |local| local.create_version(&arn, &document)).await
            }
        }
    }

    /// Puts a version in force, for everybody whom the policy is attached to.
    pub async fn set_default(&self, arn: &Arn, version: VersionId) -> Result<(), AccountError> {
        match self {
            Self::Remote { iam, .. } => Ok(iam.set_default(arn, version).await?),
            Self::Local(local) => {
                let arn = arn.clone();
                blocking(local, move |local| local.set_default(&arn, version)).await
            }
        }
    }

    /// Removes a version that is not in force; one that is gone is no error.
    pub async fn delete_version(&self, arn: &Arn, version: VersionId) -> Result<(), AccountError> {
        match self {
            Self::Remote { iam, .. } => Ok(iam.delete_version(arn, version).await?),
            Self::Local(local) => {
                let arn = arn.clone();
                blocking(local, move |local| local.delete_version(&arn, version)).await
            }
        }
    }

    /// Adds tags to a policy, or gives those of the same key another value.
    pub async fn tag_policy(&self, arn: &Arn, tags: &Tags) -> Result<(), AccountError> {
        match self {
            Self::Remote { iam, .. } => Ok(iam.tag_policy(arn, tags).await?),
            Self::Local(local) => {
                let (arn, tags) = (arn.clone(), tags.clone());
                blocking(local, move |local| local.tag_policy(&arn, &tags)).await
            }
        }
    }

    /// Removes a policy that is attached to nobody and has one version; one that is gone is no error.
    pub async fn delete_policy(&self, arn: &Arn) -> Result<(), AccountError> {
        match self {
            Self::Remote { iam, .. } => Ok(iam.delete_policy(arn).await?),
            Self::Local(local) => {
                let arn = arn.clone();
                blocking(local, move |local| local.delete_policy(&arn)).await
            }
        }
    }

    /// Attaches a policy to a role; one that is attached already stays so.
    pub async fn attach(&self, role: &RoleName, policy: &Arn) -> Result<(), AccountError> {
        match self {
            Self::Remote { iam, .. } => Ok(iam.attach(role, policy).await?),
            Self::Local(local) => {
                let (role, policy) = (role.clone(), policy.clone());
                blocking(local, move |local| local.attach(&role, &policy)).await
            }
        }
    }

    /// Detaches a policy from a role; one that is not attached is no error.
    pub async fn detach(&self, role: &RoleName, policy: &Arn) -> Result<(), AccountError> {
        match self {
            Self::Remote { iam, .. } => Ok(iam.detach(role, policy).await?),
            Self::Local(local) => {
                let (role, policy) = (role.clone(), policy.clone());
                blocking(local, move |local| local.detach(&role, &policy)).await
            }
        }
    }

    /// Makes a role that those may take whom `trust` names. `path` is `/` or names between slashes.
    pub async fn create_role(
        &self,
        name: &RoleName,
        path: &str,
        description: &str,
        trust: &PolicyJson,
        tags: &Tags,
    ) -> Result<Arn, AccountError> {
        match self {
            Self::Remote { iam, .. } => Ok(iam.create_role(name, path, description, trust, tags).await?),
            Self::Local(local) => {
                let (name, path, description) = (name.clone(), path.to_owned(), description.to_owned());
                let (trust, tags) = (trust.clone(), tags.clone());
                blocking(local, move |local| local.create_role(&name, &path, &description, &trust, &tags)).await
            }
        }
    }

    /// Replaces who may take a role.
    pub async fn put_trust(&self, role: &RoleName, trust: &PolicyJson) -> Result<(), AccountError> {
        match self {
            Self::Remote { iam, .. } => Ok(iam.put_trust(role, trust).await?),
            Self::Local(local) => {
                let (role, trust) = (role.clone(), trust.clone());
                blocking(local, move |local| local.put_trust(&role, &trust)).await
            }
        }
    }

    /// Adds tags to a role, or gives those of the same key another value.
    pub async fn tag_role(&self, role: &RoleName, tags: &Tags) -> Result<(), AccountError> {
        match self {
            Self::Remote { iam, .. } => Ok(iam.tag_role(role, tags).await?),
            Self::Local(local) => {
                let (role, tags) = (role.clone(), tags.clone());
                blocking(local, move |local| local.tag_role(&role, &tags)).await
            }
        }
    }

    /// Puts an inline policy, replacing the one of that name.
    pub async fn put_inline(
        &self,
        role: &RoleName,
        name: &PolicyName,
        document: &PolicyJson,
    ) -> Result<(), AccountError> {
        match self {
            Self::Remote { iam, .. } => Ok(iam.put_inline(role, name, document).await?),
            Self::Local(local) => {
                let (role, name, document) = (role.clone(), name.clone(), document.clone());
                blocking(local, move |local| local.put_inline(&role, &name, &document)).await
            }
        }
    }

    /// Bounds a role by a managed policy.
    pub async fn put_boundary(&self, role: &RoleName, policy: &Arn) -> Result<(), AccountError> {
        match self {
            Self::Remote { iam, .. } => Ok(iam.put_boundary(role, policy).await?),
            Self::Local(local) => {
                let (role, policy) = (role.clone(), policy.clone());
                blocking(local, move |local| local.put_boundary(&role, &policy)).await
            }
        }
    }

    /// Hands `role` to a service account by EKS Pod Identity; answers with the association's id.
    pub async fn create_association(
        &self,
        cluster: &str,
        namespace: &str,
        service_account: &str,
        role: &Arn,
        tags: &Tags,
    ) -> Result<String, AccountError> {
        match self {
            Self::Remote { eks, .. } => {
                Ok(eks.create_association(cluster, namespace, service_account, role, tags).await?)
            }
            Self::Local(local) => {
                let (cluster, namespace) = (cluster.to_owned(), namespace.to_owned());
                let (account, role, tags) = (service_account.to_owned(), role.clone(), tags.clone());
                let create =
                    move |local: &LocalAccount| local.create_association(&cluster, &namespace, &account, &role, &tags);
                blocking(local, create).await
            }
        }
    }

    /// Hands another role to a service account that has one by EKS Pod Identity.
    pub async fn update_association(&self, cluster: &str, id: &str, role: &Arn) -> Result<(), AccountError> {
        match self {
            Self::Remote { eks, .. } => Ok(eks.update_association(cluster, id, role).await?),
            Self::Local(local) => {
                let (cluster, id, role) = (cluster.to_owned(), id.to_owned(), role.clone());
                blocking(local, move |local| local.update_association(&cluster, &id, &role)).await
            }
        }
    }

    /// Takes the role from a service account; one that has none any more is no error.
    pub async fn delete_association(&self, cluster: &str, id: &str) -> Result<(), AccountError> {
        match self {
            Self::Remote { eks, .. } => Ok(eks.delete_association(cluster, id).await?),
            Self::Local(local) => {
                let (cluster, id) = (cluster.to_owned(), id.to_owned());
                blocking(local, move |local| local.delete_association(&cluster, &id)).await
            }
        }
    }
}
