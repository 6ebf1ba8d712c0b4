//! `cluster job`: manifests of Kubernetes Jobs that verify access, or share a sync, as somebody in the cluster.

use super::in_cluster;
use super::launch::Launch;
use crate::cluster::job::{self, DATA_PATH, Manifest, Place, Work};
use crate::cluster::{AccountName, Wish, is_label, spots, unresolved};
use crate::commands::kube::KubeArgs;
use crate::commands::sync::settle;
use crate::commands::{Context, Ending, LayoutArgs, MAX_LAYOUT_BYTES, load};
use crate::error::CommandError;
use crate::local;
use crate::model::{Cluster, Location};
use crate::report::Outcome;
use clap::{Args, Subcommand};
use std::collections::BTreeMap;
use std::path::{Component, Path};

/// Print or run Kubernetes Jobs, under the identity that is to be proven or used
#[derive(Debug, Subcommand)]
pub enum JobCommand {
    Verify(Box<VerifyArgs>),
    Sync(Box<SyncArgs>),
}

/// Where Jobs run.
#[derive(Debug, Clone, Args)]
pub(in crate::commands) struct PlaceArgs {
    /// The image of this program, such as REGISTRY/bucketwright:0.1.0
    #[arg(long, value_name = "IMAGE")]
    pub(in crate::commands) image: String,
    /// Run in this managed node group; can be repeated
    #[arg(long, value_name = "NAME")]
    pub(in crate::commands) node_group: Vec<String>,
}

/// Whether the Jobs are made.
#[derive(Debug, Clone, Default, Args)]
pub(in crate::commands) struct ApplyArgs {
    /// Make the Jobs in the cluster, follow them, and tell what their pods found
    #[arg(long)]
    pub(in crate::commands) apply: bool,
    #[command(flatten)]
    pub(in crate::commands) kube: KubeArgs,
}

impl ApplyArgs {
    fn check(&self) -> Result<(), CommandError> {
        if self.kube.is_given() && !self.apply {
            return Err(CommandError::usage("without `--apply` no cluster is asked, so none need be named"));
        }
        Ok(())
    }
}

/// Print or run Jobs that verify access as the service accounts and nodes that a layout grants it to
///
/// One Job for each service account that a grant names (`irsa`, `pod_identity`), and one for each node group that a grant
/// names, whose pods have the node's role if its hop limit lets them. The pod runs `verify --access --as-caller` over the
/// layout, which is mounted from a ConfigMap: every cell is tried by real calls as that identity.
///
/// The manifests are printed, for `kubectl apply -f -`. With `--apply` the Jobs are made, after a look at what is there and
/// your yes, their logs are followed, and their matrices come back: one for each identity. Why a pod does not start is told
/// at once. A Job of the same name that has ended is replaced, one that runs is followed.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bucketwright cluster job verify layout.toml --image IMAGE
  bucketwright cluster job verify layout.toml --image IMAGE \\
      --service-account flytesnacks-development/default --node-group gpu
  bucketwright cluster job verify layout.toml --image IMAGE --apply
  bucketwright cluster job verify layout.toml --image IMAGE | kubectl apply -f -
  kubectl logs -n NAMESPACE job/NAME --follow

Exits 4 if no grant of the layout names anybody in a cluster. With `--apply`
exits 4 if access is not as expected somewhere, else 3 if a pod gave no answer
or left something behind.")]
pub struct VerifyArgs {
    #[command(flatten)]
    pub(in crate::commands) layout: LayoutArgs,
    #[command(flatten)]
    pub(in crate::commands) place: PlaceArgs,
    /// Run as this service account, whatever the layout names
    #[arg(long, value_name = "NAMESPACE/NAME")]
    pub(in crate::commands) service_account: Option<AccountName>,
    /// The namespace of Jobs that are about nodes, where any service account will do
    #[arg(long, short, value_name = "NAMESPACE", default_value = "default", value_parser = parse_namespace)]
    pub(in crate::commands) namespace: String,
    /// Only this grant, by its policy's name; can be repeated
    #[arg(long, value_name = "POLICY")]
    pub(in crate::commands) grant: Vec<String>,
    /// Only this cluster of the layout
    #[arg(long, value_name = "NAME")]
    pub(in crate::commands) cluster: Option<String>,
    /// Leave out every probe that writes
    #[arg(long)]
    pub(in crate::commands) no_write: bool,
    #[command(flatten)]
    pub(in crate::commands) apply: ApplyArgs,
}

