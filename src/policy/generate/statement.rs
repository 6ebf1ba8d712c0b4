//! One statement, its elements always in the same order and form.

use super::{Frame, literal};
use crate::model::{BucketName, Prefix};
use serde_json::{Map, Value, json};

/// A condition: operator, key, values.
pub(super) type Test<'text> = (&'text str, &'text str, Value);

/// An allowing statement on S3, with the account's guard if there is one.
pub(super) fn allow(sid: &str, actions: &[&str], resources: &[String], tests: &[Test<'_>], frame: &Frame) -> Value {
    let guard = frame.guard.as_ref().map(|account| ("StringEquals", "aws:ResourceAccount", json!(account.as_str())));
    let tests: Vec<Test<'_>> = tests.iter().cloned().chain(guard).collect();
    statement(sid, "Allow", actions, resources, &tests)
}

/// A statement. Actions and resources are always lists, so that documents differ only where they mean to.
pub(super) fn statement(sid: &str, effect: &str, actions: &[&str], resources: &[String], tests: &[Test<'_>]) -> Value {
    let mut statement = Map::new();
    statement.insert("Sid".to_owned(), json!(sid));
    statement.insert("Effect".to_owned(), json!(effect));
    statement.insert("Action".to_owned(), json!(actions));
    statement.insert("Resource".to_owned(), json!(resources));
    if !tests.is_empty() {
        let mut condition = Map::new();
        for (operator, key, values) in tests {
            let keys = condition.entry(*operator).or_insert_with(|| json!({}));
            keys[*key] = values.clone();
        }
        statement.insert("Condition".to_owned(), Value::Object(condition));
    }
    Value::Object(statement)
}

/// A document of the current language.
pub(super) fn document(statements: &[Value]) -> Value {
    json!({ "Version": crate::policy::CURRENT_VERSION, "Statement": statements })
}

/// The ARN pattern of everything below a prefix.
pub(super) fn objects(bucket: &BucketName, prefix: &Prefix, frame: &Frame) -> String {
    format!("{}/{}*", bucket.arn(&frame.partition), literal::pattern(prefix.as_str()))
}

/// The ARNs of buckets.
pub(super) fn buckets(buckets: &[&BucketName], frame: &Frame) -> Vec<String> {
    buckets.iter().map(|bucket| bucket.arn(&frame.partition)).collect()
}

/// One text as it is, several as a list.
pub(super) fn one_or_many(mut values: Vec<String>) -> Value {
    if values.len() == 1 { json!(values.remove(0)) } else { json!(values) }
}
