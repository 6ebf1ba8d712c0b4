//! CreateBucket and bucket encryption, whose documents hold more than `s3s` 0.14 knows: tags, and blocked encryption types.
//!
//! `s3s` refuses a document with an element it does not know. These requests therefore take its custom route: signatures are
//! checked as for all others, the XML is ours.

use super::auth::{Arrival, Doorkeeper};
use super::authorize::{Asked, Pass, bare_denial};
use super::buckets::NewBucket;
use super::caller;
use super::checksums::{Claims, Digests};
use super::fault::Outcome;
use super::ingest::body_error;
use super::service::Service;
use super::settings::{Kind, check_ownership, checked_tags, malformed_xml};
use super::versions::bucket_record;
use crate::model::xml::{Element, tag};
use crate::model::{BucketName, Region};
use crate::policy::Caller;
use bytes::Bytes;
use http::{Extensions, HeaderMap, HeaderValue, Method, Uri};
use http_body_util::BodyExt as _;
use redb::ReadableTable;
use s3s::route::S3Route;
use s3s::{Body, S3Request, S3Response, S3Result, s3_error};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

const NAMESPACE: &str = "http://s3.amazonaws.com/doc/2006-03-01/";
const MAX_DOCUMENT_BYTES: usize = 1 << 20;
/// The most tags of a bucket.
const MAX_BUCKET_TAGS: usize = 50;

/// The default encryption of a bucket.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct BucketEncryption {
    /// `AES256`, `aws:kms` or `aws:kms:dsse`.
    pub(super) algorithm: String,
    pub(super) kms_key: Option<String>,
    pub(super) bucket_key: Option<bool>,
    /// `SSE-C` or `NONE`, as sent; none if never sent.
    pub(super) blocked: Option<Vec<String>>,
}

/// The custom route.
pub(super) struct Documents {
    pub(super) service: Service,
    pub(super) doorkeeper: Doorkeeper,
}

/// A request that this route answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Errand {
    CreateBucket,
    PutEncryption,
    GetEncryption,
}

impl Errand {
    /// The API name.
    const fn operation(self) -> &'static str {
        match self {
            Self::CreateBucket => "CreateBucket",
            Self::PutEncryption => "PutBucketEncryption",
            Self::GetEncryption => "GetBucketEncryption",
        }
    }
}

/// The errand of a request on a bucket, told by its query. SDKs add `x-id=Operation` to some.
fn errand(method: &Method, uri: &Uri) -> Option<Errand> {
    let bucket = uri.path().strip_prefix('/')?;
    let bucket = bucket.strip_suffix('/').unwrap_or(bucket);
    if bucket.is_empty() || bucket.contains('/') {
        return None;
    }
    let names = uri.query().unwrap_or_default().split('&').map(|pair| pair.split('=').next().unwrap_or_default());
    let mut asked = names.filter(|name| !name.is_empty() && *name != "x-id" && !name.starts_with("X-Amz-"));
    match (method.as_str(), asked.next(), asked.next()) {
        ("PUT", None, None) => Some(Errand::CreateBucket),
        ("PUT", Some("encryption"), None) => Some(Errand::PutEncryption),
        ("GET", Some("encryption"), None) => Some(Errand::GetEncryption),
        _ => None,
    }
}

#[async_trait::async_trait]
impl S3Route for Documents {
    fn is_match(&self, method: &Method, uri: &Uri, headers: &HeaderMap, _: &mut Extensions) -> bool {
        caller::is_query(method, uri, headers) || errand(method, uri).is_some()
    }

    async fn check_access(&self, request: &mut S3Request<Body>) -> S3Result<()> {
        let S3Request { credentials, headers, uri, extensions, .. } = &*request;
        let mut pass =
            self.doorkeeper.identify(&Arrival { credentials: credentials.as_ref(), headers, uri, extensions })?;
        if caller::is_query(&request.method, uri, headers) {
            if pass.caller == Caller::Anonymous {
                return Err(bare_denial());
            }
        } else {
            let operation = errand(&request.method, uri).map_or("", Errand::operation);
            let bucket = uri.path().trim_matches('/');
            pass.admit(&Asked { operation, bucket, key: "", uri, headers })?;
        }
        request.extensions.insert(Arc::new(pass));
        Ok(())
    }

