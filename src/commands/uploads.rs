//! `uploads`: unfinished uploads in parts, which cost money and are seen in no listing of objects.

pub mod abort;
pub mod list;

use super::{Context, Ending};
use crate::aws::s3::{ErrorClass, MultipartUpload, S3Error, object_url};
use crate::config::Settings;
use crate::error::CommandError;
use crate::local::Journal;
use crate::model::{Algorithm, BucketName, OpenUpload, Unfinished, escaped};
use crate::report::UploadRecord;
use crate::world::World;
use clap::Subcommand;
use futures_util::TryStreamExt as _;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::str::FromStr;

/// How many uploads are looked at or aborted at once.
const AT_ONCE: usize = 16;

/// List unfinished uploads, and abort them
///
/// An upload in parts that was begun and never completed holds on to its parts: they are paid for, and no listing of
/// objects shows them. What this program leaves behind when it is stopped, it takes up with the next run by itself.
#[derive(Debug, Subcommand)]
pub enum UploadsCommand {
    List(list::ListArgs),
    Abort(abort::AbortArgs),
}

/// Runs the verb.
pub async fn run(command: &UploadsCommand, context: &Context) -> Result<Ending, CommandError> {
    match command {
        UploadsCommand::List(args) => list::run(args, context).await,
        UploadsCommand::Abort(args) => abort::run(args, context).await,
    }
}

/// A bucket, or all of its keys that start with a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    bucket: BucketName,
    start: String,
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let rest = text.strip_prefix("s3://").ok_or("write it as `s3://BUCKET` or `s3://BUCKET/PREFIX`")?;
        let (bucket, start) = rest.split_once('/').unwrap_or((rest, ""));
        let bucket = bucket.parse().map_err(|error: crate::model::BucketNameError| error.to_string())?;
        Ok(Self { bucket, start: start.to_owned() })
    }
}

async fn open(context: &Context) -> Result<World, CommandError> {
    let settings = Settings::resolve(&context.flags, None, None, &context.environment)?;
    super::open(&settings, None, context).await
}

/// One unfinished upload, and all that is known of it.
struct Looked {
    upload: MultipartUpload,
    record: UploadRecord,
}

/// What this machine remembers of a bucket's uploads, by their ids.
async fn remembered(journal: Option<Journal>, bucket: &BucketName) -> BTreeMap<String, Unfinished> {
    let Some(journal) = journal else { return BTreeMap::new() };
    let bucket = bucket.clone();
    // A journal that cannot be read says of no upload that it is ours; the uploads are listed all the same.
    let all = tokio::task::spawn_blocking(move || journal.remembered(&bucket)).await;
    let all = all.ok().and_then(Result::ok).unwrap_or_default();
    all.into_iter().filter_map(|one| Some((one.upload_id.clone()?, one))).collect()
}

/// Looks at one upload; none if it was completed or aborted meanwhile.
async fn look(
    world: &World,
    bucket: &BucketName,
    found: OpenUpload,
    ours: &BTreeMap<String, Unfinished>,
    now: Timestamp,
) -> Result<Option<Looked>, S3Error> {
    let OpenUpload { key, upload_id, initiated, initiator, algorithm } = found;
    let algorithm = algorithm.unwrap_or(Algorithm::Crc64Nvme);
    let upload = MultipartUpload { bucket: bucket.clone(), key, upload_id, algorithm };
    let parts = match world.store.list_parts(&upload).await {
        Ok(parts) => Some(parts),
        Err(error) if error.class == ErrorClass::NotFound => return Ok(None),
        Err(error) if matches!(error.class, ErrorClass::Denied | ErrorClass::Unsupported) => None,
        Err(error) => return Err(error),
    };
    let source = ours.get(&upload.upload_id).map(|remembered| escaped(&remembered.intent.path));
    let record = UploadRecord {
        target: object_url(bucket, &upload.key),
        upload_id: upload.upload_id.clone(),
        initiated: initiated.map(|time| time.to_string()),
        age_s: initiated.map(|time| u64::try_from(now.duration_since(time).as_secs()).unwrap_or_default()),
        initiator,
        parts: parts.as_ref().map(|parts| parts.len() as u64),
        bytes: parts.map(|parts| parts.iter().map(|part| part.size_bytes).sum()),
        ours: source.is_some(),
        source,
    };
    Ok(Some(Looked { upload, record }))
}

/// All unfinished uploads of a place that `is_chosen` names, in the order of the listing, each handed to `take`.
async fn look_at_all(
    world: &World,
    place: &Place,
    context: &Context,
    is_chosen: impl Fn(&OpenUpload) -> bool,
    mut take: impl FnMut(Looked),
) -> Result<(), CommandError> {
    use futures_util::stream::{self, StreamExt as _};
    let ours = remembered(super::journal(world, context), &place.bucket).await;
    let mut pages = std::pin::pin!(world.store.list_uploads(&place.bucket, &place.start));
    while let Some(page) = pages.try_next().await? {
        let chosen = page.into_iter().filter(|upload| is_chosen(upload));
        let looks = chosen.map(|upload| look(world, &place.bucket, upload, &ours, context.now));
        let mut looks = std::pin::pin!(stream::iter(looks).buffered(AT_ONCE));
        while let Some(looked) = looks.try_next().await? {
            looked.into_iter().for_each(&mut take);
        }
    }
    Ok(())
}

/// `1 unfinished upload, 24.0 MiB`
fn counted(uploads: u64, bytes: u64) -> String {
    use crate::model::{HumanBytes, HumanCount};
    match uploads {
        0 => "no unfinished uploads".to_owned(),
        1 => format!("1 unfinished upload, {}", HumanBytes(bytes)),
        _ => format!("{} unfinished uploads, {}", HumanCount(uploads), HumanBytes(bytes)),
    }
}

#[cfg(test)]
mod tests {
    use super::Place;

    #[test]
    fn places() {
        let read = |text: &str| text.parse::<Place>().map(|place| (place.bucket.to_string(), place.start));
        let place = |bucket: &str, start: &str| Ok((bucket.to_owned(), start.to_owned()));
        assert_eq!(read("s3://my-bucket"), place("my-bucket", ""));
        assert_eq!(read("s3://my-bucket/"), place("my-bucket", ""));
        assert_eq!(read("s3://my-bucket/a/b"), place("my-bucket", "a/b"));
        for wrong in ["my-bucket", "s3:/my-bucket", "s3://", "s3://B_D"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
