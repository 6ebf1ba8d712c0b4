//! What a run keeps of policies and roles before it replaces anything: a backup as `policy backup` makes it, which
//! `policy restore` takes.

use super::GrantError;
use crate::local;
use crate::model::{AccountId, Arn, RoleName, Seen};
use crate::plan::{AccountAction, AccountStep};
use crate::policy::backup::Backup;
use crate::world::{Account, AccountError};
use jiff::Timestamp;
use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;

/// Where a run's backup goes, and what is written in it of the run.
#[derive(Debug, Clone)]
pub struct Keeper {
    /// The folder of all backups.
    pub root: PathBuf,
    /// When the run began.
    pub time: Timestamp,
    /// Whose policies they are.
    pub account: Option<AccountId>,
    /// Who runs it.
    pub caller: Option<String>,
}

/// A backup that could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write a backup below `{}`: {source}", .root.display())]
pub struct KeepError {
    /// The folder of all backups.
    root: PathBuf,
    /// The system's own words.
    source: io::Error,
}

/// True for a step that replaces or takes away what IAM keeps nowhere else.
pub(super) const fn is_needed(step: &AccountStep) -> bool {
    matches!(
        step,
        AccountStep::CreatePolicyVersion { prunes: Some(_), .. }
            | AccountStep::PutTrust { .. }
            | AccountStep::DetachPolicy { .. }
    )
}

impl Keeper {
    /// Keeps all that the actions replace or take away. Returns the backup's folder; none if there is nothing to keep.
    pub(super) async fn keep(
        &self,
        actions: &[AccountAction],
        account: &Account,
    ) -> Result<Option<PathBuf>, GrantError> {
        let steps = || actions.iter().map(|action| &action.step).filter(|step| is_needed(step));
        let policies: BTreeSet<&Arn> = steps().filter_map(AccountStep::policy).collect();
        let trusts = steps().filter_map(|step| match step {
            AccountStep::PutTrust { role, .. } => Some(role),
            _ => None,
        });
        let roles: BTreeSet<&RoleName> = trusts.collect();
        let mut backup = Backup::new(self.time, self.account.clone(), self.caller.clone());
        for policy in policies {
            let unread = || GrantError::Unread(format!("policy `{policy}`"));
            let Seen::Here(found) = account.policy(policy).await? else { return Err(unread()) };
            let Seen::Here(attachments) = account.attachments(policy).await? else { return Err(unread()) };
            backup.add_policy(&found, Some(&attachments));
        }
        for role in roles {
            let unread = || GrantError::Unread(format!("role `{role}`"));
            let Seen::Here(found) = account.role(role).await? else { return Err(unread()) };
            backup.add_role(&found);
        }
        if backup.is_empty() { Ok(None) } else { self.write(backup).await.map(Some) }
    }

    async fn write(&self, backup: Backup) -> Result<PathBuf, GrantError> {
        let root = self.root.clone();
        let write = move || local::write_backup(&root, &backup.folder(), &backup.files());
        let written = tokio::task::spawn_blocking(write).await.map_err(|_| AccountError::Stopped)?;
        Ok(written.map_err(|source| KeepError { root: self.root.clone(), source })?)
    }
}
