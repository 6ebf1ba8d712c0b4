//! Events as text for people: a line or two each, grouped and aligned where they come in rows.

mod decision;
mod plan;
mod row;

use super::UiOptions;
use super::screen::Screen;
use super::style::{Paint, Role};
use super::text::{columns, elapsed, escape, pad, shorten};
use super::tree::Drawing;
use crate::model::{HumanBytes, HumanCount};
use crate::plan::Plan;
use crate::report::{
    Access, ActionRecord, Cell, Check, ErrorRecord, Event, Finding, IdentityRecord, Progress, Severity, Status,
    Summary, Verdict, Words,
};
use crate::tree::Tree;
use row::{Hang, Row};
use std::collections::BTreeMap;
use std::time::Duration;

/// How many actions of one kind on one bucket get a line of their own.
const SHOWN_ACTIONS: u64 = 20;
/// The widest that a column grows for what stands in it.
const WIDEST_COLUMN: usize = 48;

/// The printer for people, and what it must remember from line to line.
#[derive(Debug)]
pub(super) struct Human {
    out: Paint,
    err: Paint,
    quiet: bool,
    verbose: bool,
    /// Columns of check names and targets so far, so that rows align though they come one by one.
    check_columns: [usize; 2],
    /// The same for the targets of cells.
    cell_columns: usize,
    /// Under which heading cells are being shown.
    cells_of: Option<String>,
    /// Planned, skipped and unchanged of the plan shown last, whose closing line says it all.
    plan_shown: Option<[u64; 3]>,
    /// How many actions of each kind on each bucket there were.
    actions: BTreeMap<(String, &'static str), Tally>,
    trees: u64,
}

/// Actions of one kind, and those of them that got no line.
#[derive(Debug, Default)]
struct Tally {
    all: u64,
    hidden: u64,
    hidden_bytes: u64,
}

/// Writes a note, warning or hint.
pub(super) fn voice(screen: &mut Screen, paint: Paint, voice: &str, text: &str) {
    let role = if voice.starts_with("warning") { Role::Change } else { Role::Dim };
    for (index, line) in text.lines().enumerate() {
        let mut row = Row::default();
        // Lines after the first are set in, so that text from elsewhere cannot pass for a message of its own.
        row.push(paint, Some(role), if index == 0 { voice } else { "  " });
        row.hang(&escape(line), Hang::lead(screen.width, 2), &mut |line| screen.status_line(line));
    }
}

/// The bucket of an `s3://` URL, and what follows the slash behind it.
fn split_target(target: &str) -> (&str, &str) {
    let start = if target.starts_with("s3://") { 5 } else { 0 };
    target[start..].find('/').map_or((target, ""), |slash| (&target[..start + slash], &target[start + slash + 1..]))
}

impl Human {
    pub(super) fn new(options: &UiOptions) -> Self {
        Self {
            out: options.color.paint(options.stdout_is_terminal),
            err: options.color.paint(options.stderr_is_terminal),
            quiet: options.quiet,
            verbose: options.verbose > 0,
            check_columns: [13, 0],
            cell_columns: 24,
            cells_of: None,
            plan_shown: None,
            actions: BTreeMap::new(),
            trees: 0,
        }
    }

    /// Prints one event.
    pub(super) fn event(&mut self, event: &Event, screen: &mut Screen) {
        match event {
            Event::Identity(identity) => self.identity(identity, screen),
            Event::Endpoint(endpoint) => {
                for line in endpoint.to_string().lines() {
                    screen.answer_line(line);
                }
            }
            Event::Action(action) => self.action(action, screen),
            Event::Finding(finding) => self.finding(finding, "", screen),
            Event::Cell(cell) => self.cell(cell, screen),
            Event::Decision(record) => decision::show(self, record, screen),
            Event::Check(check) => self.check(check, screen),
            Event::Policy(policy) => screen.answer_text(&format!("{:#}\n", policy.document)),
            Event::Node(node) => screen.answer_line(&escape(&node.path)),
            Event::Answer { text } => {
                screen.answer_text(text);
                if !text.ends_with('\n') {
                    screen.answer_text("\n");
                }
            }
            Event::Error(error) => self.error(error, screen),
            Event::Progress(Progress::Retried { target, reason }) if self.verbose => {
                screen.status_line(&format!("retrying {}: {}", escape(target), escape(reason)));
            }
            Event::Progress(_) => {}
            Event::Summary(summary) => self.summary(summary, screen),
        }
    }

