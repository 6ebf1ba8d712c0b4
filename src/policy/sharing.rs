//! Teams that share a bucket without folders of their own: each can overwrite and delete what the other has.

use crate::layout::{FolderAccess, Grant, Layout};
use crate::model::BucketName;
use crate::report::{Finding, Severity};
use std::collections::BTreeMap;

/// Buckets that grants to different principals may all write, whole. A grant that nobody has yet counts for nobody, and two
/// grants to the same principals are one team's.
pub fn shared_buckets(layout: &Layout) -> Vec<Finding> {
    let mut writers: BTreeMap<&BucketName, Vec<&Grant>> = BTreeMap::new();
    for grant in layout.grants.iter().filter(|grant| grant.access > FolderAccess::Read && !grant.attach.is_empty()) {
        for place in grant.on.iter().filter(|place| place.prefix.is_root()) {
            writers.entry(&place.bucket).or_default().push(grant);
        }
    }
    writers.into_iter().filter_map(|(bucket, grants)| finding(layout, bucket, &grants)).collect()
}

fn finding(layout: &Layout, bucket: &BucketName, grants: &[&Grant]) -> Option<Finding> {
    let others = grants.iter().filter(|grant| !grant.attach.iter().any(|target| grants[0].attach.contains(target)));
    let names: Vec<String> =
        std::iter::once(&grants[0]).chain(others).map(|grant| format!("`{}`", grant.policy)).collect();
    if names.len() < 2 {
        return None;
    }
    let message = format!(
        "grants {} give different principals all of `{bucket}`: each may overwrite what another wrote",
        names.join(", ")
    );
    let fix = "give each a bucket of its own, or a folder of this one: `on = [\"BUCKET/FOLDER\"]`";
    Some(Finding::new("shared-bucket", Severity::Warning, &layout.id, message).with_fix(fix))
}

#[cfg(test)]
mod tests {
    use super::shared_buckets;
    use crate::layout::{ParseOptions, parse};
    use std::collections::BTreeMap;

    #[test]
    fn who_shares_a_bucket_without_folders_is_told() {
        let check = |grants: &[(&str, &str, &str)], shared: bool| {
            let mut text = "version = 1\nlayout = \"ml\"\n[[bucket]]\nname = \"lake-one\"\nprojects = [\"a\", \"b\"]\n\
                            template = \"ml-project\"\n[[bucket]]\nname = \"lake-two\"\n"
                .to_owned();
            text.extend(grants.iter().enumerate().map(|(number, (access, on, role))| {
                format!(
                    "[[grant]]\npolicy = \"P{number}\"\naccess = \"{access}\"\non = [\"{on}\"]\nattach = [{role}]\n"
                )
            }));
            let empty = BTreeMap::new();
            let options = ParseOptions { file_stem: "layout", environment: None, set: &empty, env_vars: &empty };
            let found = shared_buckets(&parse(text.as_bytes(), &options).unwrap());
            assert_eq!(found.len(), usize::from(shared), "{grants:?}: {found:?}");
            assert!(found.iter().all(|one| one.message.contains("`P0`, `P1`")), "{found:?}");
        };
        let (a, b) = ("{ role = \"a\" }", "{ role = \"b\" }");
        check(&[("read-write", "lake-one", a), ("append", "lake-one", b)], true);
        check(&[("read-write", "lake-one", a), ("read", "lake-one", b)], false);
        check(&[("read-write", "lake-one", a), ("read-write", "lake-two", b)], false);
        check(&[("read-write", "lake-one/a", a), ("read-write", "lake-one/b", b)], false);
        check(&[("read-write", "lake-one", a), ("append", "lake-one", a)], false);
        check(&[("read-write", "lake-one", a), ("read-write", "lake-one", "")], false);
    }
}
