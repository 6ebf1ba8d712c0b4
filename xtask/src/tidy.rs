//! `cargo xtask tidy`: the rules of the house that neither the compiler nor clippy knows. The same checks run as a test.

mod floors;
mod manual;

use crate::source::{self, Source};
use anyhow::{Result, bail};
use floors::{Floor, Kind};
use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;

const MAX_FILE_LINES: usize = 800;
const MAX_FUNCTION_LINES: usize = 70;
const MAX_OWN_TRAITS: usize = 3;

/// Names that gather what belongs elsewhere.
const GRAB_BAGS: [&str; 10] =
    ["utils", "util", "helpers", "helper", "common", "manager", "managers", "misc", "types", "shared"];

/// Macros and keywords that a pure module does not hold.
const IMPURE_WORDS: [&str; 7] = ["async", "await", "println!", "eprintln!", "print!", "eprint!", "dbg!"];

/// Paths that a pure module does not hold; each matches at any depth.
const IMPURE_PATHS: [&[&str]; 11] = [
    &["tokio"],
    &["std", "fs"],
    &["std", "env"],
    &["net", "TcpListener"],
    &["net", "TcpStream"],
    &["net", "UdpSocket"],
    &["std", "process"],
    &["std", "thread"],
    &["SystemTime", "now"],
    &["Instant", "now"],
    &["Timestamp", "now"],
];

/// One broken rule.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Breach {
    path: String,
    line: usize,
    what: String,
}

impl fmt::Display for Breach {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}: {}", self.path, self.line, self.what)
    }
}

/// Checks the tree and prints what is wrong with it.
pub(crate) fn run(root: &Path) -> Result<()> {
    let files = source::files(root)?;
    let breaches = check(&files)?;
    if breaches.is_empty() {
        println!("tidy: {} files, nothing to mend", files.len());
        return Ok(());
    }
    breaches.iter().for_each(|breach| println!("{breach}"));
    bail!("tidy: {} to mend", breaches.len())
}

/// Every breach in the given files, each a path from the root and its text.
fn check(files: &[(String, String)]) -> Result<Vec<Breach>> {
    let rust = source::rust(files)?;
    let mut breaches = Vec::new();
    for file in &rust {
        breaches.extend(shape(file));
        if file.path.starts_with("src/") && file.path != "src/lib.rs" {
            breaches.extend(floor(file));
        }
    }
    breaches.extend(own_traits(&rust));
    breaches.extend(forgotten(&rust));
    breaches.extend(files.iter().flat_map(|(path, text)| foreign_places(path, text)));
    breaches.extend(manual::check(files, &bucketwright::cli::command()));
    breaches.sort();
    breaches.dedup();
    Ok(breaches)
}

fn breach(file: &Source, line: usize, what: impl Into<String>) -> Breach {
    Breach { path: file.path.clone(), line, what: what.into() }
}

/// What holds for every Rust file: it opens with a reason, keeps its size, has an honest name, allows no lint.
fn shape(file: &Source) -> Vec<Breach> {
    let mut found = Vec::new();
    if !file.text.starts_with("//! ") {
        found.push(breach(file, 1, "line 1 is no `//!` comment; say there why the file exists"));
    }
    if file.lines() > MAX_FILE_LINES {
        let what = format!("{} lines without tests, at most {MAX_FILE_LINES}; split it by noun", file.lines());
        found.push(breach(file, MAX_FILE_LINES, what));
    }
    for function in file.code.functions.iter().filter(|function| function.length > MAX_FUNCTION_LINES) {
        let (name, length) = (&function.name, function.length);
        let what = format!("`fn {name}` has {length} lines of code, at most {MAX_FUNCTION_LINES}; split it");
        found.push(breach(file, function.line, what));
    }
    let stem = file.path.rsplit('/').next().unwrap_or_default().trim_end_matches(".rs");
    let inner = file.code.modules.iter().map(|(name, line)| (name.as_str(), *line));
    for (name, line) in inner.chain([(stem, 1)]).filter(|(name, _)| GRAB_BAGS.contains(name)) {
        found.push(breach(file, line, format!("`{name}` says nothing; name the module by the noun it holds")));
    }
    for line in &file.code.allows {
        found.push(breach(file, *line, "`allow` hides for ever; write `#[expect(.., reason = \"..\")]`"));
    }
    found
}

