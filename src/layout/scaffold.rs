//! Compares a layout with what was found and plans what turns the one into the other.
//!
//! What exists without our owner tag is never touched unless the layout says `adopt = true`; what belongs to another
//! layout or account never at all. Such a refusal is a finding of severity `error`, which stops the whole plan.

use super::controls::{Assessment, Circumstances, Standing, assess, wanted_tags};
use super::{Bucket, Layout, Manage, MarkerStyle};
use crate::model::{
    BucketName, BucketState, Control, Encryption, Endpoint, Existence, MarkerState, ObjectKey, Owner,
    PublicAccessBlock, Reading, Setting, Tags,
};
use crate::plan::{Action, Plan, Reason, Step};
use crate::report::{Finding, Severity};
use std::collections::BTreeMap;

/// The parts of a layout that a run looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sections {
    /// Buckets and their settings.
    pub settings: bool,
    /// Folder markers.
    pub markers: bool,
    /// Grants.
    pub grants: bool,
    /// Datasets.
    pub datasets: bool,
}

impl Sections {
    /// All of them.
    pub const ALL: Self = Self { settings: true, markers: true, grants: true, datasets: true };
}

/// Where a bucket stands towards the layout before any setting is compared.
enum Claim {
    /// It is to be made.
    Create,
    /// It is ours, or may become ours.
    Ours {
        /// The owner tag is not there yet.
        adopting: bool,
    },
    /// It is only looked at, or only filled.
    Unmanaged,
    /// It must not be touched.
    Refused(Finding),
}

/// The marker key of every folder that has one, in layout order.
pub fn marker_keys(bucket: &Bucket) -> Vec<ObjectKey> {
    let key = |folder| match bucket.marker_style(folder) {
        MarkerStyle::Slash => folder.prefix.marker(),
        MarkerStyle::Keep => folder.prefix.key(".keep").ok(),
        MarkerStyle::None => None,
    };
    bucket.folders.iter().filter_map(key).collect()
}

/// The plan for buckets, settings and markers. `found` has an entry for every bucket of the layout.
pub fn plan(
    layout: &Layout,
    found: &BTreeMap<BucketName, BucketState>,
    around: &Circumstances,
    sections: Sections,
) -> Plan {
    let mut plan = Plan::default();
    // Log buckets first: logging into a bucket needs its delivery policy in place.
    let (logs, others): (Vec<&Bucket>, Vec<&Bucket>) =
        layout.buckets.iter().partition(|bucket| !bucket.logs_from.is_empty());
    for bucket in logs.into_iter().chain(others) {
        let Some(state) = found.get(&bucket.name) else { continue };
        Planner { layout, bucket, state, around, sections, plan: &mut plan }.run();
    }
    plan
}

struct Planner<'run> {
    layout: &'run Layout,
    bucket: &'run Bucket,
    state: &'run BucketState,
    around: &'run Circumstances,
    sections: Sections,
    plan: &'run mut Plan,
}