    /// Shows a plan.
    pub(super) fn plan(&mut self, plan: &Plan, counts: &Summary, screen: &mut Screen) {
        plan::show(self, plan, screen);
        self.plan_shown = Some([counts.planned, counts.skipped, counts.unchanged]);
    }

    /// Draws a tree, with an empty line between it and the one before.
    pub(super) fn tree(&mut self, tree: &Tree, screen: &mut Screen) {
        if self.trees > 0 {
            screen.answer_line("");
        }
        self.trees += 1;
        let drawing = Drawing { paint: self.out, sizes: self.verbose };
        drawing.draw(tree, &mut |line| screen.answer_line(line));
    }

    /// Counts in one line each what got no lines of its own.
    pub(super) fn close_stream(&mut self, screen: &mut Screen) {
        for ((bucket, action), tally) in std::mem::take(&mut self.actions) {
            if tally.hidden > 0 && !self.quiet {
                let size = if tally.hidden_bytes > 0 {
                    format!(" ({})", HumanBytes(tally.hidden_bytes))
                } else {
                    String::new()
                };
                let (count, past) = (HumanCount(tally.hidden), Words::of(action).past);
                screen.answer_line(&format!("... and {count} more {past} in {}{size}", escape(&bucket)));
            }
        }
    }

    fn identity(&self, identity: &IdentityRecord, screen: &mut Screen) {
        if !self.quiet {
            // Not folded, as people copy ARNs.
            screen.status_line(&escape(&identity.to_string()));
        }
    }

    fn action(&mut self, action: &ActionRecord, screen: &mut Screen) {
        match action.status {
            Status::Failed | Status::Skipped => {
                let role = if action.status == Status::Failed { Role::Bad } else { Role::Change };
                let mut row = Row::default();
                row.push(self.err, Some(role), "! ");
                let how = Hang::lead(screen.width, 2);
                row.hang(&escape(&action.to_string()), how, &mut |line| screen.status_line(line));
            }
            Status::Done | Status::Planned if self.quiet || !self.shows(action) => {}
            Status::Done | Status::Planned => {
                // The whole reason stood in the plan, so here a long one may be cut; the target never is.
                let room = if self.verbose { usize::MAX } else { screen.width.saturating_sub(8) };
                let record = ActionRecord { reason: shorten(&action.reason, room).into_owned(), ..action.clone() };
                let how = Hang::lead(screen.width, 2);
                Row::default().hang(&escape(&record.to_string()), how, &mut |line| screen.answer_line(line));
            }
        }
    }

    /// Whether the action gets a line of its own; the others are counted.
    fn shows(&mut self, action: &ActionRecord) -> bool {
        let bucket = split_target(&action.target).0.to_owned();
        let tally = self.actions.entry((bucket, action.action)).or_default();
        tally.all += 1;
        let shown = self.verbose || tally.all <= SHOWN_ACTIONS;
        if !shown {
            tally.hidden += 1;
            tally.hidden_bytes += action.bytes.unwrap_or_default();
        }
        shown
    }

    fn finding(&self, finding: &Finding, indent: &str, screen: &mut Screen) {
        let role = match finding.severity {
            Severity::Error | Severity::SecurityWarning => Role::Bad,
            Severity::Warning => Role::Change,
            Severity::Suggestion => Role::Dim,
        };
        let mut row = Row::default();
        row.push(self.out, None, indent);
        row.push(self.out, Some(role), &format!("{} ", finding.severity));
        let place = finding.path.as_deref().map(|path| format!(" at {path}")).unwrap_or_default();
        let text = format!("[{}] {}{place}: {}", finding.code, finding.target, finding.message);
        let how = Hang::lead(screen.width, indent.len() + 2);
        row.hang(&escape(&text), how, &mut |line| screen.answer_line(line));
        if let Some(fix) = &finding.fix {
            let mut row = Row::default();
            row.push(self.out, None, &format!("{indent}  "));
            row.hang(&escape(&format!("fix: {fix}")), how, &mut |line| screen.answer_line(line));
        }
    }

