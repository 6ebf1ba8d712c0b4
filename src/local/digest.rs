//! Digests of a whole file in one read, for comparing it with an object.

use super::{ReadError, SourceFile};
use crate::hashing::{Hasher, PartedMd5};
use crate::model::{Algorithm, Checksum, ETag, Fingerprint};
use std::path::Path;

/// Large enough that system calls do not count, small enough to stay in the processor's cache.
const BUFFER_BYTES: usize = 256 * 1024;

/// Which digests are needed. Each MD5 costs about 1.6 s of processor time per GiB, CRC-64/NVME next to nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DigestsWanted {
    /// The MD5 of the whole file.
    pub md5: bool,
    /// The CRC-64/NVME of the whole file.
    pub crc64nvme: bool,
    /// The ETag of a multipart upload with parts of each of these sizes in bytes; none may be 0.
    pub part_sizes: Vec<u64>,
}

/// What was asked for of one file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FileDigests {
    /// The MD5.
    pub md5: Option<Checksum>,
    /// The CRC-64/NVME.
    pub crc64nvme: Option<Checksum>,
    /// One ETag for each part size, in the order in which they were asked for.
    pub multipart: Vec<ETag>,
}

/// Reads the file once, from its first byte to its last, if it is `expected` before and after.
pub fn digest_file(path: &Path, expected: &Fingerprint, wanted: &DigestsWanted) -> Result<FileDigests, ReadError> {
    let file = SourceFile::open_unchanged(path, expected)?;
    let mut md5 = wanted.md5.then(|| Hasher::new(Algorithm::Md5));
    let mut crc64nvme = wanted.crc64nvme.then(|| Hasher::new(Algorithm::Crc64Nvme));
    let mut parts: Vec<PartedMd5> = wanted.part_sizes.iter().map(|size| PartedMd5::new(*size)).collect();
    let room = usize::try_from(expected.size_bytes).unwrap_or(BUFFER_BYTES).clamp(1, BUFFER_BYTES);
    let mut buffer = Vec::with_capacity(room);
    let mut offset = 0;
    while file.read_some(&mut buffer, offset)? > 0 {
        for hasher in md5.iter_mut().chain(crc64nvme.iter_mut()) {
            hasher.update(&buffer);
        }
        for part in &mut parts {
            part.update(&buffer);
        }
        offset += buffer.len() as u64;
        buffer.clear();
    }
    file.check_unchanged()?;
    Ok(FileDigests {
        md5: md5.map(Hasher::finish),
        crc64nvme: crc64nvme.map(Hasher::finish),
        multipart: parts.into_iter().map(PartedMd5::finish).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::{DigestsWanted, digest_file};
    use crate::hashing::{digest, multipart_etag};
    use crate::local::{ReadError, SourceFile, replace_file};
    use crate::model::{Algorithm, Checksum, Fingerprint};
    use std::path::Path;

    fn put(path: &Path, content: &[u8]) -> Fingerprint {
        replace_file(path, |out| out.write_all(content)).unwrap();
        *SourceFile::open(path).unwrap().fingerprint()
    }

    #[test]
    fn one_read_gives_all_digests() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        for length in [0, 1, 1000, 262_144, 262_145, 700_000] {
            let content: Vec<u8> = (0..length).map(|at: usize| (at % 251) as u8).collect();
            let seen = put(&path, &content);
            let part_sizes = vec![1000, 262_144, 300_000, 1 << 40];
            let wanted = DigestsWanted { md5: true, crc64nvme: true, part_sizes: part_sizes.clone() };
            let found = digest_file(&path, &seen, &wanted).unwrap();
            assert_eq!(found.md5, Some(digest(Algorithm::Md5, &content)));
            assert_eq!(found.crc64nvme, Some(digest(Algorithm::Crc64Nvme, &content)));
            for (size, etag) in part_sizes.into_iter().zip(found.multipart) {
                let mut parts: Vec<Checksum> =
                    content.chunks(usize::try_from(size).unwrap()).map(|part| digest(Algorithm::Md5, part)).collect();
                if parts.is_empty() {
                    parts.push(digest(Algorithm::Md5, b""));
                }
                assert_eq!(etag, multipart_etag(parts.iter().map(Checksum::digest)), "{length} in {size}");
            }
        }
    }

    #[test]
    fn a_file_that_is_no_longer_what_was_seen_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let seen = put(&path, b"seen");
        put(&path, b"changed");
        let result = digest_file(&path, &seen, &DigestsWanted { md5: true, ..DigestsWanted::default() });
        assert!(matches!(result, Err(ReadError::Changed(_))));
    }
}
