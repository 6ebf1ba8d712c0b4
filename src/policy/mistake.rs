//! What is wrong with a document's form, and where. What is only unwise is the linter's business.

use super::path::DocumentPath;
use std::fmt;

/// One mistake in a document, with its place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct DocumentMistake {
    /// Where it stands.
    pub path: DocumentPath,
    /// What it is.
    pub fault: Fault,
}

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// No JSON at all.
    Syntax {
        /// The parser's words.
        message: String,
        /// Line, from one.
        line: usize,
        /// Column in bytes, from one.
        column: usize,
    },
    /// More text than any policy has.
    TooLarge {
        /// Its length.
        bytes: usize,
        /// What is read at most.
        most_bytes: usize,
    },
    /// Nested deeper than any policy is.
    TooDeep,
    /// A name that stands twice in one object, so that readers disagree on which one counts.
    Duplicate,
    /// Something of another JSON type than the grammar has there.
    WrongType {
        /// What belongs there.
        expected: &'static str,
        /// What stands there.
        found: &'static str,
    },
    /// An element that the grammar does not know.
    UnknownElement,
}

impl DocumentMistake {
    pub(super) const fn new(path: DocumentPath, fault: Fault) -> Self {
        Self { path, fault }
    }
}

impl fmt::Display for DocumentMistake {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = match self.path.depth() {
            0 => "the document".to_owned(),
            _ => format!("`{}`", self.path),
        };
        match &self.fault {
            Fault::Syntax { message, line, column } => {
                write!(out, "not JSON: {message} at line {line} column {column}")
            }
            Fault::TooLarge { bytes, most_bytes } => {
                write!(out, "{bytes} bytes are more than any policy has; at most {most_bytes} are read")
            }
            Fault::TooDeep => write!(out, "{place} is nested deeper than any policy"),
            Fault::Duplicate => write!(out, "{place} stands there twice"),
            Fault::WrongType { expected, found } => write!(out, "{place} must be {expected}, not {found}"),
            Fault::UnknownElement => write!(out, "{place} is no element of the policy language"),
        }
    }
}
