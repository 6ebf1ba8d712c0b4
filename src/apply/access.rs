//! Runs what a plan does in the account: policies, roles, associations, attachments, and revocations last.
//!
//! One after the other, because the next one often needs the one before, and because IAM refuses two writes at once.
//! What a failed step leaves undone is not built upon: a policy that could not be made is attached to nobody, and a role
//! that did not get its new policy keeps the old one.

mod keep;

pub use keep::{KeepError, Keeper};

use crate::apply::patience::{Patience, Situation};
use crate::aws::ErrorClass;
use crate::document::Document;
use crate::model::{Arn, PolicyJson, RoleName, TagKey, Tags};
use crate::plan::{AccountAction, AccountStep};
use crate::report::{ErrorRecord, Event, Progress, Status};
use crate::world::{Account, AccountError};
use std::collections::BTreeSet;
use std::path::PathBuf;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Where managed policies are made.
const POLICY_PATH: &str = "/";

/// Where grants are applied.
#[derive(Debug)]
pub struct Ground<'run> {
    /// The account to write to.
    pub account: &'run Account,
    /// Where what is replaced is kept.
    pub keeper: Keeper,
}

/// What a run in the account needs beside the actions.
#[derive(Debug)]
pub struct Grants<'run> {
    /// Where they are applied.
    pub ground: &'run Ground<'run>,
    /// Who listens.
    pub events: &'run mpsc::Sender<Event>,
    /// Set when the user wants to stop: nothing new is begun then.
    pub cancel: &'run CancellationToken,
}

