//! Versions: all those below a prefix, page by page; and of one key those that a clean-up must find and remove after a plain
//! delete left a marker behind.

use super::list::decode;
use super::objects::moment;
use super::{S3Error, Store, bucket_url, object_url};
use crate::model::{BucketName, ETag, ObjectKey, Prefix, VersionEntry};
use aws_sdk_s3::types::{DeleteMarkerEntry, EncodingType, ObjectVersion};
use futures_util::stream::{self, Stream};

/// Where the next page begins: behind this version of this key.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Marker {
    key: Option<String>,
    version: Option<String>,
}

impl Store {
    /// All versions and delete markers of keys that start with `prefix`, at most 1,000 at a time. Of a bucket that never
    /// kept versions these are its objects.
    ///
    /// Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectVersions.html>
    pub fn list_versions(
        &self,
        bucket: &BucketName,
        prefix: &Prefix,
    ) -> impl Stream<Item = Result<Vec<VersionEntry>, S3Error>> + Send + use<> {
        let (store, bucket, prefix) = (self.clone(), bucket.clone(), prefix.clone());
        stream::try_unfold(Some(Marker::default()), move |marker| {
            let (store, bucket, prefix) = (store.clone(), bucket.clone(), prefix.clone());
            async move {
                let Some(marker) = marker else { return Ok(None) };
                let (page, next) = store.versions_page(&bucket, &prefix, &marker).await?;
                if next.as_ref() == Some(&marker) {
                    return Err(broken(&bucket, "the listing does not advance: its marker came twice"));
                }
                Ok(Some((page, next)))
            }
        })
    }

    async fn versions_page(
        &self,
        bucket: &BucketName,
        prefix: &Prefix,
        marker: &Marker,
    ) -> Result<(Vec<VersionEntry>, Option<Marker>), S3Error> {
        let request = self.client().list_object_versions().bucket(bucket.as_str());
        let request = request.encoding_type(EncodingType::Url).set_expected_bucket_owner(self.expected_owner());
        let request = if prefix.is_root() { request } else { request.prefix(prefix.as_str()) };
        let request = request.set_key_marker(marker.key.clone()).set_version_id_marker(marker.version.clone());
        let answer = request.send().await;
        let answer = answer.map_err(|error| S3Error::new("ListObjectVersions", bucket_url(bucket), &error))?;
        let encoded = answer.encoding_type() == Some(&EncodingType::Url);
        let plain = |text: &str| if encoded { decode(text) } else { Some(text.to_owned()) };
        let versions = answer.versions().iter().map(|version| read_version(version, &plain));
        let markers = answer.delete_markers().iter().map(|marker| read_marker(marker, &plain));
        let page = versions.chain(markers).collect::<Option<Vec<_>>>();
        let page = page.ok_or_else(|| broken(bucket, "the listing holds a version without a valid key or id"))?;
        let truncated = answer.is_truncated() == Some(true);
        let next = truncated.then(|| Marker {
            key: answer.next_key_marker().filter(|key| !key.is_empty()).and_then(plain),
            version: answer.next_version_id_marker().filter(|id| !id.is_empty()).map(str::to_owned),
        });
        Ok((page, next))
    }

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

fn broken(bucket: &BucketName, message: &str) -> S3Error {
    S3Error::unexpected("ListObjectVersions", bucket_url(bucket), message)
}

fn read_version(listed: &ObjectVersion, plain: &impl Fn(&str) -> Option<String>) -> Option<VersionEntry> {
    Some(VersionEntry {
        key: plain(listed.key()?)?.parse().ok()?,
        version: listed.version_id().unwrap_or("null").to_owned(),
        is_latest: listed.is_latest() == Some(true),
        is_delete_marker: false,
        size_bytes: u64::try_from(listed.size().unwrap_or_default()).ok()?,
        etag: listed.e_tag().map(ETag::new),
        modified: listed.last_modified().and_then(moment),
    })
}

fn read_marker(listed: &DeleteMarkerEntry, plain: &impl Fn(&str) -> Option<String>) -> Option<VersionEntry> {
    Some(VersionEntry {
        key: plain(listed.key()?)?.parse().ok()?,
        version: listed.version_id().unwrap_or("null").to_owned(),
        is_latest: listed.is_latest() == Some(true),
        is_delete_marker: true,
        size_bytes: 0,
        etag: None,
        modified: listed.last_modified().and_then(moment),
    })
}
