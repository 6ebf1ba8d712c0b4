//! Follows Jobs to their end: what their pods print as they print it, and at once why one does not start.

use super::launch::Started;
use crate::cluster::job::CONTAINER;
use crate::cluster::stand::{Hindrance, JobPod, JobStand, PodStand, hindrance_in, job_pod, job_stand, pods_of};
use crate::cluster::told::{Report, Told};
use crate::commands::Context;
use crate::error::CommandError;
use crate::kubernetes::{Api, Choice, KubernetesError, Resource};
use crate::model::{HumanBytes, HumanCount};
use crate::report::{ErrorRecord, Event, Status};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

/// How often Jobs and pods are looked at.
const POLL: Duration = Duration::from_secs(1);
/// What lasts for so many looks in a row is not waited for any more.
const PATIENCE: u32 = 5;
/// How many looks in a row may fail before following ends.
const MAX_FAILED_LOOKS: u32 = 30;
/// How many looks the rest of a log is waited for once its Job has ended.
const REST_OF_LOGS: u32 = 30;
/// After how many looks a pod that moves files says how far it is.
const PROGRESS_EVERY: u32 = 5;
/// How often a log may break off.
const MAX_BROKEN_LOGS: u32 = 10;
/// After how many looks without a reason it is said that a pod still waits.
const QUIET_LOOKS: u32 = 10;
/// How many lines may wait to be heard.
const LINES: usize = 1024;

/// How following a Job ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::commands) enum End {
    /// All its pods did their work.
    Complete,
    /// It failed; in the controller's words.
    Failed(String),
    /// What is left of it cannot start; why.
    Stuck(String),
    /// Somebody deleted it.
    Gone,
    /// The user wanted to stop.
    Left,
}

/// A Job that was followed.
#[derive(Debug)]
pub(in crate::commands) struct Followed {
    /// The Job.
    pub(in crate::commands) started: Started,
    /// How it ended.
    pub(in crate::commands) end: End,
    /// Its pods in the order in which they were seen, and what they told.
    pub(in crate::commands) pods: Vec<(JobPod, Report)>,
}

/// A line of a pod, or the end of its log.
struct Heard {
    job: usize,
    uid: String,
    what: Result<String, Option<KubernetesError>>,
}

/// A pod being followed.
struct Pod {
    pod: JobPod,
    report: Report,
    log: Log,
    told: (u64, u64),
}

/// How far a pod's log is read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Log {
    NotBegun,
    Reading,
    Read,
}

/// A Job being followed.
struct Watch {
    started: Started,
    end: Option<End>,
    pods: BTreeMap<String, Pod>,
    /// The order in which pods were seen.
    order: Vec<String>,
    /// Hindrances that were told.
    told: BTreeSet<String>,
    /// For how many looks it has been stuck.
    stuck: u32,
    /// For how many looks something waited for no reason that was told.
    quiet: u32,
    /// How many looks ago it ended.
    since_end: u32,
}

/// Follows every Job to its end, or until the user wants to stop.
pub(in crate::commands) async fn follow(
    api: &Api,
    started: Vec<Started>,
    context: &Context,
) -> Result<Vec<Followed>, CommandError> {
    let (to, mut heard) = mpsc::channel(LINES);
    let mut watches: Vec<Watch> = started.into_iter().map(Watch::new).collect();
    let mut readers = JoinSet::new();
    let mut tick = tokio::time::interval(POLL);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut looks, mut failed) = (0_u32, 0_u32);
    while !watches.iter().all(Watch::is_over) {
        tokio::select! {
            () = context.stop.asked() => break,
            Some(line) = heard.recv() => hear(&mut watches, line, context),
            _ = tick.tick() => {
                looks += 1;
                let looked = context.stop.unless_asked(look(api, &mut watches, context)).await;
                match looked {
                    None => break,
                    Some(Ok(())) => failed = 0,
                    Some(Err(error)) if error.may_pass() && failed < MAX_FAILED_LOOKS => {
                        failed += 1;
                        if failed == 1 {
                            context.ui.warning(&format!("{error}; trying again"));
                        }
                    }
                    Some(Err(error)) => return Err(error.into()),
                }
                for (job, watch) in watches.iter_mut().enumerate() {
                    for (namespace, pod) in watch.unread() {
                        readers.spawn(read(api.clone(), namespace, pod, job, to.clone()));
                    }
                    if looks % PROGRESS_EVERY == 0 {
                        watch.tell_progress(context);
                    }
                }
            }
        }
    }
    Ok(watches.into_iter().map(Watch::into_followed).collect())
}

impl Watch {
    const fn new(started: Started) -> Self {
        Self {
            started,
            end: None,
            pods: BTreeMap::new(),
            order: Vec::new(),
            told: BTreeSet::new(),
            stuck: 0,
            quiet: 0,
            since_end: 0,
        }
    }

