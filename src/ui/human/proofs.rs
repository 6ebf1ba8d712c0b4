//! Checks and round trips as people read them: under one heading for each bucket, a folder in one line while all is as
//! expected.

use super::matrix;
use super::row::{Hang, Row};
use super::{Voice, WIDEST_COLUMN, split_target};
use crate::report::{Access, Cell, Check, Verdict};
use crate::ui::screen::Screen;
use crate::ui::style::Role;
use crate::ui::text::{columns, escape, pad};

/// The name under which the data of a folder is checked, which needs no column of its own.
const DATA: &str = "data";

/// What an answer takes beside its folder.
const ANSWER_COLUMNS: usize = 36;

/// What was said so far, and the cells of the folder that is being told.
#[derive(Debug)]
pub(super) struct Proofs {
    heading: Option<String>,
    cells: Vec<Cell>,
    /// Why the calls of the row above were not tried, which the rows below need not repeat.
    not_tried: Option<String>,
    /// Columns of the names of checks, of folders with data, and of folders with cells, so that rows align though they
    /// come one by one.
    names: usize,
    data: usize,
    folders: usize,
}

impl Default for Proofs {
    fn default() -> Self {
        Self { heading: None, cells: Vec::new(), not_tried: None, names: 13, data: 24, folders: 32 }
    }
}

/// The wider of a column and a text, within bounds.
fn grown(width: usize, text: &str) -> usize {
    width.max(columns(text).min(WIDEST_COLUMN))
}

impl Proofs {
    /// One check.
    pub(super) fn check(&mut self, check: &Check, how: Voice, screen: &mut Screen) {
        let (word, role) = match check.verdict {
            Verdict::Fail => ("FAIL".to_owned(), Role::Bad),
            Verdict::Unknown => (check.verdict.to_string(), Role::Change),
            Verdict::Pass => (check.verdict.to_string(), Role::Good),
            Verdict::Waived | Verdict::NotApplicable => (check.verdict.to_string(), Role::Dim),
        };
        if how.quiet && matches!(check.verdict, Verdict::Pass | Verdict::Waived | Verdict::NotApplicable) {
            return;
        }
        // A role is no place in a bucket.
        let (bucket, path) = match check.target.starts_with("arn:") {
            true => (check.target.as_str(), ""),
            false => split_target(&check.target),
        };
        let mut row = Row::default();
        row.push(how.out, None, "  ");
        row.push(how.out, Some(role), &pad(&word, 7));
        if check.check == DATA {
            self.head(&format!("data in {bucket}"), how, screen);
            let path = escape(if path.is_empty() { "the whole bucket" } else { path });
            self.data = grown(self.data, &path);
            row.push(how.out, None, &format!("  {}", pad(&path, self.data)));
        } else {
            self.head(bucket, how, screen);
            let name = escape(&check.check);
            self.names = grown(self.names, &name);
            row.push(how.out, None, &format!("  {}", pad(&name, self.names)));
        }
        row.hang(&escape(&check.detail), Hang::column(screen.width, 11), &mut |line| screen.answer_line(line));
    }

    /// One cell; it is told when all cells of its folder are here.
    pub(super) fn cell(&mut self, cell: &Cell, how: Voice, screen: &mut Screen) {
        let same = |held: &Cell| (&held.principal, &held.target) == (&cell.principal, &cell.target);
        if !self.cells.last().is_none_or(same) {
            self.release(how, screen);
        }
        self.cells.push(cell.clone());
    }

