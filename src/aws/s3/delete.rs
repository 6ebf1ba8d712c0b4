//! Deletes of the very objects that were seen.
//!
//! Three ways, by what the server honours. AWS and the embedded endpoint check the ETag of each key of DeleteObjects, and
//! the `If-Match` of DeleteObject; both ask for `s3:GetObject` beside `s3:DeleteObject`. Other servers may take either and
//! ignore the condition without a word, and then only a look just before the delete helps.
//!
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-deletes.html>

use super::{ErrorClass, S3Error, Store, object_url};
use crate::aws::failure::{class_of_answer, message_text};
use crate::model::{BucketName, ETag, ObjectKey};
use aws_sdk_s3::types::{Delete, ObjectIdentifier};
use std::collections::HashMap;

/// The most keys that one request takes.
pub const MAX_DELETES: usize = 1000;

/// One object to delete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Doomed {
    /// Its key.
    pub key: ObjectKey,
    /// Only if it still is this one.
    pub etag: Option<ETag>,
    /// Only this version, for good: what it is never changes, so it needs no condition.
    pub version: Option<String>,
}

/// A key, and the version of it that was asked for.
type Name = (String, Option<String>);

impl Doomed {
    fn name(&self) -> Name {
        (self.key.as_str().to_owned(), self.version.clone())
    }
}

/// What became of one object: gone, or why not. One that was gone before is gone.
pub type Deleted = Result<(), S3Error>;

impl Store {
    /// Deletes up to [`MAX_DELETES`] objects with one request, each under the condition of its own ETag where the server
    /// honours that. The results are in the order of `doomed`; a key that the answer does not speak of is an error.
    ///
    /// Keys that XML cannot carry, and those beyond the limit, are deleted one by one.
    pub async fn delete_objects(&self, bucket: &BucketName, doomed: &[Doomed]) -> Result<Vec<Deleted>, S3Error> {
        let mut named: Vec<&Doomed> = doomed.iter().filter(|one| fits_xml(one.key.as_str())).collect();
        named.truncate(MAX_DELETES);
        let mut told = if named.is_empty() { HashMap::new() } else { self.delete_named(bucket, &named).await? };
        let mut results = Vec::with_capacity(doomed.len());
        for one in doomed {
            results.push(match told.remove(&one.name()) {
                Some(result) => result,
                None => gone(self.delete_object(bucket, &one.key, one.version.as_deref(), one.etag.as_ref()).await),
            });
        }
        Ok(results)
    }

    /// What the answer to one DeleteObjects says of each key.
    async fn delete_named(&self, bucket: &BucketName, doomed: &[&Doomed]) -> Result<HashMap<Name, Deleted>, S3Error> {
        let unexpected =
            |key: &ObjectKey, message: &str| S3Error::unexpected("DeleteObjects", object_url(bucket, key), message);
        let mut delete = Delete::builder().quiet(false);
        for one in doomed {
            let object = ObjectIdentifier::builder().key(one.key.as_str()).set_version_id(one.version.clone());
            let object = object.set_e_tag(one.etag.as_ref().map(ETag::quoted));
            let object = object.build().map_err(|error| unexpected(&one.key, &error.to_string()))?;
            delete = delete.objects(object);
        }
        let Some(first) = doomed.first() else { return Ok(HashMap::new()) };
        let delete = delete.build().map_err(|error| unexpected(&first.key, &error.to_string()))?;
        let request = self.client().delete_objects().bucket(bucket.as_str()).delete(delete);
        let answer = request.set_expected_bucket_owner(self.expected_owner()).send().await;
        let answer = answer.map_err(|error| S3Error::new("DeleteObjects", super::bucket_url(bucket), &error))?;
        let silent = |one: &&Doomed| (one.name(), Err(unexpected(&one.key, "the answer does not name it")));
        let mut told: HashMap<Name, Deleted> = doomed.iter().map(silent).collect();
        for deleted in answer.deleted() {
            if let Some(key) = deleted.key() {
                told.insert(asked(&told, key, deleted.version_id()), Ok(()));
            }
        }
        for refused in answer.errors() {
            let Some(key) = refused.key() else { continue };
            let code = refused.code();
            let error = S3Error {
                operation: "DeleteObjects",
                target: format!("s3://{bucket}/{key}"),
                class: class_of_answer(code, 0),
                code: code.map(str::to_owned),
                message: message_text(refused.message(), code, None, "the endpoint gave no reason"),
                status: None,
                region: None,
            };
            told.insert(asked(&told, key, refused.version_id()), gone(Err(error)));
        }
        Ok(told)
    }

