//! What is planned for which world: one line per action and finding, so that a case reads as a sentence.

use super::{Sections, plan};
use crate::layout::controls::Circumstances;
use crate::layout::{Bucket, Folder, FolderAccess, Layout, Manage, MarkerStyle, Purpose};
use crate::model::{
    AccessLog, BucketState, Control, Encryption, Endpoint, Existence, Identity, Lifecycle, LifecycleRule, MarkerState,
    NoncurrentExpiration, PolicyJson, Reading, Region, Setting, TagKey, TagValue, Tags,
};
use crate::plan::{Plan, Step};
use serde_json::json;
use std::collections::BTreeMap;

fn folder(path: &str) -> Folder {
    Folder {
        project: Some("p".to_owned()),
        path: path.to_owned(),
        prefix: format!("p/{path}/").parse().unwrap(),
        access: FolderAccess::ReadWrite,
        noncurrent_days: None,
        markers: None,
    }
}

fn bucket() -> Bucket {
    Bucket {
        name: "bucket".parse().unwrap(),
        purpose: Purpose::Declared,
        template: None,
        folders: vec![folder("data")],
        markers: MarkerStyle::Slash,
        versioning: true,
        kms_key: None,
        public_access_blocked: true,
        access_log: None,
        logs_from: Vec::new(),
        noncurrent_days: None,
        tags: Tags::new(),
        adopt: false,
        manage: Manage::All,
        waive: BTreeMap::from([(Control::AccessLog, "none in tests".to_owned())]),
    }
}

fn around(endpoint: Endpoint) -> Circumstances {
    let account = "111122223333".parse().ok();
    Circumstances { identity: Identity { account, arn: None }, endpoint, region: Region::us_east_1() }
}

fn layout(bucket: Bucket) -> Layout {
    Layout {
        id: "mine".parse().unwrap(),
        account: None,
        region: None,
        profile: None,
        backup: crate::layout::DEFAULT_BACKUP.to_owned(),
        buckets: vec![bucket],
        datasets: Vec::new(),
        grants: Vec::new(),
        asserts: Vec::new(),
    }
}

fn absent() -> BucketState {
    BucketState::without_settings("bucket".parse().unwrap(), Existence::Absent, None)
}

/// A bucket that somebody made by hand and put data in.
fn foreign() -> BucketState {
    let mut state = BucketState::without_settings("bucket".parse().unwrap(), Existence::Present, None);
    state.is_empty = Some(false);
    state.encryption = Reading::Known(Some(Encryption { kms_key: None, bucket_key: false, sse_c_blocked: None }));
    state
}

fn run(bucket: &Bucket, state: &BucketState, endpoint: Endpoint) -> Plan {
    let found = BTreeMap::from([(bucket.name.clone(), state.clone())]);
    plan(&layout(bucket.clone()), &found, &around(endpoint), Sections::ALL)
}

/// The state after every action of the plan was done.
fn applied(mut state: BucketState, plan: &Plan) -> BucketState {
    state.existence = Existence::Present;
    for action in &plan.actions {
        match &action.step {
            Step::CreateBucket { tags, .. } => {
                state.tags = Reading::Known(tags.clone());
                state.owner_enforced = Reading::Known(!tags.is_empty());
            }
            Step::PutSetting(setting) => match setting.clone() {
                Setting::Tags(tags) => state.tags = Reading::Known(tags),
                Setting::OwnerEnforced => state.owner_enforced = Reading::Known(true),
                Setting::PublicAccess(block) => state.public_access = Reading::Known(block),
                Setting::Encryption(encryption) => state.encryption = Reading::Known(Some(encryption)),
                Setting::Versioning => state.versioning = Reading::Known(true),
                Setting::Lifecycle(rules) => state.lifecycle = Reading::Known(rules),
                Setting::Policy(policy) => state.policy = Reading::Known(Some(policy)),
                Setting::AccessLog(log) => state.access_log = Reading::Known(Some(log)),
            },
            Step::PutMarker { key } => drop(state.markers.insert(key.clone(), MarkerState::Present)),
            other => panic!("no step of a layout: {other:?}"),
        }
    }
    state
}

fn lines(plan: &Plan) -> Vec<String> {
    let actions = plan.actions.iter().map(|action| {
        let record = action.record(crate::report::Status::Planned);
        record.setting.map_or(record.action.to_owned(), str::to_owned)
    });
    let findings = plan.findings.iter().map(|finding| format!("{}: {}", finding.severity, finding.code));
    actions.chain(findings).collect()
}

fn check(
    change: impl FnOnce(&mut Bucket, &mut BucketState),
    state: BucketState,
    endpoint: Endpoint,
    expected: &[&str],
) {
    let (mut bucket, mut state) = (bucket(), state);
    change(&mut bucket, &mut state);
    let plan = run(&bucket, &state, endpoint);
    assert_eq!(lines(&plan), expected);
    if plan.findings.iter().any(|finding| finding.severity == crate::report::Severity::Error) {
        return;
    }
    // Whatever is planned, once done it is not planned again.
    let second = run(&bucket, &applied(state, &plan), endpoint);
    assert_eq!(second.actions, [], "the second plan");
}

