//! What a request claims about its body, and whether the body keeps it.
//!
//! A claim comes as Content-MD5, as an `x-amz-checksum-*` header, or as a trailer after the body. All of them are checked before
//! anything is visible or stored.
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html>

use super::fault::refusal;
use super::record::StoredChecksum;
use crate::hashing::Hasher;
use crate::model::{Algorithm, Checksum};
use http::{HeaderMap, HeaderName, HeaderValue};
use s3s::{S3Error, S3Result, s3_error};

/// The algorithms that objects keep, with the ends of their header names. MD5 is only ever claimed.
const KEPT: [(Algorithm, &str); 5] = [
    (Algorithm::Crc64Nvme, "crc64nvme"),
    (Algorithm::Crc32, "crc32"),
    (Algorithm::Crc32c, "crc32c"),
    (Algorithm::Sha1, "sha1"),
    (Algorithm::Sha256, "sha256"),
];

const HEADER: &str = "x-amz-checksum-";

/// What a request says of its body.
#[derive(Debug, Clone, Default)]
pub(super) struct Claims {
    md5: Option<Checksum>,
    value: Option<Checksum>,
    trailer: Option<Algorithm>,
}

/// Running digests of one body.
#[derive(Debug)]
pub(super) struct Digests(Vec<Hasher>);

/// The digests of a whole body.
#[derive(Debug, Clone)]
pub(super) struct Digested(Vec<Checksum>);

impl Digests {
    /// Digests for the ETag and for each algorithm of `also`.
    pub(super) fn new(also: &[Algorithm]) -> Self {
        let mut algorithms = vec![Algorithm::Md5];
        algorithms.extend(also);
        algorithms.dedup();
        algorithms.sort_unstable();
        algorithms.dedup();
        Self(algorithms.into_iter().map(Hasher::new).collect())
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.0.iter_mut().for_each(|hasher| hasher.update(bytes));
    }

    pub(super) fn finish(self) -> Digested {
        Digested(self.0.into_iter().map(Hasher::finish).collect())
    }
}

impl Digested {
    /// The digest of one algorithm, which was asked for when the digests began.
    #[expect(clippy::expect_used, reason = "whoever asks for a digest had it computed")]
    pub(super) fn of(&self, algorithm: Algorithm) -> &Checksum {
        self.0.iter().find(|checksum| checksum.algorithm() == algorithm).expect("digest was computed")
    }
}

impl Claims {
    /// Reads what the headers claim, and refuses claims that contradict each other or name what S3 does not know.
    pub(super) fn read(headers: &HeaderMap) -> S3Result<Self> {
        let md5 = text(headers, "content-md5").map(|text| {
            Checksum::from_base64(Algorithm::Md5, text)
                .map_err(|_| s3_error!(InvalidDigest, "The Content-MD5 you specified was invalid."))
        });
        let mut claims = Self { md5: md5.transpose()?, value: None, trailer: trailer(headers)? };
        for name in headers.keys() {
            let Some(end) = name.as_str().strip_prefix(HEADER) else { continue };
            if matches!(end, "algorithm" | "type" | "mode") {
                continue;
            }
            let algorithm = algorithm_of(end)?;
            let claimed = text(headers, name.as_str()).unwrap_or_default();
            let value = Checksum::from_base64(algorithm, claimed)
                .map_err(|_| s3_error!(InvalidRequest, "Value for {name} header is invalid."))?;
            if claims.value.replace(value).is_some() {
                return Err(s3_error!(
                    InvalidRequest,
                    "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed."
                ));
            }
        }
        claims.check_named(headers)?;
        Ok(claims)
    }

    /// `x-amz-sdk-checksum-algorithm` is a promise that a value follows, in a header or a trailer.
    fn check_named(&self, headers: &HeaderMap) -> S3Result<()> {
        let Some(named) = text(headers, "x-amz-sdk-checksum-algorithm") else { return Ok(()) };
        if named.eq_ignore_ascii_case("md5") {
            return Ok(());
        }
        let named = algorithm_of(&named.to_ascii_lowercase())?;
        let claimed = self.value.as_ref().map(Checksum::algorithm).or(self.trailer);
        match claimed {
            Some(claimed) if claimed == named => Ok(()),
            Some(_) => Err(s3_error!(InvalidRequest, "Value for x-amz-sdk-checksum-algorithm header is invalid.")),
            None => Err(s3_error!(
                InvalidRequest,
                "x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or x-amz-trailer headers \
                 were found."
            )),
        }
    }

