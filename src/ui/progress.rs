//! How far a transfer has come: a bar on a terminal, a plain line now and then elsewhere. The only user of `indicatif`.

mod meter;

use super::screen::Screen;
use crate::report::Event;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use meter::Meter;
use std::time::Duration;

/// How long a run may take before a bar appears, so that short ones stay silent.
const FIRST_DRAW: Duration = Duration::from_millis(250);
/// The most draws in a second.
const DRAWS_PER_SECOND: u8 = 15;
/// How often a plain line is written.
const LINE_INTERVAL: Duration = Duration::from_secs(5);
/// Terminals narrower than this get the words without a bar.
const BAR_COLUMNS: usize = 76;

/// What shows the progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// Nothing.
    Off,
    /// A bar on stderr.
    Bar,
    /// Plain lines on stderr.
    Lines,
}

/// The progress of one run.
#[derive(Debug)]
pub(super) struct Progress {
    mode: Mode,
    meter: Meter,
    target: Option<ProgressDrawTarget>,
    next_line: Duration,
}

impl Mode {
    /// How often [`Progress::tick`] wants to be called; none if never.
    pub(super) fn interval(self) -> Option<Duration> {
        match self {
            Self::Off => None,
            Self::Bar => Some(Duration::from_secs(1) / u32::from(DRAWS_PER_SECOND)),
            Self::Lines => Some(LINE_INTERVAL),
        }
    }
}

impl Progress {
    /// The progress of a run that begins now.
    pub(super) fn new(mode: Mode) -> Self {
        let target = (mode == Mode::Bar).then(|| ProgressDrawTarget::stderr_with_hz(DRAWS_PER_SECOND));
        Self { mode, meter: Meter::default(), target, next_line: LINE_INTERVAL }
    }

    /// Takes note of what happened. Draws nothing.
    pub(super) fn note(&mut self, event: &Event) {
        match event {
            Event::Progress(step) => self.meter.note(step),
            Event::Action(action) => self.meter.note_action(action),
            _ => {}
        }
    }

    /// Shows the state, if it is time to. `now` is the time since the run began.
    pub(super) fn tick(&mut self, now: Duration, screen: &mut Screen) {
        self.meter.sample(now);
        if self.meter.is_idle() {
            return;
        }
        match self.mode {
            Mode::Off => {}
            Mode::Bar if now >= FIRST_DRAW => self.draw(screen),
            Mode::Bar => {}
            Mode::Lines if now >= self.next_line => {
                screen.status_line(&self.meter.sentence());
                screen.flush();
                self.next_line = now + LINE_INTERVAL;
            }
            Mode::Lines => {}
        }
    }

    fn draw(&mut self, screen: &mut Screen) {
        if let Some(target) = self.target.take() {
            let bar = ProgressBar::with_draw_target(Some(0), target);
            bar.set_style(style(screen.width));
            screen.bar = Some(bar);
        }
        let Some(bar) = &screen.bar else { return };
        let (position, length) = self.meter.position();
        bar.set_message(self.meter.brief());
        bar.update(|state| {
            state.set_len(length);
            state.set_pos(position);
        });
    }

    /// Takes the bar away.
    pub(super) fn end(&mut self, screen: &mut Screen) {
        screen.flush();
        if let Some(bar) = screen.bar.take() {
            bar.finish_and_clear();
        }
    }
}

/// The words, behind a bar where there is room for one.
fn style(width: usize) -> ProgressStyle {
    let template = if width < BAR_COLUMNS { "{wide_msg}" } else { "[{wide_bar}] {msg}" };
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    style.progress_chars("=> ")
}
