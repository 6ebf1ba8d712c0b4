//! What an S3 call asks for: its actions, each on its resource, with the condition keys that it carries.
//!
//! API names are not actions: ListObjectsV2 and HeadBucket both ask for `s3:ListBucket`, and a copy asks for two things on
//! two objects. Calls that are not in the table ask for something nobody knows, and are to be refused.
//! Sources: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html>,
//! <https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html>

mod carried;

pub use carried::{Signature, Wire, percent_decoded};

use super::context::Context;

/// An S3 call, as far as policies see it.
#[derive(Debug, Clone, Default)]
pub struct Call<'call> {
    /// The API name, such as `PutObject`.
    pub operation: &'call str,
    /// The bucket, for calls on one.
    pub bucket: &'call str,
    /// The key, for calls on an object.
    pub key: &'call str,
    /// Query parameters, decoded.
    pub query: &'call [(String, String)],
    /// Headers, with names in lower case. A part of an upload is judged by the headers that began the upload.
    pub headers: &'call [(String, String)],
    /// The keys of DeleteObjects, each with its version.
    pub deletes: &'call [(String, Option<String>)],
    /// The tags that the object has, where the endpoint knows them.
    pub existing_tags: &'call [(String, String)],
    /// The tags that the source of a copy has.
    pub source_tags: &'call [(String, String)],
}

/// One thing that a call asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Demand {
    /// The action.
    pub action: &'static str,
    /// Its resource: an ARN, or `*`.
    pub resource: String,
    /// The condition keys of this call that this action carries. What holds for every call is not among them: [`Wire`].
    pub context: Context,
}

/// When a call needs an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum When {
    Always,
    /// With a version id.
    Versioned,
    /// Without one.
    Current,
    /// With tags in a header.
    Tagged,
    /// With a header of an access control list.
    WithAcl,
    /// With a retention header.
    WithRetention,
    /// With a legal hold header.
    WithLegalHold,
    /// With a header of object ownership.
    WithOwnership,
    /// With the header that overrides governance retention.
    BypassingGovernance,
}

/// What an action is asked for on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum On {
    Nothing,
    Bucket,
    Object,
    /// The source of a copy.
    Source,
    /// The source of a copy, if it has tags that are copied.
    TaggedSource,
    /// The target of a copy, if tags come with it.
    TaggedTarget,
    /// Every key of DeleteObjects.
    EachKey,
}

