//! What clap says about a wrong command line, in the form that every other error has.

use crate::report::ErrorRecord;
use clap::error::ErrorKind;

/// The error of a command line made of `words`, which belongs to one of `verbs` if it names one.
pub(super) fn record(error: &clap::Error, words: &[&str], verbs: &[&str]) -> ErrorRecord {
    let text = error.to_string();
    let mut hints: Vec<String> = lines_after(&text, "  tip: ").map(str::to_owned).collect();
    hints.extend(local_hint(error.kind(), &text, words));
    hints.extend(lines_after(&text, "Usage: ").map(|usage| format!("usage: {usage}")));
    let verb = words.iter().skip(1).find(|word| verbs.contains(word)).map(|verb| format!(" {verb}"));
    hints.push(format!("`bucketwright{} --help` explains every option", verb.unwrap_or_default()));
    ErrorRecord { hints, ..ErrorRecord::new("usage", message(&text)) }
}

/// The first paragraph as one line.
fn message(text: &str) -> String {
    let paragraph = text.split("\n\n").next().unwrap_or_default();
    let lines: Vec<&str> = paragraph.lines().map(str::trim).collect();
    lines.join(" ").trim_start_matches("error: ").to_owned()
}

fn lines_after<'text>(text: &'text str, start: &'text str) -> impl Iterator<Item = &'text str> {
    text.lines().filter_map(move |line| line.strip_prefix(start))
}

fn local_hint(kind: ErrorKind, text: &str, words: &[&str]) -> Option<String> {
    if kind == ErrorKind::ArgumentConflict && message(text).contains("--local") {
        return Some("`--local` works without AWS: drop it, or drop what speaks of AWS".to_owned());
    }
    let dir = spaced_dir(words)?;
    (kind == ErrorKind::UnknownArgument).then(|| local_with(dir))
}

/// The word behind a `--local` without a value: `--local ./dir` names a layout, not a folder.
pub(super) fn spaced_dir<'word>(words: &[&'word str]) -> Option<&'word str> {
    let pair = words.windows(2).find(|pair| pair[0] == "--local" && !pair[1].starts_with('-'))?;
    Some(pair[1])
}

/// How the folder of the embedded endpoint is named.
pub(super) fn local_with(dir: &str) -> String {
    format!("to keep the embedded endpoint's data in `{dir}` write `--local={dir}`")
}

#[cfg(test)]
mod tests {
    use super::record;
    use crate::cli::command;

    fn check(line: &str, message: &str, hints: &[&str]) {
        let words: Vec<&str> = line.split(' ').collect();
        let error = command().try_get_matches_from(&words).unwrap_err();
        let record = record(&error, &words, &["plan", "serve"]);
        assert_eq!((record.message.as_str(), record.hints), (message, hints.iter().map(ToString::to_string).collect()));
    }

    #[test]
    fn mistakes_are_named_in_one_line_and_hints_say_more() {
        check(
            "bucketwright plan --onl settings",
            "unexpected argument '--onl' found",
            &[
                "a similar argument exists: '--only'",
                "usage: bucketwright plan --only <PART> [LAYOUT]",
                "`bucketwright plan --help` explains every option",
            ],
        );
        check(
            "bucketwright plan --only nothing",
            "invalid value 'nothing' for '--only <PART>' [possible values: settings, markers, grants, datasets]",
            &["`bucketwright plan --help` explains every option"],
        );
        check(
            "bucketwright plan --local --profile x",
            "the argument '--local[=<DIR>]' cannot be used with '--profile <NAME>'",
            &[
                "`--local` works without AWS: drop it, or drop what speaks of AWS",
                "usage: bucketwright plan --local[=<DIR>] [LAYOUT]",
                "`bucketwright plan --help` explains every option",
            ],
        );
        check(
            "bucketwright serve --local ./dir",
            "unexpected argument './dir' found",
            &[
                "to keep the embedded endpoint's data in `./dir` write `--local=./dir`",
                "usage: bucketwright serve [OPTIONS]",
                "`bucketwright serve --help` explains every option",
            ],
        );
        check(
            "bucketwright completions",
            "the following required arguments were not provided: <SHELL>",
            &["usage: bucketwright completions <SHELL>", "`bucketwright --help` explains every option"],
        );
    }
}
