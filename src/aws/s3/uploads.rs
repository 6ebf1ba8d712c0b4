//! Unfinished uploads in parts, page by page, whoever began them.

use super::list::decode;
use super::{S3Error, Store, bucket_url};
use crate::model::{Algorithm, BucketName, ObjectKey, OpenUpload};
use aws_sdk_s3::types::{ChecksumAlgorithm, EncodingType, MultipartUpload as Listed};
use futures_util::stream::{self, Stream};
use jiff::Timestamp;

/// Where a page begins: behind this key, or behind this upload of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Marker {
    key: Option<String>,
    upload_id: Option<String>,
}

/// Where the listing stands between two pages.
enum Position {
    At(Marker),
    End,
}

impl Store {
    /// All unfinished uploads of keys that start with `start`, at most 1,000 at a time, in the service's order.
    ///
    /// Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListMultipartUploads.html>
    pub fn list_uploads(
        &self,
        bucket: &BucketName,
        start: &str,
    ) -> impl Stream<Item = Result<Vec<OpenUpload>, S3Error>> + Send + use<> {
        let (store, bucket, start) = (self.clone(), bucket.clone(), start.to_owned());
        stream::try_unfold(Position::At(Marker::default()), move |position| {
            let (store, bucket, start) = (store.clone(), bucket.clone(), start.clone());
            async move {
                let Position::At(marker) = position else { return Ok(None) };
                let (page, next) = store.uploads_page(&bucket, &start, &marker).await?;
                if next.as_ref() == Some(&marker) {
                    return Err(broken(&bucket, "the listing does not advance: its marker came twice"));
                }
                Ok(Some((page, next.map_or(Position::End, Position::At))))
            }
        })
    }

    async fn uploads_page(
        &self,
        bucket: &BucketName,
        start: &str,
        marker: &Marker,
    ) -> Result<(Vec<OpenUpload>, Option<Marker>), S3Error> {
        let request = self.client().list_multipart_uploads().bucket(bucket.as_str());
        let request = request.encoding_type(EncodingType::Url).set_expected_bucket_owner(self.expected_owner());
        let request = if start.is_empty() { request } else { request.prefix(start) };
        let request = request.set_key_marker(marker.key.clone()).set_upload_id_marker(marker.upload_id.clone());
        let answer = request.send().await;
        let answer = answer.map_err(|error| S3Error::new("ListMultipartUploads", bucket_url(bucket), &error))?;
        let encoded = answer.encoding_type() == Some(&EncodingType::Url);
        let plain = |text: &str| if encoded { decode(text) } else { Some(text.to_owned()) };
        let read = |listed: &Listed| read_upload(listed, &plain);
        let uploads = answer.uploads().iter().map(read).collect::<Option<Vec<_>>>();
        let uploads = uploads.ok_or_else(|| broken(bucket, "the listing holds an upload without a valid key or id"))?;
        let truncated = answer.is_truncated() == Some(true);
        let next = truncated.then(|| Marker {
            key: answer.next_key_marker().filter(|key| !key.is_empty()).and_then(plain),
            upload_id: answer.next_upload_id_marker().filter(|id| !id.is_empty()).map(str::to_owned),
        });
        Ok((uploads, next))
    }
}

fn broken(bucket: &BucketName, message: &str) -> S3Error {
    S3Error::unexpected("ListMultipartUploads", bucket_url(bucket), message)
}

fn read_upload(listed: &Listed, plain: &impl Fn(&str) -> Option<String>) -> Option<OpenUpload> {
    let key: ObjectKey = plain(listed.key()?)?.parse().ok()?;
    let initiator = listed.initiator().and_then(|who| who.id().or(who.display_name()));
    let initiated = listed
        .initiated()
        .and_then(|time| Timestamp::new(time.secs(), i32::try_from(time.subsec_nanos()).unwrap_or_default()).ok());
    Some(OpenUpload {
        key,
        upload_id: listed.upload_id()?.to_owned(),
        initiated,
        initiator: initiator.filter(|who| !who.is_empty()).map(str::to_owned),
        algorithm: listed.checksum_algorithm().and_then(read_algorithm),
    })
}

fn read_algorithm(name: &ChecksumAlgorithm) -> Option<Algorithm> {
    Some(match name {
        ChecksumAlgorithm::Crc64Nvme => Algorithm::Crc64Nvme,
        ChecksumAlgorithm::Crc32 => Algorithm::Crc32,
        ChecksumAlgorithm::Crc32C => Algorithm::Crc32c,
        ChecksumAlgorithm::Sha1 => Algorithm::Sha1,
        ChecksumAlgorithm::Sha256 => Algorithm::Sha256,
        _ => return None,
    })
}
