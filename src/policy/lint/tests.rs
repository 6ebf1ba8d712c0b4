//! Every code with documents that have it and documents that do not, and what holds for any text at all.

use super::{PolicyType, Subject, codes, lint};
use crate::model::BucketName;
use crate::report::{Finding, Severity};
use proptest::prelude::{Just, Strategy, any, prop, prop_assert, prop_assert_eq, prop_oneof, proptest};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

const KINDS: [(&str, PolicyType); 7] = [
    ("identity", PolicyType::Identity),
    ("bucket", PolicyType::Bucket),
    ("boundary", PolicyType::Boundary),
    ("session", PolicyType::Session),
    ("scp", PolicyType::Scp),
    ("rcp", PolicyType::Rcp),
    ("trust", PolicyType::Trust),
];

fn find(text: &str, kind: PolicyType, bucket: Option<&str>) -> Vec<Finding> {
    let bucket: Option<BucketName> = bucket.map(|name| name.parse().unwrap());
    lint(text.as_bytes(), &Subject { target: "p.json", kind, bucket: bucket.as_ref() })
}

/// A sound statement of each type.
fn statement(kind: PolicyType) -> Value {
    let mut statement = json!({ "Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::lake/*" });
    match kind {
        PolicyType::Identity | PolicyType::Boundary | PolicyType::Session => {}
        PolicyType::Bucket => statement["Principal"] = json!({ "AWS": "111111111111" }),
        PolicyType::Scp => statement = json!({ "Effect": "Deny", "Action": "s3:DeleteBucket", "Resource": "*" }),
        PolicyType::Rcp => {
            statement = json!({
                "Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "*",
                "Condition": { "StringNotEqualsIfExists": { "aws:PrincipalOrgID": "o-a1b2c3d4e5" } },
            });
        }
        PolicyType::Trust => {
            let principal = json!({ "AWS": "arn:aws:iam::111111111111:role/x" });
            statement = json!({ "Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole" });
        }
    }
    statement
}

/// `base` with some elements replaced; `null` takes one away.
fn with(base: Value, elements: &Value) -> Value {
    let Value::Object(mut fields) = base else { panic!("{base}") };
    for (name, value) in elements.as_object().unwrap_or(&Map::new()) {
        match value {
            Value::Null => drop(fields.shift_remove(name)),
            value => drop(fields.insert(name.clone(), value.clone())),
        }
    }
    Value::Object(fields)
}

fn document(kind: PolicyType, elements: &Value, more: &Value) -> Value {
    let mut statements = vec![with(statement(kind), elements)];
    statements.extend(more.as_array().into_iter().flatten().cloned());
    json!({ "Version": "2012-10-17", "Statement": statements })
}

fn kind_of(row: &Value) -> PolicyType {
    let name = row["type"].as_str().unwrap_or("identity");
    KINDS.iter().find(|(known, _)| *known == name).unwrap().1
}

/// What is wrong with a row of the table.
fn objection(row: &Value) -> Option<String> {
    let (code, kind) = (row["code"].as_str().unwrap(), kind_of(row));
    let bucket = (kind == PolicyType::Bucket && row.get("bucket").is_none()).then_some("lake");
    let bad = with(document(kind, &row["bad"], &row["more"]), &row["document"]);
    let found = find(&bad.to_string(), kind, bucket);
    let usual = codes().iter().find(|known| known.name == code).unwrap().severity.to_string();
    let severity = row["severity"].as_str().unwrap_or(&usual).to_owned();
    let place = row["at"].as_str().unwrap();
    let hit = found
        .iter()
        .find(|one| one.code == code && one.path.as_deref() == Some(place) && one.severity.to_string() == severity);
    let Some(hit) = hit else { return Some(format!("{code} is not said at {place} of {bad}, but {found:#?}")) };
    let said = format!("{} {}", hit.message, hit.fix.as_deref().unwrap_or_default());
    for text in row["mentions"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if !said.contains(text) {
            return Some(format!("{code}: nothing of `{text}` in: {said}"));
        }
    }
    let good = row.get("good")?;
    let good = document(kind, good, row.get("good_more").unwrap_or(&Value::Null));
    let found = find(&good.to_string(), kind, bucket);
    let wrong = found
        .iter()
        .find(|one| one.code == code && one.severity == hit.severity || one.severity > Severity::Suggestion);
    wrong.map(|one| format!("the good one of {code}, {good}, has {one:#?}"))
}

