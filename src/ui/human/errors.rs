//! Errors as people read them: the message, the place in the file, and what to do.

use super::row::{Hang, Row};
use super::{Voice, voice};
use crate::report::ErrorRecord;
use crate::ui::screen::Screen;
use crate::ui::style::Role;
use crate::ui::text::{counted, escape};

/// Shows one error.
pub(super) fn show(error: &ErrorRecord, how: Voice, screen: &mut Screen) {
    for (index, line) in error.message.lines().enumerate() {
        let mut row = Row::default();
        row.push(how.err, Some(Role::Bad), if index == 0 { "error: " } else { "  " });
        row.hang(&escape(line), Hang::lead(screen.width, 2), &mut |line| screen.status_line(line));
    }
    // It keeps its form, because the mark must stay under its place.
    for line in error.excerpt.iter().flat_map(|excerpt| excerpt.lines()) {
        screen.status_line(&escape(line));
    }
    if let Some(target) = error.target.as_deref().filter(|target| !error.message.contains(target)) {
        screen.status_line(&format!("  on {}", escape(target)));
    }
    for hint in &error.hints {
        voice(screen, how.err, "hint: ", hint);
    }
}

/// Shows several errors, an empty line between them. Mistakes in a file are counted at the end.
pub(super) fn show_all(errors: &[ErrorRecord], how: Voice, screen: &mut Screen) {
    for (index, error) in errors.iter().enumerate() {
        if index > 0 {
            screen.status_line("");
        }
        show(error, how, screen);
    }
    // A list that was cut says itself how much is missing.
    let whole = errors.iter().all(|error| error.excerpt.is_some());
    if let (2.., true, Some(file)) = (errors.len(), whole, errors.first().and_then(|error| error.target.as_deref())) {
        screen.status_line("");
        let line = format!("{} in {}", counted(errors.len() as u64, "mistake"), escape(file));
        screen.status_line(&how.err.paint(Role::Head, &line));
    }
}
