//! What the API server asks a node's kubelet: the logs of containers, over TLS.
#![expect(clippy::disallowed_methods, reason = "logs are files")]

use super::node::{ended, log};
use anyhow::{Context as _, Result};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

/// Answers until its owner ends.
pub(super) struct Kubelet {
    port: u16,
    ends: Arc<AtomicBool>,
}

impl Drop for Kubelet {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        // Wakes who waits for a connection.
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
    }
}

impl Kubelet {
    /// Listens, with a certificate and its key, for questions about the logs in a folder.
    pub(super) fn start(port: u16, certificate: &(PathBuf, PathBuf), folder: &Path) -> Result<Self> {
        let chain = CertificateDer::pem_file_iter(&certificate.0)?.collect::<Result<Vec<_>, _>>()?;
        let key = PrivateKeyDer::from_pem_file(&certificate.1)?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        let config = Arc::new(config.with_no_client_auth().with_single_cert(chain, key)?);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
        let ends = Arc::new(AtomicBool::new(false));
        let (is_over, folder) = (Arc::clone(&ends), folder.to_owned());
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if is_over.load(Ordering::Relaxed) {
                    return;
                }
                let (config, folder, is_over) = (Arc::clone(&config), folder.clone(), Arc::clone(&is_over));
                thread::spawn(move || {
                    if let Err(error) = answer(stream, config, &folder, &is_over) {
                        println!("kubelet: {error:#}");
                    }
                });
            }
        });
        Ok(Self { port, ends })
    }
}

/// Answers one question, `GET /containerLogs/NAMESPACE/POD/CONTAINER?follow=true`.
fn answer(stream: TcpStream, config: Arc<ServerConfig>, folder: &Path, is_over: &AtomicBool) -> Result<()> {
    let mut stream = BufReader::new(StreamOwned::new(ServerConnection::new(config)?, stream));
    let mut question = String::new();
    stream.read_line(&mut question)?;
    let mut header = String::new();
    while stream.read_line(&mut header)? > 2 {
        header.clear();
    }
    let target = question.split(' ').nth(1).context("no request")?;
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let parts: Vec<&str> = path.split('/').collect();
    let file = match parts.as_slice() {
        ["", "containerLogs", namespace, pod, container] => {
            let log = log(folder, namespace, pod, container);
            File::open(&log).ok().map(|file| (file, ended(&log)))
        }
        _ => None,
    };
    let stream = stream.get_mut();
    if query.split('&').any(|part| part == "previous=true") {
        // No container of ours is started twice. These are the words of a kubelet.
        let said = "previous terminated container not found";
        write!(
            stream,
            "HTTP/1.1 400 Bad Request\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{said}",
            said.len()
        )?;
        return close(stream);
    }
    let Some((mut file, ended)) = file else {
        write!(stream, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")?;
        return close(stream);
    };
    write!(stream, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n")?;
    let follows = query.split('&').any(|part| part == "follow=true");
    let mut block = Vec::new();
    loop {
        // Asked before the last look, so that nothing goes unread.
        let was_all = !follows || ended.is_file() || is_over.load(Ordering::Relaxed);
        block.clear();
        file.read_to_end(&mut block)?;
        stream.write_all(&block)?;
        stream.flush()?;
        if was_all {
            return close(stream);
        }
        thread::sleep(Duration::from_millis(50));
    }
}

fn close(stream: &mut StreamOwned<ServerConnection, TcpStream>) -> Result<()> {
    stream.conn.send_close_notify();
    stream.flush().context("cannot end an answer")
}
