//! What is left out, by whole trees of rules and names.

use super::{Filter, IgnoreFile, Judgement, Rule, Trail};
use proptest::collection::vec;
use proptest::prelude::{prop_assert_eq, proptest};
use std::collections::BTreeMap;

/// Flags as `-pattern` and `+pattern`.
fn flags(text: &str) -> Vec<Rule> {
    let rule = |word: &str| Rule::flag(&word[1..], word.starts_with('+')).unwrap();
    text.split_whitespace().map(rule).collect()
}

/// Ignore files as `directory: line, line`, one a line.
fn files(text: &str) -> BTreeMap<String, IgnoreFile> {
    let file = |line: &str| {
        let (directory, rules) = line.trim().split_once(':').unwrap();
        let parsed = IgnoreFile::parse(directory, &rules.replace(", ", "\n").replacen(' ', "", 1)).unwrap();
        (directory.to_owned(), parsed)
    };
    text.lines().filter(|line| !line.trim().is_empty()).map(file).collect()
}

fn judge(rules: Vec<Rule>, files: &BTreeMap<String, IgnoreFile>, name: &str) -> (String, Judgement) {
    let mut trail = Trail::new(Filter::new(rules, true), |directory: &str| files.get(directory).cloned());
    let (about, judged) = trail.judge(name);
    (about.to_owned(), judged)
}

fn check(rules: &str, ignore: &str, selected: &str, excluded: &str) {
    let files = files(ignore);
    for (names, wanted) in [(selected, true), (excluded, false)] {
        for name in names.split_whitespace() {
            let (about, judged) = judge(flags(rules), &files, name);
            assert_eq!(judged.is_selected(), wanted, "{rules} | {ignore} | {name}: {about} {judged:?}");
        }
    }
}

/// Layouts' `exclude`.
#[test]
fn excludes_of_layouts() {
    let check = |pattern: &str, file: &str, excluded: bool| {
        let filter = Filter::excluding([pattern]).unwrap();
        let mut trail = Trail::new(filter, |_: &str| None);
        assert_eq!(!trail.judge(file).1.is_selected(), excluded, "`{pattern}` on `{file}`");
    };
    for (pattern, file, excluded) in [
        ("*.tmp", "a.tmp", true),
        ("*.tmp", "deep/down/a.tmp", true),
        ("*.tmp", "a.tmpx", false),
        (".git", ".git/", true),
        ("cache/", "cache/", true),
        ("cache/", "deep/cache/", true),
        ("cache/", "deep/cache/x", true),
        ("cache/", "cache", false),
        ("/notes.txt", "notes.txt", true),
        ("/notes.txt", "deep/notes.txt", false),
        ("raw/*.csv", "raw/a.csv", true),
        ("raw/*.csv", "raw/deep/a.csv", false),
        ("raw/**", "raw/deep/a.csv", true),
        ("raw/**/*.csv", "raw/deep/a.csv", true),
        ("x[0-9].{csv,tsv}", "x1.tsv", true),
    ] {
        check(pattern, file, excluded);
    }
    assert!(Filter::none().is_empty());
    for pattern in ["", "/", "//", "a[", "{a"] {
        let error = Filter::excluding([pattern]).unwrap_err();
        assert_eq!(error.pattern, pattern);
        assert!(error.to_string().contains("is not a pattern"), "{error}");
    }
}

#[test]
fn the_last_flag_that_matches_decides() {
    for (rules, selected, excluded) in [
        ("", "a a/b", ""),
        ("-*.tmp", "a a.tmpx", "a.tmp b/a.tmp"),
        ("-*.tmp +keep.tmp", "keep.tmp b/keep.tmp", "a.tmp"),
        ("+keep.tmp -*.tmp", "", "keep.tmp a.tmp"),
        ("-* +*.csv", "a.csv b/c/a.csv", "a b/c/a"),
        ("-* +data/", "data/a data/b/c x/data/a", "data a x/a"),
        ("-* +/data/**/*.csv", "data/a.csv data/b/a.csv", "data/a x/data/a.csv"),
        ("-cache/ +cache/keep", "cache/keep", "cache/a x/cache/keep"),
        ("-{a,b}.log", "c.log", "a.log x/b.log"),
        (r"-\!a", "a", "!a"),
    ] {
        check(rules, "", selected, excluded);
    }
}

