//! One check per control of each bucket: pass, fail, waived with its reason, or unknown.

use crate::layout::controls::{Assessment, Circumstances, Standing, assess};
use crate::layout::{Bucket, Layout};
use crate::model::{BucketState, Control, Existence};
use crate::report::{Check, Verdict};

/// The checks of one bucket.
pub fn checks(layout: &Layout, bucket: &Bucket, found: &BucketState, around: &Circumstances) -> Vec<Check> {
    let target = format!("s3://{}", bucket.name);
    let missing = match found.existence {
        Existence::Present => None,
        Existence::Absent => Some("the bucket does not exist"),
        Existence::Forbidden => Some("the bucket exists, and the caller may not reach it"),
    };
    if let Some(detail) = missing {
        return vec![Check { check: "exists".to_owned(), target, verdict: Verdict::Fail, detail: detail.to_owned() }];
    }
    assess(bucket, &layout.id, found, around).into_iter().map(|one| check(one, &target)).collect()
}

fn check(assessment: Assessment, target: &str) -> Check {
    let Assessment { control, standing } = assessment;
    let (verdict, detail) = match standing {
        Standing::Holds(detail) => (Verdict::Pass, detail),
        Standing::Differs { found, wanted, .. } => (Verdict::Fail, format!("is {found}, wanted {wanted}")),
        Standing::Waived(reason) => (Verdict::Waived, reason),
        Standing::Unknown(why) => (Verdict::Unknown, why),
        Standing::Unsupported => (Verdict::NotApplicable, "the endpoint does not implement it".to_owned()),
        Standing::NotAsked(why) | Standing::Unsafe(why) => (Verdict::NotApplicable, why),
    };
    Check { check: control.to_string(), target: target.to_owned(), verdict, detail: with_standards(detail, control) }
}

/// The ids that an auditor looks for.
fn with_standards(detail: String, control: Control) -> String {
    match control.standards() {
        "" => detail,
        ids => format!("{detail} ({ids})"),
    }
}
