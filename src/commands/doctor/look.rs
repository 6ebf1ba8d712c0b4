//! Looks at all that has a say about one request, as far as the caller may. What is refused is said to be hidden.

use crate::aws::s3::S3Error;
use crate::doctor::seen::{Around, Elsewhere, Held, Holder, Layers, RoleKind, SeenBucket, SeenRole, Standing};
use crate::doctor::{self, Case, Known, Question, QuestionError, Reading};
use crate::error::CommandError;
use crate::layout::{AttachTarget, Layout, nearest};
use crate::model::{
    Arn, BucketName, BucketState, Cluster, Endpoint, Existence, ManagedPolicy, ObjectKey, Reading as Setting, Role,
    RoleName, Seen,
};
use crate::policy::{Caller, Context, Request, Verdict, evaluate};
use crate::report::{Finding, Severity};
use crate::world::{AccountError, World};
use std::collections::BTreeSet;

/// How many policies that would help are asked for their holders.
const MOST_HELPERS: usize = 5;
/// How many holders are asked who takes them.
const MOST_HOLDERS: usize = 5;

/// What is looked into.
pub(super) struct Subject {
    pub(super) question: Question,
    pub(super) reading: Option<Reading>,
    pub(super) context: Context,
    pub(super) layout: Option<(Layout, String)>,
}

/// What was found.
pub(super) struct Looked {
    /// The case, or what is missing for one.
    pub(super) case: Result<Box<Case>, QuestionError>,
    /// What could not be read.
    pub(super) notes: Vec<Finding>,
    /// What is to be said of the place where there is no case.
    pub(super) places: Vec<Finding>,
    /// An API name that was typed as an action.
    pub(super) hint: Option<String>,
}

/// The caller's policies, as far as they were seen.
struct Principal {
    identity: Standing,
    boundary: Standing,
    role: SeenRole,
    /// Policies of the role that could not be read, each with why.
    unread: Vec<String>,
    /// The role's own ARN.
    arn: Option<Arn>,
    attached: Vec<Arn>,
}

/// Looks at everything.
pub(super) async fn look(world: &World, mut subject: Subject) -> Result<Looked, CommandError> {
    let mut notes = Vec::new();
    subject.question = subject.question.in_partition(world.partition());
    let (principal, bucket) = tokio::join!(
        look_at_principal(world, subject.question.principal.as_deref()),
        look_at_bucket(world, &subject.question)
    );
    let (principal, hidden) = principal?;
    notes.extend(hidden);
    let (bucket, policy) = bucket;
    subject.question = subject.question.of_key(bucket.kms_key.as_ref());
    if let Some(arn) = principal.arn.as_ref().filter(|_| is_mere_name(subject.question.principal.as_deref())) {
        subject.question.principal = Some(arn.to_string());
    }
    let known = Known { role: principal.arn.as_ref().map(ToString::to_string), owner: None, context: subject.context };
    let layers = layers(world, &principal, policy);
    let mut around = Around {
        layout: subject.layout,
        role: principal.role,
        unread: principal.unread,
        bucket,
        elsewhere: Vec::new(),
        clusters: Vec::new(),
    };
    let symptom = subject.reading.map(|reading| reading.symptom);
    let hint = subject.question.hint();
    let request = match subject.question.request(&known) {
        Ok(request) => request,
        Err(missing) => {
            let bucket = subject.question.bucket().map(str::to_owned).unwrap_or_default();
            return Ok(Looked { case: Err(missing), notes, places: doctor::place_findings(&around, &bucket), hint });
        }
    };
    let is_hidden = matches!(layers.identity, Standing::Hidden(_));
    if !is_hidden && evaluate(&layers.policies(), &request).verdict != Verdict::Allow {
        around.clusters = clusters(world, around.layout.as_ref().map(|(layout, _)| layout)).await;
        match helpers(world, &request, &principal.attached).await {
            Ok(elsewhere) => around.elsewhere = elsewhere,
            Err(error) => notes.push(unread("the account's policies", &error.to_string())),
        }
    }
    let case = Case { request, operation: subject.question.operation, symptom, layers, around };
    Ok(Looked { case: Ok(Box::new(case)), notes, places: Vec::new(), hint })
}

fn unread(what: &str, why: &str) -> Finding {
    Finding::new("doctor-not-seen", Severity::Warning, what, format!("{what} could not be read: {why}"))
}

fn is_mere_name(principal: Option<&str>) -> bool {
    principal.is_some_and(|text| text.parse::<RoleName>().is_ok() && Caller::parse(text, None).is_err())
}

