//! `cluster show`: a cluster's nodes, roles and ways to S3, and which pods a layout's grants reach.

use crate::cluster::{self, Granting};
use crate::commands::{Context, Ending, announced};
use crate::error::CommandError;
use crate::layout::Layout;
use crate::model::{Cluster, ClusterSurvey, RoleName, Seen};
use crate::report::{Event, Outcome, Severity};
use crate::world::World;
use clap::Args;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Show a cluster: its nodes, their roles, which pods get these, and the way to S3
///
/// Of each node group the role, its name, its instance profile, its launch template, and the hop limit of the nodes'
/// metadata service: with 1 pods get no credentials from their node, with 2 every pod gets the node's. Nodes of Auto Mode,
/// Karpenter and others, and Fargate profiles, are told as such. With a layout also whom its grants reach: by the role of
/// nodes, by IRSA, by Pod Identity. What may not be read is said to be unknown, with the reason.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bucketwright cluster show education-eks-vV8VCAqw
  bucketwright cluster show education-eks-vV8VCAqw layout.toml
  bucketwright cluster show NAME --output json | jq 'select(.type == \"node-group\") | .role_name'

Exits 4 if a grant of the layout reaches no pod, or not all that it names.")]
pub struct ShowArgs {
    /// The cluster's name
    #[arg(value_name = "NAME")]
    name: String,
    /// The layout whose grants are looked at
    #[arg(value_name = "LAYOUT")]
    layout: Option<PathBuf>,
    /// Environment of the layout: its account, region, profile and variables
    #[arg(long, value_name = "NAME", requires = "layout")]
    env: Option<String>,
}

/// Runs the verb.
pub async fn run(args: &ShowArgs, context: &Context) -> Result<Ending, CommandError> {
    let (loaded, world) = super::open(args.layout.as_ref(), args.env.as_ref(), context).await?;
    let cluster = super::find(&args.name, &world).await?;
    let looked = announced("looking at nodes and network", world.account.survey(&cluster), context).await?;
    let survey = match looked {
        Seen::Here(survey) => survey,
        Seen::Absent => return Err(super::hidden(&args.name, "it went away meanwhile")),
        Seen::Hidden(why) => return Err(super::hidden(&args.name, &why)),
    };
    let ui = &context.ui;
    let view = cluster::view(&cluster, &survey);
    ui.event(&Event::Cluster(view.cluster));
    view.nodes.into_iter().for_each(|one| ui.event(&Event::NodeGroup(one)));
    view.associations.into_iter().for_each(|one| ui.event(&Event::Association(one)));
    view.endpoints.into_iter().for_each(|one| ui.event(&Event::VpcEndpoint(one)));
    let mut findings = view.findings;
    if let Some(loaded) = &loaded {
        let granting = granting(&loaded.layout, &cluster, &survey, &world).await?;
        granting.ways.into_iter().for_each(|way| ui.event(&Event::Reach(way)));
        findings.extend(granting.findings);
    }
    let is_wrong = findings.iter().any(|finding| finding.severity == Severity::Error);
    findings.into_iter().for_each(|finding| ui.event(&Event::Finding(finding)));
    Ok(Ending::answered(if is_wrong { Outcome::Differs } else { Outcome::Done }))
}

/// Whom the grants reach.
pub async fn granting(
    layout: &Layout,
    cluster: &Cluster,
    survey: &ClusterSurvey,
    world: &World,
) -> Result<Granting, CommandError> {
    let mut roles: BTreeMap<RoleName, _> = BTreeMap::new();
    for name in cluster::roles(layout, cluster) {
        let role = world.account.role(&name).await?;
        roles.insert(name, role);
    }
    Ok(cluster::grants(layout, cluster, survey, &roles))
}
