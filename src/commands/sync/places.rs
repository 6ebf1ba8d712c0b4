//! What SRC and DST mean: which side is a folder, which a single thing, and under what name it goes.

use super::origin::Origin;
use super::{Meant, SyncArgs};
use crate::apply::pipeline::{Files, Listing, Objects, Side};
use crate::apply::transfer::Way;
use crate::aws::s3::Store;
use crate::commands::{Context, LayoutArgs};
use crate::config::{Flags, Settings, cache_folder};
use crate::error::CommandError;
use crate::local::{CachePlace, SourceKind, source_kind};
use crate::model::{BucketName, Endpoint, Location, Prefix, S3Location, escaped};
use crate::report::Event;
use crate::sync::decide::Route;
use crate::sync::keys::is_file_name;
use crate::sync::saved;
use crate::world::World;
use futures_util::TryStreamExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Both sides, reached.
#[derive(Debug)]
pub(super) struct Places {
    pub(super) route: Route,
    pub(super) source: Side,
    pub(super) target: Side,
    /// How the bytes of copies get from one end to the other.
    pub(super) way: Way,
    /// Where the source is, if the command line says that it is reached another way than the target.
    pub(super) from: Option<saved::Place>,
    world: World,
}

impl Places {
    /// Reaches what SRC and DST name, and says who acts.
    pub(super) async fn resolve(meant: &Meant, args: &SyncArgs, context: &Context) -> Result<Self, CommandError> {
        let (source, target) = (&meant.source, &meant.target);
        if let Location::Local(path) = source
            && source_kind(path) == SourceKind::Absent
        {
            return Err(CommandError::usage(format!("the source `{}` is not there", escaped(path)))
                .hint("check the path; it is taken from the folder you are in"));
        }
        args.origin.check(source, target)?;
        let flags = Flags { silence: Some(args.stall_timeout.unsigned_abs()), ..context.flags.clone() };
        let settings = Settings::resolve(&flags, None, None, &context.environment)?;
        let mut world = crate::commands::open(&settings, None, context).await?;
        if args.retry_for.is_zero() {
            world.store = world.store.without_retries();
        }
        context.ui.event(&Event::Identity(world.identity_record()));
        let (mut way, mut from_place) = (Way::INSIDE, None);
        let sides = match (source, target) {
            (Location::Local(path), Location::S3(to)) => upload(path.clone(), to, &world.store).await,
            (Location::S3(from), Location::Local(path)) => {
                // Whose the bucket is matters where something is written.
                world.store = world.store.of_any_owner();
                if world.store.is_aws() {
                    world.store = world.store.in_any_region();
                }
                download(from, path.clone(), &world.store).await
            }
            (Location::S3(from), Location::S3(to)) => {
                let origin = args.origin.reach(&flags, &settings, &world, !args.retry_for.is_zero(), context).await?;
                let sides = copy(from, to, &origin, &world.store).await;
                (way, from_place) = (origin.way, origin.place);
                sides
            }
            (Location::Layout { .. }, _) | (_, Location::Layout { .. }) | (Location::Local(_), Location::Local(_)) => {
                return Err(CommandError::usage("both SRC and DST are local paths")
                    .hint("one of them is a place in S3, such as `s3://my-bucket/folder/`"));
            }
        };
        let (route, source, target) = sides.map_err(|error| error.at(&world.place))?;
        Ok(Self { route, source, target, way, from: from_place, world })
    }

    /// Where it is remembered what the local files hold: one place for each local root and folder in S3.
    pub(super) fn cache(&self, args: &SyncArgs, context: &Context) -> Option<CachePlace> {
        let (files, objects) = match (&self.source, &self.target) {
            (Side::Files(files), Side::Objects(objects)) | (Side::Objects(objects), Side::Files(files)) => {
                (files, objects)
            }
            _ => return None,
        };
        let folder = cache_folder(&context.environment).filter(|_| !args.no_cache && files.rename.is_none())?;
        let endpoint = if self.world.endpoint == Endpoint::Aws {
            String::new()
        } else {
            crate::commands::endpoint_name(&self.world, context)
        };
        Some(CachePlace::new(&folder, &files.root, &endpoint, &objects.bucket, &objects.folder))
    }

