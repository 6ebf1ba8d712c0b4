//! The two sides of a comparison: documents of files, or those that layouts make, matched by name.

use super::DiffArgs;
use crate::commands::policy::account::{Opened, VersionName};
use crate::commands::policy::{eval, invalid, read_text};
use crate::commands::{Context, LayoutArgs, load};
use crate::error::CommandError;
use crate::layout::{AttachTarget, Layout, ServiceAccountRole};
use crate::local;
use crate::model::Region;
use crate::policy::diff::Side;
use crate::policy::entitlement::Entitlement;
use crate::policy::generate::{self, Form, Frame, Generated, bucket_policy};
use crate::policy::{Document, MAX_DOCUMENT_BYTES, Policy};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

/// What a file holds: documents by the name of the policy or bucket, or one document without a name.
enum Source {
    Named(BTreeMap<String, Held>),
    Single(Side),
}

/// Documents of one name, and to whom they are attached as far as the file says so.
#[derive(Default)]
struct Held {
    side: Side,
    targets: Option<BTreeSet<String>>,
}

/// What is compared with what.
pub(in crate::commands::policy) struct Pair {
    /// The policy or bucket.
    pub(in crate::commands::policy) name: String,
    /// What is in force.
    pub(in crate::commands::policy) before: Side,
    /// What would be.
    pub(in crate::commands::policy) after: Side,
    /// Whom the policy is attached to that was without it.
    pub(in crate::commands::policy) joins: Vec<String>,
    /// Whom it is no longer attached to.
    pub(in crate::commands::policy) leaves: Vec<String>,
}

impl Pair {
    fn new(name: String, before: Held, after: Held) -> Self {
        let (mut joins, mut leaves) = (Vec::new(), Vec::new());
        if let (Some(old), Some(new)) = (&before.targets, &after.targets) {
            joins.extend(new.difference(old).cloned());
            leaves.extend(old.difference(new).cloned());
        }
        Self { name, before: before.side, after: after.side, joins, leaves }
    }

    pub(in crate::commands::policy) fn of_documents(name: String, before: Side, after: Side) -> Self {
        Self { name, before, after, joins: Vec::new(), leaves: Vec::new() }
    }
}

/// What is compared with what, each under its name.
pub(super) async fn pairs(args: &DiffArgs, context: &Context) -> Result<Vec<Pair>, CommandError> {
    let mut account = Opened::default();
    let before = either(&args.before, args, context, &mut account).await?;
    let after = either(&args.after, args, context, &mut account).await?;
    match (before, after) {
        (Source::Single(before), Source::Single(after)) => {
            check_grant(args, false)?;
            Ok(vec![Pair::of_documents(args.after.display().to_string(), before, after)])
        }
        (Source::Named(mut before), Source::Named(mut after)) => {
            if let Some(grant) = &args.grant {
                let known = before.keys().chain(after.keys()).any(|name| name == grant);
                check_grant(args, known)?;
                before.retain(|name, _| name == grant);
                after.retain(|name, _| name == grant);
            }
            let mut names: Vec<String> = before.keys().chain(after.keys()).cloned().collect();
            names.sort();
            names.dedup();
            let mut pair = |name: &String| {
                let (old, new) = (before.remove(name).unwrap_or_default(), after.remove(name).unwrap_or_default());
                Pair::new(name.clone(), old, new)
            };
            Ok(names.iter().map(&mut pair).collect())
        }
        (Source::Single(before), Source::Named(after)) => {
            let (name, after) = chosen(after, &args.after, args)?;
            Ok(vec![Pair::of_documents(name, before, after)])
        }
        (Source::Named(before), Source::Single(after)) => {
            let (name, before) = chosen(before, &args.before, args)?;
            Ok(vec![Pair::of_documents(name, before, after)])
        }
    }
}

fn check_grant(args: &DiffArgs, known: bool) -> Result<(), CommandError> {
    match &args.grant {
        Some(grant) if !known => Err(CommandError::usage(format!("neither side has a policy `{grant}`"))),
        _ => Ok(()),
    }
}

/// The one policy that a single document is compared with.
fn chosen(mut named: BTreeMap<String, Held>, path: &Path, args: &DiffArgs) -> Result<(String, Side), CommandError> {
    let path = path.display();
    let names: Vec<String> = named.keys().cloned().collect();
    let name = match (&args.grant, &names[..]) {
        (Some(grant), _) => grant.clone(),
        (None, [only]) => only.clone(),
        (None, _) => {
            let failed = CommandError::usage(format!("`{path}` has {} policies, the other side one", names.len()));
            return Err(failed.hint(format!("choose one with `--grant`: {}", names.join(", "))));
        }
    };
    match named.remove(&name) {
        Some(held) => Ok((name, held.side)),
        None => Err(CommandError::usage(format!("`{path}` has no policy `{name}`"))
            .hint(format!("policies: {}", names.join(", ")))),
    }
}

