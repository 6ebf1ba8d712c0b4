//! What calls ask for, and the tables against AWS's own table of actions.

use super::carried::{Signature, Wire, keys_of};
use super::{CALLS, Call, demands, hint};
use crate::policy::context::Context;
use serde_json::Value;

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// `action resource key=value ...` of every demand.
fn check(operation: &str, query: &[(&str, &str)], headers: &[(&str, &str)], expected: &[&str]) {
    let (query, headers) = (pairs(query), pairs(headers));
    let deletes = [("a".to_owned(), None), ("b".to_owned(), Some("v1".to_owned()))];
    let (existing_tags, source_tags) = (pairs(&[("state", "raw")]), pairs(&[("from", "there")]));
    let call = Call {
        operation,
        bucket: "lake",
        key: "k",
        query: &query,
        headers: &headers,
        deletes: &deletes,
        existing_tags: &existing_tags,
        source_tags: &source_tags,
    };
    let show = |context: &Context| -> String {
        context.iter().map(|(name, value)| format!(" {name}={}", value.as_slice().join(","))).collect()
    };
    let found: Vec<String> = demands(&call)
        .unwrap()
        .iter()
        .map(|demand| {
            format!("{} {}{}", demand.action, demand.resource.replace("arn:aws:s3:::", ""), show(&demand.context))
        })
        .collect();
    assert_eq!(found, expected, "{operation}");
}

#[test]
fn listings_carry_what_was_sent_and_head_bucket_nothing() {
    check("ListBuckets", &[], &[], &["s3:ListAllMyBuckets *"]);
    check("HeadBucket", &[], &[], &["s3:ListBucket lake"]);
    check("ListObjectsV2", &[("list-type", "2")], &[], &["s3:ListBucket lake s3:max-keys=1000"]);
    check(
        "ListObjects",
        &[("prefix", ""), ("delimiter", "/"), ("max-keys", "7")],
        &[],
        &["s3:ListBucket lake s3:delimiter=/ s3:max-keys=7 s3:prefix="],
    );
    check("ListObjectVersions", &[("prefix", "a")], &[], &["s3:ListBucketVersions lake s3:max-keys=1000 s3:prefix=a"]);
    check("ListMultipartUploads", &[("prefix", "a")], &[], &["s3:ListBucketMultipartUploads lake"]);
    check("GetBucketEncryption", &[], &[], &["s3:GetEncryptionConfiguration lake"]);
}

#[test]
fn objects_with_and_without_version() {
    check("HeadObject", &[], &[], &["s3:GetObject lake/k s3:ExistingObjectTag/state=raw"]);
    check(
        "GetObjectAttributes",
        &[("versionId", "v1")],
        &[],
        &[
            "s3:GetObjectVersion lake/k s3:ExistingObjectTag/state=raw s3:versionid=v1",
            "s3:GetObjectVersionAttributes lake/k s3:ExistingObjectTag/state=raw s3:versionid=v1",
        ],
    );
    check("DeleteObject", &[], &[("if-match", "x")], &["s3:DeleteObject lake/k s3:if-match=x"]);
    check(
        "DeleteObjects",
        &[],
        &[("x-amz-bypass-governance-retention", "true")],
        &[
            "s3:DeleteObject lake/a",
            "s3:DeleteObjectVersion lake/b s3:versionid=v1",
            "s3:BypassGovernanceRetention lake/a",
            "s3:BypassGovernanceRetention lake/b",
        ],
    );
    check("ListParts", &[], &[], &["s3:ListMultipartUploadParts lake/k"]);
}

#[test]
fn writes_need_more_for_tags_and_lists() {
    check(
        "CreateMultipartUpload",
        &[],
        &[("x-amz-tagging", "a=1&b=x%20y+z"), ("x-amz-acl", "private"), ("x-amz-server-side-encryption", "aws:kms")],
        &[
            "s3:PutObject lake/k s3:RequestObjectTag/a=1 s3:RequestObjectTag/b=x y z s3:RequestObjectTagKeys=a,b \
             s3:x-amz-acl=private s3:x-amz-server-side-encryption=aws:kms",
            "s3:PutObjectTagging lake/k s3:ExistingObjectTag/state=raw s3:RequestObjectTag/a=1 \
             s3:RequestObjectTag/b=x y z s3:RequestObjectTagKeys=a,b",
            "s3:PutObjectAcl lake/k s3:ExistingObjectTag/state=raw s3:x-amz-acl=private",
        ],
    );
    check("UploadPart", &[], &[], &["s3:PutObject lake/k"]);
}

