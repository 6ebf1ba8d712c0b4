//! Runs Jobs in the cluster and reads back what their pods found: one matrix for each identity, or the total of a sync.

use super::follow::{End, Followed, follow};
use super::launch::{Launch, Started, end_command, launch};
use crate::cluster::stand::PodStand;
use crate::cluster::told::{Counts, by_bucket};
use crate::commands::kube::KubeArgs;
use crate::commands::{Closing, Context, Ending};
use crate::error::CommandError;
use crate::kubernetes::{Api, Resource};
use crate::model::{HumanBytes, HumanCount};
use crate::report::{Access, ErrorRecord, Event, Outcome, Summary};
use std::collections::BTreeMap;

/// Runs verifications, and shows one matrix for each identity.
pub(in crate::commands) async fn verify(
    api: &Api,
    launches: &[Launch],
    kube: &KubeArgs,
    context: &Context,
) -> Result<Ending, CommandError> {
    let ran = run(api, launches, kube, context).await?;
    let (mut summary, mut passed, mut wrong, mut other) = (ran.summary, 0, 0, 0);
    let mut outcome = Outcome::Done;
    for followed in &ran.followed {
        let told = followed.pods.iter().rev().find_map(|(_, report)| Some((report, report.counts?)));
        let cells = told.map(|(report, _)| report).or_else(|| followed.pods.last().map(|(_, report)| report));
        for of_bucket in cells.iter().flat_map(|report| by_bucket(&report.cells, &followed.started.who)) {
            let differs = |access: Access, expected: Access| access != Access::NotTried && access != expected;
            let unexpected = of_bucket.iter().filter(|cell| differs(cell.observed, cell.expected)).count() as u64;
            if unexpected > 0 {
                outcome = Outcome::Differs;
                wrong += unexpected;
            }
            context.ui.event(&Event::Matrix(of_bucket));
        }
        let exit = match told {
            Some((_, counts)) => {
                passed += counts.unchanged;
                other += counts.failed;
                summary.skipped += counts.skipped;
                if is_borne_out(followed, counts) {
                    counts.exit
                } else {
                    summary.failed += 1;
                    tell_failure(followed, context);
                    Outcome::Failed.code()
                }
            }
            None => {
                if followed.end != End::Left {
                    summary.failed += 1;
                    tell_failure(followed, context);
                }
                Outcome::Failed.code()
            }
        };
        outcome = worse(outcome, exit);
    }
    summary.unchanged += passed;
    summary.failed += other.max(wrong);
    let counts = [
        (passed, "passed"),
        (wrong, "failed"),
        (other.saturating_sub(wrong), "unknown"),
        (summary.skipped, "not tried"),
        (ran.followed.iter().filter(|one| !has_told(one)).count() as u64, "without an answer"),
    ];
    Ok(ending("Verify", &words(&counts), summary, outcome, ran.stopped))
}

/// Runs a sync, and adds up what its shards did.
pub(in crate::commands) async fn sync(
    api: &Api,
    launches: &[Launch],
    kube: &KubeArgs,
    context: &Context,
) -> Result<Ending, CommandError> {
    let ran = run(api, launches, kube, context).await?;
    let mut summary = ran.summary;
    let mut outcome = Outcome::Done;
    for followed in &ran.followed {
        let mut shards: BTreeMap<Option<u32>, Counts> = BTreeMap::new();
        for (pod, report) in &followed.pods {
            let Some(counts) = report.counts else { continue };
            // A shard that was started again found what it had done before; all that moved counts, what is left only once.
            let shard = shards.entry(pod.index).or_default();
            let (done, deleted, bytes) = (shard.done, shard.deleted, shard.bytes);
            *shard = Counts {
                done: done + counts.done,
                deleted: deleted + counts.deleted,
                bytes: bytes + counts.bytes,
                unchanged: counts.unchanged.saturating_sub(done),
                ..counts
            };
            context.ui.note(&format!(
                "{}: {} done, {} unchanged, {}",
                pod.name,
                HumanCount(counts.done),
                HumanCount(counts.unchanged),
                HumanBytes(counts.bytes)
            ));
        }
        for counts in shards.values() {
            summary.done += counts.done;
            summary.unchanged += counts.unchanged;
            summary.skipped += counts.skipped;
            summary.failed += counts.failed;
            summary.deleted += counts.deleted;
            summary.bytes += counts.bytes;
            outcome = worse(outcome, counts.exit);
        }
        let wanted = followed.started.job["spec"]["completions"].as_u64().unwrap_or(1);
        if followed.end != End::Complete || (shards.len() as u64) < wanted {
            outcome = worse(outcome, Outcome::Failed.code());
            if followed.end != End::Left {
                tell_failure(followed, context);
                summary.failed += u64::from(shards.values().all(|counts| counts.failed == 0));
            }
        }
    }
    Ok(ending("Sync", &summary.to_string(), summary, outcome, ran.stopped))
}

