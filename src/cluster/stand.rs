//! Where a Job and its pods stand, and why a pod does not start: read from what the API server keeps of them.
//!
//! Sources: <https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/>,
//! <https://kubernetes.io/docs/concepts/workloads/controllers/job/>

use super::job::CONTAINER;
use serde_json::Value;

/// How a Job stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobStand {
    /// Pods of it run, or are to.
    Active,
    /// It is complete.
    Complete,
    /// It failed, for the reason that the controller gives.
    Failed(String),
}

/// How a pod stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PodStand {
    /// Its container has not run yet.
    Waiting(Option<Hindrance>),
    /// It runs.
    Running,
    /// It ended.
    Ended {
        /// The container's exit code; none if it never ran.
        exit: Option<i64>,
        /// Why, where it is not the program's own end: `OOMKilled`, `Evicted`, `DeadlineExceeded`.
        because: Option<String>,
    },
}

/// Why a pod does not start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hindrance {
    /// The reason, such as `ImagePullBackOff`.
    pub reason: String,
    /// In the cluster's words.
    pub message: String,
    /// False where waiting helps, such as for a node that an autoscaler starts.
    pub is_lasting: bool,
}

/// A pod of a Job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobPod {
    /// Its name.
    pub name: String,
    /// Its id, which no other pod ever has.
    pub uid: String,
    /// Its number in an Indexed Job.
    pub index: Option<u32>,
    /// How it stands.
    pub stand: PodStand,
}

/// What tells that a pod got over what hindered it before.
const PROGRESS: [&str; 5] = ["Pulling", "Pulled", "Created", "Started", "SuccessfulCreate"];
/// What keeps a container from running until somebody changes something.
const LASTING: [&str; 7] = [
    "ErrImagePull",
    "ImagePullBackOff",
    "InvalidImageName",
    "ErrImageNeverPull",
    "CreateContainerConfigError",
    "CreateContainerError",
    "RunContainerError",
];
/// Events of a pod that say why it does not start.
const EVENTS_OF_PODS: [&str; 4] = ["FailedMount", "FailedAttachVolume", "FailedScheduling", "FailedCreatePodSandBox"];
/// What the cluster itself repeats until it works.
const PASSING_EVENTS: [&str; 3] = ["FailedScheduling", "FailedCreatePodSandBox", "FailedAttachVolume"];

/// How a Job stands, by its conditions.
pub fn job_stand(job: &Value) -> JobStand {
    let conditions = list(job, "/status/conditions");
    let holds = |kind: &str| conditions.iter().find(|one| one["type"] == kind && one["status"] == "True");
    if let Some(failed) = holds("Failed").or_else(|| holds("FailureTarget")) {
        return JobStand::Failed(reason_and_message(failed));
    }
    if holds("Complete").or_else(|| holds("SuccessCriteriaMet")).is_some() {
        return JobStand::Complete;
    }
    JobStand::Active
}

/// A pod, as far as its Job is followed.
pub fn job_pod(pod: &Value) -> Option<JobPod> {
    let annotation = "/metadata/annotations/batch.kubernetes.io~1job-completion-index";
    Some(JobPod {
        name: text(pod, "/metadata/name")?,
        uid: text(pod, "/metadata/uid").unwrap_or_default(),
        index: text(pod, annotation).and_then(|index| index.parse().ok()),
        stand: pod_stand(pod),
    })
}

fn pod_stand(pod: &Value) -> PodStand {
    let containers = list(pod, "/status/containerStatuses");
    // A mesh or an agent may have put another container beside it.
    let container = containers.iter().find(|one| one["name"] == CONTAINER).or_else(|| containers.first());
    let state = container.map(|container| &container["state"]);
    if let Some(ended) = state.map(|state| &state["terminated"]).filter(|ended| ended.is_object()) {
        let own = ["Completed", "Error", ""];
        let because = ended["reason"].as_str().filter(|reason| !own.contains(reason)).map(str::to_owned);
        return PodStand::Ended { exit: ended["exitCode"].as_i64(), because };
    }
    match pod["status"]["phase"].as_str() {
        // Evicted before its container ran, or its node is gone.
        Some("Failed" | "Succeeded") => {
            let why = reason_and_message(&pod["status"]);
            return PodStand::Ended { exit: None, because: (!why.is_empty()).then_some(why) };
        }
        _ if state.is_some_and(|state| state["running"].is_object()) => return PodStand::Running,
        _ => {}
    }
    PodStand::Waiting(waiting(pod, state))
}

