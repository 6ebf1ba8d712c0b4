//! Policy documents as values: parsed, compared whatever their spelling, and merged without losing foreign statements.
//!
//! IAM lets one value stand for a list of one and cares for no order inside lists, so text comparison would see changes
//! where there are none.
//! Source: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html>

use crate::model::PolicyJson;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// What a bucket policy may weigh, in bytes of JSON.
///
/// Source: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-policies.html>
pub const MAX_BUCKET_POLICY_BYTES: usize = 20 * 1024;

/// The start of the Sid of every statement that the tool writes. Foreign statements keep theirs and are never touched.
pub const OWN_SID_START: &str = "Bucketwright";

/// A policy document whose outer form has been checked: an object with a list of statement objects.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// Everything but the statements: `Version`, `Id`.
    head: Map<String, Value>,
    /// The statements in order.
    statements: Vec<Map<String, Value>>,
}

/// Why a text is no policy document.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    /// Not JSON at all.
    #[error("the policy is not JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// JSON of another form; the text names the place.
    #[error("the policy has no valid form: {0}")]
    Form(&'static str),
}

impl Document {
    /// A document of the current policy language without statements.
    pub fn empty() -> Self {
        let mut head = Map::new();
        head.insert("Version".to_owned(), json!("2012-10-17"));
        Self { head, statements: Vec::new() }
    }

    /// Reads a document's text.
    pub fn parse(text: &PolicyJson) -> Result<Self, DocumentError> {
        let Value::Object(mut head) = serde_json::from_str(&text.0)? else {
            return Err(DocumentError::Form("it is not an object"));
        };
        let listed = match head.shift_remove("Statement") {
            Some(Value::Array(statements)) => statements,
            Some(single @ Value::Object(_)) => vec![single],
            _ => return Err(DocumentError::Form("`Statement` is neither an object nor a list")),
        };
        let statements = listed.into_iter().map(|statement| match statement {
            Value::Object(fields) => Ok(fields),
            _ => Err(DocumentError::Form("a statement is not an object")),
        });
        Ok(Self { head, statements: statements.collect::<Result<_, _>>()? })
    }

    /// True without statements; such a document cannot be written.
    pub const fn is_empty(&self) -> bool {
        self.statements.is_empty()
    }

    /// The document as it is sent: compact, in its own order.
    pub fn render(&self) -> PolicyJson {
        let mut whole = self.head.clone();
        let statements = self.statements.iter().cloned().map(Value::Object).collect();
        whole.insert("Statement".to_owned(), Value::Array(statements));
        PolicyJson(Value::Object(whole).to_string())
    }

    /// The same document with the tool's own statements whose Sid `is_replaced` says so replaced by `wanted`, and every
    /// other one as it was.
    ///
    /// A wanted statement that a foreign one already says word for word is not added again.
    #[must_use]
    pub fn with_own_statements(&self, is_replaced: impl Fn(&str) -> bool, wanted: &[Value]) -> Self {
        let stays = |one: &&Map<String, Value>| !own_sid(one).is_some_and(&is_replaced);
        let mut statements: Vec<_> = self.statements.iter().filter(stays).cloned().collect();
        let foreign: Vec<_> = statements.iter().map(meaning).collect();
        let missing = wanted.iter().filter_map(Value::as_object).filter(|one| !foreign.contains(&meaning(one)));
        statements.extend(missing.cloned());
        Self { head: self.head.clone(), statements }
    }

    /// True if both documents mean the same, whatever the order and spelling of lists.
    pub fn means_the_same_as(&self, other: &Self) -> bool {
        let meanings = |document: &Self| -> BTreeSet<String> {
            document.statements.iter().map(|one| canonical_statement(one, true).to_string()).collect()
        };
        meanings(self) == meanings(other) && self.head.get("Version") == other.head.get("Version")
    }
}

fn own_sid(statement: &Map<String, Value>) -> Option<&str> {
    statement.get("Sid").and_then(Value::as_str).filter(|sid| sid.starts_with(OWN_SID_START))
}

