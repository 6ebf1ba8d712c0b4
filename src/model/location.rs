//! Where one side of a sync is, as it was typed.

use super::{BucketName, KeyError, ObjectKey, Prefix};
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// A path, a place in a bucket, or a folder of a layout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// A local file or directory.
    Local(PathBuf),
    /// A bucket, a folder or an object.
    S3(S3Location),
    /// A folder that a layout declares: `layout.toml:bucket/project/folder`.
    Layout {
        /// The layout file.
        file: PathBuf,
        /// The bucket's name in the layout, and the folder behind it.
        place: String,
    },
}

/// A place in a bucket: what follows the bucket's name may be a folder or an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct S3Location {
    /// The bucket.
    pub bucket: BucketName,
    /// What follows the bucket and its slash.
    rest: String,
}

/// Why a text is no location.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LocationError {
    /// The bucket's name breaks AWS's rules.
    #[error(transparent)]
    Bucket(#[from] super::BucketNameError),
    /// What follows the bucket is too long.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// Nothing was given.
    #[error("a location cannot be empty")]
    Empty,
    /// Another scheme.
    #[error("`{0}` is no location: write `s3://bucket/folder/` or a path")]
    Scheme(String),
}

impl S3Location {
    /// A whole folder.
    pub fn folder_of(bucket: BucketName, folder: &Prefix) -> Self {
        Self { bucket, rest: folder.as_str().to_owned() }
    }

    /// The folder that the location names for sure: the bucket itself, or what ends in `/`.
    pub fn folder(&self) -> Option<Prefix> {
        self.rest.parse().ok()
    }

    /// The folder that it names if it names one, its slash added where it was left off.
    pub fn as_folder(&self) -> Result<Prefix, KeyError> {
        let slash = if self.rest.is_empty() || self.rest.ends_with('/') { "" } else { "/" };
        format!("{}{slash}", self.rest).parse()
    }

    /// The object that it names if it names one, with the folder that the object is in and its name there.
    pub fn as_object(&self) -> Option<(ObjectKey, Prefix, &str)> {
        let (folder, name) = self
            .rest
            .rsplit_once('/')
            .map_or(("", self.rest.as_str()), |(folder, name)| (&self.rest[..=folder.len()], name));
        if name.is_empty() {
            return None;
        }
        Some((self.rest.parse().ok()?, folder.parse().ok()?, name))
    }
}

impl FromStr for Location {
    type Err = LocationError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() {
            return Err(LocationError::Empty);
        }
        if let Some(place) = text.strip_prefix("s3://") {
            let (bucket, rest) = place.split_once('/').unwrap_or((place, ""));
            let location = S3Location { bucket: bucket.parse()?, rest: rest.to_owned() };
            location.as_folder()?;
            return Ok(Self::S3(location));
        }
        if let Some((file, place)) = text.split_once(".toml:") {
            return Ok(Self::Layout { file: format!("{file}.toml").into(), place: place.to_owned() });
        }
        match text.split_once("://") {
            Some((scheme, _)) if scheme.bytes().all(|byte| byte.is_ascii_alphanumeric()) => {
                Err(LocationError::Scheme(text.to_owned()))
            }
            _ => Ok(Self::Local(text.into())),
        }
    }
}

impl fmt::Display for S3Location {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "s3://{}/{}", self.bucket, self.rest)
    }
}

#[cfg(test)]
mod tests {
    use super::{Location, S3Location};

    fn s3(text: &str) -> S3Location {
        match text.parse().unwrap() {
            Location::S3(location) => location,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn places_in_buckets() {
        for (text, sure, folder, object) in [
            ("s3://bucket", Some(""), "", None),
            ("s3://bucket/", Some(""), "", None),
            ("s3://bucket/a", None, "a/", Some(("a", "", "a"))),
            ("s3://bucket/a/", Some("a/"), "a/", None),
            ("s3://bucket/a/b.csv", None, "a/b.csv/", Some(("a/b.csv", "a/", "b.csv"))),
            ("s3://bucket//a", None, "/a/", Some(("/a", "/", "a"))),
        ] {
            let location = s3(text);
            assert_eq!(location.folder().as_ref().map(|folder| folder.as_str()), sure, "{text}");
            assert_eq!(location.as_folder().unwrap().as_str(), folder, "{text}");
            let found = location.as_object();
            let found = found.as_ref().map(|(key, folder, name)| (key.as_str(), folder.as_str(), *name));
            assert_eq!(found, object, "{text}");
        }
    }

    #[test]
    fn other_places() {
        assert_eq!("data/x".parse(), Ok(Location::Local("data/x".into())));
        assert_eq!("a.toml".parse(), Ok(Location::Local("a.toml".into())));
        let layout = Location::Layout { file: "my/layout.toml".into(), place: "bucket/p/data".to_owned() };
        assert_eq!("my/layout.toml:bucket/p/data".parse(), Ok(layout));
        for bad in ["", "s3://", "s3://Bad_Name/x", "http://x/y", "gs://bucket/x"] {
            assert!(bad.parse::<Location>().is_err(), "{bad}");
        }
        assert!(format!("s3://bucket/{}", "x".repeat(1025)).parse::<Location>().is_err());
    }
}
