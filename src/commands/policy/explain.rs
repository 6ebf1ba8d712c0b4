//! `policy explain`: why one request is allowed or denied, in words.

use super::{invalid, read_text};
use crate::commands::{Context, Ending};
use crate::error::CommandError;
use crate::policy::{
    Caller, Context as ConditionContext, Document, Policies, Policy, Request, Verdict, evaluate_with_trace, explain,
    operation,
};
use crate::report::{DecisionRecord, Event, Outcome};
use clap::Args;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The longest policy file that is read.
const MAX_POLICY_BYTES: u64 = crate::policy::MAX_DOCUMENT_BYTES as u64;

/// Say why a request is allowed or denied, and by which statement
///
/// The files are policies of the user or role; the bucket policy and what else has a say are given by options. Condition
/// keys that follow from the caller and the resource (`aws:PrincipalArn`, `aws:username`, `aws:ResourceAccount`, ...) are
/// filled in; all others are absent unless given. With `-v` every statement says what it had to do with it.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bucketwright policy explain policy.json --principal arn:aws:iam::111111111111:role/trainer \\
      --action s3:GetObject --resource s3://lake/team-a/x.csv
  bucketwright policy explain policy.json --principal arn:aws:iam::111111111111:user/alice \\
      --action s3:ListBucket --resource s3://lake --context s3:prefix=team-a/ --bucket-policy bucket.json

Exits 0 if the request is allowed, 4 if it is denied.")]
pub struct ExplainArgs {
    /// Policies of the user, its groups, or the role
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Who asks: the ARN of a user, role, session or account root, a service's name, or `anonymous`
    #[arg(long, value_name = "ARN")]
    principal: String,
    /// The role of a session whose role has a path, or the user of a federated session
    #[arg(long, value_name = "ARN")]
    behind: Option<String>,
    /// The action, such as s3:GetObject
    #[arg(long)]
    action: String,
    /// The resource: an ARN, s3://BUCKET[/KEY], or `*`
    #[arg(long, value_name = "ARN")]
    resource: String,
    /// The account that owns the resource, if it is not the caller's
    #[arg(long, value_name = "ID")]
    resource_account: Option<crate::model::AccountId>,
    /// A condition key of the request; give a key of several values once for each
    #[arg(long, value_name = "KEY=VALUE")]
    context: Vec<String>,
    /// The bucket policy
    #[arg(long, value_name = "FILE")]
    bucket_policy: Option<PathBuf>,
    /// The permissions boundary
    #[arg(long, value_name = "FILE")]
    boundary: Option<PathBuf>,
    /// A session policy
    #[arg(long, value_name = "FILE")]
    session: Vec<PathBuf>,
    /// A service control policy: one level each, from the organization's root down
    #[arg(long, value_name = "FILE")]
    scp: Vec<PathBuf>,
    /// A resource control policy: one level each, from the organization's root down
    #[arg(long, value_name = "FILE")]
    rcp: Vec<PathBuf>,
    /// The policy of the VPC endpoint that the request comes through
    #[arg(long, value_name = "FILE")]
    endpoint_policy: Option<PathBuf>,
}

/// Runs the verb.
pub fn run(args: &ExplainArgs, context: &Context) -> Result<Ending, CommandError> {
    let request = request(args)?;
    let policies = policies(args, context)?;
    let decision = evaluate_with_trace(&policies, &request);
    let id = format!("{} {}", args.action, args.resource);
    let record = explain::record(&id, &decision, &request, None);
    context.ui.event(&Event::Decision(DecisionRecord { alone: true, ..record }));
    if let Some(hint) = operation::hint(&args.action) {
        context.ui.hint(&hint);
    }
    Ok(Ending::answered(if decision.verdict == Verdict::Allow { Outcome::Done } else { Outcome::Differs }))
}

