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

#[test]
fn mistakes_stand_in_their_file_with_their_line() {
    let env = TestEnv::new();
    let bom = "\u{feff}";
    env.write("some/where.toml", format!("{bom}{LAYOUT}proyects = []\r\ncolour = 1\n"));
    let ran = env.expect(2, &["plan", "some/where.toml", "--local"]);
    let start = "error: some/where.toml:6:1: unknown key `proyects`, did you mean `projects`?\n\
                 6 | proyects = []\n  | ^^^^^^^^\nhint: keys of [[bucket]]: ";
    assert!(ran.stderr.starts_with(start), "{}", ran.stderr);
    assert!(ran.stderr.ends_with("\n\n2 mistakes in some/where.toml\n"), "{}", ran.stderr);
    let errors = env.expect(2, &["plan", "some/where.toml", "--local", "--output", "json"]).of_type("error");
    assert_eq!(errors.len(), 2);
    assert_eq!(errors[1]["message"], "some/where.toml:7:1: unknown key `colour`");
    assert_eq!(
        (&errors[1]["excerpt"], &errors[1]["target"]),
        (&"7 | colour = 1\n  | ^^^^^^".into(), &"some/where.toml".into())
    );
    env.write("first.toml", format!("{bom}version = 9\n"));
    let ran = env.expect(2, &["plan", "first.toml", "--local"]);
    assert!(ran.stderr.contains("first.toml:1:11: `version`"), "the mark counts as no column: {}", ran.stderr);
}

#[test]
fn files_that_are_no_layout_are_told_with_what_to_do() {
    let env = TestEnv::new();
    std::fs::create_dir(env.path("folder")).unwrap();
    env.write("secret.toml", LAYOUT);
    env.set_mode("secret.toml", 0o000);
    env.write("layout.toml", LAYOUT);
    env.give_away();
    for (layout, words) in [
        ("folder", "error: cannot read `folder`: is a directory\nhint: name a file in that folder\n"),
        ("secret.toml", "error: cannot read `secret.toml`: permission denied\nhint: make it readable"),
        ("", "error: a value is required for '[LAYOUT]' but none was supplied\n"),
    ] {
        let ran = env.run_as_nobody(&["plan", layout, "--local"]);
        assert_eq!(ran.code, 2, "{layout}: {}", ran.stderr);
        assert!(ran.stderr.starts_with(words), "{layout}: {}", ran.stderr);
    }
    let spaced = env.expect(2, &["plan", "--local", "./folder"]);
    assert!(spaced.stderr.contains("--local=./folder"), "{}", spaced.stderr);
}

#[test]
fn a_folder_that_may_not_be_written_is_told_with_what_to_do() {
    let env = TestEnv::new();
    env.write("layout.toml", LAYOUT);
    env.give_away();
    env.set_mode(".", 0o555);
    let ran = env.run_as_nobody(&["plan", "--local", "--output", "json"]);
    let new = env.run_as_nobody(&["new", "-o", "other.toml"]);
    env.set_mode(".", 0o755);
    let error = &ran.of_type("error")[0];
    assert_eq!((ran.code, &error["kind"]), (1, &"permission".into()), "{}", ran.stdout);
    assert_eq!(error["message"], "cannot keep buckets in `.bucketwright/local`: permission denied");
    assert_eq!(error["hints"][0], "choose a folder of your own with `--local=DIR`");
    assert_eq!((new.code, new.stdout.as_str()), (1, ""));
    assert!(
        new.stderr.starts_with("error: cannot write `other.toml`: permission denied\nhint: choose"),
        "{}",
        new.stderr
    );
}

