//! Buckets of all kinds, written down: each text is a layout, and what it plans is the owner tag and nothing else.

use super::{Found, FoundPolicy, Inferred, Policies, Survey, layout_of};
use crate::layout::Layout;
use crate::layout::controls::Circumstances;
use crate::layout::scaffold::{self, Sections};
use crate::model::{
    AccessLog, AccountId, Attachments, BucketName, BucketState, Encryption, Endpoint, Existence, Identity, Lifecycle,
    LifecycleFilter, LifecycleRule, ManagedPolicy, MarkerState, NoncurrentExpiration, ObjectEntry, PolicyJson,
    PolicyVersion, PublicAccessBlock, Reading, Region, Seen, Setting, TagKey, TagValue, Tags, VersionId,
};
use crate::plan::{Plan, Step};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::{Just, Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest};
use proptest::sample::select;
use std::collections::BTreeMap;

const BUCKET: &str = "bsingh-ml-workflows";
/// Turns around how what follows is shown.
const RIGHT_TO_LEFT: char = '\u{202e}';

fn around(endpoint: Endpoint) -> Circumstances {
    let account: AccountId = "245966534215".parse().unwrap();
    let arn = Some(format!("arn:aws:iam::{account}:user/admin"));
    Circumstances { identity: Identity { account: Some(account), arn }, endpoint, region: Region::us_east_1() }
}

/// A bucket as `aws s3 mb` leaves it, with objects of these keys and sizes.
fn found(objects: &[(&str, u64)]) -> Found {
    let name: BucketName = BUCKET.parse().unwrap();
    let mut bucket = BucketState::without_settings(name, Existence::Present, Some(Region::us_east_1()));
    bucket.owner_enforced = Reading::Known(true);
    bucket.public_access = Reading::Known(PublicAccessBlock::ALL);
    bucket.encryption = Reading::Known(Some(Encryption { kms_key: None, bucket_key: false, sse_c_blocked: None }));
    bucket.is_empty = Some(objects.is_empty());
    Found {
        bucket,
        survey: survey(objects),
        log_bucket: None,
        policies: Policies::Read(Vec::new()),
        cluster: None,
        around: around(Endpoint::Aws),
        day: "2025-07-26".to_owned(),
    }
}

fn survey(objects: &[(&str, u64)]) -> Survey {
    let mut survey = Survey::default();
    for (key, size_bytes) in objects {
        let key = key.parse().unwrap();
        survey.add(&ObjectEntry { key, size_bytes: *size_bytes, etag: None, modified: None });
    }
    survey
}

/// The steps that are more than a tag.
fn more_than_the_tag(plan: &Plan) -> Vec<String> {
    let is_tag = |step: &Step| matches!(step, Step::PutSetting(Setting::Tags(_)));
    plan.actions.iter().filter(|action| !is_tag(&action.step)).map(|action| format!("{:?}", action.step)).collect()
}

/// The plan once the bucket has the owner tag.
fn adopted(found: &Found, layout: &Layout) -> Plan {
    let mut states = BTreeMap::new();
    for state in [Some(&found.bucket), found.log_bucket.as_ref()].into_iter().flatten() {
        states.insert(state.name.clone(), state.clone());
    }
    let state = states.get_mut(&found.bucket.name).unwrap();
    state.markers = found.survey.markers(&layout.buckets[0]);
    if let Reading::Known(tags) = &mut state.tags {
        tags.insert(TagKey::owner(), TagValue::from(&layout.id));
    }
    scaffold::plan(layout, &states, &found.around, Sections::ALL)
}

fn inferred(found: &Found) -> Inferred {
    let inferred = layout_of(found).unwrap();
    assert_eq!(more_than_the_tag(&inferred.plan), Vec::<String>::new(), "{}", inferred.text);
    assert!(adopted(found, &inferred.layout).actions.is_empty(), "{}", inferred.text);
    inferred
}

