//! Accounts in all states, and what an audit says of them: one line for each finding, so that a case reads as a sentence.

use super::{Audit, Limits, Observed, Parts, SeenPolicy, SeenRole, audit};
use crate::access::AccountPlan;
use crate::layout::controls::Circumstances;
use crate::layout::{Layout, ParseOptions, parse};
use crate::model::{
    AccessKey, Arn, Attachments, BucketState, Encryption, Endpoint, Existence, Identity, InlinePolicy, KeyUse, LastUse,
    Lifecycle, LifecycleFilter, LifecycleRule, ManagedPolicy, PolicyJson, PolicyVersion, PublicAccessBlock, Reading,
    Region, Role, Seen, ServiceUse, TagKey, TagValue, Tags, User, VersionId,
};
use crate::plan::{AccountAction, AccountStep, Reason};
use crate::report::{Finding, Severity};
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;

const NARROW: &str = r#"{"Version":"2012-10-17","Statement":[{"Sid":"Read","Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::lake/a/*"}]}"#;
const WIDE: &str =
    r#"{"Version":"2012-10-17","Statement":[{"Sid":"All","Effect":"Allow","Action":"s3:*","Resource":"*"}]}"#;
const TRUST: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}]}"#;

fn at(days_ago: i64) -> Timestamp {
    now() - SignedDuration::from_hours(24 * days_ago)
}

fn now() -> Timestamp {
    "2026-11-23T12:00:00Z".parse().unwrap()
}

fn around(endpoint: Endpoint, arn: &str) -> Circumstances {
    let account = "111122223333".parse().ok();
    Circumstances { identity: Identity { account, arn: Some(arn.to_owned()) }, endpoint, region: Region::us_east_1() }
}

fn arn(resource: &str) -> Arn {
    format!("arn:aws:iam::111122223333:{resource}").parse().unwrap()
}

fn roles(names: &[&str]) -> Seen<Attachments> {
    let roles = names.iter().map(|name| name.parse().unwrap()).collect();
    Seen::Here(Attachments { roles, ..Attachments::default() })
}

/// A policy made 200 days ago, whose record of use is that of a server without one.
fn policy(name: &str, document: &str, attachments: Seen<Attachments>) -> SeenPolicy {
    let version = PolicyVersion { id: VersionId(2), created: Some(at(150)), document: PolicyJson(document.to_owned()) };
    let policy = ManagedPolicy {
        arn: arn(&format!("policy/{name}")),
        name: name.parse().unwrap(),
        id: None,
        description: None,
        default_version: VersionId(2),
        versions: vec![version],
        attachments: 0,
        boundary_uses: 0,
        tags: Tags::new(),
        created: Some(at(200)),
        updated: Some(at(150)),
    };
    SeenPolicy { policy, attachments, uses: Seen::Absent }
}

fn used(service: &str, days_ago: Option<i64>) -> ServiceUse {
    ServiceUse {
        service: service.to_owned(),
        last: days_ago.map(at),
        by: days_ago.map(|_| "arn:aws:iam::111122223333:role/r".to_owned()),
    }
}

fn owned(mut seen: SeenPolicy, layout: &str) -> SeenPolicy {
    seen.policy.tags.insert(TagKey::owner(), TagValue::observed(layout));
    seen
}

fn run(layout: Option<&Layout>, observed: &Observed) -> Audit {
    let limits = Limits { now: now(), unused_after: SignedDuration::from_hours(24 * 90) };
    audit(layout, &around(Endpoint::Aws, "arn:aws:sts::111122223333:assumed-role/a/b"), observed, limits)
}

/// `code severity target place`, without what all targets share.
fn line(finding: &Finding) -> String {
    let place = finding.grounds.as_ref().map_or("", |grounds| grounds.place.as_str());
    let target = finding.target.replace("arn:aws:iam::111122223333:", "");
    format!("{} {} {target} {place}", finding.code, finding.severity).trim_end().to_owned()
}

fn lines(audit: &Audit) -> Vec<String> {
    audit.findings.iter().map(line).collect()
}

fn evidence(finding: &Finding) -> String {
    finding.grounds.as_ref().map(|grounds| grounds.evidence.join("\n")).unwrap_or_default()
}

fn of_policies(policies: Vec<SeenPolicy>) -> Observed {
    Observed { policies: Some(Seen::Here(policies)), ..Observed::default() }
}

