//! What pods that run this program tell: its JSON lines read back, by the contract that scripts read them by.
//!
//! A pod may run another version than this one, and its log may hold lines of others. So what is not just what the contract
//! says is shown as the line that it is.

use crate::report::{Access, ActionRecord, Cell, Finding, Severity, Status};
use serde::Deserialize;
use serde_json::Value;

/// The code of a finding that this version does not know.
const UNKNOWN_CODE: &str = "told-by-pod";
/// Codes of findings that are handed on as they are.
const CODES: [&str; 4] = ["probe-left", "account-hidden", "odd-file", "not-visible"];
/// The operations of a matrix.
const OPERATIONS: [&str; 6] = ["list", "get", "put", "delete", "multipart", "head-bucket"];
/// What a sync does.
const ACTIONS: [&str; 4] = ["upload", "download", "copy", "delete"];

/// One line of a pod's log.
#[derive(Debug, Clone, PartialEq)]
pub enum Told {
    /// As whom the pod asks AWS.
    Identity(String),
    /// A cell of the matrix.
    Cell(Cell),
    /// An action of a sync.
    Action(ActionRecord),
    /// Something that a person should see.
    Finding(Finding),
    /// Why it could not go on: its kind and message, and what to do.
    Error {
        /// In words.
        message: String,
        /// What to do.
        hints: Vec<String>,
    },
    /// The end of its run.
    Summary(Counts),
    /// Something that the contract knows and nobody asks about here.
    Aside,
    /// Anything else.
    Words(String),
}

/// What a run counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
pub struct Counts {
    /// Actions that were done.
    pub done: u64,
    /// Things that were as wanted already; for a verification, what passed.
    pub unchanged: u64,
    /// What was left out for cause.
    pub skipped: u64,
    /// What failed.
    pub failed: u64,
    /// Objects deleted.
    pub deleted: u64,
    /// Bytes moved.
    pub bytes: u64,
    /// The exit code.
    pub exit: u8,
}

/// Reads one line.
pub fn line(text: &str) -> Told {
    let words = || Told::Words(text.to_owned());
    let Ok(value) = serde_json::from_str::<Value>(text) else { return words() };
    let told = match value["type"].as_str() {
        Some("identity") => Some(value["arn"].as_str().map_or(Told::Aside, |arn| Told::Identity(arn.to_owned()))),
        Some("cell") => cell(&value),
        Some("action") => action(&value),
        Some("finding") => finding(&value),
        Some("error") => error(&value),
        Some("summary") => serde_json::from_value(value).ok().map(Told::Summary),
        Some("check" | "filter" | "node" | "symptom" | "decision") => Some(Told::Aside),
        _ => None,
    };
    told.unwrap_or_else(words)
}

fn text(value: &Value, name: &str) -> Option<String> {
    value[name].as_str().map(str::to_owned)
}

/// The one of these names that stands there.
fn known(value: &Value, name: &str, names: &[&'static str]) -> Option<&'static str> {
    names.iter().copied().find(|one| value[name] == **one)
}

fn access(value: &Value, name: &str) -> Option<Access> {
    Some(match value[name].as_str()? {
        "allow" => Access::Allow,
        "deny" => Access::Deny,
        "failed" => Access::Failed,
        "not-tried" => Access::NotTried,
        _ => return None,
    })
}

fn cell(value: &Value) -> Option<Told> {
    Some(Told::Cell(Cell {
        principal: text(value, "principal")?,
        operation: known(value, "operation", &OPERATIONS)?,
        target: text(value, "target")?,
        expected: access(value, "expected")?,
        observed: access(value, "observed")?,
        because: text(value, "because")?,
    }))
}

fn action(value: &Value) -> Option<Told> {
    Some(Told::Action(ActionRecord {
        status: match value["status"].as_str()? {
            "planned" => Status::Planned,
            "done" => Status::Done,
            "failed" => Status::Failed,
            "skipped" => Status::Skipped,
            _ => return None,
        },
        action: known(value, "action", &ACTIONS)?,
        target: text(value, "target")?,
        reason: text(value, "reason")?,
        setting: None,
        source: text(value, "source"),
        bytes: value["bytes"].as_u64(),
        proof: None,
        policy: None,
    }))
}

fn finding(value: &Value) -> Option<Told> {
    let severity = match value["severity"].as_str()? {
        "suggestion" => Severity::Suggestion,
        "warning" => Severity::Warning,
        "security-warning" => Severity::SecurityWarning,
        "error" => Severity::Error,
        _ => return None,
    };
    let (target, message) = (text(value, "target")?, text(value, "message")?);
    let finding = match known(value, "code", &CODES) {
        Some(code) => Finding::new(code, severity, target, message),
        None => Finding::new(UNKNOWN_CODE, severity, target, format!("{}: {message}", text(value, "code")?)),
    };
    Some(Told::Finding(Finding { fix: text(value, "fix"), path: text(value, "path"), ..finding }))
}

fn error(value: &Value) -> Option<Told> {
    let hints = value["hints"].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned);
    Some(Told::Error { message: text(value, "message")?, hints: hints.collect() })
}

/// What a pod told so far.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Report {
    /// As whom it asks AWS.
    pub identity: Option<String>,
    /// Its cells.
    pub cells: Vec<Cell>,
    /// Why it could not go on.
    pub errors: Vec<String>,
    /// Actions of a sync that were done so far, and their bytes.
    pub moved: (u64, u64),
    /// The last line that was none of the contract.
    pub last_words: Option<String>,
    /// The end of its run.
    pub counts: Option<Counts>,
}

