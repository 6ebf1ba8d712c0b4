//! Every operator family on present, absent, empty and ill-typed values.

use super::ConditionKey;
use crate::policy::context::{Context, Value};
use crate::policy::{Document, Operator};
use serde_json::{Value as Json, json};

/// The key `k` of one operator, read from a document as always.
fn condition(version: &str, operator: &str, values: &Json) -> (Option<Operator>, ConditionKey) {
    let text = json!({ "Version": version, "Statement": { "Condition": { operator: { "K": values } } } }).to_string();
    let block = Document::parse(&text).unwrap().statements()[0].condition.as_ref().unwrap()[0].clone();
    (block.operator, block.keys[0].clone())
}

fn context(found: &Json) -> Context {
    let mut context = Context::default().with("aws:username", "alice").with_many("set", ["alice"]);
    match found {
        Json::String(value) => context.set("k", Value::One(value.clone())),
        Json::Array(values) => {
            let values = values.iter().map(|value| value.as_str().unwrap().to_owned()).collect();
            context.set("k", Value::Many(values));
        }
        _ => {}
    }
    context
}

/// What the operator says about values of the policy and of the request; `null` stands for an absent key.
fn check(rows: &[(&str, Json, Json, bool)]) {
    for (operator, wanted, found, expected) in rows {
        let (parsed, key) = condition("2012-10-17", operator, wanted);
        assert_eq!(key.holds(parsed.unwrap(), &context(found)), *expected, "{operator} {wanted} on {found}");
    }
}

#[test]
fn strings() {
    check(&[
        ("StringEquals", json!("a"), json!("a"), true),
        ("StringEquals", json!("a"), json!("A"), false),
        ("StringEquals", json!("a*"), json!("ab"), false),
        ("StringEquals", json!("a*"), json!("a*"), true),
        ("StringEquals", json!(["x", "a"]), json!("a"), true),
        ("StringEquals", json!(""), json!(""), true),
        ("StringEquals", json!(""), json!(null), false),
        ("StringEquals", json!(true), json!("true"), true),
        ("StringEquals", json!(7), json!("7"), true),
        ("StringNotEquals", json!(["x", "a"]), json!("a"), false),
        ("StringNotEquals", json!(["x", "y"]), json!("a"), true),
        ("StringNotEquals", json!("a"), json!(null), true),
        ("StringEqualsIgnoreCase", json!("ÄB"), json!("äb"), true),
        ("StringEqualsIgnoreCase", json!("${aws:username}"), json!("ALICE"), true),
        ("StringNotEqualsIgnoreCase", json!("AB"), json!("ab"), false),
        ("StringLike", json!("team-a/*"), json!("team-a/"), true),
        ("StringLike", json!("team-a/*"), json!("team-a"), false),
        ("StringLike", json!("team-a/*"), json!(""), false),
        ("StringLike", json!("*:b:*"), json!("a:b:c"), true),
        ("StringNotLike", json!("a*"), json!("ab"), false),
        ("StringNotLike", json!("a*"), json!(null), true),
    ]);
}

#[test]
fn numbers() {
    check(&[
        ("NumericLessThanEquals", json!("10"), json!("9"), true),
        ("NumericLessThanEquals", json!(10), json!("10.0"), true),
        ("NumericLessThan", json!(10), json!("10"), false),
        ("NumericGreaterThan", json!("1.5"), json!("1.50001"), true),
        ("NumericGreaterThanEquals", json!("-2"), json!("-3"), false),
        ("NumericEquals", json!(["1", "2"]), json!("2.0"), true),
        ("NumericNotEquals", json!("2"), json!("3"), true),
        ("NumericNotEquals", json!("2"), json!(null), true),
        ("NumericEquals", json!("2"), json!("two"), false),
        ("NumericEquals", json!("two"), json!("two"), false),
    ]);
}