fn rows() -> Vec<Value> {
    serde_json::from_str(include_str!("../../../tests/cases/policy/lint-codes.json")).unwrap()
}

#[test]
fn every_code_is_said_where_it_should_be_and_nowhere_else() {
    let wrong: Vec<String> = rows().iter().filter_map(objection).collect();
    assert!(wrong.is_empty(), "{} rows:\n{}", wrong.len(), wrong.join("\n"));
}

/// Codes whose documents are too large, or no JSON, and stand in tests of their own.
const ELSEWHERE: [&str; 4] = [
    "JSON_SYNTAX_ERROR",
    "POLICY_SIZE_EXCEEDS_IDENTITY_POLICY_QUOTA",
    "POLICY_SIZE_EXCEEDS_RESOURCE_POLICY_QUOTA",
    "POLICY_SIZE_EXCEEDS_SCP_QUOTA",
];

#[test]
fn every_code_of_the_table_has_a_document() {
    let rows = rows();
    let mut covered: BTreeSet<&str> = rows.iter().map(|row| row["code"].as_str().unwrap()).collect();
    covered.extend(ELSEWHERE);
    let known: BTreeSet<&str> = codes().iter().map(|code| code.name).collect();
    assert_eq!(covered, known);
    assert_eq!(known.len(), codes().len(), "a code stands twice");
}

#[test]
fn sound_statements_are_clean() {
    for (name, kind) in KINDS {
        let text = document(kind, &json!({}), &json!([])).to_string();
        assert_eq!(find(&text, kind, None), [], "{name}");
    }
}

