//! Documents as Terraform configuration, for teams whose roles and policies Terraform manages.
//!
//! A document becomes the argument of `jsonencode`, so it stays an expression that Terraform checks. Inside of quoted
//! texts `${` and `%{` begin templates and are doubled, so that policy variables reach IAM as they are.
//! Source: <https://developer.hashicorp.com/terraform/language/expressions/strings>

use super::{Generated, Kind};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// One resource for each document.
pub fn render(documents: &[Generated]) -> String {
    let mut labels = BTreeSet::new();
    let resources: Vec<String> = documents.iter().map(|one| resource(one, &mut labels)).collect();
    resources.join("\n")
}

fn resource(one: &Generated, labels: &mut BTreeSet<String>) -> String {
    let (kind, argument) = match one.kind {
        Kind::Identity => ("aws_iam_policy", "policy"),
        Kind::Bucket(_) => ("aws_s3_bucket_policy", "policy"),
        Kind::Trust => ("aws_iam_role", "assume_role_policy"),
    };
    let named = if matches!(one.kind, Kind::Bucket(_)) { "bucket" } else { "name" };
    let width = argument.len().max(named.len());
    let label = label(kind, &one.name, labels);
    let mut text = format!("resource \"{kind}\" \"{label}\" {{\n");
    _ = writeln!(text, "  {named:width$} = {}", quoted(&one.name));
    _ = write!(text, "  {argument:width$} = jsonencode(");
    value(&one.document, 1, &mut text);
    text.push_str(")\n}\n");
    text
}

/// A label that is an identifier and not taken yet.
fn label(kind: &str, name: &str, labels: &mut BTreeSet<String>) -> String {
    let plain = |letter: char| if letter.is_ascii_alphanumeric() || letter == '-' { letter } else { '_' };
    let mut label: String = name.chars().map(plain).collect();
    if !label.starts_with(|letter: char| letter.is_ascii_alphabetic() || letter == '_') {
        label.insert(0, '_');
    }
    let base = label.clone();
    let mut number = 2;
    while !labels.insert(format!("{kind}.{label}")) {
        label = format!("{base}_{number}");
        number += 1;
    }
    label
}

/// Writes a JSON value as an expression.
fn value(value: &Value, depth: usize, out: &mut String) {
    let indent = |depth: usize| "  ".repeat(depth);
    match value {
        Value::Object(fields) if fields.is_empty() => out.push_str("{}"),
        Value::Object(fields) => {
            let width = fields.keys().map(|key| key_text(key).chars().count()).max().unwrap_or_default();
            out.push_str("{\n");
            for (key, field) in fields {
                _ = write!(out, "{}{:width$} = ", indent(depth + 1), key_text(key));
                self::value(field, depth + 1, out);
                out.push('\n');
            }
            _ = write!(out, "{}}}", indent(depth));
        }
        Value::Array(items) if items.is_empty() => out.push_str("[]"),
        Value::Array(items) => {
            out.push_str("[\n");
            for item in items {
                out.push_str(&indent(depth + 1));
                self::value(item, depth + 1, out);
                out.push_str(",\n");
            }
            _ = write!(out, "{}]", indent(depth));
        }
        Value::String(text) => out.push_str(&quoted(text)),
        Value::Null | Value::Bool(_) | Value::Number(_) => out.push_str(&value.to_string()),
    }
}

/// A key: an identifier as it is, anything else in quotes.
fn key_text(key: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let starts = key.starts_with(|letter: char| letter.is_ascii_alphabetic());
    if starts && key.chars().all(plain) { key.to_owned() } else { quoted(key) }
}

/// A quoted text that means itself.
///
/// Source: <https://developer.hashicorp.com/terraform/language/expressions/strings#escape-sequences>
fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '$' | '%' if letters.peek() == Some(&'{') => quoted.extend([letter, letter]),
            _ if letter.is_control() => _ = write!(quoted, "\\u{:04x}", u32::from(letter)),
            _ => quoted.push(letter),
        }
    }
    quoted.push('"');
    quoted
}
