//! Holds every bucket policy that a plan would write against the caller: one that would lock the caller out is refused.
//!
//! Only explicit denials count, because whatever else a caller may do comes from its own policies. Of the caller and its
//! requests not everything is known here: the network it comes from, its tags, whether it used a second factor. A Deny
//! that hangs on such a thing is refused, unless the very same statement is in force already and let the caller look.

use super::{
    Because, Caller, Compared, Context, Document, Effect, Layer, Outcome, Policies, Policy, Request, Statement,
    evaluate_with_trace,
};
use crate::layout::controls::Circumstances;
use crate::layout::{Bucket, Layout};
use crate::model::{BucketName, BucketState, Endpoint, PolicyJson, Reading, Setting};
use crate::plan::{Plan, Step};
use crate::report::{Finding, Severity};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What the caller must still be able to do, on the bucket and on its objects.
const ON_BUCKET: [&str; 3] = ["s3:GetBucketPolicy", "s3:PutBucketPolicy", "s3:ListBucket"];
const ON_OBJECTS: [&str; 2] = ["s3:GetObject", "s3:PutObject"];

/// One statement that denies the caller what it must be able to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lockout {
    /// Its Sid, or its place.
    pub statement: String,
    /// A JSON Pointer to it.
    pub path: String,
    /// The actions that it denies.
    pub actions: Vec<&'static str>,
    /// What it depends on and cannot be known here; empty if it denies for certain.
    pub unknown: Vec<String>,
}

/// Takes every bucket policy out of the plan that would lock the caller out, and says so in a finding that refuses the
/// plan.
pub fn guard(plan: &mut Plan, layout: &Layout, found: &BTreeMap<BucketName, BucketState>, around: &Circumstances) {
    let mut findings = Vec::new();
    plan.actions.retain(|action| {
        let Step::PutSetting(Setting::Policy(policy)) = &action.step else { return true };
        let Some(bucket) = layout.buckets.iter().find(|bucket| bucket.name == action.bucket) else { return true };
        let current = match found.get(&bucket.name).map(|state| &state.policy) {
            Some(Reading::Known(current)) => current.as_ref(),
            _ => None,
        };
        let refusals = refusals(policy, current, bucket, around);
        let harmless = refusals.is_empty();
        findings.extend(refusals);
        harmless
    });
    plan.findings.extend(findings);
}

fn refusals(
    policy: &PolicyJson,
    current: Option<&PolicyJson>,
    bucket: &Bucket,
    around: &Circumstances,
) -> Vec<Finding> {
    let url = format!("s3://{}", bucket.name);
    let refuse = |message: String| Finding::new("policy-locks-out", Severity::Error, url.clone(), message);
    match lockouts(policy, current, bucket, around) {
        Ok(lockouts) => lockouts
            .into_iter()
            .map(|lockout| Finding {
                path: Some(lockout.path.clone()),
                ..refuse(lockout.message(around)).with_fix(lockout.fix(around))
            })
            .collect(),
        Err(why) => {
            vec![
                refuse(format!("the bucket policy is not written, because nobody can say whom it denies: {why}"))
                    .with_fix("correct the bucket's policy by hand first"),
            ]
        }
    }
}

impl Lockout {
    fn message(&self, around: &Circumstances) -> String {
        let caller = around.identity.arn.as_deref().map_or("the caller".to_owned(), |arn| format!("`{arn}`"));
        let (would, unless) = match &self.unknown[..] {
            [] => ("would deny", String::new()),
            unknown => ("may deny", format!("; that depends on {}, which cannot be known here", unknown.join(", "))),
        };
        format!(
            "the bucket policy {would} {} to {caller} itself, by statement `{}`{unless}; it is not written",
            self.actions.join(", "),
            self.statement
        )
    }

