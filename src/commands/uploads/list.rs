//! `uploads list`: whose, how old, how many bytes.

use super::{Place, counted, look_at_all};
use crate::commands::{Closing, Context, Ending};
use crate::error::CommandError;
use crate::report::{Event, Outcome, Summary};
use clap::Args;

/// List unfinished uploads: whose they are, how old, how many bytes
///
/// Shows every upload in parts that was begun in the bucket, by whatever program, and neither completed nor aborted. Those
/// marked `ours` were begun from here: the next run that sends the same file goes on with them.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bucketwright uploads list s3://my-bucket
  bucketwright uploads list s3://my-bucket/credit-scoring/data/
  bucketwright uploads list s3://my-bucket --output json | jq 'select(.ours | not)'

Parts are paid for until the upload is completed or aborted. A lifecycle rule
that aborts uploads after some days, which `apply` sets, keeps buckets clean.")]
pub struct ListArgs {
    /// The bucket, or the start of the keys: s3://BUCKET[/PREFIX]
    #[arg(value_name = "URL")]
    place: Place,
}

/// Runs the verb.
pub async fn run(args: &ListArgs, context: &Context) -> Result<Ending, CommandError> {
    let world = super::open(context).await?;
    let (mut uploads, mut bytes) = (0, 0);
    let show = |looked: super::Looked| {
        uploads += 1;
        bytes += looked.record.bytes.unwrap_or_default();
        context.ui.event(&Event::UnfinishedUpload(looked.record));
    };
    look_at_all(&world, &args.place, context, |_| true, show).await?;
    let closing = Some(format!("Uploads: {}", counted(uploads, bytes)));
    let summary = Summary { closing, ..Summary::default() };
    Ok(Ending { summary, outcome: Outcome::Done, closing: Closing::Shown, last_word: None })
}
