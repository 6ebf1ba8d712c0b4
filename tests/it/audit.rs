//! `policy audit` on the directory that `--local` keeps: what it finds, what is accepted, and which exit code that is.

use crate::doctor::shown;
use crate::testenv::{Ran, TestEnv, files_below};
use serde_json::{Value, json};
use std::fs;

const STORE: &str = ".bucketwright/local";
const LAYOUT: &str = r#"version = 1
layout = "ml-workflows"

[[bucket]]
name = "bsingh-ml-workflows"
template = "ml-project"
projects = ["credit-scoring"]
waive = { access-log = "no log bucket yet" }
"#;
const GRANT: &str = r#"
[[grant]]
policy = "FlyteMLS3Access"
access = "read-write"
on = ["bsingh-ml-workflows"]
attach = [{ role = "trainer" }]
"#;

fn document(sid: &str, action: &str, resource: &str) -> Value {
    json!({ "Version": "2012-10-17", "Statement": [
        { "Sid": sid, "Effect": "Allow", "Action": action, "Resource": resource } ] })
}

struct Scene(TestEnv);

impl Scene {
    /// An account in which everything is as the layout says.
    fn new() -> Self {
        let scene = Self(TestEnv::new());
        scene.0.write("layout.toml", format!("{LAYOUT}{GRANT}"));
        scene.put("roles/trainer.json", &json!({}));
        scene.0.expect(0, &["apply", "--local", "--yes"]);
        scene
    }

    fn put(&self, file: &str, value: &Value) {
        self.0.write(&format!("{STORE}/directory/{file}"), value.to_string());
    }

    fn edit(&self, file: &str, change: impl FnOnce(&mut Value)) {
        let path = self.0.path(&format!("{STORE}/directory/{file}"));
        let mut value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        change(&mut value);
        fs::write(path, value.to_string()).unwrap();
    }

    /// What somebody left behind: a policy for nobody, one that is too wide under a name that says nothing, a user.
    fn littered(self) -> Self {
        self.put("policies/OldReader.json", &document("Read", "s3:GetObject", "arn:aws:s3:::lake/*"));
        self.put("policies/test-policy.json", &document("Everything", "s3:*", "*"));
        self.put("roles/analyst.json", &json!({ "policies": ["test-policy"] }));
        self.put("users/alice.json", &json!({}));
        self
    }

    fn text(&self, code: i32, words: &[&str]) -> Ran {
        self.0.expect(code, &[&["policy", "audit"], words, &["--local"]].concat())
    }

    fn json(&self, code: i32, words: &[&str]) -> Ran {
        self.0.expect(code, &[&["policy", "audit"], words, &["--local", "--output", "json"]].concat())
    }
}

/// What is new, as `code target place`.
fn new(ran: &Ran) -> Vec<String> {
    let is_new = |finding: &&Value| finding.get("accepted").is_none();
    let text = |finding: &Value, field: &str| finding[field].as_str().unwrap_or_default().to_owned();
    let findings = ran.of_type("finding");
    let new = findings.iter().filter(is_new).map(|finding| {
        let target = text(finding, "target").replace("arn:aws:iam::000000000000:", "");
        format!("{} {target} {}", text(finding, "code"), text(finding, "place")).trim_end().to_owned()
    });
    new.collect()
}

const LITTER: [&str; 4] = [
    "audit-unattached policy/OldReader",
    "BW_S3_FULL_ACCESS policy/test-policy /Statement/Everything",
    "audit-name policy/test-policy",
    "audit-static-key user/alice",
];

#[test]
fn an_account_in_order_has_nothing_to_tell() {
    let scene = Scene::new();
    let before = files_below(&scene.0.path(&format!("{STORE}/directory")));
    let ran = scene.json(0, &["--fail-on", "warning"]);
    assert_eq!(new(&ran), [""; 0]);
    let ran = scene.json(0, &["layout.toml", "--fail-on", "warning"]);
    assert_eq!(new(&ran), [""; 0]);
    let waived = &ran.of_type("check")[0];
    assert_eq!((&waived["check"], &waived["verdict"]), (&json!("access-log"), &json!("waived")));
    let after = files_below(&scene.0.path(&format!("{STORE}/directory")));
    assert!(after == before, "an audit writes nothing");
}

