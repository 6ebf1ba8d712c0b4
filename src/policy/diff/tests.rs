//! Changes by table, and against all requests of a small world.

use super::{Direction, Side, changes, decides};
use crate::policy::{Caller, Context, Document, Policies, Policy, Request, Verdict, evaluate};
use proptest::prelude::{ProptestConfig, Strategy, prop_assert, proptest};
use proptest::sample::{select, subsequence};
use serde_json::{Value, json};
use std::sync::Arc;

fn side(statements: &Value) -> Side {
    let text = json!({ "Version": "2012-10-17", "Statement": statements }).to_string();
    Side { policies: vec![Arc::new(Policy { name: "p".to_owned(), document: Document::parse(&text).unwrap() })] }
}

/// `+` or `-`, the actions, the resource, and what is given, sorted.
fn told(before: &Value, after: &Value) -> Vec<String> {
    let told = changes(&side(before), &side(after)).unwrap().into_iter().map(|change| {
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
    let mut told: Vec<String> = told.collect();
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
        let found = changes(&before, &after).unwrap();
        let has = |direction| found.iter().any(|change| change.direction == direction);
        prop_assert!(opens.is_empty() || has(Direction::Opens), "{opens:#?}");
        prop_assert!(closes.is_empty() || has(Direction::Closes), "{closes:#?}");
    }
}
