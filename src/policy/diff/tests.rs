//! Changes by table, and against all requests of a small world.

use super::{Difference, Direction, Side, compare, decides};
use crate::policy::{Caller, Context, Document, Policies, Policy, Request, Verdict, evaluate};
use proptest::prelude::{ProptestConfig, Strategy, prop_assert, proptest};
use proptest::sample::{select, subsequence};
use serde_json::{Value, json};
use std::sync::Arc;

fn side(statements: &Value) -> Side {
    let text = json!({ "Version": "2012-10-17", "Statement": statements }).to_string();
    Side { policies: vec![Arc::new(Policy { name: "p".to_owned(), document: Document::parse(&text).unwrap() })] }
}

/// `+` or `-`, the actions, the resource, and what is given, sorted; `?` for doubts.
fn told(before: &Value, after: &Value) -> Vec<String> {
    let Difference { changes, doubts } = compare(&side(before), &side(after)).unwrap();
    let doubts = doubts.into_iter().map(|doubt| {
        let sign = if doubt.direction == Direction::Opens { '+' } else { '-' };
        format!("{sign}? {}", doubt.statement)
    });
    let told = changes.into_iter().map(|change| {
        let sign = if change.direction == Direction::Opens { '+' } else { '-' };
        let who = change.who.map(|who| format!(" for {who}")).unwrap_or_default();
        let given: Vec<String> = change
            .given
            .iter()
            .map(|(key, value)| format!(" {key}={}", value.as_deref().unwrap_or("(absent)")))
            .collect();
        let resource = change.resource.replace("arn:aws:s3:::", "");
        format!("{sign} {} on {resource}{who}{}", change.actions.join(" "), given.concat())
    });
    let mut told: Vec<String> = told.chain(doubts).collect();
    told.sort();
    told
}

fn check(before: &Value, after: &Value, expected: &[&str]) {
    let opposite: Vec<String> = expected
        .iter()
        .map(|line| match line.split_at(1) {
            ("+", rest) => format!("-{rest}"),
            (_, rest) => format!("+{rest}"),
        })
        .collect();
    assert_eq!(told(before, after), expected);
    let mut back = told(after, before);
    back.sort();
    let mut opposite = opposite;
    opposite.sort();
    assert_eq!(back, opposite, "the way back closes what the way there opens");
    assert_eq!(told(before, before), [""; 0]);
}

fn allow(actions: &[&str], resource: &str) -> Value {
    json!({ "Effect": "Allow", "Action": actions, "Resource": format!("arn:aws:s3:::{resource}") })
}

#[test]
fn a_forgotten_slash_opens_siblings() {
    check(
        &allow(&["s3:GetObject"], "b/team-a/*"),
        &allow(&["s3:GetObject"], "b/team-a*"),
        &["+ s3:GetObject on b/team-a*"],
    );
    check(&allow(&["s3:GetObject"], "b/*"), &allow(&["s3:GetObject"], "b*"), &["+ s3:GetObject on b*"]);
    check(&allow(&["s3:ListBucket"], "lake"), &allow(&["s3:ListBucket"], "lake*"), &["+ s3:ListBucket on lake*"]);
}

#[test]
fn actions_beside_the_usual_ones_are_seen() {
    let get = allow(&["s3:GetObject"], "b/*");
    check(&get, &json!([get, allow(&["s3:GetBucketAcl"], "b")]), &["+ s3:GetBucketAcl on b"]);
    let wide = json!([get, { "Effect": "Allow", "Action": "iam:*", "Resource": "*" }]);
    check(&get, &wide, &["+ iam:* on *"]);
    let unknown = allow(&["s3:GetObject", "s3:SomethingNew"], "b/*");
    check(&get, &unknown, &["+ s3:SomethingNew on b/*"]);
    // A bucket's action on objects never matches, so nothing opens.
    check(&get, &allow(&["s3:GetObject", "s3:GetBucketAcl"], "b/*"), &[]);
    let many = told(&get, &allow(&["s3:Get*"], "b/*"));
    assert_eq!(many.len(), 1);
    for action in ["s3:GetObjectAcl", "s3:GetObjectVersion", "s3:Get*"] {
        assert!(many[0].contains(&format!("{action} ")), "{many:?}");
    }
    assert!(!many[0].contains("s3:GetObject "), "{many:?}");
}

