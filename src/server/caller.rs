//! `sts:GetCallerIdentity`, the one call of another service that every AWS tool begins with.
//!
//! Source: <https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html>

use super::authorize::Pass;
use crate::model::xml::tag;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Uri, header};
use http_body_util::{BodyExt as _, Limited};
use s3s::{Body, S3Request, S3Response, S3Result, s3_error};

/// The longest form that is read; the call has no parameters beside its name and version.
const MAX_FORM_BYTES: usize = 4096;

/// True for a request of the Query protocol, which S3 itself never sends to `/`.
pub(super) fn is_query(method: &Method, uri: &Uri, headers: &HeaderMap) -> bool {
    let form = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    *method == Method::POST
        && uri.path() == "/"
        && form.is_some_and(|value| value.starts_with("application/x-www-form-urlencoded"))
}

/// Answers who the caller is, which nobody needs a right for.
pub(super) async fn answer(pass: &Pass, request: S3Request<Body>) -> S3Result<S3Response<Body>> {
    let form = Limited::new(request.input, MAX_FORM_BYTES).collect().await;
    let form = form.map_err(|_| s3_error!(InvalidRequest, "The request's form cannot be read"))?.to_bytes();
    if !form.split(|byte| *byte == b'&').any(|pair| pair == b"Action=GetCallerIdentity") {
        return Err(s3_error!(NotImplemented, "Of STS only GetCallerIdentity is implemented"));
    }
    let user_id =
        pass.context.value("aws:userid").and_then(|value| value.as_slice().first()).map_or("", String::as_str);
    let (arn, account) = (tag("Arn", &pass.caller_arn()), tag("Account", pass.door.account.as_str()));
    let result = format!("{arn}{}{account}", tag("UserId", user_id));
    let document = format!(
        "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult>{result}\
         </GetCallerIdentityResult></GetCallerIdentityResponse>"
    );
    let mut response = S3Response::new(Body::from(Bytes::from(document)));
    response.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/xml"));
    Ok(response)
}