    fn fix(&self, around: &Circumstances) -> String {
        let fix = format!(
            "change or remove statement `{}` of the bucket's policy, or except the caller in it with a condition \
             `ArnNotLike` on `aws:PrincipalArn`",
            self.statement
        );
        match around.endpoint {
            Endpoint::Aws => format!("{fix}; once written, only the account's root user could delete such a policy"),
            _ => fix,
        }
    }
}

/// The statements of a bucket policy that would deny the caller what it must be able to do. `current` is the policy that
/// is in force. Fails if the document cannot be read.
pub fn lockouts(
    policy: &PolicyJson,
    current: Option<&PolicyJson>,
    bucket: &Bucket,
    around: &Circumstances,
) -> Result<Vec<Lockout>, String> {
    let document = Document::parse(&policy.0)
        .map_err(|mistakes| mistakes.first().map_or_else(String::new, ToString::to_string))?;
    let in_force = current.map(statements).unwrap_or_default();
    let in_force = statements(policy).iter().map(|statement| in_force.contains(statement)).collect();
    let asker = Asker::new(document, in_force, bucket, around);
    let mut found: BTreeMap<usize, Lockout> = BTreeMap::new();
    for (action, resources) in asker.needs() {
        for (index, unknown) in asker.denials(action, &resources) {
            let lockout = found.entry(index).or_insert_with(|| asker.lockout(index));
            lockout.actions.push(action);
            lockout.unknown.extend(unknown);
            lockout.unknown.sort();
            lockout.unknown.dedup();
        }
    }
    Ok(found.into_values().collect())
}

/// The statements of a document, each with its keys sorted.
fn statements(policy: &PolicyJson) -> Vec<Value> {
    match serde_json::from_str::<Value>(&policy.0).ok().as_mut().and_then(|document| document.get_mut("Statement")) {
        Some(Value::Array(statements)) => std::mem::take(statements),
        Some(single) => vec![single.take()],
        None => Vec::new(),
    }
}

/// The caller, asking for everything that it needs.
struct Asker<'run> {
    caller: Caller,
    /// False where the endpoint does not say who calls.
    is_known: bool,
    policies: Policies,
    policy: Arc<Policy>,
    /// For each statement whether it is in force already.
    in_force: Vec<bool>,
    bucket: &'run Bucket,
    around: &'run Circumstances,
}

impl<'run> Asker<'run> {
    fn new(document: Document, in_force: Vec<bool>, bucket: &'run Bucket, around: &'run Circumstances) -> Self {
        let policy = Arc::new(Policy { name: "bucket policy".to_owned(), document });
        let caller = around.identity.arn.as_deref().and_then(|arn| Caller::parse(arn, None).ok());
        Self {
            is_known: caller.is_some(),
            caller: caller.unwrap_or(Caller::Anonymous),
            policies: Policies { resource: Some(Arc::clone(&policy)), ..Policies::default() },
            policy,
            in_force,
            bucket,
            around,
        }
    }

    /// Each action with the resources on all of which it must not be denied: a Deny in one folder locks nobody out.
    fn needs(&self) -> Vec<(&'static str, Vec<String>)> {
        let arn = self.bucket.name.arn(self.around.region.partition());
        let object = |prefix: &str| format!("{arn}/{prefix}.bucketwright/probe");
        let mut objects: Vec<String> =
            self.bucket.folders.iter().map(|folder| object(folder.prefix.as_str())).collect();
        if objects.is_empty() {
            objects.push(object(""));
        }
        let on_bucket = ON_BUCKET.iter().map(|action| (*action, vec![arn.clone()]));
        on_bucket.chain(ON_OBJECTS.iter().map(|action| (*action, objects.clone()))).collect()
    }

    /// The statements that deny the action, by their place, if it is denied on every resource; each with what that hangs
    /// on and cannot be known.
    fn denials(&self, action: &str, resources: &[String]) -> BTreeMap<usize, Vec<String>> {
        let mut common: Option<BTreeMap<usize, Vec<String>>> = None;
        for resource in resources {
            let denials = self.denials_of(action, resource);
            common = Some(match common {
                None => denials,
                Some(before) if before.is_empty() || denials.is_empty() => return BTreeMap::new(),
                // Folders can be denied by a statement each.
                Some(before) => before.into_iter().chain(denials).collect(),
            });
        }
        common.unwrap_or_default()
    }