impl Report {
    /// Takes in one line, and gives back what it was.
    pub fn hear(&mut self, text: &str) -> Told {
        let told = line(text);
        match &told {
            Told::Identity(arn) => self.identity = Some(arn.clone()),
            Told::Cell(cell) => self.cells.push(cell.clone()),
            Told::Error { message, .. } => self.errors.push(message.clone()),
            Told::Action(action) if action.status == Status::Done => {
                self.moved.0 += 1;
                self.moved.1 += action.bytes.unwrap_or_default();
            }
            Told::Summary(counts) => self.counts = Some(*counts),
            Told::Words(words) if !words.trim().is_empty() => self.last_words = Some(words.clone()),
            Told::Action(_) | Told::Finding(_) | Told::Aside | Told::Words(_) => {}
        }
        told
    }
}

/// The cells of a pod as those of whom it stands for, bucket by bucket.
pub fn by_bucket(cells: &[Cell], principal: &str) -> Vec<Vec<Cell>> {
    let bucket =
        |cell: &Cell| cell.target.strip_prefix("s3://").and_then(|rest| rest.split('/').next()).map(str::to_owned);
    let renamed: Vec<Cell> =
        cells.iter().map(|cell| Cell { principal: principal.to_owned(), ..cell.clone() }).collect();
    renamed.chunk_by(|one, other| bucket(one) == bucket(other)).map(<[Cell]>::to_vec).collect()
}

#[cfg(test)]
mod tests {
    use super::{Counts, Report, Told, by_bucket, line};
    use crate::report::{Access, Cell, Event, Finding, Severity, Summary};

    fn cell(target: &str) -> Cell {
        Cell {
            principal: "the caller".to_owned(),
            operation: "get",
            target: target.to_owned(),
            expected: Access::Allow,
            observed: Access::NotTried,
            because: "nobody could put it there".to_owned(),
        }
    }

    fn json(event: &Event) -> String {
        serde_json::to_string(event).unwrap()
    }

    #[test]
    fn what_is_written_is_read_back() {
        assert_eq!(line(&json(&Event::Cell(cell("s3://b/x/")))), Told::Cell(cell("s3://b/x/")));
        let finding = Finding::new("probe-left", Severity::Warning, "s3://b/k", "it stays").with_fix("delete it");
        assert_eq!(line(&json(&Event::Finding(finding.clone()))), Told::Finding(finding));
        let summary = Summary { unchanged: 7, failed: 1, exit: 4, ..Summary::default() };
        let counts = Counts { unchanged: 7, failed: 1, exit: 4, ..Counts::default() };
        assert_eq!(line(&json(&Event::Summary(summary))), Told::Summary(counts));
    }

    #[test]
    fn what_is_not_of_the_contract_stays_a_line() {
        for text in [
            "Traceback (most recent call last):",
            "{\"type\":\"cell\",\"principal\":\"x\"}",
            "{\"type\":\"summary\",\"done\":-1}",
            "{\"level\":\"info\"}",
            "[1, 2]",
            "",
        ] {
            assert_eq!(line(text), Told::Words(text.to_owned()), "{text}");
        }
        let odd = json(&Event::Cell(cell("s3://b/"))).replace("\"get\"", "\"dance\"");
        assert_eq!(line(&odd), Told::Words(odd.clone()));
        let newer = "{\"type\":\"finding\",\"code\":\"new-thing\",\"severity\":\"error\",\"target\":\"t\",\"message\":\"m\",\"more\":1}";
        let Told::Finding(finding) = line(newer) else { panic!("{newer}") };
        assert_eq!((finding.code, finding.message.as_str()), ("told-by-pod", "new-thing: m"));
    }

    #[test]
    fn a_report_grows_line_by_line() {
        let mut report = Report::default();
        let done = "{\"type\":\"action\",\"status\":\"done\",\"action\":\"upload\",\"target\":\"s3://b/k\",\"reason\":\"missing\",\"bytes\":5}";
        for text in [done, done, "{\"type\":\"error\",\"kind\":\"denied\",\"message\":\"no\",\"hints\":[]}", "odd", " "]
        {
            report.hear(text);
        }
        assert_eq!((report.moved, report.errors.len(), report.counts), ((2, 10), 1, None));
        assert_eq!(report.last_words.as_deref(), Some("odd"));
    }

    #[test]
    fn cells_stand_under_the_name_of_whom_the_pod_stands_for() {
        let cells = [cell("s3://a/x/"), cell("s3://a/y/"), cell("s3://b/x/")];
        let told = by_bucket(&cells, "service account ml/a");
        assert_eq!(told.iter().map(Vec::len).collect::<Vec<_>>(), [2, 1]);
        assert!(told.iter().flatten().all(|cell| cell.principal == "service account ml/a"));
    }
}