fn layout(grants: &str) -> Layout {
    let text = format!(
        "version = 1\nlayout = \"mine\"\n[[bucket]]\nname = \"lake-one\"\nprojects = [\"p\"]\ntemplate = \"ml-project\"\n\
         waive = {{ versioning = \"scratch data\" }}\n{grants}"
    );
    let none = BTreeMap::new();
    let options = ParseOptions { file_stem: "mine", environment: None, set: &none, env_vars: &none };
    parse(text.as_bytes(), &options).unwrap()
}

#[test]
fn policies_that_nobody_has_or_uses() {
    let tried = |days| Seen::Here(vec![used("s3", days), used("sqs", None)]);
    let with = |uses, created: Option<i64>| {
        let mut seen = policy("Lake", NARROW, roles(&["r"]));
        (seen.uses, seen.policy.created) = (uses, created.map(at));
        seen
    };
    let check = |seen: SeenPolicy, expected: &[&str]| assert_eq!(lines(&run(None, &of_policies(vec![seen]))), expected);
    check(policy("Lake", NARROW, roles(&[])), &["audit-unattached warning policy/Lake"]);
    check(policy("Lake", NARROW, roles(&["r"])), &[]);
    let bounds = Seen::Here(Attachments { boundary_of: vec!["r".to_owned()], ..Attachments::default() });
    check(policy("Lake", NARROW, bounds), &[]);
    let counted = |attachments, boundary_uses| {
        let mut seen = policy("Lake", NARROW, Seen::Hidden("no".to_owned()));
        (seen.policy.attachments, seen.policy.boundary_uses) = (attachments, boundary_uses);
        seen
    };
    check(counted(0, 0), &["audit-unattached warning policy/Lake"]);
    check(counted(1, 0), &[]);
    check(counted(0, 1), &[]);
    // What IAM remembers counts only where it reaches back far enough.
    check(with(tried(Some(91)), Some(200)), &["audit-unused warning policy/Lake"]);
    check(with(tried(None), Some(200)), &["audit-unused warning policy/Lake"]);
    check(with(tried(Some(89)), Some(200)), &[]);
    check(with(tried(None), Some(80)), &[]);
    check(with(tried(None), None), &[]);
    check(with(Seen::Here(Vec::new()), Some(200)), &[]);
    check(with(Seen::Absent, Some(200)), &[]);
    check(with(Seen::Hidden("no".to_owned()), Some(200)), &["account-hidden warning account/policies last use"]);
}

#[test]
fn evidence_says_how_far_it_reaches() {
    let mut seen = policy("Lake", NARROW, roles(&["r"]));
    seen.uses = Seen::Here(vec![used("s3", Some(100)), used("sqs", None)]);
    let role = Role { last_use: Some(LastUse { at: at(3), region: None }), ..role("r") };
    let observed =
        Observed { roles: Some(Seen::Here(vec![seen_role("role/r", Seen::Here(role))])), ..of_policies(vec![seen]) };
    let found = run(None, &observed);
    let told = evidence(&found.findings[0]);
    for words in [
        "attached to role r",
        "s3: last tried 2026-08-15 (100 days ago) by role/r, sqs: not tried",
        "role r was last used 2026-11-20 (3 days ago)",
        "counts attempts, refused ones too",
        "made 2026-05-07 (200 days ago), last changed 2026-06-26 (150 days ago)",
        "no owner tag",
    ] {
        assert!(told.contains(words), "{words}\n{told}");
    }
}

#[test]
fn names_and_documents() {
    let observed = of_policies(vec![policy("TestPolicy", WIDE, roles(&["r"])), policy("Lake", NARROW, roles(&["r"]))]);
    let found = run(None, &observed);
    assert_eq!(
        lines(&found),
        [
            "BW_S3_FULL_ACCESS security-warning policy/TestPolicy /Statement/All",
            "audit-name suggestion policy/TestPolicy"
        ],
        "the weightiest of one thing comes first"
    );
    assert_eq!(found.findings[0].path.as_deref(), Some("/Statement/0"));
    assert_eq!(evidence(&found.findings[0]), "v2 is in force; attached to role r");
}

