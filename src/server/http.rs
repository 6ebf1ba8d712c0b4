//! The endpoint on a socket, and what every answer gets on its way out.

use super::ServerError;
use super::auth::Peer;
use super::envelope::checked;
use super::unread::returning;
use crate::model::xml::tag;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};
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
    let resource = request.uri().path().to_owned();
    let response = match checked(request).await {
        Ok(request) => service.call(request).await.map_err(|error| tracing::warn!(?error, "no answer")),
        Err(refusal) => refusal.to_http_response().map_err(|error| tracing::warn!(?error, "no answer")),
    };
    let mut response = response.unwrap_or_else(|()| {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        response
    });
    if is_head || response.status() == StatusCode::NOT_MODIFIED {
        // Their errors have no body; a client that parsed one would see another error than S3's.
        *response.body_mut() = Body::empty();
    }
    let id = format!("{:016X}", super::blobs::random().unwrap_or_default());
    if response.status().is_client_error() || response.status().is_server_error() {
        response = explained(response, &resource, &id).await;
    }
    if let Ok(id) = HeaderValue::from_str(&id) {
        response.headers_mut().insert("x-amz-request-id", id);
    }
    response.headers_mut().insert(header::SERVER, HeaderValue::from_static("bucketwright"));
    response
}

/// Adds to an error document what S3's have: the resource, the request's id, and a message where `s3s` gives none.
async fn explained(response: Response<Body>, resource: &str, id: &str) -> Response<Body> {
    let (mut parts, body) = response.into_parts();
    let document = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let text = String::from_utf8_lossy(&document);
    let Some((start, _)) = text.split_once("</Error>") else {
        return Response::from_parts(parts, Body::from(document));
    };
    let code = start.split_once("<Code>").and_then(|(_, rest)| rest.split_once("</Code>")).map_or("", |(code, _)| code);
    let message = match code {
        _ if start.contains("<Message>") => String::new(),
        "InvalidBucketName" => tag("Message", "The specified bucket is not valid."),
        "KeyTooLongError" => tag("Message", "Your key is too long"),
        "SignatureDoesNotMatch" => tag(
            "Message",
            "The request signature we calculated does not match the signature you provided. Check your key and signing method.",
        ),
        other => tag("Message", other),
    };
    let added = [message, tag("Resource", resource), tag("RequestId", id)].concat();
    parts.headers.remove(http::header::CONTENT_LENGTH);
    Response::from_parts(parts, Body::from(format!("{start}{added}</Error>")))
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
                Ok((stream, from)) => {
                    connections.spawn(connection(service.clone(), stream, Peer(from.ip()), ends.clone()));
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

async fn connection(service: S3Service, stream: TcpStream, peer: Peer, mut ends: watch::Receiver<bool>) {
    // Small answers must not wait for the acknowledgement of the one before.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "connection without TCP_NODELAY");
    }
    let handler = service_fn(|request: Request<Incoming>| {
        let service = &service;
        async move {
            let waits = request.headers().contains_key(header::EXPECT);
            let is_empty = request.body().is_end_stream();
            let (mut parts, body) = request.into_parts();
            parts.extensions.insert(peer);
            let (body, unread) = returning(body);
            let body = Body::http_body_unsync(body.map_err(Into::<s3s::StdError>::into));
            let mut response = answer(service, Request::from_parts(parts, body)).await;
            if !waits {
                unread.drain().await;
            }
            if waits && (is_empty || !response.status().is_success()) {
                // Who waits for `100 Continue` may get this answer instead, and must not use the connection again:
                // botocore would take the status of this answer for that of its next request.
                response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            Ok::<_, Infallible>(response)
        }
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
