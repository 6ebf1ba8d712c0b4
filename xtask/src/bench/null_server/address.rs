//! What a request's target names: bucket, key, and the query's parameters. Pure.

use anyhow::{Context as _, Result};
use std::fmt::Write as _;

/// A target, path style, with every escape resolved.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Address {
    /// Empty for the root.
    pub(super) bucket: String,
    /// Empty for a bucket.
    pub(super) key: String,
    parameters: Vec<(String, String)>,
}

impl Address {
    /// Reads the target of a request line.
    pub(super) fn parse(target: &str) -> Result<Self> {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let path = decode(path.trim_start_matches('/'), false)?;
        let (bucket, key) = path.split_once('/').unwrap_or((&path, ""));
        let pairs = query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Ok((decode(name, true)?, decode(value, true)?))
        });
        let parameters = pairs.collect::<Result<_>>()?;
        Ok(Self { bucket: bucket.to_owned(), key: key.to_owned(), parameters })
    }

    /// The value of a parameter, empty if it has none.
    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(parameter, _)| parameter == name).map(|(_, value)| value.as_str())
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.parameter(name).is_some()
    }

    /// Bucket and key, as objects are kept by.
    pub(super) fn path(&self) -> String {
        format!("{}/{}", self.bucket, self.key)
    }
}

/// Text with its percent escapes resolved, and `+` as a space in a query.
fn decode(text: &str, is_query: bool) -> Result<String> {
    if !text.contains(['%', '+']) {
        return Ok(text.to_owned());
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, behind @ ..] = rest {
        rest = behind;
        match (first, behind) {
            (b'%', [high, low, behind @ ..]) => {
                let digits = [*high, *low];
                let digits = std::str::from_utf8(&digits).with_context(|| format!("a broken escape in `{text}`"))?;
                bytes.push(u8::from_str_radix(digits, 16).with_context(|| format!("a broken escape in `{text}`"))?);
                rest = behind;
            }
            (b'+', _) if is_query => bytes.push(b' '),
            _ => bytes.push(*first),
        }
    }
    String::from_utf8(bytes).with_context(|| format!("`{text}` is not UTF-8"))
}

/// Text as a listing with `encoding-type=url` shows it.
pub(super) fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'*' | b'/' => out.push(char::from(byte)),
            _ => {
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{Address, encode};

    #[track_caller]
    fn check(target: &str, bucket: &str, key: &str, parameters: &[(&str, &str)]) {
        let address = Address::parse(target).unwrap();
        assert_eq!((address.bucket.as_str(), address.key.as_str()), (bucket, key), "{target}");
        for (name, value) in parameters {
            assert_eq!(address.parameter(name), Some(*value), "{target}");
        }
        assert_eq!(address.parameters.len(), parameters.len(), "{target}");
    }

    #[test]
    fn targets() {
        check("/", "", "", &[]);
        check("/b", "b", "", &[]);
        check("/b?location", "b", "", &[("location", "")]);
        check("/b/a/b%20c+d%2Be", "b", "a/b c+d+e", &[]);
        check(
            "/b/?list-type=2&prefix=a%2Fb+c&x=%E2%98%83",
            "b",
            "",
            &[("list-type", "2"), ("prefix", "a/b c"), ("x", "☃")],
        );
        check(
            "/b/k?partNumber=3&uploadId=9&x-id=UploadPart",
            "b",
            "k",
            &[("partNumber", "3"), ("uploadId", "9"), ("x-id", "UploadPart")],
        );
        for broken in ["/b/%zz", "/b/%ff"] {
            assert!(Address::parse(broken).is_err(), "{broken}");
        }
    }

    #[test]
    fn encoded_keys_come_back() {
        for key in ["plain/key.txt", "a b+c%d&e?f#g", "ünïcode/☃", "line\nbreak"] {
            assert_eq!(Address::parse(&format!("/b/{}", encode(key))).unwrap().key, key);
        }
        assert_eq!(encode("a b/c(3)"), "a%20b/c%283%29");
    }
}
