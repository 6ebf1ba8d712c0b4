//! The linter against documents with one planted defect each, and clean ones; and the verb as people run it.

use bucketwright::model::BucketName;
use bucketwright::policy::lint::{PolicyType, Subject, lint};
use bucketwright::report::{Finding, Severity};
use serde_json::{Value, json};

use crate::testenv::TestEnv;

/// True if a finding at `found` is about what stands at `wanted`: there, inside of it, or at the statement around it.
fn is_at(found: &str, wanted: &str) -> bool {
    let inside = found == wanted || found.strip_prefix(wanted).is_some_and(|rest| rest.starts_with('/'));
    let mut steps = wanted.splitn(4, '/').skip(1);
    let statement = match (steps.next(), steps.next()) {
        (Some("Statement"), Some(index)) => Some(format!("/Statement/{index}")),
        _ => None,
    };
    inside || statement.is_some_and(|statement| statement == found)
}

fn texts<'a>(case: &'a Value, name: &str) -> Vec<&'a str> {
    case[name].as_array().map(|list| list.iter().filter_map(Value::as_str).collect()).unwrap_or_default()
}

/// What the format's rule has against the findings.
fn objections(case: &Value, findings: &[Finding]) -> Vec<String> {
    let mut objections = Vec::new();
    let expected = case["expected"].as_array().unwrap();
    let accept = texts(case, "accept");
    for wanted in expected {
        let (code, path) = (wanted["code"].as_str().unwrap(), wanted["path"].as_str().unwrap());
        let matching: Vec<&Finding> = findings
            .iter()
            .filter(|finding| finding.code == code || accept.contains(&finding.code))
            .filter(|finding| is_at(finding.path.as_deref().unwrap_or_default(), path))
            .collect();
        if matching.is_empty() {
            objections.push(format!("no {code} at `{path}`"));
        }
        let severity = wanted["severity"].as_str().unwrap();
        if matching.iter().all(|finding| finding.code == code && finding.severity.to_string() != severity) {
            objections.push(format!("{code} is no {severity}"));
        }
        for text in texts(case, "mentions") {
            let said =
                |finding: &&Finding| format!("{} {}", finding.message, finding.fix.as_deref().unwrap_or_default());
            if !matching.iter().any(|finding| said(finding).contains(text)) {
                objections.push(format!("nothing mentions `{text}`"));
            }
        }
    }
    let known: Vec<&str> = expected.iter().filter_map(|wanted| wanted["code"].as_str()).collect();
    let most = if expected.is_empty() { Severity::Suggestion } else { Severity::SecurityWarning };
    let fair = [known, accept, texts(case, "may")].concat();
    for finding in findings.iter().filter(|finding| finding.severity > most && !fair.contains(&finding.code)) {
        objections.push(format!("{} {}: {}", finding.severity, finding.code, finding.message));
    }
    objections
}

#[test]
fn every_case_of_the_file_passes() {
    let text = std::fs::read_to_string("tests/cases/policy/lint.json").unwrap();
    let cases: Vec<Value> = serde_json::from_str(&text).unwrap();
    let mut failed = Vec::new();
    for case in &cases {
        let bucket: Option<BucketName> = case["bucket"].as_str().map(|name| name.parse().unwrap());
        let kind = match case["policy_type"].as_str().unwrap() {
            "identity" => PolicyType::Identity,
            "bucket" => PolicyType::Bucket,
            other => panic!("{other}"),
        };
        let subject = Subject { target: "policy.json", kind, bucket: bucket.as_ref() };
        let findings = lint(case["document"].to_string().as_bytes(), &subject);
        for objection in objections(case, &findings) {
            failed.push(format!("{}: {objection}", case["id"]));
        }
    }
    assert!(failed.is_empty(), "{} of {} cases:\n{}", failed.len(), cases.len(), failed.join("\n"));
    assert_eq!(cases.len(), 31);
}

fn policy(effect: &str, action: &str, resource: &str) -> String {
    let statement = json!({ "Effect": effect, "Action": action, "Resource": resource });
    json!({ "Version": "2012-10-17", "Statement": [statement] }).to_string()
}