/// What ran, and how far it came.
struct Ran {
    followed: Vec<Followed>,
    summary: Summary,
    stopped: Option<CommandError>,
}

async fn run(api: &Api, launches: &[Launch], kube: &KubeArgs, context: &Context) -> Result<Ran, CommandError> {
    let question = match launches {
        [one] => format!("Make this Job in namespace {} of {}?", one.manifest.namespace, api.place()),
        many => format!("Make these {} Jobs in {}?", many.len(), api.place()),
    };
    let (started, summary) = launch(api, launches, question, kube, context).await?;
    let commands: Vec<String> = started.iter().map(|one| end_command(one, kube)).collect();
    let on_trouble = |failed: CommandError| commands.iter().fold(failed, |failed, command| failed.hint(command));
    let followed = follow(api, started, context).await.map_err(on_trouble)?;
    let never_ran = |one: &&Followed| one.pods.iter().all(|(pod, _)| matches!(pod.stand, PodStand::Waiting(_)));
    let stuck = followed.iter().filter(|one| matches!(one.end, End::Stuck(_)) && one.started.is_made_here);
    for one in stuck.filter(never_ran) {
        take_away(api, &one.started, kube, context).await;
    }
    let left: Vec<&Started> = followed.iter().filter(|one| one.end == End::Left).map(|one| &one.started).collect();
    let stopped = context.stop.is_asked().then(|| {
        let standing = match left.as_slice() {
            [] => "all Jobs had ended".to_owned(),
            [one] => format!("Job {}/{} goes on running in the cluster", one.namespace, one.name),
            many => format!("{} Jobs go on running in the cluster", many.len()),
        };
        left.iter().fold(CommandError::stopped(&standing), |failed, one| failed.hint(end_command(one, kube)))
    });
    Ok(Ran { followed, summary, stopped })
}

/// Removes a Job that cannot start, so that the next run makes a new one.
async fn take_away(api: &Api, job: &Started, kube: &KubeArgs, context: &Context) {
    let uid = job.job["metadata"]["uid"].as_str().unwrap_or_default();
    match api.delete(Resource::Jobs, &job.namespace, &job.name, uid).await {
        Ok(()) => context.ui.note(&format!("Job {}/{} is taken away again: it cannot start", job.namespace, job.name)),
        Err(error) => context.ui.warning(&format!("{error}; {}", end_command(job, kube))),
    }
}

/// Why a Job gave no answer.
fn tell_failure(followed: &Followed, context: &Context) {
    let Started { namespace, name, who, .. } = &followed.started;
    let last = followed.pods.last();
    let pod = last.map(|(pod, report)| {
        let end = match &pod.stand {
            PodStand::Ended { exit, because } => {
                let exit = exit.map(|code| format!("ended with exit code {code}"));
                let parts = [exit.or_else(|| Some("ended".to_owned())), because.clone()];
                parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
            }
            _ => "did not end".to_owned(),
        };
        let said = report.errors.last().or(report.last_words.as_ref());
        format!("pod {} {end}{}", pod.name, said.map(|words| format!(": {words}")).unwrap_or_default())
    });
    let why = match &followed.end {
        End::Stuck(why) => why.clone(),
        End::Gone => "somebody deleted it".to_owned(),
        End::Failed(why) => [pod, Some(why.clone())].into_iter().flatten().collect::<Vec<_>>().join("; "),
        End::Complete | End::Left => pod.unwrap_or_else(|| "it has no pod".to_owned()),
    };
    let record = ErrorRecord {
        target: Some(format!("{namespace}/{name}")),
        ..ErrorRecord::new("job-failed", format!("no answer from {who}: {why}"))
    };
    context.ui.event(&Event::Error(record));
}

