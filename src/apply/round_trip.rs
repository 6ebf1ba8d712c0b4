//! Makes the calls of a probe: put, list, get, compare, delete. What was put is always removed again.

use crate::aws::s3::{ErrorClass, ObjectWrite, S3Error, Store, WriteCondition};
use crate::hashing;
use crate::model::{Algorithm, Echo, ObjectAttributes};
use crate::verify::access::{Answer, Probe, RoundTrip};
use bytes::Bytes;
use futures_util::TryStreamExt as _;

/// Probes hold one line of text.
const CONTENT_TYPE: &str = "text/plain";

/// Runs one probe. Calls follow one another; a refused put leaves nothing to list, get or delete.
pub async fn run(store: &Store, probe: &Probe) -> RoundTrip {
    let put = put(store, probe).await;
    if !matches!(put, Answer::Worked(_)) {
        let after = Answer::NotTried("nothing could be put there".to_owned());
        // The write may have arrived although its answer did not.
        let _ = store.purge(&probe.bucket, &probe.key).await;
        return RoundTrip { put, list: after.clone(), get: after.clone(), delete: after };
    }
    let list = list(store, probe).await;
    let get = get(store, probe).await;
    let delete = delete(store, probe).await;
    RoundTrip { put, list, get, delete }
}

fn refused(error: &S3Error) -> Answer {
    match error.class {
        ErrorClass::Denied => Answer::Refused(error.message.clone()),
        _ => Answer::Failed(error.message.clone()),
    }
}

async fn put(store: &Store, probe: &Probe) -> Answer {
    let checksum = hashing::digest(Algorithm::Crc64Nvme, &probe.content);
    let write = ObjectWrite {
        bucket: &probe.bucket,
        key: &probe.key,
        body: Bytes::from(probe.content.clone()),
        checksum: &checksum,
        content_type: CONTENT_TYPE,
        attributes: &ObjectAttributes::default(),
        condition: &WriteCondition::Absent,
    };
    match store.put_object(write).await {
        Ok(written) if written.echo == Some(Echo::Whole(checksum)) => {
            Answer::Worked(format!("{} bytes, CRC64NVME confirmed", probe.content.len()))
        }
        Ok(_) => Answer::Worked(format!("{} bytes", probe.content.len())),
        Err(error) => refused(&error),
    }
}

async fn list(store: &Store, probe: &Probe) -> Answer {
    let mut listing = std::pin::pin!(store.list(&probe.bucket, &probe.listed));
    loop {
        match listing.try_next().await {
            Ok(Some(page)) if page.iter().any(|entry| entry.key == probe.key) => {
                return Answer::Worked("found".to_owned());
            }
            Ok(Some(_)) => {}
            Ok(None) => return Answer::Failed("the key that was just put is not in the listing".to_owned()),
            Err(error) => return refused(&error),
        }
    }
}

async fn get(store: &Store, probe: &Probe) -> Answer {
    match store.get_bytes(&probe.bucket, &probe.key, probe.content.len() as u64).await {
        Ok(bytes) if bytes == probe.content => Answer::Worked("the same bytes came back".to_owned()),
        Ok(_) => Answer::Failed("other bytes came back than were put".to_owned()),
        Err(error) => refused(&error),
    }
}

/// A plain delete, as a program would do it, then the versions that it leaves behind.
async fn delete(store: &Store, probe: &Probe) -> Answer {
    let deleted = store.delete_object(&probe.bucket, &probe.key, None, None).await;
    let purged = store.purge(&probe.bucket, &probe.key).await;
    match (deleted, purged) {
        (Ok(()), Ok(_)) => Answer::Worked("nothing stays".to_owned()),
        (Ok(()), Err(error)) => {
            Answer::Worked(format!("a noncurrent version of {} stays until it expires: {}", probe.key, error.message))
        }
        (Err(error), Ok(_)) => refused(&error),
        (Err(error), Err(_)) => match refused(&error) {
            Answer::Refused(text) => Answer::Refused(stays(probe, &text)),
            Answer::Failed(text) => Answer::Failed(stays(probe, &text)),
            other => other,
        },
    }
}

fn stays(probe: &Probe, text: &str) -> String {
    format!("{text}; `{}` could not be removed", probe.key)
}
