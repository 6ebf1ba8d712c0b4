//! Reads all that planners want to know of one bucket: HeadBucket first, then every setting side by side.

use super::{ErrorClass, S3Error, Store, bucket_url, lifecycle, object_url};
use crate::model::{
    AccessLog, BucketName, BucketState, ETag, Encryption, Existence, MarkerState, ObjectKey, PolicyJson,
    PublicAccessBlock, Reading, Region, TagKey, TagValue, Tags,
};
use aws_sdk_s3::types;
use futures_util::stream::{self, StreamExt as _};
use std::collections::BTreeMap;

/// How many markers are asked for at once.
const MARKERS_AT_ONCE: usize = 16;

/// The answer to HeadBucket.
struct Head {
    existence: Existence,
    region: Option<Region>,
}

impl Store {
    /// The state of `bucket` with the markers asked about. An error means that nothing can be told at all.
    pub async fn bucket_state(&self, bucket: &BucketName, markers: &[ObjectKey]) -> Result<BucketState, S3Error> {
        let head = self.head_bucket(bucket).await?;
        let signed_for = self.client().config().region().map(ToString::to_string);
        let elsewhere = head.region.as_ref().is_some_and(|found| signed_for.as_deref() != Some(found.as_str()));
        let mut state = BucketState::without_settings(bucket.clone(), head.existence, head.region);
        // In another Region each further request would only be redirected.
        if state.existence != Existence::Present || elsewhere && self.is_aws() {
            return Ok(state);
        }
        let (is_empty, tags, owner_enforced, public_access, encryption) = tokio::join!(
            self.is_empty(bucket),
            self.bucket_tags(bucket),
            self.owner_enforced(bucket),
            self.public_access(bucket),
            self.encryption(bucket),
        );
        let (versioning, rules, policy, access_log, found_markers) = tokio::join!(
            self.versioning(bucket),
            self.lifecycle(bucket),
            self.bucket_policy(bucket),
            self.access_log(bucket),
            self.markers(bucket, markers),
        );
        state.is_empty = is_empty?;
        state.tags = tags?;
        state.owner_enforced = owner_enforced?;
        state.public_access = public_access?;
        state.encryption = encryption?;
        state.versioning = versioning?;
        state.lifecycle = rules?;
        state.policy = policy?;
        state.access_log = access_log?;
        state.markers = found_markers?;
        Ok(state)
    }

    async fn head_bucket(&self, bucket: &BucketName) -> Result<Head, S3Error> {
        let request = self.client().head_bucket().bucket(bucket.as_str());
        match request.set_expected_bucket_owner(self.expected_owner()).send().await {
            Ok(output) => Ok(Head {
                existence: Existence::Present,
                region: output.bucket_region().and_then(|region| region.parse().ok()),
            }),
            Err(error) => {
                let error = S3Error::new("HeadBucket", bucket_url(bucket), &error);
                let region = error.region.as_deref().and_then(|region| region.parse().ok());
                match error.class {
                    ErrorClass::NotFound => Ok(Head { existence: Existence::Absent, region: None }),
                    // HEAD has no body: an unknown key or a wrong signature is a 403 as well, an expired token a 400, so a
                    // call with a body asks what it really is.
                    ErrorClass::Denied | ErrorClass::Other => self.explain_forbidden(bucket, region).await,
                    ErrorClass::WrongRegion if region.is_some() => Ok(Head { existence: Existence::Present, region }),
                    _ => Err(error),
                }
            }
        }
    }

    async fn explain_forbidden(&self, bucket: &BucketName, region: Option<Region>) -> Result<Head, S3Error> {
        let request = self.client().list_objects_v2().bucket(bucket.as_str()).max_keys(1);
        match request.set_expected_bucket_owner(self.expected_owner()).send().await {
            Ok(_) => Ok(Head { existence: Existence::Present, region }),
            Err(error) => {
                let error = S3Error::new("ListObjectsV2", bucket_url(bucket), &error);
                match error.class {
                    ErrorClass::NotFound => Ok(Head { existence: Existence::Absent, region: None }),
                    ErrorClass::Denied => Ok(Head { existence: Existence::Forbidden, region }),
                    _ => Err(error),
                }
            }
        }
    }

