//! Makes Jobs in the cluster, once somebody said yes: what is there is looked at first, and nothing of others is touched.

use crate::cluster::job::Manifest;
use crate::cluster::stand::{JobStand, job_stand};
use crate::commands::kube::KubeArgs;
use crate::commands::{Context, consent};
use crate::error::CommandError;
use crate::kubernetes::{Api, Made, Resource};
use crate::model::AccountId;
use crate::report::{ActionRecord, Event, Outcome, Status, Summary};
use serde_json::Value;
use std::time::Duration;

/// How often it is looked whether a Job that was deleted is gone.
const UNTIL_GONE: Duration = Duration::from_millis(500);
/// How many times.
const LOOKS_UNTIL_GONE: u32 = 120;

/// A Job that is to run.
#[derive(Debug, Clone)]
pub(in crate::commands) struct Launch {
    /// The Job with what it needs.
    pub(in crate::commands) manifest: Manifest,
    /// For whom it runs: `service account ml/trainer in node group gpu`.
    pub(in crate::commands) who: String,
    /// What for, as the plan's reason.
    pub(in crate::commands) why: String,
    /// The account that the layout is for.
    pub(in crate::commands) account: Option<AccountId>,
}

/// A Job that runs.
#[derive(Debug, Clone)]
pub(in crate::commands) struct Started {
    /// Its namespace.
    pub(in crate::commands) namespace: String,
    /// Its name.
    pub(in crate::commands) name: String,
    /// For whom it runs.
    pub(in crate::commands) who: String,
    /// As the API server keeps it.
    pub(in crate::commands) job: Value,
    /// True if this run made it.
    pub(in crate::commands) is_made_here: bool,
}

/// What is to be done about one document.
enum Need {
    /// It is made.
    Create,
    /// It is there already, just so.
    Same,
    /// It is a Job that has ended, and makes room for a new one.
    Replace { uid: String },
    /// It is a Job that runs.
    Follow(Box<Value>),
}

/// One document, and what is to be done about it.
struct Step {
    resource: Resource,
    document: Value,
    need: Need,
    why: String,
    /// The place of its Job in the list of launches; none for what Jobs need.
    job: Option<usize>,
}

impl Step {
    fn target(&self) -> String {
        let metadata = &self.document["metadata"];
        let text = |field: &str| metadata[field].as_str().unwrap_or_default().to_owned();
        format!("{}/{}", text("namespace"), text("name"))
    }

    fn record(&self, status: Status, action: &'static str, reason: &str) -> Event {
        Event::Action(ActionRecord {
            status,
            action,
            target: self.target(),
            reason: reason.to_owned(),
            setting: None,
            source: None,
            bytes: None,
            proof: None,
            policy: None,
        })
    }

    const fn creation(&self) -> &'static str {
        match self.resource {
            Resource::ConfigMaps => "create-config-map",
            _ => "create-job",
        }
    }

    /// What is written, in order.
    fn actions(&self) -> Vec<(&'static str, &str)> {
        match &self.need {
            Need::Create => vec![(self.creation(), self.why.as_str())],
            Need::Replace { .. } => {
                vec![("delete-job", "it has ended, and its answers are old"), ("create-job", self.why.as_str())]
            }
            Need::Same | Need::Follow(_) => Vec::new(),
        }
    }
}

/// Makes every Job, after it was shown and agreed to. Returns the Jobs in their order, and what was counted.
pub(in crate::commands) async fn launch(
    api: &Api,
    launches: &[Launch],
    question: String,
    kube: &KubeArgs,
    context: &Context,
) -> Result<(Vec<Started>, Summary), CommandError> {
    launches.iter().try_for_each(|launch| guard(launch, api))?;
    let steps = look(api, launches).await?;
    let writes = steps.iter().any(|step| !step.actions().is_empty());
    if writes && !context.yes {
        for step in &steps {
            for (action, why) in step.actions() {
                context.ui.event(&step.record(Status::Planned, action, why));
            }
        }
    }
    for step in &steps {
        if matches!(step.need, Need::Follow(_)) {
            context.ui.note(&format!("{} runs already: it is followed, and not made anew", step.target()));
        }
    }
    if writes {
        consent(question, context).await?;
    }
    context.stop.begin_writing()?;
    let mut summary = Summary::default();
    let mut started = Vec::new();
    for step in &steps {
        let made = match context.stop.is_asked() {
            true => Err(CommandError::stopped("no further Job was made")),
            false => carry_out(api, step, &mut summary, context).await,
        };
        // What was made before goes on, and nobody follows it.
        let made =
            made.map_err(|failed| started.iter().map(|job| end_command(job, kube)).fold(failed, CommandError::hint))?;
        if let (Some(index), Some((job, is_made_here))) = (step.job, made) {
            let Launch { manifest, who, .. } = &launches[index];
            started.push(Started {
                namespace: manifest.namespace.clone(),
                name: manifest.name.clone(),
                who: who.clone(),
                job,
                is_made_here,
            });
        }
    }
    Ok((started, summary))
}

/// The command that ends a Job.
pub(super) fn end_command(job: &Started, kube: &KubeArgs) -> String {
    format!("`{} delete job -n {} {}` ends it", kube.kubectl(), job.namespace, job.name)
}

/// Stops at a cluster that is known to be in another account than the layout's.
fn guard(launch: &Launch, api: &Api) -> Result<(), CommandError> {
    match (&launch.account, api.account()) {
        (Some(wanted), Some(found)) if wanted.as_str() != found => {
            let message = format!("the layout is for account `{wanted}`, and {} is in `{found}`", api.place());
            Err(CommandError::new("wrong-account", Outcome::Invalid, message)
                .hint("choose the right `--kube-context` or `--env`; nothing was written"))
        }
        _ => Ok(()),
    }
}

