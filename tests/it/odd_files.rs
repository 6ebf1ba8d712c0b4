//! What stands in a dataset's folder and is no file to send: each is a finding, the rest goes on, and the run is partly done.
//!
//! Root reads everything, so these runs are made as `nobody` where the tests run as root.

use crate::testenv::TestEnv;
use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};

const LAYOUT: &str = r#"
version = 1
layout = "odd"

[[bucket]]
name = "odd-files"
template = "ml-project"
projects = ["one"]
markers = "none"

[[dataset]]
source = "data"
to = "odd-files/one/data"
exclude = ["*.tmp"]
"#;

#[test]
fn everything_odd_at_once() {
    let env = TestEnv::new();
    env.write("layout.toml", LAYOUT);
    for name in ["a/1", "a/2", "b/3", "c/4", "d", "closed/inside", "locked", "skip.tmp"] {
        env.write(&format!("data/{name}"), name);
    }
    let data = env.path("data");
    symlink("..", data.join("a/loop")).unwrap();
    symlink("nowhere", data.join("broken")).unwrap();
    symlink("/etc/hostname", data.join("leaves")).unwrap();
    fs::write(data.join(OsStr::from_bytes(b"not\xffutf8")), b"x").unwrap();
    env.fifo("data/fifo");
    let longest = "x".repeat(250);
    env.write(&format!("data/{longest}/{longest}/{longest}/{longest}/{longest}"), "too long for a key");
    env.give_away();
    fs::set_permissions(data.join("closed"), Permissions::from_mode(0o000)).unwrap();
    fs::set_permissions(data.join("locked"), Permissions::from_mode(0o000)).unwrap();

    let applied = env.run_as_nobody(&["apply", "--local", "--yes", "--output", "json"]);
    assert_eq!(applied.code, 3, "{}{}", applied.stdout, applied.stderr);
    let mut sent: Vec<String> = applied
        .of_type("action")
        .iter()
        .filter(|action| action["action"] == "upload" && action["status"] == "done")
        .map(|action| action["target"].as_str().unwrap().replace("s3://odd-files/one/data/", ""))
        .collect();
    sent.sort();
    assert_eq!(sent, ["a/1", "a/2", "b/3", "c/4", "d"]);
    let mut odd: Vec<String> = applied
        .of_type("finding")
        .iter()
        .filter(|finding| finding["code"] == "odd-file")
        .map(|finding| finding["message"].as_str().unwrap().replacen("data/", "", 1).replace(&longest, "LONG"))
        .collect();
    odd.sort();
    let expected = [
        "`LONG/LONG/LONG/LONG/LONG` would need a key over 1,024 bytes",
        "`a/loop` is a link that leads back to one of its parents",
        "`broken` is a link to nothing",
        "`closed` cannot be read: permission denied",
        "`fifo` is not a regular file",
        "`leaves` is a link that leaves the source",
        "`locked` cannot be read: permission denied",
        "`not\\xffutf8` has a name that is not UTF-8",
    ];
    assert_eq!(odd, expected);

    let second = env.run_as_nobody(&["apply", "--local", "--yes", "--output", "json"]);
    let summary = second.summary();
    assert_eq!((second.code, &summary["done"], &summary["exit"]), (3, &0.into(), &3.into()), "{}", second.stdout);
    // Whoever runs the tests must be able to take the folder away again.
    fs::set_permissions(data.join("closed"), Permissions::from_mode(0o700)).unwrap();
}
