//! The verbs over an account, on the directory that `--local` keeps: real files, read by hand before and after.

use crate::testenv::{Ran, TestEnv, files_below};
use serde_json::{Value, json};
use std::fs;

const DIRECTORY: &str = ".bucketwright/local/directory";

fn document(action: &str) -> Value {
    json!({ "Version": "2012-10-17", "Statement": [
        { "Sid": "Own", "Effect": "Allow", "Action": action, "Resource": "arn:aws:s3:::lake/*" } ] })
}

struct Scene(TestEnv);

impl Scene {
    /// A policy and two roles, as somebody would write them by hand, and a cluster whose three node groups share two roles.
    fn new() -> Self {
        let scene = Self(TestEnv::new());
        scene.put("policies/Reader.json", &document("s3:GetObject"));
        scene.put("roles/trainer.json", &json!({ "path": "/ml/" }));
        scene.put("roles/analyst.json", &json!({ "policies": ["Reader"] }));
        let groups = [("cpu", "shared-node"), ("default", "shared-node"), ("gpu-1", "gpu-node")];
        let groups: String = groups
            .map(|(name, role)| format!("[[cluster.node_group]]\nname = \"{name}\"\nrole = \"{role}\"\n"))
            .concat();
        scene.0.write(&format!("{DIRECTORY}/directory.toml"), format!("[[cluster]]\nname = \"lab\"\n{groups}"));
        scene
    }

    fn put(&self, file: &str, value: &Value) {
        self.0.write(&format!("{DIRECTORY}/{file}"), value.to_string());
    }

    fn get(&self, file: &str) -> Value {
        serde_json::from_str(&fs::read_to_string(self.0.path(&format!("{DIRECTORY}/{file}"))).unwrap()).unwrap()
    }

    /// Four versions, the third of them in force, owned by layout `ml`.
    fn with_versions(self) -> Self {
        let version = |action: &str| json!({ "document": document(action), "created": "2026-11-01T00:00:00Z" });
        let versions = json!({ "v1": version("s3:PutObject"), "v2": version("s3:*"), "v3": version("s3:GetObject"),
            "v4": version("s3:DeleteObject") });
        let record = json!({ "path": "/", "tags": { "bucketwright:layout": "ml" }, "default": "v3", "last": "v4",
            "versions": versions });
        self.put("managed/Reader.json", &record);
        self
    }

    fn run(&self, code: i32, words: &[&str]) -> Ran {
        self.0.expect(code, &[&["policy"], words, &["--local"]].concat())
    }

    fn json(&self, code: i32, words: &[&str]) -> Ran {
        self.0.expect(code, &[&["policy"], words, &["--local", "--output", "json"]].concat())
    }

    /// The folder of the only backup.
    fn backup(&self, words: &[&str]) -> String {
        self.run(0, &[&["backup"], words, &["--to", "backups"]].concat());
        let account = self.0.path("backups/000000000000");
        let name = fs::read_dir(account).unwrap().next().unwrap().unwrap().file_name();
        format!("backups/000000000000/{}", name.to_str().unwrap())
    }
}

fn actions(ran: &Ran) -> Vec<String> {
    let one = |line: &Value| format!("{} {} {}", line["status"], line["action"], line["target"]).replace('"', "");
    ran.of_type("action").iter().map(one).collect()
}