#[test]
fn the_seed_made_by_hand() {
    let folder = |project: &str| ["data/", "models/", "results/"].map(|folder| (format!("{project}/{folder}"), 0));
    let mut objects: Vec<(String, u64)> =
        ["credit-scoring", "fraud-detection", "customer-segmentation"].into_iter().flat_map(folder).collect();
    objects.push(("credit-scoring/data/CleanCreditScoring.csv".to_owned(), 1_215_506));
    let objects: Vec<(&str, u64)> = objects.iter().map(|(key, size)| (key.as_str(), *size)).collect();
    let inferred = inferred(&found(&objects));
    insta::assert_snapshot!(inferred.text);
    let first = inferred.plan.actions.first().expect("the owner tag is missing");
    assert!(matches!(&first.step, Step::PutSetting(Setting::Tags(tags)) if tags.len() == 1));
    let missing = inferred.plan.findings.iter().filter(|finding| finding.code == "marker-missing").count();
    assert_eq!(missing, 0);
}

/// `projects | folders`, each folder with its marker.
fn shape(objects: &[(&str, u64)]) -> String {
    let inferred = inferred(&found(objects));
    let bucket = &inferred.layout.buckets[0];
    let word = |style| super::draft::word(style);
    let folders = bucket.folders.iter().map(|folder| {
        let project = folder.project.as_deref().map(|project| format!("{project}:")).unwrap_or_default();
        format!("{project}{} {}", folder.path, word(bucket.marker_style(folder)))
    });
    let template = bucket.template.clone().unwrap_or_default();
    format!("{template} | {}", folders.collect::<Vec<_>>().join(", "))
}

#[test]
fn folders_are_what_somebody_meant() {
    for (objects, expected) in [
        (&[][..], " | "),
        (&[("a.csv", 1), ("b.csv", 2)], " | "),
        (&[("p/data/", 0), ("p/models/", 0)], "project | p:data slash, p:models slash"),
        (&[("p/data/.keep", 0), ("q/data/.keep", 0)], "project | p:data keep, q:data keep"),
        (
            &[("p/data/", 0), ("p/models/", 0), ("p/results/", 0)],
            "ml-project | p:data slash, p:models slash, p:results slash",
        ),
        (&[("p/", 0), ("p/d/", 0), ("q/", 0), ("q/d/", 0)], "project | p: slash, p:d slash, q: slash, q:d slash"),
        (&[("p/", 0), ("p/d/", 0), ("q/d/", 0)], "project | p:d slash, q:d slash"),
        // One marks what the other does not: no marker is asked for that is not there.
        (
            &[("p/d/", 0), ("p/e/", 0), ("q/d/", 0), ("q/e/.keep", 0)],
            "project | p:d slash, p:e none, q:d slash, q:e none",
        ),
        (&[("p/d/", 0), ("q/e/", 0)], "folders | p/d slash, q/e slash"),
        (&[("raw/a", 1), ("models/m", 1)], "folders | models none, raw none"),
        (&[("p/raw/a", 1), ("q/raw/a", 1)], "project | p:raw none, q:raw none"),
        (&[("p/d/", 0), ("q/d/", 0), ("tmp/x", 1)], "project | p:d slash, q:d slash"),
        (&[("p/d/", 0), ("q/d/", 0), ("shared/", 0)], "folders | p/d slash, q/d slash, shared slash"),
        (&[("img/0/1/a", 1), ("img/0/2/a", 1), ("img/1/a", 1)], "folders | img none"),
        // A marker's key with content is data.
        (&[("p/", 7), ("q/.keep", 7)], "folders | p none, q none"),
        (&[(".bucketwright/probe", 1), ("a/.bucketwright/x", 1)], " | "),
    ] {
        assert_eq!(shape(objects), expected, "{objects:?}");
    }
}

#[test]
fn names_that_no_layout_takes_are_left_out_and_told() {
    for key in ["/a/", "a//b/", "../x/", " a/", "<account-id>/", "a\\b/", "a\nb/", "TODO/"] {
        let inferred = inferred(&found(&[(key, 0), ("good/", 0)]));
        let folders: Vec<&str> =
            inferred.layout.buckets[0].folders.iter().map(|folder| folder.prefix.as_str()).collect();
        assert!(folders.contains(&"good/") && !folders.contains(&key), "{key}: {folders:?}");
        assert!(inferred.text.contains("No layout can name the folder"), "{key}: {}", inferred.text);
    }
    let inferred = inferred(&found(&[("${team}/", 0), ("$${x}/", 0), ("a\"b'c/", 0)]));
    let folders: Vec<&str> = inferred.layout.buckets[0].folders.iter().map(|folder| folder.prefix.as_str()).collect();
    assert_eq!(folders, ["$${x}/", "${team}/", "a\"b'c/"]);
}

