//! How identities and actions read in words, beside the data they speak of. Nothing reads these words back.

use super::{ActionRecord, IdentityRecord, Status};
use crate::model::HumanBytes;
use std::fmt;

/// The words for one kind of action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Words {
    /// The action's kind in output.
    action: &'static str,
    /// Before it is done: `create`.
    pub plain: &'static str,
    /// After: `created`.
    pub past: &'static str,
    /// In the middle: `creating`.
    pub ongoing: &'static str,
}

const fn words(action: &'static str, plain: &'static str, past: &'static str, ongoing: &'static str) -> Words {
    Words { action, plain, past, ongoing }
}

const WORDS: [Words; 27] = [
    words("create-bucket", "create", "created", "creating"),
    words("put-setting", "set", "set", "setting"),
    words("put-marker", "make", "made", "making"),
    words("upload", "upload", "uploaded", "uploading"),
    words("download", "download", "downloaded", "downloading"),
    words("copy", "copy", "copied", "copying"),
    words("delete", "delete", "deleted", "deleting"),
    words("delete-bucket", "delete the bucket", "deleted the bucket", "deleting the bucket"),
    words("abort-upload", "abort the upload of", "aborted the upload of", "aborting the upload of"),
    words("create-policy", "create policy", "created policy", "creating policy"),
    words("attach-policy", "attach policy", "attached policy", "attaching policy"),
    words("detach-policy", "detach policy", "detached policy", "detaching policy"),
    words("create-policy-version", "update policy", "updated policy", "updating policy"),
    words("tag-policy", "tag policy", "tagged policy", "tagging policy"),
    words("create-role", "create role", "created role", "creating role"),
    words("put-trust", "set trust of", "set trust of", "setting trust of"),
    words("tag-role", "tag role", "tagged role", "tagging role"),
    words("create-association", "give role", "gave role", "giving role"),
    words("update-association", "change role", "changed role", "changing role"),
    words("delete-association", "take role", "took role", "taking role"),
    words("apply-grant", "grant", "granted", "granting"),
    words("set-default-version", "put in force", "put in force", "putting in force"),
    words("put-inline-policy", "put inline policy", "put inline policy", "putting inline policy"),
    words("write-backup", "write", "wrote", "writing"),
    words("put-boundary", "set boundary", "set boundary", "setting boundary"),
    words("delete-policy", "delete policy", "deleted policy", "deleting policy"),
    words("delete-policy-version", "delete version", "deleted version", "deleting version"),
];

impl Words {
    /// The words for a kind of action; a kind without words of its own is spoken of by its name.
    pub fn of(action: &'static str) -> Self {
        let fallback = words(action, action, action, action);
        WORDS.into_iter().find(|words| words.action == action).unwrap_or(fallback)
    }
}

/// `as ARN in account N, until T, at E, REGION`; what the endpoint cannot tell is said to be unknown.
impl fmt::Display for IdentityRecord {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.identity.arn, &self.identity.account) {
            (Some(arn), Some(account)) => write!(out, "as {arn} in account {account}")?,
            (Some(arn), None) => write!(out, "as {arn} in an unknown account")?,
            (None, Some(account)) => write!(out, "as an unknown identity in account {account}")?,
            (None, None) => write!(out, "as an identity that this endpoint cannot name")?,
        }
        if let Some(end) = &self.expires {
            write!(out, ", until {end}")?;
        }
        let place = if self.endpoint == "aws" { "AWS" } else { &self.endpoint };
        write!(out, ", at {place}, {}", self.region)
    }
}

/// `set versioning on s3://b (was off)`, `failed to upload x.csv to s3://b/x.csv: no space left`.
impl fmt::Display for ActionRecord {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = Words::of(self.action);
        match self.status {
            Status::Planned => write!(out, "would {} {}{}", words.plain, self.object(), self.remark()),
            Status::Done => write!(out, "{} {}{}", words.past, self.object(), self.remark()),
            Status::Failed => write!(out, "failed {} {}: {}", words.ongoing, self.whole_object(), self.reason),
            Status::Skipped => write!(out, "skipped {} {}: {}", words.ongoing, self.whole_object(), self.reason),
        }
    }
}

impl ActionRecord {
    fn object(&self) -> String {
        match (self.setting, &self.policy) {
            (Some(setting), _) => format!("{setting} on {}", self.target),
            (None, Some(policy)) => {
                let toward = if self.action == "detach-policy" { "from" } else { "to" };
                format!("{policy} {toward} {}", self.target)
            }
            (None, None) => match self.action {
                "create-role" | "tag-role" => self.target.strip_prefix("role/").unwrap_or(&self.target).to_owned(),
                "create-association" => format!("to {}", self.target),
                "update-association" => format!("of {}", self.target),
                "delete-association" => format!("from {}", self.target),
                _ => self.target.clone(),
            },
        }
    }