/// A statement's meaning without its name.
fn meaning(statement: &Map<String, Value>) -> String {
    canonical_statement(statement, false).to_string()
}

/// Sorted keys, sorted lists of one or many, actions in lower case: equal texts for equal statements.
fn canonical_statement(statement: &Map<String, Value>, with_sid: bool) -> Value {
    let mut sorted: Vec<(String, Value)> = statement
        .iter()
        .filter(|(key, _)| with_sid || *key != "Sid")
        .map(|(key, value)| {
            let canonical = match key.as_str() {
                "Action" | "NotAction" => lower_case(list_of(value)),
                "Sid" | "Effect" => value.clone(),
                "Principal" | "NotPrincipal" if value == "*" => json!({ "AWS": ["*"] }),
                _ => canonical(value),
            };
            (key.clone(), canonical)
        })
        .collect();
    sorted.sort_by(|left, right| left.0.cmp(&right.0));
    Value::Object(sorted.into_iter().collect())
}

fn canonical(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let mut sorted: Vec<_> = fields.iter().map(|(key, value)| (key.clone(), canonical(value))).collect();
            sorted.sort_by(|left, right| left.0.cmp(&right.0));
            Value::Object(sorted.into_iter().collect())
        }
        other => list_of(other),
    }
}

/// One or many as a sorted list of texts: IAM reads `true` and `"true"` alike.
fn list_of(value: &Value) -> Value {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let texts: BTreeSet<String> = match value {
        Value::Array(values) => values.iter().map(text).collect(),
        single => BTreeSet::from([text(single)]),
    };
    Value::Array(texts.into_iter().map(Value::String).collect())
}

fn lower_case(list: Value) -> Value {
    match list {
        Value::Array(values) => list_of(&Value::Array(
            values.iter().filter_map(Value::as_str).map(|text| json!(text.to_ascii_lowercase())).collect(),
        )),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::Document;
    use crate::model::PolicyJson;
    use serde_json::{Value, json};

    fn document(statements: &Value) -> Document {
        Document::parse(&PolicyJson(json!({ "Version": "2012-10-17", "Statement": statements }).to_string())).unwrap()
    }

    fn own() -> Value {
        json!({ "Sid": "BucketwrightX", "Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": ["a", "b"] })
    }

    #[test]
    fn spelling_and_order_mean_nothing() {
        let one = document(&json!([own()]));
        let other = document(&json!({
            "Sid": "BucketwrightX", "Resource": ["b", "a"], "Action": ["S3:*"], "Principal": { "AWS": "*" }, "Effect": "Deny"
        }));
        assert!(one.means_the_same_as(&other));
        assert!(!one.means_the_same_as(&document(&json!([]))));
    }

    #[test]
    fn foreign_statements_stay_and_own_ones_are_replaced() {
        let foreign =
            json!({ "Sid": "Theirs", "Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "c" });
        let stale =
            json!({ "Sid": "BucketwrightOld", "Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "z" });
        let merged = document(&json!([foreign, stale])).with_own_statements(|_| true, &[own()]);
        assert!(merged.means_the_same_as(&document(&json!([foreign, own()]))));
    }

    #[test]
    fn own_statements_that_are_not_spoken_of_stay() {
        let found = document(&json!([own()]));
        assert_eq!(found.with_own_statements(|sid| sid == "BucketwrightOther", &[]), found);
    }

    #[test]
    fn a_foreign_statement_that_says_the_same_suffices() {
        let mut theirs = own();
        theirs["Sid"] = json!("DenyInsecure");
        let found = document(&json!([theirs]));
        assert!(found.with_own_statements(|_| true, &[own()]).means_the_same_as(&found));
    }

    #[test]
    fn what_is_no_policy_is_refused() {
        for text in ["", "[]", "{}", r#"{"Statement": 1}"#, r#"{"Statement": [1]}"#] {
            assert!(Document::parse(&PolicyJson(text.to_owned())).is_err(), "{text}");
        }
    }
}
