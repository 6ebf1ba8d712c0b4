//! Which clients a listing scope breaks: measured, so that people hear of it before their jobs do.
//!
//! Measured on a local endpoint with awscli 1.46.3, s3fs 2026.9.0, obstore 0.12.1, pandas 3.1.1, pyarrow 26.0.1,
//! flytekit 1.16.31 and Flyte 2.12.1, with `s3:GetBucketLocation` granted as generated policies do.

use crate::layout::ListScope;

/// Something that clients do, and fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Breakage {
    /// What is done.
    pub operation: &'static str,
    /// How it fails.
    pub how: &'static str,
    /// What helps, without changing the scope.
    pub cure: &'static str,
    /// Whether it also fails where the top level may be listed.
    pub fails_at_root: bool,
}

/// What fails where a listing must name a granted folder. Listing, getting and putting inside of it work with all of them.
const UNDER_FOLDERS: [Breakage; 6] = [
    Breakage {
        operation: "aws s3 ls s3://BUCKET",
        how: "is denied: it asks for an empty prefix",
        cure: "name the folder",
        fails_at_root: false,
    },
    Breakage {
        operation: "HeadBucket (aws s3api head-bucket, bucket existence checks)",
        how: "is denied: it carries no prefix, so no condition on one can let it through",
        cure: "leave the check out",
        fails_at_root: true,
    },
    Breakage {
        operation: "pyarrow write_dataset",
        how: "fails on HeadBucket",
        cure: "pass create_dir=False",
        fails_at_root: true,
    },
    Breakage {
        operation: "pandas read_parquet and pyarrow dataset on a folder",
        how: "fail where a missing key answers 403 instead of 404",
        cure: "pass a FileSelector factory or a list of files",
        fails_at_root: true,
    },
    Breakage {
        operation: "exists of s3fs, flytekit and Flyte 2 on a missing key or a folder, and s3fs glob",
        how: "raise PermissionError where a missing key answers 403 instead of 404",
        cure: "list the folder instead",
        fails_at_root: true,
    },
    Breakage {
        operation: "aws s3 cp of a missing key",
        how: "says 403 instead of 404",
        cure: "look whether the key is there before suspecting the policy",
        fails_at_root: true,
    },
];

/// What fails under a scope. Where every key may be listed nothing does.
pub fn broken_under(scope: ListScope) -> impl Iterator<Item = &'static Breakage> {
    UNDER_FOLDERS.iter().filter(move |breakage| match scope {
        ListScope::Scoped => true,
        ListScope::Root => breakage.fails_at_root,
        ListScope::Bucket => false,
    })
}