#[test]
fn spelling_is_no_change() {
    let one = json!([{ "Sid": "A", "Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject"], "Resource": "arn:aws:s3:::b/*" }]);
    let other = json!([
        { "Sid": "X", "Effect": "Allow", "Action": "S3:putobject", "Resource": ["arn:aws:s3:::b/*"] },
        { "Sid": "Y", "Effect": "Allow", "Action": "s3:GetObject", "Resource": ["arn:aws:s3:::b/*", "arn:aws:s3:::b/a/*"] },
    ]);
    check(&one, &other, &[]);
    check(&one, &json!([one[0], { "Effect": "Deny", "Action": "s3:DeleteObject", "Resource": "*" }]), &[]);
}

#[test]
fn denials_that_go_open_what_is_allowed_under_them() {
    let all = allow(&["s3:GetObject"], "b/*/data/*");
    let denied = json!([all, { "Effect": "Deny", "Action": "s3:*", "Resource": "arn:aws:s3:::b/locked/*" }]);
    check(&denied, &all, &["+ s3:GetObject on b/locked/*"]);
    let elsewhere = json!([all, { "Effect": "Deny", "Action": "s3:*", "Resource": "arn:aws:s3:::c/*" }]);
    check(&elsewhere, &all, &[]);
    let users = json!({ "Effect": "Allow", "Action": "iam:*User", "Resource": "*" });
    let kept = json!([users, { "Effect": "Deny", "Action": "iam:Create*", "Resource": "*" }]);
    check(&kept, &users, &["+ iam:Create* on *"]);
    let except = json!([all, { "Effect": "Deny", "NotAction": "s3:List*", "NotResource": "arn:aws:s3:::b/free/*" }]);
    check(&except, &all, &["+ s3:GetObject on everything but b/free/*"]);
}

#[test]
fn examples_show_what_turns_for_most_actions() {
    let before = allow(&["s3:PutObject", "s3:DeleteObject"], "b/*");
    let after = json!([allow(&["s3:PutObject"], "b/data/*"), allow(&["s3:DeleteObject"], "b/models/*")]);
    let found = compare(&side(&before), &side(&after)).unwrap();
    assert_eq!((found.changes.len(), found.doubts.len()), (1, 0));
    assert_eq!(found.changes[0].actions, ["s3:DeleteObject", "s3:PutObject"]);
    let example = &found.changes[0].example;
    assert!(!example.contains("/data/") && !example.contains("/models/"), "{example}");
}

#[test]
fn conditions_are_told_by_what_they_ask_for() {
    let list = |condition: Value| json!({ "Effect": "Allow", "Action": "s3:ListBucket", "Resource": "arn:aws:s3:::b", "Condition": condition });
    let scoped = list(json!({ "StringLike": { "s3:prefix": "team-a/*" } }));
    let bare = list(json!({ "StringLike": { "s3:prefix": ["team-a", "team-a/*"] } }));
    check(&scoped, &bare, &["+ s3:ListBucket on b s3:prefix=team-a"]);
    let leaking = list(json!({ "StringLike": { "s3:prefix": "team-a*" } }));
    check(&scoped, &leaking, &["+ s3:ListBucket on b s3:prefix=team-a*"]);
    let whole = allow(&["s3:ListBucket"], "b");
    check(&scoped, &whole, &["+ s3:ListBucket on b"]);
    let head = list(json!({ "Null": { "s3:prefix": "true" } }));
    check(&scoped, &json!([scoped, head]), &["+ s3:ListBucket on b s3:prefix=(absent)"]);
    let top = list(json!({ "StringEquals": { "s3:prefix": "", "s3:delimiter": "/" } }));
    check(&scoped, &json!([scoped, top]), &["+ s3:ListBucket on b s3:delimiter=/ s3:prefix="]);
    // No request for this action carries a prefix.
    let never = json!({ "Effect": "Allow", "Action": "s3:GetBucketLocation", "Resource": "arn:aws:s3:::b",
        "Condition": { "StringLike": { "s3:prefix": "*" } } });
    check(&scoped, &json!([scoped, never]), &[]);
    let tagged =
        json!({ "Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/${aws:PrincipalTag/team}/*" });
    check(
        &scoped,
        &json!([scoped, tagged]),
        &["+ s3:GetObject on b/${aws:PrincipalTag/team}/* aws:PrincipalTag/team=some value"],
    );
}

