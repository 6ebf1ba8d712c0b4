//! An access matrix as a table: a row for each place, a column for each operation, and below it why cells are not as
//! expected.

use super::Voice;
use super::row::{Hang, Row};
use super::split_target;
use crate::report::{Access, Cell};
use crate::ui::screen::Screen;
use crate::ui::style::Role;
use crate::ui::text::{columns, escape, pad};

/// The operations and their columns' heads, in the order of output.
const OPERATIONS: [(&str, &str); 6] = [
    ("list", "list"),
    ("get", "get"),
    ("put", "put"),
    ("multipart", "parts"),
    ("delete", "delete"),
    ("head-bucket", "head"),
];
/// What a mark takes, the blank before it included.
const MARK_COLUMNS: usize = 7;
/// How many cells that were not tried are named before they are only counted.
const NAMED_CELLS: usize = 3;
/// The least that places get.
const LEAST_PLACE: usize = 16;

/// What stands in a cell. Its meaning rests on its letters: capitals and a `!` where it is not as expected.
fn mark(cell: &Cell) -> (String, Role) {
    let word = match cell.observed {
        Access::NotTried => return ("?".to_owned(), Role::Change),
        Access::Failed => return ("FAIL!".to_owned(), Role::Bad),
        observed => observed.to_string(),
    };
    match cell.observed == cell.expected {
        true => (word, Role::Good),
        false => (format!("{}!", word.to_uppercase()), Role::Bad),
    }
}

/// Shows the cells of one principal in one bucket.
pub(super) fn show(cells: &[Cell], how: Voice, screen: &mut Screen) {
    let used: Vec<(&str, &str)> =
        OPERATIONS.into_iter().filter(|(operation, _)| cells.iter().any(|cell| cell.operation == *operation)).collect();
    let room = screen.width.saturating_sub(2 + used.len() * MARK_COLUMNS).max(LEAST_PLACE);
    let places: Vec<&[Cell]> = cells.chunk_by(|one, other| one.target == other.target).collect();
    let longest = places.iter().map(|place| columns(&name_of(place))).max().unwrap_or_default();
    let width = longest.clamp(LEAST_PLACE, room);
    let heads: String = used.iter().map(|(_, head)| format!(" {}", pad(head, MARK_COLUMNS - 1))).collect();
    let mut row = Row::default();
    row.push(how.out, Some(Role::Dim), &format!("  {}{}", pad("", width), heads));
    row.hang("", Hang::lead(screen.width, 2), &mut |line| screen.answer_line(line));
    for place in &places {
        if how.quiet && place.iter().all(|cell| cell.expected == cell.observed) {
            continue;
        }
        show_place(place, &used, width, how, screen);
    }
    show_reasons(cells, how, screen);
}

/// The place as people call it, which is within the bucket of the heading.
fn name_of(place: &[Cell]) -> String {
    let target = place.first().map(|cell| cell.target.as_str()).unwrap_or_default();
    match split_target(target) {
        (bucket, "") if bucket == target => "without a prefix".to_owned(),
        (_, "") => "the root".to_owned(),
        (_, path) => escape(path).into_owned(),
    }
}

fn show_place(place: &[Cell], used: &[(&str, &str)], width: usize, how: Voice, screen: &mut Screen) {
    let name = name_of(place);
    let mut row = Row::default();
    if columns(&name) > width {
        // A name that is too long stands above its marks, whole.
        screen.answer_line(&format!("  {name}"));
        row.push(how.out, None, &format!("  {}", pad("", width)));
    } else {
        row.push(how.out, None, &format!("  {}", pad(&name, width)));
    }
    for (operation, _) in used {
        let (text, role) = match place.iter().find(|cell| cell.operation == *operation) {
            Some(cell) => mark(cell),
            None => (String::new(), Role::Dim),
        };
        row.push(how.out, None, " ");
        row.push(how.out, Some(role), &pad(&text, MARK_COLUMNS - 1));
    }
    row.hang("", Hang::lead(screen.width, 2), &mut |line| screen.answer_line(line));
}

/// Cells that have one reason, and where they are.
struct Reason<'cells> {
    first: &'cells Cell,
    /// The reason without the names of places, which are told beside it.
    bare: String,
    places: Vec<String>,
}

impl Reason<'_> {
    fn covers(&self, cell: &Cell, bare: &str) -> bool {
        let first = self.first;
        let not_tried = |cell: &Cell| cell.observed == Access::NotTried;
        self.bare == bare
            && ((first.expected, first.observed) == (cell.expected, cell.observed)
                || (not_tried(first) && not_tried(cell)))
    }

    fn show(&self, how: Voice, screen: &mut Screen) {
        let (expected, observed) = (self.first.expected, self.first.observed);
        let (sign, role, answer) = match observed {
            Access::NotTried => ("?", Role::Change, "not tried".to_owned()),
            _ if expected == observed => (" ", Role::Good, observed.to_string()),
            _ => ("!", Role::Bad, format!("{}, expected {expected}", observed.to_string().to_uppercase())),
        };
        let mut row = Row::default();
        row.push(how.out, Some(role), &format!("{sign} {answer}: "));
        let count = self.places.len();
        let places = match observed == Access::NotTried && count > NAMED_CELLS && !how.verbose {
            true => format!("{count} cells"),
            false => self.places.join(", "),
        };
        row.hang(&places, Hang::lead(screen.width, 4), &mut |line| screen.answer_line(line));
        let mut row = Row::default();
        row.push(how.out, None, "    ");
        row.hang(&escape(&self.first.because), Hang::lead(screen.width, 4), &mut |line| screen.answer_line(line));
    }
}

/// Why cells are not as expected or were not tried, each reason once; with `-v` why all of them are as they are.
fn show_reasons(cells: &[Cell], how: Voice, screen: &mut Screen) {
    let mut reasons: Vec<Reason<'_>> = Vec::new();
    for cell in cells.iter().filter(|cell| how.verbose || cell.expected != cell.observed) {
        let place = format!("{} {}", cell.operation, name_of(std::slice::from_ref(cell)));
        let (_, path) = split_target(&cell.target);
        let bare = if path.is_empty() { cell.because.clone() } else { cell.because.replace(path, "") };
        match reasons.iter_mut().find(|reason| reason.covers(cell, &bare)) {
            Some(reason) => reason.places.push(place),
            None => reasons.push(Reason { first: cell, bare, places: vec![place] }),
        }
    }
    reasons.iter().for_each(|reason| reason.show(how, screen));
}
