//! How far a transfer has come: a bar on a terminal, a plain line now and then elsewhere. The only user of `indicatif`.

mod meter;
mod terminal;

use super::screen::Screen;
use crate::report::Event;
use crate::ui::text::shorten;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use meter::Meter;
use std::time::Duration;
use terminal::{FREE_COLUMNS, Terminal};

/// How long a run may take before a bar appears, so that short ones stay silent.
const FIRST_DRAW: Duration = Duration::from_millis(250);
/// The most draws in a second.
const DRAWS_PER_SECOND: u8 = 15;
/// How often a plain line is written.
const LINE_INTERVAL: Duration = Duration::from_secs(5);
/// Terminals narrower than this get the words without a bar.
const BAR_COLUMNS: usize = 72;
/// A shorter bar says nothing.
const LEAST_BAR: usize = 6;

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
    /// Another terminal than stderr, for tests.
    target: Option<ProgressDrawTarget>,
    next_line: Duration,
    /// The widest words so far, which the bar leaves room for so that it does not jump.
    widest: usize,
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
        Self { mode, meter: Meter::new(), target: None, next_line: LINE_INTERVAL, widest: 0 }
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
                self.next_line += LINE_INTERVAL;
            }
            Mode::Lines => {}
        }
    }

    fn draw(&mut self, screen: &mut Screen) {
        if screen.bar.is_none() {
            let terminal = || ProgressDrawTarget::term_like(Box::new(Terminal::new(screen.width)));
            let target = self.target.take().unwrap_or_else(terminal);
            let bar = ProgressBar::with_draw_target(Some(0), target);
            bar.set_style(ProgressStyle::with_template("{wide_msg}").unwrap_or_else(|_| ProgressStyle::default_bar()));
            screen.bar = Some(bar);
        }
        let Some(bar) = &screen.bar else { return };
        let words = self.meter.brief();
        self.widest = self.widest.max(words.len());
        bar.set_message(line(self.meter.position(), &words, self.widest, screen.width));
    }

    /// Takes the bar away.
    pub(super) fn end(&mut self, screen: &mut Screen) {
        screen.flush();
        if let Some(bar) = screen.bar.take() {
            bar.finish_and_clear();
        }
    }
}

/// The bar with its words behind it where there is room for both, else the words alone.
///
/// The last columns stay free, for the reason that [`terminal`] gives.
fn line((position, length): (u64, u64), words: &str, widest: usize, columns: usize) -> String {
    let columns = columns.saturating_sub(FREE_COLUMNS);
    let room = columns.saturating_sub(widest + 3);
    if columns < BAR_COLUMNS || room < LEAST_BAR {
        return shorten(words, columns).into_owned();
    }
    let filled = u128::from(position.min(length)) * room as u128 / u128::from(length.max(1));
    let filled = usize::try_from(filled).unwrap_or(room);
    let (done, head) = ("=".repeat(filled), if filled < room { ">" } else { "" });
    format!("[{:<room$}] {words}", format!("{done}{head}"))
}

#[cfg(test)]
mod tests {
    use super::{Mode, Progress, line};
    use crate::report::{Event, Progress as Step};
    use crate::ui::screen::{Memory, Screen};
    use indicatif::{ProgressDrawTarget, TermLike};
    use std::io;
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    /// A terminal of one bar line: what stands on it, and what scrolled away above.
    #[derive(Debug, Default, Clone)]
    struct Line(Arc<Mutex<(Vec<String>, String)>>);

