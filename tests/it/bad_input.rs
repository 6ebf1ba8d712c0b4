//! Bad input and a bad world: each a message that says what to do, the right exit code, and nothing written.

use crate::testenv::{TestEnv, files_below};
use std::io::{Read as _, Write as _};
use std::net::TcpListener;

const LAYOUT: &str = "version = 1\n[[bucket]]\nname = \"bucket-one\"\ntemplate = \"ml-project\"\nprojects = [\"p\"]\n";

fn check(name: &str, layout: &[u8], words: &[&str]) {
    let env = TestEnv::new();
    env.write("layout.toml", layout);
    let before = files_below(&env.path("."));
    for verb in [&["plan", "--local"][..], &["apply", "--local", "--yes"]] {
        let ran = env.expect(2, verb);
        for word in words {
            assert!(ran.stderr.contains(word), "{name}: `{word}` is not in: {}", ran.stderr);
        }
    }
    assert!(files_below(&env.path(".")) == before, "{name}: something was written");
}

#[test]
fn wrong_layouts_are_refused_with_their_place() {
    let with = |extra: &str| format!("{LAYOUT}{extra}").into_bytes();
    check("unknown key", &with("proyects = [\"q\"]\n"), &["layout.toml:6:1", "`projects`"]);
    check("two mistakes", &with("versioning = 3\ncolour = 1\n"), &["layout.toml:6:", "layout.toml:7:"]);
    check("duplicate bucket", &with("[[bucket]]\nname = \"bucket-one\"\n"), &["bucket-one"]);
    check("outside", &with("[[dataset]]\nsource = \"../x.csv\"\nto = \"bucket-one/p/data\"\n"), &["allow_outside"]);
    check("no such folder", &with("[[dataset]]\nsource = \"x.csv\"\nto = \"bucket-one/p/dada\"\n"), &["data"]);
    check("placeholder", b"version = 1\n[[bucket]]\nname = \"your-bucket-name\"\n", &["placeholder"]);
    check("variable", b"version = 1\n[[bucket]]\nname = \"b-${nobody}\"\n", &["nobody"]);
    check("not UTF-8", b"version = 1\n# \xff\n", &["UTF-8"]);
    check("empty", b"", &["empty"]);
    check("huge", &vec![b'#'; 50 * 1024 * 1024], &["larger than"]);
}

#[test]
fn a_missing_file_names_the_way_to_start() {
    let env = TestEnv::new();
    let ran = env.expect(2, &["plan", "nowhere.toml", "--local"]);
    assert!(ran.stderr.contains("nowhere.toml") && ran.stderr.contains("bucketwright new"), "{}", ran.stderr);
}

#[test]
fn wrong_usage_is_json_when_json_is_asked_for() {
    let env = TestEnv::new();
    let ran = env.expect(2, &["plan", "--output", "json", "--no-such-option"]);
    assert_eq!(ran.of_type("error")[0]["kind"], "usage");
    assert_eq!(ran.summary()["exit"], 2);
    let spaced = env.expect(2, &["serve", "--local", "./dir"]);
    assert!(spaced.stderr.contains("--local=./dir"), "{}", spaced.stderr);
}

#[test]
fn accounts_and_regions_are_guarded() {
    let env = TestEnv::new();
    env.write("layout.toml", format!("region = \"eu-west-1\"\naccount = \"245966534215\"\n{LAYOUT}"));
    let ran = env.expect(2, &["plan", "--local", "--region", "us-east-1"]);
    assert!(ran.stderr.contains("eu-west-1"), "{}", ran.stderr);
    env.expect(0, &["apply", "--local", "--yes"]);
    env.expect(0, &["plan", "--local", "--check"]);
}