const EVERYTHING: [&str; 7] =
    ["create-bucket", "public-access", "encryption", "versioning", "lifecycle", "policy", "put-marker"];

#[test]
fn a_new_bucket_gets_everything_in_the_safe_order() {
    check(|_, _| {}, absent(), Endpoint::Aws, &EVERYTHING);
    check(|_, _| {}, absent(), Endpoint::Embedded, &EVERYTHING);
}

#[test]
fn other_servers_get_tags_and_ownership_apart_and_no_policy_that_locks_out() {
    let expected = [
        "create-bucket",
        "tags",
        "ownership",
        "public-access",
        "encryption",
        "versioning",
        "lifecycle",
        "put-marker",
        "warning: setting-skipped",
    ];
    check(|_, _| {}, absent(), Endpoint::OtherHttp, &expected);
}

#[test]
fn what_is_not_ours_is_refused() {
    check(|_, _| {}, foreign(), Endpoint::Aws, &["error: not-ours"]);
    let other = |state: &mut BucketState| {
        let tags = Tags::from([(TagKey::owner(), TagValue::observed("theirs"))]);
        state.tags = Reading::Known(tags);
    };
    check(|_, state| other(state), foreign(), Endpoint::Aws, &["error: other-layout"]);
    check(
        |bucket, state| {
            other(state);
            bucket.adopt = true;
        },
        foreign(),
        Endpoint::Aws,
        &["error: other-layout"],
    );
    check(|_, state| state.existence = Existence::Forbidden, foreign(), Endpoint::Aws, &["error: bucket-forbidden"]);
    check(|_, state| state.region = "eu-west-1".parse().ok(), foreign(), Endpoint::Aws, &["error: bucket-elsewhere"]);
    check(
        |_, state| state.tags = Reading::Denied("no".to_owned()),
        foreign(),
        Endpoint::Aws,
        &["error: owner-unknown"],
    );
}

#[test]
fn an_interrupted_create_is_taken_up_again() {
    check(
        |_, state| state.is_empty = Some(true),
        foreign(),
        Endpoint::Aws,
        &["tags", "ownership", "public-access", "encryption", "versioning", "lifecycle", "policy", "put-marker"],
    );
}

#[test]
fn adoption_warns_of_each_change_and_expires_nothing_by_default() {
    let mut adopting = bucket();
    adopting.adopt = true;
    let plan = run(&adopting, &foreign(), Endpoint::Aws);
    let impacts = plan.findings.iter().filter(|finding| finding.code == "change-impact").count();
    assert_eq!(impacts, 7, "{:?}", plan.findings);
    let rules = |plan: &Plan| {
        plan.actions.iter().find_map(|action| match &action.step {
            Step::PutSetting(Setting::Lifecycle(rules)) => Some(rules.rules.clone()),
            _ => None,
        })
    };
    assert!(rules(&plan).unwrap().iter().all(|rule| !rule.expires_data()));
    adopting.folders[0].noncurrent_days = Some(30);
    let rules = rules(&run(&adopting, &foreign(), Endpoint::Aws)).unwrap();
    let expiring: Vec<_> = rules.iter().filter(|rule| rule.expires_data()).collect();
    assert_eq!(expiring.len(), 1);
    assert_eq!(expiring[0].filter.prefix.as_deref(), Some("p/data/"));
}

