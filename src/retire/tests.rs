//! What a layout is without a part of it, what is counted, and what may go.

use super::{
    Inventory, Options, Retirement, Target, Without, access_that_remains, decide, let_in_by_bucket, may_log_into,
    reaching, without,
};
use crate::access::AccountPlan;
use crate::layout::{Layout, ParseOptions, parse};
use crate::model::{
    AccessLog, Attachments, BucketName, BucketState, ETag, Existence, ManagedPolicy, PolicyJson, PolicyVersion,
    Reading, Seen, TagKey, Tags, VersionEntry, VersionId,
};
use crate::report::Severity;
use std::collections::BTreeMap;

fn layout(text: &str) -> Layout {
    let none = BTreeMap::new();
    let options = ParseOptions { file_stem: "mine", environment: None, set: &none, env_vars: &none };
    let text = format!("version = 1\nlayout = \"mine\"\n{text}");
    parse(text.as_bytes(), &options).unwrap_or_else(|mistakes| panic!("{mistakes:?}\n{text}"))
}

const LAKE: &str = "[[bucket]]\nname = \"lake\"\ntemplate = \"ml-project\"\nprojects = [\"a\", \"ab\"]\n";
const POND: &str = "[[bucket]]\nname = \"pond\"\ntemplate = \"team-folders\"\nprojects = [\"a\"]\nmarkers = \"keep\"\n";

fn grant(policy: &str, on: &str) -> String {
    format!("[[grant]]\npolicy = \"{policy}\"\naccess = \"read\"\non = [{on}]\n")
}

/// The edit for a target, and the codes of what is told of it.
fn edited(text: &str, target: &str) -> (Vec<String>, Vec<&'static str>) {
    let layout = layout(text);
    let Without { edit, findings, layout: after, .. } = without(&layout, &Target::find(&layout, target).unwrap());
    let target = Target::find(&layout, target).unwrap();
    let names = after.grants.iter().flat_map(|grant| &grant.on);
    assert!(!names.clone().any(|place| target.holds(&place.bucket, &place.prefix)), "{after:?}");
    (edit, findings.iter().map(|finding| finding.code).collect())
}

#[test]
fn the_edit_names_every_table_that_speaks_of_it() {
    let table = |rest: &str| format!("{LAKE}{POND}{rest}");
    let projects = "[[bucket]] name = \"lake\": projects = [\"ab\"]".to_owned();
    let on = |places: &str| format!("[[grant]] policy = \"p\": on = [{places}]");
    for (text, target, edit, codes) in [
        (table(""), "lake/a", vec![projects.clone()], vec![]),
        (
            table(&grant("p", "\"lake/a\"")),
            "lake/a",
            vec![projects.clone(), "[[grant]] policy = \"p\": remove the table".to_owned()],
            vec![],
        ),
        (table(&grant("p", "\"lake/ab\"")), "lake/a", vec![projects.clone()], vec![]),
        (table(&grant("p", "\"lake\"")), "lake/a", vec![projects.clone(), on("\"lake/ab\"")], vec!["grant-narrowed"]),
        (table(&grant("p", "\"lake/a/data\", \"pond\"")), "lake/a", vec![projects.clone(), on("\"pond\"")], vec![]),
        (
            table(&format!("{}list = \"bucket\"\n", grant("p", "\"lake\""))),
            "lake/a",
            vec![projects.clone(), on("\"lake/ab\"")],
            vec!["grant-narrowed", "names-stay-visible"],
        ),
        (
            table(
                "[[dataset]]\nsource = \"x\"\nto = \"lake/a/data\"\n[[dataset]]\nsource = \"y\"\nto = \"lake/ab/data\"\n",
            ),
            "lake/a",
            vec![projects, "[[dataset]] source = \"x\", to = \"lake/a/data\": remove the table".to_owned()],
            vec![],
        ),
        (
            table(&grant("p", "\"lake\", \"pond\"")),
            "pond",
            vec!["[[bucket]] name = \"pond\": remove the table".to_owned(), on("\"lake\"")],
            vec![],
        ),
        (table(""), "pond/a", vec!["[[bucket]] name = \"pond\": projects = []".to_owned()], vec![]),
    ] {
        assert_eq!(edited(&text, target), (edit, codes), "{target} of\n{text}");
    }
}