#[test]
fn what_opens_only_where_another_condition_fails_is_found() {
    let list = |condition: Value| json!({ "Effect": "Allow", "Action": "s3:ListBucket", "Resource": "arn:aws:s3:::b", "Condition": condition });
    let outside = list(json!({ "StringNotLike": { "s3:prefix": "a/*" } }));
    let plain = list(json!({ "Bool": { "aws:SecureTransport": "false" } }));
    check(
        &outside,
        &plain,
        &["+ s3:ListBucket on b aws:SecureTransport=false s3:prefix=a/*", "- s3:ListBucket on b s3:prefix=(absent)"],
    );
}

#[test]
fn any_other_value_is_one_that_no_pattern_means() {
    let list = |condition: Value| json!({ "Effect": "Allow", "Action": "s3:ListBucket", "Resource": "arn:aws:s3:::b", "Condition": condition });
    let absent = list(json!({ "Null": { "s3:prefix": "true" } }));
    let whole = allow(&["s3:ListBucket"], "b");
    for first in ["a*", "?n*", "*r", "???????"] {
        let some = list(json!({ "StringLike": { "s3:prefix": first } }));
        check(&json!([some, absent]), &whole, &["+ s3:ListBucket on b s3:prefix=any other value"]);
    }
}

#[test]
fn bucket_policies_are_compared_for_whom_they_name() {
    let statement = |effect: &str, principal: Value, condition: Value| json!({ "Effect": effect, "Principal": principal, "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/*", "Condition": condition });
    let reader = "arn:aws:iam::111122223333:role/reader";
    let tls = statement("Deny", json!("*"), json!({ "Bool": { "aws:SecureTransport": "false" } }));
    let read = statement("Allow", json!({ "AWS": reader }), json!({}));
    check(&json!([tls]), &json!([tls, read]), &["+ s3:GetObject on b/* for arn:aws:iam::111122223333:role/reader"]);
    let public = statement("Allow", json!("*"), json!({}));
    let opened = told(&json!([tls]), &json!([tls, public]));
    assert!(opened.contains(&"+ s3:GetObject on b/* for anybody, unsigned".to_owned()), "{opened:?}");
    let plain = told(&json!([tls, read]), &json!([read]));
    let own = "+ s3:GetObject on b/* for the bucket's own account aws:SecureTransport=false";
    assert_eq!(plain, [own], "plain HTTP opens for those who may come in at all");
}

#[test]
fn what_is_only_spelled_otherwise_is_proven_so() {
    let list = |conditions: &[Value]| -> Value {
        let statement = |condition: &Value| json!({ "Effect": "Allow", "Action": "s3:ListBucket", "Resource": "arn:aws:s3:::b", "Condition": condition });
        conditions.iter().map(statement).collect()
    };
    let like = |values: &[&str]| json!({ "StringLike": { "s3:prefix": values } });
    check(&list(&[like(&["a", "b/*"])]), &list(&[like(&["b/*"]), like(&["a"])]), &[]);
    check(&list(&[like(&["a*"])]), &list(&[like(&["a*", "ab/*"])]), &[]);
    check(&list(&[like(&["a"])]), &list(&[json!({ "StringEquals": { "S3:Prefix": "a" } })]), &[]);
    check(
        &list(&[like(&["a/*"])]),
        &list(&[json!({ "StringLike": { "s3:prefix": "a/*" }, "Null": { "s3:prefix": "false" } })]),
        &[],
    );
    let network = |range: &[&str]| list(&[json!({ "IpAddress": { "aws:SourceIp": range } })]);
    check(&network(&["10.0.0.0/8"]), &network(&["10.0.0.0/8", "10.9.0.0/16"]), &[]);
    let get = |resources: &[&str]| json!({ "Effect": "Allow", "Action": "s3:GetObject", "Resource": resources.iter().map(|one| format!("arn:aws:s3:::{one}")).collect::<Vec<_>>() });
    check(&get(&["b/*"]), &get(&["b/a/*", "b/*", "b/?*"]), &[]);
}