    async fn call(&self, request: S3Request<Body>) -> S3Result<S3Response<Body>> {
        if caller::is_query(&request.method, &request.uri, &request.headers) {
            let pass = request.extensions.get::<Arc<Pass>>().cloned().ok_or_else(bare_denial)?;
            return caller::answer(&pass, request).await;
        }
        let Some(errand) = errand(&request.method, &request.uri) else {
            return Err(s3_error!(NotImplemented, "Unknown operation"));
        };
        let invalid = || s3_error!(InvalidBucketName, "The specified bucket is not valid.");
        let bucket: BucketName = request.uri.path().trim_matches('/').parse().map_err(|_| invalid())?;
        match errand {
            Errand::CreateBucket => self.create_bucket(bucket, request).await,
            Errand::PutEncryption => self.put_encryption(bucket, request).await,
            Errand::GetEncryption => self.get_encryption(&bucket),
        }
    }
}

impl Documents {
    async fn create_bucket(&self, name: BucketName, request: S3Request<Body>) -> S3Result<S3Response<Body>> {
        let header = |name: &str| request.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        if header("x-amz-bucket-object-lock-enabled").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
            return Err(s3_error!(NotImplemented, "Object Lock is not implemented"));
        }
        let ownership = header("x-amz-object-ownership");
        ownership.as_deref().map_or(Ok(()), check_ownership)?;
        let document = document(request).await?;
        let wanted =
            if document.is_empty() { Element::default() } else { parse(&document, "CreateBucketConfiguration")? };
        if !wanted.only_has(&["LocationConstraint", "Tags", "Location", "Bucket"]) {
            return Err(malformed_xml());
        }
        let region = self.region_of(wanted.text_of("LocationConstraint"))?;
        let tags = wanted.child("Tags").map(read_tags).unwrap_or_default();
        let tags = checked_tags(tags, MAX_BUCKET_TAGS)?;
        let location = HeaderValue::from_str(&format!("/{name}")).map_err(|_| malformed_xml())?;
        self.service.make_bucket(NewBucket { name, region, tags, ownership }).await?;
        let mut response = S3Response::new(Body::empty());
        response.headers.insert(http::header::LOCATION, location);
        Ok(response)
    }

    /// The Region that a location constraint means at this endpoint. AWS's endpoint of a Region makes buckets there and nowhere
    /// else; a constraint may name only it, and in us-east-1 there must be none.
    fn region_of(&self, constraint: Option<&str>) -> S3Result<Region> {
        let home = &self.service.region;
        let given = constraint.filter(|text| !text.is_empty());
        let Some(text) = given else {
            if *home == Region::us_east_1() {
                return Ok(home.clone());
            }
            return Err(s3_error!(
                IllegalLocationConstraintException,
                "The unspecified location constraint is incompatible for the region specific endpoint this request was sent to."
            ));
        };
        let invalid = || s3_error!(InvalidLocationConstraint, "The specified location-constraint is not valid");
        let region = Region::from_location_constraint(Some(text)).map_err(|_| invalid())?;
        if text == Region::us_east_1().as_str() || !looks_like_a_region(region.as_str()) {
            return Err(invalid());
        }
        if region != *home && *home != Region::us_east_1() {
            return Err(s3_error!(
                IllegalLocationConstraintException,
                "The {text} location constraint is incompatible for the region specific endpoint this request was sent to."
            ));
        }
        Ok(region)
    }

    async fn put_encryption(&self, bucket: BucketName, request: S3Request<Body>) -> S3Result<S3Response<Body>> {
        let document = document(request).await?;
        let root = parse(&document, "ServerSideEncryptionConfiguration")?;
        let encryption = read_encryption(&root)?;
        self.service.put_setting(Kind::Encryption, bucket.to_string(), encryption).await?;
        Ok(S3Response::new(Body::empty()))
    }

    fn get_encryption(&self, bucket: &BucketName) -> S3Result<S3Response<Body>> {
        let encryption = self.service.look(|snapshot| {
            bucket_record(&snapshot.buckets()?, bucket.as_str())?;
            bucket_encryption(&snapshot.settings()?, bucket.as_str())
        })?;
        let mut response = S3Response::new(Body::from(write_encryption(&encryption)));
        response.headers.insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/xml"));
        Ok(response)
    }
}