    /// True once it has ended and everything that its pods printed was read.
    fn is_over(&self) -> bool {
        let all_read = self.pods.values().all(|pod| pod.log != Log::Reading);
        self.end.is_some() && (all_read || self.since_end > REST_OF_LOGS)
    }

    /// The pods whose logs are to be read from now on.
    fn unread(&mut self) -> Vec<(String, JobPod)> {
        let mut unread = Vec::new();
        for pod in self.pods.values_mut().filter(|pod| pod.log == Log::NotBegun) {
            let has_run = matches!(pod.pod.stand, PodStand::Running | PodStand::Ended { exit: Some(_), .. });
            if has_run {
                pod.log = Log::Reading;
                unread.push((self.started.namespace.clone(), pod.pod.clone()));
            }
        }
        unread
    }

    fn tell_progress(&mut self, context: &Context) {
        for pod in self.pods.values_mut().filter(|pod| pod.report.moved != pod.told) {
            pod.told = pod.report.moved;
            let (done, bytes) = pod.told;
            context.ui.note(&format!("{}: {} done, {}", pod.pod.name, HumanCount(done), HumanBytes(bytes)));
        }
    }

    fn see(&mut self, seen: JobPod) {
        match self.pods.get_mut(&seen.uid) {
            Some(known) => known.pod = seen,
            None => {
                self.order.push(seen.uid.clone());
                let pod = Pod { pod: seen, report: Report::default(), log: Log::NotBegun, told: (0, 0) };
                self.pods.insert(pod.pod.uid.clone(), pod);
            }
        }
    }

    /// Tells what keeps it from running, once each.
    fn hinder(&mut self, pod: Option<&str>, why: &Hindrance, context: &Context) -> String {
        let who = pod.map_or_else(|| format!("Job {}", self.started.name), |name| format!("pod {name}"));
        let message = if why.message.is_empty() { String::new() } else { format!(": {}", why.message) };
        let words = format!("{who} does not start: {}{message}", why.reason);
        if self.told.insert(format!("{who} {}", why.reason)) {
            let waits = if why.is_lasting { "" } else { "; it is waited for" };
            context.ui.warning(&format!("{words}{waits}"));
        }
        words
    }

    fn into_followed(mut self) -> Followed {
        let pods = self.order.iter().filter_map(|uid| self.pods.remove(uid)).map(|pod| (pod.pod, pod.report));
        let pods = pods.collect();
        Followed { started: self.started, end: self.end.unwrap_or(End::Left), pods }
    }
}

/// Looks at every Job that goes on.
async fn look(api: &Api, watches: &mut [Watch], context: &Context) -> Result<(), KubernetesError> {
    for watch in watches {
        if watch.end.is_some() {
            watch.since_end += 1;
        } else {
            look_at(api, watch, context).await?;
        }
    }
    Ok(())
}

async fn look_at(api: &Api, watch: &mut Watch, context: &Context) -> Result<(), KubernetesError> {
    let (namespace, name) = (watch.started.namespace.clone(), watch.started.name.clone());
    let job = api.get(Resource::Jobs, Some(&namespace), &name).await?;
    let Some(job) = job.filter(|job| job["metadata"]["uid"] == watch.started.job["metadata"]["uid"]) else {
        watch.end = Some(End::Gone);
        return Ok(());
    };
    let choice = Choice { labels: Some(pods_of(&job)), ..Choice::default() };
    for pod in api.all(Resource::Pods, &namespace, &choice).await?.iter().filter_map(job_pod) {
        watch.see(pod);
    }
    match job_stand(&job) {
        JobStand::Complete => watch.end = Some(End::Complete),
        JobStand::Failed(why) => watch.end = Some(End::Failed(why)),
        JobStand::Active => return hindrances(api, watch, &namespace, context).await,
    }
    Ok(())
}

/// What keeps pods from running, by what they say, and where they say nothing by events.
async fn hindrances(api: &Api, watch: &mut Watch, namespace: &str, context: &Context) -> Result<(), KubernetesError> {
    let mut waiting = Vec::new();
    for pod in watch.pods.values() {
        if let PodStand::Waiting(why) = &pod.pod.stand {
            waiting.push((Some(pod.pod.name.clone()), pod.pod.uid.clone(), why.clone()));
        }
    }
    if watch.pods.is_empty() {
        let uid = watch.started.job["metadata"]["uid"].as_str().unwrap_or_default();
        waiting.push((None, uid.to_owned(), None));
    }
    let (mut lasting, mut silent) = (None, None);
    for (name, uid, why) in waiting {
        let why = match why {
            Some(why) => Some(why),
            None => told_by_events(api, namespace, &uid, watch, context).await?,
        };
        if let Some(why) = why {
            let words = watch.hinder(name.as_deref(), &why, context);
            lasting = lasting.or(why.is_lasting.then_some(words));
        } else {
            silent = Some(name);
        }
    }
    watch.quiet = if silent.is_some() { watch.quiet + 1 } else { 0 };
    if let (Some(name), QUIET_LOOKS) = (silent, watch.quiet) {
        let what = name.map_or_else(|| "no pod of it is there".to_owned(), |name| format!("pod {name} is not started"));
        context.ui.note(&format!("waiting for Job {namespace}/{}: {what} yet", watch.started.name));
    }
    // As long as one pod runs, the Job is not stuck.
    let runs = watch.pods.values().any(|pod| pod.pod.stand == PodStand::Running);
    match lasting.filter(|_| !runs) {
        Some(_) if watch.stuck < PATIENCE => watch.stuck += 1,
        Some(words) => watch.end = Some(End::Stuck(words)),
        None => watch.stuck = 0,
    }
    Ok(())
}

