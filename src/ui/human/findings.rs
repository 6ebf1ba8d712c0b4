//! Findings as people read them: those of one kind together, with what to do about them said once.

use super::Voice;
use super::row::{Hang, Row};
use crate::model::HumanCount;
use crate::report::{Finding, Severity};
use crate::ui::screen::Screen;
use crate::ui::style::Role;
use crate::ui::text::escape;

/// How many findings of one code in a row get lines of their own.
const SHOWN: usize = 10;

/// Findings that wait for others of their kind.
#[derive(Debug, Default)]
pub(super) struct Findings {
    held: Vec<Finding>,
}

impl Findings {
    pub(super) fn hold(&mut self, finding: &Finding) {
        self.held.push(finding.clone());
    }

    pub(super) fn release(&mut self, how: Voice, screen: &mut Screen) {
        let held = std::mem::take(&mut self.held);
        show_all(&held.iter().collect::<Vec<_>>(), Place::default(), how, screen);
    }
}

/// Where findings are shown.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Place<'place> {
    /// Blanks before each line.
    pub indent: &'static str,
    /// What the heading above names already.
    pub about: &'place str,
}

/// Shows findings. What is to be done stands below the last of those that it goes for.
pub(super) fn show_all(findings: &[&Finding], place: Place<'_>, how: Voice, screen: &mut Screen) {
    for alike in findings.chunk_by(|one, other| (one.code, &one.fix) == (other.code, &other.fix)) {
        let shown = if how.verbose { alike.len() } else { alike.len().min(SHOWN) };
        for finding in &alike[..shown] {
            show(finding, place, how, screen);
        }
        if shown < alike.len() {
            let more = HumanCount((alike.len() - shown) as u64);
            screen.answer_line(&format!("{}  ... and {more} more, which `-v` shows", place.indent));
        }
        if let Some(fix) = alike.first().and_then(|finding| finding.fix.as_deref()) {
            let mut row = Row::default();
            row.push(how.out, None, &format!("{}  ", place.indent));
            let hang = Hang::lead(screen.width, place.indent.len() + 2);
            row.hang(&escape(&format!("fix: {fix}")), hang, &mut |line| screen.answer_line(line));
        }
    }
}

/// Shows findings under the things that they are about, each thing named once. What was accepted shows with `-v` alone.
pub(super) fn show_by_target(findings: &[Finding], how: Voice, screen: &mut Screen) {
    let shown: Vec<&Finding> = findings.iter().filter(|finding| how.verbose || finding.accepted().is_none()).collect();
    for about_one in shown.chunk_by(|one, other| one.target == other.target) {
        let Some(first) = about_one.first() else { continue };
        screen.answer_line(&how.out.paint(Role::Head, &escape(&first.target)));
        show_all(about_one, Place { indent: "  ", about: &first.target }, how, screen);
        screen.answer_line("");
    }
}

/// What a finding rests on, below it.
fn show_grounds(finding: &Finding, place: Place<'_>, how: Voice, screen: &mut Screen) {
    let Some(grounds) = &finding.grounds else { return };
    let accepted = grounds.accepted.as_ref().map(|accepted| {
        let until = accepted.until.as_ref().map(|until| format!(" until {until}")).unwrap_or_default();
        format!("accepted{until}: {}", accepted.reason)
    });
    for line in grounds.evidence.iter().chain(&accepted) {
        let mut row = Row::default();
        row.push(how.out, None, &format!("{}  - ", place.indent));
        row.hang(&escape(line), Hang::lead(screen.width, place.indent.len() + 4), &mut |line| screen.answer_line(line));
    }
}

fn show(finding: &Finding, place: Place<'_>, how: Voice, screen: &mut Screen) {
    let role = match finding.severity {
        Severity::Error | Severity::SecurityWarning => Role::Bad,
        Severity::Warning => Role::Change,
        Severity::Suggestion => Role::Dim,
    };
    let mut row = Row::default();
    row.push(how.out, None, place.indent);
    row.push(how.out, Some(role), &format!("{} ", finding.severity));
    let name = finding.target.strip_prefix("s3://").unwrap_or(&finding.target);
    let known = finding.target == place.about || finding.message.contains(&format!("`{name}`"));
    // An empty pointer is the whole document, which the target names already.
    let target = match (known, finding.path.as_deref().filter(|path| !path.is_empty())) {
        (true, None) => String::new(),
        (true, Some(path)) => format!("at {path}: "),
        (false, None) => format!("{}: ", finding.target),
        (false, Some(path)) => format!("{} at {path}: ", finding.target),
    };
    let text = format!("[{}] {target}{}", finding.code, finding.message);
    let hang = Hang::lead(screen.width, place.indent.len() + 2);
    row.hang(&escape(&text), hang, &mut |line| screen.answer_line(line));
    show_grounds(finding, place, how, screen);
}
