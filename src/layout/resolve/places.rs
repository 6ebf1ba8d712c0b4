//! The buckets and folders that datasets, grants and expectations refer to.

use super::buckets::Buckets;
use crate::layout::mistakes::{Mistakes, Span, quote};
use crate::layout::nearest::{listed, nearest};
use crate::model::{BucketName, Prefix};
use std::collections::{BTreeMap, BTreeSet};

/// What a layout holds, for looking up.
#[derive(Debug)]
pub(super) struct Places {
    folders: BTreeMap<BucketName, BTreeSet<Prefix>>,
    unsure: BTreeSet<BucketName>,
    open: bool,
}

/// `bucket` or `bucket/rest` as written.
pub(super) struct Written<'text> {
    pub(super) bucket: &'text str,
    /// What follows the first slash, without the last one; none without a slash.
    pub(super) rest: Option<&'text str>,
}

/// Splits `bucket/rest`; a URL is refused with the way to write it.
pub(super) fn split<'text>(text: &'text str, span: &Span, mistakes: &mut Mistakes) -> Option<Written<'text>> {
    if let Some(plain) = text.strip_prefix("s3://") {
        mistakes.at(span, format!("{} is a URL", quote(text))).help(format!("write {}", quote(plain)));
        return None;
    }
    match text.split_once('/') {
        Some((bucket, rest)) => Some(Written { bucket, rest: Some(rest.strip_suffix('/').unwrap_or(rest)) }),
        None => Some(Written { bucket: text, rest: None }),
    }
}

impl Places {
    pub(super) fn new(buckets: &Buckets) -> Self {
        let folders = buckets
            .list
            .iter()
            .map(|bucket| (bucket.name.clone(), bucket.folders.iter().map(|folder| folder.prefix.clone()).collect()))
            .collect();
        Self { folders, unsure: buckets.unsure.clone(), open: buckets.open }
    }

    fn bucket_names(&self) -> impl Iterator<Item = &str> {
        self.folders.keys().map(BucketName::as_str)
    }

    /// The bucket of that name; none, reported unless an unreadable table may be it, if the layout has none.
    pub(super) fn bucket(&self, name: &str, span: &Span, mistakes: &mut Mistakes) -> Option<BucketName> {
        let known = name.parse::<BucketName>().ok().filter(|name| self.folders.contains_key(name));
        if known.is_none() && !self.open {
            let near = mistakes.near(name, self.bucket_names());
            mistakes
                .at(span, format!("the layout has no bucket {}{near}", quote(name)))
                .help(format!("buckets: {}", listed(self.bucket_names())));
        }
        known
    }

    /// The prefix of a folder of the layout, or with `above` also of a path that leads to one.
    ///
    /// None, reported unless the bucket's folders are not all known, if there is no such folder.
    pub(super) fn folder(
        &self,
        bucket: &BucketName,
        path: &str,
        above: bool,
        span: &Span,
        mistakes: &mut Mistakes,
    ) -> Option<Prefix> {
        let folders = self.folders.get(bucket)?;
        let prefix = Prefix::root().folder(path).ok();
        let exists = |prefix: &Prefix| {
            let next = folders.range(prefix..).next();
            next.is_some_and(|next| next == prefix || above && next.as_str().starts_with(prefix.as_str()))
        };
        let found = prefix.filter(exists);
        if found.is_none() && !self.unsure.contains(bucket) {
            self.report_folder(bucket, path, above, span, mistakes);
        }
        found
    }

    fn report_folder(&self, bucket: &BucketName, path: &str, above: bool, span: &Span, mistakes: &mut Mistakes) {
        let written = format!("{bucket}/{path}");
        let message = format!("{} is not a folder of the layout", quote(&written));
        if mistakes.are_many() {
            mistakes.at(span, message);
            return;
        }
        let folders = self.folders.get(bucket);
        let paths = || folders.into_iter().flatten().map(|prefix| prefix.as_str().trim_end_matches('/'));
        let help = if let Some(above) = longest_above(path, paths()) {
            format!("the nearest folder is `{bucket}/{above}`; folders come from the template")
        } else if let Some(near) =
            nearest(path, paths()).or_else(|| nearest(path, paths().flat_map(parents)).filter(|_| above))
        {
            format!("did you mean `{bucket}/{near}`?")
        } else if paths().next().is_none() {
            format!("bucket `{bucket}` has no folders; give it a `template`")
        } else {
            format!("folders of `{bucket}`: {}", listed(paths()))
        };
        mistakes.at(span, message).help(help);
    }
}

/// The paths that lead to a folder.
fn parents(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').map(|(end, _)| &path[..end])
}

/// The longest of the folders that `path` lies in.
fn longest_above<'paths>(path: &str, paths: impl Iterator<Item = &'paths str>) -> Option<&'paths str> {
    paths
        .filter(|above| path.strip_prefix(above).is_some_and(|rest| rest.starts_with('/')))
        .max_by_key(|above| above.len())
}