#[test]
fn attach_adds_and_says_nothing_to_do_the_second_time() {
    let scene = Scene::new();
    scene.put("policies/Other.json", &document("s3:PutObject"));
    scene.put("roles/trainer.json", &json!({ "tags": { "team": "a" }, "policies": ["Other"], "path": "/ml/" }));
    let ran = scene.json(0, &["attach", "Reader", "--role", "arn:aws:iam::000000000000:role/ml/trainer"]);
    assert_eq!(ran.json()[0]["type"], "identity", "who acts is said first");
    assert_eq!(actions(&ran), ["done attach-policy arn:aws:iam::000000000000:policy/Reader to role trainer"]);
    let expected = json!({ "tags": { "team": "a" }, "policies": ["Other", "Reader"], "path": "/ml/" });
    assert_eq!(scene.get("roles/trainer.json"), expected, "what it is not about stays, in its order");
    let before = files_below(&scene.0.path(DIRECTORY));
    let again = scene.run(0, &["attach", "reader", "--role", "trainer"]);
    assert_eq!(again.stdout, "Attach: nothing to do, 1 has it already\n");
    assert_eq!(files_below(&scene.0.path(DIRECTORY)), before);
    let refused = scene.run(2, &["detach", "Reader", "--role", "role/trainer"]);
    assert!(
        refused.stdout.contains("would detach policy arn:aws:iam::000000000000:policy/Reader from role trainer"),
        "{}",
        refused.stdout
    );
    assert_eq!(files_below(&scene.0.path(DIRECTORY)), before, "nobody said yes");
    let ran = scene.json(0, &["detach", "Reader", "--role", "role/trainer", "--role", "nobody", "--yes"]);
    let text = "detach-policy arn:aws:iam::000000000000:policy/Reader from role trainer";
    assert_eq!(actions(&ran), [format!("planned {text}"), format!("done {text}")]);
    assert_eq!(scene.get("roles/trainer.json")["policies"], json!(["Other"]));
    let again = scene.run(0, &["detach", "Reader", "--role", "trainer"]);
    assert_eq!(again.stdout, "Detach: nothing to do, 1 does not have it\n");
}

#[test]
fn roles_of_node_groups_are_resolved_each_once() {
    let scene = Scene::new();
    let ran = scene.json(0, &["attach", "Reader", "--eks-cluster", "lab"]);
    assert_eq!(
        actions(&ran),
        [
            "done attach-policy arn:aws:iam::000000000000:policy/Reader to role shared-node",
            "done attach-policy arn:aws:iam::000000000000:policy/Reader to role gpu-node"
        ]
    );
    assert_eq!(ran.of_type("action")[0]["reason"], "node groups cpu, default of cluster lab");
    scene.run(0, &["detach", "Reader", "--eks-cluster", "lab", "--node-groups", "gpu-*", "--yes"]);
    assert_eq!(scene.get("roles/gpu-node.json")["policies"], json!([]));
    assert_eq!(scene.get("roles/shared-node.json")["policies"], json!(["Reader"]));
    let vain = scene.run(1, &["attach", "Reader", "--eks-cluster", "lab", "--node-groups", "cpu,tpu-*"]);
    assert!(
        vain.stderr.contains("cluster `lab` has no node group `tpu-*`; it has cpu, default, gpu-1"),
        "{}",
        vain.stderr
    );
    // A cluster that nobody described has one node group.
    let unknown = scene.json(0, &["attach", "Reader", "--eks-cluster", "education-eks"]);
    assert_eq!(unknown.of_type("action")[0]["reason"], "node group default of cluster education-eks");
}

#[test]
fn one_role_without_room_stops_all() {
    let scene = Scene::new();
    let names: Vec<String> = (0..10).map(|number| format!("p{number}")).collect();
    for name in &names {
        scene.put(&format!("policies/{name}.json"), &document("s3:GetObject"));
    }
    scene.put("roles/full.json", &json!({ "policies": names }));
    let before = files_below(&scene.0.path(DIRECTORY));
    let ran = scene.json(1, &["attach", "Reader", "--role", "trainer", "--role", "full"]);
    assert_eq!(ran.of_type("error")[0]["kind"], "limit-exceeded");
    assert_eq!(files_below(&scene.0.path(DIRECTORY)), before);
    let ran = scene.json(1, &["attach", "Reader", "--role", "nobody"]);
    assert_eq!(ran.of_type("error")[0]["kind"], "not-found");
}

#[test]
fn names_that_lead_elsewhere_are_refused() {
    let scene = Scene::new();
    for (words, code) in [
        (&["attach", "../roles/trainer", "--role", "trainer"][..], 2),
        (&["attach", "Reader", "--role", "../x"], 2),
        (&["attach", "Reader"], 2),
        (&["attach", "Reader", "--role", "trainer", "--node-groups", "x"], 2),
        (&["attach", "arn:aws:iam::111122223333:policy/Reader", "--role", "trainer"], 2),
        (&["attach", "Reader", "--role", "arn:aws:iam::111122223333:role/trainer"], 2),
        (&["attach", "Reader", "--eks-cluster", "../../x"], 1),
        (&["show", "Nothing"], 1),
        (&["show", "role/nobody"], 1),
        (&["rollback", "arn:aws:iam::aws:policy/ReadOnlyAccess"], 1),
    ] {
        scene.run(code, words);
    }
    assert_eq!(scene.get("roles/trainer.json"), json!({ "path": "/ml/" }));
}

