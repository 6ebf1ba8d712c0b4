//! `cluster identities`: pods, their service accounts, and as whom they ask AWS.

use crate::cluster::{self, Around, Snapshot, identities, is_label};
use crate::commands::kube::KubeArgs;
use crate::commands::{Context, Ending, announced};
use crate::config::Settings;
use crate::error::CommandError;
use crate::kubernetes::{Choice, KubernetesError, Resource};
use crate::local;
use crate::model::{Cluster, HumanBytes, Seen};
use crate::report::{Event, NodeGroupRecord, Outcome, Severity};
use clap::Args;
use std::io::IsTerminal as _;
use std::path::Path;

/// The longest listing that is read: a hundred thousand pods.
const MAX_BYTES: u64 = 512 * 1024 * 1024;

/// Tell as whom each pod asks AWS: by keys, by IRSA, by Pod Identity, or as its node
///
/// Asks the cluster's API server, as kubectl does, or reads what `kubectl get pods,serviceaccounts,nodes -A -o json` printed;
/// of one namespace or of all. The order is that of
/// AWS's SDKs: access keys in the environment, a token of the service account, the Pod Identity agent, the role of the
/// node. Pods that are older than the annotation or association that they would need are told: EKS gives roles to pods
/// when they are made. With `--cluster` EKS is asked too, for associations, for the roles of nodes, and whether their hop
/// limit lets pods have them.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bucketwright cluster identities --cluster education-eks-vV8VCAqw
  bucketwright cluster identities --kube-context lab --namespace flyte
  kubectl get pods,serviceaccounts,nodes -A -o json | bucketwright cluster identities -
  bucketwright cluster identities pods.json --cluster education-eks-vV8VCAqw
  bucketwright cluster identities pods.json --namespace flytesnacks-development

Exits 4 if a pod is older than the role that it should have, has access keys in
its environment, or has two roles.")]
pub struct IdentitiesArgs {
    /// The listing as JSON, or `-` for standard input, in place of the API server
    #[arg(value_name = "FILE")]
    listing: Option<String>,
    /// Ask EKS about this cluster too
    #[arg(long, value_name = "NAME")]
    cluster: Option<String>,
    /// Only the pods of this namespace
    #[arg(long, short, value_name = "NAMESPACE", value_parser = parse_namespace)]
    namespace: Option<String>,
    #[command(flatten)]
    kube: KubeArgs,
}

fn parse_namespace(text: &str) -> Result<String, String> {
    if is_label(text) { Ok(text.to_owned()) } else { Err("lower-case letters, digits and hyphens".to_owned()) }
}

/// Runs the verb.
pub async fn run(args: &IdentitiesArgs, context: &Context) -> Result<Ending, CommandError> {
    let mut snapshot = match &args.listing {
        Some(_) if args.kube.is_given() => {
            return Err(CommandError::usage("a listing is read, or an API server is asked: name one of them"));
        }
        Some(listing) => read(listing)?,
        None => announced("listing pods", live(args, context), context).await?,
    };
    if let Some(namespace) = &args.namespace {
        snapshot.pods.retain(|pod| pod.namespace == *namespace);
    }
    let asked = match &args.cluster {
        Some(name) => Some(ask(name, context).await?),
        None => None,
    };
    let around = match &asked {
        Some((cluster, nodes)) => Around { cluster: Some(cluster), nodes },
        None => Around::default(),
    };
    let (records, findings) = identities(&snapshot, around);
    let ui = &context.ui;
    let mut records = records;
    records.sort_by(|one, other| {
        let key =
            |record: &crate::report::PodIdentityRecord| (record.namespace.clone(), record.service_account.clone());
        key(one).cmp(&key(other)).then_with(|| one.pod.cmp(&other.pod))
    });
    let same = |one: &crate::report::PodIdentityRecord, other: &crate::report::PodIdentityRecord| {
        (&one.namespace, &one.service_account) == (&other.namespace, &other.service_account)
    };
    records.chunk_by(same).for_each(|of_account| ui.event(&Event::PodIdentities(of_account.to_vec())));
    if records.is_empty() {
        ui.note("there are no pods that run");
    }
    if asked.is_none() {
        ui.hint("with `--cluster NAME` EKS tells the roles of nodes and of Pod Identity too");
    }
    let is_wrong = findings.iter().any(|finding| finding.severity >= Severity::Warning);
    findings.into_iter().for_each(|finding| ui.event(&Event::Finding(finding)));
    Ok(Ending::answered(if is_wrong { Outcome::Differs } else { Outcome::Done }))
}

/// What the API server lists. Who may see but one namespace sees no nodes, and goes without.
async fn live(args: &IdentitiesArgs, context: &Context) -> Result<Snapshot, CommandError> {
    let api = args.kube.connect(context).await?;
    let namespace = args.namespace.as_deref();
    let mut snapshot = Snapshot::default();
    let all = Choice::default();
    api.list(Resource::Pods, namespace, &all, |page| _ = snapshot.add(page)).await?;
    for (resource, namespace) in [(Resource::ServiceAccounts, namespace), (Resource::Nodes, None)] {
        match api.list(resource, namespace, &all, |page| _ = snapshot.add(page)).await {
            Err(KubernetesError::Forbidden(forbidden)) => {
                context.ui.warning(&format!("{} are left out: {}", resource.plural(), forbidden.rule()));
            }
            listed => listed?,
        }
    }
    Ok(snapshot)
}

/// The listing, wherever it comes from.
fn read(listing: &str) -> Result<Snapshot, CommandError> {
    let path = Path::new(listing);
    let bytes = match listing {
        "-" if std::io::stdin().is_terminal() => {
            return Err(CommandError::usage("`-` reads a listing from standard input, and there is none").hint(
                "write `kubectl get pods,serviceaccounts,nodes -A -o json | bucketwright cluster identities -`",
            ));
        }
        "-" => local::read_stdin_at_most(MAX_BYTES),
        _ => local::read_at_most(path, MAX_BYTES),
    };
    let bytes = bytes.map_err(|error| CommandError::unreadable(path, &error))?;
    let invalid = |message: String| CommandError::new("listing", Outcome::Invalid, message);
    let bytes = bytes.ok_or_else(|| invalid(format!("`{listing}` is larger than {}", HumanBytes(MAX_BYTES))))?;
    let mut snapshot = Snapshot::default();
    let mut found = false;
    for document in serde_json::Deserializer::from_slice(&bytes).into_iter() {
        let document = document.map_err(|error| invalid(format!("`{listing}` is no JSON: {error}")))?;
        found |= snapshot.add(&document);
    }
    if !found {
        return Err(invalid(format!("`{listing}` lists neither pods nor service accounts"))
            .hint("make it with `kubectl get pods,serviceaccounts,nodes -A -o json`"));
    }
    Ok(snapshot)
}

/// What EKS and EC2 say of the cluster.
pub(in crate::commands) async fn ask(
    name: &str,
    context: &Context,
) -> Result<(Cluster, Vec<NodeGroupRecord>), CommandError> {
    let settings = Settings::resolve(&context.flags, None, None, &context.environment)?;
    let world = crate::commands::open(&settings, None, context).await?;
    let cluster = super::find(name, &world).await?;
    let looked = announced("looking at nodes", world.account.survey(&cluster), context).await?;
    let nodes = match looked {
        Seen::Here(survey) => cluster::view(&cluster, &survey).nodes,
        Seen::Absent | Seen::Hidden(_) => Vec::new(),
    };
    Ok((cluster, nodes))
}
