//! The tool's own least rights: what `plan`, `apply`, `tree` and `verify` call for one layout, and nothing more; and what
//! `retire` takes beside that.
//!
//! A bucket that the layout only checks gets no right to write its settings, and a control that is given up none for
//! that control. What grants take of IAM and EKS stands in [`account`].

pub mod account;

use super::identity::{key_actions, via_service};
use super::statement::{Test, allow, document, statement};
use super::{Frame, GenerateError, Generated, MAX_MANAGED_POLICY_CHARACTERS, split};
use crate::layout::{Bucket, FolderAccess, Layout, Manage};
use crate::model::{AccountId, Arn, BucketName, Control};
use serde_json::{Value, json};

/// What every verb reads of a bucket.
const READ_BUCKET: [&str; 11] = [
    "s3:ListBucket",
    "s3:ListBucketVersions",
    "s3:ListBucketMultipartUploads",
    "s3:GetBucketTagging",
    "s3:GetBucketOwnershipControls",
    "s3:GetBucketPublicAccessBlock",
    "s3:GetEncryptionConfiguration",
    "s3:GetBucketVersioning",
    "s3:GetLifecycleConfiguration",
    "s3:GetBucketPolicy",
    "s3:GetBucketLogging",
];

/// What making a bucket takes: tags and ownership come with its first request.
const CREATE_BUCKET: [&str; 3] = ["s3:CreateBucket", "s3:TagResource", "s3:PutBucketOwnershipControls"];

/// What writing a control takes.
const fn control_actions(control: Control) -> &'static [&'static str] {
    match control {
        Control::Tags => &["s3:PutBucketTagging"],
        Control::Ownership => &["s3:PutBucketOwnershipControls"],
        Control::PublicAccess => &["s3:PutBucketPublicAccessBlock"],
        Control::Encryption | Control::SseC => &["s3:PutEncryptionConfiguration"],
        Control::Versioning => &["s3:PutBucketVersioning"],
        Control::Lifecycle => &["s3:PutLifecycleConfiguration"],
        Control::TlsOnly => &["s3:PutBucketPolicy"],
        Control::AccessLog => &["s3:PutBucketLogging"],
    }
}

/// The smallest parts that the document can be split into.
enum Item<'layout> {
    /// The rights on a bucket.
    Bucket(&'layout Bucket),
    /// A statement about the account.
    Account(Value),
}

/// The document, or its parts: a bucket's rights stay together, and so does a statement about the account.
///
/// `account` is the one whose policies and roles are meant; any, if none is known.
pub fn of_layout(layout: &Layout, frame: &Frame, account: Option<&AccountId>) -> Result<Vec<Generated>, GenerateError> {
    let name = name_of(layout, "operator");
    let account = account::statements(layout, frame, account).into_iter().map(Item::Account);
    let items: Vec<Item<'_>> = layout.buckets.iter().map(Item::Bucket).chain(account).collect();
    let mut render = |items: &[Item<'_>]| {
        let buckets: Vec<&Bucket> = items
            .iter()
            .filter_map(|item| if let Item::Bucket(bucket) = item { Some(*bucket) } else { None })
            .collect();
        let mut statements = if buckets.is_empty() { Vec::new() } else { of_buckets(layout, &buckets, frame) };
        statements.extend(items.iter().filter_map(|item| match item {
            Item::Account(statement) => Some(statement.clone()),
            Item::Bucket(_) => None,
        }));
        document(&statements)
    };
    let parts = split::parts(&name, MAX_MANAGED_POLICY_CHARACTERS, &items, &mut render)?;
    Ok(split::named(&name, parts))
}

fn name_of(layout: &Layout, what: &str) -> String {
    format!("{}-{what}", layout.id.as_str().replace('/', "-"))
}

/// What `retire` takes beside the operator's rights: a policy of its own, for as long as something is retired.
///
/// A delete on the condition that the object still is the one that was seen asks for the right to read it.
///
/// Source: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-deletes.html>
pub fn of_retiring(layout: &Layout, frame: &Frame) -> Result<Vec<Generated>, GenerateError> {
    let name = name_of(layout, "retire");
    let managed: Vec<&Bucket> = layout.buckets.iter().filter(|bucket| bucket.manage == Manage::All).collect();
    let mut render = |buckets: &[&Bucket]| {
        let arns = |rest: &str| -> Vec<String> {
            buckets.iter().map(|bucket| format!("{}{rest}", bucket.name.arn(&frame.partition))).collect()
        };
        let objects = ["s3:GetObject", "s3:DeleteObject", "s3:DeleteObjectVersion"];
        document(&[
            allow("DeleteObjects", &objects, &arns("/*"), &[], frame),
            allow("DeleteBuckets", &["s3:DeleteBucket"], &arns(""), &[], frame),
        ])
    };
    let parts = split::parts(&name, MAX_MANAGED_POLICY_CHARACTERS, &managed, &mut render)?;
    Ok(split::named(&name, parts))
}

