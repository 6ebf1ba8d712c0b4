//! The documents of the linter's cases, completed where a case only holds what differs from a sound statement.
#![expect(clippy::disallowed_methods, reason = "cases are files")]

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

/// A document and what it is attached to.
#[derive(Debug, Clone)]
pub(crate) struct LintCase {
    /// How messages name it.
    pub(crate) name: String,
    /// The word of `policy lint --type`.
    pub(crate) kind: String,
    /// For a bucket policy its bucket.
    pub(crate) bucket: Option<String>,
    /// The document.
    pub(crate) document: Value,
}

/// The items of a file of `tests/cases/policy`.
pub(crate) fn items(root: &Path, name: &str) -> Result<Vec<Value>> {
    let path = root.join("tests/cases/policy").join(name);
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read `{}`", path.display()))?;
    Ok(serde_json::from_str(&text)?)
}

/// Every document of `lint.json`, `lint-clean.json` and `lint-codes.json`.
pub(crate) fn read(root: &Path) -> Result<Vec<LintCase>> {
    let mut found = Vec::new();
    for case in [items(root, "lint.json")?, items(root, "lint-clean.json")?].concat() {
        let text = |names: [&str; 2]| names.iter().find_map(|name| case[*name].as_str()).map(str::to_owned);
        found.push(LintCase {
            name: text(["id", "title"]).unwrap_or_default(),
            kind: text(["policy_type", "type"]).unwrap_or_else(|| "identity".to_owned()),
            bucket: text(["bucket", "bucket"]),
            document: case["document"].clone(),
        });
    }
    for (number, case) in items(root, "lint-codes.json")?.iter().enumerate() {
        let kind = case["type"].as_str().unwrap_or("identity");
        let code = case["code"].as_str().unwrap_or_default();
        let bad = with(&document(kind, &case["bad"], &case["more"]), &case["document"]);
        let good = case.get("good").map(|good| document(kind, good, &case["good_more"]));
        for (name, document) in [("bad", Some(bad)), ("good", good)] {
            let Some(document) = document else { continue };
            let bucket = (kind == "bucket").then(|| "lake".to_owned());
            found.push(LintCase { name: format!("{code} {number} {name}"), kind: kind.to_owned(), bucket, document });
        }
    }
    Ok(found)
}

fn document(kind: &str, elements: &Value, more: &Value) -> Value {
    let mut statements = vec![with(&statement(kind), elements)];
    statements.extend(more.as_array().into_iter().flatten().cloned());
    json!({"Version": "2012-10-17", "Statement": statements})
}

/// A sound statement of each type.
fn statement(kind: &str) -> Value {
    let object = "arn:aws:s3:::lake/*";
    match kind {
        "bucket" => {
            json!({"Effect": "Allow", "Principal": {"AWS": "111111111111"}, "Action": "s3:GetObject", "Resource": object})
        }
        "scp" => json!({"Effect": "Deny", "Action": "s3:DeleteBucket", "Resource": "*"}),
        "rcp" => json!({"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "*"}),
        "trust" => {
            let principal = json!({"AWS": "arn:aws:iam::111111111111:role/x"});
            json!({"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"})
        }
        _ => json!({"Effect": "Allow", "Action": "s3:GetObject", "Resource": object}),
    }
}

/// `base` with some elements replaced; `null` takes one away.
fn with(base: &Value, elements: &Value) -> Value {
    let mut whole = base.as_object().cloned().unwrap_or_default();
    for (name, value) in elements.as_object().into_iter().flatten() {
        match value {
            Value::Null => whole.shift_remove(name),
            value => whole.insert(name.clone(), value.clone()),
        };
    }
    Value::Object(whole)
}