/// True unless a pod says that all is well and the cluster, or its own cells, do not bear it out: a log is text from outside.
fn is_borne_out(followed: &Followed, counts: Counts) -> bool {
    let has_cells = followed.pods.iter().any(|(_, report)| !report.cells.is_empty());
    let is_whole = matches!(followed.end, End::Complete | End::Left) && has_cells && counts.failed == 0;
    counts.exit != 0 || is_whole
}

fn has_told(followed: &Followed) -> bool {
    followed.pods.iter().any(|(_, report)| report.counts.is_some())
}

/// What differs outweighs what was left, which outweighs what is as it should be.
const fn worse(outcome: Outcome, exit: u8) -> Outcome {
    match (outcome, exit) {
        (Outcome::Differs, _) | (_, 4) => Outcome::Differs,
        (outcome, 0) => outcome,
        _ => Outcome::Partly,
    }
}

fn words(counts: &[(u64, &str)]) -> String {
    let some = counts.iter().filter(|(count, _)| *count > 0);
    let parts: Vec<String> = some.map(|(count, word)| format!("{} {word}", HumanCount(*count))).collect();
    if parts.is_empty() { "nothing was tried".to_owned() } else { parts.join(", ") }
}

fn ending(verb: &str, words: &str, mut summary: Summary, outcome: Outcome, stopped: Option<CommandError>) -> Ending {
    let how = if stopped.is_some() { "Interrupted" } else { verb };
    summary.closing = Some(format!("{how}: {words}"));
    let outcome = if stopped.is_some() { Outcome::Interrupted } else { outcome };
    Ending { summary, outcome, closing: Closing::Shown, last_word: stopped }
}

#[cfg(test)]
mod tests {
    use super::{End, Followed, Started, is_borne_out, words, worse};
    use crate::cluster::stand::{JobPod, PodStand};
    use crate::cluster::told::{Counts, Report};
    use crate::report::Outcome;

    #[test]
    fn the_worst_of_the_pods_is_the_outcome() {
        let of = |exits: &[u8]| exits.iter().fold(Outcome::Done, |outcome, exit| worse(outcome, *exit)).code();
        for (exits, wanted) in [(&[0, 0][..], 0), (&[0, 3], 3), (&[3, 4, 0], 4), (&[1, 0], 3), (&[2], 3), (&[], 0)] {
            assert_eq!(of(exits), wanted, "{exits:?}");
        }
        assert_eq!(words(&[(2, "passed"), (0, "failed"), (1, "not tried")]), "2 passed, 1 not tried");
    }

    #[test]
    fn a_pod_that_says_all_is_well_must_have_ended_so() {
        const CELL: &str = r#"{"type":"cell","principal":"p","operation":"get","target":"s3://b/","expected":"allow","observed":"allow","because":"b"}"#;
        let of = |end: End, line: &str, counts: Counts| {
            let mut report = Report::default();
            report.hear(line);
            let stand = PodStand::Running;
            let pod = JobPod { name: "p".to_owned(), uid: "u".to_owned(), index: None, stand };
            let [namespace, name, who] = ["ml", "j", "w"].map(str::to_owned);
            let started = Started { namespace, name, who, job: serde_json::json!({}), is_made_here: true };
            is_borne_out(&Followed { started, end, pods: vec![(pod, report)] }, counts)
        };
        let well = Counts::default();
        assert!(of(End::Complete, CELL, well));
        assert!(!of(End::Failed("OOMKilled".to_owned()), CELL, well));
        assert!(!of(End::Gone, CELL, well));
        assert!(!of(End::Complete, "all passed", well));
        assert!(!of(End::Complete, CELL, Counts { failed: 1, ..well }));
        assert!(of(End::Failed(String::new()), CELL, Counts { exit: 4, ..well }));
    }
}