#[test]
fn what_was_left_behind_is_found_with_its_evidence() {
    let scene = Scene::new().littered();
    let ran = scene.json(0, &[]);
    assert_eq!(new(&ran), LITTER, "without a baseline warnings alone do not fail");
    let findings = ran.of_type("finding");
    assert_eq!(findings[0]["evidence"], json!(["no owner tag: this tool did not make it"]));
    assert_eq!(findings[1]["evidence"], json!(["v1 is in force; attached to role analyst"]));
    assert_eq!(findings[1]["path"], "/Statement/0");
    assert_eq!(findings[3]["evidence"], json!(["no record of its use is kept here"]));
    scene.json(4, &["--fail-on", "security-warning"]);
    scene.json(0, &["--fail-on", "security-warning", "--only", "keys,buckets"]);
    assert_eq!(new(&scene.json(4, &["--only", "keys", "--fail-on", "warning"])), LITTER[3..]);
    // The user who asks is told of their own key.
    let ran = scene.json(3, &["--only", "keys", "--as", "user/alice"]);
    assert_eq!(new(&ran), ["account-hidden account/users the list of users", "audit-caller-key user/alice"]);
    scene.text(2, &["--only", "grants"]);
    scene.text(2, &["--env", "prod"]);
}

#[test]
fn a_baseline_accepts_what_was_looked_at_and_nothing_else() {
    let scene = Scene::new().littered();
    let write = ["--write-baseline", "audit.toml", "--reason", "as it was when we came"];
    let ran = scene.json(0, &write);
    assert_eq!(new(&ran), [""; 0], "what is accepted is not new");
    let accepted = &ran.of_type("finding")[0]["accepted"];
    assert_eq!(accepted, &json!({ "reason": "as it was when we came" }));
    let with = ["--baseline", "audit.toml"];
    let ran = scene.text(0, &with);
    assert_eq!(ran.stdout, "Audit: nothing new, 4 accepted\n");
    let first = fs::read_to_string(scene.0.path("audit.toml")).unwrap();

    scene.put("policies/Another.json", &document("Read", "s3:GetObject", "arn:aws:s3:::lake/*"));
    assert_eq!(new(&scene.json(4, &with)), ["audit-unattached policy/Another"]);
    scene.json(0, &["--baseline", "audit.toml", "--fail-on", "security-warning"]);

    // What is gone is told, and goes with the next writing; reasons stay.
    fs::remove_file(scene.0.path(&format!("{STORE}/directory/policies/OldReader.json"))).unwrap();
    let again = ["--write-baseline", "audit.toml", "--reason", "later", "--until", "2999-12-31"];
    scene.json(0, &[&with[..], &again].concat());
    let second = fs::read_to_string(scene.0.path("audit.toml")).unwrap();
    assert!(first.contains("OldReader") && !second.contains("OldReader"), "{second}");
    assert_eq!(second.matches("as it was when we came").count(), 3, "{second}");
    assert!(second.contains("reason = \"later\"\nuntil = \"2999-12-31\""), "{second}");
    fs::remove_file(scene.0.path(&format!("{STORE}/directory/policies/Another.json"))).unwrap();
    let ran = scene.json(0, &with);
    assert_eq!(new(&ran), ["audit-baseline-idle audit.toml"]);
    assert_eq!(new(&scene.json(0, &["--baseline", "audit.toml", "--only", "keys"])), [""; 0]);

    scene.0.write("audit.toml", second.replace("2999", "2020").replace("Another", "OldReader"));
    scene.put("policies/OldReader.json", &document("Read", "s3:GetObject", "arn:aws:s3:::lake/*"));
    let ran = scene.json(4, &with);
    assert_eq!(new(&ran), ["audit-unattached policy/OldReader"]);
    let evidence = ran.of_type("finding")[0]["evidence"].to_string();
    assert!(evidence.contains("it was accepted until 2020-12-31: later"), "{evidence}");
}

#[test]
fn a_baseline_is_read_strictly() {
    let scene = Scene::new();
    for (text, words) in [
        ("version = 2\n", "version 2"),
        ("version = 1\n[[accepted]]\ncode = \"x\"\n", "missing field"),
        ("nonsense", "audit.toml"),
    ] {
        scene.0.write("audit.toml", text);
        let ran = scene.text(2, &["--baseline", "audit.toml"]);
        assert!(ran.stderr.contains(words), "{text}: {}", ran.stderr);
    }
    scene.text(2, &["--baseline", "missing.toml"]);
    scene.text(2, &["--write-baseline", "audit.toml"]);
    scene.text(2, &["--reason", "none"]);
}

#[test]
fn drift_from_the_layout_is_an_error() {
    let scene = Scene::new();
    scene.edit("roles/trainer.json", |role| role["policies"] = json!([]));
    let ran = scene.json(4, &["layout.toml"]);
    assert_eq!(new(&ran), ["audit-drift role/trainer attach-policy FlyteMLS3Access to trainer"]);
    assert_eq!(ran.summary()["failed"], 1);
    scene.0.expect(0, &["apply", "--local", "--yes"]);
    let wide = document("Wide", "s3:*", "arn:aws:s3:::bsingh-ml-workflows/*");
    scene.put("policies/FlyteMLS3Access.json", &wide);
    let ran = scene.json(4, &["layout.toml", "--only", "grants"]);
    let drifted = "audit-drift policy/FlyteMLS3Access create-policy-version FlyteMLS3Access";
    assert_eq!(new(&ran), [drifted]);
    scene.0.expect(0, &["apply", "--local", "--yes"]);

    scene.0.write("layout.toml", LAYOUT);
    let ran = scene.json(4, &["layout.toml"]);
    let left = "audit-left-layout policy/FlyteMLS3Access";
    assert_eq!(new(&ran), [left, "audit-drift role/trainer detach-policy FlyteMLS3Access from trainer"]);
    scene.0.expect(0, &["apply", "--local", "--yes"]);
    assert_eq!(new(&scene.json(0, &["layout.toml"])), [left]);
    assert_eq!(new(&scene.json(0, &[])), ["audit-unattached policy/FlyteMLS3Access"]);
}

