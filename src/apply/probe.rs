//! Makes the calls that fill one place of an access matrix, as one who may little, and removes with the caller's rights
//! whatever they leave.
//!
//! Everything that is written has a key that only this run can have. An object to read and to delete is made with the
//! caller's rights where the other may not write one.

use crate::aws::s3::{
    Completion, ErrorClass, MultipartUpload, ObjectWrite, S3Error, Store, WriteCondition, object_url,
};
use crate::hashing;
use crate::model::{Algorithm, BucketName, ObjectAttributes, ObjectKey};
use crate::report::{Finding, Severity};
use crate::verify::access::reading::Answers;
use crate::verify::access::spots::{Ground, Spot};
use crate::verify::access::{Answer, Operation};
use bytes::Bytes;
use futures_util::TryStreamExt as _;
use tokio_util::sync::CancellationToken;

/// Probes hold one line of text.
const CONTENT_TYPE: &str = "text/plain";
/// Why nothing is tried in a bucket that is not there.
const ABSENT: &str = "the bucket does not exist";
/// Why a probe that writes is left out.
const NO_WRITE: &str = "`--no-write` leaves it out";

/// Who tries, and who cleans up.
#[derive(Debug, Clone, Copy)]
pub struct Prober<'run> {
    /// The service as the principal sees it.
    pub principal: &'run Store,
    /// The service as the caller sees it.
    pub caller: &'run Store,
    /// Whether anything may be written.
    pub writes: bool,
    /// Told when the user wants to stop: what was begun is still cleaned up.
    pub stop: &'run CancellationToken,
}

/// What came of one place.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tried {
    /// What was answered.
    pub answers: Answers,
    /// What could not be removed, one finding for each key.
    pub left: Vec<Finding>,
}

/// One place being tried.
struct Trial<'run> {
    who: Prober<'run>,
    spot: &'run Spot,
    key: ObjectKey,
    parts_key: ObjectKey,
    content: Bytes,
    answers: Answers,
    /// Keys under which something was, or may have been, written.
    written: Vec<ObjectKey>,
    uploads: Vec<MultipartUpload>,
    /// Keys under which an upload may have been begun whose answer never came.
    unsure: Vec<ObjectKey>,
}

/// Tries one place. `name` makes the keys unique to the run and the round.
pub async fn run(who: Prober<'_>, spot: &Spot, name: &str) -> Tried {
    let bucket = &spot.bucket;
    match &spot.ground {
        Ground::Names(text) => {
            let answer = read(who.principal.ask_list(bucket, text.as_deref()).await.map(|()| "listed".to_owned()));
            Tried { answers: vec![(Operation::List, answer)], left: Vec::new() }
        }
        Ground::Object(_) => Tried::default(),
        Ground::Folder(_) => match (spot.key(name), spot.key(&format!("{name}-parts"))) {
            (Some(key), Some(parts_key)) => {
                let content = Bytes::from(format!("bucketwright {name} {}\n", spot.target()));
                let (answers, written, uploads, unsure) = (Answers::new(), Vec::new(), Vec::new(), Vec::new());
                Trial { who, spot, key, parts_key, content, answers, written, uploads, unsure }.run().await
            }
            _ => Tried { answers: spot.not_tried("the folder's name leaves no room for a key"), left: Vec::new() },
        },
    }
}

/// An answer that only tells whether it worked, and what was proven.
fn read(answer: Result<String, S3Error>) -> Answer {
    match answer {
        Ok(proven) => Answer::Worked(proven),
        Err(error) => unanswered(&error),
    }
}

/// What an error says about access. What is not about access says nothing about it.
fn unanswered(error: &S3Error) -> Answer {
    let absent = match (error.operation, error.code.as_deref()) {
        (_, Some("NoSuchBucket")) => true,
        ("HeadBucket", _) => error.class == ErrorClass::NotFound,
        _ => false,
    };
    match error.class {
        ErrorClass::Denied => Answer::Refused(error.message.clone()),
        _ if absent => Answer::NotTried(ABSENT.to_owned()),
        ErrorClass::ExpiredCredentials | ErrorClass::NoCredentials | ErrorClass::BadCredentials => {
            Answer::NotTried(format!("the session's credentials are not taken: {}", error.message))
        }
        _ => Answer::Failed(error.message.clone()),
    }
}

