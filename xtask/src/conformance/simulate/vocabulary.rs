//! What generated cases are made of. Small on purpose: policies and requests must meet often enough to say something.

pub(super) const HOME: &str = "111111111111";
pub(super) const AWAY: &str = "222222222222";
pub(super) const SERVICE: &str = "logging.s3.amazonaws.com";

/// Actions of each kind of resource.
pub(super) const OBJECT_ACTIONS: [&str; 5] =
    ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:GetObjectTagging", "s3:AbortMultipartUpload"];
pub(super) const BUCKET_ACTIONS: [&str; 3] = ["s3:ListBucket", "s3:GetBucketLocation", "s3:PutLifecycleConfiguration"];
pub(super) const ACCOUNT_ACTION: &str = "s3:ListAllMyBuckets";

/// Entries of `Action` that mean some of them.
pub(super) const ACTION_PATTERNS: [&str; 12] = [
    "*",
    "s3:*",
    "s3:Get*",
    "s3:*Object",
    "S3:getobject",
    "s3:?etObject",
    "s3:List*",
    "s3:*Bucket*",
    "s3:Put*",
    "s3:G*t*",
    "s3:*Multipart*",
    "ec2:*",
];

pub(super) const BUCKETS: [&str; 3] = ["lake", "lake", "lake-secret"];

/// Keys of requests. Policies of AWS cannot hold what lies beyond Latin-1; requests can.
pub(super) const KEYS: [&str; 14] = [
    "team-a/x",
    "team-a/x",
    "team-a/",
    "team-a",
    "team-b/x",
    "team-ab/x",
    "k",
    "home/alice/f",
    "home//f",
    "run-1",
    "a.b+c(d)[e]$",
    "team-a/a:b:c",
    "team-a/é",
    "team-a/y/z",
];
/// Keys that one of the known divergences is about.
pub(super) const ODD_KEYS: [&str; 3] = ["team-a/x\ny", "team-a/*", "*"];

/// What stands behind the bucket in `Resource`. Few stars each: the peer's matcher takes exponential time.
pub(super) const KEY_PATTERNS: [&str; 20] = [
    "/*",
    "/*",
    "/*",
    "*",
    "",
    "/team-a/*",
    "/team-a/*",
    "/team-a*",
    "/team-?/*",
    "/*/x",
    "/home/${aws:username}/*",
    "/${aws:PrincipalTag/team}/*",
    "/${aws:PrincipalTag/team, 'team-a'}/*",
    "/${aws:PrincipalTag/none}/*",
    "/team-a/${*}",
    "/run-?",
    "/a.b+c(d)[e]$",
    "/${AWS:UserName}",
    "/home/${aws:username, ''}/*",
    "/team-a/?",
];

/// Resources of other shapes.
pub(super) const RESOURCES: [&str; 8] = [
    "*",
    "*",
    "arn:aws:s3:::*",
    "arn:*:s3:::lake/*",
    "arn:aws:*:::lake*",
    "arn:aws:s3:::*/x",
    "arn:aws:s3:::l?ke/*",
    "arn:aws:ec2:us-east-1:111111111111:instance/*",
];

/// How values of a key are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Arn,
    Number,
    Date,
    Bool,
    Address,
    Binary,
    /// Several values at once.
    Set,
}

/// A condition key, the values that requests send, and those that policies name beside them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) sent: &'static [&'static str],
    pub(super) wanted: &'static [&'static str],
}