#[test]
fn buckets_that_no_layout_can_name() {
    for name in ["a.b.c", "your-ml-bucket"] {
        let mut found = found(&[]);
        found.bucket.name = name.parse().unwrap();
        let error = layout_of(&found).unwrap_err().to_string();
        assert!(error.starts_with(&format!("no layout can describe bucket `{name}`: ")), "{error}");
    }
    let mut elsewhere = found(&[]);
    elsewhere.bucket.region = Some("eu-central-1".parse().unwrap());
    assert_eq!(layout_of(&elsewhere).unwrap_err().to_string(), format!("bucket `{BUCKET}` is in eu-central-1"));
}

#[test]
fn the_layout_of_a_bucket_with_an_owner_tag_is_that_layout() {
    let mut found = found(&[("p/data/", 0)]);
    found.bucket.tags = Reading::Known(Tags::from([(TagKey::owner(), TagValue::observed("ml-workflows"))]));
    let inferred = inferred(&found);
    assert_eq!(inferred.layout.id.as_str(), "ml-workflows");
    assert!(!inferred.layout.buckets[0].adopt && inferred.plan.actions.is_empty(), "{}", inferred.text);
}

#[test]
fn rules_of_our_own_are_numbers_and_others_are_left_alone() {
    let expire = |id: &str, prefix: Option<&str>, days| LifecycleRule {
        id: Some(id.to_owned()),
        enabled: true,
        filter: LifecycleFilter { prefix: prefix.map(str::to_owned), ..LifecycleFilter::default() },
        noncurrent_expiration: Some(NoncurrentExpiration { days: Some(days), newer_versions: Some(3) }),
        ..LifecycleRule::default()
    };
    let housekeeping = LifecycleRule {
        id: Some("bucketwright-housekeeping".to_owned()),
        enabled: true,
        expired_delete_marker: Some(true),
        abort_multipart_days: Some(7),
        ..LifecycleRule::default()
    };
    let mut made = found(&[("p/a/", 0), ("p/b/", 0)]);
    made.bucket.versioning = Reading::Known(true);
    let rules = |rules: &[LifecycleRule]| {
        Reading::Known(Lifecycle { rules: rules.to_vec(), default_minimum_object_size: None })
    };
    made.bucket.lifecycle = rules(&[housekeeping.clone(), expire("bucketwright-noncurrent", None, 30)]);
    let own = inferred(&made);
    assert_eq!(own.layout.buckets[0].noncurrent_days, Some(30), "{}", own.text);
    assert!(own.layout.buckets[0].waiver(crate::model::Control::Lifecycle).is_none(), "{}", own.text);

    made.bucket.lifecycle = rules(&[housekeeping, expire("bucketwright-noncurrent-p/a/", Some("p/a/"), 5)]);
    let folder = inferred(&made);
    assert_eq!(folder.layout.buckets[0].folders[0].noncurrent_days, Some(5), "{}", folder.text);

    made.bucket.lifecycle = rules(&[expire("archive", Some("p/"), 400)]);
    let foreign = inferred(&made);
    assert!(foreign.text.contains("lifecycle = \"as found on 2025-07-26: 1 rules (archive)\""), "{}", foreign.text);
}

#[test]
fn what_cannot_be_read_is_waived_and_told() {
    let mut hidden = found(&[("p/data/", 0)]);
    hidden.bucket.lifecycle = Reading::Denied("no".to_owned());
    hidden.bucket.policy = Reading::Denied("no".to_owned());
    let inferred = inferred(&hidden);
    assert!(inferred.text.contains("may not be read: no") && inferred.warnings.is_empty(), "{}", inferred.text);
    hidden.bucket.tags = Reading::Denied("no".to_owned());
    let owner = layout_of(&hidden).unwrap();
    assert!(owner.warnings[0].contains("cannot tell whose bucket"), "{:?}", owner.warnings);
}