fn role(name: &str) -> Role {
    Role {
        arn: arn(&format!("role/{name}")),
        name: name.parse().unwrap(),
        description: None,
        trust: PolicyJson(TRUST.to_owned()),
        attached: Vec::new(),
        inline: Vec::new(),
        boundary: None,
        tags: Tags::new(),
        created: None,
        last_use: None,
    }
}

fn seen_role(resource: &str, role: Seen<Role>) -> SeenRole {
    SeenRole { arn: arn(resource), role }
}

#[test]
fn roles_are_judged_by_what_they_carry() {
    let inline = InlinePolicy { name: "own".parse().unwrap(), document: PolicyJson(WIDE.to_owned()) };
    let everybody = TRUST.replace(r#"{"Service":"ec2.amazonaws.com"}"#, r#""*""#);
    let roles = vec![
        seen_role("role/plain", Seen::Here(role("plain"))),
        seen_role("role/wide", Seen::Here(Role { inline: vec![inline], ..role("wide") })),
        seen_role("role/open", Seen::Here(Role { trust: PolicyJson(everybody), ..role("open") })),
        seen_role("role/a/shut", Seen::Hidden("no".to_owned())),
    ];
    let observed = Observed { roles: Some(Seen::Here(roles)), ..Observed::default() };
    assert_eq!(
        lines(&run(None, &observed)),
        [
            "BW_S3_FULL_ACCESS security-warning role/wide inline policy `own` /Statement/All",
            "BW_PUBLIC_PRINCIPAL security-warning role/open trust policy /Statement/0/Principal",
            "account-hidden warning role/shut the role",
        ]
    );
}

#[test]
fn layouts_name_what_they_want() {
    let reader = "[[grant]]\npolicy = \"Lake\"\naccess = \"read\"\non = [\"lake-one\"]\nattach = [{ role = \"r\" }]\n";
    let observed = of_policies(vec![
        owned(policy("Former", NARROW, roles(&["r"])), "mine"),
        owned(policy("Gone", NARROW, roles(&[])), "mine"),
        owned(policy("Lake", NARROW, roles(&[])), "mine"),
        owned(policy("Theirs", NARROW, roles(&[])), "theirs"),
    ]);
    assert_eq!(
        lines(&run(Some(&layout(reader)), &observed)),
        [
            "audit-left-layout warning policy/Former",
            "audit-left-layout warning policy/Gone",
            "audit-unattached warning policy/Theirs"
        ]
    );
    assert_eq!(lines(&run(None, &observed)).len(), 3, "without the layout only who has them counts");
}

#[test]
fn keys_are_judged_by_the_worst() {
    let key = |id: &str, made: Option<i64>, last_use: Seen<Option<i64>>| AccessKey {
        id: Some(id.to_owned()),
        is_active: true,
        created: made.map(at),
        last_use: match last_use {
            Seen::Here(days) => Seen::Here(days.map(|days| KeyUse { at: at(days), service: "s3".to_owned() })),
            Seen::Absent => Seen::Absent,
            Seen::Hidden(why) => Seen::Hidden(why),
        },
    };
    let user = |keys| User { arn: arn("user/x/alice"), name: "alice".to_owned(), created: None, keys };
    let keys = vec![
        key("AKIA1", Some(200), Seen::Here(Some(100))),
        key("AKIA2", Some(200), Seen::Here(None)),
        key("AKIA3", Some(200), Seen::Here(Some(1))),
        key("AKIA4", Some(10), Seen::Here(None)),
        key("AKIA5", None, Seen::Absent),
        key("AKIA6", Some(10), Seen::Hidden("no".to_owned())),
        AccessKey { is_active: false, ..key("AKIA7", Some(900), Seen::Absent) },
    ];
    let users = vec![user(Seen::Here(keys)), user(Seen::Hidden("no".to_owned()))];
    let observed = Observed { users: Some(Seen::Here(users)), ..Observed::default() };
    assert_eq!(
        lines(&run(None, &observed)),
        [
            "audit-idle-key security-warning user/x/alice AKIA1",
            "audit-idle-key security-warning user/x/alice AKIA2",
            "audit-old-key security-warning user/x/alice AKIA3",
            "audit-static-key warning user/x/alice AKIA4",
            "audit-static-key warning user/x/alice AKIA5",
            "account-hidden warning user/x/alice the last use of its key",
            "audit-static-key warning user/x/alice AKIA6",
            "account-hidden warning user/x/alice the keys of the user",
        ]
    );
}

#[test]
fn who_asks_is_told_of_keys_of_their_own() {
    let observed = Observed { users: Some(Seen::Here(Vec::new())), ..Observed::default() };
    let limits = Limits { now: now(), unused_after: SignedDuration::from_hours(24 * 90) };
    for (endpoint, who, expected) in [
        (Endpoint::Aws, "user/alice", &["audit-caller-key warning user/alice"][..]),
        (Endpoint::Aws, "root", &["audit-caller-key security-warning root"]),
        (Endpoint::Embedded, "root", &[]),
        (Endpoint::Aws, "role/x", &[]),
    ] {
        let who = arn(who).to_string();
        assert_eq!(lines(&audit(None, &around(endpoint, &who), &observed, limits)), expected, "{who}");
    }
}

#[test]
fn drift_is_what_apply_would_do() {
    let attach = |policy: &str| AccountStep::AttachPolicy {
        role: "r".parse().unwrap(),
        policy: arn(&format!("policy/{policy}")),
    };
    let tag = AccountStep::TagPolicy { policy: arn("policy/Lake"), tags: Tags::new() };
    let skip = AccountStep::SkipGrant { name: "Shut".parse().unwrap() };
    let action = |step| AccountAction { step, reason: Reason::Missing };
    let plan = AccountPlan {
        actions: [attach("A"), attach("B"), tag, skip].map(action).to_vec(),
        unchanged: 1,
        turned: Vec::new(),
        findings: vec![
            Finding::new("not-ours", Severity::Error, arn("policy/X"), "it is theirs"),
            Finding::new("annotation-needed", Severity::Suggestion, "role/r", "annotate it"),
            Finding::new("change-impact", Severity::Warning, "role/r", "it opens"),
        ],
    };
    let found = run(Some(&layout("")), &Observed { grants: Some(plan), ..Observed::default() });
    assert_eq!(
        lines(&found),
        [
            "audit-drift error role/r attach-policy A to r",
            "audit-drift error role/r attach-policy B to r",
            "audit-drift warning policy/Lake tag-policy Lake",
            "not-ours error policy/X",
        ]
    );
    assert_eq!(found.findings[0].message, "not as the layout says: `apply` would attach policy A to r (missing)");
}

/// A bucket as AWS makes it today, with a rule for unfinished uploads.
fn bucket(name: &str) -> BucketState {
    let aborts = LifecycleRule { enabled: true, abort_multipart_days: Some(3), ..LifecycleRule::default() };
    let tls = format!(
        r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Deny","Principal":"*","Action":"s3:*",
        "Resource":["arn:aws:s3:::{name}","arn:aws:s3:::{name}/*"],"Condition":{{"Bool":{{"aws:SecureTransport":"false"}}}}}}]}}"#
    );
    BucketState {
        region: Some(Region::us_east_1()),
        owner_enforced: Reading::Known(true),
        public_access: Reading::Known(PublicAccessBlock::ALL),
        encryption: Reading::Known(Some(Encryption { kms_key: None, bucket_key: false, sse_c_blocked: Some(true) })),
        versioning: Reading::Known(true),
        lifecycle: Reading::Known(Lifecycle { rules: vec![aborts], default_minimum_object_size: None }),
        policy: Reading::Known(Some(PolicyJson(tls))),
        ..BucketState::without_settings(name.parse().unwrap(), Existence::Present, None)
    }
}

