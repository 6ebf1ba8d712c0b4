//! Whatever is generated, the evaluator agrees with the grant cell by cell, and nothing beyond it is allowed.

use super::{Form, Frame, Generated, MAX_MANAGED_POLICY_CHARACTERS, identity, via_service};
use crate::layout::{FolderAccess, Layout, ListScope, ParseOptions, parse};
use crate::model::{Arn, BucketName};
use crate::policy::entitlement::Entitlement;
use crate::policy::{Caller, Context, Document, Policies, Policy, Request, Verdict, evaluate};
use proptest::prelude::{ProptestConfig, Strategy, any, prop_assert, proptest};
use proptest::sample::{Index, select};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;

const KEY: &str = "arn:aws:kms:us-east-1:245966534215:key/1234abcd-12ab";
const OTHER_KEY: &str = "arn:aws:kms:us-east-1:245966534215:key/ffff0000-12ab";
const ACCOUNT: &str = "245966534215";

/// What is asked about objects beside the actions that accesses are made of: none of it is ever granted.
const NEVER_ON_OBJECTS: [&str; 10] = [
    "s3:GetObjectVersion",
    "s3:DeleteObjectVersion",
    "s3:GetObjectAcl",
    "s3:PutObjectAcl",
    "s3:GetObjectTagging",
    "s3:PutObjectTagging",
    "s3:PutObjectRetention",
    "s3:BypassGovernanceRetention",
    "s3:RestoreObject",
    "s3:ReplicateObject",
];

/// The same about buckets.
const NEVER_ON_BUCKETS: [&str; 10] = [
    "s3:ListBucketVersions",
    "s3:GetBucketAcl",
    "s3:GetBucketPolicy",
    "s3:PutBucketPolicy",
    "s3:DeleteBucketPolicy",
    "s3:PutBucketAcl",
    "s3:PutBucketPublicAccessBlock",
    "s3:PutLifecycleConfiguration",
    "s3:CreateBucket",
    "s3:DeleteBucket",
];

/// A grant in a bucket with folders, as random as a layout can be.
#[derive(Debug, Clone)]
struct Case {
    folders: BTreeMap<String, &'static str>,
    access: &'static str,
    list: &'static str,
    kms: bool,
    /// Folders, or paths that lead to them, by index; the bucket itself if it is past the end.
    on: Vec<Index>,
    second_bucket: bool,
    guard: bool,
}

fn path() -> impl Strategy<Value = String> {
    let segment = select(vec!["a", "ab", "a-b", "b", "a*", "c?", "$x", "d ü"]);
    proptest::collection::vec(segment, 1..4).prop_map(|segments| segments.join("/"))
}

fn access() -> impl Strategy<Value = &'static str> {
    select(vec!["read", "append", "read-write"])
}

fn case() -> impl Strategy<Value = Case> {
    let folders = proptest::collection::btree_map(path(), access(), 0..8);
    let list = select(vec!["scoped", "root", "bucket"]);
    let on = proptest::collection::vec(any::<Index>(), 1..4);
    (folders, access(), list, any::<bool>(), on, any::<bool>(), any::<bool>()).prop_map(
        |(folders, access, list, kms, on, second_bucket, guard)| Case {
            folders,
            access,
            list,
            kms,
            on,
            second_bucket,
            guard,
        },
    )
}

impl Case {
    /// Folders and the paths that lead to them, and the bucket.
    fn places(&self) -> Vec<String> {
        let mut paths = BTreeSet::from(["lake".to_owned()]);
        for path in self.folders.keys() {
            paths.extend(path.match_indices('/').map(|(slash, _)| format!("lake/{}", &path[..slash])));
            paths.insert(format!("lake/{path}"));
        }
        paths.into_iter().collect()
    }

    fn layout(&self) -> Layout {
        let places = self.places();
        let mut on: Vec<&String> = self.on.iter().map(|index| index.get(&places)).collect();
        on.sort();
        on.dedup();
        let second = "second".to_owned();
        on.extend(self.second_bucket.then_some(&second));
        let kms = if self.kms { format!("encryption = {{ kms_key = \"{KEY}\" }}\n") } else { String::new() };
        let mut text =
            format!("version = 1\n[[bucket]]\nname = \"lake\"\ntemplate = \"t\"\n{kms}[[bucket]]\nname = \"second\"\n");
        _ = write!(
            text,
            "[[grant]]\npolicy = \"P\"\naccess = \"{}\"\nlist = \"{}\"\non = {on:?}\n[template.t]\nfolders = [\n",
            self.access, self.list
        );
        for (path, access) in &self.folders {
            _ = writeln!(text, "{{ path = \"{path}\", access = \"{access}\" }},");
        }
        text.push_str("]\n");
        let none = BTreeMap::new();
        let options = ParseOptions { file_stem: "layout", environment: None, set: &none, env_vars: &none };
        parse(text.as_bytes(), &options).unwrap_or_else(|mistakes| panic!("{mistakes:?}\n{text}"))
    }

