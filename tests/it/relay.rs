//! A relay between the binary and `serve` that understands enough HTTP to make trouble with single requests: it drops
//! connections, loses or cuts answers, answers in the server's place, or waits.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

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
}

/// A request as the relay sees it.
#[derive(Debug)]
pub(crate) struct Asked<'head> {
    /// The method.
    pub(crate) method: &'head str,
    /// Path and query.
    pub(crate) target: &'head str,
    /// How many requests came before it.
    pub(crate) number: u64,
}

type Judge = Box<dyn Fn(&Asked<'_>) -> Fate + Send + Sync>;

/// The relay: who judges, and what it did so far.
pub(crate) struct Relay {
    judge: Judge,
    upstream: String,
    requests: AtomicU64,
    troubled: AtomicU64,
}

impl Relay {
    /// Listens in front of `upstream`, an `http://` URL, until the tests end. Returns its own URL.
    pub(crate) fn start(upstream: &str, judge: Judge) -> (String, Arc<Self>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let upstream = upstream.strip_prefix("http://").unwrap().to_owned();
        let relay = Arc::new(Self { judge, upstream, requests: AtomicU64::new(0), troubled: AtomicU64::new(0) });
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
            let fate = (self.judge)(&Asked { method, target, number });
            self.troubled.fetch_add(u64::from(fate != Fate::Pass), Ordering::Relaxed);
            if fate == Fate::Reset {
                // Nothing of it was read, so closing is a reset and not an orderly end.
                return Ok(());
            }
            let mut request = vec![0; head_bytes];
            client.read_exact(&mut request)?;
            if header(&head, "expect").is_some() {
                client.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
            }
            let body_bytes: usize = header(&head, "content-length").map_or(0, |length| length.parse().unwrap());
            request.resize(head_bytes + body_bytes, 0);
            client.read_exact(&mut request[head_bytes..])?;
            if fate == Fate::SlowDown {
                client.write_all(slow_down(method).as_bytes())?;
                continue;
            }
            let (mut answer, stays) = self.ask(method, &request)?;
            match fate {
                Fate::AnswerLost => return client.shutdown(Shutdown::Both),
                Fate::AnswerCut => answer.truncate(answer.len() / 2 + 1),
                Fate::Late(pause) => std::thread::sleep(pause),
                _ => {}
            }
            client.write_all(&answer)?;
            if fate == Fate::AnswerCut || !stays {
                return Ok(());
            }
        }
        Ok(())
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

fn slow_down(method: &str) -> String {
    let body = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>SlowDown</Code>\
                <Message>Please reduce your request rate.</Message></Error>";
    let shown = if method == "HEAD" { "" } else { body };
    let length = body.len();
    format!("HTTP/1.1 503 Slow Down\r\ncontent-type: application/xml\r\ncontent-length: {length}\r\n\r\n{shown}")
}
