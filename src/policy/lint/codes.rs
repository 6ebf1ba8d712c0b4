//! The table of codes: what the linter can say, how much it matters, and an example of each.
//!
//! Codes without prefix are IAM Access Analyzer's issue codes, with its severities; `BW_` codes are the tool's own.
//! Source: <https://docs.aws.amazon.com/IAM/latest/UserGuide/access-analyzer-reference-policy-checks.html>

use crate::report::Severity;

/// One thing that the linter can say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Code {
    /// Its stable name.
    pub name: &'static str,
    /// How much it matters; single findings may weigh less, where the code's text says so.
    pub severity: Severity,
    /// What it finds, as half a sentence.
    pub finds: &'static str,
    /// A piece of a policy that has it.
    pub example: &'static str,
}

macro_rules! codes {
    ($($name:ident $severity:ident $finds:literal $example:literal;)+) => {
        $(pub(super) const $name: Code =
            Code { name: stringify!($name), severity: Severity::$severity, finds: $finds, example: $example };)+
        const CODES: &[Code] = &[$($name),+];
    };
}

/// Every code, by topic.
pub fn codes() -> &'static [Code] {
    CODES
}

codes! {
    JSON_SYNTAX_ERROR Error "text that is no JSON, is larger or deeper than any policy, or has a name twice in one object" r#"{"Version": }"#;
    DATA_TYPE_MISMATCH Error "a value of another JSON type than the grammar has there" r#""Effect": true"#;
    INVALID_POLICY_ELEMENT Error "an element that policies of this type do not have" r#""Resources": "*""#;
    UNSUPPORTED_ELEMENT_COMBINATION Error "an element beside its `Not` form" r#""Resource": "*", "NotResource": "..""#;
    BW_UNSUPPORTED_CHARACTER Error "a character that policies cannot hold: beyond U+00FF, or a control character" r#"arn:aws:s3:::lake/日本/*"#;
    MISSING_VERSION Warning "no `Version`" r#"{"Statement": [..]}"#;
    INVALID_VERSION Error "a `Version` that is no version of the policy language" r#""Version": "2012-10-16""#;
    BW_OLD_VERSION Warning "`Version` 2008-10-17, in which variables are plain text" r#""Version": "2008-10-17""#;
    MISSING_STATEMENT Error "no `Statement`, or an empty list" r#"{"Version": "2012-10-17"}"#;
    MISSING_EFFECT Error "a statement without `Effect`" r#"{"Action": "s3:GetObject", "Resource": "*"}"#;
    INVALID_EFFECT Error "an `Effect` that is neither `Allow` nor `Deny`, or an `Allow` in a resource control policy" r#""Effect": "allow""#;
    MISSING_ACTION Error "a statement without `Action` and `NotAction`" r#"{"Effect": "Allow", "Resource": "*"}"#;
    MISSING_RESOURCE Error "a statement without `Resource` and `NotResource`" r#"{"Effect": "Allow", "Action": "s3:GetObject"}"#;
    MISSING_PRINCIPAL Error "a statement of a bucket, trust or resource control policy without `Principal`" r#"{"Effect": "Allow", "Action": "sts:AssumeRole"}"#;
    UNIQUE_SIDS_REQUIRED Error "a `Sid` that stands twice in an IAM or organization policy" r#""Sid": "Read", again"#;
    UNIQUE_SIDS_RECOMMENDED Warning "a `Sid` that stands twice in a bucket policy" r#""Sid": "Read", again"#;
    UNSUPPORTED_SID Error "a `Sid` with other characters than letters and digits; bucket policies may have them" r#""Sid": "read-only""#;
    EMPTY_SID_VALUE Suggestion "an empty `Sid`" r#""Sid": """#;
    EMPTY_ARRAY_ACTION Suggestion "an empty list of actions: the statement does nothing" r#""Action": []"#;
    EMPTY_ARRAY_RESOURCE Suggestion "an empty list of resources: the statement does nothing" r#""Resource": []"#;
    EMPTY_ARRAY_PRINCIPAL Suggestion "an empty list of principals: the statement does nothing" r#""Principal": {"AWS": []}"#;
    EMPTY_OBJECT_PRINCIPAL Suggestion "an empty `Principal`: the statement does nothing" r#""Principal": {}"#;
    EMPTY_OBJECT_CONDITION Suggestion "an empty `Condition`, or an operator without keys" r#""Condition": {}"#;
    REDUNDANT_STATEMENT Suggestion "a statement that says what an earlier one says" r#"the same statement twice"#;
    POLICY_SIZE_EXCEEDS_IDENTITY_POLICY_QUOTA Warning "a policy that is too large for a managed policy (6,144 characters) or a session policy (2,048)" r#"7,000 characters"#;
    POLICY_SIZE_EXCEEDS_RESOURCE_POLICY_QUOTA Warning "a bucket policy over 20 KiB, or a trust policy over 2,048 characters" r#"21 KiB"#;
    POLICY_SIZE_EXCEEDS_SCP_QUOTA Error "a service or resource control policy over 5,120 characters" r#"6,000 characters"#;

    INVALID_ACTION Error "an action that does not exist, or has no service" r#""Action": "s3:GetObjects""#;
    BW_API_NAME_AS_ACTION Error "an S3 operation whose permission has another name" r#""Action": "s3:ListObjectsV2""#;
    INVALID_SERVICE_IN_ACTION Error "an action of a service that does not exist (a warning where no known name is near: it may be new)" r#""Action": "s33:GetObject""#;
    WILDCARD_IN_SERVICE_NAME Suggestion "a wildcard in a service's name" r#""Action": "s3*:GetObject""#;
    UNSUPPORTED_ACTION_IN_POLICY Error "an action that policies of this type cannot hold" r#""Action": "ec2:RunInstances" in a bucket policy"#;
    REDUNDANT_ACTION Suggestion "an action that another entry of the list covers" r#""Action": ["s3:Get*", "s3:GetObject"]"#;
    VARIABLE_UNSUPPORTED_IN_ELEMENT Error "a variable where none is replaced: actions, principals, names of keys, the first five fields of an ARN" r#""Action": "s3:${aws:username}""#;

    INVALID_ARN_PREFIX Error "a resource that is neither `*` nor an ARN" r#""Resource": "lake/*""#;
    MISSING_ARN_FIELD Error "an ARN with fewer than six fields, or an empty one that must not be empty" r#""Resource": "arn:aws:s3:lake/*""#;
    INVALID_PARTITION Error "an ARN of a partition that does not exist" r#""Resource": "arn:awss:s3:::lake/*""#;
    INVALID_SERVICE Error "an ARN or condition key of a service that does not exist (a warning where no known name is near: it may be new)" r#""Resource": "arn:aws:s33:::lake/*""#;
    INVALID_ARN_SERVICE_CASE Error "capital letters in an ARN's service" r#""Resource": "arn:aws:S3:::lake/*""#;
    INVALID_ARN_REGION Error "an ARN's Region that has not the form of one" r#""Resource": "arn:aws:kms:useast1:111111111111:key/*""#;
    INVALID_ARN_ACCOUNT Error "an ARN's account that is no account" r#""Resource": "arn:aws:kms:us-east-1:1111:key/*""#;
    INVALID_ARN_RESOURCE Error "an S3 ARN whose last field names neither bucket nor object" r#""Resource": "arn:aws:s3:::/lake""#;
    ARN_REGION_NOT_ALLOWED Error "a Region in an ARN that has none, such as a bucket's" r#""Resource": "arn:aws:s3:us-east-1::lake/*""#;
    ARN_ACCOUNT_NOT_ALLOWED Error "an account in an ARN that has none, such as a bucket's" r#""Resource": "arn:aws:s3:::111111111111:lake""#;
    UNSUPPORTED_RESOURCE_ARN_IN_POLICY Error "a resource of another service, or no bucket, in a bucket policy" r#""Resource": "arn:aws:sqs:us-east-1:111111111111:q" in a bucket policy"#;
    BW_RESOURCE_OUTSIDE_BUCKET Error "a bucket policy that names another bucket (a warning for `*` and wildcards in the bucket's name)" r#""Resource": "arn:aws:s3:::other/*" in the policy of `lake`"#;
    BW_RESOURCE_TYPE_MISMATCH Error "an S3 action none of whose resources is of its kind, so that it never matches (a suggestion where only some are)" r#""Action": "s3:GetObject", "Resource": "arn:aws:s3:::lake""#;
    REDUNDANT_RESOURCE Suggestion "a resource that another entry of the list covers" r#""Resource": ["arn:aws:s3:::lake/*", "arn:aws:s3:::lake/a/*"]"#;
    BW_PLACEHOLDER Warning "a placeholder that nobody filled in" r#""Resource": "arn:aws:s3:::your-bucket-name/*""#;

    UNSUPPORTED_PRINCIPAL Error "a `Principal` where the policy type has none, or not this one" r#""Principal": "*" in an identity policy"#;
    INVALID_PRINCIPAL_FORMAT Error "a `Principal` that is a text other than `*`, or a service or provider of the wrong form" r#""Principal": "111111111111""#;
    INVALID_PRINCIPAL_KEY Error "a key other than `AWS`, `Service`, `Federated` and `CanonicalUser`" r#""Principal": {"Aws": "111111111111"}"#;
    BW_PRINCIPAL_ARN_INVALID Error "an `AWS` principal that names no account, user, role or session, which S3 refuses as `MalformedPolicy`" r#""Principal": {"AWS": "arn:aws:iam::1111:role/r"}"#;
    UNSUPPORTED_WILDCARD_IN_PRINCIPAL Error "a wildcard in a principal other than `*` itself" r#""Principal": {"AWS": "arn:aws:iam::111111111111:role/*"}"#;
    INVALID_ROLE_REFERENCE Warning "a role's unique id instead of its ARN" r#""Principal": {"AWS": "AROAEXAMPLEEXAMPLE12"}"#;
    INVALID_USER_REFERENCE Warning "a user's unique id instead of its ARN" r#""Principal": {"AWS": "AIDAEXAMPLEEXAMPLE12"}"#;
    ALLOW_WITH_NOTPRINCIPAL SecurityWarning "`Allow` with `NotPrincipal`: everybody but those named, anonymous callers included" r#""Effect": "Allow", "NotPrincipal": {..}"#;

    INVALID_CONDITION_OPERATOR Error "a condition operator that does not exist" r#""StringLikes": {..}"#;
    NULL_WITH_IF_EXISTS Error "`Null` with `IfExists`" r#""NullIfExists": {..}"#;
    NULL_WITH_QUALIFIER Suggestion "`Null` with a set operator, which decides it whatever the request holds" r#""ForAllValues:Null": {..}"#;
    INVALID_CONDITION_KEY_FORMAT Error "a condition key that is not of the form `service:name`" r#""StringLike": {"prefix": ".."}"#;
    INVALID_GLOBAL_CONDITION_KEY Error "an `aws:` key that does not exist (a warning where no known name is near: it may be new)" r#""aws:SourceIpp""#;
    INVALID_SERVICE_CONDITION_KEY Error "an `s3:` key that does not exist" r#""s3:prefixx""#;
    UNSUPPORTED_GLOBAL_CONDITION_KEY Error "`aws:ARN`, which no request carries" r#""aws:ARN""#;
    DEPRECATED_GLOBAL_CONDITION_KEY Warning "a global key that another one replaced" r#""aws:SourceOwner""#;
    MISSING_TAG_KEY_IN_CONDITION Error "a tag condition without the tag's key" r#""aws:PrincipalTag": "x""#;
    DUPLICATE_KEYS_WITH_DIFFERENT_CASE Error "a key that stands twice under one operator, in different case" r#"{"s3:prefix": "a", "S3:Prefix": "b"}"#;
    UNSUPPORTED_ACTION_FOR_CONDITION_KEY Error "an S3 action of the statement that never carries the key (a warning for tags of requests)" r#""s3:GetBucketLocation" with "s3:prefix""#;
    IRRELEVANT_CONDITION_KEY_IN_POLICY Suggestion "a key that says nothing in this type of policy" r#""s3:ResourceAccount" in a bucket policy"#;
    MISSING_QUALIFIER Error "a key with several values without `ForAllValues` or `ForAnyValue`" r#""StringEquals": {"aws:TagKeys": ".."}"#;
    FORALLVALUES_WITH_SINGLE_VALUED_KEY SecurityWarning "`ForAllValues` on a key with one value: true where the key is missing (a suggestion in a `Deny`)" r#""ForAllValues:StringEquals": {"s3:prefix": ".."}"#;
    MISSING_PAIRED_CONDITION_KEYS SecurityWarning "a key that is only safe beside another: `aws:VpcSourceIp` without its VPC, a provider's `aud` without `sub`" r#""IpAddress": {"aws:VpcSourceIp": ".."}"#;
    INVALID_CONDITION_DATA_TYPE Error "values of different JSON types under one key" r#"["1", 2]"#;
    INVALID_CONDITION_MULTIPLE_BOOLEAN Error "several values under `Bool` or `Null`" r#""Bool": {"aws:SecureTransport": ["true", "false"]}"#;
    EMPTY_ARRAY_CONDITION Suggestion "a key without values" r#""StringEquals": {"s3:prefix": []}"#;
    EMPTY_ARRAY_CONDITION_FORALLVALUES Suggestion "the same under `ForAllValues`" r#""ForAllValues:StringEquals": {"aws:TagKeys": []}"#;
    EMPTY_ARRAY_CONDITION_FORANYVALUE Suggestion "the same under `ForAnyValue`" r#""ForAnyValue:StringEquals": {"aws:TagKeys": []}"#;
    EMPTY_ARRAY_CONDITION_IFEXISTS Suggestion "the same under `...IfExists`" r#""StringEqualsIfExists": {"s3:prefix": []}"#;
    TYPE_MISMATCH Warning "an operator of another type than the key" r#""NumericEquals": {"aws:SourceIp": ".."}"#;
    TYPE_MISMATCH_BOOLEAN Warning "a value under `Bool` or `Null` that is neither true nor false" r#""Bool": {"aws:SecureTransport": "yes"}"#;
    TYPE_MISMATCH_DATE Warning "a value under a date operator that is no time" r#""DateLessThan": {"aws:CurrentTime": "tomorrow"}"#;
    TYPE_MISMATCH_IP_RANGE Warning "a value under an address operator that is no range" r#""IpAddress": {"aws:SourceIp": "300.1.1.1"}"#;
    TYPE_MISMATCH_NUMBER Warning "a value under a numeric operator that is no number" r#""NumericLessThan": {"s3:max-keys": "ten"}"#;
    TYPE_MISMATCH_STRING Warning "a value under `BinaryEquals` that is no base64" r#""BinaryEquals": {"k:b": "?"}"#;
    INVALID_DATE_VALUE Warning "a time in seconds since 1970" r#""DateLessThan": {"aws:CurrentTime": "1767225600"}"#;
    WILDCARD_WITHOUT_LIKE_OPERATOR Warning "`*` or `?` under an operator for which it is a plain character" r#""StringEquals": {"s3:prefix": "team-a/*"}"#;
    PRIVATE_IP_ADDRESS Error "`aws:SourceIp` in private ranges only: it never matches" r#""IpAddress": {"aws:SourceIp": "10.0.0.0/8"}"#;
    PRIVATE_NOTIPADDRESS Error "`aws:SourceIp` outside of private ranges only: it always matches" r#""NotIpAddress": {"aws:SourceIp": "10.0.0.0/8"}"#;
    PRIVATE_IP_ADDRESS_SUBSET Suggestion "some private ranges under `aws:SourceIp`" r#"["10.0.0.0/8", "203.0.113.0/24"]"#;
    PRIVATE_NOTIPADDRESS_SUBSET Suggestion "the same under `NotIpAddress`" r#"["10.0.0.0/8", "203.0.113.0/24"]"#;
    IMPROVE_IP_RANGE Suggestion "a range whose address has bits beyond its mask" r#""203.0.113.7/24""#;
    INVALID_VPC_FORMAT Error "`aws:SourceVpc` with something that is no VPC" r#""aws:SourceVpc": "vpce-0a1b2c3d""#;
    INVALID_VPCE_FORMAT Error "`aws:SourceVpce` with something that is no VPC endpoint" r#""aws:SourceVpce": "vpc-0a1b2c3d""#;
    REDUNDANT_CONDITION_VALUE_NUM Suggestion "several bounds of which one counts" r#""NumericLessThan": {"s3:max-keys": [10, 20]}"#;

    VARIABLE_UNSUPPORTED_IN_VERSION Error "a variable in a document without `Version` 2012-10-17: it is plain text" r#""Version": "2008-10-17" with `${aws:username}`"#;
    INVALID_VARIABLE_FOR_OPERATOR Error "a variable under an operator other than string and ARN operators" r#""NumericEquals": {"s3:max-keys": "${aws:username}"}"#;
    MISSING_BRACE_IN_VARIABLE Error "`${` without `}`" r#""${aws:username/*""#;
    MISSING_QUOTE_IN_VARIABLE Error "a default value that is not in single quotes" r#""${aws:username, nobody}""#;
    UNSUPPORTED_SPACE_IN_VARIABLE Error "a blank in a variable's name" r#""${ aws:username }""#;
    EMPTY_VARIABLE Error "`${}`" r#""home/${}/*""#;

    BW_ADMIN_WILDCARD SecurityWarning "every action, or all of IAM, on every resource (a suggestion in a boundary that also denies)" r#""Action": "*", "Resource": "*""#;
    BW_S3_FULL_ACCESS SecurityWarning "every S3 action on every bucket (a warning on named buckets)" r#""Action": "s3:*", "Resource": "*""#;
    BW_ALLOW_NOT_ACTION SecurityWarning "`Allow` with `NotAction`: every action of every service but those named" r#""Effect": "Allow", "NotAction": "iam:*""#;
    BW_PUBLIC_PRINCIPAL SecurityWarning "`Allow` to everybody without a condition that narrows it to known callers" r#""Effect": "Allow", "Principal": "*""#;
    BW_BUCKET_OVERMATCH SecurityWarning "a wildcard in a bucket's name: buckets of that name may belong to anybody" r#""Resource": "arn:aws:s3:::lake*""#;
    BW_PREFIX_OVERMATCH SecurityWarning "a prefix with `*` and no slash before it, which means its neighbours too" r#""Resource": "arn:aws:s3:::lake/team-a*""#;
    BW_ROOT_LISTING_RECURSIVE SecurityWarning "a listing that a missing or empty prefix satisfies, without a condition on the delimiter: all keys of the bucket" r#""StringEquals": {"s3:prefix": ""}"#;
    BW_SELF_LOCKOUT SecurityWarning "a `Deny` that also stops whoever would change this bucket policy" r#""Effect": "Deny", "Principal": "*", "Action": "s3:*""#;
    BW_ENCRYPTION_HEADER_DENY Warning "a `Deny` that fires where the encryption header is not sent, which default encryption never needs" r#""StringNotEquals": {"s3:x-amz-server-side-encryption": "aws:kms"}"#;
    BW_KMS_INCOMPLETE Warning "writing with a KMS key without both `kms:GenerateDataKey` and `kms:Decrypt`, which multipart uploads need" r#""Action": ["s3:PutObject", "kms:GenerateDataKey"]"#;
    BW_FOLDER_PREFIX_INCOMPLETE Suggestion "a listing of `team-a/*` that refuses `team-a`, as some clients ask first" r#""StringLike": {"s3:prefix": "team-a/*"}"#;
    BW_LOCATION_INCOMPLETE Suggestion "a listing limited by `s3:prefix` without `s3:GetBucketLocation` on the same bucket, which flytekit asks before it uploads a directory" r#""StringLike": {"s3:prefix": "team-a/*"}"#;
    BW_MULTIPART_INCOMPLETE Suggestion "`s3:PutObject` without `s3:AbortMultipartUpload` and `s3:ListMultipartUploadParts`" r#""Action": "s3:PutObject""#;
}