impl Planner<'_> {
    fn run(mut self) {
        let claim = self.claim();
        match claim {
            Claim::Refused(finding) => self.plan.findings.push(finding),
            Claim::Create => {
                if self.sections.settings {
                    self.create();
                    self.settings(false);
                }
                self.markers();
            }
            Claim::Ours { adopting } => {
                if self.sections.settings {
                    self.settings(adopting);
                }
                self.markers();
            }
            Claim::Unmanaged => {
                if self.sections.settings {
                    self.unmanaged_settings();
                }
                self.markers();
            }
        }
    }

    fn url(&self) -> String {
        format!("s3://{}", self.bucket.name)
    }

    fn refuse(&self, code: &'static str, message: String, fix: &str) -> Claim {
        Claim::Refused(Finding::new(code, Severity::Error, self.url(), message).with_fix(fix))
    }

    fn claim(&self) -> Claim {
        let name = &self.bucket.name;
        match (&self.state.existence, self.bucket.manage) {
            (Existence::Absent, Manage::All) if self.sections.settings => Claim::Create,
            (Existence::Absent, Manage::All) => self.refuse(
                "bucket-missing",
                format!("bucket `{name}` does not exist"),
                "run `apply` without `--only`, or with `--only settings` first",
            ),
            (Existence::Absent, Manage::Data | Manage::Verify) => self.refuse(
                "bucket-missing",
                format!("bucket `{name}` does not exist, and this layout does not manage it"),
                "ask its owner to create it, or set `manage = \"all\"`",
            ),
            (Existence::Forbidden, _) => self.refuse(
                "bucket-forbidden",
                format!("bucket `{name}` exists, and the caller may not reach it: it may be another account's"),
                "choose another name, or use a profile that may list the bucket (s3:ListBucket)",
            ),
            (Existence::Present, _) if self.wrong_region() => self.refuse(
                "bucket-elsewhere",
                format!("bucket `{name}` is in {}, wanted {}", self.found_region(), self.wanted_region()),
                "pass that region with `--region`, or correct the layout's `region`",
            ),
            (Existence::Present, Manage::All) => self.claim_by_owner_tag(),
            (Existence::Present, Manage::Data | Manage::Verify) => Claim::Unmanaged,
        }
    }

    fn wanted_region(&self) -> &str {
        self.layout.region.as_ref().unwrap_or(&self.around.region).as_str()
    }

    fn found_region(&self) -> &str {
        self.state.region.as_ref().map_or("an unknown region", |region| region.as_str())
    }

    /// Servers other than AWS name Regions freely, so only AWS and the embedded endpoint are held to them.
    fn wrong_region(&self) -> bool {
        let strict = matches!(self.around.endpoint, Endpoint::Aws | Endpoint::Embedded);
        strict && self.state.region.as_ref().is_some_and(|region| region.as_str() != self.wanted_region())
    }

    fn claim_by_owner_tag(&self) -> Claim {
        let name = &self.bucket.name;
        let owner = match &self.state.tags {
            Reading::Known(tags) => Owner::of(tags, &self.layout.id),
            Reading::Denied(message) => {
                let message = format!("cannot tell whose bucket `{name}` is, its tags may not be read: {message}");
                return self.refuse("owner-unknown", message, "use a profile with s3:GetBucketTagging");
            }
            Reading::Unsupported => Owner::Nobody,
        };
        match owner {
            Owner::Ours => Claim::Ours { adopting: false },
            Owner::Other(owner) => self.refuse(
                "other-layout",
                format!("bucket `{name}` belongs to layout `{owner}`, this one is `{}`", self.layout.id),
                "give this layout the same id, or take the bucket out of it",
            ),
            Owner::Nobody if self.bucket.adopt => Claim::Ours { adopting: true },
            Owner::Nobody if self.is_interrupted_create() => Claim::Ours { adopting: false },
            Owner::Nobody => self.refuse(
                "not-ours",
                format!("bucket `{name}` exists and carries no owner tag of this tool"),
                "if it is yours and its settings may change, say `adopt = true` in its table",
            ),
        }
    }

    /// Untagged, empty, and the caller's own: what a run leaves that died right after creating the bucket.
    fn is_interrupted_create(&self) -> bool {
        self.state.is_empty == Some(true) && self.state.tags.known().is_some_and(Tags::is_empty)
    }

    fn push(&mut self, step: Step, reason: Reason) {
        self.plan.actions.push(Action { bucket: self.bucket.name.clone(), step, reason });
    }

    fn create(&mut self) {
        let region = self.layout.region.clone().unwrap_or_else(|| self.around.region.clone());
        let tags = match self.around.endpoint {
            Endpoint::Aws | Endpoint::Embedded => wanted_tags(self.bucket, &self.layout.id, &Tags::new()),
            // Older servers refuse tags in the request; there they are a setting of their own.
            Endpoint::OtherHttp | Endpoint::OtherHttps => Tags::new(),
        };
        self.push(Step::CreateBucket { region, tags }, Reason::Missing);
    }

    /// What a bucket is born with needs no action of its own.
    fn state_after_create(&self) -> BucketState {
        let mut state = self.state.clone();
        if matches!(self.around.endpoint, Endpoint::Aws | Endpoint::Embedded) {
            state.tags = Reading::Known(wanted_tags(self.bucket, &self.layout.id, &Tags::new()));
            state.owner_enforced = Reading::Known(true);
        }
        state
    }

    fn settings(&mut self, adopting: bool) {
        let creating = self.state.existence == Existence::Absent;
        let state = if creating { self.state_after_create() } else { self.state.clone() };
        for assessment in assess(self.bucket, &self.layout.id, &state, self.around) {
            self.setting(assessment, creating, adopting);
        }
    }

    fn setting(&mut self, assessment: Assessment, creating: bool, adopting: bool) {
        let control = assessment.control;
        match assessment.standing {
            Standing::Holds(_) if creating => {}
            Standing::Holds(_) | Standing::Waived(_) => self.plan.unchanged += 1,
            Standing::NotAsked(why) => self.not_asked(control, &why),
            Standing::Unknown(why) => {
                let message = format!("{control} cannot be told: {why}");
                self.plan.findings.push(Finding::new("setting-unknown", Severity::Error, self.url(), message));
            }
            Standing::Unsupported => {
                let message = format!("{control}: the endpoint does not implement it");
                self.plan.findings.push(Finding::new("setting-unsupported", Severity::Warning, self.url(), message));
            }
            Standing::Unsafe(why) => {
                let finding =
                    Finding::new("setting-skipped", Severity::Warning, self.url(), format!("{control}: {why}"));
                self.plan.findings.push(finding.with_fix("use an HTTPS endpoint to have it set"));
            }
            Standing::Differs { found, wanted, setting, impact } => {
                if adopting || weakens(&setting, &self.state.encryption) {
                    let message = format!("{control}: from {found} to {wanted}; {impact}");
                    self.plan.findings.push(Finding::new("change-impact", Severity::Warning, self.url(), message));
                }
                let reason = match (control, creating, adopting) {
                    (Control::Tags, _, true) => Reason::Adopted,
                    (_, true, _) => Reason::Wanted(wanted),
                    _ => Reason::Differs { found, wanted },
                };
                self.put_setting(setting, reason);
            }
        }
    }

    /// Two controls can live in one document; it is written once, for the reasons of both.
    fn put_setting(&mut self, setting: Setting, reason: Reason) {
        let step = Step::PutSetting(setting);
        let twin = self.plan.actions.iter_mut().find(|action| action.bucket == self.bucket.name && action.step == step);
        match twin {
            Some(action) => action.reason = action.reason.clone().and(reason),
            None => self.push(step, reason),
        }
    }

    fn not_asked(&mut self, control: Control, why: &str) {
        if control == Control::AccessLog && self.bucket.logs_from.is_empty() {
            let finding = Finding::new("no-access-log", Severity::Suggestion, self.url(), why);
            let fix = "add `access_log = { bucket = \"...\", prefix = \"...\" }`, or waive `access-log` with a reason";
            self.plan.findings.push(finding.with_fix(fix));
        }
    }

    /// Settings of a bucket that somebody else manages are compared, never written.
    fn unmanaged_settings(&mut self) {
        for assessment in assess(self.bucket, &self.layout.id, self.state, self.around) {
            if assessment.control == Control::Tags {
                continue;
            }
            match assessment.standing {
                Standing::Differs { found, wanted, .. } => {
                    let message = format!("{} is {found}, wanted {wanted}", assessment.control);
                    let finding = Finding::new("unmanaged-drift", Severity::Warning, self.url(), message);
                    self.plan.findings.push(finding.with_fix("ask the bucket's owner, or set `manage = \"all\"`"));
                }
                Standing::Holds(_) | Standing::Waived(_) => self.plan.unchanged += 1,
                Standing::Unknown(_) | Standing::Unsupported | Standing::NotAsked(_) | Standing::Unsafe(_) => {}
            }
        }
    }

    fn markers(&mut self) {
        if !self.sections.markers {
            return;
        }
        for key in marker_keys(self.bucket) {
            let target = format!("{}/{key}", self.url());
            match self.state.markers.get(&key).unwrap_or(&MarkerState::Absent) {
                MarkerState::Present => self.plan.unchanged += 1,
                MarkerState::Absent if self.bucket.manage == Manage::Verify => {
                    let finding = Finding::new("marker-missing", Severity::Warning, target, "the folder has no marker");
                    self.plan.findings.push(finding);
                }
                MarkerState::Absent => self.push(Step::PutMarker { key }, Reason::Missing),
                MarkerState::HoldsData { size_bytes, .. } => {
                    let message = format!("an object of {size_bytes} bytes has the marker's key; it is left as it is");
                    self.plan.findings.push(Finding::new("marker-holds-data", Severity::Warning, target, message));
                }
                MarkerState::Denied(why) => {
                    let message = format!("the marker cannot be looked at: {why}");
                    self.plan.findings.push(Finding::new("marker-unknown", Severity::Error, target, message));
                }
            }
        }
    }
}

/// True if a setting gives up protection that the bucket has.
fn weakens(setting: &Setting, found: &Reading<Option<Encryption>>) -> bool {
    match setting {
        Setting::Encryption(wanted) => {
            let had_key = matches!(found, Reading::Known(Some(found)) if found.kms_key.is_some());
            had_key && wanted.kms_key.is_none()
        }
        Setting::PublicAccess(block) => *block != PublicAccessBlock::ALL,
        _ => false,
    }
}

#[cfg(test)]
mod tests;
