//! Requests signed by hand, for what no SDK would send: wrong digests, trailers, tampering, old clocks.
//!
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming-trailers.html>
#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "what fails here fails the test")]

use crate::server_env::Endpoint;
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

/// An endpoint on a socket, for requests written byte by byte.
pub(crate) struct Wire {
    pub(crate) address: String,
    pub(crate) access_key: String,
    pub(crate) secret_key: String,
}

/// How the payload is signed and framed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    /// Its SHA-256 in the header.
    Signed,
    /// `UNSIGNED-PAYLOAD`.
    Unsigned,
    /// Chunks without signatures and a trailer.
    UnsignedTrailer,
    /// Signed chunks.
    Chunks,
    /// Signed chunks and a signed trailer.
    ChunksTrailer,
}

/// A request to be signed and sent.
#[derive(Debug, Clone)]
pub(crate) struct Raw {
    pub(crate) method: &'static str,
    pub(crate) path: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) framing: Framing,
    pub(crate) trailer: Option<(String, String)>,
    /// How far the signer's clock is off.
    pub(crate) clock_off: SignedDuration,
    /// Sent in place of the signed path.
    pub(crate) tampered_path: Option<String>,
    /// Sent in place of the signed body, framing and all else kept.
    pub(crate) tampered_body: Option<Vec<u8>>,
}

impl Raw {
    pub(crate) fn put(path: &str, body: &[u8], framing: Framing) -> Self {
        Self {
            method: "PUT",
            path: path.to_owned(),
            headers: Vec::new(),
            body: body.to_vec(),
            framing,
            trailer: None,
            clock_off: SignedDuration::ZERO,
            tampered_path: None,
            tampered_body: None,
        }
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn trailer(mut self, name: &str, value: &str) -> Self {
        self.trailer = Some((name.to_owned(), value.to_owned()));
        self.header("x-amz-trailer", name)
    }
}

/// Serves the endpoint on a loopback port while `work` runs, and waits until serving has ended.
pub(crate) async fn served<T>(endpoint: &Endpoint, work: impl AsyncFnOnce(Wire) -> T) -> T {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let wire = Wire {
        address: listener.local_addr().unwrap().to_string(),
        access_key: endpoint.server.access_key().to_owned(),
        secret_key: endpoint.server.secret_key().to_owned(),
    };
    let (stop, stopped) = oneshot::channel::<()>();
    let server = endpoint.server.clone();
    let serving = tokio::spawn(async move {
        let shutdown = async {
            let _ = stopped.await;
        };
        server.serve(listener, shutdown).await
    });
    let done = work(wire).await;
    stop.send(()).unwrap();
    serving.await.unwrap().unwrap();
    done
}

fn hmac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

struct Signer {
    key: Vec<u8>,
    stamp: String,
    scope: String,
}

impl Signer {
    fn new(secret: &str, now: Timestamp) -> Self {
        let day = now.strftime("%Y%m%d").to_string();
        let steps = [day.as_str(), "us-east-1", "s3", "aws4_request"];
        let key = steps.iter().fold(format!("AWS4{secret}").into_bytes(), |key, step| hmac(&key, step));
        let stamp = now.strftime("%Y%m%dT%H%M%SZ").to_string();
        Self { key, stamp, scope: format!("{day}/us-east-1/s3/aws4_request") }
    }

    fn sign(&self, kind: &str, rest: &str) -> String {
        hex(&hmac(&self.key, &format!("{kind}\n{}\n{}\n{rest}", self.stamp, self.scope)))
    }

