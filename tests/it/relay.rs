//! A relay between the binary and `serve` that understands enough HTTP to make trouble with single requests: it drops
//! connections, loses or cuts answers, answers in the server's place, or waits.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};
use tokio::net::TcpSocket;

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is answered.
    Pass,
    /// It is answered after a while.
    Late(Duration),
    /// Its connection is reset before the server hears of it.
    Reset,
    /// The server does it, and nobody hears of that.
    AnswerLost,
    /// The server does it, and the answer ends in the middle.
    AnswerCut,
    /// It is told to slow down, and the server never hears of it.
    SlowDown,
    /// It gets an error of this status and code, and the server never hears of it.
    Refused(u16, &'static str),
    /// It is read to its end, and nothing comes back, not even the end of the connection.
    NoAnswer,
    /// Its body is never read.
    BodyUnread,
    /// Its body is read, a piece of this many KiB every ten milliseconds.
    BodySlow(usize),
    /// Its answer stops in the middle, and its connection stays open.
    AnswerStuck,
}

/// For how long those connections stay open on which nothing moves: longer than anybody waits.
const SILENCE: Duration = Duration::from_secs(120);

/// A request as the relay sees it.
#[derive(Debug)]
pub(crate) struct Asked<'head> {
    /// The method.
    pub(crate) method: &'head str,
    /// Path and query.
    pub(crate) target: &'head str,
    /// How many requests came before it.
    pub(crate) number: u64,
    head: &'head str,
}

impl<'head> Asked<'head> {
    /// A header, by its name.
    pub(crate) fn header(&self, name: &str) -> Option<&'head str> {
        header(self.head, name)
    }

    /// The access key that it was signed with.
    pub(crate) fn access_key(&self) -> Option<&'head str> {
        Some(self.header("authorization")?.split_once("Credential=")?.1.split_once('/')?.0)
    }
}