    impl TermLike for Line {
        fn width(&self) -> u16 {
            80
        }
        fn move_cursor_up(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_down(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_right(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_left(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn write_line(&self, text: &str) -> io::Result<()> {
            self.0.lock().unwrap().0.push(text.to_owned());
            Ok(())
        }
        fn write_str(&self, text: &str) -> io::Result<()> {
            self.0.lock().unwrap().1.push_str(text);
            Ok(())
        }
        fn clear_line(&self) -> io::Result<()> {
            self.0.lock().unwrap().1.clear();
            Ok(())
        }
        fn flush(&self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Line {
        fn text(&self) -> String {
            self.0.lock().unwrap().1.trim_end().to_owned()
        }
    }

    const MIB: u64 = 1024 * 1024;

    fn transfer(progress: &mut Progress, steps: &[Step]) {
        steps.iter().for_each(|step| progress.note(&Event::Progress(step.clone())));
    }

    #[test]
    fn a_bar_appears_late_makes_room_for_lines_and_goes() {
        let (bar, out) = (Line::default(), Memory::default());
        let mut screen = Screen::in_memory(80, out.clone(), Memory::default());
        let mut progress = Progress::new(Mode::Bar);
        progress.target = Some(ProgressDrawTarget::term_like(Box::new(bar.clone())));
        transfer(&mut progress, &[Step::Expect { objects: 4211, bytes: 200 * MIB }, Step::AllExpected]);
        progress.tick(Duration::from_millis(200), &mut screen);
        assert_eq!((bar.text().as_str(), screen.bar.is_some()), ("", false));
        transfer(&mut progress, &[Step::Advanced { bytes: 50 * MIB }, Step::Settled]);
        progress.tick(Duration::from_secs(2), &mut screen);
        let drawn = "[====>              ] 50.0 MiB of 200.0 MiB, 1 of 4,211, 25.0 MiB/s, 6 s left";
        assert_eq!(bar.text(), drawn);
        screen.answer_line("uploaded s3://b/k");
        assert_eq!(out.text(), "", "lines wait for the next draw while there is a bar");
        screen.flush();
        assert_eq!((out.text().as_str(), bar.text().as_str()), ("uploaded s3://b/k\n", drawn));
        progress.end(&mut screen);
        assert_eq!((bar.text().as_str(), screen.bar.is_some()), ("", false));
    }

    #[test]
    fn a_bar_leaves_room_for_the_echo_of_ctrl_c() {
        let words = "50.0 MiB of 200.0 MiB, 1 of 4,211, 6 s left";
        for columns in 20..200 {
            for position in [0, 1, 50, 100] {
                let line = line((position, 100), words, words.len() + 5, columns);
                assert!(line.len() <= columns - 3, "{columns}: {line}");
                assert_eq!(line.starts_with('['), columns >= 75, "{columns}: {line}");
            }
        }
        assert_eq!(line((100, 100), "w", 1, 80), format!("[{}] w", "=".repeat(73)));
        assert_eq!(line((0, 0), "w", 1, 80), format!("[>{}] w", " ".repeat(72)));
    }

    #[test]
    fn without_a_terminal_a_plain_line_every_five_seconds() {
        let err = Memory::default();
        let mut screen = Screen::in_memory(80, Memory::default(), err.clone());
        let mut progress = Progress::new(Mode::Lines);
        progress.tick(Duration::from_secs(9), &mut screen);
        assert_eq!(err.text(), "", "nothing is said before there is work");
        let mut progress = Progress::new(Mode::Lines);
        transfer(&mut progress, &[Step::Expect { objects: 100, bytes: 1000 * MIB }, Step::AllExpected]);
        for quarter in 1..=48_u64 {
            transfer(&mut progress, &[Step::Advanced { bytes: 10 * MIB }, Step::Settled]);
            progress.tick(Duration::from_millis(quarter * 250), &mut screen);
        }
        assert_eq!(
            err.text(),
            "uploaded 200.0 MiB of 1000.0 MiB, 20 of 100 objects, 40.0 MiB/s, about 20 s left\n\
             uploaded 400.0 MiB of 1000.0 MiB, 40 of 100 objects, 40.0 MiB/s, about 15 s left\n"
        );
        progress.end(&mut screen);
        assert!(!err.text().chars().any(|letter| letter.is_control() && letter != '\n'));
    }

    #[test]
    fn off_is_silent() {
        let err = Memory::default();
        let mut screen = Screen::in_memory(80, Memory::default(), err.clone());
        let mut progress = Progress::new(Mode::Off);
        transfer(&mut progress, &[Step::Expect { objects: 1, bytes: 1 }]);
        progress.tick(Duration::from_secs(60), &mut screen);
        assert_eq!((err.text().as_str(), screen.bar.is_some()), ("", false));
    }
}