#[test]
fn narrowing_is_proven_to_open_nothing() {
    let only_closes = |before: &Value, after: &Value| {
        let found = compare(&side(before), &side(after)).unwrap();
        assert!(!found.may_open(), "{found:?}");
        assert!(!found.changes.is_empty(), "{after}");
        let back = compare(&side(after), &side(before)).unwrap();
        assert!(back.may_open());
    };
    let list = |condition: Value| json!({ "Effect": "Allow", "Action": "s3:ListBucket", "Resource": "arn:aws:s3:::b", "Condition": condition });
    let keys = |most: u32| list(json!({ "NumericLessThanEquals": { "s3:max-keys": most } }));
    only_closes(&keys(100), &keys(50));
    only_closes(&allow(&["s3:ListBucket"], "b"), &keys(50));
    let until = |day: &str| list(json!({ "DateLessThan": { "aws:CurrentTime": day } }));
    only_closes(&until("2030-01-01T00:00:00Z"), &until("2029-12-31T23:59:59Z"));
    let network = |range: &str| list(json!({ "IpAddress": { "aws:SourceIp": range } }));
    only_closes(&network("10.0.0.0/8"), &network("10.1.0.0/16"));
    only_closes(&allow(&["s3:Get*"], "b*"), &allow(&["s3:GetObject"], "b/data/*"));
    let own =
        json!({ "Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/home/${aws:username}/*" });
    only_closes(&allow(&["s3:GetObject"], "b/home/*"), &own);
    let all_but = json!({ "Effect": "Allow", "NotAction": ["iam:*", "sts:*"], "Resource": "*" });
    only_closes(&json!({ "Effect": "Allow", "NotAction": "iam:*", "Resource": "*" }), &all_but);
    let denied = json!([allow(&["s3:*"], "b/*"), { "Effect": "Deny", "NotAction": "s3:GetObject", "NotResource": "arn:aws:s3:::b/open/*" }]);
    only_closes(&allow(&["s3:*"], "b/*"), &denied);
}

#[test]
fn what_cannot_be_proven_is_a_doubt() {
    // Together the two mean the same as the one, but no statement does alone.
    let two = json!([allow(&["s3:GetObject"], "b/a"), allow(&["s3:GetObject"], "b/a?*")]);
    check(&two, &allow(&["s3:GetObject"], "b/a*"), &["+? statement 1"]);
    let found = compare(&side(&two), &side(&allow(&["s3:GetObject"], "b/a*"))).unwrap();
    assert!(found.may_open() && found.changes.is_empty());
    // The same times in words that no proof knows.
    let tagged = |condition: Value| json!({ "Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/*", "Condition": condition });
    let any = tagged(json!({ "ForAnyValue:StringEquals": { "aws:TagKeys": ["a"] } }));
    let all =
        tagged(json!({ "ForAnyValue:StringEquals": { "aws:TagKeys": ["a"] }, "Null": { "aws:TagKeys": "false" } }));
    check(&any, &all, &[]);
}

#[test]
fn equal_texts_of_other_meaning_are_told_apart() {
    let list = |values: Value| json!({ "Effect": "Allow", "Action": "s3:ListBucket", "Resource": "arn:aws:s3:::b", "Condition": { "StringEquals": { "s3:prefix": values } } });
    assert!(!told(&list(json!(["a or b"])), &list(json!(["a", "b"]))).is_empty());
    let trust = |key: &str| json!({ "Effect": "Allow", "Principal": { key: "accounts.google.com" }, "Action": "sts:AssumeRole", "Resource": "*" });
    assert!(!told(&trust("Service"), &trust("Federated")).is_empty());
    let version = |version: &str| {
        let text = json!({ "Version": version, "Statement": { "Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/${aws:username}" } });
        Side {
            policies: vec![Arc::new(Policy {
                name: "p".to_owned(),
                document: Document::parse(&text.to_string()).unwrap(),
            })],
        }
    };
    assert!(compare(&version("2008-10-17"), &version("2012-10-17")).unwrap().may_open());
}

