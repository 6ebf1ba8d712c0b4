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
    for stream in listener.incoming() {
        let service = Arc::clone(&service);
        let serving = thread::Builder::new().stack_size(256 << 10);
        serving.spawn(move || stream.map_err(Into::into).and_then(|stream| serve(&service, stream)))?;
    }
    Ok(())
}

/// Answers one request after the other. What is wrong with a request ends its connection, after an answer that says it.
fn serve(service: &Service, stream: TcpStream) -> Result<()> {
    let mut connection = Connection::new(stream)?;
    while let Some(head) = connection.head()? {
        let answered = match service.own(&head) {
            Some(answered) => answered,
            None => service.answer(&mut connection, &head),
        };
        let is_wrong = answered.is_err();
        let answer = answered.unwrap_or_else(|error| Answer::error(400, "InvalidRequest", &format!("{error:#}")));
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