#[test]
fn buckets_of_nobody_are_held_against_the_defaults() {
    let check = |change: &dyn Fn(&mut BucketState), expected: &[&str]| {
        let mut state = bucket("lake-two");
        change(&mut state);
        let observed = Observed { buckets: Some(Seen::Here(vec![state])), ..Observed::default() };
        let found = run(None, &observed);
        assert_eq!((lines(&found), found.waived.len()), (expected.iter().map(|line| (*line).to_owned()).collect(), 0));
    };
    check(&|_| (), &[]);
    let open = |state: &mut BucketState| state.public_access = Reading::Known(PublicAccessBlock::NONE);
    check(&open, &["audit-bucket security-warning s3://lake-two public-access"]);
    check(&|state| state.policy = Reading::Known(None), &["audit-bucket security-warning s3://lake-two tls-only"]);
    check(&|state| state.versioning = Reading::Known(false), &["audit-bucket warning s3://lake-two versioning"]);
    let partial = |state: &mut BucketState| {
        let filter = LifecycleFilter { prefix: Some("a/".to_owned()), ..LifecycleFilter::default() };
        let rule = LifecycleRule { enabled: true, filter, abort_multipart_days: Some(3), ..LifecycleRule::default() };
        state.lifecycle = Reading::Known(Lifecycle { rules: vec![rule], default_minimum_object_size: None });
    };
    check(&partial, &["audit-bucket warning s3://lake-two lifecycle"]);
    let key = "arn:aws:kms:us-east-1:111122223333:key/k".parse::<Arn>().unwrap();
    let kms = |state: &mut BucketState| {
        let encryption = Encryption { kms_key: Some(key.clone()), bucket_key: true, sse_c_blocked: Some(true) };
        state.encryption = Reading::Known(Some(encryption));
    };
    check(&kms, &[]);
    let denied = |state: &mut BucketState| state.versioning = Reading::Denied("no".to_owned());
    check(&denied, &["account-hidden warning s3://lake-two versioning"]);
    check(&|state| state.existence = Existence::Forbidden, &["account-hidden warning s3://lake-two the bucket"]);
    let elsewhere = |state: &mut BucketState| state.region = "eu-west-1".parse().ok();
    check(&elsewhere, &["audit-other-region suggestion s3://lake-two"]);
    let public = |state: &mut BucketState| {
        let policy = state.policy.known().unwrap().clone().unwrap().0;
        let everybody = r#""Statement":[{"Sid":"Open","Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::lake-two/*"},"#;
        state.policy = Reading::Known(Some(PolicyJson(policy.replace("\"Statement\":[", everybody))));
    };
    let told = "BW_PUBLIC_PRINCIPAL security-warning s3://lake-two bucket policy /Statement/Open/Principal";
    check(&public, &[told]);
}