    /// The object with the file it comes from, for the lines that a person must act on.
    fn whole_object(&self) -> String {
        match &self.source {
            Some(source) => format!("{source} to {}", self.target),
            None => self.object(),
        }
    }

    /// Size and reason in brackets, of what is done only what a person may still want to know.
    fn remark(&self) -> String {
        let size = self.bytes.map(|bytes| HumanBytes(bytes).to_string());
        let done = self.status == Status::Done;
        let parts: Vec<String> = match (self.action, size) {
            ("create-bucket" | "put-marker", _) => return String::new(),
            ("create-policy" | "create-role" | "create-association" | "attach-policy", _) if done => {
                return String::new();
            }
            (_, Some(size)) if done => vec![size],
            (_, size) => size.into_iter().chain(Some(self.reason.clone())).filter(|part| !part.is_empty()).collect(),
        };
        if parts.is_empty() { String::new() } else { format!(" ({})", parts.join(", ")) }
    }
}

#[cfg(test)]
mod tests {
    use super::{ActionRecord, IdentityRecord, Status};
    use crate::model::Identity;

    fn record(status: Status, action: &'static str, reason: &str) -> ActionRecord {
        ActionRecord {
            status,
            action,
            target: "s3://b/k".to_owned(),
            reason: reason.to_owned(),
            setting: (action == "put-setting").then_some("versioning"),
            source: (action == "upload").then(|| "k.csv".to_owned()),
            bytes: (action == "upload").then_some(2048),
            proof: None,
            policy: None,
        }
    }

    #[test]
    fn actions_read_as_sentences() {
        for (status, action, reason, text) in [
            (Status::Done, "create-bucket", "was missing", "created s3://b/k"),
            (Status::Done, "put-setting", "was off", "set versioning on s3://b/k (was off)"),
            (Status::Done, "put-marker", "was missing", "made s3://b/k"),
            (Status::Done, "upload", "was missing", "uploaded s3://b/k (2.0 KiB)"),
            (Status::Planned, "upload", "missing", "would upload s3://b/k (2.0 KiB, missing)"),
            (Status::Failed, "upload", "the file changed", "failed uploading k.csv to s3://b/k: the file changed"),
            (
                Status::Skipped,
                "upload",
                "the source is not here",
                "skipped uploading k.csv to s3://b/k: the source is not here",
            ),
            (Status::Failed, "put-setting", "AccessDenied", "failed setting versioning on s3://b/k: AccessDenied"),
            (Status::Done, "put-object-lock", "", "put-object-lock s3://b/k"),
            (Status::Done, "detach-policy", "revoked", "detached policy s3://b/k (revoked)"),
        ] {
            assert_eq!(record(status, action, reason).to_string(), text);
        }
        for (action, target, text) in [
            ("create-role", "role/pods", "created role pods"),
            ("create-role", "arn:aws:iam::111122223333:role/pods", "created role arn:aws:iam::111122223333:role/pods"),
            ("create-association", "edu/flyte/sa", "gave role to edu/flyte/sa"),
            ("update-association", "edu/flyte/sa", "changed role of edu/flyte/sa (missing)"),
        ] {
            let record = ActionRecord { target: target.to_owned(), ..record(Status::Done, action, "missing") };
            assert_eq!(record.to_string(), text);
        }
    }

    #[test]
    fn identity_names_what_is_unknown() {
        let mut who = IdentityRecord {
            identity: Identity::default(),
            endpoint: "http://127.0.0.1:9000".to_owned(),
            region: "us-east-1".to_owned(),
            expires: None,
        };
        assert_eq!(
            who.to_string(),
            "as an identity that this endpoint cannot name, at http://127.0.0.1:9000, us-east-1"
        );
        who.identity.account = "245966534215".parse().ok();
        who.identity.arn = Some("arn:aws:iam::245966534215:role/x".to_owned());
        assert_eq!(
            who.to_string(),
            "as arn:aws:iam::245966534215:role/x in account 245966534215, at http://127.0.0.1:9000, us-east-1"
        );
        who.expires = Some("2026-11-23T20:00:00Z".to_owned());
        assert!(who.to_string().contains("245966534215, until 2026-11-23T20:00:00Z, at http"), "{who}");
    }
}
