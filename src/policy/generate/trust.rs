//! Trust policies of roles for Kubernetes service accounts: by the cluster's OIDC provider (IRSA), or by EKS Pod Identity.
//!
//! Sources: <https://docs.aws.amazon.com/eks/latest/userguide/associate-service-account-role.html> and
//! <https://docs.aws.amazon.com/eks/latest/userguide/pod-id-role.html>

use super::statement::{document, one_or_many};
use super::{Generated, Kind};
use crate::layout::{AttachTarget, Layout, ServiceAccountRole};
use crate::model::AccountId;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

/// The host and path of a cluster's OIDC issuer, as IAM names it: without `https://`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct OidcIssuer(String);

/// Why a text is no OIDC issuer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no OIDC issuer: it looks like `https://oidc.eks.us-east-1.amazonaws.com/id/EXAMPLE`")]
pub struct OidcIssuerError(String);

impl FromStr for OidcIssuer {
    type Err = OidcIssuerError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bare = text.strip_prefix("https://").unwrap_or(text).trim_end_matches('/');
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || b".-_/:".contains(&byte);
        let host = bare.split('/').next().unwrap_or_default();
        let whole = host.contains('.') && bare.bytes().all(legal) && !bare.contains("//") && !bare.starts_with("arn:");
        if whole { Ok(Self(bare.to_owned())) } else { Err(OidcIssuerError(text.to_owned())) }
    }
}

impl fmt::Display for OidcIssuer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// A service account in a cluster's namespace.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ServiceAccount {
    /// The namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// Why a text names no service account.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no service account: it looks like `namespace/name`")]
pub struct ServiceAccountError(String);

impl FromStr for ServiceAccount {
    type Err = ServiceAccountError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let label = |part: &str| {
            let legal = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte);
            !part.is_empty() && part.len() <= 253 && part.bytes().all(legal)
        };
        match text.split_once('/') {
            Some((namespace, name)) if label(namespace) && label(name) => {
                Ok(Self { namespace: namespace.to_owned(), name: name.to_owned() })
            }
            _ => Err(ServiceAccountError(text.to_owned())),
        }
    }
}

/// Who may take a role.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Trusted {
    /// Service accounts, by the issuer that vouches for them.
    pub irsa: BTreeMap<OidcIssuer, Vec<ServiceAccount>>,
    /// Whether associations of EKS Pod Identity may hand it out. They, and not this document, say to whom.
    pub pod_identity: bool,
}

/// Why a layout's trust policies cannot be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TrustError {
    /// The issuer of a cluster is not known.
    #[error("the OIDC issuer of cluster `{0}` is needed for its roles")]
    NoIssuer(String),
    /// The account of the OIDC provider is not known.
    #[error("the account is needed to name the OIDC provider")]
    NoAccount,
}

/// The trust policy of a role.
pub fn document_of(
    role: &str,
    trusted: &Trusted,
    account: Option<&AccountId>,
    partition: &str,
) -> Result<Generated, TrustError> {
    let mut statements = Vec::new();
    for (index, (issuer, accounts)) in trusted.irsa.iter().enumerate() {
        let account = account.ok_or(TrustError::NoAccount)?;
        let number = if index == 0 { String::new() } else { (index + 1).to_string() };
        statements.push(irsa(&number, issuer, accounts, account, partition));
    }
    if trusted.pod_identity {
        statements.push(json!({
            "Sid": "PodIdentity",
            "Effect": "Allow",
            "Principal": { "Service": "pods.eks.amazonaws.com" },
            "Action": ["sts:AssumeRole", "sts:TagSession"],
        }));
    }
    Ok(Generated { name: role.to_owned(), kind: Kind::Trust, document: document(&statements) })
}

/// Exact names only: a wildcard in a namespace would hand the role to everybody who may make one.
fn irsa(number: &str, issuer: &OidcIssuer, accounts: &[ServiceAccount], account: &AccountId, partition: &str) -> Value {
    let subject = |one: &ServiceAccount| format!("system:serviceaccount:{}:{}", one.namespace, one.name);
    let mut condition = json!({});
    condition["StringEquals"][format!("{issuer}:aud")] = json!("sts.amazonaws.com");
    condition["StringEquals"][format!("{issuer}:sub")] = one_or_many(accounts.iter().map(subject).collect());
    json!({
        "Sid": format!("ServiceAccounts{number}"),
        "Effect": "Allow",
        "Principal": { "Federated": format!("arn:{partition}:iam::{account}:oidc-provider/{issuer}") },
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": condition,
    })
}

/// Who may take each role that a layout's grants attach to by service account, sorted by role. With `grant` only those
/// of that grant's policy.
pub fn of_layout(
    layout: &Layout,
    grants: &[String],
    issuers: &BTreeMap<String, OidcIssuer>,
) -> Result<BTreeMap<String, Trusted>, TrustError> {
    let mut roles: BTreeMap<String, Trusted> = BTreeMap::new();
    let wanted = layout.grants.iter().filter(|grant| grants.is_empty() || grants.contains(&grant.policy));
    for target in wanted.flat_map(|grant| &grant.attach) {
        match target {
            AttachTarget::Irsa(to) => {
                let issuer = issuers.get(&to.cluster).ok_or_else(|| TrustError::NoIssuer(to.cluster.clone()))?;
                let accounts = roles.entry(to.role.clone()).or_default().irsa.entry(issuer.clone()).or_default();
                let account = service_account(to);
                if !accounts.contains(&account) {
                    accounts.push(account);
                }
            }
            AttachTarget::PodIdentity(to) => roles.entry(to.role.clone()).or_default().pod_identity = true,
            // Such roles exist already, and what trusts them is not for a layout to say.
            AttachTarget::Role(_) | AttachTarget::NodeGroups { .. } => {}
        }
    }
    Ok(roles)
}

/// The clusters whose OIDC providers a layout's grants rely on.
pub fn clusters<'layout>(layout: &'layout Layout, grants: &[String]) -> BTreeSet<&'layout str> {
    let wanted = layout.grants.iter().filter(|grant| grants.is_empty() || grants.contains(&grant.policy));
    let cluster = |target: &'layout AttachTarget| match target {
        AttachTarget::Irsa(to) => Some(to.cluster.as_str()),
        _ => None,
    };
    wanted.flat_map(|grant| &grant.attach).filter_map(cluster).collect()
}

fn service_account(to: &ServiceAccountRole) -> ServiceAccount {
    ServiceAccount { namespace: to.namespace.clone(), name: to.service_account.clone() }
}