#[test]
fn folders_beyond_those_that_are_named_are_told() {
    let keys: Vec<String> = (0..1_500).map(|number| format!("p{number:04}/data/x")).collect();
    let objects: Vec<(&str, u64)> = keys.iter().map(|key| (key.as_str(), 1)).collect();
    let inferred = inferred(&found(&objects));
    assert!(inferred.layout.buckets[0].folders.len() < 1_500);
    assert!(inferred.text.contains("The bucket has more folders than a layout names"), "{}", &inferred.text[..600]);
}

/// The layout where a policy that a grant would make just so is attached to these.
fn with_policy(attachments: Seen<Attachments>, document: &str, is_ours: bool) -> Inferred {
    let mut found = found(&[("p/data/", 0), ("q/data/", 0)]);
    let own = Tags::from([(TagKey::owner(), TagValue::observed("mine"))]);
    found.bucket.tags = Reading::Known(own.clone());
    let version = PolicyVersion { id: VersionId(1), created: None, document: PolicyJson(document.to_owned()) };
    let policy = ManagedPolicy {
        arn: "arn:aws:iam::245966534215:policy/P".parse().unwrap(),
        name: "P".parse().unwrap(),
        id: None,
        description: None,
        default_version: VersionId(1),
        versions: vec![version],
        attachments: 1,
        boundary_uses: 0,
        tags: if is_ours { own } else { Tags::new() },
        created: None,
        updated: None,
    };
    found.policies = Policies::Read(vec![FoundPolicy { policy, attachments }]);
    layout_of(&found).unwrap()
}

#[test]
fn a_policy_of_whose_holders_nothing_is_known_becomes_no_grant_that_takes_it_from_them() {
    let grant = "[[grant]]\npolicy = \"P\"\naccess = \"read\"\non = [\"bsingh-ml-workflows\"]\n";
    let layout = format!(
        "version = 1\nlayout = \"mine\"\n[[bucket]]\nname = \"{BUCKET}\"\ntemplate = \"t\"\nprojects = [\"p\", \"q\"]\n{grant}\
         [template.t]\nfolders = [{{ path = \"data\" }}]\n"
    );
    let none = BTreeMap::new();
    let options = crate::layout::ParseOptions { file_stem: "x", environment: None, set: &none, env_vars: &none };
    let layout = crate::layout::parse(layout.as_bytes(), &options).unwrap();
    let made = crate::access::documents_of(&layout, &layout.grants[0], "aws").unwrap().remove(0).1.0;
    let roles = vec!["trainer".parse().unwrap()];
    let seen = with_policy(Seen::Here(Attachments { roles, ..Attachments::default() }), &made, true);
    assert_eq!(seen.layout.grants.len(), 1, "{}", seen.text);
    assert!(seen.warnings.is_empty() && seen.text.contains("{ role = \"trainer\" }"), "{}", seen.text);
    let hidden = with_policy(Seen::Hidden("no".to_owned()), &made, true);
    assert_eq!(hidden.layout.grants.len(), 0, "{}", hidden.text);
    assert!(hidden.warnings[0].contains("policy `P`"), "{:?}", hidden.warnings);
    assert!(
        hidden.text.contains("# [[grant]]\n# policy = \"P\"") && hidden.text.contains("`attach`"),
        "{}",
        hidden.text
    );
}

