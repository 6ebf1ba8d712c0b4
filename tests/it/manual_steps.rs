//! The page that answers the manual steps: every command that it shows is run, in the order of the page, and must print what
//! the page shows.

use crate::doctor::{Account, LAYOUT, NODE, NODE_2};

const PAGE: &str = include_str!("../../docs/from-the-manual-steps.md");

/// A command of the page, and what it prints.
struct Shown {
    words: Vec<String>,
    lines: Vec<&'static str>,
}

/// The commands of a section, by its heading's number.
fn commands(number: &str) -> Vec<Shown> {
    let heading = format!("{number}: ");
    let section = PAGE.split("\n## ").find(|section| section.starts_with(&heading));
    let section = section.unwrap_or_else(|| panic!("no section {number}"));
    let mut commands: Vec<Shown> = Vec::new();
    for block in section.split("```console\n").skip(1) {
        let block = block.split("\n```").next().unwrap();
        let mut lines = block.lines();
        while let Some(line) = lines.next() {
            if let Some(command) = line.strip_prefix("$ ") {
                let mut command = command.to_owned();
                while let Some(first) = command.strip_suffix('\\') {
                    command = format!("{first} {}", lines.next().unwrap().trim());
                }
                commands.push(Shown { words: words(&command), lines: Vec::new() });
            } else if !line.trim().is_empty() && line != "..." {
                commands.last_mut().unwrap().lines.push(line);
            }
        }
    }
    assert!(!commands.is_empty(), "{number} shows no command");
    commands
}

/// The words of a command as a shell would split them: blanks, single quotes, and the two names of the page.
fn words(command: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (index, part) in command.split('\'').enumerate() {
        match index % 2 {
            0 => words.extend(part.split_whitespace().map(str::to_owned)),
            _ => words.push(part.to_owned()),
        }
    }
    assert_eq!(words[0], "bucketwright", "{command}");
    words.into_iter().skip(1).map(|word| word.replace("$NODE_2", NODE_2).replace("$NODE", NODE)).collect()
}

/// Runs the commands of a section, which end with these codes.
fn follow(account: &Account, number: &str, codes: &[i32]) {
    let commands = commands(number);
    assert_eq!(commands.len(), codes.len(), "{number}");
    for (shown, code) in commands.iter().zip(codes) {
        let words: Vec<String> =
            shown.words.iter().map(|word| word.replace("$BACKUP", &newest_backup(account))).collect();
        let arguments: Vec<&str> = words.iter().map(String::as_str).collect();
        let ran = account.env.expect(*code, &arguments);
        // What people see, answers before the rest.
        let printed = format!("{}{}", ran.stdout, ran.stderr);
        let mut rest = printed.as_str();
        for line in &shown.lines {
            let at = rest.find(line).unwrap_or_else(|| panic!("{number}: `{line}` is not in\n{printed}"));
            rest = &rest[at + line.len()..];
        }
    }
}

/// The folder of the only backup that was asked for; nothing before that.
fn newest_backup(account: &Account) -> String {
    let entries = std::fs::read_dir(account.env.path("backups/000000000000"));
    let entry = entries.ok().and_then(|mut entries| entries.next());
    entry.map(|entry| format!("backups/000000000000/{}", entry.unwrap().file_name().display())).unwrap_or_default()
}

/// In an order in which one follows from the other, which is not that of the numbers.
#[test]
fn every_command_prints_what_the_page_shows() {
    let account = Account::described();
    account.env.write("read.toml", LAYOUT.replace("read-write", "read"));
    for (number, codes) in [
        ("1, 11, 28", &[0][..]),
        ("2", &[0]),
        ("17, 18, 27", &[0, 0, 0, 0, 0]),
        ("12, 13, 14", &[0, 0]),
        ("24, 25, 26, 29", &[0, 0]),
        ("36", &[0, 0, 0, 0]),
        ("15", &[0, 0, 0, 0]),
        ("49", &[0, 0]),
        ("50", &[4]),
    ] {
        follow(&account, number, codes);
    }
}

#[test]
fn the_page_shows_the_layout() {
    assert!(PAGE.contains(LAYOUT.trim()), "the page's layout is another one");
}
