//! What is left to do once everything was moved: deletes, which come last, and what is tidied up and written down.

use super::{DeleteRules, Listener, Notes, SyncRequest, Synced, Tallied, settle, target_of};
use crate::apply::extras::Extras;
use crate::apply::leftovers::{self, Scope};
use crate::apply::pipeline::{LookError, Side};
use crate::apply::transfer::{Run, TransferOptions};
use crate::aws::s3::Store;
use crate::local::{Journal, TargetTree};
use crate::model::ObjectKey;
use crate::report::{Event, Finding, Progress, Severity, Work};
use crate::sync::decide::Route;
use crate::sync::deletes::{Refusal, Situation, may_delete};
use futures_util::stream;
use std::sync::{Arc, PoisonError};
use tokio::sync::mpsc;

/// What is left to do once everything was moved.
pub(super) struct Closing<'run> {
    pub(super) request: &'run SyncRequest,
    pub(super) run: &'run Arc<Run>,
    pub(super) tree: Option<Arc<TargetTree>>,
    pub(super) leftovers: Leftovers<'run>,
    pub(super) notes: Notes,
}

impl Closing<'_> {
    /// Deletes, tidies up, and writes down what is to be remembered.
    pub(super) async fn close(
        self,
        mut synced: Synced,
        extras: Extras,
        store: &Store,
        options: &TransferOptions,
        listener: &Listener,
    ) -> Result<Synced, LookError> {
        let Self { request, run, tree, leftovers, notes } = self;
        let deleted = match request.delete {
            Some(rules) => delete(run, request, rules, extras, &mut synced).await,
            None => Ok(()),
        };
        let all_sent = synced.failed == 0 && synced.cancelled == 0 && !run.is_cancelled();
        // A shard, or a run that leaves files out, does not know what the others still go on with.
        if all_sent && request.shard.is_none() && !request.filter.has_flags() {
            leftovers.give_up(Stay::None, listener).await;
        }
        if let Some(tree) = tree {
            settle_tree(tree, request, listener).await;
        }
        synced.kept_uploads = run.kept_uploads();
        synced.cause = run.common_cause();
        let in_place = all_sent && synced.seen.odd == 0;
        synced.receipt = notes.close(request, store, options, listener, in_place).await;
        deleted.map(|()| synced)
    }
}

/// Uploads in parts that earlier runs of this very sync left unfinished.
pub(super) struct Leftovers<'run> {
    store: &'run Store,
    journal: Option<(&'run Journal, Scope)>,
}

/// Which of them stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stay {
    /// Those whose file is still what it was: the run may go on with them.
    Usable,
    /// None: everything is in place, so nobody goes on with them.
    None,
}

impl<'run> Leftovers<'run> {
    pub(super) fn of(request: &SyncRequest, store: &'run Store, options: &'run TransferOptions) -> Self {
        let scope = match (&request.route, &request.source) {
            (Route::Upload { bucket, folder }, Side::Files(files)) => {
                Some(Scope { source: files.root.clone(), bucket: bucket.clone(), folder: folder.clone() })
            }
            _ => None,
        };
        Self { store, journal: options.journal.as_ref().zip(scope) }
    }

    pub(super) async fn give_up(&self, stay: Stay, listener: &Listener) {
        if let Some((journal, scope)) = &self.journal {
            let is_wanted = |_: &ObjectKey| stay == Stay::Usable;
            leftovers::reconcile(self.store, journal, scope, &is_wanted, &listener.events).await;
        }
    }
}

/// Clears away what killed downloads left, and waits until the disk has what arrived, before anything remembers it.
async fn settle_tree(tree: Arc<TargetTree>, request: &SyncRequest, listener: &Listener) {
    let found = match &request.target {
        Side::Files(files) => std::mem::take(&mut *files.leftovers.lock().unwrap_or_else(PoisonError::into_inner)),
        Side::Objects(_) | Side::Nothing => Vec::new(),
    };
    let settling = tokio::task::spawn_blocking(move || {
        for folder in found {
            // A folder that is reached through a link is not written to, and what lies there is not ours to clear.
            let _ = match folder.parse() {
                Ok(folder) => tree.remove_leftovers(Some(&folder)),
                Err(_) => tree.remove_leftovers(None),
            };
        }
        tree.flush()
    });
    if let Ok(Err(error)) = settling.await {
        let finding = Finding::new("not-flushed", Severity::Warning, target_of(&request.route), error.to_string());
        let fix = "what arrived may be lost if the machine stops now; run `sync` again to be sure";
        let _ = listener.events.send(Event::Finding(finding.with_fix(fix))).await;
    }
}

/// Why nothing would be deleted, if that is so: told as a finding.
pub(super) async fn refusal(
    request: &SyncRequest,
    rules: DeleteRules,
    seen: &Tallied,
    failed: u64,
    events: &mpsc::Sender<Event>,
) -> Option<Refusal> {
    let situation = Situation {
        source_items: seen.source_items,
        target_items: seen.target_items,
        candidates: seen.extras,
        odd: seen.odd,
        failed,
        max_delete: rules.max_delete,
        consented: rules.consented,
    };
    let refusal = may_delete(&situation).err()?;
    let target = target_of(&request.route);
    let finding = Finding::new("deletes-refused", Severity::Warning, target, refusal.to_string());
    let _ = events.send(Event::Finding(finding.with_fix(refusal.hint()))).await;
    Some(refusal)
}

/// Deletes what is too much in the target, if that is known for sure.
async fn delete(
    run: &Arc<Run>,
    request: &SyncRequest,
    rules: DeleteRules,
    extras: Extras,
    synced: &mut Synced,
) -> Result<(), LookError> {
    if run.is_cancelled() {
        return Ok(());
    }
    let failed = synced.failed + synced.cancelled;
    synced.refused = refusal(request, rules, &synced.seen, failed, run.events()).await;
    if synced.refused.is_some() {
        return Ok(());
    }
    let objects = extras.count();
    for progress in [Progress::Work(Work::Delete), Progress::Expect { objects, bytes: 0 }, Progress::AllExpected] {
        run.tell(Event::Progress(progress)).await;
    }
    let (batches, mut lost) = (extras.into_batches()?, None);
    let batches = batches.map_while(|batch| batch.map_err(|error| lost = Some(error)).ok());
    let tally = run.move_all(stream::iter(batches), |_, _| {}).await;
    settle(run, tally, synced, false).await;
    lost.map_or(Ok(()), |error| Err(error.into()))
}
