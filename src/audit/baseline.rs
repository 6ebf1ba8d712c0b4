//! Findings that somebody has looked at and accepted, as a file that people read and review: which, why, and until when.
//!
//! A finding is known by its code, its target and its place there. Once it weighs more than it did when it was accepted, or
//! the day is over until which it was, it counts again. An entry that nothing answers to any more is told, so that the file
//! does not accept what comes back later unseen.

use crate::report::{Acceptance, Finding, Severity};
use jiff::civil::Date;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

/// The form of the file that this version writes, and the only one that it reads.
const VERSION: u32 = 1;
/// What stands above the entries.
const HEAD: &str = "# Findings of `bucketwright policy audit` that were looked at and accepted.\n\
                    # Read by `--baseline`. An entry counts as long as code, target and place stay the same, and no longer than\n\
                    # `until` (YYYY-MM-DD).\n";

/// The accepted findings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Baseline {
    version: u32,
    #[serde(default, rename = "accepted", skip_serializing_if = "Vec::is_empty")]
    entries: Vec<Entry>,
}

/// One accepted finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    code: String,
    severity: Weight,
    target: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    place: String,
    reason: String,
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "day")]
    until: Option<Date>,
}

/// TOML has dates of its own, which people write as readily as texts.
fn day<'de, D: Deserializer<'de>>(value: D) -> Result<Option<Date>, D::Error> {
    let text = match toml::Value::deserialize(value)? {
        toml::Value::String(text) => text,
        toml::Value::Datetime(date) => date.to_string(),
        other => other.to_string(),
    };
    text.parse().map(Some).map_err(|_| D::Error::custom(format!("`{text}` is no day such as 2026-12-31")))
}

/// A severity as the file spells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Weight {
    Suggestion,
    Warning,
    SecurityWarning,
    Error,
}

/// Why a file is no baseline.
#[derive(Debug, thiserror::Error)]
pub enum BaselineError {
    /// It is not of the form.
    #[error("{0}")]
    Form(String),
    /// A later version wrote it.
    #[error("it has version {0}, and this program reads version {VERSION}")]
    Version(u32),
    /// Nobody says why something is accepted.
    #[error("the entry for `{code}` on `{target}` gives no `reason`")]
    NoReason {
        /// What is accepted.
        code: String,
        /// On what.
        target: String,
    },
    /// It cannot be written as TOML.
    #[error("it cannot be written: {0}")]
    Unwritable(#[from] toml::ser::Error),
}

/// How a baseline is brought up to date.
#[derive(Debug, Clone)]
pub struct Acceptor {
    /// Why what is new is accepted.
    pub reason: String,
    /// Until when.
    pub until: Option<Date>,
}

impl From<Severity> for Weight {
    fn from(severity: Severity) -> Self {
        match severity {
            Severity::Suggestion => Self::Suggestion,
            Severity::Warning => Self::Warning,
            Severity::SecurityWarning => Self::SecurityWarning,
            Severity::Error => Self::Error,
        }
    }
}

impl From<Weight> for Severity {
    fn from(weight: Weight) -> Self {
        match weight {
            Weight::Suggestion => Self::Suggestion,
            Weight::Warning => Self::Warning,
            Weight::SecurityWarning => Self::SecurityWarning,
            Weight::Error => Self::Error,
        }
    }
}

fn place(finding: &Finding) -> &str {
    finding.grounds.as_ref().map_or("", |grounds| grounds.place.as_str())
}

impl Entry {
    fn is_about(&self, finding: &Finding) -> bool {
        self.code == finding.code && self.target == finding.target && self.place == place(finding)
    }

    /// Why it does not count for a finding that it is about; none if it does.
    fn objection(&self, finding: &Finding, today: Date) -> Option<String> {
        let reason = &self.reason;
        match self.until.filter(|until| *until < today) {
            Some(until) => Some(format!("it was accepted until {until}: {reason}")),
            None if finding.severity > Severity::from(self.severity) => {
                Some(format!("it was accepted as {}, and is more now: {reason}", Severity::from(self.severity)))
            }
            None => None,
        }
    }

