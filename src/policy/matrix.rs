//! The access matrix: who may do what where, decided by the evaluator, with the reason of every cell.
//!
//! What a layout's grants ought to give is compared with what their documents do give, so each cell has both.

use super::entitlement::Entitlement;
use super::evaluate::{Policies, Policy, evaluate, evaluate_with_trace};
use super::generate::{self, Form, Frame, GenerateError, Generated};
use super::operation::{Call, Demand, demands};
use super::{Because, Caller, Compared, Context, Document, Effect, Missed, Outcome, Request, Verdict};
use crate::layout::{FolderAccess, Grant, Layout, Place};
use crate::model::{AccountId, Arn, BucketName, Prefix, Region};
use crate::report::{Access, Cell};
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::Arc;

/// The name that a probe has in its folder.
const PROBE: &str = ".bucketwright/probe";
/// What makes the name of a folder that is nobody's: the one beside a granted folder that a forgotten slash would open.
const SIBLING: &str = "-sibling/";

/// What is tried in a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    /// Listing a folder and all that is in it.
    List,
    /// Reading an object.
    Get,
    /// Writing an object.
    Put,
    /// Deleting an object.
    Delete,
    /// Writing in parts: begin, send, list, complete, and abort.
    Multipart,
    /// Asking whether the bucket is there.
    HeadBucket,
}

impl Operation {
    /// Every operation, in the order of output.
    pub const ALL: [Self; 6] = [Self::List, Self::Get, Self::Put, Self::Multipart, Self::Delete, Self::HeadBucket];

    /// The word in layouts and output.
    pub const fn word(self) -> &'static str {
        match self {
            Self::List => "list",
            Self::Get => "get",
            Self::Put => "put",
            Self::Delete => "delete",
            Self::Multipart => "multipart",
            Self::HeadBucket => "head-bucket",
        }
    }

    /// The operation of a word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|operation| operation.word() == word)
    }

    /// The S3 calls that it takes.
    const fn calls(self) -> &'static [&'static str] {
        match self {
            Self::List => &["ListObjectsV2"],
            Self::Get => &["GetObject"],
            Self::Put => &["PutObject"],
            Self::Delete => &["DeleteObject"],
            Self::Multipart => {
                &["CreateMultipartUpload", "UploadPart", "ListParts", "CompleteMultipartUpload", "AbortMultipartUpload"]
            }
            Self::HeadBucket => &["HeadBucket"],
        }
    }

    /// What it takes of the bucket's KMS key.
    const fn key_actions(self) -> &'static [&'static str] {
        match self {
            Self::Get => &["kms:Decrypt"],
            Self::Put => &["kms:GenerateDataKey"],
            Self::Multipart => &["kms:GenerateDataKey", "kms:Decrypt"],
            Self::List | Self::Delete | Self::HeadBucket => &[],
        }
    }

    /// True if an access to a key is enough for it.
    pub fn is_within(self, access: FolderAccess) -> bool {
        match self {
            Self::Get => true,
            Self::Put | Self::Multipart => access >= FolderAccess::Append,
            Self::Delete => access >= FolderAccess::ReadWrite,
            Self::List | Self::HeadBucket => false,
        }
    }
}

/// One question: may this be done there?
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question<'here> {
    /// What.
    pub operation: Operation,
    /// In which bucket.
    pub bucket: &'here BucketName,
    /// The object's key; for a listing its prefix, where none means that none is sent.
    pub key: Option<&'here str>,
    /// A listing's delimiter.
    pub delimiter: Option<&'here str>,
    /// The bucket's KMS key.
    pub kms_key: Option<&'here Arn>,
}

impl<'here> Question<'here> {
    /// A question about a key, or without one about the bucket.
    pub const fn new(operation: Operation, bucket: &'here BucketName, key: Option<&'here str>) -> Self {
        Self { operation, bucket, key, delimiter: None, kms_key: None }
    }

    /// The same in a bucket encrypted with a KMS key.
    #[must_use]
    pub const fn with_key(self, kms_key: Option<&'here Arn>) -> Self {
        Self { kms_key, ..self }
    }
}

/// The answer to a question, with its reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Whether it may be done.
    pub allowed: bool,
    /// The statement that allows or denies it, or what is missing.
    pub because: String,
}

/// Somebody with all policies that have a say about what they do.
#[derive(Debug, Clone)]
pub struct Principal {
    /// The name in output.
    pub name: String,
    caller: Caller,
    policies: Policies,
    partition: String,
}

impl Principal {
    /// A session of a role in `account` that has just these documents.
    pub fn with_documents(name: &str, documents: &[Generated], account: &AccountId, partition: &str) -> Self {
        let named = documents.iter().filter_map(|one| Some((one.name.clone(), parsed(&one.document)?)));
        let identity = named.map(|(name, document)| Arc::new(Policy { name, document })).collect();
        Self {
            name: name.to_owned(),
            caller: Caller::RoleSession {
                session: format!("arn:{partition}:sts::{account}:assumed-role/{name}/matrix"),
                role: format!("arn:{partition}:iam::{account}:role/{name}"),
                account: account.to_string(),
            },
            policies: Policies { identity, ..Policies::default() },
            partition: partition.to_owned(),
        }
    }

