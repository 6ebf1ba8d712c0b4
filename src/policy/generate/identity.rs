//! Units of an entitlement as the statements of one least-privilege identity policy.

use super::statement::{Test, allow, buckets, document as whole, objects, one_or_many, statement};
use super::units::{BucketUnit, ObjectUnit, Unit};
use super::{Frame, literal};
use crate::layout::{FolderAccess, ListScope};
use crate::model::{Arn, BucketName, Prefix};
use crate::policy::entitlement::Entitlement;
use serde_json::{Value, json};

/// The actions on objects that an access needs. Multipart uploads want to list and abort their parts.
///
/// Source: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html>
pub(super) const fn object_actions(access: FolderAccess) -> &'static [&'static str] {
    match access {
        FolderAccess::Read => &["s3:GetObject"],
        FolderAccess::Append => {
            &["s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"]
        }
        FolderAccess::ReadWrite => &[
            "s3:GetObject",
            "s3:PutObject",
            "s3:DeleteObject",
            "s3:AbortMultipartUpload",
            "s3:ListMultipartUploadParts",
        ],
    }
}

/// What an access needs of the bucket's KMS key. A multipart upload reads its parts back, so writing needs both.
///
/// Source: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html>
pub(super) const fn key_actions(access: FolderAccess) -> &'static [&'static str] {
    match access {
        FolderAccess::Read => &["kms:Decrypt"],
        FolderAccess::Append | FolderAccess::ReadWrite => &["kms:Decrypt", "kms:GenerateDataKey"],
    }
}

/// The name under which S3 of a Region calls KMS.
///
/// Source: <https://docs.aws.amazon.com/kms/latest/developerguide/conditions-kms.html#conditions-kms-via-service>
pub(in crate::policy) fn via_service(key: &Arn) -> String {
    let china = if key.partition() == "aws-cn" { ".cn" } else { "" };
    format!("s3.{}.amazonaws.com{china}", key.region())
}

/// The document of some units.
pub(super) fn document(entitlement: &Entitlement, units: &[Unit], frame: &Frame) -> Value {
    let mut statements = s3_statements(entitlement, units, frame);
    statements.extend(key_rights(entitlement, &sorted(units).1));
    whole(&statements)
}

/// The statements of some units that are about S3 itself.
pub(super) fn s3_statements(entitlement: &Entitlement, units: &[Unit], frame: &Frame) -> Vec<Value> {
    let (sides, objects) = sorted(units);
    let mut statements = listings(entitlement, &sides, frame);
    statements.extend(bucket_rights(&sides, frame));
    statements.extend(object_rights(&objects, frame));
    statements.extend(limits(&objects, frame));
    statements
}

fn sorted(units: &[Unit]) -> (Vec<&BucketUnit>, Vec<&ObjectUnit>) {
    let (mut sides, mut objects) = (Vec::new(), Vec::new());
    for unit in units {
        match unit {
            Unit::Bucket(side) => sides.push(side),
            Unit::Objects(unit) => objects.push(unit),
        }
    }
    (sides, objects)
}

/// A Sid that is the first, or one of several of its kind.
fn numbered(sid: &str, before: usize) -> String {
    if before == 0 { sid.to_owned() } else { format!("{sid}{}", before + 1) }
}

/// Each value once, in the order of its first.
fn once<T: PartialEq>(values: impl Iterator<Item = T>) -> Vec<T> {
    values.fold(Vec::new(), |mut kept, value| {
        if !kept.contains(&value) {
            kept.push(value);
        }
        kept
    })
}

fn listings(entitlement: &Entitlement, sides: &[&BucketUnit], frame: &Frame) -> Vec<Value> {
    let list = ["s3:ListBucket"];
    let (whole, folders): (Vec<&BucketUnit>, Vec<&BucketUnit>) = sides.iter().partition(|side| side.listed.is_root());
    let mut statements = Vec::new();
    if !whole.is_empty() {
        let whole: Vec<&BucketName> = whole.iter().map(|side| &side.bucket).collect();
        statements.push(allow("ListBuckets", &list, &buckets(&whole, frame), &[], frame));
    }
    // One statement for each bucket: a prefix of one would open the same folder of another.
    let partial = once(folders.iter().map(|side| &side.bucket));
    let mut guarded = 0;
    for (index, bucket) in partial.iter().enumerate() {
        let listed = folders.iter().filter(|side| side.bucket == **bucket).map(|side| &side.listed);
        let (names, patterns) = prefixes(entitlement, bucket, listed);
        let arn = buckets(&[bucket], frame);
        let test: Test<'_> = ("StringLike", "s3:prefix", one_or_many(patterns));
        statements.push(allow(&numbered("ListFolders", index), &list, &arn, &[test], frame));
        if !names.is_empty() {
            let tests = top_level(one_or_many(names));
            statements.push(allow(&numbered("ListFolderNames", guarded), &list, &arn, &tests, frame));
            guarded += 1;
        }
    }
    if entitlement.list == ListScope::Root && !partial.is_empty() {
        // Without the delimiter an empty prefix would list every key.
        statements.push(allow("ListTop", &list, &buckets(&partial, frame), &top_level(json!("")), frame));
    }
    statements
}