/// The layers that were seen, and why the others were not.
fn layers(world: &World, principal: &Principal, policy: Standing) -> Layers {
    let is_local = world.endpoint == Endpoint::Embedded;
    let elsewhere = |why: &str| if is_local { Standing::Unlimited } else { Standing::Hidden(why.to_owned()) };
    Layers {
        identity: principal.identity.clone(),
        boundary: principal.boundary.clone(),
        session: Standing::Hidden("what was passed when the session was made cannot be read from outside".to_owned()),
        bucket: policy,
        scp: elsewhere("policies of the organization are not visible with these rights"),
        rcp: elsewhere("policies of the organization are not visible with these rights"),
        endpoint: elsewhere("which VPC endpoint the request came through is not known here"),
    }
}

/// The role's policies and boundary.
async fn look_at_principal(world: &World, text: Option<&str>) -> Result<(Principal, Vec<Finding>), CommandError> {
    let hidden = |why: &str, role: SeenRole| Principal {
        identity: Standing::Hidden(why.to_owned()),
        boundary: Standing::Hidden(why.to_owned()),
        role,
        unread: Vec::new(),
        arn: None,
        attached: Vec::new(),
    };
    let none = |why: &str| Ok((hidden(why, SeenRole::Unseen), Vec::new()));
    let Some(text) = text else { return none("nobody said who asked") };
    if let Some(why) = world.no_account() {
        return none(why);
    }
    let name = match Caller::parse(text, None) {
        Ok(Caller::RoleSession { role, account, .. }) => {
            if world.identity.account.as_ref().is_some_and(|own| own.as_str() != account) {
                return none(&format!("the role is of account {account}, these credentials of another"));
            }
            role.parse::<Arn>().ok().as_ref().and_then(RoleName::of_arn)
        }
        Ok(Caller::Root { .. } | Caller::Anonymous) => {
            let bare = Principal {
                identity: Standing::Unlimited,
                boundary: Standing::Unlimited,
                ..hidden("", SeenRole::Unseen)
            };
            return Ok((bare, Vec::new()));
        }
        Ok(_) => return none("only the policies of roles are read"),
        Err(_) => text.parse().ok(),
    };
    let Some(name) = name else { return none("that is no role's name") };
    match world.account.role(&name).await {
        Ok(Seen::Here(role)) => Ok((policies_of(world, role).await, Vec::new())),
        Ok(Seen::Absent) => {
            let near = near_role(world, &name).await;
            let mut absent = hidden("there is no such role", SeenRole::Absent(near));
            absent.identity = Standing::Held(Vec::new());
            absent.boundary = Standing::Unlimited;
            absent.arn = own_arn(world, &name);
            Ok((absent, Vec::new()))
        }
        Ok(Seen::Hidden(why)) => {
            let principal = Principal { arn: own_arn(world, &name), ..hidden(&why, SeenRole::Unseen) };
            Ok((principal, Vec::new()))
        }
        Err(error) => {
            let principal = Principal { arn: own_arn(world, &name), ..hidden(&error.to_string(), SeenRole::Unseen) };
            Ok((principal, vec![unread(&format!("role `{name}`"), &error.to_string())]))
        }
    }
}

/// What the ARN of a role would be that has no path.
fn own_arn(world: &World, name: &RoleName) -> Option<Arn> {
    let account = world.identity.account.as_ref()?;
    format!("arn:{}:iam::{account}:role/{name}", world.partition()).parse().ok()
}

async fn near_role(world: &World, name: &RoleName) -> Option<String> {
    let arns = world.account.roles().await.ok()?;
    let names: Vec<RoleName> = arns.iter().filter_map(RoleName::of_arn).collect();
    nearest(name.as_str(), names.iter().map(RoleName::as_str)).map(str::to_owned)
}

/// A role's policies; one that may not be read is told, and the others still count.
async fn policies_of(world: &World, role: Role) -> Principal {
    let mut unread = Vec::new();
    let mut held = Vec::new();
    for arn in &role.attached {
        match managed(world.account.policy(arn).await) {
            Ok(policy) => held.push(policy),
            Err(why) => unread.push(format!("`{arn}` could not be read: {why}")),
        }
    }
    for inline in &role.inline {
        match Held::inline(inline) {
            Ok(policy) => held.push(policy),
            Err(why) => unread.push(format!("inline policy `{}` could not be read: {why}", inline.name)),
        }
    }
    let boundary = match &role.boundary {
        None => Standing::Unlimited,
        Some(arn) => match managed(world.account.policy(arn).await) {
            Ok(policy) => Standing::Held(vec![policy]),
            Err(why) => Standing::Hidden(format!("`{arn}` could not be read: {why}")),
        },
    };
    let kind = RoleKind::of(&role.trust);
    Principal {
        identity: Standing::Held(held),
        boundary,
        role: SeenRole::Here { kind, made: role.created },
        unread,
        arn: Some(role.arn),
        attached: role.attached,
    }
}

