//! Buckets and their settings, written and read by the SDK as `apply` does.
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use crate::server_env::{Endpoint, client, code, open, options};
use aws_sdk_s3::types::*;
use bucketwright::server::Server;

type Anything = Result<(), Box<dyn std::error::Error>>;

fn default_rule(algorithm: ServerSideEncryption, key: Option<&str>) -> ServerSideEncryptionByDefault {
    ServerSideEncryptionByDefault::builder()
        .sse_algorithm(algorithm)
        .set_kms_master_key_id(key.map(str::to_owned))
        .build()
        .unwrap()
}

#[tokio::test]
async fn a_new_bucket_is_as_aws_makes_it() {
    let Endpoint { client, .. } = &Endpoint::with_bucket().await;
    let head = client.head_bucket().bucket("bucket").send().await.unwrap();
    assert_eq!(head.bucket_region(), Some("us-east-1"));
    let block = client.get_public_access_block().bucket("bucket").send().await.unwrap();
    let block = block.public_access_block_configuration.unwrap();
    assert_eq!((block.block_public_acls, block.restrict_public_buckets), (Some(true), Some(true)));
    let ownership = client.get_bucket_ownership_controls().bucket("bucket").send().await.unwrap();
    assert_eq!(ownership.ownership_controls.unwrap().rules[0].object_ownership, ObjectOwnership::BucketOwnerEnforced);
    let encryption = client.get_bucket_encryption().bucket("bucket").send().await.unwrap();
    let rule = &encryption.server_side_encryption_configuration.unwrap().rules[0];
    let default = rule.apply_server_side_encryption_by_default.as_ref().unwrap();
    assert_eq!(default.sse_algorithm, ServerSideEncryption::Aes256);
    assert_eq!(rule.blocked_encryption_types.as_ref().unwrap().encryption_type(), [EncryptionType::SseC]);
    assert_eq!(client.get_bucket_versioning().bucket("bucket").send().await.unwrap().status, None);
    let location = client.get_bucket_location().bucket("bucket").send().await.unwrap();
    assert_eq!(location.location_constraint().map(BucketLocationConstraint::as_str), Some(""), "an empty element");
    let logging = client.get_bucket_logging().bucket("bucket").send().await.unwrap();
    assert!(logging.logging_enabled.is_none());
    assert_eq!(code(client.get_bucket_policy().bucket("bucket").send().await), "NoSuchBucketPolicy 404");
    assert_eq!(code(client.get_bucket_tagging().bucket("bucket").send().await), "NoSuchTagSet 404");
    let lifecycle = client.get_bucket_lifecycle_configuration().bucket("bucket").send().await;
    assert_eq!(code(lifecycle), "NoSuchLifecycleConfiguration 404");
}

#[tokio::test]
async fn create_keeps_tags_and_ownership() {
    let Endpoint { client, .. } = &Endpoint::new();
    let tags = [("bucketwright:layout", "ml-workflows"), ("team", " ml ")];
    let mut configuration = CreateBucketConfiguration::builder();
    for (key, value) in tags {
        configuration = configuration.tags(Tag::builder().key(key).value(value).build().unwrap());
    }
    let create = client.create_bucket().bucket("tagged").create_bucket_configuration(configuration.build());
    create.object_ownership(ObjectOwnership::BucketOwnerEnforced).send().await.unwrap();
    let found = client.get_bucket_tagging().bucket("tagged").send().await.unwrap();
    let found: Vec<_> = found.tag_set().iter().map(|tag| (tag.key(), tag.value())).collect();
    assert_eq!(found, tags);
    let listed = client.list_buckets().send().await.unwrap();
    assert_eq!(listed.buckets()[0].name(), Some("tagged"));
}

#[tokio::test]
async fn names_and_regions_are_checked() {
    let Endpoint { client, .. } = &Endpoint::new();
    for name in ["ab", "My-Bucket", "a..b", "192.168.5.4", "xn--bucket", &"a".repeat(64)] {
        let made = client.create_bucket().bucket(name).send().await;
        assert_eq!(code(made), "InvalidBucketName 400", "{name}");
    }
    for (constraint, expected) in [
        ("eu-west-1", "ok"),
        ("mars-north", "InvalidLocationConstraint 400"),
        ("us-east-1", "InvalidLocationConstraint 400"),
    ] {
        let wanted = CreateBucketConfiguration::builder().location_constraint(constraint.into()).build();
        let made = client.create_bucket().bucket("regional").create_bucket_configuration(wanted).send().await;
        assert_eq!(code(made), expected, "{constraint}");
    }
    let location = client.get_bucket_location().bucket("regional").send().await.unwrap();
    assert_eq!(location.location_constraint().unwrap().as_str(), "eu-west-1");
}