/// The encryption that a bucket gives new objects: what was set, else SSE-S3 as every bucket has.
pub(super) fn bucket_encryption(
    settings: &impl ReadableTable<(&'static str, &'static str), &'static [u8]>,
    bucket: &str,
) -> Outcome<BucketEncryption> {
    let standard = || BucketEncryption {
        algorithm: "AES256".to_owned(),
        kms_key: None,
        bucket_key: Some(false),
        blocked: Some(vec!["SSE-C".to_owned()]),
    };
    Ok(Kind::Encryption.read(settings, bucket)?.unwrap_or_else(standard))
}

/// `eu-west-1`: letters, a hyphen, letters, a hyphen, a number. The list of Regions grows, so the form has to do.
fn looks_like_a_region(code: &str) -> bool {
    let parts: Vec<&str> = code.split('-').collect();
    let letters = |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase());
    match parts.as_slice() {
        [words @ .., number] => {
            (2..=3).contains(&words.len()) && words.iter().all(letters) && number.parse::<u8>().is_ok()
        }
        [] => false,
    }
}

/// Reads a request's document and checks what the headers claim of it.
async fn document(request: S3Request<Body>) -> S3Result<Bytes> {
    let claims = Claims::read(&request.headers)?;
    let mut body = request.input;
    let mut document = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| body_error(&error))?;
        if let Some(data) = frame.data_ref() {
            document.extend_from_slice(data);
        }
        if document.len() > MAX_DOCUMENT_BYTES {
            return Err(s3_error!(MaxMessageLengthExceeded, "Your request was too big."));
        }
    }
    let mut digests = Digests::new(&claims.algorithm().into_iter().collect::<Vec<_>>());
    digests.update(&document);
    let trailers = request.trailing_headers.and_then(|trailers| trailers.take());
    claims.verify(&digests.finish(), trailers.as_ref())?;
    Ok(document.into())
}

fn parse(document: &[u8], name: &str) -> S3Result<Element> {
    Element::parse(document).filter(|root| root.name == name).ok_or_else(malformed_xml)
}

fn read_tags(tags: &Element) -> Vec<(String, String)> {
    // A tag's spaces belong to it.
    let text = |tag: &Element, name: &str| tag.child(name).map(|child| child.text.clone()).unwrap_or_default();
    tags.all("Tag").map(|tag| (text(tag, "Key"), text(tag, "Value"))).collect()
}

fn read_encryption(root: &Element) -> S3Result<BucketEncryption> {
    let mut rules = root.all("Rule");
    let (Some(rule), None) = (rules.next(), rules.next()) else { return Err(malformed_xml()) };
    if !rule.only_has(&["ApplyServerSideEncryptionByDefault", "BucketKeyEnabled", "BlockedEncryptionTypes"]) {
        return Err(malformed_xml());
    }
    let default = rule.child("ApplyServerSideEncryptionByDefault");
    let algorithm = default.and_then(|default| default.text_of("SSEAlgorithm")).unwrap_or("AES256").to_owned();
    let kms_key = default.and_then(|default| default.text_of("KMSMasterKeyID")).map(str::to_owned);
    let takes_key = matches!(algorithm.as_str(), "aws:kms" | "aws:kms:dsse");
    if !takes_key && (algorithm != "AES256" || kms_key.is_some()) {
        return Err(malformed_xml());
    }
    let bucket_key = match rule.text_of("BucketKeyEnabled") {
        None => None,
        Some("true") => Some(true),
        Some("false") => Some(false),
        Some(_) => return Err(malformed_xml()),
    };
    let types = rule.child("BlockedEncryptionTypes");
    let blocked = types.map(|types| types.all("EncryptionType").map(|one| one.text.trim().to_owned()).collect());
    let known = |types: &Vec<String>| types.iter().all(|one| matches!(one.as_str(), "SSE-C" | "NONE"));
    if blocked.as_ref().is_some_and(|types| !known(types)) {
        return Err(malformed_xml());
    }
    Ok(BucketEncryption { algorithm, kms_key, bucket_key, blocked })
}