/// What the pod itself says of why it waits.
fn waiting(pod: &Value, state: Option<&Value>) -> Option<Hindrance> {
    let container = state.and_then(|state| state["waiting"].as_object());
    let reason = container.and_then(|waiting| waiting.get("reason")?.as_str());
    if let Some(reason) = reason.filter(|reason| LASTING.contains(reason)) {
        let message = container.and_then(|waiting| waiting.get("message")?.as_str()).unwrap_or_default();
        return Some(Hindrance { reason: reason.to_owned(), message: message.to_owned(), is_lasting: true });
    }
    let conditions = list(pod, "/status/conditions");
    let unplaced = conditions.iter().find(|one| one["type"] == "PodScheduled" && one["status"] == "False")?;
    let reason = unplaced["reason"].as_str().unwrap_or("Unschedulable").to_owned();
    Some(Hindrance { reason, message: text(unplaced, "/message").unwrap_or_default(), is_lasting: false })
}

/// What events say of a Job that has no pod, or of a pod that waits; the last of them counts.
pub fn hindrance_in(events: &[Value]) -> Option<Hindrance> {
    let told = |event: &&Value| {
        let reason = event["reason"].as_str().unwrap_or_default();
        event["type"] == "Warning" && (reason == "FailedCreate" || EVENTS_OF_PODS.contains(&reason))
    };
    let goes_on = |event: &Value| {
        event["type"] == "Normal" && event["reason"].as_str().is_some_and(|reason| PROGRESS.contains(&reason))
    };
    let since = events.iter().rposition(goes_on).map_or(0, |last| last + 1);
    let event = events[since..].iter().rfind(told)?;
    let (reason, message) = (text(event, "/reason")?, text(event, "/message").unwrap_or_default());
    let is_lasting = match reason.as_str() {
        // The API server refuses the pod: no such service account, a quota, a Pod Security Standard.
        "FailedCreate" => message.contains("forbidden"),
        reason => !PASSING_EVENTS.contains(&reason),
    };
    Some(Hindrance { reason, message, is_lasting })
}

/// `BackoffLimitExceeded: Job has reached the specified backoff limit`
fn reason_and_message(value: &Value) -> String {
    let parts = [value["reason"].as_str(), value["message"].as_str()];
    parts.into_iter().flatten().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(": ")
}

/// The selector of the pods that a Job made, and of no other's.
pub fn pods_of(job: &Value) -> String {
    let labels = job["spec"]["selector"]["matchLabels"].as_object();
    let pairs = labels.into_iter().flatten().filter_map(|(name, value)| Some(format!("{name}={}", value.as_str()?)));
    let pairs: Vec<String> = pairs.collect();
    match pairs.as_slice() {
        [] => format!("job-name={}", job["metadata"]["name"].as_str().unwrap_or_default()),
        pairs => pairs.join(","),
    }
}

fn text(value: &Value, pointer: &str) -> Option<String> {
    value.pointer(pointer).and_then(Value::as_str).map(str::to_owned)
}