    /// The algorithm of the claimed checksum; none if only Content-MD5 or nothing was claimed.
    pub(super) fn algorithm(&self) -> Option<Algorithm> {
        self.value.as_ref().map(Checksum::algorithm).or(self.trailer)
    }

    /// The algorithm whose value the object keeps: the claimed one, or CRC64NVME as S3 does since 2024.
    pub(super) fn kept(&self) -> Algorithm {
        self.algorithm().unwrap_or(Algorithm::Crc64Nvme)
    }

    /// Compares every claim with the body's digests. `trailers` are the headers that came after the body.
    pub(super) fn verify(&self, found: &Digested, trailers: Option<&HeaderMap>) -> S3Result<()> {
        if self.md5.as_ref().is_some_and(|md5| md5 != found.of(Algorithm::Md5)) {
            return Err(s3_error!(BadDigest, "The Content-MD5 you specified did not match what we received."));
        }
        if let Some(value) = &self.value {
            compare(value, found)?;
        }
        if let Some(algorithm) = self.trailer {
            let name = header(algorithm);
            let claimed = trailers.and_then(|trailers| text(trailers, name.as_str())).ok_or_else(malformed_trailer)?;
            let value = Checksum::from_base64(algorithm, claimed)
                .map_err(|_| s3_error!(InvalidRequest, "Value for {name} trailing header is invalid."))?;
            compare(&value, found)?;
        }
        Ok(())
    }
}

fn compare(claimed: &Checksum, found: &Digested) -> S3Result<()> {
    let algorithm = claimed.algorithm();
    if claimed == found.of(algorithm) {
        return Ok(());
    }
    Err(s3_error!(BadDigest, "The {algorithm} you specified did not match the calculated checksum."))
}

fn malformed_trailer() -> S3Error {
    refusal(
        "MalformedTrailerError",
        http::StatusCode::BAD_REQUEST,
        "The request contained trailing data that was not well-formed or did not conform to our published schema.",
    )
}

fn trailer(headers: &HeaderMap) -> S3Result<Option<Algorithm>> {
    let Some(named) = text(headers, "x-amz-trailer") else { return Ok(None) };
    let names = named.split(',').map(|name| name.trim().to_ascii_lowercase());
    let mut found = names.filter_map(|name| name.strip_prefix(HEADER).map(algorithm_of));
    let first = found.next().transpose()?;
    if found.next().is_some() {
        return Err(s3_error!(InvalidRequest, "Expecting a single x-amz-checksum- header"));
    }
    Ok(first)
}

fn algorithm_of(end: &str) -> S3Result<Algorithm> {
    let found = KEPT.iter().find(|(_, name)| *name == end).map(|(algorithm, _)| *algorithm);
    found.ok_or_else(|| s3_error!(InvalidRequest, "The checksum algorithm `{end}` is not supported."))
}

/// Reads an algorithm as XML and `x-amz-checksum-algorithm` spell it: `CRC32C`.
pub(super) fn named_algorithm(name: &str) -> S3Result<Algorithm> {
    algorithm_of(&name.to_ascii_lowercase())
        .map_err(|_| s3_error!(InvalidRequest, "Checksum algorithm provided is unsupported."))
}

fn text<'headers>(headers: &'headers HeaderMap, name: &str) -> Option<&'headers str> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim)
}

/// The header that carries a checksum of the algorithm.
pub(super) fn header(algorithm: Algorithm) -> HeaderName {
    HeaderName::from_static(match algorithm {
        Algorithm::Crc64Nvme => "x-amz-checksum-crc64nvme",
        Algorithm::Crc32 => "x-amz-checksum-crc32",
        Algorithm::Crc32c => "x-amz-checksum-crc32c",
        Algorithm::Sha1 => "x-amz-checksum-sha1",
        Algorithm::Sha256 => "x-amz-checksum-sha256",
        Algorithm::Md5 => "content-md5",
    })
}