#[test]
fn the_exit_code_follows_the_worst_finding() {
    let env = TestEnv::new();
    env.write("clean.json", policy("Allow", "s3:GetObject", "arn:aws:s3:::lake/*"));
    env.write("admin.json", policy("Allow", "*", "*"));
    env.write("wrong.json", policy("Allow", "s3:ListObjectsV2", "arn:aws:s3:::lake"));
    env.write("old.json", policy("Allow", "s3:GetObject", "arn:aws:s3:::lake/*").replace("2012-10-17", "2008-10-17"));
    env.write("broken.json", "{\n  \"Version\": }");
    for (arguments, code) in [
        (&["clean.json"][..], 0),
        (&["clean.json", "--fail-on", "warning"], 0),
        (&["admin.json"], 4),
        (&["admin.json", "--fail-on", "warning"], 4),
        (&["admin.json", "--fail-on", "error"], 0),
        (&["admin.json", "--type", "boundary"], 4),
        (&["admin.json", "--type", "scp"], 0),
        (&["clean.json", "wrong.json"], 4),
        (&["wrong.json", "--fail-on", "error"], 4),
        (&["old.json"], 0),
        (&["old.json", "--fail-on", "warning"], 4),
        (&["broken.json"], 4),
        (&["clean.json", "--type", "bucket"], 4),
        (&["clean.json", "--type", "trust", "--bucket", "lake"], 2),
        (&["clean.json", "absent.json"], 2),
        (&["clean.json", "--fail-on", "never"], 2),
        (&["clean.json", "--bucket", "No_Bucket"], 2),
        (&["-", "-"], 2),
        (&[], 2),
    ] {
        let ran = env.expect(code, &[&["policy", "lint"], arguments].concat());
        let admin = arguments.contains(&"admin.json") && !arguments.contains(&"scp");
        assert_eq!(ran.stdout.contains("BW_ADMIN_WILDCARD"), admin, "{}", ran.stdout);
    }
}

#[test]
fn findings_say_file_place_and_fix() {
    let env = TestEnv::new();
    env.write("wrong.json", policy("Allow", "s3:ListObjectsV2", "arn:aws:s3:::lake"));
    env.write("old.json", policy("Allow", "s3:GetObject", "arn:aws:s3:::lake/*").replace("2012-10-17", "2008-10-17"));
    env.write("broken.json", "{\n  \"Version\": }");
    let files = ["wrong.json", "old.json", "broken.json"];
    let ran = env.expect(4, &[&["policy", "lint"][..], &files].concat());
    assert_eq!(
        ran.stdout,
        "\
error [BW_API_NAME_AS_ACTION] wrong.json at /Statement/0/Action:
  `s3:ListObjectsV2` is an operation and no action: it is allowed by
  `s3:ListBucket`
  fix: write `s3:ListBucket`
warning [BW_OLD_VERSION] old.json at /Version: `2008-10-17` is the old policy
  language, in which variables are plain text
  fix: write `2012-10-17`, which changes nothing unless there is a `${` in the
  document
error [JSON_SYNTAX_ERROR] broken.json: line 2, column 14: expected value
  fix: correct the JSON there; nothing behind it was looked at
3 files: 2 errors, 1 warning
"
    );
    let ran = env.expect(4, &[&["policy", "lint", "--output", "json"][..], &files].concat());
    let found = ran.of_type("finding");
    assert_eq!(
        found[0],
        json!({
            "type": "finding", "code": "BW_API_NAME_AS_ACTION", "severity": "error", "target": "wrong.json",
            "path": "/Statement/0/Action",
            "message": "`s3:ListObjectsV2` is an operation and no action: it is allowed by `s3:ListBucket`",
            "fix": "write `s3:ListBucket`",
        })
    );
    assert_eq!((&found[2]["path"], &found[2]["message"]), (&json!(""), &json!("line 2, column 14: expected value")));
    assert_eq!(ran.summary()["exit"], 4);
}

