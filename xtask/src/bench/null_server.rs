//! The null server: an S3 endpoint that takes, counts and forgets, so that what is measured is the client.
//!
//! It runs as a process of its own and is made to leave the cores to clients: a thread for each connection, bodies
//! dropped inside the kernel, nothing verified, no signature checked. Loopback only.
#![expect(clippy::disallowed_methods, reason = "seeding reads files")]

mod address;
mod connection;
mod framing;
mod listing;
mod multipart;
mod objects;
mod service;
mod xml;

use anyhow::{Context as _, Result};
use bucketwright::hashing::digest;
use bucketwright::model::Algorithm;
use connection::{Answer, Connection};
use service::Service;
use std::io::Write as _;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use std::{fs, thread};

pub(crate) use service::Etags;

/// What the first line of output starts with; the URL follows.
pub(crate) const READY: &str = "null server at ";

/// How the null server runs.
#[derive(Debug, clap::Args)]
pub(crate) struct NullServerOptions {
    /// Listens on this port of the loopback interface; 0 takes any free one.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// The ETag of objects that were uploaded without a Content-MD5.
    #[arg(long, value_enum, default_value = "opaque")]
    etag: Etags,
    /// Holds the files of this folder from the start, as if they had been uploaded to `seed/` of bucket `bench`.
    #[arg(long, value_name = "FOLDER")]
    seed: Option<PathBuf>,
    /// Answers so late, as a service in another part of the world does.
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 0)]
    delay: u64,
}

/// Serves until it is killed.
pub(crate) fn run(options: &NullServerOptions) -> Result<()> {
    let service = Arc::new(Service::new(options.etag));
    if let Some(folder) = &options.seed {
        seed(&service, folder, "bench/seed").with_context(|| format!("cannot seed from `{}`", folder.display()))?;
    }
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, options.port))?;
    println!("{READY}http://{}", listener.local_addr()?);
    std::io::stdout().flush()?;
    let delay = Duration::from_millis(options.delay);
    for stream in listener.incoming() {
        let service = Arc::clone(&service);
        let serving = thread::Builder::new().stack_size(256 << 10);
        serving.spawn(move || stream.map_err(Into::into).and_then(|stream| serve(&service, stream, delay)))?;
    }
    Ok(())
}

/// Answers one request after the other. What is wrong with a request ends its connection, after an answer that says it.
fn serve(service: &Service, stream: TcpStream, delay: Duration) -> Result<()> {
    let mut connection = Connection::new(stream)?;
    while let Some(head) = connection.head()? {
        let answered = match service.own(&head) {
            Some(answered) => answered,
            None => service.answer(&mut connection, &head),
        };
        let is_wrong = answered.is_err();
        let answer = answered.unwrap_or_else(|error| Answer::error(400, "InvalidRequest", &format!("{error:#}")));
        thread::sleep(delay);
        if !connection.answer(&head, &answer)? || is_wrong {
            break;
        }
    }
    Ok(())
}

