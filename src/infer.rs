//! The layout of what exists: a bucket as it was found, written down so that taking it over changes nothing but the owner
//! tag.
//!
//! What the parser takes is written as a value. What is not as the secure defaults have it is waived as it was found: the
//! very comparison that plans actions says what that is, so a plan from the result has none. The rest stands in comments.

mod draft;
mod folders;
mod grants;
mod survey;

pub use grants::{FoundPolicy, may_concern};
pub use survey::Survey;

use crate::layout::controls::{Circumstances, Standing, assess};
use crate::layout::scaffold::{self, Sections};
use crate::layout::{Layout, LayoutError, MarkerStyle, builtin, placeholder};
use crate::model::{
    AccountId, BucketName, BucketState, Cluster, Control, Encryption, Endpoint, Existence, LayoutId, Lifecycle, Prefix,
    PublicAccessBlock, Reading, TagKey, TagValue, Tags,
};
use crate::plan::Plan;
use crate::report::Severity;
use draft::{BucketDraft, Draft, FolderDraft, Note, OwnTemplate};
use folders::Scheme;
use std::collections::BTreeMap;

/// The start of the ids of this program's rules that expire noncurrent versions.
const OWN_RULE_START: &str = "bucketwright-noncurrent";

/// All that was found of one bucket and of what surrounds it.
#[derive(Debug, Clone)]
pub struct Found {
    /// The bucket.
    pub bucket: BucketState,
    /// Its folders.
    pub survey: Survey,
    /// The bucket that its access log goes to, if there is one.
    pub log_bucket: Option<BucketState>,
    /// The policies of the account.
    pub policies: Policies,
    /// The cluster whose node groups are told by name.
    pub cluster: Option<Cluster>,
    /// The caller, the endpoint and the Region.
    pub around: Circumstances,
    /// The day, as `2025-07-26`.
    pub day: String,
}

/// The customer managed policies of the account.
#[derive(Debug, Clone)]
pub enum Policies {
    /// They were read.
    Read(Vec<FoundPolicy>),
    /// They were not, for this reason.
    Unread(String),
}

/// A layout as it is written, and what it means.
#[derive(Debug, Clone)]
pub struct Inferred {
    /// The file's text.
    pub text: String,
    /// What the text means.
    pub layout: Layout,
    /// What `apply` would do to the bucket: the owner tag, and nothing else.
    pub plan: Plan,
    /// What a person should know beyond the file.
    pub warnings: Vec<String>,
}

/// Why no layout can be written.
#[derive(Debug, thiserror::Error)]
pub enum InferError {
    /// There is no such bucket.
    #[error("there is no bucket `{0}`")]
    Absent(BucketName),
    /// It is somebody else's, or may not be listed.
    #[error("bucket `{0}` exists, and the caller may not reach it")]
    Forbidden(BucketName),
    /// It is in another Region, where its settings were not read.
    #[error("bucket `{bucket}` is in {region}")]
    Elsewhere {
        /// The bucket.
        bucket: BucketName,
        /// Its Region.
        region: String,
    },
    /// A layout cannot name it.
    #[error("no layout can describe bucket `{bucket}`: {}", .mistakes.iter().map(|one| one.message.as_str()).collect::<Vec<_>>().join("; "))]
    Unwritable {
        /// The bucket.
        bucket: BucketName,
        /// What the parser has against it.
        mistakes: Vec<LayoutError>,
    },
}

/// Writes the layout of what was found.
pub fn layout_of(found: &Found) -> Result<Inferred, InferError> {
    reachable(found)?;
    let unwritable = |mistakes| InferError::Unwritable { bucket: found.bucket.name.clone(), mistakes };
    let writer = Writer { found };
    let bare = writer.bare();
    bare.parsed().map_err(unwritable)?;
    let scheme = folders::scheme(&found.survey, &|path| writer.takes(|draft| with_folder(draft, path)));
    // A shipped template limits access to its folders. Where a policy says otherwise, the folders are the file's own.
    let shipped = shipped(&scheme);
    let mut draft = writer.draft(&bare, &scheme, shipped);
    let mut left_over = writer.grants(&mut draft).map_err(unwritable)?;
    if shipped.is_some() && !draft.notes.is_empty() && draft.grants.is_empty() {
        let mut other = writer.draft(&bare, &scheme, None);
        let left = writer.grants(&mut other).map_err(unwritable)?;
        if !other.grants.is_empty() {
            (draft, left_over) = (other, left);
        }
    }
    let layout = writer.settle(&mut draft).map_err(unwritable)?;
    let plan = writer.plan(&layout);
    let revoked = left_over.iter().map(|policy| {
        let id = &layout.id;
        format!("policy `{policy}` carries the tag of layout `{id}` and is in no grant of it: `apply` would revoke it")
    });
    let refused = plan.findings.iter().filter(|finding| finding.severity == Severity::Error);
    let warnings = revoked.chain(refused.map(|finding| finding.message.clone())).collect();
    Ok(Inferred { text: draft.text(), warnings, plan, layout })
}

