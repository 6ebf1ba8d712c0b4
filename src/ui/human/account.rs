//! Policies and roles of an account: a heading, and what is known of it beneath.

use super::Voice;
use super::row::{Hang, Row};
use crate::report::Line;
use crate::ui::screen::Screen;
use crate::ui::style::Role;
use crate::ui::text::escape;

/// Prints lines, each as far set in as it says; those that are not set in are headings.
pub(super) fn show(lines: &[Line], how: Voice, screen: &mut Screen) {
    for (indent, text) in lines {
        let mut row = Row::default();
        if *indent == 0 {
            screen.answer_gap();
            screen.answer_line(&how.out.paint(Role::Head, &escape(text)));
            continue;
        }
        row.push(how.out, None, &" ".repeat(*indent));
        row.hang(&escape(text), Hang::lead(screen.width, indent + 2), &mut |line| screen.answer_line(line));
    }
}

/// Prints lines that are meant to be copied, and so are not folded.
pub(super) fn copied(lines: &[Line], how: Voice, screen: &mut Screen) {
    screen.answer_gap();
    for (indent, text) in lines {
        let text = format!("{}{}", " ".repeat(*indent), escape(text));
        screen.answer_line(&if *indent == 0 { how.out.paint(Role::Head, &text) } else { text });
    }
}
