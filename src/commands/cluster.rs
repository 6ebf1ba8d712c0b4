//! `cluster`: what an EKS cluster means for access to S3, one file a verb.

pub mod flyte_values;
mod follow;
pub mod identities;
mod in_cluster;
pub mod job;
mod launch;
pub mod show;

use super::{Context, Ending, LayoutArgs, Loaded, load, reach};
use crate::config::Settings;
use crate::error::CommandError;
use crate::model::{Cluster, Seen};
use crate::report::Outcome;
use crate::world::World;
use clap::Subcommand;
use std::path::PathBuf;

/// Look into EKS clusters: nodes, their roles, and which pods get them
#[derive(Debug, Subcommand)]
pub enum ClusterCommand {
    Show(show::ShowArgs),
    Identities(identities::IdentitiesArgs),
    #[command(subcommand)]
    Job(job::JobCommand),
    FlyteValues(flyte_values::FlyteArgs),
}

/// Runs the verb.
pub async fn run(command: &ClusterCommand, context: &Context) -> Result<Ending, CommandError> {
    match command {
        ClusterCommand::Show(args) => show::run(args, context).await,
        ClusterCommand::Identities(args) => identities::run(args, context).await,
        ClusterCommand::Job(command) => job::run(command, context).await,
        ClusterCommand::FlyteValues(args) => flyte_values::run(args, context),
    }
}

/// A layout where one is named, and the world as it says.
async fn open(
    layout: Option<&PathBuf>,
    env: Option<&String>,
    context: &Context,
) -> Result<(Option<Loaded>, World), CommandError> {
    let Some(layout) = layout else {
        let settings = Settings::resolve(&context.flags, None, None, &context.environment)?;
        return Ok((None, super::open(&settings, None, context).await?));
    };
    let loaded = load(&LayoutArgs { layout: layout.clone(), env: env.cloned() }, context)?;
    let world = reach(&loaded.layout, context).await?;
    Ok((Some(loaded), world))
}

/// A cluster of the account; one that is not there, or may not be read, ends the run.
async fn find(name: &str, world: &World) -> Result<Cluster, CommandError> {
    match world.account.cluster(name).await? {
        Seen::Here(cluster) => Ok(cluster),
        Seen::Absent => {
            let others = world.account.clusters().await.unwrap_or_default();
            let near = crate::layout::nearest(name, others.iter().map(String::as_str));
            let near = near.map(|name| format!(", did you mean `{name}`?")).unwrap_or_default();
            let message = format!("there is no EKS cluster `{name}` in {}{near}", world.region);
            Err(CommandError::new("not-found", Outcome::Failed, message).hint("choose its Region with `--region`"))
        }
        Seen::Hidden(why) => Err(hidden(name, &why)),
    }
}

fn hidden(name: &str, why: &str) -> CommandError {
    CommandError::new("denied", Outcome::Failed, format!("cluster `{name}` may not be read: {why}"))
        .hint("it takes eks:DescribeCluster; docs/cluster.md lists the rights for the rest")
}
