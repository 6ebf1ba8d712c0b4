//! The settings of a bucket: documents that are checked, kept and given back.
//!
//! A setting that is absent answers with AWS's own code for it, which differs from setting to setting.

use super::authorize::Pass;
use super::fault::{Fault, Outcome, refusal};
use super::index::{Snapshot, Tables};
use super::record::{Versioning, encode};
use super::service::Service;
use super::versions::bucket_record;
use crate::policy::Document;
use redb::ReadableTable;
use s3s::dto::*;
use s3s::xml::{self, DeserializeContent as _};
use s3s::{S3Error, S3Request, S3Response, S3Result, s3_error};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::Arc;

/// The longest bucket policy, in bytes.
///
/// Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketPolicy.html>
const MAX_POLICY_BYTES: usize = 20 << 10;
/// The most rules of a lifecycle configuration.
const MAX_LIFECYCLE_RULES: usize = 1000;
/// The most tags of a bucket.
const MAX_BUCKET_TAGS: usize = 50;

/// A kind of document. Versioning is not one: it lies in the bucket's record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    PublicAccess,
    Ownership,
    Encryption,
    Lifecycle,
    Policy,
    Logging,
    Tagging,
}

/// A lifecycle configuration with the header that belongs to it.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
struct KeptLifecycle {
    rules: Vec<LifecycleRule>,
    default_minimum_object_size: Option<String>,
}

impl Kind {
    pub(super) const ALL: [Self; 7] = [
        Self::PublicAccess,
        Self::Ownership,
        Self::Encryption,
        Self::Lifecycle,
        Self::Policy,
        Self::Logging,
        Self::Tagging,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::PublicAccess => "public-access",
            Self::Ownership => "ownership",
            Self::Encryption => "encryption",
            Self::Lifecycle => "lifecycle",
            Self::Policy => "policy",
            Self::Logging => "logging",
            Self::Tagging => "tagging",
        }
    }

    /// The error of a bucket that has no such document.
    fn absent(self) -> S3Error {
        let custom = |code, message| refusal(code, http::StatusCode::NOT_FOUND, message);
        match self {
            Self::PublicAccess => {
                custom("NoSuchPublicAccessBlockConfiguration", "The public access block configuration was not found")
            }
            Self::Ownership => custom("OwnershipControlsNotFoundError", "The bucket ownership controls were not found"),
            Self::Encryption => custom(
                "ServerSideEncryptionConfigurationNotFoundError",
                "The server side encryption configuration was not found",
            ),
            Self::Lifecycle => custom("NoSuchLifecycleConfiguration", "The lifecycle configuration does not exist"),
            Self::Policy => custom("NoSuchBucketPolicy", "The bucket policy does not exist"),
            Self::Logging => custom("NoSuchLoggingConfiguration", "The bucket has no logging configuration"),
            Self::Tagging => custom("NoSuchTagSet", "The TagSet does not exist"),
        }
    }

    /// Keeps a document. Stored as JSON, so that a field that `s3s` adds later does not shift the others.
    pub(super) fn write(self, tables: &mut Tables<'_>, bucket: &str, document: &impl Serialize) -> Outcome<()> {
        let text = serde_json::to_vec(document).map_err(|error| Fault::Refused(S3Error::internal_error(error)))?;
        tables.settings.insert((bucket, self.name()), text.as_slice())?;
        Ok(())
    }

    pub(super) fn remove(self, tables: &mut Tables<'_>, bucket: &str) -> Outcome<()> {
        tables.settings.remove((bucket, self.name()))?;
        Ok(())
    }

    /// The document of an existing bucket, if it has one.
    pub(super) fn read<T: DeserializeOwned>(
        self,
        table: &impl ReadableTable<(&'static str, &'static str), &'static [u8]>,
        bucket: &str,
    ) -> Outcome<Option<T>> {
        let found = table.get((bucket, self.name()))?;
        let read = |bytes: &[u8]| {
            serde_json::from_slice(bytes).map_err(|error| Fault::Refused(S3Error::internal_error(error)))
        };
        found.map(|found| read(found.value())).transpose()
    }
}

/// The refusal of a public policy where there must be none.
fn public_policy_blocked(extensions: &http::Extensions, bucket: &str) -> S3Error {
    let user = extensions.get::<Arc<Pass>>().map(|pass| pass.caller_arn()).unwrap_or_default();
    s3_error!(
        AccessDenied,
        "User: {user} is not authorized to perform: s3:PutBucketPolicy on resource: \"arn:aws:s3:::{bucket}\" because \
         public policies are blocked by the BlockPublicPolicy block public access setting."
    )
}