#[test]
fn a_projects_name_alone_must_be_the_only_one() {
    let layout = layout(&format!("{LAKE}{POND}"));
    assert_eq!(Target::find(&layout, "ab").unwrap().name(), "lake/ab");
    let several = Target::find(&layout, "a").unwrap_err().to_string();
    assert_eq!(several, "several buckets have a project `a`: write `lake/a` or `pond/a`");
}

/// `KEY`, `KEY old`, `KEY deleted`; a size behind a colon.
fn entry(text: &str) -> VersionEntry {
    let (text, size) = text.split_once(':').map_or((text, 0), |(text, size)| (text, size.parse().unwrap()));
    let (key, what) = text.split_once(' ').unwrap_or((text, ""));
    VersionEntry {
        key: key.parse().unwrap(),
        version: format!("v-{what}"),
        is_latest: what != "old",
        is_delete_marker: what == "deleted",
        size_bytes: size,
        etag: None,
        modified: None,
    }
}

fn ours(existence: Existence) -> BucketState {
    let mut state = BucketState::without_settings("lake".parse().unwrap(), existence, None);
    state.tags = Reading::Known(Tags::from([(TagKey::owner(), "mine".parse().unwrap())]));
    state
}

/// What is decided about a target that holds these entries.
fn decided(target: &str, entries: &[&str], uploads: u64, options: Options) -> Retirement {
    let layout = layout(LAKE);
    let target = Target::find(&layout, target).unwrap();
    let mut inventory = Inventory::new(&layout, &target, &Reading::Known(true));
    for text in entries {
        inventory.take(entry(text));
    }
    let without = without(&layout, &target);
    let (state, holdings) = (ours(Existence::Present), inventory.finish());
    decide(&layout, &target, (&state, &holdings, uploads), &[], (AccountPlan::default(), &without), options)
}

#[test]
fn only_what_is_empty_goes_unasked() {
    let (none, by_hand) = (Options::default(), Options { by_hand: true, ..Options::default() });
    let all = Options { all_versions: true, ..by_hand };
    // Entries, options, then: markers that go, objects and versions that go, whether the bucket goes.
    for (target, entries, options, expected) in [
        ("lake", &[][..], none, (0, 0, true)),
        ("lake/a", &[], none, (0, 0, false)),
        ("lake", &["a/data/", "a/models/", "ab/data/"], none, (3, 0, true)),
        ("lake", &["a/data/", "a/data/ old", "a/data/ deleted"], none, (3, 0, true)),
        ("lake", &["a/data/", "a/data/x:5", "a/models/"], none, (1, 0, false)),
        ("lake", &["a/data/", "a/data/x deleted", "a/models/"], none, (1, 0, false)),
        ("lake", &["a/data/", "a/data/x old:5"], none, (0, 0, false)),
        ("lake", &["a/data/:7"], none, (0, 0, false)),
        ("lake", &["stray:0"], none, (0, 0, false)),
        ("lake", &["a/data/", "a/data/x:5"], by_hand, (1, 1, false)),
        ("lake", &["a/data/", "a/data/x:5", "a/data/x old:9"], all, (1, 2, true)),
        ("lake/a", &["a/data/", "a/data/x:5", "a/data/x old:9"], all, (1, 2, false)),
    ] {
        let made = decided(target, entries, 0, options);
        assert_eq!((made.markers.len(), made.named, made.bucket), expected, "{target} {entries:?} {options:?}");
        assert!(!made.is_refused());
    }
    assert!(!decided("lake", &[], 1, all).bucket, "somebody may be sending it");
}

