//! Silence on a line: how long nothing has moved, and the end of a request once that is too long.

use aws_smithy_runtime_api::client::http::HttpConnectorFuture;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, Sleep};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// How much of a body leaves at a time. The transport takes some more ahead, so this is what tells a slow line from a
/// dead one; smaller would cost more system calls.
const CHUNK_BYTES: usize = 128 * 1024;

/// Nothing moved for too long.
#[derive(Debug, thiserror::Error)]
#[error("nothing moved for {} s", .0.as_secs_f64())]
struct Silent(Duration);

/// When something last moved on the line of one request.
#[derive(Debug, Clone)]
pub(super) struct Pulse {
    silence: Duration,
    began: Instant,
    /// Milliseconds from the beginning to the last movement.
    moved_ms: Arc<AtomicU64>,
    /// Set once the whole body was taken by the transport.
    is_out: Arc<AtomicBool>,
}

impl Pulse {
    pub(super) fn new(silence: Duration) -> Self {
        Self { silence, began: Instant::now(), moved_ms: Arc::default(), is_out: Arc::default() }
    }

    fn moved(&self) {
        let elapsed = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.moved_ms.store(elapsed, Ordering::Relaxed);
    }

    /// When it is too long, if nothing moves from now on.
    ///
    /// The last megabytes of a body wait in the buffers of the system, where nobody sees them move. They get twice the
    /// time that all before them took.
    fn deadline(&self) -> Instant {
        let moved = Duration::from_millis(self.moved_ms.load(Ordering::Relaxed));
        let buffered = if self.is_out.load(Ordering::Relaxed) { 2 * moved } else { Duration::ZERO };
        self.began + moved + buffered + self.silence
    }

    /// The body of a request, which leaves in chunks. One that leaves in a single chunk is as it was.
    pub(super) fn outgoing(&self, body: SdkBody) -> SdkBody {
        if body.content_length().is_some_and(|length| length <= CHUNK_BYTES as u64) {
            return body;
        }
        SdkBody::from_body_1_x(Outgoing { body: Box::pin(body), rest: Bytes::new(), pulse: self.clone() })
    }

    /// The body of an answer, which fails once nothing comes for too long.
    pub(super) fn incoming(&self, body: SdkBody) -> SdkBody {
        if body.content_length() == Some(0) {
            return body;
        }
        SdkBody::from_body_1_x(Incoming { body: Box::pin(body), silence: self.silence, timer: None })
    }

    /// The answer, or an error of the kind that the SDK tries again on a new connection.
    pub(super) async fn or_silence(&self, mut answer: HttpConnectorFuture) -> Result<HttpResponse, ConnectorError> {
        loop {
            let deadline = self.deadline();
            tokio::select! {
                biased;
                answer = &mut answer => return answer,
                () = tokio::time::sleep_until(deadline) => {
                    if self.deadline() <= Instant::now() {
                        return Err(ConnectorError::timeout(Silent(self.silence).into()));
                    }
                }
            }
        }
    }
}

/// A body that leaves in chunks, each of which is a movement.
struct Outgoing {
    body: Pin<Box<SdkBody>>,
    /// What is left of a larger piece.
    rest: Bytes,
    pulse: Pulse,
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if self.rest.is_empty() {
            match std::task::ready!(Body::poll_frame(self.body.as_mut(), context)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.rest = data,
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
                end => return Poll::Ready(end),
            }
        }
        self.pulse.moved();
        let length = self.rest.len().min(CHUNK_BYTES);
        let chunk = self.rest.split_to(length);
        self.pulse.is_out.store(self.is_end_stream(), Ordering::Relaxed);
        Poll::Ready(Some(Ok(Frame::data(chunk))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        match self.body.size_hint().exact() {
            Some(left) => SizeHint::with_exact(left + self.rest.len() as u64),
            None => SizeHint::default(),
        }
    }
}

/// A body that must not stop coming.
struct Incoming {
    body: Pin<Box<SdkBody>>,
    silence: Duration,
    /// Set while nothing comes.
    timer: Option<Pin<Box<Sleep>>>,
}

impl Body for Incoming {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Poll::Ready(frame) = Body::poll_frame(self.body.as_mut(), context) {
            self.timer = None;
            return Poll::Ready(frame);
        }
        let silence = self.silence;
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(silence)));
        std::task::ready!(timer.as_mut().poll(context));
        Poll::Ready(Some(Err(Silent(silence).into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
