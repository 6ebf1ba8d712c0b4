//! Bucket policies that lock the caller out, and those that only look like it.

use super::{Lockout, guard, lockouts};
use crate::layout::controls::Circumstances;
use crate::layout::scaffold::{Sections, plan};
use crate::layout::{Layout, ParseOptions, parse};
use crate::model::{BucketState, Endpoint, Existence, Identity, PolicyJson, Reading, Region, Setting};
use crate::plan::Step;
use crate::report::Severity;
use serde_json::{Value, json};
use std::collections::BTreeMap;

const LAYOUT: &str = "version = 1\nlayout = \"l\"\n[[bucket]]\nname = \"lake\"\nadopt = true\ntemplate = \"t\"\n\
    projects = [\"a\", \"b\"]\nwaive = { access-log = \"none\" }\n[template.t]\nfolders = [{ path = \"data\" }]\n";
const USER: &str = "arn:aws:iam::111122223333:user/alice";
const SESSION: &str = "arn:aws:sts::111122223333:assumed-role/deployer/ci";
const ROOT: &str = "arn:aws:iam::111122223333:root";

fn layout() -> Layout {
    let none = BTreeMap::new();
    let options = ParseOptions { file_stem: "layout", environment: None, set: &none, env_vars: &none };
    parse(LAYOUT.as_bytes(), &options).unwrap()
}

fn around(arn: Option<&str>, endpoint: Endpoint) -> Circumstances {
    let account = arn.map(|_| "111122223333".parse().unwrap());
    Circumstances { identity: Identity { account, arn: arn.map(str::to_owned) }, endpoint, region: Region::us_east_1() }
}

fn policy(statements: &Value) -> PolicyJson {
    PolicyJson(json!({ "Version": "2012-10-17", "Statement": statements }).to_string())
}

fn deny(action: &str, on: &str, condition: &Value) -> Value {
    json!({ "Sid": "No", "Effect": "Deny", "Principal": "*", "Action": action,
        "Resource": on.split(' ').map(|one| format!("arn:aws:s3:::{one}")).collect::<Vec<_>>(), "Condition": condition })
}

/// Actions without `s3:`, then what is unknown; `-` where nobody is locked out.
fn found(statement: &Value, in_force: bool, around: &Circumstances) -> String {
    let policy = policy(&json!([statement]));
    let layout = layout();
    let found = lockouts(&policy, in_force.then_some(&policy), &layout.buckets[0], around).unwrap();
    let words = |one: &Lockout| format!("{} {}", one.actions.join(" ").replace("s3:", ""), one.unknown.join(" "));
    found.first().map_or("-".to_owned(), |one| words(one).trim_end().to_owned())
}

