//! Versions of one key: what a clean-up must find and remove after a plain delete left a marker behind.

use super::{S3Error, Store, object_url};
use crate::model::{BucketName, ObjectKey};

impl Store {
    /// Removes every version and delete marker of `key`, and says how many there were. For keys that the run itself made.
    ///
    /// Source: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/DeletingObjectVersions.html>
    pub async fn purge(&self, bucket: &BucketName, key: &ObjectKey) -> Result<usize, S3Error> {
        let request = self.client().list_object_versions().bucket(bucket.as_str()).prefix(key.as_str());
        let answer = request.set_expected_bucket_owner(self.expected_owner()).send().await;
        let answer = answer.map_err(|error| S3Error::new("ListObjectVersions", object_url(bucket, key), &error))?;
        let versions = answer.versions().iter().map(|version| (version.key(), version.version_id()));
        let markers = answer.delete_markers().iter().map(|marker| (marker.key(), marker.version_id()));
        let mut removed = 0;
        for (found, version_id) in versions.chain(markers) {
            if found != Some(key.as_str()) {
                continue;
            }
            let request = self.client().delete_object().bucket(bucket.as_str()).key(key.as_str());
            let request = request.set_version_id(version_id.map(str::to_owned));
            let answer = request.set_expected_bucket_owner(self.expected_owner()).send().await;
            answer.map_err(|error| S3Error::new("DeleteObject", object_url(bucket, key), &error))?;
            removed += 1;
        }
        Ok(removed)
    }
}
