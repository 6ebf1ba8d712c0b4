//! `uploads abort`: frees the parts of uploads that nobody will complete.

use super::{AT_ONCE, Looked, Place, counted, look_at_all};
use crate::apply::leftovers::set_aside;
use crate::aws::s3::ErrorClass;
use crate::commands::{Closing, Context, Ending};
use crate::error::CommandError;
use crate::local::{Claim, Found};
use crate::model::OpenUpload;
use crate::report::{ActionRecord, ErrorRecord, Event, Outcome, Status, Summary};
use crate::ui::Confirmation;
use crate::world::World;
use clap::Args;
use futures_util::stream::{self, StreamExt as _};
use jiff::{SignedDuration, Span, SpanRelativeTo, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use tokio::sync::mpsc;

/// Abort unfinished uploads, whoever began them
///
/// Shows what it would abort and asks on a terminal; elsewhere it needs `--yes`. Objects are never touched. What a process
/// on this machine is sending right now is left alone, and an upload that somebody else is still sending fails there: choose
/// an age that no upload of yours takes.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bucketwright uploads abort s3://my-bucket --older-than 7d
  bucketwright uploads abort s3://my-bucket/scratch/ --older-than 12h --yes
  bucketwright uploads abort s3://my-bucket --id UPLOAD_ID

`uploads list` shows the ids. Exits 3 if some could not be aborted.")]
pub struct AbortArgs {
    /// The bucket, or the start of the keys: s3://BUCKET[/PREFIX]
    #[arg(value_name = "URL")]
    place: Place,
    /// Only uploads that were begun longer ago than this, such as 7d, 12h or 0s for all
    #[arg(long, value_name = "AGE", value_parser = parse_age, required_unless_present = "id")]
    older_than: Option<SignedDuration>,
    /// Only the upload with this id; can be repeated
    #[arg(long, value_name = "UPLOAD_ID")]
    id: Vec<String>,
}

/// A length of time as people type it.
pub(in crate::commands) fn parse_age(text: &str) -> Result<SignedDuration, String> {
    let wrong = || "write a time as `7d`, `12h`, `30min` or `0s`".to_owned();
    let span: Span = text.parse().map_err(|_| wrong())?;
    let age = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|_| wrong())?;
    if age.is_negative() { Err(wrong()) } else { Ok(age) }
}

impl AbortArgs {
    /// An upload without a date is chosen only by its id.
    fn chooses(&self, upload: &OpenUpload, now: Timestamp) -> bool {
        let old = self.older_than.is_none_or(|limit| {
            let age = upload.initiated.map(|initiated| now.duration_since(initiated));
            age.is_some_and(|age| age.max(SignedDuration::ZERO) >= limit)
        });
        old && (self.id.is_empty() || self.id.contains(&upload.upload_id))
    }
}

/// Runs the verb.
pub async fn run(args: &AbortArgs, context: &Context) -> Result<Ending, CommandError> {
    let world = super::open(context).await?;
    context.ui.event(&Event::Identity(world.identity_record()));
    let mut chosen = Vec::new();
    let is_chosen = |upload: &OpenUpload| args.chooses(upload, context.now);
    look_at_all(&world, &args.place, context, is_chosen, |looked| chosen.push(looked)).await?;
    let missing = args.id.iter().find(|id| !chosen.iter().any(|looked| looked.upload.upload_id == **id));
    if let Some(id) = missing {
        let place = format!("s3://{}/{}", args.place.bucket, args.place.start);
        let failed = CommandError::new("not-found", Outcome::Failed, format!("no such upload under `{place}`: `{id}`"));
        return Err(failed.hint("`uploads list` shows those that there are; nothing was aborted"));
    }
    if chosen.is_empty() {
        let summary = Summary { closing: Some("Uploads: nothing to abort".to_owned()), ..Summary::default() };
        return Ok(Ending { summary, outcome: Outcome::Done, closing: Closing::Shown, last_word: None });
    }
    consent(&chosen, context).await?;
    context.stop.begin_writing()?;
    Ok(abort_all(args, chosen, &world, context).await)
}

/// Nothing is aborted before somebody said yes.
async fn consent(chosen: &[Looked], context: &Context) -> Result<(), CommandError> {
    if context.yes {
        return Ok(());
    }
    for looked in chosen {
        context.ui.event(&Event::Action(action(looked, Status::Planned, looked.record.to_string())));
    }
    let bytes = chosen.iter().filter_map(|looked| looked.record.bytes).sum();
    let question = format!("Abort {}?", counted(chosen.len() as u64, bytes));
    let ui = context.ui.clone();
    // Waiting for a person must not keep the program from hearing Ctrl-C.
    let answer = tokio::task::spawn_blocking(move || ui.confirm(&question)).await;
    match answer.unwrap_or(Confirmation::No) {
        Confirmation::Yes => Ok(()),
        Confirmation::No => Err(CommandError::new("declined", Outcome::Failed, "not confirmed; nothing was aborted")),
        Confirmation::NobodyThere => {
            Err(CommandError::usage("nobody is here to confirm, nothing was aborted").hint("pass `--yes`"))
        }
    }
}

