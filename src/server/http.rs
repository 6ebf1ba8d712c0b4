//! The endpoint on a socket, and what every answer gets on its way out.

use super::ServerError;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use s3s::Body;
use s3s::service::S3Service;
use std::convert::Infallible;
use std::future::Future;
use std::pin::pin;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// How long requests that are under way may go on after the end was asked for.
const GRACE: Duration = Duration::from_secs(5);
/// How long to wait after the system refused a connection, which it does when file descriptors run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Answers one request.
pub(super) async fn answer(service: &S3Service, request: Request<Body>) -> Response<Body> {
    let is_head = request.method() == Method::HEAD;
    let mut response = service.call(request).await.unwrap_or_else(|error| {
        tracing::warn!(?error, "a request could not be answered");
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        response
    });
    if is_head {
        // Errors of HEAD have no body; a client that parsed one would see another error than S3's.
        *response.body_mut() = Body::empty();
    }
    let id = super::blobs::random().unwrap_or_default();
    if let Ok(id) = HeaderValue::from_str(&format!("{id:016X}")) {
        response.headers_mut().insert("x-amz-request-id", id);
    }
    response.headers_mut().insert(http::header::SERVER, HeaderValue::from_static("bucketwright"));
    response
}

/// Serves connections until `shutdown` is ready, then lets those under way finish.
pub(super) async fn serve(
    service: S3Service,
    listener: TcpListener,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), ServerError> {
    let (ending, ends) = watch::channel(false);
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(connection(service.clone(), stream, ends.clone()));
                }
                Err(error) => {
                    tracing::warn!(%error, "connection not accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
    drop(listener);
    // Nobody may be connected any more.
    let _ = ending.send(true);
    let all = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(GRACE, all).await.is_err() {
        connections.shutdown().await;
    }
    Ok(())
}

async fn connection(service: S3Service, stream: TcpStream, mut ends: watch::Receiver<bool>) {
    // Small answers must not wait for the acknowledgement of the one before.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "connection without TCP_NODELAY");
    }
    let handler = service_fn(|request: Request<Incoming>| {
        let service = &service;
        async move { Ok::<_, Infallible>(answer(service, request.map(Body::from)).await) }
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new());
    let mut serving = pin!(builder.serve_connection(TokioIo::new(stream), handler));
    let ended = tokio::select! {
        ended = &mut serving => ended,
        // The channel speaks once, when the end is asked for, or closes.
        _ = ends.changed() => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "connection ended");
    }
}