#[test]
fn an_object_without_versions_goes_only_as_it_was_seen() {
    let layout = layout(LAKE);
    let target = Target::find(&layout, "lake").unwrap();
    for (versioning, version, is_latest, by_version, leaves_versions) in [
        (Reading::Known(false), "null", true, false, false),
        (Reading::Unsupported, "null", true, false, false),
        (Reading::Known(true), "v1", true, true, true),
        (Reading::Known(true), "null", true, true, true),
        // The bucket kept versions once.
        (Reading::Known(false), "v1", true, true, false),
        (Reading::Known(false), "null", false, true, false),
        // Whether it keeps them may not be read: what is written meanwhile must not go unseen.
        (Reading::Denied("no".to_owned()), "null", true, false, true),
        (Reading::Denied("no".to_owned()), "v1", true, true, true),
    ] {
        let mut inventory = Inventory::new(&layout, &target, &versioning);
        let etag = Some(ETag::new("e"));
        let entry = VersionEntry { version: version.to_owned(), is_latest, etag, ..entry("a/data/x:5") };
        let delete = inventory.take(entry).unwrap().for_good;
        assert_eq!(
            (delete.version.is_some(), delete.etag.is_none()),
            (by_version, by_version),
            "{versioning:?} {version}"
        );
        assert_eq!(inventory.finish().leaves_versions, leaves_versions, "{versioning:?} {version}");
    }
}

#[test]
fn what_stays_of_the_time_of_versions_is_told() {
    let layout = layout(LAKE);
    let target = Target::find(&layout, "lake").unwrap();
    let mut inventory = Inventory::new(&layout, &target, &Reading::Known(false));
    for text in ["a/data/x:5", "a/data/x old:5"] {
        inventory.take(entry(text));
    }
    let (state, holdings, without) = (ours(Existence::Present), inventory.finish(), without(&layout, &target));
    let by_hand = Options { by_hand: true, ..Options::default() };
    let made = decide(&layout, &target, (&state, &holdings, 0), &[], (AccountPlan::default(), &without), by_hand);
    let told = made.findings.iter().find(|finding| finding.code == "data-stays").expect("older versions stay");
    assert!(told.message.contains("older versions") && !made.bucket, "{told:?}");
}

#[test]
fn more_than_was_allowed_is_refused() {
    let entries: Vec<String> = (0..3).map(|number| format!("a/data/{number}:1")).collect();
    let entries: Vec<&str> = entries.iter().map(String::as_str).collect();
    for (max_delete, consented, refused) in [(None, true, false), (Some(3), false, false), (Some(2), true, true)] {
        let options = Options { by_hand: true, all_versions: false, max_delete, consented };
        assert_eq!(decided("lake/a", &entries, 0, options).is_refused(), refused, "{max_delete:?} {consented}");
    }
}

/// Whoever has a policy of somebody else that reaches the bucket `lake`.
fn told_of(attachments: &Seen<Attachments>) -> Vec<(&'static str, String)> {
    let layout = layout(LAKE);
    let target = Target::find(&layout, "lake").unwrap();
    let document = r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:GetObject","Resource":"*"}}"#;
    let version = PolicyVersion { id: VersionId(1), created: None, document: PolicyJson(document.to_owned()) };
    let policy = ManagedPolicy {
        arn: "arn:aws:iam::111122223333:policy/Theirs".parse().unwrap(),
        name: "Theirs".parse().unwrap(),
        id: None,
        description: None,
        default_version: VersionId(1),
        versions: vec![version],
        attachments: 0,
        boundary_uses: 0,
        tags: Tags::new(),
        created: None,
        updated: None,
    };
    let reaching = reaching(&layout, &target, &[policy], &"111122223333".parse().unwrap(), "aws");
    let records: Vec<_> = reaching.iter().map(|one| one.record(attachments)).collect();
    let told = access_that_remains(&layout, &target, &records).into_iter();
    told.map(|finding| (finding.code, finding.message)).collect()
}