fn list<'value>(value: &'value Value, pointer: &str) -> &'value [Value] {
    value.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use super::{JobStand, PodStand, hindrance_in, job_pod, job_stand, pods_of};
    use serde_json::{Value, json};

    fn pod(status: &Value) -> String {
        let pod = json!({ "metadata": { "name": "p", "uid": "u" }, "status": status });
        match job_pod(&pod).unwrap().stand {
            PodStand::Waiting(None) => "waits".to_owned(),
            PodStand::Waiting(Some(why)) => {
                format!("{}, {}: {}", if why.is_lasting { "stuck" } else { "waits" }, why.reason, why.message)
            }
            PodStand::Running => "runs".to_owned(),
            PodStand::Ended { exit, because } => format!("{exit:?} {}", because.unwrap_or_default()),
        }
    }

    #[test]
    fn pods_say_why_they_do_not_start() {
        let container = |state: Value| json!({ "phase": "Pending", "containerStatuses": [{ "state": state }] });
        let unplaced = json!({ "phase": "Pending", "conditions": [
            { "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes" }
        ] });
        for (status, wanted) in [
            (json!({ "phase": "Pending" }), "waits"),
            (container(json!({ "waiting": { "reason": "ContainerCreating" } })), "waits"),
            (
                container(json!({ "waiting": { "reason": "ImagePullBackOff", "message": "no such image" } })),
                "stuck, ImagePullBackOff: no such image",
            ),
            (
                container(json!({ "waiting": { "reason": "CreateContainerConfigError", "message": "no key" } })),
                "stuck, CreateContainerConfigError: no key",
            ),
            (unplaced, "waits, Unschedulable: 0/3 nodes"),
            (container(json!({ "running": {} })), "runs"),
            (
                json!({ "containerStatuses": [
                    { "name": "agent", "state": { "running": {} } },
                    { "name": "bucketwright", "state": { "terminated": { "exitCode": 0 } } },
                ] }),
                "Some(0) ",
            ),
            (container(json!({ "terminated": { "exitCode": 4, "reason": "Error" } })), "Some(4) "),
            (container(json!({ "terminated": { "exitCode": 137, "reason": "OOMKilled" } })), "Some(137) OOMKilled"),
            (
                json!({ "phase": "Failed", "reason": "Evicted", "message": "low on memory" }),
                "None Evicted: low on memory",
            ),
        ] {
            assert_eq!(pod(&status), wanted, "{status}");
        }
    }

    #[test]
    fn events_say_why_there_is_no_pod() {
        let event = |kind: &str, reason: &str| json!({ "type": kind, "reason": reason, "message": reason });
        let told = |events: &[Value]| hindrance_in(events).map(|why| (why.reason, why.is_lasting));
        assert_eq!(told(&[]), None);
        assert_eq!(told(&[event("Normal", "SuccessfulCreate")]), None);
        assert_eq!(told(&[event("Warning", "FailedCreate")]), Some(("FailedCreate".to_owned(), false)));
        let refused = json!({ "type": "Warning", "reason": "FailedCreate", "message": "pods \"p\" is forbidden: no" });
        assert_eq!(told(&[refused]), Some(("FailedCreate".to_owned(), true)));
        assert_eq!(told(&[event("Warning", "FailedScheduling")]), Some(("FailedScheduling".to_owned(), false)));
        let two = [event("Warning", "FailedScheduling"), event("Warning", "FailedMount")];
        assert_eq!(told(&two), Some(("FailedMount".to_owned(), true)));
        // A mount that failed once and then went well does not make a slow image one that never comes.
        assert_eq!(told(&[event("Warning", "FailedMount"), event("Normal", "Pulling")]), None);
    }

    #[test]
    fn jobs_end_by_their_conditions() {
        let job = |kind: &str, status: &str| {
            job_stand(&json!({ "status": { "conditions": [
                { "type": kind, "status": status, "reason": "DeadlineExceeded", "message": "too long" }
            ] } }))
        };
        assert_eq!(job("Complete", "True"), JobStand::Complete);
        assert_eq!(job("Failed", "True"), JobStand::Failed("DeadlineExceeded: too long".to_owned()));
        assert_eq!(job("Failed", "False"), JobStand::Active);
        assert_eq!(job_stand(&json!({})), JobStand::Active);
    }

    #[test]
    fn pods_are_found_by_what_the_controller_selects() {
        let job = json!({ "metadata": { "name": "j" }, "spec": { "selector": { "matchLabels": { "controller-uid": "u" } } } });
        assert_eq!(pods_of(&job), "controller-uid=u");
        assert_eq!(pods_of(&json!({ "metadata": { "name": "j" } })), "job-name=j");
        let pod =
            json!({ "metadata": { "name": "p", "annotations": { "batch.kubernetes.io/job-completion-index": "2" } } });
        assert_eq!(job_pod(&pod).unwrap().index, Some(2));
    }
}
