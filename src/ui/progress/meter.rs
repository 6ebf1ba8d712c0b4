//! The arithmetic of progress: how much, of how much, how fast, how long still. Time comes in as a value.

use crate::model::{HumanBytes, HumanCount};
use crate::report::{ActionRecord, InFlight, Progress as Step, Status, Work};
use crate::ui::text::{self, counted, human_duration};
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// The time over which the rate is taken.
const RATE_WINDOW: Duration = Duration::from_secs(10);

/// Where a name would have less room than this beside its size, it stands alone.
const LEAST_NAME: usize = 16;

/// What was seen of a transfer.
#[derive(Debug)]
pub(super) struct Meter {
    work: Work,
    expected_objects: u64,
    expected_bytes: u64,
    /// Whether nothing more will be expected.
    all_expected: bool,
    /// Bytes over the wire as far as anybody said so.
    moved_bytes: u64,
    /// Bytes of what is done, which counts where the moves were not told.
    done_bytes: u64,
    settled: u64,
    retried: u64,
    /// Files under way, and how many of each, since two may have one name.
    in_flight: BTreeMap<InFlight, u64>,
    samples: VecDeque<Sample>,
}

/// Where things stood at one time.
#[derive(Debug, Clone, Copy)]
struct Sample {
    at: Duration,
    bytes: u64,
    objects: u64,
}

impl Meter {
    /// A transfer that begins now.
    pub(super) fn new() -> Self {
        Self {
            work: Work::default(),
            expected_objects: 0,
            expected_bytes: 0,
            all_expected: false,
            moved_bytes: 0,
            done_bytes: 0,
            settled: 0,
            retried: 0,
            in_flight: BTreeMap::new(),
            samples: VecDeque::from([Sample { at: Duration::ZERO, bytes: 0, objects: 0 }]),
        }
    }

    /// Takes one step of progress.
    pub(super) fn note(&mut self, step: &Step) {
        match step {
            Step::Work(work) => self.turn_to(*work),
            Step::Expect { objects, bytes } => {
                self.expected_objects += *objects;
                self.expected_bytes += *bytes;
            }
            Step::AllExpected => self.all_expected = true,
            Step::Begun(file) => *self.in_flight.entry(file.clone()).or_default() += 1,
            Step::Ended(file) => {
                if let Entry::Occupied(mut count) = self.in_flight.entry(file.clone()) {
                    *count.get_mut() -= 1;
                    if *count.get() == 0 {
                        count.remove();
                    }
                }
            }
            Step::Advanced { bytes } => self.moved_bytes += *bytes,
            Step::Settled => self.settled += 1,
            Step::Retried { .. } => self.retried += 1,
            Step::Resumed { .. } => {}
        }
    }

    /// What comes is another kind of work, which is counted by itself.
    fn turn_to(&mut self, work: Work) {
        let at = self.samples.back().map_or(Duration::ZERO, |last| last.at);
        let samples = VecDeque::from([Sample { at, bytes: 0, objects: 0 }]);
        *self = Self { work, retried: self.retried, samples, ..Self::new() };
    }

    /// Takes one finished action.
    pub(super) fn note_action(&mut self, action: &ActionRecord) {
        if action.status == Status::Done {
            self.done_bytes += action.bytes.unwrap_or_default();
        }
    }

    /// True while there is nothing to show.
    pub(super) const fn is_idle(&self) -> bool {
        self.expected_objects == 0 && self.settled == 0 && self.moved_bytes == 0
    }

    /// Remembers where things stand at `now`, for the rate.
    pub(super) fn sample(&mut self, now: Duration) {
        while self.samples.get(1).is_some_and(|second| second.at + RATE_WINDOW <= now) {
            self.samples.pop_front();
        }
        self.samples.push_back(Sample { at: now, bytes: self.bytes(), objects: self.settled });
    }

    /// Bytes so far. Bytes sent twice do not count twice, and announcements that were dropped are made up for.
    fn bytes(&self) -> u64 {
        let seen = self.moved_bytes.max(self.done_bytes);
        if self.expected_bytes == 0 { seen } else { seen.min(self.expected_bytes) }
    }

    /// How far of how far: in bytes, or in objects where there are no bytes to wait for.
    pub(super) fn position(&self) -> (u64, u64) {
        if self.expected_bytes > 0 {
            (self.bytes(), self.expected_bytes)
        } else {
            (self.settled, self.expected_objects.max(self.settled))
        }
    }

    /// Bytes and objects a second, lately.
    fn rate(&self) -> (f64, f64) {
        let (Some(first), Some(last)) = (self.samples.front(), self.samples.back()) else { return (0.0, 0.0) };
        let seconds = last.at.saturating_sub(first.at).as_secs_f64();
        if seconds <= 0.0 {
            return (0.0, 0.0);
        }
        (float(last.bytes - first.bytes) / seconds, float(last.objects.saturating_sub(first.objects)) / seconds)
    }