fn managed(seen: Result<Seen<ManagedPolicy>, AccountError>) -> Result<Held, String> {
    match seen {
        Ok(Seen::Here(policy)) => Held::managed(&policy),
        Ok(Seen::Absent) => Err("there is no such policy".to_owned()),
        Ok(Seen::Hidden(why)) => Err(why),
        Err(error) => Err(error.to_string()),
    }
}

/// The bucket and its policy.
async fn look_at_bucket(world: &World, question: &Question) -> (SeenBucket, Standing) {
    let mut seen = SeenBucket { signed_for: Some(world.region.clone()), ..SeenBucket::default() };
    let Some(name) = question.bucket().and_then(|bucket| bucket.parse::<BucketName>().ok()) else {
        return (seen, Standing::Hidden("nobody said which bucket".to_owned()));
    };
    let state = match world.store.bucket_state(&name, &[]).await {
        Ok(state) => state,
        Err(error) => return (seen, Standing::Hidden(error.to_string())),
    };
    seen.existence = Some(state.existence.clone());
    seen.region = state.region.clone();
    if state.existence == Existence::Absent {
        seen.near = near_bucket(world, &name).await.ok().flatten();
        return (seen, Standing::Unlimited);
    }
    if state.existence == Existence::Forbidden {
        return (seen, Standing::Hidden("the bucket may not be looked at with these credentials".to_owned()));
    }
    seen.public_access = state.public_access.known().copied();
    seen.owner_enforced = state.owner_enforced.known().copied();
    seen.kms_key = state.encryption.known().and_then(|encryption| encryption.clone()?.kms_key);
    if let Some(key) = question.key().and_then(|key| key.parse::<ObjectKey>().ok()) {
        seen.has_object = world.store.head_object(&name, &key).await.ok().map(|head| head.is_some());
    }
    let policy = bucket_policy(&name, &state);
    (seen, policy)
}

fn bucket_policy(name: &BucketName, state: &BucketState) -> Standing {
    match &state.policy {
        Setting::Known(None) => Standing::Unlimited,
        Setting::Known(Some(text)) => match Held::new(&format!("bucket policy of {name}"), text) {
            Ok(policy) => Standing::Held(vec![policy]),
            Err(why) => Standing::Hidden(format!("the bucket policy could not be read: {why}")),
        },
        Setting::Denied(why) => Standing::Hidden(why.clone()),
        Setting::Unsupported => Standing::Hidden("this endpoint has no bucket policies".to_owned()),
    }
}

async fn near_bucket(world: &World, name: &BucketName) -> Result<Option<String>, S3Error> {
    let names = world.store.own_buckets().await?;
    Ok(nearest(name.as_str(), names.iter().map(BucketName::as_str)).map(str::to_owned))
}

/// The clusters that grants of the layout name; what may not be read is left out.
async fn clusters(world: &World, layout: Option<&Layout>) -> Vec<Cluster> {
    let targets = layout.iter().flat_map(|layout| layout.grants.iter().flat_map(|grant| &grant.attach));
    let names: BTreeSet<&str> = targets
        .filter_map(|target| match target {
            AttachTarget::NodeGroups { cluster, .. } => Some(cluster.as_str()),
            AttachTarget::Irsa(to) | AttachTarget::PodIdentity(to) => Some(to.cluster.as_str()),
            AttachTarget::Role(_) => None,
        })
        .collect();
    let mut clusters = Vec::new();
    for name in names {
        if let Ok(Seen::Here(cluster)) = world.account.cluster(name).await {
            clusters.push(cluster);
        }
    }
    clusters
}

/// Policies of the account that would allow the request, and who has them instead.
async fn helpers(world: &World, request: &Request, attached: &[Arn]) -> Result<Vec<Elsewhere>, AccountError> {
    let helps = |policy: &ManagedPolicy| {
        !attached.contains(&policy.arn) && Held::managed(policy).is_ok_and(|held| held.is_meant_for(request))
    };
    let found = world.account.policies_that(helps).await?;
    let mut elsewhere = Vec::new();
    for held in found.iter().filter_map(|policy| Held::managed(policy).ok()).take(MOST_HELPERS) {
        let holders = match &held.arn {
            Some(arn) => holders(world, arn).await,
            None => None,
        };
        elsewhere.push(Elsewhere { held, holders });
    }
    Ok(elsewhere)
}

async fn holders(world: &World, policy: &Arn) -> Option<Vec<Holder>> {
    let Ok(Seen::Here(attachments)) = world.account.attachments(policy).await else { return None };
    let mut holders = Vec::new();
    for name in attachments.roles {
        let kind = match holders.len() < MOST_HOLDERS {
            true => match world.account.role(&name).await {
                Ok(Seen::Here(role)) => Some(RoleKind::of(&role.trust)),
                _ => None,
            },
            false => None,
        };
        holders.push(Holder { role: name.to_string(), kind });
    }
    Some(holders)
}
