//! `tree`: draws what is there beside what is wanted.

use super::{Context, Ending, LayoutArgs, Loaded};
use crate::aws::s3::ErrorClass;
use crate::config::Settings;
use crate::error::CommandError;
use crate::layout::{Bucket, Dataset, Layout, Purpose};
use crate::local::{self, SourceKind};
use crate::model::{BucketName, ObjectKey, Prefix};
use crate::report::Outcome;
use crate::tree::{Tree, TreeBuilder, TreeOptions};
use crate::world::World;
use clap::Args;
use futures_util::TryStreamExt as _;
use std::path::PathBuf;

/// How many objects of one folder are drawn before the rest is only counted.
const DEFAULT_LIMIT: usize = 50;

/// Draw the tree of a layout's buckets, or of any bucket or folder
///
/// For a layout the wanted folders stand in its order, marked `(missing)` where they are not there; what no folder of
/// the layout holds is marked `(not in the layout)`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bucketwright tree --local
  bucketwright tree s3://my-bucket/credit-scoring --depth 2
  bucketwright tree layout.toml --check    exit 4 unless all is as wanted")]
pub struct TreeArgs {
    /// A layout file, or s3://BUCKET[/PREFIX]
    #[arg(value_name = "LAYOUT|URL", default_value = "layout.toml")]
    place: String,
    /// Environment of the layout: its account, region, profile and variables
    #[arg(long, value_name = "NAME")]
    env: Option<String>,
    /// Exit 4 if something is missing, or not in the layout
    #[arg(long)]
    check: bool,
    /// Draw at most N objects of each folder, and count the rest
    #[arg(long, value_name = "N", default_value_t = DEFAULT_LIMIT)]
    limit: usize,
    /// Draw at most N levels of folders
    #[arg(long, value_name = "N")]
    depth: Option<usize>,
}

impl TreeArgs {
    const fn options(&self) -> TreeOptions {
        TreeOptions { limit: self.limit, depth: self.depth }
    }
}

/// Runs the verb.
pub async fn run(args: &TreeArgs, context: &Context) -> Result<Ending, CommandError> {
    if args.place.starts_with("s3:") && !args.place.starts_with("s3://") {
        return Err(CommandError::usage("a bucket is written `s3://BUCKET` or `s3://BUCKET/PREFIX`"));
    }
    if let Some(place) = args.place.strip_prefix("s3://") {
        if args.check {
            return Err(CommandError::usage("`--check` compares with a layout; name a layout file"));
        }
        return found(place, args.options(), context).await;
    }
    let layout = LayoutArgs { layout: PathBuf::from(&args.place), env: args.env.clone() };
    let loaded = super::load(&layout, context)?;
    let world = super::reach(&loaded.layout, context).await?;
    let differs = draw(&loaded, &world, args.options(), context).await?;
    let outcome = if args.check && differs { Outcome::Differs } else { Outcome::Done };
    Ok(Ending::answered(outcome))
}

/// Draws every bucket that the layout declares, as `apply --verify` does.
pub async fn draw_layout(loaded: &Loaded, world: &World, context: &Context) -> Result<bool, CommandError> {
    let drawn = draw(loaded, world, TreeOptions { limit: DEFAULT_LIMIT, depth: None }, context);
    context.stop.unless_asked(drawn).await.unwrap_or_else(|| Err(CommandError::stopped("nothing was verified")))
}

async fn draw(loaded: &Loaded, world: &World, options: TreeOptions, context: &Context) -> Result<bool, CommandError> {
    let mut differs = false;
    for bucket in loaded.layout.buckets.iter().filter(|bucket| bucket.purpose == Purpose::Declared) {
        let tree = grow(bucket, loaded, world, options).await?;
        differs |= tree.missing + tree.extra > 0;
        context.ui.tree(&tree);
    }
    Ok(differs)
}

/// The tree of one bucket of a layout, wanted beside found.
pub(super) async fn grow(
    bucket: &Bucket,
    loaded: &Loaded,
    world: &World,
    options: TreeOptions,
) -> Result<Tree, CommandError> {
    let wanted = wanted_keys(&loaded.layout, bucket, loaded);
    let builder = TreeBuilder::wanted(bucket, wanted.iter(), options);
    Ok(fill(builder, &bucket.name, &Prefix::root(), world).await?.tree)
}

/// The keys of single-file datasets, which are worth a line even where they are missing.
fn wanted_keys(layout: &Layout, bucket: &Bucket, loaded: &Loaded) -> Vec<ObjectKey> {
    let key = |dataset: &Dataset| {
        let source = loaded.folder.join(&dataset.source);
        let name = dataset.rename.clone().or_else(|| Some(source.file_name()?.to_str()?.to_owned()))?;
        let is_file = dataset.rename.is_some() || local::source_kind(&source) == SourceKind::File;
        if is_file { dataset.folder.key(&name).ok() } else { None }
    };
    layout.datasets.iter().filter(|dataset| dataset.bucket == bucket.name).filter_map(key).collect()
}

async fn found(place: &str, options: TreeOptions, context: &Context) -> Result<Ending, CommandError> {
    let (bucket, prefix) = place.split_once('/').unwrap_or((place, ""));
    let bucket: BucketName =
        bucket.parse().map_err(|error: crate::model::BucketNameError| CommandError::usage(error.to_string()))?;
    let slash = if prefix.is_empty() || prefix.ends_with('/') { "" } else { "/" };
    let prefix: Prefix = format!("{prefix}{slash}")
        .parse()
        .map_err(|error: crate::model::KeyError| CommandError::usage(error.to_string()))?;
    let settings = Settings::resolve(&context.flags, None, None, &context.environment)?;
    let world = super::open(&settings, None, context).await?;
    let builder = TreeBuilder::found(bucket.clone(), prefix.clone(), options);
    let Filled { tree, listed, bucket_exists } = fill(builder, &bucket, &prefix, &world).await?;
    if !bucket_exists {
        let failed = CommandError::new("not-found", Outcome::Failed, format!("there is no bucket `{bucket}`"));
        return Err(failed.hint("check the name, the profile and the endpoint"));
    }
    if listed == 0 && !prefix.is_root() {
        let message = format!("nothing lies under `s3://{bucket}/{prefix}`");
        let hint = format!("`bucketwright tree s3://{bucket}` draws the whole bucket");
        return Err(CommandError::new("not-found", Outcome::Failed, message).hint(hint));
    }
    context.ui.tree(&tree);
    Ok(Ending::answered(Outcome::Done))
}

/// A tree, and what its listing told beside it.
struct Filled {
    tree: Tree,
    listed: usize,
    bucket_exists: bool,
}

async fn fill(
    mut builder: TreeBuilder,
    bucket: &BucketName,
    prefix: &Prefix,
    world: &World,
) -> Result<Filled, CommandError> {
    let mut listing = std::pin::pin!(world.store.list(bucket, prefix));
    let mut listed = 0;
    loop {
        match listing.try_next().await {
            Ok(Some(page)) => {
                listed += page.len();
                page.iter().for_each(|entry| builder.add(entry));
            }
            Ok(None) => return Ok(Filled { tree: builder.finish(), listed, bucket_exists: true }),
            Err(error) if error.class == ErrorClass::NotFound => {
                builder.bucket_is_absent();
                return Ok(Filled { tree: builder.finish(), listed, bucket_exists: false });
            }
            Err(error) => return Err(error.into()),
        }
    }
}