/// Holds every document against what is there.
async fn look(api: &Api, launches: &[Launch]) -> Result<Vec<Step>, CommandError> {
    let mut steps: Vec<Step> = Vec::new();
    for (index, launch) in launches.iter().enumerate() {
        for document in &launch.manifest.documents {
            // Jobs of one namespace share their layout.
            if steps.iter().any(|step| step.document == *document) {
                continue;
            }
            let Some(resource) = Resource::of(document) else { continue };
            let metadata = &document["metadata"];
            let name = metadata["name"].as_str().unwrap_or_default();
            let there = api.get(resource, metadata["namespace"].as_str(), name).await?;
            let job = (resource == Resource::Jobs).then_some(index);
            let why = if job.is_some() { launch.why.clone() } else { "the layout that the pods read".to_owned() };
            let need = there.map_or(Ok(Need::Create), |there| need(document, there))?;
            steps.push(Step { resource, document: document.clone(), need, why, job });
        }
    }
    Ok(steps)
}

/// What is to be done where there is one of that name. The name says the content, so what differs is somebody else's.
fn need(document: &Value, there: Value) -> Result<Need, CommandError> {
    const OWNER: &str = "/metadata/labels/app.kubernetes.io~1managed-by";
    let metadata = &document["metadata"];
    let foreign = |why: &str| {
        let kind = document["kind"].as_str().unwrap_or_default();
        let message = format!("{kind} {}/{} {why}", text(metadata, "namespace"), text(metadata, "name"));
        CommandError::new("foreign", Outcome::Failed, message).hint("nothing was written; look at it, and delete it")
    };
    if there.pointer(OWNER) != document.pointer(OWNER) {
        return Err(foreign("is there, and bucketwright did not make it"));
    }
    if document["kind"] == "ConfigMap" {
        let is_same = there["data"] == document["data"];
        return if is_same { Ok(Need::Same) } else { Err(foreign("is there with another content")) };
    }
    let is_going = there["metadata"]["deletionTimestamp"].is_string();
    match job_stand(&there) {
        JobStand::Active if !is_going => Ok(Need::Follow(Box::new(there))),
        _ => Ok(Need::Replace { uid: text(&there["metadata"], "uid") }),
    }
}

fn text(value: &Value, field: &str) -> String {
    value[field].as_str().unwrap_or_default().to_owned()
}

/// Does what a step says. Gives back the Job of one, and whether it was made just now.
async fn carry_out(
    api: &Api,
    step: &Step,
    summary: &mut Summary,
    context: &Context,
) -> Result<Option<(Value, bool)>, CommandError> {
    let mut tell = |action: &'static str, why: &str| {
        let event = step.record(Status::Done, action, why);
        summary.count(&event);
        context.ui.event(&event);
    };
    match &step.need {
        Need::Follow(job) => Ok(Some(((**job).clone(), false))),
        Need::Same => {
            summary.unchanged += 1;
            Ok(None)
        }
        Need::Create => {
            let made = create(api, step, 0).await?;
            tell(step.creation(), &step.why);
            Ok(Some((made, true)))
        }
        Need::Replace { uid } => {
            let metadata = &step.document["metadata"];
            api.delete(step.resource, &text(metadata, "namespace"), &text(metadata, "name"), uid).await?;
            tell("delete-job", "it has ended, and its answers are old");
            let made = create(api, step, LOOKS_UNTIL_GONE).await?;
            tell("create-job", &step.why);
            Ok(Some((made, true)))
        }
    }
}

/// Makes the document, once the name is free.
async fn create(api: &Api, step: &Step, mut patience: u32) -> Result<Value, CommandError> {
    loop {
        match api.create(step.resource, &step.document).await? {
            Made::New(made) => return Ok(made),
            // Somebody made the very same layout meanwhile.
            Made::Taken if step.resource == Resource::ConfigMaps => return Ok(step.document.clone()),
            Made::Taken if patience > 0 => {
                patience -= 1;
                tokio::time::sleep(UNTIL_GONE).await;
            }
            Made::Taken => {
                let message = format!("somebody else made Job {} just now", step.target());
                return Err(CommandError::new("conflict", Outcome::Failed, message).hint("run it again to follow it"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Need, need};
    use serde_json::{Value, json};

    fn job(owner: &str, status: &Value, deleted: Option<&str>) -> Value {
        json!({
            "kind": "Job",
            "metadata": {
                "namespace": "ml", "name": "j", "uid": "u", "deletionTimestamp": deleted,
                "labels": { "app.kubernetes.io/managed-by": owner },
            },
            "status": status,
        })
    }

    #[test]
    fn only_what_is_ours_and_over_makes_room() {
        let wanted = job("bucketwright", &json!({}), None);
        let said = |there: Value| match need(&wanted, there) {
            Ok(Need::Replace { uid }) => uid,
            Ok(Need::Follow(_)) => "follow".to_owned(),
            Ok(Need::Same | Need::Create) => "same".to_owned(),
            Err(failed) => failed.records[0].message.clone(),
        };
        let ended = json!({ "conditions": [{ "type": "Complete", "status": "True" }] });
        assert_eq!(said(job("bucketwright", &ended, None)), "u");
        assert_eq!(said(job("bucketwright", &json!({ "active": 1 }), None)), "follow");
        assert_eq!(said(job("bucketwright", &json!({}), Some("2026-11-23T10:00:00Z"))), "u");
        assert_eq!(said(job("helm", &ended, None)), "Job ml/j is there, and bucketwright did not make it");
    }
}
