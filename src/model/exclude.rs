//! Patterns of files to leave out of a dataset.

use globset::{Candidate, GlobBuilder, GlobSet, GlobSetBuilder};
use std::path::Path;

/// Compiled patterns, relative to a source. A directory that matches is left out with all that is in it.
///
/// A pattern without `/` matches a name at any depth: `*.tmp`. A pattern with `/` matches the whole path below the
/// source: `raw/*.csv`, `/notes.txt`. A trailing `/` matches directories only. `*` stops at `/`, `**` does not.
#[derive(Debug, Clone, Default)]
pub struct Excludes {
    anything: GlobSet,
    directories: GlobSet,
}

/// Why a text is no pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{pattern}` is not a pattern: {message}")]
pub struct ExcludeError {
    /// The pattern as it was given.
    pub pattern: String,
    /// What is wrong with it.
    pub message: String,
}

impl Excludes {
    /// Compiles the patterns; the first that is none is the error.
    pub fn parse<'text>(patterns: impl IntoIterator<Item = &'text str>) -> Result<Self, ExcludeError> {
        let (mut anything, mut directories) = (GlobSetBuilder::new(), GlobSetBuilder::new());
        for pattern in patterns {
            let wrong = |message: String| ExcludeError { pattern: pattern.to_owned(), message };
            let bare = pattern.strip_suffix('/').unwrap_or(pattern);
            let anchored = bare.strip_prefix('/').unwrap_or(bare);
            if anchored.is_empty() {
                return Err(wrong("it names nothing".to_owned()));
            }
            let text = if bare.contains('/') { anchored.to_owned() } else { format!("**/{anchored}") };
            let glob = GlobBuilder::new(&text).literal_separator(true).backslash_escape(true).build();
            let glob = glob.map_err(|error| wrong(error.kind().to_string()))?;
            if bare == pattern {
                anything.add(glob)
            } else {
                directories.add(glob)
            };
        }
        let build = |set: &GlobSetBuilder| {
            set.build().map_err(|error| ExcludeError { pattern: String::new(), message: error.to_string() })
        };
        Ok(Self { anything: build(&anything)?, directories: build(&directories)? })
    }

    /// True if the entry at `relative`, a path below the source, is left out.
    pub fn matches(&self, relative: &Path, is_directory: bool) -> bool {
        if self.anything.is_empty() && self.directories.is_empty() {
            return false;
        }
        let candidate = Candidate::new(relative);
        self.anything.is_match_candidate(&candidate)
            || (is_directory && self.directories.is_match_candidate(&candidate))
    }
}

#[cfg(test)]
mod tests {
    use super::Excludes;
    use std::path::Path;

    fn check(pattern: &str, file: &str, excluded: bool) {
        let excludes = Excludes::parse([pattern]).unwrap();
        let (path, is_directory) = file.strip_suffix('/').map_or((file, false), |path| (path, true));
        assert_eq!(excludes.matches(Path::new(path), is_directory), excluded, "`{pattern}` on `{file}`");
    }

    #[test]
    fn patterns() {
        for (pattern, file, excluded) in [
            ("*.tmp", "a.tmp", true),
            ("*.tmp", "deep/down/a.tmp", true),
            ("*.tmp", "a.tmpx", false),
            (".git", ".git/", true),
            ("cache/", "cache/", true),
            ("cache/", "deep/cache/", true),
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
        assert!(!Excludes::default().matches(Path::new("a"), false));
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for pattern in ["", "/", "//", "a[", "{a"] {
            let error = Excludes::parse([pattern]).unwrap_err();
            assert_eq!(error.pattern, pattern);
            assert!(error.to_string().contains("is not a pattern"), "{error}");
        }
    }
}