fn action(looked: &Looked, status: Status, reason: String) -> ActionRecord {
    ActionRecord {
        status,
        action: "abort-upload",
        target: looked.record.target.clone(),
        reason,
        setting: None,
        source: looked.record.source.clone(),
        bytes: None,
        proof: None,
        policy: None,
    }
}

/// The journal's view of the bucket: entries to forget once their upload is gone, and uploads under way right now.
#[derive(Default)]
struct Entries {
    idle: BTreeMap<String, Claim>,
    busy: BTreeSet<String>,
}

async fn entries(args: &AbortArgs, chosen: &[Looked], world: &World, context: &Context) -> Entries {
    let mut entries = Entries::default();
    let Some(journal) = crate::commands::journal(world, context) else { return entries };
    let bucket = args.place.bucket.clone();
    let found = tokio::task::spawn_blocking(move || journal.entries(&bucket)).await;
    let is_chosen = |id: &String| chosen.iter().any(|looked| looked.upload.upload_id == *id);
    // Without a journal that can be read, no entry is there to be forgotten.
    for found in found.ok().and_then(Result::ok).unwrap_or_default() {
        match found {
            Found::Idle(entry) => {
                let (claim, remembered) = *entry;
                // What is not chosen is let go of at once, so that a run which starts now can take it up.
                if let Some(id) = remembered.upload_id.filter(is_chosen) {
                    entries.idle.insert(id, claim);
                }
            }
            Found::Busy(remembered) => entries.busy.extend(remembered.upload_id),
            Found::Damaged(path) => context.ui.event(&Event::Finding(set_aside(&args.place.bucket, &path))),
        }
    }
    entries
}

async fn abort_all(args: &AbortArgs, chosen: Vec<Looked>, world: &World, context: &Context) -> Ending {
    let planned = chosen.len() as u64;
    let Entries { mut idle, busy } = entries(args, &chosen, world, context).await;
    let (events, listener) = context.ui.listen();
    let work: Vec<_> = chosen.into_iter().map(|looked| (idle.remove(&looked.upload.upload_id), looked)).collect();
    let (busy, sender) = (&busy, &events);
    stream::iter(work)
        .for_each_concurrent(AT_ONCE, |(claim, looked)| async move {
            if context.stop.is_asked() {
                return;
            }
            if busy.contains(&looked.upload.upload_id) {
                let why = "a process on this machine is sending it right now".to_owned();
                let _ = sender.send(Event::Action(action(&looked, Status::Skipped, why))).await;
                return;
            }
            abort(claim, looked, world, sender).await;
        })
        .await;
    drop(events);
    let mut summary = listener.finish();
    summary.planned = planned;
    if context.stop.is_asked() {
        let stopped = CommandError::stopped("what is aborted stays aborted");
        return Ending { summary, outcome: Outcome::Interrupted, closing: Closing::Shown, last_word: Some(stopped) };
    }
    let outcome = summary.outcome();
    summary.closing = Some(format!("Uploads: {} aborted{}", summary.done, rest(&summary)));
    Ending { summary, outcome, closing: Closing::Shown, last_word: None }
}

fn rest(summary: &Summary) -> String {
    let rest = [(summary.failed, "failed"), (summary.skipped, "skipped")];
    rest.iter().filter(|(count, _)| *count > 0).map(|(count, word)| format!(", {count} {word}")).collect()
}

async fn abort(claim: Option<Claim>, looked: Looked, world: &World, events: &mpsc::Sender<Event>) {
    let record = match world.store.abort_multipart(&looked.upload).await {
        Ok(()) => action(&looked, Status::Done, looked.record.size_and_age()),
        Err(error) if error.class == ErrorClass::NotFound => {
            action(&looked, Status::Done, "was completed or aborted meanwhile".to_owned())
        }
        Err(error) => {
            let failed = action(&looked, Status::Failed, error.message.clone());
            let _ = events.send(Event::Action(failed)).await;
            let hints = error.class.hint().map(str::to_owned).into_iter().collect();
            let target = Some(looked.record.target);
            let record = ErrorRecord { hints, target, ..ErrorRecord::new(error.class.kind(), error.to_string()) };
            let _ = events.send(Event::Error(record)).await;
            return;
        }
    };
    if let Some(claim) = claim {
        // An entry that stays names an upload that is gone, which the next run finds out by itself.
        let _ = tokio::task::spawn_blocking(move || claim.finish()).await;
    }
    let _ = events.send(Event::Action(record)).await;
}

#[cfg(test)]
mod tests {
    use super::parse_age;

    #[test]
    fn ages() {
        for (text, seconds) in [
            ("7d", Some(604_800)),
            ("12h", Some(43_200)),
            ("30min", Some(1_800)),
            ("2w", Some(1_209_600)),
            ("1d12h", Some(129_600)),
            ("0s", Some(0)),
            ("7", None),
            ("-1d", None),
            ("1 month", None),
            ("soon", None),
        ] {
            assert_eq!(parse_age(text).ok().map(|age| age.as_secs()), seconds, "{text}");
        }
    }
}
