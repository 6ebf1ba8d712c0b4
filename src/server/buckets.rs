//! Buckets: made, looked at, listed, removed.

use super::blobs::now_ms;
use super::fault::{Fault, Outcome};
use super::index::{Tables, address};
use super::record::{BucketRecord, Versioning, decode, encode};
use super::service::Service;
use super::settings::Kind;
use super::versions::{bucket_record, timestamp};
use crate::model::{BucketName, Region};
use redb::ReadableTable;
use s3s::dto::*;
use s3s::{S3Request, S3Response, S3Result, s3_error};

/// What CreateBucket asks for.
#[derive(Debug)]
pub(super) struct NewBucket {
    pub(super) name: BucketName,
    pub(super) region: Region,
    pub(super) tags: Vec<(String, String)>,
    pub(super) ownership: Option<String>,
}

/// The addresses of all keys of a bucket.
pub(super) fn bucket_span(bucket: &str) -> (Vec<u8>, Vec<u8>) {
    let start = address(bucket, "");
    let mut end = start.clone();
    if let Some(last) = end.last_mut() {
        *last = 1;
    }
    (start, end)
}

impl Service {
    /// Makes a bucket with the settings that AWS gives a new one.
    pub(super) async fn make_bucket(&self, new: NewBucket) -> S3Result<()> {
        let home = self.region.clone();
        self.change(move |tables| {
            if let Some(found) = tables.buckets.get(new.name.as_str())? {
                let record: BucketRecord = decode(found.value())?;
                return refuse_or_ignore(&record);
            }
            let record =
                BucketRecord { created_ms: now_ms(), region: new.region.to_string(), versioning: Versioning::Never };
            tracing::debug!(bucket = %new.name, region = %record.region, %home, "bucket made");
            tables.buckets.insert(new.name.as_str(), encode(&record).as_slice())?;
            new_settings(tables, &new)
        })
        .await
    }

    pub(super) async fn list_buckets(
        &self,
        request: S3Request<ListBucketsInput>,
    ) -> S3Result<S3Response<ListBucketsOutput>> {
        let input = request.input;
        let max = usize::try_from(input.max_buckets.unwrap_or(10_000)).unwrap_or(0).clamp(1, 10_000);
        let prefix = input.prefix.clone().unwrap_or_default();
        let after = input.continuation_token.unwrap_or_default();
        let (buckets, more) = self.look(|snapshot| {
            let mut buckets = Vec::new();
            for found in snapshot.buckets()?.range(after.as_str()..)? {
                let (name, record) = found?;
                let name = name.value();
                let record: BucketRecord = decode(record.value())?;
                let elsewhere = input.bucket_region.as_ref().is_some_and(|region| *region != record.region);
                if name == after || !name.starts_with(&prefix) || elsewhere {
                    continue;
                }
                if buckets.len() == max {
                    return Ok((buckets, true));
                }
                buckets.push(Bucket {
                    name: Some(name.to_owned()),
                    creation_date: Some(timestamp(record.created_ms)),
                    bucket_region: Some(record.region),
                });
            }
            Ok((buckets, false))
        })?;
        let last = buckets.last().and_then(|bucket| bucket.name.clone());
        Ok(S3Response::new(ListBucketsOutput {
            buckets: Some(buckets),
            continuation_token: last.filter(|_| more),
            owner: Some(self.owner()),
            prefix: input.prefix,
        }))
    }

    pub(super) async fn head_bucket(
        &self,
        request: S3Request<HeadBucketInput>,
    ) -> S3Result<S3Response<HeadBucketOutput>> {
        let record = self.look(|snapshot| bucket_record(&snapshot.buckets()?, &request.input.bucket))?;
        Ok(S3Response::new(HeadBucketOutput { bucket_region: Some(record.region), ..Default::default() }))
    }

    pub(super) async fn get_bucket_location(
        &self,
        request: S3Request<GetBucketLocationInput>,
    ) -> S3Result<S3Response<GetBucketLocationOutput>> {
        let record = self.look(|snapshot| bucket_record(&snapshot.buckets()?, &request.input.bucket))?;
        // A bucket in us-east-1 has no location constraint.
        let constraint = (record.region != Region::us_east_1().as_str()).then(|| record.region.into());
        Ok(S3Response::new(GetBucketLocationOutput { location_constraint: constraint }))
    }

    pub(super) async fn delete_bucket(
        &self,
        request: S3Request<DeleteBucketInput>,
    ) -> S3Result<S3Response<DeleteBucketOutput>> {
        let bucket = request.input.bucket;
        self.change(move |tables| remove_bucket(tables, &bucket)).await?;
        Ok(S3Response::new(DeleteBucketOutput {}))
    }
}

/// CreateBucket on an own bucket changes nothing: 200 in us-east-1, an error elsewhere.
///
/// Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateBucket.html>
fn refuse_or_ignore(record: &BucketRecord) -> Outcome<()> {
    if record.region == Region::us_east_1().as_str() {
        return Ok(());
    }
    Err(Fault::Refused(s3_error!(
        BucketAlreadyOwnedByYou,
        "Your previous request to create the named bucket succeeded and you already own it."
    )))
}

fn new_settings(tables: &mut Tables<'_>, new: &NewBucket) -> Outcome<()> {
    let bucket = new.name.as_str();
    let all = PublicAccessBlockConfiguration {
        block_public_acls: Some(true),
        block_public_policy: Some(true),
        ignore_public_acls: Some(true),
        restrict_public_buckets: Some(true),
    };
    Kind::PublicAccess.write(tables, bucket, &all)?;
    let ownership = new.ownership.clone().unwrap_or_else(|| ObjectOwnership::BUCKET_OWNER_ENFORCED.to_owned());
    Kind::Ownership.write(tables, bucket, &ownership)?;
    if !new.tags.is_empty() {
        Kind::Tagging.write(tables, bucket, &new.tags)?;
    }
    Ok(())
}

fn remove_bucket(tables: &mut Tables<'_>, bucket: &str) -> Outcome<()> {
    bucket_record(&tables.buckets, bucket)?;
    let (start, end) = bucket_span(bucket);
    // An unfinished upload does not keep a bucket, but its parts would stay behind unseen.
    let holds_objects = tables.current.range(start.as_slice()..end.as_slice())?.next().is_some();
    if holds_objects {
        return Err(Fault::Refused(s3_error!(BucketNotEmpty, "The bucket you tried to delete is not empty")));
    }
    super::uploads::drop_all(tables, bucket)?;
    for kind in Kind::ALL {
        kind.remove(tables, bucket)?;
    }
    tables.buckets.remove(bucket)?;
    Ok(())
}