#[test]
fn policies_that_reach_the_bucket_by_a_pattern_are_told() {
    for resource in
        ["arn:aws:s3:::bsingh-*/*", "arn:aws:s3:::bsingh-ml-workflow?", "arn:aws:s3:::bsingh-ml-workflows*", "*"]
    {
        let document = format!(r#"{{"Statement":{{"Effect":"Allow","Action":"s3:*","Resource":"{resource}"}}}}"#);
        let text = with_policy(Seen::Here(Attachments::default()), &document, false).text.replace("\n# ", " ");
        assert!(text.contains("it reaches this bucket along with others"), "{resource}: {text}");
    }
}

#[test]
fn what_would_be_revoked_is_not_said_to_stay() {
    let other = r#"{"Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::bsingh-ml-workflows/p/x"}]}"#;
    let words = |is_ours| with_policy(Seen::Here(Attachments::default()), other, is_ours).text.replace("\n# ", " ");
    assert!(words(false).contains("so it is left as it is."), "{}", words(false));
    let ours = words(true);
    assert!(!ours.contains("left as it is") && ours.contains("`apply` takes it from everybody"), "{ours}");
}

/// Keys that people and programs have made.
fn keys() -> impl Strategy<Value = Vec<(String, u64)>> {
    let name = select(vec![
        "data",
        "models",
        "results",
        "credit-scoring",
        "q",
        "a b",
        "ü",
        "${x}",
        "$${x}",
        "<b>",
        "TODO",
        "..",
        "",
        "year=2024",
        "a\"b",
        "it's",
        "a\nb",
        "your-x-name",
        "\u{202e}x",
        "a\\b",
        "'''",
        "\"\"\"",
    ]);
    let key = (vec(name, 1..4), select(vec!["", "/", "/.keep", "/a.csv"]), select(vec![0_u64, 0, 7]));
    let text = key.prop_map(|(names, end, size)| (format!("{}{end}", names.join("/")), size));
    vec(text.prop_filter("S3 has no empty keys", |(key, _)| !key.is_empty()), 0..12)
}

fn reading<T: Clone + std::fmt::Debug + 'static>(
    known: impl Strategy<Value = T> + 'static,
) -> impl Strategy<Value = Reading<T>> {
    prop_oneof![
        8 => known.prop_map(Reading::Known),
        1 => Just(Reading::Denied("AccessDenied: <no> ${x} your-bucket-name".to_owned())),
        1 => Just(Reading::Unsupported),
    ]
}

fn tags() -> impl Strategy<Value = Tags> {
    let pair = (
        select(vec!["team", "cost center", "aws:stack", "a.b", "ü", "bucketwright:layout", "bucketwright:x"]),
        select(vec!["", "ml", "<script>alert(1)</script>", "a\"b", "TODO", "your-team-name", "${x}"]),
    );
    vec(pair, 0..5).prop_map(|pairs| {
        pairs.into_iter().map(|(key, value)| (TagKey::observed(key), TagValue::observed(value))).collect()
    })
}

fn rules() -> impl Strategy<Value = Lifecycle> {
    let id = select(vec![
        None,
        Some("archive"),
        Some("bucketwright-housekeeping"),
        Some("bucketwright-noncurrent"),
        Some("bucketwright-noncurrent-data/"),
        Some("\"\n<x>"),
    ]);
    let rule = (
        id,
        option::of(select(vec!["data/", "q/", ""])),
        option::of(1..400_i32),
        option::of(select(vec![7, 9])),
        any::<bool>(),
    );
    let rule = rule.prop_map(|(id, prefix, days, abort, enabled)| LifecycleRule {
        id: id.map(str::to_owned),
        enabled,
        filter: LifecycleFilter { prefix: prefix.map(str::to_owned), ..LifecycleFilter::default() },
        noncurrent_expiration: days.map(|days| NoncurrentExpiration { days: Some(days), newer_versions: Some(3) }),
        abort_multipart_days: abort,
        ..LifecycleRule::default()
    });
    vec(rule, 0..4).prop_map(|rules| Lifecycle { rules, default_minimum_object_size: None })
}

fn encryption() -> impl Strategy<Value = Option<Encryption>> {
    let key = select(vec![
        None,
        Some("arn:aws:kms:us-east-1:245966534215:key/1234abcd-12ab"),
        Some("arn:aws:kms:eu-west-1:245966534215:key/1234abcd-12ab"),
        Some("arn:aws:kms:us-east-1:245966534215:alias/ml"),
    ]);
    option::of((key, any::<bool>(), option::of(any::<bool>()))).prop_map(|found| {
        found.map(|(key, bucket_key, sse_c_blocked)| Encryption {
            kms_key: key.map(|key| key.parse().unwrap()),
            bucket_key,
            sse_c_blocked,
        })
    })
}

