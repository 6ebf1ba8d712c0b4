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
    let label = label(kind, &one.name, labels);
    let mut text = format!("resource \"{kind}\" \"{label}\" {{\n  {named} = {}\n", quoted(&one.name));
    _ = write!(text, "  {argument} = jsonencode(");
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

/// Writes a JSON value as an expression, laid out as `terraform fmt` does.
fn value(value: &Value, depth: usize, out: &mut String) {
    let indent = |depth: usize| "  ".repeat(depth);
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            out.push_str("{\n");
            let fields: Vec<(String, &Value)> = fields.iter().map(|(key, field)| (key_text(key), field)).collect();
            // Signs stand below each other as long as nothing between them takes several lines.
            for run in fields.chunk_by(|(_, one), (_, next)| is_short(one) && is_short(next)) {
                let width = run.iter().map(|(key, _)| key.chars().count()).max().unwrap_or_default();
                for (key, field) in run {
                    _ = write!(out, "{}{key:width$} = ", indent(depth + 1));
                    self::value(field, depth + 1, out);
                    out.push('\n');
                }
            }
            _ = write!(out, "{}}}", indent(depth));
        }
        Value::Array(items) if !is_short(value) => {
            out.push_str("[\n");
            for item in items {
                out.push_str(&indent(depth + 1));
                self::value(item, depth + 1, out);
                out.push_str(",\n");
            }
            _ = write!(out, "{}]", indent(depth));
        }
        Value::Array(items) => {
            out.push('[');
            items.iter().for_each(|item| self::value(item, depth, out));
            out.push(']');
        }
        Value::String(text) => out.push_str(&quoted(text)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => out.push_str(&value.to_string()),
    }
}

/// True for what takes one line.
fn is_short(value: &Value) -> bool {
    match value {
        Value::Object(fields) => fields.is_empty(),
        Value::Array(items) => {
            items.is_empty() || matches!(&items[..], [item] if !item.is_object() && !item.is_array())
        }
        _ => true,
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

#[cfg(test)]
mod tests {
    use super::{label, quoted, render};
    use crate::policy::generate::{Generated, Kind};
    use serde_json::json;
    use std::collections::BTreeSet;

    #[test]
    fn texts_mean_themselves() {
        for (text, expected) in [
            ("a", r#""a""#),
            ("${aws:username}/*", r#""$${aws:username}/*""#),
            ("$${x}", r#""$$${x}""#),
            ("%{if}", r#""%%{if}""#),
            ("$ %", r#""$ %""#),
            ("a\"b\\c\n\u{7}", r#""a\"b\\c\n\u0007""#),
            ("$", r#""$""#),
        ] {
            assert_eq!(quoted(text), expected, "{text}");
        }
    }

    #[test]
    fn labels_are_identifiers_and_each_is_used_once() {
        let mut labels = BTreeSet::new();
        let mut of = |name: &str| label("aws_iam_policy", name, &mut labels);
        assert_eq!([of("a.b@c"), of("a_b_c"), of("1x"), of("P")], ["a_b_c", "a_b_c_2", "_1x", "P"]);
    }

    #[test]
    fn a_resource_reads_as_terraform_writes_it() {
        let document = json!({
            "Version": "2012-10-17",
            "Statement": [{ "Sid": "A", "Effect": "Allow", "Action": ["s3:GetObject"], "Resource": ["a", "b"], "Condition": {
                "StringEquals": { "s3:prefix": "", "s3:delimiter": "/" } } }],
        });
        let one = Generated { name: "P-1".to_owned(), kind: Kind::Identity, document };
        let expected = r#"resource "aws_iam_policy" "P-1" {
  name = "P-1"
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid    = "A"
        Effect = "Allow"
        Action = ["s3:GetObject"]
        Resource = [
          "a",
          "b",
        ]
        Condition = {
          StringEquals = {
            "s3:prefix"    = ""
            "s3:delimiter" = "/"
          }
        }
      },
    ]
  })
}
"#;
        assert_eq!(render(&[one]), expected);
    }
}
