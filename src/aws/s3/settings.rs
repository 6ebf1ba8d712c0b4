//! Writes buckets and their settings, one whole value a call.

use super::{S3Error, Store, bucket_url, lifecycle, object_url};
use crate::model::{BucketName, Encryption, ObjectKey, PublicAccessBlock, Region, Setting, Tags};
use aws_sdk_s3::types;
use aws_smithy_types::error::operation::BuildError;

/// The content type that marks a folder's zero-byte object.
const MARKER_CONTENT_TYPE: &str = "application/x-directory";

/// What came of writing a marker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MarkerWrite {
    /// The marker is new.
    Written,
    /// Somebody else put an object there since the plan was made; it was left alone.
    AlreadyThere,
}

impl Store {
    /// Makes a bucket without ACLs. In `us-east-1` the request must not name the Region.
    ///
    /// Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateBucket.html>
    pub async fn create_bucket(&self, bucket: &BucketName, region: &Region, tags: &Tags) -> Result<(), S3Error> {
        let mut configuration = types::CreateBucketConfiguration::builder();
        let mut said = false;
        if *region != Region::us_east_1() {
            configuration = configuration.location_constraint(region.as_str().into());
            said = true;
        }
        if !tags.is_empty() {
            let tags = sdk_tags(tags).map_err(|error| unsendable("CreateBucket", bucket, &error))?;
            configuration = configuration.set_tags(Some(tags));
            said = true;
        }
        let request = self
            .client()
            .create_bucket()
            .bucket(bucket.as_str())
            .object_ownership(types::ObjectOwnership::BucketOwnerEnforced)
            .set_create_bucket_configuration(said.then(|| configuration.build()));
        let answer = request.send().await;
        answer.map(drop).map_err(|error| S3Error::new("CreateBucket", bucket_url(bucket), &error))
    }

    /// Writes one setting.
    pub async fn put_setting(&self, bucket: &BucketName, setting: &Setting) -> Result<(), S3Error> {
        match setting {
            Setting::Tags(tags) => self.put_tags(bucket, tags).await,
            Setting::OwnerEnforced => self.put_owner_enforced(bucket).await,
            Setting::PublicAccess(block) => self.put_public_access(bucket, *block).await,
            Setting::Encryption(encryption) => self.put_encryption(bucket, encryption).await,
            Setting::Versioning => self.put_versioning(bucket).await,
            Setting::Lifecycle(rules) => self.put_lifecycle(bucket, rules).await,
            Setting::Policy(policy) => {
                let request = self.client().put_bucket_policy().bucket(bucket.as_str()).policy(&policy.0);
                let answer = request.set_expected_bucket_owner(self.expected_owner()).send().await;
                answer.map(drop).map_err(|error| S3Error::new("PutBucketPolicy", bucket_url(bucket), &error))
            }
            Setting::AccessLog(log) => {
                let target = types::LoggingEnabled::builder()
                    .target_bucket(log.bucket.as_str())
                    .target_prefix(&log.prefix)
                    .build()
                    .map_err(|error| unsendable("PutBucketLogging", bucket, &error))?;
                let status = types::BucketLoggingStatus::builder().logging_enabled(target).build();
                let request = self.client().put_bucket_logging().bucket(bucket.as_str()).bucket_logging_status(status);
                let answer = request.set_expected_bucket_owner(self.expected_owner()).send().await;
                answer.map(drop).map_err(|error| S3Error::new("PutBucketLogging", bucket_url(bucket), &error))
            }
        }
    }

    async fn put_tags(&self, bucket: &BucketName, tags: &Tags) -> Result<(), S3Error> {
        let tagging = sdk_tags(tags)
            .and_then(|tags| types::Tagging::builder().set_tag_set(Some(tags)).build())
            .map_err(|error| unsendable("PutBucketTagging", bucket, &error))?;
        let request = self.client().put_bucket_tagging().bucket(bucket.as_str()).tagging(tagging);
        let answer = request.set_expected_bucket_owner(self.expected_owner()).send().await;
        answer.map(drop).map_err(|error| S3Error::new("PutBucketTagging", bucket_url(bucket), &error))
    }

    async fn put_owner_enforced(&self, bucket: &BucketName) -> Result<(), S3Error> {
        let rule =
            types::OwnershipControlsRule::builder().object_ownership(types::ObjectOwnership::BucketOwnerEnforced);
        let controls = rule
            .build()
            .and_then(|rule| types::OwnershipControls::builder().rules(rule).build())
            .map_err(|error| unsendable("PutBucketOwnershipControls", bucket, &error))?;
        let request =
            self.client().put_bucket_ownership_controls().bucket(bucket.as_str()).ownership_controls(controls);
        let answer = request.set_expected_bucket_owner(self.expected_owner()).send().await;
        answer.map(drop).map_err(|error| S3Error::new("PutBucketOwnershipControls", bucket_url(bucket), &error))
    }