    fn acceptance(&self) -> Acceptance {
        Acceptance { reason: self.reason.clone(), until: self.until.map(|until| until.to_string()) }
    }
}

impl Default for Baseline {
    fn default() -> Self {
        Self { version: VERSION, entries: Vec::new() }
    }
}

impl Baseline {
    /// Reads the text of a file.
    pub fn parse(text: &str) -> Result<Self, BaselineError> {
        let form = |error: toml::de::Error| BaselineError::Form(error.to_string().trim_end().to_owned());
        let table: toml::Table = text.parse().map_err(form)?;
        if let Some(other) = table.get("version").and_then(toml::Value::as_integer)
            && other != i64::from(VERSION)
        {
            return Err(BaselineError::Version(u32::try_from(other).unwrap_or_default()));
        }
        let baseline: Self = toml::from_str(text).map_err(form)?;
        match baseline.entries.iter().find(|entry| entry.reason.trim().is_empty()) {
            Some(Entry { code, target, .. }) => {
                Err(BaselineError::NoReason { code: code.clone(), target: target.clone() })
            }
            None => Ok(baseline),
        }
    }

    /// The text of the file.
    pub fn render(&self) -> Result<String, BaselineError> {
        Ok(format!("{HEAD}{}", toml::to_string(self)?))
    }

    /// How many findings it accepts.
    pub const fn len(&self) -> usize {
        self.entries.len()
    }

    /// True if it accepts nothing.
    pub const fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Marks the findings that are accepted. What does not count any more says so in its evidence.
    pub fn accept(&self, findings: &mut [Finding], today: Date) {
        for finding in findings {
            let about: Vec<&Entry> = self.entries.iter().filter(|entry| entry.is_about(finding)).collect();
            let holds = about.iter().find(|entry| entry.objection(finding, today).is_none());
            let objection = about.first().and_then(|entry| entry.objection(finding, today));
            let grounds = finding.grounds.get_or_insert_default();
            match holds {
                Some(entry) => grounds.accepted = Some(entry.acceptance()),
                None => grounds.evidence.extend(objection),
            }
        }
    }

    /// A suggestion for each entry that nothing answers to, of those that were looked for.
    pub fn unmatched(
        &self,
        findings: &[Finding],
        name: &str,
        was_looked_for: impl Fn(&str, &str) -> bool,
    ) -> Vec<Finding> {
        let idle = self.entries.iter().filter(|entry| {
            was_looked_for(&entry.code, &entry.target) && !findings.iter().any(|finding| entry.is_about(finding))
        });
        idle.map(|entry| {
            let at = if entry.place.is_empty() { String::new() } else { format!(" at {}", entry.place) };
            let message = format!("`{}` on {}{at} is accepted, and not found any more", entry.code, entry.target);
            let fix =
                format!("take the entry out, or write the file anew: `--baseline {name} --write-baseline {name}`");
            Finding::new("audit-baseline-idle", Severity::Suggestion, name, message).with_fix(fix)
        })
        .collect()
    }

    /// The baseline that accepts all of these findings: entries that hold stay as they are, those that nothing answers to
    /// go, and what is new gets the acceptor's reason.
    #[must_use]
    pub fn renewed(&self, findings: &[Finding], acceptor: &Acceptor) -> Self {
        let mut entries: Vec<Entry> = Vec::new();
        for finding in findings {
            let known = self.entries.iter().find(|entry| finding.accepted().is_some() && entry.is_about(finding));
            let entry = known.cloned().unwrap_or_else(|| Entry {
                code: finding.code.to_owned(),
                severity: finding.severity.into(),
                target: finding.target.clone(),
                place: place(finding).to_owned(),
                reason: acceptor.reason.clone(),
                until: acceptor.until,
            });
            match entries.iter_mut().find(|one| one.is_about(finding)) {
                // Of several findings in one place the weightiest is what is accepted.
                Some(one) if Severity::from(one.severity) < finding.severity => one.severity = finding.severity.into(),
                Some(_) => {}
                None => entries.push(entry),
            }
        }
        let key = |entry: &Entry| (entry.target.clone(), entry.code.clone(), entry.place.clone());
        entries.sort_by_key(key);
        Self { version: VERSION, entries }
    }
}

#[cfg(test)]
mod tests {
    use super::{Acceptor, Baseline, BaselineError};
    use crate::report::{Finding, Severity};
    use jiff::civil::date;

    fn finding(code: &'static str, severity: Severity, target: &str, place: &str) -> Finding {
        Finding::new(code, severity, target, "so it is").with_grounds(place, vec!["seen".to_owned()])
    }