type Need = (&'static str, On, When);

/// The calls and what each needs.
#[rustfmt::skip]
const CALLS: &[(&str, &[Need])] = &[
    ("ListBuckets", &[("s3:ListAllMyBuckets", On::Nothing, When::Always)]),
    ("HeadBucket", &[("s3:ListBucket", On::Bucket, When::Always)]),
    ("ListObjects", &[("s3:ListBucket", On::Bucket, When::Always)]),
    ("ListObjectsV2", &[("s3:ListBucket", On::Bucket, When::Always)]),
    ("ListObjectVersions", &[("s3:ListBucketVersions", On::Bucket, When::Always)]),
    ("ListMultipartUploads", &[("s3:ListBucketMultipartUploads", On::Bucket, When::Always)]),
    ("GetBucketLocation", &[("s3:GetBucketLocation", On::Bucket, When::Always)]),
    ("CreateBucket", &[
        ("s3:CreateBucket", On::Bucket, When::Always), ("s3:PutBucketAcl", On::Bucket, When::WithAcl),
        ("s3:PutBucketOwnershipControls", On::Bucket, When::WithOwnership),
    ]),
    ("DeleteBucket", &[("s3:DeleteBucket", On::Bucket, When::Always)]),
    ("GetBucketPolicy", &[("s3:GetBucketPolicy", On::Bucket, When::Always)]),
    ("PutBucketPolicy", &[("s3:PutBucketPolicy", On::Bucket, When::Always)]),
    ("DeleteBucketPolicy", &[("s3:DeleteBucketPolicy", On::Bucket, When::Always)]),
    ("GetBucketPolicyStatus", &[("s3:GetBucketPolicyStatus", On::Bucket, When::Always)]),
    ("GetBucketAcl", &[("s3:GetBucketAcl", On::Bucket, When::Always)]),
    ("PutBucketAcl", &[("s3:PutBucketAcl", On::Bucket, When::Always)]),
    ("GetBucketCors", &[("s3:GetBucketCORS", On::Bucket, When::Always)]),
    ("PutBucketCors", &[("s3:PutBucketCORS", On::Bucket, When::Always)]),
    ("DeleteBucketCors", &[("s3:PutBucketCORS", On::Bucket, When::Always)]),
    ("GetBucketEncryption", &[("s3:GetEncryptionConfiguration", On::Bucket, When::Always)]),
    ("PutBucketEncryption", &[("s3:PutEncryptionConfiguration", On::Bucket, When::Always)]),
    ("DeleteBucketEncryption", &[("s3:PutEncryptionConfiguration", On::Bucket, When::Always)]),
    ("GetBucketLifecycleConfiguration", &[("s3:GetLifecycleConfiguration", On::Bucket, When::Always)]),
    ("PutBucketLifecycleConfiguration", &[("s3:PutLifecycleConfiguration", On::Bucket, When::Always)]),
    ("DeleteBucketLifecycle", &[("s3:PutLifecycleConfiguration", On::Bucket, When::Always)]),
    ("GetBucketLogging", &[("s3:GetBucketLogging", On::Bucket, When::Always)]),
    ("PutBucketLogging", &[("s3:PutBucketLogging", On::Bucket, When::Always)]),
    ("GetBucketNotificationConfiguration", &[("s3:GetBucketNotification", On::Bucket, When::Always)]),
    ("PutBucketNotificationConfiguration", &[("s3:PutBucketNotification", On::Bucket, When::Always)]),
    ("GetBucketOwnershipControls", &[("s3:GetBucketOwnershipControls", On::Bucket, When::Always)]),
    ("PutBucketOwnershipControls", &[("s3:PutBucketOwnershipControls", On::Bucket, When::Always)]),
    ("DeleteBucketOwnershipControls", &[("s3:PutBucketOwnershipControls", On::Bucket, When::Always)]),
    ("GetBucketReplication", &[("s3:GetReplicationConfiguration", On::Bucket, When::Always)]),
    ("PutBucketReplication", &[("s3:PutReplicationConfiguration", On::Bucket, When::Always)]),
    ("DeleteBucketReplication", &[("s3:PutReplicationConfiguration", On::Bucket, When::Always)]),
    ("GetBucketRequestPayment", &[("s3:GetBucketRequestPayment", On::Bucket, When::Always)]),
    ("PutBucketRequestPayment", &[("s3:PutBucketRequestPayment", On::Bucket, When::Always)]),
    ("GetBucketTagging", &[("s3:GetBucketTagging", On::Bucket, When::Always)]),
    ("PutBucketTagging", &[("s3:PutBucketTagging", On::Bucket, When::Always)]),
    ("DeleteBucketTagging", &[("s3:PutBucketTagging", On::Bucket, When::Always)]),
    ("GetBucketVersioning", &[("s3:GetBucketVersioning", On::Bucket, When::Always)]),
    ("PutBucketVersioning", &[("s3:PutBucketVersioning", On::Bucket, When::Always)]),
    ("GetBucketWebsite", &[("s3:GetBucketWebsite", On::Bucket, When::Always)]),
    ("PutBucketWebsite", &[("s3:PutBucketWebsite", On::Bucket, When::Always)]),
    ("DeleteBucketWebsite", &[("s3:DeleteBucketWebsite", On::Bucket, When::Always)]),
    ("GetObjectLockConfiguration", &[("s3:GetBucketObjectLockConfiguration", On::Bucket, When::Always)]),
    ("PutObjectLockConfiguration", &[("s3:PutBucketObjectLockConfiguration", On::Bucket, When::Always)]),
    ("GetPublicAccessBlock", &[("s3:GetBucketPublicAccessBlock", On::Bucket, When::Always)]),
    ("PutPublicAccessBlock", &[("s3:PutBucketPublicAccessBlock", On::Bucket, When::Always)]),
    ("DeletePublicAccessBlock", &[("s3:PutBucketPublicAccessBlock", On::Bucket, When::Always)]),

    ("GetObject", GET),
    ("HeadObject", GET),
    ("GetObjectAttributes", &[
        ("s3:GetObject", On::Object, When::Current), ("s3:GetObjectAttributes", On::Object, When::Current),
        ("s3:GetObjectVersion", On::Object, When::Versioned), ("s3:GetObjectVersionAttributes", On::Object, When::Versioned),
    ]),
    ("GetObjectTagging", &[("s3:GetObjectTagging", On::Object, When::Current), ("s3:GetObjectVersionTagging", On::Object, When::Versioned)]),
    ("PutObjectTagging", &[("s3:PutObjectTagging", On::Object, When::Current), ("s3:PutObjectVersionTagging", On::Object, When::Versioned)]),
    ("DeleteObjectTagging", &[("s3:DeleteObjectTagging", On::Object, When::Current), ("s3:DeleteObjectVersionTagging", On::Object, When::Versioned)]),
    ("GetObjectAcl", &[("s3:GetObjectAcl", On::Object, When::Current), ("s3:GetObjectVersionAcl", On::Object, When::Versioned)]),
    ("PutObjectAcl", &[("s3:PutObjectAcl", On::Object, When::Current), ("s3:PutObjectVersionAcl", On::Object, When::Versioned)]),
    ("GetObjectRetention", &[("s3:GetObjectRetention", On::Object, When::Always)]),
    ("PutObjectRetention", &[("s3:PutObjectRetention", On::Object, When::Always), ("s3:BypassGovernanceRetention", On::Object, When::BypassingGovernance)]),
    ("GetObjectLegalHold", &[("s3:GetObjectLegalHold", On::Object, When::Always)]),
    ("PutObjectLegalHold", &[("s3:PutObjectLegalHold", On::Object, When::Always)]),
    ("RestoreObject", &[("s3:RestoreObject", On::Object, When::Always)]),
    ("PutObject", PUT),
    ("CreateMultipartUpload", PUT),
    ("UploadPart", &[("s3:PutObject", On::Object, When::Always)]),
    ("CompleteMultipartUpload", &[("s3:PutObject", On::Object, When::Always)]),
    ("AbortMultipartUpload", &[("s3:AbortMultipartUpload", On::Object, When::Always)]),
    ("ListParts", &[("s3:ListMultipartUploadParts", On::Object, When::Always)]),
    ("CopyObject", &[
        ("s3:GetObject", On::Source, When::Current), ("s3:GetObjectVersion", On::Source, When::Versioned),
        ("s3:GetObjectTagging", On::TaggedSource, When::Current), ("s3:GetObjectVersionTagging", On::TaggedSource, When::Versioned),
        ("s3:PutObject", On::Object, When::Always), ("s3:PutObjectTagging", On::TaggedTarget, When::Always),
        ("s3:PutObjectAcl", On::Object, When::WithAcl), ("s3:PutObjectRetention", On::Object, When::WithRetention),
        ("s3:PutObjectLegalHold", On::Object, When::WithLegalHold),
    ]),
    ("UploadPartCopy", &[
        ("s3:GetObject", On::Source, When::Current), ("s3:GetObjectVersion", On::Source, When::Versioned),
        ("s3:PutObject", On::Object, When::Always),
    ]),
    ("DeleteObject", &[
        ("s3:DeleteObject", On::Object, When::Current), ("s3:DeleteObjectVersion", On::Object, When::Versioned),
        ("s3:BypassGovernanceRetention", On::Object, When::BypassingGovernance),
    ]),
    ("DeleteObjects", &[
        ("s3:DeleteObject", On::EachKey, When::Current), ("s3:DeleteObjectVersion", On::EachKey, When::Versioned),
        ("s3:BypassGovernanceRetention", On::EachKey, When::BypassingGovernance),
    ]),
];

const GET: &[Need] =
    &[("s3:GetObject", On::Object, When::Current), ("s3:GetObjectVersion", On::Object, When::Versioned)];

const PUT: &[Need] = &[
    ("s3:PutObject", On::Object, When::Always),
    ("s3:PutObjectTagging", On::Object, When::Tagged),
    ("s3:PutObjectAcl", On::Object, When::WithAcl),
    ("s3:PutObjectRetention", On::Object, When::WithRetention),
    ("s3:PutObjectLegalHold", On::Object, When::WithLegalHold),
];

/// What a call asks for; every demand must be allowed. None for calls that nobody knows, which are to be refused.
///
/// For DeleteObjects there is one demand or more for every key: keys that are refused do not refuse the others.
pub fn demands(call: &Call<'_>) -> Option<Vec<Demand>> {
    let (_, needs) = CALLS.iter().find(|(name, _)| *name == call.operation)?;
    let mut demands = Vec::new();
    for (action, on, when) in *needs {
        for (resource, version) in call.targets(*on)? {
            if call.is(*when, version.as_deref()) {
                demands.push(Demand { action, resource, context: call.carried(action, *on, version.as_deref()) });
            }
        }
    }
    Some(demands)
}

/// What an action is asked for on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aim {
    /// On no resource: `*`.
    Nothing,
    /// On a bucket.
    Bucket,
    /// On an object.
    Object,
}

