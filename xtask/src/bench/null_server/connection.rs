//! One connection of HTTP/1.1, as little of it as S3 clients speak: heads are parsed, bodies go by.

use super::framing::Framing;
use anyhow::{Context as _, Result, bail, ensure};
use std::io::{ErrorKind, Read as _, Write as _};
use std::mem::MaybeUninit;
use std::net::TcpStream;

/// Longer heads are refused; S3 allows 8 KiB of headers.
const MAX_HEAD_BYTES: usize = 64 << 10;
const MAX_HEADERS: usize = 96;

/// So much is read from the socket at once, in one system call for most requests.
const BUFFER_BYTES: usize = 2 * MAX_HEAD_BYTES;

/// So much of a body is dropped at once.
const DROPPED_BYTES: usize = 1 << 20;

/// Bodies that somebody reads (completions, deletes) are small.
const MAX_KEPT_BYTES: usize = 16 << 20;

/// A connection with what was read from it and not used yet.
pub(super) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    dropped: Box<[MaybeUninit<u8>]>,
}

/// The head of a request: its line, and the headers that mean something here.
#[derive(Debug, Default)]
pub(super) struct Head {
    pub(super) method: String,
    /// Path and query as they came.
    pub(super) target: String,
    /// Names in lower case.
    headers: Vec<(String, String)>,
    closes: bool,
}

/// A body that went by.
#[derive(Debug, Default)]
pub(super) struct Body {
    /// Bytes of content.
    pub(super) size_bytes: u64,
    /// What stood behind it, names in lower case.
    pub(super) trailers: Vec<(String, String)>,
}

/// An answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
    /// What `Content-Length` says where the answer has no body: the size of an object.
    pub(super) head_bytes: Option<u64>,
}

impl Head {
    /// The value of a header, by its name in lower case.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(header, _)| header == name).map(|(_, value)| value.as_str())
    }

    /// The headers that mean something here, names in lower case.
    pub(super) fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// How the body lies on the wire.
    pub(super) fn framing(&self) -> Result<Framing> {
        ensure!(self.header("transfer-encoding").is_none(), "S3 wants a Content-Length");
        let length = self.header("content-length").unwrap_or("0");
        let left = length.parse().with_context(|| format!("`{length}` is no length"))?;
        let is_chunked = self.header("content-encoding").is_some_and(|coding| coding.contains("aws-chunked"))
            || self.header("x-amz-content-sha256").is_some_and(|payload| payload.starts_with("STREAMING-"));
        Ok(if is_chunked { Framing::Chunked(super::framing::Chunked::default()) } else { Framing::Plain { left } })
    }
}

impl Connection {
    pub(super) fn new(stream: TcpStream) -> Result<Self> {
        stream.set_nodelay(true)?;
        let dropped = Box::new_uninit_slice(DROPPED_BYTES);
        Ok(Self { stream, buffer: vec![0; BUFFER_BYTES], start: 0, end: 0, dropped })
    }

    /// The head of the next request; none if the client is done.
    pub(super) fn head(&mut self) -> Result<Option<Head>> {
        loop {
            let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
            let mut request = httparse::Request::new(&mut headers);
            let bytes = &self.buffer[self.start..self.end];
            if !bytes.is_empty()
                && let httparse::Status::Complete(length) = request.parse(bytes)?
            {
                let head = Head::of(&request);
                self.start += length;
                return Ok(Some(head));
            }
            ensure!(self.end - self.start < MAX_HEAD_BYTES, "a head does not end");
            if self.fill()? == 0 {
                ensure!(self.start == self.end, "the connection ended in the middle of a head");
                return Ok(None);
            }
        }
    }

