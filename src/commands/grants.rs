//! What a layout's grants need to know of the account, and what is planned from it.

use super::Context;
use crate::access::{self, AccountPlan, AccountState};
use crate::aws::ErrorClass;
use crate::error::CommandError;
use crate::layout::{AttachTarget, Layout};
use crate::model::{AccountId, Arn, Cluster, Endpoint, ManagedPolicy, Owner, PolicyName, RoleName, Seen};
use crate::report::{Finding, Severity};
use crate::world::{Account, AccountError, World};
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use std::collections::{BTreeMap, BTreeSet};

/// How many questions are under way at once. IAM allows few a second.
const AT_ONCE: usize = 4;

/// What the account is to a layout's grants.
#[derive(Debug)]
pub(super) enum Looked {
    /// As it was found.
    Found(Box<AccountState>),
    /// It cannot be asked.
    OutOfReach {
        /// The cause.
        why: String,
        /// What that means for the grants.
        findings: Vec<Finding>,
    },
}

/// The plan for a layout's grants. Where no account can be asked, because the endpoint has none, it says so.
pub(super) async fn plan(layout: &Layout, world: &World, context: &Context) -> Result<AccountPlan, CommandError> {
    Ok(match observe(layout, world, context).await? {
        Looked::Found(state) => access::plan(layout, &state),
        Looked::OutOfReach { findings, .. } => AccountPlan { findings, ..AccountPlan::default() },
    })
}

/// Looks at all of the account that a layout's grants speak of.
pub(super) async fn observe(layout: &Layout, world: &World, context: &Context) -> Result<Looked, CommandError> {
    let account = match account_of(world) {
        Ok(account) => account,
        Err(why) => return Ok(out_of_reach(layout, why)),
    };
    let looked = super::announced("looking at policies and roles", look(layout, world, account), context).await;
    match looked {
        Ok(state) => Ok(Looked::Found(Box::new(state))),
        // Some servers say who somebody is and have no policies nor roles for that.
        Err(error) if world.endpoint != Endpoint::Aws && is_no_iam(&error) => {
            Ok(out_of_reach(layout, format!("this endpoint has no IAM: {error}")))
        }
        // Who has no grants may never have had any; their buckets must not suffer from what IAM answers.
        Err(error) if layout.grants.is_empty() => {
            let finding = unsearched(&error);
            Ok(Looked::OutOfReach { why: finding.message.clone(), findings: vec![finding] })
        }
        Err(error) => Err(error.into()),
    }
}

/// The account whose policies and roles can be asked for.
pub(super) fn account_of(world: &World) -> Result<AccountId, String> {
    if let Some(why) = world.no_account() {
        return Err(why.to_owned());
    }
    world.identity.account.clone().ok_or_else(|| "this endpoint speaks only S3".to_owned())
}

fn is_no_iam(error: &AccountError) -> bool {
    matches!(error.class(), ErrorClass::Unsupported | ErrorClass::NotS3)
}

fn unsearched(error: &AccountError) -> Finding {
    let message = format!("whether a grant left the layout cannot be told, and nothing is revoked: {error}");
    Finding::new("account-hidden", Severity::Suggestion, "account/policies", message)
}

fn out_of_reach(layout: &Layout, why: String) -> Looked {
    let names: Vec<&str> = layout.grants.iter().map(|grant| grant.policy.as_str()).collect();
    let message = format!("the grants are not applied, because {why}: {}", names.join(", "));
    let finding = Finding::new("no-iam", Severity::Warning, &layout.id, message);
    let findings = if names.is_empty() { Vec::new() } else { vec![finding] };
    Looked::OutOfReach { why, findings }
}

