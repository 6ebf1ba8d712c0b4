//! Messages as clients print them, each with what it must be read as. The cases are data: `tests/cases/doctor/messages.json`.

use super::{Denial, SaidBy, read};
use crate::doctor::{asides, explain};
use serde::Deserialize;

/// One message and what stands in it. What is not expected must not be found.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    text: Vec<String>,
    code: String,
    #[serde(default)]
    principal: Option<String>,
    #[serde(default)]
    action: Option<String>,
    #[serde(default)]
    operation: Option<String>,
    #[serde(default)]
    resource: Option<String>,
    #[serde(default)]
    prefix: Option<String>,
    #[serde(default)]
    layer: Option<String>,
    #[serde(default)]
    denial: Option<String>,
    #[serde(default)]
    policy: Option<String>,
    #[serde(default)]
    region: Option<String>,
    #[serde(default = "one")]
    line: usize,
    #[serde(default = "one")]
    times: usize,
    #[serde(default)]
    others: usize,
    #[serde(default)]
    asides: Vec<String>,
    /// Words of the cause, and of what to do.
    cause: String,
    fix: String,
}

const fn one() -> usize {
    1
}

/// What is not as expected, in words.
fn check(case: &Case) -> Vec<String> {
    let name = &case.name;
    let reading = read(&case.text.join("\n")).unwrap_or_else(|| panic!("{name}: nothing found"));
    let symptom = &reading.symptom;
    let layer = symptom.said_by.map(|said_by| match said_by {
        SaidBy::Layer(layer) => layer.word().to_owned(),
        SaidBy::Trust => "trust".to_owned(),
    });
    let denial = symptom.denial.map(|denial| match denial {
        Denial::Explicit => "explicit".to_owned(),
        Denial::Implicit => "implicit".to_owned(),
    });
    let finding = explain(symptom);
    let found = [
        Some(finding.code.to_owned()),
        symptom.principal.clone(),
        symptom.action.clone(),
        symptom.operation.clone(),
        symptom.resource.clone(),
        symptom.prefix.clone(),
        layer,
        denial,
        symptom.policy.clone(),
        symptom.region.clone(),
    ];
    let expected = [
        Some(case.code.clone()),
        case.principal.clone(),
        case.action.clone(),
        case.operation.clone(),
        case.resource.clone(),
        case.prefix.clone(),
        case.layer.clone(),
        case.denial.clone(),
        case.policy.clone(),
        case.region.clone(),
    ];
    let mut wrong = Vec::new();
    if found != expected {
        wrong.push(format!("{name}: {found:?}, expected {expected:?}"));
    }
    if (reading.line, reading.times, reading.others.len()) != (case.line, case.times, case.others) {
        wrong.push(format!("{name}: line {}, {} times, others {:?}", reading.line, reading.times, reading.others));
    }
    let asides: Vec<&str> = asides(symptom).iter().map(|aside| aside.code).collect();
    if asides != case.asides {
        wrong.push(format!("{name}: asides {asides:?}"));
    }
    let fix = finding.fix.unwrap_or_default();
    if !finding.message.contains(&case.cause) || !fix.contains(&case.fix) {
        wrong.push(format!("{name}: {} fix: {fix}", finding.message));
    }
    wrong
}

#[test]
fn messages_are_read_as_they_are_meant() {
    let cases: Vec<Case> = serde_json::from_str(include_str!("../../../tests/cases/doctor/messages.json")).unwrap();
    assert!(cases.len() >= 25, "{}", cases.len());
    let wrong: Vec<String> = cases.iter().flat_map(check).collect();
    assert_eq!(wrong, Vec::<String>::new(), "{}", wrong.join("\n"));
}

#[test]
fn texts_without_a_refusal_have_none() {
    for text in
        ["", "hello", "ERROR 1045 (28000): Access denied for user 'root'@'localhost'", "GET / 200", "\\", "User:"]
    {
        assert_eq!(read(text), None, "{text}");
    }
}

#[test]
fn a_long_log_is_read_in_one_pass() {
    let noise = "2026-10-02T10:11:12Z level=info msg=\"step \\\"x\\\" of many\" \\n\n".repeat(20_000);
    let refusal = "botocore.exceptions.ClientError: An error occurred (AccessDenied) when calling the PutObject operation: Access Denied\n";
    let reading = read(&format!("{noise}{refusal}{noise}{refusal}")).unwrap();
    assert_eq!((reading.line, reading.times, reading.lines), (20_001, 2, 40_003));
    assert_eq!(reading.symptom.operation.as_deref(), Some("PutObject"));
}

/// Every sentence looks only at what is near: else this would take minutes.
#[test]
fn many_refusals_cost_no_more_than_their_number() {
    let line = "Not authorized to perform sts:AssumeRoleWithWebIdentity on resource: \"arn:aws:iam::1:role/x\n";
    let reading = read(&line.repeat(20_000)).unwrap();
    assert_eq!((reading.line, reading.times), (1, 20_000));
}

#[test]
fn no_text_makes_the_reader_fail() {
    let text = "User: arn:aws:iam::1:user/ä is not authorized to perform: s3:GetObject on resource: \"arn:aws:s3:::b/日本\\n\" with an explicit deny";
    for (start, _) in text.char_indices() {
        for (end, _) in text.char_indices().filter(|(end, _)| *end >= start) {
            let _ = read(&text[start..end]);
        }
    }
}
