//! Rules for the names and paths of a layout that no type of the vocabulary carries.

use super::mistakes::quote;
use super::placeholders::{is_example_account, is_placeholder_bucket};
use crate::model::{AccountId, Arn, BucketName, BucketNameError};

/// Why a text is not what its place asks for, and what to do about it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    pub(super) message: String,
    pub(super) help: Option<String>,
}

impl From<String> for Wrong {
    fn from(message: String) -> Self {
        Self { message, help: None }
    }
}

fn wrong<T>(message: String, help: &str) -> Result<T, Wrong> {
    Err(Wrong { message, help: Some(help.to_owned()) })
}

/// A bucket that a layout may name: AWS's rules, no dots, no placeholder.
pub(super) fn bucket(text: &str) -> Result<BucketName, Wrong> {
    if is_placeholder_bucket(text) {
        return wrong(format!("bucket name {} is a placeholder", quote(text)), "write your bucket's own name");
    }
    if text.starts_with("s3://") {
        return wrong(format!("{} is a URL, not a bucket's name", quote(text)), "leave out `s3://`");
    }
    let name: BucketName = text.parse().map_err(|error: BucketNameError| Wrong {
        message: format!("{error}"),
        help: suggested_bucket(&error, text).map(|name| format!("`{name}` would be legal")),
    })?;
    if name.has_dot() {
        return wrong(
            format!("bucket name `{name}` holds a `.`, which the certificate of S3's HTTPS addresses does not cover"),
            "use `-` instead",
        );
    }
    Ok(name)
}

/// The same name with lower-case letters and hyphens, if that alone makes it legal.
fn suggested_bucket(error: &BucketNameError, text: &str) -> Option<String> {
    if !matches!(error, BucketNameError::Character(..)) {
        return None;
    }
    let name: String = text
        .chars()
        .map(|letter| if letter.is_ascii_alphanumeric() { letter.to_ascii_lowercase() } else { '-' })
        .collect();
    name.parse::<BucketName>().is_ok().then_some(name)
}

/// An account guard.
pub(super) fn account(text: &str) -> Result<AccountId, Wrong> {
    if is_example_account(text) {
        return wrong(
            format!("account `{text}` is the one of AWS's examples"),
            "`aws sts get-caller-identity` shows yours",
        );
    }
    text.parse().map_err(|error| Wrong::from(format!("{error}")))
}

/// The full ARN of a KMS key.
///
/// S3 stores whatever it is given without looking for the key, and takes an alias to mean the caller's account.
/// Source: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/specifying-kms-encryption.html>
pub(super) fn kms_key(text: &str) -> Result<Arn, Wrong> {
    const FORM: &str = "the key's full ARN looks like `arn:aws:kms:us-east-1:<account>:key/<id>`";
    if text.starts_with("alias/") || text.contains(":alias/") {
        return wrong(
            format!("{} is an alias, which means another key in another account and is not checked by S3", quote(text)),
            FORM,
        );
    }
    let Ok(arn) = text.parse::<Arn>() else {
        return wrong(format!("{} is not the ARN of a KMS key", quote(text)), FORM);
    };
    let id = arn.resource().strip_prefix("key/").unwrap_or_default();
    let plain = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if arn.service() != "kms" || arn.region().is_empty() || arn.account().parse::<AccountId>().is_err() || !plain {
        return wrong(format!("{} is not the ARN of a KMS key", quote(text)), FORM);
    }
    Ok(arn)
}

/// One segment of a key that people see as a folder or file: what every tool and file system takes.
fn segment(text: &str) -> Result<(), String> {
    match text {
        "" => Err("is empty".to_owned()),
        "." | ".." => Err("means another folder".to_owned()),
        _ if text.trim() != text => Err("has a space at its end".to_owned()),
        _ => match text.chars().find(|letter| letter.is_control() || *letter == '\\') {
            Some('\\') => Err("holds a backslash".to_owned()),
            Some(_) => Err("holds a control character".to_owned()),
            None => Ok(()),
        },
    }
}

/// A project: one segment of a key.
pub(super) fn project(text: &str) -> Result<(), Wrong> {
    if text.contains('/') {
        return wrong(
            format!("project {} holds a slash", quote(text)),
            "folders below a project come from the template",
        );
    }
    segment(text).map_err(|why| Wrong::from(format!("project {} {why}", quote(text))))
}

/// A folder's path in a project: segments joined by slashes, none at the ends. The empty path is the project's own.
pub(super) fn folder_path(text: &str) -> Result<(), Wrong> {
    if text.is_empty() {
        return Ok(());
    }
    if text.starts_with('/') || text.ends_with('/') {
        return wrong(
            format!("folder {} has a slash at its end", quote(text)),
            "write the path as `data/raw`, without slashes at its ends",
        );
    }
    for part in text.split('/') {
        segment(part).map_err(|why| Wrong::from(format!("folder {}: a part of the path {why}", quote(text))))?;
    }
    Ok(())
}