    /// Deletes an object after a look that it still is the one that was seen, for servers that ignore conditions. A write
    /// between the look and the delete is not noticed.
    pub async fn delete_after_look(&self, bucket: &BucketName, doomed: &Doomed) -> Deleted {
        let Some(head) = self.head_object(bucket, &doomed.key).await? else { return Ok(()) };
        if doomed.etag.is_some() && head.etag != doomed.etag {
            let message = "the object is not the one that was seen";
            let error = S3Error::unexpected("HeadObject", object_url(bucket, &doomed.key), message);
            return Err(S3Error { class: ErrorClass::Precondition, ..error });
        }
        gone(self.delete_object(bucket, &doomed.key, None, None).await)
    }
}

/// The name that an answer means: the version's where one was asked for, else the key alone, whatever version it tells of.
fn asked(told: &HashMap<Name, Deleted>, key: &str, version: Option<&str>) -> Name {
    let exact = (key.to_owned(), version.map(str::to_owned));
    if told.contains_key(&exact) { exact } else { (exact.0, None) }
}

impl Store {
    /// Deletes a bucket in which nothing is left. Not every server refuses one that holds something, so it is looked at
    /// first. One that is gone is no error.
    ///
    /// Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteBucket.html>
    pub async fn delete_bucket(&self, bucket: &BucketName) -> Result<(), S3Error> {
        let url = super::bucket_url(bucket);
        let conflict = |message: &str| S3Error {
            class: ErrorClass::Conflict,
            ..S3Error::unexpected("ListObjectVersions", &url, message)
        };
        match self.is_empty(bucket).await {
            Ok(Some(true)) => {}
            Ok(Some(false)) => return Err(conflict("the bucket is not empty: something was written meanwhile")),
            Ok(None) => return Err(conflict("whether the bucket is empty cannot be told")),
            Err(error) if error.class == ErrorClass::NotFound => return Ok(()),
            Err(error) => return Err(error),
        }
        let request = self.client().delete_bucket().bucket(bucket.as_str());
        let answer = request.set_expected_bucket_owner(self.expected_owner()).send().await;
        match answer.map_err(|error| S3Error::new("DeleteBucket", &url, &error)) {
            Err(error) if error.class != ErrorClass::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

/// An object that is not there any more is what a delete wants. A bucket that is not there is something else.
fn gone(result: Deleted) -> Deleted {
    match result {
        Err(error) if error.class == ErrorClass::NotFound && error.code.as_deref() != Some("NoSuchBucket") => Ok(()),
        other => other,
    }
}

/// True if XML 1.0 can carry `text`: most control characters it cannot, not even escaped.
///
/// Source: <https://www.w3.org/TR/xml/#charsets>
fn fits_xml(text: &str) -> bool {
    text.chars().all(|letter| match letter {
        '\t' | '\n' | '\r' => true,
        '\u{fffe}' | '\u{ffff}' => false,
        other => other >= ' ',
    })
}

#[cfg(test)]
mod tests {
    use super::fits_xml;

    #[test]
    fn what_xml_can_carry() {
        for (text, fits) in [
            ("a/b c", true),
            ("tab\tline\nreturn\r", true),
            ("é\u{1f600}\u{7f}", true),
            ("\u{1}", false),
            ("a\u{1b}[0m", false),
            ("\u{ffff}", false),
        ] {
            assert_eq!(fits_xml(text), fits, "{text:?}");
        }
    }
}