/// Every action that some call asks for, each once.
pub fn actions() -> impl Iterator<Item = &'static str> {
    let mut actions: Vec<&'static str> =
        CALLS.iter().flat_map(|(_, needs)| needs.iter().map(|(action, ..)| *action)).collect();
    actions.sort_unstable();
    actions.dedup();
    actions.into_iter()
}

/// What an action is asked for on; none for an action that no call here asks for.
pub fn aim(action: &str) -> Option<Aim> {
    let mut needs = CALLS.iter().flat_map(|(_, needs)| *needs);
    let (_, on, _) = needs.find(|(known, ..)| known.eq_ignore_ascii_case(action))?;
    Some(match on {
        On::Nothing => Aim::Nothing,
        On::Bucket => Aim::Bucket,
        On::Object | On::Source | On::TaggedSource | On::TaggedTarget | On::EachKey => Aim::Object,
    })
}

/// Whether an action's requests can carry a condition key; none for an action that no call here asks for.
pub fn carries(action: &str, key: &str) -> Option<bool> {
    let known = actions().find(|known| known.eq_ignore_ascii_case(action))?;
    Some(carried::can_carry(known, &key.to_ascii_lowercase()))
}

/// What to say about an API name that stands where an action should.
pub fn hint(action: &str) -> Option<String> {
    let name = action.strip_prefix("s3:")?;
    let is_action = |wanted: &str| CALLS.iter().flat_map(|(_, needs)| *needs).any(|(action, ..)| *action == wanted);
    let (_, needs) = CALLS.iter().find(|(call, _)| *call == name).filter(|_| !is_action(action))?;
    let (action_meant, ..) = needs.first()?;
    Some(format!("{name} is an API call and no action; what it needs is {action_meant}"))
}

