//! One unfinished upload in parts, as `uploads list` shows it.

use crate::model::{HumanBytes, HumanCount};
use serde::Serialize;
use std::fmt;

/// An upload in parts that nobody completed or aborted yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UploadRecord {
    /// The object that it would become: `s3://bucket/key`.
    pub target: String,
    /// The service's name for it.
    pub upload_id: String,
    /// When it was begun (RFC 3339), if the endpoint says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub initiated: Option<String>,
    /// How long ago that is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub age_s: Option<u64>,
    /// Who began it, if the endpoint says so: an ARN or an account's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub initiator: Option<String>,
    /// How many parts it has; absent if this identity may not see them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parts: Option<u64>,
    /// Their bytes, which are paid for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// Whether this user began it from this machine with this program, whose next run goes on with it.
    pub ours: bool,
    /// The local file, for ours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
}

impl UploadRecord {
    /// `3 parts, 24.0 MiB, 8 d old`
    pub fn size_and_age(&self) -> String {
        let parts = match self.parts {
            Some(1) => "1 part".to_owned(),
            Some(parts) => format!("{} parts", HumanCount(parts)),
            None => "unknown parts".to_owned(),
        };
        let bytes = self.bytes.filter(|bytes| *bytes > 0).map(|bytes| format!(", {}", HumanBytes(bytes)));
        let age = self.age_s.map(|seconds| format!(", {} old", Age(seconds)));
        format!("{parts}{}{}", bytes.unwrap_or_default(), age.unwrap_or_default())
    }
}

/// `3 parts, 24.0 MiB, 8 d old, by arn:aws:iam::..., id X`; of ours the file instead of who began it.
impl fmt::Display for UploadRecord {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.size_and_age())?;
        match (&self.source, &self.initiator) {
            (Some(source), _) => write!(out, ", ours from {source}")?,
            (None, Some(initiator)) => write!(out, ", by {initiator}")?,
            (None, None) => {}
        }
        write!(out, ", id {}", self.upload_id)
    }
}

/// An age in its largest whole unit: `40 s`, `7 min`, `3 h`, `12 d`.
struct Age(u64);

impl fmt::Display for Age {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            seconds @ ..120 => write!(out, "{seconds} s"),
            seconds @ 120..7_200 => write!(out, "{} min", seconds / 60),
            seconds @ 7_200..172_800 => write!(out, "{} h", seconds / 3600),
            seconds => write!(out, "{} d", seconds / 86_400),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::UploadRecord;

    #[test]
    fn what_a_person_wants_to_know() {
        let record = |parts, bytes, age_s, source: Option<&str>| UploadRecord {
            target: "s3://bucket/key".to_owned(),
            upload_id: "id-1".to_owned(),
            initiated: None,
            age_s,
            initiator: Some("arn:aws:iam::123456789012:user/x".to_owned()),
            parts,
            bytes,
            ours: source.is_some(),
            source: source.map(str::to_owned),
        };
        for (record, text) in [
            (
                record(Some(3), Some(25_165_824), Some(700_000), None),
                "3 parts, 24.0 MiB, 8 d old, by arn:aws:iam::123456789012:user/x, id id-1",
            ),
            (record(Some(1), Some(1), Some(119), Some("/a")), "1 part, 1 B, 119 s old, ours from /a, id id-1"),
            (record(Some(0), Some(0), Some(7_199), Some("/a")), "0 parts, 119 min old, ours from /a, id id-1"),
            (record(None, None, None, Some("/a")), "unknown parts, ours from /a, id id-1"),
        ] {
            assert_eq!(record.to_string(), text);
        }
    }
}
