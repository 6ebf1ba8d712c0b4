//! How a file is cut into parts, and how an object that somebody else wrote may have been cut.
//!
//! Source of all limits: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html>

const MIB: u64 = 1024 * 1024;

/// The most parts that one upload may have.
pub const MAX_PARTS: u64 = 10_000;

/// The smallest part, except for the last.
pub const MIN_PART_BYTES: u64 = 5 * MIB;

/// The largest part.
pub const MAX_PART_BYTES: u64 = 5 * 1024 * MIB;

/// The largest object: 10,000 parts of 5 GiB, 48.8 TiB.
pub const MAX_OBJECT_BYTES: u64 = MAX_PARTS * MAX_PART_BYTES;

/// The part size where nothing asks for another: what most clients use, so that foreign tools recompute the ETag, and
/// small enough that thirty parts in flight stay within the memory limit.
pub const DEFAULT_PART_BYTES: u64 = 8 * MIB;

/// From this size on a file goes up in parts. Below, one request is cheaper than three, its ETag is the file's MD5, and
/// a retry costs little.
pub const MULTIPART_FROM_BYTES: u64 = 16 * MIB;

/// The largest object that one CopyObject takes: 5 GiB.
///
/// Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html>
pub const MAX_COPY_BYTES: u64 = 5 * 1024 * MIB;

/// Up to this size a copy inside the service is one request. The service takes more, but it answers only when the copy is
/// made: parts side by side are faster, and no single answer is waited for too long.
pub const COPY_WHOLE_UP_TO_BYTES: u64 = 1024 * MIB;

/// The part size for copies inside the service: no byte comes through here, so larger parts are fewer requests, and small
/// enough that many are copied side by side.
pub const COPY_PART_BYTES: u64 = 128 * MIB;

/// The part size for a file, in bytes: `preferred`, or the next whole MiB at which the file fits 10,000 parts.
///
/// `None` if the file is larger than any object can be.
pub fn part_bytes(file_bytes: u64, preferred: u64) -> Option<u64> {
    if file_bytes > MAX_OBJECT_BYTES {
        return None;
    }
    let preferred = preferred.clamp(MIN_PART_BYTES, MAX_PART_BYTES);
    let needed = file_bytes.div_ceil(MAX_PARTS).div_ceil(MIB) * MIB;
    Some(preferred.max(needed).min(MAX_PART_BYTES))
}

/// One part: its number from 1 on, and its place in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// The number in the upload.
    pub number: i32,
    /// Where it starts, in bytes.
    pub offset: u64,
    /// Its length in bytes.
    pub length: u64,
}

/// The parts of a file in order. An empty file has one empty part.
pub fn parts(file_bytes: u64, part_bytes: u64) -> impl Iterator<Item = Part> {
    let count = file_bytes.div_ceil(part_bytes).max(1);
    (0..count).zip(1..).map(move |(index, number)| {
        let offset = index * part_bytes;
        Part { number, offset, length: part_bytes.min(file_bytes - offset) }
    })
}

/// Part sizes in MiB that clients are known to use: SDKs and tools default to 5, 8, 16 or 64, people like round numbers.
const COMMON_PART_MIB: [u64; 22] =
    [8, 5, 16, 64, 32, 10, 15, 20, 25, 50, 100, 128, 256, 512, 1024, 1, 2, 4, 6, 12, 200, 500];

/// Each candidate costs an MD5 of the whole file; an object of few large parts would have dozens.
const MAX_CANDIDATES: usize = 8;

/// The part sizes in bytes with which an object of `object_bytes` has `count` parts: the usual ones first, then the
/// ones that clients compute from the size, as an even share rounded up to a byte, a MiB, or a multiple of 5 or 8 MiB.
pub fn candidates(object_bytes: u64, count: u32) -> Vec<u64> {
    let count = u64::from(count);
    match (object_bytes, count) {
        (0, _) | (_, 0) => return Vec::new(),
        (_, 1) => return vec![object_bytes],
        _ => {}
    }
    let share = object_bytes.div_ceil(count);
    let common = COMMON_PART_MIB.iter().map(|size| size * MIB);
    let computed = [MIB, 8 * MIB, 5 * MIB, 1].into_iter().map(|unit| share.div_ceil(unit) * unit);
    // A tool that must fit 10,000 parts computes the size from them, whatever the count comes to.
    let fitted = [MIB, 1].into_iter().map(|unit| object_bytes.div_ceil(MAX_PARTS).div_ceil(unit) * unit);
    let mut found: Vec<u64> = Vec::new();
    for size in common.chain(computed).chain(fitted) {
        if size > 0 && object_bytes.div_ceil(size) == count && !found.contains(&size) {
            found.push(size);
        }
    }
    found.truncate(MAX_CANDIDATES);
    found
}

