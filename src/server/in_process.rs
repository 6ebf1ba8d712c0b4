//! The SDK's way to the endpoint without a socket: a connector that hands requests to the service in the same process.
//!
//! Bodies stream both ways. What an HTTP client adds on the wire (`Host`, `Content-Length`) is added here.

use super::http::answer;
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpClient, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use http::HeaderValue;
use http::header::{CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http_body_util::BodyExt as _;
use s3s::Body;
use s3s::service::S3Service;
use std::fmt;

/// Hands requests to a service.
#[derive(Clone)]
struct InProcess(S3Service);

impl fmt::Debug for InProcess {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("InProcess")
    }
}

/// An SDK client's HTTP layer that calls `service`.
pub(super) fn client(service: S3Service) -> SharedHttpClient {
    let connector = SharedHttpConnector::new(InProcess(service));
    http_client_fn(move |_, _| connector.clone())
}

impl HttpConnector for InProcess {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let service = self.0.clone();
        HttpConnectorFuture::new(async move {
            let request = outgoing(request).map_err(|error| ConnectorError::user(error.into()))?;
            let response = answer(&service, request).await;
            HttpResponse::try_from(response.map(SdkBody::from_body_1_x))
                .map_err(|error| ConnectorError::other(error.into(), None))
        })
    }
}

fn outgoing(request: HttpRequest) -> Result<http::Request<Body>, aws_smithy_runtime_api::http::HttpError> {
    let mut request = request.try_into_http1x()?;
    if !request.headers().contains_key(HOST)
        && let Some(authority) = request.uri().authority()
        && let Ok(host) = HeaderValue::from_str(authority.as_str())
    {
        request.headers_mut().insert(HOST, host);
    }
    let length = request.body().content_length();
    let stated = request.headers().contains_key(CONTENT_LENGTH) || request.headers().contains_key(TRANSFER_ENCODING);
    if let Some(length) = length.filter(|length| *length > 0 && !stated) {
        request.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    Ok(request.map(|body| Body::http_body_unsync(body.map_err(Into::<s3s::StdError>::into))))
}
