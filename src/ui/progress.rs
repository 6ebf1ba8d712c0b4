//! How far a transfer has come: a bar on a terminal, with the largest files under way below it, a plain line now and then
//! elsewhere. The only user of `indicatif`.

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
/// How long a name stands at least, so that it can be read.
const NAMES_INTERVAL: Duration = Duration::from_secs(1);
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
    /// The files under way as they are shown, and when they were last looked at.
    names: (String, Duration),
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
        Self { mode, meter: Meter::new(), target: None, next_line: LINE_INTERVAL, widest: 0, names: Default::default() }
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
            Mode::Bar if now >= FIRST_DRAW => self.draw(now, screen),
            Mode::Bar => {}
            Mode::Lines if now >= self.next_line => {
                screen.status_line(&self.meter.sentence());
                screen.flush();
                self.next_line += LINE_INTERVAL;
            }
            Mode::Lines => {}
        }
    }

    fn draw(&mut self, now: Duration, screen: &mut Screen) {
        if screen.bar.is_none() {
            let terminal = || ProgressDrawTarget::term_like(Box::new(Terminal::new(screen.width)));
            let target = self.target.take().unwrap_or_else(terminal);
            let bar = ProgressBar::with_draw_target(Some(0), target);
            bar.set_style(style("{wide_msg}"));
            screen.bar = Some(bar);
        }
        let Some(bar) = &screen.bar else { return };
        let words = self.meter.brief();
        self.widest = self.widest.max(words.len());
        let line = line(self.meter.position(), &words, self.widest, screen.width);
        if self.names.0.is_empty() || now >= self.names.1 + NAMES_INTERVAL {
            self.names = (self.meter.names(screen.width.saturating_sub(FREE_COLUMNS)), now);
            bar.set_style(style(if self.names.0.is_empty() { "{wide_msg}" } else { "{wide_msg}\n{prefix}" }));
            bar.set_prefix(self.names.0.clone());
        }
        bar.set_message(line);
    }

    /// Takes the bar away.
    pub(super) fn end(&mut self, screen: &mut Screen) {
        screen.flush();
        if let Some(bar) = screen.bar.take() {
            bar.finish_and_clear();
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
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
    use crate::report::{Event, InFlight, Progress as Step};
    use crate::ui::screen::{Memory, Screen};
    use indicatif::{ProgressDrawTarget, TermLike};
    use std::io;
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    /// A terminal of 80 columns: its lines, and the one that the cursor is on.
    #[derive(Debug, Default, Clone)]
    struct Line(Arc<Mutex<(Vec<String>, usize)>>);

    impl TermLike for Line {
        fn width(&self) -> u16 {
            80
        }
        fn move_cursor_up(&self, count: usize) -> io::Result<()> {
            self.0.lock().unwrap().1 -= count;
            Ok(())
        }
        fn move_cursor_down(&self, count: usize) -> io::Result<()> {
            self.0.lock().unwrap().1 += count;
            Ok(())
        }
        fn move_cursor_right(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_left(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn write_line(&self, text: &str) -> io::Result<()> {
            self.write_str(text)?;
            self.move_cursor_down(1)
        }
        fn write_str(&self, text: &str) -> io::Result<()> {
            let (lines, at) = &mut *self.0.lock().unwrap();
            for letter in text.chars() {
                if lines.get(*at).is_some_and(|line| line.len() >= 80) {
                    *at += 1;
                }
                lines.resize(lines.len().max(*at + 1), String::new());
                lines[*at].push(letter);
            }
            Ok(())
        }
        fn clear_line(&self) -> io::Result<()> {
            let (lines, at) = &mut *self.0.lock().unwrap();
            lines.get_mut(*at).into_iter().for_each(String::clear);
            Ok(())
        }
        fn flush(&self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Line {
        fn text(&self) -> String {
            let lines = self.0.lock().unwrap().0.clone();
            lines.iter().map(|line| line.trim_end()).collect::<Vec<_>>().join("\n").trim_end().to_owned()
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
    fn the_files_under_way_stand_below_the_bar_long_enough_to_be_read() {
        let (bar, mut screen) = (Line::default(), Screen::in_memory(80, Memory::default(), Memory::default()));
        let mut progress = Progress::new(Mode::Bar);
        progress.target = Some(ProgressDrawTarget::term_like(Box::new(bar.clone())));
        let file = |name: &str| InFlight { bytes: MIB, target: format!("s3://b/{name}") };
        transfer(&mut progress, &[Step::Expect { objects: 9, bytes: 9 * MIB }, Step::Begun(file("one"))]);
        for (tenths, steps, below) in [
            (10, vec![], "s3://b/one (1.0 MiB)"),
            (15, vec![Step::Ended(file("one")), Step::Begun(file("two"))], "s3://b/one (1.0 MiB)"),
            (20, vec![], "s3://b/two (1.0 MiB)"),
            (25, vec![Step::Ended(file("two"))], "s3://b/two (1.0 MiB)"),
            (30, vec![], ""),
        ] {
            transfer(&mut progress, &steps);
            progress.tick(Duration::from_millis(tenths * 100), &mut screen);
            let text = bar.text();
            let (line, names) = text.split_once('\n').unwrap_or((&text, ""));
            assert_eq!((line.starts_with("[>"), names), (true, below), "after {tenths} tenths of a second");
        }
        progress.end(&mut screen);
        assert_eq!(bar.text(), "");
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
