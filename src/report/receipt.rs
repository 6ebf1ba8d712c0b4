//! The receipt: what a run put in place, one JSON object a line, so that it can be verified without the source.

use crate::model::{Algorithm, Checksum, ETag, ObjectKey};
use serde::{Deserialize, Serialize};
use std::io;

/// One object in place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiptRow {
    /// The key.
    pub key: ObjectKey,
    /// Its length in bytes.
    pub size: u64,
    /// The ETag, without quotes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<ETag>,
    /// The CRC-64/NVME of its content in base64, if it was computed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crc64nvme: Option<String>,
    /// The MD5 of its content in hex, if it was computed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub md5: Option<String>,
    /// Its version, in a bucket with versioning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version_id: Option<String>,
    /// How it is known that the object holds the file's content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<String>,
}

/// A line of a receipt that is none.
#[derive(Debug, thiserror::Error)]
#[error("line {line} is not a receipt row")]
pub struct ReceiptError {
    /// The line, from 1 on.
    pub line: usize,
    #[source]
    source: serde_json::Error,
}

impl ReceiptRow {
    /// The stored form of the CRC-64/NVME, if the row has a valid one.
    pub fn crc64nvme(&self) -> Option<Checksum> {
        Checksum::from_base64(Algorithm::Crc64Nvme, self.crc64nvme.as_deref()?).ok()
    }
}

/// Writes the rows, one a line.
pub fn write(rows: &[ReceiptRow], out: &mut dyn io::Write) -> io::Result<()> {
    for row in rows {
        serde_json::to_writer(&mut *out, row)?;
        out.write_all(b"\n")?;
    }
    Ok(())
}

/// Reads a receipt; empty lines and fields that a later version may add are passed over.
pub fn parse(text: &str) -> Result<Vec<ReceiptRow>, ReceiptError> {
    let lines = text.lines().zip(1..).filter(|(line, _)| !line.trim().is_empty());
    lines
        .map(|(line, number)| serde_json::from_str(line).map_err(|source| ReceiptError { line: number, source }))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{ReceiptRow, parse, write};
    use crate::model::{Checksum, ETag};

    fn row(key: &str) -> ReceiptRow {
        ReceiptRow {
            key: key.parse().unwrap(),
            size: 9,
            etag: Some(ETag::new("25f9e794323b453885f5181f1b624d0b")),
            crc64nvme: Some("rosUhgp5mIg=".to_owned()),
            md5: None,
            version_id: None,
            proof: Some("checksum echoed".to_owned()),
        }
    }

    #[test]
    fn rows_come_back() {
        let rows = [row("p/new\nline.csv"), row("p/é")];
        let mut text = Vec::new();
        write(&rows, &mut text).unwrap();
        let text = String::from_utf8(text).unwrap();
        assert_eq!(text.lines().count(), 2, "one row is one line");
        assert!(text.starts_with(r#"{"key":"p/new\nline.csv","size":9,"etag":"25f9e794323b453885f5181f1b624d0b","#));
        assert_eq!(parse(&text).unwrap(), rows);
        assert_eq!(rows[0].crc64nvme(), Some(Checksum::crc64nvme(0xAE8B_1486_0A79_9888)));
    }

    #[test]
    fn a_bad_line_is_named() {
        let error = parse("{\"key\":\"a\",\"size\":1,\"later\":true}\n\n{\"key\":\"\",\"size\":1}\n").unwrap_err();
        assert_eq!(error.to_string(), "line 3 is not a receipt row");
    }
}