const fn key(name: &'static str, kind: Kind, sent: &'static [&'static str], wanted: &'static [&'static str]) -> Key {
    Key { name, kind, sent, wanted }
}

/// Keys that follow from the caller are filled elsewhere; they have no values here.
#[rustfmt::skip]
pub(super) const CONDITION_KEYS: [Key; 27] = [
    key("aws:username", Kind::Text, &[], &["alice", "bob", "ali*", "Alice", "${aws:PrincipalTag/team}"]),
    key("aws:userid", Kind::Text, &[], &["AROAEXAMPLE:*", "AIDAEXAMPLE", "*:run-1"]),
    key("aws:PrincipalType", Kind::Text, &[], &["User", "AssumedRole", "user"]),
    key("aws:PrincipalAccount", Kind::Text, &[], &[HOME, AWAY]),
    key("aws:PrincipalArn", Kind::Arn, &[], &[
        "arn:aws:iam::111111111111:user/alice", "arn:aws:iam::111111111111:role/trainer", "arn:aws:iam::*:role/*",
        "arn:aws:iam::111111111111:user/${aws:username}", "arn:*:iam::222222222222:*", "arn:aws:iam::1111*:user/a?ice",
        "arn:aws:iam::111111111111:root"]),
    key("aws:ResourceAccount", Kind::Text, &[], &[HOME, AWAY, "${aws:PrincipalAccount}"]),
    key("aws:PrincipalTag/team", Kind::Text, &["team-a", "team-a", "team-b", "*", "Team-A", "", "a?"],
        &["team-a", "team-*", "TEAM-A", "", "*", "team-?", "${aws:username}", "${*}"]),
    key("aws:PrincipalTag/level", Kind::Number, &["1", "10", "9", "1.50", "-3"], &["1", "10", "9.5", "1.5", "-3", "0"]),
    key("aws:PrincipalTag/blob", Kind::Binary, &["YQ==", "Yg==", "AAEC"], &["YQ==", "AAEC", "YWI="]),
    key("aws:SourceIp", Kind::Address, &["203.0.113.5", "198.51.100.7", "2001:db8::1", "10.1.2.3"],
        &["203.0.113.0/24", "203.0.113.5", "203.0.113.77/25", "0.0.0.0/0", "2001:db8::/32", "10.0.0.0/8", "2001:db8::1"]),
    key("aws:SecureTransport", Kind::Bool, &["true", "true", "false"], &["true", "false", "True"]),
    key("aws:MultiFactorAuthPresent", Kind::Bool, &["true", "false"], &["true", "false"]),
    key("aws:CurrentTime", Kind::Date, &["2026-01-01T00:00:00Z", "2026-06-30T12:00:00Z"],
        &["2026-01-01T00:00:00Z", "2026-01-01", "2026-03", "2026-01-01T01:00:00+01:00", "2027", "1767225600"]),
    key("aws:EpochTime", Kind::Date, &["1767225600", "1782820800"], &["1767225600", "1780000000", "2026-01-01T00:00:00Z"]),
    key("aws:MultiFactorAuthAge", Kind::Number, &["60", "3600"], &["60", "300", "3600"]),
    key("aws:UserAgent", Kind::Text, &["aws-cli/2.0", "Boto3 (linux)"], &["aws-cli/*", "*(linux)", "Boto3 (linux)"]),
    key("aws:SourceVpce", Kind::Text, &["vpce-0a1b2c3d", "vpce-11111111"], &["vpce-0a1b2c3d", "vpce-*"]),
    key("aws:SourceArn", Kind::Arn, &["arn:aws:s3:::lake", "arn:aws:sns:us-east-1:111111111111:t"],
        &["arn:aws:s3:::*", "arn:aws:s3:::lake", "arn:aws:*:*:111111111111:*", "arn:aws:sns:*:*:?"]),
    key("s3:prefix", Kind::Text, &["team-a/", "team-a/x/", "team-a", "", "team-ab/", "home/alice/"],
        &["team-a/*", "team-a", "", "team-a*", "home/${aws:username}/*", "*", "${aws:PrincipalTag/team}/*"]),
    key("s3:delimiter", Kind::Text, &["/", ""], &["/", ""]),
    key("s3:max-keys", Kind::Number, &["1000", "10", "1"], &["10", "100", "1000"]),
    key("s3:x-amz-acl", Kind::Text, &["private", "public-read"], &["private", "public-*", "bucket-owner-full-control"]),
    key("s3:x-amz-server-side-encryption", Kind::Text, &["AES256", "aws:kms"], &["aws:kms", "AES256", "aws:*"]),
    key("s3:ExistingObjectTag/class", Kind::Text, &["open", "secret"], &["open", "sec*", "${aws:PrincipalTag/team}"]),
    key("s3:RequestObjectTagKeys", Kind::Set, &["class", "team", "cost"], &["class", "team", "c*"]),
    key("aws:TagKeys", Kind::Set, &["class", "team", "Cost"], &["class", "team", "c*", "cost"]),
    key("aws:CalledVia", Kind::Set, &["athena.amazonaws.com", "glue.amazonaws.com"],
        &["athena.amazonaws.com", "*.amazonaws.com", "sns.amazonaws.com"]),
];

/// The operators that suit a kind.
pub(super) const fn operators(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Text | Kind::Set => &[
            "StringEquals",
            "StringLike",
            "StringNotEquals",
            "StringNotLike",
            "StringEqualsIgnoreCase",
            "StringNotEqualsIgnoreCase",
        ],
        Kind::Arn => {
            &["ArnLike", "ArnEquals", "ArnNotLike", "ArnNotEquals", "StringLike", "StringNotLike", "StringEquals"]
        }
        Kind::Number => &[
            "NumericEquals",
            "NumericNotEquals",
            "NumericLessThan",
            "NumericLessThanEquals",
            "NumericGreaterThan",
            "NumericGreaterThanEquals",
        ],
        Kind::Date => &[
            "DateEquals",
            "DateNotEquals",
            "DateLessThan",
            "DateLessThanEquals",
            "DateGreaterThan",
            "DateGreaterThanEquals",
        ],
        Kind::Bool => &["Bool", "Bool", "StringEquals"],
        Kind::Address => &["IpAddress", "NotIpAddress"],
        Kind::Binary => &["BinaryEquals", "StringEquals"],
    }
}
