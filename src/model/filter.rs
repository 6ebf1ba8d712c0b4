//! What a sync leaves out: rules from the command line or a layout, and ignore files in the tree, in gitignore's syntax.
//!
//! Rules of the command line are held against a name and every directory above it, and the last that matches decides.
//! Where none matches, ignore files decide as in git: the innermost file that has a matching rule, its last such rule, and
//! nothing below a directory that is left out comes back.

mod pattern;
mod trail;

pub use trail::Trail;

use pattern::{Pattern, alternatives};
use std::fmt;
use std::sync::Arc;

/// The name of ignore files.
pub const IGNORE_FILE: &str = ".bucketwrightignore";

/// A pattern, and what becomes of what it matches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    patterns: Vec<Pattern>,
    includes: bool,
    text: String,
    origin: Origin,
}

/// Where a rule stands.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Origin {
    /// `--exclude` or `--include`.
    Flag,
    /// `exclude` of a dataset.
    Layout,
    /// A line of an ignore file.
    File {
        /// The file's path below the root.
        file: String,
        /// From 1 on.
        line: usize,
    },
    /// Ignore files stay where they are.
    Own,
}

/// Why a text is no pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{pattern}` is not a pattern: {message}")]
pub struct PatternError {
    /// The pattern as it was given.
    pub pattern: String,
    /// What is wrong with it.
    pub message: String,
}

/// Why an ignore file is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {error}")]
pub struct IgnoreFileError {
    /// From 1 on.
    pub line: usize,
    /// What is wrong with it.
    pub error: PatternError,
}

/// The rules of one ignore file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct IgnoreFile {
    rules: Vec<Arc<Rule>>,
}

/// What is left out, by every rule but those of ignore files.
#[derive(Debug, Clone)]
pub struct Filter {
    flags: Arc<[Arc<Rule>]>,
    /// The rule that leaves ignore files out; none where they are not read.
    own: Option<Arc<Rule>>,
}

/// What decides about the names in one directory.
#[derive(Debug, Clone, Default)]
pub struct Scope {
    /// The last rule of the command line that matches the directory or one above it.
    flag: Option<usize>,
    /// The rule of an ignore file that leaves the directory out; only where rules of the command line may bring back
    /// something below it.
    ignored: Option<Arc<Rule>>,
    files: Option<Arc<Files>>,
}

/// The ignore files in force, innermost first.
#[derive(Debug)]
struct Files {
    /// How many bytes of a path belong to the file's directory and its slash.
    base_bytes: usize,
    rules: Vec<Arc<Rule>>,
    outer: Option<Arc<Self>>,
}

/// What becomes of a name, and the rule that decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judgement {
    /// It is taken: no rule left it out, or this one brought it back.
    Selected(Option<Arc<Rule>>),
    /// It is left out.
    Excluded(Arc<Rule>),
}

impl Rule {
    /// A rule of `--exclude`, or of `--include`. `{a,b}` in it are alternatives.
    pub fn flag(text: &str, includes: bool) -> Result<Self, PatternError> {
        if text.starts_with('!') {
            let message = "a rule that brings back is written with `--include`; a name that starts with `!` with `\\!`";
            return Err(PatternError { pattern: text.to_owned(), message: message.to_owned() });
        }
        Self::braced(text, includes, Origin::Flag)
    }

    fn braced(text: &str, includes: bool, origin: Origin) -> Result<Self, PatternError> {
        let parsed = alternatives(text).and_then(|texts| texts.iter().map(|text| Pattern::parse(text)).collect());
        let patterns = parsed.map_err(|message| PatternError { pattern: text.to_owned(), message })?;
        Ok(Self { patterns, includes, text: text.to_owned(), origin })
    }

    /// The rule as it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether it brings back what it matches.
    pub const fn includes(&self) -> bool {
        self.includes
    }

    fn matches(&self, path: &str, is_directory: bool) -> bool {
        self.patterns.iter().any(|pattern| pattern.matches(path, is_directory))
    }
}

/// Where the rule stands: `--exclude`, `exclude`, or `data/.bucketwrightignore:3`.
impl fmt::Display for Rule {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.origin {
            Origin::Flag if self.includes => out.write_str("--include"),
            Origin::Flag => out.write_str("--exclude"),
            Origin::Layout => out.write_str("exclude"),
            Origin::File { file, line } => write!(out, "{file}:{line}"),
            Origin::Own => out.write_str("ignore files stay"),
        }
    }
}

impl IgnoreFile {
    /// Parses the file of `directory`, a path below the root that is empty or ends in `/`.
    ///
    /// As in git: empty lines and those that start with `#` say nothing, `!` brings back, blanks at the end count only
    /// behind a backslash. Unlike in git, a line that is no pattern is an error, since what it was to keep back would go.
    pub fn parse(directory: &str, text: &str) -> Result<Self, IgnoreFileError> {
        let mut rules = Vec::new();
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        for (line, number) in text.lines().zip(1..) {
            let line = without_blanks(line);
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (pattern, includes) = line.strip_prefix('!').map_or((line, false), |pattern| (pattern, true));
            let parsed = Pattern::parse(pattern).map_err(|message| IgnoreFileError {
                line: number,
                error: PatternError { pattern: line.to_owned(), message },
            })?;
            let origin = Origin::File { file: format!("{directory}{IGNORE_FILE}"), line: number };
            rules.push(Arc::new(Rule { patterns: vec![parsed], includes, text: line.to_owned(), origin }));
        }
        Ok(Self { rules })
    }
}