#[test]
fn standard_input_is_a_file_too() {
    let env = TestEnv::new();
    env.write("in.json", policy("Allow", "s3:GetObject", "arn:aws:s3:::other/*"));
    let input = std::fs::File::open(env.path("in.json")).unwrap();
    let mut command = env.command(&["policy", "lint", "-", "--bucket", "lake", "--output", "json"]);
    let output = command.stdin(input).output().unwrap();
    assert_eq!(output.status.code(), Some(4));
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(stdout.contains("MISSING_PRINCIPAL") && stdout.contains("BW_RESOURCE_OUTSIDE_BUCKET"), "{stdout}");
    assert!(stdout.lines().filter(|line| line.contains("finding")).all(|line| line.contains(r#""target":"stdin""#)));
}

#[test]
fn what_is_too_large_is_a_finding() {
    let env = TestEnv::new();
    env.write("huge.json", " ".repeat(1024 * 1024 + 1));
    let ran = env.expect(4, &["policy", "lint", "huge.json"]);
    assert!(ran.stdout.contains("JSON_SYNTAX_ERROR") && ran.stdout.contains("larger than 1048576"), "{}", ran.stdout);
}

/// Whatever the tool makes itself is as its linter wants it.
#[test]
fn generated_documents_are_clean() {
    let env = TestEnv::new();
    let key = "arn:aws:kms:us-east-1:111111111111:key/11111111-2222-3333-4444-555555555555";
    let issuer = "https://oidc.eks.us-east-1.amazonaws.com/id/ABC";
    env.expect(0, &["new", "flyte", "--set", "name=lake"]);
    let checked = std::fs::read_to_string(env.path("layout.toml")).unwrap();
    env.write("checked.toml", checked.replace("[[bucket]]\n", "[[bucket]]\nmanage = \"verify\"\n"));
    let grants = "attach = [{ irsa = { cluster = \"edu\", namespace = \"ns\", service_account = \"a\", role = \"made\" } }, \
                  { pod_identity = { cluster = \"edu\", namespace = \"ns\", service_account = \"b\", role = \"pods\" } }]";
    let head =
        "version = 1\n[[bucket]]\nname = \"lake\"\n[[grant]]\npolicy = \"P\"\naccess = \"read\"\non = [\"lake\"]\n";
    env.write("granted.toml", format!("{head}{grants}\n"));
    for (kind, arguments) in [
        ("identity", &["--bucket", "lake", "--prefix", "team-a/", "--access", "read", "--list", "root"][..]),
        ("identity", &["granted.toml", "--for", "operator"]),
        ("identity", &["granted.toml", "--for", "retire"]),
        ("identity", &["--bucket", "lake", "--bucket", "pond", "--access", "append", "--list", "bucket"]),
        ("identity", &["--bucket", "lake", "--prefix", "team-a/", "--access", "read-write", "--kms-key", key]),
        ("identity", &["layout.toml"]),
        ("identity", &["layout.toml", "--for", "operator"]),
        ("identity", &["checked.toml", "--for", "operator"]),
        ("bucket", &["layout.toml", "--type", "bucket"]),
        ("trust", &["--type", "trust", "--service-account", "flyte/default", "--role", "r"]),
        ("trust", &["--type", "trust", "--oidc-issuer", issuer, "--service-account", "flyte/default", "--role", "r"]),
    ] {
        let ran = env.expect(0, &[&["policy", "generate", "--account", "111111111111"], arguments].concat());
        let made: Value = serde_json::from_str(&ran.stdout).unwrap();
        let documents = match made.get("Statement") {
            Some(_) => vec![made],
            None => made.as_object().unwrap().values().cloned().collect(),
        };
        assert!(!documents.is_empty());
        for document in documents {
            env.write("made.json", document.to_string());
            let linted = env.expect(0, &["policy", "lint", "made.json", "--type", kind, "--output", "json"]);
            assert_eq!(linted.of_type("finding"), [] as [Value; 0], "{document}");
        }
    }
}

#[test]
fn layouts_are_linted_by_what_their_grants_make() {
    let env = TestEnv::new();
    let grant = |team: &str, on: &str| {
        format!(
            "[[grant]]\npolicy = \"{team}\"\naccess = \"read-write\"\non = [\"{on}\"]\nattach = [{{ role = \"{team}\" }}]\n"
        )
    };
    let start = "version = 1\n[[bucket]]\nname = \"ml-shared\"\nprojects = [\"a\", \"b\"]\ntemplate = \"ml-project\"\n";
    env.write("shared.toml", format!("{start}{}{}", grant("team-a", "ml-shared"), grant("team-b", "ml-shared")));
    env.write("apart.toml", format!("{start}{}{}", grant("team-a", "ml-shared/a"), grant("team-b", "ml-shared/b")));
    let ran = env.expect(0, &["policy", "lint", "shared.toml", "apart.toml", "--output", "json"]);
    let found: Vec<_> = ran.of_type("finding").iter().map(|one| (one["code"].clone(), one["target"].clone())).collect();
    assert_eq!(found, [("shared-bucket".into(), "shared".into())]);
    env.expect(4, &["policy", "lint", "shared.toml", "--fail-on", "warning"]);
    env.expect(0, &["policy", "lint", "apart.toml", "--fail-on", "warning"]);
    env.expect(2, &["policy", "lint", "missing.toml"]);
}
