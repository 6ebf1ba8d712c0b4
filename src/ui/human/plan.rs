//! A plan as people read it: bucket by bucket, sign, action, target and reason in columns, findings beneath.

use super::row::{Hang, Row};
use super::{Human, WIDEST_COLUMN};
use crate::model::{HumanBytes, HumanCount};
use crate::plan::{Action, Effect, Plan, Step};
use crate::report::{Finding, Severity, Words};
use crate::ui::screen::Screen;
use crate::ui::style::Role;
use crate::ui::text::{columns, counted, escape, pad};

/// How many uploads and how many markers of one bucket get a line of their own.
const SHOWN: usize = 20;
/// Lines of a reason; `-v` shows all.
const REASON_LINES: usize = 4;

/// Shows the plan.
pub(super) fn show(human: &Human, plan: &Plan, screen: &mut Screen) {
    let mut buckets: Vec<&str> = Vec::new();
    for action in &plan.actions {
        if !buckets.contains(&action.bucket.as_str()) {
            buckets.push(action.bucket.as_str());
        }
    }
    let mut findings: Vec<&Finding> = plan.findings.iter().collect();
    for bucket in buckets {
        screen.answer_line(&human.out.paint(Role::Head, &format!("s3://{bucket}")));
        group(human, plan.actions.iter().filter(|action| action.bucket.as_str() == bucket), screen);
        let (here, elsewhere): (Vec<_>, Vec<_>) = findings.into_iter().partition(|finding| is_about(finding, bucket));
        here.into_iter().for_each(|finding| human.finding(finding, "  ", screen));
        findings = elsewhere;
        screen.answer_line("");
    }
    findings.into_iter().for_each(|finding| human.finding(finding, "", screen));
    screen.answer_line(&human.out.paint(Role::Head, &closing(plan)));
}

fn is_about(finding: &Finding, bucket: &str) -> bool {
    let rest = finding.target.strip_prefix("s3://").unwrap_or(&finding.target).strip_prefix(bucket);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// `Plan: 12 to do, 1 skipped, 5 as wanted`
fn closing(plan: &Plan) -> String {
    let skipped = plan.actions.iter().filter(|action| action.effect() == Effect::Skip).count();
    let to_do = plan.actions.len() - skipped;
    let mut parts = vec![match to_do {
        0 => "nothing to do".to_owned(),
        _ => format!("{} to do", HumanCount(to_do as u64)),
    }];
    if skipped > 0 {
        parts.push(format!("{} skipped", HumanCount(skipped as u64)));
    }
    parts.push(format!("{} as wanted", HumanCount(plan.unchanged)));
    match plan.findings.iter().filter(|finding| finding.severity == Severity::Error).count() {
        0 => format!("Plan: {}", parts.join(", ")),
        errors => format!("Plan: refused because of {}; {}", counted(errors as u64, "error"), parts.join(", ")),
    }
}

/// The actions on one bucket: those of one kind that follow each other are aligned, and long runs of uploads and
/// markers are cut.
fn group<'plan>(human: &Human, actions: impl Iterator<Item = &'plan Action>, screen: &mut Screen) {
    let mut actions = actions.peekable();
    while let Some(first) = actions.next() {
        let same = |action: &&Action| kind_of(action) == kind_of(first);
        let mut cut = Cut::default();
        let mut shown = Vec::new();
        let mut next = Some(first);
        while let Some(action) = next {
            if human.verbose || !cut.hides(action) {
                shown.push((action, object(action)));
            }
            next = actions.next_if(same);
        }
        let width = shown.iter().map(|(_, object)| columns(object)).filter(|width| *width <= WIDEST_COLUMN).max();
        for (action, object) in shown {
            show_action(human, action, &pad(&object, width.unwrap_or_default()), screen);
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
            Step::Upload(upload) => upload.fingerprint.size_bytes,
            Step::PutMarker { .. } => 0,
            _ => return false,
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
        Step::Upload(upload) => upload.key.to_string(),
        Step::SkipDataset { source, to } => format!("{source} to {to}"),
    };
    escape(&text).into_owned()
}

fn show_action(human: &Human, action: &Action, object: &str, screen: &mut Screen) {
    let (role, verb) = match action.effect() {
        Effect::Create => (Role::Good, Words::of(action.kind()).plain),
        Effect::Change => (Role::Change, Words::of(action.kind()).plain),
        Effect::Skip => (Role::Change, "skip"),
    };
    let reason = match &action.step {
        Step::Upload(upload) => format!("{}, {}", HumanBytes(upload.fingerprint.size_bytes), action.reason),
        _ => action.reason.to_string(),
    };
    let mut row = Row::default();
    row.push(human.out, None, "  ");
    row.push(human.out, Some(role), action.effect().sign());
    row.push(human.out, None, &format!(" {}  {object}", pad(verb, 6)));
    let how = Hang { lines: (!human.verbose).then_some(REASON_LINES), ..Hang::column(screen.width, 6) };
    row.hang(&escape(&reason), how, &mut |line| screen.answer_line(line));
}