    /// True without objects, versions and delete markers; none if it may not be told.
    pub(super) async fn is_empty(&self, bucket: &BucketName) -> Result<Option<bool>, S3Error> {
        let request = self.client().list_object_versions().bucket(bucket.as_str()).max_keys(1);
        match request.set_expected_bucket_owner(self.expected_owner()).send().await {
            Ok(output) => Ok(Some(output.versions().is_empty() && output.delete_markers().is_empty())),
            Err(error) => unless_fatal(S3Error::new("ListObjectVersions", bucket_url(bucket), &error)).map(|_| None),
        }
    }

    async fn bucket_tags(&self, bucket: &BucketName) -> Result<Reading<Tags>, S3Error> {
        let request = self.client().get_bucket_tagging().bucket(bucket.as_str());
        let answer = request.set_expected_bucket_owner(self.expected_owner()).send().await;
        let answer = answer.map_err(|error| S3Error::new("GetBucketTagging", bucket_url(bucket), &error));
        let pair = |tag: &types::Tag| (TagKey::observed(tag.key()), TagValue::observed(tag.value()));
        settled(answer, Tags::new, |output| output.tag_set().iter().map(pair).collect())
    }

    async fn owner_enforced(&self, bucket: &BucketName) -> Result<Reading<bool>, S3Error> {
        let request = self.client().get_bucket_ownership_controls().bucket(bucket.as_str());
        let answer = request.set_expected_bucket_owner(self.expected_owner()).send().await;
        let answer = answer.map_err(|error| S3Error::new("GetBucketOwnershipControls", bucket_url(bucket), &error));
        let enforced = |rule: &types::OwnershipControlsRule| {
            *rule.object_ownership() == types::ObjectOwnership::BucketOwnerEnforced
        };
        settled(
            answer,
            || false,
            |output| output.ownership_controls().is_some_and(|controls| controls.rules().iter().any(enforced)),
        )
    }

    async fn public_access(&self, bucket: &BucketName) -> Result<Reading<PublicAccessBlock>, S3Error> {
        let request = self.client().get_public_access_block().bucket(bucket.as_str());
        let answer = request.set_expected_bucket_owner(self.expected_owner()).send().await;
        let answer = answer.map_err(|error| S3Error::new("GetPublicAccessBlock", bucket_url(bucket), &error));
        settled(
            answer,
            || PublicAccessBlock::NONE,
            |output| {
                output.public_access_block_configuration().map_or(PublicAccessBlock::NONE, |block| PublicAccessBlock {
                    block_public_acls: block.block_public_acls().unwrap_or_default(),
                    ignore_public_acls: block.ignore_public_acls().unwrap_or_default(),
                    block_public_policy: block.block_public_policy().unwrap_or_default(),
                    restrict_public_buckets: block.restrict_public_buckets().unwrap_or_default(),
                })
            },
        )
    }

    async fn encryption(&self, bucket: &BucketName) -> Result<Reading<Option<Encryption>>, S3Error> {
        let request = self.client().get_bucket_encryption().bucket(bucket.as_str());
        let answer = request.set_expected_bucket_owner(self.expected_owner()).send().await;
        let answer = answer.map_err(|error| S3Error::new("GetBucketEncryption", bucket_url(bucket), &error));
        settled(
            answer,
            || None,
            |output| {
                let rule = output.server_side_encryption_configuration()?.rules().first()?;
                Some(read_encryption(rule))
            },
        )
    }

    async fn versioning(&self, bucket: &BucketName) -> Result<Reading<bool>, S3Error> {
        let request = self.client().get_bucket_versioning().bucket(bucket.as_str());
        let answer = request.set_expected_bucket_owner(self.expected_owner()).send().await;
        let answer = answer.map_err(|error| S3Error::new("GetBucketVersioning", bucket_url(bucket), &error));
        settled(answer, || false, |output| output.status() == Some(&types::BucketVersioningStatus::Enabled))
    }

    async fn lifecycle(&self, bucket: &BucketName) -> Result<Reading<crate::model::Lifecycle>, S3Error> {
        let request = self.client().get_bucket_lifecycle_configuration().bucket(bucket.as_str());
        let answer = request.set_expected_bucket_owner(self.expected_owner()).send().await;
        let answer = answer.map_err(|error| S3Error::new("GetBucketLifecycle", bucket_url(bucket), &error));
        settled(answer, crate::model::Lifecycle::default, |output| lifecycle::read(&output))
    }

