//! The condition keys that requests carry: those of single actions, and those of every request.
//!
//! Which action carries which key: <https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html>

use super::{Call, On};
use crate::policy::context::{Context, Value};
use std::net::IpAddr;

/// Where a key's value is found.
#[derive(Debug, Clone, Copy)]
enum Sent {
    Header(&'static str),
    Query(&'static str),
}

type Key = (&'static str, Sent);

const LISTING: &[Key] = &[
    ("s3:prefix", Sent::Query("prefix")),
    ("s3:delimiter", Sent::Query("delimiter")),
    ("s3:max-keys", Sent::Query("max-keys")),
];

const ACL: &[Key] = &[
    ("s3:x-amz-acl", Sent::Header("x-amz-acl")),
    ("s3:x-amz-grant-full-control", Sent::Header("x-amz-grant-full-control")),
    ("s3:x-amz-grant-read", Sent::Header("x-amz-grant-read")),
    ("s3:x-amz-grant-read-acp", Sent::Header("x-amz-grant-read-acp")),
    ("s3:x-amz-grant-write", Sent::Header("x-amz-grant-write")),
    ("s3:x-amz-grant-write-acp", Sent::Header("x-amz-grant-write-acp")),
];

const OWNERSHIP: &[Key] = &[("s3:x-amz-object-ownership", Sent::Header("x-amz-object-ownership"))];

const STORED: &[Key] = &[
    ("s3:x-amz-copy-source", Sent::Header("x-amz-copy-source")),
    ("s3:x-amz-metadata-directive", Sent::Header("x-amz-metadata-directive")),
    ("s3:x-amz-server-side-encryption", Sent::Header("x-amz-server-side-encryption")),
    ("s3:x-amz-server-side-encryption-aws-kms-key-id", Sent::Header("x-amz-server-side-encryption-aws-kms-key-id")),
    (
        "s3:x-amz-server-side-encryption-customer-algorithm",
        Sent::Header("x-amz-server-side-encryption-customer-algorithm"),
    ),
    ("s3:x-amz-storage-class", Sent::Header("x-amz-storage-class")),
    ("s3:x-amz-website-redirect-location", Sent::Header("x-amz-website-redirect-location")),
    ("s3:if-match", Sent::Header("if-match")),
    ("s3:if-none-match", Sent::Header("if-none-match")),
];

const RETENTION: &[Key] = &[
    ("s3:object-lock-mode", Sent::Header("x-amz-object-lock-mode")),
    ("s3:object-lock-retain-until-date", Sent::Header("x-amz-object-lock-retain-until-date")),
];

const LEGAL_HOLD: &[Key] = &[("s3:object-lock-legal-hold", Sent::Header("x-amz-object-lock-legal-hold"))];

const IF_MATCH: &[Key] = &[("s3:if-match", Sent::Header("if-match"))];

/// The keys that an action carries when the request sends their values.
fn keys(action: &str) -> &'static [&'static [Key]] {
    match action {
        "s3:ListBucket" | "s3:ListBucketVersions" => &[LISTING],
        "s3:CreateBucket" => &[ACL, OWNERSHIP],
        "s3:PutBucketAcl" | "s3:PutObjectAcl" | "s3:PutObjectVersionAcl" => &[ACL],
        "s3:PutObject" => &[ACL, STORED, RETENTION, LEGAL_HOLD],
        "s3:PutObjectRetention" => &[RETENTION],
        "s3:PutObjectLegalHold" => &[LEGAL_HOLD],
        "s3:DeleteObject" => &[IF_MATCH],
        _ => &[],
    }
}

/// True for actions that carry the tags that a request brings.
pub(super) const fn carries_new_tags(action: &str) -> bool {
    matches!(action.as_bytes(), b"s3:PutObject" | b"s3:PutObjectTagging" | b"s3:PutObjectVersionTagging")
}

/// True for actions that carry the tags that an object has.
pub(super) const fn carries_existing_tags(action: &str) -> bool {
    matches!(
        action.as_bytes(),
        b"s3:GetObject"
            | b"s3:GetObjectVersion"
            | b"s3:GetObjectAttributes"
            | b"s3:GetObjectVersionAttributes"
            | b"s3:GetObjectTagging"
            | b"s3:GetObjectVersionTagging"
            | b"s3:PutObjectTagging"
            | b"s3:PutObjectVersionTagging"
            | b"s3:DeleteObjectTagging"
            | b"s3:DeleteObjectVersionTagging"
            | b"s3:GetObjectAcl"
            | b"s3:GetObjectVersionAcl"
            | b"s3:PutObjectAcl"
            | b"s3:PutObjectVersionAcl"
    )
}

/// True for actions on one version of an object.
pub(super) fn carries_version(action: &str) -> bool {
    action.contains("ObjectVersion")
}

/// True if requests for an action can carry a key, given in lower case: keys of all services, of all S3 actions, or its own.
pub(super) fn can_carry(action: &str, key: &str) -> bool {
    const EVERY_S3_ACTION: [&str; 6] = [
        "s3:resourceaccount",
        "s3:tlsversion",
        "s3:authtype",
        "s3:signatureage",
        "s3:signatureversion",
        "s3:x-amz-content-sha256",
    ];
    if !key.starts_with("s3:") || EVERY_S3_ACTION.contains(&key) {
        return true;
    }
    keys(action).iter().copied().flatten().any(|(own, _)| own.eq_ignore_ascii_case(key))
        || carries_existing_tags(action) && key.starts_with("s3:existingobjecttag/")
        || carries_new_tags(action) && (key.starts_with("s3:requestobjecttag/") || key == "s3:requestobjecttagkeys")
        || carries_version(action) && key == "s3:versionid"
}

impl Call<'_> {
    /// The keys of this call that `action` carries.
    pub(super) fn carried(&self, action: &str, on: On, version: Option<&str>) -> Context {
        let mut context = Context::default();
        for (key, sent) in keys(action).iter().copied().flatten() {
            let value = match sent {
                Sent::Header(name) => self.header(name),
                Sent::Query(name) => self.query_value(name),
            };
            if let Some(value) = value {
                context.set(key, Value::One(value.to_owned()));
            }
        }
        // AWS has this key on every listing, whether it was sent or not.
        let lists = matches!(self.operation, "ListObjects" | "ListObjectsV2" | "ListObjectVersions");
        if lists && context.get("s3:max-keys").is_none() {
            context.set("s3:max-keys", Value::One("1000".to_owned()));
        }
        if let Some(source) = context.single("s3:x-amz-copy-source") {
            let path = percent_decoded(source);
            context.set("s3:x-amz-copy-source", Value::One(path.strip_prefix('/').unwrap_or(&path).to_owned()));
        }
        if let Some(version) = version.filter(|_| carries_version(action)) {
            context.set("s3:versionid", Value::One(version.to_owned()));
        }
        if carries_existing_tags(action) {
            let tags = if matches!(on, On::Source | On::TaggedSource) { self.source_tags } else { self.existing_tags };
            for (key, value) in tags {
                context.set(&format!("s3:ExistingObjectTag/{key}"), Value::One(value.clone()));
            }
        }
        if carries_new_tags(action) {
            self.add_new_tags(&mut context);
        }
        context
    }

    fn add_new_tags(&self, context: &mut Context) {
        let Some(header) = self.header("x-amz-tagging").filter(|header| !header.is_empty()) else { return };
        let decode = |text: &str| percent_decoded(&text.replace('+', " "));
        let tags = header.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        let tags: Vec<_> = tags.map(|(key, value)| (decode(key), decode(value))).collect();
        for (key, value) in &tags {
            context.set(&format!("s3:RequestObjectTag/{key}"), Value::One(value.clone()));
        }
        context.set("s3:RequestObjectTagKeys", Value::Many(tags.into_iter().map(|(key, _)| key).collect()));
    }
}

/// The text with `%XX` replaced by the bytes they stand for; what is no such escape, or no UTF-8, stays readable.
pub fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let escape = tail.first_chunk::<2>().and_then(|digits| std::str::from_utf8(digits).ok());
        let byte =
            escape.filter(|digits| !digits.starts_with('+')).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match (first, byte) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// How a request proves who sent it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signature {
    /// In the `Authorization` header.
    Header,
    /// In the query of a presigned URL, signed so many milliseconds ago.
    Query {
        /// The signature's age.
        age_ms: u64,
    },
    /// In the fields of a form.
    Form,
    /// Not at all.
    None,
}

