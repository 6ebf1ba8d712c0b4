//! Manuals: every command they show must be one that the program takes, and every link must lead somewhere.

use super::Breach;
use clap::Command;
use clap::error::ErrorKind;
use std::collections::BTreeSet;

/// What the manuals say about commands and files that do not exist.
pub(super) fn check(files: &[(String, String)], program: &Command) -> Vec<Breach> {
    let paths: BTreeSet<&str> = files.iter().map(|(path, _)| path.as_str()).collect();
    let mut found = Vec::new();
    for (path, text) in files.iter().filter(|(path, _)| path.ends_with(".md")) {
        let breach = |line, what| Breach { path: path.clone(), line, what };
        for (line, link) in links(text) {
            if !exists(path, link, &paths) {
                found.push(breach(line, format!("`{link}` leads nowhere")));
            }
        }
        if path == "README.md" {
            let wrong = |(line, words): (usize, Vec<&str>)| {
                let why = refusal(program, &words)?;
                Some(breach(line, format!("`{}` is no command: {why}", words.join(" "))))
            };
            found.extend(commands(text).filter_map(wrong));
        }
    }
    found
}

/// Why the program's own parser does not take these words; none if it takes them.
fn refusal(program: &Command, words: &[&str]) -> Option<String> {
    let error = program.clone().try_get_matches_from(words).err()?;
    let is_answer = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    let first = error.to_string().lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned();
    (!is_answer).then_some(first)
}

/// The commands of our program in the `sh` blocks of a page, each as its words.
fn commands(text: &str) -> impl Iterator<Item = (usize, Vec<&str>)> {
    let mut inside = false;
    let lines = (1..).zip(text.lines()).filter(move |(_, line)| {
        inside = if line.starts_with("```") { *line == "```sh" } else { inside };
        inside
    });
    lines.filter_map(|(number, line)| {
        let words: Vec<&str> = line.split_whitespace().take_while(|word| !word.starts_with(['#', '|', '>'])).collect();
        let program = match words.as_slice() {
            ["cargo", "run", rest @ ..] => rest.iter().position(|word| *word == "--").map(|at| &rest[at + 1..]),
            ["bucketwright", rest @ ..] => Some(rest),
            _ => None,
        };
        program.map(|rest| (number, [&["bucketwright"], rest].concat()))
    })
}

/// The links to files of the project: not to the web, not within the page.
fn links(text: &str) -> impl Iterator<Item = (usize, &str)> {
    (1..).zip(text.lines()).flat_map(|(number, line)| {
        let targets = line.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
        let targets = targets.map(|(target, _)| target.split_once('#').map_or(target, |(file, _)| file));
        targets.filter(|target| !target.is_empty() && !target.contains("://")).map(move |target| (number, target))
    })
}

/// Whether a link from a page leads to a file, or to a folder that holds one.
fn exists(page: &str, link: &str, paths: &BTreeSet<&str>) -> bool {
    let mut parts: Vec<&str> = page.split('/').collect();
    parts.pop();
    for part in link.split('/').filter(|part| !matches!(*part, "" | ".")) {
        if part == ".." {
            parts.pop();
        } else {
            parts.push(part);
        }
    }
    let target = parts.join("/");
    paths.contains(target.as_str())
        || paths.iter().any(|path| path.strip_prefix(&target).is_some_and(|rest| rest.starts_with('/')))
}

#[cfg(test)]
mod tests {
    use super::check;
    use clap::{Arg, Command};

    fn check_one(readme: &str, expected: &[&str]) {
        let program = Command::new("bucketwright").subcommand(Command::new("plan").arg(Arg::new("LAYOUT")));
        let files = [("README.md", readme), ("docs/cli.md", "[up](../README.md) [no](README.md)"), ("src/lib.rs", "")];
        let files = files.map(|(path, text)| (path.to_owned(), text.to_owned()));
        let found: Vec<String> = check(&files, &program).iter().map(ToString::to_string).collect();
        let expected: Vec<_> = expected.iter().copied().chain(["docs/cli.md:1: `README.md` leads nowhere"]).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn commands_are_those_of_the_program() {
        check_one("```sh\ncargo run -- plan x.toml   # shows it\nbucketwright plan --help\ncargo test\n```\n", &[]);
        check_one("```toml\nbucketwright nothing\n```\n`bucketwright nothing`\n", &[]);
        let said = "README.md:2: `bucketwright paln x` is no command: unrecognized subcommand 'paln'";
        check_one("```sh\nbucketwright paln x\n```\n", &[said]);
        let said = "README.md:2: `bucketwright plan --fast` is no command: unexpected argument '--fast' found";
        check_one("```sh\ncargo run --release -- plan --fast\n```\n", &[said]);
    }

    #[test]
    fn links_lead_to_files_and_folders() {
        check_one("[a](docs/cli.md#plan) [b](src) [c](https://example.com) [d](#here)", &[]);
        check_one("\n[a](docs/none.md)", &["README.md:2: `docs/none.md` leads nowhere"]);
    }
}