    async fn bucket_policy(&self, bucket: &BucketName) -> Result<Reading<Option<PolicyJson>>, S3Error> {
        let request = self.client().get_bucket_policy().bucket(bucket.as_str());
        let answer = request.set_expected_bucket_owner(self.expected_owner()).send().await;
        let answer = answer.map_err(|error| S3Error::new("GetBucketPolicy", bucket_url(bucket), &error));
        settled(answer, || None, |output| output.policy().map(|text| PolicyJson(text.to_owned())))
    }

    async fn access_log(&self, bucket: &BucketName) -> Result<Reading<Option<AccessLog>>, S3Error> {
        let request = self.client().get_bucket_logging().bucket(bucket.as_str());
        let answer = request.set_expected_bucket_owner(self.expected_owner()).send().await;
        let answer = answer.map_err(|error| S3Error::new("GetBucketLogging", bucket_url(bucket), &error));
        settled(
            answer,
            || None,
            |output| {
                let log = output.logging_enabled()?;
                Some(AccessLog { bucket: log.target_bucket().parse().ok()?, prefix: log.target_prefix().to_owned() })
            },
        )
    }

    async fn markers(
        &self,
        bucket: &BucketName,
        keys: &[ObjectKey],
    ) -> Result<BTreeMap<ObjectKey, MarkerState>, S3Error> {
        let ask = |key: ObjectKey| async move {
            let state = self.marker(bucket, &key).await?;
            Ok((key, state))
        };
        let answers = stream::iter(keys.iter().cloned()).map(ask).buffer_unordered(MARKERS_AT_ONCE);
        answers.collect::<Vec<Result<_, S3Error>>>().await.into_iter().collect()
    }

    async fn marker(&self, bucket: &BucketName, key: &ObjectKey) -> Result<MarkerState, S3Error> {
        let request = self.client().head_object().bucket(bucket.as_str()).key(key.as_str());
        match request.set_expected_bucket_owner(self.expected_owner()).send().await {
            Ok(output) => Ok(match u64::try_from(output.content_length().unwrap_or_default()).unwrap_or_default() {
                0 => MarkerState::Present,
                size_bytes => MarkerState::HoldsData { size_bytes, etag: output.e_tag().map(ETag::new) },
            }),
            Err(error) => match unless_fatal(S3Error::new("HeadObject", object_url(bucket, key), &error))? {
                error if error.class == ErrorClass::NotFound => Ok(MarkerState::Absent),
                error => Ok(MarkerState::Denied(error.message)),
            },
        }
    }
}

fn read_encryption(rule: &types::ServerSideEncryptionRule) -> Encryption {
    let default = rule.apply_server_side_encryption_by_default();
    let kms = default.filter(|default| *default.sse_algorithm() != types::ServerSideEncryption::Aes256);
    let blocked =
        rule.blocked_encryption_types().map(|blocked| blocked.encryption_type().contains(&types::EncryptionType::SseC));
    Encryption {
        kms_key: kms.and_then(types::ServerSideEncryptionByDefault::kms_master_key_id).and_then(|key| key.parse().ok()),
        bucket_key: rule.bucket_key_enabled().unwrap_or_default(),
        sse_c_blocked: blocked,
    }
}

/// A setting's answer as a reading: absent is a value, refused and unknown are told apart, the rest is fatal.
fn settled<T, V>(
    answer: Result<T, S3Error>,
    absent: impl FnOnce() -> V,
    value: impl FnOnce(T) -> V,
) -> Result<Reading<V>, S3Error> {
    let error = match answer {
        Ok(output) => return Ok(Reading::Known(value(output))),
        Err(error) => unless_fatal(error)?,
    };
    Ok(match error.class {
        ErrorClass::NotFound => Reading::Known(absent()),
        ErrorClass::Unsupported => Reading::Unsupported,
        _ => Reading::Denied(error.message),
    })
}

/// Lets through what says something about one setting only, and stops at what would spoil every further call.
fn unless_fatal(error: S3Error) -> Result<S3Error, S3Error> {
    match error.class {
        ErrorClass::NotFound | ErrorClass::Denied | ErrorClass::Unsupported => Ok(error),
        _ => Err(error),
    }
}
