//! The project's Rust files as tidy and numbers look at them: tokens instead of text, so that a word in a comment or a
//! string is never taken for code.
#![expect(clippy::disallowed_methods, reason = "this is where chores read the tree")]

mod code;

pub(crate) use code::{Code, Path};

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
}

impl Source {
    /// Reads a file's text.
    pub(crate) fn parse(path: &str, text: String) -> Result<Self> {
        let code = Code::parse(&text, &module_path(path)).with_context(|| format!("cannot read `{path}` as Rust"))?;
        Ok(Self { path: path.to_owned(), text, code })
    }

    /// The module path from the crate root: `src/model/key.rs` is `model`, `key`; the roots are empty.
    pub(crate) fn module(&self) -> Vec<String> {
        module_path(&self.path)
    }

    /// Lines that count for size: all but those of test modules.
    pub(crate) fn lines(&self) -> usize {
        self.text.lines().count() - self.code.test_lines()
    }

    /// Lines of documentation and lines that are not blank, both outside test modules.
    pub(crate) fn documentation(&self) -> (usize, usize) {
        let lines = || (1..).zip(self.text.lines()).filter(|(line, _)| !self.code.is_test(*line));
        let docs = lines().filter(|(_, text)| is_doc(text)).count();
        (docs, lines().filter(|(_, text)| !text.trim().is_empty()).count())
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
    rust.map(|(path, text)| Source::parse(path, text.clone())).collect()
}