/// What the tool may do to the settings of a bucket.
fn setting_actions(bucket: &Bucket) -> Vec<&'static str> {
    if bucket.manage != Manage::All {
        return Vec::new();
    }
    let mut actions = CREATE_BUCKET.to_vec();
    for control in Control::ALL {
        let wanted = match control {
            Control::AccessLog => bucket.access_log.is_some(),
            Control::TlsOnly => bucket.waiver(control).is_none() || !bucket.logs_from.is_empty(),
            _ => bucket.waiver(control).is_none(),
        };
        let missing = control_actions(control).iter().filter(|action| wanted && !actions.contains(action));
        let missing: Vec<&str> = missing.copied().collect();
        actions.extend(missing);
    }
    actions
}

fn of_buckets(layout: &Layout, buckets: &[&Bucket], frame: &Frame) -> Vec<Value> {
    let arns = |wanted: &dyn Fn(&Bucket) -> bool, rest: &str| -> Vec<String> {
        let wanted = buckets.iter().filter(|bucket| wanted(bucket));
        wanted.map(|bucket| format!("{}{rest}", bucket.name.arn(&frame.partition))).collect()
    };
    let mut statements = vec![allow("ReadBuckets", &READ_BUCKET, &arns(&|_| true, ""), &[], frame)];
    let mut kinds: Vec<Vec<&str>> = Vec::new();
    for actions in buckets.iter().map(|bucket| setting_actions(bucket)).filter(|actions| !actions.is_empty()) {
        if !kinds.contains(&actions) {
            kinds.push(actions);
        }
    }
    for (index, actions) in kinds.iter().enumerate() {
        let sid = if index == 0 { "WriteBuckets".to_owned() } else { format!("WriteBuckets{}", index + 1) };
        // The bucket that is made cannot be in an account yet.
        let unguarded = Frame { guard: None, ..frame.clone() };
        statements.push(allow(
            &sid,
            actions,
            &arns(&|bucket| setting_actions(bucket) == *actions, ""),
            &[],
            &unguarded,
        ));
    }
    let holds_data = |bucket: &BucketName| layout.datasets.iter().any(|dataset| dataset.bucket == *bucket);
    let read = arns(&|bucket| !bucket.folders.is_empty() || holds_data(&bucket.name), "/*");
    let write = arns(&|bucket| bucket.manage != Manage::Verify && !bucket.folders.is_empty(), "/*");
    let probed = arns(&|bucket| !bucket.folders.is_empty(), "/*/.bucketwright/*");
    let upload = ["s3:PutObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"];
    // A probe of uploads in parts leaves some behind where the role that made them may not abort them.
    let probe = [&upload[..], &["s3:DeleteObject", "s3:DeleteObjectVersion"]].concat();
    for (sid, actions, resources) in
        [("ReadObjects", &["s3:GetObject"][..], read), ("WriteObjects", &upload, write), ("Probe", &probe, probed)]
    {
        if !resources.is_empty() {
            statements.push(allow(sid, actions, &resources, &[], frame));
        }
    }
    let keys: Vec<&Arn> = buckets.iter().filter_map(|bucket| bucket.kms_key.as_ref()).collect();
    statements.extend(key_statements(&keys));
    statements
}

fn key_statements(keys: &[&Arn]) -> Vec<Value> {
    let mut unique: Vec<&Arn> = Vec::new();
    for key in keys {
        if !unique.contains(key) {
            unique.push(key);
        }
    }
    let statement = |(index, key): (usize, &&Arn)| {
        let sid = if index == 0 { "UseKeys".to_owned() } else { format!("UseKeys{}", index + 1) };
        let test: Test<'_> = ("StringEquals", "kms:ViaService", json!(via_service(key)));
        statement(&sid, "Allow", key_actions(FolderAccess::ReadWrite), &[key.as_str().to_owned()], &[test])
    };
    unique.iter().enumerate().map(statement).collect()
}
