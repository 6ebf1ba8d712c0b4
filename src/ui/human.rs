//! Events as text for people: a line or two each, grouped and aligned where they come in rows.
//!
//! What belongs together is held back until its group is whole, and printed before anything else is.

mod account;
mod actions;
mod changes;
mod decision;
mod errors;
mod filter;
mod findings;
mod matrix;
mod plan;
mod proofs;
mod remedy;
mod row;

use super::UiOptions;
use super::screen::Screen;
use super::style::{Paint, Role};
use super::text::{columns, elapsed, escape, pad};
use super::tree::Drawing;
use crate::model::HumanBytes;
use crate::plan::Plan;
use crate::report::{ErrorRecord, Event, Finding, IdentityRecord, Outcome, Progress, Summary, pod_lines};
use crate::tree::Tree;
use actions::Actions;
use changes::Changes;
use findings::Findings;
use proofs::Proofs;
use remedy::Remedies;
use row::{Hang, Row};
use std::time::Duration;

/// The widest that a column grows for what stands in it.
const WIDEST_COLUMN: usize = 48;

/// The printer for people, and what it must remember from line to line.
#[derive(Debug)]
pub(super) struct Human {
    voice: Voice,
    /// Planned, skipped and unchanged of the plan shown last, whose closing line says it all.
    plan_shown: Option<[u64; 3]>,
    actions: Actions,
    findings: Findings,
    proofs: Proofs,
    changes: Changes,
    remedies: Remedies,
}

/// How lines are written, the same for all of them.
#[derive(Debug, Clone, Copy)]
struct Voice {
    out: Paint,
    err: Paint,
    quiet: bool,
    verbose: bool,
}

/// Writes a note, warning or hint.
pub(super) fn voice(screen: &mut Screen, paint: Paint, voice: &str, text: &str) {
    let role = if voice.starts_with("warning") { Role::Change } else { Role::Dim };
    for (index, line) in text.lines().enumerate() {
        let mut row = Row::default();
        // Lines after the first are set in, so that text from elsewhere cannot pass for a message of its own.
        row.push(paint, Some(role), if index == 0 { voice } else { "  " });
        row.hang(&escape(line), Hang::lead(screen.width, 2), &mut |line| screen.status_line(line));
    }
}

/// Writes rows of a name and words.
pub(super) fn table(screen: &mut Screen, rows: &[(&str, &str)]) {
    let widest = rows.iter().map(|(name, _)| columns(name)).max().unwrap_or_default();
    for (name, words) in rows {
        let mut row = Row::default();
        row.push(Paint { on: false }, None, &pad(name, widest));
        row.hang(&escape(words), Hang::column(screen.width, 4), &mut |line| screen.answer_line(line));
    }
    screen.flush();
}

/// The bucket of an `s3://` URL, and what follows the slash behind it.
fn split_target(target: &str) -> (&str, &str) {
    let start = if target.starts_with("s3://") { 5 } else { 0 };
    target[start..].find('/').map_or((target, ""), |slash| (&target[..start + slash], &target[start + slash + 1..]))
}

impl Human {
    pub(super) fn new(options: &UiOptions) -> Self {
        let voice = Voice {
            out: options.color.paint(options.stdout_is_terminal),
            err: options.color.paint(options.stderr_is_terminal),
            quiet: options.quiet,
            verbose: options.verbose > 0,
        };
        Self {
            voice,
            plan_shown: None,
            actions: Actions::default(),
            findings: Findings::default(),
            proofs: Proofs::default(),
            changes: Changes::default(),
            remedies: Remedies::default(),
        }
    }