/// What events say of an object. Who may not read them is told so once, and goes without.
async fn told_by_events(
    api: &Api,
    namespace: &str,
    uid: &str,
    watch: &mut Watch,
    context: &Context,
) -> Result<Option<Hindrance>, KubernetesError> {
    let choice = Choice { fields: Some(format!("involvedObject.uid={uid}")), ..Choice::default() };
    match api.all(Resource::Events, namespace, &choice).await {
        Ok(events) => Ok(hindrance_in(&events)),
        Err(KubernetesError::Forbidden(forbidden)) => {
            if watch.told.insert("events".to_owned()) {
                context.ui.hint(&format!("why pods do not start is told by events: {}", forbidden.rule()));
            }
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Takes in a line, or the end of a log.
fn hear(watches: &mut [Watch], heard: Heard, context: &Context) {
    let Some(pod) = watches[heard.job].pods.get_mut(&heard.uid) else { return };
    let name = pod.pod.name.clone();
    let line = match heard.what {
        Ok(line) => line,
        Err(trouble) => {
            pod.log = Log::Read;
            if let Some(error) = trouble {
                context.ui.warning(&format!("the log of pod {name} could not be read to its end: {error}"));
                error.hint().iter().for_each(|hint| context.ui.hint(hint));
            }
            return;
        }
    };
    let ui = &context.ui;
    match pod.report.hear(&line) {
        Told::Identity(arn) => ui.note(&format!("{name} asks as {arn}")),
        Told::Finding(finding) => ui.event(&Event::Finding(finding)),
        Told::Action(action) if matches!(action.status, Status::Failed | Status::Skipped) => {
            ui.event(&Event::Action(action));
        }
        Told::Error { message, hints } => {
            let record = ErrorRecord { target: Some(name), hints, ..ErrorRecord::new("in-pod", message) };
            ui.event(&Event::Error(record));
        }
        Told::Words(words) if !words.trim().is_empty() => ui.note(&format!("{name}: {words}")),
        Told::Cell(_) | Told::Action(_) | Told::Summary(_) | Told::Aside | Told::Words(_) => {}
    }
}

/// Reads a pod's log to its end. A line that breaks off is taken up again behind the last line that was heard.
async fn read(api: Api, namespace: String, pod: JobPod, job: usize, to: mpsc::Sender<Heard>) {
    let mut seen = 0;
    let mut broken = 0;
    let trouble = loop {
        let has_ended = match api.get(Resource::Pods, Some(&namespace), &pod.name).await {
            Ok(Some(value)) => !matches!(job_pod(&value).map(|pod| pod.stand), Some(PodStand::Running)),
            // What is gone has no log any more, and a trouble here is told by the log itself.
            Ok(None) => true,
            Err(_) => false,
        };
        match read_on(&api, &namespace, &pod, job, &mut seen, &to).await {
            Ok(is_whole) if is_whole || has_ended => break None,
            Ok(_) => tokio::time::sleep(POLL).await,
            Err(error @ (KubernetesError::Forbidden(_) | KubernetesError::Credentials(_))) => break Some(error),
            Err(error) if broken >= MAX_BROKEN_LOGS || has_ended && !error.may_pass() => break Some(error),
            Err(_) => {
                broken += 1;
                tokio::time::sleep(POLL).await;
            }
        }
    };
    let _ = to.send(Heard { job, uid: pod.uid, what: Err(trouble) }).await;
}

/// Reads the log once, leaving out what was heard before. True if its last line is the end of a run.
async fn read_on(
    api: &Api,
    namespace: &str,
    pod: &JobPod,
    job: usize,
    seen: &mut usize,
    to: &mpsc::Sender<Heard>,
) -> Result<bool, KubernetesError> {
    let mut lines = api.follow(namespace, &pod.name, CONTAINER).await?;
    let (mut number, mut is_whole) = (0, false);
    while let Some(line) = lines.next().await? {
        number += 1;
        is_whole = line.starts_with("{\"type\":\"summary\"");
        if number > *seen {
            *seen = number;
            let _ = to.send(Heard { job, uid: pod.uid.clone(), what: Ok(line) }).await;
        }
    }
    Ok(is_whole)
}