    /// The time still needed at that rate; none while nothing moves, or while nobody knows how much there is.
    fn left(&self) -> Option<Duration> {
        if !self.all_expected {
            return None;
        }
        let (bytes, objects) = self.rate();
        let (position, length) = self.position();
        let rate = if self.expected_bytes > 0 { bytes } else { objects };
        let seconds = float(length.saturating_sub(position)) / rate;
        (rate > 0.0 && length > 0).then(|| Duration::try_from_secs_f64(seconds).ok()).flatten()
    }

    /// `uploaded 1.2 GiB of 38.2 GiB, 312 of 4,211 objects, 84.0 MiB/s, about 7 min left`
    pub(super) fn sentence(&self) -> String {
        let verb = match self.work {
            Work::Upload => "uploaded",
            Work::Download => "downloaded",
            Work::Copy => "copied",
            Work::Check => "checked",
            Work::Delete => "deleted",
        };
        let objects = match self.expected_objects {
            0 => counted(self.settled, "object"),
            all => format!("{} of {}", HumanCount(self.settled), counted(all, "object")),
        };
        self.words(&format!("{verb} "), &objects, "about ")
    }

    /// The same for a line that shares its room with a bar.
    pub(super) fn brief(&self) -> String {
        let objects = match self.expected_objects {
            0 => HumanCount(self.settled).to_string(),
            all => format!("{} of {}", HumanCount(self.settled), HumanCount(all)),
        };
        self.words("", &objects, "")
    }

    /// The two largest files under way, or the largest alone, in so many columns; nothing if there is none.
    pub(super) fn names(&self, columns: usize) -> String {
        let mut largest = self.in_flight.keys().rev();
        let Some(first) = largest.next() else { return String::new() };
        let both = largest.next().map(|second| format!("{}, {}", name(first, usize::MAX), name(second, usize::MAX)));
        both.filter(|both| text::columns(both) <= columns).unwrap_or_else(|| name(first, columns))
    }

    fn words(&self, start: &str, objects: &str, about: &str) -> String {
        let mut parts = Vec::new();
        match self.expected_bytes {
            0 if self.bytes() == 0 => {}
            0 => parts.push(HumanBytes(self.bytes()).to_string()),
            all => parts.push(format!("{} of {}", HumanBytes(self.bytes()), HumanBytes(all))),
        }
        parts.push(objects.to_owned());
        if self.bytes() > 0 {
            parts.push(format!("{}/s", HumanBytes(whole(self.rate().0))));
        }
        if self.retried > 0 {
            parts.push(format!("{} retried", HumanCount(self.retried)));
        }
        if let Some(left) = self.left() {
            parts.push(format!("{about}{} left", human_duration(left)));
        }
        format!("{start}{}", parts.join(", "))
    }
}

/// `s3://bucket/data/train.parquet (1.2 GiB)`, its start left out where that is too long.
fn name(file: &InFlight, columns: usize) -> String {
    let size = format!(" ({})", HumanBytes(file.bytes));
    let target = text::escape(&file.target);
    let room = columns.saturating_sub(size.len());
    if room < LEAST_NAME {
        return text::shorten_start(&target, columns).into_owned();
    }
    format!("{}{size}", text::shorten_start(&target, room))
}

#[expect(clippy::cast_precision_loss, reason = "a rate that is shown with two or three digits")]
const fn float(count: u64) -> f64 {
    count as f64
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "rates are positive and far below the bound"
)]
const fn whole(rate: f64) -> u64 {
    rate as u64
}

#[cfg(test)]
mod tests {
    use super::Meter;
    use crate::report::{ActionRecord, InFlight, Progress as Step, Status, Work};
    use std::time::Duration;

    const GIB: u64 = 1 << 30;

    fn meter(steps: &[Step], seconds: u64) -> Meter {
        let mut meter = Meter::new();
        steps.iter().for_each(|step| meter.note(step));
        meter.sample(Duration::from_secs(seconds));
        meter
    }