#[test]
fn what_a_layout_waives_is_no_finding() {
    let mine = layout("");
    let state = |existence| BucketState { versioning: Reading::Known(false), existence, ..bucket("lake-one") };
    let run_on = |existence| {
        let buckets = Some(Seen::Here(vec![state(existence)]));
        run(Some(&mine), &Observed { buckets, ..Observed::default() })
    };
    let found = run_on(Existence::Present);
    let waived: Vec<&str> = found.waived.iter().map(|check| check.check.as_str()).collect();
    assert_eq!(waived, ["versioning"]);
    // It has neither the owner tag nor the rules of the layout.
    assert_eq!(
        lines(&found),
        ["audit-bucket warning s3://lake-one tags", "audit-bucket warning s3://lake-one lifecycle"]
    );
    assert_eq!(lines(&run_on(Existence::Absent)), ["audit-bucket error s3://lake-one exists"]);
}

#[test]
fn lists_that_may_not_be_read_are_told() {
    let no = || "no".to_owned();
    let observed = Observed {
        policies: Some(Seen::Hidden(no())),
        roles: Some(Seen::Hidden(no())),
        users: Some(Seen::Hidden(no())),
        buckets: Some(Seen::Hidden(no())),
        grants: None,
    };
    let told = lines(&run(None, &observed));
    assert!(told.len() == 4 && told.iter().all(|line| line.starts_with("account-hidden warning account/")), "{told:?}");
    assert_eq!(lines(&run(None, &Observed::default())), [""; 0]);
}

#[test]
fn looks_cover_what_they_would_find() {
    let mine = layout("");
    let only_keys = Parts { policies: false, keys: true, grants: false, buckets: false };
    for (code, target, whole, keys, with_layout) in [
        ("audit-unattached", "arn", true, false, false),
        ("audit-left-layout", "arn", false, false, true),
        ("audit-old-key", "arn", true, true, true),
        ("BW_S3_FULL_ACCESS", "arn", true, false, true),
        ("audit-drift", "role/r", false, false, true),
        ("not-ours", "arn", false, false, true),
        ("audit-bucket", "s3://lake-one", true, false, true),
        ("audit-bucket", "s3://lake-two", true, false, false),
    ] {
        let covered = [
            Parts::ALL.cover(code, target, None),
            only_keys.cover(code, target, None),
            Parts::ALL.cover(code, target, Some(&mine)),
        ];
        assert_eq!(covered, [whole, keys, with_layout], "{code} {target}");
    }
}