/// Looks at all that the grants speak of.
async fn look(layout: &Layout, world: &World, id: AccountId) -> Result<AccountState, AccountError> {
    let account = &world.account;
    let partition = world.partition().to_owned();
    let clusters = ask(access::clusters_of(layout), |name: String| async move { account.cluster(&name).await }).await?;
    let cluster_names = match clusters.values().any(|cluster| *cluster == Seen::Absent) {
        true => account.clusters().await.unwrap_or_default(),
        false => Vec::new(),
    };
    let roles = access::roles_of(layout, &clusters);
    let roles = ask(roles, |name: RoleName| async move { account.role(&name).await }).await?;
    let is_directory = matches!(account, Account::Local(_));
    // Some servers count attachments wrongly.
    let counts = world.endpoint == Endpoint::Aws;
    let (policies, former) = policies(layout, account, counts, access::names_of(layout, &partition)).await?;
    let attached = policies.values().filter_map(Seen::here).chain(former.here().into_iter().flatten());
    let attached = attached.map(|policy| policy.arn.clone()).collect();
    Ok(AccountState {
        account: id,
        partition,
        is_directory,
        attachments: ask(attached, |arn: Arn| async move { account.attachments(&arn).await }).await?,
        policies,
        former,
        role_names: role_names(account, is_directory, &roles).await,
        roles,
        oidc_providers: providers(layout, account).await?,
        clusters,
        cluster_names,
        quotas: if layout.grants.is_empty() { Seen::Absent } else { account.quotas().await? },
    })
}

/// The clusters whose node groups a layout's grants name. One that cannot be asked for is hidden, whatever the cause.
pub(super) async fn node_clusters(layout: &Layout, world: &World) -> BTreeMap<String, Seen<Cluster>> {
    let asked = access::node_clusters_of(layout).into_iter().map(|name| async move {
        let answer = world.account.cluster(&name).await;
        let seen = answer.unwrap_or_else(|error| Seen::Hidden(error.to_string()));
        (name, seen)
    });
    stream::iter(asked).buffer_unordered(AT_ONCE).collect().await
}

/// Asks for each of them, some at once.
async fn ask<K: Ord + Clone, V, F: Future<Output = Result<V, AccountError>>>(
    names: BTreeSet<K>,
    question: impl Fn(K) -> F,
) -> Result<BTreeMap<K, V>, AccountError> {
    let asked = names.into_iter().map(|name| {
        let answer = question(name.clone());
        async move { Ok::<_, AccountError>((name, answer.await?)) }
    });
    stream::iter(asked).buffer_unordered(AT_ONCE).try_collect().await
}

type Policies = (BTreeMap<PolicyName, Seen<ManagedPolicy>>, Seen<Vec<ManagedPolicy>>);

/// The policies that grants name, and those that carry the layout's tag and that no grant names; where attachments are
/// counted, only those that somebody has. Where the whole list may not be read, the former are asked for one by one.
async fn policies(
    layout: &Layout,
    account: &Account,
    counts: bool,
    names: BTreeSet<PolicyName>,
) -> Result<Policies, AccountError> {
    let matters = |policy: &ManagedPolicy| !counts || policy.attachments > 0 || names.contains(&policy.name);
    let found = account.policies_that(matters).await;
    match found {
        Ok(all) => {
            let (named, others): (Vec<_>, Vec<_>) = all.into_iter().partition(|policy| names.contains(&policy.name));
            let mut policies: BTreeMap<_, _> = names.into_iter().map(|name| (name, Seen::Absent)).collect();
            policies.extend(named.into_iter().map(|policy| (policy.name.clone(), Seen::Here(policy))));
            let is_ours = |policy: &ManagedPolicy| Owner::of(&policy.tags, &layout.id) == Owner::Ours;
            Ok((policies, Seen::Here(others.into_iter().filter(is_ours).collect())))
        }
        Err(error) if error.class() == ErrorClass::Denied => {
            let named = ask(names, |name: PolicyName| async move { account.policy_named(&name).await }).await?;
            Ok((named, Seen::Hidden(error.to_string())))
        }
        Err(error) => Err(error),
    }
}

/// The names of all roles where one is missing, to tell the one that was meant.
async fn role_names(
    account: &Account,
    is_directory: bool,
    roles: &BTreeMap<RoleName, Seen<crate::model::Role>>,
) -> Vec<String> {
    if is_directory || !roles.values().any(|role| *role == Seen::Absent) {
        return Vec::new();
    }
    let arns = account.roles().await.unwrap_or_default();
    arns.iter().filter_map(RoleName::of_arn).map(String::from).collect()
}

async fn providers(layout: &Layout, account: &Account) -> Result<Seen<BTreeSet<Arn>>, AccountError> {
    let by_issuer = |target: &AttachTarget| matches!(target, AttachTarget::Irsa(_));
    if !layout.grants.iter().flat_map(|grant| &grant.attach).any(by_issuer) {
        return Ok(Seen::Absent);
    }
    account.oidc_providers().await
}
