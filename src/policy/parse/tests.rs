//! What is read from documents, good and bad, and where mistakes are said to be.

use super::MAX_DOCUMENT_BYTES;
use crate::policy::{Document, Effect, Flaw, Named, OneOrMany, ValueKind};
use proptest::prelude::{any, prop_assert, proptest};
use serde_json::{Value, json};

fn read(document: &Value) -> Document {
    Document::parse(&document.to_string()).unwrap()
}

/// A document with one statement: a sound one, with some elements replaced.
fn one(elements: &Value) -> Document {
    let mut statement = json!({ "Effect": "Allow", "Action": "s3:GetObject", "Resource": "*" });
    for (name, value) in elements.as_object().unwrap() {
        statement[name] = value.clone();
    }
    read(&json!({ "Version": "2012-10-17", "Statement": [statement] }))
}

#[test]
fn order_and_spelling_stay() {
    let document = read(&json!({
        "Version": "2012-10-17",
        "Id": "x",
        "Statement": {
            "Sid": "One",
            "Effect": "Deny",
            "Principal": { "AWS": ["111111111111", "*"], "Service": "logging.s3.amazonaws.com" },
            "NotAction": ["s3:Get*", "S3:put?bject"],
            "NotResource": "arn:aws:s3:::lake/${aws:username}/*",
            "Condition": { "NumericEquals": { "s3:max-keys": 10 }, "Bool": { "aws:SecureTransport": [true, "false"] } }
        }
    }));
    assert_eq!((document.version(), document.id(), document.has_variables()), (Some("2012-10-17"), Some("x"), true));
    assert_eq!(document.defects(), []);
    let statement = &document.statements()[0];
    assert_eq!(statement.path.pointer(), "/Statement");
    assert_eq!((statement.sid.as_deref(), statement.effect, statement.flaw()), (Some("One"), Some(Effect::Deny), None));
    let actions = statement.not_action.as_ref().unwrap();
    assert_eq!(
        actions.items.iter().map(|action| action.text.as_str()).collect::<Vec<_>>(),
        ["s3:Get*", "S3:put?bject"]
    );
    let resources = statement.not_resource.as_ref().unwrap();
    assert!(!resources.listed);
    assert_eq!(
        resources.items[0].variables().map(|variable| variable.name.as_str()).collect::<Vec<_>>(),
        ["aws:username"]
    );
    let named: Vec<_> = statement.principal.as_ref().unwrap().entries().map(|entry| entry.named.clone()).collect();
    assert_eq!(named, [Named::Account("111111111111".to_owned()), Named::Everybody, Named::Service]);
    let condition = statement.condition.as_ref().unwrap();
    assert_eq!(
        condition.iter().map(|block| block.operator_text.as_str()).collect::<Vec<_>>(),
        ["NumericEquals", "Bool"]
    );
    let OneOrMany { items, listed } = &condition[1].keys[0].values;
    assert_eq!(
        (items[0].kind, items[0].text.as_str(), items[1].kind, *listed),
        (ValueKind::Bool, "true", ValueKind::Text, true)
    );
}

#[test]
fn spelling_of_the_json_means_nothing() {
    let value =
        json!({ "Version": "2012-10-17", "Statement": [{ "Effect": "Allow", "Action": ["s3:*"], "Resource": "*" }] });
    let pretty = serde_json::to_string_pretty(&value).unwrap();
    assert_eq!(Document::parse(&pretty).unwrap(), Document::parse(&value.to_string()).unwrap());
}

#[test]
fn every_mistake_of_form_is_named_with_its_place() {
    let document = read(&json!({
        "Version": 2012,
        "Comment": "x",
        "Statement": [
            { "Effect": "Allow", "Action": "s3:GetObject", "Resource": "*" },
            7,
            {
                "Effect": true,
                "Action": ["s3:GetObject", 5],
                "Resources": "*",
                "Principal": { "AWS": [null] },
                "Condition": { "StringLike": ["s3:prefix"], "Bool": { "aws:SecureTransport": [["true"]] } }
            }
        ]
    }));
    let said: Vec<String> = document.defects().iter().map(ToString::to_string).collect();
    assert_eq!(
        said,
        [
            "`Version` must be a text, not a number",
            "`Comment` is no element of the policy language",
            "`Statement[1]` must be an object, not a number",
            "`Statement[2].Effect` must be a text, not true or false",
            "`Statement[2].Action[1]` must be a text, not a number",
            "`Statement[2].Resources` is no element of the policy language",
            "`Statement[2].Principal.AWS[0]` must be a text, not null",
            "`Statement[2].Condition.StringLike` must be an object, not a list",
            "`Statement[2].Condition.Bool.aws:SecureTransport[0]` must be a text, a number, true or false, not a list",
        ]
    );
    let paths: Vec<String> = document.statements().iter().map(|statement| statement.path.to_string()).collect();
    assert_eq!(paths, ["Statement[0]", "Statement[2]"]);
}

#[test]
fn statements_without_effect_say_why() {
    for (elements, flaw) in [
        (json!({}), None),
        (json!({ "Effect": "allow" }), Some(Flaw::NoEffect)),
        (json!({ "Action": [] }), Some(Flaw::NoAction)),
        (json!({ "Resource": [] }), Some(Flaw::NoResource)),
        (json!({ "NotResource": "*" }), Some(Flaw::BothForms)),
        (json!({ "Principal": {} }), Some(Flaw::NoPrincipal)),
        (json!({ "Principal": { "AWS": [] } }), Some(Flaw::NoPrincipal)),
        (json!({ "Conditon": {} }), Some(Flaw::BadElement)),
        (json!({ "Condition": {} }), None),
        (json!({ "Sid": "not a valid one" }), None),
    ] {
        assert_eq!(one(&elements).statements()[0].flaw(), flaw, "{elements}");
    }
    let bare = read(&json!({ "Statement": { "Effect": "Allow" } }));
    assert_eq!(bare.statements()[0].flaw(), Some(Flaw::NoAction));
    assert!(!read(&json!({ "Version": "2012-10-17" })).has_statement());
}

#[test]
fn what_leaves_nothing_to_evaluate_is_refused() {
    let refused =
        |text: &str| -> Vec<String> { Document::parse(text).unwrap_err().iter().map(ToString::to_string).collect() };
    assert_eq!(refused("[]"), ["the document must be an object, not a list"]);
    assert_eq!(refused(r#"{"Statement": }"#), ["not JSON: expected value at line 1 column 15"]);
    assert_eq!(
        refused(r#"{"Statement": [{"Effect": "Allow", "Effect": "Deny"}], "Statement": []}"#),
        ["`Statement[0].Effect` stands there twice", "`Statement` stands there twice"]
    );
    let huge = " ".repeat(MAX_DOCUMENT_BYTES + 1);
    assert_eq!(refused(&huge), ["1048577 bytes are more than any policy has; at most 1048576 are read"]);
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_stumble(text in any::<String>()) {
        let _ = Document::parse(&text);
    }

    #[test]
    fn no_entry_makes_the_reader_stumble(text in "[${}'*?:a, é]{0,24}", operator in "(ForAnyValue:)?(StringLike|ArnLike|IpAddress|DateEquals|Bool|Nothing)(IfExists)?") {
        let document = one(&json!({
            "Action": text, "Resource": text, "Principal": { "AWS": text }, "Condition": { operator: { text.clone(): text } },
        }));
        prop_assert!(document.defects().is_empty());
    }
}
