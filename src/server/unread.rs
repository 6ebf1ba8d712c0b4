//! Request bodies that are answered before they were read.
//!
//! An endpoint that answers early and closes makes the system reset the connection, and the client then loses the answer
//! while it is still sending. So the rest is read first, within bounds.

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::oneshot;

/// The most that is read in vain, in bytes.
const MAX_DRAINED_BYTES: usize = 64 << 20;
/// How long reading in vain may take.
const MAX_DRAIN: Duration = Duration::from_secs(10);

/// A body that comes back when it is dropped before its end.
#[derive(Debug)]
pub(super) struct Returning {
    body: Option<Incoming>,
    back: Option<oneshot::Sender<Incoming>>,
}

/// The other end: what was not read.
#[derive(Debug)]
pub(super) struct Unread(oneshot::Receiver<Incoming>);

/// A body, and where it comes back.
pub(super) fn returning(body: Incoming) -> (Returning, Unread) {
    let (back, unread) = oneshot::channel();
    (Returning { body: Some(body), back: Some(back) }, Unread(unread))
}

impl Drop for Returning {
    fn drop(&mut self) {
        if let (Some(body), Some(back)) = (self.body.take(), self.back.take())
            && !body.is_end_stream()
        {
            // Nobody waits for it if the connection is gone.
            let _ = back.send(body);
        }
    }
}

impl Unread {
    /// Reads what is left, within bounds. To be called when the answer is known.
    pub(super) async fn drain(mut self) {
        let Ok(mut body) = self.0.try_recv() else { return };
        let read = async {
            let mut drained = 0;
            while let Some(Ok(frame)) = body.frame().await {
                drained += frame.data_ref().map_or(0, Bytes::len);
                if drained > MAX_DRAINED_BYTES {
                    return;
                }
            }
        };
        // A client that stops sending has to live with the reset.
        let _ = tokio::time::timeout(MAX_DRAIN, read).await;
    }
}

impl Body for Returning {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match self.body.as_mut() {
            Some(body) => Pin::new(body).poll_frame(context),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}