/// Whether the bucket is there and can be looked at from here.
pub fn reachable(found: &Found) -> Result<(), InferError> {
    let state = &found.bucket;
    match state.existence {
        Existence::Absent => return Err(InferError::Absent(state.name.clone())),
        Existence::Forbidden => return Err(InferError::Forbidden(state.name.clone())),
        Existence::Present => {}
    }
    match &state.region {
        Some(region) if names_regions(found) && *region != found.around.region => {
            Err(InferError::Elsewhere { bucket: state.name.clone(), region: region.to_string() })
        }
        _ => Ok(()),
    }
}

/// Servers other than AWS name Regions freely, so a layout is held to them only where they mean something.
const fn names_regions(found: &Found) -> bool {
    matches!(found.around.endpoint, Endpoint::Aws | Endpoint::Embedded)
}

/// One folder at the root, for asking whether the parser takes its name.
fn with_folder(draft: &mut Draft, path: &str) {
    draft.buckets[0].template = Some("folders".to_owned());
    let folder = FolderDraft { path: path.to_owned(), markers: None, noncurrent_days: None };
    draft.template = Some(OwnTemplate { name: "folders".to_owned(), folders: vec![folder] });
}

/// The shipped template with just these folders, if every one is marked alike.
fn shipped(scheme: &Scheme) -> Option<&'static str> {
    let (_, first) = scheme.folders.first()?;
    if scheme.projects.is_empty() || scheme.folders.iter().any(|(_, style)| style != first) {
        return None;
    }
    let mut paths: Vec<&str> = scheme.folders.iter().map(|(path, _)| path.as_str()).collect();
    paths.sort_unstable();
    let is_alike = |name: &&'static str| {
        let mut draft = Draft::of("shipped".parse().ok()?, &"stand-in".parse().ok()?);
        draft.buckets[0].template = Some((*name).to_owned());
        draft.buckets[0].projects = vec!["p".to_owned()];
        let layout = draft.parsed().ok()?;
        let folders = &layout.buckets.first()?.folders;
        let mut theirs: Vec<&str> = folders.iter().map(|folder| folder.path.as_str()).collect();
        theirs.sort_unstable();
        (theirs == paths && folders.iter().all(|folder| folder.markers.is_none())).then_some(())
    };
    builtin::all().iter().map(|starter| starter.name).find(|name| is_alike(name).is_some())
}

/// Writes one layout.
struct Writer<'run> {
    found: &'run Found,
}

