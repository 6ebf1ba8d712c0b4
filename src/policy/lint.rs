//! The linter: what is wrong or unwise about a policy document, where it stands, and what to write instead.
//!
//! It knows no account and asks nobody. What it calls an error is one on every account; where AWS's own answer is not
//! documented it says less rather than more.

mod actions;
mod codes;
mod condition_values;
mod conditions;
mod folders;
mod listing;
mod principals;
mod redundancy;
mod resources;
mod s3_arn;
mod scope;
mod size;
mod structure;
mod traps;
mod variables;
mod wide;

pub use codes::{Code, codes};

use super::document::Document;
use super::json::Json;
use super::mistake::{DocumentMistake, Fault};
use super::parse::MAX_DOCUMENT_BYTES;
use super::path::DocumentPath;
use crate::model::BucketName;
use crate::report::{Finding, Severity};
use scope::{Scope, Whole};
use std::fmt;

/// What a policy is attached to, which decides what it may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PolicyType {
    /// A user, group or role.
    Identity,
    /// A bucket.
    Bucket,
    /// A user or role, as its boundary.
    Boundary,
    /// A session, when it is made.
    Session,
    /// An organization's accounts: a service control policy.
    Scp,
    /// An organization's resources: a resource control policy.
    Rcp,
    /// A role, to say who may take it.
    Trust,
}

impl PolicyType {
    /// True where statements must say whom they are about.
    const fn has_principals(self) -> bool {
        matches!(self, Self::Bucket | Self::Rcp | Self::Trust)
    }

    /// True where an `Allow` grants something, or is all that limits what others grant.
    const fn grants(self) -> bool {
        !matches!(self, Self::Scp | Self::Rcp)
    }
}

impl fmt::Display for PolicyType {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Identity => "an identity policy",
            Self::Bucket => "a bucket policy",
            Self::Boundary => "a permissions boundary",
            Self::Session => "a session policy",
            Self::Scp => "a service control policy",
            Self::Rcp => "a resource control policy",
            Self::Trust => "a trust policy",
        })
    }
}

/// What is linted.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// How findings name it: a file.
    pub target: &'a str,
    /// What it is attached to.
    pub kind: PolicyType,
    /// For a bucket policy, its bucket, if that is known.
    pub bucket: Option<&'a BucketName>,
}

/// Looks at a document's text. Findings come in the order of the document's places, the same for the same document
/// however it is laid out.
pub fn lint(text: &[u8], subject: &Subject<'_>) -> Vec<Finding> {
    let mut report = Report::new(subject.target);
    match read(text) {
        Ok((json, document)) => check(&json, &document, subject, &mut report),
        Err(mistakes) => mistakes.iter().for_each(|mistake| structure::mistake(mistake, subject.kind, &mut report)),
    }
    report.into_findings()
}

fn read(text: &[u8]) -> Result<(Json, Document), Vec<DocumentMistake>> {
    let one = |fault| vec![DocumentMistake::new(DocumentPath::root(), fault)];
    if text.len() > MAX_DOCUMENT_BYTES {
        return Err(one(Fault::TooLarge { bytes: text.len(), most_bytes: MAX_DOCUMENT_BYTES }));
    }
    // Editors on some systems begin a file with a mark that is not part of the JSON.
    let text = text.strip_prefix("\u{feff}".as_bytes()).unwrap_or(text);
    let text = std::str::from_utf8(text).map_err(|error| {
        let before = &text[..error.valid_up_to()];
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        let column = before.iter().rev().take_while(|byte| **byte != b'\n').count() + 1;
        one(Fault::Syntax { message: "not UTF-8".to_owned(), line, column })
    })?;
    let json = Json::parse(text)?;
    let document = Document::from_json(&json).map_err(|mistake| vec![mistake])?;
    Ok((json, document))
}

/// Every rule, on a document that could be read.
fn check(json: &Json, document: &Document, subject: &Subject<'_>, report: &mut Report) {
    if !size::check(json, subject.kind, report) {
        return;
    }
    structure::check(json, document, subject, report);
    let whole = Whole::new(document, subject);
    let scopes: Vec<Scope<'_>> = document.statements().iter().map(|statement| Scope::new(statement, &whole)).collect();
    for scope in &scopes {
        structure::check_statement(scope, report);
        actions::check(scope, report);
        resources::check(scope, report);
        principals::check(scope, report);
        conditions::check(scope, report);
        variables::check(scope, report);
        wide::check(scope, report);
        folders::check(scope, report);
        listing::check(scope, report);
        traps::check(scope, report);
    }
    redundancy::check(&scopes, report);
    traps::check_together(&scopes, subject.kind, report);
    resources::check_one_bucket(&scopes, subject, report);
}

/// What was found so far.
#[derive(Debug)]
struct Report {
    target: String,
    found: Vec<(DocumentPath, Finding)>,
    /// How many more near names are looked for, so that a hostile document costs little.
    hints_left: usize,
}

/// How many near names are looked for in one document.
const MOST_HINTS: usize = 100;

impl Report {
    fn new(target: &str) -> Self {
        Self { target: target.to_owned(), found: Vec::new(), hints_left: MOST_HINTS }
    }

    /// Adds a finding with its code's severity.
    fn add(&mut self, code: Code, path: &DocumentPath, message: impl Into<String>, fix: impl Into<String>) {
        self.add_as(code.severity, code, path, message, fix);
    }

    /// Adds a finding that weighs less than its code usually does.
    fn add_as(
        &mut self,
        severity: Severity,
        code: Code,
        path: &DocumentPath,
        message: impl Into<String>,
        fix: impl Into<String>,
    ) {
        let mut finding = Finding::new(code.name, severity, &self.target, message).with_fix(fix);
        finding.path = Some(path.pointer());
        self.found.push((path.clone(), finding));
    }

    /// The name that was meant, if one is near.
    fn nearest<'names>(&mut self, wrong: &str, names: impl IntoIterator<Item = &'names str>) -> Option<&'names str> {
        self.hints_left = self.hints_left.checked_sub(1)?;
        crate::layout::nearest(wrong, names)
    }

    /// The findings in the order of their places, each once.
    fn into_findings(mut self) -> Vec<Finding> {
        let rank = |finding: &Finding| std::cmp::Reverse(finding.severity);
        self.found.sort_by(|(left_path, left), (right_path, right)| {
            let by_place = left_path.cmp(right_path).then_with(|| rank(left).cmp(&rank(right)));
            by_place.then_with(|| left.code.cmp(right.code)).then_with(|| left.message.cmp(&right.message))
        });
        self.found.dedup_by(|(_, later), (_, earlier)| later == earlier);
        self.found.into_iter().map(|(_, finding)| finding).collect()
    }
}

#[cfg(test)]
mod tests;