    /// Prints one event.
    pub(super) fn event(&mut self, event: &Event, screen: &mut Screen) {
        let voice = self.voice;
        match event {
            Event::Cell(cell) => {
                self.findings.release(voice, screen);
                return self.proofs.cell(cell, voice, screen);
            }
            Event::Finding(finding) => {
                self.proofs.release(voice, screen);
                return self.findings.hold(finding);
            }
            _ => self.release(screen),
        }
        match event {
            Event::Identity(identity) => self.identity(identity, screen),
            Event::Endpoint(endpoint) => endpoint.to_string().lines().for_each(|line| screen.answer_line(line)),
            Event::Action(action) => self.actions.action(action, voice, screen),
            Event::Check(check) => self.proofs.check(check, voice, screen),
            Event::Matrix(cells) => self.proofs.matrix(cells, voice, screen),
            Event::Decision(record) => decision::show(self, record, screen),
            Event::Filter(record) => filter::show(record, voice, screen),
            Event::Change(change) => self.changes.change(change, voice, screen),
            Event::Edit(edit) => self.changes.edit(edit, voice, screen),
            Event::Symptom(symptom) => remedy::symptom(symptom, voice, screen),
            Event::Layer(layer) => self.remedies.layer(layer, voice, screen),
            Event::Remedy(remedy) => self.remedies.remedy(remedy, voice, screen),
            Event::ManagedPolicy(policy) => account::show(&policy.lines(voice.verbose), voice, screen),
            Event::PolicyVersion(version) => account::show(&version.lines(), voice, screen),
            Event::Role(role) => account::show(&role.lines(voice.verbose), voice, screen),
            Event::Cluster(cluster) => account::show(&cluster.lines(), voice, screen),
            Event::NodeGroup(group) => account::show(&group.lines(), voice, screen),
            Event::Association(association) => account::show(&association.lines(), voice, screen),
            Event::VpcEndpoint(endpoint) => account::show(&endpoint.lines(), voice, screen),
            Event::Reach(reach) => account::show(&reach.lines(), voice, screen),
            Event::PodIdentity(one) => account::show(&pod_lines(std::slice::from_ref(one)), voice, screen),
            Event::PodIdentities(pods) => account::show(&pod_lines(pods), voice, screen),
            Event::Holdings(holdings) => account::show(&holdings.lines(), voice, screen),
            Event::LayoutEdit(edit) => account::copied(&edit.lines(), voice, screen),
            Event::Policy(policy) => screen.answer_text(&format!("{:#}\n", policy.document)),
            Event::Node(node) => screen.answer_line(&escape(&node.path)),
            Event::UnfinishedUpload(upload) => {
                let mut row = Row::default();
                row.push(voice.out, None, &escape(&upload.target));
                let words = upload.to_string();
                row.hang(&escape(&words), Hang::column(screen.width, 2), &mut |line| screen.answer_line(line));
            }
            Event::Answer { text } => {
                screen.answer_text(text);
                if !text.ends_with('\n') {
                    screen.answer_text("\n");
                }
            }
            Event::Error(error) => self.error(error, screen),
            Event::Progress(Progress::Retried { target, reason }) if voice.verbose => {
                screen.status_line(&format!("retrying {}: {}", escape(target), escape(reason)));
            }
            Event::Progress(Progress::Resumed { target, bytes }) if voice.verbose => {
                screen.status_line(&format!("going on with {}: {} are there", escape(target), HumanBytes(*bytes)));
            }
            Event::Progress(_) => {}
            Event::Summary(summary) => self.summary(summary, screen),
            Event::Cell(_) | Event::Finding(_) => {}
        }
    }

    /// Prints what was held back.
    pub(super) fn release(&mut self, screen: &mut Screen) {
        self.findings.release(self.voice, screen);
        self.proofs.release(self.voice, screen);
    }

    /// Shows a plan.
    pub(super) fn plan(&mut self, plan: &Plan, counts: &Summary, screen: &mut Screen) {
        self.release(screen);
        plan::show(self.voice, plan, counts, screen);
        self.plan_shown = Some([counts.planned, counts.skipped, counts.unchanged]);
    }

    /// Shows findings under what they are about.
    pub(super) fn findings(&mut self, findings: &[Finding], screen: &mut Screen) {
        self.release(screen);
        screen.answer_gap();
        findings::show_by_target(findings, self.voice, screen);
    }

    /// Draws a tree, with an empty line between it and what stands above.
    pub(super) fn tree(&mut self, tree: &Tree, screen: &mut Screen) {
        self.release(screen);
        screen.answer_gap();
        let drawing = Drawing { paint: self.voice.out, sizes: self.voice.verbose };
        drawing.draw(tree, &mut |line| screen.answer_line(line));
    }

    /// Counts in one line each what got no lines of its own, and says what can be done about what failed.
    pub(super) fn close_stream(&mut self, screen: &mut Screen) {
        self.release(screen);
        self.actions.close(self.voice, screen);
    }

    /// Says what went wrong; several mistakes of one file are set apart and counted.
    pub(super) fn failure(&mut self, records: &[ErrorRecord], screen: &mut Screen) {
        self.release(screen);
        errors::show_all(records, self.voice, screen);
    }

    fn identity(&self, identity: &IdentityRecord, screen: &mut Screen) {
        if !self.voice.quiet {
            let text = identity.to_string();
            Row::default().hang(&escape(&text), Hang::lead(screen.width, 2), &mut |line| screen.status_line(line));
        }
    }

    fn error(&mut self, error: &ErrorRecord, screen: &mut Screen) {
        if !self.actions.has_told(error) {
            errors::show(error, self.voice, screen);
        }
    }

    fn summary(&mut self, summary: &Summary, screen: &mut Screen) {
        self.close_stream(screen);
        let counted = Summary { elapsed_ms: 0, exit: 0, ..summary.clone() } != Summary::default();
        let said_by_plan = self.plan_shown == Some([summary.planned, summary.skipped, summary.unchanged])
            && (summary.done, summary.failed, &summary.closing) == (0, 0, &None);
        if self.voice.quiet || !counted || said_by_plan {
            return;
        }
        let line = match &summary.closing {
            Some(closing) => escape(closing).into_owned(),
            None => counts(summary),
        };
        self.proofs.close(screen);
        screen.answer_line(&self.voice.out.paint(Role::Head, &line));
    }
}

/// `Apply: 23 done, 27.8 KiB in 0.1 s`
fn counts(summary: &Summary) -> String {
    let start = if summary.exit == Outcome::Interrupted.code() { "Interrupted" } else { "Apply" };
    if summary.bytes > 0 {
        format!("{start}: {summary} in {}", elapsed(Duration::from_millis(summary.elapsed_ms)))
    } else {
        format!("{start}: {summary}")
    }
}
