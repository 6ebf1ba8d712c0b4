//! Any bytes as a document of any type: the linter says something or nothing, never panics, is never slow. The first
//! byte chooses the type, so that a corpus can hold documents of each.
#![no_main]

use bucketwright::model::BucketName;
use bucketwright::policy::lint::{PolicyType, Subject, codes, lint};
use bucketwright_fuzz::{LIMIT, in_time};
use libfuzzer_sys::fuzz_target;

/// In the order of the digits that stand before a document in the corpus.
const TYPES: [PolicyType; 7] = [
    PolicyType::Identity,
    PolicyType::Bucket,
    PolicyType::Boundary,
    PolicyType::Session,
    PolicyType::Scp,
    PolicyType::Rcp,
    PolicyType::Trust,
];

fuzz_target!(|data: &[u8]| {
    let [first, text @ ..] = data else { return };
    let kind = TYPES[usize::from(first.wrapping_sub(b'0')) % TYPES.len()];
    let bucket: Option<BucketName> = "lake".parse().ok();
    let bucket = bucket.as_ref().filter(|_| kind == PolicyType::Bucket && first % 2 == 0);
    in_time(LIMIT, || {
        for finding in lint(text, &Subject { target: "fuzz", kind, bucket }) {
            assert!(codes().iter().any(|code| code.name == finding.code), "unknown code {}", finding.code);
            assert!(!finding.message.is_empty(), "{} says nothing", finding.code);
        }
    });
});
