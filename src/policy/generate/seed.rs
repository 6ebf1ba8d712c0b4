//! The documents that teams have from older instructions, value for value: for those who must not see a difference.

use super::Frame;
use super::statement::{document as whole, objects};
use crate::layout::{FolderAccess, Place};
use crate::model::BucketName;
use serde_json::{Value, json};

const fn object_actions(access: FolderAccess) -> &'static [&'static str] {
    match access {
        FolderAccess::Read => &["s3:GetObject"],
        FolderAccess::Append => &["s3:GetObject", "s3:PutObject"],
        FolderAccess::ReadWrite => &["s3:GetObject", "s3:PutObject", "s3:DeleteObject"],
    }
}

/// The document of some places: whole buckets in one statement, folders in a pair of statements for each bucket.
pub(super) fn document(access: FolderAccess, places: &[Place], frame: &Frame) -> Value {
    let (buckets, folders): (Vec<&Place>, Vec<&Place>) = places.iter().partition(|place| place.prefix.is_root());
    let mut statements = Vec::new();
    if !buckets.is_empty() {
        let resources = buckets.iter().flat_map(|place| {
            let arn = place.bucket.arn(&frame.partition);
            [arn.clone(), format!("{arn}/*")]
        });
        let actions: Vec<&str> = object_actions(access).iter().copied().chain(["s3:ListBucket"]).collect();
        statements.push(json!({
            "Effect": "Allow",
            "Action": actions,
            "Resource": resources.collect::<Vec<_>>(),
        }));
    }
    let mut done: Vec<&BucketName> = Vec::new();
    for place in &folders {
        if done.contains(&&place.bucket) {
            continue;
        }
        done.push(&place.bucket);
        let of_bucket: Vec<_> = folders.iter().filter(|other| other.bucket == place.bucket).collect();
        let prefixes = of_bucket.iter().map(|place| format!("{}*", super::literal::pattern(place.prefix.as_str())));
        let resources = of_bucket.iter().map(|place| objects(&place.bucket, &place.prefix, frame));
        statements.push(json!({
            "Effect": "Allow",
            "Action": ["s3:ListBucket"],
            "Resource": place.bucket.arn(&frame.partition),
            "Condition": { "StringLike": { "s3:prefix": prefixes.collect::<Vec<_>>() } },
        }));
        statements.push(json!({
            "Effect": "Allow",
            "Action": object_actions(access),
            "Resource": resources.collect::<Vec<_>>(),
        }));
    }
    whole(&statements)
}