    fn chunk(&self, previous: &str, bytes: &[u8]) -> String {
        self.sign("AWS4-HMAC-SHA256-PAYLOAD", &format!("{previous}\n{}\n{}", sha256(b""), sha256(bytes)))
    }
}

impl Wire {
    /// Sends bytes and reads the whole answer.
    pub(crate) async fn bytes(&self, request: &[u8]) -> String {
        let mut stream = TcpStream::connect(&self.address).await.unwrap();
        stream.write_all(request).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// Signs and sends a request; answers with `200`, or code and status as in `BadDigest 400`.
    pub(crate) async fn send(&self, raw: &Raw) -> String {
        let answer = self.bytes(&self.signed(raw)).await;
        let status = answer.split_whitespace().nth(1).unwrap_or("no answer").to_owned();
        let code = answer.split_once("<Code>").and_then(|(_, rest)| rest.split_once("</Code>"));
        code.map_or_else(|| status.clone(), |(code, _)| format!("{code} {status}"))
    }

    fn signed(&self, raw: &Raw) -> Vec<u8> {
        let signer = Signer::new(&self.secret_key, Timestamp::now() + raw.clock_off);
        let payload = match raw.framing {
            Framing::Signed => sha256(&raw.body),
            Framing::Unsigned => "UNSIGNED-PAYLOAD".to_owned(),
            Framing::UnsignedTrailer => "STREAMING-UNSIGNED-PAYLOAD-TRAILER".to_owned(),
            Framing::Chunks => "STREAMING-AWS4-HMAC-SHA256-PAYLOAD".to_owned(),
            Framing::ChunksTrailer => "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER".to_owned(),
        };
        let mut headers = raw.headers.clone();
        headers.push(("host".to_owned(), self.address.clone()));
        headers.push(("x-amz-content-sha256".to_owned(), payload.clone()));
        headers.push(("x-amz-date".to_owned(), signer.stamp.clone()));
        if !matches!(raw.framing, Framing::Signed | Framing::Unsigned) {
            headers.push(("content-encoding".to_owned(), "aws-chunked".to_owned()));
            headers.push(("x-amz-decoded-content-length".to_owned(), raw.body.len().to_string()));
        }
        headers.sort();
        let names: Vec<&str> = headers.iter().map(|(name, _)| name.as_str()).collect();
        let names = names.join(";");
        let lines: String = headers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
        let (path, query) = raw.path.split_once('?').unwrap_or((&raw.path, ""));
        let canonical = format!("{}\n{path}\n{query}\n{lines}\n{names}\n{payload}", raw.method);
        let signature = signer.sign("AWS4-HMAC-SHA256", &sha256(canonical.as_bytes()));
        let body = self.framed(raw, &signer, &signature);
        let target = raw.tampered_path.as_ref().unwrap_or(&raw.path);
        let mut request = format!("{} {target} HTTP/1.1\r\n", raw.method);
        for (name, value) in &headers {
            write!(request, "{name}: {value}\r\n").unwrap();
        }
        let credential = format!("{}/{}", self.access_key, signer.scope);
        write!(
            request,
            "authorization: AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders={names}, Signature={signature}\r\n\
             content-length: {}\r\nconnection: close\r\n\r\n",
            body.len()
        )
        .unwrap();
        [request.into_bytes(), body].concat()
    }

    fn framed(&self, raw: &Raw, signer: &Signer, seed: &str) -> Vec<u8> {
        let sent = raw.tampered_body.as_ref().unwrap_or(&raw.body);
        if matches!(raw.framing, Framing::Signed | Framing::Unsigned) {
            return sent.clone();
        }
        let signs = raw.framing != Framing::UnsignedTrailer;
        let mut framed = Vec::new();
        let mut previous = seed.to_owned();
        // Two chunks and the empty one that ends the body.
        let half = raw.body.len() / 2;
        for (signed, sent) in [(&raw.body[..half], &sent[..half]), (&raw.body[half..], &sent[half..]), (&[], &[])] {
            let extension = if signs {
                previous = signer.chunk(&previous, signed);
                format!(";chunk-signature={previous}")
            } else {
                String::new()
            };
            framed.extend_from_slice(format!("{:x}{extension}\r\n", sent.len()).as_bytes());
            if !sent.is_empty() {
                framed.extend_from_slice(sent);
                framed.extend_from_slice(b"\r\n");
            }
        }
        if let Some((name, value)) = &raw.trailer {
            framed.extend_from_slice(format!("{name}:{value}\r\n").as_bytes());
            if signs {
                let hashed = sha256(format!("{name}:{value}\n").as_bytes());
                let signature = signer.sign("AWS4-HMAC-SHA256-TRAILER", &format!("{previous}\n{hashed}"));
                framed.extend_from_slice(format!("x-amz-trailer-signature:{signature}\r\n").as_bytes());
            }
        }
        framed.extend_from_slice(b"\r\n");
        framed
    }
}