fn known(snapshot: &Snapshot, bucket: &str) -> Outcome<()> {
    bucket_record(&snapshot.buckets()?, bucket).map(|_| ())
}

impl Service {
    pub(super) async fn put_setting(
        &self,
        kind: Kind,
        bucket: String,
        document: impl Serialize + Send + 'static,
    ) -> S3Result<()> {
        self.change(move |tables| {
            bucket_record(&tables.buckets, &bucket)?;
            kind.write(tables, &bucket, &document)
        })
        .await
    }

    pub(super) async fn drop_setting(&self, kind: Kind, bucket: String) -> S3Result<()> {
        self.change(move |tables| {
            bucket_record(&tables.buckets, &bucket)?;
            kind.remove(tables, &bucket)
        })
        .await
    }

    pub(super) fn find_setting<T: DeserializeOwned>(&self, kind: Kind, bucket: &str) -> S3Result<Option<T>> {
        self.look(|snapshot| {
            known(snapshot, bucket)?;
            kind.read(&snapshot.settings()?, bucket)
        })
    }

    fn setting<T: DeserializeOwned>(&self, kind: Kind, bucket: &str) -> S3Result<T> {
        self.find_setting(kind, bucket)?.ok_or_else(|| kind.absent())
    }

    pub(super) async fn put_bucket_versioning(
        &self,
        request: S3Request<PutBucketVersioningInput>,
    ) -> S3Result<S3Response<PutBucketVersioningOutput>> {
        let PutBucketVersioningInput { bucket, versioning_configuration: wanted, .. } = request.input;
        if wanted.mfa_delete.as_ref().is_some_and(|mfa| mfa.as_str() == MFADelete::ENABLED) {
            return Err(s3_error!(NotImplemented, "MFA delete is not implemented"));
        }
        let status = wanted.status.as_ref().map(BucketVersioningStatus::as_str);
        let versioning = match status {
            Some(BucketVersioningStatus::ENABLED) => Versioning::Enabled,
            Some(BucketVersioningStatus::SUSPENDED) => Versioning::Suspended,
            _ => {
                return Err(s3_error!(
                    IllegalVersioningConfigurationException,
                    "The Versioning element must be specified"
                ));
            }
        };
        self.change(move |tables| {
            let mut record = bucket_record(&tables.buckets, &bucket)?;
            record.versioning = versioning;
            tables.buckets.insert(bucket.as_str(), encode(&record).as_slice())?;
            Ok(())
        })
        .await?;
        Ok(S3Response::new(PutBucketVersioningOutput {}))
    }

    pub(super) async fn get_bucket_versioning(
        &self,
        request: S3Request<GetBucketVersioningInput>,
    ) -> S3Result<S3Response<GetBucketVersioningOutput>> {
        let record = self.look(|snapshot| bucket_record(&snapshot.buckets()?, &request.input.bucket))?;
        let status = match record.versioning {
            Versioning::Never => None,
            Versioning::Enabled => Some(BucketVersioningStatus::from_static(BucketVersioningStatus::ENABLED)),
            Versioning::Suspended => Some(BucketVersioningStatus::from_static(BucketVersioningStatus::SUSPENDED)),
        };
        Ok(S3Response::new(GetBucketVersioningOutput { status, ..Default::default() }))
    }

    pub(super) async fn put_public_access_block(
        &self,
        request: S3Request<PutPublicAccessBlockInput>,
    ) -> S3Result<S3Response<PutPublicAccessBlockOutput>> {
        let input = request.input;
        self.put_setting(Kind::PublicAccess, input.bucket, input.public_access_block_configuration).await?;
        Ok(S3Response::new(PutPublicAccessBlockOutput {}))
    }

    pub(super) async fn get_public_access_block(
        &self,
        request: S3Request<GetPublicAccessBlockInput>,
    ) -> S3Result<S3Response<GetPublicAccessBlockOutput>> {
        let kept = self.setting::<PublicAccessBlockConfiguration>(Kind::PublicAccess, &request.input.bucket)?;
        Ok(S3Response::new(GetPublicAccessBlockOutput {
            public_access_block_configuration: Some(PublicAccessBlockConfiguration {
                block_public_acls: kept.block_public_acls.or(Some(false)),
                block_public_policy: kept.block_public_policy.or(Some(false)),
                ignore_public_acls: kept.ignore_public_acls.or(Some(false)),
                restrict_public_buckets: kept.restrict_public_buckets.or(Some(false)),
            }),
        }))
    }