/// What a module's floor asks: known, importing only what its row names, and pure where the row says so.
fn floor(file: &Source) -> Vec<Breach> {
    let module = file.module().first().cloned().unwrap_or_else(|| "main".to_owned());
    let Some(floor) = floors::of(&module) else {
        let what =
            format!("module `{module}` has no floor; add its row to xtask/src/tidy/floors.rs and ARCHITECTURE.md");
        return vec![breach(file, 1, what)];
    };
    if file.test {
        return Vec::new();
    }
    let mut found = imports(file, floor);
    if floor.kind == Kind::Pure {
        found.extend(impurities(file, floor));
    }
    found
}

fn imports(file: &Source, floor: &Floor) -> Vec<Breach> {
    let root = if floor.module == "main" { "bucketwright" } else { "crate" };
    let used = file.code.paths.iter().filter(|path| !path.test && path.segments[0] == root);
    let foreign = used.filter(|path| {
        let module = path.segments[1].as_str();
        module != floor.module && !floor.imports.contains(&module)
    });
    let allowed = if floor.imports.is_empty() { "nothing".to_owned() } else { floor.imports.join(", ") };
    let what = |path: &source::Path| {
        format!("`{}` imports `{}`; it may import: {allowed}", floor.module, path.segments[..2].join("::"))
    };
    foreign.map(|path| breach(file, path.line, what(path))).collect()
}

fn impurities(file: &Source, floor: &Floor) -> Vec<Breach> {
    let what =
        |word: &str| format!("`{word}` in `{}`, which is pure: take a value, or move it to an edge", floor.module);
    let words = file.code.words.iter().filter(|word| !word.test && IMPURE_WORDS.contains(&word.text.as_str()));
    let mut found: Vec<Breach> = words.map(|word| breach(file, word.line, what(&word.text))).collect();
    for path in file.code.paths.iter().filter(|path| !path.test) {
        let segments: Vec<&str> = path.segments.iter().map(String::as_str).collect();
        let sdk = segments[0].starts_with("aws_");
        if sdk || IMPURE_PATHS.iter().any(|impure| segments.windows(impure.len()).any(|part| part == *impure)) {
            found.push(breach(file, path.line, what(&segments.join("::"))));
        }
    }
    found
}

/// More traits of our own than the budget: enums, structs and closures do.
fn own_traits(rust: &[Source]) -> Option<Breach> {
    let sources = rust.iter().filter(|file| file.path.starts_with("src/") && !file.test);
    let traits: Vec<_> =
        sources.flat_map(|file| file.code.traits.iter().map(move |(name, line)| (file, name, line))).collect();
    let (file, _, line) = traits.get(MAX_OWN_TRAITS)?;
    let names: Vec<&str> = traits.iter().map(|(_, name, _)| name.as_str()).collect();
    Some(breach(file, **line, format!("{} own traits ({}), at most {MAX_OWN_TRAITS}", names.len(), names.join(", "))))
}

/// Files that no `mod` line names: they compile nowhere, and their tests never run.
fn forgotten(rust: &[Source]) -> Vec<Breach> {
    let declared: BTreeSet<String> = rust.iter().flat_map(declared_files).collect();
    let is_root = |path: &str| {
        let name = path.rsplit('/').next().unwrap_or_default();
        // Each target of the fuzzer is a program, which its manifest names.
        matches!(name, "main.rs" | "lib.rs" | "build.rs") || path.starts_with("fuzz/targets/")
    };
    let lost = rust.iter().filter(|file| !is_root(&file.path) && !declared.contains(&file.path));
    lost.map(|file| breach(file, 1, "no `mod` line names this file, so nothing compiles it")).collect()
}

/// The files that a file's `mod name;` lines name.
fn declared_files(file: &Source) -> Vec<String> {
    let names = file.code.modules.iter().map(|(name, _)| name.as_str());
    names.flat_map(|name| file.module_files(name)).collect()
}

