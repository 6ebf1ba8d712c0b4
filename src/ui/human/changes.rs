//! What opens and closes between two sets of policies, and the statements that differ, under one heading for each policy.

use super::Voice;
use super::row::{Hang, Row};
use crate::report::{ChangeRecord, EditRecord, Turn};
use crate::ui::screen::Screen;
use crate::ui::style::Role;
use crate::ui::text::escape;

/// How many actions beside the usual operations are named before the rest is counted.
const NAMED_ACTIONS: usize = 4;

/// Under which heading changes are being told.
#[derive(Debug, Default)]
pub(super) struct Changes {
    heading: Option<String>,
}

impl Changes {
    /// What opens or closes.
    pub(super) fn change(&mut self, change: &ChangeRecord, how: Voice, screen: &mut Screen) {
        self.head(&change.principal, how, screen);
        let (sign, word, role) = match change.turn {
            Turn::Opens => ("+", "opens", Role::Bad),
            Turn::Closes => ("-", "closes", Role::Change),
        };
        let mut row = Row::default();
        row.push(how.out, Some(role), &format!("  {sign} {word:7} "));
        let who = change.who.as_ref().map(|who| format!(" for {who}")).unwrap_or_default();
        let text = format!("{}: {}{who} ({} -> {})", change.target, what(change), change.before, change.after);
        row.hang(&escape(&text), Hang::lead(screen.width, 4), &mut |line| screen.answer_line(line));
        let mut detail = change.because.clone();
        let is_listing = change.operations == ["list"];
        let told = |key: &str| key.eq_ignore_ascii_case("s3:prefix") && is_listing;
        for (key, value) in &change.given {
            match value {
                // The target says it.
                Some(_) if told(key) => {}
                Some(value) => detail.extend([", with ", key, " `", value, "`"]),
                None => detail.extend([", without ", key]),
            }
        }
        if change.target.contains(['*', '?']) && change.target != "*" && !is_listing {
            detail.extend(["; such as ", &change.example]);
        }
        let mut row = Row::default();
        row.push(how.out, None, "    ");
        row.hang(&escape(&detail), Hang::lead(screen.width, 6), &mut |line| screen.answer_line(line));
    }

    /// A statement that differs.
    pub(super) fn edit(&mut self, edit: &EditRecord, how: Voice, screen: &mut Screen) {
        if how.quiet {
            return;
        }
        self.head(&edit.principal, how, screen);
        let mut row = Row::default();
        row.push(how.out, Some(Role::Dim), &format!("  {} ", edit.edit));
        let text = format!("{}: {}", edit.statement, edit.detail);
        row.hang(&escape(&text), Hang::lead(screen.width, 4), &mut |line| screen.answer_line(line));
    }

    fn head(&mut self, principal: &str, how: Voice, screen: &mut Screen) {
        if self.heading.as_deref() != Some(principal) {
            screen.answer_gap();
            screen.answer_line(&how.out.paint(Role::Head, &escape(principal)));
            self.heading = Some(principal.to_owned());
        }
    }
}

/// The operations, then the actions that belong to none.
fn what(change: &ChangeRecord) -> String {
    let others = change.other_actions();
    let mut words: Vec<String> = Vec::new();
    if !change.operations.is_empty() {
        words.push(change.operations.join(" "));
    }
    words.extend(others.iter().take(NAMED_ACTIONS).map(|action| (*action).to_owned()));
    let more = others.len().saturating_sub(NAMED_ACTIONS);
    match more {
        0 => words.join(", "),
        _ => format!("{} and {more} more actions", words.join(", ")),
    }
}
