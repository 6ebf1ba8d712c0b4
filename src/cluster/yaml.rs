//! Values as YAML that people can read: block style, and quotes wherever a plain word could mean something else.
//!
//! JSON is YAML, so a string that needs quotes is written as JSON writes it.
//! Source: <https://yaml.org/spec/1.2.2/#chapter-7-flow-style-productions>

use crate::model::{is_hidden, spell_out};
use serde_json::Value;

/// The value as a document, without the line of dashes before it.
pub(super) fn document(value: &Value) -> String {
    let mut text = String::new();
    block(value, 0, &mut text);
    text
}

fn block(value: &Value, indent: usize, text: &mut String) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                text.push_str(&" ".repeat(indent));
                field(name, value, indent, text);
            }
        }
        Value::Array(items) => {
            for item in items {
                text.push_str(&" ".repeat(indent));
                text.push_str("- ");
                match item {
                    // The first field stands beside the dash.
                    Value::Object(fields) if !fields.is_empty() => {
                        for (index, (name, value)) in fields.iter().enumerate() {
                            if index > 0 {
                                text.push_str(&" ".repeat(indent + 2));
                            }
                            field(name, value, indent + 2, text);
                        }
                    }
                    item => {
                        text.push_str(&scalar(item));
                        text.push('\n');
                    }
                }
            }
        }
        value => {
            text.push_str(&scalar(value));
            text.push('\n');
        }
    }
}

fn field(name: &str, value: &Value, indent: usize, text: &mut String) {
    text.push_str(&word(name));
    text.push(':');
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            text.push('\n');
            block(value, indent + 2, text);
        }
        Value::Array(items) if !items.is_empty() => {
            text.push('\n');
            block(value, indent + 2, text);
        }
        Value::String(long) if is_literal(long) => {
            text.push_str(if long.ends_with('\n') { " |\n" } else { " |-\n" });
            for line in long.lines() {
                if !line.is_empty() {
                    text.push_str(&" ".repeat(indent + 2));
                    text.push_str(line);
                }
                text.push('\n');
            }
        }
        value => {
            text.push(' ');
            text.push_str(&scalar(value));
            text.push('\n');
        }
    }
}

/// True for text that stays itself as a block of lines.
fn is_literal(text: &str) -> bool {
    let first = text.chars().next();
    text.contains('\n')
        && !text.ends_with("\n\n")
        && first.is_some_and(|letter| letter != ' ' && letter != '\n')
        && !text.chars().any(|letter| is_hidden(letter) && letter != '\n')
        && !text.lines().any(|line| !line.is_empty() && line.trim().is_empty())
}

fn scalar(value: &Value) -> String {
    match value {
        Value::String(text) => word(text),
        Value::Array(_) => "[]".to_owned(),
        Value::Object(_) => "{}".to_owned(),
        other => other.to_string(),
    }
}

/// A text, in quotes unless every reader takes it for just this text.
fn word(text: &str) -> String {
    let first = text.chars().next();
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "_./-".contains(letter);
    let reads_as_text = first.is_some_and(|letter| letter.is_ascii_alphabetic() || letter == '/')
        && text.chars().all(plain)
        && !["true", "false", "yes", "no", "on", "off", "null", "y", "n"].contains(&text.to_ascii_lowercase().as_str());
    if reads_as_text { text.to_owned() } else { quoted(text) }
}

fn quoted(text: &str) -> String {
    spell_out(&Value::from(text).to_string())
}

#[cfg(test)]
mod tests {
    use super::document;
    use serde_json::json;

    #[test]
    fn blocks_nest_and_words_that_mean_something_are_quoted() {
        let value = json!({
            "kind": "Job", "count": 3, "flag": true, "none": [], "empty": {},
            "args": ["--a=b", "yes", "1.5", "plain/word", ""],
            "list": [{ "name": "x", "deep": { "w": "z" } }],
            "app.kubernetes.io/name": "a: b",
        });
        assert_eq!(
            document(&value),
            "kind: Job\ncount: 3\nflag: true\nnone: []\nempty: {}\nargs:\n  - \"--a=b\"\n  - \"yes\"\n  - \"1.5\"\n  \
             - plain/word\n  - \"\"\nlist:\n  - name: x\n    deep:\n      w: z\napp.kubernetes.io/name: \"a: b\"\n"
        );
    }

    #[test]
    fn text_of_several_lines_is_a_block_if_it_stays_itself() {
        let text = |text: &str| document(&json!({ "t": text }));
        assert_eq!(text("a = 1\n\n  b\n"), "t: |\n  a = 1\n\n    b\n");
        assert_eq!(text("a\nb"), "t: |-\n  a\n  b\n");
        for odd in [" a\nb\n", "a\n\n", "a\tb\nc", "a\r\nb", "\n", "a\n  \nb", "a\u{85}\nb"] {
            assert!(text(odd).starts_with("t: \""), "{odd:?}");
        }
        assert_eq!(text("a\u{85}b\u{7f}"), "t: \"a\\u0085b\\u007f\"\n");
    }
}
