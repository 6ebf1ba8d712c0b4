//! One file in one request.

use super::limits::Buffer;
use super::prove::{ExpectedEtag, Sent};
use super::{Proven, Run, TransferError};
use crate::aws::s3::{ObjectWrite, S3Error, Written};
use crate::hashing;
use crate::local::{ReadError, SourceFile};
use crate::model::{Algorithm, BucketName, Checksum, Echo, Fingerprint};
use crate::plan::Upload;
use crate::sync::content_type;
use bytes::Bytes;
use std::path::Path;

impl Run {
    /// Reads the whole file, makes sure that it stayed the same, and only then sends it.
    pub(super) async fn send_single(
        &self,
        bucket: &BucketName,
        upload: &Upload,
        expected: &Fingerprint,
    ) -> Result<Proven, TransferError> {
        let buffer = self.pool.buffer(usize::try_from(expected.size_bytes).unwrap_or(usize::MAX)).await;
        let _slot = self.requests.acquire().await;
        let (path, seen, algorithm) = (upload.path.clone(), *expected, self.options.checksum);
        let read = tokio::task::spawn_blocking(move || read_whole(&path, &seen, algorithm, buffer));
        let (body, checksum) = self.unless_cancelled(async { Ok(read.await??) }).await?;
        self.send_body(bucket, upload, body, checksum).await
    }

    /// Sends what was read, and makes sure that it arrived. The caller holds a slot.
    pub(super) async fn send_body(
        &self,
        bucket: &BucketName,
        upload: &Upload,
        body: Bytes,
        checksum: Checksum,
    ) -> Result<Proven, TransferError> {
        let is_md5 = checksum.algorithm() == Algorithm::Md5;
        let sent = Sent {
            bucket,
            key: &upload.key,
            bytes: body.len() as u64,
            echo: (!is_md5).then(|| Echo::Whole(checksum.clone())),
            every_part_echoed: false,
            etag: ExpectedEtag::Body(body.clone()),
            checksum: Some(checksum.clone()),
        };
        let put = async {
            self.bandwidth.take(sent.bytes).await;
            Ok(self.put(bucket, upload, body, &checksum).await)
        };
        match self.unless_cancelled(put).await? {
            Ok(written) => {
                self.advanced(sent.bytes);
                self.unless_cancelled(self.prove(&sent, written)).await
            }
            Err(error) => self.unless_cancelled(self.settle(&sent, error)).await,
        }
    }

    async fn put(
        &self,
        bucket: &BucketName,
        upload: &Upload,
        body: Bytes,
        checksum: &Checksum,
    ) -> Result<Written, S3Error> {
        let attributes = &*self.options.attributes;
        let content_type = attributes.content_type_or(content_type::guess(upload.key.file_name()));
        loop {
            let condition = self.condition(bucket, upload).await?;
            let (body, key) = (body.clone(), &upload.key);
            let write = ObjectWrite { bucket, key, body, checksum, content_type, attributes, condition: &condition };
            match self.store.put_object(write).await {
                Err(error) if self.goes_without_conditions(&error, &condition).await => {}
                answer => return answer,
            }
        }
    }
}

/// The bytes of a file that is `expected` before and after, and their checksum.
fn read_whole(
    path: &Path,
    expected: &Fingerprint,
    algorithm: Algorithm,
    mut buffer: Buffer,
) -> Result<(Bytes, Checksum), ReadError> {
    let file = SourceFile::open_unchanged(path, expected)?;
    file.read(0, &mut buffer)?;
    file.check_unchanged()?;
    let checksum = hashing::digest(algorithm, &buffer);
    Ok((buffer.freeze(), checksum))
}