    /// Lets the body of a request go by. `content` sees it if `is_looked_at`; else most of it is never copied out of
    /// the kernel.
    pub(super) fn body(&mut self, head: &Head, is_looked_at: bool, mut content: impl FnMut(&[u8])) -> Result<Body> {
        let mut framing = head.framing()?;
        let declared = head.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        let continues = head.header("expect").is_some_and(|expect| expect.eq_ignore_ascii_case("100-continue"));
        if continues && self.start == self.end {
            self.stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        while !framing.is_over() {
            if self.start < self.end {
                self.start += framing.take(&self.buffer[self.start..self.end], &mut content)?;
            } else if !is_looked_at && framing.certain_bytes() > 0 {
                framing.skip(self.discard(framing.certain_bytes())?);
            } else if self.fill()? == 0 {
                bail!("the connection ended in the middle of a body");
            }
        }
        let size_bytes = framing.decoded_bytes().unwrap_or(declared);
        Ok(Body { size_bytes, trailers: framing.into_trailers() })
    }

    /// A body that somebody reads.
    pub(super) fn small_body(&mut self, head: &Head) -> Result<Vec<u8>> {
        let mut kept = Vec::new();
        let body = self.body(head, true, |bytes| {
            let room = MAX_KEPT_BYTES.saturating_sub(kept.len());
            kept.extend_from_slice(&bytes[..bytes.len().min(room)]);
        })?;
        ensure!(body.size_bytes == kept.len() as u64, "a document of {} bytes is too long", body.size_bytes);
        Ok(kept)
    }

    /// Sends an answer; says whether the connection lives on.
    pub(super) fn answer(&mut self, head: &Head, answer: &Answer) -> Result<bool> {
        let mut wire = Vec::with_capacity(256 + answer.body.len());
        let reason = if answer.status < 300 { "OK" } else { "No" };
        let length = answer.head_bytes.unwrap_or(answer.body.len() as u64);
        write!(wire, "HTTP/1.1 {} {reason}\r\ncontent-length: {length}\r\n", answer.status)?;
        for (name, value) in &answer.headers {
            write!(wire, "{name}: {value}\r\n")?;
        }
        wire.extend_from_slice(if head.closes { b"connection: close\r\n\r\n" } else { b"\r\n" });
        if head.method != "HEAD" {
            wire.extend_from_slice(&answer.body);
        }
        self.stream.write_all(&wire)?;
        Ok(!head.closes)
    }

    /// Reads more into the buffer; 0 at the end of the connection.
    fn fill(&mut self) -> Result<usize> {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        } else if self.end > MAX_HEAD_BYTES {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        let count = self.stream.read(&mut self.buffer[self.end..])?;
        self.end += count;
        Ok(count)
    }

    /// Drops up to `most` bytes that come next, at least one.
    fn discard(&mut self, most: u64) -> Result<u64> {
        let most = self.dropped.len().min(usize::try_from(most).unwrap_or(usize::MAX));
        let count = drop_bytes(&self.stream, &mut self.dropped[..most])?;
        ensure!(count > 0, "the connection ended in the middle of a body");
        Ok(count as u64)
    }
}

/// Linux drops bytes of a TCP socket without copying them (tcp(7), MSG_TRUNC), which leaves the cores to the client.
/// Elsewhere they are copied to a room that nobody reads.
fn drop_bytes(stream: &TcpStream, room: &mut [MaybeUninit<u8>]) -> Result<usize> {
    const MSG_TRUNC: i32 = if cfg!(target_os = "linux") { 0x20 } else { 0 };
    loop {
        match socket2::SockRef::from(stream).recv_with_flags(room, MSG_TRUNC) {
            Ok(count) => return Ok(count),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
}

impl Head {
    fn of(request: &httparse::Request<'_, '_>) -> Self {
        let mut head = Self {
            method: request.method.unwrap_or_default().to_owned(),
            target: request.path.unwrap_or_default().to_owned(),
            headers: Vec::with_capacity(8),
            closes: request.version == Some(0),
        };
        for header in request.headers.iter() {
            let name = header.name.to_ascii_lowercase();
            let value = String::from_utf8_lossy(header.value).trim().to_owned();
            match name.as_str() {
                "connection" => head.closes |= value.eq_ignore_ascii_case("close"),
                "authorization"
                | "user-agent"
                | "accept"
                | "accept-encoding"
                | "host"
                | "date"
                | "x-amz-date"
                | "amz-sdk-request"
                | "amz-sdk-invocation-id" => {}
                _ => head.headers.push((name, value)),
            }
        }
        head
    }
}

impl Answer {
    /// An answer without a body.
    pub(super) const fn empty(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new(), head_bytes: None }
    }

    /// An answer that is a document.
    pub(super) fn xml(status: u16, body: String) -> Self {
        Self::empty(status).with("content-type", "application/xml").body(body)
    }

    /// An error in S3's words.
    pub(super) fn error(status: u16, code: &str, message: &str) -> Self {
        let text = format!("<Error><Code>{code}</Code><Message>{}</Message></Error>", super::xml::escape(message));
        Self::xml(status, super::xml::document(&text))
    }

    /// The same with one more header.
    pub(super) fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// The same with this body.
    pub(super) fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }
}
