//! The project's Rust files as tidy and numbers look at them: tokens instead of text, so that a word in a comment or a
//! string is never taken for code.
#![expect(clippy::disallowed_methods, reason = "this is where chores read the tree")]

mod code;

pub(crate) use code::{Code, Function, Path};

use anyhow::{Context as _, Result};
use std::fs;

/// One Rust file.
#[derive(Debug)]
pub(crate) struct Source {
    /// Its path from the root, with `/` on every system.
    pub(crate) path: String,
    /// Its text.
    pub(crate) text: String,
    /// What its tokens say.
    pub(crate) code: Code,
    /// Whether all of it is a test, because a `#[cfg(test)] mod name;` names it.
    pub(crate) test: bool,
}

impl Source {
    /// Reads a file's text.
    pub(crate) fn parse(path: &str, text: String) -> Result<Self> {
        let code = Code::parse(&text, &module_path(path)).with_context(|| format!("cannot read `{path}` as Rust"))?;
        Ok(Self { path: path.to_owned(), text, code, test: false })
    }

    /// The module path from the crate root: `src/model/key.rs` is `model`, `key`; the roots are empty.
    pub(crate) fn module(&self) -> Vec<String> {
        module_path(&self.path)
    }

    /// Lines that count for size: all but those of tests.
    pub(crate) fn lines(&self) -> usize {
        self.text.lines().count() - self.test_lines()
    }

    /// Lines of tests.
    pub(crate) fn test_lines(&self) -> usize {
        if self.test { self.text.lines().count() } else { self.code.test_lines() }
    }

    /// Functions outside tests.
    pub(crate) fn functions(&self) -> impl Iterator<Item = &Function> {
        self.code.functions.iter().filter(|function| !self.test && !function.test)
    }

    /// Lines of documentation and lines that are not blank, both outside tests.
    pub(crate) fn documentation(&self) -> (usize, usize) {
        let counts = |line| !self.test && !self.code.is_test(line);
        let lines = || (1..).zip(self.text.lines()).filter(|(line, _)| counts(*line));
        let docs = lines().filter(|(_, text)| is_doc(text)).count();
        (docs, lines().filter(|(_, text)| !text.trim().is_empty()).count())
    }

    /// The files that a `mod name;` in this file can mean, in both spellings.
    pub(crate) fn module_files(&self, name: &str) -> [String; 2] {
        let (folder, stem) = self.path.rsplit_once('/').unwrap_or((".", &self.path));
        let folder = match stem {
            "main.rs" | "lib.rs" | "mod.rs" => folder.to_owned(),
            _ => format!("{folder}/{}", stem.trim_end_matches(".rs")),
        };
        [format!("{folder}/{name}.rs"), format!("{folder}/{name}/mod.rs")]
    }
}

/// Whether a line of text is a documentation comment.
fn is_doc(line: &str) -> bool {
    let line = line.trim_start();
    line.starts_with("//!") || (line.starts_with("///") && !line.starts_with("////"))
}

fn module_path(path: &str) -> Vec<String> {
    let inner = path.split_once("src/").or_else(|| path.split_once("tests/it/")).map_or(path, |(_, inner)| inner);
    let stem = inner.trim_end_matches(".rs").trim_end_matches("/mod");
    if matches!(stem, "lib" | "main") { Vec::new() } else { stem.split('/').map(str::to_owned).collect() }
}

/// Every text file of the project except build output, hidden folders and the lock file, sorted by path.
pub(crate) fn files(root: &std::path::Path) -> Result<Vec<(String, String)>> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).with_context(|| format!("cannot list `{}`", folder.display()))? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let hidden = name.starts_with('.') && name != ".ci";
            if hidden || name == "target" || name == "Cargo.lock" {
                continue;
            }
            let path = entry.path();
            if entry.file_type()?.is_dir() {
                folders.push(path);
            } else if let Ok(text) = fs::read_to_string(&path) {
                let relative = path.strip_prefix(root).unwrap_or(&path);
                found.push((relative.to_string_lossy().replace('\\', "/"), text));
            }
        }
    }
    found.sort();
    Ok(found)
}

/// The Rust files among `files`.
pub(crate) fn rust(files: &[(String, String)]) -> Result<Vec<Source>> {
    let rust = files.iter().filter(|(path, _)| path.ends_with(".rs"));
    let mut sources = rust.map(|(path, text)| Source::parse(path, text.clone())).collect::<Result<Vec<_>>>()?;
    let named =
        |file: &Source| file.code.test_modules.iter().flat_map(|name| file.module_files(name)).collect::<Vec<_>>();
    let tests: Vec<String> = sources.iter().flat_map(named).collect();
    for file in &mut sources {
        let inside = |test: &String| file.path.starts_with(&format!("{}/", test.trim_end_matches(".rs")));
        file.test = tests.iter().any(|test| *test == file.path || inside(test));
    }
    Ok(sources)
}