impl Writer<'_> {
    /// The layout's id, and whether the bucket carries it.
    fn id(&self) -> (LayoutId, bool) {
        let owner = self.found.bucket.tags.known().and_then(|tags| tags.get(&TagKey::owner()));
        let id = owner.map(TagValue::as_str).filter(|id| placeholder(id).is_none());
        if let Some(id) = id.and_then(|id| id.parse().ok()) {
            return (id, true);
        }
        let name = self.found.bucket.name.as_str();
        (name.parse().unwrap_or_else(|_| self.stand_in()), false)
    }

    #[expect(clippy::expect_used, reason = "the text is a legal id")]
    fn stand_in(&self) -> LayoutId {
        "bucket".parse().expect("a legal id")
    }

    fn bare(&self) -> Draft {
        Draft::of(self.id().0, &self.found.bucket.name)
    }

    /// True if the parser takes a file with nothing but this.
    fn takes(&self, piece: impl FnOnce(&mut Draft)) -> bool {
        let mut draft = self.bare();
        piece(&mut draft);
        draft.parsed().is_ok()
    }

    /// The file without policies.
    fn draft(&self, bare: &Draft, scheme: &Scheme, shipped: Option<&str>) -> Draft {
        let found = self.found;
        let state = &found.bucket;
        let mut draft = bare.clone();
        draft.head.push(format!("Bucket {} as it was found on {}.", state.name, found.day));
        draft.account = self.account();
        draft.region = state.region.clone().filter(|_| names_regions(found));
        let (_, is_owned) = self.id();
        let mut bucket = settings(state);
        bucket.adopt = !is_owned;
        draft.head.push(match is_owned {
            true => "It carries this layout's owner tag, so a plan from here is empty.".to_owned(),
            false => "Taking it over changes nothing but the owner tag: see it with `bucketwright plan`.".to_owned(),
        });
        if let Some(key) = bucket.kms_key.clone() {
            let region = draft.region.clone();
            let is_taken = self.takes(|draft| (draft.buckets[0].kms_key, draft.region) = (Some(key), region));
            bucket.kms_key = bucket.kms_key.filter(|_| is_taken);
        }
        self.tags(&mut bucket);
        self.folders(&mut draft, &mut bucket, scheme, shipped);
        draft.buckets = vec![bucket];
        self.access_log(&mut draft);
        draft
    }

    /// The account guard. That of the embedded endpoint guards nothing, and AWS's examples are nobody's.
    fn account(&self) -> Option<AccountId> {
        let account = self.found.around.identity.account.clone()?;
        let is_real = self.found.around.endpoint != Endpoint::Embedded;
        let is_taken = self.takes(|draft| draft.account = Some(account.clone()));
        Some(account).filter(|_| is_real && is_taken)
    }

    /// The tags that a layout may ask for. The others stay in the bucket as they are.
    fn tags(&self, bucket: &mut BucketDraft) {
        let Some(found) = self.found.bucket.tags.known() else { return };
        let mut left = 0;
        for (key, value) in found.iter().filter(|(key, _)| **key != TagKey::owner()) {
            let pair = (key.clone(), value.clone());
            if !key.is_reserved() && self.takes(|draft| drop(draft.buckets[0].tags.insert(pair.0, pair.1))) {
                bucket.tags.insert(key.clone(), value.clone());
            } else {
                left += 1;
            }
        }
        if left > 0 {
            bucket.remarks.push(format!("{left} of its tags cannot be asked for here; they stay as they are."));
        }
    }

    fn folders(&self, draft: &mut Draft, bucket: &mut BucketDraft, scheme: &Scheme, shipped: Option<&str>) {
        let found = self.found;
        bucket.remarks.extend(scheme.remarks.iter().cloned());
        if found.survey.at_root > 0 {
            let objects = if found.survey.at_root == 1 { "object lies" } else { "objects lie" };
            bucket.remarks.push(format!("{} {objects} in no folder.", found.survey.at_root));
        }
        let Some(usual) = usual_style(scheme) else { return };
        bucket.markers = Some(usual);
        bucket.projects.clone_from(&scheme.projects);
        let days = noncurrent_days(found.bucket.lifecycle.known());
        bucket.noncurrent_days = days.get(&Prefix::root()).copied();
        if let Some(name) = shipped {
            bucket.template = Some(name.to_owned());
            bucket.remarks.push(format!(
                "Its folders are those of the shipped template {name}, which limits what grants give there."
            ));
            return;
        }
        let name = if scheme.projects.is_empty() { "folders" } else { "project" };
        bucket.template = Some(name.to_owned());
        let folder = |(path, style): &(String, MarkerStyle)| FolderDraft {
            path: path.clone(),
            markers: Some(*style).filter(|style| *style != usual),
            noncurrent_days: shared_days(&days, &scheme.projects, path),
        };
        draft.template =
            Some(OwnTemplate { name: name.to_owned(), folders: scheme.folders.iter().map(folder).collect() });
    }

    /// The access log with its bucket, which is only looked at; waived where a layout cannot say it.
    fn access_log(&self, draft: &mut Draft) {
        let found = self.found;
        let Some(log) = found.bucket.access_log.known().cloned().flatten() else { return };
        let mut trial = draft.clone();
        trial.buckets[0].access_log = Some(log.clone());
        let state = found.log_bucket.as_ref().filter(|state| {
            state.name == log.bucket && state.existence == Existence::Present && state.region == found.bucket.region
        });
        if let Some(state) = state {
            let mut target = settings(state);
            // S3 delivers to no bucket with a KMS key, and says so nowhere else.
            target.kms_key = None;
            target.is_verified_only = true;
            target.remarks.push("Where the access log goes: looked at, never written.".to_owned());
            trial.buckets.push(target);
            if trial.parsed().is_ok() {
                *draft = trial;
                return;
            }
        }
        let why = format!("goes to s3://{}/{}, which this layout cannot speak of", log.bucket, log.prefix);
        draft.waive(0, Control::AccessLog, self.reason(&why));
    }

    /// The policies about the bucket; the names of those that a plan would revoke.
    fn grants(&self, draft: &mut Draft) -> Result<Vec<String>, Vec<LayoutError>> {
        let found = self.found;
        let policies = match &found.policies {
            Policies::Read(policies) => policies,
            Policies::Unread(why) => {
                let text = format!("Grants are not told, because {why}.");
                draft.notes.push(Note { text, grant: None });
                return Ok(Vec::new());
            }
        };
        let layout = draft.parsed()?;
        let partition = found.around.region.partition();
        let granted = grants::granted(&layout, &found.bucket.name, policies, found.cluster.as_ref(), partition);
        draft.notes.extend(granted.notes);
        for grant in granted.grants {
            let mut trial = draft.clone();
            trial.grants.push(grant.clone());
            if trial.parsed().is_ok() {
                *draft = trial;
            } else {
                let text = format!("Policy {}: a layout cannot say this grant as it is.", grant.policy);
                draft.notes.push(Note { text, grant: Some(grant) });
            }
        }
        self.shared_tags(draft, policies);
        Ok(granted.left_over)
    }

    /// A grant's policy gets the tags that its buckets have. Tags that a policy lacks are not asked for, so that it is left
    /// as it is.
    fn shared_tags(&self, draft: &mut Draft, policies: &[FoundPolicy]) {
        let granted = policies
            .iter()
            .map(|found| &found.policy)
            .filter(|policy| draft.grants.iter().any(|grant| grant.policy == policy.name.as_str()));
        let lists: Vec<&Tags> = granted.map(|policy| &policy.tags).collect();
        let before = draft.buckets[0].tags.len();
        draft.buckets[0].tags.retain(|key, value| lists.iter().all(|tags| tags.get(key) == Some(value)));
        let left = before - draft.buckets[0].tags.len();
        if left > 0 {
            let text =
                format!("{left} of its tags are not asked for here: the policies of its grants would get them too.");
            draft.buckets[0].remarks.push(text);
        }
    }

    fn reason(&self, what: &str) -> String {
        let reason = format!("as found on {}: {what}", self.found.day);
        match placeholder(&reason) {
            Some(_) => format!("as found on {}", self.found.day),
            None => reason,
        }
    }

    /// Waives what is not as wanted until nothing is left to be changed.
    fn settle(&self, draft: &mut Draft) -> Result<Layout, Vec<LayoutError>> {
        loop {
            let layout = draft.parsed()?;
            let mut is_settled = true;
            for place in 0..draft.buckets.len() {
                let wishes = self.wishes(&layout, &draft.buckets[place]);
                is_settled &= wishes.is_empty();
                for (control, reason) in wishes {
                    draft.waive(place, control, reason);
                }
            }
            if is_settled {
                return Ok(layout);
            }
        }
    }

    /// The controls that a plan would change, or refuse to plan without knowing them.
    fn wishes(&self, layout: &Layout, draft: &BucketDraft) -> Vec<(Control, String)> {
        let states = [Some(&self.found.bucket), self.found.log_bucket.as_ref()];
        let state = states.into_iter().flatten().find(|state| state.name.as_str() == draft.name);
        let bucket = layout.buckets.iter().find(|bucket| bucket.name.as_str() == draft.name);
        let (Some(state), Some(bucket)) = (state, bucket) else { return Vec::new() };
        let open = assess(bucket, &layout.id, state, &self.found.around).into_iter().filter_map(|one| {
            let why = match one.standing {
                Standing::Differs { found, .. } => found,
                Standing::Unknown(why) => why,
                _ => return None,
            };
            // What a log bucket needs to take logs cannot be waived, nor can the owner tag.
            let is_fixed =
                one.control == Control::Tags || one.control == Control::AccessLog && !bucket.logs_from.is_empty();
            (!is_fixed && !draft.waive.contains_key(&one.control)).then_some((one.control, why))
        });
        let rules = |control| match (control, state.lifecycle.known()) {
            (Control::Lifecycle, Some(lifecycle)) => rule_names(lifecycle),
            _ => String::new(),
        };
        let mut wishes: BTreeMap<Control, String> = BTreeMap::new();
        for (control, why) in open {
            wishes.entry(control).or_insert_with(|| self.reason(&format!("{why}{}", rules(control))));
        }
        wishes.into_iter().collect()
    }

    /// What `apply` would do to the buckets of the layout.
    fn plan(&self, layout: &Layout) -> Plan {
        let found = self.found;
        let mut states: BTreeMap<BucketName, BucketState> = BTreeMap::new();
        for state in [Some(&found.bucket), found.log_bucket.as_ref()].into_iter().flatten() {
            states.insert(state.name.clone(), state.clone());
        }
        if let (Some(bucket), Some(state)) = (layout.buckets.first(), states.get_mut(&found.bucket.name)) {
            state.markers = found.survey.markers(bucket);
        }
        scaffold::plan(layout, &states, &found.around, Sections::ALL)
    }
}

