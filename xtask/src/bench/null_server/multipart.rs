//! Multipart uploads of the null server: what is known of each part until the upload is completed. Pure.

use super::xml::{document, element};
use bucketwright::hashing;
use bucketwright::model::{Algorithm, Checksum};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// The header that carries the checksum this project proves by.
const CRC64NVME: &str = "x-amz-checksum-crc64nvme";

/// An upload that was begun.
#[derive(Debug)]
pub(super) struct Upload {
    /// Headers that the object will have.
    pub(super) headers: Vec<(String, String)>,
    parts: BTreeMap<u32, Part>,
}

/// One part.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) size_bytes: u64,
    /// With its quotes.
    pub(super) etag: String,
    /// The MD5 of its bytes, where it is known.
    pub(super) md5: Option<Checksum>,
    /// Checksum headers as sent.
    pub(super) checksums: Vec<(String, String)>,
}

/// What the parts make together.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Whole {
    pub(super) size_bytes: u64,
    /// As S3 computes it, without quotes; none if the MD5 of a part is not known.
    pub(super) etag: Option<String>,
    /// How many parts.
    pub(super) parts: usize,
    /// The CRC64NVME of all bytes, if every part had one.
    pub(super) crc64nvme: Option<String>,
}

impl Upload {
    /// An upload without parts, of an object that will have these headers.
    pub(super) const fn new(headers: Vec<(String, String)>) -> Self {
        Self { headers, parts: BTreeMap::new() }
    }

    /// Takes a part in place of one with the same number.
    pub(super) fn put(&mut self, number: u32, part: Part) {
        self.parts.insert(number, part);
    }

    /// The parts with these numbers, put together; none if one is missing or there are none.
    pub(super) fn whole(&self, numbers: &[u32]) -> Option<Whole> {
        let parts: Vec<&Part> = numbers.iter().map(|number| self.parts.get(number)).collect::<Option<_>>()?;
        if parts.is_empty() {
            return None;
        }
        let md5s: Option<Vec<&[u8]>> = parts.iter().map(|part| part.md5.as_ref().map(Checksum::digest)).collect();
        let crcs: Option<Vec<(Checksum, u64)>> =
            parts.iter().map(|part| Some((crc64nvme(part)?, part.size_bytes))).collect();
        let combined = crcs.and_then(|crcs| hashing::combine_parts(crcs.iter().map(|(crc, size)| (crc, *size))));
        Some(Whole {
            size_bytes: parts.iter().map(|part| part.size_bytes).sum(),
            etag: md5s.map(|md5s| hashing::multipart_etag(md5s).to_string().trim_matches('"').to_owned()),
            parts: parts.len(),
            crc64nvme: combined.map(|crc| crc.base64()),
        })
    }

    /// The answer to ListParts, all in one page.
    pub(super) fn list(&self, bucket: &str, key: &str, id: &str) -> String {
        let mut out = "<ListPartsResult>".to_owned();
        for (name, text) in [("Bucket", bucket), ("Key", key), ("UploadId", id), ("IsTruncated", "false")] {
            element(&mut out, name, text);
        }
        for (number, part) in &self.parts {
            let _ = write!(out, "<Part><PartNumber>{number}</PartNumber><Size>{}</Size>", part.size_bytes);
            element(&mut out, "ETag", &part.etag);
            if let Some(crc) = crc64nvme(part) {
                element(&mut out, "ChecksumCRC64NVME", &crc.base64());
            }
            out.push_str("</Part>");
        }
        out.push_str("</ListPartsResult>");
        document(&out)
    }
}

fn crc64nvme(part: &Part) -> Option<Checksum> {
    let (_, value) = part.checksums.iter().find(|(name, _)| name == CRC64NVME)?;
    Checksum::from_base64(Algorithm::Crc64Nvme, value).ok()
}

#[cfg(test)]
mod tests {
    use super::{CRC64NVME, Part, Upload};
    use bucketwright::hashing::digest;
    use bucketwright::model::Algorithm;

    fn part(bytes: &[u8], has_md5: bool, has_crc: bool) -> Part {
        let crc = digest(Algorithm::Crc64Nvme, bytes).base64();
        Part {
            size_bytes: bytes.len() as u64,
            etag: "\"e\"".to_owned(),
            md5: has_md5.then(|| digest(Algorithm::Md5, bytes)),
            checksums: has_crc.then(|| (CRC64NVME.to_owned(), crc)).into_iter().collect(),
        }
    }

    #[test]
    fn parts_make_a_whole() {
        let mut upload = Upload::new(Vec::new());
        upload.put(2, part(b"56789", true, true));
        upload.put(1, part(b"1234", true, true));
        let whole = upload.whole(&[1, 2]).unwrap();
        assert_eq!((whole.size_bytes, whole.parts), (9, 2));
        assert_eq!(whole.crc64nvme.as_deref(), Some("rosUhgp5mIg="), "the CRC of 123456789");
        assert_eq!(whole.etag.as_deref(), Some("d8399932ce6023ac3365f50fbbcde132-2"));
        assert_eq!(upload.whole(&[1, 3]), None, "part 3 never came");
        assert_eq!(upload.whole(&[]), None);
    }

    #[test]
    fn what_one_part_lacks_the_whole_lacks() {
        let mut upload = Upload::new(Vec::new());
        upload.put(1, part(b"1234", true, false));
        upload.put(2, part(b"56789", false, true));
        let whole = upload.whole(&[1, 2]).unwrap();
        assert_eq!((whole.etag, whole.crc64nvme), (None, None));
    }
}
