//! `policy generate --type trust`: who may take the roles of service accounts.

use super::{GenerateArgs, Sources, issuers, layout_of, remarks};
use crate::commands::Context;
use crate::error::CommandError;
use crate::policy::generate::trust::{self, Trusted};
use crate::policy::generate::{Generated, MAX_TRUST_POLICY_CHARACTERS};
use crate::report::Severity;
use std::collections::BTreeMap;

/// One document for each role.
pub(super) fn documents(
    args: &GenerateArgs,
    sources: &Sources,
    context: &Context,
) -> Result<Vec<Generated>, CommandError> {
    let roles = if args.trust.service_account.is_empty() { of_layout(args, sources)? } else { typed(args)? };
    let mut documents = Vec::new();
    for (role, trusted) in &roles {
        let document = trust::document_of(role, trusted, sources.account.as_ref(), &sources.frame.partition)?;
        let characters = document.characters();
        if characters > MAX_TRUST_POLICY_CHARACTERS {
            let message = format!(
                "{characters} characters; IAM takes {MAX_TRUST_POLICY_CHARACTERS} unless the account's quota is raised. \
                 EKS Pod Identity needs one short document for any number of service accounts"
            );
            remarks::remark(context, Severity::Warning, "trust-policy-too-large", role, &message);
        }
        documents.push(document);
    }
    Ok(documents)
}

fn of_layout(args: &GenerateArgs, sources: &Sources) -> Result<BTreeMap<String, Trusted>, CommandError> {
    let layout = layout_of(sources)?;
    let mut issuers = issuers(&args.trust)?;
    // An issuer without a cluster's name is that of the only cluster.
    if let Some(only) = issuers.remove("") {
        let clusters = trust::clusters(layout, &args.grant);
        if clusters.len() > 1 {
            let names: Vec<&str> = clusters.into_iter().collect();
            let failed = CommandError::usage("`--oidc-issuer` must name its cluster: the layout has several");
            return Err(failed.hint(format!("write CLUSTER=URL for each of {}", names.join(", "))));
        }
        issuers.extend(clusters.into_iter().map(|cluster| (cluster.to_owned(), only.clone())));
    }
    let roles = trust::of_layout(layout, &args.grant, &issuers)?;
    if roles.is_empty() {
        let failed = CommandError::usage("no grant attaches to a role of a service account");
        return Err(failed.hint("`attach` targets `irsa` and `pod_identity` have roles that need a trust policy"));
    }
    Ok(roles)
}

fn typed(args: &GenerateArgs) -> Result<BTreeMap<String, Trusted>, CommandError> {
    let role = args.trust.role.clone().unwrap_or_else(|| "role".to_owned());
    let accounts = &args.trust.service_account;
    let issuers = issuers(&args.trust)?;
    let irsa: BTreeMap<_, _> = issuers.into_values().map(|issuer| (issuer, accounts.clone())).collect();
    let pod_identity = irsa.is_empty();
    Ok(BTreeMap::from([(role, Trusted { irsa, pod_identity })]))
}
