//! Ctrl-C and SIGTERM at every moment: a run that looks ends at once, one that writes ends in order and can go on later.

use crate::testenv::{Ran, TestEnv};
use rustix::process::{Pid, Signal, kill_process};
use std::fs::OpenOptions;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Stdio};

const LAYOUT: &str = "version = 1\n[[bucket]]\nname = \"bucket-one\"\ntemplate = \"ml-project\"\nprojects = [\"p\"]\n\
                      [[dataset]]\nsource = \"data\"\nto = \"bucket-one/p/data\"\n";

/// A run that can be signalled.
struct Running<'env> {
    env: &'env TestEnv,
    child: Child,
}

impl<'env> Running<'env> {
    fn start(env: &'env TestEnv, arguments: &[&str]) -> Self {
        let mut command = env.command(arguments);
        Self { env, child: command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap() }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Reads stdout up to the first line that holds `words`.
    fn read_until(&mut self, words: &str) -> String {
        let mut seen = String::new();
        let stdout = self.child.stdout.take().unwrap();
        let mut lines = BufReader::with_capacity(1, stdout);
        while !seen.lines().last().is_some_and(|line| line.contains(words)) {
            assert!(lines.read_line(&mut seen).unwrap() > 0, "`{words}` never came: {seen}");
        }
        self.child.stdout = Some(lines.into_inner());
        seen
    }

    /// Waits for the end; `seen` is what was read before.
    fn end(self, seen: &str) -> Ran {
        let mut ran = self.env.ran(&["(signalled)"], &self.child.wait_with_output().unwrap());
        ran.stdout.insert_str(0, seen);
        ran
    }
}

#[test]
fn a_read_that_never_ends_is_left() {
    for (signal, output) in [(Signal::INT, "human"), (Signal::TERM, "json")] {
        let env = TestEnv::new();
        env.fifo("layout.toml");
        let running = Running::start(&env, &["apply", "--local", "--yes", "--output", output]);
        // It opens as soon as the other side reads.
        let _held_open = OpenOptions::new().write(true).open(env.path("layout.toml")).unwrap();
        running.signal(signal);
        let ran = running.end("");
        assert_eq!(ran.code, 130, "{} {}", ran.stdout, ran.stderr);
        if output == "json" {
            assert_eq!(ran.of_type("error")[0]["kind"], "interrupted");
            assert_eq!(ran.summary()["exit"], 130);
        } else {
            assert_eq!(ran.stderr, "error: interrupted; nothing was written\n");
        }
    }
}

#[test]
fn a_layout_can_come_from_a_pipe() {
    let env = TestEnv::new();
    env.fifo("layout.toml");
    let running = Running::start(&env, &["plan", "--local"]);
    std::fs::write(env.path("layout.toml"), LAYOUT).unwrap();
    let ran = running.end("");
    assert_eq!(ran.code, 3, "the data is not here: {} {}", ran.stdout, ran.stderr);
}

#[test]
fn an_endpoint_that_is_silent_is_left() {
    let mut env = TestEnv::new();
    env.write("layout.toml", LAYOUT);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    with_keys(&mut env, &format!("http://{}", listener.local_addr().unwrap()));
    let running = Running::start(&env, &["verify"]);
    let _silent = listener.accept().unwrap();
    running.signal(Signal::INT);
    assert_eq!(running.end("").code, 130);
}

fn with_keys(env: &mut TestEnv, endpoint: &str) {
    for (name, value) in [
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"),
        ("AWS_SECRET_ACCESS_KEY", "not-a-real-secret"),
        ("AWS_ENDPOINT_URL", endpoint),
    ] {
        env.set(name, value);
    }
}

#[test]
fn an_upload_goes_on_where_it_was_stopped() {
    for output in ["human", "json"] {
        let env = TestEnv::new();
        env.write("layout.toml", LAYOUT);
        (0..600).for_each(|number| env.write(&format!("data/{number:03}"), [number as u8; 20_000]));
        let mut running = Running::start(&env, &["apply", "--local", "--yes", "--output", output]);
        let seen = running.read_until("/p/data/0");
        running.signal(Signal::INT);
        let ran = running.end(&seen);
        assert_eq!(ran.code, 130, "{} {}", ran.stdout, ran.stderr);
        if output == "json" {
            let summary = ran.summary();
            let count = |name: &str| summary[name].as_u64().unwrap();
            assert!(count("done") < count("planned"), "{summary}");
            assert_eq!((count("failed"), count("skipped")), (0, 0), "what was not begun is neither");
            let done = ran.of_type("action").iter().filter(|action| action["status"] == "done").count();
            assert_eq!((count("done"), ran.of_type("action").len()), (done as u64, done));
            assert_eq!(ran.of_type("error")[0]["kind"], "interrupted");
        } else {
            assert!(ran.stdout.lines().last().unwrap().starts_with("Interrupted: "), "{}", ran.stdout);
            assert!(ran.stderr.contains("what is done stays done\nhint: run the same command again"), "{}", ran.stderr);
        }
        let second = env.expect(0, &["apply", "--local", "--yes", "--output", "json"]).summary();
        assert!(second["unchanged"].as_u64().unwrap() > 0, "{second}");
        env.expect(0, &["plan", "--local", "--check"]);
    }
}

#[test]
fn serving_ends_well() {
    for signal in [Signal::INT, Signal::TERM] {
        let env = TestEnv::new();
        let mut running = Running::start(&env, &["serve", "--local", "--port", "0"]);
        let seen = running.read_until("AWS_REGION");
        running.signal(signal);
        assert_eq!(running.end(&seen).code, 0, "being stopped is how it succeeds");
    }
}

/// Answers 404 to whoever only looks; a write is never answered. Returns its URL, and where writes are announced.
fn endpoint_that_stalls_on_writes() -> (String, std::sync::mpsc::Receiver<TcpStream>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (announce, writes) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut request = [0; 8192];
            let length = stream.read(&mut request).unwrap_or_default();
            if request[..length].starts_with(b"PUT") {
                if announce.send(stream).is_err() {
                    return;
                }
                continue;
            }
            let answer = "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    (url, writes)
}

#[test]
fn whoever_asks_twice_need_not_wait() {
    let mut env = TestEnv::new();
    env.write("layout.toml", LAYOUT);
    let (url, writes) = endpoint_that_stalls_on_writes();
    with_keys(&mut env, &url);
    let mut running = Running::start(&env, &["apply", "--yes"]);
    let _unanswered = writes.recv().unwrap();
    running.signal(Signal::INT);
    let mut said = String::new();
    let mut stderr = BufReader::new(running.child.stderr.take().unwrap());
    while !said.contains("Ctrl-C again") {
        assert!(stderr.read_line(&mut said).unwrap() > 0, "{said}");
    }
    running.signal(Signal::INT);
    assert_eq!(running.end("").code, 130);
}