fn bucket_arn(bucket: &str) -> String {
    format!("arn:aws:s3:::{bucket}")
}

fn object_arn(bucket: &str, key: &str) -> String {
    format!("arn:aws:s3:::{bucket}/{key}")
}

impl Call<'_> {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(header, _)| header == name).map(|(_, value)| value.as_str())
    }

    fn query_value(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(parameter, _)| parameter == name).map(|(_, value)| value.as_str())
    }

    /// What an action is asked for on, each with its version; none for a copy whose source cannot be read.
    fn targets(&self, on: On) -> Option<Vec<(String, Option<String>)>> {
        let object = || (object_arn(self.bucket, self.key), self.query_value("versionId").map(str::to_owned));
        Some(match on {
            On::Nothing => vec![("*".to_owned(), None)],
            On::Bucket => vec![(bucket_arn(self.bucket), None)],
            On::TaggedTarget if !self.copies_tags() && !self.replaces_tags() => Vec::new(),
            On::Object | On::TaggedTarget => vec![object()],
            On::TaggedSource if !self.copies_tags() => Vec::new(),
            On::Source | On::TaggedSource => {
                let (bucket, key, version) = self.source()?;
                vec![(object_arn(&bucket, &key), version)]
            }
            On::EachKey => {
                self.deletes.iter().map(|(key, version)| (object_arn(self.bucket, key), version.clone())).collect()
            }
        })
    }

    /// True if the call is one in which an action is needed then.
    fn is(&self, when: When, version: Option<&str>) -> bool {
        let has = |start: &str| self.headers.iter().any(|(name, _)| name.starts_with(start));
        match when {
            When::Always => true,
            When::Versioned => version.is_some(),
            When::Current => version.is_none(),
            When::Tagged => self.header("x-amz-tagging").is_some_and(|tags| !tags.is_empty()),
            When::WithAcl => has("x-amz-acl") || has("x-amz-grant-"),
            When::WithOwnership => has("x-amz-object-ownership"),
            When::WithRetention => has("x-amz-object-lock-mode") || has("x-amz-object-lock-retain-until-date"),
            When::WithLegalHold => has("x-amz-object-lock-legal-hold"),
            When::BypassingGovernance => {
                self.header("x-amz-bypass-governance-retention").is_some_and(|on| on.eq_ignore_ascii_case("true"))
            }
        }
    }

    /// True if a copy takes the source's tags with it, which it does unless told otherwise.
    fn copies_tags(&self) -> bool {
        let replaces = self.header("x-amz-tagging-directive").is_some_and(|how| how.eq_ignore_ascii_case("REPLACE"));
        !replaces && !self.source_tags.is_empty()
    }

    /// True if a copy brings tags of its own.
    fn replaces_tags(&self) -> bool {
        let replaces = self.header("x-amz-tagging-directive").is_some_and(|how| how.eq_ignore_ascii_case("REPLACE"));
        replaces && self.is(When::Tagged, None)
    }

    /// Bucket, key and version of the source of a copy.
    fn source(&self) -> Option<(String, String, Option<String>)> {
        let header = self.header("x-amz-copy-source")?;
        let (path, version) = header.split_once("?versionId=").map_or((header, None), |(path, id)| (path, Some(id)));
        let path = carried::percent_decoded(path);
        let (bucket, key) = path.strip_prefix('/').unwrap_or(&path).split_once('/')?;
        Some((bucket.to_owned(), key.to_owned(), version.map(carried::percent_decoded)))
    }
}

#[cfg(test)]
mod tests;
