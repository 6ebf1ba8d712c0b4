//! Events as text for people: a line or two each, grouped and aligned where they come in rows.

mod plan;
mod row;

use super::UiOptions;
use super::screen::Screen;
use super::style::{Paint, Role};
use super::text::{columns, escape, human_duration, pad, thousands};
use super::tree::Drawing;
use crate::model::HumanBytes;
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
    /// The principal whose cells are being shown.
    principal: Option<String>,
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
        row.push(paint, Some(role), if index == 0 { voice } else { "" });
        row.hang(&escape(line), Hang { gap: 0, ..Hang::folded(screen.width, 2) }, &mut |line| screen.status_line(line));
    }
}

impl Human {
    pub(super) fn new(options: &UiOptions) -> Self {
        Self {
            out: options.color.paint(options.stdout_is_terminal),
            err: options.color.paint(options.stderr_is_terminal),
            quiet: options.quiet,
            verbose: options.verbose > 0,
            check_columns: [13, 0],
            cell_columns: 0,
            principal: None,
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
            Event::Check(check) => self.check(check, screen),
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
    pub(super) fn plan(&self, plan: &Plan, screen: &mut Screen) {
        plan::show(self, plan, screen);
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
                let (count, past) = (thousands(tally.hidden), Words::of(action).past);
                screen.answer_line(&format!("... and {count} more {past} in {}{size}", escape(&bucket)));
            }
        }
    }

    fn identity(&self, identity: &IdentityRecord, screen: &mut Screen) {
        if !self.quiet {
            voice(screen, self.err, "", &identity.to_string());
        }
    }

    fn action(&mut self, action: &ActionRecord, screen: &mut Screen) {
        let text = action.to_string();
        match action.status {
            Status::Failed | Status::Skipped => {
                let role = if action.status == Status::Failed { Role::Bad } else { Role::Change };
                let mut row = Row::default();
                row.push(self.err, Some(role), "!");
                let how = Hang { gap: 1, ..Hang::folded(screen.width, 2) };
                row.hang(&escape(&text), how, &mut |line| screen.status_line(line));
            }
            Status::Done | Status::Planned if self.quiet || !self.shows(action) => {}
            Status::Done | Status::Planned => {
                let mut how = Hang { gap: 0, ..Hang::folded(screen.width, 2) };
                // The whole reason stood in the plan; what was done may be cut unless it is asked for.
                let target_lines = columns(&text).div_ceil(screen.width.max(1)).min(2);
                how.lines = (!self.verbose && text.len() > 400).then_some(target_lines + 1);
                Row::default().hang(&escape(&text), how, &mut |line| screen.answer_line(line));
            }
        }
    }

    /// Whether the action gets a line of its own; the others are counted.
    fn shows(&mut self, action: &ActionRecord) -> bool {
        let bucket_end =
            action.target.get(5..).and_then(|rest| rest.find('/')).map_or(action.target.len(), |at| at + 5);
        let bucket = action.target.get(..bucket_end).unwrap_or(&action.target).to_owned();
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
        row.push(self.out, Some(role), &finding.severity.to_string());
        let place = finding.path.as_deref().map(|path| format!(" at {path}")).unwrap_or_default();
        let text = format!("[{}] {}{place}: {}", finding.code, finding.target, finding.message);
        let below = Hang::folded(screen.width, indent.len() + 2);
        row.hang(&escape(&text), Hang { gap: 1, ..below }, &mut |line| screen.answer_line(line));
        if let Some(fix) = &finding.fix {
            let mut row = Row::default();
            row.push(self.out, None, &format!("{indent}  "));
            row.hang(&escape(&format!("fix: {fix}")), Hang { gap: 0, ..below }, &mut |line| screen.answer_line(line));
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
        row.hang(&escape(&check.detail), Hang::folded(screen.width, 9), &mut |line| screen.answer_line(line));
    }

    fn cell(&mut self, cell: &Cell, screen: &mut Screen) {
        let as_wanted = cell.expected == cell.observed;
        if self.quiet && as_wanted {
            return;
        }
        if self.principal.as_ref() != Some(&cell.principal) {
            screen.answer_line(&self.out.paint(Role::Head, &escape(&cell.principal)));
            self.principal = Some(cell.principal.clone());
        }
        let (sign, role, answer) = match (cell.expected, cell.observed) {
            (expected, Access::NotTried) => ("?", Role::Change, format!("not tried, expected {expected}")),
            (Access::Deny, Access::Deny) => (" ", Role::Good, "deny, as expected".to_owned()),
            (_, observed) if as_wanted => (" ", Role::Good, observed.to_string()),
            (expected, observed) => {
                ("!", Role::Bad, format!("{}, expected {expected}", observed.to_string().to_uppercase()))
            }
        };
        let target = escape(&cell.target);
        self.cell_columns = self.cell_columns.max(columns(&target).min(WIDEST_COLUMN));
        let mut row = Row::default();
        row.push(self.out, Some(role), sign);
        row.push(self.out, None, &format!(" {}  {}  ", pad(cell.operation, 11), pad(&target, self.cell_columns)));
        row.push(self.out, Some(role), &answer);
        row.hang(&escape(&cell.because), Hang::folded(screen.width, 15), &mut |line| screen.answer_line(line));
    }

    fn error(&self, error: &ErrorRecord, screen: &mut Screen) {
        let one_line = !error.message.contains('\n');
        for (index, line) in error.message.lines().enumerate() {
            let mut row = Row::default();
            row.push(self.err, Some(Role::Bad), if index == 0 { "error: " } else { "  " });
            // Text that comes in lines, such as an excerpt with a caret under it, keeps them.
            let width = if one_line { screen.width } else { usize::MAX };
            row.hang(&escape(line), Hang { gap: 0, ..Hang::folded(width, 2) }, &mut |line| screen.status_line(line));
        }
        if let Some(target) = error.target.as_deref().filter(|target| !error.message.contains(target)) {
            screen.status_line(&format!("  on {}", escape(target)));
        }
        for hint in &error.hints {
            voice(screen, self.err, "hint: ", hint);
        }
    }

    fn summary(&self, summary: &Summary, screen: &mut Screen) {
        let counted = Summary { elapsed_ms: 0, exit: 0, ..summary.clone() } != Summary::default();
        if self.quiet || !counted {
            return;
        }
        let line = match &summary.closing {
            Some(closing) => escape(closing).into_owned(),
            None if summary.bytes > 0 => {
                let time = human_duration(Duration::from_millis(summary.elapsed_ms));
                format!("{summary} in {time}")
            }
            None => summary.to_string(),
        };
        screen.answer_line(&self.out.paint(Role::Head, &line));
    }
}