/// What is known of a request before anybody looks at its operation.
#[derive(Debug, Clone)]
pub struct Wire<'wire> {
    /// Where it came from; none through a VPC endpoint.
    pub source_ip: Option<IpAddr>,
    /// Whether it came over TLS, or is counted so.
    pub secure: bool,
    /// The version of TLS, such as `1.3`.
    pub tls_version: Option<&'wire str>,
    /// When it came.
    pub now: jiff::Timestamp,
    /// The header `User-Agent`.
    pub user_agent: Option<&'wire str>,
    /// The header `Referer`.
    pub referer: Option<&'wire str>,
    /// How it is signed.
    pub signature: Signature,
    /// The header `x-amz-content-sha256`.
    pub content_sha256: Option<&'wire str>,
    /// The account that owns the bucket.
    pub owner: &'wire str,
}

impl Wire<'_> {
    /// Adds the condition keys that every S3 request carries.
    ///
    /// Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/bucket-policy-s3-sigv4-conditions.html>
    pub fn add_to(&self, context: &mut Context) {
        let mut set = |name: &str, value: Option<String>| {
            if let Some(value) = value {
                context.set(name, Value::One(value));
            }
        };
        set("aws:SourceIp", self.source_ip.map(|address| address.to_string()));
        set("aws:SecureTransport", Some(self.secure.to_string()));
        set("s3:TlsVersion", self.tls_version.map(str::to_owned));
        set("aws:CurrentTime", Some(self.now.to_string()));
        set("aws:EpochTime", Some(self.now.as_second().to_string()));
        set("aws:UserAgent", self.user_agent.map(str::to_owned));
        set("aws:Referer", self.referer.map(str::to_owned));
        set("s3:x-amz-content-sha256", self.content_sha256.map(str::to_owned));
        set("aws:ResourceAccount", Some(self.owner.to_owned()));
        set("s3:ResourceAccount", Some(self.owner.to_owned()));
        let (kind, age_ms) = match self.signature {
            Signature::Header => ("REST-HEADER", None),
            Signature::Query { age_ms } => ("REST-QUERY-STRING", Some(age_ms)),
            Signature::Form => ("POST", None),
            Signature::None => return,
        };
        set("s3:authType", Some(kind.to_owned()));
        set("s3:signatureversion", Some("AWS4-HMAC-SHA256".to_owned()));
        set("s3:signatureAge", age_ms.map(|age_ms| age_ms.to_string()));
    }
}

#[cfg(test)]
pub(super) fn keys_of(action: &str) -> Vec<&'static str> {
    keys(action).iter().copied().flatten().map(|(key, _)| *key).collect()
}