    /// Keys in, beside, above and below all folders.
    fn keys(&self) -> BTreeSet<String> {
        let mut keys = BTreeSet::from(["x".to_owned(), "zz/x".to_owned()]);
        for place in self.places().iter().filter_map(|place| place.strip_prefix("lake/")) {
            for form in ["", "/", "/x", "/deep/er/x", "x", "-sibling/x", "b/x", "*"] {
                keys.insert(format!("{place}{form}"));
            }
            // What a star or a question mark in a name would open if it were one.
            keys.insert(format!("{}/x", place.replace('*', "zz").replace('?', "z")));
        }
        keys
    }
}

/// Somebody with these documents.
struct Holder(Policies);

impl Holder {
    fn of(documents: &[Generated]) -> Self {
        let policy = |one: &Generated| {
            let document = Document::parse(&one.document.to_string()).unwrap();
            assert!(document.defects().is_empty(), "{:?}", document.defects());
            Arc::new(Policy { name: one.name.clone(), document })
        };
        Self(Policies { identity: documents.iter().map(policy).collect(), ..Policies::default() })
    }

    fn may(&self, action: &str, resource: &str, context: Context) -> bool {
        let caller = Caller::role_session(
            &format!("arn:aws:sts::{ACCOUNT}:assumed-role/r/s"),
            &format!("arn:aws:iam::{ACCOUNT}:role/r"),
        );
        let request = Request::new(caller.unwrap(), action, resource).unwrap();
        evaluate(&self.0, &request.with_context(context.with("aws:ResourceAccount", ACCOUNT))).verdict == Verdict::Allow
    }
}

/// The least access that an action needs; none for one that is never granted.
fn needed(action: &str) -> Option<FolderAccess> {
    match action {
        "s3:GetObject" => Some(FolderAccess::Read),
        "s3:PutObject" | "s3:AbortMultipartUpload" | "s3:ListMultipartUploadParts" => Some(FolderAccess::Append),
        "s3:DeleteObject" => Some(FolderAccess::ReadWrite),
        _ => None,
    }
}

/// Every cell where the holder's rights are not the entitlement's.
struct Comparison<'here> {
    entitlement: &'here Entitlement,
    holder: &'here Holder,
    differences: Vec<String>,
}

impl Comparison<'_> {
    fn cell(&mut self, action: &str, resource: &str, context: &Context, expected: bool) {
        if self.holder.may(action, resource, context.clone()) != expected {
            self.differences.push(format!("{action} {resource} {context:?}: expected {expected}"));
        }
    }

    fn objects(&mut self, bucket: &BucketName, key: &str) {
        let granted = self.entitlement.at(bucket, key);
        let actions = [
            "s3:GetObject",
            "s3:PutObject",
            "s3:AbortMultipartUpload",
            "s3:ListMultipartUploadParts",
            "s3:DeleteObject",
        ];
        for action in actions.into_iter().chain(NEVER_ON_OBJECTS) {
            let expected = needed(action).is_some_and(|needed| granted >= Some(needed));
            self.cell(action, &format!("arn:aws:s3:::{bucket}/{key}"), &Context::default(), expected);
        }
    }

    fn listings(&mut self, bucket: &BucketName, keys: &BTreeSet<String>) {
        let arn = format!("arn:aws:s3:::{bucket}");
        let prefixes = keys.iter().map(|key| Some(key.as_str())).chain([None, Some("")]);
        for prefix in prefixes {
            for delimiter in [None, Some("/"), Some("-")] {
                let mut context = Context::default().with("s3:max-keys", "1000");
                for (name, value) in [("s3:prefix", prefix), ("s3:delimiter", delimiter)] {
                    context = value.map_or(context.clone(), |value| context.with(name, value));
                }
                self.cell("s3:ListBucket", &arn, &context, self.entitlement.lists(bucket, prefix, delimiter));
            }
        }
    }

    fn buckets(&mut self, bucket: &BucketName, keys: &BTreeSet<String>) {
        let arn = format!("arn:aws:s3:::{bucket}");
        let granted = self.entitlement.buckets().contains(&bucket);
        // Some key that is written lies in a place or in one of its folders.
        let writes = keys.iter().any(|key| self.entitlement.at(bucket, key) > Some(FolderAccess::Read));
        self.cell("s3:GetBucketLocation", &arn, &Context::default(), granted);
        self.cell("s3:ListBucketMultipartUploads", &arn, &Context::default(), writes);
        for action in NEVER_ON_BUCKETS {
            self.cell(action, &arn, &Context::default(), false);
        }
        let key: Arn = KEY.parse().unwrap();
        let via = || Context::default().with("kms:ViaService", via_service(&key));
        let used = granted && self.entitlement.kms_key(bucket).is_some();
        if used || !self.entitlement.grounds.values().any(|ground| ground.kms_key.is_some()) {
            self.cell("kms:Decrypt", KEY, &via(), used);
            self.cell("kms:GenerateDataKey", KEY, &via(), used && writes);
        }
        self.cell("kms:Decrypt", KEY, &Context::default(), false);
        self.cell("kms:Decrypt", OTHER_KEY, &via(), false);
        self.cell("kms:Encrypt", KEY, &via(), false);
    }
}