#[tokio::test]
async fn an_own_bucket_is_made_again_only_in_us_east_1() {
    let Endpoint { client: sdk, .. } = &Endpoint::with_bucket().await;
    sdk.delete_public_access_block().bucket("bucket").send().await.unwrap();
    assert_eq!(code(sdk.create_bucket().bucket("bucket").send().await), "ok");
    let block = sdk.get_public_access_block().bucket("bucket").send().await;
    assert_eq!(code(block), "NoSuchPublicAccessBlockConfiguration 404", "it was left alone");

    let folder = tempfile::tempdir().unwrap();
    let server = Server::open(folder.path(), options("eu-west-1")).unwrap();
    let sdk = client(&server, server.secret_key());
    let here = CreateBucketConfiguration::builder().location_constraint("eu-west-1".into()).build();
    let create = sdk.create_bucket().bucket("bucket").create_bucket_configuration(here);
    assert_eq!(code(create.clone().send().await), "ok");
    assert_eq!(code(create.send().await), "BucketAlreadyOwnedByYou 409");
    assert_eq!(code(sdk.create_bucket().bucket("bare").send().await), "IllegalLocationConstraintException 400");
}

#[tokio::test]
async fn settings_come_back_as_they_were_written() -> Anything {
    let Endpoint { client, .. } = &Endpoint::with_bucket().await;
    client.create_bucket().bucket("logs").send().await?;

    let key = "arn:aws:kms:us-east-1:000000000000:key/k";
    let rule = ServerSideEncryptionRule::builder()
        .apply_server_side_encryption_by_default(default_rule(ServerSideEncryption::AwsKms, Some(key)))
        .bucket_key_enabled(true)
        .blocked_encryption_types(BlockedEncryptionTypes::builder().encryption_type(EncryptionType::SseC).build())
        .build();
    let wanted = ServerSideEncryptionConfiguration::builder().rules(rule).build()?;
    let put = client.put_bucket_encryption().bucket("bucket");
    put.server_side_encryption_configuration(wanted.clone()).send().await?;
    let found = client.get_bucket_encryption().bucket("bucket").send().await?;
    assert_eq!(found.server_side_encryption_configuration, Some(wanted));

    let enabled = VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled).build();
    client.put_bucket_versioning().bucket("bucket").versioning_configuration(enabled).send().await?;
    let found = client.get_bucket_versioning().bucket("bucket").send().await?;
    assert_eq!(found.status, Some(BucketVersioningStatus::Enabled));

    let policy = r#"{ "Version":"2012-10-17","Statement":[{"Sid":"Ü","Effect":"Deny","Principal":"*","Action":"s3:DeleteBucket","Resource":["arn:aws:s3:::bucket"]}]  }"#;
    client.put_bucket_policy().bucket("bucket").policy(policy).send().await?;
    assert_eq!(client.get_bucket_policy().bucket("bucket").send().await?.policy(), Some(policy));

    let logging = LoggingEnabled::builder().target_bucket("logs").target_prefix("bucket/ & <more>/").build()?;
    let status = BucketLoggingStatus::builder().logging_enabled(logging.clone()).build();
    client.put_bucket_logging().bucket("bucket").bucket_logging_status(status).send().await?;
    let found = client.get_bucket_logging().bucket("bucket").send().await?;
    assert_eq!(found.logging_enabled, Some(logging));

    let block = PublicAccessBlockConfiguration::builder().block_public_acls(true).block_public_policy(true);
    let block = block.ignore_public_acls(false).restrict_public_buckets(false).build();
    let put = client.put_public_access_block().bucket("bucket");
    put.public_access_block_configuration(block.clone()).send().await?;
    let found = client.get_public_access_block().bucket("bucket").send().await?;
    assert_eq!(found.public_access_block_configuration, Some(block));

    let tagging = Tagging::builder().tag_set(Tag::builder().key("k").value("v w").build()?).build()?;
    client.put_bucket_tagging().bucket("bucket").tagging(tagging.clone()).send().await?;
    assert_eq!(client.get_bucket_tagging().bucket("bucket").send().await?.tag_set(), tagging.tag_set());

    let rule = OwnershipControlsRule::builder().object_ownership(ObjectOwnership::BucketOwnerPreferred).build()?;
    let controls = OwnershipControls::builder().rules(rule).build()?;
    let put = client.put_bucket_ownership_controls().bucket("bucket").ownership_controls(controls.clone());
    put.send().await?;
    let found = client.get_bucket_ownership_controls().bucket("bucket").send().await?;
    assert_eq!(found.ownership_controls, Some(controls));
    Ok(())
}