/// Print or run a Job whose pods share a sync
///
/// An Indexed Job: each pod takes the shard of its completion index (`sync --shard auto/N`), so that together they do all of
/// it, each file once. A pod that fails is started again and goes on where it was. A PersistentVolumeClaim is mounted at
/// /data, read-only unless DST is there. With `--apply` the Job is made, after your yes, and followed to its end; its pods
/// get `--yes` if you typed it.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bucketwright cluster job sync s3://lake/raw/ s3://train/raw/ --shards 8 \\
      --service-account ml/copier --image IMAGE --apply
  bucketwright cluster job sync /data/images s3://lake/images/ --claim images --shards 4 \\
      --service-account ml/uploader --image IMAGE -- --checksum sha256")]
pub struct SyncArgs {
    /// What to read: s3://BUCKET/PREFIX, or a path below /data
    #[arg(value_name = "SRC")]
    source: Location,
    /// What to make equal: s3://BUCKET/PREFIX, or a path below /data
    #[arg(value_name = "DST")]
    target: Location,
    #[command(flatten)]
    place: PlaceArgs,
    /// Run as this service account
    #[arg(long, value_name = "NAMESPACE/NAME")]
    service_account: AccountName,
    /// How many pods share the work
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    shards: u32,
    /// Mount this PersistentVolumeClaim at /data
    #[arg(long, value_name = "NAME", value_parser = parse_namespace)]
    claim: Option<String>,
    #[command(flatten)]
    apply: ApplyArgs,
    /// Further options of `sync`
    #[arg(last = true, value_name = "OPTION")]
    options: Vec<String>,
}

/// A name by the rules of namespaces, which claims share.
fn parse_namespace(text: &str) -> Result<String, String> {
    if is_label(text) { Ok(text.to_owned()) } else { Err("lower-case letters, digits and hyphens".to_owned()) }
}

/// Runs the verb.
pub async fn run(command: &JobCommand, context: &Context) -> Result<Ending, CommandError> {
    let (apply, launches) = match command {
        JobCommand::Verify(args) => {
            args.apply.check()?;
            (&args.apply, verify(args, context).await?)
        }
        JobCommand::Sync(args) => {
            args.apply.check()?;
            (&args.apply, vec![sync(args, context)?])
        }
    };
    if !apply.apply {
        let manifests: Vec<Manifest> = launches.into_iter().map(|launch| launch.manifest).collect();
        context.ui.answer(&job::text(&manifests));
        return Ok(Ending::answered(Outcome::Done));
    }
    let api = apply.kube.connect(context).await?;
    match command {
        JobCommand::Verify(_) => Box::pin(in_cluster::verify(&api, &launches, &apply.kube, context)).await,
        JobCommand::Sync(_) => Box::pin(in_cluster::sync(&api, &launches, &apply.kube, context)).await,
    }
}

