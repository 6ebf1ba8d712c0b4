//! Who reaches the target by which policy, as the evaluator sees it, and what of that stays afterwards.

use super::target::Target;
use crate::document::OWN_SID_START;
use crate::layout::Layout;
use crate::model::{AccountId, Attachments, ManagedPolicy, PolicyJson, Reading, Seen, TagKey, TagValue};
use crate::policy::generate::{Generated, Kind};
use crate::policy::matrix::{Operation, Principal, Question};
use crate::report::{Finding, HolderRecord, Severity, attachment_names};
use serde_json::Value;

/// What is tried.
const TRIED: [Operation; 4] = [Operation::List, Operation::Get, Operation::Put, Operation::Delete];
/// In so many folders at most; projects of one template are alike.
const MOST_TRIED: usize = 30;
/// The code of what may not be read.
const HIDDEN: &str = "account-hidden";
/// The name of the object that is asked for.
const PROBE: &str = ".bucketwright/probe";

/// A policy that reaches the target.
#[derive(Debug, Clone, PartialEq)]
pub struct Reaching {
    /// The policy.
    pub policy: ManagedPolicy,
    /// What it allows there.
    pub operations: Vec<&'static str>,
}

/// The policies of an account that allow something in the target. Conditions are taken for unmet where they ask for what no
/// plain request carries.
pub fn reaching(
    layout: &Layout,
    target: &Target,
    policies: &[ManagedPolicy],
    account: &AccountId,
    partition: &str,
) -> Vec<Reaching> {
    let mut folders: Vec<String> = vec![target.prefix.to_string()];
    folders.extend(target.folders(layout).into_iter().map(|prefix| prefix.to_string()).take(MOST_TRIED));
    let reaches = |policy: &ManagedPolicy| {
        let document = serde_json::from_str::<Value>(&policy.in_force()?.document.0).ok()?;
        let made = Generated { name: policy.name.to_string(), kind: Kind::Identity, document };
        let principal = Principal::with_documents(policy.name.as_str(), &[made], account, partition);
        let may = |operation: Operation, folder: &String| {
            let key = if operation == Operation::List { folder.clone() } else { format!("{folder}{PROBE}") };
            // Rights to a KMS key may come from the key's own policy, so they are not asked for.
            principal.may(&Question::new(operation, &target.bucket, Some(&key))).allowed
        };
        let allowed = |operation: &Operation| folders.iter().any(|folder| may(*operation, folder));
        let operations: Vec<&'static str> = TRIED.into_iter().filter(allowed).map(Operation::word).collect();
        (!operations.is_empty()).then(|| Reaching { policy: policy.clone(), operations })
    };
    policies.iter().filter_map(reaches).collect()
}

impl Reaching {
    /// As output shows it.
    pub fn record(&self, attachments: &Seen<Attachments>) -> HolderRecord {
        HolderRecord {
            policy: self.policy.name.to_string(),
            arn: self.policy.arn.clone(),
            owner: self.policy.tags.get(&TagKey::owner()).map(ToString::to_string),
            operations: self.operations.clone(),
            attached_to: attachments.here().map(attachment_names).unwrap_or_default(),
            attached_unread: match attachments {
                Seen::Hidden(why) => Some(why.clone()),
                Seen::Here(_) | Seen::Absent => None,
            },
        }
    }
}

/// The policies that reach the target and are not this layout's: they stay as they are.
pub fn access_that_remains(layout: &Layout, target: &Target, records: &[HolderRecord]) -> Vec<Finding> {
    let ours = TagValue::from(&layout.id).to_string();
    let foreign = records.iter().filter(|one| one.owner.as_deref() != Some(ours.as_str()));
    let told = |record: &HolderRecord| {
        let allows = format!(
            "policy `{}` is not this layout's and allows {} in {}",
            record.policy,
            record.operations.join(", "),
            target.url()
        );
        if let Some(why) = &record.attached_unread {
            let message = format!("{allows}; to whom it is attached may not be read: {why}");
            let finding = Finding::new(HIDDEN, Severity::Warning, &record.arn, message);
            return Some(finding.with_fix("use a profile with iam:ListEntitiesForPolicy"));
        }
        let message = format!("{allows}; it is attached to {}", record.attached_to.join(", "));
        let fix = format!("`policy show {0}` shows it; `policy detach {0}` takes it from roles", record.policy);
        let finding = Finding::new("access-remains", Severity::Warning, &record.arn, message).with_fix(fix);
        (!record.attached_to.is_empty()).then_some(finding)
    };
    foreign.filter_map(told).collect()
}

/// Policies that no grant of the layout makes were not looked for, so that others may reach the target too.
pub fn others_unread(target: &Target, why: &str) -> Finding {
    let message = format!("what other policies reach it cannot be told: {why}");
    let finding = Finding::new(HIDDEN, Severity::Warning, target.url(), message);
    finding.with_fix("use a profile with iam:GetAccountAuthorizationDetails and iam:ListPolicyTags")
}

/// Statements of the bucket's own policy that let somebody in, beside ours; or that it may not be read.
pub fn let_in_by_bucket(target: &Target, policy: &Reading<Option<PolicyJson>>) -> Option<Finding> {
    let url = format!("s3://{}", target.bucket);
    let text = match policy {
        Reading::Known(policy) => policy.as_ref()?,
        Reading::Denied(why) => {
            let message = format!("whom the bucket's own policy lets in cannot be told: {why}");
            let finding = Finding::new(HIDDEN, Severity::Warning, url, message);
            return Some(finding.with_fix("use a profile with s3:GetBucketPolicy"));
        }
        Reading::Unsupported => return None,
    };
    let document = serde_json::from_str::<Value>(&text.0).ok()?;
    let statements = match document.get("Statement")? {
        Value::Array(statements) => statements.clone(),
        one => vec![one.clone()],
    };
    let allows = |(index, statement): (usize, &Value)| {
        let sid = statement.get("Sid").and_then(Value::as_str).unwrap_or_default();
        let is_foreign =
            statement.get("Effect").and_then(Value::as_str) == Some("Allow") && !sid.starts_with(OWN_SID_START);
        is_foreign.then(|| if sid.is_empty() { format!("statement {}", index + 1) } else { format!("`{sid}`") })
    };
    let named: Vec<String> = statements.iter().enumerate().filter_map(allows).collect();
    if named.is_empty() {
        return None;
    }
    let message = format!("the bucket's own policy lets others in, and stays as it is: {}", named.join(", "));
    Some(Finding::new("access-remains", Severity::Warning, url, message))
}