/// Entries of a small world in which everything is asked.
fn statement() -> impl Strategy<Value = Value> {
    let actions = vec!["s3:GetObject", "s3:Get*", "s3:*", "s3:PutObject", "s3:ListBucket", "*", "s3:*Object"];
    let resources = vec![
        "arn:aws:s3:::b",
        "arn:aws:s3:::b*",
        "arn:aws:s3:::b/*",
        "arn:aws:s3:::b/a/*",
        "arn:aws:s3:::b/a*",
        "arn:aws:s3:::b/*/x",
        "arn:aws:s3:::b/a/x",
        "*",
    ];
    let conditions = vec![
        json!({}),
        json!({}),
        json!({ "StringLike": { "s3:prefix": ["a/*"] } }),
        json!({ "StringLike": { "s3:prefix": ["a*", "c"] } }),
        json!({ "StringNotLike": { "s3:prefix": "a/*" } }),
        json!({ "StringEquals": { "s3:prefix": "", "s3:delimiter": "/" } }),
        json!({ "Bool": { "aws:SecureTransport": "false" } }),
        json!({ "Null": { "s3:prefix": "true" } }),
        json!({ "StringLikeIfExists": { "s3:prefix": "a/*" } }),
    ];
    let effect = select(vec!["Allow", "Allow", "Deny"]);
    let form = select(vec![
        ("Action", "Resource"),
        ("Action", "Resource"),
        ("NotAction", "Resource"),
        ("Action", "NotResource"),
    ]);
    (effect, form, subsequence(actions, 1..3), subsequence(resources, 1..3), select(conditions)).prop_map(
        |(effect, (action, resource), actions, resources, condition)| {
            json!({ "Effect": effect, action: actions, resource: resources, "Condition": condition })
        },
    )
}

/// Requests that open and that close, of all in the small world.
fn all_changes(before: &Side, after: &Side) -> (Vec<String>, Vec<String>) {
    let caller = Caller::parse("arn:aws:iam::111111111111:role/r", None).unwrap();
    let policies = [before, after].map(|side| decides(side, super::Attached::Identity));
    let (mut opens, mut closes) = (Vec::new(), Vec::new());
    let mut ask = |action: &str, resource: &str, context: Context| {
        let request = Request::new(caller.clone(), action, resource).unwrap().with_context(context);
        let allowed = |policies: &Policies| evaluate(policies, &request).verdict == Verdict::Allow;
        match (allowed(&policies[0]), allowed(&policies[1])) {
            (false, true) => opens.push(format!("{action} {resource} {:?}", request.context)),
            (true, false) => closes.push(format!("{action} {resource} {:?}", request.context)),
            _ => {}
        }
    };
    for secure in ["true", "false"] {
        let base = || Context::default().with("aws:SecureTransport", secure);
        for action in ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:GetObjectAcl"] {
            for key in ["b/a/x", "b/a/", "b/a", "b/ab", "b/q/x", "b/x", "bb/a/x", "c/a/x", "b/a/q/x", "b//x"] {
                ask(action, &format!("arn:aws:s3:::{key}"), base());
            }
        }
        for bucket in ["b", "bb", "c"] {
            let arn = format!("arn:aws:s3:::{bucket}");
            for prefix in [None, Some(""), Some("a"), Some("a/"), Some("a/q"), Some("ab"), Some("c"), Some("z")] {
                for delimiter in [None, Some("/")] {
                    let mut context = base();
                    for (name, value) in [("s3:prefix", prefix), ("s3:delimiter", delimiter)] {
                        context = value.map_or(context.clone(), |value| context.with(name, value));
                    }
                    ask("s3:ListBucket", &arn, context);
                }
            }
            ask("s3:GetBucketAcl", &arn, base());
        }
        ask("iam:CreateUser", "*", base());
    }
    (opens, closes)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn whatever_opens_or_closes_is_told(
        before in proptest::collection::vec(statement(), 0..4),
        after in proptest::collection::vec(statement(), 0..4),
        keep in 0_usize..3,
    ) {
        // Most real changes leave most statements as they are.
        let after: Vec<Value> = before.iter().take(keep).cloned().chain(after).collect();
        let (before, after) = (side(&json!(before)), side(&json!(after)));
        let (opens, closes) = all_changes(&before, &after);
        let found = compare(&before, &after).unwrap();
        let has = |direction| found.changes.iter().any(|change| change.direction == direction);
        prop_assert!(opens.is_empty() || has(Direction::Opens), "{opens:#?}");
        prop_assert!(closes.is_empty() || has(Direction::Closes), "{closes:#?}");
    }
}

