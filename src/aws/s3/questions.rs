//! Calls of which only matters whether they are answered: may this caller list, does it see the bucket?

use super::{S3Error, Store, bucket_url};
use crate::model::BucketName;

impl Store {
    /// Asks for at most one name that starts with `prefix`. An empty prefix is sent, none is not: policies tell them apart.
    ///
    /// Source: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/amazon-s3-policy-keys.html>
    pub async fn ask_list(&self, bucket: &BucketName, prefix: Option<&str>) -> Result<(), S3Error> {
        let request = self.client().list_objects_v2().bucket(bucket.as_str()).max_keys(1);
        let request = request.set_prefix(prefix.map(str::to_owned));
        let answer = request.set_expected_bucket_owner(self.expected_owner()).send().await;
        answer.map(drop).map_err(|error| S3Error::new("ListObjectsV2", bucket_url(bucket), &error))
    }

    /// Asks whether the bucket is there.
    pub async fn ask_head_bucket(&self, bucket: &BucketName) -> Result<(), S3Error> {
        let request = self.client().head_bucket().bucket(bucket.as_str());
        let answer = request.set_expected_bucket_owner(self.expected_owner()).send().await;
        answer.map(drop).map_err(|error| S3Error::new("HeadBucket", bucket_url(bucket), &error))
    }
}