#[test]
fn copies_need_both_sides() {
    check(
        "UploadPartCopy",
        &[],
        &[("x-amz-copy-source", "/other/a%2Fb?versionId=v9")],
        &[
            "s3:GetObjectVersion other/a/b s3:ExistingObjectTag/from=there s3:versionid=v9",
            "s3:PutObject lake/k s3:x-amz-copy-source=other/a/b?versionId=v9",
        ],
    );
    check(
        "CopyObject",
        &[],
        &[("x-amz-copy-source", "other/a")],
        &[
            "s3:GetObject other/a s3:ExistingObjectTag/from=there",
            "s3:GetObjectTagging other/a s3:ExistingObjectTag/from=there",
            "s3:PutObject lake/k s3:x-amz-copy-source=other/a",
            "s3:PutObjectTagging lake/k s3:ExistingObjectTag/state=raw",
        ],
    );
    check(
        "CopyObject",
        &[],
        &[("x-amz-copy-source", "other/a"), ("x-amz-tagging-directive", "REPLACE")],
        &["s3:GetObject other/a s3:ExistingObjectTag/from=there", "s3:PutObject lake/k s3:x-amz-copy-source=other/a"],
    );
}

#[test]
fn unknown_calls_and_broken_sources_are_nobodys() {
    assert_eq!(demands(&Call { operation: "SelectObjectContent", ..Call::default() }), None);
    assert_eq!(demands(&Call { operation: "CopyObject", bucket: "lake", key: "k", ..Call::default() }), None);
}

#[test]
fn api_names_are_told_from_actions() {
    let said = "ListObjectsV2 is an API call and no action; what it needs is s3:ListBucket";
    assert_eq!(hint("s3:ListObjectsV2").as_deref(), Some(said));
    for action in ["s3:ListBucket", "s3:PutObject", "s3:NoSuchThing", "ec2:RunInstances"] {
        assert_eq!(hint(action), None, "{action}");
    }
}

#[test]
fn tables_agree_with_the_action_table_of_aws() {
    let table: Value = serde_json::from_str(include_str!("../data/s3-actions.json")).unwrap();
    for (action, on, _) in CALLS.iter().flat_map(|(_, needs)| *needs) {
        let row = &table["actions"][*action];
        assert!(row.is_object(), "{action} is no action");
        let resources: Vec<&str> = row["resources"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
        let wanted = match on {
            super::On::Nothing => resources.is_empty(),
            super::On::Bucket => resources.contains(&"bucket"),
            _ => resources.contains(&"object"),
        };
        assert!(wanted, "{action} on {on:?}");
        let carried: Vec<&str> = row["keys"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
        for key in keys_of(action) {
            assert!(carried.contains(&key), "{action} does not carry {key}");
        }
        let tags = [
            (super::carried::carries_existing_tags(action), "s3:ExistingObjectTag/<key>"),
            (super::carried::carries_new_tags(action), "s3:RequestObjectTagKeys"),
            (super::carried::carries_version(action), "s3:versionid"),
        ];
        for (says, key) in tags.into_iter().filter(|_| *action != "s3:BypassGovernanceRetention") {
            assert_eq!(says, carried.contains(&key), "{action} {key}");
        }
    }
}

#[test]
fn every_request_carries_the_keys_of_the_wire() {
    let wire = Wire {
        source_ip: Some("127.0.0.1".parse().unwrap()),
        secure: true,
        tls_version: None,
        now: "2026-01-01T00:00:00Z".parse().unwrap(),
        user_agent: Some("test"),
        referer: None,
        signature: Signature::Query { age_ms: 1500 },
        content_sha256: None,
        owner: "111111111111",
    };
    let mut context = Context::default();
    wire.add_to(&mut context);
    let found: Vec<String> =
        context.iter().map(|(name, value)| format!("{name}={}", value.as_slice().join(","))).collect();
    assert_eq!(
        found,
        [
            "aws:CurrentTime=2026-01-01T00:00:00Z",
            "aws:EpochTime=1767225600",
            "aws:ResourceAccount=111111111111",
            "aws:SecureTransport=true",
            "aws:SourceIp=127.0.0.1",
            "aws:UserAgent=test",
            "s3:authType=REST-QUERY-STRING",
            "s3:ResourceAccount=111111111111",
            "s3:signatureAge=1500",
            "s3:signatureversion=AWS4-HMAC-SHA256",
        ]
    );
}
