//! A plan as people read it: bucket by bucket, sign, action, target and reason in columns, findings beneath.

use super::findings::{self, Place};
use super::row::{Hang, Row};
use super::{Voice, WIDEST_COLUMN};
use crate::model::{HumanBytes, HumanCount};
use crate::plan::{AccountAction, Action, CopyTask, Delete, Download, Effect, Plan, Step, Upload};
use crate::report::{Finding, Severity, Summary, Words};
use crate::ui::screen::Screen;
use crate::ui::style::Role;
use crate::ui::text::{columns, counted, escape, pad};

/// How many uploads and how many markers of one bucket get a line of their own.
const SHOWN: usize = 20;
/// Lines of a reason; `-v` shows all.
const REASON_LINES: usize = 4;
/// The heading above what is done to policies and roles.
const ACCOUNT: &str = "access";

/// Shows the plan.
pub(super) fn show(how: Voice, plan: &Plan, counts: &Summary, screen: &mut Screen) {
    let mut buckets: Vec<&str> = Vec::new();
    for action in &plan.actions {
        if !buckets.contains(&action.bucket.as_str()) {
            buckets.push(action.bucket.as_str());
        }
    }
    let mut findings: Vec<&Finding> = plan.findings.iter().collect();
    for bucket in buckets {
        let url = format!("s3://{bucket}");
        screen.answer_line(&how.out.paint(Role::Head, &url));
        group(how, plan.actions.iter().filter(|action| action.bucket.as_str() == bucket), screen);
        let (here, elsewhere): (Vec<_>, Vec<_>) = findings.into_iter().partition(|finding| is_about(finding, bucket));
        findings::show_all(&here, Place { indent: "  ", about: &url }, how, screen);
        findings = elsewhere;
        screen.answer_line("");
    }
    if !plan.account.is_empty() {
        screen.answer_line(&how.out.paint(Role::Head, ACCOUNT));
        account(how, &plan.account, screen);
        let (here, elsewhere): (Vec<_>, Vec<_>) = findings.into_iter().partition(|finding| is_of_account(finding));
        findings::show_all(&here, Place { indent: "  ", about: ACCOUNT }, how, screen);
        findings = elsewhere;
        screen.answer_line("");
    }
    findings::show_all(&findings, Place::default(), how, screen);
    screen.answer_line(&how.out.paint(Role::Head, &closing(plan, counts)));
}

/// The actions in the account, aligned by what they act on.
fn account(how: Voice, actions: &[AccountAction], screen: &mut Screen) {
    let verbs = actions.iter().map(|action| columns(verb_of(action))).max().unwrap_or_default();
    let objects: Vec<String> = actions.iter().map(|action| escape(&action.object()).into_owned()).collect();
    let width = objects.iter().map(|object| columns(object)).filter(|width| *width <= WIDEST_COLUMN).max();
    for (action, object) in actions.iter().zip(objects) {
        let effect = action.effect();
        let mut row = Row::default();
        row.push(how.out, None, "  ");
        row.push(how.out, Some(role_of(effect)), effect.sign());
        let object = pad(&object, width.unwrap_or_default());
        row.push(how.out, None, &format!(" {}  {object}", pad(verb_of(action), verbs)));
        let hang = Hang { lines: (!how.verbose).then_some(REASON_LINES), ..Hang::column(screen.width, 6) };
        row.hang(&escape(&action.reason.to_string()), hang, &mut |line| screen.answer_line(line));
    }
}

fn verb_of(action: &AccountAction) -> &'static str {
    if action.effect() == Effect::Skip { "skip grant" } else { Words::of(action.kind()).plain }
}

const fn role_of(effect: Effect) -> Role {
    match effect {
        Effect::Create => Role::Good,
        Effect::Change | Effect::Skip => Role::Change,
        Effect::Delete => Role::Bad,
    }
}

/// True for findings about policies, roles and clusters.
fn is_of_account(finding: &Finding) -> bool {
    let starts = ["arn:", "role/", "policy/", "cluster/", "account/"];
    starts.iter().any(|start| finding.target.starts_with(start))
}

