//! What a person and a script see: one stream of events as text or as JSON, the bar, the questions.
//!
//! stdout carries the answer: plans, actions done, findings, checks, cells, trees and the closing line. stderr carries the
//! rest: who acts, progress, what failed or was skipped, warnings and hints. With `--quiet` only the answer proper and
//! problems remain. JSON goes to stdout whole and is never thinned out.

mod human;
mod json;
mod listen;
mod log;
mod progress;
mod prompt;
mod screen;
mod style;
mod text;
mod tree;

pub use listen::Listener;
pub use log::LogLines;
pub use prompt::Confirmation;

use crate::plan::Plan;
use crate::report::{ErrorRecord, Event, Finding, Summary};
use crate::tree::Tree;
use human::Human;
use progress::{Mode, Progress};
use prompt::Input;
use screen::{Memory, Screen};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use style::Paint;
use tokio::sync::mpsc;

/// The narrowest width that text is folded to.
const MIN_WIDTH: u16 = 40;

/// How output looks; decided once, before anything is printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UiOptions {
    /// Text for people, or JSON for scripts.
    pub format: Format,
    /// Only the answer and problems.
    pub quiet: bool,
    /// How often `-v` was given: more detail, nothing cut.
    pub verbose: u8,
    /// False with `--no-progress`.
    pub progress: bool,
    /// Whether text is coloured.
    pub color: ColorChoice,
    /// Whether stdout is a terminal.
    pub stdout_is_terminal: bool,
    /// Whether stderr is a terminal.
    pub stderr_is_terminal: bool,
    /// Columns of the terminal, or 80.
    pub width: u16,
}

/// The form of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Format {
    /// Text for people.
    #[default]
    Human,
    /// One JSON object a line.
    Json,
}

/// Whether text is coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum ColorChoice {
    /// On a terminal.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl ColorChoice {
    const fn paint(self, terminal: bool) -> Paint {
        match self {
            Self::Auto => Paint { on: terminal },
            Self::Always => Paint { on: true },
            Self::Never => Paint { on: false },
        }
    }
}

impl UiOptions {
    /// What shows progress: a bar for a person who watches, lines for a log, nothing beside JSON.
    const fn progress_mode(&self) -> Mode {
        match (self.format, self.quiet || !self.progress, self.stderr_is_terminal) {
            (Format::Json, _, _) | (_, true, _) => Mode::Off,
            (Format::Human, false, true) => Mode::Bar,
            (Format::Human, false, false) => Mode::Lines,
        }
    }
}

/// The one place that prints. Clones share the streams.
#[derive(Debug, Clone)]
pub struct Ui {
    options: UiOptions,
    state: Arc<Mutex<State>>,
    input: Arc<Input>,
}

/// What printing changes.
#[derive(Debug)]
struct State {
    screen: Screen,
    printer: Printer,
    progress: Progress,
    /// Where events are kept as values, for output in memory.
    kept: Option<Events>,
}

/// The consumer of events, chosen once.
#[derive(Debug)]
enum Printer {
    Human(Box<Human>),
    Json,
}

/// What an output in memory holds.
#[derive(Debug, Clone)]
pub struct Captured {
    out: Memory,
    err: Memory,
    events: Events,
}

/// Events that were told, in order.
type Events = Arc<Mutex<Vec<Event>>>;

impl Captured {
    /// The text on stdout so far.
    pub fn stdout(&self) -> String {
        self.out.text()
    }

    /// The text on stderr so far.
    pub fn stderr(&self) -> String {
        self.err.text()
    }

    /// The events so far, progress left out: the same that both texts are made of.
    pub fn events(&self) -> Vec<Event> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl State {
    fn event(&mut self, event: &Event) {
        self.progress.note(event);
        if let Some(kept) = &self.kept
            && !matches!(event, Event::Progress(_))
        {
            kept.lock().unwrap_or_else(PoisonError::into_inner).push(event.clone());
        }
        match &mut self.printer {
            Printer::Human(human) => human.event(event, &mut self.screen),
            Printer::Json => {
                if let Some(line) = json::line(event) {
                    self.screen.answer_line(&line);
                }
            }
        }
    }

    /// Says what was held back while events came.
    fn close_stream(&mut self) {
        self.progress.end(&mut self.screen);
        if let Printer::Human(human) = &mut self.printer {
            human.close_stream(&mut self.screen);
        }
        self.screen.flush();
    }

    /// Prints what waits for more of its kind.
    fn release(&mut self) {
        if let Printer::Human(human) = &mut self.printer {
            human.release(&mut self.screen);
        }
    }
}

impl Ui {
    /// Output on the process's own streams.
    pub fn new(options: UiOptions) -> Self {
        let screen = Screen::of_process(usize::from(options.width.max(MIN_WIDTH)));
        Self::on(options, screen, Input::Stdin)
    }