#[test]
fn what_may_not_be_read_is_exit_3() {
    let scene = Scene::new();
    scene.put("roles/nobody.json", &json!({}));
    let ran = scene.json(3, &["layout.toml", "--as", "nobody", "--only", "buckets"]);
    assert_eq!(new(&ran), ["account-hidden s3://bsingh-ml-workflows the bucket"]);
    let ran = scene.json(3, &["layout.toml", "--as", "nobody", "--only", "grants"]);
    assert_eq!(new(&ran), ["no-iam ml-workflows"]);
    let ran = scene.json(3, &["--as", "nobody", "--only", "buckets"]);
    assert_eq!(new(&ran), ["account-hidden account/buckets the list of buckets"]);
    let ran = scene.json(3, &["layout.toml", "--as", "nobody", "--only", "policies,keys"]);
    let lists = ["policies", "roles", "users"].map(|list| format!("account-hidden account/{list} the list of {list}"));
    assert_eq!(new(&ran), lists, "the directory tells nobody but its owner");
    scene.0.expect(1, &["policy", "prune", "--unattached", "--layout", "layout.toml", "--local", "--as", "nobody"]);
    // Somebody may accept that as well.
    let accepted = ["--as", "nobody", "--only", "buckets", "--write-baseline", "audit.toml", "--reason", "by design"];
    scene.json(0, &accepted);
    scene.json(0, &["--as", "nobody", "--only", "buckets", "--baseline", "audit.toml"]);
}

#[test]
fn buckets_without_secure_defaults_are_found() {
    let scene = Scene::new();
    // Made by hand beside the layout, as `aws s3 mb` would.
    scene.0.write(
        "other.toml",
        LAYOUT
            .replace("ml-workflows", "scratch")
            .replace("waive = {", "waive = { versioning = \"x\", tls-only = \"x\","),
    );
    scene.0.expect(0, &["apply", "other.toml", "--local", "--yes"]);
    let ran = scene.json(0, &["--only", "buckets"]);
    let tls = "audit-bucket s3://bsingh-scratch tls-only";
    assert_eq!(new(&ran), [tls, "audit-bucket s3://bsingh-scratch versioning"]);
    let evidence = ran.of_type("finding")[0]["evidence"].to_string();
    assert!(evidence.contains("layout `scratch` owns it"), "{evidence}");
    let ran = scene.json(0, &["other.toml", "--only", "buckets"]);
    assert_eq!((new(&ran), ran.of_type("check").len()), (vec![], 3));
}

#[test]
fn the_pages_show_what_is_printed() {
    let page = &page("audit.md");
    let scene = Scene::new().littered();
    let ran = scene.text(4, &["--fail-on", "security-warning"]);
    assert!(ran.stdout.lines().all(|line| line.chars().count() <= 80), "{}", ran.stdout);
    shown(page, "What it prints", &ran);
    let ran = scene.0.expect(0, &["policy", "prune", "OldReader", "--foreign", "--local", "--yes"]);
    shown(page, "Deleting what nobody has", &Ran { stdout: without_times(&ran.stdout), ..ran });
}

fn page(name: &str) -> String {
    fs::read_to_string(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(name)).unwrap()
}

/// The name of a backup's folder is the time.
fn without_times(text: &str) -> String {
    let mut out = String::new();
    for part in text.split_inclusive("/000000000000/") {
        match part.find('Z').filter(|_| part.starts_with("20")) {
            Some(end) => {
                out.push_str("TIME");
                out.push_str(&part[end + 1..]);
            }
            None => out.push_str(part),
        }
    }
    out
}

/// The page names every code that the source has.
#[test]
fn every_code_has_a_row() {
    let page = page("audit.md");
    let source = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/audit");
    let mut codes = std::collections::BTreeSet::new();
    for (path, content) in files_below(&source) {
        let text = String::from_utf8(content).unwrap();
        let quoted = text.split('"').filter(|part| part.starts_with("audit-") && !path.ends_with("tests.rs"));
        codes.extend(quoted.filter(|part| !part.contains(' ')).map(str::to_owned));
    }
    assert!(codes.len() > 10, "{codes:?}");
    for code in codes {
        assert!(code == "audit-" || page.contains(&format!("`{code}`")), "{code}");
    }
}