/// True for an error after which something may have been written all the same.
fn may_have_arrived(error: &S3Error) -> bool {
    !matches!(error.class, ErrorClass::Denied | ErrorClass::NotFound | ErrorClass::ExpiredCredentials)
}

impl Trial<'_> {
    async fn run(mut self) -> Tried {
        for operation in Operation::ALL {
            if !self.spot.wants(operation) {
                continue;
            }
            if self.who.stop.is_cancelled() {
                break;
            }
            let answer = match operation {
                Operation::List => self.list().await,
                Operation::HeadBucket => self.head().await,
                // The object that is read is the one that is put, so it is told after it.
                Operation::Get => continue,
                Operation::Put => {
                    let put = self.put().await;
                    let get = self.get().await;
                    self.answers.push((Operation::Get, get));
                    put
                }
                Operation::Multipart => self.multipart().await,
                Operation::Delete => self.delete().await,
            };
            self.answers.push((operation, answer));
        }
        // A place that only assertions speak of may ask for reading alone.
        if self.spot.wants(Operation::Get) && !self.spot.wants(Operation::Put) && !self.who.stop.is_cancelled() {
            let get = self.get().await;
            self.answers.push((Operation::Get, get));
        }
        let left = self.clean().await;
        Tried { answers: self.answers, left }
    }

    async fn list(&self) -> Answer {
        let Ground::Folder(prefix) = &self.spot.ground else { return Answer::NotTried("no folder".to_owned()) };
        read(self.who.principal.ask_list(&self.spot.bucket, Some(prefix.as_str())).await.map(|()| "listed".to_owned()))
    }

    /// An answer to HEAD has no body that says why. The listing without a prefix asks for the same right, and has one.
    async fn head(&self) -> Answer {
        let (store, bucket) = (self.who.principal, &self.spot.bucket);
        let Err(error) = store.ask_head_bucket(bucket).await else { return Answer::Worked("answered".to_owned()) };
        let answer = unanswered(&error);
        if error.code.is_some() || matches!(answer, Answer::NotTried(_)) {
            return answer;
        }
        match (&answer, store.ask_list(bucket, None).await.as_ref().map_err(unanswered)) {
            (Answer::Refused(_), Err(Answer::Refused(text))) => Answer::Refused(text),
            (_, Err(Answer::NotTried(why))) => Answer::NotTried(why),
            _ => answer,
        }
    }

    async fn write(&self, store: &Store, condition: &WriteCondition) -> Result<(), S3Error> {
        let checksum = hashing::digest(Algorithm::Crc64Nvme, &self.content);
        let write = ObjectWrite {
            bucket: &self.spot.bucket,
            key: &self.key,
            body: self.content.clone(),
            checksum: &checksum,
            content_type: CONTENT_TYPE,
            attributes: &ObjectAttributes::default(),
            condition,
        };
        store.put_object(write).await.map(drop)
    }

    async fn put(&mut self) -> Answer {
        if !self.who.writes {
            return Answer::NotTried(NO_WRITE.to_owned());
        }
        let put = self.write(self.who.principal, &WriteCondition::Absent).await;
        if put.as_ref().err().is_none_or(may_have_arrived) {
            self.written.push(self.key.clone());
        }
        read(put.map(|()| format!("{} bytes", self.content.len())))
    }

    /// The object that the run reads and deletes, made by the caller if the principal could not. An error says why there
    /// is none.
    async fn provide(&mut self) -> Result<(), String> {
        if self.written.contains(&self.key) {
            return Ok(());
        }
        if !self.who.writes {
            return Err(NO_WRITE.to_owned());
        }
        let put = self.write(self.who.caller, &WriteCondition::Always).await;
        if put.as_ref().err().is_none_or(may_have_arrived) {
            self.written.push(self.key.clone());
        }
        put.map_err(|error| match unanswered(&error) {
            Answer::NotTried(why) => why,
            _ => format!("neither the principal nor the caller could put an object there: {}", error.message),
        })
    }

    async fn get(&mut self) -> Answer {
        let provided = self.provide().await;
        let found = self.who.principal.get_bytes(&self.spot.bucket, &self.key, self.content.len() as u64).await;
        match (found, provided) {
            (Ok(bytes), _) if bytes == self.content => Answer::Worked("the same bytes came back".to_owned()),
            (Ok(_), _) => Answer::Failed("other bytes came back than were put".to_owned()),
            (Err(error), Ok(())) => unanswered(&error),
            (Err(error), Err(why)) => without_object(&error, &why),
        }
    }

    /// Once to its end, which with a KMS key also asks for decrypting, and once given up.
    async fn multipart(&mut self) -> Answer {
        if !self.who.writes {
            return Answer::NotTried(NO_WRITE.to_owned());
        }
        match self.upload_twice().await {
            Ok(()) => Answer::Worked("begun, sent, listed, completed, and aborted".to_owned()),
            Err(error) => match unanswered(&error) {
                Answer::Refused(text) => Answer::Refused(format!("{}: {text}", error.operation)),
                other => other,
            },
        }
    }

    async fn upload_twice(&mut self) -> Result<(), S3Error> {
        let store = self.who.principal;
        let upload = self.begin().await?;
        // Servers that lack checksums of whole objects still check an MD5.
        let checksum = hashing::digest(Algorithm::Md5, &self.content);
        let part = store.upload_part(&upload, 1, self.content.clone(), &checksum).await?;
        store.list_parts(&upload).await?;
        let (parts, size_bytes) = ([part], self.content.len() as u64);
        let completion = Completion { parts: &parts, whole: None, size_bytes, condition: &WriteCondition::Absent };
        let completed = store.complete_multipart(&upload, completion).await;
        if completed.as_ref().err().is_none_or(may_have_arrived) {
            self.written.push(self.parts_key.clone());
        }
        completed?;
        self.uploads.retain(|one| *one != upload);
        let upload = self.begin().await?;
        store.abort_multipart(&upload).await?;
        self.uploads.retain(|one| *one != upload);
        Ok(())
    }

    async fn begin(&mut self) -> Result<MultipartUpload, S3Error> {
        let attributes = ObjectAttributes::default();
        let (bucket, key) = (&self.spot.bucket, &self.parts_key);
        let begun = self.who.principal.create_multipart(bucket, key, CONTENT_TYPE, &attributes, Algorithm::Md5).await;
        match &begun {
            Ok(upload) => self.uploads.push(upload.clone()),
            Err(error) if may_have_arrived(error) => self.unsure.push(self.parts_key.clone()),
            Err(_) => {}
        }
        begun
    }

    /// A plain delete, as a program would do it.
    async fn delete(&mut self) -> Answer {
        if !self.who.writes {
            return Answer::NotTried(NO_WRITE.to_owned());
        }
        if let Err(why) = self.provide().await {
            return Answer::NotTried(why);
        }
        let deleted = self.who.principal.delete_object(&self.spot.bucket, &self.key, None, None).await;
        read(deleted.map(|()| "deleted".to_owned()))
    }

    /// Removes what was made: every version of every key, and every upload.
    async fn clean(&self) -> Vec<Finding> {
        let bucket = &self.spot.bucket;
        let mut left = Vec::new();
        for upload in &self.uploads {
            left.extend(self.abort(upload).await);
        }
        for key in &self.unsure {
            let found: Result<Vec<_>, _> = self.who.caller.list_uploads(bucket, key.as_str()).try_concat().await;
            // Whether one was begun cannot be told, so it is not said that nothing stays.
            left.extend(
                found
                    .as_ref()
                    .err()
                    .map(|refused| remains("an unfinished upload, if there is one,", bucket, key, refused)),
            );
            for open in found.unwrap_or_default().into_iter().filter(|open| open.key == *key) {
                let (bucket, key) = (bucket.clone(), key.clone());
                let upload = MultipartUpload { bucket, key, upload_id: open.upload_id, algorithm: Algorithm::Md5 };
                left.extend(self.abort(&upload).await);
            }
        }
        for key in &self.written {
            left.extend(self.remove(bucket, key).await);
        }
        left
    }

    async fn abort(&self, upload: &MultipartUpload) -> Option<Finding> {
        let refused = self.who.caller.abort_multipart(upload).await.err()?;
        match self.who.principal.abort_multipart(upload).await {
            // Completed or aborted meanwhile, although the answer got lost.
            Ok(()) => None,
            Err(error) if error.class == ErrorClass::NotFound || refused.class == ErrorClass::NotFound => None,
            Err(_) => Some(remains("an unfinished upload", &upload.bucket, &upload.key, &refused)),
        }
    }

    async fn remove(&self, bucket: &BucketName, key: &ObjectKey) -> Option<Finding> {
        let refused = self.who.caller.purge(bucket, key).await.err()?;
        if self.who.principal.purge(bucket, key).await.is_ok() {
            return None;
        }
        // Versions that cannot be listed can at least be hidden.
        for store in [self.who.caller, self.who.principal] {
            if store.delete_object(bucket, key, None, None).await.is_ok() {
                return Some(remains("what is left of a probe, behind a delete marker,", bucket, key, &refused));
            }
        }
        Some(remains("a probe", bucket, key, &refused))
    }
}