    fn denials_of(&self, action: &str, resource: &str) -> BTreeMap<usize, Vec<String>> {
        let Ok(request) = Request::new(self.caller.clone(), action, resource) else { return BTreeMap::new() };
        let request = request.with_context(self.context());
        let request = match self.around.identity.account.as_ref() {
            Some(account) => request.of_account(account.as_str()),
            None => request,
        };
        let decision = evaluate_with_trace(&self.policies, &request);
        decision.because.iter().filter_map(|because| Some((because.statement, self.denial(because)?))).collect()
    }

    /// What a Deny that applies hangs on. None for whatever is no Deny, for one that asks for a header that the caller can
    /// send, and for one that is in force and hangs on what cannot be known: it let the caller look.
    fn denial(&self, because: &Because) -> Option<Vec<String>> {
        let Outcome::Applied { conditions, .. } = &because.outcome else { return None };
        if because.layer != Layer::Resource || because.effect != Some(Effect::Deny) {
            return None;
        }
        let mut unknown = Vec::new();
        for condition in conditions {
            let absent = condition.found.is_none() || condition.unresolved.is_some();
            if absent && condition.key.to_ascii_lowercase().starts_with("s3:") {
                return None;
            }
            if absent || self.may_be_another_path(condition) {
                unknown.push(format!("`{}`", condition.key));
            }
        }
        let spares = self.statement(because.statement).is_some_and(|one| one.not_principal.is_some());
        if spares && !self.is_known {
            unknown.push("who calls".to_owned());
        }
        let let_the_caller_in = self.in_force.get(because.statement).copied().unwrap_or_default();
        (unknown.is_empty() || !let_the_caller_in).then_some(unknown)
    }

    /// A session's ARN does not tell the path of its role, so a role of that name may be the one that is excepted.
    fn may_be_another_path(&self, condition: &Compared) -> bool {
        let Caller::RoleSession { role, .. } = &self.caller else { return false };
        let name = role.rsplit('/').next().unwrap_or(role);
        let same_name = |wanted: &String| wanted.rsplit('/').next() == Some(name) && wanted != role;
        condition.key.eq_ignore_ascii_case("aws:PrincipalArn") && condition.wanted.iter().any(same_name)
    }

    /// What is known of every request: who asks, and over what.
    fn context(&self) -> Context {
        let secure = self.around.endpoint.passes_secure_transport();
        let mut context = Context::default()
            .with("aws:SecureTransport", if secure { "true" } else { "false" })
            .with("s3:authType", "REST-HEADER")
            .with("s3:signatureversion", "AWS4-HMAC-SHA256");
        if matches!(self.around.endpoint, Endpoint::Aws | Endpoint::OtherHttps) {
            // The least that the client agrees to.
            context = context.with("s3:TlsVersion", "1.2");
        }
        if let Some(account) = &self.around.identity.account {
            context =
                context.with("aws:ResourceAccount", account.as_str()).with("s3:ResourceAccount", account.as_str());
        }
        let known = if self.is_known { self.caller.context_keys() } else { Vec::new() };
        known.into_iter().fold(context, |context, (name, value)| context.with(name, value))
    }

    fn statement(&self, index: usize) -> Option<&Statement> {
        self.policy.document.statements().get(index)
    }

    fn lockout(&self, index: usize) -> Lockout {
        let statement = self.statement(index);
        let sid = statement.and_then(|one| one.sid.clone()).filter(|sid| !sid.is_empty());
        Lockout {
            statement: sid.unwrap_or_else(|| format!("statement {}", index + 1)),
            path: statement.map(|one| one.path.pointer()).unwrap_or_default(),
            actions: Vec::new(),
            unknown: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests;