/// Conditions of every family, on keys of which each has few values that matter.
fn condition() -> impl Strategy<Value = Value> {
    select(vec![
        json!({}),
        json!({ "StringEquals": { "s3:prefix": ["a", "b"] } }),
        json!({ "StringEqualsIgnoreCase": { "s3:prefix": "A" } }),
        json!({ "StringLike": { "s3:prefix": ["a*"] } }),
        json!({ "StringLike": { "s3:prefix": ["?", "b*"] } }),
        json!({ "StringLike": { "s3:prefix": "${aws:username}*" } }),
        json!({ "StringNotLike": { "s3:prefix": ["a*"] } }),
        json!({ "StringNotEquals": { "s3:prefix": "a" } }),
        json!({ "StringLikeIfExists": { "s3:prefix": "a*" } }),
        json!({ "StringNotLikeIfExists": { "s3:prefix": "${aws:username}" } }),
        json!({ "ForAllValues:StringLike": { "s3:prefix": ["a*", "c"] } }),
        json!({ "ForAnyValue:StringLike": { "s3:prefix": ["a*", "c"] } }),
        json!({ "Null": { "s3:prefix": "true" } }),
        json!({ "Null": { "s3:prefix": "false" } }),
        json!({ "Null": { "s3:prefix": [true, false] } }),
        json!({ "NumericLessThan": { "s3:max-keys": "10" } }),
        json!({ "NumericLessThanEquals": { "s3:max-keys": ["9.5", "5"] } }),
        json!({ "NumericGreaterThanEqualsIfExists": { "s3:max-keys": 5 } }),
        json!({ "NumericNotEquals": { "s3:max-keys": 5 } }),
        json!({ "NumericEquals": { "s3:max-keys": ["5", "word"] } }),
        json!({ "NumericNotEquals": { "s3:max-keys": "word" } }),
        json!({ "IpAddress": { "aws:SourceIp": ["10.0.0.0/8"] } }),
        json!({ "NotIpAddress": { "aws:SourceIp": ["10.1.0.0/16"] } }),
        json!({ "Bool": { "aws:SecureTransport": "true" } }),
        json!({ "BoolIfExists": { "aws:SecureTransport": ["false"] } }),
        json!({ "StringEquals": { "s3:prefix": "a" }, "NumericLessThan": { "s3:max-keys": 6 } }),
    ])
}

fn listing() -> impl Strategy<Value = Value> {
    let form = select(vec![("Action", "s3:ListBucket"), ("Action", "s3:List*"), ("NotAction", "s3:GetObject")]);
    let on = select(vec!["arn:aws:s3:::b", "arn:aws:s3:::b*", "arn:aws:s3:::${aws:username}", "*"]);
    (select(vec!["Allow", "Allow", "Deny"]), form, on, condition()).prop_map(|(effect, (element, action), on, condition)| {
        json!({ "Effect": effect, element: action, "Resource": on, "Condition": condition })
    })
}

