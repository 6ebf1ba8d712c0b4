//! What a run does, as it does it: a line for each action while they are few, a number for the rest.

use super::row::{Hang, Row};
use super::{Voice, split_target, voice};
use crate::model::{HumanBytes, HumanCount};
use crate::report::{ActionRecord, ErrorRecord, Status, Words};
use crate::ui::screen::Screen;
use crate::ui::style::Role;
use crate::ui::text::{escape, shorten};
use std::collections::BTreeMap;

/// How many actions of one kind on one bucket get a line of their own.
const SHOWN: u64 = 20;
/// How many that were left out for the same reason do.
const SHOWN_SKIPPED: u64 = 5;

/// The actions so far.
#[derive(Debug, Default)]
pub(super) struct Actions {
    tallies: BTreeMap<Kind, Tally>,
    /// The action that failed last, whose error need not be told again.
    failed: Option<ActionRecord>,
    /// What can be done about what failed, each once, told at the end.
    hints: Vec<String>,
}

/// What is counted together.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Planned { bucket: String, action: &'static str },
    Done { bucket: String, action: &'static str },
    Failed { bucket: String, action: &'static str },
    Skipped { bucket: String, reason: String },
}

/// Actions of one kind, and those of them that got no line.
#[derive(Debug, Default)]
struct Tally {
    all: u64,
    hidden: u64,
    hidden_bytes: u64,
}

impl Kind {
    fn of(record: &ActionRecord) -> Self {
        let (bucket, action) = (split_target(&record.target).0.to_owned(), record.action);
        match record.status {
            Status::Planned => Self::Planned { bucket, action },
            Status::Done => Self::Done { bucket, action },
            Status::Failed => Self::Failed { bucket, action },
            Status::Skipped => Self::Skipped { bucket, reason: record.reason.clone() },
        }
    }

    const fn shown(&self) -> u64 {
        if matches!(self, Self::Skipped { .. }) { SHOWN_SKIPPED } else { SHOWN }
    }

    /// `uploaded in s3://b`, behind a number of them.
    fn words(&self) -> String {
        match self {
            Self::Planned { bucket, action } => format!("to {} in {bucket}; `-v` shows all", Words::of(action).plain),
            Self::Done { bucket, action } => format!("{} in {bucket}", Words::of(action).past),
            Self::Failed { bucket, action } => format!("failed {} in {bucket}", Words::of(action).ongoing),
            Self::Skipped { bucket, reason } => format!("skipped in {bucket}: {reason}"),
        }
    }
}

impl Actions {
    /// One action.
    pub(super) fn action(&mut self, action: &ActionRecord, how: Voice, screen: &mut Screen) {
        if action.status == Status::Failed {
            self.failed = Some(action.clone());
        }
        if !self.shows(action, how) {
            return;
        }
        match action.status {
            Status::Failed | Status::Skipped => {
                let role = if action.status == Status::Failed { Role::Bad } else { Role::Change };
                let mut row = Row::default();
                row.push(how.err, Some(role), "! ");
                let record = ActionRecord { reason: own_words(action).to_owned(), ..action.clone() };
                let hang = Hang::lead(screen.width, 2);
                row.hang(&escape(&record.to_string()), hang, &mut |line| screen.status_line(line));
            }
            Status::Done | Status::Planned if how.quiet => {}
            Status::Done | Status::Planned => {
                let room =
                    if how.verbose || is_told_whole(action) { usize::MAX } else { screen.width.saturating_sub(8) };
                let record = ActionRecord { reason: shorten(&action.reason, room).into_owned(), ..action.clone() };
                let hang = Hang::lead(screen.width, 2);
                Row::default().hang(&escape(&record.to_string()), hang, &mut |line| screen.answer_line(line));
            }
        }
    }

    /// Whether the action gets a line of its own; the others are counted.
    fn shows(&mut self, action: &ActionRecord, how: Voice) -> bool {
        let kind = Kind::of(action);
        let most = kind.shown();
        let tally = self.tallies.entry(kind).or_default();
        tally.all += 1;
        let shown = how.verbose || tally.all <= most;
        if !shown {
            tally.hidden += 1;
            tally.hidden_bytes += action.bytes.unwrap_or_default();
        }
        shown
    }

    /// True if the error says why the last action failed, which its line did already; its hints are kept for the end.
    pub(super) fn has_told(&mut self, error: &ErrorRecord) -> bool {
        let told = self.failed.as_ref().is_some_and(|action| {
            error.target.as_deref() == Some(action.target.as_str()) && error.message.ends_with(own_words(action))
        });
        if told {
            for hint in &error.hints {
                if !self.hints.contains(hint) {
                    self.hints.push(hint.clone());
                }
            }
        }
        told
    }

    /// Tells what got no line, then what can be done.
    pub(super) fn close(&mut self, how: Voice, screen: &mut Screen) {
        for (kind, tally) in std::mem::take(&mut self.tallies) {
            if tally.hidden == 0 {
                continue;
            }
            let size = match tally.hidden_bytes {
                bytes if bytes > 0 && matches!(kind, Kind::Done { .. } | Kind::Planned { .. }) => {
                    format!(" ({})", HumanBytes(bytes))
                }
                _ => String::new(),
            };
            let words = format!("... and {} more {}{size}", HumanCount(tally.hidden), escape(&kind.words()));
            match kind {
                Kind::Done { .. } | Kind::Planned { .. } if how.quiet => {}
                Kind::Done { .. } | Kind::Planned { .. } => screen.answer_line(&words),
                _ => Row::default().hang(&words, Hang::lead(screen.width, 2), &mut |line| screen.status_line(line)),
            }
        }
        self.failed = None;
        for hint in std::mem::take(&mut self.hints) {
            voice(screen, how.err, "hint: ", &hint);
        }
    }
}

/// Whether a long reason is not cut, as targets never are: what would be done stands nowhere else, and neither does what a
/// change of a policy opens or closes where nobody was asked.
fn is_told_whole(action: &ActionRecord) -> bool {
    action.status == Status::Planned || action.action.contains("-policy")
}

/// Why an action failed, without the call and the target that the line names anyway.
fn own_words(action: &ActionRecord) -> &str {
    let call = format!(" on `{}` failed: ", action.target);
    action.reason.split_once(&call).map_or(action.reason.as_str(), |(_, words)| words)
}