fn request(args: &ExplainArgs) -> Result<Request, CommandError> {
    let caller = Caller::parse(&args.principal, args.behind.as_deref())
        .map_err(|error| CommandError::usage(error.to_string()).hint("check `--principal` and `--behind`"))?;
    let owner = args.resource_account.as_ref().map(|account| account.as_str().to_owned());
    let owner = owner.or_else(|| caller.account().map(str::to_owned));
    let mut known = ConditionContext::default();
    for (name, value) in caller.context_keys() {
        known = known.with(name, value);
    }
    if let Some(owner) = &owner {
        known = known.with("aws:ResourceAccount", owner).with("s3:ResourceAccount", owner);
    }
    let known = add_typed(known, &args.context)?;
    let request = Request::new(caller, &args.action, &resource_arn(&args.resource)?)
        .map_err(|error| CommandError::usage(error.to_string()))?
        .with_context(known);
    Ok(match owner {
        Some(owner) => request.of_account(owner),
        None => request,
    })
}

/// The keys that were typed; one that comes more than once is a set.
fn add_typed(mut known: ConditionContext, typed: &[String]) -> Result<ConditionContext, CommandError> {
    let split = |pair: &'_ String| pair.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
    let pairs: Option<Vec<_>> = typed.iter().map(split).collect();
    let pairs = pairs.ok_or_else(|| CommandError::usage("write `--context` as KEY=VALUE"))?;
    for (name, value) in &pairs {
        let values: Vec<_> = pairs
            .iter()
            .filter(|(other, _)| other.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.clone())
            .collect();
        known = if values.len() > 1 { known.with_many(name, values) } else { known.with(name, value) };
    }
    Ok(known)
}

fn resource_arn(text: &str) -> Result<String, CommandError> {
    if let Some(place) = text.strip_prefix("s3://") {
        return Ok(format!(
            "arn:aws:s3:::{}",
            place.strip_suffix('/').filter(|bucket| !bucket.contains('/')).unwrap_or(place)
        ));
    }
    if text == "*" || (text.starts_with("arn:") && text.split(':').count() >= 6) {
        return Ok(text.to_owned());
    }
    Err(CommandError::usage(format!("`{text}` is no resource: write an ARN, s3://BUCKET/KEY, or `*`")))
}

fn policies(args: &ExplainArgs, context: &Context) -> Result<Policies, CommandError> {
    let read = |path: &PathBuf| read_policy(path, context);
    let all = |paths: &[PathBuf]| paths.iter().map(read).collect::<Result<Vec<_>, _>>();
    let levels = |paths: &[PathBuf]| -> Result<Option<Vec<Vec<_>>>, CommandError> {
        let levels: Vec<_> = all(paths)?.into_iter().map(|policy| vec![policy]).collect();
        Ok(Some(levels).filter(|levels| !levels.is_empty()))
    };
    Ok(Policies {
        identity: all(&args.files)?,
        resource: args.bucket_policy.as_ref().map(read).transpose()?,
        boundary: args.boundary.as_ref().map(read).transpose()?,
        session: Some(all(&args.session)?).filter(|policies| !policies.is_empty()),
        scp: levels(&args.scp)?,
        rcp: levels(&args.rcp)?,
        endpoint: args.endpoint_policy.as_ref().map(read).transpose()?,
    })
}

/// Reads a policy, and says what IAM would refuse about it; the decision is made all the same.
fn read_policy(path: &Path, context: &Context) -> Result<Arc<Policy>, CommandError> {
    let name = path.display().to_string();
    let text = read_text(path, MAX_POLICY_BYTES)?;
    let document = Document::parse(&text).map_err(|mistakes| CommandError::document("policy", &name, &mistakes))?;
    for defect in document.defects() {
        context.ui.warning(&format!("{name}: {defect}"));
    }
    if !document.has_statement() {
        return Err(invalid(format!("`{name}` has no `Statement`, so it is no policy")));
    }
    Ok(Arc::new(Policy { name, document }))
}