/// The name that a single file gets: one segment of a key.
pub(super) fn file_name(text: &str) -> Result<(), Wrong> {
    if text.contains('/') {
        return wrong(format!("`as` is a plain file name, and {} holds a slash", quote(text)), "`to` names the folder");
    }
    segment(text).map_err(|why| Wrong::from(format!("file name {} {why}", quote(text))))
}

/// True for a path that does not start at the layout's own folder, on any system.
fn is_absolute(path: &str) -> bool {
    let drive = path.as_bytes().get(1) == Some(&b':') && path.starts_with(|letter: char| letter.is_ascii_alphabetic());
    path.starts_with(['/', '\\']) || drive
}

/// A local path relative to the layout file, by its text alone: the file system is not asked.
///
/// `what` names the key in messages. With `outside` it may be absolute and climb out of the layout's folder.
pub(super) fn local_path(what: &str, text: &str, outside: bool) -> Result<(), Wrong> {
    if text.is_empty() || text.chars().any(char::is_control) {
        let how = if text.is_empty() { "is empty" } else { "holds a control character" };
        return Err(Wrong::from(format!("`{what}` {how}")));
    }
    if text == "~" || text.starts_with("~/") {
        return wrong(
            format!("`{what}` {} starts with `~`, which is not expanded", quote(text)),
            "write the whole path",
        );
    }
    if outside {
        return Ok(());
    }
    if is_absolute(text) {
        return wrong(outside_message(what, text), outside_help(what));
    }
    let mut depth = 0_i64;
    for part in text.split('/') {
        depth += match part {
            "" | "." => 0,
            ".." => -1,
            _ => 1,
        };
        if depth < 0 {
            return wrong(outside_message(what, text), outside_help(what));
        }
    }
    Ok(())
}

fn outside_message(what: &str, text: &str) -> String {
    format!("`{what}` {} points outside the layout file's folder", quote(text))
}

fn outside_help(what: &str) -> &'static str {
    if what == "source" { "say `allow_outside = true` if that is meant" } else { "use a path below the layout file" }
}

/// A local path without `.`, empty parts and steps back, to tell whether two mean the same file.
pub(super) fn tidy_path(text: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in text.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            other => parts.push(other),
        }
    }
    let root = if text.starts_with('/') { "/" } else { "" };
    format!("{root}{}", parts.join("/"))
}

/// The name of an IAM policy or role: letters, digits and `+=,.@_-`, at most `most` characters.
///
/// Source: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html>
pub(super) fn iam_name(what: &str, text: &str, most: usize) -> Result<(), Wrong> {
    if text.starts_with("arn:") {
        let name = text.rsplit('/').next().unwrap_or_default();
        return wrong(format!("{} is an ARN, not a {what}'s name", quote(text)), &format!("write `{name}`"));
    }
    let legal = |letter: char| letter.is_ascii_alphanumeric() || "+=,.@_-".contains(letter);
    if let Some(bad) = text.chars().find(|letter| !legal(*letter)) {
        let message = format!("{what} name {} holds `{}`", quote(text), bad.escape_default());
        return wrong(message, "IAM takes letters, digits and `+=,.@_-`");
    }
    if text.is_empty() || text.len() > most {
        let length = text.len();
        return Err(Wrong::from(format!("{what} name {} has {length} characters; IAM takes 1 to {most}", quote(text))));
    }
    Ok(())
}

/// The name of an EKS cluster.
///
/// Source: <https://docs.aws.amazon.com/eks/latest/APIReference/API_CreateCluster.html>
pub(super) fn cluster(text: &str) -> Result<(), Wrong> {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let starts = text.starts_with(|letter: char| letter.is_ascii_alphanumeric());
    if starts && text.len() <= 100 && text.bytes().all(legal) {
        return Ok(());
    }
    wrong(
        format!("{} is no name of an EKS cluster", quote(text)),
        "1 to 100 letters, digits, `-` and `_`, the first a letter or digit",
    )
}

/// The name of a node group, or a glob of such names.
pub(super) fn node_group(text: &str) -> Result<(), Wrong> {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"-_*?".contains(&byte);
    if (1..=63).contains(&text.len()) && text.bytes().all(legal) {
        return Ok(());
    }
    wrong(
        format!("{} is no name or glob of a node group", quote(text)),
        "1 to 63 letters, digits, `-`, `_`, and `*` or `?` as wildcards",
    )
}

