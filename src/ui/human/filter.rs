//! What a filter decides: a line for each name that is left out, and for every name with `-v`.

use super::Voice;
use super::row::{Hang, Row};
use crate::report::FilterRecord;
use crate::ui::screen::Screen;
use crate::ui::style::Role;
use crate::ui::text::escape;

/// Prints what was decided about one name.
pub(super) fn show(record: &FilterRecord, voice: Voice, screen: &mut Screen) {
    if record.selected && !voice.verbose {
        return;
    }
    let mut row = Row::default();
    let (sign, role) = if record.selected { ("+ ", Role::Good) } else { ("- ", Role::Dim) };
    row.push(voice.out, Some(role), sign);
    let because = match (&record.rule, &record.from) {
        (Some(rule), Some(from)) => format!("  {rule}  ({from})"),
        _ => String::new(),
    };
    let text = format!("{}{because}", record.name);
    row.hang(&escape(&text), Hang::lead(screen.width, 4), &mut |line| screen.answer_line(line));
}
