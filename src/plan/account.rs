//! What a plan does in the account: policies, roles, who has what. A list of its own, because it is run in another order
//! than what buckets need and acts on other things.

use super::{Effect, Reason};
use crate::model::{Arn, PolicyJson, PolicyName, RoleName, Tags, VersionId};
use crate::report::{ActionRecord, Status};
use serde::Serialize;

/// One step in the account, with the reason why it is needed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AccountAction {
    /// What is done.
    pub step: AccountStep,
    /// Why.
    pub reason: Reason,
}

/// What an action in the account does. The order of the variants is the order in which they are run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "step")]
pub enum AccountStep {
    /// Makes a managed policy, tagged from its first moment on.
    CreatePolicy {
        /// The ARN that it will have.
        policy: Arn,
        /// Its name.
        name: PolicyName,
        /// What it is for, which can never be changed.
        description: String,
        /// Its document.
        document: PolicyJson,
        /// Its tags.
        tags: Tags,
    },
    /// Adds tags to a policy.
    TagPolicy {
        /// Which.
        policy: Arn,
        /// The tags that are added or changed; others stay.
        tags: Tags,
    },
    /// Makes a new version of a policy and puts it in force.
    CreatePolicyVersion {
        /// Which.
        policy: Arn,
        /// The document.
        document: PolicyJson,
        /// The version that is backed up and removed first, where IAM would keep no further one.
        prunes: Option<VersionId>,
        /// The roles that have the policy already, and whose access changes with it.
        held_by: Vec<RoleName>,
    },
    /// Makes a role.
    CreateRole {
        /// Its name.
        role: RoleName,
        /// Its path: `/`, or names between slashes.
        path: String,
        /// What it is for.
        description: String,
        /// Who may take it.
        trust: PolicyJson,
        /// Its tags.
        tags: Tags,
    },
    /// Adds tags to a role.
    TagRole {
        /// Which.
        role: RoleName,
        /// The tags that are added or changed; others stay.
        tags: Tags,
    },
    /// Replaces a role's trust policy, which is backed up first because IAM keeps no versions of it.
    PutTrust {
        /// The role.
        role: RoleName,
        /// The whole document, foreign statements included.
        trust: PolicyJson,
    },
    /// Takes a Pod Identity association away.
    DeleteAssociation {
        /// The cluster.
        cluster: String,
        /// The association's id.
        id: String,
        /// The namespace of its service account.
        namespace: String,
        /// The service account.
        service_account: String,
        /// The role that its pods took.
        role: RoleName,
    },
    /// Hands a role to a service account by EKS Pod Identity.
    CreateAssociation {
        /// The cluster.
        cluster: String,
        /// The namespace.
        namespace: String,
        /// The service account.
        service_account: String,
        /// The role that its pods take.
        role: Arn,
        /// The association's tags.
        tags: Tags,
    },
    /// Attaches a policy to a role.
    AttachPolicy {
        /// The role.
        role: RoleName,
        /// The policy.
        policy: Arn,
    },
    /// Hands another role to a service account that has one by EKS Pod Identity, in one step: its pods are never without.
    UpdateAssociation {
        /// The cluster.
        cluster: String,
        /// The association's id.
        id: String,
        /// The namespace of its service account.
        namespace: String,
        /// The service account.
        service_account: String,
        /// The role that its pods took.
        before: RoleName,
        /// The role that its pods take from then on.
        role: Arn,
    },
    /// Takes a policy from a role. Policy and attachments are backed up first; the policy itself stays.
    DetachPolicy {
        /// The role.
        role: RoleName,
        /// The policy.
        policy: Arn,
    },
    /// Leaves a grant alone, for cause; counts as skipped.
    SkipGrant {
        /// The grant's policy.
        name: PolicyName,
    },
}

impl AccountStep {
    /// The role whose access changes, where it is one; a new version of a policy changes it for all that have it.
    pub fn roles(&self) -> Vec<RoleName> {
        match self {
            Self::CreatePolicyVersion { held_by, .. } => held_by.clone(),
            Self::CreateRole { role, .. }
            | Self::PutTrust { role, .. }
            | Self::DeleteAssociation { role, .. }
            | Self::AttachPolicy { role, .. }
            | Self::DetachPolicy { role, .. } => vec![role.clone()],
            Self::CreateAssociation { role, .. } | Self::UpdateAssociation { role, .. } => {
                RoleName::of_arn(role).into_iter().collect()
            }
            Self::CreatePolicy { .. } | Self::TagPolicy { .. } | Self::TagRole { .. } | Self::SkipGrant { .. } => {
                Vec::new()
            }
        }
    }

    /// The policy that it is about.
    pub const fn policy(&self) -> Option<&Arn> {
        match self {
            Self::CreatePolicy { policy, .. }
            | Self::TagPolicy { policy, .. }
            | Self::CreatePolicyVersion { policy, .. }
            | Self::AttachPolicy { policy, .. }
            | Self::DetachPolicy { policy, .. } => Some(policy),
            _ => None,
        }
    }
}