    #[test]
    fn words_say_what_is_known() {
        let expect = |objects, bytes| Step::Expect { objects, bytes };
        let advanced = |bytes| Step::Advanced { bytes };
        let retried = Step::Retried { target: "k".to_owned(), reason: "SlowDown".to_owned() };
        for (steps, text) in [
            (vec![expect(2, 2 * GIB), expect(1, 2 * GIB)], "uploaded 0 B of 4.0 GiB, 0 of 3 objects"),
            (
                vec![expect(3, 4 * GIB), Step::AllExpected, advanced(GIB), Step::Settled],
                "uploaded 1.0 GiB of 4.0 GiB, 1 of 3 objects, 102.4 MiB/s, about 30 s left",
            ),
            (vec![expect(3, 4 * GIB), advanced(GIB)], "uploaded 1.0 GiB of 4.0 GiB, 0 of 3 objects, 102.4 MiB/s"),
            (
                vec![expect(1, GIB), Step::AllExpected, advanced(2 * GIB), retried],
                "uploaded 1.0 GiB of 1.0 GiB, 0 of 1 object, 102.4 MiB/s, 1 retried, about 0 s left",
            ),
            (vec![expect(20, 0), Step::AllExpected, Step::Settled], "uploaded 1 of 20 objects, about 4 min left"),
            (vec![Step::Work(Work::Check), advanced(GIB)], "checked 1.0 GiB, 0 objects, 102.4 MiB/s"),
        ] {
            assert_eq!(meter(&steps, 10).sentence(), text);
        }
    }

    #[test]
    fn deletes_are_counted_by_themselves() {
        let expect = |objects, bytes| Step::Expect { objects, bytes };
        let steps = [expect(2, GIB), Step::AllExpected, Step::Advanced { bytes: GIB }, Step::Settled, Step::Settled];
        let mut meter = meter(&steps, 10);
        let steps = [Step::Work(Work::Delete), expect(1000, 0), Step::AllExpected, Step::Settled];
        steps.iter().for_each(|step| meter.note(step));
        meter.sample(Duration::from_secs(11));
        assert_eq!(meter.sentence(), "deleted 1 of 1,000 objects, about 17 min left");
    }

    #[test]
    fn the_largest_files_under_way_are_named() {
        let file = |name: &str, bytes| InFlight { bytes, target: format!("s3://bucket/{name}") };
        let begun = |name, bytes| Step::Begun(file(name, bytes));
        let ended = |name, bytes| Step::Ended(file(name, bytes));
        let two = vec![begun("small.csv", 5), begun("data/large.bin", GIB), begun("data/next.bin", 7 << 20)];
        for (steps, columns, text) in [
            (vec![], 80, ""),
            (two.clone(), 80, "s3://bucket/data/large.bin (1.0 GiB), s3://bucket/data/next.bin (7.0 MiB)"),
            (two.clone(), 72, "s3://bucket/data/large.bin (1.0 GiB)"),
            (two.clone(), 30, "...et/data/large.bin (1.0 GiB)"),
            (two.clone(), 16, "...ata/large.bin"),
            (two.clone(), 2, ".."),
            (
                [two.clone(), vec![ended("data/large.bin", GIB), ended("small.csv", 5)]].concat(),
                40,
                "s3://bucket/data/next.bin (7.0 MiB)",
            ),
            (vec![begun("a", 1), begun("a", 1), ended("a", 1)], 40, "s3://bucket/a (1 B)"),
            (vec![begun("a", 1), ended("a", 1), ended("b", 2)], 40, ""),
            (vec![begun("\u{1b}[2J", 1)], 40, "s3://bucket/\\x1b[2J (1 B)"),
            (vec![begun("日本語/データ.csv", 1)], 24, "...本語/データ.csv (1 B)"),
        ] {
            let names = meter(&steps, 1).names(columns);
            assert_eq!(names, text);
            assert!(crate::ui::text::columns(&names) <= columns, "{names}");
        }
    }

    #[test]
    fn the_rate_is_that_of_the_last_seconds() {
        let mut meter = meter(&[Step::Expect { objects: 1, bytes: 100 * GIB }, Step::AllExpected], 0);
        for second in 1..=60 {
            let bytes = if second <= 30 { GIB } else { 0 };
            meter.note(&Step::Advanced { bytes });
            meter.sample(Duration::from_secs(second));
            if second == 30 {
                assert_eq!(meter.brief(), "30.0 GiB of 100.0 GiB, 0 of 1, 1.0 GiB/s, 70 s left");
            }
        }
        assert_eq!(meter.brief(), "30.0 GiB of 100.0 GiB, 0 of 1, 0 B/s", "a stalled transfer promises nothing");
    }

    #[test]
    fn done_actions_make_up_for_announcements_that_were_dropped() {
        let mut meter = meter(&[Step::Expect { objects: 1, bytes: 10 }], 1);
        meter.note_action(&ActionRecord {
            status: Status::Done,
            action: "upload",
            target: String::new(),
            reason: String::new(),
            setting: None,
            source: None,
            bytes: Some(10),
            proof: None,
            policy: None,
        });
        assert_eq!(meter.position(), (10, 10));
    }
}