#[test]
fn a_profile_without_credentials_is_named() {
    let mut env = TestEnv::new();
    env.write("layout.toml", LAYOUT);
    env.set("AWS_REGION", "us-east-1");
    env.write("home/config", "[profile bare]\nregion = us-east-1\n");
    let check = |env: &TestEnv, more: &[&str], named: &str| {
        let ran = env.expect(1, &[&["plan"], more].concat());
        assert!(
            ran.stderr.starts_with(&format!("error: the profile `{named}` gives no credentials\n")),
            "{}",
            ran.stderr
        );
        assert!(ran.stderr.contains("hint: `aws configure list-profiles`"), "{}", ran.stderr);
    };
    check(&env, &["--profile", "nobody"], "nobody");
    check(&env, &["--profile", "bare"], "bare");
    env.set("AWS_PROFILE", "nobody-else");
    assert!(env.expect(1, &["plan"]).stderr.contains("the profile is `nobody-else`"));
    // Keys of somebody else must not stand in for those of a profile that was named.
    env.set("AWS_ACCESS_KEY_ID", "AKIDSOMEBODY");
    env.set("AWS_SECRET_ACCESS_KEY", "none");
    check(&env, &["--profile", "nobody"], "nobody");
    env.write("layout.toml", LAYOUT.replacen("version = 1\n", "version = 1\nprofile = \"bare\"\n", 1));
    check(&env, &[], "bare");
    check(&env, &["--profile", "nobody"], "nobody");
}

#[test]
fn places_that_are_not_there_are_not_drawn_as_if_they_were() {
    let env = TestEnv::new();
    env.write("layout.toml", LAYOUT);
    assert!(env.expect(0, &["tree", "--local"]).stdout.starts_with("s3://bucket-one/ (missing)\n"));
    env.expect(4, &["tree", "--local", "--check"]);
    let absent = env.expect(1, &["tree", "s3://bucket-one", "--local"]);
    assert!(absent.stderr.starts_with("error: there is no bucket `bucket-one`\n"), "{}", absent.stderr);
    env.expect(0, &["apply", "--local", "--yes"]);
    env.expect(0, &["tree", "s3://bucket-one", "--local"]);
    env.expect(0, &["tree", "s3://bucket-one/p", "--local"]);
    let nothing = env.expect(1, &["tree", "s3://bucket-one/nope", "--local"]);
    assert!(nothing.stderr.contains("nothing lies under `s3://bucket-one/nope/`"), "{}", nothing.stderr);
    let one_slash = env.expect(2, &["tree", "s3:/bucket-one", "--local"]);
    assert!(one_slash.stderr.contains("`s3://BUCKET`"), "{}", one_slash.stderr);
}

#[test]
fn an_absent_bucket_fails_every_proof_and_stops_none() {
    let env = TestEnv::new();
    env.write("layout.toml", format!("{LAYOUT}[[dataset]]\nsource = \"x.csv\"\nto = \"bucket-one/p/data\"\n"));
    env.write("x.csv", "1\n");
    let ran = env.expect(4, &["verify", "--local", "--output", "json"]);
    let verdicts: Vec<_> = ran.of_type("check").iter().map(|check| check["verdict"].clone()).collect();
    assert_eq!(verdicts, ["fail", "fail"], "the bucket, and its data");
    let cells = ran.of_type("cell");
    assert_eq!(cells.len(), 12);
    assert!(cells.iter().all(|cell| cell["observed"] == "not-tried" && cell["because"] == "the bucket does not exist"));
    assert_eq!(env.expect(4, &["verify", "--local", "--data", "--output", "json"]).of_type("check").len(), 1);
}

#[test]
fn data_that_cannot_be_read_here_is_never_proven() {
    let env = TestEnv::new();
    env.write("layout.toml", format!("{LAYOUT}[[dataset]]\nsource = \"data\"\nto = \"bucket-one/p/data\"\n"));
    env.write("data/good", "1\n");
    env.fifo("data/pipe");
    env.expect(3, &["apply", "--local", "--yes"]);
    env.expect(3, &["verify", "--local", "--data"]);
    std::fs::remove_file(env.path("data/good")).unwrap();
    let nothing = env.expect(4, &["verify", "--local", "--data", "--output", "json"]);
    assert_eq!(nothing.of_type("check")[0]["verdict"], "unknown", "nothing compared is nothing proven");
    std::fs::remove_file(env.path("data/pipe")).unwrap();
    let empty = env.expect(0, &["plan", "--local", "--output", "json"]);
    assert!(empty.of_type("finding").iter().any(|finding| finding["code"] == "empty-dataset"), "{}", empty.stdout);
}