/// Holds every file below a folder as an object below a prefix.
fn seed(service: &Service, folder: &Path, prefix: &str) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let path = format!("{prefix}/{}", entry.file_name().to_string_lossy());
        if entry.file_type()?.is_dir() {
            seed(service, &entry.path(), &path)?;
            continue;
        }
        let bytes = fs::read(entry.path())?;
        let [md5, crc] = [Algorithm::Md5, Algorithm::Crc64Nvme].map(|algorithm| digest(algorithm, &bytes));
        service.seed(path, bytes.len() as u64, &md5, &crc);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Etags, Service, serve};
    use bucketwright::hashing::digest;
    use bucketwright::model::Algorithm;
    use std::io::{Read as _, Write as _};
    use std::net::{Ipv4Addr, TcpListener, TcpStream};
    use std::sync::Arc;
    use std::thread;
    use std::time::Duration;

    /// A server in this process, as many connections as come.
    fn start(etags: Etags) -> (Arc<Service>, u16) {
        let service = Arc::new(Service::new(etags));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let served = Arc::clone(&service);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let service = Arc::clone(&served);
                thread::spawn(move || serve(&service, stream.unwrap(), Duration::ZERO));
            }
        });
        (service, port)
    }

    /// What comes back for some bytes on a connection of their own; the last request must close it.
    fn answer(port: u16, wire: &[u8]) -> String {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
        stream.write_all(wire).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text
    }

    fn request(line: &str, headers: &[&str], body: &str) -> String {
        let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
        let length = body.len();
        format!("{line} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}content-length: {length}\r\n\r\n{body}")
    }

    #[track_caller]
    fn check(port: u16, wire: &str, wanted: &[&str]) -> String {
        let text = answer(port, wire.as_bytes());
        for part in wanted {
            assert!(text.contains(part), "`{part}` is not in the answer to\n{wire}\nwhich is\n{text}");
        }
        text
    }

    #[test]
    fn an_object_is_known_by_size_etag_and_checksum() {
        let (service, port) = start(Etags::Md5);
        let crc = "x-amz-checksum-crc64nvme: rosUhgp5mIg=";
        let etag = "etag: \"25f9e794323b453885f5181f1b624d0b\"";
        check(port, &request("PUT /b/k", &[crc, "x-amz-meta-mtime: 1"], "123456789"), &["HTTP/1.1 200", crc, etag]);
        check(port, &request("HEAD /b/k", &[], ""), &["content-length: 9\r\n", etag, "x-amz-meta-mtime: 1", "GMT"]);
        check(port, &request("HEAD /b/k", &["x-amz-checksum-mode: ENABLED"], ""), &[crc, "type: FULL_OBJECT"]);
        check(port, &request("GET /b/k?attributes", &[], ""), &["<ChecksumCRC64NVME>rosUhgp5mIg=<", "<ObjectSize>9<"]);
        check(port, &request("PUT /b/k", &["if-none-match: *"], "x"), &["HTTP/1.1 412"]);
        check(port, &request("GET /-/count/b/", &[], ""), &["\"objects\":1,\"bytes\":9", "\"proof crc64nvme\":1"]);
        let listed = "<Delete><Object><Key>k</Key></Object></Delete>";
        check(port, &request("POST /b?delete", &[], listed), &["<Deleted><Key>k</Key></Deleted>"]);
        assert!(service.report("b/").contains("\"objects\":0"));
        check(port, &request("HEAD /b/k", &[], ""), &["HTTP/1.1 404"]);
        check(port, &request("GET /b/k", &[], ""), &["HTTP/1.1 501", "<Code>NotImplemented</Code>"]);
    }

    #[test]
    fn bodies_in_chunks_and_bodies_that_wait_arrive() {
        let (service, port) = start(Etags::Opaque);
        let chunks = "5\r\n12345\r\n4\r\n6789\r\n0\r\nx-amz-checksum-crc64nvme:rosUhgp5mIg=\r\n\r\n";
        let headers = ["content-encoding: aws-chunked", "x-amz-content-sha256: STREAMING-UNSIGNED-PAYLOAD-TRAILER"];
        check(port, &request("PUT /b/chunked", &headers, chunks), &["x-amz-checksum-crc64nvme: rosUhgp5mIg="]);
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
        let size = 3_000_000_usize;
        let head = format!("PUT /b/big HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: {size}\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        let mut continued = [0; 25];
        stream.read_exact(&mut continued).unwrap();
        assert_eq!(&continued, b"HTTP/1.1 100 Continue\r\n\r\n");
        stream.write_all(&vec![7; size]).unwrap();
        stream.write_all(request("HEAD /b/big", &[], "").as_bytes()).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        assert!(text.starts_with("HTTP/1.1 200") && text.contains("content-length: 3000000\r\n"), "{text}");
        assert!(service.report("b/").starts_with("{\"objects\":2,\"bytes\":3000009,"), "{}", service.report("b/"));
    }

    #[test]
    fn parts_become_an_object() {
        let (service, port) = start(Etags::Opaque);
        let begun =
            check(port, &request("POST /b/k?uploads", &["x-amz-checksum-type: FULL_OBJECT"], ""), &["<UploadId>"]);
        let id = super::xml::texts(&begun, "UploadId").remove(0);
        for (number, bytes) in [(1, "1234"), (2, "56789")] {
            let crc = digest(Algorithm::Crc64Nvme, bytes.as_bytes()).base64();
            let target = format!("PUT /b/k?partNumber={number}&uploadId={id}");
            check(port, &request(&target, &[&format!("x-amz-checksum-crc64nvme: {crc}")], bytes), &[&crc]);
        }
        check(
            port,
            &request(&format!("GET /b/k?uploadId={id}"), &[], ""),
            &["<PartNumber>2</PartNumber><Size>5</Size>"],
        );
        let parts = "<Part><PartNumber>1</PartNumber></Part><Part><PartNumber>2</PartNumber></Part>";
        let body = format!("<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>");
        let target = format!("POST /b/k?uploadId={id}");
        check(port, &request(&target, &["x-amz-mp-object-size: 8"], &body), &["HTTP/1.1 400", "object size"]);
        let done = check(port, &request(&target, &["x-amz-mp-object-size: 9"], &body), &["-2&quot;</ETag>"]);
        assert!(
            done.contains("<ChecksumCRC64NVME>rosUhgp5mIg=<") && done.contains("<ChecksumType>FULL_OBJECT<"),
            "{done}"
        );
        assert!(service.report("b/").starts_with("{\"objects\":1,\"bytes\":9,\"uploads\":0"));
        check(port, &request(&target, &[], &body), &["HTTP/1.1 404", "NoSuchUpload"]);
    }

    #[test]
    fn nonsense_is_answered_and_ends_the_connection() {
        let (_, port) = start(Etags::Opaque);
        let chunked = ["transfer-encoding: chunked"];
        check(port, &request("PUT /b/k", &chunked, ""), &["HTTP/1.1 400", "S3 wants a Content-Length"]);
        let wire = "PUT /b/k HTTP/1.1\r\nx-amz-content-sha256: STREAMING-X\r\ncontent-length: 4\r\n\r\nzz\r\n";
        check(port, wire, &["HTTP/1.1 400", "`zz` is not the size of a chunk"]);
    }
}
