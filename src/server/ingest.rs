//! Takes in a request's body: digests it, checks what was claimed, and puts it where its size belongs.
//!
//! Small bodies stay in memory until they enter the index; larger ones go to a blob file on a blocking thread, a block at a
//! time, while the next block arrives.

use super::blobs::{Blobs, PendingBlob};
use super::checksums::{Claims, Digested, Digests};
use super::fault::{Fault, Outcome, refusal};
use super::index::Tables;
use super::record::{BlobId, Segment};
use crate::model::Algorithm;
use bytes::Bytes;
use futures_util::StreamExt as _;
use s3s::dto::StreamingBlob;
use s3s::{S3Error, S3Result, StdError, TrailingHeaders, s3_error};
use std::time::Duration;
use tokio::task::JoinHandle;

/// Bodies up to this size live in the index, where they share its commit.
const INLINE_BYTES: u64 = 64 << 10;
/// Bytes handed to the blocking thread at once.
const BLOCK_BYTES: usize = 1 << 20;
/// How long a client may send nothing in the middle of a body.
const IDLE: Duration = Duration::from_secs(60);
/// The largest body of one request.
///
/// Source: <https://docs.aws.amazon.com/general/latest/gr/s3.html#limits_s3>
const MAX_BODY_BYTES: u64 = 5 << 30;

/// A body that was received whole and kept its claims, not yet named by the index.
#[derive(Debug)]
pub(super) struct Received {
    pub(super) size: u64,
    pub(super) digests: Digested,
    store: Store,
}

#[derive(Debug)]
enum Store {
    Memory(Vec<u8>),
    File(PendingBlob),
}

/// The body as far as it has come.
#[derive(Debug)]
struct Sink {
    blobs: Blobs,
    digests: Digests,
    size: u64,
    store: Store,
}

/// What the handler knows of a body before it arrives.
#[derive(Debug)]
pub(super) struct Expected {
    pub(super) claims: Claims,
    /// The length that the request states.
    pub(super) length: Option<i64>,
    /// Algorithms to digest besides the claimed one.
    pub(super) also: Vec<Algorithm>,
    pub(super) trailers: Option<TrailingHeaders>,
}

/// Receives a body whole and checks it. On any failure nothing of it stays.
pub(super) async fn receive(blobs: &Blobs, body: Option<StreamingBlob>, expected: Expected) -> S3Result<Received> {
    let stated = expected.length.and_then(|length| u64::try_from(length).ok());
    if stated.is_some_and(|length| length > MAX_BODY_BYTES) {
        return Err(too_large());
    }
    let mut algorithms = expected.also;
    algorithms.extend(expected.claims.algorithm());
    let sink = Sink {
        blobs: blobs.clone(),
        digests: Digests::new(&algorithms),
        size: 0,
        store: Store::Memory(Vec::with_capacity(usize::try_from(stated.unwrap_or(0).min(INLINE_BYTES)).unwrap_or(0))),
    };
    let sink = match body {
        Some(body) => pump(body, sink).await?,
        None => sink,
    };
    if stated.is_some_and(|length| length != sink.size) {
        return Err(incomplete());
    }
    let received = Received { size: sink.size, digests: sink.digests.finish(), store: sink.store };
    let trailers = expected.trailers.and_then(|trailers| trailers.take());
    expected.claims.verify(&received.digests, trailers.as_ref())?;
    received.seal().await
}

async fn pump(mut body: StreamingBlob, sink: Sink) -> S3Result<Sink> {
    let mut idle = Some(sink);
    let mut busy: Option<JoinHandle<Outcome<Sink>>> = None;
    let (mut block, mut block_bytes) = (Vec::new(), 0);
    while let Some(chunk) = tokio::time::timeout(IDLE, body.next()).await.map_err(|_| idle_too_long())? {
        let chunk = chunk.map_err(|error| body_error(&error))?;
        block_bytes += chunk.len();
        block.push(chunk);
        if block_bytes >= BLOCK_BYTES {
            let sink = settle(&mut idle, &mut busy).await?;
            let full = std::mem::take(&mut block);
            busy = Some(tokio::task::spawn_blocking(move || sink.absorb(full)));
            block_bytes = 0;
        }
    }
    let sink = settle(&mut idle, &mut busy).await?;
    if sink.size == 0 && block_bytes as u64 <= INLINE_BYTES {
        return Ok(sink.absorb(block)?);
    }
    tokio::task::spawn_blocking(move || sink.absorb(block)).await.map_err(S3Error::internal_error)?.map_err(Into::into)
}

