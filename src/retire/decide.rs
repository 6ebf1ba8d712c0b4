//! What is done: access first, then what is empty, then what was named by hand; and why nothing is.

use super::inventory::Holdings;
use super::target::Target;
use super::without::Without;
use crate::access::AccountPlan;
use crate::layout::{Layout, Manage};
use crate::model::{BucketName, BucketState, Existence, HumanBytes, HumanCount, Owner, Reading};
use crate::plan::{AccountAction, Delete};
use crate::report::{Finding, Severity};

/// How many objects may be deleted without being told once more.
const DEFAULT_MAX_DELETE: u64 = 1000;

/// What was asked for beside the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Options {
    /// Whether the objects were named by hand.
    pub by_hand: bool,
    /// Whether older versions and delete markers were, too.
    pub all_versions: bool,
    /// The most deletes.
    pub max_delete: Option<u64>,
    /// Whether the user said yes beforehand.
    pub consented: bool,
}

/// What is done to retire something.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Retirement {
    /// What takes access away, and is done first.
    pub account: Vec<AccountAction>,
    /// How many objects and versions go that were named by hand.
    pub named: u64,
    /// Their bytes.
    pub named_bytes: u64,
    /// The markers that go.
    pub markers: Vec<Delete>,
    /// Whether the bucket goes at last.
    pub bucket: bool,
    /// What a person should see. A finding of severity `error` refuses all of it.
    pub findings: Vec<Finding>,
}

impl Retirement {
    /// How many steps there are.
    pub fn steps(&self) -> u64 {
        let skipped =
            self.account.iter().filter(|action| action.planned_status() == crate::report::Status::Skipped).count();
        (self.account.len() - skipped + self.markers.len()) as u64 + self.named + u64::from(self.bucket)
    }

    /// True if an error refuses all of it.
    pub fn is_refused(&self) -> bool {
        self.findings.iter().any(|finding| finding.severity == Severity::Error)
    }
}

/// Decides. `state` is the bucket as it was found, `sources` are buckets that log into it and are there, `uploads` the number
/// of unfinished uploads.
pub fn decide(
    layout: &Layout,
    target: &Target,
    found: (&BucketState, &Holdings, u64),
    sources: &[BucketName],
    access: (AccountPlan, &Without),
    options: Options,
) -> Retirement {
    let (state, holdings, uploads) = found;
    let (account, without) = access;
    let mut made = Retirement { account: account.actions, findings: account.findings, ..Retirement::default() };
    made.findings.extend(without.findings.iter().cloned());
    made.findings.extend(foreign(layout, target, state));
    made.findings.extend(logged_into(target, sources));
    if made.is_refused() || state.existence != Existence::Present {
        return made;
    }
    made.choose(holdings, options);
    let stays = made.stays(holdings, options);
    made.bucket = target.project.is_none() && stays == 0 && uploads == 0;
    made.findings.extend(what_stays(target, holdings, options));
    made.findings.extend(unfinished(target, uploads));
    made.findings.extend(too_many(target, made.named, options));
    made
}

impl Retirement {
    fn choose(&mut self, holdings: &Holdings, options: Options) {
        self.markers.clone_from(&holdings.empty);
        if !options.by_hand {
            return;
        }
        self.markers.extend(holdings.occupied.iter().cloned());
        self.named = holdings.objects.count;
        self.named_bytes = holdings.objects.bytes;
        if options.all_versions {
            self.named += holdings.noncurrent.count + holdings.delete_markers;
            self.named_bytes += holdings.noncurrent.bytes;
        }
    }

    /// How much is left afterwards: what is deleted in a bucket with versions stays as a version, behind its marker.
    const fn stays(&self, holdings: &Holdings, options: Options) -> u64 {
        let all = holdings.objects.count + holdings.noncurrent.count + holdings.delete_markers;
        match (options.by_hand, options.all_versions) {
            (true, true) => 0,
            (true, false) if holdings.leaves_versions => all,
            (true, false) => all - holdings.objects.count,
            (false, _) => all + holdings.occupied.len() as u64,
        }
    }
}

fn refusal(code: &'static str, target: &Target, message: String, fix: &str) -> Option<Finding> {
    let url = format!("s3://{}", target.bucket);
    Some(Finding::new(code, Severity::Error, url, message).with_fix(fix))
}