type Judge = Box<dyn Fn(&Asked<'_>) -> Fate + Send + Sync>;

/// The relay: who judges, and what it did so far.
pub(crate) struct Relay {
    judge: Judge,
    upstream: String,
    requests: AtomicU64,
    troubled: AtomicU64,
    /// How far its clock is ahead of this machine's.
    ahead: Duration,
}

impl Relay {
    /// Listens in front of `upstream`, an `http://` URL, until the tests end. Returns its own URL.
    pub(crate) fn start(upstream: &str, judge: Judge) -> (String, Arc<Self>) {
        Self::start_ahead(upstream, Duration::ZERO, judge)
    }

    /// The same with a clock that is so far ahead.
    pub(crate) fn start_ahead(upstream: &str, ahead: Duration, judge: Judge) -> (String, Arc<Self>) {
        // What is slow to read must not hide in buffers.
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(64 * 1024).unwrap();
        socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
        let listener = socket.listen(1024).unwrap().into_std().unwrap();
        listener.set_nonblocking(false).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let upstream = upstream.strip_prefix("http://").unwrap().to_owned();
        let (requests, troubled) = (AtomicU64::new(0), AtomicU64::new(0));
        let relay = Arc::new(Self { judge, upstream, requests, troubled, ahead });
        let listening = Arc::clone(&relay);
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let (Ok(client), relay) = (client, Arc::clone(&listening)) else { return };
                // What ends a connection early is what is tested.
                std::thread::spawn(move || relay.serve(&client).ok());
            }
        });
        (url, relay)
    }

    /// How many requests came, and how many of them met trouble, late answers included, since this was last asked.
    pub(crate) fn counted(&self) -> (u64, u64) {
        (self.requests.swap(0, Ordering::Relaxed), self.troubled.swap(0, Ordering::Relaxed))
    }

    /// Request after request of one connection.
    fn serve(&self, mut client: &TcpStream) -> std::io::Result<()> {
        client.set_nodelay(true)?;
        while let Some((head_bytes, head)) = peek_head(client)? {
            let mut words = head.split(' ');
            let (method, target) = (words.next().unwrap(), words.next().unwrap());
            let number = self.requests.fetch_add(1, Ordering::Relaxed);
            let fate = (self.judge)(&Asked { method, target, number, head: &head });
            self.troubled.fetch_add(u64::from(fate != Fate::Pass), Ordering::Relaxed);
            if fate == Fate::Reset {
                // Nothing of it was read, so closing is a reset and not an orderly end.
                return Ok(());
            }
            let mut request = vec![0; head_bytes];
            client.read_exact(&mut request)?;
            if fate == Fate::BodyUnread {
                std::thread::sleep(SILENCE);
            }
            if header(&head, "expect").is_some() {
                client.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
            }
            let body_bytes: usize = header(&head, "content-length").map_or(0, |length| length.parse().unwrap());
            request.resize(head_bytes + body_bytes, 0);
            let piece = if let Fate::BodySlow(kib) = fate { kib * 1024 } else { usize::MAX };
            for piece in request[head_bytes..].chunks_mut(piece) {
                client.read_exact(piece)?;
                if fate != Fate::Pass && matches!(fate, Fate::BodySlow(_)) {
                    std::thread::sleep(Duration::from_millis(10));
                }
            }
            let refusal = match fate {
                Fate::SlowDown => Some((503, "SlowDown")),
                Fate::Refused(status, code) => Some((status, code)),
                _ => None,
            };
            if let Some((status, code)) = refusal {
                client.write_all(self.refuse(method, status, code).as_bytes())?;
                continue;
            }
            if method == "CONNECT" {
                client.write_all(b"HTTP/1.1 200 Connected\r\n\r\n")?;
                return splice(client, &TcpStream::connect(&self.upstream)?);
            }
            let (mut answer, stays) = self.ask(method, &request)?;
            match fate {
                Fate::AnswerLost => return client.shutdown(Shutdown::Both),
                Fate::AnswerCut | Fate::AnswerStuck => answer.truncate(answer.len() / 2 + 1),
                Fate::Late(pause) => std::thread::sleep(pause),
                Fate::NoAnswer => std::thread::sleep(SILENCE),
                _ => {}
            }
            client.write_all(&answer)?;
            if fate == Fate::AnswerStuck {
                std::thread::sleep(SILENCE);
            }
            if fate == Fate::AnswerCut || !stays {
                return Ok(());
            }
        }
        Ok(())
    }

    /// The time here, as answers write it.
    fn date(&self) -> String {
        let now = jiff::Timestamp::try_from(SystemTime::now() + self.ahead).unwrap();
        now.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
    }

    fn refuse(&self, method: &str, status: u16, code: &str) -> String {
        let body = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>Not now.</Message></Error>"
        );
        let shown = if method == "HEAD" { "" } else { &body };
        let (length, date) = (body.len(), self.date());
        format!(
            "HTTP/1.1 {status} Refused\r\ndate: {date}\r\ncontent-type: application/xml\r\n\
             content-length: {length}\r\n\r\n{shown}"
        )
    }

    /// The server's whole answer, and whether its end is known without the end of the connection.
    fn ask(&self, method: &str, request: &[u8]) -> std::io::Result<(Vec<u8>, bool)> {
        let mut server = TcpStream::connect(&self.upstream)?;
        // A server that refuses may close before it has read everything; its answer is still wanted.
        let _ = server.write_all(request);
        let mut server = BufReader::new(server);
        let mut head = read_head(&mut server)?;
        while head.starts_with("HTTP/1.1 100") {
            head = read_head(&mut server)?;
        }
        if !self.ahead.is_zero() {
            let other = |line: &&str| !line.to_ascii_lowercase().starts_with("date:");
            let lines: Vec<&str> = head.trim_end().lines().filter(other).collect();
            head = format!("{}\r\ndate: {}\r\n\r\n", lines.join("\r\n"), self.date());
        }
        let mut answer = head.clone().into_bytes();
        let is_bare = method == "HEAD" || ["204", "304"].contains(&head.split(' ').nth(1).unwrap_or_default());
        if is_bare {
            return Ok((answer, true));
        }
        if let Some(length) = header(&head, "content-length") {
            let start = answer.len();
            answer.resize(start + length.parse::<usize>().unwrap(), 0);
            server.read_exact(&mut answer[start..])?;
            return Ok((answer, true));
        }
        if header(&head, "transfer-encoding").is_some() {
            while !answer.ends_with(b"\r\n0\r\n\r\n") {
                let read = server.fill_buf()?.to_vec();
                assert!(!read.is_empty(), "the server broke off");
                answer.extend_from_slice(&read);
                server.consume(read.len());
            }
            return Ok((answer, true));
        }
        server.read_to_end(&mut answer)?;
        Ok((answer, false))
    }
}

/// The head of the next request without taking it from the connection; none at the end.
fn peek_head(client: &TcpStream) -> std::io::Result<Option<(usize, String)>> {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let length = client.peek(&mut buffer)?;
        if length == 0 {
            return Ok(None);
        }
        if let Some(end) = buffer[..length].windows(4).position(|window| window == b"\r\n\r\n") {
            return Ok(Some((end + 4, String::from_utf8(buffer[..end + 4].to_vec()).unwrap())));
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn read_head(server: &mut BufReader<TcpStream>) -> std::io::Result<String> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if server.read_line(&mut head)? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(head)
}

fn header<'head>(head: &'head str, name: &str) -> Option<&'head str> {
    let mut fields = head.lines().filter_map(|line| line.split_once(": "));
    fields.find_map(|(field, value)| field.eq_ignore_ascii_case(name).then_some(value))
}

/// Passes everything on, both ways, until one side ends.
fn splice(client: &TcpStream, server: &TcpStream) -> std::io::Result<()> {
    let (client_too, server_too) = (client.try_clone()?, server.try_clone()?);
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut &server_too, &mut &client_too);
        client_too.shutdown(Shutdown::Both)
    });
    let passed = std::io::copy(&mut { client }, &mut { server });
    server.shutdown(Shutdown::Both)?;
    passed.map(drop)
}
