//! Blocks of bytes in files of the tool's own, each with its length and a checksum: whoever reads one back gets what was
//! written, or learns that it is gone.
//!
//! A block is `length (4 bytes), CRC-64/NVME (8 bytes), payload`, numbers little-endian. The checksum starts with a salt
//! that tells blocks apart which would be valid elsewhere: of another file, or of another place in this one.

use crate::hashing::Hasher;
use crate::model::Algorithm;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

/// What stands before the payload.
const FRAME_BYTES: usize = 12;

/// A block under construction: room for the frame, then the payload.
#[derive(Debug, Default)]
pub(super) struct Block(Vec<u8>);

impl Block {
    /// Adds to the payload.
    pub(super) fn payload(&mut self) -> &mut Vec<u8> {
        if self.0.is_empty() {
            self.0.resize(FRAME_BYTES, 0);
        }
        &mut self.0
    }

    /// The length of the payload so far in bytes.
    pub(super) const fn len(&self) -> usize {
        self.0.len().saturating_sub(FRAME_BYTES)
    }

    /// The whole block, ready to be written.
    pub(super) fn seal(&mut self, salt: u64) -> io::Result<&[u8]> {
        let payload = self.payload();
        let length = u32::try_from(payload.len() - FRAME_BYTES).map_err(|_| io::ErrorKind::FileTooLarge)?;
        let sum = checksum(salt, &payload[FRAME_BYTES..]);
        payload[..4].copy_from_slice(&length.to_le_bytes());
        payload[4..FRAME_BYTES].copy_from_slice(&sum.to_le_bytes());
        Ok(payload)
    }

    /// Empties the payload and keeps its memory.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

/// Reads the payload of the block at `at` in a file, or part of a file, that ends at `end`; gives the place of the next.
///
/// An error of kind `InvalidData` means that no such block was written there. Never allocates beyond `end`.
pub(super) fn read_block(file: &File, at: u64, end: u64, salt: u64, payload: &mut Vec<u8>) -> io::Result<u64> {
    payload.clear();
    let damaged = || io::Error::from(io::ErrorKind::InvalidData);
    let mut frame = [0; FRAME_BYTES];
    let start = at + FRAME_BYTES as u64;
    if start > end {
        return Err(damaged());
    }
    file.read_exact_at(&mut frame, at)?;
    let (length, sum) = frame.split_at(4);
    let length = length.iter().rev().fold(0_u32, |value, byte| (value << 8) | u32::from(*byte));
    let sum = sum.iter().rev().fold(0_u64, |value, byte| (value << 8) | u64::from(*byte));
    if u64::from(length) > end - start {
        return Err(damaged());
    }
    payload.resize(usize::try_from(length).map_err(|_| damaged())?, 0);
    file.read_exact_at(payload, start)?;
    if checksum(salt, payload) == sum { Ok(start + u64::from(length)) } else { Err(damaged()) }
}

/// The CRC-64/NVME of the salt and the bytes.
pub(super) fn checksum(salt: u64, bytes: &[u8]) -> u64 {
    let mut hasher = Hasher::new(Algorithm::Crc64Nvme);
    hasher.update(&salt.to_le_bytes());
    hasher.update(bytes);
    hasher.finish().digest().iter().fold(0, |value, byte| (value << 8) | u64::from(*byte))
}

/// Writes a number in as few bytes as it needs, seven bits in each, lowest first (LEB128).
pub(super) fn put_number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Writes a number that may be negative so that small ones stay short.
pub(super) fn put_signed(out: &mut Vec<u8>, number: i64) {
    put_number(out, ((number << 1) ^ (number >> 63)).cast_unsigned());
}

/// Takes a number from the front of `bytes`; `None` if there is none.
pub(super) fn take_number(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f).checked_shl(shift)?;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

/// Takes what [`put_signed`] wrote.
pub(super) fn take_signed(bytes: &mut &[u8]) -> Option<i64> {
    let folded = take_number(bytes)?;
    Some((folded >> 1).cast_signed() ^ -((folded & 1).cast_signed()))
}

/// Takes `count` bytes from the front.
pub(super) fn take_bytes<'bytes>(bytes: &mut &'bytes [u8], count: u64) -> Option<&'bytes [u8]> {
    let (taken, rest) = bytes.split_at_checked(usize::try_from(count).ok()?)?;
    *bytes = rest;
    Some(taken)
}

#[cfg(test)]
mod tests {
    use super::{Block, put_number, put_signed, read_block, take_number, take_signed};
    use std::io::Write as _;

    #[test]
    fn numbers_come_back() {
        for number in [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX - 1, u64::MAX] {
            let mut bytes = Vec::new();
            put_number(&mut bytes, number);
            put_signed(&mut bytes, number.cast_signed());
            put_signed(&mut bytes, number.cast_signed().wrapping_neg());
            let mut rest = bytes.as_slice();
            assert_eq!(take_number(&mut rest), Some(number));
            assert_eq!(take_signed(&mut rest), Some(number.cast_signed()));
            assert_eq!(take_signed(&mut rest), Some(number.cast_signed().wrapping_neg()));
            assert!(rest.is_empty());
        }
        for broken in [&[][..], &[0x80], &[0xff; 11]] {
            assert_eq!(take_number(&mut &*broken), None, "{broken:?}");
        }
    }

    #[test]
    fn a_block_is_whole_or_an_error() {
        let mut block = Block::default();
        block.payload().extend_from_slice(b"payload");
        let sealed = block.seal(7).unwrap().to_vec();
        let check = |bytes: &[u8], salt: u64| {
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(bytes).unwrap();
            let mut payload = Vec::new();
            read_block(&file, 0, bytes.len() as u64, salt, &mut payload).map(|next| (next, payload))
        };
        assert_eq!(check(&sealed, 7).unwrap(), (sealed.len() as u64, b"payload".to_vec()));
        assert!(check(&sealed, 8).is_err(), "of another file");
        for length in 0..sealed.len() {
            assert!(check(&sealed[..length], 7).is_err(), "cut to {length}");
            let mut flipped = sealed.clone();
            flipped[length] ^= 0x20;
            assert!(check(&flipped, 7).is_err(), "flipped at {length}");
        }
    }
}