    /// The endpoint, and as whom and where it is asked: what a saved plan holds for.
    pub(super) fn place(&self, context: &Context) -> saved::Place {
        saved::Place {
            endpoint: crate::commands::endpoint_name(&self.world, context),
            account: self.world.identity.account.clone(),
            region: self.world.region.clone(),
        }
    }

    /// Where the writing side is.
    pub(super) const fn world(&self) -> &World {
        &self.world
    }
}

/// A location; a folder of a layout becomes the place that it stands for.
pub(super) fn settle(location: &Location, context: &Context) -> Result<Location, CommandError> {
    match location {
        Location::Layout { file, place } => in_layout(file, place, context).map(Location::S3),
        Location::Local(_) | Location::S3(_) => Ok(location.clone()),
    }
}

/// The folder of a layout that `bucket/project/folder` names.
fn in_layout(file: &Path, place: &str, context: &Context) -> Result<S3Location, CommandError> {
    let loaded = crate::commands::load(&LayoutArgs { layout: file.to_owned(), env: None }, context)?;
    let (bucket, folder) = place.trim_end_matches('/').split_once('/').unwrap_or((place.trim_end_matches('/'), ""));
    let unknown = |what: String, hint: String| Err(CommandError::usage(what).hint(hint));
    let Some(found) = loaded.layout.buckets.iter().find(|one| one.name.as_str() == bucket) else {
        let names: Vec<&str> = loaded.layout.buckets.iter().map(|one| one.name.as_str()).collect();
        let message = format!("the layout `{}` has no bucket `{bucket}`", file.display());
        return unknown(message, format!("its buckets are: {}", names.join(", ")));
    };
    let wanted = if folder.is_empty() { String::new() } else { format!("{folder}/") };
    if !wanted.is_empty() && !found.folders.iter().any(|one| one.prefix.as_str().starts_with(&wanted)) {
        let folders: Vec<&str> = found.folders.iter().map(|one| one.prefix.as_str().trim_end_matches('/')).collect();
        let message = format!("the layout declares no folder `{folder}` in `{bucket}`");
        let hint = match &folders[..] {
            [] => format!("it declares none; write `s3://{bucket}/{folder}/` to go there anyway"),
            _ => format!("its folders are: {}", folders.join(", ")),
        };
        return unknown(message, hint);
    }
    let folder: Prefix = wanted.parse().map_err(|error| CommandError::usage(format!("{error}")))?;
    Ok(S3Location::folder_of(found.name.clone(), &folder))
}

type Sides = (Route, Side, Side);

async fn upload(path: PathBuf, to: &S3Location, store: &Store) -> Result<Sides, CommandError> {
    let bucket = to.bucket.clone();
    let (folder, name) = match (source_kind(&path), to.folder(), to.as_object()) {
        (SourceKind::File, None, Some((key, folder, name))) => {
            refuse_folder(store, &bucket, &key.to_string(), to).await?;
            (folder, Some(name.to_owned()))
        }
        (SourceKind::File, Some(folder), _) => {
            (folder, path.file_name().and_then(|name| name.to_str()).map(str::to_owned))
        }
        _ => (folder_of(to)?, None),
    };
    let route = Route::Upload { bucket: bucket.clone(), folder: folder.clone() };
    let key = name.as_deref().and_then(|name| folder.key(name).ok());
    let listing = key.map_or(Listing::Streamed, |key| Listing::One { key, name: None });
    let target = Side::Objects(Objects { store: store.clone(), bucket, folder, listing });
    let source = Side::Files(Files { root: path, rename: name, leftovers: Arc::default() });
    Ok((route, source, target))
}