#[tokio::test]
async fn lifecycle_rules_come_back_whole() -> Anything {
    let Endpoint { client, .. } = &Endpoint::with_bucket().await;
    let and = LifecycleRuleAndOperator::builder().prefix("data/").tags(Tag::builder().key("a").value("b").build()?);
    let and = and.object_size_greater_than(1024).object_size_less_than(1 << 30).build();
    let full = LifecycleRule::builder()
        .id("everything")
        .status(ExpirationStatus::Enabled)
        .filter(LifecycleRuleFilter::builder().and(and).build())
        .expiration(LifecycleExpiration::builder().days(400).build())
        .transitions(Transition::builder().days(30).storage_class(TransitionStorageClass::StandardIa).build())
        .transitions(Transition::builder().days(90).storage_class(TransitionStorageClass::GlacierIr).build())
        .noncurrent_version_transitions(
            NoncurrentVersionTransition::builder()
                .noncurrent_days(30)
                .newer_noncurrent_versions(2)
                .storage_class(TransitionStorageClass::Glacier)
                .build(),
        )
        .noncurrent_version_expiration(
            NoncurrentVersionExpiration::builder().noncurrent_days(90).newer_noncurrent_versions(3).build(),
        )
        .abort_incomplete_multipart_upload(AbortIncompleteMultipartUpload::builder().days_after_initiation(7).build())
        .build()?;
    #[expect(deprecated, reason = "old buckets have such rules, and they must survive")]
    let old = LifecycleRule::builder()
        .id("old")
        .status(ExpirationStatus::Disabled)
        .prefix("logs/")
        .expiration(LifecycleExpiration::builder().expired_object_delete_marker(true).build())
        .build()?;
    let rules = vec![full, old];
    let wanted = BucketLifecycleConfiguration::builder().set_rules(Some(rules.clone())).build()?;
    let put = client.put_bucket_lifecycle_configuration().bucket("bucket").lifecycle_configuration(wanted);
    put.transition_default_minimum_object_size(TransitionDefaultMinimumObjectSize::VariesByStorageClass).send().await?;
    let found = client.get_bucket_lifecycle_configuration().bucket("bucket").send().await?;
    assert_eq!(found.rules(), rules);
    let minimum = found.transition_default_minimum_object_size;
    assert_eq!(minimum, Some(TransitionDefaultMinimumObjectSize::VariesByStorageClass));
    Ok(())
}

#[tokio::test]
async fn wrong_settings_are_refused() {
    let Endpoint { client, .. } = &Endpoint::with_bucket().await;
    for policy in ["not json", "[]", "{}", &format!("{{\"Statement\":\"{}\"}}", "x".repeat(21_000))] {
        let put = client.put_bucket_policy().bucket("bucket").policy(policy).send().await;
        assert_eq!(code(put), "MalformedPolicy 400");
    }
    let logging = LoggingEnabled::builder().target_bucket("absent-logs").target_prefix("").build().unwrap();
    let status = BucketLoggingStatus::builder().logging_enabled(logging).build();
    let put = client.put_bucket_logging().bucket("bucket").bucket_logging_status(status).send().await;
    assert_eq!(code(put), "InvalidTargetBucketForLogging 400");
    assert_eq!(code(client.get_bucket_policy().bucket("absent").send().await), "NoSuchBucket 404");
    assert_eq!(code(client.head_bucket().bucket("absent").send().await), "NotFound 404");
    assert_eq!(code(client.get_bucket_cors().bucket("bucket").send().await), "NotImplemented 501");
    let stranger = client.get_bucket_policy().bucket("bucket").expected_bucket_owner("111122223333").send().await;
    assert_eq!(code(stranger), "AccessDenied 403");
}

#[tokio::test]
async fn a_bucket_goes_only_when_empty_and_all_of_it_outlives_the_process() {
    let endpoint = Endpoint::with_bucket().await;
    endpoint.put("key", b"body").await;
    assert_eq!(code(endpoint.client.delete_bucket().bucket("bucket").send().await), "BucketNotEmpty 409");
    let Endpoint { folder, server, client: sdk } = endpoint;
    drop((server, sdk));

    let server = open(folder.path());
    let sdk = client(&server, server.secret_key());
    let got = sdk.get_object().bucket("bucket").key("key").send().await.unwrap();
    assert_eq!(got.body.collect().await.unwrap().to_vec(), b"body");
    sdk.delete_object().bucket("bucket").key("key").send().await.unwrap();
    sdk.delete_bucket().bucket("bucket").send().await.unwrap();
    assert_eq!(code(sdk.head_bucket().bucket("bucket").send().await), "NotFound 404");
}