    fn check(&mut self, check: &Check, screen: &mut Screen) {
        let role = match check.verdict {
            Verdict::Pass => Role::Good,
            Verdict::Fail => Role::Bad,
            Verdict::Waived | Verdict::NotApplicable => Role::Dim,
            Verdict::Unknown => Role::Change,
        };
        if self.quiet && matches!(check.verdict, Verdict::Pass | Verdict::Waived | Verdict::NotApplicable) {
            return;
        }
        let (name, target) = (escape(&check.check), escape(&check.target));
        let grown = |width: usize, text: &str| width.max(columns(text).min(WIDEST_COLUMN));
        self.check_columns = [grown(self.check_columns[0], &name), grown(self.check_columns[1], &target)];
        let mut row = Row::default();
        row.push(self.out, Some(role), &pad(&check.verdict.to_string(), 7));
        row.push(self.out, None, &format!("  {}", pad(&name, self.check_columns[0])));
        row.push(self.out, None, &format!("  {}", pad(&target, self.check_columns[1])));
        row.hang(&escape(&check.detail), Hang::column(screen.width, 9), &mut |line| screen.answer_line(line));
    }

    fn cell(&mut self, cell: &Cell, screen: &mut Screen) {
        let as_wanted = cell.expected == cell.observed;
        if self.quiet && as_wanted {
            return;
        }
        let (bucket, folder) = split_target(&cell.target);
        let heading = format!("{} in {bucket}", cell.principal);
        if self.cells_of.as_ref() != Some(&heading) {
            screen.answer_line(&self.out.paint(Role::Head, &escape(&heading)));
            self.cells_of = Some(heading);
        }
        let (sign, role, answer) = match (cell.expected, cell.observed) {
            (expected, Access::NotTried) => ("?", Role::Change, format!("not tried, expected {expected}")),
            (Access::Deny, Access::Deny) => (" ", Role::Good, "deny, as expected".to_owned()),
            (_, observed) if as_wanted => (" ", Role::Good, observed.to_string()),
            (expected, observed) => {
                ("!", Role::Bad, format!("{}, expected {expected}", observed.to_string().to_uppercase()))
            }
        };
        let folder = escape(folder);
        self.cell_columns = self.cell_columns.max(columns(&folder).min(WIDEST_COLUMN));
        let mut row = Row::default();
        row.push(self.out, Some(role), sign);
        row.push(self.out, None, &format!(" {}  {}  ", pad(cell.operation, 9), pad(&folder, self.cell_columns)));
        row.push(self.out, Some(role), &answer);
        row.hang(&escape(&cell.because), Hang::column(screen.width, 13), &mut |line| screen.answer_line(line));
    }

    fn error(&self, error: &ErrorRecord, screen: &mut Screen) {
        for (index, line) in error.message.lines().enumerate() {
            let mut row = Row::default();
            row.push(self.err, Some(Role::Bad), if index == 0 { "error: " } else { "  " });
            // What follows the first line, such as an excerpt with carets under it, keeps its form.
            let width = if index == 0 { screen.width } else { usize::MAX };
            row.hang(&escape(line), Hang::lead(width, 2), &mut |line| screen.status_line(line));
        }
        if let Some(target) = error.target.as_deref().filter(|target| !error.message.contains(target)) {
            screen.status_line(&format!("  on {}", escape(target)));
        }
        for hint in &error.hints {
            voice(screen, self.err, "hint: ", hint);
        }
    }

    fn summary(&mut self, summary: &Summary, screen: &mut Screen) {
        self.close_stream(screen);
        let counted = Summary { elapsed_ms: 0, exit: 0, ..summary.clone() } != Summary::default();
        let said_by_plan = self.plan_shown == Some([summary.planned, summary.skipped, summary.unchanged])
            && (summary.done, summary.failed, &summary.closing) == (0, 0, &None);
        if self.quiet || !counted || said_by_plan {
            return;
        }
        let line = match &summary.closing {
            Some(closing) => escape(closing).into_owned(),
            None if summary.bytes > 0 => {
                format!("{summary} in {}", elapsed(Duration::from_millis(summary.elapsed_ms)))
            }
            None => summary.to_string(),
        };
        screen.answer_line(&self.out.paint(Role::Head, &line));
    }
}