    fn found() -> Vec<Finding> {
        vec![
            finding("audit-unattached", Severity::Warning, "arn:aws:iam::1:policy/Old", ""),
            finding("BW_S3_FULL_ACCESS", Severity::Warning, "arn:aws:iam::1:policy/Wide", "/Statement/Own"),
        ]
    }

    fn renewed(until: Option<jiff::civil::Date>) -> Baseline {
        let acceptor = Acceptor { reason: "known since the move".to_owned(), until };
        Baseline::default().renewed(&found(), &acceptor)
    }

    fn new_of(baseline: &Baseline, mut findings: Vec<Finding>, today: jiff::civil::Date) -> Vec<String> {
        baseline.accept(&mut findings, today);
        let new = findings.iter().filter(|finding| finding.accepted().is_none());
        new.map(|finding| format!("{} {:?}", finding.code, finding.grounds.as_ref().unwrap().evidence)).collect()
    }

    #[test]
    fn what_was_written_accepts_what_was_found() {
        let baseline = renewed(Some(date(2026, 12, 31)));
        let text = baseline.render().unwrap();
        assert_eq!(Baseline::parse(&text).unwrap(), baseline, "{text}");
        assert!(text.contains("until = \"2026-12-31\""), "{text}");
        assert_eq!(new_of(&baseline, found(), date(2026, 12, 31)), [""; 0]);
        let later = new_of(&baseline, found(), date(2027, 1, 1));
        assert_eq!(later.len(), 2);
        assert!(later[0].contains("it was accepted until 2026-12-31: known since the move"), "{later:?}");
    }

    #[test]
    fn what_is_another_or_weighs_more_counts() {
        let baseline = renewed(None);
        let mut findings = found();
        findings[1].severity = Severity::SecurityWarning;
        findings.push(finding(
            "BW_S3_FULL_ACCESS",
            Severity::Warning,
            "arn:aws:iam::1:policy/Wide",
            "/Statement/Other",
        ));
        findings.push(finding("audit-unattached", Severity::Warning, "arn:aws:iam::1:policy/New", ""));
        let new = new_of(&baseline, findings, date(2026, 11, 23));
        assert_eq!(new.len(), 3, "{new:?}");
        assert!(new[0].contains("it was accepted as warning, and is more now"), "{new:?}");
    }

    #[test]
    fn entries_without_a_finding_are_told_and_go() {
        let baseline = renewed(None);
        let left = &found()[..1];
        let idle = baseline.unmatched(left, "audit.toml", |_, _| true);
        assert_eq!((idle.len(), idle[0].code, idle[0].severity), (1, "audit-baseline-idle", Severity::Suggestion));
        assert!(idle[0].message.contains("at /Statement/Own"), "{}", idle[0].message);
        assert!(baseline.unmatched(left, "audit.toml", |code, _| code.starts_with("audit-")).is_empty());
        let acceptor = Acceptor { reason: "another".to_owned(), until: None };
        let mut left = left.to_vec();
        baseline.accept(&mut left, date(2026, 11, 23));
        let kept = baseline.renewed(&left, &acceptor);
        assert_eq!(kept.entries, baseline.entries[..1], "the entry that holds keeps its reason");
    }

    #[test]
    fn days_are_texts_or_dates() {
        let entry = "version = 1\n[[accepted]]\ncode = \"x\"\nseverity = \"warning\"\ntarget = \"y\"\nreason = \"z\"\n";
        for until in ["2026-12-31", "\"2026-12-31\""] {
            let baseline = Baseline::parse(&format!("{entry}until = {until}\n")).unwrap();
            assert_eq!(baseline.entries[0].until, Some(date(2026, 12, 31)), "{until}");
        }
    }

    #[test]
    fn files_are_read_strictly() {
        let entry = "version = 1\n[[accepted]]\ncode = \"x\"\nseverity = \"warning\"\ntarget = \"y\"\nreason = \"z\"\n";
        assert!(Baseline::parse(entry).is_ok());
        for (text, words) in [
            (entry.replace("z", " "), "gives no `reason`"),
            (entry.replace("reason", "raeson"), "raeson"),
            (entry.replace("version = 1", "version = 2"), "version 2"),
            (entry.replace("warning", "grave"), "grave"),
            (format!("{entry}until = \"soon\"\n"), "soon"),
            ("[[accepted".to_owned(), "line 1"),
            (String::new(), "version"),
        ] {
            let error: BaselineError = Baseline::parse(&text).unwrap_err();
            assert!(error.to_string().contains(words), "{text}\n{error}");
        }
    }
}