/// Why a step was not done.
#[derive(Debug, thiserror::Error)]
pub enum GrantError {
    /// The account refused or failed.
    #[error(transparent)]
    Account(#[from] AccountError),
    /// What would be replaced could not be kept, so it was not replaced.
    #[error(transparent)]
    Keep(#[from] KeepError),
    /// What is to be kept cannot be read any more.
    #[error("{0} cannot be read, so it is neither backed up nor replaced")]
    Unread(String),
    /// There is no backup of what would be replaced, so it was not replaced.
    #[error("not begun, because there is no backup: {0}")]
    Unkept(String),
    /// Somebody else made it since the plan was made.
    #[error("{0} was made by somebody else meanwhile, and is not as it should be")]
    Taken(String),
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Granted {
    /// The roles whose access changed, for whoever waits until that is known everywhere.
    pub changed_roles: Vec<RoleName>,
    /// Where what was replaced is kept, if anything was.
    pub backup: Option<PathBuf>,
    /// How many steps failed, or were left out because others did.
    pub undone: u64,
}

/// What this run did so far, which later steps must allow for.
#[derive(Debug, Default)]
struct Done {
    /// Policies that could not be made or brought up to date.
    stale: BTreeSet<Arn>,
    /// Roles that could not be made, or that lack a policy that they should have got.
    lacking: BTreeSet<RoleName>,
    /// Roles whose trust policy could not be changed.
    untrusting: BTreeSet<RoleName>,
    /// Something was made that not every server of the service knows yet.
    is_new: bool,
    /// The roles whose access changed.
    changed: BTreeSet<RoleName>,
    /// Why there is no backup.
    unkept: Option<String>,
    /// How many steps failed, or were left out because others did.
    undone: u64,
}

impl Grants<'_> {
    /// Keeps what will be replaced, then runs the actions in their order. Failures are events.
    pub async fn run(&self, actions: &[AccountAction]) -> Granted {
        let mut done = Done::default();
        let backup = match self.ground.keeper.keep(actions, self.ground.account).await {
            Ok(folder) => folder,
            Err(error) => {
                done.unkept = Some(error.to_string());
                None
            }
        };
        for action in actions {
            if self.cancel.is_cancelled() {
                break;
            }
            if action.planned_status() == Status::Skipped {
                self.emit(Event::Action(action.record(Status::Skipped))).await;
            } else if let Some(why) = done.obstacle(action) {
                done.failed(&action.step);
                self.skip(action, why).await;
            } else {
                self.one(action, &mut done).await;
            }
        }
        Granted { changed_roles: done.changed.into_iter().collect(), backup, undone: done.undone }
    }

    async fn one(&self, action: &AccountAction, done: &mut Done) {
        let unkept = done.unkept.as_ref().filter(|_| keep::is_needed(&action.step));
        let outcome = match unkept {
            Some(why) => Err(GrantError::Unkept(why.clone())),
            None => self.with_patience(action, done.is_new).await,
        };
        match outcome {
            Ok(()) => {
                done.is_new |= matches!(action.step, AccountStep::CreatePolicy { .. } | AccountStep::CreateRole { .. });
                done.changed.extend(action.step.roles());
                self.emit(Event::Action(action.record(Status::Done))).await;
            }
            Err(error) => {
                done.failed(&action.step);
                self.fail(action, &error).await;
            }
        }
    }

    /// Tries a step until it works, fails for good, or patience ends.
    async fn with_patience(&self, action: &AccountAction, is_new: bool) -> Result<(), GrantError> {
        let mut patience = Patience::new(Situation { just_created: is_new, just_versioned: false });
        let started = tokio::time::Instant::now();
        loop {
            let error = match self.perform(action).await {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            let wait = match &error {
                GrantError::Account(error) => patience.after(as_waited_for(action, error.class()), started.elapsed()),
                _ => None,
            };
            let Some(wait) = wait else { return Err(error) };
            let retried = Progress::Retried { target: action.target(), reason: error.to_string() };
            self.emit(Event::Progress(retried)).await;
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.cancel.cancelled() => return Err(error),
            }
        }
    }

    async fn perform(&self, action: &AccountAction) -> Result<(), GrantError> {
        let account = self.ground.account;
        match &action.step {
            AccountStep::CreatePolicy { policy, name, description, document, tags } => {
                let made = account.create_policy(name, POLICY_PATH, description, document, tags).await;
                match made {
                    Ok(_) => Ok(()),
                    Err(error) if error.class() == ErrorClass::Exists => self.is_there(policy, document, tags).await,
                    Err(error) => Err(error.into()),
                }
            }
            AccountStep::TagPolicy { policy, tags } => Ok(account.tag_policy(policy, tags).await?),
            AccountStep::CreatePolicyVersion { policy, document, prunes, .. } => {
                if let Some(version) = prunes {
                    account.delete_version(policy, *version).await?;
                }
                account.create_version(policy, document).await?;
                Ok(())
            }
            AccountStep::CreateRole { role, path, description, trust, tags } => {
                let made = account.create_role(role, path, description, trust, tags).await;
                match made {
                    Ok(_) => Ok(()),
                    Err(error) if error.class() == ErrorClass::Exists => self.has_trust(role, trust, tags).await,
                    Err(error) => Err(error.into()),
                }
            }
            AccountStep::TagRole { role, tags } => Ok(account.tag_role(role, tags).await?),
            AccountStep::PutTrust { role, trust } => Ok(account.put_trust(role, trust).await?),
            AccountStep::DeleteAssociation { cluster, id, .. } => Ok(account.delete_association(cluster, id).await?),
            AccountStep::CreateAssociation { cluster, namespace, service_account, role, tags } => {
                account.create_association(cluster, namespace, service_account, role, tags).await?;
                Ok(())
            }
            AccountStep::UpdateAssociation { cluster, id, role, .. } => {
                Ok(account.update_association(cluster, id, role).await?)
            }
            AccountStep::AttachPolicy { role, policy } => Ok(account.attach(role, policy).await?),
            AccountStep::DetachPolicy { role, policy } => Ok(account.detach(role, policy).await?),
            AccountStep::SkipGrant { .. } => Ok(()),
        }
    }

    /// After an answer that the name is taken: an earlier try may have made it, or another run of the same layout.
    async fn is_there(&self, policy: &Arn, document: &PolicyJson, tags: &Tags) -> Result<(), GrantError> {
        let found = self.ground.account.policy(policy).await?;
        let same = found.here().is_some_and(|found| {
            is_ours(&found.tags, tags) && found.in_force().is_some_and(|one| means_the_same(&one.document, document))
        });
        if same { Ok(()) } else { Err(GrantError::Taken(format!("policy `{policy}`"))) }
    }

    async fn has_trust(&self, role: &RoleName, trust: &PolicyJson, tags: &Tags) -> Result<(), GrantError> {
        let found = self.ground.account.role(role).await?;
        let same = found.here().is_some_and(|found| is_ours(&found.tags, tags) && means_the_same(&found.trust, trust));
        if same { Ok(()) } else { Err(GrantError::Taken(format!("role `{role}`"))) }
    }

    async fn emit(&self, event: Event) {
        // Nobody listens any more only when the run is over.
        let _ = self.events.send(event).await;
    }

    async fn skip(&self, action: &AccountAction, why: &str) {
        let mut record = action.record(Status::Skipped);
        why.clone_into(&mut record.reason);
        self.emit(Event::Action(record)).await;
    }

    async fn fail(&self, action: &AccountAction, error: &GrantError) {
        let mut record = action.record(Status::Failed);
        record.reason = error.to_string();
        self.emit(Event::Action(record)).await;
        let (kind, hint) = match error {
            GrantError::Account(error) => (error.kind(), error.hint()),
            GrantError::Keep(_) | GrantError::Unread(_) | GrantError::Unkept(_) => {
                ("no-backup", Some("`backup` in the layout says where backups go; reading takes a profile that may"))
            }
            GrantError::Taken(_) => ("exists", Some("look at a new plan")),
        };
        self.emit(Event::Error(ErrorRecord {
            hints: hint.map(str::to_owned).into_iter().collect(),
            target: Some(action.target()),
            ..ErrorRecord::new(kind, error.to_string())
        }))
        .await;
    }
}

impl Done {
    /// Why a step cannot be done after what failed before.
    fn obstacle(&self, action: &AccountAction) -> Option<&'static str> {
        let is_unfit = |role: &RoleName| self.lacking.contains(role) || self.untrusting.contains(role);
        let stale = action.step.policy().is_some_and(|policy| self.stale.contains(policy));
        let lacking = action.step.roles().iter().any(|role| self.lacking.contains(role));
        match &action.step {
            AccountStep::CreatePolicyVersion { .. } | AccountStep::AttachPolicy { .. } if stale => {
                Some("the policy could not be made as it should be")
            }
            AccountStep::AttachPolicy { .. } | AccountStep::PutTrust { .. } if lacking => {
                Some("the role could not be made as it should be")
            }
            AccountStep::CreateAssociation { .. } if action.step.roles().iter().any(is_unfit) => {
                Some("the role could not be made as it should be")
            }
            AccountStep::UpdateAssociation { .. } if action.step.roles().iter().any(is_unfit) => {
                Some("the service account's new role could not be made as it should be")
            }
            AccountStep::DetachPolicy { .. } if lacking => Some("the role did not get what it should have instead"),
            _ => None,
        }
    }

    /// Remembers what must not be built upon.
    fn failed(&mut self, step: &AccountStep) {
        self.undone += 1;
        match step {
            AccountStep::CreatePolicy { policy, .. }
            | AccountStep::TagPolicy { policy, .. }
            | AccountStep::CreatePolicyVersion { policy, .. } => {
                self.stale.insert(policy.clone());
            }
            AccountStep::CreateRole { role, .. }
            | AccountStep::TagRole { role, .. }
            | AccountStep::AttachPolicy { role, .. }
            | AccountStep::DeleteAssociation { role, .. } => {
                self.lacking.insert(role.clone());
            }
            // Pods still take the role of before, which must keep what it has.
            AccountStep::UpdateAssociation { before, .. } => {
                self.lacking.insert(before.clone());
            }
            AccountStep::PutTrust { role, .. } => {
                self.untrusting.insert(role.clone());
            }
            _ => {}
        }
    }
}

/// The class of a failure, as patience takes it: EKS calls a role that it does not know yet an invalid parameter.
fn as_waited_for(action: &AccountAction, class: ErrorClass) -> ErrorClass {
    match (&action.step, class) {
        (AccountStep::CreateAssociation { .. } | AccountStep::UpdateAssociation { .. }, ErrorClass::Invalid) => {
            ErrorClass::NotFound
        }
        _ => class,
    }
}

/// True if the owner tag is the one that was to be written.
fn is_ours(found: &Tags, wanted: &Tags) -> bool {
    let owner = TagKey::owner();
    wanted.get(&owner).is_some_and(|wanted| found.get(&owner) == Some(wanted))
}

fn means_the_same(one: &PolicyJson, other: &PolicyJson) -> bool {
    match (Document::parse(one), Document::parse(other)) {
        (Ok(one), Ok(other)) => one.means_the_same_as(&other),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::{Done, ErrorClass, as_waited_for};
    use crate::model::{Arn, PolicyJson, RoleName, Tags};
    use crate::plan::{AccountAction, AccountStep, Reason};

    fn arn(resource: &str) -> Arn {
        format!("arn:aws:iam::111122223333:{resource}").parse().unwrap()
    }

    fn action(step: AccountStep) -> AccountAction {
        AccountAction { step, reason: Reason::Missing }
    }

    fn attach(role: &str, policy: &str) -> AccountAction {
        let policy = arn(&format!("policy/{policy}"));
        action(AccountStep::AttachPolicy { role: role.parse().unwrap(), policy })
    }

    fn detach(role: &str, policy: &str) -> AccountAction {
        let policy = arn(&format!("policy/{policy}"));
        action(AccountStep::DetachPolicy { role: role.parse().unwrap(), policy })
    }

    #[test]
    fn what_failed_is_not_built_upon() {
        let mut done = Done::default();
        let create = AccountStep::CreatePolicy {
            policy: arn("policy/new"),
            name: "new".parse().unwrap(),
            description: String::new(),
            document: PolicyJson("{}".to_owned()),
            tags: Tags::new(),
        };
        done.failed(&create);
        assert!(done.obstacle(&attach("nodes", "new")).is_some(), "a policy that is not there is attached to nobody");
        assert!(done.obstacle(&attach("nodes", "other")).is_none());
        assert!(done.obstacle(&detach("nodes", "old")).is_none());
        // What is left out counts as failed.
        done.failed(&attach("nodes", "new").step);
        assert!(done.obstacle(&detach("Nodes", "old")).is_some(), "who did not get the new one keeps the old one");
        assert!(done.obstacle(&detach("others", "old")).is_none());
    }

    #[test]
    fn a_service_account_keeps_its_role_where_the_new_one_is_not_ready() {
        let new: RoleName = "new".parse().unwrap();
        let trust = PolicyJson("{}".to_owned());
        let update = |service_account: &str, role: &str| {
            action(AccountStep::UpdateAssociation {
                cluster: "edu".to_owned(),
                id: "a-1".to_owned(),
                namespace: "flyte".to_owned(),
                service_account: service_account.to_owned(),
                before: "old".parse().unwrap(),
                role: arn(&format!("role/{role}")),
            })
        };
        let (namespace, tags) = ("flyte".to_owned(), Tags::new());
        let create = action(AccountStep::CreateAssociation {
            cluster: "edu".to_owned(),
            namespace,
            service_account: "other".to_owned(),
            role: arn("role/new"),
            tags,
        });
        assert!(Done::default().obstacle(&update("sa", "new")).is_none());
        let made = AccountStep::CreateRole {
            role: new.clone(),
            path: "/".to_owned(),
            description: String::new(),
            trust: trust.clone(),
            tags: Tags::new(),
        };
        // A role without its policy would be less than the one of before.
        for failed in [made, AccountStep::PutTrust { role: new, trust }, attach("new", "reader").step] {
            let mut done = Done::default();
            done.failed(&failed);
            assert!(done.obstacle(&update("sa", "new")).is_some(), "{failed:?}");
            assert!(done.obstacle(&create).is_some(), "{failed:?}");
            assert!(done.obstacle(&update("sa", "another")).is_none(), "{failed:?}");
            // What is left out counts as failed, and the role that stays in use keeps what it has.
            done.failed(&update("sa", "new").step);
            assert!(done.obstacle(&detach("old", "reader")).is_some(), "{failed:?}");
            assert!(done.obstacle(&detach("others", "reader")).is_none(), "{failed:?}");
        }
    }

    #[test]
    fn a_role_that_eks_does_not_know_yet_is_waited_for() {
        let (cluster, namespace) = ("edu".to_owned(), "flyte".to_owned());
        let (service_account, role, tags) = ("sa".to_owned(), arn("role/pods"), Tags::new());
        let associate = action(AccountStep::CreateAssociation { cluster, namespace, service_account, role, tags });
        assert_eq!(as_waited_for(&associate, ErrorClass::Invalid), ErrorClass::NotFound);
        let (cluster, namespace, id) = ("edu".to_owned(), "flyte".to_owned(), "a-1".to_owned());
        let (service_account, before, role) = ("sa".to_owned(), "old".parse().unwrap(), arn("role/pods"));
        let update = AccountStep::UpdateAssociation { cluster, id, namespace, service_account, before, role };
        assert_eq!(as_waited_for(&action(update), ErrorClass::Invalid), ErrorClass::NotFound);
        assert_eq!(as_waited_for(&associate, ErrorClass::Denied), ErrorClass::Denied);
        assert_eq!(as_waited_for(&attach("nodes", "new"), ErrorClass::Invalid), ErrorClass::Invalid);
    }
}
