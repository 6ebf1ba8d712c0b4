//! `doctor --pod`: a pod of a cluster, as whom it asks AWS, and the refusal in its log. Only reads.

use super::{DoctorArgs, diagnose, question};
use crate::cluster::{AccountName, Around, Snapshot, identity};
use crate::commands::cluster::identities::ask;
use crate::commands::{Context, Ending};
use crate::doctor::Reading;
use crate::doctor::message;
use crate::error::CommandError;
use crate::kubernetes::{Api, KubernetesError, LogChoice, Resource};
use crate::report::{Event, Outcome};
use serde_json::Value;

/// How many lines of a log's end are read.
const LOG_LINES: u32 = 5_000;

/// Runs the verb for a pod.
pub(super) async fn run(name: &AccountName, args: &DoctorArgs, context: &Context) -> Result<Ending, CommandError> {
    let api = args.kube.connect(context).await?;
    let (pod, snapshot) = look(&api, name, context).await?;
    let refusal = refusal(&api, name, &pod, context).await?;
    let asked = match &args.cluster {
        Some(cluster) => Some(ask(cluster, context).await?),
        None => None,
    };
    let around = match &asked {
        Some((cluster, nodes)) => Around { cluster: Some(cluster), nodes },
        None => Around::default(),
    };
    let Some(seen) = snapshot.pods.first() else { return Err(missing(name)) };
    let reading = refusal.as_ref().map(|(_, reading)| reading.clone());
    let asked_as = reading.as_ref().and_then(|reading| reading.symptom.principal.as_deref());
    let (record, findings) = identity(seen, &snapshot, around, asked_as);
    let ui = &context.ui;
    ui.event(&Event::PodIdentities(vec![record.clone()]));
    if asked.is_none() && record.role.is_none() {
        ui.hint("with `--cluster NAME` EKS tells the roles of nodes and of Pod Identity");
    }
    let is_at_fault = !findings.is_empty();
    findings.into_iter().for_each(|finding| ui.event(&Event::Finding(finding)));
    let typed = args.action.is_some() && args.resource.is_some();
    match &refusal {
        Some((log, _)) => ui.note(&format!("the refusal is in {log}")),
        None if typed => {}
        None if is_at_fault => return Ok(Ending::answered(Outcome::Differs)),
        None => {
            let message = format!("the log of pod {name} holds no refusal of AWS in its last {LOG_LINES} lines");
            let failed = CommandError::new("no-refusal", Outcome::Invalid, message);
            return Err(failed.hint("say what it may not with `--action` and `--resource`"));
        }
    }
    let mut question = question(args, reading.as_ref())?;
    if question.principal.is_none() {
        question.principal = record.role;
    }
    let ending = diagnose(args, reading, question, context).await?;
    let outcome = if is_at_fault { Outcome::Differs } else { ending.outcome };
    Ok(Ending { outcome, ..ending })
}

/// The pod, and what its identity depends on. Who may not see accounts or nodes goes without.
async fn look(api: &Api, name: &AccountName, context: &Context) -> Result<(Value, Snapshot), CommandError> {
    let namespace = name.namespace.as_str();
    let pod = api.get(Resource::Pods, Some(namespace), &name.name).await?.ok_or_else(|| missing(name))?;
    let mut snapshot = Snapshot::default();
    snapshot.add(&pod);
    let account = pod["spec"]["serviceAccountName"].as_str().unwrap_or("default");
    let node = pod["spec"]["nodeName"].as_str();
    let around = [(Resource::ServiceAccounts, Some(namespace), Some(account)), (Resource::Nodes, None, node)];
    for (resource, namespace, name) in around {
        let Some(name) = name else { continue };
        match api.get(resource, namespace, name).await {
            Ok(found) => found.iter().for_each(|found| _ = snapshot.add(found)),
            Err(KubernetesError::Forbidden(forbidden)) => {
                context.ui.warning(&format!("{} are left out: {}", resource.plural(), forbidden.rule()));
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok((pod, snapshot))
}

fn missing(name: &AccountName) -> CommandError {
    CommandError::new("not-found", Outcome::Failed, format!("there is no pod {name}"))
        .hint("pods that have ended may be gone: give their log, `bucketwright doctor -` reads it from standard input")
}

/// The refusal in a container's log, and which log that is: that of its present run first, then of the one before.
async fn refusal(
    api: &Api,
    name: &AccountName,
    pod: &Value,
    context: &Context,
) -> Result<Option<(String, Reading)>, CommandError> {
    let containers = ["containers", "initContainers"].into_iter().flat_map(|field| pod["spec"][field].as_array());
    let names: Vec<&str> = containers.flatten().filter_map(|one| one["name"].as_str()).collect();
    for previous in [false, true] {
        for container in &names {
            let choice = LogChoice { container: Some((*container).to_owned()), previous, last_lines: Some(LOG_LINES) };
            let log = match api.log(&name.namespace, &name.name, &choice).await {
                // Without its log the pod's identity can be told all the same.
                Err(error) => {
                    context.ui.warning(&format!("the log is left out: {error}"));
                    error.hint().iter().for_each(|hint| context.ui.hint(hint));
                    return Ok(None);
                }
                Ok(log) => log,
            };
            if let Some(reading) = log.as_deref().and_then(message::read) {
                let which = if previous { "log of the run before of" } else { "log of" };
                return Ok(Some((format!("the {which} container {container}"), reading)));
            }
        }
    }
    Ok(None)
}
