//! The S3 operations the endpoint carries out, one line each. Whatever is not in the table answers `NotImplemented`.

use super::authorize::Pass;
use super::blobs::Blobs;
use super::fault::Outcome;
use super::index::{Index, Snapshot, Tables};
use crate::hashing::digest;
use crate::model::{AccountId, Algorithm, Region};
use s3s::dto::*;
use s3s::{S3, S3Error, S3ErrorCode, S3Request, S3Response, S3Result, s3_error};
use std::sync::Arc;

/// What every operation works on. Cheap to clone.
#[derive(Clone)]
pub(super) struct Service {
    pub(super) index: Arc<Index>,
    pub(super) blobs: Blobs,
    pub(super) account: AccountId,
    pub(super) region: Region,
}

impl Service {
    /// Reads the index off the async threads' way: a look takes microseconds unless another process is committing.
    pub(super) fn look<T>(&self, look: impl FnOnce(&Snapshot) -> Outcome<T>) -> S3Result<T> {
        let snapshot = self.index.snapshot()?;
        Ok(look(&snapshot)?)
    }

    /// Changes the index; the answer comes when the change is durable.
    pub(super) async fn change<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Tables<'_>) -> Outcome<T> + Send + 'static,
    ) -> S3Result<T> {
        self.index.write(work).await
    }

    /// Not carried out, whatever the form says.
    async fn post_object(&self, _: S3Request<PostObjectInput>) -> S3Result<S3Response<PostObjectOutput>> {
        Err(s3_error!(NotImplemented, "Uploads from HTML forms are not implemented"))
    }

    /// The owner of everything, as listings show it: a canonical id has 64 hex digits.
    pub(super) fn owner(&self) -> Owner {
        let id = digest(Algorithm::Sha256, self.account.as_str().as_bytes()).hex();
        Owner { display_name: Some(self.account.to_string()), id: Some(id) }
    }
}

/// What the caller may be told of a missing object.
fn hidden(error: S3Error, pass: Option<&Pass>) -> S3Error {
    match (error.code(), pass) {
        (S3ErrorCode::NoSuchKey | S3ErrorCode::NoSuchVersion, Some(pass)) => pass.missing(error),
        _ => error,
    }
}

macro_rules! operations {
    ($($name:ident($input:ident) -> $output:ident;)*) => {
        #[async_trait::async_trait]
        impl S3 for Service {
            $(async fn $name(&self, request: S3Request<$input>) -> S3Result<S3Response<$output>> {
                let pass = request.extensions.get::<Arc<Pass>>().cloned();
                // The inherent method of the same name does the work.
                Self::$name(self, request).await.map_err(|error| hidden(error, pass.as_deref()))
            })*
        }

        /// Every operation of the table.
        #[cfg(test)]
        const NAMES: &[&str] = &[$(stringify!($name)),*];
    };
}

