//! What a run keeps of policies and roles before it replaces anything.

use super::GrantError;
use crate::local;
use crate::model::{AccountId, Arn, Attachments, ManagedPolicy, Role, RoleName, Seen};
use crate::plan::{AccountAction, AccountStep};
use crate::world::Account;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

/// The folder that a run's backup goes to, `FOLDER/ACCOUNT/TIME`, made only if something is kept.
#[derive(Debug)]
pub struct BackupFolder {
    folder: PathBuf,
}

/// A backup that could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write the backup `{}`: {source}", .path.display())]
pub struct KeepError {
    /// The file.
    path: PathBuf,
    /// The system's own words.
    source: io::Error,
}

/// True for a step that replaces or takes away what IAM keeps nowhere else.
pub(super) const fn is_needed(step: &AccountStep) -> bool {
    matches!(
        step,
        AccountStep::PutPolicyVersion { prunes: Some(_), .. }
            | AccountStep::PutTrust { .. }
            | AccountStep::DetachPolicy { .. }
    )
}

impl BackupFolder {
    /// The folder below `root` of a run in `account` that began at `time`.
    pub fn new(root: &Path, account: &AccountId, time: jiff::Timestamp) -> Self {
        let time = time.strftime("%Y%m%dT%H%M%S.%3fZ").to_string();
        Self { folder: root.join(account.as_str()).join(time) }
    }

    /// Keeps all that the actions replace or take away. Returns the folder; none if there is nothing to keep.
    pub(super) async fn keep(
        &self,
        actions: &[AccountAction],
        account: &Account,
    ) -> Result<Option<PathBuf>, GrantError> {
        let steps = || actions.iter().map(|action| &action.step).filter(|step| is_needed(step));
        let policies: BTreeSet<&Arn> = steps().filter_map(AccountStep::policy).collect();
        let roles: BTreeSet<&RoleName> = steps()
            .filter_map(|step| match step {
                AccountStep::PutTrust { role, .. } => Some(role),
                _ => None,
            })
            .collect();
        for policy in &policies {
            let unread = || GrantError::Unread(format!("policy `{policy}`"));
            let Seen::Here(found) = account.policy(policy).await? else { return Err(unread()) };
            let Seen::Here(attachments) = account.attachments(policy).await? else { return Err(unread()) };
            self.policy(&found, &attachments)?;
        }
        for role in &roles {
            let unread = || GrantError::Unread(format!("role `{role}`"));
            let Seen::Here(found) = account.role(role).await? else { return Err(unread()) };
            self.role(&found)?;
        }
        Ok((policies.len() + roles.len() > 0).then(|| self.folder.clone()))
    }

    /// A policy with all its versions, and whom it is attached to.
    fn policy(&self, policy: &ManagedPolicy, attachments: &Attachments) -> Result<(), KeepError> {
        self.write(policy.arn.resource(), &json!({ "policy": policy, "attachments": attachments }))
    }

    /// A role with its trust policy and what it has.
    fn role(&self, role: &Role) -> Result<(), KeepError> {
        self.write(role.arn.resource(), &json!({ "role": role }))
    }

    fn write(&self, place: &str, content: &Value) -> Result<(), KeepError> {
        let path = self.folder.join(format!("{place}.json"));
        let text = format!("{content:#}\n");
        local::replace_file(&path, |out| out.write_all(text.as_bytes())).map_err(|source| KeepError { path, source })
    }
}