/// Every listing of the small world, with every combination of what conditions look at.
fn listings() -> Vec<Request> {
    let caller = Caller::parse("arn:aws:iam::111111111111:user/a", None).unwrap();
    let mut requests = Vec::new();
    let sets: [&[Option<&str>]; 5] = [
        &[None, Some(""), Some("a"), Some("ax"), Some("A"), Some("b"), Some("c"), Some("q")],
        &[None, Some("5"), Some("5.5"), Some("9.7"), Some("10"), Some("11")],
        &[None, Some("10.1.2.3"), Some("10.2.0.1"), Some("11.0.0.1")],
        &[None, Some("true"), Some("false")],
        &[None, Some("a"), Some("b"), Some("")],
    ];
    let names = ["s3:prefix", "s3:max-keys", "aws:SourceIp", "aws:SecureTransport", "aws:username"];
    for mut code in 0..sets.iter().map(|set| set.len()).product::<usize>() {
        let mut context = Context::default();
        for (name, set) in names.iter().zip(sets) {
            if let Some(value) = set[code % set.len()] {
                context.set(name, crate::policy::Value::One(value.to_owned()));
            }
            code /= set.len();
        }
        let bucket = ["arn:aws:s3:::b", "arn:aws:s3:::bx"][requests.len() % 2];
        requests.push(Request::new(caller.clone(), "s3:ListBucket", bucket).unwrap().with_context(context));
    }
    requests
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// The claim that counts: where neither a change nor a doubt is told, no request is decided otherwise.
    #[test]
    fn silence_is_a_proof(
        before in proptest::collection::vec(listing(), 0..4),
        after in proptest::collection::vec(listing(), 0..3),
        keep in 0_usize..4,
    ) {
        let after: Vec<Value> = before.iter().take(keep).cloned().chain(after).collect();
        let (before, after) = (side(&json!(before)), side(&json!(after)));
        let found = compare(&before, &after).unwrap();
        let policies = [&before, &after].map(|side| decides(side, super::Attached::Identity));
        let told = |direction| {
            found.changes.iter().any(|change| change.direction == direction)
                || found.doubts.iter().any(|doubt| doubt.direction == direction)
        };
        let (opens, closes) = (told(Direction::Opens), told(Direction::Closes));
        for request in listings().iter().filter(|_| !(opens && closes)) {
            let allowed = policies.each_ref().map(|policies| evaluate(policies, request).verdict == Verdict::Allow);
            prop_assert!(opens || allowed != [false, true], "opens unseen: {request:?}");
            prop_assert!(closes || allowed != [true, false], "closes unseen: {request:?}");
        }
    }

    #[test]
    fn other_spellings_are_no_change(
        statements in proptest::collection::vec(proptest::prop_oneof![statement(), listing()], 0..4),
    ) {
        let same = compare(&side(&json!(statements)), &side(&json!(statements))).unwrap();
        prop_assert!(same == Difference::default(), "{same:?}");
        // Turned around, one action a statement, in capitals.
        let mut respelled: Vec<Value> = Vec::new();
        for statement in statements.iter().rev() {
            let actions = statement["Action"].as_array().cloned().unwrap_or_default();
            if actions.is_empty() {
                respelled.push(statement.clone());
            }
            for action in actions.iter().rev() {
                let mut one = statement.clone();
                one["Action"] = Value::from(action.as_str().unwrap().to_uppercase());
                one["Sid"] = Value::from(format!("S{}", respelled.len()));
                respelled.push(one);
            }
        }
        let found = compare(&side(&json!(statements)), &side(&json!(respelled))).unwrap();
        prop_assert!(found == Difference::default(), "{found:?}");
    }

    #[test]
    fn an_allow_more_never_closes_and_a_deny_more_never_opens(
        statements in proptest::collection::vec(statement(), 0..4),
        mut more in statement(),
    ) {
        let before = side(&json!(statements));
        for (effect, never) in [("Allow", Direction::Closes), ("Deny", Direction::Opens)] {
            more["Effect"] = Value::from(effect);
            let after: Vec<&Value> = statements.iter().chain([&more]).collect();
            let found = compare(&before, &side(&json!(after))).unwrap();
            prop_assert!(found.changes.iter().all(|change| change.direction != never), "{found:?}");
            prop_assert!(found.doubts.iter().all(|doubt| doubt.direction != never), "{found:?}");
        }
    }

    /// What is told to change without any condition does: the evaluator says so about its example.
    #[test]
    fn examples_are_decided_otherwise(
        before in proptest::collection::vec(statement(), 0..4),
        after in proptest::collection::vec(statement(), 0..4),
    ) {
        let (before, after) = (side(&json!(before)), side(&json!(after)));
        let policies = [&before, &after].map(|side| decides(side, super::Attached::Identity));
        let caller = Caller::parse("arn:aws:iam::111111111111:role/r", None).unwrap();
        let context = Context::default().with("aws:SecureTransport", "true");
        for change in compare(&before, &after).unwrap().changes {
            let plain = change.given.iter().all(|(_, value)| value.is_none());
            let expected = match change.direction {
                Direction::Opens => [change.refused, Verdict::Allow],
                Direction::Closes => [Verdict::Allow, change.refused],
            };
            // The example is one of the resources, for one of the actions.
            let turns = |action: &String| {
                let request = Request::new(caller.clone(), action, &change.example).unwrap();
                let request = request.with_context(context.clone());
                policies.each_ref().map(|policies| evaluate(policies, &request).verdict) == expected
            };
            let exact = change.actions.iter().filter(|action| action.contains(':') && !action.contains('*'));
            let exact: Vec<&String> = exact.collect();
            let sampled = change.actions.len() > exact.len();
            prop_assert!(!plain || sampled || exact.iter().any(|action| turns(action)), "{:?}", change);
        }
    }
}
