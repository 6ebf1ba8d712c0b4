//! How each layer stands, as a table, and the change that would help, line by line.

use super::Voice;
use super::row::{Hang, Row};
use crate::report::{LayerRecord, RemedyRecord, SymptomRecord};
use crate::ui::screen::Screen;
use crate::ui::style::Role;
use crate::ui::text::{escape, pad};

/// The widest layer's and state's name.
const COLUMNS: (usize, usize) = (8, 6);

/// What has been headed already.
#[derive(Debug, Default)]
pub(super) struct Remedies {
    in_layers: bool,
}

impl Remedies {
    /// One row of the table.
    pub(super) fn layer(&mut self, record: &LayerRecord, how: Voice, screen: &mut Screen) {
        if !self.in_layers {
            screen.answer_gap();
            screen.answer_line(&how.out.paint(Role::Head, "Layers"));
            self.in_layers = true;
        }
        let role = match record.state {
            "allows" => Role::Good,
            "denies" => Role::Bad,
            "silent" => Role::Change,
            _ => Role::Dim,
        };
        let mut row = Row::default();
        row.push(how.out, None, &format!("  {} ", pad(record.layer, COLUMNS.0)));
        row.push(how.out, Some(role), &pad(record.state, COLUMNS.1));
        let mut words = match &record.document {
            Some(document) => format!("{document}: {}", record.detail),
            None => record.detail.clone(),
        };
        for (lead, rest) in [("since ", &record.changed), ("of layout ", &record.owner)] {
            if let Some(rest) = rest {
                words = format!("{words}; {lead}{rest}");
            }
        }
        row.hang(&escape(&words), Hang::column(screen.width, 4), &mut |line| screen.answer_line(line));
    }

    /// One change.
    pub(super) fn remedy(&mut self, record: &RemedyRecord, how: Voice, screen: &mut Screen) {
        self.in_layers = false;
        screen.answer_gap();
        let mut row = Row::default();
        row.push(how.out, Some(Role::Head), "Change");
        row.hang(remark(record), Hang::lead(screen.width, 2), &mut |line| screen.answer_line(line));
        // The change is meant to be copied, so it is not folded.
        for line in &record.change {
            screen.answer_line(&format!("  {}", escape(line)));
        }
        if let Some(run) = &record.run {
            screen.answer_line(&format!("  $ {}", escape(run)));
        }
        for opens in &record.opens {
            let mut row = Row::default();
            row.push(how.out, None, "  opens ");
            row.hang(&escape(opens), Hang::lead(screen.width, 4), &mut |line| screen.answer_line(line));
        }
        for line in &record.wider {
            screen.answer_line(&format!("  {}", escape(line)));
        }
    }
}

/// Where the refusal stands that the rest is about. One line of one line needs no word.
pub(super) fn symptom(record: &SymptomRecord, how: Voice, screen: &mut Screen) {
    if how.quiet || record.lines <= 1 {
        return;
    }
    let times = if record.times > 1 { format!(", and {} more times", record.times - 1) } else { String::new() };
    let mut text = format!("line {} of {}{times}", record.line, record.lines);
    if !record.beside.is_empty() {
        text = format!("{text}; also in there: {}", record.beside.join("; "));
    }
    let mut row = Row::default();
    row.push(how.err, Some(Role::Dim), "read: ");
    row.hang(&escape(&text), Hang::lead(screen.width, 2), &mut |line| screen.status_line(line));
}

/// What is known of the change.
const fn remark(record: &RemedyRecord) -> &'static str {
    match (record.weakens, record.checked) {
        (false, true) => " (tried on the evaluator: the request is allowed then)",
        (false, false) => " (a step: something else refuses the request still)",
        (true, true) => ", if its owner agrees (tried on the evaluator: the request is allowed then)",
        (true, false) => ", if its owner agrees (a step: something else refuses the request still)",
    }
}