#[test]
fn no_credentials_name_the_ways_to_have_some() {
    let mut env = TestEnv::new();
    env.write("layout.toml", LAYOUT);
    env.set("AWS_REGION", "us-east-1");
    // A closed port, so that nothing leaves the machine if credentials were found after all.
    env.set("AWS_ENDPOINT_URL", "http://127.0.0.1:9");
    let ran = env.expect(1, &["plan", "--output", "json"]);
    assert_eq!(ran.of_type("error")[0]["kind"], "no-credentials", "{}", ran.stdout);
    let hints = ran.of_type("error")[0]["hints"].to_string();
    assert!(hints.contains("--profile") && hints.contains("--local"), "{hints}");
}

fn with_keys(endpoint: &str) -> TestEnv {
    let mut env = TestEnv::new();
    env.write("layout.toml", LAYOUT);
    for (name, value) in [
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"),
        ("AWS_SECRET_ACCESS_KEY", "not-a-real-secret"),
        ("AWS_ENDPOINT_URL", endpoint),
        ("AWS_MAX_ATTEMPTS", "1"),
    ] {
        env.set(name, value);
    }
    env
}

#[test]
fn a_dead_endpoint_is_unreachable() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let ran = with_keys(&format!("http://127.0.0.1:{port}")).expect(1, &["plan", "--output", "json"]);
    assert_eq!(ran.of_type("error")[0]["kind"], "unreachable", "{}", ran.stdout);
}

/// Answers every request with `answer`, until the test ends.
fn endpoint_that_says(answer: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    format!("http://{address}")
}

#[test]
fn an_endpoint_that_is_not_s3_is_told() {
    let html =
        "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 13\r\nconnection: close\r\n\r\n<html></html>";
    let ran = with_keys(&endpoint_that_says(html)).expect(1, &["plan", "--output", "json"]);
    assert_eq!(ran.of_type("error")[0]["kind"], "not-s3", "{}", ran.stdout);
}

#[test]
fn expired_credentials_have_a_kind_of_their_own() {
    let expired = "HTTP/1.1 400 Bad Request\r\ncontent-type: application/xml\r\ncontent-length: 107\r\n\
                   connection: close\r\n\r\n<Error><Code>ExpiredToken</Code><Message>The provided token has expired.\
                   </Message><A>1234567890</A></Error>";
    let ran = with_keys(&endpoint_that_says(expired)).expect(1, &["plan", "--output", "json"]);
    assert_eq!(ran.of_type("error")[0]["kind"], "expired-credentials", "{}", ran.stdout);
    assert!(!ran.stdout.contains("not-a-real-secret") && !ran.stderr.contains("not-a-real-secret"));
}

#[test]
fn a_port_in_use_is_told() {
    let env = TestEnv::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let ran = env.expect(1, &["serve", "--local=data", "--port", &port]);
    assert!(ran.stderr.contains("--port 0"), "{}", ran.stderr);
    env.expect(2, &["serve", "--local=data", "--port", "0", "--host", "0.0.0.0"]);
}

#[test]
fn a_folder_that_cannot_be_is_told() {
    let env = TestEnv::new();
    env.write("layout.toml", LAYOUT);
    env.write("file", b"");
    let ran = env.expect(1, &["plan", "--local=file/data"]);
    assert!(ran.stderr.contains("file/data"), "{}", ran.stderr);
}

#[test]
fn starters_are_written_once_and_refuse_placeholders() {
    let env = TestEnv::new();
    env.expect(0, &["new", "--list"]);
    env.expect(0, &["new", "ml-project"]);
    let again = env.expect(2, &["new", "ml-project"]);
    assert!(again.stderr.contains("layout.toml"), "{}", again.stderr);
    let refused = env.expect(2, &["plan", "--local"]);
    assert!(refused.stderr.contains("placeholder"), "{}", refused.stderr);
    let unknown = env.expect(2, &["new", "ml-projekt", "-o", "x.toml"]);
    assert!(unknown.stderr.contains("'ml-project'"), "{}", unknown.stderr);
    env.expect(0, &["new", "ml-project", "--set", "name=my-new-bucket", "-o", "mine.toml"]);
    env.expect(0, &["plan", "mine.toml", "--local"]);
}