    async fn put_public_access(&self, bucket: &BucketName, block: PublicAccessBlock) -> Result<(), S3Error> {
        let configuration = types::PublicAccessBlockConfiguration::builder()
            .block_public_acls(block.block_public_acls)
            .ignore_public_acls(block.ignore_public_acls)
            .block_public_policy(block.block_public_policy)
            .restrict_public_buckets(block.restrict_public_buckets)
            .build();
        let request = self
            .client()
            .put_public_access_block()
            .bucket(bucket.as_str())
            .public_access_block_configuration(configuration);
        let answer = request.set_expected_bucket_owner(self.expected_owner()).send().await;
        answer.map(drop).map_err(|error| S3Error::new("PutPublicAccessBlock", bucket_url(bucket), &error))
    }

    async fn put_encryption(&self, bucket: &BucketName, encryption: &Encryption) -> Result<(), S3Error> {
        let configuration =
            sdk_encryption(encryption).map_err(|error| unsendable("PutBucketEncryption", bucket, &error))?;
        let request = self
            .client()
            .put_bucket_encryption()
            .bucket(bucket.as_str())
            .server_side_encryption_configuration(configuration);
        let answer = request.set_expected_bucket_owner(self.expected_owner()).send().await;
        answer.map(drop).map_err(|error| S3Error::new("PutBucketEncryption", bucket_url(bucket), &error))
    }

    async fn put_versioning(&self, bucket: &BucketName) -> Result<(), S3Error> {
        let enabled = types::VersioningConfiguration::builder().status(types::BucketVersioningStatus::Enabled).build();
        let request = self.client().put_bucket_versioning().bucket(bucket.as_str()).versioning_configuration(enabled);
        let answer = request.set_expected_bucket_owner(self.expected_owner()).send().await;
        answer.map(drop).map_err(|error| S3Error::new("PutBucketVersioning", bucket_url(bucket), &error))
    }

    async fn put_lifecycle(&self, bucket: &BucketName, rules: &crate::model::Lifecycle) -> Result<(), S3Error> {
        let operation = "PutBucketLifecycleConfiguration";
        let configuration = lifecycle::write(rules).map_err(|error| unsendable(operation, bucket, &error))?;
        let smallest = rules.default_minimum_object_size.as_deref();
        let request = self
            .client()
            .put_bucket_lifecycle_configuration()
            .bucket(bucket.as_str())
            .set_transition_default_minimum_object_size(smallest.map(types::TransitionDefaultMinimumObjectSize::from))
            .lifecycle_configuration(configuration);
        let answer = request.set_expected_bucket_owner(self.expected_owner()).send().await;
        answer.map(drop).map_err(|error| S3Error::new(operation, bucket_url(bucket), &error))
    }

    /// Writes a folder's marker, never over an object.
    pub async fn put_marker(&self, bucket: &BucketName, key: &ObjectKey) -> Result<MarkerWrite, S3Error> {
        let request = self
            .client()
            .put_object()
            .bucket(bucket.as_str())
            .key(key.as_str())
            .if_none_match("*")
            .content_type(MARKER_CONTENT_TYPE)
            .body(Vec::new().into());
        match request.set_expected_bucket_owner(self.expected_owner()).send().await {
            Ok(_) => Ok(MarkerWrite::Written),
            Err(error) => {
                let error = S3Error::new("PutObject", object_url(bucket, key), &error);
                match error.class {
                    super::ErrorClass::Precondition => Ok(MarkerWrite::AlreadyThere),
                    _ => Err(error),
                }
            }
        }
    }
}

fn sdk_tags(tags: &Tags) -> Result<Vec<types::Tag>, BuildError> {
    tags.iter().map(|(key, value)| types::Tag::builder().key(key.as_str()).value(value.as_str()).build()).collect()
}

fn sdk_encryption(encryption: &Encryption) -> Result<types::ServerSideEncryptionConfiguration, BuildError> {
    let algorithm = match &encryption.kms_key {
        Some(_) => types::ServerSideEncryption::AwsKms,
        None => types::ServerSideEncryption::Aes256,
    };
    let default = types::ServerSideEncryptionByDefault::builder()
        .sse_algorithm(algorithm)
        .set_kms_master_key_id(encryption.kms_key.as_ref().map(ToString::to_string))
        .build()?;
    let blocked = encryption.sse_c_blocked.map(|blocked| {
        let blocked = if blocked { types::EncryptionType::SseC } else { types::EncryptionType::None };
        types::BlockedEncryptionTypes::builder().encryption_type(blocked).build()
    });
    let rule = types::ServerSideEncryptionRule::builder()
        .apply_server_side_encryption_by_default(default)
        .bucket_key_enabled(encryption.bucket_key)
        .set_blocked_encryption_types(blocked)
        .build();
    types::ServerSideEncryptionConfiguration::builder().rules(rule).build()
}

/// A value that the SDK refuses to send; the planner's types leave no such value, so this names a fault of the tool.
fn unsendable(operation: &'static str, bucket: &BucketName, error: &BuildError) -> S3Error {
    S3Error::unexpected(operation, bucket_url(bucket), format!("the request could not be built: {error}"))
}