#[cfg(test)]
mod tests {
    use super::{
        DEFAULT_PART_BYTES, MAX_OBJECT_BYTES, MAX_PART_BYTES, MAX_PARTS, MIB, MIN_PART_BYTES, candidates, part_bytes,
        parts,
    };
    use proptest::prelude::{prop_assert, prop_assert_eq, proptest};

    #[test]
    fn part_sizes() {
        for (file_bytes, preferred, expected) in [
            (0, DEFAULT_PART_BYTES, Some(8 * MIB)),
            (16 * MIB, DEFAULT_PART_BYTES, Some(8 * MIB)),
            (80_000 * MIB, DEFAULT_PART_BYTES, Some(8 * MIB)),
            (80_000 * MIB + 1, DEFAULT_PART_BYTES, Some(9 * MIB)),
            (16 * MIB, 1, Some(MIN_PART_BYTES)),
            (16 * MIB, u64::MAX, Some(MAX_PART_BYTES)),
            (MAX_OBJECT_BYTES, DEFAULT_PART_BYTES, Some(MAX_PART_BYTES)),
            (MAX_OBJECT_BYTES + 1, DEFAULT_PART_BYTES, None),
        ] {
            assert_eq!(part_bytes(file_bytes, preferred), expected, "{file_bytes} by {preferred}");
        }
    }

    #[test]
    fn cutting() {
        let cut =
            |bytes, size| parts(bytes, size).map(|part| (part.number, part.offset, part.length)).collect::<Vec<_>>();
        assert_eq!(cut(0, 5), [(1, 0, 0)]);
        assert_eq!(cut(10, 5), [(1, 0, 5), (2, 5, 5)]);
        assert_eq!(cut(11, 5), [(1, 0, 5), (2, 5, 5), (3, 10, 1)]);
    }

    #[test]
    fn other_tools_part_sizes_are_found() {
        let gib = 1024 * MIB;
        for (object_bytes, part_bytes) in [
            (64 * MIB, 8 * MIB),   // aws CLI
            (64 * MIB, 5 * MIB),   // rclone, boto3 by hand
            (gib + 1, 50 * MIB),   // s5cmd
            (300 * MIB, 15 * MIB), // s3cmd
            (gib, 64 * MIB),       // minio client
            (100_000 * MIB, 10 * MIB),
            (85_000 * MIB + 7, 9 * MIB),   // ours, fitted to 10,000 parts
            (99 * MIB + 11, 33 * MIB + 4), // an even share
        ] {
            let count = u32::try_from(object_bytes.div_ceil(part_bytes)).unwrap();
            assert!(candidates(object_bytes, count).contains(&part_bytes), "{object_bytes} by {part_bytes}");
        }
        assert_eq!(candidates(64 * MIB, 8)[0], 8 * MIB, "the most usual comes first");
        assert_eq!(candidates(0, 1), [0_u64; 0]);
    }

    proptest! {
        #[test]
        fn any_file_fits(file_bytes in 0..=MAX_OBJECT_BYTES, preferred in 0..=MAX_PART_BYTES) {
            let size = part_bytes(file_bytes, preferred).unwrap();
            prop_assert!((MIN_PART_BYTES..=MAX_PART_BYTES).contains(&size));
            prop_assert!(file_bytes.div_ceil(size) <= MAX_PARTS);
            let (first, last) = (parts(file_bytes, size).next().unwrap(), parts(file_bytes, size).last().unwrap());
            prop_assert_eq!((first.offset, last.offset + last.length), (0, file_bytes));
        }

        #[test]
        fn candidates_give_the_count(object_bytes in 1..=MAX_OBJECT_BYTES, count in 1..=10_000_u32) {
            for size in candidates(object_bytes, count) {
                prop_assert_eq!(object_bytes.div_ceil(size), u64::from(count));
            }
        }
    }
}