    /// Output in memory, and `typed` as the answer to every question: for tests, and for programs that embed a verb.
    pub fn captured(options: UiOptions, typed: &str) -> (Self, Captured) {
        let captured = Captured { out: Memory::default(), err: Memory::default(), events: Events::default() };
        let width = usize::from(options.width.max(MIN_WIDTH));
        let screen = Screen::in_memory(width, captured.out.clone(), captured.err.clone());
        let ui = Self::on(options, screen, Input::Typed(typed.to_owned()));
        ui.state().kept = Some(Arc::clone(&captured.events));
        (ui, captured)
    }

    fn on(options: UiOptions, screen: Screen, input: Input) -> Self {
        let printer = match options.format {
            Format::Human => Printer::Human(Box::new(Human::new(&options))),
            Format::Json => Printer::Json,
        };
        let state = State { screen, printer, progress: Progress::new(Mode::Off), kept: None };
        Self { options, state: Arc::new(Mutex::new(state)), input: Arc::new(input) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A bounded channel for a run's events, and the thread that prints and counts them until every sender is dropped.
    pub fn listen(&self) -> (mpsc::Sender<Event>, Listener) {
        listen::listen(&self.state, self.options.progress_mode())
    }

    /// Prints one event.
    pub fn event(&self, event: &Event) {
        let mut state = self.state();
        state.event(event);
        state.screen.flush();
    }

    /// Shows what would be done, and counts it.
    pub fn show_plan(&self, plan: &Plan) -> Summary {
        let mut state = self.state();
        let mut summary = Summary { unchanged: plan.unchanged, skipped: plan.odd_files(), ..Summary::default() };
        for action in &plan.actions {
            summary.count(&Event::Action(action.record(action.planned_status())));
        }
        for action in &plan.account {
            summary.count(&Event::Action(action.record(action.planned_status())));
        }
        let State { screen, printer, .. } = &mut *state;
        match printer {
            Printer::Human(human) => human.plan(plan, &summary, screen),
            Printer::Json => {
                let actions = plan.actions.iter().map(|action| Event::Action(action.record(action.planned_status())));
                let account = plan.account.iter().map(|action| Event::Action(action.record(action.planned_status())));
                let findings = plan.findings.iter().cloned().map(Event::Finding);
                for line in actions.chain(account).chain(findings).filter_map(|event| json::line(&event)) {
                    screen.answer_line(&line);
                }
            }
        }
        state.screen.flush();
        summary
    }

    /// Shows findings under what they are about; what was accepted is for people who ask for it, and for scripts.
    pub fn show_findings(&self, findings: &[Finding]) {
        let mut state = self.state();
        let State { screen, printer, .. } = &mut *state;
        match printer {
            Printer::Human(human) => human.findings(findings, screen),
            Printer::Json => {
                for line in findings.iter().filter_map(|finding| json::line(&Event::Finding(finding.clone()))) {
                    screen.answer_line(&line);
                }
            }
        }
        state.screen.flush();
    }

    /// Draws a tree.
    pub fn tree(&self, tree: &Tree) {
        let mut state = self.state();
        let State { screen, printer, .. } = &mut *state;
        match printer {
            Printer::Human(human) => human.tree(tree, screen),
            Printer::Json => tree.visit(&mut |node| {
                if let Some(line) = json::line(&Event::Node(node)) {
                    screen.answer_line(&line);
                }
            }),
        }
        state.screen.flush();
    }

    /// Says what went wrong and what to do about it.
    pub fn error(&self, error: &ErrorRecord) {
        self.event(&Event::Error(error.clone()));
    }

    /// Says all that went wrong; for people a file's mistakes are set apart and counted.
    pub fn failure(&self, errors: &[ErrorRecord]) {
        let mut state = self.state();
        let State { screen, printer, .. } = &mut *state;
        match printer {
            Printer::Human(human) => human.failure(errors, screen),
            Printer::Json => {
                for line in errors.iter().filter_map(|error| json::line(&Event::Error(error.clone()))) {
                    screen.answer_line(&line);
                }
            }
        }
        state.screen.flush();
    }

    /// Prints all that still waits, and nothing that comes later from those who have not heard of the end.
    pub fn close(&self) {
        let mut state = self.state();
        state.close_stream();
        state.screen.close();
    }

    /// Says on stderr, whatever the format and also after the end, that the answer could not be written.
    pub fn output_lost(&self, reason: &str) {
        // The system's number for the error says nothing to people.
        let reason = reason.split(" (os error ").next().unwrap_or(reason);
        let words = format!("error: cannot write the output: {}", text::escape(reason));
        self.state().screen.last_word(&words);
    }

    /// The terminal has just echoed Ctrl-C: what comes next begins on a line of its own. Waits for nobody.
    pub fn echoed(&self) {
        if self.options.stderr_is_terminal
            && let Ok(mut state) = self.state.try_lock()
        {
            state.screen.echoed();
        }
    }

    /// Takes the bar away, for an end that waits for nothing. Does nothing if somebody is printing just now.
    pub fn abandon(&self) {
        if let Ok(mut state) = self.state.try_lock() {
            let State { screen, progress, .. } = &mut *state;
            progress.end(screen);
        }
    }

    /// The closing line. In JSON it is the last line of every run; for people a run that counted nothing and has no
    /// last word gets none.
    pub fn summary(&self, summary: &Summary) {
        self.event(&Event::Summary(summary.clone()));
    }

    /// A text that is the whole answer, such as a generated file: printed as it is.
    pub fn answer(&self, text: &str) {
        self.event(&Event::Answer { text: text.to_owned() });
    }

    /// Names and what they stand for, aligned and folded; for scripts a line each, the words behind two blanks.
    pub fn table(&self, rows: &[(&str, &str)]) {
        if self.is_json() {
            return self.answer(&rows.iter().map(|(name, words)| format!("{name}  {words}\n")).collect::<String>());
        }
        human::table(&mut self.state().screen, rows);
    }

    /// A word on what happens. Not with `--quiet`.
    pub fn note(&self, text: &str) {
        self.status("", text, self.options.quiet);
    }

    /// What a person could do next. Not with `--quiet`.
    pub fn hint(&self, text: &str) {
        self.status("hint: ", text, self.options.quiet);
    }

    /// Something that a person should know, while the work goes on.
    pub fn warning(&self, text: &str) {
        self.status("warning: ", text, false);
    }

    fn status(&self, voice: &str, text: &str, silent: bool) {
        if silent {
            return;
        }
        let mut state = self.state();
        state.release();
        let paint = self.options.color.paint(self.options.stderr_is_terminal);
        human::voice(&mut state.screen, paint, voice, text);
        state.screen.flush();
    }

    /// Asks a question that a person answers with yes or no; no unless they say yes. Nothing is asked where stdin or
    /// stderr is no terminal. Blocks: asynchronous code calls it on a blocking thread, so that Ctrl-C still gets through.
    pub fn confirm(&self, question: &str) -> Confirmation {
        if !self.options.stderr_is_terminal || !self.input.is_terminal() {
            return Confirmation::NobodyThere;
        }
        // Others may print while the person thinks; they then begin on a line of their own.
        self.state().screen.ask(&format!("{} [y/N] ", text::escape(question)));
        let line = self.input.read();
        let mut state = self.state();
        match line {
            Some(line) => {
                state.screen.answered();
                Confirmation::of(&line)
            }
            None => {
                state.screen.flush();
                Confirmation::No
            }
        }
    }

    /// A writer for log lines: they go to stderr above the bar, whole lines at a time.
    pub fn log_lines(&self) -> LogLines {
        LogLines::new(Arc::clone(&self.state))
    }

    /// True if scripts read the output, which then ends with a summary whatever happens.
    pub fn is_json(&self) -> bool {
        self.options.format == Format::Json
    }

    /// True once nobody reads the answer any more, as behind `head`.
    pub fn is_closed(&self) -> bool {
        self.state().screen.is_closed()
    }

    /// Why the answer could not be written, such as a full disk; none if it could, or if nobody reads it.
    pub fn output_error(&self) -> Option<String> {
        self.state().screen.failure().map(str::to_owned)
    }
}

#[cfg(test)]
mod tests;
