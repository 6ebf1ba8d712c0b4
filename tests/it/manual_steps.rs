//! The page that answers the manual steps, followed from top to bottom in one folder: every block of it is run by a shell, in
//! its order, and every line that it shows must be printed where it stands.

use crate::server_env::{client, open};
use crate::testenv::TestEnv;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

/// How many rows the manual has.
const ROWS: usize = 53;

fn page() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/from-the-manual-steps.md")).unwrap()
}

/// The fenced blocks of the page with their kind, in its order.
fn blocks(page: &str) -> Vec<(&str, Vec<&str>)> {
    let mut blocks: Vec<(&str, Vec<&str>)> = Vec::new();
    let mut is_open = false;
    for line in page.lines() {
        match line.strip_prefix("```") {
            Some(kind) if !is_open => {
                blocks.push((kind, Vec::new()));
                is_open = true;
            }
            Some(_) => is_open = false,
            None if is_open => blocks.last_mut().unwrap().1.push(line),
            None => {}
        }
    }
    assert!(!is_open, "the last block has no end");
    blocks
}

/// A command of a block, the exit code that the page says, and what it shows.
struct Shown<'page> {
    command: String,
    code: i32,
    lines: Vec<&'page str>,
}

fn commands<'page>(block: &[&'page str]) -> Vec<Shown<'page>> {
    let mut commands: Vec<Shown<'_>> = Vec::new();
    let mut lines = block.iter();
    while let Some(line) = lines.next() {
        let Some(first) = line.strip_prefix("$ ") else {
            commands.last_mut().unwrap_or_else(|| panic!("no command before `{line}`")).lines.push(line);
            continue;
        };
        let mut command = first.to_owned();
        while let Some(start) = command.strip_suffix('\\') {
            command = format!("{start}{}", lines.next().unwrap().trim_start());
        }
        let code = command.rsplit_once(" # exit ").map_or(0, |(_, code)| code.parse().unwrap());
        commands.push(Shown { command, code, lines: Vec::new() });
    }
    for shown in &mut commands {
        while shown.lines.last().is_some_and(|line| line.is_empty()) {
            shown.lines.pop();
        }
    }
    commands
}

/// Somebody who follows the page.
struct Reader {
    env: TestEnv,
    /// The variables that the page set so far.
    variables: String,
}

impl Reader {
    /// Runs a command as the shell of the page does; what it printed is in the order in which people see it.
    fn run(&mut self, command: &str) -> (i32, String) {
        self.variables.extend(command.lines().filter(|line| sets_variable(line)).flat_map(|line| [line, "\n"]));
        if let Some(bucket) = command.strip_prefix("aws s3 mb s3://") {
            self.make_by_hand(bucket);
            return (0, String::new());
        }
        let binary = Path::new(env!("CARGO_BIN_EXE_bucketwright"));
        let path = format!("{}:/usr/bin:/bin", binary.parent().unwrap().display());
        let script = format!("exec 2>&1\n{}{command}", self.variables);
        let mut shell = Command::new("sh");
        shell.args(["-c", &script]).current_dir(self.env.path(".")).env_clear().stdin(Stdio::null());
        let template = self.env.command(&[]);
        shell.envs(template.get_envs().filter_map(|(name, value)| Some((name, value?)))).env("PATH", path);
        let ran = self.env.ran(&[command], &shell.output().unwrap());
        (ran.code, ran.stdout)
    }

    /// What the aws CLI would do, which need not be here.
    fn make_by_hand(&self, bucket: &str) {
        let server = open(&self.env.path(".bucketwright/local"));
        let owner = client(&server, server.secret_key());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(owner.create_bucket().bucket(bucket).send()).unwrap();
    }
}

/// True for a line such as `NODE=...`, which later commands need as well.
fn sets_variable(line: &str) -> bool {
    let name = line.split_once('=').map_or("", |(name, _)| name);
    !name.is_empty()
        && name.chars().all(|letter| letter.is_ascii_uppercase() || letter == '_' || letter.is_ascii_digit())
}

/// A line of the page against a printed one: `...` in it stands for what differs from run to run.
fn is_line(shown: &str, printed: &str) -> bool {
    match shown.split_once("...") {
        _ if shown == printed => true,
        Some((start, end)) => printed.strip_prefix(start).is_some_and(|rest| rest.ends_with(end)),
        None => false,
    }
}