/// A read of a key where nothing is. Who may read learns that there is nothing, or is refused to learn it, which is said
/// of the listing; who may not is refused the read.
///
/// Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html>
fn without_object(error: &S3Error, why: &str) -> Answer {
    let message = &error.message;
    match error.class {
        ErrorClass::NotFound if error.code.as_deref() == Some("NoSuchKey") => {
            Answer::Worked("there is nothing under the key that was asked for".to_owned())
        }
        ErrorClass::Denied if message.contains("perform: s3:GetObject") => Answer::Refused(message.clone()),
        ErrorClass::Denied if message.contains("perform: s3:ListBucket") => {
            Answer::Worked("only whether the key is there was not told".to_owned())
        }
        ErrorClass::Denied => Answer::NotTried(format!("{why}, and a refusal alone does not tell")),
        _ => unanswered(error),
    }
}

fn remains(what: &str, bucket: &BucketName, key: &ObjectKey, refused: &S3Error) -> Finding {
    let target = object_url(bucket, key);
    let message = format!("{what} could not be removed: {}", refused.message);
    let fix = "remove it with the rights of somebody who may delete versions and abort uploads there";
    Finding::new("probe-left", Severity::Warning, target, message).with_fix(fix)
}

#[cfg(test)]
mod tests {
    use super::{unanswered, without_object};
    use crate::aws::s3::{ErrorClass, S3Error};
    use crate::verify::access::Answer;

