//! `policy prune` on the directory that `--local` keeps: what goes, what stays, and the way back.

use crate::testenv::{Ran, TestEnv, files_below};
use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;

const DIRECTORY: &str = ".bucketwright/local/directory";
const BACKUPS: &str = ".bucketwright/backups";

fn document(action: &str) -> Value {
    json!({ "Version": "2012-10-17", "Statement": [
        { "Sid": "Own", "Effect": "Allow", "Action": action, "Resource": "arn:aws:s3:::lake/*" } ] })
}

struct Scene(TestEnv);

impl Scene {
    /// Policies of the layout `ml` that nobody has (`Old`) and that a role has (`Used`), each with four versions of which
    /// the third is in force; one that bounds a role; and one that somebody made by hand.
    fn new() -> Self {
        let scene = Self(TestEnv::new());
        for name in ["Old", "Used", "Fence"] {
            scene.policy(name, "ml", "2026-01-02T00:00:00Z");
        }
        scene.put("policies/ByHand.json", &document("s3:GetObject"));
        scene.put("roles/trainer.json", &json!({ "policies": ["Used"], "boundary": "Fence" }));
        scene
    }

    fn policy(&self, name: &str, owner: &str, created: &str) {
        let version = |action: &str| json!({ "document": document(action), "created": created });
        let versions = json!({ "v1": version("s3:PutObject"), "v2": version("s3:*"), "v3": version("s3:GetObject"),
            "v4": version("s3:DeleteObject") });
        let record = json!({ "path": "/ml/", "description": "reads the lake", "created": created,
            "tags": { "bucketwright:layout": owner }, "default": "v3", "last": "v4", "versions": versions });
        self.put(&format!("policies/{name}.json"), &document("s3:GetObject"));
        self.put(&format!("managed/{name}.json"), &record);
    }

    fn put(&self, file: &str, value: &Value) {
        self.0.write(&format!("{DIRECTORY}/{file}"), value.to_string());
    }

    fn files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        files_below(&self.0.path(DIRECTORY))
    }

    fn text(&self, code: i32, words: &[&str]) -> Ran {
        self.0.expect(code, &[&["policy", "prune"], words, &["--local"]].concat())
    }

    fn json(&self, code: i32, words: &[&str]) -> Ran {
        self.0.expect(code, &[&["policy", "prune"], words, &["--local", "--output", "json"]].concat())
    }

    /// The policies that there are.
    fn there(&self) -> Vec<String> {
        let entries = fs::read_dir(self.0.path(&format!("{DIRECTORY}/policies"))).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().to_string_lossy().replace(".json", "")).collect();
        names.sort();
        names
    }

    /// The folder of the only backup.
    fn backup(&self) -> String {
        let account = self.0.path(&format!("{BACKUPS}/000000000000"));
        let names: Vec<_> = fs::read_dir(account).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names.len(), 1, "{names:?}");
        format!("{BACKUPS}/000000000000/{}", names[0].to_str().unwrap())
    }
}

/// `status action TARGET`, with names for ARNs.
fn actions(ran: &Ran) -> Vec<String> {
    let one = |line: &Value| {
        let target = line["target"].as_str().unwrap().replace("arn:aws:iam::000000000000:policy/ml/", "");
        format!("{} {} {target}", line["status"].as_str().unwrap(), line["action"].as_str().unwrap())
    };
    ran.of_type("action").iter().filter(|line| line["action"] != "write-backup").map(one).collect()
}

