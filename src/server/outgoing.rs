//! The body of an answer: a range of an object, read block by block on blocking threads.

use super::blobs::{Blobs, Pinned};
use super::fault::Outcome;
use super::index::Snapshot;
use super::record::Segment;
use bytes::Bytes;
use futures_util::Stream;
use s3s::StdError;
use s3s::stream::{ByteStream, RemainingLength};
use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::task::JoinHandle;

const BLOCK_BYTES: u64 = 1 << 20;

/// One run of bytes still to be sent.
#[derive(Debug)]
enum Piece {
    Memory(Bytes),
    Opened { file: Arc<File>, offset: u64, len: u64 },
    Closed { segment: Segment },
}

/// Bytes that were read, and what is left of their piece.
type Block = (Bytes, Option<Piece>);

/// A stream of the bytes that were asked for.
#[derive(Debug)]
pub(super) struct Outgoing {
    blobs: Blobs,
    pieces: VecDeque<Piece>,
    left: u64,
    busy: Option<JoinHandle<io::Result<Block>>>,
    _pinned: Pinned,
}

/// The runs of `segments` that hold the bytes `range`.
fn cut(segments: &[Segment], range: &Range<u64>) -> Vec<Segment> {
    let mut start = 0;
    let mut runs = Vec::new();
    for segment in segments {
        let end = start + segment.len;
        let (from, to) = (range.start.max(start), range.end.min(end));
        if from < to {
            runs.push(Segment { offset: segment.offset + (from - start), len: to - from, ..segment.clone() });
        }
        start = end;
    }
    runs
}

impl Outgoing {
    /// Opens the bytes `range` of an object. Small bodies are read at once, and the first file is opened, so that an object
    /// which is replaced from now on is still sent whole.
    pub(super) fn open(blobs: &Blobs, snapshot: &Snapshot, segments: &[Segment], range: &Range<u64>) -> Outcome<Self> {
        let runs = cut(segments, range);
        let pinned = blobs.pin(runs.iter().filter(|run| !run.inline).map(|run| run.blob).collect());
        let mut pieces = VecDeque::with_capacity(runs.len());
        for run in runs {
            let piece = if run.inline {
                Piece::Memory(inline(snapshot, &run)?)
            } else if pieces.is_empty() {
                Piece::Opened { file: Arc::new(blobs.open_blob(run.blob)?), offset: run.offset, len: run.len }
            } else {
                Piece::Closed { segment: run }
            };
            pieces.push_back(piece);
        }
        Ok(Self { blobs: blobs.clone(), pieces, left: range.end - range.start, busy: None, _pinned: pinned })
    }
}

fn inline(snapshot: &Snapshot, run: &Segment) -> Outcome<Bytes> {
    let short = || io::Error::new(io::ErrorKind::NotFound, "a body is missing from the index");
    let body = snapshot.bodies()?.get(run.blob.0)?.ok_or_else(short)?;
    let (start, end) = (run.offset, run.offset + run.len);
    let wanted = usize::try_from(start).ok().zip(usize::try_from(end).ok());
    let bytes = wanted.and_then(|(start, end)| body.value().get(start..end)).ok_or_else(short)?;
    Ok(Bytes::copy_from_slice(bytes))
}

/// Reads the next block of a piece, and says what is left of the piece.
fn read(blobs: &Blobs, piece: Piece) -> io::Result<Block> {
    let (file, offset, len) = match piece {
        Piece::Memory(bytes) => return Ok((bytes, None)),
        Piece::Opened { file, offset, len } => (file, offset, len),
        Piece::Closed { segment } => (Arc::new(blobs.open_blob(segment.blob)?), segment.offset, segment.len),
    };
    let block = len.min(BLOCK_BYTES);
    let mut bytes = vec![0; usize::try_from(block).unwrap_or(0)];
    file.read_exact_at(&mut bytes, offset)?;
    let rest = (len > block).then(|| Piece::Opened { file, offset: offset + block, len: len - block });
    Ok((bytes.into(), rest))
}

impl Stream for Outgoing {
    type Item = Result<Bytes, StdError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if this.busy.is_none() {
            match this.pieces.pop_front() {
                None => return Poll::Ready(None),
                Some(Piece::Memory(bytes)) => {
                    this.left = this.left.saturating_sub(bytes.len() as u64);
                    return Poll::Ready(Some(Ok(bytes)));
                }
                Some(piece) => {
                    let blobs = this.blobs.clone();
                    this.busy = Some(tokio::task::spawn_blocking(move || read(&blobs, piece)));
                }
            }
        }
        let Some(busy) = &mut this.busy else { return Poll::Ready(None) };
        let done = std::task::ready!(Pin::new(busy).poll(context));
        this.busy = None;
        let (bytes, rest) = match done {
            Ok(Ok(read)) => read,
            Ok(Err(error)) => return Poll::Ready(Some(Err(error.into()))),
            Err(error) => return Poll::Ready(Some(Err(error.into()))),
        };
        if let Some(rest) = rest {
            this.pieces.push_front(rest);
        }
        this.left = this.left.saturating_sub(bytes.len() as u64);
        Poll::Ready(Some(Ok(bytes)))
    }
}

impl ByteStream for Outgoing {
    fn remaining_length(&self) -> RemainingLength {
        usize::try_from(self.left).map_or_else(|_| RemainingLength::unknown(), RemainingLength::new_exact)
    }
}