#[test]
fn dates_in_any_spelling() {
    check(&[
        ("DateLessThan", json!("1782777600"), json!("2026-01-01T00:00:00Z"), true),
        ("DateLessThan", json!(1_782_777_600), json!("2026-01-01T00:00:00Z"), true),
        ("DateGreaterThan", json!("2026-01-01"), json!("1782777600"), true),
        ("DateEquals", json!("2026-01-01T01:00:00+01:00"), json!("1767225600"), true),
        ("DateNotEquals", json!("2026-01-01T00:00:00Z"), json!("1767225600"), false),
        ("DateLessThanEquals", json!("2026-01-01T00:00:00Z"), json!("2026-01-01T00:00:00.001Z"), false),
        ("DateGreaterThanEquals", json!("2026-*"), json!("2026-01-01T00:00:00Z"), false),
    ]);
}

#[test]
fn booleans_and_absence() {
    check(&[
        ("Bool", json!("true"), json!("true"), true),
        ("Bool", json!(false), json!("false"), true),
        ("Bool", json!(false), json!(null), false),
        ("Bool", json!("yes"), json!("yes"), false),
        ("BoolIfExists", json!(false), json!(null), true),
        ("BoolIfExists", json!(false), json!("true"), false),
        ("Null", json!("true"), json!(null), true),
        ("Null", json!(true), json!(null), true),
        ("Null", json!("true"), json!(""), false),
        ("Null", json!("false"), json!(""), true),
        ("Null", json!(false), json!(null), false),
        ("Null", json!("true"), json!([]), true),
        ("ForAnyValue:Null", json!(false), json!(["x"]), true),
    ]);
}

#[test]
fn bytes() {
    check(&[
        ("BinaryEquals", json!("QmluYXJ5"), json!("QmluYXJ5"), true),
        ("BinaryEquals", json!("QmluYXJ5"), json!("QmluYXJ6"), false),
        ("BinaryEquals", json!("not base64"), json!("not base64"), false),
    ]);
}

#[test]
fn addresses() {
    check(&[
        ("IpAddress", json!("203.0.113.0/24"), json!("203.0.113.9"), true),
        ("IpAddress", json!("203.0.113.77/24"), json!("203.0.113.9"), true),
        ("IpAddress", json!("203.0.113.5"), json!("203.0.113.6"), false),
        ("IpAddress", json!("2001:DB8::/32"), json!("2001:db8::1"), true),
        ("IpAddress", json!("0.0.0.0/0"), json!("2001:db8::1"), false),
        ("IpAddress", json!(["10.0.0.0/8", "203.0.113.0/24"]), json!("203.0.113.9"), true),
        ("NotIpAddress", json!(["10.0.0.0/8", "203.0.113.0/24"]), json!("203.0.113.9"), false),
        ("NotIpAddress", json!("10.0.0.0/8"), json!("203.0.113.9"), true),
        ("NotIpAddress", json!("10.0.0.0/8"), json!(null), true),
        ("NotIpAddress", json!("0.0.0.0/0"), json!("2001:db8::1"), true),
        ("NotIpAddress", json!("10.0.0.0/8"), json!("no address"), false),
        ("NotIpAddress", json!("300.1.1.1"), json!("203.0.113.9"), false),
        ("IpAddress", json!("10.0.0.0/8"), json!(null), false),
        ("IpAddress", json!("300.1.1.1"), json!("300.1.1.1"), false),
    ]);
}

#[test]
fn arns_field_by_field() {
    let found = json!("arn:aws:iam::111111111111:role/train/er");
    check(&[
        ("ArnEquals", json!("arn:aws:iam::111111111111:role/train*"), found.clone(), true),
        ("ArnLike", json!("arn:aws:iam::*:role/train/er"), found.clone(), true),
        ("ArnLike", json!("arn:aws:*:role/train/er"), found.clone(), false),
        ("StringLike", json!("arn:aws:*:role/train/er"), found.clone(), true),
        ("ArnNotLike", json!("arn:aws:iam::111111111111:role/train*"), found.clone(), false),
        ("ArnNotEquals", json!("arn:aws:iam::222222222222:role/*"), found, true),
        ("ArnNotLike", json!("arn:aws:iam::222222222222:role/*"), json!(null), true),
        ("ArnLike", json!("arn:aws:iam::111111111111:role/x"), json!("x"), false),
        ("ArnNotLike", json!("arn:aws:iam::111111111111:role/x"), json!("x"), false),
        ("ArnNotLike", json!("arn:aws:*:role/x"), json!("arn:aws:iam::111111111111:role/y"), false),
    ]);
}