/// The examples of git's manual, and what its pages promise of nested files.
#[test]
fn ignore_files_decide_as_in_git() {
    for (ignore, selected, excluded) in [
        (": *.[oa], /*.html, !foo.html", "foo.html a/x.html", "x.o a/x.a index.html"),
        (": /*, !/foo, /foo/*, !/foo/bar", "foo/bar foo/bar/x", "a foo/a a/foo/bar"),
        (": build/, !build/keep", "", "build/keep build/a"),
        (": *.log\nlogs/: !keep.log", "logs/keep.log", "keep.log logs/a.log logs/x.log"),
        (": *.log\nlogs/: !*.log, /a.log", "logs/b.log logs/x/a.log", "logs/a.log x.log"),
        (": \na/: /b", "b a/x/b", "a/b"),
        (": # no, , \\#yes, \\!x", "no x", "#yes !x"),
        (": foo/*, !foo/bar.html", "foo/bar.html", "foo/a"),
        (": **/cache, !/cache", "cache/a", "a/cache/b"),
    ] {
        check("", ignore, selected, excluded);
    }
}

#[test]
fn blanks_at_the_end_count_only_behind_a_backslash() {
    let files = BTreeMap::from([(String::new(), IgnoreFile::parse("", "\u{feff}a  \r\nb\\ \n  \n").unwrap())]);
    for (name, selected) in [("a", false), ("a  ", true), ("b ", false), ("b", true)] {
        assert_eq!(judge(Vec::new(), &files, name).1.is_selected(), selected, "{name:?}");
    }
}

#[test]
fn flags_outrank_ignore_files() {
    for (rules, ignore, selected, excluded) in [
        ("+keep.log", ": *.log", "keep.log a/keep.log", "a.log"),
        ("+build/keep.txt", ": build/", "build/keep.txt", "build/a x/build/keep.txt"),
        ("-*.csv", ": !*.csv", "a", "a.csv"),
        ("+build/", ": build/, *.o", "build/a build/b.o", "b.o"),
        ("", ": x", "a", ".bucketwrightignore a/.bucketwrightignore"),
        ("+.bucketwrightignore", ": x", ".bucketwrightignore", "x"),
    ] {
        check(rules, ignore, selected, excluded);
    }
    let unread = Filter::new(Vec::new(), false);
    assert!(Trail::new(unread, |_: &str| None).judge(".bucketwrightignore").1.is_selected());
}

#[test]
fn the_reason_names_the_rule_and_its_place() {
    let files = files(": *.tmp\na/b/: # first, !x.tmp, secret/");
    for (rules, name, about, text, place) in [
        ("", "a.tmp", "a.tmp", "*.tmp", ".bucketwrightignore:1"),
        ("", "a/b/x.tmp", "a/b/x.tmp", "!x.tmp", "a/b/.bucketwrightignore:2"),
        ("", "a/b/secret/c/d", "a/b/secret/", "secret/", "a/b/.bucketwrightignore:3"),
        ("-a/", "a/b/secret/c/d", "a/", "a/", "--exclude"),
        ("-a/ +d", "a/b/d", "a/b/d", "d", "--include"),
        ("", ".bucketwrightignore", ".bucketwrightignore", ".bucketwrightignore", "ignore files stay"),
    ] {
        let (found, judged) = judge(flags(rules), &files, name);
        let rule = judged.rule().unwrap();
        assert_eq!((found.as_str(), rule.text(), rule.to_string().as_str()), (about, text, place), "{rules} {name}");
    }
    let error = IgnoreFile::parse("a/", "fine\na[\n").unwrap_err();
    assert_eq!(error.to_string(), "line 2: `a[` is not a pattern: a `[` in it is not closed");
    assert!(Rule::flag("!x", false).unwrap_err().message.contains("--include"));
}

proptest! {
    /// The order of names does not matter, and neither does what was judged before.
    #[test]
    fn a_trail_judges_every_name_alone(
        names in vec("[ab](/[abc]){0,3}", 1..12),
        rules in vec("[-+](a|b|\\*|a/|/a/b|\\*\\*/c|b/\\*\\*)", 0..4),
        ignore in vec("(!?)(a|b|\\*|c/|/a|a/c)", 0..4),
    ) {
        let files = BTreeMap::from([
            (String::new(), IgnoreFile::parse("", &ignore.join("\n")).unwrap()),
            ("a/".to_owned(), IgnoreFile::parse("a/", "c\n!b").unwrap()),
        ]);
        let rules = flags(&rules.join(" "));
        let mut trail = Trail::new(Filter::new(rules.clone(), true), |directory: &str| files.get(directory).cloned());
        for name in &names {
            let (about, judged) = trail.judge(name);
            prop_assert_eq!((about.to_owned(), judged), judge(rules.clone(), &files, name));
        }
    }
}