impl AccountAction {
    /// What the action does to its target.
    pub const fn effect(&self) -> Effect {
        match self.step {
            AccountStep::CreatePolicy { .. }
            | AccountStep::CreateRole { .. }
            | AccountStep::CreateAssociation { .. }
            | AccountStep::AttachPolicy { .. } => Effect::Create,
            AccountStep::TagPolicy { .. }
            | AccountStep::CreatePolicyVersion { .. }
            | AccountStep::TagRole { .. }
            | AccountStep::PutTrust { .. }
            | AccountStep::UpdateAssociation { .. } => Effect::Change,
            AccountStep::DetachPolicy { .. } | AccountStep::DeleteAssociation { .. } => Effect::Delete,
            AccountStep::SkipGrant { .. } => Effect::Skip,
        }
    }

    /// Where the action stands before anything is done: planned, or skipped for cause.
    pub const fn planned_status(&self) -> Status {
        if matches!(self.step, AccountStep::SkipGrant { .. }) { Status::Skipped } else { Status::Planned }
    }

    /// The action's kind in output.
    pub const fn kind(&self) -> &'static str {
        match self.step {
            AccountStep::CreatePolicy { .. } => "create-policy",
            AccountStep::TagPolicy { .. } => "tag-policy",
            AccountStep::CreatePolicyVersion { .. } => "create-policy-version",
            AccountStep::CreateRole { .. } => "create-role",
            AccountStep::TagRole { .. } => "tag-role",
            AccountStep::PutTrust { .. } => "put-trust",
            AccountStep::DeleteAssociation { .. } => "delete-association",
            AccountStep::CreateAssociation { .. } => "create-association",
            AccountStep::UpdateAssociation { .. } => "update-association",
            AccountStep::AttachPolicy { .. } => "attach-policy",
            AccountStep::DetachPolicy { .. } => "detach-policy",
            AccountStep::SkipGrant { .. } => "apply-grant",
        }
    }

    /// What the action acts on: a policy's ARN, `role/NAME`, or `CLUSTER/NAMESPACE/SERVICE_ACCOUNT`.
    pub fn target(&self) -> String {
        match &self.step {
            AccountStep::CreatePolicy { policy, .. }
            | AccountStep::TagPolicy { policy, .. }
            | AccountStep::CreatePolicyVersion { policy, .. } => policy.to_string(),
            AccountStep::CreateRole { role, .. }
            | AccountStep::TagRole { role, .. }
            | AccountStep::PutTrust { role, .. }
            | AccountStep::AttachPolicy { role, .. }
            | AccountStep::DetachPolicy { role, .. } => format!("role/{role}"),
            AccountStep::DeleteAssociation { cluster, namespace, service_account, .. }
            | AccountStep::CreateAssociation { cluster, namespace, service_account, .. }
            | AccountStep::UpdateAssociation { cluster, namespace, service_account, .. } => {
                format!("{cluster}/{namespace}/{service_account}")
            }
            AccountStep::SkipGrant { name } => format!("policy/{name}"),
        }
    }

    /// What the action acts on in a few words: names instead of ARNs.
    pub fn object(&self) -> String {
        let named =
            |policy: &Arn| PolicyName::of_arn(policy).map_or_else(|| policy.to_string(), |name| name.to_string());
        match &self.step {
            AccountStep::CreatePolicy { name, .. } | AccountStep::SkipGrant { name } => name.to_string(),
            AccountStep::TagPolicy { policy, .. } | AccountStep::CreatePolicyVersion { policy, .. } => named(policy),
            AccountStep::CreateRole { role, .. }
            | AccountStep::TagRole { role, .. }
            | AccountStep::PutTrust { role, .. } => role.to_string(),
            AccountStep::DeleteAssociation { cluster, namespace, service_account, role, .. } => {
                format!("{role} from {namespace}/{service_account} in {cluster}")
            }
            AccountStep::CreateAssociation { cluster, namespace, service_account, role, .. } => {
                let role = RoleName::of_arn(role).map_or_else(|| role.to_string(), |name| name.to_string());
                format!("{role} to {namespace}/{service_account} in {cluster}")
            }
            AccountStep::UpdateAssociation { cluster, namespace, service_account, before, role, .. } => {
                let role = RoleName::of_arn(role).map_or_else(|| role.to_string(), |name| name.to_string());
                format!("{role} instead of {before} to {namespace}/{service_account} in {cluster}")
            }
            AccountStep::AttachPolicy { role, policy } => format!("{} to {role}", named(policy)),
            AccountStep::DetachPolicy { role, policy } => format!("{} from {role}", named(policy)),
        }
    }

    /// The action as output shows it, with the reason it was planned for; of a done action in the past tense.
    pub fn record(&self, status: Status) -> ActionRecord {
        let policy = match &self.step {
            AccountStep::AttachPolicy { policy, .. } | AccountStep::DetachPolicy { policy, .. } => {
                Some(policy.to_string())
            }
            _ => None,
        };
        let reason = if status == Status::Done { self.reason.past() } else { self.reason.to_string() };
        ActionRecord {
            status,
            action: self.kind(),
            target: self.target(),
            reason,
            setting: None,
            source: None,
            bytes: None,
            proof: None,
            policy,
        }
    }
}