    /// Somebody who has the documents of both.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        let mut both = self.clone();
        both.policies.identity.extend(other.policies.identity.iter().cloned());
        both
    }

    /// The same behind a VPC endpoint that lets through what its policy allows.
    #[must_use]
    pub fn behind(&self, endpoint: Arc<Policy>) -> Self {
        let policies = Policies { endpoint: Some(endpoint), ..self.policies.clone() };
        Self { policies, ..self.clone() }
    }

    /// Whether something may be done, and why. Everything that it asks for must be allowed.
    pub fn may(&self, question: &Question<'_>) -> Answer {
        let demands = self.demands(question);
        let decided = |demand: &Demand| {
            let request = self.request(demand)?;
            Some((evaluate(&self.policies, &request).verdict == Verdict::Allow, request))
        };
        let mut last = None;
        for demand in &demands {
            match decided(demand) {
                Some((true, request)) => last = last.or(Some(request)),
                Some((false, request)) => return self.explained(false, &request),
                // Not reached: the actions are ours.
                None => return Answer { allowed: false, because: format!("{} is no action", demand.action) },
            }
        }
        match last {
            Some(request) => self.explained(true, &request),
            None => Answer { allowed: false, because: "nothing is known of this call".to_owned() },
        }
    }

    fn demands(&self, question: &Question<'_>) -> Vec<Demand> {
        let pair = |(name, value): (&str, Option<&str>)| Some((name.to_owned(), value?.to_owned()));
        let listing = [("prefix", question.key), ("delimiter", question.delimiter)];
        let query: Vec<_> = match question.operation {
            Operation::List => listing.into_iter().filter_map(pair).collect(),
            _ => Vec::new(),
        };
        let call = |operation| Call {
            operation,
            bucket: question.bucket.as_str(),
            key: question.key.unwrap_or_default(),
            query: &query,
            ..Call::default()
        };
        let calls = question.operation.calls().iter();
        let mut all: Vec<Demand> = calls.filter_map(|name| demands(&call(name))).flatten().collect();
        for demand in &mut all {
            // Calls do not know in which partition they are made.
            demand.resource = demand.resource.replacen("arn:aws:", &format!("arn:{}:", self.partition), 1);
        }
        for (key, action) in question
            .kms_key
            .into_iter()
            .flat_map(|key| question.operation.key_actions().iter().map(move |action| (key, *action)))
        {
            let context = Context::default().with("kms:ViaService", generate::via_service(key));
            all.push(Demand { action, resource: key.to_string(), context });
        }
        all
    }

    fn request(&self, demand: &Demand) -> Option<Request> {
        let mut context = demand.context.clone().with("aws:SecureTransport", "true");
        for (name, value) in self.caller.context_keys() {
            context = context.with(name, value);
        }
        if let Some(account) = self.caller.account() {
            context = context.with("aws:ResourceAccount", account).with("s3:ResourceAccount", account);
        }
        Some(Request::new(self.caller.clone(), demand.action, &demand.resource).ok()?.with_context(context))
    }

    /// The reason in a few words; asked for once it matters, as a trace takes longer than a verdict.
    fn explained(&self, allowed: bool, request: &Request) -> Answer {
        let because = evaluate_with_trace(&self.policies, request).because;
        let applied = |effect: Effect| {
            because.iter().find(|one| one.effect == Some(effect) && matches!(one.outcome, Outcome::Applied { .. }))
        };
        let action = request.action();
        if let Some(denial) = applied(Effect::Deny) {
            return Answer { allowed, because: format!("{} denies {action}", self.statement(denial)) };
        }
        if let Some(statement) = applied(Effect::Allow).filter(|_| allowed) {
            return Answer { allowed, because: format!("{} allows {action}", self.statement(statement)) };
        }
        // Only a condition is close enough to be worth a word: the action and the resource are right.
        let close = because.iter().find_map(|one| match &one.outcome {
            Outcome::Missed(Missed::Condition(compared)) if one.effect == Some(Effect::Allow) => Some((one, compared)),
            _ => None,
        });
        let because = match close {
            Some((one, Compared { key, found: None, .. })) => {
                format!("{} allows {action} only with {key}, which is not sent", self.statement(one))
            }
            Some((one, compared)) => {
                format!("{} allows {action} only with another {}", self.statement(one), compared.key)
            }
            None => format!("no statement allows {action} here"),
        };
        Answer { allowed, because }
    }

    /// A statement by its Sid, or by its place; with its document's name where there are several.
    fn statement(&self, because: &Because) -> String {
        let name = because.sid.clone().unwrap_or_else(|| format!("statement {}", because.statement + 1));
        if self.policies.identity.len() > 1 { format!("{name} of {}", because.policy) } else { name }
    }
}