    /// Tells the cells that are held: in one row if all is as expected, else a row for each answer.
    pub(super) fn release(&mut self, how: Voice, screen: &mut Screen) {
        let cells = std::mem::take(&mut self.cells);
        let Some(first) = cells.first() else { return };
        let unexpected = cells.iter().any(|cell| cell.expected != cell.observed);
        if how.quiet && !unexpected {
            return;
        }
        let (bucket, folder) = split_target(&first.target);
        self.head(&format!("access to {bucket} as {}", first.principal), how, screen);
        let folder = escape(if folder.is_empty() { "the whole bucket" } else { folder });
        self.folders = grown(self.folders, &folder);
        // On a narrow terminal the answers are worth more than their alignment.
        let width = if self.folders + ANSWER_COLUMNS > screen.width { 0 } else { self.folders };
        let folder = pad(&folder, width);
        let in_one = |one: &Cell, other: &Cell| {
            let answers = (one.expected, one.observed) == (other.expected, other.observed);
            !how.verbose && answers && (!unexpected || one.because == other.because)
        };
        for alike in cells.chunk_by(in_one) {
            let because = alike.first().map(|cell| cell.because.clone()).unwrap_or_default();
            let repeats = self.not_tried.as_ref() == Some(&because);
            let not_tried = alike.iter().all(|cell| cell.observed == Access::NotTried);
            show_cells(alike, &folder, if repeats && not_tried { "" } else { &because }, how, screen);
            self.not_tried = not_tried.then_some(because);
        }
    }

    /// The matrix of one principal in one bucket.
    pub(super) fn matrix(&mut self, cells: &[Cell], how: Voice, screen: &mut Screen) {
        let Some(first) = cells.first() else { return };
        if how.quiet && cells.iter().all(|cell| cell.expected == cell.observed) {
            return;
        }
        let (bucket, _) = split_target(&first.target);
        // Two tables of one heading would read as one.
        self.heading = None;
        self.head(&format!("access to {bucket} as {}", first.principal), how, screen);
        matrix::show(cells, how, screen);
    }

    /// The heading above the rows, where it is another than before.
    fn head(&mut self, heading: &str, how: Voice, screen: &mut Screen) {
        if self.heading.as_deref() == Some(heading) {
            return;
        }
        self.not_tried = None;
        screen.answer_gap();
        let paint = how.out;
        let mut lines = Vec::new();
        Row::default().hang(&escape(heading), Hang::lead(screen.width, 2), &mut |line| lines.push(line.to_owned()));
        lines.iter().for_each(|line| screen.answer_line(&paint.paint(Role::Head, line)));
        self.heading = Some(heading.to_owned());
    }

    /// Sets the closing line apart from the rows.
    pub(super) fn close(&mut self, screen: &mut Screen) {
        if self.heading.take().is_some() {
            screen.answer_gap();
        }
    }
}

/// Cells of one folder with the same answer, and the reason if it is worth telling.
fn show_cells(cells: &[Cell], folder: &str, because: &str, how: Voice, screen: &mut Screen) {
    let Some(cell) = cells.first() else { return };
    let as_expected = cell.expected == cell.observed;
    if how.quiet && as_expected {
        return;
    }
    let (sign, role, answer) = match (cell.expected, cell.observed) {
        (Access::Allow, Access::NotTried) => ("?", Role::Change, "not tried".to_owned()),
        (expected, Access::NotTried) => ("?", Role::Change, format!("not tried, expected {expected}")),
        (Access::Deny, Access::Deny) => (" ", Role::Good, "deny, as expected".to_owned()),
        (_, observed) if as_expected => (" ", Role::Good, observed.to_string()),
        (expected, observed) => {
            ("!", Role::Bad, format!("{}, expected {expected}", observed.to_string().to_uppercase()))
        }
    };
    let operations: Vec<&str> = cells.iter().map(|cell| cell.operation).collect();
    let mut row = Row::default();
    row.push(how.out, Some(role), sign);
    row.push(how.out, None, &format!(" {folder}  {}: ", operations.join(" ")));
    row.push(how.out, Some(role), &answer);
    // Why a call worked is known from its answer; the rest of the story is for those who ask for it.
    let tells = how.verbose || !as_expected || cell.observed == Access::Deny;
    let because = if tells { escape(because) } else { "".into() };
    row.hang(&because, Hang::column(screen.width, 4), &mut |line| screen.answer_line(line));
}