    pub(super) async fn delete_public_access_block(
        &self,
        request: S3Request<DeletePublicAccessBlockInput>,
    ) -> S3Result<S3Response<DeletePublicAccessBlockOutput>> {
        self.drop_setting(Kind::PublicAccess, request.input.bucket).await?;
        Ok(S3Response::new(DeletePublicAccessBlockOutput {}))
    }

    pub(super) async fn put_bucket_ownership_controls(
        &self,
        request: S3Request<PutBucketOwnershipControlsInput>,
    ) -> S3Result<S3Response<PutBucketOwnershipControlsOutput>> {
        let input = request.input;
        let [rule] = input.ownership_controls.rules.as_slice() else {
            return Err(malformed_xml());
        };
        check_ownership(rule.object_ownership.as_str())?;
        let ownership = rule.object_ownership.as_str().to_owned();
        self.put_setting(Kind::Ownership, input.bucket, ownership).await?;
        Ok(S3Response::new(PutBucketOwnershipControlsOutput {}))
    }

    pub(super) async fn get_bucket_ownership_controls(
        &self,
        request: S3Request<GetBucketOwnershipControlsInput>,
    ) -> S3Result<S3Response<GetBucketOwnershipControlsOutput>> {
        let kept: String = self.setting(Kind::Ownership, &request.input.bucket)?;
        let rules = vec![OwnershipControlsRule { object_ownership: kept.into() }];
        Ok(S3Response::new(GetBucketOwnershipControlsOutput { ownership_controls: Some(OwnershipControls { rules }) }))
    }

    pub(super) async fn delete_bucket_ownership_controls(
        &self,
        request: S3Request<DeleteBucketOwnershipControlsInput>,
    ) -> S3Result<S3Response<DeleteBucketOwnershipControlsOutput>> {
        self.drop_setting(Kind::Ownership, request.input.bucket).await?;
        Ok(S3Response::new(DeleteBucketOwnershipControlsOutput {}))
    }

    pub(super) async fn put_bucket_lifecycle_configuration(
        &self,
        request: S3Request<PutBucketLifecycleConfigurationInput>,
    ) -> S3Result<S3Response<PutBucketLifecycleConfigurationOutput>> {
        let input = request.input;
        let mut rules = input.lifecycle_configuration.ok_or_else(malformed_xml)?.rules;
        check_lifecycle(&mut rules)?;
        let minimum = input.transition_default_minimum_object_size;
        let default_minimum_object_size = minimum.as_ref().map(|size| size.as_str().to_owned());
        self.put_setting(Kind::Lifecycle, input.bucket, KeptLifecycle { rules, default_minimum_object_size }).await?;
        let transition_default_minimum_object_size = minimum.or_else(default_minimum);
        Ok(S3Response::new(PutBucketLifecycleConfigurationOutput { transition_default_minimum_object_size }))
    }

    pub(super) async fn get_bucket_lifecycle_configuration(
        &self,
        request: S3Request<GetBucketLifecycleConfigurationInput>,
    ) -> S3Result<S3Response<GetBucketLifecycleConfigurationOutput>> {
        let kept: KeptLifecycle = self.setting(Kind::Lifecycle, &request.input.bucket)?;
        let minimum = kept.default_minimum_object_size.map(TransitionDefaultMinimumObjectSize::from);
        Ok(S3Response::new(GetBucketLifecycleConfigurationOutput {
            rules: Some(kept.rules),
            transition_default_minimum_object_size: minimum.or_else(default_minimum),
        }))
    }

    pub(super) async fn delete_bucket_lifecycle(
        &self,
        request: S3Request<DeleteBucketLifecycleInput>,
    ) -> S3Result<S3Response<DeleteBucketLifecycleOutput>> {
        self.drop_setting(Kind::Lifecycle, request.input.bucket).await?;
        Ok(S3Response::new(DeleteBucketLifecycleOutput {}))
    }

