//! Checks that `s3s` leaves out: what a request claims of the document in its body, and signatures of the old kind.
//!
//! `s3s` hands documents over parsed, so their digests have to be checked before. Bodies of objects pass untouched; they are
//! checked while they stream.

use super::checksums::{Claims, Digests};
use super::ingest::sha256_mismatch;
use crate::hashing::digest;
use crate::model::Algorithm;
use bytes::Bytes;
use http::{HeaderMap, Method, Request};
use http_body_util::{BodyExt as _, Limited};
use s3s::{Body, S3Result, s3_error};

/// The longest document that is checked; a thousand keys to delete stay below.
const MAX_DOCUMENT_BYTES: u64 = 8 << 20;

/// The queries of requests whose body is a document.
const DOCUMENTS: [&str; 9] = [
    "delete",
    "lifecycle",
    "logging",
    "ownershipControls",
    "policy",
    "publicAccessBlock",
    "tagging",
    "uploadId",
    "versioning",
];

/// Refuses a request whose document is not what its headers claim, or whose signature is of a kind that S3 has given up.
pub(super) async fn checked(request: Request<Body>) -> S3Result<Request<Body>> {
    refuse_old_signatures(&request)?;
    let Some(name) = document(&request) else { return Ok(request) };
    let (parts, body) = request.into_parts();
    let limit = usize::try_from(MAX_DOCUMENT_BYTES).unwrap_or(usize::MAX);
    let collected = Limited::new(body, limit).collect().await;
    let bytes = collected.map_err(|_| s3_error!(IncompleteBody, "The request body could not be read"))?.to_bytes();
    check(&parts.headers, &bytes, name)?;
    Ok(Request::from_parts(parts, Body::from(bytes)))
}

fn queries(request: &Request<Body>) -> impl Iterator<Item = &str> {
    let query = request.uri().query().unwrap_or_default();
    query.split('&').map(|pair| pair.split_once('=').map_or(pair, |(name, _)| name))
}

/// A header signed by version 2 knows no limit in time. Its presigned URLs do, and common clients still make them.
fn refuse_old_signatures(request: &Request<Body>) -> S3Result<()> {
    let header = request.headers().get(http::header::AUTHORIZATION);
    if header.is_some_and(|value| value.as_bytes().starts_with(b"AWS ")) {
        return Err(s3_error!(
            InvalidRequest,
            "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256."
        ));
    }
    Ok(())
}

/// Which document the body is, if it is one that can be checked here.
fn document(request: &Request<Body>) -> Option<&'static str> {
    let text = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
    // What is not even signed is refused as such.
    text("authorization")?;
    if !matches!(*request.method(), Method::PUT | Method::POST) || queries(request).any(|name| name == "partNumber") {
        return None;
    }
    let length: u64 = text("content-length")?.parse().ok()?;
    // A streamed payload brings its checks along.
    if length > MAX_DOCUMENT_BYTES || text("x-amz-content-sha256").is_some_and(|text| text.starts_with("STREAMING")) {
        return None;
    }
    queries(request).find_map(|name| DOCUMENTS.into_iter().find(|known| *known == name))
}

fn check(headers: &HeaderMap, bytes: &Bytes, name: &str) -> S3Result<()> {
    let payload = headers.get("x-amz-content-sha256").and_then(|value| value.to_str().ok());
    let is_hex = |text: &&str| text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if payload.filter(is_hex).is_some_and(|text| !text.eq_ignore_ascii_case(&digest(Algorithm::Sha256, bytes).hex())) {
        return Err(sha256_mismatch());
    }
    let claims = if name == "uploadId" {
        // The checksums of a completion are those of the object.
        Claims::md5_only(headers)?
    } else {
        Claims::read(headers)?
    };
    if name == "delete" && !claims.says_anything() {
        return Err(s3_error!(
            InvalidRequest,
            "Missing required header for this request: Content-MD5 OR x-amz-checksum-*"
        ));
    }
    let mut digests = Digests::new(&claims.algorithm().into_iter().collect::<Vec<_>>());
    digests.update(bytes);
    claims.verify(&digests.finish(), None)
}