/// A version in the account, or what a file holds.
async fn either(path: &Path, args: &DiffArgs, context: &Context, account: &mut Opened) -> Result<Source, CommandError> {
    let named = path.to_str().and_then(VersionName::parse).filter(|_| !local::exists(path));
    let Some(named) = named else { return source(path, args, context) };
    let document = named.document(account.get(context).await?).await?;
    Ok(Source::Single(side(&[(path.display().to_string(), document.0)])?))
}

fn source(path: &Path, args: &DiffArgs, context: &Context) -> Result<Source, CommandError> {
    if eval::is_layout(path) {
        let layout = load(&LayoutArgs { layout: path.to_owned(), env: args.env.clone() }, context)?.layout;
        return Ok(Source::Named(of_layout(&layout)?));
    }
    let name = path.display().to_string();
    let text = read_text(path, MAX_DOCUMENT_BYTES as u64)?;
    let json: Value = serde_json::from_str(&text).map_err(|error| invalid(format!("{name}: not JSON: {error}")))?;
    let Value::Object(fields) = &json else {
        return Err(invalid(format!("`{name}` is no policy document")));
    };
    if fields.contains_key("Statement") {
        return Ok(Source::Single(side(&[(name.clone(), &text)])?));
    }
    let documents = fields.iter().map(|(name, document)| {
        let is_document = document.get("Statement").is_some();
        is_document.then(|| (name.clone(), document.to_string()))
    });
    match documents.collect::<Option<Vec<_>>>() {
        Some(documents) if !documents.is_empty() => {
            let sides = documents.into_iter().map(|(name, text)| {
                let side = side(&[(name.clone(), &text)])?;
                Ok((name, Held { side, targets: None }))
            });
            Ok(Source::Named(sides.collect::<Result<_, CommandError>>()?))
        }
        _ => Err(invalid(format!("`{name}` has no `Statement`, so it is no policy"))),
    }
}

/// The policies of a layout's grants, and of its buckets.
fn of_layout(layout: &Layout) -> Result<BTreeMap<String, Held>, CommandError> {
    let partition = layout.region.as_ref().map_or("aws", Region::partition).to_owned();
    let frame = Frame { partition, guard: None };
    let mut named = BTreeMap::new();
    for grant in &layout.grants {
        let parts = generate::identity(&Entitlement::of_grant(layout, grant), Form::Least, &frame)?;
        let targets = Some(grant.attach.iter().flat_map(targets).collect());
        named.insert(grant.policy.clone(), Held { side: generated(&parts)?, targets });
    }
    for policy in bucket_policy::of_layout(layout) {
        let side = generated(std::slice::from_ref(&policy))?;
        named.insert(format!("s3://{}", policy.name), Held { side, targets: None });
    }
    Ok(named)
}

/// Whom a target means, one by one, in words.
fn targets(target: &AttachTarget) -> Vec<String> {
    let account = |one: &ServiceAccountRole, by: &str| {
        let ServiceAccountRole { cluster, namespace, service_account, role } = one;
        vec![format!("role {role} of {namespace}/{service_account} in cluster {cluster} by {by}")]
    };
    match target {
        AttachTarget::Role(role) => vec![format!("role {role}")],
        AttachTarget::NodeGroups { cluster, node_groups } => {
            node_groups.iter().map(|group| format!("node groups {group} of cluster {cluster}")).collect()
        }
        AttachTarget::Irsa(one) => account(one, "IRSA"),
        AttachTarget::PodIdentity(one) => account(one, "Pod Identity"),
    }
}

fn generated(parts: &[Generated]) -> Result<Side, CommandError> {
    let texts: Vec<(String, String)> =
        parts.iter().map(|part| (part.name.clone(), part.document.to_string())).collect();
    side(&texts.iter().map(|(name, text)| (name.clone(), text.as_str())).collect::<Vec<_>>())
}

pub(in crate::commands::policy) fn side<'text>(
    documents: &[(String, impl AsRef<str> + 'text)],
) -> Result<Side, CommandError> {
    let policies = documents.iter().map(|(name, text)| {
        let text = with_resources(text.as_ref());
        let document = Document::parse(&text).map_err(|mistakes| CommandError::document("policy", name, &mistakes))?;
        Ok(Arc::new(Policy { name: name.clone(), document }))
    });
    Ok(Side { policies: policies.collect::<Result<_, CommandError>>()? })
}

/// A trust policy names no resources, because the role that it belongs to is the only one.
fn with_resources(text: &str) -> String {
    let Ok(mut json) = serde_json::from_str::<Value>(text) else { return text.to_owned() };
    let statements = match json.get_mut("Statement") {
        Some(Value::Array(statements)) => statements.iter_mut().collect(),
        Some(single @ Value::Object(_)) => vec![single],
        _ => return text.to_owned(),
    };
    let is_trust = |statement: &Value| {
        let actions = statement.get("Action").map(Value::to_string).unwrap_or_default();
        actions.contains("\"sts:") && statement.get("Principal").is_some() && statement.get("Resource").is_none()
    };
    let trusts = statements.into_iter().filter(|statement| is_trust(statement));
    let mut found = false;
    for statement in trusts {
        statement["Resource"] = Value::from("*");
        found = true;
    }
    if found { json.to_string() } else { text.to_owned() }
}