/// Why the bucket must not be touched: only one with this layout's owner tag is.
pub fn foreign(layout: &Layout, target: &Target, state: &BucketState) -> Option<Finding> {
    let name = &target.bucket;
    match &state.existence {
        Existence::Absent => return None,
        Existence::Forbidden => {
            let message = format!("bucket `{name}` may not be reached: it may be another account's");
            return refusal(
                "bucket-forbidden",
                target,
                message,
                "use a profile that may list the bucket (s3:ListBucket)",
            );
        }
        Existence::Present => {}
    }
    if target.wanted(layout).is_some_and(|bucket| bucket.manage == Manage::Verify) {
        let message = format!("the layout only checks bucket `{name}` (`manage = \"verify\"`)");
        return refusal("not-managed", target, message, "ask its owner, or take it out of the layout");
    }
    let owner = match &state.tags {
        Reading::Known(tags) => Owner::of(tags, &layout.id),
        Reading::Denied(why) => {
            let message = format!("cannot tell whose bucket `{name}` is, its tags may not be read: {why}");
            return refusal("owner-unknown", target, message, "use a profile with s3:GetBucketTagging");
        }
        Reading::Unsupported => Owner::Nobody,
    };
    match owner {
        Owner::Ours => None,
        Owner::Other(owner) => {
            let message = format!("bucket `{name}` belongs to layout `{owner}`, this one is `{}`", layout.id);
            refusal("other-layout", target, message, "retire it with the layout that it belongs to")
        }
        Owner::Nobody => {
            let message = format!("bucket `{name}` carries no owner tag of this tool");
            refusal("not-ours", target, message, "what others made is theirs to remove; take it out of the layout")
        }
    }
}

/// True for a bucket of the layout that logs into `target`, or may do so as far as it can be seen.
pub fn may_log_into(source: &BucketState, target: &BucketName) -> bool {
    match (&source.existence, &source.access_log) {
        (Existence::Absent, _) | (Existence::Present, Reading::Unsupported) => false,
        (Existence::Forbidden, _) | (Existence::Present, Reading::Denied(_)) => true,
        (Existence::Present, Reading::Known(log)) => log.as_ref().is_some_and(|log| log.bucket == *target),
    }
}

/// A bucket that logs go to must stay as long as they do.
fn logged_into(target: &Target, sources: &[BucketName]) -> Option<Finding> {
    if target.project.is_some() || sources.is_empty() {
        return None;
    }
    let names: Vec<String> = sources.iter().map(|source| format!("`{source}`")).collect();
    let message = format!("the access logs of {} go to `{}`, as far as can be seen", names.join(", "), target.bucket);
    refusal(
        "log-target",
        target,
        message,
        "give those buckets another `access_log` and apply that, or retire them first",
    )
}

fn amounts(holdings: &Holdings) -> String {
    let mut parts = Vec::new();
    for (count, one, many) in [
        (holdings.objects.count, "object", "objects"),
        (holdings.noncurrent.count, "older version", "older versions"),
        (holdings.delete_markers, "delete marker", "delete markers"),
    ] {
        if count > 0 {
            parts.push(format!("{} {}", HumanCount(count), if count == 1 { one } else { many }));
        }
    }
    let bytes = holdings.objects.bytes + holdings.noncurrent.bytes;
    format!("{} ({})", parts.join(", "), HumanBytes(bytes))
}

/// What is left where it is, and the way to have it deleted.
fn what_stays(target: &Target, holdings: &Holdings, options: Options) -> Option<Finding> {
    let by_hand = target.by_hand();
    let (message, fix) = match (options.by_hand, options.all_versions) {
        (false, _) if holdings.holds_data() => (
            format!("left as it is: {}; nothing is deleted that holds data", amounts(holdings)),
            format!("name it by hand to have it deleted: `--delete-objects {by_hand}`"),
        ),
        (true, false) if !holdings.leaves_versions && holdings.noncurrent.count + holdings.delete_markers > 0 => (
            "older versions and delete markers of the time when the bucket kept them stay".to_owned(),
            "`--all-versions` deletes them too".to_owned(),
        ),
        (true, false) if holdings.leaves_versions && holdings.holds_data() => (
            "what is deleted stays as an older version, and so do those that are there".to_owned(),
            "`--all-versions` deletes for good".to_owned(),
        ),
        _ => return None,
    };
    Some(Finding::new("data-stays", Severity::Suggestion, target.url(), message).with_fix(fix))
}

/// Somebody may be sending them right now.
fn unfinished(target: &Target, uploads: u64) -> Option<Finding> {
    if uploads == 0 {
        return None;
    }
    let noun = if uploads == 1 {
        "1 unfinished upload stays".to_owned()
    } else {
        format!("{} unfinished uploads stay", HumanCount(uploads))
    };
    let finding = Finding::new("uploads-stay", Severity::Suggestion, target.url(), noun);
    Some(finding.with_fix(format!(
        "`uploads list {0}` shows them, `uploads abort {0} --older-than 0s` gives them up",
        target.url()
    )))
}

fn too_many(target: &Target, named: u64, options: Options) -> Option<Finding> {
    let most = match options.max_delete {
        Some(most) => most,
        None if options.consented => return None,
        None => DEFAULT_MAX_DELETE,
    };
    if named <= most {
        return None;
    }
    let message = format!("{} would be deleted, and {} is the most", HumanCount(named), HumanCount(most));
    let finding = Finding::new("deletes-refused", Severity::Error, target.url(), message);
    Some(finding.with_fix("look with `--dry-run`, then pass a larger `--max-delete N`, or `--yes` without it"))
}
