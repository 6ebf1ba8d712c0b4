//! S3 operations whose names are no actions: what people write, and what they mean.
//!
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html>

/// Operations without an action of their own name, and the actions they need.
const API_NAMES: &[(&str, &[&str])] = &[
    ("CompleteMultipartUpload", &["s3:PutObject"]),
    ("CopyObject", &["s3:GetObject", "s3:PutObject"]),
    ("CreateMultipartUpload", &["s3:PutObject"]),
    ("CreateSession", &["s3express:CreateSession"]),
    ("DeleteBucketAnalyticsConfiguration", &["s3:PutAnalyticsConfiguration"]),
    ("DeleteBucketCors", &["s3:PutBucketCORS"]),
    ("DeleteBucketEncryption", &["s3:PutEncryptionConfiguration"]),
    ("DeleteBucketIntelligentTieringConfiguration", &["s3:PutIntelligentTieringConfiguration"]),
    ("DeleteBucketInventoryConfiguration", &["s3:PutInventoryConfiguration"]),
    ("DeleteBucketLifecycle", &["s3:PutLifecycleConfiguration"]),
    ("DeleteBucketMetricsConfiguration", &["s3:PutMetricsConfiguration"]),
    ("DeleteBucketOwnershipControls", &["s3:PutBucketOwnershipControls"]),
    ("DeleteBucketReplication", &["s3:PutReplicationConfiguration"]),
    ("DeleteBucketTagging", &["s3:PutBucketTagging"]),
    ("DeleteObjects", &["s3:DeleteObject"]),
    ("DeletePublicAccessBlock", &["s3:PutBucketPublicAccessBlock"]),
    ("GetBucketAccelerateConfiguration", &["s3:GetAccelerateConfiguration"]),
    ("GetBucketAnalyticsConfiguration", &["s3:GetAnalyticsConfiguration"]),
    ("GetBucketEncryption", &["s3:GetEncryptionConfiguration"]),
    ("GetBucketIntelligentTieringConfiguration", &["s3:GetIntelligentTieringConfiguration"]),
    ("GetBucketInventoryConfiguration", &["s3:GetInventoryConfiguration"]),
    ("GetBucketLifecycle", &["s3:GetLifecycleConfiguration"]),
    ("GetBucketLifecycleConfiguration", &["s3:GetLifecycleConfiguration"]),
    ("GetBucketMetricsConfiguration", &["s3:GetMetricsConfiguration"]),
    ("GetBucketNotificationConfiguration", &["s3:GetBucketNotification"]),
    ("GetBucketReplication", &["s3:GetReplicationConfiguration"]),
    ("GetObjectLockConfiguration", &["s3:GetBucketObjectLockConfiguration"]),
    ("GetPublicAccessBlock", &["s3:GetBucketPublicAccessBlock"]),
    ("HeadBucket", &["s3:ListBucket"]),
    ("HeadObject", &["s3:GetObject"]),
    ("ListBucketAnalyticsConfigurations", &["s3:GetAnalyticsConfiguration"]),
    ("ListBucketIntelligentTieringConfigurations", &["s3:GetIntelligentTieringConfiguration"]),
    ("ListBucketInventoryConfigurations", &["s3:GetInventoryConfiguration"]),
    ("ListBucketMetricsConfigurations", &["s3:GetMetricsConfiguration"]),
    ("ListBuckets", &["s3:ListAllMyBuckets"]),
    ("ListDirectoryBuckets", &["s3express:ListAllMyDirectoryBuckets"]),
    ("ListMultipartUploads", &["s3:ListBucketMultipartUploads"]),
    ("ListObjectVersions", &["s3:ListBucketVersions"]),
    ("ListObjects", &["s3:ListBucket"]),
    ("ListObjectsV2", &["s3:ListBucket"]),
    ("ListParts", &["s3:ListMultipartUploadParts"]),
    ("PutBucketAccelerateConfiguration", &["s3:PutAccelerateConfiguration"]),
    ("PutBucketAnalyticsConfiguration", &["s3:PutAnalyticsConfiguration"]),
    ("PutBucketEncryption", &["s3:PutEncryptionConfiguration"]),
    ("PutBucketIntelligentTieringConfiguration", &["s3:PutIntelligentTieringConfiguration"]),
    ("PutBucketInventoryConfiguration", &["s3:PutInventoryConfiguration"]),
    ("PutBucketLifecycle", &["s3:PutLifecycleConfiguration"]),
    ("PutBucketLifecycleConfiguration", &["s3:PutLifecycleConfiguration"]),
    ("PutBucketMetricsConfiguration", &["s3:PutMetricsConfiguration"]),
    ("PutBucketNotificationConfiguration", &["s3:PutBucketNotification"]),
    ("PutBucketReplication", &["s3:PutReplicationConfiguration"]),
    ("PutObjectLockConfiguration", &["s3:PutBucketObjectLockConfiguration"]),
    ("PutPublicAccessBlock", &["s3:PutBucketPublicAccessBlock"]),
    ("SelectObjectContent", &["s3:GetObject"]),
    ("UploadPart", &["s3:PutObject"]),
    ("UploadPartCopy", &["s3:GetObject", "s3:PutObject"]),
    ("WriteGetObjectResponse", &["s3-object-lambda:WriteGetObjectResponse"]),
];

/// The actions that an operation needs, if its name is no action; `name` comes without service.
pub(crate) fn actions_of_api(name: &str) -> Option<&'static [&'static str]> {
    API_NAMES.iter().find(|(api, _)| api.eq_ignore_ascii_case(name)).map(|(_, actions)| *actions)
}

#[cfg(test)]
mod tests {
    use super::{API_NAMES, actions_of_api};
    use crate::policy::catalog::S3;

    #[test]
    fn operations_lead_to_actions_that_exist() {
        for (api, actions) in API_NAMES {
            assert!(S3.action(&format!("s3:{api}")).is_none(), "`{api}` is an action itself");
            for action in actions.iter().filter(|action| action.starts_with("s3:")) {
                assert!(S3.action(action).is_some(), "{action}");
            }
        }
        assert_eq!(actions_of_api("listobjectsv2"), Some(&["s3:ListBucket"][..]));
        assert_eq!(actions_of_api("GetObject"), None);
    }
}