/// Holds what a command printed against what the page shows: the same lines, one behind the other, from the first to the last,
/// but for those that a line `...` stands for.
fn hold(shown: &Shown<'_>, printed: &str) {
    let all: Vec<&str> = printed.trim_end().lines().map(str::trim_end).collect();
    let pieces: Vec<&[&str]> = shown.lines.split(|line| *line == "...").collect();
    let mut at = 0;
    for (number, piece) in pieces.iter().enumerate().filter(|(_, piece)| !piece.is_empty()) {
        let is_there = |start: &usize| {
            all.get(*start..start + piece.len())
                .is_some_and(|lines| lines.iter().zip(*piece).all(|(printed, shown)| is_line(shown, printed)))
        };
        let last = all.len().saturating_sub(piece.len());
        let found = match (number == 0, number + 1 == pieces.len()) {
            (true, _) => Some(0).filter(is_there),
            (false, true) => Some(last).filter(|start| *start >= at).filter(is_there),
            (false, false) => (at..=last).find(is_there),
        };
        let start =
            found.unwrap_or_else(|| panic!("{}: not there:\n{}\nin\n{printed}", shown.command, piece.join("\n")));
        at = start + piece.len();
    }
    let is_whole = pieces.last().is_some_and(|piece| piece.is_empty() && pieces.len() > 1) || at == all.len();
    assert!(is_whole, "{}: more is printed than shown:\n{printed}", shown.command);
}

#[test]
fn the_page_is_followed_from_top_to_bottom() {
    let page = page();
    let mut reader = Reader { env: TestEnv::new(), variables: String::new() };
    for (kind, lines) in blocks(&page) {
        match kind {
            "sh" => {
                let script = lines.join("\n");
                assert_eq!(reader.run(&script), (0, String::new()), "{script}");
            }
            "console" => {
                for shown in commands(&lines) {
                    let (code, printed) = reader.run(&shown.command);
                    assert_eq!(code, shown.code, "{}\n{printed}", shown.command);
                    hold(&shown, &printed);
                }
            }
            other => panic!("nothing runs a block of `{other}`: {lines:?}"),
        }
    }
}

/// The numbers of the rows in the headings, in the page's order.
fn rows(page: &str) -> Vec<usize> {
    let headings = page.lines().filter_map(|line| line.strip_prefix("### ")?.split_once(": "));
    let numbers = headings.flat_map(|(numbers, _)| numbers.split(", "));
    numbers.map(|number| number.parse().unwrap_or_else(|_| panic!("{number}"))).collect()
}

#[test]
fn every_row_has_its_place_and_a_command() {
    let page = page();
    assert_eq!(rows(&page), (1..=ROWS).collect::<Vec<_>>());
    for section in
        page.split("\n### ").skip(1).filter(|section| section.starts_with(|first: char| first.is_ascii_digit()))
    {
        assert!(section.contains("\n$ bucketwright "), "no command answers {}", section.lines().next().unwrap());
    }
}

/// What holds the page must not hold anything.
#[test]
fn a_line_that_is_not_printed_is_found() {
    let check = |shown: &str, printed: &str, held: bool| {
        let lines = shown.lines().collect();
        let shown = Shown { command: "x".to_owned(), code: 0, lines };
        assert_eq!(std::panic::catch_unwind(|| hold(&shown, printed)).is_ok(), held, "{:?} {printed}", shown.lines);
    };
    check("a\nb", "a\nb\n", true);
    check("a\n...\nc", "a\nb\nc\n", true);
    check("...\nb\n...", "a\nb\nc\n", true);
    check("made ..., whole", "made at noon, whole\n", true);
    check("", "", true);
    for (shown, printed) in [
        ("a", "a\nb\n"),
        ("b", "a\nb\n"),
        ("a\nc", "a\nb\nc\n"),
        ("...\nb", "a\nb\nc\n"),
        ("...\nc\n...\nb\n...", "a\nb\nc\n"),
        ("...", ""),
        ("", "a\n"),
        ("a", ""),
        ("made ..., whole", "made at noon, torn\n"),
    ] {
        check(shown, printed, shown == "...");
    }
}