#[test]
fn foreign_rules_tags_and_statements_stay() {
    let theirs = LifecycleRule {
        id: Some("theirs".to_owned()),
        enabled: true,
        expiration_days: Some(1),
        ..LifecycleRule::default()
    };
    let statement =
        json!({ "Sid": "Theirs", "Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "x" });
    let mut state = foreign();
    state.tags = Reading::Known(Tags::from([(TagKey::observed("aws:stack"), TagValue::observed("s"))]));
    state.lifecycle = Reading::Known(Lifecycle { rules: vec![theirs.clone()], default_minimum_object_size: None });
    state.policy =
        Reading::Known(Some(PolicyJson(json!({ "Version": "2012-10-17", "Statement": [statement] }).to_string())));
    let mut adopting = bucket();
    adopting.adopt = true;
    let after = applied(state.clone(), &run(&adopting, &state, Endpoint::Aws));
    assert!(after.tags.known().unwrap().contains_key(&TagKey::observed("aws:stack")));
    assert_eq!(after.lifecycle.known().unwrap().rules[0], theirs);
    assert!(after.policy.known().unwrap().as_ref().unwrap().0.contains("Theirs"));
    assert_eq!(run(&adopting, &after, Endpoint::Aws).actions, []);
}

#[test]
fn waived_controls_are_left_as_they_are() {
    check(
        |bucket, _| {
            for control in [Control::Versioning, Control::TlsOnly, Control::Lifecycle, Control::SseC] {
                bucket.waive.insert(control, "scratch".to_owned());
            }
        },
        absent(),
        Endpoint::Aws,
        &["create-bucket", "public-access", "encryption", "put-marker"],
    );
}

#[test]
fn what_others_manage_is_compared_and_filled_but_never_set() {
    check(|bucket, _| bucket.manage = Manage::Data, absent(), Endpoint::Aws, &["error: bucket-missing"]);
    let mut filled = bucket();
    filled.manage = Manage::Data;
    let plan = run(&filled, &foreign(), Endpoint::Aws);
    assert!(plan.actions.iter().all(|action| matches!(action.step, Step::PutMarker { .. })));
    assert!(plan.findings.iter().any(|finding| finding.code == "unmanaged-drift"));
    filled.manage = Manage::Verify;
    assert_eq!(run(&filled, &foreign(), Endpoint::Aws).actions, []);
}

#[test]
fn markers_are_never_put_over_data() {
    let mut state = applied(absent(), &run(&bucket(), &absent(), Endpoint::Aws));
    let key = "p/data/".parse().unwrap();
    state.markers.insert(key, MarkerState::HoldsData { size_bytes: 4, etag: None });
    check(|_, _| {}, state, Endpoint::Aws, &["warning: marker-holds-data"]);
}

#[test]
fn giving_up_a_kms_key_is_said() {
    let mut state = applied(absent(), &run(&bucket(), &absent(), Endpoint::Aws));
    let kms_key = "arn:aws:kms:us-east-1:111122223333:key/k".parse().ok();
    state.encryption = Reading::Known(Some(Encryption { kms_key, bucket_key: true, sse_c_blocked: Some(true) }));
    check(|_, _| {}, state, Endpoint::Aws, &["encryption", "warning: change-impact"]);
}

#[test]
fn log_buckets_come_first_with_their_delivery_policy() {
    let mut logged = bucket();
    logged.access_log = Some(AccessLog { bucket: "logs".parse().unwrap(), prefix: "bucket/".to_owned() });
    let mut logs = bucket();
    logs.name = "logs".parse().unwrap();
    logs.folders.clear();
    logs.logs_from = vec![(logged.name.clone(), "bucket/".to_owned())];
    let mut both = layout(logged);
    both.buckets.push(logs);
    let found = BTreeMap::from(["bucket", "logs"].map(|name| {
        let name: crate::model::BucketName = name.parse().unwrap();
        (name.clone(), BucketState::without_settings(name, Existence::Absent, None))
    }));
    let plan = plan(&both, &found, &around(Endpoint::Aws), Sections::ALL);
    assert_eq!(plan.actions[0].bucket.as_str(), "logs");
    let policy = plan.actions.iter().find_map(|action| match &action.step {
        Step::PutSetting(Setting::Policy(policy)) if action.bucket.as_str() == "logs" => Some(policy.0.clone()),
        _ => None,
    });
    let policy = policy.unwrap();
    for part in ["logging.s3.amazonaws.com", "arn:aws:s3:::logs/bucket/*", "111122223333", "aws:SecureTransport"] {
        assert!(policy.contains(part), "{part} in {policy}");
    }
    assert!(matches!(plan.actions.last().unwrap().step, Step::PutMarker { .. }));
}

#[test]
fn longer_times_for_one_folder_are_not_cut_short_by_a_rule_for_all() {
    let mut long = bucket();
    long.folders.push(folder("models"));
    long.folders[1].noncurrent_days = Some(365);
    let after = applied(absent(), &run(&long, &absent(), Endpoint::Aws));
    let rules = &after.lifecycle.known().unwrap().rules;
    let expiring: Vec<_> = rules.iter().filter(|rule| rule.expires_data()).collect();
    let shown: Vec<_> = expiring
        .iter()
        .map(|rule| (rule.filter.prefix.as_deref().unwrap(), rule.noncurrent_expiration.clone().unwrap()))
        .collect();
    let kept = |days| NoncurrentExpiration { days: Some(days), newer_versions: Some(3) };
    assert_eq!(shown, [("p/data/", kept(90)), ("p/models/", kept(365))]);
}

#[test]
fn a_tls_statement_survives_a_visit_over_plain_http() {
    let mut logs = bucket();
    logs.folders.clear();
    let after = applied(absent(), &run(&logs, &absent(), Endpoint::OtherHttps));
    logs.logs_from = vec![("source".parse().unwrap(), "source/".to_owned())];
    let visited = applied(after.clone(), &run(&logs, &after, Endpoint::OtherHttp));
    let policy = visited.policy.known().unwrap().as_ref().unwrap().0.clone();
    assert!(policy.contains("BucketwrightTlsOnly") && policy.contains("BucketwrightLogDelivery1"), "{policy}");
}