fn policies() -> impl Strategy<Value = Option<PolicyJson>> {
    let tls = r#"{"Version":"2012-10-17","Statement":[{"Sid":"Mine","Effect":"Deny","Principal":"*","Action":"s3:*",
        "Resource":["arn:aws:s3:::bsingh-ml-workflows","arn:aws:s3:::bsingh-ml-workflows/*"],
        "Condition":{"Bool":{"aws:SecureTransport":"false"}}}]}"#;
    let foreign = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*","Action":"s3:DeleteBucket",
        "Resource":"arn:aws:s3:::bsingh-ml-workflows"}]}"#;
    let texts = vec![None, Some(tls), Some(foreign), Some("not JSON"), Some("{}")];
    select(texts).prop_map(|text| text.map(|text| PolicyJson(text.to_owned())))
}

fn logs() -> impl Strategy<Value = Option<AccessLog>> {
    let bucket = select(vec![BUCKET, "the-logs", "other-logs", "a.b.logs", "your-logs"]);
    let prefix = select(vec!["", "x/", "/x", "a//b", "${x}/", "<account-id>/"]);
    option::of((bucket, prefix)).prop_map(|log| {
        log.map(|(bucket, prefix)| AccessLog { bucket: bucket.parse().unwrap(), prefix: prefix.to_owned() })
    })
}

fn block() -> impl Strategy<Value = PublicAccessBlock> {
    prop_oneof![
        Just(PublicAccessBlock::ALL),
        Just(PublicAccessBlock::NONE),
        Just(PublicAccessBlock { block_public_policy: false, ..PublicAccessBlock::ALL }),
    ]
}

fn state(name: &'static str) -> impl Strategy<Value = BucketState> {
    let first = (reading(tags()), reading(any::<bool>()), reading(block()), reading(encryption()));
    let second = (reading(any::<bool>()), reading(rules()), reading(policies()), reading(logs()), any::<bool>());
    (first, second).prop_map(move |((tags, owner, public, encryption), (versioning, lifecycle, policy, log, empty))| {
        let name: BucketName = name.parse().unwrap();
        BucketState {
            is_empty: Some(empty),
            tags,
            owner_enforced: owner,
            public_access: public,
            encryption,
            versioning,
            lifecycle,
            policy,
            access_log: log,
            ..BucketState::without_settings(name, Existence::Present, Some(Region::us_east_1()))
        }
    })
}

proptest! {
    #[test]
    fn whatever_a_bucket_is_its_layout_plans_the_owner_tag_alone(
        bucket in state(BUCKET),
        log_bucket in option::of(state("the-logs")),
        objects in keys(),
        endpoint in select(vec![Endpoint::Aws, Endpoint::Embedded, Endpoint::OtherHttp, Endpoint::OtherHttps]),
    ) {
        let objects: Vec<(&str, u64)> = objects.iter().map(|(key, size)| (key.as_str(), *size)).collect();
        let found = Found { bucket, log_bucket, around: around(endpoint), ..found(&objects) };
        let found = Found { survey: survey(&objects), ..found };
        let inferred = layout_of(&found).unwrap();
        prop_assert_eq!(more_than_the_tag(&inferred.plan), Vec::<String>::new(), "{}", inferred.text);
        prop_assert!(inferred.plan.actions.len() <= 1);
        prop_assert!(adopted(&found, &inferred.layout).actions.is_empty(), "{}", inferred.text);
        // Only whose the bucket is can stand in the way, and that is told.
        let refused = inferred.plan.findings.iter().any(|finding| finding.severity == crate::report::Severity::Error);
        let owner = found.bucket.tags.known().and_then(|tags| tags.get(&TagKey::owner()));
        prop_assert_eq!(refused, matches!(found.bucket.tags, Reading::Denied(_)) || owner.is_some_and(|owner| *owner != TagValue::from(&inferred.layout.id)));
        prop_assert_eq!(refused, !inferred.warnings.is_empty());
        prop_assert!(!inferred.text.contains(RIGHT_TO_LEFT), "{:?}", inferred.text);
        let markers = found.survey.markers(&inferred.layout.buckets[0]);
        prop_assert!(markers.values().all(|state| *state == MarkerState::Present), "{}", inferred.text);
    }
}