    fn error(operation: &'static str, class: ErrorClass, code: Option<&str>, message: &str) -> S3Error {
        let code = code.map(str::to_owned);
        S3Error { class, code, ..S3Error::unexpected(operation, "s3://lake", message) }
    }

    #[test]
    fn only_a_refusal_is_a_denial() {
        for (operation, class, code, wanted) in [
            ("GetObject", ErrorClass::Denied, Some("AccessDenied"), "refused"),
            ("ListObjectsV2", ErrorClass::NotFound, Some("NoSuchBucket"), "not-tried"),
            ("HeadBucket", ErrorClass::NotFound, None, "not-tried"),
            ("GetObject", ErrorClass::NotFound, Some("NoSuchKey"), "failed"),
            ("PutObject", ErrorClass::ExpiredCredentials, Some("ExpiredToken"), "not-tried"),
            ("PutObject", ErrorClass::BadCredentials, Some("InvalidToken"), "not-tried"),
            ("PutObject", ErrorClass::Unreachable, None, "failed"),
            ("PutObject", ErrorClass::Throttled, Some("SlowDown"), "failed"),
        ] {
            let word = match unanswered(&error(operation, class, code, "said")) {
                Answer::Worked(_) => "worked",
                Answer::Refused(_) => "refused",
                Answer::Failed(_) => "failed",
                Answer::NotTried(_) => "not-tried",
            };
            assert_eq!(word, wanted, "{operation} {code:?}");
        }
    }

    #[test]
    fn a_key_that_is_not_there_still_tells() {
        let told = |class, code, message| match without_object(&error("GetObject", class, code, message), "no") {
            Answer::Worked(_) => "may",
            Answer::Refused(_) => "may not",
            Answer::Failed(_) | Answer::NotTried(_) => "unknown",
        };
        let denied = |message| told(ErrorClass::Denied, Some("AccessDenied"), message);
        assert_eq!(told(ErrorClass::NotFound, Some("NoSuchKey"), "gone"), "may");
        assert_eq!(denied("User: u is not authorized to perform: s3:GetObject on resource: \"r\" because"), "may not");
        assert_eq!(denied("User: u is not authorized to perform: s3:ListBucket on resource: \"r\" because"), "may");
        assert_eq!(denied("Access Denied"), "unknown");
        assert_eq!(told(ErrorClass::NotFound, Some("NoSuchBucket"), "gone"), "unknown");
    }
}
