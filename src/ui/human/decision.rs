//! Decisions of policies: a headline, what it rests on, and what would help; every statement with `-v`.

use super::Human;
use super::row::{Hang, Row};
use crate::report::{DecisionRecord, ReasonRecord};
use crate::ui::screen::Screen;
use crate::ui::style::Role;
use crate::ui::text::escape;

/// Prints a decision. One that is as expected is only worth a line to those who want to see everything.
pub(super) fn show(human: &Human, record: &DecisionRecord, screen: &mut Screen) {
    let as_expected = record.is_as_expected();
    if record.expected.is_some() && as_expected {
        if human.voice.verbose {
            let line = format!("  {}: {}, as expected", escape(&record.id), record.decision);
            screen.answer_line(&line);
        }
        return;
    }
    let (word, role) = match (record.expected, record.decision) {
        (Some(_), _) => (format!("! {}: ", escape(&record.id)), Role::Bad),
        (None, "allow") => ("allowed: ".to_owned(), Role::Good),
        (None, _) => ("denied: ".to_owned(), Role::Bad),
    };
    let mut row = Row::default();
    if !record.alone && record.expected.is_none() {
        row.push(human.voice.out, None, &format!("{}: ", escape(&record.id)));
    }
    row.push(human.voice.out, Some(role), &word);
    let text = match record.expected {
        Some(expected) => format!("{}, expected {expected}: {}", record.decision, record.message),
        None => record.message.clone(),
    };
    hang(row, &text, 2, screen);
    for reason in record.because.iter().filter(|reason| reason.decisive || human.voice.verbose) {
        let mut row = Row::default();
        row.push(human.voice.out, None, "  ");
        row.push(human.voice.out, (!reason.decisive).then_some(Role::Dim), &lead(reason, human.voice.verbose));
        hang(row, &reason.message, 4, screen);
    }
    if let Some(fix) = record.fix.as_ref().filter(|_| record.expected.is_none()) {
        let mut row = Row::default();
        row.push(human.voice.out, None, "  ");
        hang(row, &format!("fix: {fix}"), 4, screen);
    }
}

/// The layer before a statement, where all of them are listed.
fn lead(reason: &ReasonRecord, verbose: bool) -> String {
    match (verbose, &reason.document) {
        (true, Some(_)) => format!("{} {} ", if reason.decisive { "*" } else { "-" }, reason.layer),
        _ => String::new(),
    }
}

fn hang(row: Row, text: &str, indent: usize, screen: &mut Screen) {
    row.hang(&escape(text), Hang::lead(screen.width, indent), &mut |line| screen.answer_line(line));
}