/// A line without the blanks at its end, of which one behind a backslash stays.
fn without_blanks(line: &str) -> &str {
    let bare = line.trim_end_matches([' ', '\t', '\r']);
    let escaped = bare.len() - bare.trim_end_matches('\\').len();
    let blank = line[bare.len()..].starts_with(' ');
    if escaped % 2 == 1 && blank { &line[..=bare.len()] } else { bare }
}

impl Filter {
    /// The rules of the command line in their order, and whether ignore files are read.
    pub fn new(rules: Vec<Rule>, reads_ignore_files: bool) -> Self {
        let own = || {
            let patterns = Pattern::parse(IGNORE_FILE).into_iter().collect();
            Arc::new(Rule { patterns, includes: false, text: IGNORE_FILE.to_owned(), origin: Origin::Own })
        };
        Self { flags: rules.into_iter().map(Arc::new).collect(), own: reads_ignore_files.then(own) }
    }

    /// Leaves nothing out.
    pub fn none() -> Self {
        Self { flags: Arc::new([]), own: None }
    }

    /// Leaves out what a layout's `exclude` names, and reads no ignore files.
    ///
    /// A pattern without `/` matches a name at any depth: `*.tmp`. A pattern with `/` matches the whole path below the
    /// source: `raw/*.csv`, `/notes.txt`. A trailing `/` matches directories only. `*` stops at `/`, `**` does not, and
    /// `{a,b}` are alternatives. A directory that matches is left out with all that is in it.
    pub fn excluding<'text>(patterns: impl IntoIterator<Item = &'text str>) -> Result<Self, PatternError> {
        let rules = patterns.into_iter().map(|text| Rule::braced(text, false, Origin::Layout).map(Arc::new));
        Ok(Self { flags: rules.collect::<Result<_, _>>()?, own: None })
    }

    /// True if this run was told to leave something out, which another run may well take.
    pub fn has_flags(&self) -> bool {
        !self.flags.is_empty()
    }

    /// True if nothing is ever left out, whatever the tree holds.
    pub fn is_empty(&self) -> bool {
        self.flags.is_empty() && self.own.is_none()
    }

    /// Decides about what has the path `relative` below the root and stands in the directory of `scope`.
    pub fn judge(&self, scope: &Scope, relative: &str, is_directory: bool) -> Judgement {
        match self.flag(scope, relative, is_directory).and_then(|place| self.flags.get(place)) {
            Some(rule) if rule.includes => Judgement::Selected(Some(Arc::clone(rule))),
            Some(rule) => Judgement::Excluded(Arc::clone(rule)),
            None => self.judge_by_files(scope, relative, is_directory),
        }
    }

    fn judge_by_files(&self, scope: &Scope, relative: &str, is_directory: bool) -> Judgement {
        let own = self.own.as_ref().filter(|rule| !is_directory && rule.matches(relative, false));
        if let Some(rule) = own.or(scope.ignored.as_ref()) {
            return Judgement::Excluded(Arc::clone(rule));
        }
        let mut files = scope.files.as_ref();
        while let Some(file) = files {
            let below = relative.get(file.base_bytes..).unwrap_or_default();
            match file.rules.iter().rev().find(|rule| rule.matches(below, is_directory)) {
                Some(rule) if rule.includes => return Judgement::Selected(Some(Arc::clone(rule))),
                Some(rule) => return Judgement::Excluded(Arc::clone(rule)),
                None => files = file.outer.as_ref(),
            }
        }
        Judgement::Selected(None)
    }

    /// The last rule of the command line that matches the path or a directory above it.
    fn flag(&self, scope: &Scope, relative: &str, is_directory: bool) -> Option<usize> {
        // An earlier rule than that of a directory above could decide nothing.
        let first = scope.flag.map_or(0, |place| place + 1);
        let later = self.flags.get(first..).unwrap_or_default();
        later.iter().rposition(|rule| rule.matches(relative, is_directory)).map(|place| first + place).or(scope.flag)
    }

    /// What decides about the names in the directory `relative`; or the rule by which none of them can be taken.
    pub fn inside(&self, scope: &Scope, relative: &str) -> Result<Scope, Arc<Rule>> {
        let flag = self.flag(scope, relative, true);
        let judged = self.judge(scope, relative, true);
        let Judgement::Excluded(rule) = judged else {
            return Ok(Scope { flag, ignored: None, files: scope.files.clone() });
        };
        let mut later = self.flags.get(flag.map_or(0, |place| place + 1)..).unwrap_or_default().iter();
        let below =
            |rule: &Arc<Rule>| rule.includes && rule.patterns.iter().any(|pattern| pattern.may_match_below(relative));
        if later.any(below) {
            let ignored = if flag.is_none() { Some(rule) } else { None };
            return Ok(Scope { flag, ignored, files: scope.files.clone() });
        }
        Err(rule)
    }

    /// True if an ignore file in the directory of `scope` can change anything.
    pub const fn wants_ignore_file(&self, scope: &Scope) -> bool {
        self.own.is_some() && scope.flag.is_none() && scope.ignored.is_none()
    }
}

impl Scope {
    /// The same with the ignore file of the directory itself, a path that is empty or ends in `/`.
    #[must_use]
    pub fn with_ignore_file(self, directory: &str, file: IgnoreFile) -> Self {
        let files = Files { base_bytes: directory.len(), rules: file.rules, outer: self.files };
        Self { files: Some(Arc::new(files)), ..self }
    }
}

impl Judgement {
    /// True for what is taken.
    pub const fn is_selected(&self) -> bool {
        matches!(self, Self::Selected(_))
    }

    /// The rule that decided; none if no rule matched.
    pub const fn rule(&self) -> Option<&Arc<Rule>> {
        match self {
            Self::Selected(rule) => rule.as_ref(),
            Self::Excluded(rule) => Some(rule),
        }
    }
}

#[cfg(test)]
mod tests;