async fn download(from: &S3Location, path: PathBuf, store: &Store) -> Result<Sides, CommandError> {
    let bucket = from.bucket.clone();
    let Some((key, parent, name)) = single(from, store).await? else {
        let folder = folder_of(from)?;
        let route = Route::Download { bucket: bucket.clone(), root: path.clone() };
        let source = Side::Objects(Objects { store: store.clone(), bucket, folder, listing: Listing::Streamed });
        return Ok((route, source, local_side(path)));
    };
    let text = path.to_string_lossy();
    let is_directory = source_kind(&path) == SourceKind::Tree;
    if is_directory && !text.ends_with('/') && text != "." && text != ".." {
        return Err(CommandError::usage(format!("`{}` is a folder", escaped(&path)))
            .hint(format!("write `{}/` to put the object into it", escaped(&path))));
    }
    let (root, target_name) = if is_directory || text.ends_with('/') {
        (path.clone(), name.to_owned())
    } else {
        let file = path.file_name().and_then(|name| name.to_str()).filter(|name| is_file_name(name));
        let file = file.ok_or_else(|| CommandError::usage(format!("`{}` names no file", escaped(&path))))?;
        let root = path.parent().filter(|parent| *parent != Path::new("")).unwrap_or(Path::new("."));
        (root.to_owned(), file.to_owned())
    };
    let route = Route::Download { bucket: bucket.clone(), root: root.clone() };
    let listing = Listing::One { key, name: Some(target_name.clone()) };
    let source = Side::Objects(Objects { store: store.clone(), bucket, folder: parent, listing });
    let file = root.join(&target_name);
    let target = match source_kind(&file) {
        SourceKind::Absent => Side::Nothing,
        _ => Side::Files(Files { root: file, rename: Some(target_name), leftovers: Arc::default() }),
    };
    Ok((route, source, target))
}

fn local_side(path: PathBuf) -> Side {
    match source_kind(&path) {
        SourceKind::Absent => Side::Nothing,
        _ => Side::Files(Files { root: path, rename: None, leftovers: Arc::default() }),
    }
}

async fn copy(from: &S3Location, to: &S3Location, origin: &Origin, store: &Store) -> Result<Sides, CommandError> {
    let (source_bucket, bucket) = (from.bucket.clone(), to.bucket.clone());
    let objects = |store: &Store, bucket: &BucketName, folder: &Prefix, listing| {
        Side::Objects(Objects { store: store.clone(), bucket: bucket.clone(), folder: folder.clone(), listing })
    };
    if let Some((key, parent, name)) = single(from, &origin.store).await? {
        let (folder, target_name) = match (to.folder(), to.as_object()) {
            (None, Some((key, folder, name))) => {
                refuse_folder(store, &bucket, &key.to_string(), to).await?;
                (folder, name.to_owned())
            }
            _ => (folder_of(to)?, name.to_owned()),
        };
        let found = folder.key(&target_name).map_err(|error| CommandError::usage(error.to_string()))?;
        let route = Route::Copy { from: source_bucket.clone(), bucket: bucket.clone(), folder: folder.clone() };
        let source = objects(&origin.store, &source_bucket, &parent, Listing::One { key, name: Some(target_name) });
        return Ok((route, source, objects(store, &bucket, &folder, Listing::One { key: found, name: None })));
    }
    let (source_folder, folder) = (folder_of(from)?, folder_of(to)?);
    let nested = |outer: &Prefix, inner: &Prefix| inner.as_str().starts_with(outer.as_str());
    if origin.same_buckets
        && source_bucket == bucket
        && (nested(&source_folder, &folder) || nested(&folder, &source_folder))
    {
        return Err(CommandError::usage(format!("`{from}` and `{to}` lie in one another"))
            .hint("a sync into itself would never be done; choose two folders side by side"));
    }
    let source = objects(&origin.store, &source_bucket, &source_folder, Listing::Streamed);
    let target = objects(store, &bucket, &folder, Listing::Streamed);
    Ok((Route::Copy { from: source_bucket, bucket, folder }, source, target))
}

fn folder_of(place: &S3Location) -> Result<Prefix, CommandError> {
    place.as_folder().map_err(|error| CommandError::usage(error.to_string()))
}

/// The one object that a source names; none if it names a folder.
async fn single<'place>(
    from: &'place S3Location,
    store: &Store,
) -> Result<Option<(crate::model::ObjectKey, Prefix, &'place str)>, CommandError> {
    let Some(object) = from.as_object() else { return Ok(None) };
    Ok(store.head_object(&from.bucket, &object.0).await?.map(|_| object))
}

/// A single thing under the very name of a folder is rarely what anybody means.
async fn refuse_folder(store: &Store, bucket: &BucketName, key: &str, to: &S3Location) -> Result<(), CommandError> {
    let Ok(folder) = format!("{key}/").parse::<Prefix>() else { return Ok(()) };
    let mut pages = std::pin::pin!(store.list(bucket, &folder));
    let first = pages.try_next().await?;
    if first.is_none_or(|page| page.is_empty()) {
        return Ok(());
    }
    Err(CommandError::usage(format!("`{to}` is a folder: there are objects below it"))
        .hint(format!("write `{to}/` to put the file into it")))
}