operations! {
    list_buckets(ListBucketsInput) -> ListBucketsOutput;
    head_bucket(HeadBucketInput) -> HeadBucketOutput;
    delete_bucket(DeleteBucketInput) -> DeleteBucketOutput;
    get_bucket_location(GetBucketLocationInput) -> GetBucketLocationOutput;

    put_bucket_versioning(PutBucketVersioningInput) -> PutBucketVersioningOutput;
    get_bucket_versioning(GetBucketVersioningInput) -> GetBucketVersioningOutput;
    put_public_access_block(PutPublicAccessBlockInput) -> PutPublicAccessBlockOutput;
    get_public_access_block(GetPublicAccessBlockInput) -> GetPublicAccessBlockOutput;
    delete_public_access_block(DeletePublicAccessBlockInput) -> DeletePublicAccessBlockOutput;
    put_bucket_ownership_controls(PutBucketOwnershipControlsInput) -> PutBucketOwnershipControlsOutput;
    get_bucket_ownership_controls(GetBucketOwnershipControlsInput) -> GetBucketOwnershipControlsOutput;
    delete_bucket_ownership_controls(DeleteBucketOwnershipControlsInput) -> DeleteBucketOwnershipControlsOutput;
    put_bucket_lifecycle_configuration(PutBucketLifecycleConfigurationInput) -> PutBucketLifecycleConfigurationOutput;
    get_bucket_lifecycle_configuration(GetBucketLifecycleConfigurationInput) -> GetBucketLifecycleConfigurationOutput;
    delete_bucket_lifecycle(DeleteBucketLifecycleInput) -> DeleteBucketLifecycleOutput;
    put_bucket_policy(PutBucketPolicyInput) -> PutBucketPolicyOutput;
    get_bucket_policy(GetBucketPolicyInput) -> GetBucketPolicyOutput;
    delete_bucket_policy(DeleteBucketPolicyInput) -> DeleteBucketPolicyOutput;
    put_bucket_logging(PutBucketLoggingInput) -> PutBucketLoggingOutput;
    get_bucket_logging(GetBucketLoggingInput) -> GetBucketLoggingOutput;
    put_bucket_tagging(PutBucketTaggingInput) -> PutBucketTaggingOutput;
    get_bucket_tagging(GetBucketTaggingInput) -> GetBucketTaggingOutput;
    delete_bucket_tagging(DeleteBucketTaggingInput) -> DeleteBucketTaggingOutput;
    delete_bucket_encryption(DeleteBucketEncryptionInput) -> DeleteBucketEncryptionOutput;

    // Uploads from HTML forms: `s3s` would hand them to `put_object` with the form's own headers.
    post_object(PostObjectInput) -> PostObjectOutput;
    put_object(PutObjectInput) -> PutObjectOutput;
    get_object(GetObjectInput) -> GetObjectOutput;
    head_object(HeadObjectInput) -> HeadObjectOutput;
    delete_object(DeleteObjectInput) -> DeleteObjectOutput;
    delete_objects(DeleteObjectsInput) -> DeleteObjectsOutput;

    copy_object(CopyObjectInput) -> CopyObjectOutput;
    get_object_attributes(GetObjectAttributesInput) -> GetObjectAttributesOutput;
    put_object_tagging(PutObjectTaggingInput) -> PutObjectTaggingOutput;
    get_object_tagging(GetObjectTaggingInput) -> GetObjectTaggingOutput;
    delete_object_tagging(DeleteObjectTaggingInput) -> DeleteObjectTaggingOutput;

    create_multipart_upload(CreateMultipartUploadInput) -> CreateMultipartUploadOutput;
    upload_part(UploadPartInput) -> UploadPartOutput;
    upload_part_copy(UploadPartCopyInput) -> UploadPartCopyOutput;
    complete_multipart_upload(CompleteMultipartUploadInput) -> CompleteMultipartUploadOutput;
    abort_multipart_upload(AbortMultipartUploadInput) -> AbortMultipartUploadOutput;
    list_parts(ListPartsInput) -> ListPartsOutput;
    list_multipart_uploads(ListMultipartUploadsInput) -> ListMultipartUploadsOutput;

    list_object_versions(ListObjectVersionsInput) -> ListObjectVersionsOutput;
    list_objects(ListObjectsInput) -> ListObjectsOutput;
    list_objects_v2(ListObjectsV2Input) -> ListObjectsV2Output;
}

#[cfg(test)]
mod tests {
    use super::NAMES;
    use crate::policy::operation::{Call, demands};

    #[test]
    fn policies_know_every_operation_that_is_carried_out() {
        let headers = [("x-amz-copy-source".to_owned(), "bucket/key".to_owned())];
        for name in NAMES {
            let pascal: String = name.split('_').map(|word| word[..1].to_uppercase() + &word[1..]).collect();
            let call = Call { operation: &pascal, bucket: "bucket", key: "key", headers: &headers, ..Call::default() };
            // An upload from a form is refused, whoever sends it.
            assert_eq!(demands(&call).is_some(), *name != "post_object", "{pascal}");
        }
    }
}