#[test]
fn denials_of_the_caller_are_found() {
    let everything = "lake lake/*";
    let tls = json!({ "Bool": { "aws:SecureTransport": "false" } });
    let but = |arn: &str| json!({ "ArnNotLike": { "aws:PrincipalArn": arn } });
    let all = "GetBucketPolicy PutBucketPolicy ListBucket GetObject PutObject";
    for (arn, endpoint, statement, expected) in [
        (Some(USER), Endpoint::Aws, deny("s3:*", everything, &json!({})), all),
        (None, Endpoint::OtherHttps, deny("s3:*", everything, &json!({})), all),
        // The root user keeps the policy, and nothing else.
        (Some(ROOT), Endpoint::Aws, deny("s3:*", everything, &json!({})), "ListBucket GetObject PutObject"),
        // TLS only, over what there is.
        (Some(USER), Endpoint::Aws, deny("s3:*", everything, &tls), "-"),
        (Some(USER), Endpoint::Embedded, deny("s3:*", everything, &tls), "-"),
        (Some(USER), Endpoint::OtherHttp, deny("s3:*", everything, &tls), all),
        (None, Endpoint::OtherHttp, deny("s3:*", everything, &tls), all),
        // Exceptions by ARN.
        (Some(USER), Endpoint::Aws, deny("s3:*", everything, &but("arn:aws:iam::111122223333:user/*")), "-"),
        (
            Some(USER),
            Endpoint::Aws,
            deny("s3:ListBucket", "lake", &but("arn:aws:iam::111122223333:user/bob")),
            "ListBucket",
        ),
        (
            Some(SESSION),
            Endpoint::Aws,
            deny("s3:ListBucket", "lake", &but("arn:aws:iam::111122223333:role/deployer")),
            "-",
        ),
        (
            Some(SESSION),
            Endpoint::Aws,
            deny("s3:ListBucket", "lake", &but("arn:aws:iam::111122223333:role/teams/deployer")),
            "ListBucket `aws:PrincipalArn`",
        ),
        (
            None,
            Endpoint::OtherHttps,
            deny("s3:ListBucket", "lake", &but("arn:aws:iam::111122223333:role/x")),
            "ListBucket `aws:PrincipalArn`",
        ),
        // What a Deny has to hit: not what only protects, one folder, or a request without some header.
        (Some(USER), Endpoint::Aws, deny("s3:Delete*", everything, &json!({})), "-"),
        (Some(USER), Endpoint::Aws, deny("s3:PutObject", "lake/a/*", &json!({})), "-"),
        (Some(USER), Endpoint::Aws, deny("s3:PutObject", "lake/a/* lake/b/*", &json!({})), "PutObject"),
        (Some(USER), Endpoint::Aws, deny("s3:*", "other other/*", &json!({})), "-"),
        (
            Some(USER),
            Endpoint::Aws,
            deny(
                "s3:PutObject",
                "lake/*",
                &json!({ "StringNotEquals": { "s3:x-amz-server-side-encryption": "aws:kms" } }),
            ),
            "-",
        ),
        (
            Some(USER),
            Endpoint::Aws,
            deny("s3:*", everything, &json!({ "NumericLessThan": { "s3:TlsVersion": 1.2 } })),
            "-",
        ),
        // What nobody here can know.
        (
            Some(USER),
            Endpoint::Aws,
            deny("s3:PutBucketPolicy", "lake", &json!({ "StringNotEquals": { "aws:SourceVpce": "vpce-1a2b3c4d" } })),
            "PutBucketPolicy `aws:SourceVpce`",
        ),
    ] {
        assert_eq!(found(&statement, false, &around(arn, endpoint)), expected, "{arn:?} {endpoint:?} {statement}");
    }
    let spared = json!({ "Effect": "Deny", "NotPrincipal": { "AWS": [USER, ROOT] }, "Action": "s3:*", "Resource": "arn:aws:s3:::lake" });
    assert_eq!(found(&spared, false, &around(Some(USER), Endpoint::Aws)), "-");
    assert!(found(&spared, false, &around(None, Endpoint::OtherHttps)).contains("who calls"));
    assert!(found(&spared, false, &around(Some(SESSION), Endpoint::Aws)).starts_with("GetBucketPolicy"));
}

#[test]
fn what_is_in_force_and_let_the_caller_look_is_only_refused_if_certain() {
    let caller = around(Some(USER), Endpoint::Aws);
    let network = deny("s3:*", "lake lake/*", &json!({ "NotIpAddress": { "aws:SourceIp": "203.0.113.0/24" } }));
    assert!(found(&network, false, &caller).contains("aws:SourceIp"));
    assert_eq!(found(&network, true, &caller), "-");
    let certain = deny("s3:PutObject", "lake/*", &json!({}));
    assert_eq!(found(&certain, true, &caller), "PutObject");
}

#[test]
fn a_plan_loses_the_policy_and_is_refused() {
    let layout = layout();
    let name = layout.buckets[0].name.clone();
    let mut state = BucketState::without_settings(name.clone(), Existence::Present, None);
    state.is_empty = Some(false);
    let mut run = |foreign: Value, caller: &Circumstances| {
        state.policy = Reading::Known(Some(policy(&json!([foreign]))));
        let found = BTreeMap::from([(name.clone(), state.clone())]);
        let mut plan = plan(&layout, &found, caller, Sections::ALL);
        guard(&mut plan, &layout, &found, caller);
        let writes = |step: &Step| matches!(step, Step::PutSetting(Setting::Policy(_)));
        let written = plan.actions.iter().any(|action| writes(&action.step));
        let refusal = plan.findings.into_iter().find(|finding| finding.code == "policy-locks-out");
        assert_eq!(written, refusal.is_none());
        refusal
    };
    let caller = around(Some(USER), Endpoint::Aws);
    assert_eq!(run(deny("s3:DeleteBucket", "lake", &json!({})), &caller), None);
    let refusal = run(deny("s3:ListBucket", "lake", &json!({})), &caller).unwrap();
    assert_eq!((refusal.severity, refusal.path.as_deref()), (Severity::Error, Some("/Statement/0")));
    for part in ["s3:ListBucket", USER, "`No`", "not written"] {
        assert!(refusal.message.contains(part), "{}", refusal.message);
    }
    assert!(refusal.fix.unwrap().contains("only the account's root user could delete"));
    let elsewhere = run(deny("s3:ListBucket", "lake", &json!({})), &around(None, Endpoint::OtherHttps)).unwrap();
    assert!(elsewhere.message.contains("to the caller itself") && !elsewhere.fix.unwrap().contains("root user"));
}
