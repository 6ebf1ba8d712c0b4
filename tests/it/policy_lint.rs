//! The linter against documents with one planted defect each, and clean ones; and the verb as people run it.

use bucketwright::model::BucketName;
use bucketwright::policy::lint::{PolicyType, Subject, lint};
use bucketwright::report::{Finding, Severity};
use serde_json::Value;

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