fn is_about(finding: &Finding, bucket: &str) -> bool {
    let rest = finding.target.strip_prefix("s3://").unwrap_or(&finding.target).strip_prefix(bucket);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// `Plan: 12 to do (uploads of 1.2 MiB), 1 skipped, 5 as wanted`
fn closing(plan: &Plan, counts: &Summary) -> String {
    let mut parts = Vec::new();
    match (counts.planned, plan.upload_bytes()) {
        (0, _) => parts.push("nothing to do".to_owned()),
        (to_do, 0) => parts.push(format!("{} to do", HumanCount(to_do))),
        (to_do, bytes) => parts.push(format!("{} to do (uploads of {})", HumanCount(to_do), HumanBytes(bytes))),
    }
    if counts.skipped > 0 {
        parts.push(format!("{} skipped", HumanCount(counts.skipped)));
    }
    match HumanCount(counts.unchanged) {
        HumanCount(0) => {}
        unchanged if counts.planned > 0 => parts.push(format!("{unchanged} as wanted")),
        unchanged => parts.push(format!("{unchanged} settings, folders and files are as wanted")),
    }
    let errors = plan.findings.iter().filter(|finding| finding.severity == Severity::Error).count();
    let refused = format!("Plan: refused because of {}", counted(errors as u64, "error"));
    match (errors, counts.planned) {
        (0, _) => format!("Plan: {}", parts.join(", ")),
        (_, 0) => refused,
        _ => format!("{refused}; {}", parts.join(", ")),
    }
}

/// The actions on one bucket: those of one kind that follow each other are aligned, and long runs of uploads and
/// markers are cut.
fn group<'plan>(how: Voice, actions: impl Iterator<Item = &'plan Action>, screen: &mut Screen) {
    let mut actions = actions.peekable();
    while let Some(first) = actions.next() {
        let same = |action: &&Action| kind_of(action) == kind_of(first);
        let mut cut = Cut::default();
        let mut shown = Vec::new();
        let mut next = Some(first);
        while let Some(action) = next {
            if how.verbose || !cut.hides(action) {
                shown.push((action, object(action)));
            }
            next = actions.next_if(same);
        }
        let width = shown.iter().map(|(_, object)| columns(object)).filter(|width| *width <= WIDEST_COLUMN).max();
        for (action, object) in shown {
            show_action(how, action, &pad(&object, width.unwrap_or_default()), screen);
        }
        if cut.hidden > 0 {
            let size = if cut.bytes > 0 { format!(" ({})", HumanBytes(cut.bytes)) } else { String::new() };
            let noun = if matches!(first.step, Step::PutMarker { .. }) { "more marker" } else { "more upload" };
            screen.answer_line(&format!("  ... and {}{size}", counted(cut.hidden, noun)));
        }
    }
}

fn kind_of(action: &Action) -> (&'static str, bool) {
    (action.kind(), action.effect() == Effect::Skip)
}

/// Actions of one kind beyond those that are shown.
#[derive(Debug, Default)]
struct Cut {
    seen: usize,
    hidden: u64,
    bytes: u64,
}

impl Cut {
    /// Whether the action is one too many.
    const fn hides(&mut self, action: &Action) -> bool {
        let bytes = match &action.step {
            Step::PutMarker { .. } => 0,
            step => match step.bytes() {
                Some(bytes) => bytes,
                None => return false,
            },
        };
        self.seen += 1;
        let hides = self.seen > SHOWN;
        if hides {
            self.hidden += 1;
            self.bytes += bytes;
        }
        hides
    }
}

/// What the action acts on inside its bucket.
fn object(action: &Action) -> String {
    let text = match &action.step {
        Step::CreateBucket { region, .. } => format!("bucket in {region}"),
        Step::PutSetting(setting) => setting.name().to_owned(),
        Step::PutMarker { key } => key.to_string(),
        Step::Upload(Upload { key, .. }) | Step::Copy(CopyTask { key, .. }) | Step::Delete(Delete { key, .. }) => {
            key.to_string()
        }
        Step::Download { download: Download { path, .. }, .. } | Step::DeleteFile { path, .. } => path.to_string(),
        Step::SkipDataset { source, to } => format!("{source} to {to}"),
    };
    escape(&text).into_owned()
}

fn show_action(how: Voice, action: &Action, object: &str, screen: &mut Screen) {
    let effect = action.effect();
    let verb = if effect == Effect::Skip { "skip" } else { Words::of(action.kind()).plain };
    let reason = match action.step.bytes() {
        Some(bytes) => format!("{}, {}", HumanBytes(bytes), action.reason),
        None => action.reason.to_string(),
    };
    let mut row = Row::default();
    row.push(how.out, None, "  ");
    row.push(how.out, Some(role_of(effect)), effect.sign());
    row.push(how.out, None, &format!(" {}  {object}", pad(verb, 6)));
    let hang = Hang { lines: (!how.verbose).then_some(REASON_LINES), ..Hang::column(screen.width, 6) };
    row.hang(&escape(&reason), hang, &mut |line| screen.answer_line(line));
}