fn parsed(document: &Value) -> Option<Document> {
    Document::parse(&document.to_string()).ok()
}

/// A grant, what it ought to give, and somebody who has just its policy.
#[derive(Debug, Clone)]
pub struct Granted {
    /// What the policy is to give.
    pub entitlement: Entitlement,
    /// Somebody who has it.
    pub principal: Principal,
}

impl Granted {
    /// Makes the grant's documents and somebody who has them.
    pub fn of(layout: &Layout, grant: &Grant) -> Result<Self, GenerateError> {
        let entitlement = Entitlement::of_grant(layout, grant);
        let (account, frame) = (account(layout), frame(layout));
        let documents = generate::identity(&entitlement, Form::Least, &frame)?;
        let principal = Principal::with_documents(&entitlement.name, &documents, &account, &frame.partition);
        Ok(Self { entitlement, principal })
    }

    /// The same grant with somebody in `account` who has other documents: those that are in force.
    pub fn with_documents(
        layout: &Layout,
        grant: &Grant,
        documents: &[Generated],
        (account, partition): (&AccountId, &str),
    ) -> Self {
        let entitlement = Entitlement::of_grant(layout, grant);
        let principal = Principal::with_documents(&entitlement.name, documents, account, partition);
        Self { entitlement, principal }
    }

    /// Whether the grant is meant to allow this.
    pub fn ought(&self, question: &Question<'_>) -> bool {
        let entitlement = &self.entitlement;
        match (question.operation, question.key) {
            (Operation::List, prefix) => entitlement.lists(question.bucket, prefix, question.delimiter),
            (Operation::HeadBucket, _) => entitlement.lists_all_of(question.bucket),
            (_, None) => false,
            (operation, Some(key)) => {
                entitlement.at(question.bucket, key).is_some_and(|access| operation.is_within(access))
            }
        }
    }

    /// The cells of the grant: its places and their folders, and around them what it must not open.
    pub fn cells(&self) -> Vec<Cell> {
        let mut cells = Vec::new();
        for bucket in self.entitlement.buckets() {
            let folders = self.folders_of(bucket);
            for prefix in &folders {
                let about_bucket = |operation: &Operation| *operation != Operation::HeadBucket || prefix.is_root();
                let operations = Operation::ALL.into_iter().filter(about_bucket);
                cells.extend(operations.map(|operation| self.cell(operation, bucket, prefix)));
            }
        }
        cells
    }

    /// The folders of a bucket that get cells, in byte order: granted ones, those inside, their siblings and the root.
    pub fn folders_of(&self, bucket: &BucketName) -> BTreeSet<Prefix> {
        let places: Vec<&Place> = self.entitlement.places.iter().filter(|place| place.bucket == *bucket).collect();
        let mut folders = BTreeSet::from([Prefix::root()]);
        for place in &places {
            folders.insert(place.prefix.clone());
            let sibling = place.prefix.as_str().strip_suffix('/').map(|bare| format!("{bare}{SIBLING}"));
            folders.extend(sibling.and_then(|sibling| sibling.parse().ok()));
        }
        let declared = self.entitlement.grounds.get(bucket).into_iter().flat_map(super::entitlement::Ground::folders);
        folders.extend(declared.map(|(folder, _)| folder.clone()));
        folders
    }

    fn cell(&self, operation: Operation, bucket: &BucketName, prefix: &Prefix) -> Cell {
        let key = key_in(prefix, operation);
        let question = Question::new(operation, bucket, Some(&key)).with_key(self.entitlement.kms_key(bucket));
        let answer = self.principal.may(&question);
        let access = |allowed| if allowed { Access::Allow } else { Access::Deny };
        Cell {
            principal: self.entitlement.name.clone(),
            operation: operation.word(),
            target: format!("s3://{bucket}/{prefix}"),
            expected: access(self.ought(&question)),
            observed: access(answer.allowed),
            because: answer.because,
        }
    }
}

/// The key that stands for a folder in a question, or the prefix of a listing.
pub fn key_in(prefix: &Prefix, operation: Operation) -> String {
    match operation {
        Operation::List => prefix.as_str().to_owned(),
        _ => format!("{prefix}{PROBE}"),
    }
}

/// The account that a layout's principals are taken to be in.
pub(super) fn account(layout: &Layout) -> AccountId {
    layout.account.clone().unwrap_or_else(AccountId::local)
}

/// The frame of a layout's documents.
pub(super) fn frame(layout: &Layout) -> Frame {
    let partition = layout.region.as_ref().map_or("aws", Region::partition).to_owned();
    Frame { partition, guard: None }
}

/// Every cell of a layout's grants.
pub fn of_layout(layout: &Layout) -> Result<Vec<Cell>, GenerateError> {
    let mut cells = Vec::new();
    for grant in &layout.grants {
        cells.extend(Granted::of(layout, grant)?.cells());
    }
    Ok(cells)
}