/// Paths of one machine and hosts of package registries: the project runs on other machines, too.
fn foreign_places(path: &str, text: &str) -> Vec<Breach> {
    let folders = ["work", "root", "tmp"].map(|name| format!("/{name}/"));
    let hosts =
        [["crates", "io"], ["pypi", "org"], ["pythonhosted", "org"], ["npmjs", "org"]].map(|host| host.join("."));
    let mut found = Vec::new();
    for (line, content) in (1..).zip(text.lines()) {
        for place in folders.iter().chain(&hosts).filter(|place| content.contains(place.as_str())) {
            let what = format!("`{place}` ties the project to a machine or a registry; leave it out");
            found.push(Breach { path: path.to_owned(), line, what });
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::{Breach, check};

    #[test]
    fn the_tree_is_tidy() {
        let files = crate::source::files(crate::root()).unwrap();
        let breaches: Vec<String> = check(&files).unwrap().iter().map(ToString::to_string).collect();
        assert!(breaches.is_empty(), "`cargo xtask tidy` has to say:\n{}", breaches.join("\n"));
    }

    /// Breaches of a crate with a root that declares every given file.
    fn breaches(files: &[(&str, &str)]) -> Vec<Breach> {
        let names = files.iter().filter_map(|(path, _)| path.strip_prefix("src/")?.strip_suffix(".rs"));
        let mods: String = names.filter(|name| !name.contains('/')).map(|name| format!("mod {name};\n")).collect();
        let root = [("src/lib.rs".to_owned(), format!("//! Root.\n{mods}"))];
        let files = files.iter().map(|(path, text)| ((*path).to_owned(), format!("//! Why.\n{text}")));
        check(&root.into_iter().chain(files).collect::<Vec<_>>()).unwrap()
    }

    fn check_one(path: &str, text: &str, expected: &str) {
        let found: Vec<String> = breaches(&[(path, text)]).iter().map(ToString::to_string).collect();
        assert_eq!(found.join("\n"), expected, "{text}");
    }

    #[test]
    fn imports_against_the_table_name_file_line_and_what_is_allowed() {
        let said = "src/plan.rs:3: `plan` imports `crate::aws`; it may import: report, model";
        check_one("src/plan.rs", "use crate::model::Key;\nuse crate::{report, aws::Store};", said);
        check_one("src/plan.rs", "\nfn f() { super::aws::run() }", said);
        check_one("src/plan.rs", "#[cfg(test)]\nmod tests { use crate::aws::Store; }", "");
        let apart = [("src/plan.rs", "#[cfg(test)]\nmod tests;"), ("src/plan/tests.rs", "use crate::aws::Store;")];
        assert_eq!(breaches(&apart), []);
        let said = "src/model.rs:2: `model` imports `crate::plan`; it may import: nothing";
        check_one("src/model.rs", "use crate::plan::Plan;", said);
    }

    #[test]
    fn impure_words_are_found_in_pure_modules_only() {
        let tail = "in `plan`, which is pure: take a value, or move it to an edge";
        check_one("src/plan.rs", "async fn f() {}", &format!("src/plan.rs:2: `async` {tail}"));
        check_one("src/plan.rs", "use std::{fmt, fs::read};", &format!("src/plan.rs:2: `std::fs::read` {tail}"));
        check_one("src/plan.rs", "use aws_sdk_s3::Client;", &format!("src/plan.rs:2: `aws_sdk_s3::Client` {tail}"));
        let now = "fn f() -> u8 { jiff::Timestamp::now() }";
        check_one("src/plan.rs", now, &format!("src/plan.rs:2: `jiff::Timestamp::now` {tail}"));
        check_one("src/aws.rs", "async fn f() { tokio::spawn(g()).await }", "");
        check_one("src/plan.rs", "/// Not async, no println!().\nconst A: &str = \"std::fs::read\";", "");
    }

    #[test]
    fn files_without_floor_or_mod_line_are_found() {
        let said =
            "src/stray.rs:1: module `stray` has no floor; add its row to xtask/src/tidy/floors.rs and ARCHITECTURE.md";
        check_one("src/stray.rs", "", said);
        let said = "src/plan/lost.rs:1: no `mod` line names this file, so nothing compiles it";
        check_one("src/plan/lost.rs", "", said);
    }

    #[test]
    fn size_names_and_lints_are_checked() {
        let long = format!("fn long() {{\n{}}}", "g();\n".repeat(71));
        check_one("src/plan.rs", &long, "src/plan.rs:2: `fn long` has 71 lines of code, at most 70; split it");
        let said = "src/plan.rs:800: 801 lines without tests, at most 800; split it by noun";
        check_one("src/plan.rs", &"\n".repeat(800), said);
        let said = "src/plan.rs:2: `utils` says nothing; name the module by the noun it holds";
        check_one("src/plan.rs", "mod utils;", said);
        let said = "src/plan.rs:2: `allow` hides for ever; write `#[expect(.., reason = \"..\")]`";
        check_one("src/plan.rs", "#[allow(dead_code)]\nfn f() {}", said);
        let said = "src/plan.rs:5: 4 own traits (A, B, C, D), at most 3";
        check_one("src/plan.rs", "trait A {}\ntrait B {}\ntrait C {}\npub trait D {}", said);
    }

    #[test]
    fn places_of_one_machine_are_found_in_comments_too() {
        for place in [format!("/{}/", "tmp"), ["pypi", "org"].join(".")] {
            let said = format!("src/plan.rs:2: `{place}` ties the project to a machine or a registry; leave it out");
            check_one("src/plan.rs", &format!("// See {place}x."), &said);
        }
    }
}