fn codes(ran: &Ran) -> Vec<String> {
    ran.of_type("finding").iter().map(|finding| finding["code"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn what_nobody_has_goes_after_a_backup_and_comes_back() {
    let scene = Scene::new();
    let shown = || {
        let ran = scene.0.expect(0, &["policy", "show", "Old", "--local", "--output", "json"]);
        let mut shown = ran.json().remove(0);
        shown.as_object_mut().unwrap().remove("versions");
        for field in ["created", "version"] {
            shown["default_version"].as_object_mut().unwrap().remove(field);
        }
        shown
    };
    let before = scene.files();
    let asked = scene.text(2, &["--unattached"]);
    assert!(asked.stdout.contains("would delete policy arn:aws:iam::000000000000:policy/ml/Old"), "{}", asked.stdout);
    assert!(asked.stderr.contains("pass `--yes`"), "{}", asked.stderr);
    assert_eq!((scene.files(), scene.0.path(BACKUPS).exists()), (before, false), "nothing before somebody said yes");

    let old = shown();
    let ran = scene.json(0, &["--unattached", "--yes"]);
    let steps = [
        "delete-policy-version Old@v4",
        "delete-policy-version Old@v2",
        "delete-policy-version Old@v1",
        "delete-policy Old",
    ];
    let told = |status: &str| steps.map(|step| format!("{status} {step}")).to_vec();
    assert_eq!(actions(&ran), [told("planned"), told("done")].concat());
    assert_eq!(scene.there(), ["ByHand", "Fence", "Used"]);
    let folder = scene.backup();
    assert!(scene.0.path(&folder).join("policies/ml/Old~v4.json").exists(), "every version is kept");
    let again = scene.text(0, &["--unattached", "--yes"]);
    assert_eq!(again.stdout, "Prune: nothing to do\n");

    scene.0.expect(0, &["policy", "restore", &folder, "--local", "--yes"]);
    assert_eq!(shown(), old, "the round trip is equal");
}

#[test]
fn what_is_named_and_may_not_go_stops_all() {
    let scene = Scene::new();
    let before = scene.files();
    for (words, expected) in [
        (&["Old", "Used"][..], &["in-use"][..]),
        (&["Fence"], &["in-use"]),
        (&["Old", "ByHand"], &["not-ours"]),
        (&["ByHand", "Used"], &["not-ours", "in-use"]),
    ] {
        let ran = scene.json(1, &[words, &["--yes"]].concat());
        assert_eq!(codes(&ran), expected, "{words:?}");
    }
    assert_eq!((scene.files(), scene.0.path(BACKUPS).exists()), (before, false));
    for words in [
        &[][..],
        &["--older-than", "1d"],
        &["Old", "--unattached"],
        &["--unattached", "--foreign"],
        &["Old", "--keep-versions", "0"],
        &["Old", "--keep-versions", "6"],
        &["arn:aws:iam::aws:policy/ReadOnlyAccess"],
        &["arn:aws:iam::111122223333:policy/Old"],
    ] {
        let ran = scene.0.run(&[&["policy", "prune"], words, &["--yes", "--local"]].concat());
        assert!(matches!(ran.code, 1 | 2) && !ran.stderr.is_empty(), "{words:?}: {}", ran.code);
    }
    let ran = scene.json(0, &["ByHand", "--foreign", "--yes"]);
    assert_eq!(ran.summary()["done"], 1);
    let gone = scene.json(0, &["ByHand", "--foreign", "--yes"]);
    assert_eq!((codes(&gone), gone.summary()["done"].clone()), (vec!["policy-missing".to_owned()], json!(0)));
    assert_eq!(scene.there(), ["Fence", "Old", "Used"]);
}

#[test]
fn old_versions_go_and_the_policy_stays_in_force() {
    let scene = Scene::new();
    let ran = scene.json(0, &["Used", "--keep-versions", "2", "--yes"]);
    let done: Vec<String> = actions(&ran).split_off(2);
    assert_eq!(done, ["done delete-policy-version Used@v2", "done delete-policy-version Used@v1"]);
    let shown = scene.0.expect(0, &["policy", "show", "Used", "--local", "--output", "json"]);
    let shown = &shown.of_type("managed-policy")[0];
    assert_eq!((&shown["versions"], &shown["default_version"]["version"]), (&json!(["v4", "v3"]), &json!("v3")));
    assert_eq!(shown["attachments"]["roles"], json!(["trainer"]));
    assert_eq!(scene.json(0, &["Used", "--keep-versions", "2", "--yes"]).summary()["done"], 0);
    // Without names it is about all that carry an owner tag.
    assert_eq!(scene.json(0, &["--keep-versions", "1", "--yes"]).summary()["done"], 7);
    assert_eq!(scene.there(), ["ByHand", "Fence", "Old", "Used"]);
}

#[test]
fn age_and_layout_narrow_what_goes() {
    let scene = Scene::new();
    scene.policy("Young", "ml", "2999-01-02T00:00:00Z");
    scene.policy("Theirs", "theirs", "2026-01-02T00:00:00Z");
    scene.policy("Reader", "ml", "2026-01-02T00:00:00Z");
    scene.0.write(
        "ml.toml",
        "version = 1\n[[bucket]]\nname = \"lake-of-ml\"\ntemplate = \"t\"\nprojects = [\"a\"]\n\
         [[grant]]\npolicy = \"Reader\"\naccess = \"read\"\non = [\"lake-of-ml\"]\nattach = []\n\
         [template.t]\nfolders = [{ path = \"data\", access = \"read\" }]\n",
    );
    let planned = |words: &[&str]| {
        let ran =
            scene.0.run(&[&["policy", "prune", "--unattached"], words, &["--local", "--output", "json"]].concat());
        let planned =
            actions(&ran).into_iter().filter_map(|line| line.strip_prefix("planned delete-policy ").map(str::to_owned));
        planned.collect::<Vec<_>>()
    };
    assert_eq!(planned(&[]), ["Old", "Reader", "Theirs", "Young"]);
    assert_eq!(planned(&["--older-than", "90d"]), ["Old", "Reader", "Theirs"]);
    assert_eq!(planned(&["--older-than", "90d", "--layout", "ml.toml"]), ["Old"]);
    let named = scene.json(1, &["Reader", "--layout", "ml.toml", "--yes"]);
    assert_eq!(codes(&named), ["in-layout"]);
}