fn differences(case: &Case) -> Vec<String> {
    let layout = case.layout();
    let entitlement = Entitlement::of_grant(&layout, &layout.grants[0]);
    let guard = case.guard.then(|| ACCOUNT.parse().unwrap());
    let frame = Frame { partition: "aws".to_owned(), guard };
    let documents = identity(&entitlement, Form::Least, &frame).unwrap();
    assert_eq!(documents, identity(&entitlement, Form::Least, &frame).unwrap());
    assert!(documents.iter().all(|one| one.characters() <= MAX_MANAGED_POLICY_CHARACTERS));
    let holder = Holder::of(&documents);
    let keys = case.keys();
    let mut comparison = Comparison { entitlement: &entitlement, holder: &holder, differences: Vec::new() };
    for name in ["lake", "second", "lake-2", "lak"] {
        let bucket: BucketName = name.parse().unwrap();
        keys.iter().for_each(|key| comparison.objects(&bucket, key));
        comparison.listings(&bucket, &keys);
        comparison.buckets(&bucket, &keys);
    }
    for (action, resource) in [("s3:ListAllMyBuckets", "*"), ("iam:PassRole", "*"), ("sts:AssumeRole", "*")] {
        comparison.cell(action, resource, &Context::default(), false);
    }
    comparison.differences
}

proptest! {
    // Each case asks tens of thousands of questions.
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn the_evaluator_agrees_with_the_grant_cell_by_cell(case in case()) {
        let differences = differences(&case);
        prop_assert!(differences.is_empty(), "{}", differences.join("\n"));
    }
}

fn typed(places: usize) -> Entitlement {
    let place = |number: usize| crate::layout::Place {
        bucket: "lake".parse().unwrap(),
        prefix: format!("project-{number:04}/some-folder/").parse().unwrap(),
    };
    Entitlement {
        name: "P".repeat(127),
        access: FolderAccess::ReadWrite,
        list: ListScope::Scoped,
        places: (0..places).map(place).collect(),
        grounds: BTreeMap::new(),
    }
}

fn frame() -> Frame {
    Frame { partition: "aws".to_owned(), guard: None }
}

#[test]
fn parts_together_give_the_whole_and_none_gives_more() {
    let entitlement = typed(200);
    let parts = identity(&entitlement, Form::Least, &frame()).unwrap();
    assert_eq!(parts.len(), 4);
    let names: BTreeSet<&str> = parts.iter().map(|part| part.name.as_str()).collect();
    assert_eq!(names.len(), parts.len());
    assert!(names.iter().all(|name| name.len() == 128 && name.starts_with("PPP")), "{names:?}");
    let (whole, each): (Holder, Vec<Holder>) =
        (Holder::of(&parts), parts.iter().map(|part| Holder::of(std::slice::from_ref(part))).collect());
    for number in 0..200 {
        let key = format!("arn:aws:s3:::lake/project-{number:04}/some-folder/x");
        assert!(whole.may("s3:DeleteObject", &key, Context::default()));
        assert_eq!(each.iter().filter(|part| part.may("s3:DeleteObject", &key, Context::default())).count(), 1);
        let sibling = format!("arn:aws:s3:::lake/project-{number:04}/some-folder-2/x");
        assert!(!whole.may("s3:GetObject", &sibling, Context::default()));
    }
}

#[test]
fn parts_are_as_large_as_they_may_be() {
    for places in [1, 35, 36, 37, 38, 39, 40, 80] {
        let parts = identity(&typed(places), Form::Least, &frame()).unwrap();
        let sizes: Vec<usize> = parts.iter().map(Generated::characters).collect();
        assert!(sizes.iter().all(|size| *size <= MAX_MANAGED_POLICY_CHARACTERS), "{sizes:?}");
        // One place more takes 140 characters at most.
        let full = &sizes[..sizes.len() - 1];
        assert!(full.iter().all(|size| *size > MAX_MANAGED_POLICY_CHARACTERS - 180), "{places}: {sizes:?}");
    }
}

#[test]
fn what_cannot_be_split_is_refused() {
    let mut entitlement = typed(1);
    // Doubled by the listing, and each star takes four characters.
    entitlement.places[0].prefix = format!("{}/", "*".repeat(1000)).parse().unwrap();
    let error = identity(&entitlement, Form::Least, &frame()).unwrap_err();
    assert!(error.to_string().contains("for one folder alone"), "{error}");
}