impl StoredChecksum {
    /// The value as clients see it: base64, with `-N` behind the checksum of `parts` checksums.
    pub(super) fn text(&self, parts: usize) -> String {
        if self.composite { format!("{}-{parts}", self.value.base64()) } else { self.value.base64() }
    }

    /// `COMPOSITE` or `FULL_OBJECT`.
    pub(super) const fn kind(&self) -> &'static str {
        if self.composite { "COMPOSITE" } else { "FULL_OBJECT" }
    }

    /// Puts value and type into a response's headers.
    pub(super) fn show(&self, parts: usize, headers: &mut HeaderMap) {
        if let Ok(value) = HeaderValue::from_str(&self.text(parts)) {
            headers.insert(header(self.value.algorithm()), value);
            headers.insert("x-amz-checksum-type", HeaderValue::from_static(self.kind()));
        }
    }
}

/// Fills the checksum fields that many of S3's XML shapes have: one per algorithm.
macro_rules! fill_checksum {
    ($shape:expr, $algorithm:expr, $text:expr) => {{
        let text = Some($text);
        match $algorithm {
            $crate::model::Algorithm::Crc64Nvme => $shape.checksum_crc64nvme = text,
            $crate::model::Algorithm::Crc32 => $shape.checksum_crc32 = text,
            $crate::model::Algorithm::Crc32c => $shape.checksum_crc32c = text,
            $crate::model::Algorithm::Sha1 => $shape.checksum_sha1 = text,
            $crate::model::Algorithm::Sha256 => $shape.checksum_sha256 = text,
            $crate::model::Algorithm::Md5 => {}
        }
    }};
}
pub(super) use fill_checksum;

#[cfg(test)]
mod tests {
    use super::{Claims, Digests};
    use http::{HeaderMap, HeaderName, HeaderValue};

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
    }

    /// The body is `123456789`.
    fn check(sent: &[(&'static str, &'static str)], trailers: &[(&'static str, &'static str)], expected: &str) {
        let found = Claims::read(&headers(sent)).and_then(|claims| {
            let mut digests = Digests::new(&[claims.kept()]);
            digests.update(b"123456789");
            claims.verify(&digests.finish(), Some(&headers(trailers)))
        });
        let found = found.map_or_else(|error| error.code().as_str().to_owned(), |()| "ok".to_owned());
        assert_eq!(found, expected, "{sent:?} {trailers:?}");
    }

    #[test]
    fn claims_are_kept_or_refused() {
        check(&[], &[], "ok");
        check(&[("content-md5", "JfnnlDI7RTiF9RgfG2JNCw==")], &[], "ok");
        check(&[("content-md5", "AAAAAAAAAAAAAAAAAAAAAA==")], &[], "BadDigest");
        check(&[("content-md5", "nonsense")], &[], "InvalidDigest");
        check(&[("x-amz-checksum-crc32", "y/Q5Jg==")], &[], "ok");
        check(&[("x-amz-checksum-crc32", "AAAAAA==")], &[], "BadDigest");
        check(&[("x-amz-checksum-crc32", "AAAAAAA=")], &[], "InvalidRequest");
        check(&[("x-amz-checksum-crc32", "y/Q5Jg=="), ("x-amz-checksum-crc32c", "4waSgw==")], &[], "InvalidRequest");
        check(&[("x-amz-checksum-xxhash3", "y/Q5Jg==")], &[], "InvalidRequest");
        check(&[("x-amz-sdk-checksum-algorithm", "CRC32")], &[], "InvalidRequest");
    }

    #[test]
    fn trailers_are_claims_too() {
        let promised = [("x-amz-trailer", "x-amz-checksum-crc64nvme")];
        check(&promised, &[("x-amz-checksum-crc64nvme", "rosUhgp5mIg=")], "ok");
        check(&promised, &[("x-amz-checksum-crc64nvme", "AAAAAAAAAAA=")], "BadDigest");
        check(&promised, &[], "MalformedTrailerError");
    }
}
