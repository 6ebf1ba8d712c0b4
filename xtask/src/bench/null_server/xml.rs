//! The few XML documents of S3's object calls. Pure: text in, text out.

use std::borrow::Cow;
use std::fmt::Write as _;

/// A document with this content; S3's clients find its root by name, some by name space as well.
pub(super) fn document(content: &str) -> String {
    const SPACE: &str = " xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"";
    let mut text = String::with_capacity(content.len() + 100);
    text.push_str("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    match content.find('>') {
        Some(end) if !content.starts_with("<Error>") => {
            text.push_str(&content[..end]);
            text.push_str(SPACE);
            text.push_str(&content[end..]);
        }
        _ => text.push_str(content),
    }
    text
}

/// Adds an element with text in it.
pub(super) fn element(out: &mut String, name: &str, text: &str) {
    let _ = write!(out, "<{name}>{}</{name}>", escape(text));
}

/// Text as it stands in a document.
pub(super) fn escape(text: &str) -> Cow<'_, str> {
    if !text.contains(['<', '>', '&', '"', '\'', '\n', '\r', '\t']) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        match character {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            '\n' | '\r' | '\t' | '\'' => {
                let _ = write!(out, "&#{};", u32::from(character));
            }
            _ => out.push(character),
        }
    }
    Cow::Owned(out)
}

/// The text of every element `name` that holds no others.
pub(super) fn texts(document: &str, name: &str) -> Vec<String> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    let behind = document.split(&open).skip(1);
    behind.filter_map(|rest| rest.find(&close).map(|end| unescape(&rest[..end]))).collect()
}

/// The text that stands so in a document.
fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find('&') {
        out.push_str(&rest[..start]);
        rest = &rest[start..];
        let end = rest.find(';').unwrap_or(0);
        match entity(rest[..end].trim_start_matches('&')) {
            Some(character) => {
                out.push(character);
                rest = &rest[end + 1..];
            }
            None => {
                out.push('&');
                rest = &rest[1..];
            }
        }
    }
    out.push_str(rest);
    out
}

fn entity(name: &str) -> Option<char> {
    match name {
        "lt" => Some('<'),
        "gt" => Some('>'),
        "amp" => Some('&'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                None => number.parse().ok()?,
            };
            char::from_u32(code)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{document, escape, texts};

    #[test]
    fn text_comes_back_out_of_a_document() {
        for key in ["plain", "a & b", "<\"'>", "tab\tline\n", "ünïcode ☃", "&amp;"] {
            let text = document(&format!("<Delete><Object><Key>{}</Key></Object></Delete>", escape(key)));
            assert_eq!(texts(&text, "Key"), [key]);
        }
        assert_eq!(texts("<Key>a&#x41;&#66;&unknown;&</Key><Key/>", "Key"), ["aAB&unknown;&"]);
    }

    #[test]
    fn the_name_space_stands_on_the_root_but_not_on_errors() {
        let space = "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"";
        assert!(document("<A><B></B></A>").ends_with(&format!("<A {space}><B></B></A>")));
        assert!(document("<Error></Error>").ends_with("\n<Error></Error>"));
    }
}