/// A bucket with what its settings say in so many words.
fn settings(state: &BucketState) -> BucketDraft {
    let encryption = state.encryption.known().and_then(Option::as_ref);
    let kms_key = encryption.and_then(|encryption: &Encryption| encryption.kms_key.clone());
    BucketDraft {
        name: state.name.to_string(),
        versioning: state.versioning.known().copied(),
        sse_s3: encryption.is_some() && kms_key.is_none(),
        kms_key,
        public_access: match &state.public_access {
            Reading::Known(block) if *block == PublicAccessBlock::ALL => Some("blocked"),
            _ => None,
        },
        ..BucketDraft::default()
    }
}

/// The style that most folders have; the slash where as many have another. None without folders.
fn usual_style(scheme: &Scheme) -> Option<MarkerStyle> {
    let count = |wanted: MarkerStyle| scheme.folders.iter().filter(|(_, style)| *style == wanted).count();
    let styles = [MarkerStyle::None, MarkerStyle::Keep, MarkerStyle::Slash];
    (!scheme.folders.is_empty()).then(|| styles.into_iter().max_by_key(|style| count(*style))).flatten()
}

/// Days until noncurrent versions expire, by the program's own rules.
fn noncurrent_days(lifecycle: Option<&Lifecycle>) -> BTreeMap<Prefix, u32> {
    let own = lifecycle
        .into_iter()
        .flat_map(|lifecycle| &lifecycle.rules)
        .filter(|rule| rule.enabled && rule.id.as_deref().is_some_and(|id| id.starts_with(OWN_RULE_START)));
    own.filter_map(|rule| {
        let prefix = rule.filter.prefix.as_deref().unwrap_or_default().parse().ok()?;
        let days = rule.noncurrent_expiration.as_ref()?.days?;
        Some((prefix, u32::try_from(days).ok()?))
    })
    .collect()
}

/// The days of one folder, if it has the same in every project.
fn shared_days(days: &BTreeMap<Prefix, u32>, projects: &[String], path: &str) -> Option<u32> {
    let prefix = |project: Option<&String>| {
        let parts: Vec<&str> =
            project.map(String::as_str).into_iter().chain([path]).filter(|part| !part.is_empty()).collect();
        Prefix::root().folder(&parts.join("/")).ok()
    };
    let all: Vec<Option<u32>> = match projects {
        [] => vec![days.get(&prefix(None)?).copied()],
        projects => projects.iter().map(|project| days.get(&prefix(Some(project))?).copied()).collect(),
    };
    let first = all.first().copied().flatten()?;
    all.iter().all(|one| *one == Some(first)).then_some(first)
}

/// ` (archive, tmp)`: the rules by their ids, as far as there is room.
fn rule_names(lifecycle: &Lifecycle) -> String {
    let ids: Vec<&str> = lifecycle.rules.iter().filter_map(|rule| rule.id.as_deref()).take(4).collect();
    if ids.is_empty() {
        return String::new();
    }
    let more = if lifecycle.rules.len() > ids.len() { ", ..." } else { "" };
    format!(" ({}{more})", ids.join(", "))
}

#[cfg(test)]
mod tests;