fn write_encryption(encryption: &BucketEncryption) -> String {
    let key = encryption.kms_key.as_deref().map(|key| tag("KMSMasterKeyID", key)).unwrap_or_default();
    let bucket_key = encryption.bucket_key.unwrap_or(false);
    let types = encryption.blocked.as_ref().map(|types| {
        let types: String = types.iter().map(|one| tag("EncryptionType", one)).collect();
        format!("<BlockedEncryptionTypes>{types}</BlockedEncryptionTypes>")
    });
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <ServerSideEncryptionConfiguration xmlns=\"{NAMESPACE}\"><Rule><ApplyServerSideEncryptionByDefault>{}{key}\
         </ApplyServerSideEncryptionByDefault><BucketKeyEnabled>{bucket_key}</BucketKeyEnabled>{}</Rule>\
         </ServerSideEncryptionConfiguration>",
        tag("SSEAlgorithm", &encryption.algorithm),
        types.unwrap_or_default(),
    )
}

#[cfg(test)]
mod tests {
    use super::{Errand, errand, looks_like_a_region, read_encryption, write_encryption};
    use crate::model::xml::Element;
    use http::Method;

    #[test]
    fn only_these_requests_take_the_route() {
        let check = |method: Method, uri: &str, expected: Option<Errand>| {
            assert_eq!(errand(&method, &uri.parse().unwrap()), expected, "{method} {uri}");
        };
        check(Method::PUT, "/bucket", Some(Errand::CreateBucket));
        check(Method::PUT, "/bucket/?x-id=CreateBucket", Some(Errand::CreateBucket));
        check(Method::PUT, "/bucket?encryption", Some(Errand::PutEncryption));
        check(Method::GET, "/bucket?encryption=", Some(Errand::GetEncryption));
        check(Method::PUT, "/bucket?versioning", None);
        check(Method::PUT, "/bucket/key", None);
        check(Method::PUT, "/", None);
        check(Method::GET, "/bucket", None);
    }

    #[test]
    fn encryption_comes_back_as_it_was_written() {
        let rule = "<ApplyServerSideEncryptionByDefault><SSEAlgorithm>aws:kms</SSEAlgorithm><KMSMasterKeyID>arn:k\
                    </KMSMasterKeyID></ApplyServerSideEncryptionByDefault><BucketKeyEnabled>true</BucketKeyEnabled>\
                    <BlockedEncryptionTypes><EncryptionType>SSE-C</EncryptionType></BlockedEncryptionTypes>";
        let document = format!("<S><Rule>{rule}</Rule></S>");
        let read = read_encryption(&Element::parse(document.as_bytes()).unwrap()).unwrap();
        let written = write_encryption(&read);
        assert_eq!(read_encryption(&Element::parse(written.as_bytes()).unwrap()).unwrap(), read);
        assert!(written.contains(rule), "{written}");
    }

    #[test]
    fn regions_have_a_form() {
        for (code, right) in
            [("eu-west-1", true), ("us-gov-east-1", true), ("mars", false), ("mars-north", false), ("a--1", false)]
        {
            assert_eq!(looks_like_a_region(code), right, "{code}");
        }
    }
}
