//! `new --from`: looks at a bucket, its folders and the account's policies, and writes the layout of what is there.

use crate::commands::{Context, Ending, announced, grants, open};
use crate::config::Settings;
use crate::error::CommandError;
use crate::infer::{self, Found, FoundPolicy, InferError, Policies, Survey};
use crate::model::{BucketName, BucketNameError, BucketState, Cluster, Prefix, Seen};
use crate::report::{Event, Outcome};
use crate::world::{AccountError, World};
use futures_util::TryStreamExt as _;
use futures_util::stream::{self, StreamExt as _};
use std::path::Path;

/// How many policies are asked about at once. IAM allows few questions a second.
const AT_ONCE: usize = 4;

/// Writes the layout of the bucket at `url` to `out`.
pub(super) async fn run(
    url: &str,
    cluster: Option<&str>,
    out: &Path,
    context: &Context,
) -> Result<Ending, CommandError> {
    let bucket = bucket_of(url)?;
    if let Some(name) = context.set.keys().next() {
        return Err(CommandError::usage(format!(
            "`--set {name}` fills a starter; with `--from` there is nothing to fill"
        )));
    }
    let settings = Settings::resolve(&context.flags, None, None, &context.environment)?;
    let world = open(&settings, None, context).await?;
    context.ui.event(&Event::Identity(world.identity_record()));
    let found =
        announced(&format!("looking at s3://{bucket}"), look(&bucket, cluster, &world, context), context).await?;
    let inferred = infer::layout_of(&found).map_err(|error| failed(&error))?;
    let is_written = super::put(out, &inferred.text, context)?;
    inferred.warnings.iter().for_each(|warning| context.ui.warning(warning));
    if is_written {
        let folders = inferred.layout.buckets.first().map_or(0, |bucket| bucket.folders.len());
        let grants = inferred.layout.grants.len();
        let counted = |count: usize, word: &str| format!("{count} {word}{}", if count == 1 { "" } else { "s" });
        context.ui.note(&format!(
            "wrote {} from s3://{bucket}: {}, {}",
            out.display(),
            counted(folders, "folder"),
            counted(grants, "grant")
        ));
        let local = if context.flags.local.is_some() { " --local" } else { "" };
        context.ui.hint(&format!("see what adopting it would change: bucketwright plan {}{local}", out.display()));
    }
    Ok(Ending::answered(Outcome::Done))
}

fn bucket_of(url: &str) -> Result<BucketName, CommandError> {
    let Some(name) = url.strip_prefix("s3://") else {
        return Err(CommandError::usage(format!("`--from` takes a bucket: `s3://{}`", url.trim_start_matches("s3:"))));
    };
    match name.trim_end_matches('/') {
        name if name.contains('/') => {
            Err(CommandError::usage("a layout describes a whole bucket: write `s3://BUCKET` without a folder"))
        }
        name => name.parse().map_err(|error: BucketNameError| CommandError::usage(error.to_string())),
    }
}

fn failed(error: &InferError) -> CommandError {
    let hint = match error {
        InferError::Absent(_) => "check the name, the profile and the endpoint".to_owned(),
        InferError::Forbidden(_) => "use a profile that may list the bucket (s3:ListBucket)".to_owned(),
        InferError::Elsewhere { region, .. } => format!("pass `--region {region}`"),
        InferError::Unwritable { mistakes, .. } => {
            let help = mistakes.iter().find_map(|mistake| mistake.help.clone());
            help.unwrap_or_else(|| "the bucket can still be used with `tree`, `sync` and `policy`".to_owned())
        }
    };
    let kind = match error {
        InferError::Absent(_) => "not-found",
        InferError::Forbidden(_) => "access-denied",
        InferError::Elsewhere { .. } => "wrong-region",
        InferError::Unwritable { .. } => "layout",
    };
    CommandError::new(kind, Outcome::Failed, error.to_string()).hint(hint)
}

async fn look(
    bucket: &BucketName,
    cluster: Option<&str>,
    world: &World,
    context: &Context,
) -> Result<Found, CommandError> {
    let state = world.store.bucket_state(bucket, &[]).await?;
    let around = world.circumstances();
    let day = context.now.to_string().chars().take_while(|letter| *letter != 'T').collect();
    let unseen = |state: BucketState| Found {
        bucket: state,
        survey: Survey::default(),
        log_bucket: None,
        policies: Policies::Unread("nothing else could be read".to_owned()),
        cluster: None,
        around: around.clone(),
        day,
    };
    // What is not there, or not to be reached, has neither folders nor policies.
    let found = unseen(state);
    if infer::reachable(&found).is_err() {
        return Ok(found);
    }
    Ok(Found {
        survey: survey(bucket, world).await?,
        log_bucket: log_bucket(&found.bucket, world).await?,
        cluster: match cluster {
            Some(name) => Some(named_cluster(name, world).await?),
            None => None,
        },
        policies: policies(bucket, world).await?,
        ..found
    })
}

async fn survey(bucket: &BucketName, world: &World) -> Result<Survey, CommandError> {
    let mut survey = Survey::default();
    let mut listing = std::pin::pin!(world.store.list(bucket, &Prefix::root()));
    while let Some(page) = listing.try_next().await? {
        page.iter().for_each(|entry| survey.add(entry));
    }
    Ok(survey)
}

async fn log_bucket(state: &BucketState, world: &World) -> Result<Option<BucketState>, CommandError> {
    match state.access_log.known().and_then(Option::as_ref) {
        Some(log) if log.bucket != state.name => Ok(Some(world.store.bucket_state(&log.bucket, &[]).await?)),
        _ => Ok(None),
    }
}

async fn named_cluster(name: &str, world: &World) -> Result<Cluster, CommandError> {
    match world.account.cluster(name).await? {
        Seen::Here(cluster) => Ok(cluster),
        Seen::Absent => {
            let message = format!("there is no EKS cluster `{name}` in {}", world.region);
            Err(CommandError::new("not-found", Outcome::Failed, message).hint("check the name and the Region"))
        }
        Seen::Hidden(why) => {
            let message = format!("cluster `{name}` may not be read: {why}");
            Err(CommandError::new("access-denied", Outcome::Failed, message)
                .hint("use a profile with eks:DescribeCluster"))
        }
    }
}

/// The account's own policies, as far as there are any to be read.
async fn policies(bucket: &BucketName, world: &World) -> Result<Policies, CommandError> {
    if let Err(why) = grants::account_of(world) {
        return Ok(Policies::Unread(why));
    }
    let account = &world.account;
    let policies = match account.policies().await {
        Ok(policies) => policies,
        Err(error) => return unread(error),
    };
    let concerned = policies.into_iter().filter(|policy| infer::may_concern(policy, bucket));
    let with_holders = concerned.map(|policy| async move {
        let attachments = account.attachments(&policy.arn).await?;
        Ok::<_, AccountError>(FoundPolicy { policy, attachments })
    });
    let found: Result<Vec<FoundPolicy>, AccountError> =
        stream::iter(with_holders).buffered(AT_ONCE).try_collect().await;
    match found {
        Ok(found) => Ok(Policies::Read(found)),
        Err(error) => unread(error),
    }
}

/// A bucket can be described without the account's policies; what ends every call ends this one too.
fn unread(error: AccountError) -> Result<Policies, CommandError> {
    use crate::aws::ErrorClass::{Denied, NotS3, Unsupported};
    match error.class() {
        Denied | NotS3 | Unsupported => Ok(Policies::Unread(format!("policies may not be read: {error}"))),
        _ => Err(error.into()),
    }
}
