//! Text on a terminal: what came from outside is made harmless, long text is folded, times and counts get words.

use crate::model::{HumanCount, steers};
use std::borrow::Cow;
use std::fmt::Write as _;
use std::time::Duration;
use unicode_width::UnicodeWidthStr as _;

/// The text with everything that could steer a terminal or reorder its letters spelled out: `\x1b`, `\n`, `\u{202e}`.
pub(super) fn escape(text: &str) -> Cow<'_, str> {
    if !text.chars().any(steers) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 8);
    for letter in text.chars() {
        match letter {
            '\n' => safe.push_str("\\n"),
            '\r' => safe.push_str("\\r"),
            '\t' => safe.push_str("\\t"),
            letter if !steers(letter) => safe.push(letter),
            letter if u32::from(letter) < 0x100 => _ = write!(safe, "\\x{:02x}", u32::from(letter)),
            letter => _ = write!(safe, "\\u{{{:x}}}", u32::from(letter)),
        }
    }
    Cow::Owned(safe)
}

/// The columns that a text takes on a terminal.
pub(super) fn columns(text: &str) -> usize {
    text.width()
}

/// The text with blanks behind it, `width` columns wide unless it is wider itself.
pub(super) fn pad(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(columns(text))))
}

/// How a text is folded.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fold {
    /// Columns of the first line.
    pub first: usize,
    /// Columns of every further line.
    pub rest: usize,
    /// The most lines; what does not fit ends in `...`. Without a limit nothing is cut, and no word is broken.
    pub lines: Option<usize>,
}

/// The words of a text; a number stays with what it counts: `27.8 KiB`, `(90 days`.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let is_number = |word: &str| {
        let word = word.trim_start_matches('(');
        word.starts_with(|letter: char| letter.is_ascii_digit())
            && word.ends_with(|letter: char| letter.is_ascii_digit())
    };
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let mut end = text.find(' ').unwrap_or(text.len());
        if is_number(&text[..end]) {
            end = text.get(end + 1..).and_then(|next| next.find(' ')).map_or(text.len(), |next| end + 1 + next);
        }
        rest = text.get(end + 1..);
        Some(&text[..end])
    })
}

/// The text in lines, broken between words.
pub(super) fn fold(text: &str, how: Fold) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in words(text) {
        let room = if lines.len() == 1 { how.first } else { how.rest };
        let line = lines.last().map_or(0, |line| columns(line));
        let fits = line + usize::from(line > 0) + columns(word) <= room;
        match lines.last_mut() {
            Some(last) if fits || last.is_empty() => {
                if !last.is_empty() {
                    last.push(' ');
                }
                last.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    match how.lines {
        Some(most) => cut(lines, how, most),
        None => lines,
    }
}

/// At most `most` lines, none wider than its room.
fn cut(lines: Vec<String>, how: Fold, most: usize) -> Vec<String> {
    const ENDING: &str = " ...";
    let mut kept: Vec<String> = Vec::new();
    for line in lines {
        let room = if kept.is_empty() { how.first } else { how.rest };
        for piece in pieces(&line, room) {
            if kept.len() == most {
                if let Some(last) = kept.last_mut() {
                    let room = if most == 1 { how.first } else { how.rest }.saturating_sub(ENDING.len());
                    let start = pieces(last, room).into_iter().next().unwrap_or_default();
                    *last = format!("{}{ENDING}", start.trim_end());
                }
                return kept;
            }
            kept.push(piece);
        }
    }
    kept
}

/// The text if it takes at most `width` columns, else its beginning and ` ...` in that room.
pub(super) fn shorten(text: &str, width: usize) -> Cow<'_, str> {
    if columns(text) <= width {
        return Cow::Borrowed(text);
    }
    Cow::Owned(cut(vec![text.to_owned()], Fold { first: width, rest: width, lines: None }, 1).concat())
}

/// The text if it takes at most `width` columns, else `...` and its end in that room: of a path the name counts.
pub(super) fn shorten_start(text: &str, width: usize) -> Cow<'_, str> {
    if columns(text) <= width {
        return Cow::Borrowed(text);
    }
    let dots = &"..."[..width.min(3)];
    let room = width - dots.len();
    let starts = text.char_indices().map(|(at, _)| &text[at..]);
    let end = starts.into_iter().find(|end| columns(end) <= room).unwrap_or_default();
    Cow::Owned(format!("{dots}{end}"))
}

/// The text in pieces of at most `width` columns, broken anywhere.
fn pieces(text: &str, width: usize) -> Vec<String> {
    let mut pieces = vec![String::new()];
    let mut taken = 0;
    for letter in text.chars() {
        let wide = columns(letter.encode_utf8(&mut [0; 4]));
        if taken + wide > width.max(1) && taken > 0 {
            pieces.push(String::new());
            taken = 0;
        }
        if let Some(last) = pieces.last_mut() {
            last.push(letter);
        }
        taken += wide;
    }
    pieces
}