#[test]
fn access_that_cannot_be_seen_is_not_taken_for_none() {
    let codes = |attachments: &Seen<Attachments>| told_of(attachments).iter().map(|one| one.0).collect::<Vec<_>>();
    assert_eq!(codes(&Seen::Here(Attachments::default())), [""; 0]);
    let roles = vec!["trainer".parse().unwrap()];
    assert_eq!(codes(&Seen::Here(Attachments { roles, ..Attachments::default() })), ["access-remains"]);
    let hidden = told_of(&Seen::Hidden("not today".to_owned()));
    assert_eq!(hidden[0].0, "account-hidden");
    assert!(hidden[0].1.contains("`Theirs`") && hidden[0].1.contains("not today"), "{hidden:?}");

    let layout = layout(LAKE);
    let target = Target::find(&layout, "lake").unwrap();
    let of_bucket = |policy| let_in_by_bucket(&target, &policy).map(|finding| finding.code);
    let allow = r#"{"Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"*"}]}"#;
    assert_eq!(of_bucket(Reading::Known(None)), None);
    assert_eq!(of_bucket(Reading::Unsupported), None);
    assert_eq!(of_bucket(Reading::Known(Some(PolicyJson(allow.to_owned())))), Some("access-remains"));
    assert_eq!(of_bucket(Reading::Denied("no".to_owned())), Some("account-hidden"));
}

#[test]
fn a_bucket_that_may_log_elsewhere_is_not_taken_for_silent() {
    let target: BucketName = "lake".parse().unwrap();
    let log = |bucket: &str| Some(AccessLog { bucket: bucket.parse().unwrap(), prefix: String::new() });
    for (existence, access_log, may_log) in [
        (Existence::Present, Reading::Known(log("lake")), true),
        (Existence::Present, Reading::Known(log("pond")), false),
        (Existence::Present, Reading::Known(None), false),
        (Existence::Present, Reading::Denied("no".to_owned()), true),
        (Existence::Present, Reading::Unsupported, false),
        (Existence::Forbidden, Reading::Unsupported, true),
        (Existence::Absent, Reading::Known(log("lake")), false),
    ] {
        let state = BucketState { access_log, ..ours(existence) };
        assert_eq!(may_log_into(&state, &target), may_log, "{state:?}");
    }
}

#[test]
fn nothing_goes_from_a_bucket_that_is_not_ours() {
    let layout = layout(LAKE);
    let target = Target::find(&layout, "lake").unwrap();
    let without = without(&layout, &target);
    let holdings = Inventory::new(&layout, &target, &Reading::Known(false)).finish();
    let code = |state: &BucketState| {
        let found = (state, &holdings, 0);
        let made = decide(&layout, &target, found, &[], (AccountPlan::default(), &without), Options::default());
        let first = made.findings.iter().find(|finding| finding.severity == Severity::Error).map(|one| one.code);
        (first, made.bucket)
    };
    assert_eq!(code(&ours(Existence::Present)), (None, true));
    assert_eq!(code(&ours(Existence::Absent)), (None, false));
    assert_eq!(code(&ours(Existence::Forbidden)), (Some("bucket-forbidden"), false));
    let tagged = |tags: Reading<Tags>| BucketState { tags, ..ours(Existence::Present) };
    let theirs = Tags::from([(TagKey::owner(), "theirs".parse().unwrap())]);
    assert_eq!(code(&tagged(Reading::Known(theirs))), (Some("other-layout"), false));
    assert_eq!(code(&tagged(Reading::Known(Tags::new()))), (Some("not-ours"), false));
    assert_eq!(code(&tagged(Reading::Unsupported)), (Some("not-ours"), false));
    assert_eq!(code(&tagged(Reading::Denied("no".to_owned()))), (Some("owner-unknown"), false));
}
