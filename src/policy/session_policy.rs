//! The policy that is passed when a session is made: checked before anybody relies on it, since nobody sees it later.

use super::json::Json;
use super::lint::{PolicyType, Subject, lint};
use crate::report::{Finding, Severity};

/// What a session policy of more characters than AWS takes is told with, which elsewhere is only a warning: quotas of
/// other policies can be raised.
const TOO_LONG: &str = "POLICY_SIZE_EXCEEDS_IDENTITY_POLICY_QUOTA";

/// A document that AWS would take for a session: free of errors, and of at most 2,048 characters without white space.
///
/// The second limit of AWS, that of its packed form, is not documented and not known here.
/// Source: <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html>
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionPolicy {
    text: String,
}

/// Why a document cannot limit a session.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{target}` cannot be a session policy: {}", .problems.join("; "))]
pub struct SessionPolicyError {
    target: String,
    problems: Vec<String>,
}

impl SessionPolicy {
    /// Checks a document, which messages call `target`. Everything that is wrong comes back at once.
    pub fn parse(target: &str, text: &[u8]) -> Result<Self, SessionPolicyError> {
        let findings = lint(text, &Subject { target, kind: PolicyType::Session, bucket: None });
        let refused = |found: &Finding| found.severity == Severity::Error || found.code == TOO_LONG;
        let problems: Vec<String> = findings.iter().filter(|found| refused(found)).map(told).collect();
        let failed = |problems| SessionPolicyError { target: target.to_owned(), problems };
        if !problems.is_empty() {
            return Err(failed(problems));
        }
        let text = String::from_utf8_lossy(text);
        let json = Json::parse(text.strip_prefix('\u{feff}').unwrap_or(&text));
        let json = json.map_err(|mistakes| failed(mistakes.iter().map(ToString::to_string).collect()))?;
        Ok(Self { text: json.compact() })
    }

    /// The document without white space between its tokens.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

fn told(finding: &Finding) -> String {
    match finding.path.as_deref().filter(|path| !path.is_empty()) {
        Some(path) => format!("at `{path}` {} ({})", finding.message, finding.code),
        None => format!("{} ({})", finding.message, finding.code),
    }
}

#[cfg(test)]
mod tests {
    use super::SessionPolicy;

    fn document(keys: &str) -> String {
        format!(
            r#"{{"Version": "2012-10-17", "Statement": {{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::lake/{keys}"}}}}"#
        )
    }

    #[test]
    fn white_space_between_tokens_is_left_out() {
        for text in [document("a b"), format!("\u{feff}{}", document("a b").replace(": ", " :\n\t"))] {
            let policy = SessionPolicy::parse("team.json", text.as_bytes());
            let compact = document("a b").replace(": ", ":").replace(", ", ",");
            assert_eq!(policy.unwrap().as_str(), compact, "{text}");
        }
    }

    #[test]
    fn what_aws_would_refuse_is_refused() {
        let room = 2048 - document("").replace(' ', "").len();
        assert_eq!(SessionPolicy::parse("f", document(&"x".repeat(room)).as_bytes()).unwrap().as_str().len(), 2048);
        let long = document(&"x".repeat(room + 1));
        let effect = document("x").replace("Allow", "allow");
        let principal = document("x").replace(r#""Effect""#, r#""Principal": "*", "Effect""#);
        for (text, words) in [
            (long.as_str(), "a session policy has at most 2048 characters; this has 2049"),
            (&effect, "/Statement/Effect"),
            (&principal, "/Statement/Principal"),
            ("{", "line 1, column 1: "),
            ("{}", "MISSING_STATEMENT"),
            ("", "JSON_SYNTAX_ERROR"),
        ] {
            let error = SessionPolicy::parse("team.json", text.as_bytes()).unwrap_err().to_string();
            assert!(error.starts_with("`team.json` cannot be a session policy: "), "{error}");
            assert!(error.contains(words), "{words}: {error}");
        }
    }
}