/// A Kubernetes name: a DNS label of at most 63 characters, or with dots a subdomain of at most 253.
///
/// Source: <https://kubernetes.io/docs/concepts/overview/working-with-objects/names/>
pub(super) fn kubernetes(what: &str, text: &str, dots: bool) -> Result<(), Wrong> {
    let label = |part: &str| {
        let legal = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        !part.is_empty() && part.bytes().all(legal) && !part.starts_with('-') && !part.ends_with('-')
    };
    let most = if dots { 253 } else { 63 };
    let parts: Vec<&str> = if dots { text.split('.').collect() } else { vec![text] };
    if text.len() <= most && parts.into_iter().all(label) {
        return Ok(());
    }
    wrong(
        format!("{} is no name of a {what}", quote(text)),
        "Kubernetes takes lower-case letters, digits and `-`, with a letter or digit at both ends",
    )
}

#[cfg(test)]
mod tests {
    use super::{Wrong, tidy_path};

    fn check<T>(result: Result<T, Wrong>, expected: &str) {
        let found = match result {
            Ok(_) => "ok".to_owned(),
            Err(wrong) => format!("{} | {}", wrong.message, wrong.help.unwrap_or_default()),
        };
        assert!(found.contains(expected), "{found} lacks {expected}");
    }

    #[test]
    fn buckets() {
        check(super::bucket("bsingh-ml-workflows"), "ok");
        check(super::bucket("My_Bucket"), "`my-bucket` would be legal");
        check(super::bucket("a.b.c"), "certificate");
        check(super::bucket("your-ml-bucket"), "placeholder");
        check(super::bucket("s3://bucket"), "leave out");
        check(super::bucket("192.168.0.1"), "IP address");
    }

    #[test]
    fn projects_and_folders() {
        for good in ["credit-scoring", "Kredit Prüfung", "a.b", "..a"] {
            check(super::project(good), "ok");
        }
        for (bad, why) in [
            ("", "is empty"),
            (".", "means another folder"),
            ("..", "means another folder"),
            ("a/b", "holds a slash"),
            (" a", "space at its end"),
            ("a\\b", "backslash"),
            ("a\u{7}b", "control character"),
        ] {
            check(super::project(bad), why);
        }
        for good in ["", "data", "data/raw", "data/.hidden"] {
            check(super::folder_path(good), "ok");
        }
        for (bad, why) in
            [("/data", "slash at its end"), ("data/", "slash at its end"), ("a//b", "is empty"), ("a/../b", "another")]
        {
            check(super::folder_path(bad), why);
        }
    }

    #[test]
    fn local_paths() {
        for good in ["a.csv", "./a/b", "a/../b", "a/..", "..."] {
            check(super::local_path("source", good, false), "ok");
        }
        for bad in ["..", "../a", "a/../../b", "/etc/passwd", "\\\\host\\share", "C:\\data"] {
            check(super::local_path("source", bad, false), "points outside");
            check(super::local_path("source", bad, true), "ok");
        }
        check(super::local_path("source", "~/data", true), "not expanded");
        check(super::local_path("receipt", "", false), "`receipt` is empty");
    }

    #[test]
    fn tidied_paths() {
        for (text, expected) in
            [("./a//b/", "a/b"), ("a/../b", "b"), ("../a", "../a"), ("/a/./b", "/a/b"), ("../../x", "../../x")]
        {
            assert_eq!(tidy_path(text), expected);
        }
    }

    #[test]
    fn keys_of_kms() {
        check(super::kms_key("arn:aws:kms:us-east-1:245966534215:key/1234abcd-12ab"), "ok");
        check(super::kms_key("arn:aws-cn:kms:cn-north-1:245966534215:key/mrk-12"), "ok");
        check(super::kms_key("alias/ml"), "is an alias");
        check(super::kms_key("arn:aws:kms:us-east-1:245966534215:alias/ml"), "is an alias");
        for bad in ["1234abcd-12ab", "arn:aws:s3:::b", "arn:aws:kms:us-east-1::key/1", "arn:aws:kms:us-east-1:1:key/1"]
        {
            check(super::kms_key(bad), "not the ARN of a KMS key");
        }
    }

    #[test]
    fn names_of_iam_and_kubernetes() {
        check(super::iam_name("policy", "FlyteMLS3Access", 128), "ok");
        check(super::iam_name("role", "arn:aws:iam::245966534215:role/a/flyte", 64), "write `flyte`");
        check(super::iam_name("role", "a b", 64), "holds ` `");
        check(super::iam_name("role", &"r".repeat(65), 64), "1 to 64");
        check(super::cluster("education-eks-vV8VCAqw"), "ok");
        check(super::cluster("-x"), "no name of an EKS cluster");
        check(super::node_group("node-group-*"), "ok");
        check(super::node_group(""), "no name or glob");
        check(super::kubernetes("namespace", "flytesnacks-development", false), "ok");
        check(super::kubernetes("namespace", "a.b", false), "no name of a namespace");
        check(super::kubernetes("service account", "a.b", true), "ok");
        check(super::kubernetes("service account", "Default", true), "no name of a service account");
    }
}
