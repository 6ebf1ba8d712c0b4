//! Output as others take it: full disks, closed pipes, 80 columns, and JSON whatever happens.

use crate::testenv::TestEnv;
use std::fs::OpenOptions;
use std::process::Stdio;

const LAYOUT: &str = "version = 1\n[[bucket]]\nname = \"bucket-one\"\ntemplate = \"ml-project\"\nprojects = [\"p\"]\n\
                      access_log = { bucket = \"bucket-one-logs\" }\n\
                      [[dataset]]\nsource = \"data.csv\"\nto = \"bucket-one/p/data\"\n";

fn env() -> TestEnv {
    let env = TestEnv::new();
    env.write("layout.toml", LAYOUT);
    env.write("data.csv", "a,b\n");
    env
}

#[test]
fn an_answer_that_cannot_be_written_is_a_failure() {
    for arguments in [
        &["plan", "--local"][..],
        &["plan", "--local", "--output", "json"],
        &["man"],
        &["completions", "bash"],
        &["--help"],
        &["plan", "--help"],
        &["--version"],
        &["new", "--list"],
    ] {
        let env = env();
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let ran = env.ran(arguments, &env.command(arguments).stdout(full).output().unwrap());
        assert_eq!(ran.code, 1, "{arguments:?}: {}", ran.stderr);
        assert!(ran.stderr.contains("cannot write the output: No space left"), "{arguments:?}: {}", ran.stderr);
    }
}

#[test]
fn a_reader_who_has_seen_enough_is_no_failure() {
    for arguments in [&["man"][..], &["--help"], &["completions", "bash"], &["plan", "--output", "json", "--local"]] {
        let env = env();
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let ran = env.ran(arguments, &env.command(arguments).stdout(writer).output().unwrap());
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{arguments:?}");
    }
}

#[test]
fn work_is_done_though_nobody_reads() {
    let env = env();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = env.command(&["apply", "--local", "--yes"]).stdout(writer).stderr(Stdio::null()).status().unwrap();
    assert_eq!(output.code(), Some(0));
    env.expect(0, &["plan", "--local", "--check"]);
}

#[test]
fn json_is_json_to_the_last_line_whatever_happens() {
    let env = env();
    env.write("bad.toml", "version = 1\n[[bucket]]\nname = \"B\"\n");
    for (code, arguments) in [
        (0, "plan --local"),
        (2, "apply --local"),
        (0, "apply --local --yes --verify"),
        (0, "apply --local --yes"),
        (0, "tree --local"),
        (0, "tree s3://bucket-one/p --local"),
        (1, "tree s3://bucket-one/nope --local"),
        (1, "tree s3://bucket-two --local"),
        (0, "verify --local"),
        (0, "verify --local --no-write"),
        (2, "plan bad.toml --local"),
        (2, "plan nowhere.toml --local"),
        (1, "plan --local=data.csv"),
        (2, "plan --local --profile x"),
        (2, "plan --no-such"),
        (0, "new --list"),
        (0, "new -o -"),
        (2, "new"),
        (0, "man"),
        (0, "completions bash"),
        (2, "completions tcsh"),
        (2, "serve --host 0.0.0.0"),
        (2, ""),
    ] {
        let words: Vec<&str> = arguments.split_whitespace().chain(["--output", "json"]).collect();
        let ran = env.expect(code, &words);
        assert_eq!(ran.summary()["exit"], code, "{arguments}");
        assert_eq!(ran.of_type("summary").len(), 1, "{arguments}: one summary");
        let is_error = !ran.of_type("error").is_empty();
        assert_eq!(is_error, code == 1 || code == 2, "{arguments}: {}", ran.stdout);
        assert!(ran.of_type("error").iter().all(|error| !error["message"].as_str().unwrap().contains('\n')));
    }
}

/// The lines that are wider than a terminal, other than those that a word of the user's own makes so wide.
fn too_wide(text: &str) -> Vec<&str> {
    text.lines().filter(|line| line.chars().count() > 80 && line.trim().contains(' ')).collect()
}

#[test]
fn help_fits_a_terminal() {
    let env = TestEnv::new();
    for verb in ["", "new", "tree", "plan", "apply", "verify", "serve", "completions", "man"] {
        for help in ["-h", "--help"] {
            let words: Vec<&str> = [verb, help].into_iter().filter(|word| !word.is_empty()).collect();
            let text = env.expect(0, &words).stdout;
            assert_eq!(too_wide(&text), [""; 0], "{words:?}");
            assert!(verb.is_empty() || text.contains("Examples:"), "{verb} shows how it is used");
        }
    }
}

#[test]
fn the_main_job_fits_a_terminal() {
    let env = env();
    for arguments in [
        "new --list",
        "plan --local",
        "tree --local",
        "verify --local",
        "apply --local --yes --verify",
        "verify --local -v",
        "plan bad.toml --local",
        "plan --onl x",
    ] {
        env.write("bad.toml", "version = 1\n[[bucket]]\nname = \"B\"\ncolour = 1\nproyects = []\n");
        let ran = env.run(&arguments.split(' ').collect::<Vec<_>>());
        assert_eq!(too_wide(&ran.stdout), [""; 0], "{arguments}");
        assert_eq!(too_wide(&ran.stderr), [""; 0], "{arguments}");
    }
}