/// One level of a listing: the delimiter hides what lies deeper.
fn top_level(prefixes: Value) -> [Test<'static>; 2] {
    [("StringEquals", "s3:prefix", prefixes), ("StringEquals", "s3:delimiter", json!("/"))]
}

/// The prefixes that list some folders: names that are safe with a delimiter only, and patterns.
///
/// The bare name is what `aws s3 ls s3://bucket/folder` asks for. Without a delimiter it also shows what is in folders
/// whose names begin alike, so where the layout has one, the bare name needs it.
fn prefixes<'folders>(
    entitlement: &Entitlement,
    bucket: &BucketName,
    folders: impl Iterator<Item = &'folders Prefix>,
) -> (Vec<String>, Vec<String>) {
    let (mut names, mut patterns) = (Vec::new(), Vec::new());
    for folder in folders {
        let bare = folder.as_str().trim_end_matches('/');
        if entitlement.has_namesake(bucket, folder) {
            names.push(literal::exact(bare));
        } else {
            patterns.push(literal::pattern(bare));
        }
        patterns.push(format!("{}*", literal::pattern(folder.as_str())));
    }
    (names, patterns)
}

/// What clients ask of the bucket besides listings. Neither action carries a prefix, so no condition fits.
fn bucket_rights(sides: &[&BucketUnit], frame: &Frame) -> Vec<Value> {
    let all = once(sides.iter().map(|side| &side.bucket));
    let written = once(sides.iter().filter(|side| side.writes).map(|side| &side.bucket));
    [("Locate", "s3:GetBucketLocation", all), ("ListUploads", "s3:ListBucketMultipartUploads", written)]
        .into_iter()
        .filter(|(_, _, names)| !names.is_empty())
        .map(|(sid, action, names)| allow(sid, &[action], &buckets(&names, frame), &[], frame))
        .collect()
}

/// One statement for each access.
fn object_rights(units: &[&ObjectUnit], frame: &Frame) -> Vec<Value> {
    [
        ("ObjectsRead", FolderAccess::Read),
        ("ObjectsAppend", FolderAccess::Append),
        ("ObjectsReadWrite", FolderAccess::ReadWrite),
    ]
    .into_iter()
    .filter_map(|(sid, access)| {
        let units = units.iter().filter(|unit| unit.access == access);
        let resources: Vec<String> = units.map(|unit| objects(&unit.bucket, &unit.prefix, frame)).collect();
        (!resources.is_empty()).then(|| allow(sid, object_actions(access), &resources, &[], frame))
    })
    .collect()
}

/// Denials for folders that get less than the folder around them. No grant of a layout gives more there, so nothing else
/// that the layout gives is lost.
fn limits(units: &[&ObjectUnit], frame: &Frame) -> Vec<Value> {
    [("LimitToRead", FolderAccess::Read), ("LimitToAppend", FolderAccess::Append)]
        .into_iter()
        .filter_map(|(sid, access)| {
            let most = units.iter().filter(|unit| unit.narrower.iter().any(|(_, narrower)| *narrower == access));
            let most = most.map(|unit| unit.access).max()?;
            let kept = object_actions(access);
            let taken: Vec<&str> =
                object_actions(most).iter().copied().filter(|action| !kept.contains(action)).collect();
            let folders = units.iter().flat_map(|unit| unit.narrower.iter().map(|folder| (&unit.bucket, folder)));
            let resources = folders
                .filter(|(_, (_, narrower))| *narrower == access)
                .map(|(bucket, (prefix, _))| objects(bucket, prefix, frame));
            Some(statement(sid, "Deny", &taken, &resources.collect::<Vec<_>>(), &[]))
        })
        .collect()
}

/// Use of the buckets' KMS keys, by way of S3 only.
fn key_rights(entitlement: &Entitlement, units: &[&ObjectUnit]) -> Vec<Value> {
    let key_of = |unit: &&ObjectUnit| Some((entitlement.kms_key(&unit.bucket)?, key_actions(unit.access)));
    let used: Vec<(&Arn, &[&str])> = units.iter().filter_map(key_of).collect();
    let mut statements = Vec::new();
    for (sid, access) in [("ReadKeys", FolderAccess::Read), ("WriteKeys", FolderAccess::ReadWrite)] {
        let actions = key_actions(access);
        // A key that is used for writing needs no statement for reading.
        let more =
            |key: &Arn| used.iter().any(|(other, other_actions)| *other == key && other_actions.len() > actions.len());
        let keys = once(used.iter().filter(|(key, own)| *own == actions && !more(key)).map(|(key, _)| *key));
        for (index, service) in once(keys.iter().map(|key| via_service(key))).into_iter().enumerate() {
            let of_region = keys.iter().filter(|key| via_service(key) == service);
            let arns: Vec<String> = of_region.map(|key| key.as_str().to_owned()).collect();
            let test: Test<'_> = ("StringEquals", "kms:ViaService", json!(service));
            statements.push(statement(&numbered(sid, index), "Allow", actions, &arns, &[test]));
        }
    }
    statements
}
