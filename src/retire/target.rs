//! What is retired: a bucket of the layout, or one of its projects.

use crate::layout::{Bucket, Layout, MarkerStyle, nearest};
use crate::model::{BucketName, ObjectKey, Prefix};
use std::collections::{BTreeMap, BTreeSet};

/// A bucket or a project of the layout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The bucket.
    pub bucket: BucketName,
    /// The project; none for the bucket as a whole.
    pub project: Option<String>,
    /// All that is in it: the root for a bucket.
    pub prefix: Prefix,
}

/// A text that names nothing of the layout, or more than one thing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// Neither a bucket nor a project.
    #[error("the layout has no bucket and no project `{name}`{near}")]
    Unknown {
        /// What was typed.
        name: String,
        /// `, did you mean ..?`, or nothing.
        near: String,
    },
    /// No project of that bucket.
    #[error("bucket `{bucket}` has no project `{project}`{near}")]
    NoProject {
        /// The bucket.
        bucket: BucketName,
        /// What was typed.
        project: String,
        /// `, did you mean ..?`, or nothing.
        near: String,
    },
    /// A project of several buckets.
    #[error("several buckets have a project `{project}`: write {}", .spelled.join(" or "))]
    Several {
        /// The project.
        project: String,
        /// The ways to name one of them.
        spelled: Vec<String>,
    },
}

fn near<'names>(wrong: &str, names: impl IntoIterator<Item = &'names str>) -> String {
    nearest(wrong, names).map(|name| format!(", did you mean `{name}`?")).unwrap_or_default()
}

/// The projects of a bucket, each once, in the layout's order.
pub(super) fn projects(bucket: &Bucket) -> Vec<&str> {
    let mut projects: Vec<&str> = Vec::new();
    for project in bucket.folders.iter().filter_map(|folder| folder.project.as_deref()) {
        if projects.last() != Some(&project) {
            projects.push(project);
        }
    }
    projects
}

/// The prefix of a project.
pub(super) fn prefix_of(project: &str) -> Option<Prefix> {
    Prefix::root().folder(project).ok()
}

impl Target {
    /// What a text means: `BUCKET`, `BUCKET/PROJECT`, or the name of a project that only one bucket has.
    pub fn find(layout: &Layout, text: &str) -> Result<Self, TargetError> {
        let plain = text.strip_prefix("s3://").unwrap_or(text);
        let plain = plain.strip_suffix('/').unwrap_or(plain);
        let (name, project) = plain.split_once('/').map_or((plain, None), |(name, project)| (name, Some(project)));
        let bucket = layout.buckets.iter().find(|bucket| bucket.name.as_str() == name);
        match (bucket, project) {
            (Some(bucket), None) => Ok(Self { bucket: bucket.name.clone(), project: None, prefix: Prefix::root() }),
            (Some(bucket), Some(project)) => Self::project(bucket, project).ok_or_else(|| TargetError::NoProject {
                bucket: bucket.name.clone(),
                project: project.to_owned(),
                near: near(project, projects(bucket)),
            }),
            (None, None) => Self::project_of_any(layout, name),
            (None, Some(_)) => Err(unknown(layout, name)),
        }
    }

    fn project(bucket: &Bucket, project: &str) -> Option<Self> {
        let known = projects(bucket).into_iter().find(|known| *known == project)?;
        Some(Self { bucket: bucket.name.clone(), project: Some(known.to_owned()), prefix: prefix_of(known)? })
    }

    fn project_of_any(layout: &Layout, name: &str) -> Result<Self, TargetError> {
        let mut found: Vec<Self> = layout.buckets.iter().filter_map(|bucket| Self::project(bucket, name)).collect();
        match found.len() {
            0 => Err(unknown(layout, name)),
            1 => Ok(found.remove(0)),
            _ => Err(TargetError::Several {
                project: name.to_owned(),
                spelled: found.iter().map(|one| format!("`{}`", one.name())).collect(),
            }),
        }
    }

    /// `BUCKET` or `BUCKET/PROJECT`, as layouts write it.
    pub fn name(&self) -> String {
        match &self.project {
            Some(project) => format!("{}/{project}", self.bucket),
            None => self.bucket.to_string(),
        }
    }

    /// How all that is in it is named by hand: `BUCKET/` or `BUCKET/PROJECT/`.
    pub fn by_hand(&self) -> String {
        format!("{}/", self.name())
    }

    /// `s3://BUCKET` or `s3://BUCKET/PROJECT/`
    pub fn url(&self) -> String {
        if self.prefix.is_root() {
            format!("s3://{}", self.bucket)
        } else {
            format!("s3://{}/{}", self.bucket, self.prefix)
        }
    }

    /// The bucket as the layout wants it.
    pub fn wanted<'layout>(&self, layout: &'layout Layout) -> Option<&'layout Bucket> {
        layout.buckets.iter().find(|bucket| bucket.name == self.bucket)
    }

    /// True for places in it: the bucket's own only if all of the bucket is meant.
    pub fn holds(&self, bucket: &BucketName, prefix: &Prefix) -> bool {
        *bucket == self.bucket && prefix.as_str().starts_with(self.prefix.as_str())
    }

    /// The folders of the layout that are in it.
    pub fn folders(&self, layout: &Layout) -> BTreeSet<Prefix> {
        let folders = self.wanted(layout).into_iter().flat_map(|bucket| &bucket.folders);
        folders.map(|folder| folder.prefix.clone()).filter(|prefix| self.holds(&self.bucket, prefix)).collect()
    }

    /// The keys of the markers that this tool makes for those folders, each with its folder.
    pub fn markers(&self, layout: &Layout) -> BTreeMap<ObjectKey, Prefix> {
        let mut markers = BTreeMap::new();
        let Some(bucket) = self.wanted(layout) else { return markers };
        for folder in bucket.folders.iter().filter(|folder| self.holds(&self.bucket, &folder.prefix)) {
            let key = match bucket.marker_style(folder) {
                MarkerStyle::Slash => folder.prefix.marker(),
                MarkerStyle::Keep => folder.prefix.key(".keep").ok(),
                MarkerStyle::None => None,
            };
            markers.extend(key.map(|key| (key, folder.prefix.clone())));
        }
        markers
    }
}

fn unknown(layout: &Layout, name: &str) -> TargetError {
    let buckets = layout.buckets.iter().map(|bucket| bucket.name.as_str());
    let known = buckets.chain(layout.buckets.iter().flat_map(projects));
    TargetError::Unknown { name: name.to_owned(), near: near(name, known) }
}