/// `1 object`, `2 objects`: a count with its noun, which takes an `s`.
pub(super) fn counted(count: u64, noun: &str) -> String {
    format!("{} {noun}{}", HumanCount(count), if count == 1 { "" } else { "s" })
}

/// `0.2 s`, `45 s`, `7 min 12 s`: a time that was taken.
pub(super) fn elapsed(time: Duration) -> String {
    match time.as_secs() {
        0..=9 => format!("{:.1} s", time.as_secs_f64()),
        seconds @ 10..=90 => format!("{seconds} s"),
        seconds => format!("{} min {} s", seconds / 60, seconds % 60),
    }
}

/// `12 s`, `7 min`, `3 h 20 min`, `5 d`: as exact as a guess deserves.
pub(super) fn human_duration(time: Duration) -> String {
    let seconds = time.as_secs() + u64::from(time.subsec_nanos() > 0);
    match seconds {
        0..=90 => format!("{seconds} s"),
        91..5_400 => format!("{} min", seconds.div_ceil(60)),
        5_400..172_800 => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{} d", seconds.div_ceil(86_400)),
    }
}

#[cfg(test)]
mod tests {
    use super::{Fold, columns, counted, elapsed, escape, fold, human_duration, pad, shorten};
    use proptest::prelude::{prop_assert, proptest};
    use std::time::Duration;

    #[test]
    fn controls_are_spelled_out() {
        for (text, safe) in [
            ("plain/übung.csv", "plain/übung.csv"),
            ("a\u{1b}[2Jb", "a\\x1b[2Jb"),
            ("a\r\nb\tc", "a\\r\\nb\\tc"),
            ("\u{7f}\u{9b}", "\\x7f\\x9b"),
            ("abc\u{202e}vsc", "abc\\u{202e}vsc"),
            ("\u{2028}", "\\u{2028}"),
        ] {
            assert_eq!(escape(text), safe);
        }
    }

    #[test]
    fn text_folds_between_words_and_is_cut_on_demand() {
        let lines = |text: &str, first, rest, lines| fold(text, Fold { first, rest, lines }).join("|");
        assert_eq!(lines("one two three", 7, 5, None), "one two|three");
        assert_eq!(lines("", 7, 5, None), "");
        assert_eq!(lines("unbreakable word", 4, 4, None), "unbreakable|word");
        assert_eq!(lines("unbreakable word", 4, 4, Some(9)), "unbr|eaka|ble|word");
        assert_eq!(lines("one two three four five", 9, 9, Some(2)), "one two|three ...");
        assert_eq!(lines("sent k (27.8 KiB)", 13, 13, None), "sent k|(27.8 KiB)");
        assert_eq!(lines("after 7 days 3 kept 9", 8, 8, None), "after|7 days|3 kept 9");
        assert_eq!(lines("one two three", 9, 9, Some(1)), "one t ...");
        assert_eq!([shorten("one two", 7), shorten("one two three", 9)], ["one two", "one t ..."]);
    }

    #[test]
    fn nouns_follow_their_number() {
        assert_eq!([counted(1, "object"), counted(2000, "object")], ["1 object", "2,000 objects"]);
        assert_eq!(pad("日本", 6), "日本  ");
    }

    #[test]
    fn times_are_as_exact_as_they_deserve() {
        let texts = [0, 12, 90, 91, 3_600, 12_000, 432_000].map(|seconds| human_duration(Duration::from_secs(seconds)));
        assert_eq!(texts, ["0 s", "12 s", "90 s", "2 min", "60 min", "3 h 20 min", "5 d"]);
        let taken = [240, 45_600, 432_000].map(|millis| elapsed(Duration::from_millis(millis)));
        assert_eq!(taken, ["0.2 s", "45 s", "7 min 12 s"]);
    }

    proptest! {
        #[test]
        fn nothing_that_steers_gets_through(text in "\\PC{0,20}[\\x00-\\x9f\\u{2000}-\\u{2070}]{0,8}") {
            prop_assert!(!escape(&text).chars().any(super::steers));
        }

        #[test]
        fn cut_lines_fit(text in "[a-z ]{0,80}", width in 6_usize..40, lines in 1_usize..5) {
            let folded = fold(&text, Fold { first: width, rest: width, lines: Some(lines) });
            prop_assert!(folded.len() <= lines);
            prop_assert!(folded.iter().all(|line| columns(line) <= width), "{folded:?}");
        }
    }
}