/// One Job for each place where the layout's grants hold.
async fn verify(args: &VerifyArgs, context: &Context) -> Result<Vec<Launch>, CommandError> {
    let loaded = load(&args.layout, context)?;
    let layout = &loaded.layout;
    if let Some(unknown) = args.grant.iter().find(|name| !layout.grants.iter().any(|grant| grant.policy == **name)) {
        let known: Vec<&str> = layout.grants.iter().map(|grant| grant.policy.as_str()).collect();
        return Err(CommandError::usage(format!("the layout has no grant `{unknown}`"))
            .hint(format!("it has {}", known.join(", "))));
    }
    let wish = Wish {
        account: args.service_account.clone(),
        namespace: args.namespace.clone(),
        node_groups: args.place.node_group.clone(),
        grants: args.grant.clone(),
        cluster: args.cluster.clone(),
    };
    let mut clusters: BTreeMap<String, Cluster> = BTreeMap::new();
    let names = unresolved(layout, &wish);
    if !names.is_empty() {
        let world = crate::commands::reach(layout, context).await?;
        for name in names {
            let cluster = super::find(&name, &world).await?;
            clusters.insert(name, cluster);
        }
    }
    let spots = spots(layout, &clusters, &wish).map_err(|missing| CommandError::usage(missing.to_string()))?;
    if spots.is_empty() {
        let message = "no grant of the layout names a service account or a node group";
        return Err(CommandError::new("no-place", Outcome::Differs, message)
            .hint("say whose pods are meant with `--service-account NAMESPACE/NAME`"));
    }
    let text = layout_text(&args.layout.layout)?;
    let region = context.flags.region.as_ref().or(layout.region.as_ref()).map(ToString::to_string);
    let launches = spots.into_iter().map(|spot| {
        let who = who(&spot.account.to_string(), spot.node_group.as_deref());
        let why = format!("tries {} as {who}", spot.grants.join(", "));
        let place = Place {
            namespace: spot.account.namespace,
            service_account: spot.account.name,
            node_group: spot.node_group,
            image: args.place.image.clone(),
            region: region.clone(),
        };
        let mut arguments = vec!["--as-caller".to_owned(), "--output=json".to_owned()];
        arguments.extend(spot.grants.iter().map(|grant| format!("--grant={grant}")));
        arguments.extend(args.layout.env.iter().map(|name| format!("--env={name}")));
        arguments.extend(context.set.iter().map(|(name, value)| format!("--set={name}={value}")));
        arguments.extend(args.no_write.then(|| "--no-write".to_owned()));
        let manifest = job::manifest(&place, &Work::Verify { layout: text.clone(), arguments });
        Launch { manifest, who, why, account: layout.account.clone() }
    });
    Ok(launches.collect())
}

/// `service account ml/trainer in node group gpu`
fn who(account: &str, node_group: Option<&str>) -> String {
    let group = node_group.map(|group| format!(" in node group {group}")).unwrap_or_default();
    format!("service account {account}{group}")
}

/// The layout as it was written, which the pod reads again.
fn layout_text(path: &Path) -> Result<String, CommandError> {
    let read = local::read_at_most(path, MAX_LAYOUT_BYTES).map_err(|error| CommandError::unreadable(path, &error))?;
    // It has just been parsed, so it is text of that size.
    Ok(String::from_utf8_lossy(&read.unwrap_or_default()).into_owned())
}

/// One end of a sync as the pod names it.
fn end(location: &Location, args: &SyncArgs, context: &Context) -> Result<String, CommandError> {
    match settle(location, context)? {
        Location::Local(path) => {
            let goes_up = path.components().any(|part| part == Component::ParentDir);
            let text = path.to_str().filter(|_| path.starts_with(DATA_PATH) && !goes_up && args.claim.is_some());
            text.map(str::to_owned).ok_or_else(|| {
                CommandError::usage(format!("`{}` is no place in the pod", path.display()))
                    .hint("mount a PersistentVolumeClaim with `--claim NAME` and name a path below /data")
            })
        }
        Location::S3(place) => Ok(place.to_string()),
        Location::Layout { place, .. } => Ok(place),
    }
}

fn sync(args: &SyncArgs, context: &Context) -> Result<Launch, CommandError> {
    let is_local = |location: &Location| matches!(location, Location::Local(_));
    if is_local(&args.source) && is_local(&args.target) {
        return Err(CommandError::usage("one side of a sync is s3://BUCKET/PREFIX"));
    }
    let is_written = is_local(&args.target);
    let mut arguments = vec![end(&args.source, args, context)?, end(&args.target, args, context)?];
    let why = format!("{} pods sync {} to {}", args.shards, arguments[0], arguments[1]);
    arguments.extend(args.options.iter().cloned());
    if args.apply.apply {
        // What pods tell is read back.
        arguments.push("--output=json".to_owned());
    }
    // The pods have nobody to ask.
    if context.yes {
        arguments.push("--yes".to_owned());
    }
    let claim = args.claim.clone().map(|claim| (claim, is_written));
    let work = Work::Sync { arguments, shards: args.shards, claim };
    let node_group = match args.place.node_group.as_slice() {
        [] => None,
        [one] => Some(one.clone()),
        _ => return Err(CommandError::usage("the pods of one sync run in one node group")),
    };
    let who = who(&args.service_account.to_string(), node_group.as_deref());
    let place = Place {
        namespace: args.service_account.namespace.clone(),
        service_account: args.service_account.name.clone(),
        node_group,
        image: args.place.image.clone(),
        region: context.flags.region.as_ref().map(ToString::to_string),
    };
    Ok(Launch { manifest: job::manifest(&place, &work), who, why, account: None })
}