async fn settle(idle: &mut Option<Sink>, busy: &mut Option<JoinHandle<Outcome<Sink>>>) -> S3Result<Sink> {
    if let Some(busy) = busy.take() {
        return Ok(busy.await.map_err(S3Error::internal_error)??);
    }
    idle.take().ok_or_else(|| s3_error!(InternalError, "the body was lost"))
}

impl Sink {
    fn absorb(mut self, block: Vec<Bytes>) -> Outcome<Self> {
        for chunk in block {
            self.digests.update(&chunk);
            self.size += chunk.len() as u64;
            if self.size > MAX_BODY_BYTES {
                return Err(Fault::Refused(too_large()));
            }
            match &mut self.store {
                Store::Memory(bytes) if self.size <= INLINE_BYTES => bytes.extend_from_slice(&chunk),
                Store::Memory(bytes) => {
                    let mut file = self.blobs.create()?;
                    file.append(bytes)?;
                    file.append(&chunk)?;
                    self.store = Store::File(file);
                }
                Store::File(file) => file.append(&chunk)?,
            }
        }
        Ok(self)
    }
}

impl Received {
    async fn seal(mut self) -> S3Result<Self> {
        if let Store::File(mut file) = self.store {
            let sealed = tokio::task::spawn_blocking(move || file.seal().map(|()| file)).await;
            self.store = Store::File(sealed.map_err(S3Error::internal_error)?.map_err(Fault::from)?);
        }
        Ok(self)
    }

    /// Hands the bytes to the index, inside the transaction that names them.
    pub(super) fn store(self, tables: &mut Tables<'_>) -> Outcome<Vec<Segment>> {
        let (blob, inline) = match self.store {
            Store::Memory(bytes) if bytes.is_empty() => return Ok(Vec::new()),
            Store::Memory(bytes) => {
                let id = BlobId::fresh()?;
                tables.bodies.insert(id.0, bytes.as_slice())?;
                (id, true)
            }
            Store::File(file) => {
                let id = file.id();
                tables.adopt(file)?;
                (id, false)
            }
        };
        Ok(vec![Segment { blob, inline, offset: 0, len: self.size }])
    }
}

/// The S3 error behind a body that could not be read to its end. `s3s` tells its reasons by their text alone.
pub(super) fn body_error(error: &StdError) -> S3Error {
    let text = error.to_string();
    if text.contains("Sha256Mismatch") {
        return sha256_mismatch();
    }
    if text.contains("SignatureMismatch") {
        return s3_error!(
            SignatureDoesNotMatch,
            "The request signature we calculated does not match the signature you provided."
        );
    }
    if text.contains("FormatError") || text.contains("TooLarge") || text.contains("TooMany") {
        return s3_error!(InvalidRequest, "The aws-chunked body is not well-formed.");
    }
    incomplete()
}

/// The refusal of a payload that is not the one that was signed.
pub(super) fn sha256_mismatch() -> S3Error {
    let message = "The provided 'x-amz-content-sha256' header does not match what was computed.";
    refusal("XAmzContentSHA256Mismatch", http::StatusCode::BAD_REQUEST, message)
}

fn idle_too_long() -> S3Error {
    s3_error!(
        RequestTimeout,
        "Your socket connection to the server was not read from or written to within the timeout period. Idle connections will be closed."
    )
}

fn incomplete() -> S3Error {
    s3_error!(IncompleteBody, "You did not provide the number of bytes specified by the Content-Length HTTP header.")
}

fn too_large() -> S3Error {
    s3_error!(EntityTooLarge, "Your proposed upload exceeds the maximum allowed size")
}