    pub(super) async fn put_bucket_policy(
        &self,
        request: S3Request<PutBucketPolicyInput>,
    ) -> S3Result<S3Response<PutBucketPolicyOutput>> {
        let PutBucketPolicyInput { bucket, policy, .. } = request.input;
        if policy.len() > MAX_POLICY_BYTES {
            return Err(s3_error!(MalformedPolicy, "Policy exceeds the maximum allowed document size."));
        }
        let parsed: Result<serde_json::Map<String, serde_json::Value>, _> = serde_json::from_str(&policy);
        if !parsed.is_ok_and(|document| document.contains_key("Statement")) {
            return Err(s3_error!(MalformedPolicy, "Policies must be valid JSON and the first byte must be '{{'"));
        }
        let document = Document::parse(&policy).map_err(|mistakes| {
            let first = mistakes.first().map(ToString::to_string).unwrap_or_default();
            s3_error!(MalformedPolicy, "The policy cannot be read: {first}")
        })?;
        let block: Option<PublicAccessBlockConfiguration> = self.find_setting(Kind::PublicAccess, &bucket)?;
        if document.is_public() && block.is_some_and(|block| block.block_public_policy.unwrap_or(false)) {
            return Err(public_policy_blocked(&request.extensions, &bucket));
        }
        self.put_setting(Kind::Policy, bucket, policy).await?;
        Ok(S3Response::with_status(PutBucketPolicyOutput {}, http::StatusCode::NO_CONTENT))
    }

    pub(super) async fn get_bucket_policy(
        &self,
        request: S3Request<GetBucketPolicyInput>,
    ) -> S3Result<S3Response<GetBucketPolicyOutput>> {
        let policy = self.setting(Kind::Policy, &request.input.bucket)?;
        Ok(S3Response::new(GetBucketPolicyOutput { policy: Some(policy) }))
    }

    pub(super) async fn delete_bucket_policy(
        &self,
        request: S3Request<DeleteBucketPolicyInput>,
    ) -> S3Result<S3Response<DeleteBucketPolicyOutput>> {
        self.drop_setting(Kind::Policy, request.input.bucket).await?;
        Ok(S3Response::new(DeleteBucketPolicyOutput {}))
    }

    pub(super) async fn put_bucket_logging(
        &self,
        request: S3Request<PutBucketLoggingInput>,
    ) -> S3Result<S3Response<PutBucketLoggingOutput>> {
        let PutBucketLoggingInput { bucket, bucket_logging_status: status, .. } = request.input;
        self.change(move |tables| {
            bucket_record(&tables.buckets, &bucket)?;
            let Some(wanted) = status.logging_enabled else { return Kind::Logging.remove(tables, &bucket) };
            if tables.buckets.get(wanted.target_bucket.as_str())?.is_none() {
                return Err(Fault::Refused(s3_error!(
                    InvalidTargetBucketForLogging,
                    "The target bucket for logging does not exist"
                )));
            }
            Kind::Logging.write(tables, &bucket, &logging_text(&wanted)?)
        })
        .await?;
        Ok(S3Response::new(PutBucketLoggingOutput {}))
    }

    pub(super) async fn get_bucket_logging(
        &self,
        request: S3Request<GetBucketLoggingInput>,
    ) -> S3Result<S3Response<GetBucketLoggingOutput>> {
        let kept: Option<String> = self.find_setting(Kind::Logging, &request.input.bucket)?;
        let logging_enabled = kept.map(|text| read_logging(&text)).transpose()?;
        Ok(S3Response::new(GetBucketLoggingOutput { logging_enabled }))
    }

    pub(super) async fn put_bucket_tagging(
        &self,
        request: S3Request<PutBucketTaggingInput>,
    ) -> S3Result<S3Response<PutBucketTaggingOutput>> {
        let tags = checked_tags(pairs(request.input.tagging.tag_set), MAX_BUCKET_TAGS)?;
        self.put_setting(Kind::Tagging, request.input.bucket, tags).await?;
        Ok(S3Response::with_status(PutBucketTaggingOutput {}, http::StatusCode::NO_CONTENT))
    }

    pub(super) async fn get_bucket_tagging(
        &self,
        request: S3Request<GetBucketTaggingInput>,
    ) -> S3Result<S3Response<GetBucketTaggingOutput>> {
        let tags: Vec<(String, String)> = self.setting(Kind::Tagging, &request.input.bucket)?;
        Ok(S3Response::new(GetBucketTaggingOutput { tag_set: tag_set(tags) }))
    }

    pub(super) async fn delete_bucket_tagging(
        &self,
        request: S3Request<DeleteBucketTaggingInput>,
    ) -> S3Result<S3Response<DeleteBucketTaggingOutput>> {
        self.drop_setting(Kind::Tagging, request.input.bucket).await?;
        Ok(S3Response::new(DeleteBucketTaggingOutput {}))
    }

    pub(super) async fn delete_bucket_encryption(
        &self,
        request: S3Request<DeleteBucketEncryptionInput>,
    ) -> S3Result<S3Response<DeleteBucketEncryptionOutput>> {
        self.drop_setting(Kind::Encryption, request.input.bucket).await?;
        Ok(S3Response::new(DeleteBucketEncryptionOutput {}))
    }
}