#[test]
fn sets() {
    check(&[
        ("ForAllValues:StringEquals", json!(["a", "b"]), json!(["a"]), true),
        ("ForAllValues:StringEquals", json!(["a", "b"]), json!(["a", "c"]), false),
        ("ForAllValues:StringEquals", json!("a"), json!([]), true),
        ("ForAllValues:StringEquals", json!("a"), json!(null), true),
        ("ForAnyValue:StringEquals", json!(["a", "b"]), json!(["c", "b"]), true),
        ("ForAnyValue:StringEquals", json!(["a", "b"]), json!(["c"]), false),
        ("ForAnyValue:StringEquals", json!("a"), json!([]), false),
        ("ForAnyValue:StringEquals", json!("a"), json!(null), false),
        ("ForAnyValue:StringNotEquals", json!(["a", "b"]), json!(["a", "c"]), true),
        ("ForAnyValue:StringNotEquals", json!(["a", "b"]), json!(["a", "b"]), false),
        ("ForAllValues:StringNotEquals", json!(["a", "b"]), json!(["c", "d"]), true),
        ("ForAllValues:StringNotEquals", json!(["a", "b"]), json!(["c", "a"]), false),
        ("ForAnyValue:StringLike", json!("a*"), json!(["b", "ab"]), true),
        ("ForAllValues:NumericLessThan", json!(5), json!(["1", "4"]), true),
    ]);
}

#[test]
fn missing_keys_with_if_exists() {
    check(&[
        ("StringEqualsIfExists", json!("a"), json!(null), true),
        ("StringEqualsIfExists", json!("a"), json!("b"), false),
        ("StringNotLikeIfExists", json!("a*"), json!(null), true),
        ("StringNotLikeIfExists", json!("a*"), json!("ab"), false),
        ("NumericLessThanIfExists", json!(1), json!(null), true),
        ("IpAddressIfExists", json!("10.0.0.0/8"), json!(null), true),
    ]);
}

#[test]
fn an_empty_list_never_holds() {
    for operator in ["StringEquals", "StringLike", "NumericEquals", "Bool", "IpAddress", "ArnLike", "Null"] {
        for found in [json!(null), json!("x"), json!([])] {
            check(&[(operator, json!([]), found, false)]);
        }
    }
}

#[test]
fn variables_count_in_strings_and_arns() {
    check(&[
        ("StringEquals", json!("${aws:username}"), json!("alice"), true),
        ("StringLike", json!("home/${aws:username}/*"), json!("home/alice/x"), true),
        ("StringEquals", json!("${aws:userid}"), json!(""), false),
        ("StringEquals", json!(["${aws:userid}", "x"]), json!("x"), true),
        ("StringNotEquals", json!("${aws:userid}"), json!("x"), true),
        ("StringEquals", json!("${set}"), json!("alice"), false),
        ("StringEquals", json!("${aws:userid, 'none'}"), json!("none"), true),
        ("ArnLike", json!("arn:aws:iam::1:user/${aws:username}"), json!("arn:aws:iam::1:user/alice"), true),
        ("ArnNotLike", json!("arn:aws:iam::1:user/${aws:userid}"), json!("arn:aws:iam::1:user/"), true),
    ]);
    for version in ["2008-10-17", "2012-10-18", ""] {
        let (operator, key) = condition(version, "StringEquals", &json!("${aws:username}"));
        assert!(!key.holds(operator.unwrap(), &context(&json!("alice"))), "{version}");
        assert!(key.holds(operator.unwrap(), &context(&json!("${aws:username}"))), "{version}");
    }
}