/// Policies as people have them: nothing above a suggestion.
#[test]
fn sound_policies_of_every_type_are_clean() {
    let rows: Vec<Value> = serde_json::from_str(include_str!("../../../tests/cases/policy/lint-clean.json")).unwrap();
    let mut wrong = Vec::new();
    for row in &rows {
        let kind = kind_of(row);
        let bucket = (kind == PolicyType::Bucket).then_some("lake");
        let found = find(&row["document"].to_string(), kind, bucket);
        wrong.extend(
            found.into_iter().filter(|one| one.severity > Severity::Suggestion).map(|one| (&row["title"], one)),
        );
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn what_is_no_json_says_where() {
    let huge = " ".repeat(super::MAX_DOCUMENT_BYTES + 1);
    let deep = "[".repeat(100);
    for (text, path, said) in [
        (&b"{\n \"Version\": }"[..], "", "line 2, column 13"),
        (b"", "", "line 1, column 0"),
        (b"{}\n{}", "", "line 2, column 1"),
        (b"{\n  \"\xff\"}", "", "line 2, column 4"),
        (br#"{"Statement": {"Effect": "Allow", "Effect": "Deny"}}"#, "/Statement/Effect", "stands there twice"),
        (huge.as_bytes(), "", "larger than 1048576"),
        (deep.as_bytes(), "", "nested deeper"),
    ] {
        let found = lint(text, &Subject { target: "p.json", kind: PolicyType::Identity, bucket: None });
        let first = found.iter().find(|one| one.message.contains(said));
        let first = first.unwrap_or_else(|| panic!("{said}: {found:?}"));
        assert_eq!((first.code, first.severity), ("JSON_SYNTAX_ERROR", Severity::Error));
        assert!(first.path.as_deref().unwrap().starts_with(path));
    }
    let list = find("[]", PolicyType::Identity, None);
    assert_eq!((list[0].code, list[0].path.as_deref()), ("DATA_TYPE_MISMATCH", Some("")));
    assert_eq!(find("\u{feff}{}", PolicyType::Identity, None)[0].code, "MISSING_STATEMENT");
}

#[test]
fn sizes_count_the_document_without_white_space() {
    // The document around a list of resources, and how long each type may be.
    for (kind, most, code) in [
        (PolicyType::Identity, 6144, "POLICY_SIZE_EXCEEDS_IDENTITY_POLICY_QUOTA"),
        (PolicyType::Boundary, 6144, "POLICY_SIZE_EXCEEDS_IDENTITY_POLICY_QUOTA"),
        (PolicyType::Session, 2048, "POLICY_SIZE_EXCEEDS_IDENTITY_POLICY_QUOTA"),
        (PolicyType::Bucket, 20480, "POLICY_SIZE_EXCEEDS_RESOURCE_POLICY_QUOTA"),
        (PolicyType::Trust, 2048, "POLICY_SIZE_EXCEEDS_RESOURCE_POLICY_QUOTA"),
        (PolicyType::Scp, 5120, "POLICY_SIZE_EXCEEDS_SCP_QUOTA"),
        (PolicyType::Rcp, 5120, "POLICY_SIZE_EXCEEDS_SCP_QUOTA"),
    ] {
        let of_length = |length: usize| {
            let empty = document(kind, &json!({ "Sid": "" }), &json!([])).to_string().len();
            let sid = "x".repeat(length - empty);
            document(kind, &json!({ "Sid": sid }), &json!([]))
        };
        let says = |document: &Value| {
            let pretty = serde_json::to_string_pretty(document).unwrap();
            find(&pretty, kind, None).iter().any(|one| one.code == code && one.path.as_deref() == Some(""))
        };
        assert!(!says(&of_length(most)) && says(&of_length(most + 1)), "{kind}");
    }
}

#[test]
fn what_is_far_too_long_is_an_error_and_no_more() {
    let sids = |count: usize| {
        let statements: Vec<Value> = (0..count).map(|_| json!({ "Effect": "Allow", "Action": "*" })).collect();
        json!({ "Version": "2012-10-17", "Statement": statements }).to_string()
    };
    let found = find(&sids(10_000), PolicyType::Identity, None);
    assert_eq!(
        found.iter().map(|one| (one.code, one.severity)).collect::<Vec<_>>(),
        [("JSON_SYNTAX_ERROR", Severity::Error)]
    );
    assert!(find(&sids(1000), PolicyType::Identity, None).len() > 1000);
}

#[test]
fn allow_all_control_policies_are_what_aws_attaches_itself() {
    let all = json!({ "Effect": "Allow", "Action": "*", "Resource": "*" });
    assert_eq!(find(&document(PolicyType::Scp, &all, &json!([])).to_string(), PolicyType::Scp, None), []);
    let all = json!({ "Effect": "Allow", "Action": "*", "Resource": "*", "Condition": null });
    assert_eq!(find(&document(PolicyType::Rcp, &all, &json!([])).to_string(), PolicyType::Rcp, None), []);
}

/// The policies of the manual procedure that the tool replaces: they work, and have their known weaknesses.
#[test]
fn the_four_policies_of_the_manual_procedure() {
    let objects = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"];
    let all = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:ListBucket"];
    let both = |bucket: &str| [format!("arn:aws:s3:::{bucket}"), format!("arn:aws:s3:::{bucket}/*")];
    let one = |actions: &[&str], resources: &[String]| json!([{ "Effect": "Allow", "Action": actions, "Resource": resources }]);
    let several = ["ml-project-1", "ml-project-2", "shared-ml-datasets"].map(both).concat();
    let folders = json!([
        {
            "Effect": "Allow", "Action": ["s3:ListBucket"], "Resource": "arn:aws:s3:::shared-bucket",
            "Condition": { "StringLike": { "s3:prefix": ["team-a/*", "team-b/*"] } },
        },
        {
            "Effect": "Allow", "Action": objects,
            "Resource": ["arn:aws:s3:::shared-bucket/team-a/*", "arn:aws:s3:::shared-bucket/team-b/*"],
        },
    ]);
    for (statements, expected) in [
        (
            one(&all, &both("bsingh-ml-workflows")),
            vec!["/Statement/0 BW_MULTIPART_INCOMPLETE", "/Statement/0 BW_RESOURCE_TYPE_MISMATCH"],
        ),
        (one(&all, &several), vec!["/Statement/0 BW_MULTIPART_INCOMPLETE", "/Statement/0 BW_RESOURCE_TYPE_MISMATCH"]),
        (
            folders,
            vec![
                "/Statement/0 BW_LOCATION_INCOMPLETE",
                "/Statement/0/Condition/StringLike/s3:prefix/0 BW_FOLDER_PREFIX_INCOMPLETE",
                "/Statement/0/Condition/StringLike/s3:prefix/1 BW_FOLDER_PREFIX_INCOMPLETE",
                "/Statement/1 BW_MULTIPART_INCOMPLETE",
            ],
        ),
        (
            one(&["s3:GetObject", "s3:ListBucket"], &both("public-datasets")),
            vec!["/Statement/0 BW_RESOURCE_TYPE_MISMATCH"],
        ),
    ] {
        let text = json!({ "Version": "2012-10-17", "Statement": statements }).to_string();
        let found = find(&text, PolicyType::Identity, None);
        assert!(found.iter().all(|one| one.severity == Severity::Suggestion), "{found:?}");
        let said: Vec<String> =
            found.iter().map(|one| format!("{} {}", one.path.as_deref().unwrap(), one.code)).collect();
        assert_eq!(said, expected);
    }
}

/// Pieces from which policies are made, good ones and bad ones.
fn piece() -> impl Strategy<Value = String> {
    let known = prop::sample::select(vec![
        "*",
        "s3:*",
        "s3:GetObject",
        "s3:Put?bject",
        "arn:aws:s3:::lake*",
        "arn:aws:s3:::${aws:username}/*",
        "arn:aws:",
        "Allow",
        "Deny",
        "2012-10-17",
        "AWS",
        "Service",
        "StringLike",
        "ForAllValues:StringEquals",
        "NullIfExists",
        "IpAddress",
        "s3:prefix",
        "aws:SourceIp",
        "aws:TagKeys",
        "10.0.0.0/8",
        "true",
        "",
        "${",
        "${}",
        "${a b}",
        ":",
        "/",
        "Version",
        "Statement",
        "Sid",
        "Effect",
        "Principal",
        "NotPrincipal",
        "Action",
        "NotAction",
        "Resource",
        "NotResource",
        "Condition",
        "oidc.x.com/id/A:aud",
        "日",
    ]);
    prop_oneof![4 => known.prop_map(str::to_owned), 1 => "\\PC{0,12}"]
}

fn anything() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        4 => piece().prop_map(Value::String),
        1 => any::<bool>().prop_map(Value::Bool),
        1 => any::<i64>().prop_map(Value::from),
        1 => Just(Value::Null),
    ];
    leaf.prop_recursive(5, 48, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::Array),
            prop::collection::vec((piece(), inner), 0..6)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// Documents of the right outer form, so that rules get to see something.
fn policy() -> impl Strategy<Value = Value> {
    let elements =
        ["Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource", "Condition"];
    let element = prop::sample::select(elements.to_vec());
    let statement = prop::collection::vec((element, anything()), 0..8)
        .prop_map(|fields| Value::Object(fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()));
    prop::collection::vec(statement, 0..4)
        .prop_map(|statements| json!({ "Version": "2012-10-17", "Statement": statements }))
}

proptest! {
    #[test]
    fn no_document_makes_it_panic_and_layout_means_nothing(
        document in prop_oneof![anything(), policy()],
        kind in prop::sample::select(KINDS.map(|(_, kind)| kind).to_vec()),
    ) {
        let dense = find(&document.to_string(), kind, Some("lake"));
        let wide = find(&serde_json::to_string_pretty(&document).unwrap(), kind, Some("lake"));
        prop_assert_eq!(&dense, &wide);
        prop_assert_eq!(&dense, &find(&document.to_string(), kind, Some("lake")));
        for one in &dense {
            let path = one.path.as_deref().unwrap();
            prop_assert!(document.pointer(path).is_some(), "{} points nowhere: {}", one.code, path);
            prop_assert!(one.fix.as_ref().is_some_and(|fix| !fix.is_empty()) && !one.message.is_empty());
        }
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let subject = Subject { target: "p.json", kind: PolicyType::Bucket, bucket: None };
        prop_assert!(!lint(&bytes, &subject).is_empty());
    }
}