/// A logging configuration as the XML that S3 speaks: its type in `s3s` has no other form to keep.
fn logging_text(logging: &LoggingEnabled) -> S3Result<String> {
    let mut text = Vec::new();
    xml::Serializer::new(&mut text).content("LoggingEnabled", logging).map_err(S3Error::internal_error)?;
    String::from_utf8(text).map_err(S3Error::internal_error)
}

fn read_logging(text: &str) -> S3Result<LoggingEnabled> {
    let mut reader = xml::Deserializer::new(text.as_bytes());
    reader.named_element("LoggingEnabled", LoggingEnabled::deserialize_content).map_err(S3Error::internal_error)
}

/// The refusal of a document that is not what its schema says.
pub(super) fn malformed_xml() -> S3Error {
    s3_error!(MalformedXML, "The XML you provided was not well-formed or did not validate against our published schema")
}

/// Refuses what is no value of `ObjectOwnership`.
pub(super) fn check_ownership(text: &str) -> S3Result<()> {
    let known = [
        ObjectOwnership::BUCKET_OWNER_ENFORCED,
        ObjectOwnership::BUCKET_OWNER_PREFERRED,
        ObjectOwnership::OBJECT_WRITER,
    ];
    if known.contains(&text) { Ok(()) } else { Err(malformed_xml()) }
}

fn default_minimum() -> Option<TransitionDefaultMinimumObjectSize> {
    let standard = TransitionDefaultMinimumObjectSize::ALL_STORAGE_CLASSES_128K;
    Some(TransitionDefaultMinimumObjectSize::from_static(standard))
}

/// Gives ids to rules without one, as S3 does, and refuses what S3 would.
fn check_lifecycle(rules: &mut [LifecycleRule]) -> S3Result<()> {
    if rules.is_empty() || rules.len() > MAX_LIFECYCLE_RULES {
        return Err(malformed_xml());
    }
    for rule in rules.iter_mut() {
        let acts = rule.expiration.is_some()
            || rule.transitions.is_some()
            || rule.noncurrent_version_expiration.is_some()
            || rule.noncurrent_version_transitions.is_some()
            || rule.abort_incomplete_multipart_upload.is_some();
        let status = rule.status.as_str();
        if !acts || !matches!(status, ExpirationStatus::ENABLED | ExpirationStatus::DISABLED) {
            return Err(malformed_xml());
        }
        if rule.id.as_ref().is_none_or(String::is_empty) {
            let id = super::blobs::random().map_err(S3Error::internal_error)?;
            rule.id = Some(format!("{id:016x}"));
        }
        if rule.id.as_ref().is_some_and(|id| id.chars().count() > 255) {
            return Err(s3_error!(InvalidArgument, "ID length should not exceed allowed limit of 255"));
        }
    }
    let mut ids: Vec<_> = rules.iter().filter_map(|rule| rule.id.as_deref()).collect();
    ids.sort_unstable();
    if ids.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(s3_error!(InvalidArgument, "Rule ID must be unique. Found same ID for more than one rule"));
    }
    Ok(())
}

/// Tags as pairs.
pub(super) fn pairs(tags: TagSet) -> Vec<(String, String)> {
    tags.into_iter().map(|tag| (tag.key.unwrap_or_default(), tag.value.unwrap_or_default())).collect()
}

/// Pairs as tags.
pub(super) fn tag_set(tags: Vec<(String, String)>) -> TagSet {
    tags.into_iter().map(|(key, value)| Tag { key: Some(key), value: Some(value) }).collect()
}

/// Refuses tags that S3 refuses: too many, twice the same key, or texts beyond the rules for tags.
pub(super) fn checked_tags(tags: Vec<(String, String)>, most: usize) -> S3Result<Vec<(String, String)>> {
    if tags.len() > most {
        return Err(s3_error!(InvalidTag, "The number of tags cannot be greater than {most}"));
    }
    for (at, (key, value)) in tags.iter().enumerate() {
        if tags[..at].iter().any(|(earlier, _)| earlier == key) {
            return Err(s3_error!(InvalidTag, "Cannot provide multiple Tags with the same key"));
        }
        let refused = |error: crate::model::TagError| s3_error!(InvalidTag, "The tag provided is not valid: {error}");
        key.parse::<crate::model::TagKey>().map_err(refused)?;
        value.parse::<crate::model::TagValue>().map_err(refused)?;
    }
    Ok(tags)
}