#[test]
fn show_says_in_words_what_policies_and_roles_say() {
    let scene = Scene::new().with_versions();
    scene.put(
        "roles/analyst.json",
        &json!({ "policies": ["Reader"], "boundary": "Reader",
        "inline": { "own": document("s3:ListBucket") } }),
    );
    let ran = scene.run(0, &["show", "role/analyst"]);
    let policy = "\
Reader  arn:aws:iam::000000000000:policy/Reader
  v3 in force, made 2026-11-01T00:00:00Z, 126 characters; also kept: v4, v2, v1
  owned by layout ml
  attached to role analyst, analyst as its boundary
  Own: Effect Allow; Action s3:GetObject; Resource arn:aws:s3:::lake/*
";
    let expected = format!(
        "\
role analyst  arn:aws:iam::000000000000:role/analyst
  no use is known of the last 400 days
  bounded by arn:aws:iam::000000000000:policy/Reader
  may be taken by
    statement 1: Effect Allow; Principal arn:aws:iam::000000000000:root; Action
      sts:AssumeRole
  attached: arn:aws:iam::000000000000:policy/Reader
  inline: own
    Own: Effect Allow; Action s3:ListBucket; Resource arn:aws:s3:::lake/*

{policy}
{policy}"
    );
    assert_eq!(ran.stdout, expected);
    let shown = scene.json(0, &["show", "Reader"]);
    let shown = &shown.of_type("managed-policy")[0];
    assert_eq!(shown["default_version"]["document"], document("s3:GetObject"));
    assert_eq!(shown["attachments"]["boundary_of"], json!(["analyst"]));
    scene.0.write("layout.toml", layout("Missing"));
    let ran = scene.json(4, &["show", "layout.toml"]);
    assert_eq!(ran.of_type("finding")[0]["code"], "policy-missing");
}

fn layout(policy: &str) -> String {
    format!(
        "version = 1\n[[bucket]]\nname = \"lake-of-ml\"\ntemplate = \"t\"\nprojects = [\"a\"]\n\
         [[grant]]\npolicy = \"{policy}\"\naccess = \"read\"\non = [\"lake-of-ml\"]\nattach = [{{ role = \"trainer\" }}]\n\
         [template.t]\nfolders = [{{ path = \"data\", access = \"read\" }}]\n"
    )
}

#[test]
fn log_tells_what_each_version_changed() {
    let scene = Scene::new().with_versions();
    let ran = scene.json(0, &["log", "Reader"]);
    let versions: Vec<String> =
        ran.of_type("policy-version").iter().map(|one| format!("{}{}", one["version"], one["in_force"])).collect();
    assert_eq!(versions, ["\"v4\"false", "\"v3\"true", "\"v2\"false", "\"v1\"false"]);
    let cells: Vec<String> = ran
        .of_type("cell")
        .iter()
        .map(|cell| format!("{} {} {}", cell["principal"], cell["turn"], cell["operation"]).replace('"', ""))
        .collect();
    assert!(cells.contains(&"Reader v3 -> v4 opens delete".to_owned()), "{cells:?}");
    assert!(cells.contains(&"Reader v3 -> v4 closes get".to_owned()), "{cells:?}");
    let diff = scene.json(4, &["diff", "Reader@v3", "Reader@v2", "--fail-on", "widen"]);
    assert!(diff.of_type("cell").iter().any(|cell| cell["turn"] == "opens" && cell["operation"] == "put"));
    scene.run(0, &["diff", "Reader@default", "Reader@v3", "--fail-on", "change"]);
    scene.run(1, &["diff", "Reader@v3", "Reader@v9"]);
    // A file of that name comes first.
    scene.0.write("Reader@v2", document("s3:GetObject").to_string());
    scene.run(0, &["diff", "Reader@v3", "Reader@v2", "--fail-on", "change"]);
}

#[test]
fn rollback_names_everybody_and_asks_first() {
    let scene = Scene::new().with_versions();
    let before = files_below(&scene.0.path(DIRECTORY));
    let refused = scene.run(2, &["rollback", "Reader"]);
    assert!(refused.stdout.contains("it counts at once for role analyst"), "{}", refused.stdout);
    assert!(refused.stdout.contains("+ opens"), "what changes is shown: {}", refused.stdout);
    assert_eq!(files_below(&scene.0.path(DIRECTORY)), before);
    let ran = scene.json(0, &["rollback", "Reader", "--yes"]);
    assert_eq!(ran.of_type("finding")[0]["code"], "owned-by-layout");
    assert_eq!(
        actions(&ran),
        [
            "planned set-default-version arn:aws:iam::000000000000:policy/Reader@v2",
            "done set-default-version arn:aws:iam::000000000000:policy/Reader@v2"
        ]
    );
    assert_eq!(scene.get("policies/Reader.json"), document("s3:*"));
    assert_eq!(scene.get("managed/Reader.json")["default"], "v2");
    let again = scene.run(0, &["rollback", "Reader", "--to", "v2"]);
    assert_eq!(again.stdout, "Rollback: nothing to do, v2 of Reader is in force\n");
    scene.run(1, &["rollback", "Reader", "--to", "v9", "--yes"]);
    scene.run(0, &["rollback", "Reader", "--to", "v1", "--yes"]);
    scene.run(1, &["rollback", "Reader", "--yes"]);
}

#[test]
fn a_backup_puts_back_what_was_lost() {
    let scene = Scene::new().with_versions();
    scene.put(
        "roles/trainer.json",
        &json!({ "path": "/ml/", "description": "trains", "policies": ["Reader"],
        "boundary": "Reader", "inline": { "own": document("s3:ListBucket") }, "tags": { "team": "a" } }),
    );
    let shown = |what: &str| {
        let mut shown = scene.json(0, &["show", what]).json().remove(0);
        for field in ["created", "versions"] {
            shown.as_object_mut().unwrap().remove(field);
        }
        for field in ["created", "version"] {
            shown.get_mut("default_version").and_then(Value::as_object_mut).map(|version| version.remove(field));
        }
        shown
    };
    let (policy, role) = (shown("Reader"), shown("role/trainer"));
    let folder = scene.backup(&[]);
    assert!(scene.0.path(&folder).join("policies/Reader~v4.json").exists());
    let nothing = scene.run(0, &["restore", &folder]);
    assert!(nothing.stdout.starts_with("Restore: nothing to do"), "{}", nothing.stdout);
    for file in ["policies/Reader.json", "managed/Reader.json", "roles/trainer.json"] {
        fs::remove_file(scene.0.path(&format!("{DIRECTORY}/{file}"))).unwrap();
    }
    scene.put("roles/analyst.json", &json!({}));
    scene.run(2, &["restore", &folder]);
    let ran = scene.json(0, &["restore", &folder, "--yes"]);
    assert_eq!(ran.summary()["done"], 6, "{:?}", actions(&ran));
    assert_eq!((shown("Reader"), shown("role/trainer")), (policy, role), "the round trip is equal");
    assert_eq!(scene.json(0, &["restore", &folder, "--yes"]).summary()["done"], 0);
}

#[test]
fn restore_leaves_alone_what_is_not_its_own() {
    let scene = Scene::new().with_versions();
    let folder = scene.backup(&["Reader"]);
    let mut record = scene.get("managed/Reader.json");
    record["tags"]["bucketwright:layout"] = json!("theirs");
    scene.put("managed/Reader.json", &record);
    scene.put("policies/Reader.json", &document("s3:*"));
    let before = files_below(&scene.0.path(DIRECTORY));
    let ran = scene.json(3, &["restore", &folder, "--yes"]);
    assert_eq!(ran.of_type("finding")[0]["code"], "owned-by-another");
    assert_eq!(files_below(&scene.0.path(DIRECTORY)), before);
    let file = scene.0.path(&folder).join("policies/Reader.json");
    fs::write(&file, document("s3:*").to_string()).unwrap();
    let ran = scene.json(2, &["restore", &folder, "--yes"]);
    let message = ran.of_type("error")[0]["message"].to_string();
    assert!(message.contains("its SHA-256 differs"), "{message}");
    scene.run(1, &["backup", "Nothing", "--to", "backups"]);
    let hint = scene.run(2, &["restore", "backups"]);
    assert!(hint.stderr.contains(&format!("the newest backup below is `{folder}`")), "{}", hint.stderr);
}

#[test]
fn a_layout_is_backed_up_with_its_buckets() {
    let scene = Scene::new();
    scene.0.write("layout.toml", layout("Reader"));
    // The grant's policy was made by hand, so `apply` would refuse the layout as a whole.
    scene.0.expect(0, &["apply", "layout.toml", "--local", "--yes", "--only", "settings,markers"]);
    let folder = scene.backup(&["layout.toml"]);
    let manifest = fs::read_to_string(scene.0.path(&folder).join("manifest.json")).unwrap();
    let manifest: Value = serde_json::from_str(&manifest).unwrap();
    let names = |list: &str, field: &str| -> Vec<String> {
        let entries = manifest[list].as_array().unwrap().iter();
        entries.map(|entry| entry[field].as_str().unwrap().rsplit('/').next().unwrap().to_owned()).collect()
    };
    assert_eq!(names("policies", "arn"), ["Reader"]);
    assert_eq!(names("roles", "arn"), ["analyst", "trainer"]);
    assert_eq!(names("buckets", "bucket"), ["lake-of-ml"]);
    assert!(scene.0.path(&folder).join("buckets/lake-of-ml/policy.json").exists());
    assert!(scene.0.path(&folder).join("buckets/lake-of-ml/lifecycle.json").exists());
}

#[test]
fn a_policy_of_several_parts_is_shown_and_backed_up_with_all_of_them() {
    let scene = Scene::new();
    let projects: Vec<String> = (0..70).map(|number| format!("a-rather-long-name-of-a-project-{number:02}")).collect();
    let listed = |before: &str| {
        let quoted: Vec<String> = projects.iter().map(|project| format!("\"{before}{project}\"")).collect();
        quoted.join(", ")
    };
    let text = layout("Large")
        .replace("projects = [\"a\"]", &format!("projects = [{}]", listed("")))
        .replace("on = [\"lake-of-ml\"]", &format!("on = [{}]", listed("lake-of-ml/")));
    scene.0.write("layout.toml", text);
    scene.0.expect(0, &["apply", "layout.toml", "--local", "--yes", "--only", "grants"]);
    let shown = scene.json(0, &["show", "layout.toml"]);
    let names: Vec<Value> = shown.of_type("managed-policy").iter().map(|policy| policy["name"].clone()).collect();
    assert!(names.len() > 1 && names[0] == "Large-1" && names[1] == "Large-2", "{names:?}");
    let folder = scene.backup(&["layout.toml"]);
    let manifest = fs::read_to_string(scene.0.path(&folder).join("manifest.json")).unwrap();
    let manifest: Value = serde_json::from_str(&manifest).unwrap();
    assert_eq!(manifest["policies"].as_array().unwrap().len(), names.len(), "{manifest}");
}

#[test]
fn a_role_of_the_directory_has_no_rights_over_it() {
    let scene = Scene::new();
    scene.0.write("layout.toml", layout("Reader"));
    let before = files_below(&scene.0.path(DIRECTORY));
    for words in [
        &["attach", "Reader", "--role", "trainer", "--as", "trainer"][..],
        &["show", "Reader", "--as", "trainer"],
        &["show", "layout.toml", "--as", "trainer"],
        &["backup", "layout.toml", "--to", "backups", "--as", "trainer"],
    ] {
        let ran = scene.json(1, words);
        assert_eq!(ran.of_type("error")[0]["kind"], "denied", "{words:?}: {}", ran.stdout);
    }
    assert_eq!(files_below(&scene.0.path(DIRECTORY)), before);
}

#[test]
fn a_mistake_in_the_directory_names_the_file() {
    let scene = Scene::new();
    scene.0.write(&format!("{DIRECTORY}/roles/trainer.json"), r#"{"polices": []}"#);
    let ran = scene.json(2, &["attach", "Reader", "--role", "trainer"]);
    let error = &ran.of_type("error")[0];
    assert_eq!(error["kind"], "directory");
    assert!(error["message"].to_string().contains("roles/trainer.json`: polices: unknown"), "{error}");
}
